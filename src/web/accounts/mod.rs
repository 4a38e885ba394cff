//! How people sign in, and what they decide about it.
//!
//! | file | pages |
//! |---|---|
//! | [`passkey_sign_in`] | `/sign-in/passkey` |
//! | [`recover`] | `/recover` |
//! | [`security`], [`passkeys`], [`recovery_codes`], [`sessions`] | `/settings/security` and below |
//! | [`invitation`], [`invitations`] | `/invitation`, `/members/invitations` |
//!
//! A form that takes a passkey is sent by `public/passkeys.js`: it asks the form's `options` address for what the browser needs, has the
//! browser ask the person, puts the answer into the form, and sends it like any other. [`options`] makes the first, [`owner`] and
//! [`welcome`] are what comes after.

pub mod invitation;
pub mod invitations;
mod monthly_limit;
pub mod options;
pub mod owner;
pub mod passkey_sign_in;
pub mod passkeys;
pub mod recover;
pub mod recovery_codes;
pub mod security;
pub mod sessions;
pub mod welcome;

use super::{language::Language, state::Config};
use crate::domain::{user_agent::Browser, webauthn::RelyingParty};

/// This broker, to authenticators.
fn party(config: &Config) -> RelyingParty<'_> {
    RelyingParty::new(&config.issuer)
}

/// A browser in words: `Firefox on Windows`.
fn browser(agent: &str, language: Language) -> String {
    match Browser::of(agent) {
        Browser { name: "", system: "" } => language.t("Unknown browser").to_owned(),
        Browser { name, system: "" } => name.to_owned(),
        Browser { name: "", system } => system.to_owned(),
        Browser { name, system } => language.with("{0} on {1}", &[&name, &system]),
    }
}
