//! Which planners an organization's questions are put to, one after the other until one answers; where its models are, and
//! what it spends on them in a month. Where it has chosen none, the operator's are asked.

pub mod budget;
pub mod get;
pub mod names;
pub mod replace;

use std::{sync::Arc, time::Duration};

use budget::{Budget, OPERATORS, Spent};
use rivergen_kernel::{Error, OrganizationId, Result, Secret, Tenant};
use rivergen_platform::{
    Platform,
    db::{TenantOwned, TenantScope},
    vault::Sealed,
};
use sea_orm::{ConnectionTrait, QueryOrder, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::planner::{
    ChatPlanner, ChatSettings, EmbeddedPlanner, LocalInference, LocalPlanner, LocalSettings, Meter, Planner, Protocol,
};

/// The name by which a question chooses the embedded planner, always.
pub(crate) const EMBEDDED: &str = "embedded";

/// What the model on this machine is called, where nobody says.
pub const LOCAL: &str = "local";

/// What the keys of models are sealed for.
const KEY_CONTEXT: &str = "prompt_planners.api_key";

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_planners")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    /// From 0, in the order in which they are asked.
    pub position: i32,
    pub name: String,
    pub kind: Kind,
    /// `None`: of the embedded one and of the model on this machine.
    pub base_url: Option<String>,
    /// `None`: of the same.
    pub model_name: Option<String>,
    pub sealed_api_key: Option<Sealed>,
    pub timeout_seconds: i32,
    pub share_values: bool,
    /// `None`: as many as there are.
    pub monthly_tokens: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// What a planner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = PlannerKind)]
pub enum Kind {
    /// Rules of this server's own; nothing leaves it.
    #[sea_orm(string_value = "embedded")]
    Embedded,
    /// A model behind OpenAI's chat protocol: OpenAI, Ollama, vLLM, llama.cpp and many others.
    #[sea_orm(string_value = "chat")]
    Chat,
    /// A model at Anthropic.
    #[sea_orm(string_value = "anthropic")]
    Anthropic,
    /// A Gemini model at Google.
    #[sea_orm(string_value = "gemini")]
    Gemini,
    /// The model that the operator has put on this server; nothing leaves it.
    #[sea_orm(string_value = "local")]
    Local,
}

impl Kind {
    /// `None`: of those that are on this server.
    pub fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Embedded | Self::Local => None,
            Self::Chat => Some(Protocol::Chat),
            Self::Anthropic => Some(Protocol::Anthropic),
            Self::Gemini => Some(Protocol::Gemini),
        }
    }
}

/// A planner that an organization chose.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationPlanner)]
pub struct Chosen {
    #[schema(examples("claude-sonnet-4-5"))]
    pub name: String,
    pub kind: Kind,
    /// Null for those that are on this server.
    #[schema(examples("https://api.anthropic.com/"))]
    pub base_url: Option<String>,
    /// Null for those that are on this server.
    #[schema(examples("claude-sonnet-4-5"))]
    pub model: Option<String>,
    /// The key itself is never shown.
    pub has_api_key: bool,
    pub timeout_seconds: i32,
    pub share_values: bool,
    /// Null: as many as there are.
    #[schema(examples(2_000_000))]
    pub monthly_tokens: Option<i64>,
    /// Of the month that it is, in UTC.
    pub tokens_this_month: i64,
    pub requests_this_month: i64,
}

/// The planners of an organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationPlanners)]
pub struct Choice {
    /// In the order in which they are used. If there are none, the operator's are used.
    pub planners: Vec<Chosen>,
    /// The names of the operator's, in the order in which they are asked.
    pub operators: Vec<String>,
    /// What went to the operator's model this month.
    pub operators_tokens_this_month: i64,
    /// Whether the operator lets organizations choose their planners.
    pub may_choose: bool,
    /// Whether there is a model on this server, for planners of the kind `local`.
    pub has_local: bool,
}

/// What the operator has set: the embedded planner, perhaps a model before it, perhaps a model on this machine, and whether
/// organizations choose others.
#[derive(Clone)]
pub struct Planners {
    embedded: Arc<dyn Planner>,
    model: Option<OperatorsModel>,
    local: Option<Arc<dyn LocalInference>>,
    may_choose: bool,
}

/// The model that the operator pays.
#[derive(Debug, Clone)]
pub struct OperatorsModel {
    pub planner: AnyModel,
    /// What one organization may spend in a month; `None`: as many as there are.
    pub monthly_tokens: Option<i64>,
    /// Where it gives no answer, the embedded planner is asked.
    pub falls_back: bool,
}

/// A model, wherever it is.
#[derive(Debug, Clone)]
pub enum AnyModel {
    Provider(Box<ChatPlanner>),
    Local(LocalPlanner),
}

impl AnyModel {
    fn metered(self, tenant: Tenant, meter: Arc<dyn Meter>) -> Arc<dyn Planner> {
        match self {
            Self::Provider(planner) => Arc::new(planner.metered(meter)),
            Self::Local(planner) => Arc::new(planner.metered(tenant.organization_id(), meter)),
        }
    }
}

impl Planners {
    /// The embedded planner alone.
    pub fn embedded() -> Self {
        Self { embedded: Arc::new(EmbeddedPlanner::new()), model: None, local: None, may_choose: true }
    }

    /// A model in front.
    #[must_use]
    pub fn with_model(mut self, model: OperatorsModel) -> Self {
        self.model = Some(model);
        self
    }

    /// A model on this machine, for organizations that choose it.
    #[must_use]
    pub fn with_local(mut self, model: Arc<dyn LocalInference>) -> Self {
        self.local = Some(model);
        self
    }

    /// Nobody's questions go anywhere but where the operator says.
    #[must_use]
    pub fn without_choice(mut self) -> Self {
        self.may_choose = false;
        self
    }

    /// Whom a question of the organization is put to, one after the other until one answers; the one of that name alone where
    /// one is named.
    pub(crate) async fn of(
        &self,
        platform: &Platform,
        tenant: Tenant,
        name: Option<&str>,
    ) -> Result<Vec<Arc<dyn Planner>>> {
        let mut planners = if self.may_choose { self.chosen(platform, tenant).await? } else { Vec::new() };
        if planners.is_empty() {
            planners = self.operators(platform, tenant);
        }
        let Some(name) = name else { return Ok(planners) };
        if !planners.iter().any(|planner| planner.name() == EMBEDDED) {
            planners.push(self.embedded.clone());
        }
        match planners.iter().find(|planner| planner.name() == name) {
            Some(planner) => Ok(vec![planner.clone()]),
            None => {
                let names: Vec<&str> = planners.iter().map(|planner| planner.name()).collect();
                Err(Error::invalid_field("ai_model", format!("must be one of {}", names.join(", "))))
            }
        }
    }

    /// The names that [`Planners::of`] takes. Index: prompt_planners(organization_id, position).
    async fn names(&self, platform: &Platform, tenant: Tenant) -> Result<Vec<String>> {
        let mut names: Vec<String> = match self.may_choose {
            true => rows(platform.db.read(), tenant).await?.into_iter().map(|row| row.name).collect(),
            false => Vec::new(),
        };
        if names.is_empty() {
            names = self.operators_names(platform, tenant);
        }
        if !names.iter().any(|name| name == EMBEDDED) {
            names.push(EMBEDDED.to_owned());
        }
        Ok(names)
    }

    fn operators_names(&self, platform: &Platform, tenant: Tenant) -> Vec<String> {
        self.operators(platform, tenant).iter().map(|planner| planner.name().to_owned()).collect()
    }

    fn operators(&self, platform: &Platform, tenant: Tenant) -> Vec<Arc<dyn Planner>> {
        let Some(model) = &self.model else { return vec![self.embedded.clone()] };
        let budget = Budget::new(platform.clone(), tenant, OPERATORS.to_owned(), model.monthly_tokens);
        let mut planners = vec![model.planner.clone().metered(tenant, Arc::new(budget))];
        if model.falls_back {
            planners.push(self.embedded.clone());
        }
        planners
    }

    /// How it stands, for whoever chooses. Index: prompt_planners(organization_id, position).
    async fn choice(&self, platform: &Platform, tenant: Tenant) -> Result<Choice> {
        let db = platform.db.read();
        let rows = rows(db, tenant).await?;
        let spent = budget::of_this_month(platform, tenant).await?;
        let of = |name: &str| spent.iter().find(|spent| spent.planner == name).map_or((0, 0), Spent::numbers);
        Ok(Choice {
            planners: rows
                .into_iter()
                .map(|row| {
                    let (tokens_this_month, requests_this_month) = of(&row.name);
                    Chosen {
                        name: row.name,
                        kind: row.kind,
                        base_url: row.base_url,
                        model: row.model_name,
                        has_api_key: row.sealed_api_key.is_some(),
                        timeout_seconds: row.timeout_seconds,
                        share_values: row.share_values,
                        monthly_tokens: row.monthly_tokens,
                        tokens_this_month,
                        requests_this_month,
                    }
                })
                .collect(),
            operators: self.operators_names(platform, tenant),
            operators_tokens_this_month: of(OPERATORS).0,
            may_choose: self.may_choose,
            has_local: self.local.is_some(),
        })
    }

    /// Those that the organization chose, in their order.
    async fn chosen(&self, platform: &Platform, tenant: Tenant) -> Result<Vec<Arc<dyn Planner>>> {
        let mut planners: Vec<Arc<dyn Planner>> = Vec::new();
        for row in rows(platform.db.read(), tenant).await? {
            let timeout = Duration::from_secs(u64::try_from(row.timeout_seconds).unwrap_or_default());
            let budget = Budget::new(platform.clone(), tenant, row.name.clone(), row.monthly_tokens);
            if row.kind == Kind::Local {
                let settings = LocalSettings { name: row.name, timeout, share_values: row.share_values };
                let planner = LocalPlanner::new(self.local.clone(), settings);
                planners.push(Arc::new(planner.metered(tenant.organization_id(), Arc::new(budget))));
                continue;
            }
            let (Some(protocol), Some(base_url), Some(model)) = (row.kind.protocol(), &row.base_url, &row.model_name)
            else {
                planners.push(Arc::new(EmbeddedPlanner::new()));
                continue;
            };
            let settings = ChatSettings {
                name: row.name.clone(),
                protocol,
                base_url: base_url.parse().map_err(Error::internal)?,
                model: model.clone(),
                api_key: api_key(platform, &row).await?,
                timeout,
                temperature: None,
                share_values: row.share_values,
            };
            let http = platform.outbound.http_without_redirects().clone();
            planners.push(Arc::new(ChatPlanner::new(http, settings).metered(Arc::new(budget))));
        }
        Ok(planners)
    }
}

async fn rows(db: &impl ConnectionTrait, tenant: Tenant) -> Result<Vec<Model>> {
    Ok(tenant.find::<Entity>().order_by_asc(Column::Position).all(db).await?)
}

async fn api_key(platform: &Platform, row: &Model) -> Result<Option<Secret>> {
    let Some(sealed) = &row.sealed_api_key else { return Ok(None) };
    let opened = platform.vault.open(row.organization_id.into(), KEY_CONTEXT, sealed).await?;
    let key = std::str::from_utf8(&opened).map_err(Error::internal)?;
    Ok(Some(Secret::new(key)))
}
