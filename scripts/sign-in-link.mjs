// A one-time sign-in link:  npm run sign-in-link https://aipassport.example.workers.dev   (key from .production.vars)
//                           npm run sign-in-link http://localhost:8787                    (key from .dev.vars)
//                           npm run sign-in-link -- --local                               (the same, at PORT)

import { parseArgs } from "node:util";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { inRoot } from "./lib/paths.mjs";
import { runScript, SetupError } from "./lib/steps.mjs";

const USAGE =
  "Say which broker:  npm run sign-in-link https://YOUR-BROKER\n" +
  "               or  npm run sign-in-link -- --local      (the one of `npm run dev`)";

function originOf(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new SetupError(`${text} is no URL. ${USAGE}`);
  }
  const isLoopback = url.hostname === "localhost" || url.hostname.endsWith(".localhost");
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback)) {
    throw new SetupError(`${text}: a sign-in link is a secret, so it needs https (or localhost).`);
  }
  if (url.username || url.password) throw new SetupError(`${text} has a user name in it. ${USAGE}`);
  return { origin: url.origin, isLoopback };
}

function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options: { local: { type: "boolean" } } });
  } catch (error) {
    throw new SetupError(`${error.message}\n${USAGE}`);
  }
}

await runScript(async () => {
  await ensureNpmPackages();
  await ensureNode();
  const { readVars, signInLink } = await import("./lib/secrets.mjs");
  const { values, positionals } = readArguments();
  const given = positionals[0] ?? (values.local ? `http://localhost:${process.env.PORT || 8787}` : undefined);
  if (!given) throw new SetupError(USAGE);
  const { origin, isLoopback } = originOf(given);
  const isLocal = values.local || isLoopback;
  const file = isLocal ? ".dev.vars" : ".production.vars";
  const key = process.env.SIGN_IN_KEY || readVars(inRoot(file)).SIGN_IN_KEY;
  if (!key) {
    throw new SetupError(
      `There is no SIGN_IN_KEY in ${file}. ${isLocal ? "`npm run dev` makes it." : "`npm run secrets` makes it, before the first deploy."}`,
    );
  }
  process.stdout.write(`${signInLink(origin, key)}\n`);
  process.stderr.write("It works once, within 10 minutes.\n");
});
