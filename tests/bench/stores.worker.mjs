// Stands before a broker and lets another process use its database, by the protocol of D1, and its ledgers.

import broker from "./index.js";

export * from "./index.js";

/** Rows as D1 sends them: the names of their columns once. */
function sent({ success, meta, results }) {
  const columns = Object.keys(results[0] ?? {});
  return { success, meta, results: { columns, rows: results.map((row) => Object.values(row)) } };
}

async function query(database, body) {
  const asked = [body].flat();
  const prepared = asked.map(({ sql, params }) => database.prepare(sql).bind(...params));
  const answers = (prepared.length === 1 ? [await prepared[0].all()] : await database.batch(prepared)).map(sent);
  return Response.json(Array.isArray(body) ? answers : answers[0]);
}

export default {
  ...broker,
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname.startsWith("/stores/d1/")) return query(env.DB, await request.json());
    if (pathname !== "/stores/ledger") return broker.fetch(request, env, context);
    const name = searchParams.get("name");
    return new Response(await env.LEDGER.getByName(name).command(name, await request.text()));
  },
};
