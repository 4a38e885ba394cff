//! What every handler is given.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    extract::FromRequestParts,
    http::{Extensions, StatusCode, request::Parts},
};

use crate::domain::{
    access_token::SigningKeys,
    oauth::{mac::MacKey, remote_address::Reach},
    permission::Provider,
    risk::Unasked,
    time::Timestamp,
};

/// What does not change between requests. `Debug` shows no key.
#[derive(Debug)]
pub struct Config {
    /// Origin of the broker, without a trailing slash.
    pub issuer: String,
    /// For CSRF tokens and codes derived from consent handles.
    pub cookie_key: MacKey,
    /// For one-time sign-in links.
    pub sign_in_key: MacKey,
    /// For access tokens.
    pub signing_keys: Arc<SigningKeys>,
    /// Providers that have a key.
    pub providers: BTreeSet<Provider>,
    /// Models whose price is known.
    pub known_models: Arc<BTreeMap<Provider, Vec<String>>>,
    /// How apps get known that nobody registered by hand.
    pub registration: RegistrationPolicy,
    /// What is asked of the operator's own addresses.
    pub own_reach: Reach,
    /// What people may allow without a proof that it is them.
    pub unasked: Unasked,
}

/// How apps get known that nobody registered by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrationPolicy {
    /// They may register themselves (RFC 7591).
    pub is_dynamic: bool,
    /// A `client_id` may be the address of a client metadata document.
    pub takes_documents: bool,
    /// What is fetched of the addresses that apps name.
    pub reach: Reach,
}

impl Config {
    /// Whether browsers reach the broker by https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.issuer.starts_with("https://")
    }
}

#[cfg(test)]
impl Config {
    /// What tests begin with.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn example() -> Self {
        let key =
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;
        Self {
            issuer: "https://broker.example".to_owned(),
            cookie_key: MacKey::new([1; 32]),
            sign_in_key: MacKey::new([2; 32]),
            signing_keys: Arc::new(SigningKeys::from_jwk_set(key).unwrap()),
            providers: BTreeSet::new(),
            known_models: Arc::default(),
            registration: RegistrationPolicy::default(),
            own_reach: Reach::Public,
            unasked: Unasked::default(),
        }
    }
}

/// The state of one request: `edge` builds it with the time at which the request came. It travels with the request and not with the
/// routes, which are the same for all: making those takes longer than answering with most of them.
#[derive(Clone, Debug)]
pub struct AppState<P> {
    /// The store, the ledgers, entropy.
    pub ports: P,
    /// When the request came.
    pub now: Timestamp,
    /// What does not change.
    pub config: Arc<Config>,
}

impl<P: Clone + Send + Sync + 'static> AppState<P> {
    pub(super) fn attach(self, extensions: &mut Extensions) {
        extensions.insert(Arc::clone(&self.config));
        extensions.insert(self);
    }
}

impl<P: Clone + Send + Sync + 'static, S: Sync> FromRequestParts<S> for AppState<P> {
    /// Of a request that [`Site`](super::Site) did not hand over: there is none.
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The part of a request's state that needs no ports.
///
/// # Errors
/// As of [`AppState`].
pub(super) fn config_of(extensions: &Extensions) -> Result<Arc<Config>, StatusCode> {
    extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What the log should say about a response and the wire must not. An extension of the response; `edge` writes it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDetail(pub String);
