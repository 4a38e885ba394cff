// `npm test`: native Rust tests, what they read of answers against an independent library, the black-box suite against the built wasm
// in workerd, OAuth clients of others against the same, the browser test; one summary.
//
//   npm test -- --only native,blackbox      some of the five
//   npm test -- --only blackbox oauth       only the files (or, of the native ones, the tests) with `oauth` in their name

import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { ensureChromium } from "./lib/chromium.mjs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { inRoot, root } from "./lib/paths.mjs";
import { ensurePythonClients } from "./lib/python.mjs";
import { ensureRustClient } from "./lib/rust-client.mjs";
import { runScript, say, SetupError, start } from "./lib/steps.mjs";

const FILE_TIMEOUT_MS = 10 * 60_000;
/** Half of the time a file waits: for a broker that starts, for an alarm, for a clock. Each has a broker of its own in memory. */
const FILES_AT_A_TIME = Math.min(2 * availableParallelism(), 8);

/** Runs a test runner with its output passed on; resolves to that output and whether it succeeded. */
async function runner(command, args, env) {
  const child = start(command, args, { cwd: root, env: { ...process.env, ...env } });
  let text = "";
  for (const [stream, out] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
    stream.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      out.write(chunk);
    });
  }
  const code = await new Promise((done, fail) => child.once("error", fail).once("close", done));
  return { text, ok: code === 0 };
}

/** Adds up the numbers that a runner's closing lines give for each outcome. */
function counts({ text, ok }, patterns) {
  const sum = (pattern) => [...text.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0);
  const result = Object.fromEntries(Object.entries(patterns).map(([outcome, pattern]) => [outcome, sum(pattern)]));
  // A runner that failed without a failed test (a crash, a compile error) has failed all the same; one without a test too.
  if (!ok || result.passed + result.skipped === 0) result.failed = Math.max(result.failed, 1);
  return result;
}

/** Both builds of the wasm, once. The one for the test of what a panic leaves behind has a route that panics. */
let built;
const builds = () => (built ??= build().then(() => build({ features: "fault-injection", out: "build-faults" })));

async function native(filter) {
  const result = await runner("cargo", ["test", "--locked", "--no-fail-fast", ...filter], {});
  return counts(result, { passed: /^test result:.*? (\d+) passed/gm, failed: /^test result:.*? (\d+) failed/gm, skipped: /^test result:.*? (\d+) ignored/gm });
}

async function nodeTests(folder, filter, env) {
  const files = (existsSync(inRoot(folder)) ? readdirSync(inRoot(folder)) : [])
    .filter((name) => name.endsWith(".test.mjs") && (filter.length === 0 || filter.some((part) => name.includes(part))))
    .map((name) => join(folder, name));
  if (files.length === 0) {
    if (filter.length > 0) return { passed: 0, failed: 0, skipped: 0 };
    throw new SetupError(`There is no *.test.mjs in ${folder}.`);
  }
  const options = ["--test", `--test-concurrency=${FILES_AT_A_TIME}`, "--test-reporter=spec", `--test-timeout=${FILE_TIMEOUT_MS}`];
  const result = await runner(process.execPath, [...options, ...files], { WRANGLER_SEND_METRICS: "false", FORCE_COLOR: "0", ...env });
  return counts(result, { passed: /^ℹ pass (\d+)$/gm, failed: /^ℹ (?:fail|cancelled) (\d+)$/gm, skipped: /^ℹ (?:skipped|todo) (\d+)$/gm });
}

const oracle = (filter) => nodeTests("tests/oracle", filter, {});

async function blackbox(filter) {
  await builds();
  return nodeTests("tests/blackbox", filter, {});
}

async function clients(filter) {
  await build();
  // Here, where a person sees that it takes a while; the tests find them ready.
  await ensurePythonClients();
  await ensureRustClient();
  return nodeTests("tests/clients", filter, {});
}

async function browser(filter) {
  await build();
  return nodeTests("tests/browser", filter, { CHROMIUM: await ensureChromium() });
}

const STAGES = { native, oracle, blackbox, clients, browser };

const words = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

async function runStage(name, filter) {
  const began = Date.now();
  process.stdout.write(`\n── ${name} ${"─".repeat(60 - name.length)}\n`);
  let result;
  try {
    result = await STAGES[name](filter);
  } catch (error) {
    say(error instanceof SetupError ? error.message : error.stack);
    result = { passed: 0, failed: 1, skipped: 0 };
  }
  return { name, ...result, seconds: Math.round((Date.now() - began) / 1000) };
}

await runScript(async () => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: "string" } } });
  const wanted = values.only?.split(",") ?? Object.keys(STAGES);
  const unknown = wanted.filter((name) => !STAGES[name]);
  if (unknown.length > 0) throw new SetupError(`There is no stage ${unknown.join(", ")}; there are ${Object.keys(STAGES).join(", ")}.`);
  await ensureNpmPackages();
  await ensureNode();

  // The last steps of a build keep one core busy: meanwhile the other one has the native tests. A failure is told where it is needed.
  if (wanted.includes("native") && wanted.includes("blackbox")) builds().catch(() => {});

  const results = [];
  for (const name of wanted) results.push(await runStage(name, positionals));
  const total = { passed: 0, failed: 0, skipped: 0 };
  process.stdout.write("\n");
  for (const result of results) {
    for (const outcome of Object.keys(total)) total[outcome] += result[outcome];
    process.stdout.write(`  ${result.name.padEnd(9)} ${words(result).padEnd(36)} ${result.seconds} s\n`);
  }
  process.stdout.write(`\n${words(total)}\n`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
});
