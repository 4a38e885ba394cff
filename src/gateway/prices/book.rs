//! Which price is whose.

use std::{collections::BTreeSet, sync::OnceLock};

use sha2::{Digest, Sha256};

use super::{
    super::{json::Json, usage::Usage},
    Price,
    parse::{Entry, PriceError},
};
use crate::domain::{money::NanoUsd, permission::Provider};

/// Made by `scripts/prices.mjs`: a line that says where it is from, then one line for each model, sorted.
pub(super) const TABLE: &str = include_str!("table.jsonl");
/// How the lines begin, so that they are found without being parsed.
const VERSION_BEGINS: &str = "{\"version\":\"";
const PROVIDER_BEGINS: &str = "{\"provider\":\"";
const MODEL_BEGINS: &str = "\",\"model\":\"";
const TEXT_ENDS: char = '"';
/// How the fine-tuned begin.
const FINE_TUNED: &str = "ft:";

/// Prices by model: the built-in ones, and before them those that the operator sets.
#[derive(Debug)]
pub struct PriceBook {
    overrides: Vec<Entry>,
    built_in: Vec<Row>,
    version: String,
    /// Providers that are asked in one region, whatever a request says.
    in_one_region: Vec<Provider>,
}

/// A line of the table, parsed when it is asked for.
#[derive(Debug)]
struct Row {
    provider: &'static str,
    model: &'static str,
    line: &'static str,
    price: OnceLock<Option<Price>>,
}

impl PriceBook {
    /// The built-in prices.
    #[must_use]
    pub fn built_in() -> Self {
        let mut lines = TABLE.lines();
        let version = lines.next().and_then(|line| up_to_quote(line.strip_prefix(VERSION_BEGINS)?)).unwrap_or_default();
        Self {
            overrides: Vec::new(),
            built_in: lines.filter_map(Row::of).collect(),
            version: version.to_owned(),
            in_one_region: Vec::new(),
        }
    }

    /// The same, where the operator asks this provider in one region.
    #[must_use]
    pub fn in_one_region(mut self, provider: Provider) -> Self {
        self.in_one_region.push(provider);
        self
    }

    /// Whether this provider is asked in one region, whatever a request says.
    #[must_use]
    pub fn is_in_one_region(&self, provider: Provider) -> bool {
        self.in_one_region.contains(&provider)
    }

    /// The built-in prices, and before them the operator's: a JSON list of objects like
    /// `{"provider":"openai","model":"gpt-5","input":"1.25","output":"10","window":272000,"max_output":128000}`. A price takes the
    /// place of the built-in one as a whole.
    ///
    /// # Errors
    /// [`PriceError`], which names the price and the field and says what to do.
    pub fn with_overrides(json: &str) -> Result<Self, PriceError> {
        let json_list = serde_json::from_str(json).map_err(|error| PriceError::NotAList(error.to_string()))?;
        let Json::List(list) = json_list else {
            return Err(PriceError::NotAList("it is something else".to_owned()));
        };
        let mut overrides: Vec<Entry> = Vec::with_capacity(list.len());
        for (number, json) in (1..).zip(&list) {
            let entry = Entry::read(number, json)?;
            if overrides.iter().any(|other| (other.provider, &other.model) == (entry.provider, &entry.model)) {
                return Err(PriceError::SecondPrice { number, model: entry.model });
            }
            overrides.push(entry);
        }
        let mut book = Self { overrides, ..Self::built_in() };
        let mark = Sha256::digest(json).first_chunk().map_or(0, |first| u32::from_be_bytes(*first));
        book.version = format!("{}+{mark:08x}", book.version);
        Ok(book)
    }

    /// The price of a model, by its exact id: that of a snapshot is its own, and a new one has none. Only what `OpenAI` calls
    /// `ft:BASE:…` is found as `ft:BASE`, which is how it is billed.
    #[must_use]
    pub fn find(&self, provider: Provider, model: &str) -> Option<&Price> {
        self.exactly(provider, model).or_else(|| {
            let base = model.strip_prefix(FINE_TUNED).filter(|_| provider == Provider::OpenAi)?;
            let (base, _) = base.split_once(':')?;
            self.exactly(provider, &format!("{FINE_TUNED}{base}"))
        })
    }

    /// What a call costs that reads and writes so many tokens of text; `None`: no price of the model is known, or it answers in
    /// something else.
    #[must_use]
    pub fn of_chat(
        &self,
        provider: Provider,
        model: &str,
        (input_tokens, output_tokens): (u64, u64),
    ) -> Option<NanoUsd> {
        let price = self.find(provider, model).filter(|price| price.is_of_chat())?;
        Some(price.cost(&Usage { input_tokens, output_tokens, ..Usage::default() }))
    }

    /// The models of a provider that have a price, in order.
    #[must_use]
    pub fn models(&self, provider: Provider) -> BTreeSet<String> {
        let own = self.overrides.iter().filter(|entry| entry.provider == provider).map(|entry| entry.model.clone());
        let rows = self.built_in.iter().filter(|row| row.provider == provider.as_str());
        own.chain(rows.map(|row| row.model.to_owned())).collect()
    }

    /// Which prices these are, in at most 40 characters: the built-in version, and the first bytes of the SHA-256 of
    /// the operator's prices, which tell one set of them from another.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    fn exactly(&self, provider: Provider, model: &str) -> Option<&Price> {
        if let Some(entry) = self.overrides.iter().find(|entry| entry.provider == provider && entry.model == model) {
            return Some(&entry.price);
        }
        let at =
            self.built_in.binary_search_by(|row| (row.provider, row.model).cmp(&(provider.as_str(), model))).ok()?;
        self.built_in.get(at)?.price()
    }

    /// Every built-in price.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, Option<&Price>)> {
        self.built_in.iter().map(|row| (row.model, row.price()))
    }
}

impl Row {
    fn of(line: &'static str) -> Option<Self> {
        let (provider, rest) = line.strip_prefix(PROVIDER_BEGINS)?.split_once(MODEL_BEGINS)?;
        Some(Self { provider, model: up_to_quote(rest)?, line, price: OnceLock::new() })
    }

    fn price(&self) -> Option<&Price> {
        let parse = || Some(Entry::read(1, &serde_json::from_str(self.line).ok()?).ok()?.price);
        self.price.get_or_init(parse).as_ref()
    }
}

fn up_to_quote(text: &'static str) -> Option<&'static str> {
    text.split_once(TEXT_ENDS).map(|(text, _)| text)
}
