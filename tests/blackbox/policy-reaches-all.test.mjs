// A new policy reaches the account of every member within a bounded time, also of those whom nobody tells.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertOpenAiError, chat } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

/** Twelve times as long, tokens are still good. */
const MAX_AGE_SECONDS = 100;
/** Saving tells forty accounts. */
const AT_ONCE = 40;
const MEMBERS = AT_ONCE + 5;
const { broker, browser, app } = await startWorld({ inside: true, env: { POLICY_MAX_AGE_SECONDS: String(MAX_AGE_SECONDS) } });
const OPENAI = { details: [{ type: "ai_access", provider: "openai", models: ["gpt-5-mini"], capabilities: ["chat"] }] };

async function save(change) {
  const form = (await browser.get("/settings/policy")).page.form("/settings/policy");
  change(form);
  assert.equal((await browser.submit(form)).status, 303);
  return (await browser.get("/settings/policy")).page;
}
const refuse = (page) => page.fill({ "openai.models": "gpt-4" });
const permit = (page) => page.fill({ "openai.models": "*" });
const untold = async () => {
  const [{ n }] = await broker.sql(
    "SELECT count(*) AS n FROM users WHERE policy_seen < (SELECT revision FROM policies) AND removed_at IS NULL",
  );
  return n;
};

const members = [];
for (let number = 0; number < MEMBERS; number += 1) {
  const id = `user_${String(number).padStart(3, "0")}`;
  const { access_token: token } = await (await browser.somebodyElse(id)).grant(app, OPENAI);
  members.push({ id, token });
}

test("a policy that is saved holds for every member within the age that the operator set, however many there are", async () => {
  for (const { token } of members) assert.equal((await chat(broker, token)).status, 200);
  const page = await save(refuse);
  assert.match(page.text, /The accounts of 5 members were not told yet/);
  assert.equal(await untold(), MEMBERS - AT_ONCE);
  for (const { token } of members.slice(0, AT_ONCE)) assertOpenAiError(await chat(broker, token), 403, "model_not_allowed");
  await broker.advance(MAX_AGE_SECONDS);
  for (const { token } of members) assertOpenAiError(await chat(broker, token), 403, "model_not_allowed");
  assert.equal(await untold(), 0, "and the page knows");
  assert.doesNotMatch((await browser.get("/settings/policy")).page.text, /were not told yet/);
});

test("the clean-up tells those first whom nobody has tried to tell: who can not be told keeps nobody from it", async () => {
  await save(permit);
  await broker.runScheduled();
  assert.equal(await untold(), 0);
  const last = members.slice(AT_ONCE).map(({ id }) => id);
  await broker.sql("UPDATE users SET policy_seen = 0, policy_tried_at = iif(user_id >= ?, 1, 2) WHERE user_id GLOB 'user_[0-9][0-9][0-9]'", last[0]);
  await broker.runScheduled();
  assert.equal(await untold(), MEMBERS - AT_ONCE);
  const rows = await broker.sql("SELECT user_id FROM users WHERE policy_seen > 0 AND user_id >= ? ORDER BY user_id", last[0]);
  assert.deepEqual(
    rows.map(({ user_id: id }) => id).filter((id) => last.includes(id)),
    last,
  );
});

test("where the database does not say what holds, an account goes on for twelve times that age, and then lets nothing through", async () => {
  const [{ token }] = members;
  assert.equal((await chat(broker, token)).status, 200);
  await broker.sql("ALTER TABLE policies RENAME TO policies_away");
  await broker.advance(MAX_AGE_SECONDS);
  assert.equal((await chat(broker, token)).status, 200, "a short outage ends nothing");
  await broker.advance(10 * MAX_AGE_SECONDS);
  assert.equal((await chat(broker, token)).status, 200, "eleven times as long is not too long");
  await broker.advance(MAX_AGE_SECONDS);
  assert.equal((await chat(broker, token)).status, 503, "it is refused");
  await broker.sql("ALTER TABLE policies_away RENAME TO policies");
  assert.equal((await chat(broker, token)).status, 200);
});

test("a member who was removed without their account being told is refused just the same", async () => {
  const { id, token } = members[1];
  assert.equal((await chat(broker, token)).status, 200);
  await broker.sql("UPDATE users SET removed_at = 1 WHERE user_id = ?", id);
  await broker.advance(MAX_AGE_SECONDS);
  assertOpenAiError(await chat(broker, token), 401, "invalid_token");
});
