//! When a cap is worth a word: at half of it, at four fifths, and when it is used up.
//!
//! What is judged is what is booked. What is held is an upper bound, most of which comes back: a notice that turned out to be untrue
//! would cry wolf. But a budget is seldom spent to the last nano-USD, since a call that doesn't fit any more is refused first. So a cap
//! also counts as used up once a call is refused for good because of it while four fifths or more are booked. A single call that is too
//! large for a cap which is hardly used is a refusal, and no more than that.
//!
//! Each threshold is reached once in each period and for each value of the limit: another limit, or the next day or month of a budget,
//! begins anew. A call that passes several at once reaches the highest. Delegations have none of their own: what they use counts in the
//! grant.

use serde::{Deserialize, Serialize};

use super::{
    super::{limits::Limits, limits::Period, time::Timestamp},
    Effect, Ledger,
    command::{Refusal, Resource, Scope, Shortage},
    scope::Counters,
};

/// In per cent of a cap.
pub const THRESHOLDS: [u8; 3] = [50, 80, 100];
/// From this part on a cap that refuses a call is used up, in per cent.
const NEARLY_USED_UP: u8 = 80;

/// A limit that is used up in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// Money.
    BudgetUsd,
    /// Tokens.
    Tokens,
    /// Requests.
    Requests,
}

impl Cap {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::BudgetUsd, Self::Tokens, Self::Requests];

    /// Its name in `authorization_details`, and as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BudgetUsd => "budget_usd",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cap| cap.as_str() == text)
    }

    /// What it allows, if it is there; money in nano-USD.
    fn allowed(self, limits: &Limits) -> Option<u64> {
        match self {
            Self::BudgetUsd => limits.budget_usd.map(|budget| budget.nano_usd().0),
            Self::Tokens => limits.tokens.map(u64::from),
            Self::Requests => limits.requests.map(u64::from),
        }
    }

    /// What is booked of it.
    fn booked(self, period: Period, counters: &Counters, now: Timestamp) -> u64 {
        match self {
            Self::BudgetUsd => counters.booked.tally.money.within(period, now).0,
            Self::Tokens => counters.booked.tally.tokens,
            Self::Requests => counters.booked.tally.requests,
        }
    }
}

/// A threshold of one value of one limit, in one period. No two notices are of the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Position in the grant's permissions; `None`: over the whole grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<usize>,
    /// Of what.
    pub cap: Cap,
    /// What a budget is for; the life of the grant for other limits.
    pub period: Period,
    /// The number of the day or of the month; 0 for the life of the grant.
    pub window: u64,
    /// What is allowed; money in nano-USD.
    pub allowed: u64,
    /// One of [`THRESHOLDS`].
    pub percent: u8,
}

/// A threshold that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Which.
    pub mark: Mark,
    /// What was booked by then; money in nano-USD.
    pub used: u64,
    /// When.
    pub at: Timestamp,
}

impl Mark {
    /// Names it within its grant: one word.
    #[must_use]
    pub fn key(&self) -> String {
        let permission = self.permission.map_or_else(|| "grant".to_owned(), |index| index.to_string());
        let (cap, period) = (self.cap.as_str(), self.period.as_str());
        format!("{permission}:{cap}:{period}:{}:{}:{}", self.window, self.allowed, self.percent)
    }

    /// Whether the other is of the same limit, whatever its value.
    fn is_of_the_same_limit(&self, other: &Self) -> bool {
        (self.permission, self.cap) == (other.permission, other.cap)
    }

    /// Whether the other, of the same limit, says as much already.
    fn is_said_by(&self, other: &Self) -> bool {
        (self.period, self.window, self.allowed) == (other.period, other.window, other.allowed)
            && self.percent <= other.percent
    }
}

/// The cap that refused a call for good: the permission's of that position, or the whole grant's.
pub(super) fn cap_that_refused(refusal: &Refusal, permission: usize) -> Option<(Option<usize>, Cap)> {
    let Refusal::DoesNotFit(Shortage { limit, of, .. }) = refusal else {
        // Whoever refuses because of requests has booked them all.
        return None;
    };
    let cap = match of {
        Resource::Budget(_) => Cap::BudgetUsd,
        Resource::Tokens => Cap::Tokens,
    };
    match limit.scope {
        Scope::Grant => Some((None, cap)),
        Scope::Permission => Some((Some(permission), cap)),
        Scope::Delegation | Scope::Ceiling | Scope::Account => None,
    }
}

fn highest(used: u64, allowed: u64, was_refused: bool) -> Option<u8> {
    let has_reached =
        |percent: u8| u128::from(used).saturating_mul(100) >= u128::from(allowed).saturating_mul(u128::from(percent));
    if was_refused && has_reached(NEARLY_USED_UP) {
        return Some(100);
    }
    THRESHOLDS.into_iter().rev().find(|percent| has_reached(*percent))
}

impl Ledger {
    /// Says which thresholds were reached and not said before. `refused`: the cap that has just refused a call for good.
    pub(super) fn note_thresholds(&mut self, refused: Option<(Option<usize>, Cap)>, effects: &mut Vec<Effect>) {
        let now = self.clock;
        let mut reached = Vec::new();
        let overall = core::iter::once((None, &self.terms.limits, &self.overall));
        let permissions = self.terms.permissions.iter().zip(&self.permissions).enumerate();
        let permissions = permissions.map(|(index, (terms, counters))| (Some(index), &terms.limits, counters));
        for (permission, limits, counters) in overall.chain(permissions) {
            for cap in Cap::ALL {
                let Some(allowed) = cap.allowed(limits) else { continue };
                let period = if cap == Cap::BudgetUsd { limits.budget_period } else { Period::Total };
                let used = cap.booked(period, counters, now);
                let Some(percent) = highest(used, allowed, refused == Some((permission, cap))) else { continue };
                let mark = Mark { permission, cap, period, window: period.window(now), allowed, percent };
                let before = self.said.iter().find(|said| said.is_of_the_same_limit(&mark));
                if before.is_none_or(|said| !mark.is_said_by(said)) {
                    reached.push(Reached { mark, used, at: now });
                }
            }
        }
        if reached.is_empty() {
            return;
        }
        for one in reached {
            self.said.retain(|said| !said.is_of_the_same_limit(&one.mark));
            self.said.push(one.mark.clone());
            effects.push(Effect::Tell(Box::new(one)));
        }
        self.save_summary(effects);
    }
}
