//! The AI gateway's knowledge of the providers, without the network: what a call asks for, what may pass, what a refusal looks like.
//!
//! A call becomes a [`Plan`] or a [`Failure`]; nothing here decides whether a grant has room, that is the ledger's business.
//! One file per provider dialect says which endpoints there are and what in a body matters.

mod account;
pub mod admission;
mod anthropic;
pub mod betas;
#[cfg(test)]
mod bounds;
pub mod challenge;
mod cost;
mod dialect;
#[cfg(test)]
mod documented;
mod failure;
pub mod headers;
mod json;
mod multipart;
mod openai;
mod plan;
pub mod prices;
mod redact;
mod splice;
mod survey;
pub mod throttle;
pub mod usage;

pub use cost::Meterage;
pub use dialect::{Dialect, Method};
pub use failure::{Billed, Failure, FailureCode, Hint, Quantity, is_billed};
pub use plan::{Edit, MAX_BODY_BYTES, MAX_EDIT_BYTES, Plan, Request, Response, Route, Sent, filter_models};
pub use redact::without_account_names;

use crate::domain::permission::Provider;

/// Most characters of a caller's text that an error shows.
const SHOWN_CHARS: usize = 64;

/// A caller's text as an error shows it: without control characters, and not all of a long one. What is decided is decided by all of it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect()
}

/// The dialect of a provider.
#[must_use]
pub const fn dialect(provider: Provider) -> &'static Dialect {
    match provider {
        Provider::OpenAi => &openai::DIALECT,
        Provider::Anthropic => &anthropic::DIALECT,
    }
}
