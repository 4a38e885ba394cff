//! A passkey's public key: from COSE ([RFC 9053](https://www.rfc-editor.org/rfc/rfc9053) §7, [RFC 8230](https://www.rfc-editor.org/rfc/rfc8230)
//! §4), to the database and back, and what it verifies. RSA is the platform's business: whoever wants to know asks it first.

use ed25519_dalek::VerifyingKey as Ed25519Key;
use p256::ecdsa::{Signature as P256Signature, VerifyingKey as P256Key, signature::Verifier};

use super::cbor::{CborError, Reader};
use crate::domain::{
    encoding::{base64url, from_base64url},
    jose::{Algorithm, PublicJwk, SignatureHolds, SignatureToCheck},
};

/// COSE's name of ECDSA with SHA-256, on P-256 in `WebAuthn` (§5.8.5).
pub const ES256: i64 = -7;
/// COSE's name of `EdDSA`, on Ed25519 in `WebAuthn`.
pub const EDDSA: i64 = -8;
/// COSE's name of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8812 §2): what many a Windows Hello makes, and nothing else.
pub const RS256: i64 = -257;

/// A public key, on its curve where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// ECDSA over P-256 with SHA-256.
    Es256(P256Key),
    /// Ed25519.
    EdDsa(Ed25519Key),
    /// RSA, for RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256(PublicJwk),
}

/// Not a key of a kind that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ES256, EdDSA or RS256 public key")]
pub struct InvalidKey;

impl From<CborError> for InvalidKey {
    fn from(_: CborError) -> Self {
        Self
    }
}

impl PublicKey {
    /// Reads a `COSE_Key` with the members that it consists of and no other (`WebAuthn` §6.5.1.1).
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, InvalidKey> {
        let (mut kty, mut alg, mut crv) = (None, None, None);
        let (mut n, mut x, mut y) = (None, None, None);
        let members = reader.map()?;
        for _ in 0..members {
            let is_new = match reader.integer()? {
                1 => kty.replace(reader.integer()?).is_none(),
                3 => alg.replace(reader.integer()?).is_none(),
                // RFC 8230 §4: of RSA the modulus, then the exponent.
                -1 if kty == Some(3) => n.replace(reader.bytes()?).is_none(),
                -1 => crv.replace(reader.integer()?).is_none(),
                -2 => x.replace(reader.bytes()?).is_none(),
                -3 => y.replace(reader.bytes()?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(InvalidKey);
            }
        }
        match (kty, alg, crv, n, x, y) {
            (Some(2), Some(ES256), Some(1), None, Some(x), Some(y)) => Self::es256(x, y),
            (Some(1), Some(EDDSA), Some(6), None, Some(x), None) => Self::ed_dsa(x),
            (Some(3), Some(RS256), None, Some(n), Some(e), None) => Self::rs256(n, e),
            _ => Err(InvalidKey),
        }
    }

    fn es256(x: &[u8], y: &[u8]) -> Result<Self, InvalidKey> {
        let (x, y): (&[u8; 32], &[u8; 32]) =
            (x.try_into().map_err(|_| InvalidKey)?, y.try_into().map_err(|_| InvalidKey)?);
        // SEC 1 §2.3.3: uncompressed.
        let point = [&[4], x.as_slice(), y].concat();
        P256Key::from_sec1_bytes(&point).map(Self::Es256).map_err(|_| InvalidKey)
    }

    fn ed_dsa(x: &[u8]) -> Result<Self, InvalidKey> {
        let bytes: &[u8; 32] = x.try_into().map_err(|_| InvalidKey)?;
        let key = Ed25519Key::from_bytes(bytes).map_err(|_| InvalidKey)?;
        // Of such a key there are signatures that fit any text.
        if key.is_weak() { Err(InvalidKey) } else { Ok(Self::EdDsa(key)) }
    }

    fn rs256(n: &[u8], e: &[u8]) -> Result<Self, InvalidKey> {
        PublicJwk::rs256(n, e).map(Self::Rs256).ok_or(InvalidKey)
    }

    /// Its algorithm's name in COSE.
    #[must_use]
    pub const fn algorithm(&self) -> i64 {
        match self {
            Self::Es256(_) => ES256,
            Self::EdDsa(_) => EDDSA,
            Self::Rs256(_) => RS256,
        }
    }

    /// As it is stored: the algorithm's name in JOSE, a dot, the coordinates; of RSA the modulus, a dot, the exponent.
    #[must_use]
    pub fn to_stored(&self) -> String {
        match self {
            Self::Es256(key) => {
                let point = key.to_encoded_point(false);
                let coordinates = [point.x().map_or(&[][..], |x| x), point.y().map_or(&[][..], |y| y)].concat();
                format!("ES256.{}", base64url(&coordinates))
            }
            Self::EdDsa(key) => format!("EdDSA.{}", base64url(key.as_bytes())),
            Self::Rs256(key) => {
                let (n, e) = key.rsa_numbers().unwrap_or_default();
                format!("RS256.{}.{}", base64url(n), base64url(e))
            }
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let (algorithm, coordinates) = text.split_once('.')?;
        if algorithm == "RS256" {
            let (n, e) = coordinates.split_once('.')?;
            return Self::rs256(&from_base64url(n)?, &from_base64url(e)?).ok();
        }
        let bytes = from_base64url(coordinates)?;
        match algorithm {
            "ES256" => bytes.split_at_checked(32).and_then(|(x, y)| Self::es256(x, y).ok()),
            "EdDSA" => Self::ed_dsa(&bytes).ok(),
            _ => None,
        }
    }

    /// What the platform has to be asked before it is known whether `signature` is this key's over `message`, if it has to.
    #[must_use]
    pub fn to_ask<'a>(&'a self, message: &'a [u8], signature: &'a [u8]) -> Option<SignatureToCheck<'a>> {
        match self {
            Self::Es256(_) | Self::EdDsa(_) => None,
            Self::Rs256(key) => SignatureToCheck::of_bytes(key, Algorithm::Rs256, message, signature),
        }
    }

    /// Whether `signature` is this key's over `message`: DER for ES256, 64 bytes for `EdDSA` (`WebAuthn` §6.5.5). `platform`: what the
    /// platform said to [`Self::to_ask`].
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8], platform: Option<&SignatureHolds>) -> bool {
        match self {
            Self::Rs256(_) => {
                self.to_ask(message, signature).zip(platform).is_some_and(|(asked, said)| said.answers(&asked))
            }
            Self::Es256(key) => {
                P256Signature::from_der(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            Self::EdDsa(key) => {
                let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
                key.verify_strict(message, &signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::webauthn::tests::{cose_ed25519, cose_p256, ed25519, p256};

    fn read(bytes: &[u8]) -> Result<PublicKey, InvalidKey> {
        let mut reader = Reader::new(bytes);
        let key = PublicKey::read(&mut reader)?;
        reader.end()?;
        Ok(key)
    }

    #[test]
    fn a_key_of_each_kind_is_read_stored_and_found_again() {
        for cose in [cose_p256(), cose_ed25519()] {
            let key = read(&cose).unwrap();
            assert_eq!(PublicKey::from_stored(&key.to_stored()), Some(key));
        }
    }

    #[test]
    fn each_verifies_its_own_signature_and_no_other() {
        let (es256, ed_dsa) = (read(&cose_p256()).unwrap(), read(&cose_ed25519()).unwrap());
        let signature: P256Signature = p256().sign(b"text");
        let other = ed25519().sign(b"text").to_bytes();
        assert!(es256.verifies(b"text", signature.to_der().as_bytes(), None));
        assert!(!es256.verifies(b"tex", signature.to_der().as_bytes(), None));
        assert!(!es256.verifies(b"text", &signature.to_bytes(), None), "64 bytes are no DER");
        assert!(ed_dsa.verifies(b"text", &other, None));
        assert!(!ed_dsa.verifies(b"tex", &other, None));
        assert!(!ed_dsa.verifies(b"text", signature.to_der().as_bytes(), None));
    }

    #[test]
    fn an_algorithm_that_was_not_asked_for_is_refused() {
        // RS256 is -257, and of another type of key; ES384 -35: `alg` is the value behind the key 3.
        let with = |alg: &[u8]| [&[0xa5, 0x01, 0x02, 0x03][..], alg, &cose_p256()[5..]].concat();
        assert!(read(&with(&[0x26])).is_ok());
        assert_eq!(read(&with(&[0x39, 0x01, 0x00])), Err(InvalidKey));
        assert_eq!(read(&with(&[0x38, 0x22])), Err(InvalidKey));
        assert_eq!(read(&with(&[0x27])), Err(InvalidKey), "EdDSA has another type of key");
    }

    fn cose_rsa(n: &[u8], e: &[u8]) -> Vec<u8> {
        let length = u16::try_from(n.len()).unwrap().to_be_bytes();
        let e_head = 0x40 + u8::try_from(e.len()).unwrap();
        [&[0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59][..], &length, n, &[0x21, e_head], e].concat()
    }

    #[test]
    fn an_rsa_key_is_read_stored_and_found_again_and_believed_where_the_platform_says_so_of_just_that() {
        let modulus = [&[0x80][..], &[7; 255]].concat();
        let key = read(&cose_rsa(&modulus, &[1, 0, 1])).unwrap();
        assert_eq!(key.algorithm(), RS256);
        assert_eq!(PublicKey::from_stored(&key.to_stored()), Some(key.clone()));
        let signature = [9; 256];
        assert!(key.to_ask(b"text", &[9; 255]).is_none(), "a signature is as long as the modulus");
        let asked = key.to_ask(b"text", &signature).unwrap();
        assert!(asked.answered(false).is_err());
        let holds = asked.answered(true).unwrap();
        assert!(key.verifies(b"text", &signature, Some(&holds)));
        assert!(!key.verifies(b"text", &signature, None));
        assert!(!key.verifies(b"tex", &signature, Some(&holds)));
        assert!(!key.verifies(b"text", &[8; 256], Some(&holds)));
        let other = read(&cose_rsa(&modulus, &[3])).unwrap();
        assert!(!other.verifies(b"text", &signature, Some(&holds)));
        assert!(!read(&cose_p256()).unwrap().verifies(b"text", &signature, Some(&holds)), "and of no other kind");
    }

    #[test]
    fn an_rsa_key_that_is_weak_or_none_is_refused() {
        let modulus = |bytes: usize, last| [&[0x80][..], &vec![7; bytes - 2], &[last]].concat();
        assert!(read(&cose_rsa(&modulus(256, 7), &[3])).is_ok());
        for (n, e) in [
            (modulus(255, 7), &[1, 0, 1][..]),
            (modulus(513, 7), &[1, 0, 1]),
            (modulus(256, 8), &[1, 0, 1]),
            (modulus(256, 7), &[1]),
            (modulus(256, 7), &[2]),
            (modulus(256, 7), &[]),
        ] {
            assert_eq!(read(&cose_rsa(&n, e)), Err(InvalidKey));
        }
    }

    #[test]
    fn a_point_off_its_curve_is_refused() {
        let mut cose = cose_p256();
        *cose.last_mut().unwrap() ^= 1;
        assert_eq!(read(&cose), Err(InvalidKey));
    }

    #[test]
    fn a_key_for_which_any_text_could_be_signed_is_refused() {
        let neutral = [&[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20, 0x01][..], &[0; 31]].concat();
        assert_eq!(read(&neutral), Err(InvalidKey));
    }

    #[test]
    fn a_member_that_stands_twice_or_is_not_needed_is_refused() {
        let cose = cose_ed25519();
        let more = |member: &[u8]| [&[0xa5][..], &cose[1..], member].concat();
        assert_eq!(read(&more(&[0x20, 0x06])), Err(InvalidKey));
        assert_eq!(read(&more(&[0x02, 0x41, 0x00])), Err(InvalidKey));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            text in "(ES256|EdDSA|RS256|x)[.]?[A-Za-z0-9_-]{0,100}",
            at in 0_usize..77,
            flip in any::<u8>(),
        ) {
            let _ = read(&bytes);
            let _ = PublicKey::from_stored(&text);
            let mut near = cose_p256();
            near[at] ^= flip;
            if let Ok(key) = read(&near) {
                prop_assert_eq!(PublicKey::from_stored(&key.to_stored()), Some(key));
            }
        }

        #[test]
        fn no_signature_makes_it_panic(signature in proptest::collection::vec(any::<u8>(), 0..90)) {
            prop_assert!(!read(&cose_p256()).unwrap().verifies(b"text", &signature, None));
            prop_assert!(!read(&cose_ed25519()).unwrap().verifies(b"text", &signature, None));
        }
    }
}
