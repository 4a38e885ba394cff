// What the provider bills for one call, by its own price list and by its own clock. Nothing here knows how the broker counts.

// Pico-USD per token, copied by hand from the providers' pages: 1 USD per million tokens is 1,000,000 pico-USD per token.
// https://platform.openai.com/docs/pricing and https://platform.claude.com/docs/en/about-claude/pricing
export const MODELS = {
  "gpt-5-mini": {
    dated: "gpt-5-mini-2025-08-07",
    maxOutput: 128_000,
    tiers: {
      default: { input: 250_000n, cached: 25_000n, output: 2_000_000n },
      flex: { input: 125_000n, cached: 12_500n, output: 1_000_000n },
      priority: { input: 450_000n, cached: 45_000n, output: 3_600_000n },
    },
  },
  "gpt-5.1": {
    dated: "gpt-5.1-2025-11-13",
    maxOutput: 128_000,
    tiers: {
      default: { input: 1_250_000n, cached: 125_000n, output: 10_000_000n },
      flex: { input: 625_000n, cached: 62_500n, output: 5_000_000n },
      priority: { input: 2_500_000n, cached: 250_000n, output: 20_000_000n },
    },
  },
  "claude-haiku-4-5": {
    dated: "claude-haiku-4-5-20251001",
    maxOutput: 64_000,
    tiers: { default: { input: 1_000_000n, cached: 100_000n, write: 1_250_000n, writeLong: 2_000_000n, output: 5_000_000n } },
  },
  "claude-sonnet-4-6": {
    dated: "claude-sonnet-4-6",
    maxOutput: 128_000,
    // What is processed in the US alone costs a tenth more.
    usPercent: 110n,
    tiers: { default: { input: 3_000_000n, cached: 300_000n, write: 3_750_000n, writeLong: 6_000_000n, output: 15_000_000n } },
  },
};

export const PICO_PER_NANO = 1000n;
export const nanoOf = (pico) => (pico + PICO_PER_NANO - 1n) / PICO_PER_NANO;

/** One call. It grows while the provider writes, whether or not anybody reads. */
export class Bill {
  #input;
  #perToken;
  #from;
  #milliseconds;
  #until = Infinity;

  /**
   * @param {object} call
   * @param {string} call.id the driver's name for the call
   * @param {string} call.model
   * @param {string} call.tier
   * @param {boolean} call.inUs
   * @param {{ fresh: number, cached: number, write: number, writeLong: number }} call.read tokens, each in one kind
   * @param {number} call.planned tokens that are written if nobody stops it
   * @param {number} call.from when it begins to write
   * @param {number} call.milliseconds how long it writes
   */
  constructor({ id, provider, model, tier, inUs, read, planned, from, milliseconds }) {
    const { tiers, usPercent = 100n } = MODELS[model];
    const percent = inUs ? usPercent : 100n;
    const price = (kind, count) => (count > 0 ? (BigInt(count) * tiers[tier][kind] * percent) / 100n : 0n);
    this.id = id;
    this.provider = provider;
    this.model = model;
    this.planned = planned;
    this.inputTokens = read.fresh + read.cached + read.write + read.writeLong;
    this.#input =
      price("input", read.fresh) + price("cached", read.cached) + price("write", read.write) + price("writeLong", read.writeLong);
    this.#perToken = price("output", 1);
    this.#from = from;
    this.#milliseconds = milliseconds;
  }

  /** The provider stops writing then, if it has not stopped before. */
  stop(at) {
    this.#until = Math.min(this.#until, at);
  }

  /** Tokens written until then. */
  written(now) {
    const at = Math.min(now, this.#until);
    if (at >= this.#from + this.#milliseconds) return this.planned;
    return at <= this.#from ? 0 : Math.floor((this.planned * (at - this.#from)) / this.#milliseconds);
  }

  /** Pico-USD until then. */
  pico(now) {
    return this.#input + BigInt(this.written(now)) * this.#perToken;
  }

  tokens(now) {
    return this.inputTokens + this.written(now);
  }

  /** Whether nothing more comes. */
  isFinal(now) {
    return now >= Math.min(this.#until, this.#from + this.#milliseconds);
  }
}

/** All bills, and their sums by grant and provider. The part of an id before the point names the grant. */
export class Bills {
  /** By id: usually one, more if the call arrived more than once. */
  byId = new Map();
  #open = new Set();
  #closed = new Map();

  add(bill) {
    const [grant] = bill.id.split(".");
    bill.grant = grant;
    this.#open.add(bill);
    this.byId.set(bill.id, [...(this.byId.get(bill.id) ?? []), bill]);
  }

  /** Sums by `grant` and `grant/provider`: `{ pico, tokens, calls }`. At `Infinity` all of it has come to its end. */
  sums(now = performance.now()) {
    const present = performance.now();
    for (const bill of this.#open) {
      if (!bill.isFinal(present)) continue;
      this.#open.delete(bill);
      addTo(this.#closed, bill, present);
    }
    const sums = new Map([...this.#closed].map(([key, sum]) => [key, { ...sum }]));
    for (const bill of this.#open) addTo(sums, bill, now);
    return sums;
  }

  /** Whether the call arrived once, and all that was to be written was written. */
  isWhole(id) {
    const [bill, ...others] = this.byId.get(id) ?? [];
    return bill !== undefined && others.length === 0 && bill.written(Infinity) === bill.planned;
  }

  /** What one call is billed in the end. */
  picoOf(id) {
    return (this.byId.get(id) ?? []).reduce((sum, bill) => sum + bill.pico(Infinity), 0n);
  }
}

export const NOTHING = Object.freeze({ pico: 0n, tokens: 0, calls: 0 });

function addTo(sums, bill, now) {
  for (const key of [bill.grant, `${bill.grant}/${bill.provider}`]) {
    const { pico, tokens, calls } = sums.get(key) ?? NOTHING;
    sums.set(key, { pico: pico + bill.pico(now), tokens: tokens + bill.tokens(now), calls: calls + 1 });
  }
}
