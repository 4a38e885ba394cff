//! `GET /developers`: how to connect an app to this very broker, for those who write one. The metadata names it as
//! `service_documentation` (RFC 8414 §2).

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};

use super::{frame::Frame, language::filters, ports::Ports, state::AppState};
use crate::domain::permission::Provider;

/// Where the page is.
pub const PATH: &str = "/developers";

/// The picture of the button: a passport, in the colour of the text beside it.
const BUTTON_ICON: &str = r#"<svg viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><rect x="4" y="2" width="16" height="20" rx="3"/><circle cx="12" cy="10" r="3.5"/><path d="M9 17.5h6"/></svg>"#;
/// What it looks like. Our own style sheet has the same.
const BUTTON_CSS: &str = include_str!("pages/connect_button.css");

#[derive(Template)]
#[template(path = "developers.html")]
struct DevelopersPage<'a> {
    frame: Frame,
    issuer: &'a str,
    /// The code for it has to allow what is only for the own machine.
    is_in_clear: bool,
    providers: Vec<ProviderView<'a>>,
}

struct ProviderView<'a> {
    name: &'static str,
    issuer: &'a str,
    base_path: &'static str,
    is_configured: bool,
}

impl DevelopersPage<'_> {
    /// The button for a site of somebody else's.
    fn button_html(&self) -> String {
        let query = "response_type=code&amp;client_id=…&amp;redirect_uri=…&amp;scope=openai:chat&amp;state=…\
                     &amp;code_challenge=…&amp;code_challenge_method=S256";
        format!(
            "<a class=\"connect-ai\" href=\"{}/authorize?{query}\">\n  {BUTTON_ICON}\n  Connect AI\n</a>",
            self.issuer
        )
    }
}

/// `GET /developers`.
pub async fn show<P: Ports>(state: AppState<P>, frame: Frame) -> Response<Body> {
    let issuer = state.config.issuer.as_str();
    let providers = Provider::ALL
        .map(|provider| ProviderView {
            name: provider.display_name(),
            issuer,
            base_path: provider.base_path(),
            is_configured: state.config.providers.contains(&provider),
        })
        .into();
    let page = DevelopersPage { frame: frame.clone(), issuer, is_in_clear: !state.config.is_https(), providers };
    frame.html(StatusCode::OK, &page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::language::Language;

    fn page() -> DevelopersPage<'static> {
        DevelopersPage {
            frame: Frame::default(),
            issuer: "https://broker.example",
            is_in_clear: false,
            providers: Vec::new(),
        }
    }

    #[test]
    fn the_button_on_the_page_is_the_one_that_is_copied() {
        let style = include_str!("../../public/style.css");
        assert!(style.contains(BUTTON_CSS), "public/style.css has the button as it is in connect_button.css");
        let html = page().render_with_values(&Language::English).unwrap();
        assert!(page().button_html().contains(BUTTON_ICON));
        assert_eq!(html.matches(BUTTON_ICON).count(), 6, "three states on light and on dark");
    }

    #[test]
    fn the_button_reaches_nobody_but_this_broker() {
        let snippet = page().button_html() + BUTTON_CSS;
        assert_eq!(snippet.matches("https://").count(), 1, "{snippet}");
        assert!(!snippet.contains("url(") && !snippet.contains("script") && !snippet.contains("@import"));
    }
}
