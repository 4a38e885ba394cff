// docs/rfc.md can't rot: whatever it names is there, under the name that it has there, and no row is left without an answer.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ROOT } from "../support/broker.mjs";

const FOLDERS = ["", "src", "tests/blackbox"];
const page = readFileSync(path.join(ROOT, "docs/rfc.md"), "utf8");

/** The text of a file as the page names it, or nothing. */
function textOf(name) {
  const found = FOLDERS.map((folder) => path.join(ROOT, folder, name)).filter((file) => existsSync(file));
  return found.length === 1 ? readFileSync(found[0], "utf8") : undefined;
}

const escaped = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Whether a file has a test of exactly this name. */
function hasTest(text, file, name) {
  if (!file.endsWith(".rs")) return new RegExp(`\\btest\\(\\s*(["'\`])${escaped(name)}\\1`).test(text);
  const declared = new RegExp(`\\bfn ${escaped(name)}\\(`).exec(text);
  return declared !== null && /#\[test\]|proptest!/.test(text.slice(0, declared.index));
}

/** `{ standard, section, asked, files, shown }` of every row of every table. */
function rowsOf(markdown) {
  const rows = [];
  let standard;
  for (const line of markdown.split("\n")) {
    if (line.startsWith("## ")) standard = line.slice(3);
    if (!line.startsWith("| ") || line.startsWith("| § |")) continue;
    const cells = line.split(/(?<!\\)\|/).slice(1, -1);
    const [section, asked, where, shown] = cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
    assert.equal(cells.length, 4, line);
    const files = [...where.matchAll(/`([^`]+)`/g)].map(([, file]) => file);
    rows.push({ standard, section, asked, files, shown });
  }
  return rows;
}

const rows = rowsOf(page);
const deviations = page.match(/^\d+\. \*\*/gm).map((text) => Number.parseInt(text, 10));

test("docs/rfc.md: there is a table for each standard", () => {
  const standards = new Set(rows.map(({ standard }) => standard));
  const numbers = "9700 6749 6750 7009 7523 7591 7592 7636 7662 8252 8414 8628 8693 8707 9068 9126 9207 9396 9449 9728".split(" ");
  for (const number of numbers) assert.ok([...standards].some((title) => title.includes(`RFC ${number}`)), number);
  assert.ok([...standards].some((title) => title.includes("draft-ietf-oauth-client-id-metadata-document")));
});

test("docs/rfc.md: every file that is named is there", () => {
  for (const { standard, section, files } of rows) {
    for (const file of files) assert.ok(textOf(file) !== undefined, `${standard}, §${section}: there is no one file ${file}`);
  }
});

test("docs/rfc.md: every row is shown by tests that exist under their names, or says why by none", () => {
  const wrong = [];
  for (const { standard, section, files, shown } of rows) {
    const where = `${standard}, §${section}`;
    const deviation = /^\[deviation (\d+)\]\(#deviations\)$/.exec(shown);
    if (deviation) {
      if (!deviations.includes(Number(deviation[1]))) wrong.push(`${where}: there is no ${shown}`);
      continue;
    }
    if (/^(does not apply|no test): .{20,}/.test(shown)) continue;
    if (files.length === 0) wrong.push(`${where}: done nowhere`);
    const pairs = shown.match(/`[^`]+`: ".*?"(?=$|; `)/g) ?? [];
    if (pairs.length === 0 || pairs.join("; ") !== shown) wrong.push(`${where}: not readable: ${shown}`);
    for (const pair of pairs) {
      const [, file, name] = /^`([^`]+)`: "(.*)"$/.exec(pair);
      if (!hasTest(textOf(file) ?? "", file, name)) wrong.push(`${where}: ${file} has no test “${name}”`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("docs/rfc.md: the deviations are counted, and those of the tables explained", () => {
  assert.deepEqual(
    deviations,
    deviations.map((_, index) => index + 1),
  );
  assert.ok(rows.length > 100);
});
