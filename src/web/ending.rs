//! How a grant ends.

use super::{
    ports::{Ports, StoreError},
    state::AppState,
};
use crate::domain::id::GrantId;

/// Ends a grant: its ledger first, which every call asks, then the row, which only notes it. When this answers, no later call is let
/// through. Safe to repeat.
///
/// # Errors
/// A [`StoreError`]; then it may or may not have ended.
pub async fn end_grant<P: Ports>(state: &AppState<P>, id: &GrantId) -> Result<(), StoreError> {
    state.ports.revoke_ledger(id).await?;
    state.ports.mark_grant_revoked(id, state.now).await
}
