//! Which request counts in which of the platform's rate limits; the table is in [`super::rate_limit`].

use axum::http::Method;

/// Seconds after which a count begins anew, as `wrangler.toml` says: nobody is told to wait longer.
pub const PERIOD_SECONDS: u64 = 60;

/// One of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// What programs do all day.
    Calls,
    /// What begins something.
    Starts,
    /// What could be tried until it fits.
    Guesses,
}

impl Limit {
    /// The binding's name in `wrangler.toml`.
    #[must_use]
    pub const fn binding(self) -> &'static str {
        match self {
            Self::Calls => "LIMIT_CALLS",
            Self::Starts => "LIMIT_STARTS",
            Self::Guesses => "LIMIT_GUESSES",
        }
    }

    /// The one that a request counts in. What isn't named counts in none.
    #[must_use]
    pub fn of(method: &Method, path: &str, is_signed_in: bool) -> Option<Self> {
        if path.strip_prefix("/register/").is_some_and(|client_id| !client_id.is_empty()) {
            return (method != Method::OPTIONS).then_some(Self::Calls);
        }
        match path {
            "/token" | "/par" | "/introspect" | "/revoke" if method == Method::POST => Some(Self::Calls),
            "/device_authorization" | "/sign-in" | "/sign-in/passkey" | "/sign-in/passkey/options" | "/confirm"
                if method == Method::POST =>
            {
                Some(Self::Starts)
            }
            // HEAD is answered by what answers GET.
            "/authorize" if !is_signed_in && (method == Method::GET || method == Method::HEAD) => Some(Self::Starts),
            "/device" | "/register" | "/recover" | "/invitation" | "/invitation/options" if method == Method::POST => {
                Some(Self::Guesses)
            }
            _ => None,
        }
    }
}
