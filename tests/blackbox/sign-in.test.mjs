import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { base64url } from "../support/broker.mjs";
import { Browser, authorizationRequest, signInLink, signInToken } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, app } = await startWorld();
const SESSION = "__Host-aip-session";
const isSignedIn = async (browser) =>
  (await browser.get("/grants")).page.forms.some((form) => form.action.pathname === "/sign-out");

async function signedIn() {
  const browser = new Browser(broker);
  await browser.signIn();
  return browser;
}

async function refused(link) {
  const browser = new Browser(broker);
  const shown = await browser.get(link);
  const form = shown.page.forms.find((form) => form.action.pathname === "/sign-in");
  const answer = form
    ? await browser.submit(form)
    : await browser.post("/sign-in", new URLSearchParams({ token: new URL(link).searchParams.get("token") }));
  assert.ok(answer.status >= 400 && answer.status < 500, `status ${answer.status}`);
  assert.equal(browser.cookies.has(SESSION), false);
  assert.equal(await isSignedIn(browser), false);
  return answer;
}

test("a sign-in link makes a session", async () => {
  const browser = await signedIn();
  assert.equal(await isSignedIn(browser), true);
});

test("opening the link uses nothing up: previews and scanners may fetch it", async () => {
  const link = signInLink(broker);
  for (let i = 0; i < 3; i += 1) await new Browser(broker).get(link);
  const browser = new Browser(broker);
  const { page } = await browser.get(link);
  assert.equal((await browser.submit(page.form("/sign-in"))).status, 303);
  assert.equal(await isSignedIn(browser), true);
});

test("a sign-in link works once", async () => {
  const link = signInLink(broker);
  const first = new Browser(broker);
  await first.submit((await first.get(link)).page.form("/sign-in"));
  assert.equal(await isSignedIn(first), true);
  await refused(link);
});

test("of many who use one link at the same moment one gets in", async () => {
  const token = signInToken(broker);
  const browsers = Array.from({ length: 10 }, () => new Browser(broker));
  const answers = await Promise.all(browsers.map((browser) => browser.post("/sign-in", new URLSearchParams({ token }))));
  assert.equal(answers.filter(({ status }) => status === 303).length, 1);
  assert.equal(browsers.filter((browser) => browser.cookies.has(SESSION)).length, 1);
});

test("an expired link is refused", async () => {
  await refused(signInLink(broker, { expiresInSeconds: -1 }));
});

test("a link that claims a longer life than ten minutes is refused", async () => {
  await refused(signInLink(broker, { expiresInSeconds: 86_400 }));
});

test("a link signed with another key is refused", async () => {
  await refused(signInLink(broker, { key: base64url(randomBytes(32)) }));
});

test("a link whose payload was changed is refused", async () => {
  const [payload, mac] = signInToken(broker).slice("aip_sl_".length).split(".");
  const changed = { ...JSON.parse(Buffer.from(payload, "base64url")), n: base64url(randomBytes(16)) };
  await refused(`${broker.url}/sign-in?token=aip_sl_${base64url(JSON.stringify(changed))}.${mac}`);
});

for (const token of ["", "x", "aip_sl_", "aip_sl_.", `aip_sl_${"A".repeat(5000)}.AAAA`, "aip_sl_é.é"]) {
  test(`what is no token is refused: ${JSON.stringify(token.slice(0, 20))}`, async () => {
    await refused(`${broker.url}/sign-in?token=${encodeURIComponent(token)}`);
  });
}

test("RFC 6265bis §4.1.3: the session cookie is __Host-, HttpOnly, Secure and SameSite=Lax", async () => {
  const answer = await new Browser(broker).signIn();
  const [cookie] = answer.headers.getSetCookie().filter((line) => line.startsWith(`${SESSION}=`));
  const attributes = cookie
    .split(";")
    .slice(1)
    .map((part) => part.trim().toLowerCase());
  for (const wanted of ["httponly", "secure", "samesite=lax", "path=/"]) assert.ok(attributes.includes(wanted), cookie);
  assert.ok(!attributes.some((attribute) => attribute.startsWith("domain")), cookie);
});

test("the session is stored hashed", async () => {
  const browser = await signedIn();
  const rows = await broker.sql("SELECT * FROM sessions");
  assert.ok(rows.length > 0);
  assert.ok(!JSON.stringify(rows).includes(browser.cookies.get(SESSION)));
});

test("after signing out the old cookie is worth nothing", async () => {
  const browser = await signedIn();
  const thief = new Browser(broker);
  thief.cookies = new Map(browser.cookies);
  const { page } = await browser.get("/grants");
  assert.equal((await browser.submit(page.form("/sign-out"))).status, 303);
  assert.equal(browser.cookies.has(SESSION), false);
  assert.equal(await isSignedIn(thief), false);
});

test("an expired session is over", async () => {
  const browser = await signedIn();
  await broker.sql("UPDATE sessions SET expires_at = ?", Math.floor(Date.now() / 1000));
  assert.equal(await isSignedIn(browser), false);
});

test("a session that is used lives on: twelve hours from the last use", async () => {
  const browser = await signedIn();
  const soon = Math.floor(Date.now() / 1000) + 600;
  await broker.sql("UPDATE sessions SET expires_at = ? WHERE expires_at > ?", soon, soon);
  await browser.get("/grants");
  const [{ latest }] = await broker.sql("SELECT MAX(expires_at) AS latest FROM sessions");
  assert.ok(latest > soon + 3600, `${latest} is not well after ${soon}`);
});

test("whoever comes from an app lands on its consent page after signing in", async () => {
  const browser = new Browser(broker);
  const { url } = authorizationRequest(broker, app);
  const shown = await browser.get(url);
  assert.equal(shown.status, 200);
  assert.ok(!shown.page.forms.some((form) => form.action.pathname === "/authorize"), "no consent without a session");
  const { location } = await browser.signIn();
  assert.equal(location.href, url.href);
  const consent = await browser.get(location);
  assert.equal(consent.page.form("/authorize").method, "POST");
});

/** Where the page leads back to: the answer that the app would get. */
function wayBack({ page }, redirectUri = app.redirect_uri) {
  const [href] = page.all("href").filter((href) => href.startsWith(`${redirectUri}?`));
  assert.ok(href, page.text);
  const answer = Object.fromEntries(new URL(href).searchParams);
  delete answer.error_description;
  return answer;
}

test("whoever comes from an app reads who it is, and can go back to it with access_denied before signing in", async () => {
  const browser = new Browser(broker);
  const { url, state } = authorizationRequest(broker, app);
  const shown = await browser.get(url);
  assert.match(shown.page.text, /Test app at app\.example wants to use AI on your account\./);
  assert.match(shown.page.text, /Cancel and go back to app\.example/);
  assert.deepEqual(wayBack(shown), { error: "access_denied", state, iss: broker.url });
  assert.equal((await browser.signIn()).location.href, url.href, "who signs in after all finds the request");
});

test("CWE-601: nothing leads to an address that isn't proven to be the app's own", async () => {
  const evil = "https://evil.example/callback";
  for (const change of [{ redirect_uri: evil }, { client_id: "nobody", redirect_uri: evil }]) {
    const { page, status, headers } = await new Browser(broker).get(authorizationRequest(broker, app, { change }).url);
    assert.equal(status, 400);
    const leads = [...page.all("href"), ...page.all("action"), headers.get("content-security-policy")];
    assert.ok(!leads.some((text) => text.includes("evil.example")), page.html);
  }
});

for (const target of [
  "//evil.example/",
  "https://evil.example/",
  "/\\evil.example",
  "/%5Cevil.example",
  "/authorize@evil.example",
  "/authorized?x",
  "/sign-out",
  "javascript:alert(1)",
]) {
  test(`CWE-601: signing in doesn't lead to ${target}`, async () => {
    const browser = new Browser(broker);
    browser.cookies.set("__Host-aip-return", target);
    const encoded = new Browser(broker);
    encoded.cookies.set("__Host-aip-return", encodeURIComponent(target));
    const asBase64 = new Browser(broker);
    asBase64.cookies.set("__Host-aip-return", base64url(target));
    for (const one of [browser, encoded, asBase64]) {
      const { location } = await one.signIn();
      assert.equal(location.href, `${broker.url}/grants`);
    }
  });
}

test("without a session /grants and /apps show nothing and ask to sign in", async () => {
  for (const path of ["/grants", "/apps"]) {
    const answer = await new Browser(broker).follow(path);
    assert.match(answer.page.text, /sign.?in/i);
    assert.ok(!answer.text.includes(app.client_id));
  }
});

test("RFC 9700 §4.11.2: a faulty request sends nobody on who has not signed in", async () => {
  const { url } = authorizationRequest(broker, app, { change: { response_type: "token" } });
  const browser = new Browser(broker);
  const before = await browser.get(url);
  assert.deepEqual([before.status, before.location], [200, null], "the page that says how to sign in");
  assert.equal(wayBack(before).error, "unsupported_response_type", "whoever presses it has read where it leads");
  const { page } = await browser.get(signInLink(broker));
  const back = await browser.submit(page.form("/sign-in"));
  const { location } = await browser.get(back.location);
  assert.equal(location.origin + location.pathname, app.redirect_uri);
  assert.equal(location.searchParams.get("error"), "unsupported_response_type");
});

test("RFC 9700 §4.11.2: but with prompt=none, where nobody may be asked anything", async () => {
  const { url } = authorizationRequest(broker, app, { change: { response_type: "token", prompt: "none" } });
  const { location } = await new Browser(broker).get(url);
  assert.equal(location.searchParams.get("error"), "unsupported_response_type");
});
