//! Tables `allowed`, `allowed_uses`, `allowed_destinations`: what people allowed, and how sure it is that it was them.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Flag, Value, from_json, unreadable};
use crate::{
    domain::{
        id::UserId,
        money::NanoUsd,
        permission::{Capability, Provider},
        risk::{History, PROVEN_SECONDS, UNPROVEN_SECONDS, WorstCase},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{Allowed, Certainty, StoreError, Write},
};

/// Money that was allowed without a proof. Binds: `?1`, whose; `?2`, since when; `?3`, the deed that is about to be done, which may have
/// been noted already.
const UNPROVEN: &str =
    "SELECT coalesce(sum(nano_usd), 0) FROM allowed WHERE user_id = ?1 AND is_proven = 0 AND at > ?2 AND deed <> ?3";

/// Binds, too: `?4`, since when what was proven counts; `?5`, where an answer goes.
fn history() -> String {
    let proven = "FROM allowed WHERE user_id = ?1 AND is_proven = 1 AND at > ?4";
    format!(
        "SELECT ({UNPROVEN}) AS unproven, (SELECT coalesce(max(nano_usd), 0) {proven}) AS proven, \
         (SELECT coalesce(max(seconds), 0) {proven}) AS proven_seconds, \
         (SELECT json_group_array(json_array(provider, capability)) FROM allowed_uses WHERE user_id = ?1) AS uses, \
         EXISTS (SELECT 1 FROM allowed_destinations AS seen JOIN users USING (user_id) WHERE seen.destination = ?5 \
         AND (seen.user_id = ?1 OR users.role = 'operator')) AS knows_destination"
    )
}

#[derive(Deserialize)]
struct Row {
    unproven: u64,
    proven: u64,
    proven_seconds: u64,
    uses: String,
    knows_destination: Flag,
}

impl TryFrom<Row> for History {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let uses: Vec<(String, String)> = from_json("allowed_uses", &row.uses)?;
        let parse = |(provider, capability): (String, String)| {
            let provider: Provider = provider.parse().map_err(|_| unreadable("allowed_uses.provider"))?;
            let capability: Capability = capability.parse().map_err(|_| unreadable("allowed_uses.capability"))?;
            Ok((provider, capability))
        };
        Ok(Self {
            unproven: NanoUsd(row.unproven),
            proven: NanoUsd(row.proven),
            proven_seconds: row.proven_seconds,
            uses: uses.into_iter().map(parse).collect::<Result<BTreeSet<_>, StoreError>>()?,
            knows_destination: row.knows_destination.into(),
        })
    }
}

fn before(now: Timestamp, seconds: u64) -> Timestamp {
    Timestamp::from_seconds(now.seconds().saturating_sub(seconds))
}

fn money_of(case: &WorstCase) -> u64 {
    case.money.unwrap_or(NanoUsd::MAX).0
}

/// A deed by what it allows: the same form can be sent again with more in it.
fn named(deed: &str, case: &WorstCase) -> String {
    format!("{deed} {} {}", money_of(case), case.seconds)
}

impl Allowed for EdgePorts {
    async fn find_history(
        &self,
        user: &UserId,
        deed: &str,
        case: &WorstCase,
        now: Timestamp,
    ) -> Result<History, StoreError> {
        let deed = named(deed, case);
        let destination = case.destination.as_ref().map(ToString::to_string);
        let values = [
            Value::Text(user.as_str()),
            Value::Time(before(now, UNPROVEN_SECONDS)),
            Value::Text(&deed),
            Value::Time(before(now, PROVEN_SECONDS)),
            Value::OptionalText(destination.as_deref()),
        ];
        let row: Option<Row> = self.database.row((&history(), &values)).await?;
        row.map_or_else(|| Ok(History::default()), History::try_from)
    }

    async fn note_allowed(
        &self,
        user: &UserId,
        deed: &str,
        case: &WorstCase,
        certainty: Certainty,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let (money, deed) = (money_of(case), named(deed, case));
        let (user, seconds) = (Value::Text(user.as_str()), Value::Number(case.seconds));
        let over = "DELETE FROM allowed WHERE user_id = ? AND at <= ?";
        let over_values = [user.clone(), Value::Time(before(now, PROVEN_SECONDS))];
        match certainty {
            Certainty::Unproven { most } => {
                let insert = format!(
                    "INSERT INTO allowed (user_id, deed, at, is_proven, nano_usd, seconds) SELECT ?1, ?3, ?4, 0, ?5, ?6 \
                     WHERE ({UNPROVEN}) + ?5 <= ?7 ON CONFLICT (user_id, deed) DO UPDATE SET seconds = excluded.seconds"
                );
                let values = [
                    user,
                    Value::Time(before(now, UNPROVEN_SECONDS)),
                    Value::Text(&deed),
                    Value::Time(now),
                    Value::Number(money),
                    seconds,
                    Value::Number(most.0),
                ];
                self.database.conditional_batch(&[(&insert, &values), (over, &over_values)], 0).await
            }
            Certainty::Proven => {
                let insert = "INSERT INTO allowed (user_id, deed, at, is_proven, nano_usd, seconds) VALUES (?, ?, ?, 1, ?, ?) \
                              ON CONFLICT (user_id, deed) DO UPDATE SET is_proven = 1, at = excluded.at";
                let values = [user.clone(), Value::Text(&deed), Value::Time(now), Value::Number(money), seconds];
                let destination = case.destination.as_ref().map(ToString::to_string);
                let seen = "INSERT OR IGNORE INTO allowed_destinations (destination, user_id) \
                            SELECT ?1, ?2 WHERE ?1 IS NOT NULL";
                let seen_values = [Value::OptionalText(destination.as_deref()), user];
                let statements = [(insert, values.as_slice()), (seen, &seen_values), (over, &over_values)];
                self.database.conditional_batch(&statements, 0).await
            }
        }
    }
}
