//! Table `clients`.

use serde::Deserialize;
use serde_json::Map;

use super::{Database, Flag, Seconds, Statement, Value, crowd::Crowd, from_json, to_json, unreadable, won};
use crate::{
    domain::{
        access_token::SigningAlgorithm,
        id::{ClientId, UserId},
        network::NetworkHash,
        oauth::client::{Client, ClientAuth, ClientKind},
        secret::SecretHash,
    },
    edge::ports::EdgePorts,
    web::ports::{Clients, StoreError, Write},
};

const COLUMNS: &str = "client_id, kind, name, home_page, logo_uri, redirect_uris, grant_types, token_endpoint_auth_method, \
                       secret_hash, jwks, jwks_uri, requires_par, requires_dpop, access_token_alg, owner_user_id, \
                       registration_token_hash, created_at, fresh_until, described";

/// Clients of one kind that nobody ever granted anything (one that somebody did has no network: a trigger of the database), and that
/// nobody is just asked about, or was within a day: only people who are signed in are. Binds as `?3`: the kind; as `?4`: a client that
/// isn't meant.
const UNUSED_CLIENTS: Crowd = Crowd {
    table: "clients",
    key: "client_id",
    which: "kind = ?3 AND network IS NOT NULL AND client_id != ?4 \
            AND NOT EXISTS (SELECT 1 FROM authorization_requests AS r WHERE r.client_id = clients.client_id)",
};

/// What [`UNUSED_CLIENTS`] binds, for one more that comes.
fn room_for<'a>(client: &'a Client, network: &'a NetworkHash, most: u32) -> [Value<'a>; 4] {
    [
        Value::Count(most),
        Value::Text(network.as_str()),
        Value::Text(client.kind.as_str()),
        Value::Text(client.id.as_str()),
    ]
}

#[derive(Deserialize)]
struct Row {
    client_id: String,
    kind: String,
    name: String,
    home_page: Option<String>,
    logo_uri: Option<String>,
    redirect_uris: String,
    grant_types: String,
    token_endpoint_auth_method: String,
    secret_hash: Option<String>,
    jwks: Option<String>,
    jwks_uri: Option<String>,
    requires_par: Flag,
    requires_dpop: Flag,
    access_token_alg: String,
    owner_user_id: Option<String>,
    registration_token_hash: Option<String>,
    created_at: Seconds,
    fresh_until: Option<Seconds>,
    described: Option<String>,
}

impl TryFrom<Row> for Client {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let owner =
            row.owner_user_id.map(|id| id.try_into().map_err(|_| unreadable("clients.owner_user_id"))).transpose()?;
        let kind = match (row.kind.as_str(), row.registration_token_hash, row.fresh_until) {
            ("registered", None, None) => ClientKind::Registered(owner),
            ("dynamic", Some(hash), None) => ClientKind::Dynamic(SecretHash::from_stored(hash)),
            ("document", None, Some(until)) => ClientKind::Document { fresh_until: until.into() },
            _ => return Err(unreadable("clients.kind")),
        };
        Ok(Self {
            id: row.client_id.try_into().map_err(|_| unreadable("clients.client_id"))?,
            kind,
            name: row.name,
            home_page: row.home_page,
            logo_uri: row.logo_uri,
            redirect_uris: from_json("clients.redirect_uris", &row.redirect_uris)?,
            grant_types: from_json("clients.grant_types", &row.grant_types)?,
            prefers_secret_in_body: row.token_endpoint_auth_method == "client_secret_post",
            auth: ClientAuth::from_stored(&row.token_endpoint_auth_method, row.secret_hash, row.jwks, row.jwks_uri)
                .ok_or_else(|| unreadable("clients.token_endpoint_auth_method"))?,
            requires_par: row.requires_par.into(),
            requires_dpop: row.requires_dpop.into(),
            access_token_alg: SigningAlgorithm::from_name(&row.access_token_alg)
                .ok_or_else(|| unreadable("clients.access_token_alg"))?,
            described: row.described.map_or_else(|| Ok(Map::new()), |json| from_json("clients.described", &json))?,
            created_at: row.created_at.into(),
        })
    }
}

/// A client's columns, as they are bound: [`COLUMNS`], in their order.
struct Bound {
    redirect_uris: String,
    grant_types: String,
    described: Option<String>,
}

impl Bound {
    fn of(client: &Client) -> Result<Self, StoreError> {
        let described = &client.described;
        Ok(Self {
            redirect_uris: to_json(&client.redirect_uris)?,
            grant_types: to_json(&client.grant_types)?,
            described: (!described.is_empty()).then(|| to_json(described)).transpose()?,
        })
    }

    fn values<'a>(&'a self, client: &'a Client) -> Vec<Value<'a>> {
        let (jwks, jwks_uri) = client.auth.keys();
        let method = match &client.auth {
            ClientAuth::Confidential(_) if client.prefers_secret_in_body => "client_secret_post",
            auth => auth.method(),
        };
        let (registration_token, fresh_until) = match &client.kind {
            ClientKind::Registered(_) => (None, Value::OptionalText(None)),
            ClientKind::Dynamic(hash) => (Some(hash.as_str()), Value::OptionalText(None)),
            ClientKind::Document { fresh_until } => (None, Value::Time(*fresh_until)),
        };
        vec![
            Value::Text(client.id.as_str()),
            Value::Text(client.kind.as_str()),
            Value::Text(&client.name),
            Value::OptionalText(client.home_page.as_deref()),
            Value::OptionalText(client.logo_uri.as_deref()),
            Value::Text(&self.redirect_uris),
            Value::Text(&self.grant_types),
            Value::Text(method),
            Value::OptionalText(client.auth.secret_hash().map(SecretHash::as_str)),
            Value::OptionalText(jwks),
            Value::OptionalText(jwks_uri),
            Value::Count(client.requires_par.into()),
            Value::Count(client.requires_dpop.into()),
            Value::Text(client.access_token_alg.as_str()),
            Value::OptionalText(client.owner().map(UserId::as_str)),
            Value::OptionalText(registration_token),
            Value::Time(client.created_at),
            fresh_until,
            Value::OptionalText(self.described.as_deref()),
        ]
    }
}

impl Database {
    async fn clients(&self, condition: &str, values: &[Value<'_>]) -> Result<Vec<Client>, StoreError> {
        let rows: Vec<Row> = self.rows((&format!("SELECT {COLUMNS} FROM clients {condition}"), values)).await?;
        rows.into_iter().map(Client::try_from).collect()
    }
}

impl Clients for EdgePorts {
    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        Ok(self.database.clients("WHERE client_id = ?", &[Value::Text(id.as_str())]).await?.pop())
    }

    async fn find_clients(&self, ids: &[&ClientId]) -> Result<Vec<Client>, StoreError> {
        let ids = to_json(&ids)?;
        self.database.clients("WHERE client_id IN (SELECT value FROM json_each(?))", &[Value::Text(&ids)]).await
    }

    async fn insert_client(&self, client: &Client) -> Result<(), StoreError> {
        let bound = Bound::of(client)?;
        let values = bound.values(client);
        let places = vec!["?"; values.len()].join(", ");
        let sql = format!("INSERT INTO clients ({COLUMNS}) VALUES ({places})");
        self.database.run((&sql, &values)).await.map(drop)
    }

    async fn insert_dynamic_client(&self, client: &Client, network: &NetworkHash, most: u32) -> Result<(), StoreError> {
        let bound = Bound::of(client)?;
        let mut values = bound.values(client);
        values.push(Value::Text(network.as_str()));
        let places = vec!["?"; values.len()].join(", ");
        let insert = format!("INSERT INTO clients ({COLUMNS}, network) VALUES ({places})");
        let room = room_for(client, network, most);
        let statements: [Statement<'_>; 2] = [(&UNUSED_CLIENTS.make_room(), &room), (&insert, &values)];
        self.database.batch(&statements).await.map(drop)
    }

    async fn update_dynamic_client(&self, client: &Client) -> Result<Write, StoreError> {
        let bound = Bound::of(client)?;
        let mut values = bound.values(client);
        let places = vec!["?"; values.len()].join(", ");
        let sql = format!(
            "UPDATE clients SET ({COLUMNS}) = ({places}) WHERE client_id = ? AND kind = 'dynamic' AND registration_token_hash = ?"
        );
        let ClientKind::Dynamic(token) = &client.kind else { return Ok(Write::Lost) };
        values.extend([Value::Text(client.id.as_str()), Value::Text(token.as_str())]);
        self.database.run((&sql, &values)).await.map(won)
    }

    async fn put_document_client(&self, client: &Client, network: &NetworkHash, most: u32) -> Result<(), StoreError> {
        let bound = Bound::of(client)?;
        let mut values = bound.values(client);
        values.push(Value::Text(network.as_str()));
        let places = vec!["?"; values.len()].join(", ");
        let columns = COLUMNS.split(", ").filter(|column| !matches!(*column, "client_id" | "kind" | "created_at"));
        let changes: Vec<String> = columns.map(|column| format!("{column} = excluded.{column}")).collect();
        let put = format!(
            "INSERT INTO clients ({COLUMNS}, network) VALUES ({places}) ON CONFLICT (client_id) DO UPDATE SET {} WHERE kind = 'document'",
            changes.join(", ")
        );
        let room = room_for(client, network, most);
        let statements: [Statement<'_>; 2] = [(&UNUSED_CLIENTS.make_room(), &room), (&put, &values)];
        self.database.batch(&statements).await.map(drop)
    }

    async fn list_clients(&self, owner: Option<&UserId>, limit: u32) -> Result<Vec<Client>, StoreError> {
        // However many strangers come, what people registered stays on the list.
        let newest = "ORDER BY kind = 'registered' DESC, created_at DESC, client_id LIMIT ?";
        match owner {
            None => self.database.clients(newest, &[Value::Count(limit)]).await,
            Some(owner) => {
                let values = [Value::Text(owner.as_str()), Value::Count(limit)];
                self.database.clients(&format!("WHERE owner_user_id = ? {newest}"), &values).await
            }
        }
    }

    async fn delete_client(&self, id: &ClientId) -> Result<Write, StoreError> {
        // Its open authorization requests go with it (ON DELETE CASCADE).
        self.database.run(("DELETE FROM clients WHERE client_id = ?", &[Value::Text(id.as_str())])).await.map(won)
    }
}
