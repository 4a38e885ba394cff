// The script that takes the usage out of a chat's stream, over every streamed chat of the corpus, cut anywhere: only that one event goes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { Lines } from "../../src/edge/streams.mjs";
import { corpusFolder } from "./corpus.mjs";

const chats = readFileSync(join(corpusFolder, "chat.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line))
  // A return alone ends a line in the standard and at no provider of chats.
  .filter(({ stream, body }) => stream && (!body.includes("\r") || body.includes("\r\n")));

/** Told from its text, as the corpus writes it. */
function withoutUsageAlone(body) {
  const end = body.includes("\r\n") ? "\r\n\r\n" : "\n\n";
  const events = body.split(end);
  return events.filter((event) => !(event.includes('"choices":[],"usage":{') && event.endsWith("}"))).join(end);
}

it("the usage alone is taken out of a chat of the corpus and nothing else, wherever it is cut", () => {
  let taken = 0;
  for (const { name, body } of chats) {
    const expected = withoutUsageAlone(body);
    for (const size of [1, 2, 3, 7, 64, body.length]) {
      const lines = new Lines();
      let passed = "";
      for (let at = 0; at < body.length; at += size) passed += lines.push(body.slice(at, at + size));
      assert.equal(passed + lines.rest, expected, `${name} in parts of ${size}`);
      if (expected !== body) taken += 1;
    }
  }
  assert.ok(taken > 100, String(taken));
});

it("an event of 16 MiB takes time by its length, passes as it came, and the usage behind it is still taken", () => {
  const event = `data: {"choices":[{"delta":{"content":"${"x".repeat(16 * 1024 * 1024)}"}}]}\n\n`;
  const usage = 'data: {"choices":[],"usage":{"total_tokens":1}}\n\n';
  const body = `${event}${usage}data: [DONE]\n\n`;
  const lines = new Lines();
  const passed = [];
  let most = 0;
  const began = performance.now();
  for (let at = 0; at < body.length; at += 4096) {
    passed.push(lines.push(body.slice(at, at + 4096)));
    most = Math.max(most, lines.rest.length);
  }
  const took = performance.now() - began;
  assert.ok(passed.join("") === `${event}data: [DONE]\n\n`);
  assert.equal(lines.taken, usage.slice(0, -1));
  assert.ok(most <= 64 * 1024, `${most} characters were held back`);
  // With the square of the length it was minutes.
  assert.ok(took < 2000, `${took} ms`);
});
