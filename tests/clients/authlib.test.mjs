// https://docs.authlib.org, with requests: Python's OAuth library. authlib_client.py is the app.

import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { ensurePythonClients } from "../../scripts/lib/python.mjs";
import { REDIRECT_URI, assertOpenAiError, chat } from "../support/flow.mjs";
import { DETAILS, SCOPE, allow, decideForDevice, deny, lead, startClients } from "./person.mjs";

const python = await ensurePythonClients();
const { broker, browser, app, confidential } = await startClients();
const program = path.join(import.meta.dirname, "authlib_client.py");

const common = { issuer: broker.url, redirect_uri: REDIRECT_URI, scope: SCOPE, details: DETAILS };
const visit = async (link) => (await allow(browser, link)).href;
const run = (part, input, answers) => lead([python, program, part], { ...common, ...input }, answers);

const { client_id, client_secret } = confidential;
const KINDS = {
  "without a secret": { client_id: app.client_id, method: "none" },
  "with client_secret_basic": { client_id, client_secret, method: "client_secret_basic" },
  "with client_secret_post": { client_id, client_secret, method: "client_secret_post" },
};
const works = async (token) => assert.equal((await chat(broker, token)).status, 200);
const isOver = async (token) => assertOpenAiError(await chat(broker, token), 401, "invalid_token");

for (const [what, kind] of Object.entries(KINDS)) {
  test(`an app ${what} connects, calls, refreshes and revokes`, async () => {
    const asked = await run("story", kind, {
      visit,
      works,
      is_over: isOver,
      refused: (error) => assert.equal(error, "invalid_grant"),
    });
    assert.deepEqual(asked, ["visit", "works", "is_over", "refused"]);
  });
}

test("RFC 9396 §7: authorization_details come back as granted", async () => {
  const granted = ([one]) => assert.deepEqual([one.models, one.base_url], [["gpt-5-mini"], `${broker.url}/openai/v1`]);
  assert.deepEqual(await run("details", KINDS["without a secret"], { visit, granted }), ["visit", "granted"]);
});

for (const [what, kind] of Object.entries(KINDS)) {
  test(`RFC 9126 §2: an app ${what} pushes its request`, async () => {
    const granted = ([one]) => assert.deepEqual(one.models, ["gpt-5-mini"]);
    const pushed = async (link) => {
      assert.deepEqual([...new URL(link).searchParams.keys()].sort(), ["client_id", "request_uri"]);
      return visit(link);
    };
    assert.deepEqual(await run("pushed", kind, { visit: pushed, granted }), ["visit", "granted"]);
  });
}

for (const alg of ["ES256", "EdDSA"]) {
  test(`RFC 7523 §2.2: an app registers itself with a key and proves itself by it, at every endpoint: ${alg}`, async () => {
    const found = ({ active, iss }) => assert.deepEqual([active, iss], [true, broker.url]);
    const asked = await run("signing", { alg }, { visit, works, found, is_over: isOver });
    assert.deepEqual(asked, ["visit", "works", "found", "is_over"]);
  });
}

test("RFC 7523 §3 point 4: assertions that live for an hour, as the library makes them by itself, are refused", async () => {
  const refused = ([error, why]) => {
    assert.equal(error, "invalid_client");
    assert.match(why, /^exp of client_assertion/);
  };
  assert.deepEqual(await run("signing_for_an_hour", { alg: "ES256" }, { visit, refused }), ["visit", "refused"]);
});

for (const [what, kind] of Object.entries(KINDS)) {
  test(`RFC 8628 §3: a device connects ${what}`, async () => {
    const waits = (error) => assert.equal(error, "authorization_pending");
    const decide = (link) => decideForDevice(browser, link, "allow");
    assert.deepEqual(await run("device", kind, { waits, decide, works }), ["waits", "decide", "works"]);
  });
}

test("RFC 9068 §4: an access token passes a check with the library's JOSE half, as a resource server does it", async () => {
  const { access_token: token } = await browser.grant(app);
  const claims = (found) => assert.equal(found.client_id, app.client_id);
  assert.deepEqual(await run("resource_server", { ...KINDS["without a secret"], token }, { claims }), ["claims"]);
});

test("RFC 6749 §4.1.2.1: a refusal arrives as access_denied", async () => {
  const refused = (error) => assert.equal(error, "access_denied");
  const answers = { visit: async (link) => (await deny(browser, link)).href, refused };
  assert.deepEqual(await run("denied", KINDS["without a secret"], answers), ["visit", "refused"]);
});

test("RFC 6749 §5.2: a wrong secret is refused", async () => {
  const wrong = { ...KINDS["with client_secret_basic"], client_secret: "wrong" };
  const refused = (error) => assert.equal(error, "invalid_client");
  assert.deepEqual(await run("denied", wrong, { visit, refused }), ["visit", "refused"]);
});
