// Settlements of a grant that come while one is under way go together; none is lost, whatever becomes of the one that it waited for.

import assert from "node:assert/strict";
import { registerHooks } from "node:module";
import { test } from "node:test";

/** What arrived at the ledger, and how each message ends: by hand. */
const sent = [];
globalThis.ledgerOfTest = (grant, commands) => {
  const { promise, resolve, reject } = Promise.withResolvers();
  sent.push({ grant, commands: JSON.parse(commands), resolve: () => resolve("[]"), reject: () => reject(new Error("gone")) });
  return promise;
};
// The platform's module, as far as it is used here.
registerHooks({
  resolve: (name, context, next) =>
    name === "cloudflare:workers"
      ? { url: "data:text/javascript,export const env = { LEDGER: { getByName: () => ({ command: globalThis.ledgerOfTest }) } }", shortCircuit: true }
      : next(name, context),
});
const { commandSoon } = await import("../../src/edge/ledgers.mjs");

const settled = () => new Promise((done) => setTimeout(done, 10));
const soon = (grant, ...numbers) => numbers.map((number) => commandSoon(grant, String(number)));
const arrived = (grant) => sent.filter((message) => message.grant === grant);

test("the first goes at once, those that come meanwhile go together after it", async () => {
  const all = soon("a", 1, 2, 3);
  await settled();
  assert.deepEqual(arrived("a").map(({ commands }) => commands), [[1]]);
  arrived("a")[0].resolve();
  await settled();
  all.push(...soon("a", 4));
  assert.deepEqual(arrived("a").map(({ commands }) => commands), [[1], [2, 3]]);
  arrived("a")[1].resolve();
  await settled();
  assert.deepEqual(arrived("a").at(-1).commands, [4]);
  arrived("a")[2].resolve();
  await Promise.all(all);
  // Nothing is left behind: the next one goes at once.
  const [next] = soon("a", 5);
  assert.deepEqual(arrived("a").at(-1).commands, [5]);
  arrived("a").at(-1).resolve();
  await next;
});

test("grants don't wait for each other", async () => {
  const all = [...soon("b", 1), ...soon("c", 1)];
  assert.deepEqual([arrived("b").length, arrived("c").length], [1, 1]);
  for (const { resolve } of [...arrived("b"), ...arrived("c")]) resolve();
  await Promise.all(all);
});

test("after a failure each of a message tries by itself", async () => {
  const [first, ...others] = soon("d", 1, 2, 3);
  await settled();
  arrived("d")[0].reject();
  await assert.rejects(first);
  await settled();
  assert.deepEqual(arrived("d")[1].commands, [2, 3]);
  arrived("d")[1].reject();
  await assert.rejects(others[0]);
  await settled();
  assert.deepEqual(arrived("d")[2].commands, [3]);
  arrived("d")[2].resolve();
  await others[1];
});

test("one that never comes back keeps nobody waiting for long, and those that come later not at all", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const [, ...others] = soon("e", 1, 2, 3);
  t.mock.timers.tick(2000);
  t.mock.timers.reset();
  await settled();
  assert.deepEqual(arrived("e").map(({ commands }) => commands), [[1], [2], [3]]);
  const [later] = soon("e", 4);
  assert.deepEqual(arrived("e").at(-1).commands, [4]);
  for (const { resolve } of arrived("e").slice(1)) resolve();
  await Promise.all([...others, later]);
});
