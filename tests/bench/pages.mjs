// What a page costs of somebody who has 5,000 grants, and 100,000 calls of one of them.
//
// Locally SQLite and the ledgers run in workerd like the Worker itself; on the platform they run elsewhere and are no CPU time of the
// Worker's. So each page is measured twice: as a whole, in one workerd, and with the database and the ledgers in another one.

import { fileURLToPath } from "node:url";
import { cpuMs, inTurns, median, sleep } from "./lab.mjs";
import { newSecrets, startBroker } from "../support/broker.mjs";
import { Browser, authorizationRequest } from "../support/flow.mjs";
import { CALLS, GRANTS, seedMuch } from "../support/much.mjs";

const REQUESTS = 10;
const WARM_UP = 10;

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** The list of grants, on and on: those on a page were never looked at, so that each ledger is asked for the first time. */
function further() {
  let next = "/grants";
  return async (browser) => {
    const answer = await browser.get(next);
    next = answer.page.all("href").find((href) => href.includes("after=live")) ?? "/grants";
    return answer;
  };
}

/** Every page of theirs, by what it is called in the table. */
const pagesOf = (grant, app, broker) => ({
  "/": "/",
  "/ of another month": "/?month=2026-01",
  "/grants": "/grants",
  "/grants, each time the next page": further(),
  "/grants of one state": "/grants?state=ended",
  "/grants by name": "/grants?search=App+4999",
  "/grants/{id}": `/grants/${grant}`,
  "/grants/{id}/calls of one model": `/grants/${grant}/calls?model=model-7`,
  "/grants/{id}/calls of one outcome": `/grants/${grant}/calls?status=refused`,
  "/grants/{id}/live": `/grants/${grant}/live`,
  "/grants/{id}/history": `/grants/${grant}/history`,
  "/tokens": "/tokens",
  "/tokens/new": "/tokens/new",
  "/apps": "/apps",
  "/activity": "/activity",
  "/notices": "/notices",
  "/settings": "/settings",
  "/settings/security": "/settings/security",
  "/settings/webhook": "/settings/webhook",
  "/settings/policy": "/settings/policy",
  "/members": "/members",
  "/members/{id}": "/members/user_member",
  "/members/invitations": "/members/invitations",
  "/device": "/device",
  "/developers": "/developers",
  "/authorize": (browser) => {
    const { pathname, search } = authorizationRequest(broker, app).url;
    return browser.get(pathname + search);
  },
});

async function get(browser, target) {
  const began = performance.now();
  const { status, text } = await (typeof target === "function" ? target(browser) : browser.get(target));
  if (status !== 200) throw new Error(`${target}: status ${status} ${text}`);
  return performance.now() - began;
}

/** One round of requests of one page, one after the other. */
const way = (browser, pid, target) => async () => {
  const before = cpuMs(pid());
  const each = [];
  for (let request = 0; request < REQUESTS; request += 1) each.push(await get(browser, target));
  // What comes after the answers.
  await sleep(20);
  return { cpu: (cpuMs(pid()) - before) / REQUESTS, p50: median(each) };
};

export async function measurePages(upstream, rounds) {
  const secrets = newSecrets();
  const env = { OPENAI_BASE_URL: upstream, ANTHROPIC_BASE_URL: upstream };
  const whole = await startBroker({ secrets, env, before: here("stores.worker.mjs") });
  const alone = await startBroker({ secrets, env: { ...env, STORES: whole.url }, before: here("alone.worker.mjs"), migrate: false });
  const browser = new Browser(whole);
  await browser.signIn();
  const app = await browser.register();
  const { grant_id: grant } = await browser.grant(app);
  await browser.somebodyElse("user_member");
  await seedMuch(whole, grant);
  const pages = pagesOf(grant, app, whole);
  const other = new Browser(alone);
  other.cookies = browser.cookies;

  const ways = {};
  const first = {};
  for (const [name, target] of Object.entries(pages)) {
    first[name] = await get(browser, target);
    for (const one of [browser, other]) for (let n = 0; n < WARM_UP; n += 1) await get(one, target);
    ways[name] = way(browser, () => whole.pid, target);
    ways[`${name} alone`] = way(other, () => alone.pid, target);
  }
  const results = await inTurns(ways, rounds);
  for (const broker of [alone, whole]) await broker.close();
  const rows = Object.keys(pages).map((name) => {
    const [together, worker] = [results[name], results[`${name} alone`]];
    const wall = `${together.of("cpu").toFixed(1)} ms with database and ledgers; ${together.of("p50").toFixed(1)} ms to wait, first ${first[name].toFixed(0)}`;
    return { what: name, cpu: worker.of("cpu"), note: wall };
  });
  const most = (what) => Math.max(...Object.keys(pages).map(what));
  return {
    rows: [{ what: `pages, ${GRANTS.toLocaleString("en")} grants, ${CALLS.toLocaleString("en")} calls: the Worker alone`, note: "" }, ...rows],
    summary: {
      page_cpu_ms_most: most((name) => results[`${name} alone`].of("cpu")),
      page_cpu_ms_most_with_stores: most((name) => results[name].of("cpu")),
    },
  };
}
