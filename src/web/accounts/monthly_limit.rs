//! What the page of invitations says of the money that each member may spend in a month. As long as the policy for members limits none,
//! the form for an invitation asks, and its answer becomes the policy's.
//!
//! The form carries the revision of the policy that it showed, and the invitation is stored only while that one holds: nobody is invited to
//! other terms than the operator read.

use crate::{
    domain::{
        money::Amount,
        oauth::params::Params,
        policy::{Policed, Policy},
    },
    web::{
        language::Text,
        limits_form::digits,
        policy_form::{PolicyFormError, damaged, read_money},
    },
};

/// The name of the form field.
const FIELD: &str = "max_per_month";
/// In USD, proposed to an operator who has said nothing about members yet.
const PROPOSED: &str = "20.00";

/// What the page says and asks.
#[derive(Debug)]
pub struct MonthlyLimit {
    /// Revision of the policy that the page shows.
    pub revision: u64,
    /// What each member may spend. `None`: there is no limit, so that the form asks for one.
    pub most: Option<Amount>,
    /// Text of the field.
    pub typed: String,
    /// Why the text of the field is no amount.
    pub error: Option<Text>,
}

impl MonthlyLimit {
    /// By the policy that holds. Whoever saved one without a limit meant that, and is proposed none.
    #[must_use]
    pub fn new(policed: &Policed) -> Self {
        let typed = if policed.revision == 0 { PROPOSED.to_owned() } else { String::new() };
        Self { revision: policed.revision, most: policed.policy.max_per_month, typed, error: None }
    }

    /// The same with the text that was posted.
    #[must_use]
    pub fn filled(self, params: &Params) -> Self {
        match params.all(FIELD).next() {
            Some(typed) => Self { typed: typed.to_owned(), ..self },
            None => self,
        }
    }
}

/// Whether the form was shown with the policy that holds.
#[must_use]
pub fn is_current(policed: &Policed, params: &Params) -> bool {
    digits(params.field("revision")) == Some(policed.revision)
}

/// The policy that takes the place of the one that holds. `None`: that one stays. The first answer is kept also where it is "no limit", so
/// that nobody is asked twice.
///
/// # Errors
/// The field can't be read, or isn't there although the form had it.
pub fn decided(policed: &Policed, params: &Params) -> Result<Option<Policy>, PolicyFormError> {
    if policed.policy.max_per_month.is_some() {
        return Ok(None);
    }
    // Emptied is an answer; a form without the field is none.
    if params.all(FIELD).count() != 1 {
        return Err(damaged(FIELD));
    }
    let max_per_month = read_money(params, FIELD)?;
    let is_decided = max_per_month.is_some() || policed.revision == 0;
    Ok(is_decided.then(|| Policy { max_per_month, ..policed.policy.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(fields: &[(&str, &str)]) -> Params {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Params::parse(text.as_bytes())
    }

    fn policed(max_per_month: Option<&str>, revision: u64) -> Policed {
        let max_per_month = max_per_month.map(|most| most.parse().unwrap());
        let max_per_grant = (revision > 0).then_some(Amount::FIVE_USD);
        Policed { policy: Policy { max_per_grant, max_per_month, ..Policy::default() }, revision }
    }

    #[test]
    fn the_first_invitation_proposes_twenty_dollars_and_later_ones_none() {
        assert_eq!(MonthlyLimit::new(&Policed::default()).typed, "20.00");
        let open = MonthlyLimit::new(&policed(None, 3));
        assert_eq!((open.typed.as_str(), open.most, open.revision), ("", None, 3));
        assert_eq!(MonthlyLimit::new(&policed(Some("7"), 3)).most, "7".parse().ok());
    }

    #[test]
    fn a_form_that_comes_back_stands_as_it_was_filled_in_also_where_that_is_empty() {
        for typed in ["", "5,00"] {
            assert_eq!(MonthlyLimit::new(&Policed::default()).filled(&params(&[(FIELD, typed)])).typed, typed);
        }
        assert_eq!(MonthlyLimit::new(&Policed::default()).filled(&params(&[])).typed, "20.00");
    }

    #[test]
    fn what_is_answered_is_the_policy_s_amount_and_changes_nothing_else_of_it() {
        let before = policed(None, 2);
        let next = decided(&before, &params(&[(FIELD, "$12.50")])).unwrap().unwrap();
        assert_eq!(next.max_per_month, "12.50".parse().ok());
        assert_eq!(Policy { max_per_month: None, ..next }, before.policy);
    }

    #[test]
    fn no_limit_is_kept_once_and_is_no_change_after_that() {
        let first = decided(&Policed::default(), &params(&[(FIELD, " ")])).unwrap();
        assert_eq!(first, Some(Policy::default()));
        assert_eq!(decided(&policed(None, 1), &params(&[(FIELD, "")])), Ok(None));
    }

    #[test]
    fn where_there_is_a_limit_an_invitation_changes_none() {
        for field in ["", "50", "nonsense"] {
            assert_eq!(decided(&policed(Some("20"), 1), &params(&[(FIELD, field)])), Ok(None));
        }
    }

    #[test]
    fn what_can_not_be_read_decides_nothing() {
        for fields in [&[(FIELD, "5,00")][..], &[(FIELD, "0")], &[(FIELD, "-1")], &[], &[(FIELD, "1"), (FIELD, "2")]] {
            assert!(decided(&Policed::default(), &params(fields)).is_err(), "{fields:?}");
        }
    }

    #[test]
    fn a_page_of_another_policy_is_not_current() {
        let policed = policed(None, 2);
        assert!(is_current(&policed, &params(&[("revision", "2")])));
        for other in [&[("revision", "1")][..], &[("revision", "3")], &[("revision", "")], &[]] {
            assert!(!is_current(&policed, &params(other)), "{other:?}");
        }
    }
}
