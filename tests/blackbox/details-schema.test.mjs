// The published JSON schema of `authorization_details` and the parser say the same.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { ROOT } from "../support/broker.mjs";
import { DETAILS, authorizationRequest, postForm } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, app } = await startWorld();
const served = await fetch(`${broker.url}/authorization-details.schema.json`, { headers: { origin: "https://app.example" } });
const text = await served.text();
const schema = JSON.parse(text);
const accepts = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false }).compile(schema);

/** What the parser says, at the endpoint that answers with JSON. */
async function parses(details) {
  const { url } = authorizationRequest(broker, app, { change: { authorization_details: JSON.stringify(details) } });
  const { status, body } = await postForm(`${broker.url}/par`, url.searchParams);
  await broker.sql("DELETE FROM pushed_requests");
  if (status !== 201) assert.equal(body.error, "invalid_authorization_details", JSON.stringify(body));
  return status === 201;
}

const entry = (change = {}) => ({ ...DETAILS[0], ...change });
const limited = (limits) => [entry({ limits })];
const overall = (limits) => [entry(), { type: "ai_limits", ...limits }];
const LIMITS = ["requests", "requests_per_minute", "tokens", "concurrency"];

const GOOD = {
  "what most tests ask for": DETAILS,
  "every model": [entry({ models: ["*"] })],
  "a prefix and a punctuated id": [entry({ models: ["gpt-5*", "ft:gpt-5:org/x_1.2@y"] })],
  "the longest model": [entry({ models: ["m".repeat(128)] })],
  "64 models": [entry({ models: Array.from({ length: 64 }, (_, i) => `m${i}`) })],
  "a model twice": [entry({ models: ["a", "a"] })],
  "a capability twice": [entry({ capabilities: ["chat", "chat"] })],
  "every capability": [entry({ capabilities: ["chat", "embeddings", "images", "audio", "moderation", "server_tools"] })],
  "one provider twice": [entry(), entry({ models: ["o3"] })],
  "16 entries": Array.from({ length: 16 }, (_, i) => entry({ models: [`m${i}`] })),
  "no limits in limits": limited({}),
  "limits over all without any": overall({}),
  "limits first": [{ type: "ai_limits", requests: 5 }, entry()],
  "the least money": limited({ budget_usd: "0.000000001" }),
  "much money": limited({ budget_usd: "9007199.254740991" }),
  "money in whole dollars": limited({ budget_usd: "5" }),
  "money with leading zeros": limited({ budget_usd: "0000005.00" }),
  "a budget for a day": limited({ budget_usd: "1.00", budget_period: "day" }),
  "a budget for a month over all": overall({ budget_usd: "1.00", budget_period: "month" }),
  "a period of null": limited({ budget_period: null }),
  "everything null": limited(Object.fromEntries([...LIMITS, "budget_usd", "budget_period"].map((name) => [name, null]))),
  ...Object.fromEntries(LIMITS.map((name) => [`${name}: 1`, limited({ [name]: 1 })])),
  "the most requests": limited({ requests: Number.MAX_SAFE_INTEGER }),
  "the most calls at once": limited({ concurrency: 4_294_967_295 }),
};

const BAD = {
  "an object": {},
  "a text": "openai:chat",
  null: null,
  nothing: [],
  "17 entries": Array.from({ length: 17 }, (_, i) => entry({ models: [`m${i}`] })),
  "limits alone": [{ type: "ai_limits", requests: 1 }],
  "limits over all twice": [entry(), { type: "ai_limits" }, { type: "ai_limits" }],
  "an entry that is no object": [1],
  "another type": [entry({ type: "payment" })],
  "no type": [entry({ type: undefined })],
  "another provider": [entry({ provider: "acme" })],
  "no provider": [entry({ provider: undefined })],
  "no models": [entry({ models: undefined })],
  "no model": [entry({ models: [] })],
  "65 models": [entry({ models: Array.from({ length: 65 }, (_, i) => `m${i}`) })],
  "an empty model": [entry({ models: [""] })],
  "a model that is too long": [entry({ models: ["m".repeat(129)] })],
  "a star in the middle": [entry({ models: ["gpt*mini"] })],
  "two stars": [entry({ models: ["**"] })],
  "a model with a space": [entry({ models: ["gpt 5"] })],
  "a model beyond ASCII": [entry({ models: ["gpté"] })],
  "a model that is a number": [entry({ models: [5] })],
  "models that are a text": [entry({ models: "*" })],
  "no capabilities": [entry({ capabilities: undefined })],
  "no capability": [entry({ capabilities: [] })],
  "another capability": [entry({ capabilities: ["files"] })],
  "an unknown field": [entry({ locations: ["https://api.example"] })],
  "an unknown limit": limited({ wishes: 3 }),
  "an unknown limit over all": overall({ wishes: 3 }),
  "models in limits over all": overall({ models: ["*"] }),
  "limits that are a list": [entry({ limits: [] })],
  "limits without their names": [entry({ limits: ["5.00", null, null, 7, null, null] })],
  "an entry without names": [["ai_access", "openai", ["*"], ["chat"], {}]],
  "money as a number": limited({ budget_usd: 5 }),
  "no money": limited({ budget_usd: "0.00" }),
  "negative money": limited({ budget_usd: "-1" }),
  "money with a currency": limited({ budget_usd: "5 USD" }),
  "money in tenths of nano-dollars": limited({ budget_usd: "0.0000000001" }),
  "more money than numbers hold": limited({ budget_usd: "99999999" }),
  "money that ends in a point": limited({ budget_usd: "5." }),
  "empty money": limited({ budget_usd: "" }),
  "a budget for a week": limited({ budget_usd: "1.00", budget_period: "week" }),
  "a period without a budget": limited({ budget_period: "day" }),
  "a period with a budget of null": limited({ budget_usd: null, budget_period: "day" }),
  "a period without a budget over all": overall({ budget_period: "total" }),
  ...Object.fromEntries(
    LIMITS.flatMap((name) => [0, -1, 1.5, "10", true].map((value) => [`${name}: ${JSON.stringify(value)}`, limited({ [name]: value })])),
  ),
  "more requests than numbers hold": limited({ requests: 2 ** 53 }),
  "more calls at once than numbers hold": limited({ concurrency: 2 ** 32 }),
};

test("the schema is served for every origin, as the file in docs, and the metadata says where", async () => {
  assert.equal(served.status, 200);
  assert.equal(served.headers.get("content-type"), "application/schema+json");
  assert.equal(served.headers.get("access-control-allow-origin"), "*");
  assert.equal(text, await readFile(path.join(ROOT, "docs", "authorization-details.schema.json"), "utf8"));
  const metadata = await (await fetch(`${broker.url}/.well-known/oauth-authorization-server`)).json();
  assert.equal(metadata.authorization_details_schema_uri, served.url);
});

test("the schema's own examples are good", async () => {
  for (const example of schema.examples) assert.deepEqual([accepts(example), await parses(example)], [true, true]);
});

for (const [what, details] of Object.entries(GOOD)) {
  test(`RFC 9396 §5: schema and parser accept ${what}`, async () => {
    assert.deepEqual({ schema: accepts(details), parser: await parses(details) }, { schema: true, parser: true });
  });
}

for (const [what, details] of Object.entries(BAD)) {
  test(`RFC 9396 §5: schema and parser refuse ${what}`, async () => {
    // As it goes over the wire: a member that is `undefined` is not there.
    const sent = JSON.parse(JSON.stringify(details));
    assert.deepEqual({ schema: accepts(sent), parser: await parses(sent) }, { schema: false, parser: false });
  });
}
