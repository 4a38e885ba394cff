// Where things lie: the work tree, and the cache of tools outside it that a clean checkout shares with the others.

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
export const inRoot = (...parts) => join(root, ...parts);
export const bin = (name) => inRoot("node_modules", ".bin", name);

export const cacheDir = resolve(
  process.env.AIPASSPORT_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "aipassport"),
);
export const inCache = (...parts) => join(cacheDir, ...parts);

/** A name for this work tree inside the shared cache. */
export const treeId = createHash("sha256").update(root).digest("hex").slice(0, 12);

/** What a set-up that was killed has left behind: anything a day old. */
function sweep(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (Date.now() - statSync(path).mtimeMs > 86_400_000) rmSync(path, { recursive: true, force: true });
  }
}

/** Runs `fill` with an empty folder that lies in the cache, so that renaming it into place is atomic. */
export async function withTemporaryFolder(name, fill) {
  mkdirSync(inCache("tmp"), { recursive: true });
  sweep(inCache("tmp"));
  const folder = mkdtempSync(inCache("tmp", `${name}-`));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // Also when a signal ends this process in between.
  process.once("exit", remove);
  try {
    return await fill(folder);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

export const readText = (path) => readFileSync(path, "utf8");

/** The version of a crate that a lock names. */
export function lockedCrateVersion(crate, lock = "Cargo.lock") {
  const found = readText(inRoot(lock)).match(new RegExp(`name = "${crate}"\\nversion = "([^"]+)"`));
  if (!found) throw new Error(`${lock} names no ${crate}`);
  return found[1];
}
