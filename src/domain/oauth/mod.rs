//! OAuth 2.0 as far as it is rules: what a request must look like, and which of the RFC's errors a broken rule is.
//!
//! Nothing here reads a store. Checks are pure functions over what was sent and what was read; `now` is an argument.

pub mod answer;
pub mod authorization_request;
pub mod client;
pub mod client_assertion;
pub mod client_metadata;
pub mod code;
pub mod csrf;
pub mod device;
pub mod dpop;
pub mod error;
pub mod exchange_request;
pub mod mac;
pub mod params;
pub mod pending_request;
pub mod pkce;
pub mod prompt;
pub mod pushed_request;
pub mod redirect_uri;
pub mod registration;
pub mod remote_address;
pub mod replay;
pub mod resource;
pub mod sign_in_again;
pub mod sign_in_link;
pub mod token_request;
