// Every way to pass a stream, alone, in a worker that does nothing else. By the first segment of the path:
//
//   untouched                 as the platform passes it: the floor
//   metered, pumped, without-usage    the broker's own; see src/edge/streams.mjs
//   transform, loop, byob     what takes the usage out in other ways: a TransformStream, reads and writes, reads into a buffer

import { metered, pumped, withoutUsage } from "./streams.mjs";

const decoder = new TextDecoder("latin1");

/** Hands over whole events, but for the one without choices. */
class Filter {
  #rest = new Uint8Array(0);

  push(bytes) {
    if (this.#rest.length > 0) {
      const joined = new Uint8Array(this.#rest.length + bytes.length);
      joined.set(this.#rest);
      joined.set(bytes, this.#rest.length);
      bytes = joined;
    }
    let end = bytes.length;
    while (end >= 2 && !(bytes[end - 1] === 10 && bytes[end - 2] === 10)) end -= 1;
    if (end < 2) end = 0;
    this.#rest = bytes.slice(end);
    const whole = bytes.subarray(0, end);
    // The buffer may be read into again before it is written.
    if (!decoder.decode(whole).includes('"choices":[]')) return whole.slice();
    const events = decoder.decode(whole).split(/(?<=\n\n)/);
    return Uint8Array.from(events.filter((event) => !event.includes('"choices":[]')).join(""), (letter) => letter.charCodeAt(0));
  }

  end() {
    return this.#rest;
  }
}

/** Reads with `read`, writes what passes. */
function pump(context, read) {
  const filter = new Filter();
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  context.waitUntil(
    (async () => {
      for (;;) {
        const { done, value } = await read();
        const passing = done ? filter.end() : filter.push(value);
        if (passing.length > 0) await writer.write(passing);
        if (done) return writer.close();
      }
    })(),
  );
  return readable;
}

/** As the broker does: reads what the passing answer says, to its end. */
function passing(context, { readable, next, release }) {
  context.waitUntil(
    (async () => {
      while ((await next()) !== undefined);
      await release();
    })(),
  );
  return readable;
}

const WAYS = {
  untouched: (body) => body,
  metered: (body, context) => passing(context, metered(body, new AbortController(), false, 300, 3600)),
  pumped: (body, context) => passing(context, pumped(body, new AbortController(), false, 300, 3600)),
  "without-usage": (body, context) => passing(context, withoutUsage(body, new AbortController(), false, 300, 3600)),
  transform(body) {
    const filter = new Filter();
    const send = (controller, bytes) => bytes.length > 0 && controller.enqueue(bytes);
    return body.pipeThrough(
      new TransformStream({
        transform: (bytes, controller) => send(controller, filter.push(bytes)),
        flush: (controller) => send(controller, filter.end()),
      }),
    );
  },
  loop(body, context) {
    const reader = body.getReader();
    return pump(context, () => reader.read());
  },
  byob(body, context) {
    const reader = body.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(8192);
    return pump(context, async () => {
      const result = await reader.read(new Uint8Array(buffer));
      if (!result.done) buffer = result.value.buffer;
      return result.done ? result : { done: false, value: result.value };
    });
  },
};

export class Ledger {}

export default {
  async fetch(request, env, context) {
    const way = new URL(request.url).pathname.split("/")[1];
    const answer = await fetch(env.UPSTREAM, { method: "POST", body: request.body, redirect: "manual" });
    return new Response(WAYS[way](answer.body, context), { headers: answer.headers });
  },
};
