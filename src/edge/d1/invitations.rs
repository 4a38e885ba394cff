//! Table `invitations`.

use serde::Deserialize;

use super::{
    Seconds, Value,
    passkeys::add_passkey,
    policies::{MEMBERS, save_sql},
    sessions::begin_session,
    to_json, unreadable, won,
};
use crate::{
    domain::{
        id::{InvitationId, UserId},
        secret::{Invitation, SecretHash},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{
        InvitationRow, InvitationState, Invitations, NewInvitation, NewPasskey, NewSession, Role, ShownPolicy,
        StoreError, User, Write,
    },
};

/// Most rows that a new invitation deletes: more than it makes, so that those that are over don't pile up.
const FORGOTTEN_AT_AN_INVITATION: u32 = 4;

const COLUMNS: &str = "invitation_id, invitations.user_id, invitations.name, invitations.role, inviter.name AS invited_by, \
                       invitations.created_at, expires_at, accepted_at, revoked_at";
const FROM: &str = "invitations JOIN users AS inviter ON inviter.user_id = invitations.invited_by";
/// Somebody can take it. Binds: now.
const OPEN: &str = "accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?";
/// Whoever made it still runs the broker.
const VALID: &str = "EXISTS (SELECT 1 FROM users WHERE users.user_id = invitations.invited_by AND role = 'operator' AND removed_at IS NULL)";

#[derive(Deserialize)]
struct Row {
    invitation_id: String,
    user_id: String,
    name: String,
    role: String,
    invited_by: String,
    created_at: Seconds,
    expires_at: Seconds,
    accepted_at: Option<Seconds>,
    revoked_at: Option<Seconds>,
}

impl TryFrom<Row> for InvitationRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let user = User {
            id: row.user_id.try_into().map_err(|_| unreadable("invitations.user_id"))?,
            name: row.name,
            role: Role::from_stored(&row.role).ok_or_else(|| unreadable("invitations.role"))?,
        };
        let state = match (row.accepted_at, row.revoked_at) {
            (Some(at), _) => InvitationState::Accepted(at.into()),
            (None, Some(_)) => InvitationState::Revoked,
            (None, None) => InvitationState::Open,
        };
        Ok(Self {
            id: row.invitation_id.try_into().map_err(|_| unreadable("invitations.invitation_id"))?,
            user,
            invited_by: row.invited_by,
            created_at: row.created_at.into(),
            expires_at: row.expires_at.into(),
            state,
        })
    }
}

impl Invitations for EdgePorts {
    async fn insert_invitation(
        &self,
        by: &UserId,
        new: &NewInvitation,
        policy: ShownPolicy<'_>,
        most: u32,
        kept_seconds: u64,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let until = Timestamp::from_seconds(now.seconds().saturating_sub(kept_seconds));
        let over = [Value::Time(until), Value::Count(FORGOTTEN_AT_AN_INVITATION)];
        let forget = "DELETE FROM invitations WHERE token_hash IN \
                      (SELECT token_hash FROM invitations WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";
        let next = policy.next.map(to_json).transpose()?;
        // A policy that is to be saved is there by now, or another one is: what it says tells the two apart.
        let (held, revision) = match &next {
            Some(next) => (Value::Text(next), policy.revision + 1),
            None => (Value::OptionalText(None), policy.revision),
        };
        let values = [
            Value::Text(new.token.as_str()),
            Value::Text(new.id.as_str()),
            Value::Text(new.user.as_str()),
            Value::Text(&new.name),
            Value::Text(new.role.as_str()),
            Value::Text(by.as_str()),
            Value::Time(now),
            Value::Time(new.expires_at),
            Value::Time(now),
            Value::Count(most),
            Value::Text(MEMBERS),
            held,
            Value::Number(revision),
        ];
        let insert = format!(
            "INSERT INTO invitations (token_hash, invitation_id, user_id, name, role, invited_by, created_at, expires_at) \
             SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM invitations WHERE {OPEN}) < ? AND \
             coalesce((SELECT revision FROM policies WHERE subject = ? AND policy = coalesce(?, policy)), 0) = ?"
        );
        let Some(next) = &next else {
            return self.database.conditional_batch(&[(forget, &over), (&insert, &values)], 1).await;
        };
        let save = save_sql(
            " AND (SELECT count(*) FROM invitations \
             WHERE accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?3) < ?5",
        );
        let saved = [
            Value::Text(MEMBERS),
            Value::Text(next),
            Value::Time(now),
            Value::Number(policy.revision),
            Value::Count(most),
        ];
        self.database.conditional_batch(&[(forget, &over), (&save, &saved), (&insert, &values)], 2).await
    }

    async fn find_invitation(&self, token: &SecretHash<Invitation>) -> Result<Option<InvitationRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE token_hash = ? AND {VALID}");
        let row: Option<Row> = self.database.row((&sql, &[Value::Text(token.as_str())])).await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn list_invitations(&self, limit: u32) -> Result<Vec<InvitationRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM {FROM} ORDER BY expires_at DESC, invitation_id LIMIT ?");
        let rows: Vec<Row> = self.database.rows((&sql, &[Value::Count(limit)])).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn revoke_invitation(&self, id: &InvitationId, now: Timestamp) -> Result<Write, StoreError> {
        let values = [Value::Time(now), Value::Text(id.as_str()), Value::Time(now)];
        let sql = format!("UPDATE invitations SET revoked_at = ? WHERE invitation_id = ? AND {OPEN}");
        self.database.run((&sql, &values)).await.map(won)
    }

    async fn accept_invitation(
        &self,
        token: &SecretHash<Invitation>,
        name: &str,
        passkey: &NewPasskey,
        session: &NewSession,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let key = passkey.credential.key.to_stored();
        let (token, credential) = (Value::Text(token.as_str()), Value::Text(passkey.credential.id.as_str()));
        let now_value = Value::Time(now);
        let free = format!(
            "token_hash = ? AND {OPEN} AND {VALID} AND NOT EXISTS (SELECT 1 FROM passkeys WHERE credential_id = ?)"
        );
        let whose = format!("invitations WHERE {free}");
        let open = [token.clone(), now_value.clone(), credential];
        let user_sql =
            format!("INSERT INTO users (user_id, name, role, created_at) SELECT user_id, ?, role, ? FROM {whose}");
        let user: Vec<Value<'_>> =
            [Value::Text(name), now_value.clone()].into_iter().chain(open.iter().cloned()).collect();
        let (begin, opened) = begin_session(session, now, &whose, &open);
        let (add, added) = add_passkey(passkey, &key, now, &whose, &open);
        // The passkey is there by now; that it is this one's says that all of it was written.
        let mark_sql = format!(
            "UPDATE invitations SET accepted_at = ? WHERE token_hash = ? AND {OPEN} \
             AND EXISTS (SELECT 1 FROM passkeys WHERE passkey_id = ? AND user_id = invitations.user_id)"
        );
        let mark = [now_value.clone(), token, now_value, Value::Text(passkey.id.as_str())];
        self.database
            .conditional_batch(&[(&user_sql, &user), (&begin, &opened), (&add, &added), (&mark_sql, &mark)], 3)
            .await
    }
}
