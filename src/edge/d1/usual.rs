//! Table `usual_limits`.

use serde::Deserialize;

use super::{Value, from_json, to_json};
use crate::{
    domain::{
        consent::Usual,
        id::{ClientId, UserId},
    },
    edge::ports::EdgePorts,
    web::ports::{StoreError, UsualLimits},
};

#[derive(Deserialize)]
struct Row {
    usual: String,
}

impl UsualLimits for EdgePorts {
    async fn find_usual_limits(&self, user: &UserId, client: &ClientId) -> Result<Option<Usual>, StoreError> {
        let values = [Value::Text(user.as_str()), Value::Text(client.as_str())];
        let row: Option<Row> =
            self.database.row(("SELECT usual FROM usual_limits WHERE user_id = ? AND client_id = ?", &values)).await?;
        row.map(|row| from_json("usual_limits.usual", &row.usual)).transpose()
    }

    async fn put_usual_limits(
        &self,
        user: &UserId,
        client: &ClientId,
        usual: Option<&Usual>,
    ) -> Result<(), StoreError> {
        let (user, client) = (Value::Text(user.as_str()), Value::Text(client.as_str()));
        let Some(usual) = usual else {
            let sql = "DELETE FROM usual_limits WHERE user_id = ? AND client_id = ?";
            return self.database.run((sql, &[user, client])).await.map(drop);
        };
        let json = to_json(usual)?;
        // An app that was deleted meanwhile has no usual limits.
        let sql = "INSERT INTO usual_limits (user_id, client_id, usual) SELECT ?, client_id, ? FROM clients WHERE client_id = ? \
                   ON CONFLICT DO UPDATE SET usual = excluded.usual";
        self.database.run((sql, &[user, Value::Text(&json), client])).await.map(drop)
    }
}
