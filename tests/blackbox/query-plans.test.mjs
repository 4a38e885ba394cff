// Pages stay fast however much there is to page through: each of their queries is found by an index, and nothing is sorted on the way.
//
// A row of the table: what is asked, and what SQLite must plan for it, in whole lines of EXPLAIN QUERY PLAN.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, test } from "node:test";
import { ROOT, startBroker } from "../support/broker.mjs";

const broker = await startBroker();
after(() => broker.close());

/** String literals of a Rust source as they are at run time, line breaks with a backslash taken out. */
async function source(file) {
  return (await readFile(path.join(ROOT, file), "utf8")).replaceAll(/\\\n\s*/g, "");
}

const usage = await source("src/edge/d1/usage.rs");
const history = await source("src/edge/d1/history.rs");
const notices = await source("src/edge/d1/notices.rs");
const policies = await source("src/edge/d1/policies.rs");
const noticeColumns = notices.match(/const COLUMNS: &str = "([^"]*)"/)[1];

/** The statement between two texts of a source, its placeholders filled in. */
function statement(text, begin, end, values = {}) {
  const from = text.indexOf(begin);
  assert.notEqual(from, -1, `${begin} is in the source`);
  const sql = text.slice(from, text.indexOf(end, from));
  return Object.entries(values).reduce((sql, [name, value]) => sql.replaceAll(`{${name}}`, value), sql);
}

const found = (columns, { model = false, newestFirst = true } = {}) =>
  statement(usage, "SELECT {columns} FROM usage_events", '"', {
    columns,
    index: model ? "usage_events_by_model" : "usage_events_by_time",
    model: model ? " AND model = ?9" : "",
    order: newestFirst ? " DESC" : "",
  });
const page = (options) => statement(usage, "SELECT json_group_array", '"', { shown: "event.model", found: found("hold", options) });
const sum = (options) => statement(usage, "SELECT count(*) AS calls", '"', { found: found("nano_usd", options) });
const next = statement(usage, "SELECT min(model)", '"');

const BY_TIME = /^SEARCH usage_events USING COVERING INDEX usage_events_by_time \(grant_id=\? AND .*reserved_at_ms/;
const BY_MODEL = /^SEARCH usage_events USING COVERING INDEX usage_events_by_model \(grant_id=\? AND model=\? AND .*reserved_at_ms/;
const THE_ROWS = /^SEARCH event USING PRIMARY KEY \(grant_id=\? AND hold=\?\)/;
/** What is read of a query that was limited before. */
const OF_THOSE = /^(CO-ROUTINE|SCAN) (found|\(subquery-\d+\))$/;

const PLANS = [
  ["a page of calls", page(), [BY_TIME, THE_ROWS, OF_THOSE]],
  ["a page of newer calls", page({ newestFirst: false }), [BY_TIME, THE_ROWS, OF_THOSE]],
  ["a page of a model's calls", page({ model: true }), [BY_MODEL, THE_ROWS, OF_THOSE]],
  ["what calls come to", sum(), [BY_TIME, OF_THOSE]],
  ["what a model's calls come to", sum({ model: true }), [BY_MODEL, OF_THOSE]],
  ["where a file ends", `${found("reserved_at_ms, hold")} OFFSET 99999`, [BY_TIME]],
  [
    "the models of calls",
    statement(usage, "WITH RECURSIVE called(model)", '"', { next }),
    [
      /^SEARCH usage_events USING COVERING INDEX usage_events_by_model \(grant_id=\? AND model>\?\)/,
      /^(CO-ROUTINE|SCAN) called$|^(SETUP|RECURSIVE STEP)$|^(CORRELATED )?SCALAR SUBQUERY \d+$|^SCAN CONSTANT ROW$/,
    ],
  ],
  [
    "the notices of a grant",
    `SELECT ${noticeColumns} FROM notices JOIN grants USING (grant_id) WHERE ${statement(notices, "notices.grant_id = ?", '"')}`,
    [/^SEARCH notices USING INDEX notices_of_grant \(grant_id=\?\)/, /^SEARCH grants USING (PRIMARY KEY|INDEX \S+) \(grant_id=\?\)/],
  ],
  [
    "accounts that have to be told of a policy",
    statement(policies, "SELECT user_id FROM users", '"'),
    [/^SCAN users USING INDEX users_by_policy$/],
  ],
  ["the history of a grant", statement(history, "SELECT audit_id", '"'), [/^SEARCH audit USING INDEX audit_by_grant \(grant_id=\? AND audit_id<\?\)/]],
];

for (const [what, sql, allowed] of PLANS) {
  test(`${what}: found by an index, nothing is sorted`, async () => {
    const marks = new Set(sql.match(/\?\d+/g)).size + (sql.match(/\?(?!\d)/g) ?? []).length;
    const plan = (await broker.sql(`EXPLAIN QUERY PLAN ${sql}`, ...Array.from({ length: marks }, () => "1"))).map(({ detail }) => detail);
    for (const line of plan) {
      assert.doesNotMatch(line, /TEMP B-TREE/, plan.join("\n"));
      assert.ok(
        allowed.some((pattern) => pattern.test(line)),
        `${line}\n\nof\n${plan.join("\n")}`,
      );
    }
    assert.ok(
      plan.some((line) => allowed[0].test(line)),
      plan.join("\n"),
    );
  });
}
