//! SCIM users: each is a membership of the organization, with what the identity provider says of the person.
//!
//! ```text
//! create   an account where the address has none  ─▶  a membership where there is none  ─▶  a SCIM user  (newcomers)
//! active   false: the membership is deactivated, sessions there and its tokens end; true: let in again
//! delete   the membership ends, and with it the SCIM user; the account stays
//! ```
//!
//! An account belongs to its person. Name and address of it follow the identity provider only where the organization has
//! proved the domain of the address; nobody's password is ever touched.
//!
//! A user is its last pusher's: where another configuration changes it, the person stays when the one before is removed.
//!
//! What the provider says is one document; beside it stand the columns that lists are filtered by often, and the document
//! once more as the database compares it ([`document::folded`]).

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use rivergen_identity::{
    account::prove::prove,
    email_address,
    one_time_token::{self, Purpose},
    session::EndReason,
    user::{User, account, address},
};
use rivergen_kernel::{Attributes, Error, ErrorCode, OrganizationId, Tenant, UserId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::{TenantOwned, TenantScope, is_unique_violation},
};
use rivergen_tenancy::{
    domain,
    member::{self, NewMember, Source, Status},
    organization,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ConnectionTrait, IntoActiveModel, QuerySelect, QueryTrait, TryIntoModel,
    entity::prelude::*,
};
use serde_json::{Map, Value, json};

use super::{
    answer::Shown,
    config,
    document::{self, Document},
    error::{Kind, Result, ScimError},
    group,
    http::{Preconditions, Provisioner, gone, require_schema},
    patch, query,
    schema::{ENTERPRISE, USER, USERS},
};
use crate::sign_in::{admission::is_vouched_for, roles::of_newcomers};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scim_users")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    /// Whose identity provider pushed it last.
    pub config_id: i64,
    /// It ends with the membership.
    pub membership_id: i64,
    /// What SCIM calls it by.
    pub user_id: UserId,
    /// Lower case; unique in the organization.
    pub user_name_key: String,
    /// Unique in the organization.
    pub external_id: Option<String>,
    pub active: bool,
    #[sea_orm(column_type = "JsonBinary")]
    pub attributes: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub folded: Json,
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

impl Model {
    /// To be inserted. What is written is known: two documents are not read again.
    pub fn inserted(self) -> ActiveModel {
        ActiveModel { id: NotSet, ..self.into() }
    }

    pub fn document(&self) -> Document {
        self.attributes.as_object().cloned().unwrap_or_default()
    }

    /// As SCIM answers it, with the groups that the person is in.
    pub fn shown(&self, base: &str, groups: &[(i64, String)]) -> Shown {
        let location = format!("{base}/Users/{}", self.user_id);
        let mut document = self.document();
        let mut schemas = vec![USER];
        if document.contains_key(ENTERPRISE) {
            schemas.push(ENTERPRISE);
        }
        let group = |(id, name): &(i64, String)| json!({"value": id.to_string(), "$ref": format!("{base}/Groups/{id}"), "display": name, "type": "direct"});
        if !groups.is_empty() {
            document.insert("groups".to_owned(), groups.iter().map(group).collect());
        }
        document.insert("schemas".to_owned(), json!(schemas));
        document.insert("id".to_owned(), self.user_id.to_string().into());
        document.insert("meta".to_owned(), meta("User", self.created_at, self.updated_at, self.version, &location));
        Shown { id: self.user_id.0, version: self.version, location, resource: document.into() }
    }
}

pub fn meta(
    kind: &'static str,
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
    version: i64,
    location: &str,
) -> Value {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({"resourceType": kind, "created": time(created), "lastModified": time(modified), "location": location,
        "version": super::http::etag(version)})
}

/// What a document says that accounts and lists need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    user_name_key: String,
    external_id: Option<String>,
    active: Option<bool>,
    /// Of the account: the user name, or else the primary address.
    pub address: String,
    /// What the provider says, if anything.
    pub display_name: Option<String>,
}

/// The longest name of an account, and the longest key of an index.
const LONGEST_NAME: usize = 255;

impl Facts {
    pub fn of(document: &Document) -> Result<Self> {
        let user_name = document.get("userName").and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if user_name.is_empty() || user_name.chars().count() > LONGEST_NAME {
            return Err(ScimError::value("userName must be a mail address."));
        }
        let external_id = document.get("externalId").and_then(Value::as_str);
        if external_id.is_some_and(|id| id.chars().count() > LONGEST_NAME) {
            return Err(ScimError::value("externalId is too long."));
        }
        let emails = document.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let primary = emails.iter().find(|email| document::is_primary(email)).or(emails.first());
        let primary = primary.and_then(|email| email["value"].as_str());
        let address = email_address::normalise(user_name, "userName")
            .or_else(|error| primary.map_or(Err(error), |email| email_address::normalise(email, "emails.value")))
            .map_err(|_| ScimError::value("userName must be a mail address, or emails must have a primary one."))?;
        Ok(Self {
            user_name_key: user_name.to_lowercase(),
            // An empty one is none, which many may have.
            external_id: external_id.filter(|id| !id.is_empty()).map(str::to_owned),
            active: document.get("active").and_then(Value::as_bool),
            display_name: display_name(document),
            address,
        })
    }

    /// What nobody else may have, each with what it is.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let external = self.external_id.as_deref().map(|id| ("externalId", id));
        [("address", self.address.as_str()), ("userName", self.user_name_key.as_str())].into_iter().chain(external)
    }
}

/// A text that says something.
fn said(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

fn display_name(document: &Document) -> Option<String> {
    let name = document.get("name");
    let part = |part: &str| said(name.and_then(|name| name.get(part)));
    let parts = || {
        let parts: Vec<&str> = [part("givenName"), part("familyName")].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let whole = said(document.get("displayName")).or_else(|| part("formatted")).map(str::to_owned).or_else(parts);
    whole.map(|name| name.chars().take(LONGEST_NAME).collect())
}

/// Which attribute a unique index refused.
pub fn taken(error: DbErr) -> ScimError {
    match is_unique_violation(&error) {
        true if error.to_string().contains("external") => ScimError::taken("externalId"),
        true => ScimError::taken("userName"),
        false => error.into(),
    }
}

/// Somebody whom an identity provider pushes, and what it says of them.
pub struct Pushed {
    pub provisioner: Provisioner,
    pub document: Document,
    pub facts: Facts,
}

impl Pushed {
    /// Whether the person is let in.
    pub fn is_active(&self) -> bool {
        self.facts.active.unwrap_or(true)
    }

    /// The SCIM user that the member becomes, as it is answered and inserted: its id is the database's to give.
    pub fn row(&self, member: &member::Model, now: DateTime<Utc>) -> Model {
        Model {
            id: 0,
            organization_id: member.organization_id,
            config_id: self.provisioner.config.id,
            membership_id: member.id,
            user_id: member.user_id,
            user_name_key: self.facts.user_name_key.clone(),
            external_id: self.facts.external_id.clone(),
            active: self.is_active(),
            folded: document::folded(&USERS, &self.document),
            attributes: Value::Object(self.document.clone()),
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Who was added to the organization, and is a SCIM user from now on.
pub async fn create(provisioner: &Provisioner, body: &Map<String, Value>) -> Result<Shown> {
    require_schema(body, USER)?;
    let mut document = document::read(&USERS, body)?;
    document.entry("active").or_insert(true.into());
    document::bounded(&document)?;
    let facts = Facts::of(&document)?;
    let person = Arc::new(Pushed { provisioner: provisioner.clone(), document, facts });
    match admit(&person).await {
        // The role that they get was deleted at this moment, or elsewhere and this node has not heard of it yet.
        Err(error) if error.refers_to_what_is_gone() => {
            provisioner.federation.newcomers.forget(&provisioner.config);
            admit(&person).await
        }
        admitted => admitted,
    }
}

async fn admit(person: &Arc<Pushed>) -> Result<Shown> {
    match person.provisioner.federation.newcomers.admit(person).await? {
        Some(shown) => Ok(shown),
        None => take_over(person).await,
    }
}

/// Somebody who has an account becomes a SCIM user, and a member where they are none.
async fn take_over(person: &Pushed) -> Result<Shown> {
    let Pushed { provisioner, facts, .. } = person;
    let active = person.is_active();
    let (platform, tenant) = (provisioner.platform(), provisioner.tenant());
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    // It was there a moment ago.
    let user_id = User::find_by_email(tx.conn(), &facts.address).await?.ok_or(ErrorCode::Conflict)?.id();
    let mut member = find_member(&tx, tenant, user_id).await?;
    if member.is_some() {
        // Somebody who was a member before: what they hold may change, which is done one after another.
        organization::lock(&tx, tenant).await?;
        member = find_member(&tx, tenant, user_id).await?;
    }
    let (member, mut records) = match member {
        Some(member) => (member, Vec::new()),
        None => join(&tx, person, user_id, now).await?,
    };
    let row = person.row(&member, now);
    let shown = row.shown(&provisioner.base(), &[]);
    Entity::insert(row.inserted()).exec_without_returning(tx.conn()).await.map_err(taken)?;
    let standing = follow(&tx, tenant, &member, active, now).await?;
    // By its own address: it may have been found by a further one.
    let profile = match User::lock(&tx, user_id).await? {
        Some(user) => adopt(&tx, &provisioner.config, &user, facts, now).await?,
        None => false,
    };
    let details = json!({"account_is_new": false, "profile_changed": profile, "status_changed": standing});
    records.push(provisioner.record("scim.user.create", details).target("user", user_id.0));
    audit::record_all(&tx, &platform.clock, records).await?;
    tx.commit().await?;
    Ok(shown)
}

/// A membership of somebody who has an account; with the records of it.
async fn join(
    tx: &Transaction,
    person: &Pushed,
    user_id: UserId,
    now: DateTime<Utc>,
) -> Result<(member::Model, Vec<AuditRecord>)> {
    let Pushed { provisioner, facts, .. } = person;
    let tenant = provisioner.tenant();
    let found = organization::Entity::find_by_id(tenant.organization_id()).one(tx.conn()).await?;
    let intake = found.ok_or(ErrorCode::OrgNotFound)?.intake()?;
    intake.allow(&facts.address)?;
    let role_id = of_newcomers(tx.conn(), tenant, &intake, provisioner.config.default_role_id).await?.id;
    // With the primary address: it may have been found by a further one.
    let user = User::find(tx.conn(), user_id).await?.ok_or_else(gone)?;
    let attributes = Attributes::default();
    let new = NewMember {
        organization_id: tenant.organization_id(),
        user_id,
        role_id,
        source: Source::Scim,
        attributes: &attributes,
        by: None,
    };
    let added = new.add_pushed(tx, &provisioner.actor(), &user, Some(person.is_active()), now).await;
    added.map_err(|error| match error.code {
        // By another request, at this moment.
        ErrorCode::AlreadyMember => ScimError::taken("userName"),
        _ => error.into(),
    })
}

async fn find_member(tx: &Transaction, tenant: Tenant, user_id: UserId) -> Result<Option<member::Model>> {
    // Index: memberships(organization_id, user_id), unique.
    let found = tenant.find::<member::Entity>().filter(member::Column::UserId.eq(user_id));
    Ok(found.one(tx.conn()).await?)
}

/// Brings the membership to what the identity provider says; answers whether that changed it. Whom an administrator has
/// suspended stays suspended, whatever the provider says.
pub async fn follow(
    tx: &Transaction,
    tenant: Tenant,
    member: &member::Model,
    active: bool,
    now: DateTime<Utc>,
) -> Result<bool> {
    if member.scim_active != Some(active) {
        member::Entity::update_many()
            .col_expr(member::Column::ScimActive, Expr::value(active))
            .filter(member::Column::Id.eq(member.id))
            .exec(tx.conn())
            .await?;
    }
    match status_of(member, active) {
        Some(status) => Ok(member::set_status(tx, tenant, member, status, EndReason::Deprovisioned, now).await?),
        None => Ok(false),
    }
}

/// The status that the membership gets by what the identity provider says, where that is another one.
fn status_of(member: &member::Model, active: bool) -> Option<Status> {
    match (active, member.status) {
        (false, Status::Active) => Some(Status::Deactivated),
        (true, Status::Deactivated) => Some(Status::Active),
        _ => None,
    }
}

/// Whether the membership is what the identity provider says already.
fn follows(member: &member::Model, active: bool) -> bool {
    member.scim_active == Some(active) && status_of(member, active).is_none()
}

/// Takes an account over that was there before. One whose address nobody has proved opens to nobody any more by what whoever
/// signed up with it left behind, where the organization speaks for the address.
async fn adopt(
    tx: &Transaction,
    config: &config::Model,
    user: &User,
    facts: &Facts,
    now: DateTime<Utc>,
) -> Result<bool> {
    let tenant = Tenant::on_behalf_of(config.organization_id);
    let changed = rename(tx, config, user, None, facts, now).await?;
    if !user.is_verified() && domain::speaks_for(tx.conn(), tenant, &user.email.email).await? {
        let user = User::lock(tx, user.id()).await?.ok_or_else(gone)?;
        prove(tx, &user, now).await?;
        return Ok(true);
    }
    Ok(changed)
}

/// Name and address of the account follow the identity provider, where the organization speaks for the domain of the address
/// and the provider says something new; answers whether anything changed. `before` is `None` for everything that it says.
///
/// An address opens an account to whoever reads its mail, so that of somebody who holds more than the person who was given the
/// token stays as it is.
pub async fn rename(
    tx: &Transaction,
    config: &config::Model,
    user: &User,
    before: Option<&Facts>,
    after: &Facts,
    now: DateTime<Utc>,
) -> Result<bool> {
    let tenant = Tenant::on_behalf_of(config.organization_id);
    let said = after.display_name.as_ref().filter(|name| **name != user.account.display_name);
    let name = said.filter(|_| before.is_none_or(|before| before.display_name != after.display_name));
    let address = before.is_none_or(|before| before.address != after.address) && user.email.email != after.address;
    if !(name.is_some() || address) || !domain::speaks_for(tx.conn(), tenant, &user.email.email).await? {
        return Ok(false);
    }
    let address = address
        && domain::speaks_for(tx.conn(), tenant, &after.address).await?
        && is_vouched_for(tx.conn(), tenant, config.vouched_by_user_id, user.id(), now).await?;
    if !(name.is_some() || address) {
        return Ok(false);
    }
    let proved;
    let user = match address && !user.is_verified() {
        // The new one will count as proved: nothing of whoever never proved the old one stays.
        true => {
            prove(tx, user, now).await?;
            proved = User::find(tx.conn(), user.id()).await?.ok_or_else(gone)?;
            &proved
        }
        false => user,
    };
    let mut row = user.account.clone().into_active_model();
    if let Some(name) = name {
        row.display_name = Set(name.clone());
    }
    row.updated_at = Set(now);
    let account: account::Model = row.update(tx.conn()).await?;
    let mut email = user.email.clone();
    if address {
        address::free_unproven(tx.conn(), &[after.address.as_str()]).await?;
        let mut row = email.into_active_model();
        row.email = Set(after.address.clone());
        row.verified_at = Set(Some(now));
        email = row.update(tx.conn()).await.map_err(taken)?;
        // Links that went to the old address open nothing any more.
        one_time_token::kill(tx, Purpose::PasswordReset, user.id(), now).await?;
    }
    member::rename(tx, &User { account, email }).await?;
    tx.publish(Event::UserChanged(user.id())).await?;
    Ok(true)
}

/// Index: scim_users(organization_id, user_id), unique.
pub async fn find(db: &impl ConnectionTrait, tenant: Tenant, id: i64) -> Result<Model> {
    tenant.find::<Entity>().filter(Column::UserId.eq(id)).one(db).await?.ok_or_else(gone)
}

/// As it is answered; with the groups that the person is in, where these are wanted.
pub async fn get(provisioner: &Provisioner, id: i64, with_groups: bool) -> Result<Shown> {
    let row = find(provisioner.platform().db.read(), provisioner.tenant(), id).await?;
    answered(provisioner, &row, with_groups).await
}

/// The groups are read outside of any transaction, so that nobody waits for them who changes another user.
async fn answered(provisioner: &Provisioner, row: &Model, with_groups: bool) -> Result<Shown> {
    let mut groups = match with_groups {
        true => groups_of(provisioner.platform().db.read(), &[row.id]).await?,
        false => BTreeMap::new(),
    };
    Ok(row.shown(&provisioner.base(), &groups.remove(&row.id).unwrap_or_default()))
}

/// The groups that each of the users is in. Index: scim_group_members(scim_user_id, group_id).
pub async fn groups_of(db: &impl ConnectionTrait, users: &[i64]) -> Result<BTreeMap<i64, Vec<(i64, String)>>> {
    let mut found: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
    if users.is_empty() {
        return Ok(found);
    }
    let rows = group::member::Entity::find()
        .select_only()
        .column(group::member::Column::ScimUserId)
        .column(group::member::Column::GroupId)
        .column(group::Column::DisplayName)
        .join(sea_orm::JoinType::InnerJoin, group::member::to_group())
        .filter(group::member::Column::ScimUserId.is_in(users.iter().copied()))
        .into_query();
    let columns = ["scim_user_id", "group_id", "display_name"];
    let rows: Vec<(i64, i64, String)> = query::rows_at_once(db, rows, &columns).await?;
    for (user, group, name) in rows {
        found.entry(user).or_default().push((group, name));
    }
    for groups in found.values_mut() {
        groups.sort();
    }
    Ok(found)
}

/// All attributes become those of the body; what it leaves out goes, but for `active`.
pub async fn replace(
    provisioner: &Provisioner,
    id: i64,
    body: &Map<String, Value>,
    known: &Preconditions,
    with_groups: bool,
) -> Result<Shown> {
    require_schema(body, USER)?;
    require_own_id(body, id)?;
    let document = document::read(&USERS, body)?;
    let row = change(provisioner, id, known, "scim.user.replace", |before| {
        let mut document = document.clone();
        if let (None, Some(active)) = (document.get("active"), before.get("active")) {
            document.insert("active".to_owned(), active.clone());
        }
        Ok(document)
    })
    .await?;
    answered(provisioner, &row, with_groups).await
}

/// `mutability` where a body names another id than the path.
pub fn require_own_id(body: &Map<String, Value>, id: i64) -> Result<()> {
    match document::field(body, "id") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(named)) if *named == id.to_string() => Ok(()),
        Some(_) => Err(ScimError::new(Kind::Mutability, "The id of a resource does not change.")),
    }
}

/// All operations, or none.
pub async fn modify(
    provisioner: &Provisioner,
    id: i64,
    body: &Map<String, Value>,
    known: &Preconditions,
    with_groups: bool,
) -> Result<Shown> {
    let operations = patch::read(body)?;
    let row = change(provisioner, id, known, "scim.user.patch", |before| {
        let mut document = before.clone();
        for operation in &operations {
            patch::apply(&USERS, &mut document, operation)?;
        }
        Ok(document)
    })
    .await?;
    answered(provisioner, &row, with_groups).await
}

/// Makes another document of a user's, and brings membership and account to it. Nobody's standing hangs on most attributes:
/// whoever changes these waits for nobody but who changes the same user.
async fn change(
    provisioner: &Provisioner,
    id: i64,
    known: &Preconditions,
    action: &'static str,
    made: impl Fn(&Document) -> Result<Document>,
) -> Result<Model> {
    if let Some(row) = change_holding(provisioner, id, known, action, &made, false).await? {
        return Ok(row);
    }
    let row = change_holding(provisioner, id, known, action, &made, true).await?;
    row.ok_or_else(|| Error::internal("a SCIM user was not changed").into())
}

/// `None`, and nothing is changed, where the organization is to be held for it and is not.
async fn change_holding(
    provisioner: &Provisioner,
    id: i64,
    known: &Preconditions,
    action: &'static str,
    made: &impl Fn(&Document) -> Result<Document>,
    holds_organization: bool,
) -> Result<Option<Model>> {
    let (platform, tenant) = (provisioner.platform(), provisioner.tenant());
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    if holds_organization {
        organization::lock(&tx, tenant).await?;
    }
    let found = tenant.find::<Entity>().filter(Column::UserId.eq(id)).lock_exclusive().one(tx.conn()).await?;
    let row = found.ok_or_else(gone)?;
    known.require(row.version)?;
    let before = row.document();
    let document = made(&before)?;
    if document == before && row.config_id == provisioner.config.id {
        return Ok(Some(row));
    }
    document::bounded(&document)?;
    let (was, facts) = (Facts::of(&before)?, Facts::of(&document)?);
    // One that goes says nothing: who was not let in is not let in by it.
    let active = facts.active.unwrap_or(row.active);
    let user_id = row.user_id;
    let member = member::find(tx.conn(), tenant, user_id).await?;
    let is_attribute = was == facts && active == row.active && row.config_id == provisioner.config.id;
    let goes_alone = is_attribute && follows(&member, active);
    if !holds_organization && !goes_alone {
        return Ok(None);
    }
    let (row_id, version) = (row.id, row.version + 1);
    let mut changed = row.into_active_model();
    // Whose provider pushed it last: when the one before is removed, the person stays.
    changed.config_id = Set(provisioner.config.id);
    changed.user_name_key = Set(facts.user_name_key.clone());
    changed.external_id = Set(facts.external_id.clone());
    changed.active = Set(active);
    changed.folded = Set(document::folded(&USERS, &document));
    changed.attributes = Set(Value::Object(document));
    changed.version = Set(version);
    changed.updated_at = Set(now);
    // What was written is known: two documents are not read again.
    let update = Entity::update_many().set(changed.clone()).filter(Column::Id.eq(row_id));
    update.exec(tx.conn()).await.map_err(taken)?;
    let row = changed.try_into_model()?;
    let status = follow(&tx, tenant, &member, active, now).await?;
    let profile = match (&was.address, &was.display_name) == (&facts.address, &facts.display_name) {
        // Nothing of the account can follow: it is not even read.
        true => false,
        false => {
            let user = User::lock(&tx, user_id).await?.ok_or_else(gone)?;
            rename(&tx, &provisioner.config, &user, Some(&was), &facts, now).await?
        }
    };
    let details = json!({"active": active, "status_changed": status, "profile_changed": profile,
        "address": {"before": was.address, "after": facts.address}});
    let record = provisioner.record(action, details).target("user", user_id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Some(row))
}

/// Takes the person out of the organization.
pub async fn delete(provisioner: &Provisioner, id: i64, known: &Preconditions) -> Result<()> {
    let (platform, tenant) = (provisioner.platform(), provisioner.tenant());
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let found = tenant.find::<Entity>().filter(Column::UserId.eq(id)).lock_exclusive().one(tx.conn()).await?;
    let row = found.ok_or_else(gone)?;
    known.require(row.version)?;
    // The SCIM user goes with the membership.
    member::remove(&tx, tenant, row.user_id, EndReason::Deprovisioned, platform.clock.now()).await?;
    let record: AuditRecord = provisioner.record("scim.user.delete", json!({})).target("user", row.user_id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(())
}
