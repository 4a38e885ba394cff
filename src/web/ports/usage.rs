//! What apps used, and what of it a person should look at.

use core::future::Future;

use super::StoreError;
use crate::domain::{
    calls::{CallFilter, CallQuery, Position},
    grant::Grant,
    grant_list::GrantQuery,
    id::{ClientId, DelegationId, GrantId, UserId},
    ledger::Basis,
    money::NanoUsd,
    month::Month,
    permission::Provider,
    time::Timestamp,
};

/// The list of a user's grants. Those are left out that the app didn't come for in time: no token of such a grant exists, nor ever will.
pub trait GrantList {
    /// A user's grants, those that live first, each part newest first, at most `limit`.
    fn page_of_grants(
        &self,
        user: &UserId,
        query: &GrantQuery,
        limit: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;
}

/// Calls of a model that cost more than was held for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBound {
    /// Whose model.
    pub provider: Option<Provider>,
    /// Its name, as an app asked for it.
    pub model: String,
    /// How many calls.
    pub calls: u64,
    /// How much more they cost together.
    pub cost: NanoUsd,
}

/// What a user should look at.
pub trait Attention {
    /// Whether they ever allowed anything that an app came for.
    fn has_grants(&self, user: &UserId, now: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Their grants that live and end by then, the next ones first, at most `limit`.
    fn list_ending(
        &self,
        user: &UserId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;

    /// Their grants that live and of which, since then, a notice said that a cap is nearly or wholly used; of the latest `limit` notices.
    fn list_near_limits(
        &self,
        user: &UserId,
        now: Timestamp,
        since: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Grant>, StoreError>> + Send;

    /// Of everybody's calls: those that cost more than was held for them, on this day of UTC (since the epoch) and later. The models
    /// that it was most of, in money, at most `limit`.
    fn list_over_bound(
        &self,
        since_day: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<OverBound>, StoreError>> + Send;
}

/// What a ledger has booked for a call, for the person who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The number of its hold; unique in its grant.
    pub hold: u64,
    /// When the call was let through.
    pub reserved_at: Timestamp,
    /// From there to the end of its answer, in milliseconds; 0: nobody knows.
    pub duration_ms: u64,
    /// Where it went.
    pub provider: Option<Provider>,
    /// The model that it asked for; empty for a list of models.
    pub model: String,
    /// The provider's own path.
    pub endpoint: String,
    /// The provider's HTTP status; 0: it never answered, or nobody knows.
    pub status: u16,
    /// Tokens read, as the provider said.
    pub input_tokens: u64,
    /// Of those: from a cache.
    pub cached_tokens: u64,
    /// Tokens written, as the provider said.
    pub output_tokens: u64,
    /// Tokens booked.
    pub tokens: u64,
    /// Money booked.
    pub cost: NanoUsd,
    /// Of that: above what was held for the call.
    pub over_bound: NanoUsd,
    /// How that is known.
    pub basis: Basis,
    /// The delegation that called, if one did.
    pub delegation: Option<DelegationId>,
    /// The broker's name for the call.
    pub request_id: String,
}

impl Booking {
    /// Where it stands among its grant's.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { at: self.reserved_at, hold: self.hold }
    }
}

/// What calls come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallSum {
    /// How many there are.
    pub calls: u64,
    /// What was booked for them.
    pub cost: NanoUsd,
}

/// Table `usage_events`, which the ledgers fill a little later than they book. Everything is found by an index, however many calls a
/// grant has.
pub trait Usage {
    /// Calls of a grant, newest first.
    fn list_calls(
        &self,
        grant: &GrantId,
        query: &CallQuery,
    ) -> impl Future<Output = Result<Vec<Booking>, StoreError>> + Send;

    /// What the calls come to that a filter lets through, of which no more than `most` are looked at.
    fn sum_calls(
        &self,
        grant: &GrantId,
        filter: &CallFilter,
        most: u32,
    ) -> impl Future<Output = Result<CallSum, StoreError>> + Send;

    /// The models that a grant's calls name, in alphabetical order, at most `limit`.
    fn list_called_models(
        &self,
        grant: &GrantId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Where the last of these calls stands, newest first, if there are as many as `limit` and yet another after them.
    fn end_of_calls(
        &self,
        grant: &GrantId,
        query: &CallQuery,
    ) -> impl Future<Output = Result<Option<Position>, StoreError>> + Send;
}

/// What calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests that were booked.
    pub calls: u64,
    /// Tokens that were.
    pub tokens: u64,
    /// Money that was.
    pub cost: NanoUsd,
}

/// What an app used in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSum {
    /// The app.
    pub id: ClientId,
    /// Its name as the user saw it.
    pub name: String,
    /// What it used.
    pub sum: Sum,
}

/// What a model was used for in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSum {
    /// Whose model.
    pub provider: Option<Provider>,
    /// Its name, as an app asked for it; may be empty.
    pub model: String,
    /// What it was used.
    pub sum: Sum,
}

/// What was used on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySum {
    /// Days since the epoch, in UTC.
    pub day: u64,
    /// What was used.
    pub sum: Sum,
}

/// What a user's apps used in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthSums {
    /// The apps that used most, in money, then in calls; these first.
    pub apps: Vec<AppSum>,
    /// How many there are.
    pub app_count: u64,
    /// The models, likewise.
    pub models: Vec<ModelSum>,
    /// How many there are.
    pub model_count: u64,
    /// The days on which something was used, in their order.
    pub days: Vec<DaySum>,
    /// The nearest earlier month in which something was used.
    pub before: Option<Month>,
    /// The nearest later one.
    pub after: Option<Month>,
}

/// Tables `usage_months`, `usage_days`: what bookings add up to, found without reading them.
pub trait UsageSums {
    /// A user's month; at most `most` apps and `most` models.
    fn sum_month(
        &self,
        user: &UserId,
        month: Month,
        most: u32,
    ) -> impl Future<Output = Result<MonthSums, StoreError>> + Send;
}
