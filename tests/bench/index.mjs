// What the broker costs, in one table; the same numbers as JSON in target/bench/summary.json.
//
//   npm run bench                  all of it
//   npm run bench -- calls         only what has `calls` in its name: streams, calls, ahead, flatness, pages

import { mkdirSync, writeFileSync } from "node:fs";
import { compressedBytes } from "../../scripts/build.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { measureAhead, measureCalls, measureFlatness } from "./calls.mjs";
import { measurePages } from "./pages.mjs";
import { measureStreams } from "./streams.mjs";
import { startUpstream } from "./upstream.mjs";

const PARTS = {
  streams: (upstream) => measureStreams(upstream, 5),
  calls: (upstream) => measureCalls(upstream, 7),
  ahead: (upstream) => measureAhead(upstream, 5),
  flatness: (upstream) => measureFlatness(upstream, 5),
  pages: (upstream) => measurePages(upstream, 3),
};

const number = (value) => (value === undefined ? "" : value.toFixed(2));
const line = ({ what, cpu, ratio, note }) => `${what.padEnd(56)}${number(cpu).padStart(8)}${number(ratio).padStart(8)}   ${note}`;

export async function bench(wanted) {
  const upstream = await startUpstream();
  const summary = { wasm_gzip_bytes: compressedBytes() };
  const rows = [];
  for (const [name, measure] of Object.entries(PARTS)) {
    if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
    const result = await measure(upstream.url);
    rows.push("", ...result.rows.map(line));
    Object.assign(summary, result.summary);
  }
  upstream.close();
  console.log(`${"".padEnd(56)}  CPU ms   ratio   medians over rounds in turns`);
  for (const row of rows) console.log(row);
  console.log(`\ncompressed size: ${Math.ceil(summary.wasm_gzip_bytes / 1024)} KB`);
  const rounded = Object.fromEntries(Object.entries(summary).map(([name, value]) => [name, Math.round(value * 1000) / 1000]));
  mkdirSync(inRoot("target", "bench"), { recursive: true });
  writeFileSync(inRoot("target", "bench", "summary.json"), `${JSON.stringify(rounded, null, 2)}\n`);
}
