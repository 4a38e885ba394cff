// One grant's page: what it shows is what is enforced, and what is saved on it holds from the next call on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DETAILS, assertOpenAiError, chat, messages, refresh } from "../support/flow.mjs";
import { startWorld, until, useUp } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();

const asking = (limits) => ({ details: [{ ...DETAILS[0], limits }, DETAILS[1]] });
const open = async (id) => (await browser.get(`/grants/${id}`)).page;
const limitsForm = async (id) => (await open(id)).form(`/grants/${id}`);
/** Fills the form in and saves it; answers with the page that follows. */
async function save(id, values, change = () => {}) {
  const form = (await limitsForm(id)).fill(values);
  change(form);
  const answer = await browser.submit(form);
  return answer.location ? browser.get(answer.location) : answer;
}
async function press(id, deed) {
  const answer = await browser.submit((await open(id)).form(`/grants/${id}/${deed}`));
  assert.equal(answer.status, 303, answer.page?.text);
  return browser.get(answer.location);
}
const details = async (grant) => (await refresh(broker, app, grant.refresh_token)).body.authorization_details;
const row = async (id) => JSON.parse((await broker.sql("SELECT terms FROM grants WHERE grant_id = ?", id))[0].terms);

test("the page shows the app, what it may do, what it used, and until when", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, asking({ requests: 40 }));
  assert.equal((await chat(broker, token)).status, 200);
  const text = await until(async () => {
    const { text } = await open(id);
    return /1 of 40 39 left/.test(text) && text;
  }, "the call is booked");
  for (const part of ["Test app", "app.example", "Active", "gpt-5-mini", "at OpenAI", "at Anthropic", "in 7 days"]) {
    assert.ok(text.includes(part), `${part}: ${text}`);
  }
  assert.match(text, /Spent \d+\.\d+ USD no limit/);
  const { page } = await browser.get("/grants");
  assert.ok(page.all("href").includes(`/grants/${id}`), "the list leads there");
});

test("calls are listed a few seconds later: model, endpoint, status, and how the cost is known", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  assert.match((await open(id)).text, /No call yet/);
  assert.equal((await chat(broker, token)).status, 200);
  const text = await until(async () => {
    const { text } = await open(id);
    return text.includes("answered 200") && text;
  }, "the booking is listed");
  assert.match(text, /gpt-5-mini \/v1\/chat\/completions answered 200/);
});

test("bookings say how they are known, and what that means", async () => {
  const { grant_id: id } = await browser.grant(app);
  const book = (hold, basis, { nano = 0, input = 0, output = 0, status = 200, model = "gpt-5-mini" } = {}) =>
    broker.sql(
      `INSERT INTO usage_events (grant_id, hold, revision, permission, provider, model, endpoint, reserved_at_ms, booked_at_ms,
       duration_ms, nano_usd, tokens, requests, input_tokens, cached_tokens, output_tokens, status, basis, price_version, request_id)
       VALUES (?, ?, 0, 0, 'openai', ?, '/v1/chat/completions', ?, ?, 1, ?, ?, 1, ?, 0, ?, ?, ?, '', '')`,
      ...[id, hold, model, Date.now(), Date.now(), nano, input + output, input, output, status, basis],
    );
  await book(1, "usage", { nano: 1_234_567, input: 1_200, output: 34 });
  assert.doesNotMatch((await open(id)).text, /At most means/);
  await book(2, "bound", { nano: 20_000_000, status: 0 });
  await book(3, "released");
  for (let hold = 4; hold < 60; hold += 1) await book(hold, "overdue", { model: `model-${hold}` });
  const { text, html } = await open(id);
  assert.match(text, /At most means that nobody said what the call cost/);
  const at = (model) => html.indexOf(`<strong>${model}</strong>`);
  assert.ok(at("model-59") < at("model-10"), "the latest first");
  assert.ok(at("model-10") > 0 && at("model-9") < 0, "fifty, and no more");
  await broker.sql("DELETE FROM usage_events WHERE grant_id = ? AND hold > 3", id);
  const { text: three } = await open(id);
  assert.match(three, /answered 200 · 0\.0 s · 1,200 tokens read, 34 written · as the provider counted 0\.0013 USD/);
  assert.match(three, /no answer · 0\.0 s · at most: the provider did not say at most 0\.02 USD/);
  assert.match(three, /nothing was billed 0\.00 USD/);
});

test("a limit can be raised above what the app asked for, and the app is told", async () => {
  const grant = await browser.grant(app, asking({ requests: 1 }));
  assert.equal(await useUp(broker, grant.access_token), 1);
  const { page } = await save(grant.grant_id, { "p0.requests": "3" });
  assert.match(page.text, /Saved\. It holds from the next call on\./);
  assert.match(page.text, /1 of 3/);
  assert.equal(await useUp(broker, grant.access_token), 2);
  assert.equal((await details(grant))[0].limits.requests, 3);
});

test("a limit can be set, lowered and taken off", async () => {
  const grant = await browser.grant(app, asking({ requests: 100, concurrency: 4 }));
  const { grant_id: id, access_token: token } = grant;
  await save(id, { "p0.requests": "", "p0.concurrency": "2", "p1.requests": "1", requests: "3" });
  for (const call of [messages, chat, chat]) assert.equal((await call(broker, token)).status, 200);
  assert.notEqual((await messages(broker, token)).status, 200);
  assertOpenAiError(await until(async () => {
    const answer = await chat(broker, token);
    return answer.code !== "requests_held" && answer;
  }, "booked"), 402, "requests_exhausted");
  const [openai, anthropic, overall] = await details(grant);
  assert.deepEqual([openai.limits, anthropic.limits], [{ concurrency: 2 }, { requests: 1 }]);
  assert.deepEqual(overall, { type: "ai_limits", requests: 3 });
});

test("below what was used, calls are refused until more is allowed", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, asking({ requests: 9 }));
  for (let i = 0; i < 3; i += 1) assert.equal((await chat(broker, token)).status, 200);
  await until(async () => (await open(id)).text.includes("3 of 9"), "three calls are booked");
  const { page } = await save(id, { "p0.requests": "2" });
  assert.match(page.text, /3 of 2 0 left Used up: calls are refused/);
  assertOpenAiError(await chat(broker, token), 402, "requests_exhausted");
  await save(id, { "p0.requests": "4" });
  assert.equal((await chat(broker, token)).status, 200);
});

test("money: changed, its period too; taken off only by a tick", async () => {
  const grant = await browser.grant(app, { money: true });
  const { grant_id: id } = grant;
  assert.match((await open(id)).text, /0\.00 of 5\.00 USD in all 5\.00 USD left/);
  const { page } = await save(id, { budget_usd: "20", budget_period: "month" });
  assert.match(page.text, /0\.00 of 20\.00 USD this month 20\.00 USD left · begins anew in \d+ (day|hour|minute)/);
  assert.deepEqual((await details(grant)).at(-1), { type: "ai_limits", budget_usd: "20.00", budget_period: "month" });

  const refused = await save(id, { budget_usd: "", requests: "7" });
  assert.equal(refused.status, 400);
  assert.match(refused.page.text, /Not saved: say how much money may be spent, or tick “No money limit”/);
  assert.match(refused.page.text, /0\.00 of 20\.00 USD/, "what holds is shown");
  const again = refused.page.form(`/grants/${id}`);
  assert.deepEqual([again.value("budget_usd"), again.value("requests")], ["", "7"], "what was filled in is kept");
  assert.equal((await browser.submit(again.tick("no_budget"))).status, 303);
  assert.match((await open(id)).text, /Spent 0\.00 USD no limit/);
  assert.equal((await limitsForm(id)).isTicked("no_budget"), true);
});

test("the cap of the only capped provider can't be taken off in silence either", async () => {
  const limits = { budget_usd: "1" };
  const { grant_id: id } = await browser.grant(app, { details: [{ ...DETAILS[0], limits }] });
  assert.equal((await limitsForm(id)).isTicked("no_budget"), false);
  assert.equal((await save(id, { "p0.budget_usd": "" })).status, 400);
  assert.equal((await save(id, { "p0.budget_usd": "2" })).status, 200);
  assert.equal((await save(id, { "p0.budget_usd": "" }, (form) => form.tick("no_budget"))).status, 200);
});

for (const [name, value] of Object.entries({ budget_usd: "5,5", "p0.budget_usd": "1e3", tokens: "1.5", "p1.requests": "0" })) {
  test(`${name} = ${value} is refused, kept in the form, and changes nothing`, async () => {
    const { grant_id: id } = await browser.grant(app, { money: true });
    const before = await row(id);
    const form = (await limitsForm(id)).fill({ [name]: value, concurrency: "5" });
    const { status, page } = await browser.submit(form);
    assert.equal(status, 400);
    const again = page.form(`/grants/${id}`);
    assert.deepEqual([again.value(name), again.value("concurrency")], [value, "5"]);
    assert.match(page.text, /Not saved:/);
    assert.deepEqual(await row(id), before);
    assert.equal((await limitsForm(id)).value("concurrency"), "");
  });
}

test("paused, every call is refused at every provider, over a restart too; resumed, they pass", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, asking({ requests: 50 }));
  assert.equal((await chat(broker, token)).status, 200);
  assert.match((await press(id, "pause")).page.text, /Paused\. Every call is refused until you resume it\./);
  assertOpenAiError(await chat(broker, token), 403, "grant_paused");
  assert.equal((await messages(broker, token)).code, "grant_paused");
  assert.match((await browser.get("/grants")).page.text, /Test app paused/);
  await save(id, { "p0.requests": "60" });
  await broker.restart();
  assertOpenAiError(await chat(broker, token), 403, "grant_paused");
  assert.match((await press(id, "resume")).page.text, /Resumed\./);
  assert.equal((await chat(broker, token)).status, 200);
  assert.match((await open(id)).text, /of 60/, "the limits are as they were");
});

test("a paused app still gets tokens, so that it can go on when it is resumed", async () => {
  const grant = await browser.grant(app);
  await press(grant.grant_id, "pause");
  assert.equal((await refresh(broker, app, grant.refresh_token)).status, 200);
});

test("revoked from its page: the next call is refused, the page says so and offers nothing more", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const form = await limitsForm(id);
  assert.equal((await browser.submit((await open(id)).form(`/grants/${id}/revoke`))).status, 303);
  assertOpenAiError(await chat(broker, token), 401, "invalid_token");
  const page = await open(id);
  assert.match(page.text, /Revoked/);
  assert.deepEqual(
    page.forms.filter(({ method }) => method === "POST").map(({ action }) => action.pathname),
    ["/sign-out"],
  );
  const late = await browser.submit(form.fill({ requests: "5" }));
  assert.equal(late.status, 409);
  assert.match(late.page.text, /the grant has ended/);
});

test("an expired grant is shown as that, and can't be changed", async () => {
  const { grant_id: id } = await browser.grant(app);
  const form = await limitsForm(id);
  const past = Math.floor(Date.now() / 1000) - 1;
  await broker.restart();
  const terms = JSON.stringify({ ...(await row(id)), expires_at: past * 1000 });
  await broker.sql("UPDATE grants SET terms = ?, expires_at = ? WHERE grant_id = ?", terms, past, id);
  const page = await open(id);
  assert.match(page.text, /Expired/);
  assert.deepEqual(
    page.forms.filter(({ method }) => method === "POST").map(({ action }) => action.pathname),
    ["/sign-out"],
  );
  assert.equal((await browser.submit(form)).status, 409);
});

test("the page shows the ledger's word, not the database's, and so do calls", async () => {
  const grant = await browser.grant(app, asking({ requests: 2 }));
  const { access_token: token, grant_id: id } = grant;
  const before = JSON.stringify(await row(id));
  await save(id, { "p0.requests": "1" });
  await broker.sql("UPDATE grants SET terms = ? WHERE grant_id = ?", before, id);
  assert.match((await open(id)).text, /0 of 1/);
  assert.equal(await useUp(broker, token), 1);
});

test("the database fails after the ledger agreed: it holds, the page says so, and saving again mends it", async () => {
  const grant = await browser.grant(app, asking({ requests: 9 }));
  const { access_token: token, grant_id: id } = grant;
  await broker.sql("CREATE TRIGGER broken BEFORE UPDATE OF terms ON grants BEGIN SELECT RAISE(ABORT, 'no'); END");
  const answer = await save(id, { "p0.requests": "1" });
  await broker.sql("DROP TRIGGER broken");
  assert.equal(answer.status, 503);
  assert.match(answer.page.text, /it holds from the next call on, but could not be noted everywhere yet.*save again/);
  assert.match(answer.page.text, /0 of 1/);
  assert.equal(await useUp(broker, token), 1);
  assert.equal((await row(id)).permissions[0].limits.requests, 9);
  assert.equal((await browser.submit(answer.page.form(`/grants/${id}`))).status, 303);
  assert.equal((await details(grant))[0].limits.requests, 1);
});

test("a row that knows a later change is left alone", async () => {
  const { grant_id: id } = await browser.grant(app);
  await open(id);
  const later = JSON.stringify({ ...(await row(id)), revision: 99 });
  await save(id, { requests: "5" });
  await broker.sql("UPDATE grants SET terms = ? WHERE grant_id = ?", later, id);
  await save(id, { requests: "6" });
  assert.equal((await row(id)).revision, 99);
});

test("what was changed in another tab is not overwritten unseen", async () => {
  const { grant_id: id } = await browser.grant(app);
  const old = await limitsForm(id);
  await save(id, { requests: "5" });
  const answer = await browser.submit(old.fill({ requests: "500" }));
  assert.equal(answer.status, 409);
  assert.match(answer.page.text, /changed elsewhere since you opened this page/);
  assert.match(answer.page.text, /0 of 5\b/);
  assert.equal(answer.page.form(`/grants/${id}`).value("requests"), "500", "what was filled in is kept");
  assert.equal((await browser.submit(answer.page.form(`/grants/${id}`))).status, 303, "and can be saved knowingly");
  assert.equal((await browser.submit(await limitsForm(id))).status, 303, "saving nothing new is no error");
});

test("of changes at the same moment none undoes another that was confirmed", async () => {
  const { grant_id: id } = await browser.grant(app);
  for (let round = 1; round <= 10; round += 1) {
    const page = await open(id);
    const limits = page.form(`/grants/${id}`).fill({ requests: String(100 - round) });
    const [saved, paused] = await Promise.all([browser.submit(limits), browser.submit(page.form(`/grants/${id}/pause`))]);
    assert.equal(paused.status, 303, "a pause is never refused because of limits");
    assert.ok([303, 409].includes(saved.status), String(saved.status));
    const held = await open(id);
    assert.match(held.text, /Paused/, `round ${round}`);
    if (saved.status === 303) assert.equal(held.form(`/grants/${id}`).value("requests"), String(100 - round), `round ${round}`);
    await press(id, "resume");
  }
});

test("CWE-639: another user's grant and one that is not there get the same answer, to everything", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const other = await browser.somebodyElse();
  const { page } = await other.get("/grants");
  const csrf = page.form("/sign-out").value("csrf");
  const fields = { csrf, revision: "0", no_budget: "on", budget_period: "total", requests: "1", end: "3600", ends_at: "1" };
  const unknown = id.slice(0, -4) + (id.endsWith("AAAA") ? "BBBA" : "AAAA");
  const reads = ["", "/calls", "/calls?model=x", "/calls.csv", "/calls.json", "/live", "/history", "?from=nonsense"];
  const deeds = ["", "/pause", "/resume", "/revoke", "/end", "/delegations/delegation_x/revoke"];
  const answers = async (which) => [
    ...(await Promise.all(reads.map((what) => other.get(`/grants/${which}${what}`)))),
    ...(await Promise.all(deeds.map((deed) => other.post(`/grants/${which}${deed}`, new URLSearchParams(fields))))),
  ];
  const [theirs, missing, nonsense] = [await answers(id), await answers(unknown), await answers("nothing")];
  for (const [index, answer] of theirs.entries()) {
    assert.equal(answer.status, 404, [...reads, ...deeds][index]);
    for (const same of [missing[index], nonsense[index]]) {
      // The switch of languages leads back to where it was asked.
      const text = ({ text }) => text.replaceAll(/(name="return_to" value)="[^"]*"/g, "$1");
      assert.deepEqual([same.status, text(same)], [answer.status, text(answer)]);
    }
  }
  assert.equal((await chat(broker, token)).status, 200);
  assert.equal((await row(id)).revision, 0);
});

const endForm = async (id) => (await open(id)).form(`/grants/${id}/end`);
const expiry = async (id) => (await row(id)).expires_at;
/** Sets the time at which the session was proven to be its person's back, so that it was long ago. */
async function proveLongAgo() {
  const columns = (await broker.sql("SELECT name FROM pragma_table_info('sessions')")).map(({ name }) => name);
  const moments = ["created_at", "confirmed_at"].filter((name) => columns.includes(name));
  await broker.sql(`UPDATE sessions SET ${moments.map((name) => `${name} = ${name} - 601`).join(", ")}`);
}

test("extended: it ends later, so do the tokens that are issued from now on, and the refresh token lives on", async () => {
  const grant = await browser.grant(app);
  const { grant_id: id } = grant;
  const before = await expiry(id);
  const { location } = await browser.submit((await endForm(id)).fill({ end: "2592000" }));
  assert.match((await browser.get(location)).page.text, /Saved\. Tokens that the app has now end when they would have anyway/);
  assert.ok((await expiry(id)) > before + 20 * 86_400_000);
  const ends = Math.floor((await expiry(id)) / 1000);
  const [{ expires_at: column }] = await broker.sql("SELECT expires_at FROM grants WHERE grant_id = ?", id);
  const tokens = await broker.sql("SELECT expires_at FROM refresh_tokens WHERE grant_id = ?", id);
  assert.deepEqual([column, tokens], [ends, [{ expires_at: ends }]]);
  assert.equal((await refresh(broker, app, grant.refresh_token)).status, 200);
  assert.match((await open(id)).text, /in 30 days.*Given another end end: \S+ \S+ UTC → \S+ \S+ UTC/);
});

test("shortened: new tokens end with the grant, and from then on every call is refused, for ever", async () => {
  const grant = await browser.grant(app);
  const { grant_id: id } = grant;
  const late = (await endForm(id)).fill({ end: "31536000" });
  assert.equal((await browser.submit((await endForm(id)).fill({ end: "3600" }))).status, 303);
  const { body } = await refresh(broker, app, grant.refresh_token);
  assert.ok(body.expires_in <= 3600 && body.expires_in > 3500, String(body.expires_in));
  // An hour passes: the ledger is asked for the first time after it.
  const over = await browser.grant(app);
  const form = (await endForm(over.grant_id)).fill({ end: "31536000" });
  const past = Date.now() - 1000;
  const terms = JSON.stringify({ ...(await row(over.grant_id)), expires_at: past });
  await broker.restart();
  await broker.sql("UPDATE grants SET terms = ? WHERE grant_id = ?", terms, over.grant_id);
  const data = form.data();
  data.set("ends_at", String(past));
  const answer = await browser.submit(form, { data });
  assert.equal(answer.status, 409);
  assert.match(answer.page.text, /the grant has ended/);
  assertOpenAiError(await chat(broker, over.access_token), 401, "invalid_token");
  assert.equal((await browser.submit(late)).status, 409, "and an end that was changed elsewhere is not overwritten unseen");
});

for (const [name, fields] of Object.entries({
  "a day that has passed": { end: "date", end_date: "2020-01-01" },
  "a day beyond a year": { end: "date", end_date: "2999-01-01" },
  "no day": { end: "date" },
  "a day and a length of time": { end: "3600", end_date: "2999-01-01" },
})) {
  test(`as a grant's end ${name} is refused, kept in the form, and changes nothing`, async () => {
    const { grant_id: id } = await browser.grant(app);
    const before = await row(id);
    const { status, page } = await browser.submit((await endForm(id)).fill(fields));
    assert.equal(status, 400);
    assert.match(page.text, /Not saved:/);
    const again = page.form(`/grants/${id}/end`);
    assert.equal(again.value("end"), fields.end);
    assert.equal(again.value("end_date"), fields.end_date ?? "");
    assert.deepEqual(await row(id), before);
  });
}

test("a life that no page offers is refused", async () => {
  const { grant_id: id } = await browser.grant(app);
  const form = await endForm(id);
  const data = form.data();
  data.set("end", "99999999");
  assert.equal((await browser.submit(form, { data })).status, 400);
});

test("who proved it long ago can allow less, a little more, pause and end; to allow much more they have to prove it again", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, { money: true });
  await proveLongAgo();
  const before = await row(id);
  const asks = async (answer) => {
    assert.notEqual(answer.status, 303);
    assert.match(answer.page.text, /it is you/);
  };
  await asks(await browser.submit((await limitsForm(id)).fill({ budget_usd: "100.01" })));
  await asks(await browser.submit((await limitsForm(id)).fill({ budget_usd: "" }).tick("no_budget")));
  await asks(await browser.submit((await limitsForm(id)).fill({ budget_usd: "15", budget_period: "day" })));
  await asks(await browser.submit((await endForm(id)).fill({ end: "31536000" })));
  assert.deepEqual(await row(id), before);
  assert.equal((await browser.submit((await limitsForm(id)).fill({ budget_usd: "5.01" }))).status, 303);
  assert.equal((await browser.submit((await limitsForm(id)).fill({ budget_usd: "4.99", requests: "9" }))).status, 303);
  assert.equal((await browser.submit((await endForm(id)).fill({ end: "3600" }))).status, 303);
  await press(id, "pause");
  await press(id, "resume");
  assert.equal((await chat(broker, token)).status, 200);
  assert.equal((await browser.submit((await open(id)).form(`/grants/${id}/revoke`))).status, 303);
  await browser.signIn();
});

test("in Korean the page and what goes wrong on it are Korean", async () => {
  const { grant_id: id } = await browser.grant(app);
  const korean = { "accept-language": "ko" };
  const { page } = await browser.get(`/grants/${id}`, korean);
  for (const text of ["사용 금액", "일시 중지", "종료 시각", "호출", "변경 기록"]) assert.ok(page.text.includes(text), text);
  const answer = await browser.submit(page.form(`/grants/${id}`).fill({ requests: "1.5" }), { headers: korean });
  assert.match(answer.page.text, /저장하지 않음: 요청 수: 1 이상의 정수/);
});

test("signed out, the page asks to sign in and shows nothing of the grant", async () => {
  const { grant_id: id } = await browser.grant(app);
  const response = await fetch(`${broker.url}/grants/${id}`, { headers: { accept: "text/html" } });
  const text = await response.text();
  assert.match(text, /Sign in/i);
  assert.ok(!text.includes("Test app"));
});
