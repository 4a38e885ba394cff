// OAuth 2.0 Form Post Response Mode with https://github.com/panva/openid-client: an app with a server of its own, to which the browser
// posts the answer.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import * as client from "openid-client";
import { chat } from "../support/flow.mjs";
import { SCOPE, startClients } from "./person.mjs";

const { broker, browser } = await startClients();

/** The app's server: hands what it is posted to the test, as the `Request` that frameworks make of it. */
let arrived;
const site = http.createServer(async (request, response) => {
  const { method, headers, url } = request;
  const body = await text(request);
  arrived(new Request(new URL(url, `http://${headers.host}`), { method, headers: { "content-type": headers["content-type"] }, body }));
  response.end("Connected. You can close this page.");
});
after(() => {
  site.closeAllConnections();
  site.close();
});
await once(site.listen(0, "127.0.0.1"), "listening");
const REDIRECT_URI = `http://127.0.0.1:${site.address().port}/callback`;
const app = await browser.register({ name: "App with a server", redirectUris: [REDIRECT_URI], type: "confidential" });

const insecure = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };
const authentication = client.ClientSecretBasic(app.client_secret);
const config = await client.discovery(new URL(broker.url), app.client_id, undefined, authentication, insecure);

async function parameters() {
  const [pkceCodeVerifier, expectedState] = [client.randomPKCECodeVerifier(), client.randomState()];
  const sent = {
    redirect_uri: REDIRECT_URI,
    response_mode: "form_post",
    scope: SCOPE,
    state: expectedState,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
  };
  return { sent, checks: { pkceCodeVerifier, expectedState } };
}

/** The person decides; the browser posts the form that it is given. What arrives at the app. */
async function decide(link, decision) {
  const { page } = await browser.get(link);
  const answer = await browser.submit(page.form("/authorize").press("decision", decision));
  assert.equal(answer.location, null, "nothing stands in an address");
  const [form] = answer.page.forms;
  const posted = new Promise((done) => (arrived = done));
  const { status } = await fetch(form.action, { method: form.method, body: form.data() });
  assert.equal(status, 200);
  return posted;
}

test("Form Post §2: an app is posted its code, and redeems it", async () => {
  const { sent, checks } = await parameters();
  const request = await decide(client.buildAuthorizationUrl(config, sent), "allow");
  assert.equal(request.url, REDIRECT_URI);
  const tokens = await client.authorizationCodeGrant(config, request, checks);
  assert.equal((await chat(broker, tokens.access_token)).status, 200);
});

test("RFC 9126 §2: a pushed request is answered by a post, too", async () => {
  const { sent, checks } = await parameters();
  const request = await decide(await client.buildAuthorizationUrlWithPAR(config, sent), "allow");
  const tokens = await client.authorizationCodeGrant(config, request, checks);
  assert.equal((await chat(broker, tokens.access_token)).status, 200);
});

test("RFC 6749 §4.1.2.1: a refusal is posted as access_denied", async () => {
  const { sent, checks } = await parameters();
  const request = await decide(client.buildAuthorizationUrl(config, sent), "deny");
  await assert.rejects(client.authorizationCodeGrant(config, request, checks), { error: "access_denied" });
});

test("RFC 9207 §2.4: the app checks the issuer that is posted with the code", async () => {
  const { sent, checks } = await parameters();
  const request = await decide(client.buildAuthorizationUrl(config, sent), "allow");
  const fields = new URLSearchParams(await request.text());
  assert.equal(fields.get("iss"), broker.url);
  fields.set("iss", "https://other.example");
  const changed = new Request(REDIRECT_URI, { method: "POST", body: fields });
  await assert.rejects(client.authorizationCodeGrant(config, changed, checks), ({ cause }) => /unexpected "iss"/.test(cause.message));
});
