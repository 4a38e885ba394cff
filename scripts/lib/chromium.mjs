// A Chromium for the browser test: the one that is there, or Debian's.

import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { apt, isDebianRoot } from "./debian.mjs";
import { withLock } from "./lock.mjs";
import { SetupError } from "./steps.mjs";

/** First the one without windows: the same engine, and with a whole browser around it the tests take half as long again. */
const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"];
const MAC_APPS = ["Google Chrome", "Chromium", "Microsoft Edge", "Google Chrome for Testing"];

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Browsers that `playwright install chromium` downloaded on this machine. */
function playwrightBrowsers() {
  const home = [join(homedir(), ".cache", "ms-playwright"), join(homedir(), "Library", "Caches", "ms-playwright")].find(existsSync);
  if (!home) return [];
  const inside = [["chrome-linux", "chrome"], ["chrome-linux64", "chrome"], ["chrome-mac", "Chromium.app", "Contents", "MacOS", "Chromium"]];
  return readdirSync(home)
    .filter((name) => /^chromium-\d+$/.test(name))
    .flatMap((name) => inside.map((parts) => join(home, name, ...parts)));
}

export function findChromium() {
  if (process.env.CHROMIUM) {
    if (isProgram(process.env.CHROMIUM)) return process.env.CHROMIUM;
    throw new SetupError(`CHROMIUM says ${process.env.CHROMIUM}, and there is no program.`);
  }
  const folders = (process.env.PATH ?? "").split(":").filter(Boolean);
  const apps = ["/Applications", join(homedir(), "Applications")];
  return [
    ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))),
    ...apps.flatMap((folder) => MAC_APPS.map((name) => join(folder, `${name}.app`, "Contents", "MacOS", name))),
    ...playwrightBrowsers(),
  ].find(isProgram);
}

export async function ensureChromium() {
  const found = findChromium();
  if (found) return found;
  if (!(await isDebianRoot())) {
    throw new SetupError(
      "The browser test needs Chromium or Chrome, and none was found.\n" +
        "  Install one (macOS: `brew install --cask chromium`; Linux: your package manager's `chromium`; any: `npx playwright install chromium`),\n" +
        "  or set CHROMIUM to its program. The other tests run without it: `npm test -- --only native,blackbox`.",
    );
  }
  return withLock("chromium", async () => {
    if (findChromium()) return findChromium();
    await apt("apt-get update", ["update"]);
    // Every page is there in Korean too: without its letters it has boxes, in the pictures and where widths are measured.
    const packages = ["chromium-headless-shell", "fonts-liberation", "fonts-nanum"];
    await apt("Chromium (apt-get install)", ["install", "-y", "--no-install-recommends", ...packages]);
    return findChromium();
  });
}
