//! The dashboard and the list of grants.

pub const TABLE: super::Table = &[];
