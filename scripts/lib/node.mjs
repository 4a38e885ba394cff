// npm packages, and the Node that wrangler accepts. Runs on any Node since 20, with nothing installed.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { bin, inRoot, readText, treeId } from "./paths.mjs";
import { withLock } from "./lock.mjs";
import { onSignal, say, SetupError, step } from "./steps.mjs";

const NEEDED = [22, 12];
const [major, minor] = process.versions.node.split(".").map(Number);
const isNewEnough = major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
const stampPath = inRoot("node_modules", ".aipassport");

/** The lock file holds what package.json asks for too; its other lines change nothing here. */
function wantedStamp() {
  return createHash("sha256")
    .update(`${process.platform} ${process.arch}\n${readText(inRoot("package-lock.json"))}`)
    .digest("hex");
}
const isFresh = () => existsSync(stampPath) && readText(stampPath) === wantedStamp();

export async function ensureNpmPackages() {
  if (isFresh()) return;
  await withLock(`npm-${treeId}`, async () => {
    if (isFresh()) return;
    await step("npm packages", "npm", ["ci", "--no-fund", "--no-audit"], {
      cwd: inRoot(),
      hint: "If it could not fetch something, check the network; then run the same command again.",
    });
    if (!isNewEnough && !existsSync(bin("node"))) {
      throw new SetupError(
        "The npm package `node` brought no Node: install scripts are switched off (npm's `ignore-scripts`).\n" +
          "Switch them on for this folder, or use Node 22.12 or newer yourself, and run the same command again.",
      );
    }
    writeFileSync(stampPath, wantedStamp());
  });
}

/** Goes on only under a Node that is new enough; an older one runs this same script again under ours and waits for it. */
export async function ensureNode() {
  if (isNewEnough) {
    // Said to this process, not to what it starts.
    delete process.env.AIPASSPORT_UNDER_OUR_NODE;
    return;
  }
  if (process.env.AIPASSPORT_UNDER_OUR_NODE) {
    throw new SetupError(`Node ${NEEDED.join(".")} or newer is needed, and ${bin("node")} is ${process.version}.`);
  }
  // Not in a process group of its own: it may read from the terminal, which only the group in front can do.
  const child = spawn(bin("node"), process.argv.slice(1), {
    stdio: "inherit",
    env: { ...process.env, AIPASSPORT_UNDER_OUR_NODE: "1" },
  });
  onSignal((signal) => child.kill(signal));
  const [code, signal] = await new Promise((done, fail) => {
    child.once("error", fail);
    child.once("exit", (...outcome) => done(outcome));
  });
  if (signal) say(`ended by ${signal}`);
  process.exit(code ?? 1);
}
