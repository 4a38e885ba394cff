// Introspection (RFC 7662): what a token of one's own is worth at this moment, and how much of each limit is left.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { DETAILS, assertOAuthError, basic, chat, claims, messages, postForm, refresh } from "../support/flow.mjs";
import { Prover } from "../support/keys.mjs";
import { introspect as ask, narrowed, usageOf } from "../support/tokens.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app: publicApp, standin } = await startWorld();
const app = await browser.register({ name: "Server app", type: "confidential" });
const other = await browser.register({ name: "Another app", type: "confidential" });
const now = () => Math.floor(Date.now() / 1000);
const [OPENAI, ANTHROPIC] = DETAILS;
const NARROW = { type: "ai_access", provider: "openai", models: ["gpt-5-mini"], capabilities: ["chat"] };

const introspect = (token, change, of = app) => ask(broker, of, token, change);
const usage = (token, index) => usageOf(broker, app, token, index);
const withLimits = (limits, overall) => ({
  details: [{ ...OPENAI, limits }, ANTHROPIC, ...(overall ? [{ type: "ai_limits", ...overall }] : [])],
  money: true,
});
/** RFC 7662 §2.2: nothing more is said. */
const isInactive = (answer) => assert.deepEqual([answer.status, answer.body], [200, { active: false }], answer.text);

test("RFC 7662 §2.2: an access token that is good is active, and says whose it is and for what", async () => {
  const grant = await browser.grant(app);
  const { status, headers, body } = await introspect(grant.access_token);
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.match(headers.get("cache-control"), /no-store/);
  const { iss, sub, aud, client_id, exp, iat, jti, grant_id } = claims(grant.access_token);
  const { active, token_type, authorization_details: details, ...rest } = body;
  assert.deepEqual([active, token_type], [true, "Bearer"]);
  const said = {
    iss: rest.iss,
    sub: rest.sub,
    aud: rest.aud,
    client_id: rest.client_id,
    exp: rest.exp,
    iat: rest.iat,
    jti: rest.jti,
    grant_id: rest.grant_id,
  };
  assert.deepEqual(said, { iss, sub, aud, client_id, exp, iat, jti, grant_id });
  assert.deepEqual(details, grant.authorization_details, "without limits there is no usage");
});

test("RFC 7662 §2.2: a refresh token that is good is active", async () => {
  const grant = await browser.grant(app);
  const { body } = await introspect(grant.refresh_token);
  assert.deepEqual([body.active, body.client_id, body.grant_id], [true, app.client_id, grant.grant_id]);
  assert.ok(body.exp > now() && body.iat <= now());
  assert.deepEqual(body.authorization_details, grant.authorization_details);
  assert.equal(body.token_type, undefined);
});

test("RFC 7662 §2.1: a wrong token_type_hint changes nothing", async () => {
  const grant = await browser.grant(app);
  assert.equal((await introspect(grant.access_token, { token_type_hint: "refresh_token" })).body.active, true);
  assert.equal((await introspect(grant.refresh_token, { token_type_hint: "x" })).body.active, true);
});

// Inactive.

test("RFC 7662 §2.2: of what is no token nothing is said", async () => {
  const { access_token: token } = await browser.grant(app);
  const [header, payload] = token.split(".");
  for (const bad of ["x", `aip_rt_${"A".repeat(49)}`, `${header}.${payload}.AAAA`, `${token}x`, "eyJhbGciOiJub25lIn0.e30."]) {
    isInactive(await introspect(bad));
  }
});

test("RFC 7662 §4: of another client's tokens nothing is said", async () => {
  const grant = await browser.grant(app);
  for (const token of [grant.access_token, grant.refresh_token]) isInactive(await introspect(token, {}, other));
});

for (const [how, end] of Object.entries({
  "by its user on /grants": (grant) => browser.revoke(grant.grant_id),
  "by its app": (grant) =>
    postForm(`${broker.url}/revoke`, { token: grant.refresh_token, client_id: app.client_id, client_secret: app.client_secret }),
})) {
  test(`RFC 7662 §2.2: of a grant that was revoked ${how} nothing is said`, async () => {
    const grant = await browser.grant(app);
    const child = await narrowed(broker, app, grant.access_token);
    await end(grant);
    for (const token of [grant.access_token, grant.refresh_token, child]) isInactive(await introspect(token));
  });
}

test("RFC 7662 §2.2: of a grant that has expired nothing is said", async () => {
  const grant = await browser.grant(app);
  const [{ terms }] = await broker.sql("SELECT terms FROM grants WHERE grant_id = ?", grant.grant_id);
  const ended = JSON.stringify({ ...JSON.parse(terms), expires_at: (now() - 1) * 1000 });
  await broker.sql("UPDATE grants SET terms = ?, expires_at = ? WHERE grant_id = ?", ended, now() - 1, grant.grant_id);
  for (const token of [grant.access_token, grant.refresh_token]) isInactive(await introspect(token));
});

test("RFC 7662 §2.2: a refresh token that was used is inactive, its successor is not", async () => {
  const grant = await browser.grant(app);
  const { body } = await refresh(broker, app, grant.refresh_token);
  isInactive(await introspect(grant.refresh_token));
  assert.equal((await introspect(body.refresh_token)).body.active, true, "asking is no replay");
  assert.equal((await chat(broker, body.access_token)).status, 200);
});

test("an expired refresh token is inactive", async () => {
  const grant = await browser.grant(app);
  await broker.sql("UPDATE refresh_tokens SET expires_at = ? WHERE grant_id = ?", now(), grant.grant_id);
  isInactive(await introspect(grant.refresh_token));
  assert.equal((await introspect(grant.access_token)).body.active, true);
});

// Who asks.

test("RFC 7662 §2.1: a public client is refused, also about its own token", async () => {
  const { access_token: token } = await browser.grant(publicApp);
  assertOAuthError(await introspect(token, {}, publicApp), 401, "invalid_client");
});

test("RFC 7662 §2.3: a client that does not authenticate is refused", async () => {
  const { access_token: token } = await browser.grant(app);
  assertOAuthError(await introspect(token, { client_secret: undefined }), 401, "invalid_client");
  assertOAuthError(await introspect(token, { client_secret: other.client_secret }), 401, "invalid_client");
  const answer = await fetch(`${broker.url}/introspect?token=${token}`, {
    headers: { authorization: basic(app.client_id, app.client_secret) },
  });
  assert.equal(answer.status, 405);
});

test("RFC 7662 §2.1: a missing token is refused", async () => {
  assertOAuthError(await introspect(undefined), 400, "invalid_request");
});

test("a generic OAuth client gets along with it: oauth4webapi", async () => {
  const { access_token: token } = await browser.grant(app);
  const server = { issuer: broker.url, introspection_endpoint: `${broker.url}/introspect` };
  const client = { client_id: app.client_id };
  const http = { [oauth.allowInsecureRequests]: true };
  const answer = await oauth.introspectionRequest(server, client, oauth.ClientSecretBasic(app.client_secret), token, http);
  const { active, client_id } = await oauth.processIntrospectionResponse(server, client, answer);
  assert.deepEqual([active, client_id], [true, app.client_id]);
});

// What is left.

test("requests: used and remaining move with each call", async () => {
  const { access_token: token } = await browser.grant(app, withLimits({ requests: 3 }, { requests: 10 }));
  const both = async () => [(await usage(token, 0)).requests, (await usage(token)).requests];
  assert.deepEqual(await both(), [
    { limit: 3, used: 0, held: 0, remaining: 3 },
    { limit: 10, used: 0, held: 0, remaining: 10 },
  ]);
  await chat(broker, token);
  await messages(broker, token);
  await until(async () => (await both()).every(({ held }) => held === 0), "both are booked");
  assert.deepEqual(await both(), [
    { limit: 3, used: 1, held: 0, remaining: 2 },
    { limit: 10, used: 2, held: 0, remaining: 8 },
  ]);
});

test("while a stream runs its room is held, in every limit", async () => {
  const limits = { requests: 5, budget_usd: "1.00", tokens: 100_000, concurrency: 2, requests_per_minute: 9 };
  const { access_token: token } = await browser.grant(app, withLimits(limits));
  const running = chat(broker, token, "standin:chunks=40 standin:slow=50", { stream: true, max_completion_tokens: 500 });
  const during = await until(async () => {
    const now = await usage(token, 0);
    return now.requests.held > 0 && now;
  }, "the call is held");
  assert.deepEqual(during.requests, { limit: 5, used: 0, held: 1, remaining: 4 });
  assert.deepEqual(during.concurrency, { limit: 2, used: 1, held: 0, remaining: 1 });
  assert.ok(during.tokens.held >= 500 && during.tokens.remaining === 100_000 - during.tokens.held);
  assert.ok(Number(during.budget_usd.held) > 0 && Number(during.budget_usd.used) === 0);
  const { requests_per_minute: rate } = during;
  assert.deepEqual([rate.limit, rate.used, rate.remaining], [9, 1, 8]);
  assert.ok(rate.resets_at > now() && rate.resets_at <= now() + 61, String(rate.resets_at));
  assert.equal((await running).status, 200);
  const after = await until(async () => {
    const now = await usage(token, 0);
    return now.requests.held === 0 && now;
  }, "the call is booked");
  assert.deepEqual(after.requests, { limit: 5, used: 1, held: 0, remaining: 4 });
  assert.deepEqual([after.concurrency.used, after.tokens.held, Number(after.budget_usd.held)], [0, 0, 0]);
  assert.ok(after.tokens.used > 0 && after.tokens.used < during.tokens.held);
  const [used, left] = [Number(after.budget_usd.used), Number(after.budget_usd.remaining)];
  assert.ok(used > 0 && used < Number(during.budget_usd.held) && Math.abs(used + left - 1) < 1e-9);
});

test("money says its period, and when it resets", async () => {
  const { access_token: token } = await browser.grant(app, withLimits({ budget_usd: "2.50", budget_period: "day" }));
  const { budget_usd: budget } = await usage(token, 0);
  const midnight = (Math.floor(Date.now() / 86_400_000) + 1) * 86_400;
  assert.deepEqual(budget, { limit: "2.50", period: "day", used: "0.00", held: "0.00", remaining: "2.50", resets_at: midnight });
});

test("asking is no use: it takes nothing from any limit", async () => {
  const { access_token: token } = await browser.grant(app, withLimits({ requests: 1, requests_per_minute: 1 }));
  for (let i = 0; i < 5; i += 1) await introspect(token);
  assert.equal((await chat(broker, token)).status, 200);
});

test("what the user changes on the page of the grant is told at once", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, withLimits({ requests: 3 }));
  const { page } = await browser.get(`/grants/${id}`);
  await browser.submit(page.form(`/grants/${id}/pause`));
  const { body } = await introspect(token);
  assert.deepEqual([body.active, body.paused], [true, true]);
});

// Delegations.

test("a delegation has its own limits and what is left of them, and says that it is one", async () => {
  const { access_token: token } = await browser.grant(app, withLimits(undefined, { requests: 10 }));
  const child = await narrowed(broker, app, token, {
    details: [
      { ...NARROW, limits: { requests: 4 } },
      { type: "ai_limits", requests: 5 },
    ],
  });
  await chat(broker, child);
  await chat(broker, token);
  await until(async () => (await usage(token)).requests.used === 2, "both are booked");
  assert.deepEqual((await usage(token)).requests, { limit: 10, used: 2, held: 0, remaining: 8 });
  assert.deepEqual((await usage(child, 0)).requests, { limit: 4, used: 1, held: 0, remaining: 3 });
  assert.deepEqual((await usage(child)).requests, { limit: 5, used: 1, held: 0, remaining: 4 });
  const { body } = await introspect(child);
  assert.equal(body.delegation, claims(child).delegation);
  assert.equal(body.authorization_details.length, 2);
  assert.deepEqual(body.authorization_details[0].models, NARROW.models);
  assert.equal(body.exp, claims(child).exp);
});

test("RFC 7662 §2.2: of an access token that was revoked nothing is said, and its refresh token is active", async () => {
  const grant = await browser.grant(app);
  const { client_id, client_secret } = app;
  await postForm(`${broker.url}/revoke`, { token: grant.access_token, client_id, client_secret });
  assert.deepEqual((await introspect(grant.access_token)).body, { active: false });
  assert.equal((await introspect(grant.refresh_token)).body.active, true);
});

test("a delegation that was revoked is inactive, with all below it, and nothing else is", async () => {
  const { access_token: token } = await browser.grant(app);
  const child = await narrowed(broker, app, token);
  const grandchild = await narrowed(broker, app, child);
  const { client_id, client_secret } = app;
  await postForm(`${broker.url}/revoke`, { token: child, client_id, client_secret });
  for (const one of [child, grandchild]) isInactive(await introspect(one));
  assert.equal((await introspect(token)).body.active, true);
});

test("of another client's delegations nothing is said", async () => {
  const { access_token: token } = await browser.grant(app);
  isInactive(await introspect(await narrowed(broker, app, token), {}, other));
});

// Other tokens.

test("RFC 9449 §6.2: a bound token says its type and its key", async () => {
  const prover = await Prover.create(broker);
  const { access_token: token } = await prover.grant(browser, app);
  const { body } = await introspect(token);
  assert.deepEqual([body.active, body.token_type, body.cnf], [true, "DPoP", { jkt: prover.key.jkt }]);
});

test("RFC 9396 §9.2: a token that was narrowed says what it may do, with the limits that bind it", async () => {
  const grant = await browser.grant(app, withLimits({ requests: 3 }, { requests: 9 }));
  const { body: next } = await refresh(broker, app, grant.refresh_token, { authorization_details: JSON.stringify([NARROW]) });
  await chat(broker, next.access_token);
  await until(async () => (await usage(grant.access_token)).requests.used === 1, "it is booked");
  const { body } = await introspect(next.access_token);
  assert.equal(body.authorization_details.length, 2);
  const [entry, overall] = body.authorization_details;
  assert.deepEqual([entry.models, entry.capabilities], [NARROW.models, NARROW.capabilities]);
  assert.deepEqual(entry.usage.requests, { limit: 3, used: 1, held: 0, remaining: 2 });
  assert.deepEqual(overall.usage.requests, { limit: 9, used: 1, held: 0, remaining: 8 });
});

test("introspection reaches no provider", async () => {
  const before = standin.requests.length;
  await introspect((await browser.grant(app)).access_token);
  assert.equal(standin.requests.length, before);
});
