//! What organizations ask of their members' sign-ins.
//!
//! A person may belong to several organizations and has one account; so for what belongs to the account (its
//! password, its devices) the strictest of them counts, and for what belongs to a session the one that it stands in.

use chrono::{DateTime, Duration, Utc};
use ipnet::IpNet;
use rivergen_kernel::{Closed, OrganizationId, Proofs};
use serde::{Deserialize, Serialize};

use crate::{password::PasswordPolicy, session};

/// The settings of one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrganizationSecurity {
    /// Nothing of the organization is open to a session without a second factor.
    pub mfa_required: bool,
    /// How many days members have to set one up: from the requirement or from their joining, whichever is later.
    pub mfa_grace_days: u16,
    /// When the requirement was made; written by the server.
    pub mfa_required_since: Option<DateTime<Utc>>,
    /// How long a trusted device spares the second factor, in days; 0 forbids trusted devices.
    pub trusted_device_days: u16,
    pub password: PasswordPolicy,
    /// How long a token for this organization may live at most, in days; without it, for ever.
    pub max_token_days: Option<u16>,
    /// Nothing of the organization is open to a session that was not opened with a passkey; with the same days of grace.
    pub passkey_required: bool,
    /// When that requirement was made; written by the server.
    pub passkey_required_since: Option<DateTime<Utc>>,
    /// How long an access token lives at most that is issued for a session in the organization, in minutes.
    pub access_token_minutes: Option<u16>,
    /// How long a session in the organization may be idle, in minutes.
    pub session_idle_minutes: Option<u32>,
    /// How long a session in the organization lives at most, however much it is used, in minutes.
    pub session_max_minutes: Option<u32>,
    /// The networks that requests must come from; empty: all.
    pub allowed_networks: Vec<IpNet>,
}

impl Default for OrganizationSecurity {
    fn default() -> Self {
        Self {
            mfa_required: false,
            mfa_grace_days: 7,
            mfa_required_since: None,
            trusted_device_days: 30,
            password: PasswordPolicy::default(),
            max_token_days: None,
            passkey_required: false,
            passkey_required_since: None,
            access_token_minutes: None,
            session_idle_minutes: None,
            session_max_minutes: None,
            allowed_networks: Vec::new(),
        }
    }
}

impl OrganizationSecurity {
    /// With the times when its requirements were made: those before, or now.
    pub fn since(self, before: &Self, now: DateTime<Utc>) -> Self {
        let since = |is: bool, was: bool, then: Option<DateTime<Utc>>| is.then(|| then.filter(|_| was).unwrap_or(now));
        Self {
            mfa_required_since: since(self.mfa_required, before.mfa_required, before.mfa_required_since),
            passkey_required_since: since(
                self.passkey_required,
                before.passkey_required,
                before.passkey_required_since,
            ),
            ..self
        }
    }
}

/// What one organization asks of the sessions of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Demands {
    organization_id: OrganizationId,
    /// From when on a second factor is needed: the end of the grace period.
    mfa_from: Option<DateTime<Utc>>,
    passkey_from: Option<DateTime<Utc>>,
    access_token: Option<Duration>,
    idle: Option<Duration>,
    longest: Option<Duration>,
    networks: Vec<IpNet>,
}

/// What all of a person's organizations ask together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecurityPolicy {
    demands: Vec<Demands>,
    /// `None`: for somebody without an organization, whose devices are trusted for the usual time.
    trusted_device_days: Option<u16>,
    pub password: PasswordPolicy,
}

impl SecurityPolicy {
    /// Adds what one more organization asks of somebody who joined it then.
    pub fn add(&mut self, id: OrganizationId, security: &OrganizationSecurity, joined_at: DateTime<Utc>) {
        let grace = Duration::days(i64::from(security.mfa_grace_days));
        let after_grace = |since: Option<DateTime<Utc>>| since.map_or(joined_at, |since| since.max(joined_at)) + grace;
        let minutes = |minutes: u32| Duration::minutes(i64::from(minutes));
        self.demands.push(Demands {
            organization_id: id,
            mfa_from: security.mfa_required.then(|| after_grace(security.mfa_required_since)),
            passkey_from: security.passkey_required.then(|| after_grace(security.passkey_required_since)),
            access_token: security.access_token_minutes.map(|held| minutes(held.into())),
            idle: security.session_idle_minutes.map(minutes),
            longest: security.session_max_minutes.map(minutes),
            networks: security.allowed_networks.clone(),
        });
        let days = security.trusted_device_days;
        self.trusted_device_days = Some(self.trusted_device_days.map_or(days, |held| held.min(days)));
        self.password = self.password.stricter(&security.password);
    }

    /// How long a device may be trusted; zero where an organization forbids it.
    pub fn trusted_for(&self) -> Duration {
        let usual = OrganizationSecurity::default().trusted_device_days;
        Duration::days(i64::from(self.trusted_device_days.unwrap_or(usual)))
    }

    pub fn requires_mfa(&self) -> bool {
        self.mfa_required_by().next().is_some()
    }

    /// The organizations that require a second factor, in their grace period too.
    pub fn mfa_required_by(&self) -> impl Iterator<Item = OrganizationId> {
        self.demands.iter().filter(|demands| demands.mfa_from.is_some()).map(|demands| demands.organization_id)
    }

    fn of(&self, organization: OrganizationId) -> Option<&Demands> {
        self.demands.iter().find(|demands| demands.organization_id == organization)
    }

    /// Why the organization is closed by now to a request with such proofs.
    pub fn closes(&self, organization: OrganizationId, proofs: Proofs, now: DateTime<Utc>) -> Option<Closed> {
        let demands = self.of(organization)?;
        let is_due = |from: Option<DateTime<Utc>>| from.is_some_and(|from| now >= from);
        let is_inside = |net: &IpNet| proofs.ip.is_some_and(|ip| net.contains(&ip.to_canonical()));
        if !demands.networks.is_empty() && !demands.networks.iter().any(is_inside) {
            Some(Closed::Network)
        } else if is_due(demands.mfa_from) && !proofs.second_factor {
            Some(Closed::SecondFactor)
        } else if is_due(demands.passkey_from) && !proofs.passkey {
            Some(Closed::Passkey)
        } else {
            None
        }
    }

    /// When a session is over by the rules of the organization that it stands in, if nobody uses it again.
    pub fn end_of(&self, session: &session::Model) -> Option<DateTime<Utc>> {
        let demands = session.organization_id.and_then(|organization| self.of(organization))?;
        let idle = demands.idle.map(|idle| session.last_used_at + idle);
        let longest = demands.longest.map(|longest| session.created_at + longest);
        idle.into_iter().chain(longest).min()
    }

    /// How long an access token of the session lives at most.
    pub fn access_token_lifetime(&self, organization: Option<OrganizationId>, usual: Duration) -> Duration {
        let demands = organization.and_then(|organization| self.of(organization));
        demands.and_then(|demands| demands.access_token).map_or(usual, |most| most.min(usual))
    }
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::Federation;

    use super::*;

    #[test]
    fn the_strictest_counts() {
        let now = Utc::now();
        let mut policy = SecurityPolicy::default();
        assert_eq!(policy.trusted_for(), Duration::days(30));
        policy.add(OrganizationId(1), &OrganizationSecurity::default(), now);
        let strict = OrganizationSecurity {
            trusted_device_days: 0,
            password: PasswordPolicy { min_length: 14, ..PasswordPolicy::default() },
            ..OrganizationSecurity::default()
        };
        policy.add(OrganizationId(2), &strict, now);
        assert_eq!((policy.trusted_for(), policy.password.min_length), (Duration::zero(), 14));
    }

    #[test]
    fn grace_begins_with_the_requirement_or_with_joining() {
        let (long_ago, now) = (Utc::now() - Duration::days(100), Utc::now());
        let requiring = OrganizationSecurity {
            mfa_required: true,
            mfa_required_since: Some(now),
            ..OrganizationSecurity::default()
        };
        for (joined, since) in [(long_ago, now), (now, long_ago)] {
            let mut policy = SecurityPolicy::default();
            let settings = OrganizationSecurity { mfa_required_since: Some(since), ..requiring.clone() };
            policy.add(OrganizationId(1), &settings, joined);
            let nothing = Proofs { second_factor: false, passkey: false, trusted_device: false, ip: None, federation: Federation::No };
            let closes = |id, days| policy.closes(OrganizationId(id), nothing, now + Duration::days(days));
            assert_eq!((closes(1, 6), closes(1, 7), closes(2, 7)), (None, Some(Closed::SecondFactor), None));
        }
    }
}
