import assert from "node:assert/strict";
import { test } from "node:test";
import { assertOAuthError, assertOpenAiError, basic, chat, claims, postForm, refresh } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const other = await browser.register({ name: "Another app" });
const confidential = await browser.register({ name: "Server app", type: "confidential" });

const revoke = (fields, headers) => postForm(`${broker.url}/revoke`, { client_id: app.client_id, ...fields }, headers);
const works = async (token) => assert.equal((await chat(broker, token)).status, 200);

async function isOver(grant) {
  assertOpenAiError(await chat(broker, grant.access_token), 401, "invalid_token");
  assertOAuthError(await refresh(broker, app, grant.refresh_token), 400, "invalid_grant");
  const [{ revoked_at: at }] = await broker.sql("SELECT revoked_at FROM grants WHERE grant_id = ?", grant.grant_id);
  assert.ok(at > 0);
}

test("RFC 7009 §2.1: revoking the refresh token ends the grant, and with it the access token", async () => {
  const grant = await browser.grant(app);
  await works(grant.access_token);
  assert.equal((await revoke({ token: grant.refresh_token })).status, 200);
  await isOver(grant);
});

const isRefused = async (token) => assertOpenAiError(await chat(broker, token), 401, "invalid_token");

test("RFC 7009 §2.1: an access token that is revoked is refused from the next call on, and the refresh token leads on", async () => {
  const grant = await browser.grant(app);
  await works(grant.access_token);
  assert.equal((await revoke({ token: grant.access_token })).status, 200);
  await isRefused(grant.access_token);
  // At once, within the second in which the first one was issued.
  const { status, body } = await refresh(broker, app, grant.refresh_token);
  assert.equal(status, 200);
  await works(body.access_token);
  assert.ok(claims(body.access_token).iat > claims(grant.access_token).iat);
  await isRefused(grant.access_token);
  const [{ revoked_at: at }] = await broker.sql("SELECT revoked_at FROM grants WHERE grant_id = ?", grant.grant_id);
  assert.equal(at, null);
});

test("RFC 7009 §2.1: what was issued before a revoked access token goes with it, and what was issued later stays", async () => {
  const first = await browser.grant(app);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const second = (await refresh(broker, app, first.refresh_token)).body;
  assert.equal((await revoke({ token: first.access_token })).status, 200);
  await isRefused(first.access_token);
  await works(second.access_token);
  assert.equal((await revoke({ token: second.access_token })).status, 200);
  assert.equal((await revoke({ token: first.access_token })).status, 200);
  await isRefused(second.access_token);
});

test("a revoked access token stays refused after a restart", async () => {
  const grant = await browser.grant(app);
  assert.equal((await revoke({ token: grant.access_token })).status, 200);
  await broker.restart();
  await isRefused(grant.access_token);
  await works((await refresh(broker, app, grant.refresh_token)).body.access_token);
});

test("RFC 7009 §2.1: a wrong token_type_hint changes nothing", async () => {
  const grant = await browser.grant(app);
  assert.equal((await revoke({ token: grant.refresh_token, token_type_hint: "access_token" })).status, 200);
  await isOver(grant);
});

test("RFC 7009 §2.2: an unknown token is answered 200", async () => {
  for (const token of ["x", `aip_rt_${"A".repeat(49)}`, "eyJhbGciOiJFZERTQSJ9.e30.AAAA"])
    assert.equal((await revoke({ token })).status, 200);
});

test("RFC 7009 §2.2: revoking twice is answered 200 twice", async () => {
  const grant = await browser.grant(app);
  assert.equal((await revoke({ token: grant.refresh_token })).status, 200);
  assert.equal((await revoke({ token: grant.refresh_token })).status, 200);
});

test("RFC 7009 §2.2: another client's token is left alone, and answered like one that nobody knows", async () => {
  const grant = await browser.grant(app);
  const seen = ({ status, text, headers }) => [status, text, headers.get("content-type")];
  const unknown = seen(await revoke({ token: "x", client_id: other.client_id }));
  for (const token of [grant.refresh_token, grant.access_token]) {
    assert.deepEqual(seen(await revoke({ token, client_id: other.client_id })), unknown);
  }
  await works(grant.access_token);
  assert.equal((await refresh(broker, app, grant.refresh_token)).status, 200);
});

test("RFC 7009 §2.1: a confidential client must authenticate", async () => {
  const grant = await browser.grant(confidential);
  const client_id = confidential.client_id;
  assertOAuthError(await revoke({ token: grant.refresh_token, client_id }), 401, "invalid_client");
  await works(grant.access_token);
  const headers = { authorization: basic(client_id, confidential.client_secret) };
  assert.equal((await revoke({ token: grant.refresh_token, client_id: undefined }, headers)).status, 200);
  assertOpenAiError(await chat(broker, grant.access_token), 401, "invalid_token");
});

test("RFC 7009 §2.1: a missing token is refused", async () => {
  assertOAuthError(await revoke({}), 400, "invalid_request");
});

test("RFC 7009 §2.1: an unknown client is refused", async () => {
  assertOAuthError(await revoke({ token: "x", client_id: "nobody" }), 401, "invalid_client");
});

test("RFC 7009 §2.1: tokens are taken from the body alone", async () => {
  const grant = await browser.grant(app);
  const query = new URLSearchParams({ token: grant.refresh_token, client_id: app.client_id });
  const response = await fetch(`${broker.url}/revoke?${query}`);
  assert.equal(response.status, 405);
  await works(grant.access_token);
});
