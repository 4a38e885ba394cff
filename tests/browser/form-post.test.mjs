// OAuth 2.0 Form Post Response Mode in a real browser: the policy must let the form through, and nothing else.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, test } from "node:test";
import { launch, listen, serveAssets, sidewaysScroll } from "../support/chromium.mjs";
import { authorizationRequest, signInLink } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser } = await startWorld();
const app = await browser.register({ name: "Desktop tool", redirectUris: ["http://127.0.0.1/cb", "http://[::1]/cb"] });
const chromium = await launch();
after(() => chromium.close());

/** An app that listens for its answer, and sends the browser on to a page of its own, as a good one does. */
async function startApp(host) {
  const received = [];
  const server = http.createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    if (request.method === "POST") {
      received.push({ target: request.url, headers: request.headers, fields: Object.fromEntries(new URLSearchParams(body)) });
      return response.writeHead(303, { location: "/done" }).end();
    }
    response.writeHead(200, { "content-type": "text/html" }).end("<title>done</title><link rel=icon href=data:,><p>The app has it.");
  });
  server.listen(0, host);
  await once(server, "listening");
  after(() => server.close());
  const origin = `http://${host.includes(":") ? `[${host}]` : host}:${server.address().port}`;
  return { received, origin, redirectUri: `${origin}/cb` };
}

async function signedIn(options) {
  const context = await chromium.newContext({ viewport: { width: 1200, height: 800 }, ...options });
  context.setDefaultTimeout(15_000);
  after(() => context.close());
  await serveAssets(context);
  const page = await context.newPage();
  const complaints = listen(page);
  await page.goto(signInLink(broker));
  await page.getByRole("button", { name: /sign in/i }).click();
  await page.waitForURL(`${broker.url}/grants`);
  return { page, complaints };
}

const STATE = `"><script>alert(1)</script>' & é+%20`;

for (const host of ["127.0.0.1", "::1"]) {
  test(`Form Post §2: a script sends the answer to an app at ${host}, and its state is as it was`, async () => {
    const { received, redirectUri, origin } = await startApp(host);
    const { page, complaints } = await signedIn();
    const change = { redirect_uri: redirectUri, response_mode: "form_post", state: STATE };
    page.on("dialog", () => assert.fail("a script of the app's ran"));
    await page.goto(authorizationRequest(broker, app, { change }).url.href);
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL(`${origin}/done`);
    assert.equal(received.length, 1, "posted once");
    const [{ target, headers, fields }] = received;
    assert.equal(target, "/cb");
    assert.deepEqual(Object.keys(fields).sort(), ["code", "iss", "state"]);
    assert.deepEqual([fields.state, fields.iss], [STATE, broker.url]);
    assert.equal(headers.referer, undefined);
    assert.deepEqual(complaints, []);
  });
}

test("an app that asks in a window of its own stays connected with it, through signing in and consent", async () => {
  const { redirectUri, origin } = await startApp("127.0.0.1");
  const context = await chromium.newContext();
  context.setDefaultTimeout(15_000);
  after(() => context.close());
  await serveAssets(context);
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  const { url } = authorizationRequest(broker, app, { change: { redirect_uri: redirectUri } });
  const opened = page.waitForEvent("popup");
  await page.evaluate((address) => void window.open(address, "consent", "popup"), url.href);
  const popup = await opened;
  await popup.getByRole("heading", { name: /sign in/i }).first().waitFor();
  const link = new URL(signInLink(broker));
  await popup.evaluate((target) => void (location.href = target), link.href);
  await popup.getByRole("button", { name: /sign in/i }).click();
  await popup.getByRole("button", { name: "Allow" }).click();
  await popup.waitForURL((there) => there.origin === origin);
  assert.equal(await popup.evaluate(() => window.opener !== null), true);
});

test("Form Post §2: without scripts a button sends it", async () => {
  const { received, redirectUri, origin } = await startApp("127.0.0.1");
  const { page, complaints } = await signedIn({ javaScriptEnabled: false });
  const change = { redirect_uri: redirectUri, response_mode: "form_post", state: STATE };
  await page.goto(authorizationRequest(broker, app, { change }).url.href);
  await page.getByRole("button", { name: "Deny" }).click();
  await page.getByRole("heading", { name: "Back to the app" }).waitFor();
  assert.equal(received.length, 0);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL(`${origin}/done`);
  assert.deepEqual([received[0].fields.error, received[0].fields.state], ["access_denied", STATE]);
  assert.deepEqual(complaints, []);
});

test("Form Post §2: an error without any page before it is sent by the script, too", async () => {
  const { received, redirectUri, origin } = await startApp("127.0.0.1");
  const { page, complaints } = await signedIn();
  const change = { redirect_uri: redirectUri, response_mode: "form_post", prompt: "none" };
  await page.goto(authorizationRequest(broker, app, { change }).url.href).catch(() => {});
  await page.waitForURL(`${origin}/done`);
  assert.equal(received[0].fields.error, "consent_required");
  assert.deepEqual(complaints, []);
});

test("both pages fit a phone", async () => {
  const { page } = await signedIn();
  // The form waits to be sent.
  await page.route("**/submit.js", (route) => route.abort());
  const redirectUri = `http://127.0.0.1:9/cb`;
  const change = { redirect_uri: redirectUri, response_mode: "form_post", prompt: "none" };
  await page.goto(authorizationRequest(broker, app, { change }).url.href);
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await sidewaysScroll(page), 0);
  await page.goto(authorizationRequest(broker, app, { change: { redirect_uri: redirectUri, prompt: "login" } }).url.href);
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await sidewaysScroll(page), 0);
});
