//! Algorithms of signatures ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1), RFC 8037 §3.1, RFC 9864).

use super::jwk::PublicJwk;

/// `alg`: the asymmetric ones that are accepted, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519. It goes by two names: `EdDSA`, and `Ed25519` since RFC 9864.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
}

impl Algorithm {
    /// The names that are understood, for metadata such as `dpop_signing_alg_values_supported`.
    pub const NAMES: [&'static str; 5] = ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"];

    /// By its name in `alg`; names are case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            _ => None,
        }
    }

    /// Its name; for Ed25519 the one that every client knows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    /// Whether this key can make such signatures: its kind fits, and so does its own `alg`, if it has one (RFC 7517 §4.4).
    #[must_use]
    pub fn fits(self, key: &PublicJwk) -> bool {
        key.makes(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_hmac_are_no_algorithms_rfc_8725_2_1() {
        for name in ["none", "None", "", "HS256", "HS512", "ES384", "es256", "RSA-OAEP", "EdDSA "] {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
    }

    #[test]
    fn every_name_that_is_advertised_is_understood() {
        for name in Algorithm::NAMES {
            assert!(Algorithm::parse(name).is_some(), "{name}");
        }
    }

    #[test]
    fn ed25519_goes_by_two_names_rfc_9864() {
        assert_eq!(Algorithm::parse("Ed25519"), Algorithm::parse("EdDSA"));
    }
}
