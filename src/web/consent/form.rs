//! What a person made of the consent form.
//!
//! | field | |
//! |---|---|
//! | `plan` | which limits on money and time are chosen: a [`Plan`]; one's own where it is missing |
//! | `expires_in` | of [`Plan::Custom`]: life in seconds, one of those on offer |
//! | `as_shown` | what the fields of [`Plan::Custom`] held when the page was shown |
//! | `offered` | what each plan came to when the page was shown, once per plan |
//! | `p0.on`, `p1.on`, … | that permission is granted at all |
//! | `p0.models`, `p0.capabilities` | what stays ticked, once per value |
//! | `replace` | a grant that ends when the new one begins, once per grant |
//! | `remember` | ticked where the limits shall be proposed next time |
//! | `reason` | of a denial: a [`Denial`] |
//!
//! and those of [`limits_form`](crate::web::limits_form). What decides is `decision`; `step` and `language` are for another look.

use crate::{
    domain::{
        authorization_details::Requested,
        consent::{Choice, ChoiceError, Offer, PermissionChoice, Plan},
        limits::Limits,
        money::Amount,
        oauth::params::Params,
        policy::PolicyError,
    },
    web::{
        allowance,
        language::Language,
        limits_form::{self, FieldError, digits},
    },
};

/// Fields that say what one's own limits are.
const OWN: [&str; 4] = ["budget_usd", "budget_period", "no_budget", "expires_in"];
/// Fields that belong to one sign-in, or that nobody should find ticked who didn't tick them.
const PERSONAL: [&str; 8] = ["csrf", "request", "decision", "step", "language", "no_budget", "replace", "remember"];

/// Why a posted form can't be granted. The text is for the person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A limit can't be read.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// It says what can't be granted.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// It is more than the operator allows.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl FormError {
    /// The field that is wrong, if it is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Field(error) => Some(&error.field),
            Self::Choice(ChoiceError::MoneyOpen) | Self::Policy(PolicyError::MoneyPerGrant(_)) => Some("budget_usd"),
            Self::Choice(_) | Self::Policy(_) => None,
        }
    }

    /// For the person.
    #[must_use]
    pub fn in_language(&self, language: Language) -> String {
        match self {
            Self::Field(error) => error.text(language),
            Self::Policy(error) => allowance::said(error, language),
            Self::Choice(error) => language.t(&error.to_string()).to_owned(),
        }
    }
}

/// Reads a posted form against what was asked, and what is on offer below the operator's `ceiling`.
///
/// # Errors
/// [`FormError`]. Whether the choice is within what was asked is for [`Requested::narrow`] to say.
pub fn read(
    params: &Params,
    asked: &Requested,
    offers: &[Offer],
    ceiling: Option<Amount>,
) -> Result<Choice, FormError> {
    let permissions = asked
        .permissions
        .iter()
        .enumerate()
        .map(|(index, _)| read_permission(params, index))
        .collect::<Result<Vec<_>, _>>()?;
    let plan = match params.field("plan") {
        "" => Plan::Custom,
        text => Plan::from_form(text).ok_or(ChoiceError::Plan)?,
    };
    if plan == Plan::Custom {
        let lifetime_seconds = digits(params.field("expires_in")).ok_or(ChoiceError::Lifetime)?;
        let shown = asked.limits.budget_usd.or_else(|| Requested::proposed(offers)?.money.budget_usd);
        let (limits, no_money_limit) = limits_form::read_overall(params, shown)?;
        return Ok(Choice { permissions, limits, no_money_limit, lifetime_seconds });
    }
    let offer = offers.iter().find(|offer| offer.plan == plan).ok_or(ChoiceError::Plan)?;
    if own_limits(params) != params.field("as_shown") {
        return Err(ChoiceError::PlanOrOwn.into());
    }
    // Another page may have changed what is remembered since this one showed it, or the operator what they allow.
    let shown = as_offered(offer, ceiling);
    if !params.all("offered").any(|offered| offered == shown) {
        return Err(ChoiceError::Plan.into());
    }
    let limits = offer.money.or(limits_form::read_numbers(params, "")?);
    Ok(Choice { permissions, limits, no_money_limit: false, lifetime_seconds: offer.lifetime_seconds })
}

/// One's own limits as a form holds them, to be held against what the page showed.
pub fn own_limits(params: &Params) -> String {
    OWN.map(|name| params.field(name)).join("|")
}

/// What a plan comes to, to be sent back. What the app asked for can't change while its page is open.
pub fn as_offered(offer: &Offer, ceiling: Option<Amount>) -> String {
    let written = |amount: Option<Amount>| amount.map_or_else(String::new, |amount| amount.to_string());
    let (budget, period) = (written(offer.money.budget_usd), offer.money.budget_period.as_str());
    format!("{}|{budget}|{period}|{}|{}", offer.plan.as_str(), offer.lifetime_seconds, written(ceiling))
}

/// Which plan a posted form has chosen; nothing where it is none.
pub fn chosen(params: &Params) -> Option<Plan> {
    Plan::from_form(params.field("plan"))
}

/// What of a form may be filled in for whoever signs in next.
pub fn impersonal(params: &Params) -> String {
    let mut kept = url::form_urlencoded::Serializer::new(String::new());
    kept.extend_pairs(params.pairs().filter(|(name, _)| !PERSONAL.contains(name)));
    kept.finish()
}

fn read_permission(params: &Params, index: usize) -> Result<PermissionChoice, FormError> {
    let prefix = format!("p{index}.");
    let named = |name: &str| format!("{prefix}{name}");
    if params.field(&named("on")).is_empty() {
        return Ok(PermissionChoice {
            granted: false,
            models: Vec::new(),
            capabilities: Vec::new(),
            limits: Limits::NONE,
        });
    }
    let models = params.all(&named("models")).map(str::parse).collect::<Result<Vec<_>, _>>();
    let capabilities = params.all(&named("capabilities")).map(str::parse).collect::<Result<Vec<_>, _>>();
    let (Ok(models), Ok(capabilities)) = (models, capabilities) else { return Err(ChoiceError::Wider.into()) };
    Ok(PermissionChoice { granted: true, models, capabilities, limits: limits_form::read(params, &prefix)? })
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU64;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{consent::Usual, limits::Period, time::Timestamp},
        web::limits_form::LimitsView,
    };

    fn asked() -> Requested {
        let json = r#"[{"type":"ai_access","provider":"openai","models":["gpt-5","gpt-5.1*"],"capabilities":["chat"],
            "limits":{"requests":9,"budget_usd":"2.50","budget_period":"month"}},
            {"type":"ai_access","provider":"anthropic","models":["*"],"capabilities":["chat"]}]"#;
        Requested::from_authorization_details(json).unwrap()
    }

    fn form(body: &str) -> Result<Choice, FormError> {
        let asked = asked();
        read(&Params::parse(body.as_bytes()), &asked, &asked.offers(&asked, None, None), None)
    }

    const SHOWN: &str = "budget_usd=5.00&budget_period=total&expires_in=604800&as_shown=5.00|total||604800\
        &offered=try|1.00|total|86400|&offered=week|5.00|total|604800|";

    #[test]
    fn a_plan_says_the_money_and_the_time_and_the_fields_the_rest() {
        let choice = form(&format!("plan=try&{SHOWN}&requests=9")).unwrap();
        let limits = Limits { requests: NonZeroU64::new(9), budget_usd: Some(Amount::ONE_USD), ..Limits::NONE };
        assert_eq!((choice.limits, choice.no_money_limit, choice.lifetime_seconds), (limits, false, 86_400));
    }

    #[test]
    fn ones_own_limits_are_read_where_they_are_chosen_or_no_plan_is() {
        for plan in ["plan=custom&", ""] {
            let choice = form(&format!("{plan}budget_usd=7&budget_period=day&expires_in=3600&as_shown=x")).unwrap();
            assert_eq!((choice.limits.budget_usd, choice.lifetime_seconds), ("7".parse().ok(), 3600));
        }
    }

    #[test]
    fn a_plan_beside_limits_that_were_written_is_refused() {
        for written in [
            SHOWN.replacen("5.00", "50", 1),
            SHOWN.replacen("total", "day", 1),
            SHOWN.replacen("604800", "3600", 1),
            format!("{SHOWN}&no_budget=on"),
            "budget_usd=5.00".to_owned(),
        ] {
            assert_eq!(form(&format!("plan=week&{written}")), Err(ChoiceError::PlanOrOwn.into()), "{written}");
        }
    }

    #[test]
    fn a_plan_that_is_not_on_offer_is_refused() {
        for plan in ["usual", "asked", "unlimited", "TRY"] {
            assert_eq!(form(&format!("plan={plan}&{SHOWN}")), Err(ChoiceError::Plan.into()), "{plan}");
        }
    }

    #[test]
    fn usual_limits_are_granted_only_as_they_were_shown() {
        let requested = Requested::from_scope("openai:chat").unwrap();
        let offers = |usd: &str, lifetime_seconds| {
            let limits = Limits { budget_usd: usd.parse().ok(), ..Limits::NONE };
            requested.offers(&requested, Some(&Usual { limits, lifetime_seconds }), None)
        };
        let shown = offers("1", 3600);
        let body = format!("plan=usual&offered={}&{SHOWN}", as_offered(&shown[0], None));
        let read = |offers: &[Offer]| read(&Params::parse(body.as_bytes()), &requested, offers, None);
        assert_eq!(read(&shown).map(|choice| choice.limits.budget_usd), Ok(Some(Amount::ONE_USD)));
        for since in [offers("50", 3600), offers("1", 31_536_000)] {
            assert_eq!(read(&since), Err(ChoiceError::Plan.into()));
        }
    }

    #[test]
    fn a_plan_is_granted_only_as_it_was_shown_below_what_the_operator_allowed_then() {
        let asked = Requested::from_authorization_details(
            r#"[{"type":"ai_access","provider":"openai","models":["*"],"capabilities":["chat"],"limits":{"budget_usd":"2"}},
                {"type":"ai_access","provider":"anthropic","models":["*"],"capabilities":["chat"],"limits":{"budget_usd":"2"}}]"#,
        )
        .unwrap();
        let offers = |ceiling| asked.offers(&asked, None, ceiling);
        let (then, now) = ("2".parse().ok(), "9".parse().ok());
        for offer in offers(then) {
            let plan = offer.plan.as_str();
            let body = format!("plan={plan}&offered={}&expires_in=604800&as_shown=|||604800", as_offered(&offer, then));
            let read = |ceiling| read(&Params::parse(body.as_bytes()), &asked, &offers(ceiling), ceiling);
            assert!(read(then).is_ok(), "{plan}");
            assert_eq!(read(now), Err(ChoiceError::Plan.into()), "{plan}");
        }
    }

    #[test]
    fn nobody_finds_a_box_ticked_that_somebody_else_ticked() {
        let params =
            Params::parse(b"csrf=a&request=b&decision=allow&plan=custom&no_budget=on&replace=g&remember=on&p0.on=on");
        assert_eq!(impersonal(&params), "plan=custom&p0.on=on");
    }

    #[test]
    fn every_reason_why_a_form_is_refused_has_its_korean() {
        for error in ChoiceError::ALL {
            assert_ne!(FormError::from(error).in_language(Language::Korean), error.to_string());
        }
    }

    #[test]
    fn a_form_is_read_field_by_field() {
        let choice = form(
            "p0.on=on&p0.models=gpt-5&p0.capabilities=chat&p0.requests=3&requests=2&p0.budget_usd=2&p0.budget_period=total\
             &budget_usd=4.5&budget_period=day&expires_in=3600",
        )
        .unwrap();
        let [permission, _] = choice.permissions.as_slice() else { panic!("{choice:?}") };
        assert_eq!(permission.models, [asked().permissions[0].models[0].clone()]);
        assert_eq!(permission.limits.requests.map(NonZeroU64::get), Some(3));
        assert_eq!(permission.limits.budget_usd, "2".parse().ok());
        assert_eq!(choice.limits.requests.map(NonZeroU64::get), Some(2));
        assert_eq!((choice.limits.budget_usd, choice.limits.budget_period), ("4.50".parse().ok(), Period::Day));
        assert!(!choice.no_money_limit);
        assert_eq!(choice.lifetime_seconds, 3600);
    }

    #[test]
    fn a_permission_that_is_not_ticked_is_not_read() {
        let choice = form("p0.requests=nonsense&expires_in=3600").unwrap();
        assert!(!choice.permissions[0].granted);
    }

    #[test]
    fn the_proposal_beside_the_tick_for_no_money_limit_is_not_meant() {
        let choice = form("budget_usd=5.00&budget_period=total&no_budget=on&expires_in=3600").unwrap();
        assert_eq!((choice.limits, choice.no_money_limit), (Limits::NONE, true));
    }

    fn any_field() -> impl Strategy<Value = String> {
        let names = "(p[01]\\.)?(on|models|capabilities|requests|tokens|concurrency|budget_usd|budget_period|no_budget)|plan|as_shown";
        let values = prop_oneof![
            Just("on".to_owned()),
            Just("gpt-5".to_owned()),
            Just("*".to_owned()),
            Just("chat".to_owned()),
            Just("total".to_owned()),
            Just("month".to_owned()),
            Just("day".to_owned()),
            Just("try".to_owned()),
            Just("usual".to_owned()),
            "[0-9]{1,2}(\\.[0-9]{1,2})?",
            "\\PC{0,8}",
        ];
        (names, values).prop_map(|(name, value)| format!("{name}={value}"))
    }

    proptest! {
        #[test]
        fn no_form_makes_the_reader_panic_or_widens_what_was_asked(fields in prop::collection::vec(any_field(), 0..14)) {
            let body = format!("p0.on=on&p0.models=gpt-5&p0.capabilities=chat&{}&expires_in=3600", fields.join("&"));
            let Ok(choice) = form(&body) else { return Ok(()) };
            let Ok(terms) = asked().narrow(&choice, Timestamp::from_seconds(1)) else { return Ok(()) };
            for granted in &terms.permissions {
                let requested = asked();
                let asked = requested.permissions.iter().find(|asked| asked.provider == granted.provider).unwrap();
                prop_assert!(granted.limits.is_within(&asked.limits));
                prop_assert!(granted.models.iter().all(|model| asked.models.contains(model)));
            }
            let open = Limits::leave_money_open(&terms.limits, terms.permissions.iter().map(|granted| &granted.limits));
            prop_assert!(!open || body.contains("no_budget"));
        }

        #[test]
        fn what_the_page_proposes_can_be_allowed_as_it_is(budget in prop::option::of(1_u64..99_999), of_each in any::<bool>()) {
            let mut asked = asked();
            asked.limits.budget_usd = budget.and_then(|cents| format!("{}.{:02}", cents / 100, cents % 100).parse().ok());
            if of_each {
                asked.permissions[1].limits.budget_usd = Some(Amount::FIVE_USD);
            }
            let fields = [
                LimitsView::asked("p0.", &asked.permissions[0].limits, None, None, Language::English).as_sent(),
                LimitsView::asked("p1.", &asked.permissions[1].limits, None, None, Language::English).as_sent(),
                LimitsView::asked("", &asked.limits, asked.proposed_budget(), None, Language::English).as_sent(),
                "p0.on=on&p0.models=gpt-5&p0.capabilities=chat&p1.on=on&p1.models=*&p1.capabilities=chat".to_owned(),
                "expires_in=3600".to_owned(),
            ];
            let body = fields.join("&");
            let choice = read(&Params::parse(body.as_bytes()), &asked, &asked.offers(&asked, None, None), None).unwrap();
            let terms = asked.narrow(&choice, Timestamp::from_seconds(1)).unwrap();
            prop_assert_eq!(terms.permissions[0].limits, asked.permissions[0].limits);
            prop_assert_eq!(terms.limits.budget_usd, asked.limits.budget_usd.or_else(|| asked.proposed_budget()));
        }
    }
}
