// The page for developers: found from the start page, and its code on a phone.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { launch, listen, serveAssets, sidewaysScroll } from "../support/chromium.mjs";
import { startWorld } from "../support/world.mjs";

const { broker } = await startWorld();
const chromium = await launch();
after(() => chromium.close());
const context = await chromium.newContext({ viewport: { width: 1200, height: 800 } });
await serveAssets(context);
const page = await context.newPage();
const complaints = listen(page);

test("the start page leads there", async () => {
  await page.goto(broker.url);
  await page.getByRole("link", { name: "How to connect an app" }).click();
  await page.waitForURL(`${broker.url}/developers`);
});

test("on a phone the page does not move sideways; its code does, and by keyboard too", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await sidewaysScroll(page), 0);
  for (const name of ["JavaScript", "Python", "By hand"]) {
    const code = page.getByRole("region", { name });
    assert.ok(await code.evaluate((element) => element.scrollWidth > element.clientWidth), `${name} is wider than the phone`);
    await code.focus();
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction((element) => element.scrollLeft > 0, await code.elementHandle());
  }
  assert.equal(await sidewaysScroll(page), 0);
});

test("the browser has nothing to complain about", () => assert.deepEqual(complaints, []));
