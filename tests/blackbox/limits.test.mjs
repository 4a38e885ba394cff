import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort } from "../support/broker.mjs";
import { DETAILS, assertAnthropicError, assertOpenAiError, call, chat, messages } from "../support/flow.mjs";
import { startWorld, until, useUp } from "../support/world.mjs";

const { broker, browser, app, standin } = await startWorld({ inside: true });

const withLimits = (limits, overall) => ({
  details: [{ ...DETAILS[0], limits }, DETAILS[1], ...(overall ? [{ type: "ai_limits", ...overall }] : [])],
});
const token = async (limits, overall) => (await browser.grant(app, withLimits(limits, overall))).access_token;
const left = (answer) => Number(answer.headers.get("aipassport-requests-remaining"));

test("requests: used up means 402, which limit, and that nothing is left", async () => {
  const it = await token({ requests: 2 });
  const first = await chat(broker, it);
  assert.deepEqual([first.status, left(first)], [200, 1]);
  assert.equal(left(await chat(broker, it)), 0);
  const answer = await until(async () => {
    const answer = await chat(broker, it);
    // Until the last answer is booked, its room is only held.
    return answer.code !== "requests_held" && answer;
  }, "the last call is booked");
  assertOpenAiError(answer, 402, "requests_exhausted");
  assert.equal(answer.headers.get("retry-after"), null);
  const { limit, remaining, scope } = answer.body.error.aipassport;
  assert.deepEqual({ limit, remaining, scope }, { limit: "requests", remaining: 0, scope: "permission" });
});

test("requests of one permission leave the other permission alone", async () => {
  const it = await token({ requests: 1 });
  assert.equal((await chat(broker, it)).status, 200);
  assert.notEqual((await chat(broker, it)).status, 200);
  assert.equal((await messages(broker, it)).status, 200);
});

test("the tighter of permission and grant decides", async () => {
  const it = await token({ requests: 5 }, { requests: 1 });
  assert.equal(left(await chat(broker, it)), 0);
  const answer = await until(async () => {
    const answer = await messages(broker, it);
    return answer.code !== "requests_held" && answer;
  }, "the call is booked");
  assertAnthropicError(answer, 402, "requests_exhausted");
  assert.equal(answer.body.error.aipassport.scope, "grant");
});

test("requests_per_minute: 429 with Retry-After and the moment it resets", async () => {
  const it = await token({ requests_per_minute: 2 });
  for (let i = 0; i < 2; i += 1) assert.equal((await chat(broker, it)).status, 200);
  const answer = await chat(broker, it);
  assertOpenAiError(answer, 429, "rate_limited");
  const wait = Number(answer.headers.get("retry-after"));
  assert.ok(wait >= 1 && wait <= 61, String(wait));
  const { limit, allowed, resets_at: resetsAt } = answer.body.error.aipassport;
  assert.deepEqual({ limit, allowed }, { limit: "requests_per_minute", allowed: 2 });
  assert.ok(Math.abs(resetsAt - (Date.now() / 1000 + wait)) <= 2);
});

test("concurrency: 429 while the calls run, and room again when they end", async () => {
  const it = await token({ concurrency: 2 });
  const running = [1, 2].map(() => chat(broker, it, "standin:delay=1500"));
  await until(
    () => standin.requests.filter(({ finished, body }) => !finished && JSON.stringify(body).includes("delay=1500")).length === 2,
    "two calls run",
  );
  const answer = await chat(broker, it);
  assertOpenAiError(answer, 429, "concurrency_exceeded");
  assert.ok(Number(answer.headers.get("retry-after")) >= 1);
  assert.deepEqual(
    (await Promise.all(running)).map(({ status }) => status),
    [200, 200],
  );
  await until(async () => (await chat(broker, it)).status === 200, "room again");
});

test("requests that are only held are 429, and free again when the calls fail", async () => {
  const it = await token({ requests: 1 });
  const before = standin.requests.length;
  const failing = chat(broker, it, "standin:delay=1000 standin:status=500");
  await until(() => standin.requests.length > before, "the call arrives");
  const answer = await chat(broker, it);
  assertOpenAiError(answer, 429, "requests_held");
  assert.ok(Number(answer.headers.get("retry-after")) >= 1);
  assert.equal((await failing).status, 500);
  await until(async () => (await chat(broker, it)).status === 200, "room again");
});

for (const status of [429, 500, 529]) {
  test(`a call that the provider failed with ${status} does not count`, async () => {
    const it = await token({ requests: 2 });
    for (let i = 0; i < 4; i += 1) {
      const failed = await chat(broker, it, `standin:status=${status}`);
      assert.equal(failed.status, status);
      // What the provider asks for is kept: the next one would not get there.
      await broker.advance(Number(failed.headers.get("retry-after") ?? 0));
    }
    assert.equal(await useUp(broker, it), 2);
  });
}

test("a call whose connection failed counts: the provider may have had it", async () => {
  const it = await token({ requests: 3 });
  await broker.restart({ OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}` });
  assertOpenAiError(await chat(broker, it), 502, "upstream_unreachable");
  await broker.restart({ OPENAI_BASE_URL: standin.url });
  assert.equal(await useUp(broker, it), 2);
});

test("refused calls do not count", async () => {
  const it = await token({ requests: 2, requests_per_minute: 2 });
  for (let i = 0; i < 5; i += 1) assert.equal((await chat(broker, it, "x", { model: "gpt-5-pro" })).status, 403);
  for (let i = 0; i < 5; i += 1) assert.equal((await call(broker, it, "/openai/v1/chat/completions", { body: "{" })).status, 400);
  for (let i = 0; i < 2; i += 1) assert.equal((await chat(broker, it)).status, 200);
});

test("listing models uses no request up", async () => {
  const it = await token({ requests: 1 });
  for (let i = 0; i < 3; i += 1) assert.equal((await call(broker, it, "/openai/v1/models", { method: "GET" })).status, 200);
  assert.equal((await chat(broker, it)).status, 200);
});

test("a stream that was read to its end counts once", async () => {
  const it = await token({ requests: 2 });
  assert.equal((await chat(broker, it, "x", { stream: true })).status, 200);
  assert.equal(await useUp(broker, it), 1);
});

test("an expired grant is refused, though its token is not expired", async () => {
  const { access_token: it, grant_id: id } = await browser.grant(app);
  const past = Math.floor(Date.now() / 1000) - 1;
  const [{ terms }] = await broker.sql("SELECT terms FROM grants WHERE grant_id = ?", id);
  const ended = JSON.stringify({ ...JSON.parse(terms), expires_at: past * 1000 });
  await broker.sql("UPDATE grants SET terms = ?, expires_at = ? WHERE grant_id = ?", ended, past, id);
  assertOpenAiError(await chat(broker, it), 401, "invalid_token");
});

test("limits outlive a restart", async () => {
  const it = await token({ requests: 3 });
  assert.equal(left(await chat(broker, it)), 2);
  await broker.restart();
  assert.equal(await useUp(broker, it), 2);
});
