// A person with a long life here: thousands of grants, and a hundred thousand calls of one of them. As rows, since nobody has the years.

export const GRANTS = 5000;
export const CALLS = 100_000;
/** Tokens without an app, most of them over. */
const TOKENS = 1000;
/** What a person is told and what is noted of them. */
const NOTICES = 5000;
const ENTRIES = 20_000;
const DAY_MS = 24 * 3600 * 1000;
/** As many rows as one statement makes: D1 gives each its time. */
const BLOCK = 10_000;

/** So many rows in blocks; `insert` is what comes after `WITH n(i)`, where `i` counts from 1. */
async function fill(broker, count, insert, ...values) {
  for (let begin = 0; begin < count; begin += BLOCK) {
    const numbers = `WITH RECURSIVE n(i) AS (SELECT ${begin + 1} UNION ALL SELECT i + 1 FROM n WHERE i < ${Math.min(begin + BLOCK, count)})`;
    await broker.sql(`${numbers} ${insert}`, ...values);
  }
}

/** Gives the owner of a grant as many more, and it as many calls as that; a part of it all, where a test needs no more. Who that is. */
export async function seedMuch(broker, grant, part = 1) {
  const some = (count) => Math.ceil(count * part);
  const [{ user_id: user }] = await broker.sql("SELECT user_id FROM grants WHERE grant_id = ?", grant);
  const now = Date.now();
  const grants = `INSERT INTO grants (grant_id, user_id, client_id, client_name, terms, created_at, expires_at, claimed_at, revoked_at)`;
  await fill(
    broker,
    some(GRANTS),
    `${grants} SELECT printf('grant_many%05d', i), user_id, client_id, 'App ' || i, terms, created_at - i, expires_at, claimed_at,
       iif(i % 3 = 0, created_at, NULL) FROM n, grants WHERE grant_id = ?`,
    grant,
  );
  await fill(
    broker,
    some(TOKENS),
    `${grants} SELECT printf('grant_token%04d', i), user_id, 'personal', 'Token ' || i, terms, created_at - i, expires_at, claimed_at,
       iif(i % 40 > 0, created_at, NULL) FROM n, grants WHERE grant_id = ?`,
    grant,
  );
  await fill(
    broker,
    some(CALLS),
    `INSERT INTO usage_events (grant_id, hold, revision, permission, provider, model, endpoint, reserved_at_ms, booked_at_ms, duration_ms,
       nano_usd, tokens, requests, input_tokens, cached_tokens, output_tokens, status, basis, price_version, request_id)
     SELECT ?1, 1000000 + i, 0, 0, 'openai', 'model-' || (i % 40), '/v1/chat/completions', ?2 + i * 15000, ?2 + i * 15000, 5,
       1000, 10, 1, 5, 0, 5, 200, 'usage', '1', 'r' FROM n`,
    grant,
    now - 20 * DAY_MS,
  );
  await broker.sql(
    `INSERT INTO usage_months SELECT ?1, strftime('%Y', reserved_at_ms / 1000, 'unixepoch') * 12 + strftime('%m', reserved_at_ms / 1000,
       'unixepoch') - 1, 'app_of_' || (hold % 100), 'openai', model, 'App ' || (hold % 100), sum(requests), sum(tokens), sum(nano_usd)
     FROM usage_events WHERE grant_id = ?2 GROUP BY 2, 3, 5 ON CONFLICT DO NOTHING`,
    user,
    grant,
  );
  await broker.sql(
    `INSERT INTO usage_days SELECT ?1, reserved_at_ms / 86400000, sum(requests), sum(tokens), sum(nano_usd) FROM usage_events
     WHERE grant_id = ?2 GROUP BY 2 ON CONFLICT DO NOTHING`,
    user,
    grant,
  );
  await broker.sql(
    `INSERT INTO refusals (grant_id, owner_id, reason, count, first_at_ms, last_at_ms, last_model)
     SELECT grant_id, user_id, 'model_not_granted', 3, ?1, ?1, 'x' FROM grants WHERE user_id = ?2 AND grant_id LIKE 'grant_many%'`,
    now,
    user,
  );
  await fill(
    broker,
    some(NOTICES),
    `INSERT INTO notices (grant_id, user_id, kind, cap, allowed, threshold, used, at)
     SELECT printf('grant_many%05d', i), ?, 'limit', 'requests', 10, 50 + i % 2 * 30, 8, ? - i FROM n`,
    user,
    Math.floor(now / 1000),
  );
  await fill(
    broker,
    some(ENTRIES),
    `INSERT INTO audit (at, user_id, actor, event, grant_id, subject, detail, address, agent)
     SELECT ? - i, ?, 'person', 'grant_revoked', printf('grant_many%05d', i % ${GRANTS} + 1), 'App ' || i, '', '192.0.2.1', 'x' FROM n`,
    Math.floor(now / 1000),
    user,
  );
  return user;
}
