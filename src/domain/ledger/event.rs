//! What the ledger has to say to others: what to store, and what was booked.

use serde::{Deserialize, Serialize};

use super::{
    super::{grant::Terms, id::DelegationId, money::NanoUsd, time::Timestamp},
    Hold, Summary,
    amounts::Amounts,
    command::{HoldId, Record},
    delegation::Delegation,
    refusals::Refusals,
    thresholds::Reached,
};

/// What the shell has to store, or to arrange, before the reply leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Replace the stored terms.
    SaveTerms(Box<Terms>),
    /// Replace the stored summary.
    SaveSummary(Box<Summary>),
    /// Insert or replace a hold.
    SaveHold(HoldId, Box<Hold>),
    /// Delete a hold.
    DropHold(HoldId),
    /// Insert or replace a delegation.
    SaveDelegation(Box<Delegation>),
    /// Delete a delegation, if it is there.
    DropDelegation(DelegationId),
    /// Add to, or replace in, what is yet to be told to the world.
    Book(Box<Event>),
    /// Add to what is yet to be told to the person.
    Tell(Box<Reached>),
    /// Replace the stored refusals.
    SaveRefusals(Box<Refusals>),
    /// Send [`super::Command::Wake`] at this time, instead of any earlier arrangement.
    WakeAt(Timestamp),
}

/// A booking. The amounts of all bookings of a ledger, each by its highest revision, are what it has booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The hold that became it; unique in its ledger.
    pub hold: HoldId,
    /// Counts corrections.
    pub revision: u32,
    /// The permission that carried it. `None`: more than one may have.
    pub permission: Option<usize>,
    /// When the call was let through.
    pub reserved_at: Timestamp,
    /// When it was booked.
    pub booked_at: Timestamp,
    /// What was booked.
    pub amounts: Amounts,
    /// Of the money: what the call cost above its bound.
    #[serde(default, skip_serializing_if = "NanoUsd::is_zero")]
    pub over_bound: NanoUsd,
    /// How that is known.
    pub basis: Basis,
    /// The delegation that called, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<DelegationId>,
    /// The call.
    pub record: Record,
}

/// How the amount of a booking is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The provider said so.
    Usage,
    /// The provider didn't say: what the call can have cost at most.
    Bound,
    /// Nobody settled it in time: what the call can have cost at most.
    Overdue,
    /// Set aside for calls that a crash made doubtful: what they can have cost at most.
    Unaccounted,
    /// It turned out that nothing was billed.
    Released,
}

impl Basis {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Usage, Self::Bound, Self::Overdue, Self::Unaccounted, Self::Released];

    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.as_str() == text)
    }

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Bound => "bound",
            Self::Overdue => "overdue",
            Self::Unaccounted => "unaccounted",
            Self::Released => "released",
        }
    }
}
