// What takes a proof that it is the person: whoever has a session that is an hour old, theirs or not, allows no more by any way than the
// operator lets go without.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SECURITY, anHourLater, invite, join, sendWithPasskey } from "../support/authenticator.mjs";
import { Browser, claims, postForm, redeem, signInLink } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";
import { cliRegistration } from "../../scripts/lib/local-database.mjs";

const { broker, browser: operator, app } = await startWorld();
const CHAT = { details: [{ type: "ai_access", provider: "openai", models: ["*"], capabilities: ["chat"] }] };
const DAY = 24 * 3600;
const ASKED = /Confirm that it is you/;
const TOKEN = /eyJ[\w-]+\.[\w-]+\.[\w-]+/;

const count = async (sql, ...values) => (await broker.sql(`SELECT count(*) AS n FROM ${sql}`, ...values))[0].n;
const grants = () => count("grants");
/** Nothing was allowed yet, but for what people know by now. */
const anew = () => broker.sql("DELETE FROM allowed");
/** What was allowed until now was allowed so many seconds earlier. */
const later = (seconds) => broker.sql("UPDATE allowed SET at = at - ?", seconds);

/** The form for a token, as it is proposed but for `values`. */
async function tokenForm(values = {}, who = operator) {
  const { page } = await who.get("/tokens/new");
  const form = page.form("/tokens").fill({ name: "mine" });
  form.untick("anthropic.on", "on");
  for (const [name, value] of Object.entries(values)) name === "tick" ? form.tick(...value) : form.fill({ [name]: value });
  return form;
}

const token = async (values, who = operator) => who.submit(await tokenForm(values, who));
const made = (answer) => TOKEN.test(answer.text);

async function isAsked(answer, why) {
  assert.equal(answer.status, 200, answer.page?.text);
  assert.match(answer.page.text, ASKED);
  assert.match(answer.page.text, why);
  return answer.page.forms.find(({ action, options }) => action.pathname === "/confirm" && !options);
}

/** Proves it with a fresh link, and goes on with the form that was interrupted. */
async function prove(asked, action, who = operator) {
  const confirmed = await who.submit(asked.fill({ code: signInLink(broker) }));
  assert.equal(confirmed.status, 200, confirmed.page?.text);
  return { confirmed, again: await who.submit(confirmed.page.form(action)) };
}

// Somebody who allowed chat at one provider, and the app that the world has.
await operator.grant(app, { ...CHAT, money: true });

test("an app of one's own that is allowed every model, without a limit, for a year, is asked about; then it goes on as it was filled in", async () => {
  const own = await operator.register({ name: "Mine", redirectUris: ["https://mine.example/cb"] });
  await anHourLater(broker);
  const before = await grants();
  const consent = await operator.consent(own, CHAT);
  consent.form.tick("no_budget").fill({ expires_in: "31536000" });
  const asked = await isAsked(await operator.submit(consent.form.press("decision", "allow")), /It would allow money without a limit/);
  assert.equal(await grants(), before);
  assert.deepEqual(
    ["action", "kept.no_budget", "kept.expires_in", "kept.decision"].map((name) => asked.value(name)),
    ["/authorize", "on", "31536000", "allow"],
  );
  const { confirmed, again } = await prove(asked, "/authorize");
  assert.match(confirmed.headers.get("content-security-policy"), /form-action 'self' https:\/\/mine\.example$/, "Chromium follows the answer");
  assert.equal(again.status, 303, again.page?.text);
  const { body } = await redeem(broker, own, { code: again.location.searchParams.get("code"), verifier: consent.verifier });
  const [{ terms }] = await broker.sql("SELECT terms FROM grants WHERE grant_id = ?", claims(body.access_token).grant_id);
  assert.equal(JSON.parse(terms).limits?.budget_usd, undefined);
});

test("a token of 900,000 USD, one that lives long, and one for what was never allowed, are asked about; a small one is not", async () => {
  await anew();
  await anHourLater(broker);
  const before = await grants();
  await isAsked(await token({ budget_usd: "900000" }), /it can cost 900,000\.00 USD\. Up to 25\.00 USD go without this question/);
  await isAsked(await token({ end: String(90 * DAY) }), /It would last longer than 30 days/);
  await isAsked(await token({ tick: ["openai.capabilities", "images"] }), /You have never allowed this before: .*\(OpenAI\)/);
  await isAsked(await token({ budget_usd: "4", budget_period: "day" }), /it can cost 32\.00 USD/);
  assert.equal(await grants(), before);
  assert.ok(made(await token()));
});

test("in Korean it is said in Korean", async () => {
  await anew();
  const answer = await operator.submit(await tokenForm({ budget_usd: "900000" }), { headers: { "accept-language": "ko" } });
  assert.match(answer.page.text, /최대 900,000\.00 USD예요\. 25\.00 USD까지는 묻지 않아요/);
});

test("five apps with what is proposed, whose hosts are known, are allowed on one day; what comes then is asked about by every way", async () => {
  await operator.signIn();
  const apps = [];
  for (let index = 1; index <= 5; index += 1) {
    const one = await operator.register({ name: `App ${index}`, redirectUris: [`https://app${index}.example/cb`] });
    await operator.grant(one, { ...CHAT, money: true });
    apps.push(one);
  }
  const own = (await token({ budget_usd: "1" })).text.match(TOKEN)[0];
  const id = claims(own).grant_id;
  await broker.sql(cliRegistration);
  await anew();
  await anHourLater(broker);
  for (const one of apps) await operator.grant(one, { ...CHAT, money: true });
  const before = await grants();
  const why = /it can cost 25\.01 USD/;
  await isAsked(await token({ budget_usd: "0.01" }), why);
  const { form } = await operator.consent(apps[0], CHAT);
  form.fill({ budget_usd: "0.01" });
  await isAsked(await operator.submit(form.press("decision", "allow")), why);
  const { body: device } = await postForm(`${broker.url}/device_authorization`, { client_id: "demo-cli", scope: "openai:chat" });
  const entered = await operator.submit((await operator.get("/device")).page.form("/device").fill({ user_code: device.user_code }));
  const onDevice = entered.page.form("/authorize").fill({ budget_usd: "0.01" });
  await isAsked(await operator.submit(onDevice.press("decision", "allow")), why);
  const limits = (await operator.get(`/grants/${id}`)).page.form(`/grants/${id}`).fill({ budget_usd: "1.01" });
  await isAsked(await operator.submit(limits), /it can cost 26\.01 USD/);
  const end = (await operator.get(`/grants/${id}`)).page.form(`/grants/${id}/end`).fill({ end: String(DAY) });
  assert.equal((await operator.submit(end)).status, 303, "what ends sooner allows no more");
  assert.equal(await grants(), before);
  const form2 = (await operator.get(`/grants/${id}`)).page.form(`/grants/${id}`).fill({ budget_usd: "0.50" });
  assert.equal((await operator.submit(form2)).status, 303, "nor does less money");
  await later(DAY);
  assert.ok(made(await token({ budget_usd: "25" })), "a day later as much goes again");
});

test("of many at once no more go without a proof than one after the other", async () => {
  await anew();
  const forms = await Promise.all(Array.from({ length: 12 }, () => tokenForm({ budget_usd: "5" })));
  const answers = await Promise.all(forms.map((form) => operator.submit(form)));
  assert.equal(answers.filter(made).length, 5);
  assert.ok(answers.filter((answer) => !made(answer)).every(({ page }) => ASKED.test(page.text)));
  assert.equal((await broker.sql("SELECT sum(nano_usd) AS n FROM allowed WHERE is_proven = 0"))[0].n, 25e9);
});

test("the same form, sent twice, counts once", async () => {
  await anew();
  const form = await tokenForm({ budget_usd: "20" });
  assert.ok(made(await operator.submit(form)));
  assert.equal((await operator.submit(form)).status, 409);
  assert.ok(made(await token({ budget_usd: "5" })));
});

test("what was proven within 90 days goes without a proof, money and time each by itself, up to four times the setting", async () => {
  await anew();
  const asked = await isAsked(await token({ budget_usd: "60" }), /Up to 25\.00 USD/);
  const { again } = await prove(asked, "/tokens");
  assert.ok(made(again), again.page?.text);
  await anHourLater(broker);
  await isAsked(await token({ budget_usd: "1", end: String(90 * DAY) }), /longer than 30 days/);
  assert.ok(made(await token({ budget_usd: "60" })));
  await isAsked(await token({ budget_usd: "1" }), /Up to 60\.00 USD/);
  const { again: long } = await prove(await isAsked(await token({ budget_usd: "9000", end: String(365 * DAY) }), /9,060\.00 USD/), "/tokens");
  assert.ok(made(long));
  await anHourLater(broker);
  await later(DAY);
  assert.ok(made(await token({ budget_usd: "100", end: String(90 * DAY) })));
  await isAsked(await token({ budget_usd: "0.01" }), /Up to 100\.00 USD/);
  await isAsked(await token({ budget_usd: "0.01", end: String(365 * DAY) }), /Up to 100\.00 USD/);
  await later(90 * DAY);
  await isAsked(await token({ budget_usd: "25.01" }), /Up to 25\.00 USD/);
});

test("an app whose answer goes where neither the person nor an operator ever let one go is asked about, once", async () => {
  await anew();
  await operator.signIn();
  const { browser: member } = await join(operator, { name: "Min" });
  await member.grant(app, { ...CHAT, money: true });
  const there = await member.register({ name: "There", redirectUris: ["https://there.example/cb", "http://localhost:9999/cb"] });
  await anHourLater(broker);
  const allow = async (who, redirect_uri) => {
    const { form } = await who.consent(there, { ...CHAT, change: { redirect_uri } });
    return who.submit(form.press("decision", "allow"));
  };
  const [site, loopback] = ["https://there.example/cb", "http://localhost:9999/cb"];
  await isAsked(await allow(member, site), /You have never allowed an app before whose answer goes to https:\/\/there\.example\./);
  await isAsked(await allow(member, loopback), /You have never allowed a program on your own computer before\./);
  const asked = await isAsked(await allow(operator, site), /goes to https:\/\/there\.example\./);
  assert.equal((await prove(asked, "/authorize")).again.status, 303);
  await anHourLater(broker);
  assert.equal((await allow(operator, site)).status, 303, "known by now");
  assert.equal((await allow(member, site)).status, 303, "and what an operator knows, members know");
});

test("a later end of a grant whose money is much is asked about, whoever allowed it before", async () => {
  await operator.signIn();
  const big = claims((await token({ budget_usd: "90" })).text.match(TOKEN)[0]).grant_id;
  const { grant_id: id } = await operator.grant(app, {
    details: [...CHAT.details, { type: "ai_limits", budget_usd: "90" }],
    money: true,
  });
  await anew();
  await anHourLater(broker);
  const extend = async (grant) => operator.submit((await operator.get(`/grants/${grant}`)).page.form(`/grants/${grant}/end`).fill({ end: String(30 * DAY) }));
  await isAsked(await extend(id), /it can cost 90\.00 USD/);
  const resumed = async (deed) => operator.submit((await operator.get(`/grants/${big}`)).page.form(`/grants/${big}/${deed}`));
  assert.equal((await resumed("pause")).status, 303);
  assert.equal((await resumed("resume")).status, 303, "a pause that ends gives back what was agreed");
});

test("a first passkey takes a sign-in by link or invitation of the last ten minutes", async () => {
  await operator.signIn();
  const other = await operator.somebodyElse("user_without_passkey");
  assert.equal(await count("passkeys JOIN users USING (user_id) WHERE role = 'operator'"), 0);
  await anHourLater(broker);
  for (const who of [operator, other]) {
    const { page } = await who.get(SECURITY);
    const [form] = page.forms.filter(({ action }) => action.pathname === `${SECURITY}/passkeys/add`);
    const asked = await who.submit(form);
    assert.match(asked.page.text, ASKED);
    const options = await who.post(`${SECURITY}/passkeys/options`, new URLSearchParams({ csrf: form.value("csrf"), name: "Thief" }));
    assert.equal(options.status, 403);
  }
  await operator.signIn();
  const { page } = await operator.get(SECURITY);
  const [form] = page.forms.filter(({ action }) => action.pathname === `${SECURITY}/passkeys/add`);
  assert.match((await operator.submit(form)).page.text, /Make the passkey/);
});

test("an invitation, which has no end, is asked about", async () => {
  await anHourLater(broker);
  const { answer, link } = await invite(operator, { name: "Somebody" });
  assert.equal(link, undefined);
  assert.match(answer.page.text, ASKED);
  assert.equal(await count("invitations WHERE name = 'Somebody'"), 0);
});

test("the operator's setting holds, and one that can't be read stops the broker, and says which", async () => {
  await broker.restart({ PROOF_ABOVE_USD: "3", PROOF_ABOVE_DAYS: "1" });
  await anew();
  await anHourLater(broker);
  await isAsked(await token({ end: String(DAY), budget_usd: "3.01" }), /Up to 3\.00 USD/);
  await isAsked(await token({ budget_usd: "1" }), /longer than a day/);
  assert.ok(made(await token({ end: String(DAY), budget_usd: "3" })));
  await broker.restart({ PROOF_ABOVE_USD: "much" });
  assert.equal((await new Browser(broker).get("/sign-in")).status, 503);
  assert.ok(broker.logs.some((line) => /PROOF_ABOVE_USD is not an amount in USD/.test(line)));
});
