//! What happened, and who is told of it.

use core::future::Future;

use super::{StoreError, Write};
use crate::domain::{
    audit::{Actor, Entry, Event},
    id::{ClientId, GrantId, UserId},
    notice::{Notice, NoticeId, RefusedCalls},
    time::Timestamp,
    webhook::{DeliveryError, EventType},
};

/// What to find in the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// About whose account; `None`: about any.
    pub user: Option<UserId>,
    /// What happened; empty: anything.
    pub events: Vec<Event>,
    /// To this grant.
    pub grant: Option<GrantId>,
    /// Older than the entry of this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: later ones are higher.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// About whose account.
    pub user: UserId,
    /// What they are called now.
    pub user_name: String,
    /// Who did it, where this version knows.
    pub actor: Option<Actor>,
    /// What, by the name under which it is stored; another version may have stored it.
    pub event: String,
    /// To which grant, if to one.
    pub grant: Option<GrantId>,
    /// As it was called then.
    pub subject: String,
    /// What changed.
    pub detail: String,
    /// From which IP address.
    pub address: String,
    /// With which browser.
    pub agent: String,
}

/// Table `audit`.
pub trait Audit {
    /// Notes what happened.
    fn record(&self, entry: &Entry) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes for whoever had given grants to a client that they ended at this moment, since the client is gone: one entry for each, under the
    /// grant's own user and name, with the rest as in `entry`. Once, however often it is called.
    fn record_ended_grants(
        &self,
        client: &ClientId,
        entry: &Entry,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What happened, latest first.
    fn list_audit(&self, query: &AuditQuery) -> impl Future<Output = Result<Vec<AuditRow>, StoreError>> + Send;
}

/// Table `audit`, as a grant's owner reads it.
pub trait History {
    /// What happened to a grant, newest first: each entry with its number, of those below `before`.
    fn list_history(
        &self,
        grant: &GrantId,
        before: Option<u64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(u64, Entry)>, StoreError>> + Send;
}

/// Table `notices`, which ledgers fill when a part of a cap is used, and the hourly clean-up when a grant ends soon.
pub trait Notices {
    /// A person's notices, latest first, at most `limit`.
    fn list_notices(&self, user: &UserId, limit: u32) -> impl Future<Output = Result<Vec<Notice>, StoreError>> + Send;

    /// How many of them they have not read.
    fn count_unread_notices(&self, user: &UserId) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// A grant's notices, latest first, at most `limit`.
    fn notices_of_grant(
        &self,
        grant: &GrantId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Notice>, StoreError>> + Send;

    /// The person has read their notices from this one to that one; one that they had read before stays read since then. How many
    /// they had not.
    fn read_notices(
        &self,
        user: &UserId,
        from: NoticeId,
        to: NoticeId,
        now: Timestamp,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

/// Table `refusals`, which the ledgers fill, each at most once a minute.
pub trait Refusals {
    /// Calls of a person's apps that were refused since then, latest first, at most `limit` lines: one for each grant and reason.
    fn recent_refusals(
        &self,
        user: &UserId,
        since: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RefusedCalls>, StoreError>> + Send;
}

/// The row of `webhooks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where its deliveries go. It was one that may be asked when it was stored.
    pub url: String,
    /// What its secret is made of, together with a key that isn't there.
    pub secret_name: String,
    /// Since when there is one.
    pub created_at: Timestamp,
}

/// A row of `webhook_deliveries`, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The header `webhook-id`.
    pub message_id: String,
    /// What it tells.
    pub kind: EventType,
    /// The app that it is about, if it is about one.
    pub app: Option<String>,
    /// When what it tells of happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next. `None`: it was delivered, or given up.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// The status that the last attempt was answered with, if it was.
    pub status: Option<u16>,
    /// Why that failed.
    pub error: Option<DeliveryError>,
}

/// Tables `webhooks` and `webhook_deliveries`. What is to be delivered is written by triggers (`migrations/0008_notices.sql`, `0018_over_bound.sql`).
pub trait Webhooks {
    /// Where an operator's program is told, if anywhere.
    fn find_webhook(&self) -> impl Future<Output = Result<Option<Webhook>, StoreError>> + Send;

    /// From now on there, in place of wherever it was before.
    fn put_webhook(&self, webhook: &Webhook) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// From now on nowhere; what was not delivered yet is given up, in the same batch.
    fn delete_webhook(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Asks for a `ping`. [`Write::Lost`]: there is no webhook, or as many as `most` deliveries wait.
    fn insert_ping(&self, most: u32, now: Timestamp) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// The last deliveries, latest first, at most `limit`.
    fn list_deliveries(&self, limit: u32) -> impl Future<Output = Result<Vec<Delivery>, StoreError>> + Send;

    /// Something is to be delivered now. It doesn't matter whether this works: it is looked after every hour in any case.
    fn wake_courier(&self) -> impl Future<Output = ()> + Send;
}
