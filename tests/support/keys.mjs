// Keys that apps hold, and what they sign: DPoP proofs (RFC 9449) and client assertions (RFC 7523), honest ones and others.

import assert from "node:assert/strict";
import { createHash, createHmac, randomUUID } from "node:crypto";
import * as jose from "jose";
import { base64url } from "./broker.mjs";
import { call, chatBody, claims, postForm } from "./flow.mjs";
import { EXCHANGE } from "./tokens.mjs";

export const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const GRANT_TYPES = ["authorization_code", "refresh_token", EXCHANGE];

const seconds = () => Math.floor(Date.now() / 1000);
const sha256 = (text) => createHash("sha256").update(text).digest();
const withoutUndefined = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

/** The broker's own nonce of another moment, made with its key: tests can't wait five minutes. */
export function nonceMadeAt(broker, milliseconds) {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(milliseconds));
  const key = Buffer.from(broker.secrets.COOKIE_KEY, "base64url");
  const tag = createHmac("sha256", key).update(`dpop nonce v1\n${milliseconds}`).digest().subarray(0, 16);
  return base64url(Buffer.concat([time, tag]));
}

/** A key pair. */
export class Key {
  static async create(alg = "ES256") {
    const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
    const key = new Key();
    const jwk = await jose.exportJWK(publicKey);
    const privateJwk = await jose.exportJWK(privateKey);
    return Object.assign(key, { alg, privateKey, jwk, privateJwk, jkt: await jose.calculateJwkThumbprint(jwk) });
  }

  /** The public half, as a client registers it. */
  get registered() {
    return { ...this.jwk, alg: this.alg, kid: this.jkt, use: "sig" };
  }

  async #sign(payload, header) {
    return new jose.SignJWT(withoutUndefined(payload)).setProtectedHeader(withoutUndefined(header)).sign(this.privateKey);
  }

  /** A proof (RFC 9449 §4.2). `change` overwrites claims and `header` members of the header; `undefined` leaves one out. */
  async proof({ url, method = "POST", nonce, token, change = {}, header = {} }) {
    const own = {
      jti: randomUUID(),
      htm: method,
      htu: String(url),
      iat: seconds(),
      nonce,
      ath: token && base64url(sha256(token)),
    };
    return this.#sign({ ...own, ...change }, { typ: "dpop+jwt", alg: this.alg, jwk: this.jwk, ...header });
  }

  /** The fields of an assertion (RFC 7523 §2.2, §3). */
  async assertion(clientId, issuer, { change = {}, header = {} } = {}) {
    const own = { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat: seconds(), exp: seconds() + 60 };
    const text = await this.#sign({ ...own, ...change }, { alg: this.alg, kid: this.jkt, ...header });
    return { client_assertion_type: ASSERTION_TYPE, client_assertion: text };
  }
}

/** A program that holds a key, makes a proof for each request, and does as it is told about nonces. */
export class Prover {
  nonce;

  constructor(broker, key) {
    Object.assign(this, { broker, key });
  }

  static async create(broker, alg) {
    return new Prover(broker, await Key.create(alg));
  }

  /** The header of one request. */
  async header(options) {
    return { dpop: await this.key.proof({ nonce: this.nonce, ...options }) };
  }

  async #withNonce(attempt) {
    const first = await attempt();
    const asked = first.headers.get("dpop-nonce");
    this.nonce = asked ?? this.nonce;
    const isAsked = first.body?.error === "use_dpop_nonce" || first.headers.get("aipassport-error") === "use_dpop_nonce";
    return isAsked ? attempt() : first;
  }

  /** A form to an endpoint, with a proof; a second time where a nonce is asked for. `fields` may be a function of no arguments. */
  async form(path, fields, headers = {}) {
    const url = `${this.broker.url}${path}`;
    return this.#withNonce(async () => {
      const sent = typeof fields === "function" ? await fields() : fields;
      return postForm(url, sent, { ...(await this.header({ url })), ...headers });
    });
  }

  /** The tokens for a code that waits. */
  async redeem(app, waiting, change) {
    const fields = {
      grant_type: "authorization_code",
      code: waiting.code,
      redirect_uri: app.redirect_uri,
      client_id: app.client_id,
      client_secret: app.client_secret,
      code_verifier: waiting.verifier,
      ...change,
    };
    const answer = await this.form("/token", fields);
    return answer.body?.access_token
      ? { ...answer, ...answer.body, grant_id: claims(answer.body.access_token).grant_id }
      : answer;
  }

  async refresh(app, token, change) {
    const { client_id, client_secret } = app;
    return this.form("/token", { grant_type: "refresh_token", refresh_token: token, client_id, client_secret, ...change });
  }

  /** From the app's link to a token that is bound to the key. */
  async grant(browser, app, options) {
    const granted = await this.redeem(app, await browser.code(app, options));
    assert.ok(granted.access_token, granted.text);
    return granted;
  }

  /** A call of the data plane with a proof; a second time where a nonce is asked for. */
  async call(token, path, options = {}) {
    return this.#withNonce(async () => {
      const { method = "POST" } = options;
      const proof = await this.header({ url: new URL(path, this.broker.url), method, token });
      return call(this.broker, null, path, {
        ...options,
        headers: { authorization: `DPoP ${token}`, ...proof, ...options.headers },
      });
    });
  }

  async chat(token, content, more, options = {}) {
    return this.call(token, "/openai/v1/chat/completions", { body: chatBody(content, more), ...options });
  }
}

/** Registers a client that signs assertions with any of these keys. */
export async function registerWithKeys(
  broker,
  keys,
  { id = `keys-${randomUUID()}`, redirectUri = "https://app.example/callback" } = {},
) {
  await broker.sql(
    `INSERT INTO clients (client_id, kind, name, redirect_uris, grant_types, token_endpoint_auth_method, jwks, created_at)
     VALUES (?, 'registered', 'Signing app', ?, ?, 'private_key_jwt', ?, ?)`,
    id,
    JSON.stringify([redirectUri]),
    JSON.stringify(GRANT_TYPES),
    JSON.stringify({ keys: keys.map((key) => key.registered) }),
    seconds(),
  );
  return { client_id: id, redirect_uri: redirectUri };
}
