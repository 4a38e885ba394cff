// The Durable Object of a ledger, as the platform sees it: its storage and its alarm. It decides nothing; see mod.rs, whose answers it
// carries out.
//
// Memory is in the wasm. It is dropped at any doubt, that is when something here fails, and after a panic it is empty anyway; the next
// command loads it from the storage.

import { DurableObject } from "cloudflare:workers";
import { LedgerCore } from "./broker.js";
import { inEachInstance, orDead } from "./instance.mjs";

const TABLES = `
  CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS events (hold INTEGER PRIMARY KEY, revision INTEGER NOT NULL, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS notices (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`;
const SAVE = "INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DROP = "DELETE FROM entries WHERE key = ?";
const BOOK = `INSERT INTO events (hold, revision, value) VALUES (?, ?, ?)
  ON CONFLICT (hold) DO UPDATE SET revision = excluded.revision, value = excluded.value`;
const NOTE = "INSERT INTO notices (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const OLDEST = "SELECT value FROM events ORDER BY hold LIMIT ?";
// One that was corrected meanwhile stays.
const TOLD = "DELETE FROM events WHERE (hold, revision) IN (SELECT value ->> '$.hold', value ->> '$.revision' FROM json_each(?))";

const NOTICES = "SELECT key, value FROM notices LIMIT ?";
const NOTED = "DELETE FROM notices WHERE key IN (SELECT value FROM json_each(?))";
const IS_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'entries'";
const ANY = "SELECT 1 FROM events UNION ALL SELECT 1 FROM notices LIMIT 1";

export class Ledger extends DurableObject {
  #core = inEachInstance(() => new LedgerCore(this.env));
  #storage = this.ctx.storage;
  #sql = this.ctx.storage.sql;
  #hasTables = false;

  /** Carries out commands, a JSON list of them, all in one transaction. Answers with their replies, another such list. */
  command(grant, commands) {
    try {
      const answer = this.#core().command(commands);
      return answer === undefined ? this.#begin(grant, commands) : this.#carryOut(answer);
    } catch (error) {
      throw this.#doubt("ledger", error);
    }
  }

  async alarm() {
    try {
      this.#load();
      const answer = this.#core().wake();
      if (answer === undefined) return;
      // Sets the alarm first, so that the object wakes up again whatever becomes of the rest.
      await this.#carryOut(answer);
      await this.#flush();
    } catch (error) {
      throw this.#doubt("ledger alarm", error);
    }
  }

  /** The first command since the object was started, or ever; or one before which an account looks up what the policy is. */
  async #begin(grant, commands) {
    try {
      this.#load(grant);
      const answer = this.#core().command(commands) ?? this.#core().lookAt(grant, commands);
      if (answer !== undefined) return await this.#carryOut(answer);
      const found = await orDead(this.#core().lookUp(grant));
      // Another command may have loaded it meanwhile.
      this.#load(grant);
      return await this.#carryOut(this.#core().begin(grant, commands, found));
    } catch (error) {
      throw this.#doubt("ledger", error);
    }
  }

  #load(grant) {
    if (this.#core().isLoaded()) return;
    // One that nothing is stored of stays so while it is only looked at: nobody waits for a disk.
    const isUnused = this.#sql.exec(IS_THERE).raw().next().done === true;
    if (isUnused) return;
    this.#makeTables();
    const rows = [...this.#sql.exec("SELECT key, value FROM entries").raw()];
    this.#core().load(JSON.stringify(rows), this.#hasEvents(), grant);
  }

  #makeTables() {
    if (this.#hasTables) return;
    this.#sql.exec(TABLES);
    this.#hasTables = true;
  }

  /** Stores what the answer says, and gives the replies; nothing is awaited before all is stored. */
  #carryOut(answer) {
    const [replies, alarm, ...writes] = answer.split("\n");
    // Not in the transaction: if that fails they are there all the same.
    if (writes.length > 0) this.#makeTables();
    if (writes.length > 2) this.#storage.transactionSync(() => this.#write(writes));
    else if (writes.length > 0) this.#write(writes);
    return alarm === "" ? replies : this.#wakeAt(Number(alarm), replies);
  }

  #write(lines) {
    for (let at = 0; at < lines.length; at += 1) {
      const name = lines[at].slice(1);
      switch (lines[at][0]) {
        case "+":
          this.#sql.exec(SAVE, name, lines[(at += 1)]);
          break;
        case "-":
          this.#sql.exec(DROP, name);
          break;
        case "?":
          this.#sql.exec(NOTE, name, lines[(at += 1)]);
          break;
        default: {
          const [hold, revision] = name.split(" ");
          this.#sql.exec(BOOK, Number(hold), Number(revision), lines[(at += 1)]);
        }
      }
    }
  }

  async #wakeAt(time, replies) {
    try {
      await this.#storage.setAlarm(time);
      return replies;
    } catch (error) {
      throw this.#doubt("ledger", error);
    }
  }

  /** Tells D1 what is due. */
  async #flush() {
    const most = this.#core().due();
    if (most === 0) return;
    this.#makeTables();
    const values = [...this.#sql.exec(OLDEST, most).raw()].map(([value]) => value);
    const events = `[${values.join()}]`;
    const notices = [...this.#sql.exec(NOTICES, most).raw()];
    const isTold = await orDead(this.#core().tell(events, `[${notices.map(([, value]) => value).join()}]`));
    if (isTold) {
      this.#sql.exec(TOLD, events);
      if (notices.length > 0) this.#sql.exec(NOTED, JSON.stringify(notices.map(([key]) => key)));
      const refusals = this.#core().refusals();
      if (refusals !== undefined) this.#sql.exec(SAVE, "refusals", refusals);
    }
    const alarm = this.#core().told(isTold, this.#hasEvents());
    if (alarm !== undefined) await this.#storage.setAlarm(alarm);
  }

  #hasEvents() {
    return this.#sql.exec(ANY).raw().next().done !== true;
  }

  /** What is in memory may be ahead of what is stored. Gives what to throw, which repeats nothing. */
  #doubt(what, error) {
    if (error?.isDoubt) return error;
    this.#core().doubt(what, String(error?.message ?? error));
    this.#hasTables = false;
    return Object.assign(new Error("the ledger can not answer"), { isDoubt: true });
  }
}
