#![expect(clippy::string_slice, reason = "cut where something was found")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::domain::permission::{Capability, Provider};

/// How a route that changes something answers for what it allows.
#[derive(Debug)]
enum Way {
    /// By the rule, [`may_allow`], which is asked in this file.
    ByTheRule(&'static str),
    /// It takes a proof always: what it allows has no bound that could be added up.
    Always,
    /// It allows nothing, for this reason.
    Nothing(&'static str),
}

use Way::{Always, ByTheRule, Nothing};

/// Every route that takes more than `GET`, by its handler.
const WAYS: [(&str, Way); 51] = [
    // By the rule.
    ("consent::decide", ByTheRule("consent/mod.rs")),
    ("tokens::make", ByTheRule("tokens/mod.rs")),
    ("grant::save", ByTheRule("grant/change.rs")),
    ("grant::end", ByTheRule("grant/change.rs")),
    ("grant::resume", ByTheRule("grant/change.rs")),
    ("grant::pause", ByTheRule("grant/change.rs")),
    // Always.
    ("policy::save", Always),
    ("accounts::invitations::invite", Always),
    ("webhook::save", Always),
    ("webhook::renew_secret", Always),
    ("members::remove", Always),
    ("accounts::passkeys::ask", Always),
    ("accounts::passkeys::creation_options", Always),
    ("accounts::passkeys::remove", Always),
    ("accounts::recovery_codes::make", Always),
    // Nothing.
    (
        "accounts::passkeys::add",
        Nothing("takes the challenge that was given to somebody who had proven that it is them"),
    ),
    ("accounts::passkeys::rename", Nothing("a name")),
    ("settings::rename", Nothing("a name")),
    ("choose_language::choose", Nothing("a language")),
    ("notices::read", Nothing("notes that somebody read")),
    ("sign_in::sign_in", Nothing("is a proof itself")),
    ("accounts::passkey_sign_in::sign_in", Nothing("is a proof itself")),
    ("accounts::passkey_sign_in::options", Nothing("a challenge")),
    ("accounts::recover::recover", Nothing("is a proof itself")),
    ("confirm::confirm", Nothing("is a proof itself")),
    ("confirm::request_options", Nothing("a challenge")),
    ("accounts::invitation::accept", Nothing("what an operator allowed when they invited")),
    ("accounts::invitation::creation_options", Nothing("a challenge")),
    ("accounts::invitations::revoke", Nothing("takes back")),
    ("accounts::sessions::end", Nothing("takes back")),
    ("accounts::sessions::end_others", Nothing("takes back")),
    ("sign_in::sign_out", Nothing("takes back")),
    ("grant::revoke", Nothing("takes back")),
    ("grant::revoke_delegation", Nothing("takes back")),
    ("tokens::revoke", Nothing("takes back")),
    ("webhook::turn_off", Nothing("takes back")),
    ("webhook::test", Nothing("a delivery that says nothing")),
    ("policy::tell_again", Nothing("tells what was saved")),
    ("apps::register", Nothing("an app may ask; what it is allowed the consent page says")),
    ("apps::delete", Nothing("takes back")),
    ("device::enter", Nothing("leads to the consent page")),
    ("token::serve", Nothing("tokens within what was allowed, or narrower")),
    ("introspect::serve", Nothing("tells")),
    ("par::serve", Nothing("asks")),
    ("device_authorization::serve", Nothing("asks")),
    ("revoke::serve", Nothing("takes back")),
    ("register::create", Nothing("an app may ask; what it is allowed the consent page says")),
    ("register::replace", Nothing("an app may ask; where it may be sent is looked at when it is allowed")),
    ("register::delete", Nothing("takes back")),
    ("oauth_response::preflight", Nothing("says which headers may be sent")),
    ("register::preflight", Nothing("says which headers may be sent")),
];

/// Types of which a port writes what somebody may use, and the methods that write some of it: from which files they may be called, and
/// why that is as it should be.
const TYPES: [&str; 9] =
    ["Grant", "Terms", "Change", "Delegate", "Govern", "Policy", "ShownPolicy", "NewInvitation", "Webhook"];
const WRITERS: [(&str, &[&str], &str); 10] = [
    ("allow", &["consent/answering.rs"], "its one caller asks first, in consent/mod.rs"),
    ("insert_token", &["tokens/mod.rs"], "asks first"),
    ("change_ledger", &["grant/change.rs"], "asks first"),
    ("note_terms", &["grant/change.rs"], "what the ledger has agreed to"),
    ("delegate", &["token/exchange.rs"], "narrower than what was allowed"),
    ("govern_ledger", &["allowance.rs"], "a policy that was saved"),
    ("govern_account", &["policy.rs"], "a policy that was saved"),
    ("save_policy", &["policy.rs"], "takes a proof always"),
    ("insert_invitation", &["accounts/invitations.rs"], "takes a proof always"),
    ("put_webhook", &["webhook.rs"], "takes a proof always"),
];

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web")
}

fn read(path: &str) -> String {
    fs::read_to_string(web().join(path)).unwrap()
}

/// The code of a file, without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split(concat!("#[cfg", "(test)]\nmod tests")).next().unwrap_or_default().to_owned()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Handlers of whatever isn't `GET`, as the router names them.
fn routed() -> BTreeSet<String> {
    let text = read("mod.rs");
    let router: String = text.split_whitespace().collect();
    let mut found = BTreeSet::new();
    for method in ["post(", "put(", "delete(", "patch(", "options(", "any(", "on("] {
        for (at, _) in router.match_indices(method) {
            let is_word = router[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
            let handler = router[at + method.len()..].split([')', ',']).next().unwrap_or_default();
            if !is_word && handler.contains("::") {
                found.insert(handler.trim_end_matches("::<P>").to_owned());
            }
        }
    }
    found
}

/// The body of a handler, which stands in its module or in a part of it.
fn body(handler: &str) -> String {
    let (module, name) = handler.rsplit_once("::").unwrap();
    let path = module.replace("::", "/");
    let mut parts = vec![web().join(format!("{path}.rs")), web().join(format!("{path}/mod.rs"))];
    if web().join(&path).is_dir() {
        files(&web().join(&path), &mut parts);
    }
    let begins = [format!("fn {name}<"), format!("fn {name}(")];
    let found = parts.iter().filter(|path| path.exists()).find_map(|path| {
        let text = code(path);
        let start = begins.iter().find_map(|begin| text.find(begin.as_str()))?;
        text[start..].split("\n}\n").next().map(str::to_owned)
    });
    found.unwrap_or_else(|| panic!("{handler} is not found"))
}

#[test]
fn every_route_that_changes_something_says_how_it_answers_for_what_it_allows() {
    let classified: BTreeSet<String> = WAYS.iter().map(|(handler, _)| (*handler).to_owned()).collect();
    let routed = routed();
    assert!(routed.len() > 40, "{routed:?}");
    let (new, gone): (Vec<_>, Vec<_>) =
        (routed.difference(&classified).collect(), classified.difference(&routed).collect());
    assert!(new.is_empty(), "say in WAYS what these allow: {new:?}");
    assert!(gone.is_empty(), "no route leads to these: {gone:?}");
}

#[test]
fn a_route_does_as_it_says() {
    for (handler, way) in &WAYS {
        match way {
            ByTheRule(file) => assert!(code(&web().join(file)).contains("proof::may_allow("), "{handler}"),
            Always => assert!(body(handler).contains("if !confirm::is_recent("), "{handler}"),
            Nothing(reason) => {
                assert!(!reason.is_empty());
                let reaches = WRITERS.iter().find(|(writer, ..)| body(handler).contains(&format!("ports.{writer}(")));
                assert!(reaches.is_none(), "{handler} calls {reaches:?}");
            }
        }
    }
}

#[test]
fn whatever_writes_what_somebody_may_use_is_called_where_it_is_answered_for() {
    let mut ports = Vec::new();
    files(&web().join("ports"), &mut ports);
    let mut writers = BTreeSet::new();
    for path in ports {
        for method in code(&path).split("    fn ").skip(1) {
            let signature = method.split("->").next().unwrap_or_default();
            let names_type = |of: &str| signature.split(|char: char| !char.is_alphanumeric()).any(|word| word == of);
            if TYPES.iter().any(|of| names_type(of)) {
                writers.insert(method.split(['(', '<']).next().unwrap_or_default().to_owned());
            }
        }
    }
    let known: BTreeSet<String> = WRITERS.iter().map(|(writer, ..)| (*writer).to_owned()).collect();
    assert_eq!(writers, known, "say in WRITERS who may call what");
    let mut sources = Vec::new();
    files(&web(), &mut sources);
    let mut callers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for path in sources.iter().filter(|path| !path.starts_with(web().join("ports"))) {
        let text = code(path);
        for (writer, ..) in WRITERS {
            if text.contains(&format!("ports.{writer}(")) {
                let name = path.strip_prefix(web()).unwrap().to_str().unwrap().to_owned();
                callers.entry(writer).or_default().insert(name);
            }
        }
    }
    for (writer, files, why) in WRITERS {
        let files: BTreeSet<String> = files.iter().map(|file| (*file).to_owned()).collect();
        assert_eq!(callers.get(writer), Some(&files), "{writer}: {why}");
    }
}

#[test]
fn why_a_proof_is_asked_is_said_in_every_language() {
    let uses = vec![(Provider::OpenAi, Capability::Images), (Provider::Anthropic, Capability::Chat)];
    let risks = [
        Risk::MoneyOpen,
        Risk::Money { together: NanoUsd(25_000_000_001), most: NanoUsd(25_000_000_000) },
        Risk::Time { most: 30 * DAY_SECONDS },
        Risk::Time { most: DAY_SECONDS },
        Risk::Uses(uses),
        Risk::Destination(Destination::ThisDevice),
        Risk::Destination(Destination::Site("app.example".to_owned())),
    ];
    let said = |language| risks.iter().map(|risk| why(risk, language).in_language(language)).collect::<Vec<_>>();
    let (english, korean) = (said(Language::English), said(Language::Korean));
    for (english, korean) in english.iter().zip(&korean) {
        assert_ne!(english, korean);
    }
    assert!(english[1].contains("it can cost 25.01 USD. Up to 25.00 USD"), "{}", english[1]);
    assert!(english[4].contains("(OpenAI), ") && english[6].ends_with("goes to https://app.example."), "{english:?}");
}
