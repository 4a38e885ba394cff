// Serves the demo on an origin of its own, as any app has one.
// Environment: DEMO_PORT (8788), BROKER_URL (http://localhost:8787).

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { context } from "esbuild";

const port = Number(process.env.DEMO_PORT || 8788);
const broker = new URL(process.env.BROKER_URL || "http://localhost:8787").origin;
const folder = import.meta.dirname;

const bundle = await context({
  entryPoints: [join(folder, "app.js")],
  outdir: folder, // nothing is written; it gives the outputs their names
  write: false,
  bundle: true,
  minify: true,
  sourcemap: true,
  format: "esm",
  target: "es2022",
  define: { BROKER_URL: JSON.stringify(broker) },
  logLevel: "silent",
});

/** A file of the bundle, made again if app.js has changed since; esbuild keeps the rest in memory. */
async function bundled(name) {
  const { outputFiles } = await bundle.rebuild();
  return outputFiles.find(({ path }) => path === join(folder, name)).contents;
}

const page = () => readFile(join(folder, "index.html"));
const ROUTES = {
  "/": ["text/html", page],
  // The redirect URI, where the broker sends people back to. The same page: app.js sees the code and takes it out of the address.
  "/callback.html": ["text/html", page],
  "/style.css": ["text/css", () => readFile(join(folder, "style.css"))],
  "/app.js": ["text/javascript", () => bundled("app.js")],
  "/app.js.map": ["application/json", () => bundled("app.js.map")],
};

const HEADERS = {
  // The page can talk to the broker and to nobody else, and runs no script but its own: a token has nowhere to leak to.
  "content-security-policy":
    `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src ${broker}; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  // The address of a page may hold a code for a moment; no request says where it came from.
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

const server = createServer(async (request, response) => {
  const send = (status, type, body) => {
    response.writeHead(status, { ...HEADERS, "content-type": `${type}; charset=utf-8` });
    response.end(request.method === "HEAD" ? undefined : body);
  };
  const route = ROUTES[request.url.split("?")[0]];
  if (!route) return send(404, "text/plain", "Not found\n");
  if (request.method !== "GET" && request.method !== "HEAD") return send(405, "text/plain", "Method not allowed\n");
  try {
    send(200, route[0], await route[1]());
  } catch (error) {
    // A mistake in app.js, most likely: esbuild's text says where.
    console.error(error.message);
    send(500, "text/plain", "The demo could not be built; its log says why.\n");
  }
});

function end() {
  server.close();
  server.closeAllConnections();
  bundle.dispose();
}
process.once("SIGTERM", end).once("SIGINT", end);

// Built before it listens: the first visitor doesn't wait.
await bundled("app.js");
server.listen(port, "localhost", () => console.log(`Demo app at http://localhost:${port}/ for the broker at ${broker}`));
