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
mod allowed;
mod grants;
mod members;
mod requests;
mod usage;
mod watch;

use core::future::Future;

pub use accounts::{
    Accounts, InvitationRow, InvitationState, Invitations, NewInvitation, NewPasskey, NewSession, PasskeyRow,
    PasskeyUse, Passkeys, Recovery, SessionRow, Sessions, ShownPolicy,
};
pub use allowed::{Allowed, Certainty};
pub use grants::{Decided, Grants, NewAnswer, UsualLimits};
pub use members::{Members, Person, PersonalTokens, Policies};
pub use requests::{DeviceCodes, Entered, PushedRequests};
pub use usage::{
    AppSum, Attention, Booking, CallSum, DaySum, GrantList, ModelSum, MonthSums, OverBound, Sum, Usage, UsageSums,
};
pub use watch::{Audit, AuditQuery, AuditRow, Delivery, History, Notices, Refusals, Webhook, Webhooks};

use super::limit::Limit;
use crate::domain::{
    grant::Terms,
    id::{ClientId, DelegationId, GrantId, UserId},
    jose::{SignatureFails, SignatureHolds, SignatureToCheck},
    ledger::{Change, Delegate, Govern, Refusal, Snapshot},
    money::NanoUsd,
    network::NetworkHash,
    oauth::{
        client::Client, client_metadata::FetchError, remote_address::RemoteAddress, replay::ReplayId,
        sign_in_link::NonceHash,
    },
    permission::Provider,
    secret::{SecretHash, Session},
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

/// Table `clients`.
pub trait Clients {
    /// One app.
    fn find_client(&self, id: &ClientId) -> impl Future<Output = Result<Option<Client>, StoreError>> + Send;

    /// Those of these apps that are there, in any order.
    fn find_clients(&self, ids: &[&ClientId]) -> impl Future<Output = Result<Vec<Client>, StoreError>> + Send;

    /// Stores a new app. Its id comes from 128 bits of entropy: a clash is a [`StoreError`].
    fn insert_client(&self, client: &Client) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Stores a client that registered itself from `network`. Where `most` others of its kind are there that nobody ever granted anything,
    /// nor was asked to within a day, one of them goes: the oldest of the network that has left the most of them, the new one counted.
    fn insert_dynamic_client(
        &self,
        client: &Client,
        network: &NetworkHash,
        most: u32,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Replaces what a client registered itself with, if its `registration_access_token` is still the one that it carries.
    fn update_dynamic_client(&self, client: &Client) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Keeps what a client metadata document says, in place of what it said before (`created_at` stays, and so does the network from which
    /// it was named first). Of the documents whose apps nobody ever granted anything, nor was asked to within a day, `most` others are
    /// kept; which goes is decided as for clients that register themselves.
    fn put_document_client(
        &self,
        client: &Client,
        network: &NetworkHash,
        most: u32,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

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

/// What calls are metered with.
pub trait Prices {
    /// What a call costs that reads and writes so many tokens of text; `None`: no price of the model is known, or it isn't one that
    /// answers in text.
    fn price_of_chat(&self, provider: Provider, model: &str, tokens: (u64, u64)) -> Option<NanoUsd>;
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

    /// Ends the access tokens of the grant itself that were issued at this second or before, and what was narrowed from them: when this
    /// answers, no later call with one is let through. Safe to repeat.
    fn revoke_tokens(&self, id: &GrantId, until: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

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

/// Time that passes.
pub trait Pauses {
    /// Answers after so many milliseconds.
    fn wait(&self, milliseconds: u64) -> impl Future<Output = ()> + Send;
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
    + Allowed
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
        + Allowed
        + Accounts,
> Store for T
{
}

/// All of it. Cheap to clone: axum clones its state for each request.
pub trait Ports:
    Store + Ledgers + Prices + Documents + RateLimits + Signatures + Entropy + Pauses + Clone + Send + Sync + 'static
{
}

impl<
    T: Store + Ledgers + Prices + Documents + RateLimits + Signatures + Entropy + Pauses + Clone + Send + Sync + 'static,
> Ports for T
{
}
