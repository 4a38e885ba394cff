//! `/apps`: the apps that may ask for grants, registered by hand.

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, RawQuery, State},
    http::{Response, StatusCode},
};

use super::{
    format::Moment,
    page::{Trouble, html, see_other},
    ports::{Ports, Role, Write},
    revoke::end_grant,
    session::{OwnForm, SignedIn},
    state::AppState,
    visitor::Visitor,
};
use crate::domain::{
    access_token::SigningAlgorithm,
    id::ClientId,
    oauth::{
        client::{Client, ClientAuth, ClientKind, GrantType},
        params::Params,
        registration::{MAX_HOME_PAGE_BYTES, MAX_NAME_CHARS, Registration, RegistrationErrors},
    },
    secret::{ClientSecret, Secret},
};

/// Most apps on the page.
const MAX_APPS: u32 = 200;
/// Grants that are revoked in one go when an app is deleted; then the database is asked for more.
const REVOKE_BATCH: u32 = 50;
/// The platform bounds what one request may do; whoever has more presses the button again.
const MAX_REVOKE_BATCHES: u32 = 8;

#[derive(Template)]
#[template(path = "apps.html")]
struct AppsPage {
    visitor: Option<Visitor>,
    apps: Vec<AppView>,
    /// The app that was registered a moment ago.
    just_registered: Option<String>,
    just_deleted: bool,
    form: FormView,
}

struct AppView {
    client_id: String,
    name: String,
    home_page: Option<String>,
    redirect_uris: Vec<String>,
    is_confidential: bool,
    created: Moment,
    /// Brought along by the deployment.
    is_built_in: bool,
}

/// The form as it was filled in, and what was wrong with it.
#[derive(Default)]
struct FormView {
    name: String,
    home_page: String,
    redirect_uris: String,
    is_confidential: bool,
    errors: RegistrationErrors,
}

impl FormView {
    /// A form that is wrong stands first on the page, or its errors are below the fold.
    fn is_refused(&self) -> bool {
        self.errors != RegistrationErrors::default()
    }
}

#[derive(Template)]
#[template(path = "app_secret.html")]
struct SecretPage<'a> {
    visitor: Option<Visitor>,
    name: &'a str,
    client_id: &'a str,
    secret: &'a str,
    token_endpoint: String,
}

/// `GET /apps`.
///
/// # Errors
/// The database can't answer.
pub async fn list<P: Ports>(
    State(state): State<AppState<P>>,
    SignedIn(visitor): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let registered = Some(query.field("registered")).filter(|id| !id.is_empty()).map(str::to_owned);
    let mut page = page(&state, visitor, FormView::default()).await?;
    page.just_registered = registered.filter(|id| page.apps.iter().any(|app| app.client_id == *id));
    page.just_deleted = query.field("done") == "deleted";
    Ok(html(StatusCode::OK, &page))
}

/// `POST /apps`: registers an app. A confidential one's secret is on the answer, and never again.
///
/// # Errors
/// The database can't answer. A form that is wrong is shown again, with 400.
pub async fn register<P: Ports>(State(state): State<AppState<P>>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params } = form;
    let filled_in = |errors| FormView {
        name: params.field("name").to_owned(),
        home_page: params.field("home_page").to_owned(),
        redirect_uris: params.field("redirect_uris").to_owned(),
        is_confidential: params.field("client_type") == "confidential",
        errors,
    };
    let parsed = Registration::parse(params.field("name"), params.field("home_page"), params.field("redirect_uris"));
    let registration = match parsed {
        Ok(registration) => registration,
        Err(errors) => return Ok(html(StatusCode::BAD_REQUEST, &page(&state, visitor, filled_in(errors)).await?)),
    };
    let secret = (params.field("client_type") == "confidential")
        .then(|| Secret::<ClientSecret>::from_entropy(&state.ports.entropy32()));
    let client = Client {
        id: ClientId::from_entropy(state.ports.entropy16()),
        kind: ClientKind::Registered(Some(visitor.user.id.clone())),
        name: registration.name,
        home_page: Some(registration.home_page),
        logo_uri: None,
        redirect_uris: registration.redirect_uris,
        auth: secret.as_ref().map_or(ClientAuth::Public, |secret| ClientAuth::Confidential(secret.hash())),
        grant_types: GrantType::ALL.into(),
        requires_par: false,
        requires_dpop: false,
        access_token_alg: SigningAlgorithm::EdDSA,
        created_at: state.now,
    };
    state.ports.insert_client(&client).await?;
    let Some(secret) = secret else { return Ok(see_other(&format!("/apps?registered={}", client.id))) };
    let page = SecretPage {
        visitor: Some(visitor),
        name: &client.name,
        client_id: client.id.as_str(),
        secret: secret.expose_secret(),
        token_endpoint: format!("{}/token", state.config.issuer),
    };
    Ok(html(StatusCode::CREATED, &page))
}

/// `POST /apps/{client_id}/delete`: takes back every grant that the app has, from whomever, and then the app.
///
/// # Errors
/// No such app of this person, or a ledger or the database can't answer: then the app is still there, to try again.
pub async fn delete<P: Ports>(
    State(state): State<AppState<P>>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let id: ClientId = id.parse().map_err(|_| Trouble::not_found())?;
    let client = state.ports.find_client(&id).await?;
    client.filter(|client| may_manage(&form.visitor, client)).ok_or_else(Trouble::not_found)?;
    end_grants(&state, &id).await?;
    if state.ports.delete_client(&id).await? == Write::Lost {
        return Err(Trouble::not_found());
    }
    // What was allowed between the two; from here on nothing can be.
    end_grants(&state, &id).await?;
    Ok(see_other("/apps?done=deleted"))
}

async fn end_grants<P: Ports>(state: &AppState<P>, id: &ClientId) -> Result<(), Trouble> {
    for _ in 0..MAX_REVOKE_BATCHES {
        let grants = state.ports.list_active_grants_of_client(id, state.now, REVOKE_BATCH).await?;
        if grants.is_empty() {
            return Ok(());
        }
        for grant in &grants {
            end_grant(state, grant).await?;
        }
    }
    let text = "This app has very many grants, and not all of them are revoked yet. Delete it again to go on.";
    Err(Trouble::new(StatusCode::CONFLICT, "Not done yet", text).with_way_on("/apps", "Back to the apps"))
}

fn may_manage(visitor: &Visitor, client: &Client) -> bool {
    visitor.user.role == Role::Operator || client.owner() == Some(&visitor.user.id)
}

async fn page<P: Ports>(state: &AppState<P>, visitor: Visitor, form: FormView) -> Result<AppsPage, Trouble> {
    let owner = (visitor.user.role != Role::Operator).then_some(&visitor.user.id);
    let clients = state.ports.list_clients(owner, MAX_APPS).await?;
    let apps = clients.into_iter().map(|client| AppView::new(client, state)).collect();
    Ok(AppsPage { visitor: Some(visitor), apps, just_registered: None, just_deleted: false, form })
}

impl AppView {
    fn new<P: Ports>(client: Client, state: &AppState<P>) -> Self {
        Self {
            client_id: client.id.to_string(),
            is_confidential: client.auth != ClientAuth::Public,
            redirect_uris: client.redirect_uris.iter().map(ToString::to_string).collect(),
            created: Moment::new(client.created_at, state.now),
            is_built_in: client.kind == ClientKind::Registered(None),
            name: client.name,
            home_page: client.home_page,
        }
    }
}
