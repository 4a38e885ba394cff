// How a streamed answer passes, and how it is read on the way for what it says about its use. The only part of the broker that is
// written in JavaScript for speed: whatever sees a chunk from wasm costs more than passing it.
//
// Each function gives `{ readable, next, release }`: the body for the client; the next piece of what it says, as bytes, `undefined` at its
// end; and, where the end was to be held back, letting it go. An answer that stands still, or takes too long in all, is ended: the
// provider is hung up on, and the client's body breaks off.
//
// Memory: what the platform alone passes it doesn't say how far the client is with, and a copy that is read ahead of the client leaves
// the client's part in memory. Only a pump and the rewriter tell. docs/decisions/streams.md has what was measured.

import { watch } from "./patience.mjs";

/** How long pieces of a short answer gather in the platform before they are looked at. */
const LAZY_MS = 1000;
const PIECE_BYTES = 64 * 1024;
/** How long a piece waits for whoever reads it, which takes a moment. */
const TAKEN_MS = 10_000;

/** Pipes a body to the client; `ended` says whether it came to its end. A client that leaves makes the broker hang up. */
function piped(body, giveUp, holdsEnd) {
  const { readable, writable } = new IdentityTransformStream();
  const ended = body.pipeTo(writable, { preventClose: holdsEnd }).then(
    () => true,
    () => {
      giveUp.abort();
      return false;
    },
  );
  return {
    readable,
    ended,
    async release() {
      // It fails only when the client is gone.
      if (holdsEnd && (await ended)) await writable.close().catch(() => {});
    },
  };
}

/** What a pump has passed: gathers until somebody takes it, one piece at a time. */
class Gathered {
  /** Two buffers in turns: allocating one for each piece leaves them to the collector faster than it comes. */
  #bytes = new Uint8Array(PIECE_BYTES);
  #other = new Uint8Array(PIECE_BYTES);
  #length = 0;
  #isFirst = true;
  #isOver = false;
  #changed = Promise.withResolvers();

  #change() {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Takes bytes in; waits while what is there already isn't taken. */
  async put(bytes) {
    for (let from = 0; !this.#isOver && from < bytes.length; ) {
      if (this.#length === PIECE_BYTES) {
        const { promise } = this.#changed;
        // Nobody takes it where the wasm's instance died: then the body goes on, and the ledger's alarm books the call.
        if (!(await Promise.race([promise.then(() => true), scheduler.wait(TAKEN_MS)]))) this.#isOver = true;
        if (this.#isOver) return;
        continue;
      }
      const part = bytes.subarray(from, from + PIECE_BYTES - this.#length);
      this.#bytes.set(part, this.#length);
      this.#length += part.length;
      from += part.length;
      if (this.#isFirst || this.#length === PIECE_BYTES) this.#change();
    }
  }

  end() {
    this.#isOver = true;
    this.#change();
  }

  /**
   * The first bytes at once, which may say what was read: worth knowing when the client leaves early. Then a piece when it is full. A piece
   * is good until the next one is asked for.
   */
  async next() {
    while (!this.#isOver && this.#length < (this.#isFirst ? 1 : PIECE_BYTES)) await this.#changed.promise;
    this.#isFirst = false;
    if (this.#length === 0) return undefined;
    const piece = this.#bytes.subarray(0, this.#length);
    [this.#bytes, this.#other] = [this.#other, this.#bytes];
    this.#length = 0;
    this.#change();
    return piece;
  }
}

/** Reads and writes: never more than a piece is in memory, however slow the client. `see` is handed each piece before it is written. */
function pump(body, giveUp, holdsEnd, { idleSeconds, seconds }, see) {
  const { readable, writable } = new IdentityTransformStream();
  const ended = (async () => {
    const reader = body.getReader({ mode: "byob" });
    const writer = writable.getWriter();
    const watched = watch(idleSeconds, seconds, () => {
      giveUp.abort();
      reader.cancel().catch(() => {});
    });
    try {
      for (let buffer = new ArrayBuffer(PIECE_BYTES); ; ) {
        watched.begin();
        const { done, value } = await reader.read(new Uint8Array(buffer));
        watched.pause();
        if (watched.isLate) throw new Error("late");
        if (done) break;
        if (see) await see(value);
        await writer.write(value);
        buffer = value.buffer;
      }
      if (!holdsEnd) await writer.close();
      return true;
    } catch (error) {
      // A client that leaves makes the broker hang up.
      giveUp.abort();
      await writer.abort(error).catch(() => {});
      return false;
    } finally {
      watched.end();
      writer.releaseLock();
    }
  })();
  return {
    readable,
    ended,
    async release() {
      if (holdsEnd && (await ended)) await writable.close().catch(() => {});
    },
  };
}

/** The body as it comes, unread: sound says nothing. */
export function passing(body, giveUp, holdsEnd, idleSeconds, seconds) {
  const { ended, ...pipe } = pump(body, giveUp, holdsEnd, { idleSeconds, seconds });
  return { ...pipe, next: () => ended.then(() => undefined) };
}

/** The body as it comes, piece by piece, and read on the way. */
export function pumped(body, giveUp, holdsEnd, idleSeconds, seconds) {
  const gathered = new Gathered();
  const { readable, ended, release } = pump(body, giveUp, holdsEnd, { idleSeconds, seconds }, (bytes) => gathered.put(bytes));
  ended.then(() => gathered.end());
  return { readable, next: () => gathered.next(), release };
}

/**
 * The body of a short answer as it comes. It passes inside the platform; a copy gathers there and is looked at about once a second.
 *
 * The pipe is what makes a client that leaves known: the first branch of a `tee` alone would go on reading for nobody.
 */
export function metered(body, giveUp, holdsEnd, idleSeconds, seconds) {
  const [first, second] = body.tee();
  const { readable, ended, release } = piped(first, giveUp, holdsEnd);
  const reader = second.getReader({ mode: "byob" });
  // Beside the time between two looks, in which what comes is not seen.
  const watched = watch(idleSeconds + LAZY_MS / 1000, seconds, () => giveUp.abort());
  let buffer = new ArrayBuffer(PIECE_BYTES);
  let waits = false;
  return {
    readable,
    async next() {
      watched.begin();
      // The first piece at once, and all that is there: only when that is read is it waited for more.
      if (waits) await Promise.race([scheduler.wait(LAZY_MS), ended]);
      try {
        const { done, value } = await reader.read(new Uint8Array(buffer));
        watched.pause();
        if (!done) {
          buffer = value.buffer;
          waits = value.length < PIECE_BYTES;
          return value;
        }
      } catch {
        // It broke off.
      }
      watched.end();
      return undefined;
    },
    release,
  };
}

const PREFIX = new TextEncoder().encode("<plaintext>");
const DONE = /^data:\s*\[DONE\]/m;
/** Of these every byte is a character of its own, and none is changed on its way through text. */
const BYTES = { headers: { "content-type": "text/html; charset=windows-1252" } };
const EMPTY_CHOICES = /"choices"\s*:\s*\[\s*\]/;
/** A line that is longer isn't looked at: the event that says the usage has some hundred. */
const MAX_LINE_CHARS = 64 * 1024;

/** Whether a line is the event that says the usage of a whole chat, which has no choices. */
function saysUsage(line) {
  if (!line.startsWith("data:") || !EMPTY_CHOICES.test(line)) return false;
  try {
    const { choices, usage, error, moderation } = JSON.parse(line.slice(5));
    return choices.length === 0 && typeof usage === "object" && usage !== null && !error && !moderation;
  } catch {
    return false;
  }
}

/**
 * Whole lines pass, but for the one; an unfinished one waits for its end, or until it is too long to be it. Each character is looked at
 * once, however the lines are cut.
 */
export class Lines {
  taken = "";
  /** Whether the stream has said that it is over. Until then a count that stands by itself may be a running one. */
  isOver = false;
  #held = [];
  #heldChars = 0;
  #isLong = false;
  #afterUsage = false;

  /** What waits for the end of its line. */
  get rest() {
    return this.#held.join("");
  }

  push(text) {
    const end = text.lastIndexOf("\n") + 1;
    if (end === 0) return this.#isLong ? text : this.#hold(text);
    const begun = this.#isLong ? text.indexOf("\n") + 1 : 0;
    const whole = begun > 0 ? text.slice(begun, end) : this.rest + text.slice(0, end);
    this.#held = [];
    this.#heldChars = 0;
    this.#isLong = false;
    return text.slice(0, begun) + this.#passing(whole) + this.#hold(text.slice(end));
  }

  /** Keeps the beginning of a line; gives it back where it has become too long. */
  #hold(text) {
    if (text !== "") this.#held.push(text);
    this.#heldChars += text.length;
    if (this.#heldChars <= MAX_LINE_CHARS) return "";
    const long = this.rest;
    this.#held = [];
    this.#heldChars = 0;
    this.#isLong = true;
    this.#afterUsage = false;
    return long;
  }

  #passing(text) {
    if (text.includes("[DONE]")) this.isOver ||= DONE.test(text);
    if (text === "" || (!this.#afterUsage && !EMPTY_CHOICES.test(text))) return text;
    let passing = "";
    for (const line of text.split(/(?<=\n)/)) {
      // The empty line that ends the event goes with it.
      const ends = this.#afterUsage && line.trim() === "";
      this.#afterUsage = false;
      if (ends) continue;
      if (saysUsage(line)) {
        this.taken = line;
        this.#afterUsage = true;
      } else passing += line;
    }
    return passing;
  }
}

/**
 * The body without the event that says its usage, which only the broker asked for.
 *
 * The platform's rewriter calls a script once per chunk, at once, and passes the bytes on by itself: half of what a loop of reads and
 * writes costs. After `<plaintext>` nothing is a tag any more, so it changes and holds back nothing.
 */
export function withoutUsage(body, giveUp, holdsEnd, idleSeconds, seconds) {
  const lines = new Lines();
  const { readable: source, writable } = new IdentityTransformStream();
  const over = Promise.withResolvers();
  const released = Promise.withResolvers();
  const watched = watch(idleSeconds, seconds, () => giveUp.abort());
  watched.begin();
  (async () => {
    const writer = writable.getWriter();
    await writer.write(PREFIX);
    writer.releaseLock();
    await body.pipeTo(writable);
  })().catch(() => {
    giveUp.abort();
    over.resolve();
  });
  const rewriter = new HTMLRewriter()
    .on("plaintext", {
      element: (tag) => tag.removeAndKeepContent(),
      text(piece) {
        watched.begin();
        const { text, lastInTextNode } = piece;
        const passing = lines.push(text) + (lastInTextNode ? lines.rest : "");
        if (passing === text) return;
        if (passing === "") piece.remove();
        else piece.replace(passing, { html: true });
      },
    })
    .onDocument({
      async end() {
        over.resolve();
        if (holdsEnd) await released.promise;
      },
    });
  over.promise.then(() => watched.end());
  let isRead = false;
  return {
    readable: rewriter.transform(new Response(source, BYTES)).body,
    async next() {
      if (isRead) return undefined;
      isRead = true;
      await over.promise;
      if (lines.taken === "") return undefined;
      return new TextEncoder().encode(`${lines.taken}\n${lines.isOver ? "data: [DONE]\n\n" : ""}`);
    },
    async release() {
      released.resolve();
    },
  };
}
