// Long steps: one line that says what is done, a sign of life while it runs, how long it took, and the log when it fails.

import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { inCache } from "./paths.mjs";

/** A failure whose text already tells the person what to do; it is printed without a stack. */
export class SetupError extends Error {}

const isTerminal = process.stderr.isTTY && !process.env.CI;
const seconds = (since) => Math.round((Date.now() - since) / 1000);
export const say = (text) => process.stderr.write(`${text}\n`);

const children = new Set();

/** Starts a program in its own process group, so that ending it ends what it started. */
export function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options, detached: true });
  children.add(child);
  child.once("exit", () => children.delete(child));
  child.once("error", () => children.delete(child));
  return child;
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH" && error.code !== "EPERM") throw error;
  }
}

const END_WITHIN_MS = 3_000;

/** Ends programs and what they started: first asked, then made to. Answers when they are gone. */
export async function end(programs, signal = "SIGTERM") {
  const running = programs.filter((child) => child.exitCode === null && child.signalCode === null);
  const gone = Promise.all(running.map((child) => new Promise((done) => child.once("close", done))));
  for (const child of running) signalGroup(child, signal);
  await Promise.race([gone, sleep(END_WITHIN_MS, null, { ref: false })]);
  // Also what a program may have left behind in its group. `npm` asks to be killed while it unpacks.
  for (const child of programs) signalGroup(child, "SIGKILL");
  await Promise.race([gone, sleep(END_WITHIN_MS, null, { ref: false })]);
}

let ending = false;
// This process holds its locks until the others are gone: a next start that comes at once waits for them.
let atSignal = async (signal) => {
  if (ending) return;
  ending = true;
  await end([...children], signal === "SIGINT" ? "SIGTERM" : signal);
  process.exit(signal === "SIGINT" ? 130 : 143);
};
/** Replaces what Ctrl-C and SIGTERM do; without it they end every program started here and then this one. */
export const onSignal = (handler) => (atSignal = handler);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => atSignal(signal));

// npm passes a signal to its shell, and the shell not always to us: then only the parent's going tells.
if (process.env.npm_lifecycle_event || process.env.AIPASSPORT_UNDER_OUR_NODE) {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && atSignal("SIGTERM"), 300).unref();
}

/** Whether this file was started, and not only imported by another one. */
export const isMain = (url) => realpathSync(process.argv[1]) === fileURLToPath(url);

/** Runs `main` of a script; a known failure is printed as it is, anything else with its stack. */
export async function runScript(main) {
  try {
    process.exitCode = (await main()) ?? process.exitCode;
  } catch (error) {
    // A step that failed because it was ended is nothing to tell.
    if (ending) return;
    // `parseArgs` names the argument that isn't one.
    const isKnown = error instanceof SetupError || error.code?.startsWith("ERR_PARSE_ARGS");
    say(`\n${isKnown ? error.message : error.stack}`);
    process.exit(1);
  }
}

/** The part of a failed program's output that a person needs: what it says of errors and how it ended, or all but `noise`. */
function excerpt(lines, noise) {
  if (noise) return lines.filter((line) => !noise.test(line)).slice(0, 120);
  const errors = lines.slice(0, -10).filter((line) => /error/i.test(line));
  return [...errors.slice(0, 10), ...lines.slice(-10)];
}

/**
 * Runs a program as one step: output goes to a log in the cache, the last line is shown as a sign of life.
 * `hint` is what a person should do when it fails; `noise` matches the lines that say nothing about a failure.
 */
export async function step(label, command, args, { hint = "", log = label.replace(/\W+/g, "-"), noise, ...options } = {}) {
  const began = Date.now();
  mkdirSync(inCache("logs"), { recursive: true });
  const logPath = inCache("logs", `${log}.log`);
  const file = createWriteStream(logPath);
  file.write(`$ ${command} ${args.join(" ")}\n`);
  say(`  ${label} …`);

  const lines = [];
  let shown = "";
  const child = start(command, args, options);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      file.write(`${line}\n`);
      if (line.trim()) lines.push(line);
    });
  }
  const alive = setInterval(
    () => {
      const line = `    ${seconds(began)} s  ${(lines.at(-1) ?? "").trim().slice(0, 90)}`;
      if (isTerminal) process.stderr.write(`\r\x1b[2K${line}`);
      else if (line !== shown) say(line);
      shown = line;
    },
    isTerminal ? 500 : 20_000,
  );
  const outcome = await new Promise((done) => {
    child.once("error", (error) => done(error.message));
    child.once("close", (code, signal) => done(code === 0 ? null : `ended with ${signal ?? `exit code ${code}`}`));
  });
  clearInterval(alive);
  if (isTerminal) process.stderr.write("\r\x1b[2K");
  await new Promise((done) => file.end(done));
  if (outcome !== null) {
    const said = excerpt(lines, noise).map((line) => (noise ? line : `    | ${line}`));
    throw new SetupError([`${label}: ${basename(command)} ${outcome}`, ...said, `    log: ${logPath}`, hint && `  ${hint}`].filter(Boolean).join("\n"));
  }
  if (seconds(began) >= 5) say(`  ${label}: done in ${seconds(began)} s`);
}

/** The output of a short command, or null when it fails or is not there. */
export function output(command, args, options = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"], ...options });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => (text += chunk));
    child.once("error", () => done(null));
    child.once("close", (code) => done(code === 0 ? text.trim() : null));
  });
}
