//! What a person should look at: limits that are nearly used up, grants that end soon, calls that were refused.

use futures_util::future::join4;

use crate::{
    domain::{grant::Grant, id::UserId, time::Timestamp},
    web::{
        grants::terms_of,
        language::{Language, Moment},
        notices::RefusalView,
        ports::{Ports, StoreError},
        usage::{GrantUsage, Usage},
    },
};

/// From so much of a limit on, in percent, it is nearly used up.
const NEARLY_PERCENT: u64 = 80;
const DAY: u64 = 24 * 3600;
/// What ends within this is told.
const SOON_SECONDS: u64 = 3 * DAY;
/// What was refused within this is told.
const LATELY_SECONDS: u64 = 3 * DAY;
/// A notice that is older is of another month.
const NOTICED_SECONDS: u64 = 32 * DAY;
/// Most grants of one kind; each that a notice is about asks its ledger.
const MOST: u32 = 5;

/// Something to look at.
#[derive(Debug)]
pub enum Notice {
    /// A limit.
    Limit {
        /// Whose.
        grant: String,
        /// Its app.
        app: String,
        /// What is used of it.
        usage: Usage,
    },
    /// A grant that ends soon.
    Ending {
        /// Which.
        grant: String,
        /// Its app.
        app: String,
        /// When.
        at: Moment,
    },
    /// Calls that were refused.
    Refused(RefusalView),
}

/// What there is to look at.
#[derive(Debug, Default)]
pub struct Attention {
    /// What matters most first.
    pub notices: Vec<Notice>,
    /// How many notices they have not read.
    pub unread: u32,
    /// Why some of it may be missing, for the log.
    pub failures: Vec<StoreError>,
}

impl Attention {
    /// Of this person. What can't be read is missing and hides nothing else.
    pub async fn of<P: Ports>(ports: &P, user: &UserId, now: Timestamp, language: Language) -> Self {
        let since = |seconds: u64| Timestamp::from_seconds(now.seconds().saturating_sub(seconds));
        let (near, ending, refused, unread) = join4(
            ports.list_near_limits(user, now, since(NOTICED_SECONDS), MOST),
            ports.list_ending(user, now, now.plus_seconds(SOON_SECONDS), MOST),
            ports.recent_refusals(user, since(LATELY_SECONDS), MOST),
            ports.count_unread_notices(user),
        )
        .await;
        let mut attention = Self::default();
        attention.unread = attention.kept(unread);
        let near = attention.kept(near);
        let ids: Vec<_> = near.iter().map(|grant| grant.id.clone()).collect();
        let snapshots = if ids.is_empty() { Vec::new() } else { ports.read_ledgers(&ids).await };
        for (grant, snapshot) in near.iter().zip(snapshots) {
            match snapshot {
                Ok(snapshot) => {
                    let usage = GrantUsage::new(terms_of(grant, Some(&snapshot)), &snapshot, now, language);
                    attention.notices.extend(most_used(usage).map(|usage| Notice::limit(grant, usage)));
                }
                Err(error) => attention.failures.push(error),
            }
        }
        let ending = attention.kept(ending);
        attention.notices.extend(ending.iter().map(|grant| Notice::ending(grant, now)));
        let refused = attention.kept(refused);
        attention.notices.extend(RefusalView::all(&refused, language, now).into_iter().map(Notice::Refused));
        attention
    }

    fn kept<T: Default>(&mut self, found: Result<T, StoreError>) -> T {
        found.unwrap_or_else(|error| {
            self.failures.push(error);
            T::default()
        })
    }
}

/// The limit of which most is used, if that is much. Those that come back by themselves within a moment don't count.
fn most_used(usage: GrantUsage) -> Option<Usage> {
    let of_permissions = usage.permissions.into_iter().flat_map(|permission| permission.usage);
    let lines = usage.overall.into_iter().chain(of_permissions);
    lines
        .filter(|line| line.left.is_some() && line.percent >= NEARLY_PERCENT)
        .max_by_key(|line| (line.is_used_up, line.percent))
}

impl Notice {
    fn limit(grant: &Grant, usage: Usage) -> Self {
        Self::Limit { grant: grant.id.to_string(), app: grant.client_name.clone(), usage }
    }

    fn ending(grant: &Grant, now: Timestamp) -> Self {
        let at = Moment::new(grant.terms.expires_at, now);
        Self::Ending { grant: grant.id.to_string(), app: grant.client_name.clone(), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        authorization_details::Requested,
        grant::Terms,
        ledger::{ScopeUsage, Snapshot},
        money::NanoUsd,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_795_392_000);

    fn figure(limits: &str, used: ScopeUsage) -> Option<String> {
        let details = format!(
            r#"[{{"type":"ai_access","provider":"openai","models":["*"],"capabilities":["chat"]}},{{"type":"ai_limits",{limits}}}]"#
        );
        let asked = Requested::from_authorization_details(&details).unwrap();
        let (permissions, limits) = (asked.permissions, asked.limits);
        let terms = Terms { permissions, limits, expires_at: NOW, ..Terms::default() };
        let snapshot = Snapshot { overall: used, ..Snapshot::default() };
        most_used(GrantUsage::new(&terms, &snapshot, NOW, Language::English)).map(|usage| usage.figure)
    }

    fn spent(nano: u64) -> ScopeUsage {
        ScopeUsage { spent: NanoUsd(nano), ..ScopeUsage::default() }
    }

    #[test]
    fn a_limit_is_nearly_used_up_from_80_per_cent_on() {
        let limits = r#""budget_usd":"5""#;
        assert_eq!(figure(limits, spent(3_990_000_000)), None);
        assert_eq!(figure(limits, spent(4_000_000_000)).as_deref(), Some("4.00 of 5.00 USD in all"));
    }

    #[test]
    fn of_several_limits_the_one_is_told_of_which_most_is_used() {
        let limits = r#""budget_usd":"5","requests":100"#;
        let used = ScopeUsage { requests_used: 99, ..spent(4_000_000_000) };
        assert_eq!(figure(limits, used).as_deref(), Some("99 of 100"));
    }

    #[test]
    fn what_comes_back_within_a_minute_is_nothing_to_look_at() {
        assert_eq!(figure(r#""requests_per_minute":5"#, ScopeUsage { last_minute: 5, ..ScopeUsage::default() }), None);
    }
}
