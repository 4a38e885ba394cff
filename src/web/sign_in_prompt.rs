//! The page that says how to sign in. Any page of a person's own shows it to whoever is nobody yet.

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};

use super::{frame::Frame, language::filters, page::with_script, state::Config, visitor::Visitor};

/// Why somebody is asked to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They asked for a page of their own.
    PageNeedsIt,
    /// They sent a form without a session.
    SessionEnded,
    /// An app sent them.
    AppAsks,
    /// An app sent them, and wants them to sign in although they are.
    AppAsksAgain,
    /// They came by themselves.
    Visit,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct PromptPage<'a> {
    frame: Frame,
    why: Why,
    /// Where to go on for whoever has signed in in another tab: a path and query of this broker.
    way_on: Option<&'a str>,
    issuer: &'a str,
    /// Whether this is somebody's `npm run dev`.
    is_local: bool,
}

/// The page, for somebody without a session.
#[must_use]
pub fn ask(config: &Config, frame: &Frame, status: StatusCode, why: Why) -> Response<Body> {
    page(config, frame, status, why, None)
}

/// The page. Whoever has a session reads that there is nothing to do.
#[must_use]
pub fn prompt(config: &Config, frame: &Frame, status: StatusCode, why: Why) -> Response<Body> {
    page(config, frame, status, why, None)
}

/// The page, for somebody whom an app sent; `target` is its request.
#[must_use]
pub fn prompt_for_app(config: &Config, frame: &Frame, target: &str) -> Response<Body> {
    let why = if frame.visitor.is_some() { Why::AppAsksAgain } else { Why::AppAsks };
    page(config, frame, StatusCode::OK, why, Some(target))
}

fn page(config: &Config, frame: &Frame, status: StatusCode, why: Why, way_on: Option<&str>) -> Response<Body> {
    let page = PromptPage { frame: frame.clone(), why, way_on, issuer: &config.issuer, is_local: !config.is_https() };
    with_script(frame.html(status, &page))
}

impl PromptPage<'_> {
    /// Who has nothing to do here.
    fn settled(&self) -> Option<&Visitor> {
        self.frame.visitor.as_ref().filter(|_| self.why != Why::AppAsksAgain)
    }
}
