//! The tables of a ledger's object.
//!
//! `entries (key, value)`:
//!
//! | key | value |
//! |---|---|
//! | `grant` | whose ledger it is |
//! | `terms` | the grant's terms, copied from D1 when the grant was first used; after that D1 is not needed |
//! | `summary` | [`Summary`] |
//! | `hold:<n>` | a [`Hold`] |
//! | `revoked` | there when the grant was revoked before its terms were known; outweighs everything else |
//!
//! `events (hold, revision, value)`: bookings that D1 was not told yet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use worker::SqlStorage;

use crate::domain::{
    grant::Terms,
    id::GrantId,
    ledger::{Effect, Event, Hold, HoldId, Summary},
    time::Timestamp,
};

const GRANT: &str = "grant";
const TERMS: &str = "terms";
const SUMMARY: &str = "summary";
const HOLD: &str = "hold:";
const REVOKED: &str = "revoked";

/// The platform takes at most 100 parameters in a statement.
const MAX_ROWS_PER_STATEMENT: usize = 50;

const SAVE: &str =
    "INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DROP: &str = "DELETE FROM entries WHERE key = ?";
const BOOK: &str = "INSERT INTO events (hold, revision, value) VALUES (?, ?, ?) ON CONFLICT (hold) DO UPDATE SET \
                    revision = excluded.revision, value = excluded.value";

/// What an object holds.
pub enum Stored {
    /// Nothing.
    Nothing,
    /// A note that the grant was revoked.
    Revoked(Option<GrantId>),
    /// A ledger.
    Ledger {
        /// Whose.
        grant_id: Option<GrantId>,
        /// What is enforced.
        terms: Box<Terms>,
        /// What was counted.
        summary: Box<Summary>,
        /// The holds that have a row.
        holds: Vec<(HoldId, Hold)>,
    },
}

/// What one command changes.
#[derive(Debug, Default)]
pub struct Writes {
    entries: BTreeMap<String, Option<String>>,
    events: Vec<(HoldId, u32, String)>,
    /// When the ledger wants to be woken.
    pub wakes_at: Option<Timestamp>,
}

impl Writes {
    /// From the effects of a command.
    ///
    /// # Errors
    /// Something can't be written as JSON.
    pub fn of(effects: Vec<Effect>) -> worker::Result<Self> {
        let mut writes = Self::default();
        for effect in effects {
            match effect {
                Effect::SaveTerms(terms) => writes.save(TERMS.to_owned(), &terms)?,
                Effect::SaveSummary(summary) => writes.save(SUMMARY.to_owned(), &summary)?,
                Effect::SaveHold(id, hold) => writes.save(key(id), &hold)?,
                Effect::DropHold(id) => drop(writes.entries.insert(key(id), None)),
                Effect::Book(event) => writes.events.push((event.hold, event.revision, text(&event)?)),
                Effect::WakeAt(at) => writes.wakes_at = Some(at),
            }
        }
        Ok(writes)
    }

    /// A note that a grant is revoked whose terms are not known.
    #[must_use]
    pub fn of_revocation(grant_id: &GrantId) -> Self {
        let entries = [(REVOKED, "true"), (GRANT, grant_id.as_str())];
        let entries = entries.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
        Self { entries: entries.into(), ..Self::default() }
    }

    /// Whose ledger it is and what was agreed, unless the command has changed just that.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn add_origin(&mut self, grant_id: &GrantId, terms: &Terms) -> worker::Result<()> {
        self.entries.insert(GRANT.to_owned(), Some(grant_id.as_str().to_owned()));
        if !self.entries.contains_key(TERMS) {
            self.save(TERMS.to_owned(), terms)?;
        }
        Ok(())
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.events.is_empty()
    }

    /// Whether something was booked.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    fn save(&mut self, key: String, value: &impl Serialize) -> worker::Result<()> {
        self.entries.insert(key, Some(text(value)?));
        Ok(())
    }
}

#[derive(Deserialize)]
struct EntryRow {
    key: String,
    value: String,
}

#[derive(Deserialize)]
struct EventRow {
    value: String,
}

/// The object's storage.
pub struct Storage(SqlStorage);

impl Storage {
    /// Over the platform's.
    #[must_use]
    pub const fn new(sql: SqlStorage) -> Self {
        Self(sql)
    }

    /// Everything that is stored, but for the bookings.
    ///
    /// # Errors
    /// It can't be read.
    pub fn load(&self) -> worker::Result<Stored> {
        self.0.exec(
            "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
            None,
        )?;
        self.0.exec(
            "CREATE TABLE IF NOT EXISTS events (hold INTEGER PRIMARY KEY, revision INTEGER NOT NULL, value TEXT NOT NULL)",
            None,
        )?;
        let rows: Vec<EntryRow> = self.0.exec("SELECT key, value FROM entries", None)?.to_array()?;
        let mut entries: BTreeMap<String, String> = rows.into_iter().map(|row| (row.key, row.value)).collect();
        let grant_id = entries.remove(GRANT).and_then(|id| id.try_into().ok());
        if entries.contains_key(REVOKED) {
            return Ok(Stored::Revoked(grant_id));
        }
        let (Some(terms), Some(summary)) = (entries.remove(TERMS), entries.remove(SUMMARY)) else {
            return Ok(Stored::Nothing);
        };
        let mut holds = Vec::new();
        for (key, value) in &entries {
            if let Some(id) = key.strip_prefix(HOLD).and_then(|id| id.parse().ok()) {
                holds.push((HoldId(id), parse(value)?));
            }
        }
        Ok(Stored::Ledger { grant_id, terms: parse(&terms)?, summary: parse(&summary)?, holds })
    }

    /// Nothing is awaited between its statements: one transaction.
    ///
    /// # Errors
    /// Nothing, or not all, was stored.
    pub fn write(&self, writes: &Writes) -> worker::Result<()> {
        for (key, value) in &writes.entries {
            match value {
                Some(value) => self.0.exec(SAVE, vec![key.as_str().into(), value.as_str().into()])?,
                None => self.0.exec(DROP, vec![key.as_str().into()])?,
            };
        }
        for (hold, revision, value) in &writes.events {
            self.0.exec(BOOK, vec![number(hold.0), i64::from(*revision).into(), value.as_str().into()])?;
        }
        Ok(())
    }

    /// Whether D1 has something to be told.
    ///
    /// # Errors
    /// It can't be read.
    pub fn has_events(&self) -> worker::Result<bool> {
        let rows: Vec<EventRow> = self.0.exec("SELECT '' AS value FROM events LIMIT 1", None)?.to_array()?;
        Ok(!rows.is_empty())
    }

    /// The oldest bookings that D1 was not told.
    ///
    /// # Errors
    /// They can't be read.
    pub fn events(&self, most: u32) -> worker::Result<Vec<Event>> {
        let rows: Vec<EventRow> =
            self.0.exec("SELECT value FROM events ORDER BY hold LIMIT ?", vec![i64::from(most).into()])?.to_array()?;
        rows.iter().map(|row| parse(&row.value)).collect()
    }

    /// D1 knows them. One that was corrected meanwhile stays.
    ///
    /// # Errors
    /// They are told again.
    pub fn drop_events(&self, events: &[Event]) -> worker::Result<()> {
        for chunk in events.chunks(MAX_ROWS_PER_STATEMENT) {
            let told = vec!["(?, ?)"; chunk.len()].join(", ");
            let values = chunk
                .iter()
                .flat_map(|event| [number(event.hold.0), i64::from(event.revision).into()])
                .collect::<Vec<_>>();
            self.0.exec(&format!("DELETE FROM events WHERE (hold, revision) IN (VALUES {told})"), values)?;
        }
        Ok(())
    }
}

fn key(id: HoldId) -> String {
    format!("{HOLD}{}", id.0)
}

/// Stays below 2^53 for as long as a ledger lives.
fn number(number: u64) -> worker::SqlStorageValue {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

fn parse<T: DeserializeOwned>(value: &str) -> worker::Result<T> {
    Ok(serde_json::from_str(value)?)
}

fn text(value: &impl Serialize) -> worker::Result<String> {
    Ok(serde_json::to_string(value)?)
}
