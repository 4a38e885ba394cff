//! Runs the inputs that fuzzing found worth keeping: every way into a parser that is known, and what once broke one.
//! `npm run fuzz` looks for more.

#![expect(clippy::disallowed_methods, reason = "how long it takes is what is asked, and no wasm runs it")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

#[path = "fuzz/families/mod.rs"]
mod families;

#[test]
fn every_kept_input_is_read_as_it_should() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let input = fs::read(&path)?;
        let begun = Instant::now();
        families::run(&input);
        // Milliseconds where it is linear; the rest is for a machine that is busy.
        assert!(begun.elapsed() < Duration::from_secs(5), "{} takes long", path.display());
    }
    Ok(())
}
