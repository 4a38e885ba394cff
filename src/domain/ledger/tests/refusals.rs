//! What is remembered of calls that were refused.

use super::*;

/// The runs, in short: reason, count, model.
fn runs(refusals: &Refusals) -> Vec<(Reason, u64, &str)> {
    refusals.runs().map(|(reason, run)| (reason, run.count, run.model.as_str())).collect()
}

impl Fixture {
    fn refuse(&mut self, model: &str) {
        assert!(self.reserve(claim(model, Capability::Chat)).is_err());
    }
}

#[test]
fn a_refused_call_is_counted_with_its_reason_and_its_model() {
    let mut grant = Fixture::new(r#"{"requests":1}"#, "");
    grant.refuse("other");
    grant.refuse("another");
    grant.chat().unwrap();
    assert!(grant.chat().is_err());
    let expected = [(Reason::ModelNotGranted, 2, "another"), (Reason::RequestsHeld, 1, "gpt-5-mini")];
    assert_eq!(runs(grant.ledger.refusals()), expected);
}

#[test]
fn a_call_that_never_reached_the_ledger_is_counted_too() {
    let mut grant = Fixture::new("{}", "");
    let reason = Reason::EndpointNotGranted;
    assert_eq!(grant.apply(Command::NoteRefusal { reason, model: String::new() }), Reply::Done);
    assert_eq!(runs(grant.ledger.refusals()), [(reason, 1, "")]);
}

#[test]
fn a_thousand_refused_calls_are_eleven_writes() {
    let mut grant = Fixture::new("{}", "");
    grant.chat().unwrap();
    let before = grant.disk.writes;
    for _ in 0..1024 {
        grant.refuse("other");
    }
    assert_eq!(grant.disk.writes - before, 11);
    assert_eq!(runs(&grant.disk.refusals), [(Reason::ModelNotGranted, 1024, "other")]);
}

#[test]
fn a_crash_forgets_less_than_half_of_a_count() {
    let mut grant = Fixture::new("{}", "");
    for _ in 0..1000 {
        grant.refuse("other");
    }
    grant.crash();
    assert_eq!(runs(grant.ledger.refusals()), [(Reason::ModelNotGranted, 512, "other")]);
}

#[test]
fn a_refusal_is_remembered_of_a_grant_that_was_never_used() {
    let mut grant = Fixture::new("{}", "");
    grant.refuse("other");
    grant.crash();
    assert_eq!(runs(grant.ledger.refusals()), [(Reason::ModelNotGranted, 1, "other")]);
}

#[test]
fn a_day_after_the_last_refusal_a_run_is_over() {
    let mut grant = Fixture::new("{}", "");
    grant.refuse("other");
    grant.later(24 * 3600 - 1);
    grant.refuse("other");
    assert_eq!(runs(grant.ledger.refusals()), [(Reason::ModelNotGranted, 2, "other")]);
    grant.later(24 * 3600);
    grant.refuse("other");
    let run = grant.ledger.refusals().runs().next().unwrap().1.clone();
    assert_eq!((run.count, run.first_at, run.last_at), (1, grant.now, grant.now));
}

#[test]
fn what_was_told_is_told_again_only_after_another_refusal_or_when_it_failed() {
    let mut grant = Fixture::new("{}", "");
    assert!(!grant.ledger.refusals().is_untold());
    grant.refuse("other");
    assert!(grant.ledger.refusals().is_untold());
    assert_eq!(runs(&grant.ledger.take_refusals()), [(Reason::ModelNotGranted, 1, "other")]);
    assert!(!grant.ledger.refusals().is_untold());
    grant.ledger.put_refusals_back();
    assert!(grant.ledger.refusals().is_untold());
}

#[test]
fn a_model_s_name_is_cut_and_cleared_of_what_can_not_be_seen() {
    let mut grant = Fixture::new("{}", "");
    grant.refuse(&format!("a\nb\u{0}{}", "ü".repeat(1000)));
    let run = grant.ledger.refusals().runs().next().unwrap().1.clone();
    assert_eq!(run.model.chars().count(), MAX_MODEL_CHARS);
    assert!(run.model.starts_with("abü"));
}

#[test]
fn what_only_the_protocol_minds_is_not_counted() {
    assert_eq!(Reason::of(&Refusal::ProofReplayed), None);
    assert_eq!(Reason::of(&Refusal::ProofTooOld { floor: START }), None);
    assert_eq!(Reason::of(&Refusal::TooManyDelegations), None);
}

#[test]
fn a_reason_is_stored_by_the_name_that_it_is_written_with() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        assert_eq!(Reason::from_stored(reason.as_str()), Some(reason));
    }
}
