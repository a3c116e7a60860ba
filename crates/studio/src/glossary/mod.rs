//! The glossary: a workspace's own words for what its data calls otherwise, and for what it measures.

pub mod get;
pub mod replace;

use chrono::{DateTime, Utc};
use rivergen_kernel::{Caller, OrganizationId, Result, Tenant, UserId, WorkspaceId};
use rivergen_platform::{
    Platform,
    db::{TenantOwned, TenantScope},
};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use garde::Validate;

use crate::{
    planner::{Term, terms::said_in},
    prompt::read,
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_glossaries")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    /// `None`: of sessions that stand in no workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// [`GlossaryTerm`]s, as a JSON array.
    pub terms: Json,
    pub updated_by_user_id: UserId,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A word or a phrase, and what it means in words that the data knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GlossaryTerm {
    #[garde(length(chars, min = 2, max = 100))]
    #[schema(examples("revenue"))]
    pub term: String,
    #[garde(length(chars, min = 1, max = 500))]
    #[schema(examples("total amount of orders with status paid"))]
    pub means: String,
}

/// The words of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Glossary {
    pub workspace_id: Option<WorkspaceId>,
    pub terms: Vec<GlossaryTerm>,
    /// Null if nobody has written it yet.
    pub updated_by_user_id: Option<UserId>,
    pub updated_at: Option<DateTime<Utc>>,
}

impl Glossary {
    fn new(workspace_id: Option<WorkspaceId>, row: Option<Model>) -> Result<Self> {
        let Some(row) = row else {
            return Ok(Self { workspace_id, terms: Vec::new(), updated_by_user_id: None, updated_at: None });
        };
        Ok(Self {
            workspace_id,
            terms: read(&row.terms)?,
            updated_by_user_id: Some(row.updated_by_user_id),
            updated_at: Some(row.updated_at),
        })
    }
}

/// That of the workspace in which the session stands. Index: prompt_glossaries(organization_id, …).
async fn find(platform: &Platform, tenant: Tenant, workspace: Option<WorkspaceId>) -> Result<Option<Model>> {
    // Without a workspace that of none: nothing is compared by IS NULL.
    let here = Column::WorkspaceId.eq(workspace);
    Ok(tenant.find::<Entity>().filter(here).one(platform.db.read()).await?)
}

/// The words of the question that mean something of their own where the caller asks; no others are a planner's business.
pub(crate) async fn terms(platform: &Platform, tenant: Tenant, caller: &Caller, question: &str) -> Result<Vec<Term>> {
    let row = find(platform, tenant, caller.membership()?.workspace_id).await?;
    let terms: Vec<GlossaryTerm> = row.map(|row| read(&row.terms)).transpose()?.unwrap_or_default();
    let terms: Vec<Term> = terms.into_iter().map(|GlossaryTerm { term, means }| Term { term, means }).collect();
    Ok(said_in(question, &terms))
}
