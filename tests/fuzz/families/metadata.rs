//! What a client says of itself, in a registration request or in the document that its `client_id` is the address of.

use std::net::IpAddr;

use aipassport::domain::{
    id::ClientId,
    oauth::{
        client::{Client, ClientAuth, ClientKeys, ClientKind, GrantType},
        client_metadata::{AuthMethod, ClientMetadata, DocumentError, MAX_METADATA_BYTES, MetadataError, is_address},
        redirect_uri::RedirectUri,
        registration::{MAX_NAME_CHARS, MAX_REDIRECT_URIS},
        remote_address::{MAX_ADDRESS_BYTES, Reach, RemoteAddress},
    },
    secret::{ClientSecret, Secret},
};
use serde_json::{Map, Value};

use super::{NOW, fields, jose::PRIVATE, texts};

const REACHES: [Reach; 2] = [Reach::Public, Reach::LoopbackToo];

/// The address of a document, and the JSON: what it says, or what is registered.
pub fn client_metadata(input: &[u8]) {
    let [address, json] = fields(input);
    let Some([address]) = texts(address) else { return };
    for reach in REACHES {
        is_where_it_says(address, reach);
        if let Ok((metadata, sent)) = ClientMetadata::parse(json, reach) {
            obeys(&metadata, &sent, reach);
            let again = ClientMetadata::parse(&written(metadata.to_json()), reach).map(|(again, _)| again);
            is_the_same(again, &metadata, &MetadataError::TooLong);
        }
        if let Ok(address) = RemoteAddress::parse(address, reach) {
            document(json, &address, reach);
        }
    }
}

fn written(members: Map<String, Value>) -> Vec<u8> {
    Value::Object(members).to_string().into_bytes()
}

/// What goes without saying is written out: text of nearly the most bytes may be longer then, and nothing else comes of it.
fn is_the_same<E: PartialEq + core::fmt::Debug>(
    again: Result<ClientMetadata, E>,
    metadata: &ClientMetadata,
    too_long: &E,
) {
    match again {
        Ok(again) => assert_eq!(again, *metadata, "what is answered is read as the same"),
        Err(error) => {
            assert_eq!(error, *too_long);
            assert!(written(metadata.to_json()).len() > MAX_METADATA_BYTES - 2 * MAX_ADDRESS_BYTES);
        }
    }
}

fn document(json: &[u8], address: &RemoteAddress, reach: Reach) {
    let Ok(metadata) = ClientMetadata::parse_document(json, address, reach) else { return };
    let sent: Map<String, Value> = serde_json::from_slice(json).expect("another parser reads it too");
    assert_eq!(sent["client_id"], address.as_str());
    assert!(!sent.iter().any(|(name, value)| name.starts_with("client_secret") && !value.is_null()));
    assert!(matches!(metadata.auth_method, AuthMethod::None | AuthMethod::PrivateKeyJwt(_)), "nobody shares a secret");
    obeys(&metadata, &sent, reach);
    let mut members = metadata.to_json();
    members.insert("client_id".to_owned(), address.as_str().into());
    let again = ClientMetadata::parse_document(&written(members.clone()), address, reach);
    is_the_same(again, &metadata, &DocumentError::Metadata(MetadataError::TooLong));
    members.insert("client_id".to_owned(), format!("{}/", address.as_str()).into());
    if written(members.clone()).len() <= MAX_METADATA_BYTES {
        let of_another = ClientMetadata::parse_document(&written(members), address, reach);
        assert_eq!(of_another, Err(DocumentError::AnotherClientId));
    }
}

/// `sent` is what another parser reads.
fn obeys(metadata: &ClientMetadata, sent: &Map<String, Value>, reach: Reach) {
    assert!((1..=MAX_NAME_CHARS).contains(&metadata.name.chars().count()) && !metadata.name.contains(char::is_control));
    assert!(metadata.client_uri.iter().all(|uri| uri.starts_with("https://") || uri.starts_with("http://")));
    assert!(metadata.logo_uri.iter().all(|uri| uri.starts_with("https://")));
    assert!(!metadata.grant_types.is_empty() && metadata.redirect_uris.len() <= MAX_REDIRECT_URIS);
    assert!(!metadata.redirect_uris.is_empty() || !metadata.grant_types.contains(&GrantType::AuthorizationCode));
    for (at, uri) in metadata.redirect_uris.iter().enumerate() {
        assert_eq!(uri.as_str().parse::<RedirectUri>().as_ref(), Ok(uri));
        assert!(sent["redirect_uris"].as_array().unwrap().iter().any(|sent| sent == uri.as_str()));
        assert!(!metadata.redirect_uris[..at].contains(uri), "each once");
    }
    if let AuthMethod::PrivateKeyJwt(ClientKeys::Uri(uri)) = &metadata.auth_method {
        assert!(RemoteAddress::parse(uri, reach).is_ok());
    }
    for keys in [sent.get("jwks"), metadata.to_json().get("jwks")].into_iter().flatten() {
        let keys = keys.get("keys").map_or(&[][..], |keys| keys.as_array().unwrap());
        assert!(!keys.iter().any(|key| PRIVATE.iter().any(|name| key.get(name).is_some())), "half of a secret");
    }
    assert_eq!(ClientMetadata::of(&stored(metadata)), *metadata, "what is stored is what was sent");
}

fn stored(metadata: &ClientMetadata) -> Client {
    let metadata = metadata.clone();
    let secret: Secret<ClientSecret> = Secret::from_entropy(&[7; 32]);
    Client {
        id: "app_1".parse().unwrap(),
        kind: ClientKind::Document { fresh_until: NOW },
        name: metadata.name,
        home_page: metadata.client_uri,
        logo_uri: metadata.logo_uri,
        redirect_uris: metadata.redirect_uris,
        grant_types: metadata.grant_types,
        prefers_secret_in_body: metadata.auth_method == AuthMethod::SecretPost,
        auth: match metadata.auth_method {
            AuthMethod::None => ClientAuth::Public,
            AuthMethod::SecretBasic | AuthMethod::SecretPost => ClientAuth::Confidential(secret.hash()),
            AuthMethod::PrivateKeyJwt(keys) => ClientAuth::PrivateKey(keys),
        },
        requires_par: metadata.requires_par,
        requires_dpop: metadata.requires_dpop,
        access_token_alg: metadata.access_token_alg,
        described: metadata.described.clone(),
        created_at: NOW,
    }
}

/// Whether an address that is fetched leads where anybody reads that it does: by its text, without a parser.
fn is_where_it_says(text: &str, reach: Reach) {
    let parsed = RemoteAddress::parse(text, reach);
    if let Ok(id) = text.parse::<ClientId>() {
        assert_eq!(RemoteAddress::of_document(&id, reach), text.contains("://").then(|| parsed.clone()));
        assert_eq!(is_address(&id), text.contains("://"));
    }
    let Ok(address) = parsed else { return };
    assert_eq!(address.as_str(), text);
    assert!(text.len() <= MAX_ADDRESS_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'));
    assert!(address.is_same_origin(text) && !text.contains('#'));
    let (scheme, rest) = text.split_once("://").expect("it is absolute");
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    assert_eq!(address.host(), authority);
    if reach == Reach::LoopbackToo && scheme == "http" {
        let is_home =
            |home: &&str| authority.strip_prefix(*home).is_some_and(|port| port.is_empty() || port.starts_with(':'));
        assert!(["localhost", "127.0.0.1", "[::1]"].iter().any(is_home), "{authority}");
        return;
    }
    assert_eq!(scheme, "https");
    assert!(!authority.contains(['@', ':', '[', ']', '%']), "neither a user nor a port: {authority}");
    assert!(authority.contains('.') && authority.parse::<IpAddr>().is_err());
    let last = authority.rsplit('.').next().unwrap_or_default();
    assert!(last.contains(|c: char| c.is_ascii_lowercase()) && !["localhost", "local", "internal"].contains(&last));
}
