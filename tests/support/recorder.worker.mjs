// Stands before the built worker and notes every statement that it, or a ledger, asks the database.

import broker from "./index.js";

export * from "./index.js";

const seen = new Set();
let isListening = false;

function listen(database) {
  if (isListening) return;
  isListening = true;
  const made = Object.getPrototypeOf(database);
  const { prepare } = made;
  made.prepare = function (sql) {
    seen.add(sql);
    return prepare.call(this, sql);
  };
}

export default {
  ...broker,
  fetch(request, env, context) {
    listen(env.DB);
    if (new URL(request.url).pathname !== "/recorded-statements") return broker.fetch(request, env, context);
    const statements = [...seen];
    seen.clear();
    return Response.json(statements);
  },
};
