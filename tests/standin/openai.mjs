// OpenAI's side: keys, errors, headers, and the small endpoints. Chat, Responses and media have files of their own.

import { chatCompletions } from "./openai-chat.mjs";
import { edits, generations, speech, transcriptions, translations } from "./openai-media.mjs";
import { responses } from "./openai-responses.mjs";
import { newId, read, tokensIn } from "./words.mjs";

const ORGANIZATION = "org-standin00000000000000";
const PROJECT = "proj_standin0000000000000000";

/** Models, and the dated one that answers where the name is an alias. */
const MODELS = new Map([
  ["gpt-5.2", "gpt-5.2-2025-12-11"],
  ["gpt-5.2-2025-12-11"],
  ["gpt-5.1", "gpt-5.1-2025-11-13"],
  ["gpt-5.1-2025-11-13"],
  ["gpt-5.1-mini"],
  ["gpt-5.1-codex"],
  ["gpt-5", "gpt-5-2025-08-07"],
  ["gpt-5-2025-08-07"],
  ["gpt-5-mini", "gpt-5-mini-2025-08-07"],
  ["gpt-5-mini-2025-08-07"],
  ["gpt-5-nano", "gpt-5-nano-2025-08-07"],
  ["gpt-5-nano-2025-08-07"],
  ["gpt-5-pro", "gpt-5-pro-2025-10-06"],
  ["gpt-5-pro-2025-10-06"],
  ["gpt-4.1", "gpt-4.1-2025-04-14"],
  ["gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"],
  ["gpt-4o", "gpt-4o-2024-08-06"],
  ["gpt-4o-mini", "gpt-4o-mini-2024-07-18"],
  ["o4-mini", "o4-mini-2025-04-16"],
  ["o3", "o3-2025-04-16"],
  ["text-embedding-3-small"],
  ["text-embedding-3-large"],
  ["text-embedding-ada-002", "text-embedding-ada-002-v2"],
  ["omni-moderation-latest"],
  ["omni-moderation-2024-09-26"],
  ["gpt-image-1"],
  ["gpt-image-1-mini"],
  ["gpt-image-2", "gpt-image-2-2026-04-21"],
  ["tts-1"],
  ["gpt-4o-mini-tts"],
  ["gpt-4o-transcribe"],
  ["whisper-1"],
]);
const FIRST_MODEL_AT = 1_754_425_777;

function refusal(status, { message, type = "invalid_request_error", param = null, code = null }, headers = {}) {
  return { status, headers, json: { error: { message, type, param, code } } };
}

const BAD_JSON =
  "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. " +
  "The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix " +
  "this, please contact us through our help center at help.openai.com.)";

const missing = (param) =>
  refusal(400, { message: `Missing required parameter: '${param}'.`, param, code: "missing_required_parameter" });

const unknownModel = (model) =>
  refusal(404, { message: `The model \`${model}\` does not exist or you do not have access to it.`, code: "model_not_found" });

/** What a control word asks for. */
function failure(status, { body }) {
  const model = typeof body?.model === "string" ? body.model : "gpt-5-mini";
  switch (status) {
    case 400: {
      const message = "Unsupported value: 'temperature' does not support 2 with this model. Only the default (1) is supported.";
      return refusal(400, { message, param: "temperature", code: "unsupported_value" });
    }
    case 401:
      return wrongKey();
    case 403: {
      const message = `Project \`${PROJECT}\` does not have access to model \`${model}\``;
      return refusal(403, { message, code: "model_not_found" });
    }
    case 404:
      return unknownModel(model);
    case 429: {
      const message =
        `Rate limit reached for ${model} in organization ${ORGANIZATION} on requests per min (RPM): Limit 500, Used 500, ` +
        "Requested 1. Please try again in 1s. Visit https://platform.openai.com/account/rate-limits to learn more.";
      const headers = {
        "retry-after": "1",
        "retry-after-ms": "1000",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
      };
      return refusal(429, { message, type: "requests", code: "rate_limit_exceeded" }, headers);
    }
    case 503:
      return refusal(503, { message: "The engine is currently overloaded, please try again later", type: "server_error" });
    default: {
      const message = "The server had an error while processing your request. Sorry about that!";
      return status < 500
        ? refusal(status, { message: "Your request could not be processed." })
        : refusal(status, { message, type: "server_error" });
    }
  }
}

const wrongKey = () =>
  refusal(401, {
    message: "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
    code: "invalid_api_key",
  });

const NO_KEY =
  "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. " +
  "Authorization: Bearer YOUR_KEY). You can obtain an API key from https://platform.openai.com/account/api-keys.";

const keyOf = (headers) => /^bearer\s+(\S+)$/i.exec(headers.authorization ?? "")?.[1];

function headers(arrivedAt, { status }) {
  const ray = newId("").slice(0, 16);
  const account = { "openai-organization": ORGANIZATION, "openai-project": PROJECT };
  const limits = {
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999980",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "0s",
  };
  return {
    ...(status !== 401 && { ...account, ...limits }),
    "openai-version": "2020-10-01",
    "openai-processing-ms": String(Date.now() - arrivedAt),
    "x-request-id": newId("req_"),
    "set-cookie": [
      `__cf_bm=${ray}-1.0.1.1; path=/; domain=.api.openai.com; HttpOnly; Secure; SameSite=None`,
      `_cfuvid=${ray}-0.0.1.1; path=/; domain=.api.openai.com; HttpOnly; Secure; SameSite=None`,
    ],
    "cf-cache-status": "DYNAMIC",
    "cf-ray": `${ray}-FRA`,
    server: "cloudflare",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-content-type-options": "nosniff",
    "alt-svc": 'h3=":443"; ma=86400',
  };
}

const lastUser = (list) => list.findLast((one) => one?.role === "user")?.content;

/** The text that may hold control words. */
function asked(path, body) {
  if (path === "/v1/chat/completions") return read(Array.isArray(body?.messages) ? lastUser(body.messages) : "");
  if (path.startsWith("/v1/images/") || FORMS.has(path)) return read(body?.prompt);
  const { input } = body ?? {};
  if (!Array.isArray(input)) return read(input);
  return read(path === "/v1/responses" ? lastUser(input) : input);
}

const modelObject = (id, index) => ({
  id,
  object: "model",
  created: FIRST_MODEL_AT - index * 86_400,
  owned_by: id.startsWith("gpt-5") ? "system" : "openai-internal",
});

function models() {
  return { json: { object: "list", data: [...MODELS.keys()].map(modelObject) } };
}

function oneModel(id) {
  const index = [...MODELS.keys()].indexOf(id);
  if (index >= 0) return { json: modelObject(id, index) };
  return refusal(404, { message: `The model '${id}' does not exist`, param: "model", code: "model_not_found" });
}

/** Some direction of length 1, the same for the same text. */
function embed(text, dimensions) {
  let seed = 2_166_136_261;
  for (let i = 0; i < Math.min(text.length, 2000); i += 1) seed = Math.imul(seed ^ text.charCodeAt(i), 16_777_619);
  seed = seed || 1;
  const vector = new Float32Array(dimensions);
  let square = 0;
  for (let i = 0; i < dimensions; i += 1) {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    vector[i] = seed / 2_147_483_648;
    square += vector[i] ** 2;
  }
  return vector.map((value) => value / Math.sqrt(square));
}

function embeddings({ body }, model) {
  const { input, encoding_format: format = "float", dimensions = model.includes("large") ? 3072 : 1536 } = body;
  if (input === undefined || input === null) return missing("input");
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > 3072) {
    const message = `Invalid value for 'dimensions': ${dimensions}.`;
    return refusal(400, { message, param: "dimensions", code: "invalid_value" });
  }
  // One text, or tokens of one text, or a list of either.
  const texts = Array.isArray(input) && typeof input[0] !== "number" ? input : [input];
  if (texts.length === 0 || texts.includes("")) {
    return refusal(400, { message: "'$.input' is invalid. Please check the API reference." });
  }
  const data = texts.map((text, index) => {
    const vector = embed(String(text), dimensions);
    const embedding = format === "base64" ? Buffer.from(vector.buffer).toString("base64") : [...vector];
    return { object: "embedding", index, embedding };
  });
  const lengths = texts.map((text) => (Array.isArray(text) ? text.length : tokensIn(String(text))));
  const tokens = lengths.reduce((sum, length) => sum + length);
  return { json: { object: "list", data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } } };
}

const CATEGORIES = [
  "harassment",
  "harassment/threatening",
  "sexual",
  "sexual/minors",
  "hate",
  "hate/threatening",
  "illicit",
  "illicit/violent",
  "self-harm",
  "self-harm/intent",
  "self-harm/instructions",
  "violence",
  "violence/graphic",
];
const every = (value) => Object.fromEntries(CATEGORIES.map((name) => [name, value]));

function moderations({ body }, model) {
  const { input } = body;
  if (input === undefined || input === null) return missing("input");
  // A list of parts is one thing to look at, a list of texts is many.
  const count = Array.isArray(input) && input.every((one) => typeof one === "string") ? input.length : 1;
  const result = {
    flagged: false,
    categories: every(false),
    category_scores: every(0.000_012_3),
    category_applied_input_types: every(["text"]),
  };
  return { json: { id: newId("modr-"), model, results: Array.from({ length: count }, () => result) } };
}

const POSTS = {
  "/v1/chat/completions": chatCompletions,
  "/v1/responses": responses,
  "/v1/embeddings": embeddings,
  "/v1/moderations": moderations,
  "/v1/images/generations": generations,
  "/v1/images/edits": edits,
  "/v1/audio/speech": speech,
  "/v1/audio/transcriptions": transcriptions,
  "/v1/audio/translations": translations,
};
/** What takes a form with files. */
const FORMS = new Set(["/v1/images/edits", "/v1/audio/transcriptions", "/v1/audio/translations"]);

function answer(request) {
  const { method, path, headers: sent, body, isJson, files } = request;
  const [, id] = /^\/v1\/models\/(.+)$/.exec(path) ?? [];
  const post = Object.hasOwn(POSTS, path) ? POSTS[path] : undefined;
  if (!post && !id && path !== "/v1/models") return refusal(404, { message: `Invalid URL (${method} ${path})` });
  if (method !== (post ? "POST" : "GET")) {
    const message = `Not allowed to ${method} on ${path}. (HINT: Perhaps you meant to use a different HTTP method?)`;
    return refusal(405, { message, code: "method_not_supported" });
  }
  if (!post) return id ? oneModel(id) : models();

  const type = sent["content-type"];
  const wanted = FORMS.has(path) ? "multipart/form-data" : "application/json";
  if (type !== undefined && type.split(";")[0].trim().toLowerCase() !== wanted) {
    const message =
      `Unsupported content type: '${type}'. This API method only accepts '${wanted}' requests, but you specified the ` +
      `header 'Content-Type: ${type}'. Please try again with a supported content type.`;
    return refusal(400, { message, code: "unsupported_content_type" });
  }
  const isObject = isJson && typeof body === "object" && body !== null && !Array.isArray(body);
  if (FORMS.has(path) ? !files : !isObject) return refusal(400, { message: BAD_JSON });
  const { model = path === "/v1/moderations" ? "omni-moderation-latest" : undefined } = body;
  if ([undefined, null, ""].includes(model)) return refusal(400, { message: "you must provide a model parameter" });
  if (typeof model !== "string") {
    return refusal(400, { message: "Invalid type for 'model': expected a string.", param: "model", code: "invalid_type" });
  }
  if (!MODELS.has(model)) return unknownModel(model);
  return post(request, MODELS.get(model) ?? model, { refusal, missing });
}

export const openai = {
  keyOf,
  headers,
  asked,
  answer,
  refusal,
  failure,
  unauthorized: (sent) => (keyOf(sent) === undefined ? refusal(401, { message: NO_KEY }) : wrongKey()),
};
