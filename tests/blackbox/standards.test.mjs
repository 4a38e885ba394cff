// What docs/rfc.md asks for that belongs to no other file.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertOAuthError, authorizationRequest, call, claims, postForm, redeem } from "../support/flow.mjs";
import { Prover, nonceMadeAt } from "../support/keys.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();

test("RFC 6749 §5.1: what /token answers is kept by no cache of either age", async () => {
  const { status, headers } = await redeem(broker, app, await browser.code(app));
  assert.equal(status, 200);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.equal(headers.get("pragma"), "no-cache");
});

test("RFC 9449 §10.1: a proof at /par binds the code like dpop_jkt, and must not contradict it", async () => {
  const url = `${broker.url}/par`;
  const [prover, other] = [await Prover.create(broker), await Prover.create(broker)];
  const proof = () => prover.key.proof({ url, nonce: nonceMadeAt(broker, Date.now()) });
  const { url: query, verifier } = authorizationRequest(broker, app);

  const contradicted = new URLSearchParams(query.searchParams);
  contradicted.set("dpop_jkt", other.key.jkt);
  assertOAuthError(await postForm(url, contradicted, { dpop: await proof() }), 400, "invalid_dpop_proof");

  const agreed = new URLSearchParams(query.searchParams);
  agreed.set("dpop_jkt", prover.key.jkt);
  assert.equal((await postForm(url, agreed, { dpop: await proof() })).status, 201);

  const pushed = await postForm(url, query.searchParams, { dpop: await proof() });
  assert.equal(pushed.status, 201, pushed.text);
  const link = new URL("/authorize", broker.url);
  link.searchParams.set("client_id", app.client_id);
  link.searchParams.set("request_uri", pushed.body.request_uri);
  const { page } = await browser.get(link);
  const form = page.form("/authorize").tick("no_budget").press("decision", "allow");
  const { location } = await browser.submit(form);
  const waiting = { code: location.searchParams.get("code"), verifier };
  assertOAuthError(await redeem(broker, app, waiting), 400, "invalid_dpop_proof");
  assertOAuthError(await other.redeem(app, waiting), 400, "invalid_dpop_proof");
  const { status, body } = await prover.redeem(app, waiting);
  assert.equal(status, 200, "the others burnt nothing");
  assert.deepEqual(claims(body.access_token).cnf, { jkt: prover.key.jkt });
});

test("RFC 9449 §10.1: a proof at /par that is no good is refused, and one without a nonce is told one", async () => {
  const url = `${broker.url}/par`;
  const prover = await Prover.create(broker);
  const { url: query } = authorizationRequest(broker, app);
  const without = await postForm(url, query.searchParams, { dpop: await prover.key.proof({ url }) });
  assertOAuthError(without, 400, "use_dpop_nonce");
  assert.ok(without.headers.get("dpop-nonce"));
  const elsewhere = await prover.key.proof({ url: `${broker.url}/token`, nonce: without.headers.get("dpop-nonce") });
  assertOAuthError(await postForm(url, query.searchParams, { dpop: elsewhere }), 400, "invalid_dpop_proof");
});

test("RFC 6749 §5.1: a scope of which less was granted than asked is in the answer", async () => {
  const asked = { scope: "openai:chat anthropic:chat" };
  const whole = await browser.grant(app, asked);
  assert.deepEqual(whole.scope.split(" ").sort(), ["anthropic:chat", "openai:chat"]);
  const less = await browser.grant(app, { ...asked, edit: (form) => form.untick("p1.on") });
  assert.equal(less.scope, "openai:chat");
  assert.equal(claims(less.access_token).scope, "openai:chat", "RFC 9068 §2.2.3");
});

test("RFC 9449 §7.1: the challenge for DPoP names the algorithms of proofs, those of the metadata", async () => {
  const { headers } = await call(broker, null, "/openai/v1/models", { method: "GET" });
  const [, names] = /DPoP [^,]*(?:, error="[^"]*")?, algs="([^"]+)"/.exec(headers.get("www-authenticate")) ?? [];
  const metadata = await (await fetch(`${broker.url}/.well-known/oauth-authorization-server`)).json();
  assert.deepEqual(names?.split(" "), metadata.dpop_signing_alg_values_supported);
});
