//! Rate limits: how often a key (an address, a person, an organization) may do a thing.
//!
//! A [`Rule`] allows `limit` uses at once and regains them evenly over `per` (GCRA: the whole state of a
//! key is one number, when it would be full again). So "5 per 15 minutes" means five at once, then one
//! more every three minutes, and a fresh five after 15 quiet minutes.
//!
//! State is in this node's memory and bounded: keys that are not used fall out, and a flood of new keys
//! cannot push out the busy ones, because the cache admits by frequency. Limits that must survive a restart and hold
//! for all nodes stand in the database as well ([`durable`]).

pub mod durable;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use governor::{Quota, RateLimiter, middleware::StateInformationMiddleware, nanos::Nanos, state::StateStore};
use rivergen_kernel::{Error, ErrorCode, error::ExhaustedLimit};
use serde::{Deserialize, Serialize};

use crate::Clock;

/// How many keys each rule remembers at most.
const KEYS_PER_RULE: u64 = 100_000;

/// A limit by name; the configuration can change its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub name: &'static str,
    /// Uses at once, and per `per`. Zero forbids.
    pub limit: u32,
    pub per: Duration,
}

impl Rule {
    pub const fn new(name: &'static str, limit: u32, per: Duration) -> Self {
        Self { name, limit, per }
    }
}

/// Sign-ins from one address.
pub const LOGIN_BY_IP: Rule = Rule::new("login_by_ip", 5, Duration::from_secs(15 * 60));
/// Sign-ins to one account, from wherever.
pub const LOGIN_BY_EMAIL: Rule = Rule::new("login_by_email", 5, Duration::from_secs(15 * 60));
/// New accounts from one address.
pub const SIGNUP_BY_IP: Rule = Rule::new("signup_by_ip", 3, Duration::from_secs(5 * 60));
/// Everything, for a caller with no more than a standard plan; anonymous callers count by address.
pub const GENERAL: Rule = Rule::new("general", 100, Duration::from_secs(60));
/// Everything, for administrators.
pub const GENERAL_ADMIN: Rule = Rule::new("general_admin", 1000, Duration::from_secs(60));

/// What the configuration says: `[limits]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// `false` lets everything pass: for benchmarks and load tests.
    pub enabled: bool,
    /// Other numbers for rules, by their name.
    pub rules: BTreeMap<String, RuleConfig>,
}

/// `login_by_ip = { limit = 5, per_seconds = 900 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    pub limit: u32,
    pub per_seconds: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { enabled: true, rules: BTreeMap::new() }
    }
}

/// A use that was allowed, and what is left: the `X-RateLimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub limit: u32,
    pub remaining: u32,
    /// When the whole limit is free again, if nothing more is used.
    pub reset_at: DateTime<Utc>,
}

/// A use that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the limit {rule} of {limit}; free again in {retry_after:?}")]
pub struct Limited {
    pub rule: &'static str,
    pub limit: u32,
    pub reset_at: DateTime<Utc>,
    /// Until the next use is free.
    pub retry_after: Duration,
}

impl Limited {
    /// What the headers say of it.
    pub fn allowance(&self) -> Allowance {
        Allowance { limit: self.limit, remaining: 0, reset_at: self.reset_at }
    }
}

impl From<Limited> for Error {
    fn from(limited: Limited) -> Self {
        // `Retry-After` has whole seconds: rounded up, or who obeys it comes too early.
        let seconds = limited.retry_after.as_nanos().div_ceil(1_000_000_000);
        let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
        let exhausted = ExhaustedLimit { limit: limited.limit, reset_at: limited.reset_at };
        Error::new(ErrorCode::RateLimited).with_retry_after(wait).with_exhausted(exhausted).with_source(limited)
    }
}

/// All limits of this node.
pub struct Limits {
    clock: Clock,
    config: LimitsConfig,
    /// One limiter for each rule that was asked for, made at its first use.
    limiters: RwLock<HashMap<&'static str, Arc<Limiter>>>,
}

impl Limits {
    /// With the numbers of the rules themselves.
    pub fn new(clock: Clock) -> Self {
        Self::with_config(clock, LimitsConfig::default())
    }

    pub fn with_config(clock: Clock, config: LimitsConfig) -> Self {
        Self { clock, config, limiters: RwLock::default() }
    }

    /// Everything passes.
    pub fn disabled(clock: Clock) -> Self {
        Self::with_config(clock, LimitsConfig { enabled: false, ..LimitsConfig::default() })
    }

    /// Uses the rule once for `key`, or says how long to wait.
    pub fn check(&self, rule: &Rule, key: &str) -> Result<Allowance, Limited> {
        let now = self.clock.now();
        let (limit, per) = self.numbers(rule);
        if !self.config.enabled || per.is_zero() {
            return Ok(Allowance { limit, remaining: limit, reset_at: now });
        }
        let refused = |retry_after: Duration, reset: Duration| Limited {
            rule: rule.name,
            limit,
            reset_at: now + reset,
            retry_after,
        };
        let Some(burst) = NonZeroU32::new(limit) else { return Err(refused(per, per)) };

        let limiter = self.limiter(rule.name, burst, per);
        let one = per / limit;
        match limiter.check_key(&key.to_owned()) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Ok(Allowance { limit, remaining, reset_at: now + one * (limit - remaining) })
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(governor::clock::Clock::now(limiter.clock()));
                // What must be regained before it is full: the use that it waits for, and all others.
                Err(refused(wait, wait + one * (limit - 1)))
            }
        }
    }

    /// The rule's own numbers, or those of the configuration.
    fn numbers(&self, rule: &Rule) -> (u32, Duration) {
        match self.config.rules.get(rule.name) {
            Some(config) => (config.limit, Duration::from_secs(config.per_seconds)),
            None => (rule.limit, rule.per),
        }
    }

    fn limiter(&self, name: &'static str, burst: NonZeroU32, per: Duration) -> Arc<Limiter> {
        let read = self.limiters.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(limiter) = read.get(name) {
            return limiter.clone();
        }
        drop(read);
        let mut write = self.limiters.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        write
            .entry(name)
            .or_insert_with(|| {
                // Never zero: `per` is not, and the limit is below 2^32.
                let one = (per / burst.get()).max(Duration::from_nanos(1));
                let quota = Quota::with_period(one).unwrap_or(Quota::per_hour(NonZeroU32::MIN)).allow_burst(burst);
                Arc::new(Limiter::new(quota, Keys::new(per), LimitClock(self.clock.clone())))
            })
            .clone()
    }
}

/// The key under which an address counts: IPv6 by its /64, which one customer owns whole.
pub fn ip_key(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

type Limiter = RateLimiter<String, Keys, LimitClock, StateInformationMiddleware>;

/// Our clock as `governor` reads it: the time since the epoch.
struct LimitClock(Clock);

impl governor::clock::Clock for LimitClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let now = self.0.now();
        Duration::from_micros(u64::try_from(now.timestamp_micros()).unwrap_or(0))
    }
}

/// The state of each key, in a cache of bounded size. A key that was not used for as long as the rule
/// looks back is as good as new, so dropping it changes nothing.
struct Keys(moka::sync::Cache<String, Arc<AtomicU64>>);

impl Keys {
    fn new(per: Duration) -> Self {
        Self(moka::sync::Cache::builder().max_capacity(KEYS_PER_RULE).time_to_idle(per).build())
    }
}

impl StateStore for Keys {
    type Key = String;

    fn measure_and_replace<T, F, E>(&self, key: &String, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // Zero: never used.
        let state = self.0.get_with_by_ref(key, || Arc::new(AtomicU64::new(0)));
        let mut seen = state.load(Ordering::Acquire);
        loop {
            let known = (seen != 0).then(|| Nanos::from(seen));
            let (outcome, next) = decide(known)?;
            match state.compare_exchange_weak(seen, next.as_u64(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(outcome),
                Err(other) => seen = other,
            }
        }
    }
}
