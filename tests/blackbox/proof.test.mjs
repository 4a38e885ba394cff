// The proof of the money cap, in short: `npm run proof` is the same for as long as one likes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { prove, report } from "../proof/run.mjs";

test("never above a cap, while clients leave and the process is killed", async () => {
  const result = await prove({ seconds: 12, killEvery: [3, 5], clients: 48, seed: process.env.SEED || undefined });
  const { summary, violations } = result;
  if (violations.length > 0) console.error(report(result));
  assert.deepEqual(violations, []);
  assert.equal(summary.overshoot_nano_usd, 0);
  assert.ok(summary.billed_nano_usd > 0 && summary.billed_nano_usd <= summary.booked_nano_usd);
  // It was no proof if nothing of all that happened.
  for (const name of ["calls", "aborts", "kills", "refused_402", "refused_429", "answered", "booked_exactly"]) {
    assert.ok(summary[name] > 0, `${name}: ${summary[name]}`);
  }
});
