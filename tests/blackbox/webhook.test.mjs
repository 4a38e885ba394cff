// An operator's program is told what happens to grants: signed by the scheme of Standard Webhooks, tried again, given up.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { after, test } from "node:test";
import { anHourLater } from "../support/authenticator.mjs";
import { ROOT, startBroker } from "../support/broker.mjs";
import { Browser, DETAILS, chat } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app } = await startWorld({ inside: true });
const PAGE = "/settings/webhook";
const now = () => Math.floor(broker.now() / 1000);

/** What came, and how it is answered: a status, or a function. */
const received = [];
let answers = 200;
const receiver = http.createServer(async (request, response) => {
  let body = "";
  for await (const piece of request) body += piece;
  received.push({ method: request.method, path: request.url, headers: request.headers, body });
  if (typeof answers === "function") return answers(response);
  response.writeHead(answers).end("x".repeat(100_000));
});
receiver.listen(0, "localhost");
await once(receiver, "listening");
after(() => {
  receiver.closeAllConnections();
  receiver.close();
});
const URL_OF_RECEIVER = `http://localhost:${receiver.address().port}/hook`;

const deliveries = () => broker.sql("SELECT * FROM webhook_deliveries ORDER BY delivery_id");
const last = async () => (await deliveries()).at(-1);
const body = ({ body: text }) => JSON.parse(text);
const comes = (type, grant) =>
  until(
    () => received.find((one) => body(one).type === type && (!grant || body(one).data.grant_id === grant)),
    `${type} comes`,
  );

/** The signature, by code of this test's own. */
function isSigned({ headers, body: text }, secret) {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signed = createHmac("sha256", key).update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${text}`);
  return headers["webhook-signature"] === `v1,${signed.digest("base64")}`;
}

const form = async (who, action) => (await who.get(PAGE)).page.form(action);

async function turnOn(url = URL_OF_RECEIVER) {
  const address = await form(browser, PAGE);
  address.fill({ url });
  return browser.submit(address);
}

const press = async (what) => browser.submit(await form(browser, `${PAGE}/${what}`));

/** What waits is tried now, as if its time had come. */
async function hurry() {
  await broker.sql("UPDATE webhook_deliveries SET next_attempt_at = ? WHERE next_attempt_at IS NOT NULL", now());
  await broker.runScheduled();
}

let secret;

test("before there is one nothing waits to be delivered", async () => {
  const { grant_id: id } = await browser.grant(app);
  await browser.revoke(id);
  assert.deepEqual(await deliveries(), []);
});

test("its secret is shown once, and stands nowhere in the store", async () => {
  const answer = await turnOn();
  assert.equal(answer.status, 201, answer.page?.text);
  [secret] = /whsec_[A-Za-z0-9+/]{43}=/.exec(answer.page.text) ?? [];
  assert.ok(secret, answer.page.text);
  const { text } = await browser.get(PAGE);
  assert.ok(!text.includes("whsec_"));
  const raw = Buffer.from(secret.slice(6), "base64");
  for (const file of await broker.stateFiles()) {
    const bytes = await readFile(file);
    assert.ok(!bytes.includes(secret.slice(6)) && !bytes.includes(raw), file);
  }
});

test("a test comes within seconds, signed, without a credential", async () => {
  const before = Date.now();
  const answer = await press("test");
  assert.equal(answer.location.search, "?tested");
  const ping = await comes("ping");
  assert.ok(Date.now() - before < 5000, `${Date.now() - before} ms`);
  assert.deepEqual([ping.method, ping.path, ping.headers["content-type"]], ["POST", "/hook", "application/json"]);
  assert.ok(isSigned(ping, secret));
  assert.ok(Math.abs(Number(ping.headers["webhook-timestamp"]) - now()) < 10);
  for (const name of ["authorization", "cookie"]) assert.equal(ping.headers[name], undefined);
  const said = body(ping);
  assert.deepEqual(Object.keys(said), ["type", "timestamp", "data"]);
  assert.match(said.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(said.data, {});
  await until(async () => (await last()).delivered_at !== null, "it is noted");
  const { page } = await browser.get(PAGE);
  assert.match(page.text, /ping delivered/);
  assert.ok(page.text.includes(ping.headers["webhook-id"]));
});

test("the snippet of docs/webhooks.md checks it", async () => {
  const text = await readFile(path.join(ROOT, "docs/webhooks.md"), "utf8");
  const [, snippet] = /```js\n([\s\S]*?)```/.exec(text);
  const file = path.join(broker.stateDir, "verify.mjs");
  await writeFile(file, snippet);
  const { verify } = await import(file);
  const [ping] = received;
  assert.equal(verify(secret, ping.headers, ping.body).type, "ping");
  assert.throws(() => verify(secret, ping.headers, `${ping.body} `));
  assert.throws(() => verify(secret, { ...ping.headers, "webhook-id": "msg_other" }, ping.body));
  assert.throws(() => verify(secret, { ...ping.headers, "webhook-timestamp": String(now() - 600) }, ping.body));
  assert.throws(() => verify(`whsec_${Buffer.alloc(32).toString("base64")}`, ping.headers, ping.body));
});

test("a limit that is reached is told, with whose it is", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app, { details: [{ ...DETAILS[0], limits: { requests: 2 } }] });
  assert.equal((await chat(broker, token)).status, 200);
  const told = await comes("grant.limit_reached", id);
  assert.ok(isSigned(told, secret));
  const { user_id: user, ...data } = body(told).data;
  assert.match(user, /^user_/);
  assert.deepEqual(data, {
    grant_id: id,
    client_id: app.client_id,
    app: "Test app",
    limit: "requests",
    scope: "permission",
    provider: "openai",
    period: "total",
    threshold: 50,
    allowed: 2,
    used: 1,
  });
});

test("a grant that was taken back, or ends soon, is told", async () => {
  const { grant_id: id } = await browser.grant(app);
  const { grant_id: ending } = await browser.grant(app);
  await browser.revoke(id);
  assert.deepEqual(Object.keys(body(await comes("grant.revoked", id)).data), ["grant_id", "client_id", "app", "user_id"]);
  const ends = now() + 3600;
  await broker.sql("UPDATE grants SET created_at = 0, expires_at = ? WHERE grant_id = ?", ends, ending);
  await broker.runScheduled();
  const { data } = body(await comes("grant.expiring", ending));
  assert.deepEqual([data.days_left, data.expires_at], [1, new Date(ends * 1000).toISOString().replace(".000", "")]);
});

test("what was answered with 500 comes again under its id, after a minute at the earliest, until it is answered with 2xx", async () => {
  received.length = 0;
  answers = 500;
  await press("test");
  const first = await comes("ping");
  const waiting = await until(async () => {
    const row = await last();
    return row.attempts === 1 && row;
  }, "it is noted");
  assert.deepEqual([waiting.status, waiting.error], [500, "status"]);
  assert.ok(Math.abs(waiting.next_attempt_at - (now() + 60)) <= 3);
  assert.match((await browser.get(PAGE)).page.text, /1 try, again in .* It answered 500\./);
  await broker.runScheduled();
  await broker.advance(50);
  assert.equal(received.length, 1, "not before its time");
  answers = 204;
  await hurry();
  await until(async () => (await last()).delivered_at !== null, "it is delivered");
  assert.equal(received.length, 2);
  assert.equal(received[1].headers["webhook-id"], first.headers["webhook-id"]);
  assert.equal(received[1].body, first.body);
  assert.ok(isSigned(received[1], secret));
});

test("after seven tries it is given up and shown", async () => {
  answers = 503;
  received.length = 0;
  await press("test");
  for (let tries = 1; tries <= 7; tries += 1) {
    await until(async () => (await last()).attempts === tries, `try ${tries}`);
    await hurry();
  }
  await broker.advance(120);
  const row = await last();
  assert.deepEqual([row.attempts, row.next_attempt_at, row.delivered_at, received.length], [7, null, null, 7]);
  assert.match((await browser.get(PAGE)).page.text, /given up after 7 tries · It answered 503\./);
});

test("a delivery that can not be read is given up and said; those beside it go out", async () => {
  answers = 200;
  const { grant_id: id } = await browser.grant(app);
  const notice = async (cap, allowed) => {
    await broker.sql("INSERT INTO notices (grant_id, user_id, kind, cap, allowed, threshold, at) SELECT grant_id, user_id, 'limit', ?, ?, 50, ? FROM grants WHERE grant_id = ?", cap, allowed, now(), id);
    return (await last()).delivery_id;
  };
  const wrong = [await notice("nonsense", 10), await notice("requests", -1)];
  received.length = 0;
  await press("test");
  await hurry();
  await comes("ping");
  const rows = await until(async () => {
    const rows = (await deliveries()).filter(({ delivery_id: one }) => wrong.includes(one));
    return rows.every(({ next_attempt_at: next }) => next === null) && rows;
  }, "they are given up");
  assert.deepEqual(rows.map(({ error, attempts }) => [error, attempts]), [["unreadable", 1], ["unreadable", 1]]);
  assert.match((await browser.get(PAGE)).page.text, /What there was to tell could not be read\./);
  await broker.sql("DELETE FROM notices WHERE grant_id = ?", id);
});

test("a redirect is not followed", async () => {
  received.length = 0;
  answers = (response) => response.writeHead(307, { location: `${URL_OF_RECEIVER}/elsewhere` }).end();
  await press("test");
  const row = await until(async () => {
    const row = await last();
    return row.attempts === 1 && row;
  }, "it is noted");
  assert.deepEqual([row.status, row.error], [307, "redirected"]);
  assert.deepEqual(
    received.map((one) => one.path),
    ["/hook"],
  );
});

test("a receiver that never answers is hung up on after ten seconds, and one that hangs up is tried again", async () => {
  answers = (response) => response.destroy();
  await press("test");
  await until(async () => (await last()).error === "unreachable", "it is noted");
  answers = () => {};
  const began = Date.now();
  await press("test");
  await until(async () => (await last()).error === "late", "it is noted", { seconds: 20 });
  assert.ok(Date.now() - began >= 9500);
  answers = 200;
});

test("a new secret signs from then on, and the former one nothing", async () => {
  received.length = 0;
  const answer = await press("secret");
  const [renewed] = /whsec_[A-Za-z0-9+/]{43}=/.exec(answer.page.text) ?? [];
  assert.ok(renewed && renewed !== secret);
  await press("test");
  const ping = await comes("ping");
  assert.ok(isSigned(ping, renewed) && !isSigned(ping, secret));
});

test("addresses that nobody should be sent to are refused, and nothing is changed", async () => {
  for (const url of ["http://hooks.example/", "ftp://localhost/", "https://10.0.0.1/", "https://localhost/", "https://router.lan/", "x", ""]) {
    const { status, page } = await turnOn(url);
    assert.equal(status, 400, url);
    assert.ok(page.all("aria-invalid").includes("true"), url);
  }
  assert.equal((await broker.sql("SELECT url FROM webhooks"))[0].url, URL_OF_RECEIVER);
});

test("another address and another secret take a recent proof, and nothing is changed without it", async () => {
  const row = async () => (await broker.sql("SELECT url, secret_name FROM webhooks"))[0];
  const before = await row();
  await anHourLater(broker);
  for (const answer of [await turnOn(`${URL_OF_RECEIVER}/elsewhere`), await press("secret")]) {
    assert.equal(answer.status, 200);
    assert.match(answer.page.text, /Confirm that it is you/);
  }
  assert.deepEqual(await row(), before);
  await browser.signIn();
});

test("only an operator sees it or changes it, and only from a page of the broker", async () => {
  const other = await browser.somebodyElse();
  assert.equal((await other.get(PAGE)).status, 404);
  const csrf = (await other.get("/apps")).page.form("/apps").value("csrf");
  for (const target of [PAGE, `${PAGE}/secret`, `${PAGE}/test`, `${PAGE}/off`]) {
    const data = new URLSearchParams({ csrf, url: "https://evil.example/" });
    assert.equal((await other.post(target, data)).status, 404, target);
    const own = await form(browser, target);
    assert.equal((await browser.submit(own, { headers: { origin: "https://evil.example" } })).status, 403, target);
    const forged = own.data();
    forged.set("csrf", csrf);
    assert.equal((await browser.submit(own, { data: forged })).status, 403, target);
    assert.equal((await new Browser(broker).post(target, data)).status, 401, target);
  }
  assert.equal((await broker.sql("SELECT url FROM webhooks"))[0].url, URL_OF_RECEIVER);
});

test("what a person changes about it is in the audit log", async () => {
  const events = (await broker.sql("SELECT event FROM audit WHERE event LIKE 'webhook%' ORDER BY audit_id")).map(({ event }) => event);
  assert.deepEqual([...new Set(events)], ["webhook_set", "webhook_secret_renewed"]);
  const subjects = await broker.sql("SELECT DISTINCT subject FROM audit WHERE event LIKE 'webhook%'");
  const { origin } = new URL(URL_OF_RECEIVER);
  assert.ok(subjects.some(({ subject }) => subject === origin));
  // What follows may be a secret of the receiver's.
  for (const { subject } of subjects) assert.equal(subject, new URL(subject).origin);
});

test("turned off, nothing is sent any more, nor what waited", async () => {
  answers = 500;
  await press("test");
  await until(async () => (await last()).attempts === 1, "it waits");
  const { location } = await press("off");
  assert.equal(location.search, "?off");
  received.length = 0;
  await hurry();
  const { grant_id: id } = await browser.grant(app);
  await browser.revoke(id);
  await broker.advance(60);
  assert.deepEqual(received, []);
  const row = await last();
  assert.deepEqual([row.next_attempt_at, row.error], [null, "turned_off"]);
  assert.equal((await browser.get(PAGE)).page.forms.filter((one) => one.action.pathname.startsWith(`${PAGE}/`)).length, 0);
});

test("a broker that is not on this machine sends nothing to it, whatever stands in its store", async () => {
  const elsewhere = await startBroker({ env: { ISSUER: undefined } });
  try {
    const operator = new Browser(elsewhere);
    await operator.signIn();
    const address = (await operator.get(PAGE)).page.form(PAGE);
    address.fill({ url: URL_OF_RECEIVER });
    assert.equal((await operator.submit(address)).status, 400);
    received.length = 0;
    await elsewhere.sql("INSERT INTO webhooks VALUES (1, ?, 'name', 0)", URL_OF_RECEIVER);
    const page = (await operator.get(PAGE)).page;
    await operator.submit(page.form(`${PAGE}/test`));
    const row = await until(async () => {
      const [row] = await elsewhere.sql("SELECT * FROM webhook_deliveries WHERE attempts = 1");
      return row;
    }, "it is noted");
    assert.deepEqual([row.error, received.length], ["address", 0]);
  } finally {
    await elsewhere.close();
  }
});
