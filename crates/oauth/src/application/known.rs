//! Applications as the protocol asks for them at every request: by their client id, with their secrets, kept until they change.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::JwkSet;
use rivergen_kernel::{Error, ErrorCode, Result, Scopes};
use rivergen_platform::{Event, Kept, Platform};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{Column, Entity, GrantType, Model, Status, redirect, secret};
use crate::client_metadata::Checked;

/// How often the last use is written down.
const TOUCH_INTERVAL: chrono::Duration = chrono::Duration::seconds(60);

/// An application that works.
#[derive(Debug)]
pub struct Client {
    pub row: Model,
    pub grant_types: Vec<GrantType>,
    pub scopes: Scopes,
    redirect_uris: Vec<String>,
    pub resources: Vec<String>,
    /// The keys of one that proves itself by them.
    pub keys: Option<Keys>,
    /// What its document says and the database does not yet ([`crate::client_document`]).
    pub(crate) document: Option<Checked>,
    secrets: Vec<secret::Model>,
}

/// Public keys of an application.
#[derive(Debug)]
pub enum Keys {
    Own(JwkSet),
    /// At this address ([`crate::published`]).
    At(String),
}

impl Client {
    /// An application, with its secrets.
    pub(crate) fn new(row: Model, secrets: Vec<secret::Model>) -> Result<Self> {
        let keys = match (&row.jwks, &row.jwks_uri) {
            (Some(keys), _) => Some(Keys::Own(serde_json::from_value(keys.clone()).map_err(Error::internal)?)),
            (None, Some(address)) => Some(Keys::At(address.clone())),
            (None, None) => None,
        };
        Ok(Self {
            keys,
            document: None,
            grant_types: row.grant_types(),
            scopes: row.scopes(),
            redirect_uris: row.redirect_uris(),
            resources: row.resources(),
            secrets,
            row,
        })
    }

    pub fn may(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    pub fn sends_to(&self, redirect_uri: &str) -> bool {
        redirect::matches(&self.redirect_uris, redirect_uri)
    }

    pub fn has_secret(&self, text: &str, now: DateTime<Utc>) -> bool {
        self.secrets.iter().any(|secret| secret.matches(text, now))
    }
}

/// The applications that this node knows; cheap to clone.
#[derive(Clone)]
pub struct Clients {
    platform: Platform,
    kept: Kept<String, Arc<Client>>,
    /// Those whose use was written down a moment ago.
    touched: Kept<String, ()>,
}

impl Clients {
    pub fn new(platform: Platform) -> Self {
        let bus = platform.db.bus();
        let kept = Kept::new(bus, 10_000, Duration::from_secs(60), |_, client: &Arc<Client>| {
            vec![Event::ApplicationChanged(client.row.id)]
        });
        let touched = Kept::new(bus, 10_000, Duration::from_secs(60), |_, ()| Vec::new());
        Self { platform, kept, touched }
    }

    /// `ApplicationNotFound` for one that does not exist or is suspended.
    pub async fn find(&self, client_id: &str) -> Result<Arc<Client>> {
        self.kept.get_or_load(client_id.to_owned(), self.load(client_id)).await
    }

    async fn load(&self, client_id: &str) -> Result<Arc<Client>> {
        let db = self.platform.db.read();
        // Index: oauth_applications(client_id), unique.
        let found = Entity::find().filter(Column::ClientId.eq(client_id)).one(db).await?;
        let row = found.filter(|row| row.status == Status::Active).ok_or(ErrorCode::ApplicationNotFound)?;
        let secrets = secret::of_application(row.id, self.platform.clock.now()).all(db).await?;
        Ok(Arc::new(Client::new(row, secrets)?))
    }

    /// Writes down that it was used, once a minute.
    pub async fn touch(&self, client: &Client, now: DateTime<Utc>) -> Result<()> {
        let is_fresh = client.row.last_used_at.is_some_and(|last| now - last < TOUCH_INTERVAL);
        if is_fresh || self.touched.get(&client.row.client_id).is_some() {
            return Ok(());
        }
        self.touched
            .load(client.row.client_id.clone(), async {
                let tx = self.platform.db.begin().await?;
                Entity::update_many()
                    .col_expr(Column::LastUsedAt, Expr::value(now))
                    .filter(Column::Id.eq(client.row.id))
                    .exec(tx.conn())
                    .await?;
                tx.commit().await
            })
            .await
    }
}
