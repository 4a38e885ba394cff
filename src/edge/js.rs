//! What the platform offers and neither `worker` nor `web-sys` gives the type that is needed here: bodies that pass natively.

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::{AbortController, ReadableStream, RequestInit};

#[wasm_bindgen]
extern "C" {
    /// `fetch` of the global scope.
    #[wasm_bindgen(js_name = fetch)]
    pub fn fetch(url: &str, init: &RequestInit) -> Promise;

    /// Tells `entry.mjs` that this instance answers nobody any more.
    #[wasm_bindgen(catch, js_namespace = globalThis, js_name = aipassportInstanceDied)]
    pub fn instance_died() -> Result<(), JsValue>;

    /// Sends commands to the ledger of a grant, a JSON list; resolves to their replies, another. See `ledgers.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = command)]
    pub fn command(grant: &str, commands: &str) -> Promise;

    /// A streamed answer on its way to the client, and what it says about its use.
    pub type Passing;

    /// Passes as it comes; see `streams.mjs`. `holds_end`: its end waits for [`Passing::release`].
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = metered)]
    pub fn metered(body: &ReadableStream, give_up: &AbortController, holds_end: bool) -> Passing;

    /// Passes as it comes, unread; see `streams.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = passing)]
    pub fn passing(body: &ReadableStream, give_up: &AbortController, holds_end: bool) -> Passing;

    /// Passes without the event that says its usage; see `streams.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = withoutUsage)]
    pub fn without_usage(body: &ReadableStream, give_up: &AbortController, holds_end: bool) -> Passing;

    /// The body for the client.
    #[wasm_bindgen(method, getter)]
    pub fn readable(this: &Passing) -> ReadableStream;

    /// The next piece of what it says: a `Uint8Array`, or nothing at its end. Never fails.
    #[wasm_bindgen(method)]
    pub fn next(this: &Passing) -> Promise;

    /// Lets its end go.
    #[wasm_bindgen(method)]
    pub fn release(this: &Passing) -> Promise;
}

/// What a script error says.
#[must_use]
pub fn message(error: &JsValue) -> String {
    js_sys::Reflect::get(error, &"message".into())
        .ok()
        .and_then(|message| message.as_string())
        .unwrap_or_else(|| format!("{error:?}"))
}
