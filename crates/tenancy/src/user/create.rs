//! `POST /api/v1/users`: adds somebody to an organization.
//!
//! A new address gets an account, and a link with which its person chooses a password. One that has an account already is
//! invited instead: nobody becomes a member without being asked, and no password is touched.

use std::collections::BTreeSet;

use axum::extract::State;
use garde::Validate;
use rivergen_identity::{
    email_address, mails,
    user::{NewUser, User},
};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Permission, Result, RoleId, Secret, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn, not_blank},
};
use sea_orm::{EntityTrait, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    Tenancy,
    invitation::invite::{Invitations, Wanted},
    member::{NewMember, Source},
    organization,
    role::{self, rules::Deed},
    workspace::{self, settings::default_role},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"email": "ada@acme.example", "display_name": "Ada", "organization_id": 42, "role_id": 7}))]
pub struct CreateUserRequest {
    pub email: String,
    #[garde(length(chars, min = 1, max = 255), custom(not_blank))]
    pub display_name: String,
    /// Never accepted: people choose their own password, with the link that is e-mailed to them.
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Secret>,
    pub organization_id: OrganizationId,
    /// In the whole organization; the default role of its default workspace, if absent, else its own.
    pub role_id: Option<RoleId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedUserAnswer {
    pub user: CreatedUser,
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedUser {
    /// Null for someone who has been invited, until they accept.
    pub id: Option<UserId>,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(examples("Ada"))]
    pub display_name: String,
}

errors! { pub CreateUserErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, RoleNotFound, UserAlreadyExists, InvitationExists, ValidationError, RateLimited; }

/// Add a user to an organization
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = CreateUserRequest,
    responses((status = 201, description = "Added, or invited if the address has an account", body = Envelope<CreatedUserAnswer>), CreateUserErrors))]
pub async fn create_user(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateUserRequest>,
) -> Result<Reply<CreatedUserAnswer>> {
    let platform = &tenancy.identity.platform;
    let caller = tenancy.enter(&caller, request.organization_id).await?;
    let tenant = caller.require(Permission::UserCreate)?;
    if request.password.is_some() {
        return Err(Error::invalid_field(
            "password",
            "people choose their own; leave it out, and a link is sent to them",
        ));
    }
    let email = email_address::normalise(&request.email, "email")?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let found = organization::Entity::find_by_id(tenant.organization_id()).lock_shared().one(tx.conn()).await?;
    let organization = found.ok_or(ErrorCode::OrgNotFound)?;
    let intake = organization.intake()?;
    intake.allow(&email)?;
    let default = workspace::default_of(tx.conn(), tenant.organization_id()).await?;
    let workspace = default.ok_or_else(|| Error::internal("an organization without a default workspace"))?;
    let role = match request.role_id {
        Some(id) => role::find(tx.conn(), tenant, id).await?,
        None => default_role(tx.conn(), tenant, &workspace).await?,
    };
    Deed::BringIn(&role.permissions()).allow(&caller)?;

    let created = match User::find_by_email(tx.conn(), &email).await? {
        Some(_) => {
            let wanted = Wanted { email: email.clone(), workspace_id: workspace.id, role_id: Some(role.id) };
            let earlier = &BTreeSet::new();
            let invitations = Invitations {
                tenancy: &tenancy,
                caller: &caller,
                tenant,
                origin: &origin,
                message: None,
                is_dry_run: false,
                earlier,
            };
            let outcome = invitations.make(&tx, &[wanted]).await?.pop();
            let made = outcome.ok_or_else(|| Error::internal("an invitation was lost on the way"))?;
            made.map_err(|error| error.renamed(ErrorCode::AlreadyMember, ErrorCode::UserAlreadyExists))?;
            CreatedUser { id: None, email, display_name: request.display_name }
        }
        None => {
            let new = NewUser {
                email: email.clone(),
                display_name: request.display_name.clone(),
                password_hash: None,
                verified_at: None,
                terms_version: None,
            };
            // Somebody may have signed up with it at this moment.
            let user = new.insert(tx.conn(), now).await.map_err(duplicate_is(ErrorCode::UserAlreadyExists))?;
            let member = NewMember {
                organization_id: tenant.organization_id(),
                user_id: user.id(),
                role_id: role.id,
                source: Source::Added,
                attributes: &Default::default(),
                by: Some(caller.user_id),
            };
            let actor = origin.actor(caller.user_id);
            let mut records = member.add(&tx, &actor, now).await?;
            mails::send_welcome(&tenancy.identity, &tx, &user, &organization.name).await?;
            let record = AuditRecord::new(Some(organization.id), actor, "user.create")
                .target("user", user.id().0)
                .details(json!({"role_id": role.id}));
            records.push(record);
            audit::record_all(&tx, &platform.clock, records).await?;
            CreatedUser { id: Some(user.id()), email, display_name: request.display_name }
        }
    };
    tx.commit().await?;
    let message = "User created successfully";
    Ok(Reply::created(CreatedUserAnswer { user: created, message }, message))
}
