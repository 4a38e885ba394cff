// Invitations: made by operators, used once, by whoever holds the link.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Authenticator, SECURITY, addPasskey, anHourLater, fillWithPasskey, invite, join, sendWithPasskey, signInWithPasskey } from "../support/authenticator.mjs";
import { Browser } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser: operator } = await startWorld();
const PAGE = "/members/invitations";
await addPasskey(operator, new Authenticator());

const policies = () => broker.sql("SELECT policy ->> 'max_per_month' AS most, revision FROM policies");
const invited = async () => (await broker.sql("SELECT name FROM invitations ORDER BY rowid")).map(({ name }) => name);
const form = async () => (await operator.get(PAGE)).page.form(PAGE);
const forget = () => broker.sql("DELETE FROM policies");

test("the first invitation asks what each member may spend in a month, and the answer is the policy", async () => {
  const first = await form();
  assert.equal(first.value("max_per_month"), "20.00");
  const stale = await form();
  const wrong = await operator.submit(first.fill({ name: "Ada", max_per_month: "5,00" }));
  assert.equal(wrong.status, 400);
  assert.match(wrong.page.text, /Write money in US dollars/);
  assert.deepEqual([await policies(), await invited()], [[], []], "nothing was decided");
  const again = wrong.page.form(PAGE);
  assert.deepEqual([again.value("name"), again.value("max_per_month")], ["Ada", "5,00"]);
  const made = await operator.submit(again.fill({ max_per_month: "12.50" }));
  assert.equal(made.status, 201);
  assert.match(made.page.text, /Each member may spend at most 12\.50 USD in a month\./);
  assert.deepEqual(await policies(), [{ most: "12.50", revision: 1 }]);
  const noted = await broker.sql("SELECT event, detail FROM audit WHERE event IN ('policy_changed', 'member_invited') ORDER BY audit_id");
  assert.deepEqual(noted.map(({ event }) => event), ["policy_changed", "member_invited"]);
  assert.match(noted[0].detail, /month: 12\.50 USD/);
  assert.ok(!(await form()).names.includes("max_per_month"), "it is asked once");
  const late = await operator.submit(stale.fill({ name: "Late" }));
  assert.equal(late.status, 409);
  assert.match(late.page.text, /was changed since you opened this page, so no invitation was made/);
  assert.deepEqual([await policies(), await invited()], [[{ most: "12.50", revision: 1 }], ["Ada"]]);
  assert.equal((await operator.submit(late.page.form(PAGE))).status, 201, "what was filled in is still there");
  await forget();
});

test("of invitations that come at once with other amounts one is made, with its own", async () => {
  const forms = await Promise.all(Array.from({ length: 8 }, form));
  const answers = await Promise.all(forms.map((form, n) => operator.submit(form.fill({ name: `At once ${n}`, max_per_month: `${n + 1}` }))));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(7).fill(409)]);
  const winner = answers.findIndex(({ status }) => status === 201);
  assert.deepEqual(await policies(), [{ most: `${winner + 1}.00`, revision: 1 }]);
  assert.equal((await invited()).at(-1), `At once ${winner}`);
  await forget();
});

test("no limit is a decision too: it is kept, asked for no more, and marked on each member", async () => {
  await operator.somebodyElse("user_unlimited");
  const answer = await operator.submit((await form()).fill({ name: "Open", max_per_month: "" }));
  assert.equal(answer.status, 201);
  assert.deepEqual(await policies(), [{ most: null, revision: 1 }]);
  assert.equal((await form()).value("max_per_month"), "", "nothing is proposed to whoever wanted none");
  const marked = await operator.get("/members");
  assert.match(marked.page.text, /Other Member .*Monthly limit ?No limit Set a limit/);
  assert.ok(marked.page.all("href").includes("/settings/policy"));
  await operator.submit((await form()).fill({ name: "Closed", max_per_month: "3" }));
  assert.deepEqual(await policies(), [{ most: "3.00", revision: 2 }]);
  assert.doesNotMatch((await operator.get("/members")).page.text, /No limit/);
  await forget();
});

test("an operator is invited without a word on money, since none binds them", async () => {
  assert.equal((await operator.submit((await form()).fill({ name: "Second", role: "operator" }))).status, 201);
  assert.deepEqual(await policies(), []);
});

test("where a hundred invitations are open neither one more nor its policy is stored", async () => {
  await broker.sql(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
      INSERT INTO invitations (token_hash, invitation_id, user_id, name, role, invited_by, created_at, expires_at)
      SELECT 'many' || i, 'inv_many' || i, 'user_many' || i, 'Many', 'member', (SELECT user_id FROM users WHERE role = 'operator'), 1, 9999999999 FROM n`,
  );
  const answer = await operator.submit((await form()).fill({ name: "One more" }));
  assert.equal(answer.status, 409);
  assert.match(answer.page.text, /A hundred invitations are open/);
  assert.deepEqual(await policies(), []);
  await broker.sql("DELETE FROM invitations WHERE name = 'Many'");
});

test("as on the page of the policy, a limit takes a recent proof, and nothing that was filled in is lost", async () => {
  const person = new Browser(broker);
  await person.signIn();
  const open = (await person.get(PAGE)).page.form(PAGE).fill({ name: "Min", max_per_month: "7" });
  await anHourLater(broker);
  const { page } = await person.submit(open);
  assert.match(page.text, /Confirm that it is you/);
  assert.equal(page.forms.find(({ options }) => options).value("kept.max_per_month"), "7");
  assert.deepEqual(await policies(), []);
  await operator.signIn();
});

test("an invitation says who invites to what, and makes a user with a passkey and a session", async () => {
  const { link } = await invite(operator, { name: "Min" });
  const browser = new Browser(broker);
  const { page } = await browser.get(link);
  assert.match(page.text, /Operator invites you to localhost/);
  const authenticator = new Authenticator();
  const answer = await sendWithPasskey(browser, page.form("/invitation").fill({ name: "Min Lee" }), authenticator);
  assert.equal(answer.location.pathname, SECURITY);
  assert.match((await browser.get(SECURITY)).page.text, /Min Lee/);
  const [{ role }] = await broker.sql("SELECT role FROM users WHERE name = 'Min Lee'");
  assert.equal(role, "member");
  await signInWithPasskey(broker, authenticator);
  const noted = (await broker.sql("SELECT event FROM audit")).map(({ event }) => event);
  assert.ok(noted.includes("member_invited") && noted.includes("invitation_accepted"));
});

test("opening an invitation uses nothing up; taking it does", async () => {
  const { link } = await invite(operator);
  for (let i = 0; i < 3; i += 1) assert.equal((await new Browser(broker).get(link)).status, 200);
  const browser = new Browser(broker);
  const { page } = await browser.get(link);
  assert.equal((await sendWithPasskey(browser, page.form("/invitation"), new Authenticator())).status, 303);
  const late = await new Browser(broker).get(link);
  assert.equal(late.status, 404);
  assert.match(late.page.text, /This invitation is not open/);
});

test("of 50 who take one invitation one becomes a user", async () => {
  const { link } = await invite(operator, { name: "Only" });
  const users = async () => (await broker.sql("SELECT count(*) AS n FROM users"))[0].n;
  const before = await users();
  const ready = [];
  for (let i = 0; i < 50; i += 1) {
    const browser = new Browser(broker);
    const form = (await browser.get(link)).page.form("/invitation");
    ready.push({ browser, form, data: await fillWithPasskey(browser, form, new Authenticator()) });
  }
  const answers = await Promise.all(ready.map(({ browser, form, data }) => browser.submit(form, { data })));
  assert.equal(answers.filter(({ status }) => status === 303).length, 1);
  assert.equal(await users(), before + 1);
  const [{ passkeys, sessions }] = await broker.sql(
    `SELECT (SELECT count(*) FROM passkeys WHERE user_id = u.user_id) AS passkeys,
      (SELECT count(*) FROM sessions WHERE user_id = u.user_id) AS sessions FROM users AS u WHERE name = 'Only'`,
  );
  assert.deepEqual([passkeys, sessions], [1, 1]);
});

test("an invitation is over after exactly seven days", async () => {
  const { link } = await invite(operator);
  const [row] = await broker.sql("SELECT created_at, expires_at, invitation_id FROM invitations ORDER BY rowid DESC LIMIT 1");
  assert.equal(row.expires_at - row.created_at, 7 * 24 * 3600);
  await broker.sql("UPDATE invitations SET expires_at = ? WHERE invitation_id = ?", Math.floor(Date.now() / 1000), row.invitation_id);
  assert.equal((await new Browser(broker).get(link)).status, 404);
});

test("an invitation that was taken back is worth nothing, also to whoever has it open", async () => {
  const { link } = await invite(operator, { name: "Gone" });
  const browser = new Browser(broker);
  const form = (await browser.get(link)).page.form("/invitation");
  const data = await fillWithPasskey(browser, form, new Authenticator());
  const [{ invitation_id: id }] = await broker.sql("SELECT invitation_id FROM invitations WHERE name = 'Gone'");
  const { page } = await operator.get(PAGE);
  const answer = await operator.submit(page.form(`${PAGE}/${id}/revoke`));
  assert.equal(answer.location.search, "?done=revoked");
  assert.equal((await browser.submit(form, { data })).status, 404);
  assert.equal((await operator.submit(page.form(`${PAGE}/${id}/revoke`))).location.search, "?done=late");
});

test("a token is stored hashed, shown once, and its damage is found without the database", async () => {
  const { link } = await invite(operator);
  const token = new URL(link).searchParams.get("token");
  assert.ok(!(await operator.get(PAGE)).text.includes(token));
  assert.equal((await broker.sql("SELECT 1 FROM invitations WHERE token_hash = ?", token)).length, 0);
  assert.equal((await new Browser(broker).get(`${link.slice(0, -1)}_`)).status, 404);
  assert.equal((await new Browser(broker).get("/invitation")).status, 404);
  assert.ok(!broker.logs.join("\n").includes(token));
});

test("a passkey that is somebody's already joins nobody, and leaves nothing behind", async () => {
  const { authenticator } = await join(operator, { name: "First" });
  const { link } = await invite(operator, { name: "Second" });
  const browser = new Browser(broker);
  const form = (await browser.get(link)).page.form("/invitation");
  const copy = new Authenticator();
  const create = copy.create.bind(copy);
  // The same credential id as the first one's.
  copy.create = (options, client) => {
    const made = JSON.parse(create(options, client));
    const old = Buffer.from(made.rawId, "base64url");
    const object = Buffer.from(made.response.attestationObject, "base64url");
    const { id } = authenticator.passkeys[0];
    id.copy(object, object.indexOf(old));
    return JSON.stringify({ ...made, rawId: id.toString("base64url"), response: { ...made.response, attestationObject: object.toString("base64url") } });
  };
  assert.equal((await sendWithPasskey(browser, form, copy)).status, 404);
  assert.equal((await broker.sql("SELECT 1 FROM users WHERE name = 'Second'")).length, 0);
  assert.equal((await new Browser(broker).get(link)).status, 200, "and the invitation is open still");
});

test("only operators invite, see invitations and take them back", async () => {
  const { browser: member } = await join(operator, { name: "Member" });
  assert.equal((await member.get(PAGE)).status, 404);
  const csrf = (await member.get(SECURITY)).page.form(`${SECURITY}/recovery-codes`).value("csrf");
  assert.equal((await member.post(PAGE, new URLSearchParams({ csrf, name: "x", role: "operator" }))).status, 404);
  const { link } = await invite(operator, { name: "Safe" });
  const [{ invitation_id: id }] = await broker.sql("SELECT invitation_id FROM invitations WHERE name = 'Safe'");
  assert.equal((await member.post(`${PAGE}/${id}/revoke`, new URLSearchParams({ csrf }))).status, 404);
  assert.equal((await new Browser(broker).get(link)).status, 200);
  assert.match((await new Browser(broker).get(PAGE)).page.text, /for people who have signed in/);
});

test("inviting somebody takes a recent proof and loses nothing", async () => {
  await anHourLater(broker);
  assert.equal((await invite(operator, { name: "Plain" })).link, undefined);
  const { answer, link } = await invite(operator, { name: "Chief", role: "operator" });
  assert.equal(link, undefined);
  assert.match(answer.page.text, /Confirm that it is you/);
  const fields = answer.page.forms.find(({ options }) => options).data();
  assert.deepEqual([fields.get("kept.name"), fields.get("kept.role"), fields.get("action")], ["Chief", "operator", PAGE]);
});

test("an invitation of somebody who runs the broker no more makes no user, also where it was opened before", async () => {
  for (const end of ["role = 'member'", "removed_at = 1"]) {
    await operator.signIn();
    const { browser: chief } = await join(operator, { name: "Former chief", role: "operator" });
    const { link } = await invite(chief, { name: "Late" });
    const [browser, authenticator] = [new Browser(broker), new Authenticator()];
    const form = (await browser.get(link)).page.form("/invitation");
    const data = await fillWithPasskey(browser, form, authenticator);
    await broker.sql(`UPDATE users SET ${end} WHERE user_id = (SELECT invited_by FROM invitations WHERE name = 'Late' AND accepted_at IS NULL ORDER BY created_at DESC, rowid DESC LIMIT 1)`);
    assert.equal((await browser.submit(form, { data })).status, 404, end);
    assert.equal((await new Browser(broker).get(link)).status, 404, end);
    assert.deepEqual(await broker.sql("SELECT 1 FROM users WHERE name = 'Late'"), [], end);
    await broker.sql("DELETE FROM invitations WHERE name = 'Late'");
  }
});

test("an operator who was invited may invite", async () => {
  await operator.signIn();
  const { browser } = await join(operator, { name: "Second chief", role: "operator" });
  assert.ok((await invite(browser, { name: "Third" })).link);
});

test("a name that shows nothing makes neither an invitation nor a user", async () => {
  const { page } = await operator.get(PAGE);
  const answer = await operator.submit(page.form(PAGE).fill({ name: "\u3164" }));
  assert.equal(answer.status, 400);
  const { link } = await invite(operator);
  const form = (await new Browser(broker).get(link)).page.form("/invitation");
  const browser = new Browser(broker);
  const refused = await browser.post(form.options, form.fill({ name: "\u3164" }).data());
  assert.equal(refused.status, 400);
  assert.match(JSON.parse(refused.text).message, /60 characters/);
});

test("joining in a browser that is signed in ends that session: one browser, one person", async () => {
  const browser = new Browser(broker);
  await browser.signIn();
  const before = browser.cookies.get("__Host-aip-session");
  const { link } = await invite(operator, { name: "Guest" });
  const { page } = await browser.get(link);
  assert.match(page.text, /You are signed in as Operator/);
  assert.equal((await sendWithPasskey(browser, page.form("/invitation"), new Authenticator())).status, 303);
  const old = new Browser(broker);
  old.cookies.set("__Host-aip-session", before);
  assert.match((await old.get(SECURITY)).page.text, /for people who have signed in/);
});
