use proptest::prelude::*;
use serde_json::{Value, json};

use super::{super::example_claims, *};
use crate::domain::{encoding::sha256, permission::Permission};

const ISSUER: &str = "https://broker.example";
const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

/// RFC 7515 appendix A.3.1.
const P256_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const P256_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const P256_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

fn ed25519(kid: &str) -> Value {
    json!({"kty":"OKP","crv":"Ed25519","kid":kid,"d":base64url(&sha256(kid.as_bytes()))})
}

fn p256(kid: &str) -> Value {
    json!({"kty":"EC","crv":"P-256","kid":kid,"d":P256_D,"x":P256_X,"y":P256_Y})
}

/// `key`, with one member changed or taken away.
fn with(mut key: Value, member: &str, value: Value) -> Value {
    key[member] = value;
    key
}

fn read(keys: &[Value]) -> Result<SigningKeys, KeySetError> {
    SigningKeys::from_jwk_set(&json!({ "keys": keys }).to_string())
}

fn keys(kids: &[&str]) -> SigningKeys {
    read(&kids.iter().map(|kid| ed25519(kid)).collect::<Vec<_>>()).unwrap()
}

fn both() -> SigningKeys {
    read(&[ed25519("one"), p256("ec")]).unwrap()
}

fn claims() -> AccessClaims {
    example_claims(ISSUER, NOW)
}

fn sign(keys: &SigningKeys, claims: &AccessClaims) -> String {
    keys.sign(claims, SigningAlgorithm::EdDSA).unwrap()
}

fn verify(token: &str) -> Result<AccessClaims, AccessTokenError> {
    both().verify(token, ISSUER, NOW)
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&from_base64url(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn ed25519_pair(keys: &SigningKeys) -> &Ed25519Key {
    keys.keys.iter().find_map(|key| if let Pair::Ed25519(pair) = &key.pair { Some(pair) } else { None }).unwrap()
}

/// Signs whatever claims, with the key "one".
fn forge(claims: &Value, change: impl FnOnce(Header) -> Header) -> String {
    let header = change(Header::empty().with_key_id("one").with_token_type(TOKEN_TYPE));
    Ed25519.token(&header, &Claims::new(claims), ed25519_pair(&both())).unwrap()
}

fn permission(limits: &Value) -> Permission {
    serde_json::from_value(
        json!({"provider":"openai","models":["gpt-5-mini","o*"],"capabilities":["chat"],"limits":limits}),
    )
    .unwrap()
}

/// Every optional claim is there.
fn full_claims() -> AccessClaims {
    AccessClaims {
        audience: vec!["https://broker.example/openai/v1".into(), "https://broker.example/anthropic".into()],
        delegation: Some("delegation_a".parse().unwrap()),
        scope: Some("openai:chat".into()),
        narrowed: Some(vec![permission(&json!({}))]),
        confirmation: Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".parse().unwrap()),
        auth_time: Some(Timestamp::from_seconds(999_000)),
        ..claims()
    }
}

// What is signed and verified.

#[test]
fn a_signed_token_verifies_to_its_claims() {
    assert_eq!(verify(&sign(&both(), &claims())), Ok(claims()));
    assert_eq!(verify(&sign(&both(), &full_claims())), Ok(full_claims()));
}

/// Tokens of before there were other claims are those of today with none of them.
#[test]
fn a_plain_token_holds_the_claims_of_rfc_9068_alone() {
    let payload = part(&sign(&both(), &claims()), 1);
    let expected = json!({"iss":ISSUER,"aud":ISSUER,"sub":"user_a","client_id":"app_a","grant_id":"grant_a","jti":"jti",
        "iat":1_000_000,"exp":1_003_600});
    assert_eq!(payload, expected);
}

/// RFC 7519 §4.1.3, RFC 9068 §2.2.3, RFC 9396 §9.1, RFC 9449 §6.1.
#[test]
fn each_claim_stands_where_its_rfc_says() {
    let payload = part(&sign(&both(), &full_claims()), 1);
    assert_eq!(payload["aud"], json!(["https://broker.example/openai/v1", "https://broker.example/anthropic"]));
    assert_eq!(payload["scope"], "openai:chat");
    assert_eq!(payload["auth_time"], 999_000);
    assert_eq!(payload["cnf"], json!({"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}));
    assert_eq!(payload["delegation"], "delegation_a");
    assert_eq!(
        payload["authorization_details"],
        json!([{"type":"ai_access","provider":"openai","models":["gpt-5-mini","o*"],"capabilities":["chat"]}])
    );
}

#[test]
fn a_token_carries_no_limits() {
    let limited = AccessClaims { narrowed: Some(vec![permission(&json!({"requests":5}))]), ..claims() };
    let token = sign(&both(), &limited);
    assert_eq!(part(&token, 1)["authorization_details"][0].get("limits"), None);
    assert_eq!(verify(&token).unwrap().narrowed, Some(vec![permission(&json!({}))]));
}

#[test]
fn a_token_narrowed_to_nothing_stays_so() {
    let nothing = AccessClaims { narrowed: Some(vec![]), ..claims() };
    assert_eq!(verify(&sign(&both(), &nothing)), Ok(nothing));
}

/// RFC 7800 §3.1: what proves possession has to be understood.
#[test]
fn a_token_confirmed_by_another_kind_of_proof_is_refused() {
    let payload = part(&sign(&both(), &claims()), 1);
    let confirmed = |cnf: Value| verify(&forge(&with(payload.clone(), "cnf", cnf), |header| header));
    let jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    assert!(confirmed(json!({"jkt":jkt})).is_ok());
    assert!(confirmed(json!({"x5t#S256":jkt})).is_err());
    assert!(confirmed(json!({"jkt":jkt,"x5t#S256":jkt})).is_err());
}

/// RFC 9449 §6.1: a key that can't be named can't be proven.
#[test]
fn a_token_confirmed_by_a_malformed_thumbprint_is_refused() {
    let payload = part(&sign(&both(), &claims()), 1);
    for jkt in [
        json!(""),
        json!("a"),
        json!("A".repeat(42)),
        json!("A".repeat(44)),
        json!("!".repeat(43)),
        Value::Null,
        json!(1),
    ] {
        let forged = forge(&with(payload.clone(), "cnf", json!({ "jkt": jkt })), |header| header);
        assert!(verify(&forged).is_err(), "{jkt}");
    }
}

#[test]
fn the_longest_token_that_is_signed_is_the_longest_that_is_accepted() {
    let long = |bytes: usize| AccessClaims { scope: Some("s".repeat(bytes)), ..claims() };
    let fits = |bytes: &usize| both().sign(&long(*bytes), SigningAlgorithm::EdDSA).is_ok();
    // base64 makes four bytes of three.
    let most = (0..MAX_JWT_BYTES / 4 * 3).rev().find(fits).unwrap();
    let token = sign(&both(), &long(most));
    assert!(token.len() > MAX_JWT_BYTES - 4, "{}", token.len());
    assert_eq!(verify(&token), Ok(long(most)));
    assert_eq!(both().sign(&long(most + 1), SigningAlgorithm::EdDSA), Err(AccessTokenError::TooLong));
}

#[test]
fn a_very_long_token_is_not_parsed() {
    let long = format!("eyJ{}.a.b", "A".repeat(MAX_JWT_BYTES));
    assert_eq!(verify(&long), Err(AccessTokenError::Malformed));
}

#[test]
fn a_token_is_refused_exactly_at_exp() {
    let token = sign(&both(), &claims());
    let at = |seconds| both().verify(&token, ISSUER, NOW.plus_seconds(seconds));
    assert!(at(3599).is_ok());
    assert_eq!(at(3600), Err(AccessTokenError::Expired));
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    let token = sign(&both(), &AccessClaims { issuer: "https://evil.example".into(), ..claims() });
    assert_eq!(verify(&token), Err(AccessTokenError::WrongParty));
}

/// RFC 9068 §4.
#[test]
fn a_token_whose_audience_is_not_below_the_issuer_is_refused() {
    for (audience, own) in [
        (vec![], false),
        (vec!["https://evil.example"], false),
        (vec!["https://broker.example.evil"], false),
        (vec!["https://broker.example@evil.example/"], false),
        (vec![ISSUER, "https://evil.example"], false),
        (vec!["https://broker.example/openai/v1"], true),
        (vec![ISSUER, "https://broker.example/openai/v1"], true),
    ] {
        let audience: Vec<String> = audience.into_iter().map(str::to_owned).collect();
        let token = sign(&both(), &AccessClaims { audience: audience.clone(), ..claims() });
        assert_eq!(verify(&token).err(), (!own).then_some(AccessTokenError::WrongParty), "{audience:?}");
    }
}

#[test]
fn a_jwt_that_is_not_an_access_token_is_refused() {
    let payload = part(&sign(&both(), &claims()), 1);
    assert!(verify(&forge(&payload, |header| header)).is_ok());
    let as_jwt = forge(&payload, |header| header.with_token_type("JWT"));
    assert_eq!(verify(&as_jwt), Err(AccessTokenError::WrongType));
    let untyped = forge(&payload, |_| Header::empty().with_key_id("one"));
    assert_eq!(verify(&untyped), Err(AccessTokenError::WrongType));
}

#[test]
fn a_changed_token_is_refused() {
    for algorithm in [SigningAlgorithm::EdDSA, SigningAlgorithm::ES256] {
        let token = both().sign(&claims(), algorithm).unwrap();
        let (head, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = from_base64url(signature).unwrap();
        bytes[40] ^= 1;
        assert_eq!(verify(&format!("{head}.{}", base64url(&bytes))), Err(AccessTokenError::BadSignature));
        let other = part(&token, 1);
        let payload = base64url(with(other, "grant_id", "grant_b".into()).to_string().as_bytes());
        let header = token.split('.').next().unwrap();
        assert_eq!(verify(&format!("{header}.{payload}.{signature}")), Err(AccessTokenError::BadSignature));
    }
}

// Which key, which algorithm.

/// RFC 7518 §3.4.
#[test]
fn an_es256_token_verifies_to_its_claims() {
    let token = both().sign(&full_claims(), SigningAlgorithm::ES256).unwrap();
    assert_eq!(part(&token, 0), json!({"alg":"ES256","typ":"at+jwt","kid":"ec"}));
    assert_eq!(verify(&token), Ok(full_claims()));
}

/// RFC 7515 appendix A.3: a foreign signature over foreign bytes.
#[test]
fn the_es256_signature_of_the_rfc_is_accepted() {
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let both = both();
    let key =
        both.keys.iter().find_map(|key| if let Pair::P256(pair) = &key.pair { Some(pair) } else { None }).unwrap();
    let untrusted = UntrustedToken::new(token).unwrap();
    assert!(Es256.validator::<Value>(&key.to_verifying_key()).validate(&untrusted).is_ok());
}

/// RFC 8725 §3.1.
#[test]
fn the_key_decides_the_algorithm_and_not_the_header() {
    for algorithm in [SigningAlgorithm::EdDSA, SigningAlgorithm::ES256] {
        let token = both().sign(&claims(), algorithm).unwrap();
        let (_, rest) = token.split_once('.').unwrap();
        let own_kid = part(&token, 0)["kid"].clone();
        for alg in ["EdDSA", "ES256", "HS256", "none"].into_iter().filter(|alg| *alg != algorithm.as_str()) {
            let header = json!({"alg":alg,"typ":"at+jwt","kid":own_kid});
            let result = verify(&format!("{}.{rest}", base64url(header.to_string().as_bytes())));
            assert_eq!(result, Err(AccessTokenError::WrongType), "{alg} on a key of {algorithm}");
        }
        let other_kid = if own_kid == "one" { "ec" } else { "one" };
        let header = json!({"alg":algorithm.as_str(),"typ":"at+jwt","kid":other_kid});
        let crossed = format!("{}.{rest}", base64url(header.to_string().as_bytes()));
        assert_eq!(verify(&crossed), Err(AccessTokenError::WrongType));
    }
}

#[test]
fn a_token_without_a_kid_is_refused() {
    let payload = part(&sign(&both(), &claims()), 1);
    let anonymous = forge(&payload, |_| Header::empty().with_token_type(TOKEN_TYPE));
    assert_eq!(verify(&anonymous), Err(AccessTokenError::UnknownKey));
}

#[test]
fn the_none_algorithm_is_refused() {
    let header = base64url(br#"{"alg":"none","typ":"at+jwt","kid":"one"}"#);
    assert!(verify(&format!("{header}.{}.", base64url(b"{}"))).is_err());
}

#[test]
fn the_newest_key_of_an_algorithm_signs() {
    let set =
        read(&[p256("ec"), ed25519("two"), ed25519("one"), with(p256("older"), "kid", "older ec".into())]).unwrap();
    let kid = |algorithm| part(&set.sign(&claims(), algorithm).unwrap(), 0)["kid"].clone();
    assert_eq!(kid(SigningAlgorithm::default()), "two");
    assert_eq!(kid(SigningAlgorithm::ES256), "ec");
}

#[test]
fn the_old_key_of_a_rotated_set_still_verifies() {
    let token = sign(&keys(&["one"]), &claims());
    assert!(keys(&["two", "one"]).verify(&token, ISSUER, NOW).is_ok());
    assert_eq!(keys(&["two"]).verify(&token, ISSUER, NOW), Err(AccessTokenError::UnknownKey));
}

#[test]
fn a_set_without_a_p256_key_does_not_sign_with_es256() {
    let set = keys(&["one"]);
    assert!(!set.supports(SigningAlgorithm::ES256) && both().supports(SigningAlgorithm::ES256));
    let refused = set.sign(&claims(), SigningAlgorithm::ES256);
    assert_eq!(refused, Err(AccessTokenError::NoKeyFor(SigningAlgorithm::ES256)));
}

// Reading and showing the set.

#[test]
fn a_set_that_can_not_be_used_says_why() {
    let refused = |key: Value| read(&[ed25519("one"), key]).unwrap_err();
    for json in ["", "[]", "{}", r#"{"keys":[5]}"#] {
        assert_eq!(SigningKeys::from_jwk_set(json).unwrap_err(), KeySetError::NotAJwkSet, "{json}");
    }
    assert_eq!(read(&[]).unwrap_err(), KeySetError::NoEd25519Key);
    assert_eq!(read(&[p256("ec")]).unwrap_err(), KeySetError::NoEd25519Key);
    assert_eq!(refused(ed25519("one")), KeySetError::DuplicateKid);
    assert_eq!(refused(p256("one")), KeySetError::DuplicateKid);
    for (kty, crv) in
        [("OKP", "X25519"), ("OKP", "P-256"), ("EC", "P-384"), ("EC", "secp256k1"), ("RSA", ""), ("oct", "")]
    {
        let key = with(with(ed25519("two"), "kty", kty.into()), "crv", crv.into());
        assert_eq!(refused(key), KeySetError::UnknownKeyType, "{kty} {crv}");
    }
    assert_eq!(refused(json!({"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB","d":"AQAB"})), KeySetError::UnknownKeyType);
    assert_eq!(refused(with(ed25519("two"), "kid", "".into())), KeySetError::NoKid);
    for key in [ed25519("two"), p256("two")] {
        for d in ["", "AAAA", "not base64url!", &base64url(&[1; 31]), &base64url(&[1; 33])] {
            assert_eq!(refused(with(key.clone(), "d", d.into())), KeySetError::NotPrivate, "{d}");
        }
    }
    // RFC 7518 §6.2.2.1: the private part of an elliptic curve's key is a scalar from 1 on, below the order.
    for d in [[0; 32], [255; 32]] {
        assert_eq!(refused(with(p256("two"), "d", base64url(&d).into())), KeySetError::NotPrivate);
    }
}

#[test]
fn halves_that_are_not_of_one_key_are_refused() {
    let refused = |key: Value| read(&[ed25519("one"), key]).unwrap_err();
    assert_eq!(refused(with(ed25519("two"), "x", base64url(&[1; 32]).into())), KeySetError::HalvesDiffer);
    assert_eq!(refused(with(p256("two"), "x", P256_Y.into())), KeySetError::HalvesDiffer);
    assert_eq!(refused(with(p256("two"), "y", P256_X.into())), KeySetError::HalvesDiffer);
}

/// RFC 7517 §4: members that aren't understood are ignored.
#[test]
fn a_key_may_say_when_it_was_made() {
    assert!(read(&[with(ed25519("one"), "iat", 1_000_000.into())]).is_ok());
}

/// RFC 7517 §5, RFC 7518 §6.2.1, RFC 8037 §2.
#[test]
fn the_jwks_holds_the_public_halves_alone() {
    let x = base64url(Ed25519Key::from_bytes(&sha256(b"one")).verifying_key().as_bytes());
    assert_eq!(
        both().jwks(),
        json!({"keys":[
            {"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"one","x":x},
            {"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"ec","x":P256_X,"y":P256_Y},
        ]})
    );
}

#[test]
fn debug_shows_the_names_alone() {
    assert_eq!(format!("{:?}", both()), r#"["one", "ec"]"#);
}

proptest! {
    #[test]
    fn no_text_makes_verification_panic(text in "(eyJ)?.{0,200}", header in ".{0,80}", payload in ".{0,80}") {
        let _ = verify(&text);
        let _ = verify(&format!("{}.{}.AA", base64url(header.as_bytes()), base64url(payload.as_bytes())));
        let unsigned = format!("{}.{payload}.", base64url(header.as_bytes()));
        prop_assert!(verify(&unsigned).is_err());
    }

    #[test]
    fn no_text_makes_reading_a_set_panic(text in ".{0,200}", member in "kty|crv|kid|d|x|y", value in ".{0,60}") {
        let _ = SigningKeys::from_jwk_set(&text);
        let _ = read(&[with(ed25519("one"), &member, value.clone().into()), with(p256("ec"), &member, value.into())]);
    }
}
