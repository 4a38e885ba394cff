// DPoP at AI calls (RFC 9449 §7): a bound token comes with a new proof of its key each time.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { DETAILS, assertAnthropicError, assertOpenAiError, call, chatBody, messagesBody } from "../support/flow.mjs";
import { Prover, nonceMadeAt } from "../support/keys.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app, standin } = await startWorld();
const prover = await Prover.create(broker);
const other = await Prover.create(broker);
const { access_token: token } = await prover.grant(browser, app);
const { access_token: unbound } = await browser.grant(app);
const CHAT = "/openai/v1/chat/completions";
const url = `${broker.url}${CHAT}`;
const NONCE = /^[\w-]{32}$/;
const freshNonce = () => nonceMadeAt(broker, Date.now());

/** A call with these headers and nothing else. */
const callWith = (headers, options) => call(broker, null, CHAT, { body: chatBody(), headers, ...options });
/** One with a proof that says what `options` say. */
const proven = async (options, authorization = `DPoP ${token}`, path = CHAT) => {
  const dpop = await prover.key.proof({ url: `${broker.url}${path}`, nonce: freshNonce(), token, ...options });
  return call(broker, null, path, { body: chatBody(), headers: { authorization, dpop } });
};
const challenge = (answer) => answer.headers.get("www-authenticate");

test("RFC 9449 §7.1: a bound token with a proof of its key is let through", async () => {
  assert.equal((await proven({})).status, 200);
});

test("RFC 9110 §11.1: the name of the scheme is read in any case", async () => {
  assert.equal((await proven({}, `dpop ${token}`)).status, 200);
});

for (const [what, headers] of Object.entries({
  "as Bearer": { authorization: `Bearer ${token}` },
  "as x-api-key": { "x-api-key": token },
  "as x-goog-api-key": { "x-goog-api-key": token },
})) {
  test(`RFC 9449 §7.2: a bound token ${what} is refused, with a proof and without`, async () => {
    for (const dpop of [undefined, await prover.key.proof({ url, nonce: freshNonce(), token })]) {
      const answer = await callWith({ ...headers, ...(dpop && { dpop }) });
      assertOpenAiError(answer, 401, "invalid_token");
      assert.match(challenge(answer), /DPoP [^,]*, error="invalid_token"/);
      assert.match(challenge(answer), /algs="[^"]*\bES256\b[^"]*"/);
    }
  });
}

test("RFC 9449 §7.1: a bound token without a proof is refused, and told a nonce", async () => {
  const answer = await callWith({ authorization: `DPoP ${token}` });
  assertOpenAiError(answer, 401, "invalid_dpop_proof");
  assert.match(challenge(answer), /^DPoP .*error="invalid_dpop_proof"/);
  assert.match(answer.headers.get("dpop-nonce"), NONCE);
});

test("RFC 9449 §7.1: a token that is bound to nothing is refused as DPoP", async () => {
  const answer = await proven({ token: unbound }, `DPoP ${unbound}`);
  assertOpenAiError(answer, 401, "invalid_token");
  assertOpenAiError(await callWith({ authorization: `DPoP ${unbound}` }), 401, "invalid_token");
});

test("a proof beside a token that is bound to nothing changes nothing", async () => {
  const dpop = await prover.key.proof({ url, nonce: freshNonce(), token: unbound });
  assert.equal((await callWith({ authorization: `Bearer ${unbound}`, dpop })).status, 200);
});

test("RFC 9449 §9: a proof without a nonce is answered with one", async () => {
  const answer = await proven({ nonce: undefined });
  assertOpenAiError(answer, 401, "use_dpop_nonce");
  assert.equal(answer.headers.get("x-should-retry"), null, "the same again, with the nonce, is what is asked for");
  assert.match(challenge(answer), /^DPoP .*error="use_dpop_nonce"/);
  const nonce = answer.headers.get("dpop-nonce");
  assert.match(nonce, NONCE);
  assert.equal((await proven({ nonce })).status, 200);
});

test("RFC 9449 §9: a nonce that is five minutes old is answered with a new one", async () => {
  const answer = await proven({ nonce: nonceMadeAt(broker, Date.now() - 300_000) });
  assertOpenAiError(answer, 401, "use_dpop_nonce");
  assert.equal((await proven({ nonce: answer.headers.get("dpop-nonce") })).status, 200);
});

test("RFC 9449 §8.2: with a nonce that gets old a good answer brings the next one", async () => {
  const { access_token: own } = await prover.grant(browser, app);
  const answer = await proven({ nonce: nonceMadeAt(broker, Date.now() - 120_000), token: own }, `DPoP ${own}`);
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers.get("dpop-nonce"), NONCE);
});

test("in the shape of Anthropic's SDK likewise", async () => {
  const path = "/anthropic/v1/messages";
  assert.equal((await prover.call(token, path, { body: messagesBody() })).status, 200);
  const answer = await call(broker, null, path, { body: messagesBody(), headers: { authorization: `DPoP ${token}` } });
  assertAnthropicError(answer, 401, "invalid_dpop_proof");
});

for (const [what, options] of Object.entries({
  "of another key (§7.1)": { by: other },
  "of another method (§4.3 point 8)": { method: "GET" },
  "of another path (§4.3 point 9)": { url: `${broker.url}/openai/v1/embeddings` },
  "of another host (§4.3 point 9)": { url: `https://api.openai.com${CHAT.slice("/openai".length)}` },
  "without ath (§7.1)": { change: { ath: undefined } },
  "with the ath of another token (§7.1)": { token: unbound },
  "with ath in hex (§7.1)": { change: { ath: Buffer.from("x").toString("hex") } },
})) {
  test(`RFC 9449: a proof ${what} is refused`, async () => {
    const { by = prover, ...more } = options;
    const dpop = await by.key.proof({ url, nonce: freshNonce(), token, ...more });
    const before = standin.requests.length;
    const answer = await callWith({ authorization: `DPoP ${token}`, dpop });
    assertOpenAiError(answer, 401, "invalid_dpop_proof");
    assert.match(challenge(answer), /^DPoP .*error="invalid_dpop_proof"/);
    assert.equal(standin.requests.length, before, "nothing arrives upstream");
  });
}

test("RFC 9449 §4.3 point 9: the query is no part of htu, and may stand in it", async () => {
  const path = `${CHAT}?x=1`;
  assert.equal((await proven({ url })).status, 200);
  assert.equal((await proven({ url: `${url}?y=2` })).status, 200);
  const dpop = await prover.key.proof({ url, nonce: freshNonce(), token });
  const answer = await call(broker, null, path, { body: chatBody(), headers: { authorization: `DPoP ${token}`, dpop } });
  assert.notEqual(answer.status, 401, answer.text);
});

test("RFC 9449 §11.1: a proof lets one call ask", async () => {
  const dpop = await prover.key.proof({ url, nonce: freshNonce(), token });
  const headers = { authorization: `DPoP ${token}`, dpop };
  assert.equal((await callWith(headers)).status, 200);
  const answer = await callWith(headers);
  assertOpenAiError(answer, 401, "invalid_dpop_proof");
  assert.match(challenge(answer), /^DPoP /);
  assert.match(answer.headers.get("dpop-nonce"), NONCE);
});

test("RFC 9449 §11.1: also a call that was refused uses its proof up", async () => {
  const dpop = await prover.key.proof({ url, nonce: freshNonce(), token });
  const headers = { authorization: `DPoP ${token}`, dpop };
  const refused = await callWith(headers, { body: chatBody("x", { model: "gpt-5-pro" }) });
  assertOpenAiError(refused, 403, "model_not_granted");
  assertOpenAiError(await callWith(headers), 401, "invalid_dpop_proof");
});

test("a proof that was used at /token is worth nothing at a call, and the other way round", async () => {
  const dpop = await prover.key.proof({ url: `${broker.url}/token`, nonce: freshNonce(), token });
  assertOpenAiError(await callWith({ authorization: `DPoP ${token}`, dpop }), 401, "invalid_dpop_proof");
});

test("a streamed call needs its proof, and streams", async () => {
  const answer = await prover.chat(token, "standin:chunks=20", { stream: true });
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers.get("content-type"), /^text\/event-stream/);
  assert.ok(answer.text.trim().endsWith("data: [DONE]"));
  const bare = await callWith({ authorization: `Bearer ${token}` }, { body: chatBody("x", { stream: true }) });
  assertOpenAiError(bare, 401, "invalid_token");
});

test("a list of models needs a proof of GET", async () => {
  assert.equal((await prover.call(token, "/openai/v1/models", { method: "GET" })).status, 200);
});

test("OpenAI's SDK gets along with it, with a fetch that adds proofs", async () => {
  let nonce;
  const withProof = async (target, init) => {
    const attempt = async () => {
      const headers = new Headers(init.headers);
      headers.set("authorization", `DPoP ${token}`);
      headers.set("dpop", await prover.key.proof({ url: target, method: init.method.toUpperCase(), nonce, token }));
      return fetch(target, { ...init, headers });
    };
    const answer = await attempt();
    nonce = answer.headers.get("dpop-nonce") ?? nonce;
    return answer.headers.get("aipassport-error") === "use_dpop_nonce" ? attempt() : answer;
  };
  const openai = new OpenAI({ baseURL: `${broker.url}/openai/v1`, apiKey: token, fetch: withProof, maxRetries: 0 });
  const hello = { model: "gpt-5-mini", messages: [{ role: "user", content: "hello" }] };
  assert.ok((await openai.chat.completions.create(hello)).choices[0].message.content);
  let pieces = 0;
  for await (const piece of await openai.chat.completions.create({ ...hello, stream: true })) pieces += piece.choices.length;
  assert.ok(pieces > 1);
  const plain = new OpenAI({ baseURL: `${broker.url}/openai/v1`, apiKey: token, maxRetries: 0 });
  await assert.rejects(plain.chat.completions.create(hello), OpenAI.AuthenticationError);
});

// A broker that has lost its memory.

for (const [how, lose] of Object.entries({ killed: () => broker.kill(), restarted: () => broker.restart() })) {
  test(`RFC 9449 §11.1: what was used before the broker was ${how} can not be used again`, async () => {
    const { access_token: own } = await prover.grant(browser, app);
    const authorization = `DPoP ${own}`;
    const nonce = freshNonce();
    const used = { authorization, dpop: await prover.key.proof({ url, nonce, token: own }) };
    assert.equal((await callWith(used)).status, 200);
    await lose();
    const answer = await callWith(used);
    assertOpenAiError(answer, 401, "use_dpop_nonce");
    // Nor a new one with a nonce of that time; with the nonce that comes back it works at once.
    assertOpenAiError(
      await callWith({ authorization, dpop: await prover.key.proof({ url, nonce, token: own }) }),
      401,
      "use_dpop_nonce",
    );
    const next = answer.headers.get("dpop-nonce");
    const retried = await callWith({ authorization, dpop: await prover.key.proof({ url, nonce: next, token: own }) });
    assert.equal(retried.status, 200, retried.text);
    assertOpenAiError(await callWith(used), 401, "use_dpop_nonce");
  });

  test(`RFC 9449 §11.1: also where the call was refused before the broker was ${how}`, async () => {
    const { access_token: own } = await prover.grant(browser, app);
    const used = { authorization: `DPoP ${own}`, dpop: await prover.key.proof({ url, nonce: freshNonce(), token: own }) };
    assertOpenAiError(await callWith(used, { body: chatBody("x", { model: "gpt-5-pro" }) }), 403, "model_not_granted");
    await lose();
    assertOpenAiError(await callWith(used), 401, "use_dpop_nonce");
  });
}

test("a client that does as it is told gets through after every loss of memory", async () => {
  const own = await Prover.create(broker);
  const { access_token: bound } = await own.grant(browser, app, { details: [{ ...DETAILS[0], limits: { requests: 100 } }] });
  for (let i = 0; i < 3; i += 1) {
    assert.equal((await own.chat(bound)).status, 200);
    await broker.kill();
    await until(async () => (await own.chat(bound)).status === 200, "through again", { seconds: 5 });
  }
});
