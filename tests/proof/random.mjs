// Chance that comes again: the same seed gives the same numbers.

import { createHash } from "node:crypto";

export class Random {
  #state;

  /** Whatever makes up the seed: of two that differ anywhere, nothing is alike. */
  constructor(...seed) {
    const digest = createHash("sha256").update(seed.join("\n")).digest();
    this.#state = [0, 4, 8, 12].map((at) => digest.readUInt32LE(at));
  }

  /** From 0 to 1, without 1 (sfc32). */
  next() {
    let [a, b, c, d] = this.#state;
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    this.#state = [a, b, c, d];
    return (t >>> 0) / 4_294_967_296;
  }

  between(low, high) {
    return low + this.next() * (high - low);
  }

  /** A whole number, both ends included. */
  whole(low, high) {
    return Math.floor(this.between(low, high + 1));
  }

  chance(part) {
    return this.next() < part;
  }

  pick(list) {
    return list[Math.floor(this.next() * list.length)];
  }

  /** One of the names, by weight. */
  weighted(weights) {
    const entries = Object.entries(weights);
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return entries.at(-1)[0];
  }
}
