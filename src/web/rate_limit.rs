//! How often strangers may knock, by the platform's own rate limiting. It counts in each of its locations and a little late
//! ("intentionally permissive and eventually consistent"), so this bounds floods and guesses; what must hold exactly, such as one use of a
//! code, is the store's business. AI calls aren't counted here: their ledger does that.
//!
//! | limit | of whom | what | a minute | why |
//! |---|---|---|---|---|
//! | `LIMIT_CALLS` | an address; a client that proved who it is | `POST /token`, `/par`, `/introspect`, `/revoke`; all of `/register/{client_id}` | 1200 | a server behind one address refreshes for all its users: 20 a second are a hundred thousand tokens within their hour; a flood is more |
//! | `LIMIT_STARTS` | an address | `POST /device_authorization`, `GET /authorize` without a session, `POST /sign-in`, `/sign-in/passkey`, `/sign-in/passkey/options` and `/confirm`, `POST /par` of a public client, and whatever makes the broker read the document of a client | 60 | each writes a row or makes a page for somebody unknown; an office behind one address starts one a second at most |
//! | `LIMIT_GUESSES` | an address | `POST /device`, `/register`, `/recover`, `/invitation`, `/invitation/options` | 20 | a person types a code a few times; 20 guesses a minute in the life of a user code are nothing beside its 20^8 (RFC 8628 §5.1); nobody registers 20 apps a minute |
//!
//! An address is what the platform says in `cf-connecting-ip`, whatever a client sends; of IPv6 its first 64 bits, since whoever has one
//! such address has them all. A client is counted only once it has proven who it is: else a stranger could use up somebody else's calls.
//!
//! The numbers stand in `wrangler.toml`. A binding that isn't there is a 503: limits that nobody keeps are worse than none.

use core::{
    future::Future,
    net::{IpAddr, Ipv6Addr},
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Response, StatusCode},
    middleware::Next,
    response::IntoResponse,
};

use super::{
    headers::address,
    limit::Limit,
    oauth_response::EndpointError,
    ports::{Ports, RateLimits, StoreError},
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    network::NetworkHash,
    oauth::{
        client::{Client, ClientAuth},
        mac::MacKey,
    },
};

/// Whom a request without a proven client counts for.
#[must_use]
pub fn address_key(headers: &HeaderMap) -> String {
    let Some(said) = address(headers) else { return "ip:local".to_owned() };
    match said {
        Ok(IpAddr::V4(address)) => format!("ip:{address}"),
        Ok(IpAddr::V6(address)) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64));
            format!("ip:{network}/64")
        }
        Err(_) => "ip:unknown".to_owned(),
    }
}

/// The network of a request, as it is stored with what a stranger leaves.
#[must_use]
pub fn network(headers: &HeaderMap, key: &MacKey) -> NetworkHash {
    NetworkHash::of(address(headers).and_then(Result::ok), key)
}

/// Whether a client that has proven who it is may go on. A public client proves nothing: its address is what counts.
///
/// # Errors
/// Too many, or the platform can't say.
pub async fn client_may_go_on<L: RateLimits>(limits: &L, client: &Client) -> Result<(), EndpointError> {
    if matches!(client.auth, ClientAuth::Public) {
        return Ok(());
    }
    let allowed = limits.is_within_limit(Limit::Calls, &format!("client:{}", client.id)).await?;
    if allowed { Ok(()) } else { Err(EndpointError::TooMany) }
}

/// Whether somebody who proves nothing may begin one more thing.
///
/// # Errors
/// Too many, or the platform can't say.
pub async fn start_may_go_on<L: RateLimits>(limits: &L, headers: &HeaderMap) -> Result<(), EndpointError> {
    let allowed = limits.is_within_limit(Limit::Starts, &address_key(headers)).await?;
    if allowed { Ok(()) } else { Err(EndpointError::TooMany) }
}

fn count<P: Ports>(
    state: &AppState<P>,
    request: &Request,
) -> Option<impl Future<Output = Result<bool, StoreError>> + Send + use<P>> {
    let is_signed_in = request.extensions().get::<Visitor>().is_some();
    let limit = Limit::of(request.method(), request.uri().path(), is_signed_in)?;
    let (ports, key) = (state.ports.clone(), address_key(request.headers()));
    Some(async move { ports.is_within_limit(limit, &key).await })
}

/// Before what programs ask for.
pub async fn for_programs<P: Ports>(state: AppState<P>, request: Request, next: Next) -> Response<Body> {
    match count(&state, &request) {
        None => next.run(request).await,
        Some(allowed) => match allowed.await {
            Ok(true) => next.run(request).await,
            Ok(false) => EndpointError::TooMany.into_response(),
            Err(error) => EndpointError::from(error).into_response(),
        },
    }
}

/// Before pages, once it is known who is there.
pub async fn for_people<P: Ports>(state: AppState<P>, request: Request, next: Next) -> Response<Body> {
    match count(&state, &request) {
        None => next.run(request).await,
        Some(allowed) => match allowed.await {
            Ok(true) => next.run(request).await,
            Ok(false) => too_often().into_response(),
            Err(error) => Trouble::unavailable(error).into_response(),
        },
    }
}

fn too_often() -> Trouble {
    Trouble::new(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many tries",
        "From your network this was tried too often within a minute. Nothing was changed. Wait a minute, then try again.",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::http::HeaderValue;
    use futures_executor::block_on;
    use proptest::prelude::*;

    use axum::http::Method;

    use super::*;
    use crate::domain::secret::SecretHash;

    fn key_of(address: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(crate::web::headers::ADDRESS_HEADER, HeaderValue::from_str(address).unwrap());
        address_key(&headers)
    }

    #[test]
    fn what_programs_do_all_day_counts_as_calls() {
        for path in ["/token", "/par", "/introspect", "/revoke", "/register/app_1"] {
            assert_eq!(Limit::of(&Method::POST, path, false), Some(Limit::Calls), "{path}");
        }
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            assert_eq!(Limit::of(&method, "/register/app_1", false), Some(Limit::Calls), "{method}");
        }
    }

    #[test]
    fn what_begins_something_counts_as_starts() {
        assert_eq!(Limit::of(&Method::POST, "/device_authorization", false), Some(Limit::Starts));
        for path in ["/sign-in", "/sign-in/passkey", "/sign-in/passkey/options", "/confirm"] {
            assert_eq!(Limit::of(&Method::POST, path, false), Some(Limit::Starts), "{path}");
        }
        assert_eq!(Limit::of(&Method::GET, "/authorize", false), Some(Limit::Starts));
        assert_eq!(Limit::of(&Method::HEAD, "/authorize", false), Some(Limit::Starts));
    }

    #[test]
    fn what_could_be_guessed_counts_as_guesses_signed_in_or_not() {
        for is_signed_in in [false, true] {
            assert_eq!(Limit::of(&Method::POST, "/device", is_signed_in), Some(Limit::Guesses));
            assert_eq!(Limit::of(&Method::POST, "/register", is_signed_in), Some(Limit::Guesses));
            for path in ["/recover", "/invitation", "/invitation/options"] {
                assert_eq!(Limit::of(&Method::POST, path, is_signed_in), Some(Limit::Guesses), "{path}");
            }
        }
    }

    #[test]
    fn somebody_signed_in_opens_requests_of_apps_as_they_like() {
        assert_eq!(Limit::of(&Method::GET, "/authorize", true), None);
    }

    #[test]
    fn pages_preflights_and_documents_are_not_counted() {
        for path in ["/token", "/par", "/register", "/register/app_1", "/device_authorization"] {
            assert_eq!(Limit::of(&Method::OPTIONS, path, false), None, "{path}");
        }
        for path in ["/", "/grants", "/sign-in", "/jwks.json", "/health", "/.well-known/oauth-authorization-server"] {
            assert_eq!(Limit::of(&Method::GET, path, false), None, "{path}");
        }
    }

    #[test]
    fn an_ipv4_address_counts_for_itself_however_it_is_written() {
        assert_eq!(key_of("192.0.2.7"), "ip:192.0.2.7");
        assert_eq!(key_of("::ffff:192.0.2.7"), "ip:192.0.2.7");
    }

    #[test]
    fn ipv6_addresses_of_one_network_count_together() {
        assert_eq!(key_of("2001:db8:1:2:3:4:5:6"), "ip:2001:db8:1:2::/64");
        assert_eq!(key_of("2001:db8:1:2::1"), "ip:2001:db8:1:2::/64");
        assert_ne!(key_of("2001:db8:1:3::1"), key_of("2001:db8:1:2::1"));
    }

    #[test]
    fn without_an_address_all_count_together() {
        assert_eq!(address_key(&HeaderMap::new()), "ip:local");
        assert_eq!(key_of("not an address"), "ip:unknown");
    }

    proptest! {
        #[test]
        fn no_address_makes_a_long_key(text in "[ -~]{0,200}") {
            prop_assert!(key_of(&text).len() <= 48);
        }
    }

    /// Lets nobody through, and notes who asked.
    #[derive(Default)]
    struct Closed(Mutex<Vec<String>>);

    impl RateLimits for Closed {
        async fn is_within_limit(&self, limit: Limit, key: &str) -> Result<bool, StoreError> {
            self.0.lock().unwrap().push(format!("{} {key}", limit.binding()));
            Ok(false)
        }
    }

    #[test]
    fn a_client_with_a_secret_is_counted_by_its_name() {
        let closed = Closed::default();
        let client = Client::example(ClientAuth::Confidential(SecretHash::from_stored("00".repeat(32))));
        assert!(matches!(block_on(client_may_go_on(&closed, &client)), Err(EndpointError::TooMany)));
        assert_eq!(*closed.0.lock().unwrap(), [format!("LIMIT_CALLS client:{}", client.id)]);
    }

    #[test]
    fn a_public_client_can_not_be_shut_out_by_strangers_who_use_its_name() {
        let closed = Closed::default();
        assert!(block_on(client_may_go_on(&closed, &Client::example(ClientAuth::Public))).is_ok());
        assert!(closed.0.lock().unwrap().is_empty());
    }
}
