//! What arrives at `/authorize`, `/token` and the registration of apps.

use std::collections::BTreeSet;

use aipassport::domain::{
    access_token::SigningAlgorithm,
    authorization_details::{GrantedDetail, MAX_DETAILS_BYTES, MAX_MODELS, MAX_PERMISSIONS, Requested},
    consent::{Choice, Denial, LIFETIMES_SECONDS, PermissionChoice},
    grant::Terms,
    narrowing::narrow,
    oauth::{
        answer::Answer,
        authorization_request::{AuthorizationQuery, AuthorizationRequest, MAX_STATE_BYTES, Way, read_query},
        client::{Client, ClientAuth, ClientKind, GrantType},
        code::Binding,
        device::UserCode,
        error::RedirectReason,
        params::Params,
        pending_request::{Asked, DeviceRequest},
        pushed_request::{self, PushedReference},
        redirect_uri::{Destination, RedirectUri, csp_source, with_parameters},
        registration::{MAX_NAME_CHARS, MAX_REDIRECT_URIS, Registration},
        token_request::{Credentials, TokenRequest, granted_scope},
    },
    secret::{ClientSecret, Secret, SecretHash},
};
use serde_json::Map;
use url::Url;

use super::{ISSUER, NOW, fields, texts};

/// The registered one, and the one that is presented.
pub fn redirect_uri(input: &[u8]) {
    let Some([registered, presented]) = texts(input) else { return };
    // These two are also asked of text that nobody has parsed.
    let (_, _) = (Destination::of(registered), csp_source(registered));
    let Ok(uri) = registered.parse::<RedirectUri>() else { return };
    assert_eq!(uri.as_str(), registered);
    assert_eq!(uri.as_str().parse().as_ref(), Ok(&uri));
    assert!(uri.matches(registered));
    let destination = Destination::of(registered).expect("whatever is registered leads somewhere");
    let source = csp_source(registered).expect("whatever is registered can be written in a policy");
    assert!(source.bytes().all(|byte| byte.is_ascii_graphic() && !b";,'\"*".contains(&byte)), "{source}");
    assert!(!source.starts_with("javascript:") && !source.starts_with("data:") && source != "null", "{source}");
    keeps_its_address(registered, &with_parameters(registered, &[("code", presented)]), ("code", presented));
    if uri.matches(presented) && presented != registered {
        let presented: RedirectUri = presented.parse().expect("what matches could be registered");
        assert!(presented.matches(registered));
        assert_eq!(
            (&destination, Destination::of(presented.as_str())),
            (&Destination::ThisDevice, Some(Destination::ThisDevice))
        );
        let [registered, presented] = [&uri, &presented].map(|uri| Url::parse(uri.as_str()).unwrap());
        assert_eq!(registered.host(), presented.host());
        assert_eq!((registered.path(), registered.query()), (presented.path(), presented.query()));
    }
}

/// Whether an answer goes to the address that was proven, with its query kept and `added` behind it.
fn keeps_its_address(redirect_uri: &str, location: &str, added: (&str, &str)) {
    assert!(location.starts_with(redirect_uri));
    assert!(http::HeaderValue::from_str(location).is_ok());
    let [before, after] = [redirect_uri, location].map(|address| Url::parse(address).unwrap());
    let place = |url: &Url| {
        (url.scheme().to_owned(), url.host().map(|host| host.to_owned()), url.port(), url.path().to_owned())
    };
    assert_eq!(place(&before), place(&after));
    assert!(after.username().is_empty() && after.password().is_none() && after.fragment().is_none());
    let kept: Vec<_> = before.query_pairs().collect();
    let all: Vec<_> = after.query_pairs().collect();
    let (first, new) = all.split_at(kept.len());
    assert_eq!(kept, first);
    assert_eq!(new.iter().filter(|(name, _)| *name == added.0).count(), 1);
    assert!(new.iter().any(|(name, value)| *name == added.0 && *value == added.1));
}

/// Name, home page, redirect URIs.
pub fn registration(input: &[u8]) {
    let Some([name, home_page, redirect_uris]) = texts(input) else { return };
    match Registration::parse(name, home_page, redirect_uris) {
        Ok(registration) => {
            assert!((1..=MAX_NAME_CHARS).contains(&registration.name.chars().count()));
            assert!(!registration.name.chars().any(char::is_control));
            assert!(registration.home_page.starts_with("https://") || registration.home_page.starts_with("http://"));
            assert!((1..=MAX_REDIRECT_URIS).contains(&registration.redirect_uris.len()));
            let uris: Vec<&str> = registration.redirect_uris.iter().map(RedirectUri::as_str).collect();
            assert_eq!(uris.iter().collect::<BTreeSet<_>>().len(), uris.len());
            let again = Registration::parse(&registration.name, &registration.home_page, &uris.join("\n"));
            assert_eq!(again.as_ref(), Ok(&registration), "what was read reads as the same");
        }
        Err(errors) => assert!(errors.name.is_some() || errors.home_page.is_some() || errors.redirect_uris.is_some()),
    }
}

fn terms(requested: &Requested) -> Terms {
    Terms { permissions: requested.permissions.clone(), limits: requested.limits, expires_at: NOW, ..Terms::default() }
}

pub fn scope(input: &[u8]) {
    let Some([scope]) = texts(input) else { return };
    let Ok(requested) = Requested::from_scope(scope) else { return };
    let granted = granted_scope(&requested.permissions).expect("what was asked for as a scope can be said as one");
    assert_eq!(narrow(&terms(&requested), &requested), Ok(None), "all of it is no narrowing");
    assert_eq!(Requested::from_scope(&granted).as_ref(), Ok(&requested));
}

/// How the user narrows it, a byte a decision, and the `authorization_details`.
pub fn details(input: &[u8]) {
    let [decisions, json] = fields(input);
    let Ok(json) = core::str::from_utf8(json) else { return };
    let Ok(requested) = Requested::from_authorization_details(json) else { return };
    assert!((1..=MAX_PERMISSIONS).contains(&requested.permissions.len()));
    for permission in &requested.permissions {
        assert!((1..=MAX_MODELS).contains(&permission.models.len()) && !permission.capabilities.is_empty());
    }
    // Told to the app as it was granted, without the address, it would be the same request.
    let mut told = serde_json::to_value(GrantedDetail::list(&terms(&requested), ISSUER)).unwrap();
    for entry in told.as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("base_url");
    }
    let told = told.to_string();
    if told.len() <= MAX_DETAILS_BYTES {
        assert_eq!(Requested::from_authorization_details(&told).as_ref(), Ok(&requested));
    }
    let stored = serde_json::to_string(&requested).unwrap();
    assert_eq!(serde_json::from_str::<Requested>(&stored).as_ref().ok(), Some(&requested));
    narrowed(&requested, decisions);
}

fn narrowed(requested: &Requested, decisions: &[u8]) {
    let mut decisions = decisions.iter().copied();
    let mut next = || decisions.next().unwrap_or(u8::MAX);
    let permissions = requested.permissions.iter().enumerate().map(|(at, asked)| {
        // Also what belongs to another permission.
        let from = &requested.permissions[(at + usize::from(next() == 0)) % requested.permissions.len()];
        PermissionChoice {
            granted: next() != 0,
            models: from.models.iter().filter(|_| next() != 0).cloned().collect(),
            capabilities: from.capabilities.iter().filter(|_| next() != 0).copied().collect(),
            limits: if next() == 0 { requested.limits } else { asked.limits },
        }
    });
    let permissions = permissions.collect();
    let limits = if next() == 0 { requested.permissions[0].limits } else { requested.limits };
    let choice = Choice {
        permissions,
        limits,
        no_money_limit: next() != 0,
        lifetime_seconds: LIFETIMES_SECONDS[usize::from(next()) % LIFETIMES_SECONDS.len()],
    };
    let Ok(terms) = requested.narrow(&choice, NOW) else { return };
    assert!(!terms.permissions.is_empty() && terms.permissions.len() <= requested.permissions.len());
    assert!(terms.limits.is_within(&requested.limits));
    for granted in &terms.permissions {
        assert!(!granted.models.is_empty() && !granted.capabilities.is_empty());
        assert!(requested.permissions.iter().any(|asked| {
            asked.provider == granted.provider
                && granted.models.iter().all(|model| asked.models.contains(model))
                && granted.capabilities.is_subset(&asked.capabilities)
                && granted.limits.is_within(&asked.limits)
        }));
    }
}

pub fn form(input: &[u8]) {
    let params = Params::parse(input);
    for name in ["client_id", "scope", "code", "state", "models", "csrf", "a"] {
        let all: Vec<&str> = params.all(name).collect();
        assert_eq!(params.field(name), all.first().copied().unwrap_or_default());
        match (params.get(name), all.as_slice()) {
            (Ok(None), [] | [""]) | (Err(_), [_, _, ..]) => {}
            (Ok(Some(value)), [only]) => assert!(value == *only && !value.is_empty()),
            (got, all) => panic_with(&format!("{name}: {got:?} of {all:?}")),
        }
    }
}

#[track_caller]
fn panic_with(reason: &str) {
    assert!(reason.is_empty(), "{reason}");
}

fn client(auth: ClientAuth) -> Client {
    let uris = [
        "https://app.example/callback?kept=1",
        "http://127.0.0.1/callback",
        "http://[::1]:1/",
        "com.example.app:/back",
    ];
    Client {
        id: "app_1".parse().unwrap(),
        kind: ClientKind::Registered(None),
        name: "App".to_owned(),
        home_page: Some("https://app.example/".to_owned()),
        logo_uri: None,
        redirect_uris: uris.iter().map(|uri| uri.parse().unwrap()).collect(),
        grant_types: GrantType::ALL.into(),
        auth,
        prefers_secret_in_body: false,
        requires_par: false,
        requires_dpop: false,
        access_token_alg: SigningAlgorithm::EdDSA,
        described: Map::new(),
        created_at: NOW,
    }
}

pub fn authorize(input: &[u8]) {
    let Some([query]) = texts(input) else { return };
    let Ok(params) = read_query(query) else { return };
    refers_to_what_was_pushed(&params);
    let client = client(ClientAuth::Public);
    let pushed = pushed_request::read(params, &client, ISSUER);
    let Ok(parsed) = AuthorizationQuery::read(Params::parse(query.as_bytes()), Way::Browser) else { return };
    let Ok(proven) = parsed.prove(Some(&client)) else { return };
    let request = proven.request(ISSUER);
    let pushed = pushed.ok().map(|pushed| {
        assert!(pushed.is_pushed);
        AuthorizationRequest { is_pushed: false, ..pushed }
    });
    assert_eq!(pushed.as_ref(), request.as_ref().ok(), "what is pushed means the same, but for how it came");
    match request {
        Ok(request) => {
            assert!(client.may_redirect_to(&request.redirect_uri) && request.client_id == client.id);
            assert!(request.state.as_ref().is_none_or(|state| (1..=MAX_STATE_BYTES).contains(&state.len())));
            assert!(!request.requested.permissions.is_empty());
            is_stored(&request);
            for answer in [
                request.success("aip_ac_1", ISSUER),
                request.failure(&RedirectReason::Denied(Denial::default()), ISSUER),
            ] {
                assert_eq!(
                    (&answer.redirect_uri, answer.response_mode),
                    (&request.redirect_uri, request.response_mode)
                );
                reaches_the_app(&answer, request.state.as_deref());
            }
        }
        Err(error) => {
            let answer = error.answer(ISSUER);
            let uri = Params::parse(query.as_bytes()).field("redirect_uri").to_owned();
            assert!(client.may_redirect_to(&uri) && answer.redirect_uri == uri);
            assert!(answer.parameters.contains(&("error", error.reason.code().as_str().to_owned())));
            let state = answer.parameters.iter().find(|(name, _)| *name == "state");
            reaches_the_app(&answer, state.map(|(_, state)| state.as_str()));
        }
    }
}

fn refers_to_what_was_pushed(params: &Params) {
    let Ok(Some(reference)) = PushedReference::find(params) else { return };
    assert_eq!(params.get("request_uri"), Ok(Some(pushed_request::request_uri(&reference.handle).as_str())));
    assert_eq!(params.get("client_id"), Ok(Some(reference.client_id.as_str())));
}

/// Whether what waits for the person's answer, and what the code is bound to then, come back from the store as they went.
fn is_stored(request: &AuthorizationRequest) {
    let binding = Binding {
        dpop_jkt: request.dpop_jkt.clone(),
        resources: request.resources.clone(),
        auth_time: request.max_age.map(|age| NOW.plus_seconds(age)),
    };
    let stored = serde_json::to_string(&binding).unwrap();
    assert_eq!(serde_json::from_str::<Binding>(&stored).ok(), Some(binding));
    let stored = serde_json::to_string(request).unwrap();
    assert_eq!(serde_json::from_str::<AuthorizationRequest>(&stored).ok().as_ref(), Some(request));
    let asked = Asked::Redirect(Box::new(request.clone()));
    let stored = serde_json::to_string(&asked).unwrap();
    assert_eq!(serde_json::from_str::<Asked>(&stored).ok(), Some(asked));
}

/// Whether an answer arrives whole in the query, each parameter once.
fn reaches_the_app(answer: &Answer, state: Option<&str>) {
    let location = answer.location();
    assert_eq!(answer.parameters.iter().find(|(name, _)| *name == "state").map(|(_, state)| state.as_str()), state);
    assert!(answer.parameters.contains(&("iss", ISSUER.to_owned())));
    for (name, value) in &answer.parameters {
        keeps_its_address(&answer.redirect_uri, &location, (name, value));
    }
}

/// The secret of the confidential client, for the seeds: `aip_cs_` and what follows from 32 bytes of 7.
fn secret() -> Secret<ClientSecret> {
    Secret::from_entropy(&[7; 32])
}

/// The `Authorization` header, and the body.
pub fn token(input: &[u8]) {
    let [header, body] = fields(input);
    let params = Params::parse(body);
    if let Ok(TokenRequest::AuthorizationCode { code, redirect_uri, .. }) = TokenRequest::parse(&params) {
        assert_eq!(params.get("code"), Ok(Some(code.expose_secret())));
        assert_eq!(params.get("redirect_uri"), Ok(redirect_uri.as_deref()));
    }
    let Ok(credentials) = Credentials::from_request((!header.is_empty()).then_some(header), &params) else { return };
    let public = credentials.authenticate(Some(client(ClientAuth::Public)));
    let confidential = credentials.authenticate(Some(client(ClientAuth::Confidential(secret().hash()))));
    assert!(public.is_err() || confidential.is_err());
    if public.is_ok() {
        assert_eq!(credentials.client_id.as_str(), "app_1");
        assert_eq!(params.get("client_secret"), Ok(None));
    }
    if confidential.is_ok() && header.is_empty() {
        assert_eq!(params.get("client_secret"), Ok(Some(secret().expose_secret())));
    }
    assert!(credentials.authenticate(None).is_err());
}

/// What a person enters, and the form of the device that shows it.
pub fn device(input: &[u8]) {
    let [entered, form] = fields(input);
    let code = texts(entered).and_then(|[entered]| entered.parse::<UserCode>().ok());
    if let (Some(code), Some([entered])) = (&code, texts(entered)) {
        assert!(code.as_str().len() == 8 && code.as_str().bytes().all(|letter| letter.is_ascii_uppercase()));
        for written in [code.to_string(), code.as_str().to_lowercase()] {
            assert_eq!(written.parse().as_ref(), Ok(code), "the same however it is written");
        }
        let letters: String = entered.chars().filter(char::is_ascii_alphabetic).collect();
        assert_eq!(letters.to_ascii_uppercase(), code.as_str(), "no letter is taken for another");
        let stored = serde_json::to_string(code).unwrap();
        assert_eq!(serde_json::from_str::<UserCode>(&stored).ok().as_ref(), Some(code));
    }
    let params = Params::parse(form);
    let Ok(request) = DeviceRequest::read(&client(ClientAuth::Public), &params, ISSUER) else { return };
    assert!(!request.requested.permissions.is_empty());
    let user_code = code.unwrap_or_else(|| UserCode::from_entropy([7; 32]));
    let asked =
        Asked::Device { device_code: SecretHash::from_stored("ab".repeat(32)), user_code, request: Box::new(request) };
    let stored = serde_json::to_string(&asked).unwrap();
    assert_eq!(serde_json::from_str::<Asked>(&stored).ok(), Some(asked));
}
