//! Whose passkey has just signed.
//!
//! A passkey that nobody knows, one that was removed, and one whose signature is wrong are answered alike: the same two questions to the
//! store, the same check of a signature, the same page.

use axum::{
    body::Body,
    http::{Response, StatusCode},
    response::IntoResponse,
};

use super::{super::ports::UsedIds, party};
use crate::{
    domain::{
        audit::{Entry, Event},
        id::PasskeyId,
        time::Timestamp,
        webauthn::{
            CeremonyError,
            assertion::{Assertion, AssertionError, Remembered, Verified},
            challenge::{self, ChallengeError, Use},
        },
    },
    web::{
        audit,
        frame::Frame,
        language::Text,
        ports::{PasskeyRow, PasskeyUse, Passkeys, Ports, Signatures, StoreError, Write},
        state::{AppState, Config},
        trouble::Trouble,
    },
};

/// The passkey that signed; its owner is there.
#[derive(Debug)]
pub struct Signed {
    /// As it was when it was checked.
    pub passkey: PasskeyRow,
    verified: Verified,
}

impl Signed {
    /// What the store notes of it.
    #[must_use]
    pub const fn used(&self) -> PasskeyUse<'_> {
        let id: &PasskeyId = &self.passkey.id;
        PasskeyUse { id, seen_count: self.passkey.sign_count, sign_count: self.verified.sign_count }
    }
}

/// Why nobody's passkey signed.
#[derive(Debug)]
pub enum Refused {
    /// It may have been copied. Whoever learns this holds it or its copy.
    MayBeCopied(Box<PasskeyRow>),
    /// Anything else; the text is for the log.
    Not(String),
    /// The store can't answer.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CeremonyError> for Refused {
    fn from(error: CeremonyError) -> Self {
        Self::Not(format!("passkey: {error}"))
    }
}

impl From<ChallengeError> for Refused {
    fn from(error: ChallengeError) -> Self {
        Self::Not(format!("passkey: {error}"))
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::MayBeCopied(_) => Self::new(
                StatusCode::FORBIDDEN,
                "This passkey may have been copied",
                Text::new(
                    "It has counted fewer uses than this broker saw, so somebody else may hold a copy. It was not accepted. Sign \
                     in with another passkey or a recovery code, then remove this one.",
                ),
            ),
            Refused::Not(detail) => Self::new(
                StatusCode::BAD_REQUEST,
                "This passkey was not accepted",
                Text::new(
                    "It was removed, belongs to another broker, or five minutes passed before you used it. Try again, or use \
                     another way.",
                ),
            )
            .with_detail(detail),
            Refused::Store(error) => return error.into(),
        }
        .with_way_on("/sign-in", "Ways to sign in")
    }
}

/// Says on a page that a passkey may have been copied, and notes it where its owner finds it, whoever used it.
pub async fn may_be_copied<P: Ports>(state: &AppState<P>, frame: &Frame, passkey: Box<PasskeyRow>) -> Response<Body> {
    let entry = Entry::new(Event::PasskeyRefused, passkey.user.clone(), state.now).subject(&passkey.name);
    let answer = Trouble::from(Refused::MayBeCopied(passkey)).into_response();
    audit::note(state, frame, entry, answer).await
}

/// Checks a browser's answer, uses its challenge up, and finds the passkey that signed it. Whose that is whoever confirms has to hold
/// against who they were known to be: the answer need not say it.
///
/// # Errors
/// [`Refused`].
pub async fn owner<P: Passkeys + UsedIds + Signatures>(
    ports: &P,
    config: &Config,
    answer: &str,
    used_for: Use<'_>,
    now: Timestamp,
) -> Result<Signed, Refused> {
    let assertion = Assertion::parse(answer, &party(config))?;
    let challenge = challenge::verify(&config.cookie_key, used_for, assertion.challenge(), now)?;
    if ports.use_id(&challenge.id, challenge.expires_at).await? == Write::Lost {
        return Err(Refused::Not("passkey: the challenge was used before".to_owned()));
    }
    let Some(passkey) = ports.find_passkey(assertion.credential_id()).await? else {
        assertion.verify_nothing();
        return Err(Refused::Not("passkey: not known".to_owned()));
    };
    let remembered = Remembered {
        user_handle: passkey.user.as_str().as_bytes(),
        is_known: matches!(used_for, Use::Confirm(_)),
        key: &passkey.key,
        sign_count: passkey.sign_count,
        backup_eligible: passkey.backup_eligible,
    };
    let platform = match assertion.to_ask(&passkey.key) {
        Some(to_check) => ports.verify_signature(&to_check).await.ok(),
        None => None,
    };
    match assertion.verify(&remembered, platform.as_ref()) {
        Ok(verified) => Ok(Signed { passkey, verified }),
        Err(AssertionError::MayBeCopied) => Err(Refused::MayBeCopied(Box::new(passkey))),
        Err(error) => Err(Refused::Not(format!("passkey: {error}"))),
    }
}

#[cfg(test)]
mod tests;
