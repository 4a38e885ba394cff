// Differential test: what our Rust reads from the corpus, and what it costs, against an independent library (@pydantic/genai-prices).
// Where the two differ on purpose, DIFFERENCES says why, and the difference must be there: when it goes, its line has to go too.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { calcPrice, extractUsage, findProvider } from "@pydantic/genai-prices";
import { corpusFiles, corpusFolder } from "./corpus.mjs";

const root = join(import.meta.dirname, "../..");
// Some of its prices depend on the time.
const AT = new Date("2026-11-24T12:00:00Z");
/** Kinds of tokens that our usage has as what is left over. */
const LEFT_OVER = ["input_text_tokens", "output_text_tokens", "cache_write_5m_tokens"];

const iterations = (whole) => whole.usage.iterations ?? [];

/** `usage`, `cost`: in which of the two they differ. Unless it `mayBeLess`, our cost is the higher one. */
const DIFFERENCES = [
  {
    what: "flex and priority have prices of their own",
    why: "the oracle knows one price for each model; we bill the tier that the answer names",
    applies: ({ provider }, whole) => provider === "openai" && ["flex", "priority"].includes(whole.service_tier),
    cost: true,
    mayBeLess: true,
  },
  {
    what: "fast mode costs a multiple",
    why: "the oracle does not read `speed`",
    applies: (_, whole) => whole.usage.speed === "fast",
    cost: true,
  },
  {
    what: "inference in one region costs more",
    why: "the oracle does not read `inference_geo`",
    applies: (_, whole) => whole.usage.inference_geo === "us",
    cost: true,
  },
  {
    what: "web searches of Responses are billed",
    why: "the oracle reads them for Anthropic alone; OpenAI says them in `tool_usage`, or shows each as an item",
    applies: ({ kind }, whole) => kind === "responses" && whole.output.some(({ type }) => type === "web_search_call"),
    usage: true,
    cost: true,
  },
  {
    what: "what is written to a cache for 12 hours costs more",
    why: "the oracle does not read `cache_write_tokens_details`",
    applies: (_, whole) => (whole.usage.input_tokens_details?.cache_write_tokens_details?.ttl_12h_tokens ?? 0) > 0,
    usage: true,
    cost: true,
  },
  {
    what: "the image that a response drew is billed by the model that drew it",
    why: "the oracle does not read `tool_usage.image_gen`",
    applies: ({ kind }, whole) => kind === "responses" && (whole.tool_usage?.image_gen?.output_tokens ?? 0) > 0,
    cost: true,
  },
  {
    what: "images in the input of a chat are told apart",
    why: "the oracle does not read `prompt_tokens_details.image_tokens`; the price is that of text",
    applies: ({ kind }, whole) => kind === "chat" && (whole.usage.prompt_tokens_details?.image_tokens ?? 0) > 0,
    usage: true,
  },
  {
    what: "what the total has beyond prompt and completion is output",
    why: "some leave reasoning out of the completion and bill it; the oracle reads no total",
    applies: ({ kind }, { usage }) => kind === "chat" && usage.total_tokens > usage.prompt_tokens + usage.completion_tokens,
    usage: true,
    cost: true,
  },
  {
    what: "compactions and advisors are billed beside the message",
    why: "their tokens are not in the counts above them; the oracle does not read `iterations`",
    applies: (_, whole) => iterations(whole).some(({ type }) => type === "compaction" || type === "advisor_message"),
    cost: true,
  },
  {
    what: "other models of a fallback are billed at their own price",
    why: "the oracle bills everything by the model that answered",
    applies: (_, whole) => iterations(whole).some(({ type }) => type === "fallback_message"),
    usage: true,
    cost: true,
    mayBeLess: true,
  },
  {
    what: "output of an image model that is not broken down is the image",
    why: "the stream's types say so, and an image is the dearer; the oracle takes it for text where the two have prices of their own",
    applies: ({ kind, model }, whole) => kind === "images" && !whole.usage.output_tokens_details && model === "gpt-image-1.5",
    usage: true,
    cost: true,
  },
  {
    what: "output of an image model that is not broken down is the image, at one price",
    why: "as above; for these models text and images cost the same",
    applies: ({ kind, model }, whole) => kind === "images" && !whole.usage.output_tokens_details && model !== "gpt-image-1.5",
    usage: true,
  },
  {
    what: "what speech puts out is sound",
    why: "the answer does not say so, the endpoint does",
    applies: ({ kind }) => kind === "speech",
    usage: true,
  },
];

/** Absurd answers that the oracle believes. We don't: the caller then books a bound. */
const BELIEVED_BY_THE_ORACLE = [
  "chat: absurd, fraction",
  "chat: absurd, above 2^53",
  "chat: absurd, total below its parts",
  "messages: absurd, more thinking than output",
];

const corpus = Object.keys(corpusFiles()).flatMap((name) =>
  readFileSync(join(corpusFolder, name), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line)),
);

function readings() {
  const args = ["test", "--locked", "--quiet", "--lib", "oracle::the_readings_are_printed_for_the_oracle", "--", "--exact", "--nocapture"];
  const printed = execFileSync("cargo", args, { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024, stdio: ["ignore", "pipe", "inherit"] });
  const lines = printed.split("\n").filter((line) => line.startsWith("{"));
  return new Map(lines.map((line) => JSON.parse(line)).map((reading) => [reading.name, reading]));
}

const wholeOf = (one) => one.whole ?? JSON.parse(one.body);

function theirUsage({ provider, flavor }, whole) {
  if (flavor === "seconds") return { audio_seconds: whole.usage.seconds, input_audio_seconds: whole.usage.seconds };
  return extractUsage(findProvider({ providerId: provider }), flavor === "realtime" ? { response: whole } : whole, flavor).usage;
}

const told = (usage) =>
  Object.fromEntries(Object.entries(usage).filter(([name, count]) => count > 0 && !LEFT_OVER.includes(name)).toSorted());

function compare(one, ours) {
  const whole = wholeOf(one);
  const usage = theirUsage(one, whole);
  const { model: _, audio_millis: millis, ...counts } = ours.usages[0];
  const our = told({ ...counts, input_audio_seconds: millis / 1000 });
  const their = told(one.flavor === "seconds" ? { input_audio_seconds: usage.input_audio_seconds } : usage);
  const price = calcPrice(usage, whole.model ?? one.model, { providerId: one.provider, timestamp: AT });
  assert.ok(price, `the oracle has a price for ${one.model}`);
  const nano = price.total_price * 1e9;
  // Ours is rounded up, each model's share by itself; theirs has the error of a float.
  const within = ours.nano_usd !== null && ours.nano_usd > nano - 0.001 && ours.nano_usd < nano + ours.usages.length + 0.001;
  return { usage: JSON.stringify(our) === JSON.stringify(their), cost: within, detail: { our, their, ourNano: ours.nano_usd, theirNano: nano } };
}

describe("the usage and the cost of every answer of the corpus", () => {
  let found;
  before(() => {
    found = readings();
  });

  const isCompared = (one) => one.said === "complete" && one.flavor !== undefined;
  const applying = (one) => DIFFERENCES.filter(({ applies }) => applies(one, wholeOf(one)));

  it("is read from a corpus as it is written here", () => {
    for (const [name, text] of Object.entries(corpusFiles())) {
      assert.equal(readFileSync(join(corpusFolder, name), "utf8"), text, `${name}: run node tests/oracle/corpus.mjs`);
    }
    assert.ok(corpus.length >= 200);
    assert.equal(new Set(corpus.map(({ name }) => name)).size, corpus.length, "names are unique");
    assert.deepEqual([...found.keys()].toSorted(), corpus.map(({ name }) => name).toSorted());
  });

  it("is what the oracle says", () => {
    const compared = corpus.filter((one) => isCompared(one) && applying(one).length === 0);
    assert.ok(compared.length >= 150, `${compared.length}`);
    for (const one of compared) {
      const { usage, cost, detail } = compare(one, found.get(one.name));
      assert.ok(usage && cost, `${one.name}: ${JSON.stringify(detail)}`);
    }
  });

  for (const { what, applies, usage = false, cost = false, mayBeLess = false } of DIFFERENCES) {
    it(`differs on purpose: ${what}`, () => {
      const cases = corpus.filter((one) => isCompared(one) && applies(one, wholeOf(one)));
      assert.ok(cases.length > 0, "the corpus has none of them");
      for (const one of cases) {
        assert.equal(applying(one).length, 1, `${one.name}: one difference at a time`);
        const same = compare(one, found.get(one.name));
        assert.deepEqual({ usage: same.usage, cost: same.cost }, { usage: !usage, cost: !cost }, `${one.name}: ${JSON.stringify(same.detail)}`);
        if (cost && !mayBeLess) assert.ok(same.detail.ourNano > same.detail.theirNano, `${one.name}: ours is not below`);
      }
    });
  }

  it("is not believed where it is absurd, also where the oracle does", () => {
    const believes = (one) => {
      try {
        return Boolean(calcPrice(theirUsage(one, wholeOf(one)), one.model, { providerId: one.provider, timestamp: AT }));
      } catch {
        return false;
      }
    };
    const absurd = corpus.filter(({ name, stream }) => name.includes("absurd") && !stream);
    assert.ok(absurd.every(({ said }) => said === "missing"));
    assert.deepEqual(absurd.filter(believes).map(({ name }) => name), BELIEVED_BY_THE_ORACLE);
  });
});
