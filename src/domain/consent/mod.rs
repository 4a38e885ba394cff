//! From what an app asks to what the user grants: narrower in any way, wider in none.

mod denial;
mod most;
mod plan;
mod question;

pub use denial::Denial;
pub use most::{Budget, Most, MostMoney};
pub use plan::{Offer, Plan, Usual};
pub use question::{QUESTION_TOKENS, QUESTION_WORDS, Questions};

use super::{
    authorization_details::Requested,
    grant::Terms,
    limits::Limits,
    money::Amount,
    permission::{Capability, ModelPattern, Permission},
    time::Timestamp,
};

/// Lives that the consent page offers, in seconds: an hour, a day, a week, 30 days, a year.
pub const LIFETIMES_SECONDS: [u64; 5] = [3600, 86_400, 604_800, 2_592_000, 31_536_000];
/// The one it proposes.
pub const DEFAULT_LIFETIME_SECONDS: u64 = 604_800;

/// What the user left standing of one asked permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionChoice {
    /// `false`: not granted at all.
    pub granted: bool,
    /// The entries that stay ticked.
    pub models: Vec<ModelPattern>,
    /// The capabilities that stay ticked.
    pub capabilities: Vec<Capability>,
    /// The limits as edited.
    pub limits: Limits,
}

/// What the user decided, as the page posted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// One per asked permission, in its order.
    pub permissions: Vec<PermissionChoice>,
    /// Over the whole grant, as edited.
    pub limits: Limits,
    /// Said on purpose: money needs no limit.
    pub no_money_limit: bool,
    /// Life of the grant in seconds; one of [`LIFETIMES_SECONDS`].
    pub lifetime_seconds: u64,
}

/// Why a choice can't be granted. The text is for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// The form doesn't belong to this request.
    #[error("the form does not fit this request; load the page again")]
    DoesNotFit,
    /// A model or capability that the app didn't ask for.
    #[error("a model or capability was added that the app did not ask for")]
    Wider,
    /// A limit above what the app asked for, or left empty where the app asked for one.
    #[error("a limit is higher than the app asked for, or empty where it asked for one")]
    LimitWider,
    /// A budget above what the app asked for, or the same for a shorter time.
    #[error("the app asked for less money, or for the same for longer; you can allow less, and not more")]
    MoneyWider,
    /// Money is not limited, and nobody said that it shall not be.
    #[error("say how much money may be spent, or tick \u{201c}No money limit\u{201d}")]
    MoneyOpen,
    /// A permission stays but without any model.
    #[error("choose at least one model for each provider that you allow")]
    NoModels,
    /// A permission stays but without any capability.
    #[error("choose at least one use for each provider that you allow")]
    NoCapabilities,
    /// Nothing stays.
    #[error("choose at least one provider, or deny the request")]
    Nothing,
    /// Not an offered life.
    #[error("choose one of the offered lengths of time")]
    Lifetime,
    /// Not a plan that is on offer.
    #[error("choose one of the offered limits, or set your own")]
    Plan,
    /// A plan, and beside it limits of one's own: nobody can tell which is meant.
    #[error("you set limits of your own, and chose others; both are shown again, choose which you mean")]
    PlanOrOwn,
}

impl ChoiceError {
    /// Every one of them.
    pub const ALL: [Self; 11] = [
        Self::DoesNotFit,
        Self::Wider,
        Self::LimitWider,
        Self::MoneyWider,
        Self::MoneyOpen,
        Self::NoModels,
        Self::NoCapabilities,
        Self::Nothing,
        Self::Lifetime,
        Self::Plan,
        Self::PlanOrOwn,
    ];
}

impl Requested {
    /// What the consent page proposes to allow in all, where the app asks for what would leave money open.
    #[must_use]
    pub fn proposed_budget(&self) -> Option<Amount> {
        let open = Limits::leave_money_open(&self.limits, self.permissions.iter().map(|asked| &asked.limits));
        open.then_some(Amount::FIVE_USD)
    }

    /// The terms that the user's choice makes of this request.
    ///
    /// # Errors
    /// [`ChoiceError`]: the choice is wider than what was asked, or leaves nothing.
    pub fn narrow(&self, choice: &Choice, now: Timestamp) -> Result<Terms, ChoiceError> {
        if choice.permissions.len() != self.permissions.len() {
            return Err(ChoiceError::DoesNotFit);
        }
        if !LIFETIMES_SECONDS.contains(&choice.lifetime_seconds) {
            return Err(ChoiceError::Lifetime);
        }
        within(&choice.limits, &self.limits)?;
        let mut permissions = Vec::new();
        for (asked, chosen) in self.permissions.iter().zip(&choice.permissions) {
            if chosen.granted {
                permissions.push(narrow_permission(asked, chosen)?);
            }
        }
        if permissions.is_empty() {
            return Err(ChoiceError::Nothing);
        }
        let open = Limits::leave_money_open(&choice.limits, permissions.iter().map(|granted| &granted.limits));
        if open && !choice.no_money_limit {
            return Err(ChoiceError::MoneyOpen);
        }
        Ok(Terms {
            permissions,
            limits: choice.limits,
            expires_at: now.plus_seconds(choice.lifetime_seconds),
            ..Terms::default()
        })
    }
}

fn within(chosen: &Limits, asked: &Limits) -> Result<(), ChoiceError> {
    let money =
        |limits: &Limits| Limits { budget_usd: limits.budget_usd, budget_period: limits.budget_period, ..Limits::NONE };
    if !money(chosen).is_within(&money(asked)) {
        return Err(ChoiceError::MoneyWider);
    }
    if chosen.is_within(asked) { Ok(()) } else { Err(ChoiceError::LimitWider) }
}

fn narrow_permission(asked: &Permission, chosen: &PermissionChoice) -> Result<Permission, ChoiceError> {
    let asked_for_all = chosen.models.iter().all(|model| asked.models.contains(model))
        && chosen.capabilities.iter().all(|capability| asked.capabilities.contains(capability));
    if !asked_for_all {
        return Err(ChoiceError::Wider);
    }
    within(&chosen.limits, &asked.limits)?;
    // In the order asked for, each once, whatever the form repeats.
    let models: Vec<ModelPattern> =
        asked.models.iter().filter(|model| chosen.models.contains(model)).cloned().collect();
    if models.is_empty() {
        return Err(ChoiceError::NoModels);
    }
    if chosen.capabilities.is_empty() {
        return Err(ChoiceError::NoCapabilities);
    }
    Ok(Permission {
        provider: asked.provider,
        models,
        capabilities: chosen.capabilities.iter().copied().collect(),
        limits: chosen.limits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::Period;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn asked() -> Requested {
        Requested::from_authorization_details(
            r#"[{"type":"ai_access","provider":"openai","models":["gpt-5-mini","gpt-5.1"],"capabilities":["chat"],
                "limits":{"requests":100}},{"type":"ai_access","provider":"anthropic","models":["*"],"capabilities":["chat"]}]"#,
        )
        .unwrap()
    }

    fn as_asked() -> Choice {
        let permissions = asked()
            .permissions
            .into_iter()
            .map(|permission| PermissionChoice {
                granted: true,
                models: permission.models,
                capabilities: permission.capabilities.into_iter().collect(),
                limits: permission.limits,
            })
            .collect();
        Choice { permissions, limits: Limits::NONE, no_money_limit: true, lifetime_seconds: 3600 }
    }

    fn limits(requests: u64) -> Limits {
        Limits { requests: core::num::NonZeroU64::new(requests), ..Limits::NONE }
    }

    #[test]
    fn what_was_asked_can_be_granted_whole() {
        let terms = asked().narrow(&as_asked(), NOW).unwrap();
        assert_eq!(terms.permissions, asked().permissions);
        assert_eq!(terms.expires_at, Timestamp::from_seconds(4_600));
    }

    #[test]
    fn an_unticked_model_is_not_granted() {
        let mut choice = as_asked();
        choice.permissions[0].models.pop();
        let terms = asked().narrow(&choice, NOW).unwrap();
        assert!(!terms.permissions[0].allows_model("gpt-5.1"));
    }

    #[test]
    fn a_lowered_limit_is_granted() {
        let mut choice = as_asked();
        choice.permissions[0].limits = limits(3);
        assert_eq!(asked().narrow(&choice, NOW).unwrap().permissions[0].limits, limits(3));
    }

    #[test]
    fn a_raised_limit_is_refused() {
        let mut choice = as_asked();
        choice.permissions[0].limits = limits(101);
        assert_eq!(asked().narrow(&choice, NOW), Err(ChoiceError::LimitWider));
    }

    #[test]
    fn an_emptied_limit_is_refused() {
        let mut choice = as_asked();
        choice.permissions[0].limits = Limits::NONE;
        assert_eq!(asked().narrow(&choice, NOW), Err(ChoiceError::LimitWider));
    }

    #[test]
    fn a_limit_may_be_added_where_none_was_asked() {
        let mut choice = as_asked();
        choice.permissions[1].limits = limits(7);
        choice.limits = limits(9);
        let terms = asked().narrow(&choice, NOW).unwrap();
        assert_eq!((terms.permissions[1].limits, terms.limits), (limits(7), limits(9)));
    }

    fn budget(usd: &str, budget_period: Period) -> Limits {
        Limits { budget_usd: usd.parse().ok(), budget_period, ..Limits::NONE }
    }

    #[test]
    fn five_usd_are_proposed_unless_money_is_limited_everywhere() {
        let mut asked = asked();
        assert_eq!(asked.proposed_budget(), Some(Amount::FIVE_USD));
        asked.permissions[0].limits = budget("1", Period::Day);
        assert_eq!(asked.proposed_budget(), Some(Amount::FIVE_USD), "the other provider's money is open");
        asked.permissions[1].limits = budget("1", Period::Day);
        assert_eq!(asked.proposed_budget(), None);
        assert_eq!(Requested { limits: budget("9", Period::Total), ..asked }.proposed_budget(), None);
    }

    #[test]
    fn money_without_a_limit_has_to_be_said() {
        let silent = Choice { no_money_limit: false, ..as_asked() };
        assert_eq!(asked().narrow(&silent, NOW), Err(ChoiceError::MoneyOpen));
        let limited = Choice { limits: budget("5", Period::Month), ..silent.clone() };
        assert_eq!(asked().narrow(&limited, NOW).unwrap().limits, budget("5", Period::Month));
        let mut per_provider = silent;
        for permission in &mut per_provider.permissions {
            permission.limits.budget_usd = Some(Amount::FIVE_USD);
        }
        assert!(asked().narrow(&per_provider, NOW).is_ok(), "each has its own");
    }

    #[test]
    fn more_money_or_money_more_often_is_refused() {
        let asked = Requested { limits: budget("5", Period::Month), ..asked() };
        for (limits, granted) in [
            (budget("5", Period::Month), true),
            (budget("0.5", Period::Total), true),
            (budget("5.01", Period::Month), false),
            (budget("5", Period::Day), false),
            (Limits::NONE, false),
        ] {
            let answer = asked.narrow(&Choice { limits, ..as_asked() }, NOW);
            assert_eq!(answer.err(), (!granted).then_some(ChoiceError::MoneyWider), "{limits:?}");
        }
    }

    #[test]
    fn a_model_that_was_not_asked_for_is_refused() {
        let mut choice = as_asked();
        choice.permissions[0].models = vec!["*".parse().unwrap()];
        assert_eq!(asked().narrow(&choice, NOW), Err(ChoiceError::Wider));
    }

    #[test]
    fn a_capability_that_was_not_asked_for_is_refused() {
        let mut choice = as_asked();
        choice.permissions[0].capabilities.push(Capability::ServerTools);
        assert_eq!(asked().narrow(&choice, NOW), Err(ChoiceError::Wider));
    }

    #[test]
    fn an_unticked_provider_is_left_out() {
        let mut choice = as_asked();
        choice.permissions[0].granted = false;
        assert_eq!(asked().narrow(&choice, NOW).unwrap().permissions.len(), 1);
    }

    #[test]
    fn nothing_ticked_is_refused() {
        let mut choice = as_asked();
        choice.permissions.iter_mut().for_each(|permission| permission.granted = false);
        assert_eq!(asked().narrow(&choice, NOW), Err(ChoiceError::Nothing));
    }

    #[test]
    fn a_life_that_was_not_offered_is_refused() {
        assert_eq!(asked().narrow(&Choice { lifetime_seconds: 1, ..as_asked() }, NOW), Err(ChoiceError::Lifetime));
    }
}
