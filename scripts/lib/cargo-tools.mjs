// Tools that only crates.io has, each built once per version into the cache.

import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { inCache, lockedCrateVersion, withTemporaryFolder } from "./paths.mjs";
import { withLock } from "./lock.mjs";
import { step } from "./steps.mjs";

/** The command line tool must be of the very version of the library in the wasm. */
const wasmBindgen = () => ({
  crate: "wasm-bindgen-cli",
  program: "wasm-bindgen",
  version: lockedCrateVersion("wasm-bindgen"),
  // It reads and writes 18 MB after each save under `npm run dev`: optimised where it spends its time, that takes 3 s and not 10.
  optimised: ["walrus", "wasmparser", "wasm-encoder", "wasm-bindgen-cli-support"],
});
/** Builds what `npm run fuzz` runs. It goes with no crate of the broker. */
const cargoFuzz = () => ({ crate: "cargo-fuzz", program: "cargo-fuzz", version: "0.13.2" });

async function ensureCargoTool({ crate, program, version, optimised = [] }) {
  // Another choice makes another program.
  const home = inCache([crate, version, ...(optimised.length > 0 ? ["o1"] : [])].join("-"));
  const path = join(home, "bin", program);
  if (existsSync(path)) return path;
  return withLock(`${crate}-${version}`, async () => {
    if (existsSync(path)) return path;
    await withTemporaryFolder(crate, async (folder) => {
      // Not `--locked`: wasm-bindgen-cli 0.2.130 locks a crate that was taken back since. `--debug` because building
      // them takes a third of the time, and running them is a small part of a build.
      const profile = optimised.flatMap((name) => ["--config", `profile.dev.package.${name}.opt-level=1`]);
      const args = ["install", crate, "--version", version, "--debug", "--no-track", "--root", join(folder, "out"), ...profile];
      await step(`${crate} ${version}, a minute or two, once`, "cargo", args, {
        cwd: folder,
        env: {
          ...process.env,
          CARGO_TARGET_DIR: join(folder, "target"),
          CARGO_PROFILE_DEV_DEBUG: "0",
          CARGO_TERM_PROGRESS_WHEN: "never",
        },
        log: crate,
        hint: "Check the network and that a C compiler is there (cc), then run the same command again.",
      });
      mkdirSync(dirname(home), { recursive: true });
      renameSync(join(folder, "out"), home);
    });
    return path;
  });
}

export const ensureWasmBindgen = () => ensureCargoTool(wasmBindgen());
export const ensureCargoFuzz = () => ensureCargoTool(cargoFuzz());
