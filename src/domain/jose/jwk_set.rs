//! `jwks` of a client's metadata (RFC 7591 §2): its public keys ([RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)).

use serde_json::Value;

use super::{
    algorithm::Algorithm,
    jwk::{JwkError, PublicJwk, has_private_member},
    strict,
};

/// Largest set that is looked at, in bytes of JSON.
pub const MAX_JWK_SET_BYTES: usize = 16 * 1024;
/// Most keys in a set, those that are skipped among them.
pub const MAX_KEYS: usize = 10;

/// Why text isn't a key set that is accepted. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkSetError {
    /// Longer than [`MAX_JWK_SET_BYTES`].
    #[error("jwks is at most {MAX_JWK_SET_BYTES} bytes")]
    TooLong,
    /// Not an object with a list of objects, or a member stands twice.
    #[error(
        "jwks is a JSON object with a list of key objects as its member keys, and no member stands twice (RFC 7517)"
    )]
    NotASet,
    /// More than [`MAX_KEYS`].
    #[error("jwks holds at most {MAX_KEYS} keys")]
    TooMany,
    /// A private key, of whatever kind.
    #[error(
        "key {index} is private or symmetric: send public keys alone, and replace this one, for others have seen it"
    )]
    Private {
        /// Position in the list, from 0.
        index: usize,
    },
    /// None is left.
    #[error("jwks holds no key that can be used")]
    Empty,
    /// None is left, and this is why the first was skipped.
    #[error("jwks holds no key that can be used: {0}")]
    Unusable(JwkError),
}

/// Public keys, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwkSet(Vec<PublicJwk>);

/// Why a set has no key for a signature. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// None of this name and kind.
    #[error("none of the app's registered keys has this kid and fits this alg")]
    Unknown,
    /// More than one could be it.
    #[error("several of the app's registered keys fit; name one with kid")]
    Ambiguous,
}

impl JwkSet {
    /// From JSON text. A key that can't be used is skipped, as RFC 7517 §5 says; a private one is an error wherever it stands.
    ///
    /// # Errors
    /// [`JwkSetError`].
    pub fn parse(json: &str) -> Result<Self, JwkSetError> {
        if json.len() > MAX_JWK_SET_BYTES {
            return Err(JwkSetError::TooLong);
        }
        let members = strict::object(json.as_bytes()).ok_or(JwkSetError::NotASet)?;
        let list = members.get("keys").and_then(Value::as_array).ok_or(JwkSetError::NotASet)?;
        if list.len() > MAX_KEYS {
            return Err(JwkSetError::TooMany);
        }
        let mut keys = Vec::with_capacity(list.len());
        let mut skipped = None;
        for (index, key) in list.iter().enumerate() {
            let key = key.as_object().ok_or(JwkSetError::NotASet)?;
            if has_private_member(key) {
                return Err(JwkSetError::Private { index });
            }
            match PublicJwk::from_members(key) {
                Ok(key) => keys.push(key),
                Err(why) => skipped = skipped.or(Some(why)),
            }
        }
        match (keys.is_empty(), skipped) {
            (false, _) => Ok(Self(keys)),
            (true, Some(why)) => Err(JwkSetError::Unusable(why)),
            (true, None) => Err(JwkSetError::Empty),
        }
    }

    /// The keys that can be used, with their names and algorithms: what is worth storing.
    #[must_use]
    pub fn to_json(&self) -> String {
        let keys: Vec<Value> = self.0.iter().map(PublicJwk::to_value).collect();
        serde_json::json!({ "keys": keys }).to_string()
    }

    /// The keys, in their order.
    #[must_use]
    pub fn keys(&self) -> &[PublicJwk] {
        &self.0
    }

    /// The key that a signature names by `kid`, or the only one that fits when it names none (RFC 7515 §6).
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&PublicJwk, NoKey> {
        let is_named = |key: &&PublicJwk| kid.is_none_or(|kid| key.kid() == Some(kid));
        let mut fitting = self.0.iter().filter(|key| algorithm.fits(key)).filter(is_named);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(NoKey::Unknown),
            (Some(_), Some(_)) => Err(NoKey::Ambiguous),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::jwk::tests::{ED25519, P256, RSA, key, with},
        *,
    };

    fn set(keys: &[&str]) -> Result<JwkSet, JwkSetError> {
        JwkSet::parse(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
    }

    #[test]
    fn keys_that_can_not_be_used_are_skipped_rfc_7517_5() {
        let unsupported = [
            r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#,
            r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#,
            &with(RSA, "use", "enc".into()),
            &with(P256, "x", "AA".into()),
        ];
        let all: Vec<&str> = unsupported.into_iter().chain([ED25519]).collect();
        assert_eq!(set(&all).unwrap().keys(), [key(ED25519)]);
    }

    #[test]
    fn a_private_key_is_an_error_wherever_it_stands_and_of_whatever_kind() {
        for private in [&with(P256, "d", "AA".into()), r#"{"kty":"oct","k":"AA"}"#, r#"{"kty":"AKP","priv":"AA"}"#] {
            assert_eq!(set(&[ED25519, private]), Err(JwkSetError::Private { index: 1 }), "{private}");
        }
    }

    #[test]
    fn a_set_without_a_key_that_can_be_used_says_why() {
        assert_eq!(set(&[]), Err(JwkSetError::Empty));
        assert_eq!(set(&[&with(P256, "use", "enc".into()), "{}"]), Err(JwkSetError::Unusable(JwkError::Use)));
    }

    #[test]
    fn a_set_holds_at_most_ten_keys_in_16_kib() {
        assert!(set(&[ED25519; 10]).is_ok());
        assert_eq!(set(&[ED25519; 11]), Err(JwkSetError::TooMany));
        assert_eq!(set(&[&with(ED25519, "x5c", "a".repeat(MAX_JWK_SET_BYTES).into())]), Err(JwkSetError::TooLong));
    }

    #[test]
    fn anything_but_a_set_is_refused() {
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"keys":[],"keys":[]}"#, ED25519] {
            assert_eq!(JwkSet::parse(bad), Err(JwkSetError::NotASet), "{bad}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_name_and_its_kind() {
        let keys = set(&[&with(P256, "kid", "a".into()), &with(ED25519, "kid", "a".into()), RSA]).unwrap();
        assert_eq!(keys.find(Algorithm::EdDsa, Some("a")).unwrap().thumbprint(), key(ED25519).thumbprint());
        assert_eq!(keys.find(Algorithm::Rs256, Some("2011-04-29")), Ok(&key(RSA)));
        assert_eq!(keys.find(Algorithm::Ps256, Some("2011-04-29")), Err(NoKey::Unknown), "that key is for RS256");
        assert_eq!(keys.find(Algorithm::Es256, Some("b")), Err(NoKey::Unknown));
    }

    #[test]
    fn without_a_name_only_the_one_that_fits_is_taken() {
        let other = with(P256, "kid", "other".into());
        assert_eq!(set(&[P256, ED25519]).unwrap().find(Algorithm::Es256, None), Ok(&key(P256)));
        assert_eq!(set(&[P256, &other]).unwrap().find(Algorithm::Es256, None), Err(NoKey::Ambiguous));
        assert_eq!(set(&[ED25519]).unwrap().find(Algorithm::Es256, None), Err(NoKey::Unknown));
        assert_eq!(
            set(&[P256]).unwrap().find(Algorithm::Es256, Some("x")),
            Err(NoKey::Unknown),
            "it names a key that has no name"
        );
    }

    #[test]
    fn what_is_stored_is_read_as_the_same_set() {
        let keys = set(&[RSA, ED25519, &with(P256, "kid", "\"\\é".into())]).unwrap();
        assert_eq!(JwkSet::parse(&keys.to_json()), Ok(keys));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}", inner in "[\\[\\]{}\":,a-z]{0,60}") {
            let _ = JwkSet::parse(&text);
            let _ = set(&[&inner]);
        }
    }
}
