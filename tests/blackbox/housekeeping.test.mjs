import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { ROOT } from "../support/broker.mjs";
import { chat, redeem, refresh } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const now = () => Math.floor(Date.now() / 1000);
const MINUTE = 60;
const DAY = 24 * 3600;
const [{ user_id: USER }] = await broker.sql("SELECT user_id FROM users");

const insert = (table, row) => {
  const names = Object.keys(row);
  const marks = names.map(() => "?");
  return broker.sql(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${marks.join(", ")})`, ...Object.values(row));
};

let number = 0;
const unique = (prefix) => `${prefix}-${(number += 1)}`;
const client = (kind, more) => ({
  client_id: unique(kind),
  kind,
  name: "Somebody's app",
  redirect_uris: "[]",
  grant_types: "[]",
  token_endpoint_auth_method: "none",
  ...more,
});
const dynamic = (created_at) => client("dynamic", { created_at, registration_token_hash: "00" });
const document = (fresh_until) => client("document", { created_at: 0, fresh_until });
const grant = (claimable_until, more = {}) => ({
  grant_id: unique("grant"),
  user_id: USER,
  client_id: app.client_id,
  client_name: "App",
  terms: JSON.stringify({ permissions: [], expires_at: 0 }),
  created_at: now() - 40 * DAY,
  expires_at: now() + 40 * DAY,
  claimable_until,
  ...more,
});
const code = (expires_at, grant_id) => ({
  code_hash: unique("code"),
  grant_id,
  client_id: app.client_id,
  redirect_uri: "https://app.example/",
  code_challenge: "x",
  expires_at,
});
const refreshToken = (expires_at, grant_id, rotated_at = null) => ({
  token_hash: unique("token"),
  grant_id,
  client_id: app.client_id,
  created_at: 0,
  expires_at,
  rotated_at,
});
const request = (expires_at, client_id = app.client_id) => ({
  handle_hash: unique("request"),
  session_hash: "x",
  client_id,
  request: "{}",
  created_at: 0,
  expires_at,
});
const pushed = (expires_at, client_id = app.client_id) => ({ handle_hash: unique("pushed"), client_id, request: "{}", expires_at });
const device = (expires_at, client_id = app.client_id) => ({
  device_code_hash: unique("device"),
  user_code: unique("CODE"),
  client_id,
  request: "{}",
  created_at: 0,
  expires_at,
  interval_seconds: 5,
});

const key = { clients: "client_id", grants: "grant_id", authorization_codes: "code_hash", refresh_tokens: "token_hash" };
Object.assign(key, { authorization_requests: "handle_hash", pushed_requests: "handle_hash", device_codes: "device_code_hash" });
Object.assign(key, { sessions: "token_hash", used_sign_in_links: "nonce_hash", used_ids: "id" });

async function put(table, row) {
  await insert(table, row);
  return { table, id: row[key[table]] };
}
const isThere = async ({ table, id }) => (await broker.sql(`SELECT 1 FROM ${table} WHERE ${key[table]} = ?`, id)).length === 1;

/** The line that the run wrote. */
async function clean() {
  const before = broker.logs.length;
  await broker.runScheduled();
  const lines = broker.logs.slice(before).filter((line) => line.includes('"housekeeping"'));
  assert.equal(lines.length, 1, `one line in the log: ${broker.logs.slice(before).join("\n")}`);
  return JSON.parse(lines[0].slice(lines[0].indexOf("{")));
}

/** What goes, and its neighbour that is a little too young. */
async function goesAlone(table, old, young) {
  const [gone, kept] = [await put(table, old), await put(table, young)];
  const { housekeeping, failed } = await clean();
  assert.equal(failed, undefined);
  assert.equal(await isThere(gone), false, `the old row is still in ${table}`);
  assert.equal(await isThere(kept), true, `the young row is gone from ${table}`);
  return housekeeping;
}

const someGrant = async () => (await put("grants", grant(0, { claimed_at: 1 }))).id;

test("consent requests go a day after their expiry", async () => {
  const counts = await goesAlone("authorization_requests", request(now() - DAY - MINUTE), request(now() - DAY + MINUTE));
  assert.equal(counts.authorization_requests, 1);
});

test("pushed requests go a day after their expiry", async () => {
  await goesAlone("pushed_requests", pushed(now() - DAY - MINUTE), pushed(now() - DAY + MINUTE));
});

test("device codes go a day after their expiry", async () => {
  await goesAlone("device_codes", device(now() - DAY - MINUTE), device(now() - DAY + MINUTE));
});

test("authorization codes go a day after their expiry", async () => {
  const id = await someGrant();
  await goesAlone("authorization_codes", code(now() - DAY - MINUTE, id), code(now() - DAY + MINUTE, id));
});

test("refresh tokens go at their expiry; a rotated one stays until then, so that a second use is noticed", async () => {
  const id = await someGrant();
  const rotated = await put("refresh_tokens", refreshToken(now() + MINUTE, id, now() - DAY));
  await goesAlone("refresh_tokens", refreshToken(now() - 1, id), refreshToken(now() + MINUTE, id));
  assert.equal(await isThere(rotated), true);
});

test("sessions go at their end", async () => {
  const session = (expires_at) => ({ token_hash: unique("session"), user_id: USER, created_at: 0, expires_at });
  await goesAlone("sessions", session(now() - 1), session(now() + MINUTE));
});

test("used sign-in links go a day after their use", async () => {
  const link = (used_at) => ({ nonce_hash: unique("link"), session_hash: "x", used_at });
  await goesAlone("used_sign_in_links", link(now() - DAY - MINUTE), link(now() - DAY + MINUTE));
});

test("used ids go at their expiry", async () => {
  const used = (expires_at) => ({ id: unique("id"), expires_at });
  await goesAlone("used_ids", used(now() - 1), used(now() + MINUTE));
});

test("grants that no app came for go a day after none could any more, their codes with them", async () => {
  const old = await put("grants", grant(now() - DAY - MINUTE));
  await put("authorization_codes", code(now() - DAY - MINUTE, old.id));
  const young = await put("grants", grant(now() - DAY + MINUTE));
  const withCode = await put("grants", grant(now() - DAY - MINUTE));
  await put("authorization_codes", code(now() - DAY + MINUTE, withCode.id));
  const { housekeeping } = await clean();
  assert.equal(housekeeping.unclaimed_grants, 1);
  assert.deepEqual([await isThere(old), await isThere(young), await isThere(withCode)], [false, true, true]);
});

test("a grant that an app came for is never deleted, ended or not", async () => {
  const long = { claimed_at: 1, created_at: 1, expires_at: 2 };
  const over = await put("grants", grant(1, long));
  const revoked = await put("grants", grant(1, { ...long, revoked_at: 2 }));
  await insert("usage_events", {
    grant_id: over.id, hold: 1, revision: 0, model: "m", endpoint: "e", reserved_at_ms: 1, booked_at_ms: 1, duration_ms: 1, nano_usd: 1,
    tokens: 1, requests: 1, input_tokens: 1, cached_tokens: 0, output_tokens: 1, status: 200, basis: "usage", price_version: "v", request_id: "r",
  });
  await clean();
  assert.deepEqual([await isThere(over), await isThere(revoked)], [true, true]);
  assert.equal((await broker.sql("SELECT 1 FROM usage_events WHERE grant_id = ?", over.id)).length, 1);
});

test("clients that registered themselves and never got a grant go after 30 days", async () => {
  await goesAlone("clients", dynamic(now() - 30 * DAY - MINUTE), dynamic(now() - 30 * DAY + MINUTE));
});

test("clients that are documents and never got a grant go 7 days after they were last fresh", async () => {
  await goesAlone("clients", document(now() - 7 * DAY - MINUTE), document(now() - 7 * DAY + MINUTE));
});

for (const [what, table, make] of [
  ["a grant, even an ended one", "grants", (client_id) => grant(1, { client_id, claimed_at: 1, expires_at: 2 })],
  ["a consent page that is open", "authorization_requests", (client_id) => request(now() + MINUTE, client_id)],
  ["a pushed request", "pushed_requests", (client_id) => pushed(now() + MINUTE, client_id)],
  ["a device that waits", "device_codes", (client_id) => device(now() + MINUTE, client_id)],
]) {
  test(`a client with ${what} stays, and so does that`, async () => {
    for (const row of [dynamic(1), document(1)]) {
      const old = await put("clients", row);
      const its = await put(table, make(old.id));
      await clean();
      assert.deepEqual([await isThere(old), await isThere(its)], [true, true], row.kind);
    }
  });
}

test("clients that a person registered, or the deployment brought along, are never deleted", async () => {
  const old = await put("clients", client("registered", { created_at: 1 }));
  await clean();
  assert.equal(await isThere(old), true);
  assert.equal(await isThere({ table: "clients", id: app.client_id }), true);
});

test("more rows than one statement takes go in one run, and what is left of a flood in the next", async () => {
  const flood = (count) =>
    broker.sql(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO used_ids SELECT 'flood-' || i, 1 FROM n`,
      count,
    );
  await flood(2500);
  assert.equal((await clean()).housekeeping.used_ids, 2500);
  await flood(3001);
  assert.equal((await clean()).housekeeping.used_ids, 3000);
  assert.equal((await clean()).housekeeping.used_ids, 1);
});

test("what is alive works as before: session, code, refresh token, grant", async () => {
  const consent = await browser.consent(app);
  const { location } = await browser.submit(consent.form.press("decision", "allow"));
  const open = await browser.consent(app);
  await clean();
  const { body } = await redeem(broker, app, { code: location.searchParams.get("code"), verifier: consent.verifier });
  assert.equal((await chat(broker, body.access_token)).status, 200);
  await clean();
  const second = await refresh(broker, app, body.refresh_token);
  assert.equal(second.status, 200);
  await clean();
  assert.equal((await chat(broker, second.body.access_token)).status, 200);
  assert.equal((await browser.submit(open.form.press("decision", "allow"))).status, 303);
  // The first use of a rotated token was a minute ago; the second is still noticed.
  assert.equal((await refresh(broker, app, body.refresh_token)).status, 400);
  assert.equal((await chat(broker, second.body.access_token)).status, 401);
});

test("a run with nothing to do says so in one line", async () => {
  await clean();
  const { housekeeping, ms } = await clean();
  assert.deepEqual(housekeeping, {});
  assert.equal(typeof ms, "number");
});

/** The statements, out of the source. */
async function statements() {
  const source = await readFile(path.join(ROOT, "src/edge/d1/housekeeping.rs"), "utf8");
  const found = [...source.matchAll(/^\s+sql: "([^"]*)",$/gm)].map(([, text]) => text.replaceAll(/\\\n\s*/g, ""));
  assert.equal(found.length, source.match(/^\s+Sweep \{$/gm).length);
  return found;
}

test("no statement reads a whole table", async () => {
  for (const sql of await statements()) {
    const plan = await broker.sql(`EXPLAIN QUERY PLAN ${sql}`, now(), 1000);
    const steps = plan.map(({ detail }) => detail);
    assert.ok(steps.some((step) => /USING .*INDEX/.test(step)), `${sql}\n${steps.join("\n")}`);
    const scans = steps.filter((step) => /^SCAN/.test(step));
    assert.deepEqual(scans, [], sql);
  }
});

// Last: it takes a table away.
test("a table that fails does not keep the others, and the log says which it was", async () => {
  await broker.sql("ALTER TABLE pushed_requests RENAME TO elsewhere");
  const old = await put("used_ids", { id: unique("id"), expires_at: 1 });
  const { housekeeping, failed } = await clean();
  assert.ok("pushed_requests" in failed, JSON.stringify(failed));
  assert.equal(housekeeping.used_ids, 1);
  assert.equal(await isThere(old), false);
});
