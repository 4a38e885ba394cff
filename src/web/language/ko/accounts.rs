//! Passkeys, sessions, invitations, recovery, the re-check.

pub const TABLE: super::Table = &[];
