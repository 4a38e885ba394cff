//! Token exchange as it arrives, [RFC 8693](https://www.rfc-editor.org/rfc/rfc8693) §2.1: an app narrows its own token for an agent.

use super::{error::TokenError, params::Params};
use crate::domain::{jose::JwkThumbprint, oauth::resource::Resources};

/// The one type of token that is exchanged and issued (§3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What is asked.
pub struct ExchangeRequest {
    /// The token to narrow.
    pub subject_token: String,
    /// `audience`, which stands beside `resource` and means the same here.
    pub audience: Vec<String>,
    /// Life of the new token in seconds, if it shall be shorter than what is left of the old one's. Not in the RFC, which has no
    /// way to ask for it; named as in a response.
    pub expires_in: Option<u64>,
    /// Thumbprint of the agent's key, if the new token shall be bound to it (as at `/authorize`, RFC 9449 §10).
    pub dpop_jkt: Option<JwkThumbprint>,
}

impl ExchangeRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(params: &Params) -> Result<Self, TokenError> {
        let subject_token = params.get("subject_token")?.ok_or(TokenError::Missing("subject_token"))?;
        let kind = params.get("subject_token_type")?.ok_or(TokenError::Missing("subject_token_type"))?;
        let wanted = params.get("requested_token_type")?.unwrap_or(ACCESS_TOKEN_TYPE);
        if kind != ACCESS_TOKEN_TYPE || wanted != ACCESS_TOKEN_TYPE {
            return Err(TokenError::TokenType);
        }
        if params.get("actor_token")?.is_some() {
            return Err(TokenError::ActorToken);
        }
        let expires_in = params.get("expires_in")?.map(|text| match text.parse() {
            Ok(seconds @ 1..) => Ok(seconds),
            _ => Err(TokenError::ExpiresIn),
        });
        let dpop_jkt = params.get("dpop_jkt")?.map(|text| text.parse().map_err(|_| TokenError::Thumbprint));
        Ok(Self {
            subject_token: subject_token.to_owned(),
            audience: params.all("audience").filter(|audience| !audience.is_empty()).map(str::to_owned).collect(),
            expires_in: expires_in.transpose()?,
            dpop_jkt: dpop_jkt.transpose()?,
        })
    }

    /// `audience`, beside the `resource`s that were sent.
    ///
    /// # Errors
    /// [`TokenError::Target`].
    pub fn audience(&self, resources: Resources, issuer: &str) -> Result<Resources, TokenError> {
        let audience = Resources::read(self.audience.iter().map(String::as_str), issuer)?;
        Ok(resources.and(audience))
    }
}

/// Without the token.
impl core::fmt::Debug for ExchangeRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ExchangeRequest").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = "subject_token=x&subject_token_type=urn:ietf:params:oauth:token-type:access_token";

    fn parse(body: &str) -> Result<ExchangeRequest, TokenError> {
        ExchangeRequest::parse(&Params::parse(body.as_bytes()))
    }

    #[test]
    fn a_request_without_more_is_for_as_much_as_the_old_token() {
        let request = parse(WHOLE).unwrap();
        assert_eq!((request.subject_token.as_str(), request.expires_in), ("x", None));
    }

    #[test]
    fn what_can_not_be_done_is_refused_by_name() {
        for (more, error) in [
            ("&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token", TokenError::TokenType),
            ("&actor_token=y", TokenError::ActorToken),
            ("&expires_in=0", TokenError::ExpiresIn),
            ("&expires_in=soon", TokenError::ExpiresIn),
            ("&dpop_jkt=short", TokenError::Thumbprint),
        ] {
            assert_eq!(parse(&format!("{WHOLE}{more}")).unwrap_err(), error, "{more}");
        }
        assert_eq!(parse("subject_token=x").unwrap_err(), TokenError::Missing("subject_token_type"));
        let saml = "subject_token=x&subject_token_type=urn:ietf:params:oauth:token-type:saml2";
        assert_eq!(parse(saml).unwrap_err(), TokenError::TokenType);
    }

    proptest! {
        #[test]
        fn no_body_makes_the_parser_panic(body in ".{0,200}") {
            let _ = parse(&format!("{WHOLE}&{body}"));
            let _ = parse(&body);
        }
    }
}
