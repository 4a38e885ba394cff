//! The device flow, [RFC 8628](https://www.rfc-editor.org/rfc/rfc8628): a program without a browser shows a code, a person enters it
//! elsewhere, and the program polls until they have answered.
//!
//! [`UserCode`] is the code for people, [`DeviceCodeRow`] the row behind it, with what a poll is told as pure functions over it. What is
//! over is told as it is, however fast somebody polls; only whoever still waits can be too fast.

use core::{fmt, iter, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    client::{Client, GrantType},
    code::Binding,
    error::{ErrorCode, requested_code},
    params::Params,
    pending_request::DeviceRequest,
    resource::{InvalidTarget, Resources},
};
use crate::domain::{
    authorization_details::{Requested, RequestedError},
    encoding::sha256,
    id::{ClientId, GrantId},
    secret::{DeviceCode, SecretHash},
    time::Timestamp,
};

/// `expires_in` (RFC 8628 §3.2): time to walk to a browser and to sign in there.
pub const DEVICE_CODE_TTL_SECONDS: u64 = 600;
/// `interval` (RFC 8628 §3.2): the least time between two polls.
pub const INTERVAL_SECONDS: u32 = 5;
/// What `slow_down` adds to it, for good (RFC 8628 §3.5).
pub const SLOW_DOWN_SECONDS: u32 = 5;
/// Slower than this nobody is told to poll, whatever they did: an answer may wait for a tenth of a code's life, and not longer.
pub const MAX_INTERVAL_SECONDS: u32 = 60;
/// Most codes of one client that wait for a person at once; one more takes the place of another.
pub const MAX_OPEN_CODES_OF_CLIENT: u32 = 1_000;
/// Most codes that wait for a person at once; one more takes the place of another. With 20^8 user codes, one that is guessed is open with a chance of 1 in a million.
pub const MAX_OPEN_CODES: u32 = 20_000;
/// Most wrong user codes of one person within [`GUESS_WINDOW_SECONDS`] (RFC 8628 §5.1).
pub const MAX_WRONG_CODES: u32 = 10;
/// How long a wrong code counts.
pub const GUESS_WINDOW_SECONDS: u64 = DEVICE_CODE_TTL_SECONDS;

/// RFC 8628 §6.1: no vowels, so no words; no digits or letters that look alike.
pub(in crate::domain) const LETTERS: [char; 20] =
    ['B', 'C', 'D', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Z'];
const LENGTH: usize = 8;

/// What a person reads on the device and enters: eight letters, shown as `XXXX-XXXX`. Stored without the dash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserCode(String);

/// Text that can't be a user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code is eight letters")]
pub struct MalformedUserCode;

impl UserCode {
    /// A new one. Bytes that would favour some letters are skipped; a hash of the entropy makes more, should they ever not suffice.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        let blocks = iter::successors(Some(entropy), |block| Some(sha256(block)));
        Self(blocks.flatten().filter_map(letter).take(LENGTH).collect())
    }

    /// As it is stored: without the dash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One letter of a uniform byte, or none: 256 isn't a multiple of 20.
pub(in crate::domain) fn letter(byte: u8) -> Option<char> {
    const FAIR: usize = 256 / LETTERS.len() * LETTERS.len();
    let index = usize::from(byte);
    if index < FAIR { LETTERS.get(index % LETTERS.len()).copied() } else { None }
}

impl FromStr for UserCode {
    type Err = MalformedUserCode;

    /// Forgives small letters, spaces and dashes (RFC 8628 §6.1), and nothing else: no look-alikes of other alphabets.
    fn from_str(text: &str) -> Result<Self, MalformedUserCode> {
        let mut letters = String::new();
        for found in text.chars().filter(|found| !matches!(found, ' ' | '-')) {
            let found = found.to_ascii_uppercase();
            if letters.len() == LENGTH || !LETTERS.contains(&found) {
                return Err(MalformedUserCode);
            }
            letters.push(found);
        }
        if letters.len() == LENGTH { Ok(Self(letters)) } else { Err(MalformedUserCode) }
    }
}

impl TryFrom<String> for UserCode {
    type Error = MalformedUserCode;

    fn try_from(text: String) -> Result<Self, MalformedUserCode> {
        text.parse()
    }
}

impl From<UserCode> for String {
    fn from(code: UserCode) -> Self {
        code.0
    }
}

impl fmt::Display for UserCode {
    /// As it is shown: `XXXX-XXXX`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at_checked(LENGTH / 2) {
            Some((first, second)) => write!(f, "{first}-{second}"),
            None => f.write_str(&self.0),
        }
    }
}

/// Why `/device_authorization` refuses (RFC 8628 §3.1, RFC 6749 §5.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceRequestError {
    /// The client wasn't registered for the device flow.
    #[error("this client is not registered for the grant type urn:ietf:params:oauth:grant-type:device_code")]
    NotForDevices,
    /// What it asks for can't be granted.
    #[error(transparent)]
    Requested(#[from] RequestedError),
    /// RFC 8707 §2.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
}

impl DeviceRequestError {
    /// The RFC's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotForDevices => ErrorCode::UnauthorizedClient,
            Self::Requested(error) => requested_code(error),
            Self::Target(_) => ErrorCode::InvalidTarget,
        }
    }
}

impl DeviceRequest {
    /// Reads the form of `/device_authorization` (RFC 8628 §3.1, RFC 9396 §3, RFC 8707 §2).
    ///
    /// # Errors
    /// [`super::error::TokenError`]: a parameter twice, or a [`DeviceRequestError`].
    pub fn read(client: &Client, params: &Params, issuer: &str) -> Result<Self, super::error::TokenError> {
        if !client.may_use(GrantType::DeviceCode) {
            return Err(DeviceRequestError::NotForDevices.into());
        }
        let (details, scope) = (params.get("authorization_details")?, params.get("scope")?);
        let resources = Resources::read(params.all("resource"), issuer).map_err(DeviceRequestError::from)?;
        let requested = Requested::read_or_unspecified(details, scope, &resources.providers(issuer));
        let requested = requested.map_err(DeviceRequestError::from)?;
        Ok(Self { client_id: client.id.clone(), requested, as_asked: None, resources })
    }
}

/// Why a poll gets no token (RFC 8628 §3.5). What a thief could learn from shares one text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// The client wasn't registered for the device flow.
    #[error("this client is not registered for the grant type urn:ietf:params:oauth:grant-type:device_code")]
    NotForDevices,
    /// The person hasn't answered yet.
    #[error("the user has not answered yet; poll again after the interval")]
    Pending,
    /// The same, and this poll came too early.
    #[error("this poll came too early; poll 5 seconds slower from now on")]
    TooFast,
    /// Nobody answered in time.
    #[error("the code has expired; ask for a new one when the user wants to try again")]
    Expired,
    /// The person said no.
    #[error("the user denied the request")]
    Denied,
    /// Not a device code of ours, or one that is long over.
    #[error("the device code is unknown, already used, or was issued to another client")]
    Unknown,
    /// Issued to another client.
    #[error("the device code is unknown, already used, or was issued to another client")]
    OfAnotherClient,
    /// Used a moment ago, by this client.
    #[error("the device code is unknown, already used, or was issued to another client")]
    Redeemed,
    /// Used longer ago, by this client or in its name; the grant ends.
    #[error("the device code is unknown, already used, or was issued to another client")]
    Replayed(GrantId),
}

impl PollError {
    /// The RFC's code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotForDevices => ErrorCode::UnauthorizedClient,
            Self::Pending => ErrorCode::AuthorizationPending,
            Self::TooFast => ErrorCode::SlowDown,
            Self::Expired => ErrorCode::ExpiredToken,
            Self::Denied => ErrorCode::AccessDenied,
            Self::Unknown | Self::OfAnotherClient | Self::Redeemed | Self::Replayed(_) => ErrorCode::InvalidGrant,
        }
    }
}

/// A row of `device_codes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCodeRow {
    /// Its name in the store.
    pub hash: SecretHash<DeviceCode>,
    /// What the person enters.
    pub user_code: UserCode,
    /// Who asks, and for what.
    pub request: DeviceRequest,
    /// From this moment on it is over, unless it was allowed: then it is the end of the time to come for the tokens.
    pub expires_at: Timestamp,
    /// How fast its client may poll.
    pub pace: Pace,
    /// How far it has come.
    pub state: DeviceState,
}

/// How far a device code has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Nobody has answered.
    Open,
    /// A person said no.
    Denied,
    /// A person said yes; the device hasn't come yet.
    Allowed {
        /// What the code is exchanged for.
        grant_id: GrantId,
        /// When that person signed in.
        auth_time: Option<Timestamp>,
    },
    /// The device has its tokens.
    Redeemed {
        /// What it was exchanged for.
        grant_id: GrantId,
        /// When.
        at: Timestamp,
    },
}

/// How fast a client polls, and how fast it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two polls.
    pub interval_seconds: u32,
    /// The last poll, however early it came.
    pub polled_at: Option<Timestamp>,
}

impl Pace {
    /// That of a new code.
    pub const NEW: Self = Self { interval_seconds: INTERVAL_SECONDS, polled_at: None };

    /// Whether a poll comes early enough to be told to slow down, and the pace from then on (RFC 8628 §3.5).
    #[must_use]
    pub fn after_poll(self, now: Timestamp) -> (Self, PollError) {
        let due = |last: Timestamp| last.plus_seconds(self.interval_seconds.into());
        if self.polled_at.is_none_or(|last| due(last) <= now) {
            return (Self { polled_at: Some(now), ..self }, PollError::Pending);
        }
        let slower = self.interval_seconds.saturating_add(SLOW_DOWN_SECONDS).min(MAX_INTERVAL_SECONDS);
        // Clocks of two instances may differ by a little: the latest poll counts.
        let interval_seconds = slower.max(self.interval_seconds);
        (Self { interval_seconds, polled_at: self.polled_at.max(Some(now)) }, PollError::TooFast)
    }
}

/// What a poll of the right client meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has to wait, and to be counted.
    Waits,
    /// It may have its tokens.
    Allowed {
        /// What the code is exchanged for.
        grant_id: GrantId,
        /// What the tokens are bound to.
        binding: Binding,
    },
}

impl DeviceCodeRow {
    /// What `client` meets when it polls.
    ///
    /// A code that was redeemed already doesn't end the grant at once, as an authorization code does (RFC 6749 §4.1.2): that one
    /// travels through a browser, where it can be stolen, and is sent once; this one stays with the device, which polls, perhaps twice
    /// at a time, or again because an answer was lost. Polls of one client come within [`MAX_INTERVAL_SECONDS`] of each other. One that
    /// comes later has no tokens: either nobody has those of the first answer, or somebody else does. Then the grant ends (RFC 9700
    /// §4.14.2 does the same for refresh tokens).
    ///
    /// # Errors
    /// [`PollError`], the reason.
    pub fn standing(&self, client: &Client, now: Timestamp) -> Result<Standing, PollError> {
        if self.request.client_id != client.id {
            return Err(PollError::OfAnotherClient);
        }
        if !client.may_use(GrantType::DeviceCode) {
            return Err(PollError::NotForDevices);
        }
        match &self.state {
            DeviceState::Denied => Err(PollError::Denied),
            DeviceState::Redeemed { grant_id, at } if at.plus_seconds(MAX_INTERVAL_SECONDS.into()) < now => {
                Err(PollError::Replayed(grant_id.clone()))
            }
            DeviceState::Redeemed { .. } => Err(PollError::Redeemed),
            DeviceState::Open | DeviceState::Allowed { .. } if now >= self.expires_at => Err(PollError::Expired),
            DeviceState::Open => Ok(Standing::Waits),
            DeviceState::Allowed { grant_id, auth_time } => Ok(Standing::Allowed {
                grant_id: grant_id.clone(),
                binding: Binding { dpop_jkt: None, resources: self.request.resources.clone(), auth_time: *auth_time },
            }),
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.request.client_id
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::oauth::client::ClientAuth;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn client() -> Client {
        Client::example(ClientAuth::Public)
    }

    fn row(state: DeviceState) -> DeviceCodeRow {
        DeviceCodeRow {
            hash: SecretHash::from_stored("00".into()),
            user_code: "WDJB-MJHT".parse().unwrap(),
            request: DeviceRequest {
                client_id: "app".parse().unwrap(),
                requested: Requested::from_scope("openai:chat").unwrap(),
                as_asked: None,
                resources: Resources::default(),
            },
            expires_at: NOW.plus_seconds(DEVICE_CODE_TTL_SECONDS),
            pace: Pace::NEW,
            state,
        }
    }

    fn grant() -> GrantId {
        "grant_1".parse().unwrap()
    }

    #[test]
    fn rfc_8628_6_1_a_code_is_read_as_a_person_types_it() {
        for text in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "W-D-J-B-M-J-H-T", "WdJb--mJhT"] {
            assert_eq!(text.parse::<UserCode>().unwrap().to_string(), "WDJB-MJHT", "{text:?}");
        }
    }

    #[test]
    fn rfc_8628_6_1_look_alikes_other_signs_and_other_lengths_are_no_code() {
        for text in [
            "",
            "WDJB-MJH",
            "WDJB-MJHTT",
            "WDJB-MJH7",
            "WDJB-MJHA",
            "WDJB_MJHT",
            "WDJB\tMJHT",
            "WDJB\u{2013}MJHT",
            "WDJB\u{a0}MJHT",
            // Cyrillic, full width, and two that fold to K and S.
            "\u{412}CDFGHJK",
            "\u{ff37}DJBMJHT",
            "\u{212a}DJBMJHT",
            "\u{17f}DJBMJHT",
        ] {
            assert_eq!(text.parse::<UserCode>(), Err(MalformedUserCode), "{text:?}");
        }
    }

    #[test]
    fn every_letter_is_made_of_as_many_bytes_as_every_other() {
        let made: Vec<char> = (0..=u8::MAX).filter_map(letter).collect();
        for one in LETTERS {
            assert_eq!(made.iter().filter(|found| **found == one).count(), 12, "{one}");
        }
        assert_eq!(LETTERS.into_iter().collect::<BTreeSet<_>>().len(), 20);
    }

    #[test]
    fn entropy_that_holds_no_fair_byte_makes_a_code_all_the_same() {
        assert_eq!(UserCode::from_entropy([255; 32]).as_str().len(), LENGTH);
    }

    #[test]
    fn rfc_8628_3_5_a_poll_in_time_waits_and_one_that_is_early_slows_down_for_good() {
        let (first, said) = Pace::NEW.after_poll(NOW);
        assert_eq!(said, PollError::Pending);
        let early = NOW.plus_millis(4_999);
        let (slower, said) = first.after_poll(early);
        assert_eq!((slower.interval_seconds, said), (10, PollError::TooFast));
        let (slower_still, said) = slower.after_poll(early.plus_millis(9_999));
        assert_eq!((slower_still.interval_seconds, said), (15, PollError::TooFast));
        let (kept, said) = slower_still.after_poll(early.plus_millis(9_999).plus_seconds(15));
        assert_eq!((kept.interval_seconds, said), (15, PollError::Pending));
    }

    #[test]
    fn rfc_8628_3_5_exactly_at_the_interval_is_in_time() {
        let (first, _) = Pace::NEW.after_poll(NOW);
        assert_eq!(first.after_poll(NOW.plus_seconds(5)).1, PollError::Pending);
    }

    #[test]
    fn rfc_8628_3_5_a_code_is_over_exactly_when_it_expires() {
        let open = row(DeviceState::Open);
        assert_eq!(open.standing(&client(), NOW.plus_millis(599_999)), Ok(Standing::Waits));
        assert_eq!(open.standing(&client(), NOW.plus_seconds(600)), Err(PollError::Expired));
    }

    #[test]
    fn rfc_8628_3_5_a_denied_code_stays_denied_also_when_its_time_is_over() {
        assert_eq!(row(DeviceState::Denied).standing(&client(), NOW.plus_seconds(601)), Err(PollError::Denied));
    }

    #[test]
    fn an_allowed_code_is_exchanged_for_its_grant_and_what_was_asked_with_it() {
        let allowed = row(DeviceState::Allowed { grant_id: grant(), auth_time: Some(NOW) });
        let Ok(Standing::Allowed { grant_id, binding }) = allowed.standing(&client(), NOW) else {
            panic!("not allowed")
        };
        assert_eq!((grant_id, binding.auth_time), (grant(), Some(NOW)));
    }

    #[test]
    fn rfc_8628_3_4_a_code_of_another_client_says_nothing_of_itself() {
        let stranger = Client { id: "other".parse().unwrap(), ..client() };
        for state in [
            DeviceState::Open,
            DeviceState::Denied,
            DeviceState::Allowed { grant_id: grant(), auth_time: None },
            DeviceState::Redeemed { grant_id: grant(), at: NOW },
        ] {
            assert_eq!(row(state).standing(&stranger, NOW.plus_seconds(700)), Err(PollError::OfAnotherClient));
        }
    }

    #[test]
    fn a_client_that_is_not_registered_for_devices_gets_nothing() {
        let registered = Client { grant_types: [GrantType::AuthorizationCode].into(), ..client() };
        let allowed = row(DeviceState::Allowed { grant_id: grant(), auth_time: None });
        assert_eq!(allowed.standing(&registered, NOW), Err(PollError::NotForDevices));
    }

    #[test]
    fn polls_of_one_client_that_cross_end_nothing_and_a_replay_a_minute_later_ends_the_grant() {
        let redeemed = row(DeviceState::Redeemed { grant_id: grant(), at: NOW });
        assert_eq!(redeemed.standing(&client(), NOW), Err(PollError::Redeemed));
        assert_eq!(redeemed.standing(&client(), NOW.plus_seconds(60)), Err(PollError::Redeemed));
        assert_eq!(redeemed.standing(&client(), NOW.plus_seconds(61)), Err(PollError::Replayed(grant())));
    }

    #[test]
    fn rfc_8628_3_1_a_request_names_what_is_wrong_with_it() {
        let read =
            |body: &str| DeviceRequest::read(&client(), &Params::parse(body.as_bytes()), "https://broker.example");
        let code = |body: &str| read(body).unwrap_err().code();
        assert_eq!(code("scope=nothing"), ErrorCode::InvalidScope);
        assert_eq!(code("authorization_details=x"), ErrorCode::InvalidAuthorizationDetails);
        assert_eq!(code("scope=openai:chat&authorization_details=[]"), ErrorCode::InvalidRequest);
        assert_eq!(code("scope=openai:chat&scope=openai:chat"), ErrorCode::InvalidRequest);
        assert_eq!(code("scope=openai:chat&resource=https://other.example"), ErrorCode::InvalidTarget);
        assert_eq!(read("scope=openai:chat").unwrap().client_id.as_str(), "app");
    }

    proptest! {
        #[test]
        fn a_made_code_is_read_as_itself_however_it_is_typed(entropy in any::<[u8; 32]>(), small in any::<bool>()) {
            let code = UserCode::from_entropy(entropy);
            let shown = code.to_string();
            prop_assert_eq!(shown.len(), 9);
            let typed = if small { shown.to_ascii_lowercase().replace('-', " ") } else { shown };
            prop_assert_eq!(typed.parse(), Ok(code));
        }

        #[test]
        fn whatever_is_typed_is_a_code_of_eight_letters_or_none(text in ".{0,40}") {
            if let Ok(code) = text.parse::<UserCode>() {
                prop_assert_eq!(code.as_str().len(), LENGTH);
                prop_assert!(code.as_str().chars().all(|found| LETTERS.contains(&found)));
                prop_assert!(text.chars().all(|found| found == ' ' || found == '-' || found.is_ascii_alphabetic()));
            }
        }

        #[test]
        fn the_interval_never_shrinks_and_whoever_keeps_to_it_is_never_too_fast(waits in prop::collection::vec(0_u64..20_000, 1..40)) {
            let (mut pace, mut now) = (Pace::NEW, NOW);
            for wait in waits {
                now = now.plus_millis(wait);
                let (next, _) = pace.after_poll(now);
                prop_assert!(next.interval_seconds >= pace.interval_seconds && next.interval_seconds <= MAX_INTERVAL_SECONDS);
                pace = next;
                let patient = now.plus_seconds(pace.interval_seconds.into());
                prop_assert_eq!(pace.after_poll(patient).1, PollError::Pending);
            }
        }
    }
}
