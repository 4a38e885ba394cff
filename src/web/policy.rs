//! `/settings/policy`: what members may hand on. For operators.
//!
//! What is saved goes to the database first, from which ledgers start, and then to the ledger of every member's account that has started:
//! when a save answers without saying otherwise, it holds for the next call of each of them. Whoever was not told is told by the hour's
//! clean-up, and at the button on the page, which says so until all are; and learns it in any case once what they know is old
//! ([`PolicyAge`](crate::domain::policy_age::PolicyAge)).

use askama::Template;
use axum::{
    body::Body,
    extract::RawQuery,
    http::{Response, StatusCode},
};
use futures_util::future::join_all;

use super::{
    audit, confirm,
    frame::Frame,
    language::{Text, filters},
    page::see_other,
    policy_form::{self, PolicyFormError, PolicyView},
    ports::{Ports, StoreError, Write},
    session::{OwnForm, SignedIn},
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    audit::Event,
    policy::{Policed, Policy},
    time::Timestamp,
};

/// Where it is.
pub const PATH: &str = "/settings/policy";
/// Most ledgers that are told in one go: the platform lets a request make 50 of its own.
const TOLD_AT_ONCE: u32 = 40;

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    frame: Frame,
    form: PolicyView,
    is_saved: bool,
    /// Members whose accounts may still keep an earlier policy; at most one more than are counted.
    untold: usize,
}

/// `GET /settings/policy`.
///
/// # Errors
/// Not an operator, or the database can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    operators_only(&visitor)?;
    let policed = state.ports.find_policy().await?;
    let mut page = page(&state, frame.clone(), &policed, PolicyView::new(&policed, None, &state.config)).await?;
    page.is_saved = query.as_deref() == Some("saved");
    Ok(frame.html(StatusCode::OK, &page))
}

/// `POST /settings/policy`.
///
/// # Errors
/// Not an operator, or the database can't answer. What else goes wrong stands on the page, with the form as filled in.
pub async fn save<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    operators_only(&visitor)?;
    if !confirm::is_recent(&visitor, state.now) {
        return Ok(confirm::ask(&frame, PATH, &params));
    }
    let (status, error) = match policy_form::read(&params) {
        Ok((policy, seen)) => match state.ports.save_policy(&policy, seen, state.now).await? {
            Write::Won => {
                return Ok(announce(&state, (&visitor, &frame), &policy, see_other(&format!("{PATH}?saved"))).await);
            }
            Write::Lost => {
                let text =
                    Text::new("Somebody changed it since you opened this page. Load the page again to see what holds.");
                (StatusCode::CONFLICT, PolicyFormError { field: "revision".to_owned(), text })
            }
        },
        Err(error) => (StatusCode::BAD_REQUEST, error),
    };
    let policed = state.ports.find_policy().await?;
    let view = PolicyView::new(&policed, Some((&params, error)), &state.config);
    Ok(frame.html(status, &page(&state, frame.clone(), &policed, view).await?))
}

/// Notes that a policy was saved a moment ago, and tells those who go by an earlier one. The answer goes out in any case: the row holds for
/// whoever starts from now on, and that somebody could not be told is on the page.
pub async fn announce<P: Ports>(
    state: &AppState<P>,
    (visitor, frame): (&Visitor, &Frame),
    policy: &Policy,
    answer: Response<Body>,
) -> Response<Body> {
    let told = tell(&state.ports, state.now).await;
    let entry = audit::entry(state, visitor, Event::PolicyChanged).detail(&in_words(policy));
    let mut answer = audit::note(state, frame, entry, answer).await;
    if let Err(error) = told {
        answer.extensions_mut().insert(super::LogDetail(error.0));
    }
    answer
}

/// `POST /settings/policy/tell`: tells those who could not be told.
///
/// # Errors
/// Not an operator, or the database can't answer.
pub async fn tell_again<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    operators_only(&form.visitor)?;
    tell(&state.ports, state.now).await?;
    Ok(see_other(PATH))
}

/// Tells accounts whose ledgers know an earlier policy what holds now; how many still have to be told, as far as is known. Safe to repeat.
///
/// # Errors
/// The database can't answer. Those that were told are told again another time.
pub async fn tell<P: Ports>(ports: &P, now: Timestamp) -> Result<usize, StoreError> {
    let policed = ports.find_policy().await?;
    let untold = ports.list_untold(policed.revision, TOLD_AT_ONCE).await?;
    if untold.is_empty() {
        return Ok(0);
    }
    let answers = join_all(untold.iter().map(|user| ports.govern_account(user, policed.govern()))).await;
    let told: Vec<_> =
        untold.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(user, _)| user.clone()).collect();
    ports.note_told(&untold, &told, policed.revision, now).await?;
    Ok(untold.len() - told.len())
}

async fn page<P: Ports>(
    state: &AppState<P>,
    frame: Frame,
    policed: &Policed,
    form: PolicyView,
) -> Result<PolicyPage, Trouble> {
    let untold = state.ports.count_untold(policed.revision, TOLD_AT_ONCE + 1).await?;
    Ok(PolicyPage { frame, form, is_saved: false, untold })
}

/// For the audit log.
fn in_words(policy: &Policy) -> String {
    let models = policy.models.iter().map(|(provider, models)| {
        let models: Vec<&str> = models.iter().map(crate::domain::permission::ModelPattern::as_str).collect();
        format!("{provider}: {}", if models.is_empty() { "–".to_owned() } else { models.join(" ") })
    });
    let money =
        |most: Option<crate::domain::money::Amount>| most.map_or("–".to_owned(), |most| format!("{most} USD"));
    let grant = format!("grant: {}", money(policy.max_per_grant));
    let month = format!("month: {}", money(policy.max_per_month));
    [grant, month].into_iter().chain(models).collect::<Vec<_>>().join("; ")
}

/// One answer for a page that isn't there and one that is not for members.
///
/// # Errors
/// A member.
pub fn operators_only(visitor: &Visitor) -> Result<(), Trouble> {
    if visitor.is_operator() { Ok(()) } else { Err(Trouble::not_found()) }
}
