// Passkeys: added, used, refused, removed. WebAuthn §7.1, §7.2.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Authenticator, SECURITY, addPasskey, anHourLater, fillWithPasskey, join, sendWithPasskey, signInWithPasskey, tryPasskey } from "../support/authenticator.mjs";
import { Browser, signInLink } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser: operator } = await startWorld();
const SESSION = "__Host-aip-session";
const phone = new Authenticator();
const events = async () => (await broker.sql("SELECT event FROM audit ORDER BY audit_id")).map(({ event }) => event);

test("somebody who signed in by link is asked to add a passkey, and is not any more once they have", async () => {
  assert.match((await operator.get(SECURITY)).page.text, /You signed in without a passkey/);
  const answer = await addPasskey(operator, phone);
  assert.equal(answer.location.pathname + answer.location.search, `${SECURITY}?done=added`);
  const { page } = await operator.get(SECURITY);
  assert.doesNotMatch(page.text, /You signed in without a passkey/);
  assert.match(page.text, /Phone/);
  assert.ok((await events()).includes("passkey_added"));
});

test("a passkey alone signs in: nobody types a name", async () => {
  const browser = await signInWithPasskey(broker, phone);
  assert.match((await browser.get(SECURITY)).page.text, /Operator/);
  assert.ok((await events()).includes("signed_in"));
});

test("the session cookie is Secure, HttpOnly, SameSite=Lax and for this host alone; the challenge's cookie goes", async () => {
  const { headers } = await tryPasskey(new Browser(broker), phone);
  const lines = headers.getSetCookie();
  const line = lines.find((text) => text.startsWith(`${SESSION}=`));
  for (const flag of ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"]) assert.ok(line.includes(flag), line);
  assert.doesNotMatch(line, /Domain/i);
  assert.ok(lines.some((text) => text.startsWith("__Host-aip-passkey=;") && text.includes("Max-Age=0")));
});

test("session fixation: a sign-in makes a fresh session, and ends the one that the browser had", async () => {
  const browser = new Browser(broker);
  await browser.signIn();
  const before = browser.cookies.get(SESSION);
  assert.equal((await tryPasskey2(browser)).status, 303);
  assert.notEqual(browser.cookies.get(SESSION), before);
  const old = new Browser(broker);
  old.cookies.set(SESSION, before);
  assert.match((await old.get(SECURITY)).page.text, /This page is for people who have signed in/);
});

// A page with the form, for a browser that is signed in already: what a stranger sees.
async function tryPasskey2(browser, wrong) {
  const { page } = await new Browser(broker).get("/sign-in");
  return sendWithPasskey(browser, page.form("/sign-in/passkey"), phone, wrong);
}

/** Refused, with the page that all wrong answers get. */
async function assertRefused(answer) {
  assert.equal(answer.status, 400, answer.page?.text);
  assert.match(answer.page.text, /This passkey was not accepted/);
  assert.equal(answer.headers.getSetCookie().some((line) => line.startsWith(SESSION)), false);
}

const [known] = phone.passkeys;
for (const [what, wrong] of [
  ["another origin", { origin: "https://evil.example" }],
  ["a frame of somebody else's", { crossOrigin: true }],
  ["another relying party", { rpId: "evil.example" }],
  ["nobody present (UP)", { flags: 4 | 8 }],
  ["nobody verified (UV)", { flags: 1 | 8 }],
  ["another challenge", { challenge: Buffer.alloc(56).toString("base64url") }],
  ["another user handle", { userHandle: Buffer.from("user_other").toString("base64url") }],
  ["no user handle", { userHandle: null }],
  ["another backup eligibility", { flags: 1 | 4 }],
]) {
  test(`WebAuthn §7.2: ${what} does not sign in`, async () => assertRefused(await tryPasskey(new Browser(broker), phone, wrong)));
}

test("enumeration: unknown and known credentials, a wrong signature and a removed passkey get the same answer", async () => {
  const other = new Authenticator();
  other.passkeys.push({ ...phone.passkeys[0], id: Buffer.alloc(32, 1) });
  const stranger = await tryPasskey(new Browser(broker), other);
  const forger = new Authenticator();
  const { privateKey } = (await import("node:crypto")).generateKeyPairSync("ec", { namedCurve: "P-256" });
  forger.passkeys.push({ ...phone.passkeys[0], privateKey });
  const forged = await tryPasskey(new Browser(broker), forger);
  await assertRefused(stranger);
  assert.equal(forged.status, stranger.status);
  assert.equal(forged.text, stranger.text);
  assert.deepEqual([...forged.headers.keys()], [...stranger.headers.keys()]);
});

test("a challenge counts once, in the browser that it was given to, for five minutes", async () => {
  const browser = new Browser(broker);
  const { page } = await browser.get("/sign-in");
  const form = page.form("/sign-in/passkey");
  const data = await fillWithPasskey(browser, form, phone);
  await assertRefused(await new Browser(broker).submit(form, { data }));
  const other = new Browser(broker);
  await other.post(form.options, form.data());
  await assertRefused(await other.submit(form, { data }));
  assert.equal((await browser.submit(form, { data })).status, 303);
  await assertRefused(await browser.submit(form, { data }));
});

test("of 50 who answer one challenge one signs in", async () => {
  const browser = new Browser(broker);
  const { page } = await browser.get("/sign-in");
  const form = page.form("/sign-in/passkey");
  const data = await fillWithPasskey(browser, form, phone);
  const sessions = async () => (await broker.sql("SELECT count(*) AS n FROM sessions"))[0].n;
  const before = await sessions();
  const cookies = new Map(browser.cookies);
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => {
      const one = new Browser(broker);
      one.cookies = new Map(cookies);
      return one.submit(form, { data });
    }),
  );
  assert.equal(answers.filter(({ status }) => status === 303).length, 1);
  assert.equal(await sessions(), before + 1);
});

test("WebAuthn §6.1.1: a count that went back is refused, said, and noted", async () => {
  const answer = await tryPasskey(new Browser(broker), phone, { count: 1 });
  assert.equal(answer.status, 403);
  assert.match(answer.page.text, /may have been copied/);
  assert.ok((await events()).includes("passkey_refused"));
  phone.passkeys[0].count = 100;
  await signInWithPasskey(broker, phone);
});

test("a device that has a passkey of theirs is named, so that it makes no second one", async () => {
  const { page } = await operator.get(SECURITY);
  const add = await operator.submit(page.form(`${SECURITY}/passkeys/add`));
  const form = add.page.form(`${SECURITY}/passkeys`);
  const { publicKey } = JSON.parse((await operator.post(form.options, form.data())).text);
  assert.deepEqual(publicKey.excludeCredentials, [{ type: "public-key", id: phone.passkeys[0].id.toString("base64url") }]);
  assert.deepEqual(publicKey.authenticatorSelection, { residentKey: "required", requireResidentKey: true, userVerification: "required" });
  assert.equal(publicKey.attestation, "none");
});

test("WebAuthn §7.1: a new passkey of another page, or without anybody verified, is refused", async () => {
  for (const wrong of [{ origin: "https://evil.example" }, { flags: 1 }, { rpId: "evil.example" }, { challenge: "AAAA" }]) {
    const answer = await addPasskey(operator, new Authenticator(), { wrong });
    assert.equal(answer.status, 400, JSON.stringify(wrong));
    assert.match(answer.page.text, /The passkey was not added/);
  }
});

test("a challenge for signing in adds no passkey, and one of another session neither", async () => {
  const { page } = await operator.get(SECURITY);
  const add = await operator.submit(page.form(`${SECURITY}/passkeys/add`));
  const form = add.page.form(`${SECURITY}/passkeys`);
  const { publicKey } = JSON.parse((await operator.post("/sign-in/passkey/options", form.data())).text);
  const answer = await addPasskey(operator, new Authenticator(), { wrong: { challenge: publicKey.challenge } });
  assert.equal(answer.status, 400);
  const elsewhere = await signInWithPasskey(broker, phone);
  const theirs = JSON.parse((await operator.post(form.options, form.data())).text).publicKey.challenge;
  assert.equal((await addPasskey(elsewhere, new Authenticator(), { wrong: { challenge: theirs } })).status, 400);
});

test("the last passkey stays; of two one can go, after the person was confirmed", async () => {
  const laptop = new Authenticator();
  const removeForms = async () => (await operator.get(SECURITY)).page.forms.filter(({ action }) => action.pathname.endsWith("/remove"));
  assert.equal((await removeForms()).length, 0, "one alone has no button");
  assert.equal((await addPasskey(operator, laptop, { name: "Laptop" })).status, 303);
  const forms = await removeForms();
  assert.equal(forms.length, 2);
  const gone = await operator.submit(forms[1]);
  assert.equal(gone.location.search, "?done=removed");
  await assertRefused(await tryPasskey(new Browser(broker), laptop));
  const last = await operator.submit(forms[0]);
  assert.equal(last.location.search, "?done=last");
  await signInWithPasskey(broker, phone);
});

test("of two passkeys that are removed at once one stays", async () => {
  await addPasskey(operator, new Authenticator(), { name: "Laptop" });
  const forms = (await operator.get(SECURITY)).page.forms.filter(({ action }) => action.pathname.endsWith("/remove"));
  await Promise.all([...forms, ...forms, ...forms].map((form) => operator.submit(form)));
  assert.equal((await broker.sql("SELECT count(*) AS n FROM passkeys WHERE user_id = (SELECT user_id FROM users LIMIT 1)"))[0].n, 1);
  // Whichever stayed: the link is the operator's last way in, and adds another.
  phone.passkeys.length = 0;
  await operator.signIn();
  await addPasskey(operator, phone, { name: "New phone" });
});

test("IDOR: nobody names or removes somebody else's passkey", async () => {
  const { browser: member, authenticator } = await join(operator);
  const [{ passkey_id: id }] = await broker.sql("SELECT passkey_id FROM passkeys WHERE name = 'New phone'");
  const { page } = await member.get(SECURITY);
  const csrf = page.form(`${SECURITY}/recovery-codes`).value("csrf");
  for (const [what, fields] of [["rename", { name: "Mine" }], ["remove", {}]]) {
    const answer = await member.post(`${SECURITY}/passkeys/${id}/${what}`, new URLSearchParams({ csrf, ...fields }));
    assert.equal(answer.status, 404, what);
  }
  assert.equal((await broker.sql("SELECT name FROM passkeys WHERE passkey_id = ?", id))[0].name, "New phone");
  await signInWithPasskey(broker, authenticator);
});

test("a further passkey, and removing one, take a recent proof; the interrupted form goes on with all its fields", async () => {
  await anHourLater(broker);
  const { page } = await operator.get(SECURITY);
  const asked = await operator.submit(page.form(`${SECURITY}/passkeys/add`));
  assert.match(asked.page.text, /Confirm that it is you/);
  const forms = asked.page.forms.filter(({ action, options }) => action.pathname === "/confirm" && options);
  const wrong = await operator.submit(forms[0], { data: new URLSearchParams([...forms[0].data(), ["code", "nonsense"]]) });
  assert.equal(wrong.status, 400);
  assert.equal(wrong.page.forms.filter(({ action }) => action.pathname === "/confirm").length, 2, "and can be tried again");
  const confirmed = await sendWithPasskey(operator, forms[0], phone);
  assert.equal(confirmed.status, 200, confirmed.page.text);
  const again = await operator.submit(confirmed.page.form(`${SECURITY}/passkeys/add`));
  assert.match(again.page.text, /Make the passkey/);
  assert.match((await operator.submit(page.form(`${SECURITY}/passkeys/add`))).page.text, /Make the passkey/, "for ten minutes");
});

test("WebAuthn §7.2: who is signed in confirms with a security key that leaves the user handle out; a wrong one, or somebody else's key, does not", async () => {
  const { browser: member, authenticator } = await join(operator, { name: "Security key" });
  const stranger = (await join(operator, { name: "Another" })).authenticator;
  const attempt = async (device, wrong) => {
    await anHourLater(broker);
    const { page } = await member.get(SECURITY);
    const asked = await member.submit(page.form(`${SECURITY}/recovery-codes`));
    const [form] = asked.page.forms.filter(({ options }) => options);
    return sendWithPasskey(member, form, device, { passkey: device.passkeys[0], ...wrong });
  };
  assert.equal((await attempt(authenticator, { userHandle: Buffer.from("user_other").toString("base64url") })).status, 400);
  assert.equal((await attempt(stranger, { userHandle: null })).status, 400);
  const confirmed = await attempt(authenticator, { userHandle: null });
  assert.equal(confirmed.status, 200, confirmed.page?.text);
  const codes = await member.submit(confirmed.page.form(`${SECURITY}/recovery-codes`));
  assert.equal(codes.status, 201);
  assert.notEqual((await attempt(authenticator, {})).status, 400, "and with one it works as ever");
});

test("an authenticator that knows RS256 alone, as many a Windows Hello, enrols, signs in and confirms; another's signature does not", async () => {
  await operator.signIn();
  const { browser: member } = await join(operator, { name: "Windows" });
  const hello = new Authenticator({ algorithm: -257, counts: false });
  assert.equal((await addPasskey(member, hello, { name: "Hello" })).status, 303);
  assert.match(await broker.sql("SELECT public_key FROM passkeys WHERE name = 'Hello'").then(([row]) => row.public_key), /^RS256\.[\w-]{342}\.AQAB$/);
  const browser = await signInWithPasskey(broker, hello);
  assert.match((await browser.get(SECURITY)).page.text, /Hello/);
  const forger = new Authenticator({ algorithm: -257, counts: false });
  const { privateKey } = (await import("node:crypto")).generateKeyPairSync("rsa", { modulusLength: 2048 });
  forger.passkeys.push({ ...hello.passkeys[0], privateKey });
  await assertRefused(await tryPasskey(new Browser(broker), forger));
  const curve = new Authenticator({ counts: false });
  curve.passkeys.push({ ...hello.passkeys[0], privateKey: phone.passkeys[0].privateKey });
  await assertRefused(await tryPasskey(new Browser(broker), curve));
});

test("somebody else's passkey confirms nothing", async () => {
  await operator.signIn();
  const { authenticator } = await join(operator, { name: "Seo" });
  await anHourLater(broker);
  const { page } = await operator.get(SECURITY);
  const asked = await operator.submit(page.form(`${SECURITY}/recovery-codes`));
  const [form] = asked.page.forms.filter(({ options }) => options);
  const answer = await sendWithPasskey(operator, form, authenticator, { passkey: authenticator.passkeys[0] });
  assert.equal(answer.status, 400);
  assert.match((await operator.submit(page.form(`${SECURITY}/recovery-codes`))).page.text, /Confirm that it is you/);
});

test("a copy of somebody else's passkey that is used to confirm is noted where its owner finds it", async () => {
  await operator.signIn();
  const { browser: member, authenticator } = await join(operator, { name: "Yun" });
  const [passkey] = authenticator.passkeys;
  passkey.count = 100;
  await signInWithPasskey(broker, authenticator);
  await anHourLater(broker);
  const { page } = await operator.get(SECURITY);
  const asked = await operator.submit(page.form(`${SECURITY}/recovery-codes`));
  const [form] = asked.page.forms.filter(({ options }) => options);
  assert.equal((await sendWithPasskey(operator, form, authenticator, { passkey, count: 1 })).status, 403);
  assert.match((await member.get("/activity")).page.text, /was refused: there may be a copy of it/);
});

test("an operator confirms with a fresh one-time link, once; a member can not", async () => {
  await anHourLater(broker);
  const link = signInLink(broker);
  const ask = async (browser) => {
    const { page } = await browser.get(SECURITY);
    const asked = await browser.submit(page.form(`${SECURITY}/recovery-codes`));
    const [form] = asked.page.forms.filter(({ action, options }) => action.pathname === "/confirm" && !options);
    return browser.submit(form.fill({ code: link }));
  };
  await operator.signIn();
  const { browser: member } = await join(operator, { name: "Park" });
  await anHourLater(broker);
  assert.equal((await ask(member)).status, 400);
  assert.equal((await ask(operator)).status, 200);
  await anHourLater(broker);
  assert.equal((await ask(operator)).status, 400);
});

test("a confirmed form leads nowhere but to this broker", async () => {
  const { page } = await operator.get(SECURITY);
  const csrf = page.form(`${SECURITY}/recovery-codes`).value("csrf");
  for (const action of ["https://evil.example/", "//evil.example", "", "/\\evil.example"]) {
    const answer = await operator.post("/confirm", new URLSearchParams({ csrf, action, code: "x" }));
    assert.equal(answer.status, 404, action);
  }
});

test("the pages with a passkey run our script and no other, and say what is needed without it", async () => {
  const answer = await new Browser(broker).get("/sign-in");
  const policy = answer.headers.get("content-security-policy");
  assert.match(policy, /script-src 'self'; connect-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.match(answer.text, /<noscript>.*Passkeys need JavaScript/s);
  assert.doesNotMatch((await operator.get("/grants")).headers.get("content-security-policy"), /connect-src/);
});

test("no challenge, key or credential is in the log", async () => {
  const logs = broker.logs.join("\n");
  for (const { id } of phone.passkeys) assert.ok(!logs.includes(id.toString("base64url")));
  assert.doesNotMatch(logs, /aip_(se|pk|in|sl)_/);
  assert.ok(known === undefined || !logs.includes("clientDataJSON"));
});
