//! `rivergen demo`: an organization with people of every role, three real sources, and policies.
//!
//! The people are provisioned; everything else is done as a person would, over the public API of the server
//! that was just started, so the demo shows nothing that the API cannot do. What exists is left as it is.

mod acme;
pub mod data;
pub mod mailbox;

use std::{net::SocketAddr, path::Path, time::Duration};

use rivergen_kernel::{Error, Result};
use rivergen_platform::Clock;
use rivergen_tenancy::{provision, role};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    App, Config,
    commands::listen,
    config::ConfigError,
    serve::{asked_to_stop, serve},
};

/// The password of everybody in the demo.
pub const PASSWORD: &str = "Demo-pass-1";

/// The people as the console's sign-in offers them, with the password of all.
pub fn people_of_page() -> serde_json::Value {
    let people = ["Owner", "Admin", "Developer", "Viewer"]
        .map(|role| serde_json::json!({"role": role, "email": format!("{}@acme.example", role.to_lowercase())}));
    serde_json::json!({"password": PASSWORD, "people": people})
}

/// The settings of the demo: its own folder, and no limit on sign-ins from one machine.
pub fn config(dir: &Path, address: SocketAddr) -> std::result::Result<Config, ConfigError> {
    let config = Config::with_environment(&format!(
        "data_dir = {:?}\n[server]\nlisten = \"{address}\"\n[log]\nlevel = \"warn\"\n\
         [limits.rules]\nlogin_by_ip = {{ limit = 1000, per_seconds = 60 }}\nlogin_by_email = {{ limit = 1000, per_seconds = 60 }}\n",
        dir.display().to_string()
    ))?;
    Ok(Config { is_demo: true, ..config })
}

/// Starts the server, fills it, prints how to use it, and serves until it is stopped.
pub async fn run(config: &Config, dir: &Path, rows: usize) -> Result<()> {
    let app = App::build(config, Clock::system()).await?;
    let made = provision::run(&app.tenancy, acme::people()?).await?;
    let roles = role::Entity::find()
        .filter(role::Column::OrganizationId.eq(made.organization_id))
        .all(app.platform.db.read())
        .await?;
    let listener = listen(config).await?;
    let address = listener.local_addr().map_err(Error::internal)?;
    let url = format!("http://{address}");
    let server = tokio::spawn(serve(app, listener, asked_to_stop()));

    let fill = async {
        let admin = acme::Person::sign_in(&url, "admin@acme.example").await?;
        let sources = acme::sources(&admin, dir, rows).await?;
        acme::policies(&admin, &sources, &roles).await?;
        acme::introduce(&url, &sources).await
    };
    match fill.await {
        Ok(introduction) => println!("{introduction}"),
        Err(error) => {
            server.abort();
            return Err(error);
        }
    }
    server.await.map_err(Error::internal)?
}

/// How long a new source may take to be tested and discovered.
const PATIENCE: Duration = Duration::from_secs(60);
