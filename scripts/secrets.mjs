// `npm run secrets`: fresh secrets for a deployed broker, in `.production.vars`, to be uploaded with
// `npx wrangler deploy --secrets-file .production.vars`. Never overwrites: new keys would end every session and token.

import { existsSync } from "node:fs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { inRoot } from "./lib/paths.mjs";
import { runScript, say, SetupError } from "./lib/steps.mjs";

await runScript(async () => {
  await ensureNpmPackages();
  await ensureNode();
  const { writeFreshVars } = await import("./lib/secrets.mjs");
  const path = inRoot(".production.vars");
  if (existsSync(path)) {
    throw new SetupError(
      ".production.vars is there already and stays as it is: new keys would end every session and every token.\n" +
        "Move it away first if that is what you want.",
    );
  }
  writeFreshVars(path);
  say(
    "Made .production.vars (only you can read it; git ignores it).\n" +
      "  Add your provider keys to it:  OPENAI_API_KEY=…  ANTHROPIC_API_KEY=…\n" +
      "  Deploy with it:                npx wrangler deploy --secrets-file .production.vars\n" +
      "  Keep it somewhere safe: `npm run sign-in-link` and `npm run rotate-keys` need it.",
  );
});
