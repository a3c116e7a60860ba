//! `POST /api/v1/roles/{role_id}/impact`: who would gain or lose what, if the role had other permissions. Nothing changes.
//!
//! What a holder has through another role that counts in the same place is neither gained nor lost. The holders are gone
//! through page by page, each page with all their other roles in one query, until as many are found as are named. All
//! further ones are told by their number alone, which the database counts: those who hold the same fare alike.
//!
//! Where the role is the default of a public workspace, every member has it there ([`PublicWorkspace`]): after the holders
//! come all other members, by the same rules, as far as the change is about what such a workspace gives.

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
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
    sea_query::{Asterisk, ColumnRef, Expr, ExprTrait, IntoColumnRef, Query as Sql, SelectStatement},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Named;
use crate::{
    Tenancy,
    member::{self, Status, assignment},
    standing::{PublicWorkspace, PublicWorkspaces},
};

/// How many holders are looked at in one go.
const PAGE: u64 = 500;
/// How many of those whom it would affect are named.
const SHOWN: usize = 100;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"permissions": ["datasource.read", "datasource.query"]}))]
pub struct RoleImpactRequest {
    /// The planned full set; an empty list means that the role is deleted.
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
    /// At most 100 of them: in the order in which they were given the role, and then, in the order of their ids, those who
    /// have it through a public workspace.
    pub affected_users: Vec<AffectedUser>,
    /// The total number; someone who has the role in several workspaces counts in each.
    pub affected_count: u64,
}

/// Someone affected by the change.
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
    /// Whether they have the role only because the workspace is public.
    pub through_public_access: bool,
}

errors! { pub ImpactErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, RoleNotFound, ValidationError; }

/// Preview who would gain or lose permissions by a change
#[utoipa::path(post, path = "/api/v1/roles/{role_id}/impact", tag = "roles", request_body = RoleImpactRequest,
    params(("role_id" = RoleId, Path, description = "The role, in any of the caller's organizations")),
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
    let public = tenancy.standings.public(tenant.organization_id()).await?;
    let mut impact = Impact::new(role_id, &change, &public);
    if !change.is_empty() {
        impact.of_holders(db, tenant, now).await?;
        impact.of_everybody(db, tenant, now).await?;
    }

    let Impact { affected, affected_count, .. } = impact;
    let people = people(db, tenant, affected.iter().map(|one| one.user_id)).await?;
    let affected_users = affected.into_iter().filter_map(|one| {
        let (display_name, email) = people.get(&one.user_id)?.clone();
        Some(AffectedUser {
            user_id: one.user_id,
            display_name,
            email,
            gains: one.effect.added,
            loses: one.effect.removed,
            workspace_id: one.workspace_id,
            through_public_access: one.is_public,
        })
    });
    let affected_users = affected_users.collect();
    let impact = RoleImpact { role_id, added: change.added, removed: change.removed, affected_users, affected_count };
    Ok(Reply::ok(impact, "What the change would do."))
}

/// What the change does, as far as it is found out.
struct Impact<'a> {
    role: RoleId,
    change: &'a Change,
    public: &'a PublicWorkspaces,
    /// Permissions of the roles that were met.
    known: BTreeMap<RoleId, PermissionSet>,
    affected: Vec<Affected>,
    affected_count: u64,
}

/// Somebody for whom something changes in a place.
struct Affected {
    user_id: UserId,
    workspace_id: Option<WorkspaceId>,
    is_public: bool,
    effect: Change,
}

impl<'a> Impact<'a> {
    fn new(role: RoleId, change: &'a Change, public: &'a PublicWorkspaces) -> Self {
        Self { role, change, public, known: BTreeMap::new(), affected: Vec::new(), affected_count: 0 }
    }

    /// Who was given the role.
    async fn of_holders(&mut self, db: &impl ConnectionTrait, tenant: Tenant, now: DateTime<Utc>) -> Result<()> {
        let mut after = 0;
        while self.affected.len() < SHOWN {
            let page = holders(db, tenant, self.role, after, now).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let held = held_by(db, tenant, page.iter().map(|holder| holder.user_id), now).await?;
            learn(db, tenant, held.values().flatten(), &mut self.known).await?;
            for holder in page {
                let of_holder = held.get(&holder.user_id).map(Vec::as_slice).unwrap_or_default();
                let effect = self.on_holder(holder.workspace_id, of_holder);
                self.name(holder.user_id, holder.workspace_id, false, effect);
            }
        }
        let others = alike_holders(db, tenant, self.role, after, now).await?;
        learn(db, tenant, others.iter().flat_map(|alike| &alike.held), &mut self.known).await?;
        for Alike { workspace_id, held, count } in others {
            if !self.on_holder(workspace_id, &held).is_empty() {
                self.affected_count += count;
            }
        }
        Ok(())
    }

    /// What the change does to somebody who was given the role in the place.
    fn on_holder(&self, place: Option<WorkspaceId>, held: &[Held]) -> Change {
        let public = place.and_then(|workspace| self.public.get(&workspace));
        // What the workspace gives by this very role changes with it.
        let public = public.filter(|public| public.role_id != self.role).map(PublicWorkspace::permissions);
        self.change.for_holder(self.role, place, held, public, &self.known)
    }

    /// Who has the role because it is the default of a public workspace, and was not given it for that place.
    async fn of_everybody(&mut self, db: &impl ConnectionTrait, tenant: Tenant, now: DateTime<Utc>) -> Result<()> {
        let change = self.change.of_workspaces();
        let public = self.public.iter().filter(|(_, public)| public.role_id == self.role);
        let workspaces: Vec<WorkspaceId> = public.map(|(id, _)| *id).collect();
        if change.is_empty() || workspaces.is_empty() {
            return Ok(());
        }
        let mut after = UserId(0);
        while self.affected.len() < SHOWN {
            let page = members(db, tenant, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            let held = held_by(db, tenant, page.iter().copied(), now).await?;
            learn(db, tenant, held.values().flatten(), &mut self.known).await?;
            for user in page {
                let of_member = held.get(&user).map(Vec::as_slice).unwrap_or_default();
                for workspace in &workspaces {
                    let effect = self.on_member(&change, *workspace, of_member);
                    self.name(user, Some(*workspace), true, effect);
                }
            }
        }
        let others = alike_members(db, tenant, &workspaces, after, now).await?;
        learn(db, tenant, others.iter().flat_map(|alike| &alike.held), &mut self.known).await?;
        for Alike { held, count, .. } in others {
            let touched = workspaces.iter().filter(|workspace| !self.on_member(&change, **workspace, &held).is_empty());
            self.affected_count += count * touched.count() as u64;
        }
        Ok(())
    }

    /// What of the change a public workspace passes on to a member; nothing to whom it reaches by the role itself.
    fn on_member(&self, change: &Change, workspace: WorkspaceId, held: &[Held]) -> Change {
        let place = Some(workspace);
        if held.iter().any(|(role, at)| *role == self.role && (at.is_none() || *at == place)) {
            return Change::none();
        }
        change.for_holder(self.role, place, held, None, &self.known)
    }

    /// Counts somebody for whom something changes, by name while there is room.
    fn name(&mut self, user_id: UserId, workspace_id: Option<WorkspaceId>, is_public: bool, effect: Change) {
        if effect.is_empty() {
            return;
        }
        self.affected_count += 1;
        if self.affected.len() < SHOWN {
            self.affected.push(Affected { user_id, workspace_id, is_public, effect });
        }
    }
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

    fn none() -> Self {
        Self { added: PermissionSet::new(), removed: PermissionSet::new() }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// What of it a public workspace passes on.
    fn of_workspaces(&self) -> Self {
        let of = |all: &PermissionSet| all.iter().copied().filter(|one| one.is_of_workspace()).collect();
        Self { added: of(&self.added), removed: of(&self.removed) }
    }

    /// What is left of it for somebody who has the role in the place, beside the other roles that they hold and what the
    /// place gives to everybody.
    fn for_holder(
        &self,
        role: RoleId,
        place: Option<WorkspaceId>,
        held: &[Held],
        public: Option<&PermissionSet>,
        known: &BTreeMap<RoleId, PermissionSet>,
    ) -> Change {
        let counting = held.iter().filter(|(_, at)| at.is_none() || *at == place);
        let mut covered: BTreeSet<Permission> = public.into_iter().flatten().copied().collect();
        for (other, at) in counting {
            if *other != role {
                covered.extend(known.get(other).into_iter().flatten());
            } else if place.is_some() && at.is_none() {
                // The change reaches them through the whole organization, where they are counted.
                return Change::none();
            }
        }
        Change {
            added: self.added.difference(&covered).copied().collect(),
            removed: self.removed.difference(&covered).copied().collect(),
        }
    }
}

/// A role that somebody holds, and where: in the whole organization, or in a workspace.
type Held = (RoleId, Option<WorkspaceId>);

/// Somebody who holds the role somewhere.
struct Holding {
    id: i64,
    user_id: UserId,
    workspace_id: Option<WorkspaceId>,
}

/// The next holders who are active members.
async fn holders(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    role: RoleId,
    after: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Holding>> {
    let page = all_holders(tenant, role, after, now).order_by_asc(assignment::Column::Id).limit(PAGE);
    let holding = |row: assignment::Model| Holding { id: row.id, user_id: row.user_id, workspace_id: row.workspace_id };
    Ok(page.all(db).await?.into_iter().map(holding).collect())
}

/// The holders who are active members, from a holding on. Index: role_assignments(role_id, id, expires_at,
/// organization_id).
fn all_holders(tenant: Tenant, role: RoleId, after: i64, now: DateTime<Utc>) -> Select<assignment::Entity> {
    // Each asked by themselves, which the offset tells: SQLite would collect all who are active for each page. Index:
    // memberships(organization_id, user_id), unique.
    let own =
        Expr::col((member::Entity, member::Column::UserId)).equals((assignment::Entity, assignment::Column::UserId));
    let active = tenant
        .find::<member::Entity>()
        .select_only()
        .column(member::Column::UserId)
        .filter(member::Column::Status.eq(Status::Active))
        .filter(own)
        .limit(1)
        .offset(0)
        .into_query();
    tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(role))
        .filter(assignment::Column::Id.gt(after))
        .filter(assignment::live(now))
        .filter(Expr::exists(active))
}

/// People who hold the same roles, as far as these count in the place; how many they are.
struct Alike {
    workspace_id: Option<WorkspaceId>,
    held: Vec<Held>,
    count: u64,
}

/// The holders from a holding on, by the place in which they hold the role and what else they hold that counts there.
async fn alike_holders(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    role: RoleId,
    after: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Alike>> {
    use assignment::{Column, Entity};
    let same_place = Expr::col((BESIDE, Column::WorkspaceId)).equals((Entity, Column::WorkspaceId));
    let held = held_beside(tenant, (Entity, Column::UserId).into_column_ref(), same_place, now);
    let each = all_holders(tenant, role, after, now).select_only().column(Column::WorkspaceId).expr_as(held, HELD);
    counted(db, each.into_query()).await
}

/// The active members from one on, by what they hold in the whole organization and in the workspaces.
async fn alike_members(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    workspaces: &[WorkspaceId],
    after: UserId,
    now: DateTime<Utc>,
) -> Result<Vec<Alike>> {
    use member::{Column, Entity};
    let there = Expr::col((BESIDE, assignment::Column::WorkspaceId)).is_in(workspaces.iter().copied());
    let held = held_beside(tenant, (Entity, Column::UserId).into_column_ref(), there, now);
    let each = all_members(tenant, after)
        .select_only()
        .expr_as(Expr::cust("CAST(NULL AS BIGINT)"), "workspace_id")
        .expr_as(held, HELD);
    counted(db, each.into_query()).await
}

/// The name of the inner table where assignments are looked up beside somebody.
const BESIDE: &str = "beside";
/// The column with what [`held_beside`] finds.
const HELD: &str = "held";

/// What a person of the query around holds in the whole organization and in such a place, as one text: `4@,12@7` are role 4 and,
/// in workspace 7, role 12. Index: role_assignments(user_id, organization_id).
fn held_beside(tenant: Tenant, person: ColumnRef, place: Expr, now: DateTime<Utc>) -> Expr {
    use assignment::{Column, Entity};
    let of = |column: Column| Expr::col((BESIDE, column));
    let held = Sql::select()
        .expr(Expr::cust(
            "string_agg(CAST(beside.role_id AS TEXT) || '@' || COALESCE(CAST(beside.workspace_id AS TEXT), ''), ',' \
             ORDER BY beside.role_id, beside.workspace_id)",
        ))
        .from_as(Entity, BESIDE)
        .and_where(of(Column::UserId).eq(Expr::Column(person)))
        .and_where(of(Column::OrganizationId).eq(tenant.organization_id()))
        .and_where(of(Column::ExpiresAt).is_null().or(of(Column::ExpiresAt).gt(now)))
        .and_where(of(Column::WorkspaceId).is_null().or(place))
        .to_owned();
    Expr::SubQuery(None, Box::new(held.into()))
}

/// How many rows there are of each place and what is held there.
async fn counted(db: &impl ConnectionTrait, each: SelectStatement) -> Result<Vec<Alike>> {
    let statement = Sql::select()
        .columns(["workspace_id", HELD])
        .expr(Expr::col(Asterisk).count())
        .from_subquery(each, "each_one")
        .group_by_columns(["workspace_id", HELD])
        .to_owned();
    let alike = |row: QueryResult| -> Result<Alike> {
        let (held, count): (Option<String>, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let held = held.iter().flat_map(|held| held.split(',')).filter_map(holding_of).collect();
        Ok(Alike { workspace_id: row.try_get_by_index(0)?, held, count: count.unsigned_abs() })
    };
    db.query_all(&statement).await?.into_iter().map(alike).collect()
}

/// `12@7`, as [`held_beside`] writes it.
fn holding_of(text: &str) -> Option<Held> {
    let (role, place) = text.split_once('@')?;
    let place = if place.is_empty() { None } else { Some(WorkspaceId(place.parse().ok()?)) };
    Some((RoleId(role.parse().ok()?), place))
}

/// The next active members.
async fn members(db: &impl ConnectionTrait, tenant: Tenant, after: UserId) -> Result<Vec<UserId>> {
    let page = all_members(tenant, after).select_only().column(member::Column::UserId);
    Ok(page.order_by_asc(member::Column::UserId).limit(PAGE).into_tuple().all(db).await?)
}

/// The active members from one on. Index: memberships(organization_id, user_id), unique.
fn all_members(tenant: Tenant, after: UserId) -> Select<member::Entity> {
    tenant
        .find::<member::Entity>()
        .filter(member::Column::Status.eq(Status::Active))
        .filter(member::Column::UserId.gt(after))
}

/// All roles that count of the people, the one in question too.
async fn held_by(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    users: impl Iterator<Item = UserId>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<UserId, Vec<Held>>> {
    use assignment::Column;
    let users: BTreeSet<UserId> = users.collect();
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
async fn learn<'a>(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    met: impl Iterator<Item = &'a Held>,
    known: &mut BTreeMap<RoleId, PermissionSet>,
) -> Result<()> {
    let unknown: BTreeSet<RoleId> = met.map(|(role, _)| *role).filter(|role| !known.contains_key(role)).collect();
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

    fn effect(place: Option<WorkspaceId>, held: &[Held]) -> (PermissionSet, PermissionSet) {
        let change = Change::between(&[StorageRead, PromptRead].into(), &[StorageRead, PolicyRead, AuditRead].into());
        let known = BTreeMap::from([(ROLE, [StorageRead, PromptRead].into()), (OTHER, [PromptRead, AuditRead].into())]);
        let effect = change.for_holder(ROLE, place, held, None, &known);
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
    fn what_a_public_workspace_gives_by_another_role_covers_too() {
        let change = Change::between(&[StorageRead, PromptRead].into(), &[StorageRead, StorageWrite].into());
        let public: PermissionSet = [PromptRead].into();
        let effect = change.for_holder(ROLE, LAB, &[(ROLE, LAB)], Some(&public), &BTreeMap::new());
        assert_eq!((effect.added, effect.removed), ([StorageWrite].into(), PermissionSet::new()));
        let change = Change::between(&PermissionSet::new(), &[StorageWrite, AuditRead].into());
        assert_eq!(change.of_workspaces().added, [StorageWrite].into());
    }

    #[test]
    fn who_holds_the_role_everywhere_is_counted_once() {
        let none = (PermissionSet::new(), PermissionSet::new());
        assert_eq!(effect(LAB, &[(ROLE, LAB), (ROLE, None)]), none);
        assert_ne!(effect(None, &[(ROLE, LAB), (ROLE, None)]), none);
    }
}
