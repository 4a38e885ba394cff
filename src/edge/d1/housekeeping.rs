//! Rows that nobody needs any more, deleted every hour.
//!
//! | rows | go |
//! |---|---|
//! | `authorization_requests`, `pushed_requests`, `device_codes` | a day after their expiry: until then a late click is answered by what became of it |
//! | `authorization_codes` | a day after their expiry: until then a second use is told from a wrong one, and ends the grant |
//! | `refresh_tokens` | at their expiry; rotated ones too, since the second use of one ends the grant |
//! | `sessions` | at their end |
//! | `invitations` | 30 days after their end, when others are made |
//! | `passkeys`, `recovery_codes` | with their user, by their owner |
//! | `used_sign_in_links` | a day after their use: a link lives ten minutes |
//! | `used_ids` | at their expiry: what they belong to isn't accepted any more by then |
//! | `clients` that registered themselves | 30 days after that, without any grant, nor a request or device code that is still there |
//! | `clients` that are documents | 7 days after they were last fresh, on the same condition; they are read again when they come again |
//! | `notices` | 90 days after they were written |
//! | `webhook_deliveries` | 30 days after what they tell of; none is tried for longer than two |
//! | `refusals` | 30 days after the last |
//! | `audit` | 400 days after it was written |
//! | `grants` that no app came for | a day after none could any more: no token of one exists |
//! | `usual_limits` | with their person or their client |
//! | `allowed` | 90 days after, when its person allows something again |
//! | `allowed_uses`, `allowed_destinations`, `over_bound_days` | never: there are as few as there are uses, hosts, and models on a day |
//! | all other grants, `usage_events`, `users`, clients that a person registered | never |
//!
//! Whoever pushes a request, asks for a device code or uses an id up makes a row without anybody's consent, as fast as rate limits let
//! them: each of them deletes a few that are over at the same time, so that an hour's flood is not left to the hour's clean-up.
//!
//! A statement deletes at most `BATCH` rows and finds them by an index; what is left after `ROUNDS` of them is the next hour's. The
//! platform allows 50 queries in a run on its free plan: 15 times 3, and what else is done, stay below it.

use super::{Database, Value};
use crate::{domain::time::Timestamp, web::ports::StoreError};

/// Most rows that one statement deletes.
const BATCH: u32 = 1000;
/// Most statements for one kind of rows in a run.
const ROUNDS: u32 = 3;

const DAY: u64 = 24 * 3600;

/// One kind of rows, and when they go.
struct Sweep {
    /// For the log.
    name: &'static str,
    /// How long they are kept beyond the moment that `sql` compares with, in seconds.
    kept_seconds: u64,
    /// `?1`: rows whose moment is not after this go; `?2`: at most so many.
    sql: &'static str,
}

/// In this order: codes go before the grants that they name, requests before their clients.
const SWEEPS: [Sweep; 15] = [
    Sweep {
        name: "authorization_requests",
        kept_seconds: DAY,
        sql: "DELETE FROM authorization_requests WHERE handle_hash IN \
              (SELECT handle_hash FROM authorization_requests WHERE expires_at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "pushed_requests",
        kept_seconds: DAY,
        sql: "DELETE FROM pushed_requests WHERE handle_hash IN \
              (SELECT handle_hash FROM pushed_requests WHERE expires_at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "device_codes",
        kept_seconds: DAY,
        sql: "DELETE FROM device_codes WHERE device_code_hash IN \
              (SELECT device_code_hash FROM device_codes WHERE expires_at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "authorization_codes",
        kept_seconds: DAY,
        sql: "DELETE FROM authorization_codes WHERE code_hash IN \
              (SELECT code_hash FROM authorization_codes WHERE expires_at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "refresh_tokens",
        kept_seconds: 0,
        sql: "DELETE FROM refresh_tokens WHERE token_hash IN \
              (SELECT token_hash FROM refresh_tokens WHERE expires_at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "sessions",
        kept_seconds: 0,
        sql: "DELETE FROM sessions WHERE token_hash IN \
              (SELECT token_hash FROM sessions WHERE expires_at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "used_sign_in_links",
        kept_seconds: DAY,
        sql: "DELETE FROM used_sign_in_links WHERE nonce_hash IN \
              (SELECT nonce_hash FROM used_sign_in_links WHERE used_at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "used_ids",
        kept_seconds: 0,
        sql: "DELETE FROM used_ids WHERE id IN (SELECT id FROM used_ids WHERE expires_at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "audit",
        kept_seconds: 400 * DAY,
        sql: "DELETE FROM audit WHERE audit_id IN (SELECT audit_id FROM audit WHERE at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "unclaimed_grants",
        kept_seconds: DAY,
        sql: "DELETE FROM grants WHERE grant_id IN \
              (SELECT grant_id FROM grants WHERE claimed_at IS NULL AND claimable_until <= ?1 \
              AND NOT EXISTS (SELECT 1 FROM authorization_codes AS code WHERE code.grant_id = grants.grant_id) \
              AND NOT EXISTS (SELECT 1 FROM refresh_tokens AS token WHERE token.grant_id = grants.grant_id) LIMIT ?2)",
    },
    Sweep {
        name: "dynamic_clients",
        kept_seconds: 30 * DAY,
        sql: "DELETE FROM clients WHERE client_id IN \
              (SELECT client_id FROM clients WHERE kind = 'dynamic' AND created_at <= ?1 \
              AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id) \
              AND NOT EXISTS (SELECT 1 FROM authorization_requests AS r WHERE r.client_id = clients.client_id) \
              AND NOT EXISTS (SELECT 1 FROM pushed_requests AS r WHERE r.client_id = clients.client_id) \
              AND NOT EXISTS (SELECT 1 FROM device_codes AS r WHERE r.client_id = clients.client_id) LIMIT ?2)",
    },
    Sweep {
        name: "document_clients",
        kept_seconds: 7 * DAY,
        sql: "DELETE FROM clients WHERE client_id IN \
              (SELECT client_id FROM clients WHERE kind = 'document' AND fresh_until <= ?1 \
              AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id) \
              AND NOT EXISTS (SELECT 1 FROM authorization_requests AS r WHERE r.client_id = clients.client_id) \
              AND NOT EXISTS (SELECT 1 FROM pushed_requests AS r WHERE r.client_id = clients.client_id) \
              AND NOT EXISTS (SELECT 1 FROM device_codes AS r WHERE r.client_id = clients.client_id) LIMIT ?2)",
    },
    Sweep {
        name: "notices",
        kept_seconds: 90 * DAY,
        sql: "DELETE FROM notices WHERE notice_id IN (SELECT notice_id FROM notices WHERE at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "webhook_deliveries",
        kept_seconds: 30 * DAY,
        sql: "DELETE FROM webhook_deliveries WHERE delivery_id IN \
              (SELECT delivery_id FROM webhook_deliveries WHERE at <= ?1 LIMIT ?2)",
    },
    Sweep {
        name: "refusals",
        kept_seconds: 30 * DAY,
        sql: "DELETE FROM refusals WHERE (grant_id, reason) IN \
              (SELECT grant_id, reason FROM refusals WHERE last_at_ms <= ?1 * 1000 LIMIT ?2)",
    },
];

/// What became of one kind of rows: how many went, or why it broke off.
pub type Swept = (&'static str, Result<usize, StoreError>);

impl Database {
    /// Deletes what nobody needs any more. A kind that fails doesn't keep the others.
    pub async fn sweep(&self, now: Timestamp) -> Vec<Swept> {
        let mut swept = Vec::with_capacity(SWEEPS.len());
        for sweep in &SWEEPS {
            swept.push((sweep.name, self.sweep_one(sweep, now).await));
        }
        swept
    }

    async fn sweep_one(&self, sweep: &Sweep, now: Timestamp) -> Result<usize, StoreError> {
        let until = Timestamp::from_seconds(now.seconds().saturating_sub(sweep.kept_seconds));
        let mut deleted = 0;
        for _ in 0..ROUNDS {
            let went = self.run((sweep.sql, &[Value::Time(until), Value::Count(BATCH)])).await?;
            deleted += went;
            if went < BATCH as usize {
                break;
            }
        }
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stays_below_the_50_queries_of_the_platform_s_free_plan() {
        assert!(SWEEPS.len() * (ROUNDS as usize) < 50);
    }

    #[test]
    fn every_statement_is_bounded() {
        for sweep in &SWEEPS {
            assert!(sweep.sql.contains("<= ?1") && sweep.sql.ends_with("LIMIT ?2)"), "{}", sweep.name);
        }
    }

    #[test]
    fn what_is_never_deleted_is_named_in_no_statement() {
        for sweep in &SWEEPS {
            for table in ["usage_events", "users"] {
                assert!(!sweep.sql.contains(table), "{}", sweep.name);
            }
            if sweep.sql.contains("DELETE FROM grants") {
                assert!(sweep.sql.contains("claimed_at IS NULL"));
            }
        }
    }
}
