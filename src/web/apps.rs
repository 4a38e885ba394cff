//! `/apps`: the apps that may ask for grants. Here they are registered by hand; its operator sees those that came by themselves, too.

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, RawQuery},
    http::{Response, StatusCode},
};
use url::form_urlencoded;

use super::{
    audit,
    clients::{Removal, remove},
    frame::Frame,
    language::{Moment, Text, filters},
    page::see_other,
    ports::{Ports, Role},
    session::{OwnForm, SignedIn},
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    access_token::SigningAlgorithm,
    audit::{Actor, Entry, Event},
    id::ClientId,
    oauth::{
        client::{Client, ClientAuth, ClientKeys, ClientKind, GrantType},
        client_metadata::{MetadataError, client_keys},
        params::Params,
        registration::{MAX_HOME_PAGE_BYTES, MAX_NAME_CHARS, Registration, RegistrationErrors, WrongRedirectUris},
        remote_address::Reach,
    },
    secret::{ClientSecret, Secret},
};

/// Most apps on the page.
const MAX_APPS: u32 = 200;

#[derive(Template)]
#[template(path = "apps.html")]
struct AppsPage {
    frame: Frame,
    apps: Vec<AppView>,
    /// The app that was registered a moment ago.
    just_registered: Option<String>,
    just_deleted: bool,
    /// Whether apps come that nobody registered.
    takes_strangers: bool,
    form: FormView,
}

struct AppView {
    client_id: String,
    name: String,
    home_page: Option<String>,
    redirect_uris: Vec<String>,
    /// How it proves who it is, in a word.
    tag: Text,
    /// How the broker came to know it, where nobody registered it by hand.
    came_by: Option<Text>,
    /// How its day is called.
    since: Text,
    created: Moment,
    /// Where its form to delete it goes.
    delete_path: String,
}

/// What the form says that an app is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AppType {
    #[default]
    Public,
    Confidential,
    Signing,
}

impl AppType {
    fn of(params: &Params) -> Self {
        match params.field("client_type") {
            "confidential" => Self::Confidential,
            "private_key_jwt" => Self::Signing,
            _ => Self::Public,
        }
    }
}

/// The form as it was filled in, and what was wrong with it.
#[derive(Default)]
struct FormView {
    name: String,
    home_page: String,
    redirect_uris: String,
    kind: AppType,
    jwks: String,
    jwks_uri: String,
    requires_par: bool,
    requires_dpop: bool,
    errors: FormErrors,
}

/// What is wrong with it, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FormErrors {
    name: Option<Text>,
    home_page: Option<Text>,
    redirect_uris: Option<Text>,
    keys: Option<Text>,
}

impl FormErrors {
    fn new(errors: RegistrationErrors, keys: Option<&MetadataError>) -> Self {
        Self {
            name: errors.name.map(Text::new),
            home_page: errors.home_page.map(Text::new),
            redirect_uris: errors.redirect_uris.map(|wrong| match wrong {
                WrongRedirectUris::Line(line, error) => {
                    Text::new("line {0}: {1}").with(line.to_string()).with(error.to_string())
                }
                WrongRedirectUris::TooMany | WrongRedirectUris::None => Text::new(wrong.to_string()),
            }),
            keys: keys.map(|error| Text::new(error.to_string())),
        }
    }
}

impl FormView {
    /// A form that is wrong stands first on the page, or its errors are below the fold.
    fn is_refused(&self) -> bool {
        self.errors != FormErrors::default()
    }

    /// Whether something stands in the part that is folded away.
    fn says_more(&self) -> bool {
        self.kind == AppType::Signing || self.requires_par || self.requires_dpop
    }
}

#[derive(Template)]
#[template(path = "app_secret.html")]
struct SecretPage<'a> {
    frame: Frame,
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
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let registered = Some(query.field("registered")).filter(|id| !id.is_empty()).map(str::to_owned);
    let mut page = page(&state, &visitor, frame.clone(), FormView::default()).await?;
    page.just_registered = registered.filter(|id| page.apps.iter().any(|app| app.client_id == *id));
    page.just_deleted = query.field("done") == "deleted";
    Ok(frame.html(StatusCode::OK, &page))
}

/// `POST /apps`: registers an app. A confidential one's secret is on the answer, and never again.
///
/// # Errors
/// The database can't answer. A form that is wrong is shown again, with 400.
pub async fn register<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    let kind = AppType::of(&params);
    let filled_in = |errors| FormView {
        name: params.field("name").to_owned(),
        home_page: params.field("home_page").to_owned(),
        redirect_uris: params.field("redirect_uris").to_owned(),
        kind,
        jwks: params.field("jwks").to_owned(),
        jwks_uri: params.field("jwks_uri").to_owned(),
        requires_par: is_ticked(&params, "requires_par"),
        requires_dpop: is_ticked(&params, "requires_dpop"),
        errors,
    };
    let parsed = Registration::parse(params.field("name"), params.field("home_page"), params.field("redirect_uris"));
    let keys = (kind == AppType::Signing).then(|| read_keys(&params, state.config.registration.reach)).transpose();
    let (registration, keys) = match (parsed, keys) {
        (Ok(registration), Ok(keys)) => (registration, keys),
        (parsed, keys) => {
            let form = filled_in(FormErrors::new(parsed.err().unwrap_or_default(), keys.err().as_ref()));
            return Ok(frame.html(StatusCode::BAD_REQUEST, &page(&state, &visitor, frame.clone(), form).await?));
        }
    };
    let secret =
        (kind == AppType::Confidential).then(|| Secret::<ClientSecret>::from_entropy(&state.ports.entropy32()));
    let auth = match (&secret, keys) {
        (Some(secret), _) => ClientAuth::Confidential(secret.hash()),
        (None, Some(keys)) => ClientAuth::PrivateKey(keys),
        (None, None) => ClientAuth::Public,
    };
    let client = Client {
        id: ClientId::from_entropy(state.ports.entropy16()),
        kind: ClientKind::Registered(Some(visitor.user.id.clone())),
        name: registration.name,
        home_page: Some(registration.home_page),
        logo_uri: None,
        redirect_uris: registration.redirect_uris,
        auth,
        prefers_secret_in_body: false,
        grant_types: GrantType::ALL.into(),
        requires_par: is_ticked(&params, "requires_par"),
        requires_dpop: is_ticked(&params, "requires_dpop"),
        access_token_alg: SigningAlgorithm::EdDSA,
        described: serde_json::Map::new(),
        created_at: state.now,
    };
    state.ports.insert_client(&client).await?;
    let answer = match &secret {
        None => see_other(&format!("/apps?registered={}", client.id)),
        Some(secret) => {
            let page = SecretPage {
                frame: frame.clone(),
                name: &client.name,
                client_id: client.id.as_str(),
                secret: secret.expose_secret(),
                token_endpoint: format!("{}/token", state.config.issuer),
            };
            frame.html(StatusCode::CREATED, &page)
        }
    };
    let entry = audit::entry(&state, &visitor, Event::AppRegistered).subject(&client.name).detail(client.id.as_str());
    Ok(audit::note(&state, &frame, entry, answer).await)
}

/// `POST /apps/{client_id}/delete`: takes back every grant that the app has, from whomever, and then the app.
///
/// # Errors
/// No such app of this person, or a ledger or the database can't answer: then the app is still there, to try again.
pub async fn delete<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    form: OwnForm,
) -> Result<Response<Body>, Trouble> {
    let id: ClientId = id.parse().map_err(|_| Trouble::not_found())?;
    let OwnForm { visitor, frame, .. } = form;
    let client = state.ports.find_client(&id).await?;
    let client = client.filter(|client| may_manage(&visitor, client)).ok_or_else(Trouble::not_found)?;
    match remove(&state, &id).await? {
        Removal::Done => {}
        Removal::Gone => return Err(Trouble::not_found()),
        Removal::MoreToDo => {
            return Err(Trouble::new(
                StatusCode::CONFLICT,
                "Not done yet",
                "This app has very many grants, and not all of them are revoked yet. Delete it again to go on.",
            )
            .with_way_on("/apps", "Back to the apps"));
        }
    }
    let deleted = audit::entry(&state, &visitor, Event::AppDeleted).subject(&client.name).detail(id.as_str());
    let mut answer = see_other("/apps?done=deleted");
    if let Some(owner) = client.owner().filter(|owner| **owner != visitor.user.id) {
        // They learn that it happened, and not from where.
        let theirs = Entry { user: owner.clone(), ..deleted.clone() }.by(Actor::Broker).detail("by an operator");
        answer = audit::note(&state, &Frame::default(), theirs, answer).await;
    }
    Ok(audit::note(&state, &frame, deleted, answer).await)
}

fn is_ticked(params: &Params, name: &str) -> bool {
    !params.field(name).is_empty()
}

fn read_keys(params: &Params, reach: Reach) -> Result<ClientKeys, MetadataError> {
    let text = |name| Some(params.field(name).trim()).filter(|text| !text.is_empty());
    client_keys(text("jwks"), text("jwks_uri"), reach)
}

fn may_manage(visitor: &Visitor, client: &Client) -> bool {
    visitor.user.role == Role::Operator || client.owner() == Some(&visitor.user.id)
}

async fn page<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    frame: Frame,
    form: FormView,
) -> Result<AppsPage, Trouble> {
    let owner = (visitor.user.role != Role::Operator).then_some(&visitor.user.id);
    let clients = state.ports.list_clients(owner, MAX_APPS).await?;
    let apps = clients.into_iter().map(|client| AppView::new(client, state)).collect();
    let policy = state.config.registration;
    let takes_strangers = policy.is_dynamic || policy.takes_documents;
    Ok(AppsPage { frame, apps, just_registered: None, just_deleted: false, takes_strangers, form })
}

impl AppView {
    fn new<P: Ports>(client: Client, state: &AppState<P>) -> Self {
        let (came_by, since) = match &client.kind {
            ClientKind::Registered(Some(_)) => (None, Text::new("Registered")),
            ClientKind::Registered(None) => (None, Text::new("Added")),
            ClientKind::Dynamic(_) => (Some(Text::new("registered itself")), Text::new("Registered")),
            ClientKind::Document { .. } => (Some(Text::new("known by its document")), Text::new("First seen")),
        };
        let id: String = form_urlencoded::byte_serialize(client.id.as_str().as_bytes()).collect();
        Self {
            tag: match &client.auth {
                ClientAuth::Public => Text::new("public"),
                ClientAuth::Confidential(_) => Text::new("confidential"),
                ClientAuth::PrivateKey(_) => Text::new("signs with a key"),
            },
            came_by,
            since,
            delete_path: format!("/apps/{id}/delete"),
            client_id: client.id.to_string(),
            redirect_uris: client.redirect_uris.iter().map(ToString::to_string).collect(),
            created: Moment::new(client.created_at, state.now),
            name: client.name,
            home_page: client.home_page,
        }
    }
}
