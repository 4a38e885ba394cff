// Under many calls at once, in the middle of a revocation, and after workerd is killed: never a call too many, no hold for ever.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DETAILS, assertOpenAiError, chat } from "../support/flow.mjs";
import { startWorld, until, useUp } from "../support/world.mjs";

const HOLD_TTL_SECONDS = 3;
// Nothing is set aside for calls to come, so that what is left after a crash is known to the last call.
const { broker, browser, app, standin } = await startWorld({
  env: { HOLD_TTL_SECONDS: String(HOLD_TTL_SECONDS), LEDGER_AHEAD_CALLS: "0" },
});
const details = (limits) => ({ details: [{ ...DETAILS[0], limits }] });
const arrivals = (marker) => standin.requests.filter(({ body }) => JSON.stringify(body).includes(marker)).length;

test("of 200 calls at once on a grant of 100 exactly 100 arrive upstream", async () => {
  const { access_token: token } = await browser.grant(app, details({ requests: 100 }));
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => chat(broker, token, `marker-two-hundred ${i}`)));
  assert.equal(arrivals("marker-two-hundred"), 100);
  assert.equal(answers.filter(({ status }) => status === 200).length, 100);
  const refused = answers.filter(({ status }) => status !== 200);
  assert.deepEqual(
    [...new Set(refused.map(({ code }) => code))].filter((code) => !["requests_exhausted", "requests_held"].includes(code)),
    [],
  );
  assert.equal(await useUp(broker, token), 0);
});

test("of 60 calls at once with a rate of 20 exactly 20 arrive upstream", async () => {
  const { access_token: token } = await browser.grant(app, details({ requests_per_minute: 20 }));
  const answers = await Promise.all(Array.from({ length: 60 }, () => chat(broker, token, "marker-rate")));
  assert.equal(arrivals("marker-rate"), 20);
  assert.equal(answers.filter(({ code }) => code === "rate_limited").length, 40);
});

test("of 40 calls at once with a concurrency of 5 never more than 5 run at a time", async () => {
  const { access_token: token } = await browser.grant(app, details({ concurrency: 5 }));
  let most = 0;
  const watch = setInterval(() => {
    const running = standin.requests.filter(
      ({ body, finished, aborted }) => JSON.stringify(body).includes("marker-slow") && !finished && !aborted,
    );
    most = Math.max(most, running.length);
  }, 5);
  const answers = await Promise.all(Array.from({ length: 40 }, () => chat(broker, token, "marker-slow standin:delay=300")));
  clearInterval(watch);
  assert.ok(most >= 1 && most <= 5, String(most));
  assert.ok(answers.every(({ status, code }) => status === 200 || code === "concurrency_exceeded"));
});

test("revoked while 50 calls run: none that starts after the answer arrives", async () => {
  const { access_token: token, grant_id: id } = await browser.grant(app);
  const { page } = await browser.get("/grants");
  let revoked = false;
  let late = 0;
  const running = Array.from({ length: 50 }, async (_, worker) => {
    for (let i = 0; i < 40; i += 1) {
      const startedAfter = revoked;
      const answer = await chat(broker, token, `marker-revoke ${worker} ${startedAfter ? "late" : "early"}`);
      if (startedAfter) {
        late += 1;
        assertOpenAiError(answer, 401, "invalid_token");
        return;
      }
    }
  });
  await until(() => arrivals("marker-revoke") >= 50, "the calls run");
  assert.equal((await browser.submit(page.form(`/grants/${id}/revoke`))).status, 303);
  revoked = true;
  await Promise.all(running);
  assert.ok(late > 0, "calls were still being made");
  const lateArrivals = standin.requests.filter(({ body }) => /marker-revoke \d+ late/.test(JSON.stringify(body)));
  assert.equal(lateArrivals.length, 0);
});

test("killed during calls: the counters are not below what arrived, and no hold stays for ever", async () => {
  const LIMIT = 60;
  const { access_token: token } = await browser.grant(app, details({ requests: LIMIT }));
  const other = await browser.grant(app, details({ concurrency: 3 }));
  // Some are done, some are in the middle of their answer, some are waiting for it, when the process dies.
  await Promise.all(Array.from({ length: 10 }, () => chat(broker, token, "marker-crash")));
  const quiet = (promise) => promise.catch(() => null);
  const running = [
    ...Array.from({ length: 10 }, () => quiet(chat(broker, token, "marker-crash standin:hang"))),
    ...Array.from({ length: 10 }, () =>
      quiet(chat(broker, token, "marker-crash standin:chunks=200 standin:slow=100", { stream: true })),
    ),
    ...Array.from({ length: 3 }, () => quiet(chat(broker, other.access_token, "marker-other standin:hang"))),
  ];
  await until(() => arrivals("marker-crash") === 30 && arrivals("marker-other") === 3, "all of them have arrived upstream");
  await broker.kill();
  await Promise.all(running);

  // What is left is what was not used: at most 60 - 30, before and after the holds are booked.
  assert.equal(await useUp(broker, token), LIMIT - 30);
  assert.equal(arrivals("marker-crash"), 30);
  // The three that hung took all the room of the other grant. It comes back without anybody's help.
  await until(async () => (await chat(broker, other.access_token)).status === 200, "room in the other grant", {
    seconds: HOLD_TTL_SECONDS + 10,
  });
});

test("killed again and again, no call too many gets through", async () => {
  const LIMIT = 40;
  const { access_token: token } = await browser.grant(app, details({ requests: LIMIT }));
  let stop = false;
  const callers = Array.from({ length: 8 }, async () => {
    while (!stop) {
      const answer = await chat(broker, token, "marker-again").catch(() => null);
      if (answer?.code === "requests_exhausted") return;
      if (answer?.status !== 200) await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  for (const arrived of [5, 15, 25]) {
    await until(() => arrivals("marker-again") >= arrived, `${arrived} calls`);
    await broker.kill();
  }
  await Promise.race([Promise.all(callers), new Promise((resolve) => setTimeout(resolve, 20_000).unref())]);
  stop = true;
  await Promise.all(callers);
  assert.equal(await useUp(broker, token), 0);
  assert.ok(arrivals("marker-again") <= LIMIT, String(arrivals("marker-again")));
});

test("a hold that nobody settles is booked by the alarm, also without any further call", async () => {
  const { access_token: token } = await browser.grant(app, details({ requests: 77 }));
  const running = chat(broker, token, "marker-alarm standin:hang").catch(() => null);
  await until(() => arrivals("marker-alarm") === 1, "the call arrives");
  await broker.kill();
  await running;
  // Reading is no call: /grants only looks.
  await until(
    async () => {
      const { page } = await browser.get("/grants");
      return /\b1\b\D{0,12}\b77\b/.test(page.text);
    },
    "the call is booked",
    { seconds: HOLD_TTL_SECONDS + 10 },
  );
});

test("what a crash left is booked and told to D1, though nobody asks for it", async () => {
  const grants = await Promise.all(Array.from({ length: 8 }, () => browser.grant(app)));
  const running = grants.map(({ access_token: token }) => chat(broker, token, "marker-left standin:hang").catch(() => null));
  await until(() => arrivals("marker-left") === grants.length, "all of them have arrived upstream");
  await broker.kill();
  await Promise.all(running);
  for (const { access_token: token } of grants) assert.equal((await chat(broker, token)).status, 200);
  for (const { grant_id: id } of grants) {
    await until(
      async () => {
        const rows = await broker.sql("SELECT basis FROM usage_events WHERE grant_id = ?", id);
        return rows.some(({ basis }) => basis === "usage") && rows.some(({ basis }) => basis !== "usage");
      },
      "both calls are told",
      { seconds: HOLD_TTL_SECONDS + 10 },
    );
  }
});

test("a grant is created and used within the same moment, many times at once", async () => {
  const grants = await Promise.all(Array.from({ length: 10 }, () => browser.grant(app)));
  const answers = await Promise.all(grants.map(({ access_token: token }) => chat(broker, token)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    Array(10).fill(200),
  );
});
