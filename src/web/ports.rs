//! What the control plane needs from the runtime: small traits per aggregate, implemented over D1 and the ledgers in `edge` and in
//! memory in the tests.
//!
//! Rules that hold for every method:
//!
//! - Absence is `Ok(None)`; `Err` means that the store could not answer, and the caller then says "no" (503).
//! - A method that writes is **one** conditional statement or **one** atomic batch (D1 has no `BEGIN`). Either all of it happens or
//!   nothing does, and the answer says whether this call was the one that won.
//! - Rows hold whole seconds. A moment compares as *alive* while `now < expires_at`; exactly at `expires_at` it is over.
//! - Secrets arrive hashed. Nothing here ever sees one in clear.

use core::future::Future;

use super::rate_limit::Limit;
use crate::domain::{
    grant::{Grant, Terms},
    id::{ClientId, GrantId, UserId},
    jose::{SignatureFails, SignatureHolds, SignatureToCheck},
    ledger::{Basis, Change, Refusal, Snapshot},
    money::NanoUsd,
    oauth::{
        authorization_request::PendingRequest,
        client::Client,
        code::{AuthorizationCodeRow, RefreshTokenRow},
        sign_in_link::NonceHash,
    },
    permission::Provider,
    secret::{AuthorizationCode, ConsentRequest, DeviceCode, RefreshToken, SecretHash, Session},
    time::Timestamp,
};

/// The store or a ledger could not answer. The text is for the log alone and never reaches the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Deploys the broker; sees and deletes every app.
    Operator,
    /// Everyone else.
    Member,
}

impl Role {
    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Member => "member",
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::Operator, Self::Member].into_iter().find(|role| role.as_str() == text)
    }
}

/// A row of `users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name in the store.
    pub id: UserId,
    /// Its name for people.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// A live session and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Who is signed in.
    pub user: User,
    /// When they signed in.
    pub since: Timestamp,
    /// When the session ends unless it is extended.
    pub expires_at: Timestamp,
}

/// Whether this conditional write was the one that changed the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Write {
    /// It did.
    Won,
    /// The row was not in the state that the write needs (or is not there); nothing was changed.
    Lost,
}

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

/// Table `clients`.
pub trait Clients {
    /// One app.
    fn find_client(&self, id: &ClientId) -> impl Future<Output = Result<Option<Client>, StoreError>> + Send;

    /// Stores a new app. Its id comes from 128 bits of entropy: a clash is a [`StoreError`].
    fn insert_client(&self, client: &Client) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Newest first, at most `limit`. `owner`: only theirs; `None`: every app.
    fn list_clients(
        &self,
        owner: Option<&UserId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Client>, StoreError>> + Send;

    /// Removes an app and its open authorization requests. Grants stay (their revocation is the caller's business).
    fn delete_client(&self, id: &ClientId) -> impl Future<Output = Result<Write, StoreError>> + Send;
}

/// What signing in with a one-time link writes.
#[derive(Clone, Debug)]
pub struct NewSignIn {
    /// The link, by the hash of its nonce.
    pub nonce_hash: NonceHash,
    /// Id of the operator, should there be no user yet.
    pub candidate: UserId,
    /// The new session.
    pub session_hash: SecretHash<Session>,
    /// When it ends unless it is extended.
    pub session_expires_at: Timestamp,
}

/// Tables `users`, `sessions`, `used_sign_in_links`.
pub trait Users {
    /// Uses a one-time link up and signs its bearer in as the first user, who is created (role operator, name "Operator") when
    /// there is none. One batch:
    ///
    /// 1. `INSERT INTO used_sign_in_links (nonce_hash, session_hash, used_at) … ON CONFLICT DO NOTHING` (its `changes` is the answer),
    /// 2. `INSERT INTO users … SELECT … WHERE NOT EXISTS (SELECT 1 FROM users)`,
    /// 3. `INSERT INTO sessions … SELECT … FROM (SELECT user_id FROM users ORDER BY created_at, user_id LIMIT 1)
    ///    WHERE EXISTS (SELECT 1 FROM used_sign_in_links WHERE nonce_hash = ? AND session_hash = ?)`.
    ///
    /// [`Write::Lost`]: the link had been used; no session was made.
    fn sign_in(&self, new: &NewSignIn, now: Timestamp) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// A session that is alive at `now`, and its user.
    fn find_session(
        &self,
        hash: &SecretHash<Session>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<SignedIn>, StoreError>> + Send;

    /// Moves the end of a live session later; never earlier, and never revives a dead one.
    fn extend_session(
        &self,
        hash: &SecretHash<Session>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Signs out. No error when there is no such session.
    fn delete_session(&self, hash: &SecretHash<Session>) -> impl Future<Output = Result<(), StoreError>> + Send;
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

    /// The user allows: one batch that inserts the grant, gives the answer and marks the request, each under the same condition
    /// `handle_hash = ? AND session_hash = ? AND decided_at IS NULL AND expires_at > now`, the mark last (its `changes` is the answer),
    /// then reads `decided_at, grant_id` to tell [`Decided::AlreadyDecided`] from [`Decided::Gone`].
    fn allow(
        &self,
        handle: &SecretHash<ConsentRequest>,
        session: &SecretHash<Session>,
        grant: &Grant,
        answer: NewAnswer<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Decided, StoreError>> + Send;

    /// The user denies: marks the request under the same condition, with no grant, and the device's row with it, if there is one.
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

    /// A user's grants in any state, newest first, at most `limit`; but not those that the app didn't come for in time: no token of
    /// such a grant exists, nor ever will.
    fn list_grants(
        &self,
        user: &UserId,
        now: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;

    /// Grants of one app that are neither revoked nor expired, whoever gave them, at most `limit`.
    fn list_active_grants_of_client(
        &self,
        client: &ClientId,
        now: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<GrantId>, StoreError>> + Send;

    /// Notes in the row that the grant was taken back (`revoked_at IS NULL` is the condition: the first moment stays).
    /// Called after [`Ledgers::revoke_ledger`] succeeded, never before. Calling it again changes nothing and is no error.
    fn mark_grant_revoked(&self, id: &GrantId, now: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes in the row what holds now, unless it knows a later revision. Called after [`Ledgers::change_ledger`] agreed, never before.
    /// Calling it again changes nothing and is no error.
    fn note_terms(&self, id: &GrantId, terms: &Terms) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a ledger has booked for a call, for the person who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// When the call was let through.
    pub reserved_at: Timestamp,
    /// Where it went.
    pub provider: Option<Provider>,
    /// The model that it asked for; empty for a list of models.
    pub model: String,
    /// The provider's own path.
    pub endpoint: String,
    /// The provider's HTTP status; 0: it never answered, or nobody knows.
    pub status: u16,
    /// Tokens read, as the provider said.
    pub input_tokens: u64,
    /// Tokens written, as the provider said.
    pub output_tokens: u64,
    /// Tokens booked.
    pub tokens: u64,
    /// Money booked.
    pub cost: NanoUsd,
    /// How that is known.
    pub basis: Basis,
}

/// Table `usage_events`, which the ledgers fill a little later than they book.
pub trait Usage {
    /// A grant's bookings, latest first, at most `limit`.
    fn list_bookings(
        &self,
        grant: &GrantId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Booking>, StoreError>> + Send;
}

/// The Durable Objects that enforce grants.
pub trait Ledgers {
    /// Ends the grant: when this answers, no later call is let through. Idempotent, and works on a ledger that was never used.
    fn revoke_ledger(&self, id: &GrantId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Changes limits, or pauses: what holds from the next call on, or why nothing was changed. Idempotent.
    ///
    /// `Err`: it is not known whether it was changed.
    fn change_ledger(
        &self,
        id: &GrantId,
        change: Change,
    ) -> impl Future<Output = Result<Result<Terms, Refusal>, StoreError>> + Send;

    /// What was used, one answer per grant in the order given; a ledger that can't answer doesn't spoil the others.
    fn read_ledgers(&self, ids: &[GrantId]) -> impl Future<Output = Vec<Result<Snapshot, StoreError>>> + Send;
}

/// The platform's public-key cryptography.
pub trait Signatures {
    /// Whether a signature is genuine. The answer opens the text that was asked about (see [`crate::domain::jose::signature`]); an
    /// implementation makes it with [`SignatureToCheck::answered`]. [`SignatureFails`] also for a key that is none.
    fn verify_signature(
        &self,
        to_check: &SignatureToCheck<'_>,
    ) -> impl Future<Output = Result<SignatureHolds, SignatureFails>> + Send;
}

/// The platform's count of who asks how often.
pub trait RateLimits {
    /// Counts one more for `key`; whether it is still within the limit.
    ///
    /// `Err`: the platform can't say, or the limit isn't set up. Then the answer to the caller is no.
    fn is_within_limit(&self, limit: Limit, key: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The platform's random numbers. Each call gives fresh ones.
pub trait Entropy {
    /// 256 bits, for secrets.
    fn entropy32(&self) -> [u8; 32];
    /// 128 bits, for identifiers.
    fn entropy16(&self) -> [u8; 16];
}

/// All of it. Cheap to clone: axum clones its state for each request.
pub trait Ports:
    Clients + Users + Grants + Usage + Ledgers + Signatures + RateLimits + Entropy + Clone + Send + Sync + 'static
{
}

impl<T> Ports for T where
    T: Clients + Users + Grants + Usage + Ledgers + Signatures + RateLimits + Entropy + Clone + Send + Sync + 'static
{
}
