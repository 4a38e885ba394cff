//! An app: an OAuth client (RFC 6749 §2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::redirect_uri::RedirectUri;
use crate::domain::{
    access_token::SigningAlgorithm,
    id::{ClientId, UserId},
    secret::{ClientSecret, RegistrationToken, SecretHash},
    time::Timestamp,
};

/// A row of `clients`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// How the broker came to know it, and so what of it is verified.
    pub kind: ClientKind,
    /// As its developer calls it. Nobody verified it.
    pub name: String,
    /// As its developer wrote it. Nobody verified it.
    pub home_page: Option<String>,
    /// A picture, as its developer wrote it. Never loaded by a page of the broker.
    pub logo_uri: Option<String>,
    /// Empty only where [`Self::grant_types`] doesn't hold `authorization_code`.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may do at `/token`.
    pub grant_types: BTreeSet<GrantType>,
    /// How it proves who it is.
    pub auth: ClientAuth,
    /// Which of the two ways its library sends the secret, as it said: in the body. Both are taken.
    pub prefers_secret_in_body: bool,
    /// RFC 9126 §6: it may start a request at `/par` alone.
    pub requires_par: bool,
    /// RFC 9449 §5.2 (`dpop_bound_access_tokens`): its tokens are always bound to a key.
    pub requires_dpop: bool,
    /// What its access tokens are signed with.
    pub access_token_alg: SigningAlgorithm,
    /// What else it said of itself: repeated to it, and used for nothing.
    pub described: Map<String, Value>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// How the broker came to know a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A person registered it under `/apps`; `None`: the deployment brought it along.
    Registered(Option<UserId>),
    /// It registered itself (RFC 7591). The hash is that of its `registration_access_token` (RFC 7592).
    Dynamic(SecretHash<RegistrationToken>),
    /// Its `client_id` is the https address of a client metadata document, which was read.
    Document {
        /// Until when it need not be read again.
        fresh_until: Timestamp,
    },
}

impl ClientKind {
    /// The column `kind`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Registered(_) => "registered",
            Self::Dynamic(_) => "dynamic",
            Self::Document { .. } => "document",
        }
    }
}

/// How an app proves who it is at `/token` and the other endpoints for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// It can't keep a secret (a browser, a desktop or command-line app): PKCE protects it (RFC 6749 §2.1).
    Public,
    /// It has a secret, sent as `client_secret_basic` or `client_secret_post` as its library prefers.
    Confidential(SecretHash<ClientSecret>),
    /// It signs assertions (`private_key_jwt`, RFC 7523 §2.2).
    PrivateKey(ClientKeys),
}

/// Where the public keys of a client are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKeys {
    /// `jwks`: a JWK set, as JSON.
    Inline(String),
    /// `jwks_uri`: the https address of one.
    Uri(String),
}

impl ClientAuth {
    /// The column `token_endpoint_auth_method`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Public => "none",
            Self::Confidential(_) => "client_secret_basic",
            Self::PrivateKey(_) => "private_key_jwt",
        }
    }

    /// The column `secret_hash`.
    #[must_use]
    pub fn secret_hash(&self) -> Option<&SecretHash<ClientSecret>> {
        match self {
            Self::Confidential(hash) => Some(hash),
            Self::Public | Self::PrivateKey(_) => None,
        }
    }

    /// The columns `jwks` and `jwks_uri`.
    #[must_use]
    pub fn keys(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::PrivateKey(ClientKeys::Inline(json)) => (Some(json), None),
            Self::PrivateKey(ClientKeys::Uri(uri)) => (None, Some(uri)),
            Self::Public | Self::Confidential(_) => (None, None),
        }
    }

    /// From the four columns; `None` when they contradict each other.
    #[must_use]
    pub fn from_stored(
        method: &str,
        secret_hash: Option<String>,
        jwks: Option<String>,
        jwks_uri: Option<String>,
    ) -> Option<Self> {
        match (method, secret_hash, jwks, jwks_uri) {
            ("none", None, None, None) => Some(Self::Public),
            ("client_secret_basic" | "client_secret_post", Some(hash), None, None) => {
                Some(Self::Confidential(SecretHash::from_stored(hash)))
            }
            ("private_key_jwt", None, Some(jwks), None) => Some(Self::PrivateKey(ClientKeys::Inline(jwks))),
            ("private_key_jwt", None, None, Some(uri)) => Some(Self::PrivateKey(ClientKeys::Uri(uri))),
            _ => None,
        }
    }
}

/// `grant_type` at `/token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GrantType {
    /// RFC 6749 §4.1.
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// RFC 6749 §6.
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// RFC 8628 §3.4.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 8693 §2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

impl GrantType {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::AuthorizationCode, Self::RefreshToken, Self::DeviceCode, Self::TokenExchange];

    /// As it goes over the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// From the wire.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant_type| grant_type.as_str() == text)
    }
}

impl Client {
    /// Whether `presented` is one of its redirect URIs.
    #[must_use]
    pub fn may_redirect_to(&self, presented: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered.matches(presented))
    }

    /// Whether it may use this grant type.
    #[must_use]
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// Who registered it by hand.
    #[must_use]
    pub const fn owner(&self) -> Option<&UserId> {
        match &self.kind {
            ClientKind::Registered(owner) => owner.as_ref(),
            ClientKind::Dynamic(_) | ClientKind::Document { .. } => None,
        }
    }
}

/// A public client that may do everything, for tests.
#[cfg(test)]
impl Client {
    /// Named `app`, with one redirect URI.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn example(auth: ClientAuth) -> Self {
        Self {
            id: "app".parse().unwrap(),
            kind: ClientKind::Registered(None),
            name: "App".into(),
            home_page: Some("https://app.example/".into()),
            logo_uri: None,
            redirect_uris: vec!["https://app.example/cb".parse().unwrap()],
            grant_types: GrantType::ALL.into(),
            auth,
            prefers_secret_in_body: false,
            requires_par: false,
            requires_dpop: false,
            access_token_alg: SigningAlgorithm::EdDSA,
            described: Map::new(),
            created_at: Timestamp::from_seconds(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_contradict_each_other_are_no_authentication() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(ClientAuth::from_stored("none", text("00"), None, None), None);
        assert_eq!(ClientAuth::from_stored("client_secret_basic", None, None, None), None);
        assert_eq!(ClientAuth::from_stored("private_key_jwt", None, None, None), None);
        assert_eq!(ClientAuth::from_stored("private_key_jwt", None, text("{}"), text("https://a.example")), None);
    }
}
