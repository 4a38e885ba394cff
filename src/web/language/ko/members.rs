//! Members and what they may delegate.

pub const TABLE: super::Table = &[];
