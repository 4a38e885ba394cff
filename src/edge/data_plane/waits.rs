//! Waits that providers asked this isolate for; `gateway::throttle` decides which are kept.

use std::cell::RefCell;

use crate::{
    domain::{id::GrantId, permission::Provider},
    edge::clock,
    gateway::throttle::{Throttle, Wait},
};

thread_local! {
    static THROTTLE: RefCell<Throttle> = RefCell::new(Throttle::default());
}

/// Seconds until a grant's call of a model should be made; `None`: now.
#[must_use]
pub fn seconds_left(grant: &GrantId, provider: Provider, model: &str) -> Option<u64> {
    THROTTLE.with_borrow(|throttle| throttle.seconds_left(grant, provider, model, clock::now()))
}

/// The provider answered a grant's call of a model with this.
pub fn note(grant: &GrantId, provider: Provider, model: &str, wait: Wait) {
    THROTTLE.with_borrow_mut(|throttle| throttle.note(grant, provider, model, wait, clock::now()));
}
