//! What the operator lets members hand on: which models of which providers, and how much money.
//!
//! A policy is kept in three places, each of which would do alone for what it covers:
//!
//! - what a member is asked to allow is narrowed to it before it is shown ([`Policy::narrow`], [`Policy::permits`]);
//! - a member's *account* has a ledger of its own that every call of every grant of theirs counts in as well ([`Policed::account_terms`]):
//!   models, and money per month;
//! - each grant's ledger keeps [`Terms::ceiling`]: money over the whole life of the grant.
//!
//! Operators are bound by none of it: the keys are theirs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    authorization_details::{MAX_MODELS, Requested},
    consent::Choice,
    grant::Terms,
    id::UserId,
    ledger::{Allowance, Govern},
    limits::{Limits, Period},
    money::Amount,
    permission::{ModelPattern, Permission, Provider, intersection},
    time::Timestamp,
};

/// Most `models` for one provider.
pub const MAX_POLICY_MODELS: usize = MAX_MODELS;

/// An account doesn't end: 9999-12-31T23:59:59Z.
const NEVER: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// What members may hand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Which models of which provider. A provider that isn't named, or without models, is not for members; also one that a later version
    /// of the broker brings.
    pub models: BTreeMap<Provider, Vec<ModelPattern>>,
    /// Money over the life of each grant. `None`: as much as its member likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_grant: Option<Amount>,
    /// Money in each calendar month (UTC) over all grants of a member. `None`: no such cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_month: Option<Amount>,
}

impl Default for Policy {
    /// As long as the operator has said nothing: everything, without a limit.
    fn default() -> Self {
        let every_model = |provider: Provider| (provider, vec![ModelPattern::every_model()]);
        Self { models: Provider::ALL.map(every_model).into(), max_per_grant: None, max_per_month: None }
    }
}

/// A policy, and how often it was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policed {
    /// What holds.
    pub policy: Policy,
    /// Of two the higher one is the later; 0 where the operator has said nothing yet.
    pub revision: u64,
}

/// What a policy doesn't permit. The text is for the member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not even one model of any provider that was asked for.
    #[error("your operator allows none of the models that this app asks for")]
    Nothing,
    /// A provider that is not for members.
    #[error("your operator does not allow {}", .0.display_name())]
    Provider(Provider),
    /// A model, or some of the models of a prefix, that is not for members.
    #[error("your operator does not allow the model {0}")]
    Model(ModelPattern),
    /// More money than one grant may cost, or no limit of it.
    #[error("your operator allows at most {0} USD for each grant")]
    MoneyPerGrant(Amount),
}

impl Policy {
    /// The models of a provider; none where it is not for members.
    #[must_use]
    pub fn models_of(&self, provider: Provider) -> &[ModelPattern] {
        self.models.get(&provider).map_or(&[], Vec::as_slice)
    }

    /// What is left of a request: entries of `models` within the policy, budgets up to the ceiling. It is what a member is shown.
    ///
    /// # Errors
    /// [`PolicyError::Nothing`].
    pub fn narrow(&self, asked: &Requested) -> Result<Requested, PolicyError> {
        let permissions: Vec<Permission> = asked
            .permissions
            .iter()
            .map(|permission| Permission {
                models: intersection(&permission.models, self.models_of(permission.provider)),
                limits: self.capped(permission.limits),
                ..permission.clone()
            })
            .filter(|permission| !permission.models.is_empty())
            .collect();
        if permissions.is_empty() {
            return Err(PolicyError::Nothing);
        }
        let mut narrowed = Requested { permissions, limits: self.capped(asked.limits) };
        // Nothing is proposed that would be refused.
        if let (Some(proposed), Some(most)) = (narrowed.proposed_budget(), self.max_per_grant)
            && most < proposed
        {
            narrowed.limits.budget_usd = Some(most);
        }
        Ok(narrowed)
    }

    fn capped(&self, limits: Limits) -> Limits {
        let budget_usd = limits.budget_usd.map(|asked| self.max_per_grant.map_or(asked, |most| asked.min(most)));
        Limits { budget_usd, ..limits }
    }

    /// Whether the money of a choice is within the ceiling; said before a choice is held against what the app asked for.
    ///
    /// # Errors
    /// [`PolicyError::MoneyPerGrant`].
    pub fn permits_money(&self, choice: &Choice) -> Result<(), PolicyError> {
        let granted = choice.permissions.iter().filter(|permission| permission.granted);
        let limits: Vec<&Limits> = granted.map(|permission| &permission.limits).collect();
        self.check_money(&choice.limits, &limits, choice.no_money_limit)
    }

    /// Whether a grant of these terms may be given.
    ///
    /// # Errors
    /// [`PolicyError`]: the first thing that may not.
    pub fn permits(&self, terms: &Terms) -> Result<(), PolicyError> {
        for permission in &terms.permissions {
            let allowed = self.models_of(permission.provider);
            if allowed.is_empty() {
                return Err(PolicyError::Provider(permission.provider));
            }
            let beyond = |mine: &&ModelPattern| !allowed.iter().any(|theirs| mine.is_within(theirs));
            if let Some(model) = permission.models.iter().find(beyond) {
                return Err(PolicyError::Model(model.clone()));
            }
        }
        self.check_money(&terms.limits, &terms.limits_of_permissions().collect::<Vec<_>>(), true)
    }

    /// `may_be_open`: whether a missing budget is meant, and so is one too many.
    fn check_money(&self, overall: &Limits, permissions: &[&Limits], may_be_open: bool) -> Result<(), PolicyError> {
        let Some(most) = self.max_per_grant else { return Ok(()) };
        let is_open = may_be_open && Limits::leave_money_open(overall, permissions.iter().copied());
        let is_beyond = |limits: &Limits| limits.budget_usd.is_some_and(|budget| budget > most);
        if is_open || is_beyond(overall) || permissions.iter().any(|limits| is_beyond(limits)) {
            return Err(PolicyError::MoneyPerGrant(most));
        }
        Ok(())
    }
}

impl Policed {
    /// The terms as a member's grant gets them: they say whose account its calls count in, and what it may cost at most.
    #[must_use]
    pub fn bind(&self, terms: Terms, account: &UserId) -> Terms {
        Terms { account: Some(account.clone()), ceiling: self.policy.max_per_grant, policy: self.revision, ..terms }
    }

    /// What the ledger of a member's account starts with: a permission for each provider, always at the same position.
    #[must_use]
    pub fn account_terms(&self) -> Terms {
        let Allowance { permissions, limits } = self.allowance();
        Terms {
            permissions,
            limits,
            expires_at: NEVER,
            ceiling: self.policy.max_per_grant,
            policy: self.revision,
            ..Terms::default()
        }
    }

    /// What an account's ledger that has started is told.
    #[must_use]
    pub fn govern(&self) -> Govern {
        Govern::of_account(self.account_terms())
    }

    /// What the ledger of a member's grant is told.
    #[must_use]
    pub const fn govern_grant(&self) -> Govern {
        Govern { policy: self.revision, ceiling: self.policy.max_per_grant, allowance: None }
    }

    fn allowance(&self) -> Allowance {
        let permission = |provider: Provider| Permission {
            provider,
            models: self.policy.models_of(provider).to_vec(),
            // A policy says nothing of them; a call names none to an account.
            capabilities: BTreeSet::new(),
            limits: Limits::NONE,
        };
        Allowance {
            permissions: Provider::ALL.map(permission).into(),
            // Also without a cap: what a snapshot says is spent is this month's.
            limits: Limits { budget_usd: self.policy.max_per_month, budget_period: Period::Month, ..Limits::NONE },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{consent::PermissionChoice, permission::Capability};

    fn usd(text: &str) -> Option<Amount> {
        text.parse().ok()
    }

    fn policy(openai: &[&str], anthropic: &[&str]) -> Policy {
        let models = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Policy {
            models: [(Provider::OpenAi, models(openai)), (Provider::Anthropic, models(anthropic))].into(),
            ..Policy::default()
        }
    }

    fn asked(overall: &str) -> Requested {
        Requested::from_authorization_details(&format!(
            r#"[{{"type":"ai_access","provider":"openai","models":["gpt-5*","o4"],"capabilities":["chat"],"limits":{{"budget_usd":"3"}}}},
                {{"type":"ai_access","provider":"anthropic","models":["*"],"capabilities":["chat"]}},{{"type":"ai_limits"{overall}}}]"#
        ))
        .unwrap()
    }

    fn models(asked: &Requested) -> Vec<Vec<&str>> {
        asked.permissions.iter().map(|one| one.models.iter().map(ModelPattern::as_str).collect()).collect()
    }

    fn terms(asked: &Requested) -> Terms {
        Terms { permissions: asked.permissions.clone(), limits: asked.limits, ..Terms::default() }
    }

    fn as_asked(asked: &Requested) -> Choice {
        let choice = |permission: &Permission| PermissionChoice {
            granted: true,
            models: permission.models.clone(),
            capabilities: permission.capabilities.iter().copied().collect::<Vec<Capability>>(),
            limits: permission.limits,
        };
        Choice {
            permissions: asked.permissions.iter().map(choice).collect(),
            limits: asked.limits,
            no_money_limit: false,
            lifetime_seconds: 3600,
        }
    }

    #[test]
    fn without_a_word_of_the_operator_everything_may_be_handed_on() {
        let asked = asked("");
        assert_eq!(Policy::default().narrow(&asked).unwrap(), asked);
        assert_eq!(Policy::default().permits(&terms(&asked)), Ok(()));
    }

    #[test]
    fn a_request_is_narrowed_to_the_models_that_both_name() {
        let narrowed = policy(&["gpt-5-mini", "o*"], &["claude-haiku*"]).narrow(&asked("")).unwrap();
        assert_eq!(models(&narrowed), [vec!["gpt-5-mini", "o4"], vec!["claude-haiku*"]]);
    }

    #[test]
    fn a_provider_that_is_not_for_members_is_left_out() {
        let narrowed = policy(&["*"], &[]).narrow(&asked("")).unwrap();
        assert_eq!(narrowed.permissions.len(), 1);
        assert_eq!(policy(&["gpt-4"], &[]).narrow(&asked("")), Err(PolicyError::Nothing));
    }

    #[test]
    fn budgets_above_the_ceiling_are_lowered_to_it() {
        let policy = Policy { max_per_grant: usd("2"), ..Policy::default() };
        let narrowed = policy.narrow(&asked(r#","budget_usd":"9","budget_period":"day""#)).unwrap();
        assert_eq!(narrowed.limits.budget_usd, usd("2"));
        assert_eq!(narrowed.limits.budget_period, Period::Day, "how often it comes is the member's");
        assert_eq!(narrowed.permissions[0].limits.budget_usd, usd("2"));
    }

    #[test]
    fn no_more_is_proposed_than_the_ceiling() {
        let proposed = |ceiling: &str| {
            let policy = Policy { max_per_grant: usd(ceiling), ..Policy::default() };
            let narrowed = policy.narrow(&asked("")).unwrap();
            narrowed.limits.budget_usd.or_else(|| narrowed.proposed_budget())
        };
        assert_eq!(proposed("2"), usd("2"));
        assert_eq!(proposed("8"), usd("5"));
    }

    #[test]
    fn a_grant_beyond_the_ceiling_is_not_permitted_nor_one_without_a_limit() {
        let policy = Policy { max_per_grant: usd("4"), ..Policy::default() };
        let beyond = Err(PolicyError::MoneyPerGrant("4".parse().unwrap()));
        for (overall, permitted) in [
            (r#","budget_usd":"4""#, Ok(())),
            (r#","budget_usd":"4","budget_period":"day""#, Ok(())),
            (r#","budget_usd":"4.01""#, beyond.clone()),
            ("", beyond.clone()),
        ] {
            assert_eq!(policy.permits(&terms(&asked(overall))), permitted, "{overall}");
        }
        let mut per_provider = terms(&asked(r#","budget_usd":"1""#));
        per_provider.permissions[1].limits.budget_usd = usd("5");
        assert_eq!(policy.permits(&per_provider), beyond);
    }

    #[test]
    fn money_that_nobody_limited_on_purpose_is_for_the_form_to_say() {
        let policy = Policy { max_per_grant: usd("8"), ..Policy::default() };
        let silent = as_asked(&asked(""));
        assert_eq!(policy.permits_money(&silent), Ok(()));
        let on_purpose = Choice { no_money_limit: true, ..silent };
        assert_eq!(policy.permits_money(&on_purpose), Err(PolicyError::MoneyPerGrant("8".parse().unwrap())));
    }

    #[test]
    fn a_model_beyond_the_policy_is_named() {
        let terms = terms(&asked(""));
        assert_eq!(
            policy(&["gpt-5*"], &["*"]).permits(&terms),
            Err(PolicyError::Model("o4".parse().unwrap())),
            "one entry of two"
        );
        assert_eq!(
            policy(&["gpt-5-mini", "o4"], &["*"]).permits(&terms),
            Err(PolicyError::Model("gpt-5*".parse().unwrap())),
            "a part of a prefix"
        );
        assert_eq!(policy(&["*"], &[]).permits(&terms), Err(PolicyError::Provider(Provider::Anthropic)));
    }

    #[test]
    fn a_policy_is_read_back_as_it_was_written() {
        let policy = Policy { max_per_month: usd("20"), ..policy(&["gpt-5*"], &[]) };
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(text, r#"{"models":{"openai":["gpt-5*"],"anthropic":[]},"max_per_month":"20.00"}"#);
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }

    #[test]
    fn an_account_has_a_permission_for_each_provider_in_the_order_of_all() {
        let policed = Policed { policy: policy(&[], &["*"]), revision: 3 };
        let terms = policed.account_terms();
        assert!(terms.permissions.iter().map(|one| one.provider).eq(Provider::ALL));
        assert_eq!((terms.account, terms.policy), (None, 3));
    }

    proptest! {
        #[test]
        fn what_is_left_of_a_request_is_permitted(
            openai in prop::collection::vec("(gpt|o)[45]?(-mini)?\\*?", 0..4), most in prop::option::of(1_u64..9),
            overall in prop::sample::select(vec!["", r#","budget_usd":"7""#]),
        ) {
            let openai: Vec<&str> = openai.iter().map(String::as_str).collect();
            let max_per_grant = most.and_then(|usd| usd.to_string().parse().ok());
            let policy = Policy { max_per_grant, ..policy(&openai, &["claude*"]) };
            let mut left = policy.narrow(&asked(overall)).unwrap();
            left.limits.budget_usd = left.limits.budget_usd.or_else(|| left.proposed_budget());
            prop_assert_eq!(policy.permits(&terms(&left)), Ok(()));
        }
    }
}
