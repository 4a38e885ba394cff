// Stands before the built Worker in tests that ask for it (`inside: true`), and does from inside what time, the platform and accidents
// do: moves the clock, rings alarms, ends the wasm instance, notes what the database is asked. The Worker itself has no such means.

import broker, { Courier as ShippedCourier, Ledger as ShippedLedger } from "./index.js";
import { panicOnPurpose } from "./broker.js";

/** How far the Worker's clock is ahead, in milliseconds. All that reads it reads `Date`, the platform's own alarms apart. */
let aheadMs = 0;
const PlatformDate = globalThis.Date;
globalThis.Date = class Date extends PlatformDate {
  constructor(...parts) {
    super(...(parts.length > 0 ? parts : [PlatformDate.now() + aheadMs]));
  }

  static now() {
    return PlatformDate.now() + aheadMs;
  }
};

/** Durable Objects that this process has started: their ids, by the binding of their class. */
const started = { LEDGER: new Set(), COURIER: new Set() };

/**
 * Alarms of a storage are set by our clock, and the platform rings them by its own: so it is told the time that is as far away.
 */
function follow(storage) {
  // Of an alarm that an earlier process set: as if it had been set now.
  const aheadAtStart = aheadMs;
  let due;
  const { setAlarm, getAlarm } = storage;
  storage.setAlarm = (time, ...options) => {
    due = Number(time);
    return setAlarm.call(storage, due - aheadMs, ...options);
  };
  storage.getAlarm = async (...options) => {
    const at = await getAlarm.call(storage, ...options);
    return at === null ? null : (due ?? at + aheadAtStart);
  };
}

/** An object whose alarm can be rung when it is due by our clock. */
function rung(Shipped, binding) {
  return class extends Shipped {
    constructor(context, env) {
      follow(context.storage);
      super(context, env);
      started[binding].add(String(context.id));
    }

    /** Does what the platform does when an alarm is due. Answers whether one was. */
    async ring() {
      const at = await this.ctx.storage.getAlarm();
      if (at === null || at > Date.now()) return false;
      await this.ctx.storage.deleteAlarm();
      await this.alarm();
      return true;
    }
  };
}

export const Ledger = rung(ShippedLedger, "LEDGER");
export const Courier = rung(ShippedCourier, "COURIER");

/** More than an alarm that makes others due ever takes; one that is always due again shall fail a test and not hang it. */
const MOST_ROUNDS = 50;

/** Rings every alarm that is due, and those that are due then, until none is. Answers how many were. */
async function ringAll(env) {
  for (let rings = 0, rounds = 0; rounds < MOST_ROUNDS; rounds += 1) {
    const before = rings;
    for (const [binding, ids] of Object.entries(started)) {
      for (const id of ids) {
        const { [binding]: objects } = env;
        if (await objects.get(objects.idFromString(id)).ring()) rings += 1;
      }
    }
    if (rings === before) return rings;
  }
  throw new Error("alarms ring without end");
}

/** What the Worker asks of each request first; where a panic is wished for, the wasm dies while it serves one. */
const { facts } = globalThis.aipassport;
globalThis.aipassport.facts = (request) => {
  if (new URL(request.url).pathname === "/inside/panic") panicOnPurpose();
  return facts(request);
};

const statements = new Set();
let isListening = false;
/** How long the database takes for each answer beyond what it takes. */
let slowMs = 0;

/** A method of the platform's that answers so much later. */
function slowed(made, name) {
  const { [name]: method } = made;
  made[name] = async function (...parts) {
    if (slowMs > 0) await scheduler.wait(slowMs);
    return method.apply(this, parts);
  };
}

function listen(database) {
  if (isListening) return;
  isListening = true;
  const made = Object.getPrototypeOf(database);
  const { prepare } = made;
  made.prepare = function (sql) {
    statements.add(sql);
    return prepare.call(this, sql);
  };
  slowed(made, "batch");
  for (const name of ["all", "run"]) slowed(Object.getPrototypeOf(database.prepare("SELECT 1")), name);
}

const ROUTES = {
  /** `{ aheadMs }`: sets the clock. */
  async "/inside/clock"(request) {
    ({ aheadMs } = await request.json());
    return Response.json({ now: Date.now() });
  },
  /** `{ ledgers }`: rings what is due, also of these ledgers where this process has not started them yet. */
  async "/inside/alarms"(request, env) {
    const { ledgers } = await request.json();
    for (const name of ledgers) await env.LEDGER.getByName(name).ring();
    return Response.json({ rings: await ringAll(env) });
  },
  /** `{ slowMs }`: from now on the database takes so much longer for each answer. */
  async "/inside/database"(request) {
    ({ slowMs } = await request.json());
    return Response.json({});
  },
  /** The statements that the Worker and its ledgers have asked the database since the last time. */
  "/inside/statements"() {
    const seen = [...statements];
    statements.clear();
    return Response.json(seen);
  },
};

export default {
  ...broker,
  fetch(request, env, context) {
    listen(env.DB);
    const route = ROUTES[new URL(request.url).pathname];
    return route ? route(request, env) : broker.fetch(request, env, context);
  },
};
