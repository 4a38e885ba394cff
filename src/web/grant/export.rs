//! `/grants/{grant_id}/calls.csv` and `…/calls.json`: the calls that the page shows, in a file.
//!
//! A file is written while it is sent, some thousand calls at a time: it is never in memory as a whole. It holds [`MOST`] calls at most,
//! the newest; where there are more, `link: <…>; rel="next"` (RFC 8288) leads to the file with those before, and JSON says so itself.
//! What goes wrong in the middle breaks the transfer off, so that no file looks whole that isn't.

use axum::{
    body::{Body, Bytes},
    extract::{Path, RawQuery},
    http::{HeaderName, HeaderValue, Response, header},
    response::IntoResponse,
};
use futures_util::stream::try_unfold;
use serde::Serialize;

use super::{calls::MOST, own_grant, query::Asked, unreadable};
use crate::{
    domain::{
        calls::{CallQuery, Outcome, Position, Side},
        day::Day,
        grant::Grant,
        id::{DelegationId, GrantId},
        permission::Provider,
    },
    web::{
        csv::record,
        language::Moment,
        ports::{Booking, Ports, StoreError},
        session::SignedIn,
        state::AppState,
        trouble::Trouble,
    },
};

/// Calls that are read at once: 40 times as many are a file, and the platform allows 50 queries for one answer on its free plan.
const CHUNK: u32 = 2_500;

/// The columns, and the fields of a call in JSON.
const COLUMNS: [&str; 19] = [
    "call",
    "time",
    "provider",
    "model",
    "endpoint",
    "outcome",
    "status",
    "duration_ms",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "booked_tokens",
    "cost_nano_usd",
    "cost_usd",
    "over_bound_nano_usd",
    "over_bound_usd",
    "basis",
    "delegation",
    "request_id",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
}

/// `GET /grants/{grant_id}/calls.csv`, with the same query as the page.
///
/// # Errors
/// No such grant of this person, a query that can't be read, or the database can't answer.
pub async fn csv<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    SignedIn { visitor, .. }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &visitor, &id).await?;
    export(state, grant, &query.unwrap_or_default(), Format::Csv).await
}

/// `GET /grants/{grant_id}/calls.json`, with the same query as the page.
///
/// # Errors
/// As [`csv`].
pub async fn json<P: Ports>(
    state: AppState<P>,
    Path(id): Path<String>,
    SignedIn { visitor, .. }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let grant = own_grant(&state, &visitor, &id).await?;
    export(state, grant, &query.unwrap_or_default(), Format::Json).await
}

async fn export<P: Ports>(
    state: AppState<P>,
    grant: Grant,
    query: &str,
    format: Format,
) -> Result<Response<Body>, Trouble> {
    let asked = Asked::read(query).ok().filter(|asked| !matches!(asked.side, Side::Newer(_)));
    let asked = asked.ok_or_else(|| unreadable(&grant.id))?;
    let whole = CallQuery { filter: asked.filter.clone(), side: asked.side, limit: MOST };
    let end = state.ports.end_of_calls(&grant.id, &whole).await?;
    let next = end.map(|end| asked.older(end).address(&format!("/grants/{}/calls.{}", grant.id, format.ending())));
    let name = format!("calls-{}-{}.{}", grant.id, Day::of(state.now), format.ending());
    let file = File { format, head: format.head(&grant, &asked, &state), tail: format.tail(next.as_deref()) };
    let mut response = Body::from_stream(file.stream(state, grant.id, asked, end)).into_response();
    let headers = [
        (header::CONTENT_TYPE, format.content_type().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", plain(&name))),
    ];
    let link = next.map(|next| (header::LINK, format!("<{next}>; rel=\"next\"")));
    for (name, value) in headers.into_iter().chain(link) {
        set(&mut response, name, &value);
    }
    Ok(response)
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// A name of a file: nothing in it ends the text that it stands in.
fn plain(name: &str) -> String {
    name.chars().filter(|char| char.is_ascii_alphanumeric() || "._-".contains(*char)).collect()
}

struct File {
    format: Format,
    head: String,
    tail: String,
}

/// How far a file is written.
enum Step {
    Head,
    Calls { before: Side, is_first: bool },
    Done,
}

impl File {
    /// The file, piece by piece. `end`: the last call in it, where it doesn't hold all.
    fn stream<P: Ports>(
        self,
        state: AppState<P>,
        id: GrantId,
        asked: Asked,
        end: Option<Position>,
    ) -> impl futures_util::Stream<Item = Result<Bytes, StoreError>> + Send {
        let writing = (self, state, id, asked, Step::Head);
        try_unfold(writing, move |(file, state, id, asked, step)| async move {
            let (piece, next) = match step {
                Step::Done => return Ok(None),
                Step::Head => (file.head.clone(), Step::Calls { before: asked.side, is_first: true }),
                Step::Calls { before, is_first } => {
                    let query = CallQuery { filter: asked.filter.clone(), side: before, limit: CHUNK };
                    let mut calls = state.ports.list_calls(&id, &query).await?;
                    let is_last = calls.len() < CHUNK as usize || end.is_some_and(|end| reaches(&calls, end));
                    calls.retain(|call| end.is_none_or(|end| end <= call.position()));
                    let mut piece = file.format.lines(&calls, is_first)?;
                    let next = if let Some(last) = calls.last().filter(|_| !is_last) {
                        Step::Calls { before: Side::Older(last.position()), is_first: false }
                    } else {
                        piece.push_str(&file.tail);
                        Step::Done
                    };
                    (piece, next)
                }
            };
            Ok(Some((Bytes::from(piece), (file, state, id, asked, next))))
        })
    }
}

/// Whether the last call of a file is among these.
fn reaches(calls: &[Booking], end: Position) -> bool {
    calls.last().is_some_and(|last| last.position() <= end)
}

/// A call in a file.
#[derive(Serialize)]
struct Line<'a> {
    call: u64,
    time: String,
    provider: Option<Provider>,
    model: &'a str,
    endpoint: &'a str,
    outcome: &'static str,
    /// `None`: no answer.
    status: Option<u16>,
    duration_ms: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    booked_tokens: u64,
    cost_nano_usd: u64,
    cost_usd: String,
    /// Of the cost: above what was held for the call.
    over_bound_nano_usd: u64,
    over_bound_usd: String,
    basis: &'static str,
    delegation: Option<&'a str>,
    request_id: &'a str,
}

impl<'a> From<&'a Booking> for Line<'a> {
    fn from(call: &'a Booking) -> Self {
        let seconds = Moment::new(call.reserved_at, call.reserved_at).machine();
        Self {
            call: call.hold,
            time: format!("{}.{:03}Z", seconds.trim_end_matches('Z'), call.reserved_at.millis() % 1000),
            provider: call.provider,
            model: &call.model,
            endpoint: &call.endpoint,
            outcome: Outcome::of(call.status).as_str(),
            status: (call.status != 0).then_some(call.status),
            duration_ms: call.duration_ms,
            input_tokens: call.input_tokens,
            cached_tokens: call.cached_tokens,
            output_tokens: call.output_tokens,
            booked_tokens: call.tokens,
            cost_nano_usd: call.cost.0,
            cost_usd: call.cost.to_string(),
            over_bound_nano_usd: call.over_bound.0,
            over_bound_usd: call.over_bound.to_string(),
            basis: call.basis.as_str(),
            delegation: call.delegation.as_ref().map(DelegationId::as_str),
            request_id: &call.request_id,
        }
    }
}

impl Line<'_> {
    fn csv(&self) -> String {
        let status = self.status.map(|status| status.to_string()).unwrap_or_default();
        let [call, duration, input, cached, output, booked, nano, over_bound] = [
            self.call,
            self.duration_ms,
            self.input_tokens,
            self.cached_tokens,
            self.output_tokens,
            self.booked_tokens,
            self.cost_nano_usd,
            self.over_bound_nano_usd,
        ]
        .map(|number| number.to_string());
        let fields: [&str; COLUMNS.len()] = [
            &call,
            &self.time,
            self.provider.map_or("", |provider| provider.as_str()),
            self.model,
            self.endpoint,
            self.outcome,
            &status,
            &duration,
            &input,
            &cached,
            &output,
            &booked,
            &nano,
            &self.cost_usd,
            &over_bound,
            &self.over_bound_usd,
            self.basis,
            self.delegation.unwrap_or_default(),
            self.request_id,
        ];
        record(&fields)
    }
}

impl Format {
    const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
        }
    }

    fn head<P>(self, grant: &Grant, asked: &Asked, state: &AppState<P>) -> String {
        match self {
            Self::Csv => record(&COLUMNS),
            Self::Json => {
                let about = serde_json::json!({
                    "grant_id": grant.id,
                    "app": grant.client_name,
                    "exported_at": Moment::new(state.now, state.now).machine(),
                    "query": asked.query(),
                });
                // The object goes on.
                let about = about.to_string();
                format!("{},\"calls\":[", about.strip_suffix('}').unwrap_or_default())
            }
        }
    }

    fn lines(self, calls: &[Booking], is_first: bool) -> Result<String, StoreError> {
        let mut piece = String::new();
        for (index, call) in calls.iter().enumerate() {
            let line = Line::from(call);
            match self {
                Self::Csv => piece.push_str(&line.csv()),
                Self::Json => {
                    piece.push_str(if is_first && index == 0 { "\n" } else { ",\n" });
                    piece.push_str(&serde_json::to_string(&line).map_err(|error| StoreError(error.to_string()))?);
                }
            }
        }
        Ok(piece)
    }

    fn tail(self, next: Option<&str>) -> String {
        match self {
            Self::Csv => String::new(),
            Self::Json => {
                let next = serde_json::json!(next);
                format!("\n],\"truncated\":{},\"next\":{next}}}\n", !next.is_null())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_ends_no_header() {
        assert_eq!(plain("calls-gr\"ant;\r\nx-2026.csv"), "calls-grantx-2026.csv");
    }

    #[test]
    fn every_column_of_csv_is_a_field_of_json_under_the_same_name() {
        let call = Booking {
            hold: 1,
            reserved_at: crate::domain::time::Timestamp::from_millis(1_795_392_000_007),
            duration_ms: 2,
            provider: None,
            model: "m".to_owned(),
            endpoint: "/v1/x".to_owned(),
            status: 0,
            input_tokens: 3,
            cached_tokens: 4,
            output_tokens: 5,
            tokens: 6,
            cost: crate::domain::money::NanoUsd(1_500_000_000),
            over_bound: crate::domain::money::NanoUsd(250_000_000),
            basis: crate::domain::ledger::Basis::Usage,
            delegation: None,
            request_id: "r".to_owned(),
        };
        let line = Line::from(&call);
        assert_eq!(
            line.csv(),
            "1,2026-11-23T00:00:00.007Z,,m,/v1/x,none,,2,3,4,5,6,1500000000,1.50,250000000,0.25,usage,,r\r\n"
        );
        let json = serde_json::to_value(&line).unwrap();
        let mut names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns = COLUMNS.to_vec();
        names.sort_unstable();
        columns.sort_unstable();
        assert_eq!(names, columns);
    }
}
