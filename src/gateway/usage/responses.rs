//! OpenAI's Responses. A stream says its usage in its last event, always.
//!
//! Tools that run at OpenAI are counted apart: web searches, and the tokens of the image model. Some are billed and not counted at all
//! (containers, searches in files); an answer that ran one never says all.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    Usage,
    images::{SvgUsage, image_usage},
    meter::{End, Reader, Said},
    tokens::{Absurd, Count, InputOutput, mentions, tier},
};

#[derive(Debug, Default)]
pub(super) struct Responses {
    usages: Vec<Usage>,
    /// It ran something that it doesn't count.
    is_more: bool,
    end: End,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Read only in the events that end a stream.
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Response {
    model: Option<String>,
    service_tier: Option<String>,
    status: Option<String>,
    usage: Option<InputOutput>,
    tool_usage: Option<ToolUsage>,
    output: Option<Vec<Item>>,
    tools: Option<Vec<Tool>>,
}

#[derive(Deserialize)]
struct ToolUsage {
    web_search: Option<WebSearch>,
    image_gen: Option<InputOutput>,
}

#[derive(Deserialize)]
struct WebSearch {
    num_requests: Option<Count>,
}

/// An item of the output.
#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: Option<String>,
    action: Option<Action>,
    svg_usage: Option<SvgUsage>,
}

/// What a call of a tool did. It may be a text in other items.
#[derive(Deserialize)]
#[serde(untagged)]
enum Action {
    Named {
        #[serde(rename = "type")]
        kind: String,
    },
    Other(IgnoredAny),
}

/// A tool of the request, which the answer repeats.
#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: Option<String>,
    model: Option<String>,
}

impl Item {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Opening a page and searching in it cost nothing; anything else is billed as a search.
    fn is_search(&self) -> bool {
        let is_free = |action: &Action| matches!(action, Action::Named { kind } if matches!(kind.as_str(), "open_page" | "find_in_page"));
        self.is("web_search_call") && !self.action.as_ref().is_some_and(is_free)
    }

    /// Runs at a price that no count tells.
    fn is_uncounted(&self) -> bool {
        self.is("code_interpreter_call") || self.is("file_search_call") || self.is("shell_call")
    }
}

impl Responses {
    fn read(&mut self, json: &[u8]) -> Result<(), Absurd> {
        let response: Response = serde_json::from_slice(json)?;
        if matches!(response.status.as_deref(), Some("failed" | "cancelled")) {
            self.end = End::Failed;
        }
        let Some(tokens) = response.usage else { return Ok(()) };
        let output = response.output.unwrap_or_default();
        let (search, image) = response.tool_usage.map_or((None, None), |tools| (tools.web_search, tools.image_gen));
        let searches = search.and_then(|search| search.num_requests).map_or_else(
            || output.iter().filter(|item| item.is_search()).count().try_into().unwrap_or(u64::MAX),
            |searches| searches.0,
        );
        self.usages.push(Usage {
            web_searches: searches,
            tier: tier(response.service_tier.as_deref()),
            model: response.model,
            ..tokens.usage()?
        });
        self.is_more |= output.iter().any(Item::is_uncounted);
        let drew = output.iter().any(|item| item.is("image_generation_call"));
        let image = image.filter(|image| image.input_tokens.0 > 0 || image.output_tokens.0 > 0);
        match (image, image_model(response.tools)) {
            (Some(image), Some(model)) => self.usages.push(Usage { model: Some(model), ..image_usage(&image)? }),
            // Whose tokens they are can't be told, or what was drawn was not counted.
            (Some(_), None) => self.is_more = true,
            (None, _) => self.is_more |= drew,
        }
        for svg in output.into_iter().filter_map(|item| item.svg_usage) {
            self.usages.push(svg.usage()?);
        }
        Ok(())
    }
}

/// The model that draws, if there is just one.
fn image_model(tools: Option<Vec<Tool>>) -> Option<String> {
    let mut models =
        tools?.into_iter().filter(|tool| tool.kind.as_deref() == Some("image_generation")).map(|tool| tool.model);
    let model = models.next()??;
    models.all(|other| other.as_ref() == Some(&model)).then_some(model)
}

impl Reader for Responses {
    fn members(&self) -> &'static [&'static str] {
        &["model", "service_tier", "status", "usage", "tool_usage", "output", "tools"]
    }

    fn json(&mut self, answer: &[u8]) -> Result<(), Absurd> {
        self.read(answer)
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Absurd> {
        const LAST: [&str; 5] =
            ["response.completed", "response.incomplete", "response.failed", "response.cancelled", "error"];
        if !mentions(data, &LAST) {
            return Ok(());
        }
        let Event { kind, response, error } = serde_json::from_slice(data)?;
        match kind.as_deref() {
            Some("response.completed" | "response.incomplete") => self.end = self.end.max(End::Proper),
            Some("response.failed" | "response.cancelled") => self.end = End::Failed,
            kind => {
                if kind == Some("error") || error.is_some() {
                    self.end = End::Failed;
                }
                return Ok(());
            }
        }
        self.usages.clear();
        response.map_or(Ok(()), |response| self.read(response.get().as_bytes()))
    }

    fn said(&self) -> Said {
        // A failed one that says its usage has said it all.
        Said { usages: self.usages.clone(), is_final: !self.is_more, end: self.end }
    }
}
