// https://github.com/modelcontextprotocol/conformance in its mode for authorization servers, the program as its makers ship it. It
// prints the link that a person has to open, and waits at http://127.0.0.1:PORT/callback for the browser.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { ROOT, freePort } from "../support/broker.mjs";
import { SCOPE, allow, startClients } from "./person.mjs";

const { broker, browser } = await startClients();
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

test("the code grant conforms", async () => {
  const port = await freePort();
  const callback = `http://127.0.0.1:${port}/callback`;
  const { client_id: id } = await browser.register({ name: "MCP client", redirectUris: [callback] });
  const run = await conformance(["--client-id", id, "--port", String(port)], async (link) => {
    // The suite asks for nothing in particular (RFC 6749 §3.3).
    assert.equal(link.searchParams.get("scope"), null);
    const location = await allow(browser, link);
    assert.ok(location.href.startsWith(callback), location.href);
    assert.equal((await fetch(location)).status, 200);
  });
  assert.equal(status(run, "authorization-code-grant"), "SUCCESS", run.said);
});
