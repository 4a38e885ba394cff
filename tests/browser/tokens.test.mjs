// A token of one's own in a browser: made, copied, used, revoked; and the same without scripts.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { launch, listen, serveAssets, sidewaysScroll } from "../support/chromium.mjs";
import { chat, signInLink } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker } = await startWorld();
const chromium = await launch();
after(() => chromium.close());
const context = await chromium.newContext({ viewport: { width: 1280, height: 800 } });
context.setDefaultTimeout(15_000);
await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: broker.url });
await serveAssets(context);
const page = await context.newPage();
const complaints = listen(page);

async function make(where, name) {
  await where.goto(`${broker.url}/tokens`);
  await where.getByRole("link", { name: "Make a token" }).click();
  await where.getByLabel("Name").fill(name);
  return where;
}

let token;
test("a token is made in one form and copied by a button", async () => {
  await page.goto(signInLink(broker));
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL(/\/grants$/);
  await page.goto(`${broker.url}/tokens`);
  await make(page, "my notebook");
  await page.getByRole("button", { name: "Make the token" }).click();
  await page.getByRole("heading", { name: "my notebook is ready" }).waitFor();
  await page.getByRole("button", { name: "Copy" }).first().click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  // The page itself may write to the clipboard, and not read it.
  const allows = (feature) => page.evaluate((name) => document.featurePolicy.allowsFeature(name), feature);
  assert.deepEqual([await allows("clipboard-write"), await allows("clipboard-read")], [true, false]);
  const elsewhere = await context.newPage();
  await elsewhere.goto(`${broker.url}/health`);
  const copied = await elsewhere.evaluate(() => navigator.clipboard.readText());
  await elsewhere.close();
  [, token] = /AIPASSPORT_TOKEN='([^']+)'/.exec(copied);
  assert.equal((await chat(broker, token)).status, 200);
});

test("on a phone no page moves sideways", async () => {
  await page.setViewportSize({ width: 360, height: 800 });
  assert.equal(await sidewaysScroll(page), 0, "the page of the token");
  for (const path of ["/tokens", "/tokens/new", "/activity"]) {
    await page.goto(broker.url + path);
    assert.equal(await sidewaysScroll(page), 0, path);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("it is revoked on the list, and its next call is refused", async () => {
  await page.goto(`${broker.url}/tokens`);
  await page.getByRole("button", { name: /^Revoke/ }).click();
  await page.getByRole("status").waitFor();
  assert.equal((await chat(broker, token)).status, 401);
  await page.goto(`${broker.url}/activity`);
  assert.match(await page.innerText("main"), /The access of my notebook was revoked/);
});

test("without scripts it all works but the button", async () => {
  const plain = await chromium.newContext({ javaScriptEnabled: false, storageState: await context.storageState() });
  await serveAssets(plain);
  const other = await make(await plain.newPage(), "no scripts");
  await other.getByRole("button", { name: "Make the token" }).click();
  assert.equal(await other.getByRole("button", { name: "Copy" }).count(), 0);
  const [, made] = /AIPASSPORT_TOKEN='([^']+)'/.exec(await other.locator("pre").first().innerText());
  assert.equal((await chat(broker, made)).status, 200);
  await plain.close();
});

test("the browser has nothing to complain about", () => assert.deepEqual(complaints, []));
