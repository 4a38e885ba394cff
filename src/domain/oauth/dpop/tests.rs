//! RFC 9449 §4.3, point by point. One good proof, one change per test.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::{
    jose::{
        jwk::{
            JwkError,
            tests::{ED25519, P256, RSA, with},
        },
        jws::JwsError,
    },
    oauth::mac::MacKey,
};

/// §4.1: the example of a proof for the token endpoint.
const EXAMPLE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
/// §7.1: the example of a proof for a protected resource.
const EXAMPLE_WITH_TOKEN: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
/// The access token of that example, and the thumbprint of its key (§6.1).
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

const URL: &str = "https://server.example.com/token";
const NOW: Timestamp = Timestamp::from_seconds(1_562_262_616);

fn nonces() -> Nonces {
    Nonces::new(MacKey::new([9; 32]))
}

fn header() -> Value {
    json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": serde_json::from_str::<Value>(P256).unwrap() })
}

fn claims() -> Value {
    json!({ "jti": "-BwC3ESc6acc2lTc", "htm": "POST", "htu": URL, "iat": NOW.seconds(), "nonce": nonces().issue(NOW) })
}

/// `object` with one member changed, or taken out by `null`.
fn but(mut object: Value, name: &str, value: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    object
}

fn written(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), base64url(&[1; 64]))
}

fn signed(text: &str) -> Result<SignedProof, DpopError> {
    let unverified = parse(text)?;
    let holds = unverified.signature().answered(true)?;
    Ok(unverified.verified(&holds)?)
}

fn expected() -> Expected<'static> {
    Expected { method: "POST", url: URL, now: NOW, access_token: None, jkt: None }
}

fn check(claims: &Value, expected: &Expected<'_>) -> Result<Proof, DpopError> {
    signed(&written(&header(), claims))?.check(expected, &nonces())
}

fn parse_error(header: &Value, claims: &Value) -> Option<DpopError> {
    parse(&written(header, claims)).err()
}

#[test]
fn a_good_proof_says_whose_it_is_and_when_its_nonce_was_made() {
    let proof = check(&claims(), &expected()).unwrap();
    assert_eq!((proof.jkt.as_str(), proof.nonce_at), (JKT, NOW));
    assert_eq!(proof.id.as_str().len(), 22);
    assert_eq!(proof.forget_at(), NOW.plus_seconds(300));
}

/// The examples carry no nonce, which here is the one thing wrong with them.
#[test]
fn the_examples_of_rfc_9449_are_right_but_for_the_nonce_that_this_server_wants() {
    assert_eq!(signed(EXAMPLE).unwrap().check(&expected(), &nonces()), Err(DpopError::UseNonce));
    let resource = Expected {
        method: "GET",
        url: "https://resource.example.org/protectedresource",
        access_token: Some(TOKEN),
        jkt: Some(&JKT.parse().unwrap()),
        ..expected()
    };
    assert_eq!(signed(EXAMPLE_WITH_TOKEN).unwrap().check(&resource, &nonces()), Err(DpopError::UseNonce));
    let nonce = Value::from(nonces().issue(NOW));
    let example = |text: &str| -> Value {
        let payload = text.split('.').nth(1).and_then(crate::domain::encoding::from_base64url).unwrap();
        but(serde_json::from_slice(&payload).unwrap(), "nonce", nonce.clone())
    };
    assert_eq!(check(&example(EXAMPLE), &expected()).unwrap().jkt.as_str(), JKT);
    assert_eq!(check(&example(EXAMPLE_WITH_TOKEN), &resource).unwrap().jkt.as_str(), JKT);
}

/// Point 1. Several header fields are joined with commas before anybody sees them (RFC 9110 §5.3).
#[test]
fn point_1_there_is_not_more_than_one_dpop_header() {
    assert_eq!(parse(&format!("{EXAMPLE}, {EXAMPLE}")).err(), Some(DpopError::MoreThanOne));
    assert_eq!(parse(&format!("{EXAMPLE},")).err(), Some(DpopError::MoreThanOne));
}

/// Point 2.
#[test]
fn point_2_the_header_is_one_well_formed_jwt() {
    for bad in
        ["", "DPoP", "a.b.c", &format!("{EXAMPLE} "), &format!("{EXAMPLE}.{EXAMPLE}"), &format!("DPoP {EXAMPLE}")]
    {
        assert!(matches!(parse(bad).err(), Some(DpopError::Malformed(_))), "{bad}");
    }
    let twice = format!(r#"{{"jti":"a",{}"#, claims().to_string().strip_prefix('{').unwrap());
    let text = format!(
        "{}.{}.{}",
        base64url(header().to_string().as_bytes()),
        base64url(twice.as_bytes()),
        base64url(&[1; 64])
    );
    assert_eq!(parse(&text).err(), Some(DpopError::Malformed(JwsError::Claims)), "a claim stands twice");
    let long = but(claims(), "more", "a".repeat(MAX_PROOF_BYTES).into());
    assert_eq!(
        parse_error(&header(), &long),
        Some(DpopError::Malformed(JwsError::TooLong { max_bytes: MAX_PROOF_BYTES }))
    );
}

/// Point 3.
#[test]
fn point_3_all_required_claims_are_there() {
    for name in ["jti", "htm", "htu", "iat"] {
        for bad in [Value::Null, json!([]), json!(true), json!({})] {
            assert_eq!(parse_error(&header(), &but(claims(), name, bad)), Some(DpopError::Claim(name)));
        }
    }
    for name in ["ath", "nonce"] {
        assert_eq!(parse_error(&header(), &but(claims(), name, 1.into())), Some(DpopError::Claim(name)));
    }
    assert_eq!(parse_error(&header(), &but(claims(), "iat", "1562262616".into())), Some(DpopError::Claim("iat")));
    assert_eq!(parse_error(&header(), &but(claims(), "iat", json!(-1))), Some(DpopError::Claim("iat")));
}

/// Point 3: `jti` must be able to tell proofs apart, and be remembered.
#[test]
fn point_3_jti_has_1_to_256_bytes() {
    for (jti, is_good) in
        [("a".repeat(256), true), ("a".repeat(257), false), (String::new(), false), ("é".repeat(129), false)]
    {
        let expected = if is_good { None } else { Some(DpopError::JwtId) };
        assert_eq!(parse_error(&header(), &but(claims(), "jti", jti.into())), expected);
    }
}

/// Point 4. A token that is signed with the same key for another use is no proof.
#[test]
fn point_4_typ_is_dpop_jwt() {
    for bad in [Value::Null, "JWT".into(), "at+jwt".into(), "DPoP+JWT".into(), "application/dpop+jwt".into()] {
        assert_eq!(parse_error(&but(header(), "typ", bad.clone()), &claims()), Some(DpopError::Type), "{bad}");
    }
}

/// Point 5.
#[test]
fn point_5_alg_is_asymmetric_and_supported() {
    for bad in ["none", "HS256", "ES384", ""] {
        let error = parse_error(&but(header(), "alg", bad.into()), &claims());
        assert_eq!(error, Some(DpopError::Malformed(JwsError::Algorithm)), "{bad}");
    }
    let error = parse_error(&but(header(), "alg", "EdDSA".into()), &claims());
    assert_eq!(error, Some(DpopError::Malformed(JwsError::KeyDoesNotFit)), "asymmetric, but not for this key");
    for (alg, jwk, bytes) in [
        ("Ed25519", ED25519, 64),
        ("EdDSA", ED25519, 64),
        ("RS256", RSA, 256),
        ("PS256", &with(RSA, "alg", "PS256".into()), 256),
    ] {
        let header = but(but(header(), "alg", alg.into()), "jwk", serde_json::from_str(jwk).unwrap());
        let text =
            written(&header, &claims()).rsplit_once('.').unwrap().0.to_owned() + "." + &base64url(&vec![1; bytes]);
        assert!(parse(&text).is_ok(), "{alg}");
    }
}

/// Point 6: without the platform's yes there is no proof, and its yes to another proof is none.
#[test]
fn point_6_the_signature_verifies_with_the_key_in_the_header() {
    let unverified = parse(EXAMPLE).unwrap();
    let to_check = unverified.signature();
    assert_eq!(to_check.key().thumbprint().as_str(), JKT);
    assert_eq!(to_check.signing_input(), EXAMPLE.rsplit_once('.').unwrap().0.as_bytes());
    assert_eq!(to_check.answered(false).map_err(DpopError::from).err(), Some(DpopError::Signature));
    let holds = parse(EXAMPLE_WITH_TOKEN).unwrap().signature().answered(true).unwrap();
    assert!(unverified.verified(&holds).is_err());
}

/// Point 7.
#[test]
fn point_7_the_key_in_the_header_is_there_and_not_private() {
    assert_eq!(parse_error(&but(header(), "jwk", Value::Null), &claims()), Some(DpopError::MissingKey));
    let private = serde_json::from_str(&with(P256, "d", "AA".into())).unwrap();
    let error = parse_error(&but(header(), "jwk", private), &claims());
    assert_eq!(error, Some(DpopError::Malformed(JwsError::Jwk(JwkError::Private))));
}

/// Point 8. Methods are case-sensitive (RFC 9110 §9.1).
#[test]
fn point_8_htm_is_the_method_of_the_request() {
    for bad in ["GET", "post", "", "POST "] {
        assert_eq!(check(&but(claims(), "htm", bad.into()), &expected()), Err(DpopError::Method), "{bad}");
    }
}

/// Point 9; `target.rs` has more.
#[test]
fn point_9_htu_is_the_address_of_the_request_without_query_and_fragment() {
    for good in [
        "https://server.example.com/token?x#y",
        "HTTPS://SERVER.example.com:443/token",
        "https://server.example.com/%74oken",
    ] {
        assert!(check(&but(claims(), "htu", good.into()), &expected()).is_ok(), "{good}");
    }
    for bad in
        ["https://server.example.com/", "http://server.example.com/token", "https://other.example/token", "/token", ""]
    {
        assert_eq!(check(&but(claims(), "htu", bad.into()), &expected()), Err(DpopError::Url), "{bad}");
    }
}

/// Point 10, §8: no nonce, a strange one, one that is over.
#[test]
fn point_10_the_nonce_is_this_servers_and_alive() {
    let foreign = Nonces::new(MacKey::new([1; 32])).issue(NOW);
    for bad in [Value::Null, "".into(), foreign.into()] {
        let error = check(&but(claims(), "nonce", bad.clone()), &expected()).unwrap_err();
        assert_eq!((error, error.code()), (DpopError::UseNonce, "use_dpop_nonce"), "{bad}");
    }
    let at = |seconds| check(&claims(), &Expected { now: NOW.plus_seconds(seconds), ..expected() }).err();
    assert_eq!(at(299), None);
    assert_eq!(at(300), Some(DpopError::UseNonce));
}

/// Point 10: what a new nonce would not mend is said at once.
#[test]
fn a_new_nonce_is_asked_for_only_where_it_would_help() {
    let without = but(claims(), "nonce", Value::Null);
    assert_eq!(check(&but(without.clone(), "htm", "GET".into()), &expected()), Err(DpopError::Method));
    let token = Expected { access_token: Some(TOKEN), ..expected() };
    assert_eq!(check(&without, &token), Err(DpopError::TokenHash));
    assert_eq!(
        check(&but(without, "iat", 1.into()), &expected()),
        Err(DpopError::UseNonce),
        "a slow clock may still be set"
    );
}

/// Point 11, §11.1: the nonce says how old the proof is, and `iat` is within 300 s of now either way.
#[test]
fn point_11_iat_is_within_300_seconds_of_now() {
    let now = NOW.seconds();
    for good in [now - 300, now, now + 300] {
        assert!(check(&but(claims(), "iat", good.into()), &expected()).is_ok(), "{good}");
    }
    for bad in [0, now - 301, now + 301, u64::MAX] {
        assert_eq!(check(&but(claims(), "iat", bad.into()), &expected()), Err(DpopError::IssuedAt), "{bad}");
    }
    assert!(
        check(&but(claims(), "iat", json!(1_562_262_616.5)), &expected()).is_ok(),
        "a fraction is allowed (RFC 7519 §2)"
    );
}

/// Point 12, §7.1.
#[test]
fn point_12_ath_is_the_hash_of_the_access_token() {
    let with_token = Expected { access_token: Some(TOKEN), ..expected() };
    let right = but(claims(), "ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo".into());
    assert!(check(&right, &with_token).is_ok());
    assert_eq!(check(&claims(), &with_token), Err(DpopError::TokenHash), "none");
    for bad in ["", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo=", &hex_hash(), TOKEN] {
        assert_eq!(check(&but(claims(), "ath", bad.into()), &with_token), Err(DpopError::TokenHash), "{bad}");
    }
    let another = Expected { access_token: Some("another"), ..expected() };
    assert_eq!(check(&right, &another), Err(DpopError::TokenHash));
    assert!(check(&right, &expected()).is_ok(), "nobody asked");
}

fn hex_hash() -> String {
    crate::domain::encoding::hex(&sha256(TOKEN.as_bytes()))
}

/// Point 12, §6.1, §10: the key that a token or code is bound to.
#[test]
fn point_12_the_key_is_the_one_that_the_token_is_bound_to() {
    let (mine, other) = (JKT.parse().unwrap(), "A".repeat(43).parse().unwrap());
    assert!(check(&claims(), &Expected { jkt: Some(&mine), ..expected() }).is_ok());
    assert_eq!(check(&claims(), &Expected { jkt: Some(&other), ..expected() }), Err(DpopError::AnotherKey));
}

#[test]
fn every_other_reason_has_the_code_of_5_and_7_1() {
    for error in
        [DpopError::MoreThanOne, DpopError::Type, DpopError::Signature, DpopError::IssuedAt, DpopError::AnotherKey]
    {
        assert_eq!(error.code(), "invalid_dpop_proof");
    }
}

/// §11.1: the id is the same for the same key and `jti`, and for no other.
#[test]
fn a_proof_is_named_by_its_key_and_jti() {
    let id = |claims: &Value| check(claims, &expected()).unwrap().id;
    let mine = id(&claims());
    assert_eq!(id(&but(claims(), "iat", (NOW.seconds() + 1).into())), mine);
    assert_ne!(id(&but(claims(), "jti", "other".into())), mine);
    let key = but(header(), "jwk", serde_json::from_str(&with(P256, "x", base64url(&[1; 32]).into())).unwrap());
    assert_ne!(signed(&written(&key, &claims())).unwrap().check(&expected(), &nonces()).unwrap().id, mine);
    let hash = sha256(format!("{JKT}-BwC3ESc6acc2lTc").as_bytes());
    assert_eq!(mine.as_str(), base64url(&hash[..16]));
}

#[test]
fn a_text_for_the_developer_holds_only_what_a_header_may_hold() {
    for error in
        [DpopError::Malformed(JwsError::Parts), DpopError::Claim("iat"), DpopError::UseNonce, DpopError::IssuedAt]
    {
        assert!(
            error.to_string().bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}", payload in ".{0,100}", name in "(jti|htm|htu|iat|ath|nonce)", value in ".{0,50}") {
        let _ = parse(&text);
        let header = base64url(header().to_string().as_bytes());
        let _ = parse(&format!("{header}.{}.{}", base64url(payload.as_bytes()), base64url(&[1; 64])));
        let _ = check(&but(claims(), &name, value.into()), &expected());
    }
}
