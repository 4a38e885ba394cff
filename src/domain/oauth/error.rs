//! Why a request was refused, one enum per operation with a variant per reason, and the few codes of the RFCs that say so outside.
//!
//! Three texts for three readers: the code is for programs, the description for the app's developer, the variant for the log.

use super::{
    client_assertion::AssertionError,
    client_metadata::DocumentError,
    device::{DeviceRequestError, PollError},
    dpop::DpopError,
    resource::InvalidTarget,
};
use crate::domain::{
    authorization_details::RequestedError, consent::Denial, id::GrantId, jose::InvalidThumbprint,
    narrowing::NarrowingError,
};

/// Codes of RFC 6749 §4.1.2.1 and §5.2, RFC 9396 §5, RFC 8628 §3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// The client could not be authenticated.
    InvalidClient,
    /// The code or refresh token is unknown, over, or somebody else's.
    InvalidGrant,
    /// The token is somebody else's, or the client may not ask in this way.
    UnauthorizedClient,
    /// No grant type of this broker's.
    UnsupportedGrantType,
    /// Not `code`.
    UnsupportedResponseType,
    /// An unknown or wider scope.
    InvalidScope,
    /// RFC 9396 §5.
    InvalidAuthorizationDetails,
    /// RFC 9449 §5.
    InvalidDpopProof,
    /// RFC 9449 §8.
    UseDpopNonce,
    /// RFC 8707 §2.
    InvalidTarget,
    /// The user said no.
    AccessDenied,
    /// OpenID Connect Core §3.1.2.6: nobody is signed in, and must not be asked to.
    LoginRequired,
    /// OpenID Connect Core §3.1.2.6: the user has to be asked, and must not be.
    ConsentRequired,
    /// OpenID Connect Core §3.1.2.6.
    RequestNotSupported,
    /// RFC 7591 §3.2.2.
    InvalidRedirectUri,
    /// RFC 7591 §3.2.2.
    InvalidClientMetadata,
    /// RFC 6750 §3.1.
    InvalidToken,
    /// The broker can't answer now.
    TemporarilyUnavailable,
    /// RFC 8628 §3.5: the user hasn't answered yet.
    AuthorizationPending,
    /// RFC 8628 §3.5: the same, and this poll came too early.
    SlowDown,
    /// RFC 8628 §3.5: nobody answered in time.
    ExpiredToken,
}

impl ErrorCode {
    /// As it goes over the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidAuthorizationDetails => "invalid_authorization_details",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidToken => "invalid_token",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
        }
    }
}

/// Only the characters that RFC 6749 §5.2 allows in `error_description`.
pub(super) fn describe(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '\\' => '\'',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

/// The code of what `authorization_details` and `scope` ask for, wherever they are sent.
pub(super) const fn requested_code(error: &RequestedError) -> ErrorCode {
    match error {
        RequestedError::DetailsAndScope => ErrorCode::InvalidRequest,
        RequestedError::Details(_) => ErrorCode::InvalidAuthorizationDetails,
        RequestedError::Scope(_) => ErrorCode::InvalidScope,
    }
}

/// Why `/authorize` shows a page and sends the browser nowhere: the address of the app isn't proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// Longer than [`super::authorization_request::MAX_QUERY_BYTES`].
    #[error("the request is too long")]
    QueryTooLong,
    /// `client_id` or `redirect_uri` twice.
    #[error("the parameter {0} appears more than once")]
    Repeated(&'static str),
    /// No `client_id`.
    #[error("the parameter client_id is missing")]
    MissingClientId,
    /// No such app.
    #[error("no app is registered here under this client_id")]
    UnknownClient,
    /// No `redirect_uri`.
    #[error("the parameter redirect_uri is missing")]
    MissingRedirectUri,
    /// Not one of the app's own.
    #[error("this redirect_uri is not registered for the app; it must match exactly")]
    UnregisteredRedirectUri,
    /// Not of the form that `/par` gives out.
    #[error("request_uri is none that the pushed authorization request endpoint of this broker gave out")]
    ForeignRequestUri,
}

impl LocalError {
    /// The RFC's code, for an app that asks without a browser (RFC 9126 §2.3).
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::UnknownClient => ErrorCode::InvalidClient,
            Self::QueryTooLong
            | Self::Repeated(_)
            | Self::MissingClientId
            | Self::MissingRedirectUri
            | Self::UnregisteredRedirectUri
            | Self::ForeignRequestUri => ErrorCode::InvalidRequest,
        }
    }
}

/// Why `/par` takes no request (RFC 9126 §2.3). There is nobody to redirect: every reason is told to the app itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// What would be a page at `/authorize`.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// What would go to the redirect URI.
    #[error(transparent)]
    Request(#[from] RedirectReason),
}

impl PushError {
    /// The RFC's code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Local(error) => error.code(),
            Self::Request(reason) => reason.code(),
        }
    }

    /// `error_description`.
    #[must_use]
    pub fn description(&self) -> String {
        describe(&self.to_string())
    }
}

/// Why an authorization request is refused once its redirect URI is proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectReason {
    /// A parameter twice.
    #[error("the parameter {0} appears more than once")]
    Repeated(&'static str),
    /// Longer than [`super::authorization_request::MAX_STATE_BYTES`].
    #[error("state is longer than 4096 bytes")]
    StateTooLong,
    /// No `response_type`.
    #[error("the parameter response_type is missing; use code")]
    MissingResponseType,
    /// Another `response_type`.
    #[error("response_type must be code")]
    UnsupportedResponseType,
    /// Another `response_mode`.
    #[error("response_mode must be query or form_post")]
    UnsupportedResponseMode,
    /// No `code_challenge`.
    #[error("the parameter code_challenge is missing; PKCE is required (RFC 7636)")]
    MissingChallenge,
    /// `plain`, or nothing, which means `plain`.
    #[error("code_challenge_method must be S256")]
    ChallengeMethod,
    /// Not a hash.
    #[error("code_challenge must be the base64url of a SHA-256 hash: 43 characters without padding")]
    MalformedChallenge,
    /// RFC 9396 §5, RFC 6749 §3.3.
    #[error(transparent)]
    Requested(#[from] RequestedError),
    /// RFC 8707 §2.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// A request object (RFC 9101).
    #[error(
        "request objects are not supported; push the request to the pushed authorization request endpoint (RFC 9126)"
    )]
    RequestObject,
    /// A request in a request (RFC 9126 §2.1).
    #[error("request_uri can not be part of a request")]
    RequestUri,
    /// RFC 9126 §6.
    #[error("this client has to push its requests to the pushed authorization request endpoint (RFC 9126)")]
    MustBePushed,
    /// It has other grant types.
    #[error("this client is not registered for the grant type authorization_code")]
    NotForCodes,
    /// `form_post` to a scheme of an app's own.
    #[error("response_mode form_post needs a redirect_uri with https, or with http on this machine")]
    NowhereToPost,
    /// Control characters do not survive a form.
    #[error("state must not hold control characters with response_mode form_post")]
    StateNotForForms,
    /// RFC 9449 §10.
    #[error("dpop_jkt: {0}")]
    Thumbprint(#[from] InvalidThumbprint),
    /// Another `prompt`, or `none` beside another.
    #[error("prompt must be none, login or consent; none stands alone")]
    Prompt,
    /// Not a number.
    #[error("max_age must be a number of seconds")]
    MaxAge,
    /// Longer than [`super::authorization_request::MAX_LOGIN_HINT_BYTES`].
    #[error("login_hint is longer than 256 bytes")]
    LoginHint,
    /// `prompt=none`, and nobody is signed in, or not recently enough.
    #[error("the user has to sign in first")]
    LoginRequired,
    /// `prompt=none`.
    #[error("the user has to be asked for consent each time")]
    ConsentRequired,
    /// The user said no.
    #[error(transparent)]
    Denied(#[from] Denial),
}

impl From<AssertionError> for TokenError {
    fn from(error: AssertionError) -> Self {
        Self::Assertion(error)
    }
}

impl From<DpopError> for TokenError {
    fn from(error: DpopError) -> Self {
        Self::Dpop(error)
    }
}

impl RedirectReason {
    /// The RFC's code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Repeated(_)
            | Self::StateTooLong
            | Self::MissingResponseType
            | Self::UnsupportedResponseMode
            | Self::MissingChallenge
            | Self::ChallengeMethod
            | Self::MalformedChallenge
            | Self::Prompt
            | Self::MaxAge
            | Self::LoginHint
            | Self::RequestUri
            | Self::MustBePushed
            | Self::NowhereToPost
            | Self::StateNotForForms
            | Self::Thumbprint(_) => ErrorCode::InvalidRequest,
            Self::NotForCodes => ErrorCode::UnauthorizedClient,
            Self::UnsupportedResponseType => ErrorCode::UnsupportedResponseType,
            Self::Requested(error) => requested_code(error),
            Self::Target(_) => ErrorCode::InvalidTarget,
            Self::RequestObject => ErrorCode::RequestNotSupported,
            Self::LoginRequired => ErrorCode::LoginRequired,
            Self::ConsentRequired => ErrorCode::ConsentRequired,
            Self::Denied(_) => ErrorCode::AccessDenied,
        }
    }

    /// `error_description`.
    #[must_use]
    pub fn description(&self) -> String {
        describe(&self.to_string())
    }
}

/// Why `/token` or `/revoke` refuses. The text is for the app's developer and gives away nothing that the caller doesn't know:
/// reasons that a thief could learn from share one text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Another content type.
    #[error("the body must be application/x-www-form-urlencoded")]
    NotAForm,
    /// A parameter twice.
    #[error("the parameter {0} appears more than once")]
    Repeated(&'static str),
    /// A parameter is missing.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// No client authentication, and no `client_id` (RFC 6749 §5.2).
    #[error(
        "client authentication is missing: send the client_id, and what proves it, in the Authorization header or in the body"
    )]
    NoAuthentication,
    /// Secret in the header and in the body, or two names.
    #[error("use one way of client authentication: the Authorization header or the body")]
    TwoAuthentications,
    /// Not readable as RFC 7617 with RFC 6749 §2.3.1's encoding.
    #[error("client authentication failed")]
    MalformedAuthorization,
    /// No such app.
    #[error("client authentication failed")]
    UnknownClient,
    /// Another secret, or one that can't be a secret of ours.
    #[error("client authentication failed")]
    WrongSecret,
    /// A confidential client without its secret.
    #[error("client authentication failed")]
    MissingSecret,
    /// A client that signs assertions came without one.
    #[error("client authentication failed")]
    MissingAssertion,
    /// Its client metadata document can't be used.
    #[error("the client metadata document can not be used: {0}")]
    Document(#[from] DocumentError),
    /// A secret from a public client, which has none.
    #[error("client authentication failed")]
    UnexpectedSecret,
    /// Another `grant_type`.
    #[error("this grant_type is not supported; the metadata says which ones are")]
    UnsupportedGrantType,
    /// Not a verifier at all.
    #[error("code_verifier must be 43 to 128 letters, digits, '-', '.', '_' or '~'")]
    MalformedVerifier,
    /// Not a code of ours.
    #[error("the code is unknown, expired, already used, or was issued for other values")]
    UnknownCode,
    /// Too late.
    #[error("the code is unknown, expired, already used, or was issued for other values")]
    CodeExpired,
    /// Used before, by somebody who knew the verifier; the grant ends.
    #[error("the code is unknown, expired, already used, or was issued for other values")]
    CodeReplayed(GrantId),
    /// Issued to another client.
    #[error("the code is unknown, expired, already used, or was issued for other values")]
    CodeOfAnotherClient,
    /// Not the redirect URI of the authorization request.
    #[error("the code is unknown, expired, already used, or was issued for other values")]
    WrongRedirectUri,
    /// Not the verifier behind the challenge.
    #[error("the code is unknown, expired, already used, or was issued for other values")]
    WrongVerifier,
    /// Not a refresh token of ours.
    #[error("the refresh token is unknown, expired, already used, or was issued to another client")]
    UnknownRefreshToken,
    /// Too late.
    #[error("the refresh token is unknown, expired, already used, or was issued to another client")]
    RefreshExpired,
    /// Rotated before; the grant ends.
    #[error("the refresh token is unknown, expired, already used, or was issued to another client")]
    RefreshReplayed(GrantId),
    /// Issued to another client.
    #[error("the refresh token is unknown, expired, already used, or was issued to another client")]
    RefreshOfAnotherClient,
    /// Revoked or expired since.
    #[error("the user's grant has ended; ask for a new one")]
    GrantEnded,
    /// RFC 9396 §6, RFC 6749 §6.
    #[error(transparent)]
    Requested(#[from] RequestedError),
    /// RFC 9396 §6: more than was granted, or other limits.
    #[error("{0}")]
    WiderDetails(NarrowingError),
    /// What it is narrowed to doesn't fit into a token.
    #[error(
        "authorization_details are too long to be carried by a token; ask for fewer models, or for all that was granted"
    )]
    TokenTooLong,
    /// RFC 6749 §6: nothing of it was granted.
    #[error("nothing of the scope was granted")]
    WiderScope,
    /// RFC 8707 §2.2.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// RFC 6749 §5.2: the client is registered for other grant types.
    #[error("this client is not registered for this grant type")]
    GrantTypeNotRegistered,
    /// RFC 7523 §3, RFC 7521 §4.2.
    #[error("{0}")]
    Assertion(AssertionError),
    /// RFC 7523 §3 point 7.
    #[error("this client assertion was used before")]
    AssertionReplayed,
    /// The client's key set can't be had.
    #[error("the keys of this client can not be read: {0}")]
    ClientKeys(String),
    /// RFC 9449 §5.
    #[error("{0}")]
    Dpop(DpopError),
    /// RFC 9449 §11.1.
    #[error("this DPoP proof was used before")]
    DpopReplayed,
    /// RFC 9449 §5.2: the client, or what it presents, needs a proof and came without.
    #[error("a DPoP proof is required here")]
    DpopRequired,
    /// RFC 8693 §2.1.
    #[error("only access tokens are exchanged, for access tokens: urn:ietf:params:oauth:token-type:access_token")]
    TokenType,
    /// RFC 8693 §2.1.
    #[error("actor_token is not supported")]
    ActorToken,
    /// RFC 8693 §2.2.2.
    #[error("the subject_token is malformed, expired, revoked, or was issued to another client")]
    SubjectToken,
    /// Not a number of seconds.
    #[error("expires_in must be a number of seconds from 1 on")]
    ExpiresIn,
    /// RFC 9449 §10.
    #[error("dpop_jkt must be a JWK thumbprint: 43 characters of base64url")]
    Thumbprint,
    /// RFC 8693 §2.2.2: more than the subject token, or more than the ledger keeps.
    #[error("{0}")]
    Delegation(String),
    /// RFC 7662 §2.1: a client that proves nothing may not look at tokens.
    #[error("this endpoint needs client authentication")]
    PublicClient,
    /// `/device_authorization`.
    #[error(transparent)]
    DeviceRequest(#[from] DeviceRequestError),
    /// `/token` with a device code.
    #[error(transparent)]
    Poll(#[from] PollError),
}

impl TokenError {
    /// The RFC's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotAForm
            | Self::Repeated(_)
            | Self::Missing(_)
            | Self::TwoAuthentications
            | Self::TokenType
            | Self::ActorToken
            | Self::SubjectToken
            | Self::ExpiresIn
            | Self::Thumbprint => ErrorCode::InvalidRequest,
            Self::NoAuthentication
            | Self::MalformedAuthorization
            | Self::UnknownClient
            | Self::WrongSecret
            | Self::MissingSecret
            | Self::MissingAssertion
            | Self::Assertion(_)
            | Self::AssertionReplayed
            | Self::ClientKeys(_)
            | Self::PublicClient
            | Self::Document(_)
            | Self::UnexpectedSecret => ErrorCode::InvalidClient,
            Self::UnsupportedGrantType => ErrorCode::UnsupportedGrantType,
            Self::UnknownCode
            | Self::CodeExpired
            | Self::CodeReplayed(_)
            | Self::CodeOfAnotherClient
            | Self::WrongRedirectUri
            | Self::WrongVerifier
            | Self::MalformedVerifier
            | Self::UnknownRefreshToken
            | Self::RefreshExpired
            | Self::RefreshReplayed(_)
            | Self::RefreshOfAnotherClient
            | Self::GrantEnded => ErrorCode::InvalidGrant,
            Self::Requested(error) => requested_code(error),
            Self::WiderScope => ErrorCode::InvalidScope,
            Self::WiderDetails(_) | Self::TokenTooLong | Self::Delegation(_) => ErrorCode::InvalidAuthorizationDetails,
            Self::Target(_) => ErrorCode::InvalidTarget,
            Self::GrantTypeNotRegistered => ErrorCode::UnauthorizedClient,
            Self::Dpop(DpopError::UseNonce) => ErrorCode::UseDpopNonce,
            Self::Dpop(_) | Self::DpopReplayed | Self::DpopRequired => ErrorCode::InvalidDpopProof,
            Self::DeviceRequest(error) => error.code(),
            Self::Poll(error) => error.code(),
        }
    }

    /// `error_description`.
    #[must_use]
    pub fn description(&self) -> String {
        describe(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authorization_details::DetailsError;

    #[test]
    fn a_description_holds_only_what_the_rfc_allows() {
        let reason =
            RedirectReason::Requested(RequestedError::Scope(DetailsError::UnknownScope { found: "é\"\\\n".into() }));
        assert!(reason.description().bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
    }
}
