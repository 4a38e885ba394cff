//! A passkey is used ([WebAuthn §7.2](https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion)).
//!
//! ```text
//! parse ─▶ Assertion ── credential_id ─▶ the store ─▶ verify(what is remembered) ─▶ Verified
//! ```
//!
//! For a credential that nobody knows the same work is done with a key of nobody's ([`Assertion::verify_nothing`]): how long an answer
//! takes doesn't say which credentials there are.

use serde_json::Value;

use super::{
    CeremonyError, CredentialId, MAX_ANSWER_BYTES, PublicKey, RelyingParty, authenticator_data,
    authenticator_data::AuthenticatorData,
    client_data::{Ceremony, challenge_of},
    signed,
};
use crate::domain::{
    encoding::from_base64url,
    jose::{SignatureHolds, SignatureToCheck, strict},
};

/// The generator of P-256: a key like any other, whose private half (1) nobody enrols with.
const NOBODYS_KEY: &str =
    "ES256.axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li_hp_m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q";

/// A browser's answer to `navigator.credentials.get()`, as `toJSON()` writes it. Its signature has not been checked.
#[derive(Clone, Debug)]
pub struct Assertion {
    challenge: Vec<u8>,
    credential_id: CredentialId,
    user_handle: Option<Vec<u8>>,
    data: AuthenticatorData,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

/// What is remembered of the passkey that the answer names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered<'a> {
    /// Whose it is: what its user handle must say.
    pub user_handle: &'a [u8],
    /// Whether its owner was known before, and asked for one of their own: then it may say nothing, as security keys do.
    pub is_known: bool,
    /// Its key.
    pub key: &'a PublicKey,
    /// The sign count that was seen last.
    pub sign_count: u32,
    /// Whether it was said to be copyable.
    pub backup_eligible: bool,
}

/// The passkey's owner is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The sign count to remember.
    pub sign_count: u32,
}

/// Why a passkey that is known isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// The answer names another person.
    #[error("the user handle is not that of the passkey's owner")]
    OtherUser,
    /// The signature is not its own.
    #[error("the signature does not verify with the passkey's key")]
    BadSignature,
    /// It says of itself what it never said before.
    #[error("the passkey's backup eligibility has changed")]
    Changed,
    /// It counted fewer signatures than it had: somebody else uses a copy (§6.1.1). Told apart, because whoever signed owns a copy.
    #[error("the passkey's sign count went back: it may have been copied")]
    MayBeCopied,
}

impl Assertion {
    /// Reads an answer and checks what can be checked without knowing the passkey.
    ///
    /// # Errors
    /// [`CeremonyError`].
    pub fn parse(json: &str, party: &RelyingParty<'_>) -> Result<Self, CeremonyError> {
        let malformed = CeremonyError::Malformed;
        if json.len() > MAX_ANSWER_BYTES {
            return Err(malformed);
        }
        let members = strict::object(json.as_bytes()).ok_or(malformed)?;
        let credential_id =
            members.get("rawId").and_then(Value::as_str).and_then(CredentialId::parse).ok_or(malformed)?;
        let response = members.get("response").and_then(Value::as_object).ok_or(malformed)?;
        let bytes = |name| response.get(name).and_then(Value::as_str).and_then(from_base64url).ok_or(malformed);
        let (client_data, data_bytes) = (bytes("clientDataJSON")?, bytes("authenticatorData")?);
        let signature = bytes("signature")?;
        let user_handle = match response.get("userHandle") {
            None | Some(Value::Null) => None,
            Some(_) => Some(bytes("userHandle")?),
        };
        let challenge = challenge_of(&client_data, Ceremony::Get, party.origin)?;
        let data = authenticator_data(&data_bytes, party)?;
        if data.attested.is_some() {
            return Err(CeremonyError::OtherKind);
        }
        let signed = signed(&data_bytes, &client_data);
        Ok(Self { challenge, credential_id, user_handle, data, signed, signature })
    }

    /// The challenge that was answered; whether it is ours is for [`super::challenge::verify`] to say.
    #[must_use]
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// Which passkey it says that it is.
    #[must_use]
    pub const fn credential_id(&self) -> &CredentialId {
        &self.credential_id
    }

    /// What the platform has to be asked first, where the passkey has such a key.
    #[must_use]
    pub fn to_ask<'a>(&'a self, key: &'a PublicKey) -> Option<SignatureToCheck<'a>> {
        key.to_ask(&self.signed, &self.signature)
    }

    /// Whether the passkey that is remembered under that name signed this, for its owner. The signature is checked in any case, and
    /// first: nothing else is told to whoever can't sign. `platform`: what it said to [`Self::to_ask`].
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(
        &self,
        passkey: &Remembered<'_>,
        platform: Option<&SignatureHolds>,
    ) -> Result<Verified, AssertionError> {
        if !passkey.key.verifies(&self.signed, &self.signature, platform) {
            return Err(AssertionError::BadSignature);
        }
        // §7.2 step 6: where nobody was known before, the answer must name its owner; and never another.
        match self.user_handle.as_deref() {
            None if passkey.is_known => {}
            Some(handle) if handle == passkey.user_handle => {}
            _ => return Err(AssertionError::OtherUser),
        }
        if self.data.backup_eligible != passkey.backup_eligible {
            return Err(AssertionError::Changed);
        }
        let sign_count = self.data.sign_count;
        let counts = sign_count != 0 || passkey.sign_count != 0;
        if counts && sign_count <= passkey.sign_count {
            return Err(AssertionError::MayBeCopied);
        }
        Ok(Verified { sign_count })
    }

    /// The work of [`Self::verify`], for a passkey that nobody knows. Says nothing.
    pub fn verify_nothing(&self) {
        if let Some(key) = PublicKey::from_stored(NOBODYS_KEY) {
            core::hint::black_box(key.verifies(&self.signed, &self.signature, None));
        }
    }
}
