import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { test } from "node:test";
import { base64url, newSigningKey } from "../support/broker.mjs";
import {
  assertAnthropicError,
  assertOpenAiError,
  call,
  chat,
  chatBody,
  claims,
  messages,
  messagesBody,
  openCall,
} from "../support/flow.mjs";
import { startWorld, until, useUp } from "../support/world.mjs";

const { broker, browser, app, standin } = await startWorld({ env: { UPSTREAM_TIMEOUT_SECONDS: "2" } });
const details = [
  { type: "ai_access", provider: "openai", models: ["*"], capabilities: ["chat", "embeddings", "moderation"] },
  { type: "ai_access", provider: "anthropic", models: ["*"], capabilities: ["chat"] },
];
const { access_token: token } = await browser.grant(app, { details });
const latest = () => standin.requests.at(-1);
const CHAT = "/openai/v1/chat/completions";
const MESSAGES = "/anthropic/v1/messages";

/** A call; then what arrived upstream. */
async function arrived(path, headers, body = chatBody()) {
  const before = standin.requests.length;
  const answer = await call(broker, token, path, { body, headers });
  assert.equal(standin.requests.length, before + 1, answer.text);
  return { answer, upstream: latest() };
}

// What goes upstream.

test("the provider gets its own key, and nothing of the token", async () => {
  for (const [path, body, header, value] of [
    [CHAT, chatBody(), "authorization", `Bearer ${broker.secrets.OPENAI_API_KEY}`],
    [MESSAGES, messagesBody(), "x-api-key", broker.secrets.ANTHROPIC_API_KEY],
  ]) {
    const { upstream } = await arrived(path, {}, body);
    assert.equal(upstream.headers[header], value);
    assert.ok(!JSON.stringify(upstream).includes(token));
  }
});

for (const header of ["authorization", "x-api-key", "x-goog-api-key"]) {
  test(`the token is taken from ${header}`, async () => {
    const headers = { [header]: header === "authorization" ? `Bearer ${token}` : token };
    for (const [path, body] of [
      [CHAT, chatBody()],
      [MESSAGES, messagesBody()],
    ]) {
      const answer = await call(broker, null, path, { body, headers });
      assert.equal(answer.status, 200, answer.text);
      assert.ok(!JSON.stringify(latest()).includes(token));
    }
  });
}

test("RFC 6750 §2: two different tokens in one request are none", async () => {
  const { access_token: another } = await browser.grant(app, { details });
  assertOpenAiError(
    await call(broker, token, CHAT, { body: chatBody(), headers: { "x-api-key": another } }),
    401,
    "invalid_token",
  );
});

test("RFC 6750 §2.3: a token in the query is none", async () => {
  for (const name of ["access_token", "key", "api_key"]) {
    assert.ok([400, 401].includes((await call(broker, null, `${CHAT}?${name}=${token}`, { body: chatBody() })).status));
  }
});

test("cookies, addresses, accounts and other credentials stay here", async () => {
  const headers = {
    cookie: "a=secret-cookie",
    "openai-organization": "org-x",
    "openai-project": "proj-x",
    "x-forwarded-for": "192.0.2.1",
    "x-real-ip": "192.0.2.1",
    forwarded: "for=192.0.2.1",
    "cf-connecting-ip": "192.0.2.1",
    "proxy-authorization": "Basic eDp5",
    "x-api-key": token,
    referer: "https://app.example/private",
    origin: "https://app.example",
    "x-custom": "custom",
    "anthropic-organization-id": "x",
  };
  for (const [path, body] of [
    [CHAT, chatBody()],
    [MESSAGES, messagesBody()],
  ]) {
    const { upstream } = await arrived(path, headers, body);
    const own = path === CHAT ? ["x-api-key"] : ["authorization"];
    for (const name of [...Object.keys(headers).filter((name) => name !== "x-api-key"), ...own]) {
      assert.equal(upstream.headers[name], undefined, name);
    }
  }
});

test("what the SDKs say about the API goes along", async () => {
  const headers = {
    "openai-beta": "assistants=v2",
    "x-stainless-lang": "js",
    "x-stainless-retry-count": "0",
    "x-client-request-id": "mine-1",
    "user-agent": "OpenAI/JS 7.57.0",
    accept: "application/json",
  };
  const { upstream } = await arrived(CHAT, headers);
  for (const [name, value] of Object.entries(headers)) assert.equal(upstream.headers[name], value, name);
});

test("anthropic-version and anthropic-beta go along as they are, also unknown ones", async () => {
  const headers = { "anthropic-version": "2026-10-21", "anthropic-beta": "context-1m-2025-08-07,made-up-2099-01-01" };
  const { upstream } = await arrived(MESSAGES, headers, messagesBody());
  for (const [name, value] of Object.entries(headers)) assert.equal(upstream.headers[name], value);
});

test("anthropic-version is filled in where the client names none", async () => {
  const { upstream } = await arrived(MESSAGES, {}, messagesBody());
  assert.match(upstream.headers["anthropic-version"], /^\d{4}-\d{2}-\d{2}$/);
});

test("an idempotency key is made unique to the grant", async () => {
  const headers = { "idempotency-key": "retry-1" };
  const { upstream: mine } = await arrived(CHAT, headers);
  const { access_token: another } = await browser.grant(app, { details });
  await call(broker, another, CHAT, { body: chatBody(), headers });
  const theirs = latest();
  assert.ok(mine.headers["idempotency-key"].includes("retry-1"));
  assert.notEqual(mine.headers["idempotency-key"], theirs.headers["idempotency-key"]);
});

test("the body is said to be what it was read as", async () => {
  for (const type of ["application/json; charset=shift_jis", "application/x-www-form-urlencoded", "text/plain"]) {
    const { upstream } = await arrived(CHAT, { "content-type": type });
    assert.equal(upstream.headers["content-type"], "application/json");
  }
});

test("bytes that are no UTF-8 are refused, also where only the provider would look", async () => {
  const body = Buffer.concat([
    Buffer.from('{"model":"gpt-5-mini","messages":[],"metadata":{"a":"'),
    Buffer.from([0xc0, 0xa2]),
    Buffer.from('"}}'),
  ]);
  assertOpenAiError(await call(broker, token, CHAT, { body }), 400, "invalid_request");
});

test("a tool list of millions costs no memory", async () => {
  const body = `{"model":"gpt-5-mini","tools":[${"0,".repeat(4_000_000)}0]}`;
  const answer = await call(broker, token, CHAT, { body });
  assert.deepEqual([answer.status, answer.code], [403, "capability_not_granted"]);
});

test("the body goes along byte for byte, with fields that nobody knows", async () => {
  const body =
    '{ "model":"gpt-5-mini",\n "messages":[{"role":"user","content":"gr\\u00fc\\u00dfe \u{1f680} ü"}], "unknown_field":{"a":[1,2.50,1e3]}, "seed": 12345678901234567890 }';
  const before = standin.requests.length;
  assert.equal((await call(broker, token, CHAT, { body })).status, 200);
  assert.equal(standin.requests.length, before + 1);
  const { body: received, text } = latest();
  const raw = text ?? received;
  if (typeof raw === "string") assert.equal(raw, body);
  else assert.deepEqual(raw, JSON.parse(body));
});

// What comes back.

test("the ids of the provider come back beside the own one", async () => {
  const { headers } = await chat(broker, token);
  assert.ok(headers.get("x-request-id"));
  assert.ok(headers.get("aipassport-request-id"));
  assert.ok((await messages(broker, token)).headers.get("request-id"));
  const ids = await Promise.all(
    Array.from({ length: 5 }, async () => (await chat(broker, token)).headers.get("aipassport-request-id")),
  );
  assert.equal(new Set(ids).size, 5);
});

test("the provider's cookies and account details do not come back", async () => {
  const { headers } = await chat(broker, token);
  for (const name of [
    "set-cookie",
    "openai-organization",
    "openai-project",
    "x-ratelimit-remaining-requests",
    "cf-ray",
    "server",
    "anthropic-organization-id",
  ]) {
    assert.equal(headers.get(name), null, name);
  }
});

/** A call that the provider answers with 429; once for all tests, since it asks for a pause of the grant. */
let tooMany;
const answeredWith429 = () => (tooMany ??= browser.grant(app).then(({ access_token: own }) => chat(broker, own, "standin:status=429")));

test("the provider's own errors come back as they are", async () => {
  for (const status of [400, 404, 500]) {
    const answer = await chat(broker, token, `standin:status=${status}`);
    assert.equal(answer.status, status);
    assert.equal(answer.code, null);
    assert.equal(typeof answer.body.error.message, "string");
  }
  const { status, code } = await answeredWith429();
  assert.deepEqual({ status, code }, { status: 429, code: null });
  const answer = await messages(broker, token, "standin:status=529");
  assert.deepEqual([answer.status, answer.body.type], [529, "error"]);
});

test("an error of the provider does not say whose account it is", async () => {
  const answer = await answeredWith429();
  assert.match(answer.body.error.message, /organization/);
  assert.doesNotMatch(answer.text, /org-[A-Za-z0-9]{8}|proj_[A-Za-z0-9]{8}/);
});

test("the provider's Retry-After comes back", async () => {
  assert.ok((await answeredWith429()).headers.get("retry-after"));
});

test("the provider's no to the broker's key is the broker's failure, and says nothing about the key", async () => {
  await broker.restart({ OPENAI_API_KEY: "sk-wrong-0123456789abcdef", ANTHROPIC_API_KEY: "sk-ant-wrong-0123456789" });
  try {
    const openai = await chat(broker, token);
    assertOpenAiError(openai, 502, "provider_key_rejected");
    assert.equal(openai.headers.get("x-should-retry"), "false");
    const anthropic = await messages(broker, token);
    assertAnthropicError(anthropic, 502, "provider_key_rejected");
    for (const { text } of [openai, anthropic]) assert.doesNotMatch(text, /sk-|wrong-0123/);
  } finally {
    await broker.restart({ OPENAI_API_KEY: broker.secrets.OPENAI_API_KEY, ANTHROPIC_API_KEY: broker.secrets.ANTHROPIC_API_KEY });
  }
});

test("a redirect of the provider is not followed, and not passed on", async () => {
  const before = standin.requests.length;
  const answer = await chat(broker, token, "standin:redirect");
  assertOpenAiError(answer, 502, "upstream_unreachable");
  assert.equal(answer.headers.get("location"), null);
  assert.equal(standin.requests.length, before + 1);
});

test("a provider that does not answer is 504", async () => {
  assertOpenAiError(await chat(broker, token, "standin:hang"), 504, "upstream_timeout");
});

// CORS, for apps in a browser.

test("the Fetch standard: the preflight allows the headers of the SDKs", async () => {
  const asked =
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-timeout,anthropic-version,anthropic-dangerous-direct-browser-access,x-api-key";
  for (const path of [CHAT, MESSAGES, "/openai/v1/models"]) {
    const answer = await call(broker, null, path, {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
      },
    });
    assert.ok([200, 204].includes(answer.status));
    const allowed = answer.headers
      .get("access-control-allow-headers")
      .toLowerCase()
      .split(/\s*,\s*/);
    for (const name of asked.split(",")) assert.ok(allowed.includes(name), name);
    assert.ok(["*", "https://app.example"].includes(answer.headers.get("access-control-allow-origin")));
    assert.match(answer.headers.get("access-control-allow-methods"), /POST/);
    assert.equal(answer.headers.get("access-control-allow-credentials"), null);
  }
});

test("the Fetch standard: answers and refusals can be read from any origin, with the headers that say why", async () => {
  const headers = { origin: "https://app.example" };
  for (const answer of [
    await chat(broker, token, "x", {}, { headers }),
    await chat(broker, token, "x", { model: "" }, { headers }),
    await chat(broker, null, "x", {}, { headers }),
    await chat(broker, token, "standin:status=500", {}, { headers }),
    await call(broker, token, "/openai/v1/files", { method: "GET", headers }),
  ]) {
    assert.ok(["*", "https://app.example"].includes(answer.headers.get("access-control-allow-origin")), answer.text);
    assert.match(answer.headers.get("access-control-expose-headers"), /aipassport-error/);
    assert.match(answer.headers.get("access-control-expose-headers"), /aipassport-request-id/);
    assert.match(answer.headers.get("access-control-expose-headers"), /x-should-retry/);
  }
});

// Tokens that are none.

const b64 = (value) => base64url(JSON.stringify(value));
function forge({ header = {}, payload = {}, key } = {}) {
  const jwk = key ?? JSON.parse(broker.secrets.SIGNING_KEYS).keys[0];
  const head = b64({ alg: "EdDSA", typ: "at+jwt", kid: jwk.kid, ...header });
  const body = b64({ ...claims(token), ...payload });
  const signature = sign(null, Buffer.from(`${head}.${body}`), createPrivateKey({ key: jwk, format: "jwk" }));
  return `${head}.${body}.${base64url(signature)}`;
}

test("a token signed with the true key over the true claims is accepted: the forgeries below differ in one thing each", async () => {
  assert.equal((await chat(broker, forge())).status, 200);
});

test("RFC 8707 §2: a token for one provider is accepted there, also when it was remembered from another", async () => {
  const only = forge({ payload: { aud: [`${broker.url}/openai/v1`] } });
  assert.equal((await chat(broker, only)).status, 200);
  assertAnthropicError(await messages(broker, only), 401, "invalid_token");
  assert.equal((await chat(broker, only)).status, 200);
});

const now = Math.floor(Date.now() / 1000);
const FORGERIES = {
  "RFC 7519 §4.1.4: expired": () => forge({ payload: { exp: now - 1 } }),
  "RFC 9068 §2.2: without an end": () => forge({ payload: { exp: undefined } }),
  "RFC 9068 §4: of another issuer": () => forge({ payload: { iss: "https://evil.example" } }),
  "RFC 9068 §4: for another audience": () => forge({ payload: { aud: "https://evil.example" } }),
  "RFC 9068 §4: for another audience beside the broker": () => forge({ payload: { aud: [broker.url, "https://evil.example"] } }),
  "RFC 8707 §2: for another provider alone": () => forge({ payload: { aud: `${broker.url}/anthropic` } }),
  "RFC 9068 §4: of another type": () => forge({ header: { typ: "JWT" } }),
  "RFC 8725 §3.2: signed with another key under the same name": () =>
    forge({ key: { ...newSigningKey(), kid: JSON.parse(broker.secrets.SIGNING_KEYS).keys[0].kid } }),
  "RFC 8725 §3.2: signed with a key that it brings along": () => {
    const key = newSigningKey();
    return forge({ key, header: { jwk: { ...key, d: undefined } } });
  },
  "RFC 8725 §3.2: with alg none": () => `${b64({ alg: "none", typ: "at+jwt" })}.${b64(claims(token))}.`,
  "RFC 8725 §3.1: with alg HS256 over the public key": () => forge({ header: { alg: "HS256" } }),
  "for a grant that does not exist": () => forge({ payload: { grant_id: "grant_nobody" } }),
  "without a signature": () => token.split(".").slice(0, 2).join("."),
  "with a changed payload": () =>
    token.replace(/\.([^.]+)\./, (_, body) => `.${b64({ ...JSON.parse(Buffer.from(body, "base64url")), exp: now + 10 ** 9 })}.`),
  "of 20 KiB": () => `${token}${"A".repeat(20_000)}`,
  "that is the provider key": () => broker.secrets.OPENAI_API_KEY,
  "that is nothing": () => "",
  "that is text": () => "undefined",
};
for (const [what, make] of Object.entries(FORGERIES)) {
  test(`a token is refused, always with the same answer: ${what}`, async () => {
    const before = standin.requests.length;
    const answer = await call(broker, null, CHAT, { body: chatBody(), headers: { authorization: `Bearer ${make()}` } });
    assertOpenAiError(answer, 401, "invalid_token");
    assert.match(answer.headers.get("www-authenticate"), /^Bearer/);
    assert.equal(answer.headers.get("x-should-retry"), "false");
    const none = await chat(broker, null);
    assert.equal(answer.body.error.message, none.body.error.message);
    assert.equal(standin.requests.length, before);
  });
}

test("a session or a refresh token is no access token", async () => {
  const { refresh_token: refreshToken } = await browser.grant(app);
  for (const value of [refreshToken, browser.cookies.get("__Host-aip-session")])
    assertOpenAiError(await chat(broker, value), 401, "invalid_token");
  const headers = { cookie: `__Host-aip-session=${browser.cookies.get("__Host-aip-session")}` };
  assertOpenAiError(await chat(broker, null, "x", {}, { headers }), 401, "invalid_token");
});

// Endpoints that no grant covers: on a shared key they leak between apps, or can't be metered.

const NOT_GRANTED = [
  ["GET", "/openai/v1/files"],
  ["POST", "/openai/v1/files"],
  ["GET", "/openai/v1/files/file-1/content"],
  ["POST", "/openai/v1/batches"],
  ["GET", "/openai/v1/responses/resp_1"],
  ["DELETE", "/openai/v1/responses/resp_1"],
  ["GET", "/openai/v1/chat/completions"],
  ["POST", "/openai/v1/assistants"],
  ["POST", "/openai/v1/threads"],
  ["GET", "/openai/v1/vector_stores"],
  ["POST", "/openai/v1/fine_tuning/jobs"],
  ["DELETE", "/openai/v1/models/gpt-5-mini"],
  ["POST", "/openai/v1/realtime/client_secrets"],
  ["POST", "/openai/v1/images/variations"],
  ["POST", "/openai/v1/audio/voices"],
  ["POST", "/openai/v1/conversations"],
  ["GET", "/openai/v1/organization/admin_api_keys"],
  ["GET", "/openai/v1/models/..%2ffiles"],
  ["GET", "/openai/v1/models/%2e%2e%2ffiles"],
  ["POST", "/openai/v1/chat/completions/"],
  ["POST", "/openai/v1//chat/completions"],
  ["POST", "/openai/v1/chat%2fcompletions"],
  ["POST", "/openai/v1/chat/completions;x"],
  ["PUT", "/openai/v1/chat/completions"],
  ["POST", "/openai/v2/chat/completions"],
  ["POST", "/openai/"],
  ["POST", "/openai"],
  ["POST", "/anthropic/v1/messages/batches"],
  ["GET", "/anthropic/v1/messages/batches"],
  ["POST", "/anthropic/v1/files"],
  ["GET", "/anthropic/v1/organizations/me"],
  ["POST", "/anthropic/v1/complete"],
  ["POST", "/anthropic/v1/skills"],
  ["POST", "/anthropic/v1/chat/completions"],
];
for (const [method, path] of NOT_GRANTED) {
  test(`no grant covers ${method} ${path}`, async () => {
    const before = standin.requests.length;
    const answer = await call(broker, token, path, { method, body: method === "GET" ? undefined : '{"model":"gpt-5-mini"}' });
    (path.startsWith("/openai") ? assertOpenAiError : assertAnthropicError)(answer, 403, "endpoint_not_granted");
    assert.equal(standin.requests.length, before);
  });
}

test("without a token an unknown endpoint says no more than a known one", async () => {
  assert.equal((await call(broker, null, "/openai/v1/files", { method: "GET" })).status, 401);
});

test("/models shows what is granted and nothing else", async () => {
  const { access_token: narrow } = await browser.grant(app);
  const all = (await call(broker, token, "/openai/v1/models", { method: "GET" })).body.data.map(({ id }) => id);
  const some = (await call(broker, narrow, "/openai/v1/models", { method: "GET" })).body.data.map(({ id }) => id);
  assert.ok(all.length > some.length && some.length > 0);
  assert.deepEqual(
    some.filter((id) => id !== "gpt-5-mini" && !id.startsWith("gpt-5.1")),
    [],
  );
  assert.equal((await call(broker, narrow, "/openai/v1/models/gpt-5-mini", { method: "GET" })).status, 200);
  const hidden = all.find((id) => !some.includes(id));
  assertOpenAiError(await call(broker, narrow, `/openai/v1/models/${hidden}`, { method: "GET" }), 403, "model_not_granted");
});

test("/models is asked for by the parameters that are known, and clients may add their own", async () => {
  for (const [path, upstream] of [
    ["/openai/v1/models?client_version=0.171.0", "/v1/models"],
    ["/openai/v1/models/gpt-5-mini?client_version=0.171.0", "/v1/models/gpt-5-mini"],
    ["/anthropic/v1/models?limit=1000&client_version=1&after_id=a", "/v1/models?limit=1000&after_id=a"],
  ]) {
    const answer = await call(broker, token, path, { method: "GET" });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(latest().path, upstream);
  }
  assertOpenAiError(await call(broker, token, `${CHAT}?client_version=1`, { body: chatBody() }), 400, "invalid_request");
});

// WebSockets, which aren't served.

/** What a WebSocket's handshake (RFC 6455 §4.1) is answered with, where no WebSocket is. */
async function handshake(path, headers) {
  const own = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
  const request = http.get(new URL(path, broker.url), { agent: false, headers: { ...own, ...headers } });
  const [response] = await once(request, "response");
  const text = (await response.toArray()).join("");
  const answer = { status: response.statusCode, headers: new Headers(response.headers), text, body: JSON.parse(text) };
  return { ...answer, code: answer.headers.get("aipassport-error") };
}

test("RFC 9110 §15.5.22: who asks for a WebSocket is sent back to HTTP, whatever the token", async () => {
  const before = standin.requests.length;
  for (const authorization of [`Bearer ${token}`, "Bearer nothing", ""]) {
    for (const path of ["/openai/v1/responses", "/openai/v1/realtime?model=gpt-realtime"]) {
      const answer = await handshake(path, { authorization });
      assertOpenAiError(answer, 426, "websocket_not_served");
      assert.match(answer.body.error.message, /POST/);
    }
    assertAnthropicError(await handshake("/anthropic/v1/messages", { authorization, upgrade: "WebSocket" }), 426, "websocket_not_served");
  }
  assert.equal(standin.requests.length, before);
});

test("a WebSocket of a real client fails, and its call over HTTP goes through", async () => {
  const socket = new WebSocket(`${broker.url.replace("http", "ws")}/openai/v1/responses`);
  socket.addEventListener("open", () => assert.fail("it opened"));
  await new Promise((resolve) => socket.addEventListener("error", resolve, { once: true }));
  const body = { model: "gpt-5-mini", input: "hello" };
  assert.equal((await call(broker, token, "/openai/v1/responses", { body })).status, 200);
});

test("RFC 9110 §7.8: another protocol that a client would rather speak is ignored", async () => {
  const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__", authorization: `Bearer ${token}` };
  const request = http.get(new URL("/openai/v1/models", broker.url), { agent: false, headers });
  const [response] = await once(request, "response");
  response.resume();
  assert.equal(response.statusCode, 200);
});

// Fields that reach beyond the grant.

const REFUSED_FIELDS = [
  [CHAT, { store: true }],
  ["/openai/v1/responses", { store: true }],
  ["/openai/v1/responses", { background: true }],
  ["/openai/v1/responses", { previous_response_id: "resp_1" }],
  ["/openai/v1/responses", { conversation: "conv_1" }],
  ["/openai/v1/responses", { prompt: { id: "pmpt_1" } }],
  ["/openai/v1/responses", { input: [{ role: "user", content: [{ type: "input_file", file_id: "file-1" }] }] }],
  [CHAT, { messages: [{ role: "user", content: [{ type: "file", file: { file_id: "file-1" } }] }] }],
  [CHAT, { messages: [{ role: "assistant", audio: { id: "audio_1" } }] }],
  ["/openai/v1/responses", { input: [{ id: "msg_1" }] }],
  ["/openai/v1/responses", { tools: [{ type: "code_interpreter", container: "cntr_1" }] }],
  ["/openai/v1/responses", { tools: [{ type: "image_generation" }] }],
  ["/openai/v1/responses", { not_known_yet_id: "x" }],
  [MESSAGES, { container: "c" }],
  [MESSAGES, { thread: { type: "create" } }],
  [MESSAGES, { diagnostics: { previous_message_id: "msg_1" } }],
  [MESSAGES, { fallbacks: "default" }],
  [MESSAGES, { messages: [{ role: "user", content: [{ type: "document", source: { type: "file", file_id: "f" } }] }] }],
];
for (const [path, fields] of REFUSED_FIELDS) {
  test(`data that apps share is out of reach: ${path} ${JSON.stringify(fields).slice(0, 60)}`, async () => {
    const before = standin.requests.length;
    const body = {
      ...(path === MESSAGES ? messagesBody() : path === CHAT ? chatBody() : { model: "gpt-5-mini", input: "x" }),
      ...fields,
    };
    const answer = await call(broker, token, path, { body });
    assert.deepEqual([answer.status, answer.code], [403, "field_not_allowed"]);
    assert.equal(standin.requests.length, before);
  });
}

const SERVER_TOOLS = [
  ["/openai/v1/responses", { model: "gpt-5-mini", input: "x", tools: [{ type: "web_search" }] }],
  [
    "/openai/v1/responses",
    { model: "gpt-5-mini", input: "x", tools: [{ type: "code_interpreter", container: { type: "auto" } }] },
  ],
  [CHAT, chatBody("x", { web_search_options: {} })],
  [MESSAGES, messagesBody("x", { tools: [{ type: "web_search_20250305", name: "web_search" }] })],
  [
    MESSAGES,
    messagesBody("x", {
      messages: [
        {
          role: "user",
          content: [
            {
              type: "tool_addition",
              tool: { type: "tool_definition", definition: { type: "web_search_20260318", name: "web_search" } },
            },
          ],
        },
      ],
    }),
  ],
  [MESSAGES, messagesBody("x", { mcp_servers: [{ type: "url", url: "https://x.example", name: "x" }] })],
];
for (const [path, body] of SERVER_TOOLS) {
  test(`tools that run at the provider take their own capability: ${path} ${JSON.stringify(body).slice(-60)}`, async () => {
    const answer = await call(broker, token, path, { body });
    assert.deepEqual([answer.status, answer.code], [403, "capability_not_granted"], answer.text);
  });
}

test("the model that is dispatched is the one that is checked, wherever it stands", async () => {
  const { access_token: narrow } = await browser.grant(app);
  const before = standin.requests.length;
  for (const [path, body] of [
    [CHAT, { ...chatBody(), model: "gpt-5-pro" }],
    [CHAT, '{"model":"gpt-5-mini","model":"gpt-5-pro","messages":[]}'],
    [CHAT, '{"model":"gpt-5-mini","mod\\u0065l":"gpt-5-pro","messages":[]}'],
    [CHAT, { ...chatBody(), fallbacks: [{ model: "gpt-5-pro" }] }],
    [`${CHAT}?model=gpt-5-pro`, chatBody()],
    [CHAT, { ...chatBody(), model: "gpt-5-mini " }],
    [CHAT, { ...chatBody(), model: "GPT-5-MINI" }],
    [CHAT, { ...chatBody(), model: "gpt-5-mini\u0000" }],
    [CHAT, { ...chatBody(), model: "gpt-5-minimal" }],
    [CHAT, { ...chatBody(), Model: "gpt-5-pro" }],
    [CHAT, { ...chatBody(), metadata: { x: 1 }, messages: [{ role: "user", content: "x", MODEL: "gpt-5-pro" }] }],
  ]) {
    const { status } = await call(broker, narrow, path, { body });
    assert.ok(status === 400 || status === 403, `${status} ${JSON.stringify(body)}`);
  }
  assert.equal(standin.requests.length, before);
});

// Streams.

const open = (path, body) => openCall(broker, token, path, body);

test("a stream arrives chunk by chunk, not at its end", async () => {
  const request = open(CHAT, chatBody("standin:chunks=20 standin:slow=100", { stream: true }));
  const [response] = await new Promise((resolve) => request.once("response", (...all) => resolve(all)));
  assert.match(response.headers["content-type"], /^text\/event-stream/);
  await new Promise((resolve) => response.once("data", resolve));
  assert.equal(latest().finished, false);
  request.destroy();
});

test("a client that goes away stops the stream upstream", async () => {
  const request = open(CHAT, chatBody("standin:chunks=500 standin:slow=50", { stream: true }));
  const [response] = await new Promise((resolve) => request.once("response", (...all) => resolve(all)));
  await new Promise((resolve) => response.once("data", resolve));
  const it = latest();
  request.destroy();
  await until(() => it.aborted, "the upstream connection is closed", { seconds: 5 });
  assert.equal(it.finished, false);
});

// workerd tells nobody about a client that closes its connection before there is something to write to it: the timeout ends such a call.
test("a client that goes away before its answer begins leaves nothing running upstream", async () => {
  const before = standin.requests.length;
  const request = open(CHAT, chatBody("standin:hang"));
  const it = await until(() => standin.requests.length > before && latest(), "the call arrives");
  request.destroy();
  await until(() => it.aborted, "the upstream connection is closed", { seconds: 8 });
});

test("calls whose clients went away are booked, and their room is free again", async () => {
  const limits = { requests: 4, concurrency: 1 };
  const { access_token: limited } = await browser.grant(app, { details: [{ ...details[0], limits }] });
  const abort = new AbortController();
  const before = standin.requests.length;
  const running = chat(broker, limited, "standin:chunks=500 standin:slow=50", { stream: true }, { signal: abort.signal }).catch(
    () => null,
  );
  await until(() => standin.requests.length > before && standin.requests.at(-1).body, "the call arrives");
  // Until the first byte is there, a call that is given up may be one that was never billed.
  await new Promise((resolve) => setTimeout(resolve, 300));
  abort.abort();
  await running;
  await until(async () => (await chat(broker, limited)).status === 200, "room for the next call");
  await until(async () => (await chat(broker, limited)).status === 200, "room for the next call");
  assert.ok((await useUp(broker, limited)) <= 1);
});

test("a stream that breaks upstream breaks here too, and is not shown as complete", async () => {
  let text = "";
  let failed = false;
  try {
    const response = await fetch(broker.url + CHAT, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(chatBody("standin:break=5", { stream: true })),
    });
    for await (const chunk of response.body) text += Buffer.from(chunk).toString();
  } catch {
    failed = true;
  }
  assert.ok(!text.includes("[DONE]"));
  assert.ok(failed || !text.includes('"finish_reason":"stop"'));
});
