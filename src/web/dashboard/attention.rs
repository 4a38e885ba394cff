//! What a person should look at: limits that are nearly used up, grants that end soon, calls that were refused; an operator also calls
//! that cost more than was held for them.

use futures_util::future::join5;

use crate::{
    domain::{grant::Grant, time::Timestamp},
    web::{
        format::{Round, thousands, usd},
        grants::terms_of,
        language::{Language, Moment},
        notices::RefusalView,
        ports::{OverBound, Ports, StoreError},
        usage::{GrantUsage, Usage},
        visitor::Visitor,
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
/// What cost more than was held within so many days is told.
const OVER_BOUND_DAYS: u64 = 30;
/// Most models of that.
const MOST_MODELS: u32 = 20;
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
    /// Calls of anybody that cost more than was held for them.
    OverBound {
        /// Whose model; may be empty.
        provider: &'static str,
        /// The id of the model that answered.
        model: String,
        /// How many, and how much more they cost, in words.
        said: String,
    },
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
    /// Of this person; of an operator also what is wrong with the broker's prices. What can't be read is missing and hides nothing else.
    pub async fn of<P: Ports>(ports: &P, visitor: &Visitor, now: Timestamp, language: Language) -> Self {
        let user = &visitor.user.id;
        let since = |seconds: u64| Timestamp::from_seconds(now.seconds().saturating_sub(seconds));
        let over_bound = async {
            if !visitor.is_operator() {
                return Ok(Vec::new());
            }
            ports.list_over_bound((now.day() + 1).saturating_sub(OVER_BOUND_DAYS), MOST_MODELS).await
        };
        let (near, ending, refused, unread, over_bound) = join5(
            ports.list_near_limits(user, now, since(NOTICED_SECONDS), MOST),
            ports.list_ending(user, now, now.plus_seconds(SOON_SECONDS), MOST),
            ports.recent_refusals(user, since(LATELY_SECONDS), MOST),
            ports.count_unread_notices(user),
            over_bound,
        )
        .await;
        let mut attention = Self::default();
        attention.unread = attention.kept(unread);
        let over_bound = attention.kept(over_bound);
        attention.notices.extend(over_bound.into_iter().map(|sum| Notice::over_bound(sum, language)));
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

    fn over_bound(sum: OverBound, language: Language) -> Self {
        let amount = usd(sum.cost, Round::Up);
        let calls = thousands(sum.calls);
        Self::OverBound {
            provider: sum.provider.map_or("", |provider| provider.display_name()),
            model: if sum.model.is_empty() { language.t("no model").to_owned() } else { sum.model },
            said: if sum.calls == 1 {
                language.with("1 call cost {0} USD more than was held for it in the last 30 days", &[&amount])
            } else {
                language
                    .with("{0} calls cost {1} USD more than was held for them in the last 30 days", &[&calls, &amount])
            },
        }
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
