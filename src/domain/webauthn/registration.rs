//! A new passkey ([WebAuthn §7.1](https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential)).

use serde_json::Value;

use super::{
    CeremonyError, CredentialId, MAX_ANSWER_BYTES, PublicKey, RelyingParty, authenticator_data,
    cbor::{CborError, Reader},
    client_data::{Ceremony, challenge_of},
    signed,
};
use crate::domain::{encoding::from_base64url, jose::strict};

/// A browser's answer to `navigator.credentials.create()`, as `toJSON()` writes it, with what could be checked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The challenge that was answered; whether it is ours is for [`super::challenge::verify`] to say.
    pub challenge: Vec<u8>,
    /// The new credential.
    pub credential: Credential,
}

/// What is remembered of a passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its name at the authenticator.
    pub id: CredentialId,
    /// Its key.
    pub key: PublicKey,
    /// How often it has signed; 0: it doesn't count.
    pub sign_count: u32,
    /// Whether it may be copied to other devices of its owner. Never changes (§6.1.3).
    pub backup_eligible: bool,
}

impl From<CborError> for CeremonyError {
    fn from(_: CborError) -> Self {
        Self::Malformed
    }
}

impl Registration {
    /// Reads an answer and checks all of it but the challenge.
    ///
    /// # Errors
    /// [`CeremonyError`].
    pub fn parse(json: &str, party: &RelyingParty<'_>) -> Result<Self, CeremonyError> {
        let malformed = CeremonyError::Malformed;
        if json.len() > MAX_ANSWER_BYTES {
            return Err(malformed);
        }
        let members = strict::object(json.as_bytes()).ok_or(malformed)?;
        let response = members.get("response").and_then(Value::as_object).ok_or(malformed)?;
        let bytes = |name| response.get(name).and_then(Value::as_str).and_then(from_base64url).ok_or(malformed);
        let (client_data, attestation) = (bytes("clientDataJSON")?, bytes("attestationObject")?);
        let challenge = challenge_of(&client_data, Ceremony::Create, party.origin)?;
        let attestation = Attestation::parse(&attestation)?;
        let data = authenticator_data(attestation.authenticator_data, party)?;
        let attested = data.attested.ok_or(CeremonyError::OtherKind)?;
        let named = members.get("rawId").and_then(Value::as_str).and_then(CredentialId::parse).ok_or(malformed)?;
        if named != attested.id {
            return Err(malformed);
        }
        attestation.check(&attested.key, &client_data)?;
        let credential = Credential {
            id: attested.id,
            key: attested.key,
            sign_count: data.sign_count,
            backup_eligible: data.backup_eligible,
        };
        Ok(Self { challenge, credential })
    }
}

/// An attestation object (§6.5.4).
struct Attestation<'a> {
    format: &'a str,
    /// The algorithm and signature of a self attestation; both absent for `none`.
    statement: (Option<i64>, Option<&'a [u8]>),
    authenticator_data: &'a [u8],
}

impl<'a> Attestation<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, CeremonyError> {
        let mut reader = Reader::new(bytes);
        let (mut format, mut statement, mut data) = (None, None, None);
        let members = reader.map()?;
        for _ in 0..members {
            let is_new = match reader.text()? {
                "fmt" => format.replace(reader.text()?).is_none(),
                "attStmt" => statement.replace(Self::statement(&mut reader)?).is_none(),
                "authData" => data.replace(reader.bytes()?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(CeremonyError::Malformed);
            }
        }
        reader.end()?;
        let (Some(format), Some(statement), Some(authenticator_data)) = (format, statement, data) else {
            return Err(CeremonyError::Malformed);
        };
        Ok(Self { format, statement, authenticator_data })
    }

    /// `{}`, or `{"alg", "sig"}` (§8.2). A certificate names a maker: nobody asked for one.
    fn statement(reader: &mut Reader<'a>) -> Result<(Option<i64>, Option<&'a [u8]>), CeremonyError> {
        let (mut algorithm, mut signature) = (None, None);
        let members = reader.map()?;
        for _ in 0..members {
            let is_new = match reader.text()? {
                "alg" => algorithm.replace(reader.integer()?).is_none(),
                "sig" => signature.replace(reader.bytes()?).is_none(),
                _ => return Err(CeremonyError::Attestation),
            };
            if !is_new {
                return Err(CeremonyError::Malformed);
            }
        }
        Ok((algorithm, signature))
    }

    /// `none` (§8.7), or `packed` by the new key itself (§8.2, self attestation), which a browser may pass on where none was asked for
    /// (§5.1.3).
    fn check(&self, key: &PublicKey, client_data: &[u8]) -> Result<(), CeremonyError> {
        match (self.format, self.statement) {
            ("none", (None, None)) => Ok(()),
            ("packed", (Some(algorithm), Some(signature))) if algorithm == key.algorithm() => {
                let text = signed(self.authenticator_data, client_data);
                if key.verifies(&text, signature, None) { Ok(()) } else { Err(CeremonyError::BadSignature) }
            }
            _ => Err(CeremonyError::Attestation),
        }
    }
}
