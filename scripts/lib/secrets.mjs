// The broker's own secrets, and the files they lie in: `.dev.vars` for this machine, `.production.vars` for a deployed broker.

import { createHmac, randomBytes } from "node:crypto";
import { appendFileSync, chmodSync, existsSync, writeFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { readText } from "./paths.mjs";
import { newKeys } from "./signing-keys.mjs";
import { SetupError } from "./steps.mjs";

const LINK_LIFE_SECONDS = 600;
const random = (bytes) => randomBytes(bytes).toString("base64url");
const signingKeys = () => JSON.stringify({ keys: newKeys() });

const SECRETS = { SIGNING_KEYS: signingKeys, COOKIE_KEY: () => random(32), SIGN_IN_KEY: () => random(32) };

const lines = (names) => names.map((name) => `${name}='${SECRETS[name]()}'\n`).join("");

export const readVars = (path) => (existsSync(path) ? parseEnv(readText(path)) : {});

/** Adds what `path` lacks of our secrets and changes nothing that is in it. Only its owner can read it afterwards. */
export function completeVars(path) {
  const missing = Object.keys(SECRETS).filter((name) => !readVars(path)[name]);
  if (missing.length > 0) {
    const comment = existsSync(path) ? "\n" : "# Secrets of the broker on this machine. Add OPENAI_API_KEY=… or ANTHROPIC_API_KEY=… to use the real provider.\n";
    appendFileSync(path, comment + lines(missing), { mode: 0o600 });
  }
  chmodSync(path, 0o600);
  return readVars(path);
}

/** Writes fresh secrets to a file that must not be there yet. */
export const writeFreshVars = (path) => writeFileSync(path, lines(Object.keys(SECRETS)), { mode: 0o600, flag: "wx" });

/** A link that signs in once, within ten minutes. Needs only the key, not the broker. */
export function signInLink(issuer, signInKey) {
  const key = Buffer.from(signInKey ?? "", "base64url");
  if (key.length !== 32) throw new SetupError("SIGN_IN_KEY is not 32 bytes in base64url.");
  const payload = Buffer.from(
    JSON.stringify({ n: random(16), exp: Math.floor(Date.now() / 1000) + LINK_LIFE_SECONDS }),
  ).toString("base64url");
  const mac = createHmac("sha256", key).update(`aipassport sign-in link v1\n${payload}`).digest("base64url");
  return `${issuer}/sign-in?token=aip_sl_${payload}.${mac}`;
}
