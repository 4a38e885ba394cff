// The first script of the Worker. It hands every request over to the wasm and adds one thing: nobody waits for a dead instance.
//
// A panic ends its wasm instance, and the glue makes a new one for the next request. The calls that were in flight in the old one
// would never hear of it: their continuations belong to memory that is gone, and a pending timer (an upstream timeout, minutes long)
// keeps the platform from noticing. So the panic hook calls `aipassportInstanceDied`, and every such call is answered then. Its hold
// is on disk and is booked by the ledger's alarm. Bodies that already stream pass inside the platform and go on.

import Broker from "./broker.js";
import { metered, passing, withoutUsage } from "./streams.mjs";

export { Ledger } from "./broker.js";

// What the wasm calls; see js.rs.
globalThis.aipassport = { metered, passing, withoutUsage };

/** What answers each call in flight. */
const waiting = new Set();

globalThis.aipassportInstanceDied = () => {
  for (const answer of waiting) answer();
  waiting.clear();
};

const failed = () => new Response("the broker failed\n", { status: 500, headers: { "cache-control": "no-store" } });

export default {
  async fetch(request, env, context) {
    const died = Promise.withResolvers();
    const answer = () => died.resolve(failed());
    waiting.add(answer);
    try {
      return await Promise.race([new Broker(context, env).fetch(request), died.promise]);
    } finally {
      waiting.delete(answer);
    }
  },
};
