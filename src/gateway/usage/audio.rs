//! OpenAI's transcriptions and speech. No answer names its model.
//!
//! Transcriptions are billed by tokens or by their length, and say which; those that are plain text say nothing. Speech is sound and
//! says nothing either, unless it comes as a stream of events. What is billed by the characters to speak stands in the request.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    Usage,
    meter::{End, Reader, Said},
    tokens::{Absurd, InputOutput, mentions},
};
use crate::domain::limits::MAX_STORED_INTEGER;

#[derive(Debug)]
pub(super) struct Audio {
    /// The event that ends a stream.
    last: &'static str,
    speaks: bool,
    usage: Option<Usage>,
    end: End,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    seconds: Option<&'a RawValue>,
}

impl Audio {
    pub(super) const fn transcription() -> Self {
        Self { last: "transcript.text.done", speaks: false, usage: None, end: End::Broken }
    }

    pub(super) const fn speech() -> Self {
        Self { last: "speech.audio.done", speaks: true, usage: None, end: End::Broken }
    }

    fn take(&mut self, usage: Option<&RawValue>) -> Result<(), Absurd> {
        let Some(usage) = usage else { return Ok(()) };
        let Kind { kind, seconds } = serde_json::from_str(usage.get())?;
        self.usage = Some(match (kind.as_deref(), seconds) {
            (Some("duration") | None, Some(seconds)) => {
                Usage { audio_millis: millis(seconds.get()).ok_or(Absurd)?, ..Usage::default() }
            }
            (Some("tokens") | None, None) => {
                let usage = serde_json::from_str::<InputOutput>(usage.get())?.usage()?;
                let output_audio_tokens = if self.speaks { usage.output_tokens } else { 0 };
                Usage { output_audio_tokens, ..usage }
            }
            _ => return Err(Absurd),
        });
        Ok(())
    }
}

/// Seconds written as a JSON number, in milliseconds, rounded up. `None` when it is negative, too large, or has an exponent.
fn millis(seconds: &str) -> Option<u64> {
    let (whole, places) = seconds.split_once('.').unwrap_or((seconds, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(places) {
        return None;
    }
    let (kept, rest) = places.split_at_checked(3).unwrap_or((places, ""));
    let kept: u64 = format!("{kept:0<3}").parse().ok()?;
    let up = u64::from(rest.bytes().any(|digit| digit != b'0'));
    // A sign would be taken by `parse`.
    let whole: u64 = whole.parse().ok().filter(|_| is_number(whole))?;
    whole.checked_mul(1000)?.checked_add(kept)?.checked_add(up).filter(|millis| *millis <= MAX_STORED_INTEGER)
}

impl Reader for Audio {
    fn members(&self) -> &'static [&'static str] {
        &["usage", "error"]
    }

    fn json(&mut self, answer: &[u8]) -> Result<(), Absurd> {
        let answer: Answer = serde_json::from_slice(answer)?;
        if answer.error.is_some() {
            self.end = End::Failed;
        }
        self.take(answer.usage)
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Absurd> {
        if data.trim_ascii() == b"[DONE]" || !mentions(data, &[self.last, "error"]) {
            return Ok(());
        }
        let answer: Answer = serde_json::from_slice(data)?;
        if answer.kind.as_deref() == Some(self.last) {
            self.end = self.end.max(End::Proper);
            return self.take(answer.usage);
        }
        if answer.kind.as_deref() == Some("error") || answer.error.is_some() {
            self.end = End::Failed;
        }
        Ok(())
    }

    fn said(&self) -> Said {
        Said { usages: self.usage.iter().cloned().collect(), is_final: self.end != End::Failed, end: self.end }
    }
}
