// `npm run proof`: calls without end against a provider that bills by its own rules, while clients leave and workerd is killed; never above
// a cap. MINUTES (default 10), SEED to repeat a run. The figures are in target/proof/summary.json.

import { build } from "./build.mjs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { runScript } from "./lib/steps.mjs";

await runScript(async () => {
  await ensureNpmPackages();
  await ensureNode();
  await build();
  const { main } = await import("../tests/proof/run.mjs");
  return main();
});
