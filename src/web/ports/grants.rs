//! What a person answers, and what comes of it: requests that wait, grants, codes and refresh tokens.

use core::future::Future;

use super::{StoreError, Write};
use crate::domain::{
    consent::Usual,
    grant::{Grant, Terms},
    id::{ClientId, GrantId, UserId},
    oauth::{
        code::{AuthorizationCodeRow, RefreshTokenRow},
        pending_request::PendingRequest,
    },
    secret::{AuthorizationCode, ConsentRequest, DeviceCode, RefreshToken, SecretHash, Session},
    time::Timestamp,
};

/// How an attempt to answer an authorization request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decided {
    /// This call answered it.
    Won,
    /// It had been answered before; nothing was changed. `None`: it had been denied.
    AlreadyDecided {
        /// The grant that the first answer made.
        grant_id: Option<GrantId>,
    },
    /// There is no such request for this session, or it has expired; nothing was changed.
    Gone,
}

/// How an app that was allowed will come for its tokens.
#[derive(Clone, Copy, Debug)]
pub enum NewAnswer<'a> {
    /// With this code.
    Code(&'a AuthorizationCodeRow),
    /// With the device code that it has already.
    Device {
        /// Its row.
        code: &'a SecretHash<DeviceCode>,
        /// When the user signed in.
        auth_time: Timestamp,
        /// From this moment on it is too late.
        expires_at: Timestamp,
    },
}

/// Tables `authorization_requests`, `grants`, `authorization_codes`, `refresh_tokens`.
pub trait Grants {
    /// Stores what a consent page is about to show, under its handle.
    fn insert_authorization_request(
        &self,
        handle: &SecretHash<ConsentRequest>,
        request: &PendingRequest,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The request under this handle, whether answered, expired or open. The caller compares its session.
    fn find_authorization_request(
        &self,
        handle: &SecretHash<ConsentRequest>,
    ) -> impl Future<Output = Result<Option<PendingRequest>, StoreError>> + Send;

    /// Keeps what was filled into the page of a request, for when the person has signed in. Nothing where it was answered.
    fn keep_filled(
        &self,
        handle: &SecretHash<ConsentRequest>,
        filled: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Closes a page that is open, because the same is asked on a fresh one: one conditional `UPDATE` of its expiry. [`Write::Lost`]: it
    /// was answered or over.
    fn close_authorization_request(
        &self,
        handle: &SecretHash<ConsentRequest>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// The user allows: one batch that inserts the grant, gives the answer and marks the request, each under the same condition
    /// `handle_hash = ? AND session_hash = ? AND decided_at IS NULL AND expires_at > now`, the mark last (its `changes` is the answer),
    /// then reads `decided_at, grant_id` to tell [`Decided::AlreadyDecided`] from [`Decided::Gone`]. A device code that was answered
    /// elsewhere, or is over, is [`Decided::Gone`] too: nothing is written.
    fn allow(
        &self,
        handle: &SecretHash<ConsentRequest>,
        session: &SecretHash<Session>,
        grant: &Grant,
        answer: NewAnswer<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Decided, StoreError>> + Send;

    /// The user denies: marks the request under the same condition, with no grant, and the device's row with it, if there is one.
    /// [`Decided::Gone`] when that was allowed elsewhere.
    fn deny(
        &self,
        handle: &SecretHash<ConsentRequest>,
        session: &SecretHash<Session>,
        device: Option<&SecretHash<DeviceCode>>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Decided, StoreError>> + Send;

    /// A code, whether redeemed, expired or open. Read first, so that a stranger with the wrong verifier burns nothing.
    fn find_code(
        &self,
        hash: &SecretHash<AuthorizationCode>,
    ) -> impl Future<Output = Result<Option<AuthorizationCodeRow>, StoreError>> + Send;

    /// Uses the code up, notes that the app came for its grant, and stores the first refresh token, if the client uses them: one batch
    /// under the condition `code_hash = ? AND redeemed_at IS NULL AND expires_at > now`, the code's `UPDATE` last. [`Write::Lost`]: no
    /// token was stored.
    fn redeem_code(
        &self,
        hash: &SecretHash<AuthorizationCode>,
        grant: &GrantId,
        refresh: Option<&RefreshTokenRow>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// A refresh token, whether rotated, expired or live.
    fn find_refresh_token(
        &self,
        hash: &SecretHash<RefreshToken>,
    ) -> impl Future<Output = Result<Option<RefreshTokenRow>, StoreError>> + Send;

    /// Replaces a refresh token by the next: one batch under the condition `token_hash = ? AND rotated_at IS NULL AND expires_at > now`,
    /// the old token's `UPDATE` last. [`Write::Lost`]: the new one was not stored.
    fn rotate_refresh_token(
        &self,
        old: &SecretHash<RefreshToken>,
        next: &RefreshTokenRow,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// One grant, in any state.
    fn find_grant(&self, id: &GrantId) -> impl Future<Output = Result<Option<Grant>, StoreError>> + Send;

    /// Grants of one app that are neither revoked nor expired, whoever gave them, at most `limit`.
    fn list_active_grants_of_client(
        &self,
        client: &ClientId,
        now: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<GrantId>, StoreError>> + Send;

    /// What a user's app can use at `now`, newest first, at most `limit`: neither revoked nor expired, and the app came for it or still
    /// may.
    fn list_active_grants_for(
        &self,
        user: &UserId,
        client: &ClientId,
        now: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;

    /// Notes in the row that the grant was taken back (`revoked_at IS NULL` is the condition: the first moment stays).
    /// Called after [`Ledgers::revoke_ledger`](super::Ledgers::revoke_ledger) succeeded, never before. Calling it again changes nothing
    /// and is no error.
    fn mark_grant_revoked(&self, id: &GrantId, now: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes in the row what holds now, unless it knows a later revision. Called after
    /// [`Ledgers::change_ledger`](super::Ledgers::change_ledger) agreed, never before. Calling it again changes nothing and is no error.
    fn note_terms(&self, id: &GrantId, terms: &Terms) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Table `usual_limits`: what people chose for apps and asked to remember.
pub trait UsualLimits {
    /// What this person chose for this app.
    fn find_usual_limits(
        &self,
        user: &UserId,
        client: &ClientId,
    ) -> impl Future<Output = Result<Option<Usual>, StoreError>> + Send;

    /// Remembers it in place of what was remembered; `None`: forgets. No error where there is nothing to forget.
    fn put_usual_limits(
        &self,
        user: &UserId,
        client: &ClientId,
        usual: Option<&Usual>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
