// Runs files of `node:test` in the order in which they are named, which `node --test` sorts by name. Started by scripts/test.mjs.
//
//   node scripts/lib/run-test-files.mjs REPORT CONCURRENCY TIMEOUT_MS FILE…
//
// Tells people on its output; and a program in REPORT, a line of JSON for each file: how many of its tests passed, and how long it took.

import { appendFileSync } from "node:fs";
import { relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { root } from "./paths.mjs";

const [report, concurrency, timeout, ...files] = process.argv.slice(2);

run({ files, concurrency: Number(concurrency), timeout: Number(timeout) })
  .on("test:fail", () => (process.exitCode = 1))
  .on("test:summary", ({ file, counts, duration_ms: ms }) => {
    // The last one is of all files together.
    if (!file) return;
    const { passed, failed, cancelled, skipped, todo } = counts;
    const line = { file: relative(root, file), passed, failed: failed + cancelled, skipped: skipped + todo, ms: Math.round(ms) };
    appendFileSync(report, `${JSON.stringify(line)}\n`);
  })
  .compose(new spec())
  .pipe(process.stdout);
