import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, chat } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser } = await startWorld();
const member = await browser.somebodyElse();

const nameOf = async (id) => (await broker.sql("SELECT name FROM users WHERE user_id = ?", id))[0].name;

async function rename(person, name, options) {
  const { page } = await person.get("/settings");
  return person.submit(page.form("/settings/name").fill({ name }), options);
}

test("a stranger is asked to sign in", async () => {
  const { status, page } = await new Browser(broker).get("/settings");
  assert.equal(status, 200);
  assert.ok(!page.forms.some((form) => form.action.pathname === "/settings/name"));
  assert.match(page.title, /Sign in/);
});

test("a new name is kept, shown, and noted with the former one", async () => {
  const { status, location } = await rename(member, "  Kim <Minji> ");
  assert.equal(status, 303);
  assert.equal(location.pathname, "/settings");
  assert.equal(await nameOf("user_other"), "Kim <Minji>");
  const { page, text } = await member.get("/settings");
  assert.equal(page.form("/settings/name").value("name"), "Kim <Minji>");
  assert.ok(!text.includes("<Minji>"), "as text, never as markup");
  const [entry] = await broker.sql("SELECT * FROM audit WHERE event = 'name_changed'");
  assert.deepEqual([entry.user_id, entry.actor, entry.subject, entry.detail], ["user_other", "person", "Kim <Minji>", "Other"]);
});

test("the same name again changes nothing and is not noted", async () => {
  const before = await broker.sql("SELECT count(*) AS n FROM audit WHERE event = 'name_changed'");
  assert.equal((await rename(member, await nameOf("user_other"))).status, 303);
  assert.deepEqual(await broker.sql("SELECT count(*) AS n FROM audit WHERE event = 'name_changed'"), before);
});

for (const [what, name] of [
  ["nothing", "   "],
  ["more than 60 characters", "가".repeat(61)],
  ["text that turns round", "a\u202eb"],
  ["two lines", "a\nb"],
]) {
  test(`${what} is refused beside the field, and what was typed stays`, async () => {
    const before = await nameOf("user_other");
    const { page } = await member.get("/settings");
    const data = page.form("/settings/name").data();
    data.set("name", name);
    const answer = await member.post("/settings/name", data);
    assert.equal(answer.status, 400);
    assert.ok(answer.page.all("id").includes("name.error"));
    assert.equal(await nameOf("user_other"), before);
  });
}

test("an operator reads which providers have a key, and no key", async () => {
  const { text, page } = await browser.get("/settings");
  assert.match(page.text, /OpenAI ?ready/);
  for (const secret of Object.values(broker.secrets)) assert.ok(!text.includes(secret));
});

test("a member reads nothing of how the broker is set up", async () => {
  const { page } = await member.get("/settings");
  assert.doesNotMatch(page.text, /Version|Address|ready|no key/);
  assert.ok(!page.all("href").some((href) => ["/members", "/settings/policy", "/settings/webhook"].includes(href)));
});

test("a member reads what the operator allows them and what of it is used; an operator, whom nothing binds, does not", async () => {
  const open = async (person, headers) => (await person.get("/settings", headers)).page.text;
  assert.match(await open(member), /Your allowance .*OpenAI ?any model Anthropic ?any model Each grant ?no limit In a month, everything together ?no limit/);
  const form = (await browser.get("/settings/policy")).page.form("/settings/policy");
  form.fill({ "openai.models": "gpt-5*\no4", max_per_grant: "2", max_per_month: "0.50" }).untick("anthropic.on");
  assert.equal((await browser.submit(form)).status, 303);
  const app = await member.register();
  const details = [{ type: "ai_access", provider: "openai", models: ["gpt-5-mini"], capabilities: ["chat"] }];
  const { access_token: token } = await member.grant(app, { details });
  assert.equal((await chat(broker, token)).status, 200);
  const text = await until(async () => {
    const text = await open(member);
    return !text.includes("0.00 of 0.50") && text;
  }, "the call is booked in the account");
  assert.match(text, /Spent this month 0\.\d+ of 0\.50 USD/);
  assert.match(text, /OpenAI ?any gpt-5… model, o4 Anthropic ?no model Each grant ?at most 2\.00 USD, over its whole life In a month, everything together ?at most 0\.50 USD/);
  assert.match(await open(member, { "accept-language": "ko" }), /내 한도 .*앱에 허용할 수 있는 것/);
  const refused = await rename(member, " ");
  assert.match(refused.page.text, /at most 0\.50 USD/, "also where a name is refused");
  assert.doesNotMatch(await open(browser), /Your allowance/);
});

test("registering and deleting an app is noted", async () => {
  const app = await member.register({ name: "Noted", redirectUris: ["https://noted.example/cb"] });
  const { page } = await member.get("/apps");
  await member.submit(page.form(`/apps/${app.client_id}/delete`));
  const rows = await broker.sql("SELECT event, subject, detail FROM audit WHERE subject = 'Noted' ORDER BY rowid");
  assert.deepEqual(rows, [
    { event: "app_registered", subject: "Noted", detail: app.client_id },
    { event: "app_deleted", subject: "Noted", detail: app.client_id },
  ]);
});
