// What the ledgers have on disk, read behind the broker's back: what would be left if the process died now.

import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

// Its only warning is that it is young.
const { emitWarning } = process;
process.emitWarning = (warning, ...more) => {
  if (!/SQLite is an experimental/.test(warning)) emitWarning.call(process, warning, ...more);
};
const { DatabaseSync } = await import("node:sqlite");
process.emitWarning = emitWarning;

const ZERO = Object.freeze({ nano_usd: 0, tokens: 0, requests: 0, calls: 0 });

/** The latest state of every ledger of a broker: by grant, `{ overall, permissions: [scope], untold, inFlight }`. */
export class LedgerFiles {
  #grants = new Map();

  constructor(broker) {
    this.broker = broker;
  }

  /** The file of a grant's ledger; none before its first call. */
  async #fileOf(grantId) {
    if (!this.#grants.has(grantId)) {
      for (const file of await this.broker.ledgerFiles()) {
        if ([...this.#grants.values()].includes(file)) continue;
        const found = await withCopy(file, (database) => entriesOf(database).get("grant"));
        if (found) this.#grants.set(found, file);
      }
    }
    return this.#grants.get(grantId);
  }

  async read(grantId) {
    const file = await this.#fileOf(grantId);
    return file && withCopy(file, stateOf);
  }
}

/** Opens a copy of a database that another process writes to. */
async function withCopy(file, use) {
  const folder = await mkdtemp(path.join(tmpdir(), "aipassport-ledger-"));
  const copy = path.join(folder, "copy.sqlite");
  try {
    for (;;) {
      // The log first and once more afterwards: when the file did not change meanwhile and the log only grew, the two belong together.
      const before = await marks(file);
      const log = await readFile(`${file}-wal`).catch(() => Buffer.alloc(0));
      await copyFile(file, copy);
      const again = await readFile(`${file}-wal`).catch(() => Buffer.alloc(0));
      const isSame = again.length >= log.length && again.subarray(0, log.length).equals(log) && before === (await marks(file));
      if (!isSame) continue;
      await writeFile(`${copy}-wal`, log);
      break;
    }
    const database = new DatabaseSync(copy);
    try {
      return use(database);
    } finally {
      database.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function marks(file) {
  const { mtimeNs, size } = await stat(file, { bigint: true });
  return `${mtimeNs} ${size}`;
}

function entriesOf(database) {
  const hasTable = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'entries'").get();
  const rows = hasTable ? database.prepare("SELECT key, value FROM entries").all() : [];
  return new Map(rows.map(({ key, value }) => [key, value]));
}

function stateOf(database) {
  const entries = entriesOf(database);
  if (!entries.has("summary")) return undefined;
  const summary = JSON.parse(entries.get("summary"));
  const holds = [...entries].filter(([key]) => key.startsWith("hold:")).map(([, value]) => JSON.parse(value));
  const live = holds.filter(({ overdue }) => !overdue);
  const lost = summary.lost?.filter(({ overdue }) => !overdue) ?? [];
  const scope = (booked, own, ahead, lost) => ({
    booked: { ...booked.tally, ...daysOf(booked.tally.money) },
    /** Nano-USD of that which no hold covered. */
    over_bound: booked.over_bound?.money.total ?? 0,
    held: [...own.map(({ amounts }) => amounts), ahead ?? ZERO, ...lost].reduce(plus, ZERO),
  });
  return {
    terms: JSON.parse(entries.get("terms")),
    overall: scope(summary.overall, live, summary.ahead.overall, lost.map(({ overall }) => overall)),
    permissions: summary.permissions.map((booked, index) => {
      const own = live.filter(({ permission }) => permission === index);
      return scope(booked, own, summary.ahead.permissions[index], lost.map(({ permissions }) => permissions[index] ?? ZERO));
    }),
    /** Bookings that D1 was not told yet. */
    untold: database.prepare("SELECT count(*) AS count FROM events").get().count,
  };
}

const plus = (one, other) => Object.fromEntries(Object.keys(ZERO).map((name) => [name, one[name] + (other[name] ?? 0)]));

/** Money in all, and in the day and the month that came last. */
const daysOf = ({ total, day, month }) => ({ total, day: day?.[1] ?? 0, month: month?.[1] ?? 0 });
