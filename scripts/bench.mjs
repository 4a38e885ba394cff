// `npm run bench`: what a call costs, beside a worker that does nothing but return the upstream's body. Some minutes; Linux.

import { build } from "./build.mjs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { runScript } from "./lib/steps.mjs";

await runScript(async () => {
  await ensureNpmPackages();
  await ensureNode();
  await build();
  await import("../tests/bench/call.mjs");
});
