// https://github.com/panva/oauth4webapi: each step by itself, strict about every answer. `allowInsecureRequests` because the broker
// is on this machine.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { REDIRECT_URI, assertOpenAiError, chat } from "../support/flow.mjs";
import { DETAILS, SCOPE, allow, deny, startClients } from "./person.mjs";

const { broker, browser, app, confidential } = await startClients();
const http = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(broker.url);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...http }));

const KINDS = {
  "without a secret": { client: { client_id: app.client_id }, authentication: oauth.None() },
  "with client_secret_basic": {
    client: { client_id: confidential.client_id },
    authentication: oauth.ClientSecretBasic(confidential.client_secret),
  },
  "with client_secret_post": {
    client: { client_id: confidential.client_id },
    authentication: oauth.ClientSecretPost(confidential.client_secret),
  },
};

/** A link, and what the client has to remember of it. */
async function request(client, asked = { scope: SCOPE }) {
  const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: REDIRECT_URI,
    response_type: "code",
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...asked,
  });
  return { url, verifier, state };
}

async function connect({ client, authentication }, asked) {
  const { url, verifier, state } = await request(client, asked);
  const parameters = oauth.validateAuthResponse(server, client, await allow(browser, url), state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, REDIRECT_URI, verifier, http);
  return oauth.processAuthorizationCodeResponse(server, client, response);
}

async function refresh({ client, authentication }, token) {
  const response = await oauth.refreshTokenGrantRequest(server, client, authentication, token, http);
  return oauth.processRefreshTokenResponse(server, client, response);
}

for (const [what, kind] of Object.entries(KINDS)) {
  test(`an app ${what} connects, calls, refreshes and revokes`, async () => {
    const first = await connect(kind);
    assert.equal((await chat(broker, first.access_token)).status, 200);
    const second = await refresh(kind, first.refresh_token);
    assert.equal((await chat(broker, second.access_token)).status, 200);
    const { client, authentication } = kind;
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, second.refresh_token, http));
    assertOpenAiError(await chat(broker, second.access_token), 401, "invalid_token");
    await assert.rejects(refresh(kind, second.refresh_token), (error) => error.error === "invalid_grant" && error.status === 400);
  });
}

test("RFC 9396 §7: authorization_details come back as granted", async () => {
  const { authorization_details: granted } = await connect(KINDS["without a secret"], { authorization_details: JSON.stringify(DETAILS) });
  assert.deepEqual(granted, [{ ...DETAILS[0], limits: granted[0].limits, base_url: `${broker.url}/openai/v1` }]);
  assert.equal(granted[0].limits.budget_usd, "2.00");
});

test("RFC 9068 §4: an access token passes the library's check of a resource server", async () => {
  const { access_token: token } = await connect(KINDS["without a secret"]);
  const incoming = new Request(`${broker.url}/openai/v1/models`, { headers: { authorization: `Bearer ${token}` } });
  const claims = await oauth.validateJwtAccessToken(server, incoming, broker.url, http);
  assert.equal(claims.client_id, app.client_id);
});

test("RFC 6749 §4.1.2.1: a refusal arrives as access_denied", async () => {
  const { client } = KINDS["without a secret"];
  const { url, state } = await request(client);
  const location = await deny(browser, url);
  assert.throws(
    () => oauth.validateAuthResponse(server, client, location, state),
    (error) => error instanceof oauth.AuthorizationResponseError && error.error === "access_denied",
  );
});

test("RFC 6749 §5.2: a wrong secret arrives as a challenge", async () => {
  const wrong = { ...KINDS["with client_secret_basic"], authentication: oauth.ClientSecretBasic("wrong") };
  await assert.rejects(connect(wrong), (error) => error instanceof oauth.WWWAuthenticateChallengeError && error.status === 401);
});
