//! Table `clients`.

use serde::Deserialize;

use super::{Database, Seconds, Value, from_json, to_json, unreadable, won};
use crate::{
    domain::{
        id::{ClientId, UserId},
        oauth::client::{Client, ClientAuth},
        secret::SecretHash,
    },
    edge::ports::EdgePorts,
    web::ports::{Clients, StoreError, Write},
};

const COLUMNS: &str =
    "client_id, name, home_page, redirect_uris, token_endpoint_auth_method, secret_hash, owner_user_id, created_at";

#[derive(Deserialize)]
struct Row {
    client_id: String,
    name: String,
    home_page: String,
    redirect_uris: String,
    token_endpoint_auth_method: String,
    secret_hash: Option<String>,
    owner_user_id: Option<String>,
    created_at: Seconds,
}

impl TryFrom<Row> for Client {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.client_id.try_into().map_err(|_| unreadable("clients.client_id"))?,
            name: row.name,
            home_page: row.home_page,
            redirect_uris: from_json("clients.redirect_uris", &row.redirect_uris)?,
            auth: ClientAuth::from_stored(&row.token_endpoint_auth_method, row.secret_hash)
                .ok_or_else(|| unreadable("clients.secret_hash"))?,
            owner: row
                .owner_user_id
                .map(|id| id.try_into().map_err(|_| unreadable("clients.owner_user_id")))
                .transpose()?,
            created_at: row.created_at.into(),
        })
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

    async fn insert_client(&self, client: &Client) -> Result<(), StoreError> {
        let redirect_uris = to_json(&client.redirect_uris)?;
        let values = [
            Value::Text(client.id.as_str()),
            Value::Text(&client.name),
            Value::Text(&client.home_page),
            Value::Text(&redirect_uris),
            Value::Text(client.auth.method()),
            Value::OptionalText(client.auth.secret_hash().map(SecretHash::as_str)),
            Value::OptionalText(client.owner.as_ref().map(UserId::as_str)),
            Value::Time(client.created_at),
        ];
        let sql = format!("INSERT INTO clients ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
        self.database.run((&sql, &values)).await.map(drop)
    }

    async fn list_clients(&self, owner: Option<&UserId>, limit: u32) -> Result<Vec<Client>, StoreError> {
        let newest = "ORDER BY created_at DESC, client_id LIMIT ?";
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
