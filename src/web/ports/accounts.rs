//! How people sign in: passkeys, sessions, recovery codes, invitations.

use core::future::Future;

use super::{Role, StoreError, User, Write};
use crate::domain::{
    id::{InvitationId, PasskeyId, UserId},
    oauth::sign_in_link::NonceHash,
    policy::Policy,
    recovery_code::RecoveryCodeHash,
    secret::{Invitation, SecretHash, Session},
    time::Timestamp,
    webauthn::{CredentialId, PublicKey, registration::Credential},
};

/// What a session is begun with, however its person signed in.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its name in the store.
    pub hash: SecretHash<Session>,
    /// When it ends unless it is extended.
    pub expires_at: Timestamp,
    /// Where it is begun.
    pub address: String,
    /// With which browser.
    pub agent: String,
}

/// A live session, for its person to know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its name in the store.
    pub hash: SecretHash<Session>,
    /// When its person signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the hour.
    pub last_seen_at: Timestamp,
    /// Where it was begun.
    pub address: String,
    /// With which browser.
    pub agent: String,
}

/// Table `sessions`, as its person sees it.
pub trait Sessions {
    /// Those that are alive, latest first, at most `limit`.
    fn list_sessions(
        &self,
        user: &UserId,
        limit: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<SessionRow>, StoreError>> + Send;

    /// Ends all of a person's but one; how many.
    fn delete_other_sessions(
        &self,
        user: &UserId,
        keep: &SecretHash<Session>,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Notes in a session that its person proved who they are, by a one-time link that is used up with it: one batch.
    /// [`Write::Lost`]: the link was used before, or belongs to somebody else; it signs in the first user and nobody else.
    fn confirm_with_link(
        &self,
        nonce: &NonceHash,
        session: &SecretHash<Session>,
        user: &UserId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}

/// A row of `passkeys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyRow {
    /// Its name to its owner.
    pub id: PasskeyId,
    /// Whose it is.
    pub user: UserId,
    /// Its name at the authenticator.
    pub credential_id: CredentialId,
    /// Its key.
    pub key: PublicKey,
    /// The sign count that was seen last.
    pub sign_count: u32,
    /// Whether it may be on several devices.
    pub backup_eligible: bool,
    /// Its name for people.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// A passkey that is being added.
#[derive(Clone, Debug)]
pub struct NewPasskey {
    /// Its name to its owner.
    pub id: PasskeyId,
    /// Its name for people.
    pub name: String,
    /// What is remembered of it.
    pub credential: Credential,
}

/// A passkey that has just signed.
#[derive(Clone, Debug)]
pub struct PasskeyUse<'a> {
    /// Which.
    pub id: &'a PasskeyId,
    /// The count that was seen when it was checked.
    pub seen_count: u32,
    /// The count that it has now.
    pub sign_count: u32,
}

/// Table `passkeys`.
pub trait Passkeys {
    /// The one that an authenticator calls this.
    fn find_passkey(
        &self,
        credential: &CredentialId,
    ) -> impl Future<Output = Result<Option<PasskeyRow>, StoreError>> + Send;

    /// A person's, oldest first. There are at most [`crate::domain::webauthn::MAX_PASSKEYS`].
    fn list_passkeys(&self, user: &UserId) -> impl Future<Output = Result<Vec<PasskeyRow>, StoreError>> + Send;

    /// Adds one while its owner has fewer than `most`. [`Write::Lost`]: they have as many, or it is there already.
    fn insert_passkey(
        &self,
        user: &UserId,
        new: &NewPasskey,
        most: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Gives one of a person's another name.
    fn rename_passkey(
        &self,
        user: &UserId,
        id: &PasskeyId,
        name: &str,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Removes one of a person's while they have another: under this condition, in one statement. [`Write::Lost`]: it is not theirs, or
    /// the last.
    fn remove_passkey(&self, user: &UserId, id: &PasskeyId) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Notes the use and begins a session of the passkey's owner, if its count is still the one that was seen: one batch, the note last.
    fn sign_in_with_passkey(
        &self,
        used: &PasskeyUse<'_>,
        session: &NewSession,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Notes the use, and in the session of the passkey's owner that they proved who they are: likewise.
    fn confirm_with_passkey(
        &self,
        used: &PasskeyUse<'_>,
        session: &SecretHash<Session>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}

/// Table `recovery_codes`.
pub trait Recovery {
    /// How many of a person's are unused.
    fn count_recovery_codes(&self, user: &UserId) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Makes these a person's codes, and no others: one batch.
    fn replace_recovery_codes(
        &self,
        user: &UserId,
        codes: &[RecoveryCodeHash],
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Uses a code up and begins a session of its owner, if it is there and unused: one batch, the mark last.
    fn sign_in_with_recovery_code(
        &self,
        code: &RecoveryCodeHash,
        session: &NewSession,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Uses a code of this person up, and notes in the session that they proved who they are: likewise.
    fn confirm_with_recovery_code(
        &self,
        code: &RecoveryCodeHash,
        session: &SecretHash<Session>,
        user: &UserId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationState {
    /// It waits, if it has not expired.
    Open,
    /// Somebody took it.
    Accepted(Timestamp),
    /// It was taken back.
    Revoked,
}

/// A row of `invitations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRow {
    /// Its name to operators.
    pub id: InvitationId,
    /// The user that it makes: id, name as far as its maker knew it, role.
    pub user: User,
    /// Who made it, by name.
    pub invited_by: String,
    /// When.
    pub created_at: Timestamp,
    /// From when on it is too late.
    pub expires_at: Timestamp,
    /// What became of it.
    pub state: InvitationState,
}

impl InvitationRow {
    /// Whether somebody can still take it.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == InvitationState::Open && now < self.expires_at
    }
}

/// An invitation that is being made.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// Its token, hashed.
    pub token: SecretHash<Invitation>,
    /// Its name to operators.
    pub id: InvitationId,
    /// The user that it will make.
    pub user: UserId,
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// From when on it is too late.
    pub expires_at: Timestamp,
}

/// The policy for members that an operator read before they invited somebody.
#[derive(Clone, Copy, Debug)]
pub struct ShownPolicy<'a> {
    /// Its revision.
    pub revision: u64,
    /// The policy that replaces it, where the operator decided on one.
    pub next: Option<&'a Policy>,
}

/// Table `invitations`.
pub trait Invitations {
    /// Stores one while fewer than `most` are open and the policy for members is the one that was shown, and forgets a few that ended
    /// `kept_seconds` ago. Where another policy is to take its place, that one is saved in the same batch, by the same conditions.
    /// [`Write::Lost`]: neither was stored.
    fn insert_invitation(
        &self,
        by: &UserId,
        new: &NewInvitation,
        policy: ShownPolicy<'_>,
        most: u32,
        kept_seconds: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// One, whatever became of it, while whoever made it runs the broker.
    fn find_invitation(
        &self,
        token: &SecretHash<Invitation>,
    ) -> impl Future<Output = Result<Option<InvitationRow>, StoreError>> + Send;

    /// The latest first, at most `limit`.
    fn list_invitations(&self, limit: u32) -> impl Future<Output = Result<Vec<InvitationRow>, StoreError>> + Send;

    /// Takes an open one back.
    fn revoke_invitation(
        &self,
        id: &InvitationId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Takes an open one: its user under this name, their first passkey and session, and the mark last, all in one batch.
    /// [`Write::Lost`]: it is not open any more, or the passkey is somebody's already; nothing was written.
    fn accept_invitation(
        &self,
        token: &SecretHash<Invitation>,
        name: &str,
        passkey: &NewPasskey,
        session: &NewSession,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}

/// All of them.
pub trait Accounts: Sessions + Passkeys + Recovery + Invitations {}

impl<T: Sessions + Passkeys + Recovery + Invitations> Accounts for T {}
