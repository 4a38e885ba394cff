//! What is done every hour: the platform's clock, the database, one line in the log. What goes and when: [`super::d1::housekeeping`].
//! People are told whose grants end soon, and whatever waits to be delivered is looked after, should its alarm have been lost.

use worker::{Env, ScheduleContext, ScheduledEvent, event};

use super::{clock, courier, d1::Database, log};

/// Every time that `crons` in `wrangler.toml` names.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let began = clock::now();
    let database = match Database::new(&env) {
        Ok(database) => database,
        Err(error) => return log::failure("housekeeping", &error.to_string()),
    };
    let mut swept = database.sweep(began).await;
    swept.push(("said_to_end_soon", database.record_expiries(began).await));
    courier::wake().await;
    log::swept(&swept, clock::now().millis().saturating_sub(began.millis()));
}
