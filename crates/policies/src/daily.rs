//! What each policy did on each day, counted while it happens: one row for a policy, a day and a result, so that an
//! overview never has to read the evaluations themselves.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use rivergen_kernel::{OrganizationId, PolicyId, Result};
use rivergen_platform::{Transaction, db::TenantOwned};
use sea_orm::{
    ActiveValue::Set,
    entity::prelude::*,
    sea_query::{Expr, OnConflict},
};

use crate::{decision::EvaluationResult, store::name_of};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "policy_evaluation_days")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub policy_id: PolicyId,
    /// In UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: NaiveDate,
    /// The contract's name of an [`EvaluationResult`].
    #[sea_orm(primary_key, auto_increment = false)]
    pub evaluation_result: String,
    pub organization_id: OrganizationId,
    pub evaluations: i64,
    pub last_evaluated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// Counts evaluations of this moment. Transactions that count the same rows take them in the same order.
pub(crate) async fn count(
    tx: &Transaction,
    organization_id: OrganizationId,
    evaluated: impl Iterator<Item = (PolicyId, EvaluationResult)>,
    now: DateTime<Utc>,
) -> Result<()> {
    let mut counts: BTreeMap<(PolicyId, EvaluationResult), i64> = BTreeMap::new();
    for key in evaluated {
        *counts.entry(key).or_default() += 1;
    }
    if counts.is_empty() {
        return Ok(());
    }
    let rows = counts
        .into_iter()
        .map(|((policy_id, result), evaluations)| {
            Ok(ActiveModel {
                policy_id: Set(policy_id),
                day: Set(now.date_naive()),
                evaluation_result: Set(name_of(&result)?),
                organization_id: Set(organization_id),
                evaluations: Set(evaluations),
                last_evaluated_at: Set(now),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut add = OnConflict::columns([Column::PolicyId, Column::Day, Column::EvaluationResult]);
    add.value(Column::Evaluations, Expr::cust("policy_evaluation_days.evaluations + excluded.evaluations"))
        .update_column(Column::LastEvaluatedAt);
    Entity::insert_many(rows).on_conflict(add).exec_without_returning(tx.conn()).await?;
    Ok(())
}
