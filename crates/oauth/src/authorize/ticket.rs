//! A request that waits: for a person's decision, or for the person to come with its reference ([`crate::pushed`]). The ticket
//! of the former is in the form that they were shown, and nowhere else.

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{Error, OauthApplicationId, Result, SessionId, Token, TokenHash};
use rivergen_platform::Transaction;
use sea_orm::{ActiveValue::Set, entity::prelude::*};
use serde::Deserialize;

use crate::{Oauth, application::known::Client, request::Request};

pub const LIVES: Duration = Duration::minutes(10);

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Kind {
    #[sea_orm(string_value = "consent")]
    Consent,
    #[sea_orm(string_value = "pushed")]
    Pushed,
    /// For a person who types its code ([`crate::device`]).
    #[sea_orm(string_value = "device")]
    Device,
    /// They said no.
    #[sea_orm(string_value = "denied")]
    Denied,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_requests")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub kind: Kind,
    pub handle_hash: TokenHash,
    pub application_id: OauthApplicationId,
    pub session_id: Option<SessionId>,
    pub parameters: Json,
    /// What the person types, of a device.
    pub user_code: Option<String>,
    pub polled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Keeps a request: of a consent page for its session alone, of an application for whoever comes with it.
pub async fn keep(oauth: &Oauth, client: &Client, session: Option<SessionId>, request: &Request) -> Result<Token> {
    let token = Token::random(&mut rand::rng());
    let kind = if session.is_some() { Kind::Consent } else { Kind::Pushed };
    keep_as(oauth, kind, &token, client, session, None, request).await?;
    Ok(token)
}

/// Keeps a request under a handle, and under the code that is typed for a device.
pub async fn keep_as(
    oauth: &Oauth,
    kind: Kind,
    handle: &Token,
    client: &Client,
    session: Option<SessionId>,
    user_code: Option<String>,
    request: &Request,
) -> Result<()> {
    let platform = oauth.platform();
    let now = platform.clock.now();
    let row = ActiveModel {
        kind: Set(kind),
        handle_hash: Set(handle.hash()),
        application_id: Set(client.row.id),
        session_id: Set(session),
        parameters: Set(serde_json::to_value(request).map_err(Error::internal)?),
        user_code: Set(user_code),
        polled_at: Set(None),
        created_at: Set(now),
        expires_at: Set(now + LIVES),
        ..Default::default()
    };
    let tx = platform.db.begin().await?;
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    tx.commit().await
}

/// The request of a ticket that is good in this session, or of a reference. Index: oauth_requests(handle_hash), unique.
pub async fn find(oauth: &Oauth, ticket: &str, session: Option<SessionId>) -> Result<Option<(Model, Request)>> {
    let platform = oauth.platform();
    let found = Entity::find()
        .filter(Column::HandleHash.eq(TokenHash::of(ticket)))
        .filter(Column::ExpiresAt.gt(platform.clock.now()))
        .one(platform.db.read())
        .await?;
    let kind = if session.is_some() { Kind::Consent } else { Kind::Pushed };
    let Some(row) = found.filter(|row| row.session_id == session && row.kind == kind) else { return Ok(None) };
    let request = Request::deserialize(&row.parameters).map_err(Error::internal)?;
    Ok(Some((row, request)))
}

/// Uses it up; answers whether nobody had.
pub async fn spend(tx: &Transaction, id: i64) -> Result<bool> {
    Ok(Entity::delete_by_id(id).exec(tx.conn()).await?.rows_affected == 1)
}
