// OpenAI (chat, Responses) and Anthropic (messages) as one simulator that bills by its own rules: what it wrote, whether or not anybody
// read it. It writes over time, thinks before the first word, reads from a cache, notices late that its client has gone, breaks off,
// hangs, keeps its usage to itself, refuses, and stands behind an edge that loses answers which were paid for.
//
// What becomes of a call is its fate. It follows from the seed and from the id that the prompt carries as `call:<id>`.

import { once } from "node:events";
import http from "node:http";
import { stream as messagesStream } from "../standin/anthropic-messages.mjs";
import { anthropic } from "../standin/anthropic.mjs";
import { stream as chatStream } from "../standin/openai-chat.mjs";
import { itemOf, settingsOf, stream as responsesStream } from "../standin/openai-responses.mjs";
import { openai } from "../standin/openai.mjs";
import { newId, read } from "../standin/words.mjs";
import { attackIn, serveAttack } from "./attacks.mjs";
import { Bill, Bills, MODELS } from "./bill.mjs";
import { Random } from "./random.mjs";

/** Where the request names no maximum, the model writes up to its own, scaled down so that the proof comes to an end. */
const SCALE = 40;
/** Fewest tokens that are read from a cache, or written to one. */
const LEAST_CACHED = 1024;

const WORDS = ["The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", "."];

/** What becomes of a call, unless a test says otherwise. */
export function fateOf(random, asked) {
  const end = random.weighted({
    whole: 76,
    refused: 5,
    rejected: 2,
    edge: 3,
    lost: 2,
    hangs: 1.5,
    breaks: 3,
    stalls: 1.5,
    fails: 2,
    silent: 4,
  });
  const longest = asked.most ?? Math.floor(MODELS[asked.model].maxOutput / SCALE);
  const lengths = Array.from({ length: asked.choices }, () =>
    // Often as much as is allowed, so that a bound that is too small by one token is found out.
    random.chance(0.35) ? longest : random.whole(1, Math.max(1, Math.floor(longest * random.next()))),
  );
  const readAs = readBy(random, asked);
  const fates = {
    refused: random.pick(asked.provider === "openai" ? [429, 500, 503] : [429, 500, 529]),
    rejected: 400,
    edge: random.pick([502, 504, 520, 524]),
  };
  return {
    end,
    status: fates[end] ?? 200,
    read: readAs,
    planned: lengths.reduce((sum, length) => sum + length, 0),
    cut: lengths.some((length) => length === longest),
    /** The part of the time that goes by before the first visible word. */
    hidden: random.chance(0.5) ? random.between(0, 0.7) : 0,
    thinksFirst: random.chance(0.8),
    milliseconds: random.chance(0.06) ? random.between(4_000, 11_000) : random.between(20, 2_500),
    beginsAfter: random.chance(0.1) ? random.between(300, 1_500) : random.between(1, 150),
    /** How much of the answer is out when it breaks off, stalls or fails. */
    part: random.next(),
    noticesAfter: random.between(0, 500),
    /** A whole answer is often written to its end, though nobody waits for it any more. */
    notices: asked.streamed || random.chance(0.5),
    tier: tierOf(random, asked),
    inUs: MODELS[asked.model].usPercent !== undefined && random.chance(0.3),
    pieces: random.whole(1, 30),
    pieceBytes: random.chance(0.06) ? random.whole(4_000, 30_000) : 0,
  };
}

/** What was read: at least a few tokens around the text, at most one for each of its bytes; some of it may be cached. */
function readBy(random, { promptBytes, provider, cacheFor }) {
  const dense = random.chance(0.15) ? 1 : random.between(0.2, 0.35);
  const total = Math.ceil(promptBytes * dense) + random.whole(3, 300);
  const read = { fresh: total, cached: 0, write: 0, writeLong: 0 };
  const take = (kind, count) => {
    const taken = Math.min(count, read.fresh);
    read.fresh -= taken;
    read[kind] += taken;
  };
  if (total < LEAST_CACHED || random.chance(0.4)) return read;
  if (provider === "openai") take("cached", Math.floor((total * random.next()) / 128) * 128);
  else if (cacheFor !== undefined) {
    take("cached", Math.floor(total * random.next()));
    take(cacheFor === "1h" ? "writeLong" : "write", Math.floor(total * random.next()));
  }
  return read;
}

/** The tier that serves: what was asked for, or the usual one where there is no room; without a wish, as the project is set up. */
function tierOf(random, { provider, tier }) {
  if (provider === "anthropic" || tier === "default") return "default";
  if (tier === "flex" || tier === "priority") return random.chance(0.8) ? tier : "default";
  return random.chance(0.1) ? "priority" : "default";
}

const inputTokens = ({ fresh, cached, write, writeLong }) => fresh + cached + write + writeLong;
const hiddenTokens = ({ planned, hidden }) => Math.floor(planned * hidden);
const about = (asked) => ({ model: MODELS[asked.model].dated, created: Math.floor(Date.now() / 1000) });
const sse = (data) => `data: ${JSON.stringify(data)}\n\n`;
const named = (type, data) => `event: ${type}\n${sse({ type, ...data })}`;

/** The three APIs: what a body asks for, the whole answer, and the events of a stream. */
const APIS = {
  "/v1/chat/completions": {
    provider: "openai",
    reads: (body) => ({
      prompt: read(body.messages.at(-1).content).text,
      most: body.max_completion_tokens ?? body.max_tokens,
      choices: body.n ?? 1,
      saysUsage: !body.stream || body.stream_options?.include_usage === true,
    }),
    usage(fate) {
      const [prompt, completion] = [inputTokens(fate.read), fate.planned];
      return {
        prompt_tokens: prompt,
        completion_tokens: completion,
        total_tokens: prompt + completion,
        prompt_tokens_details: { cached_tokens: fate.read.cached, audio_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: hiddenTokens(fate),
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      };
    },
    whole(asked, fate, pieces, usage) {
      const finish = fate.cut ? "length" : "stop";
      const message = { role: "assistant", content: pieces.join(""), refusal: null, annotations: [] };
      const choices = indexesOf(asked).map((index) => ({ index, message, logprobs: null, finish_reason: finish }));
      const { model, created } = about(asked);
      const head = { id: newId("chatcmpl-"), object: "chat.completion", created, model, choices };
      return { ...head, ...(usage && { usage }), service_tier: fate.tier, system_fingerprint: "fp_proof000000" };
    },
    stream(asked, fate, pieces, usage) {
      const { model, created } = about(asked);
      const head = { id: newId("chatcmpl-"), object: "chat.completion.chunk", created, model };
      const fields = { ...head, service_tier: fate.tier, system_fingerprint: "fp_proof000000" };
      return chatStream({ pieces, finish: fate.cut ? "length" : "stop" }, fields, indexesOf(asked), usage);
    },
    failure: () => sse({ error: { message: "The server had an error.", type: "server_error", param: null, code: null } }),
  },
  "/v1/responses": {
    provider: "openai",
    reads: (body) => ({
      prompt: typeof body.input === "string" ? body.input : read(body.input.at(-1).content).text,
      most: body.max_output_tokens,
      choices: 1,
      saysUsage: true,
    }),
    usage(fate) {
      const [input, output] = [inputTokens(fate.read), fate.planned];
      return {
        input_tokens: input,
        input_tokens_details: { cached_tokens: fate.read.cached, cache_write_tokens: 0 },
        output_tokens: output,
        output_tokens_details: { reasoning_tokens: hiddenTokens(fate) },
        total_tokens: input + output,
      };
    },
    begun: (asked) => ({
      id: newId("resp_"),
      object: "response",
      created_at: about(asked).created,
      status: "in_progress",
      background: false,
      completed_at: null,
      access_programs: null,
      ...settingsOf(asked.body, about(asked).model),
    }),
    ended(begun, item, fate, pieces, usage) {
      const status = fate.cut ? "incomplete" : "completed";
      return {
        ...begun,
        status,
        completed_at: fate.cut ? null : Math.floor(Date.now() / 1000),
        incomplete_details: fate.cut ? { reason: "max_output_tokens" } : null,
        output: [itemOf({ id: item }, status, pieces.join(""))],
        service_tier: fate.tier,
        usage: usage ?? null,
      };
    },
    whole(asked, fate, pieces, usage) {
      return this.ended(this.begun(asked), newId("msg_"), fate, pieces, usage);
    },
    stream(asked, fate, pieces, usage) {
      const [begun, item] = [this.begun(asked), newId("msg_")];
      return responsesStream({ id: item, pieces, cut: fate.cut }, begun, this.ended(begun, item, fate, pieces, usage));
    },
    failure: () => named("error", { code: "server_error", message: "The server had an error.", param: null, sequence_number: 99 }),
  },
  "/v1/messages": {
    provider: "anthropic",
    reads(body, headers) {
      const content = body.messages.at(-1).content;
      const caching = Array.isArray(content) ? content.map((part) => part.cache_control).find(Boolean) : undefined;
      const isOld = !(headers["anthropic-version"] >= "2026-10-21");
      return {
        prompt: read(content).text,
        most: body.max_tokens,
        choices: 1,
        saysUsage: true,
        cacheFor: caching && (caching.ttl ?? "5m"),
        kind: { isOld, isBeta: false },
      };
    },
    usage(fate, { kind }) {
      const { fresh, cached, write, writeLong } = fate.read;
      return {
        input_tokens: fresh,
        cache_creation_input_tokens: write + writeLong,
        cache_read_input_tokens: cached,
        cache_creation: { ephemeral_5m_input_tokens: write, ephemeral_1h_input_tokens: writeLong },
        output_tokens: fate.planned,
        service_tier: "standard",
        inference_geo: fate.inUs ? "us" : "not_available",
        ...(!kind.isOld && { output_tokens_details: null, server_tool_use: null, speed: "standard" }),
      };
    },
    message(asked, fate, content) {
      const head = { model: about(asked).model, id: newId("msg_"), type: "message", role: "assistant", content };
      const newer = { stop_details: null, container: null, diagnostics: null };
      return { ...head, stop_reason: null, stop_sequence: null, ...(!asked.kind.isOld && newer) };
    },
    whole(asked, fate, pieces, usage) {
      const text = { type: "text", text: pieces.join(""), ...(!asked.kind.isOld && { citations: null }) };
      const message = this.message(asked, fate, [text]);
      return { ...message, stop_reason: fate.cut ? "max_tokens" : "end_turn", ...(usage && { usage }) };
    },
    stream(asked, fate, pieces, usage) {
      const begun = this.message(asked, fate, []);
      const first = usage && { usage: { ...usage, output_tokens: 1 } };
      // Without usage the last event has an empty one.
      return messagesStream({ pieces, stop: fate.cut ? "max_tokens" : "end_turn" }, { ...begun, ...first }, usage ?? {}, asked.kind);
    },
    failure: () => named("error", { error: { type: "overloaded_error", message: "Overloaded" } }),
  },
};

/** Attacks alone go there. */
const OTHERS = { "/v1/audio/speech": { provider: "openai" } };

const indexesOf = ({ choices }) => [...Array(choices).keys()];

function understand(api, { body, headers }) {
  const asked = api.reads(body, headers);
  return {
    ...asked,
    body,
    provider: api.provider,
    model: body.model,
    streamed: body.stream === true,
    tier: body.service_tier,
    id: /\bcall:(\S+)/.exec(asked.prompt)?.[1],
    promptBytes: Buffer.byteLength(asked.prompt),
  };
}

/** The visible text, in pieces. */
function piecesOf({ pieces, pieceBytes }) {
  const filling = pieceBytes > 0 ? "x".repeat(pieceBytes) : "";
  return Array.from({ length: pieces }, (_, i) => WORDS[i % WORDS.length] + filling);
}

/**
 * Starts the simulator.
 *
 * @param {object} options
 * @param {string} options.openaiKey
 * @param {string} options.anthropicKey
 * @param {string} [options.seed]
 * @param {typeof fateOf} [options.fate] what becomes of each call
 */
export async function startUpstream({ openaiKey, anthropicKey, seed = "proof", fate: decide = fateOf }) {
  const bills = new Bills();
  /** How often each fate was met. */
  const fates = {};
  /** What no request may be, such as one with a wrong key. */
  const surprises = [];
  let arrived = 0;

  async function serve(request, response) {
    const arrivedAt = performance.now();
    const listener = new Listener(response);
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // The request never came to its end: there is nothing to work on.
      return;
    }
    arrived += 1;
    const { url, headers } = request;
    const path = url.split("?")[0];
    const api = APIS[path] ?? OTHERS[path];
    if (!api) return surprise(response, `${request.method} ${url}`);
    const [side, key] = api.provider === "openai" ? [openai, openaiKey] : [anthropic, anthropicKey];
    if (side.keyOf(headers) !== key) return surprise(response, `a wrong key at ${path}`);
    const text = Buffer.concat(chunks).toString();
    const attack = attackIn(text);
    if (attack) return serveAttack(attack, { request, response, text, bills, provider: api.provider });
    const body = JSON.parse(text);
    const asked = understand(api, { body, headers });
    if (!MODELS[asked.model] || !asked.id) return surprise(response, `model ${asked.model}, call ${asked.id}`);

    const send = (status, answer) => {
      const json = Buffer.from(JSON.stringify(answer.json));
      const own = { ...side.headers(Date.now(), { status }), ...answer.headers, "x-request-id": asked.id };
      response.writeHead(status, { "content-type": "application/json", "content-length": json.length, ...own });
      response.end(json);
    };
    const isTooMuch = asked.most > MODELS[asked.model].maxOutput;
    const fate = isTooMuch ? { end: "rejected", status: 400, beginsAfter: 5 } : decide(new Random("fate", seed, asked.id), asked);
    fates[fate.end] = (fates[fate.end] ?? 0) + 1;

    if (fate.end === "refused" || fate.end === "rejected") {
      await listener.pause(fate.beginsAfter);
      if (!listener.gone) send(fate.status, side.failure(fate.status, { body }));
      return;
    }

    const bill = new Bill({
      id: asked.id,
      provider: asked.provider,
      model: asked.model,
      tier: fate.tier,
      inUs: fate.inUs,
      read: fate.read,
      planned: fate.planned,
      from: arrivedAt + fate.beginsAfter,
      milliseconds: fate.milliseconds,
    });
    bills.add(bill);
    listener.onGone(() => {
      if (fate.notices) bill.stop(performance.now() + fate.noticesAfter);
    });
    await answer({ api, asked, fate, bill, listener, response, send, side });
  }

  function surprise(response, what) {
    surprises.push(what);
    response.writeHead(404).end();
  }

  const server = http.createServer({ maxHeaderSize: 64 * 1024, requestTimeout: 0 }, (request, response) => {
    serve(request, response).catch((error) => {
      surprises.push(error.stack);
      response.destroy();
    });
  });
  server.keepAliveTimeout = 0;
  server.on("clientError", (_, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    bills,
    fates,
    surprises,
    arrivals: () => arrived,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Carries a fate out. */
async function answer({ api, asked, fate, bill, listener, response, send, side }) {
  const usage = asked.saysUsage && fate.end !== "silent" ? api.usage(fate, asked) : undefined;
  const pieces = piecesOf(fate);
  if (fate.end === "hangs") return;
  if (fate.end === "edge" || fate.end === "lost") {
    // The origin has done its work, and is paid for it; its answer gets no further than the edge.
    await listener.pause(fate.beginsAfter + fate.milliseconds * fate.part);
    if (listener.gone) return;
    if (fate.end === "lost") return listener.hangUp();
    const html = `<html><head><title>${fate.status}</title></head><body><center><h1>${fate.status}</h1></center><hr></body></html>`;
    response.writeHead(fate.status, { "content-type": "text/html", "content-length": html.length, server: "cloudflare" });
    response.end(html);
    return;
  }

  if (!asked.streamed) {
    await listener.pause(fate.beginsAfter + fate.milliseconds);
    if (listener.gone) return;
    const json = api.whole(asked, fate, pieces, usage);
    if (!["breaks", "stalls", "fails"].includes(fate.end)) return send(200, { json });
    const bytes = Buffer.from(JSON.stringify(json));
    response.writeHead(200, { "content-type": "application/json", "content-length": bytes.length });
    response.write(bytes.subarray(0, Math.floor(bytes.length * fate.part)), () => {
      if (fate.end !== "stalls") listener.hangUp();
    });
    return;
  }

  const stream = api.stream(asked, fate, pieces, usage);
  await listener.pause(fate.beginsAfter);
  if (listener.gone) return;
  const headers = { ...side.headers(Date.now(), { status: 200 }), "x-request-id": asked.id };
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", ...headers });
  const says = fate.thinksFirst ? fate.milliseconds * (1 - fate.hidden) : fate.milliseconds;
  if (!fate.thinksFirst) response.write(stream.head);
  await listener.pause(fate.milliseconds - says);
  if (fate.thinksFirst) response.write(stream.head);
  const ends = ["breaks", "stalls", "fails"].includes(fate.end) ? Math.floor(pieces.length * fate.part) : Infinity;
  let said = 0;
  for (const delta of stream.deltas) {
    if (listener.gone) return;
    if (said === ends) break;
    said += 1;
    response.write(delta);
    await listener.pause(says / pieces.length);
  }
  if (listener.gone) return;
  switch (fate.end) {
    case "stalls":
      return;
    case "breaks":
      bill.stop(performance.now() + fate.noticesAfter);
      response.write("", () => listener.hangUp());
      return;
    case "fails":
      bill.stop(performance.now() + fate.noticesAfter);
      response.end(api.failure());
      return;
    default:
      response.end(stream.tail);
  }
}

/** Whoever the answer goes to, as long as they are there. */
class Listener {
  gone = false;
  #response;
  #wake = () => {};
  #onGone = () => {};

  constructor(response) {
    this.#response = response;
    response.on("error", () => {});
    response.once("close", () => {
      // What we ended ourselves is no going.
      if (response.writableFinished || this.gone) return;
      this.gone = true;
      this.#wake();
      this.#onGone();
    });
  }

  onGone(callback) {
    this.#onGone = callback;
    if (this.gone) callback();
  }

  pause(milliseconds) {
    if (this.gone) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Cuts the connection, which is our doing. */
  hangUp() {
    this.gone = true;
    this.#response.destroy();
  }
}
