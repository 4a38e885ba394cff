//! What becomes of a decision: a grant and an answer, or none.

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};

use super::{
    Open, gone,
    held::{self, Replaced},
    plans::most_in_words,
};
use crate::{
    domain::{
        audit::Event,
        consent::{Choice, Denial, Most, Usual},
        grant::{Grant, Terms},
        id::GrantId,
        oauth::{
            authorization_request::AuthorizationRequest,
            code::{AuthorizationCodeRow, Binding, CODE_TTL_SECONDS},
            error::RedirectReason,
            params::Params,
            pending_request::{Asked, PendingRequest},
            redirect_uri::csp_source,
        },
        secret::{AuthorizationCode, ConsentRequest, Secret},
    },
    web::{
        answer::deliver,
        audit, format,
        frame::Frame,
        language::{Language, filters},
        page::{policy_with_form_action, see_other},
        ports::{Decided, NewAnswer, Ports},
        state::{AppState, LogDetail},
        trouble::Trouble,
        visitor::Visitor,
    },
};

const CODE_PURPOSE: &str = "authorization code v1";
/// How long a device that was allowed may take to come for its token: it polls every few seconds.
const DEVICE_CLAIM_SECONDS: u64 = 600;
/// Where a person is led who answered a device.
const DEVICE_ALLOWED: &str = "/device?done=allowed";
const DEVICE_DENIED: &str = "/device?done=denied";

/// Allowed, but what it takes the place of may still be there.
#[derive(Template)]
#[template(path = "consent_not_replaced.html")]
struct NotReplacedPage<'a> {
    frame: Frame,
    app: &'a str,
    /// Those that may still be there.
    grants: &'a [String],
    /// The form, to be sent once more.
    fields: Vec<(&'a str, &'a str)>,
}

/// How an app that was allowed gets its answer.
enum Way<'a> {
    Redirect(&'a AuthorizationRequest, Secret<AuthorizationCode>),
    Device,
}

/// Makes the grant, then ends those that it takes the place of.
///
/// # Errors
/// A page: it was answered before, its time is over, or the store can't answer.
pub(super) async fn allow<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    open: &Open<'_>,
    (terms, choice, had_usual): (Terms, &Choice, bool),
    params: &Params,
) -> Result<Response<Body>, Trouble> {
    let Open { visitor, handle, pending, client, .. } = *open;
    let grant = Grant {
        id: GrantId::from_entropy(state.ports.entropy16()),
        user_id: visitor.user.id.clone(),
        client_id: client.id.clone(),
        client_name: client.name.clone(),
        terms,
        created_at: state.now,
        revoked_at: None,
    };
    let (decided, way) = answer(state, visitor, handle, pending, &grant).await?;
    let id = match &decided {
        Decided::Won => grant.id.clone(),
        Decided::AlreadyDecided { grant_id: Some(id) } => id.clone(),
        Decided::AlreadyDecided { grant_id: None } => {
            return match way {
                Way::Device => Ok(see_other(DEVICE_DENIED)),
                Way::Redirect(..) => Err(was_denied()),
            };
        }
        Decided::Gone => return Err(gone()),
    };
    let (mut response, replaced) = lead_on(state, frame, open, (&id, &way, &decided), params).await?;
    if decided == Decided::Won {
        let entry = audit::entry(state, visitor, Event::GrantAllowed).grant(&id).subject(&client.name);
        let entry = entry.detail(&in_words(&grant.terms, choice.lifetime_seconds, frame.language));
        response = audit::note(state, frame, entry, response).await;
        response = remember(state, open, (choice, had_usual), params, response).await;
    }
    Ok(note_ended(state, frame, open, &replaced, response).await)
}

/// A request that was allowed before comes again: by a second click, or because what it takes the place of could not be ended. What the
/// form says of limits is not read once more: it counted when it was allowed.
///
/// # Errors
/// A page: the app has its access, its time is over, or the store can't answer.
pub(super) async fn allowed_before<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    open: &Open<'_>,
    id: &GrantId,
    params: &Params,
) -> Result<Response<Body>, Trouble> {
    let way = match &open.pending.asked {
        Asked::Redirect(request) => Way::Redirect(request, code_of(state, open.handle)),
        Asked::Device { .. } => Way::Device,
    };
    let decided = Decided::AlreadyDecided { grant_id: Some(id.clone()) };
    let (response, replaced) = lead_on(state, frame, open, (id, &way, &decided), params).await?;
    Ok(note_ended(state, frame, open, &replaced, response).await)
}

/// Ends what the grant takes the place of, and leads to the app; or says what could not be ended.
async fn lead_on<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    open: &Open<'_>,
    (id, way, decided): (&GrantId, &Way<'_>, &Decided),
    params: &Params,
) -> Result<(Response<Body>, Replaced), Trouble> {
    let replaced = held::end_replaced(state, open.visitor, &open.client.id, id, params).await;
    let response = if replaced.failed.is_empty() {
        on_its_way(state, frame.language, id, way, decided).await?
    } else {
        not_replaced(frame, &open.client.name, open.pending, &replaced, params)
    };
    Ok((response, replaced))
}

async fn note_ended<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    open: &Open<'_>,
    replaced: &Replaced,
    mut response: Response<Body>,
) -> Response<Body> {
    for id in &replaced.ended {
        let entry = held::entry(state, open.visitor, id, &open.client.name, frame.language);
        response = audit::note(state, frame, entry, response).await;
    }
    response
}

/// The same code for the same handle, so that a double click makes one.
fn code_of<P: Ports>(state: &AppState<P>, handle: &Secret<ConsentRequest>) -> Secret<AuthorizationCode> {
    Secret::from_entropy(&state.config.cookie_key.mac(CODE_PURPOSE, handle.expose_secret()))
}

/// One batch: the grant, the code or the device's row, and that it was answered.
async fn answer<'a, P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    handle: &Secret<ConsentRequest>,
    pending: &'a PendingRequest,
    grant: &Grant,
) -> Result<(Decided, Way<'a>), Trouble> {
    match &pending.asked {
        Asked::Redirect(request) => {
            let code = code_of(state, handle);
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
            let answer = NewAnswer::Code(&row);
            let decided = state.ports.allow(&handle.hash(), &visitor.session, grant, answer, state.now).await?;
            Ok((decided, Way::Redirect(request, code)))
        }
        Asked::Device { device_code, .. } => {
            let expires_at = state.now.plus_seconds(DEVICE_CLAIM_SECONDS);
            let answer = NewAnswer::Device { code: device_code, auth_time: visitor.since, expires_at };
            let decided = state.ports.allow(&handle.hash(), &visitor.session, grant, answer, state.now).await?;
            Ok((decided, Way::Device))
        }
    }
}

/// Back to the app, or to the page that sends the person back to their device.
async fn on_its_way<P: Ports>(
    state: &AppState<P>,
    language: Language,
    id: &GrantId,
    way: &Way<'_>,
    decided: &Decided,
) -> Result<Response<Body>, Trouble> {
    let Way::Redirect(request, code) = way else { return Ok(see_other(DEVICE_ALLOWED)) };
    if *decided != Decided::Won {
        let row = state.ports.find_code(&code.hash()).await?.ok_or_else(gone)?;
        // A code that was used already would look like a stolen one to the token endpoint, and end the grant.
        if row.redeemed_at.is_some() {
            return Err(was_allowed(id));
        }
        if state.now >= row.expires_at {
            return Err(gone());
        }
    }
    Ok(deliver(&request.success(code.expose_secret(), &state.config.issuer), language))
}

/// The app has its answer as soon as the person goes on; until then they know what could not be ended.
fn not_replaced(
    frame: &Frame,
    app: &str,
    pending: &PendingRequest,
    replaced: &Replaced,
    params: &Params,
) -> Response<Body> {
    let frame = Frame { here: None, ..frame.clone() };
    let page = NotReplacedPage {
        frame: frame.clone(),
        app,
        grants: &replaced.failed,
        fields: params.pairs().filter(|(name, _)| *name != held::KEEP).collect(),
    };
    let mut response = frame.html(StatusCode::SERVICE_UNAVAILABLE, &page);
    if let Asked::Redirect(request) = &pending.asked
        && let Some(policy) = csp_source(&request.redirect_uri).and_then(|source| policy_with_form_action(&source))
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if let Some(detail) = &replaced.detail {
        response.extensions_mut().insert(LogDetail(detail.clone()));
    }
    response
}

/// What the person chose, if they want it proposed next time; else what was remembered is forgotten.
async fn remember<P: Ports>(
    state: &AppState<P>,
    open: &Open<'_>,
    (choice, had_usual): (&Choice, bool),
    params: &Params,
    mut response: Response<Body>,
) -> Response<Body> {
    let wanted = !params.field("remember").is_empty();
    if !wanted && !had_usual {
        return response;
    }
    let usual = wanted.then_some(Usual { limits: choice.limits, lifetime_seconds: choice.lifetime_seconds });
    let kept = state.ports.put_usual_limits(&open.visitor.user.id, &open.client.id, usual.as_ref()).await;
    // What was allowed stays allowed.
    if let Err(error) = kept {
        response.extensions_mut().insert(LogDetail(error.0));
    }
    response
}

/// Tells the app no, and why, if the person said so.
///
/// # Errors
/// A page: it was allowed before, its time is over, or the store can't answer.
pub(super) async fn deny<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    visitor: &Visitor,
    handle: &Secret<ConsentRequest>,
    pending: &PendingRequest,
    params: &Params,
) -> Result<Response<Body>, Trouble> {
    let reason = Denial::from_form(params.field("reason"));
    let (device, response) = match &pending.asked {
        Asked::Redirect(request) => {
            let failure = request.failure(&RedirectReason::Denied(reason), &state.config.issuer);
            (None, deliver(&failure, frame.language))
        }
        Asked::Device { device_code, .. } => (Some(device_code), see_other(DEVICE_DENIED)),
    };
    match state.ports.deny(&handle.hash(), &visitor.session, device, state.now).await? {
        Decided::Won => {
            let id = pending.asked.client_id();
            let name = state.ports.find_client(id).await.ok().flatten().map(|client| client.name);
            let entry =
                audit::entry(state, visitor, Event::GrantDenied).subject(name.as_deref().unwrap_or(id.as_str()));
            let entry = entry.detail(frame.language.t(super::view::label_of(reason)));
            Ok(audit::note(state, frame, entry, response).await)
        }
        Decided::AlreadyDecided { grant_id: None } => Ok(response),
        Decided::AlreadyDecided { grant_id: Some(id) } => Err(was_allowed(&id)),
        Decided::Gone => Err(gone()),
    }
}

/// What was allowed, for the log of what happened.
fn in_words(terms: &Terms, lifetime_seconds: u64, language: Language) -> String {
    let mut parts: Vec<String> =
        terms.permissions.iter().map(|permission| format::sentence(permission, language)).collect();
    let most = Most::of(&terms.limits, &terms.permissions, terms.ceiling).in_a_life_of(lifetime_seconds);
    parts.extend(most_in_words(&most, language));
    parts.push(format::lifetime(lifetime_seconds, language));
    parts.join("; ")
}

pub(super) fn was_allowed(id: &GrantId) -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "This was answered already",
        "You have allowed this request before, and the app has its access. You can see what it uses, and take it back.",
    )
    .with_way_on(format!("/grants/{id}"), "Go to the grant")
}

pub(super) fn was_denied() -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "This was answered already",
        "You have denied this request before, and the app got nothing. To allow it after all, go back to the app and connect \
         again.",
    )
}
