use proptest::prelude::*;

use super::*;
use crate::domain::{jose::jwk::tests::P256, secret::SecretHash};

const REDIRECT: &str = r#""redirect_uris":["https://app.example/cb"]"#;

fn parse(json: &str) -> Result<ClientMetadata, MetadataError> {
    ClientMetadata::parse(json.as_bytes(), Reach::Public).map(|(metadata, _)| metadata)
}

/// The default, with other members.
fn with(members: &str) -> Result<ClientMetadata, MetadataError> {
    parse(&format!("{{{REDIRECT},{members}}}"))
}

fn document(members: &str) -> Result<ClientMetadata, DocumentError> {
    let address = RemoteAddress::parse("https://app.example/client.json", Reach::Public).unwrap();
    let json = format!(r#"{{"client_id":"https://app.example/client.json",{REDIRECT}{members}}}"#);
    ClientMetadata::parse_document(json.as_bytes(), &address, Reach::Public)
}

#[test]
fn what_is_left_out_has_the_defaults_of_rfc_7591_2() {
    let metadata = parse(&format!("{{{REDIRECT}}}")).unwrap();
    assert_eq!(metadata.grant_types, [GrantType::AuthorizationCode].into());
    assert_eq!(metadata.auth_method, AuthMethod::SecretBasic);
    assert_eq!(metadata.name, "app.example");
    assert!(!metadata.requires_par && !metadata.requires_dpop);
    assert_eq!(metadata.access_token_alg, SigningAlgorithm::EdDSA);
}

#[test]
fn unknown_members_null_and_a_software_statement_are_ignored_rfc_7591_2() {
    let members = r#""subject_type":"pairwise","tos_uri":1,"client_name#ja":"\u540d","x":{},"client_name":null,
        "software_statement":"a.b.c""#;
    assert_eq!(with(members), parse(&format!("{{{REDIRECT}}}")));
}

#[test]
fn each_wrong_member_is_named_with_the_code_of_rfc_7591_3_2_2() {
    for (members, code, text) in [
        (r#""redirect_uris":["http://app.example/cb"]"#, ErrorCode::InvalidRedirectUri, "redirect_uris"),
        (r#""redirect_uris":[]"#, ErrorCode::InvalidRedirectUri, "redirect_uris"),
        (r#""client_name":"x""#, ErrorCode::InvalidRedirectUri, "redirect_uris"),
        (r#""redirect_uris":"https://app.example/cb""#, ErrorCode::InvalidClientMetadata, "redirect_uris"),
        (r#""redirect_uris":[1]"#, ErrorCode::InvalidClientMetadata, "redirect_uris"),
    ] {
        let error = parse(&format!("{{{members}}}")).unwrap_err();
        assert_eq!(error.code(), code, "{members}");
        assert!(error.description().contains(text), "{error}");
    }
    for (members, text) in [
        (r#""client_name":1"#, "client_name"),
        (r#""client_name":"evil\u202etxt""#, "client_name"),
        (r#""client_uri":"javascript:alert(1)""#, "client_uri"),
        (r#""logo_uri":"http://app.example/logo.png""#, "logo_uri"),
        (r#""grant_types":["implicit"]"#, "grant_types"),
        (r#""grant_types":[]"#, "grant_types"),
        (r#""response_types":["token"]"#, "response_types"),
        (r#""token_endpoint_auth_method":"client_secret_jwt""#, "token_endpoint_auth_method"),
        (r#""token_endpoint_auth_method":"private_key_jwt""#, "jwks"),
        (r#""jwks":{"keys":[]}"#, "jwks"),
        (r#""jwks_uri":"https://10.0.0.1/keys""#, "jwks_uri"),
        (r#""jwks_uri":"http://app.example/keys""#, "jwks_uri"),
        (r#""dpop_bound_access_tokens":"true""#, "dpop_bound_access_tokens"),
        (r#""access_token_signed_response_alg":"HS256""#, "access_token_signed_response_alg"),
    ] {
        let error = with(members).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidClientMetadata, "{members}");
        assert!(error.description().contains(text), "{error}");
    }
}

#[test]
fn the_response_type_goes_with_the_grant_type_rfc_7591_2_1() {
    let device = r#""grant_types":["urn:ietf:params:oauth:grant-type:device_code"]"#;
    assert!(parse(&format!("{{{device}}}")).unwrap().redirect_uris.is_empty(), "a device has nowhere to be sent");
    assert!(parse(&format!(r#"{{{device},"response_types":[]}}"#)).is_ok());
    assert!(with(r#""response_types":["code"]"#).is_ok());
    for contradiction in [format!(r#"{device},"response_types":["code"]"#), r#""response_types":[]"#.to_owned()] {
        assert_eq!(with(&contradiction), Err(MetadataError::ResponseTypes), "{contradiction}");
    }
}

#[test]
fn a_signing_client_has_a_key_set_or_the_address_of_one_and_never_both() {
    let method = r#""token_endpoint_auth_method":"private_key_jwt""#;
    let (jwks, uri) = (format!(r#""jwks":{{"keys":[{P256}]}}"#), r#""jwks_uri":"https://app.example/keys""#);
    let inline = with(&format!("{method},{jwks}")).unwrap().auth_method;
    assert!(matches!(inline, AuthMethod::PrivateKeyJwt(ClientKeys::Inline(_))), "{inline:?}");
    let remote = with(&format!("{method},{uri}")).unwrap().auth_method;
    assert_eq!(remote, AuthMethod::PrivateKeyJwt(ClientKeys::Uri("https://app.example/keys".into())));
    assert_eq!(with(&format!("{method},{jwks},{uri}")), Err(MetadataError::TwoKeySets));
}

#[test]
fn a_private_key_is_refused_whatever_the_method() {
    let private = r#""jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}]}"#;
    for method in ["none", "private_key_jwt"] {
        let error = with(&format!(r#"{private},"token_endpoint_auth_method":"{method}""#)).unwrap_err();
        assert_eq!(error, MetadataError::KeySet(JwkSetError::Private { index: 0 }));
    }
}

#[test]
fn at_most_ten_redirect_uris_and_each_once() {
    let uris = |count: usize| (0..count).map(|n| format!(r#""https://app.example/{n}""#)).collect::<Vec<_>>().join(",");
    assert_eq!(parse(&format!(r#"{{"redirect_uris":[{0},{0}]}}"#, uris(10))).unwrap().redirect_uris.len(), 10);
    assert_eq!(parse(&format!(r#"{{"redirect_uris":[{}]}}"#, uris(11))), Err(MetadataError::TooManyRedirects));
}

#[test]
fn a_member_that_stands_twice_and_a_text_that_is_too_long_are_refused() {
    assert_eq!(parse(&format!("{{{REDIRECT},{REDIRECT}}}")), Err(MetadataError::NotAnObject));
    let long = format!(r#""x":"{}""#, "a".repeat(MAX_METADATA_BYTES));
    assert_eq!(with(&long), Err(MetadataError::TooLong));
}

#[test]
fn a_name_that_is_missing_is_the_end_of_a_host_and_never_empty() {
    let long = format!("https://{}.evil.example/cb", "bank.".repeat(20).trim_end_matches('.'));
    let name = parse(&format!(r#"{{"redirect_uris":["{long}"]}}"#)).unwrap().name;
    assert!(name.ends_with(".evil.example") && name.chars().count() == MAX_NAME_CHARS, "{name}");
    assert_eq!(parse(r#"{"redirect_uris":["com.example.app:/cb"]}"#).unwrap().name, NAMELESS);
    assert_eq!(with(r#""client_name":"  ""#).unwrap().name, "app.example");
}

#[test]
fn what_is_answered_is_everything_that_is_registered_rfc_7591_3_2_1() {
    let members = format!(
        r#""client_name":"App","client_uri":"https://app.example/","logo_uri":"https://app.example/logo.png","jwks":{{"keys":[{P256}]}},
        "token_endpoint_auth_method":"private_key_jwt","grant_types":["authorization_code","refresh_token"],
        "require_pushed_authorization_requests":true,"dpop_bound_access_tokens":true,"access_token_signed_response_alg":"ES256""#
    );
    let metadata = with(&members).unwrap();
    let answer = metadata.to_json();
    assert_eq!(parse(&Value::Object(answer.clone()).to_string()), Ok(metadata));
    assert_eq!(
        (&answer["grant_types"], &answer["response_types"]),
        (&json!(["authorization_code", "refresh_token"]), &json!(["code"]))
    );
    assert_eq!(
        (&answer["dpop_bound_access_tokens"], &answer["logo_uri"]),
        (&json!(true), &json!("https://app.example/logo.png"))
    );
}

#[test]
fn the_way_a_secret_is_sent_is_answered_as_it_was_asked_for() {
    let mut client = Client::example(ClientAuth::Confidential(SecretHash::from_stored("00".into())));
    assert_eq!(ClientMetadata::of(&client).auth_method, AuthMethod::SecretBasic);
    client.prefers_secret_in_body = true;
    assert_eq!(ClientMetadata::of(&client).to_json()["token_endpoint_auth_method"], "client_secret_post");
}

#[test]
fn a_document_is_a_public_client_unless_it_signs() {
    assert_eq!(document("").unwrap().auth_method, AuthMethod::None);
    assert_eq!(document("").unwrap().name, "app.example");
    let signing = format!(r#","token_endpoint_auth_method":"private_key_jwt","jwks":{{"keys":[{P256}]}}"#);
    assert!(matches!(document(&signing).unwrap().auth_method, AuthMethod::PrivateKeyJwt(_)));
}

#[test]
fn nobody_shares_a_secret_with_a_document() {
    for method in ["client_secret_basic", "client_secret_post", "client_secret_jwt"] {
        let members = format!(r#","token_endpoint_auth_method":"{method}""#);
        assert_eq!(document(&members), Err(DocumentError::SecretMethod), "{method}");
    }
    for member in [r#","client_secret":"x""#, r#","client_secret_expires_at":0"#] {
        assert_eq!(document(member), Err(DocumentError::Secret), "{member}");
    }
}

#[test]
fn a_document_says_its_own_address_and_no_other() {
    let address = RemoteAddress::parse("https://app.example/client.json", Reach::Public).unwrap();
    for id in
        ["", r#""client_id":"https://app.example/client.json?","#, r#""client_id":"https://APP.example/client.json","#]
    {
        let json = format!("{{{id}{REDIRECT}}}");
        let read = ClientMetadata::parse_document(json.as_bytes(), &address, Reach::Public);
        assert_eq!(read, Err(DocumentError::AnotherClientId), "{id}");
    }
}

fn any_member() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("redirect_uris"),
        Just("client_name"),
        Just("client_uri"),
        Just("logo_uri"),
        Just("grant_types"),
        Just("response_types"),
        Just("token_endpoint_auth_method"),
        Just("jwks"),
        Just("jwks_uri"),
        Just("client_id"),
        Just("dpop_bound_access_tokens"),
        Just("access_token_signed_response_alg"),
    ];
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("[]".to_owned()),
        Just(r#"{"keys":[{}]}"#.to_owned()),
        Just(r#"["authorization_code"]"#.to_owned()),
        Just(r#"["code"]"#.to_owned()),
        Just(r#""none""#.to_owned()),
        Just(r#"["https://app.example/cb"]"#.to_owned()),
        Just(r#""https://app.example/client.json""#.to_owned()),
        "[a-z0-9:/.%]{0,20}".prop_map(|text| format!("\"{text}\"")),
    ];
    (name, value).prop_map(|(name, value)| format!("\"{name}\":{value}"))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse(&text);
        let _ = ClientMetadata::parse(&bytes, Reach::LoopbackToo);
    }

    #[test]
    fn what_is_accepted_is_read_again_from_its_own_answer(members in prop::collection::vec(any_member(), 0..8)) {
        let json = format!("{{{}}}", members.join(","));
        if let Ok(metadata) = parse(&json) {
            prop_assert_eq!(parse(&Value::Object(metadata.to_json()).to_string()), Ok(metadata.clone()));
            prop_assert!(!metadata.name.is_empty() && !metadata.grant_types.is_empty());
        }
    }
}
