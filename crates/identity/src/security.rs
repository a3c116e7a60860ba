//! What organizations ask of their members' sign-ins.
//!
//! A person may belong to several organizations and has one account; so for what belongs to the account (its
//! password, its devices) the strictest of them counts, and for what belongs to a session the one that it stands in.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use ipnet::IpNet;
use rivergen_kernel::{Closed, Federation, OrganizationId, Proofs, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// How long after its activation a trusted device spares the second factor, in days; 0 forbids trusted devices.
    pub trusted_device_days: u16,
    pub password: PasswordPolicy,
    /// How long a token for this organization may live at most, in days; without it, for ever. One that is older is good for
    /// nothing, whenever it was made.
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

/// How far an organization has gone in requiring something of its members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnforcementMode {
    #[default]
    Off,
    /// Sign-ins without it pass, and are told of it.
    Warn,
    /// After the time of grace, nothing is open without it.
    Required,
}

/// What an organization enforces of single sign-on, and announces of second factors. That it requires a second factor stands
/// in [`OrganizationSecurity`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Enforcement {
    pub sso_mode: EnforcementMode,
    /// Whether second factors are announced.
    pub mfa_announced: bool,
    pub effective_at: Option<DateTime<Utc>>,
    pub grace_period_days: u16,
    /// Who may come in without the identity provider: the way back in.
    pub exempt_user_ids: Vec<UserId>,
    pub updated_by_user_id: Option<UserId>,
    pub updated_at: Option<DateTime<Utc>>,
    /// When each kind of notice went out to everybody.
    pub notified_at: BTreeMap<String, DateTime<Utc>>,
}

impl Enforcement {
    /// From when on the organization is closed without single sign-on: the end of the grace period.
    pub fn sso_deadline(&self) -> Option<DateTime<Utc>> {
        let effective_at = self.effective_at.filter(|_| self.sso_mode == EnforcementMode::Required)?;
        Some(effective_at + Duration::days(i64::from(self.grace_period_days)))
    }

    pub fn exempts(&self, user: UserId) -> bool {
        self.exempt_user_ids.contains(&user)
    }
}

/// What one organization asks of the sessions of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Demands {
    organization_id: OrganizationId,
    /// From when on a second factor is needed: the end of the grace period.
    mfa_from: Option<DateTime<Utc>>,
    /// From when on the organization's identity provider must have opened the session.
    sso_from: Option<DateTime<Utc>>,
    /// From when on this member is exempt from that.
    exempt_from: Option<DateTime<Utc>>,
    /// From when on sign-ins are told that single sign-on is wanted, and a second factor.
    sso_announced_from: Option<DateTime<Utc>>,
    mfa_announced_from: Option<DateTime<Utc>>,
    passkey_from: Option<DateTime<Utc>>,
    access_token: Option<Duration>,
    idle: Option<Duration>,
    longest: Option<Duration>,
    networks: Vec<IpNet>,
    max_token_days: Option<u16>,
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
    /// Adds what one more organization asks of a member who joined it then.
    pub fn add(
        &mut self,
        id: OrganizationId,
        security: &OrganizationSecurity,
        enforcement: &Enforcement,
        user: UserId,
        joined_at: DateTime<Utc>,
    ) {
        let grace = Duration::days(i64::from(security.mfa_grace_days));
        let after_grace = |since: Option<DateTime<Utc>>| since.map_or(joined_at, |since| since.max(joined_at)) + grace;
        let minutes = |minutes: u32| Duration::minutes(i64::from(minutes));
        let deadline = enforcement.sso_deadline();
        let is_exempt = enforcement.exempts(user);
        let mfa_from = security.mfa_required.then(|| after_grace(security.mfa_required_since));
        // Who may come in without the identity provider proves it twice.
        let mfa_of_exempt = deadline.filter(|_| is_exempt);
        self.demands.push(Demands {
            organization_id: id,
            mfa_from: mfa_from.into_iter().chain(mfa_of_exempt).min(),
            sso_from: deadline.filter(|_| !is_exempt),
            exempt_from: deadline.filter(|_| is_exempt),
            sso_announced_from: enforcement
                .effective_at
                .filter(|_| enforcement.sso_mode != EnforcementMode::Off && !is_exempt),
            mfa_announced_from: enforcement.effective_at.filter(|_| enforcement.mfa_announced || security.mfa_required),
            passkey_from: security.passkey_required.then(|| after_grace(security.passkey_required_since)),
            access_token: security.access_token_minutes.map(|held| minutes(held.into())),
            idle: security.session_idle_minutes.map(minutes),
            longest: security.session_max_minutes.map(minutes),
            networks: security.allowed_networks.clone(),
            max_token_days: security.max_token_days,
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

    /// How old a token may be that is bound to the organization, in days.
    pub fn max_token_days(&self, organization: Option<OrganizationId>) -> Option<u16> {
        self.of(organization?)?.max_token_days
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
        let networks = &self.of(organization)?.networks;
        let is_inside = |net: &IpNet| proofs.ip.is_some_and(|ip| net.contains(&ip.to_canonical()));
        match networks.is_empty() || networks.iter().any(is_inside) {
            true => self.closes_anywhere(organization, proofs, now),
            false => Some(Closed::Network),
        }
    }

    /// As [`SecurityPolicy::closes`], wherever the request may come from.
    pub fn closes_anywhere(&self, organization: OrganizationId, proofs: Proofs, now: DateTime<Utc>) -> Option<Closed> {
        let demands = self.of(organization)?;
        let is_due = |from: Option<DateTime<Utc>>| from.is_some_and(|from| now >= from);
        if is_due(demands.sso_from) && !proofs.federation.is_by(organization) {
            Some(Closed::SingleSignOn)
        } else if matches!(proofs.federation, Federation::By(other) if other != organization) {
            Some(Closed::Elsewhere)
        } else if is_due(demands.mfa_from) && !proofs.second_factor {
            Some(Closed::SecondFactor)
        } else if is_due(demands.passkey_from) && !proofs.passkey {
            Some(Closed::Passkey)
        } else {
            None
        }
    }

    /// Whether the person belongs to other organizations than this one.
    pub fn reaches_beyond(&self, organization: OrganizationId) -> bool {
        self.demands.iter().any(|demands| demands.organization_id != organization)
    }

    /// Whether nothing at all would be open to a session that no identity provider opened: all of the person's organizations
    /// demand one by now.
    pub fn is_single_sign_on_alone(&self, now: DateTime<Utc>) -> bool {
        let demands = |demands: &Demands| demands.sso_from.is_some_and(|from| now >= from);
        !self.demands.is_empty() && self.demands.iter().all(demands)
    }

    /// The organizations that such a session may enter because the person is exempt from single sign-on there.
    pub fn exempt_in(&self, federation: Federation, now: DateTime<Utc>) -> impl Iterator<Item = OrganizationId> {
        let is_exempt = move |demands: &&Demands| {
            let is_due = demands.exempt_from.is_some_and(|from| now >= from);
            is_due && !federation.is_by(demands.organization_id)
        };
        self.demands.iter().filter(is_exempt).map(|demands| demands.organization_id)
    }

    /// What a person should be told who signs in so: of what their organizations want, and do not demand yet.
    pub fn notice(&self, proofs: Proofs, now: DateTime<Utc>) -> Option<String> {
        let is_due = |from: Option<DateTime<Utc>>| from.is_some_and(|from| now >= from);
        let day = |from: Option<DateTime<Utc>>| {
            from.map_or_else(String::new, |from| format!(" From {} on, it is required.", from.format("%d %B %Y")))
        };
        let mut told = Vec::new();
        for demands in &self.demands {
            if is_due(demands.sso_announced_from)
                && !is_due(demands.sso_from)
                && !proofs.federation.is_by(demands.organization_id)
            {
                told.push(format!(
                    "Your organization asks you to sign in through its identity provider.{}",
                    day(demands.sso_from)
                ));
            }
            if is_due(demands.mfa_announced_from) && !is_due(demands.mfa_from) && !proofs.second_factor {
                told.push(format!("Your organization asks you to set up a second factor.{}", day(demands.mfa_from)));
            }
        }
        told.dedup();
        (!told.is_empty()).then(|| told.join(" "))
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
    use super::*;

    const ADA: UserId = UserId(7);
    const NOTHING: Proofs =
        Proofs { second_factor: false, passkey: false, trusted_device: false, ip: None, federation: Federation::No };

    #[test]
    fn single_sign_on_closes_after_its_grace_except_for_the_exempt() {
        let (now, acme, globex) = (Utc::now(), OrganizationId(1), OrganizationId(2));
        let enforcement = Enforcement {
            sso_mode: EnforcementMode::Required,
            effective_at: Some(now),
            grace_period_days: 14,
            exempt_user_ids: vec![UserId(8)],
            ..Enforcement::default()
        };
        let of = |user| {
            let mut policy = SecurityPolicy::default();
            policy.add(acme, &OrganizationSecurity::default(), &enforcement, user, now);
            policy
        };
        let (before, after) = (now + Duration::days(13), now + Duration::days(14));
        let ada = of(ADA);
        assert_eq!((ada.closes(acme, NOTHING, before), ada.is_single_sign_on_alone(before)), (None, false));
        assert!(ada.notice(NOTHING, before).is_some_and(|notice| notice.contains("identity provider")));
        assert_eq!(ada.closes(acme, NOTHING, after), Some(Closed::SingleSignOn));
        assert!(ada.is_single_sign_on_alone(after));
        for (federation, closed) in [
            (Federation::By(acme), None),
            (Federation::Any, None),
            (Federation::By(globex), Some(Closed::SingleSignOn)),
        ] {
            assert_eq!(ada.closes(acme, Proofs { federation, ..NOTHING }, after), closed, "{federation:?}");
        }
        // Whoever is exempt proves it twice, and is told of.
        let exempt = of(UserId(8));
        assert_eq!(exempt.closes(acme, NOTHING, after), Some(Closed::SecondFactor));
        assert_eq!(exempt.closes(acme, Proofs { second_factor: true, ..NOTHING }, after), None);
        assert_eq!(exempt.exempt_in(Federation::No, after).collect::<Vec<_>>(), [acme]);
        assert_eq!(exempt.exempt_in(Federation::By(acme), after).count(), 0);
        // Another organization that demands nothing stays open.
        let mut both = of(ADA);
        both.add(globex, &OrganizationSecurity::default(), &Enforcement::default(), ADA, now);
        assert!(!both.is_single_sign_on_alone(after));
        // The one's provider does not vouch for the other.
        let by_acme = Proofs { federation: Federation::By(acme), ..NOTHING };
        assert_eq!(
            (both.closes(acme, by_acme, after), both.closes(globex, by_acme, after)),
            (None, Some(Closed::Elsewhere))
        );
        assert!(both.reaches_beyond(acme) && !ada.reaches_beyond(acme));
    }

    #[test]
    fn the_strictest_counts() {
        let now = Utc::now();
        let mut policy = SecurityPolicy::default();
        assert_eq!(policy.trusted_for(), Duration::days(30));
        policy.add(OrganizationId(1), &OrganizationSecurity::default(), &Enforcement::default(), ADA, now);
        let strict = OrganizationSecurity {
            trusted_device_days: 0,
            password: PasswordPolicy { min_length: 14, ..PasswordPolicy::default() },
            ..OrganizationSecurity::default()
        };
        policy.add(OrganizationId(2), &strict, &Enforcement::default(), ADA, now);
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
            policy.add(OrganizationId(1), &settings, &Enforcement::default(), ADA, joined);
            let nothing = NOTHING;
            let closes = |id, days| policy.closes(OrganizationId(id), nothing, now + Duration::days(days));
            assert_eq!((closes(1, 6), closes(1, 7), closes(2, 7)), (None, Some(Closed::SecondFactor), None));
        }
    }
}
