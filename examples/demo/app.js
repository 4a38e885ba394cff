// A chat by an app that never sees an API key. Three steps, in this order below:
//   1. connect   the person decides at the broker what the app may use (OAuth, code flow with PKCE)
//   2. tokens    a short-lived access token, and a refresh token for the next one
//   3. call      the provider's own SDK, with the access token for a key
// Everything after that is the page.

import * as oauth from "oauth4webapi";
import OpenAI from "openai";

// What the app would like to use. People may tick less and lower every limit, so only the token answer says what was granted.
const WANTED = [
  {
    type: "ai_access",
    provider: "openai",
    models: ["gpt-5-mini", "gpt-5.1", "gpt-5-nano*"],
    capabilities: ["chat"],
    limits: { budget_usd: "1.00", requests: 50, requests_per_minute: 20 },
  },
];

const broker = new URL(BROKER_URL); // server.mjs puts it in
const client = { client_id: "demo" };
const redirectUri = new URL("callback.html", location.href).href;
// OAuth insists on https. A broker on this machine is the one exception.
const http = { [oauth.allowInsecureRequests]: broker.hostname === "localhost" };

// 1. Connect

let discovery;
/** The broker's endpoints, from its metadata (RFC 8414). */
async function server() {
  if (!discovery) {
    const response = await oauth.discoveryRequest(broker, { algorithm: "oauth2", ...http });
    discovery = await oauth.processDiscoveryResponse(broker, response);
  }
  return discovery;
}

async function connect() {
  // A grant that is used up makes way for the new one.
  if (tokens()) await disconnect();
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL((await server()).authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirectUri,
    authorization_details: JSON.stringify(WANTED),
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  // They wait in this tab: an answer that another tab or site asked for finds nothing here that fits.
  sessionStorage.setItem("asked", JSON.stringify({ verifier, state }));
  location.assign(url);
}

/** The person is back from the broker, with a code or a "no" in the address. */
async function redeem() {
  const answer = new URL(location.href);
  // Out of the address bar and the history before anything else: a reload would redeem the code again, and that ends the grant.
  history.replaceState(null, "", "./");
  const asked = JSON.parse(sessionStorage.getItem("asked"));
  sessionStorage.removeItem("asked");
  // Back to the consent page and allowed once more: the first access is as good.
  if (!asked && tokens()) return;
  if (!asked) throw new Error("This tab did not ask to be connected. Please connect from here.");
  const as = await server();
  // Checks `state` (this tab asked) and `iss` (this broker answered); throws if the person said no.
  const parameters = oauth.validateAuthResponse(as, client, answer, asked.state);
  const { verifier } = asked;
  const response = await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), parameters, redirectUri, verifier, http);
  keep(await oauth.processAuthorizationCodeResponse(as, client, response), { id: crypto.randomUUID(), refreshes: 0 });
}

async function disconnect() {
  const as = await server();
  // The refresh token stands for the whole grant: with it the access token ends too.
  const response = await oauth.revocationRequest(as, client, oauth.None(), tokens().refresh_token, http);
  await oauth.processRevocationResponse(response);
  end("Returned");
}

// 2. Tokens
//
// They live in sessionStorage: it is this tab's alone and is gone when the tab is. But a script that got into the page could read
// it. An app with a server should keep the refresh token there, in a session behind an HttpOnly cookie, and give the page at most
// the access token.

const tokens = () => JSON.parse(sessionStorage.getItem("tokens"));
const save = (kept) => sessionStorage.setItem("tokens", JSON.stringify(kept));
const keep = (answer, kept) => save({ ...kept, ...answer, expires_at: Date.now() + answer.expires_in * 1000 });
const marker = ({ id }) => `refreshes-${id}`;

/** This tab has no tokens, or old copies of another tab's. */
class Stale extends Error {}

/**
 * An access token that is good for a while. A refresh token works once, and using it twice ends the grant, so one refresh runs at
 * a time. Duplicating a tab copies its tokens; localStorage tells the copies which of them has refreshed (a number, no secret).
 */
function accessToken() {
  return navigator.locks.request("demo-refresh", async () => {
    const kept = tokens();
    if (!kept) throw new Stale("This tab is not connected.");
    if (kept.expires_at - Date.now() > 60_000) return kept.access_token;
    if (Number(localStorage.getItem(marker(kept))) !== kept.refreshes) {
      throw new Stale("A copy of this tab carries on with your access. Connect again to use this one too.");
    }
    kept.refreshes += 1;
    localStorage.setItem(marker(kept), kept.refreshes);
    save(kept);
    const as = await server();
    const response = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), kept.refresh_token, http);
    keep(await oauth.processRefreshTokenResponse(as, client, response), kept);
    return tokens().access_token;
  });
}

// 3. Call

const access = (details) => details.find(({ type, provider }) => type === "ai_access" && provider === "openai");
const granted = () => tokens().authorization_details;

const openai = () =>
  new OpenAI({
    // The grant says where at the broker the provider's API is.
    baseURL: access(granted()).base_url,
    // Asked for before every request.
    apiKey: accessToken,
    // Right to warn of an API key. This is a token for what the person allowed, capped, revocable, good for an hour at most.
    dangerouslyAllowBrowser: true,
    // Left to itself the SDK waits and tries again, up to a minute where a rate is reached. Here a person should hear of it.
    maxRetries: 0,
  });

/** What `prefix*` stands for: the broker's list of models is cut down to the grant. */
async function modelsOfPatterns() {
  const patterns = access(granted()).models.filter((name) => name.endsWith("*"));
  const { data: page, response } = await openai().models.list().withResponse();
  noteLeft(response);
  const names = page.data.map(({ id }) => id);
  return names.filter((name) => patterns.some((pattern) => name.startsWith(pattern.slice(0, -1))));
}

async function* chat(model, messages, signal) {
  const request = { model, messages, stream: true };
  const { data: stream, response } = await openai().chat.completions.create(request, { signal }).withResponse();
  noteLeft(response);
  for await (const chunk of stream) yield chunk.choices[0]?.delta?.content ?? "";
}

let left;
/** Every answer says how many requests are left, where they are limited. */
function noteLeft(response) {
  const header = response.headers.get("aipassport-requests-remaining");
  if (header === null || !tokens()) return;
  left = Number(header);
  showPass(granted(), "Approved");
}

const EXPLAINED = {
  invalid_token: "Your access was revoked or has expired. Connect again to go on.",
  grant_paused: "You have paused this access. It works again when you resume it at your broker.",
  budget_exhausted: "What is left of the money that you allowed is too little for this. You can allow more at your broker.",
  budget_held: "The money that you allowed is held by answers under way.",
  tokens_exhausted: "What is left of the tokens that you allowed is too little for this. You can allow more at your broker.",
  tokens_held: "The tokens that you allowed are held by answers under way.",
  price_unknown: "Your broker doesn't know what this model costs, so it can't keep it within your limit.",
  requests_exhausted: "You have used up every request that you allowed. Allow more at your broker, or connect again.",
  requests_held: "The last requests that you allowed are under way.",
  rate_limited: "That was quick! It is more than you allowed for one minute.",
  concurrency_exceeded: "As many answers as you allowed are under way already.",
  model_not_granted: "You did not allow this model. Choose another one.",
  provider_not_configured: "Your broker has no key for OpenAI yet.",
};

const isOver = ({ error, headers }) => error === "invalid_grant" || headers?.get("aipassport-error") === "invalid_token";

function explain(error) {
  // Only the broker sets this header; an error without it is the provider's own.
  const code = error.headers?.get("aipassport-error");
  const wait = error.headers?.get("retry-after");
  const hint = wait ? ` Try again in ${wait} s.` : "";
  if (isOver(error)) return EXPLAINED.invalid_token;
  if (code) return (EXPLAINED[code] ?? `The broker says: ${error.error?.message}.`) + hint;
  if (error instanceof OpenAI.APIError && error.error) return `OpenAI says: ${error.error.message ?? error.message}${hint}`;
  if (error instanceof oauth.OperationProcessingError) return "This answer is not the one that was asked for. Connect again.";
  if (error.error === "access_denied") return "You denied the request. That's fine: nothing was connected.";
  if (error.error) return `The broker refused: ${error.error_description ?? error.error}.`;
  if (error instanceof TypeError) return `The broker at ${broker.host} could not be reached.`;
  return error.message;
}

// The page

const IDEAS = ["A haiku about border control", "Explain OAuth to a cat", "Where to go without a passport?"];
const PERIODS = { total: "in all", month: "a month", day: "a day" };
const TITLES = {
  Approved: "This app may use",
  Denied: "This app asked for",
  Returned: "This app gave back",
  Void: "This app could use",
  Copy: "Another tab may use",
};
const $ = (id) => document.getElementById(id);
const element = (tag, textContent, className = "") => Object.assign(document.createElement(tag), { textContent, className });
let talk = [];
let running;
let listed;

function showPass(details, stamp) {
  const { models, capabilities, limits } = access(details);
  const overall = details.find(({ type }) => type === "ai_limits");
  const money = [limits, overall].filter((all) => all?.budget_usd);
  const most = (limit) => Math.min(limits?.[limit] ?? Infinity, overall?.[limit] ?? Infinity);
  const words = { tokens: "tokens", requests: "requests", requests_per_minute: "a minute", concurrency: "at a time" };
  const limited = [
    ...money.map((all) => `${all.budget_usd} USD ${PERIODS[all.budget_period ?? "total"]}`),
    ...Object.keys(words)
      .filter((limit) => most(limit) < Infinity)
      .map((limit) => `${most(limit)} ${words[limit]}`),
  ];
  const connected = stamp === "Approved";
  const open = Math.min(left ?? Infinity, most("requests"));

  $("access").hidden = false;
  $("pass-title").textContent = TITLES[stamp] ?? "This app would like to use";
  $("provider").textContent = "OpenAI";
  $("models").replaceChildren(...models.flatMap((name) => [element("code", name), " "]));
  $("capabilities").textContent = capabilities.join(", ");
  $("limits").textContent = limited.join(", ") || "no limit";
  $("left-row").hidden = !connected || open === Infinity;
  if (open < Infinity) {
    $("left").textContent = open === 0 ? "none" : `${open} of ${most("requests")}`;
    Object.assign($("gauge"), { max: most("requests"), value: open });
  }
  $("stamp").hidden = !stamp;
  $("stamp").textContent = $("stamp").dataset.kind = stamp ?? "";
  $("actions").hidden = !connected;
  $("welcome").hidden = connected;
  $("chat").hidden = !connected;
}

/** Shows a text as `status` or `error`; nothing shows nothing. */
function say(where, text) {
  for (const id of ["status", "error"]) $(id).hidden = id !== where;
  if (where) $(where).textContent = text;
}

function fail(error) {
  // What goes wrong inside `accessToken` the SDK wraps.
  while (error.cause instanceof Error) error = error.cause;
  if (isOver(error)) end("Void");
  if (error instanceof Stale) end("Copy");
  if (error.error === "access_denied") showPass(WANTED, "Denied");
  if (/_exhausted$/.test(error.code)) $("welcome").hidden = false;
  say("error", explain(error));
}

/** Forgets the tokens. What was said stays on the page. */
function end(stamp) {
  const kept = tokens();
  if (!kept) return;
  running?.abort();
  sessionStorage.removeItem("tokens");
  if (stamp !== "Copy") localStorage.removeItem(marker(kept));
  showPass(kept.authorization_details, stamp);
}

/** Offers the models that were granted: those with a full name at once, the others when the broker has told their names. */
async function offerModels() {
  const exact = access(granted()).models.filter((name) => !name.endsWith("*"));
  $("model").replaceChildren(...exact.map((name) => new Option(name)));
  const more = (await modelsOfPatterns()).filter((name) => !exact.includes(name));
  $("model").append(...more.map((name) => new Option(name)));
}

function busy(is) {
  $("messages").ariaBusy = is; // so that a screen reader reads an answer when it is whole, not in crumbs
  $("send").disabled = $("send").hidden = is;
  $("stop").hidden = !is;
}

async function send(text) {
  say();
  $("ideas").hidden = true;
  $("prompt").value = "";
  const [question, answer] = [element("p", text, "mine"), element("p", "", "theirs")];
  $("messages").append(question, answer);
  $("chat").scrollIntoView({ block: "end" });
  running = new AbortController();
  busy(true);
  try {
    if (!$("model").value) await listed;
    if (!$("model").value) throw new Error("Your broker knows no model of those that you allowed.");
    for await (const piece of chat($("model").value, [...talk, { role: "user", content: text }], running.signal)) {
      // Reading along goes on at the end, unless the person has scrolled up.
      const atEnd = document.documentElement.scrollHeight - innerHeight - scrollY < 80;
      answer.append(piece);
      if (atEnd) scrollTo(0, document.documentElement.scrollHeight);
    }
  } catch (error) {
    if (!running.signal.aborted) fail(error);
  }
  if (running.signal.aborted) answer.classList.add("stopped");
  if (answer.textContent) {
    talk.push({ role: "user", content: text }, { role: "assistant", content: answer.textContent });
  } else {
    // Nothing came: the message goes back to where it was written.
    question.remove();
    answer.remove();
    $("prompt").value ||= text;
  }
  busy(false);
  $("prompt").focus();
}

$("grants").href = new URL("/grants", broker);
$("connect").addEventListener("click", () => connect().catch(fail));
$("disconnect").addEventListener("click", () =>
  disconnect().then(() => say("status", "Disconnected. The broker won't let this app in any more."), fail),
);
$("stop").addEventListener("click", () => running.abort());
$("chat").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("send").disabled && $("prompt").value.trim()) send($("prompt").value.trim());
});
$("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("chat").requestSubmit();
});
for (const idea of IDEAS) {
  const button = Object.assign(element("button", idea, "quiet"), { type: "button" });
  button.addEventListener("click", () => send(idea));
  $("ideas").append(button);
}

showPass(WANTED);
const { searchParams } = new URL(location.href);
const back = searchParams.has("code") || searchParams.has("error");
if (back) say("status", "One moment …");
if (back) await redeem().then(say, fail);
if (tokens()) {
  showPass(granted(), "Approved");
  listed = offerModels();
  listed.catch(fail);
}
