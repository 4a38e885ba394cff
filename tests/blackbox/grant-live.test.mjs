// What the page of a grant reads again while it is open, and what the browser may do there.

import assert from "node:assert/strict";
import { test } from "node:test";
import { book } from "../support/calls.mjs";
import { chat } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();

const live = (id, headers) => browser.get(`/grants/${id}/live`, headers);

test("figures and latest calls come as parts of the page, under the names that they have there", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  assert.equal((await chat(broker, token)).status, 200);
  const answer = await until(async () => {
    const answer = await live(id);
    return answer.text.includes("answered 200") && answer;
  }, "the call is told");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /^text\/html/);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const parts = ["state", "figures", "delegations", "calls"];
  assert.deepEqual(answer.page.all("data-live"), parts);
  const { page } = await browser.get(`/grants/${id}`);
  assert.deepEqual(page.all("data-live").sort(), [...parts].sort());
  assert.ok(!answer.page.elementNames().has("title") || answer.page.title === "", "a part and no page");
});

test("RFC 9110 13.1.2: as long as nothing changed there is no body; when something did there is one", async () => {
  const { grant_id: id } = await browser.grant(app);
  // "Just now" is told for a minute.
  const first = await live(id);
  const tag = first.headers.get("etag");
  const again = await live(id, { "if-none-match": tag });
  assert.deepEqual([again.status, again.text, again.headers.get("etag")], [304, "", tag]);
  await book(broker, id, 1);
  const changed = await live(id, { "if-none-match": tag });
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.get("etag"), tag);
});

test("a grant that was revoked elsewhere says so and offers nothing more", async () => {
  const { grant_id: id } = await browser.grant(app);
  assert.equal((await live(id)).page.forms.length, 2);
  await browser.revoke(id);
  const { page } = await live(id);
  assert.match(page.text, /Revoked You or the app ended it/);
  assert.equal(page.forms.length, 0);
});

test("the page lets its own script run and ask this broker, and nothing else", async () => {
  const { grant_id: id } = await browser.grant(app);
  const { headers, page } = await browser.get(`/grants/${id}`);
  const policy = Object.fromEntries(headers.get("content-security-policy").split("; ").map((part) => part.split(/ (.*)/s)));
  assert.equal(policy["default-src"], "'none'");
  assert.equal(policy["script-src"], "'self'");
  assert.equal(policy["connect-src"], "'self'");
  assert.equal(policy["form-action"], "'self'");
  assert.equal(policy["frame-ancestors"], "'none'");
  const loaded = [...page.html.matchAll(/<(?:script|link|img)[^>]*(?:src|href)="([^"]+)"/g)].map(([, url]) => url);
  assert.deepEqual(loaded.sort(), ["/icon.svg", "/live.js", "/style.css"]);
  assert.doesNotMatch(page.html, / style=| on[a-z]+=/);
  assert.ok(page.html.length < 60 * 1024, `${page.html.length} bytes`);
});

test("a full page of calls is below 60 KB", async () => {
  const { grant_id: id } = await browser.grant(app);
  for (let hold = 0; hold < 60; hold += 1) await book(broker, id, hold, { cached_tokens: 7, delegation: "delegation_abcdefgh" });
  const { page } = await browser.get(`/grants/${id}`);
  assert.ok(page.html.length < 60 * 1024, `${page.html.length} bytes`);
});

test("signed out, there is nothing of the grant", async () => {
  const { grant_id: id } = await browser.grant(app);
  const response = await fetch(`${broker.url}/grants/${id}/live`);
  const text = await response.text();
  assert.ok(!text.includes("data-live"));
  assert.equal(response.headers.get("etag"), null);
});
