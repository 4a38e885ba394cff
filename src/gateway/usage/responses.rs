//! OpenAI's Responses. A stream says its usage in its last event, always.
//!
//! Tools that run at OpenAI are counted apart: web searches, and the tokens of the image model. Some are billed and not counted at all
//! (containers, searches in files); an answer that ran one never says all.

use super::{
    super::json::Json,
    Usage,
    images::{image_usage, svg_usage},
    reader::{End, Reader, Said},
    tokens::{Absurd, at, count, count_if_any, input_output, list, text, tier},
};

#[derive(Debug, Default)]
pub(super) struct Responses {
    usages: Vec<Usage>,
    /// It ran something that it doesn't count.
    is_more: bool,
    end: End,
}

impl Responses {
    fn read(&mut self, response: &Json) -> Result<(), Absurd> {
        if matches!(text(response, "status")?, Some("failed" | "cancelled")) {
            self.end = End::Failed;
        }
        let Some(tokens) = at(response, &["usage"])? else { return Ok(()) };
        let (mut searches, mut drew) = (0_u64, false);
        let mut beside = Vec::new();
        for item in list(response, "output")? {
            match text(item, "type")? {
                Some("web_search_call") => searches = searches.saturating_add(u64::from(is_search(item)?)),
                Some("image_generation_call") => drew = true,
                // They run at a price that no count tells.
                Some("code_interpreter_call" | "file_search_call" | "shell_call") => self.is_more = true,
                _ => {}
            }
            beside.extend(svg_usage(item)?);
        }
        self.usages.push(Usage {
            web_searches: count_if_any(response, &["tool_usage", "web_search", "num_requests"])?.unwrap_or(searches),
            tier: tier(text(response, "service_tier")?),
            model: text(response, "model")?.map(str::to_owned),
            ..input_output(tokens)?
        });
        match at(response, &["tool_usage", "image_gen"])? {
            Some(image) if count(image, &["input_tokens"])? > 0 || count(image, &["output_tokens"])? > 0 => {
                match image_model(list(response, "tools")?)? {
                    Some(model) => self.usages.push(Usage { model: Some(model.to_owned()), ..image_usage(image)? }),
                    // Whose tokens they are can't be told.
                    None => self.is_more = true,
                }
            }
            // What was drawn was not counted.
            _ => self.is_more |= drew,
        }
        self.usages.append(&mut beside);
        Ok(())
    }
}

/// Whether a call of the web search is billed as one. Opening a page and searching in it cost nothing.
fn is_search(item: &Json) -> Result<bool, Absurd> {
    let Some(action) = at(item, &["action"])? else { return Ok(true) };
    Ok(!matches!(text(action, "type")?, Some("open_page" | "find_in_page")))
}

/// The model that draws, if there is just one. Tools are those of the request, which the answer repeats.
fn image_model(tools: &[Json]) -> Result<Option<&str>, Absurd> {
    let mut one = None;
    for tool in tools {
        if text(tool, "type")? == Some("image_generation") {
            match (text(tool, "model")?, one) {
                (Some(model), None) => one = Some(model),
                (model, _) if model == one => {}
                _ => return Ok(None),
            }
        }
    }
    Ok(one)
}

impl Reader for Responses {
    fn members(&self, is_stream: bool) -> &'static [&'static str] {
        let whole = &["model", "service_tier", "status", "usage", "tool_usage", "output", "tools"];
        if is_stream { &["type", "response", "error"] } else { whole }
    }

    fn words(&self) -> &'static [&'static str] {
        &["response.completed", "response.incomplete", "response.failed", "response.cancelled", "error"]
    }

    fn json(&mut self, answer: &Json) -> Result<(), Absurd> {
        self.read(answer)
    }

    fn event(&mut self, event: &Json) -> Result<(), Absurd> {
        match text(event, "type")? {
            Some("response.completed" | "response.incomplete") => self.end = self.end.max(End::Proper),
            Some("response.failed" | "response.cancelled") => self.end = End::Failed,
            kind => {
                if kind == Some("error") || at(event, &["error"])?.is_some() {
                    self.end = End::Failed;
                }
                return Ok(());
            }
        }
        self.usages.clear();
        at(event, &["response"])?.map_or(Ok(()), |response| self.read(response))
    }

    fn said(&self) -> Said {
        // A failed one that says its usage has said it all.
        Said { usages: self.usages.clone(), is_final: !self.is_more, end: self.end }
    }
}
