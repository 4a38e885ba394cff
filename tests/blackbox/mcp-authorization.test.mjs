// What MCP asks of an authorization server and of a protected resource (its pages "Authorization", 2025-03-26 to 2026-07-28), requirement
// by requirement, as cloudflare/workers-oauth-provider lists them in its conformance folder. What differs here says so, and stands in
// docs/rfc.md. The suite of MCP's own makers runs in tests/clients.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertOAuthError, authorizationRequest, basic, call, chat, claims, postForm, redeem, refresh } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const confidential = await browser.register({ name: "Server", type: "confidential" });
const other = await browser.register({ name: "Other" });
const RESOURCE = `${broker.url}/openai/v1`;
const ASKED = { scope: "openai:chat openai:embeddings", change: { resource: RESOURCE } };
const json = async (path) => (await fetch(broker.url + path)).json();
const challengeOf = async (token, path = "/openai/v1/models", more = { method: "GET" }) => {
  const { status, headers } = await call(broker, token, path, more);
  return { status, challenge: headers.get("www-authenticate"), cache: headers.get("cache-control") };
};
const metadata = await json("/.well-known/oauth-authorization-server");

// The authorization server.

test("the metadata name the endpoints, both grants, the methods of clients and S256 alone", () => {
  for (const name of ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "registration_endpoint"]) {
    assert.ok(metadata[name].startsWith(`${broker.url}/`), name);
  }
  assert.deepEqual(metadata.response_types_supported, ["code"]);
  for (const name of ["authorization_code", "refresh_token"]) assert.ok(metadata.grant_types_supported.includes(name), name);
  for (const name of ["none", "client_secret_basic", "client_secret_post"]) {
    assert.ok(metadata.token_endpoint_auth_methods_supported.includes(name), name);
  }
  assert.deepEqual(metadata.code_challenge_methods_supported, ["S256"]);
});

for (const [kind, client] of Object.entries({ public: app, confidential })) {
  test(`a ${kind} client gets from its link to a call, for the resource that it named`, async () => {
    const { code, verifier } = await browser.code(client, ASKED);
    const { status, headers, body } = await redeem(broker, client, { code, verifier, change: { resource: RESOURCE } });
    assert.equal(status, 200);
    assert.match(headers.get("cache-control"), /no-store/);
    assert.equal(headers.get("pragma"), "no-cache");
    assert.match(body.token_type, /^bearer$/i);
    assert.ok(body.expires_in > 0);
    assert.deepEqual([body.scope, body.resource, claims(body.access_token).aud], [ASKED.scope, RESOURCE, RESOURCE]);
    assert.equal((await chat(broker, body.access_token)).status, 200);
  });
}

test("a client of before resources were named gets a token for all of the broker, and is told so", async () => {
  const { resource, access_token: token } = await browser.grant(app, { scope: "openai:chat" });
  assert.equal(resource, broker.url);
  assert.equal((await chat(broker, token)).status, 200);
});

for (const [what, change] of Object.entries({
  "no challenge": { code_challenge: null, code_challenge_method: null },
  "a plain challenge": { code_challenge_method: "plain" },
  "a challenge without a method, which means plain": { code_challenge_method: null },
  "a method that nobody knows": { code_challenge_method: "S512" },
})) {
  test(`PKCE: ${what} gets no code`, async () => {
    const { location } = await browser.get(authorizationRequest(broker, app, { ...ASKED, change }).url);
    assert.deepEqual([location.searchParams.get("error"), location.searchParams.has("code")], ["invalid_request", false]);
  });
}

test("PKCE: a wrong verifier is invalid_grant, and not kept", async () => {
  const { code } = await browser.code(app, ASKED);
  const answer = await redeem(broker, app, { code, verifier: "w".repeat(43) });
  assertOAuthError(answer, 400, "invalid_grant");
});

for (const [what, change] of Object.entries({
  "a redirect URI that is not registered": { redirect_uri: "https://evil.example/" },
  "a client that nobody knows": { client_id: "app_AAAAAAAAAAAAAAAAAAAAAA" },
})) {
  test(`${what} redirects nobody`, async () => {
    const { status, location } = await browser.get(authorizationRequest(broker, app, { ...ASKED, change }).url);
    assert.deepEqual([status, location], [400, null]);
  });
}

test("a wrong redirect URI at /token uses up no code", async () => {
  const it = await browser.code(app, ASKED);
  assertOAuthError(await redeem(broker, app, { ...it, change: { redirect_uri: "https://app.example/other" } }), 400, "invalid_grant");
  assert.equal((await redeem(broker, app, it)).status, 200);
});

test("a wrong secret is challenged where the header was used, and uses up no code", async () => {
  const it = await browser.code(confidential, ASKED);
  const change = { client_id: undefined, client_secret: undefined };
  const headers = { authorization: basic(confidential.client_id, confidential.client_secret.replace(/.$/, "")) };
  const wrong = await redeem(broker, confidential, { ...it, change, headers });
  assertOAuthError(wrong, 401, "invalid_client");
  assert.match(wrong.headers.get("www-authenticate"), /^Basic realm="/);
  assert.equal((await redeem(broker, confidential, it)).status, 200);
});

test("a public client that brings a secret, in the body or in the header, is refused, and uses up no code", async () => {
  const it = await browser.code(app, ASKED);
  assertOAuthError(await redeem(broker, app, { ...it, change: { client_secret: "unexpected" } }), 401, "invalid_client");
  const headers = { authorization: basic(app.client_id, "unexpected") };
  assertOAuthError(await redeem(broker, app, { ...it, change: { client_id: undefined }, headers }), 401, "invalid_client");
  assert.equal((await redeem(broker, app, it)).status, 200);
});

test("differs: a secret is taken in the header and in the body, whichever the client registered", async () => {
  const { access_token: token, refresh_token: next } = await browser.grant(confidential, ASKED);
  const headers = { authorization: basic(confidential.client_id, confidential.client_secret) };
  assert.equal((await postForm(`${broker.url}/token`, { grant_type: "refresh_token", refresh_token: next }, headers)).status, 200);
  const { client_id, client_secret } = confidential;
  assert.equal((await postForm(`${broker.url}/revoke`, { token, client_id, client_secret })).status, 200);
});

for (const resource of [`${RESOURCE}#part`, "https://elsewhere.example/mcp", "no address"]) {
  test(`a resource that is none of the broker's is invalid_target: ${resource}`, async () => {
    const { location } = await browser.get(authorizationRequest(broker, app, { ...ASKED, change: { resource } }).url);
    assert.equal(location.searchParams.get("error"), "invalid_target");
  });
}

test("a resource that was not asked for is invalid_target at /token, and uses up no code", async () => {
  const it = await browser.code(app, ASKED);
  assertOAuthError(await redeem(broker, app, { ...it, change: { resource: `${broker.url}/anthropic` } }), 400, "invalid_target");
  assert.equal((await redeem(broker, app, it)).status, 200);
});

test("the issuer stands once in every answer, errors too, and is that of the metadata", async () => {
  assert.equal(metadata.authorization_response_iss_parameter_supported, true);
  const { form, state } = await browser.consent(app, ASKED);
  const { location } = await browser.submit(form.press("decision", "deny"));
  const sent = (name) => location.searchParams.getAll(name);
  assert.deepEqual([sent("error"), sent("state"), sent("iss"), sent("code")], [["access_denied"], [state], [metadata.issuer], []]);
});

// Clients.

test("a client registers itself, as a public one or with a secret; what can't be done is refused before it is there", async () => {
  const register = async (body) => {
    const answer = await fetch(metadata.registration_endpoint, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    return { status: answer.status, cache: answer.headers.get("cache-control"), body: await answer.json() };
  };
  const redirect_uris = [app.redirect_uri];
  for (const method of ["none", "client_secret_basic"]) {
    const { status, body } = await register({ redirect_uris, token_endpoint_auth_method: method });
    assert.deepEqual([status, body.token_endpoint_auth_method, "client_secret" in body], [201, method, method !== "none"]);
    const grant = await browser.grant({ ...body, redirect_uri: redirect_uris[0] }, ASKED);
    assert.equal((await chat(broker, grant.access_token)).status, 200);
  }
  const refused = await register({ redirect_uris, grant_types: ["password"], response_types: [] });
  assert.deepEqual([refused.status, refused.body.error], [400, "invalid_client_metadata"]);
  assert.match(refused.cache, /no-store/);
});

test("that a document may make a client known is announced", () => assert.equal(metadata.client_id_metadata_document_supported, true));

// The protected resource.

test("without a token the challenge is bare, names the document of what was called and the scopes there, and is not kept", async () => {
  const { status, challenge, cache } = await challengeOf(null);
  assert.equal(status, 401);
  assert.match(cache, /no-store/);
  assert.match(challenge, /^Bearer /);
  assert.ok(!challenge.includes("error="), challenge);
  const address = /resource_metadata="([^"]+)"/.exec(challenge)[1];
  assert.equal(address, `${broker.url}/.well-known/oauth-protected-resource/openai/v1`);
  const document = await json(new URL(address).pathname);
  assert.deepEqual([document.resource, document.authorization_servers], [RESOURCE, [metadata.issuer]]);
  assert.deepEqual(/ scope="([^"]+)"/.exec(challenge)[1].split(" "), document.scopes_supported);
});

test("a token that is none is invalid_token, and so is one for another resource", async () => {
  const elsewhere = await browser.grant(app, { scope: "openai:chat anthropic:chat", change: { resource: `${broker.url}/anthropic` } });
  for (const token of ["none", elsewhere.access_token]) {
    const { status, challenge } = await challengeOf(token);
    assert.equal(status, 401);
    assert.match(challenge, /error="invalid_token"/);
  }
});

test("a token that is not enough is insufficient_scope, with the scope that is missing and the document", async () => {
  const { access_token: token } = await browser.grant(app, ASKED);
  const body = { model: "gpt-image-1", prompt: "x" };
  const { status, challenge } = await challengeOf(token, "/openai/v1/images/generations", { body });
  assert.equal(status, 403);
  assert.match(challenge, /error="insufficient_scope"/);
  assert.match(challenge, / scope="openai:images"/);
  assert.match(challenge, /resource_metadata="/);
});

test("differs: offline_access is no scope here, neither of the server nor of a resource: refresh tokens come by the grant type", async () => {
  const document = await json("/.well-known/oauth-protected-resource/openai/v1");
  const { challenge } = await challengeOf(null);
  assert.ok(![...metadata.scopes_supported, ...document.scopes_supported, challenge].some((text) => text.includes("offline_access")));
  assert.ok((await browser.grant(app, ASKED)).refresh_token);
});

// Tokens.

test("a refresh token rotates, keeps the scope, and is not kept by caches", async () => {
  const first = await browser.grant(app, ASKED);
  const { status, headers, body } = await refresh(broker, app, first.refresh_token);
  assert.equal(status, 200);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.deepEqual([body.scope, body.resource], [ASKED.scope, RESOURCE]);
  assert.notEqual(body.refresh_token, first.refresh_token);
});

test("differs: a rotated refresh token is good for no second try: it ends the grant", async () => {
  const first = await browser.grant(app, ASKED);
  const { body } = await refresh(broker, app, first.refresh_token);
  assertOAuthError(await refresh(broker, app, first.refresh_token), 400, "invalid_grant");
  assert.equal((await chat(broker, body.access_token)).status, 401);
});

test("a scope at /token narrows, and what was not granted of it is left out", async () => {
  const it = await browser.code(app, ASKED);
  const { status, body } = await redeem(broker, app, { ...it, change: { scope: "openai:chat openai:images" } });
  assert.deepEqual([status, body.scope], [200, "openai:chat"]);
});

test("revoking an access token ends it and leaves the refresh token; revoking that ends the grant; another client's does nothing", async () => {
  const { client_id } = app;
  const revoke = async (token, as = client_id) => assert.equal((await postForm(`${broker.url}/revoke`, { token, client_id: as })).status, 200);
  const first = await browser.grant(app, ASKED);
  await revoke(first.access_token, other.client_id);
  assert.equal((await chat(broker, first.access_token)).status, 200);
  await revoke(first.access_token);
  const { status, challenge } = await challengeOf(first.access_token);
  assert.equal(status, 401);
  assert.match(challenge, /error="invalid_token"/);
  const { body: second } = await refresh(broker, app, first.refresh_token);
  assert.equal((await chat(broker, second.access_token)).status, 200);
  await revoke(second.refresh_token);
  assert.equal((await chat(broker, second.access_token)).status, 401);
  assertOAuthError(await refresh(broker, app, second.refresh_token), 400, "invalid_grant");
});

test("a code that is used twice is invalid_grant, and ends what the first use got", async () => {
  const it = await browser.code(app, ASKED);
  const { body } = await redeem(broker, app, it);
  assertOAuthError(await redeem(broker, app, it), 400, "invalid_grant");
  assert.equal((await chat(broker, body.access_token)).status, 401);
});
