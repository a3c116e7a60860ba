//! What is kept of a sign-in that a provider vouched for: the one-time code that the browser was sent on with, and
//! afterwards what ends the session that the code opened.
//!
//! A code is kept as its hash, lives a minute, works once, and only with the redirect address that it was sent to.

use chrono::{DateTime, Duration, Utc};
use rivergen_identity::session;
use rivergen_kernel::{Error, OrganizationId, Result, Secret, SsoProviderId, Token, TokenHash, UserId};
use rivergen_platform::{Transaction, vault::Sealed};
use sea_orm::{ActiveValue::Set, ConnectionTrait, entity::prelude::*, sea_query::Expr};

use super::Assertion;
use crate::{Federation, provider};

/// How long a code is good.
pub const CODE_LIFETIME: Duration = Duration::seconds(60);
const HINT_CONTEXT: &str = "sso_logins.logout_hint";

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sso_logins")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub provider_id: SsoProviderId,
    pub user_id: UserId,
    /// As the provider named the person.
    pub subject: String,
    /// What the provider calls its session.
    pub idp_session: Option<String>,
    pub sealed_logout_hint: Option<Sealed>,
    /// Whether the provider asked for two factors.
    pub second_factor: bool,
    pub code_hash: TokenHash,
    pub redirect_uri: String,
    pub created_at: DateTime<Utc>,
    /// When the code ends.
    pub expires_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
    /// When the session is over by the word of the provider.
    pub session_until: Option<DateTime<Utc>>,
    /// When the provider asked the person who they are, where it says so.
    pub authenticated_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Keeps a sign-in of the person, and answers its code.
pub(super) async fn begin(
    federation: &Federation,
    tx: &Transaction,
    provider: &provider::Model,
    user_id: UserId,
    assertion: &Assertion,
    redirect_uri: &str,
) -> Result<Token> {
    let platform = federation.platform();
    let now = platform.clock.now();
    let code = Token::random(&mut rand::rng());
    let sealed = match &assertion.logout_hint {
        Some(hint) => {
            let owner = provider.organization_id.into();
            Some(platform.vault.seal(tx, owner, HINT_CONTEXT, hint.expose().as_bytes()).await?)
        }
        None => None,
    };
    let row = ActiveModel {
        organization_id: Set(provider.organization_id),
        provider_id: Set(provider.id),
        user_id: Set(user_id),
        subject: Set(assertion.subject.clone()),
        idp_session: Set(assertion.idp_session.clone()),
        sealed_logout_hint: Set(sealed),
        second_factor: Set(assertion.second_factor),
        code_hash: Set(code.hash()),
        redirect_uri: Set(redirect_uri.to_owned()),
        created_at: Set(now),
        expires_at: Set(now + CODE_LIFETIME),
        used_at: Set(None),
        session_until: Set(assertion.session_until),
        authenticated_at: Set(session::said_to_be(assertion.authenticated_at, now)),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(code)
}

/// The sign-in of a code, used or not, expired or not. Index: sso_logins(code_hash), unique.
pub(super) async fn find(db: &impl ConnectionTrait, code: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::CodeHash.eq(TokenHash::of(code))).one(db).await?)
}

impl Model {
    /// Uses the code up; of two requests at once only one is told that it did.
    pub(super) async fn spend(&self, tx: &Transaction, now: DateTime<Utc>) -> Result<bool> {
        let spent = Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(now))
            .filter(Column::Id.eq(self.id))
            .filter(Column::UsedAt.is_null())
            .exec(tx.conn())
            .await?;
        Ok(spent.rows_affected == 1)
    }

    /// What the provider wants to see when the person signs out.
    pub async fn logout_hint(&self, federation: &Federation) -> Result<Option<Secret>> {
        let Some(sealed) = &self.sealed_logout_hint else { return Ok(None) };
        let opened = federation.platform().vault.open(self.organization_id.into(), HINT_CONTEXT, sealed).await?;
        let text = String::from_utf8(opened.to_vec()).map_err(Error::internal)?;
        Ok(Some(Secret::new(text)))
    }
}
