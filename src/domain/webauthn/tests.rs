use ed25519_dalek::{Signer as _, SigningKey as Ed25519Signer};
use p256::ecdsa::{Signature, SigningKey as P256Signer};
use proptest::prelude::*;
use serde_json::json;

use super::{
    assertion::{Assertion, AssertionError, Remembered, Verified},
    registration::Registration,
    *,
};
use crate::domain::encoding::{base64url, from_base64url};

pub const ID: &[u8] = b"credential";
const ORIGIN: &str = "https://broker.example";
const HANDLE: &[u8] = b"user_1";
const UP: u8 = 1;
const UV: u8 = 1 << 2;
const BE: u8 = 1 << 3;
const AT: u8 = 1 << 6;

pub fn p256() -> P256Signer {
    P256Signer::from_slice(&[7; 32]).unwrap()
}

pub fn ed25519() -> Ed25519Signer {
    Ed25519Signer::from_bytes(&[7; 32])
}

pub fn cose_p256() -> Vec<u8> {
    let point = p256().verifying_key().to_encoded_point(false);
    [
        &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20][..],
        point.x().unwrap(),
        &[0x22, 0x58, 0x20],
        point.y().unwrap(),
    ]
    .concat()
}

pub fn cose_ed25519() -> Vec<u8> {
    [&[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20][..], ed25519().verifying_key().as_bytes()].concat()
}

pub fn attested(cose: &[u8]) -> Vec<u8> {
    [&[0; 16][..], &u16::try_from(ID.len()).unwrap().to_be_bytes(), ID, cose].concat()
}

pub fn authenticator_data(flags: u8, sign_count: u32, rest: &[u8]) -> Vec<u8> {
    [&sha256(b"broker.example")[..], &[flags], &sign_count.to_be_bytes(), rest].concat()
}

fn party() -> RelyingParty<'static> {
    RelyingParty::new(ORIGIN)
}

fn client_data(kind: &str, origin: &str) -> Vec<u8> {
    client_data_with(&base64url(b"challenge"), kind, origin)
}

fn client_data_with(challenge: &str, kind: &str, origin: &str) -> Vec<u8> {
    json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false }).to_string().into()
}

/// What a browser at `https://broker.example` answers for the passkey of [`p256`], called `id`, of `user_1`.
pub fn answer_to(challenge: &str, id: &[u8], sign_count: u32, by: &P256Signer) -> String {
    let data = authenticator_data(UP | UV, sign_count, &[]);
    let client = client_data_with(challenge, "webauthn.get", ORIGIN);
    let signature: Signature = by.sign(&signed(&data, &client));
    json!({
        "rawId": base64url(id),
        "response": {
            "clientDataJSON": base64url(&client), "authenticatorData": base64url(&data),
            "signature": base64url(signature.to_der().as_bytes()), "userHandle": base64url(HANDLE),
        },
    })
    .to_string()
}

/// `{"fmt": …, "attStmt": …, "authData": …}`.
fn attestation_object(format: &str, statement: &[u8], data: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&[0x60 + u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    let head: &[u8] = if data.len() < 256 { &[0x58, length[1]] } else { &[0x59, length[0], length[1]] };
    [&[0xa3][..], &text("fmt"), &text(format), &text("attStmt"), statement, &text("authData"), head, data].concat()
}

struct New {
    flags: u8,
    cose: Vec<u8>,
    format: &'static str,
    statement: Vec<u8>,
    kind: &'static str,
    origin: &'static str,
    raw_id: &'static [u8],
}

impl Default for New {
    fn default() -> Self {
        Self {
            flags: UP | UV | BE | AT,
            cose: cose_p256(),
            format: "none",
            statement: vec![0xa0],
            kind: "webauthn.create",
            origin: ORIGIN,
            raw_id: ID,
        }
    }
}

impl New {
    fn json(&self) -> String {
        let rest = if self.flags & AT == 0 { Vec::new() } else { attested(&self.cose) };
        let data = authenticator_data(self.flags, 0, &rest);
        json!({
            "id": base64url(self.raw_id), "rawId": base64url(self.raw_id), "type": "public-key",
            "response": {
                "clientDataJSON": base64url(&client_data(self.kind, self.origin)),
                "attestationObject": base64url(&attestation_object(self.format, &self.statement, &data)),
            },
        })
        .to_string()
    }

    fn parse(&self) -> Result<Registration, CeremonyError> {
        Registration::parse(&self.json(), &party())
    }
}

#[test]
fn a_new_passkey_is_read_with_its_key() {
    for cose in [cose_p256(), cose_ed25519()] {
        let registration = New { cose, ..New::default() }.parse().unwrap();
        assert_eq!(registration.challenge, b"challenge");
        assert_eq!(registration.credential.id, CredentialId::from_bytes(ID).unwrap());
        assert!(registration.credential.backup_eligible);
    }
}

#[test]
fn webauthn_7_1_a_new_passkey_of_another_page_ceremony_or_broker_is_refused() {
    let refused = |new: New| new.parse().err();
    let other = New { origin: "https://evil.example", ..New::default() };
    assert_eq!(refused(other), Some(CeremonyError::ClientData(ClientDataError::OtherOrigin)));
    let other = New { kind: "webauthn.get", ..New::default() };
    assert_eq!(refused(other), Some(CeremonyError::ClientData(ClientDataError::OtherCeremony)));
    let elsewhere = RelyingParty { origin: ORIGIN, id: "evil.example" };
    let read = Registration::parse(&New::default().json(), &elsewhere);
    assert_eq!(read, Err(CeremonyError::OtherRelyingParty));
}

#[test]
fn webauthn_7_1_a_new_passkey_that_saw_or_knew_nobody_is_refused() {
    assert_eq!(New { flags: UV | AT, ..New::default() }.parse(), Err(CeremonyError::NotPresent));
    assert_eq!(New { flags: UP | AT, ..New::default() }.parse(), Err(CeremonyError::NotVerified));
    assert_eq!(New { flags: UP | UV, ..New::default() }.parse(), Err(CeremonyError::OtherKind));
}

#[test]
fn a_new_passkey_has_one_name() {
    assert_eq!(New { raw_id: b"other", ..New::default() }.parse(), Err(CeremonyError::Malformed));
}

/// `{"alg": -7, "sig": …}` over the data of [`New::default`].
fn self_attestation(by: &P256Signer, algorithm: u8) -> Vec<u8> {
    let data = authenticator_data(UP | UV | BE | AT, 0, &attested(&cose_p256()));
    let signature: Signature = by.sign(&signed(&data, &client_data("webauthn.create", ORIGIN)));
    let der = signature.to_der();
    let length = u8::try_from(der.as_bytes().len()).unwrap();
    [&[0xa2, 0x63, b'a', b'l', b'g', algorithm, 0x63, b's', b'i', b'g', 0x58, length][..], der.as_bytes()].concat()
}

#[test]
fn webauthn_8_2_a_self_attestation_is_accepted_when_the_new_key_made_it() {
    let with = |statement| New { format: "packed", statement, ..New::default() }.parse().err();
    assert_eq!(with(self_attestation(&p256(), 0x26)), None);
    assert_eq!(with(self_attestation(&p256(), 0x27)), Some(CeremonyError::Attestation));
    let other = P256Signer::from_slice(&[8; 32]).unwrap();
    assert_eq!(with(self_attestation(&other, 0x26)), Some(CeremonyError::BadSignature));
}

#[test]
fn an_attestation_that_names_a_maker_is_refused() {
    let x5c = vec![0xa1, 0x63, b'x', b'5', b'c', 0x80];
    assert_eq!(New { format: "packed", statement: x5c, ..New::default() }.parse(), Err(CeremonyError::Attestation));
    assert_eq!(New { format: "fido-u2f", ..New::default() }.parse(), Err(CeremonyError::Attestation));
    let statement = self_attestation(&p256(), 0x26);
    assert_eq!(New { statement, ..New::default() }.parse(), Err(CeremonyError::Attestation), "none has no statement");
}

struct Answer {
    flags: u8,
    sign_count: u32,
    kind: &'static str,
    origin: &'static str,
    user_handle: Option<&'static [u8]>,
    rest: Vec<u8>,
    signer: P256Signer,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            flags: UP | UV | BE,
            sign_count: 5,
            kind: "webauthn.get",
            origin: ORIGIN,
            user_handle: Some(HANDLE),
            rest: Vec::new(),
            signer: p256(),
        }
    }
}

impl Answer {
    fn json(&self) -> String {
        let (data, client) =
            (authenticator_data(self.flags, self.sign_count, &self.rest), client_data(self.kind, self.origin));
        let signature: Signature = self.signer.sign(&signed(&data, &client));
        json!({
            "id": base64url(ID), "rawId": base64url(ID), "type": "public-key",
            "response": {
                "clientDataJSON": base64url(&client),
                "authenticatorData": base64url(&data),
                "signature": base64url(signature.to_der().as_bytes()),
                "userHandle": self.user_handle.map(base64url),
            },
        })
        .to_string()
    }

    fn parse(&self) -> Result<Assertion, CeremonyError> {
        Assertion::parse(&self.json(), &party())
    }

    fn verify(&self, seen: u32) -> Result<Verified, AssertionError> {
        self.verify_of(false, seen)
    }

    fn verify_of(&self, is_known: bool, seen: u32) -> Result<Verified, AssertionError> {
        let key = key();
        let remembered =
            Remembered { user_handle: HANDLE, is_known, key: &key, sign_count: seen, backup_eligible: true };
        self.parse().unwrap().verify(&remembered, None)
    }
}

fn key() -> PublicKey {
    New::default().parse().unwrap().credential.key
}

#[test]
fn a_passkey_signs_in() {
    let assertion = Answer::default().parse().unwrap();
    assert_eq!(assertion.challenge(), b"challenge");
    assert_eq!(assertion.credential_id(), &CredentialId::from_bytes(ID).unwrap());
    assert_eq!(Answer::default().verify(4), Ok(Verified { sign_count: 5 }));
}

#[test]
fn webauthn_7_2_an_answer_of_another_page_ceremony_or_broker_is_refused() {
    let refused = |answer: Answer| answer.parse().err();
    let other = Answer { origin: "https://evil.example", ..Answer::default() };
    assert_eq!(refused(other), Some(CeremonyError::ClientData(ClientDataError::OtherOrigin)));
    let other = Answer { kind: "webauthn.create", ..Answer::default() };
    assert_eq!(refused(other), Some(CeremonyError::ClientData(ClientDataError::OtherCeremony)));
    let elsewhere = RelyingParty { origin: ORIGIN, id: "evil.example" };
    assert_eq!(Assertion::parse(&Answer::default().json(), &elsewhere).err(), Some(CeremonyError::OtherRelyingParty));
}

#[test]
fn webauthn_7_2_an_answer_without_anybody_there_is_refused() {
    assert_eq!(Answer { flags: UV | BE, ..Answer::default() }.parse().err(), Some(CeremonyError::NotPresent));
    assert_eq!(Answer { flags: UP | BE, ..Answer::default() }.parse().err(), Some(CeremonyError::NotVerified));
}

#[test]
fn an_answer_that_brings_a_new_credential_is_refused() {
    let answer = Answer { flags: UP | UV | AT, rest: attested(&cose_p256()), ..Answer::default() };
    assert_eq!(answer.parse().err(), Some(CeremonyError::OtherKind));
}

#[test]
fn webauthn_7_2_the_owner_must_be_named_and_be_the_owner() {
    for user_handle in [None, Some(&b"user_2"[..]), Some(b"")] {
        let answer = Answer { user_handle, ..Answer::default() };
        assert_eq!(answer.verify(4), Err(AssertionError::OtherUser), "{user_handle:?}");
    }
}

#[test]
fn webauthn_7_2_an_owner_who_was_known_before_need_not_be_named_and_nobody_else_may_be() {
    let of = |user_handle| Answer { user_handle, ..Answer::default() }.verify_of(true, 4);
    assert_eq!(of(None), Ok(Verified { sign_count: 5 }));
    assert_eq!(of(Some(HANDLE)), Ok(Verified { sign_count: 5 }));
    for other in [&b"user_2"[..], b""] {
        assert_eq!(of(Some(other)), Err(AssertionError::OtherUser));
    }
}

#[test]
fn another_keys_signature_is_refused_whatever_else_is_wrong() {
    let signer = P256Signer::from_slice(&[8; 32]).unwrap();
    let answer = Answer { signer, sign_count: 1, user_handle: None, ..Answer::default() };
    assert_eq!(answer.verify(4), Err(AssertionError::BadSignature));
}

#[test]
fn webauthn_6_1_1_a_sign_count_that_does_not_grow_may_be_a_copys() {
    let with = |sign_count, seen| Answer { sign_count, ..Answer::default() }.verify(seen).map(|ok| ok.sign_count);
    assert_eq!(with(5, 5), Err(AssertionError::MayBeCopied));
    assert_eq!(with(4, 5), Err(AssertionError::MayBeCopied));
    assert_eq!(with(0, 5), Err(AssertionError::MayBeCopied));
    assert_eq!(with(6, 5), Ok(6));
    assert_eq!(with(1, 0), Ok(1));
    assert_eq!(with(0, 0), Ok(0), "it doesn't count");
}

#[test]
fn webauthn_6_1_3_what_could_be_copied_from_the_beginning_stays_so() {
    assert_eq!(Answer { flags: UP | UV, ..Answer::default() }.verify(4), Err(AssertionError::Changed));
}

#[test]
fn the_work_for_nobody_is_done_with_a_real_key() {
    Answer::default().parse().unwrap().verify_nothing();
    let text = include_str!("assertion.rs").split('"').find(|text| text.starts_with("ES256.")).unwrap();
    assert!(PublicKey::from_stored(text).is_some());
}

#[test]
fn the_relying_party_is_the_host_of_the_issuer() {
    for (origin, id) in [
        ("https://broker.example", "broker.example"),
        ("http://localhost:8787", "localhost"),
        ("https://b.ex:444", "b.ex"),
    ] {
        assert_eq!(RelyingParty::new(origin), RelyingParty { origin, id });
    }
}

#[test]
fn an_answer_that_is_too_long_or_says_something_twice_is_refused() {
    let json = Answer::default().json();
    let long = json.replacen('{', &format!(r#"{{"x":"{}","#, "x".repeat(MAX_ANSWER_BYTES)), 1);
    assert_eq!(Assertion::parse(&long, &party()).err(), Some(CeremonyError::Malformed));
    let twice = json.replacen('{', r#"{"rawId":"AAAA","#, 1);
    assert_eq!(Assertion::parse(&twice, &party()).err(), Some(CeremonyError::Malformed));
}

proptest! {
    #[test]
    fn no_text_makes_a_ceremony_panic(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = Registration::parse(&text, &party());
        let _ = Assertion::parse(&text, &party());
        let client = base64url(&client_data("webauthn.create", ORIGIN));
        let new = json!({ "rawId": base64url(ID), "response": { "clientDataJSON": client, "attestationObject": base64url(&bytes) } });
        prop_assert!(Registration::parse(&new.to_string(), &party()).is_err());
    }

    #[test]
    fn an_answer_with_one_byte_changed_does_not_sign_in(part in 0_usize..3, at in 0_usize..400, flip in 1_u8..) {
        let names = ["clientDataJSON", "authenticatorData", "signature"];
        let mut answer: serde_json::Value = serde_json::from_str(&Answer::default().json()).unwrap();
        let field = &mut answer["response"][names[part]];
        let mut bytes = from_base64url(field.as_str().unwrap()).unwrap();
        let length = bytes.len();
        bytes[at % length] ^= flip;
        *field = base64url(&bytes).into();
        let key = key();
        let remembered = Remembered { user_handle: HANDLE, is_known: false, key: &key, sign_count: 0, backup_eligible: true };
        let verified = Assertion::parse(&answer.to_string(), &party()).is_ok_and(|read| read.verify(&remembered, None).is_ok());
        prop_assert!(!verified);
    }
}
