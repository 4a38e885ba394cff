// https://github.com/panva/oauth4webapi with what goes beyond RFC 6749: each request and each answer by itself, so that the first "no"
// of the server is seen, too.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { REDIRECT_URI, chatBody } from "../support/flow.mjs";
import { DETAILS, SCOPE, allow, decideForDevice, startClients } from "./person.mjs";

const { broker, browser, app, confidential } = await startClients({ inside: true });
const http = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(broker.url);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...http }));

const PUBLIC = { client: { client_id: app.client_id }, authentication: oauth.None() };
const SECRET = { client: { client_id: confidential.client_id }, authentication: oauth.ClientSecretBasic(confidential.client_secret) };

/** What a client asks for, and what it has to remember of it. */
async function parameters({ client }, asked = { scope: SCOPE }) {
  const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
  const sent = {
    client_id: client.client_id,
    redirect_uri: REDIRECT_URI,
    response_type: "code",
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...asked,
  };
  return { sent, verifier, state };
}

/** From an address that the person opens to the request for tokens, which can be sent again. */
async function redemption({ client, authentication }, query, { verifier, state }) {
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams(query);
  const answer = oauth.validateAuthResponse(server, client, await allow(browser, url), state);
  const send = (options) =>
    oauth.authorizationCodeGrantRequest(server, client, authentication, answer, REDIRECT_URI, verifier, { ...http, ...options });
  return async (options) => oauth.processAuthorizationCodeResponse(server, client, await send(options));
}

async function connect(kind) {
  const { sent, ...remembered } = await parameters(kind);
  return (await redemption(kind, sent, remembered))();
}

const isNonceError = (error) => oauth.isDPoPNonceError(error);

/** Does it, is told a nonce, does it again with that. */
async function againWithNonce(step) {
  await assert.rejects(step, isNonceError);
  return step();
}

const call = (token, options) => {
  const headers = new Headers({ "content-type": "application/json" });
  const address = new URL(`${broker.url}/openai/v1/chat/completions`);
  return oauth.protectedResourceRequest(token, "POST", address, headers, JSON.stringify(chatBody()), { ...http, ...options });
};

for (const [what, kind] of Object.entries({ "without a secret": PUBLIC, "with a secret": SECRET })) {
  test(`RFC 9126 §2: an app ${what} pushes its request, and the address holds nothing else of it`, async () => {
    const { sent, ...remembered } = await parameters(kind, { authorization_details: JSON.stringify(DETAILS) });
    const { client, authentication } = kind;
    const response = await oauth.pushedAuthorizationRequest(server, client, authentication, sent, http);
    const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, response);
    const redeem = await redemption(kind, { client_id: client.client_id, request_uri }, remembered);
    const tokens = await redeem();
    assert.deepEqual(tokens.authorization_details[0].models, ["gpt-5-mini"]);
    assert.equal((await call(tokens.access_token)).status, 200);
  });
}

for (const alg of ["ES256", "EdDSA"]) {
  test(`RFC 9449 §8, §9: a key's first proof is answered with a nonce, at the token endpoint; then its tokens work: ${alg}`, async () => {
    const DPoP = oauth.DPoP(PUBLIC.client, await oauth.generateKeyPair(alg === "EdDSA" ? "Ed25519" : alg));
    const { sent, ...remembered } = await parameters(PUBLIC);
    const redeem = await redemption(PUBLIC, sent, remembered);
    const tokens = await againWithNonce(() => redeem({ DPoP }));
    assert.equal(tokens.token_type, "dpop");
    assert.equal((await call(tokens.access_token, { DPoP })).status, 200);
  });
}

test("RFC 9449 §9: a resource server that hasn't seen a key yet answers its first call with a nonce", async () => {
  const keys = await oauth.generateKeyPair("ES256");
  const DPoP = oauth.DPoP(PUBLIC.client, keys);
  const { sent, ...remembered } = await parameters(PUBLIC);
  const redeem = await redemption(PUBLIC, sent, remembered);
  const { access_token: token } = await againWithNonce(() => redeem({ DPoP }));
  // The same key in a program that starts anew knows no nonce.
  const restarted = oauth.DPoP(PUBLIC.client, keys);
  const answer = await againWithNonce(() => call(token, { DPoP: restarted }));
  assert.equal(answer.status, 200);
});

test("RFC 9449 §6.1, §7.1: a bound token and its proof pass the library's check of a resource server; without the proof they don't", async () => {
  const DPoP = oauth.DPoP(PUBLIC.client, await oauth.generateKeyPair("ES256"));
  const { sent, ...remembered } = await parameters(PUBLIC);
  const redeem = await redemption(PUBLIC, sent, remembered);
  const { access_token: token } = await againWithNonce(() => redeem({ DPoP }));
  let incoming;
  const seen = (url, init) => {
    incoming = new Request(url, init);
    return fetch(url, init);
  };
  assert.equal((await call(token, { DPoP, [oauth.customFetch]: seen })).status, 200);
  const claims = await oauth.validateJwtAccessToken(server, incoming, broker.url, { ...http, requireDPoP: true });
  assert.equal(claims.cnf.jkt, await DPoP.calculateThumbprint());
  const bare = new Request(incoming.url, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  await assert.rejects(oauth.validateJwtAccessToken(server, bare, broker.url, http));
});

test("RFC 9449 §5: a refresh token of an app without a secret works with its key alone", async () => {
  const DPoP = oauth.DPoP(PUBLIC.client, await oauth.generateKeyPair("ES256"));
  const { sent, ...remembered } = await parameters(PUBLIC);
  const redeem = await redemption(PUBLIC, sent, remembered);
  const { refresh_token: token } = await againWithNonce(() => redeem({ DPoP }));
  const { client, authentication } = PUBLIC;
  const refresh = async (options) => {
    const response = await oauth.refreshTokenGrantRequest(server, client, authentication, token, { ...http, ...options });
    return oauth.processRefreshTokenResponse(server, client, response);
  };
  const other = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
  await assert.rejects(refresh({ DPoP: other }), isNonceError);
  await assert.rejects(refresh({ DPoP: other }), { error: "invalid_dpop_proof" });
  const next = await refresh({ DPoP });
  assert.equal((await call(next.access_token, { DPoP })).status, 200);
});

test("RFC 9449 §10.1: a pushed request binds its code to the key that pushed it", async () => {
  const { client, authentication } = SECRET;
  const [DPoP, other] = [oauth.DPoP(client, await oauth.generateKeyPair("ES256")), oauth.DPoP(client, await oauth.generateKeyPair("ES256"))];
  const { sent, ...remembered } = await parameters(SECRET);
  const push = async () => {
    const response = await oauth.pushedAuthorizationRequest(server, client, authentication, sent, { ...http, DPoP });
    return oauth.processPushedAuthorizationResponse(server, client, response);
  };
  const { request_uri } = await againWithNonce(push);
  const redeem = await redemption(SECRET, { client_id: client.client_id, request_uri }, remembered);
  await assert.rejects(redeem({ DPoP: other }), isNonceError);
  await assert.rejects(redeem({ DPoP: other }), { error: "invalid_dpop_proof" });
});

test("RFC 8628 §3: a device hears pending, then gets tokens that work", async () => {
  const { client, authentication } = PUBLIC;
  const asked = await oauth.deviceAuthorizationRequest(server, client, authentication, { scope: SCOPE }, http);
  const device = await oauth.processDeviceAuthorizationResponse(server, client, asked);
  const poll = async () => {
    const response = await oauth.deviceCodeGrantRequest(server, client, authentication, device.device_code, http);
    return oauth.processDeviceCodeResponse(server, client, response);
  };
  await assert.rejects(poll, { error: "authorization_pending" });
  await decideForDevice(browser, device.verification_uri_complete, "allow");
  await broker.advance(device.interval);
  assert.equal((await call((await poll()).access_token)).status, 200);
});

test("RFC 8628 §3.5: a device whose person says no hears access_denied, and one that is too fast slow_down", async () => {
  const { client, authentication } = SECRET;
  const asked = await oauth.deviceAuthorizationRequest(server, client, authentication, { scope: SCOPE }, http);
  const device = await oauth.processDeviceAuthorizationResponse(server, client, asked);
  const poll = async () => {
    const response = await oauth.deviceCodeGrantRequest(server, client, authentication, device.device_code, http);
    return oauth.processDeviceCodeResponse(server, client, response);
  };
  await assert.rejects(poll, { error: "authorization_pending" });
  await assert.rejects(poll, { error: "slow_down" });
  await decideForDevice(browser, device.verification_uri_complete, "deny");
  await broker.advance(2 * device.interval);
  await assert.rejects(poll, { error: "access_denied" });
});

test("RFC 7662 §2.2, RFC 7009 §2: a token is active, and isn't once it was revoked", async () => {
  const { client, authentication } = SECRET;
  const tokens = await connect(SECRET);
  const introspect = async (token) => {
    const response = await oauth.introspectionRequest(server, client, authentication, token, http);
    return oauth.processIntrospectionResponse(server, client, response);
  };
  const found = await introspect(tokens.access_token);
  assert.deepEqual([found.active, found.client_id, found.iss], [true, client.client_id, broker.url]);
  assert.equal((await introspect(tokens.refresh_token)).active, true);
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, tokens.access_token, http));
  assert.equal((await introspect(tokens.access_token)).active, false);
});

test("RFC 9728 §3.3: what a base URL says of itself leads to the authorization server", async () => {
  const { base_url } = (await connect(PUBLIC)).authorization_details[0];
  const resource = new URL(base_url);
  const found = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, http));
  assert.deepEqual(found.authorization_servers, [broker.url]);
});

test("RFC 7591 §3.2: an app registers itself and connects with what it was told", async () => {
  const metadata = { client_name: "Self-made app", redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "client_secret_post" };
  const client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(server, metadata, http));
  const tokens = await connect({ client, authentication: oauth.ClientSecretPost(client.client_secret) });
  assert.equal((await call(tokens.access_token)).status, 200);
});
