use std::{collections::BTreeSet, sync::Arc, time::Duration};

use datafusion::{
    arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray},
    catalog::TableProvider,
    datasource::MemTable,
};
use rivergen_kernel::{DataSourceId, PolicyId, RoleId};
use rivergen_policies::{
    decision::{ColumnInfo, Decision, Subject, decide},
    facts::Facts,
    mask::HashKey,
    rule::{EffectivePolicy, PolicyType, RuleConfig, RuleType, TableName},
};
use rivergen_query::{
    GovernedTable, JsonAnswer, Limits, QueryError, QueryThreads, Session, SessionSpec, mask::column_type,
};
use serde_json::{Value as Json, json};

pub fn policy(id: i64, name: &str, rules: &[(RuleType, Json)]) -> EffectivePolicy {
    EffectivePolicy {
        id: PolicyId(id),
        name: name.to_owned(),
        policy_type: PolicyType::RowLevelSecurity,
        priority: 0,
        only: None,
        rules: rules.iter().map(|(rule_type, config)| RuleConfig::parse(*rule_type, config).unwrap()).collect(),
    }
}

pub fn facts(attributes: Json) -> Facts {
    let attributes = attributes.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    Facts { attributes, ..Facts::default() }
}

pub fn decided(name: &TableName, provider: &dyn TableProvider, policies: &[EffectivePolicy]) -> Decision {
    let columns: Vec<ColumnInfo> = provider
        .schema()
        .fields()
        .iter()
        .map(|field| ColumnInfo {
            name: field.name().clone(),
            column_type: column_type(field.data_type()),
            tags: Default::default(),
        })
        .collect();
    let subject = Subject { facts: facts(json!({"region": "EU", "level": 3})), role_ids: BTreeSet::from([RoleId(7)]) };
    decide(policies, name, &columns, &subject, false)
}

pub fn governed(
    catalog: &str,
    table: &str,
    provider: Arc<dyn TableProvider>,
    policies: &[EffectivePolicy],
) -> GovernedTable {
    let name = TableName { catalog: catalog.into(), schema: "main".into(), table: table.into() };
    let decision = decided(&name, provider.as_ref(), policies);
    GovernedTable { name, source_id: DataSourceId(1), provider, decision, entitlements: Default::default() }
}

pub fn mem_table(columns: Vec<(&str, ArrayRef)>) -> Arc<MemTable> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

/// id, name, email, card, region, salary, born, balance.
pub fn customers() -> Arc<MemTable> {
    mem_table(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]))),
        ("name", Arc::new(StringArray::from(vec!["Anna", "Bert", "Cleo", "Dora", "Emil"]))),
        (
            "email",
            Arc::new(StringArray::from(vec![
                Some("anna@example.com"),
                Some("bert@example.org"),
                Some("c@example.com"),
                None,
                Some("emil@example.com"),
            ])),
        ),
        ("card", Arc::new(StringArray::from(vec!["4111111111111111", "5500000000000004", "340000000000009", "1", ""]))),
        ("region", Arc::new(StringArray::from(vec![Some("EU"), Some("US"), Some("EU"), None, Some("US")]))),
        ("salary", Arc::new(Int64Array::from(vec![52_400, 100, 61_999, 0, 0]))),
        ("born", Arc::new(Date32Array::from(vec![Some(7_305), Some(10_000), None, Some(0), Some(-400)]))),
        (
            "balance",
            Arc::new(Decimal128Array::from(vec![12_345, 5, -99_950, 0, 1]).with_precision_and_scale(12, 2).unwrap()),
        ),
    ])
}

/// id, customer_id, amount.
pub fn orders() -> Arc<MemTable> {
    mem_table(vec![
        ("id", Arc::new(Int64Array::from(vec![10, 11, 12, 13]))),
        ("customer_id", Arc::new(Int64Array::from(vec![1, 1, 2, 3]))),
        ("amount", Arc::new(Float64Array::from(vec![10.0, 20.5, 7.25, 0.0]))),
    ])
}

pub fn region_filter() -> EffectivePolicy {
    policy(
        12,
        "region filter",
        &[(RuleType::FilterRows, json!({"table": "customers", "condition": "region = current_user_region"}))],
    )
}

pub fn masks() -> EffectivePolicy {
    policy(
        13,
        "personal data",
        &[
            (RuleType::MaskColumn, json!({"table": "customers", "column": "email", "masking_function": "email"})),
            (RuleType::MaskColumn, json!({"table": "customers", "column": "card", "masking_function": "partial"})),
            (
                RuleType::MaskColumn,
                json!({"table": "customers", "column": "salary", "masking_function": "round_number", "options": {"to": 1000}}),
            ),
        ],
    )
}

pub fn limits() -> Limits {
    Limits {
        max_rows: 1_000,
        max_bytes: 1 << 20,
        timeout: Duration::from_secs(20),
        memory_bytes: 64 << 20,
        spill_directory: std::env::temp_dir(),
        max_spill_bytes: 256 << 20,
    }
}

pub fn session_over(tables: Vec<GovernedTable>, limits: Limits) -> Session {
    session_on(2, tables, limits)
}

/// With one partition nothing stands between operators, and the optimizer moves more of them.
pub fn session_on(partitions: usize, tables: Vec<GovernedTable>, limits: Limits) -> Session {
    Session::open(SessionSpec {
        tables,
        limits,
        hash_key: HashKey::new(b"a key of the organization"),
        default_schema: None,
        object_stores: Vec::new(),
        target_partitions: Some(partitions),
        threads: QueryThreads::default(),
    })
    .unwrap()
}

pub fn session(policies: &[EffectivePolicy]) -> Session {
    session_over(tables(policies), limits())
}

pub fn tables(policies: &[EffectivePolicy]) -> Vec<GovernedTable> {
    vec![governed("crm", "customers", customers(), policies), governed("shop", "orders", orders(), policies)]
}

pub async fn ask(session: &Session, sql: &str) -> Result<JsonAnswer, QueryError> {
    ask_with(session, sql, json!({})).await
}

pub async fn ask_with(session: &Session, sql: &str, parameters: Json) -> Result<JsonAnswer, QueryError> {
    session.plan(sql, parameters.as_object().unwrap()).await?.collect_json_rows().await
}

pub async fn rows(session: &Session, sql: &str) -> Json {
    match ask(session, sql).await {
        Ok(answer) => json!(answer.rows),
        Err(error) => panic!("{sql}: {error:?}"),
    }
}
