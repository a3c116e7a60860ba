//! What an identity provider publishes of itself: its name, its addresses, its certificates.
//!
//! An administrator gives it once, as a document or by its address. Where the address is known, it is read again every day:
//! certificates that are new are trusted from then on beside the old ones, which hold until they expire or are removed. So a
//! provider changes its key without anybody here having to know. Whoever answers at that address (over https) is believed:
//! that is what it was given for.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, Result, SsoProviderId, Tenant};
use rivergen_platform::{
    Platform,
    audit::{self, Actor, AuditRecord},
    jobs::{Handler, JobContext, JobError},
    net::{self, Outbound},
};
use rivergen_tenancy::organization;
use saml_rs::constants::namespace;
use sea_orm::{
    ActiveValue::Set,
    JoinType, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use serde_json::json;
use url::Url;

use super::document::{self, Node};
use crate::{
    Federation,
    provider::{
        self,
        certificate::{self, Certificate},
    },
};

const JOB: &str = "federation.saml_metadata";
/// The largest document that is read: a federation's list of providers is none that we could choose from.
const LARGEST: usize = 1024 * 1024;
/// How long a provider may take for its document.
const PATIENCE: Duration = Duration::from_secs(15);
const MOST_REDIRECTS: usize = 3;
/// How often a provider's document is read again.
const EVERY: chrono::Duration = chrono::Duration::days(1);
/// Providers that are looked up at once.
const BATCH: u64 = 20;
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

/// A look at the metadata of a provider. Index: saml_metadata_checks(provider_id), unique; (checked_at).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saml_metadata_checks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub provider_id: SsoProviderId,
    pub checked_at: DateTime<Utc>,
    /// What was wrong with the last one.
    pub fault: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What counts of a provider's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderFacts {
    pub entity_id: String,
    pub sso_url: String,
    pub slo_url: Option<String>,
    /// Base64 of DER, in the order of the document.
    pub certificates: Vec<String>,
    pub valid_until: Option<DateTime<Utc>>,
}

impl ProviderFacts {
    /// The reason where the time of the document is over: what it says is not to be believed any more (SAML Metadata, 2.3.1).
    pub fn in_time(self, now: DateTime<Utc>) -> Result<Self, String> {
        match self.valid_until {
            Some(end) if end <= now => Err(format!("it expired on {} (validUntil)", end.format("%Y-%m-%d"))),
            _ => Ok(self),
        }
    }
}

/// Reads a document, signed or not; the reason, in words, where it is none of an identity provider.
pub fn read(xml: &str) -> Result<ProviderFacts, String> {
    if xml.len() > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let document = document::parse(xml.trim_start_matches('\u{feff}')).map_err(|refusal| refusal.to_string())?;
    let root = Node::root(&document).map_err(|refusal| refusal.to_string())?;
    let is_idp = |entity: &Node<'_>| entity.named(namespace::METADATA, "IDPSSODescriptor").next().is_some();
    let entity = if root.is(namespace::METADATA, "EntityDescriptor") {
        root
    } else if root.is(namespace::METADATA, "EntitiesDescriptor") {
        let mut entities = root.named(namespace::METADATA, "EntityDescriptor").filter(is_idp);
        match (entities.next(), entities.next()) {
            (Some(only), None) => only,
            (None, _) => return Err("it describes no identity provider".to_owned()),
            _ => return Err("it describes several identity providers: give a document with only one".to_owned()),
        }
    } else {
        return Err(format!("an EntityDescriptor was expected, and this is a {}", root.local_name()));
    };
    let mut roles = entity.named(namespace::METADATA, "IDPSSODescriptor");
    let role = roles.next().ok_or_else(|| "it describes no identity provider (IDPSSODescriptor)".to_owned())?;
    let protocols = role.attribute("protocolSupportEnumeration").unwrap_or_default();
    if !protocols.split_ascii_whitespace().any(|protocol| protocol == namespace::PROTOCOL) {
        return Err("the provider does not speak SAML 2.0".to_owned());
    }
    let entity_id = entity.attribute("entityID").unwrap_or_default().trim();
    if entity_id.is_empty() {
        return Err("it has no entityID".to_owned());
    }
    let redirect = |service: &'static str| {
        let mut services = role.named(namespace::METADATA, service);
        let found = services.find(|one| one.attribute("Binding") == Some(REDIRECT));
        found.and_then(|one| one.attribute("Location")).map(|location| location.trim().to_owned())
    };
    let sso_url = redirect("SingleSignOnService")
        .ok_or_else(|| "the provider does not accept requests by HTTP-Redirect".to_owned())?;

    let mut certificates: Vec<String> = Vec::new();
    let keys = role.named(namespace::METADATA, "KeyDescriptor");
    for key in keys.filter(|key| key.attribute("use").is_none_or(|usage| usage == "signing")) {
        let infos = key.named(namespace::DSIG, "KeyInfo").flat_map(|info| info.named(namespace::DSIG, "X509Data"));
        for text in infos.flat_map(|data| data.named(namespace::DSIG, "X509Certificate")) {
            let read = Certificate::read(&text.text()).map_err(|reason| format!("a certificate in it {reason}"))?;
            if !certificates.contains(&read.der) {
                certificates.push(read.der);
            }
        }
    }
    if certificates.is_empty() {
        return Err("it has no certificate to verify signatures with".to_owned());
    }
    if certificates.len() > certificate::MOST {
        return Err(format!("it has more than {} certificates", certificate::MOST));
    }
    let end = |node: &Node<'_>| node.attribute("validUntil").and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let valid_until = [end(&root), end(&entity), end(&role)].into_iter().flatten().min().map(|time| time.to_utc());
    Ok(ProviderFacts {
        entity_id: entity_id.to_owned(),
        sso_url,
        slo_url: redirect("SingleLogoutService"),
        certificates,
        valid_until,
    })
}

/// Gets the document of an address, the guarded way out. Redirects are followed within the host alone.
pub async fn fetch(outbound: &Outbound, address: &str) -> Result<String, String> {
    let mut url = Url::parse(address).map_err(|_| "its address is not valid".to_owned())?;
    for _ in 0..=MOST_REDIRECTS {
        let request = outbound.http_without_redirects().get(url.clone()).timeout(PATIENCE);
        let response = request.send().await.map_err(|error| match net::blocked(&error) {
            Some(blocked) => blocked.to_string(),
            None if error.is_timeout() => "its address does not answer in time".to_owned(),
            None => "there is no connection to its address".to_owned(),
        })?;
        if response.status().is_redirection() {
            let location = response.headers().get("location").and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| "its address redirects to nowhere".to_owned())?;
            if next.origin() != url.origin() {
                return Err("its address redirects to another host".to_owned());
            }
            url = next;
            continue;
        }
        if !response.status().is_success() {
            return Err(format!("its address answers {}", response.status()));
        }
        let body = net::read_bounded(response, LARGEST).await.map_err(|error| error.to_string())?;
        return String::from_utf8(body.to_vec()).map_err(|_| "it is not UTF-8".to_owned());
    }
    Err(format!("its address redirects more than {MOST_REDIRECTS} times"))
}

/// What was wrong when the document was last read again.
pub(super) async fn fault(federation: &Federation, provider: &provider::Model) -> Result<Option<String>> {
    if provider.metadata_url.is_none() {
        return Ok(None);
    }
    let found = Entity::find_by_id(provider.id).one(federation.platform().db.read()).await?;
    Ok(found.and_then(|check| check.fault))
}

struct Follow(Platform);

/// Registers the job; every hour it reads those documents that were not read for a day.
pub(super) fn register(federation: &Federation) {
    let platform = federation.platform();
    platform.jobs.every(JOB, Duration::from_secs(3600), Arc::new(Follow(platform.clone())));
}

#[async_trait]
impl Handler for Follow {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        // However many there are: each is read every day.
        let mut behind = None;
        loop {
            let due = due(&self.0, behind).await?;
            let Some(last) = due.last() else { return Ok(()) };
            behind = Some(last.id);
            for provider in due {
                if context.shutdown.is_cancelled() {
                    return Ok(());
                }
                let id = provider.id;
                // One that cannot be dealt with stops no other.
                if let Err(error) = follow(&self.0, provider).await {
                    tracing::error!(provider = id.0, ?error, "the metadata of a provider could not be followed");
                }
            }
        }
    }

    fn takes_long(&self) -> bool {
        true
    }
}

/// The next ones behind a provider, in the order of their ids, of organizations that are not closed. Indexes: the primary keys.
async fn due(platform: &Platform, behind: Option<SsoProviderId>) -> Result<Vec<provider::Model>> {
    let check = provider::Entity::belongs_to(Entity).from(provider::Column::Id).to(Column::ProviderId);
    let of = provider::Entity::belongs_to(organization::Entity)
        .from(provider::Column::OrganizationId)
        .to(organization::Column::Id);
    let due = provider::Entity::find()
        .join(JoinType::LeftJoin, check.into())
        .join(JoinType::InnerJoin, of.into())
        .filter(provider::Column::MetadataUrl.is_not_null())
        .filter(organization::Column::DeletedAt.is_null())
        .filter(Column::CheckedAt.is_null().or(Column::CheckedAt.lt(platform.clock.now() - EVERY)))
        .filter(provider::Column::Id.gt(behind.unwrap_or(SsoProviderId(0))))
        .order_by_asc(provider::Column::Id)
        .limit(BATCH);
    Ok(due.all(platform.db.read()).await?)
}

/// Reads the document of a provider again, and writes down what came of it.
async fn follow(platform: &Platform, seen: provider::Model) -> Result<()> {
    let address = seen.metadata_url.clone().unwrap_or_default();
    let now = platform.clock.now();
    let facts = match fetch(&platform.outbound, &address).await {
        Ok(xml) => read(&xml),
        Err(fault) => Err(fault),
    };
    let facts = facts.and_then(|facts| match Some(&facts.entity_id) == seen.entity_id.as_ref() {
        true => facts.in_time(now),
        false => Err(format!("it is of {}, which is another provider", facts.entity_id)),
    });
    let tenant = Tenant::on_behalf_of(seen.organization_id);
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let check =
        ActiveModel { provider_id: Set(seen.id), checked_at: Set(now), fault: Set(facts.as_ref().err().cloned()) };
    let again = OnConflict::column(Column::ProviderId).update_columns([Column::CheckedAt, Column::Fault]).to_owned();
    let current = provider::Entity::find_by_id(seen.id).one(tx.conn()).await?;
    // Removed, or led elsewhere meanwhile: what we read is old.
    let Some(row) = current.filter(|row| row.metadata_url == seen.metadata_url && row.entity_id == seen.entity_id)
    else {
        return Ok(());
    };
    Entity::insert(check).on_conflict(again).exec_without_returning(tx.conn()).await?;
    let Ok(facts) = facts else { return tx.commit().await };
    let before = row.certificates();
    let after = rotated(&before, &facts.certificates, now);
    if after == before {
        return tx.commit().await;
    }
    let certificates = serde_json::to_value(&after).map_err(Error::internal)?;
    provider::Entity::update_many()
        .col_expr(provider::Column::Certificates, Expr::value(certificates))
        .col_expr(provider::Column::UpdatedAt, Expr::value(now))
        .filter(provider::Column::Id.eq(row.id))
        .exec(tx.conn())
        .await?;
    let fingerprints = |list: &[String]| -> Vec<String> {
        list.iter().filter_map(|der| Certificate::read(der).ok()).map(|read| read.fingerprint).collect()
    };
    let record = AuditRecord::new(Some(row.organization_id), Actor::system(), "sso_provider.rotate_certificates")
        .target("sso_provider", row.id.0)
        .details(json!({"before": fingerprints(&before), "after": fingerprints(&after)}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await
}

/// The certificates as they are to be: those of the document first, and of those that were there the ones that have not
/// expired. An expired one in the document is no news.
fn rotated(kept: &[String], published: &[String], now: DateTime<Utc>) -> Vec<String> {
    let lives = |der: &&String| Certificate::read(der).is_ok_and(|read| !read.is_expired(now));
    let mut all: Vec<String> = Vec::new();
    for der in published.iter().chain(kept).filter(lives) {
        if !all.contains(der) {
            all.push(der.clone());
        }
    }
    all.truncate(certificate::MOST);
    // Where all have expired, they stay: why nobody can sign in should be seen.
    if all.is_empty() { kept.to_vec() } else { all }
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        extract::Path,
        http::{StatusCode, header},
        response::{IntoResponse, Response},
        routing::get,
    };
    use base64::{Engine, engine::general_purpose::STANDARD};
    use rcgen::{CertificateParams, KeyPair};
    use rivergen_platform::net::{AddressPolicy, OutboundConfig};

    use super::*;

    fn document(certificates: &[String]) -> String {
        let keys = certificates.iter().map(|der| {
            format!(
                r#"<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"#
            )
        });
        let keys: String = keys.collect();
        format!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="https://idp.acme.example"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{keys}<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.acme.example/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>"#
        )
    }

    /// Certificates of one key, each another one.
    fn certificates(count: usize) -> Vec<String> {
        let key = KeyPair::generate().unwrap();
        let names = (0..count).map(|number| vec![format!("idp{number}.acme.example")]);
        let made = names.map(|names| CertificateParams::new(names).unwrap().self_signed(&key).unwrap());
        made.map(|certificate| STANDARD.encode(certificate.der())).collect()
    }

    #[test]
    fn certificates_are_bounded() {
        let all = certificates(certificate::MOST + 1);
        let most = read(&document(&all[1..])).unwrap();
        assert_eq!((most.certificates.as_slice(), most.entity_id.as_str()), (&all[1..], "https://idp.acme.example"));
        assert!(read(&document(&all)).unwrap_err().contains("more than 10 certificates"));
        // One that stands there for signing and for whatever else is one.
        assert_eq!(read(&document(&[&all[1..], &all[1..]].concat())).unwrap().certificates.len(), certificate::MOST);
        assert!(read(&document(&[])).unwrap_err().contains("no certificate"));
    }

    #[test]
    fn entities_are_not_expanded_and_size_and_depth_are_bounded() {
        let good = document(&certificates(1));
        let entity = good.replace("https://idp.acme.example/sso", "&file;");
        let declared = format!(r#"<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>{entity}"#);
        assert!(read(&declared).unwrap_err().contains("DOCTYPE"));
        assert!(read(&entity).is_err());
        let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
        assert!(read(&padded(LARGEST)).is_ok());
        assert!(read(&padded(LARGEST + 1)).unwrap_err().contains("larger than"));
        let deep = "<x>".repeat(60) + &"</x>".repeat(60);
        let deep =
            good.replace("<md:IDPSSODescriptor", &format!("<md:Extensions>{deep}</md:Extensions><md:IDPSSODescriptor"));
        assert!(read(&deep).unwrap_err().contains("maximum depth"));
    }

    /// Leads on as often as the address says.
    async fn hop(Path(left): Path<u32>) -> Response {
        match left {
            0 => "here".into_response(),
            left => (StatusCode::FOUND, [(header::LOCATION, format!("/hop/{}", left - 1))]).into_response(),
        }
    }

    #[tokio::test]
    async fn what_an_address_answers_is_bounded() {
        let router = Router::new()
            .route("/hop/{left}", get(hop))
            .route("/largest", get(async || " ".repeat(LARGEST)))
            .route("/larger", get(async || " ".repeat(LARGEST + 1)))
            .route("/elsewhere", get(async || (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.2/")])))
            .route("/nowhere", get(async || StatusCode::FOUND))
            .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let policy = AddressPolicy { allow_private: true, ..AddressPolicy::default() };
        let outbound = Outbound::new(&OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        let get = async |path: &str| fetch(&outbound, &format!("{base}{path}")).await;
        assert_eq!(get(&format!("/hop/{MOST_REDIRECTS}")).await.unwrap(), "here");
        assert_eq!(get("/largest").await.unwrap().len(), LARGEST);
        for (path, reason) in [
            (format!("/hop/{}", MOST_REDIRECTS + 1).as_str(), "redirects more than 3 times"),
            ("/larger", "larger than"),
            ("/elsewhere", "redirects to another host"),
            ("/nowhere", "redirects to nowhere"),
            ("/broken", "answers 500"),
        ] {
            let refused = get(path).await.unwrap_err();
            assert!(refused.contains(reason), "{path}: {refused}");
        }
        // An address inside is not asked at all where this server may not go there.
        let guarded = Outbound::new(&OutboundConfig::default()).unwrap();
        assert!(fetch(&guarded, &format!("{base}/hop/0")).await.unwrap_err().contains("a loopback address"));
    }

    #[test]
    fn a_new_certificate_is_trusted_beside_the_old_one_until_that_ends() {
        use crate::saml::testing::{Signer, now};

        let [new, old, expired] = [Signer::of_another(), Signer::of_provider(), Signer::expired()];
        let [new, old, expired] = [new, old, expired].map(|signer| signer.certificate.clone());
        let kept = |before: &[&String], published: &[&String]| {
            let owned = |list: &[&String]| list.iter().map(|der| (*der).clone()).collect::<Vec<_>>();
            rotated(&owned(before), &owned(published), now())
        };
        assert_eq!(kept(&[&old], &[&new]), [new.clone(), old.clone()]);
        assert_eq!(kept(&[&expired, &old], &[&old, &new]), [old.clone(), new.clone()]);
        // An expired one that is still published is no news, and is kept only where there is nothing else.
        assert_eq!(kept(&[&old], &[&expired]), [old]);
        assert_eq!(kept(&[&expired], &[&expired]), [expired]);
    }
}
