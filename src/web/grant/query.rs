//! Which calls the address of a page asks for, and addresses that ask for others.
//!
//! | parameter | |
//! |---|---|
//! | `model` | of this model |
//! | `status` | `ok`, `refused` (by the provider) or `none` (no answer) |
//! | `from`, `to` | days in UTC, as 2026-11-24; both count |
//! | `before`, `after` | the position of a call: those older, or newer, than it |
//!
//! Empty is absent, as forms send it. Everything else about a query is nobody's business.

use url::form_urlencoded::Serializer;

use crate::domain::{
    calls::{CallFilter, Outcome, Position, Side},
    oauth::params::Params,
};

/// Longest model in a query: as long as one that a call can name.
const MAX_MODEL_BYTES: usize = 256;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub filter: CallFilter,
    pub side: Side,
}

/// Something that no link or form of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Asked {
    /// From the query of an address.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(query: &str) -> Result<Self, Unreadable> {
        let params = Params::parse(query.as_bytes());
        let one = |name| params.get(name).map_err(|_| Unreadable);
        let model = one("model")?;
        if model.is_some_and(|model| model.len() > MAX_MODEL_BYTES) {
            return Err(Unreadable);
        }
        let outcome = one("status")?.map(|text| {
            let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text);
            known.ok_or(Unreadable)
        });
        let day = |name| one(name)?.map(|text| text.parse().map_err(|_| Unreadable)).transpose();
        let position = |name| one(name)?.map(|text| text.parse().map_err(|_| Unreadable)).transpose();
        Ok(Self {
            filter: CallFilter {
                model: model.map(str::to_owned),
                outcome: outcome.transpose()?,
                from: day("from")?,
                to: day("to")?,
            },
            side: match (position("before")?, position("after")?) {
                (None, None) => Side::Newest,
                (Some(than), None) => Side::Older(than),
                (None, Some(than)) => Side::Newer(than),
                (Some(_), Some(_)) => return Err(Unreadable),
            },
        })
    }

    /// The query that asks for this.
    #[must_use]
    pub fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        let CallFilter { model, outcome, from, to } = &self.filter;
        if let Some(model) = model {
            query.append_pair("model", model);
        }
        if let Some(outcome) = outcome {
            query.append_pair("status", outcome.as_str());
        }
        for (name, day) in [("from", from), ("to", to)] {
            if let Some(day) = day {
                query.append_pair(name, &day.to_string());
            }
        }
        match self.side {
            Side::Newest => {}
            Side::Older(than) => drop(query.append_pair("before", &than.to_string())),
            Side::Newer(than) => drop(query.append_pair("after", &than.to_string())),
        }
        query.finish()
    }

    /// The same filter, seen from elsewhere.
    #[must_use]
    pub fn with_side(&self, side: Side) -> Self {
        Self { side, ..self.clone() }
    }

    /// An address with this query behind it.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        let query = self.query();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// The newest of the same calls.
    #[must_use]
    pub fn newest(&self) -> Self {
        self.with_side(Side::Newest)
    }

    /// Older than this.
    #[must_use]
    pub fn older(&self, than: Position) -> Self {
        self.with_side(Side::Older(than))
    }

    /// Newer than this.
    #[must_use]
    pub fn newer(&self, than: Position) -> Self {
        self.with_side(Side::Newer(than))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_form_asks_for_everything() {
        for query in ["", "model=&status=&from=&to=", "saved", "paused", "utm=1"] {
            assert_eq!(Asked::read(query), Ok(Asked::default()), "{query}");
        }
    }

    #[test]
    fn each_part_is_read_and_kept_in_links() {
        let query = "model=gpt-5%2Fmini+x&status=refused&from=2026-11-01&to=2026-11-24&before=1700000000123.7";
        let asked = Asked::read(query).unwrap();
        assert_eq!(asked.filter.model.as_deref(), Some("gpt-5/mini x"));
        assert_eq!(asked.query(), query);
        let newest = asked.newest();
        assert_eq!(newest.query(), query.rsplit_once('&').unwrap().0);
        assert_eq!(Asked::default().address("/grants/g"), "/grants/g");
        assert_eq!(newest.address("/x").split('?').nth(1), Some(newest.query().as_str()));
    }

    #[test]
    fn what_no_link_says_is_refused() {
        for query in [
            "status=maybe",
            "status=200",
            "from=yesterday",
            "to=2026-02-30",
            "before=1",
            "after=-1.1",
            "before=1.1&after=1.1",
            "model=a&model=a",
            "from=2026-01-01&from=2026-01-01",
        ] {
            assert_eq!(Asked::read(query), Err(Unreadable), "{query}");
        }
        assert_eq!(Asked::read(&format!("model={}", "m".repeat(257))), Err(Unreadable));
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused_and_what_is_read_makes_the_same_again(query in ".{0,80}") {
            if let Ok(asked) = Asked::read(&query) {
                prop_assert_eq!(Asked::read(&asked.query()), Ok(asked));
            }
        }

        #[test]
        fn any_model_stays_one_parameter(model in ".{1,40}") {
            let filter = CallFilter { model: Some(model), ..CallFilter::default() };
            let asked = Asked { filter, side: Side::Newest };
            prop_assert_eq!(Asked::read(&asked.query()), Ok(asked.clone()));
            let is_plain = asked.query().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=%+-_.*".contains(&byte));
            prop_assert!(is_plain, "{}", asked.query());
        }
    }
}
