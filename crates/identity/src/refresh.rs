//! `POST /api/v1/auth/refresh`: a refresh token, good for one use, against new tokens of the same session.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{ErrorCode, Result, Token, TokenHash};
use rivergen_platform::{
    audit::{self, AuditRecord, Outcome},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, Query},
};
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
    responses((status = 200, description = "New tokens; the old refresh token no longer works", body = Envelope<TokenSet>), RefreshErrors))]
pub async fn refresh(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<RefreshRequest>,
) -> Result<Reply<TokenSet>> {
    let platform = &identity.platform;
    platform.limits.check(&REFRESH_BY_IP, &origin.limit_key())?;
    let now = platform.clock.now();
    // Read before the transaction, which holds SQLite's one writing connection; it looks again at what counts.
    let db = platform.db.read();
    // Index: refresh_tokens(token_hash), unique.
    let shown = refresh_token::Entity::find()
        .filter(refresh_token::Column::TokenHash.eq(TokenHash::of(&request.refresh_token)))
        .one(db)
        .await?
        .ok_or(ErrorCode::InvalidRefreshToken)?;
    let mut session = session::Model::find(db, shown.session_id).await?.ok_or(ErrorCode::InvalidRefreshToken)?;
    let user = User::find(db, session.user_id).await?;
    let user = user.filter(|user| user.account.disabled_at.is_none() && user.is_verified());
    let end = identity.directory.security(session.user_id).await?.end_of(&session);
    let is_live = session.is_live(now) && end.is_none_or(|end| now < end);
    let (Some(user), true) = (user, is_live) else {
        return Err(ErrorCode::InvalidRefreshToken.into());
    };
    let next = Token::random(&mut rand::rng());
    let tokens = TokenSet::of(&identity, &session, &next, now).await?;

    let tx = platform.db.begin().await?;
    // Of two requests at the same time only one spends the token; none does once the session has ended.
    let live_session = Query::select()
        .expr(Expr::value(1))
        .from(session::Entity)
        .and_where(session::Column::Id.eq(session.id))
        .and_where(session::Column::EndedAt.is_null())
        .to_owned();
    let spent = refresh_token::Entity::update_many()
        .col_expr(refresh_token::Column::SpentAt, Expr::value(now))
        .filter(refresh_token::Column::Id.eq(shown.id))
        .filter(refresh_token::Column::SpentAt.is_null())
        .filter(Expr::exists(live_session))
        .exec(tx.conn())
        .await?;
    if spent.rows_affected == 0 {
        let again = session::Model::find(tx.conn(), session.id).await?;
        let session = again.filter(|again| again.is_live(now)).ok_or(ErrorCode::InvalidRefreshToken)?;
        session.end(&tx, EndReason::RefreshTokenReuse, now).await?;
        mails::send_session_ended(&identity, &tx, &user, &origin).await?;
        let record =
            AuditRecord::new(None, origin.actor(user.id()), "auth.refresh_token_reuse").target("session", session.id.0);
        audit::record(&tx, &platform.clock, record.outcome(Outcome::Failure)).await?;
        tx.commit().await?;
        return Err(ErrorCode::InvalidRefreshToken.into());
    }
    if session.touch_is_due(now) {
        session.touch(&tx, now).await?;
    }
    session::store_refresh_token(&tx, session.id, &next, now).await?;
    tx.commit().await?;
    Ok(Reply::ok(tokens, "Refreshed."))
}
