//! Who is at the browser: the session cookie, and the proof that a form is ours.
//!
//! A session is 256 random bits in a `__Host-` cookie, stored as its hash. It ends twelve hours after its last use. Every form
//! carries a token derived from the session, and its `Origin` must be the broker's own: either check alone would do.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts},
    middleware::Next,
    response::IntoResponse,
};

use super::{
    frame::Frame,
    headers::cookie,
    oauth_response::is_form,
    ports::{Ports, Write},
    sign_in_prompt::{Why, ask},
    state::{AppState, Config, config_of},
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    oauth::{csrf, params::Params},
    secret::{Secret, Session},
    time::Timestamp,
};

/// The session.
pub const SESSION_COOKIE: &str = "__Host-aip-session";
/// Life of a session after its last use.
pub const SESSION_SECONDS: u64 = 12 * 3600;
/// Life of a session however much it is used.
const MAX_SESSION_SECONDS: u64 = 30 * 24 * 3600;
/// Longest form. One of a consent page with every box that can be asked for stays below.
const MAX_FORM_BYTES: usize = 512 * 1024;
/// A use moves the end only when it is at least this much closer: one write an hour, not one a page.
const EXTEND_AFTER_SECONDS: u64 = 3600;

/// A `Set-Cookie` line; `max_age_seconds` of 0 takes the cookie away.
#[must_use]
pub fn set_cookie(name: &str, value: &str, max_age_seconds: u64) -> Option<HeaderValue> {
    let line = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={max_age_seconds}");
    HeaderValue::from_str(&line).ok()
}

/// Finds out who is there, keeps their session alive, and hands the [`Visitor`] to the handlers as an extension.
pub async fn load<P: Ports>(state: AppState<P>, mut request: Request, next: Next) -> Response<Body> {
    let presented = cookie(request.headers(), SESSION_COOKIE);
    let Some(secret) = presented.and_then(|text| Secret::<Session>::parse(text).ok()) else {
        return next.run(request).await;
    };
    let found = match find(&state, &secret).await {
        Ok(found) => found,
        Err(trouble) => return trouble.into_response(),
    };
    let renewed = found.as_ref().is_some_and(|(_, renewed)| *renewed);
    if let Some((visitor, _)) = found {
        request.extensions_mut().insert(visitor);
    }
    let mut response = next.run(request).await;
    // Unless the handler had its own word about the cookie, such as signing out.
    if renewed
        && !response.headers().contains_key(header::SET_COOKIE)
        && let Some(line) = set_cookie(SESSION_COOKIE, secret.expose_secret(), SESSION_SECONDS)
    {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

async fn find<P: Ports>(state: &AppState<P>, secret: &Secret<Session>) -> Result<Option<(Visitor, bool)>, Trouble> {
    let session = secret.hash();
    let Some(signed_in) = state.ports.find_session(&session, state.now).await? else { return Ok(None) };
    let until = state.now.plus_seconds(SESSION_SECONDS).min(signed_in.since.plus_seconds(MAX_SESSION_SECONDS));
    let due = signed_in.expires_at.plus_seconds(EXTEND_AFTER_SECONDS) <= until;
    let renewed = due && state.ports.extend_session(&session, until, state.now).await? == Write::Won;
    let csrf = csrf::csrf_token(&state.config.cookie_key, &session);
    let visitor = Visitor {
        session,
        user: signed_in.user,
        since: signed_in.since,
        confirmed_at: signed_in.confirmed_at,
        has_passkey: signed_in.has_passkey,
        csrf,
    };
    Ok(Some((visitor, renewed)))
}

/// Somebody signed in. Anybody else gets the page that says how to sign in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub visitor: Visitor,
    /// The frame of their page.
    pub frame: Frame,
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Response<Body>;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let config = config_of(&parts.extensions).map_err(IntoResponse::into_response)?;
        let frame = Frame::of(parts);
        match frame.visitor.clone() {
            Some(visitor) => Ok(Self { visitor, frame }),
            None => Err(ask(&config, &frame, StatusCode::OK, Why::PageNeedsIt)),
        }
    }
}

/// A form that a page of ours showed to this very session.
#[derive(Debug)]
pub struct OwnForm {
    /// Who sent it.
    pub visitor: Visitor,
    /// Its fields.
    pub params: Params,
    /// The frame of the page that answers it.
    pub frame: Frame,
}

impl<S: Sync> FromRequest<S> for OwnForm {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let config = config_of(&parts.extensions).map_err(IntoResponse::into_response)?;
        let frame = Frame::of(&parts);
        let request = Request::from_parts(parts, body);
        let params = form_of_own_origin(request, &config).await.map_err(IntoResponse::into_response)?;
        let Some(visitor) = frame.visitor.clone() else {
            return Err(ask(&config, &frame, StatusCode::UNAUTHORIZED, Why::SessionEnded));
        };
        if !csrf::is_csrf_token(&config.cookie_key, &visitor.session, params.field("csrf")) {
            return Err(Trouble::forged(&config).with_detail("csrf token").into_response());
        }
        Ok(Self { visitor, params, frame })
    }
}

/// The fields of a form whose `Origin` is the broker's own. For the one form that is sent before there is a session.
///
/// # Errors
/// Another origin, or something that is no form.
pub async fn form_of_own_origin(request: Request, config: &Config) -> Result<Params, Trouble> {
    let (parts, body) = request.into_parts();
    if !is_own_origin(&parts.headers, &config.issuer) {
        return Err(Trouble::forged(config).with_detail("origin"));
    }
    if !is_form(&parts.headers) {
        return Err(Trouble::new(
            StatusCode::BAD_REQUEST,
            "That can not be read",
            "This address takes a form, and nothing else.",
        ));
    }
    let body = axum::body::to_bytes(body, MAX_FORM_BYTES).await.map_err(|_| {
        Trouble::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "That is too long",
            "The form is longer than any that this broker shows.",
        )
    })?;
    Ok(Params::parse(&body))
}

/// Browsers send `Origin` with every POST; where one is too old for that, `Sec-Fetch-Site` must vouch for it.
fn is_own_origin(headers: &HeaderMap, issuer: &str) -> bool {
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    match value("origin") {
        Some(origin) => origin == issuer.as_bytes(),
        None => value("sec-fetch-site") == Some(b"same-origin"),
    }
}

/// What a new session is stored with.
#[must_use]
pub const fn first_end(now: Timestamp) -> Timestamp {
    now.plus_seconds(SESSION_SECONDS)
}

/// Adds a cookie to an answer.
#[must_use]
pub fn with_cookie(mut response: Response<Body>, cookie: Option<HeaderValue>) -> Response<Body> {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_own_origin_is_the_whole_origin() {
        let issuer = "https://broker.example";
        assert!(is_own_origin(&headers(&[("origin", "https://broker.example")]), issuer));
        for origin in
            ["https://broker.example.evil.example", "http://broker.example", "https://broker.example:8443", "null", ""]
        {
            let sent = headers(&[("origin", origin), ("sec-fetch-site", "same-origin")]);
            assert!(!is_own_origin(&sent, issuer), "{origin}");
        }
    }

    #[test]
    fn without_an_origin_only_the_browser_itself_can_vouch() {
        assert!(is_own_origin(&headers(&[("sec-fetch-site", "same-origin")]), "https://broker.example"));
        for site in ["same-site", "cross-site", "none"] {
            assert!(!is_own_origin(&headers(&[("sec-fetch-site", site)]), "https://broker.example"), "{site}");
        }
        assert!(!is_own_origin(&HeaderMap::new(), "https://broker.example"));
    }
}
