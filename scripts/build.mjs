// The wasm build, and nothing when nothing changed: `npm run build`, wrangler's own build command, and the tests use it.
//
//   node scripts/build.mjs [--profile development] [--max-kb 1200]
//
// `release` (into build/) is what is deployed, tested and measured. `development` (into build-dev/) is what `npm run dev` serves: the
// same sources, compiled in seconds, larger and slower. Where no argument says which, AIPASSPORT_PROFILE does.
//
// What worker-build would do is three programs after each other, here by name: cargo, wasm-bindgen, and esbuild for its glue. Its shim
// isn't needed, since `src/edge/entry.mjs` is the Worker's first script, and compiling it took a newcomer two minutes.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { parseArgs } from "node:util";
import { ensureNpmPackages } from "./lib/node.mjs";
import { bin, inRoot, readText, root, treeId } from "./lib/paths.mjs";
import { withLock } from "./lib/lock.mjs";
import { isMain, output, runScript, say, SetupError, step } from "./lib/steps.mjs";
import { ensureWasmToolchain, TARGET } from "./lib/toolchain.mjs";

/** By name of the profile in Cargo.toml: the folder of the work tree that it is built into, and whether the build is made small. */
const PROFILES = {
  release: { out: "build", isSmall: true },
  development: { out: "build-dev", isSmall: false },
};

/** What cargo says about its progress; in the log, but not between a person and the compiler's errors. */
const PROGRESS = /^\s*(Compiling|Checking|Downloading|Downloaded|Updating|Locking|Adding|Blocking|Fresh|Finished|info: )/;

/** What rustc and wasm-bindgen emit for this target, and workerd runs. Not `--all-features`: it could write what workerd doesn't know yet. */
const WASM_FEATURES = ["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue", "reference-types", "exception-handling"];

function* filesUnder(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else yield path;
  }
}

/** Our own scripts, each beside the Rust that it belongs to, by their names in the build: one folder, where they find each other. */
function* scripts() {
  for (const path of filesUnder(inRoot("src", "edge"))) {
    const name = basename(path);
    if (name.endsWith(".mjs")) yield [name === "entry.mjs" ? "index.js" : name, path];
  }
}

/** A hash of everything a build is made from. Contents, not times: a checkout or a saved file alone builds nothing. */
function inputs(profile) {
  const hash = createHash("sha256").update(`${profile}\n${readText(fileURLToPath(import.meta.url))}`);
  const names = ["Cargo.toml", "Cargo.lock", "askama.toml", "package-lock.json", "tools/Cargo.lock", "tools/Cargo.toml", "tools/src/glue.rs"];
  const files = names.map((name) => inRoot(name));
  for (const path of [...files.filter(existsSync), ...filesUnder(inRoot("src"))]) {
    hash.update(`${relative(root, path)}\n`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

/**
 * Of what ships, the same sources make the same wasm in any folder of any user: a panic says its file, and crates of others lie in a
 * folder of the user's. Where whoever saves a file waits, paths that lead somewhere are of more use.
 */
function withoutPaths(env) {
  const cargoHome = env.CARGO_HOME || join(homedir(), ".cargo");
  const given = env.CARGO_ENCODED_RUSTFLAGS?.split("\x1f") ?? env.RUSTFLAGS?.split(" ") ?? [];
  const remapped = [[cargoHome, "/cargo"], [root, "/aipassport"]].map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  return { CARGO_ENCODED_RUSTFLAGS: [...given.filter(Boolean), ...remapped].join("\x1f") };
}

/** Compiles the crate and answers with the path of its wasm. */
async function compile(profile, env) {
  await step("wasm build", "cargo", ["build", "--lib", "--profile", profile, "--target", TARGET], {
    cwd: root,
    env: {
      ...env,
      ...(PROFILES[profile].isSmall && withoutPaths(env)),
      RUST_BACKTRACE: "0",
      // Whoever saves a file waits for what has changed; what ships is optimised as a whole.
      CARGO_INCREMENTAL: PROFILES[profile].isSmall ? "0" : "1",
      CARGO_TERM_PROGRESS_WHEN: "never",
      // Futures of wasm-bindgen's own `js_sys`, as `worker` wants them; its macro reads this while it expands.
      WASM_BINDGEN_USE_JS_SYS: "1",
    },
    log: `build-${treeId}`,
    noise: PROGRESS,
  });
  return join(env.CARGO_TARGET_DIR, TARGET, profile, "aipassport.wasm");
}

/** Makes the scripts that the wasm is called through: `broker.js` beside `broker_bg.wasm`, in a folder of its own. */
async function bindgen(wasm, folder, { tool, isSmall }) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await step("wasm-bindgen", tool, [wasm, folder], { cwd: root });
  const glue = join(folder, "broker.js");
  // Nobody imports the source phase of a module yet: workerd, wrangler and esbuild take it as an ordinary import.
  writeFileSync(glue, readText(glue).replaceAll("import source ", "import "));
  const bundle = ["--bundle", "--format=esm", "--external:./broker_bg.wasm", "--external:cloudflare:*", "--log-level=warning"];
  const esbuild = [glue, ...bundle, ...(isSmall ? ["--minify"] : []), `--outfile=${glue}`, "--allow-overwrite"];
  await step("esbuild", bin("esbuild"), esbuild, { cwd: root });
}

/**
 * Of the level that leaves least to upload: `-Oz` takes four times as long for 6 % fewer bytes, which compress to 10 % more. A fifth of
 * the file would be names of functions; a panic says its file and line without them.
 */
async function shrink(wasm) {
  const features = WASM_FEATURES.map((feature) => `--enable-${feature}`);
  await step("wasm-opt", bin("wasm-opt"), ["-O1", "--strip-debug", ...features, wasm, "-o", wasm], { cwd: root });
}

/** Copies what differs: wrangler serves anew for each file that is written. */
function put(from, to) {
  if (!existsSync(to) || !readFileSync(from).equals(readFileSync(to))) copyFileSync(from, to);
}

/** Builds what changed. Returns whether anything had. */
export async function build({ profile = "release" } = {}) {
  if (!Object.hasOwn(PROFILES, profile)) throw new SetupError(`There is no profile ${profile}; there are ${Object.keys(PROFILES).join(" and ")}.`);
  const { out, isSmall } = PROFILES[profile];
  await ensureNpmPackages();
  const stamp = inRoot(out, ".inputs");
  const isFresh = () => existsSync(stamp) && readText(stamp) === inputs(profile);
  if (isFresh()) return false;
  const { glue, env } = await ensureWasmToolchain();
  return withLock(`build-${treeId}`, async () => {
    if (isFresh()) return false;
    const wanted = inputs(profile);
    rmSync(stamp, { force: true });
    const made = join(env.CARGO_TARGET_DIR, `glue-${profile}`);
    await bindgen(await compile(profile, env), made, { tool: glue, isSmall });
    if (isSmall) await shrink(join(made, "broker_bg.wasm"));
    mkdirSync(inRoot(out), { recursive: true });
    const files = new Map([...["broker_bg.wasm", "broker.js"].map((name) => [name, join(made, name)]), ...scripts()]);
    for (const [name, path] of files) put(path, inRoot(out, name));
    // What an earlier build had, and this one has not, would be served and uploaded with it.
    for (const name of readdirSync(inRoot(out))) if (!files.has(name)) rmSync(inRoot(out, name), { recursive: true });
    writeFileSync(stamp, wanted);
    return true;
  });
}

/** The folder of the work tree that a profile is built into. */
export const outOf = (profile) => PROFILES[profile].out;

/** Of the wasm that is uploaded. */
export const wasmHash = (out = PROFILES.release.out) =>
  createHash("sha256").update(readFileSync(inRoot(out, "broker_bg.wasm"))).digest("hex");

/** The size that counts at Cloudflare: everything uploaded, compressed. */
export const compressedBytes = (out = PROFILES.release.out) =>
  readdirSync(inRoot(out))
    .filter((name) => !name.startsWith("."))
    .reduce((sum, name) => sum + gzipSync(readFileSync(inRoot(out, name)), { level: 9 }).length, 0);

if (isMain(import.meta.url)) {
  await runScript(async () => {
    const text = { type: "string" };
    const { values } = parseArgs({ options: { profile: text, "max-kb": text } });
    // wrangler's build command takes no argument from `npm run dev`.
    const profile = values.profile ?? (process.env.AIPASSPORT_PROFILE || "release");
    const built = await build({ profile });
    const out = outOf(profile);
    const size = Math.ceil(compressedBytes(out) / 1024);
    say(`${built ? `Built ${out}/` : "Nothing changed"}, ${size} KB compressed.`);
    // What somebody else who builds the same commit with the same compiler can compare.
    if (PROFILES[profile].isSmall) say(`sha256 ${wasmHash(out)} of ${out}/broker_bg.wasm, by ${await output("rustc", ["--version"])}`);
    const limit = Number(values["max-kb"] ?? Infinity);
    if (!(size <= limit)) throw new SetupError(`The build has ${size} KB compressed, and the limit is ${limit} KB.`);
  });
}
