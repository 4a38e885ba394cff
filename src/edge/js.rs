//! What the scripts beside this file do for the wasm, each in one call: the platform's own types would take many.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsValue, closure::Closure, prelude::wasm_bindgen};
use web_sys::{AbortController, ReadableStream, Request, Response};

#[wasm_bindgen]
extern "C" {
    /// What a request says: its method, its address and its headers, in lines; see `data_plane/calls.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = facts)]
    pub fn facts(request: &Request) -> String;

    /// Calls a provider for a client's request; resolves to [`Called`], and never fails.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = callUpstream)]
    pub fn call_upstream(
        client: &Request,
        method: &str,
        url: &str,
        headers: &str,
        body: &JsValue,
        length: u32,
        seconds: f64,
    ) -> Promise;

    /// The body of a request, on its way in; see `data_plane/calls.mjs`.
    pub type Incoming;

    /// Of this request: seconds between two pieces, and in all.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = incoming)]
    pub fn incoming(request: &Request, idle_seconds: u32, seconds: u32) -> Incoming;

    /// Hands its pieces to `take`, which says how many bytes it has, until they are more than `most`. Resolves to `end`, `more`, `late`
    /// or `broken`, and never fails.
    #[wasm_bindgen(method)]
    pub fn read(this: &Incoming, most: u32, take: &Closure<dyn FnMut(Uint8Array) -> u32>) -> Promise;

    /// Lets the rest go.
    #[wasm_bindgen(method, js_name = giveUp)]
    pub fn give_up(this: &Incoming);

    /// An answer as a whole, as a `Uint8Array`; fails where it breaks off, and with `late` where it takes too long.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = wholeAnswer)]
    pub fn whole_answer(answer: &Response, give_up: &AbortController, idle_seconds: u32, seconds: u32) -> Promise;

    /// An answer with these headers, in lines.
    #[wasm_bindgen(catch, js_namespace = ["globalThis", "aipassport"], js_name = respond)]
    pub fn respond(status: u16, headers: &str, body: &JsValue) -> Result<Response, JsValue>;

    /// What became of a call of a provider.
    pub type Called;

    /// Why there is no answer, if there is none.
    #[wasm_bindgen(method, getter)]
    pub fn problem(this: &Called) -> Option<String>;

    /// More of that, for the log.
    #[wasm_bindgen(method, getter)]
    pub fn reason(this: &Called) -> Option<String>;

    /// The answer, where there is no problem.
    #[wasm_bindgen(method, getter)]
    pub fn response(this: &Called) -> Response;

    /// What hangs up on it.
    #[wasm_bindgen(method, getter, js_name = giveUp)]
    pub fn give_up(this: &Called) -> AbortController;

    /// Its headers, in lines.
    #[wasm_bindgen(method, getter)]
    pub fn headers(this: &Called) -> String;

    /// Tells `entry.mjs` that this instance answers nobody any more.
    #[wasm_bindgen(catch, js_namespace = globalThis, js_name = aipassportInstanceDied)]
    pub fn instance_died() -> Result<(), JsValue>;

    /// Sends commands to the ledger of a grant, a JSON list; resolves to their replies, another. See `ledgers.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = command)]
    pub fn command(grant: &str, commands: &str) -> Promise;

    /// Sends one command whose reply nobody needs, perhaps together with others.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = commandSoon)]
    pub fn command_soon(grant: &str, command: &str) -> Promise;

    /// Whether a signature is a key's; resolves to that, and never fails. See `signatures.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = verifySignature)]
    pub fn verify_signature(algorithm: &str, jwk: &str, signing_input: &Uint8Array, signature: &Uint8Array) -> Promise;

    /// Fetches JSON from an address that an app named; resolves to [`Document`], and never fails. See `documents.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = fetchDocument)]
    pub fn fetch_document(url: &str) -> Promise;

    /// What came of it.
    pub type Document;

    /// Why it can't be used, if it can't.
    #[wasm_bindgen(method, getter)]
    pub fn trouble(this: &Document) -> Option<String>;

    /// The HTTP status, where there was an answer.
    #[wasm_bindgen(method, getter)]
    pub fn status(this: &Document) -> u16;

    /// Its header `Cache-Control`, or nothing.
    #[wasm_bindgen(method, getter, js_name = cacheControl)]
    pub fn cache_control(this: &Document) -> String;

    /// What was read, where there is no trouble.
    #[wasm_bindgen(method, getter)]
    pub fn bytes(this: &Document) -> Uint8Array;

    /// Wakes the courier; never fails. See `courier.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = wakeCourier)]
    pub fn wake_courier() -> Promise;

    /// Sends a webhook's delivery; resolves to [`Posted`], and never fails.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = postWebhook)]
    pub fn post_webhook(url: &str, id: &str, timestamp: &str, signature: &str, body: &str, seconds: u32) -> Promise;

    /// What came of it.
    pub type Posted;

    /// Why it failed, if it did.
    #[wasm_bindgen(method, getter)]
    pub fn trouble(this: &Posted) -> Option<String>;

    /// The HTTP status; 0: there was no answer.
    #[wasm_bindgen(method, getter)]
    pub fn status(this: &Posted) -> u16;

    /// A streamed answer on its way to the client, and what it says about its use.
    pub type Passing;

    /// Passes as it comes; see `streams.mjs`. `holds_end`: its end waits for [`Passing::release`].
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = metered)]
    pub fn metered(
        body: &ReadableStream,
        give_up: &AbortController,
        holds_end: bool,
        idle_seconds: u32,
        seconds: u32,
    ) -> Passing;

    /// Passes piece by piece, and is read on the way, never more than a piece ahead of the client; see `streams.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = pumped)]
    pub fn pumped(
        body: &ReadableStream,
        give_up: &AbortController,
        holds_end: bool,
        idle_seconds: u32,
        seconds: u32,
    ) -> Passing;

    /// Passes as it comes, unread; see `streams.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = passing)]
    pub fn passing(
        body: &ReadableStream,
        give_up: &AbortController,
        holds_end: bool,
        idle_seconds: u32,
        seconds: u32,
    ) -> Passing;

    /// Passes without the event that says its usage; see `streams.mjs`.
    #[wasm_bindgen(js_namespace = ["globalThis", "aipassport"], js_name = withoutUsage)]
    pub fn without_usage(
        body: &ReadableStream,
        give_up: &AbortController,
        holds_end: bool,
        idle_seconds: u32,
        seconds: u32,
    ) -> Passing;

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
