//! Puts the rooms together, from the bottom up, into one router and its OpenAPI document.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::DefaultBodyLimit, middleware};
use rivergen_federation::{Federation, abac::AccessControl};
use rivergen_identity::{
    Identity, access_token::AccessTokens, authenticate::TokenAuthenticator, country::Countries, directory::Directory,
    password, social::SocialConfig, webauthn::RelyingParty,
};
use rivergen_kernel::{Error, OrganizationId, Result};
use rivergen_oauth::Oauth;
use rivergen_platform::{
    Clock, Database, Platform,
    audit::streams::Streams,
    http::{Authentication, Authenticator, TrustedProxies, authenticate, layer},
    jobs::{Jobs, JobsHandle},
    limits::Limits,
    mail::Delivery,
    net::Outbound,
    personal_data::{Owned, Records},
    signing::{Purpose, SigningKeys},
    vault::{ServerKeys, Vault},
};
use rivergen_policies::{Policies, evaluation};
use rivergen_runs::{Engine, QueryRuntime};
use rivergen_sources::Sources;
use rivergen_storage::{Storage, backend, sight::Sight};
use rivergen_studio::{
    Studio,
    planner::{LocalInference, LocalPlanner, LocalSettings, ModelFile},
};
use rivergen_tenancy::{Tenancy, directory::TenancyDirectory, standing::Standings};
use sea_orm_migration::MigrationTrait;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    browser::{SessionCookie, keep_refresh_tokens},
    config::Config,
    console, demo, health, pages,
    sight::GovernedSight,
    targets::OrganizationTargets,
};

/// Of each thread of a runtime. Planning goes as deep as a query is nested; memory is taken for what is used alone.
pub(crate) const STACK_BYTES: usize = 8 * 1024 * 1024;

/// A server that is ready to listen.
pub struct App {
    pub platform: Platform,
    pub tenancy: Tenancy,
    pub storage: Storage,
    pub router: Router,
    /// Ends with the server: its queries are cancelled when it is dropped.
    pub(crate) query_runtime: QueryRuntime,
    streams: Streams,
    /// Where files lie, if on this machine.
    files: Option<PathBuf>,
    longest_query: Duration,
    shutdown_grace: Duration,
    jobs_concurrency: usize,
}

/// All migrations, in the order in which they run.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = rivergen_platform::migrations::migrations();
    all.extend(rivergen_identity::migrations::migrations());
    all.extend(rivergen_tenancy::migrations::migrations());
    all.extend(rivergen_federation::migrations::migrations());
    all.extend(rivergen_oauth::migrations::migrations());
    all.extend(rivergen_storage::migrations::migrations());
    all.extend(rivergen_policies::migrations::migrations());
    all.extend(rivergen_sources::migrations::migrations());
    all.extend(rivergen_runs::migrations::migrations());
    all.extend(rivergen_studio::migrations::migrations());
    all
}

/// What all rooms keep about people.
fn personal_records() -> Vec<Box<dyn Records>> {
    let mut all = rivergen_tenancy::personal_data::records();
    all.extend(rivergen_identity::personal_data::records());
    all.extend(rivergen_federation::personal_data::records());
    all.extend(rivergen_oauth::personal_data::records());
    all.extend(rivergen_storage::personal_data::records());
    all.extend(rivergen_policies::personal_data::records());
    all.extend(rivergen_sources::personal_data::records());
    all.extend(rivergen_studio::personal_data::records());
    all.extend(rivergen_platform::personal_data::records());
    all
}

/// What members own in all rooms above the organizations.
fn possessions() -> Vec<Box<dyn Owned>> {
    let mut all = rivergen_storage::personal_data::possessions();
    all.extend(rivergen_policies::personal_data::possessions());
    all.extend(rivergen_sources::personal_data::possessions());
    all.extend(rivergen_studio::personal_data::possessions());
    all.extend(rivergen_federation::personal_data::possessions());
    all
}

/// Opens the database and brings its schema up to date.
pub async fn open_database(config: &Config) -> Result<Database> {
    make_private_directory(&config.data_dir)?;
    let db = Database::connect(&config.database()).await?;
    db.migrate(migrations).await?;
    Ok(db)
}

/// The vault over the database, with the server key from the settings or the key file.
pub fn open_vault(config: &Config, db: Database, clock: Clock) -> Result<Vault> {
    let key = config.vault.key.expose();
    let keys = if key.is_empty() {
        ServerKeys::load_or_create(&config.data_dir.join("server.key"))
    } else {
        ServerKeys::parse(key)
    };
    Ok(Vault::new(db, keys.map_err(Error::internal)?, clock))
}

impl App {
    /// Everything but the listening socket. The clock is handed in, so that tests can move it.
    pub async fn build(config: &Config, clock: Clock) -> Result<Self> {
        Self::over(open_database(config).await?, config, clock).await
    }

    /// As [`App::build`], over a database that is open already.
    pub async fn over(db: Database, config: &Config, clock: Clock) -> Result<Self> {
        let vault = open_vault(config, db.clone(), clock.clone())?;
        vault.check().await?;
        let jobs = Jobs::new(db.clone(), clock.clone());
        let limits = Arc::new(Limits::with_config(clock.clone(), config.limits.clone()));
        let platform = Platform {
            db: db.clone(),
            clock: clock.clone(),
            vault: vault.clone(),
            limits: limits.clone(),
            outbound: Arc::new(Outbound::new(&config.outbound).map_err(Error::internal)?),
            jobs: jobs.clone(),
            public_url: config.server.public_url.as_str().into(),
        };
        Delivery::new(&config.mail, vault.clone(), clock.clone()).map_err(Error::internal)?.register(&jobs);

        let streams = audit_streams(config, &db, &clock)?;
        streams.register(&jobs);

        let algorithm = config.tokens.algorithm;
        let keys =
            SigningKeys::load_or_create(db.clone(), vault.clone(), clock.clone(), Purpose::Sessions, algorithm).await?;
        let oauth_keys = rivergen_oauth::Keys::load_or_create(&db, &vault, &clock, token_algorithms(config)).await?;
        let lifetime = chrono::Duration::seconds(config.tokens.access_lifetime_seconds);
        let tokens = AccessTokens::new(keys, platform.public_url.clone(), lifetime);
        let access = AccessControl::new(db.clone(), clock.clone());
        let standings = Standings::new(db.clone(), Arc::new(access.clone()));
        let directory: Arc<dyn Directory> = Arc::new(TenancyDirectory::new(platform.clone(), standings.clone()));
        let delegations =
            rivergen_oauth::Access::new(platform.clone(), oauth_keys, directory.clone(), oauth_settings(config));
        let authenticator: Arc<dyn Authenticator> = Arc::new(TokenAuthenticator::new(
            platform.clone(),
            tokens.clone(),
            directory.clone(),
            Arc::new(delegations.clone()),
        ));
        let identity = Identity::new(
            platform.clone(),
            identity_settings(config)?,
            passwords(config)?,
            tokens.clone(),
            directory.clone(),
            Arc::new(delegations.clone()),
        );
        rivergen_identity::register_jobs(&identity);
        let tenancy = Tenancy::new(identity.clone(), standings.clone(), personal_records(), possessions());
        rivergen_tenancy::register_jobs(&tenancy);
        let federation = Federation::new(tenancy.clone(), access);
        rivergen_federation::register_jobs(&federation);
        let oauth = Oauth::new(tenancy.clone(), delegations, authenticator.clone());
        rivergen_oauth::register_jobs(&oauth);

        let targets = OrganizationTargets::new(db.clone(), clock.clone(), standings.clone());
        let policies = Policies::new(platform.clone(), Arc::new(targets));
        let sight = Arc::new(GovernedSight::new(platform.clone(), policies.clone()));
        let storage = open_storage(config, &platform, standings, sight.clone())?;
        rivergen_storage::sweep::register(&storage);
        rivergen_tenancy::organization::erase::register(&tenancy, vec![Arc::new(storage.clone())]);
        let sources = Sources::new(platform.clone(), storage.clone(), source_settings(config)?, sight);
        rivergen_sources::register_jobs(&sources);
        rivergen_policies::purge::register(&policies);
        let query_runtime = query_runtime(config)?;
        let (settings, threads) = (query_settings(config)?, query_runtime.threads());
        let engine = Engine::new(platform.clone(), sources.clone(), policies.clone(), settings, threads);
        rivergen_runs::results::register_jobs(&engine);
        rivergen_runs::retention::register_jobs(&engine);
        let planners = planner_settings(config, &platform)?;
        let studio = Studio::new(engine.clone(), planners, authenticator.clone(), directory);
        rivergen_studio::sweep::register_jobs(&studio);
        rivergen_studio::schedule::register_jobs(&studio);

        let operations = OpenApiRouter::new()
            .merge(rivergen_identity::operations().with_state(identity))
            .merge(rivergen_tenancy::operations().with_state(tenancy.clone()))
            .merge(rivergen_federation::operations().with_state(federation.clone()))
            .merge(rivergen_oauth::operations().with_state(oauth.clone()))
            .merge(rivergen_storage::operations().with_state(storage.clone()))
            .merge(rivergen_policies::operations().with_state(policies))
            .merge(rivergen_sources::operations().with_state(sources))
            .merge(rivergen_runs::http::operations().with_state(engine))
            .merge(rivergen_studio::operations().with_state(studio));
        let proxies = Arc::new(TrustedProxies(config.server.trusted_proxies.clone()));
        let challenge = rivergen_oauth::metadata::challenge(&platform.public_url).map_err(Error::internal)?;
        let authentication = Authentication { authenticator, limits, proxies: proxies.clone(), challenge };
        let router = Router::from(operations)
            .layer(DefaultBodyLimit::max(config.server.max_body_bytes))
            .layer(middleware::from_fn_with_state(authentication, authenticate))
            .layer(middleware::from_fn_with_state(SessionCookie::new(&platform.public_url), keep_refresh_tokens))
            // Identity providers have tokens and errors of their own.
            .merge(rivergen_federation::scim::router(federation, proxies.clone()))
            // So has the protocol that applications speak.
            .merge(rivergen_oauth::router(oauth, proxies))
            .merge(health::routes(db, streams.clone()))
            .merge(pages::routes(config.is_demo, tokens));
        let router = if config.is_demo { router.merge(demo::mailbox::routes(&config.mail.transport)) } else { router };
        let router = if console::is_built_in() {
            router.fallback_service(console::router(config.is_demo))
        } else {
            router.fallback(layer::not_found)
        };
        let router = router
            .method_not_allowed_fallback(layer::method_not_allowed)
            .layer(CatchPanicLayer::custom(layer::panicked))
            .layer(middleware::from_fn(layer::surround));
        Ok(Self {
            platform,
            tenancy,
            storage,
            router,
            query_runtime,
            streams,
            files: (config.storage.backend == backend::Kind::Local).then(|| config.storage.directory.clone()),
            longest_query: Duration::from_secs(config.query.timeout_seconds),
            shutdown_grace: Duration::from_secs(config.server.shutdown_grace_seconds),
            jobs_concurrency: config.jobs.concurrency,
        })
    }

    /// Ends what a killed server left unfinished, and begins what starts with serving. Only for a process that is about to
    /// serve: another one's work in the same place would be taken for left behind.
    pub async fn recover(&self) -> Result<()> {
        self.streams.begin().await?;
        let longest = chrono::Duration::from_std(self.longest_query).map_err(Error::internal)?;
        evaluation::mark_interrupted(&self.platform, longest).await?;
        rivergen_studio::sweep::mark_interrupted(&self.platform).await?;
        self.files.as_deref().map_or(Ok(()), remove_staged).map_err(Error::internal)
    }

    /// Starts the background worker of this node.
    pub fn start_jobs(&self) -> JobsHandle {
        self.platform.jobs.start(self.jobs_concurrency)
    }

    pub fn shutdown_grace(&self) -> Duration {
        self.shutdown_grace
    }
}

/// With what applications' tokens are signed.
pub(crate) fn token_algorithms(config: &Config) -> rivergen_oauth::Algorithms {
    rivergen_oauth::Algorithms {
        access_tokens: config.oauth.access_token_algorithm,
        id_tokens: config.oauth.id_token_algorithms.clone(),
    }
}

fn oauth_settings(config: &Config) -> rivergen_oauth::Settings {
    rivergen_oauth::Settings {
        access_token_lifetime: chrono::Duration::seconds(config.tokens.access_lifetime_seconds),
        dpop_nonce: config.oauth.dpop_nonce,
        dynamic_registration: config.oauth.registration.dynamic,
        client_documents: config.oauth.registration.documents,
        console: console::is_built_in(),
        organization: Some(OrganizationId(config.oauth.registration.organization)).filter(|id| id.0 > 0),
    }
}

fn identity_settings(config: &Config) -> Result<rivergen_identity::Settings> {
    let terms = &config.signup.terms_version;
    Ok(rivergen_identity::Settings {
        signup_open: config.signup.open,
        hide_taken_addresses: config.signup.hide_taken_addresses,
        terms_version: (!terms.is_empty()).then(|| terms.clone()),
        session_lifetime: chrono::Duration::hours(config.sessions.lifetime_hours),
        remembered_session_lifetime: chrono::Duration::hours(config.sessions.remembered_lifetime_hours),
        mfa_issuer: config.mfa.issuer.clone(),
        relying_party: relying_party(config)?,
        social: social(config)?,
        countries: countries(config)?,
    })
}

/// From the settings, or from the address under which people reach this server. A loopback address is called localhost,
/// as browsers want it; another address without a domain has no passkeys.
fn relying_party(config: &Config) -> Result<RelyingParty> {
    let passkeys = &config.webauthn;
    let mut origins = passkeys.origins.clone();
    if origins.is_empty() {
        let mut url: url::Url = config.server.public_url.parse().map_err(Error::internal)?;
        let is_loopback = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            _ => false,
        };
        if is_loopback {
            url.set_host(Some("localhost")).map_err(Error::internal)?;
        }
        origins.extend(url.domain().is_some().then_some(url));
    }
    let domain = origins.first().and_then(url::Url::domain).unwrap_or_default().to_owned();
    let id = if passkeys.rp_id.is_empty() { &domain } else { &passkeys.rp_id };
    RelyingParty::new(id, &passkeys.rp_name, &origins)
}

fn audit_streams(config: &Config, db: &Database, clock: &Clock) -> Result<Streams> {
    let url = &config.server.public_url;
    Streams::new(&config.audit, &config.outbound, url, db.clone(), clock.clone()).map_err(Error::internal)
}

/// With the console's own page for who is back from a provider, after what the operator names.
fn social(config: &Config) -> Result<SocialConfig> {
    let mut social = config.social.clone();
    if console::is_built_in() {
        let mut back: url::Url = config.server.public_url.parse().map_err(Error::internal)?;
        back.set_path("/signed-in");
        social.redirect_targets.push(back);
    }
    Ok(social)
}

fn countries(config: &Config) -> Result<Countries> {
    let database = &config.geoip.database;
    if database.as_os_str().is_empty() {
        return Ok(Countries::default());
    }
    let named = |error| Error::internal(format!("geoip.database, {}: {error}", database.display()));
    Countries::open(database).map_err(named)
}

fn passwords(config: &Config) -> Result<password::Passwords> {
    let cost = &config.passwords;
    let cost_of_one = password::Cost { memory_kib: cost.memory_kib, passes: cost.passes, lanes: cost.lanes };
    let passwords = password::Passwords::new(cost_of_one)?;
    if cost.breached_list.as_os_str().is_empty() {
        return Ok(passwords);
    }
    let list = password::breached::BreachedList::open(&cost.breached_list);
    let named = |error| Error::internal(format!("passwords.breached_list, {}: {error}", cost.breached_list.display()));
    Ok(passwords.with_breached_list(list.map_err(named)?))
}

fn open_storage(config: &Config, platform: &Platform, standings: Standings, sight: Arc<dyn Sight>) -> Result<Storage> {
    let files = match config.storage.backend {
        backend::Kind::Local => {
            make_private_directory(&config.storage.directory)?;
            backend::local(&config.storage.directory)?
        }
        backend::Kind::S3 => backend::s3(&config.storage.s3)?,
        backend::Kind::Gcs => backend::gcs(&config.storage.gcs)?,
        backend::Kind::Azure => backend::azure(&config.storage.azure)?,
    };
    let settings = rivergen_storage::Settings {
        quota_bytes: config.storage.quota_bytes,
        max_upload_bytes: config.storage.max_upload_bytes,
        max_link_seconds: config.storage.max_link_seconds,
    };
    Ok(Storage::new(platform.clone(), files, settings, standings, sight))
}

fn source_settings(config: &Config) -> Result<rivergen_sources::Settings> {
    let every = config.sources.check_every_seconds;
    Ok(rivergen_sources::Settings {
        check_every: (every > 0).then(|| Duration::from_secs(every)),
        cache_dir: private_cache(&config.data_dir)?,
    })
}

fn query_settings(config: &Config) -> Result<rivergen_runs::Settings> {
    let spill_directory = config.data_dir.join("spill");
    make_private_directory(&spill_directory)?;
    Ok(rivergen_runs::Settings {
        page: rivergen_runs::Bounds { rows: config.query.max_rows, bytes: config.query.max_bytes },
        download: rivergen_runs::Bounds { rows: config.query.download_rows, bytes: config.query.download_bytes },
        timeout: Duration::from_secs(config.query.timeout_seconds),
        memory_bytes: config.query.memory_bytes,
        spill_directory,
        max_spill_bytes: config.query.max_spill_bytes,
        capacity: rivergen_runs::Capacity {
            running: config.query.concurrent_per_organization,
            waiting: config.query.waiting_per_organization,
            patience: Duration::from_secs(config.query.waiting_seconds),
        },
        results_kept: Duration::from_secs(config.query.results_hours.saturating_mul(3600)),
        history_kept: (config.query.history_days > 0)
            .then(|| chrono::Duration::days(i64::from(config.query.history_days))),
        answers_bytes: config.query.answers_bytes,
    })
}

fn query_runtime(config: &Config) -> Result<QueryRuntime> {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = NonZeroUsize::new(config.query.threads).unwrap_or_else(cores);
    QueryRuntime::start(threads, STACK_BYTES).map_err(Error::internal)
}

fn planner_settings(config: &Config, platform: &Platform) -> Result<rivergen_studio::Planners> {
    use rivergen_studio::{AnyModel, planners::Kind};
    let mut planners = rivergen_studio::Planners::embedded();
    let local = local_model(config)?;
    let model = match config.planner.kind {
        Kind::Embedded => None,
        Kind::Local => Some(AnyModel::Local(local_planner(config, local.clone()))),
        Kind::Chat | Kind::Anthropic | Kind::Gemini => {
            let planner = chat_planner(config, platform.outbound.http_without_redirects().clone())?;
            Some(AnyModel::Provider(Box::new(planner)))
        }
    };
    if let Some(local) = local {
        planners = planners.with_local(local);
    }
    if let Some(planner) = model {
        planners = planners.with_model(rivergen_studio::OperatorsModel {
            planner,
            monthly_tokens: Some(config.planner.monthly_tokens).filter(|tokens| *tokens > 0),
            falls_back: config.planner.falls_back,
        });
    }
    Ok(if config.planner.of_organizations { planners } else { planners.without_choice() })
}

/// A folder of this process alone for plain copies of sealed files; those of processes that are gone are
/// removed. Connectors open what lies in it by URL, which takes no relative path.
fn private_cache(data_dir: &Path) -> Result<PathBuf> {
    let caches = std::path::absolute(data_dir.join("cache")).map_err(Error::internal)?;
    make_private_directory(&caches)?;
    let own_number = std::process::id().to_string();
    for entry in std::fs::read_dir(&caches).map_err(Error::internal)? {
        let entry = entry.map_err(Error::internal)?;
        // One of this process's own number is an earlier process's: in a container they all have the same.
        let is_of_another =
            entry.file_name() != own_number.as_str() && Path::new("/proc").join(entry.file_name()).exists();
        if !is_of_another {
            std::fs::remove_dir_all(entry.path()).map_err(Error::internal)?;
        }
    }
    let own = caches.join(own_number).join(hex::encode(rand::random::<[u8; 4]>()));
    make_private_directory(&own)?;
    Ok(own)
}

/// Removes what uploads that were cut by a kill have left beside the files: `<name>#<number>`, never visible to
/// anybody. No upload runs yet.
fn remove_staged(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_staged(&entry.path())?;
        } else if let Some((_, number)) = entry.file_name().to_string_lossy().rsplit_once('#')
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A directory that only the server's user can enter.
fn make_private_directory(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Error::internal(format!("{}: {error}", path.display())))
}

/// The model of the settings.
pub(crate) fn chat_planner(config: &Config, http: reqwest::Client) -> Result<rivergen_studio::planner::ChatPlanner> {
    use rivergen_studio::planner::{ChatPlanner, ChatSettings};
    let planner = &config.planner;
    let protocol = planner.kind.protocol().ok_or_else(|| Error::internal("[planner] has no model at a provider"))?;
    let base_url = match (planner.base_url.as_str(), protocol.home()) {
        ("", Some(home)) => home,
        (given, _) => given,
    };
    let settings = ChatSettings {
        name: planner.model.clone(),
        protocol,
        base_url: base_url.parse().map_err(Error::internal)?,
        model: planner.model.clone(),
        api_key: Some(planner.api_key.clone()).filter(|key| !key.is_empty()),
        timeout: Duration::from_secs(planner.timeout_seconds),
        temperature: planner.send_temperature.then_some(0.0),
        share_values: planner.share_values,
    };
    Ok(ChatPlanner::new(http, settings))
}

/// The model on this machine, where the settings name one. All of its file but the weights is looked at.
pub(crate) fn local_model(config: &Config) -> Result<Option<Arc<dyn LocalInference>>> {
    let local = &config.planner.local;
    if local.file.as_os_str().is_empty() {
        return Ok(None);
    }
    let file = ModelFile {
        file: local.file.clone(),
        context_tokens: local.context_tokens,
        answer_tokens: local.answer_tokens,
        waiting: local.waiting,
    };
    Ok(Some(file.open().map_err(|error| Error::internal(format!("planner.local.file: {error}")))?))
}

/// A planner that asks it, within the limits of the operator's.
pub(crate) fn local_planner(config: &Config, model: Option<Arc<dyn LocalInference>>) -> LocalPlanner {
    let settings = LocalSettings {
        name: rivergen_studio::planners::LOCAL.to_owned(),
        timeout: Duration::from_secs(config.planner.timeout_seconds),
        share_values: config.planner.share_values,
    };
    LocalPlanner::new(model, settings)
}
