//! The page that says how to sign in. Any page of a person's own shows it to whoever is nobody yet.

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};

use super::{
    asking::{Asking, Place},
    frame::Frame,
    language::filters,
    page::{script_policy_with_form_action, with_script},
    state::Config,
    visitor::Visitor,
};

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
    /// A device shows them a code that they are to enter.
    DeviceAsks,
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
    /// The app that asks, once it is proven who that is.
    asking: Option<&'a Asking>,
    issuer: &'a str,
    /// By what people know this broker.
    host: &'a str,
    /// Whether this is somebody's `npm run dev`.
    is_local: bool,
}

/// The page, for somebody without a session.
#[must_use]
pub fn ask(config: &Config, frame: &Frame, status: StatusCode, why: Why) -> Response<Body> {
    page(config, frame, status, why, (None, None))
}

/// The page. Whoever has a session reads that there is nothing to do.
#[must_use]
pub fn prompt(config: &Config, frame: &Frame, status: StatusCode, why: Why) -> Response<Body> {
    page(config, frame, status, why, (None, None))
}

/// The page, for somebody whom an app sent; `target` is its request. `asking` is `None` as long as the app isn't proven: then it is neither
/// named nor gone back to.
#[must_use]
pub fn prompt_for_app(config: &Config, frame: &Frame, target: &str, asking: Option<&Asking>) -> Response<Body> {
    let why = if frame.visitor.is_some() { Why::AppAsksAgain } else { Why::AppAsks };
    page(config, frame, StatusCode::OK, why, (Some(target), asking))
}

/// The page, for somebody who is about to enter the code of a device; `target` is where they enter it. Whose device that is, is looked up
/// for nobody who isn't signed in: codes could be tried.
#[must_use]
pub fn prompt_for_device(config: &Config, frame: &Frame, target: &str) -> Response<Body> {
    page(config, frame, StatusCode::OK, Why::DeviceAsks, (Some(target), None))
}

fn page(
    config: &Config,
    frame: &Frame,
    status: StatusCode,
    why: Why,
    (way_on, asking): (Option<&str>, Option<&Asking>),
) -> Response<Body> {
    let issuer = config.issuer.as_str();
    let host = issuer.split_once("://").map_or(issuer, |(_, host)| host);
    let page = PromptPage { frame: frame.clone(), why, way_on, asking, issuer, host, is_local: !config.is_https() };
    let mut response = with_script(frame.html(status, &page));
    if let Some(policy) = asking.and_then(Asking::csp_source).and_then(|source| script_policy_with_form_action(&source))
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

impl PromptPage<'_> {
    /// Who has nothing to do here.
    fn settled(&self) -> Option<&Visitor> {
        self.frame.visitor.as_ref().filter(|_| self.why != Why::AppAsksAgain)
    }
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;

    use super::*;
    use crate::web::{asking::tests::asking, ports::Role};

    const REQUEST: &str = "/authorize?client_id=app";

    fn text_and_policy(response: Response<Body>) -> (String, String) {
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let bytes = block_on(axum::body::to_bytes(response.into_body(), usize::MAX)).unwrap();
        (String::from_utf8(bytes.into()).unwrap(), policy)
    }

    fn page_for(asking: Option<&Asking>) -> (String, String) {
        text_and_policy(prompt_for_app(&Config::example(), &Frame::default(), REQUEST, asking))
    }

    #[test]
    fn who_an_app_sent_reads_its_name_and_host_and_can_go_back_before_signing_in() {
        let (page, policy) = page_for(Some(&asking("https://app.example/cb", "query")));
        assert!(
            page.contains("<strong>&#60;b&#62;Reading list&#60;/b&#62;</strong> at <strong>app.example</strong>"),
            "{page}"
        );
        assert!(!page.contains("<b>Reading list"), "a name is text");
        let href = "href=\"https://app.example/cb?error=access_denied&#38;error_description=";
        assert!(
            page.contains(href) && page.contains("state=s%22%3E%3Cb%3E%26t&#38;iss=https%3A%2F%2Fbroker.example\""),
            "{page}"
        );
        assert!(page.contains("Cancel and go back to app.example"));
        assert!(policy.ends_with("form-action 'self' https://app.example"), "{policy}");
    }

    #[test]
    fn an_app_that_takes_answers_in_a_form_is_gone_back_to_by_one() {
        let (page, policy) = page_for(Some(&asking("https://app.example/cb", "form_post")));
        assert!(page.contains("<form method=\"post\" action=\"https://app.example/cb\">"), "{page}");
        assert!(page.contains("name=\"error\" value=\"access_denied\""));
        assert!(page.contains("name=\"state\" value=\"s&#34;&#62;&#60;b&#62;&#38;t\""), "{page}");
        assert!(policy.ends_with("form-action 'self' https://app.example"), "{policy}");
    }

    #[test]
    fn an_app_that_is_not_proven_is_neither_named_nor_gone_back_to() {
        let (page, policy) = page_for(None);
        assert!(page.contains("An app asks for AI access"));
        assert!(!page.contains("go back"));
        assert!(policy.ends_with("form-action 'self'"), "{policy}");
    }

    #[test]
    fn the_command_line_is_for_whoever_runs_the_broker_and_stays_closed() {
        for response in [
            prompt_for_app(&Config::example(), &Frame::default(), REQUEST, None),
            prompt_for_device(&Config::example(), &Frame::default(), "/device"),
            ask(&Config::example(), &Frame::default(), StatusCode::OK, Why::PageNeedsIt),
        ] {
            let (page, _) = text_and_policy(response);
            let (before, closed) = page.split_once("<details>").unwrap();
            assert!(!before.contains("npm run") && closed.contains("npm run sign-in-link https://broker.example"));
            assert!(before.contains("Whoever runs broker.example can invite you"), "{page}");
        }
    }

    #[test]
    fn a_device_is_not_looked_up_for_a_stranger_and_has_no_way_back() {
        let (page, _) = text_and_policy(prompt_for_device(&Config::example(), &Frame::default(), "/device"));
        assert!(page.contains("A device shows you a code"));
        assert!(!page.contains("go back"));
    }

    #[test]
    fn whoever_has_to_sign_in_once_more_can_go_back_too() {
        let frame = Frame { visitor: Some(Visitor::example("Ada", Role::Member)), ..Frame::default() };
        let asking = asking("http://127.0.0.1:4711/cb", "query");
        let (page, policy) = text_and_policy(prompt_for_app(&Config::example(), &frame, REQUEST, Some(&asking)));
        assert!(page.contains("Sign in again") && page.contains("Cancel and go back to the program"));
        assert!(page.contains("<strong>127.0.0.1:4711</strong>"));
        assert!(policy.ends_with(" http://127.0.0.1:4711"), "{policy}");
    }
}
