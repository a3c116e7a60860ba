//! Access tokens of applications: signed JWTs (RFC 9068), and what stands behind each of them at the moment of its use.
//!
//! The signature alone lets nobody in. Behind a token there is an application, which may have been suspended; mostly a grant,
//! which may have ended; and a person, who may have left. [`Access::inspect`] looks at all of them, keeps what it found for a
//! minute, and hears on the bus when it changes.
//!
//! A token is good for those that its `aud` names alone: this server, unless the application asked for another one
//! (RFC 8707). Shown here, a token that is meant for another server opens nothing.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Validation, jwk::JwkSet};
use rivergen_identity::{
    authenticate::{Delegation, Delegations},
    directory::Directory,
    user::User,
};
use rivergen_kernel::{
    ErrorCode, OauthApplicationId, OauthGrantId, OrganizationId, Proofs, Result, Tenant, Token, TokenHash, UserId,
    WorkspaceId,
};
use rivergen_platform::{Event, Kept, Platform, Transaction, http::KeyProof};
use rivergen_tenancy::member;
use sea_orm::{ActiveValue::Set, entity::prelude::*, sea_query::OnConflict};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Settings,
    application::{
        self, GrantType, Status,
        known::{Client, Clients},
        usage::Tally,
    },
    dpop::{self, Confirmation},
    grant,
    keys::Keys,
    published::Published,
    scope::ScopeSet,
};

/// What a JWT of this kind says it is.
const TYPE: &str = "at+jwt";

/// The claims of an access token (RFC 9068, section 2.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    /// The person, or the application where it acts for itself.
    pub sub: String,
    pub aud: Vec<String>,
    pub client_id: String,
    pub jti: String,
    pub iat: i64,
    pub exp: i64,
    pub scope: String,
    pub org: OrganizationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ws: Option<WorkspaceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The grant that it lives and dies with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<OauthGrantId>,
    /// The service that acts with it, where it was given for another application's token (RFC 8693, section 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// The key that is proved at each use, where it is bound to one (RFC 9449, section 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// The application's count of what made its tokens void.
    #[serde(rename = "gen")]
    pub generation: i64,
}

/// Who acts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Actor {
    pub sub: String,
    /// Who acted before, and showed its token on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

impl Claims {
    fn expires_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.exp, 0).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

/// A token that is good, and what stands behind it.
#[derive(Debug)]
pub struct Inspected {
    pub claims: Claims,
    pub application_id: OauthApplicationId,
    /// To which application it was granted.
    pub granted_to: OauthApplicationId,
    /// For whom the application acts.
    pub user_id: UserId,
    /// What it proves, but for where it is used.
    pub proofs: Proofs,
    /// What is left of its scopes for what the application may still ask for.
    pub scope: ScopeSet,
    pub expires_at: DateTime<Utc>,
}

impl Inspected {
    pub fn is_for(&self, audience: &str) -> bool {
        self.claims.aud.iter().any(|one| one == audience)
    }
}

/// What a new token is to say.
pub struct Subject<'a> {
    pub client: &'a Client,
    pub sub: String,
    pub scope: &'a ScopeSet,
    /// Empty: this server.
    pub resources: &'a [String],
    pub workspace_id: Option<WorkspaceId>,
    pub grant: Option<&'a grant::Model>,
    /// Who acts, where it is with what was granted to another application.
    pub act: Option<Actor>,
    /// The thumbprint of the key that it is bound to.
    pub key: Option<&'a str>,
    /// How long it may live, where that is less than usual.
    pub at_most: Option<Duration>,
}

/// A token, and how long it lives.
pub struct Issued {
    pub text: String,
    pub lifetime: Duration,
}

/// Tokens that were revoked one by one, until they would have expired. Known by their `jti`: of one token there may be several
/// texts, because an ECDSA signature (r, s) verifies as (r, n − s) too.
pub mod revoked {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "oauth_revoked_tokens")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub jti_hash: TokenHash,
        pub expires_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Issues and reads access tokens; cheap to clone.
#[derive(Clone)]
pub struct Access {
    platform: Platform,
    keys: Keys,
    directory: Arc<dyn Directory>,
    pub(crate) clients: Clients,
    pub(crate) published: Published,
    pub(crate) tally: Tally,
    settings: Arc<Settings>,
    kept: Kept<Vec<u8>, Arc<Inspected>>,
}

/// From when on somebody must have been a member without a break.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Since {
    /// They let an application act for them: whom their identity provider took out meanwhile has to agree anew, as their sessions
    /// and tokens do not come back either.
    Agreed(DateTime<Utc>),
    /// They answer for an application, which goes on when they are let in again.
    Answers(DateTime<Utc>),
}

impl Since {
    fn is_broken_by(self, member: &member::Model) -> bool {
        match self {
            Self::Agreed(at) => member.belongs_since() > at,
            Self::Answers(at) => member.joined_at > at,
        }
    }
}

impl Access {
    pub fn new(platform: Platform, keys: Keys, directory: Arc<dyn Directory>, settings: Settings) -> Self {
        // The applications first: they must have forgotten one that changed before what stood on it is loaded again.
        let clients = Clients::new(platform.clone());
        let published = Published::new(platform.clone());
        let kept = Kept::new(platform.db.bus(), 100_000, std::time::Duration::from_secs(60), until);
        let (tally, settings) = (Tally::default(), Arc::new(settings));
        Self { platform, keys, directory, clients, published, tally, settings, kept }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.platform
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The keys that verify its tokens (RFC 7517).
    pub fn jwks(&self) -> JwkSet {
        self.keys.jwks()
    }

    pub(crate) async fn issue(&self, subject: Subject<'_>) -> Result<Issued> {
        let now = self.platform.clock.now();
        let application = &subject.client.row;
        let organization = self.directory.security_of(application.organization_id).await?;
        let asked = organization.access_token_minutes.map(|minutes| Duration::minutes(i64::from(minutes)));
        let lifetime =
            [asked, subject.at_most].into_iter().flatten().fold(self.settings.access_token_lifetime, Ord::min);
        let aud = match subject.resources {
            [] => vec![self.platform.public_url.to_string()],
            resources => resources.to_vec(),
        };
        let claims = Claims {
            iss: self.platform.public_url.to_string(),
            sub: subject.sub,
            aud,
            client_id: application.client_id.clone(),
            jti: Token::random(&mut rand::rng()).expose()[..22].to_owned(),
            iat: now.timestamp(),
            exp: (now + lifetime).timestamp(),
            scope: subject.scope.to_string(),
            org: application.organization_id,
            ws: subject.workspace_id,
            auth_time: subject.grant.and_then(grant::Model::auth_time),
            grant: subject.grant.map(|grant| grant.id),
            act: subject.act,
            cnf: subject.key.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
            generation: application.token_generation,
        };
        Ok(Issued { text: self.keys.sign(TYPE, &claims)?, lifetime })
    }

    /// What stands behind the token; `UNAUTHORIZED` or `TOKEN_EXPIRED` where it is not good any more.
    pub async fn inspect(&self, token: &str, now: DateTime<Utc>) -> Result<Arc<Inspected>> {
        let key = TokenHash::of(token).0;
        if let Some(known) = self.kept.get(&key)
            && now < known.expires_at
        {
            return Ok(known);
        }
        self.kept.load(key, self.load(token, now)).await
    }

    async fn load(&self, token: &str, now: DateTime<Utc>) -> Result<Arc<Inspected>> {
        let claims = self.verify(token, now).await?;
        let refused = ErrorCode::Unauthorized;
        let db = self.platform.db.read();
        let unknown = |error: rivergen_kernel::Error| error.renamed(ErrorCode::ApplicationNotFound, refused);
        let client = self.clients.find(&claims.client_id).await.map_err(unknown)?;
        let application = &client.row;
        if claims.generation != application.token_generation || claims.org != application.organization_id {
            return Err(refused.into());
        }
        // Index: oauth_revoked_tokens(jti_hash), unique.
        let by_id = revoked::Entity::find().filter(revoked::Column::JtiHash.eq(TokenHash::of(&claims.jti)));
        if by_id.one(db).await?.is_some() {
            return Err(refused.into());
        }
        let mut scope = claims.scope.parse::<ScopeSet>().map_err(|_| refused)?.limited_to(&client.scopes);
        let (user_id, granted_to, since, proofs) = match claims.grant {
            Some(id) => {
                let grant =
                    grant::Model::find(db, id).await?.filter(|grant| grant.ended_at.is_none()).ok_or(refused)?;
                let granted_to = self.granted_to(&client, &claims, &grant).await?.ok_or(refused)?;
                scope = scope.limited_to(&granted_to.scopes());
                (grant.user_id, granted_to.id, Since::Agreed(grant.created_at), grant.proofs())
            }
            None if client.may(GrantType::ClientCredentials) => {
                let proofs = Proofs::of_what_goes_on(None);
                let since = Since::Answers(application.responsible_since);
                (application.responsible_user_id, application.id, since, proofs)
            }
            None => return Err(refused.into()),
        };
        self.check_person(user_id, application.organization_id, since, proofs, now).await?;
        let expires_at = claims.expires_at();
        let application_id = application.id;
        Ok(Arc::new(Inspected { application_id, granted_to, user_id, proofs, scope, expires_at, claims }))
    }

    /// The application to which it was granted, where it still may what it was granted, and so may the one that has the token:
    /// the same, or a service of the organization that acts with it.
    async fn granted_to(
        &self,
        client: &Client,
        claims: &Claims,
        grant: &grant::Model,
    ) -> Result<Option<application::Model>> {
        let (db, own) = (self.platform.db.read(), &client.row);
        let granted_to = match claims.act {
            Some(_) if client.may(GrantType::TokenExchange) => {
                let found = application::Entity::find_by_id(grant.application_id).one(db).await?;
                found.filter(|found| found.organization_id == own.organization_id)
            }
            Some(_) => None,
            None => Some(own.clone()).filter(|own| own.id == grant.application_id),
        };
        let is_good =
            |row: &application::Model| row.status == Status::Active && row.grant_types().contains(&grant.grant_type());
        Ok(granted_to.filter(is_good))
    }

    /// As [`Access::check_person`], for where that the person is not there any more is no error of who asks.
    pub(crate) async fn has_person(
        &self,
        user: UserId,
        organization: OrganizationId,
        since: Since,
        proofs: Proofs,
    ) -> Result<bool> {
        match self.check_person(user, organization, since, proofs, self.platform.clock.now()).await {
            Err(error) if matches!(error.code, ErrorCode::Unauthorized | ErrorCode::UserDisabled) => Ok(false),
            checked => checked.map(|()| true),
        }
    }

    /// Whether the person is there and a member, has been one since they agreed (who left and came back has not), and what
    /// they proved then is what the organization demands now. From which network, counts where the token is used.
    async fn check_person(
        &self,
        user: UserId,
        organization: OrganizationId,
        since: Since,
        proofs: Proofs,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let db = self.platform.db.read();
        let found = User::find(db, user).await?.ok_or(ErrorCode::Unauthorized)?;
        if found.account.disabled_at.is_some() {
            return Err(ErrorCode::UserDisabled.into());
        }
        let membership = self.directory.membership(user, organization, None).await?;
        membership.ok_or(ErrorCode::Unauthorized)?;
        let member = member::find(db, Tenant::on_behalf_of(organization), user).await;
        let member = member.map_err(|error| error.renamed(ErrorCode::MemberNotFound, ErrorCode::Unauthorized))?;
        let closed = self.directory.security(user).await?.closes_anywhere(organization, proofs, now);
        match since.is_broken_by(&member) || closed.is_some() {
            true => Err(ErrorCode::Unauthorized.into()),
            false => Ok(()),
        }
    }

    async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims> {
        let claims = self.signed::<Claims>(TYPE, token, &["exp", "iss", "sub", "aud"]).await?;
        let claims = claims.ok_or(ErrorCode::Unauthorized)?;
        if now >= claims.expires_at() { Err(ErrorCode::TokenExpired.into()) } else { Ok(claims) }
    }

    /// What a JWT of that type says that this server signed; `None` for any other. For whom it is, and until when, whoever
    /// takes it asks: the clock is an injected one.
    pub(crate) async fn signed<C: DeserializeOwned>(
        &self,
        typ: &str,
        token: &str,
        required: &[&str],
    ) -> Result<Option<C>> {
        let Ok(header) = jsonwebtoken::decode_header(token) else { return Ok(None) };
        let is_typed = header.typ.as_deref() == Some(typ);
        let Some(kid) = header.kid.filter(|_| is_typed) else { return Ok(None) };
        let Some(key) = self.keys.verifying(&kid).await? else { return Ok(None) };
        // The algorithm is the key's, never the token's choice (RFC 8725, section 3.1).
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&*self.platform.public_url]);
        validation.set_required_spec_claims(required);
        validation.validate_aud = false;
        validation.validate_exp = false;
        Ok(jsonwebtoken::decode::<C>(token, &key.key, &validation).ok().map(|decoded| decoded.claims))
    }

    /// Makes one token void, on every node.
    pub(crate) async fn revoke(&self, tx: &Transaction, inspected: &Inspected) -> Result<()> {
        let row = revoked::ActiveModel {
            jti_hash: Set(TokenHash::of(&inspected.claims.jti)),
            expires_at: Set(inspected.expires_at),
            ..Default::default()
        };
        revoked::Entity::insert(row)
            .on_conflict(OnConflict::column(revoked::Column::JtiHash).do_nothing().to_owned())
            .try_insert()
            .exec_without_returning(tx.conn())
            .await?;
        tx.publish(Event::ApplicationChanged(inspected.application_id)).await
    }
}

#[async_trait]
impl Delegations for Access {
    async fn read(&self, token: &str, now: DateTime<Utc>) -> Result<Delegation> {
        let inspected = self.inspect(token, now).await?;
        let scopes = inspected.scope.api();
        // One that only tells who somebody is opens nothing else, as little as one for another server.
        if !inspected.is_for(&self.platform.public_url) || scopes.0.is_empty() {
            return Err(ErrorCode::Unauthorized.into());
        }
        Ok(Delegation {
            application_id: inspected.application_id,
            grant_id: inspected.claims.grant,
            granted_to: inspected.granted_to,
            user_id: inspected.user_id,
            organization_id: inspected.claims.org,
            workspace_id: inspected.claims.ws,
            scopes,
            proofs: inspected.proofs,
            key: inspected.claims.cnf.as_ref().map(|cnf| cnf.jkt.clone()),
            expires_at: inspected.expires_at,
        })
    }

    async fn prove(&self, key: &str, token: &str, proof: KeyProof<'_>) -> Result<()> {
        dpop::prove(self, proof, Some(dpop::Bound { token, key })).await.map(|_| ())
    }

    async fn end_all(&self, tx: &Transaction, user: UserId, reason: &'static str, now: DateTime<Utc>) -> Result<u64> {
        grant::end_all_of_person(tx, user, reason, now).await
    }
}

fn until(_: &Vec<u8>, inspected: &Arc<Inspected>) -> Vec<Event> {
    let mut events = vec![
        Event::ApplicationChanged(inspected.application_id),
        Event::ApplicationChanged(inspected.granted_to),
        Event::UserChanged(inspected.user_id),
        Event::OrganizationChanged(inspected.claims.org),
    ];
    events.extend(inspected.claims.grant.map(Event::GrantEnded));
    events
}
