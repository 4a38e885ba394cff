//! What the platform offers and neither `worker` nor `web-sys` gives the type that is needed here: bodies that pass natively.

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::{ReadableStream, RequestInit, WritableStream};

#[wasm_bindgen]
extern "C" {
    /// `fetch` of the global scope.
    #[wasm_bindgen(js_name = fetch)]
    pub fn fetch(url: &str, init: &RequestInit) -> Promise;

    /// Tells `entry.mjs` that this instance answers nobody any more.
    #[wasm_bindgen(catch, js_namespace = globalThis, js_name = aipassportInstanceDied)]
    pub fn instance_died() -> Result<(), JsValue>;

    /// A stream that passes bytes on without any script in between.
    pub type IdentityTransformStream;

    /// New and empty.
    #[wasm_bindgen(constructor)]
    pub fn new() -> IdentityTransformStream;

    /// Where bytes come out.
    #[wasm_bindgen(method, getter)]
    pub fn readable(this: &IdentityTransformStream) -> ReadableStream;

    /// Where they go in.
    #[wasm_bindgen(method, getter)]
    pub fn writable(this: &IdentityTransformStream) -> WritableStream;
}

/// What a script error says.
#[must_use]
pub fn message(error: &JsValue) -> String {
    js_sys::Reflect::get(error, &"message".into())
        .ok()
        .and_then(|message| message.as_string())
        .unwrap_or_else(|| format!("{error:?}"))
}
