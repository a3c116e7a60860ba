//! Ending a query that does not come up for air.
//!
//! A stream can be dropped only between polls. A join whose condition lets nothing through can compute for hours
//! inside one, and a join that lets much through can feed an aggregate without ever giving way. So before a query
//! runs, each join gets two things: its condition looks at the query's [`Interrupt`] for every batch that it is
//! evaluated on, and gives its thread's other tasks to another thread from time to time; and its output gives way to
//! them likewise. Else as many joins as there are threads would keep the request from being heard that ends them.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use datafusion::{
    arrow::{
        array::{BooleanArray, RecordBatch},
        datatypes::{DataType, FieldRef, Schema},
    },
    common::{
        config::ConfigOptions,
        internal_err,
        tree_node::{Transformed, TreeNode},
    },
    error::{DataFusionError, Result},
    logical_expr::ColumnarValue,
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{
        ExecutionPlan, PhysicalExpr,
        coop::CooperativeExec,
        joins::{
            CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
            utils::JoinFilter,
        },
        unnest::UnnestExec,
    },
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

/// Milliseconds for which the conditions of a query may keep the other tasks of a thread waiting.
const KEPT_WAITING: u64 = 10;

/// One query's end: its deadline, or earlier when nobody wants its answer any more.
#[derive(Debug)]
pub struct Interrupt {
    deadline: Instant,
    raised: AtomicBool,
    began: Instant,
    /// When a condition last let other tasks go on elsewhere, in milliseconds from the beginning.
    gave_way: AtomicU64,
}

impl Interrupt {
    pub fn at(deadline: Instant) -> Arc<Self> {
        let gave_way = AtomicU64::new(0);
        Arc::new(Self { deadline, raised: AtomicBool::new(false), began: Instant::now(), gave_way })
    }

    /// Ends what still computes for the query.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }

    pub fn deadline_passed(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn check(&self) -> Result<()> {
        if self.raised.load(Ordering::Relaxed) || self.deadline_passed() {
            return Err(DataFusionError::Execution("the query was interrupted".to_owned()));
        }
        Ok(())
    }

    /// Computes, and where it is time lets another thread take over what waits for this one.
    fn beside_others<T>(&self, compute: impl FnOnce() -> T) -> T {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.gave_way.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= KEPT_WAITING
            && self.gave_way.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        // With one thread there is no other, and to ask for one would be a panic.
        let has_others = || Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread);
        if is_due && has_others() { block_in_place(compute) } else { compute() }
    }
}

/// The physical optimizer rule that gives joins both.
#[derive(Debug)]
pub struct InterruptibleJoins(pub Arc<Interrupt>);

impl InterruptibleJoins {
    fn filter(&self, filter: &JoinFilter) -> JoinFilter {
        let expression = Arc::new(Checked { inner: Arc::clone(filter.expression()), interrupt: Arc::clone(&self.0) });
        JoinFilter::new(expression, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    }

    fn join(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let filter = join.filter().map(|filter| self.filter(filter));
            return Ok(Some(Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?)));
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            let filter = join.filter().map(|filter| self.filter(filter));
            return Ok(Some(Arc::new(join.builder().with_filter(filter).build()?)));
        }
        let expands = plan.is::<CrossJoinExec>() || plan.is::<SortMergeJoinExec>() || plan.is::<UnnestExec>();
        Ok(expands.then(|| Arc::clone(plan)))
    }
}

impl PhysicalOptimizerRule for InterruptibleJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let interruptible = plan.transform_up(|node| {
            Ok(match self.join(&node)? {
                Some(join) => Transformed::yes(Arc::new(CooperativeExec::new(join)) as _),
                None => Transformed::no(node),
            })
        })?;
        Ok(interruptible.data)
    }

    fn name(&self) -> &str {
        "interruptible_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A condition that looks at the interrupt before it is evaluated.
#[derive(Debug)]
struct Checked {
    inner: Arc<dyn PhysicalExpr>,
    interrupt: Arc<Interrupt>,
}

impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Checked {}

impl Hash for Checked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Checked {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.interrupt.check()?;
        self.interrupt.beside_others(|| self.inner.evaluate(batch))
    }

    fn evaluate_selection(&self, batch: &RecordBatch, selection: &BooleanArray) -> Result<ColumnarValue> {
        self.interrupt.check()?;
        self.interrupt.beside_others(|| self.inner.evaluate_selection(batch, selection))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(Self { inner, interrupt: Arc::clone(&self.interrupt) })),
            _ => internal_err!("a checked condition has one child"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
