// Brokers with a grant to call by, and ones that have a long life behind them.

import { DatabaseSync } from "node:sqlite";
import { newSecrets, startBroker } from "../support/broker.mjs";
import { Browser, call, chatBody } from "../support/flow.mjs";

/** A budget that no run uses up: what is measured is the product, which is a cap on money. */
const BUDGET_USD = "100000";
export const MODEL = "gpt-5-mini";

/** As an app sends it; what it can cost is known. */
export const body = (more) =>
  JSON.stringify({
    model: MODEL,
    messages: [
      { role: "system", content: "You are a helpful assistant." },
      { role: "user", content: "How far is it to Tipperary? Answer in one short paragraph." },
    ],
    max_completion_tokens: 500,
    ...more,
  });

/** A broker, and `grant()`: another grant with a budget, as a target to call. */
export async function startBrokerWithGrants(upstream, env = {}, build = undefined) {
  const secrets = newSecrets();
  const broker = await startBroker({ secrets, build, env: { OPENAI_BASE_URL: upstream, ANTHROPIC_BASE_URL: upstream, ...env } });
  const browser = new Browser(broker);
  await browser.signIn();
  const app = await browser.register();
  const target = (grant) => ({
    get pid() {
      return broker.pid;
    },
    port: broker.port,
    path: "/openai/v1/chat/completions",
    headers: { authorization: `Bearer ${grant.access_token}` },
    id: grant.grant_id,
  });
  const grant = async () => {
    const edit = (form) => form.fill({ budget_usd: BUDGET_USD });
    return target(await browser.grant(app, { money: true, edit }));
  };
  return { broker, grant };
}

/** Gives the broker's database as many more grants as that. */
export async function seedGrants(broker, { id }, count) {
  await broker.sql(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     INSERT INTO grants (grant_id, user_id, client_id, client_name, terms, created_at, expires_at, revoked_at)
     SELECT 'grant_' || printf('%022d', i), user_id, client_id, client_name, terms, created_at, expires_at, revoked_at
     FROM grants, n WHERE grant_id = ?`,
    count,
    id,
  );
}

/** Gives a grant as many booked calls as that: in the database, and in its ledger's own storage. Restarts the broker. */
export async function seedCalls(broker, target, count) {
  const before = new Set(await broker.ledgerFiles());
  const answer = await call(broker, target.headers.authorization.slice("Bearer ".length), target.path, { body: chatBody() });
  if (answer.status !== 200) throw new Error(answer.text);
  // Until it is settled and told, and nothing is set aside any more.
  await new Promise((done) => setTimeout(done, 6000));
  const [file] = (await broker.ledgerFiles()).filter((file) => !before.has(file));
  await broker.sql(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     INSERT INTO usage_events SELECT grant_id, hold + i, revision, permission, provider, model, endpoint, reserved_at_ms, booked_at_ms,
     duration_ms, nano_usd, tokens, requests, input_tokens, cached_tokens, output_tokens, status, basis, price_version, request_id
     FROM usage_events, n WHERE grant_id = ?`,
    count,
    target.id,
  );
  await broker.stop();
  const storage = new DatabaseSync(file);
  const { value } = storage.prepare("SELECT value FROM entries WHERE key = 'summary'").get();
  const summary = JSON.parse(value);
  const many = (tally) => Object.assign(tally, { requests: count, calls: count, tokens: count * 30 });
  for (const booked of [summary.overall, summary.permissions[0]]) many(booked.tally ?? booked);
  summary.next_hold = count + 1;
  summary.ahead = { ...summary.ahead, from: count + 1, ended: [] };
  storage.prepare("UPDATE entries SET value = ? WHERE key = 'summary'").run(JSON.stringify(summary));
  storage.close();
  await broker.start();
}
