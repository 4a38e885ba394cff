// What a JSON call costs: CPU beside hand-written floors, how soon the ledger says yes, and whether either grows with what is stored.

import { cpuMs, inTurns, median, newClient, sleep, startWorker, times } from "./lab.mjs";
import { body, seedCalls, seedGrants, startBrokerWithGrants } from "./brokers.mjs";

const AT_ONCE = 8;
const CALLS = 300;
const WARM_UP = 300;

async function send(client, target) {
  const began = performance.now();
  const response = await client.send({ ...target, body: target.body ?? body() });
  let received = "";
  for await (const piece of response) received += piece;
  if (response.statusCode !== 200) throw new Error(`${target.path}: status ${response.statusCode} ${received}`);
  return performance.now() - began;
}

/** One round of calls: CPU and wall time of each, requests a second. */
const way =
  (client, target, count = CALLS, atOnce = AT_ONCE) =>
  async () => {
    const before = cpuMs(target.pid);
    const began = performance.now();
    const each = await times(count, atOnce, () => send(client, target));
    const seconds = (performance.now() - began) / 1000;
    // What comes after the answers: settlements.
    await sleep(60);
    return { cpu: (cpuMs(target.pid) - before) / count, p50: median(each), rate: count / seconds };
  };

async function run(ways, rounds) {
  for (const warmUp of Object.values(ways)) await warmUp();
  return inTurns(ways, rounds);
}

const row = (what, result, floor, unit = "p50") => ({
  what,
  cpu: result.of("cpu"),
  ratio: floor && result.ratio("cpu", floor),
  note: `${unit} ${result.of("p50").toFixed(1)} ms, ${result.of("rate").toFixed(0)}/s`,
});

/** A call beside the floors. */
export async function measureCalls(upstream, rounds) {
  const floors = await startWorker("json.worker.mjs", { upstream });
  const { broker, grant } = await startBrokerWithGrants(upstream);
  const client = newClient(AT_ONCE);
  const floor = (name) => ({ ...floors, path: `/${name}/v1/chat/completions`, headers: {} });
  const called = await grant();
  for (const target of [floor("one"), called]) await times(WARM_UP, AT_ONCE, () => send(client, target));
  const results = await run(
    {
      untouched: way(client, floor("untouched")),
      one: way(client, floor("one")),
      two: way(client, floor("two")),
      broker: way(client, called),
    },
    rounds,
  );
  client.close();
  await broker.close();
  await floors.close();
  const { untouched, one, two, broker: ours } = results;
  return {
    rows: [
      row("JSON call: untouched", untouched, "one"),
      row("JSON call: one call of an object, one write", one, "one"),
      row("JSON call: two of them", two, "one"),
      row("JSON call: broker", ours, "one"),
    ],
    summary: {
      json_floor_cpu_ms: one.of("cpu"),
      json_two_calls_cpu_ms: two.of("cpu"),
      json_cpu_ms: ours.of("cpu"),
      json_cpu_ratio_to_js_floor: ours.ratio("cpu", "one"),
      json_cpu_ratio_to_two_calls: ours.ratio("cpu", "two"),
      json_requests_per_second: ours.of("rate"),
      json_p50_ms: ours.of("p50"),
    },
  };
}

/** Room set aside in steps beside a write for each call: one grant, where every call waits for the same ledger. */
export async function measureAhead(upstream, rounds) {
  const each = await startBrokerWithGrants(upstream, { LEDGER_AHEAD_CALLS: "0" });
  const ahead = await startBrokerWithGrants(upstream, { LEDGER_AHEAD_CALLS: "8" });
  const clients = { 1: newClient(1), 8: newClient(8) };
  const ways = {};
  for (const [name, { grant }] of Object.entries({ each, ahead })) {
    const target = await grant();
    await times(WARM_UP, AT_ONCE, () => send(clients[8], target));
    for (const [atOnce, client] of Object.entries(clients)) ways[`${name} ${atOnce}`] = way(client, target, 200, Number(atOnce));
  }
  const results = await run(ways, rounds);
  for (const client of Object.values(clients)) client.close();
  for (const { broker } of [each, ahead]) await broker.close();
  return {
    rows: Object.entries(results).map(([name, result]) => {
      const [which, atOnce] = name.split(" ");
      const what = which === "each" ? "a write for each" : "room set aside for 8";
      return row(`one grant, ${atOnce} at once: ${what}`, result, `each ${atOnce}`);
    }),
    summary: {
      reserve_p50_ratio_ahead_to_each: results["ahead 8"].ratio("p50", "each 8"),
      reserve_p50_ratio_ahead_to_each_alone: results["ahead 1"].ratio("p50", "each 1"),
      reserve_rate_ratio_ahead_to_each: results["ahead 8"].ratio("rate", "each 8"),
      one_grant_ahead_requests_per_second: results["ahead 8"].of("rate"),
      one_grant_each_requests_per_second: results["each 8"].of("rate"),
      one_grant_ahead_p50_ms: results["ahead 8"].of("p50"),
      one_grant_each_p50_ms: results["each 8"].of("p50"),
    },
  };
}

/** A young broker beside one with many grants, and a young grant beside one with many booked calls. */
export async function measureFlatness(upstream, rounds, { grants = 100_000, calls = 1_000_000 } = {}) {
  const young = await startBrokerWithGrants(upstream);
  const old = await startBrokerWithGrants(upstream);
  const targets = { young: await young.grant(), "many grants": await old.grant(), "many calls": await old.grant() };
  await seedGrants(old.broker, targets["many grants"], grants);
  await seedCalls(old.broker, targets["many calls"], calls);
  const client = newClient(AT_ONCE);
  const ways = {};
  for (const [name, target] of Object.entries(targets)) {
    await times(WARM_UP, AT_ONCE, () => send(client, target));
    ways[name] = way(client, target, 300);
  }
  const results = await run(ways, rounds);
  client.close();
  for (const { broker } of [young, old]) await broker.close();
  return {
    rows: [
      row("JSON call: a broker with one grant", results.young, "young"),
      row(`JSON call: beside ${grants.toLocaleString("en")} other grants`, results["many grants"], "young"),
      row(`JSON call: of a grant with ${calls.toLocaleString("en")} booked calls`, results["many calls"], "young"),
    ],
    summary: {
      json_cpu_ratio_100k_grants_to_one: results["many grants"].ratio("cpu", "young"),
      json_cpu_ratio_1m_calls_to_none: results["many calls"].ratio("cpu", "young"),
      json_p50_ratio_1m_calls_to_none: results["many calls"].ratio("p50", "young"),
    },
  };
}
