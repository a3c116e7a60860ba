//! The physical plan of a scan of a collection.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};

use super::rows::Rows;
use super::{Collection, Pages, Scan};
use crate::leaf::{Asked, Leaf};
use crate::{ConnectorError, retry};

/// One scan of a collection, as a plan.
pub type DocumentExec = Leaf<CollectionScan>;

/// A scan, what it is of, and how its documents become rows.
#[derive(Debug)]
pub struct CollectionScan {
    collection: Arc<dyn Collection>,
    scan: Scan,
    rows: Arc<Rows>,
    max_retries: u32,
}

impl DocumentExec {
    pub(super) fn new(
        collection: Arc<dyn Collection>,
        scan: Scan,
        rows: Rows,
        statistics: Statistics,
        max_retries: u32,
    ) -> Self {
        let schema = rows.schema().clone();
        Self::of(CollectionScan { collection, scan, rows: Arc::new(rows), max_retries }, schema, statistics)
    }

    /// What is asked of the source. It holds the policies' literals: for tests, not for callers.
    pub fn conditions(&self) -> String {
        format!("{:?}", self.asked.scan.conditions)
    }

    pub fn limit(&self) -> Option<usize> {
        self.asked.scan.limit
    }
}

impl Asked for CollectionScan {
    const NAME: &'static str = "DocumentExec";

    fn show(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scan { fields, conditions, limit } = &self.scan;
        write!(f, "DocumentExec: fields=[{}], conditions={}", fields.join(", "), conditions.len())?;
        limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }

    fn answer(&self, schema: SchemaRef) -> SendableRecordBatchStream {
        let rows = self.rows.clone();
        let wanted = self.scan.limit.unwrap_or(usize::MAX);
        let pages = begin(self.collection.clone(), self.scan.clone(), self.max_retries);
        // No further page is asked for once there is enough, nor after an error.
        let batches = stream::unfold((pages, wanted), |(mut pages, wanted)| async move {
            if wanted == 0 {
                return None;
            }
            let page = pages.next().await?.map(|mut page| {
                page.truncate(wanted);
                page
            });
            let left = page.as_ref().map_or(0, |page| wanted - page.len());
            Some((page, (pages, left)))
        })
        .flat_map(move |page| {
            let batches = page.and_then(|page| rows.batches(&page));
            stream::iter(match batches {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(DataFusionError::from(error))],
            })
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// The pages of a scan, of which the first is asked for again while the source cannot be reached.
fn begin(collection: Arc<dyn Collection>, scan: Scan, max_retries: u32) -> Pages {
    let begun = async move {
        let (first, rest) = retry::reaching(max_retries, || async {
            let mut pages = collection.clone().scan(scan.clone());
            let first = pages.try_next().await?;
            Ok::<_, ConnectorError>((first, pages))
        })
        .await?;
        Ok::<_, ConnectorError>(stream::iter(first.map(Ok)).chain(rest))
    };
    stream::once(begun).try_flatten().boxed()
}
