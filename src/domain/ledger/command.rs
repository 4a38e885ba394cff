//! What is said to a ledger and what it answers. The same types stand on both sides of the Durable Object.

use serde::{Deserialize, Serialize};

use super::super::{
    permission::{Capability, ModelPattern, Provider},
    time::Timestamp,
};

/// Names a hold within its ledger. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HoldId(pub u64);

/// What a call wants to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// At which provider.
    pub provider: Provider,
    /// What there.
    pub need: Need,
}

/// What a call needs to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Need {
    /// To use a model. Counts as a request.
    Model {
        /// Every model that the call can dispatch: all of these, in one permission.
        models: Vec<String>,
        /// All of these, in one permission.
        capabilities: Vec<Capability>,
    },
    /// To list models, or to look at one. Always allowed at a granted provider; it has a rate, but is not a request that is used up.
    Models {
        /// The one to look at; all when absent.
        model: Option<String>,
    },
}

/// A command. Every one of them may be sent twice: the second time changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// May this call be made? Holds its upper bound if so.
    Reserve {
        /// What the call wants.
        claim: Claim,
        /// Seconds after which the hold is booked at its bound if nobody settled it.
        hold_ttl_seconds: u64,
    },
    /// The call was made: books it.
    Settle(HoldId),
    /// Nothing was billed: the hold is given back.
    Release(HoldId),
    /// No to every later reserve, for ever.
    Revoke,
    /// What was used so far.
    Read,
    /// Books the holds whose deadline has come. The alarm sends it.
    ExpireHolds,
}

/// The answer to a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To `Reserve`: go ahead.
    Reserved(Reservation),
    /// To `Reserve`: no.
    Refused(Refusal),
    /// To `Settle`, `Release`, `Revoke` and `ExpireHolds`.
    Done,
    /// To `Read`.
    Snapshot(Snapshot),
}

/// A hold that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// To settle or release it by.
    pub hold: HoldId,
    /// Requests that are left after this one, by the tightest limit that counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_remaining: Option<u64>,
    /// For [`Need::Models`]: what may be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelPattern>,
    /// Whether a `concurrency` limit counts this call: then its answer should not end before it is settled, or a client that
    /// calls again at once is refused because of a call that it has seen the end of.
    #[serde(default)]
    pub concurrency_limited: bool,
}

/// Whether a limit is a permission's or the whole grant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// `limits` of an `ai_access` entry.
    Permission,
    /// `ai_limits`.
    Grant,
}

/// Which limit refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Whose it is.
    pub scope: Scope,
    /// What it allows.
    pub allowed: u64,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no such grant.
    NoSuchGrant,
    /// The grant was revoked.
    Revoked,
    /// The grant has expired.
    Expired,
    /// No permission names this provider.
    ProviderNotGranted,
    /// No permission at this provider names this model; of several that the call names, the first such.
    ModelNotGranted(String),
    /// The model is granted, but not for this.
    CapabilityNotGranted(Capability),
    /// `requests` is used up.
    RequestsExhausted(Limit),
    /// What is left of `requests` is held by calls in flight.
    RequestsHeld(Limit),
    /// `requests_per_minute` is reached.
    RateLimited {
        /// The limit.
        limit: Limit,
        /// When a call fits again, as far as is known.
        resets_at: Timestamp,
        /// The same in seconds from now.
        retry_after_seconds: u64,
    },
    /// `concurrency` is reached.
    ConcurrencyExceeded(Limit),
}

/// What a grant used, for the person who watches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When the last call was allowed.
    pub last_used_at: Option<Timestamp>,
    /// Over the whole grant.
    pub overall: ScopeUsage,
    /// Per permission, in the order of the terms.
    pub permissions: Vec<ScopeUsage>,
}

/// What was used under one set of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeUsage {
    /// Booked calls.
    pub requests_used: u64,
    /// Calls that are held and not booked yet.
    pub requests_held: u64,
    /// Calls in flight.
    pub in_flight: u64,
    /// Calls in the last 60 seconds.
    pub last_minute: u64,
}
