//! Notices to members: what they ask for, whom they concern, and when each person got the last one.

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{OrganizationId, Result, Tenant, UserId};
use rivergen_platform::{Platform, Transaction, db::TenantOwned, mail};
use rivergen_tenancy::member;
use sea_orm::{
    ActiveValue::Set,
    QuerySelect, QueryTrait, Select,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{mails, people};

/// How long nobody gets the same notice again.
pub(super) const AGAIN: Duration = Duration::hours(24);

/// What a notice asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = NotificationType)]
pub enum Kind {
    /// To set up a second factor.
    #[sea_orm(string_value = "mfa_setup")]
    MfaSetup,
    /// To sign in through the identity provider.
    #[sea_orm(string_value = "sso_migration")]
    SsoMigration,
    /// Announces what is going to be required.
    #[sea_orm(string_value = "enforcement_warning")]
    EnforcementWarning,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MfaSetup => "mfa_setup",
            Self::SsoMigration => "sso_migration",
            Self::EnforcementWarning => "enforcement_warning",
        }
    }
}

/// The last notice of a kind that a member got.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sso_notices")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub kind: Kind,
    pub user_id: UserId,
    pub sent_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// The members whom a notice concerns.
pub(super) fn concerned(kind: Kind, tenant: Tenant, rules: &people::Rules) -> Select<member::Entity> {
    let members = people::active(tenant);
    match kind {
        Kind::MfaSetup => members.filter(people::is_protected().not()),
        Kind::SsoMigration => members.filter(people::is_linked(tenant).not()).filter(rules.not_exempt()),
        Kind::EnforcementWarning => members.filter(rules.is_compliant(tenant).not()),
    }
}

/// Of those, the ones who did not get it within a day. Index: sso_notices(organization_id, kind, user_id), unique.
pub(super) fn due(
    members: Select<member::Entity>,
    kind: Kind,
    tenant: Tenant,
    now: DateTime<Utc>,
) -> Select<member::Entity> {
    let told = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::OrganizationId.eq(tenant.organization_id()))
        .filter(Column::Kind.eq(kind))
        .filter(Column::SentAt.gt(now - AGAIN))
        .filter(ExprTrait::eq(Expr::col((Entity, Column::UserId)), Expr::col((member::Entity, member::Column::UserId))))
        .into_query();
    members.filter(Expr::exists(told).not())
}

/// Writes the mails to these members, and that they got them. An address that no mail can go to is passed over.
pub(super) async fn send(
    platform: &Platform,
    tx: &Transaction,
    tenant: Tenant,
    letter: &mails::Letter,
    members: &[member::Model],
) -> Result<()> {
    if members.is_empty() {
        return Ok(());
    }
    let now = platform.clock.now();
    let reachable = members.iter().filter(|member| mail::check_recipient(&member.email).is_ok());
    let mails = reachable.map(|member| letter.mail(platform, &member.email)).collect();
    mail::send_all(platform, tx, mails).await?;
    Entity::delete_many()
        .filter(Column::OrganizationId.eq(tenant.organization_id()))
        .filter(Column::Kind.eq(letter.kind))
        .filter(Column::UserId.is_in(members.iter().map(|member| member.user_id)))
        .exec(tx.conn())
        .await?;
    let rows = members.iter().map(|member| ActiveModel {
        organization_id: Set(tenant.organization_id()),
        kind: Set(letter.kind),
        user_id: Set(member.user_id),
        sent_at: Set(now),
        ..Default::default()
    });
    Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}
