//! What the operator allows a member: kept when they allow an app, told on pages.
//!
//! The ledgers enforce it, whatever stands here (`domain::ledger`'s `govern`).

use super::{
    consent::FormError,
    language::Language,
    ports::{Ports, Role, StoreError, User},
    state::AppState,
};
use crate::domain::{
    authorization_details::Requested,
    consent::Choice,
    grant::Terms,
    id::{GrantId, UserId},
    ledger::Snapshot,
    limits::Period,
    money::{Amount, NanoUsd},
    policy::{Policed, PolicyError},
    time::Timestamp,
};

/// How much of what a member may spend is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Booked in this calendar month (UTC), over all grants.
    pub spent: NanoUsd,
    /// Held by calls in flight.
    pub held: NanoUsd,
    /// The most for a month. `None`: no cap.
    pub per_month: Option<Amount>,
    /// The most for one grant over its life. `None`: no ceiling.
    pub per_grant: Option<Amount>,
    /// When the next month begins.
    pub resets_at: Timestamp,
}

impl Allowance {
    /// From what the account's ledger says.
    #[must_use]
    pub fn new(snapshot: &Snapshot, now: Timestamp) -> Self {
        let terms = snapshot.terms.as_ref();
        let per_month = terms.and_then(|terms| terms.limits.budget_usd);
        Self {
            spent: snapshot.overall.spent,
            held: snapshot.overall.held,
            per_month,
            per_grant: terms.and_then(|terms| terms.ceiling),
            resets_at: Period::Month.resets_at(now).unwrap_or(now),
        }
    }
}

/// Of somebody who is signed in; `None`: an operator, whom nothing binds.
///
/// # Errors
/// The ledger of their account can't answer.
pub async fn of<P: Ports>(state: &AppState<P>, user: &User) -> Result<Option<Allowance>, StoreError> {
    if user.role == Role::Operator {
        return Ok(None);
    }
    let answer = state.ports.read_accounts(core::slice::from_ref(&user.id)).await.pop();
    let snapshot = answer.ok_or_else(|| StoreError("no answer of the ledger".to_owned()))??;
    Ok(Some(Allowance::new(&snapshot, state.now)))
}

/// The policy that binds somebody; `None`: an operator.
///
/// # Errors
/// The database can't answer.
pub async fn policy_for<P: Ports>(state: &AppState<P>, user: &User) -> Result<Option<Policed>, StoreError> {
    match user.role {
        Role::Operator => Ok(None),
        Role::Member => state.ports.find_policy().await.map(Some),
    }
}

/// The terms that a person's choice makes of a request: within what was asked, and within the policy that binds them, if one does.
///
/// # Errors
/// The form's error.
pub fn agree(
    requested: &Requested,
    choice: &Choice,
    policed: Option<&Policed>,
    user: &UserId,
    now: Timestamp,
) -> Result<Terms, FormError> {
    let Some(policed) = policed else { return Ok(requested.narrow(choice, now)?) };
    // What the operator says is said first: an app may have asked for more than is shown.
    policed.policy.permits_money(choice)?;
    let terms = requested.narrow(choice, now)?;
    policed.policy.permits(&terms)?;
    Ok(policed.bind(terms, user))
}

/// The terms of what nobody asked for, within the policy that binds the person, if one does.
///
/// # Errors
/// [`PolicyError`].
pub fn bind(terms: Terms, policed: Option<&Policed>, user: &UserId) -> Result<Terms, PolicyError> {
    let Some(policed) = policed else { return Ok(terms) };
    policed.policy.permits(&terms)?;
    Ok(policed.bind(terms, user))
}

/// For the person.
#[must_use]
pub fn said(error: &PolicyError, language: Language) -> String {
    match error {
        PolicyError::Nothing => language.t("your operator allows none of the models that this app asks for").to_owned(),
        PolicyError::Provider(provider) => {
            language.with("your operator does not allow {0}", &[&provider.display_name()])
        }
        PolicyError::Model(model) => language.with("your operator does not allow the model {0}", &[model]),
        PolicyError::MoneyPerGrant(most) => {
            language.with("your operator allows at most {0} USD for each grant", &[most])
        }
    }
}

/// Tells the ledger of a member's grant what holds now, before its limits are changed. It would find out at the next call.
///
/// # Errors
/// The database or the ledger can't answer.
pub async fn tell_grant<P: Ports>(state: &AppState<P>, id: &GrantId, terms: &Terms) -> Result<(), StoreError> {
    if terms.account.is_none() {
        return Ok(());
    }
    let policed = state.ports.find_policy().await?;
    if policed.revision <= terms.policy {
        return Ok(());
    }
    state.ports.govern_ledger(id, policed.govern_grant()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{consent::PermissionChoice, policy::Policy};

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn asked() -> Requested {
        Requested::from_authorization_details(
            r#"[{"type":"ai_access","provider":"openai","models":["gpt-5","o4"],"capabilities":["chat"],"limits":{"budget_usd":"3"}}]"#,
        )
        .unwrap()
    }

    fn all_of(asked: &Requested) -> Choice {
        let choice = asked.permissions.iter().map(|one| PermissionChoice {
            granted: true,
            models: one.models.clone(),
            capabilities: one.capabilities.iter().copied().collect(),
            limits: one.limits,
        });
        Choice { permissions: choice.collect(), limits: asked.limits, no_money_limit: false, lifetime_seconds: 3600 }
    }

    fn policed(model: &str, per_grant: &str) -> Policed {
        let models = [(crate::domain::permission::Provider::OpenAi, vec![model.parse().unwrap()])];
        let policy = Policy { models: models.into(), max_per_grant: per_grant.parse().ok(), max_per_month: None };
        Policed { policy, revision: 4 }
    }

    #[test]
    fn an_operator_agrees_to_what_was_asked_and_nothing_binds_the_grant() {
        let terms = agree(&asked(), &all_of(&asked()), None, &"user_a".parse().unwrap(), NOW).unwrap();
        assert_eq!((terms.account, terms.ceiling, terms.policy), (None, None, 0));
    }

    #[test]
    fn a_member_s_grant_names_their_account_and_the_ceiling() {
        let user: UserId = "user_a".parse().unwrap();
        let policed = policed("gpt-5", "2");
        let left = policed.policy.narrow(&asked()).unwrap();
        let terms = agree(&left, &all_of(&left), Some(&policed), &user, NOW).unwrap();
        assert_eq!((terms.account, terms.policy), (Some(user), 4));
        assert_eq!(terms.ceiling, "2".parse().ok());
        assert!(!terms.permissions[0].allows_model("o4"));
    }

    #[test]
    fn what_a_page_showed_before_the_policy_changed_is_refused() {
        let user: UserId = "user_a".parse().unwrap();
        let refused = |policed: &Policed| agree(&asked(), &all_of(&asked()), Some(policed), &user, NOW).unwrap_err();
        assert_eq!(refused(&policed("*", "2")).to_string(), "your operator allows at most 2.00 USD for each grant");
        assert_eq!(refused(&policed("gpt-5", "9")).to_string(), "your operator does not allow the model o4");
    }
}
