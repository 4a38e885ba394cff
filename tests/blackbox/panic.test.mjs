// What fails inside. One panic ends the wasm instance that it happened in, and every request in flight there; the next request must be
// served. A database that is slow ends nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { chat } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const PANIC = "/inside/panic";
const seconds = (n) => AbortSignal.timeout(n * 1000);

test("nothing that can be asked of the broker that is shipped reaches the panic", async () => {
  const { broker, browser } = await startWorld();
  assert.equal((await fetch(broker.url + PANIC, { method: "POST" })).status, 404);
  assert.equal((await browser.get(PANIC)).status, 404);
});

test("a panic in one request does not take the broker down", async () => {
  const { broker, browser, app, standin } = await startWorld({ inside: true });
  const { access_token: token } = await browser.grant(app);
  assert.equal((await chat(broker, token)).status, 200);

  for (let round = 0; round < 3; round += 1) {
    const before = standin.requests.length;
    const concurrent = chat(broker, token, "standin:delay=500", {}, { signal: seconds(15) }).then(
      ({ status }) => status,
      (error) => error.name,
    );
    await until(() => standin.requests.length > before, "a call is in flight");
    const panicked = await fetch(broker.url + PANIC, { method: "POST", signal: seconds(15) });
    assert.equal(panicked.status, 500);
    assert.doesNotMatch(await panicked.text(), /panick|wasm|\.rs|unreachable|RuntimeError/i);

    assert.equal((await chat(broker, token, "x", {}, { signal: seconds(15) })).status, 200, "the next call");
    assert.equal((await browser.get("/grants")).status, 200, "the next page");
    assert.notEqual(await concurrent, "TimeoutError", "a call in flight may fail, but never hangs");
  }
  await until(async () => (await chat(broker, token)).status === 200, "calls go on");
  assert.ok(broker.logs.some((line) => /a panic on purpose/.test(line)), "and the log says where it was");
});

test("a database that is slow makes nobody wait longer than was set, and known grants not at all", async () => {
  const { broker, browser, app } = await startWorld({ inside: true, env: { DATABASE_TIMEOUT_SECONDS: "1" } });
  const [{ access_token: known }, { access_token: unknown }] = [await browser.grant(app), await browser.grant(app)];
  assert.equal((await chat(broker, known)).status, 200);
  await broker.fromInside("database", { slowMs: 700 });
  assert.equal((await chat(broker, known, "x", {}, { signal: seconds(0.6) })).status, 200, "its ledger knows it");
  assert.equal((await chat(broker, unknown)).status, 200, "one answer comes in time");
  const { status, page } = await browser.get("/grants");
  assert.equal(status, 503, "several in a row don't");
  assert.match(page.text, /try again/i);
  await broker.fromInside("database", { slowMs: 1200 });
  const token = await fetch(`${broker.url}/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "authorization_code", code: "x".repeat(43), code_verifier: "x".repeat(43), client_id: app.client_id, redirect_uri: app.redirect_uri }),
  });
  assert.deepEqual([token.status, (await token.json()).error], [503, "temporarily_unavailable"]);
  await broker.fromInside("database", { slowMs: 0 });
  assert.equal((await browser.get("/grants")).status, 200);
});
