// OpenID Connect Core § 3.1.2.1 and § 3.1.2.6, as far as they make sense without ID tokens: prompt, max_age, login_hint.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, authorizationRequest, postForm } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, app } = await startWorld();
const now = () => Math.floor(Date.now() / 1000);

async function signedIn() {
  const browser = new Browser(broker);
  await browser.signIn();
  return browser;
}

/** Everybody's session began so long ago. */
const sessionsAre = (seconds) => broker.sql("UPDATE sessions SET created_at = ?", now() - seconds);
const requestWith = (change) => authorizationRequest(broker, app, { change: { state: "s", ...change } });
const hasConsent = ({ page }) => page?.forms.some((form) => form.action.pathname === "/authorize") ?? false;
const wayOn = ({ page }) => page.all("href").find((href) => href.startsWith("/authorize?"));

function asksToSignIn(answer) {
  assert.equal(answer.status, 200, answer.location?.href);
  assert.equal(hasConsent(answer), false, "no consent");
  assert.match(answer.page.text, /Sign in/);
}

function goesToTheApp(answer, error) {
  assert.equal(answer.status, 303, answer.page?.text);
  const { error: found, state, iss, code } = Object.fromEntries(answer.location.searchParams);
  assert.deepEqual({ found, state, iss, code }, { found: error, state: "s", iss: broker.url, code: undefined });
}

test("Core §3.1.2.6: prompt=none is login_required when nobody is signed in", async () => {
  goesToTheApp(await new Browser(broker).get(requestWith({ prompt: "none" }).url), "login_required");
});

test("Core §3.1.2.6: prompt=none is consent_required when somebody is: the person is asked each time", async () => {
  goesToTheApp(await (await signedIn()).get(requestWith({ prompt: "none" }).url), "consent_required");
});

test("Core §3.1.2.6: prompt=none is login_required when the sign-in is older than max_age", async () => {
  const browser = await signedIn();
  await sessionsAre(100);
  goesToTheApp(await browser.get(requestWith({ prompt: "none", max_age: "50" }).url), "login_required");
  goesToTheApp(await browser.get(requestWith({ prompt: "none", max_age: "5000" }).url), "consent_required");
});

for (const prompt of ["none login", "select_account", "LOGIN", "login,consent"]) {
  test(`Core §3.1.2.1: a prompt that says nothing clear is refused: ${prompt}`, async () => {
    goesToTheApp(await (await signedIn()).get(requestWith({ prompt }).url), "invalid_request");
  });
}

for (const max_age of ["-1", "soon", "1.5", "99999999999999999999"]) {
  test(`Core §3.1.2.1: a max_age that is no number of seconds is refused: ${max_age}`, async () => {
    goesToTheApp(await (await signedIn()).get(requestWith({ max_age }).url), "invalid_request");
  });
}

test("Core §3.1.2.1: prompt=consent, and max_age that is long enough, ask for consent at once", async () => {
  const browser = await signedIn();
  for (const change of [{ prompt: "consent" }, { max_age: "3600" }, { login_hint: "somebody@example.com" }]) {
    assert.ok(hasConsent(await browser.get(requestWith(change).url)), JSON.stringify(change));
  }
});

for (const [what, change] of Object.entries({
  "prompt=login": { prompt: "login" },
  "prompt=login consent": { prompt: "login consent" },
  "max_age that has passed": { max_age: "50" },
  "max_age=0": { max_age: "0" },
})) {
  test(`Core §3.1.2.1: ${what} asks to sign in again, and is met by doing so, once`, async () => {
    const browser = await signedIn();
    if (change.max_age !== "0") await sessionsAre(100);
    const { url } = requestWith(change);
    const shown = await browser.get(url);
    asksToSignIn(shown);
    assert.match(shown.page.text, /sign in again/i);
    const { location } = await browser.signIn();
    assert.equal(location.pathname, "/authorize");
    assert.ok(location.search.startsWith(`${url.search}&`), "the app's own query, and something more");
    const consent = await browser.get(location);
    assert.ok(hasConsent(consent), consent.page?.text);
    const { location: back } = await browser.submit(consent.page.form("/authorize").press("decision", "deny"));
    assert.equal(back.searchParams.get("state"), "s");
  });

  test(`Core §3.1.2.1: ${what} asks nobody twice who was not signed in`, async () => {
    const browser = new Browser(broker);
    asksToSignIn(await browser.get(requestWith(change).url));
    const { location } = await browser.signIn();
    assert.ok(hasConsent(await browser.get(location)));
  });
}

test("without prompt or max_age the way back is the app's own link", async () => {
  const browser = new Browser(broker);
  const { url } = requestWith({});
  await browser.get(url);
  assert.equal((await browser.signIn()).location.href, url.href);
});

test("going on without signing in again leads back to the sign-in page", async () => {
  const browser = await signedIn();
  const target = wayOn(await browser.get(requestWith({ prompt: "login" }).url));
  asksToSignIn(await browser.get(target));
});

test("going on in the first tab after signing in in another leads to consent, also when the request fits no cookie", async () => {
  const details = [{ type: "ai_access", provider: "openai", models: Array.from({ length: 60 }, (_, i) => `model-${i}-${"x".repeat(80)}`), capabilities: ["chat"] }];
  const browser = await signedIn();
  const { url } = authorizationRequest(broker, app, { details, change: { prompt: "login" } });
  const shown = await browser.get(url);
  asksToSignIn(shown);
  assert.equal(browser.cookies.has("__Host-aip-return"), false);
  assert.equal((await browser.signIn()).location.pathname, "/grants");
  assert.ok(hasConsent(await browser.get(wayOn(shown))));
});

test("the ticket can't be written by hand, taken from another request, or used by an older session", async () => {
  const browser = await signedIn();
  const older = await signedIn();
  await sessionsAre(100);
  const { url } = requestWith({ prompt: "login" });
  const ticket = wayOn(await browser.get(url)).split("&after_sign_in=")[1];
  const [at, before, mac] = ticket.split(".");
  assert.ok(at && before && mac);
  const sought = (query) => `/authorize${query}`;
  await browser.signIn();
  for (const [what, target] of Object.entries({
    "none": sought(url.search),
    "an invented one": sought(`${url.search}&after_sign_in=${at}.${before}.${"A".repeat(43)}`),
    "an earlier moment": sought(`${url.search}&after_sign_in=${Number(at) - 1}.${before}.${mac}`),
    "without the session before": sought(`${url.search}&after_sign_in=${at}..${mac}`),
    "of another request": sought(`${requestWith({ prompt: "login" }).url.search}&after_sign_in=${ticket}`),
    "with a parameter more": sought(`${url.search}&max_age=1&after_sign_in=${ticket}`),
    "not at the end": sought(`${url.search}&after_sign_in=${ticket}&x=1`),
  })) {
    const answer = await browser.get(target);
    assert.equal(hasConsent(answer), false, what);
  }
  asksToSignIn(await older.get(sought(`${url.search}&after_sign_in=${ticket}`)));
  assert.ok(hasConsent(await browser.get(sought(`${url.search}&after_sign_in=${ticket}`))), "and as it is, it works");
});

test("a pushed request asks to sign in again too, and is not used up by that", async () => {
  const browser = await signedIn();
  await sessionsAre(100);
  const { url } = requestWith({ prompt: "login" });
  const { status, body, text } = await postForm(`${broker.url}/par`, url.searchParams);
  assert.equal(status, 201, text);
  const link = new URL(`/authorize?${new URLSearchParams({ client_id: app.client_id, request_uri: body.request_uri })}`, broker.url);
  asksToSignIn(await browser.get(link));
  asksToSignIn(await browser.get(link));
  const [{ used_at: usedAt }] = await broker.sql("SELECT used_at FROM pushed_requests ORDER BY rowid DESC LIMIT 1");
  assert.equal(usedAt, null);
  const { location } = await browser.signIn();
  assert.ok(hasConsent(await browser.get(location)));
  assert.equal((await browser.get(location)).status, 400, "used up now");
});

test("a pushed request with prompt=none is answered, and used up by that", async () => {
  const browser = await signedIn();
  const { body } = await postForm(`${broker.url}/par`, requestWith({ prompt: "none" }).url.searchParams);
  const link = `/authorize?${new URLSearchParams({ client_id: app.client_id, request_uri: body.request_uri })}`;
  goesToTheApp(await browser.get(link), "consent_required");
  assert.equal((await browser.get(link)).status, 400);
});
