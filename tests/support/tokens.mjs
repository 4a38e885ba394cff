// What an app does with tokens that it has: narrows them for its agents (RFC 8693), and asks what they are worth (RFC 7662).

import assert from "node:assert/strict";
import { postForm } from "./flow.mjs";

export const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
export const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

/** The form of a token exchange (RFC 8693 §2.1). `details` are `authorization_details`, not yet as text. */
export const exchangeFields = ({ client_id, client_secret }, token, { details, change = {} } = {}) => ({
  grant_type: EXCHANGE,
  subject_token: token,
  subject_token_type: ACCESS_TOKEN,
  client_id,
  client_secret,
  authorization_details: details && JSON.stringify(details),
  ...change,
});

export const exchange = (broker, app, token, { headers, ...options } = {}) =>
  postForm(`${broker.url}/token`, exchangeFields(app, token, options), headers);

/** The token that it is exchanged for; it has to work. */
export async function narrowed(broker, app, token, options) {
  const { status, body, text } = await exchange(broker, app, token, options);
  assert.equal(status, 200, text);
  return body.access_token;
}

/** What `/introspect` says to the app whose token it is. */
export async function introspect(broker, app, token, change = {}) {
  const { client_id, client_secret } = app;
  return postForm(`${broker.url}/introspect`, { token, client_id, client_secret, ...change });
}

/** What it says of the limits: the one over everything, or the one of an entry. */
export async function usageOf(broker, app, token, index = -1) {
  const { body, text } = await introspect(broker, app, token);
  assert.equal(body.active, true, text);
  return body.authorization_details.at(index).usage;
}
