//! How what a source holds has changed: what the last discovery found and this one did not, and the other way round.
//!
//! The newest thousand changes of a source are kept, for ninety days.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use rivergen_connectors::{DiscoveredColumn, DiscoveredSchema, DiscoveredTable};
use rivergen_kernel::{DataSourceId, Error, OrganizationId, Result, Tenant};
use rivergen_platform::{
    Transaction,
    db::{TenantOwned, TenantScope},
};
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{health::history::trim, source, table};

const KEPT: Duration = Duration::days(90);
const MOST: usize = 1_000;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = SchemaChangeKind)]
pub enum Kind {
    #[sea_orm(string_value = "table_added")]
    TableAdded,
    #[sea_orm(string_value = "table_removed")]
    TableRemoved,
    #[sea_orm(string_value = "column_added")]
    ColumnAdded,
    #[sea_orm(string_value = "column_removed")]
    ColumnRemoved,
    #[sea_orm(string_value = "column_type_changed")]
    ColumnTypeChanged,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_source_changes")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub data_source_id: DataSourceId,
    pub change: Kind,
    pub schema_name: String,
    pub table_name: String,
    pub column_name: Option<String>,
    /// The type of the column before, as the source writes it.
    pub was: Option<String>,
    pub became: Option<String>,
    /// Array of `DiscoveredColumn`: those that are gone. Policies may speak of them still.
    pub vanished: Json,
    pub detected_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn vanished_columns(&self) -> Result<Vec<DiscoveredColumn>> {
        serde_json::from_value(self.vanished.clone()).map_err(Error::internal)
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    kind: Kind,
    schema: String,
    table: String,
    column: Option<String>,
    was: Option<String>,
    became: Option<String>,
    vanished: Vec<DiscoveredColumn>,
}

/// From what was known to what was found, in the order of the names.
pub(crate) fn between(known: &[table::Model], found: &[DiscoveredSchema]) -> Result<Vec<Change>> {
    let mut before = BTreeMap::new();
    for row in known {
        before.insert((row.schema_name.as_str(), row.table_name.as_str()), row.discovered()?);
    }
    let mut changes = Vec::new();
    let mut after = BTreeMap::new();
    for (schema, table) in found.iter().flat_map(|schema| schema.tables.iter().map(move |table| (&schema.name, table)))
    {
        let name = (schema.as_str(), table.name.as_str());
        match before.get(&name) {
            None => changes.push(Change::of(Kind::TableAdded, name, None)),
            Some(old) => changes.extend(of_columns(name, old, table)),
        }
        after.insert(name, table);
    }
    for (name, table) in &before {
        if !after.contains_key(name) {
            changes.push(Change { vanished: table.columns.clone(), ..Change::of(Kind::TableRemoved, *name, None) });
        }
    }
    changes.sort_by(|a, b| (&a.schema, &a.table, &a.column).cmp(&(&b.schema, &b.table, &b.column)));
    Ok(changes)
}

fn of_columns(name: (&str, &str), old: &DiscoveredTable, new: &DiscoveredTable) -> Vec<Change> {
    let named = |table: &DiscoveredTable, name: &str| table.columns.iter().position(|column| column.name == name);
    let mut changes = Vec::new();
    for column in &new.columns {
        let became = Some(column.source_type.clone());
        match named(old, &column.name).map(|at| &old.columns[at]) {
            None => changes.push(Change { became, ..Change::of(Kind::ColumnAdded, name, Some(&column.name)) }),
            Some(before) if before.source_type != column.source_type => changes.push(Change {
                was: Some(before.source_type.clone()),
                became,
                ..Change::of(Kind::ColumnTypeChanged, name, Some(&column.name))
            }),
            Some(_) => {}
        }
    }
    for column in old.columns.iter().filter(|column| named(new, &column.name).is_none()) {
        changes.push(Change {
            was: Some(column.source_type.clone()),
            vanished: vec![column.clone()],
            ..Change::of(Kind::ColumnRemoved, name, Some(&column.name))
        });
    }
    changes
}

impl Change {
    fn of(kind: Kind, (schema, table): (&str, &str), column: Option<&str>) -> Self {
        Self {
            kind,
            schema: schema.to_owned(),
            table: table.to_owned(),
            column: column.map(str::to_owned),
            was: None,
            became: None,
            vanished: Vec::new(),
        }
    }
}

/// How many of each kind there are, by its name.
pub(crate) fn counts(changes: &[Change]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for change in changes {
        *counts.entry(change.kind.to_value()).or_default() += 1;
    }
    counts
}

/// Keeps them, as many as are kept of a source.
pub(crate) async fn add(
    tx: &Transaction,
    source: &source::Model,
    changes: &[Change],
    now: DateTime<Utc>,
) -> Result<()> {
    let mut rows = Vec::with_capacity(changes.len().min(MOST));
    for change in changes.iter().take(MOST) {
        rows.push(ActiveModel {
            organization_id: Set(source.organization_id),
            data_source_id: Set(source.id),
            change: Set(change.kind),
            schema_name: Set(change.schema.clone()),
            table_name: Set(change.table.clone()),
            column_name: Set(change.column.clone()),
            was: Set(change.was.clone()),
            became: Set(change.became.clone()),
            vanished: Set(serde_json::to_value(&change.vanished).map_err(Error::internal)?),
            detected_at: Set(now),
            ..Default::default()
        });
    }
    for batch in rows.chunks(500) {
        Entity::insert_many(batch.to_vec()).exec_without_returning(tx.conn()).await?;
    }
    trim::<Entity>(tx, Column::Id, Column::DataSourceId, source.id, MOST as u64).await
}

/// All that are kept of a source, the newest first. Index: data_source_changes(data_source_id, id).
pub async fn newest(db: &impl ConnectionTrait, tenant: Tenant, source: DataSourceId) -> Result<Vec<Model>> {
    let of_source = tenant.find::<Entity>().filter(Column::DataSourceId.eq(source));
    Ok(of_source.order_by_desc(Column::Id).limit(MOST as u64).all(db).await?)
}

/// Removes what is too old. Index: data_source_changes(detected_at).
pub(crate) async fn purge(tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
    Entity::delete_many().filter(Column::DetectedAt.lte(now - KEPT)).exec(tx.conn()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rivergen_connectors::TableKind;
    use serde_json::json;

    use super::*;

    fn table(name: &str, columns: &[(&str, &str)]) -> DiscoveredTable {
        let column = |(name, source_type): &(&str, &str)| DiscoveredColumn {
            name: (*name).to_owned(),
            source_type: (*source_type).to_owned(),
            arrow_type: datafusion::arrow::datatypes::DataType::Utf8,
            position: 1,
            nullable: true,
            primary_key: false,
            foreign_key: None,
            default_value: None,
            comment: None,
            reading: None,
        };
        DiscoveredTable {
            name: name.to_owned(),
            kind: TableKind::Table,
            columns: columns.iter().map(column).collect(),
            row_count: None,
            comment: None,
        }
    }

    fn known(table: &DiscoveredTable) -> table::Model {
        table::Model {
            id: 1,
            organization_id: OrganizationId(1),
            data_source_id: DataSourceId(1),
            schema_name: "public".to_owned(),
            table_name: table.name.clone(),
            table_type: "table".to_owned(),
            columns: json!(table.columns),
            row_count: None,
            comment: None,
            discovered_at: Utc::now(),
        }
    }

    #[test]
    fn every_difference_is_told_once() {
        let before = [table("a", &[("id", "int"), ("name", "text"), ("old", "text")]), table("gone", &[("x", "int")])];
        let after = [table("a", &[("id", "bigint"), ("name", "text"), ("new", "date")]), table("fresh", &[])];
        let before: Vec<table::Model> = before.iter().map(known).collect();
        let after = [DiscoveredSchema { name: "public".to_owned(), tables: after.to_vec() }];
        let changes = between(&before, &after).unwrap();
        let told: Vec<_> = changes.iter().map(|c| (c.kind, c.table.as_str(), c.column.as_deref())).collect();
        assert_eq!(
            told,
            [
                (Kind::ColumnTypeChanged, "a", Some("id")),
                (Kind::ColumnAdded, "a", Some("new")),
                (Kind::ColumnRemoved, "a", Some("old")),
                (Kind::TableAdded, "fresh", None),
                (Kind::TableRemoved, "gone", None),
            ]
        );
        assert_eq!((changes[0].was.as_deref(), changes[0].became.as_deref()), (Some("int"), Some("bigint")));
        assert_eq!(changes[4].vanished.len(), 1);
        assert_eq!(counts(&changes)["column_added"], 1);
        assert!(
            between(&before, &[DiscoveredSchema { name: "other".to_owned(), tables: Vec::new() }]).unwrap().len() == 2
        );
    }
}
