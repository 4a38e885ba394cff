// How a streamed answer passes, and how it is read on the way for what it says about its use. The only part of the broker that is
// written in JavaScript for speed: whatever sees a chunk from wasm costs more than passing it.
//
// Each function gives `{ readable, next, release }`: the body for the client; the next piece of what it says, as bytes, `undefined` at its
// end; and, where the end was to be held back, letting it go.

/** How long pieces gather in the platform before they are looked at. */
const LAZY_MS = 1000;
const PIECE_BYTES = 64 * 1024;

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

/** The body as it comes, unread: sound says nothing. */
export function passing(body, giveUp, holdsEnd) {
  const { ended, ...pipe } = piped(body, giveUp, holdsEnd);
  return { ...pipe, next: () => ended.then(() => undefined) };
}

/**
 * The body as it comes. It passes inside the platform; a copy gathers there and is looked at about once a second.
 *
 * The pipe is what makes a client that leaves known: the first branch of a `tee` alone would go on reading for nobody.
 */
export function metered(body, giveUp, holdsEnd) {
  const [first, second] = body.tee();
  const { readable, ended, release } = piped(first, giveUp, holdsEnd);
  const reader = second.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(PIECE_BYTES);
  let isFirst = true;
  return {
    readable,
    async next() {
      // The first piece at once: it may say what was read, which is worth knowing when the client leaves early.
      if (!isFirst) await Promise.race([scheduler.wait(LAZY_MS), ended]);
      isFirst = false;
      try {
        const { done, value } = await reader.read(new Uint8Array(buffer));
        if (done) return undefined;
        buffer = value.buffer;
        return value;
      } catch {
        return undefined;
      }
    },
    release,
  };
}

const PREFIX = new TextEncoder().encode("<plaintext>");
const DONE = /^data:\s*\[DONE\]/m;
const EMPTY_CHOICES = /"choices"\s*:\s*\[\s*\]/;

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

/** Whole lines pass, but for the one; an unfinished one waits for its end. */
export class Lines {
  rest = "";
  taken = "";
  /** Whether the stream has said that it is over. Until then a count that stands by itself may be a running one. */
  isOver = false;
  #afterUsage = false;

  push(text) {
    if (this.rest) text = this.rest + text;
    this.rest = "";
    if (!text.endsWith("\n")) {
      const end = text.lastIndexOf("\n") + 1;
      this.rest = text.slice(end);
      text = text.slice(0, end);
    }
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
export function withoutUsage(body, giveUp, holdsEnd) {
  const lines = new Lines();
  const { readable: source, writable } = new IdentityTransformStream();
  const over = Promise.withResolvers();
  const released = Promise.withResolvers();
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
        const passing = lines.push(piece.text) + (piece.lastInTextNode ? lines.rest : "");
        if (passing === piece.text) return;
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
  let isRead = false;
  return {
    readable: rewriter.transform(new Response(source)).body,
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
