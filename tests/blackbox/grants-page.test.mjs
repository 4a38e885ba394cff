import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { DETAILS, assertOpenAiError, chat, messages } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();

/** The text of one grant's part of the page: from its app's name to its Revoke button. */
async function shown(name) {
  const { page } = await browser.get("/grants");
  const start = page.text.indexOf(name);
  assert.ok(start >= 0, `${name} is on the page: ${page.text.slice(0, 500)}`);
  return page.text.slice(start, start + 1500);
}

test("a grant is shown: app, host, what it may do, limits, use, end", async () => {
  const name = "Watched app";
  const watched = await browser.register({ name });
  const details = [{ ...DETAILS[0], limits: { requests: 40, concurrency: 3 } }];
  const { access_token: token } = await browser.grant(watched, { details });
  assert.match(await shown(name), /never used|not used yet|no use yet|never/i);
  for (let i = 0; i < 3; i += 1) assert.equal((await chat(broker, token)).status, 200);
  const text = await until(async () => {
    const text = await shown(name);
    return /\b3\b\D{0,12}\b40\b/.test(text) && text;
  }, "3 of 40 requests on the page");
  for (const word of ["OpenAI", "gpt-5-mini", "gpt-5.1"]) assert.ok(text.includes(word), `${word}: ${text}`);
  assert.match(text, /just now|second|minute/i);
  assert.match(text, /7 days|in 6 days/);
});

test("a grant that no app came for is not shown: allowed twice by Back and Allow, there is one", async () => {
  const name = "Twice allowed";
  const twice = await browser.register({ name });
  const times = async () => (await browser.get("/grants")).page.text.split(`the access of ${name}`).length - 1;
  await browser.grant(twice);
  const again = await browser.consent(twice);
  await browser.submit(again.form.press("decision", "allow"));
  assert.equal(await times(), 2, "its code may still be redeemed");
  const now = Math.floor(Date.now() / 1000);
  await broker.sql("UPDATE grants SET claimable_until = ? WHERE claimed_at IS NULL", now);
  assert.equal(await times(), 1);
});

test("a refused call is not shown as use", async () => {
  const name = "Refused app";
  const refused = await browser.register({ name });
  const { access_token: token } = await browser.grant(refused, { details: [{ ...DETAILS[0], limits: { requests: 40 } }] });
  assertOpenAiError(await chat(broker, token, "x", { model: "gpt-5-pro" }), 403, "model_not_granted");
  assert.match(await shown(name), /\b0\b\D{0,12}\b40\b/);
});

test("Revoke works on the app's very next call, at every provider", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  assert.equal((await chat(broker, token)).status, 200);
  const answer = await browser.revoke(id);
  assert.equal(answer.status, 303);
  assertOpenAiError(await chat(broker, token), 401, "invalid_token");
  assert.equal((await messages(broker, token)).status, 401);
});

test("a grant that was never used can be revoked too", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  await browser.revoke(id);
  assertOpenAiError(await chat(broker, token), 401, "invalid_token");
});

test("a revoked grant stays revoked after a restart", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  await browser.revoke(id);
  await broker.restart();
  assertOpenAiError(await chat(broker, token), 401, "invalid_token");
  // Not even when D1, which only notes it, is set back.
  await broker.sql("UPDATE grants SET revoked_at = NULL WHERE grant_id = ?", id);
  assertOpenAiError(await chat(broker, token), 401, "invalid_token");
});

test("revoking one grant leaves the others alone", async () => {
  const one = await browser.grant(app);
  const other = await browser.grant(app);
  await browser.revoke(one.grant_id);
  assert.equal((await chat(broker, other.access_token)).status, 200);
});

test("CWE-352: revoking takes the CSRF token of the session and the own origin", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const { page } = await browser.get("/grants");
  const form = page.form(`/grants/${id}/revoke`);
  const data = form.data();
  data.set("csrf", "AAAA");
  assert.equal((await browser.submit(form, { data })).status, 403);
  const headers = { origin: "https://evil.example", "sec-fetch-site": "cross-site" };
  assert.equal((await browser.submit(form, { headers })).status, 403);
  assert.equal((await chat(broker, token)).status, 200);
});

test("CWE-639: a user neither sees nor revokes another user's grant", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const member = await browser.somebodyElse();
  const { page, text } = await member.get("/grants");
  assert.ok(!text.includes(id));
  const csrf = page.form("/sign-out").value("csrf");
  const answer = await member.post(`/grants/${id}/revoke`, new URLSearchParams({ csrf }));
  assert.equal(answer.status, 404);
  assert.equal((await chat(broker, token)).status, 200);
});

test("an unknown grant is 404", async () => {
  const { page } = await browser.get("/grants");
  const csrf = page.form("/sign-out").value("csrf");
  const answer = await browser.post("/grants/nothing/revoke", new URLSearchParams({ csrf }));
  assert.equal(answer.status, 404);
});

/** How many ledgers have stored anything. */
async function begunLedgers() {
  await broker.stop();
  let begun = 0;
  for (const file of await broker.ledgerFiles()) {
    const storage = new DatabaseSync(file);
    begun += storage.prepare("SELECT count(*) AS tables FROM sqlite_master WHERE name = 'entries'").get().tables;
    storage.close();
  }
  await broker.start();
  return begun;
}

test("a ledger begins with the first use of its grant, and stores nothing while the grant is only looked at", async () => {
  const before = await begunLedgers();
  const { access_token: token, grant_id: id } = await browser.grant(app);
  for (const target of ["/grants", `/grants/${id}`, `/grants/${id}/live`]) assert.equal((await browser.get(target)).status, 200);
  assert.equal(await begunLedgers(), before);
  assert.match((await browser.get(`/grants/${id}`)).page.text, /0\.00 USD/);
  assert.equal((await chat(broker, token)).status, 200);
  assert.equal(await begunLedgers(), before + 1);
  assert.equal((await chat(broker, token)).status, 200, "after a restart too");
});
