// The official package, unchanged but for base URL and token.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { freePort } from "../support/broker.mjs";
import { startWorld, until } from "../support/world.mjs";

let fetches = 0;
const realFetch = globalThis.fetch;
globalThis.fetch = (...all) => {
  fetches += 1;
  return realFetch(...all);
};

const { broker, browser, app, standin } = await startWorld({ env: { UPSTREAM_TIMEOUT_SECONDS: "1" } });

const ALL = [{ type: "ai_access", provider: "anthropic", models: ["claude-*"], capabilities: ["chat"] }];

async function connect(limits, details = ALL, where = "apiKey") {
  const grant = await browser.grant(app, { details: [{ ...details[0], ...(limits && { limits }) }] });
  const [{ base_url: baseURL }] = grant.authorization_details;
  return Object.assign(new Anthropic({ baseURL, apiKey: null, authToken: null, [where]: grant.access_token }), { grant });
}

const anthropic = await connect();
const model = "claude-opus-5";
const hello = { model, max_tokens: 100, messages: [{ role: "user", content: "hello" }] };

async function failure(call) {
  const before = fetches;
  const error = await call().then(
    () => assert.fail("it did not fail"),
    (error) => error,
  );
  return { error, tries: fetches - before };
}

test("messages", async () => {
  const answer = await anthropic.messages.create(hello);
  assert.equal(answer.type, "message");
  assert.equal(answer.content[0].type, "text");
  assert.ok(answer.usage.input_tokens > 0);
  assert.ok(answer._request_id);
});

test("messages, with the token as authToken instead of apiKey", async () => {
  const client = await connect(undefined, ALL, "authToken");
  assert.equal((await client.messages.create(hello)).type, "message");
  assert.equal(standin.requests.at(-1).headers.authorization, undefined);
});

test("messages, streamed", async () => {
  const types = [];
  for await (const event of await anthropic.messages.create({ ...hello, stream: true })) types.push(event.type);
  assert.equal(types[0], "message_start");
  assert.equal(types.at(-1), "message_stop");
  assert.ok(types.includes("content_block_delta"));
});

test("messages, streamed through the SDK's helper", async () => {
  const answer = await anthropic.messages.stream(hello).finalMessage();
  assert.ok(answer.content[0].text.length > 0);
  assert.ok(answer.usage.output_tokens > 0);
});

test("a stream that the app stops reading stops upstream", async () => {
  const stream = anthropic.messages.stream({
    ...hello,
    messages: [{ role: "user", content: "standin:chunks=500 standin:slow=50" }],
  });
  stream.on("error", () => {});
  stream.on("abort", () => {});
  await new Promise((resolve) => stream.once("text", resolve));
  const it = standin.requests.at(-1);
  stream.abort();
  await until(() => it.aborted, "the upstream stream is stopped", { seconds: 5 });
});

const TOOL = {
  name: "weather",
  input_schema: { type: "object", properties: { city: { type: "string" }, model: { type: "string" } } },
};

test("tool use, there and back", async () => {
  const first = await anthropic.messages.create({ ...hello, tools: [TOOL] });
  const use = first.content.find(({ type }) => type === "tool_use");
  assert.equal(use.name, "weather");
  const messages = [
    ...hello.messages,
    { role: "assistant", content: first.content },
    { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "sunny" }] },
  ];
  const second = await anthropic.messages.create({ ...hello, messages, tools: [TOOL] });
  assert.ok(second.content.some(({ type }) => type === "text"));
});

test("tool use, streamed", async () => {
  const answer = await anthropic.messages.stream({ ...hello, tools: [TOOL] }).finalMessage();
  assert.equal(typeof answer.content.find(({ type }) => type === "tool_use").input, "object");
});

test("image input", async () => {
  const source = { type: "base64", media_type: "image/png", data: Buffer.alloc(300_000, 7).toString("base64") };
  const content = [
    { type: "image", source },
    { type: "text", text: "what is this?" },
  ];
  const answer = await anthropic.messages.create({ ...hello, messages: [{ role: "user", content }] });
  assert.equal(answer.content[0].type, "text");
  assert.deepEqual(standin.requests.at(-1).body.messages[0].content, content);
});

test("count_tokens", async () => {
  const { model, messages } = hello;
  assert.ok((await anthropic.messages.countTokens({ model, messages })).input_tokens > 0);
});

test("beta messages, with their query and header", async () => {
  const answer = await anthropic.beta.messages.create({ ...hello, betas: ["context-1m-2025-08-07"] });
  assert.equal(answer.type, "message");
  assert.match(standin.requests.at(-1).headers["anthropic-beta"], /context-1m-2025-08-07/);
});

test("beta messages of a coding agent fit under a cap, and a beta that isn't known doesn't leave", async () => {
  const client = await connect({ budget_usd: "1.00" });
  const say = (betas, ...edits) =>
    client.beta.messages.create({ ...hello, metadata: { user_id: "u" }, context_management: { edits }, betas });
  const betas = ["claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27", "effort-2025-11-24"];
  const answer = await say(betas, { type: "clear_thinking_20251015", keep: "all" });
  assert.equal(answer.type, "message");
  assert.equal(standin.requests.at(-1).headers["anthropic-beta"], betas.join());
  const unknown = ["Context-1M-2025-08-07", "released-today-2027-01-01"];
  const { response } = await client.beta.messages.create({ ...hello, betas: [...betas, ...unknown] }).withResponse();
  assert.equal(standin.requests.at(-1).headers["anthropic-beta"], betas.join());
  assert.equal(response.headers.get("aipassport-dropped"), unknown.join(", "));
  const before = standin.requests.length;
  for (const refused of [
    () => say(betas, { type: "compact_20260112" }),
    () => say(betas, { type: "not_known_yet_20270101" }),
  ]) {
    const { error } = await failure(refused);
    assert.ok(error instanceof Anthropic.PermissionDeniedError, String(error));
    assert.equal(error.headers.get("aipassport-error"), "price_unknown");
  }
  assert.equal(standin.requests.length, before);
});

test("models, filtered to the grant", async () => {
  const narrow = await connect(undefined, [{ ...ALL[0], models: [model] }]);
  const ids = [];
  for await (const one of narrow.models.list()) ids.push(one.id);
  assert.deepEqual(ids, [model]);
  assert.equal((await narrow.models.retrieve(model)).id, model);
});

test("a revoked grant is an AuthenticationError, and is not retried", async () => {
  const client = await connect();
  await browser.revoke(client.grant.grant_id);
  const { error, tries } = await failure(() => client.messages.create(hello));
  assert.ok(error instanceof Anthropic.AuthenticationError);
  assert.deepEqual([error.status, error.error.error.type, tries], [401, "authentication_error", 1]);
  assert.equal(error.headers.get("x-should-retry"), "false");
});

test("a model that is not granted is a PermissionDeniedError, and is not retried", async () => {
  const { error, tries } = await failure(() => anthropic.messages.create({ ...hello, model: "gemini-9" }));
  assert.ok(error instanceof Anthropic.PermissionDeniedError);
  assert.deepEqual([error.headers.get("aipassport-error"), tries], ["model_not_granted", 1]);
});

test("a provider that is not granted is a PermissionDeniedError", async () => {
  const grant = await browser.grant(app, {
    details: [{ type: "ai_access", provider: "openai", models: ["*"], capabilities: ["chat"] }],
  });
  const client = new Anthropic({ baseURL: `${broker.url}/anthropic`, apiKey: grant.access_token });
  const { error, tries } = await failure(() => client.messages.create(hello));
  assert.ok(error instanceof Anthropic.PermissionDeniedError);
  assert.deepEqual([error.headers.get("aipassport-error"), tries], ["provider_not_granted", 1]);
});

test("an endpoint that no grant covers is a PermissionDeniedError", async () => {
  const { error, tries } = await failure(() => anthropic.messages.batches.list());
  assert.ok(error instanceof Anthropic.PermissionDeniedError);
  assert.deepEqual([error.headers.get("aipassport-error"), tries], ["endpoint_not_granted", 1]);
});

test("requests that are used up are an APIError with 402, and are not retried", async () => {
  const client = await connect({ requests: 1 });
  await client.messages.create(hello);
  const arrivals = standin.requests.length;
  const { error } = await until(async () => {
    const result = await failure(() => client.messages.create(hello, { maxRetries: 0 }));
    return result.error.status !== 429 && result;
  }, "the call is booked");
  assert.ok(error instanceof Anthropic.APIError);
  assert.deepEqual([error.status, error.error.error.type], [402, "billing_error"]);
  assert.equal((await failure(() => client.messages.create(hello))).tries, 1);
  assert.equal(standin.requests.length, arrivals);
});

test("a rate that is reached is a RateLimitError with Retry-After", async () => {
  const client = await connect({ requests_per_minute: 1 });
  await client.messages.create(hello);
  const { error } = await failure(() => client.messages.create(hello, { maxRetries: 0 }));
  assert.ok(error instanceof Anthropic.RateLimitError);
  assert.ok(Number(error.headers.get("retry-after")) >= 1);
});

test("a request that can not be read is a BadRequestError", async () => {
  const { error, tries } = await failure(() => anthropic.messages.create({ messages: [], max_tokens: 1 }));
  assert.ok(error instanceof Anthropic.BadRequestError);
  assert.equal(tries, 1);
});

test("the provider's own errors keep their classes", async () => {
  const say = (content, more) =>
    anthropic.messages.create({ ...hello, messages: [{ role: "user", content }] }, { maxRetries: 0, ...more });
  const classes = [
    ["standin:status=400", Anthropic.BadRequestError],
    ["standin:status=404", Anthropic.NotFoundError],
    ["standin:status=500", Anthropic.InternalServerError],
    ["standin:status=529", Anthropic.InternalServerError],
  ];
  for (const [content, kind] of classes) {
    const { error } = await failure(() => say(content));
    assert.ok(error instanceof kind, `${content}: ${error}`);
  }
  // By a grant of its own: a 429 asks for a pause.
  const own = await connect();
  const limited = { ...hello, messages: [{ role: "user", content: "standin:status=429" }] };
  const { error } = await failure(() => own.messages.create(limited, { maxRetries: 0 }));
  assert.ok(error instanceof Anthropic.RateLimitError, String(error));
  assert.equal(error.headers.get("aipassport-error"), null);
});

test("a provider that can not be reached is an InternalServerError with 502; its key refused is one that is not retried", async () => {
  await broker.restart({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${await freePort()}` });
  const unreachable = await failure(() => anthropic.messages.create(hello, { maxRetries: 0 }));
  assert.ok(unreachable.error instanceof Anthropic.InternalServerError);
  assert.equal(unreachable.error.headers.get("aipassport-error"), "upstream_unreachable");
  await broker.restart({ ANTHROPIC_BASE_URL: standin.url, ANTHROPIC_API_KEY: "sk-ant-wrong" });
  const rejected = await failure(() => anthropic.messages.create(hello));
  assert.deepEqual([rejected.error.status, rejected.tries], [502, 1]);
  await broker.restart({ ANTHROPIC_API_KEY: broker.secrets.ANTHROPIC_API_KEY });
  assert.equal((await anthropic.messages.create(hello)).type, "message");
});
