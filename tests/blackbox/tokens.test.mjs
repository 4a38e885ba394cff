// Tokens that people make for themselves: made on a page, shown once, capped, and worth nothing anywhere but at AI calls.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { parse } from "parse5";
import { ROOT } from "../support/broker.mjs";
import { assertOAuthError, assertOpenAiError, basic, chat, claims, messages, postForm } from "../support/flow.mjs";
import { startWorld, useUp } from "../support/world.mjs";

const { broker, browser } = await startWorld();
const confidential = await browser.register({ name: "Server app", type: "confidential" });
const DAY = 24 * 3600;
const now = () => Math.floor(Date.now() / 1000);

/** The form as a person fills it in; `edit` is what they change of it. */
async function form(edit = () => {}, who = browser) {
  const { page } = await who.get("/tokens/new");
  const filled = page.form("/tokens").fill({ name: "my notebook" });
  edit(filled);
  return filled;
}

const TOKEN = /eyJ[\w-]+\.[\w-]+\.[\w-]+/g;

/** A token that was made, with the page that showed it. */
async function make(edit, who = browser) {
  const answer = await who.submit(await form(edit, who));
  assert.equal(answer.status, 201, answer.page?.text);
  const found = answer.text.match(TOKEN);
  assert.equal(found.length, 1, "the token stands on the page once");
  return { token: found[0], grant_id: claims(found[0]).grant_id, ...answer };
}

const grants = async () => (await broker.sql("SELECT COUNT(*) AS n FROM grants WHERE client_id = 'personal'"))[0].n;

async function isRefused(edit, why) {
  const before = await grants();
  const { status, page } = await browser.submit(await form(edit));
  assert.equal(status, 400, page?.text);
  assert.match(page.text, why);
  assert.ok(page.form("/tokens"), "the form is shown again");
  assert.equal(await grants(), before);
  return page;
}

/** The code of the page, by its language, as a person would copy it. */
function snippets(html) {
  const found = [];
  const visit = (node) => {
    const language = node.tagName === "code" && node.attrs.find(({ value }) => value.startsWith("language-"))?.value;
    if (language) found.push({ language: language.slice("language-".length), code: node.childNodes.map(({ value }) => value).join("") });
    node.childNodes?.forEach(visit);
  };
  visit(parse(html));
  return found;
}

test("a token calls both providers, through their own libraries", async () => {
  const { token } = await make();
  const openai = new OpenAI({ baseURL: `${broker.url}/openai/v1`, apiKey: token });
  const completion = await openai.chat.completions.create({ model: "gpt-5-mini", messages: [{ role: "user", content: "hello" }] });
  assert.ok(completion.choices[0].message.content);
  const anthropic = new Anthropic({ baseURL: `${broker.url}/anthropic`, apiKey: token });
  const message = await anthropic.messages.create({ model: "claude-opus-5", max_tokens: 50, messages: [{ role: "user", content: "hello" }] });
  assert.ok(message.content[0].text);
});

test("the page is never kept, and its only script is ours", async () => {
  const { headers, page } = await make();
  assert.match(headers.get("cache-control"), /no-store/);
  assert.match(headers.get("content-security-policy"), /default-src 'none'.*script-src 'self'; form-action 'self'$/);
  assert.deepEqual(page.all("src"), ["/copy.js"]);
});

test("a token is shown once: on no other page, and not when its form is sent again", async () => {
  const filled = await form();
  const first = await browser.submit(filled);
  const [token] = first.text.match(TOKEN);
  const before = await grants();
  const again = await browser.submit(filled);
  assert.equal(again.status, 409, again.text);
  assert.match(again.page.text, /made already/);
  assert.equal(await grants(), before, "and makes no second one");
  for (const where of ["/tokens", `/grants/${claims(token).grant_id}`, "/grants", "/activity", "/activity.csv"]) {
    const { text, status } = await browser.get(where);
    assert.equal(status, 200, where);
    assert.equal(text.match(TOKEN), null, where);
  }
});

test("nothing of a token is stored or logged", async () => {
  const { token } = await make();
  await chat(broker, token);
  const signature = token.split(".")[2];
  for (const table of ["grants", "audit", "refresh_tokens"]) {
    assert.ok(!JSON.stringify(await broker.sql(`SELECT * FROM ${table}`)).includes(signature), table);
  }
  assert.deepEqual(broker.logs.filter((line) => line.includes(signature)), []);
});

test("RFC 9068 §2.2: it names a client that nobody is, the broker as its audience, and the end of its grant", async () => {
  const { token } = await make((form) => form.fill({ end: String(7 * DAY) }));
  const { client_id: clientId, aud, exp, iat, jti } = claims(token);
  assert.deepEqual([clientId, aud, exp - iat], ["personal", broker.url, 7 * DAY]);
  assert.ok(jti && Math.abs(iat - now()) < 60);
});

test("money is limited as the form says", async () => {
  const { token, grant_id: id } = await make((form) => form.fill({ budget_usd: "0.000001" }));
  assertOpenAiError(await chat(broker, token), 402, "budget_exhausted");
  const [{ terms }] = await broker.sql("SELECT terms FROM grants WHERE grant_id = ?", id);
  assert.equal(JSON.parse(terms).limits.budget_usd, "0.000001");
});

test("2 USD are proposed, and no limit takes a tick", async () => {
  const filled = await form();
  assert.equal(filled.value("budget_usd"), "2.00");
  await isRefused((form) => form.fill({ budget_usd: "" }), /how much money may be spent/);
  const { grant_id: id } = await make((form) => form.fill({ budget_usd: "" }).tick("no_budget"));
  assert.ok(id);
});

test("calls are limited as the form says", async () => {
  const { token } = await make((form) => form.fill({ requests: "3" }));
  assert.equal(await useUp(broker, token), 3);
});

test("only the ticked providers, models and uses are granted", async () => {
  const { token } = await make((form) => form.untick("anthropic.on"));
  assert.equal((await messages(broker, token)).status, 403);
  const { page } = await browser.get("/tokens/new");
  const filled = page.form("/tokens").fill({ name: "one model" });
  const data = filled.data();
  data.delete("openai.models");
  data.append("openai.models", "gpt-5.1*");
  const answer = await browser.submit(filled, { data });
  const [narrow] = answer.text.match(TOKEN);
  assertOpenAiError(await chat(broker, narrow), 403, "model_not_granted");
  assert.equal((await chat(broker, narrow, "hello", { model: "gpt-5.1" })).status, 200);
});

test("known models are suggested", async () => {
  const { page } = await browser.get("/tokens/new");
  const options = page.all("value");
  for (const model of ["gpt-5-mini", "claude-opus-5"]) assert.ok(options.includes(model), model);
});

test("a token is over when its grant is", async () => {
  const { token, grant_id: id } = await make((form) => form.fill({ end: "3600" }));
  const [{ expires_at: end, created_at: made }] = await broker.sql("SELECT expires_at, created_at FROM grants WHERE grant_id = ?", id);
  assert.equal(end - made, 3600);
  assert.equal(claims(token).exp, end);
});

test("the end of a week is the end of a Friday, in UTC", async () => {
  const { token } = await make((form) => form.fill({ end: "friday" }));
  const last = new Date((claims(token).exp - 1) * 1000);
  assert.deepEqual([last.getUTCDay(), last.toISOString().slice(11, 19)], [5, "23:59:59"]);
});

test("a day is the token's last; one that has passed or is more than a year ahead is refused", async () => {
  const day = (days) => new Date((now() + days * DAY) * 1000).toISOString().slice(0, 10);
  const { token } = await make((form) => form.fill({ end: "day", end_day: day(3) }));
  assert.equal(new Date((claims(token).exp - 1) * 1000).toISOString().slice(0, 10), day(3));
  await isRefused((form) => form.fill({ end: "day", end_day: day(-1) }), /passed/);
  await isRefused((form) => form.fill({ end: "day", end_day: day(367) }), /a year at most/);
  await isRefused((form) => form.fill({ end: "day", end_day: "" }), /choose when it ends/);
});

test("the very next call of a revoked token is refused, wherever it is revoked", async () => {
  for (const where of ["tokens", "grants"]) {
    const { token, grant_id: id } = await make();
    assert.equal((await chat(broker, token)).status, 200);
    const { page } = await browser.get(where === "tokens" ? "/tokens" : `/grants/${id}`);
    assert.equal((await browser.submit(page.form(`/${where}/${id}/revoke`))).status, 303);
    assertOpenAiError(await chat(broker, token), 401, "invalid_token");
  }
});

test("the list shows what a token used and leads to its calls; grants to apps stand elsewhere", async () => {
  const { token, grant_id: id } = await make((form) => form.fill({ name: "listed one" }));
  await chat(broker, token);
  const { page } = await browser.get("/tokens");
  assert.ok(page.text.includes("listed one") && page.all("href").includes(`/grants/${id}`));
  assert.ok(!(await browser.get("/grants")).text.includes("listed one"));
});

test("RFC 7009 §2.1: no app can revoke it", async () => {
  const { token } = await make();
  const headers = { authorization: basic(confidential.client_id, confidential.client_secret) };
  assert.equal((await postForm(`${broker.url}/revoke`, { token }, headers)).status, 200);
  assertOAuthError(await postForm(`${broker.url}/revoke`, { token, client_id: "personal" }), 401, "invalid_client");
  assert.equal((await chat(broker, token)).status, 200);
});

test("RFC 7662 §4: to an app it is inactive, and nobody is its client", async () => {
  const { token } = await make();
  const headers = { authorization: basic(confidential.client_id, confidential.client_secret) };
  assert.deepEqual((await postForm(`${broker.url}/introspect`, { token }, headers)).body, { active: false });
  assertOAuthError(await postForm(`${broker.url}/introspect`, { token, client_id: "personal" }), 401, "invalid_client");
});

test("RFC 8693 §2.1: it can not be exchanged", async () => {
  const { token } = await make();
  const exchange = {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: token,
    subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
  };
  const headers = { authorization: basic(confidential.client_id, confidential.client_secret) };
  assert.equal((await postForm(`${broker.url}/token`, exchange, headers)).status, 400);
  assertOAuthError(await postForm(`${broker.url}/token`, { ...exchange, client_id: "personal" }), 401, "invalid_client");
});

test("no OAuth endpoint knows the client of tokens", async () => {
  for (const [endpoint, fields] of [
    ["token", { grant_type: "refresh_token", refresh_token: "x" }],
    ["par", { response_type: "code" }],
    ["device_authorization", { scope: "openai:chat" }],
  ]) {
    assertOAuthError(await postForm(`${broker.url}/${endpoint}`, { ...fields, client_id: "personal" }), 401, "invalid_client");
  }
  const asked = await browser.get("/authorize?client_id=personal&response_type=code");
  assert.deepEqual([asked.status, asked.location], [400, null]);
});

test("IDOR: another user neither sees nor revokes it", async () => {
  const { token, grant_id: id } = await make((form) => form.fill({ name: "not yours" }));
  const other = await browser.somebodyElse("user_of_tokens");
  assert.ok(!(await other.get("/tokens")).text.includes("not yours"));
  const mine = await make((form) => form.fill({ name: "theirs" }), other);
  const csrf = (await other.get("/tokens")).page.form(`/tokens/${mine.grant_id}/revoke`).value("csrf");
  assert.equal((await other.post(`/tokens/${id}/revoke`, new URLSearchParams({ csrf }))).status, 404);
  assert.equal((await chat(broker, token)).status, 200);
});

test("IDOR: what revokes tokens revokes no app's grant", async () => {
  const app = await browser.register({ name: "An app" });
  const { grant_id: id } = await browser.grant(app);
  const { page } = await browser.get("/tokens/new");
  const csrf = page.form("/tokens").value("csrf");
  assert.equal((await browser.post(`/tokens/${id}/revoke`, new URLSearchParams({ csrf }))).status, 404);
});

test("a form that is not the page's own makes nothing", async () => {
  const filled = await form();
  const data = filled.data();
  data.set("once", "short");
  assert.equal((await browser.submit(filled, { data })).status, 403);
});

test("CWE-79: a name is shown as text wherever it stands", async () => {
  const name = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
  const made = await make((form) => form.fill({ name }));
  const where = ["/tokens", `/grants/${made.grant_id}`, "/activity"];
  for (const page of [made.page, ...(await Promise.all(where.map(async (path) => (await browser.get(path)).page)))]) {
    assert.ok(page.text.includes(name), page.text.slice(0, 200));
    assert.ok(!page.elementNames().has("img"));
    assert.deepEqual(page.all("onerror"), []);
  }
});

test("a name that turns or hides text is refused", async () => {
  for (const name of ["evil\u202etxt", "a\u200bb", "\u3164"]) await isRefused((form) => form.fill({ name }), /plain text on one line/);
});

test("something that lives long or has no money limit is not made by a session that was not confirmed lately", async () => {
  const other = await browser.somebodyElse("user_long_signed_in");
  await make(undefined, other);
  await broker.sql("UPDATE sessions SET created_at = created_at - 3600 WHERE user_id = 'user_long_signed_in'");
  for (const edit of [(form) => form.fill({ end: String(90 * DAY) }), (form) => form.fill({ budget_usd: "" }).tick("no_budget")]) {
    const before = await grants();
    const answer = await other.submit(await form(edit, other));
    assert.notEqual(answer.status, 201);
    assert.equal(answer.text.match(TOKEN), null);
    assert.equal(await grants(), before);
  }
  assert.ok((await make(undefined, other)).token, "anything else is");
});

test("fifty tokens at a time are enough", async () => {
  const other = await browser.somebodyElse("user_with_many");
  await make(undefined, other);
  await broker.sql(
    `INSERT INTO grants (grant_id, user_id, client_id, client_name, terms, created_at, expires_at, claimable_until, claimed_at)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 49)
     SELECT 'grant_many_' || i, user_id, client_id, client_name, terms, created_at, expires_at, 0, 1 FROM n, grants WHERE user_id = 'user_with_many'`,
  );
  const answer = await other.submit(await form(undefined, other));
  assert.equal(answer.status, 409, answer.page?.text);
  assert.match(answer.page.text, /You have 50 tokens/);
});

test("what the list reads is found by an index of tokens", async () => {
  const plan = await broker.sql(
    "EXPLAIN QUERY PLAN SELECT grant_id FROM grants INDEXED BY grants_personal WHERE client_id = 'personal' AND user_id = ? ORDER BY created_at DESC, grant_id LIMIT ?",
    "x",
    1,
  );
  assert.ok(plan.some(({ detail }) => detail.includes("grants_personal")), JSON.stringify(plan));
});

/** Runs a program; what it wrote. */
const run = (command, args, options) =>
  new Promise((done) => {
    execFile(command, args, { timeout: 60_000, ...options }, (error, stdout, stderr) => done({ code: error?.code ?? 0, stdout, stderr }));
  });

/** A folder in which imports are found. */
async function workFolder() {
  await mkdir(path.join(ROOT, "target"), { recursive: true });
  const folder = await mkdtemp(path.join(ROOT, "target", "tokens-"));
  after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("what is on the page runs as it stands: the variables in a shell, then each program", async (t) => {
  const { text } = await make();
  const [variables, ...programs] = snippets(text);
  const folder = await workFolder();
  await writeFile(path.join(folder, "variables.sh"), variables.code);
  const kinds = { shell: "program.sh", javascript: "program.mjs", python: "program.py" };
  assert.deepEqual(programs.map(({ language }) => language).sort(), ["javascript", "javascript", "python", "python", "shell", "shell"]);
  for (const { language, code } of programs) {
    const name = kinds[language];
    await writeFile(path.join(folder, name), code);
    const command = { shell: `sh ${name}`, javascript: `"${process.execPath}" ${name}`, python: `"${process.env.PYTHON}" ${name}` }[language];
    if (language === "python" && !process.env.PYTHON) {
      t.diagnostic("PYTHON is not set: its programs were not run");
      continue;
    }
    const { code: exit, stdout, stderr } = await run("sh", ["-c", `. ./variables.sh && ${command}`], { cwd: folder });
    assert.equal(exit, 0, `${language}: ${stderr}`);
    if (language === "shell") {
      const body = JSON.parse(stdout);
      assert.ok(body.choices?.[0].message.content ?? body.content?.[0].text, stdout);
    } else {
      assert.ok(stdout.trim().length > 0, `${language} says something`);
    }
  }
});

test("a model's name can not leave its quotes on the page: in a shell, JavaScript or JSON", async () => {
  const filled = await form((form) => form.untick("anthropic.on"));
  const data = filled.data();
  data.delete("openai.models");
  data.append("openai.models", "x';touch${IFS}pwned;'\"`$(touch${IFS}pwned)`<b>");
  const { text, status, page } = await browser.submit(filled, { data });
  assert.equal(status, 201);
  assert.ok(!page.elementNames().has("b"));
  const [variables, shell] = snippets(text);
  const folder = await workFolder();
  await writeFile(path.join(folder, "all.sh"), `${variables.code}\n${shell.code}`);
  await run("sh", ["all.sh"], { cwd: folder });
  const { stdout } = await run("ls", [folder]);
  assert.equal(stdout.trim(), "all.sh");
});

test("only what is granted is set up", async () => {
  const { text } = await make((form) => form.untick("openai.on"));
  const codes = snippets(text).map(({ code }) => code).join("\n");
  assert.ok(codes.includes("ANTHROPIC_BASE_URL") && !codes.includes("OPENAI"));
});

test("both languages say everything", async () => {
  const korean = { "accept-language": "ko" };
  for (const path of ["/tokens", "/tokens/new", "/activity"]) {
    const { page } = await browser.get(path, korean);
    assert.match(page.text, /토큰|활동/);
    assert.ok(!/Make a token|latest first/.test(page.text), path);
  }
});

test("a token's page speaks of a token and offers no later end, since the token itself ends at its first", async () => {
  const { grant_id: id } = await make((form) => form.fill({ end: String(7 * DAY) }));
  const { page } = await browser.get(`/grants/${id}`);
  assert.match(page.text, /a token of yours/);
  assert.match(page.text, /The token can be used until it ends, within its limits\./);
  assert.doesNotMatch(page.text, /The app/);
  assert.ok(page.all("href").includes("/tokens"));
  const end = page.form(`/grants/${id}/end`);
  const [{ expires_at: ends }] = await broker.sql("SELECT expires_at FROM grants WHERE grant_id = ?", id);
  for (const later of [{ end: "2592000" }, { end: "date", end_date: new Date((ends + DAY) * 1000).toISOString().slice(0, 10) }]) {
    const data = end.data();
    for (const [name, value] of Object.entries(later)) data.set(name, value);
    const refused = await browser.submit(end, { data });
    assert.equal(refused.status, 400);
    assert.match(refused.page.text, /a token can not end later than it says itself/);
  }
  const sooner = await browser.submit(end.fill({ end: "3600" }));
  assert.equal(sooner.location.pathname, `/grants/${id}`);
  const [{ expires_at: after }] = await broker.sql("SELECT expires_at FROM grants WHERE grant_id = ?", id);
  assert.ok(after < ends && Math.abs(after - now() - 3600) < 60);
});
