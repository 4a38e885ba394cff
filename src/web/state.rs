//! What every handler is given.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::domain::{
    access_token::SigningKeys,
    oauth::{mac::MacKey, remote_address::Reach},
    permission::Provider,
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

/// The state of one request: `edge` builds it with the time at which the request came.
#[derive(Clone, Debug)]
pub struct AppState<P> {
    /// The store, the ledgers, entropy.
    pub ports: P,
    /// When the request came.
    pub now: Timestamp,
    /// What does not change.
    pub config: Arc<Config>,
}

/// What the log should say about a response and the wire must not. An extension of the response; `edge` writes it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDetail(pub String);
