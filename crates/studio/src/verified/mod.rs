//! Verified pairs: questions with SQL that people confirmed to answer them.
//!
//! ```text
//! a run ─ feedback: right, or with the SQL put right ─▶ candidate ─ confirmed with prompt.write ─▶ verified
//! ```
//!
//! The same question again takes the verified SQL; one like it is shown to the planner as an example. Either way the SQL must
//! run under the caller's own policies: a pair that they could not run is not there for them.

pub mod decide;
pub mod list;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Caller, DataSourceId, ExecutionId, Extent, OrganizationId, Permission, Result, Tenant, UserId, VerifiedPairId,
    WorkspaceId,
};
use rivergen_platform::{
    Platform,
    db::{TenantOwned, TenantScope},
};
use rivergen_runs::catalogue::Catalogue;
use sea_orm::{Condition, QueryOrder, QuerySelect, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{planner::Plan, prompt::read};

/// Pairs that are looked through for questions like one, the newest first.
const LOOKED_THROUGH: u64 = 200;
/// Examples that a planner is shown at most.
const MOST_EXAMPLES: usize = 3;
/// Of the words of both questions, so many are in both.
const ALIKE: f64 = 0.4;

/// Whether somebody confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = VerifiedPairStatus)]
pub enum Status {
    #[sea_orm(string_value = "candidate")]
    Candidate,
    #[sea_orm(string_value = "verified")]
    Verified,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_verified_pairs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: VerifiedPairId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub question: String,
    /// The question's [`key`].
    pub question_key: String,
    pub query_text: String,
    /// Ids, as a JSON array.
    pub data_source_ids: Json,
    pub status: Status,
    /// The run that it comes from.
    pub execution_id: Option<ExecutionId>,
    pub created_by_user_id: UserId,
    pub verified_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub verified_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A question with SQL that answers it.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerifiedPair {
    pub id: VerifiedPairId,
    pub workspace_id: Option<WorkspaceId>,
    #[schema(examples("How many orders per region?"))]
    pub question: String,
    #[schema(examples("SELECT region, count(*) FROM orders.files.orders GROUP BY region"))]
    pub query_text: String,
    pub data_source_ids: Vec<DataSourceId>,
    pub status: Status,
    pub created_by_user_id: UserId,
    pub verified_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub verified_at: Option<DateTime<Utc>>,
}

impl VerifiedPair {
    fn new(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            question: row.question,
            query_text: row.query_text,
            data_source_ids: read(&row.data_source_ids)?,
            status: row.status,
            created_by_user_id: row.created_by_user_id,
            verified_by_user_id: row.verified_by_user_id,
            created_at: row.created_at,
            verified_at: row.verified_at,
        })
    }
}

/// What two spellings of one question have in common: its words and numbers, in lower case, in their order.
pub(crate) fn key(question: &str) -> String {
    let words = question.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_')));
    let words = words.map(|word| word.trim_matches(['.', '-', '_']).to_lowercase()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The pairs of an organization that the caller's permission reaches.
fn reached(caller: &Caller, permission: Permission) -> Result<(Tenant, Select<Entity>)> {
    let (tenant, extent) = caller.require_extent(permission)?;
    let all = tenant.find::<Entity>();
    Ok(match extent {
        Extent::Organization => (tenant, all),
        Extent::Workspace(workspace) => {
            let here = Condition::any().add(Column::WorkspaceId.eq(workspace)).add(Column::WorkspaceId.is_null());
            (tenant, all.filter(here))
        }
    })
}

/// A verified pair that may help with a question.
pub(crate) struct Pair {
    pub question: String,
    pub query: String,
    /// It is for just this question.
    pub is_same: bool,
}

impl Pair {
    pub fn plan(&self) -> Plan {
        Plan {
            sql: self.query.clone(),
            explanation: format!("The answer that people of your organization confirmed for “{}”.", self.question),
            understood: Vec::new(),
            confidence: 1.0,
            model: "verified".to_owned(),
            tokens_used: 0,
        }
    }
}

/// Verified pairs over the selected sources: that for the question itself, then those for questions like it.
/// Index: prompt_verified_pairs(organization_id, question_key).
pub(crate) async fn about(
    platform: &Platform,
    tenant: Tenant,
    caller: &Caller,
    question: &str,
    catalogue: &Catalogue,
) -> Result<Vec<Pair>> {
    let workspace = caller.membership()?.workspace_id;
    let here = Condition::any().add(Column::WorkspaceId.is_null()).add(Column::WorkspaceId.eq(workspace));
    let verified = tenant.find::<Entity>().filter(Column::Status.eq(Status::Verified)).filter(here);
    let key = key(question);
    let db = platform.db.read();
    let mut rows =
        verified.clone().filter(Column::QuestionKey.eq(&key)).order_by_desc(Column::Id).limit(1).all(db).await?;
    rows.extend(verified.order_by_desc(Column::Id).limit(LOOKED_THROUGH).all(db).await?);
    let words = |key: &str| -> BTreeSet<String> { key.split(' ').map(str::to_owned).collect() };
    let asked = words(&key);
    let mut pairs: Vec<(f64, Pair)> = Vec::new();
    for row in rows {
        let ids: Vec<DataSourceId> = read(&row.data_source_ids)?;
        let is_selected = |id: &DataSourceId| catalogue.sources.iter().any(|source| source.id == *id);
        if !ids.iter().all(is_selected) || pairs.iter().any(|(_, known)| known.query == row.query_text) {
            continue;
        }
        let is_same = row.question_key == key;
        let other = words(&row.question_key);
        let shared = asked.intersection(&other).count() as f64 / asked.union(&other).count().max(1) as f64;
        if is_same || shared >= ALIKE {
            pairs.push((shared, Pair { question: row.question, query: row.query_text, is_same }));
        }
    }
    pairs.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    Ok(pairs.into_iter().map(|(_, pair)| pair).take(MOST_EXAMPLES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter_and_numbers_do() {
        assert_eq!(key("How many  orders, per Region?"), key("how many orders per region"));
        assert_ne!(key("orders over 1.5"), key("orders over 15"));
        assert_ne!(key("orders per region"), key("region per orders"));
    }
}
