// Clients that nobody here wrote drive the broker; this is what they have in common: the person who decides in a browser, and how a
// program in another language is led through its flow.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { startWorld } from "../support/world.mjs";

/** What the clients ask for: understood by those that know only `scope`. */
export const SCOPE = "openai:chat";

/** What the clients that know RFC 9396 ask for. */
export const DETAILS = [
  { type: "ai_access", provider: "openai", models: ["gpt-5-mini"], capabilities: ["chat"], limits: { budget_usd: "2.00" } },
];

/** A broker, a signed-in person, and an app of each kind: one without a secret, one with. */
export async function startClients(options) {
  const world = await startWorld(options);
  const confidential = await world.browser.register({ name: "Server app", type: "confidential" });
  return { ...world, confidential };
}

/** Opens an app's link, decides on the page, and answers where the browser is sent: an address of the app. */
export async function decide(browser, link, decision) {
  const answer = await browser.get(link);
  assert.equal(answer.status, 200, `${answer.status} ${answer.location ?? ""} ${answer.page?.text ?? answer.text}`);
  const { status, location, page } = await browser.submit(answer.page.form("/authorize").press("decision", decision));
  assert.ok(location, `${status} ${page?.text}`);
  return location;
}

export const allow = (browser, link) => decide(browser, link, "allow");
export const deny = (browser, link) => decide(browser, link, "deny");

/** Opens the address that a device shows, with the code in it, and decides (RFC 8628 §3.3.1). */
export async function decideForDevice(browser, link, decision) {
  const { page: entered } = await browser.get(link);
  const { page } = await browser.submit(entered.form("/device"));
  const { status, location } = await browser.submit(page.form("/authorize").press("decision", decision));
  assert.ok(location, `${status} ${page.text}`);
}

const PROGRAM_TIMEOUT_MS = 60_000;

/**
 * Runs a client program. It writes one JSON object with one key a line, the name of a question; the line that it then reads is the
 * JSON of what the `answers` function of that name returned. Done when it exits; anything but 0 fails with what it said. Answers with the
 * names of the questions in their order: a program that stopped early has asked too few.
 *
 * @param {[string, ...string[]]} command program and arguments
 * @param {object} input what it is told first, as JSON in its environment's `CLIENT_INPUT`
 * @param {Record<string, (value: any) => any>} answers
 */
export async function lead([program, ...args], input, answers) {
  const env = { ...process.env, CLIENT_INPUT: JSON.stringify(input) };
  const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "pipe"], timeout: PROGRAM_TIMEOUT_MS });
  const asked = [];
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (complaint += text));
  // A program that has gone doesn't read its answer; its exit code says so.
  child.stdin.on("error", () => {});
  const ended = new Promise((done, fail) => child.once("error", fail).once("close", (...outcome) => done(outcome)));
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const [[question, value]] = Object.entries(JSON.parse(line));
      asked.push(question);
      assert.ok(Object.hasOwn(answers, question), `the program asks for ${question}`);
      child.stdin.write(`${JSON.stringify((await answers[question](value)) ?? null)}\n`);
    }
    const [code, signal] = await ended;
    assert.equal(code, 0, `${program} ended with ${signal ?? code}:\n${complaint}`);
    return asked;
  } finally {
    child.kill();
  }
}
