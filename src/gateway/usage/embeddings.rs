//! OpenAI's embeddings: input alone.

use super::{
    super::json::Json,
    Usage,
    reader::{Reader, Said},
    tokens::{Absurd, at, count, count_needed, text},
};

#[derive(Debug, Default)]
pub(super) struct Embeddings {
    usage: Option<Usage>,
}

impl Reader for Embeddings {
    fn members(&self, _: bool) -> &'static [&'static str] {
        &["model", "usage"]
    }

    fn words(&self) -> &'static [&'static str] {
        &[]
    }

    fn json(&mut self, answer: &Json) -> Result<(), Absurd> {
        let Some(tokens) = at(answer, &["usage"])? else { return Ok(()) };
        self.usage = Some(Usage {
            input_tokens: count_needed(tokens, "prompt_tokens")?.max(count(tokens, &["total_tokens"])?),
            model: text(answer, "model")?.map(str::to_owned),
            ..Usage::default()
        });
        Ok(())
    }

    fn event(&mut self, _: &Json) -> Result<(), Absurd> {
        Ok(())
    }

    fn said(&self) -> Said {
        Said { usages: self.usage.iter().cloned().collect(), is_final: true, ..Said::default() }
    }
}
