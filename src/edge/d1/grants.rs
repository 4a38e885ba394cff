//! Tables `authorization_requests`, `grants`, `authorization_codes`, `refresh_tokens`.

use serde::Deserialize;
use worker::send::SendFuture;

use super::{Database, Seconds, Statement, Value, changes, from_json, to_json, unreadable, won};
use crate::{
    domain::{
        grant::{Grant, Terms},
        id::{ClientId, GrantId, UserId},
        oauth::{
            code::{AuthorizationCodeRow, RefreshTokenRow},
            pending_request::{Decision, PendingRequest},
        },
        secret::{AuthorizationCode, ConsentRequest, DeviceCode, RefreshToken, SecretHash, Session},
        time::Timestamp,
    },
    edge::{courier, ports::EdgePorts},
    web::ports::{Decided, Grants, NewAnswer, StoreError, Write},
};

/// The request is there, is this session's, and nobody has answered it yet. Binds: handle, session, now.
const UNDECIDED: &str = "handle_hash = ? AND session_hash = ? AND decided_at IS NULL AND expires_at > ?";

/// The device waits for an answer. Binds: its code, now.
const OPEN_DEVICE: &str = "device_code_hash = ? AND decided_at IS NULL AND expires_at > ?";

#[derive(Deserialize)]
struct RequestRow {
    session_hash: String,
    request: String,
    expires_at: Seconds,
    decided_at: Option<Seconds>,
    grant_id: Option<String>,
    filled: Option<String>,
}

impl TryFrom<RequestRow> for PendingRequest {
    type Error = StoreError;

    fn try_from(row: RequestRow) -> Result<Self, StoreError> {
        let decision = match (row.decided_at, grant_id("authorization_requests.grant_id", row.grant_id)?) {
            (None, _) => None,
            (Some(_), None) => Some(Decision::Denied),
            (Some(_), Some(grant_id)) => Some(Decision::Allowed(grant_id)),
        };
        Ok(Self {
            session: SecretHash::from_stored(row.session_hash),
            asked: from_json("authorization_requests.request", &row.request)?,
            expires_at: row.expires_at.into(),
            decision,
            filled: row.filled,
        })
    }
}

pub(super) const GRANT_COLUMNS: &str = "grant_id, user_id, client_id, client_name, terms, created_at, revoked_at";

#[derive(Deserialize)]
struct GrantRow {
    grant_id: String,
    user_id: String,
    client_id: String,
    client_name: String,
    terms: String,
    created_at: Seconds,
    revoked_at: Option<Seconds>,
}

impl TryFrom<GrantRow> for Grant {
    type Error = StoreError;

    fn try_from(row: GrantRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.grant_id.try_into().map_err(|_| unreadable("grants.grant_id"))?,
            user_id: row.user_id.try_into().map_err(|_| unreadable("grants.user_id"))?,
            client_id: row.client_id.try_into().map_err(|_| unreadable("grants.client_id"))?,
            client_name: row.client_name,
            terms: from_json("grants.terms", &row.terms)?,
            created_at: row.created_at.into(),
            revoked_at: row.revoked_at.map(Into::into),
        })
    }
}

#[derive(Deserialize)]
struct CodeRow {
    grant_id: String,
    client_id: String,
    redirect_uri: String,
    code_challenge: String,
    binding: String,
    expires_at: Seconds,
    redeemed_at: Option<Seconds>,
}

#[derive(Deserialize)]
struct TokenRow {
    grant_id: String,
    client_id: String,
    binding: String,
    created_at: Seconds,
    expires_at: Seconds,
    rotated_at: Option<Seconds>,
}

#[derive(Deserialize)]
struct DecisionRow {
    grant_id: Option<String>,
}

#[derive(Deserialize)]
struct GrantIdRow {
    grant_id: String,
}

#[derive(Deserialize)]
struct TermsRow {
    terms: String,
    revoked_at: Option<Seconds>,
}

pub(super) fn grant_id(column: &'static str, id: Option<String>) -> Result<Option<GrantId>, StoreError> {
    id.map(|id| id.try_into().map_err(|_| unreadable(column))).transpose()
}

impl Database {
    /// What a ledger has to know of its grant, and when the grant was revoked.
    ///
    /// # Errors
    /// The database can't answer.
    pub async fn terms_of(&self, id: &GrantId) -> Result<Option<(Terms, Option<Timestamp>)>, StoreError> {
        let values = [Value::Text(id.as_str())];
        let row: Option<TermsRow> =
            self.row(("SELECT terms, revoked_at FROM grants WHERE grant_id = ?", &values)).await?;
        row.map(|row| Ok((from_json("grants.terms", &row.terms)?, row.revoked_at.map(Into::into)))).transpose()
    }

    pub(super) async fn grants(&self, condition: &str, values: &[Value<'_>]) -> Result<Vec<Grant>, StoreError> {
        self.grants_by(&format!("SELECT {GRANT_COLUMNS} FROM grants {condition}"), values).await
    }

    /// By a statement that gives [`GRANT_COLUMNS`].
    pub(super) async fn grants_by(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Grant>, StoreError> {
        let rows: Vec<GrantRow> = self.rows((sql, values)).await?;
        rows.into_iter().map(Grant::try_from).collect()
    }
}

/// What is bound before a condition, and then what is bound in it.
fn followed_by<'a>(condition: &[Value<'a>], values: &[Value<'a>]) -> Vec<Value<'a>> {
    [values, condition].concat()
}

/// Uses something up that a first refresh token, or the next, comes of.
pub(super) struct Exchange<'a> {
    /// The row's table.
    pub(super) table: &'static str,
    /// The column that notes its use.
    pub(super) used: &'static str,
    /// That it is there and unused. Binds [`Self::values`].
    pub(super) condition: &'static str,
    pub(super) values: Vec<Value<'a>>,
    /// The grant that is claimed with it, where that is its first use.
    pub(super) claims: Option<&'a GrantId>,
    pub(super) refresh: Option<&'a RefreshTokenRow>,
}

impl Exchange<'_> {
    pub(super) async fn carry_out(&self, database: &Database, now: Timestamp) -> Result<Write, StoreError> {
        let Self { table, used, condition, values, .. } = self;
        let holds = format!("EXISTS (SELECT 1 FROM {table} WHERE {condition})");
        let claim_sql =
            format!("UPDATE grants SET claimed_at = coalesce(claimed_at, ?) WHERE grant_id = ? AND {holds}");
        let claim_values = self.claims.map(|id| followed_by(values, &[Value::Time(now), Value::Text(id.as_str())]));
        let insert_sql = format!(
            "INSERT INTO refresh_tokens (token_hash, grant_id, client_id, binding, created_at, expires_at) \
             SELECT ?, ?, ?, ?, ?, ? WHERE {holds}"
        );
        let binding = self.refresh.map(|row| to_json(&row.binding)).transpose()?;
        let insert_values = self.refresh.zip(binding.as_deref()).map(|(row, binding)| {
            let row = [
                Value::Text(row.hash.as_str()),
                Value::Text(row.grant_id.as_str()),
                Value::Text(row.client_id.as_str()),
                Value::Text(binding),
                Value::Time(row.created_at),
                Value::Time(row.expires_at),
            ];
            followed_by(values, &row)
        });
        let use_sql = format!("UPDATE {table} SET {used} = ? WHERE {condition}");
        let use_values = followed_by(values, &[Value::Time(now)]);
        let mut statements: Vec<Statement<'_>> = Vec::new();
        if let Some(values) = &claim_values {
            statements.push((&claim_sql, values));
        }
        if let Some(values) = &insert_values {
            statements.push((&insert_sql, values));
        }
        statements.push((&use_sql, &use_values));
        database.conditional_batch(&statements, statements.len() - 1).await
    }
}

impl Grants for EdgePorts {
    async fn insert_authorization_request(
        &self,
        handle: &SecretHash<ConsentRequest>,
        request: &PendingRequest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let asked = to_json(&request.asked)?;
        let values = [
            Value::Text(handle.as_str()),
            Value::Text(request.session.as_str()),
            Value::Text(request.asked.client_id().as_str()),
            Value::Text(&asked),
            Value::Time(now),
            Value::Time(request.expires_at),
        ];
        let sql = "INSERT INTO authorization_requests (handle_hash, session_hash, client_id, request, created_at, expires_at) \
                   VALUES (?, ?, ?, ?, ?, ?)";
        self.database.run((sql, &values)).await.map(drop)
    }

    async fn find_authorization_request(
        &self,
        handle: &SecretHash<ConsentRequest>,
    ) -> Result<Option<PendingRequest>, StoreError> {
        let row: Option<RequestRow> = self
            .database
            .row((
                "SELECT session_hash, request, expires_at, decided_at, grant_id, filled FROM authorization_requests \
                 WHERE handle_hash = ?",
                &[Value::Text(handle.as_str())],
            ))
            .await?;
        row.map(PendingRequest::try_from).transpose()
    }

    async fn keep_filled(&self, handle: &SecretHash<ConsentRequest>, filled: &str) -> Result<(), StoreError> {
        let sql = "UPDATE authorization_requests SET filled = ? WHERE handle_hash = ? AND decided_at IS NULL";
        self.database.run((sql, &[Value::Text(filled), Value::Text(handle.as_str())])).await.map(drop)
    }

    async fn close_authorization_request(
        &self,
        handle: &SecretHash<ConsentRequest>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let sql = "UPDATE authorization_requests SET expires_at = ? \
                   WHERE handle_hash = ? AND decided_at IS NULL AND expires_at > ?";
        let values = [Value::Time(now), Value::Text(handle.as_str()), Value::Time(now)];
        self.database.run((sql, &values)).await.map(won)
    }

    async fn allow(
        &self,
        handle: &SecretHash<ConsentRequest>,
        session: &SecretHash<Session>,
        grant: &Grant,
        answer: NewAnswer<'_>,
        now: Timestamp,
    ) -> Result<Decided, StoreError> {
        let terms = to_json(&grant.terms)?;
        let undecided = [Value::Text(handle.as_str()), Value::Text(session.as_str()), Value::Time(now)];
        let claimable_until = match answer {
            NewAnswer::Code(code) => code.expires_at,
            NewAnswer::Device { expires_at, .. } => expires_at,
        };
        let grant_values = followed_by(
            &undecided,
            &[
                Value::Text(grant.id.as_str()),
                Value::Text(grant.user_id.as_str()),
                Value::Text(grant.client_id.as_str()),
                Value::Text(&grant.client_name),
                Value::Text(&terms),
                Value::Time(grant.created_at),
                Value::Time(grant.terms.expires_at),
                Value::Time(claimable_until),
            ],
        );
        // Whoever answers a device second answers nothing: not even a grant is made.
        let device = match answer {
            NewAnswer::Code(_) => None,
            NewAnswer::Device { code, .. } => Some(code),
        };
        let grant_values = match device {
            None => grant_values,
            Some(code) => followed_by(&[Value::Text(code.as_str()), Value::Time(now)], &grant_values),
        };
        let still_open = device
            .map_or_else(String::new, |_| format!(" AND EXISTS (SELECT 1 FROM device_codes WHERE {OPEN_DEVICE})"));
        let grant_sql = format!(
            "INSERT INTO grants (grant_id, user_id, client_id, client_name, terms, created_at, expires_at, claimable_until) \
             SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM authorization_requests WHERE {UNDECIDED}){still_open}"
        );
        let binding;
        let (answer_sql, answer_values) = match answer {
            NewAnswer::Code(code) => {
                binding = to_json(&code.binding)?;
                let values = [
                    Value::Text(code.hash.as_str()),
                    Value::Text(code.grant_id.as_str()),
                    Value::Text(code.client_id.as_str()),
                    Value::Text(&code.redirect_uri),
                    Value::Text(code.code_challenge.as_str()),
                    Value::Text(&binding),
                    Value::Time(code.expires_at),
                ];
                let sql = format!(
                    "INSERT INTO authorization_codes (code_hash, grant_id, client_id, redirect_uri, code_challenge, binding, \
                     expires_at) SELECT ?, ?, ?, ?, ?, ?, ? \
                     WHERE EXISTS (SELECT 1 FROM authorization_requests WHERE {UNDECIDED})"
                );
                (sql, followed_by(&undecided, &values))
            }
            NewAnswer::Device { code, auth_time, expires_at } => {
                let values = [
                    Value::Time(now),
                    Value::Text(grant.id.as_str()),
                    Value::Time(auth_time),
                    Value::Time(expires_at),
                    Value::Text(code.as_str()),
                    Value::Time(now),
                ];
                let sql = format!(
                    "UPDATE device_codes SET decided_at = ?, grant_id = ?, auth_time = ?, expires_at = ? WHERE {OPEN_DEVICE} \
                     AND EXISTS (SELECT 1 FROM authorization_requests WHERE {UNDECIDED})"
                );
                (sql, followed_by(&undecided, &values))
            }
        };
        let mut mark_values = followed_by(&undecided, &[Value::Time(now), Value::Text(grant.id.as_str())]);
        let mut mark_sql = format!("UPDATE authorization_requests SET decided_at = ?, grant_id = ? WHERE {UNDECIDED}");
        if let Some(code) = device {
            mark_sql.push_str(" AND EXISTS (SELECT 1 FROM device_codes WHERE device_code_hash = ? AND grant_id = ?)");
            mark_values.extend([Value::Text(code.as_str()), Value::Text(grant.id.as_str())]);
        }
        let results = self
            .database
            .batch(&[
                (&grant_sql, &grant_values),
                (&answer_sql, &answer_values),
                (&mark_sql, &mark_values),
                (DECISION, &undecided[..2]),
            ])
            .await?;
        decided(&results)
    }

    async fn deny(
        &self,
        handle: &SecretHash<ConsentRequest>,
        session: &SecretHash<Session>,
        device: Option<&SecretHash<DeviceCode>>,
        now: Timestamp,
    ) -> Result<Decided, StoreError> {
        let undecided = [Value::Text(handle.as_str()), Value::Text(session.as_str()), Value::Time(now)];
        let device_values = device.map(|code| followed_by(&undecided, &[Value::Time(now), Value::Text(code.as_str())]));
        let device_sql = format!(
            "UPDATE device_codes SET decided_at = ? WHERE device_code_hash = ? AND decided_at IS NULL \
             AND EXISTS (SELECT 1 FROM authorization_requests WHERE {UNDECIDED})"
        );
        let mut mark_values = followed_by(&undecided, &[Value::Time(now)]);
        let mut mark_sql = format!("UPDATE authorization_requests SET decided_at = ? WHERE {UNDECIDED}");
        if let Some(code) = device {
            mark_sql.push_str(
                " AND EXISTS (SELECT 1 FROM device_codes WHERE device_code_hash = ? AND decided_at IS NOT NULL AND grant_id IS NULL)",
            );
            mark_values.push(Value::Text(code.as_str()));
        }
        let mut statements: Vec<Statement<'_>> = Vec::new();
        if let Some(values) = &device_values {
            statements.push((&device_sql, values));
        }
        statements.extend([(mark_sql.as_str(), mark_values.as_slice()), (DECISION, &undecided[..2])]);
        decided(&self.database.batch(&statements).await?)
    }

    async fn find_code(
        &self,
        hash: &SecretHash<AuthorizationCode>,
    ) -> Result<Option<AuthorizationCodeRow>, StoreError> {
        let row: Option<CodeRow> = self
            .database
            .row((
                "SELECT grant_id, client_id, redirect_uri, code_challenge, binding, expires_at, redeemed_at \
                 FROM authorization_codes WHERE code_hash = ?",
                &[Value::Text(hash.as_str())],
            ))
            .await?;
        row.map(|row| {
            Ok(AuthorizationCodeRow {
                hash: hash.clone(),
                grant_id: row.grant_id.try_into().map_err(|_| unreadable("authorization_codes.grant_id"))?,
                client_id: row.client_id.try_into().map_err(|_| unreadable("authorization_codes.client_id"))?,
                redirect_uri: row.redirect_uri,
                code_challenge: row
                    .code_challenge
                    .try_into()
                    .map_err(|_| unreadable("authorization_codes.code_challenge"))?,
                binding: from_json("authorization_codes.binding", &row.binding)?,
                expires_at: row.expires_at.into(),
                redeemed_at: row.redeemed_at.map(Into::into),
            })
        })
        .transpose()
    }

    async fn redeem_code(
        &self,
        hash: &SecretHash<AuthorizationCode>,
        grant: &GrantId,
        refresh: Option<&RefreshTokenRow>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let exchange = Exchange {
            table: "authorization_codes",
            used: "redeemed_at",
            condition: "code_hash = ? AND redeemed_at IS NULL AND expires_at > ?",
            values: vec![Value::Text(hash.as_str()), Value::Time(now)],
            claims: Some(grant),
            refresh,
        };
        exchange.carry_out(&self.database, now).await
    }

    async fn find_refresh_token(&self, hash: &SecretHash<RefreshToken>) -> Result<Option<RefreshTokenRow>, StoreError> {
        let row: Option<TokenRow> = self
            .database
            .row((
                "SELECT grant_id, client_id, binding, created_at, expires_at, rotated_at FROM refresh_tokens \
                 WHERE token_hash = ?",
                &[Value::Text(hash.as_str())],
            ))
            .await?;
        row.map(|row| {
            Ok(RefreshTokenRow {
                hash: hash.clone(),
                grant_id: row.grant_id.try_into().map_err(|_| unreadable("refresh_tokens.grant_id"))?,
                client_id: row.client_id.try_into().map_err(|_| unreadable("refresh_tokens.client_id"))?,
                binding: from_json("refresh_tokens.binding", &row.binding)?,
                created_at: row.created_at.into(),
                expires_at: row.expires_at.into(),
                rotated_at: row.rotated_at.map(Into::into),
            })
        })
        .transpose()
    }

    async fn rotate_refresh_token(
        &self,
        old: &SecretHash<RefreshToken>,
        next: &RefreshTokenRow,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let exchange = Exchange {
            table: "refresh_tokens",
            used: "rotated_at",
            condition: "token_hash = ? AND rotated_at IS NULL AND expires_at > ?",
            values: vec![Value::Text(old.as_str()), Value::Time(now)],
            claims: None,
            refresh: Some(next),
        };
        exchange.carry_out(&self.database, now).await
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        Ok(self.database.grants("WHERE grant_id = ?", &[Value::Text(id.as_str())]).await?.pop())
    }

    async fn list_active_grants_of_client(
        &self,
        client: &ClientId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<GrantId>, StoreError> {
        let sql = "SELECT grant_id FROM grants WHERE client_id = ? AND revoked_at IS NULL AND expires_at > ? LIMIT ?";
        let values = [Value::Text(client.as_str()), Value::Time(now), Value::Count(limit)];
        let rows: Vec<GrantIdRow> = self.database.rows((sql, &values)).await?;
        rows.into_iter().map(|row| row.grant_id.try_into().map_err(|_| unreadable("grants.grant_id"))).collect()
    }

    async fn list_active_grants_for(
        &self,
        user: &UserId,
        client: &ClientId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError> {
        let values = [
            Value::Text(user.as_str()),
            Value::Text(client.as_str()),
            Value::Time(now),
            Value::Time(now),
            Value::Count(limit),
        ];
        self.database
            .grants(
                "INDEXED BY grants_of_user_and_client WHERE user_id = ? AND client_id = ? AND revoked_at IS NULL \
                 AND expires_at > ? AND (claimed_at IS NOT NULL OR claimable_until > ?) ORDER BY created_at DESC, grant_id LIMIT ?",
                &values,
            )
            .await
    }

    async fn mark_grant_revoked(&self, id: &GrantId, now: Timestamp) -> Result<(), StoreError> {
        let values = [Value::Time(now), Value::Text(id.as_str())];
        let sql = "UPDATE grants SET revoked_at = ? WHERE grant_id = ? AND revoked_at IS NULL";
        if self.database.run((sql, &values)).await.map(won)? == Write::Won {
            // A trigger has written that it is to be told.
            SendFuture::new(courier::wake()).await;
        }
        Ok(())
    }

    async fn note_terms(&self, id: &GrantId, terms: &Terms) -> Result<(), StoreError> {
        let (ends, terms) = (terms.expires_at, to_json(terms)?);
        // Terms as they were agreed on had no revision in the first version.
        let is_later =
            "grant_id = ? AND coalesce(json_extract(terms, '$.revision'), 0) < json_extract(?, '$.revision')";
        let condition = [Value::Text(id.as_str()), Value::Text(&terms)];
        // Refresh tokens live as long as their grant, used ones too: a second use has to be noticed.
        let tokens = format!(
            "UPDATE refresh_tokens SET expires_at = ? WHERE grant_id = ? AND expires_at <> ? \
             AND EXISTS (SELECT 1 FROM grants WHERE {is_later})"
        );
        let of_grant = [Value::Time(ends), Value::Text(id.as_str()), Value::Time(ends)];
        let row = format!("UPDATE grants SET terms = ?, expires_at = ? WHERE {is_later}");
        let statements: [Statement<'_>; 2] = [
            (&tokens, &followed_by(&condition, &of_grant)),
            (&row, &followed_by(&condition, &[Value::Text(&terms), Value::Time(ends)])),
        ];
        self.database.batch(&statements).await.map(drop)
    }
}

/// How a request was answered, if this session may know. Binds: handle, session.
const DECISION: &str =
    "SELECT grant_id FROM authorization_requests WHERE handle_hash = ? AND session_hash = ? AND decided_at IS NOT NULL";

/// From a batch that ends with the mark and [`DECISION`].
fn decided(results: &[worker::D1Result]) -> Result<Decided, StoreError> {
    let [.., mark, decision] = results else { return Err(StoreError("D1: a batch is incomplete".to_owned())) };
    if changes(mark)? > 0 {
        return Ok(Decided::Won);
    }
    let mut rows: Vec<DecisionRow> = decision.results().map_err(|error| super::store_error(&error))?;
    match rows.pop() {
        None => Ok(Decided::Gone),
        Some(row) => {
            Ok(Decided::AlreadyDecided { grant_id: grant_id("authorization_requests.grant_id", row.grant_id)? })
        }
    }
}
