// An authenticator and its browser, in software: passkeys on P-256, made and used as WebAuthn says, and wrong in one way where a test asks.

import assert from "node:assert/strict";
import { createHash, createSign, generateKeyPairSync, randomBytes } from "node:crypto";
import { base64url } from "./broker.mjs";
import { Browser } from "./flow.mjs";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const UP = 1;
const UV = 4;
const BE = 8;
const AT = 64;

/** CBOR, as far as an attestation object needs it. */
function cbor(value) {
  const head = (major, length) =>
    Buffer.from(length < 24 ? [(major << 5) | length] : length < 256 ? [(major << 5) | 24, length] : [(major << 5) | 25, length >> 8, length & 255]);
  if (typeof value === "number") return value >= 0 ? head(0, value) : head(1, -1 - value);
  if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  return Buffer.concat([head(5, value.size), ...[...value].flatMap(([key, member]) => [cbor(key), cbor(member)])]);
}

/** One device with its passkeys. */
export class Authenticator {
  passkeys = [];

  /** @param {{ flags?: number, counts?: boolean, algorithm?: -7 | -257 }} options `algorithm`: the one that it knows */
  constructor({ flags = UP | UV | BE, counts = true, algorithm = -7 } = {}) {
    Object.assign(this, { flags, counts, algorithm });
  }

  #clientData(type, options, { origin, challenge = options.challenge, ...more }) {
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false, ...more }));
  }

  #data(rpId, flags, count, rest = Buffer.alloc(0)) {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(count);
    return Buffer.concat([sha256(rpId), Buffer.from([flags]), number, rest]);
  }

  /** `navigator.credentials.create()`. */
  create(options, client) {
    assert.ok(options.pubKeyCredParams.some(({ alg }) => alg === this.algorithm), "what it knows is asked for");
    const known = options.excludeCredentials.map(({ id }) => id);
    assert.ok(!this.passkeys.some(({ id }) => known.includes(base64url(id))), "this authenticator has one of theirs");
    const isRsa = this.algorithm === -257;
    const { publicKey, privateKey } = isRsa ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = publicKey.export({ format: "jwk" });
    const passkey = { id: randomBytes(32), privateKey, rpId: options.rp.id, userHandle: options.user.id, count: 0 };
    this.passkeys.push(passkey);
    const bytes = (name) => Buffer.from(jwk[name], "base64url");
    const members = isRsa ? [[1, 3], [3, -257], [-1, bytes("n")], [-2, bytes("e")]] : [[1, 2], [3, -7], [-1, 1], [-2, bytes("x")], [-3, bytes("y")]];
    const key = new Map(members);
    const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, passkey.id.length]), passkey.id, cbor(key)]);
    const authData = this.#data(client.rpId ?? passkey.rpId, (client.flags ?? this.flags) | AT, 0, attested);
    const object = new Map([["fmt", "none"], ["attStmt", new Map()], ["authData", authData]]);
    return JSON.stringify({
      id: base64url(passkey.id),
      rawId: base64url(passkey.id),
      type: "public-key",
      response: {
        clientDataJSON: base64url(this.#clientData("webauthn.create", options, client)),
        attestationObject: base64url(cbor(object)),
      },
    });
  }

  /** `navigator.credentials.get()`. */
  get(options, { passkey = this.#choose(options), count, userHandle = passkey.userHandle, rpId, flags, ...client }) {
    passkey.count = count ?? (this.counts ? passkey.count + 1 : 0);
    const data = this.#data(rpId ?? passkey.rpId, flags ?? this.flags, passkey.count);
    const clientData = this.#clientData("webauthn.get", options, client);
    const signature = createSign("sha256").update(data).update(sha256(clientData)).sign(passkey.privateKey);
    return JSON.stringify({
      id: base64url(passkey.id),
      rawId: base64url(passkey.id),
      type: "public-key",
      response: {
        clientDataJSON: base64url(clientData),
        authenticatorData: base64url(data),
        signature: base64url(signature),
        userHandle,
      },
    });
  }

  #choose({ rpId, allowCredentials }) {
    const allowed = allowCredentials.map(({ id }) => id);
    const found = this.passkeys.find(({ id, rpId: own }) => own === rpId && (allowed.length === 0 || allowed.includes(base64url(id))));
    assert.ok(found, "this authenticator has no passkey for that");
    return found;
  }
}

/** What `public/passkeys.js` does with a form: asks for options, has the authenticator answer, fills the answer in. */
export async function fillWithPasskey(browser, form, authenticator, wrong = {}) {
  const answer = await browser.post(form.options, form.data());
  assert.equal(answer.status, 200, answer.text);
  const { publicKey } = JSON.parse(answer.text);
  const client = { origin: browser.broker.url, ...wrong };
  const credential = publicKey.rp ? authenticator.create(publicKey, client) : authenticator.get(publicKey, client);
  const data = form.data();
  data.set("credential", credential);
  return data;
}

/** The same, and sends it. */
export async function sendWithPasskey(browser, form, authenticator, wrong) {
  return browser.submit(form, { data: await fillWithPasskey(browser, form, authenticator, wrong) });
}

export const SECURITY = "/settings/security";

/** Adds a passkey on the security page; answers what came of it. */
export async function addPasskey(browser, authenticator, { name = "Phone", wrong } = {}) {
  const security = await browser.get(SECURITY);
  const [form] = security.page.forms.filter(({ action }) => action.pathname === `${SECURITY}/passkeys/add`);
  const { page } = await browser.submit(form);
  return sendWithPasskey(browser, page.form(`${SECURITY}/passkeys`).fill({ name }), authenticator, wrong);
}

/** Signs in with a passkey in this browser, and says nothing about what came of it. */
export async function tryPasskey(browser, authenticator, wrong) {
  const { page } = await browser.get("/sign-in");
  return sendWithPasskey(browser, page.form("/sign-in/passkey"), authenticator, wrong);
}

export async function signInWithPasskey(broker, authenticator) {
  const browser = new Browser(broker);
  const answer = await tryPasskey(browser, authenticator);
  assert.equal(answer.status, 303, answer.page?.text);
  return browser;
}

/** A link that invites somebody, made by an operator. */
export async function invite(operator, { name = "Min", role = "member" } = {}) {
  const { page } = await operator.get("/members/invitations");
  const answer = await operator.submit(page.form("/members/invitations").fill({ name, role }));
  const [link] = /http\S+\/invitation\?token=aip_in_[\w-]+/.exec(answer.page?.text ?? "") ?? [];
  return { answer, link };
}

/** Somebody who was invited and joined, with their browser and their authenticator. */
export async function join(operator, options) {
  const { link } = await invite(operator, options);
  const [browser, authenticator] = [new Browser(operator.broker), new Authenticator()];
  const { page } = await browser.get(link);
  const answer = await sendWithPasskey(browser, page.form("/invitation"), authenticator);
  assert.equal(answer.status, 303, answer.page?.text);
  return { browser, authenticator, link };
}

/** As if they had signed in an hour ago, and not confirmed since. */
export const anHourLater = (broker) => broker.sql("UPDATE sessions SET created_at = created_at - 3600, confirmed_at = NULL");

/** Ten recovery codes of whoever is signed in. */
export async function recoveryCodes(browser) {
  const { page } = await browser.get(SECURITY);
  const answer = await browser.submit(page.form(`${SECURITY}/recovery-codes`));
  assert.equal(answer.status, 201, answer.page?.text);
  return answer.page.text.match(/\b[B-Z]{4}(-[B-Z]{4}){3}\b/g);
}
