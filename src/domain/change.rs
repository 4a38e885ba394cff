//! What changing a grant means: whether it allows more, and until when it may last.
//!
//! A grant is its owner's: whatever they change holds. But what allows more is worth a second look, since whoever found a browser open
//! could do it too.

use super::{
    consent::LIFETIMES_SECONDS, grant::Terms, ledger::Change, limits::Limits, permission::Permission, time::Timestamp,
};

/// Why a grant can't end then. The text is for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// To end a grant at once there is another way.
    #[error("that time has passed; to end the grant now, revoke it")]
    Passed,
    /// Later than a consent page could give.
    #[error("a grant lasts a year from now at most")]
    TooLate,
}

/// The latest moment at which a grant may end, by what is offered on a consent page.
#[must_use]
pub fn latest_end(now: Timestamp) -> Timestamp {
    now.plus_seconds(LIFETIMES_SECONDS.into_iter().max().unwrap_or_default())
}

/// Checks a new end of a grant.
///
/// # Errors
/// [`EndError`].
pub fn check_end(at: Timestamp, now: Timestamp) -> Result<Timestamp, EndError> {
    if at <= now {
        return Err(EndError::Passed);
    }
    if at > latest_end(now) { Err(EndError::TooLate) } else { Ok(at) }
}

impl Change {
    /// One that changes nothing yet.
    #[must_use]
    pub fn nothing_of(terms: &Terms) -> Self {
        Self {
            limits: terms.limits,
            permissions: terms.limits_of_permissions().copied().collect(),
            paused: terms.paused,
            expires_at: None,
            revision: Some(terms.revision),
        }
    }

    /// Whether it allows more than these terms in any way: a limit that is higher or gone, or a later end. A pause that ends only gives
    /// back what was agreed.
    #[must_use]
    pub fn widens(&self, terms: &Terms) -> bool {
        let is_wider = |after: &Limits, before: &Limits| !after.is_within(before);
        is_wider(&self.limits, &terms.limits)
            || self.permissions.iter().zip(terms.limits_of_permissions()).any(|(after, before)| is_wider(after, before))
            || self.expires_at.is_some_and(|at| at > terms.expires_at)
    }

    /// What it makes of these terms.
    #[must_use]
    pub fn applied_to(&self, terms: &Terms) -> Terms {
        // Each field is named: who adds one decides here what it allows.
        let Self { limits, permissions, paused, expires_at, revision: _ } = self;
        let own = terms.permissions.iter().zip(permissions);
        Terms {
            limits: *limits,
            permissions: own.map(|(permission, limits)| Permission { limits: *limits, ..permission.clone() }).collect(),
            paused: *paused,
            expires_at: expires_at.unwrap_or(terms.expires_at),
            ..terms.clone()
        }
    }

    /// Whether the terms are what it makes of them.
    #[must_use]
    pub fn holds_in(&self, terms: &Terms) -> bool {
        (self.limits, self.paused) == (terms.limits, terms.paused)
            && terms.limits_of_permissions().eq(&self.permissions)
            && self.expires_at.is_none_or(|at| at == terms.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU64;

    use super::*;
    use crate::domain::{authorization_details::Requested, limits::Period};

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const YEAR: u64 = 31_536_000;

    fn terms() -> Terms {
        let asked = Requested::from_authorization_details(
            r#"[{"type":"ai_access","provider":"openai","models":["*"],"capabilities":["chat"],"limits":{"requests":5}},
                {"type":"ai_limits","budget_usd":"5","budget_period":"month"}]"#,
        )
        .unwrap();
        let (permissions, limits) = (asked.permissions, asked.limits);
        Terms { permissions, limits, expires_at: NOW.plus_seconds(100), revision: 3, ..Terms::default() }
    }

    fn widens(edit: impl FnOnce(&mut Change)) -> bool {
        let terms = terms();
        let mut change = Change::nothing_of(&terms);
        edit(&mut change);
        change.widens(&terms)
    }

    #[test]
    fn a_grant_ends_after_now_and_within_a_year() {
        for (at, answer) in [
            (NOW, Err(EndError::Passed)),
            (Timestamp::from_seconds(0), Err(EndError::Passed)),
            (NOW.plus_millis(1), Ok(NOW.plus_millis(1))),
            (NOW.plus_seconds(YEAR), Ok(NOW.plus_seconds(YEAR))),
            (NOW.plus_seconds(YEAR).plus_millis(1), Err(EndError::TooLate)),
        ] {
            assert_eq!(check_end(at, NOW), answer, "{at:?}");
        }
    }

    #[test]
    fn more_money_money_more_often_and_money_without_a_limit_allow_more() {
        assert!(widens(|change| change.limits.budget_usd = "5.01".parse().ok()));
        assert!(widens(|change| change.limits.budget_period = Period::Day));
        assert!(widens(|change| change.limits.budget_usd = None));
    }

    #[test]
    fn any_limit_that_is_higher_or_gone_allows_more() {
        assert!(widens(|change| change.permissions[0].requests = NonZeroU64::new(6)));
        assert!(widens(|change| change.permissions[0].requests = None));
    }

    #[test]
    fn a_later_end_allows_more() {
        assert!(widens(|change| change.expires_at = Some(NOW.plus_seconds(101))));
        assert!(!widens(|change| change.expires_at = Some(NOW.plus_seconds(100))));
    }

    #[test]
    fn tighter_limits_new_ones_a_sooner_end_and_a_pause_or_its_end_allow_no_more() {
        assert!(!widens(|_| ()));
        assert!(!widens(|change| change.limits.budget_usd = "4.99".parse().ok()));
        assert!(!widens(|change| change.limits.budget_period = Period::Total));
        assert!(!widens(|change| change.permissions[0].requests = NonZeroU64::new(4)));
        assert!(!widens(|change| change.limits.tokens = NonZeroU64::new(1)));
        assert!(!widens(|change| change.expires_at = Some(NOW.plus_seconds(1))));
        assert!(!widens(|change| change.paused = true));
        let paused = Terms { paused: true, ..terms() };
        assert!(!Change { paused: false, ..Change::nothing_of(&paused) }.widens(&paused));
    }

    #[test]
    fn what_was_asked_for_is_told_from_what_somebody_else_changed() {
        let terms = terms();
        let change = Change::nothing_of(&terms);
        assert!(change.holds_in(&terms));
        assert_eq!(change.applied_to(&terms), terms);
        for other in [
            Terms { paused: true, ..terms.clone() },
            Terms { limits: Limits::NONE, ..terms.clone() },
            Terms { permissions: Vec::new(), ..terms.clone() },
        ] {
            assert!(!change.holds_in(&other), "{other:?}");
        }
        assert!(change.holds_in(&Terms { expires_at: NOW, ..terms.clone() }), "it says nothing of the end");
        assert!(!Change { expires_at: Some(NOW), ..change }.holds_in(&terms));
    }
}
