//! What organizations ask of their members' sign-ins.
//!
//! A person may belong to several organizations and has one account; so for what belongs to the account (its
//! password, its devices) the strictest of them counts, and for what belongs to a session the one that it stands in.

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::OrganizationId;
use serde::{Deserialize, Serialize};

use crate::password::PasswordPolicy;

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
        }
    }
}

/// One organization's demand for a second factor, of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MfaRequirement {
    pub organization_id: OrganizationId,
    /// The end of the grace period.
    pub from: DateTime<Utc>,
}

/// What all of a person's organizations ask together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecurityPolicy {
    pub mfa_required_by: Vec<MfaRequirement>,
    /// `None`: for somebody without an organization, whose devices are trusted for the usual time.
    trusted_device_days: Option<u16>,
    pub password: PasswordPolicy,
}

impl SecurityPolicy {
    /// Adds what one more organization asks of somebody who joined it then.
    pub fn add(&mut self, id: OrganizationId, security: &OrganizationSecurity, joined_at: DateTime<Utc>) {
        if security.mfa_required {
            let since = security.mfa_required_since.map_or(joined_at, |since| since.max(joined_at));
            let from = since + Duration::days(i64::from(security.mfa_grace_days));
            self.mfa_required_by.push(MfaRequirement { organization_id: id, from });
        }
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
        !self.mfa_required_by.is_empty()
    }

    /// Whether the organization is closed by now to a session without a second factor.
    pub fn demands_mfa(&self, organization: OrganizationId, now: DateTime<Utc>) -> bool {
        self.mfa_required_by.iter().any(|by| by.organization_id == organization && now >= by.from)
    }
}

#[cfg(test)]
mod tests {
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
            assert!(!policy.demands_mfa(OrganizationId(1), now + Duration::days(6)));
            assert!(policy.demands_mfa(OrganizationId(1), now + Duration::days(7)));
            assert!(!policy.demands_mfa(OrganizationId(2), now + Duration::days(7)));
        }
    }
}
