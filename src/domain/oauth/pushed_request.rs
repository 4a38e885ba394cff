//! Pushed authorization requests, [RFC 9126](https://www.rfc-editor.org/rfc/rfc9126): an app hands its request to `/par` itself, and the
//! browser carries its name alone.
//!
//! A pushed request is used by the first signed-in session that opens it, once, in one conditional write. A person who has to sign in
//! first gets the time for that, once.

use super::{
    authorization_request::{AuthorizationQuery, AuthorizationRequest, Way},
    client::Client,
    error::{LocalError, PushError},
    params::Params,
};
use crate::domain::{
    id::ClientId,
    secret::{PushedRequest, Secret},
    time::Timestamp,
};

/// What a `request_uri` begins with (RFC 9126 §2.2).
pub const URN_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// Life of a pushed request: the app sends the browser on at once (RFC 9126 §2.2: five to 600 seconds).
pub const TTL_SECONDS: u64 = 90;
/// Its life from the moment on at which somebody came with it who has to sign in: as long as a sign-in link.
pub const SIGN_IN_SECONDS: u64 = 600;
/// How many of one client wait to be used; one more takes the place of another.
pub const MAX_WAITING_OF_CLIENT: u32 = 1_000;
/// How many wait in all; one more takes the place of another.
pub const MAX_WAITING: u32 = 10_000;

/// A row of `pushed_requests`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRow {
    /// What is asked.
    pub request: AuthorizationRequest,
    /// From this moment on it can't be used.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

impl PushedRow {
    /// Whether `client` may still use it. The write that uses it up asks again.
    #[must_use]
    pub fn is_open_to(&self, client: &ClientId, now: Timestamp) -> bool {
        self.request.client_id == *client && self.used_at.is_none() && now < self.expires_at
    }
}

/// `GET /authorize` with `client_id` and `request_uri` (RFC 9126 §4). Whatever else is in the query counts for nothing (RFC 9101 §6.3).
#[derive(Debug)]
pub struct PushedReference {
    /// Who claims to ask.
    pub client_id: ClientId,
    /// What was given out for the request.
    pub handle: Secret<PushedRequest>,
}

impl PushedReference {
    /// `None`: there is no `request_uri`, the query itself is the request.
    ///
    /// # Errors
    /// [`LocalError`]: it names no request and no client.
    pub fn find(params: &Params) -> Result<Option<Self>, LocalError> {
        let get = |name| params.get(name).map_err(|repeated| LocalError::Repeated(repeated.0));
        let Some(uri) = get("request_uri")? else { return Ok(None) };
        let client_id = get("client_id")?.ok_or(LocalError::MissingClientId)?;
        let client_id = client_id.parse().map_err(|_| LocalError::UnknownClient)?;
        let handle = uri.strip_prefix(URN_PREFIX).and_then(|text| Secret::parse(text).ok());
        Ok(Some(Self { client_id, handle: handle.ok_or(LocalError::ForeignRequestUri)? }))
    }
}

/// Reads what an authenticated client pushes (RFC 9126 §2.1): the parameters of `/authorize`.
///
/// # Errors
/// [`PushError`].
pub fn read(params: Params, client: &Client, issuer: &str) -> Result<AuthorizationRequest, PushError> {
    let proven = AuthorizationQuery::read(params, Way::Pushed)?.prove(Some(client))?;
    Ok(proven.request(issuer).map_err(|error| error.reason)?)
}

/// `request_uri` of the answer.
#[must_use]
pub fn request_uri(handle: &Secret<PushedRequest>) -> String {
    format!("{URN_PREFIX}{}", handle.expose_secret())
}

#[cfg(test)]
pub(in crate::domain) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::oauth::{client::ClientAuth, error::RedirectReason};

    const GOOD: &str = "response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=openai%3Achat\
                        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn pushed(form: &str) -> Result<AuthorizationRequest, PushError> {
        read(Params::parse(form.as_bytes()), &Client::example(ClientAuth::Public), "https://broker.example")
    }

    /// A valid request of the example client.
    pub(in crate::domain) fn request() -> AuthorizationRequest {
        pushed(GOOD).unwrap()
    }

    fn found(query: &str) -> Result<Option<PushedReference>, LocalError> {
        PushedReference::find(&Params::parse(query.as_bytes()))
    }

    fn row() -> PushedRow {
        PushedRow { request: request(), expires_at: Timestamp::from_seconds(90), used_at: None }
    }

    #[test]
    fn rfc_9126_2_2_what_is_given_out_is_found_again() {
        let handle = Secret::from_entropy(&[7; 32]);
        let query = format!("client_id=app&request_uri={}", request_uri(&handle));
        assert_eq!(found(&query).unwrap().unwrap().handle.hash(), handle.hash());
    }

    #[test]
    fn rfc_9126_4_another_request_uri_is_shown_here() {
        for uri in
            ["https://app.example/request", "urn:ietf:params:oauth:request_uri:x", "urn:ietf:params:oauth:request_uri:"]
        {
            assert_eq!(found(&format!("client_id=app&request_uri={uri}")).unwrap_err(), LocalError::ForeignRequestUri);
        }
        assert_eq!(found("request_uri=x").unwrap_err(), LocalError::MissingClientId);
        assert_eq!(
            found("client_id=app&request_uri=x&request_uri=x").unwrap_err(),
            LocalError::Repeated("request_uri")
        );
        assert!(found("client_id=app").unwrap().is_none());
    }

    #[test]
    fn rfc_9126_2_3_every_error_is_the_apps_own() {
        let code = |form: &str| pushed(form).unwrap_err().code().as_str();
        assert_eq!(code(&GOOD.replace("app.example", "evil.example")), "invalid_request");
        assert_eq!(
            code(&GOOD.replace("scope=openai%3Achat", "authorization_details=%5B%5D")),
            "invalid_authorization_details"
        );
        assert_eq!(code(&GOOD.replace("scope=openai%3Achat", "scope=x")), "invalid_scope");
        assert_eq!(code(&format!("{GOOD}&resource=https%3A%2F%2Fevil.example")), "invalid_target");
        assert_eq!(pushed(&format!("{GOOD}&request_uri=urn%3Ax")), Err(RedirectReason::RequestUri.into()));
    }

    #[test]
    fn a_pushed_request_is_open_to_its_own_client_until_its_end_and_until_it_is_used() {
        let (app, other) = ("app".parse().unwrap(), "other".parse().unwrap());
        assert!(row().is_open_to(&app, Timestamp::from_seconds(89)));
        assert!(!row().is_open_to(&app, Timestamp::from_seconds(90)));
        assert!(!row().is_open_to(&other, Timestamp::from_seconds(0)));
        let used = PushedRow { used_at: Some(Timestamp::from_seconds(1)), ..row() };
        assert!(!used.is_open_to(&app, Timestamp::from_seconds(2)));
    }

    #[test]
    fn a_request_is_stored_and_read_as_it_was() {
        let stored = serde_json::to_string(&request()).unwrap();
        assert_eq!(serde_json::from_str::<AuthorizationRequest>(&stored).unwrap(), request());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = found(&text);
            let _ = found(&format!("client_id=app&request_uri={URN_PREFIX}{text}"));
            let _ = pushed(&text);
        }
    }
}
