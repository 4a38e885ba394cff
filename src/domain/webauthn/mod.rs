//! Passkeys: [Web Authentication](https://www.w3.org/TR/webauthn-3/), as much of it as signing in takes.
//!
//! | file | what it is |
//! |---|---|
//! | [`challenge`] | what an authenticator has to sign, for which use, in which browser |
//! | [`client_data`] | what the browser says |
//! | [`authenticator_data`], [`cbor`], [`public_key`] | what the authenticator says |
//! | [`registration`] | §7.1: a new passkey |
//! | [`assertion`] | §7.2: a passkey is used |
//!
//! A passkey here is discoverable and always verifies its owner, so it alone signs in: nobody types a name, and nobody can ask which names
//! there are. ES256 and `EdDSA` are what phones, password managers and security keys make, RS256 what many a Windows Hello makes: that one
//! the platform checks (`web::ports::Signatures`). What an authenticator is made by doesn't matter: attestation is not asked for, and where
//! a browser passes one on all the same it is one that says nothing (§6.5.4, self attestation).
//!
//! The checks stand here and not in a library for two reasons. `webauthn_rp` 0.3, which knows the specification best, reads the clock in
//! every ceremony (`Instant::now`), and in wasm that is a panic. And it was measured to add 102 KB to a compressed wasm that verifies
//! Ed25519 and P-256 already: RSA, P-384 and tables of Unicode. What is here adds no algorithm.

pub mod assertion;
pub mod authenticator_data;
pub mod cbor;
pub mod challenge;
pub mod client_data;
pub mod credential_id;
pub mod public_key;
pub mod registration;

use authenticator_data::{AuthenticatorData, AuthenticatorDataError};
use client_data::ClientDataError;
pub use credential_id::CredentialId;
pub use public_key::PublicKey;

use super::encoding::sha256;

/// Longest answer of a browser that is read, as JSON.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// Most passkeys of one person.
pub const MAX_PASSKEYS: u32 = 20;

/// Who asks: this broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty<'a> {
    /// The origin of its pages.
    pub origin: &'a str,
    /// Its id: the host (§5.1.2).
    pub id: &'a str,
}

impl<'a> RelyingParty<'a> {
    /// From the origin of the broker: `https://host`, perhaps with a port.
    #[must_use]
    pub fn new(origin: &'a str) -> Self {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        // An IPv6 address can't be a relying party's id, so a colon begins the port.
        Self { origin, id: host.split(':').next().unwrap_or(host) }
    }
}

/// Why an answer of an authenticator isn't accepted. The text is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// The browser's answer isn't of its shape.
    #[error("the passkey's answer is malformed")]
    Malformed,
    /// What the browser says.
    #[error(transparent)]
    ClientData(#[from] ClientDataError),
    /// What the authenticator says.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// It was asked by another broker.
    #[error("the authenticator answered for another relying party")]
    OtherRelyingParty,
    /// Nobody was there.
    #[error("the authenticator didn't see anybody")]
    NotPresent,
    /// It doesn't know who was there.
    #[error("the authenticator didn't verify its user")]
    NotVerified,
    /// There is no new credential in it, or one where there must be none.
    #[error("the answer is of another kind")]
    OtherKind,
    /// It comes with a statement about its maker that was not asked for.
    #[error("the attestation is of a kind that is not accepted")]
    Attestation,
    /// The signature is not that key's.
    #[error("the signature does not verify with the passkey's key")]
    BadSignature,
}

/// What both ceremonies check of what the authenticator says (§7.1 and §7.2: `rpIdHash`, UP, UV).
fn authenticator_data(bytes: &[u8], party: &RelyingParty<'_>) -> Result<AuthenticatorData, CeremonyError> {
    let data = AuthenticatorData::parse(bytes)?;
    if data.rp_id_hash != sha256(party.id.as_bytes()) {
        return Err(CeremonyError::OtherRelyingParty);
    }
    if !data.user_present {
        return Err(CeremonyError::NotPresent);
    }
    if !data.user_verified {
        return Err(CeremonyError::NotVerified);
    }
    Ok(data)
}

/// What an authenticator signs: its data, and the hash of the browser's.
fn signed(authenticator_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [authenticator_data, &sha256(client_data)].concat()
}

#[cfg(test)]
pub(crate) mod tests;
