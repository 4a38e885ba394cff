// https://docs.rs/oauth2: Rust's OAuth library. The crate in `rust` is the app.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ensureRustClient } from "../../scripts/lib/rust-client.mjs";
import { REDIRECT_URI, assertOpenAiError, chat } from "../support/flow.mjs";
import { DETAILS, SCOPE, allow, decideForDevice, deny, lead, startClients } from "./person.mjs";

const program = await ensureRustClient();
const { broker, browser, app, confidential } = await startClients();

const common = { issuer: broker.url, redirect_uri: REDIRECT_URI, scope: SCOPE, details: DETAILS };
const visit = async (link) => (await allow(browser, link)).href;
const run = (part, input, answers) => lead([program, part], { ...common, ...input }, answers);

const { client_id, client_secret } = confidential;
const KINDS = {
  "without a secret": { client_id: app.client_id, method: "none" },
  "with client_secret_basic": { client_id, client_secret, method: "client_secret_basic" },
  "with client_secret_post": { client_id, client_secret, method: "client_secret_post" },
};

for (const [what, kind] of Object.entries(KINDS)) {
  test(`an app ${what} connects, calls, refreshes and revokes`, async () => {
    const asked = await run("story", kind, {
      visit,
      works: async (token) => assert.equal((await chat(broker, token)).status, 200),
      is_over: async (token) => assertOpenAiError(await chat(broker, token), 401, "invalid_token"),
      refused: (error) => assert.equal(error, "invalid_grant"),
    });
    assert.deepEqual(asked, ["visit", "works", "works", "is_over", "refused"]);
  });
}

test("RFC 9396 §7: authorization_details come back as granted", async () => {
  const granted = ([one]) => assert.deepEqual([one.models, one.base_url], [["gpt-5-mini"], `${broker.url}/openai/v1`]);
  assert.deepEqual(await run("details", KINDS["without a secret"], { visit, granted }), ["visit", "granted"]);
});

for (const [what, kind] of Object.entries(KINDS)) {
  test(`RFC 8628 §3: a device polls ${what} until the person has allowed`, async () => {
    const decide = (link) => decideForDevice(browser, link, "allow");
    const works = async (token) => assert.equal((await chat(broker, token)).status, 200);
    assert.deepEqual(await run("device", kind, { decide, works }), ["decide", "works"]);
  });
}

test("RFC 8628 §3.5: a device whose person says no hears access_denied", async () => {
  const decide = (link) => decideForDevice(browser, link, "deny");
  const refused = (error) => assert.equal(error, "access_denied");
  assert.deepEqual(await run("device", KINDS["without a secret"], { decide, refused }), ["decide", "refused"]);
});

for (const what of ["with client_secret_basic", "with client_secret_post"]) {
  test(`RFC 7662 §2.2: an app ${what} asks what its token is, until it is revoked`, async () => {
    const found = ({ ends, ...rest }) => {
      const expected = { active: true, client_id, issuer: broker.url, token_type: "bearer", scopes: [SCOPE] };
      assert.deepEqual(rest, expected);
      assert.ok(ends > Date.now() / 1000);
    };
    const found_revoked = (active) => assert.equal(active, false);
    const asked = await run("introspect", KINDS[what], { visit, found, found_revoked });
    assert.deepEqual(asked, ["visit", "found", "found_revoked"]);
  });
}

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
