// The device flow, RFC 8628: a program that shows a code, a person who enters it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import { cliRegistration } from "../../scripts/lib/local-database.mjs";
import { ROOT } from "../support/broker.mjs";
import { Browser, assertOAuthError, assertOpenAiError, basic, chat, claims, postForm, refresh, signInLink } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code";

const { broker, browser, app } = await startWorld();
const confidential = await browser.register({ name: "Server app", type: "confidential" });
await broker.sql(cliRegistration);
const cli = { client_id: "demo-cli" };
const now = () => Math.floor(Date.now() / 1000);

const ask = (client = cli, change = {}, headers) =>
  postForm(
    `${broker.url}/device_authorization`,
    { client_id: client.client_id, client_secret: client.client_secret, scope: "openai:chat", ...change },
    headers,
  );

/** What a device shows and keeps. */
async function show(client = cli, change) {
  const { status, body, text } = await ask(client, change);
  assert.equal(status, 200, text);
  return body;
}

const poll = (device, client = cli, change = {}) =>
  postForm(`${broker.url}/token`, {
    grant_type: GRANT_TYPE,
    device_code: device.device_code,
    client_id: client.client_id,
    client_secret: client.client_secret,
    ...change,
  });

/** Enters a code as a person does; what the broker shows then. */
async function enter(userCode, person = browser) {
  const { page } = await person.get("/device");
  return person.submit(page.form("/device").fill({ user_code: userCode }));
}

async function decide(device, decision, person = browser) {
  const { status, page } = await enter(device.user_code, person);
  assert.equal(status, 200, page.text);
  const form = page.form("/authorize");
  if (form.names.includes("no_budget")) form.tick("no_budget");
  return person.submit(form.press("decision", decision));
}

const allow = (device, person) => decide(device, "allow", person);

/** As if the last poll was long ago. */
const letTimePass = (device) =>
  broker.sql("UPDATE device_codes SET polled_at_ms = polled_at_ms - 3600000 WHERE user_code = ?", plain(device.user_code));
const plain = (userCode) => userCode.replace("-", "");
const rowOf = async (device) =>
  (await broker.sql("SELECT * FROM device_codes WHERE user_code = ?", plain(device.user_code)))[0];

// Asking for a code.

test("a second device is proposed beside the first, which keeps what it has", async () => {
  const granted = [];
  for (const device of [await show(), await show()]) {
    assert.equal((await allow(device)).status, 303);
    const { status, body } = await poll(device);
    assert.equal(status, 200, JSON.stringify(body));
    granted.push(body.access_token);
  }
  for (const token of granted) assert.equal((await chat(broker, token)).status, 200);
});

test("RFC 8628 §3.2: a device gets its codes, the address for the person, their life and the interval", async () => {
  const { status, headers, body } = await ask();
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.equal(headers.get("access-control-allow-origin"), "*");
  assert.match(body.device_code, /^aip_dc_[\w-]{49}$/);
  assert.match(body.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
  assert.equal(body.verification_uri, `${broker.url}/device`);
  assert.equal(body.verification_uri_complete, `${broker.url}/device?user_code=${body.user_code}`);
  assert.deepEqual([body.expires_in, body.interval], [600, 5]);
});

test("RFC 8628 §5.2: the device code itself is stored nowhere", async () => {
  const device = await show();
  assert.ok(!JSON.stringify(await rowOf(device)).includes(device.device_code));
});

for (const [what, change, error] of [
  ["RFC 6749 §3.3: an unknown scope", { scope: "everything" }, "invalid_scope"],
  ["RFC 9396 §5: authorization_details that can't be read", { scope: undefined, authorization_details: "x" }, "invalid_authorization_details"],
  ["scope and authorization_details at once", { authorization_details: "[]" }, "invalid_request"],
  ["RFC 8707 §2: a resource that isn't ours", { resource: "https://other.example" }, "invalid_target"],
]) {
  test(`${what} is refused at /device_authorization`, async () => assertOAuthError(await ask(cli, change), 400, error));
}

test("RFC 8628 §3.1: an unknown client, and a wrong secret, get no code", async () => {
  assertOAuthError(await ask({ client_id: "nobody" }), 401, "invalid_client");
  assertOAuthError(await ask({ ...confidential, client_secret: `aip_cs_${"A".repeat(49)}` }), 401, "invalid_client");
});

test("RFC 8628 §3.1: a confidential client asks with its secret, in the header too", async () => {
  const { client_id, client_secret } = confidential;
  const answer = await ask({}, {}, { authorization: basic(client_id, client_secret) });
  assert.equal(answer.status, 200, answer.text);
});

test("RFC 6749 §5.2: a client that is not registered for the device flow is unauthorized, to ask and to poll", async () => {
  const browserApp = await browser.register({ name: "Browser app" });
  const device = await show(browserApp);
  await broker.sql(`UPDATE clients SET grant_types = '["authorization_code"]' WHERE client_id = ?`, browserApp.client_id);
  assertOAuthError(await ask(browserApp), 400, "unauthorized_client");
  assertOAuthError(await poll(device, browserApp), 400, "unauthorized_client");
});

test("a flood of codes of a public app from fifty networks crowds out itself, and no device beside it", async () => {
  const client = await browser.register({ name: "Television" });
  const flood = Array.from({ length: 50 }, (_, network) => ({ "cf-connecting-ip": `203.${network}.113.7` }));
  const waiting = async () =>
    (await broker.sql("SELECT COUNT(*) AS n FROM device_codes WHERE decided_at IS NULL AND client_id = ?", client.client_id))[0].n;
  const askFrom = async (headers) => {
    const { status, body, text } = await ask(client, {}, headers);
    assert.equal(status, 200, text);
    return body;
  };
  const before = await askFrom({ "cf-connecting-ip": "192.0.2.9" });
  for (const headers of flood) await askFrom(headers);
  // 949 more of the flood's.
  await broker.sql(
    `WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 20)
     INSERT INTO device_codes (device_code_hash, user_code, client_id, request, created_at, expires_at, interval_seconds, network)
     SELECT lower(hex(randomblob(32))), hex(randomblob(8)), client_id, request, created_at, expires_at, interval_seconds, network
     FROM numbers, (SELECT * FROM device_codes WHERE client_id = ? ORDER BY rowid DESC LIMIT 50) LIMIT 949`,
    client.client_id,
  );
  assert.equal(await waiting(), 1000);
  const late = await askFrom({ "cf-connecting-ip": "2001:db8::1" });
  for (const headers of flood) await askFrom(headers);
  assert.equal(await waiting(), 1000, "each takes the place of another");
  for (const device of [before, late]) {
    assert.equal((await allow(device)).status, 303);
    assert.equal((await poll(device, client)).status, 200);
  }
});

// The whole of it.

test("RFC 8628 §3.5: pending, then allowed, then tokens that work, and refresh", async () => {
  const device = await show();
  assertOAuthError(await poll(device), 400, "authorization_pending");
  const { status, location } = await allow(device);
  assert.equal(status, 303);
  assert.equal(location.href, `${broker.url}/device?done=allowed`);
  assert.match((await browser.get(location)).page.text, /go back to your device/i);
  const { status: polled, headers, body } = await poll(device);
  assert.equal(polled, 200, JSON.stringify(body));
  assert.match(headers.get("cache-control"), /no-store/);
  assert.equal(body.authorization_details[0].base_url, `${broker.url}/openai/v1`);
  assert.equal((await chat(broker, body.access_token)).status, 200);
  const next = await refresh(broker, cli, body.refresh_token);
  assert.equal((await chat(broker, next.body.access_token)).status, 200);
  const { page } = await browser.get("/grants");
  assert.match(page.text, /Demo command line/);
});

test("RFC 9396 §7: a device too is told what was granted, which is less than it asked for", async () => {
  const device = await show(cli, { scope: "openai:chat anthropic:chat" });
  const { page } = await enter(device.user_code);
  const form = page.form("/authorize").untick("p1.on").tick("no_budget");
  await browser.submit(form.press("decision", "allow"));
  const { body } = await poll(device);
  assert.deepEqual(body.authorization_details.map(({ provider }) => provider), ["openai"]);
});

test("a client without the grant type refresh_token gets no refresh token", async () => {
  const single = await browser.register({ name: "Once" });
  await broker.sql("UPDATE clients SET grant_types = ? WHERE client_id = ?", JSON.stringify([GRANT_TYPE]), single.client_id);
  const device = await show(single);
  await allow(device);
  const { body } = await poll(device, single);
  assert.equal(body.refresh_token, undefined);
  assert.equal((await chat(broker, body.access_token)).status, 200);
});

test("RFC 8628 §3.5: whom a person denies is told access_denied, and no grant is made", async () => {
  const device = await show();
  const { location } = await decide(device, "deny");
  assert.equal(location.href, `${broker.url}/device?done=denied`);
  assertOAuthError(await poll(device), 400, "access_denied");
  assertOAuthError(await poll(device), 400, "access_denied");
  assert.equal((await rowOf(device)).grant_id, null);
});

test("a grant that is revoked before the device comes gives it nothing", async () => {
  const device = await show();
  await allow(device);
  await browser.revoke((await rowOf(device)).grant_id);
  assertOAuthError(await poll(device), 400, "invalid_grant");
});

// Polling.

test("RFC 8628 §3.5: a poll that comes too early slows the client down, for good", async () => {
  const device = await show();
  assertOAuthError(await poll(device), 400, "authorization_pending");
  assertOAuthError(await poll(device), 400, "slow_down");
  assert.equal((await rowOf(device)).interval_seconds, 10);
  assertOAuthError(await poll(device), 400, "slow_down");
  assert.equal((await rowOf(device)).interval_seconds, 15);
  // Ten seconds were enough before.
  await broker.sql("UPDATE device_codes SET polled_at_ms = polled_at_ms - 10000 WHERE user_code = ?", plain(device.user_code));
  assertOAuthError(await poll(device), 400, "slow_down");
  await letTimePass(device);
  assertOAuthError(await poll(device), 400, "authorization_pending");
  assert.equal((await rowOf(device)).interval_seconds, 20);
});

test("RFC 8628 §3.5: of polls that come together exactly one is in time", async () => {
  const device = await show();
  const answers = await Promise.all(Array.from({ length: 20 }, () => poll(device)));
  const errors = answers.map(({ body }) => body.error).sort();
  assert.deepEqual(errors, ["authorization_pending", ...Array.from({ length: 19 }, () => "slow_down")]);
});

test("a client that was slowed down gets its tokens at its next poll, however early that is", async () => {
  const device = await show();
  await poll(device);
  await poll(device);
  await allow(device);
  assert.equal((await poll(device)).status, 200);
});

test("RFC 8628 §3.5: an expired code is expired_token to the device, and can not be entered", async () => {
  const device = await show();
  await broker.sql("UPDATE device_codes SET expires_at = ? WHERE user_code = ?", now(), plain(device.user_code));
  assertOAuthError(await poll(device), 400, "expired_token");
  assert.equal((await enter(device.user_code)).status, 400);
});

test("what expires while the consent page is open can not be allowed, and leaves no grant behind", async () => {
  const device = await show();
  const { page } = await enter(device.user_code);
  await broker.sql("UPDATE device_codes SET expires_at = ? WHERE user_code = ?", now(), plain(device.user_code));
  const before = await broker.sql("SELECT count(*) AS n FROM grants");
  const form = page.form("/authorize").tick("no_budget");
  assert.equal((await browser.submit(form.press("decision", "allow"))).status, 400);
  assert.deepEqual(await broker.sql("SELECT count(*) AS n FROM grants"), before);
});

test("RFC 8628 §3.4: another client gets nothing for the code, and takes nothing from its own", async () => {
  const device = await show();
  assertOAuthError(await poll(device, app), 400, "invalid_grant");
  await allow(device);
  assertOAuthError(await poll(device, app), 400, "invalid_grant");
  assert.equal((await poll(device)).status, 200);
  assertOAuthError(await poll(device, app), 400, "invalid_grant");
});

for (const [what, value, error] of [
  ["unknown", `aip_dc_${"A".repeat(49)}`, "invalid_grant"],
  ["malformed", "x", "invalid_grant"],
  ["missing", undefined, "invalid_request"],
]) {
  test(`RFC 6749 §5.2: a device code that is ${what} is refused`, async () => {
    assertOAuthError(await poll({ device_code: value }), 400, error);
  });
}

// Once.

test("of fifty who redeem one code at the same moment one gets tokens, and they go on working", async () => {
  const device = await show();
  await allow(device);
  const answers = await Promise.all(Array.from({ length: 50 }, () => poll(device)));
  const won = answers.filter(({ status }) => status === 200);
  assert.equal(won.length, 1);
  for (const answer of answers.filter(({ status }) => status !== 200)) assertOAuthError(answer, 400, "invalid_grant");
  assert.equal((await chat(broker, won[0].body.access_token)).status, 200);
  const [{ n }] = await broker.sql("SELECT count(*) AS n FROM refresh_tokens WHERE grant_id = ?", claims(won[0].body.access_token).grant_id);
  assert.equal(n, 1);
});

test("RFC 9700 §4.14.2: a code that is presented again over a minute after its use ends the grant", async () => {
  const device = await show();
  await allow(device);
  const { body } = await poll(device);
  assertOAuthError(await poll(device), 400, "invalid_grant");
  assert.equal((await chat(broker, body.access_token)).status, 200, "one that crosses ends nothing");
  await broker.sql("UPDATE device_codes SET redeemed_at = redeemed_at - 62 WHERE user_code = ?", plain(device.user_code));
  assertOAuthError(await poll(device, app), 400, "invalid_grant");
  assert.equal((await chat(broker, body.access_token)).status, 200, "nor does another client's");
  assertOAuthError(await poll(device), 400, "invalid_grant");
  assertOpenAiError(await chat(broker, body.access_token), 401, "invalid_token");
  assertOAuthError(await refresh(broker, cli, body.refresh_token), 400, "invalid_grant");
});

// The person.

test("RFC 8628 §3.3.1: a link with the code fills it in, and asks for nothing yet", async () => {
  const device = await show();
  const { page } = await browser.get(device.verification_uri_complete);
  assert.equal(page.form("/device").value("user_code"), device.user_code);
  assert.match(page.text, /If somebody sent you the code: stop/);
  assert.equal(page.forms.some((form) => form.action.pathname === "/authorize"), false);
  assert.equal((await rowOf(device)).decided_at, null);
});

test("RFC 8628 §5.4: the consent page names the app, shows the code to compare, and warns", async () => {
  const device = await show();
  const { page } = await enter(device.user_code);
  assert.match(page.text, /Demo command line/);
  assert.ok(page.text.includes(device.user_code));
  assert.match(page.text, /Does your device show this very code/);
  assert.match(page.text, /If somebody sent you the code: deny/);
});

test("RFC 8628 §5.4: the code still stands there when the form comes back with an error", async () => {
  const device = await show();
  const { page } = await enter(device.user_code);
  const form = page.form("/authorize").fill({ budget_usd: "a lot" });
  const answer = await browser.submit(form.press("decision", "allow"));
  assert.equal(answer.status, 400);
  assert.ok(answer.page.text.includes(device.user_code));
  assertOAuthError(await poll(device), 400, "authorization_pending");
});

test("who is not signed in signs in first and finds the code again", async () => {
  const device = await show();
  const newcomer = new Browser(broker);
  const { page } = await newcomer.get(device.verification_uri_complete);
  assert.match(page.text, /sign in/i);
  const link = await newcomer.get(signInLink(broker));
  const { location } = await newcomer.submit(link.page.form("/sign-in"));
  assert.equal(location.href, device.verification_uri_complete);
  assert.equal((await newcomer.get(location)).page.form("/device").value("user_code"), device.user_code);
});

for (const [what, typed] of [
  ["in small letters", (code) => code.toLowerCase()],
  ["without the dash", (code) => code.replace("-", "")],
  ["with spaces", (code) => ` ${[...code.replace("-", "")].join(" ")} `],
]) {
  test(`RFC 8628 §6.1: a code is taken as people type it: ${what}`, async () => {
    const device = await show();
    const { status, page } = await enter(typed(device.user_code));
    assert.equal(status, 200, page.text);
    assert.ok(page.text.includes(device.user_code));
  });
}

const clean = () => broker.sql("DELETE FROM device_guesses");

test("RFC 8628 §6.1: look-alikes are no code, and are not worth a guess", async () => {
  await clean();
  for (const typed of ["", "x", "WDJB-MJH0", "ＷDJB-MJHT", "\u0412CDF-GHJK", "WDJB-MJHTT", "<b>", "WDJB%-MJHT"]) {
    const { status, page } = await enter(typed);
    assert.equal(status, 400, typed);
    assert.match(page.text, /This code is not good/);
    assert.equal(page.form("/device").value("user_code"), typed);
  }
  assert.deepEqual(await broker.sql("SELECT * FROM device_guesses"), []);
});

test("RFC 8628 §5.1: unknown, expired and answered codes look the same", async () => {
  await clean();
  const [expired, answered] = [await show(), await show()];
  await broker.sql("UPDATE device_codes SET expires_at = ? WHERE user_code = ?", now(), plain(expired.user_code));
  await decide(answered, "deny");
  const answers = [];
  for (const code of ["BBBB-BBBB", expired.user_code, answered.user_code]) {
    const { status, text } = await enter(code);
    answers.push({ status, text: text.replaceAll(code, "CODE") });
  }
  assert.equal(answers[0].status, 400);
  assert.deepEqual(answers[1], answers[0]);
  assert.deepEqual(answers[2], answers[0]);
});

test("RFC 8628 §5.1: after ten wrong codes even the right one is refused, to this person alone, for ten minutes", async () => {
  await clean();
  const device = await show();
  const { page } = await browser.get("/device");
  const guess = (n) => browser.submit(page.form("/device").fill({ user_code: `BBBBBB${"BCDFGHJKLMNPQRSTVWXZ"[n]}Z` }));
  const answers = await Promise.all(Array.from({ length: 15 }, (_, n) => guess(n)));
  assert.deepEqual(
    [400, 429].map((status) => answers.filter((answer) => answer.status === status).length),
    [10, 5],
  );
  const refused = await enter(device.user_code);
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  const sameUser = new Browser(broker);
  await sameUser.signIn();
  assert.equal((await enter(device.user_code, sameUser)).status, 429, "a new session is the same person");
  const other = await browser.somebodyElse("user_guesses");
  assert.equal((await enter(device.user_code, other)).status, 200);
  await broker.sql("UPDATE device_guesses SET at = at - 600");
  assert.equal((await enter(device.user_code)).status, 200);
});

test("right codes don't count as guesses", async () => {
  await clean();
  for (let n = 0; n < 12; n += 1) assert.equal((await decide(await show(), "deny")).status, 303);
});

test("a consent page for a device can be answered by its own session alone", async () => {
  await clean();
  const device = await show();
  const { page } = await enter(device.user_code);
  const handle = page.form("/authorize").value("request");
  const other = await browser.somebodyElse("user_session");
  const theirs = (await enter(device.user_code, other)).page.form("/authorize").tick("no_budget").press("decision", "allow");
  const data = theirs.data();
  data.set("request", handle);
  assert.equal((await other.submit(theirs, { data })).status, 400);
  assertOAuthError(await poll(device), 400, "authorization_pending");
});

test("of two people who enter one code the first to answer decides; the other is told, and no grant is left behind", async () => {
  const device = await show();
  const other = await browser.somebodyElse("user_second");
  const pages = [(await enter(device.user_code)).page, (await enter(device.user_code, other)).page];
  const [first, second] = pages.map((page) => page.form("/authorize").tick("no_budget").press("decision", "allow"));
  assert.equal((await browser.submit(first)).status, 303);
  assert.equal((await other.submit(second)).status, 400);
  assert.equal((await other.submit(second.press("decision", "deny"))).status, 400, "it is not denied either");
  assert.deepEqual(await broker.sql("SELECT * FROM grants WHERE user_id = 'user_second'"), []);
  const { body } = await poll(device);
  assert.equal((await chat(broker, body.access_token)).status, 200);
});

test("pressing Allow twice makes one grant", async () => {
  const device = await show();
  const { page } = await enter(device.user_code);
  const form = page.form("/authorize").tick("no_budget").press("decision", "allow");
  const answers = await Promise.all([browser.submit(form), browser.submit(form)]);
  for (const { status, location } of answers) assert.deepEqual([status, location.search], [303, "?done=allowed"]);
  const { grant_id } = await rowOf(device);
  const grants = await broker.sql("SELECT grant_id FROM grants WHERE client_id = 'demo-cli' ORDER BY created_at DESC, rowid DESC LIMIT 1");
  assert.deepEqual(grants, [{ grant_id }]);
});

test("CSRF: a code that is posted from elsewhere, without the token, or without a session is not looked up", async () => {
  await clean();
  const { page } = await browser.get("/device");
  const form = page.form("/device").fill({ user_code: "BBBB-BBBB" });
  assert.equal((await browser.submit(form, { headers: { origin: "https://evil.example" } })).status, 403);
  const data = form.data();
  data.delete("csrf");
  assert.equal((await browser.submit(form, { data })).status, 403);
  assert.equal((await new Browser(broker).submit(form)).status, 401);
  assert.deepEqual(await broker.sql("SELECT * FROM device_guesses"), []);
});

test("the page for codes can not be framed, and is not kept", async () => {
  const { headers } = await browser.get("/device");
  assert.match(headers.get("content-security-policy"), /frame-ancestors 'none'/);
  assert.match(headers.get("cache-control"), /no-store/);
});

// The example.

test("examples/cli connects itself with a generic client, and chats, once a person has allowed it", async () => {
  await clean();
  const script = path.join(ROOT, "examples", "cli", "connect.mjs");
  const child = spawn(process.execPath, [script, broker.url, "hello"], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const ended = once(child, "close");
  const link = await until(() => /http\S+user_code=\S+/.exec(output)?.[0], "the link is printed");
  const [userCode] = /[A-Z]{4}-[A-Z]{4}$/.exec(link);
  assert.ok(output.split(userCode).length > 2, "the code is printed beside the link, too");
  const { page } = await browser.get(link);
  const consent = await browser.submit(page.form("/device"));
  await browser.submit(consent.page.form("/authorize").press("decision", "allow"));
  const [status] = await ended;
  assert.equal(status, 0, output);
  assert.match(output.split(userCode).at(-1), /\w{3,}/, "an answer was streamed");
});
