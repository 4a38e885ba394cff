// `npm run bench`: what a call costs, beside hand-written floors, and what a page costs. Some minutes; Linux. `npm run bench -- calls` measures one part.

import { build } from "./build.mjs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { runScript } from "./lib/steps.mjs";

await runScript(async () => {
  await ensureNpmPackages();
  await ensureNode();
  await build();
  const { bench } = await import("../tests/bench/index.mjs");
  await bench(process.argv.slice(2));
});
