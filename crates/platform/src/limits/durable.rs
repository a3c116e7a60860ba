//! Limits that survive a restart and hold for all nodes together: of sign-ins with a password, sign-ups, invitations and mails.
//!
//! The state is the same one number as in memory, when the key would be full again, as a row. It is read before the
//! work and written in the work's own transaction ([`Uses::keep`]); in between, this node's memory bounds what comes at
//! the same moment.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rivergen_kernel::{Result, TokenHash};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Alias, Expr, ExprTrait, OnConflict},
};

use super::{Limited, Limits, Rule};
use crate::{Platform, Transaction};

/// One row for each key that is not full.
pub(crate) mod state {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rate_limits")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub rule: String,
        /// SHA-256 in hexadecimal: addresses are nobody's business in a dump of the table.
        #[sea_orm(primary_key, auto_increment = false)]
        pub key_hash: String,
        /// Microseconds since the epoch.
        pub full_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Uses that were allowed and are still to be written down.
#[must_use = "what is not kept does not count after a restart"]
pub struct Uses(Vec<Use>);

struct Use {
    /// One that is bounded, with the numbers that hold.
    rule: Rule,
    key_hash: String,
    now: DateTime<Utc>,
}

impl Platform {
    /// Uses each rule once for its key, in memory and as it stands in the database; or says how long to wait.
    pub async fn check_limits(&self, wanted: &[(&Rule, &str)]) -> Result<Uses> {
        self.limits.check_durably(self.db.read(), wanted).await
    }
}

impl Limits {
    /// As [`Platform::check_limits`].
    pub async fn check_durably(&self, db: &impl ConnectionTrait, wanted: &[(&Rule, &str)]) -> Result<Uses> {
        for (rule, key) in wanted {
            self.check(rule, key)?;
        }
        let now = self.clock.now();
        let uses = wanted.iter().filter_map(|(rule, key)| Some(Use::new(self.bounded(rule)?, key, now)));
        let uses: Vec<Use> = uses.collect();
        if uses.is_empty() {
            return Ok(Uses(uses));
        }
        let any = uses.iter().fold(Condition::any(), |any, one| {
            let this = Condition::all()
                .add(state::Column::Rule.eq(one.rule.name))
                .add(state::Column::KeyHash.eq(one.key_hash.as_str()));
            any.add(this)
        });
        // The primary key is (rule, key_hash).
        let rows = state::Entity::find().filter(any).all(db).await?;
        for one in &uses {
            let row = rows.iter().find(|row| row.rule == one.rule.name && row.key_hash == one.key_hash);
            one.allowed(row.map(|row| row.full_at))?;
        }
        Ok(Uses(uses))
    }

    /// The rule with the numbers that hold, where its uses are bounded, and so written down.
    fn bounded(&self, rule: &Rule) -> Option<Rule> {
        let (limit, per) = self.numbers(rule);
        (self.config.enabled && limit > 0 && !per.is_zero()).then_some(Rule { limit, per, ..*rule })
    }

    /// The keys of one rule as they stand in the database, to be checked each for itself: of many addresses in one call, one
    /// that is over the limit holds nothing up for the others.
    pub async fn each(&self, db: &impl ConnectionTrait, rule: &Rule, keys: &[&str]) -> Result<Each<'_>> {
        let bounded = self.bounded(rule);
        let mut full_at = HashMap::new();
        if bounded.is_some() && !keys.is_empty() {
            // The primary key is (rule, key_hash).
            let rows = state::Entity::find()
                .filter(state::Column::Rule.eq(rule.name))
                .filter(state::Column::KeyHash.is_in(keys.iter().map(|key| hash(key))))
                .all(db)
                .await?;
            full_at.extend(rows.into_iter().map(|row| (row.key_hash, row.full_at)));
        }
        Ok(Each { limits: self, rule: *rule, bounded, now: self.clock.now(), full_at, uses: BTreeMap::new() })
    }
}

/// What [`Limits::each`] answers.
pub struct Each<'a> {
    limits: &'a Limits,
    rule: Rule,
    bounded: Option<Rule>,
    now: DateTime<Utc>,
    /// By the hashes of keys.
    full_at: HashMap<String, i64>,
    /// By key: all transactions write theirs in one order, and none waits for another in a circle.
    uses: BTreeMap<String, Use>,
}

impl Each<'_> {
    /// Uses the rule for one of the keys, which is used once; or says how long to wait.
    pub fn check(&mut self, key: &str) -> Result<(), Limited> {
        self.limits.check(&self.rule, key)?;
        let Some(rule) = self.bounded else { return Ok(()) };
        let one = Use::new(rule, key, self.now);
        one.allowed(self.full_at.get(&one.key_hash).copied())?;
        self.uses.insert(key.to_owned(), one);
        Ok(())
    }

    /// Those that were allowed, and of whose keys something came.
    pub fn uses_of(self, came: impl Fn(&str) -> bool) -> Uses {
        Uses(self.uses.into_iter().filter(|(key, _)| came(key)).map(|(_, one)| one).collect())
    }
}

impl Use {
    fn new(rule: Rule, key: &str, now: DateTime<Utc>) -> Self {
        Self { rule, key_hash: hash(key), now }
    }

    /// The time in which one use is regained.
    fn cost(&self) -> i64 {
        micros(self.rule.per) / i64::from(self.rule.limit)
    }

    /// Whether there is one more, where the key would be full again then.
    fn allowed(&self, full_at: Option<i64>) -> Result<(), Limited> {
        let now = self.now.timestamp_micros();
        let full_at = full_at.map_or(now, |at| std::cmp::max(at, now));
        let wait = full_at + self.cost() - micros(self.rule.per) - now;
        if wait <= 0 {
            return Ok(());
        }
        let wait = Duration::from_micros(wait.unsigned_abs());
        let reset_at = self.now + Duration::from_micros((full_at - now).unsigned_abs());
        Err(Limited { rule: self.rule.name, limit: self.rule.limit, reset_at, retry_after: wait })
    }
}

impl Uses {
    /// Writes them down, in the transaction of what they were for.
    pub async fn keep(self, tx: &Transaction) -> Result<()> {
        let Some(now) = self.0.first().map(|one| one.now.timestamp_micros()) else { return Ok(()) };
        let rows = self.0.into_iter().map(|one| state::ActiveModel {
            rule: Set(one.rule.name.to_owned()),
            full_at: Set(now + one.cost()),
            key_hash: Set(one.key_hash),
        });
        // A bucket that is not full moves on by what the use costs; one that is full begins now.
        let stored = || Expr::col((state::Entity, state::Column::FullAt));
        let wanted = || Expr::col((Alias::new("excluded"), state::Column::FullAt));
        let later = Expr::case(stored().gt(now), stored().add(wanted()).sub(now)).finally(wanted());
        let onto = OnConflict::columns([state::Column::Rule, state::Column::KeyHash])
            .value(state::Column::FullAt, later)
            .to_owned();
        state::Entity::insert_many(rows).on_conflict(onto).exec_without_returning(tx.conn()).await?;
        Ok(())
    }
}

fn hash(key: &str) -> String {
    hex::encode(TokenHash::of(key).0)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
