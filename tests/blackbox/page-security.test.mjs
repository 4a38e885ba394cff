// Every route for people, one by one, as a forger, a framer, a neighbour and an injector would try it. The tables are held against the
// router's own source: a route that is not in them fails, and so does one of them that is no route.
//
// A form is refused as it stands on its page, with everything but what is forged: afterwards the same form is sent as it should be, so
// that a refusal is known to be about the forgery and nothing else.
//
// What is about no route of its own stands elsewhere: session fixation and the flags of cookies in sessions.test.mjs and sign-in.test.mjs,
// what an unknown passkey costs in src/web/accounts/owner/tests.rs, lock-out in recovery.test.mjs and rate-limit.test.mjs, ids within a
// form (a grant to replace, notices to read, a page to answer) with the form that they are in.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, test } from "node:test";
import { Authenticator, SECURITY, addPasskey, fillWithPasskey, invite } from "../support/authenticator.mjs";
import { Browser, DETAILS, authorizationRequest, chat, claims, signInLink, signInToken } from "../support/flow.mjs";
import { pageRoutes } from "../support/routes.mjs";
import { exchange } from "../support/tokens.mjs";
import { startWorld, until } from "../support/world.mjs";

const EVIL = "https://evil.example";
/** Text that would be an element, an attribute or a placeholder, wherever it is not escaped for just that place. */
const PWNED = `"'><pwned onpwned=1>{{1}}`;

const { broker, browser: operator } = await startWorld();
const receiver = http.createServer((request, response) => response.end());
receiver.listen(0, "localhost");
await once(receiver, "listening");
after(() => receiver.close());

// Somebody with one of everything, and somebody else with nothing.

const app = await operator.register({ name: PWNED });
const confidential = await operator.register({ name: "Server app", type: "confidential" });
const CHAT = { details: [{ ...DETAILS[0], limits: { requests: 10 } }] };
const grant = async (who = app, options = CHAT) => (await operator.grant(who, options)).grant_id;
const other = await operator.somebodyElse("user_other");
const otherCsrf = (await other.get("/settings")).page.form("/settings/name").value("csrf");
const phone = new Authenticator();
assert.equal((await addPasskey(operator, phone, { name: PWNED.slice(0, 60) })).status, 303);
assert.equal((await addPasskey(operator, new Authenticator(), { name: "Second" })).status, 303);

const at = async (path, action, who = operator) => (await who.get(path)).page.form(action);
const only = async (query, ...values) => Object.values((await broker.sql(query, ...values))[0])[0];
const passkey = (name) => only("SELECT passkey_id FROM passkeys WHERE name = ?", name);
const plain = (path, fields = {}) => async () => {
  const csrf = await csrfOf(operator);
  return { action: path, data: () => new URLSearchParams({ csrf, ...fields }) };
};
const csrfOf = async (who) => (await who.get("/settings")).page.form("/settings/name").value("csrf");

async function token(name = "Script") {
  const form = await at("/tokens/new", "/tokens");
  const { page } = await operator.submit(form.fill({ name }));
  return claims(/eyJ[\w-]+\.[\w-]+\.[\w-]+/.exec(page.html)[0]).grant_id;
}

async function delegation() {
  const parent = await operator.grant(confidential, CHAT);
  const { body } = await exchange(broker, confidential, parent.access_token);
  const { grant_id: id, delegation } = claims(body.access_token);
  return [id, delegation];
}

async function invitation() {
  await invite(operator, { name: PWNED.slice(0, 60) });
  return only("SELECT invitation_id FROM invitations ORDER BY rowid DESC LIMIT 1");
}

async function session() {
  await new Browser(broker).signIn();
  const { page } = await operator.get(SECURITY);
  const form = page.forms.find(({ action }) => /\/sessions\/[^/]+\/end$/.test(action.pathname));
  return /\/sessions\/([^/]+)\/end$/.exec(form.action.pathname)[1];
}

let members = 0;
async function member() {
  members += 1;
  await operator.somebodyElse(`user_gone_${members}`);
  return `user_gone_${members}`;
}

async function filled(path, action, values, change = () => {}) {
  const form = (await at(path, action)).fill(values);
  change(form);
  return form;
}

async function consent() {
  const { form } = await operator.consent(app, CHAT);
  return form.press("decision", "allow");
}

const WEBHOOK = "/settings/webhook";
const url = `http://localhost:${receiver.address().port}/`;

/**
 * Every POST to a page. `form`: the form as its page has it, filled in so that it changes something, and made anew for each test that
 * sends it. `ids`: what stands in its path. `changes`: whether it changes what is stored, when it is sent as it should be; `before`: the
 * form is sent before there is a session, and so has the origin alone.
 */
const POSTS = {
  "/sign-in": { before: true, form: () => at(signInLink(broker), "/sign-in", new Browser(broker)), who: () => new Browser(broker) },
  "/language": { before: true, changes: false, who: () => new Browser(broker), form: async () => ({ action: "/language", data: () => new URLSearchParams({ language: "ko", return_to: "/" }) }) },
  "/sign-in/passkey/options": { before: true, changes: false, form: async () => ({ action: "/sign-in/passkey/options", data: () => new URLSearchParams() }) },
  "/sign-in/passkey": {
    before: true,
    who: () => new Browser(broker),
    form: async (who) => {
      const form = await at("/sign-in", "/sign-in/passkey", who);
      const data = await fillWithPasskey(who, form, phone);
      return { action: form.action, data: () => data };
    },
  },
  "/recover": { before: true, who: () => new Browser(broker), form: async () => ({ action: "/recover", data: async () => new URLSearchParams({ code: await recoveryCode() }) }) },
  "/invitation/options": {
    before: true,
    changes: false,
    who: () => new Browser(broker),
    form: async (who) => {
      const { link } = await invite(operator);
      const { page } = await who.get(link);
      const form = page.form("/invitation");
      return { action: form.options, data: () => form.data() };
    },
  },
  "/invitation": {
    before: true,
    who: () => new Browser(broker),
    form: async (who) => {
      const { link } = await invite(operator);
      const form = (await who.get(link)).page.form("/invitation");
      const data = await fillWithPasskey(who, form, new Authenticator());
      return { action: form.action, data: () => data };
    },
  },
  "/confirm": { form: () => plain("/confirm", { action: "/settings", code: signInToken(broker) })() },
  "/confirm/options": { changes: false, form: plain("/confirm/options") },
  "/sign-out": { who: async () => signedIn(), form: (who) => at("/grants", "/sign-out", who) },
  "/grants/{grant_id}": { ids: async () => [await grant()], form: async (_, [id]) => filled(`/grants/${id}`, `/grants/${id}`, { "p0.requests": "9" }) },
  "/grants/{grant_id}/pause": { ids: async () => [await grant()], form: (_, [id]) => at(`/grants/${id}`, `/grants/${id}/pause`) },
  "/grants/{grant_id}/resume": {
    ids: async () => {
      const id = await grant();
      await operator.submit(await at(`/grants/${id}`, `/grants/${id}/pause`));
      return [id];
    },
    form: (_, [id]) => at(`/grants/${id}`, `/grants/${id}/resume`),
  },
  "/grants/{grant_id}/end": { ids: async () => [await grant()], form: (_, [id]) => filled(`/grants/${id}`, `/grants/${id}/end`, { end: "3600" }) },
  "/grants/{grant_id}/revoke": { ids: async () => [await grant()], form: (_, [id]) => at(`/grants/${id}`, `/grants/${id}/revoke`) },
  "/grants/{grant_id}/delegations/{delegation_id}/revoke": {
    ids: delegation,
    form: (_, [id, one]) => at(`/grants/${id}`, `/grants/${id}/delegations/${one}/revoke`),
  },
  "/notices": {
    form: async () => {
      await broker.sql(
        "INSERT INTO notices (grant_id, user_id, kind, cap, allowed, threshold, at) SELECT grant_id, user_id, 'limit', 'requests', abs(random() % 1000000), 50, 1 FROM grants WHERE client_id = ? LIMIT 1",
        app.client_id,
      );
      const { page } = await operator.get("/notices");
      return page.forms.find((form) => form.action.pathname === "/notices");
    },
  },
  "/settings/webhook": { form: () => filled(WEBHOOK, WEBHOOK, { url }) },
  "/settings/webhook/secret": { form: () => at(WEBHOOK, `${WEBHOOK}/secret`) },
  "/settings/webhook/test": { form: () => at(WEBHOOK, `${WEBHOOK}/test`) },
  "/settings/webhook/off": { form: () => at(WEBHOOK, `${WEBHOOK}/off`) },
  "/members/{user_id}/remove": { ids: async () => [await member()], form: (_, [id]) => at(`/members/${id}`, `/members/${id}/remove`) },
  "/settings/policy": { form: () => filled("/settings/policy", "/settings/policy", { "openai.models": `*\n${`p${PWNED}`.replaceAll(" ", "")}*` }) },
  "/settings/policy/tell": {
    form: async () => {
      await broker.sql("UPDATE users SET policy_seen = 0 WHERE user_id = 'user_other'");
      return at("/settings/policy", "/settings/policy/tell");
    },
  },
  "/apps": { form: () => filled("/apps", "/apps", { name: "Another", home_page: "https://another.example/", redirect_uris: "https://another.example/cb" }) },
  "/apps/{client_id}/delete": {
    ids: async () => [(await operator.register({ name: "To go", redirectUris: ["https://go.example/cb"] })).client_id],
    form: (_, [id]) => at("/apps", `/apps/${id}/delete`),
  },
  "/settings/security/passkeys/add": { changes: false, form: () => addForm() },
  "/settings/security/passkeys/options": {
    changes: false,
    form: async () => {
      const form = await passkeyForm();
      return { action: form.options, data: () => form.data() };
    },
  },
  "/settings/security/passkeys": {
    form: async () => {
      const form = await passkeyForm();
      const data = await fillWithPasskey(operator, form, new Authenticator());
      return { action: form.action, data: () => data };
    },
  },
  "/settings/security/passkeys/{passkey_id}/rename": {
    ids: async () => [await passkey("Second")],
    form: async (_, [id]) => filled(SECURITY, `${SECURITY}/passkeys/${id}/rename`, { name: "Second" }),
  },
  "/settings/security/passkeys/{passkey_id}/remove": {
    ids: async () => {
      const name = `Spare ${Math.random()}`;
      await addPasskey(operator, new Authenticator(), { name });
      return [await passkey(name)];
    },
    form: (_, [id]) => at(SECURITY, `${SECURITY}/passkeys/${id}/remove`),
  },
  "/settings/security/recovery-codes": { form: () => at(SECURITY, `${SECURITY}/recovery-codes`) },
  "/settings/security/sessions/end-others": {
    form: async () => {
      await session();
      return at(SECURITY, `${SECURITY}/sessions/end-others`);
    },
  },
  "/settings/security/sessions/{session_id}/end": {
    ids: async () => [await session()],
    form: (_, [id]) => at(SECURITY, `${SECURITY}/sessions/${id}/end`),
  },
  "/members/invitations": { form: () => filled("/members/invitations", "/members/invitations", { name: "Min" }) },
  "/members/invitations/{invitation_id}/revoke": {
    ids: async () => [await invitation()],
    form: (_, [id]) => at("/members/invitations", `/members/invitations/${id}/revoke`),
  },
  "/tokens": { form: () => filled("/tokens/new", "/tokens", { name: "Script" }) },
  "/tokens/{grant_id}/revoke": { ids: async () => [await token()], form: (_, [id]) => at("/tokens", `/tokens/${id}/revoke`) },
  "/settings/name": { form: () => filled("/settings", "/settings/name", { name: `N${members} ${PWNED}`.slice(0, 60) }) },
  "/authorize": { form: consent },
  "/device": {
    form: async () => {
      const response = await fetch(`${broker.url}/device_authorization`, {
        method: "POST",
        body: new URLSearchParams({ client_id: app.client_id, scope: "openai:chat" }),
      });
      const { user_code: code } = await response.json();
      assert.ok(code, "a device asks");
      return filled("/device", "/device", { user_code: code });
    },
  },
};

/** Every GET of a page: what stands for the ids in its path, and queries that are echoed. */
const GETS = {
  "/": { queries: ["month=X"] },
  "/sign-in": { queries: ["token=X"] },
  "/recover": {},
  "/invitation": { status: 404, queries: ["token=X"] },
  "/grants": { queries: ["q=X", "state=X", "app=X"] },
  "/grants/{grant_id}": { ids: () => [HERS.grant], queries: ["from=X", "X"] },
  "/grants/{grant_id}/calls": { ids: () => [HERS.grant], queries: ["model=X", "status=X", "from=X"] },
  "/grants/{grant_id}/calls.csv": { ids: () => [HERS.grant], file: true },
  "/grants/{grant_id}/calls.json": { ids: () => [HERS.grant], file: true },
  "/grants/{grant_id}/live": { ids: () => [HERS.grant] },
  "/grants/{grant_id}/history": { ids: () => [HERS.grant], queries: ["before=X"] },
  "/notices": {},
  "/settings/webhook": { queries: ["X"] },
  "/members": { queries: ["done=X", "page=X"] },
  "/members/{user_id}": { ids: () => [HERS.member] },
  "/settings/policy": { queries: ["X"] },
  "/apps": {},
  "/settings/security": { queries: ["done=X"] },
  "/members/invitations": {},
  "/tokens": { queries: ["X"] },
  "/tokens/new": {},
  "/activity": { queries: ["kind=X", "grant=X", "before=X"] },
  "/activity.csv": { file: true },
  "/settings": { queries: ["done=X"] },
  "/developers": {},
  "/authorize": { status: 400, queries: ["client_id=X", "client_id=APP&redirect_uri=X", "client_id=APP&redirect_uri=REDIRECT&response_type=X&state=X", "request_uri=X&client_id=APP"] },
  "/device": { queries: ["user_code=X", "done=X"] },
};

/** What stands for the ids of the GETs. */
const HERS = { grant: await grant(), member: await member() };

const signedIn = async () => {
  const browser = new Browser(broker);
  await browser.signIn();
  return browser;
};
const addForm = async () => {
  const { page } = await operator.get(SECURITY);
  return page.forms.find(({ action }) => action.pathname === `${SECURITY}/passkeys/add`);
};
const passkeyForm = async () => (await operator.submit(await addForm())).page.form(`${SECURITY}/passkeys`).fill({ name: "New" });
async function recoveryCode() {
  const form = await at(SECURITY, `${SECURITY}/recovery-codes`);
  return (await operator.submit(form)).page.text.match(/\b[B-Z]{4}(-[B-Z]{4}){3}\b/g)[0];
}

const fill = (path, ids) => ids.reduce((path, id) => path.replace(/\{\w+\}/, encodeURIComponent(id)), path);
/** As long and of the same kind, but nobody's. */
const nobodys = (id) => id.slice(0, -4) + (id.endsWith("AAAA") ? "BBBB" : "AAAA");

/** What changes by itself, by table: when a session was last seen, what a page keeps while somebody signs in, how a delivery went. */
const BY_ITSELF = {
  sessions: ["last_seen_at", "expires_at"],
  authorization_requests: ["filled"],
  webhook_deliveries: ["attempts", "last_attempt_at", "next_attempt_at", "delivered_at", "status", "error"],
};

/** Everything else that is stored, by table. */
async function stored() {
  const contents = await broker.tables();
  for (const [name, rows] of Object.entries(contents)) for (const row of rows) for (const column of BY_ITSELF[name] ?? []) delete row[column];
  return contents;
}

test("every route of the router is in the tables, and nothing else is", async () => {
  const routes = await pageRoutes();
  const of = (method) => routes.filter(({ methods }) => methods.includes(method)).map(({ path }) => path);
  assert.deepEqual(Object.keys(POSTS).sort(), of("POST").sort());
  assert.deepEqual(Object.keys(GETS).sort(), of("GET").sort());
  assert.deepEqual([...new Set(routes.flatMap(({ methods }) => methods))].sort(), ["GET", "POST"]);
});

for (const [path, { ids = () => [], form, who, before = false, changes = true }] of Object.entries(POSTS)) {
  test(`CSRF: POST ${path} is refused from elsewhere${before ? "" : " and without the session's own token"}, and changes nothing by that`, async () => {
    const person = (await who?.()) ?? operator;
    const sent = await form(person, await ids());
    const data = await sent.data();
    const had = await stored();
    const send = (change, headers) => {
      const forged = new URLSearchParams(data);
      change(forged);
      return person.post(sent.action, forged, headers);
    };
    const asItIs = () => {};
    const forgeries = [
      [asItIs, { origin: EVIL, "sec-fetch-site": "cross-site" }],
      [asItIs, { origin: `${broker.url}.evil.example` }],
      [asItIs, { origin: "null" }],
      [asItIs, { origin: undefined, "sec-fetch-site": "cross-site" }],
      [asItIs, { origin: undefined, "sec-fetch-site": undefined }],
    ];
    if (!before) {
      forgeries.push([(data) => data.delete("csrf")], [(data) => data.set("csrf", "")], [(data) => data.set("csrf", "AAAA")]);
      forgeries.push([(data) => data.set("csrf", otherCsrf)]);
    }
    for (const [index, [change, headers]] of forgeries.entries()) {
      const { status, location } = await send(change, headers);
      assert.deepEqual([status, location], [403, null], `forgery ${index}`);
    }
    if (!before) assert.equal((await new Browser(broker).post(sent.action, data)).status, 401, "without a session");
    assert.deepEqual(await stored(), had, "nothing has changed");
    const answer = await send(asItIs);
    assert.ok(answer.status < 400, `as it should be: ${answer.status} ${answer.page?.text ?? answer.text}`);
    if (changes) assert.notDeepEqual(await stored(), had, "it would have changed something");
  });
}

/** Both answers, but for what they echo of the address. */
function same(one, two, ids, unknown, what) {
  const blind = ({ text }) => [...ids, ...unknown].reduce((text, id) => text.replaceAll(id, "ID"), text).replaceAll(/(name="return_to" value)="[^"]*"/g, "$1");
  assert.deepEqual([one.status, blind(one)], [two.status, blind(two)], what);
}

for (const [path, { ids, form }] of Object.entries(POSTS).filter(([, { ids }]) => ids)) {
  test(`IDOR: POST ${path} of somebody else's is answered as if there were no such thing, and changes nothing`, async () => {
    const theirs = await ids();
    const data = await (await form(operator, theirs)).data();
    data.set("csrf", otherCsrf);
    const unknown = theirs.map(nobodys);
    const had = await stored();
    const [real, none] = [await other.post(fill(path, theirs), data), await other.post(fill(path, unknown), data)];
    assert.equal(real.status, 404);
    same(real, none, theirs, unknown, path);
    assert.deepEqual(await stored(), had);
  });
}

for (const [path, { ids }] of Object.entries(GETS).filter(([, { ids }]) => ids)) {
  test(`IDOR: GET ${path} of somebody else's is answered as if there were no such thing`, async () => {
    const theirs = ids();
    const unknown = theirs.map(nobodys);
    assert.equal((await operator.get(fill(path, theirs))).status, 200, "there is one");
    const [real, none] = [await other.get(fill(path, theirs)), await other.get(fill(path, unknown))];
    assert.equal(real.status, 404);
    same(real, none, theirs, unknown, path);
  });
}

const OPERATORS = ["/members", "/members/{user_id}", "/members/invitations", "/settings/policy", "/settings/webhook"];

test("what is for operators is not there for a member: no page of it, and no form", async () => {
  const nothing = await other.get("/nothing-here");
  for (const path of OPERATORS) {
    const answer = await other.get(fill(path, [HERS.member]));
    assert.deepEqual([answer.status, answer.page.text], [nothing.status, nothing.page.text], path);
  }
  const posts = Object.entries(POSTS).filter(([path]) => OPERATORS.some((page) => path === page || path.startsWith(`${page}/`)));
  assert.ok(posts.length >= 8);
  for (const [path, { form, ids = () => [] }] of posts.filter(([path]) => !["/settings/webhook/off", "/settings/webhook/secret", "/settings/webhook/test"].includes(path))) {
    const theirs = await ids();
    const data = await (await form(operator, theirs)).data();
    data.set("csrf", otherCsrf);
    const had = await stored();
    assert.equal((await other.post(fill(path, theirs), data)).status, 404, path);
    assert.deepEqual(await stored(), had, path);
  }
  for (const deed of ["off", "secret", "test"]) {
    assert.equal((await other.post(`${WEBHOOK}/${deed}`, new URLSearchParams({ csrf: otherCsrf }))).status, 404, deed);
  }
});

/** What scripts of ours need of a browser; whatever else there is, is off. */
const ALLOWED = { "clipboard-write": "(self)", "publickey-credentials-create": "(self)", "publickey-credentials-get": "(self)" };
/** Pages on an app's way to its consent, which may lie in a window that the app opened, and waits for. */
const ON_THE_WAY = ["/authorize", "/sign-in", "/recover"];

/** What every answer to a person says to their browser. */
function assertGuarded({ headers, page }, what) {
  const policy = headers.get("content-security-policy") ?? "";
  assert.match(policy, /(^|; )default-src 'none'/, what);
  assert.match(policy, /(^|; )frame-ancestors 'none'/, what);
  assert.match(policy, /(^|; )base-uri 'none'/, what);
  assert.match(policy, /(^|; )form-action 'self'/, what);
  assert.doesNotMatch(policy.replace(/ https:\/\/app\.example$/, ""), /unsafe|https?:|data:|\*/, what);
  assert.equal(headers.get("x-frame-options"), "DENY", what);
  assert.match(headers.get("cache-control"), /no-store/, what);
  assert.equal(headers.get("x-content-type-options"), "nosniff", what);
  assert.equal(headers.get("referrer-policy"), "same-origin", what);
  assert.equal(headers.get("cross-origin-resource-policy"), "same-origin", what);
  const granted = headers.get("permissions-policy").split(", ").map((one) => one.split("=")).filter(([, whom]) => whom !== "()");
  assert.deepEqual(Object.fromEntries(granted), ALLOWED, what);
  if (!page) return;
  assert.deepEqual(page.all("style"), [], what);
  assert.ok(!page.elementNames().has("style") && !page.elementNames().has("base"), what);
  for (const source of [...page.all("src"), ...page.all("data-live-from")]) assert.match(source, /^\/(?!\/)/, what);
}

for (const [path, { ids = () => [], status = 200 }] of Object.entries(GETS)) {
  test(`clickjacking: GET ${path} can't be framed, kept, or run what is not ours, whoever asks`, async () => {
    const address = fill(path, ids());
    const answer = await operator.get(address);
    assert.equal(answer.status, status, answer.page?.text);
    assertGuarded(answer, "signed in");
    assertGuarded(await new Browser(broker).get(address), "a stranger");
    assertGuarded(await other.get(address), "somebody else");
    const opener = ON_THE_WAY.includes(path) ? "unsafe-none" : "same-origin";
    assert.equal(answer.headers.get("cross-origin-opener-policy"), opener);
  });
}

test("clickjacking: what refuses is guarded, too: no such page, no such method, a forged form, a page that asks who it is", async () => {
  assertGuarded(await operator.get("/nothing-here"), "404");
  assertGuarded(await operator.get("/sign-out"), "405");
  assertGuarded(await operator.post("/apps", new URLSearchParams()), "403");
  assertGuarded(await new Browser(broker).post("/apps", new URLSearchParams()), "401");
  const asking = await signedIn();
  await broker.sql("UPDATE sessions SET created_at = created_at - 3600, confirmed_at = NULL WHERE user_id = (SELECT user_id FROM users WHERE role = 'operator')");
  const asked = await asking.submit(await at(SECURITY, `${SECURITY}/recovery-codes`, asking));
  assert.match(asked.page.text, /Confirm that it is you/);
  assertGuarded(asked, "confirm");
  const { text } = await operator.consent(app, CHAT);
  assert.ok(text.length > 0);
  assertGuarded(await operator.get(authorizationRequest(broker, app, CHAT).url), "consent");
  await broker.sql("UPDATE sessions SET created_at = created_at + 3600");
});

// What an app, a provider, a caller or a person chose to write.

function assertText({ text, page }, what) {
  assert.ok(!/<pwned/i.test(text), `${what}: as markup`);
  if (!page) return;
  assert.ok(!page.elementNames().has("pwned"), `${what}: as an element`);
  assert.deepEqual(page.all("onpwned"), [], `${what}: as an attribute`);
  assert.ok(!/\{\{\d/.test(text.replaceAll("{{1}}", "")), `${what}: as a template`);
}

/** Where each must be read, so that there is something to escape. */
const SHOWN = {
  "an app's name": ["/", "/grants", "/grants/{grant_id}", "/apps", "/notices", "/activity", "consent"],
  "a model's name": ["/", "/grants/{grant_id}/calls", "/grants/{grant_id}/live", "/notices"],
  "a token's name": ["/tokens", "/activity"],
  "a passkey's name": ["/settings/security", "/activity"],
  "an invitation's name": ["/members/invitations"],
  "a person's name": ["/settings", "/members"],
  "a policy's model": ["/settings/policy"],
  "a user agent": ["/activity"],
};

test("injection: what apps, callers, providers and people write comes out as text on every page that shows it, in both languages", async () => {
  const marked = Object.fromEntries(Object.keys(SHOWN).map((what, number) => [what, `m${number}${PWNED}`]));
  const [owner] = await broker.sql("SELECT user_id FROM grants WHERE grant_id = ?", HERS.grant);
  await broker.sql("UPDATE clients SET name = ? WHERE client_id = ?", marked["an app's name"], app.client_id);
  await broker.sql("UPDATE grants SET client_name = ? WHERE client_id = ?", marked["an app's name"], app.client_id);
  const again = await operator.grant(app, CHAT);
  HERS.grant = again.grant_id;
  assert.equal((await chat(broker, again.access_token)).status, 200);
  assert.equal((await chat(broker, again.access_token, "hello", { model: marked["a model's name"] })).status, 403);
  await until(async () => (await broker.sql("SELECT 1 FROM usage_events WHERE grant_id = ?", again.grant_id)).length === 1, "it is booked");
  await broker.sql("UPDATE usage_events SET model = ? WHERE grant_id = ?", marked["a model's name"], again.grant_id);
  await broker.sql("UPDATE usage_months SET model = ?, app = ?", marked["a model's name"], marked["an app's name"]);
  await until(async () => (await broker.sql("SELECT 1 FROM refusals WHERE grant_id = ?", again.grant_id)).length === 1, "the refusal is told", { seconds: 75 });
  await broker.sql(
    "INSERT INTO notices (grant_id, user_id, kind, cap, allowed, threshold, at) VALUES (?, ?, 'limit', 'requests', 4711, 50, 1)",
    again.grant_id,
    owner.user_id,
  );
  await token(marked["a token's name"].slice(0, 60));
  await broker.sql("UPDATE passkeys SET name = ?", marked["a passkey's name"]);
  await broker.sql("UPDATE invitations SET name = ?", marked["an invitation's name"]);
  await broker.sql("UPDATE users SET name = ?", marked["a person's name"]);
  const policy = marked["a policy's model"].replaceAll(" ", "");
  await operator.submit(await filled("/settings/policy", "/settings/policy", { "openai.models": `*\n${policy}` }));
  const rename = (await at(SECURITY, new RegExp(`^${SECURITY}/passkeys/${await passkey(marked["a passkey's name"])}/rename$`))).fill({ name: marked["a passkey's name"].slice(0, 60) });
  await operator.submit(rename, { headers: { "user-agent": marked["a user agent"] } });
  await broker.sql("UPDATE audit SET agent = ?", marked["a user agent"]);
  await broker.sql("UPDATE sessions SET agent = ?", marked["a user agent"]);

  const seen = {};
  for (const language of ["en", "ko"]) {
    const headers = { "accept-language": language };
    for (const [path, { ids = () => [], file }] of Object.entries(GETS)) {
      const answer = await operator.get(fill(path, ids()), headers);
      if (file) {
        assert.doesNotMatch(answer.headers.get("content-type"), /html/, `${path} is no page`);
        assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
        continue;
      }
      assertText(answer, `${path} ${language}`);
      seen[path] = answer.page?.text ?? answer.text;
    }
    const answer = await operator.get(authorizationRequest(broker, app, CHAT).url, headers);
    assertText(answer, `consent ${language}`);
    seen.consent = answer.page.text;
  }
  for (const [what, pages] of Object.entries(SHOWN)) {
    const text = what === "a policy's model" ? policy : marked[what];
    for (const page of pages) assert.ok(seen[page].includes(text.slice(0, "m0\"'><pwned".length)), `${what} stands on ${page}: ${seen[page].slice(0, 1500)}`);
  }
});

test("injection: what a link says of itself comes out as text, in both languages, wherever it is echoed", async () => {
  const written = encodeURIComponent(PWNED);
  for (const language of ["en", "ko"]) {
    for (const [path, { ids = () => [], queries = [], file }] of Object.entries(GETS)) {
      if (file) continue;
      for (const query of ["x=X", ...queries]) {
        const text = query.replaceAll("X", written).replace("APP", app.client_id).replace("REDIRECT", encodeURIComponent(app.redirect_uri));
        for (const person of [operator, new Browser(broker)]) {
          const answer = await person.get(`${fill(path, ids())}?${text}`, { "accept-language": language, "user-agent": PWNED });
          assertText(answer, `${path}?${query} ${language}`);
          if (answer.status < 300 || answer.status >= 400) assertGuarded(answer, `${path}?${query}`);
        }
      }
    }
    assertText(await operator.get(`/${written}`, { "accept-language": language }), "a path that is no page");
  }
});

test("injection: a reason to deny is one of ours: words of somebody else's reach neither the app nor a page", async () => {
  const { form } = await operator.consent(app, CHAT);
  const data = form.press("decision", "deny").data();
  data.set("reason", PWNED);
  const { location } = await operator.submit(form, { data });
  assert.equal(location.searchParams.get("error"), "access_denied");
  assert.ok(!location.href.includes("pwned"));
  assertText(await operator.get("/activity"), "/activity");
  assert.equal(await only("SELECT count(*) FROM audit WHERE detail LIKE '%reason%pwned%'"), 0);
});

test("injection: what was typed comes back as text beside what is wrong with it", async () => {
  const typed = [
    ["/settings", "/settings/name", { name: `${PWNED}${"x".repeat(80)}` }],
    ["/apps", "/apps", { name: PWNED, redirect_uris: PWNED, home_page: PWNED }],
    ["/tokens/new", "/tokens", { name: `${PWNED}${"x".repeat(80)}` }],
    ["/settings/policy", "/settings/policy", { "openai.models": PWNED, max_per_grant: PWNED }],
    ["/settings/webhook", "/settings/webhook", { url: PWNED }],
    ["/members/invitations", "/members/invitations", { name: `${PWNED}${"x".repeat(80)}` }],
    [`/grants/${HERS.grant}`, `/grants/${HERS.grant}`, { "p0.requests": PWNED }],
    [`/grants/${HERS.grant}`, `/grants/${HERS.grant}/end`, { end: PWNED, end_date: PWNED }],
    ["/device", "/device", { user_code: PWNED }],
    ["/recover", "/recover", { code: PWNED }],
  ];
  for (const language of ["en", "ko"]) {
    for (const [page, action, values] of typed) {
      const person = action === "/recover" ? new Browser(broker) : operator;
      const form = await at(page, action, person);
      const data = form.data();
      for (const [name, value] of Object.entries(values)) data.set(name, value);
      const answer = await person.submit(form, { data, headers: { "accept-language": language } });
      assert.ok(answer.status >= 400 && answer.status < 500, `${action}: ${answer.status}`);
      assertText(answer, `${action} ${language}`);
      assertGuarded(answer, action);
    }
  }
});
