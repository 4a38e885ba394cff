//! Whether what a person is about to allow takes a proof that it is them: [`domain::risk`](crate::domain::risk) decides, and here it is
//! asked, by every way to the same effect.
//!
//! A handler that allows something says what comes of it at worst, before anything is written:
//!
//! ```ignore
//! if let Some(risk) = proof::may_allow(&state, &visitor, deed, &case).await? {
//!     return Ok(proof::ask(&frame, path, &params, &risk));
//! }
//! ```
//!
//! What has no bound that could be added up (a policy, an invitation, a webhook) takes a proof always: `confirm::is_recent`.

use axum::{body::Body, http::Response};

use super::{
    confirm, format,
    frame::Frame,
    language::{Language, Text},
    ports::{Certainty, Ports, StoreError, Write},
    state::AppState,
    visitor::Visitor,
};
use crate::domain::{
    money::NanoUsd,
    oauth::{params::Params, redirect_uri::Destination},
    risk::{Risk, WorstCase, judge},
};

const DAY_SECONDS: u64 = 86_400;

/// Whether the person may allow this now; then it is noted. `Some`: why it takes a proof first. `deed` names what is allowed: the same one
/// counts once, however often its form is sent.
///
/// # Errors
/// The database can't answer.
pub async fn may_allow<P: Ports>(
    state: &AppState<P>,
    visitor: &Visitor,
    deed: &str,
    case: &WorstCase,
) -> Result<Option<Risk>, StoreError> {
    let (user, now) = (&visitor.user.id, state.now);
    if confirm::is_recent(visitor, now) {
        return state.ports.note_allowed(user, deed, case, Certainty::Proven, now).await.map(|_| None);
    }
    let history = state.ports.find_history(user, deed, case, now).await?;
    let most = match judge(case, &history, &state.config.unasked) {
        Ok(most) => most,
        Err(risk) => return Ok(Some(risk)),
    };
    match state.ports.note_allowed(user, deed, case, Certainty::Unproven { most }, now).await? {
        Write::Won => Ok(None),
        // Something else was allowed at the same moment.
        Write::Lost => {
            let together = history.unproven.plus(case.money.unwrap_or(NanoUsd::MAX));
            Ok(Some(Risk::Money { together, most }))
        }
    }
}

/// The page that asks for the proof, and says why. `action` is the path of the form that was interrupted, `params` are its fields.
#[must_use]
pub fn ask(frame: &Frame, action: &str, params: &Params, risk: &Risk) -> Response<Body> {
    confirm::ask_since(frame, action, params, Some(why(risk, frame.language)))
}

fn why(risk: &Risk, language: Language) -> Text {
    match risk {
        Risk::MoneyOpen => Text::new("It would allow money without a limit."),
        Risk::Money { together, most } => Text::new(
            "Together with what you allowed in the last 24 hours without being asked, it can cost {0} USD. Up to {1} USD go without \
             this question.",
        )
        .with(format::usd(*together, format::Round::Up))
        .with(format::usd(*most, format::Round::Down)),
        Risk::Time { most: DAY_SECONDS } => Text::new("It would last longer than a day."),
        Risk::Time { most } => Text::new("It would last longer than {0} days.").with((most / DAY_SECONDS).to_string()),
        Risk::Uses(uses) => {
            let named = uses.iter().map(|(provider, capability)| {
                format!("{} ({})", language.t(format::label(*capability)), provider.display_name())
            });
            Text::new("You have never allowed this before: {0}.").with(named.collect::<Vec<_>>().join(", "))
        }
        Risk::Destination(Destination::ThisDevice) => {
            Text::new("You have never allowed a program on your own computer before.")
        }
        Risk::Destination(destination @ (Destination::Site(_) | Destination::InstalledApp(_))) => {
            Text::new("You have never allowed an app before whose answer goes to {0}.").with(destination.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
