// Talks to the Durable Objects that hold the ledgers.

import { env } from "cloudflare:workers";

/** Sends commands, a JSON list of them, to the ledger of a grant; resolves to their replies. */
export async function command(grant, commands) {
  return await env.LEDGER.getByName(grant).command(grant, commands);
}
