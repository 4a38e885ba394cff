// Room that a ledger sets aside so that most calls need no write: what a crash, a restart and idleness make of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DETAILS, chat } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const HOLD_TTL_SECONDS = 900;
const { broker, browser, app, standin } = await startWorld({ inside: true, env: { HOLD_TTL_SECONDS: String(HOLD_TTL_SECONDS) } });
const grant = () => browser.grant(app, { details: [{ ...DETAILS[0], limits: { requests: 400 } }] });
const arrivals = (marker) => standin.requests.filter(({ body }) => JSON.stringify(body).includes(marker)).length;
/** What the grant's page says is left of the requests. */
async function left(id) {
  const { page } = await browser.get(`/grants/${id}`);
  const [, count] = /of 400.*?(\d+) left/.exec(page.text) ?? assert.fail(page.text);
  return Number(count);
}

test("after SIGKILL no call is forgotten, and at most eight that weren't made are counted", async () => {
  const { access_token: token, grant_id: id } = await grant();
  await Promise.all(Array.from({ length: 10 }, () => chat(broker, token, "marker-aside")));
  const running = Array.from({ length: 5 }, () => chat(broker, token, "marker-aside standin:hang").catch(() => null));
  await until(() => arrivals("marker-aside") === 15, "all of them have arrived");
  await broker.kill();
  await Promise.all(running);
  const atOnce = await left(id);
  assert.ok(atOnce <= 400 - 15 && atOnce >= 400 - 15 - 8, String(atOnce));
  await broker.advance(HOLD_TTL_SECONDS + 2, { ledgers: [id] });
  const after = await left(id);
  assert.ok(after <= 400 - 15 && after >= 400 - 15 - 8, String(after));
  const rows = await until(async () => {
    const rows = await broker.sql("SELECT basis, sum(requests) AS requests FROM usage_events WHERE grant_id = ? GROUP BY basis", id);
    return rows.reduce((sum, row) => sum + row.requests, 0) === 400 - after && rows;
  }, "what is told adds up to what is used");
  assert.ok(rows.some(({ basis }) => basis === "unaccounted" || basis === "overdue"));
});

test("a ledger that is idle has nothing set aside: stopping the broker then loses nothing", async () => {
  // By the broker's clock the session is old, and money without a limit takes a proof.
  await broker.sql("UPDATE sessions SET confirmed_at = ?", Math.floor(broker.now() / 1000));
  const { access_token: token, grant_id: id } = await grant();
  for (let i = 0; i < 10; i += 1) assert.equal((await chat(broker, token, "marker-idle")).status, 200);
  await broker.advance(5);
  await broker.kill();
  assert.equal(await left(id), 390);
  await broker.advance(HOLD_TTL_SECONDS + 1, { ledgers: [id] });
  assert.equal(await left(id), 390);
});
