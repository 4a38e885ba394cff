// What a person is told of their grants: caps that are nearly used up, and access that ends soon.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DETAILS, chat } from "../support/flow.mjs";
import { startWorld, until, useUp } from "../support/world.mjs";

const { broker, browser, app } = await startWorld({ inside: true });
const DAY = 24 * 3600;
const now = () => Math.floor(broker.now() / 1000);

const limited = (requests, more = {}) => ({ details: [{ ...DETAILS[0], limits: { requests } }], ...more });
const rows = (id) => broker.sql("SELECT * FROM notices WHERE grant_id = ? ORDER BY notice_id", id);
const thresholds = async (id) => (await rows(id)).map(({ threshold }) => threshold);
const reaches = (id, ...expected) =>
  until(async () => JSON.stringify(await thresholds(id)) === JSON.stringify(expected), `notices ${expected}`);
const unread = (page) => page.forms.filter((form) => form.action.pathname === "/notices" && form.names.includes("from"));

test("half, four fifths and all of a cap are said once each, some seconds after the call", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, limited(10));
  for (let call = 0; call < 5; call += 1) assert.equal((await chat(broker, token)).status, 200);
  await reaches(id, 50);
  for (let call = 0; call < 3; call += 1) assert.equal((await chat(broker, token)).status, 200);
  await reaches(id, 50, 80);
  await useUp(broker, token);
  await reaches(id, 50, 80, 100);
  for (let call = 0; call < 20; call += 1) assert.equal((await chat(broker, token)).code, "requests_exhausted");
  const [half] = await rows(id);
  assert.deepEqual([half.kind, half.cap, half.permission, half.allowed, half.used], ["limit", "requests", 0, 10, 5]);
  await broker.advance(60);
  assert.deepEqual(await thresholds(id), [50, 80, 100]);
});

test("a crash of the ledger says nothing twice, and loses nothing that was reached", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, limited(2));
  assert.equal((await chat(broker, token)).status, 200);
  await until(async () => (await chat(broker, token)).code === "requests_exhausted", "both calls are booked");
  await broker.kill();
  await chat(broker, token);
  await until(async () => (await thresholds(id)).includes(100), "used up is said");
  const said = await thresholds(id);
  assert.equal(new Set(said).size, said.length);
});

test("they stand on the page, newest first, link to the grant, and are marked as read one by one or all", async () => {
  const named = await browser.register({ name: "<b>Bold</b> & co" });
  const { access_token: token, grant_id: id } = await browser.grant(named, limited(2));
  assert.equal((await chat(broker, token)).status, 200);
  await reaches(id, 50);
  let { page } = await browser.get("/notices");
  assert.match(page.text, /<b>Bold<\/b> & co has used 50 % of its requests: 1 of 2\./, "the name is text");
  assert.ok(!page.html.includes("<b>Bold"), "and no markup");
  assert.ok(page.all("href").includes(`/grants/${id}`));
  const before = unread(page).length;
  assert.ok(before > 1);
  const first = Number((await rows(id))[0].notice_id);
  assert.equal(unread(page)[0].value("to"), String(first), "newest first");
  const { status, location } = await browser.submit(unread(page)[0]);
  assert.deepEqual([status, location.pathname], [303, "/notices"]);
  ({ page } = await browser.get("/notices"));
  assert.equal(unread(page).length, before - 1);
  const all = page.forms.find((form) => form.action.pathname === "/notices" && !form.names.includes("from"));
  await browser.submit(all);
  ({ page } = await browser.get("/notices"));
  assert.equal(unread(page).length, 0);
  assert.match(page.text, /has used 50 %/, "they stay");
});

test("the page of a grant shows what was told of it, of no other, and what is marked as read there leads back to it", async () => {
  const [one, other] = [await browser.grant(app, limited(4)), await browser.grant(app, limited(2))];
  for (const { access_token: token } of [one, one, other]) assert.equal((await chat(broker, token)).status, 200);
  await reaches(one.grant_id, 50);
  await reaches(other.grant_id, 50);
  const open = async () => (await browser.get(`/grants/${one.grant_id}`)).page;
  const page = await open();
  assert.match(page.text, /Notices Test app has used 50 % of its requests: 2 of 4\. new/);
  assert.doesNotMatch(page.text, /1 of 2\./);
  assert.equal(unread(page).length, 1);
  const { location } = await browser.submit(unread(page)[0]);
  assert.equal(location.pathname, `/grants/${one.grant_id}`);
  assert.equal(unread(await open()).length, 0);
  assert.match((await open()).text, /has used 50 %/, "it stays");
  assert.equal((await rows(other.grant_id))[0].read_at, null);
});

test("it is said in Korean to whoever reads Korean", async () => {
  const { page } = await browser.get("/notices", { "accept-language": "ko" });
  assert.match(page.text, /요청 횟수의 50%를 썼어요/);
  assert.doesNotMatch(page.text, /has used/);
});

test("nobody sees or reads the notices of somebody else", async () => {
  await broker.sql("UPDATE notices SET read_at = NULL");
  const other = await browser.somebodyElse();
  const { page } = await other.get("/notices");
  assert.match(page.text, /Nothing to tell/);
  const own = (await browser.get("/notices")).page;
  const data = unread(own)[0].data();
  const csrf = (await other.get("/apps")).page.form("/apps").value("csrf");
  data.set("csrf", csrf);
  data.set("from", "0");
  data.set("to", "9007199254740991");
  assert.equal((await other.post("/notices", data)).status, 303);
  assert.equal((await broker.sql("SELECT count(*) AS n FROM notices WHERE read_at IS NOT NULL"))[0].n, 0);
});

test("raising a limit begins anew, and what was said of the old one stays", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, limited(2));
  assert.equal((await chat(broker, token)).status, 200);
  await reaches(id, 50);
  const { page } = await browser.get(`/grants/${id}`);
  const form = page.form(`/grants/${id}`);
  form.fill({ "p0.requests": "4" });
  assert.equal((await browser.submit(form)).status, 303);
  assert.equal((await chat(broker, token)).status, 200);
  await reaches(id, 50, 50);
  assert.deepEqual(
    (await rows(id)).map(({ allowed, used }) => [allowed, used]),
    [
      [2, 1],
      [4, 2],
    ],
  );
});

/** A grant that began and ends so many seconds from now. */
async function lasting(begins, ends) {
  const { grant_id: id } = await browser.grant(app, limited(100));
  await broker.sql("UPDATE grants SET created_at = ?, expires_at = ? WHERE grant_id = ?", now() + begins, now() + ends, id);
  return id;
}

test("three days and one day before a grant ends it is said, once", async () => {
  const id = await lasting(-30 * DAY, 3 * DAY - 60);
  await broker.runScheduled();
  await broker.runScheduled();
  assert.deepEqual(await thresholds(id), [3]);
  const ends = now() + DAY - 60;
  await broker.sql("UPDATE grants SET expires_at = ? WHERE grant_id = ?", ends, id);
  await broker.runScheduled();
  await broker.runScheduled();
  assert.deepEqual(await thresholds(id), [3, 1]);
  const { page } = await browser.get("/notices");
  assert.match(page.text, /The access of Test app ends on \d+ \w+ \d{4}, \d\d:\d\d UTC\./);
});

test("what ends later, was ended, is over, or began a short while ago is not said", async () => {
  const later = await lasting(-30 * DAY, 3 * DAY + 60);
  const over = await lasting(-30 * DAY, -60);
  const young = await lasting(-DAY, 3 * DAY - 60);
  const short = await lasting(-60, DAY - 60);
  const revoked = await lasting(-30 * DAY, DAY);
  await browser.revoke(revoked);
  await broker.runScheduled();
  for (const id of [later, over, young, short, revoked]) assert.deepEqual(await thresholds(id), [], id);
});

test("whoever comes late says only what is true now", async () => {
  const id = await lasting(-30 * DAY, DAY / 2);
  await broker.runScheduled();
  assert.deepEqual(await thresholds(id), [1]);
});

test("notices go after 90 days, deliveries and refusals after 30", async () => {
  const id = await lasting(-30 * DAY, 30 * DAY);
  const put = (at) =>
    broker.sql(
      "INSERT INTO notices (grant_id, user_id, kind, allowed, threshold, at) SELECT grant_id, user_id, 'expiry', ?, 3, ?1 FROM grants WHERE grant_id = ?",
      at,
      id,
    );
  await put(now() - 90 * DAY - 60);
  await put(now() - 90 * DAY + 60);
  for (const at of [now() - 30 * DAY - 60, now() - 30 * DAY + 60]) {
    await broker.sql("INSERT INTO webhook_deliveries (type, at) VALUES ('ping', ?)", at);
    await broker.sql("INSERT INTO refusals VALUES (?, 'ended', 1, ?2, ?2, '', '')", `grant_${at}`, at * 1000);
  }
  await broker.runScheduled();
  assert.equal((await rows(id)).length, 1);
  assert.equal((await broker.sql("SELECT count(*) AS n FROM webhook_deliveries"))[0].n, 1);
  assert.equal((await broker.sql("SELECT count(*) AS n FROM refusals WHERE reason = 'ended'"))[0].n, 1);
});
