// New signing keys, before the former ones, which go on verifying:  npm run rotate-keys                        (.production.vars)
//                                                                   npm run rotate-keys -- --deploy            (and uploads them)
//                                                                   npm run rotate-keys -- --file .dev.vars

import { closeSync, existsSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, resolve } from "node:path";
import { isDeepStrictEqual, parseArgs, parseEnv } from "node:util";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { readText, root } from "./lib/paths.mjs";
import { runScript, say, SetupError, start } from "./lib/steps.mjs";
import { isPrivateKey, newKeys, rotate } from "./lib/signing-keys.mjs";
import { wrangler, wranglerOptions } from "./lib/wrangler.mjs";

const USAGE = "npm run rotate-keys [-- [--file .production.vars] [--deploy]]";
/** The line of the secret, which may go on in the next ones when it is quoted. */
const LINE = /^[ \t]*(?:export[ \t]+)?SIGNING_KEYS[ \t]*=[ \t]*(?:'[^']*'|"[^"]*"|`[^`]*`|[^\n]*)/m;

function readArguments() {
  try {
    return parseArgs({ options: { file: { type: "string", default: ".production.vars" }, deploy: { type: "boolean" } } }).values;
  } catch (error) {
    throw new SetupError(`${error.message}\n${USAGE}`);
  }
}

/** The keys in the text of a file of variables. No error repeats a part of it. */
function keysIn(text, name) {
  const secret = parseEnv(text).SIGNING_KEYS;
  if (!secret) throw new SetupError(`There is no SIGNING_KEYS in ${name}, so there is nothing to rotate.`);
  const damaged = (what) => new SetupError(`SIGNING_KEYS in ${name} ${what}. ${name} stays as it is.`);
  let keys;
  try {
    ({ keys } = JSON.parse(secret));
  } catch {
    throw damaged("is damaged: it is no JSON");
  }
  if (!Array.isArray(keys)) throw damaged('is damaged: it is no JWK set, {"keys":[…]}');
  if (!keys.every(isPrivateKey)) throw damaged("is damaged: a key in it is no private Ed25519 or P-256 key with a kid");
  return keys;
}

/** The text with other keys and nothing else changed. */
function withKeys(text, keys, name) {
  const secret = JSON.stringify({ keys });
  const changed = text.replace(LINE, () => `SIGNING_KEYS='${secret}'`);
  if (!isDeepStrictEqual(parseEnv(changed), { ...parseEnv(text), SIGNING_KEYS: secret })) {
    throw new SetupError(`SIGNING_KEYS in ${name} can't be replaced: it must stand there once, on a line of its own. ${name} stays as it is.`);
  }
  return changed;
}

/**
 * Replaces a file by what `change` makes of its text, at once: whoever reads it meanwhile, or after a crash, has the old one or the new
 * one, whole. The new one lies beside it until then, which also keeps a second run of this from reading what is about to change.
 */
function replaceFile(path, change) {
  const beside = `${path}.new`;
  let file;
  try {
    file = openSync(beside, "wx", 0o600);
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    throw new SetupError(`${beside} is there: another rotation is at work, or was ended in the middle. In that case remove it; ${path} is whole.`);
  }
  try {
    writeSync(file, change(readText(path)));
    fsyncSync(file);
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

/** The secret goes through a pipe: what stands on a command line, every program on the machine can read. */
async function upload(secrets) {
  const child = start(wrangler, ["secret", "bulk"], { ...wranglerOptions, stdio: ["pipe", "inherit", "inherit"] });
  // It may have ended without reading it; how it ended says more.
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify(secrets));
  return new Promise((done) => {
    child.once("error", () => done(false));
    child.once("close", (code) => done(code === 0));
  });
}

const list = (keys) => keys.map(({ kid, crv }) => `    ${kid}  ${crv}\n`).join("");

await runScript(async () => {
  const options = readArguments();
  // Where the person stands who names a file; a script's name stands for its own folder.
  const named = resolve(options.file === ".production.vars" ? root : (process.env.INIT_CWD ?? process.cwd()), options.file);
  const name = basename(named);
  if (!existsSync(named)) {
    throw new SetupError(`There is no ${named}. ${name === ".dev.vars" ? "`npm run dev`" : "`npm run secrets`"} makes it, with its first keys.`);
  }
  if (options.deploy && name === ".dev.vars") {
    throw new SetupError(".dev.vars holds the keys of this machine's broker: they are not for a deployed one.");
  }
  await ensureNpmPackages();
  await ensureNode();

  const path = realpathSync(named);
  const fresh = newKeys();
  let kept, dropped, secret;
  replaceFile(path, (text) => {
    const former = keysIn(text, name);
    const next = rotate(former, fresh);
    dropped = next.dropped;
    kept = next.keys.slice(fresh.length);
    const changed = withKeys(text, next.keys, name);
    secret = parseEnv(changed).SIGNING_KEYS;
    return changed;
  });
  say(
    `Rotated the keys in ${name}.\n` +
      `  Sign from now on:\n${list(fresh)}` +
      (kept.length > 0 ? `  Still verify:\n${list(kept)}` : "") +
      (dropped.length > 0 ? `  Dropped, out of use for more than a day:\n${list(dropped)}` : ""),
  );
  if (name === ".dev.vars") {
    say("Restart the broker of this machine, so that it reads them.");
    return;
  }
  const quoted = `'${path.replaceAll("'", "'\\''")}'`;
  const command = `grep '^SIGNING_KEYS=' ${path === `${root}/${name}` ? name : quoted} | npx wrangler secret bulk`;
  if (!options.deploy) {
    say(`Now give them to the deployed broker:\n\n  ${command}\n\nTokens that apps have stay good.`);
    return;
  }
  if (!(await upload({ SIGNING_KEYS: secret }))) {
    throw new SetupError(`The upload failed. The new keys are in ${name} and not at the broker, which goes on with the former ones. Upload them with:\n\n  ${command}`);
  }
  say("The deployed broker has them. Tokens that apps have stay good.");
});
