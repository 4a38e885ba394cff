//! The audit log: who did what to whose account, from where. Entries are written after the fact and never changed.

use super::{
    id::{GrantId, UserId},
    time::Timestamp,
};

/// Most characters of a subject or a detail.
pub const MAX_AUDIT_CHARS: usize = 500;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $stored:literal,)*) => {
        /// What happened. Stored by name: names never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name,)*
        }

        impl Event {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it is stored.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $stored,)*
                }
            }
        }
    };
}

events! {
    /// Somebody signed in; the detail says how.
    SignedIn = "signed_in",
    /// Somebody signed out.
    SignedOut = "signed_out",
    /// An app was allowed.
    GrantAllowed = "grant_allowed",
    /// An app was denied.
    GrantDenied = "grant_denied",
    /// Limits of a grant were changed.
    LimitsChanged = "limits_changed",
    /// A grant was paused.
    GrantPaused = "grant_paused",
    /// A grant was resumed.
    GrantResumed = "grant_resumed",
    /// A grant was given another end.
    GrantExtended = "grant_extended",
    /// A grant was taken back.
    GrantRevoked = "grant_revoked",
    /// An app was registered.
    AppRegistered = "app_registered",
    /// An app was deleted.
    AppDeleted = "app_deleted",
    /// A passkey was added.
    PasskeyAdded = "passkey_added",
    /// A passkey was given another name.
    PasskeyRenamed = "passkey_renamed",
    /// A passkey was removed.
    PasskeyRemoved = "passkey_removed",
    /// A passkey was used whose sign count went back: somebody may have a copy. Nobody was signed in.
    PasskeyRefused = "passkey_refused",
    /// New recovery codes were made; the old ones are worth nothing.
    RecoveryCodesMade = "recovery_codes_made",
    /// A session was ended from another one.
    SessionEnded = "session_ended",
    /// All other sessions were ended.
    OtherSessionsEnded = "other_sessions_ended",
    /// Somebody was invited.
    MemberInvited = "member_invited",
    /// An invitation was taken back.
    InvitationRevoked = "invitation_revoked",
    /// An invitation was accepted: the account began.
    InvitationAccepted = "invitation_accepted",
    /// A narrower token of a grant was ended.
    DelegationRevoked = "delegation_revoked",
    /// A webhook was set up, or sent elsewhere.
    WebhookSet = "webhook_set",
    /// A webhook was given another secret.
    WebhookSecretRenewed = "webhook_secret_renewed",
    /// A webhook was turned off.
    WebhookRemoved = "webhook_removed",
    /// What members may hand on was changed; the detail says to what.
    PolicyChanged = "policy_changed",
    /// A member was removed.
    MemberRemoved = "member_removed",
}

impl Event {
    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.as_str() == text)
    }
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at a browser: whose account it is, or an operator.
    Person,
    /// The app that has the grant.
    App,
    /// The broker itself.
    Broker,
}

impl Actor {
    const ALL: [Self; 3] = [Self::Person, Self::App, Self::Broker];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::App => "app",
            Self::Broker => "broker",
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|actor| actor.as_str() == text)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Whose account it is about.
    pub user: UserId,
    /// Who did it.
    pub actor: Actor,
    /// What.
    pub event: Event,
    /// To which grant, if to one.
    pub grant: Option<GrantId>,
    /// What it was done to, as it was called then.
    pub subject: String,
    /// What changed, for people.
    pub detail: String,
    /// From which IP address; empty where nobody knows.
    pub address: String,
    /// With which browser or program, as it calls itself.
    pub agent: String,
}

impl Entry {
    /// Something that happened to an account.
    #[must_use]
    pub const fn new(event: Event, user: UserId, at: Timestamp) -> Self {
        Self {
            at,
            user,
            actor: Actor::Person,
            event,
            grant: None,
            subject: String::new(),
            detail: String::new(),
            address: String::new(),
            agent: String::new(),
        }
    }

    /// To this grant.
    #[must_use]
    pub fn grant(mut self, id: &GrantId) -> Self {
        self.grant = Some(id.clone());
        self
    }

    /// To what is called this.
    #[must_use]
    pub fn subject(mut self, name: &str) -> Self {
        self.subject = cut(name);
        self
    }

    /// With this to say.
    #[must_use]
    pub fn detail(mut self, text: &str) -> Self {
        self.detail = cut(text);
        self
    }

    /// Not by a person.
    #[must_use]
    pub const fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_AUDIT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_event_is_read_as_it_was_stored_and_no_two_are_stored_alike() {
        let stored: BTreeSet<&str> = Event::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(stored.len(), Event::ALL.len());
        for event in Event::ALL {
            assert_eq!(Event::from_stored(event.as_str()), Some(*event));
        }
    }
}
