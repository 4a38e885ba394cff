// Calls as the ledgers tell of them: rows of `usage_events`, made by the thousand.

export const START_MS = Date.UTC(2026, 5, 1);

/** Fields of a call beside those that a test says something about. */
const PLAIN = {
  revision: 0,
  permission: 0,
  provider: "openai",
  model: "gpt-5-mini",
  endpoint: "/v1/chat/completions",
  duration_ms: 440,
  nano_usd: 1_000_000,
  tokens: 30,
  requests: 1,
  input_tokens: 20,
  cached_tokens: 0,
  output_tokens: 10,
  status: 200,
  basis: "usage",
  price_version: "v",
  request_id: "req",
  delegation: null,
};

/** One call of a grant. */
export async function book(broker, grantId, hold, more = {}) {
  const at = more.reserved_at_ms ?? START_MS + hold * 1000;
  const row = { ...PLAIN, grant_id: grantId, hold, reserved_at_ms: at, booked_at_ms: at, ...more };
  const names = Object.keys(row);
  await broker.sql(`INSERT INTO usage_events (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`, ...Object.values(row));
}

/** Calls 0 to `count` - 1, a second apart; `model` and `status` are SQL over their number `i`. */
export async function bookMany(broker, grantId, count, { model = "'gpt-5-mini'", status = "200" } = {}) {
  const { model: _, status: __, ...plain } = PLAIN;
  const names = Object.keys(plain);
  await broker.sql(
    `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${count})
     INSERT INTO usage_events (grant_id, hold, reserved_at_ms, booked_at_ms, model, status, ${names.join(", ")})
     SELECT ?, i, ${START_MS} + i * 1000, ${START_MS} + i * 1000, ${model}, ${status}, ${names.map(() => "?").join(", ")} FROM n`,
    grantId,
    ...Object.values(plain),
  );
}
