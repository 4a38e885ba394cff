//! `/settings/webhook`: where the operator's own program is told what happens to grants. For operators alone.
//!
//! What it is and how it signs takes a recent proof: whoever is told learns who uses what. The secret is shown once: it follows from a name
//! in the database and the broker's key, and stands nowhere.

use askama::Template;
use axum::{
    body::Body,
    extract::RawQuery,
    http::{Response, StatusCode},
};
use url::Url;

use super::{
    audit, confirm,
    frame::Frame,
    language::{Language, Moment, filters},
    page::see_other,
    policy::operators_only,
    ports::{Delivery, Ports, Webhook, Write},
    session::{OwnForm, SignedIn},
    state::AppState,
    trouble::Trouble,
};
use crate::domain::{
    audit::Event,
    encoding::base64url,
    oauth::remote_address::{InvalidAddress, MAX_ADDRESS_BYTES, RemoteAddress},
    time::Timestamp,
    webhook::{DeliveryError, RETRY_SECONDS, TIMEOUT_SECONDS, WebhookSecret},
};

/// Where the page is.
pub const PATH: &str = "/settings/webhook";
/// Most deliveries on the page.
const MAX_DELIVERIES: u32 = 30;
/// So many deliveries may wait when a test is asked for.
const MAX_WAITING: u32 = 50;

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    frame: Frame,
    webhook: Option<WebhookView>,
    deliveries: Vec<DeliveryView>,
    /// What was done a moment ago.
    done: Option<String>,
    error: Option<String>,
    /// As the field was filled in.
    url: String,
    max_url_bytes: usize,
    timeout_seconds: u32,
    tries: usize,
}

struct WebhookView {
    url: String,
}

#[derive(Template)]
#[template(path = "webhook_secret.html")]
struct SecretPage {
    frame: Frame,
    url: String,
    secret: String,
}

/// A delivery as it is shown.
struct DeliveryView {
    kind: &'static str,
    app: Option<String>,
    message_id: String,
    at: Moment,
    state: String,
    /// Why it failed the last time.
    why: Option<String>,
    is_failed: bool,
}

impl DeliveryView {
    fn new(delivery: Delivery, language: Language, now: Timestamp) -> Self {
        let next = delivery.next_attempt_at.map(|at| Moment::new(at, now).relative(language));
        let attempts = delivery.attempts;
        let tries = language.count(attempts.into(), "{0} try", "{0} tries");
        let state = match (delivery.delivered_at, next) {
            (Some(_), _) => language.t("delivered").to_owned(),
            (None, Some(_)) if attempts == 0 => language.t("on its way").to_owned(),
            (None, Some(next)) => language.with("{0}, again {1}", &[&tries, &next]),
            (None, None) => language.with("given up after {0}", &[&tries]),
        };
        Self {
            kind: delivery.kind.as_str(),
            app: delivery.app,
            message_id: delivery.message_id,
            at: Moment::new(delivery.at, now),
            state,
            why: delivery.error.map(|error| why(error, delivery.status, language)),
            is_failed: delivery.error.is_some(),
        }
    }
}

fn why(error: DeliveryError, status: Option<u16>, language: Language) -> String {
    match error {
        DeliveryError::Address => language.t("This broker does not send anything to that address.").to_owned(),
        DeliveryError::Unreachable => language.t("Nobody answered at that address.").to_owned(),
        DeliveryError::Late => language.with("No answer came within {0} seconds.", &[&TIMEOUT_SECONDS]),
        DeliveryError::Redirected => {
            language.with("It answered {0} and led elsewhere; nobody followed.", &[&status.unwrap_or_default()])
        }
        DeliveryError::Status => language.with("It answered {0}.", &[&status.unwrap_or_default()]),
        DeliveryError::TurnedOff => language.t("The webhook was turned off first.").to_owned(),
        DeliveryError::Unreadable => language.t("What there was to tell could not be read.").to_owned(),
    }
}

fn wrong_address(error: InvalidAddress, language: Language) -> String {
    let text = match error {
        InvalidAddress::TooLong => language.t("This address is too long."),
        InvalidAddress::NotHttps => language.t("The address has to begin with https://."),
        InvalidAddress::NotNormal => language.t("That is not an address as browsers write it."),
        InvalidAddress::Extras => language.t("The address must not have a user name, a password or a #."),
        InvalidAddress::Port => language.t("The address must not name a port."),
        InvalidAddress::Host => {
            language.t("The address needs a public host name, not an IP address or a private name.")
        }
    };
    text.to_owned()
}

/// `GET /settings/webhook`.
///
/// # Errors
/// The visitor isn't an operator, or the database can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    operators_only(&visitor)?;
    let language = frame.language;
    let done = match query.as_deref() {
        Some("saved") => Some(language.t("Saved. Deliveries go there from now on.")),
        Some("tested") => Some(language.t("A test is on its way. Load the page again to see what came of it.")),
        Some("busy") => Some(language.t("Too many deliveries wait already. Try again when they have gone out.")),
        Some("off") => Some(language.t("Turned off. Nothing is sent any more.")),
        _ => None,
    };
    let mut page = page(&state, frame.clone()).await?;
    page.done = done.map(str::to_owned);
    Ok(frame.html(StatusCode::OK, &page))
}

async fn page<P: Ports>(state: &AppState<P>, frame: Frame) -> Result<WebhookPage, Trouble> {
    let (language, now) = (frame.language, state.now);
    let webhook = state.ports.find_webhook().await?;
    let deliveries = state.ports.list_deliveries(MAX_DELIVERIES).await?;
    Ok(WebhookPage {
        deliveries: deliveries.into_iter().map(|delivery| DeliveryView::new(delivery, language, now)).collect(),
        url: webhook.as_ref().map_or_else(String::new, |webhook| webhook.url.clone()),
        webhook: webhook.map(|webhook| WebhookView { url: webhook.url }),
        done: None,
        error: None,
        max_url_bytes: MAX_ADDRESS_BYTES,
        timeout_seconds: TIMEOUT_SECONDS,
        tries: RETRY_SECONDS.len() + 1,
        frame,
    })
}

/// `POST /settings/webhook`: from now on there. The first time the secret is on the answer, and never again.
///
/// # Errors
/// As [`show`]. A wrong address is said on the page, with 400.
pub async fn save<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    operators_only(&visitor)?;
    if !confirm::is_recent(&visitor, state.now) {
        return Ok(confirm::ask(&frame, PATH, &params));
    }
    let url = params.field("url").trim().to_owned();
    if let Err(error) = RemoteAddress::parse(&url, state.config.own_reach) {
        let mut page = page(&state, frame.clone()).await?;
        page.error = Some(wrong_address(error, frame.language));
        page.url = url;
        return Ok(frame.html(StatusCode::BAD_REQUEST, &page));
    }
    let before = state.ports.find_webhook().await?;
    let is_new = before.is_none();
    let webhook = match before {
        Some(before) => Webhook { url, ..before },
        None => Webhook { url, secret_name: new_name(&state), created_at: state.now },
    };
    state.ports.put_webhook(&webhook).await?;
    let answer = if is_new { secret_page(&state, &frame, &webhook) } else { see_other("/settings/webhook?saved") };
    let entry = audit::entry(&state, &visitor, Event::WebhookSet).subject(&origin(&webhook.url));
    Ok(audit::note(&state, &frame, entry, answer).await)
}

/// `POST /settings/webhook/secret`: another secret, which is on the answer. The former one signs nothing any more.
///
/// # Errors
/// As [`show`]; there is no webhook.
pub async fn renew_secret<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, frame } = form;
    operators_only(&visitor)?;
    if !confirm::is_recent(&visitor, state.now) {
        return Ok(confirm::ask(&frame, &format!("{PATH}/secret"), &params));
    }
    let before = state.ports.find_webhook().await?.ok_or_else(Trouble::not_found)?;
    let webhook = Webhook { secret_name: new_name(&state), ..before };
    state.ports.put_webhook(&webhook).await?;
    let answer = secret_page(&state, &frame, &webhook);
    let entry = audit::entry(&state, &visitor, Event::WebhookSecretRenewed).subject(&origin(&webhook.url));
    Ok(audit::note(&state, &frame, entry, answer).await)
}

/// `POST /settings/webhook/test`: a `ping` goes out.
///
/// # Errors
/// As [`show`].
pub async fn test<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    operators_only(&form.visitor)?;
    if state.ports.insert_ping(MAX_WAITING, state.now).await? == Write::Lost {
        return Ok(see_other("/settings/webhook?busy"));
    }
    state.ports.wake_courier().await;
    Ok(see_other("/settings/webhook?tested"))
}

/// `POST /settings/webhook/off`: nothing is sent any more, nor what waits.
///
/// # Errors
/// As [`show`].
pub async fn turn_off<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    operators_only(&form.visitor)?;
    let Some(before) = state.ports.find_webhook().await? else { return Ok(see_other("/settings/webhook?off")) };
    state.ports.delete_webhook().await?;
    let entry = audit::entry(&state, &form.visitor, Event::WebhookRemoved).subject(&origin(&before.url));
    Ok(audit::note(&state, &form.frame, entry, see_other("/settings/webhook?off")).await)
}

/// For the log, which keeps no more of an address: what follows may be a secret of its receiver.
fn origin(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

fn new_name<P: Ports>(state: &AppState<P>) -> String {
    base64url(&state.ports.entropy16())
}

fn secret_page<P: Ports>(state: &AppState<P>, frame: &Frame, webhook: &Webhook) -> Response<Body> {
    let secret = WebhookSecret::named(&webhook.secret_name, &state.config.cookie_key);
    let page = SecretPage { url: webhook.url.clone(), secret: secret.expose_secret(), frame: frame.clone() };
    frame.html(StatusCode::CREATED, &page)
}
