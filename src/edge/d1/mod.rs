//! D1: the tables of `migrations/`, one file per aggregate.
//!
//! D1 has no `BEGIN`: a change is one conditional statement or one batch, and `changes` says whether it was the one that won. Numbers
//! are JavaScript doubles both ways, so times are bound as seconds.

mod allowed;
mod attention;
mod audit;
mod clients;
mod crowd;
mod device;
mod grant_list;
mod grants;
mod history;
pub mod housekeeping;
mod invitations;
mod members;
mod notices;
mod passkeys;
mod personal_tokens;
mod policies;
mod pushed;
mod recovery;
mod refusals;
mod sessions;
mod usage;
mod usage_sums;
mod used_ids;
mod users;
mod usual;
mod webhooks;

pub use webhooks::Due;

use core::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, D1Result, Delay, Env, send::SendFuture};

use crate::{
    domain::time::Timestamp,
    edge::clock,
    web::ports::{StoreError, Write},
};

/// The binding's name in `wrangler.toml`.
pub const BINDING: &str = "DB";

/// How long a job that nobody waits for waits for each answer.
const JOB_WAITS: Duration = Duration::from_secs(30);

/// The database.
#[derive(Debug)]
pub struct Database {
    d1: D1Database,
    patience: Patience,
}

/// How long an answer of the database is waited for.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// For each so long.
    Each(Duration),
    /// For all of them until then: somebody waits for what they add up to.
    Until(Timestamp),
}

/// A value to bind.
#[derive(Clone, Debug)]
enum Value<'a> {
    Text(&'a str),
    OptionalText(Option<&'a str>),
    Time(Timestamp),
    OptionalMillis(Option<Timestamp>),
    Count(u32),
    /// Below 2^53.
    Number(u64),
    OptionalNumber(Option<u64>),
}

impl From<Value<'_>> for JsValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Text(text) | Value::OptionalText(Some(text)) => Self::from_str(text),
            Value::OptionalText(None) | Value::OptionalMillis(None) | Value::OptionalNumber(None) => Self::NULL,
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since the epoch stay below 2^53")]
            Value::OptionalMillis(Some(at)) => Self::from_f64(at.millis() as f64),
            #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch stay below 2^53")]
            Value::Time(at) => Self::from_f64(at.seconds() as f64),
            #[expect(clippy::cast_precision_loss, reason = "what is stored stays below 2^53")]
            Value::Number(number) | Value::OptionalNumber(Some(number)) => Self::from_f64(number as f64),
            Value::Count(count) => Self::from_f64(f64::from(count)),
        }
    }
}

/// A statement and what is bound in it.
type Statement<'a> = (&'a str, &'a [Value<'a>]);

impl Database {
    /// From the binding, for a job behind everybody's back.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn of_job(env: &Env) -> worker::Result<Self> {
        Ok(Self { d1: env.d1(BINDING)?, patience: Patience::Each(JOB_WAITS) })
    }

    /// The same for a request, which waits so many seconds for all that it asks of the database.
    ///
    /// # Errors
    /// As [`Self::of_job`].
    pub fn of_request(env: &Env, seconds: u64) -> worker::Result<Self> {
        Ok(Self { d1: env.d1(BINDING)?, patience: Patience::Until(clock::now().plus_seconds(seconds)) })
    }

    /// An answer of the database, or that it didn't come in time. What a statement that writes did then is not known, as when the connection
    /// is lost.
    fn in_time<T>(
        &self,
        answer: impl Future<Output = worker::Result<T>>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        let left = match self.patience {
            Patience::Each(duration) => duration,
            Patience::Until(end) => Duration::from_millis(end.millis().saturating_sub(clock::now().millis())),
        };
        SendFuture::new(async move {
            match select(pin!(answer), Delay::from(left)).await {
                Either::Left((answer, _)) => answer.map_err(|error| store_error(&error)),
                Either::Right(_) => Err(StoreError("D1: no answer in time".to_owned())),
            }
        })
    }

    fn prepare(&self, (sql, values): Statement<'_>) -> Result<D1PreparedStatement, StoreError> {
        let values: Vec<JsValue> = values.iter().cloned().map(JsValue::from).collect();
        self.d1.prepare(sql).bind(&values).map_err(|error| store_error(&error))
    }

    /// Runs one statement that writes; how many rows it changed.
    async fn run(&self, statement: Statement<'_>) -> Result<usize, StoreError> {
        let statement = self.prepare(statement)?;
        let result = self.in_time(async move { statement.run().await }).await?;
        changes(&result)
    }

    /// Runs one statement that reads.
    async fn rows<T: DeserializeOwned>(&self, statement: Statement<'_>) -> Result<Vec<T>, StoreError> {
        let statement = self.prepare(statement)?;
        let result = self.in_time(async move { statement.all().await }).await?;
        result.results().map_err(|error| store_error(&error))
    }

    /// The same, for at most one row.
    async fn row<T: DeserializeOwned>(&self, statement: Statement<'_>) -> Result<Option<T>, StoreError> {
        Ok(self.rows(statement).await?.pop())
    }

    /// Runs several statements, all or none.
    async fn batch(&self, statements: &[Statement<'_>]) -> Result<Vec<D1Result>, StoreError> {
        let prepared = statements.iter().map(|statement| self.prepare(*statement)).collect::<Result<Vec<_>, _>>()?;
        let results = self.in_time(async move { self.d1.batch(prepared).await }).await?;
        match results.iter().find(|result| !result.success()) {
            Some(failed) => Err(StoreError(failed.error().unwrap_or_else(|| "a statement failed".to_owned()))),
            None => Ok(results),
        }
    }

    /// Runs a batch whose statement at `decisive` says by its changes whether it won.
    async fn conditional_batch(&self, statements: &[Statement<'_>], decisive: usize) -> Result<Write, StoreError> {
        let results = self.batch(statements).await?;
        results.get(decisive).map_or(Ok(0), changes).map(won)
    }
}

const fn won(changes: usize) -> Write {
    if changes == 0 { Write::Lost } else { Write::Won }
}

fn changes(result: &D1Result) -> Result<usize, StoreError> {
    let meta = result.meta().map_err(|error| store_error(&error))?;
    Ok(meta.and_then(|meta| meta.changes).unwrap_or(0))
}

fn store_error(error: &worker::Error) -> StoreError {
    StoreError(format!("D1: {error}"))
}

/// A column that holds what this version can't read. Says which, and never the value.
fn unreadable(column: &'static str) -> StoreError {
    StoreError(format!("D1: {column} can not be read"))
}

fn from_json<T: DeserializeOwned>(column: &'static str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| unreadable(column))
}

fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError(error.to_string()))
}

/// Seconds, as a column holds them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
struct Seconds(u64);

impl From<Seconds> for Timestamp {
    fn from(seconds: Seconds) -> Self {
        Self::from_seconds(seconds.0)
    }
}

/// Yes or no, as a column holds it: 1 or 0.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
struct Flag(u8);

impl From<Flag> for bool {
    fn from(flag: Flag) -> Self {
        flag.0 != 0
    }
}
