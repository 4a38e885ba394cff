//! The consent page, for whoever asks: an app with a redirect URI, or a device that polls.
//!
//! What is asked is stored under a fresh handle and shown; the form carries the handle, the person's edits and the decision. So
//! nothing can change between showing and allowing. The first decision stands: a second click finds the same code, which is derived
//! from the handle, as long as the app has not used it.

use askama::Template;
use axum::{
    body::Body,
    extract::State,
    http::{Response, StatusCode, header},
};

use super::{
    allowance,
    answer::deliver,
    consent_form::{self, ConsentView, DestinationView, OriginView},
    frame::Frame,
    language::{Language, filters},
    page::{policy_with_form_action, see_other},
    ports::{Decided, NewAnswer, Ports},
    session::OwnForm,
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    grant::{Grant, Terms},
    id::GrantId,
    oauth::{
        authorization_request::AuthorizationRequest,
        client::{Client, GrantType},
        code::{AuthorizationCodeRow, Binding, CODE_TTL_SECONDS},
        error::RedirectReason,
        pending_request::{Asked, CONSENT_TTL_SECONDS, PendingRequest},
        redirect_uri::csp_source,
    },
    secret::{AuthorizationCode, ConsentRequest, DeviceCode, Secret, SecretHash},
};

const CODE_PURPOSE: &str = "authorization code v1";
/// How long a device that was allowed may take to come for its token: it polls every few seconds.
const DEVICE_CLAIM_SECONDS: u64 = 600;
/// Where a person is led who answered a device.
const DEVICE_DONE: &str = "/device?done=";

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    frame: Frame,
    handle: &'a str,
    view: ConsentView,
}

/// Stores what is asked and shows it.
///
/// # Errors
/// The store can't answer.
pub async fn show<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    visitor: Visitor,
    client: &Client,
    mut asked: Asked,
) -> Result<Response<Body>, Trouble> {
    let policed = allowance::policy_for(state, &visitor.user).await?;
    allowance::narrow(policed.as_ref(), asked.requested_mut()).map_err(|_| not_for_members())?;
    let handle = Secret::from_entropy(&state.ports.entropy32());
    let pending = PendingRequest {
        session: visitor.session.clone(),
        asked,
        expires_at: state.now.plus_seconds(CONSENT_TTL_SECONDS),
        decision: None,
    };
    state.ports.insert_authorization_request(&handle.hash(), &pending, state.now).await?;
    let view = ConsentView::new(client, &pending, (&state.config, &visitor.user.id, frame.language), None);
    Ok(page(StatusCode::OK, frame, &handle, &pending, view))
}

fn page(
    status: StatusCode,
    frame: &Frame,
    handle: &Secret<ConsentRequest>,
    pending: &PendingRequest,
    view: ConsentView,
) -> Response<Body> {
    let page = ConsentPage { frame: frame.clone(), handle: handle.expose_secret(), view };
    let mut response = frame.html(status, &page);
    // Chromium holds `form-action` against the redirect that follows the form, too.
    let leads_to = match &pending.asked {
        Asked::Redirect(request) => csp_source(&request.redirect_uri),
        Asked::Device { .. } => None,
    };
    if let Some(policy) = leads_to.and_then(|source| policy_with_form_action(&source)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// `POST /authorize`.
///
/// # Errors
/// A page: the form isn't ours, its time is over, or the store can't answer.
pub async fn decide<P: Ports>(State(state): State<AppState<P>>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    let handle = Secret::<ConsentRequest>::parse(params.field("request")).map_err(|_| gone())?;
    let found = state.ports.find_authorization_request(&handle.hash()).await?;
    let pending = found.filter(|pending| pending.session == visitor.session).ok_or_else(gone)?;
    match params.field("decision") {
        "deny" => deny(&state, &frame, &visitor, &handle, &pending).await,
        "allow" => {
            let client = state.ports.find_client(pending.asked.client_id()).await?;
            let client = client.filter(|client| may_still_ask(client, &pending.asked)).ok_or_else(gone)?;
            let requested = pending.asked.requested();
            let policed = allowance::policy_for(&state, &visitor.user).await?;
            let choice = consent_form::read(&params, requested);
            let user = &visitor.user.id;
            match choice.and_then(|choice| allowance::agree(requested, &choice, policed.as_ref(), user, state.now)) {
                Ok(terms) => allow(&state, &frame, &visitor, &handle, &pending, &client, terms).await,
                Err(error) => {
                    let around = (&*state.config, &visitor.user.id, frame.language);
                    let view = ConsentView::new(&client, &pending, around, Some((&params, &error)));
                    Ok(page(StatusCode::BAD_REQUEST, &frame, &handle, &pending, view))
                }
            }
        }
        _ => Err(Trouble::new(StatusCode::BAD_REQUEST, "Nothing was decided", "Go back and choose Allow or Deny.")),
    }
}

/// An app may have changed since the page was shown: one that took its redirect URI back has a reason.
fn may_still_ask(client: &Client, asked: &Asked) -> bool {
    match asked {
        Asked::Redirect(request) => client.may_redirect_to(&request.redirect_uri),
        Asked::Device { .. } => client.may_use(GrantType::DeviceCode),
    }
}

async fn allow<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
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
    match &pending.asked {
        Asked::Redirect(request) => allow_app(state, frame.language, visitor, handle, request, &grant).await,
        Asked::Device { device_code, .. } => allow_device(state, visitor, handle, device_code, &grant).await,
    }
}

async fn allow_app<P: Ports>(
    state: &AppState<P>,
    language: Language,
    visitor: &Visitor,
    handle: &Secret<ConsentRequest>,
    request: &AuthorizationRequest,
    grant: &Grant,
) -> Result<Response<Body>, Trouble> {
    // The same code for the same handle, so that a double click makes one.
    let code =
        Secret::<AuthorizationCode>::from_entropy(&state.config.cookie_key.mac(CODE_PURPOSE, handle.expose_secret()));
    let row = AuthorizationCodeRow {
        hash: code.hash(),
        grant_id: grant.id.clone(),
        client_id: grant.client_id.clone(),
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        binding: Binding {
            dpop_jkt: request.dpop_jkt.clone(),
            resources: request.resources.clone(),
            auth_time: Some(visitor.since),
        },
        expires_at: state.now.plus_seconds(CODE_TTL_SECONDS),
        redeemed_at: None,
    };
    let issuer = &state.config.issuer;
    let success = || deliver(&request.success(code.expose_secret(), issuer), language);
    match state.ports.allow(&handle.hash(), &visitor.session, grant, NewAnswer::Code(&row), state.now).await? {
        Decided::Won => Ok(success()),
        Decided::AlreadyDecided { grant_id: None } => Ok(denied(state, language, request)),
        Decided::AlreadyDecided { grant_id: Some(_) } => {
            let row = state.ports.find_code(&code.hash()).await?.ok_or_else(gone)?;
            // A code that was used already would look like a stolen one to the token endpoint, and end the grant.
            if row.redeemed_at.is_some() {
                return Err(decided());
            }
            if state.now >= row.expires_at {
                return Err(gone());
            }
            Ok(success())
        }
        Decided::Gone => Err(gone()),
    }
}

async fn allow_device<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    handle: &Secret<ConsentRequest>,
    code: &SecretHash<DeviceCode>,
    grant: &Grant,
) -> Result<Response<Body>, Trouble> {
    let expires_at = state.now.plus_seconds(DEVICE_CLAIM_SECONDS);
    let answer = NewAnswer::Device { code, auth_time: visitor.since, expires_at };
    match state.ports.allow(&handle.hash(), &visitor.session, grant, answer, state.now).await? {
        Decided::Won | Decided::AlreadyDecided { grant_id: Some(_) } => Ok(see_other(&format!("{DEVICE_DONE}allowed"))),
        Decided::AlreadyDecided { grant_id: None } => Ok(see_other(&format!("{DEVICE_DONE}denied"))),
        Decided::Gone => Err(gone()),
    }
}

async fn deny<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    visitor: &Visitor,
    handle: &Secret<ConsentRequest>,
    pending: &PendingRequest,
) -> Result<Response<Body>, Trouble> {
    let device = match &pending.asked {
        Asked::Redirect(_) => None,
        Asked::Device { device_code, .. } => Some(device_code),
    };
    match state.ports.deny(&handle.hash(), &visitor.session, device, state.now).await? {
        Decided::Won | Decided::AlreadyDecided { grant_id: None } => Ok(match &pending.asked {
            Asked::Redirect(request) => denied(state, frame.language, request),
            Asked::Device { .. } => see_other(&format!("{DEVICE_DONE}denied")),
        }),
        Decided::AlreadyDecided { grant_id: Some(_) } => Err(decided()),
        Decided::Gone => Err(gone()),
    }
}

fn denied<P: Ports>(state: &AppState<P>, language: Language, request: &AuthorizationRequest) -> Response<Body> {
    deliver(&request.failure(&RedirectReason::Denied, &state.config.issuer), language)
}

fn not_for_members() -> Trouble {
    let text = "The operator of this broker allows its members none of the models that this app asks for. Ask them to, or go back to the \
                app.";
    Trouble::new(StatusCode::FORBIDDEN, "Your operator does not allow this", text)
}

fn gone() -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "This request is no longer open",
        "It was open for more than ten minutes, belongs to another sign-in, or the app did not come for its answer. Go back \
         to the app and connect again.",
    )
}

fn decided() -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "This was answered already",
        "You have allowed this request before, and the app has its access. You can see and revoke it with your grants.",
    )
    .with_way_on("/grants", "Go to your grants")
}
