// A worker of the tests beside the broker's, in the same workerd and over the same D1. Asked over a socket of its own, which takes a
// sixth of what Miniflare's stand-ins for bindings take in the test's process.

export default {
  /** `[[query, ...values], …]` in one transaction, as JSON: `{ results: [[row, …], …] }`, or `{ error }` in D1's words. */
  async fetch(request, { DB }) {
    const statements = await request.json();
    try {
      const done = await DB.batch(statements.map(([query, ...values]) => DB.prepare(query).bind(...values)));
      return Response.json({ results: done.map(({ results }) => results) });
    } catch (error) {
      return Response.json({ error: error.message });
    }
  },
};
