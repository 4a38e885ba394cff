//! Korean, one table per area. Sentences end in 해요체, labels and buttons are nouns.

mod access;
mod accounts;
mod activity;
mod apps;
mod common;
mod consent;
mod dashboard;
mod grant;
mod members;
mod notices;
mod tokens;

use std::{collections::HashMap, sync::LazyLock};

/// English, Korean.
type Table = &'static [(&'static str, &'static str)];

/// Every table.
pub const TABLES: [Table; 11] = [
    access::TABLE,
    accounts::TABLE,
    activity::TABLE,
    apps::TABLE,
    common::TABLE,
    consent::TABLE,
    dashboard::TABLE,
    grant::TABLE,
    members::TABLE,
    notices::TABLE,
    tokens::TABLE,
];

static BY_KEY: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| TABLES.iter().flat_map(|table| table.iter().copied()).collect());

/// The Korean of a key.
pub fn find(key: &str) -> Option<&'static str> {
    BY_KEY.get(key).copied()
}
