// The whole tool chain of a wasm build, set up where it is missing, and the environment that uses it.

import { inRoot } from "./paths.mjs";
import { ensureGlue } from "./cargo-tools.mjs";
import { ensureWasmTarget, TARGET } from "./wasm-target.mjs";

export { TARGET };

/** `{ glue, env }`: the program that makes the glue, and the environment in which cargo builds for the target. */
export async function ensureWasmToolchain() {
  const rust = await ensureWasmTarget();
  const glue = await ensureGlue();
  return {
    glue,
    env: {
      ...process.env,
      ...rust,
      // Apart from native builds, which may use another compiler: neither makes the other start over.
      CARGO_TARGET_DIR: inRoot("target", "wasm"),
    },
  };
}
