//! The composition root: the platform's events, and what they are handed to.
//!
//! | file | what it is |
//! |---|---|
//! | `entry.mjs`, `instance.mjs` | the Worker's first script; sees to it that nobody waits for a dead wasm instance |
//! | [`data_plane`] | the life of a call |
//! | [`control_plane`] | pages and OAuth endpoints, over to axum |
//! | [`ledger_object`] | the Durable Object around the ledger |
//! | [`documents`] | what apps keep at addresses of their own |
//! | [`courier`] | delivers webhooks |
//! | [`housekeeping`] | the hourly clean-up of the database |
//! | [`ports`], [`d1`], [`ledgers`], [`rate_limits`] | what the control plane needs, over the platform |
//! | [`signatures`] | whether a stranger's signature is genuine |
//! | [`settings`], [`clock`], [`entropy`], [`log`] | what the platform knows |

pub mod clock;
pub mod control_plane;
pub mod courier;
pub mod d1;
pub mod data_plane;
pub mod documents;
pub mod entropy;
pub mod housekeeping;
pub mod js;
pub mod ledger_object;
pub mod ledgers;
pub mod log;
pub mod ports;
pub mod rate_limits;
pub mod settings;
pub mod signatures;

use std::rc::Rc;

use url::Url;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{Context, Env, event};

use crate::domain::oauth::redirect_uri::is_loopback;

/// Runs once per wasm instance.
#[event(start)]
fn start() {
    // `worker` has a hook of its own that replaces a broken instance: chained, not replaced.
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        console_error_panic_hook::hook(info);
        previous(info);
        // It can't fail where `entry.mjs` runs, and there is nobody left to tell.
        let _ = js::instance_died();
    }));
}

/// Panics. No script of the Worker calls this export, and no request reaches it: a script that stands before the Worker in a test does,
/// to see what a panic leaves behind.
///
/// # Panics
/// Always.
#[wasm_bindgen(js_name = panicOnPurpose)]
#[expect(clippy::panic, reason = "this is what it is for")]
pub fn panic_on_purpose() {
    panic!("a panic on purpose");
}

/// Whether anybody on the way can read along. Nothing is on the way to the own machine.
fn is_in_clear(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

/// A page is asked for again over https. A call is refused, since an SDK that is sent on would send its token in clear each time.
fn use_https(request: &web_sys::Request, mut url: Url) -> Result<web_sys::Response, JsValue> {
    let is_page = request.method() == "GET" && data_plane::provider_of(url.path()).is_none();
    if is_page && url.set_scheme("https").is_ok() && url.set_port(None).is_ok() {
        return web_sys::Response::redirect_with_status(url.as_str(), 308);
    }
    plain_text(403, "use https: a token or a secret must not travel in clear\n")
}

fn plain_text(status: u16, text: &str) -> Result<web_sys::Response, JsValue> {
    let init = web_sys::ResponseInit::new();
    init.set_status(status);
    web_sys::Response::new_with_opt_str_and_init(Some(text), &init)
}

/// Every request. The data plane's route is taken here, before axum: its bodies never enter Rust streams.
#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let answer = async {
        let facts = data_plane::Facts::of(&request);
        let url = Url::parse(&facts.url).map_err(|error| JsValue::from_str(&error.to_string()))?;
        if is_in_clear(&url) {
            return use_https(&request, url);
        }
        match data_plane::provider_of(url.path()) {
            Some(provider) => {
                data_plane::serve(data_plane::Inbound::new(request, facts, &url, provider), env, Rc::new(context)).await
            }
            None => control_plane::serve(request, &url, &env).await,
        }
    };
    answer.await.or_else(|error: JsValue| {
        log::failure("request", &js::message(&error));
        Ok(plain_text(500, "the broker failed\n")?)
    })
}
