// Python with the packages of the test clients: a virtual environment in the cache, one for each list of packages and Python.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apt, isDebianRoot } from "./debian.mjs";
import { withLock } from "./lock.mjs";
import { inCache, inRoot, readText } from "./paths.mjs";
import { output, SetupError, step } from "./steps.mjs";

const LIST = inRoot("tests", "clients", "requirements.txt");
const NEEDED = [3, 10];
// Version and program file: an environment is bound to both. It also takes `ensurepip`, which Debian ships apart, in python3-venv.
const PROBE = "import ensurepip, sys, venv; print(*sys.version_info[:2], sys.executable)";

/** What `python3` is here: its `[major, minor]` and a text that changes when it does, or null without one that can make environments. */
async function findPython() {
  const text = await output("python3", ["-c", PROBE]);
  const [major, minor] = (text ?? "").split(" ").map(Number);
  return text && (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) ? text : null;
}

async function ensurePython() {
  const found = await findPython();
  if (found) return found;
  if (await isDebianRoot()) {
    await apt("apt-get update", ["update"]);
    await apt("Python (apt-get install)", ["install", "-y", "--no-install-recommends", "python3", "python3-venv"]);
  }
  const installed = await findPython();
  if (installed) return installed;
  throw new SetupError(
    `The test of the Python client needs python3, ${NEEDED.join(".")} or newer, with its modules venv and ensurepip.\n` +
      "  Install it (Debian, Ubuntu: `apt install python3-venv`; macOS: `brew install python`; Fedora: `dnf install python3`) and run the\n" +
      "  same command again. The other tests run without it: `npm test -- --only native,oracle,blackbox,browser`.",
  );
}

/** The Python program that has the packages of `tests/clients/requirements.txt`. */
export async function ensurePythonClients() {
  const id = (python) => createHash("sha256").update(`${python}\n${readText(LIST)}`).digest("hex").slice(0, 12);
  const place = (python) => inCache(`python-clients-${id(python)}`);
  const program = (home) => join(home, "bin", "python");
  // Written last: an environment can't be renamed into place, because its scripts name it.
  const isReady = (home) => existsSync(join(home, "ready"));

  const known = await findPython();
  if (known && isReady(place(known))) return program(place(known));
  return withLock("python-clients", async () => {
    const home = place(await ensurePython());
    if (isReady(home)) return program(home);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(inCache(), { recursive: true });
    await step("Python environment of the test clients", "python3", ["-m", "venv", home]);
    const args = ["-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-deps", "--disable-pip-version-check", "-r", LIST];
    await step("Python packages of the test clients", program(home), args, {
      hint: "If it could not fetch something, check the network; then run the same command again.",
    });
    writeFileSync(join(home, "ready"), "");
    return program(home);
  });
}
