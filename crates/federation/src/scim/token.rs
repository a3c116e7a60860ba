//! The bearer tokens of SCIM: each is good for one organization, and acts for its identity provider.
//!
//! `scim_`, 43 letters of 256 random bits, and a checksum, as personal access tokens have it. The database keeps the hash.
//!
//! A node keeps in memory what stands behind the tokens that it has seen lately. Whatever ends one, or changes its
//! configuration, publishes [`Event::OrganizationChanged`].

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use rivergen_identity::personal_token::{is_well_formed, written};
use rivergen_kernel::{ErrorCode, OrganizationId, Result, Token, TokenHash};
use rivergen_platform::{Event, Platform, Transaction, bus::Bus, db::TenantOwned, kept::Kept};
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

fn is_live(now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now))
}

fn to_config() -> RelationDef {
    Entity::belongs_to(config::Entity).from(Column::ConfigId).to(config::Column::Id).into()
}

/// A token, with the configuration that it is for.
#[derive(Debug, Clone)]
pub struct Known {
    pub token: Model,
    pub config: Arc<config::Model>,
}

/// The tokens that this node has seen lately; cheap to clone.
#[derive(Clone)]
pub struct Tokens(Kept<TokenHash, Arc<Known>>);

impl Tokens {
    pub fn new(bus: &Bus) -> Self {
        let until = |_: &TokenHash, known: &Arc<Known>| vec![Event::OrganizationChanged(known.config.organization_id)];
        Self(Kept::new(bus, 10_000, std::time::Duration::from_secs(60), until))
    }

    /// The live token that this text is; `UNAUTHORIZED` where it is none.
    pub async fn find(&self, db: &impl ConnectionTrait, text: &str, now: DateTime<Utc>) -> Result<Arc<Known>> {
        if !is_well_formed(PREFIX, text) {
            return Err(ErrorCode::Unauthorized.into());
        }
        let hash = TokenHash::of(text);
        let known = self.0.get_or_load(hash.clone(), read(db, hash, now)).await?;
        match known.token.expires_at.is_none_or(|end| now < end) {
            true => Ok(known),
            false => Err(ErrorCode::Unauthorized.into()),
        }
    }

    /// Whether a token that was found is good still, as the database says it: this node hears a moment later of what
    /// another one ended.
    pub async fn is_good(&self, db: &impl ConnectionTrait, token: &Model, now: DateTime<Utc>) -> Result<bool> {
        self.0.forget(&token.token_hash);
        match read(db, token.token_hash.clone(), now).await {
            Ok(_) => Ok(true),
            Err(error) if error.code == ErrorCode::Unauthorized => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes the last use down, if the one that was is old enough.
    pub async fn touch(&self, platform: &Platform, token: &Model, now: DateTime<Utc>) -> Result<()> {
        if token.last_used_at.is_some_and(|last| now - last < TOUCH_INTERVAL) {
            return Ok(());
        }
        let tx = platform.db.begin().await?;
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::Id.eq(token.id))
            .exec(tx.conn())
            .await?;
        tx.commit().await?;
        // It is read again, with this use.
        self.0.forget(&token.token_hash);
        Ok(())
    }
}

/// The live token of this hash: one of a configuration that is switched on, of an organization that is not deleted. Index:
/// scim_tokens(token_hash), unique.
async fn read(db: &impl ConnectionTrait, hash: TokenHash, now: DateTime<Utc>) -> Result<Arc<Known>> {
    let found = Entity::find()
        .join(JoinType::InnerJoin, to_config())
        .join(JoinType::InnerJoin, config::to_organization())
        .filter(Column::TokenHash.eq(hash))
        .filter(is_live(now))
        .filter(config::Column::Enabled.eq(true))
        .filter(organization::Column::DeletedAt.is_null())
        .select_also(config::Entity)
        .one(db)
        .await?;
    match found {
        Some((token, Some(config))) => Ok(Arc::new(Known { token, config: Arc::new(config) })),
        _ => Err(ErrorCode::Unauthorized.into()),
    }
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
