//! Values that are many, as names are: known where they are said, and told to nobody.

use rivergen_studio::planner::{Context, EmbeddedPlanner, PlanError};

use super::table;

/// Sixty towns where people live, which are more than kinds and states ever are.
fn context() -> Context {
    let (mut context, _) = table::schema("museums");
    let town = context.column_place("art.main.visitor.home_town").unwrap();
    let towns = &mut context.tables[town.table].columns[town.column].sample_values;
    *towns = (0..58).map(|number| format!("Town {number}")).chain(["Oslo".into(), "New Ross".into()]).collect();
    towns.sort();
    context
}

fn sql(question: &str) -> String {
    EmbeddedPlanner::new().understand(question, &context()).unwrap_or_else(|e| panic!("{question}: {e:?}")).sql
}

#[test]
fn a_name_is_known_where_it_is_spelled_like_one() {
    assert!(sql("How many visitors are from Oslo?").contains(r#""home_town" = 'Oslo'"#));
    assert!(sql("visitors from New Ross").contains(r#""home_town" = 'New Ross'"#));
    assert!(sql("visitors with home town 'new ross'").contains(r#""home_town" = 'New Ross'"#));
    // A word like any other may mean something else.
    for question in ["How many visitors are from oslo?", "visitors from Bergen"] {
        let refused = EmbeddedPlanner::new().understand(question, &context()).unwrap_err();
        assert!(matches!(refused, PlanError::NotUnderstood { .. }), "{question}: {refused:?}");
    }
}

#[test]
fn a_name_is_not_suggested() {
    let context = context();
    let refused = EmbeddedPlanner::new().understand("visitors from Bergen", &context).unwrap_err();
    assert!(!format!("{refused:?}").contains("Oslo") && !format!("{refused:?}").contains("Town"), "{refused:?}");
}
