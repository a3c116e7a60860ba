//! A request that waits for a person's decision. Its ticket is in the form that they were shown, and nowhere else.

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{Error, OauthApplicationId, Result, SessionId, Token, TokenHash};
use rivergen_platform::Transaction;
use sea_orm::{ActiveValue::Set, entity::prelude::*};

use super::Decider;
use crate::{Oauth, application::known::Client, request::Request};

const LIVES: Duration = Duration::minutes(10);
const KIND: &str = "consent";

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_requests")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub kind: String,
    pub handle_hash: TokenHash,
    pub application_id: OauthApplicationId,
    pub session_id: Option<SessionId>,
    pub parameters: Json,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Keeps a request, for this session alone.
pub async fn issue(oauth: &Oauth, client: &Client, decider: &Decider, request: &Request) -> Result<Token> {
    let platform = oauth.platform();
    let (token, now) = (Token::random(&mut rand::rng()), platform.clock.now());
    let row = ActiveModel {
        kind: Set(KIND.to_owned()),
        handle_hash: Set(token.hash()),
        application_id: Set(client.row.id),
        session_id: Set(Some(decider.session)),
        parameters: Set(serde_json::to_value(request).map_err(Error::internal)?),
        created_at: Set(now),
        expires_at: Set(now + LIVES),
        ..Default::default()
    };
    let tx = platform.db.begin().await?;
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    tx.commit().await?;
    Ok(token)
}

/// The request of a ticket that is good in this session. Index: oauth_requests(handle_hash), unique.
pub async fn find(oauth: &Oauth, ticket: &str, session: SessionId) -> Result<Option<(Model, Request)>> {
    let platform = oauth.platform();
    let found = Entity::find()
        .filter(Column::HandleHash.eq(TokenHash::of(ticket)))
        .filter(Column::Kind.eq(KIND))
        .filter(Column::SessionId.eq(session))
        .filter(Column::ExpiresAt.gt(platform.clock.now()))
        .one(platform.db.read())
        .await?;
    found
        .map(|row| {
            let request = serde_json::from_value(row.parameters.clone()).map_err(Error::internal)?;
            Ok((row, request))
        })
        .transpose()
}

/// Uses it up; answers whether nobody had.
pub async fn spend(tx: &Transaction, id: i64) -> Result<bool> {
    Ok(Entity::delete_by_id(id).exec(tx.conn()).await?.rows_affected == 1)
}
