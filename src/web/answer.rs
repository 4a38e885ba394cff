//! An answer on its way to an app, in the person's browser: a redirect, or a form that posts itself.

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use super::{
    frame::Frame,
    language::{Language, filters},
    page::{form_post_policy, leave_for},
};
use crate::domain::oauth::{
    answer::{Answer, ResponseMode},
    redirect_uri::csp_source,
};

/// The form of OAuth 2.0 Form Post Response Mode §2. A script submits it; without scripts its button does.
#[derive(Template)]
#[template(path = "form_post.html")]
struct FormPostPage<'a> {
    frame: Frame,
    answer: &'a Answer,
}

/// Sends the browser back to the app.
#[must_use]
pub fn deliver(answer: &Answer, language: Language) -> Response<Body> {
    match answer.response_mode {
        ResponseMode::Query => leave_for(&answer.location()),
        ResponseMode::FormPost => form_post(answer, language),
    }
}

fn form_post(answer: &Answer, language: Language) -> Response<Body> {
    let frame = Frame { language, ..Frame::default() };
    let mut response = frame.html(StatusCode::OK, &FormPostPage { frame: frame.clone(), answer });
    if let Some(policy) = csp_source(&answer.redirect_uri).and_then(|source| form_post_policy(&source)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
