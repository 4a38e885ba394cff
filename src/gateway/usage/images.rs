//! OpenAI's images, made or edited: as JSON, or as a stream whose last event says the usage. No answer names its model.

use serde::{Deserialize, de::IgnoredAny};

use super::{
    Usage,
    meter::{End, Reader, Said},
    tokens::{Absurd, InputOutput, mentions},
};

#[derive(Debug, Default)]
pub(super) struct Images {
    usages: Vec<Usage>,
    end: End,
}

/// An answer, or an event.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "type")]
    kind: Option<String>,
    usage: Option<InputOutput>,
    svg_usage: Option<SvgUsage>,
    error: Option<IgnoredAny>,
}

/// What the model used that wrote an SVG; billed beside the image.
#[derive(Debug, Deserialize)]
pub(super) struct SvgUsage {
    model: Option<String>,
    #[serde(flatten)]
    tokens: InputOutput,
}

impl SvgUsage {
    pub(super) fn usage(self) -> Result<Usage, Absurd> {
        Ok(Usage { model: self.model, ..self.tokens.usage()? })
    }
}

/// A usage of an image model. Where it doesn't say what its output is made of, that is the image.
pub(super) fn image_usage(tokens: &InputOutput) -> Result<Usage, Absurd> {
    let usage = tokens.usage()?;
    let output_image_tokens = if tokens.has_output_details() { usage.output_image_tokens } else { usage.output_tokens };
    Ok(Usage { output_image_tokens, ..usage })
}

impl Images {
    fn take(&mut self, tokens: Option<&InputOutput>, svg: Option<SvgUsage>) -> Result<(), Absurd> {
        let Some(tokens) = tokens else { return Ok(()) };
        self.usages.push(image_usage(tokens)?);
        if let Some(svg) = svg {
            self.usages.push(svg.usage()?);
        }
        Ok(())
    }
}

impl Reader for Images {
    fn members(&self) -> &'static [&'static str] {
        &["usage", "svg_usage", "error"]
    }

    fn json(&mut self, answer: &[u8]) -> Result<(), Absurd> {
        let answer: Answer = serde_json::from_slice(answer)?;
        if answer.error.is_some() {
            self.end = End::Failed;
        }
        self.take(answer.usage.as_ref(), answer.svg_usage)
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Absurd> {
        if data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        if !mentions(data, &["image_generation.completed", "image_edit.completed", "error"]) {
            return Ok(());
        }
        let answer: Answer = serde_json::from_slice(data)?;
        match answer.kind.as_deref() {
            // Where several images were asked for, there is one event for each.
            Some("image_generation.completed" | "image_edit.completed") => {
                self.end = self.end.max(End::Proper);
                self.take(answer.usage.as_ref(), answer.svg_usage)
            }
            kind => {
                if kind == Some("error") || answer.error.is_some() {
                    self.end = End::Failed;
                }
                Ok(())
            }
        }
    }

    fn said(&self) -> Said {
        Said { usages: self.usages.clone(), is_final: self.end != End::Failed, end: self.end }
    }
}
