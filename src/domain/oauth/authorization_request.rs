//! `GET /authorize` and `POST /par`: RFC 6749 §4.1.1, RFC 7636, RFC 9126 §2.1, RFC 9396 §2.
//!
//! The steps are types, so that an error can't redirect before it may: [`AuthorizationQuery`] is what a stranger sent and its errors
//! are [`LocalError`]s, shown as a page; only [`AuthorizationQuery::prove`] makes a [`ProvenRedirect`], and only that one makes errors
//! that travel to the app.

use serde::{Deserialize, Serialize};

use super::{
    answer::{Answer, ResponseMode, answer, error_parameters},
    client::{Client, GrantType},
    error::{LocalError, RedirectReason},
    params::Params,
    pkce::CodeChallenge,
    prompt::Prompt,
    redirect_uri::Destination,
    resource::Resources,
};
use crate::domain::{authorization_details::Requested, id::ClientId, jose::JwkThumbprint};

/// Longest query of `/authorize`, in bytes: room for the largest `authorization_details`, percent-encoded.
pub const MAX_QUERY_BYTES: usize = 48 * 1024;
/// Longest `state`, in bytes.
pub const MAX_STATE_BYTES: usize = 4 * 1024;

/// Longest `login_hint`, in bytes.
pub const MAX_LOGIN_HINT_BYTES: usize = 256;

/// A valid request of an app that has a redirect URI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: ClientId,
    /// Where the answer goes; proven to be the client's.
    pub redirect_uri: String,
    /// Given back as it came.
    pub state: Option<String>,
    /// How the answer goes there.
    pub response_mode: ResponseMode,
    /// What the code will be bound to.
    pub code_challenge: CodeChallenge,
    /// The key that the code will be bound to (RFC 9449 §10).
    pub dpop_jkt: Option<JwkThumbprint>,
    /// What the app asks for, as far as whoever is asked may grant it.
    pub requested: Requested,
    /// What it asks for, where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_asked: Option<Requested>,
    /// Which part of the broker the tokens are for (RFC 8707).
    pub resources: Resources,
    /// Whether the person has to be asked.
    pub prompt: Prompt,
    /// How long ago the person may have signed in, in seconds.
    pub max_age: Option<u64>,
    /// Whether it was pushed (RFC 9126): then no link asks it again.
    #[serde(default)]
    pub is_pushed: bool,
}

impl AuthorizationRequest {
    /// The code (RFC 6749 §4.1.2, RFC 9207).
    #[must_use]
    pub fn success(&self, code: &str, issuer: &str) -> Answer {
        answer(&self.redirect_uri, self.response_mode, self.state.as_deref(), issuer, vec![("code", code.to_owned())])
    }

    /// An error (RFC 6749 §4.1.2.1, RFC 9207).
    #[must_use]
    pub fn failure(&self, reason: &RedirectReason, issuer: &str) -> Answer {
        answer(&self.redirect_uri, self.response_mode, self.state.as_deref(), issuer, error_parameters(reason))
    }
}

/// How a request came to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In the query of `/authorize`, through the person's browser.
    Browser,
    /// In a form to `/par`, from the app itself (RFC 9126).
    Pushed,
}

/// The parameters as they came; nothing in them is proven.
#[derive(Debug)]
pub struct AuthorizationQuery {
    params: Params,
    way: Way,
    /// Who claims to ask.
    pub client_id: ClientId,
    redirect_uri: String,
}

/// A client and a redirect URI that belong together; from here on errors may redirect.
#[derive(Debug)]
pub struct ProvenRedirect {
    params: Params,
    way: Way,
    client_id: ClientId,
    redirect_uri: String,
    /// Why this client may not ask in this way.
    barred: Option<RedirectReason>,
}

/// An error that goes to the app, because its address is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectError {
    redirect_uri: String,
    response_mode: ResponseMode,
    state: Option<String>,
    /// Whether the person must not be asked anything (`prompt=none`), and so is sent on without having signed in.
    pub is_silent: bool,
    /// Why.
    pub reason: RedirectReason,
}

impl RedirectError {
    /// What the app is told (RFC 6749 §4.1.2.1, RFC 9207).
    #[must_use]
    pub fn answer(&self, issuer: &str) -> Answer {
        answer(&self.redirect_uri, self.response_mode, self.state.as_deref(), issuer, error_parameters(&self.reason))
    }
}

/// The parameters of `/authorize`.
///
/// # Errors
/// [`LocalError::QueryTooLong`].
pub fn read_query(query: &str) -> Result<Params, LocalError> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(LocalError::QueryTooLong);
    }
    Ok(Params::parse(query.as_bytes()))
}

impl AuthorizationQuery {
    /// Reads the parameters, of a query or of a form to `/par` (RFC 9126 §2.1).
    ///
    /// # Errors
    /// [`LocalError`]: there is nobody proven to send the browser to.
    pub fn read(params: Params, way: Way) -> Result<Self, LocalError> {
        let client_id = params.get("client_id").map_err(|repeated| LocalError::Repeated(repeated.0))?;
        let client_id = client_id.ok_or(LocalError::MissingClientId)?.parse().map_err(|_| LocalError::UnknownClient)?;
        let redirect_uri = params.get("redirect_uri").map_err(|repeated| LocalError::Repeated(repeated.0))?;
        let redirect_uri = redirect_uri.ok_or(LocalError::MissingRedirectUri)?.to_owned();
        Ok(Self { params, way, client_id, redirect_uri })
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
        let barred = if !client.may_use(GrantType::AuthorizationCode) {
            Some(RedirectReason::NotForCodes)
        } else if client.requires_par && self.way == Way::Browser {
            Some(RedirectReason::MustBePushed)
        } else {
            None
        };
        let Self { params, way, client_id, redirect_uri } = self;
        Ok(ProvenRedirect { params, way, client_id, redirect_uri, barred })
    }
}

/// What [`ProvenRedirect::request`] reads beside the client and its redirect URI.
struct Rest {
    state: Option<String>,
    response_mode: ResponseMode,
    code_challenge: CodeChallenge,
    dpop_jkt: Option<JwkThumbprint>,
    requested: Requested,
    resources: Resources,
    prompt: Prompt,
    max_age: Option<u64>,
}

impl ProvenRedirect {
    /// Checks the rest.
    ///
    /// # Errors
    /// [`RedirectError`], which knows where it goes.
    pub fn request(self, issuer: &str) -> Result<AuthorizationRequest, RedirectError> {
        match self.check(issuer) {
            Ok(rest) => Ok(AuthorizationRequest {
                client_id: self.client_id,
                redirect_uri: self.redirect_uri,
                state: rest.state,
                response_mode: rest.response_mode,
                code_challenge: rest.code_challenge,
                dpop_jkt: rest.dpop_jkt,
                requested: rest.requested,
                as_asked: None,
                resources: rest.resources,
                prompt: rest.prompt,
                max_age: rest.max_age,
                is_pushed: self.way == Way::Pushed,
            }),
            Err(reason) => {
                // A state that is repeated or too long isn't given back.
                let state = self.state().unwrap_or_default();
                let response_mode = self.response_mode().unwrap_or_default();
                let is_silent = matches!(self.get("prompt"), Ok(Some("none")));
                Err(RedirectError { redirect_uri: self.redirect_uri, response_mode, state, is_silent, reason })
            }
        }
    }

    fn state(&self) -> Result<Option<String>, RedirectReason> {
        match self.get("state")? {
            Some(state) if state.len() > MAX_STATE_BYTES => Err(RedirectReason::StateTooLong),
            // HTML parsers and form encoders change line breaks and NUL: it would not come back as it was.
            Some(state) if self.get("response_mode")? == Some("form_post") && state.contains(char::is_control) => {
                Err(RedirectReason::StateNotForForms)
            }
            state => Ok(state.map(str::to_owned)),
        }
    }

    fn response_mode(&self) -> Result<ResponseMode, RedirectReason> {
        let Some(asked) = self.get("response_mode")? else { return Ok(ResponseMode::default()) };
        let known = ResponseMode::ALL.into_iter().find(|(name, _)| *name == asked);
        let (_, mode) = known.ok_or(RedirectReason::UnsupportedResponseMode)?;
        let is_installed_app = matches!(Destination::of(&self.redirect_uri), Some(Destination::InstalledApp(_)) | None);
        if mode == ResponseMode::FormPost && is_installed_app {
            return Err(RedirectReason::NowhereToPost);
        }
        Ok(mode)
    }

    fn get(&self, name: &'static str) -> Result<Option<&str>, RedirectReason> {
        self.params.get(name).map_err(|repeated| RedirectReason::Repeated(repeated.0))
    }

    fn check(&self, issuer: &str) -> Result<Rest, RedirectReason> {
        let state = self.state()?;
        let response_mode = self.response_mode()?;
        if let Some(reason) = &self.barred {
            return Err(reason.clone());
        }
        if self.get("request")?.is_some() {
            return Err(RedirectReason::RequestObject);
        }
        if self.get("request_uri")?.is_some() {
            return Err(RedirectReason::RequestUri);
        }
        match self.get("response_type")? {
            None => return Err(RedirectReason::MissingResponseType),
            Some("code") => {}
            Some(_) => return Err(RedirectReason::UnsupportedResponseType),
        }
        let challenge = self.get("code_challenge")?.ok_or(RedirectReason::MissingChallenge)?.to_owned();
        // An absent method means `plain` (RFC 7636 §4.3).
        if self.get("code_challenge_method")? != Some("S256") {
            return Err(RedirectReason::ChallengeMethod);
        }
        let code_challenge = CodeChallenge::try_from(challenge).map_err(|_| RedirectReason::MalformedChallenge)?;
        let resources = Resources::read(self.params.all("resource"), issuer)?;
        let (details, scope) = (self.get("authorization_details")?, self.get("scope")?);
        let requested = Requested::read_or_unspecified(details, scope, &resources.providers(issuer))?;
        let prompt = Prompt::parse(self.get("prompt")?.unwrap_or("")).ok_or(RedirectReason::Prompt)?;
        let max_age = self.get("max_age")?.map(|text| text.parse().map_err(|_| RedirectReason::MaxAge)).transpose()?;
        if self.get("login_hint")?.is_some_and(|hint| hint.len() > MAX_LOGIN_HINT_BYTES) {
            return Err(RedirectReason::LoginHint);
        }
        let dpop_jkt = self.get("dpop_jkt")?.map(str::parse).transpose()?;
        Ok(Rest { state, response_mode, code_challenge, dpop_jkt, requested, resources, prompt, max_age })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::authorization_details::RequestedError;
    use crate::domain::{jose::InvalidThumbprint, oauth::client::ClientAuth};

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const ISSUER: &str = "https://broker.example";

    fn client() -> Client {
        Client::example(ClientAuth::Public)
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

    fn read(query: &str) -> Result<AuthorizationQuery, LocalError> {
        AuthorizationQuery::read(read_query(query)?, Way::Browser)
    }

    fn local(query: &str) -> LocalError {
        read(query).and_then(|query| query.prove(Some(&client()))).unwrap_err()
    }

    fn outcome(query: &str) -> Result<AuthorizationRequest, RedirectError> {
        read(query).unwrap().prove(Some(&client())).unwrap().request(ISSUER)
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
        let location = url::Url::parse(&error.answer(ISSUER).location()).unwrap();
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
    fn what_is_asked_of_the_person_is_read() {
        let request = outcome(&query(&[("prompt", Some("consent login")), ("max_age", Some("60"))])).unwrap();
        assert_eq!((request.prompt, request.max_age), (Prompt::Login, Some(60)));
        for (name, value, reason) in [
            ("prompt", "none login", RedirectReason::Prompt),
            ("prompt", "select_account", RedirectReason::Prompt),
            ("max_age", "-1", RedirectReason::MaxAge),
            ("request", "eyJ", RedirectReason::RequestObject),
            ("dpop_jkt", "short", RedirectReason::Thumbprint(InvalidThumbprint)),
            ("response_mode", "fragment", RedirectReason::UnsupportedResponseMode),
        ] {
            assert_eq!(outcome(&query(&[(name, Some(value))])).unwrap_err().reason, reason, "{name}={value}");
        }
    }

    #[test]
    fn a_resource_of_somebody_else_is_an_invalid_target() {
        let error = outcome(&query(&[("resource", Some("https://other.example"))])).unwrap_err();
        assert_eq!(error.reason.code().as_str(), "invalid_target");
    }

    #[test]
    fn an_error_travels_as_the_answer_would() {
        let error = outcome(&query(&[("response_mode", Some("form_post")), ("scope", Some("x"))])).unwrap_err();
        assert_eq!(error.answer(ISSUER).response_mode, ResponseMode::FormPost);
    }

    #[test]
    fn rfc_9126_6_a_client_that_has_to_push_is_refused_in_the_browser_alone() {
        let client = Client { requires_par: true, ..client() };
        let asked = |way| {
            let query = AuthorizationQuery::read(read_query(&query(&[])).unwrap(), way).unwrap();
            query.prove(Some(&client)).unwrap().request(ISSUER)
        };
        let error = asked(Way::Browser).unwrap_err();
        assert_eq!((error.reason.code().as_str(), error.reason), ("invalid_request", RedirectReason::MustBePushed));
        assert!(asked(Way::Pushed).is_ok());
    }

    #[test]
    fn rfc_6749_4_1_2_1_a_client_that_may_not_use_codes_is_unauthorized() {
        let client = Client { grant_types: [GrantType::DeviceCode].into(), ..client() };
        let error = read(&query(&[])).unwrap().prove(Some(&client)).unwrap().request(ISSUER).unwrap_err();
        assert_eq!(error.reason.code().as_str(), "unauthorized_client");
    }

    #[test]
    fn rfc_9126_2_1_a_request_does_not_name_another_one() {
        let error = outcome(&query(&[("request_uri", Some("urn:x"))])).unwrap_err();
        assert_eq!((error.reason.code().as_str(), error.reason), ("invalid_request", RedirectReason::RequestUri));
    }

    #[test]
    fn nothing_is_posted_to_an_installed_app_and_the_error_goes_there_by_redirect() {
        let client = Client { redirect_uris: vec!["com.example.app:/cb".parse().unwrap()], ..client() };
        let change = [("redirect_uri", Some("com.example.app:/cb")), ("response_mode", Some("form_post"))];
        let error = read(&query(&change)).unwrap().prove(Some(&client)).unwrap().request(ISSUER).unwrap_err();
        assert_eq!(error.reason, RedirectReason::NowhereToPost);
        assert_eq!(error.answer(ISSUER).response_mode, ResponseMode::Query);
    }

    #[test]
    fn a_state_that_a_form_would_change_is_refused_there_and_kept_elsewhere() {
        for state in ["a\nb", "a\r\nb", "a\0"] {
            let posted = [("state", Some(state)), ("response_mode", Some("form_post"))];
            assert_eq!(outcome(&query(&posted)).unwrap_err().reason, RedirectReason::StateNotForForms, "{state:?}");
            assert_eq!(outcome(&query(&[("state", Some(state))])).unwrap().state.as_deref(), Some(state));
        }
    }

    #[test]
    fn details_and_scope_together_are_refused() {
        let error = outcome(&query(&[("authorization_details", Some("[]"))])).unwrap_err();
        assert_eq!(error.reason, RedirectReason::Requested(RequestedError::DetailsAndScope));
    }

    proptest! {
        #[test]
        fn no_query_makes_the_parser_panic(query in ".{0,300}") {
            if let Ok(query) = read(&query)
                && let Ok(proven) = query.prove(Some(&client()))
            {
                let _ = proven.request(ISSUER);
            }
        }
    }
}
