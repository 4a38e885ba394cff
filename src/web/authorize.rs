//! `/authorize` (RFC 6749 §4.1.1): an app asks, a person decides.
//!
//! `GET` checks the request, stores it under a fresh handle and shows it. `POST` carries the handle, the person's edits and the
//! decision; what the app asked for is read from the store, so nothing can change between showing and allowing. The first decision
//! stands: a second click finds the same code, which is derived from the handle, as long as the app has not used it.

use askama::Template;
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{Response, StatusCode, header},
};

use super::{
    consent_form::{self, ConsentView, DestinationView},
    page::{Trouble, html, leave_for, policy_with_form_action},
    ports::{Decided, Ports},
    session::OwnForm,
    sign_in,
    state::AppState,
    visitor::{Guest, Visitor},
};
use crate::domain::{
    grant::{Grant, Terms},
    id::GrantId,
    oauth::{
        authorization_request::{AuthorizationQuery, AuthorizationRequest, CONSENT_TTL_SECONDS, PendingRequest},
        client::Client,
        code::{AuthorizationCodeRow, CODE_TTL_SECONDS},
        error::LocalError,
        redirect_uri::csp_source,
    },
    secret::{AuthorizationCode, ConsentRequest, Secret},
};

const CODE_PURPOSE: &str = "authorization code v1";

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    visitor: Option<Visitor>,
    handle: &'a str,
    view: ConsentView,
}

/// `GET /authorize`.
///
/// # Errors
/// A page, until client and redirect URI are proven; from there on errors travel to the app.
pub async fn show<P: Ports>(
    State(state): State<AppState<P>>,
    Guest(visitor): Guest,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let query = query.unwrap_or_default();
    let asked = AuthorizationQuery::parse(&query).map_err(unproven)?;
    let client = state.ports.find_client(&asked.client_id).await?;
    let proven = asked.prove(client.as_ref()).map_err(unproven)?;
    let Some(client) = client else { return Err(unproven(LocalError::UnknownClient)) };
    let request = match proven.request() {
        Ok(request) => request,
        Err(error) => return Ok(leave_for(&error.location(&state.config.issuer))),
    };
    let Some(visitor) = visitor else { return Ok(sign_in::ask_for_app(&state.config, &format!("/authorize?{query}"))) };

    let handle = Secret::from_entropy(&state.ports.entropy32());
    let pending = pending(&state, &visitor, request);
    state.ports.insert_authorization_request(&handle.hash(), &pending, state.now).await?;
    let view = ConsentView::new(&client, &pending, &state.config, None);
    Ok(consent_page(StatusCode::OK, visitor, &handle, &pending, view))
}

fn pending<P: Ports>(state: &AppState<P>, visitor: &Visitor, request: AuthorizationRequest) -> PendingRequest {
    PendingRequest {
        session: visitor.session.clone(),
        client_id: request.client_id,
        redirect_uri: request.redirect_uri,
        state: request.state,
        code_challenge: request.code_challenge,
        requested: request.requested,
        expires_at: state.now.plus_seconds(CONSENT_TTL_SECONDS),
        decision: None,
    }
}

fn consent_page(
    status: StatusCode,
    visitor: Visitor,
    handle: &Secret<ConsentRequest>,
    pending: &PendingRequest,
    view: ConsentView,
) -> Response<Body> {
    let page = ConsentPage { visitor: Some(visitor), handle: handle.expose_secret(), view };
    let mut response = html(status, &page);
    // Chromium holds `form-action` against the redirect that follows the form, too.
    if let Some(policy) = csp_source(&pending.redirect_uri).and_then(|source| policy_with_form_action(&source)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// `POST /authorize`.
///
/// # Errors
/// A page: the form isn't ours, its time is over, or the store can't answer.
pub async fn decide<P: Ports>(State(state): State<AppState<P>>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params } = form;
    let handle = Secret::<ConsentRequest>::parse(params.field("request")).map_err(|_| gone())?;
    let found = state.ports.find_authorization_request(&handle.hash()).await?;
    let pending = found.filter(|pending| pending.session == visitor.session).ok_or_else(gone)?;
    match params.field("decision") {
        "deny" => deny(&state, &visitor, &handle, &pending).await,
        "allow" => {
            let client = state.ports.find_client(&pending.client_id).await?.ok_or_else(gone)?;
            let choice = consent_form::read(&params, &pending.requested);
            match choice.and_then(|choice| Ok(pending.requested.narrow(&choice, state.now)?)) {
                Ok(terms) => allow(&state, &visitor, &handle, &pending, &client, terms).await,
                Err(error) => {
                    let view = ConsentView::new(&client, &pending, &state.config, Some((&params, &error)));
                    Ok(consent_page(StatusCode::BAD_REQUEST, visitor, &handle, &pending, view))
                }
            }
        }
        _ => Err(Trouble::new(StatusCode::BAD_REQUEST, "Nothing was decided", "Go back and choose Allow or Deny.")),
    }
}

async fn allow<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    handle: &Secret<ConsentRequest>,
    pending: &PendingRequest,
    client: &Client,
    terms: Terms,
) -> Result<Response<Body>, Trouble> {
    let grant = Grant {
        id: GrantId::from_entropy(state.ports.entropy16()),
        user_id: visitor.user.id.clone(),
        client_id: client.id.clone(),
        client_name: client.name.clone(),
        terms,
        created_at: state.now,
        revoked_at: None,
    };
    // The same code for the same handle, so that a double click makes one.
    let code =
        Secret::<AuthorizationCode>::from_entropy(&state.config.cookie_key.mac(CODE_PURPOSE, handle.expose_secret()));
    let row = AuthorizationCodeRow {
        hash: code.hash(),
        grant_id: grant.id.clone(),
        client_id: client.id.clone(),
        redirect_uri: pending.redirect_uri.clone(),
        code_challenge: pending.code_challenge.clone(),
        expires_at: state.now.plus_seconds(CODE_TTL_SECONDS),
        redeemed_at: None,
    };
    let issuer = &state.config.issuer;
    match state.ports.allow(&handle.hash(), &visitor.session, &grant, &row, state.now).await? {
        Decided::Won => Ok(leave_for(&pending.success_location(code.expose_secret(), issuer))),
        Decided::AlreadyDecided { grant_id: None } => Ok(leave_for(&pending.denied_location(issuer))),
        Decided::AlreadyDecided { grant_id: Some(_) } => {
            let row = state.ports.find_code(&code.hash()).await?.ok_or_else(gone)?;
            // A code that was used already would look like a stolen one to the token endpoint, and end the grant.
            if row.redeemed_at.is_some() {
                return Err(decided());
            }
            if state.now >= row.expires_at {
                return Err(gone());
            }
            Ok(leave_for(&pending.success_location(code.expose_secret(), issuer)))
        }
        Decided::Gone => Err(gone()),
    }
}

async fn deny<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    handle: &Secret<ConsentRequest>,
    pending: &PendingRequest,
) -> Result<Response<Body>, Trouble> {
    match state.ports.deny(&handle.hash(), &visitor.session, state.now).await? {
        Decided::Won | Decided::AlreadyDecided { grant_id: None } => {
            Ok(leave_for(&pending.denied_location(&state.config.issuer)))
        }
        Decided::AlreadyDecided { grant_id: Some(_) } => Err(decided()),
        Decided::Gone => Err(gone()),
    }
}

fn unproven(error: LocalError) -> Trouble {
    let text =
        format!("The app that sent you here made a mistake: {error}. You were not sent on, and nothing was allowed.");
    Trouble::new(StatusCode::BAD_REQUEST, "This request can not be shown", text).with_detail(format!("{error:?}"))
}

fn gone() -> Trouble {
    let text = "It was open for more than ten minutes, belongs to another sign-in, or the app did not come for its answer. Go back \
                to the app and connect again.";
    Trouble::new(StatusCode::BAD_REQUEST, "This request is no longer open", text)
}

fn decided() -> Trouble {
    let text =
        "You have allowed this request before, and the app has its access. You can see and revoke it with your grants.";
    Trouble::new(StatusCode::BAD_REQUEST, "This was answered already", text).with_way_on("/grants", "Go to your grants")
}
