//! What an organization spends on a model in a month. What a provider says that an answer took is counted when the answer is
//! read: of an endpoint that does not say so nothing is. Of a question that is cancelled on its way, or out of time, what was
//! sent is, estimated; of the model on this machine, what it read and wrote until then. Requests that are under way together
//! may go a little over.

use std::fmt;

use async_trait::async_trait;
use chrono::{Datelike, NaiveDate};
use rivergen_kernel::{OrganizationId, Result, Tenant};
use rivergen_platform::{
    Platform,
    db::{TenantOwned, TenantScope},
};
use sea_orm::{
    ActiveValue::Set,
    entity::prelude::*,
    sea_query::{Expr, OnConflict},
};

use crate::planner::{Meter, PlanError};

/// The planner that the operator's model is among those of an organization; none of its own has an empty name.
pub(super) const OPERATORS: &str = "";

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_planner_months")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub planner: String,
    /// Its first day, in UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub month: NaiveDate,
    pub tokens: i64,
    pub requests: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// What was spent on a planner.
pub(super) type Spent = Model;

impl Spent {
    /// Tokens, requests.
    pub(super) fn numbers(&self) -> (i64, i64) {
        (self.tokens, self.requests)
    }
}

/// What was spent on each planner this month.
pub(super) async fn of_this_month(platform: &Platform, tenant: Tenant) -> Result<Vec<Spent>> {
    let month = this_month(platform);
    Ok(tenant.find::<Entity>().filter(Column::Month.eq(month)).all(platform.db.read()).await?)
}

fn this_month(platform: &Platform) -> NaiveDate {
    let today = platform.clock.now().date_naive();
    today.with_day(1).unwrap_or(today)
}

/// What one organization may spend on one planner in a month.
pub(super) struct Budget {
    platform: Platform,
    tenant: Tenant,
    planner: String,
    /// `None`: as many as there are.
    monthly_tokens: Option<i64>,
}

impl Budget {
    pub(super) fn new(platform: Platform, tenant: Tenant, planner: String, monthly_tokens: Option<i64>) -> Self {
        Self { platform, tenant, planner, monthly_tokens }
    }

    async fn spent_this_month(&self) -> Result<i64> {
        let month = this_month(&self.platform);
        let row = self
            .tenant
            .find::<Entity>()
            .filter(Column::Planner.eq(self.planner.as_str()))
            .filter(Column::Month.eq(month));
        Ok(row.one(self.platform.db.read()).await?.map_or(0, |spent| spent.tokens))
    }

    async fn add(&self, tokens: i64) -> Result<()> {
        let row = ActiveModel {
            organization_id: Set(self.tenant.organization_id()),
            planner: Set(self.planner.clone()),
            month: Set(this_month(&self.platform)),
            tokens: Set(tokens),
            requests: Set(1),
        };
        let mut add = OnConflict::columns([Column::OrganizationId, Column::Planner, Column::Month]);
        add.value(Column::Tokens, Expr::cust("prompt_planner_months.tokens + excluded.tokens"));
        add.value(Column::Requests, Expr::cust("prompt_planner_months.requests + excluded.requests"));
        let tx = self.platform.db.begin().await?;
        Entity::insert(row).on_conflict(add).exec_without_returning(tx.conn()).await?;
        tx.commit().await
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("planner", &self.planner).finish_non_exhaustive()
    }
}

#[async_trait]
impl Meter for Budget {
    async fn admit(&self) -> Result<(), PlanError> {
        let Some(most) = self.monthly_tokens else { return Ok(()) };
        match self.spent_this_month().await {
            Ok(spent) if spent < most => Ok(()),
            Ok(_) => Err(PlanError::Unavailable {
                message: format!("the organization has spent its {most} tokens for this month"),
                retryable: false,
            }),
            Err(error) => {
                tracing::error!(%error, "what was spent on a planner could not be read");
                let message = "what was spent on the model is not known".to_owned();
                Err(PlanError::Unavailable { message, retryable: true })
            }
        }
    }

    async fn spent(&self, tokens: u64) {
        if let Err(error) = self.add(i64::try_from(tokens).unwrap_or(i64::MAX)).await {
            tracing::error!(%error, tokens, "what was spent on a planner could not be written down");
        }
    }
}
