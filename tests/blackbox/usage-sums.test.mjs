// The sums of what is booked, on the migrations and the statements themselves: counted once, whatever is told and however often.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { ROOT } from "../support/broker.mjs";

const read = (...parts) => readFileSync(path.join(ROOT, ...parts), "utf8");
const joined = (literal) => literal.replaceAll(/\\\n\s*/g, "");
const source = read("src", "edge", "d1", "usage_sums.rs");
const constant = (name) => joined(new RegExp(`const ${name}: &str =\\s*"((?:[^"\\\\]|\\\\[\\s\\S])*)"`).exec(source)[1]);
const body = /fn keep_sums[\s\S]*?\n}/.exec(source)[0];
const fill = (text) =>
  ["CHANGED", "ADD", "MONTH"]
    .reduce((sql, name) => sql.replaceAll(`{${name}}`, constant(name)), joined(text))
    .replaceAll("{sums}", /let sums = "([^"]*)"/.exec(body)[1]);
const KEEP_SUMS = [...body.matchAll(/format!\(\s*"((?:[^"\\]|\\[\s\S])*)"/g)].map(([, text]) => fill(text));

/** As an outbox tells it. */
const booking = (change) => ({
  hold: 1,
  revision: 0,
  permission: 0,
  provider: "openai",
  model: "gpt-5-mini",
  endpoint: "/v1/chat/completions",
  reserved_at_ms: Date.UTC(2026, 10, 3),
  booked_at_ms: 1,
  duration_ms: 1,
  nano_usd: 100,
  tokens: 10,
  requests: 1,
  input_tokens: 1,
  cached_tokens: 0,
  output_tokens: 1,
  status: 200,
  basis: "usage",
  price_version: "1",
  request_id: "r",
  ...change,
});
const COLUMNS = Object.keys(booking());
const INSERT = `INSERT INTO usage_events (grant_id, ${COLUMNS.join(", ")})
  SELECT ?1, ${COLUMNS.map((name) => `value ->> '$.${name}'`).join(", ")} FROM json_each(?2) WHERE true
  ON CONFLICT (grant_id, hold) DO UPDATE SET ${COLUMNS.map((name) => `${name} = excluded.${name}`).join(", ")}
  WHERE excluded.revision > usage_events.revision`;

/** A database with two grants of one user, and what was booked before there were sums. */
function open(before = []) {
  const database = new DatabaseSync(":memory:");
  const names = readdirSync(path.join(ROOT, "migrations")).filter((name) => name.endsWith(".sql")).sort();
  const migrate = (wanted) => names.filter(wanted).forEach((name) => database.exec(read("migrations", name)));
  migrate((name) => name < "0012");
  database.exec("INSERT INTO users (user_id, name, role, created_at) VALUES ('u', 'U', 'operator', 1)");
  for (const id of ["one", "two"]) {
    database.exec(`INSERT INTO grants (grant_id, user_id, client_id, client_name, terms, created_at, expires_at, claimed_at)
      VALUES ('${id}', 'u', 'app-${id}', 'App', '{}', 1, 99999999999, 1)`);
  }
  database.prepare(INSERT).run("one", JSON.stringify(before));
  migrate((name) => name >= "0012");
  return database;
}

/** In one transaction, as D1 runs a batch. */
function tell(database, grant, bookings) {
  database.exec("BEGIN");
  for (const sql of [...KEEP_SUMS, INSERT]) database.prepare(sql).run(grant, JSON.stringify(bookings));
  database.exec("COMMIT");
}

const MONTH = "strftime('%Y', reserved_at_ms / 1000, 'unixepoch') * 12 + strftime('%m', reserved_at_ms / 1000, 'unixepoch') - 1";
const SOMETHING = "calls <> 0 OR tokens <> 0 OR nano_usd <> 0";

function assertSumsAgree(database, what) {
  const rows = (sql) => database.prepare(sql).all().map((row) => JSON.stringify(Object.values(row))).sort();
  const sums = "sum(requests) AS calls, sum(tokens) AS tokens, sum(nano_usd) AS nano_usd";
  assert.deepEqual(
    rows(`SELECT month, client_id, provider, model, calls, tokens, nano_usd FROM usage_months WHERE ${SOMETHING}`),
    rows(`SELECT * FROM (SELECT ${MONTH} AS month, client_id, coalesce(provider, ''), model, ${sums}
      FROM usage_events JOIN grants USING (grant_id) GROUP BY 1, 2, 3, 4) WHERE ${SOMETHING}`),
    `months: ${what}`,
  );
  assert.deepEqual(
    rows(`SELECT day, calls, tokens, nano_usd FROM usage_days WHERE ${SOMETHING}`),
    rows(`SELECT * FROM (SELECT reserved_at_ms / 86400000 AS day, ${sums} FROM usage_events GROUP BY 1) WHERE ${SOMETHING}`),
    `days: ${what}`,
  );
}

const spent = (database) => database.prepare("SELECT sum(nano_usd) AS spent FROM usage_days").get().spent;

test("what was booked before there were sums is in them", () => {
  const database = open([booking(), booking({ hold: 2, provider: null, model: "" })]);
  assertSumsAgree(database, "backfill");
  assert.equal(spent(database), 200);
});

test("a batch that is told twice counts once, also beside new bookings", () => {
  const database = open();
  tell(database, "one", [booking()]);
  tell(database, "one", [booking(), booking({ hold: 2 })]);
  tell(database, "one", [booking({ hold: 2 }), booking()]);
  assertSumsAgree(database, "told again");
  assert.equal(spent(database), 200);
});

test("a correction takes away what it corrects: less money, another model, nothing at all", () => {
  const database = open();
  tell(database, "one", [booking(), booking({ hold: 2 })]);
  tell(database, "one", [booking({ revision: 1, nano_usd: 7, model: "gpt-5.1" })]);
  assertSumsAgree(database, "corrected");
  assert.equal(spent(database), 107);
  tell(database, "one", [booking({ hold: 2, revision: 1, nano_usd: 0, tokens: 0, requests: 0, basis: "released" })]);
  tell(database, "one", [booking({ hold: 2 })]);
  assertSumsAgree(database, "released, then the old one told again");
  assert.equal(spent(database), 7);
});

test("of two revisions in one batch the later counts", () => {
  const database = open();
  tell(database, "one", [booking({ revision: 2, nano_usd: 5 }), booking()]);
  assert.equal(spent(database), 5);
});

test("whatever is told in whatever order, the sums are those of what is booked", () => {
  const database = open([booking()]);
  let seed = 7;
  const random = (below) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
  for (let batch = 0; batch < 300; batch += 1) {
    const one = () =>
      booking({
        hold: random(30),
        revision: random(4),
        nano_usd: random(1000),
        tokens: random(50),
        requests: random(2),
        model: ["a", "b"][random(2)],
        reserved_at_ms: Date.UTC(2026, 9 + random(3), 1 + random(28)),
      });
    tell(database, ["one", "two"][random(2)], Array.from({ length: 1 + random(5) }, one));
    assertSumsAgree(database, `batch ${batch}`);
  }
});

test("sums beyond 2^53 are read as the largest number that a double carries", () => {
  const database = open();
  tell(database, "one", Array.from({ length: 200 }, (_, hold) => booking({ hold, nano_usd: 2 ** 53 - 1 })));
  assert.equal(database.prepare(`SELECT ${constant("SUMS")} FROM usage_months`).get().nano_usd, 2 ** 53 - 1);
});
