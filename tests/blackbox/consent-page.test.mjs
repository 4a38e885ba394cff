// The page where a person decides: what it proposes, what it replaces, what it remembers, and what becomes of a page that came too late.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, DETAILS, chat, claims, postForm, redeem } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const CHAT = [DETAILS[0]];
const now = () => Math.floor(Date.now() / 1000);
const grants = () => broker.sql("SELECT * FROM grants ORDER BY rowid");
const audit = async (event) => broker.sql("SELECT * FROM audit WHERE event = ? ORDER BY audit_id DESC", event);
const lastTerms = async () => JSON.parse((await grants()).at(-1).terms);
const lastLife = async () => {
  const { created_at, expires_at } = (await grants()).at(-1);
  return expires_at - created_at;
};

/** Allows what the form says; the code that the app gets. */
async function allow(form, person = browser) {
  const answer = await person.submit(form.press("decision", "allow"));
  assert.equal(answer.status, 303, answer.page?.text);
  return answer.location.searchParams.get("code");
}

/** An app of its own, so that tests don't see each other's grants. */
const another = (options) => browser.register(options);

const ask = (who, options) => browser.consent(who, { details: CHAT, ...options });

// Limits to choose.

test("without a word of the app on money a week with five dollars is chosen", async () => {
  const { form, page } = await ask(app);
  assert.deepEqual(form.values("plan"), ["try", "week", "custom"]);
  assert.match(page.text, /A week 5\.00 USD in all, for 7 days/);
  await allow(form);
  assert.deepEqual([(await lastTerms()).limits, await lastLife()], [{ budget_usd: "5.00" }, 7 * 86_400]);
});

test("Try it grants one dollar for a day", async () => {
  const { form } = await ask(app);
  await allow(form.fill({ plan: "try" }));
  assert.deepEqual([(await lastTerms()).limits, await lastLife()], [{ budget_usd: "1.00" }, 86_400]);
});

test("a plan is narrowed to what the app asks; one that would come to the same is not offered, and not taken either", async () => {
  const details = [DETAILS[0], { type: "ai_limits", budget_usd: "0.50" }];
  const { form } = await ask(app, { details });
  assert.deepEqual(form.values("plan"), ["try", "asked", "custom"]);
  const data = form.press("decision", "allow").data();
  for (const plan of ["week", "usual", "everything"]) {
    data.set("plan", plan);
    const { status, location } = await browser.submit(form, { data });
    assert.deepEqual([status, location], [400, null], plan);
  }
  await allow(form);
  assert.deepEqual((await lastTerms()).limits, { budget_usd: "0.50" });
  await allow((await ask(app, { details })).form.fill({ plan: "try" }));
  assert.deepEqual([(await lastTerms()).limits, await lastLife()], [{ budget_usd: "0.50" }, 86_400]);
});

test("limits that the app named for its provider stand with the plan that is chosen, and a shorter try sets none beside them", async () => {
  const limits = { budget_usd: "1.00", requests: 50, requests_per_minute: 20 };
  const details = [{ ...DETAILS[0], models: ["gpt-5-mini", "text-embedding-3-small", "gpt-image-1"], limits }];
  const { form, page } = await ask(app, { details });
  assert.deepEqual([form.values("plan"), form.data().get("plan")], [["try", "asked", "custom"], "asked"]);
  assert.match(page.text, /As the app asked 1\.00 USD in all, 50 requests, for 7 days ?about 50 short questions with gpt-5-mini Your own limits/);
  await allow(form.fill({ plan: "try" }));
  const terms = await lastTerms();
  assert.deepEqual([terms.limits ?? {}, terms.permissions[0].limits, await lastLife()], [{}, limits, 86_400]);
  assert.match((await audit("grant_allowed"))[0].detail, /; 1\.00 USD in all; 50 requests; 1 day$/);
});

test("limits that were written and then left for a plan are an error, never a guess", async () => {
  const count = (await grants()).length;
  const { form } = await ask(app);
  form.fill({ budget_usd: "50" }).fill({ plan: "try" });
  const refused = await browser.submit(form.press("decision", "allow"));
  assert.equal(refused.status, 400);
  assert.match(refused.page.text, /you set limits of your own, and chose others/);
  assert.equal((await grants()).length, count);
  const again = refused.page.form("/authorize");
  assert.equal(again.value("budget_usd"), "50");
  await allow(again.fill({ plan: "try" }));
  assert.deepEqual((await lastTerms()).limits, { budget_usd: "1.00" });
});

test("the page says what the money roughly buys with a model whose price is known, and nothing where none is", async () => {
  const { page } = await ask(app);
  assert.match(page.text, /about [1-9]0*(,000)* short questions with gpt-5/);
  assert.match(page.text, /A short question: 500 words, and 200 words of answer/);
  const unknown = await ask(app, { details: [{ ...DETAILS[0], models: ["no-such-model"] }] });
  assert.doesNotMatch(unknown.page.text, /short question/);
});

test("what is asked stands beside what is granted", async () => {
  const { page } = await ask(app, { details: [{ ...DETAILS[0], limits: { requests: 1000 } }] });
  assert.match(page.text, /The app asks for Chat and create embeddings with gpt-5-mini .* at most 1,000 requests in all You allow what stays ticked/);
});

// What the app has already.

test("a new grant takes the place of the one that it covers: the old one ends, the new one works, and both are noted", async () => {
  const mine = await another();
  const old = await browser.grant(mine, { details: CHAT });
  assert.equal((await chat(broker, old.access_token)).status, 200);
  const consent = await ask(mine, { replace: true });
  assert.ok(consent.form.isTicked("replace", old.grant_id));
  assert.match(consent.page.text, /What it has already/);
  const { body } = await redeem(broker, mine, { code: await allow(consent.form), verifier: consent.verifier });
  assert.equal((await chat(broker, old.access_token)).status, 401);
  assert.equal((await chat(broker, body.access_token)).status, 200);
  const [revoked] = await audit("grant_revoked");
  const [allowed] = await audit("grant_allowed");
  assert.equal(revoked.grant_id, old.grant_id);
  assert.equal(allowed.grant_id, claims(body.access_token).grant_id);
  assert.match(allowed.detail, /Chat and create embeddings with gpt-5-mini .*; 5\.00 USD in all; 7 days/);
});

test("a grant for a provider that is not asked for again stays unless it is ticked", async () => {
  const mine = await another();
  const old = await browser.grant(mine);
  const { form } = await ask(mine, { replace: true });
  assert.equal(form.isTicked("replace", old.grant_id), false);
  await allow(form);
  assert.equal((await chat(broker, old.access_token)).status, 200);
});

test("CWE-639: a form that names somebody else's grant, or another app's, ends nothing of theirs", async () => {
  const mine = await another();
  const ofAnotherApp = await browser.grant(app, { details: CHAT });
  const other = await browser.somebodyElse("user_victim");
  const theirs = await other.grant(mine, { details: CHAT });
  const { form } = await ask(mine);
  const data = form.press("decision", "allow").data();
  for (const { grant_id } of [theirs, ofAnotherApp]) data.append("replace", grant_id);
  assert.equal((await browser.submit(form, { data })).status, 303);
  assert.equal((await chat(broker, theirs.access_token)).status, 200);
  assert.equal((await chat(broker, ofAnotherApp.access_token)).status, 200);
});

test("of as many grants as the page lists the oldest ends too", async () => {
  const mine = await another();
  const old = [];
  for (let n = 0; n < 10; n += 1) old.push(await browser.grant(mine, { details: CHAT }));
  await allow((await ask(mine, { replace: true })).form);
  const left = await broker.sql("SELECT grant_id FROM grants WHERE client_id = ? AND revoked_at IS NULL", mine.client_id);
  assert.equal(left.length, 1, "the new one");
  assert.equal((await chat(broker, old[0].access_token)).status, 401);
});

test("what could not be ended is said before the person goes on, and can be tried again", async () => {
  const mine = await another();
  const old = await browser.grant(mine, { details: CHAT });
  const consent = await ask(mine, { replace: true });
  await broker.sql("CREATE TRIGGER broken BEFORE UPDATE OF revoked_at ON grants BEGIN SELECT RAISE(ABORT, 'no'); END");
  const answer = await browser.submit(consent.form.press("decision", "allow"));
  await broker.sql("DROP TRIGGER broken");
  assert.deepEqual([answer.status, answer.location], [503, null]);
  assert.match(answer.page.text, /the older access may still be there/);
  assert.ok(answer.page.all("href").includes(`/grants/${old.grant_id}`));
  const again = await browser.submit(answer.page.form("/authorize").press("keep", ""));
  assert.equal(again.status, 303);
  const { body } = await redeem(broker, mine, { code: again.location.searchParams.get("code"), verifier: consent.verifier });
  assert.ok(body.access_token);
  const [{ revoked_at }] = await broker.sql("SELECT revoked_at FROM grants WHERE grant_id = ?", old.grant_id);
  assert.ok(revoked_at);
});

test("that leads on also where the limits that were chosen were forgotten by the same answer, or changed since", async () => {
  for (const change of [(form) => form.untick("remember", "on"), (form) => form]) {
    const mine = await another();
    await allow((await ask(mine)).form.fill({ budget_usd: "2.25", expires_in: "3600" }).tick("remember"));
    const consent = await ask(mine, { replace: true });
    assert.deepEqual(consent.form.data().get("plan"), "usual");
    await broker.sql("CREATE TRIGGER broken BEFORE UPDATE OF revoked_at ON grants BEGIN SELECT RAISE(ABORT, 'no'); END");
    const answer = await browser.submit(change(consent.form).press("decision", "allow"));
    await broker.sql("DROP TRIGGER broken");
    assert.equal(answer.status, 503);
    await broker.sql("UPDATE usual_limits SET usual = replace(usual, '2.25', '9.00')");
    const count = (await grants()).length;
    const again = await browser.submit(answer.page.form("/authorize").press("keep", ""));
    assert.equal(again.status, 303, again.page?.text);
    const { body } = await redeem(broker, mine, { code: again.location.searchParams.get("code"), verifier: consent.verifier });
    assert.ok(body.access_token);
    assert.equal((await grants()).length, count, "no other grant is made");
    assert.deepEqual((await lastTerms()).limits, { budget_usd: "2.25" });
    assert.equal((await broker.sql("SELECT * FROM grants WHERE client_id = ? AND revoked_at IS NULL", mine.client_id)).length, 1);
  }
});

// What is remembered.

test("limits that were remembered are proposed next time, to this person and for this app alone, until they are forgotten", async () => {
  const mine = await another();
  const first = await ask(mine);
  await allow(first.form.fill({ budget_usd: "2.25", expires_in: "3600", requests: "40" }).tick("remember"));
  const next = await ask(mine);
  assert.match(next.page.text, /Your usual limits 2\.25 USD in all, 40 requests, for 1 hour/);
  assert.equal(next.form.value("requests"), "40");
  assert.ok(next.form.isTicked("remember"));
  for (const elsewhere of [await ask(app), await (await browser.somebodyElse("user_usual")).consent(mine, { details: CHAT })]) {
    assert.doesNotMatch(elsewhere.page.text, /Your usual limits/);
  }
  await allow(next.form);
  assert.deepEqual((await lastTerms()).limits, { budget_usd: "2.25", requests: 40 });
  const narrower = await ask(mine, { details: [DETAILS[0], { type: "ai_limits", budget_usd: "1.00" }] });
  assert.ok(!narrower.form.values("plan").includes("usual"), "what is wider than asked is not proposed");
  const forgotten = await browser.submit((await ask(mine)).form.press("step", "forget"));
  assert.equal(forgotten.status, 200);
  assert.ok(!forgotten.page.form("/authorize").values("plan").includes("usual"));
  assert.deepEqual(await broker.sql("SELECT * FROM usual_limits WHERE client_id = ?", mine.client_id), []);
});

test("a page that showed usual limits never grants others that were remembered since", async () => {
  const mine = await another();
  await allow((await ask(mine)).form.fill({ plan: "custom", budget_usd: "2.25", expires_in: "3600" }).tick("remember"));
  const shown = await ask(mine);
  assert.match(shown.page.text, /Your usual limits 2\.25 USD in all, for 1 hour/);
  await allow((await ask(mine)).form.fill({ plan: "custom", budget_usd: "50", expires_in: "31536000" }).tick("remember"));
  const count = (await grants()).length;
  const refused = await browser.submit(shown.form.press("decision", "allow"));
  assert.deepEqual([refused.status, refused.location], [400, null]);
  assert.equal((await grants()).length, count);
  assert.match(refused.page.text, /Your usual limits 50\.00 USD in all/, "what they are by now is shown");
  await allow(refused.page.form("/authorize").fill({ plan: "usual" }));
  assert.deepEqual((await lastTerms()).limits, { budget_usd: "50.00" });
});

// Denying.

for (const [reason, words] of [
  ["", "the user denied the request"],
  ["not_now", "the user denied the request: not now"],
  ["money", "the user denied the request: it may spend too much money"],
  ["unknown_app", "the user denied the request: they do not know this app"],
  ["other", "the user denied the request: for another reason"],
]) {
  test(`RFC 6749 §4.1.2.1: denied with the reason ${JSON.stringify(reason)} the app reads access_denied and why`, async () => {
    const { form, state } = await ask(app);
    const { location } = await browser.submit(form.fill({ reason }).press("decision", "deny"));
    const answer = Object.fromEntries(location.searchParams);
    assert.deepEqual(answer, { error: "access_denied", error_description: words, state, iss: broker.url });
  });
}

test("RFC 6749 §4.1.2.1: words of one's own never reach the app", async () => {
  const { form } = await ask(app);
  const data = form.press("decision", "deny").data();
  data.set("reason", 'free "text"\r\nx');
  const { location } = await browser.submit(form, { data });
  assert.equal(location.searchParams.get("error_description"), "the user denied the request");
  assert.equal((await audit("grant_denied"))[0].subject, "Test app");
});

// Too late, twice, somebody else.

const expire = () => broker.sql("UPDATE authorization_requests SET expires_at = ? WHERE decided_at IS NULL", now());

test("a page that was open too long comes back as it was filled in, and can be answered then", async () => {
  const { form } = await ask(app);
  form.fill({ budget_usd: "3.33" }).untick("p0.models", "gpt-5.1*");
  await expire();
  const late = await browser.submit(form.press("decision", "allow"));
  assert.equal(late.status, 400);
  assert.match(late.page.text, /open for more than ten minutes, so nothing was allowed/);
  const again = late.page.form("/authorize");
  assert.notEqual(again.value("request"), form.value("request"));
  assert.deepEqual([again.value("budget_usd"), again.isTicked("p0.models", "gpt-5.1*")], ["3.33", false]);
  await allow(again);
  assert.deepEqual((await lastTerms()).limits, { budget_usd: "3.33" });
});

const push = async (who) => {
  const request = (await ask(who)).url.searchParams;
  const { body } = await postForm(`${broker.url}/par`, request);
  return `/authorize?${new URLSearchParams({ client_id: who.client_id, request_uri: body.request_uri })}`;
};

test("RFC 9126 §4: a pushed request that was open too long does not come back; the page leads to the app's home page", async () => {
  const link = await push(app);
  const { page } = await browser.get(link);
  await expire();
  const late = await browser.submit(page.form("/authorize").press("decision", "allow"));
  assert.equal(late.status, 400);
  assert.equal(late.page.forms.some(({ action }) => action.pathname === "/authorize"), false);
  assert.ok(late.page.all("href").includes("https://app.example/"));
});

test("another language keeps a pushed request and what was filled in", async () => {
  const { page } = await browser.get(await push(app));
  const form = page.form("/authorize").fill({ budget_usd: "4.44" });
  const korean = await browser.submit(form.press("language", "ko"));
  assert.equal(korean.status, 200);
  assert.match(korean.page.text, /허용/);
  const again = korean.page.form("/authorize");
  assert.deepEqual([again.value("request"), again.value("budget_usd")], [form.value("request"), "4.44"]);
  const english = await browser.submit(again.press("language", "en"));
  assert.ok(await allow(english.page.form("/authorize")));
});

test("what was answered says how, and leads to the grant", async () => {
  const consent = await ask(app);
  const code = await allow(consent.form);
  const { body } = await redeem(broker, app, { code, verifier: consent.verifier });
  for (const [name, value] of [["decision", "allow"], ["decision", "deny"], ["step", "look"], ["language", "ko"]]) {
    const { status, page, location } = await browser.submit(consent.form.press(name, value));
    assert.deepEqual([status, location], [400, null], value);
    assert.ok(page.all("href").includes(`/grants/${claims(body.access_token).grant_id}`), page.text);
  }
});

test("what was denied and is allowed after all says so and makes no grant", async () => {
  const { form } = await ask(app);
  await browser.submit(form.press("decision", "deny"));
  const count = (await grants()).length;
  const { status, page } = await browser.submit(form.press("decision", "allow"));
  assert.equal(status, 400);
  assert.match(page.text, /You have denied this request before/);
  assert.equal((await grants()).length, count);
});

test("a page of another sign-in is shown again to whoever is there, without what only the other one may tick", async () => {
  const { form } = await ask(app);
  form.fill({ budget_usd: "6.66" }).tick("no_budget");
  const other = await browser.somebodyElse("user_switch");
  const shown = await other.submit(form.press("decision", "allow"));
  assert.equal(shown.status, 400);
  assert.match(shown.page.text, /opened under another sign-in.*signed in as Other/);
  const again = shown.page.form("/authorize");
  assert.deepEqual([again.value("budget_usd"), again.isTicked("no_budget")], ["6.66", false]);
  assert.equal((await browser.submit(form)).page.text.includes("more than ten minutes"), true, "one of the two pages is open");
  await allow(again, other);
  assert.equal((await grants()).at(-1).user_id, "user_switch");
});

test("who signed out while the page was open signs in and finds it as it was filled in", async () => {
  const person = new Browser(broker);
  await person.signIn();
  const { form } = await person.consent(app, { details: CHAT });
  form.fill({ budget_usd: "7.77" });
  person.cookies.delete("__Host-aip-session");
  const stopped = await person.submit(form.press("decision", "allow"));
  assert.equal(stopped.status, 401);
  assert.match(stopped.page.text, /sign in/i);
  const { location } = await person.signIn();
  assert.equal(location.pathname + location.search, "/authorize?resume");
  const { page } = await person.get(location);
  assert.match(page.text, /Here is the request again/);
  assert.equal(page.form("/authorize").value("budget_usd"), "7.77");
  await allow(page.form("/authorize"), person);
});

test("Not you? ends the session and comes back to a pushed request with another one", async () => {
  const person = new Browser(broker);
  await person.signIn();
  const former = person.cookies.get("__Host-aip-session");
  const { page } = await person.get(await push(app));
  const answer = await person.submit(page.form("/authorize").press("step", "switch"));
  assert.equal(answer.status, 200);
  assert.equal(person.cookies.has("__Host-aip-session"), false);
  const stale = new Browser(broker);
  stale.cookies.set("__Host-aip-session", former);
  assert.doesNotMatch((await stale.get("/grants")).page.text, /Sign out/);
  const { location } = await person.signIn();
  assert.ok(await allow((await person.get(location)).page.form("/authorize"), person));
});

test("CWE-352: no link makes anybody find a page that somebody else filled in", async () => {
  const other = await browser.somebodyElse("user_lured");
  const { form } = await ask(app);
  for (const link of ["/authorize?resume", `/authorize?resume=${form.value("request")}`, `/authorize?resume&request=${form.value("request")}`]) {
    const { status, page } = await other.get(link);
    assert.equal(status, 400, link);
    assert.equal(page.forms.some(({ action }) => action.pathname === "/authorize"), false);
  }
});

test("CWE-352: forgetting, switching and another language take the token of the session, too", async () => {
  const { form } = await ask(app);
  for (const [name, value] of [["step", "switch"], ["step", "look"], ["language", "ko"]]) {
    const data = form.press(name, value).data();
    data.delete("csrf");
    assert.equal((await browser.submit(form, { data })).status, 403, value);
  }
});

// Injection.

const HOSTILE = '"><script>alert(1)</script><img onerror=x>{{7}}{0}';
test("CWE-79: an app's name, a model and a state are shown as text, in both languages", async () => {
  const hostile = await another({ name: HOSTILE });
  const details = [{ ...DETAILS[0], models: ['<b>"onclick=x', "gpt-5-mini"] }];
  for (const language of ["en", "ko"]) {
    const { page } = await ask(hostile, { details, change: { state: HOSTILE } });
    const shown = language === "en" ? page : (await browser.submit(page.form("/authorize").press("language", "ko"))).page;
    assert.ok(shown.text.includes(HOSTILE), shown.text);
    assert.ok(!shown.elementNames().has("img") && !shown.elementNames().has("script") && !shown.elementNames().has("b"));
    assert.deepEqual([...shown.all("onerror"), ...shown.all("onclick"), ...shown.all("style")], []);
  }
  browser.cookies.delete("__Host-aip-language");
});

test("RFC 9700 §4.16: a page that came back can't be framed either, and its form leads to the app alone", async () => {
  const { form } = await ask(app);
  const { headers } = await browser.submit(form.fill({ budget_usd: "x" }).press("decision", "allow"));
  assert.match(headers.get("content-security-policy"), /frame-ancestors 'none'.*form-action 'self' https:\/\/app\.example$/);
  assert.equal(headers.get("x-frame-options"), "DENY");
});

test("the page has no script and stays small", async () => {
  const { text, page } = await browser.consent(app);
  assert.ok(text.length < 60 * 1024, String(text.length));
  assert.ok(!page.elementNames().has("script"));
});
