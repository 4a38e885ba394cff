//! Keys and signed texts of strangers.

use aipassport::domain::{
    encoding::{base64url, from_base64url},
    jose::{
        Algorithm, JwkSet, Jws, PublicJwk, SignatureToCheck, jwk::MAX_KID_BYTES, jwk_set::MAX_KEYS, jwk_set::NoKey,
    },
    oauth::{client_assertion::ClientAssertion, dpop},
};
use serde_json::{Map, Value};

use super::{fields, texts};

const ALGORITHMS: [Algorithm; 4] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256];
/// What the key of each kind consists of (RFC 7638 §3.2, RFC 8037 §2).
const MEMBERS: [&[&str]; 3] = [&["crv", "kty", "x"], &["crv", "kty", "x", "y"], &["e", "kty", "n"]];
/// RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2.
pub const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// The keys of the examples in RFC 8037 appendix A.2, RFC 9449 §4.1 and RFC 7638 §3.1, by other names.
pub fn registered() -> JwkSet {
    JwkSet::parse(
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"EC","crv":"P-256","kid":"b","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"},
        {"kty":"RSA","kid":"c","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"},
        {"kty":"OKP","crv":"Ed25519","x":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","alg":"Ed25519"}]}"#,
    )
    .unwrap()
}

fn object(json: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(members)) => members,
        other => unreachable(&format!("{other:?}")),
    }
}

#[track_caller]
fn unreachable(what: &str) -> Map<String, Value> {
    assert!(what.is_empty(), "another parser reads no object: {what}");
    Map::new()
}

/// Whether `key` is what stands in `sent`, of the public half alone, and is written as it would be read again.
fn is_the_public_half(key: &PublicJwk, sent: &Map<String, Value>) {
    let json = key.to_json();
    let again = PublicJwk::parse(&json).expect("what is written can be read");
    assert_eq!((again.thumbprint(), again.to_json(), again.kid()), (key.thumbprint(), json.clone(), None));
    let members = object(json.as_bytes());
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    assert!(MEMBERS.contains(&&*names), "{names:?}");
    assert!(members.iter().all(|(name, value)| sent.get(name) == Some(value)), "a key is written in one way");
    assert!(!PRIVATE.iter().any(|name| sent.contains_key(*name)), "who sent half of a secret is told so");
    assert_eq!(key.kid(), sent.get("kid").and_then(Value::as_str));
    assert!(key.kid().is_none_or(|kid| kid.len() <= MAX_KID_BYTES));
    assert_eq!(key.thumbprint().as_str().parse().as_ref(), Ok(&key.thumbprint()));
    let fitting = ALGORITHMS.iter().filter(|algorithm| algorithm.fits(key)).count();
    assert!(fitting == 1 || fitting == 2 && names.contains(&"n") && !sent.contains_key("alg"));
}

/// A JWK, or a set of them.
pub fn keys(input: &[u8]) {
    let Some([json]) = texts(input) else { return };
    if let Ok(key) = PublicJwk::parse(json) {
        is_the_public_half(&key, &object(json.as_bytes()));
    }
    let Ok(set) = JwkSet::parse(json) else { return };
    assert_eq!(JwkSet::parse(&set.to_json()).as_ref(), Ok(&set), "what is stored is read as the same");
    assert!((1..=MAX_KEYS).contains(&set.keys().len()));
    let list = |json: &str| object(json.as_bytes())["keys"].as_array().unwrap().clone();
    for key in list(json) {
        assert!(!PRIVATE.iter().any(|name| key.get(name).is_some()), "who sent half of a secret is told so");
    }
    for (key, stored) in set.keys().iter().zip(list(&set.to_json())) {
        is_the_public_half(key, stored.as_object().unwrap());
    }
    for algorithm in ALGORITHMS {
        for kid in set.keys().iter().map(PublicJwk::kid).chain([None]) {
            is_found(&set, algorithm, kid);
        }
    }
}

/// Whether the only key that fits is found, and none where several do.
fn is_found(set: &JwkSet, algorithm: Algorithm, kid: Option<&str>) {
    let fits = |key: &&PublicJwk| algorithm.fits(key) && (kid.is_none() || key.kid() == kid);
    let fitting: Vec<&PublicJwk> = set.keys().iter().filter(fits).collect();
    let expected = match fitting.as_slice() {
        [] => Err(NoKey::Unknown),
        [key] => Ok(*key),
        [..] => Err(NoKey::Ambiguous),
    };
    assert_eq!(set.find(algorithm, kid), expected);
}

/// A compact serialization with a signature of 64 bytes times the first of `length`, or once when it is empty.
pub fn compact(header: &[u8], payload: &[u8], length: &[u8]) -> String {
    let times = length.first().map_or(1, |times| usize::from(*times) % 9);
    format!("{}.{}.{}", base64url(header), base64url(payload), base64url(&vec![1; 64 * times]))
}

/// Header, payload, length of the signature, and a whole text.
pub fn signed(input: &[u8]) {
    let [header, payload, length, text] = fields(input);
    is_taken_apart(&compact(header, payload, length));
    if let Ok(text) = core::str::from_utf8(text) {
        is_taken_apart(text);
    }
}

fn is_taken_apart(text: &str) {
    let (proof, assertion) = (dpop::parse(text).is_ok(), ClientAssertion::parse(text).is_ok());
    assert!(!(proof && assertion), "a text is one thing (RFC 8725 §3.11)");
    let Ok(jws) = Jws::parse(text, MAX_TEXT_BYTES) else {
        assert!(!proof && !assertion);
        return;
    };
    assert!(Jws::parse(text, text.len() - 1).is_err());
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return assert_eq!(parts.len(), 3) };
    assert_eq!(base64url(jws.unverified_payload()), *payload, "the same payload is not written in two ways");
    assert_eq!(base64url(jws.signature()), *signature, "nor is a signature");
    assert_eq!(jws.signing_input(), format!("{header}.{payload}").as_bytes());
    let header = object(&from_base64url(header).unwrap());
    let member = |name: &str| header.get(name).and_then(Value::as_str);
    assert_eq!(member("alg").and_then(Algorithm::parse), Some(jws.algorithm()));
    assert!(Algorithm::NAMES.contains(&member("alg").unwrap()));
    assert_eq!((member("typ"), member("kid")), (jws.typ(), jws.kid()));
    assert!(!["crit", "b64", "zip", "enc"].iter().any(|name| header.contains_key(*name)));
    assert_eq!(header.contains_key("jwk"), jws.jwk().is_some());
    if let Some(key) = jws.jwk() {
        is_the_public_half(key, header["jwk"].as_object().unwrap());
    }
    if let Ok(claims) = jws.unverified_claims() {
        assert_eq!(object(jws.unverified_payload()), claims, "two parsers read the same");
    }
    for key in registered().keys() {
        let Ok(asked) = SignatureToCheck::new(&jws, key) else { continue };
        assert!(asked.algorithm().fits(key) && asked.algorithm() == jws.algorithm());
        let is_rsa = matches!(asked.algorithm(), Algorithm::Rs256 | Algorithm::Ps256);
        assert_eq!(asked.signature().len(), if is_rsa { 256 } else { 64 });
        assert_eq!(asked.signing_input(), jws.signing_input());
        assert!(asked.answered(false).is_err());
    }
}
