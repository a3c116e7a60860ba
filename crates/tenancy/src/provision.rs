//! An organization with its people, made in one go from a description: `rivergen provision acme.toml`.
//!
//! Running it again changes nothing that exists: an organization is known by its name, a person by their
//! address. It is how a company brings its people in before SCIM does, and how demo and tests begin.
//!
//! [`make_owner`] is for the operator of an organization that has lost its owners: it raises who is a member already.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivergen_identity::{
    email_address, password,
    security::OrganizationSecurity,
    user::{NewUser, User, default_display_name},
};
use rivergen_kernel::{
    Attributes, BuiltInRole, Error, ErrorCode, OrganizationId, Result, RoleId, Secret, Tenant, UserId,
};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde::Deserialize;

use crate::{
    Tenancy,
    member::{
        self, NewMember, Source,
        assignment::{self, Grant},
    },
    organization::{self, NewOrganization},
    role,
};

/// The description, as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationFile {
    pub name: String,
    pub domain: Option<String>,
    #[serde(default = "main_workspace")]
    pub workspace: String,
    /// The first must be an Owner.
    pub people: Vec<Person>,
    /// What the organization asks of its members' sign-ins; written over what it asked before.
    pub security: Option<OrganizationSecurity>,
}

impl OrganizationFile {
    /// An organization with one person, who must be an Owner.
    pub fn of(name: String, owner: Person) -> Self {
        Self { name, domain: None, workspace: main_workspace(), people: vec![owner], security: None }
    }
}

/// Somebody who belongs to the organization. Their address counts as verified.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub email: String,
    pub display_name: Option<String>,
    /// Taken for a new account only.
    pub password: Option<Secret>,
    /// In place of a password: its hash by another system (bcrypt, or Argon2, scrypt, PBKDF2 in the PHC format).
    pub password_hash: Option<Secret>,
    pub role: BuiltInRole,
    /// What policies may name as `current_user_<key>`.
    #[serde(default)]
    pub attributes: Attributes,
}

/// What [`run`] found or made.
#[derive(Debug)]
pub struct Provisioned {
    pub organization_id: OrganizationId,
    pub people: BTreeMap<String, UserId>,
    /// Whether anything is new.
    pub created: bool,
}

fn main_workspace() -> String {
    "Main Workspace".to_owned()
}

/// Makes what is missing of the description, in one transaction.
pub async fn run(tenancy: &Tenancy, file: OrganizationFile) -> Result<Provisioned> {
    let identity = &tenancy.identity;
    let platform = &identity.platform;
    let Some(first) = file.people.first().filter(|person| person.role == BuiltInRole::Owner) else {
        return Err(Error::invalid_field("people", "the first person must be an Owner"));
    };
    let owner_email = email_address::normalise(&first.email, "people[0].email")?;

    // Hashing first: no transaction is open while cores work.
    let mut hashes = BTreeMap::new();
    for (index, person) in file.people.iter().enumerate() {
        let email = email_address::normalise(&person.email, &format!("people[{index}].email"))?;
        let is_name = |name: &String| !name.trim().is_empty() && name.chars().count() <= 255;
        if !person.display_name.as_ref().is_none_or(is_name) {
            return Err(Error::invalid_field(
                format!("people[{index}].display_name"),
                "must not be blank, and have 255 characters at most",
            ));
        }
        if User::find_by_email(platform.db.read(), &email).await?.is_some() {
            continue;
        }
        match (&person.password, &person.password_hash) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid_field(format!("people[{index}]"), "takes a password or its hash, not both"));
            }
            (Some(secret), None) => {
                password::check_policy(secret, &format!("people[{index}].password"), ErrorCode::InvalidPassword)?;
                hashes.insert(email, identity.passwords.hash(secret.clone()).await?);
            }
            (None, Some(hash)) => {
                let field = format!("people[{index}].password_hash");
                hashes.insert(email, password::import::import(hash.expose(), &field)?);
            }
            (None, None) => {}
        }
    }

    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let existing = lock_existing(&tx, &file.name).await?;
    let mut created = false;
    let mut people = BTreeMap::new();
    for person in &file.people {
        let email = email_address::normalise(&person.email, "email")?;
        let user = match User::find_by_email(tx.conn(), &email).await? {
            Some(user) => user,
            None => {
                created = true;
                let display_name = person.display_name.clone().unwrap_or_else(|| default_display_name(&email));
                let password_hash = hashes.remove(&email);
                let new = NewUser {
                    email: email.clone(),
                    display_name,
                    password_hash,
                    verified_at: Some(now),
                    terms_version: None,
                };
                new.insert(tx.conn(), now).await?
            }
        };
        people.insert(email, user.id());
    }
    let owner = people[&owner_email];
    let organization_id = match existing {
        Some(id) => id,
        None => {
            created = true;
            let new = NewOrganization {
                name: &file.name,
                domain: file.domain.as_deref().map(organization::normalise_domain).transpose()?,
                workspace_name: &file.workspace,
                is_personal: false,
                created_by: owner,
            };
            new.insert(&tx, now).await?.organization.id
        }
    };
    let roles = roles_of(&tx, organization_id).await?;
    // Index: memberships(organization_id, user_id), unique.
    let members: Vec<UserId> = member::Entity::find()
        .filter(member::Column::OrganizationId.eq(organization_id))
        .filter(member::Column::UserId.is_in(people.values().copied()))
        .all(tx.conn())
        .await?
        .into_iter()
        .map(|row| row.user_id)
        .collect();
    let mut records = Vec::new();
    for person in &file.people {
        let user_id = people[&email_address::normalise(&person.email, "email")?];
        if members.contains(&user_id) {
            continue;
        }
        created = true;
        let role_id = *roles.get(person.role.name()).ok_or_else(|| Error::internal("a built-in role is missing"))?;
        let new = NewMember {
            organization_id,
            user_id,
            role_id,
            source: Source::Provisioned,
            attributes: &person.attributes,
            by: None,
        };
        records.extend(new.add(&tx, &audit::Actor::system(), now).await?);
    }
    if let Some(wanted) = &file.security {
        created |= apply_security(&tx, organization_id, wanted, now).await?;
    }
    if created {
        let record = AuditRecord::new(Some(organization_id), audit::Actor::system(), "organization.provision")
            .target("organization", organization_id.0);
        records.push(record);
        audit::record_all(&tx, &platform.clock, records).await?;
        tx.publish(Event::OrganizationChanged(organization_id)).await?;
    }
    tx.commit().await?;
    Ok(Provisioned { organization_id, people, created })
}

/// The organization of the name, which stays as it is until the transaction ends. A deleted one still has its name, and
/// nobody is let into it.
async fn lock_existing(tx: &Transaction, name: &str) -> Result<Option<OrganizationId>> {
    let found = organization::Entity::find()
        .filter(organization::Column::NameKey.eq(organization::name_key(name)))
        .one(tx.conn())
        .await?;
    let Some(id) = found.map(|row| row.id) else { return Ok(None) };
    organization::lock(tx, Tenant::on_behalf_of(id)).await?;
    // As it is now, after whoever was before us.
    match organization::Entity::find_by_id(id).one(tx.conn()).await? {
        Some(row) if row.deleted_at.is_some() => Err(Error::new(ErrorCode::Conflict)
            .with_message(format!("The organization {name:?} is deleted; restore it first, or take another name."))),
        found => Ok(found.map(|row| row.id)),
    }
}

/// How somebody came to own an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// They are a member now, or the organization is new.
    Made,
    /// They were a member already, and had other roles, which they keep.
    Raised,
    /// They owned it already.
    Kept,
}

/// Makes an owner: as [`run`] does, and who is a member already gets the role beside those that they hold. `CONFLICT` for who
/// is suspended.
pub async fn make_owner(tenancy: &Tenancy, organization: &str, person: Person) -> Result<Ownership> {
    let email = email_address::normalise(&person.email, "email")?;
    let owner = Person { role: BuiltInRole::Owner, ..person };
    let made = run(tenancy, OrganizationFile::of(organization.to_owned(), owner)).await?;
    if made.created {
        return Ok(Ownership::Made);
    }
    let platform = &tenancy.identity.platform;
    let tenant = Tenant::on_behalf_of(made.organization_id);
    let user_id = *made.people.get(&email).ok_or_else(|| Error::internal("a person was lost on the way"))?;
    let by = audit::Actor::system();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    member::hold_active(&tx, tenant, user_id).await?;
    let role = role::built_in(tx.conn(), tenant, BuiltInRole::Owner).await?;
    // Index: role_assignments(user_id, organization_id).
    let held = assignment::Entity::find()
        .filter(assignment::Column::UserId.eq(user_id))
        .filter(assignment::Column::OrganizationId.eq(made.organization_id))
        .filter(assignment::Column::RoleId.eq(role.id))
        .filter(assignment::Column::WorkspaceId.is_null())
        .one(tx.conn())
        .await?;
    if let Some(held) = held {
        if held.expires_at.is_none() {
            return Ok(Ownership::Kept);
        }
        // What is held on loan is not held for good.
        held.take(&tx, &by, &platform.clock).await?;
    }
    let grant = Grant { tenant, user_id, role_id: role.id, workspace_id: None, expires_at: None };
    grant.give(&tx, &by, &platform.clock).await?;
    tx.commit().await?;
    Ok(Ownership::Raised)
}

/// Writes the settings down; answers whether they are others than before.
async fn apply_security(
    tx: &Transaction,
    organization_id: OrganizationId,
    wanted: &OrganizationSecurity,
    now: DateTime<Utc>,
) -> Result<bool> {
    let row = organization::Entity::find_by_id(organization_id).one(tx.conn()).await?;
    let row = row.ok_or_else(|| Error::internal("the organization is gone"))?;
    let before = row.security()?;
    // The grace period begins when the requirement is made, whatever the file says.
    let settings = wanted.clone().since(&before, now);
    if settings == before {
        return Ok(false);
    }
    let mut row = row.into_active_model();
    row.security = Set(Some(serde_json::to_value(&settings).map_err(Error::internal)?));
    row.updated_at = Set(now);
    row.update(tx.conn()).await?;
    Ok(true)
}

async fn roles_of(tx: &Transaction, organization_id: OrganizationId) -> Result<BTreeMap<String, RoleId>> {
    let rows = role::Entity::find().filter(role::Column::OrganizationId.eq(organization_id)).all(tx.conn()).await?;
    Ok(rows.into_iter().map(|row| (row.name, row.id)).collect())
}
