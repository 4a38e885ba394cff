// The page of a grant in a browser: it keeps up by itself, takes nothing from under anybody's hands, and works without scripts.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { book, bookMany } from "../support/calls.mjs";
import { launch, listen, serveAssets } from "../support/chromium.mjs";
import { chat, chatBody, signInLink } from "../support/flow.mjs";
import { sse, startScripted } from "../support/scripted.mjs";
import { startWorld, until } from "../support/world.mjs";

const provider = await startScripted();
after(() => provider.close());
const { broker, browser, app } = await startWorld({ env: { OPENAI_BASE_URL: provider.url } });
const chromium = await launch();
after(() => chromium.close());

/** A browser in which the operator is signed in. */
async function signedIn(options = {}) {
  const context = await chromium.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(15_000);
  await serveAssets(context);
  const page = await context.newPage();
  await page.goto(signInLink(broker));
  await page.locator("main button").first().click();
  await page.waitForURL(/\/grants/);
  await page.close();
  return context;
}

const context = await signedIn();
const complaints = [];
/** The page of a grant, opened. Its own time can be moved: `hurry`. */
async function open(id, query = "", where = context) {
  const page = await where.newPage();
  listen(page, complaints);
  await page.clock.install();
  await page.goto(`${broker.url}/grants/${id}${query}`);
  return page;
}

/** Lets the time of a page pass, in which it asks what is new, until a condition holds. */
const hurry = (page, condition, what) =>
  until(async () => {
    await page.clock.fastForward(2000);
    return condition();
  }, what);

const usage = { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 };
const chunk = (delta, finish_reason, more = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "gpt-5-mini",
  choices: [{ index: 0, delta, finish_reason }],
  ...more,
});
const message = { role: "assistant", content: "hi", refusal: null };
const completion = { ...chunk(), object: "chat.completion", choices: [{ index: 0, message, finish_reason: "stop" }], usage };
provider.json(completion);

/** A call whose answer has begun, and ends when it is told to: its text so far, and whether it is over. */
async function stream(token) {
  const told = Promise.withResolvers();
  provider.stream(sse([chunk({ role: "assistant", content: "Slowly" }, null)]), async (response) => {
    await told.promise;
    response.end(sse([chunk({}, "stop"), chunk({}, null, { choices: [], usage }), "[DONE]"]).join(""));
  });
  const response = await fetch(`${broker.url}/openai/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(chatBody("hello", { stream: true })),
  });
  provider.json(completion);
  const running = { status: response.status, text: "", isOver: false };
  const over = (async () => {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) running.text += decoder.decode(chunk, { stream: true });
    } catch {
      running.text += "(broken off)";
    }
    running.isOver = true;
  })();
  running.end = () => {
    told.resolve();
    return over;
  };
  return running;
}

test("a call appears by itself, and the figures count it", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const page = await open(id);
  assert.match(await page.innerText("[data-live=calls]"), /No call yet/);
  await chat(broker, token);
  await hurry(page, () => page.getByText("answered 200").isVisible(), "the call is listed");
  await hurry(page, async () => /\b1\b/.test(await page.innerText("[data-live=figures] .permission")), "the figures count it");
  assert.equal(await page.locator("[data-live=calls] li").count(), 1);
  await page.close();
});

test("limits are edited while a stream runs: the stream goes on, the form is not touched, the next call is held to them", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const page = await open(id);
  const running = await stream(token);
  await hurry(page, async () => /1 running/.test(await page.innerText("[data-live=figures]")), "the call in flight is shown");
  const field = page.locator('input[name="requests"]');
  await page.locator("form.card details", { has: field }).locator("summary").click();
  await field.fill("1");
  await book(broker, id, 1000);
  await hurry(page, () => page.locator("[data-live=calls] li").isVisible(), "the page keeps up meanwhile");
  assert.equal(await field.inputValue(), "1", "what is being filled in stays");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved. It holds from the next call on.").waitFor();
  assert.equal(running.isOver, false);
  await running.end();
  assert.match(running.text, /\[DONE\]/);
  assert.notEqual((await chat(broker, token)).status, 200);
  await page.close();
});

test("revoked while a stream runs: the page says so by itself in another tab, and the next call is refused", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const watching = await open(id);
  const page = await open(id);
  const running = await stream(token);
  await until(async () => running.text.length > 0, "the stream runs");
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.waitForURL(/revoked/);
  assert.equal((await chat(broker, token)).status, 401);
  await hurry(watching, () => watching.locator("[data-live=state] h2", { hasText: "Revoked" }).isVisible(), "the other tab says so");
  assert.match(await watching.innerText("[data-live-said]"), /ended it/, "said to who can't see it");
  assert.equal(await watching.locator("[data-live=state] button").count(), 0);
  await running.end();
  await watching.close();
  await page.close();
});

test("extended by a length of time, and by a day", async () => {
  const { grant_id: id } = await browser.grant(app);
  const page = await open(id);
  await page.getByLabel("It ends").selectOption({ label: "30 days from now" });
  await page.getByRole("button", { name: "Change the end" }).click();
  await page.getByText("in 30 days").first().waitFor();
  const day = new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10);
  await page.getByLabel("Last day, in UTC").fill(day);
  await page.getByRole("button", { name: "Change the end" }).click();
  await page.getByText(/in [34] days/).first().waitFor();
  assert.match(await page.innerText(".changes"), /Given another end/);
  await page.close();
});

test("calls are filtered and paged through, and downloaded as they are filtered", async () => {
  const { grant_id: id } = await browser.grant(app);
  await bookMany(broker, id, 130, { model: "'model-' || (i % 2)" });
  const page = await open(id);
  await page.getByLabel("Model").selectOption("model-1");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("65 calls").waitFor();
  assert.equal(await page.locator(".bookings li").count(), 50);
  await page.getByRole("link", { name: "Older" }).click();
  await page.getByRole("link", { name: "Newer" }).waitFor();
  assert.equal(await page.locator(".bookings li").count(), 15);
  assert.match(page.url(), /model=model-1/);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "CSV" }).click()]);
  assert.match(download.suggestedFilename(), /^calls-.*\.csv$/);
  const text = await readFile(await download.path(), "utf8");
  assert.equal(text.trimEnd().split("\r\n").length, 66);
  await page.close();
});

test("an open detail stays open and the focus stays where it is while the page keeps up", async () => {
  const { grant_id: id } = await browser.grant(app);
  const page = await open(id);
  await page.locator("form.card summary").first().click();
  const pause = page.getByRole("button", { name: "Pause" });
  await pause.focus();
  await book(broker, id, 1);
  await hurry(page, () => page.locator("[data-live=calls] li").isVisible(), "the page keeps up");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Pause");
  assert.equal(await page.locator("form.card details[open]").count(), 1);
  await page.close();
});

test("hidden, it asks nothing; shown again, it asks at once", async () => {
  const { grant_id: id } = await browser.grant(app);
  const page = await open(id);
  const asked = [];
  page.on("request", (request) => request.url().endsWith("/live") && asked.push(request));
  const hide = (hidden) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  // From here on its time stands still but where a test moves it.
  await page.clock.pauseAt(Date.now() + 60_000);
  await until(() => asked.length > 0, "it asks");
  await hide(true);
  await asked.at(-1).response();
  const before = asked.length;
  await page.clock.runFor(5 * 60_000);
  // Whatever it asked for before this would have been seen before this.
  await page.evaluate(() => fetch("/health"));
  assert.equal(asked.length, before);
  await hide(false);
  await until(() => asked.length > before, "it asks again");
  await page.close();
});

test("the page loads itself, its style, its script, and no more", async () => {
  const { grant_id: id } = await browser.grant(app);
  const page = await context.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(`${broker.url}/grants/${id}`);
  await page.waitForLoadState("load");
  assert.deepEqual(asked.filter((path) => path !== "/icon.svg").sort(), [`/grants/${id}`, "/live.js", "/style.css"].sort());
  await page.close();
});

test("without scripts everything can be done; a link refreshes", async () => {
  const plain = await signedIn({ javaScriptEnabled: false });
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const page = await open(id, "", plain);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).click();
  await chat(broker, token);
  await until(async () => {
    await page.getByRole("link", { name: "Refresh" }).click();
    return /answered 200/.test(await page.innerText("body"));
  }, "the call is listed after a refresh");
  await page.getByLabel("It ends").selectOption("3600");
  await page.getByRole("button", { name: "Change the end" }).click();
  await page.getByText("in 1 hour").first().waitFor();
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.waitForURL(/revoked/);
  await plain.close();
});

test("nothing on the pages of a grant is wider than a phone, in both languages", async () => {
  const { grant_id: id } = await browser.grant(app);
  await book(broker, id, 1, { model: "m".repeat(200), endpoint: `/v1/${"e".repeat(200)}` });
  for (const locale of ["en-US", "ko-KR"]) {
    const narrow = await signedIn({ viewport: { width: 360, height: 800 }, locale });
    for (const what of ["", "/history"]) {
      const page = await open(id, what, narrow);
      const beyond = await page.evaluate(() =>
        [...document.querySelectorAll("main *")].filter((part) => part.getBoundingClientRect().right > innerWidth).map((part) => part.outerHTML.slice(0, 80)),
      );
      assert.deepEqual(beyond, [], `${locale} ${what}`);
    }
    await narrow.close();
  }
});

test("Chromium had nothing to complain about: no error, no policy violated", () => {
  assert.deepEqual(complaints, []);
});
