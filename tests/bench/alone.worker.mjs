// Stands before a broker whose database and ledgers are those of another process: what is left in this one is the Worker alone, and
// the platform's own client of D1.

import broker from "./index.js";

export * from "./index.js";

let stores;
let DB;

globalThis.aipassport.command = async (name, commands) => {
  const answer = await fetch(`${stores}/stores/ledger?name=${encodeURIComponent(name)}`, { method: "POST", body: commands });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.text();
};

const fetcher = {
  fetch(target, init) {
    const { pathname, search } = new URL(target);
    return fetch(`${stores}/stores/d1${pathname}${search}`, init);
  },
};

export default {
  fetch(request, env, context) {
    stores ??= env.STORES;
    DB ??= new env.DB.constructor(fetcher);
    return broker.fetch(request, { ...env, DB }, context);
  },
};
