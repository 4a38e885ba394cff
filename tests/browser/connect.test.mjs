// The whole story in a browser, on what `npm run dev` starts: sign in, connect an app, chat, watch, take it back.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import http from "node:http";
import { once } from "node:events";
import path from "node:path";
import { after, test } from "node:test";
import { ROOT, freePort } from "../support/broker.mjs";
import { launch, listen, sidewaysScroll } from "../support/chromium.mjs";
import { startStack } from "../support/stack.mjs";
import { until } from "../support/world.mjs";

// Elements of examples/demo/index.html.
const DEMO = { connect: "#connect", access: "#access", prompt: "#prompt", send: "#send", log: "#messages", error: "#error" };

const stack = await startStack();
after(() => stack.stop());
const chromium = await launch();
after(() => chromium.close());
const context = await chromium.newContext({ viewport: { width: 1200, height: 800 } });
context.setDefaultTimeout(15_000);
const page = await context.newPage();
const complaints = listen(page);

const standinRequests = async () => (await fetch(`${stack.standinUrl}/__standin/requests`)).json();

test("the sign-in link signs in, with one press of a button", async () => {
  await page.goto(stack.signInLink);
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL(`${stack.brokerUrl}/grants`);
  const [cookie] = (await context.cookies()).filter(({ name }) => name === "__Host-aip-session");
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "Lax"]);
});

test("the same link does not sign in again", async () => {
  const other = await chromium.newContext();
  const stranger = await other.newPage();
  await stranger.goto(stack.signInLink);
  await stranger.getByRole("button", { name: /sign in/i }).click();
  await stranger.getByRole("heading", { name: "This link does not sign in" }).waitFor();
  assert.match(await stranger.innerText("main, body"), /already|used|expired|no longer/i);
  assert.equal(
    (await other.cookies()).some(({ name }) => name === "__Host-aip-session"),
    false,
  );
  await other.close();
});

test("the demo app asks, and the consent page says in words for what", async () => {
  await page.goto(stack.demoUrl);
  await page.locator(DEMO.connect).click();
  await page.waitForURL(/\/authorize\?/);
  const text = await page.innerText("body");
  assert.match(text, /Demo chat/);
  assert.match(text, /localhost|this (device|computer|machine)/i);
  const [allow, deny] = ["Allow", "Deny"].map((name) => page.getByRole("button", { name }));
  const [one, other] = [await allow.boundingBox(), await deny.boundingBox()];
  assert.ok(
    Math.abs(one.width * one.height - other.width * other.height) / (one.width * one.height) < 0.5,
    "Allow and Deny are of equal weight",
  );
});

let unticked;
test("one limit lowered, one model unticked, allowed: the app is connected", async () => {
  const models = page.locator('input[name="p0.models"]');
  assert.ok((await models.count()) >= 2, "the demo asks for at least two models");
  unticked = await models.last().inputValue();
  assert.equal(await page.locator('input[name="p0.budget_usd"]').inputValue(), "1.00");
  await page.locator('input[name="p0.budget_usd"]').fill("0.75");
  await page.locator('input[name="p0.requests"]').fill("3");
  await models.last().uncheck();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL((url) => url.origin === new URL(stack.demoUrl).origin);
  await page.locator(DEMO.send).waitFor();
  const access = await page.locator(DEMO.access).innerText();
  assert.ok(!access.includes(unticked), "the app knows which model it was not given");
  assert.match(access, /\b3\b/);
  assert.match(access, /0\.75 USD in all/);
  assert.doesNotMatch(page.url(), /code=|state=/, "the code does not stay in the address bar");
});

test("a chat, streamed", async () => {
  await page.locator(DEMO.prompt).fill("Hello there standin:chunks=12 standin:slow=100");
  await page.locator(DEMO.send).click();
  const answer = page.locator(DEMO.log);
  const lengths = new Set();
  await until(async () => {
    lengths.add((await answer.innerText()).length);
    return lengths.size >= 5;
  }, "the answer grows while it arrives");
  await until(async () => await page.locator(DEMO.send).isEnabled(), "the answer is complete");
  const [call] = (await standinRequests()).filter(({ path }) => path.startsWith("/v1/chat/completions"));
  assert.equal(call.body.stream, true);
  assert.notEqual(call.body.model, unticked);
});

test("/grants shows the use", async () => {
  const watching = await context.newPage();
  listen(watching, complaints);
  await until(async () => {
    await watching.goto(`${stack.brokerUrl}/grants`);
    return /\b1\b\D{0,12}\b3\b/.test(await watching.innerText("body"));
  }, "1 of 3 requests");
  const text = await watching.innerText("body");
  assert.match(text, /Demo chat/);
  assert.match(text, /of 0\.75 USD in all/);
  assert.ok(!text.includes(unticked));
  await watching.close();
});

let grantPage;
test("the grant's own page lists the call and what it cost, and changes its limits", async () => {
  const watching = await context.newPage();
  listen(watching, complaints);
  await watching.goto(`${stack.brokerUrl}/grants`);
  await watching.getByRole("link", { name: "Demo chat", exact: true }).click();
  await watching.waitForURL(/\/grants\/.+/);
  grantPage = watching.url();
  await until(async () => {
    await watching.goto(grantPage);
    return /answered 200/.test(await watching.innerText("body"));
  }, "the call is listed");
  assert.match(await watching.innerText("body"), /tokens read, \d+ written · as the provider counted/);
  await watching.locator('input[name="p0.requests"]').fill("5");
  await watching.locator('input[name="p0.budget_usd"]').fill("2,5");
  await watching.getByRole("button", { name: "Save" }).click();
  await watching.getByRole("alert").waitFor();
  assert.equal(await watching.locator('input[name="p0.budget_usd"]').evaluate((field) => field === document.activeElement), true);
  await watching.locator('input[name="p0.budget_usd"]').fill("2.50");
  await watching.getByRole("button", { name: "Save" }).click();
  await watching.getByRole("status").filter({ hasText: "Saved" }).waitFor();
  assert.match(await watching.innerText("body"), /of 2\.50 USD in all/);
  await watching.close();
});

test("paused: the next message fails and says why; resumed: it goes through", async () => {
  const watching = await context.newPage();
  listen(watching, complaints);
  await watching.goto(grantPage);
  await watching.getByRole("button", { name: "Pause" }).click();
  await watching.getByRole("button", { name: "Resume" }).waitFor();
  const known = complaints.length;
  await page.locator(DEMO.prompt).fill("Anybody there?");
  await page.locator(DEMO.send).click();
  await page.locator(DEMO.error).waitFor();
  assert.match(await page.locator(DEMO.error).innerText(), /paused/);
  // The browser itself reports every 403 on its console; that one is the point here.
  complaints.splice(known, complaints.length, ...complaints.slice(known).filter((text) => !/status of 403/.test(text)));
  await watching.getByRole("button", { name: "Resume" }).click();
  await watching.getByRole("button", { name: "Pause" }).waitFor();
  await page.locator(DEMO.send).click();
  await page.locator(DEMO.error).waitFor({ state: "hidden" });
  await until(async () => await page.locator(DEMO.send).isEnabled(), "the answer is complete");
  await watching.goto(`${stack.brokerUrl}/grants`);
  await watching.close();
});

test("revoked: the next message in the demo app fails, and says why", async () => {
  const taking = await context.newPage();
  listen(taking, complaints);
  await taking.goto(`${stack.brokerUrl}/grants`);
  await taking
    .getByRole("button", { name: /revoke/i })
    .first()
    .click();
  await taking.waitForURL(/revoked/);
  await taking.close();

  const before = (await standinRequests()).length;
  // The browser itself reports every 401 on its console; that one is the point here.
  const known = complaints.length;
  await page.locator(DEMO.prompt).fill("Are you still there?");
  await page.locator(DEMO.send).click();
  await page.locator(DEMO.error).waitFor();
  assert.match(await page.locator(DEMO.error).innerText(), /revoked|no longer|connect again|expired/i);
  complaints.splice(known, complaints.length, ...complaints.slice(known).filter((text) => !/status of 40[01]/.test(text)));
  assert.equal((await standinRequests()).length, before);
});

test("denied: the demo app is told, and stays unconnected", async () => {
  await page.goto(stack.demoUrl);
  await page.locator(DEMO.connect).click();
  await page.waitForURL(/\/authorize\?/);
  await page.getByRole("button", { name: "Deny" }).click();
  await page.waitForURL((url) => url.origin === new URL(stack.demoUrl).origin);
  await until(async () => /denied|declined|not allowed/i.test(await page.innerText("body")), "the app says so");
});

test("the page for apps works: registering one shows it", async () => {
  await page.goto(`${stack.brokerUrl}/apps`);
  await page.locator('input[name="name"]').fill("Made in a browser");
  await page.locator('input[name="home_page"]').fill("https://made.example/");
  await page.locator('textarea[name="redirect_uris"]').fill("https://made.example/callback");
  await page.getByRole("button", { name: /register|add|create/i }).click();
  await page.getByText("Made in a browser").first().waitFor();
});

test("the platform serves style sheet, scripts and icon as they are, and says what they are", async () => {
  const types = { ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };
  const files = (await readdir(path.join(ROOT, "public"))).filter((name) => name !== "_headers");
  for (const name of files) {
    const answer = await fetch(`${stack.brokerUrl}/${name}`);
    assert.equal(answer.status, 200, name);
    assert.equal(answer.headers.get("content-type").split(";")[0], types[path.extname(name)], name);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", name);
    assert.equal(answer.headers.get("cache-control"), "public, max-age=300, must-revalidate", name);
    assert.equal(await answer.text(), await readFile(path.join(ROOT, "public", name), "utf8"), name);
  }
});

test("an error page says what to do", async () => {
  await page.goto(`${stack.brokerUrl}/authorize?client_id=nobody&redirect_uri=https://x.example/`);
  assert.ok((await page.innerText("body")).length > 40);
  await page.goto(`${stack.brokerUrl}/nothing-here`);
});

test("no page is wider than a phone, and every page has a title, a language, a heading and labelled fields", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(stack.demoUrl);
  const demoConsent = page.waitForURL(/\/authorize\?/);
  await page.locator(DEMO.connect).click();
  await demoConsent;
  const consent = page.url();
  for (const url of [
    consent,
    `${stack.brokerUrl}/grants`,
    grantPage,
    `${stack.brokerUrl}/apps`,
    `${stack.brokerUrl}/sign-in`,
    stack.demoUrl,
  ]) {
    await page.goto(url);
    assert.equal(await sidewaysScroll(page), 0, url);
    const found = await page.evaluate(() => ({
      title: document.title,
      lang: document.documentElement.lang,
      headings: document.querySelectorAll("h1").length,
      unlabelled: [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
        .filter((field) => !field.labels?.length && !field.getAttribute("aria-label") && !field.getAttribute("aria-labelledby"))
        .map((field) => field.name || field.id),
    }));
    assert.ok(found.title && found.lang, url);
    assert.equal(found.headings, 1, url);
    assert.deepEqual(found.unlabelled, [], url);
  }
  await page.setViewportSize({ width: 1200, height: 800 });
});

test("the consent page can be used with the keyboard alone", async () => {
  await page.goto(stack.demoUrl);
  await page.locator(DEMO.connect).click();
  await page.waitForURL(/\/authorize\?/);
  const reached = new Set();
  for (let i = 0; i < 60; i += 1) {
    await page.keyboard.press("Tab");
    reached.add(
      await page.evaluate(() => document.activeElement?.textContent?.trim() || document.activeElement?.getAttribute("name")),
    );
    if (reached.has("Allow") && reached.has("Deny")) break;
  }
  assert.ok(reached.has("Allow") && reached.has("Deny"), [...reached].join(", "));
  const outline = await page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" || style.boxShadow !== "none";
  });
  assert.ok(outline, "the focus can be seen");
});

test("another site can't frame the consent page", async () => {
  await page.goto(stack.demoUrl);
  await page.locator(DEMO.connect).click();
  await page.waitForURL(/\/authorize\?/);
  const consent = page.url();
  const port = await freePort();
  const evil = http.createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(
      `<!doctype html><title>evil</title><iframe id="frame" width="900" height="700" src="${consent.replaceAll("&", "&amp;")}"></iframe>`,
    );
  });
  evil.listen(port, "127.0.0.1");
  await once(evil, "listening");
  const trap = await context.newPage();
  const refused = listen(trap);
  await trap.goto(`http://127.0.0.1:${port}/`);
  await until(
    () => refused.some((text) => /frame-ancestors|X-Frame-Options|Refused to (display|frame)|Framing/i.test(text)),
    "Chromium refuses the frame",
  );
  const framed = trap.frames().find((frame) => frame !== trap.mainFrame());
  assert.equal(
    await framed
      .locator("form")
      .count()
      .catch(() => 0),
    0,
  );
  await trap.close();
  evil.close();
});

test("signing out ends the session", async () => {
  await page.goto(`${stack.brokerUrl}/grants`);
  await page.getByRole("button", { name: /sign out/i }).click();
  await page.waitForURL(`${stack.brokerUrl}/`);
  await page.goto(`${stack.brokerUrl}/grants`);
  assert.doesNotMatch(await page.innerText("body"), /Demo chat/);
});

test("on all of this way Chromium had nothing to complain about: no error, no policy violated", () => {
  // A page that is shown with 4xx on purpose is an error to the console too.
  const own = complaints.filter((text) => !/Failed to load resource.*status of (400|404)/.test(text));
  assert.deepEqual(own, []);
});

test("SIGTERM ends everything that npm run dev started", async () => {
  await chromium.close();
  assert.equal(await stack.stop(), 0);
  for (const port of stack.ports) {
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), `nothing listens on ${port}`);
  }
});
