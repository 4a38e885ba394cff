// A provider that does as little as possible: a chat completion at once, or a stream of 200 chunks, each of which says when it was
// written. What it is asked for stands in the body, as with the real one.

import { once } from "node:events";
import http from "node:http";

export const CHUNKS = 200;
const PAUSE_MS = 2;

const USAGE = {
  prompt_tokens: 12,
  completion_tokens: 20,
  total_tokens: 32,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
};
const BASE = { id: "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012", object: "chat.completion", created: 1_795_526_675, model: "gpt-5-mini-2025-08-07" };
const WHOLE = JSON.stringify({
  ...BASE,
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "It is a long way to Tipperary. ".repeat(20), refusal: null, annotations: [] },
      logprobs: null,
      finish_reason: "stop",
    },
  ],
  usage: USAGE,
  service_tier: "default",
  system_fingerprint: null,
});
const event = (data) => `data: ${JSON.stringify({ ...BASE, object: "chat.completion.chunk", service_tier: "default", ...data })}\n\n`;
const chunk = (n) =>
  event({
    choices: [{ index: 0, delta: { content: ` word${n}` }, logprobs: null, finish_reason: null }],
    usage: null,
    n,
    t: performance.now(),
    obfuscation: "k7Qz2mVx9",
  });

export async function startUpstream() {
  const server = http.createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const { stream, stream_options: options } = JSON.parse(text);
    if (!stream) {
      response.writeHead(200, { "content-type": "application/json", "content-length": WHOLE.length, "x-request-id": "req_0123456789abcdef" });
      response.end(WHOLE);
      return;
    }
    response.socket.setNoDelay(true);
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_0123456789abcdef" });
    for (let n = 0; n < CHUNKS; n += 1) {
      if (n) await new Promise((done) => setTimeout(done, PAUSE_MS));
      response.write(chunk(n));
    }
    if (options?.include_usage) response.write(event({ choices: [], usage: USAGE }));
    response.end("data: [DONE]\n\n");
  });
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
