//! Prices as people write them: the format of the built-in table and of what the operator sets (`docs/prices.md`).

use super::{
    super::{json::Json, shown},
    Price, Rate, Rates, Tier,
};
use crate::domain::{limits::MAX_STORED_INTEGER, permission::Provider};

/// Per token and per character, amounts are in USD per million; otherwise in USD for one. So many decimal places are whole pico-USD.
const PLACES_PER_MILLION: usize = 6;
const PLACES_FOR_ONE: usize = 12;
/// Most digits before the point.
const WHOLE_DIGITS: usize = 6;
const PERCENTS: core::ops::RangeInclusive<u64> = 100..=1_000;
const MULTIPLES: core::ops::RangeInclusive<u64> = 100..=10_000;

/// Prices that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The whole text.
    #[error("prices are a JSON list of objects, one for each model: {0}")]
    NotAList(String),
    /// A field of a price.
    #[error("price {number}{}: {problem}", place(.model.as_deref(), .field))]
    Field {
        /// Which price, counted from 1.
        number: usize,
        /// The model, where it is known.
        model: Option<String>,
        /// Where in it, like `flex.long.input`.
        field: String,
        /// What is wrong.
        problem: Problem,
    },
    /// Two prices for one model.
    #[error("price {number} is a second one for {model:?}; remove one of them")]
    SecondPrice {
        /// Which price, counted from 1.
        number: usize,
        /// The model.
        model: String,
    },
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It means nothing.
    #[error("no such field; see docs/prices.md")]
    Unknown,
    /// It stands twice.
    #[error("stands twice; remove one of them")]
    Twice,
    /// It is needed.
    #[error("is missing")]
    Missing,
    /// It should be `openai` or `anthropic`.
    #[error("write \"openai\" or \"anthropic\"")]
    NotAProvider,
    /// It should be a text.
    #[error("write a text that is not empty")]
    NotAText,
    /// It should be an amount.
    #[error("write USD per million as a text like \"0.25\": at most six digits before and after the point")]
    NotPerMillion,
    /// It should be an amount.
    #[error("write USD for one as a text like \"0.01\": at most six digits before and twelve after the point")]
    NotForOne,
    /// It should be a number of tokens.
    #[error("write a whole number of tokens like 128000")]
    NotTokens,
    /// It should be a factor.
    #[error("write a whole number of percent from 100 to 1000")]
    NotPercent,
    /// It should be how many times the tokens of a picture count.
    #[error("write a whole number of percent from 100 to 10000")]
    NotMultiple,
    /// It should be an object.
    #[error("write an object with prices, like {{\"input\": \"0.25\"}}")]
    NotAnObject,
}

fn place(model: Option<&str>, field: &str) -> String {
    let model = model.map(|model| format!(" ({})", shown(model))).unwrap_or_default();
    if field.is_empty() { model } else { format!("{model}, {}", shown(field)) }
}

/// A price and whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) provider: Provider,
    pub(super) model: String,
    pub(super) price: Price,
}

/// Where something is wrong, and what.
type Wrong = (String, Problem);

impl Entry {
    /// Reads a price; `number` is for errors.
    pub(super) fn read(number: usize, json: &Json) -> Result<Self, PriceError> {
        let mut reader = Reader { provider: None, model: None, price: Price::default() };
        let done = reader.top(json).and_then(|()| reader.check());
        let model = reader.model.clone();
        match (done, reader.provider, reader.model) {
            (Ok(()), Some(provider), Some(model)) => {
                let mut price = reader.price;
                if provider == Provider::Anthropic {
                    // Its pictures are billed as what the model reads.
                    price.image_percent.get_or_insert(100);
                }
                Ok(Self { provider, model, price })
            }
            (Err((field, problem)), ..) => Err(PriceError::Field { number, model, field, problem }),
            (Ok(()), None, _) => {
                Err(PriceError::Field { number, model, field: "provider".to_owned(), problem: Problem::Missing })
            }
            (Ok(()), _, None) => {
                Err(PriceError::Field { number, model, field: "model".to_owned(), problem: Problem::Missing })
            }
        }
    }
}

struct Reader {
    provider: Option<Provider>,
    model: Option<String>,
    price: Price,
}

impl Reader {
    fn top(&mut self, json: &Json) -> Result<(), Wrong> {
        each("", json, |field, value| {
            let price = &mut self.price;
            match field {
                "provider" => self.provider = Some(provider(value)?),
                "model" => self.model = Some(text(value)?.to_owned()),
                "audio_second" => price.audio_second = Some(for_one(value)?),
                "search" => price.search = Some(for_one(value)?),
                "characters" => price.character = Some(per_million(value)?),
                "window" => price.window = Some(tokens(value).filter(|window| *window > 0).ok_or(Problem::NotTokens)?),
                "max_output" => price.max_output = Some(tokens(value).ok_or(Problem::NotTokens)?),
                "region_percent" => price.region_percent = Some(percent(value)?),
                "fast_percent" => price.fast_percent = Some(percent(value)?),
                "image_percent" => price.image_percent = Some(multiple(value)?),
                "long" | "flex" | "priority" | "ultrafast" => return Ok(Some(value)),
                _ => return rate(&mut price.rates, field, value, Tier::Standard, false).map(|()| None),
            }
            Ok(None)
        })?
        .into_iter()
        .try_for_each(|(field, value)| match field.as_str() {
            "long" => self.long(value),
            "flex" => self.tier(&field, value, Tier::Flex),
            "priority" => self.tier(&field, value, Tier::Priority),
            _ => self.tier(&field, value, Tier::Ultrafast),
        })
    }

    fn long(&mut self, json: &Json) -> Result<(), Wrong> {
        let price = &mut self.price;
        each("long.", json, |field, value| {
            if field == "above" {
                price.long_above = Some(tokens(value).ok_or(Problem::NotTokens)?);
                return Ok(None);
            }
            rate(&mut price.rates, field, value, Tier::Standard, true).map(|()| None)
        })
        .map(|_| ())
    }

    fn tier(&mut self, name: &str, json: &Json, tier: Tier) -> Result<(), Wrong> {
        let rates = &mut self.price.rates;
        let inner = each(&format!("{name}."), json, |field, value| {
            if field == "long" {
                return Ok(Some(value));
            }
            rate(rates, field, value, tier, false).map(|()| None)
        })?;
        inner.into_iter().try_for_each(|(path, value)| {
            each(&format!("{path}."), value, |field, value| rate(rates, field, value, tier, true).map(|()| None))
                .map(|_| ())
        })
    }

    /// What is forgotten would be booked as free.
    fn check(&self) -> Result<(), Wrong> {
        let Price { rates, long_above, max_output, audio_second, character, .. } = &self.price;
        let missing = |field: &str| Err((field.to_owned(), Problem::Missing));
        let by_something_else = audio_second.is_some() || character.is_some();
        let known = |rate| rates.own(rate, Tier::Standard, false).is_some();
        if !by_something_else && !known(Rate::Input) {
            return missing("input");
        }
        let writes = *max_output != Some(0) && !by_something_else;
        if writes && !Rate::OF_OUTPUT.into_iter().any(known) {
            return missing("output");
        }
        if rates.has_long() && long_above.is_none() {
            return missing("long.above");
        }
        Ok(())
    }
}

/// Hands each field of an object to `take`; what `take` gives back is returned with its path.
fn each<'a>(
    path: &str,
    json: &'a Json,
    mut take: impl FnMut(&str, &'a Json) -> Result<Option<&'a Json>, Problem>,
) -> Result<Vec<(String, &'a Json)>, Wrong> {
    let Json::Object(fields) = json else {
        return Err((path.trim_end_matches('.').to_owned(), Problem::NotAnObject));
    };
    let mut later = Vec::new();
    for (index, (field, value)) in fields.iter().enumerate() {
        let name = || format!("{path}{field}");
        if fields.iter().take(index).any(|(earlier, _)| earlier == field) {
            return Err((name(), Problem::Twice));
        }
        if let Some(value) = take(field, value).map_err(|problem| (name(), problem))? {
            later.push((name(), value));
        }
    }
    Ok(later)
}

fn rate(rates: &mut Rates, field: &str, value: &Json, tier: Tier, long: bool) -> Result<(), Problem> {
    rates.set(Rate::named(field).ok_or(Problem::Unknown)?, tier, long, per_million(value)?);
    Ok(())
}

fn text(value: &Json) -> Result<&str, Problem> {
    match value {
        Json::Text(text) if !text.is_empty() => Ok(text),
        _ => Err(Problem::NotAText),
    }
}

fn provider(value: &Json) -> Result<Provider, Problem> {
    text(value).ok().and_then(|text| text.parse().ok()).ok_or(Problem::NotAProvider)
}

fn tokens(value: &Json) -> Option<u64> {
    match value {
        Json::Integer(number) if *number <= MAX_STORED_INTEGER => Some(*number),
        _ => None,
    }
}

fn percent(value: &Json) -> Result<u64, Problem> {
    tokens(value).filter(|percent| PERCENTS.contains(percent)).ok_or(Problem::NotPercent)
}

fn multiple(value: &Json) -> Result<u64, Problem> {
    tokens(value).filter(|percent| MULTIPLES.contains(percent)).ok_or(Problem::NotMultiple)
}

fn per_million(value: &Json) -> Result<u64, Problem> {
    decimal(value, PLACES_PER_MILLION).ok_or(Problem::NotPerMillion)
}

fn for_one(value: &Json) -> Result<u64, Problem> {
    decimal(value, PLACES_FOR_ONE).ok_or(Problem::NotForOne)
}

/// A decimal text in units of 10^-`places`, exactly.
fn decimal(value: &Json, places: usize) -> Option<u64> {
    let Json::Text(text) = value else { return None };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole, WHOLE_DIGITS) || !digits(fraction, places) {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}
