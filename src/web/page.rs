//! What every hosted page has in common: its head, the policies that a browser must keep, and the page of an error.

use askama::Template;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, Response, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Json, Redirect},
};

use super::{
    ports::StoreError,
    rate_limit::PERIOD_SECONDS,
    state::{Config, LogDetail},
    visitor::Visitor,
};

/// Nothing but our own style sheet and pictures; nothing may frame a page. `form-action` stands last: the consent page adds to it.
pub const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Headers of every answer that a person gets.
const PRIVATE: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Browsers heed it over https alone.
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    // Not `no-referrer`: with that a browser sends `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
];

/// The heading of a page that something is missing for.
const UNAVAILABLE: &str = "Not available right now";

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

/// Adds the headers of a page to whatever is answered, where the handler did not set its own.
pub async fn private(request: Request, next: Next) -> Response<Body> {
    make_private(next.run(request).await)
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

/// Renders a page.
pub fn html(status: StatusCode, page: &impl Template) -> Response<Body> {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            // Writing to a string does not fail.
            let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
            response.extensions_mut().insert(LogDetail(error.to_string()));
            response
        }
    }
}

/// A page that says what went wrong and what to do next.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct Trouble {
    visitor: Option<Visitor>,
    #[template(ignore)]
    status: StatusCode,
    heading: &'static str,
    text: String,
    /// Where to go from here: a link on this broker, and what stands on it.
    way_on: Option<(&'static str, &'static str)>,
    #[template(ignore)]
    detail: Option<String>,
}

impl Trouble {
    /// `text` is one or two whole sentences for a person.
    #[must_use]
    pub fn new(status: StatusCode, heading: &'static str, text: impl Into<String>) -> Self {
        Self { visitor: None, status, heading, text: text.into(), way_on: None, detail: None }
    }

    /// With a link that leads on.
    #[must_use]
    pub const fn with_way_on(mut self, href: &'static str, label: &'static str) -> Self {
        self.way_on = Some((href, label));
        self
    }

    /// With what the log should say of it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Nothing is at this address.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Nothing is here", "This address does not exist on this broker, or no longer.")
            .with_way_on("/", "Go to the start page")
    }

    /// Something that the broker needs, other than its database, doesn't answer.
    #[must_use]
    pub fn unavailable(error: StoreError) -> Self {
        let text = "This broker is not set up completely, or something that it needs is down. If you run it: its log says what.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, text).with_detail(error.0)
    }

    /// A form that wasn't sent from a page of ours.
    #[must_use]
    pub fn forged(config: &Config) -> Self {
        let text = format!(
            "This form was not sent from a page of this broker, or the page was open since before you signed in. Nothing was \
             changed. Open {} and try again.",
            config.issuer
        );
        Self::new(StatusCode::FORBIDDEN, "That was not accepted", text).with_way_on("/", "Go to the start page")
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let text = "The broker can not reach its database at the moment. Wait a moment, then try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, text).with_detail(error.0)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response<Body> {
        let mut response = html(self.status, &self);
        let wait_seconds = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Some(5),
            StatusCode::TOO_MANY_REQUESTS => Some(PERIOD_SECONDS),
            _ => None,
        };
        if let Some(seconds) = wait_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(detail) = self.detail {
            response.extensions_mut().insert(LogDetail(detail));
        }
        response
    }
}

/// 503, when the broker is not set up. `detail` is for the log.
#[must_use]
pub fn unavailable(detail: Option<String>) -> Response<Body> {
    let mut trouble = Trouble::unavailable(StoreError(String::new()));
    trouble.detail = detail;
    make_private(trouble.into_response())
}

/// 404: a page for people, JSON for programs, which mostly got the base URL wrong.
pub async fn not_found(request: Request) -> Response<Body> {
    if wants_html(&request) {
        return make_private(Trouble::not_found().into_response());
    }
    let message = "nothing is at this path; an SDK's base URL is /openai/v1 or /anthropic, as base_url in the token response says";
    (StatusCode::NOT_FOUND, Json(serde_json::json!({ "error": { "message": message } }))).into_response()
}

/// 405, on the route of a page.
pub async fn method_not_allowed(method: Method) -> Response<Body> {
    let text = format!("This address does not take {method} requests.");
    let heading = "That does not work here";
    Trouble::new(StatusCode::METHOD_NOT_ALLOWED, heading, text).with_way_on("/", "Go to the start page").into_response()
}

fn wants_html(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted.contains("text/html")
}
