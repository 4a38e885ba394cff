// Who did what, from where: noted after it happened, found by whoever it concerns, and by nobody else.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, postForm, refresh } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const [{ user_id: USER }] = await broker.sql("SELECT user_id FROM users");
const DAY = 24 * 3600;
const now = () => Math.floor(Date.now() / 1000);

const latest = async (who = browser, path = "/activity") => (await who.get(path)).page.text;

/** An entry, as the broker writes it. */
const note = (more) => {
  const row = { at: now(), user_id: USER, actor: "person", event: "signed_in", subject: "", detail: "", address: "", agent: "", ...more };
  const names = Object.keys(row);
  return broker.sql(`INSERT INTO audit (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`, ...Object.values(row));
};

test("signing in and out, and apps that come and go, are noted", async () => {
  assert.match(await latest(), /Signed in with a one-time link/);
  const gone = await browser.register({ name: "Comes and goes" });
  const { page } = await browser.get("/apps");
  await browser.submit(page.form(`/apps/${gone.client_id}/delete`));
  const text = await latest();
  assert.match(text, /The app Comes and goes was deleted.*The app Comes and goes was registered/);
  const second = new Browser(broker);
  await second.signIn();
  await second.submit((await second.get("/grants")).page.form("/sign-out"));
  assert.match(await latest(), /Signed out/);
});

test("what an app ends is noted as its doing, and once", async () => {
  const grant = await browser.grant(app);
  for (let times = 0; times < 2; times += 1) {
    await postForm(`${broker.url}/revoke`, { client_id: app.client_id, token: grant.refresh_token }, { "user-agent": "backend/1.0" });
  }
  const rows = await broker.sql("SELECT actor, event, agent FROM audit WHERE grant_id = ?", grant.grant_id);
  assert.deepEqual(rows.filter(({ event }) => event === "grant_revoked"), [{ actor: "app", event: "grant_revoked", agent: "backend/1.0" }]);
  assert.match(await latest(browser, `/activity?grant=${grant.grant_id}`), /the app gave it back by the app backend/);
});

test("what the broker ends is noted as its doing: a refresh token that was used twice", async () => {
  const grant = await browser.grant(app);
  await refresh(broker, app, grant.refresh_token);
  await refresh(broker, app, grant.refresh_token);
  assert.match(await latest(browser, `/activity?grant=${grant.grant_id}`), /used twice by the broker/);
});

test("whoever gave an app a grant learns that the app was deleted, and not from where", async () => {
  const deleted = await browser.register({ name: "To be deleted" });
  const other = await browser.somebodyElse("user_gave_it");
  const grant = await other.grant(deleted);
  const { page } = await browser.get("/apps");
  await browser.submit(page.form(`/apps/${deleted.client_id}/delete`));
  const rows = await broker.sql("SELECT actor, user_id, address, agent FROM audit WHERE grant_id = ? AND event = 'grant_revoked'", grant.grant_id);
  assert.deepEqual(rows, [{ actor: "broker", user_id: "user_gave_it", address: "", agent: "" }]);
  assert.match(await latest(other), /The access of To be deleted was revoked the app was deleted/);
});

test("IDOR: a member finds their own account's, whatever they ask for; an operator finds all", async () => {
  const other = await browser.somebodyElse("user_member");
  await note({ event: "app_registered", subject: "of the operator", grant_id: "grant_of_the_operator" });
  await note({ event: "app_registered", subject: "of the member", user_id: "user_member" });
  for (const query of ["", "?of=everyone", "?grant=grant_of_the_operator", "?kind=apps&of=everyone"]) {
    for (const path of [`/activity${query}`, `/activity.csv${query}`]) {
      assert.ok(!(await other.get(path)).text.includes("of the operator"), path);
    }
  }
  assert.ok((await latest(other)).includes("of the member"));
  assert.ok(!(await latest()).includes("of the member"), "an operator's own are shown first");
  assert.match(await latest(browser, "/activity?of=everyone"), /of the member was registered Other/);
});

test("without a session there is nothing to see", async () => {
  await note({ subject: "secret doings", event: "app_registered" });
  for (const path of ["/activity", "/activity.csv"]) assert.ok(!(await new Browser(broker).get(path)).text.includes("secret doings"));
});

test("entries are found by kind", async () => {
  assert.ok(!/registered/.test(await latest(browser, "/activity?kind=account")));
  assert.ok(!/Signed in/.test(await latest(browser, "/activity?kind=apps")));
});

test("pages lead from one to the next, each entry on one of them", async () => {
  const reader = await browser.somebodyElse("user_reader");
  for (let number = 0; number < 120; number += 1) await note({ user_id: "user_reader", event: "app_registered", subject: `No ${number}.` });
  const seen = [];
  let next = "/activity";
  for (let pages = 0; next && pages < 5; pages += 1) {
    const { page } = await reader.get(next);
    seen.push(...[...page.text.matchAll(/No (\d+)\./g)].map(([, number]) => Number(number)));
    next = page.all("href").find((href) => /before=/.test(href));
  }
  const distinct = [...new Set(seen)];
  assert.deepEqual(distinct, Array.from({ length: 120 }, (_, index) => 119 - index));
});

test("CWE-79: what strangers wrote is shown as text, short, and turns no text", async () => {
  const strange = '<img src=x onerror=alert(1)> \u202eevil\u2066';
  await note({ event: "app_registered", subject: strange, detail: strange, agent: `${strange}${"x".repeat(300)}` });
  const { page, text } = await browser.get("/activity");
  assert.ok(page.text.includes("<img src=x"));
  assert.ok(!page.elementNames().has("img"));
  assert.deepEqual(page.all("onerror"), []);
  assert.ok(!/[\u202e\u2066]/.test(text) && !text.includes("x".repeat(100)));
});

test("CWE-1236: a cell of the file is never a formula", async () => {
  await note({ event: "app_registered", subject: '=HYPERLINK("https://evil.example")', agent: "@SUM(1)", detail: "\uff1d1+1" });
  const { headers, text } = await browser.get("/activity.csv");
  assert.match(headers.get("content-type"), /^text\/csv/);
  assert.match(headers.get("content-disposition"), /^attachment/);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.ok(text.includes(`"'=HYPERLINK(""https://evil.example"")"`) && text.includes(`"'@SUM(1)"`));
  assert.ok(text.includes("'\uff1d1+1"), "as wide as a letter of Korean");
});

test("a browser is named in words", async () => {
  await note({ agent: "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0", address: "192.0.2.7" });
  assert.match(await latest(), /Firefox on Windows · 192\.0\.2\.7/);
});

test("entries go after 400 days", async () => {
  await note({ at: now() - 400 * DAY - 60, subject: "old" });
  await note({ at: now() - 400 * DAY + 3600, subject: "young" });
  await broker.runScheduled();
  const left = await broker.sql("SELECT subject FROM audit WHERE subject IN ('old', 'young')");
  assert.deepEqual(left, [{ subject: "young" }]);
});

test("what a person's page reads is found by an index, and nothing is sorted", async () => {
  for (const condition of ["audit.user_id = ?", "audit.user_id = ? AND audit.grant_id = 'x'"]) {
    const plan = await broker.sql(
      `EXPLAIN QUERY PLAN SELECT audit_id FROM audit CROSS JOIN users ON users.user_id = audit.user_id WHERE ${condition} ORDER BY audit_id DESC LIMIT 51`,
      USER,
    );
    const steps = plan.map(({ detail }) => detail).join("\n");
    assert.ok(/USING .*INDEX audit_by_/.test(steps) && !/TEMP B-TREE|SCAN/.test(steps), steps);
  }
});
