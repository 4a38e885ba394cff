// The provider keys are in no response, header, log line or file; tokens, codes and secrets are nowhere stored in clear.
// Everything that this file makes the broker say is kept and searched byte by byte, also in the encodings that could hide a key.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { freePort } from "../support/broker.mjs";

/** Every response that left the broker: status line, headers, body. */
const answers = [];
const realFetch = globalThis.fetch;
globalThis.fetch = async (target, init) => {
  const response = await realFetch(target, init);
  const body = Buffer.from(await response.arrayBuffer().catch(() => new ArrayBuffer(0)));
  const head = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  answers.push({
    what: `${init?.method ?? "GET"} ${target}`.slice(0, 200),
    bytes: Buffer.concat([Buffer.from(`${response.status}\n${head}\n\n`), body]),
  });
  const empty = [101, 204, 205, 304].includes(response.status);
  return new Response(empty ? null : body, { status: response.status, headers: response.headers });
};

const {
  Browser,
  REDIRECT_URI,
  authorizationRequest,
  basic,
  call,
  chat,
  chatBody,
  messages,
  messagesBody,
  postForm,
  redeem,
  refresh,
  signInLink,
} = await import("../support/flow.mjs");
const { startWorld } = await import("../support/world.mjs");

const { broker, browser, app, standin } = await startWorld({ env: { UPSTREAM_TIMEOUT_SECONDS: "1" } });
const confidential = await browser.register({ type: "confidential" });
const secretsInClear = new Map([
  ["client secret", confidential.client_secret],
  ["session", browser.cookies.get("__Host-aip-session")],
]);

/** The text itself, and what it looks like in base64 (at any offset), hex, and URL encoding. */
function disguises(secret) {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .slice(offset ? 4 : 0)
      .replace(/=+$/, "")
      .slice(0, -2),
  );
  const all = [
    secret,
    bytes.toString("hex"),
    ...base64,
    ...base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
    encodeURIComponent(secret),
  ];
  // A piece is as bad as the whole: everything but prefix and end.
  const middle = secret.slice(Math.floor(secret.length / 3), Math.floor((secret.length * 2) / 3));
  return [...new Set([...all, middle])].map((text) => Buffer.from(text));
}

/** Where any of the secrets occurs. */
function findings(secrets, places) {
  const found = [];
  for (const [name, secret] of secrets) {
    for (const needle of disguises(secret)) {
      for (const { what, bytes } of places) if (bytes.includes(needle)) found.push(`${name} in ${what}`);
    }
  }
  return [...new Set(found)];
}

const providerKeys = [
  ["OpenAI key", broker.secrets.OPENAI_API_KEY],
  ["Anthropic key", broker.secrets.ANTHROPIC_API_KEY],
];
const brokerSecrets = [
  ["signing key", JSON.parse(broker.secrets.SIGNING_KEYS).keys[0].d],
  ["cookie key", broker.secrets.COOKIE_KEY],
  ["sign-in key", broker.secrets.SIGN_IN_KEY],
];

test("every route is visited, in peace and in error", async () => {
  const grant = await browser.grant(app);
  const { access_token: token } = grant;
  const ownGrant = await browser.grant(confidential);
  const link = signInLink(broker);
  const stranger = new Browser(broker);
  await stranger.submit((await stranger.get(link)).page.form("/sign-in"));
  const rotated = (await refresh(broker, app, grant.refresh_token)).body;
  for (const [name, value] of Object.entries({
    "access token": token,
    "refresh token": grant.refresh_token,
    "rotated refresh token": rotated.refresh_token,
    "access token of the confidential app": ownGrant.access_token,
    "refresh token of the confidential app": ownGrant.refresh_token,
    code: grant.code,
    verifier: grant.verifier,
    "second session": stranger.cookies.get("__Host-aip-session"),
    "sign-in link": new URL(link).searchParams.get("token"),
  }))
    secretsInClear.set(name, value);

  for (const send of [chat, messages]) {
    for (const content of [
      "hello",
      "standin:status=400",
      "standin:status=401",
      "standin:status=404",
      "standin:status=429",
      "standin:status=500",
      "standin:status=529",
      "standin:echo-key",
      "standin:redirect",
      "standin:hang",
      "standin:break=2",
    ]) {
      for (const stream of [false, true]) await send(broker, token, content, { stream }).catch(() => null);
    }
    await send(broker, token, "x", { model: "not-granted" });
    await send(broker, null, "x");
    await send(broker, `${token}x`, "x");
  }
  for (const [method, path] of [
    ["GET", "/openai/v1/models"],
    ["GET", "/openai/v1/models/gpt-5-mini"],
    ["GET", "/openai/v1/models/none"],
    ["GET", "/openai/v1/files"],
    ["GET", "/anthropic/v1/models"],
    ["GET", "/anthropic/v1/models/none"],
    ["POST", "/anthropic/v1/messages/batches"],
    ["OPTIONS", "/openai/v1/chat/completions"],
  ])
    await call(broker, token, path, { method });
  for (const body of ["", "{", "[]", '{"model":1}', `{"model":"gpt-5-mini","x":"${"y".repeat(100_000)}"}`]) {
    for (const path of [
      "/openai/v1/chat/completions",
      "/openai/v1/responses",
      "/openai/v1/embeddings",
      "/openai/v1/moderations",
      "/anthropic/v1/messages",
      "/anthropic/v1/messages/count_tokens",
    ]) {
      await call(broker, token, path, { body });
    }
  }
  await call(broker, token, "/openai/v1/responses", { body: { model: "gpt-5-mini", input: "hello" } });
  await call(broker, token, "/openai/v1/embeddings", { body: { model: "gpt-5-mini", input: "hello" } });
  await call(broker, token, "/anthropic/v1/messages/count_tokens", { body: messagesBody() });

  for (const path of [
    "/",
    "/health",
    "/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/grants",
    "/apps",
    "/sign-in",
    "/nothing",
    link.slice(broker.url.length),
    "/authorize",
    "/authorize?client_id=x",
  ]) {
    await browser.get(path);
    await new Browser(broker).get(path);
  }
  for (const change of [{ redirect_uri: "https://evil.example/" }, { code_challenge: null }, { authorization_details: "{" }]) {
    await browser.get(authorizationRequest(broker, app, { change }).url);
  }
  for (const path of ["/sign-in", "/sign-out", "/authorize", "/apps", "/apps/x/delete", "/grants/x/revoke"])
    await browser.post(path, new URLSearchParams({ csrf: "x", token: "x" }));
  for (const fields of [
    {},
    { grant_type: "x" },
    {
      grant_type: "authorization_code",
      code: grant.code,
      redirect_uri: REDIRECT_URI,
      client_id: app.client_id,
      code_verifier: "x".repeat(43),
    },
  ]) {
    await postForm(`${broker.url}/token`, fields);
    await postForm(`${broker.url}/revoke`, fields);
    await postForm(`${broker.url}/token`, fields, { authorization: basic(confidential.client_id, confidential.client_secret) });
  }
  await redeem(broker, app, { code: grant.code, verifier: grant.verifier });

  // The provider's key is refused, the provider is not there, the key is missing.
  const wrong = "sk-wrong-key-9f8e7d6c5b4a39281706";
  const { access_token: second } = await browser.grant(app);
  secretsInClear.set("wrong provider key", wrong);
  for (const env of [
    { OPENAI_API_KEY: wrong, ANTHROPIC_API_KEY: wrong },
    { OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}`, ANTHROPIC_BASE_URL: `http://127.0.0.1:${await freePort()}` },
    { OPENAI_API_KEY: undefined, ANTHROPIC_API_KEY: undefined },
    { OPENAI_API_KEY: `${broker.secrets.OPENAI_API_KEY}\n`, ANTHROPIC_API_KEY: `${broker.secrets.ANTHROPIC_API_KEY}ü` },
    { OPENAI_BASE_URL: "not a url", ANTHROPIC_BASE_URL: "" },
  ]) {
    await broker.restart({ OPENAI_BASE_URL: standin.url, ANTHROPIC_BASE_URL: standin.url, ...env });
    await chat(broker, second);
    await messages(broker, second);
    await call(broker, second, "/openai/v1/models", { method: "GET" });
  }
  const { OPENAI_API_KEY, ANTHROPIC_API_KEY } = broker.secrets;
  await broker.restart({ OPENAI_BASE_URL: standin.url, ANTHROPIC_BASE_URL: standin.url, OPENAI_API_KEY, ANTHROPIC_API_KEY });
  await broker.sql("ALTER TABLE grants RENAME TO away");
  await browser.get("/grants");
  await refresh(broker, app, rotated.refresh_token);
  await broker.sql("ALTER TABLE away RENAME TO grants");
  await broker.kill();
  assert.equal((await chat(broker, second)).status, 200);
  await browser.grant(app);
  assert.ok(answers.length > 150, `${answers.length} answers`);
});

test("the keys were really in use", () => {
  const used = JSON.stringify(standin.requests.map(({ headers }) => headers));
  for (const [, key] of providerKeys) assert.ok(used.includes(key));
});

test("no answer, body or header, holds a provider key or a secret of the broker", () => {
  assert.deepEqual(findings([...providerKeys, ...brokerSecrets], answers), []);
});

test("no log line holds a provider key, a secret of the broker, a token, a code or a cookie", () => {
  assert.ok(broker.logs.length > 50, "the broker logs its requests");
  const lines = broker.logs.map((line, i) => ({ what: `log line ${i}: ${line.slice(0, 120)}`, bytes: Buffer.from(line) }));
  assert.deepEqual(findings([...providerKeys, ...brokerSecrets, ...secretsInClear], lines), []);
});

test("no log line holds a prompt", async () => {
  const marker = "purple-hippopotamus-7261";
  const { access_token: token } = await browser.grant(app);
  await chat(broker, token, marker);
  await chat(broker, token, `${marker} standin:status=500`);
  await call(broker, token, "/openai/v1/chat/completions", { body: `{"model":"gpt-5-mini","messages":"${marker}` });
  await call(broker, token, `/openai/v1/chat/completions?q=${marker}`, { body: chatBody() });
  assert.deepEqual(
    broker.logs.filter((line) => line.includes(marker)),
    [],
  );
});

test("every log line of a request is one JSON object with its id, status and route", async () => {
  const { access_token: token } = await browser.grant(app);
  const answer = await chat(broker, token);
  const id = answer.headers.get("aipassport-request-id");
  const [line] = broker.logs.filter((line) => line.includes(id));
  assert.ok(line, "the request id is in the log");
  const entry = JSON.parse(line.slice(line.indexOf("{")));
  assert.equal(entry.status, 200);
});

test("no file holds a provider key, and none holds a token, a code, a session or a client secret in clear", async () => {
  // The row as SQL gives it, since a long value can be cut in two by SQLite's pages; then the bytes of every file, since a deleted row still lies there.
  const places = [];
  const tables = await broker.sql("SELECT name FROM sqlite_master WHERE type = 'table'");
  for (const { name } of tables.filter(({ name }) => !name.startsWith("_cf_"))) {
    places.push({ what: `D1 table ${name}`, bytes: Buffer.from(JSON.stringify(await broker.sql(`SELECT * FROM "${name}"`))) });
  }
  assert.ok(places.length >= 8, "the tables of the broker are searched");
  await broker.stop();
  const ledgers = await broker.ledgerFiles();
  assert.ok(ledgers.length >= 3, "there are ledgers to search");
  for (const file of ledgers) {
    const database = new DatabaseSync(file, { readOnly: true });
    for (const { name } of database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()) {
      const statement = database.prepare(`SELECT * FROM "${name}"`);
      // The platform's own table holds nanoseconds.
      statement.setReadBigInts(true);
      const rows = statement.all();
      places.push({
        what: `ledger table ${name}`,
        bytes: Buffer.from(
          JSON.stringify(rows, (_, value) => {
            if (typeof value === "bigint") return String(value);
            return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value;
          }),
          "latin1",
        ),
      });
    }
    database.close();
  }
  for (const file of await broker.stateFiles()) places.push({ what: file, bytes: await readFile(file) });
  assert.deepEqual(findings([...providerKeys, ...brokerSecrets, ...secretsInClear], places), []);
});

test("the search finds what is there: a planted key, in any disguise, in an answer, a log line and a database", async () => {
  const canary = "sk-canary-0123456789abcdefghijklmnop";
  const named = [["canary", canary]];
  for (const text of [
    canary,
    `x${canary}y`,
    Buffer.from(`?${canary}`).toString("base64"),
    Buffer.from(`??${canary}`).toString("base64url"),
    Buffer.from(canary).toString("hex"),
  ]) {
    assert.deepEqual(findings(named, [{ what: "there", bytes: Buffer.from(`... ${text} ...`) }]), ["canary in there"], text);
  }
  assert.deepEqual(findings(named, [{ what: "there", bytes: Buffer.from("sk-canary") }]), []);
  // In an answer, by the same way that all the others were kept.
  await broker.start();
  const url = new URL("/.well-known/oauth-authorization-server", broker.url);
  await fetch(url);
  const [issuer] = [["issuer", broker.url]];
  assert.ok(findings([issuer], answers).length > 0);
  // In D1, in the same files.
  await broker.sql("INSERT INTO used_sign_in_links (nonce_hash, session_hash, used_at) VALUES (?, ?, 0)", canary, "x");
  await broker.stop();
  const files = await Promise.all((await broker.stateFiles()).map(async (file) => ({ what: file, bytes: await readFile(file) })));
  assert.ok(findings(named, files).some((where) => /[\\/]d1[\\/]/.test(where)));
  // In the log, by the same way that workerd's lines came here.
  const secretBearingLog = [{ what: "log", bytes: Buffer.from(broker.logs[0]) }];
  assert.ok(findings([["first line", broker.logs[0]]], secretBearingLog).length > 0);
});

after(() => {
  globalThis.fetch = realFetch;
});
