//! What apps keep at addresses of their own; `documents.mjs` has the call itself.

use std::{cell::RefCell, collections::BTreeMap};

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::{clock, js};
use crate::{
    domain::{
        oauth::{
            client_metadata::FetchError,
            remote_address::{RemoteAddress, fresh_for},
        },
        time::Timestamp,
    },
    web::ports::Fetched,
};

/// How long a key set is remembered, in seconds: so long a key that its owner took back is still believed.
const KEY_SET_SECONDS: u64 = 300;
/// How long it is remembered that there was none: anybody can name a client, and so its address, as often as they like.
const FAILURE_SECONDS: u64 = 30;
/// Most key sets that an isolate remembers, of at most 16 KiB each; the oldest goes.
const MAX_KEY_SETS: usize = 64;

/// What came of an address, and until when that holds.
type Remembered = (Timestamp, Result<String, FetchError>);

thread_local! {
    static KEY_SETS: RefCell<BTreeMap<String, Remembered>> = const { RefCell::new(BTreeMap::new()) };
}

/// Fetches a document.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(address: &RemoteAddress) -> Result<Fetched, FetchError> {
    let answer = JsFuture::from(js::fetch_document(address.as_str())).await.map_err(|_| FetchError::Unreachable)?;
    let document: js::Document = answer.unchecked_into();
    match document.trouble().as_deref() {
        None => Ok(Fetched { body: document.bytes().to_vec(), fresh_for: fresh_for(&document.cache_control()) }),
        Some("late") => Err(FetchError::Late),
        Some("redirected") => Err(FetchError::Redirected),
        Some("status") => Err(FetchError::Status(document.status())),
        Some("type") => Err(FetchError::NotJson),
        Some("long") => Err(FetchError::TooLong),
        Some(_) => Err(FetchError::Unreachable),
    }
}

/// Fetches a key set, or remembers it.
///
/// # Errors
/// [`FetchError`]; the same for 30 seconds.
pub async fn key_set(address: &RemoteAddress) -> Result<String, FetchError> {
    let now = clock::now();
    let known = KEY_SETS
        .with_borrow(|sets| sets.get(address.as_str()).filter(|(until, _)| now < *until).map(|(_, keys)| keys.clone()));
    if let Some(keys) = known {
        return keys;
    }
    let keys = fetch(address).await.map(|fetched| String::from_utf8_lossy(&fetched.body).into_owned());
    let seconds = if keys.is_ok() { KEY_SET_SECONDS } else { FAILURE_SECONDS };
    KEY_SETS.with_borrow_mut(|sets| {
        sets.insert(address.as_str().to_owned(), (now.plus_seconds(seconds), keys.clone()));
        while sets.len() > MAX_KEY_SETS {
            let oldest = sets.iter().min_by_key(|(_, (until, _))| *until).map(|(address, _)| address.clone());
            let Some(oldest) = oldest else { break };
            sets.remove(&oldest);
        }
    });
    keys
}
