//! Authenticator data ([WebAuthn §6.1](https://www.w3.org/TR/webauthn-3/#sctn-authenticator-data)): what the authenticator says and signs.

use super::{
    cbor::{CborError, Reader},
    credential_id::CredentialId,
    public_key::{InvalidKey, PublicKey},
};

/// What is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatorData {
    /// SHA-256 of the relying party's id.
    pub rp_id_hash: [u8; 32],
    /// Somebody touched it (UP).
    pub user_present: bool,
    /// It knows that it is its owner (UV): by a PIN, a finger, a face.
    pub user_verified: bool,
    /// It may be copied to other devices of its owner (BE).
    pub backup_eligible: bool,
    /// How often it signed; 0: it doesn't count.
    pub sign_count: u32,
    /// The new credential, in a registration.
    pub attested: Option<AttestedCredential>,
}

/// A new credential (§6.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedCredential {
    /// Its name.
    pub id: CredentialId,
    /// Its key.
    pub key: PublicKey,
}

/// Why it can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorDataError {
    /// Not its shape.
    #[error("the authenticator data is malformed")]
    Malformed,
    /// The new key is of another kind than was asked for, or none.
    #[error(transparent)]
    Key(#[from] InvalidKey),
}

impl From<CborError> for AuthenticatorDataError {
    fn from(_: CborError) -> Self {
        Self::Malformed
    }
}

const UP: u8 = 1;
const UV: u8 = 1 << 2;
const BE: u8 = 1 << 3;
const BS: u8 = 1 << 4;
const AT: u8 = 1 << 6;
const ED: u8 = 1 << 7;

impl AuthenticatorData {
    /// Reads all of it; nothing may follow.
    ///
    /// # Errors
    /// [`AuthenticatorDataError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AuthenticatorDataError> {
        let malformed = AuthenticatorDataError::Malformed;
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(malformed)?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(malformed)?;
        let (sign_count, rest) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        let has = |flag: u8| flags & flag != 0;
        // §6.1.3: what can't be copied is not copied.
        if has(BS) && !has(BE) {
            return Err(malformed);
        }
        let mut reader = Reader::new(rest);
        let mut attested = None;
        if has(AT) {
            let (_aaguid, rest) = rest.split_first_chunk::<16>().ok_or(malformed)?;
            let (length, rest) = rest.split_first_chunk::<2>().ok_or(malformed)?;
            let (id, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(malformed)?;
            let id = CredentialId::from_bytes(id).ok_or(malformed)?;
            reader = Reader::new(rest);
            attested = Some(AttestedCredential { id, key: PublicKey::read(&mut reader)? });
        }
        if has(ED) {
            // Nothing was asked for; what an authenticator says unasked counts for nothing.
            let mut extensions = reader;
            extensions.map()?;
            reader.skip()?;
        }
        reader.end()?;
        Ok(Self {
            rp_id_hash: *rp_id_hash,
            user_present: has(UP),
            user_verified: has(UV),
            backup_eligible: has(BE),
            sign_count: u32::from_be_bytes(*sign_count),
            attested,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::webauthn::tests::{ID, attested, authenticator_data, cose_p256};

    #[test]
    fn every_part_is_read() {
        let data =
            AuthenticatorData::parse(&authenticator_data(UP | UV | BE | AT, 7, &attested(&cose_p256()))).unwrap();
        assert!(data.user_present && data.user_verified && data.backup_eligible);
        assert_eq!(data.sign_count, 7);
        assert_eq!(data.attested.unwrap().id, CredentialId::from_bytes(ID).unwrap());
    }

    #[test]
    fn without_their_flags_parts_are_not_expected() {
        let data = AuthenticatorData::parse(&authenticator_data(0, 0, &[])).unwrap();
        assert!(!data.user_present && !data.user_verified && !data.backup_eligible);
        assert_eq!(data.attested, None);
        for flags in [UP, UP | ED] {
            let with_key = authenticator_data(flags, 0, &attested(&cose_p256()));
            assert_eq!(AuthenticatorData::parse(&with_key), Err(AuthenticatorDataError::Malformed), "{flags}");
        }
        for flags in [AT, ED] {
            let without = authenticator_data(flags, 0, &[]);
            assert_eq!(AuthenticatorData::parse(&without), Err(AuthenticatorDataError::Malformed), "{flags}");
        }
    }

    #[test]
    fn extensions_are_skipped_and_nothing_may_follow_them() {
        let extensions = [0xa1, 0x69, b'c', b'r', b'e', b'd', b'P', b'r', b'o', b't', b'X', 0x03];
        let with =
            |more: &[u8]| AuthenticatorData::parse(&authenticator_data(UP | ED, 1, &[&extensions, more].concat()));
        assert!(with(&[]).is_ok());
        assert_eq!(with(&[0x00]), Err(AuthenticatorDataError::Malformed));
        let no_map = authenticator_data(UP | ED, 1, &[0x80]);
        assert_eq!(AuthenticatorData::parse(&no_map), Err(AuthenticatorDataError::Malformed));
    }

    #[test]
    fn what_was_copied_without_being_copyable_is_refused() {
        let copied = AuthenticatorData::parse(&authenticator_data(UP | UV | BS, 0, &[]));
        assert_eq!(copied, Err(AuthenticatorDataError::Malformed));
        assert!(AuthenticatorData::parse(&authenticator_data(UP | UV | BE | BS, 0, &[])).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = AuthenticatorData::parse(&bytes);
        }

        #[test]
        fn what_is_cut_short_is_refused(at in 0_usize..1000) {
            let whole = authenticator_data(UP | UV | AT, 7, &attested(&cose_p256()));
            prop_assert!(AuthenticatorData::parse(&whole).is_ok());
            prop_assert!(AuthenticatorData::parse(&whole[..at % whole.len()]).is_err());
        }
    }
}
