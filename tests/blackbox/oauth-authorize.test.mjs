import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, DETAILS, REDIRECT_URI, authorizationRequest, redeem } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const native = await browser.register({ name: "Desktop tool", redirectUris: ["http://127.0.0.1/cb", "com.example.tool:/cb"] });

const ask = (change, options = {}) => browser.get(authorizationRequest(broker, app, { ...options, change }).url);
const grantCount = async () => (await broker.sql("SELECT COUNT(*) AS n FROM grants"))[0].n;

/** The error is shown here; the browser is sent nowhere. */
async function staysHere(answer) {
  assert.equal(answer.status, 400, answer.location?.href);
  assert.equal(answer.location, null);
  assert.ok(answer.page.text.length > 0);
  assert.equal(answer.headers.get("refresh"), null);
  assert.ok(!answer.page.all("href").some((href) => /evil|javascript|data:/i.test(href)), "no link to where it must not go");
  assert.ok(!answer.page.forms.some((form) => form.action.pathname === "/authorize"), "nothing to allow");
}

/** The error goes to the app, with state and issuer. */
function goesToTheApp(answer, error, { state, redirectUri = REDIRECT_URI } = {}) {
  assert.ok([302, 303].includes(answer.status), `${answer.status} ${answer.page?.text}`);
  assert.equal(answer.location.origin + answer.location.pathname, redirectUri);
  const parameters = Object.fromEntries(answer.location.searchParams);
  assert.equal(parameters.error, error, answer.location.href);
  assert.equal(parameters.iss, broker.url);
  assert.equal(parameters.code, undefined);
  if (state !== undefined) assert.equal(parameters.state, state);
}

test("a valid request shows who asks, from where, and for what", async () => {
  const { page, form } = await browser.consent(app);
  assert.match(page.text, /Test app/);
  assert.match(page.text, /app\.example/);
  for (const word of ["OpenAI", "Anthropic", "gpt-5-mini", "gpt-5.1", "claude-"]) assert.ok(page.text.includes(word), word);
  assert.deepEqual(form.values("p0.models"), DETAILS[0].models);
  assert.deepEqual([...form.values("p0.capabilities")].sort(), DETAILS[0].capabilities);
  assert.deepEqual(form.values("decision").sort(), ["allow", "deny"]);
});

test("a redirect to this very machine is warned about, one to a site is not", async () => {
  const local = await browser.consent(native, { change: { redirect_uri: "http://127.0.0.1:4711/cb" } });
  const site = await browser.consent(app);
  const warning = /this (device|computer|machine)|localhost|127\.0\.0\.1/i;
  assert.match(local.page.text, warning);
  assert.doesNotMatch(site.page.text, warning);
});

test("RFC 6749 §4.1.2: allowing sends a code, the state and the issuer to the app", async () => {
  const consent = await browser.consent(app);
  const { status, location, headers } = await browser.submit(consent.form.press("decision", "allow"));
  assert.equal(status, 303);
  assert.equal(location.origin + location.pathname, REDIRECT_URI);
  assert.deepEqual([...location.searchParams.keys()].sort(), ["code", "iss", "state"]);
  assert.match(location.searchParams.get("code"), /^aip_ac_[\w-]{49}$/);
  assert.match(headers.get("cache-control"), /no-store/);
  assert.match(headers.get("referrer-policy"), /no-referrer/);
});

test("RFC 6749 §4.1.2.1: denying sends access_denied, and makes no grant", async () => {
  const before = await grantCount();
  const consent = await browser.consent(app);
  goesToTheApp(await browser.submit(consent.form.press("decision", "deny")), "access_denied", { state: consent.state });
  assert.equal(await grantCount(), before);
});

test("RFC 6749 §4.1.1: state and the query of the redirect URI come back unchanged", async () => {
  const withQuery = await browser.register({ redirectUris: ["https://app.example/cb?a=1&b=%20x"] });
  const state = 'a b&c=d"<>é+%';
  const consent = await browser.consent(withQuery, { change: { state } });
  const { location } = await browser.submit(consent.form.press("decision", "deny"));
  assert.equal(location.searchParams.get("state"), state);
  assert.ok(location.href.startsWith("https://app.example/cb?a=1&b=%20x&"), location.href);
});

test("RFC 6749 §3.1: unknown parameters are ignored", async () => {
  assert.equal((await ask({ nonce: "x", ui_locales: "de", display: "popup" })).status, 200);
});

// Errors before the client and its redirect URI are proven.

test("RFC 6749 §4.1.2.1: an unknown client is told here, and never redirected", async () => {
  await staysHere(await ask({ client_id: "nobody" }));
});

test("RFC 6749 §4.1.1: a missing client_id is told here", async () => {
  await staysHere(await ask({ client_id: null }));
});

test("RFC 9700 §2.1: a missing redirect_uri is told here", async () => {
  await staysHere(await ask({ redirect_uri: null }));
});

test("RFC 6749 §3.1: a repeated client_id is told here", async () => {
  await staysHere(await ask({ client_id: [app.client_id, app.client_id] }));
});

test("RFC 6749 §3.1: a repeated redirect_uri is told here", async () => {
  await staysHere(await ask({ redirect_uri: [REDIRECT_URI, "https://evil.example/"] }));
});

const OPEN_REDIRECTS = {
  "another host": "https://evil.example/callback",
  "another scheme": "http://app.example/callback",
  "a subdomain": "https://x.app.example/callback",
  "the host as a prefix": "https://app.example.evil.example/callback",
  "the host as a user name": "https://app.example@evil.example/callback",
  "a port": "https://app.example:8443/callback",
  "a longer path": "https://app.example/callback/evil",
  "a path that goes up": "https://app.example/callback/../evil",
  "a path parameter that goes up": "https://app.example/callback/..;/evil",
  "a trailing slash": "https://app.example/callback/",
  "another case": "https://app.example/Callback",
  "an escaped character": "https://app.example/%63allback",
  "an added query": "https://app.example/callback?next=https://evil.example",
  "an added fragment": "https://app.example/callback#x",
  "a backslash": "https://app.example\\@evil.example/callback",
  "a tab in the middle": "https://app.exa\tmple/callback",
  "a line break at the end": "https://app.example/callback\r\nset-cookie: a=b",
  "no scheme": "//app.example/callback",
  "javascript:": "javascript:alert(1)//https://app.example/callback",
  "data:": "data:text/html,<script>alert(1)</script>",
  nothing: "",
};
for (const [attempt, redirectUri] of Object.entries(OPEN_REDIRECTS)) {
  test(`RFC 9700 §4.1.3: redirect URIs match exactly; refused: ${attempt}`, async () => {
    await staysHere(await ask({ redirect_uri: redirectUri }));
  });
}

test("RFC 8252 §7.3: on the loopback address the port is free", async () => {
  for (const redirectUri of ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:54321/cb"]) {
    const consent = await browser.consent(native, { change: { redirect_uri: redirectUri } });
    const { location } = await browser.submit(consent.form.press("decision", "deny"));
    assert.ok(location.href.startsWith(`${redirectUri}?`), location.href);
  }
});

for (const redirectUri of [
  "http://127.0.0.1:54321/other",
  "http://127.0.0.2:54321/cb",
  "http://localhost:54321/cb",
  "https://127.0.0.1:54321/cb",
  "http://127.0.0.1:54321@evil.example/cb",
  "http://127.0.0.1.evil.example/cb",
]) {
  test(`RFC 8252 §7.3: nothing but the port is free; refused: ${redirectUri}`, async () => {
    await staysHere(await browser.get(authorizationRequest(broker, native, { change: { redirect_uri: redirectUri } }).url));
  });
}

// Errors that travel to the app.

test("RFC 7636 §4.4.1: a missing code_challenge is refused", async () => {
  goesToTheApp(await ask({ code_challenge: null, code_challenge_method: null, state: "s" }), "invalid_request", { state: "s" });
});

test("RFC 9700 §2.1.1: plain PKCE is refused", async () => {
  goesToTheApp(await ask({ code_challenge_method: "plain", state: "s" }), "invalid_request", { state: "s" });
});

test("RFC 7636 §4.3: a missing code_challenge_method means plain, and is refused", async () => {
  goesToTheApp(await ask({ code_challenge_method: null }), "invalid_request");
});

for (const challenge of ["short", "A".repeat(44), `${"A".repeat(42)}=`, `${"A".repeat(42)}+`, ""]) {
  test(`RFC 7636 §4.2: a code_challenge that is no hash is refused: ${JSON.stringify(challenge)}`, async () => {
    goesToTheApp(await ask({ code_challenge: challenge }), "invalid_request");
  });
}

test("RFC 9700 §2.1.2: the implicit grant is refused", async () => {
  goesToTheApp(await ask({ response_type: "token", state: "s" }), "unsupported_response_type", { state: "s" });
});

test("RFC 6749 §4.1.2.1: a missing response_type is refused", async () => {
  goesToTheApp(await ask({ response_type: null }), "invalid_request");
});

test("RFC 6749 §3.1: a repeated parameter is refused", async () => {
  goesToTheApp(await ask({ code_challenge_method: ["S256", "plain"] }), "invalid_request");
});

test("a repeated state is not given back", async () => {
  const { location } = await ask({ state: ["a", "b"] });
  assert.equal(location.searchParams.get("error"), "invalid_request");
  assert.equal(location.searchParams.get("state"), null);
});

const entry = (change) => JSON.stringify([{ ...DETAILS[0], ...change }]);
const REFUSED_DETAILS = {
  "no JSON": "{",
  "not an array": "{}",
  "an empty array": "[]",
  "limits alone": '[{"type":"ai_limits","requests":1}]',
  "an unknown type": entry({ type: "ai_everything" }),
  "an unknown provider": entry({ provider: "acme" }),
  "no provider": entry({ provider: undefined }),
  "no models": entry({ models: [] }),
  "a model that is no text": entry({ models: [1] }),
  "a star in the middle of a model": entry({ models: ["gpt*mini"] }),
  "no capabilities": entry({ capabilities: [] }),
  "an unknown capability": entry({ capabilities: ["chat", "root"] }),
  "an unknown field": entry({ admin: true }),
  "an unknown limit": entry({ limits: { wishes: 3 } }),
  "a limit of zero": entry({ limits: { requests: 0 } }),
  "a negative limit": entry({ limits: { requests: -1 } }),
  "a limit with a fraction": entry({ limits: { requests: 1.5 } }),
  "a limit as text": entry({ limits: { requests: "10" } }),
  "a limit beyond what numbers hold": entry({ limits: { requests: 2 ** 60 } }),
  "a budget as a number": entry({ limits: { budget_usd: 5 } }),
  "a budget of nothing": entry({ limits: { budget_usd: "0.00" } }),
  "a budget for a week": entry({ limits: { budget_usd: "5.00", budget_period: "week" } }),
  "a period without a budget": entry({ limits: { budget_period: "day" } }),
  "a token limit of zero": entry({ limits: { tokens: 0 } }),
  "very deep nesting": `${"[".repeat(4000)}${"]".repeat(4000)}`,
  "more than 16 KiB": JSON.stringify([{ ...DETAILS[0], models: Array.from({ length: 1200 }, (_, i) => `model-${i}-xxxxx`) }]),
};
for (const [what, json] of Object.entries(REFUSED_DETAILS)) {
  test(`RFC 9396 §5: authorization_details are refused, not trimmed: ${what}`, async () => {
    goesToTheApp(await ask({ authorization_details: json, state: "s" }), "invalid_authorization_details", { state: "s" });
  });
}

test("RFC 6749 §3.3: scope alone asks for every model of a provider", async () => {
  const { form } = await browser.consent(app, { scope: "openai:chat anthropic:chat" });
  assert.deepEqual([form.values("p0.models"), form.values("p1.models")], [["*"], ["*"]]);
});

test("RFC 6749 §3.3: whoever asks for nothing in particular asks to chat, with money limited", async () => {
  const { form } = await browser.consent(app, { scope: "" });
  assert.deepEqual([form.values("p0.models"), form.values("p1.models")], [["*"], ["*"]]);
  assert.deepEqual([form.values("p0.capabilities"), form.values("budget_usd")], [["chat"], ["5.00"]]);
});

test("RFC 8707 §2: and at one resource, only there", async () => {
  const { form } = await browser.consent(app, { scope: "", change: { resource: `${broker.url}/anthropic` } });
  assert.deepEqual(form.values("p0.models"), ["*"]);
  assert.ok(!form.names.includes("p1.models"));
});

for (const scope of ["admin", "openai:root", "acme:chat", "openai:chat:x", "openid"]) {
  test(`RFC 6749 §3.3: an unknown scope is refused: ${JSON.stringify(scope)}`, async () => {
    goesToTheApp(await ask({ scope, authorization_details: null }), "invalid_scope");
  });
}

test("a request that is too long to be one is refused", async () => {
  const { status, location } = await ask({ state: "x".repeat(60_000) });
  assert.ok(status >= 400 && status < 500, String(status));
  assert.equal(location, null);
});

// The consent post.

test("RFC 6749 §10.12: a forged consent post, without the CSRF token, is refused", async () => {
  const before = await grantCount();
  const { form } = await browser.consent(app);
  for (const csrf of [null, "", "AAAA"]) {
    const data = form.press("decision", "allow").data();
    data.delete("csrf");
    if (csrf !== null) data.set("csrf", csrf);
    const { status, location } = await browser.submit(form, { data });
    assert.deepEqual([status, location], [403, null]);
  }
  assert.equal(await grantCount(), before);
});

for (const origin of ["https://evil.example", "https://app.example", "null"]) {
  test(`RFC 6749 §10.12: a consent post from the origin ${origin} is refused`, async () => {
    const before = await grantCount();
    const { form } = await browser.consent(app);
    const answer = await browser.submit(form.press("decision", "allow"), { headers: { origin, "sec-fetch-site": "cross-site" } });
    assert.deepEqual([answer.status, answer.location], [403, null]);
    assert.equal(await grantCount(), before);
  });
}

test("another session can't answer, neither with its own CSRF token nor with the first one's", async () => {
  const before = await grantCount();
  const mine = await browser.consent(app);
  const stranger = new Browser(broker);
  await stranger.signIn();
  const theirs = await stranger.consent(app);
  for (const csrf of [theirs.form.value("csrf"), mine.form.value("csrf")]) {
    const data = mine.form.press("decision", "allow").data();
    data.set("csrf", csrf);
    const { status, location } = await stranger.submit(mine.form, { data });
    assert.ok(status >= 400 && status < 500, String(status));
    assert.equal(location, null);
  }
  assert.equal(await grantCount(), before);
});

test("without a session a consent post is refused", async () => {
  const before = await grantCount();
  const { form } = await browser.consent(app);
  const answer = await new Browser(broker).submit(form.press("decision", "allow"));
  assert.ok(answer.status >= 400 || answer.location?.origin === broker.url);
  assert.equal(await grantCount(), before);
});

test("a double click makes one grant and one code", async () => {
  const before = await grantCount();
  const { form } = await browser.consent(app);
  form.press("decision", "allow");
  const answers = await Promise.all(Array.from({ length: 5 }, () => browser.submit(form)));
  const codes = answers.map(({ location }) => location?.searchParams.get("code")).filter(Boolean);
  assert.ok(codes.length >= 1);
  assert.equal(new Set(codes).size, 1);
  assert.equal(await grantCount(), before + 1);
});

test("RFC 6749 §10.12: a replayed consent post makes no second grant and no second use of the code", async () => {
  const consent = await browser.consent(app);
  const first = await browser.submit(consent.form.press("decision", "allow"));
  const code = first.location.searchParams.get("code");
  assert.equal((await redeem(broker, app, { code, verifier: consent.verifier })).status, 200);
  const before = await grantCount();
  const replay = await browser.submit(consent.form);
  assert.equal(await grantCount(), before);
  const again = replay.location?.searchParams.get("code");
  if (again) assert.equal((await redeem(broker, app, { code: again, verifier: consent.verifier })).body.error, "invalid_grant");
});

test("an allowed request is not answered again with a code that nobody can redeem any more", async () => {
  const before = await grantCount();
  const consent = await browser.consent(app);
  assert.equal((await browser.submit(consent.form.press("decision", "allow"))).status, 303);
  await broker.sql("UPDATE authorization_codes SET expires_at = ? WHERE redeemed_at IS NULL", Math.floor(Date.now() / 1000));
  const { status, location, page } = await browser.submit(consent.form);
  assert.deepEqual([status, location], [400, null]);
  assert.match(page.text, /no longer open/);
  assert.equal(await grantCount(), before + 1);
});

test("what was denied can not be allowed afterwards", async () => {
  const before = await grantCount();
  const consent = await browser.consent(app);
  await browser.submit(consent.form.press("decision", "deny"));
  const { location } = await browser.submit(consent.form.press("decision", "allow"));
  assert.equal(location?.searchParams.get("code") ?? null, null);
  assert.equal(await grantCount(), before);
});

test("the request can not be changed between showing and allowing", async () => {
  const consent = await browser.consent(app);
  const data = consent.form.press("decision", "allow").data();
  const forged = {
    client_id: native.client_id,
    redirect_uri: "https://evil.example/",
    state: "forged",
    code_challenge: "A".repeat(43),
  };
  for (const [name, value] of Object.entries(forged)) data.append(name, value);
  const { location } = await browser.submit(consent.form, { data });
  assert.ok(!location || (location.href.startsWith(REDIRECT_URI) && location.searchParams.get("state") === consent.state));
  if (location)
    assert.equal(
      (await redeem(broker, app, { code: location.searchParams.get("code"), verifier: consent.verifier })).status,
      200,
    );
});

test("a consent page that was left open too long is refused", async () => {
  const before = await grantCount();
  const { form } = await browser.consent(app);
  await broker.sql("UPDATE authorization_requests SET expires_at = ? WHERE decided_at IS NULL", Math.floor(Date.now() / 1000));
  const { status, location } = await browser.submit(form.press("decision", "allow"));
  assert.deepEqual([status, location], [400, null]);
  assert.equal(await grantCount(), before);
});

test("a made-up handle is refused", async () => {
  const { form } = await browser.consent(app);
  for (const request of ["", "x", `aip_rq_${"A".repeat(49)}`]) {
    const data = form.press("decision", "allow").data();
    data.set("request", request);
    const { status, location } = await browser.submit(form, { data });
    assert.deepEqual([status, location], [400, null]);
  }
});

test("RFC 9700 §4.16: the consent page can't be framed", async () => {
  const { headers } = await browser.consent(app);
  assert.match(headers.get("content-security-policy"), /frame-ancestors 'none'/);
  assert.equal(headers.get("x-frame-options"), "DENY");
});

test("handles and codes are stored hashed", async () => {
  const consent = await browser.consent(app);
  const handle = consent.form.value("request");
  const { location } = await browser.submit(consent.form.press("decision", "allow"));
  const rows = JSON.stringify([
    await broker.sql("SELECT * FROM authorization_requests"),
    await broker.sql("SELECT * FROM authorization_codes"),
  ]);
  assert.ok(!rows.includes(handle));
  assert.ok(!rows.includes(location.searchParams.get("code")));
});
