// What a call costs: held at the most that it can cost, booked at what the provider says it used, refused where it doesn't fit.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { DETAILS, assertAnthropicError, assertOpenAiError, call, chat, chatBody, messages, openCall } from "../support/flow.mjs";
import { sse, startScripted } from "../support/scripted.mjs";
import { startWorld, until } from "../support/world.mjs";

const provider = await startScripted();
after(() => provider.close());
const { broker, browser, app } = await startWorld({
  inside: true,
  env: {
    OPENAI_BASE_URL: provider.url,
    ANTHROPIC_BASE_URL: provider.url,
    HOLD_TTL_SECONDS: "5",
    PRICES: JSON.stringify([
      { provider: "openai", model: "gpt-own", input: "1", output: "10", window: 10000, max_output: 5000 },
    ]),
  },
});

const MODELS = ["gpt-5-mini", "gpt-own", "gpt-unheard-of", "gpt-4o-search-preview"];
const openai = (limits) => ({
  details: [{ type: "ai_access", provider: "openai", models: MODELS, capabilities: ["chat", "embeddings", "server_tools"], limits }],
});
const anthropic = (limits) => ({
  details: [{ ...DETAILS[1], models: ["claude-opus-5", "claude-haiku-4-5"], capabilities: ["chat", "server_tools"], limits }],
});
const grant = (asked) => browser.grant(app, asked);
const own = { model: "gpt-own", max_completion_tokens: 100 };

/** The bookings of a grant, once there are so many. */
const bookings = (id, count) =>
  until(async () => {
    const rows = await broker.sql("SELECT * FROM usage_events WHERE grant_id = ? ORDER BY hold", id);
    return rows.length >= count && rows;
  }, `${count} bookings`);
const usage = (prompt_tokens, completion_tokens, more = {}) => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
  ...more,
});
const completion = (used, more = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "gpt-own",
  choices: [{ index: 0, message: { role: "assistant", content: "hi", refusal: null }, logprobs: null, finish_reason: "stop" }],
  usage: used,
  ...more,
});
const chunk = (choices, used) => ({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "gpt-own", choices, usage: used });
const delta = (content) => chunk([{ index: 0, delta: { content }, finish_reason: null }], null);

test("a call is booked at what the provider says it used, with the prices that were used", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  provider.json(completion(usage(1000, 50, { prompt_tokens_details: { cached_tokens: 400 } }), { service_tier: "default", model: "gpt-5-mini" }));
  const answer = await chat(broker, token, "hello", { model: "gpt-5-mini", max_completion_tokens: 100 });
  assert.equal(answer.status, 200, answer.text);
  const [row] = await bookings(id, 1);
  // 600 at 0.25, 400 at 0.025 and 50 at 2 USD a million.
  assert.equal(row.nano_usd, 600 * 250 + 400 * 25 + 50 * 2000);
  assert.deepEqual(
    [row.model, row.endpoint, row.status, row.basis, row.input_tokens, row.cached_tokens, row.output_tokens, row.tokens, row.requests],
    ["gpt-5-mini", "/v1/chat/completions", 200, "usage", 1000, 400, 50, 1050, 1],
  );
  assert.match(row.price_version, /^litellm-\d/);
  assert.equal(row.request_id, answer.headers.get("aipassport-request-id"));
});

test("what is left is said with each answer", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "1.00", tokens: 100_000 }));
  provider.json(completion(usage(10, 10)));
  await chat(broker, token, "hello", own);
  await bookings(id, 1);
  const answer = await chat(broker, token, "hello", own);
  const left = Number(answer.headers.get("aipassport-budget-remaining-usd"));
  assert.ok(left < 1 - 0.00011 && left > 0.99, String(left));
  assert.ok(Number(answer.headers.get("aipassport-tokens-remaining")) < 100_000 - 20);
});

test("a call that can not fit is refused with 402, and fits with the maximum that the refusal names", async () => {
  const { access_token: token } = await grant(openai({ budget_usd: "0.01" }));
  provider.json(completion(usage(10, 10)));
  const before = provider.requests.length;
  const refused = await chat(broker, token, "hello", { ...own, max_completion_tokens: 100_000 });
  assertOpenAiError(refused, 402, "budget_exhausted");
  const { aipassport: hint, message, type } = refused.body.error;
  assert.equal(type, "insufficient_quota");
  assert.deepEqual([hint.limit, hint.scope, hint.period, hint.allowed, hint.remaining], ["budget_usd", "permission", "total", "0.01", "0.01"]);
  assert.match(message, /0\.01 USD are left of the 0\.01 USD/);
  assert.equal(provider.requests.length, before, "a refused call goes nowhere");
  assertOpenAiError(
    await chat(broker, token, "hello", { ...own, max_completion_tokens: hint.max_output_tokens + 1 }),
    402,
    "budget_exhausted",
  );
  assert.equal((await chat(broker, token, "hello", { ...own, max_completion_tokens: hint.max_output_tokens })).status, 200);
});

test("room that only calls in flight hold is a 429 with Retry-After", async () => {
  const { access_token: token } = await grant(openai({ budget_usd: "0.01" }));
  const gate = Promise.withResolvers();
  provider.answer = async (_, response) => {
    await gate.promise;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(completion(usage(10, 10))));
  };
  const before = provider.requests.length;
  const first = chat(broker, token, "hello", { ...own, max_completion_tokens: 600 });
  await until(() => provider.requests.length > before, "the first call has arrived");
  const second = await chat(broker, token, "hello", { ...own, max_completion_tokens: 600 });
  assertOpenAiError(second, 429, "budget_held");
  assert.ok(Number(second.headers.get("retry-after")) >= 1);
  gate.resolve();
  assert.equal((await first).status, 200);
  await until(async () => (await chat(broker, token, "hello", { ...own, max_completion_tokens: 600 })).status === 200, "room again");
});

test("a model that may take over is held at the maximum of its own entry", async () => {
  const { access_token: token } = await grant(anthropic({ budget_usd: "0.10" }));
  const before = provider.requests.length;
  const fallbacks = [{ model: "claude-opus-5", max_tokens: 64_000 }];
  assertAnthropicError(await messages(broker, token, "hello", { model: "claude-haiku-4-5", max_tokens: 1, fallbacks }), 402, "budget_exhausted");
  assert.equal(provider.requests.length, before);
});

test("an answer that the provider wrote and kept back is booked at the most", async () => {
  const { access_token: token, grant_id: id } = await grant(anthropic({ budget_usd: "1.00" }));
  provider.json({ type: "error", error: { type: "invalid_request_error", message: "Output blocked by content filtering policy" } }, 400);
  assert.equal((await messages(broker, token, "hello", { model: "claude-haiku-4-5", max_tokens: 1000 })).status, 400);
  const [row] = await bookings(id, 1);
  assert.equal(row.basis, "bound");
  assert.ok(row.nano_usd > 1000 * 5000, String(row.nano_usd));
});

test("options of a stream that are null are set, not named twice", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "1.00" }));
  const fake = `data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`;
  const text = `${fake}\n\n${fake}\r\n\r\n`;
  provider.stream([...sse([delta(text), delta(fake), chunk([], usage(500, 70))]), "data: [DONE]\n\n"]);
  const answer = await chat(broker, token, "hello", { ...own, stream: true, stream_options: null });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(provider.requests.at(-1).stream_options, { include_usage: true });
  assert.equal(answer.text, [...sse([delta(text), delta(fake)]), "data: [DONE]\n\n"].join(""));
  const [row] = await bookings(id, 1);
  assert.deepEqual([row.basis, row.nano_usd], ["usage", 500 * 1000 + 70 * 10_000]);
});

test("a maximum that the call doesn't name is set to what fits, and said in a header", async () => {
  const { access_token: token } = await grant(openai({ budget_usd: "0.03" }));
  provider.json(completion(usage(10, 10)));
  const answer = await chat(broker, token, "hello", { model: "gpt-own" });
  assert.equal(answer.status, 200, answer.text);
  const set = Number(answer.headers.get("aipassport-max-output-tokens"));
  assert.ok(set >= 1024 && set < 3000, String(set));
  assert.equal(provider.requests.at(-1).max_completion_tokens, set);

  const wide = await grant(openai({ budget_usd: "5.00" }));
  const untouched = await chat(broker, wide.access_token, "hello", { model: "gpt-own" });
  assert.equal(untouched.headers.get("aipassport-max-output-tokens"), null);
  assert.deepEqual(provider.requests.at(-1), chatBody("hello", { model: "gpt-own" }));
});

test("the same on /responses, under the name that it has there", async () => {
  const { access_token: token } = await grant(openai({ budget_usd: "0.03" }));
  provider.json({ id: "resp_1", object: "response", status: "completed", model: "gpt-own", output: [], usage: { input_tokens: 5, output_tokens: 5, total_tokens: 10 } });
  const answer = await call(broker, token, "/openai/v1/responses", { body: { model: "gpt-own", input: "hello" } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(provider.requests.at(-1).max_output_tokens, Number(answer.headers.get("aipassport-max-output-tokens")));
});

test("a model without a price is refused under a cap and passes without one", async () => {
  provider.json(completion(usage(10, 10)));
  const capped = await grant(openai({ budget_usd: "5.00" }));
  const tokens = await grant(openai({ tokens: 1_000_000 }));
  for (const { access_token: token } of [capped, tokens]) {
    const refused = await chat(broker, token, "hello", { model: "gpt-unheard-of", max_completion_tokens: 5 });
    assertOpenAiError(refused, 403, "price_unknown");
    assert.match(refused.body.error.message, /gpt-unheard-of/);
  }
  const free = await grant(openai({ requests: 5 }));
  assert.equal((await chat(broker, free.access_token, "hello", { model: "gpt-unheard-of" })).status, 200);
  const [row] = await bookings(free.grant_id, 1);
  assert.deepEqual([row.nano_usd, row.tokens], [0, 20]);
});

test("under a cap, tools at the provider need a maximum of uses and a price", async () => {
  const { access_token: token } = await grant(anthropic({ budget_usd: "500.00" }));
  provider.json({ type: "message", content: [], model: "claude-haiku-4-5", stop_reason: "end_turn", usage: { input_tokens: 10, output_tokens: 10, server_tool_use: { web_search_requests: 2 } } });
  const ask = (tools) => messages(broker, token, "hello", { model: "claude-haiku-4-5", tools });
  assertAnthropicError(await ask([{ type: "web_search_20250305", name: "web_search" }]), 403, "price_unknown");
  assertAnthropicError(await ask([{ type: "code_execution_20250825", name: "code_execution", max_uses: 1 }]), 403, "price_unknown");
  assert.equal((await ask([{ type: "web_search_20250305", name: "web_search", max_uses: 2 }])).status, 200);
});

test("under a cap, every tool at the provider is looked at, or the call is refused", async () => {
  provider.json({ type: "message", content: [], model: "claude-haiku-4-5", stop_reason: "end_turn", usage: { input_tokens: 10, output_tokens: 10 } });
  const search = { type: "web_search_20250305", name: "web_search", max_uses: 0 };
  const ask = (token, tools) => messages(broker, token, "hello", { model: "claude-haiku-4-5", tools });
  const { access_token: token } = await grant(anthropic({ budget_usd: "100.00" }));
  const many = Array(128).fill(search);
  assert.equal((await ask(token, many)).status, 200);
  const own = Array.from({ length: 500 }, (_, index) => ({ name: `tool_${index}`, input_schema: { type: "object" } }));
  assert.equal((await ask(token, own)).status, 200);
  const before = provider.requests.length;
  const refused = await ask(token, [...many, { type: "web_search_20250305", name: "web_search" }]);
  assertAnthropicError(refused, 400, "too_many_tools");
  assert.match(refused.body.error.message, /send at most 128/);
  assert.equal(provider.requests.length, before);
  const { access_token: free } = await grant(anthropic({ requests: 5 }));
  assert.equal((await ask(free, [...many, search])).status, 200);
});

test("every answer of several is paid for", async () => {
  const { access_token: token } = await grant(openai({ budget_usd: "0.01" }));
  provider.json(completion(usage(10, 10)));
  assert.equal((await chat(broker, token, "hello", { ...own, max_completion_tokens: 500 })).status, 200);
  assertOpenAiError(await chat(broker, token, "hello", { ...own, max_completion_tokens: 500, n: 3 }), 402, "budget_exhausted");
});

test("Anthropic's input, cache reads and cache writes are paid for apart", async () => {
  const { access_token: token, grant_id: id } = await grant(anthropic({ budget_usd: "5.00" }));
  provider.json({
    id: "msg_1", type: "message", role: "assistant", model: "claude-haiku-4-5-20251001", content: [], stop_reason: "end_turn",
    usage: {
      input_tokens: 100, cache_read_input_tokens: 1000, cache_creation_input_tokens: 300, output_tokens: 50,
      cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
    },
  });
  const content = [{ type: "text", text: "x".repeat(2000), cache_control: { type: "ephemeral", ttl: "1h" } }];
  assert.equal((await messages(broker, token, content, { model: "claude-haiku-4-5" })).status, 200);
  const [row] = await bookings(id, 1);
  // 1 USD a million; 0.1 from the cache, 1.25 into it for 5 minutes, 2 for an hour; 5 for what is written.
  assert.equal(row.nano_usd, 100 * 1000 + 1000 * 100 + 100 * 1250 + 200 * 2000 + 50 * 5000);
  assert.equal(row.input_tokens, 1400);
});

const TEXT = ["Hello", " wor", "ld", " \u{1f600} </plaintext> <div> &amp; é"];
const stream = (used) => [...sse(TEXT.map(delta)), ...sse([chunk([{ index: 0, delta: {}, finish_reason: "stop" }], null)]), ...used, ...sse(["[DONE]"])];

test("a streamed chat is asked for its usage, is booked by it, and the client sees nothing of that", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  provider.stream(stream(sse([chunk([], usage(200, 30))])));
  const answer = await chat(broker, token, "hello", { ...own, stream: true });
  assert.deepEqual(provider.requests.at(-1).stream_options, { include_usage: true });
  assert.equal(answer.text, stream([]).join(""));
  const [row] = await bookings(id, 1);
  assert.deepEqual([row.nano_usd, row.basis, row.output_tokens], [200 * 1000 + 30 * 10_000, "usage", 30]);
});

test("a client that asks for the usage gets it, and the stream passes byte by byte", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  const pieces = stream(sse([chunk([], usage(200, 30))]));
  provider.stream(pieces);
  const answer = await chat(broker, token, "hello", { ...own, stream: true, stream_options: { include_usage: true } });
  assert.equal(answer.text, pieces.join(""));
  assert.equal((await bookings(id, 1))[0].nano_usd, 200 * 1000 + 30 * 10_000);
});

test("other options of the stream are kept", async () => {
  const { access_token: token } = await grant(openai({ budget_usd: "5.00" }));
  provider.stream(stream(sse([chunk([], usage(200, 30))])));
  await chat(broker, token, "hello", { ...own, stream: true, stream_options: { include_obfuscation: false } });
  assert.deepEqual(provider.requests.at(-1).stream_options, { include_usage: true, include_obfuscation: false });
});

const ANTHROPIC_START = {
  type: "message_start",
  message: { id: "msg_1", type: "message", role: "assistant", model: "claude-haiku-4-5", content: [], usage: { input_tokens: 40, output_tokens: 1 } },
};
const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

test("a stream of messages is booked by its last usage", async () => {
  const { access_token: token, grant_id: id } = await grant(anthropic({ budget_usd: "5.00" }));
  const pieces = [
    event(ANTHROPIC_START),
    event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "hi" } }),
    event({ type: "message_delta", delta: { stop_reason: null }, usage: { output_tokens: 10 } }),
    event({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 25 } }),
    event({ type: "message_stop" }),
  ];
  provider.stream(pieces);
  const answer = await messages(broker, token, "hello", { model: "claude-haiku-4-5", stream: true });
  assert.equal(answer.text, pieces.join(""));
  assert.deepEqual((await bookings(id, 1)).map((row) => row.nano_usd), [40 * 1000 + 25 * 5000]);
});

test("an answer that says no usage, or an absurd one, is booked at the bound", async () => {
  for (const answered of [completion(undefined), completion(usage(-5, 10)), completion(usage(10, 10 ** 12)), completion({ prompt_tokens: "many" })]) {
    const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
    provider.json(answered);
    assert.equal((await chat(broker, token, "hello", own)).status, 200);
    const [row] = await bookings(id, 1);
    assert.equal(row.basis, "bound");
    assert.ok(row.nano_usd >= 100 * 10_000 && row.nano_usd < 100 * 10_000 + 3000 * 1000, String(row.nano_usd));
    assert.equal(row.over_bound_nano_usd, 0);
  }
  assert.ok(broker.logs.some((line) => /can't be believed/.test(line) && /gpt-own: 10 tokens read and 1000000000000 written; booked at the 0\.\d+ USD held/.test(line)));
});

test("a bill above its hold is booked in full, and whoever runs the broker is told by how much", async () => {
  const receiver = await startScripted();
  after(() => receiver.close());
  receiver.json({});
  const address = (await browser.get("/settings/webhook")).page.form("/settings/webhook").fill({ url: `${receiver.url.replace("127.0.0.1", "localhost")}/hook` });
  assert.equal((await browser.submit(address)).status, 201);
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "1.00" }));
  // The window allows as many; the body is far shorter, so less was held.
  provider.json(completion(usage(9000, 100)));
  const answer = await chat(broker, token, "hello", own);
  assert.equal(answer.status, 200, answer.text);
  const [row] = await bookings(id, 1);
  const booked = 9000 * 1000 + 100 * 10_000;
  assert.deepEqual([row.nano_usd, row.basis], [booked, "usage"]);
  const over = row.over_bound_nano_usd;
  assert.ok(over > 5000 * 1000 && over < booked - 100 * 10_000, String(over));

  // The next call sees the smaller room; it is no dearer than its hold, and nobody is told of it.
  provider.json(completion(usage(10, 10)));
  const next = await chat(broker, token, "hello", own);
  assert.ok(Number(next.headers.get("aipassport-budget-remaining-usd")) <= 1 - booked / 1e9);
  assert.equal((await bookings(id, 2))[1].over_bound_nano_usd, 0);

  const usd = (nano) => String(nano / 1e9);
  const told = await until(() => receiver.requests.find(({ type }) => type === "call.over_bound"), "it is told");
  const { user_id: user, ...data } = told.data;
  assert.match(user, /^user_/);
  assert.deepEqual(
    { ...data, held_usd: Number(data.held_usd), booked_usd: Number(data.booked_usd), over_bound_usd: data.over_bound_usd },
    {
      grant_id: id, client_id: app.client_id, app: "Test app", provider: "openai", model: "gpt-own", request_id: row.request_id,
      held_usd: (booked - over) / 1e9, booked_usd: booked / 1e9, over_bound_usd: usd(over),
    },
  );

  const { page } = await browser.get("/");
  assert.match(page.text, /gpt-own .*1 call cost 0\.\d+ USD more than was held for it in the last 30 days/);
  assert.match(page.text, /Set its price in the variable PRICES, as docs\/prices\.md says/);
  const korean = (await browser.get("/", { "accept-language": "ko" })).page.text;
  assert.match(korean, /호출 1건이 잡아 둔 금액보다 0\.\d+ USD 더 나왔어요/);
  assert.match((await browser.get(`/grants/${id}`)).page.text, /0\.\d+ USD more than was held/);
  const [, , line] = (await browser.get(`/grants/${id}/calls.csv`)).text.split("\r\n");
  assert.ok(line.includes(`,${over},${usd(over)},usage,`), line);
  const { calls } = JSON.parse((await browser.get(`/grants/${id}/calls.json`)).text);
  assert.deepEqual(calls.map(({ over_bound_nano_usd, over_bound_usd }) => [over_bound_nano_usd, over_bound_usd]), [[0, "0.00"], [over, usd(over)]]);
  const logged = broker.logs.find((text) => text.includes("usage above the bound") && text.includes("gpt-own:"));
  assert.ok(logged.includes(`gpt-own: ${usd(over)} USD and`), logged);

  // A correction takes away what it corrects, and is not told anew.
  const sums = () => broker.sql("SELECT model, calls, nano_usd FROM over_bound_days");
  assert.deepEqual(await sums(), [{ model: "gpt-own", calls: 1, nano_usd: over }]);
  const correct = (to) => broker.sql("UPDATE usage_events SET over_bound_nano_usd = ? WHERE grant_id = ? AND hold = ?", to, id, row.hold);
  await correct(over - 5);
  assert.deepEqual(await sums(), [{ model: "gpt-own", calls: 1, nano_usd: over - 5 }]);
  assert.equal((await broker.sql("SELECT 1 FROM webhook_deliveries WHERE type = 'call.over_bound'")).length, 1);
  await correct(0);
  assert.doesNotMatch((await browser.get("/")).page.text, /more than was held/);
  assert.equal((await browser.submit((await browser.get("/settings/webhook")).page.form("/settings/webhook/off"))).status, 303);
});

test("what is wrong with the prices is an operator's to read", async () => {
  const member = await browser.somebodyElse("user_member");
  await broker.sql("INSERT INTO over_bound_days VALUES (?, 'openai', 'gpt-dear', 3, 5)", Math.floor(broker.now() / 86_400_000) - 29);
  await broker.sql("INSERT INTO over_bound_days VALUES (?, 'openai', 'gpt-past', 3, 5)", Math.floor(broker.now() / 86_400_000) - 30);
  const { text } = (await browser.get("/")).page;
  assert.match(text, /gpt-dear .*3 calls cost 0\.000000005 USD more than was held for them/);
  assert.doesNotMatch(text, /gpt-past/);
  assert.doesNotMatch((await member.get("/")).page.text, /gpt-dear/);
  await broker.sql("DELETE FROM over_bound_days");
});

const CHAT_PATH = "/openai/v1/chat/completions";
/** The usage at the end is asked for by the broker alone, or by the client: two ways for a stream to pass. */
const STREAM_OPTIONS = [{}, { stream_options: { include_usage: true } }];

/** Reads a stream until it has said this, then goes: its connection breaks, or is closed. */
async function leave(token, path, body, { after: last, how }) {
  const request = openCall(broker, token, path, body);
  const [response] = await once(request, "response");
  response.on("error", () => {});
  let text = "";
  response.setEncoding("utf8").on("data", (piece) => (text += piece));
  await until(() => text.includes(last), `"${last}" in the stream`);
  if (how === "breaks") request.socket.resetAndDestroy();
  else request.destroy();
}

test("a client whose connection breaks ends the call upstream at once, and the most that it can have cost is booked", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  provider.stream(sse(TEXT.map(delta)), () => new Promise(() => {}));
  for (const options of STREAM_OPTIONS) {
    const before = provider.aborted;
    await leave(token, CHAT_PATH, chatBody("hello", { ...own, stream: true, ...options }), { after: TEXT.at(-1), how: "breaks" });
    await until(() => provider.aborted > before, "the provider is hung up on", { seconds: 3 });
  }
  const rows = await bookings(id, 2);
  for (const row of rows) {
    assert.equal(row.basis, "bound");
    assert.ok(row.nano_usd >= 100 * 10_000, String(row.nano_usd));
  }
});

// workerd knows a closed connection only when it writes to it. In between the provider is silent.
test("a client that closes its connection ends the call upstream with the provider's next words", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  for (const options of STREAM_OPTIONS) {
    const left = Promise.withResolvers();
    provider.stream(sse(TEXT.map(delta)), async (response) => {
      await left.promise;
      while (!response.destroyed) {
        response.write(sse([delta("more")])[0]);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    const before = provider.aborted;
    await leave(token, CHAT_PATH, chatBody("hello", { ...own, stream: true, ...options }), { after: TEXT.at(-1), how: "is closed" });
    left.resolve();
    await until(() => provider.aborted > before, "the provider is hung up on", { seconds: 3 });
  }
  assert.deepEqual((await bookings(id, 2)).map(({ basis }) => basis), ["bound", "bound"]);
});

test("a client whose connection breaks before its answer begins ends the call upstream, and the most that it can have cost is booked", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  const [calls, aborted] = [provider.requests.length, provider.aborted];
  provider.answer = () => new Promise(() => {});
  const request = openCall(broker, token, CHAT_PATH, chatBody("hello", own));
  await until(() => provider.requests.length > calls, "the call arrives");
  request.socket.resetAndDestroy();
  await until(() => provider.aborted > aborted, "the provider is hung up on", { seconds: 3 });
  const [row] = await bookings(id, 1);
  assert.deepEqual([row.basis, row.status], ["bound", 0]);
});

test("where a stream has said what was read, a client that leaves pays for that and for all that could be written", async () => {
  const { access_token: token, grant_id: id } = await grant(anthropic({ budget_usd: "5.00" }));
  provider.stream([event(ANTHROPIC_START), event({ type: "ping" })], () => new Promise(() => {}));
  const body = { model: "claude-haiku-4-5", max_tokens: 100, stream: true, messages: [{ role: "user", content: "hello" }] };
  await leave(token, "/anthropic/v1/messages", body, { after: "ping", how: "breaks" });
  const [row] = await bookings(id, 1);
  assert.deepEqual([row.basis, row.nano_usd, row.input_tokens], ["bound", 40 * 1000 + 100 * 5000, 40]);
});

test("a provider that breaks off in the middle is paid the most that it can bill", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  provider.stream(sse(TEXT.map(delta)), (response) => response.destroy());
  await assert.rejects(chat(broker, token, "hello", { ...own, stream: true }));
  const [row] = await bookings(id, 1);
  assert.equal(row.basis, "bound");
});

test("a connection that is lost before an answer comes is booked at the most: the provider may have done its work", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  provider.answer = (_, response) => response.destroy();
  const answer = await chat(broker, token, "hello", own);
  assertOpenAiError(answer, 502, "upstream_unreachable");
  const [row] = await bookings(id, 1);
  assert.deepEqual([row.basis, row.status], ["bound", 0]);
  assert.ok(row.nano_usd >= 100 * 10_000);
});

test("a provider that never answers is booked by the alarm", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  provider.answer = () => new Promise(() => {});
  const leaving = new AbortController();
  const hanging = chat(broker, token, "hello", own, { signal: leaving.signal }).catch(() => null);
  const rows = await bookings(id, 1);
  assert.equal(rows[0].basis, "overdue");
  leaving.abort();
  await hanging;
});

test("errors that the provider doesn't bill cost nothing; where nobody knows, the bound is booked", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  for (const status of [429, 500, 503]) {
    provider.json({ error: { message: "no", type: "server_error", param: null, code: null } }, status);
    assert.equal((await chat(broker, token, "hello", own)).status, status);
  }
  provider.json({ error: { message: "bad", type: "invalid_request_error", param: null, code: null } }, 400);
  assert.equal((await chat(broker, token, "hello", own)).status, 400);
  provider.answer = (_, response) => response.writeHead(504, { "content-type": "text/html" }).end("<html>gateway time-out</html>");
  assert.equal((await chat(broker, token, "hello", own)).status, 504);
  const rows = await bookings(id, 2);
  assert.deepEqual(rows.map(({ status, basis }) => [status, basis]), [[400, "usage"], [504, "bound"]]);
  assert.equal(rows[0].nano_usd, 0);
  assert.ok(rows[1].nano_usd > 0);
});

test("embeddings are paid by what they read", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, {
    details: [{ type: "ai_access", provider: "openai", models: ["text-embedding-3-small"], capabilities: ["embeddings"], limits: { budget_usd: "1.00" } }],
  });
  provider.json({ object: "list", data: [], model: "text-embedding-3-small", usage: { prompt_tokens: 500, total_tokens: 500 } });
  const answer = await call(broker, token, "/openai/v1/embeddings", { body: { model: "text-embedding-3-small", input: "x".repeat(900) } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal((await bookings(id, 1))[0].nano_usd, 500 * 20);
});

test("while D1 is down calls go on, and their bookings arrive once it is back, each once", async () => {
  const { access_token: token, grant_id: id } = await grant(openai({ budget_usd: "5.00" }));
  provider.json(completion(usage(10, 10)));
  await chat(broker, token, "hello", own);
  await bookings(id, 1);
  await broker.sql("ALTER TABLE usage_events RENAME TO usage_events_away");
  for (let i = 0; i < 5; i += 1) assert.equal((await chat(broker, token, "hello", own)).status, 200);
  // Long enough to be told, which fails.
  assert.ok((await broker.advance(4)) > 0);
  // And workerd goes down meanwhile.
  await broker.kill();
  await broker.sql("ALTER TABLE usage_events_away RENAME TO usage_events");
  // Anything wakes it, also the alarm that is set.
  const rows = await bookings(id, 6);
  assert.equal(rows.filter(({ basis }) => basis === "usage").length, 6);
});

test("prices that can't be read stop the broker, and its log says which entry", async () => {
  const { access_token: token } = await grant(openai({ budget_usd: "5.00" }));
  await broker.restart({ PRICES: JSON.stringify([{ provider: "openai", model: "gpt-own", input: "1", output: "ten" }]) });
  assertOpenAiError(await chat(broker, token, "hello", own), 503, "broker_unavailable");
  assert.ok(
    broker.logs.some((line) => /PRICES/.test(line) && /output/.test(line)),
    "the log names it",
  );
});
