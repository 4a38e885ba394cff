//! What the broker has to know about one provider's API. `openai` and `anthropic` each fill one in.

use std::fmt;

use crate::domain::permission::Capability;

use super::{failure::Failure, prices::ToolKind, survey::Rules, usage::AnswerKind};

/// A provider's API.
#[derive(Debug)]
pub struct Dialect {
    /// Where its API lives unless the operator says otherwise: an origin.
    pub origin: &'static str,
    /// Whether the provider has further hosts, each for one region, where calls cost what [`super::prices`] has for that.
    pub has_regional_hosts: bool,
    /// The header that carries the provider key, and what stands before the key in it.
    pub key_header: (&'static str, &'static str),
    /// Headers to send when the client did not.
    pub default_headers: &'static [(&'static str, &'static str)],
    /// The endpoints that a grant can cover.
    pub(super) endpoints: &'static [Endpoint],
    /// What a tool that runs at the provider is, by the `type` that a request names it by. A version that isn't known here is no tool of
    /// a kind that has a price: what a new one does nobody here knows.
    pub(super) server_tool: fn(&str) -> Option<ToolKind>,
    /// How often the model reads the conversation at most in one request in which tools run at the provider. `None`: as often as tools
    /// run, and once more.
    pub(super) most_rounds: Option<u64>,
    /// Query parameters that pass. What becomes of others depends on the endpoint.
    pub(super) query: &'static [&'static str],
    /// The body of a failure in this provider's shape, for the request of this id.
    pub error_body: fn(&Failure, request_id: &str) -> serde_json::Value,
}

/// The methods that the endpoints use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// The provider's own path; `{model}` stands for one segment.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        write!(f, "{method} {}", self.path)
    }
}

/// What an endpoint does.
#[derive(Debug)]
pub(super) enum Kind {
    /// Runs a model that the body names.
    Call(Call),
    /// Lists models, or shows one.
    Models,
}

/// An endpoint that runs a model.
#[derive(Debug)]
pub(super) struct Call {
    /// What it takes in any case.
    pub(super) capability: Capability,
    /// What in its body decides.
    pub(super) rules: &'static Rules,
    /// The model that the provider takes when the body names none, where it documents one.
    pub(super) default_model: Option<&'static str>,
    /// Whether the model itself brings a server tool along.
    pub(super) model_brings_tool: fn(&str) -> bool,
    /// The name of the maximum of tokens to write, where it may be left out.
    pub(super) maximum: Option<&'static str>,
    /// Whether its body is a form with files, and not JSON.
    pub(super) is_form: bool,
    /// What says in its answer what was used.
    pub(super) answer: AnswerKind,
}

pub(super) const fn no_tool(_: &str) -> bool {
    false
}
