import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { base64url } from "../support/broker.mjs";
import {
  DETAILS,
  REDIRECT_URI,
  assertOAuthError,
  assertOpenAiError,
  basic,
  chat,
  claims,
  postForm,
  redeem,
  refresh,
} from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const other = await browser.register({ name: "Another app" });
const confidential = await browser.register({ name: "Server app", type: "confidential" });
const now = () => Math.floor(Date.now() / 1000);

/** A code that waits to be redeemed. */
async function code(client = app, options) {
  const consent = await browser.consent(client, options);
  const { location } = await browser.submit(consent.form.press("decision", "allow"));
  return { code: location.searchParams.get("code"), verifier: consent.verifier };
}

const works = async (token) => assert.equal((await chat(broker, token)).status, 200);
const isOver = async (token) => assertOpenAiError(await chat(broker, token), 401, "invalid_token");

test("RFC 6749 §5.1: a code becomes tokens", async () => {
  const { status, headers, body } = await redeem(broker, app, await code());
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.equal(body.token_type, "Bearer");
  assert.ok(body.expires_in > 0 && body.expires_in <= 3600);
  assert.match(body.refresh_token, /^aip_rt_[\w-]{49}$/);
  await works(body.access_token);
});

test("RFC 9396 §7: the answer says what was granted, with the base URL for each SDK", async () => {
  const { body } = await redeem(broker, app, await code());
  const [openai, anthropic] = body.authorization_details;
  assert.deepEqual([openai.type, openai.provider, openai.base_url], ["ai_access", "openai", `${broker.url}/openai/v1`]);
  assert.deepEqual([anthropic.provider, anthropic.base_url], ["anthropic", `${broker.url}/anthropic`]);
  assert.deepEqual(openai.models, DETAILS[0].models);
  assert.deepEqual([...openai.capabilities].sort(), [...DETAILS[0].capabilities].sort());
});

test("a generic OAuth client gets along with the broker: oauth4webapi, from discovery to refresh", async () => {
  const http = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(broker.url);
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...http }),
  );
  const client = { client_id: confidential.client_id };
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: REDIRECT_URI,
    response_type: "code",
    scope: "openai:chat",
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const { page } = await browser.get(url);
  const { location } = await browser.submit(page.form("/authorize").press("decision", "allow"));
  const parameters = oauth.validateAuthResponse(server, client, location, state);
  const secret = oauth.ClientSecretBasic(confidential.client_secret);
  const tokens = await oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(server, client, secret, parameters, REDIRECT_URI, verifier, http),
  );
  await works(tokens.access_token);
  const next = await oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, secret, tokens.refresh_token, http),
  );
  await works(next.access_token);
  const revocation = await oauth.revocationRequest(server, client, secret, next.refresh_token, http);
  await oauth.processRevocationResponse(revocation);
  await isOver(next.access_token);
});

// The authorization code.

test("RFC 7636 §4.6: a wrong verifier is refused, and burns nothing", async () => {
  const it = await code();
  assertOAuthError(await redeem(broker, app, { ...it, verifier: base64url(randomBytes(32)) }), 400, "invalid_grant");
  const { body } = await redeem(broker, app, it);
  await works(body.access_token);
});

test("RFC 7636 §4.5: a missing verifier is refused", async () => {
  assertOAuthError(await redeem(broker, app, { ...(await code()), verifier: undefined }), 400, "invalid_request");
});

for (const verifier of ["short", "x".repeat(129), `${"x".repeat(42)}!`]) {
  test(`RFC 7636 §4.6: a malformed verifier is refused like a wrong one: ${verifier.length} characters`, async () => {
    assertOAuthError(await redeem(broker, app, { ...(await code()), verifier }), 400, "invalid_grant");
  });
}

test("RFC 6749 §4.1.3: a wrong redirect_uri is refused", async () => {
  const it = await code();
  assertOAuthError(
    await redeem(broker, app, { ...it, change: { redirect_uri: "https://app.example/other" } }),
    400,
    "invalid_grant",
  );
});

test("OAuth 2.1 §4.1.3: a redirect_uri that is not repeated is not missed", async () => {
  const { status, text } = await redeem(broker, app, { ...(await code()), change: { redirect_uri: undefined } });
  assert.equal(status, 200, text);
});

for (const path of ["/token", "/revoke", "/introspect", "/par", "/device_authorization"]) {
  test(`RFC 6749 §5.2: ${path} without any client authentication is 401 invalid_client`, async () => {
    assertOAuthError(await postForm(`${broker.url}${path}`, { grant_type: "refresh_token", token: "x" }), 401, "invalid_client");
  });
}

test("the answer says which resource the token is for", async () => {
  const all = await browser.grant(app);
  assert.equal(all.resource, broker.url);
  const resource = [`${broker.url}/openai/v1`, `${broker.url}/anthropic`];
  const one = await refresh(broker, app, all.refresh_token, { resource: resource[0] });
  assert.equal(one.body.resource, resource[0]);
  const both = await browser.grant(app, { change: { resource } });
  assert.deepEqual(both.resource, claims(both.access_token).aud);
});

test("RFC 6749 §4.1.2: a replayed code is refused, and ends what the first use got", async () => {
  const it = await code();
  const { body } = await redeem(broker, app, it);
  await works(body.access_token);
  assertOAuthError(await redeem(broker, app, it), 400, "invalid_grant");
  await isOver(body.access_token);
  assertOAuthError(await refresh(broker, app, body.refresh_token), 400, "invalid_grant");
});

test("a thief who replays a code without its verifier ends nothing", async () => {
  const it = await code();
  const { body } = await redeem(broker, app, it);
  assertOAuthError(await redeem(broker, app, { ...it, verifier: base64url(randomBytes(32)) }), 400, "invalid_grant");
  await works(body.access_token);
});

test("RFC 6749 §4.1.3: the code of another client is refused, and stays good for its own", async () => {
  const it = await code();
  assertOAuthError(await redeem(broker, other, it), 400, "invalid_grant");
  assert.equal((await redeem(broker, app, it)).status, 200);
});

test("RFC 6749 §4.1.2: an expired code is refused", async () => {
  const it = await code();
  await broker.sql("UPDATE authorization_codes SET expires_at = ? WHERE redeemed_at IS NULL", now());
  assertOAuthError(await redeem(broker, app, it), 400, "invalid_grant");
});

test("RFC 6749 §4.1.2: a code lives at most ten minutes", async () => {
  await code();
  const [{ latest }] = await broker.sql("SELECT MAX(expires_at) AS latest FROM authorization_codes");
  assert.ok(latest <= now() + 600);
});

test("of many who redeem one code at the same moment one gets tokens", async () => {
  const it = await code();
  const answers = await Promise.all(Array.from({ length: 10 }, () => redeem(broker, app, it)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  for (const answer of answers.filter(({ status }) => status !== 200)) assertOAuthError(answer, 400, "invalid_grant");
});

for (const [what, value] of Object.entries({
  unknown: `aip_ac_${"A".repeat(49)}`,
  malformed: "x",
  empty: "",
  "a refresh token": null,
})) {
  test(`RFC 6749 §5.2: a code that is ${what} is refused`, async () => {
    const { verifier } = await code();
    const given = value ?? (await redeem(broker, app, await code())).body.refresh_token;
    const answer = await redeem(broker, app, { code: given, verifier });
    assertOAuthError(answer, 400, value === "" ? answer.body.error : "invalid_grant");
  });
}

// The refresh token.

test("RFC 9700 §4.14.2: a refresh token rotates, and keeps what was granted", async () => {
  const first = await browser.grant(app);
  const { status, body } = await refresh(broker, app, first.refresh_token);
  assert.equal(status, 200);
  assert.notEqual(body.refresh_token, first.refresh_token);
  assert.deepEqual(body.authorization_details, first.authorization_details);
  assert.equal(claims(body.access_token).grant_id, first.grant_id);
  await works(body.access_token);
});

test("RFC 9700 §4.14.2: reuse of a rotated refresh token ends the grant", async () => {
  const first = await browser.grant(app);
  const second = (await refresh(broker, app, first.refresh_token)).body;
  assertOAuthError(await refresh(broker, app, first.refresh_token), 400, "invalid_grant");
  await isOver(second.access_token);
  assertOAuthError(await refresh(broker, app, second.refresh_token), 400, "invalid_grant");
});

test("of many who refresh at the same moment one gets tokens", async () => {
  const first = await browser.grant(app);
  const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(broker, app, first.refresh_token)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  for (const answer of answers.filter(({ status }) => status !== 200)) assertOAuthError(answer, 400, "invalid_grant");
});

test("RFC 6749 §6: another client can't use the refresh token, and ends nothing with it", async () => {
  const first = await browser.grant(app);
  assertOAuthError(await refresh(broker, other, first.refresh_token), 400, "invalid_grant");
  assert.equal((await refresh(broker, app, first.refresh_token)).status, 200);
});

test("RFC 6749 §6: a refresh can not widen the scope", async () => {
  const first = await browser.grant(app);
  assertOAuthError(await refresh(broker, app, first.refresh_token, { scope: "openai:images" }), 400, "invalid_scope");
  assert.equal((await refresh(broker, app, first.refresh_token)).status, 200);
});

test("RFC 9396 §6: a refresh can not change the authorization details", async () => {
  const first = await browser.grant(app);
  const wider = JSON.stringify([{ ...DETAILS[0], models: ["*"] }]);
  assertOAuthError(
    await refresh(broker, app, first.refresh_token, { authorization_details: wider }),
    400,
    "invalid_authorization_details",
  );
});

test("an expired refresh token is refused", async () => {
  const first = await browser.grant(app);
  await broker.sql("UPDATE refresh_tokens SET expires_at = ? WHERE grant_id = ?", now(), first.grant_id);
  assertOAuthError(await refresh(broker, app, first.refresh_token), 400, "invalid_grant");
});

test("after a revocation on /grants the refresh token is refused", async () => {
  const first = await browser.grant(app);
  await browser.revoke(first.grant_id);
  assertOAuthError(await refresh(broker, app, first.refresh_token), 400, "invalid_grant");
});

test("no token outlives its grant", async () => {
  const edit = (form) => form.fill({ expires_in: "3600" });
  const { access_token: token, grant_id: id } = await browser.grant(app, { edit });
  const [{ expires_at: end }] = await broker.sql("SELECT expires_at FROM grants WHERE grant_id = ?", id);
  assert.ok(claims(token).exp <= end);
  const [{ expires_at: refreshEnd }] = await broker.sql("SELECT expires_at FROM refresh_tokens WHERE grant_id = ?", id);
  assert.ok(refreshEnd <= end);
});

test("refresh tokens and codes are stored hashed", async () => {
  const first = await browser.grant(app);
  const rows = JSON.stringify([
    await broker.sql("SELECT * FROM refresh_tokens"),
    await broker.sql("SELECT * FROM authorization_codes"),
  ]);
  for (const secret of [first.refresh_token, first.code, first.access_token]) assert.ok(!rows.includes(secret));
});

// Client authentication.

test("RFC 6749 §2.3.1: client_secret_basic and client_secret_post both work", async () => {
  const byPost = await redeem(broker, confidential, await code(confidential));
  assert.equal(byPost.status, 200, byPost.text);
  const change = { client_id: undefined, client_secret: undefined };
  const headers = { authorization: basic(confidential.client_id, confidential.client_secret) };
  const byBasic = await redeem(broker, confidential, { ...(await code(confidential)), change, headers });
  assert.equal(byBasic.status, 200, byBasic.text);
});

test("RFC 6749 §3.2.1: a confidential client without its secret is refused", async () => {
  const answer = await redeem(broker, confidential, { ...(await code(confidential)), change: { client_secret: undefined } });
  assertOAuthError(answer, 401, "invalid_client");
});

test("RFC 6749 §5.2: a wrong secret is 401, with a challenge for the scheme that was used", async () => {
  const wrong = (await browser.register({ type: "confidential" })).client_secret;
  const it = await code(confidential);
  assertOAuthError(await redeem(broker, confidential, { ...it, change: { client_secret: wrong } }), 401, "invalid_client");
  for (const secret of [wrong, "x", ""]) {
    const headers = { authorization: basic(confidential.client_id, secret) };
    const answer = await redeem(broker, confidential, {
      ...it,
      change: { client_id: undefined, client_secret: undefined },
      headers,
    });
    assertOAuthError(answer, 401, "invalid_client");
    assert.match(answer.headers.get("www-authenticate"), /^Basic/i);
  }
});

test("RFC 6749 §2.3: two ways of authentication at once are refused", async () => {
  const headers = { authorization: basic(confidential.client_id, confidential.client_secret) };
  assertOAuthError(await redeem(broker, confidential, { ...(await code(confidential)), headers }), 400, "invalid_request");
});

test("a public client that brings a secret is refused", async () => {
  const answer = await redeem(broker, app, { ...(await code()), change: { client_secret: confidential.client_secret } });
  assertOAuthError(answer, 401, "invalid_client");
});

test("RFC 6749 §5.2: an unknown client is refused", async () => {
  assertOAuthError(await redeem(broker, app, { ...(await code()), change: { client_id: "nobody" } }), 401, "invalid_client");
});

test("a header that is no Basic authentication is refused", async () => {
  for (const authorization of ["Basic", "Basic !!!", `Basic ${Buffer.from("no colon").toString("base64")}`, "Bearer x"]) {
    const answer = await redeem(broker, app, { ...(await code()), change: { client_id: undefined }, headers: { authorization } });
    assertOAuthError(answer, 401, "invalid_client");
  }
});

// The request itself.

test("RFC 6749 §5.2: an unknown grant type is refused", async () => {
  for (const grantType of ["password", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]) {
    assertOAuthError(
      await postForm(`${broker.url}/token`, { grant_type: grantType, client_id: app.client_id }),
      400,
      "unsupported_grant_type",
    );
  }
});

test("RFC 6749 §4.1.3: a missing grant_type is refused", async () => {
  assertOAuthError(await postForm(`${broker.url}/token`, { client_id: app.client_id }), 400, "invalid_request");
});

test("RFC 6749 §3.2: a repeated parameter is refused", async () => {
  const { code: value, verifier } = await code();
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    code: value,
    redirect_uri: REDIRECT_URI,
    client_id: app.client_id,
    code_verifier: verifier,
  });
  body.append("code", value);
  assertOAuthError(await postForm(`${broker.url}/token`, body), 400, "invalid_request");
});

test("RFC 6749 §3.2: parameters in the query are not read", async () => {
  const it = await code();
  const query = new URLSearchParams({
    grant_type: "authorization_code",
    code: it.code,
    redirect_uri: REDIRECT_URI,
    client_id: app.client_id,
    code_verifier: it.verifier,
  });
  const answer = await postForm(`${broker.url}/token?${query}`, {});
  assert.ok(answer.status === 400 || answer.status === 401, answer.text);
  assert.equal(answer.body.access_token, undefined);
});

test("RFC 6749 §4.1.3: a body that is not a form is refused", async () => {
  const it = await code();
  const body = JSON.stringify({ grant_type: "authorization_code", code: it.code });
  const response = await fetch(`${broker.url}/token`, { method: "POST", body, headers: { "content-type": "application/json" } });
  assert.ok(response.status === 400 || response.status === 415, String(response.status));
  assert.equal((await response.json()).error, "invalid_request");
});

test("a body that is far too long is refused", async () => {
  const answer = await postForm(`${broker.url}/token`, { grant_type: "x".repeat(2_000_000) });
  assert.ok(answer.status === 400 || answer.status === 413, String(answer.status));
});
