//! The form of the policy for members.
//!
//! | field | |
//! |---|---|
//! | `openai.on`, `anthropic.on` | members may use that provider at all |
//! | `openai.models`, … | its models, one on each line; an entry may end in `*` |
//! | `max_per_grant`, `max_per_month` | money in USD; empty is no limit |
//! | `revision` | of the policy that the page showed |

use std::collections::BTreeMap;

use super::{
    language::Text,
    limits_form::{amount, digits},
    state::Config,
};
use crate::domain::{
    money::Amount,
    oauth::params::Params,
    permission::{ModelPattern, Provider},
    policy::{MAX_POLICY_MODELS, Policed, Policy},
};

/// Why a form can't be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFormError {
    /// The field that is wrong.
    pub field: String,
    /// What is wrong with it, for a person.
    pub text: Text,
}

fn wrong(field: String, text: Text) -> PolicyFormError {
    PolicyFormError { field, text }
}

/// Reads the form: a policy, and the revision that it is to take the place of.
///
/// # Errors
/// [`PolicyFormError`]: the first field that can't be read.
pub fn read(params: &Params) -> Result<(Policy, u64), PolicyFormError> {
    let mut models = BTreeMap::new();
    for provider in Provider::ALL {
        models.insert(provider, read_models(params, provider)?);
    }
    let policy = Policy {
        models,
        max_per_grant: read_money(params, "max_per_grant")?,
        max_per_month: read_money(params, "max_per_month")?,
    };
    let revision = digits(params.field("revision")).ok_or_else(|| damaged("revision"))?;
    Ok((policy, revision))
}

/// A field is not there that every form has.
#[must_use]
pub fn damaged(field: &str) -> PolicyFormError {
    wrong(field.to_owned(), Text::new("The form is damaged. Load the page again."))
}

fn read_models(params: &Params, provider: Provider) -> Result<Vec<ModelPattern>, PolicyFormError> {
    if params.field(&format!("{provider}.on")).is_empty() {
        return Ok(Vec::new());
    }
    let field = format!("{provider}.models");
    let mut models: Vec<ModelPattern> = Vec::new();
    for line in params.field(&field).lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Ok(model) = line.parse::<ModelPattern>() else {
            let text = Text::new("“{0}” is not a model: an entry has no blanks, and a “*” only at its end.");
            return Err(wrong(field, text.with(line)));
        };
        if !models.contains(&model) {
            models.push(model);
        }
    }
    if models.is_empty() {
        let text = Text::new("Name at least one model of {0}, or “*” for every model, or take its tick away.");
        return Err(wrong(field, text.with(provider.display_name())));
    }
    if models.len() > MAX_POLICY_MODELS {
        let text = Text::new("Name at most {0} models of {1}. An entry that ends in “*” stands for many.");
        return Err(wrong(field, text.with(MAX_POLICY_MODELS.to_string()).with(provider.display_name())));
    }
    Ok(models)
}

/// An amount; empty is no limit.
///
/// # Errors
/// Neither empty nor an amount of USD.
pub fn read_money(params: &Params, field: &str) -> Result<Option<Amount>, PolicyFormError> {
    let text = params.field(field).trim();
    if text.is_empty() {
        return Ok(None);
    }
    amount(text).map(Some).ok_or_else(|| {
        let text = Text::new("Write money in US dollars like 5 or 2.50: with a point, and more than nothing.");
        wrong(field.to_owned(), text)
    })
}

/// The form to fill in.
#[derive(Debug)]
pub struct PolicyView {
    /// Each provider.
    pub providers: Vec<ProviderView>,
    /// What stands in the field.
    pub max_per_grant: String,
    /// What stands in the field.
    pub max_per_month: String,
    /// Of the policy that is shown.
    pub revision: String,
    /// What is wrong with the form as posted.
    pub error: Option<PolicyFormError>,
}

/// A provider in the form.
#[derive(Debug)]
pub struct ProviderView {
    /// Before the names of its fields.
    pub prefix: &'static str,
    /// For people.
    pub name: &'static str,
    /// Whether the broker has a key for it.
    pub is_configured: bool,
    /// Whether members may use it.
    pub is_on: bool,
    /// What stands in the field.
    pub models: String,
    /// Models with a price.
    pub known: Vec<String>,
}

impl PolicyView {
    /// What holds; or, where a form was refused, what was filled in and why.
    #[must_use]
    pub fn new(policed: &Policed, posted: Option<(&Params, PolicyFormError)>, config: &Config) -> Self {
        let (params, error) = posted.unzip();
        let field = |name: &str, now: String| params.map_or(now, |params| params.field(name).to_owned());
        let money = |most: Option<Amount>| most.map(|most| most.to_string()).unwrap_or_default();
        let provider = |provider: Provider| {
            let models = policed.policy.models_of(provider);
            let lines = models.iter().map(ModelPattern::as_str).collect::<Vec<_>>().join("\n");
            let ticked = params.map(|params| !params.field(&format!("{provider}.on")).is_empty());
            ProviderView {
                prefix: provider.as_str(),
                name: provider.display_name(),
                is_configured: config.providers.contains(&provider),
                is_on: ticked.unwrap_or(!models.is_empty()),
                models: field(&format!("{provider}.models"), if lines.is_empty() { "*".to_owned() } else { lines }),
                known: config.known_models.get(&provider).cloned().unwrap_or_default(),
            }
        };
        Self {
            providers: Provider::ALL.map(provider).into(),
            max_per_grant: field("max_per_grant", money(policed.policy.max_per_grant)),
            max_per_month: field("max_per_month", money(policed.policy.max_per_month)),
            revision: field("revision", policed.revision.to_string()),
            error,
        }
    }

    /// Whether this field is the one that is wrong.
    #[must_use]
    pub fn is_wrong(&self, field: impl AsRef<str>) -> bool {
        self.error.as_ref().is_some_and(|error| error.field == field.as_ref())
    }
}

impl ProviderView {
    /// The name of its list of models.
    #[must_use]
    pub fn models_field(&self) -> String {
        format!("{}.models", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn params(fields: &[(&str, &str)]) -> Params {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Params::parse(text.as_bytes())
    }

    const FORM: &[(&str, &str)] = &[
        ("openai.on", "on"),
        ("openai.models", " gpt-5-mini \r\n\r\ngpt-5.1*\r\ngpt-5-mini"),
        ("anthropic.models", "claude-*"),
        ("max_per_grant", "$5"),
        ("max_per_month", ""),
        ("revision", "3"),
    ];

    fn with(field: &str, value: &str) -> Result<(Policy, u64), PolicyFormError> {
        let mut form: Vec<_> = FORM.iter().copied().filter(|(name, _)| *name != field).collect();
        form.push((field, value));
        read(&params(&form))
    }

    #[test]
    fn a_list_of_models_is_read_line_by_line() {
        let (policy, revision) = read(&params(FORM)).unwrap();
        let models: Vec<_> = policy.models_of(Provider::OpenAi).iter().map(ModelPattern::as_str).collect();
        assert_eq!((models, revision), (vec!["gpt-5-mini", "gpt-5.1*"], 3));
        assert_eq!((policy.max_per_grant, policy.max_per_month), (Some(Amount::FIVE_USD), None));
    }

    #[test]
    fn a_provider_without_its_tick_is_not_for_members_whatever_its_list_says() {
        assert!(read(&params(FORM)).unwrap().0.models_of(Provider::Anthropic).is_empty());
    }

    #[test]
    fn what_can_not_be_read_is_named_and_nothing_is_guessed() {
        for (field, value) in [
            ("openai.models", "gpt 5"),
            ("openai.models", "*mini"),
            ("openai.models", " \n"),
            ("max_per_grant", "5,00"),
            ("max_per_grant", "0"),
            ("max_per_month", "-1"),
            ("revision", ""),
        ] {
            assert_eq!(with(field, value).unwrap_err().field, field, "{value:?}");
        }
        let many = (0..=MAX_POLICY_MODELS).map(|number| format!("m{number}")).collect::<Vec<_>>().join("\n");
        assert_eq!(with("openai.models", &many).unwrap_err().field, "openai.models");
    }

    proptest! {
        #[test]
        fn no_form_breaks_the_reader(models in ".{0,60}", money in ".{0,20}", revision in ".{0,20}") {
            let _ = with("openai.models", &models);
            let _ = with("max_per_grant", &money);
            let _ = with("revision", &revision);
        }
    }
}
