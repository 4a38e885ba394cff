//! Tables `device_codes`, `device_guesses`.

use serde::Deserialize;

use super::{
    Seconds, Statement, Value,
    crowd::Crowd,
    from_json,
    grants::{Exchange, grant_id},
    store_error, to_json, unreadable, won,
};
use crate::{
    domain::{
        id::{GrantId, UserId},
        network::NetworkHash,
        oauth::{
            code::RefreshTokenRow,
            device::{
                DEVICE_CODE_TTL_SECONDS, DeviceCodeRow, DeviceState, GUESS_WINDOW_SECONDS, MAX_OPEN_CODES,
                MAX_OPEN_CODES_OF_CLIENT, MAX_WRONG_CODES, Pace, UserCode,
            },
        },
        secret::{DeviceCode, SecretHash},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{DeviceCodes, Entered, StoreError, Write},
};

/// Most rows that one new code deletes: more than it makes, so that those that are over don't pile up, however many come.
const FORGOTTEN_AT_A_CODE: u32 = 4;

/// Codes that nobody answered; those that were answered stay for whoever sends one twice. Binds: until when they lived, how many.
const FORGET: &str = "DELETE FROM device_codes WHERE device_code_hash IN (SELECT device_code_hash FROM device_codes \
                      WHERE decided_at IS NULL AND expires_at <= ? ORDER BY expires_at LIMIT ?)";

const COLUMNS: &str = "device_code_hash, user_code, request, expires_at, interval_seconds, polled_at_ms, decided_at, grant_id, \
                       auth_time, redeemed_at";
/// A code waits for a person. Binds: now.
const OPEN: &str = "decided_at IS NULL AND expires_at > ?";
/// Codes that wait. Binds as `?3`: now.
const WAITING: Crowd =
    Crowd { table: "device_codes", key: "device_code_hash", which: "decided_at IS NULL AND expires_at > ?3" };
/// Codes of one client that wait. Binds as `?3`: now; as `?4`: the client.
const WAITING_OF_CLIENT: Crowd =
    Crowd { which: "client_id = ?4 AND decided_at IS NULL AND expires_at > ?3", ..WAITING };
/// How many wrong codes a person has entered lately. Binds: the person, since when.
const WRONG: &str = "(SELECT count(*) FROM device_guesses WHERE user_id = ? AND at > ?)";

#[derive(Deserialize)]
struct Row {
    device_code_hash: String,
    user_code: String,
    request: String,
    expires_at: Seconds,
    interval_seconds: u32,
    polled_at_ms: Option<u64>,
    decided_at: Option<Seconds>,
    grant_id: Option<String>,
    auth_time: Option<Seconds>,
    redeemed_at: Option<Seconds>,
}

impl TryFrom<Row> for DeviceCodeRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let grant = grant_id("device_codes.grant_id", row.grant_id)?;
        let state = match (row.decided_at, grant, row.redeemed_at) {
            (None, None, None) => DeviceState::Open,
            (Some(_), None, None) => DeviceState::Denied,
            (Some(_), Some(grant_id), None) => {
                DeviceState::Allowed { grant_id, auth_time: row.auth_time.map(Into::into) }
            }
            (Some(_), Some(grant_id), Some(at)) => DeviceState::Redeemed { grant_id, at: at.into() },
            _ => return Err(unreadable("device_codes.decided_at")),
        };
        Ok(Self {
            hash: SecretHash::from_stored(row.device_code_hash),
            user_code: row.user_code.try_into().map_err(|_| unreadable("device_codes.user_code"))?,
            request: from_json("device_codes.request", &row.request)?,
            expires_at: row.expires_at.into(),
            pace: Pace {
                interval_seconds: row.interval_seconds,
                polled_at: row.polled_at_ms.map(Timestamp::from_millis),
            },
            state,
        })
    }
}

#[derive(Deserialize)]
struct WrongRow {
    wrong: u32,
}

impl DeviceCodes for EdgePorts {
    async fn insert_device_code(
        &self,
        row: &DeviceCodeRow,
        network: &NetworkHash,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let request = to_json(&row.request)?;
        let (client, network) = (Value::Text(row.client_id().as_str()), Value::Text(network.as_str()));
        let values = [
            Value::Text(row.hash.as_str()),
            Value::Text(row.user_code.as_str()),
            client.clone(),
            Value::Text(&request),
            Value::Time(now),
            Value::Time(row.expires_at),
            Value::Count(row.pace.interval_seconds),
            network.clone(),
        ];
        let sql = "INSERT INTO device_codes (device_code_hash, user_code, client_id, request, created_at, expires_at, \
                   interval_seconds, network) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let until = Timestamp::from_seconds(now.seconds().saturating_sub(DEVICE_CODE_TTL_SECONDS));
        let over = [Value::Time(until), Value::Count(FORGOTTEN_AT_A_CODE)];
        let of_client = [Value::Count(MAX_OPEN_CODES_OF_CLIENT), network.clone(), Value::Time(now), client];
        let of_all = [Value::Count(MAX_OPEN_CODES), network, Value::Time(now)];
        let statements: [Statement<'_>; 4] = [
            (FORGET, &over),
            (&WAITING_OF_CLIENT.make_room(), &of_client),
            (&WAITING.make_room(), &of_all),
            (sql, &values),
        ];
        self.database.conditional_batch(&statements, 3).await
    }

    async fn find_device_code(&self, hash: &SecretHash<DeviceCode>) -> Result<Option<DeviceCodeRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM device_codes WHERE device_code_hash = ?");
        let row: Option<Row> = self.database.row((&sql, &[Value::Text(hash.as_str())])).await?;
        row.map(DeviceCodeRow::try_from).transpose()
    }

    async fn enter_user_code(&self, user: &UserId, code: &UserCode, now: Timestamp) -> Result<Entered, StoreError> {
        let since = Timestamp::from_seconds(now.seconds().saturating_sub(GUESS_WINDOW_SECONDS));
        let (user, code) = (Value::Text(user.as_str()), Value::Text(code.as_str()));
        let (now, since) = (Value::Time(now), Value::Time(since));
        let most = Value::Count(MAX_WRONG_CODES);
        let wrong_sql = format!("SELECT {WRONG} AS wrong");
        let find_sql = format!("SELECT {COLUMNS} FROM device_codes WHERE user_code = ? AND {OPEN} AND {WRONG} < ?");
        let count_sql = format!(
            "INSERT INTO device_guesses (user_id, at) SELECT ?, ? \
             WHERE NOT EXISTS (SELECT 1 FROM device_codes WHERE user_code = ? AND {OPEN}) AND {WRONG} < ?"
        );
        let results = self
            .database
            .batch(&[
                ("DELETE FROM device_guesses WHERE at <= ?", core::slice::from_ref(&since)),
                (&wrong_sql, &[user.clone(), since.clone()]),
                (&find_sql, &[code.clone(), now.clone(), user.clone(), since.clone(), most.clone()]),
                (&count_sql, &[user.clone(), now.clone(), code, now, user, since.clone(), most]),
            ])
            .await?;
        let [_, wrong, found, _] = results.as_slice() else {
            return Err(StoreError("D1: a batch is incomplete".to_owned()));
        };
        let wrong: Vec<WrongRow> = wrong.results().map_err(|error| store_error(&error))?;
        if wrong.first().is_none_or(|row| row.wrong >= MAX_WRONG_CODES) {
            return Ok(Entered::TooMany);
        }
        let mut found: Vec<Row> = found.results().map_err(|error| store_error(&error))?;
        found.pop().map_or(Ok(Entered::Wrong), |row| Ok(Entered::Open(Box::new(row.try_into()?))))
    }

    async fn note_poll(&self, hash: &SecretHash<DeviceCode>, seen: Pace, next: Pace) -> Result<Write, StoreError> {
        let values = [
            Value::OptionalMillis(next.polled_at),
            Value::Count(next.interval_seconds),
            Value::Text(hash.as_str()),
            Value::OptionalMillis(seen.polled_at),
            Value::Count(seen.interval_seconds),
        ];
        let sql = "UPDATE device_codes SET polled_at_ms = ?, interval_seconds = ? \
                   WHERE device_code_hash = ? AND polled_at_ms IS ? AND interval_seconds = ? AND decided_at IS NULL";
        self.database.run((sql, &values)).await.map(won)
    }

    async fn redeem_device_code(
        &self,
        row: &DeviceCodeRow,
        grant: &GrantId,
        refresh: Option<&RefreshTokenRow>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let exchange = Exchange {
            table: "device_codes",
            used: "redeemed_at",
            condition: "device_code_hash = ? AND client_id = ? AND grant_id IS NOT NULL AND redeemed_at IS NULL AND expires_at > ?",
            values: vec![Value::Text(row.hash.as_str()), Value::Text(row.client_id().as_str()), Value::Time(now)],
            claims: Some(grant),
            refresh,
        };
        exchange.carry_out(&self.database, now).await
    }
}
