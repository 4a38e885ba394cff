//! What the broker means, without the runtime it runs in: no I/O, no clock, no randomness.

pub mod access_token;
pub mod audit;
pub mod authorization_details;
pub mod calls;
pub mod change;
pub mod consent;
pub mod day;
pub mod encoding;
pub mod grant;
pub mod grant_list;
pub mod id;
pub mod jose;
pub mod ledger;
pub mod limits;
pub mod money;
pub mod month;
pub mod narrowing;
pub mod oauth;
pub mod permission;
pub mod policy;
pub mod recovery_code;
pub mod secret;
pub mod time;
pub mod user_agent;
pub mod webauthn;
