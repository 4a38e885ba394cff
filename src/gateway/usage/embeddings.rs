//! OpenAI's embeddings: input alone.

use serde::Deserialize;

use super::{
    Usage,
    meter::{Reader, Said},
    tokens::{Absurd, Count},
};

#[derive(Debug, Default)]
pub(super) struct Embeddings {
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Answer {
    model: Option<String>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Count,
    total_tokens: Option<Count>,
}

impl Reader for Embeddings {
    fn members(&self) -> &'static [&'static str] {
        &["model", "usage"]
    }

    fn json(&mut self, answer: &[u8]) -> Result<(), Absurd> {
        let Answer { model, usage } = serde_json::from_slice(answer)?;
        self.usage = usage.map(|tokens| Usage {
            input_tokens: tokens.prompt_tokens.max(tokens.total_tokens.unwrap_or_default()).0,
            model,
            ..Usage::default()
        });
        Ok(())
    }

    fn event(&mut self, _: &[u8]) -> Result<(), Absurd> {
        Ok(())
    }

    fn said(&self) -> Said {
        Said { usages: self.usage.iter().cloned().collect(), is_final: true, ..Said::default() }
    }
}
