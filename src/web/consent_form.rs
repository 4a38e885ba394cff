//! The consent form: what it shows of a request, and what a person made of it.
//!
//! | field | |
//! |---|---|
//! | `p0.on`, `p1.on`, … | that permission is granted at all |
//! | `p0.models`, `p0.capabilities` | what stays ticked, once per value |
//! | `p0.requests`, `p0.requests_per_minute`, `p0.concurrency` | limits of that permission; empty is no limit |
//! | `requests`, `requests_per_minute`, `concurrency` | limits over the whole grant |
//! | `expires_in` | life in seconds, one of those on offer |
//!
//! Reading is strict: a number is digits and nothing else, and a limit that stands twice is no limit at all but an error.

use core::num::{NonZeroU32, NonZeroU64};

use super::{format, state::Config};
use crate::domain::{
    authorization_details::Requested,
    consent::{Choice, ChoiceError, DEFAULT_LIFETIME_SECONDS, LIFETIMES_SECONDS, PermissionChoice},
    limits::Limits,
    oauth::{authorization_request::PendingRequest, client::Client, params::Params, redirect_uri::Destination},
    permission::Permission,
};

/// Why a posted form can't be granted. The text is for the person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A limit that isn't a number.
    #[error("{0} must be a whole number from 1 on, written in digits, or empty for no limit")]
    NotANumber(&'static str),
    /// The form says something twice.
    #[error("{0} was sent twice; load the page again")]
    Twice(&'static str),
    /// It says what can't be granted.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
}

/// Reads a posted form against what was asked.
///
/// # Errors
/// [`FormError`]. Whether the choice is within what was asked is for [`Requested::narrow`] to say.
pub fn read(params: &Params, asked: &Requested) -> Result<Choice, FormError> {
    let permissions = asked
        .permissions
        .iter()
        .enumerate()
        .map(|(index, _)| read_permission(params, index))
        .collect::<Result<Vec<_>, _>>()?;
    let lifetime_seconds = digits(params.field("expires_in")).ok_or(ChoiceError::Lifetime)?;
    Ok(Choice { permissions, limits: read_limits(params, "")?, lifetime_seconds })
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
    Ok(PermissionChoice { granted: true, models, capabilities, limits: read_limits(params, &prefix)? })
}

fn read_limits(params: &Params, prefix: &str) -> Result<Limits, FormError> {
    Ok(Limits {
        requests: limit(params, prefix, "requests", "requests")?,
        requests_per_minute: limit(params, prefix, "requests_per_minute", "requests per minute")?,
        concurrency: limit(params, prefix, "concurrency", "calls at a time")?,
        ..Limits::NONE
    })
}

fn limit<T: TryFrom<NonZeroU64>>(
    params: &Params,
    prefix: &str,
    name: &str,
    label: &'static str,
) -> Result<Option<T>, FormError> {
    let name = format!("{prefix}{name}");
    let mut values = params.all(&name).map(str::trim);
    let first = values.next().unwrap_or("");
    if values.next().is_some() {
        return Err(FormError::Twice(label));
    }
    if first.is_empty() {
        return Ok(None);
    }
    let number = digits(first).and_then(NonZeroU64::new).and_then(|number| T::try_from(number).ok());
    number.map(Some).ok_or(FormError::NotANumber(label))
}

/// Digits, and nothing that a parser might make a number of: no sign, no exponent, no space.
fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok().filter(|number| *number <= crate::domain::limits::MAX_STORED_INTEGER) } else { None }
}

/// A request as the page shows it: as asked, or as a person had edited it when something was wrong.
#[derive(Debug)]
pub struct ConsentView {
    /// As its developer calls it; nobody verified that.
    pub app: String,
    /// As its developer wrote it.
    pub home_page: String,
    /// Where the answer goes.
    pub destination: DestinationView,
    /// What is asked, per provider.
    pub permissions: Vec<PermissionView>,
    /// Over the whole grant.
    pub limits: Vec<LimitView>,
    /// Whether one of [`Self::limits`] was asked for or set.
    pub has_overall_limits: bool,
    /// Lives on offer.
    pub lifetimes: Vec<LifetimeView>,
    /// What was wrong with the form as posted.
    pub error: Option<String>,
}

/// Where the answer goes.
#[derive(Debug)]
pub enum DestinationView {
    /// An https host.
    Site(String),
    /// A program on the person's own machine.
    ThisDevice(String),
    /// An installed app, by its scheme.
    InstalledApp(String),
}

/// One asked permission.
#[derive(Debug)]
pub struct PermissionView {
    /// Prefix of its fields.
    pub prefix: String,
    /// The provider's name.
    pub provider: &'static str,
    /// What is asked, in a sentence.
    pub sentence: String,
    /// Whether the operator has set a key for the provider.
    pub configured: bool,
    /// Whether it is ticked.
    pub on: bool,
    /// Models to tick.
    pub models: Vec<Tick>,
    /// Uses to tick.
    pub capabilities: Vec<Tick>,
    /// Limits to edit.
    pub limits: Vec<LimitView>,
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

/// A number to edit.
#[derive(Debug)]
pub struct LimitView {
    /// The field.
    pub name: String,
    /// What is read.
    pub label: &'static str,
    /// What stands in it.
    pub value: String,
    /// What the app asked for, which is the most that can be granted.
    pub most: Option<u64>,
}

/// A life on offer.
#[derive(Debug)]
pub struct LifetimeView {
    /// What is sent.
    pub seconds: u64,
    /// What is read.
    pub label: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

impl ConsentView {
    /// The view of a request; `posted` is the form that came back, and what was wrong with it.
    #[must_use]
    pub fn new(
        client: &Client,
        pending: &PendingRequest,
        config: &Config,
        posted: Option<(&Params, &FormError)>,
    ) -> Self {
        let form = posted.map(|(params, _)| params);
        let requested = &pending.requested;
        let limits = limit_views("", &requested.limits, form);
        let life = form.and_then(|form| digits(form.field("expires_in"))).unwrap_or(DEFAULT_LIFETIME_SECONDS);
        Self {
            app: client.name.clone(),
            home_page: client.home_page.clone(),
            destination: DestinationView::of(&pending.redirect_uri),
            permissions: requested
                .permissions
                .iter()
                .enumerate()
                .map(|(index, permission)| PermissionView::new(index, permission, config, form))
                .collect(),
            has_overall_limits: limits.iter().any(|limit| !limit.value.is_empty()),
            limits,
            lifetimes: LIFETIMES_SECONDS
                .iter()
                .map(|&seconds| LifetimeView { seconds, label: format::lifetime(seconds), chosen: seconds == life })
                .collect(),
            error: posted.map(|(_, error)| error.to_string()),
        }
    }
}

impl DestinationView {
    fn of(redirect_uri: &str) -> Self {
        match Destination::of(redirect_uri) {
            Some(Destination::Site(host)) => Self::Site(host),
            Some(Destination::InstalledApp(scheme)) => Self::InstalledApp(scheme),
            // A redirect URI that was registered is one of the three.
            Some(Destination::ThisDevice) | None => Self::ThisDevice(redirect_uri.to_owned()),
        }
    }
}

impl PermissionView {
    fn new(index: usize, permission: &Permission, config: &Config, form: Option<&Params>) -> Self {
        let prefix = format!("p{index}.");
        let ticked = |name: &str, value: &str| {
            form.is_none_or(|form| form.all(&format!("{prefix}{name}")).any(|posted| posted == value))
        };
        let models = permission.models.iter().map(|model| Tick {
            value: model.to_string(),
            label: format::model(model),
            on: ticked("models", model.as_str()),
        });
        let capabilities = permission.capabilities.iter().map(|capability| Tick {
            value: capability.to_string(),
            label: format::label(*capability).to_owned(),
            on: ticked("capabilities", capability.as_str()),
        });
        Self {
            provider: permission.provider.display_name(),
            sentence: format::sentence(permission),
            configured: config.providers.contains(&permission.provider),
            on: form.is_none_or(|form| !form.field(&format!("{prefix}on")).is_empty()),
            models: models.collect(),
            capabilities: capabilities.collect(),
            limits: limit_views(&prefix, &permission.limits, form),
            prefix,
        }
    }
}

fn limit_views(prefix: &str, asked: &Limits, form: Option<&Params>) -> Vec<LimitView> {
    let small = |limit: Option<NonZeroU32>| limit.map(|limit| u64::from(limit.get()));
    [
        ("requests", "Requests in total", asked.requests.map(NonZeroU64::get)),
        ("requests_per_minute", "Requests per minute", small(asked.requests_per_minute)),
        ("concurrency", "Calls at a time", small(asked.concurrency)),
    ]
    .into_iter()
    .map(|(name, label, most)| {
        let name = format!("{prefix}{name}");
        let value = match form {
            Some(form) => form.field(&name).to_owned(),
            None => most.map(|most| most.to_string()).unwrap_or_default(),
        };
        LimitView { name, label, value, most }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked() -> Requested {
        let json = r#"[{"type":"ai_access","provider":"openai","models":["gpt-5","gpt-5.1*"],"capabilities":["chat"],"limits":{"requests":9}}]"#;
        Requested::from_authorization_details(json).unwrap()
    }

    fn form(body: &str) -> Result<Choice, FormError> {
        read(&Params::parse(body.as_bytes()), &asked())
    }

    #[test]
    fn a_form_is_read_field_by_field() {
        let choice =
            form("p0.on=on&p0.models=gpt-5&p0.capabilities=chat&p0.requests=3&requests=2&expires_in=3600").unwrap();
        let [permission] = choice.permissions.as_slice() else { panic!("{choice:?}") };
        assert_eq!(permission.models, [asked().permissions[0].models[0].clone()]);
        assert_eq!(permission.limits.requests.map(NonZeroU64::get), Some(3));
        assert_eq!(choice.limits.requests.map(NonZeroU64::get), Some(2));
        assert_eq!(choice.lifetime_seconds, 3600);
    }

    #[test]
    fn a_permission_that_is_not_ticked_is_not_read() {
        let choice = form("p0.requests=nonsense&expires_in=3600").unwrap();
        assert!(!choice.permissions[0].granted);
    }

    #[test]
    fn a_limit_is_digits_and_nothing_else() {
        for value in
            ["0", "-1", "%2B1", "1.5", "1e1", "ten", "1+1", "0x1", "9007199254740993", "99999999999999999999999"]
        {
            let answer =
                form(&format!("p0.on=on&p0.models=gpt-5&p0.capabilities=chat&expires_in=1&p0.requests={value}"));
            assert_eq!(answer, Err(FormError::NotANumber("requests")), "{value}");
        }
        let answer = form("p0.on=on&expires_in=1&p0.concurrency=4294967296");
        assert_eq!(answer, Err(FormError::NotANumber("calls at a time")), "more than the type holds");
    }

    #[test]
    fn a_limit_that_stands_twice_is_refused() {
        assert_eq!(form("requests=1&requests=1&expires_in=1"), Err(FormError::Twice("requests")));
    }

    proptest! {
        #[test]
        fn no_form_makes_the_reader_panic_or_widens_what_was_asked(body in "(p0\\.(on|models|capabilities|requests)=[a-z0-9*.-]{0,8}&){0,8}expires_in=3600") {
            let Ok(choice) = form(&body) else { return Ok(()) };
            let now = crate::domain::time::Timestamp::from_seconds(1);
            if let Ok(terms) = asked().narrow(&choice, now) {
                prop_assert!(terms.permissions.iter().all(|granted| granted.limits.is_within(&asked().permissions[0].limits)));
                prop_assert!(terms.permissions[0].models.iter().all(|model| asked().permissions[0].models.contains(model)));
            }
        }
    }
}
