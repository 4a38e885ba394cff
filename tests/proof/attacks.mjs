// Calls that are made to cost more than the broker can think of, each with what the provider bills for it by its own rules: a tool that
// reads everything again, a picture that counts thirty-three times, a beta that widens a model. What reaches the provider is billed as it
// arrives; nothing here knows how the broker counts, or which of them it refuses.

import { newId } from "../standin/words.mjs";

/** Pico-USD for a token, by hand from the providers' pages (see bill.mjs). */
const HAIKU = { input: 1_000_000n, writeLong: 2_000_000n, output: 5_000_000n };
const OPUS = { input: 5_000_000n, output: 25_000_000n };
const MINI = { input: 250_000n, output: 2_000_000n };
const GPT_5_4 = { input: 2_500_000n, output: 15_000_000n };
const GPT_4O_MINI = { input: 150_000n, output: 600_000n };
const TTS_CHARACTER = 15_000_000n;
const SEARCH = 10_000_000_000n;

const HAIKU_WINDOW = 200_000;
const MINI_WINDOW = 272_000;
const HAIKU_MAX_OUTPUT = 64_000;
/** OpenAI's guide to images: a picture of `gpt-4o-mini`, and each of at most eight tiles. */
const PICTURE_TOKENS = 2_833 + 8 * 5_667;

const grant = (provider, model, budget, capabilities = ["chat"]) => [
  { type: "ai_access", provider, models: [model], capabilities, limits: { budget_usd: budget } },
];
const haiku = (budget, capabilities) => grant("anthropic", "claude-haiku-4-5", budget, capabilities);

const messages = (more = {}) => (text) => ({
  path: "/anthropic/v1/messages",
  headers: {},
  body: { model: "claude-haiku-4-5", max_tokens: 100, messages: [{ role: "user", content: text }], ...more },
});
const chat = (model, more = {}) => (text) => ({
  path: "/openai/v1/chat/completions",
  headers: {},
  body: { model, service_tier: "default", max_completion_tokens: 100, messages: [{ role: "user", content: text }], ...more },
});

const search = (type, maxUses) => ({ type, name: "web_search", ...(maxUses !== undefined && { max_uses: maxUses }) });
/** Nobody knows how long a document is. */
const document = { type: "document", source: { type: "text", media_type: "text/plain", data: "x" } };
const withDocument = (more) => (text) => {
  const call = messages(more)(text);
  call.body.messages[0].content = [{ type: "text", text }, document];
  return call;
};

/** What is used, what it costs, and how Anthropic says it. */
function ofAnthropic({ prices = HAIKU, input = 1_000, output = 10, searches = 0, perSearch = SEARCH, more = {} } = {}) {
  return {
    tokens: input + output,
    pico: BigInt(input) * prices.input + BigInt(output) * prices.output + BigInt(searches) * perSearch,
    json: {
      id: newId("msg_"),
      type: "message",
      role: "assistant",
      model: "claude-haiku-4-5-20251001",
      content: [{ type: "text", text: "…" }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: {
        input_tokens: input,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: output,
        service_tier: "standard",
        ...(searches > 0 && { server_tool_use: { web_search_requests: searches } }),
        ...more,
      },
    },
  };
}

/** The same of OpenAI's chat. */
function ofChat({ model, prices, input, output, percent = 100n }) {
  return {
    tokens: input + output,
    pico: ((BigInt(input) * prices.input + BigInt(output) * prices.output) * percent) / 100n,
    json: {
      id: newId("chatcmpl-"),
      object: "chat.completion",
      created: 1,
      model,
      service_tier: "default",
      choices: [{ index: 0, message: { role: "assistant", content: "…", refusal: null }, logprobs: null, finish_reason: "stop" }],
      usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
    },
  };
}

/**
 * By name: the grant that is attacked, the call, and what the provider makes of what arrives: `{ pico, tokens, json }`, or `raw` in the
 * place of `json`, which is written as it stands before the connection is cut.
 */
export const ATTACKS = {
  "search-behind-many": {
    details: haiku("4.00", ["chat", "server_tools"]),
    call: messages({ tools: [...Array(128).fill(search("web_search_20250305", 0)), search("web_search_20250305")] }),
    serve: ({ body }) => ofAnthropic({ searches: body.tools.some((tool) => tool.max_uses === undefined) ? 450 : 0 }),
  },
  "search-that-reads-again": {
    details: haiku("4.00", ["chat", "server_tools"]),
    call: messages({ tools: [search("web_search_20260209", 1)] }),
    serve: () => ofAnthropic({ input: 9 * HAIKU_WINDOW, searches: 1 }),
  },
  "search-of-tomorrow": {
    details: haiku("4.00", ["chat", "server_tools"]),
    call: messages({ tools: [search("web_search_29990101", 1)] }),
    serve: () => ofAnthropic({ searches: 1, perSearch: 100n * SEARCH }),
  },
  "beta-of-a-larger-window": {
    details: haiku("0.30"),
    call(text) {
      const call = withDocument()(text);
      call.headers["anthropic-beta"] = "Context-1M-2025-08-07, expanded-context-2027-01-01";
      return call;
    },
    serve({ headers }) {
      const isWider = /context-1m|expanded-context/i.test(headers["anthropic-beta"] ?? "");
      return ofAnthropic({ input: isWider ? 900_000 : 150_000 });
    },
  },
  "edit-that-reads-again": {
    details: haiku("0.30"),
    call: withDocument({ context_management: { edits: [{ type: "summarize_20270101" }] } }),
    serve: ({ body }) => ofAnthropic({ input: (body.context_management?.edits?.length > 0 ? 2 : 1) * HAIKU_WINDOW }),
  },
  "regional-host": {
    details: grant("openai", "gpt-5.4", "0.30"),
    call: chat("gpt-5.4", { max_completion_tokens: 3_000 }),
    serve: ({ bytes }) => ofChat({ model: "gpt-5.4-2026-03-05", prices: GPT_5_4, input: bytes, output: 3_000, percent: 110n }),
  },
  "no-maximum": {
    details: haiku("0.02"),
    call: messages({ max_tokens: undefined }),
    serve: ({ body }) => ofAnthropic({ input: 20, output: body.max_tokens ?? HAIKU_MAX_OUTPUT }),
  },
  "no-maximum-but-null": {
    details: haiku("0.02"),
    call: messages({ max_tokens: null }),
    serve: ({ body }) => ofAnthropic({ input: 20, output: body.max_tokens ?? HAIKU_MAX_OUTPUT }),
  },
  pictures: {
    details: grant("openai", "gpt-4o-mini", "1.00"),
    call(text) {
      const call = chat("gpt-4o-mini")(text);
      const picture = { type: "image_url", image_url: { url: "https://pictures.example/large.png" } };
      call.body.messages[0].content = [{ type: "text", text }, ...Array(65).fill(picture)];
      return call;
    },
    serve: ({ body }) => ofChat({
      model: "gpt-4o-mini-2024-07-18",
      prices: GPT_4O_MINI,
      input: 40 + PICTURE_TOKENS * body.messages[0].content.filter(({ type }) => type === "image_url").length,
      output: 100,
    }),
  },
  "proxy-that-says-499": {
    details: haiku("0.05"),
    call: messages(),
    serve: () => ({ ...ofAnthropic({ output: 100 }), status: 499, json: { error: { type: "client_closed_request" } } }),
  },
  "running-count": {
    details: grant("openai", "gpt-5-mini", "0.05"),
    call: chat("gpt-5-mini", { stream: true, max_completion_tokens: 2_000 }),
    serve: () => ({
      ...ofChat({ model: "gpt-5-mini-2025-08-07", prices: MINI, input: 30, output: 2_000 }),
      raw: `data: ${JSON.stringify({
        object: "chat.completion.chunk",
        model: "gpt-5-mini-2025-08-07",
        choices: [],
        usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
      })}\n\n`,
    }),
  },
  "fallbacks-as-texts": {
    details: haiku("0.05"),
    call: messages({ max_tokens: 2_000, fallbacks: ["claude-opus-5"] }),
    serve: ({ body }) => ofAnthropic({ prices: body.fallbacks ? OPUS : HAIKU, output: 2_000 }),
  },
  "ttl-in-capitals": {
    details: haiku("0.05"),
    call(text) {
      const call = messages()(text);
      call.body.messages[0].content = [{ type: "text", text: `${text} ${"x".repeat(9_000)}`, cache_control: { type: "ephemeral", TTL: "1h" } }];
      return call;
    },
    serve({ bytes }) {
      const told = { cache_creation_input_tokens: bytes, cache_creation: { ephemeral_5m_input_tokens: bytes, ephemeral_1h_input_tokens: 0 } };
      const used = ofAnthropic({ input: 0, output: 100, more: told });
      return { ...used, tokens: bytes + 100, pico: used.pico + BigInt(bytes) * HAIKU.writeLong };
    },
  },
  "compaction-by-its-id": {
    details: grant("openai", "gpt-5-mini", "0.20"),
    call: (text) => ({
      path: "/openai/v1/responses",
      headers: {},
      body: {
        model: "gpt-5-mini",
        service_tier: "default",
        max_output_tokens: 100,
        store: false,
        input: [{ role: "user", content: text }, { type: "compaction", id: "cmp_1" }],
      },
    }),
    serve() {
      const [input, output] = [MINI_WINDOW, 100];
      return {
        tokens: input + output,
        pico: BigInt(input) * MINI.input + BigInt(output) * MINI.output,
        json: {
          id: newId("resp_"),
          object: "response",
          status: "completed",
          model: "gpt-5-mini-2025-08-07",
          service_tier: "default",
          output: [],
          usage: { input_tokens: input, output_tokens: output, total_tokens: input + output },
        },
      };
    },
  },
  "speech-of-emoji": {
    details: grant("openai", "tts-1", "0.05", ["audio"]),
    call: (text) => ({ path: "/openai/v1/audio/speech", headers: {}, body: { model: "tts-1", voice: "ash", input: `${text} ${"🚀".repeat(400)}` } }),
    serve: ({ body }) => ({ tokens: 0, pico: BigInt(body.input.length) * TTS_CHARACTER, sound: Buffer.from("ID3") }),
  },
};

/** The call of an attack, as `callOf` of clients.mjs makes them. */
export function attackOf(name, id) {
  const { path, headers, body } = ATTACKS[name].call(`attack:${name} call:${id}`);
  const provider = path.split("/")[1];
  return { path, headers, body, id, provider, behaviour: "reads", after: 0, wait: 0 };
}

/** Which attack a body is, and by which call: `{ name, id }`; undefined where it is none. */
export function attackIn(text) {
  const [, name, id] = /attack:([\w-]+) call:(g\d+\.\d+)/.exec(text) ?? [];
  return ATTACKS[name] && { name, id };
}

/** What a call is billed that is over when it arrives. */
export class AttackBill {
  /** The answer of an attack isn't compared to the nano-USD: much of what it says is less than what is billed. */
  planned = NaN;

  constructor({ id, provider, pico, tokens }) {
    Object.assign(this, { id, provider, amount: pico, count: tokens });
  }

  written() {
    return 0;
  }

  pico() {
    return this.amount;
  }

  tokens() {
    return this.count;
  }

  isFinal() {
    return true;
  }
}

/** Serves what is left of an attack: bills it, and answers as the provider would. */
export function serveAttack({ name, id }, { request, response, text, bills, provider }) {
  const body = JSON.parse(text);
  const { pico, tokens, json, raw, sound, status = 200 } = ATTACKS[name].serve({ body, headers: request.headers, bytes: Buffer.byteLength(text) });
  bills.add(new AttackBill({ id, provider, pico, tokens }));
  const answer = sound ?? Buffer.from(raw ?? JSON.stringify(json));
  const type = sound ? "audio/mpeg" : raw ? "text/event-stream" : "application/json";
  response.writeHead(status, { "content-type": type, "x-request-id": id, ...(!raw && { "content-length": answer.length }) });
  if (!raw) return response.end(answer);
  response.write(answer, () => response.destroy());
}
