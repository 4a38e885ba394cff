// The whole tool chain of a wasm build, set up where it is missing, and the environment that uses it.

import { bin, inRoot } from "./paths.mjs";
import { ensureWasmBindgen, ensureWorkerBuild } from "./cargo-tools.mjs";
import { ensureWasmTarget } from "./wasm-target.mjs";

/** `{ workerBuild, env }`: the program to run, and the environment that makes it download nothing. */
export async function ensureWasmToolchain() {
  const rust = await ensureWasmTarget();
  const wasmBindgen = await ensureWasmBindgen();
  const workerBuild = await ensureWorkerBuild();
  return {
    workerBuild,
    env: {
      ...process.env,
      ...rust,
      WASM_BINDGEN_BIN: wasmBindgen,
      WASM_OPT_BIN: bin("wasm-opt"),
      ESBUILD_BIN: bin("esbuild"),
      // Apart from native builds, which may use another compiler: neither makes the other start over.
      CARGO_TARGET_DIR: inRoot("target", "wasm"),
    },
  };
}
