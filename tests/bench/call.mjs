// What a call costs: CPU of workerd for one JSON call and for one 200-chunk stream through the broker, beside a worker in a workerd of
// its own that does nothing but return the upstream body.
//
//   npm run bench
//
// Both are measured in turns in the same run, on the same load, and compared as a ratio: machines are noisy, ratios less so. Linux only:
// the time comes from /proc.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import { once } from "node:events";
import diagnosticsChannel from "node:diagnostics_channel";
import { Miniflare } from "miniflare";
import { freePort, newSecrets, startBroker } from "../support/broker.mjs";
import { Browser } from "../support/flow.mjs";
import { startStandin } from "../standin/server.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 7);
const AT_ONCE = 8;
const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

const started = [];
diagnosticsChannel.subscribe("child_process", ({ process }) => started.push(process));

/** The upstream body returned as it is: the floor of what any proxy can do. */
async function startUntouched(upstream) {
  const port = await freePort();
  const script = `export default { fetch(request) {
    const url = new URL(request.url);
    return fetch("${upstream}" + url.pathname, { method: request.method, headers: request.headers, body: request.body, redirect: "manual" });
  } }`;
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    workers: [
      {
        config: {
          name: "untouched",
          compatibilityDate: "2026-11-17",
          manifest: { mainModule: "index.js", modulesRoot: import.meta.dirname, modules: { "index.js": { type: "esm", contents: script } } },
        },
        dev: { rootPath: import.meta.dirname, unsafeDirectSockets: [{ host: "localhost", port }] },
      },
    ],
  });
  await miniflare.ready;
  return { port, pid: started.at(-1).pid, close: () => miniflare.dispose() };
}

/** CPU seconds of a process, all threads, user and system. */
function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });

async function send({ port, path, headers, body }) {
  const request = http.request({ host: "localhost", port, path, method: "POST", agent, headers: { ...headers, "content-type": "application/json" } });
  request.end(body);
  const [response] = await once(request, "response");
  let bytes = 0;
  for await (const chunk of response) bytes += chunk.length;
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  return bytes;
}

/** Milliseconds of CPU and of wall time per request. */
async function measure(target, body, count) {
  let left = count;
  const before = cpuSeconds(target.pid);
  const began = performance.now();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await send({ ...target, body });
    }),
  );
  return { cpu: ((cpuSeconds(target.pid) - before) * 1000) / count, wall: (performance.now() - began) / count };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const show = (number) => number.toFixed(2).padStart(7);

const secrets = newSecrets();
const standin = await startStandin({ port: 0, openaiKey: secrets.OPENAI_API_KEY, anthropicKey: secrets.ANTHROPIC_API_KEY });
const untouched = await startUntouched(standin.url);
const broker = await startBroker({ secrets, env: { OPENAI_BASE_URL: standin.url, ANTHROPIC_BASE_URL: standin.url } });
const browser = new Browser(broker);
await browser.signIn();
const { access_token: token } = await browser.grant(await browser.register());

const targets = {
  broker: { port: broker.port, pid: broker.pid, path: "/openai/v1/chat/completions", headers: { authorization: `Bearer ${token}` } },
  untouched: {
    port: untouched.port,
    pid: untouched.pid,
    path: "/v1/chat/completions",
    headers: { authorization: `Bearer ${secrets.OPENAI_API_KEY}` },
  },
};
const chat = (content, extra) => JSON.stringify({ model: "gpt-5-mini", messages: [{ role: "user", content }], ...extra });
const loads = [
  ["JSON call", chat("hello"), 400],
  ["200-chunk stream", chat("standin:chunks=200 standin:slow=2", { stream: true }), 48],
];

console.log(`median of ${ROUNDS} rounds, ${AT_ONCE} at once\n`);
console.log("                      broker CPU  untouched CPU   ratio   broker wall  untouched wall   (ms per call)");
for (const [name, body, count] of loads) {
  for (const target of Object.values(targets)) await measure(target, body, AT_ONCE * 4);
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = round % 2 ? ["broker", "untouched"] : ["untouched", "broker"];
    const result = {};
    for (const which of order) result[which] = await measure(targets[which], body, count);
    standin.reset();
    rounds.push(result);
  }
  const of = (which, what) => median(rounds.map((round) => round[which][what]));
  const ratio = median(rounds.map((round) => round.broker.cpu / round.untouched.cpu));
  console.log(
    `${name.padEnd(22)}${show(of("broker", "cpu"))}    ${show(of("untouched", "cpu"))}      ${show(ratio)}   ${show(of("broker", "wall"))}      ${show(of("untouched", "wall"))}`,
  );
}

agent.destroy();
await broker.close();
await untouched.close();
await standin.close();
