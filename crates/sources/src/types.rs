//! `GET /api/v1/data-sources/types`: every kind of source, whether this build reads it, and the form to enter it.

use axum::extract::State;
use rivergen_connectors::{Abilities, DataSourceType, Verification, VerifiedWith, tunnel};
use rivergen_kernel::{Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Reply, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Sources;

/// The kinds, in the order of their groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSourceTypes {
    pub items: Vec<DataSourceTypeInfo>,
}

/// A kind of source.
#[derive(Debug, Serialize, ToSchema)]
pub struct DataSourceTypeInfo {
    #[serde(rename = "type")]
    #[schema(value_type = String, examples("postgresql"))]
    pub kind: DataSourceType,
    /// `SQL`, `NoSQL`, `Cloud`, `Files`, `Streaming` or `API`.
    #[schema(value_type = String, examples("SQL"))]
    pub category: rivergen_connectors::DataSourceCategory,
    /// Whether this build has a connector for it; others cannot be registered.
    pub is_available: bool,
    #[schema(examples(5432))]
    pub default_port: Option<u16>,
    pub required: RequiredFields,
    /// Whether it can be reached through an SSH server.
    pub can_be_tunnelled: bool,
    /// What the source computes itself, for kinds that are available.
    pub abilities: Option<SourceAbilities>,
    /// What it has been tested with, for kinds that are available.
    pub verification: Option<SourceVerification>,
    /// JSON Schema of the configuration, for kinds that are available; secrets are `writeOnly`.
    #[schema(value_type = Option<Object>)]
    pub form: Option<serde_json::Value>,
}

/// What must be given. `credentials.` and `metadata.` name the members of those objects.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequiredFields {
    #[schema(value_type = Vec<String>, example = json!(["host", "port", "database_name"]))]
    pub all: &'static [&'static str],
    /// At least one of these as well.
    #[schema(value_type = Vec<String>)]
    pub one_of: &'static [&'static str],
    /// A `connection_string` does instead.
    pub or_connection_string: bool,
}

/// What of a query the source computes itself; the rest is done here.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceAbilities {
    pub filters: bool,
    pub projections: bool,
    pub limits: bool,
    pub sorting: bool,
    pub aggregates: bool,
    /// Joins of tables of the one source.
    pub joins: bool,
}

/// What a kind of source has been tested with.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceVerification {
    /// `itself`, `emulator` (software of others that speaks as it does) or `stand_in` (a server made for the tests, after the
    /// source's documents).
    #[schema(value_type = String, examples("itself"))]
    pub with: VerifiedWith,
    #[schema(examples("PostgreSQL 15, with and without TLS"))]
    pub against: &'static str,
}

errors! { pub TypesErrors: Unauthorized, Forbidden, EmailNotVerified; }

/// List all kinds of data sources, with their forms
#[utoipa::path(get, path = "/api/v1/data-sources/types", tag = "data_sources",
    responses((status = 200, description = "All kinds, available or not", body = Envelope<DataSourceTypes>), TypesErrors))]
pub async fn list_types(State(sources): State<Sources>, SignedIn(caller): SignedIn) -> Result<Reply<DataSourceTypes>> {
    caller.require(Permission::DataSourceRead)?;
    let items = DataSourceType::ALL.iter().map(|kind| DataSourceTypeInfo::of(&sources, *kind)).collect();
    Ok(Reply::ok(DataSourceTypes { items }, "The kinds of data sources."))
}

impl DataSourceTypeInfo {
    fn of(sources: &Sources, kind: DataSourceType) -> Self {
        let connector = sources.registry.connector(kind).ok();
        let required = kind.required();
        Self {
            kind,
            category: kind.category(),
            is_available: connector.is_some(),
            default_port: kind.default_port(),
            required: RequiredFields {
                all: required.all,
                one_of: required.one_of,
                or_connection_string: required.or_connection_string,
            },
            can_be_tunnelled: tunnel::is_possible(kind),
            abilities: SourceAbilities::of(sources, kind),
            verification: connector.map(|_| SourceVerification::of(kind)),
            form: connector.map(|connector| connector.form()),
        }
    }
}

impl SourceAbilities {
    /// `None` where this build has no connector for the kind.
    pub fn of(sources: &Sources, kind: DataSourceType) -> Option<Self> {
        sources.registry.connector(kind).ok().map(|connector| connector.abilities().into())
    }
}

impl SourceVerification {
    pub fn of(kind: DataSourceType) -> Self {
        let Verification { with, against } = kind.verification();
        Self { with, against }
    }
}

impl From<Abilities> for SourceAbilities {
    fn from(abilities: Abilities) -> Self {
        let Abilities { filters, projections, limits, sorting, aggregates, joins } = abilities;
        Self { filters, projections, limits, sorting, aggregates, joins }
    }
}
