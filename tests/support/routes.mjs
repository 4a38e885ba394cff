// The routes of the hosted pages, read from the router's own source: what a test walks can't forget one.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { ROOT } from "./broker.mjs";

const read = (file) => readFile(path.join(ROOT, "src/web", file), "utf8");

/** `module::CONSTANT` of the router, by the source that declares it. */
async function constant(name) {
  const parts = name.split("::");
  const last = parts.pop();
  for (const file of [`${parts.join("/")}.rs`, `${parts.join("/")}/mod.rs`]) {
    const found = await read(file).then(
      (text) => new RegExp(`const ${last}: &str = "([^"]+)"`).exec(text),
      () => null,
    );
    if (found) return found[1];
  }
  return assert.fail(`where ${name} stands was not found`);
}

/** `{ path, methods }` of each route for people, in the order of the router. */
export async function pageRoutes() {
  const text = await read("mod.rs");
  const begin = text.indexOf("let pages = Router::new()");
  const pages = text.slice(begin, text.indexOf("let elsewhere", begin));
  const routes = pages.split(".route(").slice(1);
  assert.ok(begin > 0 && routes.length > 40, "the router was not found");
  return Promise.all(
    routes.map(async (route) => {
      const [, literal, name, handlers] = /^\s*(?:"([^"]+)"|([\w:]+)),([^]*)$/.exec(route);
      const methods = [...handlers.matchAll(/\b(get|post|put|patch|delete)\(/g)].map(([, method]) => method.toUpperCase());
      return { path: literal ?? (await constant(name)), methods };
    }),
  );
}
