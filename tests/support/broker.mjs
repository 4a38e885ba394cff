// The built broker in real workerd, with real D1 and Durable Objects on disk.
//
// Miniflare is what `wrangler dev` runs underneath; used directly it starts in half a second, gives up the process id of workerd,
// so that a test can kill exactly that, and hands over every line that workerd logs, so that a test can search them.

import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes, randomInt } from "node:crypto";
import diagnosticsChannel from "node:diagnostics_channel";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

// Not by `import`: what a CommonJS module of this size exports, Node finds out in more time than it takes to run it.
const { Miniflare } = createRequire(import.meta.url)("miniflare");

export const ROOT = path.resolve(import.meta.dirname, "../..");
const SQL_WORKER = path.join(import.meta.dirname, "sql.worker.mjs");
const INSIDE = path.join(import.meta.dirname, "inside.worker.mjs");
const DEFAULT_BUILD = process.env.BROKER_BUILD ?? path.join(ROOT, "build");

// Miniflare doesn't say which process it started; Node does.
const started = [];
diagnosticsChannel.subscribe("child_process", ({ process }) => started.push(process));

export const base64url = (bytes) => Buffer.from(bytes).toString("base64url");

/** A new Ed25519 key as JWK; its `kid` is the thumbprint of RFC 7638. */
export function newSigningKey() {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const thumbprint = createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${jwk.x}"}`).digest();
  return { ...jwk, alg: "EdDSA", use: "sig", kid: base64url(thumbprint) };
}

/** A new P-256 key as JWK, likewise. */
export function newP256Key() {
  const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  const thumbprint = createHash("sha256").update(`{"crv":"P-256","kty":"EC","x":"${jwk.x}","y":"${jwk.y}"}`).digest();
  return { ...jwk, alg: "ES256", use: "sig", kid: base64url(thumbprint) };
}

/** What an operator would put into `.dev.vars`. The provider keys look like real ones, and are found nowhere else in the world. */
export function newSecrets() {
  return {
    SIGNING_KEYS: JSON.stringify({ keys: [newSigningKey(), newP256Key()] }),
    COOKIE_KEY: base64url(randomBytes(32)),
    SIGN_IN_KEY: base64url(randomBytes(32)),
    OPENAI_API_KEY: `sk-proj-${base64url(randomBytes(36))}`,
    ANTHROPIC_API_KEY: `sk-ant-api03-${base64url(randomBytes(36))}`,
  };
}

/**
 * A port that nothing listens on. Below the range that the system gives to outgoing connections: one of those could take it
 * between a test's asking and its using it, or while a broker restarts.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = createServer();
    const isFree = await new Promise((done) => {
      server.once("error", () => done(false));
      server.listen({ port, host: "127.0.0.1" }, () => server.close(() => done(true)));
    });
    if (isFree) return port;
  }
}

/** Date and flags as deployed: read from wrangler.toml, so that the tests run what is shipped. */
async function compatibility() {
  const toml = await readFile(path.join(ROOT, "wrangler.toml"), "utf8");
  const [, compatibilityDate] = /^compatibility_date\s*=\s*"([^"]+)"/m.exec(toml) ?? [];
  const [, flags] = /^compatibility_flags\s*=\s*\[([^\]]*)\]/m.exec(toml) ?? [];
  assert.ok(compatibilityDate && flags !== undefined, "wrangler.toml names no compatibility date or flags");
  return { compatibilityDate, compatibilityFlags: [...flags.matchAll(/"([^"]+)"/g)].map(([, flag]) => flag) };
}

/** The rate limits that wrangler.toml names, by their bindings: { LIMIT_CALLS: { limit, period }, … }. */
export async function shippedLimits() {
  const toml = await readFile(path.join(ROOT, "wrangler.toml"), "utf8");
  const found = toml.matchAll(/^\[\[ratelimits\]\]\nname = "(\w+)"\nnamespace_id = "\d+"\nsimple = \{ limit = (\d+), period = (\d+) \}$/gm);
  const limits = Object.fromEntries([...found].map(([, name, limit, period]) => [name, { limit: Number(limit), period: Number(period) }]));
  assert.equal(Object.keys(limits).length, toml.split("[[ratelimits]]").length - 1, "a rate limit in wrangler.toml can't be read");
  return limits;
}

/** Bindings of the rate limits. A test is one address and makes thousands of requests, so they are as good as none unless it says. */
async function rateLimits(chosen) {
  const shipped = Object.entries(await shippedLimits());
  const binding = (name, { period }) => ({ type: "rate-limit", namespace: name, simple: { limit: chosen[name] ?? 1_000_000, period } });
  return Object.fromEntries(shipped.filter(([name]) => chosen[name] !== null).map(([name, as]) => [name, binding(name, as)]));
}

/** A worker of one file. */
async function script(file) {
  const name = path.basename(file);
  return { mainModule: name, modulesRoot: path.dirname(file), modules: { [name]: { type: "esm", contents: await readFile(file, "utf8") } } };
}

async function manifest(build, before) {
  const types = { ".js": "esm", ".mjs": "esm", ".wasm": "wasm" };
  const modules = {};
  for (const name of await readdir(build)) {
    const type = types[path.extname(name)];
    if (type) modules[name] = { type, contents: await readFile(path.join(build, name), type === "esm" ? "utf8" : null) };
  }
  assert.ok(modules["index.js"], `there is no build in ${build}; run "npm run build"`);
  if (!before) return { mainModule: "index.js", modulesRoot: build, modules };
  const first = path.basename(before);
  modules[first] = { type: "esm", contents: await readFile(before, "utf8") };
  return { mainModule: first, modulesRoot: build, modules };
}

/**
 * A running broker.
 *
 * @param {object} options
 * @param {Record<string, string>} [options.secrets] default: fresh ones
 * @param {Record<string, string | undefined>} [options.env] further variables; `undefined` takes one away
 * @param {boolean} [options.migrate] whether D1 gets its tables
 * @param {string} [options.build] folder of the built worker
 * @param {string} [options.before] a script that stands before the built worker, and imports it as `./index.js`
 * @param {boolean} [options.inside] whether that is `inside.worker.mjs`, by which a test moves the clock ({@link Broker#advance}) and more
 * @param {Record<string, number | null>} [options.limits] requests a minute, by the binding that limits them; `null` takes it away
 */
export async function startBroker({ secrets = newSecrets(), env = {}, migrate = true, build = DEFAULT_BUILD, inside = false, before = inside ? INSIDE : undefined, limits = {} } = {}) {
  const broker = new Broker(secrets, env, build, before, limits);
  broker.stateDir = await mkdtemp(path.join(tmpdir(), "aipassport-test-"));
  broker.port = await freePort();
  if (migrate) await cp(await migratedState(), broker.stateDir, { recursive: true });
  await broker.start();
  return broker;
}

/**
 * A state folder with every table and nothing in them, to be copied: the migrations are applied once, by the platform itself, and not by
 * each broker that a test starts.
 */
async function migratedState() {
  const hash = createHash("sha256").update(process.versions.node);
  for (const file of [path.join(ROOT, "package-lock.json"), ...(await migrations())]) hash.update(await readFile(file));
  const made = path.join(ROOT, "target", "test-state", hash.digest("hex").slice(0, 16));
  if (existsSync(made)) return made;
  const broker = new Broker(newSecrets(), {}, DEFAULT_BUILD, undefined, {});
  await mkdir(path.dirname(made), { recursive: true });
  broker.stateDir = await mkdtemp(`${made}-`);
  broker.port = await freePort();
  await broker.start();
  await broker.migrate();
  await broker.stop();
  try {
    await rename(broker.stateDir, made);
  } catch {
    // Another test was faster.
    await rm(broker.stateDir, { recursive: true, force: true });
  }
  return made;
}

async function migrations() {
  const folder = path.join(ROOT, "migrations");
  return (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort().map((name) => path.join(folder, name));
}

class Broker {
  /** Every line that workerd has written, over all restarts. */
  logs = [];
  #miniflare;
  #process;
  #restarted = Promise.withResolvers();
  /** How far its clock is ahead of ours. */
  #aheadMs = 0;

  constructor(secrets, env, build, before, limits) {
    Object.assign(this, { secrets, env, build, before, limits });
  }

  /** The issuer. `localhost`, because browsers take that for a secure context. */
  get url() {
    return `http://localhost:${this.port}`;
  }

  get pid() {
    return this.#process.pid;
  }

  /** Starts on whatever lies in the state folder. */
  async start() {
    const vars = { ISSUER: this.url, ...this.secrets, ...this.env };
    const bindings = Object.entries(vars)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, { type: "text", value: String(value) }]);
    const database = { DB: { type: "d1", id: "aipassport" } };
    this.#miniflare = new Miniflare({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      telemetry: { enabled: false },
      resourcePersistencePath: this.stateDir,
      handleStructuredLogs: (line) => this.logs.push(`${line.level} ${line.message}`),
      unsafeHandleRuntimeRestart: () => {
        this.#process = started.at(-1);
        this.#restarted.resolve();
      },
      workers: [
        {
          config: {
            name: "aipassport",
            ...(await compatibility()),
            manifest: await manifest(this.build, this.before),
            env: {
              ...Object.fromEntries(bindings),
              ...(await rateLimits(this.limits)),
              ...database,
              LEDGER: { type: "durable-object", worker: "aipassport", exportName: "Ledger" },
              COURIER: { type: "durable-object", worker: "aipassport", exportName: "Courier" },
            },
            exports: {
              Ledger: { type: "durable-object", storage: "sqlite" },
              Courier: { type: "durable-object", storage: "sqlite" },
            },
          },
          // A socket of the worker's own: Miniflare's entry worker stands before the other one, and hides disconnects.
          dev: { rootPath: ROOT, unsafeDirectSockets: [{ host: "localhost", port: this.port }] },
        },
        {
          config: { name: "sql", ...(await compatibility()), manifest: await script(SQL_WORKER), env: database },
          dev: { rootPath: ROOT, unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
        },
      ],
    });
    await this.#miniflare.ready;
    this.#process = started.at(-1);
    await this.#setClock();
  }

  /** Ends workerd and keeps its state. */
  async stop() {
    await this.#miniflare?.dispose();
    this.#miniflare = undefined;
  }

  /** As an operator's restart, with other variables if wanted. */
  async restart(env = {}) {
    await this.stop();
    Object.assign(this.env, env);
    await this.start();
  }

  /** SIGKILL to workerd itself, in the middle of whatever it does; answers when a new one serves on the same state. */
  async kill() {
    this.#restarted = Promise.withResolvers();
    process.kill(this.pid, "SIGKILL");
    await this.#restarted.promise;
    await this.#setClock();
  }

  /** A process that starts doesn't know that its clock is ahead. */
  async #setClock() {
    if (this.#aheadMs > 0) await this.fromInside("clock", { aheadMs: this.#aheadMs });
  }

  /**
   * Lets time pass for the broker without waiting for it, and rings the alarms that are due then: of all its objects that have been used
   * since it started, and of these ledgers. Takes `inside: true`. Answers how many rang.
   */
  async advance(seconds, { ledgers = [] } = {}) {
    this.#aheadMs += seconds * 1000;
    await this.#setClock();
    const { rings } = await this.fromInside("alarms", { ledgers });
    return rings;
  }

  /** Now, by the broker's clock, in milliseconds. */
  now() {
    return Date.now() + this.#aheadMs;
  }

  /** Asks the script that stands before the broker; see `inside.worker.mjs`. */
  async fromInside(what, body = {}) {
    const answer = await fetch(`${this.url}/inside/${what}`, { method: "POST", body: JSON.stringify(body) });
    assert.equal(answer.status, 200, `the broker was started with \`inside: true\`: ${await answer.clone().text()}`);
    return answer.json();
  }

  async close() {
    await this.stop();
    await rm(this.stateDir, { recursive: true, force: true, maxRetries: 5 });
  }

  async migrate() {
    for (const file of await migrations()) {
      const sql = (await readFile(file, "utf8")).replaceAll(/--.*$/gm, "");
      // A trigger goes on in lines that are indented.
      await this.#batch(sql.split(/;[ \t]*\n(?![ \t])/).filter((text) => text.trim()).map((text) => [text]));
    }
  }

  /** Of the broker's own D1, for what only time or an accident would do to it. */
  async sql(query, ...values) {
    const [rows] = await this.#batch([[query, ...values]]);
    return rows;
  }

  /** Everything that its D1 has, by table: `{ grants: [{ grant_id, … }, …], … }`. */
  async tables() {
    const tables = await this.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '%cf_%'");
    const rows = await this.#batch(tables.map(({ name }) => [`SELECT * FROM "${name}"`]));
    return Object.fromEntries(tables.map(({ name }, index) => [name, rows[index]]));
  }

  async #batch(statements) {
    // Another port after each restart.
    const url = await this.#miniflare.unsafeGetDirectURL("sql");
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(statements) });
    const { results, error } = await answer.json();
    if (error) throw new Error(error);
    return results;
  }

  /** What the platform does when a cron of wrangler.toml is due; answers when the run is over. */
  async runScheduled() {
    const worker = await this.#miniflare.getWorker("aipassport");
    return worker.scheduled({ cron: "17 * * * *" });
  }

  /** Paths of every file that holds state: D1, Durable Objects, and their write-ahead logs. */
  async stateFiles() {
    const entries = await readdir(this.stateDir, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  }

  /** Paths of the databases of the ledgers. */
  async ledgerFiles() {
    const files = await this.stateFiles();
    return files.filter((file) => /[\\/]do[\\/][^\\/]*Ledger[\\/][0-9a-f]{64}\.sqlite$/.test(file));
  }
}
