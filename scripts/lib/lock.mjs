// One set-up at a time. The lock only saves double work: every step also renames its result into place in one go.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inCache } from "./paths.mjs";
import { say, SetupError } from "./steps.mjs";

const BEAT_MS = 5_000;
const STALE_AFTER_MS = 30_000;

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Left behind by a process that was killed. The holder touches the file as long as it lives. */
function isStale(path) {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    return Date.now() - statSync(path).mtimeMs > STALE_AFTER_MS || (pid > 0 && !isAlive(pid));
  } catch {
    return false;
  }
}

export async function withLock(name, work) {
  mkdirSync(inCache("locks"), { recursive: true });
  const path = inCache("locks", name);
  for (let told = false; ; ) {
    try {
      writeFileSync(path, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isStale(path)) rmSync(path, { force: true });
    else if (!told) {
      told = true;
      say("  waiting for another set-up on this machine …");
    }
    await sleep(300);
  }
  const release = keep(path);
  try {
    return await work();
  } finally {
    release();
  }
}

/** Shows that the holder of a lock lives. Returns how to let it go; it goes with this process in any case. */
function keep(path) {
  const beat = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Taken over after a long sleep of the machine; the work is safe to do twice.
    }
  }, BEAT_MS);
  const release = () => {
    clearInterval(beat);
    process.off("exit", release);
    rmSync(path, { force: true });
  };
  process.once("exit", release);
  return release;
}

/** Takes a state folder for one broker: two on the same database would not see each other's ledgers. Returns how to let it go. */
export function holdState(folder) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "dev.pid");
  if (existsSync(path) && !isStale(path)) {
    throw new SetupError(
      `Another \`npm run dev\` (process ${readFileSync(path, "utf8")}) uses the state in ${folder}.\n` +
        "End that one, or give this one a state of its own:  STATE_DIR=.wrangler/other npm run dev",
    );
  }
  writeFileSync(path, String(process.pid));
  return keep(path);
}
