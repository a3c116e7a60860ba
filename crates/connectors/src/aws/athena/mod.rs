//! Athena: one database of a catalogue, with SQL that is Trino's.
//!
//! A statement is started, asked after until it has ended, and its result read page by page; one that nobody waits for
//! any more is stopped. Athena writes each result into S3 as well: where, the workgroup says, or
//! `metadata.output_location`.

mod catalog;
mod client;

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};

use super::Service;
use crate::pushdown::OpenedDatabase;
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext, form,
};
use client::Database;

const SERVICE: Service = Service { name: "athena", target: "AmazonAthena", content_type: "application/x-amz-json-1.1" };

/// Reads Athena.
#[derive(Debug)]
pub(super) struct Athena;

#[async_trait]
impl Connector for Athena {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Athena
    }

    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    fn form(&self) -> Json {
        let metadata = json!({
            "catalog": {"type": "string", "title": "Catalogue", "default": Settings::CATALOG},
            "workgroup": {"type": "string", "title": "Workgroup", "default": Settings::WORKGROUP},
            "output_location": {"type": "string", "title": "Results", "description": "A folder in S3, such as s3://acme-results/athena/, if the workgroup does not set one."}
        });
        let mut form = super::form("Athena", metadata, &["region"]);
        form["properties"]["database_name"] = form::text("Database");
        form["properties"]["connection_pool_size"] = form::pool_size("Maximum statements at once");
        form["required"] = json!(["database_name", "credentials", "metadata"]);
        form
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        let mut wrong = super::validate(config, credentials, SERVICE);
        wrong.extend(Settings::read(config).err());
        wrong
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = Settings::read(&source.config)?;
        Ok(Arc::new(OpenedDatabase::new(Database::new(source, settings)?)))
    }
}

/// What is read, and in whose name.
#[derive(Debug, Clone)]
struct Settings {
    catalog: String,
    database: String,
    workgroup: String,
    output_location: Option<String>,
}

impl Settings {
    const CATALOG: &'static str = "AwsDataCatalog";
    const WORKGROUP: &'static str = "primary";

    fn read(config: &SourceConfig) -> Result<Self, FieldError> {
        let workgroup = config.metadata_text("workgroup").unwrap_or(Self::WORKGROUP);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if workgroup.len() > 128 || !workgroup.chars().all(plain) {
            return Err(FieldError::new("metadata.workgroup", "must be a workgroup's name"));
        }
        let output_location = config.metadata_text("output_location");
        if output_location.is_some_and(|place| place.strip_prefix("s3://").is_none_or(str::is_empty)) {
            return Err(FieldError::new(
                "metadata.output_location",
                "must be a folder such as s3://acme-results/athena/",
            ));
        }
        Ok(Self {
            catalog: config.metadata_text("catalog").unwrap_or(Self::CATALOG).to_owned(),
            database: config.database_name.clone().unwrap_or_default(),
            workgroup: workgroup.to_owned(),
            output_location: output_location.map(str::to_owned),
        })
    }
}
