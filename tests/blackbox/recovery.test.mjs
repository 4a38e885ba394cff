// Recovery codes: the way in when all passkeys are gone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Authenticator, SECURITY, addPasskey, anHourLater, join, recoveryCodes, signInWithPasskey } from "../support/authenticator.mjs";
import { shippedLimits } from "../support/broker.mjs";
import { Browser } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { LIMIT_GUESSES } = await shippedLimits();
const { broker, browser: operator } = await startWorld({ limits: { LIMIT_GUESSES: LIMIT_GUESSES.limit } });
let host = 0;
/** A browser at an address of its own: guesses are counted by address. */
function somewhere(address = `198.51.100.${(host += 1)}`) {
  const browser = new Browser(broker);
  const post = browser.post.bind(browser);
  browser.post = (target, data, more) => post(target, data, { "cf-connecting-ip": address, ...more });
  return browser;
}
async function recover(code, browser = somewhere()) {
  const { page } = await browser.get("/recover");
  return browser.submit(page.form("/recover").fill({ code }));
}

await addPasskey(operator, new Authenticator());
let codes = await recoveryCodes(operator);

test("ten codes are shown once, and stored hashed", async () => {
  assert.equal(new Set(codes).size, 10);
  const text = (await operator.get(SECURITY)).page.text;
  assert.match(text, /10 of 10 are unused/);
  for (const code of codes) assert.ok(!text.includes(code));
  const stored = JSON.stringify(await broker.sql("SELECT * FROM recovery_codes"));
  for (const code of codes) assert.ok(!stored.includes(code) && !stored.includes(code.replaceAll("-", "")));
});

test("a code signs in without a name, leads on to a new passkey, and is used up", async () => {
  const browser = somewhere();
  const answer = await recover(codes[0].toLowerCase().replaceAll("-", " "), browser);
  assert.equal(answer.status, 303);
  assert.equal(answer.location.pathname + answer.location.search, `${SECURITY}?done=recovered`);
  const { page } = await browser.get(answer.location);
  assert.match(page.text, /9 of 10 are unused/);
  assert.match(page.text, /Add a passkey on this device/);
  const phone = new Authenticator();
  assert.equal((await addPasskey(browser, phone)).status, 303);
  await signInWithPasskey(broker, phone);
  assert.equal((await recover(codes[0])).status, 400);
});

test("of 50 who use one code one is signed in", async () => {
  const before = (await broker.sql("SELECT count(*) AS n FROM sessions"))[0].n;
  const answers = await Promise.all(Array.from({ length: 50 }, () => recover(codes[1])));
  assert.equal(answers.filter(({ status }) => status === 303).length, 1);
  assert.equal((await broker.sql("SELECT count(*) AS n FROM sessions"))[0].n, before + 1);
});

test("new codes end the old ones", async () => {
  const old = codes;
  codes = await recoveryCodes(operator);
  assert.equal((await recover(old[5])).status, 400);
  assert.equal((await recover(codes[0])).status, 303);
});

test("a wrong code, a used one and something else look the same", async () => {
  const pages = [];
  for (const code of ["BCDF-GHJK-LMNP-QRST", codes[0], "nonsense"]) {
    const answer = await recover(code);
    assert.equal(answer.status, 400);
    assert.equal(answer.headers.getSetCookie().length, 0);
    pages.push(answer.text);
  }
  assert.equal(new Set(pages).size, 1);
});

test("lock-out resistance: somebody who guesses is held up, and locks nobody out", async () => {
  const guesser = somewhere("203.0.113.9");
  let held = 0;
  for (let i = 0; i < LIMIT_GUESSES.limit + 10; i += 1) {
    const { status } = await guesser.post("/recover", new URLSearchParams({ code: "BCDF-GHJK-LMNP-QRST" }));
    if (status === 429) held += 1;
    else assert.equal(status, 400);
  }
  assert.ok(held > 0, "the guesser waits");
  assert.equal((await recover(codes[1])).status, 303, "the owner gets in");
  assert.equal((await recover(codes[2])).status, 303, "with every code");
});

test("making codes takes a recent proof, which a code of one's own is, and somebody else's isn't", async () => {
  const { browser: member } = await join(operator);
  await anHourLater(broker);
  const ask = async (browser, code) => {
    const { page } = await browser.get(SECURITY);
    const asked = await browser.submit(page.form(`${SECURITY}/recovery-codes`));
    assert.match(asked.page.text, /Confirm that it is you/);
    const [form] = asked.page.forms.filter(({ action, options }) => action.pathname === "/confirm" && !options);
    return browser.submit(form.fill({ code }));
  };
  assert.equal((await ask(member, codes[3])).status, 400);
  const confirmed = await ask(operator, codes[3]);
  assert.equal(confirmed.status, 200, "it is the operator's still: the member used nothing up");
  const made = await operator.submit(confirmed.page.form(`${SECURITY}/recovery-codes`));
  assert.equal(made.status, 201);
});

test("a code of one person signs in that person", async () => {
  const { browser: member } = await join(operator, { name: "Yuna" });
  const theirs = await recoveryCodes(member);
  const browser = somewhere();
  await recover(theirs[0], browser);
  assert.match((await browser.get(SECURITY)).page.text, /Yuna/);
  const [{ detail }] = await broker.sql("SELECT detail FROM audit WHERE event = 'signed_in' ORDER BY audit_id DESC LIMIT 1");
  assert.equal(detail, "with a recovery code");
});

test("no code is in the log", () => {
  const logs = broker.logs.join("\n");
  for (const code of codes) assert.ok(!logs.includes(code));
});
