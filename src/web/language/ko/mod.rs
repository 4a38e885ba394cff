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

/// The Korean of a key.
pub fn find(key: &str) -> Option<&'static str> {
    TABLES.iter().find_map(|table| table.iter().find(|(english, _)| *english == key)).map(|(_, korean)| *korean)
}
