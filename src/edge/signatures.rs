//! Signatures of strangers, checked by the platform; `signatures.mjs` has the call itself.

use js_sys::Uint8Array;
use wasm_bindgen_futures::JsFuture;

use super::js;
use crate::domain::jose::{SignatureFails, SignatureHolds, SignatureToCheck};

/// Asks the platform whether a signature is genuine. A client's second signature with the same key costs no import of the key.
///
/// # Errors
/// [`SignatureFails`]: it isn't, or the key is none.
pub async fn holds(to_check: &SignatureToCheck<'_>) -> Result<SignatureHolds, SignatureFails> {
    // Copies: the script waits before it reads them, and the wasm's memory moves meanwhile.
    let (input, signature) = (Uint8Array::from(to_check.signing_input()), Uint8Array::from(to_check.signature()));
    let answer = js::verify_signature(to_check.algorithm().as_str(), &to_check.key().to_json(), &input, &signature);
    let answer = JsFuture::from(answer).await;
    to_check.answered(answer.is_ok_and(|answer| answer.as_bool() == Some(true)))
}
