// The Durable Object that delivers webhooks: an alarm, and nothing else. It decides nothing; see courier.rs.

import { DurableObject, env } from "cloudflare:workers";
import { CourierCore } from "./broker.js";
import { inEachInstance, orDead } from "./instance.mjs";

/** After being woken; what comes within it goes together. */
const SOON_MS = 200;
/** After something failed here: the database, or the wasm. */
const AGAIN_MS = 60_000;

export class Courier extends DurableObject {
  #core = inEachInstance(() => new CourierCore(this.env));
  #isWoken = false;

  /** Something is to be delivered. */
  async wake() {
    this.#isWoken = true;
    const soon = Date.now() + SOON_MS;
    const at = await this.ctx.storage.getAlarm();
    if (at === null || at > soon) await this.ctx.storage.setAlarm(soon);
  }

  async alarm() {
    this.#isWoken = false;
    // Sets the alarm first, so that the object wakes up again whatever becomes of the rest.
    await this.ctx.storage.setAlarm(Date.now() + AGAIN_MS);
    let next;
    try {
      next = await orDead(this.#core().deliver());
    } catch (error) {
      console.error(JSON.stringify({ failure: "courier", detail: String(error?.message ?? error).slice(0, 200) }));
      return;
    }
    // Who woke it meanwhile may not have been seen.
    if (this.#isWoken) next = 0;
    if (next === undefined) await this.ctx.storage.deleteAlarm();
    else await this.ctx.storage.setAlarm(Math.max(next, Date.now() + SOON_MS));
  }
}

/** Wakes it; never fails. */
export async function wakeCourier() {
  try {
    await env.COURIER?.getByName("courier").wake();
  } catch {
    // The hourly clean-up tries again.
  }
}

/**
 * Sends a delivery. Resolves to `{ status }`, or to `{ trouble, status }`: `unreachable`, `late`, `redirected` or `status`. Never fails.
 * The address was judged in Rust; where its name leads is judged by the platform (`global_fetch_strictly_public` in wrangler.toml). What
 * the answer says is not read.
 */
export async function postWebhook(url, id, timestamp, signature, body, seconds) {
  const signal = AbortSignal.timeout(seconds * 1000);
  const headers = {
    "content-type": "application/json",
    "user-agent": "AIPassport",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
  };
  try {
    const { status, body: answer } = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    answer?.cancel().catch(() => {});
    if (status >= 200 && status < 300) return { status };
    return { trouble: status >= 300 && status < 400 ? "redirected" : "status", status };
  } catch {
    return { trouble: signal.aborted ? "late" : "unreachable", status: 0 };
  }
}
