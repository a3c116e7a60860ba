//! A policy as the API shows it.

use chrono::{DateTime, Utc};
use rivergen_kernel::{AbacPolicyId, Result, UserId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Effect, Model};

/// An attribute-based access policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct AbacPolicy {
    pub id: AbacPolicyId,
    #[schema(examples("No queries from outside"))]
    pub name: String,
    #[schema(examples("Data is read in the office alone."))]
    pub description: Option<String>,
    #[schema(inline)]
    pub effect: Effect,
    #[schema(examples("datasource"))]
    pub resource_type: String,
    #[schema(examples(json!(["datasource.query"])))]
    pub actions: Vec<String>,
    /// `null`: always.
    #[schema(value_type = Option<Object>, examples(json!({"not": {"attribute": "environment.ip", "operator": "ip_in_range", "value": "10.0.0.0/8"}})))]
    pub conditions: Option<Value>,
    /// Instead of conditions, the policy in Cedar.
    pub cedar: Option<String>,
    #[schema(examples(100))]
    pub priority: i32,
    pub is_active: bool,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl AbacPolicy {
    pub(super) fn of(row: Model) -> Result<Self> {
        Ok(Self {
            actions: row.actions()?,
            id: row.id,
            name: row.name,
            description: row.description,
            effect: row.effect,
            resource_type: row.resource_type,
            conditions: row.conditions,
            cedar: row.cedar,
            priority: row.priority,
            is_active: row.is_active,
            created_by_user_id: row.created_by_user_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The answer of the operations on one policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct AbacPolicyAnswer {
    pub policy: AbacPolicy,
    pub message: &'static str,
}
