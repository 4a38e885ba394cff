//! What is said to a ledger and what it answers. The same types stand on both sides of the Durable Object.

use serde::{Deserialize, Serialize};

use super::{
    super::{
        grant::Terms,
        id::{DelegationId, UserId},
        limits::{Limits, Period},
        money::{Amount, NanoUsd},
        permission::{Capability, ModelPattern, Provider},
        time::Timestamp,
    },
    amounts::Amounts,
    bound::Bound,
    delegation::{Beyond, Delegate},
    govern::Govern,
    proofs::ProofUse,
    refusals::Reason,
    usage::Snapshot,
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
    /// The provider's own path, for whoever looks at the bookings.
    pub endpoint: String,
    /// What it can cost.
    pub worst: Worst,
}

/// What a call needs to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Need {
    /// To use a model. Counts as a request.
    Model {
        /// Every model that the call can dispatch: all of these, in one permission. The first is the one that it asks for.
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

impl Need {
    /// The model that is asked for; none for a list.
    #[must_use]
    pub fn model(&self) -> String {
        match self {
            Self::Model { models, .. } => models.first().cloned().unwrap_or_default(),
            Self::Models { model } => model.clone().unwrap_or_default(),
        }
    }
}

/// What a call can cost at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Worst {
    /// The provider bills nothing for it.
    Free,
    /// This.
    Bound(Bound),
    /// Nobody can say, for this reason: under a cap of money or tokens it is refused.
    Unknown(String),
    /// Nobody can say, because more tools than this run at the provider: refused likewise.
    TooManyTools(u64),
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
        /// For how many more calls like this one room is set aside durably, so that they need no write of their own; 0: none.
        /// Says nothing where a delegation calls: its calls always have a row.
        ahead: u32,
        /// The delegation that calls; `None`: the app that the grant was given to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegation: Option<DelegationId>,
        /// The `DPoP` proof that comes with the call. It is used up by this, whatever the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<ProofUse>,
        /// When the access token that comes with the call was issued; `None`: an account is asked, which has no tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issued_at: Option<Timestamp>,
    },
    /// The call was made: books it.
    Settle(Box<Settlement>),
    /// Nothing was billed: the hold is given back. The call stays in the rate, since providers count it in theirs.
    Release(Ticket),
    /// The call never left the broker: the hold is given back, and its place in the rate.
    Withdraw(Ticket),
    /// Other limits from now on, or a pause.
    Change(Change),
    /// What the operator's policy says from now on.
    Govern(Box<Govern>),
    /// No to every later reserve, for ever.
    Revoke,
    /// No to every later reserve by an access token of the grant itself that was issued at this second or before, and of all that was
    /// narrowed from one (RFC 7009 §2.1).
    RevokeTokens(Timestamp),
    /// Gives a narrower part of the grant, or of a delegation, to somebody else.
    Delegate(Box<Delegate>),
    /// No to every later reserve of this delegation and of all that were narrowed from it, for ever.
    RevokeDelegation(DelegationId),
    /// A call was refused before it came to the ledger.
    NoteRefusal {
        /// Why.
        reason: Reason,
        /// The model that it asked for; empty where that isn't known.
        model: String,
    },
    /// Could a call of this provider be let through at all? Asked before a large body is read; holds nothing, and promises nothing.
    Look {
        /// The provider.
        provider: Provider,
        /// The delegation that calls; `None`: the app that the grant was given to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegation: Option<DelegationId>,
    },
    /// What was used so far.
    Read,
    /// Does what is due. The alarm sends it.
    Wake,
}

/// A hold, as whoever made the call remembers it. That is how a ledger that lost its memory knows what to give back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Which hold.
    pub hold: HoldId,
    /// Position in [`Terms::permissions`](super::super::grant::Terms::permissions).
    pub permission: usize,
    /// What it takes.
    pub amounts: Amounts,
    /// Whether `amounts` is the most that the call can cost, in money and tokens.
    pub bounded: bool,
    /// The delegation that called, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<DelegationId>,
}

/// What a call cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Whose.
    pub ticket: Ticket,
    /// What is booked. `None`: the provider didn't say; then the bound is.
    pub cost: Option<Cost>,
    /// What else is known of the call; the ledger only passes it on.
    pub record: Record,
}

/// Money and tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Money; nothing where the model has no price.
    pub nano_usd: NanoUsd,
    /// Tokens read and written.
    pub tokens: u64,
    /// Whether it is what the provider said, and not a bound.
    pub exact: bool,
}

/// What a person will want to know of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// At the provider.
    pub provider: Option<Provider>,
    /// The model that was asked for.
    pub model: String,
    /// The provider's own path.
    pub endpoint: String,
    /// The provider's HTTP status; 0: it never answered.
    #[serde(default)]
    pub status: u16,
    /// From the reserve to the end of the answer, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// Tokens read, cached ones included.
    #[serde(default)]
    pub input_tokens: u64,
    /// Of those: from a cache.
    #[serde(default)]
    pub cached_tokens: u64,
    /// Tokens written, hidden ones included.
    #[serde(default)]
    pub output_tokens: u64,
    /// The table of prices that was used.
    #[serde(default)]
    pub price_version: String,
    /// The broker's name for the call.
    #[serde(default)]
    pub request_id: String,
}

/// What the user changes about a grant. Everything that isn't named stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Over the whole grant.
    pub limits: Limits,
    /// Per permission, in the order of the terms.
    pub permissions: Vec<Limits>,
    /// Whether every call is refused until the user resumes it.
    pub paused: bool,
    /// From this moment on every call is refused; it has to lie ahead. `None`: as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Of the terms that the change was made from. Where others hold by now nothing is changed. `None`: of any.
    #[serde(default)]
    pub revision: Option<u64>,
}

/// The answer to a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To `Reserve`: go ahead.
    Reserved(Reservation),
    /// To `Reserve`, `Look` and `Delegate`, or to `Change` on a grant that has ended or to an end that has passed: no.
    Refused(Refusal),
    /// To `Look`: perhaps; to `Settle`, `Release`, `Withdraw`, `Govern`, `Revoke`, `RevokeTokens`, `RevokeDelegation`, `NoteRefusal` and
    /// `Wake`.
    Done,
    /// To `Change`: what holds now, which is something else where a change came first.
    Changed(Terms),
    /// To `Delegate`: what holds now, which is what was said the first time that this name was used.
    Delegated(Box<Delegate>),
    /// To `Read`.
    Snapshot(Box<Snapshot>),
}

/// A hold that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// To settle or release it by.
    pub ticket: Ticket,
    /// The caller named no maximum and the model's own doesn't fit: this many tokens each choice may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Requests that are left after this one, by the tightest limit that counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_remaining: Option<u64>,
    /// Money that is left beside this call and those in flight, by the tightest budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_remaining: Option<NanoUsd>,
    /// Tokens that are left beside this call and those in flight, by the tightest limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_remaining: Option<u64>,
    /// For [`Need::Models`]: what may be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelPattern>,
    /// Whether a `concurrency` limit counts this call: then its answer should not end before it is settled, or a client that
    /// calls again at once is refused because of a call that it has seen the end of.
    #[serde(default)]
    pub concurrency_limited: bool,
    /// [`Terms::account`]: the account's ledger has to say yes too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<UserId>,
    /// [`Terms::ceiling`], as this ledger knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Amount>,
    /// [`Terms::policy`].
    #[serde(default)]
    pub policy: u64,
}

/// Whether a limit is a permission's, the whole grant's, or a delegation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// `limits` of an `ai_access` entry.
    Permission,
    /// `ai_limits`.
    Grant,
    /// Either of them, of the delegation that calls or of one that it was narrowed from.
    Delegation,
    /// What the operator allows for one grant of a member.
    Ceiling,
    /// What the operator allows for all grants of a member together.
    Account,
}

/// Which limit refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Whose it is.
    pub scope: Scope,
    /// What it allows.
    pub allowed: u64,
}

/// A cap of money or tokens that a call doesn't fit under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The cap; money in nano-USD.
    pub limit: Limit,
    /// Money or tokens.
    pub of: Resource,
    /// The most that the call can take.
    pub needed: u64,
    /// What is left for it, leaving calls in flight aside.
    pub remaining: u64,
    /// Most tokens that could be written for what is left; `None`: not even what is read fits.
    pub fitting_output_tokens: Option<u64>,
    /// When a budget of a day or a month begins anew.
    pub resets_at: Option<Timestamp>,
}

/// What a [`Shortage`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// `budget_usd`, for this period.
    Budget(Period),
    /// `tokens`.
    Tokens,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no such grant.
    NoSuchGrant,
    /// The grant, the delegation, or the access token was revoked.
    Revoked,
    /// The grant, or the delegation, has expired.
    Expired,
    /// There is no such delegation: there never was, or it ended and was forgotten.
    NoSuchDelegation,
    /// What was to be delegated reaches beyond what it is taken from.
    NotWithinParent(Beyond),
    /// The grant has as many delegations as one can have.
    TooManyDelegations,
    /// The `DPoP` proof was used before.
    ProofReplayed,
    /// The nonce of the `DPoP` proof is from a time of which it isn't known any more, or not yet, which proofs were used.
    ProofTooOld {
        /// A nonce that is made at this time is accepted; one of an earlier time may not be.
        floor: Timestamp,
    },
    /// A budget was to be raised above what the operator allows for one grant.
    BeyondCeiling(Amount),
    /// The user paused the grant.
    Paused,
    /// No permission names this provider.
    ProviderNotGranted,
    /// No permission at this provider names this model; of several that the call names, the first such.
    ModelNotGranted(String),
    /// The model is granted, but not for this.
    CapabilityNotGranted(Capability),
    /// What the call can cost is not known, for this reason, and there is a cap of money or tokens.
    PriceUnknown(String),
    /// More tools than this run at the provider, and there is a cap of money or tokens.
    TooManyTools(u64),
    /// The call doesn't fit under a cap, whatever becomes of the calls in flight.
    DoesNotFit(Shortage),
    /// What is left under a cap is held by calls in flight.
    RoomHeld(Shortage),
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

impl Refusal {
    /// Whether waiting doesn't cure it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::NoSuchGrant
            | Self::Revoked
            | Self::Expired
            | Self::BeyondCeiling(_)
            | Self::Paused
            | Self::NoSuchDelegation
            | Self::NotWithinParent(_)
            | Self::TooManyDelegations
            | Self::ProofReplayed
            | Self::ProofTooOld { .. }
            | Self::ProviderNotGranted
            | Self::ModelNotGranted(_)
            | Self::CapabilityNotGranted(_)
            | Self::PriceUnknown(_)
            | Self::TooManyTools(_)
            | Self::DoesNotFit(_)
            | Self::RequestsExhausted(_) => true,
            Self::RoomHeld(_) | Self::RequestsHeld(_) | Self::RateLimited { .. } | Self::ConcurrencyExceeded(_) => {
                false
            }
        }
    }
}
