//! What a ledger is called.

use core::{fmt, str::FromStr};

use super::{
    super::id::{GrantId, InvalidId, UserId},
    Effect,
};

/// Before the user's id in the name of an account's ledger. No grant is called so: their ids are made here, and begin otherwise.
const ACCOUNT: &str = "account:";

/// Whose ledger it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerId {
    /// A grant's.
    Grant(GrantId),
    /// A member's: all calls of all their grants count there too.
    Account(UserId),
}

impl LedgerId {
    /// Whether the world is told what was booked, reached and refused here. Of a call of a member it is told by the grant.
    #[must_use]
    pub const fn tells(&self) -> bool {
        matches!(self, Self::Grant(_))
    }

    /// Whether an effect is one to carry out: what nobody is told is not stored to be told.
    #[must_use]
    pub const fn keeps(&self, effect: &Effect) -> bool {
        self.tells() || !matches!(effect, Effect::Book(_) | Effect::Tell(_) | Effect::SaveRefusals(_))
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(id) => id.fmt(f),
            Self::Account(id) => write!(f, "{ACCOUNT}{id}"),
        }
    }
}

impl FromStr for LedgerId {
    type Err = InvalidId;
    fn from_str(name: &str) -> Result<Self, InvalidId> {
        match name.strip_prefix(ACCOUNT) {
            Some(id) => id.parse().map(Self::Account),
            None => name.parse().map(Self::Grant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_told_by_its_name() {
        for (name, is_account) in [("grant_a", false), ("account:user_a", true), ("accounts", false)] {
            let id: LedgerId = name.parse().unwrap();
            assert_eq!(matches!(id, LedgerId::Account(_)), is_account, "{name}");
            assert_eq!(id.to_string(), name);
        }
        for name in ["", "account:", "account: a"] {
            assert_eq!(name.parse::<LedgerId>(), Err(InvalidId), "{name:?}");
        }
    }
}
