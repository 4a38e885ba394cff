//! What was used of limits, as people read it.

use core::num::{NonZeroU32, NonZeroU64};

use super::{
    allowance::Allowance,
    format::{Round, of_this_period, sentence, thousands, usd},
    language::{Language, Moment},
};
use crate::domain::{
    grant::Terms,
    ledger::{ScopeUsage, Snapshot},
    limits::{Limits, Period},
    money::{Amount, NanoUsd},
    time::Timestamp,
};

/// What was used of a limit; without a limit, what was used.
#[derive(Debug)]
pub struct Usage {
    /// Of what.
    pub label: &'static str,
    /// `1.23 of 5.00 USD this month`, `3 of 40`; without a limit `3`.
    pub figure: String,
    /// What stands there instead of a limit.
    pub no_limit: Option<&'static str>,
    /// Of the limit, in percent.
    pub percent: u64,
    /// Calls that run at this moment, where the figure doesn't count them.
    pub running: u64,
    /// What calls in flight hold of it, if anything.
    pub held: Option<String>,
    /// What is left beside that.
    pub left: Option<String>,
    /// When it begins anew.
    pub resets: Option<Moment>,
    /// Nothing is left, and waiting for calls in flight doesn't help.
    pub is_used_up: bool,
}

/// Whose limits they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Of the whole grant: what was spent is always told.
    Grant,
    /// Of one permission: its requests are always told.
    Permission,
}

/// What was used of a grant.
#[derive(Debug)]
pub struct GrantUsage {
    /// Over everything together; money first.
    pub overall: Vec<Usage>,
    /// Per permission.
    pub permissions: Vec<PermissionUsage>,
}

/// A permission, and what was used of it.
#[derive(Debug)]
pub struct PermissionUsage {
    /// In words.
    pub sentence: String,
    /// Of its limits.
    pub usage: Vec<Usage>,
}

impl GrantUsage {
    /// What `used` is of `terms`.
    #[must_use]
    pub fn new(terms: &Terms, used: &Snapshot, now: Timestamp, language: Language) -> Self {
        let permissions = terms.permissions.iter().enumerate().map(|(index, permission)| PermissionUsage {
            sentence: sentence(permission, language),
            usage: lines(
                Of::Permission,
                &permission.limits,
                &used.permissions.get(index).copied().unwrap_or_default(),
                (now, language),
            ),
        });
        let mut usage = Self {
            overall: lines(Of::Grant, &terms.limits, &used.overall, (now, language)),
            permissions: permissions.collect(),
        };
        if terms.limits.budget_usd.is_none() && !Limits::leave_money_open(&terms.limits, terms.limits_of_permissions())
        {
            usage.say_where_money_is_limited(language);
        }
        usage
    }

    fn say_where_money_is_limited(&mut self, language: Language) {
        let Some(spent) = self.overall.first_mut() else { return };
        spent.no_limit = Some(language.t("limited below"));
        if let [only] = self.permissions.as_mut_slice()
            && !only.usage.is_empty()
        {
            // The same money: once is enough.
            *spent = only.usage.remove(0);
        }
    }
}

/// What the operator lets a member spend, as `allowance.html` shows it where a page has `allowance`.
#[derive(Debug)]
pub struct Allowed {
    /// Of what they may spend in this month, over all grants.
    pub usage: Usage,
    /// `2.00`: the most for one grant, in USD.
    pub per_grant: Option<String>,
}

impl Allowed {
    /// In this language, seen from now.
    #[must_use]
    pub fn new(allowance: &Allowance, now: Timestamp, language: Language) -> Self {
        Self {
            usage: of_allowance(allowance, now, language),
            per_grant: allowance.per_grant.map(|most| most.to_string()),
        }
    }
}

fn of_allowance(allowance: &Allowance, now: Timestamp, language: Language) -> Usage {
    let limits = Limits { budget_usd: allowance.per_month, budget_period: Period::Month, ..Limits::NONE };
    let used = ScopeUsage { spent: allowance.spent, held: allowance.held, ..ScopeUsage::default() };
    Usage { label: language.t("Spent this month"), ..money(&limits, &used, (now, language)) }
}

/// Money first; what limits a moment last.
fn lines(of: Of, limits: &Limits, used: &ScopeUsage, (now, language): (Timestamp, Language)) -> Vec<Usage> {
    let small = |limit: Option<NonZeroU32>| limit.map(|limit| u64::from(limit.get()));
    let mut lines = Vec::new();
    if of == Of::Grant || limits.budget_usd.is_some() {
        lines.push(money(limits, used, (now, language)));
    }
    if let Some(tokens) = limits.tokens {
        lines.push(count(language.t("Tokens"), used.tokens_used, used.tokens_held, Some(tokens.get()), language));
    }
    let most = limits.requests.map(NonZeroU64::get);
    let requests = count(language.t("Requests"), used.requests_used, used.requests_held, most, language);
    if of == Of::Permission || limits.requests.is_some() {
        lines.push(Usage { running: used.in_flight, ..requests });
    }
    // These come back by themselves: what is left of them is old before it is read.
    let moment = |label, used, limit: Option<u64>| {
        limit.map(|limit| Usage { left: None, is_used_up: false, ..count(label, used, 0, Some(limit), language) })
    };
    lines.extend(moment(language.t("In the last minute"), used.last_minute, small(limits.requests_per_minute)));
    lines.extend(moment(language.t("At this moment"), used.in_flight, small(limits.concurrency)));
    lines
}

fn money(limits: &Limits, used: &ScopeUsage, (now, language): (Timestamp, Language)) -> Usage {
    let spent = usd(used.spent, Round::Up);
    let held = (used.held > NanoUsd::ZERO).then(|| format!("{} USD", usd(used.held, Round::Up)));
    let Some(budget) = limits.budget_usd.map(Amount::nano_usd) else {
        return Usage {
            label: language.t("Spent"),
            figure: format!("{spent} USD"),
            no_limit: Some(language.t("no limit")),
            percent: 0,
            running: 0,
            held,
            left: None,
            resets: None,
            is_used_up: false,
        };
    };
    let left = budget.minus(used.spent).minus(used.held);
    Usage {
        label: language.t("Spent"),
        figure: of_this_period(&spent, budget, limits.budget_period, language),
        no_limit: None,
        percent: percent(used.spent.0, budget.0),
        running: 0,
        held,
        left: Some(format!("{} USD", usd(left, Round::Down))),
        resets: match limits.budget_period {
            Period::Total => None,
            Period::Month => Some(Moment::new(now.next_month(), now)),
            Period::Day => Some(Moment::new(now.next_day(), now)),
        },
        is_used_up: used.spent >= budget,
    }
}

fn count(label: &'static str, used: u64, held: u64, allowed: Option<u64>, language: Language) -> Usage {
    Usage {
        label,
        figure: allowed.map_or_else(
            || thousands(used),
            |allowed| language.with("{0} of {1}", &[&thousands(used), &thousands(allowed)]),
        ),
        no_limit: allowed.is_none().then_some(language.t("no limit")),
        percent: allowed.map_or(0, |allowed| percent(used, allowed)),
        running: 0,
        held: (held > 0).then(|| thousands(held)),
        left: allowed.map(|allowed| thousands(allowed.saturating_sub(used).saturating_sub(held))),
        resets: None,
        is_used_up: allowed.is_some_and(|allowed| used >= allowed),
    }
}

/// At least one as soon as there is something.
fn percent(used: u64, allowed: u64) -> u64 {
    let percent = u128::from(used) * 100 / u128::from(allowed.max(1));
    u64::try_from(percent).unwrap_or(100).clamp(u64::from(used > 0), 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authorization_details::Requested;

    /// 2026-11-23T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_seconds(1_795_392_000);

    fn five_usd(budget_period: Period) -> Limits {
        Limits { budget_usd: "5".parse().ok(), budget_period, ..Limits::NONE }
    }

    #[test]
    fn money_comes_first_and_says_of_how_much_and_until_when() {
        let used = ScopeUsage { spent: NanoUsd(1_230_000_000), held: NanoUsd(20_000_000), ..ScopeUsage::default() };
        let lines = lines(Of::Grant, &five_usd(Period::Month), &used, (NOW, Language::English));
        let money = &lines[0];
        assert_eq!(money.figure, "1.23 of 5.00 USD this month");
        assert_eq!((money.held.as_deref(), money.left.as_deref()), (Some("0.02 USD"), Some("3.75 USD")));
        assert_eq!(money.resets.as_ref().unwrap().human(Language::English), "1 Dec 2026, 00:00 UTC");
        assert_eq!((money.percent, money.is_used_up), (24, false));
    }

    #[test]
    fn what_was_spent_is_told_without_a_limit_too_but_once() {
        let used = ScopeUsage { spent: NanoUsd(1), ..ScopeUsage::default() };
        let overall = lines(Of::Grant, &Limits::NONE, &used, (NOW, Language::English));
        assert_eq!((overall[0].figure.as_str(), overall[0].no_limit), ("0.000000001 USD", Some("no limit")));
        assert_eq!(lines(Of::Permission, &Limits::NONE, &used, (NOW, Language::English))[0].label, "Requests");
    }

    fn headline(details: &str) -> String {
        let asked = Requested::from_authorization_details(details).unwrap();
        let (permissions, limits) = (asked.permissions, asked.limits);
        let terms = Terms { permissions, limits, expires_at: NOW, ..Terms::default() };
        let usage = GrantUsage::new(&terms, &Snapshot::default(), NOW, Language::English);
        format!("{} {}", usage.overall[0].figure, usage.overall[0].no_limit.unwrap_or("limited"))
    }

    #[test]
    fn the_first_line_says_whether_money_is_limited_anywhere() {
        let capped = r#"{"type":"ai_access","provider":"openai","models":["*"],"capabilities":["chat"],"limits":{"budget_usd":"2"}}"#;
        let open = r#"{"type":"ai_access","provider":"anthropic","models":["*"],"capabilities":["chat"]}"#;
        let overall = r#"{"type":"ai_limits","budget_usd":"9"}"#;
        assert_eq!(headline(&format!("[{capped},{open}]")), "0.00 USD no limit");
        assert_eq!(headline(&format!("[{capped},{open},{overall}]")), "0.00 of 9.00 USD in all limited");
        assert_eq!(headline(&format!("[{capped},{capped}]")), "0.00 USD limited below");
        assert_eq!(headline(&format!("[{capped}]")), "0.00 of 2.00 USD in all limited");
    }

    #[test]
    fn a_limit_that_was_lowered_below_what_was_used_is_used_up() {
        let used = ScopeUsage { spent: NanoUsd(7_000_000_000), ..ScopeUsage::default() };
        let money = &lines(Of::Grant, &five_usd(Period::Total), &used, (NOW, Language::English))[0];
        assert_eq!((money.figure.as_str(), money.percent, money.is_used_up), ("7.00 of 5.00 USD in all", 100, true));
        assert_eq!(money.left.as_deref(), Some("0.00 USD"));
    }

    #[test]
    fn a_little_is_not_nothing() {
        assert_eq!([percent(0, 10), percent(1, 1_000_000), percent(u64::MAX, 1), percent(1, 0)], [0, 1, 100, 100]);
    }
}
