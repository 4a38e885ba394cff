// The first script of the Worker. It hands every request, and the hourly clean-up, over to the wasm and adds one thing: nobody waits for a dead instance. A call
// whose instance died is answered here; its hold is on disk, or within what is set aside there, and is booked by the ledger's alarm.
// Bodies that already stream pass inside the platform and go on.

import { callUpstream, facts, incoming, respond, wholeAnswer } from "./calls.mjs";
import { postWebhook, wakeCourier } from "./courier.mjs";
import { fetchDocument } from "./documents.mjs";
import { living, orDead } from "./instance.mjs";
import { command, commandSoon } from "./ledgers.mjs";
import { verifySignature } from "./signatures.mjs";
import { metered, passing, pumped, withoutUsage } from "./streams.mjs";

export { Courier } from "./courier.mjs";
export { Ledger } from "./object.mjs";

// What the wasm calls; see js.rs.
globalThis.aipassport = { facts, command, commandSoon, callUpstream, respond, metered, passing, pumped, withoutUsage, verifySignature, fetchDocument };
Object.assign(globalThis.aipassport, { incoming, postWebhook, wakeCourier, wholeAnswer });

const failed = () => new Response("the broker failed\n", { status: 500, headers: { "cache-control": "no-store" } });

export default {
  fetch(request, env, context) {
    const answer = orDead(living().fetch(request, env, context)).catch(failed);
    // Also when the client goes away: no hold is left to its deadline that could have been settled.
    context.waitUntil(answer);
    return answer;
  },
  // CONNECT: nothing is relayed. Whoever has no such handler has an exception in the log for each one. What a client reads before the end
  // is the runtime's own; Cloudflare lets none come so far.
  connect: (socket) => socket.close(),
  // The platform waits for it, and writes into its own log that it failed.
  scheduled: (event, env, context) => orDead(living().scheduled(event, env, context)),
};
