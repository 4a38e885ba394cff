// RFC 9126: pushed authorization requests.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import {
  Browser,
  DETAILS,
  REDIRECT_URI,
  assertOAuthError,
  authorizationRequest,
  basic,
  postForm,
  redeem,
} from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const confidential = await browser.register({ name: "Server", type: "confidential" });
const URN = /^urn:ietf:params:oauth:request_uri:aip_pr_[\w-]{49}$/;
const now = () => Math.floor(Date.now() / 1000);

/** Pushes what `authorizationRequest` would put into the query. */
async function push(client = app, { headers, ...options } = {}) {
  const { url, verifier, state } = authorizationRequest(broker, client, options);
  if (client.client_secret && !headers) url.searchParams.set("client_secret", client.client_secret);
  const answer = await postForm(`${broker.url}/par`, url.searchParams, headers);
  return { ...answer, verifier, state, link: answer.body?.request_uri && linkTo(answer.body.request_uri, client) };
}

function linkTo(requestUri, client = app) {
  const link = new URL("/authorize", broker.url);
  link.searchParams.set("client_id", client.client_id);
  link.searchParams.set("request_uri", requestUri);
  return link;
}

async function pushed(client, options) {
  const answer = await push(client, options);
  assert.equal(answer.status, 201, answer.text);
  return answer;
}

const rowOf = async ({ body }) => {
  const [last] = await broker.sql("SELECT * FROM pushed_requests ORDER BY rowid DESC LIMIT 1");
  assert.ok(!JSON.stringify(last).includes(body.request_uri.split(":").at(-1)), "stored hashed");
  return last;
};
const hasConsent = ({ page }) => page?.forms.some((form) => form.action.pathname === "/authorize") ?? false;

/** The page for a request that can't be used: no consent, no way to the app. */
function isOver(answer) {
  assert.equal(answer.status, 400, answer.text);
  assert.equal(answer.location, null);
  assert.equal(hasConsent(answer), false);
}

test("RFC 9126 §2.2: a pushed request is answered with 201, a request_uri and how long it lives, and is never cached", async () => {
  const { status, body, headers } = await push();
  assert.equal(status, 201);
  assert.deepEqual(Object.keys(body).sort(), ["expires_in", "request_uri"]);
  assert.match(body.request_uri, URN);
  assert.equal(body.expires_in, 90);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.equal(headers.get("access-control-allow-origin"), "*");
});

test("RFC 9126 §4: the request_uri leads to consent, and from there to tokens", async () => {
  const { link, verifier, state } = await pushed();
  const consent = await browser.get(link);
  assert.equal(consent.status, 200, consent.text);
  const form = consent.page.form("/authorize").tick("no_budget").press("decision", "allow");
  const { location } = await browser.submit(form);
  assert.equal(location.origin + location.pathname, REDIRECT_URI);
  assert.equal(location.searchParams.get("state"), state);
  const { body } = await redeem(broker, app, { code: location.searchParams.get("code"), verifier });
  assert.ok(body.access_token, JSON.stringify(body));
});

test("RFC 9101 §6.3: beside a request_uri nothing else in the query counts", async () => {
  const { link, state } = await pushed();
  for (const [name, value] of Object.entries({
    redirect_uri: "https://evil.example/",
    state: "forged",
    scope: "anthropic:chat",
    response_mode: "form_post",
    prompt: "none",
  })) {
    link.searchParams.append(name, value);
  }
  const { page } = await browser.get(link);
  const { location } = await browser.submit(page.form("/authorize").press("decision", "deny"));
  assert.ok(location.href.startsWith(`${REDIRECT_URI}?`), location.href);
  assert.equal(location.searchParams.get("state"), state);
});

test("RFC 9126 §2.1: a confidential client authenticates, in the header or in the body", async () => {
  const { client_id: id, client_secret: secret } = confidential;
  await pushed(confidential);
  await pushed(confidential, { headers: { authorization: basic(id, secret) } });
  const nothing = await push({ ...confidential, client_secret: undefined });
  assertOAuthError(nothing, 401, "invalid_client");
  assert.equal(nothing.headers.get("www-authenticate"), null);
  const wrong = await push(confidential, { headers: { authorization: basic(id, `aip_cs_${"A".repeat(49)}`) } });
  assertOAuthError(wrong, 401, "invalid_client");
  assert.match(wrong.headers.get("www-authenticate"), /^Basic /);
});

test("RFC 9126 §2.3: a client that does not exist is refused", async () => {
  assertOAuthError(await push({ ...app, client_id: "nobody" }), 401, "invalid_client");
});

const REFUSED = {
  "a request_uri in it (RFC 9126 §2.1)": [{ request_uri: "urn:ietf:params:oauth:request_uri:x" }, "invalid_request"],
  "a request object (RFC 9101)": [{ request: "eyJhbGciOiJub25lIn0.e30." }, "request_not_supported"],
  "no redirect_uri": [{ redirect_uri: null }, "invalid_request"],
  "a redirect_uri that isn't registered": [{ redirect_uri: "https://evil.example/" }, "invalid_request"],
  "a parameter twice": [{ state: ["a", "b"] }, "invalid_request"],
  "a state that is too long": [{ state: "x".repeat(5000) }, "invalid_request"],
  "another response_type": [{ response_type: "token" }, "unsupported_response_type"],
  "another response_mode": [{ response_mode: "fragment" }, "invalid_request"],
  "no PKCE": [{ code_challenge: null }, "invalid_request"],
  "plain PKCE": [{ code_challenge_method: "plain" }, "invalid_request"],
  "details that can't be granted": [{ authorization_details: "[]" }, "invalid_authorization_details"],
  "details that are no JSON": [{ authorization_details: "{" }, "invalid_authorization_details"],
  "an unknown scope": [{ authorization_details: null, scope: "admin" }, "invalid_scope"],
  "details and scope": [{ scope: "openai:chat" }, "invalid_request"],
  "another's resource (RFC 8707 §2)": [{ resource: "https://evil.example/" }, "invalid_target"],
  "another prompt": [{ prompt: "create" }, "invalid_request"],
  "a max_age that is no number": [{ max_age: "soon" }, "invalid_request"],
  "a login_hint that is too long": [{ login_hint: "x".repeat(257) }, "invalid_request"],
  "a dpop_jkt that is no thumbprint (RFC 9449 §10)": [{ dpop_jkt: "A".repeat(42) }, "invalid_request"],
};
for (const [what, [change, error]] of Object.entries(REFUSED)) {
  test(`RFC 9126 §2.3: refused as JSON with ${error}: ${what}`, async () => {
    const answer = await push(app, { change });
    assertOAuthError(answer, 400, error);
    assert.equal(answer.body.request_uri, undefined);
    assert.equal(answer.headers.get("location"), null);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  });
}

test("RFC 9126 §2.3: a form that is too long is 413, another method 405, and what is no form 400", async () => {
  const huge = await push(app, { change: { padding: "x".repeat(70_000) } });
  assertOAuthError(huge, 413, "invalid_request");
  assert.equal((await fetch(`${broker.url}/par`)).status, 405);
  const json = await fetch(`${broker.url}/par`, { method: "POST", body: "{}", headers: { "content-type": "application/json" } });
  assert.equal(json.status, 400);
});

test("RFC 9449 §10: a dpop_jkt that is a thumbprint is taken, and binds the code", async () => {
  const jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
  const { link } = await pushed(app, { change: { dpop_jkt: jkt } });
  const { page } = await browser.get(link);
  await browser.submit(page.form("/authorize").press("decision", "allow"));
  const [{ binding }] = await broker.sql("SELECT binding FROM authorization_codes ORDER BY rowid DESC LIMIT 1");
  assert.equal(JSON.parse(binding).dpop_jkt, jkt);
});

test("RFC 9126 §4: a request_uri is used once; whoever comes second is told to go back to the app", async () => {
  const { link } = await pushed();
  assert.ok(hasConsent(await browser.get(link)));
  const again = await browser.get(link);
  isOver(again);
  assert.match(again.page.text, /[Gg]o back to the app/);
});

test("of fifty sessions that open one request at the same moment exactly one gets the consent page", async () => {
  const { link } = await pushed();
  const others = await Promise.all(Array.from({ length: 50 }, (_, i) => browser.somebodyElse(`user_${i}`)));
  const answers = await Promise.all(others.map((other) => other.get(link)));
  assert.equal(answers.filter(hasConsent).length, 1);
  for (const answer of answers.filter((answer) => !hasConsent(answer))) isOver(answer);
});

test("RFC 9126 §4: another client can't use it", async () => {
  const { body } = await pushed();
  isOver(await browser.get(linkTo(body.request_uri, confidential)));
  assert.ok(hasConsent(await browser.get(linkTo(body.request_uri))), "and used nothing up by trying");
});

test("RFC 9126 §4: without a client_id, or with two, nothing is shown", async () => {
  const { link } = await pushed();
  const [none, two] = [new URL(link), new URL(link)];
  none.searchParams.delete("client_id");
  two.searchParams.append("client_id", app.client_id);
  isOver(await browser.get(none));
  isOver(await browser.get(two));
  assert.ok(hasConsent(await browser.get(link)));
});

test("RFC 9126 §4: an unknown, foreign or damaged request_uri is a page", async () => {
  const prefix = "urn:ietf:params:oauth:request_uri:";
  for (const uri of [`${prefix}aip_pr_${"A".repeat(49)}`, `${prefix}x`, prefix, "https://app.example/request.jwt", "x"]) {
    isOver(await browser.get(linkTo(uri)));
  }
});

test("RFC 9126 §2.2: at its end a request_uri is over", async () => {
  const answer = await pushed();
  const { handle_hash: handle, expires_at: end } = await rowOf(answer);
  assert.ok(end - now() <= 90 && end - now() >= 85, String(end - now()));
  await broker.sql("UPDATE pushed_requests SET expires_at = ? WHERE handle_hash = ?", now(), handle);
  isOver(await browser.get(answer.link));
});

test("RFC 9126 §4: the redirect URI is held against the client again when the request is used", async () => {
  const changing = await browser.register({ name: "Changing" });
  const { link } = await pushed(changing);
  await broker.sql("UPDATE clients SET redirect_uris = ? WHERE client_id = ?", '["https://app.example/new"]', changing.client_id);
  isOver(await browser.get(link));
});

test("a person who has to sign in first has ten minutes for it, once, and then sees the request", async () => {
  const answer = await pushed();
  const stranger = new Browser(broker);
  const shown = await stranger.get(answer.link);
  assert.equal(shown.status, 200);
  assert.equal(hasConsent(shown), false);
  const opened = await rowOf(answer);
  assert.ok(opened.opened_at && opened.used_at === null);
  const back = shown.page.all("href").find((href) => href.startsWith(`${app.redirect_uri}?error=access_denied`));
  assert.ok(back?.includes(`iss=${encodeURIComponent(broker.url)}`), "the way back is a link: it uses nothing up");
  assert.ok(opened.expires_at - now() > 590, String(opened.expires_at - now()));
  // A second opening moves nothing.
  await broker.sql("UPDATE pushed_requests SET expires_at = ? WHERE handle_hash = ?", now() + 100, opened.handle_hash);
  await new Browser(broker).get(answer.link);
  const again = await rowOf(answer);
  assert.ok(again.expires_at <= now() + 100, String(again.expires_at - now()));
  assert.equal(again.opened_at, opened.opened_at);
  const { location } = await stranger.signIn();
  assert.equal(location.href, answer.link.href);
  assert.ok(hasConsent(await stranger.get(location)));
  isOver(await browser.get(answer.link));
});

test("a request that is over is not revived by somebody without a session", async () => {
  const answer = await pushed();
  const { handle_hash: handle } = await rowOf(answer);
  await broker.sql("UPDATE pushed_requests SET expires_at = ? WHERE handle_hash = ?", now(), handle);
  isOver(await new Browser(broker).get(answer.link));
  isOver(await browser.get(answer.link));
});

test("RFC 9126 §6: a client that has to push may not ask in the query, and is told so at its redirect URI", async () => {
  const strict = await browser.register({ name: "Strict" });
  await broker.sql("UPDATE clients SET requires_par = 1 WHERE client_id = ?", strict.client_id);
  const { location } = await browser.get(authorizationRequest(broker, strict, { change: { state: "s" } }).url);
  assert.equal(location.origin + location.pathname, REDIRECT_URI);
  assert.equal(location.searchParams.get("error"), "invalid_request");
  assert.equal(location.searchParams.get("state"), "s");
  const elsewhere = await browser.get(authorizationRequest(broker, strict, { change: { redirect_uri: "https://evil.example/" } }).url);
  isOver(elsewhere);
  assert.ok(hasConsent(await browser.get((await pushed(strict)).link)));
});

test("RFC 6749 §4.1.2.1: a client without the grant type authorization_code is unauthorized_client", async () => {
  const device = await browser.register({ name: "Device" });
  await broker.sql(`UPDATE clients SET grant_types = '["refresh_token"]' WHERE client_id = ?`, device.client_id);
  assertOAuthError(await push(device), 400, "unauthorized_client");
});

/** Fills the table up to `most` with copies of what `client` pushed last; `count` says for which of its rows. */
const fillUp = async (most, client, newest) => {
  const [{ n }] = await broker.sql(
    "SELECT COUNT(*) AS n FROM pushed_requests WHERE used_at IS NULL AND expires_at > ? AND (?2 IS NULL OR client_id = ?2)",
    now(),
    most > 1000 ? null : client.client_id,
  );
  await broker.sql(
    `WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?1)
     INSERT INTO pushed_requests (handle_hash, client_id, request, expires_at, network)
     SELECT 'crowd' || hex(randomblob(8)), client_id, '{}', expires_at, network
     FROM i, (SELECT * FROM pushed_requests WHERE client_id = ?2 ORDER BY rowid DESC LIMIT ?3) LIMIT ?1`,
    most - n,
    client.client_id,
    newest,
  );
};
const waiting = async (client) =>
  (await broker.sql("SELECT COUNT(*) AS n FROM pushed_requests WHERE used_at IS NULL AND client_id = ?", client.client_id))[0].n;

test("a flood of pushed requests of a public app from fifty networks crowds out itself, and no person of the app's", async () => {
  const client = await browser.register({ name: "Public" });
  const flood = Array.from({ length: 50 }, (_, network) => ({ "cf-connecting-ip": `203.${network}.113.7` }));
  for (const headers of flood) await pushed(client, { headers });
  await fillUp(1000, client, 50);
  const { link } = await pushed(client, { headers: { "cf-connecting-ip": "192.0.2.9" } });
  for (const headers of flood) await pushed(client, { headers });
  assert.equal(await waiting(client), 1000, "each takes the place of another");
  assert.ok(hasConsent(await browser.get(link)));
});

test("where all come from one network the oldest request makes room, and one that was used takes none", async () => {
  const busy = await browser.register({ name: "Busy" });
  const [oldest, next] = [await pushed(busy), await pushed(busy)];
  await fillUp(1000, busy, 1);
  const { link } = await pushed(busy);
  isOver(await browser.get(oldest.link));
  assert.ok(hasConsent(await browser.get(link)));
  await pushed(busy);
  assert.ok(hasConsent(await browser.get(next.link)), "the one that was used made room");
  await broker.sql("DELETE FROM pushed_requests WHERE client_id = ?", busy.client_id);
});

test("ten thousand requests wait in all; one more takes the place of one of the network that pushed the most", async () => {
  const crowd = await browser.register({ name: "Crowd" });
  const beside = await pushed(app, { headers: { "cf-connecting-ip": "192.0.2.9" } });
  await pushed(crowd, { headers: { "cf-connecting-ip": "198.51.100.7" } });
  // A few more: some of other tests end meanwhile.
  await fillUp(10_100, crowd, 1);
  const full = await waiting(crowd);
  const late = await pushed(await browser.register({ name: "Late" }), { headers: { "cf-connecting-ip": "192.0.2.9" } });
  assert.equal(await waiting(crowd), full - 1);
  for (const { link } of [beside, late]) assert.ok(hasConsent(await browser.get(link)));
  await broker.sql("DELETE FROM pushed_requests WHERE handle_hash LIKE 'crowd%'");
});

test("requests that are over do not pile up, however many come", async () => {
  await broker.sql("DELETE FROM pushed_requests");
  for (let pushes = 0; pushes < 4; pushes += 1) await pushed();
  const over = now();
  await broker.sql("UPDATE pushed_requests SET expires_at = ?", over);
  await pushed();
  assert.deepEqual(await broker.sql("SELECT 1 FROM pushed_requests WHERE expires_at <= ?", over), []);
});

test("a generic client pushes (oauth4webapi)", async () => {
  const issuer = new URL(broker.url);
  const insecure = { [oauth.allowInsecureRequests]: true };
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const client = { client_id: confidential.client_id };
  const parameters = new URLSearchParams({
    response_type: "code",
    redirect_uri: REDIRECT_URI,
    authorization_details: JSON.stringify(DETAILS),
    code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()),
    code_challenge_method: "S256",
  });
  const auth = oauth.ClientSecretBasic(confidential.client_secret);
  const response = await oauth.pushedAuthorizationRequest(server, client, auth, parameters, insecure);
  const { request_uri: uri } = await oauth.processPushedAuthorizationResponse(server, client, response);
  assert.ok(hasConsent(await browser.get(linkTo(uri, confidential))));
});
