//! `POST /api/v1/roles/{role_id}/impact`: who would gain or lose what, if the role had other permissions. Nothing changes.
//!
//! What a holder has through another role that counts in the same place is neither gained nor lost. The holders are gone
//! through page by page, each page with all their other roles in one query.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::user::account;
use rivergen_kernel::{Permission, PermissionSet, Result, RoleId, Tenant, UserId, WorkspaceId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Named;
use crate::{
    Tenancy,
    member::{self, Status, assignment},
};

/// How many holders are looked at in one go.
const PAGE: u64 = 500;
/// How many of those whom it would affect are named.
const SHOWN: usize = 100;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"permissions": ["datasource.read", "datasource.query"]}))]
pub struct RoleImpactRequest {
    /// The planned full set; an empty list stands for the deletion of the role.
    #[schema(value_type = Vec<String>)]
    pub(super) permissions: Named,
}

/// What a change of a role would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleImpact {
    pub role_id: RoleId,
    #[schema(value_type = Vec<String>)]
    pub added: PermissionSet,
    #[schema(value_type = Vec<String>)]
    pub removed: PermissionSet,
    /// At most 100 of them, in the order in which they were given the role.
    pub affected_users: Vec<AffectedUser>,
    /// How many there are in all; somebody who holds the role in several workspaces counts in each.
    pub affected_count: u64,
}

/// Somebody for whom the change would change something.
#[derive(Debug, Serialize, ToSchema)]
pub struct AffectedUser {
    pub user_id: UserId,
    #[schema(examples("Ada"))]
    pub display_name: String,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(value_type = Vec<String>)]
    pub gains: PermissionSet,
    #[schema(value_type = Vec<String>)]
    pub loses: PermissionSet,
    /// Absent: in the whole organization.
    pub workspace_id: Option<WorkspaceId>,
}

errors! { pub ImpactErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound, ValidationError; }

/// Show who would gain or lose what by a planned change, without doing it
#[utoipa::path(post, path = "/api/v1/roles/{role_id}/impact", tag = "roles", request_body = RoleImpactRequest,
    params(("role_id" = RoleId, Path, description = "The role, of whichever organization of the caller's")),
    responses((status = 200, description = "What the change would do to active members", body = Envelope<RoleImpact>), ImpactErrors))]
pub async fn preview_role_impact(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(role_id): Path<RoleId>,
    Json(request): Json<RoleImpactRequest>,
) -> Result<Reply<RoleImpact>> {
    let (caller, role) = super::reach(&tenancy, &caller, role_id, None).await?;
    let tenant = caller.require(Permission::RoleUpdate)?;
    let platform = &tenancy.identity.platform;
    let (db, now) = (platform.db.read(), platform.clock.now());
    let change = Change::between(&role.permissions(), &request.permissions.0);

    let mut affected: Vec<(Holding, Change)> = Vec::new();
    let mut affected_count = 0;
    let mut known: BTreeMap<RoleId, PermissionSet> = BTreeMap::new();
    let mut after = 0;
    while !change.is_empty() {
        let page = holders(db, tenant, role_id, after, now).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let held = held_by(db, tenant, &page, now).await?;
        learn(db, tenant, &held, &mut known).await?;
        for holder in page {
            let of_holder = held.get(&holder.user_id).map(Vec::as_slice).unwrap_or_default();
            let effect = change.for_holder(role_id, holder.workspace_id, of_holder, &known);
            if !effect.is_empty() {
                affected_count += 1;
                if affected.len() < SHOWN {
                    affected.push((holder, effect));
                }
            }
        }
    }

    let people = people(db, tenant, affected.iter().map(|(holder, _)| holder.user_id)).await?;
    let affected_users = affected.into_iter().filter_map(|(holder, effect)| {
        let (display_name, email) = people.get(&holder.user_id)?.clone();
        Some(AffectedUser {
            user_id: holder.user_id,
            display_name,
            email,
            gains: effect.added,
            loses: effect.removed,
            workspace_id: holder.workspace_id,
        })
    });
    let affected_users = affected_users.collect();
    let impact = RoleImpact { role_id, added: change.added, removed: change.removed, affected_users, affected_count };
    Ok(Reply::ok(impact, "What the change would do."))
}

/// Permissions that come and permissions that go.
#[derive(Debug, PartialEq)]
struct Change {
    added: PermissionSet,
    removed: PermissionSet,
}

impl Change {
    fn between(before: &PermissionSet, after: &PermissionSet) -> Self {
        Self {
            added: after.difference(before).copied().collect(),
            removed: before.difference(after).copied().collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// What is left of it for somebody who holds the role in the place, beside the other roles that they hold.
    fn for_holder(
        &self,
        role: RoleId,
        place: Option<WorkspaceId>,
        held: &[(RoleId, Option<WorkspaceId>)],
        known: &BTreeMap<RoleId, PermissionSet>,
    ) -> Change {
        let counting = held.iter().filter(|(_, at)| at.is_none() || *at == place);
        let mut covered: BTreeSet<Permission> = BTreeSet::new();
        for (other, at) in counting {
            if *other != role {
                covered.extend(known.get(other).into_iter().flatten());
            } else if place.is_some() && at.is_none() {
                // The change reaches them through the whole organization, where they are counted.
                return Change { added: PermissionSet::new(), removed: PermissionSet::new() };
            }
        }
        Change {
            added: self.added.difference(&covered).copied().collect(),
            removed: self.removed.difference(&covered).copied().collect(),
        }
    }
}

/// Somebody who holds the role somewhere.
struct Holding {
    id: i64,
    user_id: UserId,
    workspace_id: Option<WorkspaceId>,
}

/// The next holders who are active members. Index: role_assignments(role_id, id).
async fn holders(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    role: RoleId,
    after: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Holding>> {
    // Index: memberships(organization_id, user_id), unique.
    let active = tenant
        .find::<member::Entity>()
        .select_only()
        .column(member::Column::UserId)
        .filter(member::Column::Status.eq(Status::Active))
        .into_query();
    let rows = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(role))
        .filter(assignment::Column::Id.gt(after))
        .filter(assignment::live(now))
        .filter(assignment::Column::UserId.in_subquery(active))
        .order_by_asc(assignment::Column::Id)
        .limit(PAGE)
        .all(db)
        .await?;
    let holding = |row: assignment::Model| Holding { id: row.id, user_id: row.user_id, workspace_id: row.workspace_id };
    Ok(rows.into_iter().map(holding).collect())
}

/// All roles that count of the people on the page, the one in question too.
async fn held_by(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    page: &[Holding],
    now: DateTime<Utc>,
) -> Result<BTreeMap<UserId, Vec<(RoleId, Option<WorkspaceId>)>>> {
    use assignment::Column;
    let users: BTreeSet<UserId> = page.iter().map(|holder| holder.user_id).collect();
    // Index: role_assignments(user_id, organization_id).
    let rows: Vec<(UserId, RoleId, Option<WorkspaceId>)> = tenant
        .find::<assignment::Entity>()
        .select_only()
        .columns([Column::UserId, Column::RoleId, Column::WorkspaceId])
        .filter(Column::UserId.is_in(users))
        .filter(assignment::live(now))
        .into_tuple()
        .all(db)
        .await?;
    let mut held: BTreeMap<UserId, Vec<_>> = BTreeMap::new();
    for (user, role, workspace) in rows {
        held.entry(user).or_default().push((role, workspace));
    }
    Ok(held)
}

/// Reads the permissions of the roles that were not met before.
async fn learn(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    held: &BTreeMap<UserId, Vec<(RoleId, Option<WorkspaceId>)>>,
    known: &mut BTreeMap<RoleId, PermissionSet>,
) -> Result<()> {
    let met = held.values().flatten().map(|(role, _)| *role);
    let unknown: BTreeSet<RoleId> = met.filter(|role| !known.contains_key(role)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let rows = tenant.find::<super::Entity>().filter(super::Column::Id.is_in(unknown)).all(db).await?;
    known.extend(rows.into_iter().map(|row| (row.id, row.permissions())));
    Ok(())
}

/// Names and addresses of members.
async fn people(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    users: impl Iterator<Item = UserId>,
) -> Result<BTreeMap<UserId, (String, String)>> {
    let users: BTreeSet<UserId> = users.collect();
    let names: Vec<(UserId, String)> = account::Entity::find()
        .select_only()
        .columns([account::Column::Id, account::Column::DisplayName])
        .filter(account::Column::Id.is_in(users.iter().copied()))
        .into_tuple()
        .all(db)
        .await?;
    let mut names: BTreeMap<UserId, String> = names.into_iter().collect();
    // Index: memberships(organization_id, user_id), unique.
    let members = tenant.find::<member::Entity>().filter(member::Column::UserId.is_in(users)).all(db).await?;
    let person = |row: member::Model| Some((row.user_id, (names.remove(&row.user_id)?, row.email)));
    Ok(members.into_iter().filter_map(person).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Permission::*;

    const ROLE: RoleId = RoleId(1);
    const OTHER: RoleId = RoleId(2);
    const LAB: Option<WorkspaceId> = Some(WorkspaceId(7));

    fn effect(place: Option<WorkspaceId>, held: &[(RoleId, Option<WorkspaceId>)]) -> (PermissionSet, PermissionSet) {
        let change = Change::between(&[StorageRead, PromptRead].into(), &[StorageRead, PolicyRead, AuditRead].into());
        let known = BTreeMap::from([(ROLE, [StorageRead, PromptRead].into()), (OTHER, [PromptRead, AuditRead].into())]);
        let effect = change.for_holder(ROLE, place, held, &known);
        (effect.added, effect.removed)
    }

    #[test]
    fn what_another_role_gives_in_the_same_place_is_neither_gained_nor_lost() {
        let all = ([PolicyRead, AuditRead].into(), [PromptRead].into());
        let rest = ([PolicyRead].into(), PermissionSet::new());
        assert_eq!(effect(None, &[(ROLE, None)]), all);
        assert_eq!(effect(None, &[(ROLE, None), (OTHER, None)]), rest);
        // One that counts in a workspace alone covers nothing elsewhere.
        assert_eq!(effect(None, &[(ROLE, None), (OTHER, LAB)]), all);
        assert_eq!(effect(LAB, &[(ROLE, LAB), (OTHER, LAB)]), rest);
        assert_eq!(effect(LAB, &[(ROLE, LAB), (OTHER, None)]), rest);
        assert_eq!(effect(LAB, &[(ROLE, LAB), (OTHER, Some(WorkspaceId(8)))]), all);
    }

    #[test]
    fn who_holds_the_role_everywhere_is_counted_once() {
        let none = (PermissionSet::new(), PermissionSet::new());
        assert_eq!(effect(LAB, &[(ROLE, LAB), (ROLE, None)]), none);
        assert_ne!(effect(None, &[(ROLE, LAB), (ROLE, None)]), none);
    }
}
