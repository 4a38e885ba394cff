// Apps that are known by a document at their own address: draft-ietf-oauth-client-id-metadata-document.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { after, test } from "node:test";
import { startBroker } from "../support/broker.mjs";
import { Browser, assertOAuthError, authorizationRequest, basic, chat, postForm, redeem, refresh } from "../support/flow.mjs";
import { Key } from "../support/keys.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser } = await startWorld({ env: { CLIENT_DOCUMENTS_FROM_LOOPBACK: "on" } });

/** What the site of an app answers, by path, and the requests that it got. */
const pages = new Map();
const requests = [];
const site = http.createServer((request, response) => {
  requests.push({ path: request.url, method: request.method, headers: request.headers });
  const page = pages.get(request.url);
  if (typeof page === "function") return page(response, request);
  if (!page) return response.writeHead(404).end();
  const { status = 200, type = "application/json", headers = {}, body } = page;
  response.writeHead(status, { "content-type": type, ...headers });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
});
site.listen(0, "localhost");
await once(site, "listening");
after(() => {
  site.closeAllConnections();
  site.close();
});
const SITE = `http://localhost:${site.address().port}`;

let number = 0;
/** An app with a document of its own. `change` overwrites members, `page` how it is served. */
function publish(change = {}, page = {}) {
  const path = `/client-${(number += 1)}.json`;
  const id = SITE + path;
  const redirect = `${SITE}/callback`;
  const body = { client_id: id, client_name: "Published", redirect_uris: [redirect], ...change };
  pages.set(path, { body, ...page });
  return { client_id: id, redirect_uri: body.redirect_uris?.[0] ?? redirect, path };
}
const fetched = ({ path }) => requests.filter((request) => request.path === path).length;
const row = async ({ client_id: id }) => (await broker.sql("SELECT * FROM clients WHERE client_id = ?", id))[0];
const now = () => Math.floor(Date.now() / 1000);

/** The person sees a page that says why, is sent nowhere, and nothing is kept. */
async function isRefused(app, why) {
  const { status, page, location } = await browser.get(authorizationRequest(broker, app).url);
  assert.deepEqual([status, location], [400, null], page?.text);
  assert.match(page.text, why);
  assert.equal(await row(app), undefined);
}

test("the metadata announces it", async () => {
  const body = await (await fetch(`${broker.url}/.well-known/oauth-authorization-server`)).json();
  assert.equal(body.client_id_metadata_document_supported, true);
});

test("an app that nobody registered is granted access, which works and is refreshed", async () => {
  const app = publish({ grant_types: ["authorization_code", "refresh_token"] });
  const tokens = await browser.grant(app);
  assert.equal((await chat(broker, tokens.access_token)).status, 200);
  assert.equal((await refresh(broker, app, tokens.refresh_token)).status, 200);
  assert.equal(fetched(app), 1);
});

test("the document is asked for without any credential", async () => {
  const app = publish();
  await browser.consent(app);
  const { method, headers } = requests.findLast(({ path }) => path === app.path);
  assert.equal(method, "GET");
  assert.equal(headers.accept, "application/json");
  for (const name of ["cookie", "authorization", "referer"]) assert.equal(headers[name], undefined);
});

test("who isn't signed in makes the broker fetch nothing", async () => {
  const app = publish();
  const { status, page } = await new Browser(broker).get(authorizationRequest(broker, app).url);
  assert.ok(status < 500 && /sign in/i.test(page?.text ?? "sign in"), page?.text);
  assert.equal(fetched(app), 0);
});

test("a document is kept for as long as it says, and then read again", async () => {
  const app = publish({}, { headers: { "cache-control": "max-age=600" } });
  await browser.consent(app);
  await browser.consent(app);
  assert.equal(fetched(app), 1);
  const stored = await row(app);
  assert.equal(stored.kind, "document");
  assert.ok(Math.abs(stored.fresh_until - now() - 600) < 30);
  await broker.sql("UPDATE clients SET fresh_until = ?, created_at = 5 WHERE client_id = ?", now(), app.client_id);
  pages.get(app.path).body.client_name = "Published anew";
  assert.match((await browser.consent(app)).page.text, /Published anew/);
  assert.equal((await row(app)).created_at, 5, "the first moment stays");
});

test("a document that is gone when it has to be read again counts for nothing, at a person's browser", async () => {
  const app = publish();
  await browser.consent(app);
  await broker.sql("UPDATE clients SET fresh_until = ? WHERE client_id = ?", now() - 1, app.client_id);
  pages.delete(app.path);
  const { status, page } = await browser.get(authorizationRequest(broker, app).url);
  assert.equal(status, 400);
  assert.match(page.text, /answered 404 instead of 200/);
});

test("a program is served for a day after its document was fresh, and then only by one that can be read", async () => {
  const app = publish({ grant_types: ["authorization_code", "refresh_token"] });
  let { refresh_token: token } = await browser.grant(app);
  const stale = (seconds) => broker.sql("UPDATE clients SET fresh_until = ? WHERE client_id = ?", now() - seconds, app.client_id);
  await stale(3600);
  const served = await refresh(broker, app, token);
  assert.equal(served.status, 200, served.text);
  token = served.body.refresh_token;
  assert.equal(fetched(app), 1);
  await stale(25 * 3600);
  const page = pages.get(app.path);
  pages.delete(app.path);
  assertOAuthError(await refresh(broker, app, token), 401, "invalid_client");
  pages.set(app.path, page);
  assert.equal((await refresh(broker, app, token)).status, 200);
});

test("a program whose document was never read is no client, and makes the broker read none", async () => {
  const app = publish();
  const answer = await redeem(broker, app, { code: "x", verifier: "y" });
  assertOAuthError(answer, 401, "invalid_client");
  assert.equal(fetched(app), 0);
});

const privateJwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
const SAYS = {
  "another client_id": [{ client_id: `${SITE}/other.json` }, /not exactly its own address/],
  "no client_id": [{ client_id: undefined }, /not exactly its own address/],
  "a secret": [{ client_secret: "x" }, /no client_secret/],
  "a method with a secret": [{ token_endpoint_auth_method: "client_secret_post" }, /none or private_key_jwt/],
  "a private key": [{ token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [privateJwk] } }, /private/],
  "no redirect URI": [{ redirect_uris: [] }, /redirect_uris/],
  "a redirect URI that runs": [{ redirect_uris: ["javascript:alert(1)"] }, /redirect_uris/],
  "a name that turns text": [{ client_name: "Bank\u202etxt" }, /client_name/],
};
for (const [what, [change, why]] of Object.entries(SAYS)) {
  test(`a document is refused that says ${what}`, async () => {
    await isRefused({ ...publish(change), redirect_uri: `${SITE}/callback` }, why);
  });
}

const SERVED = {
  "as HTML": [{ type: "text/html" }, /content type/],
  "with another status": [{ status: 203 }, /answered 203 instead of 200/],
  "with an error": [{ status: 500 }, /answered 500/],
  "longer than is read": [{ body: `{"x":"${"a".repeat(16 * 1024)}"}` }, /longer than 16 KiB/],
  "as no JSON": [{ body: "{" }, /JSON object/],
  "with a member twice": [{ body: '{"a":1,"a":2}' }, /JSON object/],
};
for (const [how, [page, why]] of Object.entries(SERVED)) {
  test(`a document is refused that is served ${how}`, async () => {
    await isRefused(publish({}, page), why);
  });
}

test("application/…+json is JSON", async () => {
  await browser.consent(publish({}, { type: "application/oauth-client+json; charset=utf-8" }));
});

test("a redirect is not followed", async () => {
  const target = publish();
  const app = publish();
  pages.set(app.path, { status: 302, headers: { location: target.client_id }, body: "" });
  await isRefused(app, /redirects, which is not followed/);
  assert.equal(fetched(target), 0);
});

test("an endless document is left after 16 KiB", async () => {
  const app = publish();
  const closed = Promise.withResolvers();
  pages.set(app.path, (response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const timer = setInterval(() => response.write(" ".repeat(4096)), 5);
    response.on("close", () => {
      clearInterval(timer);
      closed.resolve();
    });
  });
  await isRefused(app, /longer than 16 KiB/);
  await closed.promise;
});

test("a server that takes its time is waited for three seconds, its body included", { timeout: 30_000 }, async () => {
  const silent = publish();
  pages.set(silent.path, () => {});
  const began = Date.now();
  await isRefused(silent, /longer than 3 seconds/);
  const dripping = publish();
  pages.set(dripping.path, (response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const timer = setInterval(() => response.write(" "), 100);
    response.on("close", () => clearInterval(timer));
  });
  await isRefused(dripping, /longer than 3 seconds/);
  assert.ok(Date.now() - began < 12_000);
});

test("a server that can't be reached is named", async () => {
  await isRefused({ client_id: "http://localhost:1/client.json", redirect_uri: "http://localhost:1/cb" }, /can not be reached/);
});

for (const id of [
  "https://127.0.0.1/client.json",
  "https://169.254.169.254/latest/meta-data",
  "https://[::1]/client.json",
  "https://localhost/client.json",
  "https://printer.local/client.json",
  "https://app.example",
  "https://app.example/a/../client.json",
  "https://app.example:8443/client.json",
  "https://user@app.example/client.json",
  "https://app.example/client.json#x",
  "http://app.example/client.json",
  "ftp://app.example/client.json",
]) {
  test(`a client_id that isn't fetched: ${id}`, async () => {
    await isRefused({ client_id: id, redirect_uri: "https://app.example/cb" }, /address|https:\/\//);
  });
}

test("the consent page says whose app it is, and that the name isn't verified", async () => {
  const { page } = await browser.consent(publish({ client_name: "Published" }));
  assert.ok(page.text.includes(`localhost:${site.address().port}`), page.text);
  assert.match(page.text, /Verified: this is the app that/);
  assert.match(page.text, /what its developer wrote/);
  assert.ok(!/You will leave/.test(page.text));
});

test("a redirect URI of another site is warned of", async () => {
  const { page } = await browser.consent(publish({ redirect_uris: ["https://elsewhere.example/cb"] }));
  assert.match(page.text, /You will leave/);
  assert.match(page.text, /elsewhere\.example/);
});

test("a program on this computer could use anybody's document, which is warned of", async () => {
  const { page } = await browser.consent(publish({ redirect_uris: ["http://127.0.0.1/cb"] }));
  assert.match(page.text, /Any program here can claim that address and the name of/);
});

test("CWE-79: what a document says is shown as text", async () => {
  const name = '<img src=x onerror=alert(1)> & "co"';
  const app = publish({ client_name: name, logo_uri: "https://app.example/logo.png" });
  for (const { page } of [await browser.consent(app), await browser.get("/apps")]) {
    assert.ok(page.text.includes(name), page.text.slice(0, 300));
    assert.ok(!page.elementNames().has("img"), "a logo is never loaded");
  }
});

test("an operator sees documents and forgets one, grants and all", async () => {
  const app = publish();
  const { access_token: token } = await browser.grant(app);
  const { page } = await browser.get("/apps");
  assert.match(page.text, /known by its document/);
  const form = page.forms.find(({ action }) => action.pathname === `/apps/${encodeURIComponent(app.client_id)}/delete`);
  assert.ok(form, "its form");
  assert.equal((await browser.submit(form)).status, 303);
  assert.equal(await row(app), undefined);
  assert.equal((await chat(broker, token)).status, 401);
});

test("of a thousand documents that nobody uses the oldest of the most crowded network goes", async () => {
  const [used, quiet] = [publish(), publish()];
  await browser.grant(used);
  await browser.consent(quiet);
  await broker.sql("DELETE FROM authorization_requests WHERE client_id = ?", quiet.client_id);
  await broker.sql("UPDATE clients SET created_at = 1 WHERE client_id = ?", used.client_id);
  await broker.sql(
    `INSERT INTO clients (client_id, kind, name, redirect_uris, grant_types, token_endpoint_auth_method, created_at, fresh_until, network)
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
     SELECT 'https://crowd.example/' || i, 'document', 'x', '[]', '["authorization_code"]', 'none', 10 + i, 0, 'crowd' FROM n`,
  );
  const app = publish();
  await browser.consent(app);
  const kept = async (id) => (await broker.sql("SELECT 1 FROM clients WHERE client_id = ?", id)).length;
  assert.deepEqual([await kept("https://crowd.example/1"), await kept("https://crowd.example/1001")], [0, 1]);
  assert.deepEqual([await kept(app.client_id), await kept(used.client_id), await kept(quiet.client_id)], [1, 1, 1]);
  await broker.sql("DELETE FROM clients WHERE client_id LIKE 'https://crowd.example/%'");
});

test("documents that strangers make known end no consent that is open", async () => {
  const asked = publish();
  const { form } = await browser.consent(asked);
  await broker.sql("UPDATE clients SET created_at = 1 WHERE client_id = ?", asked.client_id);
  await broker.sql(
    `INSERT INTO clients (client_id, kind, name, redirect_uris, grant_types, token_endpoint_auth_method, created_at, fresh_until, network)
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
     SELECT 'https://crowd.example/' || i, 'document', 'x', '[]', '["authorization_code"]', 'none', 10 + i, 0, 'crowd' FROM n`,
  );
  await redeem(broker, publish(), { code: "x", verifier: "y" });
  const { location } = await browser.submit(form.tick("no_budget").press("decision", "allow"));
  assert.ok(location?.searchParams.get("code"), "the app gets its code");
  await broker.sql("DELETE FROM clients WHERE client_id LIKE 'https://crowd.example/%'");
});

test("nothing is fetched from this machine unless it is said, and only where the issuer is on it", async (t) => {
  const app = publish();
  t.after(() => broker.restart({ CLIENT_DOCUMENTS_FROM_LOOPBACK: "on", ISSUER: broker.url }));
  for (const env of [{ CLIENT_DOCUMENTS_FROM_LOOPBACK: "off" }, { CLIENT_DOCUMENTS_FROM_LOOPBACK: "on", ISSUER: undefined }]) {
    await broker.restart({ ISSUER: broker.url, ...env });
    await isRefused(app, /begins with https/);
  }
  assert.equal(fetched(app), 0);
});

test("where documents are off an address is no client, and they are not announced", async (t) => {
  const app = publish();
  await broker.restart({ CLIENT_DOCUMENTS: "off" });
  t.after(() => broker.restart({ CLIENT_DOCUMENTS: undefined }));
  await isRefused(app, /no app is registered here/);
  assert.equal(fetched(app), 0);
  const body = await (await fetch(`${broker.url}/.well-known/oauth-authorization-server`)).json();
  assert.equal(body.client_id_metadata_document_supported, false);
});

test("a stranger makes the broker read few documents, wherever it says who it is", async () => {
  const limits = { LIMIT_STARTS: 3 };
  const strict = await startBroker({ env: { CLIENT_DOCUMENTS_FROM_LOOPBACK: "on" }, limits });
  after(() => strict.close());
  const nobody = { client_id: `${SITE}/nobody.json`, path: "/nobody.json" };
  const signer = await Key.create("ES256");
  const ways = {
    "in the form": () => postForm(`${strict.url}/par`, { client_id: nobody.client_id }),
    "in the header": () => postForm(`${strict.url}/par`, {}, { authorization: basic(nobody.client_id, "") }),
    "in an assertion": async () => postForm(`${strict.url}/par`, await signer.assertion(nobody.client_id, strict.url)),
  };
  for (const way of Object.values(ways)) {
    for (let i = 0; i < 4; i += 1) await way();
  }
  const before = fetched(nobody);
  assert.ok(before <= 3, `${before} reads`);
  for (const [name, way] of Object.entries(ways)) assert.equal((await way()).status, 429, name);
  assert.equal(fetched(nobody), before);
});

test("keys that can't be read are not asked for again at once, however many requests name them", async () => {
  const keys = { path: "/keys.json" };
  const metadata = {
    redirect_uris: [`${SITE}/callback`],
    token_endpoint_auth_method: "private_key_jwt",
    jwks_uri: SITE + keys.path,
  };
  const headers = { "content-type": "application/json" };
  const made = await fetch(`${broker.url}/register`, { method: "POST", headers, body: JSON.stringify(metadata) });
  const { client_id: id } = await made.json();
  const signer = await Key.create("ES256");
  for (let i = 0; i < 5; i += 1) {
    const answer = await postForm(`${broker.url}/token`, await signer.assertion(id, broker.url));
    assertOAuthError(answer, 401, "invalid_client");
  }
  assert.equal(fetched(keys), 1);
});
