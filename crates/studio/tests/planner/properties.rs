//! Laws of the embedded planner: whatever is asked, it does not panic, it ends soon, it gives the
//! same answer twice, and what it plans is exactly one SELECT.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rivergen_studio::planner::{EmbeddedPlanner, PlanError, Turn, require_single_select};

use tokio::runtime::Runtime;

use super::engine::Engine;
use super::table;

/// Generous, as tests share the machine with others and are not optimised.
const SOON: Duration = Duration::from_secs(10);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn engines() -> &'static [(&'static str, Engine)] {
    static ENGINES: LazyLock<Vec<(&'static str, Engine)>> = LazyLock::new(|| {
        let engine = |name: &'static str| {
            let (context, rows) = table::schema(name);
            (name, RUNTIME.block_on(Engine::new(&context, &rows)))
        };
        ["sales", "hr", "web"].into_iter().map(engine).collect()
    });
    &ENGINES
}

fn check(question: &str) {
    for name in ["sales", "hr", "web"] {
        let (context, _) = table::schema(name);
        let planner = EmbeddedPlanner::new();
        let start = Instant::now();
        let planned = planner.understand(question, &context);
        assert!(start.elapsed() < SOON, "took {:?}: {question}", start.elapsed());
        assert_eq!(planned, planner.understand(question, &context), "{question}");
        match planned {
            Ok(plan) => {
                let checked = require_single_select(&plan.sql);
                assert!(checked.is_ok(), "{question}\n{}\n{checked:?}", plan.sql);
                assert!((0.0..=1.0).contains(&plan.confidence));
            }
            Err(PlanError::NotUnderstood { suggestions, .. }) => {
                for suggested in suggestions {
                    assert!(planner.understand(&suggested, &context).is_ok(), "{suggested}");
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Words that mean something to the planner, so that random questions get far into it.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "how many",
        "number of",
        "count",
        "total",
        "average",
        "median",
        "min",
        "max",
        "sum of",
        "orders",
        "order",
        "customers",
        "customer",
        "products",
        "employees",
        "departments",
        "sessions",
        "users",
        "events",
        "leave requests",
        "region",
        "status",
        "category",
        "amount",
        "revenue",
        "price",
        "salary",
        "bonus",
        "duration",
        "name",
        "email",
        "city",
        "quantity",
        "hired",
        "signed up",
        "remote",
        "by",
        "per",
        "for each",
        "with",
        "without",
        "more than",
        "at least",
        "fewer than",
        "between",
        "and",
        "or",
        "not",
        "no",
        "top",
        "bottom",
        "most",
        "highest",
        "cheapest",
        "newest",
        "oldest",
        "most popular",
        "first",
        "last",
        "in 2025",
        "last month",
        "since March",
        "last 30 days",
        "by month",
        "weekly",
        "EU",
        "US",
        "shipped",
        "paid",
        "Electronics",
        "mobile",
        "page views",
        "10",
        "5",
        "1000",
        "0.5",
        "1,000",
        "$20",
        "percentage of",
        "share of",
        "distinct",
        "different",
        "which",
        "what",
        "who",
        "all",
        "sorted by",
        "descending",
        "is",
        "are",
        "missing",
        "named",
        "contains",
        "'x%_'",
        "\"a'b\"",
        "Paris",
        ",",
        ">",
        "<=",
        "=",
        "of",
        "the",
        "in",
        "from",
        "where",
        "who have",
        "2025",
        "Q1 2025",
        "customer 3",
        "how much",
        "inactive",
        "card number",
        "payroll",
        "day of week",
        "each",
        "average number of",
        "excluding",
        "spent",
        "earns",
    ];
    prop_oneof![
        20 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "[a-z]{1,8}",
        1 => "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words(words in prop::collection::vec(word(), 0..14)) {
        check(&words.join(" "));
    }

    #[test]
    fn any_plan_runs(words in prop::collection::vec(word(), 1..10)) {
        let question = words.join(" ");
        for (name, engine) in engines() {
            let (context, _) = table::schema(name);
            if let Ok(plan) = EmbeddedPlanner::new().understand(&question, &context) {
                let answer = RUNTIME.block_on(engine.rows(&plan.sql));
                prop_assert!(answer.is_ok(), "{}\n{}\n{:?}", question, plan.sql, answer);
            }
        }
    }

    #[test]
    fn any_conversation_runs(
        before in prop::collection::vec(word(), 1..8),
        after in prop::collection::vec(word(), 0..6),
    ) {
        let (before, question) = (before.join(" "), after.join(" "));
        for (name, engine) in engines() {
            let (mut context, _) = table::schema(name);
            context.thread.push(Turn { question: before.clone(), sql: None });
            let planned = EmbeddedPlanner::new().understand(&question, &context);
            prop_assert_eq!(&planned, &EmbeddedPlanner::new().understand(&question, &context));
            if let Ok(plan) = planned {
                let answer = RUNTIME.block_on(engine.rows(&plan.sql));
                prop_assert!(answer.is_ok(), "{}, then {}\n{}\n{:?}", before, question, plan.sql, answer);
            }
        }
    }

    #[test]
    fn any_text(text in "(?s).{0,300}") {
        check(&text);
    }
}

#[test]
fn hostile_and_huge_text() {
    for question in [
        "'; DROP TABLE orders; --",
        "customers named '); DELETE FROM customers; --'",
        "customers whose city is \"x' OR '1'='1\"",
        "orders where status contains '\\' OR 1=1 --'",
        "customers named \u{202e}evil\u{0}",
        "orders with amount > 999999999999999999999999999999999999999",
        "top 99999999999999999999 customers by revenue",
        "orders in the last 99999999 years",
        "orders since 9999-99-99",
        "🦀🦀🦀 İstanbul ß ﬃ ǅ",
        "%s %n {} {{}} $1 \\0",
        "",
        "   ",
        "?",
        "'",
    ] {
        check(question);
    }
    check(&"orders ".repeat(100));
    check(&"how many orders by region and ".repeat(10_000));
    check(&"x".repeat(1_000_000));
    check(&"'".repeat(1_999));
    check(&"not ".repeat(140));
    check(&"EU or ".repeat(70));
    check(&"\u{1F600}".repeat(400));
}

#[test]
fn a_typed_value_stays_a_value() {
    let (context, _) = table::schema("sales");
    let planner = EmbeddedPlanner::new();
    let plan = planner.understand("customers whose city is \"x' OR '1'='1\"", &context).expect("a plan");
    assert!(plan.sql.contains("= 'x'' or ''1''=''1'"), "{}", plan.sql);
}
