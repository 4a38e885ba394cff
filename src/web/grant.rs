//! `/grants/{grant_id}`: one grant, what it used call by call, and everything that its owner can do about it.
//!
//! What is shown is what the ledger enforces. A change goes to the ledger first, which every call asks, and then to the row, which
//! tells the app: where that fails, the person is asked to save again. The grant is its owner's, and so is the money: limits can be
//! raised above what the app asked for.

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, RawQuery, State},
    http::{Response, StatusCode},
};

use super::{
    allowance,
    ending::end_grant,
    format::{Round, money_label, sentence, thousands, usd},
    frame::Frame,
    grants::{LastUse, host_of, terms_of},
    language::{Language, Moment, filters},
    limits_form::{self, FieldError, LimitsView, Posted, digits},
    page::see_other,
    ports::{Booking, Ports},
    session::{OwnForm, SignedIn},
    state::{AppState, LogDetail},
    trouble::Trouble,
    usage::GrantUsage,
    visitor::Visitor,
};
use crate::domain::{
    grant::{Grant, Terms},
    id::GrantId,
    ledger::{Basis, Change, Refusal, Snapshot},
    limits::Limits,
    money::{Amount, NanoUsd},
    oauth::{client::Client, params::Params},
    time::Timestamp,
};

/// How often a pause is tried where the limits change meanwhile.
const PAUSE_ATTEMPTS: usize = 5;
/// Most bookings on the page.
const MAX_BOOKINGS: u32 = 50;

#[derive(Template)]
#[template(path = "grant.html")]
struct GrantPage {
    frame: Frame,
    id: String,
    app: String,
    host: String,
    created: Moment,
    expires: Moment,
    last_used: LastUse,
    state: StateView,
    notice: Option<&'static str>,
    error: Option<String>,
    /// What the operator allows for it over its life, where they say so.
    ceiling: Option<Amount>,
    usage: GrantUsage,
    is_usage_known: bool,
    /// `None`: nothing can be changed.
    form: Option<FormView>,
    /// `None`: they can't be read.
    bookings: Option<Vec<BookingView>>,
}

enum StateView {
    Active,
    Paused,
    Revoked(Moment),
    Expired,
}

/// The limits to edit.
struct FormView {
    /// Of the terms that are shown: what was changed elsewhere meanwhile is not overwritten unseen.
    revision: u64,
    overall: LimitsView,
    permissions: Vec<EditablePermission>,
}

/// A permission's limits to edit.
struct EditablePermission {
    sentence: String,
    money_label: String,
    limits: LimitsView,
}

struct BookingView {
    at: Moment,
    /// The model, or what else it was.
    what: String,
    endpoint: String,
    tokens: String,
    cost: String,
    status: String,
    basis: &'static str,
    is_at_most: bool,
}

/// Why a change was not made, or not whole. The text is for the person.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error("say how much money may be spent, or tick \u{201c}No money limit\u{201d}")]
    MoneyOpen,
    #[error("the form does not fit this grant; load the page again")]
    DoesNotFit,
    #[error(
        "the limits were changed elsewhere since you opened this page; look at what holds now, and save again if you like"
    )]
    ChangedElsewhere,
    #[error("the grant has ended")]
    Ended,
    #[error("your operator allows at most {0} USD for each grant")]
    BeyondCeiling(Amount),
    #[error("what holds now can not be read at the moment, so nothing was changed; try again in a moment")]
    Unreadable(String),
    #[error("the answer to the change got lost, so it may hold or not; load the page again to see")]
    Unconfirmed(String),
    #[error(
        "it holds from the next call on, but could not be noted everywhere yet, so the app is told the old limits; save again"
    )]
    NotNoted(String),
}

impl ChangeError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Field(_) | Self::MoneyOpen | Self::DoesNotFit | Self::BeyondCeiling(_) => StatusCode::BAD_REQUEST,
            Self::ChangedElsewhere | Self::Ended => StatusCode::CONFLICT,
            Self::Unreadable(_) | Self::Unconfirmed(_) | Self::NotNoted(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The field that is wrong, if it is one.
    fn field(&self) -> Option<&str> {
        match self {
            Self::Field(error) => Some(&error.field),
            Self::MoneyOpen | Self::BeyondCeiling(_) => Some("budget_usd"),
            _ => None,
        }
    }

    /// For the log.
    fn detail(&self) -> Option<&str> {
        match self {
            Self::Unreadable(detail) | Self::Unconfirmed(detail) | Self::NotNoted(detail) => Some(detail),
            _ => None,
        }
    }
}

/// `GET /grants/{grant_id}`.
///
/// # Errors
/// No such grant of this person, or the database can't answer.
pub async fn show<P: Ports>(
    State(state): State<AppState<P>>,
    Path(id): Path<String>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &visitor, &id).await?;
    let mut page = page(&state, frame.clone(), &grant, None).await;
    page.notice = match query.as_deref() {
        Some("saved") => Some("Saved. It holds from the next call on."),
        Some("paused") => Some("Paused. Every call is refused until you resume it."),
        Some("resumed") => Some("Resumed. The app can call again."),
        _ => None,
    };
    Ok(frame.html(StatusCode::OK, &page))
}

/// `POST /grants/{grant_id}`: other limits.
///
/// # Errors
/// No such grant of this person, or the database can't answer. What else goes wrong stands on the page, with the form as filled in.
pub async fn save<P: Ports>(
    State(state): State<AppState<P>>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    let grant = own_grant(&state, &visitor, &id).await?;
    match change(&state, &grant, |terms| read_change(&params, terms)).await {
        Ok(()) => Ok(see_other(&format!("/grants/{}?saved", grant.id))),
        Err(error) => Ok(refused(&state, frame, &grant, &error, Some(&params)).await),
    }
}

/// `POST /grants/{grant_id}/pause`.
///
/// # Errors
/// As [`save`].
pub async fn pause<P: Ports>(
    State(state): State<AppState<P>>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    set_paused(&state, &id, form, true).await
}

/// `POST /grants/{grant_id}/resume`.
///
/// # Errors
/// As [`save`].
pub async fn resume<P: Ports>(
    State(state): State<AppState<P>>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    set_paused(&state, &id, form, false).await
}

/// `POST /grants/{grant_id}/revoke`: when this answers, the app's next call is refused.
///
/// # Errors
/// No such grant of this person, or the ledger or database can't answer.
pub async fn revoke<P: Ports>(
    State(state): State<AppState<P>>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &form.visitor, &id).await?;
    end_grant(&state, &grant.id).await?;
    Ok(see_other("/grants?revoked"))
}

/// One answer for a grant that isn't there and one that is somebody else's.
async fn own_grant<P: Ports>(state: &AppState<P>, visitor: &Visitor, id: &str) -> Result<Grant, Trouble> {
    let id: GrantId = id.parse().map_err(|_| Trouble::not_found())?;
    let grant = state.ports.find_grant(&id).await?;
    grant.filter(|grant| grant.user_id == visitor.user.id).ok_or_else(Trouble::not_found)
}

async fn set_paused<P: Ports>(
    state: &AppState<P>,
    id: &str,
    OwnForm { visitor, frame, .. }: OwnForm,
    paused: bool,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(state, &visitor, id).await?;
    let limits = |terms: &Terms| terms.limits_of_permissions().copied().collect();
    let to = |terms: &Terms| {
        Ok(Change { limits: terms.limits, permissions: limits(terms), paused, revision: Some(terms.revision) })
    };
    let mut changed = change(state, &grant, to).await;
    for _ in 1..PAUSE_ATTEMPTS {
        // Whatever limits hold, a pause is meant.
        if !matches!(changed, Err(ChangeError::ChangedElsewhere)) {
            break;
        }
        changed = change(state, &grant, to).await;
    }
    match changed {
        Ok(()) => Ok(see_other(&format!("/grants/{}?{}", grant.id, if paused { "paused" } else { "resumed" }))),
        Err(error) => Ok(refused(state, frame, &grant, &error, None).await),
    }
}

/// Changes what holds: the ledger first, then the row.
async fn change<P: Ports>(
    state: &AppState<P>,
    grant: &Grant,
    to: impl FnOnce(&Terms) -> Result<Change, ChangeError> + Send,
) -> Result<(), ChangeError> {
    let snapshot = read_ledger(state, &grant.id).await.map_err(ChangeError::Unreadable)?;
    let terms = terms_of(grant, Some(&snapshot));
    let change = to(terms)?;
    let told = allowance::tell_grant(state, &grant.id, terms).await;
    told.map_err(|error| ChangeError::Unreadable(error.0))?;
    let answer = state.ports.change_ledger(&grant.id, change.clone()).await;
    let terms = answer.map_err(|error| ChangeError::Unconfirmed(error.0))?.map_err(|refusal| match refusal {
        Refusal::Revoked | Refusal::Expired => ChangeError::Ended,
        Refusal::BeyondCeiling(most) => ChangeError::BeyondCeiling(most),
        _ => ChangeError::DoesNotFit,
    })?;
    if !holds(&change, &terms) {
        return Err(ChangeError::ChangedElsewhere);
    }
    state.ports.note_terms(&grant.id, &terms).await.map_err(|error| ChangeError::NotNoted(error.0))
}

/// Whether the terms are what the change makes of them.
fn holds(change: &Change, terms: &Terms) -> bool {
    (change.limits, change.paused) == (terms.limits, terms.paused)
        && terms.limits_of_permissions().eq(&change.permissions)
}

async fn read_ledger<P: Ports>(state: &AppState<P>, id: &GrantId) -> Result<Snapshot, String> {
    let answer = state.ports.read_ledgers(core::slice::from_ref(id)).await.pop();
    answer.ok_or_else(|| "no answer".to_owned())?.map_err(|error| error.0)
}

/// What the form makes of the terms.
fn read_change(params: &Params, terms: &Terms) -> Result<Change, ChangeError> {
    let revision = digits(params.field("revision")).ok_or(ChangeError::DoesNotFit)?;
    let (limits, no_money_limit) = limits_form::read_overall(params, terms.limits.budget_usd)?;
    let permissions = (0..terms.permissions.len())
        .map(|index| limits_form::read(params, &prefix(index)))
        .collect::<Result<Vec<Limits>, _>>()?;
    if Limits::leave_money_open(&limits, &permissions) && !no_money_limit {
        return Err(ChangeError::MoneyOpen);
    }
    if revision != terms.revision {
        return Err(ChangeError::ChangedElsewhere);
    }
    Ok(Change { limits, permissions, paused: terms.paused, revision: Some(revision) })
}

fn prefix(permission: usize) -> String {
    format!("p{permission}.")
}

/// The page again, with what went wrong and the form as filled in.
async fn refused<P: Ports>(
    state: &AppState<P>,
    frame: Frame,
    grant: &Grant,
    error: &ChangeError,
    params: Option<&Params>,
) -> Response<Body> {
    let posted = params.map(|params| Posted { params, wrong: error.field() });
    let mut page = page(state, frame.clone(), grant, posted).await;
    page.error = Some(error.to_string());
    let mut response = frame.html(error.status(), &page);
    if let Some(detail) = error.detail() {
        response.extensions_mut().insert(LogDetail(detail.to_owned()));
    }
    response
}

/// The page. What can't be read is said on it and hides nothing else.
async fn page<P: Ports>(state: &AppState<P>, frame: Frame, grant: &Grant, posted: Option<Posted<'_>>) -> GrantPage {
    let snapshot = read_ledger(state, &grant.id).await.ok();
    let client = state.ports.find_client(&grant.client_id).await.ok().flatten();
    let bookings = state.ports.list_bookings(&grant.id, MAX_BOOKINGS).await.ok();
    GrantPage::new(frame, grant, client.as_ref(), snapshot.as_ref(), posted, state.now)
        .with_bookings(bookings.as_deref(), state.now)
}

impl GrantPage {
    fn new(
        frame: Frame,
        grant: &Grant,
        client: Option<&Client>,
        snapshot: Option<&Snapshot>,
        posted: Option<Posted<'_>>,
        now: Timestamp,
    ) -> Self {
        let language = frame.language;
        let terms = terms_of(grant, snapshot);
        let used = snapshot.cloned().unwrap_or_default();
        let state = StateView::of(grant, terms, snapshot, now);
        // Without the ledger nothing can be saved; what was filled in must not be lost by that.
        let is_editable = state.is_live() && (snapshot.is_some() || posted.is_some());
        Self {
            id: grant.id.to_string(),
            app: grant.client_name.clone(),
            host: host_of(client),
            created: Moment::new(grant.created_at, now),
            expires: Moment::new(terms.expires_at, now),
            last_used: LastUse::of(snapshot, now),
            notice: None,
            error: None,
            ceiling: terms.ceiling.filter(|_| terms.account.is_some()),
            usage: GrantUsage::new(terms, &used, now, language),
            is_usage_known: snapshot.is_some(),
            form: is_editable.then(|| FormView::new(terms, posted, language)),
            bookings: None,
            frame,
            state,
        }
    }

    fn with_bookings(mut self, bookings: Option<&[Booking]>, now: Timestamp) -> Self {
        self.bookings = bookings.map(|all| all.iter().map(|booking| BookingView::new(booking, now)).collect());
        self
    }

    fn shows_at_most(&self) -> bool {
        self.bookings.iter().flatten().any(|booking| booking.is_at_most)
    }
}

impl StateView {
    fn of(grant: &Grant, terms: &Terms, snapshot: Option<&Snapshot>, now: Timestamp) -> Self {
        // The row says when; the ledger knows first.
        match grant.revoked_at.or_else(|| snapshot.and_then(|snapshot| snapshot.revoked_at)) {
            Some(at) => Self::Revoked(Moment::new(at, now)),
            None if now >= terms.expires_at => Self::Expired,
            None if terms.paused => Self::Paused,
            None => Self::Active,
        }
    }

    const fn is_live(&self) -> bool {
        matches!(self, Self::Active | Self::Paused)
    }
}

impl FormView {
    fn new(terms: &Terms, posted: Option<Posted<'_>>, language: Language) -> Self {
        let is_open = Limits::leave_money_open(&terms.limits, terms.limits_of_permissions());
        let permissions = terms.permissions.iter().enumerate().map(|(index, permission)| {
            let sentence = sentence(permission, language);
            let limits = LimitsView::current(&prefix(index), &permission.limits, posted, language);
            EditablePermission {
                money_label: money_label(&sentence, terms.permissions.len(), language),
                sentence,
                limits,
            }
        });
        Self {
            revision: terms.revision,
            overall: LimitsView::current("", &terms.limits, posted, language).with_no_money_limit(is_open, posted),
            permissions: permissions.collect(),
        }
    }
}

impl BookingView {
    fn new(booking: &Booking, now: Timestamp) -> Self {
        let (basis, is_at_most) = match booking.basis {
            Basis::Usage if booking.cost == NanoUsd::ZERO && booking.tokens == 0 => ("nothing was billed", false),
            Basis::Usage => ("as the provider counted", false),
            Basis::Bound => ("at most: the provider did not say", true),
            Basis::Overdue => ("at most: nobody reported how it ended", true),
            Basis::Unaccounted => ("at most: set aside for calls that a crash made doubtful", true),
            Basis::Released => ("nothing was billed", false),
        };
        let provider = booking.provider.map_or("a provider", |provider| provider.display_name());
        let what = match (booking.basis, booking.model.as_str()) {
            (Basis::Unaccounted, "") => "Calls that a crash made doubtful".to_owned(),
            (_, "") => format!("Models of {provider}"),
            (_, model) => model.to_owned(),
        };
        let said = booking.input_tokens > 0 || booking.output_tokens > 0;
        Self {
            at: Moment::new(booking.reserved_at, now),
            what,
            endpoint: booking.endpoint.clone(),
            tokens: match (said, booking.tokens) {
                (true, _) => format!(
                    "{} tokens read, {} written",
                    thousands(booking.input_tokens),
                    thousands(booking.output_tokens)
                ),
                (false, 0) => String::new(),
                (false, tokens) if is_at_most => format!("at most {} tokens", thousands(tokens)),
                (false, tokens) => format!("{} tokens", thousands(tokens)),
            },
            cost: format!("{}{} USD", if is_at_most { "at most " } else { "" }, usd(booking.cost, Round::Up)),
            status: match booking.status {
                0 => "no answer".to_owned(),
                status => format!("answered {status}"),
            },
            basis,
            is_at_most,
        }
    }
}
