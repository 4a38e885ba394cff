// Whoever waits for the wasm does not wait for a dead instance.
//
// A panic ends its wasm instance, and the glue makes a new one for the next call. What was under way in the old one would never end:
// its continuations belong to memory that is gone, and a pending timer (an upstream timeout, minutes long) keeps the platform from
// noticing. So the panic hook calls `aipassportInstanceDied`, and everything that waits here fails then.

/** What ends each wait. */
const waiting = new Set();

globalThis.aipassportInstanceDied = () => {
  for (const end of waiting) end(new Error("the wasm instance died"));
  waiting.clear();
};

/** The same, but that it fails when the instance dies first. */
export async function orDead(promise) {
  const died = Promise.withResolvers();
  waiting.add(died.reject);
  try {
    return await Promise.race([promise, died.promise]);
  } finally {
    waiting.delete(died.reject);
  }
}
