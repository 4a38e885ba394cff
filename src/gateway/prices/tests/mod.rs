//! Every number is worked out by hand from the table: USD per million tokens is pico-USD per token, times a million, so
//! nano-USD per thousand tokens.

mod book;
mod bound;
mod cost;

use super::*;
use crate::domain::permission::Provider;

fn openai(model: &str) -> Price {
    PriceBook::built_in().find(Provider::OpenAi, model).unwrap().clone()
}

fn anthropic(model: &str) -> Price {
    PriceBook::built_in().find(Provider::Anthropic, model).unwrap().clone()
}

fn written(entry: &str) -> Price {
    let book = PriceBook::with_overrides(&format!("[{entry}]")).unwrap();
    book.find(Provider::OpenAi, "m").unwrap().clone()
}

/// Text that is read and written, in tokens.
fn text(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

/// A request of which everything is known, and nothing dear.
fn plain(input_bytes: u64) -> Ask {
    Ask {
        media: false,
        answer: Answer::Text { max_tokens: Some(1_000) },
        tier: AskedTier::Standard,
        cache: CacheTime::Usual,
        region: Region::Global,
        ..Ask::of_bytes(input_bytes)
    }
}

fn tool(kind: ToolKind, max_uses: Option<u64>) -> Vec<ServerTool> {
    vec![ServerTool { kind, max_uses }]
}
