//! OpenAI's images, made or edited: as JSON, or as a stream whose last event says the usage. No answer names its model.

use super::{
    super::json::Json,
    Usage,
    reader::{End, Reader, Said},
    tokens::{Absurd, at, input_output, text},
};

#[derive(Debug, Default)]
pub(super) struct Images {
    usages: Vec<Usage>,
    end: End,
}

/// What an image model used. Where it doesn't say what its output is made of, that is the image.
pub(super) fn image_usage(tokens: &Json) -> Result<Usage, Absurd> {
    let usage = input_output(tokens)?;
    let is_told = at(tokens, &["output_tokens_details"])?.is_some();
    let output_image_tokens = if is_told { usage.output_image_tokens } else { usage.output_tokens };
    Ok(Usage { output_image_tokens, ..usage })
}

/// What the model used that wrote an SVG, which is billed beside the image; `None` when there is no such thing.
pub(super) fn svg_usage(json: &Json) -> Result<Option<Usage>, Absurd> {
    let Some(tokens) = at(json, &["svg_usage"])? else { return Ok(None) };
    Ok(Some(Usage { model: text(tokens, "model")?.map(str::to_owned), ..input_output(tokens)? }))
}

impl Images {
    fn take(&mut self, json: &Json) -> Result<(), Absurd> {
        let Some(tokens) = at(json, &["usage"])? else { return Ok(()) };
        self.usages.push(image_usage(tokens)?);
        self.usages.extend(svg_usage(json)?);
        Ok(())
    }
}

impl Reader for Images {
    fn members(&self, _: bool) -> &'static [&'static str] {
        &["type", "usage", "svg_usage", "error"]
    }

    fn words(&self) -> &'static [&'static str] {
        &["image_generation.completed", "image_edit.completed", "error"]
    }

    fn json(&mut self, answer: &Json) -> Result<(), Absurd> {
        if at(answer, &["error"])?.is_some() {
            self.end = End::Failed;
        }
        self.take(answer)
    }

    fn event(&mut self, event: &Json) -> Result<(), Absurd> {
        match text(event, "type")? {
            // Where several images were asked for, there is one event for each.
            Some("image_generation.completed" | "image_edit.completed") => {
                self.end = self.end.max(End::Proper);
                self.take(event)
            }
            kind => {
                if kind == Some("error") || at(event, &["error"])?.is_some() {
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
