//! `/members`: who has an account here, what they may spend, and the way to remove one. For operators.

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, RawQuery},
    http::{Response, StatusCode},
};

use super::{
    allowance::Allowance,
    audit, confirm,
    ending::end_grant,
    format::{Round, usd},
    frame::Frame,
    language::{Language, Moment, Text, filters},
    page::see_other,
    policy::operators_only,
    ports::{Person, Ports, Role, StoreError},
    session::{OwnForm, SignedIn},
    state::AppState,
    trouble::Trouble,
};
use crate::domain::{
    audit::Event,
    id::{GrantId, UserId},
    ledger::Snapshot,
    oauth::params::Params,
    time::Timestamp,
};

/// People on a page: of each member the account's ledger is asked, and the platform lets a request make 50 of its own.
const PAGE: u32 = 30;
/// Grants that a removal ends in one go: each is two requests.
const ENDED_AT_ONCE: u32 = 20;

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage {
    frame: Frame,
    people: Vec<PersonView>,
    just_removed: bool,
    /// The next page, if there is one.
    next: Option<u32>,
}

struct PersonView {
    id: String,
    name: String,
    is_operator: bool,
    since: Moment,
    active_grants: u32,
    /// Of this month, for a member. `None`: their account can't answer.
    spent: Option<String>,
    /// Whether nothing limits what they may spend in a month.
    is_unlimited: bool,
}

/// `GET /members`.
///
/// # Errors
/// Not an operator, or the database can't answer. A ledger that can't is shown as such.
pub async fn list<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    operators_only(&visitor)?;
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let number: u32 = query.field("page").parse().unwrap_or(0);
    let mut people = state.ports.list_people(state.now, number.saturating_mul(PAGE), PAGE + 1).await?;
    let next = (people.len() > PAGE as usize).then_some(number.saturating_add(1));
    people.truncate(PAGE as usize);
    let accounts: Vec<UserId> =
        people.iter().filter(|person| person.has_account).map(|person| person.user.id.clone()).collect();
    let snapshots = state.ports.read_accounts(&accounts).await;
    let is_limited = state.ports.find_policy().await?.policy.max_per_month.is_some();
    let mut known = accounts.iter().zip(&snapshots);
    let views = people.iter().map(|person| {
        let snapshot = person.has_account.then(|| known.next()).flatten().map(|(_, snapshot)| snapshot);
        PersonView::new(person, snapshot, is_limited, (state.now, frame.language))
    });
    let people = views.collect();
    let just_removed = query.field("done") == "removed";
    Ok(frame.html(StatusCode::OK, &MembersPage { frame: frame.clone(), people, just_removed, next }))
}

/// `POST /members/{user_id}/remove`: from the first thing that this does on, no call of theirs is let through.
///
/// # Errors
/// Not an operator, no such member, or a ledger or the database can't answer: then it is to be tried again.
pub async fn remove<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    operators_only(&visitor)?;
    let id: UserId = id.parse().map_err(|_| Trouble::not_found())?;
    let person = state.ports.find_person(&id, state.now).await?;
    let person = person.filter(|person| person.user.role == Role::Member).ok_or_else(Trouble::not_found)?;
    if !confirm::is_recent(&visitor, state.now) {
        return Ok(confirm::ask(&frame, &format!("/members/{id}/remove"), &params));
    }
    state.ports.revoke_account(&id).await?;
    // Whoever was removed before may have grants left that are not ended yet.
    let _ = state.ports.remove_member(&id, state.now).await?;
    if !end_grants(&state, &id).await? {
        let text = Text::new(
            "Signing in and every call are over for them at once. They had very many grants, and not all of them are marked as revoked \
             yet. Go on until they are.",
        );
        return Err(
            Trouble::new(StatusCode::CONFLICT, "Not done yet", text).with_way_on(format!("/members/{id}"), "Go on")
        );
    }
    let entry = audit::entry(&state, &visitor, Event::MemberRemoved).subject(&person.user.name);
    Ok(audit::note(&state, &frame, entry, see_other("/members?done=removed")).await)
}

#[derive(Template)]
#[template(path = "member.html")]
struct MemberPage {
    frame: Frame,
    id: String,
    name: String,
    active_grants: u32,
}

/// `GET /members/{user_id}`: what removing a member means, and the button.
///
/// # Errors
/// Not an operator, no such member, or the database can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    SignedIn { visitor, frame }: SignedIn,
) -> Result<Response<Body>, Trouble> {
    operators_only(&visitor)?;
    let id: UserId = id.parse().map_err(|_| Trouble::not_found())?;
    let person = state.ports.find_person(&id, state.now).await?;
    let person = person.filter(|person| person.user.role == Role::Member).ok_or_else(Trouble::not_found)?;
    if person.removed_at.is_some() && person.active_grants == 0 {
        return Err(Trouble::not_found());
    }
    let page = MemberPage {
        frame: frame.clone(),
        id: person.user.id.to_string(),
        name: person.user.name,
        active_grants: person.active_grants,
    };
    Ok(frame.html(StatusCode::OK, &page))
}

/// Whether all of them are ended.
async fn end_grants<P: Ports>(state: &AppState<P>, user: &UserId) -> Result<bool, StoreError> {
    let grants: Vec<GrantId> = state.ports.list_active_grants_of_user(user, state.now, ENDED_AT_ONCE + 1).await?;
    for grant in grants.iter().take(ENDED_AT_ONCE as usize) {
        end_grant(state, grant).await?;
    }
    Ok(grants.len() <= ENDED_AT_ONCE as usize)
}

impl PersonView {
    fn new(
        person: &Person,
        snapshot: Option<&Result<Snapshot, StoreError>>,
        is_limited: bool,
        (now, language): (Timestamp, Language),
    ) -> Self {
        let spent = match snapshot {
            None => Some(language.t("nothing yet").to_owned()),
            Some(Err(_)) => None,
            Some(Ok(snapshot)) => Some(spent(&Allowance::new(snapshot, now), language)),
        };
        Self {
            id: person.user.id.to_string(),
            name: person.user.name.clone(),
            is_operator: person.user.role == Role::Operator,
            since: Moment::new(person.since, now),
            active_grants: person.active_grants,
            spent,
            is_unlimited: person.user.role == Role::Member && !is_limited,
        }
    }
}

/// `1.23 of 20.00 USD`, or without a cap `1.23 USD`.
fn spent(allowance: &Allowance, language: Language) -> String {
    let spent = usd(allowance.spent, Round::Up);
    match allowance.per_month {
        Some(most) => language.with("{0} of {1} USD", &[&spent, &most]),
        None => format!("{spent} USD"),
    }
}
