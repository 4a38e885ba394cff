// Every page of the broker and how to get there. A new page is one line in `PAGES`; what must hold on it is in
// tests/browser/pages.test.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { SECURITY, anHourLater, invite, join, signInWithPasskey } from "./authenticator.mjs";
import { ROOT, newSecrets, startBroker } from "./broker.mjs";
import { launch, serveAssets } from "./chromium.mjs";
import { Browser, authorizationRequest, call, chat, messages, postForm, signInLink } from "./flow.mjs";
import { startWorld, useUp } from "./world.mjs";

/**
 * `who` is at the browser, one of the people of `startPages`. `at` is a path, or makes one out of what `startPages` answers; `then` does
 * something there that leads to the page, or several things. `status` is 200 unless it says. `template` is its file in src/web/pages;
 * `prepare` is done first, whatever it takes. They are opened in this order, so that one can show what one before it did.
 */
export const PAGES = [
  { name: "home", who: "stranger", at: "/", template: "home.html" },
  { name: "sign-in", who: "stranger", at: "/sign-in", template: "sign_in.html" },
  { name: "sign-in-first", who: "stranger", at: "/grants", template: "sign_in.html" },
  { name: "sign-in-for-an-app", who: "stranger", at: ({ ask }) => ask(), template: "sign_in.html" },
  { name: "sign-in-already", who: "operator", at: "/sign-in", template: "sign_in.html" },
  { name: "sign-in-link", who: "stranger", at: ({ broker }) => signInLink(broker), template: "sign_in_link.html" },
  { name: "recover", who: "stranger", at: "/recover", template: "recover.html" },
  { name: "recover-refused", who: "stranger", at: "/recover", then: recoverWrongly, status: 400, template: "recover.html" },
  { name: "invitation", who: "stranger", at: invited, template: "invitation.html" },
  { name: "invitation-signed-in", who: "member", at: invited, template: "invitation.html" },
  { name: "developers", who: "stranger", at: "/developers", template: "developers.html" },
  { name: "overview", who: "operator", at: "/", template: "dashboard.html" },
  { name: "overview-over-bound", who: "operator", prepare: dearerThanHeld, at: "/", template: "dashboard.html" },
  { name: "overview-new", who: "member", at: "/", template: "dashboard.html" },
  { name: "grants", who: "operator", at: "/grants", template: "grants.html" },
  { name: "grants-none", who: "member", at: "/grants", template: "grants.html" },
  { name: "grant", who: "operator", at: ({ grant }) => `/grants/${grant}`, template: "grant.html" },
  { name: "grant-paused", who: "operator", at: ({ paused }) => `/grants/${paused}`, template: "grant.html" },
  { name: "grant-ended", who: "operator", at: ({ ended }) => `/grants/${ended}`, template: "grant.html" },
  { name: "grant-history", who: "operator", at: ({ paused }) => `/grants/${paused}/history`, template: "grant_history.html" },
  { name: "tokens-none", who: "member", at: "/tokens", template: "tokens.html" },
  { name: "token-new", who: "operator", at: "/tokens/new", template: "token_new.html" },
  { name: "token-new-refused", who: "operator", at: "/tokens/new", then: makeTokenWrongly, status: 400, template: "token_new.html" },
  { name: "token-made", who: "operator", at: "/tokens/new", then: makeToken, status: 201, template: "token_made.html" },
  { name: "tokens", who: "operator", at: "/tokens", template: "tokens.html" },
  { name: "apps", who: "operator", at: "/apps", template: "apps.html" },
  { name: "apps-none", who: "member", at: "/apps", template: "apps.html" },
  { name: "apps-refused", who: "member", at: "/apps", then: registerWrongly, status: 400, template: "apps.html" },
  { name: "app-secret", who: "operator", at: "/apps", then: registerOnServer, status: 201, template: "app_secret.html" },
  { name: "consent", who: "operator", at: ({ ask }) => ask(), template: "consent.html" },
  { name: "consent-unnamed", who: "member", at: ({ ask }) => ask({ scope: "openai:chat" }), template: "consent.html" },
  {
    name: "consent-not-replaced",
    who: "operator",
    at: askAgain,
    then: allowWhileNothingEnds,
    status: 503,
    template: "consent_not_replaced.html",
  },
  { name: "device", who: "operator", at: "/device", template: "device.html" },
  { name: "device-stranger", who: "stranger", at: "/device", template: "sign_in.html" },
  { name: "device-consent", who: "operator", at: ({ deviceUrl }) => deviceUrl(), then: enterCode, template: "consent.html" },
  { name: "device-done", who: "operator", at: ({ deviceUrl }) => deviceUrl(), then: [enterCode, allow], template: "device_done.html" },
  { name: "form-post", who: "operator", at: askForPost, template: "form_post.html" },
  { name: "activity", who: "operator", at: "/activity", template: "activity.html" },
  { name: "notices", who: "operator", at: "/notices", template: "notices.html" },
  { name: "notices-none", who: "member", at: "/notices", template: "notices.html" },
  { name: "settings", who: "operator", at: "/settings", template: "settings.html" },
  { name: "settings-member", who: "member", at: "/settings", template: "settings.html" },
  { name: "settings-renamed", who: "member", at: "/settings", then: rename("Kim Minji"), template: "settings.html" },
  { name: "settings-refused", who: "member", at: "/settings", then: rename("   "), status: 400, template: "settings.html" },
  { name: "security", who: "operator", at: SECURITY, template: "security.html" },
  { name: "security-member", who: "member", at: SECURITY, template: "security.html" },
  { name: "passkey-add", who: "operator", prepare: confirmOnceMore, at: SECURITY, then: press(`${SECURITY}/passkeys/add`), template: "passkey_add.html" },
  {
    name: "recovery-codes",
    who: "operator",
    prepare: confirmOnceMore,
    at: SECURITY,
    then: press(`${SECURITY}/recovery-codes`),
    status: 201,
    template: "recovery_codes.html",
  },
  { name: "confirm", who: "returned", at: SECURITY, then: press(`${SECURITY}/recovery-codes`), template: "confirm.html" },
  { name: "confirm-money", who: "returned", at: "/tokens/new", then: makeDearToken, template: "confirm.html" },
  { name: "confirm-new-use", who: "returnedMember", at: "/tokens/new", then: makeToken, template: "confirm.html" },
  { name: "confirm-by-passkey", who: "returnedMember", at: SECURITY, then: press(`${SECURITY}/recovery-codes`), template: "confirm.html" },
  {
    name: "confirm-refused",
    who: "returned",
    at: SECURITY,
    then: [press(`${SECURITY}/recovery-codes`), confirmBy(() => "BCDF-GHJK-LMNP-QRST")],
    status: 400,
    template: "confirm.html",
  },
  {
    name: "confirmed",
    who: "returned",
    at: SECURITY,
    then: [press(`${SECURITY}/recovery-codes`), confirmBy(({ broker }) => signInLink(broker))],
    template: "confirmed.html",
  },
  {
    name: "confirmed-by-passkey",
    who: "returnedMember",
    at: SECURITY,
    then: [press(`${SECURITY}/recovery-codes`), (page) => page.locator('main form[data-passkey="get"] button').click()],
    template: "confirmed.html",
  },
  { name: "members", who: "operator", at: "/members", template: "members.html" },
  { name: "member-remove", who: "operator", at: "/members", then: chooseMember, template: "member.html" },
  { name: "invitations", who: "operator", at: "/members/invitations", template: "invitations.html" },
  { name: "invitation-made", who: "operator", prepare: confirmOnceMore, at: "/members/invitations", then: makeInvitation, status: 201, template: "invitations.html" },
  { name: "members-unlimited", who: "operator", prepare: ({ broker }) => broker.sql("DELETE FROM policies"), at: "/members", template: "members.html" },
  { name: "invitations-first", who: "operator", at: "/members/invitations", template: "invitations.html" },
  { name: "policy", who: "operator", at: "/settings/policy", template: "policy.html" },
  { name: "webhook-off", who: "operator", at: "/settings/webhook", template: "webhook.html" },
  {
    name: "webhook-refused",
    who: "operator",
    prepare: confirmOnceMore,
    at: "/settings/webhook",
    then: report("https://localhost/"),
    status: 400,
    template: "webhook.html",
  },
  {
    name: "webhook-secret",
    who: "operator",
    prepare: confirmOnceMore,
    at: "/settings/webhook",
    then: report("https://hooks.example/ai"),
    status: 201,
    template: "webhook_secret.html",
  },
  { name: "webhook", who: "operator", at: "/settings/webhook", then: press("/settings/webhook/test"), template: "webhook.html" },
  { name: "error-400", who: "operator", at: "/authorize?client_id=nobody", status: 400 },
  { name: "error-403", who: "operator", at: "/developers", then: (page) => post(page, "/apps"), status: 403 },
  { name: "error-403-policy", who: "member", prepare: forbidAnthropic, at: ({ ask }) => ask({ details: [ASKED[1]] }), status: 403 },
  { name: "error-404", who: "stranger", at: "/nothing-here", status: 404 },
  { name: "error-404-signed-in", who: "operator", at: "/grants/gr_nothing", status: 404 },
  { name: "error-405", who: "stranger", at: "/developers", then: (page) => post(page, "/developers"), status: 405 },
  { name: "error-429", who: "stranger", at: tooOften, on: "sick", status: 429 },
  { name: "error-503", who: "operator", at: "/grants", on: "sick", status: 503 },
];

/** Templates that nobody has translated yet, as the native tests know them: a page of one is not looked at for English. */
export const STILL_ENGLISH = (() => {
  const tests = readFileSync(path.join(ROOT, "src/web/language/tests.rs"), "utf8");
  const [, list] = /const STILL_ENGLISH[^=]*= &\[([^\]]*)\]/.exec(tests) ?? [];
  return [...(list ?? "").matchAll(/"([^"]+)"/g)].map(([, name]) => name);
})();

/** A form that no page shows, sent as a browser sends it. */
function post(page, action) {
  return page.evaluate((action) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action });
    document.body.append(form);
    form.submit();
  }, action);
}

const named = (page, name) => page.locator(`main [name="${name}"]`);

async function register(page, { name, homePage, redirectUri }) {
  await named(page, "name").fill(name);
  await named(page, "home_page").fill(homePage);
  await named(page, "redirect_uris").fill(redirectUri);
  await page.locator('main form[action="/apps"] button').click();
}

async function registerWrongly(page) {
  await register(page, { name: "Notes", homePage: "https://notes.example/", redirectUri: "http://notes.example/callback" });
}

async function registerOnServer(page) {
  await page.locator('main [value="confidential"]').check();
  await register(page, { name: "Notes", homePage: "https://notes.example/", redirectUri: "https://notes.example/callback" });
}

async function enterCode(page) {
  await page.locator('main form[action="/device"] button').click();
}

async function allow(page) {
  await page.locator('main [name="decision"][value="allow"]').click();
}

function rename(name) {
  return async (page) => {
    await named(page, "name").fill(name);
    await page.locator('main form[action="/settings/name"] button').click();
  };
}

/** The button of the form that goes there. */
function press(action) {
  return (page) => page.locator(`main form[action="${action}"] button`).click();
}

async function recoverWrongly(page) {
  await named(page, "code").fill("BCDF-GHJK-LMNP-QRST");
  await press("/recover")(page);
}

async function invited(world) {
  const { people } = world;
  await confirmOnceMore(world);
  const { answer, link } = await invite(people.operator);
  assert.ok(link, answer.page?.text);
  return link;
}

async function chooseMember(page) {
  await page.locator('main a[href^="/members/user"]').last().click();
}

async function makeInvitation(page) {
  await named(page, "name").fill("Seo-yeon Park");
  await press("/members/invitations")(page);
}

function forbidAnthropic({ broker }) {
  return broker.sql(`INSERT OR REPLACE INTO policies (subject, policy, revision, saved_at) VALUES ('members', '{"models":{"openai":["*"]}}', 9, 1)`);
}

async function makeToken(page) {
  await named(page, "name").fill("Sunday notebook");
  await press("/tokens")(page);
}

async function makeDearToken(page) {
  await named(page, "budget_usd").fill("900");
  await makeToken(page);
}

function dearerThanHeld({ broker }) {
  const today = Math.floor(broker.now() / 86_400_000);
  return broker.sql("INSERT OR IGNORE INTO over_bound_days VALUES (?1, 'openai', 'gpt-5.5-cyber', 1200, 3160000000), (?1 - 1, 'anthropic', 'claude-opus-5', 1, 1100000)", today);
}

async function makeTokenWrongly(page) {
  await named(page, "budget_usd").fill("a lot");
  await makeToken(page);
}

/** Ten minutes can pass until a page has its turn; then it would ask first. */
async function confirmOnceMore({ people: { operator }, broker }) {
  const { page } = await operator.get(SECURITY);
  const csrf = page.form(`${SECURITY}/recovery-codes`).value("csrf");
  const { status } = await operator.post("/confirm", new URLSearchParams({ csrf, action: SECURITY, code: signInLink(broker) }));
  assert.equal(status, 200);
}

/** Proves who it is by text: a recovery code, or for the operator a new link. */
function confirmBy(code) {
  return async (page, world) => {
    const form = page.locator('main form:not([data-passkey])[action="/confirm"]');
    await form.locator('[name="code"]').fill(code(world));
    await form.locator("button").click();
  };
}

function report(url) {
  return async (page) => {
    await named(page, "url").fill(url);
    await press("/settings/webhook")(page);
  };
}

/** An app that has a grant of this kind already, and should have the new one in its place. */
async function askAgain({ ask, people }) {
  const app = await people.operator.register({ name: "Recipe finder", homePage: "https://app.example/" });
  await people.operator.grant(app, { details: ASKED });
  return ask({ app });
}

/** As when the database goes away between the one and the other. */
async function allowWhileNothingEnds(page, { broker }) {
  await broker.sql("CREATE TRIGGER broken BEFORE UPDATE OF revoked_at ON grants BEGIN SELECT RAISE(ABORT, 'no'); END");
  const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
  await allow(page);
  await answered;
  await broker.sql("DROP TRIGGER broken");
}

/** An answer to an app that waits in a form: nothing listens there. */
function askForPost({ ask, tool }) {
  return ask({ app: tool, change: { redirect_uri: "http://127.0.0.1:9/cb", response_mode: "form_post", prompt: "none" } });
}

async function tooOften({ sick }) {
  await fetch(`${sick.url}/authorize`);
  return "/authorize";
}

/** What an app asks for that shows most of what a consent page has. */
const ASKED = [
  {
    type: "ai_access",
    provider: "openai",
    models: ["gpt-5-mini", "gpt-5.1*"],
    capabilities: ["chat", "embeddings"],
    limits: { budget_usd: "5.00", budget_period: "month", requests_per_minute: 60 },
  },
  { type: "ai_access", provider: "anthropic", models: ["claude-opus-5"], capabilities: ["chat"], limits: { requests: 3 } },
];

/** A broker with apps, grants in every state and what they used; one that is not well; and who is at the browser. */
export async function startPages({ atEnd = after } = {}) {
  const secrets = newSecrets();
  const { broker, browser: returned } = await startWorld({ secrets, atEnd });
  const { browser: returnedMember, authenticator } = await join(returned, { name: "Min Lee" });
  await join(returned, { name: "Chief", role: "operator" });
  // Who came back after an hour is asked whether it is still them before what is risky; who signs in now is not.
  await anHourLater(broker);
  const operator = new Browser(broker);
  await operator.signIn();
  const member = await signInWithPasskey(broker, authenticator);
  const app = await operator.register({ name: "Reading list", homePage: "https://reading.example/" });
  const tool = await operator.register({ name: "Desktop tool", redirectUris: ["http://127.0.0.1/cb"] });

  const { access_token: token, grant_id: grant } = await operator.grant(app, { details: ASKED, money: true });
  for (const words of ["hello", "hello again"]) assert.equal((await chat(broker, token, words)).status, 200);
  await messages(broker, token, "hello");
  await call(broker, token, "/openai/v1/chat/completions", { body: { model: "gpt-4", messages: [] } });
  const { access_token: usedUp, grant_id: paused } = await operator.grant(tool, {
    details: [{ ...ASKED[0], limits: { requests: 2 } }],
  });
  await useUp(broker, usedUp);
  const { grant_id: ended } = await operator.grant(app);
  await operator.revoke(ended);
  const { page } = await operator.get(`/grants/${paused}`);
  await operator.submit(page.form(`/grants/${paused}/pause`));

  // Without tables, and with one start a minute.
  const sick = await startBroker({ secrets, migrate: false, limits: { LIMIT_STARTS: 1 } });
  atEnd(() => sick.close());
  const ask = ({ app: who = app, ...options } = {}) => authorizationRequest(broker, who, { details: ASKED, ...options }).url.href;

  const deviceUrl = async () => {
    const { body } = await postForm(`${broker.url}/device_authorization`, { client_id: tool.client_id, scope: "openai:chat" });
    return body.verification_uri_complete;
  };
  const people = { stranger: new Browser(broker), operator, returned, member, returnedMember };
  return { broker, sick, people, authenticator, app, tool, grant, paused, ended, ask, deviceUrl };
}

/** Where an entry of `PAGES` is. */
async function addressOf(entry, world) {
  await entry.prepare?.(world);
  const there = typeof entry.at === "function" ? await entry.at(world) : entry.at;
  const url = new URL(there, world.broker.url);
  return entry.on ? new URL(url.pathname + url.search, world[entry.on].url).href : url.href;
}

/** Goes there in a tab and does what leads to the page; the answer that it is. `onStep` is told when all before is over. */
export async function visit(entry, page, world, onStep = () => {}) {
  let response = await page.goto(await addressOf(entry, world), { waitUntil: "load" });
  for (const step of [entry.then ?? []].flat()) {
    onStep();
    const arrived = page.waitForResponse((answer) => answer.request().isNavigationRequest() && answer.status() !== 303);
    const loaded = page.waitForEvent("load");
    await step(page, world);
    response = await arrived;
    await loaded;
  }
  assert.equal(response.status(), entry.status ?? 200, page.url());
  return response;
}

/** Chromium, to be closed when the file is done. */
export async function startChromium() {
  const chromium = await launch();
  after(() => chromium.close());
  return chromium;
}

/** A tab for everybody: `tab(who)`. */
export function startTabs(chromium, { people, authenticator }, language) {
  const tabs = new Map();
  return async function tab(who) {
    if (tabs.has(who)) return tabs.get(who);
    const context = await chromium.newContext({ locale: language, viewport: { width: 1280, height: 800 } });
    context.setDefaultTimeout(15_000);
    await serveAssets(context);
    // The form of an answer would be sent on at once.
    await context.route("**/submit.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
    // `localhost` counts as secure, but only an https address may be named for a secure cookie.
    const cookies = [...people[who].cookies].map(([name, value]) => ({ name, value, url: "https://localhost/", secure: true }));
    await context.addCookies(cookies);
    await context.addInitScript(() => {
      globalThis.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => {
        globalThis.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
      });
    });
    const page = await context.newPage();
    if (who === "returnedMember") await takeAlong(page, authenticator);
    tabs.set(who, page);
    return page;
  };
}

/** Gives the browser the passkeys of an authenticator in software, in one of its own. */
async function takeAlong(page, { passkeys }) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true };
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options });
  for (const { id, rpId, userHandle, privateKey, count } of passkeys) {
    const credential = {
      credentialId: id.toString("base64"),
      isResidentCredential: true,
      backupEligibility: true,
      rpId,
      privateKey: privateKey.export({ format: "der", type: "pkcs8" }).toString("base64"),
      userHandle: Buffer.from(userHandle, "base64url").toString("base64"),
      signCount: count,
    };
    await devtools.send("WebAuthn.addCredential", { authenticatorId, credential });
  }
}
