// Anthropic's side: keys, errors, headers, models. Messages have a file of their own.

import { countTokens, messages } from "./anthropic-messages.mjs";
import { newId, read } from "./words.mjs";

const ORGANIZATION = "00000000-5ead-4000-8000-0000000057a1";

/** Models, and the dated one that answers where the name is an alias. */
const MODELS = new Map([
  ["claude-opus-5-5"],
  ["claude-sonnet-5-5"],
  ["claude-haiku-5-5"],
  ["claude-opus-5"],
  ["claude-sonnet-5"],
  ["claude-haiku-5"],
  ["claude-opus-4-8"],
  ["claude-sonnet-4-6"],
  ["claude-opus-4-5", "claude-opus-4-5-20251101"],
  ["claude-opus-4-5-20251101"],
  ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929"],
  ["claude-sonnet-4-5-20250929"],
  ["claude-haiku-4-5", "claude-haiku-4-5-20251001"],
  ["claude-haiku-4-5-20251001"],
]);
const FIRST_MODEL_AT = Date.UTC(2026, 8, 1);

const TYPES = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

/** The id of the request is in the body and in the header. */
function refusal(status, { message }, headers = {}) {
  const type = TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
  const again = { "x-should-retry": String(status === 408 || status === 409 || status === 429 || status >= 500) };
  const id = newId("req_");
  const json = { type: "error", error: { type, message }, request_id: id };
  return { status, headers: { ...again, "request-id": id, ...headers }, json };
}

function failure(status, { body }) {
  const model = typeof body?.model === "string" ? body.model : "claude-opus-5";
  const words = {
    400: "temperature: Input should be less than or equal to 1",
    401: "invalid x-api-key",
    402: "Your credit balance is too low to access the Anthropic API.",
    403: "Your API key does not have permission to use the specified resource.",
    404: `model: ${model}`,
    413: "Request exceeds the maximum size",
    429:
      `This request would exceed your organization's rate limit of 50 requests per minute (org: ${ORGANIZATION}, model: ` +
      `${model}). For details, refer to: https://docs.claude.com/en/api/rate-limits.`,
    504: "Request timed out",
    529: "Overloaded",
  };
  const message = words[status] ?? (status < 500 ? "Your request could not be processed." : "Internal server error");
  const headers = status === 429 ? { "retry-after": "1", ...rateLimits("requests", "50", "0") } : {};
  return refusal(status, { message }, headers);
}

function rateLimits(what, limit, remaining) {
  const reset = new Date(Date.now() + 1000).toISOString().replace(/\.\d+Z$/, "Z");
  return {
    [`anthropic-ratelimit-${what}-limit`]: limit,
    [`anthropic-ratelimit-${what}-remaining`]: remaining,
    [`anthropic-ratelimit-${what}-reset`]: reset,
  };
}

function headers(arrivedAt, { status }) {
  const ray = newId("").slice(0, 16);
  const account = {
    "anthropic-organization-id": ORGANIZATION,
    ...rateLimits("requests", "4000", "3999"),
    ...rateLimits("input-tokens", "2000000", "2000000"),
    ...rateLimits("output-tokens", "400000", "400000"),
    ...rateLimits("tokens", "2400000", "2400000"),
  };
  return {
    ...(status !== 401 && account),
    "request-id": newId("req_"),
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-envoy-upstream-service-time": String(Date.now() - arrivedAt),
    "set-cookie": [`_cfuvid=${ray}-0.0.1.1; path=/; domain=.api.anthropic.com; HttpOnly; Secure; SameSite=None`],
    via: "1.1 google",
    "cf-cache-status": "DYNAMIC",
    "cf-ray": `${ray}-FRA`,
    "x-robots-tag": "none",
    server: "cloudflare",
  };
}

const bearerOf = (sent) => /^bearer\s+(\S+)$/i.exec(sent.authorization ?? "")?.[1];
const keyOf = (sent) => sent["x-api-key"] ?? bearerOf(sent);

function unauthorized(sent) {
  if (sent["x-api-key"] !== undefined) return refusal(401, { message: "invalid x-api-key" });
  return refusal(401, { message: bearerOf(sent) ? "Invalid bearer token" : "x-api-key header is required" });
}

/** The text that may hold control words. */
function asked(path, body) {
  return read(Array.isArray(body?.messages) ? body.messages.findLast((message) => message?.role === "user")?.content : "");
}

const supported = { supported: true };
const CAPABILITIES = {
  batch: supported,
  citations: supported,
  code_execution: supported,
  context_management: {
    supported: true,
    clear_thinking_20251015: supported,
    clear_tool_uses_20250919: supported,
    compact_20260112: supported,
  },
  effort: { supported: true, low: supported, medium: supported, high: supported, xhigh: supported, max: supported },
  image_input: supported,
  pdf_input: supported,
  server_tools: { supported: true, code_execution: supported, web_search: supported },
  structured_outputs: supported,
  thinking: {
    supported: true,
    types: { adaptive: supported, between_tools: supported, disabled: supported, enabled: supported },
  },
};

/** `isOld`: as before version 2026-10-21, which tells more about a model. */
function modelObject(id, isOld) {
  const [, line, version] = /^claude-([a-z]+)-(\d+(?:-\d{1,2})?)(?:-|$)/.exec(id);
  const age = [...MODELS.keys()].indexOf(id) * 30 * 86_400_000;
  const known = {
    type: "model",
    id,
    display_name: `Claude ${line[0].toUpperCase()}${line.slice(1)} ${version.replace("-", ".")}`,
    created_at: new Date(FIRST_MODEL_AT - age).toISOString().replace(".000", ""),
  };
  if (isOld) return known;
  return {
    ...known,
    capabilities: CAPABILITIES,
    deprecated_at: null,
    lifecycle: "active",
    line,
    max_input_tokens: 200_000,
    max_tokens: 64_000,
    retires_at: null,
  };
}

function models({ query }, isOld) {
  const limit = Number(query.get("limit") ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
    return refusal(400, { message: "limit: Input should be between 1 and 1000" });
  }
  const ids = [...MODELS.keys()];
  const [after, before] = [query.get("after_id"), query.get("before_id")];
  const from = after === null ? 0 : ids.indexOf(after) + 1;
  const to = before === null ? ids.length : Math.max(ids.indexOf(before), 0);
  const page = before === null ? ids.slice(from, from + limit) : ids.slice(Math.max(from, to - limit), to);
  const hasMore = before === null ? from + limit < ids.length : to - limit > from;
  const data = page.map((id) => modelObject(id, isOld));
  return { json: { data, has_more: hasMore, first_id: page[0] ?? null, last_id: page.at(-1) ?? null } };
}

const POSTS = { "/v1/messages": messages, "/v1/messages/count_tokens": countTokens };

function answer(request) {
  const { method, path, headers: sent, body, isJson } = request;
  const [, id] = /^\/v1\/models\/(.+)$/.exec(path) ?? [];
  const post = Object.hasOwn(POSTS, path) ? POSTS[path] : undefined;
  if (!post && !id && path !== "/v1/models") return refusal(404, { message: "Not Found" });
  if (method !== (post ? "POST" : "GET")) return refusal(405, { message: "Method Not Allowed" });
  const version = sent["anthropic-version"];
  if (version === undefined) return refusal(400, { message: "anthropic-version: header is required" });
  if (!/^\d{4}-\d{2}-\d{2}$/.test(version)) {
    return refusal(400, { message: `anthropic-version: "${version}" is not a valid version` });
  }
  const isOld = version < "2026-10-21";
  if (!post) {
    if (!id) return models(request, isOld);
    return MODELS.has(id) ? { json: modelObject(id, isOld) } : refusal(404, { message: `model: ${id}` });
  }
  if (!isJson) return refusal(400, { message: "The request body is not valid JSON: expected value at line 1 column 1" });
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return refusal(400, { message: "Input should be a valid dictionary" });
  }
  const { model } = body;
  if (model === undefined) return refusal(400, { message: "model: Field required" });
  if (typeof model !== "string") return refusal(400, { message: "model: Input should be a valid string" });
  if (!model) return refusal(400, { message: "model: String should have at least 1 character" });
  if (!MODELS.has(model)) return refusal(404, { message: `model: ${model}` });
  return post(request, MODELS.get(model) ?? model, { refusal, isOld });
}

export const anthropic = { keyOf, headers, asked, answer, refusal, failure, unauthorized };
