import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { assertOpenAiError, authorizationRequest, chat, redeem } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser } = await startWorld();

async function attempt(fields) {
  const { page } = await browser.get("/apps");
  const form = page.form("/apps");
  form.fill({ name: "App", home_page: "https://app.example/", redirect_uris: "https://app.example/cb", ...fields });
  return browser.submit(form);
}

async function isRefused(fields) {
  const before = (await broker.sql("SELECT COUNT(*) AS n FROM clients"))[0].n;
  const { status, page, text } = await attempt(fields);
  assert.equal(status, 400, text);
  assert.ok(page.form("/apps"), "the form is shown again");
  assert.equal((await broker.sql("SELECT COUNT(*) AS n FROM clients"))[0].n, before);
  return page;
}

test("a public app is registered and has no secret", async () => {
  const app = await browser.register({ name: "Public one" });
  assert.equal(app.client_secret, undefined);
  const [row] = await broker.sql("SELECT * FROM clients WHERE client_id = ?", app.client_id);
  assert.deepEqual([row.name, row.token_endpoint_auth_method, row.secret_hash], ["Public one", "none", null]);
});

test("a confidential app's secret is shown once and stored hashed", async () => {
  const app = await browser.register({ name: "Confidential one", type: "confidential" });
  assert.match(app.client_secret, /^aip_cs_[\w-]{49}$/);
  const [row] = await broker.sql("SELECT * FROM clients WHERE client_id = ?", app.client_id);
  assert.equal(row.secret_hash, createHash("sha256").update(app.client_secret).digest("hex"));
  const { text } = await browser.get("/apps");
  assert.ok(text.includes(app.client_id));
  assert.ok(!text.includes(app.client_secret));
});

const row = async (name) => (await broker.sql("SELECT * FROM clients WHERE name = ?", name))[0];

test("a signing app is registered with its public keys, or with their address", async () => {
  const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
  const signing = { client_type: "private_key_jwt" };
  assert.equal((await attempt({ ...signing, name: "Signs", jwks: JSON.stringify({ keys: [jwk] }) })).status, 303);
  const inline = await row("Signs");
  assert.deepEqual([inline.token_endpoint_auth_method, JSON.parse(inline.jwks)], ["private_key_jwt", { keys: [jwk] }]);
  assert.equal((await attempt({ ...signing, name: "Signs elsewhere", jwks_uri: "https://app.example/jwks.json" })).status, 303);
  assert.equal((await row("Signs elsewhere")).jwks_uri, "https://app.example/jwks.json");
});

test("a signing app without keys, with a private one, or with keys on this machine is refused", async () => {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const refused = { "": /needs jwks or jwks_uri/, [JSON.stringify({ keys: [jwk] })]: /private/ };
  for (const [jwks, why] of Object.entries(refused)) {
    assert.match((await isRefused({ client_type: "private_key_jwt", jwks })).text, why);
  }
  await isRefused({ client_type: "private_key_jwt", jwks_uri: "http://localhost:1/jwks.json" });
});

test("an app is bound to pushed requests and to tokens with a key where its form says so", async () => {
  const { page } = await browser.get("/apps");
  const form = page.form("/apps").fill({ name: "Bound", home_page: "https://app.example/", redirect_uris: "https://app.example/cb" });
  await browser.submit(form.tick("requires_par").tick("requires_dpop"));
  const bound = await row("Bound");
  assert.deepEqual([bound.requires_par, bound.requires_dpop], [1, 1]);
});

test("the secret that is shown is the secret that works", async () => {
  const app = await browser.register({ type: "confidential" });
  const { access_token: token } = await browser.grant(app);
  assert.equal((await chat(broker, token)).status, 200);
});

test("several redirect URIs, one a line", async () => {
  const redirectUris = ["https://app.example/a", "http://127.0.0.1/b", "com.example.app:/c"];
  const app = await browser.register({ redirectUris });
  const [row] = await broker.sql("SELECT redirect_uris FROM clients WHERE client_id = ?", app.client_id);
  assert.deepEqual(JSON.parse(row.redirect_uris), redirectUris);
});

const REFUSED_REDIRECTS = {
  "RFC 6749 §3.1.2: a relative one": "/callback",
  "RFC 6749 §3.1.2: one with a fragment": "https://app.example/cb#x",
  "RFC 9700 §4.1.1: a wildcard": "https://*.app.example/cb",
  "RFC 9700 §2.6: http beyond this machine": "http://app.example/cb",
  "CWE-79: javascript:": "javascript:alert(1)",
  "CWE-79: javascript: with a host": "javascript://app.example/%0aalert(1)",
  "CWE-79: data:": "data:text/html,x",
  "RFC 8252 §7.1: a scheme without a domain": "myapp:/cb",
  "RFC 3986 §3.2.1: a user name": "https://app.example@evil.example/cb",
  "a backslash": "https://app.example\\@evil.example/cb",
  "nothing at all": "",
};
for (const [rule, redirectUris] of Object.entries(REFUSED_REDIRECTS)) {
  test(`a redirect URI is refused: ${rule}`, async () => {
    await isRefused({ redirect_uris: redirectUris });
  });
}

test("one wrong redirect URI among right ones is refused", async () => {
  await isRefused({ redirect_uris: "https://app.example/cb\njavascript:alert(1)" });
});

test("an app needs a name and a home page", async () => {
  await isRefused({ name: "   " });
  await isRefused({ name: "x".repeat(200) });
  await isRefused({ name: "Bank\u202etxt" });
  await isRefused({ home_page: "javascript:alert(1)" });
  await isRefused({ home_page: "app" });
});

test("a form that is refused stands first on the page, with what is wrong", async () => {
  await browser.register({ name: "Stands below" });
  const page = await isRefused({ redirect_uris: "http://app.example/cb" });
  const [wrong, below] = ["Not registered yet", "Stands below"].map((text) => page.text.indexOf(text));
  assert.ok(wrong >= 0 && wrong < below, page.text.slice(0, 400));
  assert.match(page.text, /use https/);
});

test("CWE-79: what was typed is shown as text, also next to an error", async () => {
  const name = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
  const page = await isRefused({ name, redirect_uris: "x" });
  assert.equal(page.form("/apps").value("name"), name);
  assert.ok(!page.elementNames().has("img"));
  assert.deepEqual(page.all("onerror"), []);
});

test("CWE-79: an app's name is shown as text on every page", async () => {
  const name = '<b onclick=x>Bold</b> & "co"';
  const app = await browser.register({ name });
  const { grant_id: grantId } = await browser.grant(app);
  assert.ok(grantId);
  const pages = [await browser.consent(app), await browser.get("/apps"), await browser.get("/grants")];
  for (const { page } of pages) {
    assert.ok(page.text.includes(name), page.text.slice(0, 200));
    assert.deepEqual(page.all("onclick"), []);
  }
});

test("a deleted app's tokens stop working and it can ask for nothing more", async () => {
  const app = await browser.register({ name: "Short-lived" });
  const { access_token: token } = await browser.grant(app);
  const open = await browser.consent(app);
  const code = (await browser.submit(open.form.press("decision", "allow"))).location.searchParams.get("code");
  assert.equal((await chat(broker, token)).status, 200);
  const { page } = await browser.get("/apps");
  assert.equal((await browser.submit(page.form(`/apps/${app.client_id}/delete`))).status, 303);
  assertOpenAiError(await chat(broker, token), 401, "invalid_token");
  const answer = await browser.get(authorizationRequest(broker, app).url);
  assert.deepEqual([answer.status, answer.location], [400, null]);
  assert.equal((await redeem(broker, app, { code, verifier: open.verifier })).status, 401);
});
