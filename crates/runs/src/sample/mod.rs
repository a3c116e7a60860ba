//! What a sample of rows tells of its columns, without the rows.
//!
//! ```text
//! start ─ rows, as they come ─▶ figures of each column, on the threads of queries ─ record: ended, rows that were read
//!   └ the same was computed lately, for whoever may see the same: given again
//! ```
//!
//! It is a query like any other: permission, policies, limits and the record hold before anything is computed, and hold
//! too where what an earlier one computed is given again. Rows are not kept: of each batch only what [`figures`] needs
//! stays.

mod figures;

use chrono::{DateTime, Utc};
use datafusion::arrow::{array::RecordBatch, datatypes::Schema};
use futures::{StreamExt, future::BoxFuture};
use rivergen_kernel::{Caller, Error, Result};
use rivergen_platform::http::RequestOrigin;
use rivergen_policies::evaluation::Outcome;
use rivergen_query::QueryColumn;

pub(crate) use figures::Figures;

use self::figures::Column;
use crate::{
    Engine, Run, Started,
    engine::{Plan, failed},
    told::Told,
};

/// Bytes after which no further batch is read.
const MOST_BYTES: u64 = 32 << 20;
/// What the figures of a column take, as a rule.
const BYTES_OF_FIGURES: u64 = 2_000;

/// What a sample told.
#[derive(Debug, Clone)]
pub(crate) struct Sampled {
    pub row_count: u64,
    /// The rows were all that the caller sees.
    pub is_whole: bool,
    pub at: DateTime<Utc>,
    /// For each column of the query; none of one that a masked column went into.
    pub columns: Vec<Option<Figures>>,
}

impl Sampled {
    /// Roughly what it takes in memory.
    pub fn bytes(&self) -> u64 {
        (self.columns.len() as u64).saturating_mul(BYTES_OF_FIGURES)
    }
}

impl Engine {
    /// Runs one governed query and answers what its rows tell of each column. `is_key` says which of them belong to the
    /// primary key.
    ///
    /// Boxed, as [`Engine::run`] is.
    pub(crate) fn sample<'a>(
        &'a self,
        caller: &'a Caller,
        origin: &'a RequestOrigin,
        run: Run<'a>,
        is_key: &'a [bool],
    ) -> BoxFuture<'a, Result<Sampled>> {
        Box::pin(async move { self.start(caller, origin, run).await?.sampled(is_key).await })
    }
}

impl Started {
    async fn sampled(self, is_key: &[bool]) -> Result<Sampled> {
        let told = Told::of(self.plan.read.iter());
        let Self { plan: Plan { planned, asked, place: _place, .. }, mut record, cancellable, samples, .. } = self;
        let at = record.platform.clock.now();
        if let Some(known) = asked.as_ref().and_then(|asked| samples.find(asked, at)) {
            record.bytes = known.byte_count;
            record.end(Outcome::succeeded(known.answer.row_count)).await?;
            return Ok(known.answer.clone());
        }
        let (threads, columns) = (planned.threads().clone(), planned.columns().to_vec());
        let sampling = async {
            let mut answer = planned.run().await.map_err(|error| told.answerable(error))?;
            let mut sample = Sample::of(&answer.schema(), &columns, is_key);
            let mut is_whole = true;
            while let Some(batch) = answer.next().await {
                let batch = batch.map_err(|error| told.answerable(error))?;
                sample = threads.run(async move { sample.with(&batch) }).await?;
                if answer.outcome().byte_count > MOST_BYTES {
                    is_whole = false;
                    break;
                }
            }
            let outcome = answer.outcome();
            // Nothing works for it any more while the figures are told.
            drop(answer);
            let columns = threads.run(async move { sample.told() }).await?;
            let is_whole = is_whole && !outcome.truncated;
            Ok::<_, Error>((Sampled { row_count: outcome.row_count, is_whole, at, columns }, outcome.byte_count))
        };
        match cancellable.unless_cancelled(sampling).await {
            Ok((sampled, byte_count)) => {
                record.bytes = byte_count;
                record.end(Outcome::succeeded(sampled.row_count)).await?;
                if let Some(asked) = asked {
                    samples.keep(asked, sampled.clone(), byte_count, at);
                }
                Ok(sampled)
            }
            Err(error) => {
                record.end(failed(&error)).await?;
                Err(error)
            }
        }
    }
}

/// The columns of a sample that is being taken.
struct Sample(Vec<Option<Column>>);

impl Sample {
    /// What is masked is not looked at: also where it became so after the statement was written.
    fn of(schema: &Schema, columns: &[QueryColumn], is_key: &[bool]) -> Self {
        let fields = schema.fields().iter().zip(columns).zip(is_key);
        let looked_at = fields.map(|((field, column), is_key)| {
            let is_clear = !column.masked;
            is_clear.then(|| Column::of(field.data_type(), *is_key))
        });
        Self(looked_at.collect())
    }

    fn with(mut self, batch: &RecordBatch) -> Self {
        for (column, values) in self.0.iter_mut().zip(batch.columns()) {
            if let Some(column) = column {
                column.add(values);
            }
        }
        self
    }

    fn told(self) -> Vec<Option<Figures>> {
        self.0.into_iter().map(|column| column.map(Column::told)).collect()
    }
}
