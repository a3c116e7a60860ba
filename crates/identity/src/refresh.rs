//! `POST /api/v1/auth/refresh`: a refresh token, good for one use, against new tokens of the same session.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{ErrorCode, Result, TokenHash};
use rivergen_platform::{
    audit::{self, AuditRecord, Outcome},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    Identity, REFRESH_BY_IP,
    login::TokenSet,
    mails,
    session::{self, EndReason, refresh_token},
    user::User,
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"refresh_token": "xJ2q…"}))]
pub struct RefreshRequest {
    #[garde(length(min = 1, max = 200))]
    pub refresh_token: String,
}

errors! { pub RefreshErrors: InvalidRequest, InvalidRefreshToken, ValidationError, RateLimited; }

/// Exchange a refresh token for new tokens
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "authentication", request_body = RefreshRequest, security(()),
    responses((status = 200, description = "New tokens; the old refresh token is spent", body = Envelope<TokenSet>), RefreshErrors))]
pub async fn refresh(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<RefreshRequest>,
) -> Result<Reply<TokenSet>> {
    let platform = &identity.platform;
    platform.limits.check(&REFRESH_BY_IP, &origin.limit_key())?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    // Index: refresh_tokens(token_hash), unique.
    let shown = refresh_token::Entity::find()
        .filter(refresh_token::Column::TokenHash.eq(TokenHash::of(&request.refresh_token)))
        .one(tx.conn())
        .await?
        .ok_or(ErrorCode::InvalidRefreshToken)?;
    let mut session = session::Model::find(tx.conn(), shown.session_id).await?.ok_or(ErrorCode::InvalidRefreshToken)?;
    let user = User::find(tx.conn(), session.user_id).await?;
    let user = user.filter(|user| user.account.disabled_at.is_none() && user.is_verified());
    let (Some(user), true) = (user, session.is_live(now)) else {
        return Err(ErrorCode::InvalidRefreshToken.into());
    };

    // Of two requests at the same time only one spends the token.
    let spent = refresh_token::Entity::update_many()
        .col_expr(refresh_token::Column::SpentAt, Expr::value(now))
        .filter(refresh_token::Column::Id.eq(shown.id))
        .filter(refresh_token::Column::SpentAt.is_null())
        .exec(tx.conn())
        .await?;
    if spent.rows_affected == 0 {
        session.end(&tx, EndReason::RefreshTokenReuse, now).await?;
        mails::send_session_ended(&identity, &tx, &user, &origin).await?;
        let record =
            AuditRecord::new(None, origin.actor(user.id()), "auth.refresh_token_reuse").target("session", session.id.0);
        audit::record(&tx, &platform.clock, record.outcome(Outcome::Failure)).await?;
        tx.commit().await?;
        return Err(ErrorCode::InvalidRefreshToken.into());
    }
    session.touch(&tx, now).await?;
    let refresh_token = session::issue_refresh_token(&tx, session.id, now).await?;
    let tokens = TokenSet::of(&identity, &session, &refresh_token, now)?;
    tx.commit().await?;
    Ok(Reply::ok(tokens, "Refreshed."))
}
