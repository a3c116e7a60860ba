//! `POST /api/v1/organizations/{org_id}/members/invite/bulk`: invites up to a hundred people, each judged for themselves.
//!
//! They come as JSON, which names workspaces and roles by their ids, or as CSV, which names them as people do ([`Row`]). A
//! name of nothing fails its row alone ([`Person`]); from there on both are the same.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
};
use garde::Validate;
use rivergen_kernel::{
    Error, ErrorCode, InvitationId, OrganizationId, Permission, Result, RoleId, Tenant, WorkspaceId,
};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    invite::{Call, Field, Wanted},
    table,
};
use crate::{Tenancy, role, workspace};

/// Invitations of one call.
const MOST: usize = 100;

/// The columns of a CSV, in the order of [`Field`].
const COLUMNS: [&str; 3] = ["email", "workspace", "role"];

/// Calls for one organization, of up to a hundred invitations each.
const BULK_INVITATIONS: Rule = Rule::new("bulk_invitations", 10, Duration::from_secs(3600));

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"invitations": [{"email": "ada@acme.example", "workspace_id": 7, "role_id": 4},
    {"email": "grace@acme.example", "workspace_id": 7, "role_id": 3}], "message": "Welcome aboard."}))]
pub struct BulkInviteRequest {
    #[garde(length(min = 1, max = MOST))]
    pub invitations: Vec<InvitationInput>,
    /// Goes into each mail, as plain text.
    #[garde(inner(length(chars, max = 1000)))]
    pub message: Option<String>,
}

/// One person to be invited.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example", "workspace_id": 7, "role_id": 4}))]
pub struct InvitationInput {
    pub email: String,
    pub workspace_id: WorkspaceId,
    /// The workspace's default role, if absent.
    pub role_id: Option<RoleId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BulkInvited {
    /// In the order of the request, or of the rows.
    pub results: Vec<InvitationResult>,
    #[schema(examples(2))]
    pub invited_count: usize,
    #[schema(examples(0))]
    pub failed_count: usize,
    pub message: &'static str,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationResult {
    /// Its place in the request, from 1; in a CSV without the header.
    #[schema(examples(1))]
    pub row: usize,
    /// As it was sent.
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    #[schema(inline)]
    pub status: InvitationOutcome,
    pub invitation_id: Option<InvitationId>,
    /// As the operation for a single invitation would answer.
    #[schema(examples("INVITATION_EXISTS"))]
    pub error_code: Option<&'static str>,
    /// What of it the error is about, as the request calls it.
    #[schema(examples("email"))]
    pub field: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitationOutcome {
    Invited,
    Failed,
}

errors! { pub BulkErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, UnsupportedMediaType, ValidationError, RateLimited; }

/// Invite several people to an organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/members/invite/bulk", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    request_body(description = "Up to 100 people. A CSV has a header: `email`; `workspace`, an id or a slug, the \
                                default workspace if empty; `role`, an id or a name, the workspace's default role if \
                                empty.",
        content((BulkInviteRequest = "application/json"),
            (String = "text/csv", example = "email,workspace,role\nada@acme.example,research,Developer\n"))),
    responses((status = 200, description = "The result for each", body = Envelope<BulkInvited>), BulkErrors))]
pub async fn invite_all(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    people: People,
) -> Result<Reply<BulkInvited>> {
    let (people, fields, message) = match people {
        People::Json(BulkInviteRequest { invitations, message }) => {
            (invitations.into_iter().map(Person::from).collect(), ["email", "workspace_id", "role_id"], message)
        }
        People::Csv(rows) => {
            let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::MemberInvite)?;
            (found(tenancy.identity.platform.db.read(), tenant, rows).await?, COLUMNS, None)
        }
    };
    let wanted: Vec<Wanted> = people.iter().filter_map(|person| person.wanted().ok()).collect();
    let call = Call { tenancy: &tenancy, caller: &caller, origin: &origin, message: message.as_deref() };
    let mut outcomes = call.invite(org_id, &BULK_INVITATIONS, &wanted).await?.into_iter();
    let results: Vec<InvitationResult> = (1..)
        .zip(people)
        .map(|(row, person)| {
            let lost = || Err(Error::internal("an invitation was lost on the way"));
            let outcome = person.wanted().and_then(|_| outcomes.next().unwrap_or_else(lost));
            let (status, invitation_id, error) = match outcome {
                Ok(made) => (InvitationOutcome::Invited, Some(made.id), None),
                Err(error) => (InvitationOutcome::Failed, None, Some(error)),
            };
            InvitationResult {
                row,
                email: person.email,
                status,
                invitation_id,
                error_code: error.as_ref().map(|error| error.code.as_str()),
                field: error.as_ref().and_then(Field::of).map(|field| fields[field as usize]),
            }
        })
        .collect();
    let invited_count = results.iter().filter(|result| result.status == InvitationOutcome::Invited).count();
    let failed_count = results.len() - invited_count;
    let message = "Each invitation was processed; see the results.";
    Ok(Reply::ok(BulkInvited { results, invited_count, failed_count, message }, message))
}

/// Somebody to be invited, with what the names of their row stand for.
struct Person {
    /// As it was sent.
    email: String,
    /// `None` where the row names none that there is.
    workspace: Option<WorkspaceId>,
    role: NamedRole,
}

#[derive(Clone, Copy)]
enum NamedRole {
    /// The row names none: that is the workspace's default one.
    Default,
    Known(RoleId),
    Unknown,
}

impl From<InvitationInput> for Person {
    fn from(InvitationInput { email, workspace_id, role_id }: InvitationInput) -> Self {
        let role = role_id.map_or(NamedRole::Default, NamedRole::Known);
        Self { email, workspace: Some(workspace_id), role }
    }
}

impl Person {
    fn wanted(&self) -> Result<Wanted> {
        let workspace_id = self.workspace.ok_or(ErrorCode::WorkspaceNotFound)?;
        let role_id = match self.role {
            NamedRole::Default => None,
            NamedRole::Known(id) => Some(id),
            NamedRole::Unknown => return Err(ErrorCode::RoleNotFound.into()),
        };
        Ok(Wanted { email: self.email.clone(), workspace_id, role_id })
    }
}

// ---- as CSV ---------------------------------------------------------------------------------------------

/// Who is to be invited, in the form that the content type names.
pub enum People {
    Json(BulkInviteRequest),
    Csv(Vec<Row>),
}

/// A person in a CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    email: String,
    /// By id or slug; the default one, if absent.
    workspace: Option<String>,
    /// By id or name; the workspace's default role, if absent.
    role: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for People {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("text/csv") {
            return Json::from_request(request, state).await.map(|Json(request)| Self::Json(request));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Error::new(ErrorCode::RequestEntityTooLarge).with_message("The request body is too large.")
            }
            _ => Error::new(ErrorCode::InvalidRequest).with_source(rejection),
        })?;
        read(&bytes).map(Self::Csv)
    }
}

fn read(bytes: &[u8]) -> Result<Vec<Row>> {
    // The databases hold no zero byte, so no name may have one.
    if bytes.contains(&0) {
        return Err(Error::invalid_field("body", "must not contain a zero byte"));
    }
    let rows =
        table::read(bytes, COLUMNS, MOST + 1).map_err(|why| Error::new(ErrorCode::InvalidRequest).with_message(why))?;
    let row = |[email, workspace, role]: [Option<String>; 3]| Row { email: email.unwrap_or_default(), workspace, role };
    let rows: Vec<Row> = rows.into_iter().map(row).collect();
    match rows.len() {
        1..=MOST => Ok(rows),
        _ => Err(Error::invalid_field("invitations", "must have 1 to 100 rows")),
    }
}

/// The rows with what their names stand for.
async fn found(db: &impl ConnectionTrait, tenant: Tenant, rows: Vec<Row>) -> Result<Vec<Person>> {
    let places: BTreeSet<&str> = rows.iter().filter_map(|row| row.workspace.as_deref()).collect();
    let slugs: Vec<String> = places.iter().map(|name| name.to_lowercase()).collect();
    // Indexes: workspaces(organization_id, slug), unique, and the primary key.
    let workspaces = tenant
        .find::<workspace::Entity>()
        .filter(workspace::Column::DeletedAt.is_null())
        .filter(
            Condition::any()
                .add(workspace::Column::IsDefault.eq(true))
                .add(workspace::Column::Slug.is_in(slugs))
                .add(workspace::Column::Id.is_in(ids(&places))),
        )
        .all(db)
        .await?;
    let names: BTreeSet<&str> = rows.iter().filter_map(|row| row.role.as_deref()).collect();
    let keys: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    // Indexes: roles(organization_id, name_key), unique, and the primary key.
    let named = Condition::any().add(role::Column::NameKey.is_in(keys)).add(role::Column::Id.is_in(ids(&names)));
    let roles = tenant.find::<role::Entity>().filter(named).all(db).await?;

    let workspace_of = |row: &Row| {
        let Some(name) = &row.workspace else {
            return workspaces.iter().find(|workspace| workspace.is_default).map(|workspace| workspace.id);
        };
        // An id is meant before a name that looks like one.
        let by_id = workspaces.iter().find(|workspace| workspace.id.to_string() == *name);
        let by_slug = || workspaces.iter().find(|workspace| workspace.slug == name.to_lowercase());
        by_id.or_else(by_slug).map(|workspace| workspace.id)
    };
    let role_of = |name: &String| {
        let by_id = roles.iter().find(|role| role.id.to_string() == *name);
        let by_name = || roles.iter().find(|role| role.name_key == name.to_lowercase());
        by_id.or_else(by_name).map_or(NamedRole::Unknown, |role| NamedRole::Known(role.id))
    };
    let people = rows.into_iter().map(|row| Person {
        workspace: workspace_of(&row),
        role: row.role.as_ref().map_or(NamedRole::Default, role_of),
        email: row.email,
    });
    Ok(people.collect())
}

/// Those of the names that may be ids.
fn ids(names: &BTreeSet<&str>) -> Vec<i64> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_is_read_by_its_header() {
        let row = |email: &str, workspace: Option<&str>, role: Option<&str>| Row {
            email: email.to_owned(),
            workspace: workspace.map(str::to_owned),
            role: role.map(str::to_owned),
        };
        let text = "role,email,workspace\nViewer, ada@acme.example ,lab\n,bob@acme.example,\n";
        let rows = [row("ada@acme.example", Some("lab"), Some("Viewer")), row("bob@acme.example", None, None)];
        assert_eq!(read(text.as_bytes()).unwrap(), rows);
        let text = "\u{feff}email\nada@acme.example\n";
        assert_eq!(read(text.as_bytes()).unwrap(), [row("ada@acme.example", None, None)]);
        for bad in ["", "name\nAda\n", "email,password\na@b.example,x\n", "email,role\na@b.example\n"] {
            assert_eq!(read(bad.as_bytes()).unwrap_err().code, ErrorCode::InvalidRequest, "{bad:?}");
        }
        assert_eq!(read(b"email\n\xff\n").unwrap_err().code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn a_csv_has_as_many_rows_as_a_call_may_invite() {
        let of = |count: usize| read(format!("email\n{}", "a@b.example\n".repeat(count)).as_bytes());
        assert_eq!(of(MOST).unwrap().len(), MOST);
        for count in [0, MOST + 1] {
            assert_eq!(of(count).unwrap_err().details[0].field, "invitations");
        }
        assert_eq!(read(b"email\na\0@b.example\n").unwrap_err().details[0].field, "body");
    }
}
