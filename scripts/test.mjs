// `npm test`: native Rust tests, what they read of answers against an independent library, the black-box suite against the built wasm
// in workerd, OAuth clients of others against the same, the browser test; one summary.
//
//   npm test -- --only native,blackbox      some of the five
//   npm test -- --only blackbox oauth       only the files (or, of the native ones, the tests) with `oauth` in their name
//
// The native tests compile and run beside the others; those share one pool of files, the longest first, so that no core waits for the
// last of them. How long each took the last time is kept in the cache.

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, setPriority } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { ensureChromium } from "./lib/chromium.mjs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { inCache, inRoot, readText, root } from "./lib/paths.mjs";
import { ensurePythonClients } from "./lib/python.mjs";
import { ensureRustClient } from "./lib/rust-client.mjs";
import { runScript, say, SetupError, start } from "./lib/steps.mjs";

const FILE_TIMEOUT_MS = 10 * 60_000;
/** Half of the time a file waits: for a broker that starts, for an alarm, for a provider. Each has a broker of its own in memory. */
const FILES_AT_A_TIME = Math.min(2 * availableParallelism(), 8);
const OUTCOMES = ["passed", "failed", "skipped"];

/** By stage: the folder of its files, and what they need besides the wasm. */
const FILE_STAGES = {
  oracle: { folder: "tests/oracle", prepare: async () => ({}) },
  blackbox: { folder: "tests/blackbox", prepare: async () => (await build(), {}) },
  clients: {
    folder: "tests/clients",
    async prepare() {
      await build();
      // Here, where a person sees that it takes a while; the tests find them ready.
      await ensurePythonClients();
      await ensureRustClient();
      return {};
    },
  },
  browser: {
    folder: "tests/browser",
    async prepare() {
      await build();
      return { CHROMIUM: await ensureChromium() };
    },
  },
};
const STAGES = ["native", ...Object.keys(FILE_STAGES)];

/** Runs a test runner; resolves to its output and whether it succeeded. `show` is handed what it writes; a patient one leaves others the cores. */
async function runner(command, args, { env = {}, show, isPatient = false }) {
  const child = start(command, args, { cwd: root, env: { ...process.env, ...env } });
  if (isPatient && child.pid) setPriority(child.pid, 10);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      show(chunk);
    });
  }
  const code = await new Promise((done, fail) => child.once("error", fail).once("close", done));
  return { text, ok: code === 0 };
}

const nothing = () => ({ passed: 0, failed: 0, skipped: 0 });

/** A runner that failed without a failed test (a crash, a compile error) has failed all the same; one without a test too. */
function judged(counts, ok) {
  if (!ok || counts.passed + counts.skipped === 0) counts.failed = Math.max(counts.failed, 1);
  return counts;
}

async function native(filter, { isBeside, show }) {
  const began = Date.now();
  const { text, ok } = await runner("cargo", ["test", "--locked", "--no-fail-fast", ...filter], { show, isPatient: isBeside });
  const counts = nothing();
  for (const [, passed, failed, ignored] of text.matchAll(/^test result:.*? (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return { name: "native", ...judged(counts, ok), seconds: (Date.now() - began) / 1000 };
}

const TIMES = inCache("test-times.json");

/** How long files took, in milliseconds by name; of a first run nothing is known. */
function times() {
  try {
    return JSON.parse(readText(TIMES));
  } catch {
    return {};
  }
}

/** The files of some stages, the longest first: one that is new may be long. */
function filesOf(stages, filter) {
  const isWanted = (name) => name.endsWith(".test.mjs") && (filter.length === 0 || filter.some((part) => name.includes(part)));
  const files = stages.flatMap((stage) => {
    const { folder } = FILE_STAGES[stage];
    const found = existsSync(inRoot(folder)) ? readdirSync(inRoot(folder)) : [];
    if (!found.some((name) => name.endsWith(".test.mjs"))) throw new SetupError(`There is no *.test.mjs in ${folder}.`);
    return found.filter(isWanted).map((name) => join(folder, name));
  });
  const known = times();
  const length = (file) => known[file] ?? Infinity;
  return files.sort((one, other) => (length(one) === length(other) ? 0 : length(other) - length(one)));
}

/** Runs the files of some stages in one pool. Answers with the outcome of each stage. */
async function pool(stages, filter, env, show) {
  const files = filesOf(stages, filter);
  if (files.length === 0) return stages.map((name) => ({ name, ...nothing(), seconds: 0 }));
  const report = inRoot("target", "test-report.jsonl");
  mkdirSync(dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const { ok } = await runner(process.execPath, [inRoot("scripts/lib/run-test-files.mjs"), report, FILES_AT_A_TIME, FILE_TIMEOUT_MS, ...files], {
    // What a file imports is compiled once for all of them.
    env: { WRANGLER_SEND_METRICS: "false", FORCE_COLOR: "0", NODE_COMPILE_CACHE: inCache("node-compile-cache"), ...env },
    show,
  });
  const lines = existsSync(report) ? readText(report).split("\n").filter(Boolean).map((line) => JSON.parse(line)) : [];
  if (filter.length === 0) remember(lines);
  // A file that ended before it could report anything has failed.
  const silent = files.filter((file) => !lines.some((line) => line.file === file));
  const results = stages.map((name) => {
    const isOurs = (file) => file.startsWith(`${FILE_STAGES[name].folder}/`);
    const own = lines.filter(({ file }) => isOurs(file));
    const sum = (what) => own.reduce((total, line) => total + line[what], 0);
    const counts = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, sum(outcome)]));
    counts.failed += silent.filter(isOurs).length;
    return { name, ...(own.length > 0 && filter.length === 0 ? judged(counts, true) : counts), seconds: sum("ms") / 1000 };
  });
  if (!ok && results.every(({ failed }) => failed === 0)) results[0].failed = 1;
  const slowest = lines.sort((one, other) => other.ms - one.ms).slice(0, 5);
  if (files.length > 5) say(`The longest files: ${slowest.map(({ file, ms }) => `${file} ${Math.round(ms / 1000)} s`).join(", ")}`);
  return results;
}

function remember(lines) {
  const known = { ...times(), ...Object.fromEntries(lines.map(({ file, ms }) => [file, ms])) };
  for (const file of Object.keys(known)) if (!existsSync(inRoot(file))) delete known[file];
  writeFileSync(TIMES, JSON.stringify(known));
}

const words = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

/** A stage that can't be run has failed, and says why. */
function failing(names) {
  return (error) => {
    say(error instanceof SetupError ? error.message : error.stack);
    return names.map((name) => ({ name, ...nothing(), failed: 1, seconds: 0 }));
  };
}

/** Sets up what the files of some stages need, and runs them. */
async function runFiles(stages, filter, show) {
  const env = {};
  for (const stage of stages) Object.assign(env, await FILE_STAGES[stage].prepare());
  return pool(stages, filter, env, show);
}

await runScript(async () => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: "string" } } });
  const wanted = values.only?.split(",") ?? STAGES;
  const unknown = wanted.filter((name) => !STAGES.includes(name));
  if (unknown.length > 0) throw new SetupError(`There is no stage ${unknown.join(", ")}; there are ${STAGES.join(", ")}.`);
  await ensureNpmPackages();
  await ensureNode();

  const files = wanted.filter((name) => FILE_STAGES[name]);
  const print = (text) => process.stdout.write(text);
  // Two that write at the same time can't be read: the native tests are told after the others.
  let kept = "";
  const keep = (text) => (kept += text);
  const [ofNative, ofFiles] = await Promise.all([
    wanted.includes("native") ? native(positionals, files.length > 0 ? { isBeside: true, show: keep } : { show: print }).then((result) => [result], failing(["native"])) : [],
    files.length > 0 ? runFiles(files, positionals, print).catch(failing(files)) : [],
  ]);
  if (kept) print(`\n── native ${"─".repeat(54)}\n${kept}`);

  const total = nothing();
  print("\n");
  for (const result of [...ofNative, ...ofFiles]) {
    for (const outcome of OUTCOMES) total[outcome] += result[outcome];
    print(`  ${result.name.padEnd(9)} ${words(result).padEnd(36)} ${Math.round(result.seconds)} s\n`);
  }
  print(`\n${words(total)}\n`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
});
