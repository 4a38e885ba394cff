import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { base64url } from "../support/broker.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser, app } = await startWorld();
const get = async (path, init) => {
  const response = await fetch(new URL(path, broker.url), { redirect: "manual", ...init });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text.startsWith("{") ? JSON.parse(text) : null };
};
const METADATA = "/.well-known/oauth-authorization-server";

/** A request that names another host than the one it is sent to. */
async function toHost(host, path, method = "GET") {
  const { hostname, port } = new URL(broker.url);
  const request = http.request({ hostname, port, path, method, headers: { host, authorization: "Bearer x" } });
  request.end();
  const [response] = await once(request, "response");
  response.resume();
  return { status: response.statusCode, location: response.headers.location };
}

test("a page that is asked for under another name of this machine is asked for again under the issuer's", async () => {
  const { port } = new URL(broker.url);
  const { status, location } = await toHost(`127.0.0.1:${port}`, "/sign-in?token=x");
  assert.deepEqual({ status, location }, { status: 303, location: `${broker.url}/sign-in?token=x` });
  // A program is answered where it asks: it may check that the machine is up, or compare the issuer with what it expects.
  for (const path of ["/health", METADATA, "/jwks.json"]) assert.equal((await toHost(`127.0.0.1:${port}`, path)).status, 200, path);
});

// As the platform hands it over where a zone has no redirect to https of its own.
test("RFC 6749 §1.6: nothing is served in clear beyond this machine: pages go to https, calls are refused", async () => {
  assert.deepEqual(await toHost("broker.example", "/grants?a=1"), { status: 308, location: "https://broker.example/grants?a=1" });
  for (const [path, method] of [
    ["/token", "POST"],
    ["/sign-in", "POST"],
    ["/openai/v1/models", "GET"],
    ["/openai/v1/chat/completions", "POST"],
  ]) {
    assert.deepEqual(await toHost("broker.example", path, method), { status: 403, location: undefined }, path);
  }
});

test("health answers ok", async () => {
  const { status, body } = await get("/health");
  assert.deepEqual({ status, body }, { status: 200, body: { status: "ok" } });
});

test("RFC 8414 §2: the metadata names the issuer and every endpoint", async () => {
  const { status, headers, body } = await get(METADATA);
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.equal(body.issuer, broker.url);
  assert.equal(body.authorization_endpoint, `${broker.url}/authorize`);
  assert.equal(body.token_endpoint, `${broker.url}/token`);
  assert.equal(body.revocation_endpoint, `${broker.url}/revoke`);
  assert.equal(body.device_authorization_endpoint, `${broker.url}/device_authorization`);
  assert.equal(body.jwks_uri, `${broker.url}/jwks.json`);
  assert.deepEqual(body.response_types_supported, ["code"]);
  assert.equal(body.introspection_endpoint, `${broker.url}/introspect`);
  assert.deepEqual([...body.grant_types_supported].sort(), [
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
  ]);
  const proofs = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
  for (const endpoint of ["token", "revocation"]) {
    assert.deepEqual([...body[`${endpoint}_endpoint_auth_methods_supported`]].sort(), [...proofs, "none"].sort(), endpoint);
  }
  // RFC 7662 §2.1: who asks has to prove who it is.
  assert.deepEqual([...body.introspection_endpoint_auth_methods_supported].sort(), proofs);
});

/** Every member of the metadata that names an endpoint, a page or a document. */
const ADDRESSES = (body) =>
  Object.entries(body).filter(([name, value]) => name !== "issuer" && typeof value === "string" && /_endpoint$|_uri$|_documentation$/.test(name));

test("the metadata also stand where clients look that were made for OpenID Connect, and promise none of it", async () => {
  const of = async (name) => (await fetch(`${broker.url}/.well-known/${name}`)).json();
  const found = await of("openid-configuration");
  assert.deepEqual(found, await of("oauth-authorization-server"));
  assert.deepEqual(Object.keys(found).filter((name) => /id_token|userinfo|subject_types|claims|end_session/.test(name)), []);
  assert.ok(!found.scopes_supported.includes("openid"));
});

test("RFC 8414 §2: whatever the metadata names is served", async (t) => {
  const { body } = await get(METADATA);
  const addresses = ADDRESSES(body);
  assert.ok(addresses.length >= 6, "the names are found");
  for (const [name, address] of addresses) {
    const path = new URL(address).pathname;
    assert.equal(new URL(address).origin, broker.url, name);
    await t.test(`${name}: ${path}`, async () => {
      const isPage = !name.endsWith("_endpoint") || name === "authorization_endpoint";
      const { status } = await get(path, isPage ? {} : { method: "POST", body: new URLSearchParams() });
      assert.ok(status !== 404 && status !== 405 && status < 500, `${name} answers ${status}`);
    });
  }
});

test("RFC 8414 §2: methods that sign name their algorithms, none of which is none or symmetric", async () => {
  const { body } = await get(METADATA);
  for (const endpoint of ["token", "revocation", "introspection"]) {
    const algorithms = body[`${endpoint}_endpoint_auth_signing_alg_values_supported`];
    assert.equal(body[`${endpoint}_endpoint_auth_methods_supported`].includes("private_key_jwt"), true, endpoint);
    assert.ok(algorithms.includes("ES256") && algorithms.includes("EdDSA"), endpoint);
    assert.ok(algorithms.every((name) => name !== "none" && !name.startsWith("HS")), endpoint);
  }
});

test("RFC 9449 §5.1: the metadata lists the algorithms of DPoP proofs", async () => {
  const { dpop_signing_alg_values_supported: algorithms } = (await get(METADATA)).body;
  assert.ok(algorithms.includes("ES256") && algorithms.every((name) => name !== "none" && !name.startsWith("HS")));
});

test("RFC 8414 §2: the language and the documentation are for people", async () => {
  const { body } = await get(METADATA);
  assert.deepEqual(body.ui_locales_supported, ["en"]);
  assert.match((await get(new URL(body.service_documentation).pathname)).headers.get("content-type"), /^text\/html/);
});

test("RFC 9728 §4: every resource that the metadata names has a document of its own", async () => {
  const { body } = await get(METADATA);
  assert.equal(body.protected_resources.length, 3);
  for (const resource of body.protected_resources) {
    const { pathname } = new URL(resource);
    const path = `/.well-known/oauth-protected-resource${pathname === "/" ? "" : pathname}`;
    assert.equal((await get(path)).body.resource, resource);
  }
});

test("RFC 8414 §2: a grant type that the metadata lists is understood at /token, and another is not", async (t) => {
  const { grant_types_supported: listed } = (await get(METADATA)).body;
  const errorOf = async (grantType) => {
    const body = new URLSearchParams({ grant_type: grantType, client_id: app.client_id });
    return (await get("/token", { method: "POST", body })).body.error;
  };
  for (const grantType of listed) {
    await t.test(grantType, async () => assert.notEqual(await errorOf(grantType), "unsupported_grant_type"));
  }
  for (const grantType of ["password", "client_credentials", "implicit"]) {
    assert.equal(await errorOf(grantType), "unsupported_grant_type", grantType);
  }
});

test("what is not supported is not announced: this is no OpenID provider", async () => {
  const { body } = await get(METADATA);
  for (const name of [
    "userinfo_endpoint",
    "id_token_signing_alg_values_supported",
    "subject_types_supported",
    "request_object_signing_alg_values_supported",
    "tls_client_certificate_bound_access_tokens",
  ]) {
    assert.equal(body[name], undefined, name);
  }
  assert.ok(!body.response_types_supported.some((type) => type.includes("token")), "RFC 9700 §2.1.2: no implicit grant");
  assert.ok(!body.code_challenge_methods_supported.includes("plain"));
});

test("RFC 7636 §4.2: S256 is the only challenge method on offer", async () => {
  assert.deepEqual((await get(METADATA)).body.code_challenge_methods_supported, ["S256"]);
});

test("RFC 9126 §5: the metadata names the endpoint for pushed requests, and that pushing is up to the app", async () => {
  const { body } = await get(METADATA);
  assert.equal(body.pushed_authorization_request_endpoint, `${broker.url}/par`);
  assert.equal(body.require_pushed_authorization_requests, false);
});

test("the metadata lists response modes and prompts, and claims no request objects", async () => {
  const { body } = await get(METADATA);
  assert.deepEqual(body.response_modes_supported, ["query", "form_post"]);
  assert.deepEqual([...body.prompt_values_supported].sort(), ["consent", "login", "none"]);
  assert.deepEqual([body.request_parameter_supported, body.request_uri_parameter_supported], [false, false]);
});

test("RFC 9207 §3: the metadata announces the iss parameter", async () => {
  assert.equal((await get(METADATA)).body.authorization_response_iss_parameter_supported, true);
});

test("RFC 9396 §10: the metadata lists the types of authorization details", async () => {
  assert.deepEqual([...(await get(METADATA)).body.authorization_details_types_supported].sort(), ["ai_access", "ai_limits"]);
});

test("RFC 8414 §3: a generic client discovers the broker", async () => {
  const issuer = new URL(broker.url);
  const response = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", [oauth.allowInsecureRequests]: true });
  const server = await oauth.processDiscoveryResponse(issuer, response);
  assert.equal(server.issuer, broker.url);
});

test("RFC 7517 §9: the key set holds public halves alone, named by thumbprint", async () => {
  const { body, text } = await get("/jwks.json");
  const [secret] = JSON.parse(broker.secrets.SIGNING_KEYS).keys;
  assert.deepEqual(Object.keys(body), ["keys"]);
  const [key] = body.keys;
  assert.equal(key.d, undefined);
  assert.ok(!text.includes(secret.d));
  assert.deepEqual([key.kty, key.crv, key.alg, key.use, key.x], ["OKP", "Ed25519", "EdDSA", "sig", secret.x]);
  const thumbprint = createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${key.x}"}`).digest();
  assert.equal(key.kid, base64url(thumbprint));
});

test("RFC 9068 §2: an access token is an at+jwt that the published key verifies", async () => {
  const { access_token: token, expires_in: expiresIn } = await browser.grant(app);
  const [head, payload, signature] = token.split(".");
  const header = JSON.parse(Buffer.from(head, "base64url"));
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  const jwk = (await get("/jwks.json")).body.keys.find(({ kid }) => kid === header.kid);
  const key = createPublicKey({ key: jwk, format: "jwk" });
  assert.ok(verify(null, Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, "base64url")));
  assert.equal(header.typ, "at+jwt");
  assert.equal(header.alg, "EdDSA");
  assert.deepEqual(Object.keys(claims).sort(), ["aud", "auth_time", "client_id", "exp", "grant_id", "iat", "iss", "jti", "sub"]);
  assert.deepEqual([claims.iss, claims.aud, claims.client_id], [broker.url, broker.url, app.client_id]);
  assert.equal(claims.exp - claims.iat, expiresIn);
  assert.ok(expiresIn <= 3600);
});

const SCHEMA = "/authorization-details.schema.json";
for (const path of [METADATA, SCHEMA, "/jwks.json", "/token", "/revoke", "/par"]) {
  test(`the Fetch standard's CORS check passes from any origin at ${path}`, async () => {
    const origin = "https://app.example";
    const preflight = await get(path, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": ["/token", "/revoke", "/par"].includes(path) ? "POST" : "GET",
        "access-control-request-headers": "authorization,content-type",
      },
    });
    assert.ok(preflight.status === 200 || preflight.status === 204, String(preflight.status));
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
    assert.match(preflight.headers.get("access-control-allow-headers"), /authorization/i);
    const answer = await get(path, { method: ["/token", "/revoke", "/par"].includes(path) ? "POST" : "GET", headers: { origin } });
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    assert.equal(answer.headers.get("access-control-allow-credentials"), null);
  });
}

for (const path of ["/grants", "/apps", "/sign-in", "/authorize"]) {
  test(`no page can be read from another origin: ${path}`, async () => {
    const { headers } = await browser.get(path, { origin: "https://app.example" });
    assert.equal(headers.get("access-control-allow-origin"), null);
  });
}

test("an unknown path is a page with 404", async () => {
  const { status, page } = await browser.get("/nothing-here");
  assert.equal(status, 404);
  assert.ok(page);
});

test("RFC 9110 §15.5.6: another method is 405 and names the allowed ones", async () => {
  const { status, headers } = await get("/token");
  assert.equal(status, 405);
  assert.match(headers.get("allow"), /POST/);
});
