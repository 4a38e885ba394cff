// The keys that sign access tokens: how they are made, and how new ones take the place of old ones.

import { createHash, generateKeyPairSync } from "node:crypto";

const DAY_SECONDS = 24 * 3600;
/**
 * How long a key stays after the next of its kind was made. A token of an app lives an hour, and the public key set may be cached for
 * five minutes more; the rest of the day is for a rotation that is uploaded later than it is made. Tokens that people make for
 * themselves live a year at most, and Ed25519 signs them.
 */
const KEPT_SECONDS = { Ed25519: 366 * DAY_SECONDS, "P-256": DAY_SECONDS };

/** What a thumbprint is made from, in this order (RFC 7638 §3.2, RFC 8037 §2). */
const thumbprint = ({ crv, kty, x, y }) =>
  createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");

/** A private JWK, named by its thumbprint. `iat` is ours: when it was made, in seconds. */
function newKey(alg, type, options) {
  const { kty, crv, x, y, d } = generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
  return { kty, crv, alg, use: "sig", kid: thumbprint({ crv, kty, x, y }), iat: Math.floor(Date.now() / 1000), x, y, d };
}

/** A new key of each kind: Ed25519, which signs what nobody asks to be signed otherwise, and P-256. */
export const newKeys = () => [newKey("EdDSA", "ed25519"), newKey("ES256", "ec", { namedCurve: "P-256" })];

/** Whether this is a key as {@link newKeys} makes them. A broker refuses a whole set for one that isn't. */
export const isPrivateKey = (key) =>
  ["kid", "d"].every((name) => typeof key?.[name] === "string" && key[name] !== "") &&
  ["OKP Ed25519", "EC P-256"].includes(`${key.kty} ${key.crv}`);

/**
 * Puts `fresh` keys before `former` ones, newest first, and drops those that no living token can name: whose successor of the same
 * kind, which has signed since, was made longer ago than {@link KEPT_SECONDS}.
 */
export function rotate(former, fresh, now = Math.floor(Date.now() / 1000)) {
  const successorOf = (index) => former.slice(0, index).findLast(({ crv }) => crv === former[index].crv);
  // The newest one has its successor in `fresh`. One that doesn't say when it was made is taken for new.
  const isOver = (_, index) => now - (successorOf(index)?.iat ?? now) > KEPT_SECONDS[former[index].crv];
  return { keys: [...fresh, ...former.filter((key, index) => !isOver(key, index))], dropped: former.filter(isOver) };
}
