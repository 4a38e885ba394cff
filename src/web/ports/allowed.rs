//! What people allowed, and how sure it is that it was them.

use core::future::Future;

use super::{StoreError, Write};
use crate::domain::{
    id::UserId,
    money::NanoUsd,
    risk::{History, WorstCase},
    time::Timestamp,
};

/// How sure it is that a person allows something themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// They proved it a short while ago.
    Proven,
    /// Nobody asked them.
    Unproven {
        /// So much money may be allowed so within [`UNPROVEN_SECONDS`](crate::domain::risk::UNPROVEN_SECONDS), together with this.
        most: NanoUsd,
    },
}

/// Tables `allowed`, `allowed_uses` and `allowed_destinations`. The uses of a grant are noted by whatever makes it
/// (`migrations/0019_proofs.sql`).
pub trait Allowed {
    /// What is known of a person when they are about to allow something, that itself left out where it was noted before.
    fn find_history(
        &self,
        user: &UserId,
        deed: &str,
        case: &WorstCase,
        now: Timestamp,
    ) -> impl Future<Output = Result<History, StoreError>> + Send;

    /// Notes what is about to be allowed, before it is: one conditional statement, so that of many at once none goes beyond the most.
    /// `deed` says what it is; the same deed with the same worst case counts once. [`Write::Lost`]: it is too much without a proof.
    fn note_allowed(
        &self,
        user: &UserId,
        deed: &str,
        case: &WorstCase,
        certainty: Certainty,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}
