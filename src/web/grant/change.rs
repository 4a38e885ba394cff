//! Changes of a grant: other limits, another end, a pause.
//!
//! A change goes to the ledger first, which every call asks, and then to the row, which tells the app: where that fails, the person is
//! asked to save again. What allows more may need a person who proves that it is them ([`proof`]).

use axum::{
    body::Body,
    extract::Path,
    http::{Response, StatusCode},
};

use super::{
    calls,
    end_form::{self, EndFormError},
    own_grant,
    page::{GrantPage, prefix, read},
    query::Asked,
    read_ledger, words,
};
use crate::{
    domain::{
        audit::Event,
        grant::{Grant, Terms},
        ledger::{Change, Refusal},
        limits::Limits,
        money::Amount,
        oauth::params::Params,
        risk::{Risk, WorstCase},
    },
    web::{
        allowance, audit,
        frame::Frame,
        grants::terms_of,
        language::Language,
        limits_form::{self, FieldError, Posted, digits},
        page::{see_other, with_script},
        ports::Ports,
        proof,
        session::OwnForm,
        state::{AppState, LogDetail},
        trouble::Trouble,
        visitor::Visitor,
    },
};

/// How often a change is tried that is meant whatever else holds.
const ATTEMPTS: usize = 5;

/// Why a change was not made, or not whole.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    End(#[from] EndFormError),
    #[error("money is left open")]
    MoneyOpen,
    #[error("the form does not fit")]
    DoesNotFit,
    #[error("changed elsewhere")]
    ChangedElsewhere,
    #[error("the grant has ended")]
    Ended,
    #[error("beyond the ceiling of {0} USD")]
    BeyondCeiling(Amount),
    #[error("allows more, and it isn't known who asks")]
    ConfirmFirst(Risk),
    #[error("unreadable: {0}")]
    Unreadable(String),
    #[error("unconfirmed: {0}")]
    Unconfirmed(String),
    #[error("not noted: {0}")]
    NotNoted(String),
}

impl ChangeError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Field(_) | Self::End(_) | Self::MoneyOpen | Self::DoesNotFit | Self::BeyondCeiling(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::ConfirmFirst(_) => StatusCode::FORBIDDEN,
            Self::ChangedElsewhere | Self::Ended => StatusCode::CONFLICT,
            Self::Unreadable(_) | Self::Unconfirmed(_) | Self::NotNoted(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For the person.
    fn text(&self, language: Language) -> String {
        let text = match self {
            Self::Field(error) => return error.text(language),
            Self::End(error) => error.text(language),
            Self::MoneyOpen => {
                language.t("say how much money may be spent, or tick \u{201c}No money limit\u{201d}")
            }
            Self::DoesNotFit => language.t("the form does not fit this grant; load the page again"),
            Self::ChangedElsewhere => language.t(
                "the limits were changed elsewhere since you opened this page; look at what holds now, and save again if you like",
            ),
            Self::Ended => language.t("the grant has ended"),
            Self::BeyondCeiling(most) => {
                return language.with("your operator allows at most {0} USD for each grant", &[most]);
            }
            Self::ConfirmFirst(_) => language.t("first confirm that it is you"),
            Self::Unreadable(_) => language
                .t("what holds now can not be read at the moment, so nothing was changed; try again in a moment"),
            Self::Unconfirmed(_) => language
                .t("the answer to the change got lost, so it may hold or not; load the page again to see"),
            Self::NotNoted(_) => language.t(
                "it holds from the next call on, but could not be noted everywhere yet, so the app is told the old limits; save again",
            ),
        };
        text.to_owned()
    }

    /// The field that is wrong, if it is one.
    fn field(&self) -> Option<&str> {
        match self {
            Self::Field(error) => Some(&error.field),
            Self::MoneyOpen | Self::BeyondCeiling(_) => Some("budget_usd"),
            Self::End(_) => Some("end"),
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

/// What held, and what holds now.
struct Changed {
    before: Terms,
    after: Terms,
}

/// `POST /grants/{grant_id}`: other limits.
///
/// # Errors
/// No such grant of this person, or the database can't answer. What else goes wrong stands on the page, with the form as filled in.
pub async fn save<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &form.visitor, &id).await?;
    let changed = change(&state, &form.visitor, &grant, |terms| read_limits(&form.params, terms)).await;
    let params = Some(&form.params);
    Ok(answer(&state, &form, &grant, Event::LimitsChanged, changed, ("saved", params)).await)
}

/// `POST /grants/{grant_id}/end`: ends later, or sooner. Tokens that were issued keep their own end; the next ones follow.
///
/// # Errors
/// As [`save`].
pub async fn end<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &form.visitor, &id).await?;
    let to = |terms: &Terms| {
        let latest = end_form::latest(&grant, terms.expires_at, state.now);
        let chosen = end_form::read(&form.params, latest, state.now)?;
        if chosen.shown != terms.expires_at {
            return Err(ChangeError::ChangedElsewhere);
        }
        Ok(Change { expires_at: chosen.at, ..Change::nothing_of(terms) })
    };
    let changed = change_whatever_else_holds(&state, &form.visitor, &grant, to).await;
    let params = Some(&form.params);
    Ok(answer(&state, &form, &grant, Event::GrantExtended, changed, ("ended", params)).await)
}

/// `POST /grants/{grant_id}/pause`.
///
/// # Errors
/// As [`save`].
pub async fn pause<P: Ports>(
    state: AppState<P>,
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
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    set_paused(&state, &id, form, false).await
}

async fn set_paused<P: Ports>(
    state: &AppState<P>,
    id: &str,
    form: OwnForm,
    paused: bool,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(state, &form.visitor, id).await?;
    let to = |terms: &Terms| Ok(Change { paused, ..Change::nothing_of(terms) });
    let changed = change_whatever_else_holds(state, &form.visitor, &grant, to).await;
    let (event, said) = if paused { (Event::GrantPaused, "paused") } else { (Event::GrantResumed, "resumed") };
    Ok(answer(state, &form, &grant, event, changed, (said, None)).await)
}

/// The page again, which says what became of it; what was changed is noted.
async fn answer<P: Ports>(
    state: &AppState<P>,
    form: &OwnForm,
    grant: &Grant,
    event: Event,
    changed: Result<Changed, ChangeError>,
    (said, params): (&str, Option<&Params>),
) -> Response<Body> {
    match changed {
        Ok(Changed { before, after }) => {
            let answer = see_other(&format!("/grants/{}?{said}", grant.id));
            if before == after {
                return answer;
            }
            let detail = words::difference(&before, &after);
            let entry = audit::entry(state, &form.visitor, event).grant(&grant.id).subject(&grant.client_name);
            audit::note(state, &form.frame, entry.detail(&detail), answer).await
        }
        Err(ChangeError::ConfirmFirst(risk)) => {
            let deed = if event == Event::GrantExtended { "/end" } else { "" };
            proof::ask(&form.frame, &format!("/grants/{}{deed}", grant.id), &form.params, &risk)
        }
        Err(error) => refused(state, form.frame.clone(), grant, &error, params).await,
    }
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
    let found = read(state, grant).await;
    let calls = calls::read(state, &grant.id, &Asked::default(), found.requests_used(), frame.language).await;
    let mut page = GrantPage::new(frame.clone(), grant, &found, posted, state.now).with_calls(calls);
    page.error = Some(error.text(frame.language));
    let mut response = with_script(frame.html(error.status(), &page));
    if let Some(detail) = error.detail() {
        response.extensions_mut().insert(LogDetail(detail.to_owned()));
    }
    response
}

/// Changes what holds: the ledger first, then the row.
async fn change<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    grant: &Grant,
    to: impl FnOnce(&Terms) -> Result<Change, ChangeError> + Send,
) -> Result<Changed, ChangeError> {
    let snapshot = read_ledger(state, &grant.id).await.map_err(ChangeError::Unreadable)?;
    let before = terms_of(grant, Some(&snapshot)).clone();
    let change = to(&before)?;
    let told = allowance::tell_grant(state, &grant.id, &before).await;
    told.map_err(|error| ChangeError::Unreadable(error.0))?;
    if let Some(case) = WorstCase::of_change(&change, &before, state.now) {
        let deed = format!("{} {}", grant.id, before.revision);
        let risk = proof::may_allow(state, visitor, &deed, &case).await;
        if let Some(risk) = risk.map_err(|error| ChangeError::Unreadable(error.0))? {
            return Err(ChangeError::ConfirmFirst(risk));
        }
    }
    let answer = state.ports.change_ledger(&grant.id, change.clone()).await;
    let after = answer.map_err(|error| ChangeError::Unconfirmed(error.0))?.map_err(|refusal| match refusal {
        Refusal::Revoked | Refusal::Expired => ChangeError::Ended,
        Refusal::BeyondCeiling(most) => ChangeError::BeyondCeiling(most),
        _ => ChangeError::DoesNotFit,
    })?;
    if !change.holds_in(&after) {
        return Err(ChangeError::ChangedElsewhere);
    }
    state.ports.note_terms(&grant.id, &after).await.map_err(|error| ChangeError::NotNoted(error.0))?;
    Ok(Changed { before, after })
}

/// The same, again where something else was changed meanwhile that this says nothing of.
async fn change_whatever_else_holds<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    grant: &Grant,
    to: impl Fn(&Terms) -> Result<Change, ChangeError> + Send + Sync,
) -> Result<Changed, ChangeError> {
    let mut changed = change(state, visitor, grant, &to).await;
    for _ in 1..ATTEMPTS {
        if !matches!(changed, Err(ChangeError::ChangedElsewhere)) {
            break;
        }
        changed = change(state, visitor, grant, &to).await;
    }
    changed
}

/// What the form of limits makes of the terms.
fn read_limits(params: &Params, terms: &Terms) -> Result<Change, ChangeError> {
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
    Ok(Change { limits, permissions, ..Change::nothing_of(terms) })
}
