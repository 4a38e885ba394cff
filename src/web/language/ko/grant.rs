//! One grant.

pub const TABLE: super::Table = &[];
