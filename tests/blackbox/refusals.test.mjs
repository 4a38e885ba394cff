// Which apps were refused lately, and why.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DETAILS, call, chat } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app } = await startWorld({ inside: true });
const grant = () => browser.grant(app, { details: [DETAILS[0]] });
const rows = (id) => broker.sql("SELECT * FROM refusals WHERE grant_id = ? ORDER BY reason", id);
const told = (id, count = 1) =>
  until(async () => {
    const found = await rows(id);
    return found.length >= count && found;
  }, "refusals are told");

test("a call that the ledger refused is told with its reason, its model and when", async () => {
  const { access_token: token, grant_id: id } = await grant();
  const before = Date.now();
  assert.equal((await chat(broker, token, "hi", { model: "gpt-4o" })).code, "model_not_granted");
  const [row] = await told(id);
  assert.deepEqual([row.reason, row.count, row.last_model], ["model_not_granted", 1, "gpt-4o"]);
  assert.ok(row.first_at_ms >= before - 1000 && row.last_at_ms <= Date.now() + 1000);
  const { page } = await browser.get("/notices");
  assert.match(page.text, /Test app It asked for the model gpt-4o, which you did not allow\. model_not_granted 1 refused call/);
});

test("a call that no ledger was asked about is told, too", async () => {
  const { access_token: token, grant_id: id } = await grant();
  assert.equal((await call(broker, token, "/openai/v1/files", { method: "GET" })).code, "endpoint_not_granted");
  assert.equal((await call(broker, token, "/openai/v1/chat/completions", { body: "{" })).code, "invalid_request");
  const found = await told(id, 2);
  assert.deepEqual(
    found.map(({ reason, count }) => [reason, count]),
    [
      ["endpoint_not_granted", 1],
      ["invalid_request", 1],
    ],
  );
});

test("what a stranger calls a model is text on the page, cut, and breaks nothing", async () => {
  const { access_token: token, grant_id: id } = await grant();
  const model = `<script>alert(1)</script>"'${"x".repeat(200)}`;
  assert.equal((await chat(broker, token, "hi", { model })).code, "model_not_granted");
  const [row] = await told(id);
  assert.equal(row.last_model.length, 100);
  const { page } = await browser.get("/notices");
  assert.ok(!page.elementNames().has("script"));
  assert.match(page.text, /<script>alert\(1\)<\/script>/);
});

test("a flood of refused calls is one line, told once in a minute, and nothing of it is booked", async () => {
  const { access_token: token, grant_id: id } = await grant();
  const refuse = async (times) => {
    for (let done = 0; done < times; done += 20) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => chat(broker, token, "hi", { model: "gpt-4o" })));
      assert.ok(answers.every(({ code }) => code === "model_not_granted"));
    }
  };
  await refuse(20);
  const [first] = await told(id);
  await refuse(200);
  await broker.advance(40);
  assert.deepEqual(await rows(id), [first], "the minute is not over");
  assert.equal((await broker.sql("SELECT count(*) AS n FROM usage_events WHERE grant_id = ?", id))[0].n, 0);
  assert.equal((await chat(broker, token)).status, 200, "and the grant works as before");
});

test("nobody sees the refusals of somebody else's grants", async () => {
  const other = await browser.somebodyElse();
  const { page } = await other.get("/notices");
  assert.doesNotMatch(page.text, /Refused in the last/);
});
