//! Hands pages and OAuth endpoints over to axum, and its answers back to the platform.

use std::{rc::Rc, sync::Arc};

use axum::body::{Body, HttpBody};
use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use js_sys::Uint8Array;
use url::Url;
use wasm_bindgen::JsValue;
use web_sys::{Headers, ResponseInit};
use worker::{Env, FromRequest};

use super::{clock, log, ports::EdgePorts, settings::Settings};
use crate::web::{self, AppState, LogDetail, Site};

/// Longest answer: pages are made in memory and none comes near it.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

thread_local! {
    /// Routes hold nothing of a request: one set for as long as the isolate lives.
    static SITE: Site<EdgePorts> = Site::new();
}

/// Serves a page or an OAuth endpoint.
///
/// # Errors
/// The platform refused to build an answer.
pub async fn serve(request: web_sys::Request, url: &Url, env: &Env) -> Result<web_sys::Response, JsValue> {
    let began = clock::now();
    let mut entry =
        log::Entry { method: log::cut(&request.method()), path: log::cut(url.path()), ..log::Entry::default() };
    let asked = headers(&request);
    let answer = respond(request, url, env).await.unwrap_or_else(|reason| {
        let mut answer = web::unavailable(url.path(), &asked);
        answer.extensions_mut().insert(LogDetail(reason));
        answer
    });
    entry.status = answer.status().as_u16();
    entry.detail = answer.extensions().get::<LogDetail>().map(|detail| log::cut(&detail.0));
    entry.ms = clock::now().millis().saturating_sub(began.millis());
    log::write(&entry);
    into_platform(answer).await
}

/// What the page of an error depends on, kept before the request is used up.
fn headers(request: &web_sys::Request) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in [header::COOKIE, header::ACCEPT_LANGUAGE] {
        let value = request.headers().get(name.as_str()).ok().flatten();
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            kept.insert(name, value);
        }
    }
    kept
}

async fn respond(request: web_sys::Request, url: &Url, env: &Env) -> Result<Response<Body>, String> {
    let settings: Rc<Settings> = Settings::get(env).map_err(|error| error.to_string())?;
    let ports = EdgePorts::of_request(env, settings.database_timeout_seconds).map_err(|error| error.to_string())?;
    let config = Arc::new(settings.for_web(&url.origin().ascii_serialization()));
    if request.method() == "GET"
        && let Some(there) = web::same_page_at_home(&config, url)
    {
        return Ok(there);
    }
    let request: Request<worker::Body> = match FromRequest::from_raw(request) {
        Ok(request) => request,
        Err(error) => {
            let error: Box<dyn core::error::Error> = error.into();
            return Err(error.to_string());
        }
    };
    let state = AppState { ports, now: clock::now(), config };
    let site = SITE.with(Clone::clone);
    Ok(site.answer(state, request.map(Body::new)).await)
}

async fn into_platform(answer: Response<Body>) -> Result<web_sys::Response, JsValue> {
    if answer.body().size_hint().exact().is_none() {
        // Written while it is sent: nobody knows its length. Where it breaks off, the platform ends the transfer.
        let logged =
            |body: Body| body.into_data_stream().inspect_err(|error| log::failure("answer", &error.to_string()));
        return Ok(worker::response_to_wasm(answer.map(|body| Body::from_stream(logged(body))))?);
    }
    let (parts, body) = answer.into_parts();
    let headers = Headers::new()?;
    for (name, value) in &parts.headers {
        if let Ok(value) = value.to_str() {
            headers.append(name.as_str(), value)?;
        }
    }
    let init = ResponseInit::new();
    init.set_status(parts.status.as_u16());
    init.set_headers(&headers);
    let bytes = axum::body::to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| error.to_string())?;
    // A body, even an empty one, is not allowed with these.
    let body = (!bytes.is_empty()).then(|| Uint8Array::from(bytes.as_ref()));
    web_sys::Response::new_with_opt_js_u8_array_and_init(body.as_ref(), &init)
}
