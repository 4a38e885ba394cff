//! OpenAI's transcriptions and speech. No answer names its model.
//!
//! Transcriptions are billed by tokens or by their length, and say which; those that are plain text say nothing. Speech is sound and
//! says nothing either, unless it comes as a stream of events. What is billed by the characters to speak stands in the request.

use super::{
    super::json::Json,
    Usage,
    reader::{End, Reader, Said},
    tokens::{Absurd, at, count_if_any, input_output, text},
};
use crate::domain::limits::MAX_STORED_INTEGER;

#[derive(Debug)]
pub(super) struct Audio {
    /// The event that ends a stream, and an error.
    words: &'static [&'static str; 2],
    speaks: bool,
    usage: Option<Usage>,
    end: End,
}

impl Audio {
    pub(super) const fn transcription() -> Self {
        Self { words: &["transcript.text.done", "error"], speaks: false, usage: None, end: End::Broken }
    }

    pub(super) const fn speech() -> Self {
        Self { words: &["speech.audio.done", "error"], speaks: true, usage: None, end: End::Broken }
    }

    fn take(&mut self, answer: &Json) -> Result<(), Absurd> {
        let Some(usage) = at(answer, &["usage"])? else { return Ok(()) };
        self.usage = Some(match (text(usage, "type")?, at(usage, &["seconds"])?) {
            (Some("duration") | None, Some(Json::Fraction(bits))) => {
                Usage { audio_millis: millis(f64::from_bits(*bits)).ok_or(Absurd)?, ..Usage::default() }
            }
            (Some("duration") | None, Some(_)) => {
                let seconds = count_if_any(usage, &["seconds"])?.ok_or(Absurd)?;
                let audio_millis = seconds.checked_mul(1000).filter(|millis| *millis <= MAX_STORED_INTEGER);
                Usage { audio_millis: audio_millis.ok_or(Absurd)?, ..Usage::default() }
            }
            (Some("tokens") | None, None) => {
                let usage = input_output(usage)?;
                let output_audio_tokens = if self.speaks { usage.output_tokens } else { 0 };
                Usage { output_audio_tokens, ..usage }
            }
            _ => return Err(Absurd),
        });
        Ok(())
    }
}

/// Seconds in milliseconds, rounded up. `None` when they are negative or too many.
fn millis(seconds: f64) -> Option<u64> {
    // Written out, a number is exact: a product of floats could be rounded up past what was meant.
    let seconds = seconds.to_string();
    let (whole, places) = seconds.split_once('.').unwrap_or((&seconds, ""));
    let (kept, rest) = places.split_at_checked(3).unwrap_or((places, ""));
    let kept: u64 = format!("{kept:0<3}").parse().ok()?;
    let up = u64::from(rest.bytes().any(|digit| digit != b'0'));
    // A sign would be taken by `parse`.
    let whole: u64 = whole.parse().ok().filter(|_| !seconds.starts_with(['-', '+']))?;
    whole.checked_mul(1000)?.checked_add(kept)?.checked_add(up).filter(|millis| *millis <= MAX_STORED_INTEGER)
}

impl Reader for Audio {
    fn members(&self, _: bool) -> &'static [&'static str] {
        &["type", "usage", "error"]
    }

    fn words(&self) -> &'static [&'static str] {
        self.words
    }

    fn json(&mut self, answer: &Json) -> Result<(), Absurd> {
        if at(answer, &["error"])?.is_some() {
            self.end = End::Failed;
        }
        self.take(answer)
    }

    fn event(&mut self, event: &Json) -> Result<(), Absurd> {
        let [last, error] = self.words;
        let kind = text(event, "type")?;
        if kind == Some(last) {
            self.end = self.end.max(End::Proper);
            return self.take(event);
        }
        if kind == Some(error) || at(event, &["error"])?.is_some() {
            self.end = End::Failed;
        }
        Ok(())
    }

    fn said(&self) -> Said {
        Said { usages: self.usage.iter().cloned().collect(), is_final: self.end != End::Failed, end: self.end }
    }
}
