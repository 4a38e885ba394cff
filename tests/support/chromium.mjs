// Chromium, and an ear on everything that it complains about.

import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { ROOT } from "./broker.mjs";

// As in broker.mjs: finding out what it exports would take longer than running it.
const { chromium } = createRequire(import.meta.url)("playwright-core");

const KNOWN = [
  process.env.CHROMIUM,
  "/usr/bin/chromium-headless-shell",
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

export async function launch() {
  const executablePath = KNOWN.filter(Boolean).find(isProgram);
  if (!executablePath) throw new Error("no Chromium found; set CHROMIUM to its program");
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

/** Style sheet, scripts and icons for every page of a browser: the platform serves them before the worker is asked. */
export async function serveAssets(context) {
  const assets = path.join(ROOT, "public");
  await context.route(/^[^?]*\/[\w.-]+\.(css|svg|js|png)$/, (route) => {
    return route.fulfill({ path: path.join(assets, path.basename(new URL(route.request().url()).pathname)) });
  });
}

/** How far a page can be scrolled sideways, in pixels. */
export const sidewaysScroll = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
