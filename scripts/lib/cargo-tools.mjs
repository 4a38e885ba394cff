// Tools that only crates.io has, each built once per version into the cache.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { inCache, inRoot, lockedCrateVersion, withTemporaryFolder } from "./paths.mjs";
import { withLock } from "./lock.mjs";
import { SetupError, step } from "./steps.mjs";

const HINT = "Check the network and that a C compiler is there (cc), then run the same command again.";
const environment = (folder) => ({
  ...process.env,
  CARGO_TARGET_DIR: join(folder, "target"),
  CARGO_TERM_PROGRESS_WHEN: "never",
});

/** Fills a folder of the cache by `make`, which is handed an empty one to work in and the folder to fill; once, whoever comes together. */
async function ensureHome(home, name, make) {
  await withLock(name, async () => {
    if (existsSync(home)) return;
    await withTemporaryFolder(name, async (folder) => {
      const made = join(folder, "out");
      await make(folder, made);
      mkdirSync(dirname(home), { recursive: true });
      renameSync(made, home);
    });
  });
}

/** What `tools/` is made from: another source, lock or profile makes another program. */
function toolsId() {
  const hash = createHash("sha256");
  for (const name of ["Cargo.toml", "Cargo.lock", "src/glue.rs"]) hash.update(`${name}\n`).update(readFileSync(inRoot("tools", name)));
  return hash.digest("hex").slice(0, 12);
}

/** The program that writes the glue of the wasm. It must be of the very version of the library in the wasm. */
export async function ensureGlue() {
  const [library, tool] = [lockedCrateVersion("wasm-bindgen"), lockedCrateVersion("wasm-bindgen-cli-support", "tools/Cargo.lock")];
  if (library !== tool) {
    throw new SetupError(
      `Cargo.lock has wasm-bindgen ${library}, and tools/Cargo.lock ${tool}. Put ${library} into tools/Cargo.toml, then run\n` +
        "  cargo update --manifest-path tools/Cargo.toml -p wasm-bindgen-cli-support",
    );
  }
  const home = inCache(`tools-${toolsId()}`);
  const path = join(home, "glue");
  if (existsSync(path)) return path;
  await ensureHome(home, `tools-${toolsId()}`, async (folder, made) => {
    // `--locked`: what writes code that ships is of the versions that were looked at.
    const args = ["build", "--locked", "--manifest-path", inRoot("tools", "Cargo.toml")];
    await step("tools that write the glue, a minute or two, once", "cargo", args, { cwd: folder, env: environment(folder), log: "tools", hint: HINT });
    mkdirSync(made, { recursive: true });
    copyFileSync(join(folder, "target", "debug", "glue"), join(made, "glue"));
  });
  return path;
}

/** Builds what `npm run fuzz` runs. It goes with no crate of the broker, and into nothing that ships. */
export async function ensureCargoFuzz() {
  const [crate, version] = ["cargo-fuzz", "0.13.2"];
  const home = inCache(`${crate}-${version}`);
  const path = join(home, "bin", crate);
  if (existsSync(path)) return path;
  await ensureHome(home, `${crate}-${version}`, async (folder, made) => {
    // `--debug` because building it takes a third of the time, and running it is a small part of the work.
    const args = ["install", crate, "--version", version, "--locked", "--debug", "--no-track", "--root", made];
    const env = { ...environment(folder), CARGO_PROFILE_DEV_DEBUG: "0" };
    await step(`${crate} ${version}, a minute or two, once`, "cargo", args, { cwd: folder, env, log: crate, hint: HINT });
  });
  return path;
}
