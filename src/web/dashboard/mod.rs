//! `/` for somebody who is signed in: what their apps used in a month, and what they should look at.
//!
//! A member is also told what is left of what the operator allows them. The sums are kept while calls are booked ([`UsageSums`](super::ports::UsageSums)), so that the page is as fast after a
//! million calls as after the first. No ledger is asked but those of grants that a notice is about, and that of a member's account.

mod attention;
mod chart;

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use futures_util::future::join3;

use attention::{Attention, Notice};
use chart::{BARS, Column, Measure, columns};

use super::{
    allowance,
    format::{Round, thousands, usd},
    frame::Frame,
    language::{Language, Moment, filters},
    ports::{MonthSums, Ports, Sum},
    state::{AppState, LogDetail},
    trouble::Trouble,
    usage::Allowed,
    visitor::Visitor,
};
use crate::domain::{money::NanoUsd, month::Month, oauth::params::Params, time::Timestamp};

/// Most rows of a table.
const MOST: u32 = 50;
/// Every so many days one is named below its column.
const NAMED_DAYS: u64 = 7;
const SECONDS_PER_DAY: u64 = 86_400;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    frame: Frame,
    /// Whether they never allowed anything.
    is_new: bool,
    attention: Attention,
    /// Of a member.
    allowance: Option<Allowed>,
    month: String,
    is_this_month: bool,
    before: Option<Link>,
    after: Option<Link>,
    total: Figures,
    measure: Measure,
    days: Days,
    apps: Ranking,
    models: Ranking,
}

/// Another month.
struct Link {
    address: String,
    name: String,
}

/// What calls came to, in words.
struct Figures {
    has_calls: bool,
    money: String,
    calls: String,
    tokens: String,
}

/// A month, day by day.
struct Days {
    columns: Vec<DayColumn>,
    /// The highest column, in words.
    most: String,
    most_on: String,
    ground: String,
    ceiling: String,
    rows: Vec<Row>,
}

struct DayColumn {
    shape: Column,
    /// Day and figures, in words.
    title: String,
    /// Below it, where it is named.
    name: Option<String>,
}

/// Apps or models, those first that used most.
struct Ranking {
    bars: Vec<Bar>,
    rows: Vec<Row>,
}

struct Bar {
    row: Row,
    width: String,
    share: String,
}

/// A row of a table.
#[derive(Clone)]
struct Row {
    name: String,
    /// What stands small beside the name; may be empty.
    note: &'static str,
    money: String,
    calls: String,
    tokens: String,
}

/// The page of the month that the query names, else of the present one.
///
/// # Errors
/// The database can't answer. What there is to look at, and a member's allowance, may be missing without hiding the rest.
pub async fn show<P: Ports>(
    state: &AppState<P>,
    frame: Frame,
    visitor: &Visitor,
    query: &str,
) -> Result<Response<Body>, Trouble> {
    let (now, language, user) = (state.now, frame.language, &visitor.user.id);
    let this = Month::of(now);
    let asked = Params::parse(query.as_bytes()).field("month").parse().ok();
    let month = asked.filter(|month| *month <= this).unwrap_or(this);
    let look = async {
        if month == this { Attention::of(&state.ports, visitor, now, language).await } else { Attention::default() }
    };
    let allowed = async { if month == this { allowance::of(state, &visitor.user).await } else { Ok(None) } };
    let (sums, mut attention, allowed) = join3(state.ports.sum_month(user, month, MOST), look, allowed).await;
    let sums = sums?;
    let allowed = allowed.unwrap_or_else(|error| {
        attention.failures.push(error);
        None
    });
    let is_empty = sums.days.is_empty() && sums.before.is_none() && sums.after.is_none();
    let is_new = is_empty && !state.ports.has_grants(user, now).await?;
    let failures: Vec<String> = attention.failures.iter().map(|error| error.0.clone()).collect();
    let mut page = DashboardPage::new(frame.clone(), is_new, attention, &sums, month, now);
    page.allowance = allowed.map(|allowance| Allowed::new(&allowance, now, language));
    let mut response = frame.html(StatusCode::OK, &page);
    if !failures.is_empty() {
        response.extensions_mut().insert(LogDetail(failures.join("; ")));
    }
    Ok(response)
}

impl DashboardPage {
    fn new(frame: Frame, is_new: bool, attention: Attention, sums: &MonthSums, month: Month, now: Timestamp) -> Self {
        let (this, language) = (Month::of(now), frame.language);
        let total = sums.days.iter().fold(Sum::default(), |total, day| add(total, &day.sum));
        let measure = Measure::of(&total);
        let apps: Vec<_> = sums.apps.iter().map(|app| (app.name.clone(), "", app.sum)).collect();
        let models = sums.models.iter().map(|used| {
            let name = if used.model.is_empty() { language.t("no model").to_owned() } else { used.model.clone() };
            (name, used.provider.map_or("", |provider| provider.display_name()), used.sum)
        });
        let later = sums.after.filter(|after| *after <= this).or_else(|| (month < this).then_some(this));
        Self {
            is_new,
            attention,
            allowance: None,
            month: name_of(month, language),
            is_this_month: month == this,
            before: sums.before.map(|month| Link::to(month, this, language)),
            after: later.map(|month| Link::to(month, this, language)),
            total: Figures::new(&total, language),
            measure,
            days: Days::new(sums, month, measure, language),
            apps: Ranking::new(&apps, sums.app_count, &total, measure, language),
            models: Ranking::new(&models.collect::<Vec<_>>(), sums.model_count, &total, measure, language),
            frame,
        }
    }
}

fn add(total: Sum, more: &Sum) -> Sum {
    Sum {
        calls: total.calls.saturating_add(more.calls),
        tokens: total.tokens.saturating_add(more.tokens),
        cost: NanoUsd(total.cost.0.saturating_add(more.cost.0)),
    }
}

fn less(total: Sum, part: &Sum) -> Sum {
    Sum {
        calls: total.calls.saturating_sub(part.calls),
        tokens: total.tokens.saturating_sub(part.tokens),
        cost: total.cost.minus(part.cost),
    }
}

fn money(cost: NanoUsd) -> String {
    format!("{} USD", usd(cost, Round::Up))
}

fn calls(count: u64, language: Language) -> String {
    language.count(count, "{0} call", "{0} calls")
}

/// `November 2026`; in Korean `2026년 11월`.
fn name_of(month: Month, language: Language) -> String {
    let (year, number) = month.date();
    match language {
        Language::English => {
            let name = usize::try_from(number).ok().and_then(|number| MONTHS.get(number.saturating_sub(1)));
            format!("{} {year}", name.unwrap_or(&""))
        }
        Language::Korean => format!("{year}년 {number}월"),
    }
}

impl Link {
    fn to(month: Month, this: Month, language: Language) -> Self {
        let address = if month == this { "/".to_owned() } else { format!("/?month={month}") };
        Self { address, name: name_of(month, language) }
    }
}

impl Figures {
    fn new(sum: &Sum, language: Language) -> Self {
        Self {
            has_calls: sum.calls > 0 || sum.cost.0 > 0,
            money: money(sum.cost),
            calls: calls(sum.calls, language),
            tokens: language.count(sum.tokens, "{0} token", "{0} tokens"),
        }
    }
}

impl Row {
    fn new(name: String, note: &'static str, sum: &Sum) -> Self {
        Self { name, note, money: money(sum.cost), calls: thousands(sum.calls), tokens: thousands(sum.tokens) }
    }
}

impl Days {
    fn new(sums: &MonthSums, month: Month, measure: Measure, language: Language) -> Self {
        let first = month.first_day();
        let mut by_day = vec![Sum::default(); usize::try_from(month.days()).unwrap_or(0)];
        for day in &sums.days {
            let index = day.day.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            if let Some(sum) = index.and_then(|index| by_day.get_mut(index)) {
                *sum = day.sum;
            }
        }
        let date = |day: u64| {
            let at = Timestamp::from_seconds(day * SECONDS_PER_DAY);
            Moment::new(at, at).date(language)
        };
        let figure = |sum: &Sum| match measure {
            Measure::Money => money(sum.cost),
            Measure::Calls => calls(sum.calls, language),
        };
        let amounts: Vec<u64> = by_day.iter().map(|sum| measure.amount(sum)).collect();
        let most = (first..).zip(&by_day).max_by_key(|(day, sum)| (measure.amount(sum), u64::MAX - day));
        let column = |((index, sum), shape): ((u64, &Sum), Column)| DayColumn {
            shape,
            title: format!("{}: {}, {}", date(first + index), money(sum.cost), calls(sum.calls, language)),
            name: index.is_multiple_of(NAMED_DAYS).then(|| (index + 1).to_string()),
        };
        Self {
            columns: (0..).zip(&by_day).zip(columns(&amounts)).map(column).collect(),
            most: most.map(|(_, sum)| figure(sum)).unwrap_or_default(),
            most_on: most.map(|(day, _)| date(day)).unwrap_or_default(),
            ground: chart::ground(),
            ceiling: chart::ceiling(),
            rows: sums.days.iter().map(|day| Row::new(date(day.day), "", &day.sum)).collect(),
        }
    }
}

impl Ranking {
    /// `count`: how many there are, of which those are given that used most.
    fn new(
        ranked: &[(String, &'static str, Sum)],
        count: u64,
        total: &Sum,
        measure: Measure,
        language: Language,
    ) -> Self {
        let others = |shown: &[(String, &'static str, Sum)]| {
            let rest = shown.iter().fold(*total, |rest, (_, _, sum)| less(rest, sum));
            let more = count.saturating_sub(u64::try_from(shown.len()).unwrap_or(count));
            (more > 0).then(|| (language.count(more, "{0} other", "{0} others"), "", rest))
        };
        // One that would stand alone behind the bars has one of its own.
        let bars = if ranked.len() == BARS + 1 { BARS + 1 } else { BARS };
        let shown = ranked.get(..bars).unwrap_or(ranked);
        let drawn: Vec<_> = shown.iter().cloned().chain(others(shown)).collect();
        let widest = drawn.iter().map(|(_, _, sum)| measure.amount(sum)).max().unwrap_or(0);
        let bars = drawn.into_iter().map(|(name, note, sum)| Bar {
            width: chart::width(measure.amount(&sum), widest),
            share: chart::share(measure.amount(&sum), measure.amount(total)),
            row: Row::new(name, note, &sum),
        });
        let listed = ranked.iter().cloned().chain(others(ranked));
        Self { bars: bars.collect(), rows: listed.map(|(name, note, sum)| Row::new(name, note, &sum)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{id::ClientId, permission::Provider},
        web::{
            allowance::Allowance,
            ports::{AppSum, DaySum, ModelSum},
        },
    };

    /// 2026-11-24T12:00:00Z.
    const NOW: Timestamp = Timestamp::from_seconds(1_795_521_600);

    fn sum(nano_usd: u64, calls: u64) -> Sum {
        Sum { calls, tokens: calls * 30, cost: NanoUsd(nano_usd) }
    }

    fn app(number: u64, sum: Sum) -> AppSum {
        AppSum { id: ClientId::from_entropy([0; 16]), name: format!("App {number}"), sum }
    }

    fn page(sums: &MonthSums, month: &str) -> DashboardPage {
        DashboardPage::new(Frame::default(), false, Attention::default(), sums, month.parse().unwrap(), NOW)
    }

    fn rendered(page: &DashboardPage) -> String {
        page.render_with_values(&page.frame.language).unwrap()
    }

    /// A month in which `count` apps used 1, 2, 3 … USD.
    fn of_apps(count: u64) -> MonthSums {
        let usd = |number: u64| sum(number * 1_000_000_000, number);
        let total = (1..=count).fold(Sum::default(), |total, number| add(total, &usd(number)));
        MonthSums {
            apps: (1..=count).rev().map(|number| app(number, usd(number))).collect(),
            app_count: count,
            days: vec![DaySum { day: NOW.day(), sum: total }],
            ..MonthSums::default()
        }
    }

    #[test]
    fn the_app_that_used_most_has_the_longest_bar_and_figures_beside_it() {
        let page = page(&of_apps(2), "2026-11");
        let bars: Vec<_> = page.apps.bars.iter().map(|bar| (&*bar.row.name, &*bar.row.money, &*bar.width)).collect();
        assert_eq!(bars, [("App 2", "2.00 USD", "100.00%"), ("App 1", "1.00 USD", "50.00%")]);
        assert_eq!(page.apps.bars[0].share, "67 %");
    }

    #[test]
    fn what_comes_behind_the_bars_is_one_bar_and_nothing_is_lost() {
        let names = |count| -> Vec<String> {
            page(&of_apps(count), "2026-11").apps.bars.into_iter().map(|bar| bar.row.name).collect()
        };
        assert_eq!(names(9).len(), 9, "one alone is named");
        let ten = names(10);
        assert_eq!((ten.len(), ten[8].as_str()), (9, "2 others"));
        let page = page(&of_apps(10), "2026-11");
        assert_eq!((&*page.apps.bars[8].row.money, page.apps.rows.len()), ("3.00 USD", 10));
    }

    #[test]
    fn apps_beyond_those_that_were_read_are_counted_among_the_others() {
        let sums = MonthSums { app_count: 5_000, ..of_apps(50) };
        let page = page(&sums, "2026-11");
        assert_eq!(page.apps.bars.last().unwrap().row.name, "4,992 others");
        assert_eq!(page.apps.rows.last().unwrap().name, "4,950 others");
    }

    #[test]
    fn every_day_of_the_month_has_a_column_and_the_highest_is_named() {
        let day = |day: u64, nano_usd| DaySum { day: NOW.day() - 24 + day, sum: sum(nano_usd, 1) };
        let sums = MonthSums { days: vec![day(3, 5_000_000), day(24, 20_000_000)], ..MonthSums::default() };
        let page = page(&sums, "2026-11");
        assert_eq!(page.days.columns.len(), 30);
        assert_eq!((&*page.days.most, &*page.days.most_on), ("0.02 USD", "24 Nov 2026"));
        assert_eq!(page.days.columns[2].title, "3 Nov 2026: 0.005 USD, 1 call");
        assert_eq!(page.days.columns[23].shape.y, page.days.ceiling);
        assert_eq!(page.total.money, "0.03 USD");
    }

    #[test]
    fn a_month_leads_to_the_nearest_others_and_never_beyond_the_present() {
        let month = |text: &str| text.parse().ok();
        let sums = MonthSums { before: month("2026-02"), after: None, ..MonthSums::default() };
        let october = page(&sums, "2026-10");
        assert_eq!(october.before.unwrap().address, "/?month=2026-02");
        assert_eq!(october.after.unwrap().address, "/");
        let sums = MonthSums { after: month("2026-12"), ..MonthSums::default() };
        assert!(page(&sums, "2026-11").after.is_none());
    }

    #[test]
    fn names_of_apps_and_models_are_text_and_nothing_else() {
        let name = "</title></svg><script>alert(1)</script>\"'&";
        let sums = MonthSums {
            apps: vec![AppSum { name: name.to_owned(), ..app(1, sum(1, 1)) }],
            app_count: 1,
            models: vec![ModelSum { provider: Some(Provider::OpenAi), model: name.to_owned(), sum: sum(1, 1) }],
            model_count: 1,
            days: vec![DaySum { day: NOW.day(), sum: sum(1, 1) }],
            ..MonthSums::default()
        };
        let text = rendered(&page(&sums, "2026-11"));
        assert!(!text.contains("<script>alert") && text.matches("&#60;script&#62;alert(1)").count() >= 4, "{text}");
    }

    #[test]
    fn a_member_reads_what_is_left_of_the_month_and_what_a_grant_may_spend() {
        let allowance = Allowance {
            spent: NanoUsd(12_500_000_000),
            held: NanoUsd::ZERO,
            per_month: "20".parse().ok(),
            per_grant: "2".parse().ok(),
            resets_at: NOW,
        };
        let mut page = page(&of_apps(1), "2026-11");
        assert!(!rendered(&page).contains("12.50 of"));
        page.allowance = Some(Allowed::new(&allowance, NOW, Language::English));
        let text = rendered(&page);
        for told in ["12.50 of 20.00 USD this month", "7.50 USD left", "at most 2.00 USD"] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }

    #[test]
    fn nothing_on_the_page_is_styled_in_place() {
        let text = rendered(&page(&of_apps(12), "2026-11"));
        assert!(!text.contains("style="), "{text}");
    }
}
