// private_key_jwt: a client signs who it is (RFC 7523 §2.2 and §3), at every endpoint that clients authenticate at.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { base64url } from "../support/broker.mjs";
import { REDIRECT_URI, assertOAuthError, basic, chat, postForm, redeem, refresh } from "../support/flow.mjs";
import { Key, Prover, registerWithKeys } from "../support/keys.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const confidential = await browser.register({ name: "Server app", type: "confidential" });
const key = await Key.create();
const client = await registerWithKeys(broker, [key]);
const now = () => Math.floor(Date.now() / 1000);

const assertion = (options, by = key, id = client.client_id) => by.assertion(id, broker.url, options);
/** The tokens for a new code, with these fields beside it. */
const redeemWith = async (fields, { of = client, waiting, headers } = {}) =>
  redeem(broker, of, { ...(waiting ?? (await browser.code(of))), change: { client_id: undefined, ...fields }, headers });
/** Authenticates and no more: the refresh token isn't one. */
const authenticate = async (fields, headers) =>
  postForm(`${broker.url}/token`, { grant_type: "refresh_token", refresh_token: "x", ...fields }, headers);
const isAuthenticated = (answer) => assertOAuthError(answer, 400, "invalid_grant");

test("RFC 7523 §2.2: a signed assertion authenticates, from code to refresh", async () => {
  const { status, body, text } = await redeemWith(await assertion());
  assert.equal(status, 200, text);
  assert.equal((await chat(broker, body.access_token)).status, 200);
  const next = await refresh(broker, {}, body.refresh_token, await assertion());
  assert.equal(next.status, 200, next.text);
});

for (const alg of ["ES256", "EdDSA", "RS256", "PS256"]) {
  test(`RFC 7523 §3 point 9: it may be signed with ${alg}`, async () => {
    const own = await Key.create(alg);
    const { client_id: id } = await registerWithKeys(broker, [own]);
    isAuthenticated(await authenticate(await assertion({}, own, id)));
    isAuthenticated(await authenticate(await assertion({ header: { kid: undefined } }, own, id)));
  });
}

test("of several keys the one that kid names is meant", async () => {
  const keys = [await Key.create(), await Key.create(), await Key.create("EdDSA")];
  const { client_id: id } = await registerWithKeys(broker, keys);
  for (const one of keys) isAuthenticated(await authenticate(await assertion({}, one, id)));
  assertOAuthError(await authenticate(await assertion({ header: { kid: keys[0].jkt } }, keys[1], id)), 401, "invalid_client");
});

test("RFC 7521 §4.2: client_id may be sent too, and must be the same", async () => {
  isAuthenticated(await authenticate({ ...(await assertion()), client_id: client.client_id }));
  const answer = await authenticate({ ...(await assertion()), client_id: app.client_id });
  assert.ok([400, 401].includes(answer.status), answer.text);
  assert.match(answer.body.error, /^invalid_(client|request)$/);
});

test("RFC 7519 §4.1.3: aud may be a list with the issuer alone", async () => {
  isAuthenticated(await authenticate(await assertion({ change: { aud: [broker.url] } })));
});

test("RFC 7523 §3 point 7: an assertion is accepted once, at whichever endpoint", async () => {
  const once = await assertion();
  isAuthenticated(await authenticate(once));
  for (const path of ["/token", "/revoke", "/introspect"]) {
    assertOAuthError(
      await postForm(`${broker.url}${path}`, { token: "x", grant_type: "refresh_token", refresh_token: "x", ...once }),
      401,
      "invalid_client",
    );
  }
  const sameId = { change: { jti: "the-same" } };
  isAuthenticated(await authenticate(await assertion(sameId)));
  assertOAuthError(await authenticate(await assertion({ change: { jti: "the-same", exp: now() + 30 } })), 401, "invalid_client");
});

test("RFC 7523 §3 point 7: the jti of one client says nothing about another's", async () => {
  const own = await Key.create();
  const { client_id: id } = await registerWithKeys(broker, [own]);
  const change = { jti: "shared" };
  isAuthenticated(await authenticate(await assertion({ change })));
  isAuthenticated(await authenticate(await assertion({ change }, own, id)));
});

test("RFC 7523 §3 point 7: an assertion that was used is refused after a restart too", async () => {
  const once = await assertion();
  isAuthenticated(await authenticate(once));
  await broker.kill();
  assertOAuthError(await authenticate(once), 401, "invalid_client");
});

for (const [what, options] of Object.entries({
  "for the token endpoint (RFC 7523bis §4)": { change: { aud: `${broker.url}/token` } },
  "for another server (RFC 7523 §3 point 3)": { change: { aud: "https://evil.example" } },
  "for this server and another (RFC 7523bis §4)": { change: { aud: [broker.url, "https://evil.example"] } },
  "for nobody (RFC 7523 §3 point 3)": { change: { aud: undefined } },
  "that has expired (RFC 7523 §3 point 4)": { change: { exp: now() - 1 } },
  "without exp (RFC 7523 §3 point 4)": { change: { exp: undefined } },
  "that lives a day (RFC 7523 §3 point 4)": { change: { exp: now() + 86_400 } },
  "that is good from tomorrow on (RFC 7523 §3 point 5)": { change: { nbf: now() + 86_400 } },
  "that was made tomorrow (RFC 7523 §3 point 6)": { change: { iat: now() + 86_400 } },
  "without jti (OpenID Connect Core §9)": { change: { jti: undefined } },
  "with an empty jti (OpenID Connect Core §9)": { change: { jti: "" } },
  "without iss (RFC 7523 §3 point 1)": { change: { iss: undefined } },
  "without sub (RFC 7523 §3 point 2)": { change: { sub: undefined } },
  "of another issuer (OpenID Connect Core §9)": { change: { iss: app.client_id } },
  "that names a public client": { change: { iss: app.client_id, sub: app.client_id } },
  "that names a client with a secret": { change: { iss: confidential.client_id, sub: confidential.client_id } },
  "that names nobody who is known": { change: { iss: "nobody", sub: "nobody" } },
  "of an unknown kid": { header: { kid: "unknown" } },
  "of the type of a DPoP proof (RFC 8725 §3.11)": { header: { typ: "dpop+jwt" } },
  "of the type of an access token (RFC 8725 §3.11)": { header: { typ: "at+jwt" } },
})) {
  test(`an assertion ${what} authenticates nobody`, async () => {
    assertOAuthError(await authenticate(await assertion(options)), 401, "invalid_client");
  });
}

test("RFC 7523 §3 point 9: another key is refused, also where the text itself carries it", async () => {
  const wrong = await Key.create();
  for (const header of [
    { kid: key.jkt },
    { kid: undefined },
    { kid: key.jkt, jwk: wrong.jwk },
    { kid: undefined, jwk: wrong.jwk },
  ]) {
    assertOAuthError(await authenticate(await assertion({ header }, wrong)), 401, "invalid_client");
  }
});

test("the key of one client authenticates no other", async () => {
  const own = await Key.create();
  await registerWithKeys(broker, [own]);
  assertOAuthError(await authenticate(await assertion({}, own)), 401, "invalid_client");
});

for (const header of [{ alg: "none" }, { alg: "HS256" }, { alg: "ES384" }]) {
  test(`RFC 7523 §3 point 9: the algorithm ${header.alg} is refused`, async () => {
    const { client_assertion: good, ...type } = await assertion();
    const [, payload, signature] = good.split(".");
    for (const last of ["", signature]) {
      const text = `${base64url(JSON.stringify({ ...header, kid: key.jkt }))}.${payload}.${last}`;
      assertOAuthError(await authenticate({ ...type, client_assertion: text }), 401, "invalid_client");
    }
  });
}

for (const text of ["x", "a.b.c", "", `${"e".repeat(9000)}.e.e`]) {
  test(`what is no JWT is refused: ${text.length} characters`, async () => {
    const { client_assertion_type } = await assertion();
    const answer = await authenticate({ client_assertion_type, client_assertion: text });
    assert.ok([400, 401].includes(answer.status), answer.text);
    assert.match(answer.body.error, /^invalid_(client|request)$/);
  });
}

test("RFC 7521 §4.2: another client_assertion_type is refused, and none", async () => {
  const { client_assertion } = await assertion();
  const saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
  assertOAuthError(await authenticate({ client_assertion, client_assertion_type: saml }), 401, "invalid_client");
  assertOAuthError(await authenticate({ client_assertion }), 400, "invalid_request");
});

test("RFC 6749 §2.3: an assertion together with a secret is refused, in the body and in the header", async () => {
  const { client_secret } = confidential;
  assertOAuthError(await authenticate({ ...(await assertion()), client_secret }), 400, "invalid_request");
  const headers = { authorization: basic(client.client_id, client_secret) };
  assertOAuthError(await authenticate(await assertion(), headers), 400, "invalid_request");
});

test("a client that signs can not come with its name alone, or a secret", async () => {
  const { client_id } = client;
  assertOAuthError(await authenticate({ client_id }), 401, "invalid_client");
  assertOAuthError(await authenticate({ client_id, client_secret: confidential.client_secret }), 401, "invalid_client");
});

test("a client assertion that fails burns no code", async () => {
  const waiting = await browser.code(client);
  assertOAuthError(await redeemWith(await assertion({ change: { exp: now() - 1 } }), { waiting }), 401, "invalid_client");
  assert.equal((await redeemWith(await assertion(), { waiting })).status, 200);
});

test("RFC 7009 §2.1: at /revoke", async () => {
  const { body } = await redeemWith(await assertion());
  const revoke = async (fields) => postForm(`${broker.url}/revoke`, { token: body.refresh_token, ...fields });
  assertOAuthError(await revoke({ client_id: client.client_id }), 401, "invalid_client");
  assert.equal((await chat(broker, body.access_token)).status, 200);
  assert.equal((await revoke(await assertion())).status, 200);
  assert.equal((await chat(broker, body.access_token)).status, 401);
});

test("RFC 7662 §2.1: at /introspect", async () => {
  const { body } = await redeemWith(await assertion());
  const introspect = async (fields) => postForm(`${broker.url}/introspect`, { token: body.access_token, ...fields });
  assertOAuthError(await introspect({ client_id: client.client_id }), 401, "invalid_client");
  assert.equal((await introspect(await assertion())).body.active, true);
});

test("with a DPoP proof beside it: the second try brings a new assertion", async () => {
  const prover = await Prover.create(broker);
  const { code, verifier } = await browser.code(client);
  const fields = async () => ({
    grant_type: "authorization_code",
    code,
    code_verifier: verifier,
    redirect_uri: REDIRECT_URI,
    ...(await assertion()),
  });
  const { status, body, text } = await prover.form("/token", fields);
  assert.equal(status, 200, text);
  assert.equal(body.token_type, "DPoP");
  assert.equal((await prover.chat(body.access_token)).status, 200);
});

test("a generic OAuth client gets along with it: oauth4webapi's PrivateKeyJwt", async () => {
  const http = { [oauth.allowInsecureRequests]: true };
  const server = { issuer: broker.url, token_endpoint: `${broker.url}/token` };
  const own = { client_id: client.client_id };
  const { code, verifier } = await browser.code(client);
  const parameters = oauth.validateAuthResponse(
    server,
    own,
    new URLSearchParams({ code, iss: broker.url }),
    oauth.skipStateCheck,
  );
  const auth = oauth.PrivateKeyJwt({ key: key.privateKey, kid: key.jkt });
  const answer = await oauth.authorizationCodeGrantRequest(server, own, auth, parameters, REDIRECT_URI, verifier, http);
  const tokens = await oauth.processAuthorizationCodeResponse(server, own, answer);
  assert.equal((await chat(broker, tokens.access_token)).status, 200);
});
