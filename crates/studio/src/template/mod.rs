//! Questions with places for values: `How many orders in {{region}} since {{day}}?`
//!
//! A value is put in as data: text in quotes, which planners read as a value and never as words of the question; numbers,
//! dates and truth values as themselves. A template is its author's until it is published and public: then every member of
//! the organization with `prompt.read` sees it.

pub mod create;
pub mod delete;
pub mod execute;
pub mod get;
pub mod list;
mod parameter;
pub mod update;

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, OrganizationId, Permission, Result, TemplateId, Tenant, UserId,
};
use rivergen_platform::{
    db::{TenantOwned, TenantScope},
    http::RequestOrigin,
};
use rivergen_storage::link::{Ground, LinkRequest};
use sea_orm::{Condition, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use parameter::{ParameterType, TemplateParameter};

use crate::{Studio, prompt::read};

/// Whether others may see it, if it is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = TemplateStatus)]
pub enum Status {
    #[sea_orm(string_value = "draft")]
    Draft,
    #[sea_orm(string_value = "published")]
    Published,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_templates")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: TemplateId,
    pub organization_id: OrganizationId,
    pub name: String,
    pub description: Option<String>,
    pub template_text: String,
    /// [`TemplateParameter`]s, as a JSON array.
    pub parameters: Json,
    pub category: String,
    pub tags: Json,
    /// An address, or the path of a stored file.
    pub icon_url: Option<String>,
    pub status: Status,
    /// Ids, as a JSON array.
    pub compatible_data_source_ids: Json,
    pub is_public: bool,
    pub usage_count: i64,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A question with places for values.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromptTemplate {
    pub id: TemplateId,
    pub organization_id: OrganizationId,
    #[schema(examples("Orders of a region"))]
    pub name: String,
    pub description: Option<String>,
    #[schema(examples("How many orders in {{region}} since {{day}}?"))]
    pub template_text: String,
    pub parameters: Vec<TemplateParameter>,
    #[schema(examples("sales"))]
    pub category: String,
    pub tags: Vec<String>,
    pub icon_url: Option<String>,
    /// A link to an icon in this server's storage, valid for an hour; only when a single template is read, by someone
    /// with access to the file.
    pub icon_presigned_url: Option<String>,
    pub status: Status,
    pub compatible_data_source_ids: Vec<DataSourceId>,
    /// Whether it came with the server. None does yet.
    pub is_system_template: bool,
    /// Every member of the organization can see it once it is published.
    pub is_public: bool,
    /// How often it was run.
    pub usage_count: i64,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl PromptTemplate {
    fn new(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            organization_id: row.organization_id,
            name: row.name,
            description: row.description,
            template_text: row.template_text,
            parameters: read(&row.parameters)?,
            category: row.category,
            tags: read(&row.tags)?,
            icon_url: row.icon_url,
            icon_presigned_url: None,
            status: row.status,
            compatible_data_source_ids: read(&row.compatible_data_source_ids)?,
            is_system_template: false,
            is_public: row.is_public,
            usage_count: row.usage_count,
            created_by_user_id: row.created_by_user_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    /// With a link to its icon, where that is a stored file that the caller reaches.
    async fn with_icon(mut self, studio: &Studio, caller: &Caller, origin: &RequestOrigin) -> Self {
        if let Some(path) = self.icon_url.as_deref().filter(|url| !url.contains("://")) {
            let wanted = LinkRequest { path, ground: Ground::Folder, expires_seconds: None };
            // Somebody who does not reach the file sees the template without its icon.
            let link = studio.engine.sources.storage.link(caller, origin, wanted).await.ok();
            self.icon_presigned_url = link.map(|link| link.url);
        }
        self
    }
}

/// The templates that the caller sees. Index: prompt_templates(organization_id, id).
fn reached(caller: &Caller) -> Result<(Tenant, Select<Entity>)> {
    let tenant = caller.require(Permission::PromptRead)?;
    let shared = Condition::all().add(Column::IsPublic.eq(true)).add(Column::Status.eq(Status::Published));
    let seen = Condition::any().add(Column::CreatedByUserId.eq(caller.user_id)).add(shared);
    Ok((tenant, tenant.find::<Entity>().filter(Column::DeletedAt.is_null()).filter(seen)))
}

async fn find(studio: &Studio, caller: &Caller, id: TemplateId) -> Result<(Tenant, Model)> {
    let (tenant, templates) = reached(caller)?;
    let found = templates.filter(Column::Id.eq(id)).one(studio.engine.platform.db.read()).await?;
    Ok((tenant, found.ok_or(ErrorCode::NotFound)?))
}

/// An address of the web, or the path of a stored file.
fn check_icon(icon: Option<&str>) -> Result<()> {
    let Some(icon) = icon else { return Ok(()) };
    let is_address = url::Url::parse(icon).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    let is_path = icon.starts_with("organizations/") && !icon.contains("..");
    match is_address || is_path {
        true => Ok(()),
        false => Err(Error::invalid_field("icon_url", "must be an http(s) address, or the path of a stored file")),
    }
}
