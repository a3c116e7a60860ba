//! `DELETE /api/v1/roles/{role_id}` and `DELETE /api/v1/organizations/{org_id}/roles/{role_id}`: a custom role goes. Where it
//! is held or promised, another one takes its place, or it stays. Where it is the default of the organization or of a
//! workspace, the one in its place is the default now, else there is none, which means Viewer.
//!
//! The log has a record of each holder, as of any other role that is given or taken: of a hundred thousand in some seconds.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Permission, Result, RoleId, Tenant, UserId};
use rivergen_platform::{
    Clock, Event, Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Alias, Expr, ExprTrait, Func, Query as Sql, SelectStatement},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{Column, Entity, Model, rules::Deed};
use crate::{Tenancy, invitation, member::assignment, organization, workspace::settings::replace_default_role};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteRoleQuery {
    /// The role that its holders, and people invited with it, get instead. Needs `role.assign`, and all permissions of
    /// both roles.
    #[garde(skip)]
    #[param(value_type = Option<i64>)]
    reassign_to: Option<RoleId>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteOrganizationRoleQuery {
    /// The role that its holders, and people invited with it, get instead. Needs `role.assign`, and all permissions of
    /// both roles.
    #[garde(skip)]
    #[param(value_type = Option<i64>)]
    replacement_role_id: Option<RoleId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleGone {
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleDeleted {
    #[schema(examples(true))]
    pub deleted: bool,
    pub message: &'static str,
}

errors! {
    pub DeleteErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound, RoleInUse, SystemRole, ValidationError;
    pub DeleteInOrganizationErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, RoleNotFound, RoleInUse, SystemRole, ValidationError;
}

const DELETED: &str = "Role deleted successfully";

/// Delete a custom role
#[utoipa::path(delete, path = "/api/v1/roles/{role_id}", tag = "roles",
    params(("role_id" = RoleId, Path, description = "The role, in any of the caller's organizations"), DeleteRoleQuery),
    responses((status = 200, description = "Gone, with the assignments of policies to it", body = Envelope<RoleGone>), DeleteErrors))]
pub async fn delete_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(role_id): Path<RoleId>,
    Query(query): Query<DeleteRoleQuery>,
) -> Result<Reply<RoleGone>> {
    let (caller, _) = super::reach(&tenancy, &caller, role_id, None).await?;
    let replacement = Replacement { id: query.reassign_to, field: "reassign_to" };
    remove(&tenancy, &caller, &origin, role_id, replacement).await?;
    Ok(Reply::ok(RoleGone { message: DELETED }, DELETED))
}

/// Delete a custom role of an organization
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}/roles/{role_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), ("role_id" = RoleId, Path, description = "A role of it"),
        DeleteOrganizationRoleQuery),
    responses((status = 200, description = "Gone, with the assignments of policies to it", body = Envelope<RoleDeleted>), DeleteInOrganizationErrors))]
pub async fn delete_organization_role(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, role_id)): Path<(OrganizationId, RoleId)>,
    Query(query): Query<DeleteOrganizationRoleQuery>,
) -> Result<Reply<RoleDeleted>> {
    let caller = tenancy.enter(&caller, org_id).await?;
    let replacement = Replacement { id: query.replacement_role_id, field: "replacement_role_id" };
    remove(&tenancy, &caller, &origin, role_id, replacement).await?;
    Ok(Reply::ok(RoleDeleted { deleted: true, message: DELETED }, DELETED))
}

/// The role that takes the place, and the parameter that names it.
struct Replacement {
    id: Option<RoleId>,
    field: &'static str,
}

async fn remove(
    tenancy: &Tenancy,
    caller: &Caller,
    origin: &RequestOrigin,
    role_id: RoleId,
    replacement: Replacement,
) -> Result<()> {
    let tenant = caller.require(Permission::RoleDelete)?;
    if replacement.id == Some(role_id) {
        return Err(Error::invalid_field(replacement.field, "must be another role"));
    }
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let (role, replacement) = lock(&tx, tenant, role_id, replacement.id).await?;
    role.refuse_built_in()?;
    let permissions = role.permissions();
    let instead = replacement.as_ref().map(Model::permissions);
    Deed::Delete { role: &permissions, replacement: instead.as_ref() }.allow(caller)?;
    let moved = match &replacement {
        Some(replacement) => hand_over(&tx, tenant, role_id, replacement.id, caller.user_id, now).await?,
        None => {
            refuse_in_use(&tx, tenant, role_id, now).await?;
            Moved::default()
        }
    };
    // Its assignments go with it, as do those of policies.
    Entity::delete_by_id(role_id).exec(tx.conn()).await?;
    // Each default that changes is recorded, so only now.
    let actor = origin.actor(caller.user_id);
    replace_default_role(&tx, caller, &actor, &role, replacement.as_ref(), &platform.clock).await?;
    let instead = replacement.as_ref().map(|role| role.id);
    organization::settings::replace_default_role(&tx, tenant, &actor, role_id, instead, &platform.clock).await?;
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    tx.publish(Event::PoliciesChanged(tenant.organization_id())).await?;
    if let Some(instead) = instead {
        moved.record(&tx, tenant, &actor, role_id, instead, &platform.clock).await?;
    }
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "role.delete")
        .target("role", role_id.0)
        .details(json!({"name": role.name, "permissions": permissions, "replacement_role_id": instead,
            "assignments_moved": moved.given.len(), "invitations_moved": moved.invitations}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await
}

/// Both roles, locked in the order of their ids, so that two deletions never wait for each other: who is just being given
/// one of them is waited for here, and whoever comes later finds it gone.
async fn lock(
    tx: &Transaction,
    tenant: Tenant,
    role: RoleId,
    replacement: Option<RoleId>,
) -> Result<(Model, Option<Model>)> {
    let mut found = tenant
        .find::<Entity>()
        .filter(Column::Id.is_in([role].into_iter().chain(replacement)))
        .order_by_asc(Column::Id)
        .lock_exclusive()
        .all(tx.conn())
        .await?;
    let mut take = |id: RoleId| {
        let at = found.iter().position(|row| row.id == id);
        at.map(|at| found.swap_remove(at)).ok_or(ErrorCode::RoleNotFound)
    };
    let role = take(role)?;
    let replacement = replacement.map(take).transpose()?;
    Ok((role, replacement))
}

/// `ROLE_IN_USE` where somebody holds the role or is invited to it.
async fn refuse_in_use(tx: &Transaction, tenant: Tenant, role: RoleId, now: DateTime<Utc>) -> Result<()> {
    // Index: role_assignments(role_id, id).
    let held = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(role))
        .filter(assignment::live(now))
        .limit(1)
        .one(tx.conn())
        .await?;
    // Index: invitations(role_id, status).
    let promised = invitation::Entity::find()
        .filter(promises(tenant, role))
        .filter(invitation::Column::ExpiresAt.gt(now))
        .limit(1)
        .one(tx.conn())
        .await?;
    match held.is_some() || promised.is_some() {
        true => Err(ErrorCode::RoleInUse.into()),
        false => Ok(()),
    }
}

/// The invitations that may still lead to the role.
fn promises(tenant: Tenant, role: RoleId) -> Condition {
    Condition::all()
        .add(invitation::Column::RoleId.eq(role))
        .add(invitation::Column::OrganizationId.eq(tenant.organization_id()))
        .add(invitation::Column::Status.eq(invitation::Status::Pending))
}

/// Rows of one statement, and records that are written at once.
const BATCH: usize = 500;

/// What went over from a role to the one in its place.
#[derive(Default)]
struct Moved {
    /// What was held, and is the other one now.
    given: Vec<assignment::Model>,
    /// What was held beside the other one.
    kept: Vec<assignment::Model>,
    invitations: u64,
}

impl Moved {
    /// Tells of each holder, for the history of the roles and of the people.
    async fn record(
        &self,
        tx: &Transaction,
        tenant: Tenant,
        actor: &Actor,
        role: RoleId,
        instead: RoleId,
        clock: &Clock,
    ) -> Result<()> {
        let of = |action, role: RoleId| {
            AuditRecord::new(Some(tenant.organization_id()), actor.clone(), action).target("role", role.0)
        };
        let (given, taken) = (of("role.assign", instead), of("role.revoke", role));
        for (record, held, word, other) in
            [(given, &self.given, "instead_of", role), (taken, &self.kept, "kept", instead)]
        {
            for rows in held.chunks(BATCH) {
                let details = rows
                    .iter()
                    .map(|row| json!({"user_id": row.user_id, "workspace_id": row.workspace_id, word: other}));
                let records = details.map(|details| record.clone().details(details)).collect();
                audit::record_all(tx, clock, records).await?;
            }
        }
        Ok(())
    }
}

/// Gives the holders of a role another one in the same places. Whoever has that already keeps the longer of the two. It is
/// given by whoever does this: what groups of an identity provider gave goes with the role, and no group takes this one.
async fn hand_over(
    tx: &Transaction,
    tenant: Tenant,
    from: RoleId,
    to: RoleId,
    by: UserId,
    now: DateTime<Utc>,
) -> Result<Moved> {
    use assignment::{Column, Entity};
    // Index: role_assignments(role_id, id) for the outer, role_assignments(user_id, role_id, workspace_id) for the inner.
    let outlasts = Condition::any().add(Expr::col((HELD, Column::ExpiresAt)).is_null()).add(
        Condition::all()
            .add(Expr::col((HELD, Column::ExpiresAt)).gt(now))
            .add(Expr::col((HELD, Column::ExpiresAt)).gt(Expr::col((Entity, Column::ExpiresAt)))),
    );
    Entity::delete_many()
        .filter(Column::OrganizationId.eq(tenant.organization_id()))
        .filter(Column::RoleId.eq(to))
        .filter(Column::ExpiresAt.is_not_null())
        .filter(Expr::exists(in_the_same_place(from).cond_where(outlasts).to_owned()))
        .exec(tx.conn())
        .await?;
    let given = held(tx, tenant, from, Expr::exists(in_the_same_place(to)).not(), now).await?;
    let kept = held(tx, tenant, from, Expr::exists(in_the_same_place(to)), now).await?;
    for rows in given.chunks(BATCH) {
        let rows = rows.iter().map(|row| assignment::ActiveModel {
            organization_id: Set(row.organization_id),
            user_id: Set(row.user_id),
            role_id: Set(to),
            workspace_id: Set(row.workspace_id),
            assigned_at: Set(now),
            assigned_by_user_id: Set(Some(by)),
            expires_at: Set(row.expires_at),
            given_by_group: Set(false),
            ..Default::default()
        });
        Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    }
    let invitations = invitation::Entity::update_many()
        .col_expr(invitation::Column::RoleId, Expr::value(to))
        .filter(promises(tenant, from))
        .exec(tx.conn())
        .await?
        .rows_affected;
    Ok(Moved { given, kept, invitations })
}

/// What of the role is held so, and goes on to be until the transaction ends. Index: role_assignments(role_id, id).
async fn held(
    tx: &Transaction,
    tenant: Tenant,
    role: RoleId,
    so: Expr,
    now: DateTime<Utc>,
) -> Result<Vec<assignment::Model>> {
    Ok(tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(role))
        .filter(assignment::live(now))
        .filter(so)
        .order_by_asc(assignment::Column::Id)
        .lock_exclusive()
        .all(tx.conn())
        .await?)
}

/// Beside the outer assignment: one of the role that the same person holds in the same place.
fn in_the_same_place(role: RoleId) -> SelectStatement {
    use assignment::{Column, Entity};
    let place = |table: Alias| Func::coalesce([Expr::col((table, Column::WorkspaceId)), Expr::value(0_i64)]);
    Sql::select()
        .expr(Expr::value(1))
        .from_as(Entity, HELD)
        .and_where(Expr::col((HELD, Column::RoleId)).eq(role))
        .and_where(Expr::col((HELD, Column::UserId)).equals((Entity, Column::UserId)))
        .and_where(Expr::expr(place(Alias::new(HELD))).eq(place(Alias::new("role_assignments"))))
        .to_owned()
}

/// The name of the inner table where one assignment is compared with another.
const HELD: &str = "held";
