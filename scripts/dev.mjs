// `npm run dev`: the broker in workerd, a stand-in for the providers, and the demo app; everything set up, everything ended
// together.  Environment: PORT (8787), DEMO_PORT (PORT + 1), STANDIN_PORT (PORT + 2), STATE_DIR (.wrangler/state).

import { randomBytes } from "node:crypto";
import { createWriteStream, existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { build, outOf } from "./build.mjs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { prepareDatabase } from "./lib/local-database.mjs";
import { holdState } from "./lib/lock.mjs";
import { inRoot, root } from "./lib/paths.mjs";
import { isTaken } from "./lib/ports.mjs";
import { end, onSignal, runScript, say, SetupError, start } from "./lib/steps.mjs";
import { wrangler, wranglerOptions } from "./lib/wrangler.mjs";
import { wranglerFilter } from "./lib/wrangler-output.mjs";

const READY_WITHIN_MS = 60_000;

/** What is served is compiled in seconds, and anew at each save; AIPASSPORT_PROFILE=release serves what is deployed. */
const profile = process.env.AIPASSPORT_PROFILE || "development";

function port(name, otherwise) {
  const value = process.env[name] ? Number(process.env[name]) : otherwise;
  if (!Number.isInteger(value) || value < 1 || value > 65_535) {
    throw new SetupError(`${name}=${process.env[name] ?? otherwise} is no port; a port is a number from 1 to 65535.`);
  }
  return value;
}

const another = (port) => (port + 1000 < 65_000 ? port + 1000 : port - 1000);

async function choosePorts() {
  const broker = port("PORT", 8787);
  const ports = { PORT: broker, DEMO_PORT: port("DEMO_PORT", broker + 1), STANDIN_PORT: port("STANDIN_PORT", broker + 2) };
  const purpose = { PORT: "the broker", DEMO_PORT: "the demo app", STANDIN_PORT: "the providers' stand-in" };
  for (const [name, value] of Object.entries(ports)) {
    if (Object.values(ports).filter((other) => other === value).length > 1) throw new SetupError(`Two parts would share port ${value}.`);
    if (await isTaken(value)) {
      throw new SetupError(
        `Port ${value}, wanted for ${purpose[name]}, is taken by another program; nothing was started.\n` +
          `End that program (is \`npm run dev\` already running?), or choose another port:  ${name}=${another(value)} npm run dev`,
      );
    }
  }
  return ports;
}

/** A provider without a key of its own gets the stand-in and a throw-away key for it, told to the broker on its command line. */
function planProviders(vars, standinUrl) {
  const plan = { real: [], standIn: [], keys: {}, options: [] };
  for (const [name, prefix] of [["OpenAI", "OPENAI"], ["Anthropic", "ANTHROPIC"]]) {
    const key = `${prefix}_API_KEY`;
    if (vars[key]) {
      plan.real.push(name);
    } else {
      plan.standIn.push(name);
      plan.keys[`STANDIN_${prefix}_KEY`] = `standin-${randomBytes(16).toString("hex")}`;
      plan.options.push("--var", `${key}:${plan.keys[`STANDIN_${prefix}_KEY`]}`, "--var", `${prefix}_BASE_URL:${standinUrl}`);
    }
  }
  return plan;
}

/** The programs that run together; the first that ends, ends all. */
class Parts {
  #running = new Map();
  #stopping = false;
  #log;
  #over = Promise.withResolvers();

  constructor(logPath) {
    this.#log = createWriteStream(logPath);
  }

  /** Resolves when a signal came, fails when a part ended by itself. */
  get over() {
    return this.#over.promise;
  }

  end() {
    this.#over.resolve();
  }

  start(name, command, args, options, show = (line) => line) {
    const child = start(command, args, options);
    const last = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.#log.write(`${name}: ${line}\n`);
        last.push(line);
        if (last.length > 20) last.shift();
        // What a part says about being ended is nothing to tell.
        const shown = this.#stopping ? null : show(line);
        if (shown !== null) say(`${name} │ ${shown}`);
      });
    }
    this.#running.set(name, child);
    const gone = (why) => {
      this.#running.delete(name);
      const text = last.map((line) => `  ${name} │ ${line}`).join("\n");
      this.#over.reject(new SetupError(`The ${name} ${why}, so everything was ended. Its last words:\n${text}`));
    };
    child.once("error", (error) => gone(`could not be started (${error.message})`));
    child.once("close", (code, signal) => gone(`ended by itself (${signal ?? `exit code ${code}`})`));
  }

  async answers(name, url) {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (Date.now() < deadline) {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
      await response?.body?.cancel();
      if (response && response.status < 500) return;
      await sleep(100);
    }
    throw new SetupError(`The ${name} did not answer at ${url} within ${READY_WITHIN_MS / 1000} s.`);
  }

  async stop() {
    this.#stopping = true;
    await end([...this.#running.values()]);
    await new Promise((done) => this.#log.end(done));
  }
}

const sentence = (names) => names.join(" and ");

function printSummary({ brokerUrl, demoUrl, link, plan, logPath }) {
  const providers = [
    plan.standIn.length > 0 ? `${sentence(plan.standIn)}: the local stand-in, no key needed` : "",
    plan.real.length > 0 ? `${sentence(plan.real)}: the real provider, with the key in .dev.vars; calls cost money` : "",
  ].filter(Boolean);
  say(`
  AIPassport is running.

    Sign in    ${link}
               works once, within 10 minutes${process.stdin.isTTY ? "; press Enter for a new one" : ""}
    Demo app   ${demoUrl}/
    Broker     ${brokerUrl}/
    Providers  ${providers.join("\n               ")}

    1. Open the sign-in link and press "Sign in".
    2. Open the demo app, press "Connect AI", and allow what you like.
    3. Chat; then watch and revoke at ${brokerUrl}/grants

  Ctrl-C ends everything. Log: ${logPath}
`);
}

await runScript(async () => {
  // Asked before set-up begins, which may take minutes the first time.
  const ports = await choosePorts();
  await ensureNpmPackages();
  await ensureNode();
  const { completeVars, signInLink } = await import("./lib/secrets.mjs");

  const stateDir = resolve(process.env.STATE_DIR || inRoot(".wrangler", "state"));
  const [brokerUrl, demoUrl] = [ports.PORT, ports.DEMO_PORT].map((number) => `http://localhost:${number}`);
  const standinUrl = `http://127.0.0.1:${ports.STANDIN_PORT}`;
  const firstRun = !existsSync(inRoot(".dev.vars"));
  const vars = completeVars(inRoot(".dev.vars"));
  if (firstRun) say("  made .dev.vars with this machine's secrets (git ignores it)");
  await build({ profile });
  const release = holdState(stateDir);
  await prepareDatabase(stateDir, demoUrl);

  const plan = planProviders(vars, standinUrl);
  const parts = new Parts(join(stateDir, "dev.log"));
  onSignal(() => parts.end());
  const node = (env) => ({ cwd: root, env: { ...process.env, ...env } });
  const quiet = (line) => (/error/i.test(line) ? line : null);
  try {
    if (plan.standIn.length > 0) {
      const env = { ...plan.keys, STANDIN_PORT: String(ports.STANDIN_PORT) };
      parts.start("stand-in", process.execPath, [inRoot("tests/standin/server.mjs")], node(env), quiet);
    }
    const demoEnv = { DEMO_PORT: String(ports.DEMO_PORT), BROKER_URL: brokerUrl };
    parts.start("demo app", process.execPath, [inRoot("examples/demo/server.mjs")], node(demoEnv), quiet);
    const options = ["--port", String(ports.PORT), "--persist-to", stateDir, "--var", `ISSUER:${brokerUrl}`, ...plan.options];
    // wrangler's build command, at each save, is told by the environment what to build.
    const served = { ...wranglerOptions, env: { ...wranglerOptions.env, AIPASSPORT_PROFILE: profile } };
    parts.start("broker", wrangler, ["dev", `${outOf(profile)}/index.js`, "--show-interactive-dev-session=false", ...options], served, wranglerFilter());

    const ready = Promise.all([
      parts.answers("broker", `${brokerUrl}/health`),
      parts.answers("demo app", demoUrl),
      plan.standIn.length > 0 ? parts.answers("stand-in", `${standinUrl}/__standin/count`) : null,
    ]).then(() => true);
    if (await Promise.race([ready, parts.over])) {
      const link = () => signInLink(brokerUrl, vars.SIGN_IN_KEY);
      printSummary({ brokerUrl, demoUrl, link: link(), plan, logPath: relative(process.cwd(), join(stateDir, "dev.log")) });
      if (process.stdin.isTTY) createInterface({ input: process.stdin }).on("line", () => say(`    Sign in    ${link()}`)).on("SIGINT", () => parts.end());
      await parts.over;
    }
    say("\nEnding …");
  } finally {
    await parts.stop();
    release();
  }
  process.exit(0);
});
