// A call that the provider refuses stays in the rate of its grant, and what a provider says about waiting is heeded.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DETAILS, assertOpenAiError, chat } from "../support/flow.mjs";
import { startScripted } from "../support/scripted.mjs";
import { startWorld } from "../support/world.mjs";

const provider = await startScripted();
after(() => provider.close());
const { broker, browser, app } = await startWorld({ inside: true, env: { OPENAI_BASE_URL: provider.url } });
const grant = async (limits = {}) => (await browser.grant(app, { details: [{ ...DETAILS[0], models: ["*"], limits }] })).access_token;

/** Answers of the provider from now on. */
function answers(status, headers = {}, error = { message: "no", type: "x", code: "x" }) {
  provider.requests.length = 0;
  provider.answer = (_, response) => response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify({ error }));
}
const reached = () => provider.requests.length;

for (const [status, headers] of [[429], [503], [529], [401], [302, { location: "/elsewhere" }], [200]]) {
  test(`requests_per_minute binds calls that the provider answers with ${status}`, async () => {
    const token = await grant({ requests_per_minute: 5 });
    answers(status, headers);
    const said = [];
    for (let i = 0; i < 8; i += 1) said.push((await chat(broker, token)).code);
    assert.equal(reached(), 5);
    assert.deepEqual(said.slice(5), ["rate_limited", "rate_limited", "rate_limited"]);
    await broker.advance(62);
    await chat(broker, token);
    assert.equal(reached(), 6);
  });
}

test("a wait that the provider asks for is kept by that grant and model alone, and ends", async () => {
  const [token, other] = [await grant(), await grant()];
  answers(503, { "retry-after": "20" });
  assert.equal((await chat(broker, token)).status, 503);
  const answer = await chat(broker, token);
  assertOpenAiError(answer, 429, "provider_busy");
  const wait = Number(answer.headers.get("retry-after"));
  assert.ok(wait >= 15 && wait <= 20, String(wait));
  assert.equal(reached(), 1);
  assert.equal((await chat(broker, token, "hello", { model: "gpt-5" })).code, null, "another model");
  assert.equal((await chat(broker, other)).code, null, "another grant");
  await broker.advance(21);
  assert.equal((await chat(broker, token)).code, null);
});

test("an app that waits a day would wait a minute", async () => {
  const token = await grant();
  answers(503, { "retry-after": "86400" });
  await chat(broker, token);
  assert.equal((await chat(broker, token)).code, "provider_busy");
  await broker.advance(61);
  assert.equal((await chat(broker, token)).code, null);
});

test("one app that is answered with 429 without end stops nobody else", async () => {
  const [token, other] = [await grant(), await grant()];
  answers(429);
  for (let i = 0; i < 20; i += 1) assert.equal((await chat(broker, token)).code, null);
  assert.equal((await chat(broker, other)).code, null);
  await broker.advance(11);
});

test("429s to three grants within ten seconds stop the key, for five seconds at most", async () => {
  const tokens = [await grant(), await grant(), await grant(), await grant()];
  answers(429, { "retry-after": "50" });
  for (const token of tokens.slice(0, 3)) assert.equal((await chat(broker, token)).code, null);
  const answer = await chat(broker, tokens[3]);
  assertOpenAiError(answer, 429, "provider_busy");
  assert.ok(Number(answer.headers.get("retry-after")) <= 5);
  assert.equal(reached(), 3);
  await broker.advance(6);
  assert.equal((await chat(broker, tokens[3])).code, null);
  await broker.advance(60);
});

test("an account without money stops nobody", async () => {
  const tokens = [await grant(), await grant(), await grant(), await grant()];
  answers(429, {}, { message: "You exceeded your current quota", type: "insufficient_quota", code: "insufficient_quota" });
  for (const token of tokens) assert.equal((await chat(broker, token)).code, null);
  assert.equal(reached(), 4);
});
