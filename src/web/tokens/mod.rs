//! `/tokens`: access for a person's own scripts and tools, without an app.
//!
//! A token is a grant whose client nobody is, and an access token that lives as long as it. It is on the page that answers its form, and
//! never again: nothing of it is stored. It is metered and revoked like any grant; `/grants/{grant_id}` shows it call by call.

mod form;
mod setup;

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, RawQuery},
    http::{Response, StatusCode},
};

use super::{
    allowance, audit,
    ending::end_grant,
    format,
    frame::Frame,
    grants::{LastUse, terms_of},
    language::{Language, Moment, Text, filters},
    page::{see_other, with_quiet_script},
    ports::{Ports, StoreError, Write},
    proof,
    session::{OwnForm, SignedIn},
    state::AppState,
    trouble::Trouble,
    usage::GrantUsage,
    visitor::Visitor,
};
use crate::domain::{
    access_token::{AccessClaims, SigningAlgorithm},
    audit::Event,
    encoding::base64url,
    grant::{Grant, Terms},
    id::{ClientId, GrantId},
    ledger::Snapshot,
    oauth::{params::Params, registration::MAX_NAME_CHARS, token_request::granted_scope},
    personal_token::MAX_ACTIVE,
    policy::Policy,
    risk::WorstCase,
    time::Timestamp,
};
use form::{FormError, FormView};
use setup::Setup;

/// Where they are.
const HOME: &str = "/tokens";
/// Most tokens on the page, and of those most that are over.
const MAX_LISTED: u32 = 100;
const MAX_ENDED: usize = 20;
/// Of the code that names a token's grant.
const PURPOSE: &str = "personal token v1";

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    just_revoked: bool,
    active: Vec<TokenView>,
    ended: Vec<EndedView>,
}

/// A token that can be used.
struct TokenView {
    id: String,
    name: String,
    created: Moment,
    ends: Moment,
    last_used: LastUse,
    usage: GrantUsage,
    is_paused: bool,
    is_usage_known: bool,
}

/// One that is over.
struct EndedView {
    id: String,
    name: String,
    how: String,
    at: Moment,
}

#[derive(Template)]
#[template(path = "token_new.html")]
struct NewPage {
    frame: Frame,
    form: FormView,
}

#[derive(Template)]
#[template(path = "token_made.html")]
struct MadePage<'a> {
    frame: Frame,
    id: &'a GrantId,
    name: &'a str,
    sentences: Vec<String>,
    money: Option<String>,
    ends: Moment,
    setup: Setup,
}

/// `GET /tokens`.
///
/// # Errors
/// The database can't answer. A ledger that can't is shown as such and hides nothing else.
pub async fn list<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let around = (state.now, frame.language);
    let tokens = state.ports.list_tokens(&visitor.user.id, MAX_LISTED).await?;
    let (active, ended): (Vec<Grant>, Vec<Grant>) = tokens.into_iter().partition(|grant| grant.is_active(state.now));
    let ids: Vec<GrantId> = active.iter().map(|grant| grant.id.clone()).collect();
    let snapshots = state.ports.read_ledgers(&ids).await;
    let page = TokensPage {
        frame: frame.clone(),
        just_revoked: query.as_deref() == Some("revoked"),
        active: active
            .iter()
            .zip(&snapshots)
            .map(|(grant, snapshot)| TokenView::new(grant, snapshot, around))
            .collect(),
        ended: ended.iter().take(MAX_ENDED).map(|grant| EndedView::new(grant, around)).collect(),
    };
    Ok(frame.html(StatusCode::OK, &page))
}

/// `GET /tokens/new`.
///
/// # Errors
/// The database can't answer.
pub async fn new<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
) -> Result<Response<Body>, Trouble> {
    let policed = allowance::policy_for(&state, &visitor.user).await?;
    let policy = policed.as_ref().map(|policed| &policed.policy);
    let once = base64url(&state.ports.entropy16());
    let form = FormView::new(once, None, (&state.config, policy), (state.now, frame.language));
    Ok(frame.html(StatusCode::OK, &NewPage { frame: frame.clone(), form }))
}

/// `POST /tokens`: makes a token. It is on the answer, and never again.
///
/// # Errors
/// The form was sent before, there are too many, or the database can't answer. A form that is wrong is shown again, with 400.
pub async fn make<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    let once = form::once(&params).ok_or_else(|| Trouble::forged(&state.config).with_detail("once"))?;
    let policed = allowance::policy_for(&state, &visitor.user).await?;
    let policy = policed.as_ref().map(|policed| &policed.policy);
    let made = form::read(&params, policy).and_then(|choice| {
        let terms = choice.terms(state.now)?;
        Ok((choice.name, allowance::bind(terms, policed.as_ref(), &visitor.user.id)?))
    });
    let (name, terms) = match made {
        Ok(made) => made,
        Err(error) => return Ok(refused(&state, &frame, once, (&params, &error), policy)),
    };
    let id = grant_id(&state, &visitor, once);
    let case = WorstCase::of_terms(&terms, state.now);
    if let Some(risk) = proof::may_allow(&state, &visitor, id.as_str(), &case).await? {
        return Ok(proof::ask(&frame, HOME, &params, &risk));
    }
    let grant = Grant {
        id,
        user_id: visitor.user.id.clone(),
        client_id: ClientId::personal(),
        client_name: name,
        terms,
        created_at: Timestamp::from_seconds(state.now.seconds()),
        revoked_at: None,
    };
    // Before anything is stored: what can't be signed is not made.
    let token = sign(&state, &visitor, &grant)?;
    if state.ports.insert_token(&grant, MAX_ACTIVE, state.now).await? == Write::Lost {
        let is_there = state.ports.find_grant(&grant.id).await?.is_some();
        return Err(if is_there { made_already() } else { too_many() });
    }
    let answer = shown_once(&state, &frame, &grant, &token);
    let detail = summary(&grant.terms, state.now, frame.language);
    let entry = audit::entry(&state, &visitor, Event::TokenMade);
    let entry = entry.grant(&grant.id).subject(&grant.client_name).detail(&detail);
    Ok(audit::note(&state, &frame, entry, answer).await)
}

/// `POST /tokens/{grant_id}/revoke`.
///
/// # Errors
/// No such token of this person, or a ledger or the database can't answer: then it may or may not have ended.
pub async fn revoke<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, frame, .. } = form;
    let id: GrantId = id.parse().map_err(|_| Trouble::not_found())?;
    let grant = state.ports.find_grant(&id).await?;
    let grant = grant.filter(|grant| grant.user_id == visitor.user.id && grant.is_personal());
    let grant = grant.ok_or_else(Trouble::not_found)?;
    end_grant(&state, &grant.id).await.map_err(Trouble::unavailable)?;
    let answer = see_other("/tokens?revoked");
    if grant.revoked_at.is_some() {
        return Ok(answer);
    }
    let entry = audit::entry(&state, &visitor, Event::GrantRevoked).grant(&grant.id).subject(&grant.client_name);
    Ok(audit::note(&state, &frame, entry, answer).await)
}

fn refused<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    once: &str,
    posted: (&Params, &FormError),
    policy: Option<&Policy>,
) -> Response<Body> {
    let form = FormView::new(once.to_owned(), Some(posted), (&state.config, policy), (state.now, frame.language));
    frame.html(StatusCode::BAD_REQUEST, &NewPage { frame: frame.clone(), form })
}

/// The same form in the same session is the same grant, so that a form that is sent twice makes one token.
fn grant_id<P: Ports>(state: &AppState<P>, visitor: &Visitor, once: &str) -> GrantId {
    let mac = state.config.cookie_key.mac(PURPOSE, &format!("{}\n{once}", visitor.session.as_str()));
    let mut entropy = [0; 16];
    entropy.iter_mut().zip(mac).for_each(|(byte, mixed)| *byte = mixed);
    GrantId::from_entropy(entropy)
}

/// The access token of a grant, for all of it and until its end. What revokes it is the ledger, at the next call.
fn sign<P: Ports>(state: &AppState<P>, visitor: &Visitor, grant: &Grant) -> Result<String, Trouble> {
    let claims = AccessClaims {
        issuer: state.config.issuer.clone(),
        audience: vec![state.config.issuer.clone()],
        subject: grant.user_id.clone(),
        client_id: grant.client_id.clone(),
        grant_id: grant.id.clone(),
        delegation: None,
        scope: granted_scope(&grant.terms.permissions),
        narrowed: None,
        confirmation: None,
        auth_time: Some(visitor.since),
        jwt_id: base64url(&state.ports.entropy16()),
        issued_at: grant.created_at,
        expires_at: grant.terms.expires_at,
    };
    let signed = state.config.signing_keys.sign(&claims, SigningAlgorithm::EdDSA);
    signed.map_err(|error| Trouble::unavailable(StoreError(error.to_string())))
}

fn shown_once<P: Ports>(state: &AppState<P>, frame: &Frame, grant: &Grant, token: &str) -> Response<Body> {
    let language = frame.language;
    let page = MadePage {
        frame: frame.clone(),
        id: &grant.id,
        name: &grant.client_name,
        sentences: grant.terms.permissions.iter().map(|permission| format::sentence(permission, language)).collect(),
        money: money(&grant.terms, language),
        ends: Moment::new(grant.terms.expires_at, state.now),
        setup: Setup::new(token, &grant.terms, &state.config.issuer, &state.config.known_models),
    };
    with_quiet_script(frame.html(StatusCode::CREATED, &page))
}

fn money(terms: &Terms, language: Language) -> Option<String> {
    terms.limits.budget_usd.map(|budget| format::per(budget, terms.limits.budget_period, language))
}

/// For the audit log: `2.00 USD in all, until 27 Nov 2026, 00:00 UTC`.
fn summary(terms: &Terms, now: Timestamp, language: Language) -> String {
    let money = money(terms, language).unwrap_or_else(|| language.t("no money limit").to_owned());
    let ends = Moment::new(terms.expires_at, now).human(language);
    language.with("{0}, until {1}", &[&money, &ends])
}

fn made_already() -> Trouble {
    Trouble::new(
        StatusCode::CONFLICT,
        "This token was made already",
        "A token is shown once, when it is made, and it is not stored here. If you have lost it, revoke it and make another.",
    )
    .with_way_on(HOME, "Go to your tokens")
}

fn too_many() -> Trouble {
    let text = Text::new(
        "You have {0} tokens, and nobody has more at a time. Nothing was made. Revoke one that you do not need.",
    );
    Trouble::new(StatusCode::CONFLICT, "Too many tokens", text.with(MAX_ACTIVE.to_string()))
        .with_way_on(HOME, "Go to your tokens")
}

impl TokenView {
    fn new(grant: &Grant, snapshot: &Result<Snapshot, StoreError>, (now, language): (Timestamp, Language)) -> Self {
        let snapshot = snapshot.as_ref().ok();
        let terms = terms_of(grant, snapshot);
        let used = snapshot.cloned().unwrap_or_default();
        Self {
            id: grant.id.to_string(),
            name: grant.client_name.clone(),
            created: Moment::new(grant.created_at, now),
            ends: Moment::new(terms.expires_at, now),
            last_used: LastUse::of(snapshot, now),
            usage: GrantUsage::new(terms, &used, now, language),
            is_paused: terms.paused,
            is_usage_known: snapshot.is_some(),
        }
    }
}

impl EndedView {
    fn new(grant: &Grant, (now, language): (Timestamp, Language)) -> Self {
        let (how, at) = match grant.revoked_at {
            Some(at) => (language.t("Revoked"), at),
            None => (language.t("Expired"), grant.terms.expires_at),
        };
        let (id, name) = (grant.id.to_string(), grant.client_name.clone());
        Self { id, name, how: how.to_owned(), at: Moment::new(at, now) }
    }
}
