//! What is asked of each provider, beside what can be granted of it.

use crate::{
    domain::{
        authorization_details::Requested,
        limits::Limits,
        permission::{ModelPattern, Permission},
    },
    web::{
        format,
        language::Language,
        limits_form::{LimitsView, Posted},
        state::Config,
    },
};

/// One asked permission.
#[derive(Debug)]
pub struct PermissionView {
    /// Prefix of its fields.
    pub prefix: String,
    /// The provider's name.
    pub provider: &'static str,
    /// What is asked, in a sentence.
    pub sentence: String,
    /// Limits of its own that are asked for, in words.
    pub asked: Vec<String>,
    /// What of it can not be granted, a sentence each.
    pub left_out: Vec<String>,
    /// Whether the operator has set a key for the provider.
    pub configured: bool,
    /// Whether it is ticked.
    pub on: bool,
    /// Models to tick.
    pub models: Vec<Tick>,
    /// Uses to tick.
    pub capabilities: Vec<Tick>,
    /// Limits to edit.
    pub limits: LimitsView,
}

/// What is asked and can not be granted.
#[derive(Debug)]
pub struct LeftOutView {
    /// The provider's name.
    pub provider: &'static str,
    /// What is asked, in a sentence.
    pub sentence: String,
    /// Why it can't be.
    pub why: String,
}

/// A box to tick.
#[derive(Debug)]
pub struct Tick {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
    /// Whether it is ticked.
    pub on: bool,
}

/// Each permission as it was asked, with what is left of it; and those of which nothing is.
#[must_use]
pub fn beside(
    as_asked: &Requested,
    left: &Requested,
    (config, language): (&Config, Language),
    form: Option<Posted<'_>>,
) -> (Vec<PermissionView>, Vec<LeftOutView>) {
    let mut left = left.permissions.iter().enumerate().peekable();
    let (mut permissions, mut left_out) = (Vec::new(), Vec::new());
    for asked in &as_asked.permissions {
        match left.next_if(|(_, left)| is_left_of(asked, left)) {
            Some((index, left)) => {
                permissions.push(PermissionView::new(index, (asked, left), (config, language), form));
            }
            None => left_out.push(LeftOutView::new(asked, language)),
        }
    }
    (permissions, left_out)
}

/// Limits in words, one each.
pub fn in_words(limits: &Limits, language: Language) -> Vec<String> {
    let count = |text: &str, number: u64| language.with(text, &[&format::thousands(number)]);
    let all = [
        limits.budget_usd.map(|amount| format::per(amount, limits.budget_period, language)),
        limits.tokens.map(|most| count(language.t("{0} tokens in all"), most.get())),
        limits.requests.map(|most| count(language.t("{0} requests in all"), most.get())),
        limits.requests_per_minute.map(|most| count(language.t("{0} requests per minute"), most.get().into())),
        limits.concurrency.map(|most| count(language.t("{0} calls at a time"), most.get().into())),
    ];
    all.into_iter().flatten().collect()
}

impl PermissionView {
    fn new(
        index: usize,
        (asked, permission): (&Permission, &Permission),
        (config, language): (&Config, Language),
        form: Option<Posted<'_>>,
    ) -> Self {
        let prefix = format!("p{index}.");
        let ticked = |name: &str, value: &str| {
            form.is_none_or(|form| form.params.all(&format!("{prefix}{name}")).any(|posted| posted == value))
        };
        let models = permission.models.iter().map(|model| Tick {
            value: model.to_string(),
            label: format::model(model, language),
            on: ticked("models", model.as_str()),
        });
        let capabilities = permission.capabilities.iter().map(|capability| Tick {
            value: capability.to_string(),
            label: language.t(format::label(*capability)).to_owned(),
            on: ticked("capabilities", capability.as_str()),
        });
        Self {
            provider: permission.provider.display_name(),
            sentence: format::sentence(asked, language),
            left_out: models_left_out(asked, permission, language),
            asked: in_words(&asked.limits, language),
            configured: config.providers.contains(&permission.provider),
            on: form.is_none_or(|form| !form.params.field(&format!("{prefix}on")).is_empty()),
            models: models.collect(),
            capabilities: capabilities.collect(),
            limits: LimitsView::asked(&prefix, &permission.limits, None, form, language)
                .left_of(&asked.limits, &permission.limits),
            prefix,
        }
    }
}

/// Whether that is what the operator's policy leaves of a permission. Where it leaves nothing of this one, it leaves nothing of any other
/// that is within this one: so whoever takes them in their order takes the right one.
fn is_left_of(asked: &Permission, left: &Permission) -> bool {
    let is_asked = |model: &ModelPattern| asked.models.iter().any(|asked| model.is_within(asked));
    asked.provider == left.provider && asked.capabilities == left.capabilities && left.models.iter().all(is_asked)
}

fn models_left_out(asked: &Permission, left: &Permission, language: Language) -> Vec<String> {
    let gone = asked.models.iter().filter(|asked| !left.models.contains(asked));
    let (part, whole): (Vec<_>, Vec<_>) = gone.partition(|asked| left.models.iter().any(|left| left.is_within(asked)));
    let named = |models: Vec<&ModelPattern>| {
        let models: Vec<String> = models.into_iter().map(|model| format::model(model, language)).collect();
        (!models.is_empty()).then(|| format::list(&models, language))
    };
    let whole =
        named(whole).map(|models| language.with("Left out, since your operator does not allow it: {0}.", &[&models]));
    let part =
        named(part).map(|models| language.with("Of {0} your operator allows only what stands here.", &[&models]));
    whole.into_iter().chain(part).collect()
}

impl LeftOutView {
    fn new(asked: &Permission, language: Language) -> Self {
        let provider = asked.provider.display_name();
        Self {
            provider,
            sentence: format::sentence(asked, language),
            why: language.with("Nothing of it: your operator allows none of these models of {0}.", &[&provider]),
        }
    }
}
