//! The consent form: what it shows of a request, and what a person made of it.
//!
//! | field | |
//! |---|---|
//! | `p0.on`, `p1.on`, … | that permission is granted at all |
//! | `p0.models`, `p0.capabilities` | what stays ticked, once per value |
//! | `expires_in` | life in seconds, one of those on offer |
//!
//! and those of [`super::limits_form`].

use super::{
    format,
    language::Language,
    limits_form::{self, FieldError, LimitsView, Posted, digits},
    state::Config,
};
use crate::domain::{
    authorization_details::Requested,
    consent::{Choice, ChoiceError, DEFAULT_LIFETIME_SECONDS, LIFETIMES_SECONDS, PermissionChoice},
    id::UserId,
    limits::Limits,
    oauth::{
        client::{Client, ClientKind},
        params::Params,
        pending_request::{Asked, PendingRequest},
        redirect_uri::Destination,
        remote_address::RemoteAddress,
    },
    permission::Permission,
    policy::PolicyError,
};

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
    let shown = asked.limits.budget_usd.or_else(|| asked.proposed_budget());
    let (limits, no_money_limit) = limits_form::read_overall(params, shown)?;
    Ok(Choice { permissions, limits, no_money_limit, lifetime_seconds })
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

/// A request as the page shows it: as asked, or as a person had edited it when something was wrong.
#[derive(Debug)]
pub struct ConsentView {
    /// As its developer calls it; nobody verified that.
    pub app: String,
    /// As its developer wrote it.
    pub home_page: Option<String>,
    /// How the broker came to know the app, and so what of it is true.
    pub origin: OriginView,
    /// Where the answer goes.
    pub destination: DestinationView,
    /// What is asked, per provider.
    pub permissions: Vec<PermissionView>,
    /// Over the whole grant.
    pub limits: LimitsView,
    /// Lives on offer.
    pub lifetimes: Vec<LifetimeView>,
    /// What was wrong with the form as posted.
    pub error: Option<String>,
}

/// How the broker came to know the app.
#[derive(Debug, PartialEq, Eq)]
pub enum OriginView {
    /// The deployment brought it along.
    BuiltIn,
    /// The person who is asked registered it.
    ByYou,
    /// Somebody else with an account here did.
    BySomebody,
    /// It registered itself.
    Itself,
    /// Its document says who it is.
    Document {
        /// Where that lies.
        address: String,
        /// Who is verified by that.
        host: String,
        /// Whether the answer goes to another site than that one.
        leads_elsewhere: bool,
    },
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
    /// A device that shows this code (RFC 8628).
    OtherDevice(String),
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
    pub limits: LimitsView,
    /// What stands at its money, which is shown before everything else.
    pub money_label: String,
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
        (config, person, language): (&Config, &UserId, Language),
        posted: Option<(&Params, &FormError)>,
    ) -> Self {
        let form = posted.map(|(params, error)| Posted { params, wrong: error.field() });
        let requested = pending.asked.requested();
        let life = form.and_then(|form| digits(form.params.field("expires_in"))).unwrap_or(DEFAULT_LIFETIME_SECONDS);
        Self {
            app: client.name.clone(),
            home_page: client.home_page.clone(),
            origin: OriginView::of(client, &pending.asked, (config, person)),
            destination: match &pending.asked {
                Asked::Redirect(request) => DestinationView::of(&request.redirect_uri),
                Asked::Device { user_code, .. } => DestinationView::OtherDevice(user_code.to_string()),
            },
            permissions: requested
                .permissions
                .iter()
                .enumerate()
                .map(|(index, permission)| {
                    PermissionView::new((index, requested.permissions.len()), permission, (config, language), form)
                })
                .collect(),
            limits: LimitsView::asked("", &requested.limits, requested.proposed_budget(), form, language),
            lifetimes: LIFETIMES_SECONDS
                .iter()
                .map(|&seconds| LifetimeView {
                    seconds,
                    label: format::lifetime(seconds, language),
                    chosen: seconds == life,
                })
                .collect(),
            error: posted.map(|(_, error)| error.to_string()),
        }
    }
}

impl OriginView {
    fn of(client: &Client, asked: &Asked, (config, person): (&Config, &UserId)) -> Self {
        match &client.kind {
            ClientKind::Registered(None) => Self::BuiltIn,
            ClientKind::Registered(Some(owner)) if owner == person => Self::ByYou,
            ClientKind::Registered(Some(_)) => Self::BySomebody,
            ClientKind::Dynamic(_) => Self::Itself,
            ClientKind::Document { .. } => {
                let address = RemoteAddress::parse(client.id.as_str(), config.registration.reach);
                Self::Document {
                    host: address.as_ref().map_or_else(|_| client.id.to_string(), RemoteAddress::host),
                    leads_elsewhere: match (asked, &address) {
                        (Asked::Redirect(request), Ok(address)) => !address.is_same_origin(&request.redirect_uri),
                        (Asked::Redirect(_), Err(_)) => true,
                        (Asked::Device { .. }, _) => false,
                    },
                    address: client.id.to_string(),
                }
            }
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
    fn new(
        (index, count): (usize, usize),
        permission: &Permission,
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
        let sentence = format::sentence(permission, language);
        Self {
            provider: permission.provider.display_name(),
            money_label: format::money_label(&sentence, count, language),
            sentence,
            configured: config.providers.contains(&permission.provider),
            on: form.is_none_or(|form| !form.params.field(&format!("{prefix}on")).is_empty()),
            models: models.collect(),
            capabilities: capabilities.collect(),
            limits: LimitsView::asked(&prefix, &permission.limits, None, form, language),
            prefix,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU64;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{limits::Period, money::Amount, time::Timestamp};

    fn asked() -> Requested {
        let json = r#"[{"type":"ai_access","provider":"openai","models":["gpt-5","gpt-5.1*"],"capabilities":["chat"],
            "limits":{"requests":9,"budget_usd":"2.50","budget_period":"month"}},
            {"type":"ai_access","provider":"anthropic","models":["*"],"capabilities":["chat"]}]"#;
        Requested::from_authorization_details(json).unwrap()
    }

    fn form(body: &str) -> Result<Choice, FormError> {
        read(&Params::parse(body.as_bytes()), &asked())
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
        let names =
            "(p[01]\\.)?(on|models|capabilities|requests|tokens|concurrency|budget_usd|budget_period|no_budget)";
        let values = prop_oneof![
            Just("on".to_owned()),
            Just("gpt-5".to_owned()),
            Just("*".to_owned()),
            Just("chat".to_owned()),
            Just("total".to_owned()),
            Just("month".to_owned()),
            Just("day".to_owned()),
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
            let choice = read(&Params::parse(body.as_bytes()), &asked).unwrap();
            let terms = asked.narrow(&choice, Timestamp::from_seconds(1)).unwrap();
            prop_assert_eq!(terms.permissions[0].limits, asked.permissions[0].limits);
            prop_assert_eq!(terms.limits.budget_usd, asked.limits.budget_usd.or_else(|| asked.proposed_budget()));
        }
    }
}
