//! A request as the page shows it: as asked, or as a person had filled it in.

use super::{
    asked::{self, LeftOutView, PermissionView, Tick, in_words},
    form::{self, FormError},
    held::HeldView,
};
use crate::{
    domain::{
        authorization_details::Requested,
        consent::{
            ChoiceError, DEFAULT_LIFETIME_SECONDS, Denial, LIFETIMES_SECONDS, Offer, Plan, QUESTION_TOKENS,
            QUESTION_WORDS, Usual, questions,
        },
        id::UserId,
        limits::{Limits, Period},
        money::{Amount, NanoUsd},
        oauth::{
            client::{Client, ClientKind},
            params::Params,
            pending_request::{Asked, PendingRequest},
            redirect_uri::Destination,
            remote_address::RemoteAddress,
        },
        permission::{Capability, Permission},
    },
    web::{
        format,
        language::Language,
        limits_form::{LimitsView, Posted, digits},
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
    /// What the usual limits come to, to be sent back.
    pub usual_as_shown: String,
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

/// Limits to choose.
#[derive(Debug)]
pub struct PlanView {
    /// What is sent.
    pub value: &'static str,
    /// Its name: a text of the tables.
    pub label: &'static str,
    /// What it comes to.
    pub terms: String,
    /// What that roughly buys, where somebody knows.
    pub buys: Option<String>,
    /// Whether it is chosen.
    pub chosen: bool,
    /// Whether it is less than what the person chose before.
    pub is_lowered: bool,
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
        let offers = requested.offers(usual, ceiling);
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
            prefill(&mut limits, proposed.map_or(&requested.limits, |offer| &offer.money), usual, &requested.limits);
        }
        let questions = priced_questions(prices, &requested.permissions);
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
            question: questions.as_ref().map(|_| QUESTION_WORDS),
            plans: offers.iter().map(|offer| PlanView::new(offer, chosen, questions.as_ref(), language)).collect(),
            is_custom: chosen == Plan::Custom,
            as_shown: as_shown(&limits, &lifetimes),
            usual_as_shown: form::usual_as_shown(&offers),
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

/// Puts the proposal into the fields, and what the person is used to where the app asks for nothing tighter.
fn prefill(view: &mut LimitsView, money: &Limits, usual: Option<&Usual>, asked: &Limits) {
    view.money.amount = money.budget_usd.map(|budget| budget.to_string()).unwrap_or_default();
    for period in &mut view.money.periods {
        period.chosen = period.value == money.budget_period.as_str();
    }
    let numbers = |limits: &Limits| Limits { budget_usd: None, budget_period: Period::Total, ..*limits };
    let Some(usual) = usual.map(|usual| numbers(&usual.limits).or(numbers(asked))) else { return };
    if !usual.is_within(&numbers(asked)) {
        return;
    }
    for number in &mut view.numbers {
        let value = match number.name.as_str() {
            "tokens" => usual.tokens.map(|most| most.to_string()),
            "requests" => usual.requests.map(|most| most.to_string()),
            "requests_per_minute" => usual.requests_per_minute.map(|most| most.to_string()),
            "concurrency" => usual.concurrency.map(|most| most.to_string()),
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

/// What a short question costs with the cheapest and with the dearest model that is named; the same where there is one.
struct PricedQuestions {
    cheapest: (String, NanoUsd),
    dearest: (String, NanoUsd),
}

fn priced_questions(prices: &impl Prices, permissions: &[Permission]) -> Option<PricedQuestions> {
    let mut questions: Vec<(String, NanoUsd)> = permissions
        .iter()
        .filter(|permission| permission.capabilities.contains(&Capability::Chat))
        .flat_map(|permission| permission.models.iter().map(|model| (permission.provider, model.as_str())))
        .filter_map(|(provider, model)| {
            // Of a family, the model that it is named after.
            let model = model.trim_end_matches('*');
            let cost = prices.price(provider, model, QUESTION_TOKENS)?;
            (cost > NanoUsd::ZERO).then(|| (model.to_owned(), cost))
        })
        .collect();
    questions.sort_by(|one, other| one.1.cmp(&other.1).then_with(|| one.0.cmp(&other.0)));
    Some(PricedQuestions { dearest: questions.last()?.clone(), cheapest: questions.into_iter().next()? })
}

impl PricedQuestions {
    fn in_words(&self, budget: Amount, of: Period, language: Language) -> Option<String> {
        let count = |(model, cost): &(String, NanoUsd)| {
            let count = questions(budget.nano_usd(), *cost)?;
            (count > 0).then(|| (format::thousands(count), model.clone()))
        };
        let (many, cheapest) = count(&self.cheapest)?;
        let text = match count(&self.dearest).filter(|(_, dearest)| *dearest != cheapest) {
            Some((few, dearest)) => language
                .with("about {0} short questions with {1}, or {2} with {3}", &[&many, &cheapest, &few, &dearest]),
            None => language.with("about {0} short questions with {1}", &[&many, &cheapest]),
        };
        Some(match of {
            Period::Total => text,
            Period::Month => language.with("each month {0}", &[&text]),
            Period::Day => language.with("each day {0}", &[&text]),
        })
    }
}

impl PlanView {
    fn new(offer: &Offer, chosen: Plan, questions: Option<&PricedQuestions>, language: Language) -> Self {
        let life = format::lifetime(offer.lifetime_seconds, language);
        let Limits { budget_usd, budget_period, .. } = offer.money;
        Self {
            value: offer.plan.as_str(),
            label: match offer.plan {
                Plan::Usual => "Your usual limits",
                Plan::Try => "Try it",
                Plan::Week => "A week",
                Plan::Asked => "As the app asked",
                Plan::Custom => "Your own limits",
            },
            terms: match budget_usd {
                Some(budget) => language.with("{0}, for {1}", &[&format::per(budget, budget_period, language), &life]),
                None => language.with("money limited for each provider, for {0}", &[&life]),
            },
            buys: budget_usd.and_then(|budget| questions?.in_words(budget, budget_period, language)),
            chosen: offer.plan == chosen,
            is_lowered: offer.is_lowered,
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
