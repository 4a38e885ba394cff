import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, beforeEach, test } from "node:test";
import { parseEnv } from "node:util";
import { ROOT, newP256Key, newSecrets, newSigningKey } from "../support/broker.mjs";
import { assertOpenAiError, chat } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const folder = await mkdtemp(path.join(tmpdir(), "aipassport-keys-"));
after(() => rm(folder, { recursive: true, force: true }));
const file = path.join(folder, "broker.vars");

const now = () => Math.floor(Date.now() / 1000);
const HOUR = 3600;
/** A pair of keys, as a rotation some hours ago made them. */
const pair = (hoursAgo) => [newSigningKey(), newP256Key()].map((key) => ({ ...key, iat: now() - hoursAgo * HOUR }));
const kids = (keys) => keys.map(({ kid }) => kid);

async function write(keys) {
  await writeFile(file, `# keep me\nCOOKIE_KEY='c$&c'\nSIGNING_KEYS='${JSON.stringify({ keys })}'\nOPENAI_API_KEY="o"\n`);
}
const signingKeys = async () => parseEnv(await readFile(file, "utf8")).SIGNING_KEYS;
const read = async () => JSON.parse(await signingKeys()).keys;

/** `npm run rotate-keys`, without npm's own lines. */
function rotate({ args = [], env = {}, target = file } = {}) {
  return new Promise((done) => {
    const command = [path.join(ROOT, "scripts", "rotate-keys.mjs"), "--file", target, ...args];
    execFile(process.execPath, command, { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      done({ code: error?.code ?? 0, said: stdout + stderr });
    });
  });
}

async function rotated(options) {
  const result = await rotate(options);
  assert.equal(result.code, 0, result.said);
  return result;
}

beforeEach(() => write(pair(1)));

test("new keys of both kinds stand before the former ones, which stay", async () => {
  const former = await read();
  await rotated();
  const keys = await read();
  assert.deepEqual(keys.slice(2), former);
  assert.deepEqual(
    keys.slice(0, 2).map(({ kty, crv, alg }) => [kty, crv, alg]),
    [
      ["OKP", "Ed25519", "EdDSA"],
      ["EC", "P-256", "ES256"],
    ],
  );
  for (const key of keys.slice(0, 2)) assert.ok(Math.abs(key.iat - now()) < 60);
});

test("nothing else in the file changes", async () => {
  const before = await readFile(file, "utf8");
  const former = await signingKeys();
  await rotated();
  const next = await signingKeys();
  assert.equal(await readFile(file, "utf8"), before.replace(former, () => next));
});

test("a second rotation in a row keeps the keys of the first and of before", async () => {
  const former = await read();
  await rotated();
  const first = await read();
  await rotated();
  const keys = await read();
  assert.equal(keys.length, 6);
  assert.deepEqual(keys.slice(2), first);
  assert.deepEqual(keys.slice(4), former);
  assert.equal(new Set(kids(keys)).size, 6);
});

test("a P-256 key goes when its successor is older than a day, and not before", async () => {
  const [newest, middle, oldest] = [pair(23), pair(25), pair(90)];
  await write([...newest, ...middle, ...oldest]);
  const { said } = await rotated();
  // The successor of the middle ones is 23 hours old, that of the oldest 25.
  const [ed, ec] = oldest;
  assert.deepEqual(kids((await read()).slice(2)), kids([...newest, ...middle, ed]));
  assert.match(said, new RegExp(`Dropped[^]*${ec.kid}`));
});

test("an Ed25519 key, which signs tokens of a year, goes when its successor is older than that, and not before", async () => {
  const [newest, middle, oldest] = [365, 367, 400].map((days) => pair(days * 24)[0]);
  await write([newest, middle, oldest]);
  const { said } = await rotated();
  assert.deepEqual(kids((await read()).slice(2)), kids([newest, middle]));
  assert.match(said, new RegExp(`Dropped[^]*${oldest.kid}`));
});

test("each kind of key has successors of its own kind alone", async () => {
  const [ed] = pair(100);
  const [, ec] = pair(50);
  await write([ec, ed]);
  await rotated();
  assert.deepEqual(kids((await read()).slice(2)), kids([ec, ed]));
});

test("keys that do not say when they were made stay until their successors do", async () => {
  const undated = [newSigningKey(), newSigningKey()];
  await write(undated);
  await rotated();
  assert.deepEqual(kids((await read()).slice(2)), kids(undated));
});

test("only its owner can read the file, whoever could before, and nothing is left beside it", async () => {
  await chmod(file, 0o644);
  await rotated();
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(folder), ["broker.vars"]);
});

test("what it says names the keys, the next command, and nothing private", async () => {
  const { said } = await rotated();
  for (const { kid, d } of await read()) {
    assert.ok(said.includes(kid));
    assert.ok(!said.includes(d));
  }
  assert.ok(said.includes(`grep '^SIGNING_KEYS=' '${file}' | npx wrangler secret bulk`), said);
});

const READABLE = {
  "no file": { target: path.join(folder, "nothing.vars"), says: /There is no .*nothing\.vars/ },
  "no SIGNING_KEYS": { text: "COOKIE_KEY=c\n", says: /no SIGNING_KEYS in broker\.vars/ },
  "damaged JSON": { text: `SIGNING_KEYS='{"keys":[{"d":"precious"'\n`, says: /damaged/ },
  "no JWK set": { text: `SIGNING_KEYS='{"d":"precious"}'\n`, says: /damaged/ },
  null: { text: "SIGNING_KEYS='null'\n", says: /damaged/ },
  "a key that is no private one": { text: `SIGNING_KEYS='{"keys":[{"kty":"RSA","d":"precious","kid":"k"}]}'\n`, says: /damaged/ },
  "SIGNING_KEYS twice": {
    text: `SIGNING_KEYS='${JSON.stringify({ keys: [newSigningKey()] })}'\n`.repeat(2),
    says: /once/,
  },
  "an unknown option": { args: ["--all"], says: /--all[^]*npm run rotate-keys/ },
};
for (const [what, { text, target, args, says }] of Object.entries(READABLE)) {
  test(`${what}: says so in a line, and changes nothing`, async () => {
    if (text) await writeFile(file, text);
    const before = await readFile(file, "utf8");
    const { code, said } = await rotate({ target, args });
    assert.equal(code, 1);
    assert.match(said, says);
    assert.doesNotMatch(said, /precious|\n\s+at |"d"/);
    assert.equal(await readFile(file, "utf8"), before);
    assert.deepEqual(await readdir(folder), ["broker.vars"]);
  });
}

test("a rotation that was ended in the middle is noticed, and loses nothing", async () => {
  const before = await readFile(file, "utf8");
  await writeFile(`${file}.new`, "half");
  const { code, said } = await rotate();
  await rm(`${file}.new`);
  assert.equal(code, 1);
  assert.match(said, /broker\.vars\.new is there/);
  assert.equal(await readFile(file, "utf8"), before);
});

/** The platform's interface, as far as an upload of secrets goes. */
async function platform(status) {
  const requests = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    requests.push({ method: request.method, url: request.url, body });
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ success: status < 400, errors: status < 400 ? [] : [{ code: 10_000, message: "no" }], messages: [], result: {} }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const env = {
    CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${server.address().port}/client/v4`,
    CLOUDFLARE_API_TOKEN: "t",
    CLOUDFLARE_ACCOUNT_ID: "a",
    WRANGLER_LOG_PATH: folder + "-logs",
  };
  after(() => rm(env.WRANGLER_LOG_PATH, { recursive: true, force: true }));
  return { requests, env, close: () => server.close() };
}

test("with --deploy the new set goes to the platform, and no other secret does", async () => {
  const { requests, env, close } = await platform(200);
  const { said } = await rotated({ args: ["--deploy"], env });
  close();
  const sent = requests.filter(({ method, body }) => method !== "GET" && body.includes("SIGNING_KEYS"));
  assert.equal(sent.length, 1, said);
  assert.ok(sent[0].body.includes(JSON.stringify(await signingKeys())), "the set as it stands in the file");
  assert.doesNotMatch(requests.map(({ body }) => body).join(), /COOKIE_KEY|OPENAI/);
  for (const { d } of await read()) assert.ok(!said.includes(d));
});

test("when the upload fails it says what to do, and both sets are whole", async () => {
  const former = await read();
  const { env, close } = await platform(403);
  const { code, said } = await rotate({ args: ["--deploy"], env });
  close();
  assert.equal(code, 1);
  assert.match(said, /upload failed[^]*grep '\^SIGNING_KEYS='/);
  assert.deepEqual((await read()).slice(2), former);
  for (const { d } of await read()) assert.ok(!said.includes(d));
});

// At a running broker.

const header = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url"));

test("tokens outlive a rotation and end with their key", async () => {
  const secrets = newSecrets();
  const { broker, browser, app } = await startWorld({ secrets });
  const published = async () => kids((await (await fetch(`${broker.url}/jwks.json`)).json()).keys);
  const { keys: former } = JSON.parse(secrets.SIGNING_KEYS);
  await write(former);
  const { access_token: old } = await browser.grant(app);
  assert.equal(header(old).kid, former[0].kid);

  await rotated();
  await broker.restart({ SIGNING_KEYS: await signingKeys() });
  assert.equal((await chat(broker, old)).status, 200);
  const keys = await read();
  assert.deepEqual(await published(), kids(keys));
  const { access_token: young } = await browser.grant(app);
  assert.deepEqual(header(young), { alg: "EdDSA", typ: "at+jwt", kid: keys[0].kid });
  assert.equal((await chat(broker, young)).status, 200);

  // A day later.
  await write(keys.map((key) => ({ ...key, iat: key.iat && key.iat - 367 * 24 * HOUR })));
  await rotated();
  await broker.restart({ SIGNING_KEYS: await signingKeys() });
  assert.deepEqual((await published()).slice(2), kids(keys.slice(0, 2)));
  assertOpenAiError(await chat(broker, old), 401, "invalid_token");
  assert.equal((await chat(broker, young)).status, 200);
});
