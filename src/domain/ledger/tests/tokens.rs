//! Access tokens that are taken back while their grant lives on.

use super::{
    super::{Delegate, Limits},
    *,
};

const NARROWER: &str = r#"{"provider":"openai","models":["gpt-5-mini*"],"capabilities":["chat"],"limits":{}}"#;

fn delegate(name: &str, parent: Option<&str>, issued_at: Option<Timestamp>) -> Delegate {
    Delegate {
        id: name.parse().unwrap(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        permissions: vec![serde_json::from_str(NARROWER).unwrap()],
        limits: Limits::NONE,
        expires_at: START.plus_seconds(1_000),
        issued_at,
    }
}

fn handed_on(grant: &mut Fixture, delegate: Delegate) -> Result<(), Refusal> {
    match grant.apply(Command::Delegate(Box::new(delegate))) {
        Reply::Delegated(_) => Ok(()),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_that_was_taken_back_and_those_before_it_are_refused_and_later_ones_are_not() {
    let mut grant = Fixture::new("{}", "");
    let taken_back = START.plus_seconds(10);
    grant.later(20);
    assert_eq!(grant.chat_with_token_of(taken_back), Ok(()));
    assert_eq!(grant.apply(Command::RevokeTokens(taken_back)), Reply::Done);
    for (seconds, answer) in [(0, Err(Refusal::Revoked)), (10, Err(Refusal::Revoked)), (11, Ok(())), (20, Ok(()))] {
        assert_eq!(grant.chat_with_token_of(START.plus_seconds(seconds)), answer, "{seconds}");
    }
    assert_eq!(grant.usage().revoked_at, None, "the grant lives on");
    assert!(!grant.ledger.refusals().is_untold(), "its person is told of no refusal");
}

#[test]
fn it_stays_taken_back_after_a_crash_and_whatever_is_taken_back_later() {
    let mut grant = Fixture::new("{}", "");
    grant.apply(Command::RevokeTokens(START.plus_seconds(10)));
    grant.crash();
    assert_eq!(grant.chat_with_token_of(START.plus_seconds(10)), Err(Refusal::Revoked));
    grant.apply(Command::RevokeTokens(START.plus_seconds(5)));
    assert_eq!(grant.chat_with_token_of(START.plus_seconds(10)), Err(Refusal::Revoked));
    assert_eq!(grant.usage().tokens_revoked_until, Some(START.plus_seconds(10)));
}

#[test]
fn what_was_narrowed_from_a_token_ends_with_it_and_with_all_below_and_nothing_else_does() {
    let mut grant = Fixture::new("{}", "");
    handed_on(&mut grant, delegate("old", None, Some(START.plus_seconds(10)))).unwrap();
    handed_on(&mut grant, delegate("below", Some("old"), None)).unwrap();
    handed_on(&mut grant, delegate("new", None, Some(START.plus_seconds(11)))).unwrap();
    grant.apply(Command::RevokeTokens(START.plus_seconds(10)));
    let ask = |grant: &mut Fixture, name: &str| grant.reserve_as(Some(name.parse().unwrap()), chat()).map(drop);
    assert_eq!(ask(&mut grant, "new"), Ok(()));
    for name in ["old", "below"] {
        assert!(ask(&mut grant, name).is_err(), "{name}");
    }
}

#[test]
fn nothing_is_narrowed_from_a_token_that_was_taken_back() {
    let mut grant = Fixture::new("{}", "");
    grant.apply(Command::RevokeTokens(START.plus_seconds(10)));
    let refused = handed_on(&mut grant, delegate("a", None, Some(START.plus_seconds(10))));
    assert_eq!(refused, Err(Refusal::Revoked));
    assert_eq!(handed_on(&mut grant, delegate("b", None, Some(START.plus_seconds(11)))), Ok(()));
}
