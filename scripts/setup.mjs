// Set-up alone: `npm run setup [-- --browser --clients]`. The other commands do it themselves.

import { ensureChromium } from "./lib/chromium.mjs";
import { ensureNode, ensureNpmPackages } from "./lib/node.mjs";
import { cacheDir } from "./lib/paths.mjs";
import { ensurePythonClients } from "./lib/python.mjs";
import { ensureRustClient } from "./lib/rust-client.mjs";
import { runScript, say } from "./lib/steps.mjs";
import { ensureWasmToolchain } from "./lib/toolchain.mjs";

await runScript(async () => {
  await ensureNpmPackages();
  await ensureNode();
  await ensureWasmToolchain();
  if (process.argv.includes("--browser")) say(`Chromium: ${await ensureChromium()}`);
  if (process.argv.includes("--clients")) say(`Test clients: ${await ensurePythonClients()}, ${await ensureRustClient()}`);
  say(`Everything is there. Tools lie in ${cacheDir}.`);
});
