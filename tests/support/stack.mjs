// `npm run dev` as a newcomer starts it, without a terminal: everything it starts, and what it prints.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { withLock } from "../../scripts/lib/lock.mjs";
import { ROOT, freePort } from "./broker.mjs";

/**
 * Starts the stack on free ports and a fresh state, with the build that the tests have made; answers when it has printed its block. One at a time: two that start at the same
 * moment can be given the same port by the tools underneath.
 */
export const startStack = () => withLock("tests-stack", start);

async function start() {
  const stateDir = await mkdtemp(path.join(tmpdir(), "aipassport-dev-"));
  const [port, demoPort, standinPort] = [await freePort(), await freePort(), await freePort()];
  const env = { ...process.env, CI: "1", PORT: port, DEMO_PORT: demoPort, STANDIN_PORT: standinPort, STATE_DIR: stateDir, AIPASSPORT_PROFILE: "release" };
  const child = spawn(process.execPath, ["scripts/dev.mjs"], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const ready = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (/Log: /.test(output)) resolve();
      });
    }
    child.once("close", (code) => reject(new Error(`npm run dev ended with ${code}:\n${output}`)));
  });
  await ready;
  const printed = (label) => new RegExp(`${label}\\s+(http\\S+)`).exec(output)?.[1];
  const stack = {
    output: () => output,
    signInLink: printed("Sign in"),
    demoUrl: printed("Demo app"),
    brokerUrl: printed("Broker").replace(/\/$/, ""),
    standinUrl: `http://127.0.0.1:${standinPort}`,
    ports: [port, demoPort, standinPort],
    /** As Ctrl-C does, but by SIGTERM; answers with the exit code. */
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await once(child, "close");
      }
      await rm(stateDir, { recursive: true, force: true, maxRetries: 5 });
      return child.exitCode;
    },
  };
  for (const name of ["signInLink", "demoUrl", "brokerUrl"]) assert.ok(stack[name], `${name} is printed:\n${output}`);
  return stack;
}
