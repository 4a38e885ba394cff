//! How a token is given to programs: what is copied from the page, and runs as it stands.
//!
//! The token stands in one place, the variables; everything else reads them. A model's name may hold any printable character, so each
//! language gets it quoted by its own rules.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::{
    grant::Terms,
    permission::{Capability, ModelPattern, Permission, Provider},
};

/// Most tokens that an example may write.
const EXAMPLE_TOKENS: u32 = 200;
const EXAMPLE_PROMPT: &str = "Say hello.";

/// What the page shows.
pub struct Setup {
    /// The variables, for a shell.
    pub variables: String,
    /// Per provider.
    pub providers: Vec<ProviderSetup>,
}

/// Of one provider.
pub struct ProviderSetup {
    /// Its name for people.
    pub provider: &'static str,
    /// Programs.
    pub snippets: Vec<Snippet>,
    /// The variable that some of its tools read instead.
    pub other_variable: Option<&'static str>,
}

/// A program to copy.
pub struct Snippet {
    /// Of the element.
    pub id: String,
    /// In which language it is, by the names that highlighters use.
    pub language: &'static str,
    /// What stands above it.
    pub title: &'static str,
    /// What has to be installed before.
    pub install: Option<&'static str>,
    /// The program.
    pub code: String,
}

impl Setup {
    /// For a token of these terms at the broker `issuer`. `known`: models that there are.
    #[must_use]
    pub fn new(token: &str, terms: &Terms, issuer: &str, known: &BTreeMap<Provider, Vec<String>>) -> Self {
        let mut variables = format!("export AIPASSPORT_TOKEN={}\n", shell_quoted(token));
        for permission in &terms.permissions {
            let (key, base) = variables_of(permission.provider);
            let url = shell_quoted(&format!("{issuer}{}", permission.provider.base_path()));
            let lines = format!("export {key}=\"$AIPASSPORT_TOKEN\"\nexport {base}={url}\n");
            variables.push_str(&lines);
        }
        let providers = terms.permissions.iter().map(|permission| ProviderSetup::new(permission, known)).collect();
        Self { variables, providers }
    }
}

const fn variables_of(provider: Provider) -> (&'static str, &'static str) {
    match provider {
        Provider::OpenAi => ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
        Provider::Anthropic => ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    }
}

impl ProviderSetup {
    fn new(permission: &Permission, known: &BTreeMap<Provider, Vec<String>>) -> Self {
        let provider = permission.provider;
        let model = example_model(permission, known);
        // Without chat there is no call that every model answers; the list of models always may be asked for.
        let chats = permission.capabilities.contains(&Capability::Chat);
        let snippets = match (provider, chats) {
            (Provider::OpenAi, true) => [
                (SHELL, None, openai_curl(&model)),
                (JAVASCRIPT, Some("npm install openai"), openai_javascript(&model)),
                (PYTHON, Some("pip install openai"), openai_python(&model)),
            ]
            .into(),
            (Provider::Anthropic, true) => [
                (SHELL, None, anthropic_curl(&model)),
                (JAVASCRIPT, Some("npm install @anthropic-ai/sdk"), anthropic_javascript(&model)),
                (PYTHON, Some("pip install anthropic"), anthropic_python(&model)),
            ]
            .into(),
            (Provider::OpenAi, false) => vec![(SHELL, None, OPENAI_MODELS.to_owned())],
            (Provider::Anthropic, false) => vec![(SHELL, None, ANTHROPIC_MODELS.to_owned())],
        };
        let snippet = |((language, title), install, code)| Snippet {
            id: format!("{provider}-{language}"),
            language,
            title,
            install,
            code,
        };
        Self {
            provider: provider.display_name(),
            snippets: snippets.into_iter().map(snippet).collect(),
            other_variable: (provider == Provider::Anthropic).then_some("ANTHROPIC_AUTH_TOKEN"),
        }
    }
}

const SHELL: (&str, &str) = ("shell", "curl");
const JAVASCRIPT: (&str, &str) = ("javascript", "JavaScript");
const PYTHON: (&str, &str) = ("python", "Python");

/// A model that may be called: one that is named, else one that many know, else one that there is.
fn example_model(permission: &Permission, known: &BTreeMap<Provider, Vec<String>>) -> String {
    let named = permission.models.iter().map(ModelPattern::as_str).find(|model| !model.ends_with('*'));
    let common = match permission.provider {
        Provider::OpenAi => "gpt-5-mini",
        Provider::Anthropic => "claude-haiku-4-5",
    };
    let there_are = known.get(&permission.provider).into_iter().flatten().map(String::as_str);
    let allowed = [common].into_iter().chain(there_are).find(|model| permission.allows_model(model));
    let begins = || permission.models.first().map_or("", |model| model.as_str().trim_end_matches('*'));
    named.or(allowed).unwrap_or_else(begins).to_owned()
}

/// For a POSIX shell: nothing in it means anything.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// For JavaScript and Python, which read strings of JSON alike; a model's name is ASCII.
fn string(text: &str) -> String {
    json!(text).to_string()
}

fn openai_curl(model: &str) -> String {
    let messages = json!([{ "role": "user", "content": EXAMPLE_PROMPT }]);
    let body = json!({ "model": model, "max_completion_tokens": EXAMPLE_TOKENS, "messages": messages }).to_string();
    format!(
        "curl \"$OPENAI_BASE_URL/chat/completions\" \\\n  -H \"authorization: Bearer $OPENAI_API_KEY\" \\\n  \
         -H \"content-type: application/json\" \\\n  -d {}\n",
        shell_quoted(&body)
    )
}

fn anthropic_curl(model: &str) -> String {
    let messages = json!([{ "role": "user", "content": EXAMPLE_PROMPT }]);
    let body = json!({ "model": model, "max_tokens": EXAMPLE_TOKENS, "messages": messages }).to_string();
    format!(
        "curl \"$ANTHROPIC_BASE_URL/v1/messages\" \\\n  -H \"x-api-key: $ANTHROPIC_API_KEY\" \\\n  \
         -H \"anthropic-version: 2023-06-01\" \\\n  -H \"content-type: application/json\" \\\n  -d {}\n",
        shell_quoted(&body)
    )
}

const OPENAI_MODELS: &str = "curl \"$OPENAI_BASE_URL/models\" -H \"authorization: Bearer $OPENAI_API_KEY\"\n";
const ANTHROPIC_MODELS: &str = "curl \"$ANTHROPIC_BASE_URL/v1/models\" \\\n  -H \"x-api-key: $ANTHROPIC_API_KEY\" \\\n  \
                                -H \"anthropic-version: 2023-06-01\"\n";

fn openai_javascript(model: &str) -> String {
    format!(
        r#"import OpenAI from "openai";

// Reads OPENAI_API_KEY and OPENAI_BASE_URL.
const openai = new OpenAI();
const completion = await openai.chat.completions.create({{
  model: {},
  max_completion_tokens: {EXAMPLE_TOKENS},
  messages: [{{ role: "user", content: "{EXAMPLE_PROMPT}" }}],
}});
console.log(completion.choices[0].message.content);
"#,
        string(model)
    )
}

fn anthropic_javascript(model: &str) -> String {
    format!(
        r#"import Anthropic from "@anthropic-ai/sdk";

// Reads ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL.
const anthropic = new Anthropic();
const message = await anthropic.messages.create({{
  model: {},
  max_tokens: {EXAMPLE_TOKENS},
  messages: [{{ role: "user", content: "{EXAMPLE_PROMPT}" }}],
}});
console.log(message.content[0].text);
"#,
        string(model)
    )
}

fn openai_python(model: &str) -> String {
    format!(
        r#"from openai import OpenAI

# Reads OPENAI_API_KEY and OPENAI_BASE_URL.
client = OpenAI()
completion = client.chat.completions.create(
    model={},
    max_completion_tokens={EXAMPLE_TOKENS},
    messages=[{{"role": "user", "content": "{EXAMPLE_PROMPT}"}}],
)
print(completion.choices[0].message.content)
"#,
        string(model)
    )
}

fn anthropic_python(model: &str) -> String {
    format!(
        r#"from anthropic import Anthropic

# Reads ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL.
client = Anthropic()
message = client.messages.create(
    model={},
    max_tokens={EXAMPLE_TOKENS},
    messages=[{{"role": "user", "content": "{EXAMPLE_PROMPT}"}}],
)
print(message.content[0].text)
"#,
        string(model)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{limits::Limits, time::Timestamp};

    fn permission(provider: Provider, models: &[&str], capability: Capability) -> Permission {
        Permission {
            provider,
            models: models.iter().map(|model| model.parse().unwrap()).collect(),
            capabilities: BTreeSet::from([capability]),
            limits: Limits::NONE,
        }
    }

    fn setup(permissions: Vec<Permission>) -> Setup {
        let (limits, expires_at) = (Limits::NONE, Timestamp::from_seconds(1));
        let terms = Terms { permissions, limits, expires_at, ..Terms::default() };
        Setup::new(
            "eyJ.a.b",
            &terms,
            "https://broker.example",
            &BTreeMap::from([(Provider::OpenAi, vec!["gpt-5.1".to_owned()])]),
        )
    }

    #[test]
    fn the_token_stands_in_the_variables_once_and_nowhere_else() {
        let both =
            [Provider::OpenAi, Provider::Anthropic].map(|provider| permission(provider, &["*"], Capability::Chat));
        let setup = setup(both.into());
        assert_eq!(setup.variables.matches("eyJ.a.b").count(), 1);
        let codes = setup.providers.iter().flat_map(|provider| &provider.snippets).map(|snippet| &snippet.code);
        assert_eq!(codes.clone().count(), 6);
        assert!(codes.clone().all(|code| !code.contains("eyJ")));
    }

    #[test]
    fn only_what_is_granted_is_set_up() {
        let setup = setup(vec![permission(Provider::Anthropic, &["*"], Capability::Chat)]);
        assert!(setup.variables.contains("export ANTHROPIC_BASE_URL='https://broker.example/anthropic'"));
        assert!(!setup.variables.contains("OPENAI"));
        assert_eq!(setup.providers.len(), 1);
    }

    #[test]
    fn the_example_calls_a_model_that_may_be_called() {
        let model = |models: &[&str]| {
            let known = BTreeMap::from([
                (Provider::Anthropic, vec!["gpt-6".to_owned()]),
                (Provider::OpenAi, vec!["gpt-5.1".to_owned()]),
            ]);
            example_model(&permission(Provider::OpenAi, models, Capability::Chat), &known)
        };
        assert_eq!(model(&["*"]), "gpt-5-mini");
        assert_eq!(model(&["gpt-5.1*"]), "gpt-5.1");
        assert_eq!(model(&["gpt-5*", "gpt-4.1"]), "gpt-4.1");
        assert_eq!(model(&["new-*"]), "new-");
    }

    #[test]
    fn without_chat_the_example_lists_models() {
        let setup = setup(vec![permission(Provider::OpenAi, &["*"], Capability::Embeddings)]);
        assert_eq!(setup.providers[0].snippets.len(), 1);
        assert!(setup.providers[0].snippets[0].code.contains("/models"));
    }

    /// What a POSIX shell makes of a word in single quotes and `\'`.
    fn unquoted(word: &str) -> Option<String> {
        let (mut text, mut rest) = (String::new(), word);
        while !rest.is_empty() {
            rest = if let Some(after) = rest.strip_prefix(r"\'") {
                text.push('\'');
                after
            } else {
                let (inner, after) = rest.strip_prefix('\'')?.split_once('\'')?;
                text.push_str(inner);
                after
            };
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn a_shell_reads_one_word_whatever_stands_in_it(text in "[ -~\n]{0,40}") {
            prop_assert_eq!(unquoted(&shell_quoted(&text)), Some(text));
        }

        #[test]
        fn no_model_s_name_leaves_its_string(model in "[!-)+-~]{1,30}") {
            prop_assert_eq!(serde_json::from_str::<String>(&string(&model)).unwrap(), model.clone());
            let code = openai_curl(&model);
            let body = unquoted(code.split_once(" -d ").unwrap().1.trim_end()).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            prop_assert_eq!(body["model"].as_str(), Some(model.as_str()));
        }
    }
}
