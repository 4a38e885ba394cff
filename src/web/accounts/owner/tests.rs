use std::sync::Mutex;

use futures_executor::block_on;
use p256::ecdsa::SigningKey;

use super::*;
use crate::{
    domain::{
        id::UserId,
        jose::{SignatureFails, SignatureHolds, SignatureToCheck},
        oauth::replay::ReplayId,
        secret::{SecretHash, Session},
        webauthn::{
            CredentialId, PublicKey,
            tests::{ID, answer_to, p256},
        },
    },
    web::ports::{NewPasskey, NewSession},
};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Knows one passkey, and what it was asked.
#[derive(Default)]
struct Store {
    asked: Mutex<Vec<&'static str>>,
    used: Mutex<Vec<ReplayId>>,
    seen_count: u32,
}

impl Store {
    fn note(&self, what: &'static str) {
        self.asked.lock().unwrap().push(what);
    }

    fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().clone()
    }
}

impl UsedIds for Store {
    async fn use_id(&self, id: &ReplayId, _: Timestamp) -> Result<Write, StoreError> {
        self.note("use_id");
        let mut used = self.used.lock().unwrap();
        if used.contains(id) {
            return Ok(Write::Lost);
        }
        used.push(id.clone());
        Ok(Write::Won)
    }
}

impl Signatures for Store {
    async fn verify_signature(&self, _: &SignatureToCheck<'_>) -> Result<SignatureHolds, SignatureFails> {
        self.note("verify_signature");
        Err(SignatureFails)
    }
}

impl Passkeys for Store {
    async fn find_passkey(&self, credential: &CredentialId) -> Result<Option<PasskeyRow>, StoreError> {
        self.note("find_passkey");
        let known = CredentialId::from_bytes(ID).unwrap();
        Ok((*credential == known).then(|| PasskeyRow {
            id: "passkey_1".parse().unwrap(),
            user: "user_1".parse().unwrap(),
            credential_id: known,
            key: PublicKey::Es256(*p256().verifying_key()),
            sign_count: self.seen_count,
            backup_eligible: false,
            name: "Phone".to_owned(),
            created_at: NOW,
            last_used_at: None,
        }))
    }

    async fn list_passkeys(&self, _: &UserId) -> Result<Vec<PasskeyRow>, StoreError> {
        Err(StoreError("not asked here".to_owned()))
    }

    async fn insert_passkey(&self, _: &UserId, _: &NewPasskey, _: u32, _: Timestamp) -> Result<Write, StoreError> {
        Err(StoreError("not asked here".to_owned()))
    }

    async fn rename_passkey(&self, _: &UserId, _: &PasskeyId, _: &str) -> Result<Write, StoreError> {
        Err(StoreError("not asked here".to_owned()))
    }

    async fn remove_passkey(&self, _: &UserId, _: &PasskeyId) -> Result<Write, StoreError> {
        Err(StoreError("not asked here".to_owned()))
    }

    async fn sign_in_with_passkey(
        &self,
        _: &PasskeyUse<'_>,
        _: &NewSession,
        _: Timestamp,
    ) -> Result<Write, StoreError> {
        Err(StoreError("not asked here".to_owned()))
    }

    async fn confirm_with_passkey(
        &self,
        _: &PasskeyUse<'_>,
        _: &SecretHash<Session>,
        _: Timestamp,
    ) -> Result<Write, StoreError> {
        Err(StoreError("not asked here".to_owned()))
    }
}

fn config() -> Config {
    Config::example()
}

fn challenge(used_for: Use<'_>) -> String {
    challenge::issue(&config().cookie_key, used_for, [3; 16], NOW)
}

fn signs_in(store: &Store, answer: &str) -> Result<Signed, Refused> {
    block_on(owner(store, &config(), answer, Use::SignIn("aa"), NOW))
}

fn log(refused: Refused) -> String {
    match refused {
        Refused::Not(detail) => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_owner_of_a_passkey_is_found_by_it_alone() {
    let store = Store::default();
    let signed = signs_in(&store, &answer_to(&challenge(Use::SignIn("aa")), ID, 0, &p256())).unwrap();
    assert_eq!(signed.passkey.user.as_str(), "user_1");
    assert_eq!(store.asked(), ["use_id", "find_passkey"]);
}

#[test]
fn an_unknown_passkey_and_a_wrong_signature_cost_the_same_questions_and_get_the_same_page() {
    let (unknown, wrong) = (Store::default(), Store::default());
    let other = SigningKey::from_slice(&[8; 32]).unwrap();
    let text = challenge(Use::SignIn("aa"));
    let one = signs_in(&unknown, &answer_to(&text, b"nobody's", 0, &p256())).unwrap_err();
    let two = signs_in(&wrong, &answer_to(&text, ID, 0, &other)).unwrap_err();
    assert_eq!(unknown.asked(), wrong.asked());
    let (one, two) = (format!("{:?}", Trouble::from(one)), format!("{:?}", Trouble::from(two)));
    // What differs is for the log.
    assert_eq!(one.split("detail").next(), two.split("detail").next());
}

#[test]
fn a_challenge_counts_once_whoever_answers_it() {
    let store = Store::default();
    let answer = answer_to(&challenge(Use::SignIn("aa")), ID, 0, &p256());
    assert!(signs_in(&store, &answer).is_ok());
    assert_eq!(log(signs_in(&store, &answer).unwrap_err()), "passkey: the challenge was used before");
}

#[test]
fn a_challenge_for_something_else_costs_no_question() {
    for used_for in [Use::SignIn("bb"), Use::Confirm("aa"), Use::Add("aa"), Use::Invitation("aa")] {
        let store = Store::default();
        let answer = answer_to(&challenge(used_for), ID, 0, &p256());
        assert_eq!(log(signs_in(&store, &answer).unwrap_err()), "passkey: the challenge was not made for this");
        assert!(store.asked().is_empty());
    }
}

#[test]
fn a_count_that_went_back_is_told_to_whoever_signed_and_to_nobody_else() {
    let store = || Store { seen_count: 9, ..Store::default() };
    let text = challenge(Use::SignIn("aa"));
    let copied = signs_in(&store(), &answer_to(&text, ID, 9, &p256()));
    assert!(matches!(copied, Err(Refused::MayBeCopied(_))));
    let other = SigningKey::from_slice(&[8; 32]).unwrap();
    assert!(matches!(signs_in(&store(), &answer_to(&text, ID, 9, &other)), Err(Refused::Not(_))));
}

#[test]
fn what_the_store_notes_is_the_count_that_was_seen_and_the_new_one() {
    let store = Store { seen_count: 9, ..Store::default() };
    let signed = signs_in(&store, &answer_to(&challenge(Use::SignIn("aa")), ID, 12, &p256())).unwrap();
    assert_eq!((signed.used().seen_count, signed.used().sign_count), (9, 12));
}
