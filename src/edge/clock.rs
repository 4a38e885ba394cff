//! The one place that reads the clock.

use crate::domain::time::Timestamp;

/// Now, as the platform says. In a deployed Worker it stands still between two pieces of I/O.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the function that everything else takes the time from")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole milliseconds since the epoch")]
    Timestamp::from_millis(js_sys::Date::now() as u64)
}
