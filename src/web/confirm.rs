//! Whether it is still the same person: asked again before what is risky, such as raising a cap or removing a passkey.

use super::visitor::Visitor;
use crate::domain::time::Timestamp;

/// So long a person is believed after they proved that it is them.
pub const CONFIRMED_SECONDS: u64 = 600;

/// Whether they proved it a short while ago.
#[must_use]
pub const fn is_recent(visitor: &Visitor, now: Timestamp) -> bool {
    now.seconds() < visitor.confirmed_at.seconds() + CONFIRMED_SECONDS
}
