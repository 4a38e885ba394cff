// Limits on time and memory of bodies: what a client sees that stops in the middle of its own, or whose provider does, and what keeps
// one app's bodies from taking the isolate from others.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { after, test } from "node:test";
import { DETAILS, assertOpenAiError, call, chat, chatBody, messages } from "../support/flow.mjs";
import { sse, startScripted } from "../support/scripted.mjs";
import { startWorld, until } from "../support/world.mjs";

const MIB = 1024 * 1024;
const CHAT = "/openai/v1/chat/completions";
const provider = await startScripted();
after(() => provider.close());
const { broker, browser, app } = await startWorld({
  inside: true,
  env: {
    OPENAI_BASE_URL: provider.url,
    ANTHROPIC_BASE_URL: provider.url,
    ANSWER_IDLE_SECONDS: "8",
    ANSWER_SECONDS: "100",
    BODY_IDLE_SECONDS: "8",
    BODY_SECONDS: "20",
    BODY_MEMORY_MIB: "16",
    CALLS_WAITING: "8",
  },
});
const [openai, anthropic] = DETAILS;
const grant = (limits = {}) => browser.grant(app, { details: [{ ...openai, limits }, anthropic] });
const { access_token: token } = await grant();
const completion = { id: "c", object: "chat.completion", created: 1, model: "gpt-5-mini", choices: [], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } };

/** A body of that length. */
const bodyOf = (bytes) => {
  const empty = JSON.stringify(chatBody("")).length;
  return Buffer.from(JSON.stringify(chatBody("x".repeat(bytes - empty))));
};

/** A call whose body is sent by hand. */
function open(as, path, length) {
  const headers = { authorization: `Bearer ${as}`, "content-type": "application/json", ...(length && { "content-length": length }) };
  const request = http.request(new URL(path, broker.url), { method: "POST", agent: false, headers });
  request.on("error", () => {});
  const answer = once(request, "response").then(async ([response]) => {
    let text = "";
    for await (const piece of response) text += piece;
    return { status: response.statusCode, headers: new Headers(response.headers), text, body: JSON.parse(text), code: response.headers["aipassport-error"] };
  });
  answer.catch(() => {});
  return { request, answer };
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

for (const [what, length, sent] of [["a length", 500_000, 100_000], ["no length", undefined, 100_000], ["a short one", 2000, 10]]) {
  test(`a client that stops in the middle of its body is told with 408 (${what})`, async () => {
    const before = provider.requests.length;
    const { request, answer } = open(token, CHAT, length);
    request.write(bodyOf(500_000).subarray(0, sent));
    await pause(200);
    await broker.advance(9);
    assertOpenAiError(await answer, 408, "body_timeout");
    assert.equal(provider.requests.length, before);
    request.destroy();
  });
}

test("a client that goes on, but never comes to an end, is told too", async () => {
  const { request, answer } = open(token, CHAT, 500_000);
  for (let i = 0; i < 4; i += 1) {
    request.write(bodyOf(500_000).subarray(i * 100_000, (i + 1) * 100_000));
    await pause(100);
    await broker.advance(6);
  }
  assertOpenAiError(await answer, 408, "body_timeout");
  request.destroy();
});

test("a provider that stops in the middle of a JSON answer is a 504, booked, and room again", async () => {
  const { access_token: it, grant_id: id } = await grant({ concurrency: 1 });
  const before = provider.requests.length;
  provider.answer = (_, response) => response.writeHead(200, { "content-type": "application/json" }).write('{"id":');
  const stuck = chat(broker, it);
  await until(() => provider.requests.length > before, "the call has left");
  await pause(200);
  assert.equal((await chat(broker, it)).code, "concurrency_exceeded");
  await broker.advance(9);
  assertOpenAiError(await stuck, 504, "upstream_timeout");
  provider.json(completion);
  assert.equal((await chat(broker, it)).status, 200);
  await until(() => provider.aborted > 0, "the provider is hung up on");
  await broker.advance(20);
  const rows = await until(async () => {
    const rows = await broker.sql("SELECT basis FROM usage_events WHERE grant_id = ? ORDER BY hold", id);
    return rows.length === 2 && rows;
  }, "both are booked");
  assert.equal(rows[0].basis, "bound");
});

const event = sse([{ id: "c", object: "chat.completion.chunk", created: 1, model: "gpt-5-mini", choices: [{ index: 0, delta: { content: "x" } }] }]);
for (const [what, ask] of [
  ["a long chat that asks for its usage", () => chat(broker, token, "hello", { stream: true, stream_options: { include_usage: true } })],
  ["a short one", () => chat(broker, token, "hello", { stream: true, max_completion_tokens: 100, stream_options: { include_usage: true } })],
  ["one that doesn't ask", () => chat(broker, token, "hello", { stream: true })],
  ["messages", () => messages(broker, token, "hello", { stream: true, max_tokens: 50_000 })],
]) {
  test(`a provider that stops in the middle of a stream: it breaks off (${what})`, async () => {
    const [before, aborted] = [provider.requests.length, provider.aborted];
    provider.stream(event, () => {});
    const breaksOff = assert.rejects(ask());
    await until(() => provider.requests.length > before, "the call has left");
    await pause(200);
    await broker.advance(9);
    await breaksOff;
    await until(() => provider.aborted > aborted, "the provider is hung up on");
  });
}

test("the longest body that may come passes; edited or not, with a length or without", async () => {
  provider.json(completion);
  const body = bodyOf(16 * MIB - 100);
  assert.equal((await call(broker, token, CHAT, { body })).status, 200);
  const last = () => provider.requests.at(-1).messages[0].content.length;
  assert.equal(last(), chatBody("").messages[0].content.length + body.length - JSON.stringify(chatBody("")).length);
  const { request, answer } = open(token, CHAT);
  request.end(body);
  assert.equal((await answer).status, 200);
  provider.stream(["data: [DONE]\n\n"]);
  const streamed = Buffer.from(body.toString().replace("{", '{"stream":true,'));
  assert.equal((await call(broker, token, CHAT, { body: streamed })).status, 200);
  assert.deepEqual(provider.requests.at(-1).stream_options, { include_usage: true });
});

test("a body for which there is no memory is refused before it is read, and passes when there is", async () => {
  provider.json(completion);
  const large = bodyOf(10 * MIB);
  const first = open(token, CHAT, large.length);
  first.request.write(large.subarray(0, MIB));
  await pause(300);
  const second = open(token, CHAT, large.length);
  second.request.write(large.subarray(0, 10));
  const refused = await second.answer;
  assertOpenAiError(refused, 503, "broker_busy");
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal((await chat(broker, token)).status, 200, "what is short has room beside it");
  first.request.end(large.subarray(MIB));
  assert.equal((await first.answer).status, 200);
  assert.equal((await call(broker, token, CHAT, { body: large })).status, 200);
});

test("memory is free again after bodies that broke off, were too slow or were refused", async () => {
  provider.json(completion);
  const large = bodyOf(10 * MIB);
  const leaving = open(token, CHAT, large.length);
  leaving.request.write(large.subarray(0, MIB));
  await pause(200);
  leaving.request.destroy();
  const slow = open(token, CHAT, large.length);
  slow.request.write(large.subarray(0, MIB));
  await pause(200);
  await broker.advance(9);
  await slow.answer.catch(() => {});
  slow.request.destroy();
  assert.equal((await call(broker, token, CHAT, { body: Buffer.from("x".repeat(10 * MIB)) })).status, 400);
  assert.equal((await call(broker, token, CHAT, { body: large })).status, 200);
});

for (const [what, length] of [["with a length", 10 * MIB], ["without", undefined]]) {
  test(`a large body of a grant that has ended isn't read (${what})`, async () => {
    const { access_token: it, grant_id: id } = await grant();
    const { page } = await browser.get(`/grants/${id}`);
    await browser.submit(page.form(`/grants/${id}/revoke`));
    const { request, answer } = open(it, CHAT, length);
    // Of one without a length a MiB is read before it is known to be large.
    request.write(bodyOf(10 * MIB).subarray(0, length ? 10 : 2 * MIB));
    assertOpenAiError(await answer, 401, "invalid_token");
    request.destroy();
  });
}

test("a large body of a grant whose requests are used up isn't read", async () => {
  provider.json(completion);
  const { access_token: it } = await grant({ requests: 1 });
  const { access_token: overall } = await browser.grant(app, { details: [openai, { type: "ai_limits", requests: 1 }] });
  assert.equal((await chat(broker, overall)).status, 200);
  await until(async () => (await chat(broker, overall)).code === "requests_exhausted", "the call is booked");
  const { request, answer } = open(overall, CHAT, 10 * MIB);
  request.write("{");
  assertOpenAiError(await answer, 402, "requests_exhausted");
  request.destroy();
  assert.equal((await call(broker, it, CHAT, { body: bodyOf(2 * MIB) })).status, 200, "the last one passes");
});

test("calls of one grant that wait are bounded; another grant's call goes on beside them", async () => {
  provider.json(completion);
  const { access_token: it } = await grant();
  const waiting = Array.from({ length: 8 }, () => open(it, CHAT, 2000));
  for (const { request } of waiting) request.write("{");
  await pause(300);
  const refused = await chat(broker, it);
  assertOpenAiError(refused, 429, "too_many_waiting");
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal((await chat(broker, token)).status, 200);
  waiting[0].request.destroy();
  await until(async () => (await chat(broker, it)).status === 200, "one that left makes room");
  for (const { request } of waiting) request.destroy();
});

test("bytes that are no UTF-8 pass a stream from which the usage is taken", async () => {
  const odd = Buffer.concat([Buffer.from(": "), Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), Buffer.from("\n\ndata: [DONE]\n\n")]);
  const usage = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } })}\n\n`;
  provider.stream([odd.subarray(0, 100), odd.subarray(100, 150), odd.subarray(150, -14), usage, odd.subarray(-14)]);
  const response = await fetch(new URL(CHAT, broker.url), {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(chatBody("hello", { stream: true })),
  });
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), odd);
});

test("streams of 30 MB take some pieces each of the isolate, not what they are long", { skip: process.platform !== "linux" }, async () => {
  // Comments, which nobody reads on the way: it is about the memory.
  const chunk = Buffer.from(`: ${"x".repeat(65_000)}\n\n`);
  const count = Math.ceil((30 * MIB) / chunk.length);
  provider.answer = async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let i = 0; i < count; i += 1) if (!response.write(chunk)) await once(response, "drain");
    response.end();
  };
  const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${broker.pid}/status`, "utf8"))[1]) / 1024;
  const streams = (n) =>
    Promise.all(
      Array.from({ length: n }, async () => {
        const response = await fetch(new URL(CHAT, broker.url), {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: JSON.stringify(chatBody("hello", { stream: true, stream_options: { include_usage: true } })),
        });
        let length = 0;
        for await (const piece of response.body) length += piece.length;
        assert.equal(length, count * chunk.length);
      }),
    );
  const before = resident();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, resident())), 10);
  await streams(8);
  clearInterval(watch);
  // A copy that gathered took twice as much.
  assert.ok(most - before < 80, `${most - before} MiB`);
});
