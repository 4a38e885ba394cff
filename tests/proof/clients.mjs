// The apps: what they ask for, and how they behave while they are answered.

import { once } from "node:events";
import http from "node:http";

/** Longest that a client waits for anything to come. */
const PATIENCE_MS = 12_000;

const LETTERS = "abcdefghijklmnopqrstuvwxyz ";

function promptOf(random, id) {
  const length = random.chance(0.05) ? random.whole(5_000, 30_000) : random.whole(1, 3_000);
  const unit = Array.from({ length: 40 }, () => random.pick(LETTERS)).join("");
  return `call:${id} ${unit.repeat(Math.ceil(length / unit.length)).slice(0, length)}`;
}

/** The most to write: none named, something usual, or so much that a tight budget has no room for it. */
function maximum(random) {
  switch (random.weighted({ usual: 70, none: 15, large: 10, huge: 5 })) {
    case "usual":
      return random.whole(16, 4_000);
    case "large":
      return random.whole(4_000, 30_000);
    case "huge":
      return random.whole(60_000, 140_000);
    default:
      return undefined;
  }
}

/**
 * A call of the app: `{ id, path, body, headers, behaviour }`.
 *
 * @param {import("./random.mjs").Random} random
 * @param {string} id
 * @param {Record<string, string[]>} models what the grant allows, by provider
 */
export function callOf(random, id, models) {
  const provider = random.pick(Object.keys(models));
  const model = random.pick(models[provider]);
  const streamed = random.chance(0.6);
  const prompt = promptOf(random, id);
  const call = bodyOf(random, provider, model, prompt, streamed);
  if (streamed) call.body.stream = true;
  const behaviour = random.weighted({ reads: 62, leaves: 18, leavesEarly: 5, leavesLate: 5, slow: 6, ignores: 4 });
  return {
    ...call,
    id,
    provider,
    behaviour,
    /** When it leaves, if it does. */
    after: behaviour === "leavesEarly" ? random.between(0, 100) : random.between(0, 3_000),
    /** How long a slow reader waits between two looks. */
    wait: random.between(100, 1_500),
  };
}

function bodyOf(random, provider, model, prompt, streamed) {
  if (provider === "anthropic") return messages(random, model, prompt);
  return random.chance(0.6) ? chat(random, model, prompt, streamed) : responses(random, model, prompt);
}

function chat(random, model, content, streamed) {
  const body = { model, messages: [{ role: "user", content }] };
  const most = maximum(random);
  if (most !== undefined) body[random.chance(0.8) ? "max_completion_tokens" : "max_tokens"] = most;
  if (random.chance(0.1)) body.n = random.whole(2, 3);
  if (streamed && random.chance(0.5)) body.stream_options = { include_usage: random.chance(0.8) };
  return { path: "/openai/v1/chat/completions", body: withTier(random, body), headers: {} };
}

function responses(random, model, input) {
  const body = { model, input: random.chance(0.5) ? input : [{ role: "user", content: input }], store: false };
  const most = maximum(random);
  if (most !== undefined) body.max_output_tokens = most;
  return { path: "/openai/v1/responses", body: withTier(random, body), headers: {} };
}

function withTier(random, body) {
  const tier = random.weighted({ "": 40, auto: 10, default: 30, flex: 10, priority: 10 });
  return tier ? { ...body, service_tier: tier } : body;
}

function messages(random, model, text) {
  const cache = random.pick([undefined, undefined, { type: "ephemeral" }, { type: "ephemeral", ttl: "1h" }]);
  const content = cache || random.chance(0.3) ? [{ type: "text", text, ...(cache && { cache_control: cache }) }] : text;
  const body = { model, max_tokens: maximum(random) ?? 4_096, messages: [{ role: "user", content }] };
  const version = random.pick([undefined, "2023-06-01", "2026-10-21"]);
  return { path: "/anthropic/v1/messages", body, headers: version ? { "anthropic-version": version } : {} };
}

/** Marks that the end of a stream is near. */
const ALMOST_OVER = /"finish_reason":"|"type":"message_delta"|response\.output_item\.done/;

const agent = new http.Agent({ keepAlive: true });

/**
 * Makes the call. Answers `{ status, code, requestId, whole, left }`; status 0: nothing came.
 *
 * @param {string} origin of the broker
 * @param {string} token
 * @param {ReturnType<typeof callOf>} call
 */
export async function perform(origin, token, { path, body, headers, behaviour, after, wait }) {
  const text = JSON.stringify(body);
  const request = http.request(new URL(path, origin), {
    method: "POST",
    agent,
    headers: {
      ...headers,
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    },
  });
  const outcome = { status: 0, code: null, requestId: null, whole: false, left: false };
  const gone = Promise.withResolvers();
  const leave = () => {
    if (outcome.whole) return;
    outcome.left = true;
    request.destroy();
    gone.resolve();
  };
  const timers = [setTimeout(leave, PATIENCE_MS)];
  if (behaviour === "leaves" || behaviour === "leavesEarly") timers.push(setTimeout(leave, after));
  request.on("error", () => gone.resolve());
  request.end(text);
  try {
    await Promise.race([gone.promise, take(request, { behaviour, wait, leave, streamed: body.stream }, outcome)]);
  } catch {
    // It was cut off.
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
  return outcome;
}

async function take(request, { behaviour, wait, leave, streamed }, outcome) {
  const [response] = await once(request, "response");
  response.on("error", () => {});
  outcome.status = response.statusCode;
  outcome.code = response.headers["aipassport-error"] ?? null;
  outcome.requestId = response.headers["aipassport-request-id"] ?? null;
  outcome.clamped = response.headers["aipassport-max-output-tokens"] !== undefined;
  outcome.retryAfter = Number(response.headers["retry-after"] ?? 0);
  if (behaviour === "leavesLate" && !streamed) return leave();
  if (behaviour === "ignores") {
    response.pause();
    return once(response, "close");
  }
  let text = "";
  for await (const chunk of response) {
    text += chunk;
    if (behaviour === "leavesLate" && ALMOST_OVER.test(chunk)) return leave();
    if (behaviour === "slow") await new Promise((resolve) => setTimeout(resolve, wait));
  }
  outcome.whole = response.complete;
  outcome.text = text;
}
