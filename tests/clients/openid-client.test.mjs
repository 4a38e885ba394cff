// https://github.com/panva/openid-client: the whole flow at a glance, as a server app would use it.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as client from "openid-client";
import { REDIRECT_URI, assertOpenAiError, chat, chatBody } from "../support/flow.mjs";
import { DETAILS, SCOPE, allow, deny, startClients } from "./person.mjs";

const { broker, browser, app, confidential } = await startClients();

const discover = ({ client_id: id }, authentication, metadata) =>
  client.discovery(new URL(broker.url), id, metadata, authentication, { algorithm: "oauth2", execute: [client.allowInsecureRequests] });

const KINDS = {
  "without a secret": () => discover(app, client.None()),
  "with client_secret_basic": () => discover(confidential, client.ClientSecretBasic(confidential.client_secret)),
  "with client_secret_post": () => discover(confidential, client.ClientSecretPost(confidential.client_secret)),
};

async function request(config, asked = { scope: SCOPE }) {
  const [pkceCodeVerifier, expectedState] = [client.randomPKCECodeVerifier(), client.randomState()];
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    ...asked,
  });
  return { url, checks: { pkceCodeVerifier, expectedState } };
}

async function connect(config, asked) {
  const { url, checks } = await request(config, asked);
  return client.authorizationCodeGrant(config, await allow(browser, url), checks);
}

for (const [what, discovered] of Object.entries(KINDS)) {
  test(`an app ${what} connects, calls, refreshes and revokes`, async () => {
    const config = await discovered();
    const first = await connect(config);
    assert.ok(first.expiresIn() > 0);
    const body = JSON.stringify(chatBody());
    const headers = new Headers({ "content-type": "application/json" });
    const address = new URL(`${broker.url}/openai/v1/chat/completions`);
    const call = (tokens) => client.fetchProtectedResource(config, tokens.access_token, address, "POST", body, headers);
    assert.equal((await call(first)).status, 200);
    const second = await client.refreshTokenGrant(config, first.refresh_token);
    assert.equal((await call(second)).status, 200);
    await client.tokenRevocation(config, second.refresh_token);
    // RFC 6750 §3: the library reads the challenge of the gateway too.
    await assert.rejects(call(second), (error) => error instanceof client.WWWAuthenticateChallengeError && error.status === 401);
    assertOpenAiError(await chat(broker, second.access_token), 401, "invalid_token");
    await assert.rejects(client.refreshTokenGrant(config, second.refresh_token), { error: "invalid_grant" });
  });
}

test("RFC 9396 §7: authorization_details come back as granted", async () => {
  const asked = { authorization_details: JSON.stringify(DETAILS) };
  const [granted] = (await connect(await KINDS["without a secret"](), asked)).authorization_details;
  assert.deepEqual([granted.models, granted.capabilities, granted.base_url], [["gpt-5-mini"], ["chat"], `${broker.url}/openai/v1`]);
});

test("RFC 6749 §4.1.2.1: a refusal arrives as access_denied", async () => {
  const config = await KINDS["without a secret"]();
  const { url, checks } = await request(config);
  await assert.rejects(client.authorizationCodeGrant(config, await deny(browser, url), checks), { error: "access_denied" });
});

test("RFC 6749 §5.2: a wrong secret is refused", async () => {
  const config = await discover(confidential, client.ClientSecretPost("wrong"));
  await assert.rejects(connect(config), { error: "invalid_client", status: 401 });
});
