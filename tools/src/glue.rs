//! `glue WASM FOLDER`: writes the scripts that a wasm is called through, `broker.js` beside `broker_bg.wasm`, into a folder.

use std::env::args_os;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = args_os().skip(1);
    let wasm = arguments.next().context("usage: glue WASM FOLDER")?;
    let folder = arguments.next().context("usage: glue WASM FOLDER")?;
    Bindgen::new()
        // A module that imports the wasm by name; see scripts/build.mjs.
        .module(true)?
        .input_path(wasm)
        .out_name("broker")
        .typescript(false)
        .omit_default_module_path(false)
        // The handler makes an instance anew after a trap; see src/edge/instance.mjs.
        .force_enable_abort_handler(true)
        .generate(folder)
}
