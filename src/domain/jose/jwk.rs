//! Public keys that strangers send ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), and their thumbprints
//! ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)).

use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    algorithm::Algorithm,
    strict::{self, Members},
};
use crate::domain::encoding::{base64url, from_base64url, sha256};

/// Largest key that is looked at, in bytes of JSON.
pub const MAX_JWK_BYTES: usize = 4 * 1024;
/// Longest `kid`, in bytes.
pub const MAX_KID_BYTES: usize = 256;
/// Size of an RSA modulus, in bits: below it is weak (RFC 7518 §3.3), above it costs too much to check.
pub const RSA_MODULUS_BITS: core::ops::RangeInclusive<usize> = 2048..=4096;
/// Longest RSA exponent, in bytes; everybody uses 65537, which has three.
const MAX_RSA_EXPONENT_BYTES: usize = 4;
/// SHA-256 in base64url without padding.
const THUMBPRINT_CHARS: usize = 43;
/// Members that only a private or symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4, RFC 8037 §2), and those of RFC 9964 to come.
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Why text isn't a public key that is accepted. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Longer than [`MAX_JWK_BYTES`].
    #[error("a key is at most {MAX_JWK_BYTES} bytes")]
    TooLong,
    /// Not an object, or one with a member that stands twice.
    #[error("a key is a JSON object in which no member stands twice (RFC 7517)")]
    NotAnObject,
    /// Half of the secret went over the wire.
    #[error(
        "this is a private or symmetric key: send the public key alone, and replace this one, for others have seen it"
    )]
    Private,
    /// Another `kty` or `crv`.
    #[error("use a key of kty OKP with crv Ed25519, kty EC with crv P-256, or kty RSA")]
    UnsupportedKind,
    /// A coordinate that is missing, of another length, or not base64url.
    #[error("the member {0} must be base64url without padding, of the length that the curve has")]
    Coordinate(&'static str),
    /// An RSA modulus out of range.
    #[error("an RSA modulus (n) has 2048 to 4096 bits, in base64url without padding or leading zeros")]
    Modulus,
    /// An RSA exponent out of range.
    #[error("an RSA exponent (e) is odd, at least 3, and at most four bytes; use 65537 (AQAB)")]
    Exponent,
    /// `kid` isn't a text, or too long.
    #[error("kid is a text of at most {MAX_KID_BYTES} bytes")]
    Kid,
    /// A key for encryption.
    #[error("use must be sig, and key_ops must contain verify, where they are present")]
    Use,
    /// An `alg` that is unknown or for another kind of key.
    #[error("alg must be ES256, EdDSA, RS256 or PS256, fit the key, and be left out otherwise")]
    Algorithm,
}

/// A public key, checked as far as that goes without computing on the curve: Web Crypto refuses a point that is not on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicJwk {
    material: Material,
    kid: Option<String>,
    algorithm: Option<Algorithm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Ed25519 {
        x: [u8; 32],
    },
    P256 {
        x: [u8; 32],
        y: [u8; 32],
    },
    /// Big-endian, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl PublicJwk {
    /// From JSON text.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn parse(json: &str) -> Result<Self, JwkError> {
        if json.len() > MAX_JWK_BYTES {
            return Err(JwkError::TooLong);
        }
        Self::from_members(&strict::object(json.as_bytes()).ok_or(JwkError::NotAnObject)?)
    }

    /// From an object whose size is limited and in which no member stands twice.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn from_members(members: &Members) -> Result<Self, JwkError> {
        if has_private_member(members) {
            return Err(JwkError::Private);
        }
        let material = Material::from_members(members)?;
        let kid = match members.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= MAX_KID_BYTES => Some(kid.clone()),
            Some(_) => return Err(JwkError::Kid),
        };
        if members.get("use").is_some_and(|name| name != "sig") {
            return Err(JwkError::Use);
        }
        let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if members.get("key_ops").is_some_and(|ops| !verifies(ops)) {
            return Err(JwkError::Use);
        }
        let algorithm = match members.get("alg") {
            None => None,
            Some(name) => {
                let algorithm = name.as_str().and_then(Algorithm::parse).filter(|algorithm| material.makes(*algorithm));
                Some(algorithm.ok_or(JwkError::Algorithm)?)
            }
        };
        Ok(Self { material, kid, algorithm })
    }

    /// An RSA key for RS256, from big-endian numbers.
    pub(in crate::domain) fn rs256(n: &[u8], e: &[u8]) -> Option<Self> {
        let material = Material::Rsa { n: n.to_vec(), e: e.to_vec() };
        (is_modulus(n) && is_exponent(e)).then_some(Self { material, kid: None, algorithm: Some(Algorithm::Rs256) })
    }

    /// The numbers of an RSA key: modulus and exponent.
    pub(in crate::domain) fn rsa_numbers(&self) -> Option<(&[u8], &[u8])> {
        match &self.material {
            Material::Rsa { n, e } => Some((n, e)),
            Material::Ed25519 { .. } | Material::P256 { .. } => None,
        }
    }

    /// Its name, if it has one (RFC 7517 §4.5).
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The members that the key itself consists of and no other, in lexicographic order without spaces: what RFC 7638 §3 hashes, and
    /// all that Web Crypto needs.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.material {
            Material::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(x)),
            Material::P256 { x, y } => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, base64url(x), base64url(y))
            }
            Material::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url(e), base64url(n)),
        }
    }

    /// RFC 7638 §3, with SHA-256.
    #[must_use]
    pub fn thumbprint(&self) -> JwkThumbprint {
        JwkThumbprint(base64url(&sha256(self.to_json().as_bytes())))
    }

    /// What it is as a JSON value, with its name and algorithm.
    pub(super) fn to_value(&self) -> Value {
        let mut value: Value = serde_json::from_str(&self.to_json()).unwrap_or_default();
        if let Value::Object(members) = &mut value {
            if let Some(kid) = &self.kid {
                members.insert("kid".to_owned(), kid.as_str().into());
            }
            if let Some(algorithm) = self.algorithm {
                members.insert("alg".to_owned(), algorithm.as_str().into());
            }
        }
        value
    }

    pub(super) fn makes(&self, algorithm: Algorithm) -> bool {
        self.material.makes(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// How long its signatures are, in bytes (RFC 7518 §3.3 to §3.5, RFC 8032 §5.1.6).
    pub(super) fn signature_bytes(&self) -> usize {
        match &self.material {
            Material::Ed25519 { .. } | Material::P256 { .. } => 64,
            Material::Rsa { n, .. } => n.len(),
        }
    }
}

impl Material {
    fn from_members(members: &Members) -> Result<Self, JwkError> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(from_base64url);
        let coordinate = |name: &'static str| -> Result<[u8; 32], JwkError> {
            bytes(name).and_then(|bytes| bytes.try_into().ok()).ok_or(JwkError::Coordinate(name))
        };
        match (text("kty"), text("crv")) {
            (Some("OKP"), Some("Ed25519")) => Ok(Self::Ed25519 { x: coordinate("x")? }),
            (Some("EC"), Some("P-256")) => Ok(Self::P256 { x: coordinate("x")?, y: coordinate("y")? }),
            (Some("RSA"), _) => {
                let n = bytes("n").filter(|n| is_modulus(n)).ok_or(JwkError::Modulus)?;
                let e = bytes("e").filter(|e| is_exponent(e)).ok_or(JwkError::Exponent)?;
                Ok(Self::Rsa { n, e })
            }
            _ => Err(JwkError::UnsupportedKind),
        }
    }

    const fn makes(&self, algorithm: Algorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::Ed25519 { .. }, Algorithm::EdDsa)
                | (Self::P256 { .. }, Algorithm::Es256)
                | (Self::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256)
        )
    }
}

/// Whether something in it belongs to the owner of the key alone. `kty: oct` is nothing but a secret (RFC 7518 §6.4).
pub(super) fn has_private_member(members: &Members) -> bool {
    PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) || members.get("kty").is_some_and(|kty| kty == "oct")
}

/// Bits of a big-endian number without leading zeros; 0 when it has some.
fn bits(number: &[u8]) -> usize {
    match number.first() {
        Some(first) if *first != 0 => number.len() * 8 - first.leading_zeros() as usize,
        _ => 0,
    }
}

/// A product of two odd primes is odd.
fn is_modulus(n: &[u8]) -> bool {
    RSA_MODULUS_BITS.contains(&bits(n)) && n.last().is_some_and(|last| last % 2 == 1)
}

fn is_exponent(e: &[u8]) -> bool {
    e.len() <= MAX_RSA_EXPONENT_BYTES && bits(e) >= 2 && e.last().is_some_and(|last| last % 2 == 1)
}

/// `jkt`: names a public key by its hash (RFC 7638, RFC 9449 §6.1). Of public keys: nothing to hide, nothing to compare in constant time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JwkThumbprint(String);

/// Text that can't be a thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a thumbprint is the base64url of a SHA-256 hash: 43 characters without padding (RFC 7638)")]
pub struct InvalidThumbprint;

impl JwkThumbprint {
    /// As it is stored and sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::str::FromStr for JwkThumbprint {
    type Err = InvalidThumbprint;
    fn from_str(text: &str) -> Result<Self, InvalidThumbprint> {
        let decoded = if text.len() == THUMBPRINT_CHARS { from_base64url(text) } else { None };
        if decoded.is_some() { Ok(Self(text.to_owned())) } else { Err(InvalidThumbprint) }
    }
}

impl TryFrom<String> for JwkThumbprint {
    type Error = InvalidThumbprint;
    fn try_from(text: String) -> Result<Self, InvalidThumbprint> {
        text.parse()
    }
}

impl From<JwkThumbprint> for String {
    fn from(thumbprint: JwkThumbprint) -> Self {
        thumbprint.0
    }
}

impl fmt::Display for JwkThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(in crate::domain) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7638 §3.1.
    pub(in crate::domain) const RSA: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    /// RFC 8037 appendix A.2.
    pub(in crate::domain) const ED25519: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// RFC 9449 §4.1, the key in the header of the example.
    pub(in crate::domain) const P256: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;

    pub(in crate::domain) fn key(json: &str) -> PublicJwk {
        PublicJwk::parse(json).unwrap()
    }

    /// The key with one member more, or another value of one that it has.
    pub(in crate::domain) fn with(json: &str, name: &str, value: Value) -> String {
        let mut members: Members = serde_json::from_str(json).unwrap();
        members.insert(name.to_owned(), value);
        Value::Object(members).to_string()
    }

    fn error(json: &str) -> Option<JwkError> {
        PublicJwk::parse(json).err()
    }

    #[test]
    fn the_thumbprints_of_the_rfcs_examples_come_out() {
        assert_eq!(key(RSA).thumbprint().as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "RFC 7638 §3.1");
        assert_eq!(key(ED25519).thumbprint().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "RFC 8037 A.3");
        assert_eq!(key(P256).thumbprint().as_str(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "RFC 9449 §6.1");
    }

    #[test]
    fn members_beside_the_key_itself_do_not_change_its_thumbprint_rfc_7638_3() {
        let more = with(&with(&with(ED25519, "kid", "a".into()), "use", "sig".into()), "x5t", "b".into());
        assert_eq!(key(&more).thumbprint(), key(ED25519).thumbprint());
        assert_eq!(key(&more).to_json(), key(ED25519).to_json());
        assert_eq!(key(&more).kid(), Some("a"));
    }

    #[test]
    fn a_key_with_a_private_member_is_refused_whatever_its_value() {
        for json in [RSA, ED25519, P256] {
            for name in PRIVATE_MEMBERS {
                for value in [Value::from("AAAA"), Value::Null] {
                    assert_eq!(error(&with(json, name, value)), Some(JwkError::Private), "{name}");
                }
            }
        }
        assert_eq!(error(r#"{"kty":"oct"}"#), Some(JwkError::Private));
    }

    #[test]
    fn other_kinds_are_not_supported() {
        for json in [
            "{}",
            r#"{"kty":"ec","crv":"P-256"}"#,
            &with(P256, "crv", "P-384".into()),
            &with(P256, "crv", "secp256k1".into()),
            &with(ED25519, "crv", "Ed448".into()),
            &with(ED25519, "crv", "X25519".into()),
            &with(P256, "kty", "OKP".into()),
        ] {
            assert_eq!(error(json), Some(JwkError::UnsupportedKind), "{json}");
        }
    }

    #[test]
    fn coordinates_have_exactly_32_bytes_in_base64url_without_padding_rfc_7518_6_2_1() {
        let good = base64url(&[1; 32]);
        for (json, name) in [(P256, "x"), (P256, "y"), (ED25519, "x")] {
            assert!(error(&with(json, name, good.as_str().into())).is_none());
            let bad = [base64url(&[1; 31]), base64url(&[1; 33]), format!("{good}="), format!("{good} "), String::new()];
            for bad in bad.map(Value::from).into_iter().chain([Value::from(1), Value::Null]) {
                assert_eq!(error(&with(json, name, bad.clone())), Some(JwkError::Coordinate(name)), "{bad}");
            }
        }
    }

    #[test]
    fn a_coordinate_is_written_in_one_way_only() {
        // The last character holds four bits of the value: `E` and `F` would decode to the same bytes.
        let good = base64url(&[1; 32]);
        assert!(good.ends_with('E'));
        let other = format!("{}F", good.strip_suffix('E').unwrap());
        assert_eq!(error(&with(ED25519, "x", other.into())), Some(JwkError::Coordinate("x")));
        assert_eq!(
            error(&with(P256, "x", good.replace('_', "/").replace("AQ", "A+").into())),
            Some(JwkError::Coordinate("x"))
        );
    }

    #[test]
    fn an_rsa_modulus_has_2048_to_4096_bits_and_no_leading_zero() {
        let modulus = |bytes: usize, first: u8, last: u8| {
            let mut n = vec![0xff; bytes];
            n[0] = first;
            n[bytes - 1] = last;
            error(&with(RSA, "n", base64url(&n).into()))
        };
        assert_eq!(modulus(256, 0x80, 1), None, "2048 bits");
        assert_eq!(modulus(512, 0xff, 1), None, "4096 bits");
        assert_eq!(modulus(256, 0x7f, 1), Some(JwkError::Modulus), "2047 bits");
        assert_eq!(modulus(513, 0x01, 1), Some(JwkError::Modulus), "4097 bits");
        assert_eq!(modulus(257, 0x00, 1), Some(JwkError::Modulus), "a leading zero");
        assert_eq!(modulus(256, 0x80, 2), Some(JwkError::Modulus), "even");
    }

    #[test]
    fn an_rsa_exponent_is_small_odd_and_at_least_3() {
        let exponent = |e: &[u8]| error(&with(RSA, "e", base64url(e).into()));
        for good in [&[3][..], &[1, 0, 1], &[0xff; 4]] {
            assert_eq!(exponent(good), None, "{good:?}");
        }
        for bad in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[0, 3], &[1, 0, 0, 0, 1]] {
            assert_eq!(exponent(bad), Some(JwkError::Exponent), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_for_signatures_rfc_7517_4_2_and_4_3() {
        assert_eq!(error(&with(P256, "use", "sig".into())), None);
        assert_eq!(error(&with(P256, "use", "enc".into())), Some(JwkError::Use));
        assert_eq!(error(&with(P256, "use", Value::Null)), Some(JwkError::Use));
        assert_eq!(error(&with(P256, "key_ops", serde_json::json!(["verify"]))), None);
        assert_eq!(error(&with(P256, "key_ops", serde_json::json!(["encrypt"]))), Some(JwkError::Use));
        assert_eq!(error(&with(P256, "key_ops", "verify".into())), Some(JwkError::Use));
    }

    #[test]
    fn a_keys_own_algorithm_must_fit_it_and_binds_it_rfc_7517_4_4() {
        for (json, name) in
            [(P256, "EdDSA"), (P256, "RS256"), (ED25519, "ES256"), (RSA, "ES256"), (RSA, "RSA-OAEP"), (RSA, "none")]
        {
            assert_eq!(error(&with(json, "alg", name.into())), Some(JwkError::Algorithm), "{name}");
        }
        assert_eq!(error(&with(ED25519, "alg", 1.into())), Some(JwkError::Algorithm));
        assert!(Algorithm::EdDsa.fits(&key(&with(ED25519, "alg", "Ed25519".into()))));
        assert!(Algorithm::Rs256.fits(&key(RSA)));
        assert!(!Algorithm::Ps256.fits(&key(RSA)), "the key says RS256");
        assert!(Algorithm::Ps256.fits(&key(&with(RSA, "alg", "PS256".into()))));
        assert!(!Algorithm::Es256.fits(&key(ED25519)));
    }

    #[test]
    fn a_kid_is_a_short_text_rfc_7517_4_5() {
        assert_eq!(error(&with(P256, "kid", "k".repeat(256).into())), None);
        for bad in [Value::from("k".repeat(257)), Value::from(1), Value::Null] {
            assert_eq!(error(&with(P256, "kid", bad)), Some(JwkError::Kid));
        }
    }

    #[test]
    fn a_member_that_stands_twice_and_a_key_without_end_are_refused() {
        assert_eq!(error(&P256.replacen('{', r#"{"kty":"EC","#, 1)), Some(JwkError::NotAnObject));
        assert_eq!(error(&with(P256, "x5c", "a".repeat(MAX_JWK_BYTES).into())), Some(JwkError::TooLong));
    }

    #[test]
    fn a_thumbprint_is_43_characters_of_base64url() {
        let good = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert_eq!(good.parse::<JwkThumbprint>().unwrap().as_str(), good);
        for bad in [
            String::new(),
            "a".repeat(42),
            "a".repeat(44),
            "=".repeat(43),
            format!("{}J", good.strip_suffix('I').unwrap()),
        ] {
            assert_eq!(bad.parse::<JwkThumbprint>(), Err(InvalidThumbprint), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,200}", name in "[a-z]{1,3}", value in ".{0,50}") {
            let _ = PublicJwk::parse(&text);
            let _ = PublicJwk::parse(&with(RSA, &name, value.as_str().into()));
            let _ = text.parse::<JwkThumbprint>();
        }

        #[test]
        fn what_is_written_is_read_as_the_same_key(x in any::<[u8; 32]>(), y in any::<[u8; 32]>()) {
            let json = with(&with(P256, "x", base64url(&x).into()), "y", base64url(&y).into());
            prop_assert_eq!(key(&key(&json).to_json()), key(&json));
        }
    }
}
