//! `PUT /api/v1/prompts/planners`: the whole choice, as it was read and edited. A key that is not sent stays, as long as it
//! goes where it went: whoever may write the choice need not know the key, and must not learn it by sending it elsewhere.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Permission, Result, Secret, Tenant};
use rivergen_platform::{
    Platform, Transaction,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn, given},
    vault::Sealed,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;

use super::{ActiveModel, Choice, Column, EMBEDDED, Entity, KEY_CONTEXT, Kind, LOCAL, Model, rows};
use crate::Studio;

/// How long a planner has for one question, where nobody says.
const TIMEOUT_SECONDS: i32 = 60;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"planners": [
    {"kind": "anthropic", "model": "claude-sonnet-4-5", "api_key": "…", "monthly_tokens": 2_000_000},
    {"kind": "chat", "name": "ours", "base_url": "https://models.acme.example/v1", "model": "qwen3-coder"},
    {"kind": "embedded"}]}))]
pub struct PlannersRequest {
    /// In the order in which they are asked; none: the operator's are.
    #[garde(length(max = 10), dive)]
    pub planners: Vec<PlannerRequest>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PlannerRequest {
    pub kind: Kind,
    /// By which a question's `ai_model` chooses it; the model's without it, and `local` of the model on this server. The
    /// embedded one is `embedded`.
    #[garde(inner(length(chars, min = 1, max = 100)))]
    pub name: Option<String>,
    /// Where the model is, with or without the version at the end; its provider's own address without it. `chat` needs one.
    #[garde(inner(length(max = 2000)))]
    #[schema(examples("https://models.acme.example/v1"))]
    pub base_url: Option<String>,
    /// As the provider calls it. Every kind but `embedded` and `local` needs one.
    #[garde(inner(length(chars, min = 1, max = 100)))]
    pub model: Option<String>,
    /// Left out, the planner of the same name keeps what it has; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Password)]
    pub api_key: Option<Option<Secret>>,
    /// For one question.
    #[garde(inner(range(min = 1, max = 600)))]
    #[schema(default = 60)]
    pub timeout_seconds: Option<i32>,
    /// Whether the values of columns with few distinct values are sent there, as far as the person asking may see them.
    #[schema(default = true)]
    pub share_values: Option<bool>,
    /// After so many, the next one is asked until the month ends, in UTC.
    #[garde(inner(range(min = 1, max = 1_000_000_000_000)))]
    pub monthly_tokens: Option<i64>,
}

errors! { pub ReplacePlannersErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, Conflict, ValidationError; }

/// Set the organization's planners
#[utoipa::path(put, path = "/api/v1/prompts/planners", tag = "prompt_studio", request_body = PlannersRequest,
    responses((status = 200, description = "Its planners", body = Envelope<Choice>), ReplacePlannersErrors))]
pub async fn replace_planners(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<PlannersRequest>,
) -> Result<Reply<Choice>> {
    let tenant = caller.require(Permission::OrganizationUpdate)?;
    if !studio.planners.may_choose && !request.planners.is_empty() {
        let message = "The operator of this server does not let organizations choose their planners.";
        return Err(Error::new(ErrorCode::Forbidden).with_message(message));
    }
    let local = request.planners.iter().position(|planner| planner.kind == Kind::Local);
    if let Some(at) = local.filter(|_| studio.planners.local.is_none()) {
        return Err(Error::invalid_field(
            format!("planners[{at}].kind"),
            "is not available: there is no model on this server",
        ));
    }
    let platform = &studio.engine.platform;
    let tx = platform.db.begin().await?;
    let before = rows(tx.conn(), tenant).await?;
    let mut after: Vec<Draft> = Vec::new();
    for (at, wanted) in request.planners.into_iter().enumerate() {
        let draft = draft(platform, at, wanted, &before)?;
        if after.iter().any(|other| other.name == draft.name) {
            return Err(Error::invalid_field(format!("planners[{at}].name"), "appears twice"));
        }
        after.push(draft);
    }
    let told: Vec<_> = after
        .iter()
        .map(|draft| serde_json::json!({"name": draft.name, "kind": draft.kind, "base_url": draft.base_url}))
        .collect();
    Entity::delete_many().filter(Column::OrganizationId.eq(tenant.organization_id())).exec(tx.conn()).await?;
    for (position, draft) in (0..).zip(after) {
        let row = draft.into_row(platform, &tx, tenant, position).await?;
        let inserted = Entity::insert(row).exec_without_returning(tx.conn()).await;
        inserted.map_err(duplicate_is(
            Error::new(ErrorCode::Conflict).with_message("Someone else changed the planners at the same time."),
        ))?;
    }
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "prompt.planners")
        .target("organization", tenant.organization_id())
        .details(serde_json::json!({"planners": told}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let choice = studio.planners.choice(platform, tenant).await?;
    Ok(Reply::ok(choice, "The planners were chosen."))
}

/// A planner as it is to be.
struct Draft {
    name: String,
    kind: Kind,
    base_url: Option<String>,
    model: Option<String>,
    api_key: Key,
    timeout_seconds: i32,
    share_values: bool,
    monthly_tokens: Option<i64>,
}

enum Key {
    None,
    Kept(Sealed),
    New(Secret),
}

impl Draft {
    async fn into_row(
        self,
        platform: &Platform,
        tx: &Transaction,
        tenant: Tenant,
        position: i32,
    ) -> Result<ActiveModel> {
        let owner = tenant.organization_id();
        let sealed = match self.api_key {
            Key::None => None,
            Key::Kept(sealed) => Some(sealed),
            Key::New(key) => Some(platform.vault.seal(tx, owner.into(), KEY_CONTEXT, key.expose().as_bytes()).await?),
        };
        Ok(ActiveModel {
            organization_id: Set(owner),
            position: Set(position),
            name: Set(self.name),
            kind: Set(self.kind),
            base_url: Set(self.base_url),
            model_name: Set(self.model),
            sealed_api_key: Set(sealed),
            timeout_seconds: Set(self.timeout_seconds),
            share_values: Set(self.share_values),
            monthly_tokens: Set(self.monthly_tokens),
            ..Default::default()
        })
    }
}

fn draft(platform: &Platform, at: usize, wanted: PlannerRequest, before: &[Model]) -> Result<Draft> {
    let field = |name: &str| format!("planners[{at}].{name}");
    let timeout_seconds = wanted.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
    let share_values = wanted.share_values.unwrap_or(true);
    let Some(protocol) = wanted.kind.protocol() else {
        let is_local = wanted.kind == Kind::Local;
        let default = if is_local { LOCAL } else { EMBEDDED };
        let name = match wanted.name {
            Some(name) if is_local == (name == EMBEDDED) => {
                let reason =
                    if is_local { "is the embedded planner's" } else { "the embedded planner is called embedded" };
                return Err(Error::invalid_field(field("name"), reason));
            }
            Some(name) => name,
            None => default.to_owned(),
        };
        let model = [("base_url", wanted.base_url.is_some()), ("model", wanted.model.is_some())];
        let key = ("api_key", wanted.api_key.flatten().is_some());
        let budget = ("monthly_tokens", wanted.monthly_tokens.is_some() && !is_local);
        if let Some((given, _)) = model.into_iter().chain([key, budget]).find(|(_, is_given)| *is_given) {
            let reason = if is_local { "the model on this server has none" } else { "the embedded planner has none" };
            return Err(Error::invalid_field(field(given), reason));
        }
        return Ok(Draft {
            name,
            kind: wanted.kind,
            base_url: None,
            model: None,
            api_key: Key::None,
            timeout_seconds,
            share_values,
            monthly_tokens: wanted.monthly_tokens,
        });
    };
    let Some(model) = wanted.model else { return Err(Error::invalid_field(field("model"), "is required")) };
    let name = wanted.name.unwrap_or_else(|| model.clone());
    if name == EMBEDDED {
        return Err(Error::invalid_field(field("name"), "is the embedded planner's"));
    }
    let Some(base_url) = wanted.base_url.as_deref().or(protocol.home()) else {
        return Err(Error::invalid_field(field("base_url"), "is required"));
    };
    let base_url = address(platform, &field("base_url"), base_url)?;
    let same = before.iter().find(|row| row.name == name);
    let api_key = match wanted.api_key {
        Some(Some(key)) if !is_key(&key) => {
            return Err(Error::invalid_field(field("api_key"), "must be 1 to 4096 printable ASCII characters"));
        }
        Some(Some(key)) => Key::New(key),
        Some(None) => Key::None,
        None => match same.and_then(|row| Some((row, row.sealed_api_key.clone()?))) {
            None => Key::None,
            Some((row, sealed)) if row.kind == wanted.kind && row.base_url.as_deref() == Some(base_url.as_str()) => {
                Key::Kept(sealed)
            }
            Some(_) => {
                let reason = "must be given again where the kind or the address is another";
                return Err(Error::invalid_field(field("api_key"), reason));
            }
        },
    };
    Ok(Draft {
        name,
        kind: wanted.kind,
        base_url: Some(base_url),
        model: Some(model),
        api_key,
        timeout_seconds,
        share_values,
        monthly_tokens: wanted.monthly_tokens,
    })
}

/// What an HTTP header can hold.
fn is_key(key: &Secret) -> bool {
    (1..=4096).contains(&key.expose().len()) && key.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

/// Https, or http where this server may reach private addresses, as beside a model in the same network.
fn address(platform: &Platform, field: &str, text: &str) -> Result<String> {
    let refused = |reason: &'static str| Error::invalid_field(field, reason);
    let url = Url::parse(text).map_err(|_| refused("is not an address"))?;
    let is_open = url.scheme() == "https" || (url.scheme() == "http" && platform.outbound.policy().allow_private);
    if !is_open || url.host().is_none() {
        return Err(refused("must begin with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(refused("has no account, no query and no fragment"));
    }
    platform.outbound.check_url(&url).map_err(|blocked| Error::invalid_field(field, blocked.to_string()))?;
    Ok(url.into())
}
