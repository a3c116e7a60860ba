//! `GET /api/v1/auth/me`: everything about the signed-in person.
//!
//! Every page of a client asks for it, so the answer is kept per person and forgotten when the bus says
//! that something in it changed.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, Result, UserId};
use rivergen_platform::{
    Bus, Event, Kept, errors,
    http::{Envelope, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Identity,
    directory::{OrganizationOfUser, WorkspaceOfUser},
    mfa, session, social,
    user::{User, address},
};

/// The signed-in person.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub user: UserProfile,
    pub emails: Vec<EmailOfUser>,
    pub organizations: Vec<OrganizationOfUser>,
    pub workspaces: Vec<WorkspaceOfUser>,
    pub security: Security,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UserProfile {
    pub id: UserId,
    #[schema(examples("Ada"))]
    pub display_name: String,
    #[schema(examples("ada@acme.example"))]
    pub primary_email: String,
    pub profile_image_url: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub is_system_admin: bool,
    pub disabled_at: Option<DateTime<Utc>>,
    #[schema(value_type = Object)]
    pub profile: serde_json::Value,
    #[schema(value_type = Object)]
    pub user_metadata: serde_json::Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EmailOfUser {
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    pub verified: bool,
    pub is_primary: bool,
    pub created_at: DateTime<Utc>,
}

impl From<address::Model> for EmailOfUser {
    fn from(row: address::Model) -> Self {
        Self {
            email: row.email,
            verified: row.verified_at.is_some(),
            is_primary: row.is_primary,
            created_at: row.created_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Security {
    pub mfa_enabled: bool,
    pub mfa_methods: Vec<String>,
    pub social_accounts_count: u64,
    pub connected_providers: Vec<String>,
    pub total_login_attempts: u64,
    pub active_sessions: u64,
}

/// The kept answers. The counts of sessions move with time alone, so nothing is kept for long.
pub(crate) fn profiles(bus: &Bus) -> Kept<UserId, Arc<Me>> {
    Kept::new(bus, 10_000, Duration::from_secs(30), |user_id, me: &Arc<Me>| {
        let organizations = me.organizations.iter().map(|organization| Event::OrganizationChanged(organization.id));
        organizations.chain([Event::UserChanged(*user_id)]).collect()
    })
}

errors! { pub MeErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError; }

/// Read the signed-in user
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "authentication",
    responses((status = 200, description = "The person, where they belong and how they are secured", body = Envelope<Me>), MeErrors))]
pub async fn get_me(State(identity): State<Identity>, SignedIn(caller): SignedIn) -> Result<Reply<Arc<Me>>> {
    if caller.bound_to().is_some() {
        return Err(Error::new(ErrorCode::Forbidden).with_message("The token is bound to one organization."));
    }
    let me = identity
        .profiles
        .get_or_load(caller.user_id, async { load(&identity, caller.user_id).await.map(Arc::new) })
        .await?;
    Ok(Reply::ok(me, "The signed-in user."))
}

async fn load(identity: &Identity, user_id: UserId) -> Result<Me> {
    let db = identity.platform.db.read();
    let user = User::find(db, user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    let emails = address::Entity::find()
        .filter(address::Column::UserId.eq(user_id))
        .order_by_asc(address::Column::Id)
        .all(db)
        .await?;
    let places = identity.directory.places(user_id).await?;
    let factors = mfa::verified(db, user_id).await?;
    let mut mfa_methods: Vec<String> = factors.iter().map(|factor| factor.kind.as_str().to_owned()).collect();
    mfa_methods.dedup();
    let connected_providers = social::providers_of(db, user_id).await?;
    let account = user.account;
    Ok(Me {
        user: UserProfile {
            id: account.id,
            display_name: account.display_name,
            primary_email: user.email.email,
            profile_image_url: account.profile_image_url,
            created_at: account.created_at,
            updated_at: account.updated_at,
            is_system_admin: account.is_system_admin,
            disabled_at: account.disabled_at,
            profile: account.profile,
            user_metadata: account.user_metadata,
        },
        emails: emails.into_iter().map(EmailOfUser::from).collect(),
        organizations: places.organizations,
        workspaces: places.workspaces,
        security: Security {
            mfa_enabled: !factors.is_empty(),
            mfa_methods,
            social_accounts_count: connected_providers.len() as u64,
            connected_providers,
            total_login_attempts: account.login_count.unsigned_abs(),
            active_sessions: session::count_live(db, user_id, identity.platform.clock.now()).await?,
        },
    })
}
