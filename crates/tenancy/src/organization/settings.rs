//! `GET|PATCH /api/v1/organizations/{org_id}/settings`: what an organization asks of its members and how it takes people
//! in.
//!
//! The API shows one object. What concerns sign-ins is kept where `identity` reads it ([`OrganizationSecurity`]), how people
//! come in beside it ([`Intake`]), and what queries ask for in a column of its own; all are written together, counted, and
//! bite at the next request.

use std::{collections::BTreeMap, net::IpAddr};

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use ipnet::IpNet;
use rivergen_identity::{
    password::PasswordPolicy,
    security::{EnforcementMode, OrganizationSecurity},
};
use rivergen_kernel::{
    BuiltInRole, Caller, Error, ErrorCode, OrganizationId, Permission, Result, RoleId, Tenant, UserId,
};
use rivergen_platform::{
    Clock, Event, Transaction,
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, IntoActiveModel, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    Entity, Model,
    branding::{Branding, Color, logo},
    normalise_domain,
};
use crate::{
    Tenancy, domain,
    role::{self, rules::Deed},
    workspace,
};

/// The settings of an organization. A change names the keys that it changes; the rest stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"mfa_required": true, "mfa_grace_days": 7, "allowed_email_domains": ["acme.example"]}))]
pub struct OrganizationSettings {
    /// Of sessions in this organization; `null`: as long as the server's.
    #[garde(inner(range(min = 1, max = 1440)))]
    pub access_token_expire_minutes: Option<u16>,
    /// Nothing of the organization is open to a session without a second factor.
    pub mfa_required: bool,
    /// How long members have to set up what is newly required.
    #[garde(range(max = 365))]
    pub mfa_grace_days: u16,
    /// Nothing of the organization is open to a session that was not opened with a passkey.
    pub webauthn_required: bool,
    /// Read only: changed with the enforcement of single sign-on.
    pub sso_required: bool,
    #[garde(dive)]
    pub password_policy: PasswordSettings,
    /// `null`: a session may be idle for as long as it lives.
    #[garde(inner(range(min = 5, max = 525_600)))]
    pub session_idle_timeout_minutes: Option<u32>,
    /// `null`: a session lives for as long as it is used.
    #[garde(inner(range(min = 5, max = 525_600)))]
    pub session_max_lifetime_minutes: Option<u32>,
    /// How long a trusted device spares the second factor; 0 forbids trusted devices.
    #[garde(range(max = 365))]
    pub trusted_device_days: u16,
    /// How long a token for the organization may live; `null`: for ever.
    #[garde(inner(range(min = 1, max = 3650)))]
    pub max_token_lifetime_days: Option<u16>,
    /// The networks that requests must come from, as `10.0.0.0/8`; empty: all.
    #[garde(length(max = 100))]
    #[schema(value_type = Vec<String>)]
    pub allowed_networks: Vec<IpNet>,
    /// The domains whose addresses may be invited and added; empty: all.
    #[garde(length(max = 100))]
    pub allowed_email_domains: Vec<String>,
    #[garde(range(min = 1, max = 90))]
    pub invitation_expiry_days: u16,
    /// What people get who are added, invited or imported without a role, to a workspace that has no default role of its own;
    /// `null`: Viewer.
    pub default_role_id: Option<RoleId>,
    /// Who may register applications that sign in with RiverGen: every member, those who may manage them, or nobody.
    #[schema(inline)]
    pub oauth_app_creation: OauthAppCreation,
    /// Whether workspaces may be open to every member. If not, those set to open are closed in the meantime; allowing
    /// it again gives their default roles to every member.
    pub allow_public_workspaces: bool,
    /// How long a link to a stored file may live; `null`: as long as the server lets it.
    #[garde(inner(range(min = 1, max = 10_080)))]
    pub max_file_link_minutes: Option<u16>,
    #[garde(dive)]
    pub branding: Branding,
}

/// The requirements for members' passwords. Upper case, lower case and a digit are required of everyone on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PasswordSettings {
    #[garde(range(min = 8, max = 128))]
    #[schema(examples(12))]
    pub min_length: u8,
    #[garde(custom(always))]
    #[schema(examples(true))]
    pub require_upper: bool,
    #[garde(custom(always))]
    #[schema(examples(true))]
    pub require_lower: bool,
    #[garde(custom(always))]
    #[schema(examples(true))]
    pub require_digit: bool,
    pub require_symbol: bool,
    /// How hard to guess, as zxcvbn estimates it: from 0 (anything) to 4 (very hard).
    #[garde(range(max = 4))]
    #[schema(examples(3))]
    pub min_score: u8,
    /// How many earlier passwords may not be used again.
    #[garde(range(max = 24))]
    #[schema(examples(5))]
    pub history: u8,
    pub reject_breached: bool,
    /// Always `null`: passwords do not expire by age (NIST SP 800-63B, section 3.1.1.2).
    #[garde(custom(never))]
    pub max_age_days: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OauthAppCreation {
    Everyone,
    Admins,
    Nobody,
}

impl OauthAppCreation {
    /// The organization, for a caller who stands in it and may register an application there; 403 for others. Where
    /// every member may, a member does it in their own session.
    pub fn registrar(self, caller: &Caller) -> Result<Tenant> {
        match self {
            Self::Everyone if caller.session().is_ok() => caller.tenant(),
            Self::Everyone | Self::Admins => caller.require(Permission::OauthAppManage),
            Self::Nobody => {
                caller.require(Permission::OauthAppManage)?;
                Err(Error::new(ErrorCode::Forbidden).with_message(
                    "The settings of the organization (oauth_app_creation) do not let anyone register applications.",
                ))
            }
        }
    }
}

fn always(value: &bool, (): &()) -> garde::Result {
    value.then_some(()).ok_or_else(|| garde::Error::new("is required of everyone on this server"))
}

fn never(value: &Option<u16>, (): &()) -> garde::Result {
    value.map_or(Ok(()), |_| Err(garde::Error::new("passwords do not expire by age; leave it null")))
}

/// How the organization takes people in, and what else it sets, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intake {
    pub allowed_email_domains: Vec<String>,
    pub invitation_expiry_days: u16,
    pub default_role_id: Option<RoleId>,
    pub oauth_app_creation: OauthAppCreation,
    pub max_file_link_minutes: Option<u16>,
    pub accent_color: Option<Color>,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            allowed_email_domains: Vec::new(),
            invitation_expiry_days: 7,
            default_role_id: None,
            oauth_app_creation: OauthAppCreation::Admins,
            max_file_link_minutes: None,
            accent_color: None,
        }
    }
}

impl Intake {
    /// 422 where people of the address's domain are not let in. A sub-domain is a domain of its own.
    pub fn allow(&self, email: &str) -> Result<()> {
        let domain = domain::of_address(email).unwrap_or_default();
        let domains = &self.allowed_email_domains;
        match domains.is_empty() || domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(&domain)) {
            true => Ok(()),
            false => Err(Error::invalid_field("email", "belongs to a domain that the organization does not invite")),
        }
    }

    /// When an invitation of now ends.
    pub fn end(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + Duration::days(i64::from(self.invitation_expiry_days))
    }
}

impl Model {
    /// What cannot be read must not be taken for what lets everybody in.
    pub fn intake(&self) -> Result<Intake> {
        let kept = self.settings.clone().map(serde_json::from_value).transpose().map_err(Error::internal)?;
        Ok(kept.unwrap_or_default())
    }

    /// All but the picture, which lies elsewhere.
    pub fn settings(&self) -> Result<OrganizationSettings> {
        let (security, intake) = (self.security()?, self.intake()?);
        Ok(OrganizationSettings {
            access_token_expire_minutes: security.access_token_minutes,
            mfa_required: security.mfa_required,
            mfa_grace_days: security.mfa_grace_days,
            webauthn_required: security.passkey_required,
            sso_required: self.enforcement()?.sso_mode == EnforcementMode::Required,
            password_policy: PasswordSettings {
                min_length: security.password.min_length,
                require_upper: true,
                require_lower: true,
                require_digit: true,
                require_symbol: security.password.require_symbol,
                min_score: security.password.min_score,
                history: security.password.history,
                reject_breached: security.password.reject_breached,
                max_age_days: None,
            },
            session_idle_timeout_minutes: security.session_idle_minutes,
            session_max_lifetime_minutes: security.session_max_minutes,
            trusted_device_days: security.trusted_device_days,
            max_token_lifetime_days: security.max_token_days,
            allowed_networks: security.allowed_networks,
            allowed_email_domains: intake.allowed_email_domains,
            invitation_expiry_days: intake.invitation_expiry_days,
            default_role_id: intake.default_role_id,
            oauth_app_creation: intake.oauth_app_creation,
            allow_public_workspaces: self.allows_public_workspaces,
            max_file_link_minutes: intake.max_file_link_minutes,
            branding: Branding { accent_color: intake.accent_color, logo: None },
        })
    }
}

impl OrganizationSettings {
    /// The same with the keys of a change; 422 with the path of what is wrong, and for a key that there is not.
    fn patched(&self, patch: &Map<String, Value>) -> Result<Self> {
        let mut all = serde_json::to_value(self).map_err(Error::internal)?;
        for (key, value) in patch {
            match (all[key].as_object_mut(), value) {
                (Some(object), Value::Object(inner)) => object.extend(inner.clone()),
                _ => all[key] = value.clone(),
            }
        }
        let mut patched: Self = serde_path_to_error::deserialize(all).map_err(|error| {
            let (path, text) = (error.path().to_string(), error.inner().to_string());
            let unknown = text.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
            match unknown {
                Some(key) if path == "." || path == key => {
                    Error::invalid_field(format!("settings.{key}"), "there is no such setting")
                }
                _ => Error::invalid_field(format!("settings.{path}"), text),
            }
        })?;
        patched.validate().map_err(|report| {
            let named = |(path, error): &(garde::Path, garde::Error)| {
                rivergen_kernel::FieldError::new(format!("settings.{path}"), error.message().to_owned())
            };
            Error::new(ErrorCode::ValidationError).with_details(report.iter().map(named).collect())
        })?;
        for (index, domain) in patched.allowed_email_domains.iter_mut().enumerate() {
            *domain = normalise_domain(domain).map_err(|_| {
                let field = format!("settings.allowed_email_domains[{index}]");
                Error::invalid_field(field, "is not a domain name such as acme.example")
            })?;
        }
        Ok(patched)
    }

    /// As they are kept. The time of grace begins when a requirement is made.
    fn kept(&self, before: &OrganizationSecurity, now: DateTime<Utc>) -> (OrganizationSecurity, Intake) {
        let policy = self.password_policy;
        let security = OrganizationSecurity {
            mfa_required: self.mfa_required,
            mfa_grace_days: self.mfa_grace_days,
            trusted_device_days: self.trusted_device_days,
            password: PasswordPolicy {
                min_length: policy.min_length,
                min_score: policy.min_score,
                history: policy.history,
                reject_breached: policy.reject_breached,
                require_symbol: policy.require_symbol,
            },
            max_token_days: self.max_token_lifetime_days,
            passkey_required: self.webauthn_required,
            access_token_minutes: self.access_token_expire_minutes,
            session_idle_minutes: self.session_idle_timeout_minutes,
            session_max_minutes: self.session_max_lifetime_minutes,
            allowed_networks: self.allowed_networks.clone(),
            ..before.clone()
        };
        let intake = Intake {
            allowed_email_domains: self.allowed_email_domains.clone(),
            invitation_expiry_days: self.invitation_expiry_days,
            default_role_id: self.default_role_id,
            oauth_app_creation: self.oauth_app_creation,
            max_file_link_minutes: self.max_file_link_minutes,
            accent_color: self.branding.accent_color,
        };
        (security.since(before, now), intake)
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsAnswer {
    pub settings: OrganizationSettings,
    /// Counts the changes.
    #[schema(examples(3))]
    pub version: i64,
    /// `null` until somebody changes them.
    pub updated_at: Option<DateTime<Utc>>,
    pub updated_by: Option<UserId>,
    pub message: &'static str,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"settings": {"mfa_required": true, "session_idle_timeout_minutes": 60}}))]
pub struct UpdateSettingsRequest {
    /// The settings that change, each with its new value.
    #[garde(length(min = 1))]
    #[schema(value_type = Object)]
    pub settings: BTreeMap<String, Value>,
}

errors! {
    pub GetSettingsErrors: Unauthorized, Forbidden, EmailNotVerified, OrgNotFound;
    pub UpdateSettingsErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, RoleNotFound, SettingManagedElsewhere, ValidationError;
}

/// Read the settings of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/settings", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "All settings, including those never changed", body = Envelope<SettingsAnswer>), GetSettingsErrors))]
pub async fn get_settings(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
) -> Result<Reply<SettingsAnswer>> {
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationUpdate)?;
    let db = tenancy.identity.platform.db.read();
    let row = Entity::find_by_id(tenant.organization_id()).one(db).await?.ok_or(ErrorCode::OrgNotFound)?;
    let message = "The settings of the organization.";
    let mut settings = whole(db, &row).await?;
    if let Some(id) = settings.default_role_id {
        settings.default_role_id = role::existing(db, tenant, id).await?.map(|role| role.id);
    }
    Ok(Reply::ok(answer(&row, settings, message), message))
}

/// Change settings of an organization
#[utoipa::path(patch, path = "/api/v1/organizations/{org_id}/settings", tag = "organizations", request_body = UpdateSettingsRequest,
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "Changed; they apply from the next request", body = Envelope<SettingsAnswer>), UpdateSettingsErrors))]
pub async fn update_settings(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<UpdateSettingsRequest>,
) -> Result<Reply<SettingsAnswer>> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.require(Permission::OrganizationUpdate)?;
    let patch: Map<String, Value> = request.settings.into_iter().collect();
    refuse_managed(&patch)?;
    let tx = platform.db.begin().await?;
    let row = Entity::find_by_id(tenant.organization_id()).lock_exclusive().one(tx.conn()).await?;
    let row = row.ok_or(ErrorCode::OrgNotFound)?;
    let before = whole(tx.conn(), &row).await?;
    let after = before.patched(&patch)?;
    if after == before {
        let message = "Nothing had to be changed.";
        return Ok(Reply::ok(answer(&row, before, message), message));
    }
    if after.default_role_id != before.default_role_id {
        check_default_role(&tx, &caller, tenant, after.default_role_id).await?;
    }
    if after.allow_public_workspaces && !before.allow_public_workspaces {
        workspace::settings::may_be_opened_again(tx.conn(), &caller, tenant).await?;
    }
    refuse_locking_out(caller.proofs.ip, &after)?;
    refuse_what_nobody_has(&before, &after)?;
    let row = write(&tx, row, &after, Some(caller.user_id), now).await?;
    if after.branding.logo != before.branding.logo {
        logo::keep(&tx, tenant, after.branding.logo.as_deref()).await?;
    }
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "organization.update_settings")
        .target("organization", org_id.0)
        .details(changes(&before, &after, row.settings_version)?);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The settings were changed.";
    Ok(Reply::ok(answer(&row, after, message), message))
}

/// The role of who comes in without one: the organization's default, or Viewer. A default that is no role any more is passed
/// over.
pub async fn default_role(db: &impl ConnectionTrait, tenant: Tenant, intake: &Intake) -> Result<role::Model> {
    let found = match intake.default_role_id {
        Some(id) => role::existing(db, tenant, id).await?,
        None => None,
    };
    match found {
        Some(role) => Ok(role),
        None => role::built_in(db, tenant, BuiltInRole::Viewer).await,
    }
}

/// Puts another role (`None`: none, which means Viewer) in the place of one that goes, where that is the organization's
/// default. The organization is locked, and the caller tells the nodes.
pub(crate) async fn replace_default_role(
    tx: &Transaction,
    tenant: Tenant,
    by: &Actor,
    from: RoleId,
    to: Option<RoleId>,
    clock: &Clock,
) -> Result<()> {
    let row = Entity::find_by_id(tenant.organization_id()).one(tx.conn()).await?.ok_or(ErrorCode::OrgNotFound)?;
    let before = row.settings()?;
    if before.default_role_id != Some(from) {
        return Ok(());
    }
    let after = OrganizationSettings { default_role_id: to, ..before.clone() };
    let row = write(tx, row, &after, by.user_id, clock.now()).await?;
    let record = AuditRecord::new(Some(row.id), by.clone(), "organization.update_settings")
        .target("organization", row.id.0)
        .details(changes(&before, &after, row.settings_version)?);
    audit::record(tx, clock, record).await
}

/// Settings of an organization that is being made.
pub(crate) async fn write_first(
    tx: &Transaction,
    row: Model,
    patch: &Map<String, Value>,
    owner: UserId,
    ip: Option<IpAddr>,
    now: DateTime<Utc>,
) -> Result<Model> {
    refuse_managed(patch)?;
    let settings = row.settings()?.patched(patch)?;
    if settings.default_role_id.is_some() {
        // It has no role yet that a caller could know.
        return Err(ErrorCode::RoleNotFound.into());
    }
    refuse_locking_out(ip, &settings)?;
    logo::keep(tx, Tenant::on_behalf_of(row.id), settings.branding.logo.as_deref()).await?;
    write(tx, row, &settings, Some(owner), now).await
}

/// All of them, with the picture.
async fn whole(db: &impl ConnectionTrait, row: &Model) -> Result<OrganizationSettings> {
    Ok(OrganizationSettings { branding: Branding::of(db, row).await?, ..row.settings()? })
}

/// The picture is kept beside them.
async fn write(
    tx: &Transaction,
    row: Model,
    settings: &OrganizationSettings,
    by: Option<UserId>,
    now: DateTime<Utc>,
) -> Result<Model> {
    let (security, intake) = settings.kept(&row.security()?, now);
    let version = row.settings_version + 1;
    let mut row = row.into_active_model();
    row.security = Set(Some(serde_json::to_value(&security).map_err(Error::internal)?));
    row.settings = Set(Some(serde_json::to_value(&intake).map_err(Error::internal)?));
    row.allows_public_workspaces = Set(settings.allow_public_workspaces);
    row.settings_version = Set(version);
    row.settings_updated_at = Set(Some(now));
    row.settings_updated_by = Set(by);
    Ok(row.update(tx.conn()).await?)
}

fn refuse_managed(patch: &Map<String, Value>) -> Result<()> {
    match patch.contains_key("sso_required") {
        true => Err(Error::new(ErrorCode::SettingManagedElsewhere)
            .with_message("Single sign-on is made mandatory with an operation of its own, which tests it first.")),
        false => Ok(()),
    }
}

fn answer(row: &Model, settings: OrganizationSettings, message: &'static str) -> SettingsAnswer {
    SettingsAnswer {
        settings,
        version: row.settings_version,
        updated_at: row.settings_updated_at,
        updated_by: row.settings_updated_by,
        message,
    }
}

/// A role of the organization that the caller could give themselves.
async fn check_default_role(tx: &Transaction, caller: &Caller, tenant: Tenant, role_id: Option<RoleId>) -> Result<()> {
    match role_id {
        Some(role_id) => {
            let role = role::find(tx.conn(), tenant, role_id).await?;
            Deed::Welcome(&role.permissions()).allow(caller).map(drop)
        }
        None => Ok(()),
    }
}

/// Nobody shuts the door behind themselves by mistake: their own address must stay admitted.
fn refuse_locking_out(ip: Option<IpAddr>, after: &OrganizationSettings) -> Result<()> {
    let networks = &after.allowed_networks;
    let is_inside = |net: &IpNet| ip.is_some_and(|ip| net.contains(&ip.to_canonical()));
    if networks.is_empty() || networks.iter().any(is_inside) {
        return Ok(());
    }
    Err(Error::invalid_field("settings.allowed_networks", "would lock you out: your own address is in none of them"))
}

/// A session that the identity provider opened has no passkey to show, and one that a passkey opened is not the provider's: where
/// both are demanded, nobody comes in.
fn refuse_what_nobody_has(before: &OrganizationSettings, after: &OrganizationSettings) -> Result<()> {
    match after.sso_required && after.webauthn_required && !before.webauthn_required {
        true => Err(Error::invalid_field(
            "settings.webauthn_required",
            "would lock everyone out: single sign-on is required, and a sign-in through the identity provider does not \
             use a passkey of this server",
        )),
        false => Ok(()),
    }
}

/// Each key that changed, before and after.
fn changes(before: &OrganizationSettings, after: &OrganizationSettings, version: i64) -> Result<Value> {
    let [(old, told_old), (new, told_new)] = [told(before)?, told(after)?];
    let keys = new.as_object().into_iter().flat_map(Map::keys).filter(|key| old[*key] != new[*key]);
    let changed: Map<String, Value> =
        keys.map(|key| (key.clone(), json!({"before": told_old[key], "after": told_new[key]}))).collect();
    Ok(json!({"version": version, "changed": changed}))
}

/// The settings as they are, and as the audit log has them: it keeps no pictures.
fn told(settings: &OrganizationSettings) -> Result<(Value, Value)> {
    let whole = serde_json::to_value(settings).map_err(Error::internal)?;
    let mut told = whole.clone();
    if let Some(logo) = &settings.branding.logo {
        told["branding"]["logo"] = logo::told(logo).into();
    }
    Ok((whole, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_allowed_by_name() {
        let intake: Intake = serde_json::from_value(json!({"allowed_email_domains": ["Acme.example"]})).unwrap();
        assert_eq!(intake.invitation_expiry_days, 7);
        intake.allow("ada@acme.example").unwrap();
        for other in ["ada@globex.example", "ada@lab.acme.example", "acme.example"] {
            assert_eq!(intake.allow(other).unwrap_err().details[0].field, "email", "{other}");
        }
        Intake::default().allow("ada@globex.example").unwrap();
        let now = Utc::now();
        assert_eq!(Intake::default().end(now), now + Duration::days(7));
    }
}
