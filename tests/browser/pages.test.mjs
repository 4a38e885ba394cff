// What holds on every page, for everybody, in every language: it can be used by keyboard, with a screen reader, in the dark and on a
// phone; it is small, and the browser has nothing to complain about. The pages are listed in tests/support/pages.mjs; for pictures of
// them there is `npm run pictures`.
//
// Each is opened once in each language. What is looked at in which width (1280 or 360 pixels), theme and language is what can come out
// differently there:
//
//                                                          widths   themes   languages
//   status, policy, requests, weight, complaints, heading  any      any      both        one load serves all widths and themes
//   the language it says, words left in English            any      any      both
//   code in a type of one width                            any      any      both        a language has a type of its own
//   nothing cut off or beyond the edge, folded and opened  both     any      both        words are as long as their language
//   axe: contrast, links told by colour                    both     both     English     a language has no colours
//   axe: room for fingers, regions that scroll             both     any      both
//   axe: everything else                                   any      any      both        wide in English, on a phone in Korean
//   Tab                                                    wide     any      both
//
// "Any" and "English" rest on the style sheet, whose own test is below: a theme is colours, a language is type.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { after, describe, test } from "node:test";
import { ROOT } from "../support/broker.mjs";
import { PAGES, STILL_ENGLISH, startChromium, startPages, startTabs, visit } from "../support/pages.mjs";

/** Of the page, its style sheet and its script, as they are before the platform compresses them. */
const MAX_BYTES = 60_000;
const MAX_REQUESTS = 3;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** Those of them that ask about colours, and those that ask how much room something has. */
const COLOURS = ["color-contrast", "link-in-text-block"];
const ROOM = ["target-size", "scrollable-region-focusable"];

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const chromium = await startChromium();
const sizes = [];
const spent = {};
after(() => {
  const largest = sizes.sort((one, other) => other.bytes - one.bytes).slice(0, 3);
  console.log(`largest pages: ${largest.map(({ name, bytes }) => `${name} ${(bytes / 1000).toFixed(1)} KB`).join(", ")}`);
  console.log(`time: ${Object.entries(spent).map(([what, ms]) => `${what} ${(ms / 1000).toFixed(0)} s`).join(", ")}`);
});

/** Counts what this file spends its time on: it is the longest of the suite. */
async function timed(what, work) {
  const began = performance.now();
  try {
    return await work();
  } finally {
    spent[what] = (spent[what] ?? 0) + performance.now() - began;
  }
}

/** Goes there under the page's own policy, and notes what that took and what the browser said about it. */
async function open(entry, page, world) {
  // What a script of the page before still asks for, until the next one arrives, is not the next one's.
  if (await page.evaluate(() => document.scripts.length > 0)) await page.goto("about:blank");
  const seen = { requests: [], complaints: [] };
  const onRequest = (request) => {
    if (request.isNavigationRequest()) seen.requests = [];
    seen.requests.push(request);
  };
  const onConsole = (message) => seen.complaints.push(message.text());
  const onError = (error) => seen.complaints.push(String(error));
  page.on("request", onRequest).on("console", onConsole).on("pageerror", onError);
  const response = await visit(entry, page, world, () => (seen.complaints = []));
  page.off("request", onRequest).off("console", onConsole).off("pageerror", onError);
  const expected = entry.status ?? 200;
  // The browser reports a page that is an error, and that is the point of it.
  const complaints = seen.complaints.filter((text) => expected < 400 || !text.includes(`status of ${expected}`));
  const isPicture = (request) => /\.(svg|png)$/.test(request.url());
  const requests = seen.requests.filter((request) => !isPicture(request));
  const bodies = await Promise.all(requests.map(async (request) => (await request.response()).body()));
  const bytes = bodies.reduce((sum, body) => sum + body.length, 0);
  const pictures = new Set(seen.requests.filter(isPicture).map((request) => request.url()));
  return { response, bytes, requests: requests.map((request) => request.url()), pictures: [...pictures], complaints };
}

/** A line to the debugger of a tab, which no policy of a page binds. */
const debuggers = new WeakMap();
async function devtools(page) {
  if (!debuggers.has(page)) debuggers.set(page, await page.context().newCDPSession(page));
  return debuggers.get(page);
}

/** What axe-core finds: by all its rules, by some, or by all but some. */
async function findings(page, { only, without = [] } = {}) {
  const runOnly = only ? { type: "rule", values: only } : { type: "tag", values: RULES };
  const rules = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]));
  return page.evaluate(async (options) => {
    const { violations } = await globalThis.axe.run(document, options);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ""}`).join("; ")}`);
  }, { runOnly, rules, resultTypes: ["violations"], preload: false });
}

/** Presses Tab so often at a stretch: to wait for each would take longer than all of them. */
async function pressTab(page, times) {
  const line = await devtools(page);
  const strokes = Array.from({ length: times }, () => ["rawKeyDown", "keyUp"]).flat();
  const key = { key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 };
  await Promise.all(strokes.map((type) => line.send("Input.dispatchKeyEvent", { type, ...key })));
}

/** What Tab reaches, in which order, and whether each can be seen. */
async function walk(page) {
  const wanted = await page.evaluate(() => {
    const all = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
    const isReachable = (element) =>
      element.tabIndex >= 0 && !element.matches(":disabled") && element.checkVisibility({ visibilityProperty: true });
    // Of radio buttons only the one that is chosen.
    const isChosen = (element) =>
      element.type !== "radio" || element.checked || !element.form.querySelector(`[name="${element.name}"]:checked`);
    const stops = [...document.querySelectorAll(all)].filter((element) => isReachable(element) && isChosen(element));
    globalThis.walked = [];
    globalThis.look = () => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const { left, right, top, bottom, width } = element.getBoundingClientRect();
      const isInView = width > 0 && right > 0 && bottom > 0 && left < innerWidth && top < innerHeight;
      const isOutlined = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
      globalThis.walked.push({ index: stops.indexOf(element), isOnPage: element !== document.body, isSeen: isInView && isOutlined });
    };
    // Before the key does anything: where the one before it led.
    addEventListener("keydown", globalThis.look, { capture: true });
    stops[0]?.focus();
    const text = (element) => element.textContent.trim().slice(0, 30) || element.name || element.id;
    return stops.map((element) => `${element.tagName.toLowerCase()} ${text(element)}`);
  });
  const [reached, unseen] = [[], []];
  const follow = (walked) => {
    for (const { index, isOnPage, isSeen } of walked) {
      if (!isOnPage || (index >= 0 && index < (reached.at(-1) ?? 0))) return true;
      // A region that scrolls is a stop of its own; a field of several parts is one for each.
      if (index >= 0 && reached.at(-1) !== index) {
        reached.push(index);
        if (!isSeen) unseen.push(wanted[index]);
      }
      if (index === wanted.length - 1) return true;
    }
    return false;
  };
  for (let presses = wanted.length - 1; presses <= wanted.length * 2 + 10; presses += 10) {
    await pressTab(page, reached.length === 0 ? wanted.length - 1 : 10);
    const isOver = follow(await page.evaluate(() => (globalThis.look(), globalThis.walked.splice(0))));
    if (isOver) break;
  }
  return { wanted, reached: reached.map((index) => wanted[index]), unseen };
}

/** How far the page moves sideways, controls whose words are wider than they are, and whatever ends outside the window. */
function beyondItsRoom() {
  const { scrollWidth, clientWidth } = document.documentElement;
  const found = scrollWidth > clientWidth ? [`it moves sideways by ${scrollWidth - clientWidth} px`] : [];
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".hidden, .skip");
  const say = (element, why) => found.push(`${element.outerHTML.slice(0, 80)} ${why}`);
  const canvas = document.createElement("canvas").getContext("2d");
  for (const element of document.querySelectorAll("main *, header *, footer *")) {
    if (!isShown(element)) continue;
    const style = getComputedStyle(element);
    if (element.tagName === "SELECT") {
      canvas.font = style.font;
      const widest = canvas.measureText(element.selectedOptions[0]?.text ?? "").width;
      const room = element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      // The arrow takes some of it.
      if (widest > room - 12) say(element, `${widest.toFixed(0)} px in ${room.toFixed(0)}`);
    } else if (element.tagName === "BUTTON" || element.matches(".button, .tag, summary, h1, h2, h3, th, td, dd, dt, p")) {
      const isWider = element.scrollWidth > element.clientWidth + 1 && style.display !== "inline";
      if (isWider) say(element, `${element.scrollWidth} px in ${element.clientWidth}`);
    }
    const { left, right } = element.getBoundingClientRect();
    const isOutside = left < -1 || right > document.documentElement.clientWidth + 1;
    if (isOutside && !element.closest("pre, .scroll, svg")) say(element, `from ${left} to ${right}`);
  }
  return found;
}

/** Code whose letters differ in width. */
const otherThanMonospace = () =>
  [...document.querySelectorAll("code, .code, .user-code")]
    .filter((element) => !getComputedStyle(element).fontFamily.includes("monospace"))
    .map((element) => element.outerHTML.slice(0, 80));

/** Texts of three words and more without a Korean letter, but for code and names. */
const leftInEnglish = (page) =>
  page.evaluate(() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [document.title];
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (!element.closest("code, pre, textarea, script, [lang=en], [translate=no]")) found.push(texts.currentNode.textContent.trim());
    }
    return found.filter((text) => /(\p{Script=Latin}[\p{Script=Latin}’',.:;]*\s+){2}\p{Script=Latin}+/u.test(text) && !/\p{Script=Hangul}/u.test(text));
  });

/** All that must hold on one page. */
async function check(t, entry, language, page, world) {
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 800 });
  const { response, bytes, requests, pictures, complaints } = await timed("opening", () => open(entry, page, world));
  sizes.push({ name: entry.name, bytes });
  assert.ok(bytes <= MAX_BYTES, `${bytes} bytes`);
  assert.ok(requests.length <= MAX_REQUESTS, requests.join(" "));
  assert.ok(pictures.length <= 1, pictures.join(" "));
  assert.deepEqual(complaints, []);
  assert.deepEqual(await page.evaluate(() => globalThis.violations), [], "nothing was against the policy");
  const headers = response.headers();
  assert.match(headers["content-security-policy"], /^default-src 'none'; .*frame-ancestors 'none'/);
  assert.doesNotMatch(headers["content-security-policy"], /unsafe|https?:\/\/(?!localhost|127\.0\.0\.1|reading\.example|app\.example)/);
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(await page.evaluate(() => document.documentElement.lang), language);
  assert.equal(await page.locator("h1").count(), 1);
  if (language === "ko" && !STILL_ENGLISH.includes(entry.template)) assert.deepEqual(await leftInEnglish(page), []);

  assert.deepEqual(await page.evaluate(otherThanMonospace), []);
  const fits = async (what) => assert.deepEqual(await page.evaluate(beyondItsRoom), [], what);
  const wide = () => page.setViewportSize({ width: 1280, height: 800 });
  const phone = () => page.setViewportSize({ width: 360, height: 800 });
  await fits("wide");
  await phone();
  await fits("on a phone");
  // What is folded away has to be right as well.
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => Object.assign(details, { name: "", open: true })));
  await fits("opened, on a phone");
  await timed("axe", async () => {
    await (await devtools(page)).send("Runtime.evaluate", { expression: axe });
    const passes = async (what, rules) => assert.deepEqual(await findings(page, rules), [], what);
    if (language === "en") {
      await passes("on a phone", { only: [...COLOURS, ...ROOM] });
      await page.emulateMedia({ colorScheme: "dark" });
      await passes("on a phone, dark", { only: COLOURS });
      await wide();
      await passes("wide, dark", { only: COLOURS });
      await page.emulateMedia({ colorScheme: "light" });
      await passes("wide");
    } else {
      await passes("on a phone", { without: COLOURS });
      await wide();
      await passes("wide", { only: ROOM });
    }
  });
  await fits("opened, wide");

  // What changes by itself stands still while somebody walks.
  await page.route(/\/live$/, (route) => route.fulfill({ status: 304 }));
  const { wanted, reached, unseen } = await timed("keyboard", () => walk(page));
  assert.deepEqual(reached, wanted, "Tab reaches everything, in the order of the page");
  assert.deepEqual(unseen, [], "what has the focus can be seen");
  t.diagnostic(`${requests.length} requests, ${bytes} bytes`);
}

// Each language has a broker of its own, so that one is not in the other's way.
const worlds = Object.fromEntries(await Promise.all(["en", "ko"].map(async (language) => [language, await startPages()])));

describe("every page", { concurrency: 2 }, () => {
  for (const [language, world] of Object.entries(worlds)) {
    describe(language, { concurrency: 1 }, () => {
      const tab = startTabs(chromium, world, language);
      for (const entry of PAGES) {
        test(`${entry.name}, ${language}, ${entry.who}`, async (t) => check(t, entry, language, await tab(entry.who), world));
      }
    });
  }
});

test("the dark is other colours, and a language another type, and no more", async () => {
  const page = await startTabs(chromium, worlds.en, "en")("stranger");
  await page.goto(`${worlds.en.broker.url}/developers`);
  const { dark, spoken } = await page.evaluate(() => {
    const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
    const inDark = rules.filter((rule) => rule.media?.mediaText.includes("prefers-color-scheme")).flatMap((rule) => [...rule.cssRules]);
    const all = rules.flatMap((rule) => (rule.media ? [...rule.cssRules] : rule));
    const isColour = (rule, name) => name.startsWith("--") && CSS.supports("color", rule.style.getPropertyValue(name));
    return {
      dark: inDark.flatMap((rule) => [...rule.style].map((name) => isColour(rule, name) || `${rule.selectorText} ${name}`)),
      spoken: all.filter((rule) => /\[lang|:lang/.test(rule.selectorText)).flatMap((rule) => [...rule.style]),
    };
  });
  assert.ok(dark.length > 0);
  assert.deepEqual(dark.filter((found) => found !== true), []);
  assert.deepEqual(spoken, ["font-family", "word-break"]);
});

test("the skip link leads past the navigation", async () => {
  const page = await startTabs(chromium, worlds.en, "en")("operator");
  await page.goto(`${worlds.en.broker.url}/grants`);
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  assert.ok(await skip.evaluate((link) => link === document.activeElement && link.getBoundingClientRect().left >= 0));
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest("main") !== null), "the next stop is in the content");
});

test("every page that there is a template for is on the list", async () => {
  const files = await readdir(path.join(ROOT, "src/web/pages"));
  const extending = [];
  for (const file of files) {
    const source = await readFile(path.join(ROOT, "src/web/pages", file), "utf8");
    if (source.startsWith('{% extends "base.html" %}')) extending.push(file);
  }
  const listed = new Set(PAGES.map(({ template, status }) => template ?? (status >= 400 ? "error.html" : undefined)));
  assert.deepEqual(extending.filter((file) => !listed.has(file)), []);
  assert.deepEqual([...listed].filter((file) => !extending.includes(file)), []);
});
