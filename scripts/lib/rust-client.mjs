// The test client in Rust, built with the machine's own compiler into a target folder of its own.

import { join } from "node:path";
import { inRoot } from "./paths.mjs";
import { step } from "./steps.mjs";

const FOLDER = inRoot("tests", "clients", "rust");
const TARGET = inRoot("target", "clients");

/** The program `tests/clients/rust`, built where it isn't fresh. */
export async function ensureRustClient() {
  // Where compiled crates are shared between checkouts, a folder of its own: in one, it would wait for the native tests to be compiled.
  const shared = process.env.CARGO_BUILD_BUILD_DIR;
  const apart = shared ? { CARGO_BUILD_BUILD_DIR: `${shared}-clients` } : {};
  // From its own folder, so that cargo's answers and settings are those of that crate; cargo itself keeps two builds apart.
  await step("Rust test client", "cargo", ["build", "--locked"], {
    cwd: FOLDER,
    env: { ...process.env, ...apart, CARGO_TARGET_DIR: TARGET, CARGO_TERM_PROGRESS_WHEN: "never" },
    log: "rust-client",
    hint: "If it could not fetch a crate, check the network; then run the same command again.",
  });
  return join(TARGET, "debug", "oauth2-client");
}
