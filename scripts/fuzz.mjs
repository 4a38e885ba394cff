// `npm run fuzz`: throws made-up input at every parser that reads what a stranger sends, for a minute or as long as it is told.
//
//   npm run fuzz -- --seconds 600      for ten minutes
//   npm run fuzz -- --minimise         also takes what was found into tests/fuzz/corpus: the 200 files or fewer that reach most
//
// The target and what it holds the parsers to are in tests/fuzz/families. What is found beyond the kept corpus stays in target/ and
// is where the next run begins.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { ensureCargoFuzz } from "./lib/cargo-tools.mjs";
import { fewest, readMergeNotes } from "./lib/fuzz-corpus.mjs";
import { inRoot, root } from "./lib/paths.mjs";
import { runScript, say, SetupError, start, step } from "./lib/steps.mjs";

const TARGET = "parsers";
// Nothing that is read may take longer, or need more: the longest inputs are 128 KiB.
const MOST = ["-timeout=2", "-rss_limit_mb=512"];
// Longer ones come of the stretched inputs, which say in few bytes what is repeated.
const MAX_INPUT_BYTES = 65_536;
/** A kept input is small: what a longer one reaches in addition is left to the next run to find again. */
const MAX_KEPT_BYTES = 4_096;
/** So few that a change of the kept inputs can be looked through; what is left out adds least. */
const MOST_KEPT = 200;
const KEPT = inRoot("tests/fuzz/corpus");
const FOUND = inRoot("target/fuzz-corpus");
const ARTIFACTS = inRoot("test-artifacts/fuzz");

/** Without `--release` cargo-fuzz turns assertions on in every crate, whatever Cargo.toml says. No sanitizer: they look for broken memory, `unsafe_code` is denied here, and without them it is several times as many inputs. */
const fuzzOptions = ["--release", "--fuzz-dir", inRoot("tests/fuzz"), "--target-dir", inRoot("target/fuzz"), "--sanitizer", "none"];

async function build(cargoFuzz) {
  // So that what is tried is what ships.
  copyFileSync(inRoot("Cargo.lock"), inRoot("tests/fuzz/Cargo.lock"));
  const args = ["build", ...fuzzOptions, TARGET];
  await step("fuzz target, a minute or two the first time", cargoFuzz, args, { cwd: root, log: "fuzz-build" });
  // cargo-fuzz puts it beside the triple that it builds for.
  const built = readdirSync(inRoot("target/fuzz"))
    .map((triple) => inRoot("target/fuzz", triple, "release", TARGET))
    .find(existsSync);
  if (!built) throw new SetupError("cargo-fuzz built no target");
  return built;
}

/** Runs libFuzzer with its output passed on, and answers with that output and how it ended. */
async function libFuzzer(program, args) {
  const child = start(program, args, { cwd: root });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      process.stderr.write(chunk);
    });
  }
  const code = await new Promise((done, fail) => child.once("error", fail).once("close", done));
  return { text, code };
}

/** An older one would measure other code, and take what a new family reads for nothing. */
function refuseIfOlder(program) {
  const built = statSync(program).mtimeMs;
  const sources = readdirSync(inRoot("tests/fuzz/families")).map((name) => inRoot("tests/fuzz/families", name));
  const newer = [inRoot("tests/fuzz/parsers.rs"), ...sources].find((source) => statSync(source).mtimeMs > built);
  if (newer) throw new SetupError(`${relative(root, newer)} was changed since the target was built. Run this again.`);
}

async function minimise(program) {
  refuseIfOlder(program);
  const merged = inRoot("target/fuzz-merged");
  const notes = inRoot("target/fuzz-merge-notes");
  for (const path of [merged, notes]) rmSync(path, { recursive: true, force: true });
  mkdirSync(merged);
  // By places reached alone: how often each was reached makes several times as many inputs differ.
  const args = ["-set_cover_merge=1", "-use_counters=0", `-merge_control_file=${notes}`, `-max_len=${MAX_KEPT_BYTES}`];
  const { code } = await libFuzzer(program, [...args, ...MOST, `-artifact_prefix=${ARTIFACTS}/`, merged, KEPT, FOUND]);
  if (code !== 0) throw new SetupError("The corpus could not be minimised; the reason is above.");
  const inputs = readMergeNotes(readFileSync(notes, "utf8"))
    .map((input) => ({ ...input, content: readFileSync(input.path) }))
    .filter(({ content }) => content.length > 0 && content.length <= MAX_KEPT_BYTES)
    .map((input) => ({ ...input, family: String.fromCharCode(input.content[0]), bytes: input.content.length }));
  const families = [...readFileSync(inRoot("tests/fuzz/families/mod.rs"), "utf8").matchAll(/\bfamily\(b'(.)'/g)];
  const letters = families.map(([, letter]) => letter);
  swapKept(fewest(inputs, letters, MOST_KEPT).map(({ content }) => content));
  rmSync(merged, { recursive: true });
  say(`${relative(root, KEPT)} holds ${readdirSync(KEPT).length} inputs now.`);
}

/** Written beside the old one, so that whatever ends this in between leaves one of them whole. */
function swapKept(contents) {
  const [fresh, old] = [`${KEPT}.new`, `${KEPT}.old`];
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(fresh);
  for (const content of contents) writeFileSync(join(fresh, createHash("sha1").update(content).digest("hex")), content);
  renameSync(KEPT, old);
  renameSync(fresh, KEPT);
  rmSync(old, { recursive: true });
}

await runScript(async () => {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" }, minimise: { type: "boolean" } } });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1) throw new SetupError("--seconds takes a whole number from 1 on.");

  const program = await build(await ensureCargoFuzz());
  for (const folder of [FOUND, ARTIFACTS]) mkdirSync(folder, { recursive: true });
  const before = new Set(readdirSync(ARTIFACTS));
  const { text, code } = await libFuzzer(program, [
    FOUND,
    KEPT,
    `-max_total_time=${seconds}`,
    `-max_len=${MAX_INPUT_BYTES}`,
    ...MOST,
    `-artifact_prefix=${ARTIFACTS}/`,
    "-print_final_stats=1",
  ]);
  const coverage = [...text.matchAll(/ cov: (\d+) ft: (\d+)/g)];
  const [first, last] = [coverage[0], coverage.at(-1)];
  const runs = text.match(/stat::number_of_executed_units: (\d+)/)?.[1] ?? "?";
  if (first) say(`\n${runs} inputs; places reached: ${first[1]} at first, ${last[1]} at the end.`);
  const found = readdirSync(ARTIFACTS).filter((name) => !before.has(name));
  if (code !== 0 || found.length > 0) {
    const inputs = found.map((name) => `  ${relative(root, ARTIFACTS)}/${name}`);
    const again = found[0] && `Try it again with: ${relative(root, program)} ${relative(root, ARTIFACTS)}/${found[0]}`;
    throw new SetupError(["A parser does not hold. The input:", ...inputs, again].filter(Boolean).join("\n"));
  }
  say("Every parser held.");
  if (values.minimise) await minimise(program);
});
