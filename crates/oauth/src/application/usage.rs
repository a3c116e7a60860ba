//! `GET /api/v1/organizations/{org_id}/oauth-applications/{app_id}/usage`: whether anybody still needs an application. Its
//! tokens are counted as they are given, in memory, and written down every few seconds: one row for an application and a day.
//! What a node that is killed gave in its last seconds is not counted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::extract::State;
use chrono::{DateTime, Days, NaiveDate, Utc};
use rivergen_kernel::{OauthApplicationId, OrganizationId, Permission, Result};
use rivergen_platform::{
    Platform, errors,
    http::{Envelope, Path, Reply, SignedIn},
};
use sea_orm::{
    ActiveValue::Set,
    QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Oauth, application, grant};

/// Of how many days is told, today's included.
const DAYS: u64 = 30;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_token_days")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub application_id: OauthApplicationId,
    /// In UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: NaiveDate,
    pub issued: i64,
}

impl ActiveModelBehavior for ActiveModel {}

const WRITTEN_EVERY: Duration = Duration::from_secs(5);

/// The access tokens that this node gave and has not written down yet; cheap to clone.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Unwritten>>);

#[derive(Default)]
struct Unwritten {
    issued: BTreeMap<(OauthApplicationId, NaiveDate), i64>,
    written: Option<Instant>,
}

impl Tally {
    /// Counts an access token of this moment.
    pub async fn count(&self, platform: &Platform, application: OauthApplicationId) -> Result<()> {
        let day = platform.clock.now().date_naive();
        let is_due = {
            let mut unwritten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *unwritten.issued.entry((application, day)).or_default() += 1;
            unwritten.written.is_none_or(|written| written.elapsed() >= WRITTEN_EVERY)
        };
        if is_due { self.write_down(platform).await } else { Ok(()) }
    }

    /// Of two at once each writes its own.
    async fn write_down(&self, platform: &Platform) -> Result<()> {
        let issued = {
            let mut unwritten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            unwritten.written = Some(Instant::now());
            std::mem::take(&mut unwritten.issued)
        };
        if issued.is_empty() {
            return Ok(());
        }
        let written = write(platform, &issued).await;
        if written.is_err() {
            let mut unwritten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (day, number) in issued {
                *unwritten.issued.entry(day).or_default() += number;
            }
        }
        written
    }
}

/// In the order of the key, so that nodes wait for each other and never in a circle. An application that is gone counts no more.
async fn write(platform: &Platform, issued: &BTreeMap<(OauthApplicationId, NaiveDate), i64>) -> Result<()> {
    let tx = platform.db.begin().await?;
    let known = application::Entity::find().select_only().column(application::Column::Id);
    let known = known.filter(application::Column::Id.is_in(issued.keys().map(|(application, _)| *application)));
    let known: Vec<OauthApplicationId> = known.into_tuple().all(tx.conn()).await?;
    let rows: Vec<ActiveModel> = issued
        .iter()
        .filter(|((application, _), _)| known.contains(application))
        .map(|((application, day), number)| ActiveModel {
            application_id: Set(*application),
            day: Set(*day),
            issued: Set(*number),
        })
        .collect();
    if !rows.is_empty() {
        let mut add = OnConflict::columns([Column::ApplicationId, Column::Day]);
        add.value(Column::Issued, Expr::cust("oauth_token_days.issued + excluded.issued"));
        Entity::insert_many(rows).on_conflict(add).exec_without_returning(tx.conn()).await?;
    }
    tx.commit().await
}

/// The first of the days that are told of.
pub fn first_day(now: DateTime<Utc>) -> NaiveDate {
    let today = now.date_naive();
    today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today)
}

/// The access tokens of one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OauthTokensOfDay)]
pub struct TokensOfDay {
    /// In UTC.
    #[schema(examples("2026-03-14"))]
    pub day: NaiveDate,
    #[schema(examples(12))]
    pub issued: i64,
}

/// How much an application is used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OauthApplicationUsage)]
pub struct Usage {
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// For whom it can still act.
    #[schema(examples(3))]
    pub people_connected: i64,
    /// The access tokens that were issued to it in the last thirty days; days without any are left out.
    pub tokens_issued: Vec<TokensOfDay>,
    pub message: &'static str,
}

errors! { pub UsageErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, ApplicationNotFound; }

/// Read how much an application is used
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/oauth-applications/{app_id}/usage", tag = "oauth_applications",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("app_id" = OauthApplicationId, Path, description = "From the list of applications")),
    responses((status = 200, description = "By how many people, and how often", body = Envelope<Usage>), UsageErrors))]
pub async fn usage(
    State(oauth): State<Oauth>,
    SignedIn(caller): SignedIn,
    Path((org_id, app_id)): Path<(OrganizationId, OauthApplicationId)>,
) -> Result<Reply<Usage>> {
    let (_, tenant) = super::enter(&oauth, &caller, org_id, Permission::OauthAppRead).await?;
    let (db, now) = (oauth.platform().db.read(), oauth.platform().clock.now());
    let row = super::find(db, tenant, app_id).await?;
    oauth.access.tally.write_down(oauth.platform()).await?;
    let people: Option<i64> = grant::Entity::find()
        .select_only()
        .column_as(grant::Column::UserId.into_expr().count_distinct(), "people")
        .filter(grant::usable_of_application(row.id, now))
        .into_tuple()
        .one(db)
        .await?;
    // Index: oauth_token_days(application_id, day), primary key.
    let days = Entity::find()
        .filter(Column::ApplicationId.eq(row.id))
        .filter(Column::Day.gte(first_day(now)))
        .order_by_asc(Column::Day)
        .all(db)
        .await?;
    let message = "How much the application is used.";
    let usage = Usage {
        last_used_at: row.last_used_at,
        people_connected: people.unwrap_or_default(),
        tokens_issued: days.into_iter().map(|row| TokensOfDay { day: row.day, issued: row.issued }).collect(),
        message,
    };
    Ok(Reply::ok(usage, message))
}
