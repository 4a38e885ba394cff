//! Tokens for less than what was granted, as they are asked for at `/token`.

use aipassport::domain::{
    access_token::{AccessClaims, AccessTokenError, SigningAlgorithm},
    authorization_details::Requested,
    grant::Terms,
    jose::JwkThumbprint,
    limits::Limits,
    narrowing::{details, narrow},
    oauth::{
        exchange_request::ExchangeRequest,
        params::Params,
        resource::Resources,
        token_request::{Wanted, granted_scope},
    },
    permission::{Permission, Provider},
};

use super::{
    ISSUER, NOW, texts,
    tokens::{example_claims, with_keys},
};

/// Whether a token for `resources` is for this provider.
fn are_for(resources: &Resources, provider: Provider) -> bool {
    let base_url = format!("{ISSUER}{}", provider.base_path());
    resources.audience(ISSUER).iter().any(|one| *one == ISSUER || *one == base_url)
}

fn are_parts_of_the_broker(resources: &Resources) {
    let audience = resources.audience(ISSUER);
    assert!(!audience.is_empty());
    for (at, one) in audience.iter().enumerate() {
        let path = one.strip_prefix(ISSUER).expect("it is the broker's");
        assert!(path.is_empty() || Provider::ALL.iter().any(|provider| provider.base_path() == path), "{one}");
        assert!(!audience[..at].contains(one), "each once");
    }
    let stored = serde_json::to_string(resources).unwrap();
    assert_eq!(serde_json::from_str::<Resources>(&stored).ok().as_ref(), Some(resources));
    let of_token = Resources::of_audience(&audience, ISSUER);
    for provider in Provider::ALL {
        assert_eq!(are_for(&of_token, provider), are_for(resources, provider));
    }
}

/// A body; `agreed` is where the `resource`s of the authorization stand.
pub fn wanted(input: &[u8]) {
    let params = Params::parse(input);
    let wanted = Wanted::parse(&params, ISSUER);
    if let Ok(wanted) = &wanted {
        let (details, scope) = (params.get("authorization_details").unwrap(), params.get("scope").unwrap());
        assert!(details.is_none() || scope.is_none());
        assert_eq!((wanted.by_scope, wanted.requested.is_some()), (scope.is_some(), details.or(scope).is_some()));
        are_parts_of_the_broker(&wanted.resources);
        if let Ok(agreed) = Resources::read(params.all("agreed"), ISSUER)
            && let Ok(narrowed) = agreed.narrowed_to(wanted.resources.clone(), ISSUER)
        {
            are_parts_of_the_broker(&narrowed);
            let wider = |provider: &&Provider| are_for(&narrowed, **provider) && !are_for(&agreed, **provider);
            assert_eq!(Provider::ALL.iter().find(wider), None);
        }
    }
    let Ok(exchange) = ExchangeRequest::parse(&params) else { return };
    assert_eq!(params.get("subject_token"), Ok(Some(exchange.subject_token.as_str())));
    assert_ne!(exchange.expires_in, Some(0));
    assert_eq!(params.get("dpop_jkt"), Ok(exchange.dpop_jkt.as_ref().map(JwkThumbprint::as_str)));
    assert_eq!(params.get("actor_token"), Ok(None), "nobody else is acted for");
    let Ok(wanted) = wanted else { return };
    let Ok(both) = exchange.audience(wanted.resources.clone(), ISSUER) else { return };
    are_parts_of_the_broker(&both);
    for one in both.audience(ISSUER) {
        let is_asked_for = |name| params.all(name).any(|asked| asked.strip_suffix('/').unwrap_or(asked) == one);
        assert!(is_asked_for("resource") || is_asked_for("audience") || both == Resources::default());
    }
}

fn requested(text: &str) -> Option<Requested> {
    if text.starts_with('[') {
        Requested::from_authorization_details(text).ok()
    } else {
        Requested::from_scope(text).ok()
    }
}

/// What is granted, what is asked for (each a scope, or the JSON of `authorization_details`), and a model.
pub fn narrowing(input: &[u8]) {
    let Some([granted, asked, model]) = texts(input) else { return };
    let (Some(granted), Some(asked)) = (requested(granted), requested(asked)) else { return };
    let terms = Terms {
        permissions: granted.permissions,
        limits: granted.limits,
        expires_at: NOW.plus_seconds(3600),
        revision: 1,
        ..Terms::default()
    };
    let stored = serde_json::to_string(&terms).unwrap();
    assert_eq!(serde_json::from_str::<Terms>(&stored).ok().as_ref(), Some(&terms));
    let all = Requested { permissions: terms.permissions.clone(), limits: terms.limits };
    let Ok(narrowed) = narrow(&terms, &asked) else {
        assert_ne!(asked, all, "all of it can be asked for");
        return;
    };
    assert!(asked.limits.is_empty() || asked.limits == terms.limits);
    let effective = narrowed.as_deref().unwrap_or(&terms.permissions);
    let texts = asked.permissions.iter().flat_map(|one| &one.models).map(|pattern| pattern.as_str().replace('*', ""));
    for model in texts.flat_map(|text| [format!("{text}x"), text]).chain([model.to_owned()]) {
        is_allowed_by_both(&model, effective, &terms.permissions, &asked.permissions);
    }
    is_told(&terms, narrowed.as_deref());
    let Some(narrowed) = narrowed else { return };
    assert!(narrowed.iter().all(|permission| permission.limits == Limits::NONE), "the ledger knows those of the grant");
    let again = Requested { permissions: narrowed.clone(), limits: Limits::NONE };
    let again = narrow(&terms, &again).expect("what was allowed is allowed");
    assert!(again.is_none_or(|again| again == narrowed));
    is_carried(narrowed);
}

/// Whoever holds the token may do what was asked for, of what was granted, and nothing else.
fn is_allowed_by_both(model: &str, effective: &[Permission], granted: &[Permission], asked: &[Permission]) {
    for permission in effective.iter().filter(|permission| permission.allows_model(model)) {
        for capability in &permission.capabilities {
            let is_in = |list: &[Permission]| {
                list.iter().any(|other| {
                    other.provider == permission.provider
                        && other.capabilities.contains(capability)
                        && other.allows_model(model)
                })
            };
            assert!(is_in(granted), "{model} was not granted");
            assert!(is_in(asked), "{model} was not asked for");
        }
    }
}

/// A token response names the permissions of the token with the limits that bind them.
fn is_told(terms: &Terms, narrowed: Option<&[Permission]>) {
    let told = serde_json::to_value(details(terms, narrowed, ISSUER)).unwrap();
    let told = told.as_array().unwrap();
    let names_limits = usize::from(!terms.limits.is_empty());
    let effective = narrowed.unwrap_or(&terms.permissions);
    assert_eq!(told.len(), effective.len() + names_limits);
    for (told, permission) in told.iter().zip(effective) {
        assert_eq!(told["provider"], permission.provider.as_str());
        assert_eq!(told["models"], serde_json::to_value(&permission.models).unwrap());
        let limits = told.get("limits").map_or(Ok(Limits::NONE), |limits| serde_json::from_value(limits.clone()));
        let limits = limits.expect("limits are told as they are asked for");
        assert!(terms.limits_of_permissions().any(|granted| *granted == limits));
    }
}

/// A token says of itself what it was narrowed to.
fn is_carried(narrowed: Vec<Permission>) {
    let claims =
        AccessClaims { scope: granted_scope(&narrowed), narrowed: Some(narrowed), auth_time: None, ..example_claims() };
    with_keys(|keys| match keys.sign(&claims, SigningAlgorithm::EdDSA) {
        Ok(token) => assert_eq!(keys.verify(&token, ISSUER, NOW).as_ref(), Ok(&claims)),
        Err(error) => assert_eq!(error, AccessTokenError::TooLong),
    });
}
