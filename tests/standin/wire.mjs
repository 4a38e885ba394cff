// How an answer gets onto the connection, as a whole or event by event, and what happens when the other side hangs up.

/** One response, and whether anybody still listens. */
export class Wire {
  closed = false;
  /** We cut the connection, not the peer. */
  cut = false;
  #response;
  #wake = () => {};

  constructor(response) {
    this.#response = response;
    response.on("error", () => {});
    response.once("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** Waits, but not for somebody who has gone. */
  pause(milliseconds) {
    if (this.closed) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  sendJson(status, headers, json, { break: broken } = {}) {
    const body = Buffer.from(json === undefined ? "" : JSON.stringify(json));
    const type = json === undefined ? {} : { "content-type": "application/json" };
    this.#response.writeHead(status, { ...type, "content-length": body.length, ...headers });
    if (broken === undefined) this.#response.end(body);
    else this.#response.write(body.subarray(0, Math.floor(body.length / 2)), () => this.#hangUp());
  }

  /**
   * @param {{ head: string, deltas: Iterable<string>, tail: string }} stream what comes before, in, and after the pieces of
   *   the answer; each is asked for when its turn comes
   */
  async sendStream(headers, stream, { slow, break: broken }) {
    this.#response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", ...headers });
    if (stream.head !== "") this.#response.write(stream.head);
    return this.#send(stream, { slow, broken });
  }

  /** Sound or plain text, in pieces. */
  async sendBytes(headers, deltas, { slow, break: broken }) {
    this.#response.writeHead(200, headers);
    return this.#send({ deltas, tail: "" }, { slow, broken });
  }

  async #send(stream, { slow, broken }) {
    let sent = 0;
    for (const delta of stream.deltas) {
      if (sent === broken) break;
      if (slow && sent > 0) await this.pause(slow);
      if (this.closed) return;
      sent += 1;
      if (!this.#response.write(delta)) await this.#drained();
    }
    if (broken === undefined) this.#response.end(stream.tail);
    // What was written so far has to get out first.
    else this.#response.write("", () => this.#hangUp());
  }

  #drained() {
    if (this.closed) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#response.once("drain", resolve);
    });
  }

  #hangUp() {
    this.cut = true;
    this.#response.destroy();
  }
}
