//! The audit log.

pub const TABLE: super::Table = &[];
