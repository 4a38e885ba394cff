//! The platform's rate limiting, by the bindings that `wrangler.toml` names.

use worker::send::SendFuture;

use super::ports::EdgePorts;
use crate::web::{
    ports::{RateLimits, StoreError},
    rate_limit::Limit,
};

impl RateLimits for EdgePorts {
    async fn is_within_limit(&self, limit: Limit, key: &str) -> Result<bool, StoreError> {
        let binding = limit.binding();
        let failed = |error: worker::Error| StoreError(format!("rate limit {binding}: {error}"));
        let limiter = self.env.rate_limiter(binding).map_err(failed)?;
        let outcome = SendFuture::new(limiter.limit(key.to_owned())).await.map_err(failed)?;
        Ok(outcome.success)
    }
}
