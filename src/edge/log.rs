//! One JSON line per request, written once, at the boundary.
//!
//! Never in it: tokens, keys, cookies, queries, bodies. What a caller sent appears only where it has been parsed into a type.

use std::collections::BTreeMap;

use serde::Serialize;

use super::d1::housekeeping::Swept;
use crate::domain::{
    id::{ClientId, GrantId},
    permission::Provider,
};

/// What is worth knowing about a request afterwards.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// The answer's `aipassport-request-id`, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The answer's status.
    pub status: u16,
    /// Milliseconds until the answer began.
    pub ms: u64,
    /// Whose call it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
    /// Which app's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// The provider's own name for the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    /// What refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// What the wire must not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Longest text that a stranger chose, in characters.
const MAX_FOREIGN_CHARS: usize = 200;

/// A text that a stranger chose, cut to a length that a log can bear.
#[must_use]
pub fn cut(text: &str) -> String {
    text.chars().take(MAX_FOREIGN_CHARS).collect()
}

/// Writes the line.
pub fn write(entry: &Entry) {
    if let Ok(line) = serde_json::to_string(entry) {
        worker::console_log!("{line}");
    }
}

/// A run of the clean-up: how many rows of each kind went, and what failed. A number that is 0 is left out.
pub fn swept(swept: &[Swept], ms: u64) {
    let deleted: BTreeMap<_, _> = swept
        .iter()
        .filter_map(|(name, result)| result.as_ref().ok().filter(|count| **count > 0).map(|count| (*name, *count)))
        .collect();
    let failed: BTreeMap<_, _> =
        swept.iter().filter_map(|(name, result)| result.as_ref().err().map(|error| (*name, cut(&error.0)))).collect();
    if failed.is_empty() {
        worker::console_log!("{}", serde_json::json!({ "housekeeping": deleted, "ms": ms }));
    } else {
        worker::console_error!("{}", serde_json::json!({ "housekeeping": deleted, "failed": failed, "ms": ms }));
    }
}

/// Something failed that no request waits for.
pub fn failure(what: &str, detail: &str) {
    worker::console_error!("{}", serde_json::json!({ "failure": what, "detail": cut(detail) }));
}
