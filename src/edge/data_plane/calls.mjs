// What the data plane asks of the platform, each in one go: a call from wasm costs about as much as what it asks for.
//
// Headers go over as text: a name and its value in turns, a line each, which neither can break. Which of them pass is decided in Rust.

import { watch } from "./patience.mjs";

const PIECE_BYTES = 64 * 1024;

function textOf(headers) {
  let text = "";
  for (const [name, value] of headers) text += `\n${name}\n${value}`;
  return text;
}

function headersOf(text) {
  const lines = text.split("\n");
  const headers = {};
  for (let at = 1; at < lines.length; at += 2) headers[lines[at]] = lines[at + 1];
  return headers;
}

/** What a request says: its method, its address and its headers. */
export const facts = ({ method, url, headers }) => `${method}\n${url}${textOf(headers)}`;

/** The body of a request, on its way in. Read only when it is wanted, and then piece by piece. */
class Incoming {
  #reader;
  #idleSeconds;
  #seconds;
  #buffer = new ArrayBuffer(PIECE_BYTES);

  constructor(request, idleSeconds, seconds) {
    this.#reader = request.body?.getReader({ mode: "byob" });
    this.#idleSeconds = idleSeconds;
    this.#seconds = seconds;
  }

  /** Hands its pieces to `take`, which says how many bytes it has, until they are more than `most`. */
  async read(most, take) {
    if (this.#reader === undefined) return "end";
    const watched = watch(this.#idleSeconds, this.#seconds, () => this.giveUp());
    try {
      for (;;) {
        watched.begin();
        const { done, value } = await this.#reader.read(new Uint8Array(this.#buffer));
        if (watched.isLate) return "late";
        if (done) return "end";
        this.#buffer = value.buffer;
        if (take(value) > most) return "more";
      }
    } catch {
      return watched.isLate ? "late" : "broken";
    } finally {
      watched.end();
    }
  }

  giveUp() {
    // Whether the client hears of it doesn't matter.
    this.#reader?.cancel().catch(() => {});
  }
}

export const incoming = (request, idleSeconds, seconds) => new Incoming(request, idleSeconds, seconds);

/** A body of that length, which `handOut` gives piece by piece, and which it lets go of where nothing is left. */
function handedOut(length, handOut) {
  const { readable, writable } = new FixedLengthStream(length);
  (async () => {
    const writer = writable.getWriter();
    try {
      for (let from = 0; ; ) {
        const piece = handOut(from);
        if (piece === undefined) break;
        await writer.write(piece);
        from += piece.length;
      }
      await writer.close();
    } catch (error) {
      // The provider wants no more of it, or the wasm's instance died.
      await writer.abort(error).catch(() => {});
    } finally {
      try {
        handOut(length);
      } catch {
        // There is nobody to let go of it.
      }
    }
  })();
  return readable;
}

/**
 * Calls a provider. Resolves to `{ response, giveUp, headers }`: the answer, what hangs up on it, and its headers; or to `{ problem }`:
 * `late`, `abandoned` where the client went away, or `unreachable` and a `reason`.
 */
export async function callUpstream({ signal }, method, url, headers, body, length, seconds) {
  const giveUp = new AbortController();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    giveUp.abort();
  }, seconds * 1000);
  try {
    const response = await fetch(url, {
      method,
      headers: headersOf(headers),
      body: typeof body === "function" ? handedOut(length, body) : body,
      // A redirect would carry the key to another host: the platform strips only `Authorization`.
      redirect: "manual",
      signal: AbortSignal.any([signal, giveUp.signal]),
    });
    return { response, giveUp, headers: textOf(response.headers) };
  } catch (error) {
    if (isLate) return { problem: "late" };
    return signal.aborted ? { problem: "abandoned" } : { problem: "unreachable", reason: String(error?.message) };
  } finally {
    clearTimeout(timer);
  }
}

/** An answer as a whole. Fails where it breaks off; with `late` where it stands still, or takes too long in all. */
export async function wholeAnswer({ body }, giveUp, idleSeconds, seconds) {
  if (body === null) return new Uint8Array(0);
  const reader = body.getReader({ mode: "byob" });
  const watched = watch(idleSeconds, seconds, () => {
    giveUp.abort();
    reader.cancel().catch(() => {});
  });
  const pieces = [];
  let length = 0;
  try {
    for (let buffer = new ArrayBuffer(PIECE_BYTES); ; ) {
      watched.begin();
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (watched.isLate) throw new Error("late");
      if (done) break;
      // No longer than what came: a short piece would keep a long buffer.
      pieces.push(value.slice());
      length += value.length;
      buffer = value.buffer;
    }
  } catch (error) {
    throw watched.isLate ? new Error("late") : error;
  } finally {
    watched.end();
  }
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** An answer. */
export const respond = (status, headers, body) => new Response(body, { status, headers: headersOf(headers) });
