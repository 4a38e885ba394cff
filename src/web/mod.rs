//! Control plane.

pub mod ports;
mod state;

pub use state::{AppState, Config, LogDetail};
