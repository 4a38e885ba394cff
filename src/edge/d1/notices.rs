//! Table `notices`.

use serde::{Deserialize, Serialize};

use super::{Database, Seconds, Value, from_json, to_json, unreadable};
use crate::{
    domain::{
        grant::Terms,
        id::{GrantId, UserId},
        ledger::{Cap, Reached},
        limits::Period,
        notice::{About, DAYS_BEFORE_THE_END, Notice, NoticeId},
        time::Timestamp,
    },
    edge::ports::EdgePorts,
    web::ports::{Notices, StoreError},
};

const DAY: u64 = 24 * 3600;
/// Most grants of which it is said in a run of the clean-up that they end so many days later.
const MAX_EXPIRIES: u32 = 1000;
/// How a notice of a cap over the whole grant says so.
const WHOLE_GRANT: i64 = -1;

/// What is stored of a threshold, but for the grant.
#[derive(Serialize)]
struct ReachedRow {
    permission: i64,
    cap: &'static str,
    period: &'static str,
    period_number: u64,
    allowed: u64,
    threshold: u8,
    used: u64,
    at: u64,
}

impl From<&Reached> for ReachedRow {
    fn from(reached: &Reached) -> Self {
        let mark = &reached.mark;
        Self {
            permission: mark.permission.and_then(|index| i64::try_from(index).ok()).unwrap_or(WHOLE_GRANT),
            cap: mark.cap.as_str(),
            period: mark.period.as_str(),
            period_number: mark.window,
            allowed: mark.allowed,
            threshold: mark.percent,
            used: reached.used,
            at: reached.at.seconds(),
        }
    }
}

#[derive(Deserialize)]
struct NoticeRow {
    notice_id: u64,
    grant_id: String,
    kind: String,
    permission: i64,
    cap: String,
    period: String,
    allowed: u64,
    threshold: u32,
    used: u64,
    at: Seconds,
    read_at: Option<Seconds>,
    client_name: String,
    terms: String,
}

#[derive(Deserialize)]
struct CountRow {
    count: u32,
}

impl TryFrom<NoticeRow> for Notice {
    type Error = StoreError;

    fn try_from(row: NoticeRow) -> Result<Self, StoreError> {
        let about = match row.kind.as_str() {
            "expiry" => About::Expiry { expires_at: Timestamp::from_seconds(row.allowed), days: row.threshold },
            _ => About::Limit {
                permission: match usize::try_from(row.permission) {
                    Ok(index) => from_json::<Terms>("grants.terms", &row.terms)?.permissions.into_iter().nth(index),
                    Err(_) => None,
                },
                cap: Cap::from_stored(&row.cap).ok_or_else(|| unreadable("notices.cap"))?,
                period: period("notices.period", &row.period)?,
                allowed: row.allowed,
                percent: u8::try_from(row.threshold).map_err(|_| unreadable("notices.threshold"))?,
                used: row.used,
            },
        };
        Ok(Self {
            id: NoticeId(row.notice_id),
            grant_id: row.grant_id.try_into().map_err(|_| unreadable("notices.grant_id"))?,
            app: row.client_name,
            about,
            at: row.at.into(),
            read_at: row.read_at.map(Into::into),
        })
    }
}

pub(super) fn period(column: &'static str, text: &str) -> Result<Period, StoreError> {
    Period::ALL.into_iter().find(|period| period.as_str() == text).ok_or_else(|| unreadable(column))
}

impl Database {
    /// Records which thresholds a ledger has reached, in one statement. What is there already stays.
    ///
    /// # Errors
    /// The database can't answer; then nothing, or everything, was recorded.
    pub async fn record_notices(&self, grant: &GrantId, reached: &[Reached]) -> Result<(), StoreError> {
        let rows = to_json(&reached.iter().map(ReachedRow::from).collect::<Vec<_>>())?;
        let sql = "INSERT INTO notices (grant_id, user_id, kind, permission, cap, period, period_number, allowed, threshold, used, \
                   at) SELECT grants.grant_id, grants.user_id, 'limit', value->>'$.permission', value->>'$.cap', \
                   value->>'$.period', value->>'$.period_number', value->>'$.allowed', value->>'$.threshold', value->>'$.used', \
                   value->>'$.at' FROM json_each(?), grants WHERE grants.grant_id = ? ON CONFLICT DO NOTHING";
        self.run((sql, &[Value::Text(&rows), Value::Text(grant.as_str())])).await.map(drop)
    }

    /// Tells whose grants end soon. How many notices there are of that now that were not there before.
    ///
    /// # Errors
    /// The database can't answer.
    pub async fn record_expiries(&self, now: Timestamp) -> Result<usize, StoreError> {
        let sql = "INSERT INTO notices (grant_id, user_id, kind, allowed, threshold, at) \
                   SELECT grant_id, user_id, 'expiry', expires_at, ?3, ?4 FROM grants WHERE revoked_at IS NULL \
                   AND expires_at > ?1 AND expires_at <= ?2 AND claimed_at IS NOT NULL \
                   AND expires_at - created_at >= 2 * (?2 - ?4) AND NOT EXISTS (SELECT 1 FROM notices AS said \
                   WHERE said.grant_id = grants.grant_id AND said.kind = 'expiry' AND said.allowed = grants.expires_at \
                   AND said.threshold = ?3) LIMIT ?5 ON CONFLICT DO NOTHING";
        let mut said = 0;
        for (index, days) in DAYS_BEFORE_THE_END.into_iter().enumerate() {
            // Whoever comes late says only what is true now.
            let later = DAYS_BEFORE_THE_END.get(index + 1).copied().unwrap_or(0);
            let values = [
                Value::Time(now.plus_seconds(u64::from(later) * DAY)),
                Value::Time(now.plus_seconds(u64::from(days) * DAY)),
                Value::Count(days),
                Value::Time(now),
                Value::Count(MAX_EXPIRIES),
            ];
            said += self.run((sql, &values)).await?;
        }
        Ok(said)
    }
}

impl Notices for EdgePorts {
    async fn list_notices(&self, user: &UserId, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let sql = "SELECT notice_id, notices.grant_id, kind, permission, cap, period, allowed, threshold, used, at, read_at, \
                   client_name, terms FROM notices CROSS JOIN grants USING (grant_id) \
                   WHERE notices.user_id = ? ORDER BY notice_id DESC LIMIT ?";
        let rows: Vec<NoticeRow> =
            self.database.rows((sql, &[Value::Text(user.as_str()), Value::Count(limit)])).await?;
        rows.into_iter().map(Notice::try_from).collect()
    }

    async fn count_unread_notices(&self, user: &UserId) -> Result<u32, StoreError> {
        let sql = "SELECT count(*) AS count FROM notices WHERE user_id = ? AND read_at IS NULL";
        let row: Option<CountRow> = self.database.row((sql, &[Value::Text(user.as_str())])).await?;
        Ok(row.map_or(0, |row| row.count))
    }

    async fn notices_of_grant(&self, grant: &GrantId, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let sql = "SELECT notice_id, notices.grant_id, kind, permission, cap, period, allowed, threshold, used, at, read_at, \
                   client_name, terms FROM notices CROSS JOIN grants USING (grant_id) \
                   WHERE notices.grant_id = ? ORDER BY notice_id DESC LIMIT ?";
        let rows: Vec<NoticeRow> =
            self.database.rows((sql, &[Value::Text(grant.as_str()), Value::Count(limit)])).await?;
        rows.into_iter().map(Notice::try_from).collect()
    }

    async fn read_notices(
        &self,
        user: &UserId,
        from: NoticeId,
        to: NoticeId,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let sql = "UPDATE notices SET read_at = ? WHERE user_id = ? AND notice_id >= ? AND notice_id <= ? AND read_at IS NULL";
        let values = [Value::Time(now), Value::Text(user.as_str()), Value::Number(from.0), Value::Number(to.0)];
        self.database.run((sql, &values)).await
    }
}
