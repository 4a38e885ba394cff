// https://github.com/modelcontextprotocol/conformance in its mode for authorization servers, the program as its makers ship it. It
// prints the link that a person has to open, and waits at http://127.0.0.1:PORT/callback for the browser.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { ROOT, freePort } from "../support/broker.mjs";
import { allow, startClients } from "./person.mjs";

// The setting lets a document on this machine make a client known.
const { broker, browser } = await startClients({ env: { CLIENT_DOCUMENTS_FROM_LOOPBACK: "on" } });
const SUITE = path.join(ROOT, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js");
// The newest revision whose rules the suite has.
const REVISION = "2026-07-28";
const SUITE_TIMEOUT_MS = 60_000;

/** Runs the suite; `open` is called with the link that it prints. Answers with all its checks by id. */
async function conformance(options, open) {
  const folder = await mkdtemp(path.join(tmpdir(), "aipassport-conformance-"));
  const args = [SUITE, "authorization", "--url", broker.url, "--spec-version", REVISION, "--output-dir", folder, ...options];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], timeout: SUITE_TIMEOUT_MS });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (said += text));
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      said += `${line}\n`;
      if (line.startsWith(`${broker.url}/authorize?`)) await open(new URL(line));
    }
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith("checks.json"));
    const checks = (await Promise.all(files.map(async (name) => JSON.parse(await readFile(path.join(folder, name), "utf8"))))).flat();
    assert.ok(checks.length > 0, said);
    return { said, checks: Object.fromEntries(checks.map((check) => [check.id, check])) };
  } finally {
    child.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

const status = ({ checks }, id) => {
  assert.ok(checks[id], `no check ${id} in ${Object.keys(checks)}`);
  return `${checks[id].status} ${checks[id].errorMessage ?? ""}`.trim();
};

test("the metadata conform, for MCP clients that look for an authorization server", async () => {
  const run = await conformance([], () => assert.fail("no link without a client"));
  assert.equal(status(run, "authorization-server-metadata"), "SUCCESS", run.said);
});

test("the metadata tell MCP clients that a document makes them known", async () => {
  const run = await conformance([], () => assert.fail("no link without a client"));
  assert.equal(status(run, "authorization-server-metadata-cimd"), "SUCCESS", run.said);
});

/** The id of an app that a person registers. */
const byHand = async (callback) => (await browser.register({ name: "MCP client", redirectUris: [callback] })).client_id;

/** The id of an app that registers itself (RFC 7591). */
async function byItself(callback) {
  const metadata = { client_name: "MCP client", redirect_uris: [callback], token_endpoint_auth_method: "none" };
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${broker.url}/register`, { method: "POST", headers, body: JSON.stringify(metadata) });
  assert.equal(answer.status, 201);
  return (await answer.json()).client_id;
}

/** The id of an app that a document describes: where the document lies. */
async function byDocument(callback) {
  const site = http.createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ client_id: id, client_name: "MCP client", redirect_uris: [callback] }));
  });
  after(() => site.close());
  await once(site.listen(0, "localhost"), "listening");
  const id = `http://localhost:${site.address().port}/mcp-client.json`;
  return id;
}

/** Runs the code grant; the person allows. What the check of it says. */
async function codeGrant(makeKnown, options = []) {
  const port = await freePort();
  const callback = `http://127.0.0.1:${port}/callback`;
  const known = ["--client-id", await makeKnown(callback), "--port", String(port)];
  const run = await conformance([...known, ...options], async (link) => {
    // The suite asks for nothing in particular (RFC 6749 §3.3).
    assert.equal(link.searchParams.get("scope"), null);
    const location = await allow(browser, link);
    assert.ok(location.href.startsWith(callback), location.href);
    assert.equal((await fetch(location)).status, 200);
  });
  return { said: run.said, status: status(run, "authorization-code-grant") };
}

// All without a secret: the suite sends none to a server that also takes clients without one.
for (const [what, makeKnown] of Object.entries({
  "an app registered by hand": byHand,
  "an app that registered itself": byItself,
  "an app that is known by a document": byDocument,
})) {
  test(`the code grant of ${what} conforms`, async () => {
    const run = await codeGrant(makeKnown);
    assert.equal(run.status, "SUCCESS", run.said);
  });
}

test("RFC 8707 §2: the code grant for one resource conforms", async () => {
  const run = await codeGrant(byHand, ["--resource", `${broker.url}/openai/v1`]);
  assert.equal(run.status, "SUCCESS", run.said);
});

test("RFC 8707 §2.2: the code grant for a resource that is not the broker's ends with invalid_target", async () => {
  const port = await freePort();
  const known = ["--client-id", await byHand(`http://127.0.0.1:${port}/callback`), "--port", String(port)];
  const run = await conformance([...known, "--resource", "https://mcp.example/"], async (link) => {
    await fetch((await browser.get(link)).location);
  });
  assert.match(status(run, "authorization-code-grant"), /^FAILURE Authorization error: invalid_target/, run.said);
});
