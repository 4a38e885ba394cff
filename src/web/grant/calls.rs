//! Every call of a grant, as people read them.

use super::{page::GrantPage, query::Asked};
use crate::{
    domain::{
        calls::{CallFilter, CallQuery, Outcome, Side},
        id::GrantId,
        ledger::Basis,
        money::NanoUsd,
        time::Timestamp,
    },
    web::{
        format::{Round, thousands, usd},
        language::{Language, Moment},
        ports::{Booking, CallSum, Ports, StoreError},
        state::AppState,
    },
};

/// Calls on a page.
pub const PAGE: u32 = 50;
/// Most calls that are added up, and most that one file holds.
pub const MOST: u32 = 100_000;
/// Most models to choose from.
const MAX_MODELS: u32 = 100;

/// A page of calls.
pub struct CallsView {
    pub rows: Vec<CallView>,
    /// To choose from.
    pub models: Vec<Choice>,
    pub outcomes: Vec<Choice>,
    pub from: String,
    pub to: String,
    pub is_filtered: bool,
    /// Whether it is the first page.
    pub is_newest: bool,
    /// What the filtered calls come to.
    pub sum: Option<String>,
    /// More calls than one file holds.
    pub is_more_than_a_file: bool,
    /// Addresses.
    pub here: String,
    pub newest: Option<String>,
    pub newer: Option<String>,
    pub older: Option<String>,
    pub csv: String,
    pub json: String,
}

/// One of several to choose.
pub struct Choice {
    pub value: String,
    pub label: String,
    pub chosen: bool,
}

/// A call.
pub struct CallView {
    pub at: Moment,
    /// To the second.
    pub time: String,
    /// The model, or what else it was.
    pub what: String,
    pub endpoint: String,
    pub tokens: String,
    pub cost: String,
    pub status: String,
    pub duration: String,
    pub basis: &'static str,
    /// What it cost above what was held for it.
    pub over_bound: Option<String>,
    /// The delegation that called.
    pub delegation: Option<String>,
    pub is_at_most: bool,
}

/// The calls that are asked for, and everything around them. `requests_used`: of the whole grant, by its ledger.
pub async fn read<P: Ports>(
    state: &AppState<P>,
    id: &GrantId,
    asked: &Asked,
    requests_used: u64,
    language: Language,
) -> Result<CallsView, StoreError> {
    // One more than is shown says whether there are more.
    let query = CallQuery { filter: asked.filter.clone(), side: asked.side, limit: PAGE + 1 };
    let calls = state.ports.list_calls(id, &query).await?;
    let models = state.ports.list_called_models(id, MAX_MODELS).await?;
    let sum =
        if asked.filter.is_all() { None } else { Some(state.ports.sum_calls(id, &asked.filter, MOST + 1).await?) };
    let mut view = CallsView::new(id, asked, calls, state.now, language);
    view.models = choices_of_models(models, asked.filter.model.as_deref(), language);
    view.is_more_than_a_file = sum.map_or(requests_used, |sum| sum.calls) > u64::from(MOST);
    view.sum = sum.map(|sum| said(sum, language));
    Ok(view)
}

/// The newest calls alone, to be read again and again.
pub async fn read_newest<P: Ports>(
    state: &AppState<P>,
    id: &GrantId,
    language: Language,
) -> Result<CallsView, StoreError> {
    let query = CallQuery { filter: CallFilter::default(), side: Side::Newest, limit: PAGE + 1 };
    let calls = state.ports.list_calls(id, &query).await?;
    Ok(CallsView::new(id, &Asked::default(), calls, state.now, language))
}

impl CallsView {
    /// Of one page, and one call more where there is one.
    fn new(id: &GrantId, asked: &Asked, mut calls: Vec<Booking>, now: Timestamp, language: Language) -> Self {
        let page = PAGE as usize;
        let has_more = calls.len() > page;
        let is_towards_newer = matches!(asked.side, Side::Newer(_));
        if has_more {
            // The one too many is the farthest.
            drop(calls.remove(if is_towards_newer { 0 } else { page }));
        }
        let (first, last) = (calls.first().map(Booking::position), calls.last().map(Booking::position));
        let has_newer = if is_towards_newer { has_more } else { asked.side != Side::Newest };
        let has_older = is_towards_newer || has_more;
        let path = format!("/grants/{id}");
        let calls_path = format!("{path}/calls");
        let linked = |asked: &Asked| format!("{}#calls", asked.address(&calls_path));
        let of_all = asked.newest();
        let day = |day: Option<crate::domain::day::Day>| day.map(|day| day.to_string()).unwrap_or_default();
        Self {
            rows: calls.iter().map(|call| CallView::new(call, now, language)).collect(),
            models: Vec::new(),
            outcomes: choices_of_outcomes(asked.filter.outcome, language),
            from: day(asked.filter.from),
            to: day(asked.filter.to),
            is_filtered: !asked.filter.is_all(),
            is_newest: asked.side == Side::Newest,
            sum: None,
            is_more_than_a_file: false,
            // Without a fragment: to a place on the page that is shown already a browser only scrolls.
            here: asked.address(&calls_path),
            newest: (asked.side != Side::Newest).then(|| linked(&of_all)),
            newer: first.filter(|_| has_newer).map(|than| linked(&asked.newer(than))),
            older: last.filter(|_| has_older).map(|than| linked(&asked.older(than))),
            csv: of_all.address(&format!("{path}/calls.csv")),
            json: of_all.address(&format!("{path}/calls.json")),
        }
    }

    /// Whether some call was booked at what it can have cost at most.
    pub fn shows_at_most(&self) -> bool {
        self.rows.iter().any(|call| call.is_at_most)
    }
}

impl GrantPage {
    /// With its calls. `Err`: they can't be read.
    pub fn with_calls(mut self, calls: Result<CallsView, StoreError>) -> Self {
        self.calls = calls.ok();
        self
    }
}

fn said(sum: CallSum, language: Language) -> String {
    if sum.calls > u64::from(MOST) {
        return language.with("More than {0} calls", &[&thousands(u64::from(MOST))]);
    }
    let calls = language.count(sum.calls, "{0} call", "{0} calls");
    language.with("{0}, {1} USD together", &[&calls, &usd(sum.cost, Round::Up)])
}

fn choices_of_models(models: Vec<String>, chosen: Option<&str>, language: Language) -> Vec<Choice> {
    let every = Choice { value: String::new(), label: language.t("Every model").to_owned(), chosen: chosen.is_none() };
    // One that was typed into the address, or is beyond those that are listed.
    let unlisted = chosen.filter(|chosen| !models.iter().any(|model| model == chosen)).map(str::to_owned);
    let listed = models.into_iter().chain(unlisted).map(|model| {
        let chosen = chosen == Some(model.as_str());
        Choice { label: model.clone(), value: model, chosen }
    });
    core::iter::once(every).chain(listed).collect()
}

fn choices_of_outcomes(chosen: Option<Outcome>, language: Language) -> Vec<Choice> {
    let label = |outcome| match outcome {
        None => language.t("Any answer"),
        Some(Outcome::Answered) => language.t("Answered"),
        Some(Outcome::Refused) => language.t("Refused by the provider"),
        Some(Outcome::NoAnswer) => language.t("No answer"),
    };
    let all = core::iter::once(None).chain(Outcome::ALL.map(Some));
    let choice = |outcome: Option<Outcome>| Choice {
        value: outcome.map_or("", Outcome::as_str).to_owned(),
        label: label(outcome).to_owned(),
        chosen: outcome == chosen,
    };
    all.map(choice).collect()
}

impl CallView {
    fn new(call: &Booking, now: Timestamp, language: Language) -> Self {
        let (basis, is_at_most) = match call.basis {
            Basis::Usage if call.cost == NanoUsd::ZERO && call.tokens == 0 => (language.t("nothing was billed"), false),
            Basis::Usage => (language.t("as the provider counted"), false),
            Basis::Bound => (language.t("at most: the provider did not say"), true),
            Basis::Overdue => (language.t("at most: nobody reported how it ended"), true),
            Basis::Unaccounted => (language.t("at most: set aside for calls that a crash made doubtful"), true),
            Basis::Released => (language.t("nothing was billed"), false),
        };
        let at = Moment::new(call.reserved_at, now);
        let provider = call.provider.map_or(language.t("a provider"), |provider| provider.display_name());
        let cost = usd(call.cost, Round::Up);
        Self {
            at,
            time: at.machine().replace('T', " ").replace('Z', " UTC"),
            what: match (call.basis, call.model.as_str()) {
                (Basis::Unaccounted, "") => language.t("Calls that a crash made doubtful").to_owned(),
                (_, "") => language.with("Models of {0}", &[&provider]),
                (_, model) => model.to_owned(),
            },
            endpoint: call.endpoint.clone(),
            tokens: tokens(call, is_at_most, language),
            cost: if is_at_most { language.with("at most {0} USD", &[&cost]) } else { format!("{cost} USD") },
            status: match call.status {
                0 => language.t("no answer").to_owned(),
                status => language.with("answered {0}", &[&status]),
            },
            duration: duration(call.duration_ms, language),
            basis,
            over_bound: (!call.over_bound.is_zero()).then(|| usd(call.over_bound, Round::Up)),
            delegation: call.delegation.as_ref().map(|id| super::delegations::short(id.as_str())),
            is_at_most,
        }
    }
}

fn tokens(call: &Booking, is_at_most: bool, language: Language) -> String {
    let said = call.input_tokens > 0 || call.output_tokens > 0;
    let (read, written) = (thousands(call.input_tokens), thousands(call.output_tokens));
    match (said, call.cached_tokens, call.tokens) {
        (true, 0, _) => language.with("{0} tokens read, {1} written", &[&read, &written]),
        (true, cached, _) => {
            let arguments: [&dyn core::fmt::Display; 3] = [&read, &thousands(cached), &written];
            language.with("{0} tokens read ({1} from a cache), {2} written", &arguments)
        }
        (false, _, 0) => String::new(),
        (false, _, tokens) if is_at_most => language.with("at most {0} tokens", &[&thousands(tokens)]),
        (false, _, tokens) => language.with("{0} tokens", &[&thousands(tokens)]),
    }
}

/// `0.4 s`; nothing where nobody knows.
fn duration(ms: u64, language: Language) -> String {
    match ms {
        0 => String::new(),
        1..10_000 => language.with("{0}.{1} s", &[&(ms / 1000), &(ms % 1000 / 100)]),
        _ => language.with("{0} s", &[&thousands(ms / 1000)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_392_000);
    const ENGLISH: Language = Language::English;

    fn call(hold: u64) -> Booking {
        Booking {
            hold,
            reserved_at: NOW,
            duration_ms: 0,
            provider: None,
            model: "m".to_owned(),
            endpoint: "/v1/x".to_owned(),
            status: 200,
            input_tokens: 0,
            cached_tokens: 0,
            output_tokens: 0,
            tokens: 0,
            cost: NanoUsd::ZERO,
            over_bound: NanoUsd::ZERO,
            basis: Basis::Usage,
            delegation: None,
            request_id: String::new(),
        }
    }

    fn view(asked: &str, calls: impl IntoIterator<Item = u64>) -> CallsView {
        let id = "grant_a".parse().unwrap();
        let calls = calls.into_iter().map(call).collect();
        CallsView::new(&id, &Asked::read(asked).unwrap(), calls, NOW, ENGLISH)
    }

    fn links(view: &CallsView) -> [Option<&str>; 3] {
        [view.newest.as_deref(), view.newer.as_deref(), view.older.as_deref()]
    }

    #[test]
    fn the_first_page_leads_on_only_where_there_is_more() {
        assert_eq!(links(&view("", [3, 2, 1])), [None; 3]);
        let full = view("status=ok", (1..=51).rev());
        assert_eq!(full.rows.len(), 50);
        assert_eq!(links(&full), [None, None, Some("/grants/grant_a/calls?status=ok&before=1795392000000.2#calls")]);
    }

    #[test]
    fn a_later_page_leads_both_ways_and_keeps_the_filter() {
        let page = view("model=m&before=1795392000000.99", [3, 2]);
        let newest = Some("/grants/grant_a/calls?model=m#calls");
        assert_eq!(links(&page), [newest, Some("/grants/grant_a/calls?model=m&after=1795392000000.3#calls"), None]);
    }

    #[test]
    fn towards_the_newer_the_one_too_many_is_the_newest() {
        let page = view("after=1795392000000.0", (1..=51).rev());
        assert_eq!(page.rows.len(), 50);
        assert!(page.newer.as_deref().unwrap().contains("after=1795392000000.50"));
        assert!(page.older.as_deref().unwrap().contains("before=1795392000000.1"));
        assert_eq!(view("after=1795392000000.0", [1]).newer, None);
    }

    #[test]
    fn the_link_that_refreshes_asks_for_the_page_and_not_for_a_place_on_it() {
        assert_eq!(view("model=m&before=1.1", [1]).here, "/grants/grant_a/calls?model=m&before=1.1");
    }

    #[test]
    fn files_hold_what_the_filter_says_from_the_newest_on() {
        let page = view("model=a%26b&after=1.1", [1]);
        assert_eq!(page.csv, "/grants/grant_a/calls.csv?model=a%26b");
        assert_eq!(page.json, "/grants/grant_a/calls.json?model=a%26b");
    }

    #[test]
    fn a_model_that_is_not_listed_can_stay_chosen() {
        let choices = choices_of_models(vec!["a".to_owned()], Some("z"), ENGLISH);
        let chosen: Vec<_> = choices.iter().map(|choice| (choice.value.as_str(), choice.chosen)).collect();
        assert_eq!(chosen, [("", false), ("a", false), ("z", true)]);
    }

    #[test]
    fn tokens_from_a_cache_are_named() {
        let cached = Booking { input_tokens: 1_200, cached_tokens: 1_000, output_tokens: 34, ..call(1) };
        assert_eq!(tokens(&cached, false, ENGLISH), "1,200 tokens read (1,000 from a cache), 34 written");
    }

    #[test]
    fn a_duration_is_told_in_seconds() {
        let said = [0, 1, 440, 9_999, 61_000].map(|ms| duration(ms, ENGLISH));
        assert_eq!(said, ["", "0.0 s", "0.4 s", "9.9 s", "61 s"]);
    }

    #[test]
    fn a_sum_says_when_it_did_not_look_at_everything() {
        let sum = |calls| said(CallSum { calls, cost: NanoUsd(1_000_000_000) }, ENGLISH);
        assert_eq!(sum(1), "1 call, 1.00 USD together");
        assert_eq!(sum(100_000), "100,000 calls, 1.00 USD together");
        assert_eq!(sum(100_001), "More than 100,000 calls");
    }
}
