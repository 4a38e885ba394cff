//! The consent page, for whoever asks: an app with a redirect URI, or a device that polls.
//!
//! What is asked is stored under a fresh handle and shown; the form carries the handle, what the person filled in, and the decision. So
//! nothing can change between showing and allowing. The first decision stands: a second click finds the same code, which is derived
//! from the handle, as long as the app has not used it.
//!
//! | what comes back | what happens |
//! |---|---|
//! | `decision` | it is answered: [`answering`] |
//! | `language`, `step=look`, `step=forget` | the same page, as filled in |
//! | `step=switch`, or nobody is signed in any more | the person signs in and comes back: [`again`] |
//! | a page that is over, or was shown to another sign-in | a fresh one, as filled in: [`again`] |

mod again;
mod answering;
mod asked;
mod form;
mod held;
mod plans;
mod view;

use askama::Template;
use axum::{
    body::Body,
    extract::Request,
    http::{Response, StatusCode, header},
};

pub use again::{RESUME, resume};
pub use form::FormError;

use self::view::{Around, ConsentView, DestinationView, Filled, OriginView};
use super::{
    allowance,
    asking::Asking,
    choose_language, format,
    frame::Frame,
    language::{Language, Text, filters},
    page::policy_with_form_action,
    ports::{Ports, StoreError},
    proof, session,
    sign_in_prompt::{Why, ask},
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    money::Amount,
    oauth::{
        client::{Client, GrantType},
        csrf,
        params::Params,
        pending_request::{Asked, CONSENT_TTL_SECONDS, Decision, PendingRequest},
        redirect_uri::{Destination, csp_source},
    },
    policy::Policed,
    risk::WorstCase,
    secret::{ConsentRequest, Secret},
};

/// Where its form goes.
const PATH: &str = "/authorize";

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    frame: Frame,
    visitor: &'a Visitor,
    handle: &'a str,
    why: Shown,
    view: ConsentView,
}

/// Why the page is shown, where it isn't for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// Because the app asks, or the person wanted another look.
    Asked,
    /// It was open for too long.
    TooLate,
    /// It was shown to another sign-in.
    OtherSignIn,
    /// The person had to sign in first.
    CameBack,
}

/// A page that is open: what it is about, and for whom.
struct Open<'a> {
    visitor: &'a Visitor,
    handle: &'a Secret<ConsentRequest>,
    pending: &'a PendingRequest,
    client: &'a Client,
    /// The policy that binds the person; `None`: an operator.
    policed: Option<&'a Policed>,
}

impl Open<'_> {
    /// What the operator allows the person for a grant, where they say so.
    fn ceiling(&self) -> Option<Amount> {
        self.policed.and_then(|policed| policed.policy.max_per_grant)
    }
}

/// What is asked, as far as its person may allow it.
#[derive(Debug)]
pub struct Admitted {
    asked: Asked,
    /// The policy that binds the person; `None`: an operator.
    policed: Option<Policed>,
}

/// Holds what is asked against the policy that binds whoever is asked. Nothing is stored or used up.
///
/// # Errors
/// A page: they may allow nothing of it, and the way back to the app; or the store can't answer.
pub async fn admit<P: Ports>(
    state: &AppState<P>,
    language: Language,
    visitor: &Visitor,
    client: &Client,
    mut asked: Asked,
) -> Result<Admitted, Trouble> {
    let policed = allowance::policy_for(state, &visitor.user).await?;
    match asked.narrow(policed.as_ref().map(|policed| &policed.policy)) {
        Ok(()) => Ok(Admitted { asked, policed }),
        Err(_) => Err(not_for_members(Asking::of_asked(client, &asked, &state.config.issuer), &asked, language)),
    }
}

/// Stores what is asked and shows it.
///
/// # Errors
/// The store can't answer.
pub async fn show<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    visitor: &Visitor,
    client: &Client,
    admitted: Admitted,
) -> Result<Response<Body>, Trouble> {
    fresh(state, frame, visitor, client, admitted, (StatusCode::OK, Shown::Asked), None).await
}

/// Stores what is asked under a handle of its own and shows it, as far as it was filled in before.
async fn fresh<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    visitor: &Visitor,
    client: &Client,
    Admitted { asked, policed }: Admitted,
    why: (StatusCode, Shown),
    filled: Option<Filled<'_>>,
) -> Result<Response<Body>, Trouble> {
    let handle = Secret::from_entropy(&state.ports.entropy32());
    let pending = PendingRequest {
        session: visitor.session.clone(),
        asked,
        expires_at: state.now.plus_seconds(CONSENT_TTL_SECONDS),
        decision: None,
        filled: None,
    };
    state.ports.insert_authorization_request(&handle.hash(), &pending, state.now).await?;
    let open = Open { visitor, handle: &handle, pending: &pending, client, policed: policed.as_ref() };
    page(state, frame, &open, why, filled).await
}

async fn page<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    open: &Open<'_>,
    (status, why): (StatusCode, Shown),
    filled: Option<Filled<'_>>,
) -> Result<Response<Body>, Trouble> {
    let Open { visitor, handle, pending, client, .. } = *open;
    let usual = state.ports.find_usual_limits(&visitor.user.id, &client.id).await?;
    let held = (frame.language, filled.map(|filled| filled.params));
    let held = held::list(state, &visitor.user.id, &client.id, &pending.asked, held).await?;
    let around = Around {
        prices: &state.ports,
        config: &state.config,
        person: &visitor.user.id,
        usual: usual.as_ref(),
        ceiling: open.ceiling(),
        language: frame.language,
    };
    let view = ConsentView::new(client, pending, &around, held, filled);
    // The page can't be asked for again by its address: its own form changes the language.
    let frame = Frame { here: None, ..frame.clone() };
    let page = ConsentPage { frame: frame.clone(), visitor, handle: handle.expose_secret(), why, view };
    let mut response = frame.html(status, &page);
    // Chromium holds `form-action` against the redirect that follows the form, too.
    let leads_to = match &pending.asked {
        Asked::Redirect(request) => csp_source(&request.redirect_uri),
        Asked::Device { .. } => None,
    };
    if let Some(policy) = leads_to.and_then(|source| policy_with_form_action(&source)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// `POST /authorize`.
///
/// # Errors
/// A page: the form isn't ours, its time is over, or the store can't answer.
pub async fn decide<P: Ports>(state: AppState<P>, frame: Frame, request: Request) -> Result<Response<Body>, Trouble> {
    let params = session::form_of_own_origin(request, &state.config).await?;
    let handle = Secret::<ConsentRequest>::parse(params.field("request")).ok();
    let pending = match &handle {
        Some(handle) => state.ports.find_authorization_request(&handle.hash()).await?,
        None => None,
    };
    let Some(visitor) = frame.visitor.clone() else {
        return match handle.zip(pending) {
            Some((handle, pending)) => again::sign_in_first(&state, &frame, &handle, &pending, &params).await,
            None => Ok(ask(&state.config, &frame, StatusCode::UNAUTHORIZED, Why::SessionEnded)),
        };
    };
    let other = |pending: &PendingRequest| pending.session != visitor.session;
    let Some((handle, pending)) =
        handle.zip(pending).filter(|(_, pending)| !other(pending) || pending.decision.is_none())
    else {
        return Err(if is_ours(&state, &visitor, &params) { gone() } else { forged(&state) });
    };
    if other(&pending) {
        return again::ask_again(&state, &frame, (&visitor, &handle), pending, &params, Shown::OtherSignIn).await;
    }
    if !is_ours(&state, &visitor, &params) {
        return Err(forged(&state));
    }
    if pending.decision.is_none() && !pending.is_open(state.now) {
        return again::ask_again(&state, &frame, (&visitor, &handle), pending, &params, Shown::TooLate).await;
    }
    let decision = params.field("decision");
    match &pending.decision {
        Some(Decision::Allowed(id)) if decision.is_empty() => return Err(answering::was_allowed(id)),
        Some(Decision::Denied) if decision.is_empty() => return Err(answering::was_denied()),
        _ => {}
    }
    match (decision, params.field("step")) {
        ("deny", _) => answering::deny(&state, &frame, &visitor, &handle, &pending, &params).await,
        ("", "switch") => again::switch(&state, &frame, (&visitor, &handle), &pending).await,
        ("" | "allow", step) => {
            let client = state.ports.find_client(pending.asked.client_id()).await?;
            let client = client.filter(|client| may_still_ask(client, &pending.asked)).ok_or_else(gone)?;
            let policed = allowance::policy_for(&state, &visitor.user).await?;
            let policed = policed.as_ref();
            let open = Open { visitor: &visitor, handle: &handle, pending: &pending, client: &client, policed };
            if let Some(Decision::Allowed(id)) = &pending.decision {
                return answering::allowed_before(&state, &frame, &open, id, &params).await;
            }
            if decision == "allow" {
                return allow(&state, &frame, &open, &params).await;
            }
            look(&state, &frame, &open, step, &params).await
        }
        _ => Err(nothing_decided()),
    }
}

/// The CSRF token of this very session.
fn is_ours<P: Ports>(state: &AppState<P>, visitor: &Visitor, params: &Params) -> bool {
    csrf::is_csrf_token(&state.config.cookie_key, &visitor.session, params.field("csrf"))
}

fn forged<P: Ports>(state: &AppState<P>) -> Trouble {
    Trouble::forged(&state.config).with_detail("csrf token")
}

/// What the form says, if that can be granted. Otherwise the page comes back with what is wrong.
async fn allow<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    open: &Open<'_>,
    params: &Params,
) -> Result<Response<Body>, Trouble> {
    let (requested, as_asked) = (open.pending.asked.requested(), open.pending.asked.as_asked());
    let usual = state.ports.find_usual_limits(&open.visitor.user.id, &open.client.id).await?;
    let offers = requested.offers(as_asked, usual.as_ref(), open.ceiling());
    let choice = form::read(params, requested, &offers, open.ceiling());
    let (policed, user) = (open.policed, &open.visitor.user.id);
    let agree = |choice| Ok((allowance::agree(requested, &choice, policed, user, state.now)?, choice));
    match choice.and_then(agree) {
        Ok((terms, choice)) => {
            let destination = match &open.pending.asked {
                Asked::Redirect(request) => Destination::of(&request.redirect_uri),
                Asked::Device { .. } => None,
            };
            let case = WorstCase::of_terms(&terms, state.now).answered_at(destination);
            if let Some(risk) = proof::may_allow(state, open.visitor, open.handle.hash().as_str(), &case).await? {
                return Ok(proof::ask(frame, PATH, params, &risk));
            }
            answering::allow(state, frame, open, (terms, &choice, usual.is_some()), params).await
        }
        Err(error) => {
            let filled = Filled { params, error: Some(&error) };
            page(state, frame, open, (StatusCode::BAD_REQUEST, Shown::Asked), Some(filled)).await
        }
    }
}

/// Where a form of this page that is sent once more leads a browser on, when it is allowed.
///
/// # Errors
/// The store can't answer.
pub async fn leads_to<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    action: &str,
    fields: &[(String, String)],
) -> Result<Option<String>, StoreError> {
    let handle = fields.iter().find(|(name, _)| action == PATH && name == "request");
    let Some(handle) = handle.and_then(|(_, text)| Secret::<ConsentRequest>::parse(text).ok()) else {
        return Ok(None);
    };
    let pending = state.ports.find_authorization_request(&handle.hash()).await?;
    Ok(pending.filter(|pending| pending.session == visitor.session).and_then(|pending| match pending.asked {
        Asked::Redirect(request) => csp_source(&request.redirect_uri),
        Asked::Device { .. } => None,
    }))
}

/// The same page again, as it is filled in: in another language, without what was remembered, or because Enter was pressed in a field.
async fn look<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    open: &Open<'_>,
    step: &str,
    params: &Params,
) -> Result<Response<Body>, Trouble> {
    let language = Language::from_tag(params.field("language"));
    if language.is_none() && !matches!(step, "look" | "forget") {
        return Err(nothing_decided());
    }
    if step == "forget" {
        state.ports.put_usual_limits(&open.visitor.user.id, &open.client.id, None).await?;
    }
    let frame = Frame { language: language.unwrap_or(frame.language), ..frame.clone() };
    let filled = Some(Filled { params, error: None });
    let response = page(state, &frame, open, (StatusCode::OK, Shown::Asked), filled).await?;
    Ok(match language {
        Some(language) => choose_language::remembered(response, language),
        None => response,
    })
}

/// An app may have changed since the page was shown: one that took its redirect URI back has a reason.
fn may_still_ask(client: &Client, asked: &Asked) -> bool {
    match asked {
        Asked::Redirect(request) => client.may_redirect_to(&request.redirect_uri),
        Asked::Device { .. } => client.may_use(GrantType::DeviceCode),
    }
}

fn nothing_decided() -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, "Nothing was decided", "Go back and choose Allow or Deny.")
}

/// With what is asked, so that the person can ask the operator for it.
fn not_for_members(asking: Asking, asked: &Asked, language: Language) -> Trouble {
    let sentences = asked.as_asked().permissions.iter().map(|permission| format::sentence(permission, language));
    let wanted = sentences.collect::<Vec<_>>().join("; ");
    let text = match asked {
        Asked::Redirect(_) => Text::new(
            "{0} asks for this: {1}. The operator of this broker allows its members none of these models. Ask your operator \
             to allow one of them, or go back to the app.",
        ),
        Asked::Device { .. } => Text::new(
            "{0} asks for this: {1}. The operator of this broker allows its members none of these models. Ask your operator \
             to allow one of them, or stop it on your device: it gets nothing.",
        ),
    };
    let text = text.with(asking.app.as_str()).with(wanted);
    Trouble::new(StatusCode::FORBIDDEN, "Your operator does not allow this", text)
        .with_way_on("/settings", "Look at your settings")
        .with_way_back(asking)
}

fn gone() -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "This request is no longer open",
        "It was open for more than ten minutes, belongs to another sign-in, or the app did not come for its answer. Go back \
         to the app and connect again.",
    )
}
