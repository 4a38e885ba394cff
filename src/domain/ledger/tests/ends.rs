//! When a grant ends: later, sooner, and never again once it has. And who a booking says has called.

use super::*;

fn ends_at(grant: &mut Fixture, at: Timestamp) -> Reply {
    grant.change(|change| change.expires_at = Some(at))
}

#[test]
fn a_grant_that_was_extended_lets_calls_through_until_its_new_end_also_after_a_crash() {
    let mut grant = Fixture::new("{}", "");
    let (end, later) = (grant.ledger.terms().expires_at, grant.ledger.terms().expires_at.plus_seconds(60));
    let Reply::Changed(terms) = ends_at(&mut grant, later) else { panic!() };
    assert_eq!((terms.expires_at, terms.revision), (later, 1));
    grant.crash();
    grant.now = end;
    assert!(grant.chat().is_ok());
    grant.now = later;
    assert_eq!(grant.chat(), Err(Refusal::Expired));
}

#[test]
fn a_grant_that_was_shortened_ends_exactly_then() {
    let mut grant = Fixture::new("{}", "");
    let sooner = grant.now.plus_seconds(10);
    ends_at(&mut grant, sooner);
    grant.later(9);
    assert!(grant.chat().is_ok());
    grant.later(1);
    assert_eq!(grant.chat(), Err(Refusal::Expired));
}

#[test]
fn an_expired_grant_can_not_come_back() {
    let mut grant = Fixture::new("{}", "");
    grant.now = grant.ledger.terms().expires_at;
    let later = grant.now.plus_seconds(60);
    assert_eq!(ends_at(&mut grant, later), Reply::Refused(Refusal::Expired));
    assert_eq!(grant.chat(), Err(Refusal::Expired));
}

#[test]
fn an_end_that_has_passed_is_refused_and_changes_nothing() {
    let mut grant = Fixture::new("{}", "");
    let before = grant.ledger.terms().clone();
    let now = grant.now;
    for at in [now, Timestamp::from_seconds(0)] {
        assert_eq!(ends_at(&mut grant, at), Reply::Refused(Refusal::Expired));
    }
    assert_eq!(*grant.ledger.terms(), before);
    assert!(grant.chat().is_ok());
}

#[test]
fn a_change_that_says_nothing_of_the_end_leaves_it() {
    let mut grant = Fixture::new("{}", "");
    let end = grant.ledger.terms().expires_at;
    grant.change(|change| change.paused = true);
    assert_eq!(grant.ledger.terms().expires_at, end);
    let read: Change = serde_json::from_str(r#"{"limits":{},"permissions":[],"paused":false}"#).unwrap();
    assert_eq!(read.expires_at, None, "as it was written before there was such a field");
}

fn delegated(name: &str, parent: Option<&str>) -> Command {
    let id = |name: &str| format!("delegation_{name}").parse().unwrap();
    let permissions = terms("{}", "").permissions;
    let expires_at = START.plus_seconds(1_000);
    let limits = Limits::NONE;
    Command::Delegate(Box::new(Delegate {
        id: id(name),
        parent: parent.map(id),
        permissions,
        limits,
        expires_at,
        issued_at: None,
    }))
}

#[test]
fn a_booking_names_the_delegation_that_called_and_not_the_one_above_it() {
    let mut grant = Fixture::new("{}", "");
    grant.apply(delegated("a", None));
    grant.apply(delegated("b", Some("a")));
    let of_b: DelegationId = "delegation_b".parse().unwrap();
    let called = grant.reserve_as(Some(of_b.clone()), chat()).unwrap().ticket;
    let own = grant.chat().unwrap();
    let overdue = grant.reserve_as(Some(of_b.clone()), chat()).unwrap().ticket;
    grant.apply(settled(&called, 0));
    grant.apply(settled(&own, 0));
    grant.later(TTL);
    grant.apply(Command::Wake);
    let booked = |ticket: &Ticket| grant.disk.events[&ticket.hold].delegation.clone();
    assert_eq!([booked(&called), booked(&own), booked(&overdue)], [Some(of_b.clone()), None, Some(of_b)]);
}

#[test]
fn a_booking_of_before_they_were_named_is_read() {
    let event: Event = serde_json::from_str(
        r#"{"hold":1,"revision":0,"permission":0,"reserved_at":1,"booked_at":2,"amounts":{},"basis":"usage",
            "record":{"provider":"openai","model":"m","endpoint":"/v1/x"}}"#,
    )
    .unwrap();
    assert_eq!(event.delegation, None);
}
