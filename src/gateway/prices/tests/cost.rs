use super::*;

#[test]
fn text_costs_its_tokens() {
    // 0.25 and 2 USD per million: 1,000 × 0.25 + 500 × 2 = 1,250 micro-USD.
    assert_eq!(openai("gpt-5-mini").cost(&text(1_000, 500)), NanoUsd(1_250_000));
}

#[test]
fn a_call_is_rounded_up_once() {
    // 5 USD per thousand million tokens is 5,000 pico-USD each; flex halves it to 2,500.
    let usage = Usage { cached_tokens: 1, tier: Some(Tier::Flex), ..text(1, 0) };
    assert_eq!(openai("gpt-5-nano").cost(&usage), NanoUsd(3));
    let usage = Usage { cached_tokens: 3, tier: Some(Tier::Flex), ..text(3, 0) };
    assert_eq!(openai("gpt-5-nano").cost(&usage), NanoUsd(8));
}

#[test]
fn cached_and_written_tokens_have_their_own_prices() {
    let usage = Usage { cached_tokens: 1_000, cache_write_tokens: 100, cache_write_long_tokens: 10, ..text(1_111, 1) };
    // 1 × 4 + 1,000 × 0.2 + 100 × 5 + 10 × 8 + 1 × 20 micro-USD.
    assert_eq!(anthropic("claude-opus-5-5").cost(&usage), NanoUsd(804_000));
}

#[test]
fn a_long_context_makes_the_whole_call_dearer() {
    let price = anthropic("claude-haiku-5-5");
    // Up to 100,000 tokens 0.1 and 0.5 USD, above it 0.5 and 2.5.
    assert_eq!(price.cost(&text(100_000, 10)), NanoUsd(10_000_000 + 5_000));
    assert_eq!(price.cost(&text(100_001, 10)), NanoUsd(50_000_500 + 25_000));
}

#[test]
fn a_tier_has_its_own_prices_and_its_own_long_context() {
    let price = openai("gpt-6.1-sol");
    let cost = |tier, input| price.cost(&Usage { tier, ..text(input, 1_000) });
    // 2/10, 1/5, 4/20 and 12/60 USD per million.
    assert_eq!(cost(None, 1_000), NanoUsd(12_000_000));
    assert_eq!(cost(Some(Tier::Standard), 1_000), NanoUsd(12_000_000));
    assert_eq!(cost(Some(Tier::Flex), 1_000), NanoUsd(6_000_000));
    assert_eq!(cost(Some(Tier::Priority), 1_000), NanoUsd(24_000_000));
    assert_eq!(cost(Some(Tier::Ultrafast), 1_000), NanoUsd(72_000_000));
    // Above 272,000 tokens 4/15, and 24/90.
    assert_eq!(cost(None, 300_000), NanoUsd(1_200_000_000 + 15_000_000));
    assert_eq!(cost(Some(Tier::Ultrafast), 300_000), NanoUsd(7_200_000_000 + 90_000_000));
}

#[test]
fn a_tier_without_prices_costs_the_dearest_that_is_known() {
    let cost = |model: &str, tier| openai(model).cost(&Usage { tier: Some(tier), ..text(1_000, 1_000) });
    // gpt-5-nano has no priority: 0.05 and 0.4 USD. gpt-5-mini has priority, 0.45 and 3.6, and nothing faster.
    assert_eq!(cost("gpt-5-nano", Tier::Priority), NanoUsd(450_000));
    assert_eq!(cost("gpt-5-mini", Tier::Ultrafast), NanoUsd(4_050_000));
    // gpt-4.1 has no flex: 2 and 8 USD.
    assert_eq!(cost("gpt-4.1", Tier::Flex), NanoUsd(10_000_000));
}

#[test]
fn a_price_that_is_missing_is_never_a_discount() {
    // gpt-5-pro has no price for cached tokens: 15 USD as the others.
    let cached = Usage { cached_tokens: 1_000, ..text(1_000, 0) };
    assert_eq!(openai("gpt-5-pro").cost(&cached), NanoUsd(15_000_000));
    // gpt-6-astra-law has none for writing to a cache: 10 USD.
    let long = Usage { cache_write_long_tokens: 1_000, ..text(1_000, 0) };
    assert_eq!(openai("gpt-6-astra-law").cost(&long), NanoUsd(10_000_000));
    // A tier without a long context of its own: what is dearer of the tier and the long context.
    let price = written(
        r#"{"provider":"openai","model":"m","input":"1","output":"2","long":{"above":10,"input":"3","output":"4"},
            "priority":{"input":"5","output":"6"}}"#,
    );
    assert_eq!(price.cost(&Usage { tier: Some(Tier::Priority), ..text(1_000, 0) }), NanoUsd(5_000_000));
    let price = written(
        r#"{"provider":"openai","model":"m","input":"1","output":"2","long":{"above":10,"input":"9","output":"4"},
            "priority":{"input":"5","output":"6"}}"#,
    );
    assert_eq!(price.cost(&Usage { tier: Some(Tier::Priority), ..text(1_000, 0) }), NanoUsd(9_000_000));
}

#[test]
fn fast_mode_and_a_region_multiply_what_tokens_cost() {
    let price = anthropic("claude-opus-5-5");
    let cost = |fast, in_region| price.cost(&Usage { fast, in_region, web_searches: 1, ..text(1_000, 0) });
    // 4 USD per million; × 2 when fast, × 1.1 in a region; a search is 10,000,000 nano-USD in any case.
    assert_eq!(cost(false, false), NanoUsd(4_000_000 + 10_000_000));
    assert_eq!(cost(true, false), NanoUsd(8_000_000 + 10_000_000));
    assert_eq!(cost(false, true), NanoUsd(4_400_000 + 10_000_000));
    assert_eq!(cost(true, true), NanoUsd(8_800_000 + 10_000_000));
}

#[test]
fn fast_mode_without_a_price_costs_the_dearest_that_there_was() {
    let usage = Usage { fast: true, ..text(1_000, 0) };
    assert_eq!(anthropic("claude-sonnet-5").cost(&usage), NanoUsd(12_000_000));
}

#[test]
fn audio_and_images_have_their_own_prices() {
    // gpt-audio: 2.5 and 10 USD for text, 32 and 64 for audio.
    let audio = Usage { input_audio_tokens: 400, output_audio_tokens: 60, ..text(1_000, 100) };
    assert_eq!(openai("gpt-audio").cost(&audio), NanoUsd(1_500_000 + 12_800_000 + 400_000 + 3_840_000));
    // gpt-image-1: 5 USD for text, 1.25 cached; 10 for images, 2.5 cached; 40 for what is drawn.
    let image = Usage {
        input_image_tokens: 500,
        cached_image_tokens: 200,
        cached_tokens: 300,
        output_image_tokens: 1_000,
        ..text(1_000, 1_000)
    };
    // 400 text, 100 cached text, 300 image, 200 cached image.
    assert_eq!(openai("gpt-image-1").cost(&image), NanoUsd(2_000_000 + 125_000 + 3_000_000 + 500_000 + 40_000_000));
}

#[test]
fn seconds_and_characters_are_billed_where_they_are_what_is_billed() {
    // 0.0001 USD a second; 15 USD per million characters.
    let audio = Usage { audio_millis: 12_345, ..Usage::default() };
    assert_eq!(openai("whisper-1").cost(&audio), NanoUsd(1_234_500));
    let speech = Usage { characters: 4_096, ..Usage::default() };
    assert_eq!(openai("tts-1").cost(&speech), NanoUsd(61_440_000));
}

#[test]
fn a_search_without_a_price_costs_the_dearest() {
    let usage = Usage { web_searches: 2, ..Usage::default() };
    assert_eq!(openai("o3-deep-research").cost(&usage), NanoUsd(50_000_000));
    assert_eq!(openai("gpt-4.1").cost(&usage), NanoUsd(50_000_000));
    let dearest = PriceBook::built_in().all().filter_map(|(_, price)| price?.search).max();
    assert_eq!(dearest, Some(UNKNOWN_SEARCH_PICO_USD));
}

#[test]
fn counts_that_contradict_each_other_cost_the_dearest() {
    // More cached than read: all of it is taken for written to a cache for an hour, at 8 USD.
    let usage = Usage { cached_tokens: 1_000, ..text(10, 0) };
    assert_eq!(anthropic("claude-opus-5-5").cost(&usage), NanoUsd(8_000_000));
    // More audio than was written, at 64 USD.
    let usage = Usage { output_audio_tokens: 1_000, ..text(0, 10) };
    assert_eq!(openai("gpt-audio").cost(&usage), NanoUsd(64_000_000));
}
