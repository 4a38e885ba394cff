//! The list of a user's grants, by the index `grants_of_user_by_age`, which holds all that they are chosen by.

use super::{Value, grants::GRANT_COLUMNS};
use crate::{
    domain::{
        grant::Grant,
        grant_list::{GrantPosition, GrantQuery, GrantState},
        id::UserId,
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{GrantList, StoreError},
};

/// A part of the list that the index has in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Live,
    Active,
    Paused,
    Ended,
}

impl Part {
    /// The parts that are listed, in their order.
    fn of(query: &GrantQuery) -> &'static [Self] {
        match (query.state, &query.after) {
            (None, Some(after)) if after.is_ended => &[Self::Ended],
            (None, _) => &[Self::Live, Self::Ended],
            (Some(GrantState::Active), _) => &[Self::Active],
            (Some(GrantState::Paused), _) => &[Self::Paused],
            (Some(GrantState::Ended), _) => &[Self::Ended],
        }
    }

    const fn condition(self) -> &'static str {
        match self {
            Self::Live => "revoked_at IS NULL AND expires_at > ?2",
            Self::Active => "revoked_at IS NULL AND expires_at > ?2 AND paused = 0",
            Self::Paused => "revoked_at IS NULL AND expires_at > ?2 AND paused = 1",
            Self::Ended => "(revoked_at IS NOT NULL OR expires_at <= ?2)",
        }
    }

    /// Binds: the user, now, the position's moment and grant, a part of the app's name, how many.
    fn sql(self) -> String {
        format!(
            "SELECT {GRANT_COLUMNS} FROM grants INDEXED BY grants_of_user_by_age WHERE user_id = ?1 \
             AND client_id <> 'personal' AND created_at <= ?3 AND (created_at < ?3 OR grant_id > ?4) AND (claimed_at IS NOT NULL OR claimable_until > ?2) \
             AND {} AND instr(lower(client_name), lower(?5)) > 0 ORDER BY created_at DESC, grant_id LIMIT ?6",
            self.condition()
        )
    }
}

impl GrantList for EdgePorts {
    async fn page_of_grants(
        &self,
        user: &UserId,
        query: &GrantQuery,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Grant>, StoreError> {
        let mut found = Vec::new();
        for part in Part::of(query) {
            let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
            if left == 0 {
                break;
            }
            let after = query.after.as_ref().filter(|after| after.is_ended == (*part == Part::Ended));
            let (at, id) = after.map_or((Value::Count(u32::MAX), ""), position);
            let values = [
                Value::Text(user.as_str()),
                Value::Time(now),
                at,
                Value::Text(id),
                Value::Text(&query.search),
                Value::Count(left),
            ];
            found.extend(self.database.grants_by(&part.sql(), &values).await?);
        }
        Ok(found)
    }
}

fn position(after: &GrantPosition) -> (Value<'_>, &str) {
    (Value::Time(after.created_at), after.id.as_str())
}
