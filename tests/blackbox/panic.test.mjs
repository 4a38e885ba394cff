// One panic ends the wasm instance that it happened in, and every request in flight there. The next request must be served.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ROOT } from "../support/broker.mjs";
import { chat } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const FAULTS = process.env.BROKER_FAULTS_BUILD ?? path.join(ROOT, "build-faults");
const seconds = (n) => AbortSignal.timeout(n * 1000);

test("the broker that is shipped has no such route", async () => {
  const { broker, browser } = await startWorld();
  assert.equal((await fetch(`${broker.url}/__fault/panic`, { method: "POST" })).status, 404);
  assert.equal((await browser.get("/__fault/panic")).status, 404);
});

test("a panic in one request does not take the broker down", async () => {
  assert.ok(existsSync(path.join(FAULTS, "index.js")), `build with the feature fault-injection into ${FAULTS} first`);
  const { broker, browser, app, standin } = await startWorld({ build: FAULTS });
  const { access_token: token } = await browser.grant(app);
  assert.equal((await chat(broker, token)).status, 200);

  for (let round = 0; round < 3; round += 1) {
    const before = standin.requests.length;
    const concurrent = chat(broker, token, "standin:delay=500", {}, { signal: seconds(15) }).then(
      ({ status }) => status,
      (error) => error.name,
    );
    await until(() => standin.requests.length > before, "a call is in flight");
    const panicked = await fetch(`${broker.url}/__fault/panic`, { method: "POST", signal: seconds(15) });
    assert.equal(panicked.status, 500);
    assert.doesNotMatch(await panicked.text(), /panick|wasm|\.rs|unreachable|RuntimeError/i);

    assert.equal((await chat(broker, token, "x", {}, { signal: seconds(15) })).status, 200, "the next call");
    assert.equal((await browser.get("/grants")).status, 200, "the next page");
    assert.notEqual(await concurrent, "TimeoutError", "a call in flight may fail, but never hangs");
  }
  await until(async () => (await chat(broker, token)).status === 200, "calls go on");
});
