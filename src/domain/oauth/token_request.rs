//! `POST /token` and `POST /revoke` as they arrive: RFC 6749 §2.3, §4.1.3, §6; RFC 7009 §2.1.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{
    client::{Client, ClientAuth, GrantType},
    device::PollError,
    error::TokenError,
    exchange_request::ExchangeRequest,
    params::{Params, Repeated},
    pkce::CodeVerifier,
    resource::Resources,
};
use crate::domain::{
    authorization_details::Requested,
    id::ClientId,
    permission::{ModelPattern, Permission},
    secret::{AuthorizationCode, ClientSecret, DeviceCode, RefreshToken, Secret},
};

impl From<Repeated> for TokenError {
    fn from(repeated: Repeated) -> Self {
        Self::Repeated(repeated.0)
    }
}

/// Who the caller claims to be, and with what proof. Unverified until [`Credentials::authenticate`].
#[derive(Debug)]
pub struct Credentials {
    /// The claimed client.
    pub client_id: ClientId,
    secret: PresentedSecret,
}

#[derive(Debug)]
enum PresentedSecret {
    None,
    Some(Secret<ClientSecret>),
    /// Not even well-formed; it is wrong for every client.
    Malformed,
}

impl Credentials {
    /// From the `Authorization` header and the body.
    ///
    /// # Errors
    /// [`TokenError`]: both ways at once, no way at all, or a header that can't be read.
    pub fn from_request(authorization: Option<&[u8]>, params: &Params) -> Result<Self, TokenError> {
        let body_id = params.get("client_id")?;
        let body_secret = params.get("client_secret")?;
        let Some(header) = authorization else {
            let client_id = body_id.ok_or(TokenError::NoAuthentication)?;
            return Self::new(client_id, body_secret);
        };
        if body_secret.is_some() {
            return Err(TokenError::TwoAuthentications);
        }
        let (client_id, secret) = parse_basic(header).ok_or(TokenError::MalformedAuthorization)?;
        // The name may be repeated in the body, but it has to be the same one.
        if body_id.is_some_and(|body_id| body_id != client_id.as_str()) {
            return Err(TokenError::TwoAuthentications);
        }
        Self::new(&client_id, Some(&secret))
    }

    fn new(client_id: &str, secret: Option<&str>) -> Result<Self, TokenError> {
        let client_id = client_id.parse().map_err(|_| TokenError::UnknownClient)?;
        let secret = match secret {
            // A public client that uses the header sends its name and an empty password.
            None | Some("") => PresentedSecret::None,
            Some(text) => Secret::parse(text).map_or(PresentedSecret::Malformed, PresentedSecret::Some),
        };
        Ok(Self { client_id, secret })
    }

    /// Whether the proof is the one that this client must bring.
    ///
    /// # Errors
    /// [`TokenError`], all of them `invalid_client` outside.
    pub fn authenticate(&self, client: Option<Client>) -> Result<Client, TokenError> {
        let client = client.filter(|client| client.id == self.client_id).ok_or(TokenError::UnknownClient)?;
        match (&client.auth, &self.secret) {
            (ClientAuth::Public, PresentedSecret::None) => Ok(client),
            (ClientAuth::Public, PresentedSecret::Some(_) | PresentedSecret::Malformed) => {
                Err(TokenError::UnexpectedSecret)
            }
            // An assertion is looked for before any secret is.
            (ClientAuth::PrivateKey(_), _) => Err(TokenError::MissingAssertion),
            (ClientAuth::Confidential(_), PresentedSecret::None) => Err(TokenError::MissingSecret),
            (ClientAuth::Confidential(_), PresentedSecret::Malformed) => Err(TokenError::WrongSecret),
            (ClientAuth::Confidential(hash), PresentedSecret::Some(secret)) => {
                if secret.hash() == *hash {
                    Ok(client)
                } else {
                    Err(TokenError::WrongSecret)
                }
            }
        }
    }
}

/// RFC 7617, with name and password form-encoded first (RFC 6749 §2.3.1).
fn parse_basic(header: &[u8]) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let header = core::str::from_utf8(header).ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(Base64::decode_vec(encoded.trim()).ok()?);
    let text = core::str::from_utf8(&decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((form_decoded(name)?, form_decoded(password)?))
}

fn form_decoded(text: &str) -> Option<Zeroizing<String>> {
    // A lone value, so the separators of a form may not appear in it unencoded.
    if text.contains(['&', '=']) {
        return None;
    }
    let decoded = url::form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some(Zeroizing::new(decoded.unwrap_or_default()))
}

/// What is asked of `/token`.
#[derive(Debug)]
pub enum TokenRequest {
    /// RFC 6749 §4.1.3.
    AuthorizationCode {
        /// The code.
        code: Secret<AuthorizationCode>,
        /// The redirect URI of the authorization request, where the client repeats it: RFC 6749 §4.1.3 requires that, OAuth 2.1 doesn't
        /// know it, since the code is bound to its verifier.
        redirect_uri: Option<String>,
        /// RFC 7636 §4.5.
        verifier: CodeVerifier,
    },
    /// RFC 6749 §6.
    RefreshToken {
        /// The refresh token.
        token: Secret<RefreshToken>,
    },
    /// RFC 8628 §3.4.
    DeviceCode {
        /// The device code.
        code: Secret<DeviceCode>,
    },
    /// RFC 8693 §2.1.
    TokenExchange(ExchangeRequest),
}

/// What else may be said with any of them: which part of what was granted this token is for.
#[derive(Debug)]
pub struct Wanted {
    /// RFC 9396 §6, RFC 6749 §6; `None`: all of it.
    pub requested: Option<Requested>,
    /// Whether that was said by `scope`.
    pub by_scope: bool,
    /// RFC 8707 §2.2.
    pub resources: Resources,
}

impl Wanted {
    /// Reads the body.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(params: &Params, issuer: &str) -> Result<Self, TokenError> {
        let (details, scope) = (params.get("authorization_details")?, params.get("scope")?);
        let is_said = details.is_some() || scope.is_some();
        Ok(Self {
            by_scope: scope.is_some(),
            requested: is_said.then(|| Requested::read(details, scope)).transpose()?,
            resources: Resources::read(params.all("resource"), issuer)?,
        })
    }
}

impl TokenRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(params: &Params) -> Result<Self, TokenError> {
        let grant_type = params.get("grant_type")?.ok_or(TokenError::Missing("grant_type"))?;
        match grant_type {
            "authorization_code" => {
                let code = params.get("code")?.ok_or(TokenError::Missing("code"))?;
                let redirect_uri = params.get("redirect_uri")?;
                let verifier = params.get("code_verifier")?.ok_or(TokenError::Missing("code_verifier"))?;
                Ok(Self::AuthorizationCode {
                    verifier: verifier.to_owned().try_into().map_err(|_| TokenError::MalformedVerifier)?,
                    code: Secret::parse(code).map_err(|_| TokenError::UnknownCode)?,
                    redirect_uri: redirect_uri.map(str::to_owned),
                })
            }
            "refresh_token" => {
                let token = params.get("refresh_token")?.ok_or(TokenError::Missing("refresh_token"))?;
                Ok(Self::RefreshToken { token: Secret::parse(token).map_err(|_| TokenError::UnknownRefreshToken)? })
            }
            name if name == GrantType::TokenExchange.as_str() => {
                ExchangeRequest::parse(params).map(Self::TokenExchange)
            }
            name if name == GrantType::DeviceCode.as_str() => {
                let code = params.get("device_code")?.ok_or(TokenError::Missing("device_code"))?;
                Ok(Self::DeviceCode { code: Secret::parse(code).map_err(|_| PollError::Unknown)? })
            }
            _ => Err(TokenError::UnsupportedGrantType),
        }
    }
}

impl TokenRequest {
    /// RFC 6749 §5.2: whether the client may ask so at all.
    #[must_use]
    pub const fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::DeviceCode { .. } => GrantType::DeviceCode,
            Self::TokenExchange(_) => GrantType::TokenExchange,
        }
    }
}

/// The granted scope, where the permissions can be said as one: a scope means every model of its provider.
#[must_use]
pub fn granted_scope(permissions: &[Permission]) -> Option<String> {
    let mut scopes: Vec<String> = Vec::new();
    for permission in permissions {
        if !permission.models.iter().any(ModelPattern::is_every_model) {
            return None;
        }
        scopes.extend(permission.capabilities.iter().map(|capability| format!("{}:{capability}", permission.provider)));
    }
    Some(scopes.join(" "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{oauth::error::ErrorCode, secret::SecretHash};

    fn client(auth: ClientAuth) -> Client {
        Client::example(auth)
    }

    fn secret() -> Secret<ClientSecret> {
        Secret::from_entropy(&[8; 32])
    }

    fn confidential() -> Client {
        client(ClientAuth::Confidential(secret().hash()))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", Base64::encode_string(pair.as_bytes()))
    }

    fn credentials(header: Option<&str>, body: &str) -> Result<Credentials, TokenError> {
        Credentials::from_request(header.map(str::as_bytes), &Params::parse(body.as_bytes()))
    }

    #[test]
    fn without_any_client_authentication_the_client_is_invalid_rfc_6749_5_2() {
        let error = credentials(None, "grant_type=refresh_token").unwrap_err();
        assert_eq!((&error, error.code()), (&TokenError::NoAuthentication, ErrorCode::InvalidClient));
    }

    #[test]
    fn a_secret_in_the_header_or_in_the_body_authenticates() {
        let header = basic(&format!("app:{}", secret().expose_secret()));
        assert!(credentials(Some(&header), "").unwrap().authenticate(Some(confidential())).is_ok());
        let body = format!("client_id=app&client_secret={}", secret().expose_secret());
        assert!(credentials(None, &body).unwrap().authenticate(Some(confidential())).is_ok());
    }

    #[test]
    fn the_header_is_form_decoded() {
        let header = basic("a%70p:");
        assert_eq!(credentials(Some(&header), "").unwrap().client_id.as_str(), "app");
    }

    #[test]
    fn both_ways_at_once_are_refused() {
        let header = basic(&format!("app:{}", secret().expose_secret()));
        assert_eq!(credentials(Some(&header), "client_secret=x").unwrap_err(), TokenError::TwoAuthentications);
        assert_eq!(credentials(Some(&header), "client_id=other").unwrap_err(), TokenError::TwoAuthentications);
    }

    #[test]
    fn a_wrong_missing_or_unexpected_secret_is_refused() {
        let other = Secret::<ClientSecret>::from_entropy(&[9; 32]);
        let wrong = format!("client_id=app&client_secret={}", other.expose_secret());
        for (body, client, error) in [
            (wrong.as_str(), Some(confidential()), TokenError::WrongSecret),
            ("client_id=app&client_secret=guess", Some(confidential()), TokenError::WrongSecret),
            ("client_id=app", Some(confidential()), TokenError::MissingSecret),
            ("client_id=app&client_secret=x", Some(client(ClientAuth::Public)), TokenError::UnexpectedSecret),
            ("client_id=app", None, TokenError::UnknownClient),
        ] {
            assert_eq!(credentials(None, body).unwrap().authenticate(client), Err(error), "{body}");
        }
    }

    #[test]
    fn a_header_that_is_not_basic_is_refused() {
        for header in ["Bearer x", "Basic", "Basic !!!", "Basic YXBw"] {
            assert_eq!(credentials(Some(header), "client_id=app").unwrap_err(), TokenError::MalformedAuthorization);
        }
    }

    #[test]
    fn a_stored_hash_of_nothing_matches_no_secret() {
        let broken = Some(client(ClientAuth::Confidential(SecretHash::from_stored(String::new()))));
        let body = format!("client_id=app&client_secret={}", secret().expose_secret());
        assert_eq!(credentials(None, &body).unwrap().authenticate(broken), Err(TokenError::WrongSecret));
    }

    fn request(body: &str) -> TokenError {
        TokenRequest::parse(&Params::parse(body.as_bytes())).unwrap_err()
    }

    #[test]
    fn missing_repeated_and_malformed_parameters_are_named() {
        let code = Secret::<AuthorizationCode>::from_entropy(&[1; 32]);
        let code = code.expose_secret();
        assert_eq!(request(""), TokenError::Missing("grant_type"));
        assert_eq!(request("grant_type=password"), TokenError::UnsupportedGrantType);
        assert_eq!(request("grant_type=a&grant_type=a"), TokenError::Repeated("grant_type"));
        assert_eq!(request("grant_type=authorization_code"), TokenError::Missing("code"));
        assert_eq!(
            request(&format!("grant_type=authorization_code&code={code}")),
            TokenError::Missing("code_verifier")
        );
        assert_eq!(
            request(&format!("grant_type=authorization_code&code={code}&redirect_uri=x&code_verifier=short")),
            TokenError::MalformedVerifier
        );
        assert_eq!(request("grant_type=refresh_token&refresh_token=x"), TokenError::UnknownRefreshToken);
    }

    #[test]
    fn a_scope_is_granted_only_where_every_model_is() {
        let asked = |scope| Requested::from_scope(scope).unwrap();
        let mut permissions = asked("openai:chat anthropic:chat").permissions;
        assert_eq!(granted_scope(&permissions).as_deref(), Some("openai:chat anthropic:chat"));
        permissions[0].models = vec!["gpt-5".parse().unwrap()];
        assert_eq!(granted_scope(&permissions), None);
    }

    proptest! {
        #[test]
        fn no_input_makes_the_parsers_panic(header in proptest::collection::vec(any::<u8>(), 0..80), body in ".{0,200}") {
            let params = Params::parse(body.as_bytes());
            let _ = Credentials::from_request(Some(&header), &params);
            let _ = TokenRequest::parse(&params);
        }

        #[test]
        fn no_basic_pair_makes_the_parser_panic(pair in ".{0,80}") {
            let _ = credentials(Some(&basic(&pair)), "");
        }
    }
}
