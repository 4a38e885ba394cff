// DPoP at the token endpoint (RFC 9449): whoever proves a key gets tokens that are worth nothing without it.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { base64url, newSigningKey } from "../support/broker.mjs";
import {
  REDIRECT_URI,
  assertOAuthError,
  authorizationRequest,
  chat,
  claims,
  postForm,
  redeem,
  refresh,
} from "../support/flow.mjs";
import { Key, Prover, nonceMadeAt } from "../support/keys.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const confidential = await browser.register({ name: "Server app", type: "confidential" });
const strict = await browser.register({ name: "Strict app" });
await broker.sql("UPDATE clients SET requires_dpop = 1 WHERE client_id = ?", strict.client_id);
const prover = await Prover.create(broker);
const other = await Prover.create(broker);
const url = `${broker.url}/token`;
const NONCE = /^[\w-]{32}$/;

/** The answer to a code that comes with this header. */
const redeemWith = async (dpop, waiting, client = app) =>
  redeem(broker, client, { ...(waiting ?? (await browser.code(client))), headers: { dpop } });
const freshNonce = () => nonceMadeAt(broker, Date.now());

test("RFC 9449 §8: a proof without a nonce is answered with one, and burns nothing", async () => {
  const waiting = await browser.code(app);
  const answer = await redeemWith(await prover.key.proof({ url }), waiting);
  assertOAuthError(answer, 400, "use_dpop_nonce");
  const nonce = answer.headers.get("dpop-nonce");
  assert.match(nonce, NONCE);
  const { status, body } = await redeemWith(await prover.key.proof({ url, nonce }), waiting);
  assert.equal(status, 200);
  assert.equal(body.token_type, "DPoP");
  assert.deepEqual(claims(body.access_token).cnf, { jkt: prover.key.jkt });
});

test("RFC 9449 §5: without a proof tokens are Bearer tokens, bound to nothing", async () => {
  const { body } = await redeem(broker, app, await browser.code(app));
  assert.equal(body.token_type, "Bearer");
  assert.equal(claims(body.access_token).cnf, undefined);
});

for (const alg of ["ES256", "EdDSA", "RS256", "PS256"]) {
  test(`RFC 9449 §4.2: a proof may be signed with ${alg}`, async () => {
    const own = await Prover.create(broker, alg);
    const granted = await own.grant(browser, app);
    assert.equal(claims(granted.access_token).cnf.jkt, own.key.jkt);
  });
}

test("RFC 9449 §11.1: a proof is accepted once", async () => {
  const dpop = await prover.key.proof({ url, nonce: freshNonce() });
  assert.equal((await redeemWith(dpop)).status, 200);
  const waiting = await browser.code(app);
  assertOAuthError(await redeemWith(dpop, waiting), 400, "invalid_dpop_proof");
  assert.equal((await redeemWith(await prover.key.proof({ url, nonce: freshNonce() }), waiting)).status, 200);
});

test("RFC 9449 §11.1: a proof is known by its jti, not by its text", async () => {
  const change = { jti: "the-same" };
  assert.equal((await redeemWith(await prover.key.proof({ url, nonce: freshNonce(), change }))).status, 200);
  const again = await prover.key.proof({ url: `${url}?x`, nonce: freshNonce(), change });
  assertOAuthError(await redeemWith(again), 400, "invalid_dpop_proof");
  const others = await other.key.proof({ url, nonce: freshNonce(), change });
  assert.equal((await redeemWith(others)).status, 200, "another key may use the same jti");
});

test("RFC 9449 §11.1: a proof that was used is refused after a restart too", async () => {
  const dpop = await prover.key.proof({ url, nonce: freshNonce() });
  assert.equal((await redeemWith(dpop)).status, 200);
  await broker.kill();
  assertOAuthError(await redeemWith(dpop), 400, "invalid_dpop_proof");
});

const jwk = await Key.create();
const now = () => Math.floor(Date.now() / 1000);
for (const [what, options] of Object.entries({
  "another method (§4.3 point 8)": { method: "GET" },
  "the method in lower case (§4.3 point 8)": { method: "post" },
  "another endpoint (§4.3 point 9)": { url: `${broker.url}/revoke` },
  "another host (§4.3 point 9)": { url: "https://evil.example/token" },
  "another port (§4.3 point 9)": { url: `http://localhost:${broker.port + 1}/token` },
  "no address (§4.3 point 9)": { change: { htu: "/token" } },
  "another key than it names (§4.3 point 6)": { header: { jwk: jwk.jwk } },
  "a private key in its header (§4.3 point 7)": { header: { jwk: prover.key.privateJwk } },
  "no key in its header (§4.2)": { header: { jwk: undefined, kid: "k" } },
  "another typ (§4.3 point 4)": { header: { typ: "JWT" } },
  "no typ (§4.3 point 4)": { header: { typ: undefined } },
  "no jti (§4.2)": { change: { jti: undefined } },
  "no htm (§4.2)": { change: { htm: undefined } },
  "no htu (§4.2)": { change: { htu: undefined } },
  "no iat (§4.2)": { change: { iat: undefined } },
  "an iat ten minutes ago (§4.3 point 11)": { change: { iat: now() - 600 } },
  "an iat ten minutes ahead (§4.3 point 11)": { change: { iat: now() + 600 } },
  "a jti of 4 KiB (§4.2)": { change: { jti: "j".repeat(4096) } },
})) {
  test(`RFC 9449: a proof with ${what} is refused, and burns nothing`, async () => {
    const waiting = await browser.code(app);
    const dpop = await prover.key.proof({ url, nonce: freshNonce(), ...options });
    assertOAuthError(await redeemWith(dpop, waiting), 400, "invalid_dpop_proof");
    assert.equal((await redeem(broker, app, waiting)).status, 200);
  });
}

/** A text that looks like a proof, with whatever signature. */
const unsigned = (header, signature = "") => {
  const payload = { jti: "x", htm: "POST", htu: url, iat: now(), nonce: freshNonce() };
  return `${[{ typ: "dpop+jwt", ...header }, payload].map((part) => base64url(JSON.stringify(part))).join(".")}.${signature}`;
};

for (const [what, dpop] of Object.entries({
  "the algorithm none (§4.3 point 5)": unsigned({ alg: "none", jwk: jwk.jwk }),
  "a symmetric algorithm (§4.3 point 5)": unsigned({ alg: "HS256", jwk: { kty: "oct", k: "AAAA" } }, "AAAA"),
  "a signature of zeros (§4.3 point 6)": unsigned({ alg: "ES256", jwk: jwk.jwk }, base64url(Buffer.alloc(64))),
  "no signature (§4.3 point 6)": unsigned({ alg: "ES256", jwk: jwk.jwk }),
  "a signing key of the broker's kind, not its own": unsigned(
    { alg: "EdDSA", jwk: { ...newSigningKey(), d: undefined } },
    base64url(Buffer.alloc(64)),
  ),
  "no JWT in it (§4.3 point 2)": "x",
})) {
  test(`RFC 9449: a proof with ${what} is refused`, async () => {
    assertOAuthError(await redeemWith(dpop), 400, "invalid_dpop_proof");
  });
}

test("RFC 9449 §4.3 point 1: two proofs are refused", async () => {
  const one = await prover.key.proof({ url, nonce: freshNonce() });
  const two = await prover.key.proof({ url, nonce: freshNonce() });
  assertOAuthError(await redeemWith(`${one}, ${two}`), 400, "invalid_dpop_proof");
});

for (const [what, nonce] of Object.entries({
  "five minutes old": nonceMadeAt(broker, Date.now() - 300_000),
  "from the future": nonceMadeAt(broker, Date.now() + 3_600_000),
  "not the broker's": base64url(Buffer.alloc(24)),
  "made with another key": nonceMadeAt({ secrets: { COOKIE_KEY: base64url(Buffer.alloc(32)) } }, Date.now()),
  empty: "",
})) {
  test(`RFC 9449 §8: a nonce that is ${what} is answered with a new one`, async () => {
    const answer = await redeemWith(await prover.key.proof({ url, nonce }));
    assertOAuthError(answer, 400, "use_dpop_nonce");
    assert.match(answer.headers.get("dpop-nonce"), NONCE);
  });
}

test("RFC 9449 §8.2: with a nonce that gets old the answer brings the next one", async () => {
  const old = await redeemWith(await prover.key.proof({ url, nonce: nonceMadeAt(broker, Date.now() - 120_000) }));
  assert.equal(old.status, 200);
  assert.match(old.headers.get("dpop-nonce"), NONCE);
  const young = await redeemWith(await prover.key.proof({ url, nonce: freshNonce() }));
  assert.equal(young.headers.get("dpop-nonce"), null);
});

test("RFC 9449 §9: a browser app may send proofs and read nonces", async () => {
  const asks = {
    origin: "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "dpop",
  };
  const preflight = await fetch(url, { method: "OPTIONS", headers: asks });
  assert.match(preflight.headers.get("access-control-allow-headers"), /\bdpop\b/i);
  const answer = await redeemWith(await prover.key.proof({ url }));
  assert.match(answer.headers.get("access-control-expose-headers"), /\bdpop-nonce\b/i);
});

// Codes that are bound to a key.

test("RFC 9449 §10: dpop_jkt binds the code to its key", async () => {
  const change = { dpop_jkt: prover.key.jkt };
  const waiting = await browser.code(app, { change });
  const without = await redeem(broker, app, waiting);
  assertOAuthError(without, 400, "invalid_dpop_proof");
  assert.match(without.headers.get("dpop-nonce"), NONCE);
  assertOAuthError(await other.redeem(app, waiting), 400, "invalid_dpop_proof");
  assert.equal((await prover.redeem(app, waiting)).status, 200, "the others burnt nothing");
});

test("RFC 9449 §10: a malformed dpop_jkt is refused at /authorize", async () => {
  for (const jkt of ["short", "A".repeat(44), `${"A".repeat(42)}!`]) {
    const { location } = await browser.get(authorizationRequest(broker, app, { change: { dpop_jkt: jkt } }).url);
    assert.equal(location?.searchParams.get("error"), "invalid_request");
  }
});

// Refresh tokens.

test("RFC 9449 §5: the refresh token of a public client is bound to its key", async () => {
  const granted = await prover.grant(browser, app);
  assertOAuthError(await refresh(broker, app, granted.refresh_token), 400, "invalid_dpop_proof");
  assertOAuthError(await other.refresh(app, granted.refresh_token), 400, "invalid_dpop_proof");
  const next = await prover.refresh(app, granted.refresh_token);
  assert.equal(next.status, 200, next.text);
  assert.equal(claims(next.body.access_token).cnf.jkt, prover.key.jkt);
  assertOAuthError(await other.refresh(app, next.body.refresh_token), 400, "invalid_dpop_proof");
  assert.equal((await prover.refresh(app, next.body.refresh_token)).status, 200, "the binding goes with the rotation");
});

test("RFC 9449 §5: that of a confidential client is not: it proves who it is each time", async () => {
  const granted = await prover.grant(browser, confidential);
  assert.equal(claims(granted.access_token).cnf.jkt, prover.key.jkt);
  const next = await other.refresh(confidential, granted.refresh_token);
  assert.equal(claims(next.body.access_token).cnf.jkt, other.key.jkt);
  const last = await refresh(broker, confidential, next.body.refresh_token);
  assert.equal(last.body.token_type, "Bearer");
});

test("a public client that begins to prove a key keeps it from then on", async () => {
  const { refresh_token: first } = await browser.grant(app);
  const { body } = await prover.refresh(app, first);
  assert.equal(body.token_type, "DPoP");
  assertOAuthError(await refresh(broker, app, body.refresh_token), 400, "invalid_dpop_proof");
});

// A client that is registered for DPoP alone.

test("RFC 9449 §5.2: a client that is registered for bound tokens gets no others", async () => {
  const waiting = await browser.code(strict);
  const answer = await redeem(broker, strict, waiting);
  assertOAuthError(answer, 400, "invalid_dpop_proof");
  assert.match(answer.headers.get("dpop-nonce"), NONCE);
  const { status, access_token: token, refresh_token: next } = await prover.redeem(strict, waiting);
  assert.equal(status, 200);
  assertOAuthError(await refresh(broker, strict, next), 400, "invalid_dpop_proof");
  assert.equal((await prover.chat(token)).status, 200);
});

test("RFC 9449 §7.2: a bound token that was stolen is worth nothing", async () => {
  const { access_token: token } = await prover.grant(browser, app);
  assert.equal((await chat(broker, token)).status, 401);
  assert.equal((await other.chat(token)).status, 401);
});

test("RFC 7009 §2: whoever has to get rid of a bound token needs no proof", async () => {
  const { access_token: token } = await prover.grant(browser, app);
  assert.equal((await postForm(`${broker.url}/revoke`, { token, client_id: app.client_id })).status, 200);
  assert.equal((await prover.chat(token)).code, "invalid_token");
});

test("a generic OAuth client gets along with it: oauth4webapi's DPoP", async () => {
  const http = { [oauth.allowInsecureRequests]: true };
  const server = { issuer: broker.url, token_endpoint: url };
  const client = { client_id: app.client_id };
  const { code, verifier } = await browser.code(app);
  const parameters = oauth.validateAuthResponse(
    server,
    client,
    new URLSearchParams({ code, iss: broker.url }),
    oauth.skipStateCheck,
  );
  const dpop = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
  const ask = async () => {
    const answer = await oauth.authorizationCodeGrantRequest(server, client, oauth.None(), parameters, REDIRECT_URI, verifier, {
      DPoP: dpop,
      ...http,
    });
    return oauth.processAuthorizationCodeResponse(server, client, answer);
  };
  const tokens = await ask().catch((error) => {
    assert.ok(oauth.isDPoPNonceError(error), String(error));
    return ask();
  });
  assert.equal(tokens.token_type, "dpop");
  const list = new URL(`${broker.url}/openai/v1/models`);
  const answer = await oauth.protectedResourceRequest(tokens.access_token, "GET", list, new Headers(), null, {
    DPoP: dpop,
    ...http,
  });
  assert.equal(answer.status, 200);
});
