//! Limits: what a permission or a whole grant may use at most.

use core::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

/// Largest number that is stored: D1 and Durable Objects hand numbers to wasm as JavaScript doubles.
pub const MAX_STORED_INTEGER: u64 = (1 << 53) - 1;

/// The `limits` object of an authorization detail. An absent limit doesn't bind.
///
/// `budget_usd` and `tokens` are part of the grant language but not of this type: what can not be enforced is not accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Calls over the life of the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<NonZeroU64>,
    /// Calls in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Calls in flight at one moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<NonZeroU32>,
}

impl Limits {
    /// Nothing is limited.
    pub const NONE: Self = Self { requests: None, requests_per_minute: None, concurrency: None };

    /// Whether every limit of `other` is kept or made tighter by `self`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        fn tighter<T: Ord>(mine: Option<T>, theirs: Option<T>) -> bool {
            match (mine, theirs) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(mine), Some(theirs)) => mine <= theirs,
            }
        }
        tighter(self.requests, other.requests)
            && tighter(self.requests_per_minute, other.requests_per_minute)
            && tighter(self.concurrency, other.concurrency)
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}
