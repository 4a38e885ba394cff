// Pages stay fast however much there is to page through: each of their queries is found by an index, and nothing is sorted on the way.
//
// The queries are not copied here but recorded while every page is opened, in all its ways, so that none can be forgotten: each route
// that can be got has to be opened, and each query in the source that was not seen by then has to be named, with who asks it.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { invite } from "../support/authenticator.mjs";
import { ROOT } from "../support/broker.mjs";
import { REDIRECT_URI, authorizationRequest, challengeOf, chat, postForm } from "../support/flow.mjs";
import { seedMuch } from "../support/much.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser: operator, app } = await startWorld({ inside: true });
const recorded = () => broker.fromInside("statements");

/* Somebody with a bit of everything. */

const { access_token: token, grant_id: grant } = await operator.grant(app);
for (let calls = 0; calls < 2; calls += 1) assert.equal((await chat(broker, token)).status, 200);
await until(async () => (await broker.sql("SELECT 1 FROM usage_events")).length === 2, "the calls are booked");
await seedMuch(broker, grant, 0.02);
const { link: invitation } = await invite(operator);
const member = await operator.somebodyElse("user_member");
const policy = (await operator.get("/settings/policy")).page.form("/settings/policy");
assert.equal((await operator.submit(policy.fill({ max_per_grant: "2", max_per_month: "20" }))).status, 303);

const pushed = async () => {
  const asked = { client_id: app.client_id, redirect_uri: REDIRECT_URI, response_type: "code", code_challenge: challengeOf("x".repeat(43)), code_challenge_method: "S256", scope: "openai:chat" };
  const { body } = await postForm(`${broker.url}/par`, asked);
  return `/authorize?client_id=${app.client_id}&request_uri=${encodeURIComponent(body.request_uri)}`;
};

/** What each route is opened as. Whoever isn't let in, or asks for too little, asks the database all the same. */
const PAGES = {
  "/": ["/", "/?month=2024-02"],
  "/sign-in": ["/sign-in"],
  "/recover": ["/recover"],
  "/invitation": [invitation],
  "/grants": [
    ...["", "?state=active", "?state=paused", "?state=ended", "?search=App+7", "?search=nothing&state=ended"].map((query) => `/grants${query}`),
    ...["live", "ended"].map((part) => `/grants?after=${part}.${Math.floor(Date.now() / 1000) - 5}.${grant}`),
  ],
  "/grants/{grant_id}": [`/grants/${grant}`, "/grants/grant_many00001", "/grants/grant_many00003", "/grants/grant_token0001"],
  "/grants/{grant_id}/calls": ["", "?model=model-7", "?status=ok", "?status=refused&model=model-1", "?from=2026-01-01&to=2030-01-01", `?before=${Date.now()}.5`, "?after=5.5"].map(
    (query) => `/grants/${grant}/calls${query}`,
  ),
  "/grants/{grant_id}/calls.csv": [`/grants/${grant}/calls.csv`, `/grants/${grant}/calls.csv?model=model-7&status=ok`],
  "/grants/{grant_id}/calls.json": [`/grants/${grant}/calls.json`],
  "/grants/{grant_id}/live": [`/grants/${grant}/live`],
  "/grants/{grant_id}/history": [`/grants/${grant}/history`, `/grants/${grant}/history?before=99`],
  "/notices": ["/notices"],
  "/settings/webhook": ["/settings/webhook"],
  "/members": ["/members", "/members?page=1"],
  "/members/{user_id}": ["/members/user_member"],
  "/settings/policy": ["/settings/policy"],
  "/apps": ["/apps"],
  "/settings/security": ["/settings/security"],
  "/members/invitations": ["/members/invitations"],
  "/tokens": ["/tokens"],
  "/tokens/new": ["/tokens/new"],
  "/activity": ["", "?kind=account", "?of=everyone", "?of=everyone&kind=access&before=99", `?grant=${grant}`, "?before=99"].map((query) => `/activity${query}`),
  "/activity.csv": ["/activity.csv", "/activity.csv?kind=access"],
  "/settings": ["/settings"],
  "/developers": ["/developers"],
  "/authorize": [() => authorizationRequest(broker, app).url.href, pushed],
  "/device": ["/device", "/device?user_code=BCDF-GHJK"],
};

/** What the way here asked: forms, endpoints, ledgers. */
const before = await recorded();
/** What the pages ask, each statement with the first route that did. */
const asked = new Map();
for (const [route, targets] of Object.entries(PAGES)) {
  for (const person of [operator, member]) {
    for (const target of targets) await person.get(typeof target === "function" ? await target() : target);
  }
  for (const sql of await recorded()) if (!asked.has(sql)) asked.set(sql, route);
}

/* What is opened. */

/** The path that a constant of the router stands for. */
async function constant(name) {
  const parts = name.split("::");
  const last = parts.pop();
  for (const file of [`${parts.join("/")}.rs`, `${parts.join("/")}/mod.rs`]) {
    const text = await readFile(path.join(ROOT, "src/web", file), "utf8").catch(() => "");
    const [, value] = new RegExp(`const ${last}: &str = "([^"]+)"`).exec(text) ?? [];
    if (value) return value;
  }
  return assert.fail(`${name} is not found`);
}

test("every page that can be got was opened", async () => {
  const text = await readFile(path.join(ROOT, "src/web/mod.rs"), "utf8");
  const [, router] = /let pages = Router::new\(\)(.*?)\n {8}\.method_not_allowed_fallback/s.exec(text);
  const routes = router.split(".route(").slice(1).map((route) => /^\s*(?:"([^"]+)"|([\w:]+)),\s*(.*)$/s.exec(route));
  const got = routes.filter(([, , , methods]) => /\bget\(/.test(methods));
  const paths = await Promise.all(got.map(([, literal, name]) => literal ?? constant(name)));
  assert.ok(paths.length > 20);
  assert.deepEqual(paths.sort(), Object.keys(PAGES).sort());
});

/* What is planned. */

/** Lines of EXPLAIN QUERY PLAN of what is found by an index. */
const FOUND = [/^SEARCH \w+ (EXISTS )?USING (COVERING )?INDEX \w+ \(/, /^SEARCH \w+ (EXISTS )?USING (INTEGER )?PRIMARY KEY \(/];
/** What is read of that, or of what was bound. */
const OF_THOSE = [
  /^SCAN (CONSTANT ROW|found|called|\(subquery-\d+\)|json_each VIRTUAL TABLE INDEX \d+:)/,
  /^(SETUP|RECURSIVE STEP)$/,
  /^(CO-ROUTINE \S+|LIST SUBQUERY \d+|(CORRELATED )?SCALAR SUBQUERY \d+)$/,
  // Among the few that are equal so far.
  /^USE TEMP B-TREE FOR LAST TERM OF ORDER BY$/,
];

/** Whatever else is planned: a part of the statement, the line, and why it is no harm. */
const BESIDES = [
  ["FROM usage_months WHERE user_id = ?1 AND month = ?2", /^USE TEMP B-TREE FOR (GROUP BY|ORDER BY|DISTINCT)$/, "sums: not calls, but apps and models that called in a month"],
  ["FROM over_bound_days", /^USE TEMP B-TREE FOR (GROUP BY|ORDER BY)$/, "sums: not calls, but models whose price was too low on one of thirty days"],
  ["FROM users WHERE removed_at IS NULL ORDER BY", /^SCAN users USING INDEX users_by_standing$/, "in the order of the index, as far as the page goes"],
  ["FROM clients ORDER BY", /^SCAN clients USING INDEX clients_by_standing$/, "in the order of the index, as far as the page goes"],
  ["FROM invitations JOIN users", /^SCAN invitations USING INDEX invitations_by_expiry$/, "in the order of the index, as far as the page goes"],
  ["FROM webhook_deliveries", /^SCAN webhook_deliveries$/, "in the order of its key, as far as the page goes"],
  ["GROUP BY network ORDER BY COUNT(*)", /^USE TEMP B-TREE FOR (GROUP BY|ORDER BY)$/, "of a table that is full: as many rows as it keeps"],
  ["FROM audit CROSS JOIN users", /^SCAN audit$/, "of everyone: in the order of its key, as far as the page goes"],
];

async function planOf(sql) {
  const numbered = (sql.match(/\?\d+/g) ?? []).map((mark) => Number(mark.slice(1)));
  const marks = Math.max((sql.match(/\?(?!\d)/g) ?? []).length, ...numbered);
  const values = Array.from({ length: marks }, () => "1");
  return (await broker.sql(`EXPLAIN QUERY PLAN ${sql}`, ...values)).map(({ detail }) => detail);
}

test("every query of every page is found by an index, and sorts nothing else", async () => {
  const used = new Set();
  const wrong = [];
  for (const [sql, route] of asked) {
    const plan = await planOf(sql);
    for (const line of plan) {
      if ([...FOUND, ...OF_THOSE].some((pattern) => pattern.test(line))) continue;
      const reason = BESIDES.find(([part, pattern]) => sql.includes(part) && pattern.test(line));
      if (reason) used.add(reason);
      else wrong.push(`${route}: ${line}\n of\n  ${plan.join("\n  ")}\n for ${sql}`);
    }
  }
  assert.equal(wrong.length, 0, wrong.join("\n\n"));
  assert.deepEqual(BESIDES.filter((reason) => !used.has(reason)), [], "each exception is needed");
});

test("calls are chosen and summed up by an index alone; rows are read for what is shown", async () => {
  const ofCalls = [...asked.keys()].filter((sql) => sql.includes("usage_events"));
  assert.ok(ofCalls.length >= 8, ofCalls.join("\n"));
  for (const sql of ofCalls) {
    const isByModel = / model (= \?9|> '')/.test(sql);
    const index = new RegExp(`^SEARCH usage_events USING COVERING INDEX usage_events_by_${isByModel ? "model" : "time"} \\(grant_id=\\?`);
    const searches = (await planOf(sql)).filter((line) => line.startsWith("SEARCH"));
    const [first, ...others] = searches.filter((line) => !/^SEARCH event USING PRIMARY KEY \(grant_id=\? AND hold=\?\)$/.test(line));
    assert.match(first, index, sql);
    for (const line of others) assert.match(line, index, sql);
  }
});

/* What is in the source. */

/** Queries that no page asks, by how they begin, and who does. */
const ELSEWHERE = {
  "SELECT {COLUMNS} FROM device_codes WHERE device_code_hash = ?": "/token",
  "SELECT {WRONG} AS wrong": "the form of /device",
  "SELECT {COLUMNS} FROM device_codes WHERE user_code = ?": "the form of /device",
  "SELECT grant_id, client_id, binding, created_at, expires_at, rotated_at FROM refresh_tokens": "/token",
  "SELECT grant_id FROM grants WHERE client_id = ?": "deleting an app",
  "SELECT grant_id FROM grants WHERE user_id = ?": "removing a member",
  "SELECT {COLUMNS} FROM passkeys WHERE credential_id = ?": "signing in with a passkey",
  "SELECT delivery_id, message_id": "the courier",
  "SELECT min(next_attempt_at) AS next": "the courier",
  "SELECT coalesce(sum(nano_usd), 0) FROM allowed": "whoever allows something",
  "SELECT ({UNPROVEN}) AS unproven": "whoever allows something",
};

test("every query that stands in the source was seen, or is asked by no page", async () => {
  const folder = path.join(ROOT, "src/edge/d1");
  const statements = [...before, ...asked.keys()];
  const unseen = [];
  for (const name of await readdir(folder)) {
    const text = (await readFile(path.join(folder, name), "utf8")).replaceAll(/\\\n\s*/g, "");
    for (const [, literal] of text.matchAll(/"((?:SELECT|WITH|WHERE|INDEXED BY) (?:[^"\\]|\\.)*)"/g)) {
      const parts = literal.split(/\{\w*\}/).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      const pattern = new RegExp(parts.join(".*"), "s");
      if (!statements.some((sql) => pattern.test(sql))) unseen.push(literal);
    }
  }
  const begins = Object.keys(ELSEWHERE);
  const unexplained = unseen.filter((literal) => !begins.some((begin) => literal.startsWith(begin)));
  assert.deepEqual(unexplained, [], "open a page that asks it, or say who else does");
  assert.deepEqual(begins.filter((begin) => !unseen.some((literal) => literal.startsWith(begin))), [], "each that is named is there");
});
