// The wasm build, and nothing when nothing changed: `npm run build`, wrangler's own build command, and the tests use it.
//
//   node scripts/build.mjs [--features fault-injection] [--out build-faults] [--max-kb 500]

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { parseArgs } from "node:util";
import { ensureNpmPackages } from "./lib/node.mjs";
import { inRoot, readText, root, treeId } from "./lib/paths.mjs";
import { withLock } from "./lib/lock.mjs";
import { isMain, runScript, say, SetupError, step } from "./lib/steps.mjs";
import { ensureWasmToolchain } from "./lib/toolchain.mjs";

/** What cargo and worker-build say about their progress; in the log, but not between a person and the compiler's errors. */
const PROGRESS =
  /^\s*(Compiling|Checking|Downloading|Downloaded|Updating|Locking|Adding|Blocking|Fresh|Finished|\[INFO\]|info: )|^(Error: Compiling your crate|Caused by:|\s+failed to execute `cargo build`|\s+full command: )/;

function* filesUnder(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else yield path;
  }
}

/** Our own scripts, each beside the Rust that it belongs to, and their names in the build: one folder, where they find each other. */
function* scripts() {
  for (const path of filesUnder(inRoot("src", "edge"))) {
    const name = basename(path);
    if (name.endsWith(".mjs")) yield [path, name === "entry.mjs" ? "index.js" : name];
  }
}

/** A hash of everything a build is made from. Contents, not times: a checkout or a saved file alone builds nothing. */
function inputs(features) {
  const hash = createHash("sha256").update(`${features}\n${readText(fileURLToPath(import.meta.url))}`);
  const files = ["Cargo.toml", "Cargo.lock", "askama.toml", "package-lock.json"].map((name) => inRoot(name));
  for (const path of [...files.filter(existsSync), ...filesUnder(inRoot("src"))]) {
    hash.update(`${relative(root, path)}\n`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

/** Builds into `out`, a folder of the work tree, when something changed. Returns whether it built. */
export async function build({ features = process.env.AIPASSPORT_FEATURES ?? "", out = "build" } = {}) {
  await ensureNpmPackages();
  const stamp = inRoot(out, ".inputs");
  const isFresh = () => existsSync(stamp) && readText(stamp) === inputs(features);
  if (isFresh()) return false;
  const { workerBuild, env } = await ensureWasmToolchain();
  return withLock(`build-${treeId}`, async () => {
    if (isFresh()) return false;
    const wanted = inputs(features);
    rmSync(stamp, { force: true });
    // With features it is a test's and doesn't ship: what makes it small, half of the time, is left out.
    const options = features ? ["--no-opt", "--out-dir", out, ".", "--features", features] : ["--out-dir", out, "."];
    await step(`wasm build${features ? ` (${features})` : ""}`, workerBuild, ["--release", ...options], {
      cwd: root,
      env: { ...env, RUST_BACKTRACE: "0", CARGO_TERM_PROGRESS_WHEN: "never" },
      log: `build-${treeId}`,
      noise: PROGRESS,
    });
    if (!features) {
      // A fifth of the file is names of functions, which worker-build always keeps; a panic says its file and line without them.
      const wasm = inRoot(out, "index_bg.wasm");
      await step("take the names out of the wasm", env.WASM_OPT_BIN, ["--strip-debug", wasm, "-o", wasm], { cwd: root });
    }
    // What worker-build wrote stands behind our own first script.
    renameSync(inRoot(out, "index.js"), inRoot(out, "broker.js"));
    for (const [path, name] of scripts()) copyFileSync(path, inRoot(out, name));
    writeFileSync(stamp, wanted);
    return true;
  });
}

/** The size that counts at Cloudflare: everything uploaded, compressed. */
export const compressedBytes = (out = "build") =>
  [...[...scripts()].map(([, name]) => name), "broker.js", "index_bg.wasm"].reduce(
    (sum, name) => sum + gzipSync(readFileSync(inRoot(out, name)), { level: 9 }).length,
    0,
  );

if (isMain(import.meta.url)) {
  await runScript(async () => {
    const text = { type: "string" };
    const { values } = parseArgs({ options: { features: text, out: text, "max-kb": text } });
    const built = await build(values);
    const size = Math.ceil(compressedBytes(values.out) / 1024);
    say(`${built ? `Built ${values.out ?? "build"}/` : "Nothing changed"}, ${size} KB compressed.`);
    const limit = Number(values["max-kb"] ?? Infinity);
    if (!(size <= limit)) throw new SetupError(`The build has ${size} KB compressed, and the limit is ${limit} KB.`);
  });
}
