//! Tokens.

pub const TABLE: super::Table = &[];
