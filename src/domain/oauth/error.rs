//! Why a request was refused, one enum per operation with a variant per reason, and the few codes of the RFCs that say so outside.
//!
//! Three texts for three readers: the code is for programs, the description for the app's developer, the variant for the log.

use super::{client_metadata::DocumentError, resource::InvalidTarget};
use crate::domain::{
    authorization_details::{DetailsError, RequestedError},
    id::GrantId,
};

/// Codes of RFC 6749 §4.1.2.1 and §5.2, RFC 9396 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// The client could not be authenticated.
    InvalidClient,
    /// The code or refresh token is unknown, over, or somebody else's.
    InvalidGrant,
    /// The token is somebody else's.
    UnauthorizedClient,
    /// Not `authorization_code` or `refresh_token`.
    UnsupportedGrantType,
    /// Not `code`.
    UnsupportedResponseType,
    /// An unknown or wider scope.
    InvalidScope,
    /// RFC 9396 §5.
    InvalidAuthorizationDetails,
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
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidToken => "invalid_token",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
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
    /// Both at once: which one would count?
    #[error("send either authorization_details or scope, not both")]
    DetailsAndScope,
    /// RFC 9396 §5.
    #[error("{0}")]
    Details(DetailsError),
    /// RFC 6749 §3.3.
    #[error("{0}")]
    Scope(DetailsError),
    /// RFC 8707 §2.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// A request object (RFC 9101).
    #[error(
        "request objects are not supported; push the request to the pushed authorization request endpoint (RFC 9126)"
    )]
    RequestObject,
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
    #[error("the user denied the request")]
    Denied,
}

impl From<RequestedError> for RedirectReason {
    fn from(error: RequestedError) -> Self {
        match error {
            RequestedError::DetailsAndScope => Self::DetailsAndScope,
            RequestedError::Details(error) => Self::Details(error),
            RequestedError::Scope(error) => Self::Scope(error),
        }
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
            | Self::DetailsAndScope
            | Self::Prompt
            | Self::MaxAge
            | Self::LoginHint => ErrorCode::InvalidRequest,
            Self::UnsupportedResponseType => ErrorCode::UnsupportedResponseType,
            Self::Details(_) => ErrorCode::InvalidAuthorizationDetails,
            Self::Scope(_) => ErrorCode::InvalidScope,
            Self::Target(_) => ErrorCode::InvalidTarget,
            Self::RequestObject => ErrorCode::RequestNotSupported,
            Self::LoginRequired => ErrorCode::LoginRequired,
            Self::ConsentRequired => ErrorCode::ConsentRequired,
            Self::Denied => ErrorCode::AccessDenied,
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
    #[error("grant_type must be authorization_code or refresh_token")]
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
    /// A different scope with a refresh.
    #[error("a refresh keeps what was granted; leave scope out")]
    ScopeChange,
    /// `authorization_details` with a code or refresh.
    #[error("a token carries what was granted; leave authorization_details out")]
    DetailsChange,
    /// `/revoke` with somebody else's token (RFC 7009 §2.1).
    #[error("this token was issued to another client")]
    TokenOfAnotherClient,
}

impl TokenError {
    /// The RFC's code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotAForm
            | Self::Repeated(_)
            | Self::Missing(_)
            | Self::TwoAuthentications
            | Self::MalformedVerifier => ErrorCode::InvalidRequest,
            Self::MalformedAuthorization
            | Self::UnknownClient
            | Self::WrongSecret
            | Self::MissingSecret
            | Self::MissingAssertion
            | Self::Document(_)
            | Self::UnexpectedSecret => ErrorCode::InvalidClient,
            Self::UnsupportedGrantType => ErrorCode::UnsupportedGrantType,
            Self::UnknownCode
            | Self::CodeExpired
            | Self::CodeReplayed(_)
            | Self::CodeOfAnotherClient
            | Self::WrongRedirectUri
            | Self::WrongVerifier
            | Self::UnknownRefreshToken
            | Self::RefreshExpired
            | Self::RefreshReplayed(_)
            | Self::RefreshOfAnotherClient
            | Self::GrantEnded => ErrorCode::InvalidGrant,
            Self::ScopeChange => ErrorCode::InvalidScope,
            Self::DetailsChange => ErrorCode::InvalidAuthorizationDetails,
            Self::TokenOfAnotherClient => ErrorCode::UnauthorizedClient,
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

    #[test]
    fn a_description_holds_only_what_the_rfc_allows() {
        let reason = RedirectReason::Scope(DetailsError::UnknownScope { found: "é\"\\\n".into() });
        assert!(reason.description().bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
    }
}
