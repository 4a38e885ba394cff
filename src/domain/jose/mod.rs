//! JSON Object Signing and Encryption as far as strangers sign things for the broker: keys, signed texts, and what must be true before
//! anything in them is believed.
//!
//! | file | what it is |
//! |---|---|
//! | [`strict`] | JSON objects in which no member stands twice |
//! | [`jwk`], [`jwk_set`] | public keys ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)) and their thumbprints (RFC 7638) |
//! | [`jws`] | compact serialization ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)) |
//! | [`signature`] | what is to be checked, and the proof that it was |
//!
//! Nothing here computes a signature: the platform's Web Crypto does, behind a port, and the wasm stays free of RSA and elliptic curves.
//! So a text goes through two hands. [`signature::Unverified`] holds what it claims and shows none of it; it gives a
//! [`signature::SignatureToCheck`], the port answers, and the [`signature::SignatureHolds`] that comes of it opens that text and no other.
//!
//! `none` and HMAC do not exist here: no algorithm can be confused with one that has no public key (RFC 8725 §2.1).

pub mod algorithm;
pub mod jwk;
pub mod jwk_set;
pub mod jws;
pub mod signature;
pub mod strict;

pub use algorithm::Algorithm;
pub use jwk::{JwkThumbprint, PublicJwk};
pub use jwk_set::JwkSet;
pub use jws::Jws;
pub use signature::{SignatureFails, SignatureHolds, SignatureToCheck, Unverified};
