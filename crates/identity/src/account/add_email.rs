//! `POST /api/v1/auth/me/emails`: a further address.
//!
//! A link goes to the new address, and only when it is followed the address counts for anything. Where it is to become
//! the primary one, a second link goes to the old primary address, and both must be followed: a session that somebody
//! left open is not enough to take an account over.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    Identity, VERIFICATION_MAIL, email_address, mails,
    me::EmailOfUser,
    user::{User, address},
};

/// More than anybody has.
const MAX_ADDRESSES: u64 = 20;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"email": "ada@lovelace.example", "make_primary": false}))]
pub struct AddEmailRequest {
    #[garde(skip)]
    pub email: String,
    /// Replaces the primary address once both are verified. Needs a sign-in no more than ten minutes old.
    #[garde(skip)]
    #[schema(default = false)]
    pub make_primary: Option<bool>,
}

errors! { pub AddEmailErrors: InvalidRequest, Unauthorized, TokenExpired, ReauthenticationRequired, EmailNotVerified, EmailTaken, ValidationError, RateLimited; }

/// Add another e-mail address to your account
#[utoipa::path(post, path = "/api/v1/auth/me/emails", tag = "authentication", request_body = AddEmailRequest,
    responses((status = 201, description = "Added; a link to verify it is on its way", body = Envelope<EmailOfUser>), AddEmailErrors))]
pub async fn add_email(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<AddEmailRequest>,
) -> Result<Reply<EmailOfUser>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    caller.session()?;
    let becomes_primary = request.make_primary.unwrap_or(false);
    if becomes_primary {
        caller.recently_proved(now)?;
    }
    let email = email_address::normalise(&request.email, "email")?;
    let by_person = caller.user_id.to_string();
    let uses = platform.check_limits(&[(&VERIFICATION_MAIL, &by_person), (&VERIFICATION_MAIL, &email)]).await?;

    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    // Of two at once the second waits here and counts the first.
    let user = User::lock(&tx, caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    let held = address::Entity::find().filter(address::Column::UserId.eq(user.id())).count(tx.conn()).await?;
    if held >= MAX_ADDRESSES {
        return Err(Error::invalid_field("email", "is one too many: an account has at most 20 addresses"));
    }
    address::free_unproven(tx.conn(), &[email.as_str()]).await?;
    let row = address::ActiveModel {
        user_id: Set(user.id()),
        email: Set(email),
        is_primary: Set(false),
        verified_at: Set(None),
        becomes_primary: Set(becomes_primary),
        change_approved_at: Set(None),
        created_at: Set(now),
        ..Default::default()
    }
    .insert(tx.conn())
    .await
    .map_err(duplicate_is(ErrorCode::EmailTaken))?;
    mails::send_address_verification(&identity, &tx, &user, &row.email).await?;
    if becomes_primary {
        mails::send_change_approval(&identity, &tx, &user, &row.email).await?;
    } else {
        mails::send_address_added(&identity, &tx, &user, &row.email).await?;
    }
    tx.publish(Event::UserChanged(user.id())).await?;
    let record = AuditRecord::new(None, origin.actor(user.id()), "user.add_email")
        .target("user", user.id().0)
        .details(serde_json::json!({"email": row.email, "make_primary": becomes_primary}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::created(row.into(), "The address was added; follow the link in the e-mail to verify it."))
}
