//! What `create` and `update` take of a provider, checked in one place: each field by itself, that it fits what the provider
//! speaks, and that nothing in it gives more than its author has.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivergen_kernel::{Caller, Error, ErrorCode, Result, RoleId, Secret, SsoProviderId, Tenant};
use rivergen_platform::{Transaction, db::duplicate_is};
use rivergen_tenancy::{domain as domains, role};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait, DbErr, EntityTrait, QueryFilter,
};
use url::Url;

use super::{
    ActiveModel, Kind,
    certificate::{self, Certificate},
    domain, mapping,
};
use crate::{
    Federation, oidc,
    saml::metadata::{self, ProviderFacts},
    sign_in::roles,
};

/// Fields that are to be set; those that are absent stay.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub name: Option<String>,
    pub entity_id: Option<String>,
    pub sso_url: Option<String>,
    pub slo_url: Option<Option<String>>,
    pub certificate: Option<String>,
    /// Those of the provider's metadata.
    pub published_certificates: Vec<String>,
    pub metadata_url: Option<Option<String>>,
    /// Fingerprints.
    pub remove_certificates: Vec<String>,
    pub allow_idp_initiated: Option<bool>,
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub scopes: Option<Vec<String>>,
    pub attribute_mapping: Option<BTreeMap<String, String>>,
    pub domains: Option<Vec<String>>,
    pub jit_provisioning: Option<bool>,
    pub default_role_id: Option<Option<RoleId>>,
    pub group_role_mapping: Option<BTreeMap<String, RoleId>>,
}

impl Draft {
    /// Takes from the provider's metadata what nothing else is said of.
    pub fn fill(&mut self, facts: ProviderFacts) {
        self.entity_id.get_or_insert(facts.entity_id);
        self.sso_url.get_or_insert(facts.sso_url);
        if facts.slo_url.is_some() {
            self.slo_url.get_or_insert(facts.slo_url);
        }
        self.published_certificates = facts.certificates;
    }

    /// 422 for fields of the other protocol.
    pub fn refuse_other_kind(&self, kind: Kind) -> Result<()> {
        let of_saml = [
            ("entity_id", self.entity_id.is_some()),
            ("sso_url", self.sso_url.is_some()),
            ("slo_url", self.slo_url.is_some()),
            ("certificate", self.certificate.is_some()),
            ("metadata_url", self.metadata_url.is_some()),
            ("metadata_xml", !self.published_certificates.is_empty()),
            ("remove_certificates", !self.remove_certificates.is_empty()),
            ("allow_idp_initiated", self.allow_idp_initiated.is_some()),
        ];
        let of_oidc = [
            ("issuer", self.issuer.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret", self.client_secret.is_some()),
            ("scopes", self.scopes.is_some()),
        ];
        let (foreign, reason): (&[_], _) = match kind {
            Kind::Saml => (&of_oidc, "is only for OpenID Connect providers"),
            Kind::Oidc => (&of_saml, "is only for SAML providers"),
        };
        match foreign.iter().find(|(_, is_given)| *is_given) {
            Some((field, _)) => Err(Error::invalid_field(*field, reason)),
            None => Ok(()),
        }
    }

    /// 422 where something is missing that the kind cannot be without.
    pub fn require_whole(&self, kind: Kind) -> Result<()> {
        let needed: &[_] = match kind {
            Kind::Saml => &[
                ("entity_id", self.entity_id.is_some()),
                ("sso_url", self.sso_url.is_some()),
                ("certificate", self.certificate.is_some() || !self.published_certificates.is_empty()),
            ],
            Kind::Oidc => &[("issuer", self.issuer.is_some()), ("client_id", self.client_id.is_some())],
        };
        match needed.iter().find(|(_, is_given)| !is_given) {
            Some((field, _)) => Err(Error::invalid_field(*field, format!("is required for {}", kind.as_str()))),
            None => Ok(()),
        }
    }

    /// Writes the fields into the row, each checked; answers the names of those that are given. The organization is locked.
    pub async fn write(
        self,
        federation: &Federation,
        tx: &Transaction,
        caller: &Caller,
        tenant: Tenant,
        row: &mut ActiveModel,
        kept_certificates: &[String],
    ) -> Result<Vec<&'static str>> {
        let now = federation.platform().clock.now();
        let mut changed = Vec::new();
        if let Some(name) = self.name {
            let name = label("name", &name)?;
            row.name_key = Set(name.to_lowercase());
            set(&mut changed, "name", &mut row.name, name);
        }
        if let Some(entity_id) = self.entity_id {
            set(&mut changed, "entity_id", &mut row.entity_id, Some(label("entity_id", &entity_id)?));
        }
        if let Some(address) = self.sso_url {
            set(&mut changed, "sso_url", &mut row.sso_url, Some(url(federation, "sso_url", &address)?));
        }
        if let Some(address) = self.slo_url {
            let address = address.map(|address| url(federation, "slo_url", &address)).transpose()?;
            set(&mut changed, "slo_url", &mut row.slo_url, address);
        }
        if let Some(address) = self.metadata_url {
            let address = address.map(|address| url(federation, "metadata_url", &address)).transpose()?;
            set(&mut changed, "metadata_url", &mut row.metadata_url, address);
        }
        let published = !self.published_certificates.is_empty();
        if self.certificate.is_some() || published || !self.remove_certificates.is_empty() {
            let new = self.published_certificates.into_iter().rev().map(|text| ("metadata_xml", text));
            let new = new.chain(self.certificate.map(|text| ("certificate", text)));
            let certificates = certificates(kept_certificates, new, &self.remove_certificates, now)?;
            let certificates = serde_json::to_value(certificates).map_err(Error::internal)?;
            set(&mut changed, "certificate", &mut row.certificates, certificates);
        }
        if let Some(allow) = self.allow_idp_initiated {
            set(&mut changed, "allow_idp_initiated", &mut row.allow_idp_initiated, allow);
        }
        if let Some(address) = self.issuer {
            set(&mut changed, "issuer", &mut row.issuer, Some(issuer(federation, &address)?));
        }
        if let Some(client_id) = self.client_id {
            set(&mut changed, "client_id", &mut row.client_id, Some(label("client_id", &client_id)?));
        }
        if let Some(secret) = self.client_secret {
            let sealed = match secret.is_empty() {
                true => None,
                false => Some(oidc::seal_secret(federation, tx, tenant.organization_id(), &secret).await?),
            };
            set(&mut changed, "client_secret", &mut row.sealed_client_secret, sealed);
        }
        if let Some(scopes) = self.scopes {
            set(&mut changed, "scopes", &mut row.scopes, self::scopes(scopes)?.into());
        }
        if let Some(mapped) = self.attribute_mapping {
            mapping::check(&mapped)
                .map_err(|(key, reason)| Error::invalid_field(of("attribute_mapping", &key), reason))?;
            let mapped = serde_json::to_value(mapped).map_err(Error::internal)?;
            set(&mut changed, "attribute_mapping", &mut row.attribute_mapping, mapped);
        }
        if let Some(jit) = self.jit_provisioning {
            set(&mut changed, "jit_provisioning", &mut row.jit_provisioning, jit);
        }
        if let Some(role) = self.default_role_id {
            if let Some(role) = role {
                may_be_given(tx, caller, tenant, "default_role_id".to_owned(), role).await?;
            }
            set(&mut changed, "default_role_id", &mut row.default_role_id, role);
        }
        if let Some(groups) = self.group_role_mapping {
            if groups.len() > 500 {
                return Err(Error::invalid_field("group_role_mapping", "maps more than 500 groups"));
            }
            let mut seen = std::collections::BTreeSet::new();
            for (group, role) in &groups {
                let field = of("group_role_mapping", group);
                if group.is_empty() || group.chars().count() > 1000 {
                    return Err(Error::invalid_field(field, "a group's name must have 1 to 1000 characters"));
                }
                if seen.insert(*role) {
                    may_be_given(tx, caller, tenant, field, *role).await?;
                }
            }
            let groups = serde_json::to_value(groups).map_err(Error::internal)?;
            set(&mut changed, "group_role_mapping", &mut row.group_role_mapping, groups);
        }
        Ok(changed)
    }
}

/// What the provider publishes of itself, as a document or at an address, which is asked before anything is locked.
pub(super) async fn published(
    federation: &Federation,
    xml: Option<&str>,
    address: Option<&str>,
) -> Result<Option<ProviderFacts>> {
    let (field, read) = match (xml, address) {
        (Some(xml), _) => ("metadata_xml", metadata::read(xml)),
        (None, Some(address)) => {
            let address = url(federation, "metadata_url", address)?;
            let fetched = metadata::fetch(&federation.platform().outbound, &address).await;
            ("metadata_url", fetched.and_then(|xml| metadata::read(&xml)))
        }
        (None, None) => return Ok(None),
    };
    let now = federation.platform().clock.now();
    let read = read.and_then(|facts| facts.in_time(now));
    read.map(Some).map_err(|reason| Error::invalid_field(field, format!("is not a provider's metadata: {reason}")))
}

fn set<V: Into<sea_orm::Value>>(
    changed: &mut Vec<&'static str>,
    name: &'static str,
    field: &mut ActiveValue<V>,
    value: V,
) {
    *field = Set(value);
    changed.push(name);
}

fn of(field: &str, key: &str) -> String {
    if key.is_empty() { field.to_owned() } else { format!("{field}.{key}") }
}

/// Text of one line.
fn label(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > 255 || text.chars().any(char::is_control) {
        return Err(Error::invalid_field(field, "must be 1 to 255 characters, without control characters"));
    }
    Ok(text.to_owned())
}

fn url(federation: &Federation, field: &str, address: &str) -> Result<String> {
    let refused = |reason: &'static str| Error::invalid_field(field, reason);
    let parsed = Url::parse(address).map_err(|_| refused("is not an address"))?;
    if address.len() > 2000 {
        return Err(refused("is longer than 2000 bytes"));
    }
    if !oidc::is_open(federation, &parsed) || parsed.host().is_none() {
        return Err(refused("must begin with https://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.fragment().is_some() {
        return Err(refused("must not have an account or a fragment"));
    }
    federation
        .platform()
        .outbound
        .check_url(&parsed)
        .map_err(|blocked| Error::invalid_field(field, blocked.to_string()))?;
    Ok(address.to_owned())
}

/// As the provider spells it: the last slash is part of it.
fn issuer(federation: &Federation, address: &str) -> Result<String> {
    let address = url(federation, "issuer", address)?;
    match address.contains('?') {
        true => Err(Error::invalid_field("issuer", "must not have a query")),
        false => Ok(address),
    }
}

fn scopes(given: Vec<String>) -> Result<Vec<String>> {
    // RFC 6749, section 3.3.
    let is_token = |scope: &String| {
        !scope.is_empty() && scope.len() <= 255 && scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    if given.len() > 50 {
        return Err(Error::invalid_field("scopes", "names more than 50"));
    }
    if let Some(at) = given.iter().position(|scope| !is_token(scope)) {
        return Err(Error::invalid_field(format!("scopes[{at}]"), "is not a scope"));
    }
    let others = given.into_iter().filter(|scope| scope != "openid");
    let mut all: Vec<String> = vec!["openid".to_owned()];
    all.extend(others);
    all.dedup();
    Ok(all)
}

/// The certificates as they are to be: a new one comes in front, and the old ones stay until they expire or are removed.
fn certificates(
    kept: &[String],
    new: impl IntoIterator<Item = (&'static str, String)>,
    removed: &[String],
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let read = |der: &String| Certificate::read(der).map_err(Error::internal);
    let mut left = Vec::new();
    let mut unknown: Vec<&String> = removed.iter().collect();
    for der in kept {
        let known = read(der)?;
        let is_removed = removed.iter().any(|fingerprint| fingerprint.eq_ignore_ascii_case(&known.fingerprint));
        unknown.retain(|fingerprint| !fingerprint.eq_ignore_ascii_case(&known.fingerprint));
        if !is_removed && !known.is_expired(now) {
            left.push(der.clone());
        }
    }
    if !unknown.is_empty() {
        return Err(Error::invalid_field("remove_certificates", "names a certificate that the provider does not have"));
    }
    for (field, text) in new {
        let new = Certificate::read(&text).map_err(|reason| Error::invalid_field(field, reason))?;
        if new.is_expired(now) {
            // Providers go on publishing an old one for a while; nothing that it signed is believed.
            if field == "metadata_xml" {
                continue;
            }
            let reason = format!("expired on {}", new.expires_at.format("%Y-%m-%d"));
            return Err(Error::invalid_field(field, reason));
        }
        left = certificate::added(&left, &new);
    }
    if left.is_empty() {
        return Err(Error::invalid_field("remove_certificates", "would leave the provider without a certificate"));
    }
    Ok(left)
}

/// `ROLE_NOT_FOUND`; 422 for a role that no identity provider may give; 403 for more than the caller has.
async fn may_be_given(tx: &Transaction, caller: &Caller, tenant: Tenant, field: String, id: RoleId) -> Result<()> {
    let role = role::find(tx.conn(), tenant, id).await?;
    if !roles::may_be_given(&role) {
        let reason = "is Owner, Admin, or lets its holders change what others may do: only people can assign such \
                      roles";
        return Err(Error::invalid_field(field, reason));
    }
    caller.may_grant(&role.permissions())
}

/// Routes the domains to the provider, in place of those that it had. The organization is locked.
pub(super) async fn route(tx: &Transaction, tenant: Tenant, provider: SsoProviderId, given: &[String]) -> Result<()> {
    if given.len() > 50 {
        return Err(Error::invalid_field("domains", "names more than 50"));
    }
    let proved = domains::verified(tx.conn(), tenant).await?;
    domain::Entity::delete_many().filter(domain::Column::ProviderId.eq(provider)).exec(tx.conn()).await?;
    let mut seen = std::collections::BTreeSet::new();
    for (at, text) in given.iter().enumerate() {
        let field = || format!("domains[{at}]");
        let name = domains::normalise(text).filter(|name| proved.contains(name));
        let name =
            name.ok_or_else(|| Error::invalid_field(field(), "is not a domain that the organization has verified"))?;
        if !seen.insert(name.clone()) {
            return Err(Error::invalid_field(field(), "appears twice"));
        }
        // Index: sso_provider_domains(domain, organization_id), unique.
        let taken = domain::Entity::find()
            .filter(domain::Column::Domain.eq(&name))
            .filter(domain::Column::OrganizationId.eq(tenant.organization_id()));
        if taken.one(tx.conn()).await?.is_some() {
            return Err(Error::invalid_field(field(), "already belongs to another identity provider"));
        }
        let row = domain::ActiveModel {
            organization_id: Set(tenant.organization_id()),
            provider_id: Set(provider),
            domain: Set(name),
            ..Default::default()
        };
        domain::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

/// `PROVIDER_EXISTS` where the name, the entity id or the issuer is another one's. Indexes: sso_providers(organization_id,
/// name_key), (organization_id, entity_id), (organization_id, issuer), each unique.
pub(super) fn taken(error: DbErr) -> Error {
    duplicate_is(ErrorCode::ProviderExists)(error)
}
