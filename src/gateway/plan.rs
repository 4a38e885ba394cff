//! From a request to what the ledger is asked and what goes upstream.

use std::borrow::Cow;

use url::form_urlencoded;

use crate::domain::{
    ledger::{Claim, Need, Worst},
    permission::{Capability, ModelPattern, Provider},
};

use super::{
    cost::Meterage,
    dialect,
    dialect::{Call, Dialect, Endpoint, Kind, Method},
    failure::Failure,
    multipart::Boundary,
    prices::{AskedTier, PriceBook},
    splice,
    survey::{Survey, survey, survey_form},
    usage::AnswerKind,
};

/// Longest request body.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
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
    /// `anthropic-beta`.
    pub betas: Option<&'a str>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What has to be changed in a body before it goes upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The body to send; `None`: as it came.
    pub body: Option<Vec<u8>>,
    /// The client didn't ask for the usage that the stream will say: it has to be taken out again.
    pub strips_usage: bool,
}

impl Plan {
    /// What to change in the body: so that a stream says what was used, and so that no more is written than `output_tokens`, where
    /// the ledger says so.
    ///
    /// # Errors
    /// [`Failure::InvalidRequest`]: the options of the stream are none.
    pub fn edit(&self, body: &[u8], output_tokens: Option<u64>) -> Result<Edit, Failure> {
        let mut edit = match self.usage_in_stream {
            UsageInStream::Unasked => Edit::default(),
            UsageInStream::OptionsMissing => Edit {
                body: Some(splice::with_another(body, "stream_options", r#"{"include_usage":true}"#)),
                strips_usage: true,
            },
            UsageInStream::OptionsNamed => {
                let body = splice::with_usage_asked_for(body)
                    .map_err(|_| Failure::InvalidRequest("stream_options can not be read".to_owned()))?;
                Edit { strips_usage: body.is_some(), body }
            }
        };
        if let (Some(name), Some(most)) = (self.maximum, output_tokens) {
            let body = edit.body.as_deref().unwrap_or(body);
            let set = splice::with_integer(body, name, most)
                .map_err(|_| Failure::InvalidRequest(format!("{name} can not be set")))?;
            edit.body = set.or(edit.body);
        }
        Ok(edit)
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
            target: self.target(dialect)?,
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

    fn target(&self, dialect: &Dialect) -> Result<String, Failure> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(self.query.unwrap_or_default().as_bytes()) {
            if !dialect.query.contains(&name.as_ref()) {
                let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
                return Err(Failure::InvalidRequest(format!("unknown query parameter {name:?}")));
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
                    },
                    usage_in_stream: UsageInStream::Unasked,
                    maximum: None,
                })
            }
            Kind::Call(call) => {
                let (found, content_type) = call.survey(sent).map_err(Failure::InvalidRequest)?;
                if let Some((field, reason)) = found.refused {
                    return Err(Failure::FieldNotAllowed { field, reason });
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
                };
                let worst = meterage.weigh(prices, &found, &capabilities, sent.body.len(), sent.betas);
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn post(provider: Provider, path: &str, body: &str) -> Result<Plan, Failure> {
        let sent = Sent { body: body.as_bytes(), ..Sent::default() };
        Request { provider, method: Some(Method::Post), path, query: None }.route()?.plan(sent, &PriceBook::built_in())
    }

    fn get(provider: Provider, path: &str, query: Option<&str>) -> Result<Plan, Failure> {
        Request { provider, method: Some(Method::Get), path, query }
            .route()?
            .plan(Sent::default(), &PriceBook::built_in())
    }

    fn chat(body: &str) -> Result<Plan, Failure> {
        post(Provider::OpenAi, "/v1/chat/completions", body)
    }

    fn responses(body: &str) -> Result<Plan, Failure> {
        post(Provider::OpenAi, "/v1/responses", body)
    }

    fn messages(body: &str) -> Result<Plan, Failure> {
        post(Provider::Anthropic, "/v1/messages", body)
    }

    fn need(plan: Result<Plan, Failure>) -> (Vec<String>, Vec<Capability>) {
        match plan.unwrap().claim.need {
            Need::Model { models, capabilities } => (models, capabilities),
            Need::Models { .. } => panic!("not a call"),
        }
    }

    #[test]
    fn a_chat_needs_its_model_and_chat() {
        let plan = chat(r#"{"model":"gpt-5-mini","stream":true,"messages":[]}"#);
        assert!(plan.as_ref().unwrap().stream);
        assert_eq!(need(plan), (vec!["gpt-5-mini".to_owned()], vec![Capability::Chat]));
    }

    #[test]
    fn options_of_a_stream_that_say_nothing_are_set_where_they_stand() {
        let edited = |options: &str| {
            let body = format!(r#"{{"model":"m","stream":true,"stream_options":{options}}}"#);
            let edit = chat(&body).unwrap().edit(body.as_bytes(), None);
            edit.map(|edit| String::from_utf8(edit.body.unwrap()).unwrap())
        };
        let expected = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(edited("null").unwrap(), expected);
        for options in ["false", "[]", "\"\""] {
            assert!(matches!(edited(options), Err(Failure::InvalidRequest(_))), "{options}");
        }
    }

    #[test]
    fn a_call_without_a_model_is_refused() {
        assert!(matches!(chat("{}"), Err(Failure::InvalidRequest(_))));
        assert!(matches!(messages("{}"), Err(Failure::InvalidRequest(_))));
    }

    #[test]
    fn moderations_take_the_documented_default_model() {
        let plan = post(Provider::OpenAi, "/v1/moderations", r#"{"input":"x"}"#);
        assert_eq!(need(plan), (vec!["omni-moderation-latest".to_owned()], vec![Capability::Moderation]));
    }

    #[test]
    fn functions_are_not_server_tools() {
        let plan = chat(r#"{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{}}}]}"#);
        assert_eq!(need(plan).1, [Capability::Chat]);
        let plan = messages(
            r#"{"model":"m","tools":[{"name":"f","input_schema":{}},{"type":"bash_20250124","name":"bash"}]}"#,
        );
        assert_eq!(need(plan).1, [Capability::Chat]);
    }

    #[test]
    fn tools_that_run_at_the_provider_take_server_tools() {
        for plan in [
            responses(r#"{"model":"m","tools":[{"type":"web_search"}]}"#),
            responses(r#"{"model":"m","input":[{"type":"additional_tools","tools":[{"type":"mcp"}]}]}"#),
            responses(r#"{"model":"m","tools":[{"type":"not_known_yet"}]}"#),
            chat(r#"{"model":"m","web_search_options":{"user_location":null}}"#),
            chat(r#"{"model":"m","web_search_options":{}}"#),
            chat(r#"{"model":"gpt-4o-search-preview"}"#),
            messages(r#"{"model":"m","tools":[{"type":"web_search_20260318","name":"web_search"}]}"#),
            messages(r#"{"model":"m","mcp_servers":[{"url":"https://x.example"}]}"#),
            messages(
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"type":"web_search_20260318","name":"web_search"}}}]}]}"#,
            ),
            chat(r#"{"model":"gpt-6-search"}"#),
        ] {
            assert!(need(plan).1.contains(&Capability::ServerTools));
        }
    }

    #[test]
    fn every_model_that_can_be_dispatched_is_claimed() {
        let plan =
            messages(r#"{"model":"a","fallbacks":[{"model":"b"}],"tools":[{"type":"advisor_20260301","model":"c"}]}"#);
        assert_eq!(need(plan).0, ["a", "b", "c"]);
    }

    #[test]
    fn what_reaches_data_of_other_apps_is_refused() {
        for plan in [
            responses(r#"{"model":"m","previous_response_id":"resp_1"}"#),
            responses(r#"{"model":"m","conversation":"conv_1"}"#),
            responses(r#"{"model":"m","prompt":{"id":"pmpt_1"}}"#),
            responses(r#"{"model":"m","background":true}"#),
            responses(r#"{"model":"m","store":true}"#),
            responses(r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}"#),
            responses(
                r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"file_1"}]}]}"#,
            ),
            responses(r#"{"model":"m","tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#),
            chat(
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file_1"}}]}]}"#,
            ),
            messages(
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#,
            ),
            messages(r#"{"model":"m","container":"container_1"}"#),
            messages(r#"{"model":"m","thread":{"type":"continue","previous_message_id":"msg_1"}}"#),
            messages(r#"{"model":"m","thread":{"type":"create"}}"#),
            messages(r#"{"model":"m","diagnostics":{"previous_message_id":"msg_1"}}"#),
            responses(r#"{"model":"m","input":[{"id":"msg_1"}]}"#),
            responses(r#"{"model":"m","input":[{"id":"msg_1","type":null}]}"#),
            responses(r#"{"model":"m","tools":[{"type":"code_interpreter","container":"cntr_1"}]}"#),
            responses(r#"{"model":"m","tools":[{"type":"mcp","tunnel_id":"t"}]}"#),
            responses(r#"{"model":"m","prompt_cache_options":{"comparison_response_id":"resp_1"}}"#),
            chat(r#"{"model":"m","messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#),
        ] {
            assert!(matches!(plan, Err(Failure::FieldNotAllowed { .. })), "{plan:?}");
        }
    }

    #[test]
    fn a_model_that_the_provider_would_choose_is_refused() {
        for plan in [
            messages(r#"{"model":"m","fallbacks":"default"}"#),
            responses(r#"{"model":"m","tools":[{"type":"image_generation"}]}"#),
        ] {
            assert!(matches!(plan, Err(Failure::FieldNotAllowed { .. })), "{plan:?}");
        }
    }

    #[test]
    fn a_tool_that_makes_images_takes_images_and_its_model() {
        let plan = responses(r#"{"model":"m","tools":[{"type":"image_generation","model":"gpt-image-1"}]}"#);
        let (models, capabilities) = need(plan);
        assert_eq!(models, ["m", "gpt-image-1"]);
        assert_eq!(capabilities, [Capability::Chat, Capability::ServerTools, Capability::Images]);
    }

    #[test]
    fn what_a_conversation_says_of_itself_is_allowed() {
        for plan in [
            responses(
                r#"{"model":"m","input":[{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},
                {"type":"function_call_output","call_id":"c","output":"x"},{"id":"msg_1","role":"user","content":"x"},
                {"type":"computer_call_output","call_id":"c","acknowledged_safety_checks":[{"id":"sc_1"}],"output":{"type":"computer_screenshot"}}]}"#,
            ),
            chat(
                r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f"}}]},
                {"role":"tool","tool_call_id":"c","content":"x"}]}"#,
            ),
            messages(
                r#"{"model":"m","metadata":{"user_id":"u"},"messages":[{"role":"user","content":[{"type":"tool_result",
                "tool_use_id":"t","content":"x"}]}]}"#,
            ),
        ] {
            assert!(plan.is_ok(), "{plan:?}");
        }
    }

    #[test]
    fn storing_nothing_is_allowed() {
        assert!(responses(r#"{"model":"m","store":false,"previous_response_id":null,"background":false}"#).is_ok());
    }

    #[test]
    fn a_tool_result_is_the_callers_own_data() {
        let body = r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"read",
            "input":{"file_id":"mine","model":"mine"}}]}]}"#;
        assert_eq!(need(messages(body)).0, ["m"]);
    }

    #[test]
    fn other_endpoints_are_refused() {
        for path in [
            "/v1/files",
            "/v1/batches",
            "/v1/fine_tuning/jobs",
            "/v1/responses/resp_1",
            "/v1/realtime/client_secrets",
            "/v1/assistants",
            "/v1/chat/completions/",
            "/v1//chat/completions",
            "/v1/chat/completions/x",
            "/v1/./models",
            "/v1/models/..%2ffiles",
            "/v1/models/a/b",
            "/v1/models/..",
            "/V1/chat/completions",
            "",
            "/",
        ] {
            assert!(matches!(post(Provider::OpenAi, path, "{}"), Err(Failure::EndpointNotGranted { .. })), "{path}");
            assert!(matches!(get(Provider::OpenAi, path, None), Err(Failure::EndpointNotGranted { .. })), "{path}");
        }
        let delete = Request { provider: Provider::OpenAi, method: None, path: "/v1/models/m", query: None };
        assert!(matches!(delete.route(), Err(Failure::EndpointNotGranted { .. })));
    }

    #[test]
    fn a_model_in_the_path_is_the_one_that_is_checked() {
        let plan = get(Provider::OpenAi, "/v1/models/ft:gpt-4o:org::id", None).unwrap();
        assert_eq!(plan.claim.need, Need::Models { model: Some("ft:gpt-4o:org::id".to_owned()) });
    }

    #[test]
    fn an_unknown_query_parameter_is_refused() {
        assert!(matches!(get(Provider::OpenAi, "/v1/models", Some("model=x")), Err(Failure::InvalidRequest(_))));
        assert_eq!(get(Provider::Anthropic, "/v1/models", Some("limit=5")).unwrap().target, "/v1/models?limit=5");
    }

    #[test]
    fn a_list_of_models_is_cut_down_to_the_granted_ones() {
        let list = br#"{"object":"list","data":[{"id":"gpt-5"},{"id":"gpt-4"},{"noid":1}],"has_more":false}"#;
        let cut = filter_models(list, &["gpt-5*".parse().unwrap()]).unwrap();
        let cut: serde_json::Value = serde_json::from_slice(&cut).unwrap();
        assert_eq!(cut, serde_json::json!({"object":"list","data":[{"id":"gpt-5"}],"has_more":false}));
    }

    proptest! {
        #[test]
        fn no_request_makes_it_panic(path in ".{0,60}", query in ".{0,60}", body in ".{0,200}") {
            let _ = get(Provider::Anthropic, &path, Some(&query));
            let _ = post(Provider::OpenAi, &path, &body);
            let _ = chat(&body);
        }
    }
}
