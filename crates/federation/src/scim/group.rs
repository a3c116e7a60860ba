//! SCIM groups. Members stand in a table of their own: one more is one more row, however many there are, and two who are
//! added at once are both there.
//!
//! A change locks the organization first, for a group may give roles ([`roles`]), then its own row, whose version it counts. It
//! reads of those who come or go, and of nobody else. Who leaves the organization leaves its groups by a foreign key, and a
//! trigger counts the versions of these.
//!
//! A group is its last pusher's: where another configuration changes it, the mapping of that one says what it gives.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{OrganizationId, Tenant, UserId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::{TenantOwned, TenantScope, is_unique_violation},
};
use rivergen_tenancy::organization;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, IntoActiveModel, QuerySelect, QueryTrait, entity::prelude::*,
};
use serde_json::{Map, Value, json};

use super::{
    answer::{Resource, Shown},
    document::{self, field},
    error::{Kind, Result, ScimError},
    filter,
    http::{Preconditions, Provisioner, gone, require_schema},
    members::{Member, Parts, members_of},
    patch::{self, Op, Operation, Target},
    query, roles,
    schema::{Attribute, GROUP, GROUPS, Place},
    user,
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "scim_groups")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    /// Whose identity provider pushed it last.
    pub config_id: i64,
    pub display_name: String,
    /// Lower case.
    pub display_name_key: String,
    /// Unique in the organization.
    pub external_id: Option<String>,
    /// Counts the changes: the entity tag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// Who is in which group.
pub mod member {
    use chrono::{DateTime, Utc};
    use sea_orm::{Condition, RelationDef, entity::prelude::*};

    use crate::scim::{group, user};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "scim_group_members")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub group_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub scim_user_id: i64,
        pub added_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    pub fn to_user() -> RelationDef {
        Entity::belongs_to(user::Entity).from(Column::ScimUserId).to(user::Column::Id).into()
    }

    /// From a user, where they are in this group.
    pub fn in_group(group: i64) -> RelationDef {
        to_user().rev().on_condition(move |_, _| Condition::all().add(Column::GroupId.eq(group)))
    }

    pub fn to_group() -> RelationDef {
        Entity::belongs_to(group::Entity).from(Column::GroupId).to(group::Column::Id).into()
    }
}

/// Rows of one statement.
const BATCH: usize = 500;
const LONGEST_NAME: usize = 255;

impl Model {
    /// As SCIM answers it; without members where nobody asks for them.
    pub fn shown(&self, base: &str, members: Vec<Member>) -> Shown {
        let location = format!("{base}/Groups/{}", self.id);
        let known = [
            ("schemas", json!([GROUP])),
            ("id", self.id.to_string().into()),
            ("displayName", self.display_name.as_str().into()),
            ("meta", user::meta("Group", self.created_at, self.updated_at, self.version, &location)),
        ];
        let external_id = self.external_id.as_deref().map(|id| ("externalId", Value::from(id)));
        let document = known.into_iter().chain(external_id).map(|(name, value)| (name.to_owned(), value)).collect();
        Shown { id: self.id, version: self.version, location, resource: Resource { document, members } }
    }
}

/// What a body says of a group beside its members.
struct Facts {
    display_name: String,
    external_id: Option<String>,
}

impl Facts {
    fn new(display_name: Option<&str>, external_id: Option<&str>) -> Result<Self> {
        let display_name = display_name.map(str::trim).filter(|name| !name.is_empty());
        let display_name = display_name.ok_or_else(|| ScimError::value("displayName is required."))?;
        let external_id = external_id.filter(|id| !id.is_empty());
        for text in [Some(display_name), external_id].into_iter().flatten() {
            if text.chars().count() > LONGEST_NAME || text.contains('\0') {
                return Err(ScimError::value("displayName and externalId have at most 255 characters."));
            }
        }
        Ok(Self { display_name: display_name.to_owned(), external_id: external_id.map(str::to_owned) })
    }

    fn of(body: &Map<String, Value>) -> Result<Self> {
        Self::new(text(body, "displayName")?, text(body, "externalId")?)
    }
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match field(body, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ScimError::value(format!("{name} must be a text."))),
    }
}

/// The ids that a list of members names; one alone is a list of one.
fn named(value: &Value) -> Result<BTreeSet<i64>> {
    let members = match value {
        Value::Null => return Ok(BTreeSet::new()),
        Value::Array(members) => members.as_slice(),
        alone => std::slice::from_ref(alone),
    };
    members.iter().map(id_of).collect()
}

fn id_of(member: &Value) -> Result<i64> {
    let value = match member {
        Value::Object(parts) => field(parts, "value").unwrap_or(&Value::Null),
        alone => alone,
    };
    let id = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    };
    id.ok_or_else(|| ScimError::value("A member's value is the id of a user."))
}

fn taken(error: DbErr) -> ScimError {
    if is_unique_violation(&error) { ScimError::taken("externalId") } else { error.into() }
}

/// A group that is being changed, in a transaction that holds it. What operations ask for is gathered, so that a thousand
/// of them take the statements of one.
struct Change<'a> {
    tx: &'a Transaction,
    tenant: Tenant,
    group: i64,
    now: DateTime<Utc>,
    /// Who is to be in it, or not; the last word counts.
    wished: BTreeMap<i64, bool>,
    /// Whether nobody else is to be in it.
    is_whole: bool,
    /// Whoever was to be in it once: all of them are users.
    named: BTreeSet<i64>,
    /// Who came or went.
    touched: BTreeSet<UserId>,
}

/// A user of the organization: the id of their row, and whether they are in the group.
struct Known {
    row: i64,
    is_in: bool,
}

impl<'a> Change<'a> {
    fn new(tx: &'a Transaction, tenant: Tenant, group: i64, now: DateTime<Utc>) -> Self {
        let (wished, named, touched) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { tx, tenant, group, now, wished, is_whole: false, named, touched }
    }

    /// Those who are in it already stay.
    fn add(&mut self, ids: BTreeSet<i64>) {
        self.wished.extend(ids.iter().map(|id| (*id, true)));
        self.named.extend(ids);
    }

    /// Those who are not in it are passed over: providers say more than once that somebody left.
    fn remove(&mut self, ids: BTreeSet<i64>) {
        self.wished.extend(ids.into_iter().map(|id| (id, false)));
    }

    /// These, and nobody else.
    fn replace(&mut self, ids: BTreeSet<i64>) {
        self.wished.clear();
        self.is_whole = true;
        self.add(ids);
    }

    /// Does what is wished so far.
    async fn carry_out(&mut self) -> Result<()> {
        let (wished, named) = (std::mem::take(&mut self.wished), std::mem::take(&mut self.named));
        let is_whole = std::mem::take(&mut self.is_whole);
        let mut known = match is_whole {
            true => self.members().await?,
            false => BTreeMap::new(),
        };
        let unknown: BTreeSet<i64> =
            wished.keys().chain(&named).copied().filter(|id| !known.contains_key(id)).collect();
        known.extend(self.users(unknown).await?);
        if let Some(unknown) = named.iter().find(|id| !known.contains_key(id)) {
            return Err(ScimError::value(format!("The member {unknown} is not a user of the organization.")));
        }
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        for (id, Known { row, is_in }) in known {
            match (is_in, wished.get(&id).copied().unwrap_or(is_in && !is_whole)) {
                (false, true) => new.push(row),
                (true, false) => gone.push(row),
                _ => continue,
            }
            self.touched.insert(UserId(id));
        }
        for rows in gone.chunks(BATCH) {
            member::Entity::delete_many()
                .filter(member::Column::GroupId.eq(self.group))
                .filter(member::Column::ScimUserId.is_in(rows.iter().copied()))
                .exec(self.tx.conn())
                .await?;
        }
        for rows in new.chunks(BATCH) {
            let rows = rows.iter().map(|row| member::ActiveModel {
                group_id: Set(self.group),
                scim_user_id: Set(*row),
                added_at: Set(self.now),
            });
            member::Entity::insert_many(rows).exec_without_returning(self.tx.conn()).await?;
        }
        Ok(())
    }

    /// Those of the ids that are users of the organization. The group is held, so that whether they are in it stays so.
    /// Indexes: scim_users(organization_id, user_id), unique; the primary key of scim_group_members.
    async fn users(&self, ids: BTreeSet<i64>) -> Result<BTreeMap<i64, Known>> {
        let mut found = BTreeMap::new();
        let ids: Vec<i64> = ids.into_iter().collect();
        for ids in ids.chunks(BATCH) {
            let rows: Vec<(i64, i64, Option<i64>)> = self
                .tenant
                .find::<user::Entity>()
                .select_only()
                .column(user::Column::UserId)
                .column(user::Column::Id)
                .column(member::Column::GroupId)
                .join(sea_orm::JoinType::LeftJoin, member::in_group(self.group))
                .filter(user::Column::UserId.is_in(ids.iter().copied()))
                .into_tuple()
                .all(self.tx.conn())
                .await?;
            found.extend(rows.into_iter().map(|(id, row, group)| (id, Known { row, is_in: group.is_some() })));
        }
        Ok(found)
    }

    /// Everybody who is in it.
    async fn members(&self) -> Result<BTreeMap<i64, Known>> {
        let rows = member::Entity::find()
            .select_only()
            .column(user::Column::UserId)
            .column(member::Column::ScimUserId)
            .join(sea_orm::JoinType::InnerJoin, member::to_user())
            .filter(member::Column::GroupId.eq(self.group))
            .into_query();
        let rows: Vec<(i64, i64)> = query::rows_at_once(self.tx.conn(), rows, &["user_id", "scim_user_id"]).await?;
        Ok(rows.into_iter().map(|(id, row)| (id, Known { row, is_in: true })).collect())
    }

    /// Those whom a filter in brackets means.
    async fn passing(
        &mut self,
        attribute: &'static Attribute,
        wanted: &scim_v2::filter::ValFilter,
    ) -> Result<BTreeSet<i64>> {
        // The one that providers send, without reading everybody.
        if let Some(parts) = filter::equalities(wanted)
            && let [(part, value)] = parts.as_slice()
            && part.eq_ignore_ascii_case("value")
        {
            return Ok(id_of(value).into_iter().collect());
        }
        let db = self.tx.conn();
        let condition = query::of_members(db.get_database_backend(), attribute, wanted)?;
        // Of those who are in it by now.
        self.carry_out().await?;
        let passing: Vec<i64> = member::Entity::find()
            .select_only()
            .column(user::Column::UserId)
            .join(sea_orm::JoinType::InnerJoin, member::to_user())
            .filter(member::Column::GroupId.eq(self.group))
            .filter(condition)
            .into_tuple()
            .all(db)
            .await?;
        Ok(passing.into_iter().collect())
    }

    async fn apply(&mut self, facts: &mut Facts, operation: &Operation<'_>) -> Result<()> {
        let value = operation.value.unwrap_or(&Value::Null);
        let Some(path) = operation.path else {
            let Some(all) = value.as_object() else {
                return Err(ScimError::value("Without a path, the value is an object of attributes."));
            };
            for (name, value) in all {
                // Okta sends the id beside the name; what is unknown or the server's own is passed over.
                if let Ok(Target::Place(place)) = patch::target(&GROUPS, name)
                    && patch::writable(place).is_ok()
                    && place.part.is_none()
                {
                    self.set(facts, operation.op, place.attribute, Some(value))?;
                }
            }
            return Ok(());
        };
        match patch::target(&GROUPS, path)? {
            Target::Extension(_) => Err(ScimError::new(Kind::InvalidPath, "A group has no extension.")),
            Target::Place(place) => {
                patch::writable(place)?;
                if place.part.is_some() {
                    return Err(ScimError::new(Kind::Mutability, "A member is added or removed as a whole."));
                }
                self.set(facts, operation.op, place.attribute, operation.value)
            }
            // Whose value goes, goes; but nobody goes with a name or a type.
            Target::Values(Place { part: Some(part), .. }, _) if operation.op != Op::Remove || part.name != "value" => {
                Err(ScimError::new(Kind::Mutability, "A member is added or removed as a whole."))
            }
            Target::Values(place, wanted) => {
                let meant = self.passing(place.attribute, &wanted).await?;
                if operation.op != Op::Add {
                    self.remove(meant);
                }
                if operation.op != Op::Remove {
                    self.add(named(value)?);
                }
                Ok(())
            }
        }
    }

    fn set(&mut self, facts: &mut Facts, op: Op, attribute: &Attribute, value: Option<&Value>) -> Result<()> {
        let text = || match (op, value) {
            (Op::Remove, _) | (_, None | Some(Value::Null)) => Ok(None),
            (_, Some(value)) => {
                let value = document::of(attribute, value)?;
                Ok::<_, ScimError>(value.and_then(|value| value.as_str().map(str::to_owned)))
            }
        };
        match (attribute.name, op) {
            ("displayName", _) => *facts = Facts::new(text()?.as_deref(), facts.external_id.as_deref())?,
            ("externalId", _) => *facts = Facts::new(Some(&facts.display_name), text()?.as_deref())?,
            ("members", Op::Add) => self.add(named(value.unwrap_or(&Value::Null))?),
            ("members", Op::Replace) => self.replace(named(value.unwrap_or(&Value::Null))?),
            ("members", Op::Remove) => match value.filter(|value| !value.is_null()) {
                Some(value) => self.remove(named(value)?),
                None => self.replace(BTreeSet::new()),
            },
            _ => {}
        }
        Ok(())
    }
}

/// A new group; those who are in it are read where they are wanted.
pub async fn create(provisioner: &Provisioner, body: &Map<String, Value>, wanted: Option<&Parts>) -> Result<Shown> {
    require_schema(body, GROUP)?;
    let facts = Facts::of(body)?;
    let ids = named(field(body, "members").unwrap_or(&Value::Null))?;
    let (platform, tenant) = (provisioner.platform(), provisioner.tenant());
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        config_id: Set(provisioner.config.id),
        display_name_key: Set(facts.display_name.to_lowercase()),
        display_name: Set(facts.display_name),
        external_id: Set(facts.external_id),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let row = row.insert(tx.conn()).await.map_err(taken)?;
    let mut change = Change::new(&tx, tenant, row.id, now);
    change.add(ids);
    change.carry_out().await?;
    let touched = change.touched;
    let details = json!({"display_name": row.display_name, "members": touched.len()});
    let record = provisioner.record("scim.group.create", details).target("scim_group", row.id);
    finish(provisioner, &tx, touched, false, record).await?;
    let members = match wanted {
        Some(parts) => members_of(tx.conn(), row.id, parts).await?,
        None => Vec::new(),
    };
    tx.commit().await?;
    Ok(row.shown(&provisioner.base(), members))
}

/// Events for single people of one change.
const MOST_EVENTS: usize = 100;

/// Roles follow, then the record of all of it.
async fn finish(
    provisioner: &Provisioner,
    tx: &Transaction,
    touched: BTreeSet<UserId>,
    is_renamed: bool,
    record: AuditRecord,
) -> Result<()> {
    let platform = provisioner.platform();
    let people: Vec<UserId> = touched.into_iter().collect();
    // Access policies look at the names of groups. Of many people at once, one event for the organization says it too.
    if is_renamed || people.len() > MOST_EVENTS {
        tx.publish(Event::OrganizationChanged(provisioner.tenant().organization_id())).await?;
    } else {
        for person in &people {
            tx.publish(Event::UserChanged(*person)).await?;
        }
    }
    let now = platform.clock.now();
    let mut records = roles::settle(tx, provisioner.tenant(), &people, &provisioner.actor(), now).await?;
    records.push(record);
    Ok(audit::record_all(tx, &platform.clock, records).await?)
}

/// The organization's group; 404 for every other.
pub async fn find(db: &impl ConnectionTrait, tenant: Tenant, id: i64) -> Result<Model> {
    tenant.find::<Entity>().filter(Column::Id.eq(id)).one(db).await?.ok_or_else(gone)
}

/// As it is answered; its members are read where they are wanted of this version.
pub async fn get<'a>(
    provisioner: &Provisioner,
    id: i64,
    wanted: impl FnOnce(i64) -> Option<&'a Parts>,
) -> Result<Shown> {
    let db = provisioner.platform().db.read();
    // The version first: members that came meanwhile go with an older one, which is asked for again.
    let row = find(db, provisioner.tenant(), id).await?;
    let members = match wanted(row.version) {
        Some(parts) => members_of(db, id, parts).await?,
        None => Vec::new(),
    };
    Ok(row.shown(&provisioner.base(), members))
}

/// What a change is to make of a group.
enum Wish<'a> {
    Whole(Facts, BTreeSet<i64>),
    Operations(Vec<Operation<'a>>),
}

/// Name, external id and members become those of the body. Answers it without members.
pub async fn replace(
    provisioner: &Provisioner,
    id: i64,
    body: &Map<String, Value>,
    known: &Preconditions,
) -> Result<Shown> {
    require_schema(body, GROUP)?;
    user::require_own_id(body, id)?;
    let facts = Facts::of(body)?;
    let ids = named(field(body, "members").unwrap_or(&Value::Null))?;
    change(provisioner, id, known, "scim.group.replace", Wish::Whole(facts, ids)).await
}

/// All operations, or none. Answers it without members.
pub async fn modify(
    provisioner: &Provisioner,
    id: i64,
    body: &Map<String, Value>,
    known: &Preconditions,
) -> Result<Shown> {
    let operations = patch::read(body)?;
    change(provisioner, id, known, "scim.group.patch", Wish::Operations(operations)).await
}

async fn change(
    provisioner: &Provisioner,
    id: i64,
    known: &Preconditions,
    action: &'static str,
    wish: Wish<'_>,
) -> Result<Shown> {
    let (platform, tenant) = (provisioner.platform(), provisioner.tenant());
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    let row = found.ok_or_else(gone)?;
    known.require(row.version)?;
    let mut facts = Facts { display_name: row.display_name.clone(), external_id: row.external_id.clone() };
    let mut change = Change::new(&tx, tenant, id, now);
    match wish {
        Wish::Whole(wanted, ids) => {
            facts = wanted;
            change.replace(ids);
        }
        Wish::Operations(operations) => {
            for operation in &operations {
                change.apply(&mut facts, operation).await?;
            }
        }
    }
    change.carry_out().await?;
    let name_key = facts.display_name.to_lowercase();
    let is_renamed = facts.display_name != row.display_name || facts.external_id != row.external_id;
    let is_moved = row.config_id != provisioner.config.id;
    if change.touched.is_empty() && !is_renamed && !is_moved {
        return Ok(row.shown(&provisioner.base(), Vec::new()));
    }
    if is_renamed || is_moved {
        let (conn, external_id) = (tx.conn(), row.external_id.as_deref());
        let before = roles::mapped_to(conn, tenant, row.config_id, &row.display_name_key, external_id).await?;
        let external_id = facts.external_id.as_deref();
        let after = roles::mapped_to(conn, tenant, provisioner.config.id, &name_key, external_id).await?;
        if before != after {
            // It gives something else, to everybody who is in it.
            let all = change.members().await?;
            change.touched.extend(all.into_keys().map(UserId));
        }
    }
    let touched = change.touched;
    let version = row.version + 1;
    let mut changed = row.into_active_model();
    changed.config_id = Set(provisioner.config.id);
    changed.display_name_key = Set(name_key);
    changed.display_name = Set(facts.display_name);
    changed.external_id = Set(facts.external_id);
    changed.version = Set(version);
    changed.updated_at = Set(now);
    let row = changed.update(tx.conn()).await.map_err(taken)?;
    let details = json!({"members": touched.len()});
    let record = provisioner.record(action, details).target("scim_group", id);
    finish(provisioner, &tx, touched, is_renamed, record).await?;
    tx.commit().await?;
    Ok(row.shown(&provisioner.base(), Vec::new()))
}

/// The group goes, and the roles that it gave.
pub async fn delete(provisioner: &Provisioner, id: i64, known: &Preconditions) -> Result<()> {
    let (platform, tenant) = (provisioner.platform(), provisioner.tenant());
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    let row = found.ok_or_else(gone)?;
    known.require(row.version)?;
    let people = Change::new(&tx, tenant, id, now).members().await?.into_keys().map(UserId).collect();
    Entity::delete_by_id(id).exec(tx.conn()).await?;
    let record =
        provisioner.record("scim.group.delete", json!({"display_name": row.display_name})).target("scim_group", id);
    finish(provisioner, &tx, people, false, record).await?;
    tx.commit().await?;
    Ok(())
}
