//! `GET /api/v1/users/{user_id}/export`: everything that is kept about a person, as one document (JSON) or one archive
//! (a CSV file for each kind of record, zipped). GDPR, articles 15 and 20.
//!
//! The person gets everything; an administrator what their organization keeps. It is written to a file page by page and
//! sent from there, so that neither memory nor a half-sent answer limits it.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, Write},
};

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_identity::{mails, user::User};
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Permission, Result, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Query, RequestOrigin, SignedIn},
    limits::Rule,
    personal_data::{PAGE, Subject},
};
use sea_orm::EntityTrait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::acting_on;
use crate::{Tenancy, organization};

/// Exports of one person.
const EXPORTS: Rule = Rule::new("personal_data_export", 3, std::time::Duration::from_secs(3600));

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// One document.
    #[default]
    Json,
    /// A zip archive with a CSV file for each kind of record.
    Csv,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct ExportQuery {
    #[param(inline, default = "json")]
    pub format: Option<ExportFormat>,
    /// The organization whose data about someone else is wanted: the session's organization, if absent. People get
    /// everything about themselves.
    pub organization_id: Option<OrganizationId>,
}

/// What is kept about a person. Each record has an `id`; times are UTC, RFC 3339.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "the shape of what is streamed, for the OpenAPI document")]
pub struct PersonalData {
    user_id: UserId,
    exported_at: DateTime<Utc>,
    #[schema(inline)]
    format: ExportFormat,
    /// Name, picture, profile and metadata of the account.
    #[schema(value_type = Object)]
    profile: Value,
    /// Terms that were accepted.
    #[schema(value_type = Vec<Object>)]
    consents: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    email_addresses: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    memberships: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    role_assignments: Vec<Value>,
    /// To the person's addresses.
    #[schema(value_type = Vec<Object>)]
    invitations: Vec<Value>,
    /// What the person sent.
    #[schema(value_type = Vec<Object>)]
    invitations_sent: Vec<Value>,
    /// Of people into an organization, which the person started.
    #[schema(value_type = Vec<Object>)]
    imports: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    sessions: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    devices: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    tokens: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    second_factors: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    passkeys: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    linked_accounts: Vec<Value>,
    /// Who the person is at identity providers.
    #[schema(value_type = Vec<Object>)]
    sso_identities: Vec<Value>,
    /// Sign-ins there.
    #[schema(value_type = Vec<Object>)]
    sso_logins: Vec<Value>,
    /// What the person was asked to do for single sign-on.
    #[schema(value_type = Vec<Object>)]
    sso_notices: Vec<Value>,
    /// What identity providers pushed.
    #[schema(value_type = Vec<Object>)]
    scim_users: Vec<Value>,
    /// For which the person answers.
    #[schema(value_type = Vec<Object>)]
    oauth_applications: Vec<Value>,
    /// What the person let applications do.
    #[schema(value_type = Vec<Object>)]
    oauth_consents: Vec<Value>,
    /// Of applications that act for the person.
    #[schema(value_type = Vec<Object>)]
    oauth_grants: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    files: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    file_links: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    shared_folders: Vec<Value>,
    /// Resumable ones, until they are swept.
    #[schema(value_type = Vec<Object>)]
    uploads: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    queries: Vec<Value>,
    /// Which the person made.
    #[schema(value_type = Vec<Object>)]
    policies: Vec<Value>,
    /// Of policies to the person by name.
    #[schema(value_type = Vec<Object>)]
    policy_assignments: Vec<Value>,
    /// What policies did to the person's queries.
    #[schema(value_type = Vec<Object>)]
    policy_evaluations: Vec<Value>,
    /// Which the person registered.
    #[schema(value_type = Vec<Object>)]
    data_sources: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    prompts: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    prompt_executions: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    prompt_templates: Vec<Value>,
    /// Questions with SQL that the person confirmed to answer them.
    #[schema(value_type = Vec<Object>)]
    prompt_verified_pairs: Vec<Value>,
    /// What the person defined about the meaning of data: joins, metrics, descriptions, synonyms.
    #[schema(value_type = Vec<Object>)]
    prompt_semantics: Vec<Value>,
    /// The saved questions that are asked by themselves as the person.
    #[schema(value_type = Vec<Object>)]
    prompt_schedules: Vec<Value>,
    /// The mails about answers to such questions that went to the person.
    #[schema(value_type = Vec<Object>)]
    prompt_schedule_deliveries: Vec<Value>,
    /// What the person did: their records of the audit log.
    #[schema(value_type = Vec<Object>)]
    activities: Vec<Value>,
    /// What was done to the account, and the roles that were given to the person and taken.
    #[schema(value_type = Vec<Object>)]
    account_events: Vec<Value>,
}

const EXPORTED: &str = "Everything that is kept about the person.";

errors! { pub ExportErrors: Unauthorized, TokenExpired, ReauthenticationRequired, Forbidden, EmailNotVerified, UserNotFound, ValidationError, RateLimited; }

/// Export a user's personal data
#[utoipa::path(get, path = "/api/v1/users/{user_id}/export", tag = "users",
    params(("user_id" = UserId, Path, description = "The person; your own data needs a sign-in no more than ten minutes old"), ExportQuery),
    responses(
        (status = 200, description = "All of it, to be downloaded", content(
            (Envelope<PersonalData> = "application/json"), (Vec<u8> = "application/zip"))),
        ExportErrors))]
pub async fn export(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(user_id): Path<UserId>,
    Query(query): Query<ExportQuery>,
) -> Result<Response> {
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let subject = subject(&tenancy, &caller, user_id, query.organization_id, now).await?;
    let user = User::find(platform.db.read(), user_id).await?.ok_or(ErrorCode::UserNotFound)?;
    platform.limits.check(&EXPORTS, &user_id.to_string())?;

    let format = query.format.unwrap_or_default();
    let mut document = Document::begin(format).map_err(Error::internal)?;
    let (profile, consents) = (profile(&user, subject), consents(&user, subject));
    document = blocking(document, move |document| {
        document.head(user_id, now, &profile)?;
        document.section("consents")?;
        document.records(&consents)
    })
    .await?;
    for records in tenancy.records.iter() {
        let name = records.name();
        document = blocking(document, move |document| document.section(name)).await?;
        let mut after = 0;
        loop {
            let page = records.page(platform.db.read(), subject, after).await?;
            let is_last = (page.len() as u64) < PAGE;
            after = page.last().and_then(|record| record["id"].as_i64()).unwrap_or(after);
            document = blocking(document, move |document| document.records(&page)).await?;
            if is_last {
                break;
            }
        }
    }
    let file = tokio::task::spawn_blocking(move || document.finish()).await.map_err(Error::internal)?;
    let (file, length) = file.map_err(Error::internal)?;

    let tx = platform.db.begin().await?;
    if let Some(tenant) = subject.within {
        let organization = organization::Entity::find_by_id(tenant.organization_id()).one(tx.conn()).await?;
        let name = organization.ok_or(ErrorCode::UserNotFound)?.name;
        mails::send_personal_data_exported(&tenancy.identity, &tx, &user, &name).await?;
    }
    let organization_id = subject.within.map(|tenant| tenant.organization_id());
    let record =
        AuditRecord::new(organization_id, origin.actor(caller.user_id), "user.export").target("user", user_id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;

    let (kind, extension) = match format {
        ExportFormat::Json => ("application/json", "json"),
        ExportFormat::Csv => ("application/zip", "zip"),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"personal-data-{user_id}.{extension}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)))).into_response())
}

/// The person, seen by themselves after a fresh proof, or by who may export in one of their organizations.
async fn subject(
    tenancy: &Tenancy,
    caller: &Caller,
    user_id: UserId,
    organization_id: Option<OrganizationId>,
    now: DateTime<Utc>,
) -> Result<Subject> {
    if user_id == caller.user_id {
        caller.recently_proved(now)?;
        return Ok(Subject { user_id, within: None });
    }
    let (_, tenant, _) = acting_on(tenancy, caller, organization_id, Permission::UserExport, user_id).await?;
    Ok(Subject { user_id, within: Some(tenant) })
}

/// The account itself; an organization sees of it what a member shows.
fn profile(user: &User, subject: Subject) -> Value {
    let account = &user.account;
    let mut profile = json!({"display_name": account.display_name, "email": user.email.email,
        "profile_image_url": account.profile_image_url, "created_at": account.created_at});
    if subject.within.is_none() {
        profile["profile"] = account.profile.clone();
        profile["user_metadata"] = account.user_metadata.clone();
        profile["updated_at"] = json!(account.updated_at);
        profile["password_changed_at"] = json!(account.password_changed_at);
    }
    profile
}

fn consents(user: &User, subject: Subject) -> Vec<Value> {
    let account = &user.account;
    let accepted = account.terms_version.iter().filter(|_| subject.within.is_none());
    accepted
        .map(|version| json!({"id": 1, "document": "terms", "version": version, "accepted_at": account.terms_accepted_at}))
        .collect()
}

/// Writes on a thread that may wait for the disk.
async fn blocking(
    mut document: Document,
    write: impl FnOnce(&mut Document) -> io::Result<()> + Send + 'static,
) -> Result<Document> {
    let written = tokio::task::spawn_blocking(move || write(&mut document).map(|()| document));
    written.await.map_err(Error::internal)?.map_err(Error::internal)
}

/// What the export is written to; its file has no name and goes with its last handle.
struct Document {
    form: Form,
    /// How many records the present section has; `None` before the first section.
    written: Option<u64>,
}

enum Form {
    Json(BufWriter<File>),
    Csv(Box<ZipWriter<BufWriter<File>>>),
}

impl Document {
    fn begin(format: ExportFormat) -> io::Result<Self> {
        let file = BufWriter::new(tempfile::tempfile()?);
        let form = match format {
            ExportFormat::Json => Form::Json(file),
            ExportFormat::Csv => Form::Csv(Box::new(ZipWriter::new(file).set_auto_large_file())),
        };
        Ok(Self { form, written: None })
    }

    /// What there is once.
    fn head(&mut self, user_id: UserId, at: DateTime<Utc>, profile: &Value) -> io::Result<()> {
        match &mut self.form {
            Form::Json(file) => {
                write!(file, r#"{{"success":true,"data":{{"user_id":{user_id},"exported_at":{},"#, json!(at))?;
                write!(file, r#""format":"json","profile":{profile}"#)
            }
            Form::Csv(_) => {
                let mut row = json!({"user_id": user_id, "exported_at": at});
                if let (Some(row), Some(profile)) = (row.as_object_mut(), profile.as_object()) {
                    row.extend(profile.clone());
                }
                self.section("profile")?;
                self.records(&[row])
            }
        }
    }

    /// Begins the next kind of record.
    fn section(&mut self, name: &str) -> io::Result<()> {
        match &mut self.form {
            Form::Json(file) => {
                let end_of_last = if self.written.is_some() { "]" } else { "" };
                write!(file, r#"{end_of_last},"{name}":["#)?;
            }
            Form::Csv(archive) => archive.start_file(format!("{name}.csv"), SimpleFileOptions::default())?,
        }
        self.written = Some(0);
        Ok(())
    }

    /// Objects that have all the same fields.
    fn records(&mut self, records: &[Value]) -> io::Result<()> {
        let written = self.written.get_or_insert_default();
        for record in records.iter().filter_map(Value::as_object) {
            match &mut self.form {
                Form::Json(file) => {
                    let comma = if *written > 0 { "," } else { "" };
                    write!(file, "{comma}{}", json!(record))?;
                }
                Form::Csv(archive) => {
                    if *written == 0 {
                        write_row(&mut **archive, record.keys().map(String::as_str))?;
                    }
                    write_row(&mut **archive, record.values().map(cell))?;
                }
            }
            *written += 1;
        }
        Ok(())
    }

    /// The file from its beginning, and its length.
    fn finish(self) -> io::Result<(File, u64)> {
        let mut file = match self.form {
            Form::Json(mut file) => {
                write!(file, r#"]}},"message":"{EXPORTED}"}}"#)?;
                file.into_inner()?
            }
            Form::Csv(archive) => archive.finish()?.into_inner()?,
        };
        let length = file.metadata()?.len();
        file.rewind()?;
        Ok((file, length))
    }
}

fn write_row(to: &mut impl Write, cells: impl Iterator<Item = impl AsRef<[u8]>>) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(cells)?;
    writer.flush()
}

/// A text as a spreadsheet may open it: what would begin a formula there gets an apostrophe before it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn written(format: ExportFormat) -> File {
        let mut document = Document::begin(format).unwrap();
        document.head(UserId(7), DateTime::UNIX_EPOCH, &json!({"display_name": "=1+1"})).unwrap();
        document.section("consents").unwrap();
        document.section("sessions").unwrap();
        document.records(&[json!({"id": 1, "methods": "pwd"}), json!({"id": 2, "methods": "a \"b\", c"})]).unwrap();
        document.records(&[json!({"id": 3, "methods": null})]).unwrap();
        document.finish().unwrap().0
    }

    #[test]
    fn the_document_is_json() {
        let document: Value = serde_json::from_reader(written(ExportFormat::Json)).unwrap();
        assert_eq!(document["success"], true);
        assert_eq!(document["data"]["exported_at"], "1970-01-01T00:00:00Z");
        assert_eq!(document["data"]["consents"], json!([]));
        assert_eq!(document["data"]["sessions"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn the_archive_has_a_file_for_each_kind() {
        let mut archive = zip::ZipArchive::new(written(ExportFormat::Csv)).unwrap();
        let names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["profile.csv", "consents.csv", "sessions.csv"]);
        let mut read = |name: &str| {
            let mut text = String::new();
            archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(read("sessions.csv"), "id,methods\n1,pwd\n2,\"a \"\"b\"\", c\"\n3,\n");
        assert!(read("profile.csv").contains("'=1+1"));
    }
}
