//! What a browser calls itself, in words.

use super::{format, language::Language};

/// Most characters of what isn't known.
const MAX_CHARS: usize = 40;

/// How browsers are told apart: by the first of these that stands there, since each also claims to be others further down.
const BROWSERS: [(&str, &str); 10] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Whale/", "Whale"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: [(&str, &str); 8] = [
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// `Firefox on Windows`; of a program its own name, `curl`. It is what was claimed, and nothing is proven by it.
#[must_use]
pub fn in_words(agent: &str, language: Language) -> String {
    let first =
        |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    match (first(&BROWSERS), first(&SYSTEMS)) {
        (Some(browser), Some(system)) => language.with("{0} on {1}", &[&browser, &system]),
        (Some(browser), None) => browser.to_owned(),
        _ => format::plain(agent.split(['/', ' ', '(']).next().unwrap_or_default(), MAX_CHARS),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn browsers_are_known_by_what_they_add_and_programs_by_their_name() {
        let mozilla = "Mozilla/5.0";
        for (agent, words) in [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Mobile Safari/537.36 EdgA/148.0.0.0",
                "Edge on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/148.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            ("curl/8.5.0", "curl"),
            ("python-httpx/0.28", "python-httpx"),
            (mozilla, "Mozilla"),
            ("", ""),
        ] {
            assert_eq!(in_words(agent, Language::English), words, "{agent}");
        }
        assert_eq!(in_words("(Windows) Firefox/1", Language::Korean), "Windows의 Firefox");
    }

    proptest! {
        #[test]
        fn whatever_a_browser_calls_itself_is_short_and_turns_no_text(agent in "\\PC{0,80}") {
            let words = in_words(&agent, Language::English);
            prop_assert!(words.chars().count() <= MAX_CHARS + 1);
            let turns = words.contains(['\u{202e}', '\u{2066}', '\u{200b}']);
            prop_assert!(!turns);
        }
    }
}
