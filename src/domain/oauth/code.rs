//! Authorization codes and refresh tokens: their rows, and who may use them.
//!
//! The rules are checked on a row that was read, and only then is the row consumed, in one conditional write. So whoever presents a
//! stolen code without its verifier burns nothing, and of two who present the right one together, one wins.

use serde::{Deserialize, Serialize};

use super::{
    client::Client,
    error::TokenError,
    pkce::{CodeChallenge, CodeVerifier},
    resource::Resources,
};
use crate::domain::{
    id::{ClientId, GrantId},
    jose::JwkThumbprint,
    secret::{AuthorizationCode, RefreshToken, SecretHash},
    time::Timestamp,
};

/// Life of a code; RFC 6749 §4.1.2 recommends at most ten minutes, and an app redeems it within a second.
pub const CODE_TTL_SECONDS: u64 = 60;

/// What the tokens that come of a code, a device code or a refresh token are bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The thumbprint of the key that must be proven (RFC 9449 §5, §10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<JwkThumbprint>,
    /// Which part of the broker the tokens are for (RFC 8707).
    #[serde(default)]
    pub resources: Resources,
    /// When the user signed in, to the session that agreed (RFC 9068 §2.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
}

/// A row of `authorization_codes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCodeRow {
    /// Its name in the store.
    pub hash: SecretHash<AuthorizationCode>,
    /// What it is exchanged for.
    pub grant_id: GrantId,
    /// Who may redeem it.
    pub client_id: ClientId,
    /// As presented at `/authorize`.
    pub redirect_uri: String,
    /// As presented at `/authorize`.
    pub code_challenge: CodeChallenge,
    /// What the tokens will be bound to.
    pub binding: Binding,
    /// From this moment on it is refused.
    pub expires_at: Timestamp,
    /// When it was used up.
    pub redeemed_at: Option<Timestamp>,
}

impl AuthorizationCodeRow {
    /// Whether `client` may redeem it with these values. The redirect URI is compared where one is sent.
    ///
    /// A replay counts only when everything else is right: then the first user of the code or this one stole it, and the grant ends
    /// (RFC 6749 §4.1.2). Anybody else learns nothing and ends nothing.
    ///
    /// # Errors
    /// [`TokenError`], the reason.
    pub fn check(
        &self,
        client: &Client,
        redirect_uri: Option<&str>,
        verifier: &CodeVerifier,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        if self.client_id != client.id {
            return Err(TokenError::CodeOfAnotherClient);
        }
        if redirect_uri.is_some_and(|sent| sent != self.redirect_uri) {
            return Err(TokenError::WrongRedirectUri);
        }
        if !self.code_challenge.is_met_by(verifier) {
            return Err(TokenError::WrongVerifier);
        }
        if self.redeemed_at.is_some() {
            return Err(TokenError::CodeReplayed(self.grant_id.clone()));
        }
        if now >= self.expires_at {
            return Err(TokenError::CodeExpired);
        }
        Ok(())
    }
}

/// A row of `refresh_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshTokenRow {
    /// Its name in the store.
    pub hash: SecretHash<RefreshToken>,
    /// The grant that it renews access to.
    pub grant_id: GrantId,
    /// Who may use it.
    pub client_id: ClientId,
    /// What the tokens are bound to.
    pub binding: Binding,
    /// When it was issued.
    pub created_at: Timestamp,
    /// From this moment on it is refused: the end of the grant.
    pub expires_at: Timestamp,
    /// When it was replaced by the next one.
    pub rotated_at: Option<Timestamp>,
}

impl RefreshTokenRow {
    /// Whether `client` may use it.
    ///
    /// # Errors
    /// [`TokenError`], the reason. A rotated one that its own client presents ends the grant (RFC 9700 §4.14.2).
    pub fn check(&self, client: &Client, now: Timestamp) -> Result<(), TokenError> {
        if self.client_id != client.id {
            return Err(TokenError::RefreshOfAnotherClient);
        }
        if self.rotated_at.is_some() {
            return Err(TokenError::RefreshReplayed(self.grant_id.clone()));
        }
        if now >= self.expires_at {
            return Err(TokenError::RefreshExpired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::oauth::client::ClientAuth;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const REDIRECT: &str = "https://app.example/cb";

    fn client(id: &str) -> Client {
        Client { id: id.parse().unwrap(), ..Client::example(ClientAuth::Public) }
    }

    fn verifier(text: &str) -> CodeVerifier {
        text.to_owned().try_into().unwrap()
    }

    fn code() -> AuthorizationCodeRow {
        AuthorizationCodeRow {
            hash: SecretHash::from_stored("00".into()),
            grant_id: "grant_1".parse().unwrap(),
            client_id: "app".parse().unwrap(),
            redirect_uri: REDIRECT.into(),
            code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned().try_into().unwrap(),
            binding: Binding::default(),
            expires_at: NOW.plus_seconds(CODE_TTL_SECONDS),
            redeemed_at: None,
        }
    }

    #[test]
    fn the_right_values_redeem_a_code() {
        assert_eq!(code().check(&client("app"), Some(REDIRECT), &verifier(VERIFIER), NOW), Ok(()));
        assert_eq!(
            code().check(&client("app"), None, &verifier(VERIFIER), NOW),
            Ok(()),
            "OAuth 2.1 knows no redirect_uri here"
        );
    }

    #[test]
    fn a_wrong_verifier_does_not_count_as_a_replay() {
        let redeemed = AuthorizationCodeRow { redeemed_at: Some(NOW), ..code() };
        let wrong = verifier(&"a".repeat(43));
        assert_eq!(redeemed.check(&client("app"), Some(REDIRECT), &wrong, NOW), Err(TokenError::WrongVerifier));
    }

    #[test]
    fn a_replay_with_everything_right_names_the_grant_even_after_expiry() {
        let redeemed = AuthorizationCodeRow { redeemed_at: Some(NOW), ..code() };
        let late = NOW.plus_seconds(3600);
        assert_eq!(
            redeemed.check(&client("app"), Some(REDIRECT), &verifier(VERIFIER), late),
            Err(TokenError::CodeReplayed("grant_1".parse().unwrap()))
        );
    }

    #[test]
    fn another_client_another_redirect_and_an_expired_code_are_refused() {
        let verifier = verifier(VERIFIER);
        let late = NOW.plus_seconds(CODE_TTL_SECONDS);
        assert_eq!(
            code().check(&client("other"), Some(REDIRECT), &verifier, NOW),
            Err(TokenError::CodeOfAnotherClient)
        );
        assert_eq!(
            code().check(&client("app"), Some("https://app.example/"), &verifier, NOW),
            Err(TokenError::WrongRedirectUri)
        );
        assert_eq!(code().check(&client("app"), Some(REDIRECT), &verifier, late), Err(TokenError::CodeExpired));
    }

    #[test]
    fn a_refresh_token_of_another_client_does_not_count_as_a_replay() {
        let rotated = RefreshTokenRow {
            hash: SecretHash::from_stored("00".into()),
            grant_id: "grant_1".parse().unwrap(),
            client_id: "app".parse().unwrap(),
            binding: Binding::default(),
            created_at: NOW,
            expires_at: NOW.plus_seconds(1),
            rotated_at: Some(NOW),
        };
        assert_eq!(rotated.check(&client("other"), NOW), Err(TokenError::RefreshOfAnotherClient));
        assert!(matches!(rotated.check(&client("app"), NOW), Err(TokenError::RefreshReplayed(_))));
    }
}
