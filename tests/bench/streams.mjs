// What passing a stream costs, and how late its chunks come: the ways alone, and whole calls through the broker.

import { cpuMs, inTurns, newClient, quantile, sleep, startWorker, times } from "./lab.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { body, startBrokerWithGrants } from "./brokers.mjs";
import { CHUNKS } from "./upstream.mjs";

const AT_ONCE = 8;
const STREAMS = 32;

async function stream(client, target, text, hasUsage) {
  const response = await client.send({ ...target, body: text });
  const delays = [];
  let received = "";
  for await (const piece of response) {
    const now = performance.now();
    const part = piece.toString("latin1");
    received += part;
    for (const [, written] of part.matchAll(/"t":([\d.]+),/g)) delays.push(now - Number(written));
  }
  const problem =
    (response.statusCode !== 200 && `status ${response.statusCode}`) ||
    (delays.length !== CHUNKS && `${delays.length} chunks`) ||
    (received.includes('"choices":[]') !== hasUsage && `usage: ${!hasUsage}`);
  if (problem) throw new Error(`${target.path}: ${problem}: ${received.slice(-300)}`);
  return delays;
}

/** @returns rows for the table and numbers for the summary */
export async function measureStreams(upstream, rounds) {
  const worker = await startWorker("streams.worker.mjs", { upstream, beside: Object.fromEntries(["streams.mjs", "patience.mjs"].map((name) => [name, inRoot("src", "edge", name)])) });
  const { broker, grant } = await startBrokerWithGrants(upstream);
  const called = await grant();
  const client = newClient(AT_ONCE);
  const alone = (way) => ({ ...worker, path: `/${way}`, headers: {} });
  const asked = body({ stream: true, stream_options: { include_usage: true } });
  const unasked = body({ stream: true });

  const way = (target, text, hasUsage) => async () => {
    const before = cpuMs(target.pid);
    const delays = (await times(STREAMS, AT_ONCE, () => stream(client, target, text, hasUsage))).flat();
    // The copy is looked at about once a second; its end comes early.
    await sleep(300);
    return { cpu: (cpuMs(target.pid) - before) / STREAMS, worst: Math.max(...delays), p99: quantile(delays, 0.99) };
  };
  const ways = {
    untouched: way(alone("untouched"), asked, true),
    metered: way(alone("metered"), asked, true),
    pumped: way(alone("pumped"), asked, true),
    "without usage": way(alone("without-usage"), asked, false),
    "TransformStream": way(alone("transform"), asked, false),
    "read, write": way(alone("loop"), asked, false),
    "BYOB read, write": way(alone("byob"), asked, false),
    "broker, metered": way(called, asked, true),
    "broker, without usage": way(called, unasked, false),
  };
  for (const warmUp of Object.values(ways)) await warmUp();
  const results = await inTurns(ways, rounds);
  client.close();
  await broker.close();
  await worker.close();

  const rows = Object.entries(results).map(([name, result]) => ({
    what: `stream: ${name}`,
    cpu: result.of("cpu"),
    ratio: result.ratio("cpu", "untouched"),
    note: `worst delay of a chunk ${result.of("worst").toFixed(0)} ms, ${result.above("worst", "untouched").toFixed(0)} added`,
  }));
  const { metered, "without usage": rewrite } = results;
  return {
    rows,
    summary: {
      stream_untouched_cpu_ms: results.untouched.of("cpu"),
      stream_native_cpu_ratio: metered.ratio("cpu", "untouched"),
      stream_native_worst_added_delay_ms: metered.above("worst", "untouched"),
      stream_rewrite_cpu_ratio: rewrite.ratio("cpu", "untouched"),
      stream_rewrite_worst_added_delay_ms: rewrite.above("worst", "untouched"),
      stream_transform_cpu_ratio: results.TransformStream.ratio("cpu", "untouched"),
      stream_loop_cpu_ratio: results["read, write"].ratio("cpu", "untouched"),
      stream_byob_cpu_ratio: results["BYOB read, write"].ratio("cpu", "untouched"),
      // Whole calls: here the local disk stands still for all that one workerd does, at each write of a ledger and of the database.
      broker_stream_native_worst_added_delay_ms: results["broker, metered"].above("worst", "untouched"),
      broker_stream_rewrite_worst_added_delay_ms: results["broker, without usage"].above("worst", "untouched"),
      broker_stream_native_cpu_ratio: results["broker, metered"].ratio("cpu", "untouched"),
      broker_stream_native_cpu_ms: results["broker, metered"].of("cpu"),
      broker_stream_rewrite_cpu_ratio: results["broker, without usage"].ratio("cpu", "untouched"),
      broker_stream_rewrite_cpu_ms: results["broker, without usage"].of("cpu"),
    },
  };
}
