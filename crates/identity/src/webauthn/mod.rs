//! Passkeys and security keys (WebAuthn level 2): registration, sign-in with and without an address, one's own list.
//!
//! A passkey proves possession and, by the user-verification flag that is demanded always, a second thing: a PIN or a
//! finger. So no further factor is asked for. Every challenge is random, lives five minutes and is used up by the
//! first answer of whom it was given to, right or wrong.

pub mod authenticate;
pub mod credentials;
mod decoy;
pub mod register;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{CredentialId, Error, ErrorCode, Result, TokenHash, UserId};
use rivergen_platform::Transaction;
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, PaginatorTrait, QuerySelect, QueryTrait, entity::prelude::*,
    sea_query::Expr,
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use webauthn_rs::{
    Webauthn, WebauthnBuilder,
    prelude::{Passkey, Url},
};

use crate::Identity;

pub(crate) use decoy::Decoys;

const CHALLENGE_LIFETIME: Duration = Duration::minutes(5);
/// Passkeys that one person may have: enough for every device, and few enough to be named at each start.
const MOST_PASSKEYS: u64 = 20;

/// Whom passkeys are made for: this server under its domain, and the pages that may ask for them.
#[derive(Clone)]
pub struct RelyingParty(Option<Arc<Webauthn>>);

impl RelyingParty {
    /// Fails where an origin does not belong to the domain. Without an origin there are no passkeys on this server.
    pub fn new(id: &str, name: &str, origins: &[Url]) -> Result<Self> {
        let Some((first, others)) = origins.split_first() else { return Ok(Self(None)) };
        let mut builder = WebauthnBuilder::new(id, first).map_err(Error::internal)?.rp_name(name);
        for origin in others {
            builder = builder.append_allowed_origin(origin);
        }
        Ok(Self(Some(Arc::new(builder.build().map_err(Error::internal)?))))
    }

    fn get(&self, otherwise: ErrorCode) -> Result<&Webauthn> {
        self.0.as_deref().ok_or_else(|| {
            Error::new(otherwise).with_message("This server has no domain that passkeys can be created for.")
        })
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webauthn_credentials")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: CredentialId,
    pub user_id: UserId,
    pub device_name: String,
    /// What the authenticator calls it, in base64url; unique.
    pub credential_id: String,
    /// The public key and what goes with it, as the library keeps it.
    pub passkey: Json,
    pub transports: Json,
    pub backup_eligible: bool,
    pub backed_up: bool,
    /// The authenticator's counter of signatures; those that are synchronised send 0 always.
    pub sign_count: i64,
    pub usage_count: i64,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    fn passkey(&self) -> Result<Passkey> {
        serde_json::from_value(self.passkey.clone()).map_err(Error::internal)
    }
}

/// What waits for the answer of an authenticator.
pub mod challenge {
    use super::*;

    /// What a challenge was given out for; an answer to one kind never passes for another.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    pub enum Purpose {
        #[sea_orm(string_value = "registration")]
        Registration,
        /// Of the passkeys of one person.
        #[sea_orm(string_value = "authentication")]
        Authentication,
        /// Of whatever passkey the device offers.
        #[sea_orm(string_value = "discoverable")]
        Discoverable,
        /// For an address that has no passkeys: no answer is right.
        #[sea_orm(string_value = "decoy")]
        Decoy,
    }

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webauthn_challenges")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub challenge_hash: TokenHash,
        pub purpose: Purpose,
        pub user_id: Option<UserId>,
        pub device_name: Option<String>,
        pub state: Json,
        pub created_at: DateTime<Utc>,
        pub expires_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A challenge to be kept.
struct NewChallenge<'a> {
    /// In base64url, as the client sends it back.
    challenge: &'a str,
    purpose: challenge::Purpose,
    user_id: Option<UserId>,
    device_name: Option<String>,
    state: Value,
}

impl NewChallenge<'_> {
    async fn keep(self, tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
        let row = challenge::ActiveModel {
            challenge_hash: Set(TokenHash::of(self.challenge)),
            purpose: Set(self.purpose),
            user_id: Set(self.user_id),
            device_name: Set(self.device_name),
            state: Set(self.state),
            created_at: Set(now),
            expires_at: Set(now + CHALLENGE_LIFETIME),
            ..Default::default()
        };
        row.insert(tx.conn()).await?;
        Ok(())
    }
}

/// Uses up the challenge that an authenticator's answer names, whatever becomes of the answer; one that is not the
/// caller's stays, and is unknown to them. Index: webauthn_challenges(challenge_hash), unique.
async fn take(identity: &Identity, credential: &Value, is_callers: Condition) -> Result<challenge::Model> {
    let platform = &identity.platform;
    let answered = answered_challenge(credential).ok_or(ErrorCode::ChallengeNotFound)?;
    let tx = platform.db.begin().await?;
    let found = challenge::Entity::find()
        .filter(challenge::Column::ChallengeHash.eq(TokenHash::of(&answered)))
        .filter(is_callers)
        .one(tx.conn())
        .await?
        .ok_or(ErrorCode::ChallengeNotFound)?;
    // Of two answers at once only one deletes the row.
    let taken = challenge::Entity::delete_by_id(found.id).exec(tx.conn()).await?;
    tx.commit().await?;
    match taken.rows_affected == 1 && platform.clock.now() < found.expires_at {
        true => Ok(found),
        false => Err(ErrorCode::ChallengeNotFound.into()),
    }
}

/// The challenge inside the client data of an answer.
fn answered_challenge(credential: &Value) -> Option<String> {
    let data = credential["response"]["clientDataJSON"].as_str()?;
    let data: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(data).ok()?).ok()?;
    data["challenge"].as_str().map(str::to_owned)
}

/// The binary fields in base64url without padding, in whichever base64 they came.
fn normalised(mut credential: Value) -> Value {
    let url_safe = |value: &mut Value| {
        if let Value::String(text) = value {
            *text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
        }
    };
    for field in ["id", "rawId"] {
        if let Some(value) = credential.get_mut(field) {
            url_safe(value);
        }
    }
    for field in ["attestationObject", "clientDataJSON", "authenticatorData", "signature", "userHandle"] {
        if let Some(value) = credential.get_mut("response").and_then(|response| response.get_mut(field)) {
            url_safe(value);
        }
    }
    credential
}

/// The passkeys of a person, the newest first. Index: webauthn_credentials(user_id).
async fn of_user(db: &impl ConnectionTrait, user_id: UserId) -> Result<Vec<Model>> {
    use sea_orm::QueryOrder;
    let rows = Entity::find().filter(Column::UserId.eq(user_id));
    Ok(rows.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).all(db).await?)
}

/// Whether the person of a column has a passkey, inside a query over people. Index: webauthn_credentials(user_id).
pub(crate) fn has_passkey(user_id: Expr) -> Expr {
    use sea_orm::ExprTrait;
    let passkey = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(ExprTrait::eq(Expr::col((Entity, Column::UserId)), user_id))
        .into_query();
    Expr::exists(passkey)
}

/// How many passkeys a person has. Index: webauthn_credentials(user_id).
pub async fn count(db: &impl ConnectionTrait, user_id: UserId) -> Result<u64> {
    Ok(Entity::find().filter(Column::UserId.eq(user_id)).count(db).await?)
}

/// The operations of passkeys.
pub(crate) fn operations() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(register::start_registration))
        .routes(routes!(register::complete_registration))
        .routes(routes!(authenticate::start_authentication))
        .routes(routes!(authenticate::complete_authentication))
        .routes(routes!(credentials::list_credentials))
        .routes(routes!(credentials::delete_credential))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn either_base64_is_taken() {
        let sent = json!({"rawId": "a+b/c==", "response": {"clientDataJSON": "x/+=", "transports": ["usb"]}});
        let read = normalised(sent);
        assert_eq!((read["rawId"].as_str(), read["response"]["clientDataJSON"].as_str()), (Some("a-b_c"), Some("x_-")));
        assert_eq!(answered_challenge(&json!({})), None);
        let data = URL_SAFE_NO_PAD.encode(r#"{"challenge":"abc"}"#);
        let credential = json!({"response": {"clientDataJSON": data}});
        assert_eq!(answered_challenge(&credential).as_deref(), Some("abc"));
    }
}
