// The overview: what a person's apps used in a month and what they should look at. Theirs alone, however much there is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DETAILS, assertOpenAiError, chat } from "../support/flow.mjs";
import { seedMuch } from "../support/much.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser } = await startWorld();
const DAY = 24 * 3600;
const now = () => Math.floor(Date.now() / 1000);
const overview = async (person = browser, query = "") => {
  const answer = await person.get(`/${query}`);
  assert.equal(answer.status, 200);
  return answer;
};
const textOf = async (...of) => (await overview(...of)).page.text;

/** The overview, once it says this: bookings are told to D1 some seconds after a call. */
const told = (pattern, person) =>
  until(async () => {
    const text = await textOf(person);
    return pattern.test(text) && text;
  }, `the overview says ${pattern}`);

const userOf = async (grant) => (await broker.sql("SELECT user_id FROM grants WHERE grant_id = ?", grant))[0].user_id;

test("whoever never allowed anything is told how to connect an app, and sees no empty figures", async () => {
  const { page } = await overview(await browser.somebodyElse("user_new"));
  assert.match(page.text, /Connect your first app/);
  assert.ok(page.all("href").includes("/developers"));
  assert.ok(!page.elementNames().has("table"));
  assert.doesNotMatch(page.text, /By app/);
});

test("the navigation leads to the overview first, and says where one is", async () => {
  const links = (html) => [...html.split("<nav")[1].split("</nav>")[0].matchAll(/href="([^"]+)"( aria-current)?/g)];
  const here = links((await overview()).text).map(([, href, current]) => [href, Boolean(current)]);
  assert.deepEqual(here[0], ["/", true]);
  const elsewhere = links((await browser.get("/grants")).text);
  assert.deepEqual(elsewhere.filter(([, , current]) => current).map(([, href]) => href), ["/grants"]);
});

test("what was called is summed up by app and by model, in money, calls and tokens", async () => {
  const one = await browser.register({ name: "Counted app" });
  const other = await browser.register({ name: "Other counted app" });
  const { access_token: first, grant_id: grant } = await browser.grant(one);
  const { access_token: second } = await browser.grant(other);
  for (const token of [first, first, second]) assert.equal((await chat(broker, token)).status, 200);
  const text = await told(/3 calls/);
  const [{ calls, tokens, nano }] = await broker.sql(
    "SELECT sum(requests) AS calls, sum(tokens) AS tokens, sum(nano_usd) AS nano FROM usage_events JOIN grants USING (grant_id) WHERE user_id = ?",
    await userOf(grant),
  );
  assert.equal(calls, 3);
  assert.ok(nano > 0, "the calls cost something");
  assert.ok(text.includes(`3 calls · ${tokens} tokens`), text);
  const [apps, models] = text.split("By app")[1].split("By model");
  assert.match(apps, /Counted app .*USD (6\d % )+· Calls: 2 Other counted app .*USD (3\d % )+· Calls: 1/);
  assert.match(models, /gpt-5-mini OpenAI .*USD (100 % )+· Calls: 3/);
});

test("another month has its own figures, and a month that is none, or comes yet, is the present one", async () => {
  const { page } = await overview();
  const [, month] = /([A-Z][a-z]+ \d{4}) so far/.exec(page.text);
  for (const bad of ["2026-13", "x", "", "9999-12", "-1", "2026-1", "%00", "2026%27--", "1".repeat(2000)]) {
    assert.ok((await textOf(browser, `?month=${bad}`)).includes(`${month} so far`), bad);
  }
  const past = await textOf(browser, "?month=2024-02");
  assert.match(past, /February 2024 .*No call was booked\./);
  assert.doesNotMatch(past, /Counted app/);
});

test("a grant of whose limit most is used is told, with what is used and where to raise it", async () => {
  const app = await browser.register({ name: "Thirsty app" });
  const { access_token: token, grant_id: grant } = await browser.grant(app, { details: [{ ...DETAILS[0], limits: { requests: 1 } }] });
  assert.equal((await chat(broker, token)).status, 200);
  const text = await told(/Thirsty app *Requests: 1 of 1/);
  assert.match(text, /Thirsty app *Requests: 1 of 1 Used up: calls are refused/);
  assert.match(text, /\b1 new notice\b/);
  const { page } = await overview();
  assert.ok(page.all("href").includes(`/grants/${grant}`) && page.all("href").includes("/notices"));
  const notices = (await browser.get("/notices")).page.forms.find((form) => form.action.pathname === "/notices");
  assert.equal((await browser.submit(notices)).status, 303);
  assert.doesNotMatch(await textOf(), /new notice/);
});

test("refused calls are told with the app and the reason", async () => {
  const app = await browser.register({ name: "Curious app" });
  const { access_token: token } = await browser.grant(app);
  assertOpenAiError(await chat(broker, token, "x", { model: "gpt-5-pro" }), 403, "model_not_granted");
  await told(/Curious app *It asked for the model gpt-5-pro, which you did not allow\. *1 refused call,/);
});

test("a grant that ends soon is told, one that ends later or was revoked is not", async () => {
  const app = await browser.register({ name: "Ending app" });
  const { grant_id: grant } = await browser.grant(app);
  assert.doesNotMatch(await textOf(), /Ending app/);
  const [{ terms }] = await broker.sql("SELECT terms FROM grants WHERE grant_id = ?", grant);
  const end = now() + 2 * DAY;
  const sooner = JSON.stringify({ ...JSON.parse(terms), expires_at: end * 1000 });
  await broker.sql("UPDATE grants SET expires_at = ?, terms = ? WHERE grant_id = ?", end, sooner, grant);
  assert.match(await textOf(), /Ending app *Its calls are refused from then on\. Ends in (1 day|2 days|47 hours)/);
  await browser.revoke(grant);
  assert.doesNotMatch(await textOf(), /Ending app *Its calls/);
});

test("CWE-639: nothing of another user is on the overview: no figure, no app, no grant, no notice, whatever is asked", async () => {
  const mine = await overview();
  const grants = await broker.sql("SELECT grant_id, client_id, user_id, client_name FROM grants");
  const other = await browser.somebodyElse("user_curious");
  const [{ user_id: operator }] = grants;
  const asked = ["", `?user=${operator}`, `?user_id=${operator}&month=2026-11`, `?grant=${grants[0].grant_id}`];
  for (const query of asked) {
    const { text } = await overview(other, query);
    for (const { grant_id: grant, client_id: client, client_name: name } of grants) {
      // What they asked for themselves stands in the way back of the switch of languages.
      const secrets = [grant, client, name, operator].filter((secret) => !query.includes(secret));
      for (const secret of secrets) assert.ok(!text.includes(secret), `${query}: ${secret}`);
    }
    assert.match(text, /Connect your first app/);
  }
  assert.match(mine.text, /Counted app/);
});

test("a member reads their allowance; an operator has none", async () => {
  const policy = (await browser.get("/settings/policy")).page.form("/settings/policy");
  policy.fill({ max_per_grant: "2", max_per_month: "20" });
  assert.equal((await browser.submit(policy)).status, 303);
  const member = await browser.somebodyElse("user_allowed");
  assert.match(await textOf(member), /Your allowance Spent this month 0\.00 of 20\.00 USD this month 20\.00 USD left/);
  assert.match(await textOf(member), /lets each app have at most 2\.00 USD/);
  assert.doesNotMatch(await textOf(), /Your allowance/);
  const korean = await member.get("/", { "accept-language": "ko" });
  assert.match(korean.page.text, /내 한도 .*앱마다 최대 2\.00 USD/);
});

test("whoever has no passkey is asked to add one, and no longer once there is one", async () => {
  const member = await browser.somebodyElse("user_keyless");
  assert.ok((await overview(member)).page.form("/settings/security/passkeys/add"));
  await broker.sql(
    `INSERT INTO passkeys (passkey_id, user_id, credential_id, public_key, sign_count, backup_eligible, name, created_at)
     VALUES ('pk_one', 'user_keyless', 'AAAA', 'ES256.AAAA.AAAA', 0, 0, 'Phone', ?)`,
    now(),
  );
  const { page } = await overview(member);
  assert.ok(page.forms.every((form) => form.action.pathname !== "/settings/security/passkeys/add"));
});

test("CWE-79: names of apps and models are text, in bars, titles and tables", async () => {
  const name = `<script>alert(1)</script>"'&<img src=x>`;
  const user = "user_injected";
  const member = await browser.somebodyElse(user);
  const month = new Date().getUTCFullYear() * 12 + new Date().getUTCMonth();
  await broker.sql(
    "INSERT INTO usage_months VALUES (?, ?, 'app_AAAAAAAAAAAAAAAAAAAAAA', 'openai', ?, ?, 1, 1, 1000)",
    user,
    month,
    `${name}m`,
    `${name}a`,
  );
  await broker.sql("INSERT INTO usage_days VALUES (?, ?, 1, 1, 1000)", user, Math.floor(now() / DAY));
  const { page, headers } = await overview(member);
  assert.ok(page.text.includes(`${name}m`) && page.text.includes(`${name}a`), page.text);
  assert.ok(!page.elementNames().has("script") && !page.elementNames().has("img"));
  assert.match(headers.get("content-security-policy"), /default-src 'none'/);
});

test("with 5,000 grants, and 100,000 calls of one of them, every page of theirs answers", async (context) => {
  const app = await browser.register({ name: "Busy app" });
  const { grant_id: busy } = await browser.grant(app);
  await seedMuch(broker, busy);
  const paths = ["/", "/grants", `/grants/${busy}`, `/grants/${busy}/calls`, "/tokens", "/activity", "/notices", "/settings"];
  for (const target of paths) {
    const began = performance.now();
    const { status, text } = await browser.get(target);
    context.diagnostic(`${target.replace(busy, "{id}")}: ${Math.round(performance.now() - began)} ms, ${text.length} characters`);
    assert.equal(status, 200, target);
  }
});
