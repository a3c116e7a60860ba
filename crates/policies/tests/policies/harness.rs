//! The room with two organizations on a fresh database, and a client that speaks to its routes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, http::Request};
use rivergen_identity::user::NewUser;
use rivergen_kernel::{
    BuiltInRole, Caller, Credential, DataSourceId, DatasetId, Error, ErrorCode, Federation, OrganizationId, Proofs,
    Result, RoleId, SessionId, Tenant, UserId, WorkspaceId, caller::Membership,
};
use rivergen_platform::{
    Clock, Database, Platform,
    clock::MovableTime,
    db::DatabaseConfig,
    http::{Authentication, Authenticator, TrustedProxies},
    jobs::Jobs,
    limits::Limits,
    net::{Outbound, OutboundConfig},
    vault::{ServerKeys, Vault},
};
use rivergen_policies::{
    Policies,
    rule::{ConfigError, RuleConfig},
    store::assignment::BoundTable,
    targets::{Member, Places, Target, Targets},
};
use rivergen_tenancy::{organization, role};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

pub const ACME: OrganizationId = OrganizationId(1);
pub const OTHER: OrganizationId = OrganizationId(2);

pub const EUROPE: WorkspaceId = WorkspaceId(11);
pub const AMERICA: WorkspaceId = WorkspaceId(12);
/// Of the workspace Europe.
pub const CRM: DataSourceId = DataSourceId(21);
/// Of the workspace America.
pub const SHOP: DataSourceId = DataSourceId(22);
/// Of no workspace.
pub const LAKE: DataSourceId = DataSourceId(23);
/// The other organization's.
pub const FOREIGN: DataSourceId = DataSourceId(29);

/// The table `public.orders` of the CRM.
pub const ORDERS: DatasetId = DatasetId(31);

/// What the rooms around would say.
struct Surroundings {
    targets: BTreeSet<(OrganizationId, Target)>,
    roles: BTreeMap<RoleId, (OrganizationId, String)>,
    sources: BTreeMap<DataSourceId, (OrganizationId, Option<WorkspaceId>)>,
}

#[async_trait::async_trait]
impl Targets for Surroundings {
    async fn existing(&self, tenant: Tenant, targets: &BTreeSet<Target>) -> Result<BTreeSet<Target>> {
        let organization = tenant.organization_id();
        Ok(targets.iter().copied().filter(|target| self.targets.contains(&(organization, *target))).collect())
    }

    async fn role_names(&self, tenant: Tenant, roles: &BTreeSet<RoleId>) -> Result<BTreeMap<RoleId, String>> {
        let own = |role: &RoleId| self.roles.get(role).filter(|(owner, _)| *owner == tenant.organization_id());
        Ok(roles.iter().filter_map(|role| own(role).map(|(_, name)| (*role, name.clone()))).collect())
    }

    async fn workspaces_of(
        &self,
        tenant: Tenant,
        sources: &BTreeSet<DataSourceId>,
    ) -> Result<BTreeMap<DataSourceId, Option<WorkspaceId>>> {
        let own =
            |source: &DataSourceId| self.sources.get(source).filter(|(owner, _)| *owner == tenant.organization_id());
        Ok(sources.iter().filter_map(|source| own(source).map(|(_, workspace)| (*source, *workspace))).collect())
    }

    async fn datasets(
        &self,
        tenant: Tenant,
        datasets: &BTreeSet<DatasetId>,
    ) -> Result<BTreeMap<DatasetId, BoundTable>> {
        let is_there = |id: &DatasetId| (tenant.organization_id(), *id) == (ACME, ORDERS);
        let table = |dataset_id: DatasetId| {
            let (schema, name) = ("public".to_owned(), "orders".to_owned());
            (dataset_id, BoundTable { dataset_id, data_source_id: CRM, schema, name })
        };
        Ok(datasets.iter().copied().filter(is_there).map(table).collect())
    }

    async fn misfits(&self, _: Tenant, _: &Places, _: &[RuleConfig]) -> Result<Vec<(usize, ConfigError)>> {
        Ok(Vec::new())
    }

    async fn groups_of(&self, _: Tenant, _: UserId) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn member(&self, _: Tenant, _: UserId, _: Option<WorkspaceId>) -> Result<Option<Member>> {
        Ok(None)
    }
}

/// Somebody who can be signed in as.
#[derive(Clone)]
pub struct Person {
    pub user_id: UserId,
    pub membership: Arc<Membership>,
}

pub struct House {
    pub policies: Policies,
    pub time: Arc<MovableTime>,
    pub owner: Person,
    pub developer: Person,
    pub viewer: Person,
    /// Owner of the other organization.
    pub stranger: Person,
    /// Roles of Acme.
    pub roles: BTreeMap<BuiltInRole, RoleId>,
    app: Router,
    _folder: TempDir,
    drop: Option<(Database, String)>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub error: Option<Error>,
    pub body: Value,
}

impl Answer {
    pub fn data(&self) -> &Value {
        assert!(self.error.is_none(), "{:?}", self.error);
        &self.body["data"]
    }

    /// The code, and the fields in its details.
    pub fn fault(&self) -> (ErrorCode, Vec<&str>) {
        let error = self.error.as_ref().unwrap_or_else(|| panic!("no error but {}", self.body));
        assert_eq!(self.status, error.code.status());
        (error.code, error.details.iter().map(|detail| detail.field.as_str()).collect())
    }
}

impl House {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.sqlite").display());
        Self::build(&url, folder, None).await
    }

    /// `None` where no server is named.
    pub async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("RIVERGEN_TEST_POSTGRES_URL") else {
            eprintln!("skipped: RIVERGEN_TEST_POSTGRES_URL is not set");
            return None;
        };
        let admin = connect(&server).await;
        let name = format!("rivergen_test_{:016x}", rand::random::<u64>());
        admin.read().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        let mut url: url::Url = server.parse().unwrap();
        url.set_path(&name);
        Some(Self::build(url.as_str(), tempfile::tempdir().unwrap(), Some((admin, name))).await)
    }

    pub async fn remove(self) {
        if let Some((admin, name)) = self.drop {
            admin.read().execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        }
    }

    async fn build(url: &str, folder: TempDir, drop: Option<(Database, String)>) -> Self {
        let db = connect(url).await;
        db.migrate(|| {
            let mut all = rivergen_platform::migrations::migrations();
            all.extend(rivergen_identity::migrations::migrations());
            all.extend(rivergen_tenancy::migrations::migrations());
            all.extend(rivergen_policies::migrations::migrations());
            all
        })
        .await
        .unwrap();
        let time = Arc::new(MovableTime::default());
        let clock = Clock::from(time.clone());
        let server_keys = ServerKeys::load_or_create(&folder.path().join("keys")).unwrap();
        let limits = Arc::new(Limits::disabled(clock.clone()));
        let platform = Platform {
            vault: Vault::new(db.clone(), server_keys, clock.clone()),
            limits: limits.clone(),
            outbound: Arc::new(Outbound::new(&OutboundConfig::default()).unwrap()),
            jobs: Jobs::new(db.clone(), clock.clone()),
            public_url: "http://localhost".into(),
            db: db.clone(),
            clock,
        };

        let mut people = Vec::new();
        let mut targets = BTreeSet::from([
            (ACME, Target::Workspace(EUROPE)),
            (ACME, Target::Workspace(AMERICA)),
            (ACME, Target::DataSource(CRM)),
            (ACME, Target::DataSource(SHOP)),
            (ACME, Target::DataSource(LAKE)),
            (OTHER, Target::DataSource(FOREIGN)),
            (ACME, Target::Dataset(ORDERS)),
        ]);
        let mut roles = BTreeMap::new();
        let mut role_names = BTreeMap::new();
        for organization in [ACME, OTHER] {
            let made = found(&platform, organization).await;
            role_names.extend(made.iter().map(|(role, id)| (*id, (organization, role.name().to_owned()))));
            targets.extend(made.values().map(|id| (organization, Target::Role(*id))));
            let built_in: &[BuiltInRole] = match organization {
                ACME => &[BuiltInRole::Owner, BuiltInRole::Developer, BuiltInRole::Viewer],
                _ => &[BuiltInRole::Owner],
            };
            for role in built_in {
                let person = join(&platform, organization, *role, made[role]).await;
                targets.insert((organization, Target::User(person.user_id)));
                people.push(person);
            }
            if organization == ACME {
                roles = made;
            }
        }
        let sources = BTreeMap::from([
            (CRM, (ACME, Some(EUROPE))),
            (SHOP, (ACME, Some(AMERICA))),
            (LAKE, (ACME, None)),
            (FOREIGN, (OTHER, None)),
        ]);
        let surroundings = Surroundings { targets, roles: role_names, sources };
        let policies = Policies::new(platform, Arc::new(surroundings));
        let [owner, developer, viewer, stranger] = people.try_into().unwrap_or_else(|_| panic!("four people"));
        let known = [&owner, &developer, &viewer, &stranger].map(|person| (person.user_id, person.clone()));
        let authentication = Authentication {
            authenticator: Arc::new(ByUserId(Mutex::new(known.into()))),
            limits,
            proxies: Arc::new(TrustedProxies::default()),
            challenge: rivergen_platform::http::Challenge {
                unasked: axum::http::HeaderValue::from_static("Bearer"),
                refused: axum::http::HeaderValue::from_static("Bearer error=\"invalid_token\""),
                metadata: "resource_metadata=\"https://rivergen.example\"".into(),
            },
        };
        let (app, _) = rivergen_policies::operations().with_state(policies.clone()).split_for_parts();
        let app =
            app.layer(axum::middleware::from_fn_with_state(authentication, rivergen_platform::http::authenticate));
        Self { policies, time, owner, developer, viewer, stranger, roles, app, _folder: folder, drop }
    }

    pub fn tenant(&self) -> Tenant {
        Tenant::on_behalf_of(ACME)
    }

    pub async fn get(&self, person: &Person, path: &str) -> Answer {
        self.send("GET", Some(person), path, None).await
    }

    pub async fn post(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.send("POST", Some(person), path, Some(body)).await
    }

    pub async fn send(&self, method: &str, person: Option<&Person>, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1/policies{path}"));
        if let Some(person) = person {
            request = request.header("authorization", format!("Bearer {}", person.user_id));
        }
        let body = match body {
            None => Body::empty(),
            Some(Value::String(raw)) => raw.into(),
            Some(json) => json.to_string().into(),
        };
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let error = response.extensions().get::<Error>().cloned();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, error, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// Creates a policy as the owner and answers it.
    pub async fn policy(&self, body: Value) -> Value {
        let answer = self.post(&self.owner, "", body).await;
        assert_eq!(answer.status, 201, "{:?}", answer.error);
        answer.data().clone()
    }
}

/// An organization with its roles.
async fn found(platform: &Platform, id: OrganizationId) -> BTreeMap<BuiltInRole, RoleId> {
    let now = platform.clock.now();
    let tx = platform.db.begin().await.unwrap();
    organization::ActiveModel {
        id: Set(id),
        name: Set(format!("Organization {id}")),
        name_key: Set(format!("organization {id}")),
        domain: Set(None),
        plan: Set("enterprise".to_owned()),
        is_personal: Set(false),
        created_by_user_id: Set(UserId(1)),
        created_at: Set(now),
        updated_at: Set(now),
        security: Set(None),
        deleted_at: Set(None),
        settings: Set(None),
        settings_version: Set(0),
        settings_updated_at: Set(None),
        settings_updated_by: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await
    .unwrap();
    let roles = role::create_built_in(&tx, id, now).await.unwrap();
    tx.commit().await.unwrap();
    roles
}

async fn join(platform: &Platform, organization: OrganizationId, role: BuiltInRole, role_id: RoleId) -> Person {
    let tx = platform.db.begin().await.unwrap();
    let new = NewUser {
        email: format!("{}@{organization}.example", role.name().to_lowercase()),
        display_name: role.name().to_owned(),
        password_hash: None,
        verified_at: None,
        terms_version: None,
    };
    let user_id = new.insert(tx.conn(), platform.clock.now()).await.unwrap().id();
    tx.commit().await.unwrap();
    let membership = Membership {
        organization_id: organization,
        workspace_id: None,
        role_ids: vec![role_id],
        role_names: vec![role.name().to_owned()],
        roles_elsewhere: Vec::new(),
        permissions: role.permissions(),
        organization_permissions: role.permissions(),
        attributes: Default::default(),
        valid_until: None,
        policies: None,
    };
    Person { user_id, membership: Arc::new(membership) }
}

/// A token is a user's id.
struct ByUserId(Mutex<BTreeMap<UserId, Person>>);

#[async_trait::async_trait]
impl Authenticator for ByUserId {
    async fn authenticate(&self, token: &str, _: Option<IpAddr>) -> Result<Arc<Caller>> {
        let person = token.parse().ok().and_then(|id| self.0.lock().unwrap().get(&id).cloned());
        let person = person.ok_or(ErrorCode::Unauthorized)?;
        Ok(Arc::new(Caller {
            user_id: person.user_id,
            credential: Credential::Session(SessionId(1)),
            proofs: Proofs {
                second_factor: false,
                passkey: false,
                trusted_device: false,
                ip: None,
                federation: Federation::No,
            },
            closed: None,
            email: "somebody@acme.example".into(),
            email_verified: true,
            authenticated_at: chrono::Utc::now(),
            membership: Some(person.membership),
        }))
    }
}

async fn connect(url: &str) -> Database {
    Database::connect(&DatabaseConfig { url: url.to_owned(), max_connections: 4 }).await.unwrap()
}

/// Makes two tests of each function: on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&crate::harness::House::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(house) = crate::harness::House::postgres().await else { return };
                super::$name(&house).await;
                house.remove().await;
            })+
        }
    };
}
