// Sessions: what their person sees of them, how they end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SECURITY, join } from "../support/authenticator.mjs";
import { Browser } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser: operator } = await startWorld();
const SESSION = "__Host-aip-session";
const DAY = 24 * 3600;
const { browser: member } = await join(operator);

const isSignedIn = async (browser) => !/for people who have signed in/.test((await browser.get(SECURITY)).page.text);
const endForms = (page) => page.forms.filter(({ action }) => /\/sessions\/[^/]+\/end$/.test(action.pathname));

async function another(headers) {
  const browser = new Browser(broker);
  const get = browser.get.bind(browser);
  const post = browser.post.bind(browser);
  browser.get = (target, more) => get(target, { ...headers, ...more });
  browser.post = (target, data, more) => post(target, data, { ...headers, ...more });
  await browser.signIn();
  return browser;
}

test("each session is listed with its browser in words and its address, and this one is marked", async () => {
  await another({
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "cf-connecting-ip": "192.0.2.7",
  });
  const { page } = await operator.get(SECURITY);
  assert.match(page.text, /Firefox on Linux/);
  assert.match(page.text, /192\.0\.2\.7/);
  assert.equal(page.text.split("This browser").length - 1, 1);
});

test("a session that is ended elsewhere is over at once, and noted", async () => {
  const other = await another({ "user-agent": "Mozilla/5.0 (Windows NT 10.0) Gecko Firefox/145.0" });
  const { page } = await operator.get(SECURITY);
  const [form] = endForms(page);
  const answer = await operator.submit(form);
  assert.equal(answer.location.search, "?done=ended");
  assert.equal(await isSignedIn(other), false, "the latest stands first");
  assert.equal(await isSignedIn(operator), true);
  const [{ event, subject }] = await broker.sql("SELECT event, subject FROM audit ORDER BY audit_id DESC LIMIT 1");
  assert.deepEqual([event, subject], ["session_ended", "Firefox on Windows"]);
});

test("signing out everywhere else ends all but this one, and nobody else's", async () => {
  const others = [await another({}), await another({})];
  const { page } = await operator.get(SECURITY);
  await operator.submit(page.form(`${SECURITY}/sessions/end-others`));
  for (const other of others) assert.equal(await isSignedIn(other), false);
  assert.equal(await isSignedIn(operator), true);
  assert.equal(await isSignedIn(member), true);
});

test("IDOR: nobody ends somebody else's session", async () => {
  await another({});
  const { page } = await operator.get(SECURITY);
  const [{ action }] = endForms(page);
  const csrf = (await member.get(SECURITY)).page.form(`${SECURITY}/recovery-codes`).value("csrf");
  assert.equal((await member.post(action.pathname, new URLSearchParams({ csrf }))).status, 404);
  const [{ token_hash: hash }] = await broker.sql("SELECT token_hash FROM sessions LIMIT 1");
  assert.equal((await member.post(`${SECURITY}/sessions/${hash}/end`, new URLSearchParams({ csrf }))).status, 404);
});

test("no secret and no hash of a session is on its person's page", async () => {
  const { text } = await operator.get(SECURITY);
  for (const { token_hash: hash } of await broker.sql("SELECT token_hash FROM sessions")) assert.ok(!text.includes(hash));
  assert.ok(!text.includes(operator.cookies.get(SESSION)));
});

test("a session ends after thirty days however much it is used", async () => {
  const browser = await another({});
  const now = Math.floor(Date.now() / 1000);
  const [{ token_hash: hash }] = await broker.sql("SELECT token_hash FROM sessions ORDER BY created_at DESC, rowid DESC LIMIT 1");
  const age = (seconds) => broker.sql("UPDATE sessions SET created_at = ?, expires_at = ? WHERE token_hash = ?", now - seconds, now + 60, hash);
  await age(30 * DAY - 3600 * 2);
  assert.equal(await isSignedIn(browser), true);
  const [{ expires_at: end }] = await broker.sql("SELECT expires_at FROM sessions WHERE token_hash = ?", hash);
  assert.equal(end, now + 3600 * 2, "extended to the thirtieth day and not beyond");
});

test("a use is noted by the hour, not by the page", async () => {
  const browser = await another({});
  const [{ token_hash: hash }] = await broker.sql("SELECT token_hash FROM sessions ORDER BY created_at DESC, rowid DESC LIMIT 1");
  const seen = async () => (await broker.sql("SELECT last_seen_at FROM sessions WHERE token_hash = ?", hash))[0].last_seen_at;
  await broker.sql("UPDATE sessions SET last_seen_at = 5 WHERE token_hash = ?", hash);
  await browser.get("/grants");
  assert.equal(await seen(), 5);
  await broker.sql("UPDATE sessions SET expires_at = expires_at - 3700 WHERE token_hash = ?", hash);
  await browser.get("/grants");
  assert.ok((await seen()) > 5);
});

test("a session from before addresses were kept is listed all the same", async () => {
  const other = await operator.somebodyElse("user_old");
  assert.match((await other.get(SECURITY)).page.text, /Unknown browser/);
});
