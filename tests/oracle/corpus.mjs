// The corpus: answers in the shapes that the official SDKs' types and the stand-in have, over all kinds, whole and streamed, with
// numbers as they are in use. `node tests/oracle/corpus.mjs` writes it to tests/corpus, one JSON object a line:
//
//   name      unique
//   provider  openai | anthropic
//   kind      chat | responses | embeddings | images | transcription | speech | messages | free
//   stream    whether `body` is a stream of events
//   model     the model that was asked for
//   said      complete | partial | missing: what a reader must find
//   flavor    how the oracle calls the kind, where it knows it
//   body      the answer, as it comes
//   whole     of a stream, the same answer as one JSON object

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CORPUS = join(import.meta.dirname, "../corpus");

const sse = (data, { end = "\n", named = false } = {}) =>
  data
    .map((one) => {
      const text = typeof one === "string" ? one : JSON.stringify(one);
      const name = named && typeof one !== "string" ? `event: ${one.type}${end}` : "";
      return `${name}data: ${text}${end}${end}`;
    })
    .join("");

// ── chat ──

const chatTokens = (input, output, { cached = 0, written, audioIn = 0, audioOut = 0, reasoning = 0, image, rejected = 0 } = {}) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  prompt_tokens_details: {
    cached_tokens: cached,
    ...(written !== undefined && { cache_write_tokens: written }),
    audio_tokens: audioIn,
    ...(image !== undefined && { image_tokens: image }),
  },
  completion_tokens_details: {
    reasoning_tokens: reasoning,
    audio_tokens: audioOut,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: rejected,
  },
});

const CHATS = [
  ["plain", ["gpt-5-mini-2025-08-07", "gpt-5.2-2025-12-11", "gpt-4.1", "gpt-4o-2024-08-06", "o3"], chatTokens(57, 203)],
  ["one token", ["gpt-5-mini-2025-08-07", "gpt-4.1"], chatTokens(1, 1)],
  ["nothing written", ["gpt-4.1"], chatTokens(812, 0)],
  ["cached", ["gpt-5-mini-2025-08-07", "gpt-5.2-2025-12-11", "gpt-4.1", "gpt-4o-2024-08-06"], chatTokens(5310, 411, { cached: 5120 })],
  ["all cached", ["gpt-4.1"], chatTokens(2048, 12, { cached: 2048 })],
  ["reasoning", ["gpt-5-mini-2025-08-07", "o3", "gpt-5.1-2025-11-13"], chatTokens(941, 3377, { reasoning: 3136 })],
  ["cached and reasoning", ["gpt-5.1-2025-11-13", "gpt-6-sol"], chatTokens(18_433, 2104, { cached: 17_920, reasoning: 1472 })],
  ["written to the cache", ["gpt-5.6-sol", "gpt-6-sol"], chatTokens(9211, 640, { cached: 4096, written: 5000 })],
  ["predicted", ["gpt-4o-2024-08-06"], chatTokens(2290, 1511, { rejected: 214 })],
  ["sound", ["gpt-audio"], chatTokens(310, 640, { audioIn: 250, audioOut: 512 })],
  ["long", ["gpt-5.4", "gpt-5.6-sol", "gpt-6-sol", "gpt-4.1"], chatTokens(310_007, 15_001, { cached: 200_064 })],
  ["at the edge of long", ["gpt-5.4", "gpt-6-sol"], chatTokens(272_000, 100)],
];

const about = (model, object, tier) => ({ id: "chatcmpl-C0rpus", object, created: 1_763_900_000, model, service_tier: tier, system_fingerprint: "fp_44709d6fcb" });

function chatWhole(model, usage, { tier = "default", message = {}, finish = "stop" } = {}) {
  const choices = [{ index: 0, message: { role: "assistant", content: 'It says "usage": 1.', refusal: null, annotations: [], ...message }, logprobs: null, finish_reason: finish }];
  return { ...about(model, "chat.completion", tier), choices, usage };
}

function chatChunks(model, usage, { tier = "default", finish = "stop", place = "alone" } = {}) {
  const head = about(model, "chat.completion.chunk", tier);
  const chunk = (delta, reason = null, more = { usage: null }) => ({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }], ...more, obfuscation: "k7Qz2" });
  const begins = [chunk({ role: "assistant", content: "", refusal: null }), chunk({ content: "Héllo" }), chunk({ content: '"usage"' })];
  if (place === "alone") return [...begins, chunk({}, finish), { ...head, choices: [], usage, obfuscation: "k7Qz2mVx9L" }, "[DONE]"];
  if (place === "last") return [...begins, chunk({}, finish, { usage }), "[DONE]"];
  if (place === "groq") return [...begins, chunk({}, finish, { x_groq: { id: "req_01", usage: { queue_time: 0.018, ...usage } } }), "[DONE]"];
  if (place === "no choices") return [...begins, chunk({}, finish), { ...head, usage }, "[DONE]"];
  throw new Error(place);
}

function* chats() {
  const base = { provider: "openai", kind: "chat", said: "complete", flavor: "chat" };
  const streamed = (name, model, data, whole, more = {}, how = {}) => ({ ...base, name, model, stream: true, body: sse(data, how), whole, ...more });
  for (const [what, models, usage] of CHATS) {
    for (const model of models) {
      yield { ...base, name: `chat: ${what}, ${model}`, model, stream: false, body: JSON.stringify(chatWhole(model, usage)) };
      yield streamed(`chat: ${what}, ${model}, streamed`, model, chatChunks(model, usage), chatWhole(model, usage));
    }
  }
  const model = "gpt-5-mini-2025-08-07";
  const usage = chatTokens(1290, 422, { cached: 1024, reasoning: 128 });
  for (const tier of ["flex", "priority"]) {
    const whole = chatWhole(model, usage, { tier });
    yield { ...base, name: `chat: tier ${tier}`, model, stream: false, body: JSON.stringify(whole) };
    yield streamed(`chat: tier ${tier}, streamed`, model, chatChunks(model, usage, { tier }), whole);
  }
  for (const place of ["last", "groq", "no choices"]) {
    yield streamed(`chat: usage ${place}, streamed`, model, chatChunks(model, usage, { place }), chatWhole(model, usage));
  }
  for (const [name, end] of [["CRLF", "\r\n"], ["CR", "\r"]]) {
    yield streamed(`chat: lines end with ${name}, streamed`, model, chatChunks(model, usage), chatWhole(model, usage), {}, { end });
  }
  const chunks = chatChunks(model, usage);
  const comments = sse(chunks).replaceAll("data: ", ": OPENROUTER PROCESSING\n\ndata: ");
  yield streamed("chat: comments between, streamed", model, [], chatWhole(model, usage), { body: `\u{feff}${comments}` });
  yield streamed("chat: no blank line at the end, streamed", model, [], chatWhole(model, usage), { body: sse(chunks).trimEnd() });
  yield streamed("chat: without done, streamed", model, chunks.slice(0, -1), chatWhole(model, usage));
  const missing = { said: "missing", whole: undefined };
  yield streamed("chat: broken off, streamed", model, chunks.slice(0, 3), undefined, missing);
  yield streamed("chat: not asked, streamed", model, [...chunks.slice(0, 4), "[DONE]"], undefined, missing);
  const error = { error: { message: "The server had an error", type: "server_error", param: null, code: null } };
  yield streamed("chat: error, streamed", model, [...chunks.slice(0, 2), error], undefined, missing);
  for (const [name, more] of [
    ["refused", { message: { content: null, refusal: "I can't help with that." } }],
    ["cut at its length", { finish: "length" }],
    ["filtered", { finish: "content_filter" }],
    ["calls a tool", { finish: "tool_calls", message: { content: null, tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: '{"usage":{"prompt_tokens":1}}' } }] } }],
  ]) {
    yield { ...base, name: `chat: ${name}`, model, stream: false, body: JSON.stringify(chatWhole(model, usage, more)) };
    yield streamed(`chat: ${name}, streamed`, model, chatChunks(model, usage, more), chatWhole(model, usage, more));
  }
  yield { ...base, name: "chat: images in the input", model: "gpt-4.1", stream: false, body: JSON.stringify(chatWhole("gpt-4.1", chatTokens(1500, 30, { image: 1105 }))) };
  yield { ...base, name: "chat: without details", model, stream: false, body: JSON.stringify(chatWhole(model, { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 })) };
  yield { ...base, name: "chat: details are null", model, stream: false, body: JSON.stringify(chatWhole(model, { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21, prompt_tokens_details: null, completion_tokens_details: null })) };
  yield { ...base, name: "chat: reasoning outside the completion", model, stream: false, body: JSON.stringify(chatWhole(model, { ...chatTokens(100, 20, { reasoning: 15 }), total_tokens: 620 })) };
  for (const [name, wrong] of [
    ["negative", { prompt_tokens: -5 }],
    ["fraction", { completion_tokens: 12.5 }],
    ["text", { prompt_tokens: "100" }],
    ["above 2^53", { prompt_tokens: 2 ** 60, total_tokens: undefined }],
    ["more cached than read", { prompt_tokens_details: { cached_tokens: 5000 } }],
    ["total below its parts", { total_tokens: 3 }],
    ["no count of the output", { completion_tokens: undefined }],
  ]) {
    const body = chatWhole(model, { ...usage, ...wrong });
    yield { ...base, name: `chat: absurd, ${name}`, model, stream: false, said: "missing", body: JSON.stringify(body) };
    yield streamed(`chat: absurd, ${name}, streamed`, model, chatChunks(model, { ...usage, ...wrong }), body, { said: "missing" });
  }
}

// ── Responses ──

const responseTokens = (input, output, { cached = 0, written = 0, reasoning = 0, details } = {}) => ({
  input_tokens: input,
  input_tokens_details: { cached_tokens: cached, cache_write_tokens: written, ...details },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: reasoning },
  total_tokens: input + output,
});

const RESPONSES = [
  ["plain", ["gpt-5-mini-2025-08-07", "gpt-5.2-2025-12-11", "gpt-4.1", "gpt-5.4"], responseTokens(36, 87)],
  ["cached", ["gpt-5.2-2025-12-11", "gpt-6-sol"], responseTokens(12_806, 310, { cached: 12_544 })],
  ["reasoning", ["gpt-5-mini-2025-08-07", "o3"], responseTokens(704, 9120, { reasoning: 8832 })],
  ["written to the cache", ["gpt-5.6-sol", "gpt-6-sol"], responseTokens(7777, 402, { cached: 1024, written: 6000, reasoning: 64 })],
  ["long", ["gpt-5.4", "gpt-6-sol"], responseTokens(512_345, 4321, { cached: 300_032, reasoning: 2048 })],
];

const MESSAGE = { id: "msg_1", type: "message", status: "completed", content: [{ type: "output_text", annotations: [], logprobs: [], text: 'a "usage": {"input_tokens": 1}' }], role: "assistant" };

const responseWhole = (model, usage, more = {}) => ({
  id: "resp_c0rpus",
  object: "response",
  created_at: 1_763_900_000,
  status: "completed",
  background: false,
  error: null,
  incomplete_details: null,
  instructions: null,
  model,
  output: [{ id: "rs_1", type: "reasoning", summary: [], encrypted_content: "gAAAA" }, MESSAGE],
  parallel_tool_calls: true,
  service_tier: "default",
  text: { format: { type: "text" }, verbosity: "medium" },
  tools: [],
  usage,
  user: null,
  metadata: {},
  ...more,
});

function responseEvents(whole, last = "response.completed") {
  const begun = { ...whole, status: "in_progress", output: [], usage: null };
  const events = [
    { type: "response.created", response: begun },
    { type: "response.in_progress", response: begun },
    { type: "response.output_item.added", output_index: 0, item: { ...MESSAGE, status: "in_progress", content: [] } },
    { type: "response.output_text.delta", item_id: "msg_1", output_index: 0, content_index: 0, delta: "a", logprobs: [], obfuscation: "k7" },
    { type: "response.output_text.done", item_id: "msg_1", output_index: 0, content_index: 0, text: 'a "usage"', logprobs: [] },
    { type: "response.output_item.done", output_index: 0, item: MESSAGE },
    { type: last, response: whole },
  ];
  return events.map(({ type, ...rest }, number) => ({ type, sequence_number: number, ...rest }));
}

function* responses() {
  const base = { provider: "openai", kind: "responses", said: "complete", flavor: "responses" };
  const named = { named: true };
  function* both(name, model, whole, { last, ...more } = {}) {
    yield { ...base, name: `responses: ${name}`, model, stream: false, body: JSON.stringify(whole), ...more };
    yield { ...base, name: `responses: ${name}, streamed`, model, stream: true, body: sse(responseEvents(whole, last), named), whole, ...more };
  }
  for (const [what, models, usage] of RESPONSES) {
    for (const model of models) yield* both(`${what}, ${model}`, model, responseWhole(model, usage));
  }
  const model = "gpt-5.2-2025-12-11";
  const usage = responseTokens(2210, 940, { cached: 1024, reasoning: 640 });
  for (const tier of ["flex", "priority"]) yield* both(`tier ${tier}`, model, responseWhole(model, usage, { service_tier: tier }));
  const incomplete = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } };
  yield* both("incomplete", model, responseWhole(model, usage, incomplete), { last: "response.incomplete" });
  const failed = { status: "failed", error: { code: "server_error", message: "x" } };
  yield* both("failed with usage", model, responseWhole(model, usage, failed), { last: "response.failed" });
  yield* both("failed without usage", model, responseWhole(model, null, failed), { last: "response.failed", said: "missing" });
  const search = (id, type) => ({ id, type: "web_search_call", status: "completed", action: { type, query: "x", queries: ["x"] } });
  const searched = { output: [search("ws_1", "search"), search("ws_2", "open_page"), search("ws_3", "search"), MESSAGE], tools: [{ type: "web_search" }] };
  yield* both("web searches that are seen", model, responseWhole(model, usage, searched));
  yield* both("web searches that are counted", model, responseWhole(model, usage, { ...searched, tool_usage: { image_gen: null, web_search: { num_requests: 3 } } }));
  const times = { cache_write_tokens_details: { ttl_12h_tokens: 4000, ttl_30m_tokens: 2000 } };
  yield* both("written to the cache for 12 hours", "gpt-5.6-sol", responseWhole("gpt-5.6-sol", responseTokens(7777, 402, { written: 6000, details: times })));
  const drawn = {
    output: [{ id: "ig_1", type: "image_generation_call", status: "completed", result: "iVBORw0KGgo=", quality: "low" }, MESSAGE],
    tools: [{ type: "image_generation", model: "gpt-image-1" }],
    tool_usage: { image_gen: { input_tokens: 50, input_tokens_details: { image_tokens: 0, text_tokens: 50 }, output_tokens: 1056, total_tokens: 1106 }, web_search: { num_requests: 0 } },
  };
  yield* both("draws an image", model, responseWhole(model, usage, drawn));
  yield* both("draws an image that is not counted", model, responseWhole(model, usage, { ...drawn, tool_usage: undefined }), { said: "partial" });
  const ran = { output: [{ id: "ci_1", type: "code_interpreter_call", status: "completed", code: "1", container_id: "c", outputs: [] }, MESSAGE] };
  yield* both("runs code", model, responseWhole(model, usage, ran), { said: "partial" });
  const events = responseEvents(responseWhole(model, usage));
  yield { ...base, name: "responses: broken off, streamed", model, stream: true, said: "missing", body: sse(events.slice(0, 5), named) };
  const error = { type: "error", code: "server_error", message: "x", param: null, sequence_number: 3 };
  yield { ...base, name: "responses: error, streamed", model, stream: true, said: "missing", body: sse([...events.slice(0, 3), error], named) };
}

// ── messages ──

const messageTokens = (input, output, { written = 0, short = written, long = 0, read = 0, thinking, searches, ...more } = {}) => ({
  input_tokens: input,
  cache_creation_input_tokens: written,
  cache_read_input_tokens: read,
  cache_creation: { ephemeral_5m_input_tokens: short, ephemeral_1h_input_tokens: long },
  output_tokens: output,
  service_tier: "standard",
  inference_geo: "not_available",
  output_tokens_details: thinking === undefined ? null : { thinking_tokens: thinking },
  server_tool_use: searches === undefined ? null : { web_search_requests: searches, web_fetch_requests: 1 },
  speed: "standard",
  ...more,
});

const OPUS = "claude-opus-5-5";
const SONNET = "claude-sonnet-4-5-20250929";
const MESSAGES = [
  ["plain", [OPUS, SONNET, "claude-haiku-4-5-20251001", "claude-opus-4-5-20251101"], messageTokens(25, 311)],
  ["read from the cache", [OPUS, SONNET, "claude-sonnet-5"], messageTokens(4, 503, { read: 61_240 })],
  ["written to the cache", [OPUS, SONNET, "claude-fable-5"], messageTokens(8, 1204, { written: 15_331 })],
  ["written for an hour", [OPUS, "claude-haiku-4-5-20251001"], messageTokens(8, 97, { written: 9000, short: 1000, long: 8000, read: 1200 })],
  ["thinking", [OPUS, "claude-opus-4-8"], messageTokens(590, 7040, { thinking: 6500 })],
  ["web searches", [OPUS, SONNET], messageTokens(30_411, 890, { searches: 4 })],
  ["long", [SONNET, OPUS], messageTokens(40_000, 2000, { read: 180_000, written: 5000 })],
  ["at the edge of long", [SONNET], messageTokens(200_000, 10)],
];

const messageWhole = (model, usage, more = {}) => ({
  model,
  id: "msg_01C0rpus",
  type: "message",
  role: "assistant",
  content: [{ type: "text", text: 'a "usage": {"input_tokens": 1}', citations: null }],
  stop_reason: "end_turn",
  stop_sequence: null,
  stop_details: null,
  container: null,
  usage,
  ...more,
});

/** `old`: the usage at the end is the output's alone. */
function messageEvents(whole, { old = false, deltas = 1 } = {}) {
  const { usage } = whole;
  const begun = { ...whole, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1, output_tokens_details: null, server_tool_use: null, iterations: null } };
  const { cache_creation: _, service_tier: __, inference_geo: ___, speed: ____, ...counts } = usage;
  const final = old ? { output_tokens: usage.output_tokens, server_tool_use: usage.server_tool_use ?? undefined } : counts;
  const running = (part) => ({ type: "message_delta", delta: { stop_reason: null, stop_sequence: null }, usage: { output_tokens: Math.floor((usage.output_tokens * part) / deltas), input_tokens: null } });
  return [
    { type: "message_start", message: begun },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "", citations: null } },
    { type: "ping" },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "message_delta" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: '"usage" é' } },
    ...Array.from({ length: deltas - 1 }, (_, index) => running(index + 1)),
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: whole.stop_reason, stop_sequence: null, stop_details: null, container: whole.container }, usage: final },
    { type: "message_stop" },
  ];
}

function* messages() {
  const base = { provider: "anthropic", kind: "messages", said: "complete", flavor: "default" };
  const named = { named: true };
  const streamed = (name, whole, events, more = {}) => ({ ...base, name: `messages: ${name}, streamed`, model: whole.model, stream: true, body: sse(events, named), whole, ...more });
  function* both(name, whole, more = {}, how = {}) {
    yield { ...base, name: `messages: ${name}`, model: whole.model, stream: false, body: JSON.stringify(whole), ...more };
    yield streamed(name, whole, messageEvents(whole, how), more);
  }
  for (const [what, models, usage] of MESSAGES) {
    for (const model of models) yield* both(`${what}, ${model}`, messageWhole(model, usage));
  }
  const usage = messageTokens(120, 900, { written: 2000, short: 1500, long: 500, read: 4000, thinking: 300 });
  const { output_tokens_details: _, ...oldUsage } = messageTokens(120, 900, { written: 2000, read: 4000 });
  const old = messageWhole(SONNET, oldUsage);
  yield streamed("usage at the end is the output's alone", old, messageEvents(old, { old: true }));
  yield streamed("several deltas", messageWhole(OPUS, usage), messageEvents(messageWhole(OPUS, usage), { deltas: 4 }));
  const gateway = messageWhole(OPUS, messageTokens(77, 40));
  const late = messageEvents(gateway).map((event) => (event.type === "message_start" ? { type: "message_start", message: { ...event.message, usage: { input_tokens: 0, output_tokens: 0 } } } : event));
  yield streamed("the input is said at the end", gateway, late);
  const early = messageEvents(gateway).map((event) => (event.type === "message_delta" ? { ...event, usage: { input_tokens: 0, output_tokens: 40 } } : event));
  yield streamed("the input is nought at the end", gateway, early);
  yield* both("refused", messageWhole(OPUS, usage, { stop_reason: "refusal", stop_details: { type: "refusal", category: null, explanation: null } }));
  yield* both("cut at its length", messageWhole(OPUS, usage, { stop_reason: "max_tokens" }));
  yield* both("paused", messageWhole(OPUS, usage, { stop_reason: "pause_turn" }));
  yield* both("priority", messageWhole(SONNET, { ...usage, service_tier: "priority" }));
  yield* both("fast", messageWhole("claude-opus-4-8", { ...usage, speed: "fast" }));
  yield* both("in the US", messageWhole(OPUS, { ...usage, inference_geo: "us" }));
  yield* both("null counts", messageWhole(OPUS, { ...messageTokens(9, 8), cache_creation_input_tokens: null, cache_read_input_tokens: null, cache_creation: null }));
  yield* both("cache writes not told apart", messageWhole(OPUS, { ...messageTokens(9, 8), cache_creation_input_tokens: 3000, cache_creation: null }));
  const iteration = (type, input, output, model) => ({ type, input_tokens: input, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, cache_creation: null, output_tokens: output, ...(model !== undefined && { model }) });
  const broken = (list) => messageWhole(OPUS, messageTokens(5000, 400, { iterations: list }));
  yield* both("turns of a tool's loop", broken([iteration("message", 2000, 100, null), iteration("message", 3000, 300, OPUS)]));
  yield* both("compacted", broken([iteration("compaction", 1800, 250), iteration("message", 5000, 400, OPUS)]));
  yield* both("advised", broken([iteration("message", 5000, 400, OPUS), iteration("advisor_message", 700, 90, "claude-fable-5")]));
  yield* both("fell back", broken([iteration("message", 2000, 10, SONNET), iteration("fallback_message", 3000, 390, OPUS)]));
  yield* both("used a container", messageWhole(OPUS, usage, { container: { id: "container_1", expires_at: "2026-11-24T00:00:00Z" } }), { said: "partial" });
  const events = messageEvents(messageWhole(OPUS, usage));
  yield streamed("broken off", messageWhole(OPUS, usage), events.slice(0, 5), { said: "partial", whole: undefined });
  const error = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
  yield streamed("overloaded in the middle", messageWhole(OPUS, usage), [...events.slice(0, 4), error], { said: "partial", whole: undefined });
  yield streamed("overloaded at once", messageWhole(OPUS, usage), [error], { said: "missing", whole: undefined });
  yield* both("absurd, more thinking than output", messageWhole(OPUS, messageTokens(10, 20, { thinking: 21 })), { said: "missing" });
  yield* both("absurd, negative", messageWhole(OPUS, messageTokens(-10, 20)), { said: "missing" });
}

// ── the others ──

function* others() {
  const openai = { provider: "openai", said: "complete" };
  for (const model of ["text-embedding-3-small", "text-embedding-3-large"]) {
    for (const tokens of [1, 8, 5311, 290_000]) {
      const data = [{ object: "embedding", index: 0, embedding: [0.0123, -0.0456, 1e-5] }];
      const body = { object: "list", data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
      yield { ...openai, kind: "embeddings", flavor: "embeddings", name: `embeddings: ${tokens}, ${model}`, model, stream: false, body: JSON.stringify(body) };
    }
  }
  const moderation = { id: "modr-1", model: "omni-moderation-latest", results: [{ flagged: false, categories: {}, category_scores: {} }] };
  yield { ...openai, kind: "free", name: "moderation", model: "omni-moderation-latest", stream: false, body: JSON.stringify(moderation) };
  yield { ...openai, provider: "anthropic", kind: "free", name: "count tokens", model: OPUS, stream: false, body: '{"input_tokens":2095}' };

  for (const model of ["gpt-image-1", "gpt-image-1.5", "gpt-image-2"]) {
    for (const [name, text, image, output] of [["made", 43, 0, 1056], ["edited", 61, 323, 4160]]) {
      for (const details of [undefined, { image_tokens: output - 40, text_tokens: 40 }]) {
        const usage = { input_tokens: text + image, input_tokens_details: { image_tokens: image, text_tokens: text }, output_tokens: output, total_tokens: text + image + output, output_tokens_details: details };
        const whole = { created: 1_763_900_000, background: "opaque", data: [{ b64_json: "iVBORw0KGgoAAAANSUhEUg==" }], output_format: "png", quality: "low", size: "1024x1024", usage };
        const label = `images: ${name}, ${model}${details ? ", with details" : ""}`;
        const base = { ...openai, kind: "images", flavor: "images", model };
        yield { ...base, name: label, stream: false, body: JSON.stringify(whole) };
        const prefix = name === "made" ? "image_generation" : "image_edit";
        const events = [{ type: `${prefix}.partial_image`, b64_json: "iVBOR", partial_image_index: 0 }, { type: `${prefix}.completed`, b64_json: "iVBORw0KGgo=", usage }];
        yield { ...base, name: `${label}, streamed`, stream: true, body: sse(events, { named: true }), whole };
      }
    }
  }
  yield { ...openai, kind: "images", name: "images: without usage", model: "dall-e-3", stream: false, said: "missing", body: '{"created":1,"data":[{"url":"https://x.example"}]}' };

  const heard = { type: "tokens", input_tokens: 1420, input_token_details: { text_tokens: 20, audio_tokens: 1400 }, output_tokens: 310, total_tokens: 1730 };
  const base = { ...openai, kind: "transcription", model: "gpt-4o-transcribe", flavor: "realtime" };
  yield { ...base, name: "transcription: tokens", stream: false, body: JSON.stringify({ text: "hi", usage: heard }) };
  const events = [{ type: "transcript.text.delta", delta: "hi" }, { type: "transcript.text.done", text: "hi", usage: heard }];
  yield { ...base, name: "transcription: tokens, streamed", stream: true, body: sse(events), whole: { text: "hi", usage: heard } };
  for (const model of ["whisper-1", "gpt-transcribe"]) {
    for (const seconds of [1, 9.2, 3600.125]) {
      const body = { text: "hi", duration: seconds, usage: { type: "duration", seconds } };
      yield { ...openai, kind: "transcription", flavor: "seconds", name: `transcription: ${seconds} s, ${model}`, model, stream: false, body: JSON.stringify(body) };
    }
  }
  yield { ...openai, kind: "transcription", name: "transcription: plain text", model: "whisper-1", stream: false, said: "missing", body: "hi\n" };
  const spoken = { input_tokens: 14, output_tokens: 1010, total_tokens: 1024 };
  const speech = [{ type: "speech.audio.delta", audio: "AAAA" }, { type: "speech.audio.done", usage: spoken }];
  yield { ...openai, kind: "speech", flavor: "realtime", name: "speech, streamed", model: "gpt-4o-mini-tts", stream: true, body: sse(speech), whole: { usage: spoken } };
  yield { ...openai, kind: "speech", name: "speech: sound", model: "tts-1", stream: false, said: "missing", body: "ID3\u0004\u0000" };
}

/** What the files hold, by name. */
export function corpusFiles() {
  const lines = (cases) => [...cases].map((one) => `${JSON.stringify(one)}\n`).join("");
  return { "chat.jsonl": lines(chats()), "responses.jsonl": lines(responses()), "messages.jsonl": lines(messages()), "others.jsonl": lines(others()) };
}

export const corpusFolder = CORPUS;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(CORPUS, { recursive: true });
  for (const [name, text] of Object.entries(corpusFiles())) writeFileSync(join(CORPUS, name), text);
}
