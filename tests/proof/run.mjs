// The proof of the money cap: many apps at once against the built broker in real workerd, in front of a provider that bills by its own
// rules, while clients leave and the process is killed. At every moment what is billed is covered by what is booked and held, and that
// is within the cap; in the end what is billed ≤ what is booked ≤ the cap, and every booking is told exactly once.
//
//   npm run proof                          ten minutes
//   MINUTES=2 SEED=… npm run proof         shorter, and the same calls and fates once more

import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { ROOT, newSecrets, startBroker } from "../support/broker.mjs";
import { Browser } from "../support/flow.mjs";
import { attackOf } from "./attacks.mjs";
import { NOTHING, PICO_PER_NANO, nanoOf } from "./bill.mjs";
import { callOf, perform } from "./clients.mjs";
import { Grant, KINDS } from "./grants.mjs";
import { LedgerFiles } from "./ledgers.mjs";
import { Random } from "./random.mjs";
import { startUpstream } from "./upstream.mjs";

const HOLD_TTL_SECONDS = 6;
const UPSTREAM_TIMEOUT_SECONDS = 8;
const POLL_MS = 250;
/** Refusals for good in a row after which a grant is taken for used up, and the next one of its kind takes its place. */
const EXHAUSTED_AFTER = 20;
/** Longest time until every hold is settled or booked and told to D1. */
const SETTLED_WITHIN_MS = 90_000;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Runs the proof.
 *
 * @param {object} options
 * @param {number} options.seconds how long calls are made, all phases together
 * @param {number} [options.phase] seconds between two pauses in which everything settles and is compared
 * @param {[number, number]} [options.killEvery] seconds between two kills
 * @param {number} [options.clients]
 * @param {string} [options.seed]
 * @param {(line: string) => void} [options.say]
 * @returns {Promise<{ summary: object, violations: string[], kinds: object[] }>}
 */
export async function prove(options) {
  const proof = new Proof(options);
  try {
    await proof.start();
    await proof.run();
    return proof.result();
  } finally {
    await proof.close();
  }
}

class Proof {
  violations = [];
  grants = [];
  #names = 0;
  #live = new Map();
  #stopped = true;
  #counts = { calls: 0, answered: 0, aborts: 0, kills: 0, clamped: 0, polls: 0, unreachable: 0, exact: 0 };
  #refusals = new Map();
  /** The call of a request id, as the client was told it, or as the log says it. */
  #callOf = new Map();
  #readLogs = 0;
  #overbooked = { nano: 0n, of: "" };
  #unmatched = 0n;
  #bases = {};
  #settledMs = 0;
  #began = Date.now();

  constructor({ seconds, phase = 60, killEvery = [4, 10], clients = 64, seed = randomBytes(6).toString("hex"), say = () => {} }) {
    Object.assign(this, { seconds, phase: Math.min(phase, seconds), killEvery, clients, seed, say });
    this.random = new Random("driver", seed);
  }

  async start() {
    const secrets = newSecrets();
    const { OPENAI_API_KEY: openaiKey, ANTHROPIC_API_KEY: anthropicKey } = secrets;
    this.upstream = await startUpstream({ openaiKey, anthropicKey, seed: this.seed });
    this.broker = await startBroker({
      secrets,
      env: {
        OPENAI_BASE_URL: this.upstream.url,
        ANTHROPIC_BASE_URL: this.upstream.url,
        HOLD_TTL_SECONDS: String(HOLD_TTL_SECONDS),
        UPSTREAM_TIMEOUT_SECONDS: String(UPSTREAM_TIMEOUT_SECONDS),
      },
    });
    this.files = new LedgerFiles(this.broker);
    this.browser = new Browser(this.broker);
    await this.browser.signIn();
    this.app = await this.browser.register();
    for (const kind of Object.keys(KINDS)) await this.#newGrant(kind);
  }

  async close() {
    this.#stopped = true;
    await this.broker?.close();
    await this.upstream?.close();
  }

  async #newGrant(kind) {
    const name = `g${(this.#names += 1)}`;
    const granted = await this.browser.grant(this.app, { details: KINDS[kind].details, money: true });
    const grant = new Grant({ name, kind, granted });
    this.grants.push(grant);
    this.#live.set(kind, grant);
    return grant;
  }

  async run() {
    for (let left = this.seconds; left > 0; left -= this.phase) {
      const seconds = Math.min(this.phase, left);
      this.#stopped = false;
      const end = Date.now() + seconds * 1000;
      const work = [...Array(this.clients).keys()].map((index) => this.#client(index));
      const chores = [this.#killer(end), this.#watcher()];
      await sleep(seconds * 1000);
      this.#stopped = true;
      await Promise.all([...work, ...chores]);
      await this.#compare();
      const [{ calls, kills }, grants, violations] = [this.#counts, this.grants.length, this.violations.length];
      this.say(`${elapsed(this.#began)}  ${calls} calls, ${kills} kills, ${grants} grants, ${violations} violations`);
      if (this.violations.length > 0) return;
    }
  }

  async #client(index) {
    const random = new Random("client", this.seed, index, this.#counts.calls);
    const weights = Object.fromEntries(Object.entries(KINDS).map(([kind, { weight }]) => [kind, weight]));
    while (!this.#stopped) {
      const kind = random.weighted(weights);
      const grant = this.#live.get(kind);
      const id = `${grant.name}.${(grant.calls += 1)}`;
      const { attack } = KINDS[kind];
      const call = attack ? attackOf(attack, id) : callOf(new Random("call", this.seed, id), id, grant.models);
      this.#counts.calls += 1;
      const outcome = await perform(this.broker.url, grant.token, call);
      await this.#note(grant, call, outcome);
      await sleep(outcome.status === 429 ? random.between(50, 600) : outcome.status === 0 ? 100 : random.between(0, 150));
    }
  }

  async #note(grant, call, outcome) {
    const { status, code, requestId, left } = outcome;
    if (requestId) this.#callOf.set(requestId, call.id);
    if (left) this.#counts.aborts += 1;
    else if (status === 0) this.#counts.unreachable += 1;
    if (status === 200 && outcome.whole) this.#counts.answered += 1;
    if (outcome.clamped) this.#counts.clamped += 1;
    if (code) {
      this.#refusals.set(`${status} ${code}`, (this.#refusals.get(`${status} ${code}`) ?? 0) + 1);
      if (outcome.whole && (status === 402 || status === 429)) this.#checkRefusal(call, outcome);
    }
    if (status === 402) grant.exhaustions += 1;
    else if (status === 200) grant.exhaustions = 0;
    if (grant.exhaustions >= EXHAUSTED_AFTER && !grant.replaced) {
      grant.replaced = true;
      // It may fall into a restart.
      for (let attempt = 0; attempt < 20 && !this.#stopped; attempt += 1) {
        if (await this.#newGrant(grant.kind).catch(() => undefined)) return;
        await sleep(200);
      }
      grant.replaced = this.#live.get(grant.kind) !== grant;
    }
  }

  #checkRefusal(call, { status, code, text, retryAfter }) {
    const body = JSON.parse(text);
    const isAnthropics = body.type === "error" && typeof body.error?.type === "string";
    const inShape = call.provider === "openai" ? body.error?.code === code : isAnthropics;
    if (!inShape || typeof body.error.message !== "string") this.#violation(`${call.id}: a ${status} in a shape of its own: ${text}`);
    if (status === 429 && !(retryAfter >= 1)) this.#violation(`${call.id}: a 429 that doesn't say when to try again: ${text}`);
  }

  async #killer(end) {
    while (!this.#stopped) {
      const wait = this.random.between(...this.killEvery) * 1000;
      if (Date.now() + wait > end) return;
      await sleep(wait);
      if (this.#stopped) return;
      await this.broker.kill();
      this.#counts.kills += 1;
    }
  }

  /** While calls are made: what is billed so far ≤ what is booked and held on disk ≤ the cap. */
  async #watcher() {
    while (!this.#stopped) {
      const grant = this.random.chance(0.8) ? this.random.pick([...this.#live.values()]) : this.random.pick(this.grants);
      // The bill first: what comes after may only be more.
      const sums = this.upstream.bills.sums();
      const state = await this.files.read(grant.id);
      if (state) this.#check(grant, state, sums, "running");
      else if (sums.has(grant.name)) this.#violation(`${grant.name}: billed, and its ledger has nothing on disk`);
      this.#counts.polls += 1;
      await sleep(POLL_MS);
    }
  }

  #check(grant, state, sums, when) {
    for (const scope of grant.scopes) {
      const counted = scope.of(state);
      const billed = sums.get(scope.bill) ?? NOTHING;
      const [booked, held] = [BigInt(counted.booked.total), BigInt(counted.held.nano_usd)];
      const inPeriod = BigInt(counted.booked[scope.period]);
      if (counted.over_bound > 0) this.#violation(`${scope.bill} (${grant.kind}): ${usd(counted.over_bound)} billed above what was held`);
      const about = `${scope.bill} (${grant.kind}, ${when}): billed ${usd(nanoOf(billed.pico))}, booked ${usd(booked)}, held ${usd(held)}`;
      if (billed.pico > (booked + held) * PICO_PER_NANO) this.#violation(`${about}: billed more than is booked and held`);
      if (scope.cap !== undefined && inPeriod + held > scope.cap) this.#violation(`${about}: more than the cap of ${usd(scope.cap)}`);
      const tokens = counted.booked.tokens + counted.held.tokens;
      if (billed.tokens > tokens) this.#violation(`${about}: ${billed.tokens} tokens billed, ${tokens} booked and held`);
      if (scope.tokens !== undefined && tokens > scope.tokens) this.#violation(`${about}: ${tokens} tokens of ${scope.tokens}`);
      const requests = counted.booked.requests + counted.held.requests;
      if (billed.calls > requests) this.#violation(`${about}: ${billed.calls} calls billed, ${requests} booked and held`);
      if (scope.requests !== undefined && requests > scope.requests) this.#violation(`${about}: ${requests} requests of ${scope.requests}`);
    }
  }

  /** When all has settled: every bill to its end against every booking, one by one and in sum. */
  async #compare() {
    const states = await this.#settled();
    const sums = this.upstream.bills.sums(Infinity);
    this.#readLog();
    for (const grant of this.grants) {
      const state = states.get(grant.id);
      const bill = sums.get(grant.name) ?? NOTHING;
      const events = await this.broker.sql("SELECT * FROM usage_events WHERE grant_id = ? ORDER BY hold", grant.id);
      grant.billed = nanoOf(bill.pico);
      grant.booked = BigInt(state?.overall.booked.total ?? 0);
      grant.events = events;
      if (!state) {
        if (bill.calls > 0 || events.length > 0) this.#violation(`${grant.name}: billed or booked, and its ledger has nothing on disk`);
        continue;
      }
      this.#check(grant, state, sums, "settled");
      for (const [column, name] of [["nano_usd", "total"], ["tokens", "tokens"], ["requests", "requests"]]) {
        const told = events.reduce((sum, event) => sum + event[column], 0);
        const counted = state.overall.booked[name];
        if (told !== counted) this.#violation(`${grant.name} (${grant.kind}): D1 says ${told} ${column}, the ledger ${counted}`);
      }
      const ids = events.map(({ request_id: id }) => id).filter(Boolean);
      if (new Set(ids).size !== ids.length) this.#violation(`${grant.name}: a call is booked twice`);
    }
    this.#compareCalls();
    for (const surprise of this.upstream.surprises) this.#violation(`the upstream was asked for what it can't be: ${surprise}`);
  }

  /** Waits until nothing is held and nothing is untold. Answers the ledgers' states, by grant. */
  async #settled() {
    const began = Date.now();
    const states = new Map();
    for (const grant of this.grants) {
      for (;;) {
        const state = await this.files.read(grant.id);
        const isSettled = !state || (state.overall.held.calls === 0 && state.overall.held.nano_usd === 0 && state.untold === 0);
        if (isSettled) {
          states.set(grant.id, state);
          break;
        }
        if (Date.now() - began > SETTLED_WITHIN_MS) {
          this.#violation(`${grant.name} (${grant.kind}): not settled after ${SETTLED_WITHIN_MS / 1000} s: ${JSON.stringify(state)}`);
          states.set(grant.id, state);
          break;
        }
        await sleep(200);
      }
    }
    this.#settledMs = Math.max(this.#settledMs, Date.now() - began);
    return states;
  }

  /** The provider's name for a call is the call's id here, so that the log tells which call a request id is. */
  #readLog() {
    for (const line of this.broker.logs.slice(this.#readLogs)) {
      const [, id] = /"request_id":"([^"]+)"/.exec(line) ?? [];
      const [, call] = /"upstream_request_id":"(g\d+\.\d+)"/.exec(line) ?? [];
      if (id && call) this.#callOf.set(id, call);
    }
    this.#readLogs = this.broker.logs.length;
  }

  #compareCalls() {
    this.#bases = {};
    this.#counts.exact = 0;
    this.#unmatched = 0n;
    for (const { grant_id: _, ...event } of this.grants.flatMap(({ events }) => events)) {
      this.#bases[event.basis] = (this.#bases[event.basis] ?? 0) + 1;
      const booked = BigInt(event.nano_usd);
      const call = event.request_id && this.#callOf.get(event.request_id);
      if (!call) {
        if (booked > this.#unmatched) this.#unmatched = booked;
        continue;
      }
      const pico = this.upstream.bills.picoOf(call);
      const about = `${call} (${event.basis}, status ${event.status}): billed ${usd(nanoOf(pico))}, booked ${usd(booked)}`;
      if (pico > booked * PICO_PER_NANO) this.#violation(`${about}: billed more than is booked`);
      const over = booked - nanoOf(pico);
      if (over > this.#overbooked.nano) this.#overbooked = { nano: over, of: about };
      if (event.basis === "usage") {
        if (over === 0n) this.#counts.exact += 1;
        else if (this.upstream.bills.isWhole(call)) this.#violation(`${about}: known from the answer, and not exact`);
      }
    }
  }

  #violation(text) {
    if (this.violations.length < 50 && !this.violations.includes(text)) this.violations.push(text);
  }

  result() {
    const total = (of) => this.grants.reduce((sum, grant) => sum + (of(grant) ?? 0n), 0n);
    const most = (one, other) => (one > other ? one : other);
    const overshoot = total(({ billed = 0n, booked = 0n, cap }) => most(most(billed, booked) - cap, 0n));
    const refused = (status) =>
      [...this.#refusals].filter(([name]) => name.startsWith(status)).reduce((sum, [, count]) => sum + count, 0);
    const { calls, aborts, kills, ...counts } = this.#counts;
    const summary = {
      calls,
      aborts,
      kills,
      billed_nano_usd: Number(total(({ billed }) => billed)),
      booked_nano_usd: Number(total(({ booked }) => booked)),
      cap_nano_usd: Number(total(({ cap }) => cap)),
      overshoot_nano_usd: Number(overshoot),
      largest_overbooking_nano_usd: Number(this.#overbooked.nano),
      largest_unattributed_booking_nano_usd: Number(this.#unmatched),
      violations: this.violations.length,
      grants: this.grants.length,
      arrived: this.upstream.arrivals(),
      billed_calls: [...this.upstream.bills.byId.values()].reduce((sum, bills) => sum + bills.length, 0),
      answered: counts.answered,
      clamped: counts.clamped,
      refused_402: refused("402"),
      refused_429: refused("429"),
      booked_exactly: counts.exact,
      events: this.grants.reduce((sum, { events = [] }) => sum + events.length, 0),
      polls: counts.polls,
      unreachable: counts.unreachable,
      longest_settling_ms: this.#settledMs,
      seconds: Math.round((Date.now() - this.#began) / 1000),
    };
    for (const [basis, count] of Object.entries(this.#bases)) summary[`events_${basis}`] = count;
    for (const [fate, count] of Object.entries(this.upstream.fates)) summary[`fate_${fate}`] = count;
    const kinds = Object.keys(KINDS).map((kind) => {
      const grants = this.grants.filter((grant) => grant.kind === kind);
      const sum = (of) => grants.reduce((sum, grant) => sum + (of(grant) ?? 0n), 0n);
      return {
        kind,
        grants: grants.length,
        calls: grants.reduce((sum, { calls }) => sum + calls, 0),
        billed: sum(({ billed }) => billed),
        booked: sum(({ booked }) => booked),
        cap: sum(({ cap }) => cap),
      };
    });
    const { violations, seed } = this;
    return { summary, violations, kinds, refusals: Object.fromEntries(this.#refusals), worst: this.#overbooked.of, seed };
  }
}

const usd = (nano) => {
  const text = String(nano).padStart(10, "0");
  return `${text.slice(0, -9)}.${text.slice(-9)}`;
};

const elapsed = (since) => `${Math.round((Date.now() - since) / 1000)} s`.padStart(6);

/** Tables for people. */
export function report({ summary, kinds, refusals, violations, worst, seed }) {
  const lines = ["", "  grants of the kind                        number    calls      billed USD      booked USD         cap USD"];
  for (const { kind, grants, calls, billed, booked, cap } of kinds) {
    const sums = [billed, booked, cap].map((nano) => usd(nano).padStart(15));
    lines.push(`  ${kind.padEnd(40)} ${String(grants).padStart(7)} ${String(calls).padStart(8)} ${sums.join(" ")}`);
  }
  lines.push("");
  for (const [name, value] of Object.entries(summary)) lines.push(`  ${name.padEnd(40)} ${String(value).padStart(15)}`);
  lines.push("");
  for (const [name, count] of Object.entries(refusals)) lines.push(`  ${name.padEnd(40)} ${String(count).padStart(15)}`);
  if (worst) lines.push("", `  booked most above its bill: ${worst}`);
  for (const violation of violations) lines.push(`  VIOLATION: ${violation}`);
  const verdict = violations.length === 0 ? "Never above a cap." : `${violations.length} violations.`;
  lines.push("", `  ${verdict} SEED=${seed} makes the same calls, with the same fates, again.`);
  return lines.join("\n");
}

/** `npm run proof`. Answers the exit code. */
export async function main({ minutes = Number(process.env.MINUTES ?? 10), seed = process.env.SEED } = {}) {
  if (!(minutes > 0 && minutes <= 45)) throw new Error("MINUTES is a number up to 45: the tokens live an hour");
  const say = (line) => console.log(line);
  const result = await prove({ seconds: minutes * 60, seed: seed || undefined, say });
  say(report(result));
  const folder = path.join(ROOT, "target", "proof");
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "summary.json"), `${JSON.stringify(result.summary, null, 2)}\n`);
  return result.violations.length === 0 ? 0 : 1;
}
