//! `GET /authorize` (RFC 6749 §4.1.1): an app asks. What it asks for is shown by [`super::consent`].

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{Response, StatusCode},
};

use super::{
    answer::deliver,
    clients::{self, Asks, Unresolved},
    consent,
    page::Trouble,
    ports::Ports,
    sign_in,
    state::AppState,
    visitor::Guest,
};
use crate::domain::oauth::{
    authorization_request::{Asked, AuthorizationQuery},
    error::LocalError,
};

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
    if visitor.is_none() && clients::must_be_read(&state, &asked.client_id).await? {
        return Ok(sign_in::ask_for_app(&state.config, &format!("/authorize?{query}")));
    }
    let client = clients::resolve(&state, &asked.client_id, Asks::Person).await?;
    let proven = asked.prove(client.as_ref()).map_err(unproven)?;
    let Some(client) = client else { return Err(unproven(LocalError::UnknownClient)) };
    let request = match proven.request(&state.config.issuer) {
        Ok(request) => request,
        Err(error) => return Ok(deliver(&error.answer(&state.config.issuer))),
    };
    let Some(visitor) = visitor else { return Ok(sign_in::ask_for_app(&state.config, &format!("/authorize?{query}"))) };
    consent::show(&state, visitor, &client, Asked::Redirect(Box::new(request))).await
}

fn unproven(error: LocalError) -> Trouble {
    let text =
        format!("The app that sent you here made a mistake: {error}. You were not sent on, and nothing was allowed.");
    Trouble::new(StatusCode::BAD_REQUEST, "This request can not be shown", text).with_detail(format!("{error:?}"))
}

impl From<Unresolved> for Trouble {
    fn from(error: Unresolved) -> Self {
        let error = match error {
            Unresolved::Store(error) => return error.into(),
            Unresolved::Document(error) => error,
        };
        let text = format!(
            "The app says who it is at its own address, and what lies there can not be used: {error}. Nothing was allowed. Only \
             whoever makes the app can put this right."
        );
        Self::new(StatusCode::BAD_REQUEST, "This app can not be identified", text).with_detail(format!("{error:?}"))
    }
}
