//! Table `pushed_requests`.

use serde::Deserialize;

use super::{Seconds, Statement, Value, crowd::Crowd, from_json, to_json, won};
use crate::{
    domain::{
        network::NetworkHash,
        oauth::{
            authorization_request::AuthorizationRequest,
            pushed_request::{MAX_WAITING, MAX_WAITING_OF_CLIENT, PushedRow},
        },
        secret::{PushedRequest, SecretHash},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{PushedRequests, StoreError, Write},
};

/// Most rows that one push deletes: more than it makes, so that those that are over don't pile up, however many come.
const FORGOTTEN_AT_A_PUSH: u32 = 4;

/// Whether one that is over is still there makes no difference to anybody. Binds: now, how many.
const FORGET: &str = "DELETE FROM pushed_requests WHERE handle_hash IN \
                      (SELECT handle_hash FROM pushed_requests WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";

/// What waits. Binds as `?3`: now.
const WAITING: Crowd =
    Crowd { table: "pushed_requests", key: "handle_hash", which: "used_at IS NULL AND expires_at > ?3" };
/// What waits of one client. Binds as `?3`: now; as `?4`: the client.
const WAITING_OF_CLIENT: Crowd = Crowd { which: "client_id = ?4 AND used_at IS NULL AND expires_at > ?3", ..WAITING };

#[derive(Deserialize)]
struct Row {
    request: String,
    expires_at: Seconds,
    used_at: Option<Seconds>,
}

impl TryFrom<Row> for PushedRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            request: from_json("pushed_requests.request", &row.request)?,
            expires_at: row.expires_at.into(),
            used_at: row.used_at.map(Into::into),
        })
    }
}

impl PushedRequests for EdgePorts {
    async fn push_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        request: &AuthorizationRequest,
        network: &NetworkHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let json = to_json(request)?;
        let (client, network) = (Value::Text(request.client_id.as_str()), Value::Text(network.as_str()));
        let values = [
            Value::Text(handle.as_str()),
            client.clone(),
            Value::Text(&json),
            Value::Time(expires_at),
            network.clone(),
        ];
        let sql =
            "INSERT INTO pushed_requests (handle_hash, client_id, request, expires_at, network) VALUES (?, ?, ?, ?, ?)";
        let over = [Value::Time(now), Value::Count(FORGOTTEN_AT_A_PUSH)];
        let of_client = [Value::Count(MAX_WAITING_OF_CLIENT), network.clone(), Value::Time(now), client];
        let of_all = [Value::Count(MAX_WAITING), network, Value::Time(now)];
        let statements: [Statement<'_>; 4] = [
            (FORGET, &over),
            (&WAITING_OF_CLIENT.make_room(), &of_client),
            (&WAITING.make_room(), &of_all),
            (sql, &values),
        ];
        self.database.batch(&statements).await.map(drop)
    }

    async fn find_pushed_request(&self, handle: &SecretHash<PushedRequest>) -> Result<Option<PushedRow>, StoreError> {
        let values = [Value::Text(handle.as_str())];
        let sql = "SELECT request, expires_at, used_at FROM pushed_requests WHERE handle_hash = ?";
        let row: Option<Row> = self.database.row((sql, &values)).await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn open_pushed_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let sql = "UPDATE pushed_requests SET opened_at = ?, expires_at = ? \
                   WHERE handle_hash = ? AND expires_at > ? AND used_at IS NULL AND opened_at IS NULL";
        let values = [Value::Time(now), Value::Time(expires_at), Value::Text(handle.as_str()), Value::Time(now)];
        self.database.run((sql, &values)).await.map(won)
    }

    async fn use_pushed_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        // Its row stays until it would have expired: whoever comes second reads that it was used.
        let sql = "UPDATE pushed_requests SET used_at = ? WHERE handle_hash = ? AND expires_at > ? AND used_at IS NULL";
        let values = [Value::Time(now), Value::Text(handle.as_str()), Value::Time(now)];
        self.database.run((sql, &values)).await.map(won)
    }
}
