//! The hourly clean-up: the platform's clock, the database, one line in the log. What goes and when: [`super::d1::housekeeping`].

use worker::{Env, ScheduleContext, ScheduledEvent, event};

use super::{clock, d1::Database, log};

/// Every time that `crons` in `wrangler.toml` names.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let began = clock::now();
    let database = match Database::new(&env) {
        Ok(database) => database,
        Err(error) => return log::failure("housekeeping", &error.to_string()),
    };
    let swept = database.sweep(began).await;
    log::swept(&swept, clock::now().millis().saturating_sub(began.millis()));
}
