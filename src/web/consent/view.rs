//! A request as the page shows it: as asked, or as a person had filled it in.

use super::{
    asked::{self, LeftOutView, PermissionView, Tick, in_words},
    form::{self, FormError},
    held::HeldView,
    plans::{Basis, PlanView},
};
use crate::{
    domain::{
        authorization_details::Requested,
        consent::{ChoiceError, DEFAULT_LIFETIME_SECONDS, Denial, LIFETIMES_SECONDS, Plan, QUESTION_WORDS, Usual},
        id::UserId,
        limits::Limits,
        money::Amount,
        oauth::{
            client::{Client, ClientKind},
            params::Params,
            pending_request::{Asked, PendingRequest},
            redirect_uri::Destination,
            remote_address::RemoteAddress,
        },
    },
    web::{
        format,
        language::Language,
        limits_form::{self, LimitsView, Posted, digits},
        ports::Prices,
        state::Config,
    },
};

/// A form that came back.
#[derive(Clone, Copy, Debug)]
pub struct Filled<'a> {
    /// As it was sent.
    pub params: &'a Params,
    /// What was wrong with it, if something was.
    pub error: Option<&'a FormError>,
}

/// What the page is made of, beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a, P> {
    /// What models cost.
    pub prices: &'a P,
    /// Which providers have a key, and what is fetched.
    pub config: &'a Config,
    /// Who is asked.
    pub person: &'a UserId,
    /// What they chose before.
    pub usual: Option<&'a Usual>,
    /// What the operator allows them for a grant, where they say so.
    pub ceiling: Option<Amount>,
    /// In which language.
    pub language: Language,
}

/// A request as the page shows it.
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
    /// Limits to choose from.
    pub plans: Vec<PlanView>,
    /// Whether one's own are chosen.
    pub is_custom: bool,
    /// What the fields of one's own limits hold, to be sent back.
    pub as_shown: String,
    /// What each plan comes to, to be sent back.
    pub offered: Vec<String>,
    /// What the app asks for over everything, in words.
    pub asked_overall: Vec<String>,
    /// What the operator allows for a grant, where they say so.
    pub ceiling: Option<Amount>,
    /// What is asked, per provider.
    pub permissions: Vec<PermissionView>,
    /// What is asked and can not be granted at all.
    pub left_out: Vec<LeftOutView>,
    /// Over the whole grant.
    pub limits: LimitsView,
    /// Lives on offer.
    pub lifetimes: Vec<LifetimeView>,
    /// What a short question is, where something is said about them.
    pub question: Option<(u64, u64)>,
    /// What the app has already.
    pub held: Vec<HeldView>,
    /// Whether there are usual limits.
    pub has_usual: bool,
    /// Whether the limits shall be remembered.
    pub remembers: bool,
    /// Reasons to deny.
    pub reasons: Vec<Tick>,
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
    /// The view of a request; `filled` is the form that came back.
    #[must_use]
    pub fn new<P: Prices>(
        client: &Client,
        pending: &PendingRequest,
        around: &Around<'_, P>,
        held: Vec<HeldView>,
        filled: Option<Filled<'_>>,
    ) -> Self {
        let Around { prices, config, person, usual, ceiling, language } = *around;
        let posted =
            filled.map(|filled| Posted { params: filled.params, wrong: filled.error.and_then(FormError::field) });
        let (requested, as_asked) = (pending.asked.requested(), pending.asked.as_asked());
        let offers = requested.offers(as_asked, usual, ceiling);
        let proposed = Requested::proposed(&offers);
        let chosen = match filled {
            Some(filled) => form::chosen(filled.params).unwrap_or(Plan::Custom),
            None => proposed.map_or(Plan::Custom, |offer| offer.plan),
        };
        // Which of the two is meant, nobody can tell: what was written is not hidden again.
        let is_doubtful = filled
            .and_then(|filled| filled.error)
            .is_some_and(|error| *error == FormError::Choice(ChoiceError::PlanOrOwn));
        let chosen =
            if is_doubtful || !offers.iter().any(|offer| offer.plan == chosen) { Plan::Custom } else { chosen };
        let numbers = match posted {
            Some(form) => posted_numbers(form.params, requested),
            None => requested.proposed_numbers(usual),
        };
        let life = posted
            .and_then(|form| digits(form.params.field("expires_in")))
            .or_else(|| proposed.map(|offer| offer.lifetime_seconds))
            .unwrap_or(DEFAULT_LIFETIME_SECONDS);
        let mut limits = LimitsView::asked("", &requested.limits, requested.proposed_budget(), posted, language)
            .left_of(&as_asked.limits, &requested.limits);
        if ceiling.is_some() {
            // It would be refused.
            limits.money.none = None;
        }
        if posted.is_none() {
            prefill(&mut limits, proposed.map_or(&requested.limits, |offer| &offer.money), &numbers);
        }
        let plans = Basis { requested, numbers: &numbers, ceiling, prices, language }.plans(&offers, chosen);
        let (permissions, left_out) = asked::beside(as_asked, requested, (config, language), posted);
        let lifetimes: Vec<LifetimeView> = LIFETIMES_SECONDS
            .iter()
            .map(|&seconds| LifetimeView {
                seconds,
                label: format::lifetime(seconds, language),
                chosen: seconds == life,
            })
            .collect();
        Self {
            app: client.name.clone(),
            home_page: client.home_page.clone(),
            origin: OriginView::of(client, &pending.asked, (config, person)),
            destination: match &pending.asked {
                Asked::Redirect(request) => DestinationView::of(&request.redirect_uri),
                Asked::Device { user_code, .. } => DestinationView::OtherDevice(user_code.to_string()),
            },
            question: plans.iter().any(|plan| plan.buys.is_some()).then_some(QUESTION_WORDS),
            plans,
            is_custom: chosen == Plan::Custom,
            as_shown: as_shown(&limits, &lifetimes),
            offered: offers.iter().map(|offer| form::as_offered(offer, ceiling)).collect(),
            asked_overall: in_words(&as_asked.limits, language),
            ceiling,
            permissions,
            left_out,
            limits,
            lifetimes,
            held,
            has_usual: usual.is_some(),
            remembers: match filled {
                Some(filled) => !filled.params.field("remember").is_empty(),
                None => usual.is_some(),
            },
            reasons: Denial::ALL
                .into_iter()
                .map(|reason| Tick {
                    value: reason.as_str().to_owned(),
                    label: language.t(label_of(reason)).to_owned(),
                    on: filled.map_or("", |filled| filled.params.field("reason")) == reason.as_str(),
                })
                .collect(),
            error: filled.and_then(|filled| filled.error).map(|error| error.in_language(language)),
        }
    }
}

impl ConsentView {
    /// Whose name any program on this machine could go by: that of a document whose answers do not go back to it.
    #[must_use]
    pub fn claimable_host(&self) -> Option<&str> {
        match &self.origin {
            OriginView::Document { host, leads_elsewhere: true, .. } => Some(host),
            _ => None,
        }
    }
}

/// A reason to deny: a text of the tables.
pub const fn label_of(reason: Denial) -> &'static str {
    match reason {
        Denial::Unsaid => "No reason",
        Denial::NotNow => "Not now",
        Denial::TooMuchMoney => "Too much money",
        Denial::UnknownApp => "I do not know this app",
        Denial::SomethingElse => "Something else",
    }
}

/// The limits over everything, but for money, that a form holds; what was asked where it holds something that is refused.
fn posted_numbers(params: &Params, requested: &Requested) -> Limits {
    let asked = requested.proposed_numbers(None);
    let posted = limits_form::read_numbers(params, "").map(|posted| posted.or(asked)).ok();
    posted.filter(|posted| posted.is_within(&asked)).unwrap_or(asked)
}

/// Puts the proposal into the fields.
fn prefill(view: &mut LimitsView, money: &Limits, numbers: &Limits) {
    view.money.amount = money.budget_usd.map(|budget| budget.to_string()).unwrap_or_default();
    for period in &mut view.money.periods {
        period.chosen = period.value == money.budget_period.as_str();
    }
    for number in &mut view.numbers {
        let value = match number.name.as_str() {
            "tokens" => numbers.tokens.map(|most| most.to_string()),
            "requests" => numbers.requests.map(|most| most.to_string()),
            "requests_per_minute" => numbers.requests_per_minute.map(|most| most.to_string()),
            "concurrency" => numbers.concurrency.map(|most| most.to_string()),
            _ => None,
        };
        if let Some(value) = value {
            number.value = value;
            number.is_set = true;
        }
    }
}

/// What [`form::own_limits`] says of the form when nobody has touched it.
fn as_shown(limits: &LimitsView, lifetimes: &[LifetimeView]) -> String {
    let period = limits.money.periods.iter().find(|period| period.chosen).or(limits.money.periods.first());
    let none = if limits.money.none == Some(true) { "on" } else { "" };
    let life = lifetimes.iter().find(|life| life.chosen).or(lifetimes.first()).map_or(0, |life| life.seconds);
    format!("{}|{}|{none}|{life}", limits.money.amount, period.map_or("", |period| period.value))
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
