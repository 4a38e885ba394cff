//! What a provider's error says of the operator's account, taken out: it is nobody's business but the operator's.

const HIDDEN: &str = "[redacted]";
/// Names of OpenAI's organizations, projects and users begin so.
const PREFIXES: [&str; 3] = ["org-", "proj_", "user-"];
/// Shorter ones with such a beginning are words; so is what has no digit or capital.
const MIN_NAME_BYTES: usize = 12;

/// `text` without the names of accounts: `org-…`, `proj_…`, `user-…`, and what follows `org:`, which is how Anthropic says it.
#[must_use]
pub fn without_account_names(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_word(c)).unwrap_or(from.len()));
        shown.push_str(before);
        let is_name = word.len() >= MIN_NAME_BYTES
            && word.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
            && (PREFIXES.iter().any(|prefix| word.starts_with(prefix)) || shown.ends_with("org: "));
        shown.push_str(if is_name { HIDDEN } else { word });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_accounts_are_hidden() {
        let text = "limit in organization org-AbCdEf123456 (proj_0123456789) on requests, user-abcdefghiJk";
        let shown = "limit in organization [redacted] ([redacted]) on requests, [redacted]";
        assert_eq!(without_account_names(text), shown);
        let text = "your organization's rate limit (org: 0b2f7c5e-1111-2222-3333-444455556666, model: claude-opus-5)";
        assert_eq!(
            without_account_names(text),
            "your organization's rate limit (org: [redacted], model: claude-opus-5)"
        );
    }

    #[test]
    fn words_stay() {
        for text in
            ["org-wide, user-defined and proj_x", "request req_0123456789abcdef", "ünïcode “quotes” org-\u{1f680}", ""]
        {
            assert_eq!(without_account_names(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = without_account_names(&text);
        }
    }
}
