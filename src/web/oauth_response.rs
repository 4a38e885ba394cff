//! Answers of the OAuth endpoints that programs call: JSON, never cached, readable from any origin.
//!
//! Nothing here depends on cookies, so a browser app of any origin may read it (RFC 9700 §2.6 forbids CORS at the authorization
//! endpoint alone).

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Json},
};
use serde::Serialize;

use super::{limit::PERIOD_SECONDS, ports::StoreError, state::LogDetail};
use crate::domain::oauth::{
    error::{ErrorCode, PushError, TokenError},
    params::Params,
};

/// The nonce for the next `DPoP` proof (RFC 9449 §8).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// How long clients may keep the answers, in seconds. A new signing key has to be known before it is used.
pub const CACHE: &str = "public, max-age=300";
/// Longest form at `/token`, `/revoke` and `/par`, in bytes.
const MAX_FORM_BYTES: usize = 64 * 1024;
/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_SECONDS: &str = "86400";
/// Seconds after which another try is worth it.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The body of an error (RFC 6749 §5.2).
#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error_description: String,
}

/// Why an endpoint gives no token.
#[derive(Debug)]
pub enum EndpointError {
    /// The request's fault.
    Refused(TokenError),
    /// The same, from a caller who used the `Authorization` header and is answered with a challenge for it (RFC 6749 §5.2).
    RefusedWithChallenge(TokenError),
    /// The same, with a nonce for a `DPoP` proof (RFC 9449 §8).
    NeedsNonce(TokenError, String),
    /// A request that can't be pushed (RFC 9126 §2.3).
    Push(PushError),
    /// The form is longer than [`MAX_FORM_BYTES`].
    TooLong,
    /// More requests than [`super::rate_limit`] allows.
    TooMany,
    /// The store can't answer.
    Store(StoreError),
    /// A token can't be made. The text is for the log.
    Broken(String),
}

impl From<StoreError> for EndpointError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PushError> for EndpointError {
    fn from(error: PushError) -> Self {
        Self::Push(error)
    }
}

impl From<TokenError> for EndpointError {
    fn from(error: TokenError) -> Self {
        Self::Refused(error)
    }
}

impl IntoResponse for EndpointError {
    fn into_response(self) -> Response<Body> {
        match self {
            Self::Refused(error) => refusal(&error, false),
            Self::RefusedWithChallenge(error) => refusal(&error, true),
            Self::NeedsNonce(error, nonce) => {
                let mut response = refusal(&error, false);
                if let Ok(nonce) = HeaderValue::from_str(&nonce) {
                    response.headers_mut().insert(DPOP_NONCE, nonce);
                }
                response
            }
            Self::Push(error) => not_pushed(&error),
            Self::TooLong => error_response(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::InvalidRequest,
                "the form is too long".to_owned(),
            ),
            Self::TooMany => too_many(),
            Self::Store(StoreError(detail)) | Self::Broken(detail) => unavailable(Some(detail)),
        }
    }
}

fn refusal(error: &TokenError, used_header: bool) -> Response<Body> {
    let code = error.code();
    let status = if code == ErrorCode::InvalidClient { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let mut response = error_response(status, code, error.description());
    if status == StatusCode::UNAUTHORIZED && used_header {
        let challenge = HeaderValue::from_static("Basic realm=\"aipassport\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    // Reasons that share one text outside are told apart in the log.
    response.extensions_mut().insert(LogDetail(format!("{error:?}")));
    response
}

/// RFC 9126 §2.3.
fn not_pushed(error: &PushError) -> Response<Body> {
    let mut response = error_response(StatusCode::BAD_REQUEST, error.code(), error.description());
    response.extensions_mut().insert(LogDetail(format!("{error:?}")));
    response
}

/// An error as RFC 6749 §5.2 and RFC 7591 §3.2.2 want it.
pub fn error_response(status: StatusCode, code: ErrorCode, error_description: String) -> Response<Body> {
    let mut response = (status, Json(ErrorBody { error: code.as_str(), error_description })).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 429 (RFC 6585 §4). No OAuth code says "too many"; this one says to come back, and its text how.
fn too_many() -> Response<Body> {
    let description = "too many requests; try again after the seconds in retry-after".to_owned();
    let mut response = error_response(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TemporarilyUnavailable, description);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(PERIOD_SECONDS));
    response
}

/// 503. `detail` is for the log.
#[must_use]
pub fn unavailable(detail: Option<String>) -> Response<Body> {
    let description = "the broker can not answer at the moment; try again".to_owned();
    let mut response = error_response(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TemporarilyUnavailable, description);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Some(detail) = detail {
        response.extensions_mut().insert(LogDetail(detail));
    }
    response
}

/// A good answer that must not be kept (RFC 6749 §5.1).
#[must_use]
pub fn no_store(body: &impl Serialize) -> Response<Body> {
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], Json(body)).into_response()
}

/// The form of a request to `/token`, `/revoke` or `/par`.
///
/// # Errors
/// It isn't one, or is too long.
pub async fn form(request: Request) -> Result<(HeaderMap, Params), EndpointError> {
    let (parts, body) = request.into_parts();
    if !is_form(&parts.headers) {
        return Err(TokenError::NotAForm.into());
    }
    let body = axum::body::to_bytes(body, MAX_FORM_BYTES).await.map_err(|_| EndpointError::TooLong)?;
    Ok((parts.headers, Params::parse(&body)))
}

/// Whether the content type is that of an HTML form.
#[must_use]
pub fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Answers a browser that asks whether its app may call (the Fetch standard's CORS preflight).
pub async fn preflight() -> impl IntoResponse {
    (
        StatusCode::NO_CONTENT,
        [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, dpop"),
            (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
        ],
    )
}

/// Adds the header that lets an app of any origin read the answer, errors included.
pub async fn readable_from_any_origin(request: Request, next: Next) -> Response<Body> {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("dpop-nonce, retry-after, www-authenticate"),
    );
    response
}
