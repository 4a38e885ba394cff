//! Who is at the browser, once `session` has found out.

use super::ports::{Role, User};
use crate::domain::{
    secret::{SecretHash, Session},
    time::Timestamp,
};

/// A signed-in person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Their session.
    pub session: SecretHash<Session>,
    /// Who they are.
    pub user: User,
    /// When they signed in.
    pub since: Timestamp,
    /// When they last proved that it is them: by signing in, or since.
    pub confirmed_at: Timestamp,
    /// Whether they can sign in with a passkey. Who can't is asked to add one.
    pub has_passkey: bool,
    /// What their forms carry.
    pub csrf: String,
}

#[cfg(test)]
impl Visitor {
    /// What tests begin with.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn example(name: &str, role: Role) -> Self {
        let now = Timestamp::from_seconds(1_795_478_400);
        Self {
            session: crate::domain::secret::Secret::<Session>::from_entropy(&[1; 32]).hash(),
            user: User { id: "user_1".to_owned().try_into().unwrap(), name: name.to_owned(), role },
            since: now,
            confirmed_at: now,
            has_passkey: true,
            csrf: "csrf".to_owned(),
        }
    }
}

impl Visitor {
    /// Whether they run the broker.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.user.role == Role::Operator
    }
}
