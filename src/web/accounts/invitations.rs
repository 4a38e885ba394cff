//! `/members/invitations`: operators invite people, and take invitations back.

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, RawQuery},
    http::{Response, StatusCode},
};

use super::monthly_limit::{self, MonthlyLimit};
use crate::{
    domain::{
        audit::Event,
        id::{InvitationId, UserId},
        oauth::{
            params::Params,
            registration::{MAX_NAME_CHARS, parse_name},
        },
        policy::Policed,
        secret::{Invitation, Secret},
    },
    web::{
        audit, confirm,
        frame::Frame,
        language::{Moment, Text, filters},
        page::see_other,
        policy::{announce, operators_only},
        ports::{InvitationRow, InvitationState, NewInvitation, Ports, Role, ShownPolicy, Write},
        session::{OwnForm, SignedIn},
        state::AppState,
        trouble::Trouble,
        visitor::Visitor,
    },
};

/// The page.
pub const INVITATIONS: &str = "/members/invitations";
/// Life of an invitation.
const TTL_SECONDS: u64 = 7 * 24 * 3600;
/// How long one stays on the list after its end.
const KEPT_SECONDS: u64 = 30 * 24 * 3600;
/// Most that are open at once.
const MAX_OPEN: u32 = 100;
/// Most on the page.
const MAX_LISTED: u32 = 200;

#[derive(Template)]
#[template(path = "invitations.html")]
struct InvitationsPage {
    frame: Frame,
    csrf: String,
    /// The invitation that was made a moment ago: for whom, and its link.
    made: Option<(String, String)>,
    /// What was done a moment ago.
    done: &'static str,
    /// The name that can't be one.
    wrong_name: bool,
    typed: String,
    max_name_chars: usize,
    /// Whether it is an operator who is about to be invited.
    for_operator: bool,
    money: MonthlyLimit,
    /// Whether what members may spend was changed since the form was shown.
    is_late: bool,
    invitations: Vec<View>,
}

struct View {
    name: String,
    is_operator: bool,
    invited_by: String,
    created: Moment,
    expires: Moment,
    accepted: Option<Moment>,
    is_revoked: bool,
    /// Where its form to take it back goes, while it is open.
    revoke_path: Option<String>,
}

fn view(row: InvitationRow, at: &AppState<impl Ports>) -> View {
    let is_open = row.is_open(at.now);
    View {
        is_operator: row.user.role == Role::Operator,
        name: row.user.name,
        invited_by: row.invited_by,
        created: Moment::new(row.created_at, at.now),
        expires: Moment::new(row.expires_at, at.now),
        accepted: match row.state {
            InvitationState::Accepted(when) => Some(Moment::new(when, at.now)),
            InvitationState::Open | InvitationState::Revoked => None,
        },
        is_revoked: row.state == InvitationState::Revoked,
        revoke_path: is_open.then(|| format!("{INVITATIONS}/{}/revoke", row.id)),
    }
}

/// # Errors
/// The store can't answer.
async fn page<P: Ports>(
    state: &AppState<P>,
    visitor: Visitor,
    frame: &Frame,
    policed: &Policed,
) -> Result<InvitationsPage, Trouble> {
    let rows = state.ports.list_invitations(MAX_LISTED).await?;
    Ok(InvitationsPage {
        frame: frame.clone(),
        csrf: visitor.csrf,
        made: None,
        done: "",
        wrong_name: false,
        typed: String::new(),
        max_name_chars: MAX_NAME_CHARS,
        for_operator: false,
        money: MonthlyLimit::new(policed),
        is_late: false,
        invitations: rows.into_iter().map(|row| view(row, state)).collect(),
    })
}

/// `GET /members/invitations`.
///
/// # Errors
/// They don't run the broker, or the store can't answer.
pub async fn list<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    operators_only(&visitor)?;
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let policed = state.ports.find_policy().await?;
    let mut page = page(&state, visitor, &frame, &policed).await?;
    page.done = ["revoked", "late"].into_iter().find(|done| query.field("done") == *done).unwrap_or_default();
    Ok(frame.html(StatusCode::OK, &page))
}

impl InvitationsPage {
    /// The page with the form as it was posted.
    fn filled(mut self, params: &Params) -> Self {
        self.typed = params.field("name").chars().take(MAX_NAME_CHARS).collect();
        self.for_operator = params.field("role") == Role::Operator.as_str();
        self.money = self.money.filled(params);
        self
    }
}

/// `POST /members/invitations`: its link is on the answer, and never again. The policy for members is the one that the form showed, or
/// the one that it decides on.
///
/// # Errors
/// They don't run the broker, too many are open, or the store can't answer.
pub async fn invite<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    operators_only(&visitor)?;
    let role = Role::from_stored(params.field("role")).unwrap_or(Role::Member);
    let policed = state.ports.find_policy().await?;
    let Ok(name) = parse_name(params.field("name")) else {
        let mut page = page(&state, visitor, &frame, &policed).await?.filled(&params);
        page.wrong_name = true;
        return Ok(frame.html(StatusCode::BAD_REQUEST, &page));
    };
    if !monthly_limit::is_current(&policed, &params) {
        return late(&state, visitor, &frame, &policed, &params).await;
    }
    // Operators are bound by no policy.
    let decided = if role == Role::Member { monthly_limit::decided(&policed, &params) } else { Ok(None) };
    let next = match decided {
        Ok(next) => next,
        Err(error) => {
            let mut page = page(&state, visitor, &frame, &policed).await?.filled(&params);
            page.money.error = Some(error.text);
            return Ok(frame.html(StatusCode::BAD_REQUEST, &page));
        }
    };
    // It has no end, whatever it may spend in a month.
    if !confirm::is_recent(&visitor, state.now) {
        return Ok(confirm::ask(&frame, INVITATIONS, &params));
    }
    let secret = Secret::<Invitation>::from_entropy(&state.ports.entropy32());
    let new = NewInvitation {
        token: secret.hash(),
        id: InvitationId::from_entropy(state.ports.entropy16()),
        user: UserId::from_entropy(state.ports.entropy16()),
        name: name.clone(),
        role,
        expires_at: state.now.plus_seconds(TTL_SECONDS),
    };
    let policy = ShownPolicy { revision: policed.revision, next: next.as_ref() };
    let by = &visitor.user.id;
    if state.ports.insert_invitation(by, &new, policy, MAX_OPEN, KEPT_SECONDS, state.now).await? == Write::Lost {
        let policed = state.ports.find_policy().await?;
        if !monthly_limit::is_current(&policed, &params) {
            return late(&state, visitor, &frame, &policed, &params).await;
        }
        let text = Text::new("A hundred invitations are open. Take some back, or wait until they are used or expire.");
        return Err(Trouble::new(StatusCode::CONFLICT, "Too many open invitations", text)
            .with_way_on(INVITATIONS, "Back to the invitations"));
    }
    let link = format!("{}/invitation?token={}", state.config.issuer, secret.expose_secret());
    let held = match &next {
        Some(next) => Policed { policy: next.clone(), revision: policed.revision + 1 },
        None => policed,
    };
    let mut page = page(&state, visitor.clone(), &frame, &held).await?;
    page.made = Some((name.clone(), link));
    let mut answer = frame.html(StatusCode::CREATED, &page);
    if let Some(next) = &next {
        answer = announce(&state, (&visitor, &frame), next, answer).await;
    }
    let entry = audit::entry(&state, &visitor, Event::MemberInvited).subject(&name).detail(role.as_str());
    Ok(audit::note(&state, &frame, entry, answer).await)
}

/// The form again, with the policy that holds by now.
async fn late<P: Ports>(
    state: &AppState<P>,
    visitor: Visitor,
    frame: &Frame,
    policed: &Policed,
    params: &Params,
) -> Result<Response<Body>, Trouble> {
    let mut page = page(state, visitor, frame, policed).await?.filled(params);
    page.is_late = true;
    Ok(frame.html(StatusCode::CONFLICT, &page))
}

/// `POST /members/invitations/{invitation_id}/revoke`.
///
/// # Errors
/// They don't run the broker, or the store can't answer.
pub async fn revoke<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, frame, .. } = form;
    operators_only(&visitor)?;
    let id: InvitationId = id.parse().map_err(|_| Trouble::not_found())?;
    if state.ports.revoke_invitation(&id, state.now).await? == Write::Lost {
        return Ok(see_other(&format!("{INVITATIONS}?done=late")));
    }
    let entry = audit::entry(&state, &visitor, Event::InvitationRevoked).subject(id.as_str());
    Ok(audit::note(&state, &frame, entry, see_other(&format!("{INVITATIONS}?done=revoked"))).await)
}
