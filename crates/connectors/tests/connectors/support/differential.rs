//! Pushed down or not, the answer is the same.
//!
//! Each query runs twice: on the tables of the source, federated, and on copies of them in memory. The tables of
//! all connectors hold the same rows as far as their types allow.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::optimizer::Optimizer;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_federation::{FederatedQueryPlanner, FederationOptimizerRule};
use rivergen_connectors::OpenedSource;
use rivergen_connectors::pushdown::RemoteExec;

/// A session with federation after all other rules: filters and projections have then moved as far down as they can, so that a
/// join across sources asks each of them for what it needs and no more.
pub fn session() -> SessionContext {
    let mut rules = Optimizer::new().rules;
    rules.push(Arc::new(FederationOptimizerRule::new()));
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(SessionConfig::new().with_target_partitions(2))
        .with_optimizer_rules(rules)
        .with_query_planner(Arc::new(FederatedQueryPlanner::new()))
        .build();
    SessionContext::new_with_state(state)
}

/// A session with one table.
pub fn session_of(name: &str, table: Arc<dyn TableProvider>) -> SessionContext {
    let session = session();
    session.register_table(name, table).unwrap();
    session
}

/// A session with the federation rule where the federation crate puts it: before filters are pushed down.
fn early_session() -> SessionContext {
    SessionContext::new_with_state(datafusion_federation::default_session_state())
}

/// The same tables at the source, for federation late and early, and in memory.
pub struct Pair {
    pub pushed: SessionContext,
    early: SessionContext,
    pub local: SessionContext,
}

impl Pair {
    pub async fn of(tables: Vec<(&str, Arc<dyn TableProvider>)>) -> Self {
        let (pushed, early, local) = (session(), early_session(), SessionContext::new());
        for (name, table) in tables {
            let batches = pushed.read_table(table.clone()).unwrap().collect().await.unwrap();
            let copy = MemTable::try_new(table.schema(), vec![batches]).unwrap();
            pushed.register_table(name, table.clone()).unwrap();
            early.register_table(name, table).unwrap();
            local.register_table(name, Arc::new(copy)).unwrap();
        }
        Self { pushed, early, local }
    }

    /// The tables that the suite asks.
    pub async fn of_suite(source: &Arc<dyn OpenedSource>, schema: &str) -> Self {
        let mut tables = Vec::new();
        for name in ["people", "orders"] {
            tables.push((name, source.open_table(schema, name, None).await.unwrap()));
        }
        Self::of(tables).await
    }

    /// What is sent to the source where the federation rule comes early.
    pub async fn early_statements(&self, sql: &str) -> Vec<String> {
        statements(&self.early.sql(sql).await.unwrap().create_physical_plan().await.unwrap())
    }

    /// Runs the query on all sides; answers what was sent to the source.
    pub async fn check(&self, sql: &str) -> Vec<String> {
        let plan = self.pushed.sql(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let plan = plan.create_physical_plan().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let statements = statements(&plan);
        let shown = || displayable(plan.as_ref()).set_show_schema(false).indent(true).to_string();
        let pushed = datafusion::physical_plan::collect(plan.clone(), self.pushed.task_ctx()).await;
        let pushed = pushed.unwrap_or_else(|e| panic!("{sql}: {e}\n{}", shown()));
        let local = self.local.sql(sql).await.unwrap().collect().await.unwrap();
        let early = self.early.sql(sql).await.unwrap().collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let ordered = is_ordered(sql);
        let (pushed, early, local) = (rows(&pushed, ordered), rows(&early, ordered), rows(&local, ordered));
        assert_eq!(pushed, local, "{sql}\n{}\n{statements:#?}", shown());
        assert_eq!(early, local, "federated early: {sql}");
        statements
    }

    /// Runs the queries on all sides; each leaves as one statement.
    pub async fn check_whole(&self, queries: &[&str]) {
        for query in queries {
            assert_eq!(self.check(query).await.len(), 1, "{query}");
        }
    }
}

/// Asks the whole suite. At least so many queries of ten leave as one statement, and so does one with all clauses,
/// which the source's dialect writes with these parts.
pub async fn check_suite(source: &Arc<dyn OpenedSource>, schema: &str, of_ten: usize, parts: &[&str]) -> Pair {
    let pair = Pair::of_suite(source, schema).await;
    let mut whole = 0;
    for query in QUERIES {
        whole += usize::from(pair.check(query).await.len() == 1);
    }
    assert!(whole * 10 >= QUERIES.len() * of_ten, "{whole} of {} left as one statement", QUERIES.len());
    let statements = pair.check(ALL_CLAUSES).await;
    let [statement] = statements.as_slice() else { panic!("{statements:?}") };
    for part in parts {
        assert!(statement.contains(part), "{statement}");
    }
    pair
}

/// How most dialects write the clauses of [`ALL_CLAUSES`].
pub const CLAUSES: &[&str] = &["JOIN", "WHERE", "GROUP BY", "ORDER BY", "LIMIT 5"];

const ALL_CLAUSES: &str = "SELECT p.city, sum(o.amount) AS s FROM people p JOIN orders o ON o.person = p.id WHERE p.active GROUP BY p.city ORDER BY s DESC LIMIT 5";

/// Whether the whole result is ordered, not a part of it in parentheses.
fn is_ordered(sql: &str) -> bool {
    let Some(at) = sql.rfind("ORDER BY") else { return false };
    sql[..at].matches('(').count() == sql[..at].matches(')').count()
}

/// The statements of a plan.
pub fn statements(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let mut found: Vec<String> =
        plan.downcast_ref::<RemoteExec>().map(|remote| remote.sql().to_owned()).into_iter().collect();
    for child in plan.children() {
        found.extend(statements(child));
    }
    found
}

/// Rows as texts; sums of fractions agree to twelve digits, whoever adds them in whatever order.
pub fn rows(batches: &[RecordBatch], ordered: bool) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| {
                let float = match column.data_type() {
                    _ if column.is_null(row) => None,
                    DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(row)),
                    DataType::Float32 => Some(f64::from(column.as_primitive::<Float32Type>().value(row))),
                    _ => None,
                };
                match float {
                    Some(float) => format!("{float:.11e}"),
                    None => ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string(),
                }
            });
            rows.push(cells.collect());
        }
    }
    if !ordered {
        rows.sort();
    }
    rows
}

/// Queries over `people (id, name, city, age, salary, rate, active, born, seen, boss)` and
/// `orders (id, person, amount, price, placed, note)`.
pub const QUERIES: &[&str] = &[
    "SELECT * FROM people",
    "SELECT * FROM orders",
    "SELECT name FROM people WHERE id = 3",
    // Literals and lengths are narrower than the one integer type of SQLite.
    "SELECT length('x') AS n, id FROM people WHERE id < 3",
    "SELECT id, character_length(name) AS n FROM people",
    "SELECT CAST(7 AS SMALLINT) AS seven, id FROM people WHERE id < 3",
    "SELECT name FROM people WHERE id <> 3 AND age >= 30",
    "SELECT id FROM people WHERE age IS NULL",
    "SELECT id FROM people WHERE city IS NOT NULL AND NOT (city = 'Rome')",
    "SELECT id FROM people WHERE name = 'O''Brien; --'",
    "SELECT id FROM people WHERE name LIKE 'a%'",
    "SELECT id FROM people WHERE name LIKE '_nn%'",
    "SELECT id FROM people WHERE name LIKE '%\\%%'",
    "SELECT id FROM people WHERE name ILIKE 'A%'",
    "SELECT id FROM people WHERE name NOT LIKE '%n%'",
    "SELECT id FROM people WHERE name LIKE '%ü%'",
    "SELECT id FROM people WHERE name > 'Zoe'",
    "SELECT id, name FROM people ORDER BY name, id",
    "SELECT id, name FROM people ORDER BY name DESC NULLS LAST, id LIMIT 4",
    "SELECT min(name), max(name), min(city), max(city) FROM people",
    "SELECT id FROM people WHERE city IN ('Rome', 'Oslo', 'rome')",
    "SELECT id FROM people WHERE city NOT IN ('Rome', 'Oslo')",
    "SELECT id FROM people WHERE age IN (30, 41, NULL)",
    "SELECT id FROM people WHERE age NOT IN (30, NULL)",
    "SELECT id FROM people WHERE age BETWEEN 30 AND 41",
    "SELECT id FROM people WHERE age NOT BETWEEN 30 AND 41",
    "SELECT id FROM people WHERE active",
    "SELECT id FROM people WHERE NOT active OR active IS NULL",
    "SELECT id FROM people WHERE active IS NOT TRUE",
    "SELECT id FROM people WHERE salary > 1000.50",
    "SELECT id FROM people WHERE salary = 0.1",
    "SELECT id FROM people WHERE rate < 0.3",
    "SELECT id FROM people WHERE rate = 0.1",
    "SELECT id FROM people WHERE born >= DATE '1990-01-01'",
    "SELECT id FROM people WHERE born < '1970-01-01'",
    "SELECT id FROM people WHERE seen > TIMESTAMP '2024-03-01 00:00:00'",
    "SELECT id FROM people WHERE seen = '2024-03-10 12:30:00'",
    "SELECT date_trunc('month', seen) AS m, count(*) FROM people GROUP BY 1",
    "SELECT date_part('year', born) AS y, count(*) FROM people GROUP BY 1 ORDER BY 1",
    "SELECT extract(dow FROM seen), extract(hour FROM seen), extract(doy FROM born) FROM people",
    "SELECT id FROM people WHERE date_part('year', seen) = 2024",
    "SELECT id, age + 1, age * 2, age / 2, age % 7 FROM people",
    "SELECT id, salary * 2, salary - 1 FROM people",
    "SELECT id, coalesce(city, 'nowhere'), nullif(city, 'Rome') FROM people",
    "SELECT id, CASE WHEN age > 40 THEN 'old' WHEN age > 20 THEN 'young' END FROM people",
    "SELECT CASE city WHEN 'Rome' THEN 'R' ELSE city END AS c, count(*) FROM people GROUP BY 1",
    "SELECT id, upper(name), lower(name), length(name), substr(name, 2, 2) FROM people",
    "SELECT id FROM people WHERE length(name) = 4",
    "SELECT id, name || '@' || city FROM people",
    "SELECT id, concat(name, city) FROM people",
    "SELECT CAST(id AS varchar), CAST(age AS double) FROM people",
    "SELECT count(*), count(age), count(DISTINCT city), sum(age), avg(age), min(age), max(age) FROM people",
    "SELECT sum(salary), min(salary), max(salary), sum(rate), avg(rate), avg(salary) FROM people",
    "SELECT count(*), sum(age), avg(rate), min(born), max(seen) FROM people WHERE id > 1000",
    "SELECT count(*) FILTER (WHERE age > 30), sum(age) FILTER (WHERE active) FROM people",
    "SELECT city, count(*), sum(salary) FROM people GROUP BY city ORDER BY 2 DESC, 3 DESC, 1",
    "SELECT city, count(*) AS n FROM people GROUP BY city HAVING count(*) > 1",
    "SELECT DISTINCT city FROM people",
    "SELECT DISTINCT city, active FROM people ORDER BY active, city",
    "SELECT age FROM people ORDER BY age NULLS FIRST",
    "SELECT id FROM people ORDER BY id LIMIT 3 OFFSET 2",
    "SELECT id FROM people ORDER BY id OFFSET 4",
    "SELECT count(*) FROM (SELECT id FROM people ORDER BY id LIMIT 3)",
    "SELECT p.name, o.amount FROM people p JOIN orders o ON o.person = p.id",
    "SELECT p.name, o.amount FROM people p LEFT JOIN orders o ON o.person = p.id AND o.amount > 5",
    "SELECT p.name, o.amount FROM orders o RIGHT JOIN people p ON o.person = p.id WHERE p.age > 20",
    "SELECT p.id, o.id FROM people p FULL JOIN orders o ON o.person = p.id",
    "SELECT p.name, o.tag FROM people p LEFT JOIN (SELECT person, 'x' AS tag FROM orders WHERE amount > 5) o ON o.person = p.id",
    "SELECT p.name, o.c FROM people p LEFT JOIN (SELECT person, coalesce(note, 'none') AS c FROM orders) o ON o.person = p.id",
    "SELECT a.name, b.name FROM people a JOIN people b ON a.boss = b.id",
    "SELECT a.id, b.id FROM people a, people b WHERE a.age < b.age AND a.city = b.city",
    "SELECT p.city, sum(o.amount) AS s, count(*) FROM people p JOIN orders o ON o.person = p.id GROUP BY p.city ORDER BY s DESC, 3",
    "SELECT p.id FROM people p WHERE EXISTS (SELECT 1 FROM orders o WHERE o.person = p.id AND o.amount > 5)",
    "SELECT p.id FROM people p WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.person = p.id)",
    "SELECT id FROM people WHERE id IN (SELECT person FROM orders WHERE amount > 2)",
    "SELECT id FROM people WHERE id NOT IN (SELECT person FROM orders)",
    "SELECT id FROM people WHERE id NOT IN (SELECT person FROM orders WHERE person IS NOT NULL)",
    "SELECT name FROM people WHERE age > (SELECT avg(age) FROM people)",
    "SELECT name FROM people p WHERE salary > (SELECT sum(amount) FROM orders o WHERE o.person = p.id)",
    "SELECT name FROM people UNION ALL SELECT note FROM orders",
    "SELECT id FROM people UNION SELECT person FROM orders",
    "SELECT id FROM people INTERSECT SELECT person FROM orders",
    "SELECT id FROM people EXCEPT SELECT person FROM orders",
    "(SELECT id FROM people ORDER BY id LIMIT 2) UNION ALL SELECT id FROM orders WHERE amount > 5",
    "WITH big AS (SELECT person, sum(amount) AS total FROM orders GROUP BY person) SELECT p.name, b.total FROM people p JOIN big b ON b.person = p.id WHERE b.total > 3",
    "SELECT id, row_number() OVER (PARTITION BY city ORDER BY id) FROM people",
    "SELECT id, sum(age) OVER (ORDER BY id) FROM people",
    "SELECT city, 1 AS one FROM people GROUP BY city, one",
    "SELECT 1 AS k, count(*) FROM people GROUP BY k",
    "SELECT id FROM people WHERE 'a' = 'b'",
    "SELECT id FROM people WHERE age = 30 AND 1 = 1",
    "SELECT id FROM people WHERE city IS NOT DISTINCT FROM NULL",
    "SELECT id FROM people WHERE city IS DISTINCT FROM 'Rome'",
    "SELECT upper(city), count(*) FROM people WHERE age > 20 GROUP BY 1",
    "SELECT p.name, x.n FROM (SELECT upper(name) AS name, id FROM people) p JOIN (SELECT person, count(*) AS n FROM orders GROUP BY person) x ON x.person = p.id",
    "SELECT count(*) FROM people a CROSS JOIN orders b",
    "SELECT o.id FROM orders o JOIN people p ON o.person = p.id JOIN people b ON p.boss = b.id WHERE b.city = 'Rome'",
    "SELECT p.id FROM people p LEFT JOIN (people b JOIN orders o ON o.person = b.id) ON p.boss = b.id",
];
