// Chromium, and an ear on everything that it complains about.

import { accessSync, constants } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { ROOT } from "./broker.mjs";

const KNOWN = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export const ARTIFACTS = process.env.AIPASSPORT_ARTIFACTS ?? path.join(ROOT, "target", "screenshots");

export async function launch() {
  const executablePath = KNOWN.filter(Boolean).find(isProgram);
  if (!executablePath) throw new Error("no Chromium found; set CHROMIUM to its program");
  await mkdir(ARTIFACTS, { recursive: true });
  // Containers forbid the sandbox its namespaces, and the pages are our own.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** Collects what a page logs as an error, throws, or is forbidden by a content security policy. */
export function listen(page, complaints = []) {
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  return complaints;
}

/** One page in light and dark, wide and on a phone. Fails nothing; the pictures are for people. */
export async function picture(page, name) {
  const before = page.viewportSize();
  for (const [size, viewport] of Object.entries({ wide: { width: 1200, height: 800 }, phone: { width: 390, height: 844 } })) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: path.join(ARTIFACTS, `${name}-${size}-${colorScheme}.png`), fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
}

/** How far a page can be scrolled sideways, in pixels. */
export const sidewaysScroll = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
