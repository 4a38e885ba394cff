//! Places of this isolate: memory for bodies, and each grant's queue; `gateway::admission` decides who gets one.

use std::{cell::RefCell, collections::HashMap};

use crate::{
    domain::id::GrantId,
    edge::{clock, settings::Settings},
    gateway::{Failure, admission::Places},
};

/// Seconds after which a call that waits for its ledger no longer counts, beside the time that its body may take.
const LEDGER_SECONDS: u64 = 60;

thread_local! {
    static BODIES: RefCell<Places> = RefCell::new(Places::default());
    static WAITING: RefCell<HashMap<GrantId, Places>> = RefCell::new(HashMap::new());
}

/// Memory for a body, until this is dropped.
#[derive(Debug)]
pub struct Memory(u64);

impl Memory {
    /// So many bytes.
    ///
    /// # Errors
    /// [`Failure::BrokerBusy`]: other bodies take what there is.
    pub fn take(bytes: u64, settings: &Settings) -> Result<Self, Failure> {
        let now = clock::now();
        // As long as the body may take to come, and to go upstream.
        let until = now
            .plus_seconds(u64::from(settings.body_patience.seconds).saturating_add(settings.upstream_timeout_seconds));
        let taken = BODIES.with_borrow_mut(|bodies| bodies.take(bytes, settings.body_memory_bytes, now, until));
        taken.map(Self).ok_or(Failure::BrokerBusy)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        BODIES.with_borrow_mut(|bodies| bodies.give_back(self.0));
    }
}

/// A place in the queue of a grant's ledger, until this is dropped.
#[derive(Debug)]
pub struct Waiting {
    grant: GrantId,
    number: u64,
}

impl Waiting {
    /// One more call of a grant.
    ///
    /// # Errors
    /// [`Failure::TooManyWaiting`]
    pub fn take(grant: &GrantId, settings: &Settings) -> Result<Self, Failure> {
        let now = clock::now();
        let until = now.plus_seconds(u64::from(settings.body_patience.seconds).saturating_add(LEDGER_SECONDS));
        let number = WAITING.with_borrow_mut(|waiting| {
            let places = waiting.entry(grant.clone()).or_default();
            places.take(1, settings.calls_waiting.into(), now, until)
        });
        number.map(|number| Self { grant: grant.clone(), number }).ok_or(Failure::TooManyWaiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| {
            if let Some(places) = waiting.get_mut(&self.grant) {
                places.give_back(self.number);
                if places.is_empty() {
                    waiting.remove(&self.grant);
                }
            }
        });
    }
}
