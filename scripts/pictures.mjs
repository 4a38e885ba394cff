// `npm run pictures`: the pictures of the README, docs/images/*.png. Nothing on them is written into a database: people sign in, apps are
// registered and connected, and call, through the built broker and a stand-in for the providers, as the tests do it. Days pass because the
// broker's clock is set back and comes nearer with every start (lib/clock.c; on Linux: elsewhere all is of today).
//
//   npm run pictures -- --all                      every page instead, into test-artifacts/pages/ (lib/page-pictures.mjs)
//   npm run pictures -- --pages consent,grant      only pages with one of these in their name

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { ensureChromium } from "./lib/chromium.mjs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { takePages } from "./lib/page-pictures.mjs";
import { inRoot } from "./lib/paths.mjs";
import { runScript, say } from "./lib/steps.mjs";

const FOLDER = inRoot("docs/images");
const MAX_BYTES = 150_000;
const MOST_DAYS = 24;
const DAY_SECONDS = 86_400;

/** workerd starts at no earlier day than the one that wrangler.toml names. */
function daysSinceCompatibility() {
  const [, date] = /^compatibility_date\s*=\s*"([^"]+)"/m.exec(readFileSync(inRoot("wrangler.toml"), "utf8"));
  return Math.floor((Date.now() - Date.parse(date)) / 1000 / DAY_SECONDS);
}

/** Starts the broker as if it were so many days ago. */
async function startDaysAgo(broker, days, clock) {
  const before = { ...process.env };
  if (days > 0) Object.assign(process.env, { LD_PRELOAD: clock, CLOCK_OFFSET_SECONDS: String(-days * DAY_SECONDS) });
  try {
    await broker.start();
  } finally {
    for (const name of ["LD_PRELOAD", "CLOCK_OFFSET_SECONDS"]) delete process.env[name];
    Object.assign(process.env, before);
  }
}

const APPS = [
  {
    name: "Reading list",
    homePage: "https://reading.example/",
    redirectUris: ["https://reading.example/callback"],
    details: [
      {
        type: "ai_access",
        provider: "openai",
        models: ["gpt-5-mini", "gpt-5.1*"],
        capabilities: ["chat", "embeddings"],
        limits: { requests_per_minute: 60 },
      },
      { type: "ai_access", provider: "anthropic", models: ["claude-opus-5"], capabilities: ["chat"] },
    ],
    limits: { budget_usd: "10.00", budget_period: "month" },
    /** Calls on a day of the week, from Sunday: with which model, and how many words. */
    week: [2, 5, 6, 4, 7, 5, 3],
    calls: [["gpt-5-mini", 30000], ["claude-opus-5", 11000], ["gpt-5.1", 18000]],
  },
  {
    name: "Meeting notes",
    homePage: "https://notes.example/",
    redirectUris: ["https://notes.example/callback"],
    details: [{ type: "ai_access", provider: "anthropic", models: ["claude-*"], capabilities: ["chat"] }],
    limits: { budget_usd: "5.00", budget_period: "month" },
    week: [0, 4, 3, 5, 3, 2, 0],
    calls: [["claude-opus-5", 16000], ["claude-haiku-4-5", 24000]],
  },
];

await runScript(async () => {
  const { values } = parseArgs({ options: { all: { type: "boolean" }, pages: { type: "string" } } });
  await ensureNpmPackages();
  await ensureNode();
  process.env.CHROMIUM = await ensureChromium();
  await build();
  if (values.all || values.pages) return takePages(values.pages?.split(","));
  const { Authenticator, addPasskey } = await import("../tests/support/authenticator.mjs");
  const { newSecrets, startBroker } = await import("../tests/support/broker.mjs");
  const { launch } = await import("../tests/support/chromium.mjs");
  const { Browser, authorizationRequest, chat, messages, refresh, signInLink } = await import("../tests/support/flow.mjs");
  const { startTabs } = await import("../tests/support/pages.mjs");
  const { startStandin } = await import("../tests/standin/server.mjs");

  const temporary = await mkdtemp(path.join(tmpdir(), "aipassport-pictures-"));
  const clock = path.join(temporary, "clock.so");
  if (process.platform === "linux") execFileSync("cc", ["-shared", "-fPIC", "-O2", "-o", clock, inRoot("scripts/lib/clock.c")]);
  const secrets = newSecrets();
  const standin = await startStandin({ port: 0, openaiKey: secrets.OPENAI_API_KEY, anthropicKey: secrets.ANTHROPIC_API_KEY });
  // Room that was set aside would be booked when the broker ends each evening.
  const env = { LEDGER_AHEAD_CALLS: "0", OPENAI_BASE_URL: standin.url, ANTHROPIC_BASE_URL: standin.url };
  const broker = await startBroker({ secrets, env });
  const chromium = await launch();
  try {
    await broker.stop();
    const tokens = new Map();
    const authenticator = new Authenticator();
    let person;
    const days = process.platform === "linux" ? Math.min(MOST_DAYS, daysSinceCompatibility()) : 0;
    for (let ago = days; ago >= 0; ago -= 1) {
      await startDaysAgo(broker, ago, clock);
      person = await signIn(ago);
      if (ago === days) await settleIn(person);
      const weekday = new Date(Date.now() - ago * DAY_SECONDS * 1000).getUTCDay();
      for (const app of APPS) await useFor(app, weekday, ago);
      // Until what was booked has reached the tables.
      await new Promise((resolve) => setTimeout(resolve, 3000));
      if (ago > 0) await broker.stop();
    }
    await lastCalls();
    await take(person);

    async function signIn(ago) {
      const browser = new Browser(broker);
      const link = signInLink(broker, { expiresInSeconds: 600 - ago * DAY_SECONDS });
      const { page } = await browser.get(link);
      assert.equal((await browser.submit(page.form("/sign-in"))).status, 303);
      return browser;
    }

    /** A name, a passkey, and the apps connected for a month. */
    async function settleIn(browser) {
      const { page } = await browser.get("/settings");
      await browser.submit(page.form("/settings/name").fill({ name: "Min Lee" }));
      await addPasskey(browser, authenticator, { name: "Min’s laptop" });
      for (const app of APPS) {
        app.client = await browser.register(app);
        const edit = (form) => form.fill({ ...app.limits, expires_in: String(30 * DAY_SECONDS) });
        tokens.set(app, await browser.grant(app.client, { details: app.details, money: true, edit }));
      }
    }

    async function ask(token, model, words, more = {}) {
      const text = "word ".repeat(words);
      const send = model.startsWith("claude") ? messages : chat;
      return (await send(broker, token, text, { model, ...more })).status;
    }

    async function useFor(app, weekday, ago) {
      const held = tokens.get(app);
      const { body, text } = await refresh(broker, app.client, held.refresh_token);
      assert.ok(body?.access_token, text);
      tokens.set(app, { ...held, ...body });
      for (let call = 0; call < app.week[weekday]; call += 1) {
        const [model, words] = app.calls[(call + ago) % app.calls.length];
        assert.equal(await ask(body.access_token, model, words + 1900 * (ago % 4)), 200);
      }
    }

    /** A token of one's own that is used up, and a model that was not allowed. */
    async function lastCalls() {
      const [reading] = APPS;
      assert.equal(await ask(tokens.get(reading).access_token, "gpt-5-mini", 20), 200);
      assert.notEqual(await ask(tokens.get(reading).access_token, "gpt-4.1", 20), 200);
      const { page } = await person.get("/tokens/new");
      const form = page.form("/tokens").fill({ name: "Sunday notebook", budget_usd: "0.10" });
      const made = await person.submit(form);
      const [, token] = /AIPASSPORT_TOKEN=(?:&#39;|')?([\w.-]+)/.exec(made.text) ?? [];
      assert.ok(token, made.page?.text);
      while ((await ask(token, "claude-opus-5", 1500, { max_tokens: 20 })) === 200);
      await new Promise((resolve) => setTimeout(resolve, 3000));
    }

    async function take(browser) {
      await mkdir(FOLDER, { recursive: true });
      const [reading, notes] = APPS;
      const { url } = authorizationRequest(broker, await recipeFinder(browser), { details: reading.details });
      const pages = [
        { name: "overview", at: "/", height: 1226 },
        { name: "grant", at: `/grants/${tokens.get(notes).grant_id}`, height: 1080 },
        { name: "consent", at: url.href, height: 1080 },
        { name: "phone", at: "/grants", height: 780, width: 360, language: "ko" },
      ];
      for (const { name, at, height, width = 1040, language = "en" } of pages) {
        const tab = await startTabs(chromium, { people: { person: browser } }, language)("person");
        await tab.setViewportSize({ width, height });
        await tab.goto(new URL(at, broker.url).href);
        for (const colorScheme of ["light", "dark"]) {
          await tab.emulateMedia({ colorScheme });
          const file = path.join(FOLDER, `${name}-${colorScheme}.png`);
          await tab.screenshot({ path: file });
          const { size } = await stat(file);
          assert.ok(size <= MAX_BYTES, `${file}: ${size} bytes`);
          say(`${path.relative(inRoot("."), file)}  ${Math.round(size / 1000)} KB`);
        }
        await tab.context().close();
      }
    }

    function recipeFinder(browser) {
      return browser.register({ name: "Recipe finder", homePage: "https://recipes.example/", redirectUris: ["https://recipes.example/callback"] });
    }
  } finally {
    await chromium.close();
    await broker.close();
    await standin.close();
    await rm(temporary, { recursive: true, force: true });
  }
});
