//! A registered source: its row, and how the API shows it.

use chrono::{DateTime, Utc};
use rivergen_connectors::{DataSourceType, SourceConfig, tunnel::TunnelConfig};
use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, OrganizationId, Permission, Result, UserId, WorkspaceId, access::Resource,
};
use rivergen_platform::{Transaction, db::TenantOwned, vault::Sealed};
use sea_orm::{QuerySelect, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{access::not_found, create::lies_in_storage};

/// Where SSH servers listen, unless it is said otherwise.
pub(crate) const SSH_PORT: u16 = 22;

/// How a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = DataSourceStatus)]
pub enum Status {
    #[sea_orm(string_value = "active")]
    Active,
    /// Switched off: nobody is connected to it.
    #[sea_orm(string_value = "inactive")]
    Inactive,
    /// New, or changed: its test has not ended yet.
    #[sea_orm(string_value = "testing")]
    Testing,
    #[sea_orm(string_value = "failed")]
    Failed,
    /// Switched off for a while.
    #[sea_orm(string_value = "maintenance")]
    Maintenance,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_sources")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DataSourceId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    /// The name as a catalogue of SQL; unique in the organization. It stays when the source is renamed or deleted, because
    /// queries and policies name it.
    pub slug: String,
    pub kind: String,
    pub description: Option<String>,
    pub host: Option<String>,
    pub port: Option<i32>,
    pub database_name: Option<String>,
    pub schema_name: Option<String>,
    pub file_path: Option<String>,
    pub use_ssh_tunnel: bool,
    pub ssh_host: Option<String>,
    pub ssh_port: Option<i32>,
    pub ssh_username: Option<String>,
    pub ssh_local_port: Option<i32>,
    pub connection_pool_size: i32,
    /// Seconds.
    pub connection_timeout: i32,
    /// Seconds.
    pub query_timeout: i32,
    pub max_retries: i32,
    pub schema_auto_refresh: bool,
    /// Seconds.
    pub schema_refresh_interval: i32,
    pub metadata: Json,
    pub tags: Json,
    /// Sealed under the organization's data key.
    pub credentials: Option<Sealed>,
    pub credentials_updated_at: Option<DateTime<Utc>>,
    pub status: Status,
    pub last_tested_at: Option<DateTime<Utc>>,
    pub last_successful_connection_at: Option<DateTime<Utc>>,
    pub last_failed_connection_at: Option<DateTime<Utc>>,
    pub failure_count: i32,
    pub failure_reason: Option<String>,
    pub schema_discovered_at: Option<DateTime<Utc>>,
    /// When the monitor checks it, and when it discovers it.
    pub next_check_at: Option<DateTime<Utc>>,
    pub next_discovery_at: Option<DateTime<Utc>>,
    pub created_by_user_id: UserId,
    pub updated_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    /// Of the configuration; tests do not move it.
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn kind(&self) -> Result<DataSourceType> {
        self.kind.parse().map_err(|text: String| Error::internal(text))
    }

    /// The file in storage that it reads. A kind that reads none has none, whatever was entered for it.
    pub fn stored_file(&self) -> Option<&str> {
        self.file_path.as_deref().filter(|_| self.kind().is_ok_and(lies_in_storage))
    }

    /// As access policies look at it.
    pub fn resource(&self) -> Resource {
        Resource { id: Some(self.id.0), workspace_id: self.workspace_id, owner_id: Some(self.created_by_user_id) }
    }

    /// `DATA_SOURCE_UNAVAILABLE` for one that is switched off.
    pub fn check_enabled(&self) -> Result<()> {
        let state = match self.status {
            Status::Active | Status::Testing | Status::Failed => return Ok(()),
            Status::Inactive => "is inactive: someone switched it off",
            Status::Maintenance => "is under maintenance: someone switched it off for a while",
        };
        Err(self.unavailable(state))
    }

    /// `DATA_SOURCE_UNAVAILABLE` unless it can be asked.
    pub fn check_usable(&self) -> Result<()> {
        self.check_enabled()?;
        if self.status == Status::Failed {
            return Err(self.unavailable("failed its last test; test its connection"));
        }
        Ok(())
    }

    fn unavailable(&self, state: &str) -> Error {
        Error::new(ErrorCode::DataSourceUnavailable).with_message(format!("The data source “{}” {state}.", self.name))
    }

    fn tunnel(&self) -> Option<TunnelConfig> {
        self.use_ssh_tunnel.then(|| TunnelConfig {
            host: self.ssh_host.clone().unwrap_or_default(),
            port: self.ssh_port.and_then(|port| u16::try_from(port).ok()).unwrap_or(SSH_PORT),
            username: self.ssh_username.clone().unwrap_or_default(),
        })
    }

    pub(crate) fn config(&self) -> Result<SourceConfig> {
        let unsigned = |number: i32| u32::try_from(number).unwrap_or_default();
        Ok(SourceConfig {
            host: self.host.clone(),
            port: self.port.and_then(|port| u16::try_from(port).ok()),
            database_name: self.database_name.clone(),
            schema_name: self.schema_name.clone(),
            file_path: self.file_path.clone(),
            tunnel: self.tunnel(),
            connection_pool_size: unsigned(self.connection_pool_size),
            connection_timeout: unsigned(self.connection_timeout),
            query_timeout: unsigned(self.query_timeout),
            max_retries: unsigned(self.max_retries),
            metadata: self.metadata.as_object().cloned().unwrap_or_default(),
            ..SourceConfig::new(self.kind()?)
        })
    }
}

/// The row, locked for a change; `CONFLICT` where somebody else has changed the configuration since it was read, and
/// `NOT_FOUND` where it is deleted.
pub(crate) async fn hold_unchanged(tx: &Transaction, read: &Model) -> Result<Model> {
    let live = Entity::find_by_id(read.id).filter(Column::DeletedAt.is_null()).lock_exclusive();
    let current = live.one(tx.conn()).await?.ok_or_else(|| not_found(read.id))?;
    if current.updated_at != read.updated_at {
        return Err(Error::new(ErrorCode::Conflict)
            .with_message("Someone else has changed the data source in the meantime; read it again and retry."));
    }
    Ok(current)
}

/// A source as a list shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSourceListItem {
    pub id: DataSourceId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    #[schema(examples("CRM"))]
    pub name: String,
    #[serde(rename = "type")]
    #[schema(examples("postgresql"))]
    pub kind: String,
    pub description: Option<String>,
    #[schema(examples("db.acme.example"))]
    pub host: Option<String>,
    #[schema(examples(5432))]
    pub port: Option<i32>,
    pub database_name: Option<String>,
    pub schema_name: Option<String>,
    pub file_path: Option<String>,
    /// It is reached through the SSH server `ssh_host`.
    pub use_ssh_tunnel: bool,
    pub ssh_host: Option<String>,
    pub ssh_port: Option<i32>,
    pub status: Status,
    pub last_tested_at: Option<DateTime<Utc>>,
    pub last_successful_connection_at: Option<DateTime<Utc>>,
    pub schema_discovered_at: Option<DateTime<Utc>>,
    pub schema_auto_refresh: bool,
    #[schema(value_type = Vec<String>)]
    pub tags: serde_json::Value,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// It can be restored for thirty days.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A source with its whole configuration, except the secrets.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSource {
    #[serde(flatten)]
    pub item: DataSourceListItem,
    /// Never shown: it usually contains a password.
    pub connection_string: Option<String>,
    /// The catalogue under which SQL names the source's tables: `<sql_name>.<schema>.<table>`.
    #[schema(examples("crm"))]
    pub sql_name: String,
    pub ssh_username: Option<String>,
    pub ssh_key_id: Option<i64>,
    pub ssh_local_port: Option<i32>,
    pub connection_pool_size: i32,
    pub connection_timeout: i32,
    pub query_timeout: i32,
    pub max_retries: i32,
    pub last_failed_connection_at: Option<DateTime<Utc>>,
    pub failure_count: i32,
    pub failure_reason: Option<String>,
    pub schema_refresh_interval: i32,
    pub credentials_updated_at: Option<DateTime<Utc>>,
    /// Settings that name tables and columns (`avro_schema`, `endpoints`, `openapi`, `tables`) are only shown to those
    /// who may change the source.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Value,
    pub created_by_user_id: UserId,
    pub updated_by_user_id: Option<UserId>,
}

/// Settings in `metadata` that name tables and columns.
const OF_CONTENT: [&str; 4] = ["avro_schema", "endpoints", "openapi", "tables"];

impl DataSource {
    /// As the caller may know it: settings that name what a source holds are for those who set them. Which tables and
    /// columns exist for somebody else, policies say.
    pub(crate) fn shown_to(mut self, caller: &Caller) -> Self {
        if !caller.may(Permission::DataSourceWrite)
            && let Some(settings) = self.metadata.as_object_mut()
        {
            settings.retain(|name, _| !OF_CONTENT.contains(&name.as_str()));
        }
        self
    }
}

impl From<Model> for DataSourceListItem {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            organization_id: row.organization_id,
            workspace_id: row.workspace_id,
            name: row.name,
            kind: row.kind,
            description: row.description,
            host: row.host,
            port: row.port,
            database_name: row.database_name,
            schema_name: row.schema_name,
            file_path: row.file_path,
            use_ssh_tunnel: row.use_ssh_tunnel,
            ssh_host: row.ssh_host,
            ssh_port: row.ssh_port,
            status: row.status,
            last_tested_at: row.last_tested_at,
            last_successful_connection_at: row.last_successful_connection_at,
            schema_discovered_at: row.schema_discovered_at,
            schema_auto_refresh: row.schema_auto_refresh,
            tags: row.tags,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        }
    }
}

impl From<Model> for DataSource {
    fn from(row: Model) -> Self {
        Self {
            connection_string: None,
            sql_name: row.slug.clone(),
            ssh_username: row.ssh_username.clone(),
            ssh_key_id: None,
            ssh_local_port: row.ssh_local_port,
            connection_pool_size: row.connection_pool_size,
            connection_timeout: row.connection_timeout,
            query_timeout: row.query_timeout,
            max_retries: row.max_retries,
            last_failed_connection_at: row.last_failed_connection_at,
            failure_count: row.failure_count,
            failure_reason: row.failure_reason.clone(),
            schema_refresh_interval: row.schema_refresh_interval,
            credentials_updated_at: row.credentials_updated_at,
            metadata: row.metadata.clone(),
            created_by_user_id: row.created_by_user_id,
            updated_by_user_id: row.updated_by_user_id,
            item: row.into(),
        }
    }
}

/// `Sales (EU)` → `sales_eu`: a name that SQL takes without quotes.
pub fn slug_of(name: &str) -> String {
    let words: Vec<String> = name
        .to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let slug = words.join("_");
    if slug.starts_with(|c: char| c.is_ascii_digit()) { format!("s_{slug}") } else { slug }
}

#[cfg(test)]
mod tests {
    #[test]
    fn slugs_need_no_quotes() {
        for (name, slug) in [("Sales (EU)", "sales_eu"), ("2026 orders", "s_2026_orders"), ("crm", "crm"), ("…", "")]
        {
            assert_eq!(super::slug_of(name), slug);
        }
    }
}
