//! The mail domains of an organization, and the proof that they are its own.
//!
//! ```text
//! add ─▶ pending ─ verify ─▶ verified ─ seven days without the record ─▶ lapsed ─ verify ─▶ verified
//! ```
//!
//! A domain is proved by a TXT record with a value that only its claim has, or for a year by a code that is mailed to
//! whoever runs it ([`mailed`]). Every organization may claim a domain; one at a time has it proved, which a unique index of
//! the database decides. The proof is looked at again every day ([`lapse`]).
//!
//! Whoever proves an address of a verified domain with `auto_join` becomes a member at that moment ([`join`]). What is
//! compared is the whole domain: a sub-domain is a domain of its own.
//!
//! | file | operation |
//! | --- | --- |
//! | [`list`], [`add`] | `GET`, `POST /api/v1/organizations/{org_id}/domains` |
//! | [`verify`] | `POST /api/v1/organizations/{org_id}/domains/{domain_id}/verify` |
//! | [`mailed`] | `POST /api/v1/organizations/{org_id}/domains/{domain_id}/mail`, `…/mail/verify` |
//! | [`update`], [`remove`] | `PATCH`, `DELETE /api/v1/organizations/{org_id}/domains/{domain_id}` |

pub mod add;
pub mod join;
pub mod lapse;
pub mod list;
pub mod mailed;
pub mod remove;
pub mod update;
pub mod verify;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rivergen_kernel::{DomainId, ErrorCode, OrganizationId, Result, Tenant, Token, TokenHash};
use rivergen_platform::{
    Transaction,
    db::{TenantOwned, TenantScope, duplicate_is},
    net::{NoAnswer, Outbound},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, JoinType, PaginatorTrait, QuerySelect, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Tenancy, organization};

/// Domains of one organization.
const MOST: u64 = 50;
/// Where the record stands: this, and the domain.
const RECORD_NAME: &str = "_rivergen-challenge";
/// How its value begins.
const RECORD_VALUE: &str = "rivergen-domain-verification=";
/// The longest domain whose record still has a name.
const LONGEST: usize = 253 - RECORD_NAME.len() - 1;

/// Domains at which everybody can have an address, so that an address says nothing of where its owner belongs.
const MAIL_PROVIDERS: &str = "\
    126.com 163.com aol.com att.net bk.ru btinternet.com comcast.net daum.net fastmail.com free.fr freenet.de \
    gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hanmail.net hey.com hotmail.co.uk hotmail.com \
    hotmail.de hotmail.fr hotmail.it icloud.com inbox.ru laposte.net libero.it list.ru live.co.uk live.com live.de \
    live.fr live.nl mac.com mail.com mail.ru mailbox.org me.com msn.com naver.com orange.fr outlook.com outlook.de \
    outlook.fr pm.me posteo.de proton.me protonmail.com qq.com rediffmail.com sbcglobal.net sfr.fr sina.com \
    t-online.de tuta.com tutanota.com verizon.net wanadoo.fr web.de yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.uk \
    yahoo.com yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru yeah.net ymail.com zoho.com \
    zohomail.com";

/// The operations on domains.
pub(crate) fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(list::list, add::add))
        .routes(routes!(verify::verify))
        .routes(routes!(mailed::mail_domain_code))
        .routes(routes!(mailed::verify_domain_by_mail))
        .routes(routes!(update::update, remove::remove))
}

/// The state of the verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = DomainStatus)]
pub enum Status {
    /// Claimed; the record was never seen.
    #[sea_orm(string_value = "pending")]
    Pending,
    #[sea_orm(string_value = "verified")]
    Verified,
    /// The record was seen once and is gone.
    #[sea_orm(string_value = "lapsed")]
    Lapsed,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organization_domains")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DomainId,
    pub organization_id: OrganizationId,
    /// As DNS has it: lower case, ASCII, without the last dot.
    pub domain: String,
    /// What the record has to say. Of each claim another one; no secret, since the world reads it.
    pub challenge: String,
    pub status: Status,
    pub auto_join: bool,
    pub created_at: DateTime<Utc>,
    pub verified_at: Option<DateTime<Utc>>,
    /// When the record was last looked for, with or without an answer.
    pub checked_at: Option<DateTime<Utc>>,
    /// Since when every look at it found that there is none.
    pub missing_since: Option<DateTime<Utc>>,
    /// Of the code that was mailed last, until it is used.
    pub mail_code_hash: Option<TokenHash>,
    pub mail_code_expires_at: Option<DateTime<Utc>>,
    /// Until then a code that was brought back stands in for the record; none where the record was seen since.
    pub mail_proof_until: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    fn record(&self) -> TxtRecord {
        TxtRecord {
            kind: "TXT",
            name: format!("{RECORD_NAME}.{}", self.domain),
            value: format!("{RECORD_VALUE}{}", self.challenge),
        }
    }

    /// Whether the record is there at this moment.
    async fn is_published(&self, outbound: &Outbound) -> Result<bool, NoAnswer> {
        let record = self.record();
        let texts = outbound.texts(&record.name).await?;
        Ok(texts.iter().any(|text| text.trim() == record.value))
    }
}

/// A domain as the organization's members see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Domain {
    pub id: DomainId,
    #[schema(examples("acme.example"))]
    pub domain: String,
    pub status: Status,
    /// Whether people who verify an address in the domain become members.
    #[schema(examples(false))]
    pub auto_join: bool,
    pub verified_at: Option<DateTime<Utc>>,
    /// When the record was last checked.
    pub checked_at: Option<DateTime<Utc>>,
    /// Since when the record has been missing; after seven days the verification lapses.
    pub missing_since: Option<DateTime<Utc>>,
    /// Until when a code sent to the domain by e-mail replaces the record, if one does.
    pub mail_proof_until: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub record: TxtRecord,
}

/// The DNS record that proves a domain. It has to stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TxtRecord {
    #[serde(rename = "type")]
    #[schema(examples("TXT"))]
    pub kind: &'static str,
    #[schema(examples("_rivergen-challenge.acme.example"))]
    pub name: String,
    #[schema(examples("rivergen-domain-verification=Jx3…"))]
    pub value: String,
}

impl From<Model> for Domain {
    fn from(row: Model) -> Self {
        Self {
            record: row.record(),
            id: row.id,
            domain: row.domain,
            status: row.status,
            auto_join: row.auto_join,
            verified_at: row.verified_at,
            checked_at: row.checked_at,
            missing_since: row.missing_since,
            mail_proof_until: row.mail_proof_until,
            created_at: row.created_at,
        }
    }
}

/// A domain, and what was done to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DomainAnswer {
    pub domain: Domain,
    pub message: &'static str,
}

/// The domain as DNS has it: IDNA, lower case, without the last dot. `None` where it is no name of at least two labels.
pub fn normalise(domain: &str) -> Option<String> {
    let domain = domain.trim();
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    // The parser takes `%61` for `a`; nobody writes a domain so.
    if domain.contains('%') {
        return None;
    }
    // It takes an IP address for what it is, in whatever spelling.
    let Ok(url::Host::Domain(domain)) = url::Host::parse(domain) else { return None };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label)).then_some(domain)
}

/// The domain of an address, as DNS has it.
pub fn of_address(email: &str) -> Option<String> {
    let (_, domain) = email.rsplit_once('@')?;
    normalise(domain)
}

/// Why no organization can have this domain; `None` where one can.
fn refusal(domain: &str) -> Option<&'static str> {
    if domain.len() > LONGEST {
        return Some("is too long for a record below it");
    }
    // `co.uk`, `github.io`: what stands below belongs to others.
    if psl::domain_str(domain).is_none() {
        return Some("is a public suffix, under which anyone can register a name");
    }
    MAIL_PROVIDERS
        .split(' ')
        .any(|provider| provider == domain)
        .then_some("belongs to an e-mail provider that gives addresses to anyone")
}

/// The organization's domain; `DOMAIN_NOT_FOUND` for every other.
async fn find(db: &impl ConnectionTrait, tenant: Tenant, id: DomainId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).one(db).await?;
    found.ok_or_else(|| ErrorCode::DomainNotFound.into())
}

/// Whether the organization has proved the domain of the address, and so speaks for whoever has it. Index:
/// organization_domains(organization_id, domain), unique.
pub async fn speaks_for(db: &impl ConnectionTrait, tenant: Tenant, email: &str) -> Result<bool> {
    let Some(domain) = of_address(email) else { return Ok(false) };
    let proved = tenant.find::<Entity>().filter(Column::Domain.eq(domain)).filter(Column::Status.eq(Status::Verified));
    Ok(proved.one(db).await?.is_some())
}

/// How many domains the organization has.
async fn count(tx: &Transaction, tenant: Tenant) -> Result<u64> {
    Ok(tenant.find::<Entity>().count(tx.conn()).await?)
}

/// Claims a domain for an organization that is locked; `DOMAIN_EXISTS` where it has it already.
async fn claim(tx: &Transaction, tenant: Tenant, domain: String, now: DateTime<Utc>) -> Result<Model> {
    let row = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        domain: Set(domain),
        challenge: Set(Token::random(&mut rand::rng()).expose().to_owned()),
        status: Set(Status::Pending),
        auto_join: Set(false),
        created_at: Set(now),
        verified_at: Set(None),
        checked_at: Set(None),
        missing_since: Set(None),
        ..Default::default()
    };
    row.insert(tx.conn()).await.map_err(duplicate_is(ErrorCode::DomainExists))
}

/// Claims the domain that an organization, which is locked, calls its own, unless it has the claim. A domain that nobody
/// can prove is no claim, nor is one too many: the organization may be called by it all the same.
pub(crate) async fn claim_missing(tx: &Transaction, tenant: Tenant, domain: &str, now: DateTime<Utc>) -> Result<()> {
    let known = tenant.find::<Entity>().filter(Column::Domain.eq(domain)).one(tx.conn()).await?;
    if known.is_none() && refusal(domain).is_none() && count(tx, tenant).await? < MOST {
        claim(tx, tenant, domain.to_owned(), now).await?;
    }
    Ok(())
}

/// The domains that the organization has proved, at most [`MOST`]. Index: organization_domains(organization_id, domain),
/// unique.
pub async fn verified(db: &impl ConnectionTrait, tenant: Tenant) -> Result<BTreeSet<String>> {
    let rows = tenant.find::<Entity>().filter(Column::Status.eq(Status::Verified)).all(db).await?;
    Ok(rows.into_iter().map(|row| row.domain).collect())
}

/// The live organization that has proved the domain. Index: organization_domains(domain) of those that are verified,
/// unique.
pub async fn proved_by(db: &impl ConnectionTrait, domain: &str) -> Result<Option<OrganizationId>> {
    let of = Entity::belongs_to(organization::Entity).from(Column::OrganizationId).to(organization::Column::Id);
    let found = Entity::find()
        .join(JoinType::InnerJoin, of.into())
        .filter(Column::Domain.eq(domain))
        .filter(Column::Status.eq(Status::Verified))
        .filter(organization::Column::DeletedAt.is_null());
    Ok(found.one(db).await?.map(|row| row.organization_id))
}

/// Those of the organizations that have proved the domain which they call their own.
pub(crate) async fn verified_among(
    db: &impl ConnectionTrait,
    organizations: &[organization::Model],
) -> Result<BTreeSet<OrganizationId>> {
    // Index: organization_domains(organization_id, domain), unique.
    let rows = Entity::find()
        .filter(Column::OrganizationId.is_in(organizations.iter().map(|row| row.id)))
        .filter(Column::Domain.is_in(organizations.iter().filter_map(|row| row.domain.as_deref())))
        .filter(Column::Status.eq(Status::Verified))
        .all(db)
        .await?;
    let is_own = |row: &Model| {
        let own = organizations.iter().find(|organization| organization.id == row.organization_id);
        own.is_some_and(|organization| organization.domain.as_deref() == Some(&row.domain))
    };
    Ok(rows.into_iter().filter(is_own).map(|row| row.organization_id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_kept_as_dns_has_it() {
        for (given, kept) in [
            ("ACME.Example.", "acme.example"),
            (" acme.example ", "acme.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            // Full-width letters and the ideographic dot are the same name; a Cyrillic letter is not.
            ("ａcme。example", "acme.example"),
            ("аcme.example", "xn--cme-5cd.example"),
        ] {
            assert_eq!(normalise(given).as_deref(), Some(kept), "{given}");
        }
        for wrong in [
            "",
            "acme",
            "acme.",
            "acme..example",
            "-a.example",
            "a_b.example",
            "10.0.0.1",
            "0x7f.1",
            "[::1]",
            "a b.c",
            "%61cme.example",
            "acme.example/x",
            "acme.example:25",
            "acme.example..",
            "ada@acme.example",
        ] {
            assert_eq!(normalise(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_domain_of_an_address_is_the_whole_of_it() {
        assert_eq!(of_address("ada@Lab.acme.example").as_deref(), Some("lab.acme.example"));
        assert_eq!(of_address("\"a@b\"@acme.example").as_deref(), Some("acme.example"));
        assert_eq!(of_address("acme.example"), None);
    }

    #[test]
    fn what_is_everybodys_is_nobodys() {
        for domain in ["gmail.com", "co.uk", "github.io", "example", "outlook.com"] {
            assert!(refusal(domain).is_some(), "{domain}");
        }
        for domain in ["acme.example", "acme.co.uk", "acme.github.io", "lab.acme.example"] {
            assert!(refusal(domain).is_none(), "{domain}");
        }
        assert!(refusal(&format!("{}.example", vec!["a".repeat(63); 4].join("."))).is_some());
        assert!(MAIL_PROVIDERS.split(' ').all(|provider| refusal(provider).is_some()));
    }
}
