// A reporter of `node --test` for programs: one line of JSON for each file, with how many of its tests passed, and how long it took.

import { relative } from "node:path";
import { root } from "./paths.mjs";

export default async function* report(events) {
  for await (const { type, data } of events) {
    // The last one is of all files together.
    if (type !== "test:summary" || !data.file) continue;
    const { passed, failed, cancelled, skipped, todo } = data.counts;
    const counts = { passed, failed: failed + cancelled, skipped: skipped + todo };
    yield `${JSON.stringify({ file: relative(root, data.file), ...counts, ms: Math.round(data.duration_ms) })}\n`;
  }
}
