// What a JSON call costs at least, by hand in JavaScript. By the first segment of the path:
//
//   untouched    the upstream's answer returned: the floor of any proxy
//   one          one call of a Durable Object that does one SQLite write, then the upstream: the floor of a cap that is kept
//   two          the same and a second such call after the answer, as a hold and its settlement are

import { DurableObject } from "cloudflare:workers";

const SAVE = "INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
// Another value each time: SQLite writes nothing where nothing changes.
const summary = (next) => JSON.stringify({ next, clock: 1795526675000, used: { requests: next, window: [1, 2, 3] }, each: [{ requests: next }] });

export class Ledger extends DurableObject {
  #next = 0;

  constructor(context, env) {
    super(context, env);
    context.storage.sql.exec("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
  }

  command(text) {
    const { command } = JSON.parse(text);
    this.ctx.storage.sql.exec(SAVE, "summary", summary((this.#next += 1)));
    return JSON.stringify({ reply: command.length });
  }
}

export default {
  async fetch(request, env, context) {
    const [, way, ...rest] = new URL(request.url).pathname.split("/");
    const ledger = () => env.LEDGER.getByName("grant").command(JSON.stringify({ grant: "grant", command: "reserve" }));
    if (way !== "untouched") JSON.parse(await ledger());
    const { method, headers, body } = request;
    const answer = await fetch(`${env.UPSTREAM}/${rest.join("/")}`, { method, headers, body, redirect: "manual" });
    if (way === "two") context.waitUntil(ledger());
    return answer;
  },
};
