#![expect(clippy::string_slice, reason = "cut where something was found")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use axum::http::HeaderValue;

use super::*;

fn chosen(accept: &str, cookie: &str) -> Language {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(accept).unwrap());
    headers.insert(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
    Language::of(&headers)
}

#[test]
fn the_browser_says_what_it_likes_best() {
    for (accept, language) in [
        ("ko-KR,ko;q=0.9,en;q=0.8", Language::Korean),
        ("en-US,en;q=0.9,ko;q=0.8", Language::English),
        ("fr-FR,ko;q=0.5,en;q=0.4", Language::Korean),
        ("ko;q=0.5, en", Language::English),
        ("ko;q=0", Language::English),
        ("fr", Language::English),
        ("KO", Language::Korean),
        ("", Language::English),
        ("ko;q=nonsense,en;q=0.1", Language::English),
        ("*", Language::English),
    ] {
        assert_eq!(chosen(accept, ""), language, "{accept}");
    }
}

#[test]
fn what_was_chosen_by_hand_counts_more() {
    assert_eq!(chosen("ko", "__Host-aip-language=en"), Language::English);
    assert_eq!(chosen("en", "__Host-aip-language=ko"), Language::Korean);
    assert_eq!(chosen("ko", "__Host-aip-language=xx"), Language::Korean);
}

#[test]
fn arguments_are_filled_in_and_never_read_again() {
    let english = Language::English;
    assert_eq!(english.with("{0} of {1}, {0}", &[&"{1}", &2]), "{1} of 2, {1}");
    assert_eq!(english.with("{ {2} {x} {", &[&1]), "{ {2} {x} {");
    assert_eq!(english.count(1, "{0} call", "{0} calls"), "1 call");
    assert_eq!(english.count(1200, "{0} call", "{0} calls"), "1,200 calls");
    assert_eq!(Text::new("{0} ({1})").with("<b>").with("{0}").in_language(english), "<b> ({0})");
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
}

fn web(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web"), ending, &mut found);
    found.sort();
    found
}

/// String literals of Rust or of a template, each with the code before it and after it.
fn literals(source: &str) -> Vec<(String, &str, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = source[at..].find('"').map(|offset| at + offset) {
        if source[..begin].ends_with('\'') && source[begin + 1..].starts_with('\'') {
            at = begin + 2;
            continue;
        }
        let (mut text, mut end) = (String::new(), begin + 1);
        let mut chars = source[begin + 1..].char_indices().peekable();
        while let Some((offset, char)) = chars.next() {
            end = begin + 1 + offset;
            match char {
                '"' => break,
                '\\' => match chars.next() {
                    Some((_, '\n')) => while chars.next_if(|(_, char)| char.is_whitespace()).is_some() {},
                    Some((_, 'u')) => {
                        let code: String =
                            chars.by_ref().map(|(_, char)| char).take_while(|char| *char != '}').collect();
                        let code = u32::from_str_radix(code.trim_start_matches('{'), 16).unwrap_or(0xfffd);
                        text.push(char::from_u32(code).unwrap());
                    }
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, other)) => text.push(other),
                    None => {}
                },
                other => text.push(other),
            }
        }
        found.push((text, &source[..begin], source.get(end + 1..).unwrap_or_default()));
        at = end + 1;
    }
    found
}

/// Whether code that ends here hands its next literal over as a text for people.
fn is_handed_over(before: &str) -> bool {
    let said = [".t(", "Text::new(", "Text::from(", "language.with("];
    said.iter().any(|end| before.trim_end().ends_with(end))
}

/// Whether code that ends here is among the arguments of a call that takes such texts.
fn is_within_a_call(before: &str) -> bool {
    ["Trouble::new(", "with_way_on(", "language.count("].iter().any(|call| {
        let Some(begin) = before.rfind(call) else { return false };
        !before[begin..].contains([';', '}'])
    })
}

fn is_a_sentence(text: &str) -> bool {
    text.contains(' ') && text.starts_with(|first: char| first.is_uppercase() || first == '{')
}

fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for path in web(".html") {
        let source = fs::read_to_string(&path).unwrap();
        for (text, _, after) in literals(&source) {
            let filter: String = after.strip_prefix('|').unwrap_or_default().chars().take(2).collect();
            if matches!(filter.chars().next(), Some('t' | 'h'))
                && !filter.chars().nth(1).is_some_and(|next| next.is_ascii_alphabetic())
            {
                keys.insert(text);
            }
        }
    }
    for path in web(".rs") {
        if path.to_str().unwrap().contains("/language/") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for (text, before, _) in literals(source) {
            if is_handed_over(before) || (is_within_a_call(before) && is_a_sentence(&text)) {
                keys.insert(text);
            }
        }
    }
    keys
}

#[test]
fn every_text_has_its_korean() {
    let missing: Vec<String> = keys().into_iter().filter(|key| ko::find(key).is_none()).collect();
    assert!(missing.is_empty(), "no Korean for {missing:#?}");
}

#[test]
fn a_translation_has_the_same_arguments_and_stands_once() {
    let mut seen = BTreeSet::new();
    for (english, korean) in ko::TABLES.iter().flat_map(|table| table.iter()) {
        assert!(seen.insert(english), "twice: {english}");
        for number in 0..6 {
            let argument = format!("{{{number}}}");
            assert_eq!(english.contains(&argument), korean.contains(&argument), "{english}");
        }
        assert_eq!(english.matches('<').count(), korean.matches('<').count(), "markup of {english}");
    }
}

/// 취소 on a button reads as "cancel": what was given is taken back by other words.
#[test]
fn the_korean_of_revoking_never_reads_as_cancel() {
    for (english, korean) in ko::TABLES.iter().flat_map(|table| table.iter()) {
        let said = english.to_lowercase();
        assert!(!korean.contains("취소") || said.contains("cancel"), "{english}: {korean}");
        if said.contains("revok") {
            assert!(["회수", "연결"].iter().any(|word| korean.contains(word)), "{english}: {korean}");
        }
        if said.contains("invitation") && (said.contains("take back") || said.contains("taken back")) {
            assert!(korean.contains("철회"), "{english}: {korean}");
        }
    }
}

/// What is left of a template without its code, its markup, and what is the same in every language.
fn bare_text(source: &str) -> String {
    let mut text = source.to_owned();
    for (open, close) in
        [("{#", "#}"), ("{%", "%}"), ("{{", "}}"), ("<pre", "</pre>"), ("<code", "</code>"), ("<", ">")]
    {
        while let Some(begin) = text.find(open) {
            let end = text[begin..].find(close).map_or(text.len(), |offset| begin + offset + close.len());
            text.replace_range(begin..end, " ");
        }
    }
    text.replace("AIPassport", "").replace("USD", "").replace("&nbsp;", "")
}

/// Templates that still have to be translated.
const STILL_ENGLISH: &[&str] = &[];

#[test]
fn no_template_says_anything_past_the_tables() {
    let mut bare = Vec::new();
    for path in web(".html") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = bare_text(&fs::read_to_string(&path).unwrap());
        let words: Vec<&str> = text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).collect();
        assert_eq!(
            STILL_ENGLISH.contains(&name),
            !words.is_empty() && STILL_ENGLISH.contains(&name),
            "{name} is translated"
        );
        if !words.is_empty() && !STILL_ENGLISH.contains(&name) {
            bare.push(format!("{name}: {}", words.join(" ")));
        }
    }
    assert!(bare.is_empty(), "{bare:#?}");
}
