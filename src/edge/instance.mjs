// The wasm, in an instance that lives; and nobody waits for one that died.
//
// A panic, or a trap of any other kind, ends its instance. wasm-bindgen's guard before each call makes the next one. What was under way
// in the old one would never end: its continuations belong to memory that is gone, and a pending timer (an upstream timeout, minutes
// long) keeps the platform from noticing. So the panic hook calls `aipassportInstanceDied`, and everything that waits here fails then.

import * as wasm from "./broker.js";

/**
 * The number of the instance, as the crate `worker` counts them. Asked for before anything else is said to the wasm: the guard comes
 * after the arguments of a call are written into memory, and this call has none that could be left behind in the memory of a dead one.
 */
const instanceNumber = () => wasm.__worker_init_state().instanceId;

/** The functions of the wasm. */
export function living() {
  instanceNumber();
  return wasm;
}

/** Gives an object of the wasm, which is made anew in each of its instances. */
export function inEachInstance(make) {
  let object;
  let madeIn;
  return () => {
    const number = instanceNumber();
    if (madeIn !== number) {
      object = make();
      madeIn = number;
    }
    return object;
  };
}

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
