//! The page that says what went wrong and what to do next.

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};

use super::{
    asking::Asking,
    frame::Frame,
    language::{Text, filters},
    limit::PERIOD_SECONDS,
    page::policy_with_form_action,
    ports::StoreError,
    state::{Config, LogDetail},
};

/// What went wrong. As an answer it has no page yet: [`on_a_page`] makes one in the frame of whoever asked.
#[derive(Clone, Debug)]
pub struct Trouble {
    status: StatusCode,
    heading: &'static str,
    text: Text,
    /// Where to go from here: a link on this broker, and what stands on it.
    way_on: Option<Box<(String, Text)>>,
    /// The app that can be gone back to.
    way_back: Option<Box<Asking>>,
    detail: Option<Box<str>>,
}

#[derive(Template)]
#[template(path = "error.html")]
struct TroublePage {
    frame: Frame,
    trouble: Trouble,
}

impl TroublePage {
    /// Nobody is left without a way on: the one that was named, else the same page again where waiting helps, else the start page.
    fn way_on(&self) -> (String, Text) {
        if let Some(named) = &self.trouble.way_on {
            return named.as_ref().clone();
        }
        let waiting_helps =
            matches!(self.trouble.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        match &self.frame.here {
            Some(here) if waiting_helps => (here.clone(), Text::new("Try again")),
            _ => ("/".to_owned(), Text::new("Go to the start page")),
        }
    }
}

impl Trouble {
    /// `text` is one or two whole sentences for a person.
    #[must_use]
    pub fn new(status: StatusCode, heading: &'static str, text: impl Into<Text>) -> Self {
        Self { status, heading, text: text.into(), way_on: None, way_back: None, detail: None }
    }

    /// With a link that leads on.
    #[must_use]
    pub fn with_way_on(mut self, href: impl Into<String>, label: &'static str) -> Self {
        self.way_on = Some(Box::new((href.into(), label.into())));
        self
    }

    /// With the way back to the app that led here, if there is one.
    #[must_use]
    pub fn with_way_back(mut self, asking: Asking) -> Self {
        self.way_back = asking.leads_back().then(|| Box::new(asking));
        self
    }

    /// With what the log should say of it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into().into());
        self
    }

    /// Nothing is at this address.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Nothing is here",
            Text::new("This address does not exist on this broker, or no longer."),
        )
        .with_way_on("/", "Go to the start page")
    }

    /// Something that the broker needs, other than its database, doesn't answer.
    #[must_use]
    pub fn unavailable(error: StoreError) -> Self {
        let text = Text::new(
            "This broker is not set up completely, or something that it needs is down. If you run it: its log says what.",
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, text).with_detail(error.0)
    }

    /// A form that wasn't sent from a page of ours.
    #[must_use]
    pub fn forged(config: &Config) -> Self {
        let text = Text::new(
            "This form was not sent from a page of this broker, or the page was open since before you signed in. Nothing was \
             changed. Open {0} and try again.",
        );
        let heading = "That was not accepted";
        Self::new(StatusCode::FORBIDDEN, heading, text.with(config.issuer.as_str()))
            .with_way_on("/", "Go to the start page")
    }
}

/// The heading of a page that something is missing for.
const UNAVAILABLE: &str = "Not available right now";

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let text = Text::new("The broker can not reach its database at the moment. Wait a moment, then try again.");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, text).with_detail(error.0)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response<Body> {
        let mut response = self.status.into_response();
        let wait_seconds = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Some(5),
            StatusCode::TOO_MANY_REQUESTS => Some(PERIOD_SECONDS),
            _ => None,
        };
        if let Some(seconds) = wait_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(detail) = self.detail.clone().filter(|detail| !detail.is_empty()) {
            response.extensions_mut().insert(LogDetail(detail.into()));
        }
        let posts_to =
            self.way_back.as_ref().filter(|asking| asking.form().is_some()).and_then(|asking| asking.csp_source());
        if let Some(policy) = posts_to.and_then(|source| policy_with_form_action(&source)) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Puts what went wrong on a page, if something did.
#[must_use]
pub fn on_a_page(mut response: Response<Body>, frame: Frame) -> Response<Body> {
    let Some(trouble) = response.extensions_mut().remove::<Trouble>() else { return response };
    let page = frame.clone().html(trouble.status, &TroublePage { frame, trouble });
    let (parts, body) = page.into_parts();
    for (name, value) in &parts.headers {
        response.headers_mut().insert(name, value.clone());
    }
    *response.body_mut() = body;
    response
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;

    use super::*;
    use crate::web::asking::tests::asking;

    fn page(trouble: Trouble) -> (String, Option<String>) {
        let response = on_a_page(trouble.into_response(), Frame::default());
        let policy =
            response.headers().get(header::CONTENT_SECURITY_POLICY).map(|policy| policy.to_str().unwrap().to_owned());
        let bytes = block_on(axum::body::to_bytes(response.into_body(), usize::MAX)).unwrap();
        (String::from_utf8(bytes.into()).unwrap(), policy)
    }

    fn refused() -> Trouble {
        Trouble::new(StatusCode::FORBIDDEN, "Not allowed", "Not here.")
            .with_way_on("/settings", "Look at your settings")
    }

    #[test]
    fn what_an_app_can_not_be_given_leads_back_to_it_by_the_way_that_it_takes_answers() {
        let (link, policy) = page(refused().with_way_back(asking("https://app.example/cb", "query")));
        assert!(link.contains("class=\"button primary\" href=\"https://app.example/cb?error=access_denied"), "{link}");
        assert!(link.contains("<a href=\"/settings\">"), "{link}");
        assert_eq!(policy, None, "a link needs no more than every page may");
        let (form, policy) = page(refused().with_way_back(asking("https://app.example/cb", "form_post")));
        assert!(form.contains("<form method=\"post\" action=\"https://app.example/cb\">"), "{form}");
        assert!(policy.unwrap().ends_with("form-action 'self' https://app.example"));
    }

    #[test]
    fn without_an_app_the_named_way_on_is_the_button() {
        let (page, policy) = page(refused());
        assert!(page.contains("<a class=\"button primary\" href=\"/settings\">"), "{page}");
        assert_eq!(policy, None);
    }
}
