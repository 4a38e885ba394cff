// What the page shows is what is enforced: from the form post to the refusal at the gateway, never by looking into the database.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DETAILS, assertAnthropicError, assertOpenAiError, call, chat, claims, messages, postForm } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app, standin } = await startWorld();

test("a limit that was lowered on the page is the limit", async () => {
  const details = [{ ...DETAILS[0], limits: { requests: 100 } }];
  const edit = (form) => {
    assert.equal(form.value("p0.requests"), "100");
    form.fill({ "p0.requests": "2" });
  };
  const { access_token: token, authorization_details: granted } = await browser.grant(app, { details, edit });
  assert.equal(granted[0].limits.requests, 2);
  assert.deepEqual([(await chat(broker, token)).status, (await chat(broker, token)).status], [200, 200]);
  const before = standin.requests.length;
  assertOpenAiError(await chat(broker, token), 402, "requests_exhausted");
  assert.equal(standin.requests.length, before);
});

test("a limit over the whole grant, set on the page, holds over all providers together", async () => {
  const { access_token: token } = await browser.grant(app, { edit: (form) => form.fill({ requests: "2" }) });
  assert.equal((await chat(broker, token)).status, 200);
  assert.equal((await messages(broker, token)).status, 200);
  assertOpenAiError(await chat(broker, token), 402, "requests_exhausted");
  assertAnthropicError(await messages(broker, token), 402, "requests_exhausted");
});

test("a limit asked for over the whole grant is shown, and holds", async () => {
  const details = [...DETAILS, { type: "ai_limits", requests: 1 }];
  const edit = (form) => assert.equal(form.value("requests"), "1");
  const { access_token: token, authorization_details: granted } = await browser.grant(app, { details, edit });
  assert.deepEqual(granted.at(-1), { type: "ai_limits", requests: 1 });
  assert.equal((await chat(broker, token)).status, 200);
  assertOpenAiError(await chat(broker, token), 402, "requests_exhausted");
});

test("a rate that was set on the page is the rate", async () => {
  const { access_token: token } = await browser.grant(app, { edit: (form) => form.fill({ "p0.requests_per_minute": "1" }) });
  assert.equal((await chat(broker, token)).status, 200);
  assertOpenAiError(await chat(broker, token), 429, "rate_limited");
  assert.equal((await messages(broker, token)).status, 200);
});

test("a model that was unticked on the page is refused", async () => {
  const edit = (form) => {
    assert.ok(form.isTicked("p0.models", "gpt-5.1*"));
    form.untick("p0.models", "gpt-5.1*");
  };
  const { access_token: token, authorization_details: granted } = await browser.grant(app, { edit });
  assert.deepEqual(granted[0].models, ["gpt-5-mini"]);
  assert.equal((await chat(broker, token)).status, 200);
  const before = standin.requests.length;
  assertOpenAiError(await chat(broker, token, "x", { model: "gpt-5.1" }), 403, "model_not_granted");
  assert.equal(standin.requests.length, before);
});

test("a capability that was unticked on the page is refused", async () => {
  const { access_token: token } = await browser.grant(app, { edit: (form) => form.untick("p0.capabilities", "embeddings") });
  assert.equal((await chat(broker, token)).status, 200);
  const answer = await call(broker, token, "/openai/v1/embeddings", { body: { model: "gpt-5-mini", input: "x" } });
  assertOpenAiError(answer, 403, "capability_not_granted");
});

test("a provider that was unticked on the page is refused", async () => {
  const { access_token: token, authorization_details: granted } = await browser.grant(app, {
    edit: (form) => form.untick("p1.on"),
  });
  assert.deepEqual(
    granted.map(({ provider }) => provider),
    ["openai"],
  );
  assertAnthropicError(await messages(broker, token), 403, "provider_not_granted");
});

test("the life that was chosen on the page is the life of the grant", async () => {
  for (const seconds of [3600, 86_400]) {
    const grant = await browser.grant(app, { edit: (form) => form.fill({ expires_in: String(seconds) }) });
    const [{ life }] = await broker.sql("SELECT expires_at - created_at AS life FROM grants WHERE grant_id = ?", grant.grant_id);
    assert.equal(life, seconds);
    assert.ok(claims(grant.access_token).exp - claims(grant.access_token).iat <= seconds);
  }
});

test("the page proposes an end: no grant is for ever", async () => {
  const { form } = await browser.consent(app);
  assert.equal(form.value("expires_in"), "604800");
});

// Money.

const granted = async (options) => (await browser.grant(app, { money: true, ...options })).authorization_details;
const withMoney = (limits, overall) => [{ ...DETAILS[0], limits }, DETAILS[1], ...(overall ? [{ type: "ai_limits", ...overall }] : [])];

test("without a word of the app on money, five dollars in all are proposed, and are what is granted", async () => {
  const edit = (form) => {
    assert.deepEqual([form.value("budget_usd"), form.value("budget_period")], ["5.00", "total"]);
    assert.equal(form.isTicked("no_budget"), false);
  };
  assert.deepEqual((await granted({ edit })).at(-1), { type: "ai_limits", budget_usd: "5.00" });
  const scope = await browser.grant(app, { money: true, scope: "openai:chat" });
  assert.deepEqual(scope.authorization_details.at(-1), { type: "ai_limits", budget_usd: "5.00" });
});

test("money is the first thing on the form", async () => {
  const { form } = await browser.consent(app);
  const buttons = ["step", "language", "decision"];
  const names = form.names.filter((name) => !["csrf", "request", "as_shown", "offered", ...buttons].includes(name));
  assert.deepEqual(names.slice(0, 2), ["plan", "budget_usd"]);
});

test("money as it was changed on the page is what is granted, and what the ledger holds", async () => {
  const edit = (form) => form.fill({ budget_usd: " $0.5 ", budget_period: "day", tokens: "70000" });
  const grant = await browser.grant(app, { money: true, edit });
  const limits = { type: "ai_limits", budget_usd: "0.50", budget_period: "day", tokens: 70_000 };
  assert.deepEqual(grant.authorization_details.at(-1), limits);
  const { page } = await browser.get(`/grants/${grant.grant_id}`);
  assert.match(page.text, /0\.00 of 0\.50 USD today/);
  assert.match(page.text, /0 of 70,000/);
});

test("money that the app asked for is shown where it asked for it, and can be lowered there", async () => {
  const details = withMoney({ budget_usd: "2.50", budget_period: "month" }, { budget_usd: "9" });
  const edit = (form) => {
    assert.deepEqual([form.value("p0.budget_usd"), form.value("p0.budget_period")], ["2.50", "month"]);
    assert.deepEqual([form.value("budget_usd"), form.value("budget_period")], ["9.00", "total"]);
    assert.ok(!form.names.includes("no_budget"), "what was asked for can't be taken off");
    form.fill({ "p0.budget_usd": "1", "p0.budget_period": "total", budget_usd: "3" });
  };
  const [openai, anthropic, overall] = await granted({ details, edit });
  assert.deepEqual(openai.limits, { budget_usd: "1.00" });
  assert.equal(anthropic.limits?.budget_usd, undefined);
  assert.deepEqual(overall, { type: "ai_limits", budget_usd: "3.00" });
});

test("money of every provider limited, none is proposed over everything", async () => {
  const limits = { budget_usd: "1", budget_period: "day" };
  const details = DETAILS.map((entry) => ({ ...entry, limits }));
  const edit = (form) => assert.equal(form.value("budget_usd"), "");
  const entries = await granted({ details, edit });
  assert.deepEqual(
    entries.map((entry) => entry.limits),
    [1, 2].map(() => ({ budget_usd: "1.00", budget_period: "day" })),
  );
});

test("no limit on money takes a tick: an empty field is an error that says so, and keeps what was filled in", async () => {
  const { form } = await browser.consent(app);
  form.fill({ budget_usd: "", "p0.requests": "12" }).untick("p0.models", "gpt-5.1*").press("decision", "allow");
  const refused = await browser.submit(form);
  assert.deepEqual([refused.status, refused.location], [400, null]);
  assert.match(refused.page.text, /Nothing was allowed yet: say how much money may be spent, or tick “No money limit”/);
  const again = refused.page.form("/authorize");
  assert.equal(again.value("p0.requests"), "12");
  assert.equal(again.isTicked("p0.models", "gpt-5.1*"), false);
  const { location } = await browser.submit(again.tick("no_budget").press("decision", "allow"));
  assert.ok(location.searchParams.get("code"));
});

test("the tick beside the untouched proposal means no limit; beside an amount of one's own it is an error", async () => {
  const entries = await granted({ edit: (form) => form.tick("no_budget") });
  assert.ok(!entries.some(({ type }) => type === "ai_limits"));
  const { form } = await browser.consent(app);
  form.fill({ budget_usd: "7" }).tick("no_budget").press("decision", "allow");
  const { status, page } = await browser.submit(form);
  assert.equal(status, 400);
  assert.equal(page.form("/authorize").value("budget_usd"), "7");
});

for (const amount of ["5,00", "1e3", "-1", "0", "five", "5 EUR", "99999999", "0.0000000001"]) {
  test(`"${amount}" is no amount, and the page says how one is written`, async () => {
    const { form } = await browser.consent(app);
    const { status, page } = await browser.submit(form.fill({ budget_usd: amount }).press("decision", "allow"));
    assert.equal(status, 400);
    assert.match(page.text, /written in US dollars like 5 or 2\.50/);
    assert.equal(page.form("/authorize").value("budget_usd"), amount);
  });
}

// The user narrows what was asked and never widens it.

const LIMITED = [
  {
    ...DETAILS[0],
    limits: {
      budget_usd: "2.50",
      budget_period: "month",
      tokens: 10_000,
      requests: 100,
      requests_per_minute: 10,
      concurrency: 4,
    },
  },
];
const WIDER = {
  "a raised limit": (data) => data.set("p0.requests", "101"),
  "an emptied limit": (data) => data.set("p0.requests", ""),
  "a limit that is left out": (data) => data.delete("p0.requests"),
  "a raised rate": (data) => data.set("p0.requests_per_minute", "11"),
  "a raised concurrency": (data) => data.set("p0.concurrency", "5"),
  "an added model": (data) => data.append("p0.models", "*"),
  "an exchanged model": (data) => data.set("p0.models", "gpt-5-pro"),
  "a wider pattern": (data) => data.set("p0.models", "gpt-*"),
  "an added capability": (data) => data.append("p0.capabilities", "server_tools"),
  "a life that was not on offer": (data) => data.set("expires_in", "315360000"),
  "no life": (data) => data.delete("expires_in"),
  "no model at all": (data) => data.delete("p0.models"),
  "no capability at all": (data) => data.delete("p0.capabilities"),
  "nothing at all": (data) => data.delete("p0.on"),
  "a limit of zero": (data) => data.set("p0.requests", "0"),
  "a negative limit": (data) => data.set("p0.requests", "-1"),
  "a limit with a fraction": (data) => data.set("p0.requests", "1.5"),
  "a limit with an exponent": (data) => data.set("p0.requests", "1e1"),
  "a limit in words": (data) => data.set("p0.requests", "ten"),
  "a limit that no number holds": (data) => data.set("p0.requests", "9".repeat(40)),
  "a limit given twice": (data) => data.append("p0.requests", "1"),
  "more money": (data) => data.set("p0.budget_usd", "2.51"),
  "the same money more often": (data) => data.set("p0.budget_period", "day"),
  "money without its period": (data) => data.delete("p0.budget_period"),
  "money that is left out": (data) => data.delete("p0.budget_usd"),
  "no money limit for the provider, ticked": (data) => {
    data.set("p0.budget_usd", "");
    data.set("no_budget", "on");
  },
  "money with a comma": (data) => data.set("p0.budget_usd", "1,5"),
  "money with an exponent": (data) => data.set("p0.budget_usd", "1e0"),
  "no money at all": (data) => data.set("p0.budget_usd", "0.00"),
  "money given twice": (data) => data.append("p0.budget_usd", "1"),
  "more tokens": (data) => data.set("p0.tokens", "10001"),
};
for (const [what, forge] of Object.entries(WIDER)) {
  test(`a consent post is refused that brings ${what}`, async () => {
    const [{ n: before }] = await broker.sql("SELECT COUNT(*) AS n FROM grants");
    const { form } = await browser.consent(app, { details: LIMITED });
    const data = form.press("decision", "allow").data();
    forge(data);
    const answer = await browser.submit(form, { data });
    assert.deepEqual([answer.status, answer.location], [400, null], answer.page?.text);
    assert.ok(answer.page.text.length > 0);
    const [{ n: after }] = await broker.sql("SELECT COUNT(*) AS n FROM grants");
    assert.equal(after, before);
  });
}

test("a permission that was not asked for can not be added", async () => {
  const { form } = await browser.consent(app, { details: LIMITED });
  const data = form.press("decision", "allow").data();
  for (const [name, value] of Object.entries({ "p1.on": "on", "p1.models": "*", "p1.capabilities": "chat" }))
    data.append(name, value);
  const { location } = await browser.submit(form, { data });
  if (!location) return;
  const [{ terms }] = await broker.sql("SELECT terms FROM grants ORDER BY rowid DESC LIMIT 1");
  assert.equal(JSON.parse(terms).permissions.length, 1);
});

test("after a refused post the page can still be answered", async () => {
  const consent = await browser.consent(app, { details: LIMITED });
  const data = consent.form.press("decision", "allow").data();
  data.set("p0.requests", "101");
  assert.equal((await browser.submit(consent.form, { data })).status, 400);
  assert.equal((await browser.submit(consent.form)).status, 303);
});

// A grant's own token calls AI and nothing else.

test("a grant's token opens no page, in no header and no cookie", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const waysIn = [{ authorization: `Bearer ${token}` }, { "x-api-key": token }, { cookie: `__Host-aip-session=${token}` }];
  for (const headers of waysIn) {
    for (const path of ["/grants", `/grants/${id}`, "/apps"]) {
      const response = await fetch(broker.url + path, { headers, redirect: "follow" });
      // Where the page is, it says itself, for whoever wants it in another language.
      const text = (await response.text()).replaceAll(/name="return_to" value="[^"]*"/g, "");
      assert.ok(!text.includes(id), `${path} with ${Object.keys(headers)}`);
    }
  }
});

test("a grant's token can't revoke, extend or make a grant", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const { grant_id: competitor, access_token: competitorToken } = await browser.grant(app);
  const [{ n: before }] = await broker.sql("SELECT COUNT(*) AS n FROM grants");
  const consent = await browser.consent(app);
  const posts = [
    [`/grants/${id}/revoke`, { csrf: "" }],
    [`/grants/${id}/pause`, { csrf: "" }],
    [`/grants/${id}`, { csrf: "", revision: "0", no_budget: "on", requests: "1000000" }],
    [`/grants/${competitor}/revoke`, { csrf: "" }],
    ["/authorize", Object.fromEntries(consent.form.press("decision", "allow").data())],
    ["/apps", { name: "x", home_page: "https://x.example", redirect_uris: "https://x.example/" }],
    [`/apps/${app.client_id}/delete`, {}],
  ];
  for (const [path, fields] of posts) {
    const headers = { authorization: `Bearer ${token}`, "x-api-key": token, origin: broker.url };
    const response = await fetch(broker.url + path, {
      method: "POST",
      body: new URLSearchParams(fields),
      headers,
      redirect: "manual",
    });
    assert.ok(
      response.status >= 400 || new URL(response.headers.get("location"), broker.url).pathname === "/sign-in",
      `${path}: ${response.status}`,
    );
    await response.text();
  }
  const [{ n: after }] = await broker.sql("SELECT COUNT(*) AS n FROM grants");
  assert.equal(after, before);
  for (const one of [token, competitorToken]) assert.equal((await chat(broker, one)).status, 200);
});

test("a grant's access token is no refresh token and no code", async () => {
  const { access_token: token } = await browser.grant(app);
  const { client_id, redirect_uri } = app;
  const asRefresh = await postForm(`${broker.url}/token`, { grant_type: "refresh_token", refresh_token: token, client_id });
  assert.equal(asRefresh.body.error, "invalid_grant");
  const fields = { grant_type: "authorization_code", code: token, client_id, redirect_uri, code_verifier: "x".repeat(43) };
  assert.equal((await postForm(`${broker.url}/token`, fields)).body.error, "invalid_grant");
});

test("RFC 6750 §3.1: a call beyond the grant is told that its token is not enough", async () => {
  const { access_token: token } = await browser.grant(app);
  const { status, headers } = await chat(broker, token, "x", { model: "gpt-4o" });
  assert.equal(status, 403);
  assert.match(headers.get("www-authenticate"), /^Bearer .*error="insufficient_scope".*resource_metadata="/);
});
