//! Signed texts in compact serialization ([RFC 7515 §7.1](https://www.rfc-editor.org/rfc/rfc7515#section-7.1)): `header.payload.signature`.
//!
//! [`Jws::parse`] believes nothing. What can be read here is what chooses the key; the claims come out of
//! [`Unverified::verified`](super::Unverified::verified) alone.

use serde_json::Value;

use super::{
    algorithm::Algorithm,
    jwk::{JwkError, MAX_KID_BYTES, PublicJwk},
    strict::{self, Members},
};
use crate::domain::encoding::from_base64url;

/// Members of a header that change what a signature means, and are refused: extensions that must be understood (RFC 7515 §4.1.11), a
/// payload that isn't base64url (RFC 7797), and those of encrypted texts (RFC 7516 §4.1).
const REFUSED_MEMBERS: [&str; 4] = ["crit", "b64", "enc", "zip"];
/// Signatures of ES256 and Ed25519, in bytes (RFC 7518 §3.4, RFC 8032 §5.1.6).
const FIXED_SIGNATURE_BYTES: usize = 64;
/// Signatures of RSA, in bytes: as long as the modulus.
const RSA_SIGNATURE_BYTES: core::ops::RangeInclusive<usize> = 256..=512;

/// Why text isn't a signed text that is looked at. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than allowed where it stands.
    #[error("the JWT is longer than {max_bytes} bytes")]
    TooLong {
        /// The most that is looked at.
        max_bytes: usize,
    },
    /// Not three parts.
    #[error("a signed JWT has three parts with dots between them (RFC 7515)")]
    Parts,
    /// A part that isn't base64url.
    #[error("the parts of a JWT are base64url without padding")]
    Encoding,
    /// The header is something else, or a member stands twice in it.
    #[error("the header of a JWT is a JSON object in which no member stands twice")]
    Header,
    /// The claims are something else, or one stands twice.
    #[error("the claims of a JWT are a JSON object in which none stands twice")]
    Claims,
    /// One of `crit`, `b64`, `enc`, `zip`.
    #[error("the header member {0} is not supported")]
    RefusedMember(&'static str),
    /// Missing, symmetric, `none`, or not supported.
    #[error("alg must be ES256, EdDSA, Ed25519, RS256 or PS256")]
    Algorithm,
    /// Not a text, or too long.
    #[error("the header member {0} must be a text of at most {MAX_KID_BYTES} bytes")]
    HeaderText(&'static str),
    /// `jwk` isn't a public key.
    #[error("the header member jwk: {0}")]
    Jwk(JwkError),
    /// The signature is longer or shorter than this algorithm and key make it.
    #[error(
        "the signature has another length than alg and the key make it; for ES256 it is r and s, 64 bytes, and not DER"
    )]
    SignatureLength,
    /// A key of another kind, or one for another algorithm.
    #[error("alg does not fit the key")]
    KeyDoesNotFit,
}

/// A signed text, taken apart and not believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Jws {
    algorithm: Algorithm,
    typ: Option<String>,
    kid: Option<String>,
    jwk: Option<PublicJwk>,
    payload: Vec<u8>,
    signing_input: String,
    signature: Vec<u8>,
}

impl Jws {
    /// Takes a compact serialization of at most `max_bytes` apart.
    ///
    /// # Errors
    /// [`JwsError`].
    pub fn parse(text: &str, max_bytes: usize) -> Result<Self, JwsError> {
        if text.len() > max_bytes {
            return Err(JwsError::TooLong { max_bytes });
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(JwsError::Parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Parts)?;
        if payload.contains('.') {
            return Err(JwsError::Parts);
        }
        let bytes = |part: &str| from_base64url(part).ok_or(JwsError::Encoding);
        let (header, payload, signature) = (bytes(header)?, bytes(payload)?, bytes(signature)?);
        let header = strict::object(&header).ok_or(JwsError::Header)?;
        if let Some(name) = REFUSED_MEMBERS.into_iter().find(|name| header.contains_key(*name)) {
            return Err(JwsError::RefusedMember(name));
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
        let algorithm = algorithm.ok_or(JwsError::Algorithm)?;
        let jwk = match header.get("jwk") {
            None => None,
            Some(Value::Object(members)) => Some(PublicJwk::from_members(members).map_err(JwsError::Jwk)?),
            Some(_) => return Err(JwsError::Jwk(JwkError::NotAnObject)),
        };
        let has_length = match algorithm {
            Algorithm::Es256 | Algorithm::EdDsa => signature.len() == FIXED_SIGNATURE_BYTES,
            Algorithm::Rs256 | Algorithm::Ps256 => RSA_SIGNATURE_BYTES.contains(&signature.len()),
        };
        if !has_length {
            return Err(JwsError::SignatureLength);
        }
        Ok(Self {
            algorithm,
            typ: short_text(&header, "typ")?,
            kid: short_text(&header, "kid")?,
            jwk,
            payload,
            signing_input: signing_input.to_owned(),
            signature,
        })
    }

    /// `alg`.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `typ`, as it is written.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `jwk`: the key that the text itself says it is signed with. Good for a proof of possession, and for nothing else.
    #[must_use]
    pub const fn jwk(&self) -> Option<&PublicJwk> {
        self.jwk.as_ref()
    }

    /// What was signed, as bytes, before anybody has checked that it was.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The claims, before anybody has checked the signature.
    ///
    /// # Errors
    /// [`JwsError::Claims`].
    pub fn unverified_claims(&self) -> Result<Members, JwsError> {
        strict::object(&self.payload).ok_or(JwsError::Claims)
    }

    /// The bytes that the signature is over (RFC 7515 §5.1): header and payload as they were sent.
    #[must_use]
    pub fn signing_input(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The signature, decoded.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl core::fmt::Debug for Jws {
    /// Without what could be sent again.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Jws").field("algorithm", &self.algorithm).field("typ", &self.typ).finish_non_exhaustive()
    }
}

fn short_text(header: &Members, name: &'static str) -> Result<Option<String>, JwsError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_KID_BYTES => Ok(Some(text.clone())),
        Some(_) => Err(JwsError::HeaderText(name)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::encoding::base64url;

    const MAX: usize = 8192;
    /// RFC 7515 appendix A.3.1.
    const A_3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    /// RFC 8037 appendix A.4.
    const A_4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn jws(header: &str, signature_bytes: usize) -> Result<Jws, JwsError> {
        let text =
            format!("{}.{}.{}", base64url(header.as_bytes()), base64url(b"{}"), base64url(&vec![1; signature_bytes]));
        Jws::parse(&text, MAX)
    }

    fn error(header: &str) -> Option<JwsError> {
        jws(header, 64).err()
    }

    #[test]
    fn the_example_of_rfc_7515_a_3_is_taken_apart() {
        let jws = Jws::parse(A_3, MAX).unwrap();
        assert_eq!((jws.algorithm(), jws.typ(), jws.kid(), jws.jwk()), (Algorithm::Es256, None, None, None));
        assert_eq!(jws.unverified_claims().unwrap().get("exp"), Some(&1_300_819_380.into()));
        assert_eq!(jws.signing_input(), A_3.rsplit_once('.').unwrap().0.as_bytes());
        // R and S as the RFC lists them.
        assert_eq!(
            (jws.signature()[..4].to_vec(), jws.signature()[32..36].to_vec()),
            (vec![14, 209, 33, 83], vec![197, 10, 7, 211])
        );
    }

    #[test]
    fn the_example_of_rfc_8037_a_4_is_taken_apart() {
        let jws = Jws::parse(A_4, MAX).unwrap();
        assert_eq!((jws.algorithm(), jws.unverified_payload()), (Algorithm::EdDsa, &b"Example of Ed25519 signing"[..]));
        assert_eq!(jws.unverified_claims(), Err(JwsError::Claims));
    }

    #[test]
    fn there_are_exactly_three_parts_rfc_7515_7_1() {
        for bad in ["", "a", "a.b", &format!("{A_3}."), &format!(".{A_3}"), &format!("{A_3}.a.b"), "...", "....."] {
            assert_eq!(Jws::parse(bad, MAX), Err(JwsError::Parts), "{bad}");
        }
    }

    #[test]
    fn the_parts_are_base64url_without_padding_or_anything_else_rfc_7515_2() {
        for bad in [
            format!("{A_3}="),
            format!(" {A_3}"),
            format!("{A_3}\n"),
            A_3.replace('-', "+"),
            A_3.replacen("eyJ", "ey%4a", 1),
            "é.é.é".to_owned(),
        ] {
            assert_eq!(Jws::parse(&bad, MAX), Err(JwsError::Encoding), "{bad}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_not_looked_at() {
        assert!(Jws::parse(A_3, A_3.len()).is_ok());
        assert_eq!(Jws::parse(A_3, A_3.len() - 1), Err(JwsError::TooLong { max_bytes: A_3.len() - 1 }));
    }

    #[test]
    fn alg_is_asymmetric_and_there_rfc_8725_3_1() {
        for bad in [
            r"{}",
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":["ES256"]}"#,
            r#"{"alg":null}"#,
            r#"{"alg":"ES384"}"#,
        ] {
            assert_eq!(error(bad), Some(JwsError::Algorithm), "{bad}");
        }
    }

    #[test]
    fn a_header_member_that_stands_twice_is_refused_rfc_7515_4() {
        assert_eq!(error(r#"{"alg":"ES256","alg":"ES256"}"#), Some(JwsError::Header));
        assert_eq!(error(r#"["ES256"]"#), Some(JwsError::Header));
    }

    #[test]
    fn extensions_that_must_be_understood_are_refused_rfc_7515_4_1_11() {
        assert_eq!(error(r#"{"alg":"ES256","crit":["exp"],"exp":1}"#), Some(JwsError::RefusedMember("crit")));
        assert_eq!(error(r#"{"alg":"ES256","crit":[]}"#), Some(JwsError::RefusedMember("crit")));
        assert_eq!(error(r#"{"alg":"ES256","b64":false}"#), Some(JwsError::RefusedMember("b64")));
        assert_eq!(error(r#"{"alg":"ES256","zip":"DEF"}"#), Some(JwsError::RefusedMember("zip")));
        assert_eq!(error(r#"{"alg":"ES256","unknown":1}"#), None, "others are ignored");
    }

    #[test]
    fn a_key_in_the_header_is_public_rfc_7515_4_1_3() {
        use crate::domain::jose::jwk::tests::{ED25519, key, with};
        let header = |jwk: &str| format!(r#"{{"alg":"EdDSA","jwk":{jwk}}}"#);
        assert_eq!(jws(&header(ED25519), 64).unwrap().jwk(), Some(&key(ED25519)));
        assert_eq!(error(&header(&with(ED25519, "d", "AA".into()))), Some(JwsError::Jwk(JwkError::Private)));
        assert_eq!(error(&header("[]")), Some(JwsError::Jwk(JwkError::NotAnObject)));
        assert_eq!(error(&header(r#"{"kty":"OKP","kty":"OKP"}"#)), Some(JwsError::Header));
    }

    #[test]
    fn typ_and_kid_are_short_texts() {
        assert_eq!(error(r#"{"alg":"ES256","typ":1}"#), Some(JwsError::HeaderText("typ")));
        assert_eq!(
            error(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "a".repeat(257))),
            Some(JwsError::HeaderText("kid"))
        );
        assert_eq!(jws(r#"{"alg":"ES256","kid":"a"}"#, 64).unwrap().kid(), Some("a"));
    }

    #[test]
    fn a_signature_has_the_length_of_its_algorithm_rfc_7518_3_4() {
        for (alg, good, bad) in
            [("ES256", 64, 72), ("EdDSA", 64, 0), ("RS256", 256, 255), ("PS256", 512, 513), ("ES256", 64, 63)]
        {
            let header = format!(r#"{{"alg":"{alg}"}}"#);
            assert!(jws(&header, good).is_ok(), "{alg}");
            assert_eq!(jws(&header, bad), Err(JwsError::SignatureLength), "{alg}");
        }
    }

    #[test]
    fn debug_output_holds_nothing_that_could_be_sent_again() {
        assert_eq!(format!("{:?}", Jws::parse(A_3, MAX).unwrap()), "Jws { algorithm: Es256, typ: None, .. }");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}", parts in "[A-Za-z0-9_.-]{0,200}", header in ".{0,100}") {
            let _ = Jws::parse(&text, MAX);
            let _ = Jws::parse(&parts, MAX);
            let _ = jws(&header, 64);
        }
    }
}
