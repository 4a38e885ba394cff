// docs/story.md, as a reader follows it: its shell blocks run in one bash, in order, and each prints what the page says; a person does
// what it says between them, and reads what it says in bold.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, test } from "node:test";
import { ROOT } from "../support/broker.mjs";
import { Browser, signInLink } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker } = await startWorld();
const page = await readFile(path.join(ROOT, "docs/story.md"), "utf8");

/** The page in order: `{ kind: "run" | "prints" | "person", text, language?, bold? }`. */
function stepsOf(markdown) {
  const steps = [];
  const parts = /^```(\w*)\n(.*?)^```$|^<!-- person: (.*?) -->\n(.*?)(?=^```|^#|^<!--)/gms;
  for (const [, language, text, person, said] of markdown.matchAll(parts)) {
    if (person) {
      const bold = [...said.matchAll(/\*\*(.+?)\*\*/gs)].map(([, words]) => words.replaceAll(/\s+/g, " "));
      steps.push({ kind: "person", text: person, bold });
    } else {
      steps.push({ kind: language === "sh" ? "run" : "prints", language, text: text.replaceAll("http://localhost:8787", broker.url) });
    }
  }
  return steps;
}

/** One bash for all blocks, since variables go from one to the next. */
class Shell {
  #output = "";
  #errors = "";
  #more = () => {};

  constructor() {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name)));
    this.child = spawn("bash", ["--norc", "-s"], { env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdout.setEncoding("utf8").on("data", (text) => {
      this.#output += text;
      this.#more();
    });
    this.child.stderr.setEncoding("utf8").on("data", (text) => (this.#errors += text));
    this.child.once("close", () => this.#more());
    this.child.stdin.on("error", () => {});
    // A command that fails ends it.
    this.type("set -e -o pipefail");
  }

  type(text) {
    this.child.stdin.write(`${text}\n`);
  }

  /** What was printed since the last time, once everything typed so far is done. */
  async printed() {
    this.type("printf '\\036'");
    while (!this.#output.includes("\x1e")) {
      assert.equal(this.child.exitCode, null, `a command failed: ${this.#output}${this.#errors}`);
      await new Promise((done) => (this.#more = done));
    }
    const [text, rest] = this.#output.split("\x1e");
    this.#output = rest;
    assert.equal(this.#errors, "");
    return text;
  }
}

const escaped = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
const fits = (text, pattern) => new RegExp(`^${pattern.split("…").map(escaped).join("[^]*")}$`).test(text);

/** Like `deepEqual`, with `…` in a text for anything; a time is any time within the day. */
function assertLike(actual, expected, where) {
  if (typeof expected === "string") return assert.ok(fits(String(actual), expected), `${where}: ${actual} is not ${expected}`);
  if (typeof expected === "number" && expected > 1e9) return assert.ok(Math.abs(actual - Date.now() / 1000) < 86_400, `${where}: ${actual}`);
  if (typeof expected !== "object") return assert.equal(actual, expected, where);
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), `${where}: ${JSON.stringify(actual)}`);
  for (const [name, value] of Object.entries(expected)) assertLike(actual[name], value, `${where}.${name}`);
}

function assertPrinted(printed, { language, text }) {
  if (language === "json") return assertLike(JSON.parse(printed), JSON.parse(text), "answer");
  assert.equal(language, "text");
  return assert.ok(fits(printed.trim(), text.trim()), `printed:\n${printed}\nthe page says:\n${text}`);
}

const person = new Browser(broker);
const shell = new Shell();
after(() => shell.child.kill());
let lastPrinted = "";
let address;

/** What the person does at each mark; answers with the pages that are seen. */
const PERSON = {
  "sign in": async () => {
    const { page: seen } = await person.get(signInLink(broker));
    await person.submit(seen.form("/sign-in"));
    return [seen];
  },
  allow: async () => {
    const { page: consent, text } = await person.get(lastPrinted.trim());
    assert.ok(consent, text);
    const form = consent.form("/authorize");
    assert.equal(form.value("p0.budget_usd"), "5.00");
    const answer = await person.submit(form.fill({ "p0.budget_usd": "2.00" }).press("decision", "allow"));
    address = answer.location?.href;
    assert.ok(address?.startsWith("http://127.0.0.1:8799/callback?"), answer.text);
    return [consent];
  },
  "paste the address": async () => {
    shell.type(address);
    return [];
  },
  revoke: async () => {
    const { page: grants } = await person.get("/grants");
    const form = grants.forms.find(({ action }) => action.pathname.endsWith("/revoke"));
    const { location } = await person.submit(form);
    return [grants, (await person.get(location)).page];
  },
};

test("docs/story.md: each command prints what the page says, and a person reads what it says in bold", async () => {
  const steps = stepsOf(page);
  const marks = steps.filter(({ kind }) => kind === "person").map(({ text }) => text);
  assert.deepEqual(marks, Object.keys(PERSON));
  assert.equal(steps.filter(({ kind }) => kind === "run").length, page.match(/^```sh$/gm).length);
  assert.ok(steps.filter(({ kind }) => kind === "prints").length >= 8);
  for (const [index, step] of steps.entries()) {
    if (step.kind === "person") {
      const seen = await PERSON[step.text]();
      const words = seen.map(({ text }) => text).join("\n");
      for (const bold of step.bold) assert.ok(words.includes(bold), `at “${step.text}”, “${bold}” is on no page: ${words}`);
      continue;
    }
    if (step.kind === "run") {
      shell.type(step.text.trimEnd());
      // `read` waits for the person.
      if (/^read /m.test(step.text)) continue;
      lastPrinted = await shell.printed();
      if (steps[index + 1]?.kind !== "prints") assert.equal(lastPrinted, "", `after: ${step.text}`);
      continue;
    }
    assertPrinted(lastPrinted, step);
  }
});
