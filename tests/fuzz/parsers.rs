//! The one fuzz target: every family of `families`, by the first byte of an input.

#![no_main]

mod families;

libfuzzer_sys::fuzz_target!(|input: &[u8]| families::run(input));
