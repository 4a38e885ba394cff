// Apps that register themselves: RFC 7591, and RFC 7592 for what comes after.

import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { assertOAuthError, authorizationRequest, basic, chat, postForm, redeem, refresh } from "../support/flow.mjs";
import { startBroker } from "../support/broker.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app: byHand } = await startWorld();
const REDIRECT_URI = "https://app.example/cb";

async function send(method, url, { body, token, headers = {} } = {}) {
  const response = await fetch(new URL(url, broker.url), {
    method,
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text.startsWith("{") ? JSON.parse(text) : null };
}

const metadata = (change = {}) => ({ redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "none", client_name: "Self-made", ...change });
const register = (change, options) => send("POST", "/register", { body: metadata(change), ...options });

async function registered(change) {
  const { status, body, text } = await register(change);
  assert.equal(status, 201, text);
  return { ...body, redirect_uri: body.redirect_uris?.[0] };
}

const row = async (id) => (await broker.sql("SELECT * FROM clients WHERE client_id = ?", id))[0];
const count = async () => (await broker.sql("SELECT COUNT(*) AS n FROM clients"))[0].n;

function assertRegistrationError(answer, status, error) {
  assertOAuthError(answer, status, error);
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
}

test("RFC 7591 §3.2.1: what an app says of itself that nothing depends on is repeated to it, where it can be what it is called", async () => {
  const said = {
    contacts: ["ops@app.example"],
    application_type: "native",
    tos_uri: "https://app.example/tos",
    policy_uri: "https://app.example/privacy",
    software_id: "4NRB1-0XZABZI9E6-5SM3R",
    software_version: "2.1",
  };
  const { client_id: id, registration_client_uri: uri, registration_access_token: token, ...body } = await registered({
    ...said,
    scope: "openai:chat openid offline_access anthropic:chat",
  });
  const repeated = ({ scope, contacts, application_type, tos_uri, policy_uri, software_id, software_version }) =>
    ({ scope, contacts, application_type, tos_uri, policy_uri, software_id, software_version });
  assert.deepEqual(repeated(body), { ...said, scope: "openai:chat anthropic:chat" });
  assert.deepEqual(repeated((await send("GET", uri, { token })).body), { ...said, scope: "openai:chat anthropic:chat" });
  const odd = await registered({ contacts: "me", application_type: "toaster", tos_uri: "javascript:x", software_id: "x".repeat(257), scope: "openid" });
  assert.deepEqual(Object.values(repeated(odd)).filter((value) => value !== undefined), []);
  const changed = await send("PUT", uri, { token, body: { client_id: id, ...metadata({ contacts: ["new@app.example"] }) } });
  assert.deepEqual(Object.values(repeated(changed.body)).filter((value) => value !== undefined), [["new@app.example"]]);
});

test("RFC 7591 §3.2.1: a public app is registered, and reads everything that is registered of it", async () => {
  const { status, headers, body } = await register({ grant_types: ["authorization_code", "refresh_token"] });
  assert.equal(status, 201);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.equal(headers.get("access-control-allow-origin"), "*");
  assert.match(body.client_id, /^app_[\w-]{22}$/);
  assert.match(body.registration_access_token, /^aip_rg_[\w-]{49}$/);
  assert.equal(body.registration_client_uri, `${broker.url}/register/${body.client_id}`);
  assert.ok(Math.abs(body.client_id_issued_at - Date.now() / 1000) < 60);
  assert.equal(body.client_secret, undefined);
  const { client_id, registration_access_token, registration_client_uri, client_id_issued_at, ...rest } = body;
  assert.deepEqual(rest, {
    client_name: "Self-made",
    redirect_uris: [REDIRECT_URI],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
    require_pushed_authorization_requests: false,
    dpop_bound_access_tokens: false,
    access_token_signed_response_alg: "EdDSA",
  });
});

test("RFC 7591 §2: without a method the app gets a secret for client_secret_basic, which never expires", async () => {
  const body = await registered({ token_endpoint_auth_method: undefined });
  assert.match(body.client_secret, /^aip_cs_[\w-]{49}$/);
  assert.equal(body.client_secret_expires_at, 0);
  assert.equal(body.token_endpoint_auth_method, "client_secret_basic");
  const stored = await row(body.client_id);
  const hash = (text) => createHash("sha256").update(text).digest("hex");
  assert.equal(stored.secret_hash, hash(body.client_secret));
  assert.equal(stored.registration_token_hash, hash(body.registration_access_token));
});

test("an app that registered itself is granted access, which works and is refreshed", async () => {
  for (const method of ["none", "client_secret_basic", "client_secret_post"]) {
    const app = await registered({ token_endpoint_auth_method: method, grant_types: ["authorization_code", "refresh_token"] });
    assert.equal(app.token_endpoint_auth_method, method);
    const tokens = await browser.grant(app);
    assert.equal((await chat(broker, tokens.access_token)).status, 200);
    assert.equal((await refresh(broker, app, tokens.refresh_token)).status, 200);
  }
});

test("a generic client registers itself by what the metadata says", async () => {
  const issuer = new URL(broker.url);
  const options = { algorithm: "oauth2", [oauth.allowInsecureRequests]: true };
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
  assert.equal(server.registration_endpoint, `${broker.url}/register`);
  const response = await oauth.dynamicClientRegistrationRequest(server, metadata(), options);
  const client = await oauth.processDynamicClientRegistrationResponse(response);
  assert.ok(client.client_id);
});

test("RFC 7591 §2: an app that signs is registered with its keys, without what they don't need", async () => {
  const jwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
  const body = await registered({ token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [{ ...jwk, x5c: ["x"] }] } });
  assert.deepEqual(body.jwks, { keys: [jwk] });
  assert.equal(body.client_secret, undefined);
  const remote = await registered({ token_endpoint_auth_method: "private_key_jwt", jwks_uri: "https://app.example/jwks.json" });
  assert.equal(remote.jwks_uri, "https://app.example/jwks.json");
});

const privateKey = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
const REFUSED = {
  "a redirect URI in clear": [{ redirect_uris: ["http://app.example/cb"] }, "invalid_redirect_uri"],
  "a redirect URI that runs": [{ redirect_uris: ["javascript:alert(1)"] }, "invalid_redirect_uri"],
  "no redirect URI": [{ redirect_uris: undefined }, "invalid_redirect_uri"],
  "a grant type that isn't supported": [{ grant_types: ["implicit"] }, "invalid_client_metadata"],
  "RFC 7591 §2.1: response types that the grant types contradict": [{ response_types: ["token"] }, "invalid_client_metadata"],
  "a method that isn't supported": [{ token_endpoint_auth_method: "client_secret_jwt" }, "invalid_client_metadata"],
  "a name that turns text": [{ client_name: "Bank\u202etxt" }, "invalid_client_metadata"],
  "a private key": [{ jwks: { keys: [privateKey] } }, "invalid_client_metadata"],
  "keys and their address": [
    { token_endpoint_auth_method: "private_key_jwt", jwks_uri: "https://app.example/k", jwks: { keys: [] } },
    "invalid_client_metadata",
  ],
  "an address of keys on a private network": [
    { token_endpoint_auth_method: "private_key_jwt", jwks_uri: "https://169.254.169.254/keys" },
    "invalid_client_metadata",
  ],
  "an address of keys on this machine": [
    { token_endpoint_auth_method: "private_key_jwt", jwks_uri: "http://localhost:1/keys" },
    "invalid_client_metadata",
  ],
};
for (const [what, [change, error]] of Object.entries(REFUSED)) {
  test(`RFC 7591 §3.2.2: refused: ${what}`, async () => {
    const before = await count();
    assertRegistrationError(await register(change), 400, error);
    assert.equal(await count(), before);
  });
}

test("a body that is no JSON object of the right type and size is refused", async () => {
  for (const body of ["", "[]", "null", "{", '{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}']) {
    assertRegistrationError(await send("POST", "/register", { body }), 400, "invalid_client_metadata");
  }
  const form = await send("POST", "/register", { body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } });
  assertRegistrationError(form, 400, "invalid_client_metadata");
  assertRegistrationError(await register({ contacts: ["x".repeat(17_000)] }), 413, "invalid_client_metadata");
});

test("RFC 7592 §2.1: an app reads its registration with its token", async () => {
  const made = await registered({ token_endpoint_auth_method: "client_secret_post" });
  const { status, headers, body } = await send("GET", made.registration_client_uri, { token: made.registration_access_token });
  assert.equal(status, 200);
  assert.match(headers.get("cache-control"), /no-store/);
  const { client_secret, redirect_uri, ...rest } = made;
  assert.deepEqual(body, rest, "all but the secret, of which only a hash is kept");
});

test("RFC 7592 §2: without the token of this very app nothing is read, changed or deleted", async () => {
  const [one, other] = [await registered(), await registered()];
  const elsewhere = one.registration_client_uri.replace(one.client_id, "app_nobody");
  const handMade = `${broker.url}/register/${byHand.client_id}`;
  for (const method of ["GET", "PUT", "DELETE"]) {
    const body = method === "PUT" ? metadata({ client_id: one.client_id }) : undefined;
    const without = await send(method, one.registration_client_uri, { body });
    assertRegistrationError(without, 401, "invalid_token");
    assert.equal(without.headers.get("www-authenticate"), 'Bearer realm="aipassport"');
    for (const [url, token] of [
      [one.registration_client_uri, other.registration_access_token],
      [one.registration_client_uri, "x"],
      [elsewhere, one.registration_access_token],
      [handMade, one.registration_access_token],
    ]) {
      const answer = await send(method, url, { body, token });
      assertRegistrationError(answer, 401, "invalid_token");
      assert.match(answer.headers.get("www-authenticate"), /^Bearer .*error="invalid_token"/);
    }
  }
  assert.ok((await row(one.client_id)) && (await row(byHand.client_id)));
});

test("RFC 7592 §2.2: an update takes the place of everything; the token stays", async () => {
  const made = await registered({ client_uri: "https://app.example/", dpop_bound_access_tokens: true });
  const token = made.registration_access_token;
  const body = { client_id: made.client_id, redirect_uris: ["https://app.example/new"], token_endpoint_auth_method: "none", client_uri: null };
  const answer = await send("PUT", made.registration_client_uri, { body, token });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(answer.body.redirect_uris, ["https://app.example/new"]);
  assert.equal(answer.body.client_uri, undefined);
  assert.equal(answer.body.dpop_bound_access_tokens, false);
  assert.equal(answer.body.client_name, "app.example");
  assert.equal(answer.body.registration_access_token, token);
  assert.equal(answer.body.client_id_issued_at, made.client_id_issued_at);
  assert.deepEqual((await send("GET", made.registration_client_uri, { token })).body, answer.body);
  const gone = await browser.get(authorizationRequest(broker, made).url);
  assert.deepEqual([gone.status, gone.location], [400, null], "the old redirect URI is none any more");
});

test("a redirect URI that an app takes back while the consent page is open gets no code", async () => {
  const app = await registered();
  const { form } = await browser.consent({ client_id: app.client_id, redirect_uri: REDIRECT_URI });
  const body = metadata({ client_id: app.client_id, redirect_uris: ["https://app.example/new"] });
  const { status } = await send("PUT", app.registration_client_uri, { body, token: app.registration_access_token });
  assert.equal(status, 200);
  const answer = await browser.submit(form.tick("no_budget").press("decision", "allow"));
  assert.deepEqual([answer.status, answer.location], [400, null]);
});

test("RFC 7592 §2.2: an update names this client, and its secret if any", async () => {
  const made = await registered({ token_endpoint_auth_method: "client_secret_basic" });
  const update = (change) =>
    send("PUT", made.registration_client_uri, {
      body: metadata({ token_endpoint_auth_method: "client_secret_basic", client_id: made.client_id, ...change }),
      token: made.registration_access_token,
    });
  const { client_secret: otherSecret } = await registered({ token_endpoint_auth_method: "client_secret_basic" });
  for (const change of [{ client_id: undefined }, { client_id: "app_x" }, { client_secret: otherSecret }, { client_secret: "x" }]) {
    assertRegistrationError(await update(change), 400, "invalid_client_metadata");
  }
  const kept = await update({ client_secret: made.client_secret });
  assert.equal(kept.body.client_secret, made.client_secret);
  assert.equal((await row(made.client_id)).secret_hash, createHash("sha256").update(made.client_secret).digest("hex"));
});

test("an app that starts to need a secret gets one, and one that stops has none", async () => {
  const made = await registered();
  const update = async (method) => {
    const body = metadata({ client_id: made.client_id, token_endpoint_auth_method: method });
    return (await send("PUT", made.registration_client_uri, { body, token: made.registration_access_token })).body;
  };
  const { client_secret: secret } = await update("client_secret_basic");
  assert.match(secret, /^aip_cs_/);
  const asks = () => postForm(`${broker.url}/revoke`, { token: "x" }, { authorization: basic(made.client_id, secret) });
  assert.equal((await asks()).status, 200);
  assert.equal((await update("none")).client_secret, undefined);
  assert.equal((await asks()).status, 401);
});

test("RFC 7592 §2.3: an app that deletes itself takes its grants with it", async () => {
  const made = await registered();
  const { access_token: token } = await browser.grant(made);
  const open = await browser.consent(made);
  const answer = await browser.submit(open.form.tick("no_budget").press("decision", "allow"));
  const code = answer.location.searchParams.get("code");
  assert.equal((await chat(broker, token)).status, 200);
  const gone = await send("DELETE", made.registration_client_uri, { token: made.registration_access_token });
  assert.deepEqual([gone.status, gone.text], [204, ""]);
  assert.equal((await chat(broker, token)).status, 401);
  assertOAuthError(await redeem(broker, made, { code, verifier: open.verifier }), 401, "invalid_client");
  const again = await send("GET", made.registration_client_uri, { token: made.registration_access_token });
  assert.equal(again.status, 401);
});

test("a browser app of any origin may register itself and delete itself", async () => {
  for (const path of ["/register", "/register/app_x"]) {
    const response = await fetch(new URL(path, broker.url), { method: "OPTIONS" });
    assert.equal(response.status, 204);
    assert.match(response.headers.get("access-control-allow-methods"), /PUT, DELETE/);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
  }
});

test("the consent page says that the app registered itself", async () => {
  const { page } = await browser.consent(await registered({ client_name: "Stranger" }));
  assert.match(page.text, /registered itself; anybody can do that/);
  assert.match((await browser.consent(byHand)).page.text, /You registered this app here yourself/);
  const somebody = await broker.sql("SELECT COUNT(*) AS n FROM users");
  assert.ok(somebody[0].n >= 1);
  const other = await browser.somebodyElse();
  assert.match((await other.consent(byHand)).page.text, /Another user of this broker registered this app/);
});

test("an operator sees and deletes apps that registered themselves; nobody else does", async () => {
  const made = await registered({ client_name: "Seen by the operator" });
  const { page } = await browser.get("/apps");
  assert.match(page.text, /registered itself/);
  const other = await browser.somebodyElse("user_third");
  assert.ok(!(await other.get("/apps")).text.includes(made.client_id));
  assert.equal((await browser.submit(page.form(`/apps/${made.client_id}/delete`))).status, 303);
  assert.equal(await row(made.client_id), undefined);
});

const crowd = (at) =>
  broker.sql(
    `INSERT INTO clients (client_id, kind, name, redirect_uris, grant_types, token_endpoint_auth_method, registration_token_hash, created_at, network)
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
     SELECT 'app_crowd_' || i, 'dynamic', 'x', '[]', '["authorization_code"]', 'none', 'x', ?, 'crowd' FROM n`,
    at,
  );
const disperse = () => broker.sql("DELETE FROM clients WHERE client_id LIKE 'app_crowd_%'");
const from = (address) => ({ headers: { "cf-connecting-ip": address } });
const unused = async () => (await broker.sql("SELECT COUNT(*) AS n FROM clients WHERE network IS NOT NULL"))[0].n;

test("of a thousand apps that nobody uses the oldest of the most crowded network makes room; one that is used or asked about doesn't", async () => {
  const [quiet, used, asked] = [await registered(), await registered(), await registered()];
  await browser.grant(used);
  const { form } = await browser.consent(asked);
  await crowd(Math.floor(Date.now() / 1000) - 3600);
  try {
    for (let more = 0; more < 3; more += 1) await registered();
    assert.ok(await row(quiet.client_id), "another network's, however old");
    assert.ok(await row(used.client_id), "somebody granted it something");
    assert.equal((await browser.submit(form.tick("no_budget").press("decision", "allow"))).status, 303);
    assert.ok((await broker.sql("SELECT COUNT(*) AS n FROM clients WHERE client_id LIKE 'app_crowd_%'"))[0].n < 1000);
    assert.equal(await row("app_crowd_1"), undefined, "the oldest");
  } finally {
    await disperse();
  }
});

test("a flood of registrations from fifty networks crowds out itself, and no app beside it", async () => {
  const flood = Array.from({ length: 50 }, (_, network) => `203.${network}.113.7`);
  const before = (await register({}, from("192.0.2.9"))).body;
  for (const address of flood) assert.equal((await register({}, from(address))).status, 201);
  // Twenty more of each.
  await broker.sql(
    `INSERT INTO clients (client_id, kind, name, redirect_uris, grant_types, token_endpoint_auth_method, registration_token_hash, created_at, network)
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
     SELECT 'app_crowd_' || hex(randomblob(8)), kind, name, redirect_uris, grant_types, token_endpoint_auth_method, 'x', created_at, network
     FROM n, (SELECT * FROM clients ORDER BY rowid DESC LIMIT 50)`,
  );
  try {
    const full = await unused();
    assert.ok(full >= 1000);
    const { status, body: late } = await register({}, from("198.51.100.9"));
    assert.equal(status, 201);
    for (const address of flood) assert.equal((await register({}, from(address))).status, 201);
    assert.equal(await unused(), full, "each takes the place of another");
    for (const { registration_client_uri: uri, registration_access_token: token } of [before, late]) {
      assert.equal((await send("GET", uri, { token })).status, 200);
    }
  } finally {
    await disperse();
  }
});

test("of where an app came from a keyed hash of its network is kept, and not that once somebody has granted it something", async () => {
  const network = async ({ client_id: id }) => (await row(id)).network;
  const made = await Promise.all(["192.0.2.1", "192.0.2.254", "192.0.3.1"].map(async (address) => (await register({}, from(address))).body));
  const [one, same, another] = await Promise.all(made.map(network));
  assert.match(one, /^[\w-]{43}$/);
  assert.equal(one, same);
  assert.notEqual(one, another);
  await browser.grant({ ...made[0], redirect_uri: REDIRECT_URI });
  assert.equal(await network(made[0]), null);
});

test("however many registered themselves, the app that a person registered is on the list", async () => {
  await crowd(Math.floor(Date.now() / 1000) + 60);
  try {
    assert.match((await browser.get("/apps")).text, new RegExp(byHand.client_id));
  } finally {
    await disperse();
  }
});

test("where registration is off it is refused and not announced; what is registered can still be deleted", async (t) => {
  const made = await registered();
  await broker.restart({ DYNAMIC_REGISTRATION: "off" });
  t.after(() => broker.restart({ DYNAMIC_REGISTRATION: undefined }));
  assertRegistrationError(await register(), 403, "access_denied");
  const { body } = await send("GET", "/.well-known/oauth-authorization-server");
  assert.equal(body.registration_endpoint, undefined);
  const token = made.registration_access_token;
  assert.equal((await send("DELETE", made.registration_client_uri, { token })).status, 204);
});

test("without its database the endpoint says so in JSON", async () => {
  const bare = await startBroker({ migrate: false });
  try {
    const response = await fetch(`${bare.url}/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(metadata()),
    });
    assert.equal(response.status, 503);
    assert.equal((await response.json()).error, "temporarily_unavailable");
  } finally {
    await bare.close();
  }
});
