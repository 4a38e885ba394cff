//! What is done every hour: the platform's clock, the database, one line in the log. What goes and when: [`super::d1::housekeeping`].
//! People are told whose grants end soon, accounts that could not be told of a new policy are told again ([`crate::web::policy`]), and
//! whatever waits to be delivered is looked after, should its alarm have been lost.

use worker::{Env, ScheduleContext, ScheduledEvent, event};

use super::{clock, courier, log, ports::EdgePorts};
use crate::web::policy;

/// Every time that `crons` in `wrangler.toml` names.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let began = clock::now();
    let ports = match EdgePorts::of_job(&env) {
        Ok(ports) => ports,
        Err(error) => return log::failure("housekeeping", &error.to_string()),
    };
    let mut swept = ports.database.sweep(began).await;
    swept.push(("said_to_end_soon", ports.database.record_expiries(began).await));
    courier::wake().await;
    log::swept(&swept, clock::now().millis().saturating_sub(began.millis()));
    // Accounts that could not be told of a new policy when it was saved.
    match policy::tell(&ports, began).await {
        Ok(0) => {}
        Ok(untold) => log::failure("policy", &format!("{untold} accounts can not be told")),
        Err(error) => log::failure("policy", &error.0),
    }
}
