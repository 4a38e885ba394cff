// RFC 9728: an app that knows a base URL alone finds out where to get a token for it.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { call, chat, chatBody, messages } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const WELL_KNOWN = "/.well-known/oauth-protected-resource";
const PATHS = { "": WELL_KNOWN, "/openai/v1": `${WELL_KNOWN}/openai/v1`, "/anthropic": `${WELL_KNOWN}/anthropic` };
const get = (path, init) => fetch(new URL(path, broker.url), init);

for (const [base, path] of Object.entries(PATHS)) {
  test(`RFC 9728 §3.1, §3.3: ${path} is the document of ${base || "the broker"}`, async () => {
    const response = await get(path);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^application\/json/);
    const body = await response.json();
    assert.equal(body.resource, `${broker.url}${base}`);
    assert.deepEqual(body.authorization_servers, [broker.url]);
    assert.deepEqual(body.bearer_methods_supported, ["header"]);
    assert.equal(body.dpop_bound_access_tokens_required, false);
    assert.deepEqual([...body.authorization_details_types_supported].sort(), ["ai_access", "ai_limits"]);
    assert.ok(body.resource_name);
    assert.equal((await get(new URL(body.resource_documentation))).status, 200);
    assert.ok(!body.dpop_signing_alg_values_supported.includes("none"));
  });

  test(`the Fetch standard's CORS check passes from any origin at ${path}`, async () => {
    const origin = "https://app.example";
    const preflight = await get(path, { method: "OPTIONS", headers: { origin, "access-control-request-method": "GET" } });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
    assert.equal((await get(path, { headers: { origin } })).headers.get("access-control-allow-origin"), "*");
  });
}

test("a generic client takes the document for what it asked about: oauth4webapi", async () => {
  for (const base of Object.keys(PATHS)) {
    const resource = new URL(`${broker.url}${base}`);
    const response = await oauth.resourceDiscoveryRequest(resource, { [oauth.allowInsecureRequests]: true });
    await oauth.processResourceDiscoveryResponse(resource, response);
  }
});

test("RFC 9728 §2: the scopes of a provider's document are asked for, and calls to it are let through", async () => {
  const { scopes_supported: scopes } = await (await get(PATHS["/anthropic"])).json();
  assert.ok(scopes.length > 0 && scopes.every((scope) => scope.startsWith("anthropic:")));
  const { access_token: token } = await browser.grant(app, { scope: scopes.join(" ") });
  assert.equal((await messages(broker, token)).status, 200);
});

test("RFC 9728 §4: the authorization server names the same resources", async () => {
  const { protected_resources: named } = await (await get("/.well-known/oauth-authorization-server")).json();
  const own = await Promise.all(Object.values(PATHS).map(async (path) => (await (await get(path)).json()).resource));
  assert.deepEqual([...named].sort(), [...own].sort());
});

const ofOpenAi = (headers) => call(broker, null, "/openai/v1/chat/completions", { body: chatBody(), headers });
const challengeOf = (answer) => answer.headers.get("www-authenticate");

test("RFC 6750 §3: a 401 names the scopes that can be asked for there; a 403 for a model names none", async () => {
  for (const [path, scopes] of [["/openai/v1/models", /^openai:[a-z_]+( openai:[a-z_]+)*$/], ["/anthropic/v1/models", /^anthropic:[a-z_]+( anthropic:[a-z_]+)*$/]]) {
    const { status, headers } = await call(broker, null, path, { method: "GET" });
    assert.equal(status, 401);
    const challenge = headers.get("www-authenticate");
    const named = [...challenge.matchAll(/ scope="([^"]*)"/g)].map(([, scope]) => scope);
    assert.equal(named.length, 2, challenge);
    for (const scope of named) assert.match(scope, scopes);
    const { body } = await call(broker, null, new URL(/resource_metadata="([^"]+)"/.exec(challenge)[1]).pathname, { method: "GET" });
    assert.deepEqual(named[0].split(" "), body.scopes_supported);
  }
  const { access_token: token } = await browser.grant(app);
  const { status, headers } = await call(broker, token, "/openai/v1/chat/completions", { body: { model: "gpt-4.1", messages: [] } });
  assert.equal(status, 403);
  assert.ok(!headers.get("www-authenticate").includes(" scope="));
});

test("RFC 9728 §5.1: a 401 leads to the document of what was called", async () => {
  for (const [base, answer] of [
    ["/openai/v1", await ofOpenAi({})],
    ["/anthropic", await messages(broker, null)],
  ]) {
    assert.equal(answer.status, 401);
    const [, address] = /resource_metadata="([^"]+)"/.exec(challengeOf(answer)) ?? [];
    assert.equal(address, `${broker.url}${PATHS[base]}`);
    assert.equal((await (await get(new URL(address))).json()).resource, `${broker.url}${base}`);
  }
});

test("RFC 6750 §3.1: who sent no token gets a challenge without an error code", async () => {
  const challenge = `Bearer realm="aipassport", resource_metadata="${broker.url}${PATHS["/openai/v1"]}"`;
  for (const headers of [{}, { authorization: "Basic dDp0" }]) {
    // Challenges of other schemes may stand behind it.
    const given = challengeOf(await ofOpenAi(headers));
    assert.ok(given.startsWith(challenge) && !given.includes("error="), given);
  }
});

test("RFC 6750 §3.1: whose token isn't accepted learns that, wherever it stood", async () => {
  for (const headers of [{ authorization: "Bearer x" }, { "x-api-key": "x" }, { authorization: "Bearer x", "x-api-key": "y" }]) {
    const answer = await ofOpenAi(headers);
    assert.equal(answer.status, 401);
    assert.match(challengeOf(answer), /^Bearer .*error="invalid_token"/);
  }
});

test("RFC 6750 §3.1: after a revocation the challenge says invalid_token", async () => {
  const { access_token: token, grant_id: grant } = await browser.grant(app);
  assert.equal((await chat(broker, token)).status, 200);
  await browser.revoke(grant);
  assert.match(challengeOf(await chat(broker, token)), /error="invalid_token"/);
});

test("a browser app can read the challenge", async () => {
  const answer = await ofOpenAi({ origin: "https://app.example" });
  assert.match(answer.headers.get("access-control-expose-headers"), /www-authenticate/);
});

test("there are no documents of anything else", async () => {
  for (const path of ["/openai", "/anthropic/v1", "/grants", "/gemini"]) assert.equal((await get(`${WELL_KNOWN}${path}`)).status, 404, path);
});
