// What a newcomer waits for: a clone of what is committed, an empty cache, `npm run dev`. Then a file of the source is saved, and a page.
// Fails where something isn't served; how long it took is printed, and written to target/bench/newcomer.json.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inRoot, root } from "../scripts/lib/paths.mjs";

const READY_WITHIN_S = 30 * 60;
const SERVED_WITHIN_S = 5 * 60;
const PORT = 28_787;

const folder = mkdtempSync(join(tmpdir(), "aipassport-newcomer-"));
const clone = join(folder, "clone");
const seconds = {};
let output = "";

/** Seconds until a condition holds. */
async function until(condition, what, withinSeconds) {
  const began = Date.now();
  while (!(await condition())) {
    assert.ok(Date.now() - began < withinSeconds * 1000, `${what} within ${withinSeconds} s:\n${output}`);
    await sleep(200);
  }
  return (Date.now() - began) / 1000;
}

const get = async (path) => (await fetch(`http://localhost:${PORT}${path}`).catch(() => null))?.text() ?? "";

/** Changes a text of the source, and waits until the broker says it at this path. */
async function edit(address, file, from, to) {
  const path = join(clone, file);
  const before = readFileSync(path, "utf8");
  assert.ok(before.includes(from), `${file} says “${from}”`);
  writeFileSync(path, before.replace(from, to));
  return until(async () => (await get(address)).includes(to), `“${to}” is served`, SERVED_WITHIN_S);
}

execFileSync("git", ["clone", "--quiet", root, clone]);
const env = { ...process.env, AIPASSPORT_CACHE: join(folder, "cache"), PORT, CI: "1" };
// Whatever this machine shares between checkouts is not there for a newcomer.
for (const name of ["CARGO_BUILD_BUILD_DIR", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL", "AIPASSPORT_PROFILE"]) delete env[name];
const broker = spawn("npm", ["run", "--silent", "dev"], { cwd: clone, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
try {
  for (const stream of [broker.stdout, broker.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stderr.write(text);
    });
  }
  broker.once("close", (code) => (output += `\nnpm run dev ended with ${code}`));
  seconds.empty_cache_to_running = await until(() => /Log: /.test(output) || /dev ended/.test(output), "everything runs", READY_WITHIN_S);
  assert.doesNotMatch(output, /dev ended/, output);
  const built = /wasm build: done in (\d+) s/.exec(output);
  seconds.of_which_the_first_build = Number(built?.[1] ?? 0);
  // wrangler begins to watch the sources a moment after it serves; nobody saves a file sooner.
  await sleep(5_000);
  seconds.saved_rust_to_served = await edit("/health", "src/web/metadata.rs", '"status": "ok"', '"status": "very well"');
  seconds.saved_page_to_served = await edit("/", "src/web/pages/home.html", "</h1>", " Indeed.</h1>");
} finally {
  process.kill(-broker.pid, "SIGTERM");
  await sleep(4_000);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
mkdirSync(inRoot("target", "bench"), { recursive: true });
writeFileSync(inRoot("target", "bench", "newcomer.json"), `${JSON.stringify(seconds, null, 2)}\n`);
console.log(Object.entries(seconds).map(([what, s]) => `${what.replaceAll("_", " ").padEnd(32)} ${Math.round(s)} s`).join("\n"));
process.exit(0);
