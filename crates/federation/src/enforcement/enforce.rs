//! `POST /api/v1/sso/enforcement/enforce/{organization_id}`: requires single sign-on and second factors, plans it, or lifts it.

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_identity::{
    mfa,
    security::{Enforcement, EnforcementMode, OrganizationSecurity},
    session,
};
use rivergen_kernel::{Caller, Closed, Error, ErrorCode, OrganizationId, Permission, Result, Tenant, UserId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::{
    member::{self, assignment},
    organization,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QuerySelect, sea_query::ExprTrait,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    deadline, mails,
    people::{self, Rules},
};
use crate::{
    Federation,
    provider::{self, identity},
};

const USUAL_GRACE_DAYS: u16 = 14;
/// How far the clocks of callers may be behind.
const SKEW: Duration = Duration::minutes(5);
/// How far ahead it may be planned.
const FURTHEST: Duration = Duration::days(730);

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"sso_mode": "required", "effective_at": "2027-01-31T09:00:00Z", "grace_period_days": 14, "exempt_user_ids": [7]}))]
pub struct EnforceRequest {
    #[schema(inline)]
    pub sso_mode: Option<EnforcementMode>,
    #[schema(inline)]
    pub mfa_mode: Option<EnforcementMode>,
    /// From when on; without it, from now on, or as already set.
    pub effective_at: Option<DateTime<Utc>>,
    /// How many days members have after that, from 0 to 90.
    #[garde(inner(range(max = 90)))]
    #[schema(default = 14)]
    pub grace_period_days: Option<u16>,
    /// Members who may sign in without single sign-on, with a second factor; at least one owner who has a password or a
    /// passkey. Without it, as already set; if nobody is, the caller, if they own the organization.
    #[garde(inner(length(max = 10)))]
    pub exempt_user_ids: Option<Vec<UserId>>,
    /// Shows what would happen, without changing anything.
    #[schema(default = false)]
    pub dry_run: Option<bool>,
}

/// What is now enforced, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub struct Enforced {
    #[schema(inline)]
    pub sso_mode: EnforcementMode,
    #[schema(inline)]
    pub mfa_mode: EnforcementMode,
    pub effective_at: DateTime<Utc>,
    #[schema(examples(14))]
    pub grace_period_days: u16,
    pub exempt_user_ids: Vec<UserId>,
    /// Members who lack what is required.
    pub affected_users: u64,
    /// Sessions that end at the end of the grace period, as they are now.
    pub sessions_to_end: u64,
    pub dry_run: bool,
    pub message: &'static str,
}

errors! { pub EnforceErrors: InvalidRequest, NoEnforcementChange, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ReauthenticationRequired, SecondFactorRequired, SsoRequired, OrganizationNotFound, SsoNotReady, ValidationError; }

/// Set, schedule or lift required single sign-on and second factors for an organization
///
/// Needs a second factor that was entered within the last ten minutes; without it, the details of the error name
/// `second_factor`. On a trusted device, a sign-in only asks for it if told to (`ask_second_factor`).
#[utoipa::path(post, path = "/api/v1/sso/enforcement/enforce/{organization_id}", tag = "sso_enforcement", request_body = EnforceRequest,
    params(("organization_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "The new settings, or what they would do", body = Envelope<Enforced>), EnforceErrors))]
pub async fn enforce(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(organization_id): Path<OrganizationId>,
    Json(request): Json<EnforceRequest>,
) -> Result<Reply<Enforced>> {
    if request.sso_mode.is_none() && request.mfa_mode.is_none() {
        return Err(ErrorCode::NoEnforcementChange.into());
    }
    let platform = federation.platform();
    let now = platform.clock.now();
    let caller = request.enter(&federation, &caller, organization_id).await?;
    let tenant = caller.require(Permission::SsoManage)?;
    caller.recently_proved_twice(now)?;
    let dry_run = request.dry_run.unwrap_or(false);

    let tx = platform.db.begin().await?;
    // Of two who change it at once, the second sees what the first did.
    organization::lock(&tx, tenant).await?;
    let row = super::organization_of(tx.conn(), tenant).await?;
    let before = Settings::of(&row)?;
    let after = request.applied(&before, &caller, now)?;
    after.check(&tx, tenant, &caller, &before, &row).await?;

    let rules = Rules::of(&after.enforcement, after.mfa_mode);
    let affected = people::active(tenant).filter(rules.is_compliant(tenant).not());
    let affected_users = affected.count(tx.conn()).await?;
    let exempt = &after.enforcement.exempt_user_ids;
    let sessions_to_end = match after.enforcement.sso_mode {
        EnforcementMode::Required => session::count_unfederated(tx.conn(), organization_id, exempt, now).await?,
        _ => 0,
    };
    let message = match (dry_run, after.enforcement.sso_deadline()) {
        (true, _) => "This is what it would do; nothing was changed.",
        (false, Some(at)) if at <= now => "Single sign-on is required from now on.",
        (false, Some(_)) => "Single sign-on will be required after the grace period.",
        (false, None) => "The enforcement settings were changed.",
    };
    let answer = Enforced {
        sso_mode: after.enforcement.sso_mode,
        mfa_mode: after.mfa_mode,
        effective_at: after.enforcement.effective_at.unwrap_or(now),
        grace_period_days: after.enforcement.grace_period_days,
        exempt_user_ids: exempt.clone(),
        affected_users,
        sessions_to_end,
        dry_run,
        message,
    };
    if !dry_run {
        let change = Change { asked: &request, before: &before, after: &after, by: &caller, origin: &origin };
        change.write(&federation, &tx, tenant, row).await?;
        tx.commit().await?;
    }
    Ok(Reply::ok(answer, message))
}

/// What is enforced, wherever it stands.
#[derive(Debug, Clone, PartialEq)]
struct Settings {
    enforcement: Enforcement,
    mfa_mode: EnforcementMode,
}

impl EnforceRequest {
    /// Whether it takes away what is required, and requires nothing.
    fn lifts(&self) -> bool {
        self.sso_mode == Some(EnforcementMode::Off)
            && self.mfa_mode.is_none_or(|mode| mode == EnforcementMode::Off)
            && (self.effective_at.is_none() && self.exempt_user_ids.is_none())
    }

    /// The caller in the organization. An owner lifts the requirement from outside too: that is what they do when the identity
    /// provider is down.
    async fn enter(&self, federation: &Federation, caller: &Caller, organization: OrganizationId) -> Result<Caller> {
        let entered = super::enter(federation, caller, organization).await?;
        match (&entered.membership, entered.closed) {
            (Some(membership), Some(Closed::SingleSignOn)) if self.lifts() && membership.holds_everything() => {
                Ok(entered.within(membership, None))
            }
            _ => Ok(entered),
        }
    }

    /// The settings after the change.
    fn applied(&self, before: &Settings, caller: &Caller, now: DateTime<Utc>) -> Result<Settings> {
        let sso_mode = self.sso_mode.unwrap_or(before.enforcement.sso_mode);
        let mfa_mode = self.mfa_mode.unwrap_or(before.mfa_mode);
        let is_off =
            |sso: EnforcementMode, mfa: EnforcementMode| (sso, mfa) == (EnforcementMode::Off, EnforcementMode::Off);
        let was_off = is_off(before.enforcement.sso_mode, before.mfa_mode);
        // The dates are those of single sign-on where it is asked for or wanted; else those of the second factor.
        let is_of_sso = self.sso_mode.is_some() || before.enforcement.sso_mode == EnforcementMode::Off;
        let begins_anew =
            was_off || (sso_mode != before.enforcement.sso_mode && sso_mode != EnforcementMode::Off && is_of_sso);
        let effective_at = match self.effective_at {
            Some(at) if at < now - SKEW => return Err(Error::invalid_field("effective_at", "is in the past")),
            Some(at) if at > now + FURTHEST => {
                return Err(Error::invalid_field("effective_at", "is more than two years in the future"));
            }
            Some(at) if is_of_sso => Some(at),
            // What becomes stricter begins now; what is on its way or in force goes on.
            _ if begins_anew => Some(now),
            _ => before.enforcement.effective_at.or(Some(now)),
        };
        let usual = match was_off || before.enforcement.updated_at.is_none() {
            true => USUAL_GRACE_DAYS,
            false => before.enforcement.grace_period_days,
        };
        let mut exempt = self.exempt_user_ids.clone().unwrap_or_else(|| before.enforcement.exempt_user_ids.clone());
        if exempt.is_empty() && self.exempt_user_ids.is_none() && sso_mode == EnforcementMode::Required {
            let owns = caller.membership()?.holds_everything();
            exempt.extend(owns.then_some(caller.user_id));
        }
        exempt.sort_unstable();
        exempt.dedup();
        let enforcement = Enforcement {
            sso_mode,
            mfa_announced: mfa_mode == EnforcementMode::Warn,
            effective_at,
            grace_period_days: self.grace_period_days.filter(|_| is_of_sso).unwrap_or(usual),
            exempt_user_ids: exempt,
            updated_by_user_id: Some(caller.user_id),
            updated_at: Some(now),
            notified_at: before.enforcement.notified_at.clone(),
        };
        Ok(Settings { enforcement, mfa_mode })
    }
}

/// What changes, and who changes it.
#[derive(Clone, Copy)]
struct Change<'a> {
    asked: &'a EnforceRequest,
    before: &'a Settings,
    after: &'a Settings,
    by: &'a Caller,
    origin: &'a RequestOrigin,
}

impl Change<'_> {
    /// Writes the settings, ends the sessions that no longer hold, and tells those who administer the organization.
    async fn write(
        self,
        federation: &Federation,
        tx: &Transaction,
        tenant: Tenant,
        row: organization::Model,
    ) -> Result<()> {
        let Self { asked, before, after, by, origin } = self;
        let platform = federation.platform();
        let now = platform.clock.now();
        let security_before = row.security()?;
        let (id, name, version) = (row.id, row.name.clone(), row.settings_version + 1);
        let security = after.security(&security_before, asked, now);
        let mut row = row.into_active_model();
        row.enforcement = Set(Some(serde_json::to_value(&after.enforcement).map_err(Error::internal)?));
        if security != security_before {
            row.security = Set(Some(serde_json::to_value(&security).map_err(Error::internal)?));
        }
        row.settings_version = Set(version);
        row.settings_updated_at = Set(Some(now));
        row.settings_updated_by = Set(Some(by.user_id));
        row.update(tx.conn()).await?;
        tx.publish(Event::OrganizationChanged(id)).await?;
        let mut sessions_ended = 0;
        match after.enforcement.sso_deadline() {
            Some(at) if at <= now => {
                sessions_ended = deadline::end_sessions(tx, tenant, &after.enforcement, now).await?;
            }
            Some(at) => deadline::schedule(federation, tx, tenant, at).await?,
            None => {}
        }
        mails::tell_administrators(platform, tx, tenant, &name, &by.email, &after.told()).await?;
        let record = AuditRecord::new(Some(id), origin.actor(by.user_id), "sso_enforcement.change")
            .target("organization", id.0)
            .details(json!({"before": before.shown(), "after": after.shown(), "sessions_ended": sessions_ended}));
        audit::record(tx, &platform.clock, record).await
    }
}

impl Settings {
    fn of(row: &organization::Model) -> Result<Self> {
        let enforcement = row.enforcement()?;
        let mfa_mode = super::mfa_mode(row, &enforcement)?;
        Ok(Self { enforcement, mfa_mode })
    }

    /// Refuses what would lock the organization out of itself. Taking a requirement away is never refused.
    async fn check(
        &self,
        tx: &Transaction,
        tenant: Tenant,
        caller: &Caller,
        before: &Self,
        row: &organization::Model,
    ) -> Result<()> {
        let is_new_list = self.enforcement.exempt_user_ids != before.enforcement.exempt_user_ids;
        let requires = self.enforcement.sso_mode == EnforcementMode::Required;
        if is_new_list || requires {
            self.check_exempt(tx, tenant, requires).await?;
        }
        if requires && before.enforcement.sso_mode != EnforcementMode::Required {
            if row.security()?.passkey_required {
                return Err(Error::invalid_field(
                    "sso_mode",
                    "would lock everyone out: the settings require a passkey (webauthn_required), and a sign-in \
                     through the identity provider does not use a passkey of this server",
                ));
            }
            check_ready(tx, tenant, caller).await?;
        }
        Ok(())
    }

    /// The exempt are members, and while single sign-on is required one of them is an owner who comes in without it: with a
    /// password or a passkey, and a second factor.
    async fn check_exempt(&self, tx: &Transaction, tenant: Tenant, requires: bool) -> Result<()> {
        let exempt = &self.enforcement.exempt_user_ids;
        let members = people::active(tenant).filter(member::Column::UserId.is_in(exempt.iter().copied()));
        let members: Vec<UserId> =
            members.select_only().column(member::Column::UserId).into_tuple().all(tx.conn()).await?;
        if let Some(place) = exempt.iter().position(|user| !members.contains(user)) {
            let field = format!("exempt_user_ids[{place}]");
            return Err(Error::invalid_field(field, "is not an active member of the organization"));
        }
        if !requires {
            return Ok(());
        }
        let owners = member::lasting_ownerships(tx, tenant, exempt).await?;
        let owners = owners.select_only().column(assignment::Column::UserId);
        let owners: Vec<UserId> = owners.into_tuple().all(tx.conn()).await?;
        match mfa::protected(tx.conn(), &owners).await?.is_empty() {
            false => Ok(()),
            true => Err(Error::invalid_field(
                "exempt_user_ids",
                "must name an owner who has a second factor and a password or passkey, so that someone can still sign \
                 in when the identity provider is down",
            )),
        }
    }

    /// With the second factor, which is one of the other settings. What is required already moves only where the request names
    /// it with other dates.
    fn security(
        &self,
        held: &OrganizationSecurity,
        asked: &EnforceRequest,
        now: DateTime<Utc>,
    ) -> OrganizationSecurity {
        let is_required = self.mfa_mode == EnforcementMode::Required;
        let is_moved = asked.mfa_mode.is_some() && (asked.effective_at.is_some() || asked.grace_period_days.is_some());
        if is_required == held.mfa_required && !(is_required && is_moved) {
            return held.clone();
        }
        let since = asked.effective_at.or(held.mfa_required_since.filter(|_| held.mfa_required));
        OrganizationSecurity {
            mfa_required: is_required,
            mfa_required_since: is_required.then(|| since.unwrap_or(now)),
            mfa_grace_days: match is_required {
                true => asked.grace_period_days.unwrap_or(self.enforcement.grace_period_days),
                false => held.mfa_grace_days,
            },
            ..held.clone()
        }
    }

    /// For the audit log.
    fn shown(&self) -> Value {
        let Enforcement { sso_mode, effective_at, grace_period_days, exempt_user_ids, .. } = &self.enforcement;
        json!({"sso_mode": sso_mode, "mfa_mode": self.mfa_mode, "effective_at": effective_at,
            "grace_period_days": grace_period_days, "exempt_user_ids": exempt_user_ids})
    }

    /// For people.
    fn told(&self) -> Vec<String> {
        let word = |mode: EnforcementMode| match mode {
            EnforcementMode::Off => "not required",
            EnforcementMode::Warn => "recommended, but not required",
            EnforcementMode::Required => "required",
        };
        let mut told = vec![
            format!("Single sign-on is {}.", word(self.enforcement.sso_mode)),
            format!("A second factor is {}.", word(self.mfa_mode)),
        ];
        if let Some(at) = self.enforcement.sso_deadline() {
            told.push(format!(
                "From {} on, nobody can sign in without the identity provider. Exempt members: {}.",
                at.format("%d %B %Y, %H:%M UTC"),
                self.enforcement.exempt_user_ids.len()
            ));
        }
        told
    }
}

/// `SSO_NOT_READY` unless a provider was tested and the caller has come in through one.
async fn check_ready(tx: &Transaction, tenant: Tenant, caller: &Caller) -> Result<()> {
    // Index: sso_identities(user_id, organization_id).
    let active = provider::Entity::find()
        .select_only()
        .column(provider::Column::Id)
        .filter(provider::Column::OrganizationId.eq(tenant.organization_id()))
        .filter(provider::Column::Status.eq(provider::Status::Active));
    let came_in = tenant
        .find::<identity::Entity>()
        .filter(identity::Column::UserId.eq(caller.user_id))
        .filter(identity::Column::LastLoginAt.is_not_null())
        .filter(identity::Column::ProviderId.in_subquery(sea_orm::QueryTrait::into_query(active)));
    let is_ready =
        super::has_tested_provider(tx.conn(), tenant).await? && came_in.limit(1).one(tx.conn()).await?.is_some();
    if is_ready { Ok(()) } else { Err(ErrorCode::SsoNotReady.into()) }
}
