//! The proof that somebody signed in because a request asked for it: `prompt=login` and `max_age`
//! ([OpenID Connect Core §3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
//!
//! When a request needs a new sign-in, the way back to it ends in a ticket: when it was asked, by which session, for which query, and the
//! broker's MAC over the three. The ticket is met by a session that began since then and is another one. So the request passes once
//! the person has signed in, whatever tab they come back in; and neither a ticket that was written by hand, nor one of another request,
//! nor the session that was there before gets past it.

use super::mac::MacKey;
use crate::domain::{
    encoding::{base64url, from_base64url},
    secret::{SecretHash, Session},
    time::Timestamp,
};

const PURPOSE: &str = "sign-in for a request v1";
const SESSION_PURPOSE: &str = "session before a sign-in v1";
/// Nobody was signed in.
const NO_SESSION: &str = "";
/// Stands last in the query.
const PARAMETER: &str = "&after_sign_in=";
/// How long the sign-in may take: as long as a sign-in link lives.
pub const TTL_SECONDS: u64 = 600;

/// A query of `/authorize`, and the ticket that was at its end; unverified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned<'a> {
    /// The app's own query.
    pub query: &'a str,
    ticket: Option<&'a str>,
}

impl<'a> Returned<'a> {
    /// Takes the ticket off.
    #[must_use]
    pub fn read(query: &'a str) -> Self {
        match query.rsplit_once(PARAMETER) {
            Some((query, ticket)) => Self { query, ticket: Some(ticket) },
            None => Self { query, ticket: None },
        }
    }

    /// Whether `session`, which began at `since`, is the sign-in that this request asked for.
    #[must_use]
    pub fn is_met_by(&self, key: &MacKey, session: &SecretHash<Session>, since: Timestamp, now: Timestamp) -> bool {
        let Some((at, before, mac)) = self.ticket.and_then(parts) else { return false };
        let Ok(seconds) = at.parse() else { return false };
        let is_ours =
            from_base64url(mac).is_some_and(|tag| key.verifies(PURPOSE, &message(at, before, self.query), &tag));
        let asked_at = Timestamp::from_seconds(seconds);
        is_ours
            && since.seconds() >= asked_at.seconds()
            && now < asked_at.plus_seconds(TTL_SECONDS)
            && before != tag_of(key, at, session)
    }
}

/// The query with a ticket, for somebody who is sent to sign in now.
#[must_use]
pub fn with_ticket(key: &MacKey, query: &str, session: Option<&SecretHash<Session>>, now: Timestamp) -> String {
    let at = now.seconds().to_string();
    let before = session.map_or_else(|| NO_SESSION.to_owned(), |session| tag_of(key, &at, session));
    let mac = base64url(&key.mac(PURPOSE, &message(&at, &before, query)));
    format!("{query}{PARAMETER}{at}.{before}.{mac}")
}

/// Tells a session from another one without naming it.
fn tag_of(key: &MacKey, at: &str, session: &SecretHash<Session>) -> String {
    base64url(&key.mac(SESSION_PURPOSE, &format!("{at}\n{}", session.as_str())))
}

/// The first two hold no line breaks, so that no two triples make one text.
fn message(at: &str, before: &str, query: &str) -> String {
    format!("{at}\n{before}\n{query}")
}

fn parts(ticket: &str) -> Option<(&str, &str, &str)> {
    let (at, rest) = ticket.split_once('.')?;
    let (before, mac) = rest.split_once('.')?;
    Some((at, before, mac))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);
    const QUERY: &str = "client_id=app&prompt=login";

    fn key() -> MacKey {
        MacKey::new([5; 32])
    }

    fn session(name: &str) -> SecretHash<Session> {
        SecretHash::from_stored(name.into())
    }

    fn met(query: &str, by: &str, since: u64, now: u64) -> bool {
        let at = Timestamp::from_seconds;
        Returned::read(query).is_met_by(&key(), &session(by), at(since), at(now))
    }

    #[test]
    fn a_session_that_began_after_the_request_asked_meets_it_in_the_same_second_too() {
        for before in [Some(session("old")), None] {
            let asked = with_ticket(&key(), QUERY, before.as_ref(), NOW);
            assert!(met(&asked, "new", 1_000, 1_000));
            assert!(met(&asked, "new", 1_300, 1_599));
            assert_eq!(Returned::read(&asked).query, QUERY);
        }
    }

    #[test]
    fn the_session_that_was_there_before_does_not() {
        let asked = with_ticket(&key(), QUERY, Some(&session("old")), NOW);
        assert!(!met(&asked, "old", 1_000, 1_000));
        assert!(!met(&asked, "other", 999, 1_000), "another one that began before");
    }

    #[test]
    fn a_ticket_of_another_request_another_key_or_another_time_is_worth_nothing() {
        let asked = with_ticket(&key(), QUERY, None, NOW);
        assert!(!met(&format!("x=1&{asked}"), "new", 1_000, 1_000));
        assert!(!met(&asked.replace("1000.", "0900."), "new", 1_000, 1_000));
        assert!(!met(&asked.replace("1000.", "900."), "new", 950, 1_000));
        assert!(!met(&with_ticket(&MacKey::new([6; 32]), QUERY, None, NOW), "new", 1_000, 1_000));
        assert!(!met(&asked, "new", 1_000, 1_600), "exactly at its end");
        assert!(!met(QUERY, "new", 1_000, 1_000));
    }

    proptest! {
        #[test]
        fn no_ticket_that_was_written_by_hand_is_met(ticket in ".{0,120}", dots in "[0-9]{1,20}\\.[a-zA-Z]{0,43}\\.[A-Za-z0-9_-]{43}") {
            for ticket in [ticket, dots] {
                let query = format!("{QUERY}{PARAMETER}{ticket}");
                prop_assert!(!met(&query, "new", u64::MAX / 2000, 0));
            }
        }
    }
}
