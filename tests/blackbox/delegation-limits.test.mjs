// The limits of delegations (RFC 8693): each binds for itself, and what any of them uses counts in all above it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DETAILS, assertOpenAiError, chat, claims } from "../support/flow.mjs";
import { narrowed, usageOf } from "../support/tokens.mjs";
import { startWorld, until, useUp } from "../support/world.mjs";

const { broker, browser, standin } = await startWorld();
const app = await browser.register({ name: "Server app", type: "confidential" });
const NARROW = { type: "ai_access", provider: "openai", models: ["gpt-5-mini"], capabilities: ["chat"] };

const grant = async (limits) =>
  (await browser.grant(app, { details: [...DETAILS, { type: "ai_limits", ...limits }], money: true })).access_token;
const child = (token, limits, entry = {}) =>
  narrowed(broker, app, token, { details: [{ ...NARROW, ...entry }, ...(limits ? [{ type: "ai_limits", ...limits }] : [])] });
const usage = (token) => usageOf(broker, app, token);
/** The refusal of a call, once nothing is only held any more. */
const refusal = (token, content = "x", more) =>
  until(async () => {
    const answer = await chat(broker, token, content, more);
    return !["requests_held", "budget_held", "tokens_held"].includes(answer.code) && answer;
  }, "nothing is held");

test("requests: a child uses up its own, and its parent has as many less", async () => {
  const token = await grant({ requests: 10 });
  const it = await child(token, { requests: 3 });
  assert.equal(await useUp(broker, it), 3);
  const answer = await refusal(it);
  assertOpenAiError(answer, 402, "requests_exhausted");
  assert.equal(answer.body.error.aipassport.scope, "delegation");
  assert.deepEqual((await usage(token)).requests, { limit: 10, used: 3, held: 0, remaining: 7 });
  assert.equal(await useUp(broker, token), 7);
});

test("requests: two children and their parent together never have more than the parent's", async () => {
  const token = await grant({ requests: 10 });
  const [first, second] = [await child(token, { requests: 8 }), await child(token, { requests: 8 })];
  const before = standin.requests.length;
  const passed = await Promise.all([useUp(broker, first), useUp(broker, second), useUp(broker, token)]);
  assert.equal(
    passed.reduce((sum, one) => sum + one),
    10,
    String(passed),
  );
  assert.equal(standin.requests.length - before, 10);
  assert.ok(passed[0] <= 8 && passed[1] <= 8);
  const answer = await refusal(first);
  assert.equal(answer.code, "requests_exhausted");
});

test("requests: what a grandchild uses counts in all above it", async () => {
  const token = await grant({ requests: 10 });
  const it = await child(token, { requests: 5 });
  const grandchild = await child(it, { requests: 2 });
  assert.equal(await useUp(broker, grandchild), 2);
  await until(async () => (await usage(token)).requests.held === 0, "all is booked");
  assert.deepEqual((await usage(it)).requests, { limit: 5, used: 2, held: 0, remaining: 3 });
  assert.deepEqual((await usage(token)).requests, { limit: 10, used: 2, held: 0, remaining: 8 });
  assert.equal(await useUp(broker, it), 3);
  assert.notEqual((await chat(broker, grandchild)).status, 200);
});

test("requests: a limit of one entry of a child binds that entry", async () => {
  const token = await grant({ requests: 10 });
  const it = await child(token, undefined, { limits: { requests: 2 } });
  assert.equal(await useUp(broker, it), 2);
  assert.equal((await chat(broker, token)).status, 200);
});

/** The most that one of the calls of `spend` can cost, in USD: with less than that left it is refused. It costs a tenth of that. */
const MOST = "0.0012";
/** Calls of a known size until the money is gone; answers the last refusal. */
async function spend(token) {
  for (let calls = 0; ; calls += 1) {
    const answer = await refusal(token, "standin:chunks=45", { max_completion_tokens: 50 });
    if (answer.status !== 200) return { answer, calls };
  }
}
const nano = (usd) => BigInt(Math.round(Number(usd) * 1e9));
const booked = (token) =>
  until(async () => {
    const { budget_usd: budget } = await usage(token);
    return nano(budget.held) === 0n && budget;
  }, "all is booked");

test("money: a child spends its own and no more, and its parent has as much less", async () => {
  const token = await grant({ budget_usd: "1.00" });
  const it = await child(token, { budget_usd: "0.003" });
  const { answer, calls } = await spend(it);
  assertOpenAiError(answer, 402, "budget_exhausted");
  assert.equal(answer.body.error.aipassport.scope, "delegation");
  assert.ok(calls > 1);
  const [own, above] = [await booked(it), await booked(token)];
  assert.ok(nano(own.used) > nano("0.003") - nano(MOST) && nano(own.used) <= nano("0.003"), own.used);
  assert.equal(own.used, above.used);
  assert.equal(nano(above.remaining), nano("1.00") - nano(own.used));
  assert.equal((await chat(broker, token)).status, 200);
});

test("money: two children and their parent at once never spend more than the parent's", async () => {
  const token = await grant({ budget_usd: "0.005" });
  const [first, second] = [await child(token, { budget_usd: "0.004" }), await child(token, { budget_usd: "0.004" })];
  const ends = await Promise.all([first, second, token].map(spend));
  for (const { answer } of ends) assertOpenAiError(answer, 402, "budget_exhausted");
  const [one, two, all] = [await booked(first), await booked(second), await booked(token)];
  assert.ok(nano(all.used) > nano("0.005") - nano(MOST) && nano(all.used) <= nano("0.005"), all.used);
  assert.ok(ends.every(({ calls }) => calls > 0));
  assert.ok(nano(one.used) <= nano("0.004") && nano(two.used) <= nano("0.004"));
  assert.ok(nano(one.used) + nano(two.used) <= nano(all.used));
  const events = async () => {
    const [row] = await broker.sql("SELECT sum(nano_usd) AS nano FROM usage_events WHERE grant_id = ?", claims(token).grant_id);
    return BigInt(row.nano ?? 0) === nano(all.used);
  };
  await until(events, "what is booked in D1 is what the ledger says");
});

test("tokens, rate and concurrency of a child bind it, and leave its parent alone", async () => {
  const token = await grant({ requests: 100 });
  const few = await child(token, { tokens: 100 });
  assertOpenAiError(await chat(broker, few, "x ".repeat(500)), 402, "tokens_exhausted");
  const slow = await child(token, { requests_per_minute: 1 });
  assert.equal((await chat(broker, slow)).status, 200);
  assertOpenAiError(await chat(broker, slow), 429, "rate_limited");
  const single = await child(token, { concurrency: 1 });
  const running = chat(broker, single, "marker-single standin:delay=800");
  await until(() => standin.requests.some(({ body }) => JSON.stringify(body).includes("marker-single")), "the call arrives");
  assertOpenAiError(await chat(broker, single), 429, "concurrency_exceeded");
  assert.equal((await chat(broker, token)).status, 200);
  assert.equal((await running).status, 200);
});

test("what a child that was revoked has used stays used", async () => {
  const token = await grant({ requests: 4 });
  const it = await child(token, { requests: 3 });
  assert.equal(await useUp(broker, it), 3);
  const { client_id, client_secret } = app;
  const body = new URLSearchParams({ token: it, client_id, client_secret });
  assert.equal((await fetch(`${broker.url}/revoke`, { method: "POST", body })).status, 200);
  assert.equal(await useUp(broker, await child(token, { requests: 3 })), 1);
});

test("a call of a child that broke the broker is booked in all above it", async () => {
  const token = await grant({ requests: 5 });
  const it = await child(token, { requests: 5 });
  const running = chat(broker, it, "marker-killed standin:delay=5000").catch(() => {});
  await until(() => standin.requests.some(({ body }) => JSON.stringify(body).includes("marker-killed")), "the call arrives");
  await broker.kill();
  await running;
  const { requests } = await usage(it);
  assert.equal(requests.used + requests.held, 1);
  const above = (await usage(token)).requests;
  assert.equal(above.used + above.held, 1);
});

test("a child has a limit that its parent has not", async () => {
  const { access_token: token } = await browser.grant(app, { details: [NARROW] });
  assert.equal(await useUp(broker, await child(token, { requests: 2 })), 2);
  assert.equal((await chat(broker, token)).status, 200);
});

test("a limit that the user lowers afterwards binds children too", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, { details: [{ ...NARROW, limits: { requests: 10 } }] });
  const it = await child(token, { requests: 10 });
  assert.equal((await chat(broker, it)).status, 200);
  const { page } = await browser.get(`/grants/${id}`);
  const answer = await browser.submit(page.form(`/grants/${id}`).fill({ "p0.requests": "2" }));
  assert.equal(answer.status, 303, answer.page?.text);
  assert.equal(await useUp(broker, it), 1);
});
