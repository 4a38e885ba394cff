// What strangers sign is checked by Web Crypto: in node, and the same cases once more in workerd, which has its own.

import assert from "node:assert/strict";
import { constants, generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { Miniflare } from "miniflare";
import * as signatures from "../../src/edge/signatures.mjs";

const bytes = (text) => new TextEncoder().encode(text);
const decoded = (text) => new Uint8Array(Buffer.from(text, "base64url"));
const encoded = (array) => Buffer.from(array).toString("base64url");

/** Every question, and what node answered, for workerd to answer too. */
const asked = [];
async function verifySignature(algorithm, key, input, signature) {
  const answer = await signatures.verifySignature(algorithm, key, input, signature);
  asked.push({ question: [algorithm, key, encoded(input), encoded(signature)], answer });
  return answer;
}

const INPUT = bytes("eyJhbGciOiJFUzI1NiJ9.e30");

/** The members that a key consists of, as the broker writes them. */
function jwk(publicKey) {
  const { crv, kty, x, y, e, n } = publicKey.export({ format: "jwk" });
  return JSON.stringify(kty === "RSA" ? { e, kty, n } : { crv, kty, x, y });
}

/** Makes keys and signatures with OpenSSL, without Web Crypto: a salt of 32 bytes, r and s without DER. */
const ALGORITHMS = {
  ES256: { make: () => generateKeyPairSync("ec", { namedCurve: "P-256" }), sign: (key, data) => sign("sha256", data, { key, dsaEncoding: "ieee-p1363" }) },
  EdDSA: { make: () => generateKeyPairSync("ed25519"), sign: (key, data) => sign(null, data, key) },
  RS256: { make: () => generateKeyPairSync("rsa", { modulusLength: 2048 }), sign: (key, data) => sign("sha256", data, key) },
  PS256: {
    make: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
    sign: (key, data) => sign("sha256", data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
  },
};

for (const [algorithm, { make, sign: signed }] of Object.entries(ALGORITHMS)) {
  const { publicKey, privateKey } = make();
  const signature = new Uint8Array(signed(privateKey, INPUT));
  const verifies = (key = jwk(publicKey), input = INPUT, other = signature) => verifySignature(algorithm, key, input, other);

  test(`${algorithm}: a genuine signature holds, also the second time`, async () => {
    assert.equal(await verifies(), true);
    assert.equal(await verifies(), true);
  });

  test(`${algorithm}: a changed text, a changed signature and another key do not`, async () => {
    assert.equal(await verifies(undefined, bytes("eyJhbGciOiJFUzI1NiJ9.e31")), false);
    assert.equal(await verifies(undefined, new Uint8Array(0)), false);
    assert.equal(await verifies(jwk(make().publicKey)), false);
    for (const at of [0, signature.length - 1]) {
      const changed = signature.slice();
      changed[at] ^= 1;
      assert.equal(await verifies(undefined, undefined, changed), false);
    }
    assert.equal(await verifies(undefined, undefined, signature.slice(1)), false);
    assert.equal(await verifies(undefined, undefined, new Uint8Array(0)), false);
    assert.equal(await verifies(undefined, undefined, new Uint8Array(signature.length)), false);
  });

  test(`${algorithm}: a signature of this key is none of another algorithm`, async () => {
    for (const other of Object.keys(ALGORITHMS).filter((name) => name !== algorithm)) {
      assert.equal(await verifySignature(other, jwk(publicKey), INPUT, signature), false, other);
    }
    assert.equal(await verifies(), true, "what failed is not remembered in its place");
  });
}

test("PS256: the salt has 32 bytes (RFC 7518 §3.5)", async () => {
  const { publicKey, privateKey } = ALGORITHMS.PS256.make();
  const signature = sign("sha256", INPUT, { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 20 });
  assert.equal(await verifySignature("PS256", jwk(publicKey), INPUT, new Uint8Array(signature)), false);
});

test("ES256: a signature in DER is none (RFC 7518 §3.4)", async () => {
  const { publicKey, privateKey } = ALGORITHMS.ES256.make();
  assert.equal(await verifySignature("ES256", jwk(publicKey), INPUT, new Uint8Array(sign("sha256", INPUT, privateKey))), false);
});

test("what is no key verifies nothing, and nothing fails", async () => {
  const point = (x, y) => JSON.stringify({ crv: "P-256", kty: "EC", x, y });
  const zero = Buffer.alloc(32).toString("base64url");
  const one = Buffer.alloc(32, 1).toString("base64url");
  for (const [algorithm, key] of [
    ["ES256", point(zero, zero)],
    ["ES256", point(one, one)],
    ["ES256", point(one)],
    ["ES256", JSON.stringify({ crv: "P-384", kty: "EC", x: one, y: one })],
    ["EdDSA", JSON.stringify({ crv: "Ed25519", kty: "OKP", x: "AA" })],
    ["EdDSA", JSON.stringify({ crv: "X25519", kty: "OKP", x: one })],
    ["RS256", JSON.stringify({ e: "AQAB", kty: "RSA", n: "" })],
    ["PS256", JSON.stringify({ e: "AA", kty: "RSA", n: one })],
    ["RS256", JSON.stringify({ kty: "oct", k: one })],
    ["ES256", "{"],
    ["ES256", "null"],
    ["ES256", "[]"],
    ["ES256", ""],
    ["none", point(one, one)],
    ["HS256", JSON.stringify({ kty: "oct", k: one })],
    ["toString", "{}"],
    ["__proto__", "{}"],
  ]) {
    assert.equal(await verifySignature(algorithm, key, INPUT, new Uint8Array(64)), false, `${algorithm} ${key}`);
  }
});

test("more keys than are remembered still verify", async () => {
  const { make, sign: signed } = ALGORITHMS.EdDSA;
  const pairs = Array.from({ length: 300 }, make);
  for (let round = 0; round < 2; round += 1) {
    for (const { publicKey, privateKey } of pairs) {
      assert.equal(await verifySignature("EdDSA", jwk(publicKey), INPUT, new Uint8Array(signed(privateKey, INPUT))), true);
    }
  }
});

/** Texts of the RFCs, signed by somebody else. */
const VECTORS = {
  "RFC 7515 A.3, ES256": [
    "ES256",
    { crv: "P-256", kty: "EC", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
  ],
  "RFC 8037 A.4, Ed25519": [
    "EdDSA",
    { crv: "Ed25519", kty: "OKP", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
  ],
  "RFC 9449 §4.1, the example of a proof": [
    "ES256",
    { crv: "P-256", kty: "EC", x: "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", y: "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA" },
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
  ],
};

for (const [name, [algorithm, key, text]] of Object.entries(VECTORS)) {
  test(`${name}, holds`, async () => {
    const at = text.lastIndexOf(".");
    assert.equal(await verifySignature(algorithm, JSON.stringify(key), bytes(text.slice(0, at)), decoded(text.slice(at + 1))), true);
  });
}

test("workerd answers every one of these questions as node does", async () => {
  const worker = `
    import { verifySignature } from "./signatures.mjs";
    const decoded = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    export default {
      async fetch(request) {
        const answers = [];
        for (const [algorithm, key, input, signature] of await request.json()) {
          answers.push(await verifySignature(algorithm, key, decoded(input), decoded(signature)));
        }
        return Response.json(answers);
      },
    };`;
  const script = readFileSync(new URL("../../src/edge/signatures.mjs", import.meta.url), "utf8");
  const modules = { "index.js": { type: "esm", contents: worker }, "signatures.mjs": { type: "esm", contents: script } };
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    workers: [
      {
        config: {
          name: "signatures",
          compatibilityDate: "2026-11-17",
          manifest: { mainModule: "index.js", modulesRoot: import.meta.dirname, modules },
        },
        dev: { rootPath: import.meta.dirname },
      },
    ],
  });
  after(() => miniflare.dispose());
  const body = JSON.stringify(asked.map(({ question }) => question));
  const response = await fetch(await miniflare.ready, { method: "POST", body });
  const answers = await response.json();
  assert.ok(asked.length > 600 && answers.length === asked.length);
  for (const [index, { question, answer }] of asked.entries()) assert.equal(answers[index], answer, question.join(" "));
});
