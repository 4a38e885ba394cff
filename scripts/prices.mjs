// `npm run prices`: makes `src/gateway/prices/table.jsonl`, what models cost, from two pinned public lists (both MIT licensed), and
// says on stdout where they disagree. `npm run prices -- --check` only compares. `docs/prices.md` explains the format.
//
// Prices are read as the decimal texts that stand in the lists and never pass through a float.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { inRoot, withTemporaryFolder } from "./lib/paths.mjs";
import { runScript, say, SetupError, step } from "./lib/steps.mjs";

const FIRST = {
  version: "1.109.1",
  file: "litellm/model_prices_and_context_window_backup.json",
  sha256: "8f8060d8ce7a40c91b995c74d6a27657543d49e3c1c53430dabd556f244392c6",
};
const SECOND = {
  version: "0.1.8",
  file: "package/dist/index.js",
  sha256: "0c9da2297434f9f0a3033f26442542457e7b2a68f411aa1b0bb4cade1a129c06",
};
const TABLE = inRoot("src/gateway/prices/table.jsonl");
const PROVIDERS = ["anthropic", "openai"];

// What the lists say that can't be right, each with its reason. Everything else is taken as it stands.
const CORRECTIONS = [
  // They may write as much as their whole context holds; 4,096 would bind too low.
  { models: ["gpt-4", "gpt-4-0613", "ft:gpt-4-0613"], set: { max_output: 8192 } },
  // One image of the largest size (1536x1024) in high quality is 6,240 tokens (0.25 USD at 40 USD per million, as the rows of these
  // sizes say), and each of at most three previews is 100 more. Newer models take any size, so theirs is not known.
  { models: ["gpt-image-1", "gpt-image-1-mini"], set: { max_output: 6540 } },
  // Searches of models that don't reason cost this much at their siblings; only the second list has a price here, the lower one.
  { models: ["gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"], set: { search: 25_000_000_000n } },
];

/**
 * How many tokens of a picture OpenAI bills for each that its model reads, in percent: neither list says it. From its guide to images
 * ("Images and vision", 2026-07-15, and the table of September 2026; where they differ, the larger), without the dates of snapshots. The
 * first that matches holds; of a model that none does the broker takes 246, the largest of those that cut pictures into patches.
 */
const IMAGE_PERCENTS = [
  // They hear, and see nothing.
  [/-audio(-|$)/, 100],
  // 2,833 for the picture and 5,667 for each of its tiles, where its siblings have 85 and 170.
  [/^gpt-4o-mini/, 3334],
  [/^(gpt-4\.1|gpt-5|gpt-5\.4)-nano/, 246],
  [/^(gpt-4\.1|gpt-5|gpt-5\.4)-mini/, 162],
  [/^o4-mini/, 172],
  [/^(gpt-5(\.1)?-codex|gpt-5\.[2-6]|gpt-6-astra)(-|$)/, 120],
  [/^(gpt-4o|chatgpt-4o|gpt-4\.1|gpt-4-turbo|gpt-5(\.1)?(?!-pro)|o1|o3|computer-use-preview)(-|$)/, 100],
];

// ── numbers ──────────────────────────────────────────────────────────────────────────────────────

/** JSON whose numbers stay the texts they are. */
const parseExact = (text) =>
  JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (found) => (found[0] === '"' ? found : `"${found}"`)));

/** A decimal text, times 10^`places`, as an integer; rounded up. */
function scaled(text, places) {
  const [, digits, fraction = "", exponent = "0"] = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  if (digits === undefined) throw new SetupError(`not a price: ${text}`);
  const shift = places + Number(exponent) - fraction.length;
  const whole = BigInt(digits + fraction);
  if (shift >= 0) return whole * 10n ** BigInt(shift);
  const by = 10n ** BigInt(-shift);
  return (whole + by - 1n) / by;
}

/** An integer, divided by 10^`places`, as a decimal text. */
function written(integer, places) {
  const digits = integer.toString().padStart(places + 1, "0");
  const fraction = digits.slice(digits.length - places).replace(/0+$/, "");
  return digits.slice(0, digits.length - places) + (fraction && `.${fraction}`);
}

const PICO = 12;

// ── the first list ───────────────────────────────────────────────────────────────────────────────

/** Names of token prices there and here. */
const RATES = {
  input_cost_per_token: "input",
  cache_read_input_token_cost: "cached",
  cache_creation_input_token_cost: "write",
  cache_creation_input_token_cost_above_1hr: "write_long",
  cache_creation_input_token_cost_above_12hr: "write_long",
  output_cost_per_token: "output",
  input_cost_per_audio_token: "audio_input",
  cache_read_input_audio_token_cost: "audio_cached",
  output_cost_per_audio_token: "audio_output",
  input_cost_per_image_token: "image_input",
  cache_read_input_image_token_cost: "image_cached",
  output_cost_per_image_token: "image_output",
};
const ORDER = [...new Set(Object.values(RATES))];
const TIERS = ["flex", "priority", "ultrafast"];
const RATE_KEY = new RegExp(
  `^(${Object.keys(RATES).sort((a, b) => b.length - a.length).join("|")})(?:_above_(\\d+)k_tokens)?(?:_(${TIERS.join("|")}))?$`,
);
/** Prices that no call through the broker is billed by: batches, another endpoint, other ways to count the same tokens. */
const ELSEWHERE =
  /_batches$|_decisions$|^input_cost_per_(pixel|image)$|^output_cost_per_(pixel|second)$|^code_interpreter_cost_per_session$/;
const MODES = {
  chat: () => true,
  responses: () => true,
  embedding: () => true,
  moderation: () => true,
  image_generation: (_, row) => "input_cost_per_token" in row,
  audio_speech: () => true,
  audio_transcription: (_, row) => row.supported_endpoints.includes("/v1/audio/transcriptions"),
};

/** A price of ours, amounts in pico-USD: `{rates: {tier: {input, …}}, long: {above, tier: {…}}, …}`. */
function fromFirst(id, row) {
  const model = { rates: {}, long: {}, provider: row.litellm_provider, id };
  for (const [key, value] of Object.entries(row)) {
    const [, stem, above, tier = "standard"] = RATE_KEY.exec(key) ?? [];
    if (stem) {
      if (above) {
        if (model.above && model.above !== Number(above) * 1000) throw new SetupError(`${id} has two long contexts`);
        model.above = Number(above) * 1000;
      }
      ((above ? model.long : model.rates)[tier] ??= {})[RATES[stem]] = scaled(value, PICO);
    } else if (key === "input_cost_per_character") model.character = scaled(value, PICO);
    else if (key === "input_cost_per_second") model.audio_second = scaled(value, PICO);
    else if (key === "search_context_cost_per_query") {
      // Which size a search has is the request's choice, so the dearest stands.
      model.search = Object.values(value).map((price) => scaled(price, PICO)).reduce((a, b) => (a > b ? a : b));
    } else if (key.startsWith("regional_processing_uplift_multiplier_")) {
      model.region_percent = Math.max(model.region_percent ?? 100, Number(scaled(value, 2)));
    } else if (key === "provider_specific_entry") {
      for (const [name, percent] of Object.entries(value)) {
        const field = { us: "region_percent", fast: "fast_percent" }[name];
        if (!field) throw new SetupError(`${id} has a multiplier ${name} that nobody here knows`);
        model[field] = Number(scaled(percent, 2));
      }
    } else if (/cost/.test(key) && !ELSEWHERE.test(key)) throw new SetupError(`${id} has a price ${key} that nobody here knows`);
  }
  if (row.mode === "embedding" || row.mode === "moderation") {
    // A call takes many texts, so the longest text says nothing about a call. Nothing is written.
    model.max_output = 0;
    model.rates.standard.output = undefined;
  } else if (row.mode === "chat" || row.mode === "responses") {
    model.window = row.max_input_tokens && Number(row.max_input_tokens);
    model.max_output = row.max_output_tokens && Number(row.max_output_tokens);
    if (model.provider === "openai") model.image_percent = IMAGE_PERCENTS.find(([models]) => models.test(id.replace(/^ft:/, "")))?.[1];
  }
  // Transcription splits long audio into windows, and images have another measure: neither is bound by a window.
  const { standard = {} } = model.rates;
  const { standard: long } = model.long;
  // Where only the price above the threshold of the longer writes is missing, they are taken to cost as much more there as below.
  if (long?.write && !long.write_long && standard.write_long) {
    long.write_long = (standard.write_long * long.write + standard.write - 1n) / standard.write;
  }
  // Writing to a cache is never cheaper than reading: where it says so, the price of reading from it has the wrong name.
  if (standard.write < standard.input) standard.write = undefined;
  return model;
}

function readFirst(text) {
  const models = new Map();
  for (const [id, row] of Object.entries(parseExact(text))) {
    // A name with a slash is no model: sizes of images, containers.
    if (PROVIDERS.includes(row.litellm_provider) && !id.includes("/") && MODES[row.mode]?.(id, row)) models.set(id, fromFirst(id, row));
  }
  return models;
}

// ── the second list ──────────────────────────────────────────────────────────────────────────────

const SECOND_RATES = {
  input_mtok: "input",
  cache_read_mtok: "cached",
  cache_write_mtok: "write",
  cache_write_1h_mtok: "write_long",
  output_mtok: "output",
  input_audio_mtok: "audio_input",
  cache_audio_read_mtok: "audio_cached",
  output_audio_mtok: "audio_output",
  input_image_mtok: "image_input",
  cache_image_read_mtok: "image_cached",
  output_image_mtok: "image_output",
};

/** What may follow a name that stands for its dated versions. Anything else is another model: `claude-sonnet-5` isn't 5-5. */
const DATE = /^-?(\d{8}|(\d{4}-)?\d{2}-\d{2}|\d{4})?$/;

const matches = (clause, id) =>
  clause.or?.some((inner) => matches(inner, id)) ||
  clause.equals === id ||
  (clause.starts_with && id.startsWith(clause.starts_with) && DATE.test(id.slice(clause.starts_with.length))) ||
  (clause.regex && new RegExp(clause.regex).test(id));

/** It is a program; its data is one literal in it. */
function readSecond(text) {
  const begin = text.indexOf("\nconst E = [");
  const end = text.indexOf("\n]", begin);
  const data = runInNewContext(`(${text.slice(text.indexOf("[", begin), end)}\n])`);
  return data.filter(({ id }) => PROVIDERS.includes(id));
}

/** Prices of a model there, in our shape. Numbers of this list are short decimals, which their texts give exactly. */
function fromSecond(providers, { provider, id }) {
  const found = providers.find((each) => each.id === provider).models.find(({ match }) => matches(match, id));
  if (!found) return undefined;
  // Prices that begin later stand later.
  const prices = Array.isArray(found.prices) ? found.prices.at(-1).prices : found.prices;
  const model = { rates: { standard: {} }, long: {} };
  for (const [key, price] of Object.entries(prices)) {
    if (SECOND_RATES[key]) {
      const tiers = price.tiers ?? [];
      if (tiers.length > 1) throw new SetupError(`${id} has two long contexts`);
      model.rates.standard[SECOND_RATES[key]] = scaled(String(price.base ?? price), PICO - 6);
      for (const tier of tiers) {
        model.above = tier.start;
        (model.long.standard ??= {})[SECOND_RATES[key]] = scaled(String(tier.price), PICO - 6);
      }
    } else if (key === "web_searches_kcount") model.search = scaled(String(price), PICO - 3);
    else if (key === "input_audio_hours") model.audio_second = (scaled(String(price), PICO) + 3599n) / 3600n;
    else if (!["storage_searches_kcount", "audio_hours"].includes(key)) throw new SetupError(`${id} has a price ${key} there`);
  }
  return model;
}

// ── both ─────────────────────────────────────────────────────────────────────────────────────────

/** Where both name a price the dearer one stands; where one does, that. Says where they disagree. */
function merge(model, second) {
  const { id, provider } = model;
  const tell = (what, first, other, taken) => console.log(`${provider} ${id}: ${what}: ${first ?? "none"} and ${other}, taken ${taken}`);
  const take = (into, name, other, what = name) => {
    const first = into[name];
    if (other === undefined || first === other) return;
    into[name] = first === undefined || other > first ? other : first;
    tell(what, first, other, into[name]);
  };
  for (const rate of ORDER) take((model.rates.standard ??= {}), rate, second.rates.standard[rate]);
  for (const rate of ORDER) {
    const other = second.long.standard?.[rate];
    if (other !== undefined) take((model.long.standard ??= {}), rate, other, `long ${rate}`);
  }
  take(model, "search", second.search);
  take(model, "audio_second", second.audio_second);
  if (second.above !== undefined && second.above !== model.above) {
    const above = Math.min(model.above ?? Infinity, second.above);
    tell("long context above", model.above, second.above, above);
    model.above = above;
  }
}

/** One line of the table. */
function line(model) {
  const rates = (from) =>
    Object.fromEntries(ORDER.filter((rate) => from?.[rate] !== undefined).map((rate) => [rate, written(from[rate], PICO - 6)]));
  const tier = (name) => {
    const long = rates(model.long[name]);
    return { ...rates(model.rates[name]), ...(Object.keys(long).length && { long }) };
  };
  const { rates: _, long: __, ...standard } = model;
  const entry = {
    provider: standard.provider,
    model: standard.id,
    ...rates(model.rates.standard),
    audio_second: standard.audio_second && written(standard.audio_second, PICO),
    characters: standard.character && written(standard.character, PICO - 6),
    search: standard.search && written(standard.search, PICO),
    window: standard.window,
    max_output: standard.max_output,
    region_percent: standard.region_percent,
    fast_percent: standard.fast_percent,
    image_percent: standard.image_percent,
    long: model.above && { above: model.above, ...rates(model.long.standard) },
    ...Object.fromEntries(TIERS.filter((name) => model.rates[name] || model.long[name]).map((name) => [name, tier(name)])),
  };
  return JSON.stringify(entry);
}

function table(first, second) {
  const models = readFirst(first);
  const providers = readSecond(second);
  for (const model of models.values()) {
    const other = fromSecond(providers, model);
    if (other) merge(model, other);
  }
  for (const { models: ids, set } of CORRECTIONS) {
    for (const id of ids) Object.assign(models.get(id), set);
  }
  const header = JSON.stringify({
    version: `litellm-${FIRST.version}`,
    source: `litellm ${FIRST.version}, cross-checked with genai-prices ${SECOND.version}`,
    licence: "MIT, (c) 2023 Berri AI, (c) Pydantic Services Inc.",
  });
  const key = ({ provider, id }) => `${provider} ${id}`;
  const sorted = [...models.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  return [header, ...sorted.map(line)].map((each) => `${each}\n`).join("");
}

function pinned(path, sha256) {
  const bytes = readFileSync(path);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== sha256) throw new SetupError(`${path} is not the file that is pinned: its SHA-256 is ${found}`);
  return bytes.toString("utf8");
}

/** Fetches both packages and makes the table. */
const make = () =>
  withTemporaryFolder("prices", async (folder) => {
    const wheel = ["download", "--no-deps", "--dest", folder, `litellm==${FIRST.version}`];
    await step("Prices, first list", "python3", ["-m", "pip", ...wheel]);
    const name = readdirSync(folder).find((each) => each.endsWith(".whl"));
    await step("Prices, unpacking", "python3", ["-m", "zipfile", "-e", join(folder, name), folder]);
    const pack = ["pack", "--pack-destination", folder, `@pydantic/genai-prices@${SECOND.version}`];
    await step("Prices, second list", "npm", pack);
    const archive = readdirSync(folder).find((each) => each.endsWith(".tgz"));
    await step("Prices, unpacking", "tar", ["-xzf", join(folder, archive), "-C", folder]);
    return table(pinned(join(folder, FIRST.file), FIRST.sha256), pinned(join(folder, SECOND.file), SECOND.sha256));
  });

await runScript(async () => {
  const made = await make();
  if (!process.argv.includes("--check")) {
    writeFileSync(TABLE, made);
    say(`Wrote ${TABLE}.`);
  } else if (readFileSync(TABLE, "utf8") === made) say("The table is what the lists make.");
  else throw new SetupError("The table is not what the lists make: run `npm run prices` and look at the difference.");
});
