//! A grant: what one user allowed one app.

use serde::{Deserialize, Serialize};

use super::{
    id::{ClientId, GrantId, UserId},
    limits::Limits,
    money::Amount,
    permission::Permission,
    time::Timestamp,
};

/// What was agreed on the consent page. The ledger enforces exactly this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Never empty. Where several cover a call, the first carries it.
    pub permissions: Vec<Permission>,
    /// Over the whole grant.
    #[serde(default)]
    pub limits: Limits,
    /// From this moment on every call is refused.
    pub expires_at: Timestamp,
    /// Whether the user has paused it: every call is refused until they resume it.
    #[serde(default)]
    pub paused: bool,
    /// How often it was changed since it was agreed: of two copies the higher one is the later.
    #[serde(default)]
    pub revision: u64,
    /// A member's account, where every call counts as well. `None`: an operator's grant, which no policy binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<UserId>,
    /// Money that the operator allows for one grant over its whole life, whatever its user allows. It binds where `account` is named; the
    /// terms of an account itself only tell it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Amount>,
    /// Revision of the operator's policy that says so.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub policy: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Terms {
    /// Those of each permission.
    pub fn limits_of_permissions(&self) -> impl Iterator<Item = &Limits> {
        self.permissions.iter().map(|permission| &permission.limits)
    }
}

/// A grant's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// Who allowed it.
    pub user_id: UserId,
    /// To which app.
    pub client_id: ClientId,
    /// The app's name as the user saw it; the app may be renamed or deleted since.
    pub client_name: String,
    /// What was agreed.
    pub terms: Terms,
    /// When it was allowed.
    pub created_at: Timestamp,
    /// When it was taken back, if it was. The ledger knows first.
    pub revoked_at: Option<Timestamp>,
}

impl Grant {
    /// Whether tokens may still be issued under it.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.terms.expires_at
    }
}
