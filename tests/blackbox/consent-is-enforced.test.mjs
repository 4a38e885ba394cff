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
    for (const path of ["/grants", "/apps"]) {
      const response = await fetch(broker.url + path, { headers, redirect: "follow" });
      assert.ok(!(await response.text()).includes(id), `${path} with ${Object.keys(headers)}`);
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
