//! The four rooms, and what each may reach for. A newcomer can rely on the folder names because this test does.

#![expect(clippy::string_slice, reason = "a test may fail where it stands")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a room must not reach for. `domain` and `gateway` decide: nothing there waits, reads a clock or draws a random number.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "crate::gateway",
            "crate::web",
            "crate::edge",
            "worker",
            "axum",
            "askama",
            "http",
            "js_sys",
            "web_sys",
            "wasm_bindgen",
            "getrandom",
            "async fn",
            ".await",
            "std::time",
            "std::fs",
            "std::net",
            "Utc::now",
        ],
    ),
    (
        "gateway",
        &[
            "crate::web",
            "crate::edge",
            "worker",
            "axum",
            "askama",
            "js_sys",
            "web_sys",
            "wasm_bindgen",
            "getrandom",
            "async fn",
            ".await",
            "std::time",
            "std::fs",
            "std::net",
        ],
    ),
    (
        "web",
        &[
            "crate::edge",
            "crate::gateway",
            "worker",
            "js_sys",
            "web_sys",
            "wasm_bindgen",
            "getrandom",
            "std::time",
            "std::fs",
            "std::net",
        ],
    ),
    // The composition root uses everything; it hands over and decides nothing, so it must not name the words of a decision.
    ("edge", &["RedirectReason", "TokenError", "ChoiceError", "Refusal::ModelNotGranted", "Refusal::RateLimited"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code of a line: comments may name whatever they explain.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

/// Whether `code` reaches for `thing`, as a word or path of its own.
fn reaches(code: &str, thing: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(thing).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + thing.len()..].chars().next();
        let crate_name = thing.chars().all(is_word);
        let starts =
            thing.starts_with('.') || before.is_none_or(|c| !is_word(c) && (!crate_name || c != ':' && c != '.'));
        let ends = after.is_none_or(|c| !is_word(c));
        // A bare crate name counts where it is used as one.
        starts && ends && (!crate_name || code[at + thing.len()..].starts_with("::"))
    })
}

fn room_of(path: &Path, source: &Path) -> String {
    path.strip_prefix(source).unwrap().components().next().unwrap().as_os_str().to_string_lossy().into_owned()
}

#[test]
fn no_room_reaches_for_what_it_must_not_use() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = Vec::new();
    for (room, forbidden) in FORBIDDEN {
        for path in sources(&source.join(room)) {
            let text = fs::read_to_string(&path).unwrap();
            for (index, line) in text.lines().enumerate() {
                for thing in forbidden.iter().filter(|thing| reaches(code(line), thing)) {
                    violations.push(format!("{}:{}: `{room}` uses `{thing}`", path.display(), index + 1));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn there_are_four_rooms_and_nothing_beside_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms: Vec<String> = sources(&source).iter().map(|path| room_of(path, &source)).collect();
    rooms.dedup();
    assert_eq!(rooms, ["domain", "edge", "gateway", "lib.rs", "web"]);
}

#[test]
fn the_real_key_is_exposed_in_one_file() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exposing: Vec<_> = sources(&source)
        .into_iter()
        .filter(|path| fs::read_to_string(path).unwrap().contains("key.expose_secret()"))
        .map(|path| path.strip_prefix(&source).unwrap().to_owned())
        .collect();
    assert_eq!(exposing, [Path::new("edge/data_plane/upstream.rs")]);
}

/// What says that a signature is genuine stands where the platform was asked, and in tests.
#[test]
fn a_signature_is_believed_in_one_file() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_test = |path: &Path| path.file_stem().is_some_and(|name| name == "tests");
    let believing: Vec<_> = sources(&source)
        .into_iter()
        .filter(|path| !is_test(path))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.split("#[cfg(test)]").next().unwrap().contains(".answered(")
        })
        .map(|path| path.strip_prefix(&source).unwrap().to_owned())
        .collect();
    assert_eq!(believing, [Path::new("edge/signatures.rs")]);
}

#[test]
fn a_file_is_one_thing() {
    const MAX_LINES: usize = 600;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&source) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines; it has probably become two things", path.display());
    }
}

#[test]
fn the_check_sees_what_it_looks_for() {
    assert!(reaches("use worker::Env;", "worker"));
    assert!(reaches("let x = worker::Date::now();", "worker"));
    assert!(reaches("    x.await?;", ".await"));
    assert!(reaches("use crate::edge::clock;", "crate::edge"));
    assert!(!reaches("let worker = 1;", "worker"));
    assert!(!reaches("use coworker::x;", "worker"));
    assert!(!reaches("use crate::http::x;", "http"));
}

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_npm_package_is_checked_by_its_hash() {
    let lock: serde_json::Value = serde_json::from_str(&text("package-lock.json")).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    assert!(packages.len() > 100);
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        let integrity = package["integrity"].as_str().unwrap_or_default();
        assert!(
            integrity.starts_with("sha512-"),
            "{name}: no integrity; `npm view NAME@VERSION dist.integrity` says it"
        );
    }
}

#[test]
fn every_crate_is_from_the_registry_and_checked_by_its_hash() {
    for name in ["Cargo.lock", "tools/Cargo.lock"] {
        let lock = text(name);
        let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
        assert!(packages.len() > 30, "{name}");
        for package in packages.iter().filter(|package| !package.contains("name = \"aipassport")) {
            assert!(
                package.contains("source = \"registry+https://github.com/rust-lang/crates.io-index\""),
                "{package}"
            );
            assert!(package.contains("checksum = \""), "{package}");
        }
    }
}

#[test]
fn what_writes_the_glue_is_of_the_version_that_is_in_the_wasm() {
    let version = |lock: &str, name: &str| {
        let lock = text(lock);
        let (_, found) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
        found.split('"').next().unwrap().to_owned()
    };
    assert_eq!(version("Cargo.lock", "wasm-bindgen"), version("tools/Cargo.lock", "wasm-bindgen-cli-support"));
}
