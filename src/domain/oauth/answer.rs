//! Answers to apps, on their way through the person's browser (RFC 6749 §4.1.2).

use serde::{Deserialize, Serialize};

use super::{error::RedirectReason, redirect_uri::with_parameters};

/// How an answer reaches the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    #[default]
    Query,
    /// In a form that the browser posts there (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

impl ResponseMode {
    /// Every one, by the name in the request.
    pub const ALL: [(&'static str, Self); 2] = [("query", Self::Query), ("form_post", Self::FormPost)];
}

/// An answer on its way to an app: its parameters, and how they travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where to.
    pub redirect_uri: String,
    /// How.
    pub response_mode: ResponseMode,
    /// What, in order.
    pub parameters: Vec<(&'static str, String)>,
}

impl Answer {
    /// The address of the app with the answer in it, for [`ResponseMode::Query`].
    #[must_use]
    pub fn location(&self) -> String {
        let parameters: Vec<_> = self.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        with_parameters(&self.redirect_uri, &parameters)
    }
}

/// The parameters of an error (RFC 6749 §4.1.2.1).
pub(super) fn error_parameters(reason: &RedirectReason) -> Vec<(&'static str, String)> {
    vec![("error", reason.code().as_str().to_owned()), ("error_description", reason.description())]
}

/// An answer with `state` and `iss` (RFC 9207) after its own parameters.
pub(super) fn answer(
    redirect_uri: &str,
    response_mode: ResponseMode,
    state: Option<&str>,
    issuer: &str,
    mut parameters: Vec<(&'static str, String)>,
) -> Answer {
    if let Some(state) = state {
        parameters.push(("state", state.to_owned()));
    }
    parameters.push(("iss", issuer.to_owned()));
    Answer { redirect_uri: redirect_uri.to_owned(), response_mode, parameters }
}
