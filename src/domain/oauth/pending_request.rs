//! What a consent page is about, and who is answered: of an app that was sent here, or of a device that polls.

use serde::{Deserialize, Serialize};

use super::{authorization_request::AuthorizationRequest, device::UserCode, resource::Resources};
use crate::domain::{
    authorization_details::Requested,
    id::{ClientId, GrantId},
    policy::{Policy, PolicyError},
    secret::{DeviceCode, SecretHash, Session},
    time::Timestamp,
};

/// How long a consent page can be answered.
pub const CONSENT_TTL_SECONDS: u64 = 600;

/// A row of `authorization_requests`: what a consent page shows, and who is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRequest {
    /// Only this session may answer it.
    pub session: SecretHash<Session>,
    /// What is asked.
    pub asked: Asked,
    /// From this moment on it can't be answered.
    pub expires_at: Timestamp,
    /// How it was answered, if it was.
    pub decision: Option<Decision>,
    /// The form as it stood when the person had to sign in first.
    pub filled: Option<String>,
}

/// Longest form that is kept while a person signs in, in bytes. What was filled into a longer one is lost.
pub const MAX_FILLED_BYTES: usize = 32 * 1024;

impl PendingRequest {
    /// Whether it can still be answered, as far as time goes.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.decision.is_none() && now < self.expires_at
    }

    /// Whether the same may be asked again on a fresh page: of `session`, whose person signed in at `since`.
    ///
    /// A link can be opened again, so that what stood in one may come back at any time. What was pushed, or asked by a device, comes
    /// once (RFC 9126 §4), and moves to a fresh page only while it is open. A request that minds when the person signed in was met
    /// when its page was shown, and is met by whoever signed in since.
    #[must_use]
    pub fn may_be_asked_again(&self, session: &SecretHash<Session>, since: Timestamp, now: Timestamp) -> bool {
        let shown_at = self.expires_at.seconds().saturating_sub(CONSENT_TTL_SECONDS);
        match &self.asked {
            _ if self.decision.is_some() => false,
            Asked::Redirect(request) if request.minds_sign_in() => {
                self.is_open(now) && (self.session == *session || since.seconds() >= shown_at)
            }
            Asked::Redirect(request) if !request.is_pushed => true,
            Asked::Redirect(_) | Asked::Device { .. } => self.is_open(now),
        }
    }
}

/// What a consent page is about, and where the answer goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// To the app's redirect URI.
    Redirect(Box<AuthorizationRequest>),
    /// To a device that polls (RFC 8628).
    Device {
        /// The row of `device_codes`.
        device_code: SecretHash<DeviceCode>,
        /// What the person entered, to be held against what the device shows (RFC 8628 §3.3.1).
        user_code: UserCode,
        /// What it asked for.
        request: Box<DeviceRequest>,
    },
}

/// What a device asked for at `/device_authorization` (RFC 8628 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Who asks.
    pub client_id: ClientId,
    /// What for, as far as whoever is asked may grant it.
    pub requested: Requested,
    /// What for, where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_asked: Option<Requested>,
    /// Which part of the broker the tokens are for (RFC 8707).
    pub resources: Resources,
}

impl Asked {
    /// Narrows it to what the policy that binds whoever is asked leaves of it; without one it is as it was asked. What was left of it for
    /// somebody else before makes no difference.
    ///
    /// # Errors
    /// [`PolicyError::Nothing`].
    pub fn narrow(&mut self, policy: Option<&Policy>) -> Result<(), PolicyError> {
        let (requested, as_asked) = match self {
            Self::Redirect(request) => (&mut request.requested, &mut request.as_asked),
            Self::Device { request, .. } => (&mut request.requested, &mut request.as_asked),
        };
        if let Some(whole) = as_asked.take() {
            *requested = whole;
        }
        let Some(policy) = policy else { return Ok(()) };
        let left = policy.narrow(requested)?;
        if left != *requested {
            *as_asked = Some(core::mem::replace(requested, left));
        }
        Ok(())
    }

    /// Who asks.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        match self {
            Self::Redirect(request) => &request.client_id,
            Self::Device { request, .. } => &request.client_id,
        }
    }

    /// What for, also what whoever is asked may not grant.
    #[must_use]
    pub fn as_asked(&self) -> &Requested {
        let as_asked = match self {
            Self::Redirect(request) => &request.as_asked,
            Self::Device { request, .. } => &request.as_asked,
        };
        as_asked.as_ref().unwrap_or_else(|| self.requested())
    }

    /// What for, as far as whoever is asked may grant it.
    #[must_use]
    pub const fn requested(&self) -> &Requested {
        match self {
            Self::Redirect(request) => &request.requested,
            Self::Device { request, .. } => &request.requested,
        }
    }
}

/// How an authorization request was answered: columns `decided_at` and `grant_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// With a grant.
    Allowed(GrantId),
    /// With no.
    Denied,
}

#[cfg(test)]
mod tests {
    use super::{super::pushed_request::tests::request, *};
    use crate::domain::{oauth::prompt::Prompt, permission::Provider};

    const SHOWN: Timestamp = Timestamp::from_seconds(10_000);
    const LATE: Timestamp = SHOWN.plus_seconds(CONSENT_TTL_SECONDS);

    fn session(name: &str) -> SecretHash<Session> {
        SecretHash::from_stored(name.to_owned())
    }

    fn pending(change: impl FnOnce(&mut AuthorizationRequest)) -> PendingRequest {
        let mut request = AuthorizationRequest { is_pushed: false, ..request() };
        change(&mut request);
        PendingRequest {
            session: session("mine"),
            asked: Asked::Redirect(Box::new(request)),
            expires_at: LATE,
            decision: None,
            filled: None,
        }
    }

    fn again(pending: &PendingRequest, name: &str, since: Timestamp, now: Timestamp) -> bool {
        pending.may_be_asked_again(&session(name), since, now)
    }

    const BEFORE: Timestamp = Timestamp::from_seconds(9_999);

    #[test]
    fn what_stood_in_a_link_may_be_asked_again_at_any_time() {
        let pending = pending(|_| ());
        assert!(again(&pending, "mine", BEFORE, LATE) && again(&pending, "other", BEFORE, LATE.plus_seconds(9_000)));
    }

    #[test]
    fn rfc_9126_4_what_was_pushed_is_asked_again_only_while_it_is_open() {
        let pending = pending(|request| request.is_pushed = true);
        assert!(again(&pending, "other", BEFORE, SHOWN.plus_seconds(CONSENT_TTL_SECONDS - 1)));
        assert!(!again(&pending, "other", BEFORE, LATE), "exactly at its end it is over");
    }

    #[test]
    fn a_request_that_minds_the_sign_in_is_asked_again_only_of_who_signed_in_since() {
        let pending = pending(|request| request.prompt = Prompt::Login);
        assert!(again(&pending, "mine", BEFORE, SHOWN));
        assert!(!again(&pending, "other", BEFORE, SHOWN));
        assert!(again(&pending, "other", SHOWN, SHOWN));
        assert!(!again(&pending, "mine", BEFORE, LATE), "then it was too long ago");
    }

    #[test]
    fn what_is_left_of_a_request_for_one_person_narrows_nothing_for_the_next() {
        let mut asked = pending(|_| ()).asked;
        let whole = asked.requested().clone();
        let mut policy =
            Policy { models: [(Provider::OpenAi, vec!["gpt-5".parse().unwrap()])].into(), ..Policy::default() };
        asked.narrow(Some(&policy)).unwrap();
        assert_ne!(*asked.requested(), whole);
        assert_eq!(*asked.as_asked(), whole);
        let stored: Asked = serde_json::from_str(&serde_json::to_string(&asked).unwrap()).unwrap();
        assert_eq!(stored, asked);
        policy.models.insert(Provider::OpenAi, Vec::new());
        assert_eq!(asked.clone().narrow(Some(&policy)), Err(PolicyError::Nothing));
        asked.narrow(None).unwrap();
        assert_eq!((asked.requested(), asked.as_asked()), (&whole, &whole));
    }

    #[test]
    fn what_was_answered_is_not_asked_again() {
        let pending = PendingRequest { decision: Some(Decision::Denied), ..pending(|_| ()) };
        assert!(!again(&pending, "mine", BEFORE, SHOWN));
    }
}
