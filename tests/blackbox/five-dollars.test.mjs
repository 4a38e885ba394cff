// Five dollars are five dollars: 1,000 calls at once that would cost fifty. The other side keeps its own bill.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startUpstream } from "../proof/upstream.mjs";
import { nanoOf } from "../proof/bill.mjs";
import { newSecrets } from "../support/broker.mjs";
import { assertAnthropicError, assertOpenAiError, chat, messages } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const CALLS = 1000;
const CAP = 5_000_000_000n;
const LEAST = 4_500_000_000n;
/** The model writes all that it may, for about 0.05 USD: 4,990 tokens at 10 USD per million, or 3,320 at 15. */
const CHAT = { model: "gpt-5.1", max_completion_tokens: 4_990, service_tier: "default" };
const MESSAGES = { model: "claude-sonnet-4-6", max_tokens: 3_320 };

const secrets = newSecrets();
const upstream = await startUpstream({
  openaiKey: secrets.OPENAI_API_KEY,
  anthropicKey: secrets.ANTHROPIC_API_KEY,
  fate: (random, { most, promptBytes }) => ({
    end: "whole",
    status: 200,
    read: { fresh: Math.ceil(promptBytes / 4), cached: 0, write: 0, writeLong: 0 },
    planned: most,
    cut: true,
    hidden: 0.5,
    beginsAfter: random.between(1, 30),
    milliseconds: random.between(10, 300),
    noticesAfter: 0,
    notices: true,
    tier: "default",
    inUs: false,
    pieces: 5,
    pieceBytes: 0,
  }),
});
after(() => upstream.close());
const { broker, browser, app } = await startWorld({
  secrets,
  // The provider and a thousand clients are one process here: on a busy machine each waits for the others.
  env: { OPENAI_BASE_URL: upstream.url, ANTHROPIC_BASE_URL: upstream.url, UPSTREAM_TIMEOUT_SECONDS: "120", BODY_IDLE_SECONDS: "120" },
});

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const PROVIDERS = {
  openai: {
    model: CHAT.model,
    make: (token, id, more) => chat(broker, token, `call:${id}`, { ...CHAT, ...more }),
    assertRefusal: assertOpenAiError,
  },
  anthropic: {
    model: MESSAGES.model,
    make: (token, id, more) => messages(broker, token, `call:${id}`, { ...MESSAGES, ...more }),
    assertRefusal: assertAnthropicError,
  },
};

/** What a call waits for: room that others hold, or its turn to ask for it. */
const waits = ({ code }) => (code === "too_many_waiting" ? code : "budget_held");

/** A grant of five dollars, and what is billed and booked under it once nothing is held any more. */
async function fiveDollars(provider, name) {
  const { model } = PROVIDERS[provider];
  const details = [{ type: "ai_access", provider, models: [model], capabilities: ["chat"], limits: { budget_usd: "5.00" } }];
  const { access_token: token, grant_id: id } = await browser.grant(app, { details, money: true });
  const spent = async () => {
    const billed = upstream.bills.sums(Infinity).get(name);
    const booked = await until(
      async () => {
        const [row] = await broker.sql("SELECT count(*) AS calls, sum(nano_usd) AS nano FROM usage_events WHERE grant_id = ?", id);
        return row.calls === billed.calls && BigInt(row.nano);
      },
      "every call is booked once",
      { seconds: 60 },
    );
    return { billed: nanoOf(billed.pico), booked, calls: billed.calls };
  };
  return { token, spent };
}

for (const provider of Object.keys(PROVIDERS)) {
  const { make, assertRefusal } = PROVIDERS[provider];

  test(`${provider}: ${CALLS} clients that wait as they are told spend five dollars and no more`, async () => {
    const { token, spent } = await fiveDollars(provider, `patient-${provider}`);
    const answers = await Promise.all(
      Array.from({ length: CALLS }, async (_, i) => {
        for (;;) {
          const answer = await make(token, `patient-${provider}.${i}`, { stream: i % 2 === 0 });
          if (answer.status !== 429) return answer;
          assertRefusal(answer, 429, waits(answer));
          const wait = Number(answer.headers.get("retry-after"));
          assert.ok(wait >= 1, "it says when to try again");
          await sleep(wait * 1000);
        }
      }),
    );
    const refused = answers.filter(({ status }) => status !== 200);
    for (const answer of refused) assertRefusal(answer, 402, "budget_exhausted");
    const { billed, booked, calls } = await spent();
    assert.equal(calls, CALLS - refused.length);
    assert.equal(booked, billed, "what is booked is what is billed");
    assert.ok(booked <= CAP && booked >= LEAST, `${booked} nano-USD`);
  });

  test(`${provider}: ${CALLS} calls at once, each made once, never cost more than five dollars`, async () => {
    const { token, spent } = await fiveDollars(provider, `once-${provider}`);
    const once = (_, i) => make(token, `once-${provider}.${i}`, { stream: i % 2 === 0 });
    const answers = await Promise.all(Array.from({ length: CALLS }, once));
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      assertRefusal(answer, answer.status, answer.status === 402 ? "budget_exhausted" : waits(answer));
      assert.ok([402, 429].includes(answer.status), String(answer.status));
    }
    const { billed, booked, calls } = await spent();
    assert.equal(calls, answers.filter(({ status }) => status === 200).length);
    assert.equal(booked, billed, "what is booked is what is billed");
    assert.ok(booked <= CAP && booked > 0n, `${booked} nano-USD`);
  });
}
