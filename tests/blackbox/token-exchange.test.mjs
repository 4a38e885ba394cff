// Token exchange (RFC 8693): an app narrows its token for an agent. What the agent uses counts in the app's too, and what ends ends all
// below it.

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
  postForm,
  refresh,
} from "../support/flow.mjs";
import { Prover } from "../support/keys.mjs";
import { ACCESS_TOKEN, exchange, exchangeFields, introspect, narrowed } from "../support/tokens.mjs";
import { startWorld, until, useUp } from "../support/world.mjs";

const { broker, browser, app: publicApp } = await startWorld();
const app = await browser.register({ name: "Server app", type: "confidential" });
const other = await browser.register({ name: "Another app", type: "confidential" });
const [OPENAI] = DETAILS;
const NARROW = { type: "ai_access", provider: "openai", models: ["gpt-5-mini"], capabilities: ["chat"] };
const now = () => Math.floor(Date.now() / 1000);

const grant = (options) => browser.grant(app, options);
const ask = (token, options) => exchange(broker, app, token, options);
const child = (token, options) => narrowed(broker, app, token, options);
const works = async (token) => assert.equal((await chat(broker, token)).status, 200);
const isOver = async (token) => assertOpenAiError(await chat(broker, token), 401, "invalid_token");
const isWider = (answer) => assertOAuthError(answer, 400, "invalid_authorization_details");
/** What the user does on the page of a grant: `pause` or `resume`. */
const press = async (id, deed) => {
  const { page } = await browser.get(`/grants/${id}`);
  assert.equal((await browser.submit(page.form(`/grants/${id}/${deed}`))).status, 303);
};
const embeddings = (token) => call(broker, token, "/openai/v1/embeddings", { body: { model: "gpt-5-mini", input: "x" } });

test("RFC 8693 §2.2.1: the answer has a new token and its type, no refresh token, and may not be kept", async () => {
  const { access_token: token } = await grant();
  const { status, headers, body } = await ask(token, { details: [NARROW] });
  assert.equal(status, 200);
  assert.equal(body.issued_token_type, ACCESS_TOKEN);
  assert.equal(body.token_type, "Bearer");
  assert.ok(body.expires_in > 0 && body.expires_in <= 3600);
  assert.equal(body.refresh_token, undefined);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.notEqual(body.access_token, token);
  assert.deepEqual(body.authorization_details, [{ ...NARROW, base_url: `${broker.url}/openai/v1` }]);
  await works(body.access_token);
  await works(token);
});

test("RFC 8693 §2.1: without authorization_details the new token may do what the old one may", async () => {
  const { access_token: token } = await grant();
  const it = await child(token);
  await works(it);
  assert.equal((await messages(broker, it)).status, 200);
});

test("a public app may narrow its token too", async () => {
  const { access_token: token } = await browser.grant(publicApp);
  await works(await narrowed(broker, publicApp, token, { details: [NARROW] }));
});

test("fewer providers, models and capabilities are enforced, and nothing else changes", async () => {
  const { access_token: token } = await grant();
  const it = await child(token, { details: [NARROW] });
  await works(it);
  assertOpenAiError(await chat(broker, it, "x", { model: "gpt-5.1" }), 403, "model_not_granted");
  assertOpenAiError(await embeddings(it), 403, "capability_not_granted");
  assertAnthropicError(await messages(broker, it), 403, "provider_not_granted");
  assert.equal((await chat(broker, token, "x", { model: "gpt-5.1" })).status, 200);
  assert.equal((await messages(broker, token)).status, 200);
});

test("the list of models is that of the new token", async () => {
  const { access_token: token } = await grant({ details: [{ ...OPENAI, models: ["gpt-5*"] }] });
  const list = async (one) => (await call(broker, one, "/openai/v1/models", { method: "GET" })).body.data.map(({ id }) => id);
  assert.deepEqual(await list(await child(token, { details: [NARROW] })), ["gpt-5-mini"]);
  assert.ok((await list(token)).length > 1);
});

for (const [what, details] of Object.entries({
  "another provider": [{ ...NARROW, provider: "anthropic", models: ["gpt-5-mini"] }],
  "another model": [{ ...NARROW, models: ["gpt-5-pro"] }],
  "every model": [{ ...NARROW, models: ["*"] }],
  "a wider pattern": [{ ...NARROW, models: ["gpt-5*"] }],
  "a pattern that begins like a granted one": [{ ...NARROW, models: ["gpt-5.*"] }],
  "one model more": [{ ...NARROW, models: ["gpt-5-mini", "gpt-5-pro"] }],
  "one capability more": [{ ...NARROW, capabilities: ["chat", "images"] }],
  "one entry more": [NARROW, { ...DETAILS[1], models: ["*"] }],
  "what only two entries together cover": [
    { ...NARROW, provider: "anthropic", capabilities: ["chat", "embeddings"], models: ["claude-*"] },
  ],
  "more requests": [NARROW, { type: "ai_limits", requests: 11 }],
  "more money": [NARROW, { type: "ai_limits", budget_usd: "5.01" }],
  "money for another period": [NARROW, { type: "ai_limits", budget_usd: "5.00", budget_period: "day" }],
  "more requests in an entry": [{ ...NARROW, limits: { requests: 11 } }],
})) {
  test(`RFC 9396 §6: ${what} is wider, and refused`, async () => {
    const limits = { type: "ai_limits", requests: 10, budget_usd: "5.00" };
    const { access_token: token } = await grant({ details: [...DETAILS, limits], money: true });
    isWider(await ask(token, { details }));
  });
}

test("authorization_details that say nothing, or that nobody defined, are refused", async () => {
  const { access_token: token } = await grant();
  for (const text of ["[]", "{}", "x", '[{"type":"other"}]', '[{"type":"ai_limits","requests":1}]']) {
    isWider(await ask(token, { change: { authorization_details: text } }));
  }
});

test("RFC 6749 §3.3: scope narrows too, one that is partly wider to what the token has of it; one that it has nothing of is refused", async () => {
  const { access_token: token } = await grant({ scope: "openai:chat openai:embeddings anthropic:chat", details: undefined });
  const it = await child(token, { change: { scope: "openai:chat" } });
  assert.equal(claims(it).scope, "openai:chat");
  assertOpenAiError(await embeddings(it), 403, "capability_not_granted");
  assert.equal(claims(await child(token, { change: { scope: "openai:images anthropic:chat" } })).scope, "anthropic:chat");
  const wider = await ask(token, { change: { scope: "openai:images" } });
  assert.deepEqual([wider.status, wider.body.error], [400, "invalid_scope"]);
});

// Time.

test("the new token ends no later than the old one, and earlier where that is asked for", async () => {
  const { access_token: token } = await grant();
  const { exp } = claims(token);
  assert.equal(claims(await child(token)).exp, exp);
  for (const seconds of ["100000", "18446744073709551615"]) {
    assert.equal(claims(await child(token, { change: { expires_in: seconds } })).exp, exp, seconds);
  }
  const { body } = await ask(token, { change: { expires_in: "60" } });
  assert.ok(Math.abs(claims(body.access_token).exp - (now() + 60)) <= 2);
  assert.ok(body.expires_in >= 58 && body.expires_in <= 60);
});

for (const seconds of ["0", "-1", "1.5", "1e3", "18446744073709551616", "soon", "99999999999999999999999999"]) {
  test(`an expires_in that is no number of seconds is refused: ${seconds}`, async () => {
    const { access_token: token } = await grant();
    assertOAuthError(await ask(token, { change: { expires_in: seconds } }), 400, "invalid_request");
  });
}

test("from its end on the new token is refused, and nothing is made of it any more", async () => {
  const { access_token: token } = await grant();
  const it = await child(token, { change: { expires_in: "3" } });
  await works(it);
  await until(async () => (await chat(broker, it)).status === 401, "it ends", { seconds: 8 });
  await isOver(it);
  assertOAuthError(await ask(it), 400, "invalid_request");
  await works(token);
});

// Descendants.

test("a narrowed token can be narrowed again, and never wider", async () => {
  const { access_token: token } = await grant();
  const it = await child(token, { details: [{ ...OPENAI, capabilities: ["chat"] }] });
  const grandchild = await child(it, { details: [NARROW] });
  await works(grandchild);
  assertOpenAiError(await chat(broker, grandchild, "x", { model: "gpt-5.1" }), 403, "model_not_granted");
  isWider(await ask(grandchild, { details: [{ ...NARROW, models: ["gpt-5.1"] }] }));
  isWider(await ask(grandchild, { details: [OPENAI] }));
  isWider(await ask(it, { details: [OPENAI] }));
  const { exp } = claims(await child(it, { change: { expires_in: "60" } }));
  assert.ok(exp <= now() + 60);
});

test("of a token that ends soon nothing is made that ends later", async () => {
  const { access_token: token } = await grant();
  const it = await child(token, { change: { expires_in: "60" } });
  assert.equal(claims(await child(it, { change: { expires_in: "3600" } })).exp, claims(it).exp);
});

test("a limit of a child is no limit of its own child unless it says so, and binds it anyway", async () => {
  const { access_token: token } = await grant();
  const it = await child(token, { details: [NARROW, { type: "ai_limits", requests: 2 }] });
  const grandchild = await child(it);
  assert.equal(await useUp(broker, grandchild), 2);
  assertOpenAiError(
    await until(async () => {
      const answer = await chat(broker, it);
      return answer.code !== "requests_held" && answer;
    }, "it is booked"),
    402,
    "requests_exhausted",
  );
  isWider(await ask(it, { details: [NARROW, { type: "ai_limits", requests: 3 }] }));
  await works(token);
});

test("four times in a row and no more", async () => {
  let { access_token: it } = await grant();
  for (let depth = 0; depth < 4; depth += 1) it = await child(it);
  await works(it);
  isWider(await ask(it));
});

test("a hundred live in one grant and no more, until one ends", async () => {
  const { access_token: token } = await grant();
  const [first] = await Promise.all(Array.from({ length: 100 }, () => child(token, { details: [NARROW] })));
  isWider(await ask(token, { details: [NARROW] }));
  await works(first);
  await works(token);
  const { client_id, client_secret } = app;
  assert.equal((await postForm(`${broker.url}/revoke`, { token: first, client_id, client_secret })).status, 200);
  await works(await child(token, { details: [NARROW] }));
});

// The end.

const revoke = async (token) => {
  const { client_id, client_secret } = app;
  assert.equal((await postForm(`${broker.url}/revoke`, { token, client_id, client_secret })).status, 200);
};

test("RFC 7009 §2.1: revoking a child ends it and what is below it on the very next call, and nothing else", async () => {
  const { access_token: token } = await grant();
  const it = await child(token);
  const [sibling, grandchild] = [await child(token), await child(it)];
  for (const one of [it, sibling, grandchild]) await works(one);
  await revoke(it);
  for (const one of [it, grandchild]) {
    await isOver(one);
    assertOAuthError(await ask(one), 400, "invalid_request");
  }
  await works(sibling);
  await works(token);
  await revoke(it);
});

test("that an app ends a child is noted for whoever gave the grant, once", async () => {
  const { access_token: token, grant_id: id } = await grant();
  const it = await child(token);
  for (let times = 0; times < 2; times += 1) await revoke(it);
  const rows = await broker.sql("SELECT actor, event, detail FROM audit WHERE grant_id = ? AND event LIKE 'delegation%'", id);
  assert.equal(rows.length, 1);
  assert.deepEqual([rows[0].actor, rows[0].event], ["app", "delegation_revoked"]);
  assert.ok(claims(it).delegation.includes(rows[0].detail));
  assert.match((await browser.get(`/grants/${id}`)).page.text, /A narrower token was ended/);
});

test("RFC 7009 §2.1: revoking a grandchild leaves the child alone", async () => {
  const { access_token: token } = await grant();
  const it = await child(token);
  const grandchild = await child(it);
  await revoke(grandchild);
  await isOver(grandchild);
  await works(it);
});

test("RFC 7009 §2.1: revoking the app's own token ends what was narrowed from it on the very next call", async () => {
  const { access_token: token } = await grant();
  const it = await child(token);
  const grandchild = await child(it);
  await revoke(token);
  for (const one of [it, grandchild, token]) {
    await isOver(one);
    assertOAuthError(await ask(one), 400, "invalid_request");
  }
});

test("the user's revocation on /grants ends every child on the very next call", async () => {
  const { access_token: token, grant_id: id } = await grant();
  const it = await child(token);
  const grandchild = await child(it);
  await works(grandchild);
  await browser.revoke(id);
  for (const one of [it, grandchild]) await isOver(one);
});

test("a child outlives a restart, and its end does too", async () => {
  const { access_token: token } = await grant();
  const [it, ended] = [await child(token, { details: [NARROW, { type: "ai_limits", requests: 2 }] }), await child(token)];
  await works(it);
  await revoke(ended);
  await broker.restart();
  await isOver(ended);
  assert.equal(await useUp(broker, it), 1);
});

test("the refresh of the app's token leaves its children alone", async () => {
  const { access_token: token, refresh_token: next } = await grant();
  const it = await child(token);
  const { body } = await refresh(broker, app, next);
  await works(it);
  await works(body.access_token);
});

test("of a grant that the user paused children can be made, and can do nothing", async () => {
  const { access_token: token, grant_id: id } = await grant();
  const it = await child(token);
  await press(id, "pause");
  const later = await child(token);
  for (const one of [it, later]) assertOpenAiError(await chat(broker, one), 403, "grant_paused");
  await press(id, "resume");
  for (const one of [it, later]) await works(one);
});

// The request.

test("RFC 8693 §2.2.2: a subject token that is another client's, or none of ours, is refused", async () => {
  const { access_token: token, refresh_token } = await grant();
  assertOAuthError(await exchange(broker, other, token), 400, "invalid_request");
  const [header, payload] = token.split(".");
  for (const bad of ["x", `${header}.${payload}.AAAA`, refresh_token, `${token}x`]) {
    assertOAuthError(await ask(bad), 400, "invalid_request");
  }
  await works(token);
});

test("RFC 8693 §2.1: a client that must authenticate has to", async () => {
  const { access_token: token } = await grant();
  assertOAuthError(await ask(token, { change: { client_secret: undefined } }), 401, "invalid_client");
});

for (const [what, change] of Object.entries({
  "no subject_token": { subject_token: undefined },
  "no subject_token_type": { subject_token_type: undefined },
  "an ID token as subject": { subject_token_type: "urn:ietf:params:oauth:token-type:id_token" },
  "a JWT as subject": { subject_token_type: "urn:ietf:params:oauth:token-type:jwt" },
  "a refresh token to be issued": { requested_token_type: "urn:ietf:params:oauth:token-type:refresh_token" },
  "an actor token": { actor_token: "x", actor_token_type: ACCESS_TOKEN },
})) {
  test(`RFC 8693 §2.1: ${what}: refused`, async () => {
    const { access_token: token } = await grant();
    assertOAuthError(await ask(token, { change }), 400, "invalid_request");
  });
}

test("RFC 8693 §2.1: an access token may be asked for by name", async () => {
  const { access_token: token } = await grant();
  await works(await child(token, { change: { requested_token_type: ACCESS_TOKEN } }));
});

test("RFC 6749 §5.2: a client that is not registered for token exchange is refused", async () => {
  const unregistered = await browser.register({ name: "No agents", type: "confidential" });
  const { access_token: token } = await browser.grant(unregistered);
  const types = JSON.stringify(["authorization_code", "refresh_token"]);
  await broker.sql("UPDATE clients SET grant_types = ? WHERE client_id = ?", types, unregistered.client_id);
  assertOAuthError(await exchange(broker, unregistered, token), 400, "unauthorized_client");
});

for (const name of ["resource", "audience"]) {
  test(`RFC 8693 §2.1: ${name} narrows the audience, and a grandchild can't widen it`, async () => {
    const { access_token: token } = await grant();
    const target = `${broker.url}/openai/v1`;
    const it = await child(token, { change: { [name]: target } });
    assert.deepEqual([claims(it).aud].flat(), [target]);
    await works(it);
    assertAnthropicError(await messages(broker, it), 401, "invalid_token");
    for (const wider of [broker.url, `${broker.url}/anthropic`]) {
      assertOAuthError(await ask(it, { change: { [name]: wider } }), 400, "invalid_target");
    }
    assert.deepEqual([claims(await child(it)).aud].flat(), [target]);
  });

  test(`RFC 8693 §2.2.2: an unknown ${name} is refused`, async () => {
    const { access_token: token } = await grant();
    for (const target of ["https://api.openai.com/v1", "urn:x", `${broker.url}/grants`]) {
      assertOAuthError(await ask(token, { change: { [name]: target } }), 400, "invalid_target");
    }
  });
}

// Keys.

test("RFC 9449 §5: whoever narrows a bound token proves its key", async () => {
  const prover = await Prover.create(broker);
  const stranger = await Prover.create(broker);
  const { access_token: token } = await prover.grant(browser, app);
  const without = await ask(token);
  assertOAuthError(without, 400, "invalid_dpop_proof");
  assert.match(without.headers.get("dpop-nonce"), /^[\w-]{32}$/);
  assertOAuthError(await stranger.form("/token", exchangeFields(app, token)), 400, "invalid_dpop_proof");
  const { body } = await prover.form("/token", exchangeFields(app, token));
  assert.equal(body.token_type, "DPoP");
  assert.equal((await prover.chat(body.access_token)).status, 200);
  await isOver(body.access_token);
});

test("RFC 9449 §10: dpop_jkt binds the new token to the agent's key, and to that alone", async () => {
  const [prover, agent] = [await Prover.create(broker), await Prover.create(broker)];
  const { access_token: token } = await prover.grant(browser, app);
  const change = { dpop_jkt: agent.key.jkt };
  const { body } = await prover.form("/token", exchangeFields(app, token, { change }));
  assert.deepEqual(claims(body.access_token).cnf, { jkt: agent.key.jkt });
  assert.equal((await agent.chat(body.access_token)).status, 200);
  assert.equal((await prover.chat(body.access_token)).code, "invalid_dpop_proof");
  const { access_token: unbound } = await grant();
  const bound = await child(unbound, { change });
  await isOver(bound);
  assert.equal((await agent.chat(bound)).status, 200);
  assertOAuthError(await ask(unbound, { change: { dpop_jkt: "short" } }), 400, "invalid_request");
});

test("a token that was narrowed by itself makes no child that is wider than it", async () => {
  const { refresh_token: next } = await grant();
  const { body } = await refresh(broker, app, next, { authorization_details: JSON.stringify([NARROW]) });
  isWider(await ask(body.access_token, { details: [OPENAI] }));
  isWider(await ask(body.access_token, { details: [DETAILS[1]] }));
  const it = await child(body.access_token);
  await works(it);
  assertOpenAiError(await chat(broker, it, "x", { model: "gpt-5.1" }), 403, "model_not_granted");
  assertAnthropicError(await messages(broker, it), 403, "provider_not_granted");
  assert.equal((await introspect(broker, app, it)).body.authorization_details.length, 1);
});
