// Every call of a grant: which are shown, page by page, and what was changed about it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { START_MS, book, bookMany } from "../support/calls.mjs";
import { call, chat, chatBody, postForm } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();

const newGrant = async () => (await browser.grant(app)).grant_id;
const open = async (id, query = "") => (await browser.get(`/grants/${id}${query}`)).page;
/** Names of the models that are listed, in their order. */
const listed = (page) => [...page.html.matchAll(/<strong>((?:m|gpt|<|=)[^<]*)<\/strong> <span class="muted">\/v1/g)].map(([, name]) => name);
const link = (page, name) => new RegExp(`<a href="([^"]+)"[^>]*>${name}</a>`).exec(page.html)?.[1].replaceAll("&#38;", "&").replaceAll("&amp;", "&");

test("a call is told with its time, tokens, cached ones too, its cost, status, duration, basis", async () => {
  const id = await newGrant();
  await book(broker, id, 1, { input_tokens: 1200, cached_tokens: 1000, output_tokens: 34, nano_usd: 1_234_567, duration_ms: 61_000 });
  const { text } = await open(id);
  assert.match(text, /gpt-5-mini \/v1\/chat\/completions answered 200 · 61 s · 1,200 tokens read \(1,000 from a cache\), 34 written/);
  assert.match(text, /as the provider counted 0\.0013 USD ?2026-06-01 00:00:01 UTC/);
});

test("pages of fifty lead to the oldest call and back, each call once", async () => {
  const id = await newGrant();
  await bookMany(broker, id, 120, { model: "'m' || i" });
  let page = await open(id);
  const seen = [...listed(page)];
  assert.equal(seen.length, 50);
  assert.equal(link(page, "Newer"), undefined);
  const sizes = [50];
  let next;
  while ((next = link(page, "Older"))) {
    page = (await browser.get(next)).page;
    sizes.push(listed(page).length);
    seen.push(...listed(page));
  }
  assert.deepEqual(sizes, [50, 50, 20]);
  assert.deepEqual(seen, Array.from({ length: 120 }, (_, index) => `m${119 - index}`));
  const back = [];
  while ((next = link(page, "Newer"))) {
    page = (await browser.get(next)).page;
    back.unshift(...listed(page));
  }
  assert.deepEqual(back, seen.slice(0, 100), "the same calls on the way back");
  assert.equal(listed((await browser.get(link(page, "Newest") ?? `/grants/${id}`)).page)[0], "m119");
});

test("calls that come meanwhile shift no page", async () => {
  const id = await newGrant();
  await bookMany(broker, id, 60, { model: "'m' || i" });
  const older = link(await open(id), "Older");
  for (let hold = 60; hold < 70; hold += 1) await book(broker, id, hold, { model: `m${hold}` });
  assert.equal(listed((await browser.get(older)).page)[0], "m9");
});

test("calls of the same moment are told apart by their hold", async () => {
  const id = await newGrant();
  for (let hold = 0; hold < 55; hold += 1) await book(broker, id, hold, { model: `m${hold}`, reserved_at_ms: START_MS });
  const page = await open(id);
  assert.equal(listed(page).at(-1), "m5");
  assert.deepEqual(listed((await browser.get(link(page, "Older"))).page), ["m4", "m3", "m2", "m1", "m0"]);
});

test("by model, by answer, by day, and all of them together; links and files keep it", async () => {
  const id = await newGrant();
  const day = 86_400_000;
  await book(broker, id, 1, { model: "m-a", reserved_at_ms: START_MS });
  await book(broker, id, 2, { model: "m-a", reserved_at_ms: START_MS + day - 1, status: 429 });
  await book(broker, id, 3, { model: "m-b", reserved_at_ms: START_MS + day, status: 400 });
  await book(broker, id, 4, { model: "m-a", reserved_at_ms: START_MS + 2 * day, status: 0, basis: "bound" });
  const shown = async (query) => listed(await open(id, query)).length;
  assert.equal(await shown("?model=m-a"), 3);
  assert.equal(await shown("?model=m"), 0);
  assert.equal(await shown("?status=ok"), 1);
  assert.equal(await shown("?status=refused"), 2);
  assert.equal(await shown("?status=none"), 1);
  assert.equal(await shown("?from=2026-06-01&to=2026-06-01"), 2, "a day to its last millisecond");
  assert.equal(await shown("?from=2026-06-02"), 2);
  assert.equal(await shown("?model=m-a&status=refused&from=2026-06-01&to=2026-06-01"), 1);
  assert.equal(await shown("?model=&status=&from=&to="), 4, "as an empty form is sent");
  const { page } = await browser.get(`/grants/${id}?model=m-a&status=refused`);
  assert.match(page.text, /1 call, 0\.001 USD together/);
  assert.match(page.html, new RegExp(`/grants/${id}/calls.csv\\?model=m-a&(#38;|amp;)?status=refused`));
  const form = page.forms.find(({ action }) => action.hash === "#calls");
  assert.equal(form.method, "GET");
  assert.deepEqual([form.value("model"), form.value("status")], ["m-a", "refused"]);
  assert.deepEqual(form.fields.find(({ name }) => name === "model").options, ["", "m-a", "m-b"]);
});

test("a query that no link makes is a 400 that leads on", async () => {
  const id = await newGrant();
  for (const query of ["from=yesterday", "status=maybe", "before=1", "after=1.1&before=1.1", "model=a&model=b"]) {
    const answer = await browser.get(`/grants/${id}?${query}`);
    assert.equal(answer.status, 400, query);
    assert.ok(answer.page.all("href").includes(`/grants/${id}`));
  }
});

test("a call of a delegation names it; the delegation is listed with what it used, and can be ended", async () => {
  const grant = await browser.grant(app);
  const id = grant.grant_id;
  const exchanged = await postForm(`${broker.url}/token`, {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: grant.access_token,
    subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
    client_id: app.client_id,
  });
  assert.equal(exchanged.status, 200, exchanged.text);
  const narrowed = exchanged.body.access_token;
  assert.equal((await chat(broker, narrowed)).status, 200);
  assert.equal((await chat(broker, grant.access_token)).status, 200);
  const page = await until(async () => {
    const page = await open(id);
    return /by token/.test(page.text) && listed(page).length === 2 && page;
  }, "both calls are listed");
  const [, name] = /by token (\S+)/.exec(page.text);
  assert.equal(page.text.match(/by token/g).length, 1, "the app's own call names none");
  assert.match(page.text, new RegExp(`Token ${name.replaceAll(/[-_]/g, ".")}`));
  const { delegation } = JSON.parse(Buffer.from(narrowed.split(".")[1], "base64url"));
  const form = page.form(/\/delegations\/.+\/revoke$/);
  assert.ok(delegation === undefined || form.action.pathname.includes(delegation));
  assert.equal((await browser.submit(form, { data: new URLSearchParams({ csrf: "AAAA" }) })).status, 403, "CWE-352");
  assert.equal((await chat(broker, narrowed)).status, 200);
  const answer = await browser.submit(form);
  assert.equal(answer.status, 303);
  assert.match((await browser.get(answer.location)).page.text, /Ended\. Its next call is refused/);
  assert.equal((await chat(broker, narrowed)).status, 401);
  assert.equal((await chat(broker, grant.access_token)).status, 200);
  assert.doesNotMatch((await open(id)).text, /Narrower tokens/);
});

test("each change stands in the history: what was, what is, who, from where; newest first", async () => {
  const id = await newGrant();
  const press = async (deed) => browser.submit((await open(id)).form(`/grants/${id}/${deed}`), { headers: { "user-agent": "Test browser 7" } });
  await browser.submit((await open(id)).form(`/grants/${id}`).fill({ requests: "5", "p0.concurrency": "2" }));
  await browser.submit((await open(id)).form(`/grants/${id}`), {});
  await press("pause");
  await press("resume");
  const { text } = await open(id);
  assert.match(text, /Resumed .*Paused .*Limits changed requests: no limit → 5; OpenAI, calls at a time: no limit → 2/);
  assert.equal(text.match(/Limits changed/g).length, 1, "saving nothing new is no change");
  assert.match(text, /You · (\S+ · )?Test browser 7/);
  await press("revoke");
  const { page } = await browser.get(`/grants/${id}/history`);
  assert.match(page.text, /Revoked .*Resumed .*Paused .*Limits changed/);
});

test("a long history has pages", async () => {
  const id = await newGrant();
  const [{ user_id: user }] = await broker.sql("SELECT user_id FROM grants WHERE grant_id = ?", id);
  for (let number = 0; number < 60; number += 1) {
    await broker.sql(
      `INSERT INTO audit (at, user_id, actor, event, grant_id, subject, detail, address, agent)
       VALUES (?, ?, 'person', 'limits_changed', ?, '', ?, '', '')`,
      ...[1_780_000_000, user, id, `change ${number}.`],
    );
  }
  const { page } = await browser.get(`/grants/${id}/history`);
  assert.match(page.text, /change 59\..*change 10\./);
  assert.doesNotMatch(page.text, /change 9\./);
  const { page: older } = await browser.get(link(page, "Older"));
  assert.match(older.text, /change 9\..*change 0\./);
  assert.equal(link(older, "Older"), undefined);
});

test("CWE-79: what an app named its model, its endpoint and itself is text, in the page and its links", async () => {
  const evil = `<img src=x onerror=alert(1)>"'&amp;`;
  const other = await browser.register({ name: `<b>${"x".repeat(10)}</b>` });
  const { grant_id: id } = await browser.grant(other);
  await book(broker, id, 1, { model: evil, endpoint: `/v1/${evil}` });
  const page = await open(id, `?model=${encodeURIComponent(evil)}`);
  assert.ok(!page.elementNames().has("img") && !page.elementNames().has("b"));
  assert.ok(page.text.includes(evil) && page.text.includes(`/v1/${evil}`));
  const form = page.forms.find(({ action }) => action.hash === "#calls");
  assert.equal(form.value("model"), evil);
  assert.equal((await browser.get(`/grants/${id}/live`)).text.includes("<img"), false);
});

test("CWE-89: a model is bound and never read as SQL", async () => {
  const id = await newGrant();
  await book(broker, id, 1);
  for (const model of ["' OR 1=1 --", "\"", "%", "gpt-5-mini' AND '1'='1"]) {
    const page = await open(id, `?model=${encodeURIComponent(model)}`);
    assert.equal(listed(page).length, 0, model);
  }
});

test("a real call ends up on the page with what the provider said", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  assert.equal((await call(broker, token, "/openai/v1/chat/completions", { body: chatBody() })).status, 200);
  const text = await until(async () => {
    const { text } = await open(id);
    return text.includes("answered 200") && text;
  }, "the booking is listed");
  assert.match(text, /gpt-5-mini \/v1\/chat\/completions answered 200 · [\d.]+ s · /);
});
