// What may be used once is used once, however many come at the same moment.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertOAuthError, assertOpenAiError, call, chat, chatBody, postForm, redeem, refresh } from "../support/flow.mjs";
import { Key, Prover, nonceMadeAt, registerWithKeys } from "../support/keys.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app, standin } = await startWorld();
const confidential = await browser.register({ name: "Server app", type: "confidential" });
const MANY = 50;
const many = (attempt) => Promise.all(Array.from({ length: MANY }, (_, i) => attempt(i)));

/** The one that succeeded; every other was refused so. */
function theOnly(answers, assertRefused) {
  const [winner, ...more] = answers.filter(({ status }) => status === 200);
  assert.ok(winner, "one wins");
  assert.equal(more.length, 0, "one alone");
  for (const answer of answers) if (answer !== winner) assertRefused(answer);
  return winner;
}

const invalidGrant = (answer) => assertOAuthError(answer, 400, "invalid_grant");

test(`RFC 6749 §4.1.2: of ${MANY} who redeem one code one gets tokens, and they are worth nothing any more`, async () => {
  const waiting = await browser.code(app);
  const { body } = theOnly(await many(() => redeem(broker, app, waiting)), invalidGrant);
  assertOpenAiError(await chat(broker, body.access_token), 401, "invalid_token");
  invalidGrant(await refresh(broker, app, body.refresh_token));
});

test(`RFC 9700 §4.14.2: of ${MANY} who refresh with one token one gets tokens, and they are worth nothing any more`, async () => {
  const first = await browser.grant(app);
  const { body } = theOnly(await many(() => refresh(broker, app, first.refresh_token)), invalidGrant);
  for (const token of [first.access_token, body.access_token]) assertOpenAiError(await chat(broker, token), 401, "invalid_token");
  invalidGrant(await refresh(broker, app, body.refresh_token));
});

test(`RFC 9449 §11.1: of ${MANY} requests to /token with one proof one succeeds, and no grant ends`, async () => {
  const prover = await Prover.create(broker);
  const nonce = nonceMadeAt(broker, Date.now());
  const dpop = await prover.key.proof({ url: `${broker.url}/token`, nonce });
  // That each has a refresh token of its own shows that it is the proof that is used up.
  const grants = [];
  for (let i = 0; i < 10; i += 1) grants.push(await browser.grant(confidential));
  const { client_id, client_secret } = confidential;
  const ask = (i) => {
    const fields = {
      grant_type: "refresh_token",
      refresh_token: grants[i % grants.length].refresh_token,
      client_id,
      client_secret,
    };
    return postForm(`${broker.url}/token`, fields, { dpop });
  };
  const { body } = theOnly(await many(ask), (answer) => assertOAuthError(answer, 400, "invalid_dpop_proof"));
  assert.equal((await prover.chat(body.access_token)).status, 200);
  for (const { access_token: token } of grants) assert.equal((await chat(broker, token)).status, 200);
});

test(`RFC 9449 §11.1: of ${MANY} calls with one proof one arrives upstream`, async () => {
  const prover = await Prover.create(broker);
  const { access_token: token } = await prover.grant(browser, app);
  const path = "/openai/v1/chat/completions";
  const dpop = await prover.key.proof({ url: `${broker.url}${path}`, nonce: nonceMadeAt(broker, Date.now()), token });
  const headers = { authorization: `DPoP ${token}`, dpop };
  const before = standin.requests.length;
  const answers = await many((i) => call(broker, null, path, { body: chatBody(`marker-proof ${i}`), headers }));
  theOnly(answers, (answer) => assertOpenAiError(answer, 401, "invalid_dpop_proof"));
  await until(() => standin.requests.length > before, "the call arrives");
  assert.equal(standin.requests.length, before + 1);
});

test(`RFC 7523 §3 point 7: of ${MANY} requests with one client assertion one is authenticated`, async () => {
  const key = await Key.create();
  const client = await registerWithKeys(broker, [key]);
  const assertion = await key.assertion(client.client_id, broker.url);
  const answers = await many(() => postForm(`${broker.url}/introspect`, { token: "x", ...assertion }));
  const { body } = theOnly(answers, (answer) => assertOAuthError(answer, 401, "invalid_client"));
  assert.deepEqual(body, { active: false });
});

test(`RFC 7523 §3 point 7: of ${MANY} who redeem one code with one assertion one gets tokens, and keeps them`, async () => {
  const key = await Key.create();
  const client = await registerWithKeys(broker, [key]);
  const waiting = await browser.code(client);
  const assertion = await key.assertion(client.client_id, broker.url);
  const ask = () => redeem(broker, client, { ...waiting, change: { client_id: undefined, ...assertion } });
  const { body } = theOnly(await many(ask), (answer) => assertOAuthError(answer, 401, "invalid_client"));
  assert.equal((await chat(broker, body.access_token)).status, 200, "who was not authenticated ends nothing");
});
