//! The tables of a ledger's object.
//!
//! `entries (key, value)`:
//!
//! | key | value |
//! |---|---|
//! | `grant` | whose ledger it is: a grant's, or an account's |
//! | `terms` | the terms, copied from D1 when the ledger was first used; after that D1 is not needed |
//! | `summary` | [`Summary`] |
//! | `hold:<n>` | a [`Hold`] |
//! | `delegation:<id>` | a [`Delegation`] |
//! | `refusals` | [`Refusals`] |
//! | `policy_as_of` | of an account: when its policy was last looked up; [`PolicyAge`](crate::domain::policy_age::PolicyAge) |
//! | `revoked` | there when the grant was revoked before its terms were known; outweighs everything else |
//!
//! `events (hold, revision, value)`: bookings that D1 was not told yet. `notices (key, value)`: thresholds that D1 was not told yet.
//!
//! The statements are in `object.mjs`; here is what stands in the rows, and what a command changes about them.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use crate::domain::{
    grant::Terms,
    id::DelegationId,
    ledger::{Delegation, Effect, Hold, HoldId, LedgerId, Refusals, Summary},
    time::Timestamp,
};

const GRANT: &str = "grant";
const TERMS: &str = "terms";
const SUMMARY: &str = "summary";
const HOLD: &str = "hold:";
const DELEGATION: &str = "delegation:";
const REFUSALS: &str = "refusals";
const POLICY_AS_OF: &str = "policy_as_of";
const REVOKED: &str = "revoked";

/// What an object holds.
#[derive(Debug)]
pub enum Stored {
    /// Nothing.
    Nothing,
    /// A note that the grant was revoked.
    Revoked(Option<LedgerId>),
    /// A ledger.
    Ledger {
        /// Whose.
        owner: Option<LedgerId>,
        /// What is enforced.
        terms: Box<Terms>,
        /// What was counted.
        summary: Box<Summary>,
        /// The holds that have a row.
        holds: Vec<(HoldId, Hold)>,
        /// The delegations.
        delegations: Vec<Delegation>,
        /// What was refused.
        refusals: Box<Refusals>,
        /// When the policy was last looked up, where that is noted.
        policy_as_of: Option<Timestamp>,
    },
}

impl Stored {
    /// From all rows of `entries`.
    ///
    /// # Errors
    /// A row that this version can't read.
    pub fn of(rows: Vec<(String, String)>) -> serde_json::Result<Self> {
        let mut entries: BTreeMap<String, String> = rows.into_iter().collect();
        let owner = entries.remove(GRANT).and_then(|name| name.parse().ok());
        if entries.contains_key(REVOKED) {
            return Ok(Self::Revoked(owner));
        }
        let (Some(terms), Some(summary)) = (entries.remove(TERMS), entries.remove(SUMMARY)) else {
            return Ok(Self::Nothing);
        };
        let refusals = entries.remove(REFUSALS).map_or_else(|| Ok(Box::default()), |value| parse(&value))?;
        let policy_as_of = entries.remove(POLICY_AS_OF).map(|value| parse(&value)).transpose()?;
        let (mut holds, mut delegations) = (Vec::new(), Vec::new());
        for (key, value) in &entries {
            if let Some(id) = key.strip_prefix(HOLD).and_then(|id| id.parse().ok()) {
                holds.push((HoldId(id), parse(value)?));
            } else if key.starts_with(DELEGATION) {
                delegations.push(parse(value)?);
            }
        }
        let (terms, summary) = (parse(&terms)?, parse(&summary)?);
        Ok(Self::Ledger { owner, terms, summary, holds, delegations, refusals, policy_as_of })
    }
}

/// What commands change.
#[derive(Debug, Default)]
pub struct Writes {
    entries: BTreeMap<String, Option<String>>,
    events: Vec<(HoldId, u32, String)>,
    notices: Vec<(String, String)>,
    /// When the ledger wants to be woken.
    pub wakes_at: Option<Timestamp>,
}

impl Writes {
    /// From the effects of commands, in their order.
    ///
    /// # Errors
    /// Something can't be written as JSON.
    pub fn of(effects: Vec<Effect>) -> serde_json::Result<Self> {
        let mut writes = Self::default();
        let mut summary = None;
        for effect in effects {
            match effect {
                Effect::SaveTerms(terms) => writes.save(TERMS.to_owned(), &terms)?,
                Effect::SaveSummary(next) => summary = Some(next),
                Effect::SaveHold(id, hold) => writes.save(key(id), &hold)?,
                Effect::DropHold(id) => drop(writes.entries.insert(key(id), None)),
                Effect::SaveDelegation(delegation) => {
                    writes.save(delegation_key(&delegation.terms.id), &delegation)?;
                }
                Effect::DropDelegation(id) => drop(writes.entries.insert(delegation_key(&id), None)),
                Effect::Book(event) => writes.events.push((event.hold, event.revision, text(&event)?)),
                Effect::Tell(reached) => writes.notices.push((reached.mark.key(), text(&reached)?)),
                Effect::SaveRefusals(refusals) => writes.save(REFUSALS.to_owned(), &refusals)?,
                Effect::WakeAt(at) => writes.wakes_at = Some(at),
            }
        }
        if let Some(summary) = summary {
            writes.save(SUMMARY.to_owned(), &summary)?;
        }
        Ok(writes)
    }

    /// A note that a grant is revoked whose terms are not known.
    #[must_use]
    pub fn of_revocation(owner: &LedgerId) -> Self {
        let entries = [(REVOKED, "true".to_owned()), (GRANT, owner.to_string())];
        let entries = entries.map(|(key, value)| (key.to_owned(), Some(value)));
        Self { entries: entries.into(), ..Self::default() }
    }

    /// Whose ledger it is and what was agreed, unless the command has changed just that.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn add_origin(&mut self, owner: &LedgerId, terms: &Terms) -> serde_json::Result<()> {
        self.entries.insert(GRANT.to_owned(), Some(owner.to_string()));
        if !self.entries.contains_key(TERMS) {
            self.save(TERMS.to_owned(), terms)?;
        }
        Ok(())
    }

    /// When the policy was looked up.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn add_policy_as_of(&mut self, as_of: Timestamp) -> serde_json::Result<()> {
        self.save(POLICY_AS_OF.to_owned(), &as_of)
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.has_events()
    }

    /// Whether there is something to tell: that something was booked, or that a threshold was reached.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty() || !self.notices.is_empty()
    }

    /// Appends them as lines for `object.mjs`: `+key` and the value in the next line, `-key`, `!hold revision` and the booking in the
    /// next, `?key` and the threshold in the next. JSON as it is written here has no line breaks, and neither have the keys nor a grant's or a delegation's name.
    pub fn write_to(&self, lines: &mut String) {
        for (key, value) in &self.entries {
            // Writing to a string does not fail.
            let _ = match value {
                Some(value) => write!(lines, "\n+{key}\n{value}"),
                None => write!(lines, "\n-{key}"),
            };
        }
        for (hold, revision, value) in &self.events {
            let _ = write!(lines, "\n!{} {revision}\n{value}", hold.0);
        }
        for (key, value) in &self.notices {
            let _ = write!(lines, "\n?{key}\n{value}");
        }
    }

    fn save(&mut self, key: String, value: &impl Serialize) -> serde_json::Result<()> {
        self.entries.insert(key, Some(text(value)?));
        Ok(())
    }
}

fn key(id: HoldId) -> String {
    format!("{HOLD}{}", id.0)
}

fn delegation_key(id: &DelegationId) -> String {
    format!("{DELEGATION}{id}")
}

fn parse<T: DeserializeOwned>(value: &str) -> serde_json::Result<T> {
    serde_json::from_str(value)
}

fn text(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS_ROW: &str = r#"{"permissions":[],"expires_at":1}"#;
    /// As the first version that set room aside wrote it.
    const SUMMARY_ROW: &str = r#"{"revoked_at":null,"next_hold":4,"clock":1,"last_used_at":1,"overall":{"tally":{"money":{"total":0}}},
        "permissions":[],"ahead":{"from":4,"ended":[],"overall":{},"permissions":[],"ttl_seconds":9}}"#;

    fn rows(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_change_is_a_line_with_its_key_and_one_with_its_value() {
        let mut writes = Writes::of_revocation(&"grant_a".parse().unwrap());
        writes.entries.insert(key(HoldId(7)), None);
        writes.events.push((HoldId(8), 1, "{}".to_owned()));
        let mut lines = String::new();
        writes.write_to(&mut lines);
        assert_eq!(lines, "\n+grant\ngrant_a\n-hold:7\n+revoked\ntrue\n!8 1\n{}");
    }

    #[test]
    fn a_hold_that_comes_and_goes_in_one_go_leaves_no_row() {
        let hold: Hold = serde_json::from_str(
            r#"{"permission":0,"amounts":{},"bounded":true,"reserved_at":1,"deadline":2,"overdue":false,
                "record":{"provider":null,"model":"a\nb","endpoint":""}}"#,
        )
        .unwrap();
        let saved = Writes::of(vec![Effect::SaveHold(HoldId(1), Box::new(hold.clone()))]).unwrap();
        let mut lines = String::new();
        saved.write_to(&mut lines);
        assert_eq!(lines.lines().count(), 3, "no value breaks a line: {lines}");
        let both = Writes::of(vec![Effect::SaveHold(HoldId(1), Box::new(hold)), Effect::DropHold(HoldId(1))]).unwrap();
        let mut lines = String::new();
        both.write_to(&mut lines);
        assert_eq!(lines, "\n-hold:1");
    }

    #[test]
    fn a_note_of_a_revocation_outweighs_whatever_else_is_stored() {
        let stored = Stored::of(rows(&[("revoked", "true"), ("terms", "?"), ("summary", "?")])).unwrap();
        assert!(matches!(stored, Stored::Revoked(None)));
        assert!(matches!(Stored::of(rows(&[("grant", "grant_a")])).unwrap(), Stored::Nothing));
        assert!(Stored::of(rows(&[("terms", "?"), ("summary", "?")])).is_err());
    }

    #[test]
    fn a_delegation_is_read_back_from_a_row_of_its_own() {
        let delegation: Delegation = serde_json::from_str(
            r#"{"terms":{"id":"delegation_a","permissions":[],"expires_at":5},"overall":{"tally":{"money":{"total":7}}},
                "permissions":[]}"#,
        )
        .unwrap();
        let effects = vec![Effect::SaveDelegation(Box::new(delegation.clone()))];
        let writes = Writes::of(effects.clone()).unwrap();
        let mut lines = String::new();
        writes.write_to(&mut lines);
        let (key, value) = lines.trim_start().split_once('\n').unwrap();
        assert_eq!(key, "+delegation:delegation_a");
        let mut stored = rows(&[("terms", TERMS_ROW), ("summary", SUMMARY_ROW)]);
        stored.push((key.trim_start_matches('+').to_owned(), value.to_owned()));
        let Stored::Ledger { delegations, .. } = Stored::of(stored).unwrap() else { panic!() };
        assert_eq!(delegations, [delegation]);
        let dropped = effects.into_iter().chain([Effect::DropDelegation("delegation_a".parse().unwrap())]);
        let mut lines = String::new();
        Writes::of(dropped.collect()).unwrap().write_to(&mut lines);
        assert_eq!(lines, "\n-delegation:delegation_a");
    }

    #[test]
    fn rows_of_before_there_were_delegations_are_read() {
        let hold = r#"{"permission":0,"amounts":{"calls":1},"bounded":true,"reserved_at":1,"deadline":2,"overdue":false,
            "record":{"provider":null,"model":"","endpoint":""}}"#;
        let stored = rows(&[("terms", TERMS_ROW), ("summary", SUMMARY_ROW), ("hold:3", hold)]);
        let Stored::Ledger { holds, delegations, .. } = Stored::of(stored).unwrap() else { panic!() };
        assert!(holds[0].1.shares.is_empty() && delegations.is_empty());
    }
}
