//! From a request to the most that it can cost, and from an answer to what it did cost.

use std::borrow::Cow;

use super::{
    prices::{Answer, Ask, AskedTier, CacheTime, Price, PriceBook, Region, ServerTool, ToolKind},
    survey::{Survey, Weights},
    usage::{AnswerKind, Reading, Tier, Usage, Used},
};
use crate::domain::{
    ledger::{Bound, Cost, Ticket, Worst},
    money::NanoUsd,
    permission::{Capability, Provider},
};

/// How what a call used becomes what it cost: kept from the request until its answer has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meterage {
    /// At which provider.
    pub provider: Provider,
    /// What says in the answer what was used.
    pub answer: AnswerKind,
    /// Every model that the call may dispatch; the first is the one that it asks for.
    pub models: Vec<String>,
    /// The most that it can cost, if that is known.
    pub bound: Option<Bound>,
    /// Web searches that no answer counts: one for each answer of a chat that searches.
    pub searches: u64,
    /// Whether tools run at the provider: then what it reads isn't known before it is over.
    pub runs_tools: bool,
    /// How many characters are read out, if that is known.
    pub characters: Option<u64>,
    /// The service tier that was asked for.
    pub tier: AskedTier,
}

/// What the provider writes to the model about a tool that it knows by its `type`. Known of: 245 tokens (bash), 700 (text editor),
/// 735 and 499 more (computer).
const DESCRIPTION_TOKENS: u64 = 2_048;

/// Names in `anthropic-beta` that let a model read or write more than its price says.
const WIDENING_BETAS: [&str; 3] = ["context-", "output-", "compact-"];

fn widening_beta(betas: Option<&str>) -> Option<&str> {
    betas?.split(',').map(str::trim).find(|beta| WIDENING_BETAS.iter().any(|prefix| beta.starts_with(prefix)))
}

/// What a provider names a tool, and what kind that is.
fn tool_kind(name: &str) -> ToolKind {
    if name.starts_with("web_search") {
        ToolKind::WebSearch
    } else if name.starts_with("web_fetch") {
        ToolKind::WebFetch
    } else {
        ToolKind::Other(name.to_owned())
    }
}

fn asked_tier(provider: Provider, tier: Option<&str>) -> AskedTier {
    match (provider, tier) {
        // Anthropic's tiers change when a call is served and not what it costs.
        (Provider::Anthropic, _) | (Provider::OpenAi, Some("default")) => AskedTier::Standard,
        (Provider::OpenAi, None | Some("auto")) => AskedTier::Unsaid,
        (Provider::OpenAi, Some("flex")) => AskedTier::Flex,
        (Provider::OpenAi, Some("priority")) => AskedTier::Priority,
        (Provider::OpenAi, Some(_)) => AskedTier::Other,
    }
}

fn region(provider: Provider, region: Option<&str>) -> Region {
    match (provider, region) {
        // A regional host is the operator's choice, with prices of its own to configure.
        (Provider::OpenAi, _) | (Provider::Anthropic, Some("global")) => Region::Global,
        (Provider::Anthropic, None) => Region::Unsaid,
        (Provider::Anthropic, Some(_)) => Region::One,
    }
}

fn server_tools(weights: &Weights, capabilities: &[Capability], searches: u64) -> Vec<ServerTool> {
    let mut tools: Vec<ServerTool> = weights
        .tools
        .iter()
        .map(|tool| ServerTool {
            kind: tool_kind(&tool.kind),
            // OpenAI limits all tools together, Anthropic each.
            max_uses: tool.max_uses.into_iter().chain(weights.tool_uses).min(),
        })
        .collect();
    if searches > 0 {
        tools.push(ServerTool { kind: ToolKind::WebSearch, max_uses: Some(searches) });
    } else if tools.is_empty() && capabilities.contains(&Capability::ServerTools) {
        tools.push(ServerTool { kind: ToolKind::Other("that was asked for".to_owned()), max_uses: None });
    }
    tools
}

/// What a request asks for. `body_bytes` is its length.
fn ask(meterage: &Meterage, found: &Survey, capabilities: &[Capability], body_bytes: usize) -> Ask {
    let weights = &found.weights;
    let max_tokens = weights.max_output;
    Ask {
        input_bytes: weights.described_tools.saturating_mul(DESCRIPTION_TOKENS).saturating_add(body_bytes as u64),
        media: weights.media,
        answer: match meterage.answer {
            AnswerKind::Chat if weights.spoken => Answer::Spoken { max_tokens },
            AnswerKind::Chat | AnswerKind::Responses | AnswerKind::Messages => Answer::Text { max_tokens },
            AnswerKind::Images => Answer::Images,
            AnswerKind::Speech => Answer::Speech,
            AnswerKind::Transcription => Answer::Transcript,
            AnswerKind::Embeddings | AnswerKind::Free => Answer::Nothing,
        },
        choices: weights.choices.unwrap_or(1),
        tier: asked_tier(meterage.provider, weights.tier.as_deref()),
        cache: match meterage.provider {
            Provider::Anthropic if !weights.long_cache => CacheTime::Usual,
            // OpenAI decides by itself how long it caches, unless it is told.
            Provider::Anthropic | Provider::OpenAi => CacheTime::Any,
        },
        fast: weights.speed.as_deref().is_some_and(|speed| speed != "standard"),
        region: region(meterage.provider, weights.region.as_deref()),
        server_tools: server_tools(weights, capabilities, meterage.searches),
    }
}

impl Meterage {
    /// The most that a call can cost; also notes it. Several models add up: an answer may begin with one and end with another.
    pub(super) fn weigh(
        &mut self,
        prices: &PriceBook,
        found: &Survey,
        capabilities: &[Capability],
        body_bytes: usize,
        betas: Option<&str>,
    ) -> Worst {
        if self.answer == AnswerKind::Free {
            return Worst::Free;
        }
        if let Some(beta) = widening_beta(betas) {
            let beta: String = beta.chars().take(60).collect();
            return Worst::Unknown(format!("with the beta {beta} the model reads or writes more than its price says"));
        }
        if let Some(field) = &found.weights.unknown {
            return Worst::Unknown(format!("what {field} costs is not known here"));
        }
        let searches = self.answer == AnswerKind::Chat
            && found.weights.tools.is_empty()
            && capabilities.contains(&Capability::ServerTools);
        self.searches = if searches { found.weights.choices.unwrap_or(1).max(1) } else { 0 };
        let ask = ask(self, found, capabilities, body_bytes);
        self.runs_tools = !ask.server_tools.is_empty();
        self.tier = ask.tier;
        let mut sum: Option<Bound> = None;
        for model in &self.models {
            let Some(price) = prices.find(self.provider, model) else {
                return Worst::Unknown(format!("{model} has no price here; the operator can add one"));
            };
            match price.bound(&ask) {
                Ok(bound) => sum = Some(sum.map_or_else(|| bound.clone(), |sum| both(&sum, &bound))),
                Err(reason) => return Worst::Unknown(format!("{model}: {reason}")),
            }
        }
        self.bound.clone_from(&sum);
        sum.map_or_else(|| Worst::Unknown("no model is named".to_owned()), Worst::Bound)
    }

    /// What the call cost, by what its answer said. `None`: its bound. `output_tokens` is the maximum that the broker set, if it set
    /// one.
    #[must_use]
    pub fn cost(
        &self,
        prices: &PriceBook,
        reading: &Reading,
        ticket: &Ticket,
        output_tokens: Option<u64>,
    ) -> Option<Cost> {
        if self.answer == AnswerKind::Free {
            return Some(Cost { nano_usd: NanoUsd::ZERO, tokens: 0, exact: true });
        }
        if self.answer == AnswerKind::Speech {
            return self.spoken(prices, reading, ticket.bounded);
        }
        match &reading.used {
            Used::Complete(usages) => self.exact(prices, usages, ticket.bounded),
            Used::Partial(usages) => self.at_most(prices, usages, output_tokens),
            Used::Missing => None,
        }
    }

    /// Speech. What is billed by its characters is known from the request: sound says nothing, and most events don't either.
    fn spoken(&self, prices: &PriceBook, reading: &Reading, bounded: bool) -> Option<Cost> {
        let price = self.models.first().and_then(|model| prices.find(self.provider, model));
        let mut usage = match &reading.used {
            Used::Complete(usages) => usages.first()?.clone(),
            // However much of it was sent, its text was read.
            Used::Partial(_) | Used::Missing => {
                price.filter(|price| price.is_by_characters_alone())?;
                Usage::default()
            }
        };
        if price.is_some_and(Price::is_by_characters) {
            usage.characters = self.characters?;
        }
        self.exact(prices, &[usage], bounded)
    }

    /// What the provider said, priced. Without prices only the tokens are known, which is all that a call without a bound can say.
    fn exact(&self, prices: &PriceBook, usages: &[Usage], bounded: bool) -> Option<Cost> {
        let mut cost = Cost { nano_usd: NanoUsd::ZERO, tokens: 0, exact: true };
        for (index, usage) in usages.iter().enumerate() {
            let mut usage = Cow::Borrowed(usage);
            if index == 0 && usage.web_searches < self.searches {
                usage.to_mut().web_searches = self.searches;
            }
            let price = self.price_of(prices, &usage, index == 0);
            if price.is_none() && bounded {
                return None;
            }
            cost.nano_usd = cost.nano_usd.plus(price.unwrap_or_default());
            cost.tokens = cost.tokens.saturating_add(usage.tokens());
        }
        Some(cost)
    }

    /// The first usage is of one of the models that the call may dispatch: the one that it names, or else the dearest. Further ones
    /// are of whatever model they name.
    fn price_of(&self, prices: &PriceBook, usage: &Usage, first: bool) -> Option<NanoUsd> {
        let named = usage.model.as_deref();
        // A length that has no price is not free.
        let covers = |price: &&Price| usage.audio_millis == 0 || price.is_by_length();
        let cost = |model: &str| {
            prices.find(self.provider, model).filter(covers).map(|price| self.cost_in_tiers(price, usage))
        };
        match named {
            Some(named) if !first || self.models.iter().any(|model| model == named) => cost(named),
            _ => self.models.iter().map(|model| cost(model)).collect::<Option<Vec<_>>>()?.into_iter().max(),
        }
    }

    /// In the tier that the answer says. Where it doesn't: in the dearest that may have served the call.
    fn cost_in_tiers(&self, price: &Price, usage: &Usage) -> NanoUsd {
        if usage.tier.is_some() || self.provider != Provider::OpenAi {
            return price.cost(usage);
        }
        let in_tier = |tier: &Tier| price.cost(&Usage { tier: Some(*tier), ..usage.clone() });
        self.tier.possible().iter().map(in_tier).max().unwrap_or_else(|| price.cost(usage))
    }

    /// An answer broke off after it had said what was read: that, and all that could be written.
    fn at_most(&self, prices: &PriceBook, usages: &[Usage], output_tokens: Option<u64>) -> Option<Cost> {
        if self.answer != AnswerKind::Messages || self.runs_tools {
            return None;
        }
        let (bound, [usage], [model]) = (self.bound.as_ref()?, usages, self.models.as_slice()) else { return None };
        let price: &Price = prices.find(self.provider, model)?;
        let read = Usage {
            output_tokens: 0,
            reasoning_tokens: 0,
            output_audio_tokens: 0,
            output_image_tokens: 0,
            ..usage.clone()
        };
        let written = Bound {
            input_nano_usd: price.cost(&read),
            input_tokens: usage.input_tokens,
            output_tokens: output_tokens.unwrap_or(bound.output_tokens),
            ..bound.clone()
        };
        Some(Cost { nano_usd: written.nano_usd(), tokens: written.tokens(), exact: false })
    }
}

fn both(one: &Bound, other: &Bound) -> Bound {
    Bound {
        input_nano_usd: one.input_nano_usd.plus(other.input_nano_usd),
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        output_pico_usd: one.output_pico_usd.max(other.output_pico_usd),
        output_tokens: one.output_tokens.max(other.output_tokens),
        choices: one.choices.saturating_add(other.choices),
        least_output_tokens: one.least_output_tokens.min(other.least_output_tokens),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        domain::ledger::{Amounts, HoldId},
        gateway::{Method, Plan, Request, Sent, usage::End},
    };

    fn plan(provider: Provider, path: &str, body: &serde_json::Value, betas: Option<&str>) -> Plan {
        let request = Request { provider, method: Some(Method::Post), path, query: None };
        let body = body.to_string();
        let sent = Sent { body: body.as_bytes(), content_type: Some("application/json"), betas };
        request.route().unwrap().plan(sent, &PriceBook::built_in()).unwrap()
    }

    fn chat(mut more: serde_json::Value) -> Plan {
        let mut body = json!({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 100});
        body.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
        plan(Provider::OpenAi, "/v1/chat/completions", &body, None)
    }

    fn messages(mut more: serde_json::Value) -> Plan {
        let mut body =
            json!({"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
        plan(Provider::Anthropic, "/v1/messages", &body, None)
    }

    fn bound(plan: &Plan) -> Bound {
        match &plan.claim.worst {
            Worst::Bound(bound) => bound.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn unknown(plan: &Plan) -> &str {
        match &plan.claim.worst {
            Worst::Unknown(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn ticket(plan: &Plan) -> Ticket {
        let bound = bound(plan);
        let amounts = Amounts { nano_usd: bound.nano_usd(), tokens: bound.tokens(), requests: 1, calls: 1 };
        Ticket { hold: HoldId(0), permission: 0, amounts, bounded: true, delegation: None }
    }

    fn cost(plan: &Plan, used: Used) -> Option<Cost> {
        let reading = Reading { used, end: End::Proper };
        plan.meterage.cost(&PriceBook::built_in(), &reading, &ticket(plan), None)
    }

    #[test]
    fn a_text_is_bounded_by_its_bytes_and_what_it_may_write() {
        let bound = bound(&chat(json!({"service_tier": "default"})));
        assert!(bound.input_tokens < 2048 + 200, "{bound:?}");
        // 2 USD a million.
        assert_eq!((bound.output_tokens, bound.output_pico_usd, bound.choices), (100, 2_000_000, 1));
    }

    #[test]
    fn a_tier_that_is_not_named_may_be_the_dearest() {
        // 3.6 USD a million with priority.
        assert_eq!(bound(&chat(json!({}))).output_pico_usd, 3_600_000);
    }

    #[test]
    fn media_may_fill_the_window() {
        let image =
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}]);
        assert_eq!(bound(&chat(json!({"messages": image}))).input_tokens, 272_000);
    }

    #[test]
    fn what_nobody_can_bound_is_unknown() {
        for (plan, reason) in [
            (chat(json!({"helpers": 3})), "helpers"),
            (chat(json!({"model": "gpt-unheard-of"})), "gpt-unheard-of"),
            (messages(json!({"tools": [{"type": "web_search_20250305", "name": "s"}]})), "web_search"),
            (
                messages(json!({"tools": [{"type": "code_execution_20250825", "name": "c", "max_uses": 1}]})),
                "code_execution",
            ),
            (messages(json!({"mcp_servers": [{"url": "https://x.example"}]})), "tool"),
            (messages(json!({"speed": "fast"})), "fast"),
            (messages(json!({"betas": ["context-1m-2025-08-07"]})), "betas"),
            (messages(json!({"context_management": {"edits": [{"type": "compact_20260112"}]}})), "compact_20260112"),
        ] {
            assert!(unknown(&plan).contains(reason), "{:?}", plan.claim.worst);
        }
    }

    #[test]
    fn a_beta_that_widens_what_a_model_reads_or_writes_is_unknown() {
        let body = json!({"model": "claude-haiku-4-5", "max_tokens": 5, "messages": []});
        let with = |betas| plan(Provider::Anthropic, "/v1/messages", &body, Some(betas));
        assert!(unknown(&with("files-api-2025-04-14, context-1m-2025-08-07")).contains("context-1m"));
        assert!(matches!(with("interleaved-thinking-2025-05-14").claim.worst, Worst::Bound(_)));
    }

    #[test]
    fn models_that_may_take_over_add_up() {
        let one = bound(&messages(json!({})));
        let both = bound(&messages(json!({"fallbacks": [{"model": "claude-opus-5"}]})));
        assert!(both.nano_usd().0 > 5 * one.nano_usd().0);
        assert_eq!(both.choices, 2);
    }

    #[test]
    fn a_model_that_may_take_over_is_bound_by_what_its_own_entry_says() {
        let usual = bound(&messages(json!({"fallbacks": [{"model": "claude-opus-5"}]})));
        let longer = json!({"fallbacks": [{"model": "claude-opus-5", "max_tokens": 64_000}]});
        assert_eq!(bound(&messages(longer)).output_tokens, 64_000);
        let faster = json!({"model": "claude-opus-5", "speed": "standard", "fallbacks": [{"model": "claude-opus-5-5", "speed": "fast"}]});
        let faster = bound(&messages(faster));
        assert!(faster.output_pico_usd >= 2 * 25_000_000, "{faster:?}");
        let null = json!({"fallbacks": [{"model": "claude-opus-5", "max_tokens": null, "speed": null}]});
        let null = bound(&messages(null));
        assert_eq!((null.output_tokens, null.output_pico_usd), (usual.output_tokens, usual.output_pico_usd));
        let odd = json!({"fallbacks": [{"model": "claude-opus-5", "max_tokens": 1e6}]});
        assert!(unknown(&messages(odd)).contains("max_tokens"));
        let unpriced = json!({"fallbacks": [{"model": "claude-haiku-4-5-20251001", "speed": "fast"}]});
        assert!(unknown(&messages(unpriced)).contains("fast"));
    }

    #[test]
    fn tools_that_the_provider_describes_are_read_too() {
        let tools = json!([
            {"type": "bash_20250124", "name": "bash"},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            {"type": "computer_20250124", "name": "computer", "display_width_px": 1, "display_height_px": 1},
            {"type": "memory_20250818", "name": "memory"},
            {"name": "own", "input_schema": {}},
        ]);
        let read = bound(&messages(json!({"tools": tools}))).input_tokens;
        assert!(read >= 346 + 245 + 700 + 735 + 499 + 2_048, "{read}");
        assert!(bound(&messages(json!({"tools": [{"name": "own", "input_schema": {}}]}))).input_tokens < 2_048 + 300);
    }

    #[test]
    fn reasoning_that_is_sent_by_its_id_alone_may_fill_the_window() {
        let read = |item: serde_json::Value| {
            let body = json!({"model": "gpt-5-mini", "max_output_tokens": 10, "input": [item]});
            bound(&plan(Provider::OpenAi, "/v1/responses", &body, None)).input_tokens
        };
        for item in [
            json!({"type": "reasoning", "id": "rs_1", "summary": []}),
            json!({"id": "rs_1", "encrypted_content": null, "type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]}),
        ] {
            assert_eq!(read(item.clone()), 272_000, "{item}");
        }
        for item in [
            json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}),
            json!({"encrypted_content": "gAAA", "summary": [], "id": "rs_1", "type": "reasoning"}),
            json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}),
        ] {
            assert!(read(item.clone()) < 3_000, "{item}");
        }
    }

    #[test]
    fn a_prediction_is_not_bound_by_the_maximum() {
        let long = "x ".repeat(10_000);
        let plan = chat(json!({"prediction": {"type": "content", "content": long}}));
        assert!(unknown(&plan).contains("prediction"));
    }

    #[test]
    fn a_tier_that_the_answer_does_not_say_is_the_dearest_that_may_have_served() {
        let usage = Usage { input_tokens: 10, output_tokens: 10, ..Usage::default() };
        let silent = |tier: serde_json::Value| {
            cost(&chat(json!({"service_tier": tier})), Used::Complete(vec![usage.clone()])).unwrap().nano_usd
        };
        // 0.45 and 3.6 USD a million; 0.25 and 2.
        let (dear, usual) = (NanoUsd(10 * 450 + 10 * 3_600), NanoUsd(10 * 250 + 10 * 2_000));
        for tier in [json!("priority"), json!("auto"), json!("fast"), json!(null)] {
            assert_eq!(silent(tier.clone()), dear, "{tier}");
        }
        for tier in [json!("default"), json!("flex")] {
            assert_eq!(silent(tier.clone()), usual, "{tier}");
        }
        let told = Usage { tier: Some(Tier::Standard), ..usage.clone() };
        assert_eq!(
            cost(&chat(json!({"service_tier": "priority"})), Used::Complete(vec![told])).unwrap().nano_usd,
            usual
        );
    }

    #[test]
    fn an_answer_by_a_model_that_was_not_named_costs_what_the_dearest_would() {
        let plan = messages(json!({"fallbacks": [{"model": "claude-opus-5"}]}));
        let by = |model: &str| {
            let usage =
                Usage { input_tokens: 10, output_tokens: 10, model: Some(model.to_owned()), ..Usage::default() };
            cost(&plan, Used::Complete(vec![usage])).unwrap().nano_usd
        };
        assert!(by("claude-haiku-4-5") < by("claude-opus-5"));
        assert_eq!(by("claude-something-else"), by("claude-opus-5"));
    }

    #[test]
    fn a_search_that_no_answer_counts_is_paid() {
        let plan = chat(json!({"model": "gpt-4o-search-preview"}));
        let usage = Usage { input_tokens: 10, output_tokens: 10, ..Usage::default() };
        // 0.025 USD.
        assert!(cost(&plan, Used::Complete(vec![usage])).unwrap().nano_usd > NanoUsd(25_000_000));
    }

    #[test]
    fn counting_tokens_costs_nothing() {
        let body = json!({"model": "claude-haiku-4-5", "messages": []});
        let plan = plan(Provider::Anthropic, "/v1/messages/count_tokens", &body, None);
        assert_eq!(plan.claim.worst, Worst::Free);
    }

    proptest! {
        #[test]
        fn whatever_a_provider_can_bill_for_a_request_is_within_its_bound(
            text in "[a-zA-Z\\u{80}-\\u{ffff} ]{0,200}", max in 1_u64..5000, n in 1_u64..4, tier in prop::sample::select(vec!["auto", "default", "flex", "priority"]),
            read in 0..=1000_u64, cached in 0..=1000_u64, written in 0..=1000_u64, which in 0..4_usize,
        ) {
            let plan = chat(json!({"messages": [{"role": "user", "content": text}], "max_completion_tokens": max, "n": n, "service_tier": tier}));
            let bound = bound(&plan);
            let part = |of: u64, per_mille: u64| of * per_mille / 1000;
            let input = part(bound.input_tokens, read);
            let possible = match tier {
                "default" => &[Tier::Standard][..],
                "flex" => &[Tier::Standard, Tier::Flex],
                _ => &[Tier::Standard, Tier::Flex, Tier::Priority],
            };
            let served = possible.get(which).copied();
            let usage = Usage {
                input_tokens: input, cached_tokens: part(input, cached), output_tokens: part(max * n, written), tier: served, ..Usage::default()
            };
            let cost = cost(&plan, Used::Complete(vec![usage])).unwrap();
            prop_assert!(cost.nano_usd <= bound.nano_usd() && cost.tokens <= bound.tokens());
        }
    }

    fn speech(model: &str, characters: Option<u64>) -> Meterage {
        Meterage {
            provider: Provider::OpenAi,
            answer: AnswerKind::Speech,
            models: vec![model.to_owned()],
            bound: None,
            searches: 0,
            runs_tools: false,
            characters,
            tier: AskedTier::Unsaid,
        }
    }

    fn cost_of(meterage: &Meterage, used: Used) -> Option<Cost> {
        let ticket =
            Ticket { hold: HoldId(1), permission: 0, amounts: Amounts::default(), bounded: true, delegation: None };
        meterage.cost(&PriceBook::built_in(), &Reading { used, end: End::Broken }, &ticket, None)
    }

    #[test]
    fn speech_that_is_billed_by_its_characters_is_exact_whatever_became_of_the_sound() {
        let usage = Usage { input_tokens: 3, output_tokens: 9, ..Usage::default() };
        let by_text = |tokens| Some(Cost { nano_usd: NanoUsd(11 * 15_000), tokens, exact: true });
        assert_eq!(cost_of(&speech("tts-1", Some(11)), Used::Missing), by_text(0));
        assert_eq!(cost_of(&speech("tts-1", Some(11)), Used::Partial(vec![usage.clone()])), by_text(0));
        assert_eq!(cost_of(&speech("tts-1", Some(11)), Used::Complete(vec![usage])), by_text(12));
        assert_eq!(cost_of(&speech("tts-1", None), Used::Missing), None);
        assert_eq!(cost_of(&speech("tts-9", Some(11)), Used::Missing), None);
    }

    #[test]
    fn a_length_without_a_price_is_not_free() {
        let heard = |model: &str| Meterage { answer: AnswerKind::Transcription, ..speech(model, None) };
        let usage = Usage { audio_millis: 2_000, ..Usage::default() };
        let used = Used::Complete(vec![usage]);
        assert_eq!(cost_of(&heard("gpt-4o-mini-tts"), used.clone()), None);
        let expected = Cost { nano_usd: NanoUsd(200_000), tokens: 0, exact: true };
        assert_eq!(cost_of(&heard("whisper-1"), used), Some(expected));
    }

    #[test]
    fn speech_that_is_billed_by_tokens_is_known_only_from_its_events() {
        let usage = Usage { input_tokens: 10, output_tokens: 20, output_audio_tokens: 20, ..Usage::default() };
        assert_eq!(cost_of(&speech("gpt-4o-mini-tts", Some(11)), Used::Missing), None);
        // 0.60 and 12 USD a million.
        let expected = Cost { nano_usd: NanoUsd(10 * 600 + 20 * 12_000), tokens: 30, exact: true };
        assert_eq!(cost_of(&speech("gpt-4o-mini-tts", Some(11)), Used::Complete(vec![usage])), Some(expected));
    }
}
