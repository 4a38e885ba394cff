// What every measurement needs: a workerd of its own for a hand-written worker, CPU time, and rounds in turns.
//
// Machines are noisy, ratios less so: whatever is compared is measured in turns in the same run, on the same load, and what counts is
// the median over the rounds of the ratio within each round. Linux only: CPU time comes from /proc.

import diagnosticsChannel from "node:diagnostics_channel";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { Miniflare } from "miniflare";
import { freePort } from "../support/broker.mjs";

const started = [];
diagnosticsChannel.subscribe("child_process", ({ process }) => started.push(process));

/** A workerd that runs one hand-written worker of this folder; `beside` are further modules, by the name it imports them by. */
export async function startWorker(name, { upstream, beside = {} }) {
  const port = await freePort();
  const stateDir = await mkdtemp(path.join(tmpdir(), "aipassport-bench-"));
  const read = (file) => ({ type: "esm", contents: readFileSync(file, "utf8") });
  const modules = { "index.js": read(path.join(import.meta.dirname, name)) };
  for (const [as, file] of Object.entries(beside)) modules[as] = read(file);
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    resourcePersistencePath: stateDir,
    handleStructuredLogs: (line) => line.level === "error" && console.error(name, line.message),
    workers: [
      {
        config: {
          name: "floor",
          compatibilityDate: "2026-11-17",
          manifest: { mainModule: "index.js", modulesRoot: import.meta.dirname, modules },
          env: {
            UPSTREAM: { type: "text", value: upstream },
            LEDGER: { type: "durable-object", worker: "floor", exportName: "Ledger" },
          },
          exports: { Ledger: { type: "durable-object", storage: "sqlite" } },
        },
        dev: { rootPath: import.meta.dirname, unsafeDirectSockets: [{ host: "localhost", port }] },
      },
    ],
  });
  await miniflare.ready;
  return {
    port,
    pid: started.at(-1).pid,
    async close() {
      await miniflare.dispose();
      await rm(stateDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** CPU milliseconds of a process over all its threads, from the scheduler's own nanoseconds. */
export function cpuMs(pid) {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
    } catch {
      // It ended in between.
    }
  }
  return sum / 1e6;
}

export const median = (numbers) => quantile(numbers, 0.5);
export const quantile = (numbers, part) =>
  numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))];
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A client with as many connections as it has requests in flight. */
export function newClient(atOnce) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: atOnce });
  return {
    async send({ port, path, headers, body }) {
      const request = http.request({
        host: "localhost",
        port,
        path,
        method: "POST",
        agent,
        headers: { ...headers, "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      });
      request.end(body);
      const [response] = await once(request, "response");
      return response;
    },
    close: () => agent.destroy(),
  };
}

/** Does `work` `count` times, `atOnce` at a time; what each gave. */
export async function times(count, atOnce, work) {
  const results = [];
  let left = count;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) results.push(await work());
    }),
  );
  return results;
}

/**
 * Measures several things in turns: `ways` are functions that each do one round and give numbers. Answers by way with `of(number)`,
 * the median, and `ratio(number, other)`, the median of the ratios to another way in the same round.
 */
export async function inTurns(ways, rounds) {
  const names = Object.keys(ways);
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 ? names.toReversed() : names) results[name].push(await ways[name]());
  }
  const pick = (name, what) => results[name].map((result) => result[what]);
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        of: (what) => median(pick(name, what)),
        ratio: (what, other) => median(pick(name, what).map((value, round) => value / results[other][round][what])),
        above: (what, other) => median(pick(name, what).map((value, round) => value - results[other][round][what])),
      },
    ]),
  );
}
