//! Notices, the webhook, refusals.

pub const TABLE: super::Table = &[];
