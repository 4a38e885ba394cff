//! Who is at the browser, once `session` has found out.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::ports::User;
use crate::domain::{
    secret::{SecretHash, Session},
    time::Timestamp,
};

/// A signed-in person.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Their session.
    pub session: SecretHash<Session>,
    /// Who they are.
    pub user: User,
    /// When they signed in.
    pub since: Timestamp,
    /// What their forms carry.
    pub csrf: String,
}

/// Whoever is there, signed in or not.
#[derive(Debug)]
pub struct Guest(pub Option<Visitor>);

impl<S: Sync> FromRequestParts<S> for Guest {
    type Rejection = core::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Visitor>().cloned()))
    }
}
