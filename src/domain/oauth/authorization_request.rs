//! `GET /authorize`: RFC 6749 §4.1.1, RFC 7636, RFC 9396 §2.
//!
//! The steps are types, so that an error can't redirect before it may: [`AuthorizationQuery`] is what a stranger sent and its errors
//! are [`LocalError`]s, shown as a page; only [`AuthorizationQuery::prove`] makes a [`ProvenRedirect`], and only that one makes errors
//! that travel to the app.

use super::{
    client::Client,
    error::{LocalError, RedirectReason},
    params::Params,
    pkce::CodeChallenge,
    redirect_uri::with_parameters,
};
use crate::domain::{
    authorization_details::Requested,
    id::{ClientId, GrantId},
    secret::{SecretHash, Session},
    time::Timestamp,
};

/// Longest query of `/authorize`, in bytes: room for the largest `authorization_details`, percent-encoded.
pub const MAX_QUERY_BYTES: usize = 48 * 1024;
/// Longest `state`, in bytes.
pub const MAX_STATE_BYTES: usize = 4 * 1024;
/// How long a consent page can be answered.
pub const CONSENT_TTL_SECONDS: u64 = 600;

/// A row of `authorization_requests`: what a consent page shows and the app is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRequest {
    /// Only this session may answer it.
    pub session: SecretHash<Session>,
    /// Who asks.
    pub client_id: ClientId,
    /// Where the answer goes; proven to be the client's.
    pub redirect_uri: String,
    /// Given back as it came.
    pub state: Option<String>,
    /// What the code will be bound to.
    pub code_challenge: CodeChallenge,
    /// What the app asks for.
    pub requested: Requested,
    /// From this moment on it can't be answered.
    pub expires_at: Timestamp,
    /// How it was answered, if it was.
    pub decision: Option<Decision>,
}

/// How an authorization request was answered: columns `decided_at` and `grant_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// With a grant.
    Allowed(GrantId),
    /// With no.
    Denied,
}

impl PendingRequest {
    /// The address of the app with the code in it (RFC 6749 §4.1.2, RFC 9207).
    #[must_use]
    pub fn success_location(&self, code: &str, issuer: &str) -> String {
        location(&self.redirect_uri, self.state.as_deref(), issuer, &[("code", code)])
    }

    /// The address of the app with the user's "no" in it.
    #[must_use]
    pub fn denied_location(&self, issuer: &str) -> String {
        let reason = RedirectReason::Denied;
        let description = reason.description();
        let parameters = [("error", reason.code().as_str()), ("error_description", description.as_str())];
        location(&self.redirect_uri, self.state.as_deref(), issuer, &parameters)
    }
}

/// The query as it came; nothing in it is proven.
#[derive(Debug)]
pub struct AuthorizationQuery {
    params: Params,
    /// Who claims to ask.
    pub client_id: ClientId,
    redirect_uri: String,
}

/// A client and a redirect URI that belong together; from here on errors may redirect.
#[derive(Debug)]
pub struct ProvenRedirect {
    params: Params,
    client_id: ClientId,
    redirect_uri: String,
}

/// A valid request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: ClientId,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// Given back as it came.
    pub state: Option<String>,
    /// What the code will be bound to.
    pub code_challenge: CodeChallenge,
    /// What the app asks for.
    pub requested: Requested,
}

/// An error that goes to the app, because its address is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectError {
    redirect_uri: String,
    state: Option<String>,
    /// Why.
    pub reason: RedirectReason,
}

impl RedirectError {
    /// Where the browser is sent (RFC 6749 §4.1.2.1, RFC 9207).
    #[must_use]
    pub fn location(&self, issuer: &str) -> String {
        let description = self.reason.description();
        let parameters = [("error", self.reason.code().as_str()), ("error_description", description.as_str())];
        location(&self.redirect_uri, self.state.as_deref(), issuer, &parameters)
    }
}

fn location(redirect_uri: &str, state: Option<&str>, issuer: &str, parameters: &[(&str, &str)]) -> String {
    let mut all = parameters.to_vec();
    if let Some(state) = state {
        all.push(("state", state));
    }
    all.push(("iss", issuer));
    with_parameters(redirect_uri, &all)
}

impl AuthorizationQuery {
    /// Reads the query string.
    ///
    /// # Errors
    /// [`LocalError`]: there is nobody proven to send the browser to.
    pub fn parse(query: &str) -> Result<Self, LocalError> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(LocalError::QueryTooLong);
        }
        let params = Params::parse(query.as_bytes());
        let client_id = params.get("client_id").map_err(|repeated| LocalError::Repeated(repeated.0))?;
        let client_id = client_id.ok_or(LocalError::MissingClientId)?.parse().map_err(|_| LocalError::UnknownClient)?;
        let redirect_uri = params.get("redirect_uri").map_err(|repeated| LocalError::Repeated(repeated.0))?;
        let redirect_uri = redirect_uri.ok_or(LocalError::MissingRedirectUri)?.to_owned();
        Ok(Self { params, client_id, redirect_uri })
    }

    /// Holds the query against the client that it names.
    ///
    /// # Errors
    /// [`LocalError`]: the client is unknown, or the redirect URI isn't one of its own.
    pub fn prove(self, client: Option<&Client>) -> Result<ProvenRedirect, LocalError> {
        let client = client.filter(|client| client.id == self.client_id).ok_or(LocalError::UnknownClient)?;
        if !client.may_redirect_to(&self.redirect_uri) {
            return Err(LocalError::UnregisteredRedirectUri);
        }
        Ok(ProvenRedirect { params: self.params, client_id: self.client_id, redirect_uri: self.redirect_uri })
    }
}

impl ProvenRedirect {
    /// Checks the rest.
    ///
    /// # Errors
    /// [`RedirectError`], which knows where it goes.
    pub fn request(self) -> Result<AuthorizationRequest, RedirectError> {
        match self.check() {
            Ok((state, code_challenge, requested)) => Ok(AuthorizationRequest {
                client_id: self.client_id,
                redirect_uri: self.redirect_uri,
                state,
                code_challenge,
                requested,
            }),
            Err(reason) => {
                // A state that is repeated or too long isn't given back.
                let state = self.state().unwrap_or_default();
                Err(RedirectError { redirect_uri: self.redirect_uri, state, reason })
            }
        }
    }

    fn state(&self) -> Result<Option<String>, RedirectReason> {
        match self.get("state")? {
            Some(state) if state.len() > MAX_STATE_BYTES => Err(RedirectReason::StateTooLong),
            state => Ok(state.map(str::to_owned)),
        }
    }

    fn get(&self, name: &'static str) -> Result<Option<&str>, RedirectReason> {
        self.params.get(name).map_err(|repeated| RedirectReason::Repeated(repeated.0))
    }

    fn check(&self) -> Result<(Option<String>, CodeChallenge, Requested), RedirectReason> {
        let state = self.state()?;
        match self.get("response_type")? {
            None => return Err(RedirectReason::MissingResponseType),
            Some("code") => {}
            Some(_) => return Err(RedirectReason::UnsupportedResponseType),
        }
        if self.get("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(RedirectReason::UnsupportedResponseMode);
        }
        let challenge = self.get("code_challenge")?.ok_or(RedirectReason::MissingChallenge)?.to_owned();
        // An absent method means `plain` (RFC 7636 §4.3).
        if self.get("code_challenge_method")? != Some("S256") {
            return Err(RedirectReason::ChallengeMethod);
        }
        let challenge = CodeChallenge::try_from(challenge).map_err(|_| RedirectReason::MalformedChallenge)?;
        let requested = match (self.get("authorization_details")?, self.get("scope")?) {
            (Some(_), Some(_)) => return Err(RedirectReason::DetailsAndScope),
            (Some(details), None) => Requested::from_authorization_details(details).map_err(RedirectReason::Details)?,
            (None, scope) => Requested::from_scope(scope.unwrap_or("")).map_err(RedirectReason::Scope)?,
        };
        Ok((state, challenge, requested))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::oauth::client::ClientAuth;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const ISSUER: &str = "https://broker.example";

    fn client() -> Client {
        Client {
            id: "app".parse().unwrap(),
            name: "App".into(),
            home_page: "https://app.example/".into(),
            redirect_uris: vec!["https://app.example/cb".parse().unwrap()],
            auth: ClientAuth::Public,
            owner: None,
            created_at: Timestamp::from_seconds(0),
        }
    }

    fn query(change: &[(&str, Option<&str>)]) -> String {
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", "https://app.example/cb"),
            ("state", "s t"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("scope", "openai:chat"),
        ];
        for (name, value) in change {
            pairs.retain(|(existing, _)| existing != name);
            if let Some(value) = value {
                pairs.push((name, value));
            }
        }
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    fn local(query: &str) -> LocalError {
        AuthorizationQuery::parse(query).and_then(|query| query.prove(Some(&client()))).unwrap_err()
    }

    fn outcome(query: &str) -> Result<AuthorizationRequest, RedirectError> {
        AuthorizationQuery::parse(query).unwrap().prove(Some(&client())).unwrap().request()
    }

    #[test]
    fn a_valid_request_is_read() {
        let request = outcome(&query(&[])).unwrap();
        assert_eq!(request.state.as_deref(), Some("s t"));
        assert_eq!(request.requested.permissions.len(), 1);
    }

    #[test]
    fn errors_before_client_and_redirect_are_proven_never_redirect() {
        assert_eq!(local(&query(&[("client_id", None)])), LocalError::MissingClientId);
        assert_eq!(local(&query(&[("client_id", Some("other"))])), LocalError::UnknownClient);
        assert_eq!(local(&query(&[("redirect_uri", None)])), LocalError::MissingRedirectUri);
        assert_eq!(
            local(&query(&[("redirect_uri", Some("https://evil.example/cb"))])),
            LocalError::UnregisteredRedirectUri
        );
        assert_eq!(local(&format!("{}&client_id=app", query(&[]))), LocalError::Repeated("client_id"));
        assert_eq!(local(&format!("{}&redirect_uri=x", query(&[]))), LocalError::Repeated("redirect_uri"));
    }

    #[test]
    fn plain_and_missing_pkce_are_refused() {
        for (change, reason) in [
            (vec![("code_challenge", None)], RedirectReason::MissingChallenge),
            (vec![("code_challenge_method", None)], RedirectReason::ChallengeMethod),
            (vec![("code_challenge_method", Some("plain"))], RedirectReason::ChallengeMethod),
            (vec![("code_challenge", Some("short"))], RedirectReason::MalformedChallenge),
        ] {
            assert_eq!(outcome(&query(&change)).unwrap_err().reason, reason);
        }
    }

    #[test]
    fn a_repeated_parameter_is_refused() {
        let error = outcome(&format!("{}&scope=anthropic%3Achat", query(&[]))).unwrap_err();
        assert_eq!(error.reason, RedirectReason::Repeated("scope"));
    }

    #[test]
    fn an_error_travels_with_state_and_issuer() {
        let error = outcome(&query(&[("response_type", Some("token"))])).unwrap_err();
        let location = url::Url::parse(&error.location(ISSUER)).unwrap();
        let pairs: Vec<_> = location.query_pairs().into_owned().collect();
        assert!(pairs.contains(&("error".into(), "unsupported_response_type".into())));
        assert!(pairs.contains(&("state".into(), "s t".into())));
        assert!(pairs.contains(&("iss".into(), ISSUER.into())));
    }

    #[test]
    fn a_repeated_state_is_not_given_back() {
        let error = outcome(&format!("{}&state=other", query(&[]))).unwrap_err();
        assert_eq!((error.reason, error.state), (RedirectReason::Repeated("state"), None));
    }

    #[test]
    fn details_and_scope_together_are_refused() {
        let error = outcome(&query(&[("authorization_details", Some("[]"))])).unwrap_err();
        assert_eq!(error.reason, RedirectReason::DetailsAndScope);
    }

    proptest! {
        #[test]
        fn no_query_makes_the_parser_panic(query in ".{0,300}") {
            if let Ok(query) = AuthorizationQuery::parse(&query)
                && let Ok(proven) = query.prove(Some(&client()))
            {
                let _ = proven.request();
            }
        }
    }
}
