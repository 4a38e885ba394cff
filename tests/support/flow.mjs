// The people and programs of the story, as short as the story: a person's browser, an app, and what goes on between them.

import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import http from "node:http";
import { base64url } from "./broker.mjs";
import { Page } from "./html.mjs";

export const REDIRECT_URI = "https://app.example/callback";

/** What most tests ask for. */
export const DETAILS = [
  { type: "ai_access", provider: "openai", models: ["gpt-5-mini", "gpt-5.1*"], capabilities: ["chat", "embeddings"] },
  { type: "ai_access", provider: "anthropic", models: ["claude-*"], capabilities: ["chat"] },
];

/** A one-time sign-in link, as the operator's script makes it. */
export function signInToken(broker, { expiresInSeconds = 600, key = broker.secrets.SIGN_IN_KEY, payload = {} } = {}) {
  const exp = Math.floor(Date.now() / 1000) + expiresInSeconds;
  const text = base64url(JSON.stringify({ n: base64url(randomBytes(16)), exp, ...payload }));
  const mac = createHmac("sha256", Buffer.from(key, "base64url")).update(`aipassport sign-in link v1\n${text}`).digest();
  return `aip_sl_${text}.${base64url(mac)}`;
}

export const signInLink = (broker, options) => `${broker.url}/sign-in?token=${signInToken(broker, options)}`;

/** A browser without scripts: keeps cookies by their rules, sends `Origin`, follows no redirect by itself. */
export class Browser {
  cookies = new Map();

  constructor(broker) {
    this.broker = broker;
  }

  async get(target, headers = {}) {
    return this.#request(target, { headers: { accept: "text/html", "sec-fetch-site": "none", ...headers } });
  }

  /** Submits a form; `headers` and `data` let a test do what no honest browser would. */
  async submit(form, { headers = {}, data = form.data() } = {}) {
    assert.equal(form.method, "POST");
    return this.post(form.action, data, headers);
  }

  async post(target, data, headers = {}) {
    const own = { accept: "text/html", origin: this.broker.url, "sec-fetch-site": "same-origin" };
    const sent = Object.entries({ ...own, ...headers }).filter(([, value]) => value !== undefined);
    return this.#request(target, { method: "POST", body: data, headers: Object.fromEntries(sent) });
  }

  /** GET, and whatever it redirects to on the broker itself. */
  async follow(target) {
    let answer = await this.get(target);
    for (let hops = 0; answer.location && hops < 5; hops += 1) {
      assert.equal(answer.location.origin, this.broker.url);
      answer = await this.get(answer.location);
    }
    return answer;
  }

  async #request(target, init) {
    const url = new URL(target, this.broker.url);
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      ...init,
      headers: cookie ? { ...init.headers, cookie } : init.headers,
      redirect: "manual",
    });
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    const location = response.headers.get("location");
    const text = await response.text();
    const { status, headers } = response;
    const isPage = headers.get("content-type")?.startsWith("text/html");
    return {
      status,
      headers,
      text,
      page: isPage ? new Page(text, url) : null,
      location: location ? new URL(location, url) : null,
    };
  }

  #keep(line) {
    const [pair, ...attributes] = line.split(";").map((part) => part.trim());
    const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
    const lower = attributes.map((text) => text.toLowerCase());
    // RFC 6265bis § 4.1.3.2; a browser ignores the cookie otherwise.
    if (name.startsWith("__Host-")) {
      assert.ok(lower.includes("secure") && lower.includes("path=/") && !lower.some((text) => text.startsWith("domain")), line);
    }
    const maxAge = lower.find((text) => text.startsWith("max-age="))?.slice("max-age=".length);
    if (value === "" || (maxAge !== undefined && Number(maxAge) <= 0)) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }

  async signIn() {
    const { page } = await this.get(signInLink(this.broker));
    const answer = await this.submit(page.form("/sign-in"));
    assert.equal(answer.status, 303, answer.page?.text);
    return answer;
  }

  /** Another user of the same broker, signed in. There is no page yet that makes one. */
  async somebodyElse(id = "user_other") {
    const body = `aip_se_${base64url(randomBytes(32))}`;
    const session = body + base64url(createHash("sha256").update(body).digest().subarray(0, 4));
    const hash = createHash("sha256").update(session).digest("hex");
    const now = Math.floor(Date.now() / 1000);
    await this.broker.sql("INSERT INTO users (user_id, name, role, created_at) VALUES (?, 'Other', 'member', ?)", id, now);
    await this.broker.sql(
      "INSERT INTO sessions (token_hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)",
      hash,
      id,
      now,
      now + 3600,
    );
    const other = new Browser(this.broker);
    other.cookies.set("__Host-aip-session", session);
    return other;
  }

  /** Registers an app on the page for it. */
  async register({ name = "Test app", homePage = "https://app.example/", redirectUris = [REDIRECT_URI], type = "public" } = {}) {
    const { page } = await this.get("/apps");
    const form = page.form("/apps");
    const before = new Set(clientIds(page));
    const kind = form.names.find((field) => form.values(field).includes("confidential")) ?? "client_type";
    form.fill({ name, home_page: homePage, redirect_uris: redirectUris.join("\n"), [kind]: type });
    let answer = await this.submit(form);
    const [secret] = /aip_cs_[\w-]+/.exec(answer.text) ?? [];
    if (answer.location) answer = await this.follow(answer.location);
    assert.ok(answer.status === 200 || answer.status === 201, `${answer.status}: ${answer.page?.text}`);
    const { page: list } = await this.get("/apps");
    const added = clientIds(list).filter((id) => !before.has(id));
    assert.equal(added.length, 1, "the app is on the list");
    return { client_id: added[0], client_secret: secret, redirect_uri: redirectUris[0], answer };
  }

  /**
   * What the app's link shows: the consent page, with its form. Most tests want grants beside each other, so that what the app has
   * already stays unless they say `replace`.
   */
  async consent(app, { replace = false, ...options } = {}) {
    const request = authorizationRequest(this.broker, app, options);
    const answer = await this.get(request.url);
    assert.equal(answer.status, 200, answer.page?.text ?? answer.location?.href);
    const form = answer.page.form("/authorize");
    if (!replace) form.values("replace").forEach((id) => form.untick("replace", id));
    return { ...request, ...answer, form };
  }

  /**
   * From the app's link to its access token. `edit` is what the person changes on the page. Most tests are not about money, so that
   * it is not limited unless they say so.
   */
  async grant(app, options) {
    const { code, verifier } = await this.code(app, options);
    const { body } = await redeem(this.broker, app, { code, verifier });
    assert.ok(body.access_token, JSON.stringify(body));
    return { ...body, code, verifier, grant_id: claims(body.access_token).grant_id };
  }

  /** The same, as far as the code that waits to be redeemed. */
  async code(app, { edit = () => {}, money = false, ...options } = {}) {
    const consent = await this.consent(app, options);
    if (!money && consent.form.names.includes("no_budget")) consent.form.tick("no_budget");
    edit(consent.form);
    const { status, location, page } = await this.submit(consent.form.press("decision", "allow"));
    assert.equal(status, 303, page?.text);
    const { code, state, iss } = Object.fromEntries(location.searchParams);
    assert.equal(state, consent.state);
    assert.equal(iss, this.broker.url);
    return { code, verifier: consent.verifier };
  }

  /** Takes a grant back on `/grants`. */
  async revoke(grantId) {
    const { page } = await this.get("/grants");
    return this.submit(page.form(`/grants/${grantId}/revoke`));
  }
}

const clientIds = (page) => page.forms.map((form) => /^\/apps\/([^/]+)\/delete$/.exec(form.action.pathname)?.[1]).filter(Boolean);

/** The link of "Connect AI". `change` overwrites parameters; `null` leaves one out. */
export function authorizationRequest(broker, app, { details, scope, change = {} } = {}) {
  const verifier = base64url(randomBytes(32));
  const state = base64url(randomBytes(12));
  const parameters = {
    response_type: "code",
    client_id: app.client_id,
    redirect_uri: app.redirect_uri,
    state,
    code_challenge: challengeOf(verifier),
    code_challenge_method: "S256",
    ...(scope === undefined ? { authorization_details: JSON.stringify(details ?? DETAILS) } : { scope }),
    ...change,
  };
  const url = new URL("/authorize", broker.url);
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of value === null ? [] : [value].flat()) url.searchParams.append(name, one);
  }
  return { url, verifier, state };
}

export const challengeOf = (verifier) => base64url(createHash("sha256").update(verifier).digest());

/** A form to one of the OAuth endpoints for programs. */
export async function postForm(url, fields, headers = {}) {
  const body =
    fields instanceof URLSearchParams
      ? fields
      : new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined));
  const response = await fetch(url, { method: "POST", body, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text.startsWith("{") ? JSON.parse(text) : null };
}

export function redeem(broker, app, { code, verifier, change = {}, headers } = {}) {
  const fields = {
    grant_type: "authorization_code",
    code,
    redirect_uri: app.redirect_uri,
    client_id: app.client_id,
    client_secret: app.client_secret,
    code_verifier: verifier,
    ...change,
  };
  return postForm(`${broker.url}/token`, fields, headers);
}

export function refresh(broker, app, token, change = {}) {
  const { client_id, client_secret } = app;
  return postForm(`${broker.url}/token`, {
    grant_type: "refresh_token",
    refresh_token: token,
    client_id,
    client_secret,
    ...change,
  });
}

export const basic = (id, secret) =>
  `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64")}`;

/** The claims of a token, unverified. */
export const claims = (jwt) => JSON.parse(Buffer.from(jwt.split(".")[1], "base64url"));

/** A call of the data plane, without an SDK. */
export async function call(broker, token, path, { method = "POST", body, headers = {}, signal } = {}) {
  const init = {
    method,
    signal,
    redirect: "manual",
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    body: body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
  };
  const response = await fetch(new URL(path, broker.url), init);
  const text = await response.text();
  const json = text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : null;
  return { status: response.status, headers: response.headers, text, body: json, code: response.headers.get("aipassport-error") };
}

/** A call over a connection of its own, that can be cut; it is `node:http`'s request. */
export function openCall(broker, token, path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const request = http.request(new URL(path, broker.url), { method: "POST", agent: false, headers });
  request.on("error", () => {});
  request.end(JSON.stringify(body));
  return request;
}

export const chatBody = (content = "hello", more = {}) => ({
  model: "gpt-5-mini",
  messages: [{ role: "user", content }],
  ...more,
});

export const messagesBody = (content = "hello", more = {}) => ({
  model: "claude-opus-5",
  max_tokens: 100,
  messages: [{ role: "user", content }],
  ...more,
});

export const chat = (broker, token, content, more, options = {}) =>
  call(broker, token, "/openai/v1/chat/completions", { body: chatBody(content, more), ...options });

export const messages = (broker, token, content, more, options = {}) =>
  call(broker, token, "/anthropic/v1/messages", { body: messagesBody(content, more), ...options });

/** Asserts a refusal in the shape that OpenAI's SDK reads. */
export function assertOpenAiError(answer, status, code) {
  assert.deepEqual({ status: answer.status, code: answer.code }, { status, code }, answer.text);
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  assert.equal(answer.body.error.code, code);
  assert.equal(typeof answer.body.error.message, "string");
  assert.equal(typeof answer.body.error.type, "string");
  assert.ok(answer.headers.get("aipassport-request-id"), "a request id");
}

/** Asserts a refusal in the shape that Anthropic's SDK reads. */
export function assertAnthropicError(answer, status, code) {
  assert.deepEqual({ status: answer.status, code: answer.code }, { status, code }, answer.text);
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  assert.equal(answer.body.type, "error");
  assert.equal(typeof answer.body.error.type, "string");
  assert.equal(typeof answer.body.error.message, "string");
  assert.ok(answer.headers.get("aipassport-request-id"), "a request id");
}

/** Asserts an error as RFC 6749 § 5.2 wants it. */
export function assertOAuthError(answer, status, error) {
  assert.deepEqual({ status: answer.status, error: answer.body?.error }, { status, error }, answer.text);
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  assert.match(answer.headers.get("cache-control") ?? "", /no-store/);
  assert.match(answer.body.error_description ?? "", /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/);
  assert.equal(answer.body.access_token, undefined);
}
