// The calls of a grant as a file: CSV (RFC 4180) and JSON.

import assert from "node:assert/strict";
import { test } from "node:test";
import { START_MS, book, bookMany } from "../support/calls.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();

const newGrant = async () => (await browser.grant(app)).grant_id;
const file = (id, kind, query = "") => browser.get(`/grants/${id}/calls.${kind}${query}`);

/** RFC 4180 §2, read strictly. */
function parseCsv(text) {
  const rows = [];
  let row = [];
  for (let at = 0; at < text.length;) {
    let value = "";
    if (text[at] === '"') {
      for (at += 1; ; at += 1) {
        assert.ok(at < text.length, "a quoted field ends");
        if (text[at] !== '"') value += text[at];
        else if (text[at + 1] === '"') value += text[(at += 1)];
        else break;
      }
      at += 1;
    } else {
      while (at < text.length && !",\r\n".includes(text[at])) {
        assert.notEqual(text[at], '"', "a quote stands in a quoted field alone");
        value += text[at];
        at += 1;
      }
    }
    row.push(value);
    if (text[at] === ",") at += 1;
    else {
      assert.equal(text.slice(at, at + 2), "\r\n", "a record ends with CRLF");
      at += 2;
      rows.push(row);
      row = [];
    }
  }
  const [names, ...records] = rows;
  return records.map((record) => {
    assert.equal(record.length, names.length);
    return Object.fromEntries(names.map((name, index) => [name, record[index]]));
  });
}

test("CSV: a header, a record for each call, newest first, money in nano-USD and exactly in USD", async () => {
  const id = await newGrant();
  await book(broker, id, 1);
  await book(broker, id, 2, { nano_usd: 1_234_567, status: 0, basis: "bound", delegation: "delegation_x", reserved_at_ms: START_MS + 5 });
  await book(broker, id, 3, { nano_usd: 5_000_000_000, cached_tokens: 7, provider: null, reserved_at_ms: START_MS + 6 });
  const answer = await file(id, "csv");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /^text\/csv; charset=utf-8/);
  assert.match(answer.headers.get("content-disposition"), /^attachment; filename="calls-[\w.-]+\.csv"$/);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(answer.headers.get("link"), null);
  const rows = parseCsv(answer.text);
  assert.deepEqual(
    rows.map(({ call }) => call),
    ["1", "3", "2"],
  );
  assert.deepEqual(
    rows.map(({ cost_nano_usd, cost_usd }) => [cost_nano_usd, cost_usd]),
    [["1000000", "0.001"], ["5000000000", "5.00"], ["1234567", "0.001234567"]],
  );
  const [, , second] = rows;
  assert.deepEqual([second.time, second.status, second.outcome, second.basis, second.delegation], ["2026-06-01T00:00:00.005Z", "", "none", "bound", "delegation_x"]);
  assert.deepEqual([rows[1].cached_tokens, rows[1].provider], ["7", ""]);
});

test("JSON: one object with the same calls", async () => {
  const id = await newGrant();
  await book(broker, id, 1, { status: 0, delegation: "delegation_x" });
  await book(broker, id, 2);
  const answer = await file(id, "json");
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  assert.match(answer.headers.get("content-disposition"), /^attachment; filename="calls-[\w.-]+\.json"$/);
  const { calls, ...about } = JSON.parse(answer.text);
  assert.deepEqual([about.grant_id, about.app, about.truncated, about.next], [id, "Test app", false, null]);
  assert.deepEqual(
    calls.map(({ call, status, delegation, cost_nano_usd, cost_usd }) => ({ call, status, delegation, cost_nano_usd, cost_usd })),
    [
      { call: 2, status: 200, delegation: null, cost_nano_usd: 1_000_000, cost_usd: "0.001" },
      { call: 1, status: null, delegation: "delegation_x", cost_nano_usd: 1_000_000, cost_usd: "0.001" },
    ],
  );
});

test("a grant without a call is a header, and an empty list", async () => {
  const id = await newGrant();
  assert.deepEqual(parseCsv((await file(id, "csv")).text), []);
  assert.deepEqual(JSON.parse((await file(id, "json")).text).calls, []);
});

test("a file holds what the page's filter lets through", async () => {
  const id = await newGrant();
  await bookMany(broker, id, 10, { model: "'m' || (i % 2)", status: "CASE i WHEN 4 THEN 429 ELSE 200 END" });
  assert.equal(parseCsv((await file(id, "csv", "?model=m0")).text).length, 5);
  assert.equal(JSON.parse((await file(id, "json", "?model=m0&status=refused")).text).calls.length, 1);
  assert.equal(parseCsv((await file(id, "csv", "?to=2026-05-31")).text).length, 0);
  assert.equal((await file(id, "csv", "?from=nonsense")).status, 400);
});

test("CWE-1236: what begins like a formula is text to programs for tables, and comes back whole otherwise", async () => {
  const id = await newGrant();
  const models = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x","y")', 'a,b', 'say "hi"', "two\r\nlines", "모델", "'quoted"];
  for (const [index, model] of models.entries()) await book(broker, id, index, { model, endpoint: model });
  const rows = parseCsv((await file(id, "csv")).text).reverse();
  for (const [index, model] of models.entries()) {
    const expected = /^[=+\-@\t\r]/.test(model) ? `'${model}` : model;
    assert.deepEqual([rows[index].model, rows[index].endpoint], [expected, expected]);
  }
  const { calls } = JSON.parse((await file(id, "json")).text);
  assert.deepEqual(calls.map(({ model }) => model).reverse(), models, "JSON needs no such thing");
});

test("CWE-113: no name of an app or model gets into a header", async () => {
  const other = await browser.register({ name: 'x"; filename="evil.html' });
  const { grant_id: id } = await browser.grant(other);
  await book(broker, id, 1, { model: "a\r\nset-cookie: x=1" });
  const answer = await file(id, "csv", `?model=${encodeURIComponent("a\r\nset-cookie: x=1")}`);
  assert.match(answer.headers.get("content-disposition"), /^attachment; filename="[\w.-]+"$/);
  assert.equal(answer.headers.get("set-cookie"), null);
});

test("more calls than a file holds: the newest 100,000, and the address of the rest", async () => {
  const id = await newGrant();
  await bookMany(broker, id, 100_003);
  const answer = await file(id, "csv");
  assert.equal(answer.status, 200);
  const rows = answer.text.trimEnd().split("\r\n");
  assert.equal(rows.length, 1 + 100_000);
  assert.ok(rows[1].startsWith("100002,") && rows.at(-1).startsWith("3,"), rows.at(-1));
  const [, next] = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link"));
  const rest = await browser.get(next);
  assert.deepEqual(
    parseCsv(rest.text).map(({ call }) => call),
    ["2", "1", "0"],
  );
  assert.equal(rest.headers.get("link"), null);
  const { page } = await browser.get(`/grants/${id}?status=ok`);
  assert.match(page.text, /More than 100,000 calls/);
  assert.match(page.text, /A file holds the newest 100,000/);
  const json = JSON.parse((await file(id, "json", "?model=gpt-5-mini")).text);
  assert.equal(json.calls.length, 100_000);
  assert.equal(json.truncated, true);
  assert.match(json.next, /calls\.json\?model=gpt-5-mini&before=\d+\.3$/);
});

test("a database that fails in the middle breaks the file off", async () => {
  const id = await newGrant();
  await bookMany(broker, id, 6_000);
  // A number that no reader takes, in the second piece of the file.
  await broker.sql("UPDATE usage_events SET basis = 'nonsense' WHERE grant_id = ? AND hold = 100", id);
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const response = await fetch(`${broker.url}/grants/${id}/calls.json`, { headers: { cookie } });
  assert.equal(response.status, 200);
  const text = await response.text().catch(() => "");
  assert.throws(() => JSON.parse(text), "what arrived is no whole file");
});
