// Checks signatures of strangers with Web Crypto, which knows RSA and elliptic curves and is no part of the wasm.

/** Imported keys that are remembered. A client signs every request with the same one. */
const MAX_KEYS = 256;

/** How to import a key for an algorithm of JOSE (RFC 7518 §3.1, RFC 8037 §3.1), and how to check with it. */
const ALGORITHMS = {
  ES256: { key: { name: "ECDSA", namedCurve: "P-256" }, check: { name: "ECDSA", hash: "SHA-256" } },
  EdDSA: { key: { name: "Ed25519" }, check: { name: "Ed25519" } },
  RS256: { key: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, check: { name: "RSASSA-PKCS1-v1_5" } },
  PS256: { key: { name: "RSA-PSS", hash: "SHA-256" }, check: { name: "RSA-PSS", saltLength: 32 } },
};

/** By algorithm and text, those that were used last at the end. Whoever fills it with keys of their own costs others an import, no more. */
const keys = new Map();

async function imported(algorithm, jwk) {
  const name = `${algorithm} ${jwk}`;
  const key = keys.get(name) ?? (await crypto.subtle.importKey("jwk", JSON.parse(jwk), ALGORITHMS[algorithm].key, false, ["verify"]));
  keys.delete(name);
  keys.set(name, key);
  if (keys.size > MAX_KEYS) keys.delete(keys.keys().next().value);
  return key;
}

/**
 * Whether `signature` is the key's over `signingInput`. False for whatever is no key, such as a point that isn't on its curve, too.
 * Never fails.
 *
 * @param {"ES256" | "EdDSA" | "RS256" | "PS256"} algorithm
 * @param {string} jwk the public key, as JSON with the members that it consists of and no other
 * @param {Uint8Array} signingInput
 * @param {Uint8Array} signature
 * @returns {Promise<boolean>}
 */
export async function verifySignature(algorithm, jwk, signingInput, signature) {
  try {
    const key = await imported(algorithm, jwk);
    return await crypto.subtle.verify(ALGORITHMS[algorithm].check, key, signature, signingInput);
  } catch {
    return false;
  }
}
