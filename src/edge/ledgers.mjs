// Talks to the Durable Objects that hold the ledgers.

import { env } from "cloudflare:workers";

/** Sends commands, a JSON list of them, to the ledger of a grant; resolves to their replies. */
export async function command(grant, commands) {
  return await env.LEDGER.getByName(grant).command(grant, commands);
}

/** How long one waits for another's call to be over before it no longer counts on it. */
const PATIENCE_MS = 2000;
const DONE = "done";
const LEAD = "lead";

/** By grant: what waits while a call of `commandSoon` is under way. */
const queues = new Map();

/**
 * Sends a command whose reply nobody needs: a settlement. While one of a grant is under way, those that come meanwhile wait, and then
 * go together: one call, and one write of the ledger.
 *
 * Each waits in its own request's name. If the one that it waits for never comes back (its request was ended from outside), it goes by
 * itself; that it may arrive twice is no harm, since no command does anything the second time.
 */
export async function commandSoon(grant, text) {
  const queue = queues.get(grant);
  if (queue === undefined) {
    const own = [];
    queues.set(grant, own);
    return lead(grant, own, text, []);
  }
  const turn = Promise.withResolvers();
  const waiting = { text, go: turn.resolve };
  queue.push(waiting);
  const timer = setTimeout(turn.resolve, PATIENCE_MS);
  const what = await turn.promise;
  clearTimeout(timer);
  if (what === DONE) return undefined;
  if (what === LEAD) return lead(grant, queue, text, queue.splice(0));
  // Who comes now starts a queue of its own.
  if (queues.get(grant) === queue) queues.delete(grant);
  if (queue.includes(waiting)) queue.splice(queue.indexOf(waiting), 1);
  return command(grant, `[${text}]`);
}

async function lead(grant, queue, text, others) {
  let isDone = false;
  try {
    await command(grant, `[${[text, ...others.map((other) => other.text)].join()}]`);
    isDone = true;
  } finally {
    // After a failure each tries by itself.
    for (const other of others) other.go(isDone ? DONE : undefined);
    const next = queue.shift();
    if (next) next.go(LEAD);
    else if (queues.get(grant) === queue) queues.delete(grant);
  }
}
