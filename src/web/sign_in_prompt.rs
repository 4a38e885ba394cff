//! The page that says how to sign in. Any page of a person's own shows it to whoever is nobody yet.

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};

use super::{page::html, state::Config, visitor::Visitor};

/// Why somebody is asked to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They asked for a page of their own.
    PageNeedsIt,
    /// They sent a form without a session.
    SessionEnded,
    /// An app sent them.
    AppAsks,
    /// They came by themselves.
    Visit,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct PromptPage<'a> {
    visitor: Option<Visitor>,
    why: Why,
    issuer: &'a str,
    /// Whether this is somebody's `npm run dev`.
    is_local: bool,
}

/// The page, for somebody without a session.
#[must_use]
pub fn ask(config: &Config, status: StatusCode, why: Why) -> Response<Body> {
    prompt(config, status, None, why)
}

/// The page. Whoever has a session reads that there is nothing to do.
#[must_use]
pub fn prompt(config: &Config, status: StatusCode, visitor: Option<Visitor>, why: Why) -> Response<Body> {
    html(status, &PromptPage { visitor, why, issuer: &config.issuer, is_local: !config.is_https() })
}
