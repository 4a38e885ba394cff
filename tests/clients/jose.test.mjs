// https://github.com/panva/jose: what a service that trusts the broker does with an access token.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { newSigningKey } from "../support/broker.mjs";
import { REDIRECT_URI } from "../support/flow.mjs";
import { startClients } from "./person.mjs";

const { broker, browser, app } = await startClients();
const keys = createRemoteJWKSet(new URL(`${broker.url}/jwks.json`));
const expected = { issuer: broker.url, audience: broker.url, typ: "at+jwt", algorithms: ["EdDSA"] };
const required = { requiredClaims: ["sub", "client_id", "iat", "exp", "jti", "grant_id"] };
const JSON_TYPE = { "content-type": "application/json" };
const { access_token: token } = await browser.grant(app);

test("RFC 9068 §4: an access token verifies by the published keys, with type, issuer and audience", async () => {
  const { payload, protectedHeader } = await jwtVerify(token, keys, { ...expected, ...required });
  assert.deepEqual([payload.client_id, protectedHeader.typ, protectedHeader.alg], [app.client_id, "at+jwt", "EdDSA"]);
});

test("RFC 9068 §2.1: an app that asked for ES256 at its registration gets tokens that verify with it alone", async () => {
  const metadata = { redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "none", access_token_signed_response_alg: "ES256" };
  const answer = await fetch(`${broker.url}/register`, { method: "POST", body: JSON.stringify(metadata), headers: JSON_TYPE });
  const { client_id: id } = await answer.json();
  const { access_token: signed } = await browser.grant({ client_id: id, redirect_uri: REDIRECT_URI });
  const { protectedHeader } = await jwtVerify(signed, keys, { ...expected, algorithms: ["ES256"], ...required });
  assert.equal(protectedHeader.alg, "ES256");
  await assert.rejects(jwtVerify(signed, keys, expected), { code: "ERR_JOSE_ALG_NOT_ALLOWED" });
});

test("RFC 8707 §2.2: a token for one resource has that as its audience, and no other", async () => {
  const resource = `${broker.url}/openai/v1`;
  const { access_token: narrowed } = await browser.grant(app, { change: { resource } });
  await jwtVerify(narrowed, keys, { ...expected, audience: resource, ...required });
  await assert.rejects(jwtVerify(narrowed, keys, expected), { claim: "aud" });
});

test("a change of one letter of the signature is noticed", async () => {
  const at = token.lastIndexOf(".") + 10;
  const changed = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
  await assert.rejects(jwtVerify(changed, keys, expected), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
});

test("RFC 9068 §2.2: it is for nobody else", async () => {
  await assert.rejects(jwtVerify(token, keys, { ...expected, audience: "https://other.example" }), { claim: "aud" });
});

test("RFC 7517 §5: after a rotation of keys the token of before and that of after verify", async () => {
  const old = JSON.parse(broker.secrets.SIGNING_KEYS).keys;
  await broker.restart({ SIGNING_KEYS: JSON.stringify({ keys: [newSigningKey(), ...old] }) });
  const fresh = createRemoteJWKSet(new URL(`${broker.url}/jwks.json`));
  const after = await browser.grant(app);
  const [before, now] = await Promise.all([token, after.access_token].map((one) => jwtVerify(one, fresh, expected)));
  assert.notEqual(before.protectedHeader.kid, now.protectedHeader.kid);
});
