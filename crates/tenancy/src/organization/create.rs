//! `POST /api/v1/organizations`: an organization with its first workspace and its first administrator.
//!
//! Open to everybody, as signup is. Where the administrator's address has an account, the caller must be
//! signed in to it: otherwise a stranger could attach an account to an organization.

use axum::extract::State;
use garde::Validate;
use rivergen_identity::{
    email_address, mails,
    password::PasswordPolicy,
    user::{NewUser, User, default_display_name},
};
use rivergen_kernel::{BuiltInRole, Error, ErrorCode, OrganizationId, Result, Secret, UserId, WorkspaceId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, MaybeSignedIn, Reply, RequestOrigin, not_blank},
    idempotency::{self, Seen},
    limits::SIGNUP_BY_IP,
};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{NewOrganization, settings};
use crate::{
    Tenancy,
    member::{NewMember, Source},
    workspace,
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme", "domain": "acme.example", "workspace_name": "Main Workspace",
    "admin_email": "ada@acme.example", "admin_password": "Correct1horse", "admin_display_name": "Ada"}))]
pub struct CreateOrganizationRequest {
    /// Unique across all organizations, compared without case.
    #[garde(length(chars, min = 1, max = 255), custom(not_blank))]
    pub name: String,
    #[garde(skip)]
    pub domain: Option<String>,
    #[garde(inner(length(chars, min = 1, max = 255), custom(workspace::has_a_letter)))]
    #[schema(default = "Main Workspace")]
    pub workspace_name: Option<String>,
    #[garde(skip)]
    pub admin_email: String,
    /// Needed unless the caller is signed in as the administrator.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub admin_password: Option<Secret>,
    #[garde(inner(length(chars, min = 1, max = 255), custom(not_blank)))]
    pub admin_display_name: Option<String>,
    /// Settings that differ from the defaults from the start.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Map<String, Value>>,
    /// A repeat with the same key and body finds the same organization. Kept for 24 hours.
    #[garde(inner(length(min = 1, max = 255)))]
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationCreated {
    pub organization: CreatedOrganization,
    pub workspace: CreatedWorkspace,
    pub user: CreatedAdministrator,
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedOrganization {
    pub id: OrganizationId,
    pub name: String,
    pub domain: Option<String>,
    pub plan: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedAdministrator {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
}

errors! { pub CreateErrors: InvalidRequest, WeakPassword, ProofRequired, RoleNotFound, OrgExists, IdempotencyConflict, SettingManagedElsewhere, ValidationError, RateLimited; }

const CREATED: &str = "The organization was created.";
const SCOPE: &str = "organizations.create";

/// Create an organization with its first workspace and administrator
#[utoipa::path(post, path = "/api/v1/organizations", tag = "organizations", request_body = CreateOrganizationRequest,
    security((), ("bearer" = [])),
    responses((status = 201, description = "Created", body = Envelope<OrganizationCreated>), CreateErrors))]
pub async fn create(
    State(tenancy): State<Tenancy>,
    MaybeSignedIn(caller): MaybeSignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateOrganizationRequest>,
) -> Result<Reply<OrganizationCreated>> {
    let identity = &tenancy.identity;
    let platform = &identity.platform;
    if let Some(caller) = &caller {
        caller.may_change()?;
    }
    let uses = platform.check_limits(&[(&SIGNUP_BY_IP, &origin.limit_key())]).await?;
    let email = email_address::normalise(&request.admin_email, "admin_email")?;
    let domain = request.domain.as_deref().map(super::normalise_domain).transpose()?;
    let known = User::find_by_email(platform.db.read(), &email).await?;
    let proven = match (&known, &caller) {
        (Some(user), Some(caller)) => user.id() == caller.user_id && caller.email_verified,
        _ => false,
    };
    let fingerprint =
        format!("{email}\n{}\n{domain:?}\n{:?}\n{:?}", request.name, request.workspace_name, request.settings);
    let password_hash = match (&known, request.admin_password) {
        (Some(_), _) => None,
        (None, None) => return Err(Error::invalid_field("admin_password", "is required for a new account")),
        (None, Some(password)) => {
            let policy = PasswordPolicy::default();
            identity.passwords.check(&password, policy, &[&email], "admin_password", ErrorCode::WeakPassword).await?;
            Some(identity.passwords.hash(password).await?)
        }
    };

    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    if let Some(key) = &request.idempotency_key
        && let Seen::Repeat(id) = idempotency::lookup(&tx, SCOPE, key, &fingerprint, now).await?
    {
        return repeated(&tx, OrganizationId(id), proven).await;
    }
    if known.is_some() && !proven {
        return Err(ErrorCode::ProofRequired.into());
    }
    let user = match known {
        Some(user) => user,
        None => {
            let display_name = request.admin_display_name.unwrap_or_else(|| default_display_name(&email));
            let new = NewUser { email, display_name, password_hash, verified_at: None, terms_version: None };
            let user = new.insert(tx.conn(), now).await.map_err(duplicate_is(ErrorCode::ProofRequired))?;
            mails::send_verification(identity, &tx, &user).await?;
            user
        }
    };
    let new = NewOrganization {
        name: request.name.trim(),
        domain,
        workspace_name: request.workspace_name.as_deref().unwrap_or("Main Workspace"),
        is_personal: false,
        created_by: user.id(),
    };
    let mut created = new.insert(&tx, now).await?;
    if let Some(patch) = &request.settings {
        created.organization =
            settings::write_first(&tx, created.organization, patch, user.id(), origin.ip, now).await?;
    }
    let organization_id = created.organization.id;
    let owner = created.roles[&BuiltInRole::Owner];
    let new = NewMember {
        organization_id,
        user_id: user.id(),
        role_id: owner,
        source: Source::Created,
        attributes: &Default::default(),
        by: None,
    };
    let actor = origin.actor(user.id());
    let mut records = new.add(&tx, &actor, now).await?;
    if let Some(key) = &request.idempotency_key {
        idempotency::remember(&tx, SCOPE, key, &fingerprint, organization_id.0, now).await?;
    }
    tx.publish(Event::UserChanged(user.id())).await?;
    let record =
        AuditRecord::new(Some(organization_id), actor, "organization.create").target("organization", organization_id.0);
    records.push(record);
    audit::record_all(&tx, &platform.clock, records).await?;
    tx.commit().await?;
    Ok(Reply::created(answer(created.organization, created.workspace, user), CREATED))
}

/// What the first request made. Nobody could be signed in to an account that it made; to any other they have to be.
async fn repeated(
    tx: &rivergen_platform::Transaction,
    id: OrganizationId,
    proven: bool,
) -> Result<Reply<OrganizationCreated>> {
    let organization = super::Entity::find_by_id(id).one(tx.conn()).await?.ok_or(ErrorCode::Conflict)?;
    let workspace = workspace::default_of(tx.conn(), id).await?.ok_or(ErrorCode::Conflict)?;
    let user = User::find(tx.conn(), organization.created_by_user_id).await?.ok_or(ErrorCode::Conflict)?;
    if !proven && user.account.created_at != organization.created_at {
        return Err(ErrorCode::ProofRequired.into());
    }
    Ok(Reply::created(answer(organization, workspace, user), CREATED))
}

fn answer(organization: super::Model, workspace: workspace::Model, user: User) -> OrganizationCreated {
    OrganizationCreated {
        organization: CreatedOrganization {
            id: organization.id,
            name: organization.name,
            domain: organization.domain,
            plan: organization.plan,
        },
        workspace: CreatedWorkspace { id: workspace.id, name: workspace.name, slug: workspace.slug },
        user: CreatedAdministrator { id: user.id(), email: user.email.email, display_name: user.account.display_name },
        message: CREATED,
    }
}
