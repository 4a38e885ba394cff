//! One pass over a form with files: the same questions as of a JSON body.
//!
//! A field stands once, unless its name ends in `[]`. What is written another way than its name (`model[]`, `Model`) is refused where
//! it decides. JSON in a field is looked into, and names like `mask[file_id]` are taken for what they would be in JSON.

use serde::de::DeserializeSeed;

use super::{
    super::multipart::{Boundary, Part, parts},
    MAX_MODEL_BYTES, Rules, STORED_ELSEWHERE, Said, Survey, ToolNeeds, Value, Weight,
};

/// Most digits of a number that decides.
const MAX_DIGITS: usize = 12;

/// Reads a body of `multipart/form-data`.
///
/// # Errors
/// What is wrong with the form, for the caller.
pub(in super::super) fn survey_form(body: &[u8], boundary: &Boundary, rules: &Rules) -> Result<Survey, String> {
    let mut survey = Survey::default();
    let mut seen: Vec<&str> = Vec::new();
    for part in parts(body, boundary)? {
        if !part.name.ends_with("[]") {
            if seen.contains(&part.name) {
                return Err(format!("the field {} stands twice", part.name));
            }
            seen.push(part.name);
        }
        note(&part, rules, &mut survey)?;
    }
    survey.weigh_format();
    Ok(survey)
}

fn note(part: &Part<'_>, rules: &Rules, survey: &mut Survey) -> Result<(), String> {
    let name = part.name;
    let mut keys = name.split(['[', ']', '.']).filter(|key| !key.is_empty());
    let first = keys.next().unwrap_or_default();
    let decides = rules.is_decisive(first);
    if rules.is_decisive_in_another_case(first, true) || decides && first != name {
        return Err(format!("the field {first} is written as {name}"));
    }
    if part.is_file {
        survey.weights.media = true;
        return if decides { Err(format!("the field {name} is a file")) } else { Ok(()) };
    }
    if rules.files.contains(&first) {
        return Err(format!("the field {name} is no file; what is stored at the provider can't be used"));
    }
    let text = core::str::from_utf8(part.content).map_err(|_| format!("the field {name} is not UTF-8"))?;
    if decides {
        if !part.is_plain_text {
            return Err(format!("the field {name} is not plain text in UTF-8"));
        }
        return decide(name, text, rules, survey);
    }
    if rules.opaque.contains(&first) && keys.clone().next().is_none() {
        return Ok(());
    }
    if first == "tools" || rules.tool_keys.contains(&first) {
        survey.need(ToolNeeds::SERVER.capabilities);
        survey.weights.note_tool("unknown", None);
    }
    if rules.is_reference(first, Said::Text) {
        survey.refuse(first, STORED_ELSEWHERE);
    }
    let mut last = first;
    for key in keys {
        if rules.is_decisive_in_another_case(key, false) {
            return Err(format!("{key} in {name} is written in another case"));
        }
        if key == "id" || rules.is_reference(key, Said::Text) {
            survey.refuse(key, STORED_ELSEWHERE);
        }
        last = key;
    }
    if last == "model" {
        survey.note_model(&model_id(name, text)?);
    }
    let json = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if json.starts_with(['{', '[']) {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let read = Value::under(last, rules, survey).deserialize(&mut deserializer);
        read.and_then(|_| deserializer.end()).map_err(|error| format!("the field {name} is no JSON: {error}"))?;
    }
    Ok(())
}

/// A field that decides.
fn decide(name: &str, text: &str, rules: &Rules, survey: &mut Survey) -> Result<(), String> {
    match name {
        "model" => survey.model = Some(model_id(name, text)?),
        "stream" => {
            survey.stream = match text {
                "true" | "True" => true,
                "false" | "False" => false,
                _ => return Err("the field stream is neither true nor false".to_owned()),
            }
        }
        _ => {
            if let Some((_, weight)) = rules.weights.iter().find(|(known, _)| *known == name) {
                match weight {
                    Weight::MaxOutput | Weight::Choices | Weight::ToolUses => {
                        let is_plain = text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
                        let number = text.parse().ok().filter(|_| is_plain);
                        let number = number.ok_or_else(|| format!("the field {name} is not a whole number"))?;
                        survey.weights.note_number(*weight, Some(number));
                    }
                    _ => survey.weights.note_text(*weight, Some(text.to_owned())),
                }
            }
            // Nothing in a form says nothing: an empty text may be `null`, or may be something.
            if let Some((field, reason)) = rules.refused.iter().chain(rules.lists).find(|(known, _)| *known == name) {
                survey.refuse(field, reason);
            }
            if let Some((_, capability)) = rules.noted.iter().find(|(known, _)| *known == name) {
                survey.need(&[*capability]);
            }
        }
    }
    Ok(())
}

/// A model id that all parsers read the same: some cut off what is around it.
fn model_id(name: &str, text: &str) -> Result<String, String> {
    let is_plain = (1..=MAX_MODEL_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok(text.to_owned()) } else { Err(format!("the field {name} is no plain model id")) }
}
