// The official package, unchanged but for base URL and token.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { freePort } from "../support/broker.mjs";
import { startWorld, until } from "../support/world.mjs";

// Counted under the package, so that its own retries are seen.
let fetches = 0;
const realFetch = globalThis.fetch;
globalThis.fetch = (...all) => {
  fetches += 1;
  return realFetch(...all);
};

const { broker, browser, app, standin } = await startWorld({ env: { UPSTREAM_TIMEOUT_SECONDS: "1" } });

const ALL = [
  {
    type: "ai_access",
    provider: "openai",
    models: ["gpt-5*", "text-embedding-*", "omni-*"],
    capabilities: ["chat", "embeddings", "moderation"],
  },
];

/** An SDK for a new grant, made of what the token answer says and nothing else. */
async function connect(limits, details = ALL) {
  const grant = await browser.grant(app, { details: [{ ...details[0], ...(limits && { limits }) }] });
  const [{ base_url: baseURL }] = grant.authorization_details;
  return Object.assign(new OpenAI({ baseURL, apiKey: grant.access_token }), { grant });
}

const openai = await connect();
const hello = { model: "gpt-5-mini", messages: [{ role: "user", content: "hello" }] };

/** The error, and how often the SDK tried. */
async function failure(call) {
  const before = fetches;
  const error = await call().then(
    () => assert.fail("it did not fail"),
    (error) => error,
  );
  return { error, tries: fetches - before };
}

test("chat", async () => {
  const answer = await openai.chat.completions.create(hello);
  assert.equal(answer.object, "chat.completion");
  assert.equal(typeof answer.choices[0].message.content, "string");
  assert.ok(answer.usage.total_tokens > 0);
  assert.ok(answer._request_id);
});

test("chat, streamed", async () => {
  let text = "";
  let last;
  for await (const chunk of await openai.chat.completions.create({ ...hello, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
    last = chunk;
  }
  assert.ok(text.length > 0);
  assert.equal(last.choices[0].finish_reason, "stop");
  assert.ok(!last.usage, "no usage that was not asked for");
});

test("chat, streamed with usage", async () => {
  const chunks = [];
  const stream = await openai.chat.completions.create({ ...hello, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) chunks.push(chunk);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(chunks.at(-1).usage.total_tokens > 0);
});

test("chat, streamed through the SDK's helper", async () => {
  const answer = await openai.chat.completions.stream(hello).finalChatCompletion();
  assert.ok(answer.choices[0].message.content.length > 0);
});

test("a stream that the app stops reading stops upstream", async () => {
  const stream = await openai.chat.completions.create({
    ...hello,
    messages: [{ role: "user", content: "standin:chunks=500 standin:slow=50" }],
    stream: true,
  });
  for await (const _ of stream) break;
  const it = standin.requests.at(-1);
  await until(() => it.aborted, "the upstream stream is stopped", { seconds: 5 });
});

const TOOL = {
  type: "function",
  function: {
    name: "weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, model: { type: "string" }, file_id: { type: "string" } },
    },
  },
};

test("tool calls, there and back", async () => {
  const first = await openai.chat.completions.create({ ...hello, tools: [TOOL] });
  const [toolCall] = first.choices[0].message.tool_calls;
  assert.equal(toolCall.function.name, "weather");
  const messages = [...hello.messages, first.choices[0].message, { role: "tool", tool_call_id: toolCall.id, content: "sunny" }];
  const second = await openai.chat.completions.create({ ...hello, messages, tools: [TOOL] });
  assert.ok(second.choices[0].message.content);
});

test("tool calls, streamed", async () => {
  const stream = openai.chat.completions.stream({ ...hello, tools: [TOOL] });
  const answer = await stream.finalChatCompletion();
  const [toolCall] = answer.choices[0].message.tool_calls;
  assert.equal(typeof JSON.parse(toolCall.function.arguments), "object");
});

test("image input", async () => {
  const url = `data:image/png;base64,${Buffer.alloc(300_000, 7).toString("base64")}`;
  const content = [
    { type: "text", text: "what is this?" },
    { type: "image_url", image_url: { url } },
  ];
  const answer = await openai.chat.completions.create({ ...hello, messages: [{ role: "user", content }] });
  assert.ok(answer.choices[0].message.content);
  assert.deepEqual(standin.requests.at(-1).body.messages[0].content, content);
});

test("responses", async () => {
  const answer = await openai.responses.create({ model: "gpt-5-mini", input: "hello" });
  assert.equal(answer.status, "completed");
  assert.ok(answer.output_text.length > 0);
  assert.ok(answer.usage.total_tokens > 0);
});

test("responses with a client's own labels, which go along untouched and cost nothing", async () => {
  const client = await connect({ budget_usd: "1.00" });
  const labels = { session_id: "s", thread_id: "t", turn_id: "u", "x-codex-turn-metadata": '{"session_id":"s"}', tools: [{ type: "web_search" }] };
  const own = { client_metadata: labels, metadata: { session_id: "s" }, user: "u", safety_identifier: "s", prompt_cache_key: "k" };
  const input = [{ type: "message", role: "user", content: "hello", internal_chat_message_metadata_passthrough: { turn_id: "u" } }];
  const request = { model: "gpt-5-mini", input, max_output_tokens: 100, store: false, ...own };
  assert.equal((await client.responses.create(request)).status, "completed");
  assert.deepEqual(standin.requests.at(-1).body, request);
});

test("responses, streamed", async () => {
  const types = [];
  let text = "";
  for await (const event of await openai.responses.create({ model: "gpt-5-mini", input: "hello", stream: true })) {
    types.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(types[0], "response.created");
  assert.equal(types.at(-1), "response.completed");
  assert.ok(text.length > 0);
});

test("responses with a tool", async () => {
  const tools = [{ type: "function", name: "weather", parameters: { type: "object", properties: {} }, strict: false }];
  const answer = await openai.responses.create({ model: "gpt-5-mini", input: "hello", tools });
  assert.ok(answer.output.some(({ type }) => type === "function_call"));
});

test("embeddings", async () => {
  const answer = await openai.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] });
  assert.equal(answer.data.length, 2);
  assert.equal(typeof answer.data[0].embedding[0], "number");
});

test("moderations", async () => {
  const answer = await openai.moderations.create({ model: "omni-moderation-latest", input: "hello" });
  assert.equal(typeof answer.results[0].flagged, "boolean");
});

test("models, filtered to the grant", async () => {
  const narrow = await connect(undefined, [{ ...ALL[0], models: ["gpt-5-mini"] }]);
  const ids = [];
  for await (const model of narrow.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["gpt-5-mini"]);
  assert.equal((await narrow.models.retrieve("gpt-5-mini")).id, "gpt-5-mini");
});

// What the SDK makes of each refusal. The classes are those that its users catch.

test("a revoked grant is an AuthenticationError, and is not retried", async () => {
  const client = await connect();
  await browser.revoke(client.grant.grant_id);
  const { error, tries } = await failure(() => client.chat.completions.create(hello));
  assert.ok(error instanceof OpenAI.AuthenticationError);
  assert.deepEqual([error.status, error.code, tries], [401, "invalid_token", 1]);
  assert.equal(error.headers.get("x-should-retry"), "false");
});

test("a model that is not granted is a PermissionDeniedError, and is not retried", async () => {
  const { error, tries } = await failure(() => openai.chat.completions.create({ ...hello, model: "o9" }));
  assert.ok(error instanceof OpenAI.PermissionDeniedError);
  assert.deepEqual([error.status, error.code, tries], [403, "model_not_granted", 1]);
});

test("a capability that is not granted is a PermissionDeniedError", async () => {
  const client = await connect(undefined, [{ ...ALL[0], capabilities: ["embeddings"] }]);
  const { error, tries } = await failure(() => client.chat.completions.create(hello));
  assert.ok(error instanceof OpenAI.PermissionDeniedError);
  assert.deepEqual([error.code, tries], ["capability_not_granted", 1]);
});

test("an endpoint that no grant covers is a PermissionDeniedError", async () => {
  for (const call of [
    () => openai.files.list(),
    () => openai.batches.list(),
    () => openai.fineTuning.jobs.list(),
  ]) {
    const { error, tries } = await failure(call);
    assert.ok(error instanceof OpenAI.PermissionDeniedError);
    assert.deepEqual([error.code, tries], ["endpoint_not_granted", 1]);
  }
});

test("requests that are used up are an APIError with 402, and are not retried", async () => {
  const client = await connect({ requests: 1 });
  await client.chat.completions.create(hello);
  const arrivals = standin.requests.length;
  const { error, tries } = await until(async () => {
    const result = await failure(() => client.chat.completions.create(hello, { maxRetries: 0 }));
    return result.error.code !== "requests_held" && result;
  }, "the call is booked");
  assert.ok(error instanceof OpenAI.APIError);
  assert.deepEqual([error.status, error.code, tries], [402, "requests_exhausted", 1]);
  const again = await failure(() => client.chat.completions.create(hello));
  assert.equal(again.tries, 1, "with the retries that the SDK makes by itself");
  assert.match(again.error.message, /requests/);
  assert.equal(again.error.error.aipassport.limit, "requests");
  assert.equal(standin.requests.length, arrivals);
});

test("a rate that is reached is a RateLimitError with Retry-After, which the SDK can heed", async () => {
  const client = await connect({ requests_per_minute: 1 });
  await client.chat.completions.create(hello);
  const { error } = await failure(() => client.chat.completions.create(hello, { maxRetries: 0 }));
  assert.ok(error instanceof OpenAI.RateLimitError);
  assert.equal(error.code, "rate_limited");
  assert.ok(Number(error.headers.get("retry-after")) >= 1);
});

test("a request that can not be read is a BadRequestError", async () => {
  const { error, tries } = await failure(() => openai.chat.completions.create({ messages: [] }));
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.deepEqual([error.code, tries], ["invalid_request", 1]);
});

test("the provider's own errors keep their classes", async () => {
  const say = (content, more) =>
    openai.chat.completions.create({ ...hello, messages: [{ role: "user", content }] }, { maxRetries: 0, ...more });
  const classes = [
    ["standin:status=400", OpenAI.BadRequestError],
    ["standin:status=404", OpenAI.NotFoundError],
    ["standin:status=500", OpenAI.InternalServerError],
  ];
  for (const [content, kind] of classes) {
    const { error } = await failure(() => say(content));
    assert.ok(error instanceof kind, `${content}: ${error}`);
  }
  // By a grant of its own: a 429 asks for a pause.
  const own = await connect();
  const limited = { ...hello, messages: [{ role: "user", content: "standin:status=429" }] };
  const { error } = await failure(() => own.chat.completions.create(limited, { maxRetries: 0 }));
  assert.ok(error instanceof OpenAI.RateLimitError, String(error));
  assert.equal(error.headers.get("aipassport-error"), null);
  assert.equal((await failure(() => say("standin:status=500", { maxRetries: 1 }))).tries, 2, "what can be retried is retried");
});

test("a provider that does not answer in time is an InternalServerError with 504", async () => {
  const { error } = await failure(() =>
    openai.chat.completions.create({ ...hello, messages: [{ role: "user", content: "standin:hang" }] }, { maxRetries: 0 }),
  );
  assert.ok(error instanceof OpenAI.InternalServerError);
  assert.deepEqual([error.status, error.code], [504, "upstream_timeout"]);
});

test("a provider that can not be reached is an InternalServerError with 502; its key refused is one that is not retried", async () => {
  await broker.restart({ OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}` });
  const unreachable = await failure(() => openai.chat.completions.create(hello, { maxRetries: 0 }));
  assert.ok(unreachable.error instanceof OpenAI.InternalServerError);
  assert.deepEqual([unreachable.error.status, unreachable.error.code], [502, "upstream_unreachable"]);
  await broker.restart({ OPENAI_BASE_URL: standin.url, OPENAI_API_KEY: "sk-wrong" });
  const rejected = await failure(() => openai.chat.completions.create(hello));
  assert.ok(rejected.error instanceof OpenAI.InternalServerError);
  assert.deepEqual([rejected.error.status, rejected.error.code, rejected.tries], [502, "provider_key_rejected", 1]);
  await broker.restart({ OPENAI_API_KEY: broker.secrets.OPENAI_API_KEY });
  assert.ok(await openai.chat.completions.create(hello));
});
