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

mod accounts;

use core::future::Future;

pub use accounts::{
    Accounts, InvitationRow, InvitationState, Invitations, NewInvitation, NewPasskey, NewSession, PasskeyRow,
    PasskeyUse, Passkeys, Recovery, SessionRow, Sessions,
};

use super::limit::Limit;
use crate::domain::{
    audit::{Actor, Entry, Event},
    calls::{CallFilter, CallQuery, Position},
    consent::Usual,
    grant::{Grant, Terms},
    grant_list::GrantQuery,
    id::{ClientId, DelegationId, GrantId, UserId},
    jose::{SignatureFails, SignatureHolds, SignatureToCheck},
    ledger::{Basis, Change, Delegate, Govern, Refusal, Snapshot},
    money::NanoUsd,
    month::Month,
    notice::{Notice, NoticeId, RefusedCalls},
    oauth::{
        authorization_request::AuthorizationRequest,
        client::Client,
        client_metadata::FetchError,
        code::{AuthorizationCodeRow, RefreshTokenRow},
        device::{DeviceCodeRow, Pace, UserCode},
        pending_request::PendingRequest,
        pushed_request::PushedRow,
        remote_address::RemoteAddress,
        replay::ReplayId,
        sign_in_link::NonceHash,
    },
    permission::Provider,
    policy::{Policed, Policy},
    secret::{AuthorizationCode, ConsentRequest, DeviceCode, PushedRequest, RefreshToken, SecretHash, Session},
    time::Timestamp,
    webhook::{DeliveryError, EventType},
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
    /// When they last proved that it is them: by signing in, or since.
    pub confirmed_at: Timestamp,
    /// When the session ends unless it is extended.
    pub expires_at: Timestamp,
    /// Whether they can sign in with a passkey.
    pub has_passkey: bool,
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

    /// Those of these apps that are there, in any order.
    fn find_clients(&self, ids: &[&ClientId]) -> impl Future<Output = Result<Vec<Client>, StoreError>> + Send;

    /// Stores a new app. Its id comes from 128 bits of entropy: a clash is a [`StoreError`].
    fn insert_client(&self, client: &Client) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Stores a client that registered itself, while fewer than `most` of its kind are there that nobody ever granted anything. Where there
    /// are as many, those of them go first that are older than `unused_seconds` and that nobody is just asked about. [`Write::Lost`]: there
    /// are still too many.
    fn insert_dynamic_client(
        &self,
        client: &Client,
        most: u32,
        unused_seconds: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Replaces what a client registered itself with, if its `registration_access_token` is still the one that it carries.
    fn update_dynamic_client(&self, client: &Client) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Keeps what a client metadata document says, in place of what it said before (`created_at` stays). Of the documents whose apps nobody
    /// ever granted anything or is just asked about, `most` others are kept, the oldest go.
    fn put_document_client(&self, client: &Client, most: u32) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Those that people registered first, then newest first, at most `limit`. `owner`: only theirs; `None`: every app.
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
    pub session: NewSession,
}

/// Tables `users`, `sessions`, `used_sign_in_links`.
pub trait Users {
    /// Uses a one-time link up and signs its bearer in as the first user, who is created (role operator, name "Operator") when
    /// there is none. One batch:
    ///
    /// 1. `INSERT INTO used_sign_in_links (nonce_hash, session_hash, used_at) … ON CONFLICT DO NOTHING` (its `changes` is the answer),
    /// 2. `INSERT INTO users … SELECT … WHERE NOT EXISTS (SELECT 1 FROM users)`,
    /// 3. `INSERT INTO sessions … SELECT … FROM (SELECT user_id FROM users ORDER BY role = 'operator' DESC, created_at, rowid LIMIT 1)
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

    /// Moves the end of a live session later, and notes that it was used; never earlier, and never revives a dead one.
    fn extend_session(
        &self,
        hash: &SecretHash<Session>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Gives a person another name. No error when there is no such person.
    fn rename_user(&self, id: &UserId, name: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

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
    /// Called after [`Ledgers::revoke_ledger`] succeeded, never before. Calling it again changes nothing and is no error.
    fn mark_grant_revoked(&self, id: &GrantId, now: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes in the row what holds now, unless it knows a later revision. Called after [`Ledgers::change_ledger`] agreed, never before.
    /// Calling it again changes nothing and is no error.
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

/// What calls are metered with.
pub trait Prices {
    /// What a call costs that reads and writes so many tokens of text; `None`: no price of the model is known.
    fn price(&self, provider: Provider, model: &str, tokens: (u64, u64)) -> Option<NanoUsd>;
}

/// The list of a user's grants. Those are left out that the app didn't come for in time: no token of such a grant exists, nor ever will.
pub trait GrantList {
    /// A user's grants, those that live first, each part newest first, at most `limit`.
    fn page_of_grants(
        &self,
        user: &UserId,
        query: &GrantQuery,
        limit: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;
}

/// Calls of a grant that were refused, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedApp {
    /// Whose calls.
    pub grant: GrantId,
    /// Its app, as the user saw it.
    pub app: String,
    /// Why, as the app was told.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// When the last one was.
    pub last_at: Timestamp,
}

/// What a user should look at.
pub trait Attention {
    /// Whether they ever allowed anything that an app came for.
    fn has_grants(&self, user: &UserId, now: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Their grants that live and end by then, the next ones first, at most `limit`.
    fn list_ending(
        &self,
        user: &UserId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;

    /// Their grants that live and of which, since then, a notice said that a cap is nearly or wholly used; of the latest `limit` notices.
    fn list_near_limits(
        &self,
        user: &UserId,
        now: Timestamp,
        since: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;

    /// Their calls that were refused since then, the latest first, at most `limit`.
    fn list_refused(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RefusedApp>, StoreError>> + Send;
}

/// Table `pushed_requests` (RFC 9126).
pub trait PushedRequests {
    /// Stores what an app pushed, unless as many as may wait do: `INSERT … SELECT … WHERE` both counts of rows with `used_at IS NULL AND
    /// expires_at > now`, the client's and all, are below [`crate::domain::oauth::pushed_request`]'s limits. [`Write::Lost`]: they aren't.
    fn push_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        request: &AuthorizationRequest,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// The request under this handle, whether used, expired or open.
    fn find_pushed_request(
        &self,
        handle: &SecretHash<PushedRequest>,
    ) -> impl Future<Output = Result<Option<PushedRow>, StoreError>> + Send;

    /// Somebody came with it who has to sign in first: it lives on until `expires_at`. Once, under the condition `used_at IS NULL AND
    /// opened_at IS NULL AND expires_at > now`. [`Write::Lost`]: nothing was changed; it may be alive all the same.
    fn open_pushed_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Uses it up, under the condition `used_at IS NULL AND expires_at > now`. [`Write::Lost`]: somebody else did, or it is too late.
    fn use_pushed_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}

/// What became of a user code that a person entered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Entered {
    /// It is open: this is what it stands for.
    Open(Box<DeviceCodeRow>),
    /// It isn't there, is over, or was answered. The attempt was counted.
    Wrong,
    /// This person has entered too many wrong ones; whether this is one was not looked at.
    TooMany,
}

/// Tables `device_codes`, `device_guesses` (RFC 8628).
pub trait DeviceCodes {
    /// Stores a new code: one statement, under the conditions that its user code is not taken, and that fewer than
    /// `MAX_OPEN_CODES_OF_CLIENT` of its client's and fewer than `MAX_OPEN_CODES` of all codes are open.
    fn insert_device_code(
        &self,
        row: &DeviceCodeRow,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// A code, however far it has come.
    fn find_device_code(
        &self,
        hash: &SecretHash<DeviceCode>,
    ) -> impl Future<Output = Result<Option<DeviceCodeRow>, StoreError>> + Send;

    /// What a person entered: one batch that looks the code up and, if it isn't an open one, counts the attempt; neither when the person
    /// has entered `MAX_WRONG_CODES` wrong ones within `GUESS_WINDOW_SECONDS`.
    fn enter_user_code(
        &self,
        user: &UserId,
        code: &UserCode,
        now: Timestamp,
    ) -> impl Future<Output = Result<Entered, StoreError>> + Send;

    /// Notes a poll, if none was noted since `seen` was read.
    fn note_poll(
        &self,
        hash: &SecretHash<DeviceCode>,
        seen: Pace,
        next: Pace,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Uses an allowed code up, as [`Grants::redeem_code`] does, under the condition
    /// `device_code_hash = ? AND client_id = ? AND grant_id IS NOT NULL AND redeemed_at IS NULL AND expires_at > now`.
    fn redeem_device_code(
        &self,
        row: &DeviceCodeRow,
        grant: &GrantId,
        refresh: Option<&RefreshTokenRow>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}

/// What a ledger has booked for a call, for the person who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The number of its hold; unique in its grant.
    pub hold: u64,
    /// When the call was let through.
    pub reserved_at: Timestamp,
    /// From there to the end of its answer, in milliseconds; 0: nobody knows.
    pub duration_ms: u64,
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
    /// Of those: from a cache.
    pub cached_tokens: u64,
    /// Tokens written, as the provider said.
    pub output_tokens: u64,
    /// Tokens booked.
    pub tokens: u64,
    /// Money booked.
    pub cost: NanoUsd,
    /// How that is known.
    pub basis: Basis,
    /// The delegation that called, if one did.
    pub delegation: Option<DelegationId>,
    /// The broker's name for the call.
    pub request_id: String,
}

impl Booking {
    /// Where it stands among its grant's.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { at: self.reserved_at, hold: self.hold }
    }
}

/// What calls come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallSum {
    /// How many there are.
    pub calls: u64,
    /// What was booked for them.
    pub cost: NanoUsd,
}

/// Table `usage_events`, which the ledgers fill a little later than they book. Everything is found by an index, however many calls a
/// grant has.
pub trait Usage {
    /// Calls of a grant, newest first.
    fn list_calls(
        &self,
        grant: &GrantId,
        query: &CallQuery,
    ) -> impl Future<Output = Result<Vec<Booking>, StoreError>> + Send;

    /// What the calls come to that a filter lets through, of which no more than `most` are looked at.
    fn sum_calls(
        &self,
        grant: &GrantId,
        filter: &CallFilter,
        most: u32,
    ) -> impl Future<Output = Result<CallSum, StoreError>> + Send;

    /// The models that a grant's calls name, in alphabetical order, at most `limit`.
    fn list_called_models(
        &self,
        grant: &GrantId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Where the last of these calls stands, newest first, if there are as many as `limit` and yet another after them.
    fn end_of_calls(
        &self,
        grant: &GrantId,
        query: &CallQuery,
    ) -> impl Future<Output = Result<Option<Position>, StoreError>> + Send;
}

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
    /// batch. Called after [`Ledgers::revoke_account`] succeeded, never before. Grants stay (their revocation is the caller's business).
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

    /// Members whose account's ledger has started with, or was told, an earlier revision than this; at most `limit`.
    fn list_untold(&self, revision: u64, limit: u32) -> impl Future<Output = Result<Vec<UserId>, StoreError>> + Send;

    /// Notes that the ledgers of these accounts know this revision. Called after [`Ledgers::govern_account`] succeeded.
    fn note_told(&self, users: &[UserId], revision: u64) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Tokens that people make for themselves: rows of `grants` whose client is [`ClientId::personal`].
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

/// What to find in the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// About whose account; `None`: about any.
    pub user: Option<UserId>,
    /// What happened; empty: anything.
    pub events: Vec<Event>,
    /// To this grant.
    pub grant: Option<GrantId>,
    /// Older than the entry of this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: later ones are higher.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// About whose account.
    pub user: UserId,
    /// What they are called now.
    pub user_name: String,
    /// Who did it, where this version knows.
    pub actor: Option<Actor>,
    /// What, by the name under which it is stored; another version may have stored it.
    pub event: String,
    /// To which grant, if to one.
    pub grant: Option<GrantId>,
    /// As it was called then.
    pub subject: String,
    /// What changed.
    pub detail: String,
    /// From which IP address.
    pub address: String,
    /// With which browser.
    pub agent: String,
}

/// What calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests that were booked.
    pub calls: u64,
    /// Tokens that were.
    pub tokens: u64,
    /// Money that was.
    pub cost: NanoUsd,
}

/// What an app used in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSum {
    /// The app.
    pub id: ClientId,
    /// Its name as the user saw it.
    pub name: String,
    /// What it used.
    pub sum: Sum,
}

/// What a model was used for in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSum {
    /// Whose model.
    pub provider: Option<Provider>,
    /// Its name, as an app asked for it; may be empty.
    pub model: String,
    /// What it was used.
    pub sum: Sum,
}

/// What was used on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySum {
    /// Days since the epoch, in UTC.
    pub day: u64,
    /// What was used.
    pub sum: Sum,
}

/// What a user's apps used in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthSums {
    /// The apps that used most, in money, then in calls; these first.
    pub apps: Vec<AppSum>,
    /// How many there are.
    pub app_count: u64,
    /// The models, likewise.
    pub models: Vec<ModelSum>,
    /// How many there are.
    pub model_count: u64,
    /// The days on which something was used, in their order.
    pub days: Vec<DaySum>,
    /// The nearest earlier month in which something was used.
    pub before: Option<Month>,
    /// The nearest later one.
    pub after: Option<Month>,
}

/// Tables `usage_months`, `usage_days`: what bookings add up to, found without reading them.
pub trait UsageSums {
    /// A user's month; at most `most` apps and `most` models.
    fn sum_month(
        &self,
        user: &UserId,
        month: Month,
        most: u32,
    ) -> impl Future<Output = Result<MonthSums, StoreError>> + Send;
}

/// Table `audit`.
pub trait Audit {
    /// Notes what happened.
    fn record(&self, entry: &Entry) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes for whoever had given grants to a client that they ended at this moment, since the client is gone: one entry for each, under the
    /// grant's own user and name, with the rest as in `entry`. Once, however often it is called.
    fn record_ended_grants(
        &self,
        client: &ClientId,
        entry: &Entry,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What happened, latest first.
    fn list_audit(&self, query: &AuditQuery) -> impl Future<Output = Result<Vec<AuditRow>, StoreError>> + Send;
}

/// Table `audit`, as a grant's owner reads it.
pub trait History {
    /// What happened to a grant, newest first: each entry with its number, of those below `before`.
    fn list_history(
        &self,
        grant: &GrantId,
        before: Option<u64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(u64, Entry)>, StoreError>> + Send;
}

/// Table `notices`, which ledgers fill when a part of a cap is used, and the hourly clean-up when a grant ends soon.
pub trait Notices {
    /// A person's notices, latest first, at most `limit`.
    fn list_notices(&self, user: &UserId, limit: u32) -> impl Future<Output = Result<Vec<Notice>, StoreError>> + Send;

    /// Those that they have not read, latest first, at most `limit`.
    fn unread_notices(&self, user: &UserId, limit: u32)
    -> impl Future<Output = Result<Vec<Notice>, StoreError>> + Send;

    /// How many those are.
    fn count_unread_notices(&self, user: &UserId) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// A grant's notices, latest first, at most `limit`.
    fn notices_of_grant(
        &self,
        grant: &GrantId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Notice>, StoreError>> + Send;

    /// The person has read their notices from this one to that one; one that they had read before stays read since then. How many
    /// they had not.
    fn read_notices(
        &self,
        user: &UserId,
        from: NoticeId,
        to: NoticeId,
        now: Timestamp,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

/// Table `refusals`, which the ledgers fill, each at most once a minute.
pub trait Refusals {
    /// Calls of a person's apps that were refused since then, latest first, at most `limit` lines: one for each grant and reason.
    fn recent_refusals(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RefusedCalls>, StoreError>> + Send;

    /// The same of one grant, whenever.
    fn refusals_of_grant(
        &self,
        grant: &GrantId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RefusedCalls>, StoreError>> + Send;
}

/// The row of `webhooks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where its deliveries go. It was one that may be asked when it was stored.
    pub url: String,
    /// What its secret is made of, together with a key that isn't there.
    pub secret_name: String,
    /// Since when there is one.
    pub created_at: Timestamp,
}

/// A row of `webhook_deliveries`, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The header `webhook-id`.
    pub message_id: String,
    /// What it tells.
    pub kind: EventType,
    /// The app that it is about, if it is about one.
    pub app: Option<String>,
    /// When what it tells of happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next. `None`: it was delivered, or given up.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// The status that the last attempt was answered with, if it was.
    pub status: Option<u16>,
    /// Why that failed.
    pub error: Option<DeliveryError>,
}

/// Tables `webhooks` and `webhook_deliveries`. What is to be delivered is written by triggers (`migrations/0008_notices.sql`).
pub trait Webhooks {
    /// Where an operator's program is told, if anywhere.
    fn find_webhook(&self) -> impl Future<Output = Result<Option<Webhook>, StoreError>> + Send;

    /// From now on there, in place of wherever it was before.
    fn put_webhook(&self, webhook: &Webhook) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// From now on nowhere; what was not delivered yet is given up, in the same batch.
    fn delete_webhook(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Asks for a `ping`. [`Write::Lost`]: there is no webhook, or as many as `most` deliveries wait.
    fn insert_ping(&self, most: u32, now: Timestamp) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// The last deliveries, latest first, at most `limit`.
    fn list_deliveries(&self, limit: u32) -> impl Future<Output = Result<Vec<Delivery>, StoreError>> + Send;

    /// Something is to be delivered now. It doesn't matter whether this works: it is looked after every hour in any case.
    fn wake_courier(&self) -> impl Future<Output = ()> + Send;
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

    /// Narrows the grant, or a delegation of it, for somebody else. Idempotent by its id.
    ///
    /// `Err`: it is not known whether it was made.
    fn delegate(
        &self,
        id: &GrantId,
        delegate: Delegate,
    ) -> impl Future<Output = Result<Result<(), Refusal>, StoreError>> + Send;

    /// Ends a delegation and all that were narrowed from it. Idempotent.
    fn revoke_delegation(
        &self,
        id: &GrantId,
        delegation: &DelegationId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Tells a grant's ledger what the operator's policy says. Idempotent; of two the later revision stays.
    fn govern_ledger(&self, id: &GrantId, govern: Govern) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The same for the ledger of a member's account: when this answers, it holds for the next call of every grant of theirs.
    fn govern_account(&self, id: &UserId, govern: Govern) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a member's account: when this answers, no later call of any grant of theirs is let through. Idempotent.
    fn revoke_account(&self, id: &UserId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What the grants of each of these members used together; as [`Self::read_ledgers`].
    fn read_accounts(&self, ids: &[UserId]) -> impl Future<Output = Vec<Result<Snapshot, StoreError>>> + Send;

    /// What was used, one answer per grant in the order given; a ledger that can't answer doesn't spoil the others.
    fn read_ledgers(&self, ids: &[GrantId]) -> impl Future<Output = Vec<Result<Snapshot, StoreError>>> + Send;
}

/// Table `used_ids`.
pub trait UsedIds {
    /// Uses up a name that counts once: one `INSERT … ON CONFLICT DO NOTHING`. It is forgotten at `expires_at`, when what it names is
    /// refused anyway.
    fn use_id(&self, id: &ReplayId, expires_at: Timestamp) -> impl Future<Output = Result<Write, StoreError>> + Send;
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

/// What was fetched from an address that an app named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// JSON, by its content type; at most [`crate::domain::oauth::remote_address::MAX_FETCHED_BYTES`].
    pub body: Vec<u8>,
    /// Seconds for which it need not be fetched again.
    pub fresh_for: u64,
}

/// What apps keep at addresses of their own. Each is fetched without any credential, in 3 seconds, and redirects are not followed.
pub trait Documents {
    /// A client metadata document.
    fn fetch_document(&self, address: &RemoteAddress) -> impl Future<Output = Result<Fetched, FetchError>> + Send;

    /// A key set, as text. One that was fetched in the last five minutes is not fetched again.
    fn fetch_jwks(&self, address: &RemoteAddress) -> impl Future<Output = Result<String, FetchError>> + Send;
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

/// The tables.
pub trait Store:
    Clients
    + Users
    + Grants
    + PersonalTokens
    + UsualLimits
    + GrantList
    + Attention
    + PushedRequests
    + DeviceCodes
    + UsedIds
    + Usage
    + UsageSums
    + Members
    + Policies
    + Audit
    + History
    + Notices
    + Refusals
    + Webhooks
    + Accounts
{
}

impl<
    T: Clients
        + Users
        + Grants
        + PersonalTokens
        + UsualLimits
        + GrantList
        + Attention
        + PushedRequests
        + DeviceCodes
        + UsedIds
        + Usage
        + UsageSums
        + Members
        + Policies
        + Audit
        + History
        + Notices
        + Refusals
        + Webhooks
        + Accounts,
> Store for T
{
}

/// All of it. Cheap to clone: axum clones its state for each request.
pub trait Ports:
    Store + Ledgers + Prices + Documents + RateLimits + Signatures + Entropy + Clone + Send + Sync + 'static
{
}

impl<T: Store + Ledgers + Prices + Documents + RateLimits + Signatures + Entropy + Clone + Send + Sync + 'static> Ports
    for T
{
}
