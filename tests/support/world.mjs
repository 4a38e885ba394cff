// What nearly every file of the suite begins with: a broker, a stand-in for the providers, an operator signed in, an app registered.

import assert from "node:assert/strict";
import { after } from "node:test";
import { startStandin } from "../standin/server.mjs";
import { newSecrets, startBroker } from "./broker.mjs";
import { Browser, chat } from "./flow.mjs";

/**
 * Starts it all and ends it when the file is done; `atEnd` is told how, where this is no test.
 *
 * @param {Parameters<typeof startBroker>[0] & { standin?: object, atEnd?: (end: () => unknown) => void }} [options]
 */
export async function startWorld({ env = {}, secrets = newSecrets(), standin: standinOptions = {}, atEnd = after, ...options } = {}) {
  const standin = await startStandin({
    port: 0,
    openaiKey: secrets.OPENAI_API_KEY,
    anthropicKey: secrets.ANTHROPIC_API_KEY,
    ...standinOptions,
  });
  atEnd(() => standin.close());
  const broker = await startBroker({
    secrets,
    env: { OPENAI_BASE_URL: standin.url, ANTHROPIC_BASE_URL: standin.url, UPSTREAM_TIMEOUT_SECONDS: "20", ...env },
    ...options,
  });
  atEnd(() => broker.close());
  const browser = new Browser(broker);
  const world = { broker, standin, browser };
  if (options.migrate !== false) {
    await browser.signIn();
    world.app = await browser.register();
  }
  return world;
}

/** Waits until a condition holds. For what happens after an answer has left, such as the settling of a hold. */
export async function until(condition, what, { seconds = 15 } = {}) {
  const end = Date.now() + seconds * 1000;
  // What comes soon is seen soon, and what takes long isn't asked for fifty times a second.
  for (let pause = 10; ; pause = Math.min(pause * 1.3, 150)) {
    const value = await condition();
    if (value) return value;
    assert.ok(Date.now() < end, `${what} did not come true within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Calls until the grant's requests are used up; answers how many were let through. */
export async function useUp(broker, token) {
  for (let passed = 0; ;) {
    const answer = await chat(broker, token);
    if (answer.status === 200) passed += 1;
    else if (answer.code === "requests_exhausted") return passed;
    // Room that is only held is soon booked or free.
    else if (answer.code === "requests_held") await new Promise((resolve) => setTimeout(resolve, 20));
    else assert.fail(`${answer.status} ${answer.text}`);
  }
}
