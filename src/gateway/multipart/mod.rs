//! Reading a body of `multipart/form-data` (RFC 7578): which fields there are, and what the short ones say. Files are passed over.
//!
//! Parsers of this format read much of it differently: lines that end in `\n` alone, folded headers, escapes in names, a boundary that
//! is the beginning of another. The body goes to a provider whose parser nobody here knows, byte for byte; so only what all of them
//! read the same is read here, which is what the clients of AI providers write, and anything else is an error:
//!
//! - the body is parts and delimiters, with nothing before the first and nothing but a line end after the last;
//! - `--boundary` stands nowhere else, not even in a file;
//! - a part's headers are few and known, none is folded or encoded, none stands twice;
//! - names are plain: letters, digits and `_-.[]`.

use memchr::memmem;

/// Most parts of a body.
const MAX_PARTS: usize = 256;
/// Longest headers of a part, in bytes.
const MAX_HEAD_BYTES: usize = 4096;
/// Longest name of a field, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// Longest boundary, in bytes (RFC 2046 §5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;
/// What the media type of such a body is.
const MEDIA_TYPE: &str = "multipart/form-data";
const LINE_END: &str = "\r\n";

/// What stands between the parts of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Boundary(String);

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Its name, as it stands.
    pub(super) name: &'a str,
    /// Whether it has a file's name, and so is one.
    pub(super) is_file: bool,
    /// Whether all parsers take it for text in UTF-8.
    pub(super) is_plain_text: bool,
    /// What it says.
    pub(super) content: &'a [u8],
}

impl Boundary {
    /// From the `content-type` of a request.
    ///
    /// # Errors
    /// What is wrong with it, for the caller.
    pub(super) fn of(content_type: Option<&str>) -> Result<Self, String> {
        let content_type = content_type.unwrap_or_default();
        let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        if !media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(format!("this endpoint takes a body of the content-type {MEDIA_TYPE}"));
        }
        let wrong = || format!("the content-type has to be {MEDIA_TYPE} with a plain boundary and nothing else");
        let (name, boundary) = parameters.split_once('=').ok_or_else(wrong)?;
        let boundary = boundary.trim_end();
        let boundary = boundary.strip_prefix('"').and_then(|boundary| boundary.strip_suffix('"')).unwrap_or(boundary);
        // What is both a token (RFC 9110 §5.6.2) and a boundary.
        let is_plain = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len())
            && boundary.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'+-._".contains(&byte))
            && boundary.bytes().any(|byte| byte.is_ascii_alphanumeric());
        if name.trim().eq_ignore_ascii_case("boundary") && is_plain {
            Ok(Self(boundary.to_owned()))
        } else {
            Err(wrong())
        }
    }

    /// The `content-type` of a body with this boundary.
    pub(super) fn content_type(&self) -> String {
        format!("{MEDIA_TYPE}; boundary={}", self.0)
    }
}

/// The fields of a form, in their order.
///
/// # Errors
/// What is wrong with it, for the caller.
pub(super) fn parts<'a>(body: &'a [u8], boundary: &Boundary) -> Result<Vec<Part<'a>>, String> {
    let delimiter = format!("--{}", boundary.0);
    let mut parts = Vec::new();
    // Where the part begins that is open.
    let mut open: Option<usize> = None;
    for at in memmem::find_iter(body, delimiter.as_bytes()) {
        match open {
            None if at == 0 => {}
            None => return Err("the form does not begin with its boundary".to_owned()),
            Some(begin) => {
                let end = at.checked_sub(LINE_END.len()).filter(|end| *end >= begin);
                let part = end.and_then(|end| Some((body.get(begin..end)?, body.get(end..at)?)));
                let Some((part, b"\r\n")) = part else {
                    return Err("the boundary stands within a part of the form".to_owned());
                };
                if parts.len() >= MAX_PARTS {
                    return Err(format!("the form has more than {MAX_PARTS} parts"));
                }
                parts.push(read(part)?);
            }
        }
        let behind = at.saturating_add(delimiter.len());
        match body.get(behind..).unwrap_or_default() {
            [b'\r', b'\n', ..] => open = Some(behind.saturating_add(LINE_END.len())),
            b"--" | b"--\r\n" => return Ok(parts),
            _ => return Err("the boundary is followed by something else than a part of the form or its end".to_owned()),
        }
    }
    Err(match open {
        None => "the form does not begin with its boundary".to_owned(),
        Some(_) => "the form breaks off: its last boundary is missing".to_owned(),
    })
}

/// Reads what stands between two delimiters.
fn read(part: &[u8]) -> Result<Part<'_>, String> {
    let most = part.get(..MAX_HEAD_BYTES).unwrap_or(part);
    let (head, content) = memmem::find(most, b"\r\n\r\n")
        .and_then(|end| Some((part.get(..end)?, part.get(end.checked_add(4)?..)?)))
        .ok_or_else(|| format!("a part of the form has no headers, or more than {MAX_HEAD_BYTES} bytes of them"))?;
    let head = core::str::from_utf8(head).map_err(|_| "the headers of a part of the form are not UTF-8".to_owned())?;
    let mut disposition = None;
    let mut is_plain_text = true;
    let mut seen: Vec<String> = Vec::new();
    for line in head.split(LINE_END) {
        let unreadable = || "a header of a part of the form is folded, or not plain text".to_owned();
        let (name, value) = line.split_once(':').ok_or_else(unreadable)?;
        if !name.bytes().all(is_token) || name.is_empty() || line.chars().any(char::is_control) {
            return Err(unreadable());
        }
        let (name, value) = (name.to_ascii_lowercase(), value.trim_matches(' '));
        match name.as_str() {
            "content-disposition" => disposition = Some(read_disposition(value)?),
            "content-type" => is_plain_text = is_plain(value),
            "content-length" if value.parse() == Ok(content.len()) && value.bytes().all(|b| b.is_ascii_digit()) => {}
            "content-transfer-encoding" if ["7bit", "8bit", "binary"].contains(&value) => {}
            _ => {
                return Err(format!(
                    "a part of the form has the header {name:?}, with a value that it can't have here"
                ));
            }
        }
        if seen.contains(&name) {
            return Err(format!("a part of the form has the header {name:?} twice"));
        }
        seen.push(name);
    }
    let (name, is_file) = disposition.ok_or("a part of the form has no content-disposition")?;
    Ok(Part { name, is_file, is_plain_text, content })
}

/// `form-data; name="…"; filename="…"`: the name, and whether there is one of a file.
fn read_disposition(value: &str) -> Result<(&str, bool), String> {
    let wrong = || "the content-disposition of a part of the form is not plain".to_owned();
    let (mut name, mut file, mut encoded_file) = (None, None, None);
    let mut rest = value.strip_prefix("form-data").ok_or_else(wrong)?;
    while !rest.is_empty() {
        let parameter = rest.trim_start_matches(' ').strip_prefix(';').ok_or_else(wrong)?;
        let (key, behind) = parameter.trim_start_matches(' ').split_once('=').ok_or_else(wrong)?;
        let (text, behind) = if let Some(quoted) = behind.strip_prefix('"') {
            quoted.split_once('"').ok_or_else(wrong)?
        } else {
            let (text, behind) = behind.split_at(behind.find([';', ' ']).unwrap_or(behind.len()));
            if text.is_empty() || !text.bytes().all(is_token) {
                return Err(wrong());
            }
            (text, behind)
        };
        let place = match key {
            "name" => &mut name,
            "filename" => &mut file,
            "filename*" => &mut encoded_file,
            _ => return Err(wrong()),
        };
        // Some take a backslash for an escape, and so for the next quote too.
        if text.contains('\\') || place.replace(text).is_some() {
            return Err(wrong());
        }
        rest = behind;
    }
    let name = name.filter(|name| is_plain_name(name)).ok_or("a part of the form has no name, or not a plain one")?;
    // Known to some parsers only: alone it would be a file to these and a field to those.
    if encoded_file.is_some() && file.is_none() {
        return Err(wrong());
    }
    Ok((name, file.is_some()))
}

fn is_plain_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte))
        // Some take it for the charset of all the others.
        && !name.eq_ignore_ascii_case("_charset_")
}

/// A content type that says text in UTF-8, or nothing beyond it.
fn is_plain(content_type: &str) -> bool {
    let content_type = content_type.to_ascii_lowercase();
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    media_type.trim() == "text/plain"
        && ["", "charset=utf-8", "charset=\"utf-8\"", "charset=us-ascii"].contains(&parameters.trim())
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
