//! What people say of the data, in plans of the embedded planner.

use rivergen_studio::planner::{ColumnPlace, Context, EmbeddedPlanner, Join, Synonym};

use super::engine::Engine;
use super::table;

fn place(context: &Context, name: &str) -> ColumnPlace {
    context.column_place(name).unwrap_or_else(|| panic!("no {name}"))
}

async fn rows(engine: &Engine, context: &Context, question: &str) -> Vec<String> {
    let plan = EmbeddedPlanner::new().understand(question, context).unwrap_or_else(|e| panic!("{question}: {e:?}"));
    let rows = engine.rows(&plan.sql).await.unwrap_or_else(|error| panic!("{}: {error}", plan.sql));
    rows.iter().map(|row| row.join(" | ")).collect()
}

#[tokio::test]
async fn a_metric_is_counted_as_it_is_defined() {
    let (mut context, data) = table::schema("sales");
    let engine = Engine::new(&context, &data).await;
    let orders = context.table_place("orders.files.orders").unwrap();
    let metric = context.metric("net sales", orders, "sum(amount) where status in ('paid', 'shipped')").unwrap();
    context.layer.metrics.push(metric);
    assert_eq!(rows(&engine, &context, "What are the net sales?").await, ["7600"]);
    assert_eq!(
        rows(&engine, &context, "net sales by region").await,
        ["EU | 3800", "US | 3500", "APAC | 300"],
        "groups of the metric's own rows"
    );
    assert_eq!(rows(&engine, &context, "total net sales in EU").await, ["3800"]);
    assert_eq!(
        rows(&engine, &context, "top 2 customers by net sales").await,
        ["1 | Ann Archer | 4300", "3 | Cid Clark | 1500"]
    );
    assert_eq!(
        rows(&engine, &context, "customers with net sales over 1400").await,
        ["1 | Ann Archer | 4300", "3 | Cid Clark | 1500"]
    );
    assert_eq!(rows(&engine, &context, "average net sales per customer").await.len(), 1);
    let plan = EmbeddedPlanner::new().understand("net sales by category", &context).unwrap();
    assert!(plan.explanation.contains("net sales (sum(amount) where status in ('paid', 'shipped')"), "{plan:?}");
    assert!(plan.sql.contains(r#"AS "net_sales""#), "{}", plan.sql);
}

#[tokio::test]
async fn a_formula_means_what_its_parentheses_say() {
    let (mut context, data) = table::schema("sales");
    let engine = Engine::new(&context, &data).await;
    let orders = context.table_place("orders.files.orders").unwrap();
    let definition =
        "sum((amount - 100) * quantity) where not (status = 'paid' or region = 'US') and status is not null";
    let metric = context.metric("surplus", orders, definition).unwrap();
    context.layer.metrics.push(metric);
    // Orders 1, 3, 7, 8 and 12: 900 + 200 + 4200 + 200 + 200.
    assert_eq!(rows(&engine, &context, "surplus").await, ["5700"]);
}

#[test]
fn a_word_means_what_was_said_of_it() {
    let (mut context, _) = table::schema("sales");
    let planner = EmbeddedPlanner::new();
    assert!(planner.understand("customers by turf", &context).is_err());
    let region = place(&context, "crm.main.customers.region");
    let synonym = |phrase: &str, is_value| Synonym {
        phrase: phrase.to_owned(),
        table: region.table,
        column: Some(region.column),
        is_value,
    };
    context.layer.synonyms.push(synonym("turf", false));
    let plan = planner.understand("customers by turf", &context).unwrap();
    assert!(plan.sql.contains(r#"GROUP BY "customers"."region""#), "{}", plan.sql);
    // A value of two columns is one of the chosen column alone.
    assert!(planner.understand("how many orders in EU", &context).unwrap().sql.contains(r#""orders"."region" = 'EU'"#));
    context.layer.synonyms.push(synonym("EU", true));
    let plan = planner.understand("how many orders in EU", &context).unwrap();
    assert!(plan.sql.contains(r#""customers"."region" = 'EU'"#), "{}", plan.sql);
}

#[test]
fn a_confirmed_join_goes_before_what_names_tell() {
    let (mut context, _) = table::schema("sales");
    let planner = EmbeddedPlanner::new();
    let join = Join {
        from: place(&context, "orders.files.orders.product_id"),
        to: place(&context, "products.files.products.price"),
        one_to_one: false,
    };
    context.layer.joins.push(join);
    let plan = planner.understand("total amount by product category", &context).unwrap();
    assert!(plan.sql.contains(r#"ON "orders"."product_id" = "products"."price""#), "{}", plan.sql);
}
