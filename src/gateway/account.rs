//! What a call is told that its grant would allow, but not the account of its user: what the operator allows its members.

use super::failure::{Failure, FailureCode, too_many_tools};
use crate::domain::ledger::{Limit, Refusal, Resource, Scope, Shortage};

/// Where the account's own words differ from a grant's: they name the operator, since no user can cure it.
pub(super) const fn code(refusal: &Refusal) -> FailureCode {
    match refusal {
        Refusal::ProviderNotGranted => FailureCode::ProviderNotAllowed,
        Refusal::ModelNotGranted(_) => FailureCode::ModelNotAllowed,
        Refusal::DoesNotFit(Shortage { of: Resource::Budget(_), .. }) => FailureCode::AccountBudgetExhausted,
        Refusal::RoomHeld(Shortage { of: Resource::Budget(_), .. }) => FailureCode::AccountBudgetHeld,
        Refusal::PriceUnknown(_) => FailureCode::PriceUnknown,
        Refusal::TooManyTools(_) => FailureCode::TooManyTools,
        // An account that was ended: its user was removed.
        Refusal::NoSuchGrant | Refusal::Revoked | Refusal::Expired => FailureCode::InvalidToken,
        // An account has no other limits, and is asked for nothing else.
        _ => FailureCode::BrokerUnavailable,
    }
}

/// What the app's developer, and often its user, will read.
pub(super) fn message(refusal: &Refusal) -> String {
    match refusal {
        Refusal::ProviderNotGranted => "the operator of this broker does not allow this provider".to_owned(),
        Refusal::ModelNotGranted(model) => format!("the operator of this broker does not allow the model {model}"),
        Refusal::DoesNotFit(shortage) => Failure::Refused(Refusal::DoesNotFit(of_account(shortage))).message(),
        Refusal::RoomHeld(shortage) => Failure::Refused(Refusal::RoomHeld(of_account(shortage))).message(),
        Refusal::PriceUnknown(reason) => {
            format!(
                "the operator of this broker limits what you may spend, and what this call can cost is not known: {reason}"
            )
        }
        Refusal::TooManyTools(most) => {
            format!("the operator of this broker limits what you may spend, and {}", too_many_tools(*most))
        }
        Refusal::NoSuchGrant | Refusal::Revoked | Refusal::Expired => Failure::InvalidToken.message(),
        _ => Failure::BrokerUnavailable.message(),
    }
}

/// An account's ledger takes itself for a grant's.
fn of_account(shortage: &Shortage) -> Shortage {
    Shortage { limit: Limit { scope: Scope::Account, ..shortage.limit }, ..*shortage }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::Period;

    fn shortage() -> Shortage {
        Shortage {
            limit: Limit { scope: Scope::Grant, allowed: 20_000_000_000 },
            of: Resource::Budget(Period::Month),
            needed: 5,
            remaining: 0,
            fitting_output_tokens: None,
            resets_at: None,
        }
    }

    fn seen(refusal: Refusal) -> (u16, &'static str, Option<u64>, String) {
        let failure = Failure::NotAllowed(refusal);
        (failure.code().status(), failure.code().as_str(), failure.retry_after_seconds(), failure.message())
    }

    #[test]
    fn a_month_that_is_used_up_is_not_worth_another_try() {
        let (status, code, retry, message) = seen(Refusal::DoesNotFit(shortage()));
        assert_eq!((status, code, retry), (402, "account_budget_exhausted", None));
        assert_eq!(
            message,
            "the 20.00 USD a month that the operator allows for all grants of this account are used up"
        );
    }

    #[test]
    fn room_that_is_only_held_is_worth_one() {
        let (status, code, retry, _) = seen(Refusal::RoomHeld(shortage()));
        assert_eq!((status, code, retry), (429, "account_budget_held", Some(1)));
    }

    #[test]
    fn what_the_operator_does_not_allow_is_not_called_not_granted() {
        let (status, code, retry, message) = seen(Refusal::ModelNotGranted("gpt-5".to_owned()));
        assert_eq!((status, code, retry), (403, "model_not_allowed", None));
        assert_eq!(message, "the operator of this broker does not allow the model gpt-5");
        assert_eq!(seen(Refusal::ProviderNotGranted).1, "provider_not_allowed");
    }

    #[test]
    fn a_member_who_was_removed_is_told_what_an_outsider_is() {
        for refusal in [Refusal::Revoked, Refusal::NoSuchGrant] {
            let (status, code, _, message) = seen(refusal);
            assert_eq!((status, code), (401, "invalid_token"));
            assert_eq!(message, Failure::InvalidToken.message());
        }
    }

    #[test]
    fn the_hint_says_whose_limit_it_is() {
        let hint = serde_json::to_value(Failure::NotAllowed(Refusal::DoesNotFit(shortage())).hint()).unwrap();
        assert_eq!(hint["scope"], "account");
        assert_eq!(hint["period"], "month");
    }
}
