//! Names in `anthropic-beta` and `openai-beta`: what a provider is told to do beyond its API as it stands.
//!
//! Most of them change nothing by themselves: what they allow is asked for in the body, and weighed there. A few widen what a model reads or
//! writes, and what one does that is newer than this list nobody here knows. So under a cap only names of the list go upstream. The call
//! itself goes on: what the provider isn't told widens nothing, and a member of the body that needs it the provider refuses itself, at no
//! cost. A new release of a client doesn't stop working on the day of its release.

/// Headers that name betas.
pub const HEADERS: [&str; 2] = ["anthropic-beta", "openai-beta"];

/// What Anthropic's SDK 1.12 and Claude Code 2.1 name, but for what widens a model (`context-1m-…`, `output-128k-…`) or reads everything
/// once more (`compact-…`).
const ANTHROPIC: [&str; 37] = [
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
];

/// What OpenAI's SDK 7.57 and Codex 0.171 name for the endpoints that a grant can cover.
const OPENAI: [&str; 2] = ["responses=experimental", "responses=v1"];

/// A header of betas as it leaves under a cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// What is left of it; `None`: nothing.
    pub value: Option<String>,
    /// What was taken out.
    pub dropped: Vec<String>,
}

/// Leaves of a header's value only what is on the list, letter for letter. A name in another case of letters is one that isn't.
#[must_use]
pub fn narrow(header: &str, value: &str) -> Narrowed {
    let known: &[&str] = if header == "anthropic-beta" { &ANTHROPIC } else { &OPENAI };
    let names = value.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty());
    let (kept, dropped): (Vec<&str>, Vec<&str>) = names.partition(|name| known.contains(name));
    Narrowed {
        value: (!kept.is_empty()).then(|| kept.join(",")),
        dropped: dropped.into_iter().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_anthropic(betas: &str) -> (Option<String>, Vec<String>) {
        let Narrowed { value, dropped } = narrow("anthropic-beta", betas);
        (value, dropped)
    }

    #[test]
    fn what_widens_a_model_or_is_not_known_is_taken_out_in_whatever_list_and_case() {
        for (betas, left, dropped) in [
            (
                "files-api-2025-04-14, context-1m-2025-08-07",
                Some("files-api-2025-04-14"),
                &["context-1m-2025-08-07"][..],
            ),
            ("Files-Api-2025-04-14", None, &["Files-Api-2025-04-14"]),
            ("effort-2025-11-24 OUTPUT-300K-2026-03-24", Some("effort-2025-11-24"), &["OUTPUT-300K-2026-03-24"]),
            ("effort-2025-11-24;q=1", None, &["effort-2025-11-24;q=1"]),
            ("\"output-128k-2025-02-19\"", None, &["\"output-128k-2025-02-19\""]),
            ("expanded-context-2027-01-01", None, &["expanded-context-2027-01-01"]),
            ("compact-2026-01-12,,effort-2025-11-24,", Some("effort-2025-11-24"), &["compact-2026-01-12"]),
            ("", None, &[]),
        ] {
            let dropped: Vec<String> = dropped.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(of_anthropic(betas), (left.map(str::to_owned), dropped), "{betas}");
        }
    }

    #[test]
    fn the_betas_of_a_coding_agent_stay() {
        let betas =
            "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,effort-2025-11-24";
        assert_eq!(of_anthropic(betas), (Some(betas.to_owned()), Vec::new()));
    }

    #[test]
    fn each_provider_has_names_of_its_own() {
        assert_eq!(narrow("openai-beta", "responses=experimental").value.as_deref(), Some("responses=experimental"));
        assert_eq!(narrow("openai-beta", "effort-2025-11-24").value, None);
        assert_eq!(narrow("anthropic-beta", "responses=experimental").value, None);
    }
}
