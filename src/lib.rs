//! AIPassport: a broker that replaces raw AI API keys with grants.
//!
//! Four rooms, and what each may use (`tests/architecture.rs` holds them to it):
//!
//! | room | what lives there |
//! |---|---|
//! | [`domain`] | grants, limits, the ledger, tokens, OAuth rules: pure, `now` and entropy are arguments |
//! | [`gateway`] | provider dialects: what a call asks for, the plan of a call, errors in the provider's shape |
//! | [`web`] | pages and OAuth endpoints over small ports |
//! | [`edge`] | the composition root: D1, the Durable Object, secrets, upstream fetch, clock, entropy |

pub mod domain;
pub mod edge;
pub mod gateway;
pub mod web;

// The tests of the whole see the crate as others do.
#[cfg(test)]
extern crate self as aipassport;
#[cfg(test)]
#[path = "../tests/architecture.rs"]
mod architecture;
#[cfg(test)]
#[path = "../tests/corpus_replay.rs"]
mod corpus_replay;
#[cfg(test)]
#[path = "../tests/oracle.rs"]
mod oracle;
