//! `/api/v1/webauthn/credentials`: one's own passkeys.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{CredentialId, Error, ErrorCode, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Column, Entity, count, of_user};
use crate::{Identity, mails, social, user::User};

/// A passkey as its person sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebAuthnCredential {
    pub id: CredentialId,
    #[schema(examples("Ada's laptop"))]
    pub device_name: String,
    /// What the authenticator calls it, in base64url.
    pub credential_id: String,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    #[schema(examples(12))]
    pub usage_count: i64,
    /// Whether it is synchronised between devices.
    pub backed_up: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WebAuthnCredentials {
    pub credentials: Vec<WebAuthnCredential>,
    pub total_count: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedCredential {
    #[schema(examples(true))]
    pub success: bool,
    pub message: &'static str,
}

errors! {
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, CredentialListingFailed;
    pub DeleteErrors: Unauthorized, TokenExpired, ReauthenticationRequired, EmailNotVerified, CredentialNotFound, LastLoginMethod, CredentialDeletionFailed;
}

/// List your passkeys
#[utoipa::path(get, path = "/api/v1/webauthn/credentials", tag = "webauthn",
    responses((status = 200, description = "The newest first", body = Envelope<WebAuthnCredentials>), ListErrors))]
pub async fn list_credentials(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
) -> Result<Reply<WebAuthnCredentials>> {
    caller.session()?;
    let rows = of_user(identity.platform.db.read(), caller.user_id).await;
    let rows = rows.map_err(|error| error.or_internally(ErrorCode::CredentialListingFailed))?;
    let credentials: Vec<WebAuthnCredential> = rows
        .into_iter()
        .map(|row| WebAuthnCredential {
            id: row.id,
            device_name: row.device_name,
            credential_id: row.credential_id,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            usage_count: row.usage_count,
            backed_up: row.backed_up,
        })
        .collect();
    let total_count = credentials.len();
    Ok(Reply::ok(WebAuthnCredentials { credentials, total_count }, "Passkeys."))
}

/// Delete one of your passkeys
#[utoipa::path(delete, path = "/api/v1/webauthn/credentials/{credential_id}", tag = "webauthn",
    params(("credential_id" = CredentialId, Path, description = "The field `id` of the list")),
    responses((status = 200, description = "Permanently deleted", body = Envelope<DeletedCredential>), DeleteErrors))]
pub async fn delete_credential(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<CredentialId>,
) -> Result<Reply<DeletedCredential>> {
    let platform = &identity.platform;
    caller.recently_proved(platform.clock.now())?;
    let deleted = async {
        let tx = platform.db.begin().await?;
        let user = User::lock(&tx, caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
        let row = Entity::find_by_id(id).filter(Column::UserId.eq(user.id())).one(tx.conn()).await?;
        let row = row.ok_or(ErrorCode::CredentialNotFound)?;
        let has_another = user.account.password_hash.is_some()
            || count(tx.conn(), user.id()).await? > 1
            || social::signs_in(&identity, &tx, user.id()).await?;
        if !has_another {
            return Err(ErrorCode::LastLoginMethod.into());
        }
        Entity::delete_by_id(row.id).exec(tx.conn()).await?;
        // An account elsewhere is no way back in on the day on which the identity provider is down.
        if user.account.password_hash.is_none() && !identity.directory.keeps_ways_in(&tx, user.id()).await? {
            return Err(Error::new(ErrorCode::LastLoginMethod).with_message(
                "An organization that requires single sign-on relies on you being able to sign in without it; set a \
                 password first, or exempt another owner.",
            ));
        }
        tx.publish(Event::UserChanged(user.id())).await?;
        mails::send_passkey_changed(&identity, &tx, &user, &row.device_name, false).await?;
        let record = AuditRecord::new(None, origin.actor(user.id()), "webauthn.delete")
            .target("webauthn_credential", row.id.0)
            .details(serde_json::json!({"device_name": row.device_name}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await
    };
    deleted.await.map_err(|error: Error| error.or_internally(ErrorCode::CredentialDeletionFailed))?;
    let message = "The passkey was deleted.";
    Ok(Reply::ok(DeletedCredential { success: true, message }, message))
}
