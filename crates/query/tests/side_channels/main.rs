//! The ways round a policy that are known from other systems, each by its name, on each kind of source.
//!
//! Every test asks two worlds the same. What the caller may see is the same in both; what is hidden from them is not: other
//! hidden rows, and many more of them, other values under the masks, other values in the hidden column, another closed
//! table. Whatever can be observed (rows, their number, whether there are more, the words of a failure, the plan) must then
//! be the same, or it tells something of what is hidden.
//!
//! `leak_oracle` searches for ways that nobody has thought of; here stand those that somebody has.

#[path = "../connected/mod.rs"]
mod connected;
mod place;
mod work;
mod world;

use serde_json::{Value as Json, json};

use crate::{
    place::Place,
    world::{Observed, Worlds},
};

/// Makes a test of each function for each place that tables may lie in.
macro_rules! in_each_place {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::run(super::Place::Memory, super::$name).await })+
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::run(super::Place::Sqlite, super::$name).await })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::run(super::Place::Postgres, super::$name).await })+
        }
    };
}

in_each_place!(
    errors,
    row_counts,
    statistics,
    explain,
    result_limits,
    limits_are_not_pushed_below_the_filter,
    aggregates_are_not_computed_below_the_filter,
    windows_are_not_computed_below_the_filter,
    predicates_on_masked_columns,
    order_of_masked_columns,
    hidden_columns,
    closed_tables,
    joins,
    set_operations,
    correlated_subqueries,
    functions_that_read_files_the_network_or_settings,
    prepared_parameters,
    names_and_case,
    tables_of_entitlements,
    timing_of_unique_lookups,
);

async fn run(place: Place, test: impl AsyncFn(&Worlds)) {
    let Some(worlds) = Worlds::build(place).await else { return };
    test(&worlds).await;
    worlds.remove().await;
}

/// What raises on hidden rows or masked values does not raise, and what raises on visible ones says the same.
async fn errors(worlds: &Worlds) {
    for (sql, answers) in [
        // Only in the one world is there a hidden salary of zero, a hidden name that is no number, an empty one.
        ("SELECT name FROM people WHERE 1 / (CASE WHEN region = 'EU' THEN 1 ELSE 0 END) = 1", true),
        ("SELECT id FROM people WHERE 1000 / salary >= 0", true),
        ("SELECT sum(1000 / salary) FROM people", true),
        ("SELECT id FROM people WHERE CAST(substr(name, 2) AS INT) > 0", true),
        ("SELECT max(CAST(substr(name, 2) AS INT)) FROM people", true),
        ("SELECT id FROM people WHERE CAST(name AS INT) = 1", false),
        ("SELECT 1 / (id - 3) FROM people", false),
        ("SELECT id FROM people WHERE region = 'US' AND 1 / (id - id) = 1", true),
        ("SELECT id FROM people WHERE (SELECT 1 / (salary - salary) FROM people p WHERE p.region = 'US') = 1", true),
        ("SELECT id FROM people WHERE id = (SELECT p.id FROM people p)", false),
        ("SELECT id FROM people WHERE 3 = (SELECT p.id FROM people p WHERE p.region <> 'EU')", true),
        ("SELECT power(salary, 400) FROM people WHERE name = 'nobody'", true),
        ("SELECT id FROM people WHERE name LIKE repeat('_', 10)", false),
    ] {
        let seen = worlds.same(sql).await;
        assert_eq!(seen.is_answer(), answers, "{sql}: {seen:?}");
    }
    // Whether a constant raises where nothing calls for it is the engine's business, but not that of hidden rows.
    worlds.same("SELECT CASE WHEN EXISTS (SELECT 1 FROM people WHERE region = 'US') THEN 1 / 0 ELSE 1 END").await;
}

async fn row_counts(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT count(*) FROM people", json!([[3]])),
        ("SELECT count(1), count(name), count(DISTINCT region) FROM people", json!([[3, 3, 1]])),
        ("SELECT count(*) FROM people WHERE region <> 'EU' OR region IS NULL", json!([[0]])),
        ("SELECT count(*) FROM (SELECT DISTINCT region FROM people) r", json!([[1]])),
        ("SELECT (SELECT count(*) FROM people) + 0", json!([[3]])),
        ("SELECT count(*) FROM people a CROSS JOIN people b", json!([[9]])),
        ("SELECT count(*) FILTER (WHERE region = 'US') FROM people", json!([[0]])),
        ("SELECT count(*) FROM people WHERE salary > 0", json!([[3]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

/// Minima, maxima and counts that an optimizer answers from a table's statistics, and estimates over all of its rows.
async fn statistics(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT min(id), max(id) FROM people", json!([[1, 5]])),
        ("SELECT min(salary), max(salary) FROM people", json!([[48000, 61000]])),
        ("SELECT min(name), max(name) FROM people", json!([["n1", "n5"]])),
        ("SELECT approx_distinct(region) FROM people", json!([[1]])),
        ("SELECT approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM people", json!([[3.0]])),
        ("SELECT median(id) FROM people", json!([[3.0]])),
        ("SELECT count(*), min(email) FROM people", json!([[3, "a***@x.com"]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

/// The plan as it is shown: neither values of the filter, nor estimates, nor what is masked with which key.
async fn explain(worlds: &Worlds) {
    for sql in [
        "EXPLAIN SELECT * FROM people",
        "EXPLAIN SELECT name FROM people WHERE salary > 50000 ORDER BY salary LIMIT 3",
        "EXPLAIN SELECT p.region, count(*) FROM people p JOIN orders o ON o.person_id = p.id GROUP BY p.region",
        "EXPLAIN SELECT name FROM people WHERE id IN (SELECT person_id FROM orders)",
        "EXPLAIN SELECT count(*) FROM people",
    ] {
        let seen = worlds.same(sql).await;
        assert!(seen.is_answer(), "{sql}: {seen:?}");
        assert!(!seen.text().contains("'EU'") && !seen.text().contains("badge"), "{sql}: {seen:?}");
    }
    for sql in
        ["EXPLAIN ANALYZE SELECT * FROM people", "EXPLAIN VERBOSE ANALYZE SELECT 1", "EXPLAIN SELECT * FROM secrets"]
    {
        assert!(!worlds.same(sql).await.is_answer(), "{sql}");
    }
}

/// Where an answer is cut off, and whether it says so, counts visible rows alone.
async fn result_limits(worlds: &Worlds) {
    for (most, sql, rows, truncated) in [
        (3, "SELECT id FROM people", 3, false),
        (2, "SELECT id FROM people", 2, true),
        (1, "SELECT id FROM people WHERE region <> 'EU'", 0, false),
        (10, "SELECT id FROM people UNION ALL SELECT id FROM people", 6, false),
        (3, "SELECT id FROM people ORDER BY id DESC LIMIT 3", 3, false),
    ] {
        let (first, second) = worlds.observe_limited(sql, most).await;
        assert_eq!((first.count(), first.is_truncated()), (rows, truncated), "{sql}: {first:?}");
        assert_eq!((second.count(), second.is_truncated()), (rows, truncated), "{sql}: {second:?}");
    }
}

/// The hidden rows lie first in every table: a limit below the filter would spend itself on them.
async fn limits_are_not_pushed_below_the_filter(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT count(*) FROM (SELECT id FROM people LIMIT 3) p", json!([[3]])),
        ("SELECT count(*) FROM (SELECT id FROM people LIMIT 1) p", json!([[1]])),
        ("SELECT count(*) FROM (SELECT id FROM people OFFSET 1) p", json!([[2]])),
        ("SELECT id FROM people ORDER BY id LIMIT 2", json!([[1], [3]])),
        ("SELECT id FROM people ORDER BY id DESC LIMIT 1", json!([[5]])),
        ("SELECT id FROM people ORDER BY id OFFSET 2 LIMIT 5", json!([[5]])),
        ("SELECT id FROM (SELECT id, 6 / id AS x FROM people LIMIT 3) p ORDER BY id", json!([[1], [3], [5]])),
        ("SELECT id FROM people WHERE 6 / id > 0 ORDER BY id LIMIT 5", json!([[1], [3], [5]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

async fn aggregates_are_not_computed_below_the_filter(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT region, sum(salary), count(*) FROM people GROUP BY region", json!([["EU", 161000, 3]])),
        ("SELECT sum(salary) FROM people HAVING count(*) > 3", json!([])),
        ("SELECT region FROM people GROUP BY region HAVING count(*) < 100", json!([["EU"]])),
        ("SELECT sum(id) FROM people", json!([[9]])),
        ("SELECT region, count(*) FROM people GROUP BY ROLLUP (region)", json!([["EU", 3], [null, 3]])),
        ("SELECT array_to_string(array_agg(name ORDER BY name), ',') FROM people", json!([["n1,n3,n5"]])),
        ("SELECT first_value(name ORDER BY id), last_value(name ORDER BY id) FROM people", json!([["n1", "n5"]])),
        ("SELECT sum(o.amount) FROM orders o JOIN people p ON p.id = o.person_id", json!([[90]])),
        ("SELECT max(10 / id) FROM people", json!([[10]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

async fn windows_are_not_computed_below_the_filter(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT id, row_number() OVER (ORDER BY id) FROM people ORDER BY id", json!([[1, 1], [3, 2], [5, 3]])),
        ("SELECT id, lag(id) OVER (ORDER BY id) FROM people ORDER BY id", json!([[1, null], [3, 1], [5, 3]])),
        ("SELECT id, lead(name) OVER (ORDER BY id) FROM people ORDER BY id", json!([[1, "n3"], [3, "n5"], [5, null]])),
        ("SELECT id, count(*) OVER () FROM people ORDER BY id", json!([[1, 3], [3, 3], [5, 3]])),
        ("SELECT id, rank() OVER (ORDER BY salary DESC) FROM people ORDER BY id", json!([[1, 2], [3, 1], [5, 3]])),
        ("SELECT id, sum(salary) OVER (PARTITION BY region) FROM people ORDER BY id LIMIT 1", json!([[1, 161000]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

/// A predicate meets the mask, wherever it stands and whichever way it is written.
async fn predicates_on_masked_columns(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT id FROM people WHERE salary = 52400", json!([])),
        ("SELECT id FROM people WHERE salary BETWEEN 52001 AND 52999", json!([])),
        ("SELECT id FROM people WHERE salary = 52000", json!([[1]])),
        ("SELECT id FROM people WHERE email LIKE 'an%'", json!([])),
        ("SELECT id FROM people WHERE email = 'a***@x.com' ORDER BY id", json!([[1]])),
        ("SELECT id FROM people WHERE character_length(email) <> 10 ORDER BY id", json!([])),
        ("SELECT DISTINCT salary % 1000 FROM people", json!([[0]])),
        ("SELECT count(*) FROM people GROUP BY salary HAVING salary = 52400", json!([])),
        ("SELECT CASE WHEN salary = 52400 THEN 'yes' ELSE 'no' END FROM people WHERE id = 1", json!([["no"]])),
        ("SELECT nullif(salary, 52000) FROM people WHERE id = 1", json!([[null]])),
        ("SELECT md5(email) = md5('a***@x.com') FROM people WHERE id = 1", json!([[true]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

/// The values under the masks are ordered otherwise in the two worlds.
async fn order_of_masked_columns(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT id FROM people WHERE id < 4 ORDER BY salary, id", json!([[1], [3]])),
        ("SELECT id FROM people ORDER BY email DESC, id", json!([[5], [3], [1]])),
        ("SELECT max(email), min(email) FROM people", json!([["e***@x.com", "a***@x.com"]])),
        ("SELECT id FROM people ORDER BY salary LIMIT 1", json!([[5]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

/// A hidden column is a column that does not exist.
async fn hidden_columns(worlds: &Worlds) {
    for column in ["badge", "no_such_column"] {
        for sql in [
            format!("SELECT {column} FROM people"),
            format!("SELECT id FROM people WHERE {column} = 'b1'"),
            format!("SELECT id FROM people ORDER BY {column}"),
            format!("SELECT count({column}) FROM people"),
            format!("SELECT p.{column} FROM people p"),
            format!("SELECT id FROM people JOIN orders USING ({column})"),
            format!("SELECT id FROM orders WHERE {column} IN (SELECT {column} FROM people)"),
        ] {
            let seen = worlds.same(&sql).await;
            assert!(!seen.is_answer(), "{sql}: {seen:?}");
            // Said alike, but for the name that the caller wrote.
            let nobody = worlds.same(&sql.replace(column, "no_such_other")).await;
            // The nearest names go by what was written, too.
            let named = |seen: &Observed, name: &str| {
                let text = seen.text();
                text.split(" Nearest").next().unwrap_or_default().replace(name, "?")
            };
            assert_eq!(named(&seen, column), named(&nobody, "no_such_other"), "{sql}");
        }
    }
    let all = worlds.same("SELECT * FROM people").await;
    assert_eq!(all.columns(), ["id", "name", "email", "region", "salary"]);
    assert!(worlds.same("SELECT * FROM people NATURAL JOIN orders").await.is_answer());
}

/// A closed table says that it is closed, and nothing of what is in it, by any of its names.
async fn closed_tables(worlds: &Worlds) {
    for sql in [
        "SELECT 1 FROM secrets",
        "SELECT count(*) FROM main.secrets",
        "SELECT 1 FROM src.main.secrets",
        "SELECT 1 FROM \"secrets\"",
        "SELECT 1 FROM people WHERE EXISTS (SELECT 1 FROM secrets)",
        "WITH s AS (SELECT * FROM secrets) SELECT 1",
        "SELECT 1 FROM people LEFT JOIN secrets ON true",
        "SELECT (SELECT max(word) FROM secrets)",
        "SELECT 1 UNION ALL SELECT 1 FROM secrets",
        "SELECT 1 FROM people, LATERAL (SELECT 1 FROM secrets) s",
    ] {
        let seen = worlds.same(sql).await;
        assert!(!seen.is_answer() && !seen.text().contains("word"), "{sql}: {seen:?}");
    }
}

async fn joins(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT count(*) FROM orders o JOIN people p ON p.id = o.person_id", json!([[3]])),
        ("SELECT count(*) FROM orders o LEFT JOIN people p ON p.id = o.person_id WHERE p.id IS NULL", json!([[3]])),
        ("SELECT count(*) FROM orders o FULL JOIN people p ON p.id = o.person_id", json!([[6]])),
        (
            "SELECT o.id FROM orders o LEFT ANTI JOIN people p ON p.id = o.person_id ORDER BY o.id",
            json!([[12], [14], [16]]),
        ),
        (
            "SELECT o.id FROM orders o LEFT SEMI JOIN people p ON p.id = o.person_id ORDER BY o.id",
            json!([[11], [13], [15]]),
        ),
        ("SELECT count(*) FROM orders o JOIN people p ON p.id = o.person_id AND 10 / p.id > 0", json!([[3]])),
        ("SELECT count(*) FROM people a JOIN people b ON a.salary = b.salary", json!([[3]])),
        ("SELECT count(*) FROM people p JOIN orders o ON p.salary = 52400", json!([[0]])),
        ("SELECT count(*) FROM orders o LEFT JOIN people p ON p.id = o.person_id AND p.region = 'US'", json!([[6]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

async fn set_operations(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT person_id FROM orders EXCEPT SELECT id FROM people ORDER BY 1", json!([[2], [4], [102]])),
        ("SELECT person_id FROM orders INTERSECT SELECT id FROM people ORDER BY 1", json!([[1], [3], [5]])),
        ("SELECT count(*) FROM (SELECT name FROM people UNION SELECT 'n2') u", json!([[4]])),
        ("SELECT 'US' WHERE 'US' IN (SELECT region FROM people)", json!([])),
        ("SELECT 52400 INTERSECT SELECT salary FROM people", json!([])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

async fn correlated_subqueries(worlds: &Worlds) {
    for (sql, expected) in [
        (
            "SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM people p WHERE p.id = o.person_id) ORDER BY 1",
            json!([[11], [13], [15]]),
        ),
        (
            "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM people p WHERE p.id = o.person_id) ORDER BY 1",
            json!([[12], [14], [16]]),
        ),
        (
            "SELECT o.id FROM orders o WHERE o.person_id NOT IN (SELECT p.id FROM people p) ORDER BY 1",
            json!([[12], [14], [16]]),
        ),
        (
            "SELECT o.id, (SELECT max(p.name) FROM people p WHERE p.id = o.person_id) FROM orders o ORDER BY 1 LIMIT 2",
            json!([[11, "n1"], [12, null]]),
        ),
        (
            "SELECT o.id FROM orders o WHERE 0 < (SELECT count(*) FROM people p WHERE p.id = o.person_id AND p.region = 'US')",
            json!([]),
        ),
        (
            "SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM people p WHERE p.id = o.person_id AND 10 / (p.id - o.id) < 99) ORDER BY 1",
            json!([[11], [13], [15]]),
        ),
        (
            "SELECT o.id FROM orders o WHERE o.amount > (SELECT count(*) FROM people p WHERE p.salary > 0) ORDER BY 1 LIMIT 1",
            json!([[11]]),
        ),
        ("SELECT id FROM people p WHERE id = (SELECT max(q.id) FROM people q WHERE q.region = p.region)", json!([[5]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
}

/// None of them is there: what reads files, the network, settings or the catalogue of a database, waits, or is another each
/// time.
async fn functions_that_read_files_the_network_or_settings(worlds: &Worlds) {
    for call in [
        "pg_read_file('/etc/passwd')",
        "pg_ls_dir('/')",
        "pg_stat_file('/etc/passwd')",
        "lo_import('/etc/passwd')",
        "dblink('host=10.0.0.1', 'SELECT 1')",
        "current_setting('is_superuser')",
        "set_config('a.b', 'c', false)",
        "current_user",
        "session_user",
        "current_database()",
        "inet_server_addr()",
        "pg_sleep(1)",
        "pg_backend_pid()",
        "pg_table_size('people')",
        "pg_relation_size('people')",
        "query_to_xml('SELECT * FROM people', true, true, '')",
        "txid_current()",
        "nextval('s')",
        "version()",
        "sqlite_version()",
        "load_extension('x')",
        "readfile('/etc/passwd')",
        "writefile('/tmp/x', 'y')",
        "last_insert_rowid()",
        "changes()",
        "randomblob(10)",
        "random()",
        "uuid()",
        "getenv('HOME')",
        "read_text('/etc/passwd')",
        "arrow_typeof(1)",
        "ctid",
        "rowid",
        "xmin",
        "tableoid",
    ] {
        for sql in [format!("SELECT {call} FROM people"), format!("SELECT id FROM people WHERE {call} IS NOT NULL")] {
            let seen = worlds.same(&sql).await;
            assert!(!seen.is_answer(), "{sql}: {seen:?}");
        }
    }
    for sql in [
        "SELECT * FROM pg_catalog.pg_stats",
        "SELECT * FROM pg_stats",
        "SELECT * FROM pg_class",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM sqlite_stat1",
        "SELECT * FROM pragma_table_info('people')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY people TO PROGRAM 'cat'",
        "SHOW ALL",
        "SET a = 1",
        "ATTACH DATABASE '/etc/passwd' AS x",
        "PRAGMA table_info(people)",
    ] {
        assert!(!worlds.same(sql).await.is_answer(), "{sql}");
    }
}

/// A parameter is a value: it brings no text into the statement, and no value under a mask or in a hidden row answers it.
async fn prepared_parameters(worlds: &Worlds) {
    let ask = async |sql: &str, parameters: Json| worlds.same_with(sql, parameters).await;
    for (sql, parameters, expected) in [
        ("SELECT id FROM people WHERE region = $r", json!({"r": "US"}), json!([])),
        ("SELECT id FROM people WHERE region = $r ORDER BY id", json!({"r": "EU"}), json!([[1], [3], [5]])),
        ("SELECT id FROM people WHERE name = $n", json!({"n": "x' OR '1'='1"}), json!([])),
        ("SELECT id FROM people WHERE salary = $s", json!({"s": 52400}), json!([])),
        ("SELECT count(*) FROM people WHERE id > $least", json!({"least": 1}), json!([[2]])),
        ("SELECT count(*) FROM people WHERE 1 / ($zero + 1) = 1", json!({"zero": 0}), json!([[3]])),
        (
            "SELECT $t FROM people WHERE id = 1",
            json!({"t": "SELECT * FROM secrets"}),
            json!([["SELECT * FROM secrets"]]),
        ),
    ] {
        assert_eq!(ask(sql, parameters).await.rows(), expected, "{sql}");
    }
    for (sql, parameters) in [
        ("SELECT * FROM $t", json!({"t": "people"})),
        ("SELECT id FROM people ORDER BY $c.x", json!({"c": "badge"})),
        ("SELECT id FROM people WHERE region = $missing", json!({})),
        ("SELECT id FROM people WHERE id = 1 / $zero", json!({"zero": 0})),
    ] {
        let seen = ask(sql, parameters).await;
        assert!(!seen.is_answer(), "{sql}: {seen:?}");
    }
}

/// However a name is written, it is the view.
async fn names_and_case(worlds: &Worlds) {
    for name in ["people", "PEOPLE", "\"people\"", "main.people", "src.main.people", "Src.Main.People"] {
        assert_eq!(worlds.rows(&format!("SELECT count(*) FROM {name}")).await, json!([[3]]), "{name}");
    }
    for name in
        ["\"PEOPLE\"", "raw.people", "public2.people", "people.people", "\"src.main.people\"", "other.main.people"]
    {
        assert!(!worlds.same(&format!("SELECT count(*) FROM {name}")).await.is_answer(), "{name}");
    }
}

/// A table of entitlements decides which notes are seen, and is itself closed to the caller.
async fn tables_of_entitlements(worlds: &Worlds) {
    for (sql, expected) in [
        ("SELECT id FROM notes ORDER BY id", json!([[1], [3]])),
        ("SELECT count(*) FROM notes", json!([[2]])),
        ("SELECT id FROM notes ORDER BY id LIMIT 1", json!([[1]])),
        ("SELECT count(*) FROM notes n JOIN people p ON p.id = n.id", json!([[2]])),
        ("SELECT id FROM notes WHERE 6 / (id - 2) <> 0 ORDER BY id", json!([[1], [3]])),
        ("SELECT max(10 / (id - 2)) FROM notes", json!([[10]])),
        ("SELECT id FROM people WHERE id NOT IN (SELECT id FROM notes) ORDER BY id", json!([[5]])),
        ("SELECT id, row_number() OVER (ORDER BY id) FROM notes ORDER BY id", json!([[1, 1], [3, 2]])),
    ] {
        assert_eq!(worlds.rows(sql).await, expected, "{sql}");
    }
    for sql in [
        "SELECT * FROM grants",
        "SELECT id FROM notes WHERE id IN (SELECT note FROM grants)",
        "SELECT * FROM entitlements",
    ] {
        let seen = worlds.same(sql).await;
        assert!(!seen.is_answer(), "{sql}: {seen:?}");
    }
}

/// Whether a hidden row has a key costs the place no other work than whether no row has it: the same is asked of it, and as
/// much comes back. A clock is not looked at: it would tell of the machine.
async fn timing_of_unique_lookups(worlds: &Worlds) {
    for (sql, visible, hidden, nowhere) in [
        ("SELECT name FROM people WHERE id = ?", "1", ["2", "102"], "99999"),
        ("SELECT count(*) FROM people WHERE id = ?", "3", ["2", "4"], "99999"),
        ("SELECT id FROM people WHERE name = '?'", "n1", ["n2", "n102"], "nobody"),
        ("SELECT id FROM people WHERE email = '?'", "a***@x.com", ["bert@y.org", "many@y.org"], "none@y.org"),
        ("SELECT name FROM people WHERE id = ? AND region <> 'US'", "1", ["2", "102"], "99999"),
        ("SELECT 6 / id FROM people WHERE id = ? AND 6 / id > 0", "1", ["2", "102"], "99999"),
        // Of people whom no order, which everybody sees, tells of.
        ("SELECT o.id FROM orders o JOIN people p ON p.id = o.person_id WHERE p.id = ?", "1", ["7", "103"], "99999"),
        // Not of notes, which a table of entitlements opens: where no note is left to look up, that table is not read.
    ] {
        let cost = async |value: &str| {
            let mut costs = worlds.work(&sql.replace('?', value)).await;
            for work in &mut costs {
                // Where it stands as a value: a digit is in the names of types too.
                let values = [format!("({value})"), format!("{value}\\\"")];
                for asked in &mut work.asked {
                    *asked = values.iter().fold(asked.clone(), |text, value| text.replace(value, "?"));
                }
                work.asked.sort();
            }
            costs
        };
        let absent = cost(nowhere).await;
        for value in hidden {
            assert_eq!(cost(value).await, absent, "{sql} with {value}");
        }
        // The meter runs: a row that is seen is read.
        assert!(cost(visible).await.iter().all(|work| work.rows > 0), "{sql} with {visible}");
    }
}
