//! The one place that asks for random numbers.

use crate::domain::encoding::base64url;

/// `N` random bytes from the platform.
///
/// # Panics
/// When the platform has none: then nothing here is safe. Web Crypto does not fail for lengths like ours.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::disallowed_methods, reason = "this is the function that everything else takes entropy from")]
    let filled = getrandom::fill(&mut bytes);
    assert!(filled.is_ok(), "the platform gave no entropy");
    bytes
}

/// A new name for a request, to find it in the log.
#[must_use]
pub fn request_id() -> String {
    format!("req_{}", base64url(&bytes::<16>()))
}
