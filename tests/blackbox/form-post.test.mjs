// OAuth 2.0 Form Post Response Mode: the answer is a form that the browser posts to the app.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, REDIRECT_URI, authorizationRequest, redeem } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const native = await browser.register({
  name: "Desktop tool",
  redirectUris: ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.tool:/cb"],
});
const FORM_POST = { response_mode: "form_post" };
const get = (change, client = app) => browser.get(authorizationRequest(broker, client, { change: { ...FORM_POST, ...change } }).url);

/** The fields of the one form on a page that leads to the app. */
function posted(answer, redirectUri = REDIRECT_URI) {
  assert.equal(answer.status, 200, answer.location?.href);
  assert.equal(answer.location, null);
  assert.equal(answer.page.forms.length, 1);
  const [form] = answer.page.forms;
  assert.equal(form.method, "POST");
  assert.equal(form.action.href, new URL(redirectUri).href);
  const data = form.data();
  assert.equal(new Set(data.keys()).size, [...data.keys()].length);
  return Object.fromEntries(data);
}

/** One directive of a policy. */
const directive = (answer, name) =>
  answer.headers
    .get("content-security-policy")
    .split(";")
    .map((text) => text.trim())
    .filter((text) => text.startsWith(`${name} `));

test("Form Post §2: allowing answers with a form that holds code, state and issuer, and the code is good", async () => {
  const consent = await browser.consent(app, { change: FORM_POST });
  const answer = await browser.submit(consent.form.tick("no_budget").press("decision", "allow"));
  const fields = posted(answer);
  assert.deepEqual(Object.keys(fields).sort(), ["code", "iss", "state"]);
  assert.deepEqual([fields.state, fields.iss], [consent.state, broker.url]);
  assert.equal((await redeem(broker, app, { code: fields.code, verifier: consent.verifier })).status, 200);
});

test("Form Post §2: the page is never stored, says nothing of where the browser was, and can't be framed", async () => {
  const { headers } = await get({ prompt: "none" });
  assert.match(headers.get("cache-control"), /no-store/);
  assert.equal(headers.get("referrer-policy"), "no-referrer");
  assert.equal(headers.get("x-frame-options"), "DENY");
});

test("Form Post §2: whoever goes back to the app instead of signing in posts access_denied, with state and issuer", async () => {
  const request = authorizationRequest(broker, app, { change: FORM_POST });
  const answer = await new Browser(broker).get(request.url);
  assert.ok(!answer.page.all("href").some((href) => href.startsWith(REDIRECT_URI)));
  const form = answer.page.forms.find(({ action }) => action.href === REDIRECT_URI);
  const { error, state, iss } = Object.fromEntries(form.data());
  assert.deepEqual({ error, state, iss }, { error: "access_denied", state: request.state, iss: broker.url });
  assert.deepEqual(directive(answer, "form-action"), ["form-action 'self' https://app.example"]);
});

test("the page's form leads to the app's origin and nowhere else, and only a script of the broker's own may run", async () => {
  for (const [client, redirectUri, source] of [
    [app, REDIRECT_URI, "https://app.example"],
    [native, "http://127.0.0.1:4711/cb", "http://127.0.0.1:4711"],
    // A policy has no way to write an IPv6 address.
    [native, "http://[::1]:4711/cb", "http:"],
  ]) {
    const answer = await get({ prompt: "none", redirect_uri: redirectUri }, client);
    assert.deepEqual(directive(answer, "form-action"), [`form-action ${source}`]);
    assert.deepEqual(directive(answer, "script-src"), ["script-src 'self'"]);
    assert.deepEqual(directive(answer, "default-src"), ["default-src 'none'"]);
    assert.doesNotMatch(answer.headers.get("content-security-policy"), /unsafe/);
    posted(answer, redirectUri);
  }
});

test("Form Post §2: denying is posted, too", async () => {
  const consent = await browser.consent(app, { change: FORM_POST });
  const fields = posted(await browser.submit(consent.form.press("decision", "deny")));
  assert.deepEqual([fields.error, fields.state, fields.iss, fields.code], ["access_denied", consent.state, broker.url, undefined]);
});

test("Form Post §2: errors of a request whose redirect URI is proven are posted", async () => {
  for (const [change, error] of [
    [{ response_type: "token" }, "unsupported_response_type"],
    [{ code_challenge: null }, "invalid_request"],
    [{ authorization_details: "[]" }, "invalid_authorization_details"],
    [{ prompt: "none" }, "consent_required"],
  ]) {
    const fields = posted(await get({ state: "s", ...change }));
    assert.deepEqual([fields.error, fields.state, fields.iss], [error, "s", broker.url]);
    assert.ok(fields.error_description);
  }
  const { page, status, location } = await get({ redirect_uri: "https://evil.example/" });
  const actions = page.forms.map(({ action }) => action.pathname);
  assert.deepEqual([status, location, actions], [400, null, ["/sign-out"]]);
});

for (const state of ['"><script>alert(1)</script>', "'-alert(1)-'", "</form><form action=https://evil.example>", "&quot;&amp;", " é+%20 "]) {
  test(`a state arrives as it was, and is no markup: ${state}`, async () => {
    const answer = await get({ state, prompt: "none" });
    assert.equal(posted(answer).state, state);
    assert.equal(answer.text.match(/<script/g).length, 1, "the broker's own script alone");
    assert.match(answer.text, /<script src="\/submit\.js" defer><\/script>/);
  });
}

test("a state with control characters would not survive a form, and is refused", async () => {
  for (const state of ["a\nb", "a\r\nb", "a\u0000b", "a\tb"]) {
    const fields = posted(await get({ state }));
    assert.deepEqual([fields.error, fields.state], ["invalid_request", undefined], JSON.stringify(state));
  }
});

test("a form can't be posted to an installed app: invalid_request, by redirect", async () => {
  const { status, location } = await get({ redirect_uri: "com.example.tool:/cb", state: "s" }, native);
  assert.equal(status, 303);
  assert.equal(location.protocol, "com.example.tool:");
  assert.deepEqual([location.searchParams.get("error"), location.searchParams.get("state")], ["invalid_request", "s"]);
});

test("another response_mode is refused", async () => {
  for (const mode of ["fragment", "query.jwt", "FORM_POST"]) {
    const { location } = await get({ response_mode: mode });
    assert.equal(location.searchParams.get("error"), "invalid_request", mode);
  }
  const { location } = await get({ response_mode: ["query", "form_post"] });
  assert.equal(location.searchParams.get("error"), "invalid_request");
});

test("response_mode=query is what happens without one", async () => {
  const { location } = await get({ response_mode: "query", prompt: "none" });
  assert.equal(location.searchParams.get("error"), "consent_required");
});

test("nobody signed in, prompt=none: the error is posted without asking", async () => {
  const { url } = authorizationRequest(broker, app, { change: { ...FORM_POST, prompt: "none" } });
  assert.equal(posted(await new Browser(broker).get(url)).error, "login_required");
});
