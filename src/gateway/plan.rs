//! From a request to what the ledger is asked and what goes upstream.

use std::borrow::Cow;

use url::form_urlencoded;

use crate::domain::{
    ledger::{Claim, Need, Worst},
    permission::{Capability, ModelPattern, Provider},
};

use super::{
    cost::{Meterage, Most},
    dialect,
    dialect::{Call, Dialect, Endpoint, Kind, Method},
    failure::Failure,
    multipart::Boundary,
    prices::{AskedTier, PriceBook},
    shown, splice,
    survey::{Survey, survey, survey_form},
    usage::AnswerKind,
};

/// Longest request body. An isolate has 128 MiB for all of its calls, and a body lies there once.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// The most by which [`Plan::edit`] makes a body longer, in bytes.
pub const MAX_EDIT_BYTES: usize = 128;
/// What the bodies of most endpoints are.
const JSON: &str = "application/json";
/// Longest `{model}` in a path, in bytes.
const MAX_PATH_MODEL_BYTES: usize = 128;

/// A call before its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// From the path's first segment.
    pub provider: Provider,
    /// `None`: any other.
    pub method: Option<Method>,
    /// The provider's own path, as it stands in the URL.
    pub path: &'a str,
    /// The query without `?`.
    pub query: Option<&'a str>,
}

/// What a call sends, as far as it decides anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'a> {
    /// Empty for GET.
    pub body: &'a [u8],
    /// `content-type`.
    pub content_type: Option<&'a str>,
}

/// A call to an endpoint that a grant can cover.
#[derive(Debug)]
pub struct Route {
    provider: Provider,
    kind: &'static Kind,
    endpoint: &'static str,
    /// The model in the path.
    model: Option<String>,
    target: String,
}

/// What to do with the provider's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Pass it on as it comes.
    PassOn,
    /// It is a list of models: show those that are granted.
    FilterModels,
}

/// How a call is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the ledger is asked.
    pub claim: Claim,
    /// Path and query at the provider.
    pub target: String,
    /// What the body goes up as: what it was read as, whatever its sender calls it.
    pub content_type: Cow<'static, str>,
    /// What to do with the answer.
    pub response: Response,
    /// Whether the answer was asked for as a stream.
    pub stream: bool,
    /// How what was used becomes what it cost.
    pub meterage: Meterage,
    /// How a stream is asked to say what was used.
    usage_in_stream: UsageInStream,
    /// The name of the maximum of tokens to write, where the body names none.
    maximum: Option<&'static str>,
    /// What decided about the call, and was found in its body.
    surveyed: Option<(&'static Call, Survey)>,
}

/// How a stream is asked to say what was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UsageInStream {
    /// It does without being asked, or it is no stream.
    Unasked,
    /// In its options, which the body doesn't name.
    OptionsMissing,
    /// In its options, which the body names.
    OptionsNamed,
}

/// What was changed in a body before it goes upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The client didn't ask for the usage that the stream will say: it has to be taken out again.
    pub strips_usage: bool,
}

impl Plan {
    /// Changes the body in its place: so that a stream says what was used, and so that no more is written than `output_tokens`, where
    /// the ledger says so. It becomes longer by [`MAX_EDIT_BYTES`] at most.
    ///
    /// # Errors
    /// [`Failure::InvalidRequest`]: the options of the stream are none, or what leaves would decide something else than what came.
    pub fn edit(&self, body: &mut Vec<u8>, output_tokens: Option<u64>) -> Result<Edit, Failure> {
        let asks = match self.usage_in_stream {
            UsageInStream::Unasked => None,
            UsageInStream::OptionsMissing => Some(splice::another(body, "stream_options", r#"{"include_usage":true}"#)),
            UsageInStream::OptionsNamed => splice::asking_for_usage(body)
                .map_err(|_| Failure::InvalidRequest("stream_options can not be read".to_owned()))?,
        };
        let edit = Edit { strips_usage: asks.is_some() };
        let mut is_changed = asks.is_some();
        if let Some(asks) = asks {
            asks.carry_out(body);
        }
        if let (Some(name), Some(most)) = (self.maximum, output_tokens) {
            let set = splice::integer(body, name, most)
                .map_err(|_| Failure::InvalidRequest(format!("{name} can not be set")))?;
            if let Some(set) = set {
                set.carry_out(body);
                is_changed = true;
            }
        }
        if is_changed && !self.is_as_surveyed(body, output_tokens) {
            let reason = "the body can not be changed so that what it costs stays known".to_owned();
            return Err(Failure::InvalidRequest(reason));
        }
        Ok(edit)
    }

    /// Whether a body that was changed decides nothing else than the one that the ledger was asked for: but that a stream says what was
    /// used, and that no more is written than `output_tokens`.
    fn is_as_surveyed(&self, body: &[u8], output_tokens: Option<u64>) -> bool {
        let Some((call, found)) = &self.surveyed else { return false };
        let mut wanted = found.clone();
        wanted.weights.stream_options |= self.usage_in_stream != UsageInStream::Unasked;
        if self.maximum.is_some() {
            wanted.weights.max_output = output_tokens.or(wanted.weights.max_output);
        }
        survey(body, call.rules).is_ok_and(|leaves| leaves == wanted)
    }
}

impl Request<'_> {
    /// Finds the endpoint.
    ///
    /// # Errors
    /// A [`Failure`] when no grant could cover it; then the body need not be read.
    pub fn route(&self) -> Result<Route, Failure> {
        let dialect = dialect(self.provider);
        let (endpoint, model) = self.endpoint(dialect).ok_or_else(|| {
            let covered: Vec<String> = dialect.endpoints.iter().map(ToString::to_string).collect();
            Failure::EndpointNotGranted { covered: covered.join(", ") }
        })?;
        Ok(Route {
            provider: self.provider,
            kind: &endpoint.kind,
            endpoint: endpoint.path,
            model,
            target: self.target(dialect, &endpoint.kind)?,
        })
    }

    /// The endpoint, and the model in its path. Paths are compared as they are: nothing is decoded or normalised, so there is no
    /// second reading of them.
    fn endpoint(&self, dialect: &'static Dialect) -> Option<(&'static Endpoint, Option<String>)> {
        let method = self.method?;
        dialect.endpoints.iter().filter(|endpoint| endpoint.method == method).find_map(|endpoint| {
            match endpoint.path.strip_suffix("{model}") {
                None => (endpoint.path == self.path).then_some((endpoint, None)),
                Some(prefix) => {
                    let model = self.path.strip_prefix(prefix).filter(|model| is_plain_model(model))?;
                    Some((endpoint, Some(model.to_owned())))
                }
            }
        })
    }

    /// Path and query at the provider. Of a question about models a parameter that nobody knows is left out: clients add their version and
    /// the like, and the answer is cut down here anyway. Of a call it could change what is done, so it is refused.
    fn target(&self, dialect: &Dialect, kind: &Kind) -> Result<String, Failure> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(self.query.unwrap_or_default().as_bytes()) {
            if !dialect.query.contains(&name.as_ref()) {
                if matches!(kind, Kind::Models) {
                    continue;
                }
                return Err(Failure::InvalidRequest(format!("unknown query parameter {:?}", shown(&name))));
            }
            query.append_pair(&name, &value);
        }
        let query = query.finish();
        Ok(if query.is_empty() { self.path.to_owned() } else { format!("{}?{query}", self.path) })
    }
}

impl Route {
    /// Makes the plan of a call that sends this.
    ///
    /// # Errors
    /// A [`Failure`] when the body can't be read, or asks for what no grant could cover. Costs nothing and counts against nothing.
    pub fn plan(self, sent: Sent<'_>, prices: &PriceBook) -> Result<Plan, Failure> {
        let (provider, endpoint, target) = (self.provider, self.endpoint.to_owned(), self.target);
        match self.kind {
            Kind::Models => {
                let response = if self.model.is_some() { Response::PassOn } else { Response::FilterModels };
                let need = Need::Models { model: self.model };
                Ok(Plan {
                    claim: Claim { provider, need, endpoint, worst: Worst::Free },
                    target,
                    content_type: Cow::Borrowed(JSON),
                    response,
                    stream: false,
                    meterage: Meterage {
                        provider,
                        answer: AnswerKind::Free,
                        models: Vec::new(),
                        bound: None,
                        searches: 0,
                        runs_tools: false,
                        characters: None,
                        tier: AskedTier::Unsaid,
                        most: Most::default(),
                    },
                    usage_in_stream: UsageInStream::Unasked,
                    maximum: None,
                    surveyed: None,
                })
            }
            Kind::Call(call) => {
                let (found, content_type) = call.survey(sent).map_err(Failure::InvalidRequest)?;
                if let Some((field, reason)) = found.refused {
                    return Err(Failure::FieldNotAllowed { field, reason });
                }
                if found.too_many_models {
                    return Err(Failure::TooManyModels);
                }
                let (models, capabilities) = needs(call, &found)?;
                let mut meterage = Meterage {
                    provider,
                    answer: call.answer,
                    models: models.clone(),
                    bound: None,
                    searches: 0,
                    runs_tools: false,
                    characters: found.weights.characters,
                    tier: AskedTier::Unsaid,
                    most: Most::default(),
                };
                let worst = meterage.weigh(prices, &found, &capabilities, sent.body.len());
                let need = Need::Model { models, capabilities };
                let usage_in_stream = match call.answer {
                    AnswerKind::Chat if found.stream && found.weights.stream_options => UsageInStream::OptionsNamed,
                    AnswerKind::Chat if found.stream => UsageInStream::OptionsMissing,
                    _ => UsageInStream::Unasked,
                };
                let maximum = call.maximum.filter(|_| found.weights.max_output.is_none());
                Ok(Plan {
                    claim: Claim { provider, need, endpoint, worst },
                    target,
                    content_type,
                    response: Response::PassOn,
                    stream: found.stream,
                    meterage,
                    usage_in_stream,
                    maximum,
                    surveyed: Some((call, found)),
                })
            }
        }
    }
}

impl Call {
    /// What decides in a body, and what it goes up as.
    fn survey(&self, sent: Sent<'_>) -> Result<(Survey, Cow<'static, str>), String> {
        if self.is_form {
            let boundary = Boundary::of(sent.content_type)?;
            return Ok((survey_form(sent.body, &boundary, self.rules)?, Cow::Owned(boundary.content_type())));
        }
        Ok((survey(sent.body, self.rules)?, Cow::Borrowed(JSON)))
    }
}

fn is_plain_model(model: &str) -> bool {
    (1..=MAX_PATH_MODEL_BYTES).contains(&model.len())
        && model.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
        && !model.bytes().all(|byte| byte == b'.')
}

/// Every model that the call can dispatch, and what it needs to be allowed.
fn needs(call: &Call, found: &Survey) -> Result<(Vec<String>, Vec<Capability>), Failure> {
    let model = found.model.clone().or_else(|| call.default_model.map(str::to_owned)).ok_or_else(|| {
        Failure::InvalidRequest("model is missing; name the model, it decides whether the call is covered".to_owned())
    })?;
    let mut models = vec![model];
    models.extend(found.nested_models.iter().cloned());
    models.dedup();
    let mut capabilities = vec![call.capability];
    let brings_tool = models.iter().any(|model| (call.model_brings_tool)(model));
    let brought = if brings_tool { &[Capability::ServerTools][..] } else { &[] };
    for needed in brought.iter().chain(&found.capabilities) {
        if !capabilities.contains(needed) {
            capabilities.push(*needed);
        }
    }
    Ok((models, capabilities))
}

/// A list of models as the provider sent it, cut down to those that `granted` names. `None` when it isn't such a list.
#[must_use]
pub fn filter_models(list: &[u8], granted: &[ModelPattern]) -> Option<Vec<u8>> {
    let mut list: serde_json::Value = serde_json::from_slice(list).ok()?;
    let models = list.get_mut("data")?.as_array_mut()?;
    models.retain(|model| {
        let id = model.get("id").and_then(serde_json::Value::as_str);
        id.is_some_and(|id| granted.iter().any(|pattern| pattern.matches(id)))
    });
    serde_json::to_vec(&list).ok()
}

#[cfg(test)]
mod tests;
