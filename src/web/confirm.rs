//! Whether it is still the same person: asked again before what is risky, such as raising a cap or removing a passkey.

use axum::{
    body::Body,
    http::{Response, StatusCode},
    response::IntoResponse,
};

use super::{frame::Frame, trouble::Trouble, visitor::Visitor};
use crate::domain::{oauth::params::Params, time::Timestamp};

/// So long a person is believed after they proved that it is them.
pub const CONFIRMED_SECONDS: u64 = 600;

/// Whether they proved it a short while ago.
#[must_use]
pub const fn is_recent(visitor: &Visitor, now: Timestamp) -> bool {
    now.seconds() < visitor.confirmed_at.seconds() + CONFIRMED_SECONDS
}

/// The page that asks. `action` is the path of the form that was interrupted, `params` are its fields.
#[must_use]
pub fn ask(_frame: &Frame, _action: &str, _params: &Params) -> Response<Body> {
    let text = "This allows more than before, and you signed in a while ago. Nothing was changed. Sign in again, then try again.";
    let heading = "First confirm that it is you";
    Trouble::new(StatusCode::FORBIDDEN, heading, text).with_way_on("/sign-in", "Sign in again").into_response()
}
