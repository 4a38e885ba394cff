//! What a person is told of a grant: that a part of a cap is used, or that it ends soon.

use super::{
    id::GrantId,
    ledger::Reason,
    ledger::{Cap, Refused},
    limits::Period,
    permission::Permission,
    time::Timestamp,
};

/// So many days before a grant ends its user is told, unless that would be in the first half of its life: whoever allowed something for
/// a day knows that it ends tomorrow. The earlier first.
pub const DAYS_BEFORE_THE_END: [u32; 2] = [3, 1];

/// Names a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoticeId(pub u64);

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its name. Later ones have higher numbers.
    pub id: NoticeId,
    /// Of which grant.
    pub grant_id: GrantId,
    /// The app that has it, as the user saw it.
    pub app: String,
    /// What happened.
    pub about: About,
    /// When.
    pub at: Timestamp,
    /// When the person read it, if they did.
    pub read_at: Option<Timestamp>,
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A part of a cap is used.
    Limit {
        /// The permission whose cap it is; `None`: the whole grant's.
        permission: Option<Permission>,
        /// Which.
        cap: Cap,
        /// What a budget is for.
        period: Period,
        /// What it allows; money in nano-USD.
        allowed: u64,
        /// How much of it is used, in per cent: 50, 80, or 100, used up.
        percent: u8,
        /// What was used by then.
        used: u64,
    },
    /// The grant ends soon.
    Expiry {
        /// When.
        expires_at: Timestamp,
        /// So many days before that.
        days: u32,
    },
}

/// Calls of an app that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCalls {
    /// Whose grant.
    pub grant_id: GrantId,
    /// The app, as the user saw it.
    pub app: String,
    /// Why.
    pub reason: Reason,
    /// How many, when, and what model the last one asked for.
    pub run: Refused,
}
