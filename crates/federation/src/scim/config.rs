//! `POST` and `GET /api/v1/sso/scim/config`: whether an identity provider may push, with which token, and what its groups
//! mean.
//!
//! A configuration is a provider's; users and groups are the organization's, under whichever token they came. The token is
//! shown once; a new one takes the old one's place at once, or after an overlap in which both are good.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_kernel::{
    Caller, Error, ErrorCode, OrganizationId, Permission, Result, RoleId, SsoProviderId, Tenant, UserId,
};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::{TenantOwned, TenantScope},
    errors,
    http::{Envelope, Json, Query, Reply, RequestOrigin, SignedIn, given},
};
use rivergen_tenancy::{member, organization, role};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, IntoActiveModel, JoinType, PaginatorTrait, QueryOrder,
    QuerySelect, QueryTrait, RelationDef, entity::prelude::*,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{faults, group, http, sync, token, user};
use crate::{Federation, provider, sign_in::roles::may_be_given};

/// Groups that are mapped.
const MOST_GROUPS: usize = 1000;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scim_configs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    /// Each has one.
    pub provider_id: SsoProviderId,
    pub enabled: bool,
    /// Of who is pushed; that of the organization, if none.
    pub default_role_id: Option<RoleId>,
    /// From the name or the external id of a group to a role.
    pub group_role_mapping: serde_json::Value,
    /// Who was given its token, and must not become by it more than they are; `None` where that may be another one, too.
    pub vouched_by_user_id: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

pub fn to_organization() -> RelationDef {
    Entity::belongs_to(organization::Entity).from(Column::OrganizationId).to(organization::Column::Id).into()
}

impl Model {
    pub fn mapping(&self) -> BTreeMap<String, RoleId> {
        serde_json::from_value(self.group_role_mapping.clone()).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"provider_id": 7, "group_role_mapping": {"Engineering": 3}, "expires_in_days": 365}))]
pub struct ConfigureScimRequest {
    pub provider_id: SsoProviderId,
    /// `false` revokes the token immediately; people who were provisioned stay as they are.
    #[schema(default = true)]
    pub enabled: Option<bool>,
    /// Issues a new token.
    #[schema(default = false)]
    pub rotate_token: Option<bool>,
    /// How long the old token keeps working beside a new one.
    #[garde(inner(range(max = 168)))]
    #[schema(default = 0, maximum = 168)]
    pub overlap_hours: Option<u16>,
    /// The role of everyone who is provisioned: not one that can assign roles or set up sign-in. `null`: the
    /// organization's default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<RoleId>)]
    pub default_role_id: Option<Option<RoleId>>,
    /// From the name or the external id of a group to a role, of the same kind. Replaces the existing mapping.
    pub group_role_mapping: Option<BTreeMap<String, RoleId>>,
    /// Until the token ends; without it, until it is rotated.
    #[garde(inner(range(min = 1, max = 365)))]
    #[schema(minimum = 1, maximum = 365)]
    pub expires_in_days: Option<u16>,
}

/// How an identity provider pushes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScimConfig {
    pub id: i64,
    pub provider_id: SsoProviderId,
    pub enabled: bool,
    /// What the provider is told to talk to.
    #[schema(examples("https://rivergen.example/scim/v2"))]
    pub base_url: String,
    /// How the token begins; null if there is none that works.
    #[schema(examples("scim_3mKq7x"))]
    pub token_prefix: Option<String>,
    /// To the minute.
    pub token_last_used_at: Option<DateTime<Utc>>,
    /// When the token ends; null: never.
    pub expires_at: Option<DateTime<Utc>>,
    pub default_role_id: Option<RoleId>,
    #[schema(examples(json!({"Engineering": 3})))]
    pub group_role_mapping: BTreeMap<String, RoleId>,
    pub created_at: DateTime<Utc>,
}

impl ScimConfig {
    async fn of(db: &impl ConnectionTrait, row: Model, base_url: String, now: DateTime<Utc>) -> Result<Self> {
        let token = token::current(db, &row, now).await?;
        Ok(Self {
            token_prefix: token.as_ref().map(|token| token.prefix.clone()),
            token_last_used_at: token.as_ref().and_then(|token| token.last_used_at),
            expires_at: token.and_then(|token| token.expires_at),
            group_role_mapping: row.mapping(),
            id: row.id,
            provider_id: row.provider_id,
            enabled: row.enabled,
            base_url,
            default_role_id: row.default_role_id,
            created_at: row.created_at,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ScimConfigured {
    pub config: ScimConfig,
    /// Only shown this once, if one was issued.
    #[schema(examples("scim_…"))]
    pub bearer_token: Option<String>,
    pub message: &'static str,
}

/// How provisioning is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScimState {
    /// Members who were provisioned by this provider.
    pub provisioned_users: u64,
    /// Those of them that it lists as active.
    pub active_users: u64,
    /// To the minute.
    pub last_request_at: Option<DateTime<Utc>>,
    pub last_sync: Option<sync::ScimSync>,
    /// What the provider got wrong lately, the newest first.
    pub recent_errors: Vec<faults::ScimFault>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ScimConfigAnswer {
    pub config: ScimConfig,
    pub status: ScimState,
    pub message: &'static str,
}

#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ScimConfigQuery {
    /// The first that was set up, if absent.
    #[garde(skip)]
    provider_id: Option<SsoProviderId>,
}

errors! {
    pub ConfigureErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ReauthenticationRequired, ProviderNotFound, RoleNotFound, ValidationError;
    pub GetErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ScimNotConfigured, ValidationError;
}

/// Switch SCIM on or off for the organization and issue its bearer token
#[utoipa::path(post, path = "/api/v1/sso/scim/config", tag = "sso", request_body = ConfigureScimRequest,
    responses(
        (status = 200, description = "Changed", body = Envelope<ScimConfigured>),
        (status = 201, description = "Set up, with its token", body = Envelope<ScimConfigured>), ConfigureErrors))]
pub async fn configure_scim(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ConfigureScimRequest>,
) -> Result<Reply<ScimConfigured>> {
    let platform = federation.platform();
    let now = platform.clock.now();
    let tenant = caller.require(Permission::ScimManage)?;
    caller.recently_proved(now)?;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let wanted = tenant.find::<provider::Entity>().filter(provider::Column::Id.eq(request.provider_id));
    wanted.one(tx.conn()).await?.ok_or(ErrorCode::ProviderNotFound)?;
    if let Some(Some(id)) = request.default_role_id {
        check_role(&tx, &caller, tenant, id, "default_role_id").await?;
    }
    if let Some(mapping) = &request.group_role_mapping {
        check_mapping(&tx, &caller, tenant, mapping).await?;
    }
    // Index: scim_configs(provider_id), unique.
    let found = tenant.find::<Entity>().filter(Column::ProviderId.eq(request.provider_id)).lock_exclusive();
    let before = found.one(tx.conn()).await?;
    let is_new = before.is_none();
    let enabled = request.enabled.unwrap_or(true);
    let mapping = match &request.group_role_mapping {
        Some(mapping) => Some(serde_json::to_value(mapping).map_err(Error::internal)?),
        None => None,
    };
    let is_remapped = mapping.is_some() && mapping != before.as_ref().map(|row| row.group_role_mapping.clone());
    let row = match before {
        None => {
            ActiveModel {
                organization_id: Set(tenant.organization_id()),
                provider_id: Set(request.provider_id),
                enabled: Set(enabled),
                default_role_id: Set(request.default_role_id.flatten()),
                group_role_mapping: Set(mapping.unwrap_or_else(|| json!({}))),
                vouched_by_user_id: Set(Some(caller.user_id)),
                created_at: Set(now),
                updated_at: Set(now),
                ..Default::default()
            }
            .insert(tx.conn())
            .await?
        }
        Some(row) => {
            let mut row = row.into_active_model();
            row.enabled = Set(enabled);
            row.updated_at = Set(now);
            if let Some(role) = request.default_role_id {
                row.default_role_id = Set(role);
            }
            if let Some(mapping) = mapping {
                row.group_role_mapping = Set(mapping);
            }
            row.update(tx.conn()).await?
        }
    };
    let bearer_token = change_token(&tx, &row, &request, now).await?;
    // Not with the next change of a mapping: whoever makes that does not know who holds the token.
    let row = match &bearer_token {
        Some(_) => {
            let is_theirs_alone =
                request.overlap_hours.unwrap_or(0) == 0 || row.vouched_by_user_id == Some(caller.user_id);
            let mut row = row.into_active_model();
            row.vouched_by_user_id = Set(Some(caller.user_id).filter(|_| is_theirs_alone));
            row.update(tx.conn()).await?
        }
        None => row,
    };
    if enabled && !is_new && is_remapped {
        sync::start_again(&federation, &tx, &row).await?;
    }
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "scim.configure")
        .target("scim_config", row.id)
        .details(json!({"provider_id": row.provider_id, "enabled": enabled, "token_issued": bearer_token.is_some(),
            "overlap_hours": request.overlap_hours, "default_role_id": row.default_role_id,
            "group_role_mapping": row.group_role_mapping}));
    audit::record(&tx, &platform.clock, record).await?;
    let config = ScimConfig::of(tx.conn(), row, http::base(platform), now).await?;
    // Every node reads its tokens again.
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    tx.commit().await?;
    let message = match (&bearer_token, enabled) {
        (Some(_), _) => "Copy the token now: it will not be shown again.",
        (None, true) => "The configuration was changed.",
        (None, false) => "SCIM was switched off, and its token no longer works.",
    };
    let answer = ScimConfigured { config, bearer_token, message };
    Ok(if is_new { Reply::created(answer, message) } else { Reply::ok(answer, message) })
}

/// Ends, issues, or dates the token, as the request says; answers a new one.
async fn change_token(
    tx: &Transaction,
    config: &Model,
    request: &ConfigureScimRequest,
    now: DateTime<Utc>,
) -> Result<Option<String>> {
    if !config.enabled {
        token::end(tx, config, now, now).await?;
        return Ok(None);
    }
    let expires_at = request.expires_in_days.map(|days| now + Duration::days(i64::from(days)));
    let current = token::current(tx.conn(), config, now).await?;
    match current {
        Some(current) if !request.rotate_token.unwrap_or(false) => {
            if let Some(expires_at) = expires_at {
                token::Entity::update_many()
                    .col_expr(token::Column::ExpiresAt, Expr::value(expires_at))
                    .filter(token::Column::Id.eq(current.id))
                    .exec(tx.conn())
                    .await?;
            }
            Ok(None)
        }
        _ => {
            let overlap = Duration::hours(i64::from(request.overlap_hours.unwrap_or(0)));
            token::end(tx, config, now + overlap, now).await?;
            Ok(Some(token::issue(tx, config, expires_at, now).await?))
        }
    }
}

/// `ROLE_NOT_FOUND` for another's, 422 for one that runs the organization, 403 for more than the caller holds.
async fn check_role(tx: &Transaction, caller: &Caller, tenant: Tenant, id: RoleId, field: &str) -> Result<()> {
    let role = role::find(tx.conn(), tenant, id).await?;
    if !may_be_given(&role) {
        return Err(Error::invalid_field(
            field,
            "is a role that manages the organization, which provisioning cannot assign",
        ));
    }
    caller.may_grant(&role.permissions())
}

async fn check_mapping(
    tx: &Transaction,
    caller: &Caller,
    tenant: Tenant,
    mapping: &BTreeMap<String, RoleId>,
) -> Result<()> {
    if mapping.len() > MOST_GROUPS {
        return Err(Error::invalid_field("group_role_mapping", "must not name more than 1,000 groups"));
    }
    if mapping.keys().any(|name| name.trim().is_empty() || name.chars().count() > 255) {
        return Err(Error::invalid_field("group_role_mapping", "must name groups with 1 to 255 characters"));
    }
    let distinct: std::collections::BTreeSet<RoleId> = mapping.values().copied().collect();
    for id in distinct {
        check_role(tx, caller, tenant, id, "group_role_mapping").await?;
    }
    Ok(())
}

/// The configuration of a provider, or the first; `SCIM_NOT_CONFIGURED` where there is none.
pub(super) async fn find(db: &impl ConnectionTrait, tenant: Tenant, provider: Option<SsoProviderId>) -> Result<Model> {
    // Index: scim_configs(organization_id, id).
    let mut wanted = tenant.find::<Entity>();
    if let Some(provider) = provider {
        wanted = wanted.filter(Column::ProviderId.eq(provider));
    }
    let found = wanted.order_by_asc(Column::Id).limit(1).one(db).await?;
    found.ok_or_else(|| ErrorCode::ScimNotConfigured.into())
}

/// Show the SCIM configuration and the state of provisioning
#[utoipa::path(get, path = "/api/v1/sso/scim/config", tag = "sso", params(ScimConfigQuery),
    responses((status = 200, description = "The current configuration, without the token", body = Envelope<ScimConfigAnswer>), GetErrors))]
pub async fn get_scim_config(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Query(query): Query<ScimConfigQuery>,
) -> Result<Reply<ScimConfigAnswer>> {
    let platform = federation.platform();
    let tenant = caller.require(Permission::ScimManage)?;
    let db = platform.db.read();
    let row = find(db, tenant, query.provider_id).await?;
    // Index: scim_users(config_id, id, active), which has all that is counted.
    let users = user::Entity::find().filter(user::Column::ConfigId.eq(row.id));
    let status = ScimState {
        provisioned_users: users.clone().count(db).await?,
        active_users: users.filter(user::Column::Active.eq(true)).count(db).await?,
        last_request_at: token::last_use(db, &row).await?,
        last_sync: sync::last(db, &row).await?,
        recent_errors: faults::recent(db, &row).await?,
    };
    let config = ScimConfig::of(db, row, http::base(platform), platform.clock.now()).await?;
    let message = "How an identity provider pushes.";
    Ok(Reply::ok(ScimConfigAnswer { config, status, message }, message))
}

/// Lets go of everybody whom a provider pushed, before it is deleted: they stay members, with the roles that they have, and
/// administrators manage them again.
pub async fn release(tx: &Transaction, tenant: Tenant, provider: SsoProviderId) -> Result<()> {
    let of = tenant.find::<Entity>().filter(Column::ProviderId.eq(provider)).one(tx.conn()).await?;
    let Some(config) = of else { return Ok(()) };
    let pushed = |column: user::Column| {
        user::Entity::find().select_only().column(column).filter(user::Column::ConfigId.eq(config.id)).into_query()
    };
    member::Entity::update_many()
        .col_expr(member::Column::ScimActive, Expr::value(None::<bool>))
        .filter(member::Column::Id.in_subquery(pushed(user::Column::MembershipId)))
        .exec(tx.conn())
        .await?;
    member::assignment::Entity::update_many()
        .col_expr(member::assignment::Column::GivenByGroup, Expr::value(false))
        .filter(member::assignment::Column::OrganizationId.eq(tenant.organization_id()))
        .filter(member::assignment::Column::UserId.in_subquery(pushed(user::Column::UserId)))
        .exec(tx.conn())
        .await?;
    // Its groups go as well, in which there may be people whom another provider pushes: they, too, keep what these gave.
    let grouped = group::member::Entity::find()
        .select_only()
        .column(user::Column::UserId)
        .join(JoinType::InnerJoin, group::member::to_user())
        .join(JoinType::InnerJoin, group::member::to_group())
        .filter(group::Column::ConfigId.eq(config.id))
        .into_query();
    member::assignment::Entity::update_many()
        .col_expr(member::assignment::Column::GivenByGroup, Expr::value(false))
        .filter(member::assignment::Column::OrganizationId.eq(tenant.organization_id()))
        .filter(member::assignment::Column::RoleId.is_in(config.mapping().into_values()))
        .filter(member::assignment::Column::UserId.in_subquery(grouped))
        .exec(tx.conn())
        .await?;
    Ok(())
}
