// Tokens that may do less than their grant: authorization_details (RFC 9396 §6), scope (RFC 6749 §6) and resource (RFC 8707) at /token.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DETAILS,
  assertAnthropicError,
  assertOAuthError,
  assertOpenAiError,
  call,
  chat,
  claims,
  messages,
  redeem,
  refresh,
} from "../support/flow.mjs";
import { startWorld, useUp } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const [OPENAI, ANTHROPIC] = DETAILS;
const NARROW = { type: "ai_access", provider: "openai", models: ["gpt-5-mini"], capabilities: ["chat"] };
const SCOPES = { scope: "openai:chat openai:embeddings anthropic:chat" };
const OPENAI_URL = `${broker.url}/openai/v1`;
const ANTHROPIC_URL = `${broker.url}/anthropic`;

const embeddings = (token) => call(broker, token, "/openai/v1/embeddings", { body: { model: "gpt-5-mini", input: "x" } });
const works = (answer) => assert.equal(answer.status, 200, answer.text);
const audience = (token) => [claims(token).aud].flat();

/** Each way to a token for a part of a grant: what it takes, and the answer to a request with `change`. */
const WAYS = {
  "at the redemption of a code": async (change, options) => {
    const waiting = await browser.code(app, options);
    return { again: () => redeem(broker, app, waiting), answer: await redeem(broker, app, { ...waiting, change }) };
  },
  "at a refresh": async (change, options) => {
    const { refresh_token: token } = await browser.grant(app, options);
    return { again: () => refresh(broker, app, token), answer: await refresh(broker, app, token, change) };
  },
};

for (const [when, get] of Object.entries(WAYS)) {
  const narrow = async (details, options) => (await get({ authorization_details: JSON.stringify(details) }, options)).answer;

  test(`RFC 9396 §6: ${when} authorization_details narrow the token, and that is enforced`, async () => {
    const { status, body, text } = await narrow([NARROW]);
    assert.equal(status, 200, text);
    assert.deepEqual(body.authorization_details, [{ ...NARROW, base_url: OPENAI_URL }]);
    const { access_token: token } = body;
    works(await chat(broker, token));
    assertOpenAiError(await chat(broker, token, "x", { model: "gpt-5.1" }), 403, "model_not_granted");
    assertOpenAiError(await embeddings(token), 403, "capability_not_granted");
    assertAnthropicError(await messages(broker, token), 403, "provider_not_granted");
  });

  test(`RFC 9396 §6: the next token after one that was narrowed ${when} is for all that was granted`, async () => {
    const { body } = await narrow([NARROW]);
    const next = await refresh(broker, app, body.refresh_token);
    works(await messages(broker, next.body.access_token));
    works(await embeddings(next.body.access_token));
    assert.equal(next.body.authorization_details.length, 2);
  });

  test(`the list of models is that of the token that was narrowed ${when}`, async () => {
    const { body } = await narrow([NARROW], { details: [{ ...OPENAI, models: ["gpt-5*"] }] });
    const { body: list } = await call(broker, body.access_token, "/openai/v1/models", { method: "GET" });
    assert.deepEqual(
      list.data.map(({ id }) => id),
      ["gpt-5-mini"],
    );
  });

  for (const [what, details] of Object.entries({
    "another model": [{ ...NARROW, models: ["gpt-5-pro"] }],
    "every model": [{ ...NARROW, models: ["*"] }],
    "a wider pattern": [{ ...NARROW, models: ["gpt-5*"] }],
    "another capability": [{ ...NARROW, capabilities: ["chat", "images"] }],
    "another entry": [NARROW, { ...ANTHROPIC, models: ["*"] }],
    "limits of its own": [{ ...NARROW, limits: { requests: 1 } }],
    "limits over everything": [NARROW, { type: "ai_limits", budget_usd: "1.00" }],
    "an unknown type": [{ type: "payment" }],
    "an unknown field": [{ ...NARROW, until: "tomorrow" }],
    nothing: [],
  })) {
    test(`RFC 9396 §6: ${when} ${what} can not be asked for, and trying burns nothing`, async () => {
      const { answer, again } = await get({ authorization_details: JSON.stringify(details) });
      assertOAuthError(answer, 400, "invalid_authorization_details");
      works(await again());
    });
  }

  test(`the limits that were granted may be repeated ${when}, and are those of the grant`, async () => {
    const limits = { requests: 2 };
    const options = { details: [{ ...OPENAI, limits }, ANTHROPIC] };
    const { status, body, text } = await narrow([{ ...NARROW, limits }], options);
    assert.equal(status, 200, text);
    assert.deepEqual(body.authorization_details[0].limits, limits);
    assert.equal(await useUp(broker, body.access_token), 2);
    const next = await refresh(broker, app, body.refresh_token);
    assert.notEqual((await chat(broker, next.body.access_token)).status, 200, "one count for all tokens of the grant");
  });

  test(`RFC 6749 §6: ${when} scope narrows the token, and that is enforced`, async () => {
    const { answer } = await get({ scope: "openai:chat" }, SCOPES);
    assert.equal(answer.status, 200, answer.text);
    const { access_token: token, scope } = answer.body;
    assert.deepEqual([scope, claims(token).scope], ["openai:chat", "openai:chat"]);
    works(await chat(broker, token));
    assertOpenAiError(await embeddings(token), 403, "capability_not_granted");
    assertAnthropicError(await messages(broker, token), 403, "provider_not_granted");
    const { body } = await refresh(broker, app, answer.body.refresh_token);
    works(await embeddings(body.access_token));
  });

  test(`RFC 6749 §3.3: ${when} a scope that is partly wider is narrowed to what was granted of it`, async () => {
    const { answer } = await get({ scope: "openai:chat openai:images anthropic:images" }, SCOPES);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual([answer.body.scope, claims(answer.body.access_token).scope], ["openai:chat", "openai:chat"]);
    works(await chat(broker, answer.body.access_token));
    assertOpenAiError(await embeddings(answer.body.access_token), 403, "capability_not_granted");
    assertAnthropicError(await messages(broker, answer.body.access_token), 403, "provider_not_granted");
  });

  test(`RFC 6749 §3.3: ${when} a scope means every model, and is narrowed to those that were granted`, async () => {
    const { answer } = await get({ scope: "openai:chat" });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.body.authorization_details, [{ ...OPENAI, capabilities: ["chat"], base_url: OPENAI_URL }]);
    assertOpenAiError(await chat(broker, answer.body.access_token, "x", { model: "gpt-4.1" }), 403, "model_not_granted");
    assertOpenAiError(await embeddings(answer.body.access_token), 403, "capability_not_granted");
  });

  test(`RFC 6749 §6: ${when} a scope of which nothing was granted is refused, and trying burns nothing`, async () => {
    const { answer, again } = await get({ scope: "openai:images anthropic:images" }, SCOPES);
    assertOAuthError(answer, 400, "invalid_scope");
    works(await again());
  });

  test(`scope and authorization_details together are refused ${when}`, async () => {
    const change = { scope: "openai:chat", authorization_details: JSON.stringify([NARROW]) };
    assertOAuthError((await get(change, SCOPES)).answer, 400, "invalid_request");
  });

  test(`RFC 8707 §2.2: ${when} resource narrows the audience, and that is enforced`, async () => {
    const { answer } = await get({ resource: OPENAI_URL });
    const { access_token: token } = answer.body;
    assert.deepEqual(audience(token), [OPENAI_URL]);
    works(await chat(broker, token));
    assertAnthropicError(await messages(broker, token), 401, "invalid_token");
    const { body } = await refresh(broker, app, answer.body.refresh_token);
    assert.deepEqual(audience(body.access_token), [broker.url], "the next one is for all that was agreed on");
  });

  test(`RFC 8707 §2: ${when} an unknown resource is refused, and trying burns nothing`, async () => {
    const { answer, again } = await get({ resource: "https://api.openai.com/v1" });
    assertOAuthError(answer, 400, "invalid_target");
    works(await again());
  });

  test(`RFC 8707 §2.2: ${when} only what was agreed on can be asked for`, async () => {
    const options = { change: { resource: OPENAI_URL } };
    for (const resource of [ANTHROPIC_URL, broker.url]) {
      const { answer, again } = await get({ resource }, options);
      assertOAuthError(answer, 400, "invalid_target");
      const { body } = await again();
      assert.deepEqual(audience(body.access_token), [OPENAI_URL]);
      assertAnthropicError(await messages(broker, body.access_token), 401, "invalid_token");
    }
  });

  test(`RFC 8707 §2: ${when} several resources are several audiences`, async () => {
    const options = { change: { resource: [OPENAI_URL, ANTHROPIC_URL] } };
    const { answer } = await get({}, options);
    assert.deepEqual(audience(answer.body.access_token), [OPENAI_URL, ANTHROPIC_URL]);
    works(await chat(broker, answer.body.access_token));
    works(await messages(broker, answer.body.access_token));
  });
}

test("RFC 9396 §6: all that was granted, asked for by name, is the token as it would be anyway", async () => {
  const { refresh_token: token } = await browser.grant(app);
  const { body } = await refresh(broker, app, token, { authorization_details: JSON.stringify(DETAILS) });
  works(await messages(broker, body.access_token));
  works(await embeddings(body.access_token));
});

test("a narrowed token whose list does not fit into it is refused", async () => {
  const { refresh_token: token } = await browser.grant(app, { details: [{ ...OPENAI, models: ["*"] }] });
  // Less than the form may hold, and in base64 more than a token may.
  const models = (name) => Array.from({ length: 60 }, (_, i) => `${name}-${i}-${"x".repeat(100)}`);
  const details = [
    { ...NARROW, models: models("a") },
    { ...NARROW, models: models("b") },
  ];
  const answer = await refresh(broker, app, token, { authorization_details: JSON.stringify(details) });
  assertOAuthError(answer, 400, "invalid_authorization_details");
  assert.equal((await refresh(broker, app, token)).status, 200);
});

test("what the user takes back afterwards binds a narrowed token too", async () => {
  const { refresh_token: token, grant_id: id } = await browser.grant(app);
  const { body } = await refresh(broker, app, token, { authorization_details: JSON.stringify([NARROW]) });
  works(await chat(broker, body.access_token));
  await browser.revoke(id);
  assertOpenAiError(await chat(broker, body.access_token), 401, "invalid_token");
});
