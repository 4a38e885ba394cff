//! Names in `anthropic-beta`, as far as they change what a call can cost. The header goes upstream as it is.
//!
//! Most betas change nothing by themselves: what they allow is asked for in the body, and weighed there. The few that widen a model say
//! so in their name: the size that it can read or write from then on (`context-1m-2025-08-07`, `output-128k-2025-02-19`), or that it
//! reads everything once more (`compact-2026-01-12`).

/// The first beta that lets a model read or write more than its price says.
///
/// Anything but a name's own characters ends it, and its case counts for nothing: a provider may be more lenient than HTTP's lists.
pub(super) fn widening(betas: &str) -> Option<&str> {
    betas.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).find(|beta| is_widening(beta))
}

fn is_widening(beta: &str) -> bool {
    let mut words = beta.split(['-', '_', '.']);
    words.clone().any(is_size) || words.next().is_some_and(|first| first.eq_ignore_ascii_case("compact"))
}

/// A number of tokens: `128k`, `1m`. A date has no letter behind it, and a version (`v2`) has its letter before.
fn is_size(word: &str) -> bool {
    let number = word.strip_suffix(['k', 'K', 'm', 'M']).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beta_that_widens_a_model_is_found_in_whatever_list_and_case() {
        for (betas, found) in [
            ("files-api-2025-04-14, context-1m-2025-08-07", "context-1m-2025-08-07"),
            ("context-1m-2025-08-07,context-management-2025-06-27", "context-1m-2025-08-07"),
            ("Context-1M-2025-08-07", "Context-1M-2025-08-07"),
            ("interleaved-thinking-2025-05-14 OUTPUT-300K-2026-03-24", "OUTPUT-300K-2026-03-24"),
            ("a;\"output-128k-2025-02-19\"", "output-128k-2025-02-19"),
            ("long_context_2m_2027_01_01", "long_context_2m_2027_01_01"),
            ("compact-2026-01-12", "compact-2026-01-12"),
            ("Compact-2026-09-04", "Compact-2026-09-04"),
        ] {
            assert_eq!(widening(betas), Some(found), "{betas}");
        }
    }

    /// All that the official SDK 1.12 and Claude Code 2.1 name, but for those above.
    #[test]
    fn a_beta_that_widens_nothing_is_not_taken_for_one_that_does() {
        for beta in [
            "advanced-tool-use-2025-11-20",
            "advisor-tool-2026-03-01",
            "afk-mode-2026-01-31",
            "agent-memory-2026-07-22",
            "cache-diagnosis-2026-04-07",
            "claude-code-20250219",
            "code-execution-2025-05-22",
            "computer-use-2025-11-24",
            "context-management-2025-06-27",
            "dangerous-tool-use-2026-09-03",
            "dev-full-thinking-2025-05-14",
            "effort-2025-11-24",
            "extended-cache-ttl-2025-04-11",
            "fallback-credit-2026-07-01",
            "fast-mode-2026-02-01",
            "files-api-2025-04-14",
            "inline-tools-2026-09-15",
            "interleaved-thinking-2025-05-14",
            "mcp-client-2026-09-15",
            "message-batches-2024-09-24",
            "message-threads-2026-08-12",
            "mid-conversation-output-config-2026-07-01",
            "mid-conversation-tool-changes-2026-07-01",
            "model-context-window-exceeded-2025-08-26",
            "pdfs-2024-09-25",
            "per-turn-control-2026-07-01",
            "prompt-caching-2024-07-31",
            "redact-thinking-2026-02-12",
            "server-side-fallback-2026-07-01",
            "skills-2025-10-02",
            "structured-outputs-2025-12-15",
            "task-budgets-2026-03-13",
            "thinking-display-updates-2026-08-18",
            "thinking-token-count-2026-05-13",
            "token-counting-2024-11-01",
            "token-efficient-tools-2025-02-19",
            "user-profiles-2026-09-04",
        ] {
            assert_eq!(widening(beta), None, "{beta}");
        }
        assert_eq!(widening("output-config-2027-01-01, compaction-hints-2027-01-01, k-m-2027-01-01"), None);
        assert_eq!((widening(""), widening(","), widening(" - ")), (None, None, None));
    }
}
