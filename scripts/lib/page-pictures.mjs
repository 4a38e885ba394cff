// Pictures of the broker's pages (tests/support/pages.mjs), for whoever changes one: in both languages, wide and on a phone, light and
// dark; and a page with all of them.

import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { inRoot } from "./paths.mjs";
import { say, SetupError } from "./steps.mjs";

const FOLDER = inRoot("test-artifacts/pages");
const LANGUAGES = ["en", "ko"];
const WIDTHS = [1280, 360];
const THEMES = ["light", "dark"];
const VIEWS = LANGUAGES.flatMap((language) => WIDTHS.flatMap((width) => THEMES.map((theme) => `${language}-${width}-${theme}`)));

function row(name) {
  const links = VIEWS.map((view) => {
    const file = `${name}-${view}.png`;
    return `<a href="${file}"><img loading="lazy" src="${file}" alt="${view}" title="${view}"></a>`;
  });
  return `<h2>${name}</h2>\n<div>${links.join("")}</div>`;
}

/** A page that shows the pictures of each page beside each other. */
const overview = (names) => `<!doctype html>
<meta charset="utf-8">
<title>Pages of AIPassport</title>
<style>
  body { font: 14px system-ui, sans-serif; background: #888 }
  div { display: flex; gap: 8px; overflow-x: auto; align-items: flex-start }
  img { max-height: 600px }
</style>
${names.map(row).join("\n")}
`;

/** Takes them of every page with one of `parts` in its name; without any, of all pages. */
export async function takePages(parts = []) {
  const { launch } = await import("../../tests/support/chromium.mjs");
  const { PAGES, startPages, startTabs, visit } = await import("../../tests/support/pages.mjs");
  const isWanted = ({ name }) => parts.length === 0 || parts.some((part) => name.includes(part));
  const names = PAGES.filter(isWanted).map(({ name }) => name);
  if (names.length === 0) {
    throw new SetupError(`No page has ${parts.join(" or ")} in its name. There are: ${PAGES.map(({ name }) => name).join(", ")}.`);
  }
  // What an earlier page does may be what a later one shows.
  const last = PAGES.findLastIndex(isWanted);
  const way = PAGES.slice(0, last + 1).filter((entry) => isWanted(entry) || entry.then || entry.prepare);

  const ends = [];
  try {
    await mkdir(FOLDER, { recursive: true });
    const chromium = await launch();
    ends.push(() => chromium.close());
    await Promise.all(LANGUAGES.map((language) => takeIn(language, chromium)));
    await writeFile(inFolder("index.html"), overview(names));
  } finally {
    for (const end of ends.reverse()) await end();
  }
  say(`${names.length * VIEWS.length} pictures; all of them: ${inFolder("index.html")}`);

  async function takeIn(language, chromium) {
    const world = await startPages({ atEnd: (end) => ends.push(end) });
    const tab = startTabs(chromium, world, language);
    for (const entry of way) {
      const page = await tab(entry.who);
      await visit(entry, page, world);
      if (isWanted(entry)) await take(page, `${entry.name}-${language}`);
    }
  }
}

const inFolder = (name) => path.join(FOLDER, name);

async function take(page, name) {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of THEMES) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: inFolder(`${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
  }
}
