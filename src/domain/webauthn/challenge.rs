//! Challenges ([WebAuthn §13.4.3](https://www.w3.org/TR/webauthn-3/#sctn-cryptographic-challenges)): what an authenticator signs, so that
//! an old signature is worth nothing.
//!
//! A challenge is 128 random bits, the moment at which it ends, and the broker's code over both, over what it is for, and over the browser
//! that it was given to. So nothing is stored when one is made, and whoever opens the sign-in page again and again fills no table; what is
//! stored is that one was used ([`ReplayId`]), until it ends.

use crate::domain::{
    encoding::{base64url, sha256},
    oauth::{mac::MacKey, replay::ReplayId},
    time::Timestamp,
};

/// Time to find the phone and to touch it.
pub const CHALLENGE_TTL_SECONDS: u64 = 300;

const PURPOSE: &str = "passkey challenge v1";
const ENTROPY_BYTES: usize = 16;
const TIME_BYTES: usize = 8;

/// What an answer may be used for, and where. One that was made for another use or another browser is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use<'a> {
    /// Signing in, in the browser with this cookie (by its hash).
    SignIn(&'a str),
    /// Confirming, in this session (by its hash).
    Confirm(&'a str),
    /// Adding a passkey, in this session (by its hash).
    Add(&'a str),
    /// Taking an invitation (by the hash of its token).
    Invitation(&'a str),
}

impl Use<'_> {
    /// Hashes are hexadecimal: no two uses are one text.
    fn text(self) -> String {
        let (name, binding) = match self {
            Self::SignIn(cookie) => ("sign-in", cookie),
            Self::Confirm(session) => ("confirm", session),
            Self::Add(session) => ("add", session),
            Self::Invitation(token) => ("invitation", token),
        };
        format!("{name} {binding}")
    }
}

/// Why a challenge isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// Not one of ours, or made for another use or browser.
    #[error("the challenge was not made for this")]
    Invalid,
    /// Too late.
    #[error("the challenge has expired")]
    Expired,
}

/// A genuine challenge. It still has to be used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genuine {
    /// What a store of used things remembers of it.
    pub id: ReplayId,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A new one, in base64url.
#[must_use]
pub fn issue(key: &MacKey, used_for: Use<'_>, entropy: [u8; ENTROPY_BYTES], now: Timestamp) -> String {
    let ends = now.plus_seconds(CHALLENGE_TTL_SECONDS).seconds().to_be_bytes();
    let head = [entropy.as_slice(), &ends].concat();
    let code = key.mac(PURPOSE, &message(&head, used_for));
    base64url(&[head.as_slice(), &code].concat())
}

/// Whether a challenge is one of ours, made for this.
///
/// # Errors
/// [`ChallengeError`].
pub fn verify(key: &MacKey, used_for: Use<'_>, challenge: &[u8], now: Timestamp) -> Result<Genuine, ChallengeError> {
    let invalid = ChallengeError::Invalid;
    let (head, code) = challenge.split_at_checked(ENTROPY_BYTES + TIME_BYTES).ok_or(invalid)?;
    if !key.verifies(PURPOSE, &message(head, used_for), code) {
        return Err(invalid);
    }
    let ends = head.last_chunk::<TIME_BYTES>().ok_or(invalid)?;
    let expires_at = Timestamp::from_seconds(u64::from_be_bytes(*ends));
    if now >= expires_at {
        return Err(ChallengeError::Expired);
    }
    let id = ReplayId::new("passkey challenge ", &base64url(&sha256(head)));
    Ok(Genuine { id, expires_at })
}

fn message(head: &[u8], used_for: Use<'_>) -> String {
    format!("{} {}", base64url(head), used_for.text())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::encoding::from_base64url;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn key() -> MacKey {
        MacKey::new([4; 32])
    }

    fn issued(used_for: Use<'_>) -> Vec<u8> {
        from_base64url(&issue(&key(), used_for, [7; 16], NOW)).unwrap()
    }

    #[test]
    fn a_challenge_is_good_for_what_it_was_made_for_and_for_nothing_else() {
        let uses = [Use::SignIn("aa"), Use::SignIn("bb"), Use::Confirm("aa"), Use::Add("aa"), Use::Invitation("aa")];
        for made in uses {
            for asked in uses {
                assert_eq!(verify(&key(), asked, &issued(made), NOW).is_ok(), made == asked, "{made:?} {asked:?}");
            }
        }
    }

    #[test]
    fn a_challenge_of_another_broker_is_refused() {
        let refused = verify(&MacKey::new([5; 32]), Use::SignIn("aa"), &issued(Use::SignIn("aa")), NOW);
        assert_eq!(refused, Err(ChallengeError::Invalid));
    }

    #[test]
    fn a_challenge_is_over_after_exactly_five_minutes() {
        let challenge = issued(Use::SignIn("aa"));
        let at = |seconds| verify(&key(), Use::SignIn("aa"), &challenge, NOW.plus_seconds(seconds)).map(drop);
        assert_eq!(at(299), Ok(()));
        assert_eq!(at(300), Err(ChallengeError::Expired));
    }

    #[test]
    fn a_challenge_is_used_up_by_its_own_name() {
        let id = |entropy| {
            let text = issue(&key(), Use::SignIn("aa"), entropy, NOW);
            verify(&key(), Use::SignIn("aa"), &from_base64url(&text).unwrap(), NOW).unwrap().id
        };
        assert_eq!(id([1; 16]), id([1; 16]));
        assert_ne!(id([1; 16]), id([2; 16]));
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_challenge_that_was_not_made_here(
            bytes in proptest::collection::vec(any::<u8>(), 0..80), at in 0_usize..56, flip in 1_u8..,
        ) {
            prop_assert!(verify(&key(), Use::SignIn("aa"), &bytes, NOW).is_err());
            let mut near = issued(Use::SignIn("aa"));
            near[at] ^= flip;
            prop_assert_eq!(verify(&key(), Use::SignIn("aa"), &near, NOW), Err(ChallengeError::Invalid));
        }
    }
}
