//! `GET /authorize` (RFC 6749 §4.1.1): an app asks. What it asks for is shown by [`super::consent`].
//!
//! The request stands in the query, or was pushed before and is named there (RFC 9126 §4). A pushed one is used up at the moment at which
//! it is answered or shown for consent, not while the person still has to sign in.

use axum::{
    body::Body,
    extract::RawQuery,
    http::{HeaderMap, Response, StatusCode},
};

use super::{
    answer::deliver,
    asking::Asking,
    clients::{self, Asks, Known, Unresolved},
    consent,
    frame::Frame,
    language::Text,
    ports::{Ports, Write},
    rate_limit::network,
    sign_in,
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    id::ClientId,
    network::NetworkHash,
    oauth::{
        authorization_request::{AuthorizationQuery, AuthorizationRequest, RedirectError, Way, read_query},
        client::Client,
        error::LocalError,
        params::Params,
        pending_request::Asked,
        prompt::{Presence, Step},
        pushed_request::{PushedReference, SIGN_IN_SECONDS},
        sign_in_again::{self, Returned},
    },
    secret::{PushedRequest, Secret},
};

/// What the browser came with.
struct Found {
    client: Client,
    request: AuthorizationRequest,
    /// Its name, if it was pushed.
    pushed: Option<Secret<PushedRequest>>,
}

/// A request that can't be shown, of an app whose redirect URI is proven.
struct Faulty {
    client: Client,
    error: RedirectError,
}

/// `GET /authorize`.
///
/// # Errors
/// A page, until client and redirect URI are proven; from there on errors travel to the app.
pub async fn show<P: Ports>(
    state: AppState<P>,
    frame: Frame,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let query = query.unwrap_or_default();
    if query == consent::RESUME {
        return consent::resume(&state, &frame, &headers).await;
    }
    let visitor = frame.visitor.clone();
    let returned = Returned::read(&query);
    let params = read_query(returned.query).map_err(unproven)?;
    let here = format!("/authorize?{}", returned.query);
    if visitor.is_none() && makes_us_read(&state, &params).await? {
        // Whether the redirect URI is that app's own isn't known yet.
        return Ok(sign_in::ask_for_app(&state.config, &frame, &here, None));
    }
    let network = network(&headers, &state.config.cookie_key);
    let found = match PushedReference::find(&params).map_err(unproven)? {
        Some(reference) => pushed(&state, reference, &network).await?,
        None => match in_query(&state, params, &network).await? {
            Ok(found) => found,
            // RFC 9700 §4.11.2: nobody is sent on who didn't sign in, or a faulty request to an app that registered itself would be a link
            // at this broker to anywhere.
            Err(faulty) if visitor.is_some() || faulty.error.is_silent => {
                return Ok(deliver(&faulty.error.answer(&state.config.issuer), frame.language));
            }
            Err(faulty) => {
                let asking = Asking::answered(&faulty.client, faulty.error.answer(&state.config.issuer));
                return Ok(sign_in::ask_for_app(&state.config, &frame, &here, Some(&asking)));
            }
        },
    };
    match (found.request.next_step(presence(&state, visitor.as_ref(), &returned), state.now), visitor) {
        (Step::Consent, Some(visitor)) => {
            let asked = Asked::Redirect(Box::new(found.request));
            // What can't be asked of this person is not used up: the page that says so can be loaded again.
            let admitted = consent::admit(&state, frame.language, &visitor, &found.client, asked).await?;
            use_up(&state, found.pushed.as_ref()).await?;
            consent::show(&state, &frame, &visitor, &found.client, admitted).await
        }
        (Step::Refuse(reason), _) => {
            use_up(&state, found.pushed.as_ref()).await?;
            Ok(deliver(&found.request.failure(&reason, &state.config.issuer), frame.language))
        }
        (Step::SignIn | Step::Consent, _) => ask_to_sign_in(&state, &frame, &found, returned.query).await,
    }
}

/// Whether the client's document would have to be read: for a person without a session it isn't.
async fn makes_us_read<P: Ports>(state: &AppState<P>, params: &Params) -> Result<bool, Trouble> {
    let client_id = params.get("client_id").ok().flatten().and_then(|text| text.parse().ok());
    let Some(client_id) = client_id.filter(|client_id| clients::is_document(state, client_id)) else {
        return Ok(false);
    };
    Ok(matches!(clients::look_up(state, &client_id, Asks::Person).await?, Known::Unread(_)))
}

/// Who a signed-in person is asked about: a document that isn't fresh is read now.
async fn client<P: Ports>(
    state: &AppState<P>,
    id: &ClientId,
    network: &NetworkHash,
) -> Result<Option<Client>, Unresolved> {
    match clients::look_up(state, id, Asks::Person).await? {
        Known::Ready(client) => Ok(client),
        Known::Unread(known) => clients::read_document(state, id, known, network).await.map(Some),
    }
}

/// The request that stands in the query.
async fn in_query<P: Ports>(
    state: &AppState<P>,
    params: Params,
    network: &NetworkHash,
) -> Result<Result<Found, Box<Faulty>>, Trouble> {
    let asked = AuthorizationQuery::read(params, Way::Browser).map_err(unproven)?;
    let client = client(state, &asked.client_id, network).await?;
    let proven = asked.prove(client.as_ref()).map_err(unproven)?;
    let client = client.ok_or_else(|| unproven(LocalError::UnknownClient))?;
    Ok(match proven.request(&state.config.issuer) {
        Ok(request) => Ok(Found { client, request, pushed: None }),
        Err(error) => Err(Box::new(Faulty { client, error })),
    })
}

/// The request that was pushed. Whose it is, and whether its redirect URI still is the client's, is asked again: the client may have changed.
async fn pushed<P: Ports>(
    state: &AppState<P>,
    reference: PushedReference,
    network: &NetworkHash,
) -> Result<Found, Trouble> {
    let client = client(state, &reference.client_id, network).await?;
    let client = client.ok_or_else(|| unproven(LocalError::UnknownClient))?;
    let row = state.ports.find_pushed_request(&reference.handle.hash()).await?;
    let row = row.filter(|row| row.is_open_to(&client.id, state.now)).ok_or_else(over)?;
    if !client.may_redirect_to(&row.request.redirect_uri) {
        return Err(unproven(LocalError::UnregisteredRedirectUri));
    }
    Ok(Found { client, request: row.request, pushed: Some(reference.handle) })
}

fn presence<P: Ports>(state: &AppState<P>, visitor: Option<&Visitor>, returned: &Returned<'_>) -> Presence {
    visitor.map_or(Presence::Nobody, |visitor| Presence::SignedIn {
        since: visitor.since,
        for_this: returned.is_met_by(&state.config.cookie_key, &visitor.session, visitor.since, state.now),
    })
}

async fn use_up<P: Ports>(state: &AppState<P>, handle: Option<&Secret<PushedRequest>>) -> Result<(), Trouble> {
    let Some(handle) = handle else { return Ok(()) };
    match state.ports.use_pushed_request(&handle.hash(), state.now).await? {
        Write::Won => Ok(()),
        Write::Lost => Err(over()),
    }
}

async fn ask_to_sign_in<P: Ports>(
    state: &AppState<P>,
    frame: &Frame,
    found: &Found,
    query: &str,
) -> Result<Response<Body>, Trouble> {
    if let Some(handle) = &found.pushed {
        let until = state.now.plus_seconds(SIGN_IN_SECONDS);
        // Lost: somebody was given the time before. That a request lives ten minutes more it can have once.
        let (Write::Won | Write::Lost) = state.ports.open_pushed_request(&handle.hash(), until, state.now).await?;
    }
    let session = frame.visitor.as_ref().map(|visitor| &visitor.session);
    let way_back = if found.request.minds_sign_in() {
        sign_in_again::with_ticket(&state.config.cookie_key, query, session, state.now)
    } else {
        query.to_owned()
    };
    let asking = Asking::of_request(&found.client, &found.request, &state.config.issuer);
    Ok(sign_in::ask_for_app(&state.config, frame, &format!("/authorize?{way_back}"), Some(&asking)))
}

fn unproven(error: LocalError) -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "This request can not be shown",
        Text::new("The app that sent you here made a mistake: {0}. You were not sent on, and nothing was allowed.")
            .with(error.to_string()),
    )
    .with_detail(format!("{error:?}"))
}

/// One page for all that a `request_uri` can be beside usable: a stranger learns nothing of other apps' requests.
fn over() -> Trouble {
    Trouble::new(
        StatusCode::BAD_REQUEST,
        "This request is no longer open",
        "It was opened before, took too long, or is another app's: the app's link works once, for a short time. Nothing was \
         allowed. Go back to the app and connect again.",
    )
    .with_detail("request_uri")
}

impl From<Unresolved> for Trouble {
    fn from(error: Unresolved) -> Self {
        let error = match error {
            Unresolved::Store(error) => return error.into(),
            Unresolved::Document(error) => error,
        };
        Trouble::new(
            StatusCode::BAD_REQUEST,
            "This app can not be identified",
            Text::new(
                "The app says who it is at its own address, and what lies there can not be used: {0}. Nothing was allowed. Only \
                 whoever makes the app can put this right.",
            )
            .with(error.to_string()),
        )
        .with_detail(format!("{error:?}"))
    }
}
