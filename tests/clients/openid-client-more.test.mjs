// https://github.com/panva/openid-client with what goes beyond RFC 6749: pushed requests, registration, keys instead of secrets, devices,
// DPoP, introspection, exchange, documents that make an app known.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import * as client from "openid-client";
import { REDIRECT_URI, assertOpenAiError, chat, chatBody } from "../support/flow.mjs";
import { DETAILS, SCOPE, allow, decideForDevice, startClients } from "./person.mjs";

const { broker, browser, app, confidential } = await startClients({ env: { CLIENT_DOCUMENTS_FROM_LOOPBACK: "on" } });
const insecure = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };
const server = new URL(broker.url);
const publicApp = () => client.discovery(server, app.client_id, undefined, client.None(), insecure);
const serverApp = () => client.discovery(server, confidential.client_id, undefined, client.ClientSecretBasic(confidential.client_secret), insecure);

async function parameters(asked = { scope: SCOPE }) {
  const [pkceCodeVerifier, expectedState] = [client.randomPKCECodeVerifier(), client.randomState()];
  const challenge = { code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: "S256" };
  return { sent: { redirect_uri: REDIRECT_URI, state: expectedState, ...challenge, ...asked }, checks: { pkceCodeVerifier, expectedState } };
}

async function connect(config, { asked, options, atToken } = {}) {
  const { sent, checks } = await parameters(asked);
  const location = await allow(browser, client.buildAuthorizationUrl(config, sent));
  return client.authorizationCodeGrant(config, location, checks, atToken, options);
}

const call = (config, tokens, options) => {
  const headers = new Headers({ "content-type": "application/json" });
  const address = new URL(`${broker.url}/openai/v1/chat/completions`);
  return client.fetchProtectedResource(config, tokens.access_token, address, "POST", JSON.stringify(chatBody()), headers, options);
};

for (const [what, discovered] of Object.entries({ "without a secret": publicApp, "with a secret": serverApp })) {
  test(`RFC 9126 §2: an app ${what} pushes its request with authorization_details`, async () => {
    const config = await discovered();
    const { sent, checks } = await parameters({ authorization_details: JSON.stringify(DETAILS) });
    const url = await client.buildAuthorizationUrlWithPAR(config, sent);
    assert.deepEqual([...url.searchParams.keys()].sort(), ["client_id", "request_uri"]);
    const tokens = await client.authorizationCodeGrant(config, await allow(browser, url), checks);
    assert.deepEqual(tokens.authorization_details[0].models, ["gpt-5-mini"]);
    assert.equal((await call(config, tokens)).status, 200);
  });
}

test("RFC 7591 §3.2.1: a client registers itself and connects", async () => {
  const metadata = { client_name: "Self-made app", redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "none" };
  const config = await client.dynamicClientRegistration(server, metadata, client.None(), insecure);
  assert.equal((await call(config, await connect(config))).status, 200);
});

test("RFC 7591 §3.2.1: a client that registers with a secret connects with it", async () => {
  const metadata = { client_name: "Server app", redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "client_secret_basic" };
  const config = await client.dynamicClientRegistration(server, metadata, undefined, insecure);
  assert.ok(config.clientMetadata().client_secret);
  assert.equal((await call(config, await connect(config))).status, 200);
});

test("Client ID Metadata Document: an app that nobody registered connects, known by what it publishes", async () => {
  const site = createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ client_id: id, client_name: "Published app", redirect_uris: [REDIRECT_URI] }));
  });
  await once(site.listen(0, "localhost"), "listening");
  const id = `http://localhost:${site.address().port}/client.json`;
  try {
    const config = await client.discovery(server, id, undefined, client.None(), insecure);
    assert.equal((await call(config, await connect(config))).status, 200);
  } finally {
    site.close();
  }
});

for (const alg of ["EdDSA", "ES256"]) {
  test(`RFC 7523 §2.2: a client that registers its key proves itself by it, to redeem and to refresh: ${alg}`, async () => {
    const generated = alg === "EdDSA" ? { name: "Ed25519" } : { name: "ECDSA", namedCurve: "P-256" };
    const { privateKey, publicKey } = await crypto.subtle.generateKey(generated, true, ["sign", "verify"]);
    const jwk = { ...(await crypto.subtle.exportKey("jwk", publicKey)), kid: "first", use: "sig", alg, key_ops: undefined, ext: undefined };
    const metadata = {
      client_name: "Key app",
      redirect_uris: [REDIRECT_URI],
      // RFC 7591 §2: without it, no refresh token.
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "private_key_jwt",
      jwks: { keys: [jwk] },
    };
    const config = await client.dynamicClientRegistration(server, metadata, client.PrivateKeyJwt({ key: privateKey, kid: "first" }), insecure);
    const tokens = await connect(config);
    assert.equal((await call(config, await client.refreshTokenGrant(config, tokens.refresh_token))).status, 200);
  });
}

test("RFC 8628 §3: a device without a browser connects", async () => {
  const config = await publicApp();
  const device = await client.initiateDeviceAuthorization(config, { scope: SCOPE });
  assert.ok(device.user_code && device.verification_uri);
  const polling = client.pollDeviceAuthorizationGrant(config, device, undefined, { signal: AbortSignal.timeout(30_000) });
  await decideForDevice(browser, device.verification_uri_complete, "allow");
  assert.equal((await call(config, await polling)).status, 200);
});

test("RFC 9449 §5, §7, §8: tokens bound to a key: at the token endpoint, at refresh, and at calls, with the server's nonces", async () => {
  const config = await publicApp();
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  const tokens = await connect(config, { options: { DPoP } });
  assert.equal(tokens.token_type, "dpop");
  assert.equal((await call(config, tokens, { DPoP })).status, 200);
  const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  assert.equal((await call(config, next, { DPoP })).status, 200);
  await assert.rejects(call(config, next), { status: 401 });
  const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  await assert.rejects(call(config, next, { DPoP: other }), { status: 401 });
});

test("RFC 7662 §2.2: introspection says active until the grant ends", async () => {
  const config = await serverApp();
  const tokens = await connect(config);
  const found = await client.tokenIntrospection(config, tokens.access_token);
  assert.deepEqual([found.active, found.client_id, found.iss], [true, confidential.client_id, broker.url]);
  await client.tokenRevocation(config, tokens.refresh_token);
  assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, false);
});

test("RFC 8693 §2: a token is exchanged for a narrower one", async () => {
  const config = await serverApp();
  const tokens = await connect(config, { asked: { authorization_details: JSON.stringify([{ ...DETAILS[0], models: ["*"] }]) } });
  const narrower = await client.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", {
    subject_token: tokens.access_token,
    subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
    authorization_details: JSON.stringify(DETAILS),
  });
  assert.equal(narrower.issued_token_type, "urn:ietf:params:oauth:token-type:access_token");
  assert.equal((await call(config, narrower)).status, 200);
  const other = { model: "gpt-5-nano" };
  assert.equal((await chat(broker, tokens.access_token, "hello", other)).status, 200);
  assertOpenAiError(await chat(broker, narrower.access_token, "hello", other), 403, "model_not_granted");
});

test("RFC 8707 §2.2: a resource that is not the broker's is refused at the token endpoint", async () => {
  const config = await publicApp();
  const atToken = { resource: "https://other.example/" };
  await assert.rejects(connect(config, { asked: { scope: SCOPE, resource: broker.url }, atToken }), { error: "invalid_target" });
});
