//! What a browser and its authenticator answer.

use aipassport::domain::{
    encoding::{base64url, from_base64url},
    oauth::mac::MacKey,
    webauthn::{
        CredentialId, PublicKey, RelyingParty,
        assertion::Assertion,
        authenticator_data::AuthenticatorData,
        challenge::{self, Use},
        registration::Registration,
    },
};
use serde_json::json;

use super::{ISSUER, NOW, fields, mac_key, other_mac_key, texts};

/// Where a credential's id begins in authenticator data, behind its length.
const ID_AT: usize = 55;

/// The data of a browser, the id that it names, then an attestation object.
pub fn registration(input: &[u8]) {
    let [client_data, id, attestation] = fields(input);
    let answer = json!({
        "rawId": base64url(id),
        "response": { "clientDataJSON": base64url(client_data), "attestationObject": base64url(attestation) },
    });
    let Ok(registration) = Registration::parse(&answer.to_string(), &RelyingParty::new(ISSUER)) else { return };
    let said = core::str::from_utf8(client_data).expect("client data is JSON");
    assert!(said.contains("webauthn.create") || said.contains('\\'), "an answer to something else");
    assert_eq!(Some(&registration.credential.id), CredentialId::from_bytes(id).as_ref());
    let stored = registration.credential.key.to_stored();
    assert_eq!(PublicKey::from_stored(&stored), Some(registration.credential.key), "a key is remembered as it is");
}

/// Authenticator data by itself, of a registration or not.
pub fn authenticator_data(input: &[u8]) {
    let Ok(data) = AuthenticatorData::parse(input) else { return };
    assert_eq!(data.rp_id_hash[..], input[..32]);
    if let Some(new) = data.attested {
        let length = usize::from(u16::from_be_bytes([input[ID_AT - 2], input[ID_AT - 1]]));
        assert_eq!(CredentialId::from_bytes(&input[ID_AT..ID_AT + length]), Some(new.id.clone()));
        assert_eq!(CredentialId::parse(new.id.as_str()), Some(new.id));
    }
}

/// An answer as it arrives: any text.
pub fn answer(input: &[u8]) {
    let Some([text]) = texts(input) else { return };
    let party = RelyingParty::new(ISSUER);
    let signs_in = Assertion::parse(text, &party);
    assert!(signs_in.is_err() || Registration::parse(text, &party).is_err(), "one answer is one ceremony's");
    if let Ok(answer) = signs_in {
        answer.verify_nothing();
        let of_ours = challenge::verify(&mac_key(), Use::SignIn(""), answer.challenge(), NOW);
        assert!(of_ours.is_err(), "nobody but the broker makes a challenge");
    }
}

/// What a challenge of ours is made of, then how its bytes are changed.
pub fn passkey_challenge(input: &[u8]) {
    let Some((entropy, change)) = input.split_first_chunk::<16>() else { return };
    let text = challenge::issue(&mac_key(), Use::SignIn("ab"), *entropy, NOW);
    let mut bytes = from_base64url(&text).expect("what was issued is base64url");
    let is_changed = change.iter().take(bytes.len()).any(|byte| *byte != 0);
    for (byte, change) in bytes.iter_mut().zip(change) {
        *byte ^= change;
    }
    let verifies = |key: &MacKey, used_for: Use<'_>| challenge::verify(key, used_for, &bytes, NOW).is_ok();
    assert_eq!(verifies(&mac_key(), Use::SignIn("ab")), !is_changed);
    assert!(!verifies(&other_mac_key(), Use::SignIn("ab")) && !verifies(&mac_key(), Use::Confirm("ab")));
}
