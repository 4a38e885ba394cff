// A Rust tool chain that can build wasm32-unknown-unknown: the machine's own, with rustup's help where it is online, or Debian's.

import { existsSync, readdirSync } from "node:fs";
import { arch } from "node:os";
import { debianPrefixes, debianRustEnv, makeDebianRust } from "../../.ci/debian-rust.mjs";
import { isDebianRoot } from "./debian.mjs";
import { inRoot } from "./paths.mjs";
import { output, say, SetupError, step } from "./steps.mjs";

export const TARGET = "wasm32-unknown-unknown";

async function systemHasTarget() {
  const folder = await output("rustc", ["--print", "target-libdir", "--target", TARGET], { cwd: inRoot() });
  return folder !== null && existsSync(folder) && readdirSync(folder).some((file) => /^libcore-.*\.rlib$/.test(file));
}

/** What to add to the environment of a wasm build; sets the target up when nothing on this machine has it. */
export async function ensureWasmTarget() {
  // For trying Debian's way on a machine where rustup is online.
  const debianOnly = process.env.AIPASSPORT_WASM_RUST === "debian";
  if (!debianOnly && (await systemHasTarget())) return {};
  const made = debianPrefixes();
  if (made.length > 0) return debianRustEnv(made.at(-1));

  if ((await output("cargo", ["--version"])) === null) {
    throw new SetupError("Rust is missing. Install it from https://rustup.rs and run the same command again.");
  }
  const reasons = [];
  if (!debianOnly) {
    if ((await output("rustup", ["--version"])) === null) reasons.push("there is no rustup");
    else {
      try {
        await step(`Rust target ${TARGET} (rustup)`, "rustup", ["target", "add", TARGET], { cwd: inRoot(), log: "rustup" });
        return {};
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        reasons.push("rustup could not fetch the target");
        say("  rustup could not fetch the target");
      }
    }
  }
  if (await isDebianRoot()) return debianRustEnv(await makeDebianRust());
  throw new SetupError(
    `This machine's Rust has no ${TARGET} standard library, and ${reasons.join(" and ")}.\n` +
      `  With rustup:    rustup target add ${TARGET}   (needs the network)\n` +
      `  Without rustup: install your system's package of it (Fedora: rust-std-static-${TARGET}; Arch: rust-wasm;\n` +
      "                  Homebrew's Rust has none: use https://rustup.rs)\n" +
      `  Debian (${arch()}): run the same command once as root; it then builds the target from Debian's own packages.`,
  );
}
