//! What stands between a request and the consent page: `prompt` and `max_age`
//! ([OpenID Connect Core §3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest), §3.1.2.6).
//!
//! The broker issues no ID tokens. It heeds the two parameters as far as they are about the person: whether they must be asked, and how
//! long ago they may have signed in. Consent is asked for each time, with or without `prompt=consent`.

use serde::{Deserialize, Serialize};

use super::{authorization_request::AuthorizationRequest, error::RedirectReason};
use crate::domain::time::Timestamp;

/// `prompt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Nothing is said, or `consent`: the broker asks the person for consent each time.
    #[default]
    Consent,
    /// `login`: the person has to sign in again first.
    Login,
    /// `none`: the person must not be asked, so that the answer is always an error.
    None,
}

impl Prompt {
    /// The values that the parameter may hold.
    pub const VALUES: [&'static str; 3] = ["none", "login", "consent"];

    /// Reads the parameter, a list separated by spaces; `None`: it holds another value, or `none` beside another.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let values: Vec<&str> = text.split(' ').filter(|value| !value.is_empty()).collect();
        if values.iter().any(|value| !Self::VALUES.contains(value)) {
            return None;
        }
        match (values.contains(&"none"), values.contains(&"login")) {
            (true, _) if values.len() > 1 => None,
            (true, _) => Some(Self::None),
            (false, true) => Some(Self::Login),
            (false, false) => Some(Self::Consent),
        }
    }
}

/// Who is at the browser, as far as a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nobody is signed in.
    Nobody,
    /// Somebody is.
    SignedIn {
        /// Since when.
        since: Timestamp,
        /// They signed in because this very request asked for it (see [`super::sign_in_again`]).
        for_this: bool,
    },
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The person is asked for consent.
    Consent,
    /// The person has to sign in, or to do it anew.
    SignIn,
    /// The app is told why neither can be.
    Refuse(RedirectReason),
}

impl AuthorizationRequest {
    /// Whether it says anything about how recent a sign-in has to be.
    #[must_use]
    pub fn minds_sign_in(&self) -> bool {
        self.prompt == Prompt::Login || self.max_age.is_some()
    }

    /// What happens next.
    #[must_use]
    pub fn next_step(&self, presence: Presence, now: Timestamp) -> Step {
        let is_good = match presence {
            Presence::Nobody => false,
            Presence::SignedIn { for_this: true, .. } => true,
            Presence::SignedIn { since, for_this: false } => {
                self.prompt != Prompt::Login && !self.is_too_old(since, now)
            }
        };
        match (self.prompt, is_good) {
            (Prompt::None, false) => Step::Refuse(RedirectReason::LoginRequired),
            (Prompt::None, true) => Step::Refuse(RedirectReason::ConsentRequired),
            (Prompt::Login | Prompt::Consent, false) => Step::SignIn,
            (Prompt::Login | Prompt::Consent, true) => Step::Consent,
        }
    }

    /// `max_age=0` is `prompt=login` by another name: it holds in the very second of a sign-in, too.
    fn is_too_old(&self, since: Timestamp, now: Timestamp) -> bool {
        let age = now.seconds().saturating_sub(since.seconds());
        self.max_age.is_some_and(|max_age| max_age == 0 || age > max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::oauth::pushed_request::tests::request;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);

    fn signed_in(seconds_ago: u64) -> Presence {
        Presence::SignedIn { since: Timestamp::from_seconds(10_000 - seconds_ago), for_this: false }
    }

    const FOR_THIS: Presence = Presence::SignedIn { since: NOW, for_this: true };

    fn step(prompt: Prompt, max_age: Option<u64>, presence: Presence) -> Step {
        AuthorizationRequest { prompt, max_age, ..request() }.next_step(presence, NOW)
    }

    #[test]
    fn without_a_word_whoever_is_signed_in_is_asked() {
        assert_eq!(step(Prompt::Consent, None, signed_in(9_999)), Step::Consent);
        assert_eq!(step(Prompt::Consent, None, Presence::Nobody), Step::SignIn);
    }

    #[test]
    fn core_3_1_2_1_prompt_none_is_always_an_error() {
        let refuse = Step::Refuse;
        assert_eq!(step(Prompt::None, None, Presence::Nobody), refuse(RedirectReason::LoginRequired));
        assert_eq!(step(Prompt::None, None, signed_in(1)), refuse(RedirectReason::ConsentRequired));
        assert_eq!(step(Prompt::None, Some(60), signed_in(61)), refuse(RedirectReason::LoginRequired));
        assert_eq!(step(Prompt::None, Some(60), signed_in(60)), refuse(RedirectReason::ConsentRequired));
    }

    #[test]
    fn core_3_1_2_1_prompt_login_is_met_by_signing_in_for_this_request_alone() {
        assert_eq!(step(Prompt::Login, None, signed_in(0)), Step::SignIn);
        assert_eq!(step(Prompt::Login, None, FOR_THIS), Step::Consent);
    }

    #[test]
    fn core_3_1_2_1_max_age_is_a_number_of_seconds_and_its_last_one_counts() {
        assert_eq!(step(Prompt::Consent, Some(60), signed_in(60)), Step::Consent);
        assert_eq!(step(Prompt::Consent, Some(60), signed_in(61)), Step::SignIn);
        assert_eq!(step(Prompt::Consent, Some(0), signed_in(0)), Step::SignIn);
        assert_eq!(step(Prompt::Consent, Some(0), FOR_THIS), Step::Consent);
    }

    #[test]
    fn prompt_is_a_list_in_which_none_stands_alone() {
        for (text, read) in [
            ("", Some(Prompt::Consent)),
            ("consent", Some(Prompt::Consent)),
            ("login consent", Some(Prompt::Login)),
            ("none", Some(Prompt::None)),
            ("none none", None),
            ("none login", None),
            ("select_account", None),
            ("Login", None),
        ] {
            assert_eq!(Prompt::parse(text), read, "{text:?}");
        }
    }
}
