//! The partitions of a plan, run so many at once.
//!
//! A union has as many partitions as its parts have together. Begun all at once, each would hold what it has read of its
//! source until its turn comes, and an answer of a hundred parts would take a hundred times the memory of one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use datafusion::{
    error::DataFusionError,
    execution::TaskContext,
    physical_plan::{
        ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream, execute_stream,
        stream::RecordBatchReceiverStream,
    },
};
use futures::StreamExt;

/// The rows of all partitions, as they come. No more than `at_once` of these run beside each other, and the first of the
/// plan begin first. Where there are no more of them than that, they are DataFusion's to merge.
///
/// Tasks are spawned where this is called, and end with the stream.
pub(crate) fn merged(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    at_once: usize,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let partitions = plan.output_partitioning().partition_count();
    if partitions <= at_once {
        return execute_stream(plan, context);
    }
    let mut merged = RecordBatchReceiverStream::builder(plan.schema(), at_once);
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..at_once {
        let (plan, context, next, rows) = (Arc::clone(&plan), Arc::clone(&context), Arc::clone(&next), merged.tx());
        merged.spawn(async move {
            loop {
                let partition = next.fetch_add(1, Ordering::Relaxed);
                if partition >= partitions {
                    return Ok(());
                }
                let mut batches = plan.execute(partition, Arc::clone(&context))?;
                while let Some(batch) = batches.next().await {
                    let failed = batch.is_err();
                    // Nobody reads any more, or nothing comes behind an error.
                    if rows.send(batch).await.is_err() || failed {
                        return Ok(());
                    }
                }
            }
        });
    }
    Ok(merged.build())
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use datafusion::{
        arrow::{
            array::{Int64Array, RecordBatch},
            datatypes::{DataType, Field, Schema, SchemaRef},
        },
        physical_plan::{
            stream::RecordBatchStreamAdapter,
            streaming::{PartitionStream, StreamingTableExec},
        },
    };

    use super::*;

    /// How many are open now, and were at most.
    #[derive(Debug, Default)]
    struct Open(Mutex<(usize, usize)>);

    impl Open {
        fn change(&self, by: isize) {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            open.0 = open.0.saturating_add_signed(by);
            open.1 = open.1.max(open.0);
        }
    }

    /// One number, and open until it was taken.
    #[derive(Debug)]
    struct One {
        number: i64,
        schema: SchemaRef,
        open: Arc<Open>,
        fails: bool,
    }

    impl PartitionStream for One {
        fn schema(&self) -> &SchemaRef {
            &self.schema
        }

        fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
            self.open.change(1);
            let (open, schema) = (Arc::clone(&self.open), Arc::clone(&self.schema));
            let batch = match self.fails {
                true => Err(DataFusionError::Execution("broken".to_owned())),
                false => Ok(RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![self.number]))]).unwrap()),
            };
            let rows = futures::stream::once(async move {
                tokio::task::yield_now().await;
                open.change(-1);
                batch
            });
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
        }
    }

    fn plan(open: &Arc<Open>, fails: impl Fn(i64) -> bool) -> Arc<dyn ExecutionPlan> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let one = |number: i64| {
            let (schema, open) = (Arc::clone(&schema), Arc::clone(open));
            Arc::new(One { number, schema, open, fails: fails(number) }) as Arc<dyn PartitionStream>
        };
        let parts = (0..20).map(one).collect();
        Arc::new(StreamingTableExec::try_new(Arc::clone(&schema), parts, None, Vec::new(), false, None).unwrap())
    }

    #[tokio::test]
    async fn all_rows_come_and_no_more_partitions_are_open_than_may_be() {
        let open = Arc::new(Open::default());
        let rows = merged(plan(&open, |_| false), Arc::default(), 3).unwrap();
        let batches: Vec<RecordBatch> = rows.map(Result::unwrap).collect().await;
        let mut numbers: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<i64>>());
        let most = open.0.lock().unwrap().1;
        assert!((1..=3).contains(&most), "{most}");
    }

    #[tokio::test]
    async fn an_error_comes_through() {
        let rows = merged(plan(&Arc::default(), |number| number == 7), Arc::default(), 3).unwrap();
        let results: Vec<Result<RecordBatch, DataFusionError>> = rows.collect().await;
        assert!(results.iter().any(Result::is_err));
    }
}
