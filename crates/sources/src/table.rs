//! What discovery found: one row a table, replaced as a whole by the next discovery of its schema. A table that is found again
//! keeps its id, which is that of a dataset to the policies that are bound to it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivergen_connectors::{DiscoveredColumn, DiscoveredSchema, DiscoveredTable, TableKind};
use rivergen_kernel::{DataSourceId, Error, OrganizationId, Result, Tenant};
use rivergen_platform::{Transaction, db::TenantOwned};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_source_tables")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub data_source_id: DataSourceId,
    pub schema_name: String,
    pub table_name: String,
    /// `table` or `view`.
    pub table_type: String,
    /// Array of `DiscoveredColumn`.
    pub columns: Json,
    pub row_count: Option<i64>,
    pub comment: Option<String>,
    pub discovered_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    /// The table as the connector found it.
    pub fn discovered(&self) -> Result<DiscoveredTable> {
        let columns: Vec<DiscoveredColumn> = serde_json::from_value(self.columns.clone()).map_err(Error::internal)?;
        Ok(DiscoveredTable {
            name: self.table_name.clone(),
            kind: if self.table_type == "view" { TableKind::View } else { TableKind::Table },
            columns,
            row_count: self.row_count.and_then(|count| u64::try_from(count).ok()),
            comment: self.comment.clone(),
        })
    }
}

/// Replaces what is known of the source, or of the one schema; answers what was known.
pub(crate) async fn replace(
    tx: &Transaction,
    tenant: Tenant,
    source: DataSourceId,
    only: Option<&str>,
    schemas: &[DiscoveredSchema],
    now: DateTime<Utc>,
) -> Result<Vec<Model>> {
    let mut known = of_sources(tx.conn(), tenant, &[source]).await?;
    // Index: data_source_tables(data_source_id, schema_name, table_name), unique.
    let mut old = Entity::delete_many()
        .filter(Column::OrganizationId.eq(tenant.organization_id()))
        .filter(Column::DataSourceId.eq(source));
    if let Some(schema) = only {
        known.retain(|table| table.schema_name == schema);
        old = old.filter(Column::SchemaName.eq(schema));
    }
    old.exec(tx.conn()).await?;
    let ids: BTreeMap<(&str, &str), i64> =
        known.iter().map(|row| ((row.schema_name.as_str(), row.table_name.as_str()), row.id)).collect();
    let (mut again, mut new) = (Vec::new(), Vec::new());
    for schema in schemas {
        for table in &schema.tables {
            let row = ActiveModel {
                organization_id: Set(tenant.organization_id()),
                data_source_id: Set(source),
                schema_name: Set(schema.name.clone()),
                table_name: Set(table.name.clone()),
                table_type: Set(if table.kind == TableKind::View { "view" } else { "table" }.to_owned()),
                columns: Set(serde_json::to_value(&table.columns).map_err(Error::internal)?),
                row_count: Set(table.row_count.and_then(|count| i64::try_from(count).ok())),
                comment: Set(table.comment.clone()),
                discovered_at: Set(now),
                ..Default::default()
            };
            match ids.get(&(schema.name.as_str(), table.name.as_str())) {
                Some(id) => again.push(ActiveModel { id: Set(*id), ..row }),
                None => new.push(row),
            }
        }
    }
    // One statement names the id of each of its rows, or of none.
    for batch in again.chunks(500).chain(new.chunks(500)) {
        Entity::insert_many(batch.to_vec()).exec_without_returning(tx.conn()).await?;
    }
    Ok(known)
}

/// Of a source that is read from elsewhere now nothing is known.
pub(crate) async fn forget(tx: &Transaction, source: DataSourceId) -> Result<()> {
    Entity::delete_many().filter(Column::DataSourceId.eq(source)).exec(tx.conn()).await?;
    Ok(())
}

/// All known tables of the sources.
pub async fn of_sources(db: &impl ConnectionTrait, tenant: Tenant, sources: &[DataSourceId]) -> Result<Vec<Model>> {
    use rivergen_platform::db::TenantScope;
    use sea_orm::QueryOrder;
    Ok(tenant
        .find::<Entity>()
        .filter(Column::DataSourceId.is_in(sources.iter().copied()))
        .order_by_asc(Column::DataSourceId)
        .order_by_asc(Column::SchemaName)
        .order_by_asc(Column::TableName)
        .all(db)
        .await?)
}
