use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rule::RuleType;

fn table() -> TableName {
    TableName { catalog: "crm".into(), schema: "main".into(), table: "customers".into() }
}

fn columns() -> Vec<ColumnInfo> {
    [
        ("id", ColumnType::Number),
        ("email", ColumnType::Text),
        ("region", ColumnType::Text),
        ("born", ColumnType::Date),
        ("photo", ColumnType::Other),
    ]
    .map(|(name, column_type)| ColumnInfo { name: name.into(), column_type, tags: Default::default() })
    .to_vec()
}

fn subject() -> Subject {
    let attributes = [("region".to_owned(), json!("EU"))].into();
    Subject { facts: Facts { attributes, ..Facts::default() }, role_ids: [RoleId(7)].into() }
}

fn policy(id: i64, rules: &[(RuleType, serde_json::Value)]) -> EffectivePolicy {
    EffectivePolicy {
        id: PolicyId(id),
        name: format!("policy {id}"),
        policy_type: PolicyType::RowLevelSecurity,
        priority: 0,
        only: None,
        rules: rules.iter().map(|(rule_type, config)| RuleConfig::parse(*rule_type, config).unwrap()).collect(),
    }
}

fn decided(policies: &[EffectivePolicy]) -> Decision {
    decide(policies, &table(), &columns(), &subject(), false)
}

#[test]
fn a_policy_for_some_tables_leaves_the_others_alone() {
    let denies = policy(1, &[(RuleType::DenyAccess, json!({}))]);
    let only = |schema: &str, table: &str| EffectivePolicy {
        only: Some([(schema.to_owned(), table.to_owned())].into()),
        ..denies.clone()
    };
    assert!(!decided(&[only("main", "customers")]).is_allowed());
    for elsewhere in [only("main", "orders"), only("archive", "customers"), only("main", "CUSTOMERS")] {
        assert_eq!(decided(&[elsewhere]), Decision::unrestricted());
    }
    // Its limits are of queries that read its tables.
    let limit = policy(2, &[(RuleType::LimitQuery, json!({"max_rows": 10}))]);
    let elsewhere = EffectivePolicy { only: only("main", "orders").only, ..limit.clone() };
    assert_eq!(decided(&[limit]).limits.max_rows, Some(10));
    assert_eq!(decided(&[elsewhere]).limits.max_rows, None);
}

#[test]
fn nothing_said_means_everything_seen() {
    assert_eq!(decided(&[]), Decision::unrestricted());
    let elsewhere = policy(1, &[(RuleType::DenyAccess, json!({"table": "orders"}))]);
    assert_eq!(decided(&[elsewhere]), Decision::unrestricted());
    let closed = decide(&[], &table(), &columns(), &subject(), true);
    assert_eq!(closed.access, Access::Denied(Denial::NotAllowed));
}

/// Of these alone what somebody sees depends from one second to the next, and not of what is decided before.
#[test]
fn what_is_compared_with_the_moment_is_told() {
    let facts = |kind: RuleType, config: serde_json::Value| decided(&[policy(1, &[(kind, config)])]).session_facts();
    let filter = |condition: &str| facts(RuleType::FilterRows, json!({"condition": condition}));
    let mask = |expression: &str| {
        let options = json!({"expression": expression});
        facts(RuleType::MaskColumn, json!({"column": "email", "masking_function": "expression", "options": options}))
    };
    let timestamp: BTreeSet<_> = [SessionFact::Timestamp].into();
    assert_eq!(filter("region = 'EU' AND NOT (born > current_timestamp)"), timestamp);
    assert_eq!(filter("id IN (SELECT id FROM entitled WHERE until > current_timestamp)"), timestamp);
    assert_eq!(mask("CASE WHEN born IN (current_timestamp) THEN lower(email) ELSE NULL END"), timestamp);
    assert_eq!(mask("coalesce(email, upper(current_timestamp))"), timestamp);
    assert_eq!(filter("born = current_date"), [SessionFact::Date].into());
    assert_eq!(filter("current_time BETWEEN '08:00' AND '17:00'"), BTreeSet::new());
    assert!([SessionFact::Time, SessionFact::Timestamp].into_iter().all(SessionFact::is_momentary));
    assert!(!SessionFact::Date.is_momentary() && !SessionFact::Hour.is_momentary());
}

#[test]
fn filters_add_up_and_masks_take_the_strictest() {
    let decision = decided(&[
        policy(
            1,
            &[
                (RuleType::FilterRows, json!({"table": "customers", "condition": "REGION = current_user_region"})),
                (RuleType::MaskColumn, json!({"column": "email", "masking_function": "email"})),
            ],
        ),
        policy(
            2,
            &[
                (RuleType::FilterRows, json!({"condition": "id > 5"})),
                (RuleType::MaskColumn, json!({"column": "Email", "masking_function": "hash"})),
            ],
        ),
    ]);
    assert!(decision.is_allowed());
    assert_eq!(decision.row_filters.len(), 2);
    assert_eq!(decision.masks["email"].mask, Mask::Hash);
    assert_eq!(decision.masks["email"].policy.id, PolicyId(2));
    let Some(Bound::Rows(Condition::And(parts))) = conjunction(&decision.row_filters) else { panic!("not both") };
    assert_eq!(parts.iter().flat_map(|part| part.columns()).collect::<Vec<_>>(), ["region", "id"]);
}

#[test]
fn a_missing_attribute_empties_the_table() {
    let policies = [policy(1, &[(RuleType::FilterRows, json!({"condition": "region = current_user_team OR id = 1"}))])];
    let decision = decided(&policies);
    assert_eq!(conjunction(&decision.row_filters), Some(Bound::NoRows { missing_attribute: "team".into() }));
}

#[test]
fn what_cannot_be_applied_denies() {
    for (rule_type, config) in [
        (RuleType::FilterRows, json!({"table": "customers", "condition": "tenant = 1"})),
        (RuleType::FilterRows, json!({"table": "*", "condition": "tenant = 1 AND id = 2"})),
        (RuleType::MaskColumn, json!({"table": "customers", "column": "ssn", "masking_function": "redact"})),
        (RuleType::MaskColumn, json!({"column": "email", "masking_function": "round_number", "options": {"to": 5}})),
        (RuleType::MaskColumn, json!({"column": "photo", "masking_function": "hash"})),
        (RuleType::DenyAccess, json!({"table": "main.customers", "columns": ["salary"]})),
    ] {
        let decision = decided(&[policy(3, &[(rule_type, config.clone())])]);
        assert!(matches!(decision.access, Access::Denied(Denial::CannotApply { .. })), "{config}");
        assert_eq!(decision.applied[0].evaluation_result, EvaluationResult::Denied);
    }
    for (rule_type, config) in [
        (RuleType::FilterRows, json!({"table": "*", "condition": "tenant = 1"})),
        (RuleType::MaskColumn, json!({"column": "ssn", "masking_function": "redact"})),
        (RuleType::DenyAccess, json!({"columns": ["salary"]})),
    ] {
        assert_eq!(decided(&[policy(3, &[(rule_type, config)])]), Decision::unrestricted());
    }
}

#[test]
fn a_custom_mask_shows_nothing_of_a_column_that_is_covered() {
    let custom = |expression: &str| {
        let options = json!({"expression": expression});
        (RuleType::MaskColumn, json!({"column": "region", "masking_function": "expression", "options": options}))
    };
    let masking = (RuleType::MaskColumn, json!({"column": "email", "masking_function": "partial"}));
    let hiding = (RuleType::DenyAccess, json!({"columns": ["email"]}));
    for (expression, is_left) in [
        ("left(email, 3)", false),
        ("coalesce(region, email)", false),
        ("CASE WHEN id > 5 THEN email ELSE region END", false),
        // A filter may ask about what is hidden as well.
        ("CASE WHEN email = 'a' THEN region ELSE NULL END", true),
        ("left(region, 1)", true),
    ] {
        for covering in [&masking, &hiding] {
            let decision = decided(&[policy(1, &[custom(expression)]), policy(2, std::slice::from_ref(covering))]);
            assert_eq!(decision.masks["region"].mask != Mask::NullValue, is_left, "{expression} beside {covering:?}");
        }
        assert_ne!(decided(&[policy(1, &[custom(expression)])]).masks["region"].mask, Mask::NullValue, "{expression}");
    }
    // Nor is there more of it when another mask is put on the column.
    let hash = (RuleType::MaskColumn, json!({"column": "region", "masking_function": "hash"}));
    let decision = decided(&[policy(1, &[custom("left(email, 3)"), hash]), policy(2, &[masking])]);
    assert_eq!(decision.masks["region"].mask, Mask::NullValue);
}

#[test]
fn a_filter_that_reads_no_column_is_for_every_table() {
    for table in [json!("*"), json!("customers"), json!(null)] {
        for (condition, truth) in [("'Owner' IN (current_user_roles)", false), ("current_user_region = 'EU'", true)] {
            let rule = json!({"table": table, "condition": condition});
            let decision = decided(&[policy(1, &[(RuleType::FilterRows, rule)])]);
            let rows = Bound::Rows(Condition::Known(Some(truth)));
            assert_eq!(conjunction(&decision.row_filters), Some(rows), "{condition} for {table}");
            assert!(!decision.is_whole());
        }
    }
}

#[test]
fn a_tag_hides_each_column_so_tagged_and_a_lost_one_closes_the_table() {
    let mut columns = columns();
    columns[1].tags = ["pii.email".to_owned()].into();
    columns[3].tags = ["pii.born".to_owned(), "hr".to_owned()].into();
    let hides = |tag: &str| policy(1, &[(RuleType::DenyAccess, json!({"tag": tag}))]);
    let decided = |tag: &str, lost: &[&str]| {
        let lost = lost.iter().map(|tag| (*tag).to_owned()).collect();
        decide_tagged(&[hides(tag)], &table(), &columns, &lost, &subject(), false)
    };
    let hidden = |decision: &Decision| decision.hidden.keys().cloned().collect::<Vec<_>>();
    assert_eq!(hidden(&decided("pii.*", &[])), ["born", "email"]);
    assert_eq!(hidden(&decided("hr", &["pii.email"])), ["born"]);
    assert_eq!(decided("finance", &[]), Decision::unrestricted());
    assert!(matches!(decided("pii.*", &["pii.phone"]).access, Access::Denied(Denial::CannotApply { .. })));
    let elsewhere = policy(1, &[(RuleType::DenyAccess, json!({"table": "orders", "tag": "pii.*"}))]);
    let decision = decide_tagged(&[elsewhere], &table(), &columns, &["pii.phone".to_owned()].into(), &subject(), false);
    assert_eq!(decision, Decision::unrestricted());
    // Hidden beats masked, whichever comes first.
    let mask = policy(2, &[(RuleType::MaskColumn, json!({"column": "email", "masking_function": "redact"}))]);
    let decision =
        decide_tagged(&[mask, hides("pii.email")], &table(), &columns, &Default::default(), &subject(), false);
    assert!(decision.masks.is_empty() && decision.hidden.contains_key("email"));
}

#[test]
fn access_rules() {
    let allow = |id, columns: &[&str]| {
        policy(id, &[(RuleType::AllowAccess, json!({"table": "customers", "columns": columns}))])
    };
    let deny = policy(9, &[(RuleType::DenyAccess, json!({"columns": ["id"]}))]);
    let visible = |policies: &[EffectivePolicy], default_deny| {
        let decision = decide(policies, &table(), &columns(), &subject(), default_deny);
        let open = decision.is_allowed();
        columns()
            .into_iter()
            .map(|column| column.name)
            .filter(|name| open && !decision.hidden.contains_key(name))
            .collect::<Vec<_>>()
    };
    assert_eq!(visible(&[allow(1, &["id"])], false), ["id"]);
    assert_eq!(visible(&[allow(1, &["id"]), allow(2, &["email"])], true), ["id", "email"]);
    assert_eq!(visible(&[allow(1, &["id"]), allow(2, &["email"]), deny.clone()], false), ["email"]);
    assert_eq!(visible(&[allow(1, &["id"]), deny.clone()], false), [""; 0]);
    assert_eq!(visible(&[deny], false), ["email", "region", "born", "photo"]);
    let all = policy(1, &[(RuleType::AllowAccess, json!({}))]);
    assert_eq!(visible(std::slice::from_ref(&all), true).len(), 5);
    let none = policy(2, &[(RuleType::DenyAccess, json!({"table": "customers"}))]);
    assert_eq!(
        decided(&[all, none.clone()]).access,
        Access::Denied(Denial::ByPolicy(PolicyRef { id: none.id, name: none.name }))
    );
}

#[test]
fn a_role_may_be_spared_a_mask() {
    let mask = |roles: &[i64]| {
        policy(
            1,
            &[(
                RuleType::MaskColumn,
                json!({"column": "email", "masking_function": "email", "unless_role_ids": roles}),
            )],
        )
    };
    assert_eq!(decided(&[mask(&[7])]), Decision::unrestricted());
    assert_eq!(decided(&[mask(&[8])]).masks.len(), 1);
}

#[test]
fn policies_are_reported_by_priority() {
    let mut policies = vec![
        policy(1, &[(RuleType::LimitQuery, json!({"max_rows": 5}))]),
        policy(2, &[(RuleType::FilterRows, json!({"condition": "id = 1"}))]),
        policy(3, &[(RuleType::DenyAccess, json!({"table": "orders"}))]),
    ];
    policies[1].priority = 10;
    let applied = decided(&policies).applied;
    let told: Vec<_> = applied.iter().map(|a| (a.policy_id.0, a.evaluation_result, a.action_taken)).collect();
    assert_eq!(
        told,
        [
            (2, EvaluationResult::Modified, ActionTaken::FilteredRows),
            (1, EvaluationResult::Modified, ActionTaken::LimitedQuery),
        ]
    );
}

fn any_rule() -> impl Strategy<Value = RuleConfig> {
    let rule = |rule_type, config| RuleConfig::parse(rule_type, &config).unwrap();
    let table = || prop_oneof![Just("customers"), Just("*"), Just("orders")];
    let column = || prop_oneof![Just("id"), Just("email"), Just("region"), Just("absent")];
    let function = prop_oneof![Just("email"), Just("hash"), Just("redact"), Just("null_value"), Just("partial")];
    let custom = prop_oneof![Just("left(email, 3)"), Just("coalesce(region, email)"), Just("region")];
    prop_oneof![
        (table(), column(), 0..3).prop_map(move |(t, c, v)| rule(
            RuleType::FilterRows,
            json!({"table": t, "condition": format!("{c} = {v} OR {c} = current_user_region")})
        )),
        (table(), column(), function).prop_map(move |(t, c, f)| rule(
            RuleType::MaskColumn,
            json!({"table": t, "column": c, "masking_function": f})
        )),
        (table(), prop_oneof![Just("email"), Just("region")], custom).prop_map(move |(t, c, e)| rule(
            RuleType::MaskColumn,
            json!({"table": t, "column": c, "masking_function": "expression", "options": {"expression": e}})
        )),
        (table(), column()).prop_map(move |(t, c)| rule(RuleType::DenyAccess, json!({"table": t, "columns": [c]}))),
        table().prop_map(move |t| rule(RuleType::DenyAccess, json!({"table": t}))),
        (table(), column()).prop_map(move |(t, c)| rule(RuleType::AllowAccess, json!({"table": t, "columns": [c]}))),
        (1..9_u64).prop_map(move |n| rule(RuleType::LimitQuery, json!({"max_rows": n}))),
    ]
}

fn any_policies() -> impl Strategy<Value = Vec<EffectivePolicy>> {
    prop::collection::vec((prop::collection::vec(any_rule(), 1..3), 0..3_i64), 0..5).prop_map(|policies| {
        (1..)
            .zip(policies)
            .map(|(id, (rules, priority))| EffectivePolicy { priority, rules, ..policy(id, &[]) })
            .collect()
    })
}

/// What can be seen, apart from how it is reported.
fn seen(decision: &Decision) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut filters: Vec<_> =
        decision.row_filters.iter().map(|filter| (filter.policy.id, filter.rows.clone())).collect();
    filters.sort_by_key(|(id, _)| *id);
    let masks: Vec<_> = decision.masks.iter().map(|(column, held)| (column.clone(), held.mask.clone())).collect();
    (decision.is_allowed(), filters, masks, decision.hidden.keys().cloned().collect::<BTreeSet<_>>(), decision.limits)
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter(policies in any_policies(), default_deny: bool, rotate in 0..5_usize) {
        let decide = |policies: &[EffectivePolicy]| decide(policies, &table(), &columns(), &subject(), default_deny);
        let mut shuffled = policies.clone();
        shuffled.reverse();
        if !shuffled.is_empty() {
            let by = rotate % shuffled.len();
            shuffled.rotate_left(by);
        }
        shuffled.extend(policies.clone());
        let (one, other) = (decide(&policies), decide(&shuffled));
        prop_assert_eq!(seen(&one), seen(&other));
        prop_assert_eq!(one.applied, other.applied);
        let reprioritized: Vec<_> =
            policies.iter().cloned().map(|p| EffectivePolicy { priority: -p.priority, ..p }).collect();
        prop_assert_eq!(seen(&decide(&policies)), seen(&decide(&reprioritized)));
    }

    /// One more policy takes away or leaves; only an allow rule may give, and only where allow rules are needed.
    #[test]
    fn one_more_policy_never_widens(
        policies in any_policies(),
        rules in prop::collection::vec(any_rule(), 1..3),
        default_deny: bool,
    ) {
        let decide = |policies: &[EffectivePolicy]| decide(policies, &table(), &columns(), &subject(), default_deny);
        let before = decide(&policies);
        let allows = |rule: &RuleConfig| matches!(rule, RuleConfig::AllowAccess(_));
        let needed = default_deny || policies.iter().any(|policy| policy.rules.iter().any(allows));
        let may_open = needed && rules.iter().any(allows);
        let mut more = policies;
        more.push(EffectivePolicy { rules, ..policy(100, &[]) });
        let after = decide(&more);

        if !may_open {
            prop_assert!(before.is_allowed() || !after.is_allowed());
            prop_assert!(before.hidden.keys().all(|column| after.hidden.contains_key(column)));
        }
        prop_assert!(before.row_filters.iter().all(|filter| after.row_filters.contains(filter)));
        for (column, held) in &before.masks {
            let stricter = after.masks.get(column).is_some_and(|now| now.mask >= held.mask);
            prop_assert!(stricter || after.hidden.contains_key(column));
        }
        prop_assert_eq!(after.limits.tighten(before.limits), after.limits);
    }

    /// A hidden column is never masked and a deny rule is never overruled.
    #[test]
    fn deny_beats_everything(policies in any_policies(), default_deny: bool) {
        let decision = decide(&policies, &table(), &columns(), &subject(), default_deny);
        prop_assert!(decision.masks.keys().all(|column| !decision.hidden.contains_key(column)));
        for policy in &policies {
            for rule in &policy.rules {
                if let RuleConfig::DenyAccess(rule) = rule && rule.table.matches(&table()) {
                    match &rule.columns {
                        None => prop_assert!(!decision.is_allowed()),
                        Some(names) => for name in names {
                            let exists = columns().iter().any(|column| column.name == *name);
                            prop_assert!(!exists || decision.hidden.contains_key(name));
                        },
                    }
                }
            }
        }
    }
}
