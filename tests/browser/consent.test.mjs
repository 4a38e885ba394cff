// The consent page in Chromium: with the keyboard alone, without scripts, on a phone, in both languages, and when it came too late.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { launch, listen, serveAssets } from "../support/chromium.mjs";
import { DETAILS, authorizationRequest, signInLink } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, app } = await startWorld();
const chromium = await launch();
after(() => chromium.close());
const context = await chromium.newContext({ viewport: { width: 1280, height: 900 }, javaScriptEnabled: false, locale: "en-US" });
context.setDefaultTimeout(15_000);
// The app answers nothing: where the browser is sent is enough.
await context.route("https://app.example/**", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<title>app</title>app" }));
await serveAssets(context);
const page = await context.newPage();
const complaints = listen(page);
let leftFor;
page.on("request", (request) => {
  if (request.url().startsWith("https://app.example/")) leftFor = request.url();
});

const details = [{ ...DETAILS[0], limits: { requests: 1000 } }, DETAILS[1]];
const open = (options) => page.goto(authorizationRequest(broker, app, { details, ...options }).url.href);
const sent = async () => {
  const url = await until(() => leftFor, "the browser is sent to the app");
  leftFor = undefined;
  // Nobody is there. The browser is done with it once it has said so.
  await until(() => /^(chrome-error:|https:\/\/app\.example\/)/.test(page.url()), "the browser went there");
  await page.waitForLoadState();
  return new URL(url).searchParams;
};
const lastLimits = async () => JSON.parse((await broker.sql("SELECT terms FROM grants ORDER BY rowid DESC LIMIT 1"))[0].terms).limits;

test("without a script: signed in, the page proposes a week, and one press allows it", async () => {
  await page.goto(signInLink(broker));
  await page.getByRole("button", { name: /sign in/i }).click();
  await open();
  assert.equal(await page.locator('input[name="budget_usd"]').isVisible(), false, "one's own limits are put away");
  await page.getByRole("button", { name: "Allow" }).click();
  assert.ok((await sent()).get("code"));
  assert.deepEqual(await lastLimits(), { budget_usd: "5.00" });
});

test("without a script: one's own limits open where they are chosen, and hold", async () => {
  await open();
  await page.getByLabel("Your own limits").check();
  await page.locator('input[name="budget_usd"]').fill("2.50");
  await page.getByRole("button", { name: "Allow" }).click();
  assert.ok((await sent()).get("code"));
  assert.deepEqual(await lastLimits(), { budget_usd: "2.50" });
});

test("Enter in a field decides nothing", async () => {
  await open();
  await page.getByLabel("Your own limits").check();
  await page.locator('input[name="budget_usd"]').fill("1.25");
  await page.locator('input[name="budget_usd"]').press("Enter");
  await page.waitForURL(`${broker.url}/authorize`);
  assert.equal(await page.locator('input[name="budget_usd"]').inputValue(), "1.25");
});

test("with the keyboard alone a try is chosen and allowed", async () => {
  await open();
  await page.getByRole("radio", { name: /A week/ }).focus();
  await page.keyboard.press("ArrowUp");
  for (let count = 0; count < 80; count += 1) {
    await page.keyboard.press("Tab");
    if ((await page.locator(":focus").textContent()) === "Allow") break;
  }
  assert.equal(await page.locator(":focus").textContent(), "Allow");
  await page.keyboard.press("Enter");
  assert.ok((await sent()).get("code"));
  assert.deepEqual(await lastLimits(), { budget_usd: "1.00" });
});

test("Deny and Allow have the same size and the same look", async () => {
  await open();
  const [deny, allow] = await Promise.all(["Deny", "Allow"].map((name) => page.getByRole("button", { name }).boundingBox()));
  assert.deepEqual([deny.width, deny.height], [allow.width, allow.height]);
});

test("another language keeps what was filled in", async () => {
  await open();
  await page.getByLabel("Your own limits").check();
  await page.locator('input[name="budget_usd"]').fill("3.75");
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("button", { name: "허용" }).waitFor();
  assert.equal(await page.locator('input[name="budget_usd"]').inputValue(), "3.75");
  assert.equal(await page.locator("html").getAttribute("lang"), "ko");
  await page.getByRole("button", { name: "English" }).click();
  await page.getByRole("button", { name: "Allow" }).waitFor();
});

test("a page that was open too long comes back and is answered", async () => {
  await open();
  await broker.sql("UPDATE authorization_requests SET expires_at = 1 WHERE decided_at IS NULL");
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByText(/open for more than ten minutes/).waitFor();
  await page.getByRole("button", { name: "Allow" }).click();
  assert.ok((await sent()).get("code"));
});

test("denied with a reason", async () => {
  await open();
  await page.getByLabel("If you deny, the app is told:").selectOption("unknown_app");
  await page.getByRole("button", { name: "Deny" }).click();
  const answer = await sent();
  assert.deepEqual([answer.get("error"), answer.get("error_description")], [
    "access_denied",
    "the user denied the request: they do not know this app",
  ]);
});

test("nothing is wider than a phone, and asked and granted stand beside each other where there is room", async () => {
  for (const width of [320, 360, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    await open();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), true, String(width));
    const [asked, granted] = await Promise.all([".asked", ".granted"].map((part) => page.locator(part).first().boundingBox()));
    assert.equal(asked.y === granted.y, width === 1280, String(width));
  }
});

test("on all of this way Chromium had nothing to complain about", () => {
  assert.deepEqual(
    complaints.filter((text) => !/status of 400/.test(text)),
    [],
  );
});
