// What the operator allows members is kept by the ledgers: on every call, over all grants of a member, from the next call on.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { anHourLater, join, recoveryCodes, tryPasskey } from "../support/authenticator.mjs";
import { Browser, assertAnthropicError, assertOpenAiError, authorizationRequest, call, chat, messages, postForm, signInLink } from "../support/flow.mjs";
import { startScripted } from "../support/scripted.mjs";
import { startWorld, until } from "../support/world.mjs";

const provider = await startScripted();
after(() => provider.close());
/** The model writes all that it may: 1,000 tokens at 10 USD per million are a cent. */
const CENT = { model: "gpt-own", max_completion_tokens: 1000 };
provider.answer = async (request, response, body) => {
  if (request.url.includes("/models")) {
    const data = ["gpt-own", "gpt-other"].map((id) => ({ id, object: "model", created: 1, owned_by: "x" }));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ object: "list", data }));
    return;
  }
  await new Promise((resolve) => setTimeout(resolve, 30));
  const written = body.max_completion_tokens;
  response.writeHead(200, { "content-type": "application/json" }).end(
    JSON.stringify({
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 1,
      model: body.model,
      choices: [{ index: 0, message: { role: "assistant", content: "hi", refusal: null }, logprobs: null, finish_reason: "stop" }],
      usage: { prompt_tokens: 0, completion_tokens: written, total_tokens: written },
    }),
  );
};
const price = (model) => ({ provider: "openai", model, input: "0", output: "10", window: 10000, max_output: 5000 });
const { broker, browser, app } = await startWorld({
  env: {
    OPENAI_BASE_URL: provider.url,
    ANTHROPIC_BASE_URL: provider.url,
    HOLD_TTL_SECONDS: "30",
    PRICES: JSON.stringify([price("gpt-own"), price("gpt-other")]),
  },
});

const DETAILS = [
  { type: "ai_access", provider: "openai", models: ["gpt-own", "gpt-other"], capabilities: ["chat"] },
  { type: "ai_access", provider: "anthropic", models: ["claude-opus-5"], capabilities: ["chat"] },
];
const OPENAI = { details: [DETAILS[0]] };
const EVERYTHING = { "openai.models": "*", "anthropic.models": "*", max_per_grant: "", max_per_month: "" };

/** Saves a policy on the page; `off` are providers that members may not use. */
async function allow(values, off = []) {
  const form = (await browser.get("/settings/policy")).page.form("/settings/policy");
  form.fill({ ...EVERYTHING, ...values });
  for (const name of ["openai", "anthropic"]) {
    if (off.includes(name)) form.untick(`${name}.on`);
    else form.tick(`${name}.on`);
  }
  const answer = await browser.submit(form);
  assert.equal(answer.status, 303, answer.page?.text);
  const { page } = await browser.get(answer.location);
  assert.match(page.text, /Saved\. It holds from the next call on\./);
}

let count = 0;
/** A new member. */
async function member() {
  count += 1;
  const id = `user_member_${count}`;
  return Object.assign(await browser.somebodyElse(id), { id });
}

/** What is booked for a user, over all grants, once so many calls are. */
const booked = (user, calls) =>
  until(async () => {
    const [row] = await broker.sql(
      "SELECT count(*) AS calls, coalesce(sum(nano_usd), 0) AS nano FROM usage_events JOIN grants USING (grant_id) WHERE user_id = ?",
      user,
    );
    return row.calls === calls && row.nano;
  }, `${calls} bookings`);

const NANO_PER_CENT = 10_000_000;

test("two grants of one member with 50 calls each at once never pass the month's cap", async () => {
  await allow({ max_per_month: "0.30" });
  const person = await member();
  const grants = [await person.grant(app, OPENAI), await person.grant(app, OPENAI)];
  const patient = async (token) => {
    for (;;) {
      const answer = await chat(broker, token, "hello", CENT);
      if (answer.status !== 429) return answer;
      assertOpenAiError(answer, 429, "account_budget_held");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const calls = grants.flatMap(({ access_token: token }) => Array.from({ length: 50 }, () => patient(token)));
  const answers = await Promise.all(calls);
  const passed = answers.filter(({ status }) => status === 200);
  assert.equal(passed.length, 30);
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    assertOpenAiError(answer, 402, "account_budget_exhausted");
    assert.match(answer.body.error.message, /0\.30 USD a month that the operator allows for all grants of this account/);
    assert.equal(answer.body.error.aipassport.scope, "account");
    assert.equal(answer.headers.get("retry-after"), null);
  }
  assert.equal(await booked(person.id, 30), 30 * NANO_PER_CENT, "each call is told once, by its grant");

  const { page } = await browser.get("/members");
  assert.match(page.text, /0\.30 of 0\.30 USD/);
});

test("a refused call counts nowhere: the grant has all of its requests left", async () => {
  await allow({ max_per_month: "0.01" });
  const person = await member();
  const { access_token: token } = await person.grant(app, { details: [{ ...DETAILS[0], limits: { requests: 2 } }] });
  assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
  await booked(person.id, 1);
  for (let i = 0; i < 3; i += 1) assertOpenAiError(await chat(broker, token, "hello", CENT), 402, "account_budget_exhausted");
  await allow({});
  assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
  assertOpenAiError(await chat(broker, token, "hello", CENT), 402, "requests_exhausted");
});

test("a lowered policy holds on the very next call of a grant that was made before", async () => {
  await allow({});
  const person = await member();
  const { access_token: token } = await person.grant(app, { details: DETAILS });
  assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
  await booked(person.id, 1);
  await allow({ max_per_month: "0.015" });
  assertOpenAiError(await chat(broker, token, "hello", CENT), 402, "account_budget_exhausted");
  await allow({ max_per_grant: "0.015" });
  const refused = await chat(broker, token, "hello", CENT);
  assertOpenAiError(refused, 402, "budget_exhausted");
  assert.equal(refused.body.error.aipassport.scope, "ceiling");
  assert.match(refused.body.error.message, /that the operator allows for each grant/);
  // Raised again: a grant that said no itself is told before that is believed.
  await allow({ max_per_grant: "0.025" });
  assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
  await allow({ "openai.models": "gpt-other" });
  assertOpenAiError(await chat(broker, token, "hello", CENT), 403, "model_not_allowed");
  assert.equal((await chat(broker, token, "hello", { ...CENT, model: "gpt-other" })).status, 200);
  await allow({}, ["anthropic"]);
  assertAnthropicError(await messages(broker, token), 403, "provider_not_allowed");
  assert.equal((await chat(broker, token, "hello", CENT)).status, 200, "what is allowed again works again");
});

test("models are listed within what both the grant and the policy name", async () => {
  await allow({ "openai.models": "gpt-o*\ngpt-5" });
  const person = await member();
  const { access_token: token } = await person.grant(app, OPENAI);
  const listed = async () => (await call(broker, token, "/openai/v1/models", { method: "GET" })).body.data.map(({ id }) => id);
  assert.deepEqual(await listed(), ["gpt-own", "gpt-other"]);
  await allow({ "openai.models": "gpt-other" });
  assert.deepEqual(await listed(), ["gpt-other"]);
});

test("consent shows a member only what may be handed on, and proposes no more money than that", async () => {
  await allow({ "openai.models": "gpt-own", max_per_grant: "2" }, ["anthropic"]);
  const person = await member();
  const { form, page } = await person.consent(app, { details: DETAILS });
  assert.deepEqual(form.values("p0.models"), ["gpt-own"]);
  assert.ok(!form.names.includes("p1.on"), page.text);
  assert.equal(form.value("budget_usd"), "2.00");
  const more = await person.submit(form.fill({ budget_usd: "2.01" }).press("decision", "allow"));
  assert.equal(more.status, 400);
  assert.match(more.page.text, /your operator allows at most 2\.00 USD for each grant/);
  await allow({ "openai.models": "gpt-own", max_per_grant: "8" }, ["anthropic"]);
  const none = await person.consent(app, OPENAI);
  assert.ok(!none.form.names.includes("no_budget"), "what would be refused is not offered");
  const data = none.form.press("decision", "allow").data();
  data.set("plan", "custom");
  data.set("no_budget", "on");
  const open = await person.submit(none.form, { data });
  assert.equal(open.status, 400);
  assert.match(open.page.text, /your operator allows at most 8\.00 USD for each grant/);
  // What the policy forbids altogether.
  const { url, state } = authorizationRequest(broker, app, { details: [DETAILS[1]] });
  const { body } = await postForm(`${broker.url}/par`, url.searchParams);
  const pushed = `/authorize?${new URLSearchParams({ client_id: app.client_id, request_uri: body.request_uri })}`;
  for (const link of [url, pushed, pushed]) {
    const refused = await person.get(link);
    assert.equal(refused.status, 403, "also when it is loaded again: nothing was used up");
    assert.match(refused.page.text, /Test app asks for this: Chat with claude-opus-5 at Anthropic\. .* allows its members none of these models/);
    const back = new URL(refused.page.all("href").find((href) => href.startsWith(`${app.redirect_uri}?`)));
    const { error, state: given, iss } = Object.fromEntries(back.searchParams);
    assert.deepEqual({ error, given, iss }, { error: "access_denied", given: state, iss: broker.url });
  }
  const own = await browser.consent(app, { details: DETAILS });
  assert.deepEqual(own.form.values("p0.models"), ["gpt-own", "gpt-other"], "an operator sees all that is asked");
});

test("what the policy leaves out of a request, or lowers, stands beside what is asked, with the reason", async () => {
  await allow({ "openai.models": "gpt-own\ngpt-5-mini", max_per_grant: "2" }, ["anthropic"]);
  const person = await member();
  const details = [
    { ...DETAILS[0], models: ["gpt-own", "gpt-other", "gpt-5*"], limits: { budget_usd: "3.50", budget_period: "month" } },
    DETAILS[1],
    { type: "ai_limits", budget_usd: "9.00" },
  ];
  const { form, page } = await person.consent(app, { details });
  assert.match(page.text, /The app asks for: 9\.00 USD in all\./, "as it asks, not as it was lowered");
  assert.match(page.text, /Your operator allows at most 2\.00 USD for each grant, over its whole life\./);
  assert.match(page.text, /The app asks for Chat with gpt-own, gpt-other and any gpt-5… model at OpenAI at most 3\.50 USD per month/);
  assert.match(page.text, /Left out, since your operator does not allow it: gpt-other\./);
  assert.match(page.text, /Of any gpt-5… model your operator allows only what stands here\./);
  assert.match(page.text, /your operator allows at most 2\.00 USD per month/, "beside the field");
  assert.doesNotMatch(page.text, /asked for 2\.00/);
  assert.match(page.text, /The app asks for Chat with claude-opus-5 at Anthropic You allow Nothing of it: your operator allows none of these models of Anthropic\./);
  assert.deepEqual(form.values("p0.models"), ["gpt-own", "gpt-5-mini"]);
  assert.equal(form.value("p0.budget_usd"), "2.00");
  const answer = await person.submit(form.press("decision", "allow"));
  assert.equal(answer.status, 303, answer.page?.text);
  const korean = await person.get((await person.consent(app, { details })).url, { "accept-language": "ko" });
  assert.match(korean.page.text, /운영자가 허용하지 않아서 뺀 것: gpt-other/);
  await allow({});
  const whole = await person.consent(app, { details });
  assert.doesNotMatch(whole.page.text, /operator/);
  assert.deepEqual(whole.form.values("p0.models"), ["gpt-own", "gpt-other", "gpt-5*"]);
});

test("what a policy left out for one person is shown to whoever signs in in their place as far as theirs allows it", async () => {
  await allow({ "openai.models": "gpt-own" });
  const person = await member();
  const { form } = await person.consent(app, OPENAI);
  const operator = new Browser(broker);
  for (const [name, value] of browser.cookies) operator.cookies.set(name, value);
  const answer = await operator.submit(form.press("decision", "allow"));
  assert.equal(answer.status, 400, "shown again");
  assert.deepEqual(answer.page.form("/authorize").values("p0.models"), ["gpt-own", "gpt-other"]);
});

test("usual limits above the ceiling are offered lowered to it, and granted so", async () => {
  await allow({});
  const person = await member();
  const first = await person.consent(app, OPENAI);
  await person.submit(first.form.fill({ budget_usd: "20", expires_in: "3600" }).tick("remember").press("decision", "allow"));
  await allow({ max_per_grant: "8" });
  const { form, page } = await person.consent(app, OPENAI);
  assert.match(page.text, /Your usual limits 8\.00 USD in all, for 1 hour ?less than you chose before: your operator allows no more/);
  assert.equal(form.data().get("plan"), "usual");
  const answer = await person.submit(form.press("decision", "allow"));
  assert.equal(answer.status, 303, answer.page?.text);
  const [{ terms }] = await broker.sql("SELECT terms FROM grants WHERE user_id = ? ORDER BY rowid DESC LIMIT 1", person.id);
  assert.equal(JSON.parse(terms).limits.budget_usd, "8.00");
});

test("what is proposed for a token can be made as it is, and its ceiling is said", async () => {
  await allow({ "openai.models": "gpt-own", max_per_grant: "0.5" }, ["anthropic"]);
  const person = await member();
  const { page } = await person.get("/tokens/new");
  const form = page.form("/tokens");
  assert.deepEqual([form.value("budget_usd"), form.values("openai.models")[0]], ["0.50", "gpt-own"]);
  assert.ok(!form.names.includes("anthropic.on") && !form.names.includes("no_budget"), page.text);
  assert.match(page.text, /Your operator allows at most 0\.50 USD for each grant/);
  const made = await person.submit(form.fill({ name: "notebook" }));
  assert.equal(made.status, 201, made.page?.text);
  const [{ terms }] = await broker.sql("SELECT terms FROM grants WHERE user_id = ? AND client_id = 'personal'", person.id);
  assert.equal(JSON.parse(terms).limits.budget_usd, "0.50");
  await allow({ "openai.models": "" }, ["openai", "anthropic"]);
  const none = await person.get("/tokens/new");
  assert.match(none.page.text, /Your operator allows members none of this broker’s models/);
});

test("what a consent page offered before the policy changed is not granted after it", async () => {
  await allow({});
  const person = await member();
  const { form } = await person.consent(app, OPENAI);
  await allow({ "openai.models": "gpt-own" });
  const answer = await person.submit(form.press("decision", "allow"));
  assert.equal(answer.status, 400);
  assert.match(answer.page.text, /your operator does not allow the model gpt-other/);
});

test("the ceiling of a grant is not raised by editing its limits", async () => {
  await allow({ max_per_grant: "0.03" });
  const person = await member();
  const edit = (form) => form.fill({ budget_usd: "0.03" });
  const { access_token: token, grant_id: id } = await person.grant(app, { ...OPENAI, money: true, edit });
  const save = async (change) => {
    const form = (await person.get(`/grants/${id}`)).page.form(`/grants/${id}`);
    change(form);
    return person.submit(form);
  };
  for (const change of [
    (form) => form.fill({ budget_usd: "5" }),
    (form) => form.fill({ budget_usd: "" }).tick("no_budget"),
  ]) {
    const answer = await save(change);
    assert.equal(answer.status, 400, answer.page?.text);
    assert.match(answer.page.text, /your operator allows at most 0\.03 USD for each grant/);
  }
  // The same money each day is within it, and still no more in all.
  assert.equal((await save((form) => form.fill({ budget_period: "day" }))).status, 303);
  for (let i = 0; i < 3; i += 1) assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
  await booked(person.id, 3);
  assertOpenAiError(await chat(broker, token, "hello", CENT), 402, "budget_exhausted");
  // Lowered meanwhile, and not yet told by a call: the page refuses too.
  await allow({ max_per_grant: "0.02" });
  assert.equal((await save((form) => form.fill({ budget_usd: "0.025" }))).status, 400);
  assert.equal((await person.submit((await person.get(`/grants/${id}`)).page.form(`/grants/${id}/pause`))).status, 303);
});

test("nothing binds an operator: one ledger is asked, and no account is begun", async () => {
  await allow({ "openai.models": "gpt-other", max_per_grant: "0.01", max_per_month: "0.01" });
  const before = new Set(await broker.ledgerFiles());
  const { access_token: token, grant_id: id } = await browser.grant(app, OPENAI);
  for (let i = 0; i < 3; i += 1) assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
  const begun = (await broker.ledgerFiles()).filter((file) => !before.has(file));
  assert.equal(begun.length, 1, "the grant's own");
  const terms = JSON.parse((await broker.sql("SELECT terms FROM grants WHERE grant_id = ?", id))[0].terms);
  assert.deepEqual([terms.account, terms.ceiling, terms.policy], [undefined, undefined, undefined]);
  await allow({});
  const person = await member();
  const beforeMember = new Set(await broker.ledgerFiles());
  const granted = await person.grant(app, OPENAI);
  assert.equal((await chat(broker, granted.access_token, "hello", CENT)).status, 200);
  assert.equal((await broker.ledgerFiles()).filter((file) => !beforeMember.has(file)).length, 2, "the grant's and the account's");
});

test("a removed member is signed out, and every call of theirs is refused at once", async () => {
  await allow({});
  const person = await member();
  const { access_token: token, grant_id: id } = await person.grant(app, OPENAI);
  assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
  const form = (await browser.get(`/members/${person.id}`)).page.form(`/members/${person.id}/remove`);
  const answer = await browser.submit(form);
  assert.equal(answer.status, 303, answer.page?.text);
  assert.match((await browser.get(answer.location)).page.text, /Removed\./);
  assertOpenAiError(await chat(broker, token, "hello", CENT), 401, "invalid_token");
  assert.notEqual((await broker.sql("SELECT revoked_at FROM grants WHERE grant_id = ?", id))[0].revoked_at, null);
  assert.match((await person.get("/grants")).page.text, /sign in/i);
  assert.ok(!(await browser.get("/members")).page.all("href").includes(`/members/${person.id}`));
  const [{ found }] = await broker.sql("SELECT count(*) AS found FROM audit WHERE event = 'member_removed'");
  assert.equal(found, 1);
});

test("a removed member's passkey and recovery codes begin no session", async () => {
  const { browser: person, authenticator } = await join(browser, { name: "Gone" });
  const [code] = await recoveryCodes(person);
  const [{ user_id: id }] = await broker.sql("SELECT user_id FROM users WHERE name = 'Gone'");
  const form = (await browser.get(`/members/${id}`)).page.form(`/members/${id}/remove`);
  assert.equal((await browser.submit(form)).status, 303);
  const late = new Browser(broker);
  const byPasskey = await tryPasskey(late, authenticator);
  assert.equal(byPasskey.status, 400, byPasskey.page?.text);
  assert.match(byPasskey.page.text, /This passkey was not accepted/);
  const byCode = await late.submit((await late.get("/recover")).page.form("/recover").fill({ code }));
  assert.equal(byCode.status, 400, byCode.page?.text);
  assert.deepEqual(await broker.sql("SELECT 1 FROM sessions WHERE user_id = ?", id), []);
});

test("removing a member and changing the policy take a recent proof; the interrupted form goes on with all its fields", async () => {
  await allow({});
  const person = await member();
  const proven = async (action, values = {}) => {
    await anHourLater(broker);
    const page = action === "/settings/policy" ? action : `/members/${person.id}`;
    const asked = await browser.submit((await browser.get(page)).page.form(action).fill(values));
    assert.match(asked.page.text, /Confirm that it is you/);
    const [form] = asked.page.forms.filter(({ action: to, options }) => to.pathname === "/confirm" && !options);
    const confirmed = await browser.submit(form.fill({ code: signInLink(broker) }));
    assert.equal(confirmed.status, 200, confirmed.page.text);
    return confirmed.page.form(action);
  };
  const policy = await proven("/settings/policy", { "openai.models": "gpt-own\ngpt-other", max_per_grant: "7" });
  assert.equal((await broker.sql("SELECT count(*) AS n FROM policies WHERE policy LIKE '%gpt-own%'"))[0].n, 0, "not yet");
  assert.equal((await browser.submit(policy)).status, 303);
  const { page } = await browser.get("/settings/policy");
  assert.equal(page.form("/settings/policy").value("max_per_grant"), "7.00");
  assert.match(page.form("/settings/policy").value("openai.models"), /^\s*gpt-own\s+gpt-other\s*$/);
  const removal = await proven(`/members/${person.id}/remove`);
  assert.equal((await person.get("/grants")).status, 200);
  assert.doesNotMatch((await person.get("/grants")).page.text, /Sign in to/);
  assert.equal((await browser.submit(removal)).status, 303);
  assert.notEqual((await broker.sql("SELECT removed_at FROM users WHERE user_id = ?", person.id))[0].removed_at, null);
});

test("pages of operators are not there for members, and take no form of theirs", async () => {
  await allow({});
  const [person, other] = [await member(), await member()];
  for (const path of ["/members", `/members/${other.id}`, "/settings/policy"]) {
    assert.equal((await person.get(path)).status, 404, path);
  }
  const csrf = (await person.get("/apps")).page.form("/apps").value("csrf");
  for (const path of [`/members/${other.id}/remove`, "/settings/policy", "/settings/policy/tell"]) {
    const form = new URLSearchParams({ csrf, revision: "0", "openai.on": "on", "openai.models": "*" });
    assert.equal((await person.post(path, form)).status, 404, path);
  }
  assert.equal((await other.get("/grants")).status, 200);
  const operator = (await broker.sql("SELECT user_id FROM users WHERE role = 'operator'"))[0].user_id;
  assert.equal((await browser.get(`/members/${operator}`)).status, 404, "operators are not removed here");
});

test("of two who change the policy at once the second is told, and nothing is overwritten", async () => {
  await allow({ max_per_grant: "3" });
  const form = () => browser.get("/settings/policy").then(({ page }) => page.form("/settings/policy"));
  const [mine, theirs] = [await form(), await form()];
  assert.equal((await browser.submit(theirs.fill({ max_per_grant: "4" }))).status, 303);
  const late = await browser.submit(mine.fill({ max_per_grant: "9" }));
  assert.equal(late.status, 409);
  assert.equal((await form()).value("max_per_grant"), "4.00");
  const wrong = await browser.submit((await form()).fill({ "openai.models": "gpt 5" }));
  assert.equal(wrong.status, 400);
  assert.match(wrong.page.text, /“gpt 5” is not a model/);
});

test("an account that could not be told is told by the button, and by the clean-up of the hour", async () => {
  await allow({ max_per_month: "5" });
  const person = await member();
  const { access_token: token } = await person.grant(app, OPENAI);
  assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
  // As if the telling had failed: the row knows more than the ledger, which was noted.
  const lower = (month) =>
    broker.sql(
      "UPDATE policies SET policy = json_set(policy, '$.max_per_month', ?), revision = revision + 1 WHERE subject = 'members'",
      month,
    );
  await lower("0.001");
  const { page } = await browser.get("/settings/policy");
  assert.match(page.text, /accounts of \d+ members were not told yet/);
  assert.equal((await browser.submit(page.form("/settings/policy/tell"))).status, 303);
  assertOpenAiError(await chat(broker, token, "hello", CENT), 402, "account_budget_exhausted");
  assert.doesNotMatch((await browser.get("/settings/policy")).page.text, /were not told yet/);
  await lower("5");
  await broker.runScheduled();
  assert.equal((await chat(broker, token, "hello", CENT)).status, 200);
});
