// A provider that answers word for word what a test tells it to: for what the stand-in doesn't do by itself.

import http from "node:http";
import { once } from "node:events";

export const sse = (events) => events.map((data) => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);

/** Starts it. `answer(request, response, body)` is set by each test; `requests` are the bodies that arrived. */
export async function startScripted() {
  const upstream = { requests: [], aborted: 0, answer: null };
  const server = http.createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const body = text ? JSON.parse(text) : null;
    upstream.requests.push(body);
    response.on("close", () => {
      if (!response.writableFinished) upstream.aborted += 1;
    });
    response.on("error", () => {});
    await upstream.answer(request, response, body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  upstream.url = `http://127.0.0.1:${server.address().port}`;
  upstream.close = () => {
    server.closeAllConnections();
    server.close();
  };
  /** One JSON answer. */
  upstream.json = (json, status = 200) => {
    upstream.answer = (_, response) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
  };
  /** One stream; `then` is done after its pieces instead of ending it. */
  upstream.stream = (pieces, then) => {
    upstream.answer = async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const piece of pieces) {
        response.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      if (then) await then(response);
      else response.end();
    };
  };
  return upstream;
}
