//! `private_key_jwt`: a client proves who it is with a text that it signs, and sends no secret
//! ([RFC 7523 §2.2 and §3](https://www.rfc-editor.org/rfc/rfc7523#section-3), RFC 7521 §4.2, OpenID Connect Core §9).
//!
//! [`ClientAssertion::parse`] ─▶ the client that it claims is looked up ─▶ [`ClientAssertion::signed_with`] one of its keys ─▶ the platform
//! checks the signature ─▶ [`SignedAssertion::check`] ─▶ [`Authenticated`], whose id the caller uses up.
//!
//! **Audience.** `aud` is the issuer, as a text or as a list with nothing else in it; the address of an endpoint is refused. RFC 7523 §3
//! allowed the token endpoint's, and that can be turned against a client that talks to several servers with one key: a hostile
//! server names *our* token endpoint in its metadata and an endpoint of its own for the rest, and the client signs for us what it sends to
//! it. An issuer can't be borrowed in that way, because clients compare it with where they found the metadata (RFC 8414 §3.3).
//! draft-ietf-oauth-rfc7523bis and FAPI 2.0 (§5.3.2.1) ask for this. Clients with a URL for a name, which talk to servers that
//! they have never heard of, are just those that it protects.

use serde_json::Value;

use super::replay::{MAX_JTI_BYTES, ReplayId, is_jti};
use crate::domain::{
    id::ClientId,
    jose::{
        JwkSet, Jws, SignatureFails, Unverified,
        jwk_set::NoKey,
        jws::JwsError,
        strict::{Members, numeric_date},
    },
    time::Timestamp,
};

/// `client_assertion_type` (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// `token_endpoint_auth_method` of such clients (OpenID Connect Core §9).
pub const AUTH_METHOD: &str = "private_key_jwt";
/// Longest assertion that is looked at.
pub const MAX_ASSERTION_BYTES: usize = 8 * 1024;
/// How far `exp` may be ahead: so long is an assertion remembered.
pub const MAX_LIFE_SECONDS: u64 = 600;
/// How far the client's clock may be ahead in `nbf` and `iat`.
pub const CLOCK_SKEW_SECONDS: u64 = 60;
/// `typ` of the header, where there is one. A text that says that it is something else, such as a DPoP proof, is no assertion (RFC 8725 §3.11).
const TYPES: [&str; 2] = ["JWT", "client-authentication+jwt"];

/// Why an assertion authenticates nobody. The text is for the app's developer and says nothing about clients or keys that the caller
/// did not write itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Another `client_assertion_type`.
    #[error("client_assertion_type must be {ASSERTION_TYPE}")]
    AssertionType,
    /// Not a signed JWT, or one with an algorithm that is not supported.
    #[error("client_assertion can't be read: {0}")]
    Malformed(JwsError),
    /// It says that it is something else.
    #[error("the typ of client_assertion must be JWT or client-authentication+jwt, or be left out")]
    Type,
    /// RFC 7523 §3 points 1 to 4 and 7.
    #[error("the claim {0} of client_assertion is missing or of another type")]
    Claim(&'static str),
    /// OpenID Connect Core §9.
    #[error("iss and sub of client_assertion must both be the client_id")]
    Issuer,
    /// Nothing, or more than can be remembered.
    #[error("the claim jti of client_assertion has 1 to {MAX_JTI_BYTES} bytes")]
    JwtId,
    /// The client has no such key.
    #[error("client_assertion: {0}")]
    Key(NoKey),
    /// RFC 7523 §3 point 9.
    #[error("the signature of client_assertion does not verify with the app's registered key")]
    Signature,
    /// Another client than the one that was looked up or named by `client_id` (RFC 7521 §4.2).
    #[error("client_assertion is of another client than client_id")]
    AnotherClient,
    /// RFC 7523 §3 point 3.
    #[error("aud of client_assertion must be the issuer of this server and nothing else")]
    Audience,
    /// RFC 7523 §3 point 4.
    #[error("client_assertion has expired")]
    Expired,
    /// RFC 7523 §3 point 4: the server may refuse an `exp` unreasonably far away.
    #[error("exp of client_assertion is at most {MAX_LIFE_SECONDS} seconds ahead")]
    TooLong,
    /// RFC 7523 §3 points 5 and 6.
    #[error("{0} of client_assertion is in the future; set the clock of the app's server")]
    NotYet(&'static str),
}

impl AssertionError {
    /// RFC 7521 §4.2.1: whatever is wrong with an assertion, the client is not authenticated.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "invalid_client"
    }
}

impl From<SignatureFails> for AssertionError {
    fn from(_: SignatureFails) -> Self {
        Self::Signature
    }
}

/// An assertion that was taken apart, before it is known whose key it must be signed with.
#[derive(Clone, Debug)]
pub struct ClientAssertion {
    claims: SignedAssertion,
    jws: Jws,
}

/// An assertion whose signature was not checked yet.
pub type UnverifiedAssertion = Unverified<SignedAssertion>;

/// An assertion that is signed with a key of the client, for whatever server and time: good for nothing until [`SignedAssertion::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct SignedAssertion {
    client_id: ClientId,
    jwt_id: String,
    /// `None`: a list that names nobody, or more than one.
    audience: Option<String>,
    expires_at: Timestamp,
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
}

/// What an assertion is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The client whose keys it was checked with; also the `client_id` of the request, if it has one.
    pub client_id: &'a ClientId,
    /// This server.
    pub issuer: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// A client that has proven who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who.
    pub client_id: ClientId,
    /// Names the assertion among all: of 128 bits of SHA-256 over `client_id`, a newline and `jti`. To be used up.
    pub id: ReplayId,
    /// From this moment on the assertion is refused anyway, so it need not be remembered.
    pub expires_at: Timestamp,
}

/// # Errors
/// [`AssertionError::AssertionType`].
pub fn check_type(client_assertion_type: &str) -> Result<(), AssertionError> {
    if client_assertion_type == ASSERTION_TYPE { Ok(()) } else { Err(AssertionError::AssertionType) }
}

impl ClientAssertion {
    /// Reads `client_assertion`.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn parse(text: &str) -> Result<Self, AssertionError> {
        let jws = Jws::parse(text, MAX_ASSERTION_BYTES).map_err(AssertionError::Malformed)?;
        if jws.typ().is_some_and(|typ| !TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ))) {
            return Err(AssertionError::Type);
        }
        let claims = jws.unverified_claims().map_err(AssertionError::Malformed)?;
        Ok(Self { claims: SignedAssertion::from_claims(&claims)?, jws })
    }

    /// Who it says that it is. Good for looking up whose keys to check it with, and for nothing else.
    #[must_use]
    pub const fn unverified_client_id(&self) -> &ClientId {
        &self.claims.client_id
    }

    /// Chooses the key: the one that `kid` names, or the only one that fits. A key that the text itself carries is not looked at.
    ///
    /// # Errors
    /// [`AssertionError::Key`], [`AssertionError::Malformed`].
    pub fn signed_with(self, keys: &JwkSet) -> Result<UnverifiedAssertion, AssertionError> {
        let key = keys.find(self.jws.algorithm(), self.jws.kid()).map_err(AssertionError::Key)?.clone();
        Unverified::new(self.claims, key, self.jws).map_err(AssertionError::Malformed)
    }
}

impl SignedAssertion {
    fn from_claims(claims: &Members) -> Result<Self, AssertionError> {
        let text = |name| claims.get(name).and_then(Value::as_str).ok_or(AssertionError::Claim(name));
        let (issuer, subject, jwt_id) = (text("iss")?, text("sub")?, text("jti")?);
        if issuer != subject {
            return Err(AssertionError::Issuer);
        }
        let client_id = issuer.parse().map_err(|_| AssertionError::Issuer)?;
        if !is_jti(jwt_id) {
            return Err(AssertionError::JwtId);
        }
        let time = |name| match claims.get(name) {
            None => Ok(None),
            Some(value) => numeric_date(value).map(Some).ok_or(AssertionError::Claim(name)),
        };
        Ok(Self {
            client_id,
            jwt_id: jwt_id.to_owned(),
            audience: audience(claims)?,
            expires_at: time("exp")?.ok_or(AssertionError::Claim("exp"))?,
            not_before: time("nbf")?,
            issued_at: time("iat")?,
        })
    }

    /// Checks the assertion (RFC 7523 §3).
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn check(self, expected: &Expected<'_>) -> Result<Authenticated, AssertionError> {
        let now = expected.now;
        if self.client_id != *expected.client_id {
            return Err(AssertionError::AnotherClient);
        }
        if self.audience.as_deref() != Some(expected.issuer) {
            return Err(AssertionError::Audience);
        }
        if now >= self.expires_at {
            return Err(AssertionError::Expired);
        }
        if self.expires_at > now.plus_seconds(MAX_LIFE_SECONDS) {
            return Err(AssertionError::TooLong);
        }
        for (name, time) in [("nbf", self.not_before), ("iat", self.issued_at)] {
            if time.is_some_and(|time| time > now.plus_seconds(CLOCK_SKEW_SECONDS)) {
                return Err(AssertionError::NotYet(name));
            }
        }
        // A client id holds no newline: where `jti` begins is certain.
        let id = ReplayId::new(&format!("{}\n", self.client_id), &self.jwt_id);
        Ok(Authenticated { client_id: self.client_id, id, expires_at: self.expires_at })
    }
}

impl core::fmt::Debug for SignedAssertion {
    /// Without what names the assertion.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SignedAssertion").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// The one audience that `aud` names: a text, or a list of one (RFC 7519 §4.1.3).
fn audience(claims: &Members) -> Result<Option<String>, AssertionError> {
    match claims.get("aud") {
        Some(Value::String(audience)) => Ok(Some(audience.clone())),
        Some(Value::Array(list)) => match list.as_slice() {
            [Value::String(audience)] => Ok(Some(audience.clone())),
            _ => Ok(None),
        },
        _ => Err(AssertionError::Claim("aud")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::{
        encoding::{base64url, sha256},
        jose::jwk::tests::{ED25519, P256, with},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const ISSUER: &str = "https://broker.example";

    fn header() -> Value {
        json!({ "alg": "EdDSA", "kid": "a" })
    }

    fn claims() -> Value {
        json!({ "iss": "app_1", "sub": "app_1", "aud": ISSUER, "jti": "1", "exp": 1_000_060, "iat": 1_000_000 })
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

    fn keys() -> JwkSet {
        let named = [with(ED25519, "kid", "a".into()), with(P256, "kid", "b".into())];
        JwkSet::parse(&format!(r#"{{"keys":[{}]}}"#, named.join(","))).unwrap()
    }

    fn signed(header: &Value, claims: &Value) -> Result<SignedAssertion, AssertionError> {
        let unverified = ClientAssertion::parse(&written(header, claims))?.signed_with(&keys())?;
        let holds = unverified.signature().answered(true)?;
        Ok(unverified.verified(&holds)?)
    }

    fn check_at(claims: &Value, now: Timestamp) -> Result<Authenticated, AssertionError> {
        let client_id = "app_1".parse().unwrap();
        signed(&header(), claims)?.check(&Expected { client_id: &client_id, issuer: ISSUER, now })
    }

    fn error(name: &str, value: Value) -> Option<AssertionError> {
        check_at(&but(claims(), name, value), NOW).err()
    }

    #[test]
    fn a_good_assertion_says_who_the_client_is() {
        let authenticated = check_at(&claims(), NOW).unwrap();
        assert_eq!(authenticated.client_id.as_str(), "app_1");
        assert_eq!(authenticated.expires_at, Timestamp::from_seconds(1_000_060));
        assert_eq!(authenticated.id.as_str(), base64url(&sha256(b"app_1\n1")[..16]));
    }

    #[test]
    fn the_assertion_type_is_that_of_rfc_7523_2_2() {
        assert_eq!(check_type("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), Ok(()));
        assert_eq!(
            check_type("urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
            Err(AssertionError::AssertionType)
        );
    }

    #[test]
    fn issuer_and_subject_are_the_client_rfc_7523_3_points_1_and_2() {
        assert_eq!(error("iss", "app_2".into()), Some(AssertionError::Issuer));
        assert_eq!(error("sub", "app_2".into()), Some(AssertionError::Issuer));
        let other = but(but(claims(), "iss", "app_2".into()), "sub", "app_2".into());
        assert_eq!(check_at(&other, NOW).err(), Some(AssertionError::AnotherClient));
        let blank = but(but(claims(), "iss", "a b".into()), "sub", "a b".into());
        assert_eq!(check_at(&blank, NOW).err(), Some(AssertionError::Issuer), "not an identifier");
    }

    #[test]
    fn the_required_claims_are_there_rfc_7523_3() {
        for name in ["iss", "sub", "aud", "exp", "jti"] {
            for bad in [Value::Null, true.into(), json!({})] {
                assert_eq!(error(name, bad), Some(AssertionError::Claim(name)));
            }
        }
        for name in ["nbf", "iat", "exp"] {
            assert_eq!(error(name, "1".into()), Some(AssertionError::Claim(name)));
        }
        assert_eq!(error("iat", Value::Null), None, "iat is optional (point 6)");
    }

    #[test]
    fn the_issuer_is_the_only_audience_as_draft_ietf_oauth_rfc7523bis_asks() {
        assert_eq!(error("aud", json!([ISSUER])), None);
        for bad in [
            json!("https://broker.example/token"),
            json!("https://broker.example/par"),
            json!("https://broker.example/"),
            json!("https://BROKER.example"),
            json!("https://evil.example"),
            json!([ISSUER, "https://broker.example/token"]),
            json!([ISSUER, ISSUER]),
            json!([[ISSUER]]),
            json!([]),
            json!(""),
        ] {
            assert_eq!(error("aud", bad.clone()), Some(AssertionError::Audience), "{bad}");
        }
    }

    #[test]
    fn an_assertion_is_refused_exactly_at_exp_rfc_7523_3_point_4() {
        assert!(check_at(&claims(), Timestamp::from_millis(1_000_059_999)).is_ok());
        assert_eq!(check_at(&claims(), Timestamp::from_seconds(1_000_060)), Err(AssertionError::Expired));
    }

    #[test]
    fn exp_is_at_most_ten_minutes_ahead_rfc_7523_3_point_4() {
        assert_eq!(error("exp", 1_000_600.into()), None);
        assert_eq!(error("exp", 1_000_601.into()), Some(AssertionError::TooLong));
        assert_eq!(error("exp", u64::MAX.into()), Some(AssertionError::TooLong));
    }

    #[test]
    fn nbf_and_iat_may_be_a_minute_ahead_of_our_clock_rfc_7523_3_points_5_and_6() {
        for name in ["nbf", "iat"] {
            assert_eq!(error(name, 1_000_060.into()), None);
            assert_eq!(error(name, 1_000_061.into()), Some(AssertionError::NotYet(name)));
            assert_eq!(error(name, 1.into()), None, "exp says when it is too old");
        }
    }

    #[test]
    fn jti_has_1_to_256_bytes_rfc_7523_3_point_7() {
        assert_eq!(error("jti", "a".repeat(256).into()), None);
        assert_eq!(error("jti", "a".repeat(257).into()), Some(AssertionError::JwtId));
        assert_eq!(error("jti", "".into()), Some(AssertionError::JwtId));
    }

    #[test]
    fn the_key_is_the_clients_own_whatever_the_assertion_carries() {
        let error = |header: &Value| signed(header, &claims()).err();
        assert_eq!(error(&but(header(), "kid", Value::Null)), None, "the only one that fits");
        assert_eq!(error(&but(header(), "kid", "c".into())), Some(AssertionError::Key(NoKey::Unknown)));
        assert_eq!(
            error(&but(header(), "kid", "b".into())),
            Some(AssertionError::Key(NoKey::Unknown)),
            "of another kind"
        );
        assert_eq!(
            error(&but(header(), "alg", "RS256".into())),
            Some(AssertionError::Malformed(JwsError::SignatureLength))
        );
        assert_eq!(error(&but(header(), "alg", "HS256".into())), Some(AssertionError::Malformed(JwsError::Algorithm)));
        let own: Value = serde_json::from_str(&with(ED25519, "x", base64url(&[7; 32]).into())).unwrap();
        let text = written(&but(header(), "jwk", own), &claims());
        let unverified = ClientAssertion::parse(&text).unwrap().signed_with(&keys()).unwrap();
        assert_eq!(unverified.signature().key(), &keys().keys()[0]);
    }

    #[test]
    fn a_text_of_another_type_is_no_assertion_rfc_8725_3_11() {
        for good in ["JWT", "jwt", "client-authentication+jwt"] {
            assert!(signed(&but(header(), "typ", good.into()), &claims()).is_ok(), "{good}");
        }
        for bad in ["dpop+jwt", "at+jwt", "secevent+jwt", ""] {
            assert_eq!(signed(&but(header(), "typ", bad.into()), &claims()).err(), Some(AssertionError::Type), "{bad}");
        }
    }

    #[test]
    fn the_signature_decides_rfc_7523_3_point_9() {
        let unverified = ClientAssertion::parse(&written(&header(), &claims())).unwrap().signed_with(&keys()).unwrap();
        assert_eq!(
            unverified.signature().answered(false).map_err(AssertionError::from).err(),
            Some(AssertionError::Signature)
        );
    }

    #[test]
    fn an_assertion_has_at_most_8_kib_and_no_claim_twice() {
        let long = written(&header(), &but(claims(), "more", "a".repeat(MAX_ASSERTION_BYTES).into()));
        let too_long = JwsError::TooLong { max_bytes: MAX_ASSERTION_BYTES };
        assert_eq!(ClientAssertion::parse(&long).err(), Some(AssertionError::Malformed(too_long)));
        let twice = r#"{"iss":"app_1","iss":"app_2"}"#;
        let text = format!(
            "{}.{}.{}",
            base64url(header().to_string().as_bytes()),
            base64url(twice.as_bytes()),
            base64url(&[1; 64])
        );
        assert_eq!(ClientAssertion::parse(&text).err(), Some(AssertionError::Malformed(JwsError::Claims)));
    }

    #[test]
    fn an_assertion_is_named_by_its_client_and_jti() {
        let mine = check_at(&claims(), NOW).unwrap().id;
        assert_eq!(check_at(&but(claims(), "exp", 1_000_061.into()), NOW).unwrap().id, mine);
        assert_ne!(check_at(&but(claims(), "jti", "2".into()), NOW).unwrap().id, mine);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}", payload in ".{0,100}", name in "(iss|sub|aud|exp|nbf|iat|jti)", value in ".{0,50}") {
            let _ = ClientAssertion::parse(&text);
            let header = base64url(header().to_string().as_bytes());
            let _ = ClientAssertion::parse(&format!("{header}.{}.{}", base64url(payload.as_bytes()), base64url(&[1; 64])));
            let _ = error(&name, value.into());
        }
    }
}
