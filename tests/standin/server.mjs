// A local stand-in for OpenAI and Anthropic: one server that plays both, on the endpoints that a broker needs, in the shapes that
// the official SDKs read. Tests start it in their own process; `npm run dev` starts it as a program, with STANDIN_PORT,
// STANDIN_OPENAI_KEY and STANDIN_ANTHROPIC_KEY. A provider without a key refuses every key.
//
// Words in the last user message steer the answer; several may be combined:
//
//   standin:status=N   that error, in the provider's own shape      standin:hang        no answer, and the connection stays open
//   standin:delay=MS   before the answer begins                     standin:break=N     cut after N chunks, or at half the body
//   standin:chunks=N   length of the answer, in words               standin:redirect    307 to a place where nothing listens
//   standin:slow=MS    between the chunks of a stream               standin:echo-key    400 that repeats the key it was sent

import { createHash } from "node:crypto";
import { once } from "node:events";
import { realpathSync } from "node:fs";
import http from "node:http";
import { anthropic } from "./anthropic.mjs";
import { openai } from "./openai.mjs";
import { Wire } from "./wire.mjs";
import { controlsIn } from "./words.mjs";

const LONGEST_TEXT = 1024 * 1024;
const NOWHERE = "http://127.0.0.1:1/elsewhere";

/** By the path where only one of them has it, else by the headers. */
function isAnthropic(path, headers) {
  if (/^\/v1\/messages(\/|$)/.test(path)) return true;
  if (/^\/v1\/(chat|responses|embeddings|moderations|images|audio)(\/|$)/.test(path)) return false;
  return headers["anthropic-version"] !== undefined || headers["x-api-key"] !== undefined;
}

/** The whole body; nothing when the peer went away in the middle of it. */
async function bytesOf(request) {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

function parse(text) {
  try {
    return { body: JSON.parse(text), isJson: true };
  } catch {
    return { body: text, isJson: false };
  }
}

/** The fields of a form as an object, and its files by their field. */
async function parseForm(bytes, type) {
  const body = {};
  const files = {};
  try {
    const form = await new Response(bytes, { headers: { "content-type": type } }).formData();
    for (const [name, value] of form) {
      if (typeof value === "string") body[name] = value;
      else (files[name] ??= []).push({ name: value.name, type: value.type, size: value.size });
    }
    return { body, files, isJson: false };
  } catch {
    return { body: undefined, isJson: false };
  }
}

/** What to answer. Everything that a real server would look at comes in the order in which it would. */
async function decide(provider, request, key, wire) {
  const { controls } = request;
  const sentKey = provider.keyOf(request.headers);
  if (key === undefined || sentKey !== key) return provider.unauthorized(request.headers);
  if (controls.hang) return undefined;
  if (controls.delay) await wire.pause(controls.delay);
  if (controls.redirect) return { status: 307, headers: { location: NOWHERE } };
  if (controls["echo-key"]) return provider.refusal(400, { message: `The key ${sentKey} can not be used for this request.` });
  if (controls.status >= 400 && controls.status < 600) return provider.failure(controls.status, request);
  return provider.answer(request);
}

/**
 * Starts the stand-in.
 *
 * @param {object} options
 * @param {number} [options.port] 0 is any that is free
 * @param {string} [options.openaiKey] the key that "OpenAI" accepts
 * @param {string} [options.anthropicKey] the key that "Anthropic" accepts
 * @param {number} [options.keep] how many of the latest requests are remembered
 */
export async function startStandin({ port = 0, openaiKey, anthropicKey, keep = Infinity } = {}) {
  // `finished` and `aborted` are kept up to date.
  /** What arrived: `{ method, path, headers, text, body, finished, aborted }`; of a form `files` and `sha256` too. */
  const requests = [];
  let count = 0;
  let closing = false;

  function remember(entry) {
    count += 1;
    requests.push(entry);
    if (requests.length > keep) requests.splice(0, requests.length - keep);
  }

  function reset() {
    count = 0;
    requests.length = 0;
  }

  async function serve(request, response) {
    const { method, url, headers } = request;
    const [path, query = ""] = url.split("?", 2);
    const wire = new Wire(response);
    if (path === "/__standin/count") return wire.sendJson(200, {}, { count });
    if (path === "/__standin/requests") return wire.sendJson(200, {}, requests);

    const arrivedAt = Date.now();
    const bytes = await bytesOf(request);
    if (!bytes) return undefined;
    const text = bytes.toString();
    const entry = { method, path: url, headers, text: undefined, body: undefined, finished: false, aborted: false };
    if (bytes.length <= LONGEST_TEXT) entry.text = text;
    const type = headers["content-type"] ?? "";
    const isForm = /^multipart\/form-data\b/i.test(type);
    const { body, isJson, files } = isForm ? await parseForm(bytes, type) : parse(text);
    entry.body = body;
    if (isForm) Object.assign(entry, { files, sha256: createHash("sha256").update(bytes).digest("hex") });
    response.once("finish", () => {
      entry.finished = true;
    });
    response.once("close", () => {
      entry.aborted = !entry.finished && !wire.cut && !closing;
    });
    // It may have left while its body was being parsed.
    if (wire.closed) entry.aborted = true;
    remember(entry);

    const [provider, key] = isAnthropic(path, headers) ? [anthropic, anthropicKey] : [openai, openaiKey];
    const controls = controlsIn(provider.asked(path, body).text);
    const asked = { method, path, query: new URLSearchParams(query), headers, body, isJson, files, controls };
    const answer = await decide(provider, asked, key, wire);
    if (!answer || wire.closed) return undefined;
    const answerHeaders = { ...provider.headers(arrivedAt, answer), ...answer.headers };
    if (answer.bytes) return wire.sendBytes({ "content-type": answer.type, ...answerHeaders }, answer.bytes, controls);
    if (answer.stream) return wire.sendStream(answerHeaders, answer.stream, controls);
    return wire.sendJson(answer.status ?? 200, answerHeaders, answer.json, controls);
  }

  const server = http.createServer({ maxHeaderSize: 64 * 1024, requestTimeout: 0 }, (request, response) => {
    serve(request, response).catch((error) => {
      console.error("stand-in error:", error);
      response.destroy();
    });
  });
  // A connection that we end while the client takes it for its next call is a failure that no test is about.
  server.keepAliveTimeout = 0;
  server.on("clientError", (_, socket) => socket.destroy());
  server.listen(port, "127.0.0.1");
  await once(server, "listening");

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    reset,
    async close() {
      if (closing) return;
      closing = true;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  const { STANDIN_PORT = "8789", STANDIN_OPENAI_KEY: openaiKey, STANDIN_ANTHROPIC_KEY: anthropicKey } = process.env;
  try {
    const standin = await startStandin({ port: Number(STANDIN_PORT), openaiKey, anthropicKey, keep: 1000 });
    console.log(`The stand-in for OpenAI and Anthropic listens on ${standin.url}`);
    for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => standin.close().then(() => process.exit(0)));
  } catch (error) {
    console.error(`The stand-in could not be started: error: ${error.message}`);
    process.exit(1);
  }
}
