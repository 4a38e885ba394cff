//! `DPoP` proofs beside the rest of the ledger; what is remembered of them is tested where it is.

use super::*;

fn proof(id: u8, nonce_at: Timestamp) -> ProofUse {
    ProofUse { id: ProofId([id; 16]), nonce_at }
}

fn ask(grant: &mut Fixture, claim: Claim, proof: ProofUse) -> Reply {
    let (hold_ttl_seconds, ahead) = (TTL, grant.ahead);
    grant.apply(Command::Reserve {
        claim,
        hold_ttl_seconds,
        ahead,
        delegation: None,
        proof: Some(proof),
        issued_at: None,
    })
}

fn is_let_through(reply: &Reply) -> bool {
    matches!(reply, Reply::Reserved(_))
}

#[test]
fn a_proof_lets_one_call_through() {
    let mut grant = Fixture::new("{}", "");
    assert!(is_let_through(&ask(&mut grant, chat(), proof(1, START))));
    assert_eq!(ask(&mut grant, chat(), proof(1, START)), Reply::Refused(Refusal::ProofReplayed));
    assert_eq!(grant.usage().overall.requests_held, 1);
}

#[test]
fn the_first_call_of_a_new_grant_needs_no_newer_nonce() {
    let mut grant = Fixture::new("{}", "");
    grant.later(5);
    assert!(is_let_through(&ask(&mut grant, chat(), proof(1, START))));
}

#[test]
fn a_proof_of_a_call_that_was_refused_is_used_up() {
    let mut grant = Fixture::new("{}", "");
    let refused = ask(&mut grant, claim("gpt-4", Capability::Chat), proof(1, START));
    assert_eq!(refused, Reply::Refused(Refusal::ModelNotGranted("gpt-4".into())));
    assert_eq!(ask(&mut grant, chat(), proof(1, START)), Reply::Refused(Refusal::ProofReplayed));
}

#[test]
fn a_proof_is_looked_at_before_anything_else() {
    let mut grant = Fixture::new("{}", "");
    grant.apply(Command::Revoke);
    assert_eq!(ask(&mut grant, chat(), proof(1, START)), Reply::Refused(Refusal::Revoked));
    assert_eq!(ask(&mut grant, chat(), proof(1, START)), Reply::Refused(Refusal::ProofReplayed));
}

#[test]
fn a_proof_that_was_used_before_a_crash_is_too_old_after_it() {
    for claim in [chat(), claim("gpt-4", Capability::Chat)] {
        let mut grant = Fixture::new("{}", "");
        ask(&mut grant, claim, proof(1, START));
        grant.crash();
        let floor = START.plus_seconds(MARGIN_SECONDS);
        assert_eq!(ask(&mut grant, chat(), proof(1, START)), Reply::Refused(Refusal::ProofTooOld { floor }));
        grant.later(1);
        assert!(is_let_through(&ask(&mut grant, chat(), proof(2, floor))));
    }
}

#[test]
fn a_proof_whose_call_was_never_answered_is_not_used_up() {
    let mut grant = Fixture::new("{}", "");
    let disk = grant.disk.clone();
    ask(&mut grant, chat(), proof(1, START));
    grant.disk = disk;
    grant.crash();
    assert!(is_let_through(&ask(&mut grant, chat(), proof(1, START))));
}

#[test]
fn a_proof_that_is_refused_needs_no_write() {
    let mut grant = Fixture::new("{}", "");
    ask(&mut grant, chat(), proof(1, START));
    // That a call is refused is written when the count has doubled.
    for number in 4..6 {
        ask(&mut grant, claim("gpt-4", Capability::Chat), proof(number, START));
    }
    let writes = grant.disk.writes;
    ask(&mut grant, chat(), proof(1, START));
    ask(&mut grant, claim("gpt-4", Capability::Chat), proof(2, START));
    ask(&mut grant, chat(), proof(3, Timestamp::default()));
    assert_eq!(grant.disk.writes, writes);
}
