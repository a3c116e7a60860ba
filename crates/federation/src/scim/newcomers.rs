//! People whom an identity provider pushes and nobody here knows yet. A first push brings a whole company within minutes, so
//! those who come while others are being let in wait for each other, and then come in together:
//!
//! ```text
//! request ─▶ wait ─┬─ nobody at work: work off ─▶ one transaction: accounts, memberships, SCIM users, records ─▶ answers
//! request ─▶ wait ─┘                    ▲──────── those who came meanwhile ──────────────────────────────────┘
//! ```
//!
//! PostgreSQL is sent as few statements as there are answers to wait for, however many come in:
//!
//! ```text
//! begin ─▶ which addresses are known ─▶ accounts ─▶ memberships ─▶ addresses, words, roles, SCIM users │ who was invited
//!       ─▶ the head of the audit log ─▶ records, new head ─▶ notice to the nodes ─▶ commit
//! ```
//!
//! Nobody waits who is alone. Of several the statements, the chain of the audit log and the commit are one person's, and
//! each is answered when that commit has been made. Where one of them cannot come in, nobody does, and each tries by
//! themselves: only who is wrong is refused.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rivergen_identity::user::{NewUser, User, address, default_display_name};
use rivergen_kernel::{Attributes, Error, ErrorCode, OrganizationId, RoleId};
use rivergen_platform::{
    Event, Kept, Transaction,
    audit::{self, Actor, AuditRecord},
    bus::Bus,
    db::Writes,
};
use rivergen_tenancy::{
    domain, invitation,
    member::{self, Joining, NewMember, Source},
    organization::{self, settings::Intake},
};
use sea_orm::{EntityTrait, QueryTrait};
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    answer::Shown,
    config,
    error::Result,
    http::Provisioner,
    user::{self, Pushed, follow, taken},
};
use crate::sign_in::roles::of_newcomers;

/// Of one transaction.
const MOST: usize = 64;

/// What became of somebody: `None` where their address has an account already.
type Outcome = Result<Option<Shown>>;

/// Those who are about to come in; cheap to clone.
#[derive(Clone)]
pub struct Newcomers {
    waiting: Queues<Key, Waiting>,
    /// Until something of the organization changes, as with the tokens.
    welcomes: Kept<WelcomeKey, Arc<Welcome>>,
}

/// An organization, and the role that a configuration of it gives.
type WelcomeKey = (OrganizationId, Option<RoleId>);

fn welcome_of(config: &config::Model) -> WelcomeKey {
    (config.organization_id, config.default_role_id)
}

/// A configuration, and the role that it gave when the request came.
type Key = (i64, Option<RoleId>);

struct Waiting {
    person: Arc<Pushed>,
    tell: oneshot::Sender<Outcome>,
}

/// How an organization takes in whom an identity provider brings.
struct Welcome {
    intake: Intake,
    role_id: RoleId,
    /// The domains that it has proved: it speaks for their addresses.
    domains: BTreeSet<String>,
}

impl Newcomers {
    pub fn new(bus: &Bus) -> Self {
        let a_minute = Duration::from_secs(60);
        let until = |key: &WelcomeKey, _: &Arc<Welcome>| vec![Event::OrganizationChanged(key.0)];
        Self { waiting: Queues::default(), welcomes: Kept::new(bus, 10_000, a_minute, until) }
    }

    /// Lets somebody in, with whoever waits; `None` where their address has an account already.
    pub async fn admit(&self, person: &Arc<Pushed>) -> Outcome {
        let config = &person.provisioner.config;
        let key = (config.id, config.default_role_id);
        let (tell, told) = oneshot::channel();
        if self.waiting.join(key, Waiting { person: person.clone(), tell }) {
            tokio::spawn(self.clone().work_off(key));
        }
        match told.await {
            Ok(outcome) => outcome,
            // Nobody came in, or they could not come in together with the others.
            Err(_) => {
                let outcome = self.together(std::slice::from_ref(person)).await?.pop().flatten();
                outcome.ok_or_else(|| Error::internal("somebody was not let in"))?
            }
        }
    }

    /// What is known of how the organization takes people in is read again for whoever comes next.
    pub fn forget(&self, config: &config::Model) {
        self.welcomes.forget(&welcome_of(config));
    }

    /// Lets in whoever waits, until nobody does.
    async fn work_off(self, key: Key) {
        while let Some(mut batch) = self.waiting.next(key) {
            // In one order, so that of two nodes one waits for the other.
            batch.sort_by(|a, b| a.person.facts.address.cmp(&b.person.facts.address));
            let (people, waiting): (Vec<_>, Vec<_>) = batch.into_iter().map(|one| (one.person, one.tell)).unzip();
            // In a task of its own: a panic there leaves nobody waiting.
            let newcomers = self.clone();
            let outcomes = match tokio::spawn(async move { newcomers.together(&people).await }).await {
                Ok(Ok(outcomes)) => outcomes,
                Ok(Err(error)) if waiting.len() == 1 => vec![Some(Err(error))],
                Ok(Err(_)) | Err(_) => continue,
            };
            for (tell, outcome) in waiting.into_iter().zip(outcomes) {
                if let Some(outcome) = outcome {
                    // Nobody hears it who has hung up meanwhile.
                    let _ = tell.send(outcome);
                }
            }
        }
    }

    /// Lets all of them in or, where that fails, nobody. Answers in their order what became of each: nothing yet of who has a
    /// name in common with one before.
    async fn together(&self, people: &[Arc<Pushed>]) -> Result<Vec<Option<Outcome>>> {
        let Some(first) = people.first() else { return Ok(Vec::new()) };
        let provisioner = &first.provisioner;
        let platform = provisioner.platform();
        let welcome = self.welcome(provisioner).await?;
        let tx = platform.db.begin().await?;
        if people.iter().any(|person| !person.is_active()) {
            // Whose membership is deactivated at once: it is locked for that, and so before anything that others may wait for.
            organization::lock(&tx, provisioner.tenant()).await?;
        }
        let addresses: Vec<&str> = people.iter().map(|person| person.facts.address.as_str()).collect();
        let known = User::known_among(tx.conn(), &addresses).await?;

        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(people.len());
        let mut names: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut admitted: Vec<(usize, &Pushed)> = Vec::new();
        for (at, person) in people.iter().enumerate() {
            outcomes.push(match welcome.intake.allow(&person.facts.address) {
                _ if known.get(&person.facts.address) == Some(&true) => Some(Ok(None)),
                Err(error) => Some(Err(error.into())),
                Ok(()) => {
                    if person.facts.names().all(|name| !names.contains(&name)) {
                        names.extend(person.facts.names());
                        admitted.push((at, &**person));
                    }
                    None
                }
            });
        }
        if admitted.is_empty() {
            return Ok(outcomes);
        }
        let (places, admitted): (Vec<usize>, Vec<&Pushed>) = admitted.into_iter().unzip();
        let unproven = admitted.iter().map(|person| person.facts.address.as_str());
        let unproven: Vec<&str> = unproven.filter(|address| known.contains_key(*address)).collect();
        if !unproven.is_empty() {
            address::free_unproven(tx.conn(), &unproven).await?;
        }
        let (shown, records) = let_in(&tx, &welcome, provisioner, &admitted).await?;
        audit::record_all(&tx, &platform.clock, records).await?;
        tx.commit().await?;
        for (at, shown) in places.into_iter().zip(shown) {
            if let Some(outcome) = outcomes.get_mut(at) {
                *outcome = Some(Ok(Some(shown)));
            }
        }
        Ok(outcomes)
    }

    /// Read outside of the transaction, which needs no second connection then.
    async fn welcome(&self, provisioner: &Provisioner) -> Result<Arc<Welcome>> {
        let (db, tenant) = (provisioner.platform().db.read(), provisioner.tenant());
        let key = welcome_of(&provisioner.config);
        let (_, chosen) = key;
        let load = async {
            let found = organization::Entity::find_by_id(tenant.organization_id()).one(db).await?;
            let intake = found.ok_or(ErrorCode::OrgNotFound)?.intake()?;
            let role_id = of_newcomers(db, tenant, &intake, chosen).await?.id;
            let domains = domain::verified(db, tenant).await?;
            Ok(Arc::new(Welcome { intake, role_id, domains }))
        };
        Ok(self.welcomes.get_or_load(key, load).await?)
    }
}

/// Accounts, memberships and SCIM users of people whose addresses and names nobody has; with the records of it, to be written
/// last. Only what gives others an id is a statement of its own.
async fn let_in(
    tx: &Transaction,
    welcome: &Welcome,
    provisioner: &Provisioner,
    people: &[&Pushed],
) -> Result<(Vec<Shown>, Vec<AuditRecord>)> {
    let (tenant, now) = (provisioner.tenant(), provisioner.platform().clock.now());
    let mut writes = Writes::default();
    let new = people.iter().map(|Pushed { facts, .. }| {
        let is_proved = domain::of_address(&facts.address).is_some_and(|domain| welcome.domains.contains(&domain));
        NewUser {
            email: facts.address.clone(),
            display_name: facts.display_name.clone().unwrap_or_else(|| default_display_name(&facts.address)),
            // They sign in with the identity provider.
            password_hash: None,
            verified_at: is_proved.then_some(now),
            terms_version: None,
        }
    });
    let new: Vec<NewUser> = new.collect();
    let accounts = NewUser::insert_all(&new, tx.conn(), now, &mut writes).await?;

    let attributes = Attributes::default();
    let actors: Vec<Actor> = people.iter().map(|person| person.provisioner.actor()).collect();
    let joining = people.iter().zip(&accounts).zip(&actors).map(|((person, account), actor)| Joining {
        new: NewMember {
            organization_id: tenant.organization_id(),
            user_id: account.id,
            role_id: welcome.role_id,
            source: Source::Scim,
            attributes: &attributes,
            by: None,
        },
        name: &account.display_name,
        email: &person.facts.address,
        scim_active: Some(person.is_active()),
        actor,
    });
    let joining: Vec<Joining<'_>> = joining.collect();
    let (members, mut records) = member::add_all(tx, tenant, &joining, now, &mut writes).await?;

    let rows: Vec<user::Model> = people.iter().zip(&members).map(|(person, member)| person.row(member, now)).collect();
    let base = provisioner.base();
    let shown: Vec<Shown> = rows.iter().map(|row| row.shown(&base, &[])).collect();
    writes.add(user::Entity::insert_many(rows.into_iter().map(user::Model::inserted)).into_query());

    let addresses: Vec<&str> = people.iter().map(|person| person.facts.address.as_str()).collect();
    let inviting = invitation::inviting(tenant, &addresses);
    // Somebody took an address or a name at this moment, where it is taken.
    let invited = writes.send_and_read(tx, inviting).await.map_err(taken)?;
    records.extend(invitation::end_joined(tx, invited, now).await?);
    for (person, member) in people.iter().zip(&members) {
        let standing = follow(tx, tenant, member, person.is_active(), now).await?;
        let details = json!({"account_is_new": true, "profile_changed": false, "status_changed": standing});
        let record = person.provisioner.record("scim.user.create", details);
        records.push(record.target("user", member.user_id.0));
    }
    Ok((shown, records))
}

/// What waits for the same, by what that is.
struct Queues<K, T>(Arc<Mutex<HashMap<K, Vec<T>>>>);

impl<K, T> Clone for Queues<K, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, T> Default for Queues<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq + Copy, T> Queues<K, T> {
    fn waiting(&self) -> MutexGuard<'_, HashMap<K, Vec<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers whether nobody is at work on that queue: whoever hears so must be.
    fn join(&self, key: K, one: T) -> bool {
        let mut waiting = self.waiting();
        match waiting.get_mut(&key) {
            Some(queue) => {
                queue.push(one);
                false
            }
            None => {
                waiting.insert(key, vec![one]);
                true
            }
        }
    }

    /// The first ones who wait: a power of two, so that the database is sent few statements that differ by their length
    /// alone. `None`, and nobody is at work any more, where nobody waits.
    fn next(&self, key: K) -> Option<Vec<T>> {
        let mut waiting = self.waiting();
        let queue = waiting.get_mut(&key)?;
        let Some(log) = queue.len().checked_ilog2() else {
            waiting.remove(&key);
            return None;
        };
        let rest = queue.split_off(MOST.min(1 << log));
        Some(std::mem::replace(queue, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_are_taken_in_powers_of_two() {
        let queues = Queues::default();
        assert!(queues.join("a", 0), "nobody is at work");
        assert!(queues.join("b", 100), "another queue is another's work");
        assert_eq!(queues.next("a"), Some(vec![0]));
        for one in 1..=7 {
            assert!(!queues.join("a", one), "somebody is at work");
        }
        assert_eq!(queues.next("a"), Some(vec![1, 2, 3, 4]));
        assert_eq!(queues.next("a"), Some(vec![5, 6]));
        assert_eq!(queues.next("a"), Some(vec![7]));
        assert_eq!(queues.next("a"), None);
        assert!(queues.join("a", 8), "whoever was at work has gone");
        for one in 0..1_000 {
            queues.join("a", one);
        }
        assert_eq!(queues.next("a").map(|batch| batch.len()), Some(MOST));
        assert_eq!(queues.next("b"), Some(vec![100]));
    }
}
