//! What every hosted page has in common: the policies that a browser must keep, and the ways to lead on.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Json, Redirect},
};

use super::{
    frame::Frame,
    language::{Language, Text},
    ports::StoreError,
    trouble::{self, Trouble},
};

/// Nothing but our own style sheet and pictures; nothing may frame a page. `form-action` stands last: the consent page adds to it.
pub const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Headers of every answer that a person gets.
const PRIVATE: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Browsers heed it over https alone.
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    // Not `no-referrer`: with that a browser sends `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What a page may ask the browser for, whatever script got into it: passkeys, and to copy what is shown once.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), display-capture=(), \
                           encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), \
                           magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), screen-wake-lock=(), \
                           serial=(), usb=(), xr-spatial-tracking=(), clipboard-write=(self), \
                           publickey-credentials-create=(self), publickey-credentials-get=(self)";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Whether another site's window may stay connected with the page at this path. An app may open the way to its consent in a window of its
/// own, and waits there for the answer: a page on that way that cut the connection would cut it for the app's own page behind it, too.
/// No other page stays connected with whoever opened it.
fn opener_policy(path: &str) -> HeaderValue {
    let is_on_the_way = matches!(
        path,
        "/authorize"
            | "/sign-in"
            | "/sign-in/passkey"
            | "/sign-in/passkey/options"
            | "/recover"
            | "/confirm"
            | "/language"
    );
    HeaderValue::from_static(if is_on_the_way { "unsafe-none" } else { "same-origin" })
}

/// The page's policy, where the form that is on it leads on to `source`.
#[must_use]
pub fn policy_with_form_action(source: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{POLICY} {source}")).ok()
}

/// The policy of the page that posts an answer to an app: a script of ours may run, and its form leads to `source` alone.
#[must_use]
pub fn form_post_policy(source: &str) -> Option<HeaderValue> {
    let policy = POLICY.strip_suffix("form-action 'self'")?;
    HeaderValue::from_str(&format!("{policy}script-src 'self'; form-action {source}")).ok()
}

/// The policy of a page with a script of ours, which may ask the broker things: passkeys take one.
const SCRIPT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
                             script-src 'self'; connect-src 'self'; form-action 'self'";

/// The policy of a page with a script of ours that asks nobody for anything.
const QUIET_SCRIPT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
                                   script-src 'self'; form-action 'self'";

/// A page with a script of ours that asks nobody for anything.
#[must_use]
pub fn with_quiet_script(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(QUIET_SCRIPT_POLICY));
    response
}

/// A page with a script of ours.
#[must_use]
pub fn with_script(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SCRIPT_POLICY));
    response
}

/// The policy of a page with a script of ours, where a form that is on it leads on to `source`.
#[must_use]
pub fn script_policy_with_form_action(source: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{SCRIPT_POLICY} {source}")).ok()
}

/// Adds the headers of a page to whatever is answered, where the handler did not set its own.
pub async fn private(request: Request, next: Next) -> Response<Body> {
    let opener = opener_policy(request.uri().path());
    let mut response = make_private(in_frame(request, next).await);
    response.headers_mut().insert(OPENER_POLICY, opener);
    response
}

/// Puts what went wrong on a page, in the frame of whoever asked.
pub async fn in_frame(request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let frame = Frame::of(&parts);
    trouble::on_a_page(next.run(Request::from_parts(parts, body)).await, frame)
}

fn make_private(mut response: Response<Body>) -> Response<Body> {
    for (name, value) in PRIVATE {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Sends the browser on with GET.
#[must_use]
pub fn see_other(location: &str) -> Response<Body> {
    Redirect::to(location).into_response()
}

/// Sends the browser to an app, which learns nothing of where it was (RFC 9700 §4.2.4).
#[must_use]
pub fn leave_for(location: &str) -> Response<Body> {
    let mut response = see_other(location);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// 503, when the broker is not set up. `detail` is for the log.
#[must_use]
pub fn unavailable(headers: &HeaderMap, detail: Option<String>) -> Response<Body> {
    let trouble = Trouble::unavailable(StoreError(detail.unwrap_or_default()));
    let frame = Frame { language: Language::of(headers), ..Frame::default() };
    make_private(trouble::on_a_page(trouble.into_response(), frame))
}

/// 404: a page for people, JSON for programs, which mostly got the base URL wrong.
pub async fn not_found(request: Request) -> Response<Body> {
    if wants_html(&request) {
        return Trouble::not_found().into_response();
    }
    let message = "nothing is at this path; an SDK's base URL is /openai/v1 or /anthropic, as base_url in the token response says";
    (StatusCode::NOT_FOUND, Json(serde_json::json!({ "error": { "message": message } }))).into_response()
}

/// 405, on the route of a page.
pub async fn method_not_allowed(method: Method) -> Trouble {
    Trouble::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "That does not work here",
        Text::new("This address does not take {0} requests.").with(method.to_string()),
    )
    .with_way_on("/", "Go to the start page")
}

fn wants_html(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted.contains("text/html")
}
