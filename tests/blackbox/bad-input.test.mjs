import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import { test } from "node:test";
import {
  Browser,
  assertAnthropicError,
  assertOpenAiError,
  authorizationRequest,
  call,
  chat,
  chatBody,
  messages,
  messagesBody,
  postForm,
} from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app, standin } = await startWorld();
const { access_token: token } = await browser.grant(app, { scope: "openai:chat openai:embeddings anthropic:chat" });
const CHAT = "/openai/v1/chat/completions";
const MESSAGES = "/anthropic/v1/messages";
const INTERNALS =
  /panick|wasm|unreachable executed|\.rs:|D1_ERROR|SQLITE|no such table|stack|RuntimeError|worker::|index\.js|at async|miniflare/i;

/** Nothing of the inside is on the outside. */
function saysNothingOfTheInside({ text, headers }) {
  assert.doesNotMatch(text, INTERNALS);
  assert.doesNotMatch(JSON.stringify([...headers]), INTERNALS);
}

async function refused(path, body, status, code, options = {}) {
  const before = standin.requests.length;
  const answer = await call(broker, token, path, { body, ...options });
  (path.startsWith("/openai") ? assertOpenAiError : assertAnthropicError)(answer, status, code);
  saysNothingOfTheInside(answer);
  assert.equal(standin.requests.length, before, "nothing arrived upstream");
  return answer;
}

const UNREADABLE = {
  nothing: "",
  "no JSON": "hello",
  "half of JSON": '{"model":"gpt-5-mini","messages":[',
  "two documents": '{"model":"gpt-5-mini"}{"model":"gpt-5-mini"}',
  "a list": "[]",
  "a number": "1",
  null: "null",
  "a form": "model=gpt-5-mini",
  "bytes that are no UTF-8": Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  "a NUL byte": '{"model":"gpt-5-mini"\0}',
  "no model": '{"messages":[]}',
  "an empty model": '{"model":"","messages":[]}',
  "a model that is a number": '{"model":5,"messages":[]}',
  "a model that is a list": '{"model":["gpt-5-mini"],"messages":[]}',
  "a model that is null": '{"model":null,"messages":[]}',
  "a model of a megabyte": JSON.stringify({ model: "x".repeat(1_000_000) }),
  "two models": '{"model":"gpt-5-mini","model":"gpt-5-mini","messages":[]}',
  "stream that is a text": '{"model":"gpt-5-mini","stream":"yes","messages":[]}',
  "very deep nesting": `{"model":"gpt-5-mini","messages":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
  "very deep nesting of objects": `{"model":"gpt-5-mini","messages":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`,
};
for (const [what, body] of Object.entries(UNREADABLE)) {
  test(`a body that is ${what} is 400, in the shape of each provider`, async () => {
    await refused(CHAT, body, 400, "invalid_request");
    await refused(MESSAGES, body, 400, "invalid_request");
  });
}

test("an unknown model goes to the provider where the grant allows it, and its 404 comes back", async () => {
  const answer = await chat(broker, token, "x", { model: "no-such-model" });
  assert.deepEqual([answer.status, answer.code, answer.body.error.code], [404, null, "model_not_found"]);
  const other = await messages(broker, token, "x", { model: "no-such-model" });
  assert.deepEqual([other.status, other.body.error.type], [404, "not_found_error"]);
});

for (const path of [
  "/acme/v1/chat/completions",
  "/gemini/v1beta/models",
  "/v1/chat/completions",
  "/openaix/v1/models",
  "/OPENAI/v1/models",
]) {
  test(`an unknown provider is 404 and goes nowhere: ${path}`, async () => {
    const before = standin.requests.length;
    const answer = await call(broker, token, path, { body: chatBody() });
    assert.equal(answer.status, 404);
    saysNothingOfTheInside(answer);
    assert.equal(standin.requests.length, before);
  });
}

const MIB = 1024 * 1024;
function bodyOf(bytes) {
  const head = '{"model":"gpt-5-mini","messages":[{"role":"user","content":"';
  const tail = '"}]}';
  return Buffer.from(head + "a".repeat(bytes - head.length - tail.length) + tail);
}

/** Without a length up front: HTTP/1.1 chunks. */
async function* inPieces(buffer) {
  for (let at = 0; at < buffer.length; at += MIB) yield buffer.subarray(at, at + MIB);
}

async function sendChunked(path, buffer) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(broker.url + path, {
    method: "POST",
    headers,
    body: ReadableStream.from(inPieces(buffer)),
    duplex: "half",
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: JSON.parse(text),
    code: response.headers.get("aipassport-error"),
  };
}

/**
 * An answer that comes before the body was read. Bare workerd closes the connection behind it, and what the client has not read by
 * then can be lost in the reset (at Cloudflare the edge stands in between and reads on), so it is asked again.
 */
async function early(send) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send();
    } catch (error) {
      if (attempt === 10 || !["EPIPE", "ECONNRESET", "UND_ERR_SOCKET"].includes(error.cause?.code)) throw error;
    }
  }
}

test("a body of 17 MiB is 413", async () => {
  await early(() => refused(CHAT, bodyOf(17 * MIB), 413, "body_too_large"));
});

test("a chunked body of 17 MiB, without a content-length, is 413", async () => {
  const before = standin.requests.length;
  assertOpenAiError(await early(() => sendChunked(CHAT, bodyOf(17 * MIB))), 413, "body_too_large");
  assert.equal(standin.requests.length, before);
});

test("a body of exactly 16 MiB passes, chunked or not", async () => {
  const body = bodyOf(16 * MIB);
  const whole = await call(broker, token, CHAT, { body });
  assert.equal(whole.status, 200, whole.text.slice(0, 300));
  assert.equal((await sendChunked(CHAT, body)).status, 200);
});

test("one byte more than 16 MiB does not", async () => {
  await early(() => refused(CHAT, bodyOf(16 * MIB + 1), 413, "body_too_large"));
});

test("a large body without a token is refused without being read", async () => {
  const answer = await early(() => call(broker, null, CHAT, { body: bodyOf(20 * MIB) }));
  assertOpenAiError(answer, 401, "invalid_token");
});

for (const [name, value] of Object.entries({
  authorization: `Bearer ${"x".repeat(30_000)}`,
  "x-api-key": "\u00ff\u00fe",
  "anthropic-beta": "x".repeat(20_000),
  "idempotency-key": "x".repeat(5000),
  "content-type": "text/plain",
})) {
  test(`an odd header does no harm: ${name}`, async () => {
    const answer = await call(broker, name === "authorization" || name === "x-api-key" ? null : token, CHAT, {
      body: chatBody(),
      headers: { [name]: value },
    });
    assert.ok(answer.status < 500, `${answer.status} ${answer.text}`);
    saysNothingOfTheInside(answer);
  });
}

test("odd paths and methods on the control plane are 4xx pages or errors, never 5xx", async () => {
  for (const [method, path] of [
    ["GET", "/%00"],
    ["GET", "/%ff%fe"],
    ["GET", "/authorize?%ff=%fe&client_id=%00"],
    ["GET", "/sign-in?token=%00"],
    ["POST", "/sign-in"],
    ["POST", "/authorize"],
    ["POST", "/grants/%00/revoke"],
    ["POST", "/apps"],
    ["POST", "/apps/%F0%9F%9A%80/delete"],
    ["POST", "/token"],
    ["POST", "/revoke"],
    ["PUT", "/grants"],
    ["DELETE", "/apps"],
    ["PATCH", "/authorize"],
    ["GET", `/${"x".repeat(10_000)}`],
  ]) {
    const answer = await call(broker, null, path, {
      method,
      headers: { cookie: "__Host-aip-session=%00; __Host-aip-session=x", origin: broker.url },
    });
    assert.ok(answer.status < 500, `${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`);
    saysNothingOfTheInside(answer);
  }
});

test("RFC 6749 §3.2: a form that can not be read is invalid_request", async () => {
  const answer = await postForm(`${broker.url}/token`, new URLSearchParams(`%ff=%fe&grant_type=%00&client_id=${app.client_id}`));
  assert.equal(answer.status, 400);
  saysNothingOfTheInside(answer);
});

// The runtime answers a CONNECT by itself before any script is asked, so its status isn't ours to choose.
test("CONNECT relays nothing and leaves no exception in the log", async () => {
  const { hostname, port, host } = new URL(broker.url);
  let isReached = false;
  const elsewhere = net.createServer((socket) => {
    isReached = true;
    socket.destroy();
  });
  elsewhere.listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  const before = broker.logs.length;
  const socket = net.connect(Number(port), hostname);
  socket.write(`CONNECT 127.0.0.1:${elsewhere.address().port} HTTP/1.1\r\nhost: ${host}\r\n\r\nGET / HTTP/1.1\r\n\r\n`);
  socket.resume();
  await once(socket, "close");
  elsewhere.close();
  assert.equal(isReached, false);
  assert.equal((await fetch(`${broker.url}/health`)).status, 200);
  assert.deepEqual(broker.logs.slice(before).filter((line) => /exception/i.test(line)), []);
});

// What is not there.

test("a provider without a key is shown as not configured, with 503, and the other one works", async () => {
  await broker.restart({ OPENAI_API_KEY: undefined });
  try {
    const answer = await chat(broker, token);
    assertOpenAiError(answer, 503, "provider_not_configured");
    assert.equal(answer.headers.get("x-should-retry"), "false");
    assert.equal((await messages(broker, token)).status, 200);
    const { page } = await browser.consent(app);
    assert.match(page.text, /OpenAI[^.]*not (configured|set up|available)|no key/i);
  } finally {
    await broker.restart({ OPENAI_API_KEY: broker.secrets.OPENAI_API_KEY });
  }
});

for (const name of ["SIGNING_KEYS", "COOKIE_KEY", "SIGN_IN_KEY"]) {
  for (const value of [undefined, "nonsense"]) {
    test(`fails closed when the secret ${name} is ${value ?? "missing"}: 503, and it is not repeated`, async () => {
      await broker.restart({ [name]: value });
      try {
        const page = await new Browser(broker).get("/grants");
        const api = await postForm(`${broker.url}/token`, {
          grant_type: "refresh_token",
          refresh_token: "x",
          client_id: app.client_id,
        });
        if (name === "SIGNING_KEYS") {
          assertOpenAiError(await chat(broker, token), 503, "broker_unavailable");
          assertAnthropicError(await messages(broker, token), 503, "broker_unavailable");
        }
        assert.equal(page.status, 503);
        assert.equal(api.status, 503);
        for (const answer of [page, api]) {
          saysNothingOfTheInside(answer);
          assert.doesNotMatch(answer.text, /nonsense|SIGNING_KEYS|COOKIE_KEY|SIGN_IN_KEY/);
        }
      } finally {
        await broker.restart({ [name]: broker.secrets[name] });
      }
    });
  }
}

test("without a ledger there is no yes: 503 with Retry-After, and nothing arrives upstream", async () => {
  const { access_token: sound } = await browser.grant(app);
  const { access_token: doomed } = await browser.grant(app);
  assert.equal((await chat(broker, sound)).status, 200);
  const before = new Set(await broker.ledgerFiles());
  assert.equal((await chat(broker, doomed)).status, 200);
  const [file] = (await broker.ledgerFiles()).filter((file) => !before.has(file));
  assert.ok(file, "the ledger lies in a file of its own");
  await broker.stop();
  await writeFile(file, "this is no database, ".repeat(500));
  await writeFile(`${file}-wal`, "");
  await broker.start();
  const arrivals = standin.requests.length;
  for (const [answer, check] of [
    [await chat(broker, doomed), assertOpenAiError],
    [await messages(broker, doomed), assertAnthropicError],
  ]) {
    check(answer, 503, "broker_unavailable");
    assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    saysNothingOfTheInside(answer);
  }
  assert.equal(standin.requests.length, arrivals);
  assert.equal((await chat(broker, sound)).status, 200, "other grants are not touched");
  const { status, text } = await browser.get("/grants");
  assert.equal(status, 200, "the page shows what it can");
  assert.doesNotMatch(text, INTERNALS);
});

test("when D1 fails, calls of grants that are known go on, and pages say 503", async () => {
  const { access_token: known } = await browser.grant(app);
  const { access_token: unknown, refresh_token: refreshToken } = await browser.grant(app);
  assert.equal((await chat(broker, known)).status, 200);
  const tables = (
    await broker.sql(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
    )
  ).map(({ name }) => name);
  for (const table of tables) await broker.sql(`ALTER TABLE ${table} RENAME TO away_${table}`);
  try {
    assert.equal((await chat(broker, known)).status, 200, "the hot path needs no D1");
    const first = await chat(broker, unknown);
    assertOpenAiError(first, 503, "broker_unavailable");
    const answers = [
      await browser.get("/grants"),
      await browser.get("/apps"),
      await browser.get(authorizationRequest(broker, app).url),
      await postForm(`${broker.url}/token`, {
        grant_type: "refresh_token",
        refresh_token: refreshToken,
        client_id: app.client_id,
      }),
      await postForm(`${broker.url}/revoke`, { token: refreshToken, client_id: app.client_id }),
    ];
    for (const answer of answers) {
      assert.equal(answer.status, 503, answer.text);
      saysNothingOfTheInside(answer);
    }
    for (const answer of answers.slice(3)) assert.equal(answer.body.error, "temporarily_unavailable");
  } finally {
    for (const table of tables) await broker.sql(`ALTER TABLE away_${table} RENAME TO ${table}`);
  }
  assert.equal((await chat(broker, unknown)).status, 200, "nothing was lost");
  assert.equal((await browser.get("/grants")).status, 200);
});

test("a broker whose D1 was never set up says 503 everywhere, in the right shape", async () => {
  const bare = await startWorld({ migrate: false });
  const stranger = new Browser(bare.broker);
  stranger.cookies.set("__Host-aip-session", browser.cookies.get("__Host-aip-session"));
  for (const answer of [
    await stranger.get("/grants"),
    await stranger.get(authorizationRequest(bare.broker, app).url),
    await postForm(`${bare.broker.url}/token`, {
      grant_type: "refresh_token",
      refresh_token: `aip_rt_${"A".repeat(49)}`,
      client_id: app.client_id,
    }),
  ]) {
    assert.ok([503, 400, 401].includes(answer.status), `${answer.status} ${answer.text}`);
    saysNothingOfTheInside(answer);
  }
  assert.equal(
    (await postForm(`${bare.broker.url}/token`, { grant_type: "refresh_token", refresh_token: "x", client_id: app.client_id }))
      .status,
    503,
  );
  assertOpenAiError(await chat(bare.broker, token), 401, "invalid_token");
  assert.equal((await fetch(`${bare.broker.url}/health`)).status, 200);
});

test("after all of this the broker serves", async () => {
  assert.equal((await chat(broker, token)).status, 200);
  assert.equal((await call(broker, token, MESSAGES, { body: messagesBody() })).status, 200);
});
