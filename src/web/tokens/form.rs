//! The form that makes a token.
//!
//! | field | |
//! |---|---|
//! | `name` | what the token is called |
//! | `openai.on`, `anthropic.on` | that provider is ticked |
//! | `openai.models` | names of models, once per field; all empty is any model |
//! | `openai.capabilities` | what is ticked, once per value |
//! | `end`, `end_day` | when it ends: seconds, `friday`, or `day` and the day |
//! | `once` | 128 random bits: the same form makes one token, however often it is sent |
//!
//! and those of [`crate::web::limits_form`].

use std::collections::BTreeSet;

use crate::{
    domain::{
        day::Day,
        encoding::from_base64url,
        limits::Limits,
        money::Amount,
        oauth::params::Params,
        permission::{Capability, ModelPattern, Permission, Provider},
        personal_token::{self, End, NotOffered, TokenChoice, TokenError, capabilities_of, end_of_friday},
        policy::{Policy, PolicyError},
        time::Timestamp,
    },
    web::{
        allowance, format,
        language::{Language, Moment},
        limits_form::{self, FieldError, LimitsView, Posted},
        state::Config,
    },
};

/// Fields for models of one provider.
const MODEL_FIELDS: usize = 3;
/// Most models that are read, whatever a form sends.
const MAX_MODELS: usize = 20;
/// The end that is proposed.
const PROPOSED_END: &str = "604800";

/// Why a posted form makes no token.
#[derive(Debug)]
pub enum FormError {
    /// A limit can't be read.
    Limit(FieldError),
    /// It says what can't be made.
    Token(TokenError),
    /// It is more than the operator allows a member.
    Policy(PolicyError),
}

impl From<FieldError> for FormError {
    fn from(error: FieldError) -> Self {
        Self::Limit(error)
    }
}

impl From<PolicyError> for FormError {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl From<TokenError> for FormError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<NotOffered> for FormError {
    fn from(error: NotOffered) -> Self {
        Self::Token(error.into())
    }
}

impl FormError {
    /// For the person.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        match self {
            Self::Limit(error) => error.text(language),
            Self::Token(error) => said(*error, language),
            Self::Policy(error) => allowance::said(error, language),
        }
    }

    /// The field that is wrong.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::Limit(error) => error.field.clone(),
            Self::Token(TokenError::NoName | TokenError::LongName | TokenError::DeceptiveName) => "name".to_owned(),
            Self::Token(TokenError::Models(provider)) => format!("{provider}.models"),
            Self::Token(TokenError::NoCapabilities(provider)) => format!("{provider}.capabilities"),
            Self::Token(TokenError::MoneyOpen) | Self::Policy(PolicyError::MoneyPerGrant(_)) => "budget_usd".to_owned(),
            Self::Policy(PolicyError::Provider(provider)) => format!("{provider}.on"),
            Self::Token(TokenError::NoProvider) | Self::Policy(PolicyError::Model(_) | PolicyError::Nothing) => {
                "on".to_owned()
            }
            Self::Token(TokenError::NotAnEnd | TokenError::EndPassed | TokenError::EndTooLate) => "end".to_owned(),
        }
    }
}

fn said(error: TokenError, language: Language) -> String {
    let text = match error {
        TokenError::NoName => language.t("give the token a name, so that you know it again"),
        TokenError::LongName => language.t("a name has at most 60 characters"),
        TokenError::DeceptiveName => language.t("a name is plain text on one line"),
        TokenError::NoProvider => language.t("choose at least one provider"),
        TokenError::Models(provider) => {
            return language.with(
                "{0}: a model is named as its provider names it, without spaces; a * may stand at the end",
                &[&provider.display_name()],
            );
        }
        TokenError::NoCapabilities(provider) => {
            return language.with("choose at least one use for {0}", &[&provider.display_name()]);
        }
        TokenError::MoneyOpen => language.t("say how much money may be spent, or tick \u{201c}No money limit\u{201d}"),
        TokenError::NotAnEnd => language.t("choose when it ends; a day is written like 2026-11-24"),
        TokenError::EndPassed => language.t("that day has passed"),
        TokenError::EndTooLate => language.t("a token lasts a year at most"),
    };
    text.to_owned()
}

/// What the form calls itself, so that it makes one token. `None`: it is no form of ours.
#[must_use]
pub fn once(params: &Params) -> Option<&str> {
    Some(params.field("once")).filter(|once| from_base64url(once).is_some_and(|bytes| bytes.len() == 16))
}

/// The money that is proposed: no more than the operator allows for a grant.
fn proposed_money(policy: Option<&Policy>) -> Amount {
    policy.and_then(|policy| policy.max_per_grant).map_or(Amount::TWO_USD, |most| most.min(Amount::TWO_USD))
}

/// Reads a posted form; `policy`: that of whoever sent it, if one binds them.
///
/// # Errors
/// [`FormError`].
pub fn read(params: &Params, policy: Option<&Policy>) -> Result<TokenChoice, FormError> {
    let name = personal_token::read_name(params.field("name"))?;
    let permissions = Provider::ALL.into_iter().filter(|provider| is_on(params, *provider));
    let permissions = permissions.map(|provider| read_permission(params, provider)).collect::<Result<Vec<_>, _>>()?;
    let (limits, no_money_limit) = limits_form::read_overall(params, Some(proposed_money(policy)))?;
    let end = End::parse(params.field("end"), params.field("end_day"))?;
    Ok(TokenChoice { name, permissions, limits, no_money_limit, end })
}

fn named(provider: Provider, field: &str) -> String {
    format!("{provider}.{field}")
}

fn is_on(params: &Params, provider: Provider) -> bool {
    !params.field(&named(provider, "on")).is_empty()
}

fn read_permission(params: &Params, provider: Provider) -> Result<Permission, TokenError> {
    let models = named(provider, "models");
    let capabilities = named(provider, "capabilities");
    let offered = capabilities_of(provider);
    let is_ticked = |capability: &&Capability| params.all(&capabilities).any(|ticked| ticked == capability.as_str());
    Ok(Permission {
        provider,
        models: personal_token::read_models(provider, params.all(&models).take(MAX_MODELS))?,
        capabilities: offered.iter().filter(is_ticked).copied().collect::<BTreeSet<_>>(),
        limits: Limits::NONE,
    })
}

/// The form as it is shown: fresh, or as it was filled in.
pub struct FormView {
    pub once: String,
    pub name: String,
    pub providers: Vec<ProviderView>,
    /// Whether there are more, none of which is for this person.
    pub is_none_allowed: bool,
    pub limits: LimitsView,
    /// What the operator allows for a token, where they say so.
    pub ceiling: Option<Amount>,
    pub ends: Vec<EndView>,
    pub end_day: String,
    /// The days that can be chosen.
    pub first_day: String,
    pub last_day: String,
    /// What was wrong, and with which field.
    pub error: Option<String>,
    pub wrong: String,
}

/// A provider to tick.
pub struct ProviderView {
    pub prefix: &'static str,
    pub name: &'static str,
    pub on: bool,
    /// What stands in its fields for models.
    pub models: Vec<String>,
    /// Whether the operator allows only some.
    pub is_restricted: bool,
    /// What can be suggested.
    pub known: Vec<String>,
    pub capabilities: Vec<CapabilityView>,
}

/// A use to tick.
pub struct CapabilityView {
    pub value: &'static str,
    pub label: String,
    pub on: bool,
}

/// An end to choose.
pub struct EndView {
    pub value: String,
    pub label: String,
    pub chosen: bool,
}

impl FormView {
    /// `posted`: how it was filled in, and what was wrong with that. `policy`: the one that binds the person, if one does; what it forbids is
    /// not proposed.
    #[must_use]
    pub fn new(
        once: String,
        posted: Option<(&Params, &FormError)>,
        (config, policy): (&Config, Option<&Policy>),
        (now, language): (Timestamp, Language),
    ) -> Self {
        let params = posted.map(|(params, _)| params);
        let wrong = posted.map(|(_, error)| error.field()).unwrap_or_default();
        let value = |name: &str| params.map_or("", |params| params.field(name)).to_owned();
        let form = params.map(|params| Posted { params, wrong: Some(wrong.as_str()) });
        let mut limits = LimitsView::asked("", &Limits::NONE, Some(proposed_money(policy)), form, language);
        let ceiling = policy.and_then(|policy| policy.max_per_grant);
        if ceiling.is_some() {
            // It would be refused.
            limits.money.none = None;
        }
        let is_allowed = |provider: &&Provider| policy.is_none_or(|policy| !policy.models_of(**provider).is_empty());
        let providers = config.providers.iter().filter(is_allowed);
        let providers: Vec<ProviderView> =
            providers.map(|provider| ProviderView::new(*provider, params, (config, policy), language)).collect();
        Self {
            once,
            name: value("name"),
            is_none_allowed: providers.is_empty() && !config.providers.is_empty(),
            providers,
            limits,
            ceiling,
            ends: ends(params, now, language),
            end_day: value("end_day"),
            first_day: Day::of(now).to_string(),
            last_day: Day::of(now.plus_seconds(364 * 86_400)).to_string(),
            error: posted.map(|(_, error)| error.text(language)),
            wrong,
        }
    }

    /// Whether this is the field that is wrong.
    pub fn is_wrong(&self, field: &str) -> bool {
        self.wrong == field
    }
}

impl ProviderView {
    fn new(
        provider: Provider,
        params: Option<&Params>,
        (config, policy): (&Config, Option<&Policy>),
        language: Language,
    ) -> Self {
        let fields = named(provider, "models");
        let allowed = policy.map(|policy| policy.models_of(provider)).unwrap_or_default();
        let is_restricted = policy.is_some() && !allowed.iter().any(ModelPattern::is_every_model);
        let mut models: Vec<String> = match params {
            Some(params) => params.all(&fields).take(MAX_MODELS).map(str::to_owned).collect(),
            // Without a name it would be any model, which is refused.
            None if is_restricted => allowed.iter().take(MAX_MODELS).map(ModelPattern::to_string).collect(),
            None => Vec::new(),
        };
        models.resize(models.len().max(MODEL_FIELDS), String::new());
        let ticks = named(provider, "capabilities");
        let capabilities = capabilities_of(provider).iter().map(|capability| CapabilityView {
            value: capability.as_str(),
            label: language.t(format::label(*capability)).to_owned(),
            on: params.map_or(*capability == Capability::Chat, |params| {
                params.all(&ticks).any(|ticked| ticked == capability.as_str())
            }),
        });
        Self {
            prefix: provider.as_str(),
            name: provider.display_name(),
            on: params.is_none_or(|params| is_on(params, provider)),
            models,
            is_restricted,
            known: config.known_models.get(&provider).cloned().unwrap_or_default(),
            capabilities: capabilities.collect(),
        }
    }

    /// Whether something stands in a field for models.
    pub fn names_models(&self) -> bool {
        self.models.iter().any(|model| !model.is_empty())
    }
}

fn ends(params: Option<&Params>, now: Timestamp, language: Language) -> Vec<EndView> {
    let chosen = params.map_or(PROPOSED_END, |params| params.field("end"));
    // The last second of that day, so that it is called by the day.
    let friday = Timestamp::from_seconds(end_of_friday(now).seconds().saturating_sub(1));
    let friday = language.with("Until the end of Friday, {0}", &[&Moment::new(friday, now).date(language)]);
    let after = |seconds: u64| (seconds.to_string(), format::lifetime(seconds, language));
    let mut ends: Vec<(String, String)> = End::AFTER_SECONDS.into_iter().map(after).collect();
    ends.insert(2, (End::FRIDAY.to_owned(), friday));
    ends.push((End::DAY.to_owned(), language.t("Until the end of the day chosen below").to_owned()));
    ends.into_iter().map(|(value, label)| EndView { chosen: value == chosen, value, label }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_form(body: &str) -> Result<TokenChoice, String> {
        let form = format!("name=n&budget_usd=2.00&budget_period=total&end=3600&{body}");
        read(&Params::parse(form.as_bytes()), None).map_err(|error| error.text(Language::English))
    }

    #[test]
    fn a_ticked_provider_without_models_allows_any() {
        let choice = read_form("openai.on=on&openai.models=&openai.capabilities=chat").unwrap();
        assert_eq!(choice.permissions.len(), 1);
        assert!(choice.permissions[0].models[0].is_every_model());
    }

    #[test]
    fn a_provider_that_is_not_ticked_is_left_out_whatever_stands_in_its_fields() {
        let choice =
            read_form("openai.models=gpt-5&openai.capabilities=chat&anthropic.on=on&anthropic.capabilities=chat");
        let permissions = choice.unwrap().permissions;
        assert_eq!(permissions.iter().map(|one| one.provider).collect::<Vec<_>>(), [Provider::Anthropic]);
    }

    #[test]
    fn a_use_that_the_provider_does_not_have_is_not_granted() {
        let choice = read_form(
            "anthropic.on=on&anthropic.capabilities=chat&anthropic.capabilities=images&anthropic.capabilities=all",
        );
        assert_eq!(choice.unwrap().permissions[0].capabilities, BTreeSet::from([Capability::Chat]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        let error = read(&Params::parse(b"name=%E2%80%AE&end=3600"), None).unwrap_err();
        assert_eq!(
            (error.field().as_str(), error.text(Language::English).as_str()),
            ("name", "a name is plain text on one line")
        );
        let error = read(&Params::parse(b"name=n&openai.on=on&openai.models=two+words"), None).unwrap_err();
        assert_eq!(error.field(), "openai.models");
    }

    fn policy(openai: &str, max_per_grant: &str) -> Policy {
        let models = [(Provider::OpenAi, openai.split_whitespace().map(|model| model.parse().unwrap()).collect())];
        Policy { models: models.into(), max_per_grant: max_per_grant.parse().ok(), max_per_month: None }
    }

    #[test]
    fn no_more_money_is_proposed_than_the_operator_allows() {
        let proposed = |most: &str| proposed_money(Some(&policy("*", most))).to_string();
        assert_eq!([proposed("0.5"), proposed("2"), proposed("9"), proposed("")], ["0.50", "2.00", "2.00", "2.00"]);
        assert_eq!(proposed_money(None), Amount::TWO_USD);
    }

    #[test]
    fn a_form_names_itself_by_128_bits() {
        let named = |once: &str| self::once(&Params::parse(format!("once={once}").as_bytes())).is_some();
        assert!(named("AAAAAAAAAAAAAAAAAAAAAA"));
        for other in ["", "A", "AAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA!"] {
            assert!(!named(other), "{other}");
        }
    }
}
