import assert from "node:assert/strict";
import { after, test } from "node:test";
import { shippedLimits, startBroker } from "../support/broker.mjs";
import { Browser, chat } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const LIMITS = { LIMIT_CALLS: 6, LIMIT_STARTS: 4, LIMIT_GUESSES: 3 };
const { broker, browser, app } = await startWorld({ limits: LIMITS });

const FORM = "application/x-www-form-urlencoded";
const JSON_TYPE = "application/json";
/** Everything that is counted: how it is asked, by which limit, and who reads the answer. */
const COUNTED = [
  ["POST", "/token", "LIMIT_CALLS", "programs"],
  ["POST", "/revoke", "LIMIT_CALLS", "programs"],
  ["POST", "/par", "LIMIT_CALLS", "programs"],
  ["POST", "/introspect", "LIMIT_CALLS", "programs"],
  ["GET", "/register/app_0000000000000000000000", "LIMIT_CALLS", "programs"],
  ["POST", "/device_authorization", "LIMIT_STARTS", "programs"],
  ["GET", "/authorize", "LIMIT_STARTS", "people"],
  ["POST", "/sign-in", "LIMIT_STARTS", "people"],
  ["POST", "/device", "LIMIT_GUESSES", "people"],
  ["POST", "/register", "LIMIT_GUESSES", "programs"],
];

/** A stranger's request from an address; `null`: as on a developer's machine, where the platform names none. */
async function knock(method, path, address, { at = broker, headers = {} } = {}) {
  const response = await fetch(new URL(path, at.url), {
    method,
    redirect: "manual",
    headers: {
      accept: "text/html",
      origin: at.url,
      ...(method === "POST" && { "content-type": path === "/register" ? JSON_TYPE : FORM }),
      ...(address && { "cf-connecting-ip": address }),
      ...headers,
    },
    body: method === "POST" ? "" : undefined,
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The local platform counts by the minute of the clock; what is counted together has to fall into one. */
async function withinOneMinute(seconds = 8) {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < seconds * 1000) await new Promise((done) => setTimeout(done, left + 50));
}

let number = 0;
const someAddress = () => `198.51.100.${(number += 1)}`;

/** Which of them this build serves. */
const isServed = async (method, path) => (await knock(method, path, someAddress())).status !== 404 || path.startsWith("/register/");

for (const [method, path, binding, whom] of COUNTED) {
  test(`${method} ${path} from one address is refused beyond ${binding}, and from another it isn't`, async (t) => {
    const parent = path.startsWith("/register/") ? ["POST", "/register"] : [method, path];
    if (!(await isServed(...parent))) return t.skip("this build does not serve it");
    await withinOneMinute();
    const address = someAddress();
    for (let count = 0; count < LIMITS[binding]; count += 1) {
      const { status } = await knock(method, path, address);
      assert.notEqual(status, 429, `request ${count + 1}`);
      assert.ok(status < 500, String(status));
    }
    const refused = await knock(method, path, address);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("retry-after"), "60");
    assert.match(refused.headers.get("cache-control"), /no-store/);
    if (whom === "programs") {
      assert.equal(JSON.parse(refused.text).error, "temporarily_unavailable");
      assert.equal(refused.headers.get("access-control-allow-origin"), "*", "a browser app can read why");
    } else {
      assert.match(refused.headers.get("content-type"), /^text\/html/);
      assert.match(refused.text, /Wait a minute, then try again/);
    }
    assert.notEqual((await knock(method, path, someAddress())).status, 429);
  });
}

test("endpoints of one limit are counted together", async () => {
  await withinOneMinute();
  const address = someAddress();
  for (let count = 0; count < LIMITS.LIMIT_CALLS; count += 1) await knock("POST", count % 2 ? "/token" : "/revoke", address);
  assert.equal((await knock("POST", "/token", address)).status, 429);
  assert.equal((await knock("POST", "/revoke", address)).status, 429);
});

test("addresses of one IPv6 network are counted together, and the next network for itself", async () => {
  await withinOneMinute();
  for (let count = 0; count < LIMITS.LIMIT_STARTS; count += 1) await knock("POST", "/sign-in", `2001:db8:0:1::${count + 1}`);
  assert.equal((await knock("POST", "/sign-in", "2001:db8:0:1:ffff::1")).status, 429);
  assert.notEqual((await knock("POST", "/sign-in", "2001:db8:0:2::1")).status, 429);
});

test("what a client claims about its address changes nothing", async () => {
  await withinOneMinute();
  const address = someAddress();
  const claims = (count) => ({ headers: { "x-forwarded-for": `203.0.113.${count}`, "x-real-ip": `203.0.113.${count}` } });
  for (let count = 0; count < LIMITS.LIMIT_STARTS; count += 1) await knock("POST", "/sign-in", address, claims(count));
  assert.equal((await knock("POST", "/sign-in", address, claims(99))).status, 429);
});

test("somebody signed in may open requests of apps as often as they like", async () => {
  await withinOneMinute();
  for (let count = 0; count <= LIMITS.LIMIT_STARTS; count += 1) await browser.consent(app);
});

test("pages, documents, preflights and AI calls are not counted", async () => {
  await withinOneMinute();
  const { access_token: token } = await browser.grant(app);
  const headers = { origin: "https://app.example", "access-control-request-method": "POST" };
  for (let count = 0; count <= LIMITS.LIMIT_CALLS; count += 1) {
    for (const [method, path] of [["GET", "/"], ["GET", "/sign-in"], ["GET", "/developers"], ["GET", "/jwks.json"], ["GET", "/health"]]) {
      assert.equal((await knock(method, path, "198.51.100.200")).status, 200, path);
    }
    assert.equal((await knock("OPTIONS", "/token", "198.51.100.200", { headers })).status, 204);
    assert.equal((await chat(broker, token)).status, 200);
  }
});

test("without a binding its endpoints are closed, the rest works, and the log names it", async () => {
  for (const [binding, path, method = "POST"] of [["LIMIT_CALLS", "/token"], ["LIMIT_STARTS", "/sign-in"], ["LIMIT_STARTS", "/authorize", "GET"]]) {
    const closed = await startBroker({ limits: { [binding]: null } });
    try {
      const { status, headers, text } = await knock(method, path, null, { at: closed });
      assert.equal(status, 503, text);
      assert.ok(headers.get("retry-after"));
      assert.ok(!text.includes(binding), "the wire does not say what is missing");
      assert.ok(closed.logs.some((line) => line.includes(binding)), closed.logs.join("\n"));
      assert.equal((await knock("GET", "/health", null, { at: closed })).status, 200);
    } finally {
      await closed.close();
    }
  }
});

test("the numbers that are shipped are those of the documentation", async () => {
  assert.deepEqual(await shippedLimits(), {
    LIMIT_CALLS: { limit: 1200, period: 60 },
    LIMIT_STARTS: { limit: 60, period: 60 },
    LIMIT_GUESSES: { limit: 20, period: 60 },
  });
});

test("a person who signs in, and an app that works, stay far below what is shipped", async () => {
  const shipped = Object.fromEntries(Object.entries(await shippedLimits()).map(([name, { limit }]) => [name, limit]));
  const usual = await startBroker({ limits: shipped });
  after(() => usual.close());
  const person = new Browser(usual);
  await person.signIn();
  const own = await person.register();
  for (let count = 0; count < 10; count += 1) await person.grant(own);
});
