//! `GET /developers`: how to connect an app to this very broker, for those who write one. The metadata names it as
//! `service_documentation` (RFC 8414 §2).

use askama::Template;
use axum::{
    body::Body,
    extract::State,
    http::{Response, StatusCode},
};

use super::{frame::Frame, language::filters, ports::Ports, state::AppState};
use crate::domain::permission::Provider;

/// Where the page is.
pub const PATH: &str = "/developers";

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

/// `GET /developers`.
pub async fn show<P: Ports>(State(state): State<AppState<P>>, frame: Frame) -> Response<Body> {
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
