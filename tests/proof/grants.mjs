// The grants of the proof: every kind of cap, tight and wide, and one for each attack.

import { ATTACKS } from "./attacks.mjs";

const chat = (provider, models, limits) => ({ type: "ai_access", provider, models, capabilities: ["chat"], limits });
const openai = (limits, models = ["gpt-5-mini"]) => chat("openai", models, limits);
const anthropic = (limits, models = ["claude-haiku-4-5"]) => chat("anthropic", models, limits);

/** By name: what is asked for, and how many of the calls it gets. */
export const KINDS = {
  "wide, total": { weight: 14, details: [openai({ budget_usd: "60.00" }, ["gpt-5-mini", "gpt-5.1"])] },
  "wide, two providers": {
    weight: 12,
    details: [openai({ budget_usd: "30.00" }), anthropic({ budget_usd: "30.00" }, ["claude-haiku-4-5", "claude-sonnet-4-6"])],
  },
  "tight, total": { weight: 12, details: [openai({ budget_usd: "0.50" })] },
  "very tight, total": { weight: 8, details: [openai({ budget_usd: "0.05" })] },
  "tight, a day": { weight: 10, details: [anthropic({ budget_usd: "1.00", budget_period: "day" })] },
  "tight, a month": {
    weight: 8,
    details: [anthropic({ budget_usd: "2.00", budget_period: "month", requests: 300 }, ["claude-sonnet-4-6"])],
  },
  "two permissions and an overall budget": {
    weight: 12,
    details: [
      openai({ budget_usd: "0.60" }),
      anthropic({ budget_usd: "0.60", budget_period: "day" }),
      { type: "ai_limits", budget_usd: "1.00" },
    ],
  },
  "an overall budget alone": {
    weight: 8,
    details: [openai({}, ["gpt-5.1"]), anthropic({}, ["claude-sonnet-4-6"]), { type: "ai_limits", budget_usd: "1.50" }],
  },
  "tokens and money": { weight: 8, details: [openai({ budget_usd: "3.00", tokens: 400_000 })] },
  "concurrency and money": { weight: 8, details: [anthropic({ budget_usd: "1.00", concurrency: 4 })] },
};

for (const [name, { details }] of Object.entries(ATTACKS)) KINDS[`attack: ${name}`] = { weight: 1, details, attack: name };

const NANO_PER_CENT = 10_000_000n;
const nano = (usd) => BigInt(usd.replace(".", "")) * NANO_PER_CENT;

/** A grant, with what was counted on the app's side of it. */
export class Grant {
  exhaustions = 0;
  calls = 0;

  constructor({ name, kind, granted }) {
    Object.assign(this, { name, kind, granted, id: granted.grant_id, token: granted.access_token });
    const { details } = KINDS[kind];
    const permissions = details.filter(({ type }) => type === "ai_access");
    this.models = Object.fromEntries(permissions.map(({ provider, models }) => [provider, models]));
    const overall = details.find(({ type }) => type === "ai_limits");
    /** Every set of limits: where the ledger counts it, where the bill does. */
    this.scopes = [
      { of: (state) => state.overall, bill: name, ...limits(overall ?? {}) },
      ...permissions.map((permission, index) => ({
        of: (state) => state.permissions[index],
        bill: `${name}/${permission.provider}`,
        ...limits(permission.limits),
      })),
    ];
    const caps = this.scopes.map(({ cap }) => cap);
    /** The most that the grant as a whole may cost: its own cap, or its permissions' together. */
    this.cap = caps[0] ?? caps.slice(1).reduce((sum, cap) => sum + cap);
  }
}

const limits = ({ budget_usd: budget, budget_period: period = "total", tokens, requests }) => ({
  cap: budget === undefined ? undefined : nano(budget),
  period,
  tokens,
  requests,
});
