//! The bearer tokens of SCIM: each is good for one organization, and acts for its identity provider.
//!
//! `scim_`, 43 letters of 256 random bits, and a checksum, as personal access tokens have it. The database keeps the hash.

use chrono::{DateTime, Duration, Utc};
use rivergen_identity::personal_token::{is_well_formed, written};
use rivergen_kernel::{OrganizationId, Result, Token, TokenHash};
use rivergen_platform::{Platform, Transaction, db::TenantOwned};
use rivergen_tenancy::organization;
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, JoinType, QueryOrder, QuerySelect, RelationDef, entity::prelude::*,
};

use super::config;

const PREFIX: &str = "scim_";
/// Enough to recognise a token.
const SHOWN: usize = 11;
/// How often the last use is written down.
const TOUCH_INTERVAL: Duration = Duration::seconds(60);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "scim_tokens")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub config_id: i64,
    /// How the token begins.
    pub prefix: String,
    pub token_hash: TokenHash,
    pub created_at: DateTime<Utc>,
    /// Also that of a token which was rotated: it ends with the overlap.
    pub expires_at: Option<DateTime<Utc>>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    /// Writes the last use down, if the one that was is old enough.
    pub async fn touch(&self, platform: &Platform, now: DateTime<Utc>) -> Result<()> {
        if self.last_used_at.is_some_and(|last| now - last < TOUCH_INTERVAL) {
            return Ok(());
        }
        let tx = platform.db.begin().await?;
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::Id.eq(self.id))
            .exec(tx.conn())
            .await?;
        tx.commit().await
    }
}

fn is_live(now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now))
}

fn to_config() -> RelationDef {
    Entity::belongs_to(config::Entity).from(Column::ConfigId).to(config::Column::Id).into()
}

/// The live token that this text is, with the configuration that it is for: one that is switched on, of an organization that
/// is not deleted. Every request asks for it, so it is one query. Index: scim_tokens(token_hash), unique.
pub async fn find(
    db: &impl ConnectionTrait,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Option<(Model, config::Model)>> {
    if !is_well_formed(PREFIX, token) {
        return Ok(None);
    }
    let found = Entity::find()
        .join(JoinType::InnerJoin, to_config())
        .join(JoinType::InnerJoin, config::to_organization())
        .filter(Column::TokenHash.eq(TokenHash::of(token)))
        .filter(is_live(now))
        .filter(config::Column::Enabled.eq(true))
        .filter(organization::Column::DeletedAt.is_null())
        .select_also(config::Entity)
        .one(db)
        .await?;
    Ok(found.and_then(|(token, config)| Some((token, config?))))
}

/// The newest token of a configuration, while it lives: not one that it replaced, which lives on for a while. Index:
/// scim_tokens(config_id, id).
pub async fn current(db: &impl ConnectionTrait, config: &config::Model, now: DateTime<Utc>) -> Result<Option<Model>> {
    let newest =
        Entity::find().filter(Column::ConfigId.eq(config.id)).order_by_desc(Column::Id).limit(1).one(db).await?;
    Ok(newest.filter(|token| token.expires_at.is_none_or(|end| now < end)))
}

/// Makes a token; answers its text, which is shown this once.
pub async fn issue(
    tx: &Transaction,
    config: &config::Model,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<String> {
    let token = written(PREFIX, &Token::random(&mut rand::rng()));
    let row = ActiveModel {
        organization_id: Set(config.organization_id),
        config_id: Set(config.id),
        prefix: Set(token[..SHOWN].to_owned()),
        token_hash: Set(TokenHash::of(&token)),
        created_at: Set(now),
        expires_at: Set(expires_at),
        last_used_at: Set(None),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(token)
}

/// Ends the live tokens of a configuration at a time, none later than it ends anyway; those that ended long ago are
/// forgotten.
pub async fn end(tx: &Transaction, config: &config::Model, at: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
    Entity::delete_many()
        .filter(Column::ConfigId.eq(config.id))
        .filter(Column::ExpiresAt.lte(now))
        .exec(tx.conn())
        .await?;
    let later = Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(at));
    Entity::update_many()
        .col_expr(Column::ExpiresAt, Expr::value(at))
        .filter(Column::ConfigId.eq(config.id))
        .filter(later)
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// When one of the configuration's tokens was last used, a former one included.
pub async fn last_use(db: &impl ConnectionTrait, config: &config::Model) -> Result<Option<DateTime<Utc>>> {
    let used = Entity::find().filter(Column::ConfigId.eq(config.id)).filter(Column::LastUsedAt.is_not_null());
    let last = used.order_by_desc(Column::LastUsedAt).limit(1).one(db).await?;
    Ok(last.and_then(|token| token.last_used_at))
}
