//! `GET /api/v1/prompts/semantic-layer/export` and `POST …/import`: the layer as a YAML document, to be kept beside code
//! and carried from one workspace to another.

use std::borrow::Cow;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, FieldError, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::{ColumnTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Column, Definition, Known, Origin, Said, Status,
    definition::{DescriptionDefinition, JoinDefinition, MetricDefinition, SynonymDefinition},
};
use crate::{Studio, prompt::read};

/// Entries of one document at most.
const MOST_AT_ONCE: usize = 500;
/// What is wrong with a document is told of so many entries.
const MOST_TOLD: usize = 20;

/// The document.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    joins: Vec<JoinDefinition>,
    metrics: Vec<MetricDefinition>,
    descriptions: Vec<DescriptionDefinition>,
    synonyms: Vec<SynonymDefinition>,
}

impl Document {
    fn add(&mut self, definition: Definition) {
        match definition {
            Definition::Join(join) => self.joins.push(join),
            Definition::Metric(metric) => self.metrics.push(metric),
            Definition::Description(description) => self.descriptions.push(description),
            Definition::Synonym(synonym) => self.synonyms.push(synonym),
        }
    }

    /// Each with its place in the document.
    fn into_definitions(self) -> Vec<(String, Definition)> {
        fn placed<T>(list: &str, entries: Vec<T>, of: fn(T) -> Definition) -> Vec<(String, Definition)> {
            let placed = entries.into_iter().enumerate();
            placed.map(|(index, entry)| (format!("{list}[{index}]"), of(entry))).collect()
        }
        let mut all = placed("joins", self.joins, Definition::Join);
        all.extend(placed("metrics", self.metrics, Definition::Metric));
        all.extend(placed("descriptions", self.descriptions, Definition::Description));
        all.extend(placed("synonyms", self.synonyms, Definition::Synonym));
        all
    }
}

/// The semantic layer as text.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedSemantics {
    /// YAML.
    #[schema(examples(
        "metrics:\n- name: revenue\n  table: orders.files.orders\n  formula: sum(amount) where status = 'paid'\n"
    ))]
    pub document: String,
}

errors! { pub ExportSemanticsErrors: Unauthorized, Forbidden, EmailNotVerified, InternalError; }

/// Export the confirmed semantic layer as YAML
#[utoipa::path(get, path = "/api/v1/prompts/semantic-layer/export", tag = "prompt_studio",
    responses((status = 200, description = "What is confirmed for everyone in the workspace, as far as you may see it", body = Envelope<ExportedSemantics>),
        ExportSemanticsErrors))]
pub async fn export_semantics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
) -> Result<Reply<ExportedSemantics>> {
    let tenant = caller.require(Permission::PromptRead)?;
    let shared =
        super::here(tenant, &caller)?.filter(Column::Status.eq(Status::Confirmed)).filter(Column::UserId.is_null());
    let rows = shared.all(studio.engine.platform.db.read()).await?;
    let mut document = Document::default();
    for row in super::existing(&studio, &caller, tenant, rows).await? {
        document.add(read(&row.definition)?);
    }
    let document = serde_saphyr::to_string(&document).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Reply::ok(ExportedSemantics { document }, "The semantic layer."))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"document": "metrics:\n- name: revenue\n  table: orders.files.orders\n  formula: sum(amount)\n"}))]
pub struct ImportRequest {
    /// YAML with the lists `joins`, `metrics`, `descriptions` and `synonyms`, as the export writes them.
    #[garde(length(chars, min = 1, max = 500_000))]
    pub document: String,
}

/// What was read.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportedSemantics {
    #[schema(examples(12))]
    pub imported: usize,
}

errors! { pub ImportSemanticsErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, Conflict, ValidationError, InternalError; }

/// Import entries of the semantic layer from YAML: all of them, or none
#[utoipa::path(post, path = "/api/v1/prompts/semantic-layer/import", tag = "prompt_studio", request_body = ImportRequest,
    responses((status = 200, description = "Each replaces the one with its name; others stay", body = Envelope<ImportedSemantics>),
        ImportSemanticsErrors))]
pub async fn import_semantics(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ImportRequest>,
) -> Result<Reply<ImportedSemantics>> {
    let tenant = caller.require(Permission::PromptWrite)?;
    let definitions = parse(&request.document)?.into_definitions();
    if definitions.len() > MOST_AT_ONCE {
        return Err(Error::invalid_field("document", format!("has more than {MOST_AT_ONCE} entries")));
    }
    let mut catalogs: Vec<String> =
        definitions.iter().flat_map(|(_, definition)| definition.catalogs()).map(str::to_owned).collect();
    catalogs.sort_unstable();
    catalogs.dedup();
    let context = super::outline(&studio, &caller, tenant, catalogs).await?;
    let mut wrong = Vec::new();
    for (place, definition) in &definitions {
        let checked = definition.check().and_then(|()| definition.resolve(&context).map(drop));
        let details = checked.err().map(|error| error.details).unwrap_or_default();
        wrong.extend(details.into_iter().map(|detail| {
            let field = detail.field.strip_prefix("definition.").unwrap_or(&detail.field);
            FieldError::new(format!("document.{place}.{field}"), detail.reason)
        }));
    }
    if !wrong.is_empty() {
        wrong.truncate(MOST_TOLD);
        return Err(Error::new(ErrorCode::ValidationError).with_details(wrong));
    }
    let platform = &studio.engine.platform;
    let workspace = caller.membership()?.workspace_id;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    for (_, definition) in &definitions {
        let said = Said {
            workspace,
            of: None,
            by: caller.user_id,
            definition,
            status: Status::Confirmed,
            origin: Origin::Person,
        };
        super::store(&tx, platform, tenant, said, Known::Replace).await?;
    }
    let actor = origin.actor(caller.user_id);
    let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.semantics_import")
        .details(serde_json::json!({"imported": definitions.len()}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(ImportedSemantics { imported: definitions.len() }, "The semantic layer was read."))
}

fn parse(document: &str) -> Result<Document> {
    serde_saphyr::from_str(document).map_err(|error| {
        let text = error.to_string();
        let reason: Cow<'_, str> = text.lines().next().unwrap_or_default().into();
        Error::invalid_field("document", format!("is not YAML of this form: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let yaml = "joins:\n- from: a.b.c.d\n  to: e.f.g.h\nmetrics:\n- name: revenue\n  table: a.b.c\n  \
            formula: sum(amount) where status = 'paid'\n";
        let document = parse(yaml).unwrap();
        assert_eq!((document.joins.len(), document.metrics.len()), (1, 1));
        assert_eq!(document.metrics[0].formula, "sum(amount) where status = 'paid'");
        let written = serde_saphyr::to_string(&document).unwrap();
        assert_eq!(parse(&written).unwrap(), document, "{written}");
        let places: Vec<String> = document.into_definitions().into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, ["joins[0]", "metrics[0]"]);
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        for yaml in ["metrics: 5", "tables: []", "metrics: [", "metrics:\n- name: a\n  table: b\n"] {
            assert!(parse(yaml).is_err(), "{yaml}");
        }
    }
}
