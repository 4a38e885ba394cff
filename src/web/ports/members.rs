//! Who has an account here, what they may hand on, and the tokens that they make for themselves.

use core::future::Future;

use super::{StoreError, User, Write};
use crate::domain::{
    grant::Grant,
    id::{GrantId, UserId},
    policy::{Policed, Policy},
    time::Timestamp,
};

/// Somebody with an account here, as the operator sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: User,
    /// Since when.
    pub since: Timestamp,
    /// When they were removed, if they were.
    pub removed_at: Option<Timestamp>,
    /// Grants that an app can use, or may come for.
    pub active_grants: u32,
    /// Whether the ledger of their account was ever used.
    pub has_account: bool,
}

/// Table `users`, for the operator.
pub trait Members {
    /// Everybody who was not removed: operators first, then by the time they came.
    fn list_people(
        &self,
        now: Timestamp,
        skip: u32,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Person>, StoreError>> + Send;

    /// One of them, also one who was removed.
    fn find_person(
        &self,
        id: &UserId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Person>, StoreError>> + Send;

    /// Notes that a member is removed, under the condition `role = 'member' AND removed_at IS NULL`, and ends their sessions, in one
    /// batch. Called after `Ledgers::revoke_account` succeeded, never before. Grants stay (their revocation is the caller's business).
    fn remove_member(&self, id: &UserId, now: Timestamp) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Grants of a user that are neither revoked nor expired, at most `limit`.
    fn list_active_grants_of_user(
        &self,
        user: &UserId,
        now: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<GrantId>, StoreError>> + Send;
}

/// Table `policies`, and what the ledgers of accounts know of it.
pub trait Policies {
    /// What holds for members.
    fn find_policy(&self) -> impl Future<Output = Result<Policed, StoreError>> + Send;

    /// Saves it in place of the revision that was seen. [`Write::Lost`]: somebody changed it since.
    fn save_policy(
        &self,
        policy: &Policy,
        seen: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// How many members there are whose account's ledger knows an earlier revision than this; it is counted up to `most`.
    fn count_untold(&self, revision: u64, most: u32) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Members whose account's ledger has started with, or was told, an earlier revision than this; at most `limit`, those first whom
    /// nobody has tried to tell for the longest time.
    fn list_untold(&self, revision: u64, limit: u32) -> impl Future<Output = Result<Vec<UserId>, StoreError>> + Send;

    /// Notes whom somebody tried to tell this revision now, and whose ledgers know it: for these `Ledgers::govern_account` succeeded.
    fn note_told(
        &self,
        tried: &[UserId],
        told: &[UserId],
        revision: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Tokens that people make for themselves: rows of `grants` whose client is `ClientId::personal`.
pub trait PersonalTokens {
    /// Stores the grant of a token, which counts at once, unless there is one of that id, or its user has `most` that are neither revoked
    /// nor expired: one statement. [`Write::Lost`]: nothing was stored.
    fn insert_token(
        &self,
        grant: &Grant,
        most: usize,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// A user's tokens in any state, newest first, at most `limit`.
    fn list_tokens(&self, user: &UserId, limit: u32) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;
}
