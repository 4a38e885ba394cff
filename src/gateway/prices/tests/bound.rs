use proptest::prelude::*;

use super::*;
use crate::domain::ledger::Bound;

#[test]
fn text_is_bound_by_its_bytes_and_what_the_caller_lets_be_written() {
    // (1,000 + 2,048) × 0.25 USD and 1,000 × 2 USD per million.
    let bound = openai("gpt-5-mini").bound(&plain(1_000)).unwrap();
    let expected = Bound {
        input_nano_usd: NanoUsd(762_000),
        input_tokens: 3_048,
        output_pico_usd: 2_000_000,
        output_tokens: 1_000,
        choices: 1,
        least_output_tokens: None,
    };
    assert_eq!(bound, expected);
    assert_eq!(bound.nano_usd(), NanoUsd(2_762_000));
}

#[test]
fn no_more_is_read_than_the_window() {
    assert_eq!(openai("gpt-4.1-nano").bound(&plain(9_000_000)).unwrap().input_tokens, 1_047_576);
}

#[test]
fn media_may_fill_the_window() {
    let ask = Ask { media: true, ..plain(100) };
    assert_eq!(openai("gpt-5").bound(&ask).unwrap().input_tokens, 272_000);
    // Audio is what is dearest of what gpt-audio reads: 128,000 × 32 USD per million.
    assert_eq!(openai("gpt-audio").bound(&ask).unwrap().input_nano_usd, NanoUsd(4_096_000_000));
    assert_eq!(openai("gpt-5.5-cyber").bound(&ask), Err(Unbounded::Window));
}

#[test]
fn where_the_caller_names_no_maximum_the_models_holds_and_may_be_lowered() {
    let ask = Ask { answer: Answer::Text { max_tokens: None }, ..plain(100) };
    let bound = openai("gpt-5-mini").bound(&ask).unwrap();
    assert_eq!((bound.output_tokens, bound.least_output_tokens), (128_000, Some(1_024)));
    assert_eq!(openai("gpt-5.5-cyber").bound(&ask), Err(Unbounded::MaxOutput));
    assert_eq!(openai("gpt-5.5-cyber").bound(&plain(100)).unwrap().output_tokens, 1_000);
}

#[test]
fn what_the_caller_names_holds_above_the_models_maximum_too() {
    let ask = Ask { answer: Answer::Text { max_tokens: Some(200_000) }, ..plain(100) };
    assert_eq!(openai("gpt-5-mini").bound(&ask).unwrap().output_tokens, 200_000);
}

#[test]
fn every_choice_may_be_as_long() {
    let bound = |choices| openai("gpt-5-mini").bound(&Ask { choices, ..plain(1_000) }).unwrap().nano_usd();
    assert_eq!(bound(0), NanoUsd(2_762_000));
    assert_eq!(bound(5), NanoUsd(762_000 + 10_000_000));
}

#[test]
fn a_cache_may_be_written_for_the_longest_time_unless_the_request_says_otherwise() {
    // 3,048 tokens at 8 and at 5 USD per million.
    let bound = |cache| anthropic("claude-opus-5-5").bound(&Ask { cache, ..plain(1_000) }).unwrap().input_nano_usd;
    assert_eq!(bound(CacheTime::Any), NanoUsd(24_384_000));
    assert_eq!(bound(CacheTime::Usual), NanoUsd(15_240_000));
}

#[test]
fn without_a_tier_it_may_be_priority() {
    let bound = |tier| openai("gpt-6.1-sol").bound(&Ask { tier, ..plain(1_000) }).unwrap().output_pico_usd;
    assert_eq!(bound(AskedTier::Unsaid), 20_000_000);
    assert_eq!(bound(AskedTier::Priority), 20_000_000);
    assert_eq!(bound(AskedTier::Standard), 10_000_000);
    // What flex can't serve may be served and billed as usual.
    assert_eq!(bound(AskedTier::Flex), 10_000_000);
    assert_eq!(bound(AskedTier::Other), 60_000_000);
}

#[test]
fn a_context_that_may_be_long_is_bound_at_its_prices() {
    let bound = |bytes| anthropic("claude-haiku-5-5").bound(&plain(bytes)).unwrap();
    // 100,000 tokens at 0.125 USD (written to a cache), one more at 0.625.
    assert_eq!(bound(97_952).input_nano_usd, NanoUsd(12_500_000));
    assert_eq!(bound(97_952).output_pico_usd, 500_000);
    assert_eq!(bound(97_953).input_nano_usd, NanoUsd(62_500_625));
    assert_eq!(bound(97_953).output_pico_usd, 2_500_000);
}

#[test]
fn a_region_is_paid_for_unless_the_request_says_anywhere() {
    let bound = |region| anthropic("claude-opus-5-5").bound(&Ask { region, ..plain(1_000) }).unwrap().output_pico_usd;
    assert_eq!(bound(Region::Global), 20_000_000);
    assert_eq!(bound(Region::Unsaid), 22_000_000);
    assert_eq!(bound(Region::One), 22_000_000);
}

#[test]
fn fast_mode_needs_a_price() {
    let ask = Ask { fast: true, ..plain(1_000) };
    assert_eq!(anthropic("claude-opus-5-5").bound(&ask).unwrap().output_pico_usd, 40_000_000);
    assert_eq!(anthropic("claude-sonnet-5").bound(&ask), Err(Unbounded::Fast));
}

#[test]
fn each_use_of_a_server_tool_reads_the_window_again() {
    let ask = Ask { server_tools: tool(ToolKind::WebSearch, Some(3)), ..plain(1_000) };
    let bound = openai("gpt-5-mini").bound(&ask).unwrap();
    assert_eq!(bound.input_tokens, 4 * 272_000);
    // 1,088,000 × 0.25 USD per million, and three searches of 0.01 USD.
    assert_eq!(bound.input_nano_usd, NanoUsd(272_000_000 + 30_000_000));
    let ask = Ask { server_tools: tool(ToolKind::WebFetch, Some(1)), ..plain(1_000) };
    assert_eq!(openai("gpt-5-mini").bound(&ask).unwrap().input_nano_usd, NanoUsd(136_000_000));
}

#[test]
fn a_server_tool_needs_a_price_and_a_number_of_uses() {
    let bound = |model, kind, uses| openai(model).bound(&Ask { server_tools: tool(kind, uses), ..plain(1) });
    let interpreter = || ToolKind::Other("code_interpreter".to_owned());
    assert_eq!(bound("gpt-5", interpreter(), Some(1)), Err(Unbounded::Tool("code_interpreter".to_owned())));
    assert_eq!(bound("gpt-5", ToolKind::WebSearch, None), Err(Unbounded::ToolUses("web_search".to_owned())));
    assert_eq!(bound("gpt-5.6-cyber", ToolKind::WebSearch, Some(1)), Err(Unbounded::Tool("web_search".to_owned())));
}

#[test]
fn embeddings_and_moderations_write_nothing() {
    let ask = Ask { answer: Answer::Nothing, ..plain(1_000_000) };
    // As many texts as fit into the body, so no window binds them: 1,002,048 × 0.13 USD per million.
    let bound = openai("text-embedding-3-large").bound(&ask).unwrap();
    assert_eq!(bound.nano_usd(), NanoUsd(130_266_240));
    assert_eq!((bound.output_tokens, bound.least_output_tokens), (0, None));
    let ask = Ask { media: true, ..ask };
    assert_eq!(openai("omni-moderation-latest").bound(&ask).unwrap().nano_usd(), NanoUsd::ZERO);
}

#[test]
fn images_are_bound_by_their_number_where_the_largest_is_known() {
    let ask = Ask { answer: Answer::Images, choices: 2, ..plain(1_000) };
    let bound = openai("gpt-image-1").bound(&ask).unwrap();
    // 3,048 × 5 USD, and 2 × 6,540 × 40 USD per million.
    assert_eq!(bound.nano_usd(), NanoUsd(15_240_000 + 523_200_000));
    assert_eq!(bound.least_output_tokens, None);
    assert_eq!(openai("gpt-image-2").bound(&ask), Err(Unbounded::MaxOutput));
    // Nobody knows how much a picture to be edited is.
    assert_eq!(openai("gpt-image-1").bound(&Ask { media: true, ..ask }), Err(Unbounded::Window));
}

#[test]
fn speech_is_bound_by_its_characters_and_not_by_its_length() {
    let ask = Ask { answer: Answer::Speech, ..plain(4_200) };
    assert_eq!(openai("tts-1").bound(&ask).unwrap().nano_usd(), NanoUsd(63_000_000));
    assert_eq!(openai("gpt-4o-mini-tts").bound(&ask), Err(Unbounded::MaxOutput));
}

#[test]
fn the_length_of_audio_is_not_known_before_the_call() {
    let ask = Ask { answer: Answer::Transcript, media: true, ..plain(1_000) };
    assert_eq!(openai("whisper-1").bound(&ask), Err(Unbounded::Duration));
    assert_eq!(openai("gpt-4o-transcribe").bound(&ask), Err(Unbounded::Duration));
}

#[test]
fn what_writes_text_is_bound_but_for_these() {
    let ask = Ask { media: true, answer: Answer::Text { max_tokens: None }, ..plain(1_000) };
    let book = PriceBook::built_in();
    let chat = book.all().filter_map(|(model, price)| Some((model, price?)));
    let chat = chat.filter(|(model, _)| {
        !["image", "tts", "transcribe", "whisper", "moderation"].iter().any(|kind| model.contains(kind))
    });
    let unbounded: Vec<_> = chat
        .filter(|(_, price)| price.max_output != Some(0) && price.bound(&ask).is_err())
        .map(|(model, _)| model)
        .collect();
    assert_eq!(
        unbounded,
        ["gpt-5.5-cyber", "gpt-5.5-cyber-preview", "gpt-rosalind-discovery", "gpt-rosalind-research"]
    );
}

// ── whatever is asked and billed ─────────────────────────────────────────────────────────────────

/// Fractions of what there is, in thousandths.
type Parts = [u64; 12];

fn part(of: u64, thousandths: u64) -> u64 {
    u64::try_from(u128::from(of) * u128::from(thousandths) / 1_000).unwrap()
}

/// The next of some parts of `rest`, which is taken away from it.
fn taken(rest: &mut u64, thousandths: u64) -> u64 {
    let taken = part(*rest, thousandths);
    *rest -= taken;
    taken
}

fn asks() -> impl Strategy<Value = Ask> {
    let answer = prop_oneof![
        Just(Answer::Nothing),
        Just(Answer::Images),
        Just(Answer::Speech),
        Just(Answer::Transcript),
        prop::option::of(0..300_000_u64).prop_map(|max_tokens| Answer::Text { max_tokens }),
        prop::option::of(0..300_000_u64).prop_map(|max_tokens| Answer::Spoken { max_tokens }),
    ];
    let tier = prop::sample::select(vec![
        AskedTier::Unsaid,
        AskedTier::Standard,
        AskedTier::Flex,
        AskedTier::Priority,
        AskedTier::Other,
    ]);
    let cache = prop::sample::select(vec![CacheTime::Any, CacheTime::Usual]);
    let region = prop::sample::select(vec![Region::Unsaid, Region::Global, Region::One]);
    let kind = prop::sample::select(vec![ToolKind::WebSearch, ToolKind::WebFetch]);
    let tools = prop::collection::vec(
        (kind, 0..5_u64).prop_map(|(kind, uses)| ServerTool { kind, max_uses: Some(uses) }),
        0..3,
    );
    let bytes = prop_oneof![0..10_000_u64, 0..2_000_000_u64];
    let most_rounds = prop::option::of(1..12_u64);
    (bytes, any::<bool>(), answer, 0..4_u64, tier, cache, any::<bool>(), region, tools, most_rounds).prop_map(
        |(input_bytes, media, answer, choices, tier, cache, fast, region, server_tools, most_rounds)| Ask {
            input_bytes,
            media,
            answer,
            choices,
            tier,
            cache,
            fast,
            region,
            server_tools,
            most_rounds,
        },
    )
}

/// Something that the provider can bill for what is asked.
fn billed(ask: &Ask, bound: &Bound, parts: Parts, in_region: bool, tier: usize) -> Usage {
    let [input, long, short, cached, audio, cached_audio, image, cached_image, output, spoken, drawn, searches] = parts;
    let input_tokens = part(bound.input_tokens, input);
    let mut rest = input_tokens;
    let cache_write_long_tokens = if ask.cache == CacheTime::Any { taken(&mut rest, long) } else { 0 };
    let cache_write_tokens = taken(&mut rest, short);
    let mut cached_rest = taken(&mut rest, cached);
    let cached_tokens = cached_rest;
    let media = u64::from(ask.media);
    let cached_audio_tokens = taken(&mut cached_rest, cached_audio * media);
    let cached_image_tokens = taken(&mut cached_rest, cached_image * media);
    let input_audio_tokens = cached_audio_tokens + taken(&mut rest, audio * media);
    let input_image_tokens = cached_image_tokens + taken(&mut rest, image * media);
    let output_tokens = part(bound.output_tokens * bound.choices, output);
    let is_spoken = matches!(ask.answer, Answer::Spoken { .. } | Answer::Speech);
    let output_audio_tokens = if is_spoken { part(output_tokens, spoken) } else { 0 };
    let output_image_tokens = if ask.answer == Answer::Images { part(output_tokens, drawn) } else { 0 };
    let uses = ask.server_tools.iter().filter(|tool| tool.kind == ToolKind::WebSearch);
    let possible = ask.tier.possible();
    Usage {
        input_tokens,
        cached_tokens,
        cache_write_tokens,
        cache_write_long_tokens,
        input_audio_tokens,
        cached_audio_tokens,
        input_image_tokens,
        cached_image_tokens,
        output_tokens,
        output_audio_tokens,
        output_image_tokens,
        web_searches: part(uses.filter_map(|tool| tool.max_uses).sum(), searches),
        characters: if ask.answer == Answer::Speech { ask.input_bytes } else { 0 },
        tier: possible.get(tier % (possible.len() + 1)).copied(),
        fast: ask.fast,
        in_region: in_region && ask.region != Region::Global,
        ..Usage::default()
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    // Often all or nothing: that is where it is dearest.
    prop::array::uniform12(prop_oneof![Just(0), Just(1_000), 0..=1_000_u64])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_call_costs_more_than_its_bound(
        ask in asks(), parts in parts(), in_region in any::<bool>(), tier in 0..5_usize,
    ) {
        for (model, price) in PriceBook::built_in().all() {
            let price = price.unwrap();
            if let Ok(bound) = price.bound(&ask) {
                let usage = billed(&ask, &bound, parts, in_region, tier);
                let (cost, most) = (price.cost(&usage), bound.nano_usd());
                prop_assert!(cost <= most, "{model}: {cost} > {most} for {usage:?}");
                prop_assert!(usage.tokens() <= bound.tokens());
            }
        }
    }

    #[test]
    fn more_of_anything_is_never_cheaper_than_all_of_it_read_from_a_cache(
        parts in parts(), tokens in 0..2_000_000_u64,
    ) {
        // Contradicting counts included.
        for (model, price) in PriceBook::built_in().all() {
            let price = price.unwrap();
            let usage = Usage {
                cached_tokens: part(tokens, parts[0]) * 2,
                cache_write_tokens: part(tokens, parts[1]),
                input_audio_tokens: part(tokens, parts[2]),
                cached_audio_tokens: part(tokens, parts[3]),
                ..text(tokens, 0)
            };
            let cheapest = Usage { cached_tokens: tokens, ..text(tokens, 0) };
            prop_assert!(price.cost(&usage) >= price.cost(&cheapest), "{model}: {usage:?}");
        }
    }
}
