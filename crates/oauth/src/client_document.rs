//! Programs that nobody registers anywhere (draft-ietf-oauth-client-id-metadata-document): the client id is the address of a
//! document in which the program says what it is. Whoever holds the address holds the program's name.
//!
//! The document is read when a browser comes ([`client`]), and becomes an application, or changes one, when a person is signed
//! in who may use it ([`kept`]): strangers leave nothing behind. At the other doors counts what was kept. Such programs belong
//! to the organization that the operator named, and its policy must let them; they are public, with PKCE as everybody, or prove
//! themselves by keys.

use std::sync::Arc;

use rivergen_kernel::{Error, ErrorCode, Result, Tenant};
use rivergen_platform::{
    Event,
    audit::{self, Actor},
    db::{TenantScope, is_unique_violation},
};
use rivergen_tenancy::organization;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, TryIntoModel,
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::{
    Oauth,
    application::{self, Column, Entity, Model, Origin, Status, known::Client},
    client_metadata::{self, Checked, ClientMetadata, Proof},
    policy::Policy,
};

/// Those of one organization. What nobody used is swept.
const MOST: u64 = 1000;

/// Whether this server takes such client ids.
pub fn is_supported(oauth: &Oauth) -> bool {
    let settings = oauth.access.settings();
    settings.client_documents && settings.organization.is_some()
}

/// Whether a client id may be such an address. What this server gives itself never is.
pub fn is_one(client_id: &str) -> bool {
    client_id.starts_with("https://") || client_id.starts_with("http://")
}

/// Whether it is an address in the one way that it can be written, of a document and not of a site.
fn is_good(oauth: &Oauth, address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    // As it is parsed it has no dots for segments and no spelling of its own.
    address.len() <= 500
        && url.as_str() == address
        && client_metadata::is_open(oauth, address)
        && url.path() != "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// The program whose document is there, as it is now; `ApplicationNotFound` for one that this server does not take. The log says
/// why, for its maker.
pub async fn client(oauth: &Oauth, address: &str) -> Result<Arc<Client>> {
    let refused = |reason: &str| {
        tracing::info!(address, reason, "the document of a program is not taken");
        Error::from(ErrorCode::ApplicationNotFound)
    };
    let platform = oauth.platform();
    let (true, Some(organization)) = (is_supported(oauth), oauth.access.settings().organization) else {
        return Err(refused("the settings of this server take none"));
    };
    let policy = Policy::of(platform.db.read(), Tenant::on_behalf_of(organization)).await?;
    let (true, Some(responsible)) = (policy.client_documents, policy.updated_by_user_id) else {
        return Err(refused("the organization's policy takes none"));
    };
    if !is_good(oauth, address) {
        return Err(refused("its address must be https, with a path, and without a query"));
    }
    let document = oauth.access.published.get(address).await?.map_err(|reason| refused(&reason))?;
    let checked = read(oauth, &policy, address, &document).map_err(|reason| refused(&reason))?;
    // Index: oauth_applications(client_id), unique.
    let known = Entity::find().filter(Column::ClientId.eq(address)).one(platform.db.read()).await?;
    if known.as_ref().is_some_and(|row| row.origin != Origin::Document || row.status != Status::Active) {
        return Err(refused("it is suspended"));
    }
    let now = platform.clock.now();
    let said = application::ActiveModel {
        id: Set(known.as_ref().map_or(rivergen_kernel::OauthApplicationId(0), |row| row.id)),
        ..checked.application(organization, address.to_owned(), Origin::Document, responsible, now)
    };
    let said: Model = said.try_into_model()?;
    let row = match &known {
        None => said,
        // What the organization says of it stays.
        Some(known) => Model {
            description: known.description.clone(),
            resources: known.resources.clone(),
            verified_at: known.verified_at.filter(|_| !said.is_another_than(known)),
            preapproved: known.preapproved && !said.is_another_than(known),
            token_generation: known.token_generation,
            responsible_user_id: known.responsible_user_id,
            responsible_since: known.responsible_since,
            created_at: known.created_at,
            updated_at: known.updated_at,
            last_used_at: known.last_used_at,
            ..said
        },
    };
    let is_news = known.as_ref() != Some(&row);
    let mut client = Client::new(row, Vec::new())?;
    client.document = is_news.then_some(checked);
    Ok(Arc::new(client))
}

/// What a document says, where it may; the reason where not.
fn read(oauth: &Oauth, policy: &Policy, address: &str, document: &Value) -> Result<Checked, String> {
    let says = |name: &str| document.get(name).is_some_and(|value| !value.is_null());
    if says("client_secret") || says("client_secret_expires_at") {
        return Err("it holds a secret, which everybody can read".to_owned());
    }
    let metadata = ClientMetadata::deserialize(document).map_err(|_| "it is no metadata of a client".to_owned())?;
    if metadata.client_id.as_deref() != Some(address) {
        return Err("its client_id is not its address".to_owned());
    }
    let method = metadata.token_endpoint_auth_method.clone().unwrap_or_else(|| "none".to_owned());
    let metadata = ClientMetadata { token_endpoint_auth_method: Some(method), ..metadata };
    let checked = metadata.check(oauth, policy).map_err(|error| error.description)?;
    match checked.proof {
        Proof::Secret => Err("nobody could have given it a secret".to_owned()),
        _ => Ok(checked),
    }
}

/// The same program, written down as its document has it; now that somebody is signed in who may use it.
pub(crate) async fn kept(oauth: &Oauth, client: Arc<Client>, actor: Actor) -> Result<Arc<Client>> {
    let Some(checked) = &client.document else { return Ok(client) };
    let platform = oauth.platform();
    let (now, row) = (platform.clock.now(), &client.row);
    let tx = platform.db.begin().await?;
    if row.id.0 > 0 {
        let before = Entity::find_by_id(row.id).one(tx.conn()).await?.ok_or(ErrorCode::ApplicationNotFound)?;
        let changed = application::ActiveModel { id: Set(row.id), updated_at: Set(now), ..checked.columns() };
        let row = changed.update(tx.conn()).await?;
        let row = application::agreed_anew(&tx, &before, row).await?;
        audit::record(&tx, &platform.clock, row.changed_itself(actor)).await?;
        tx.publish(Event::ApplicationChanged(row.id)).await?;
        tx.commit().await?;
        return Ok(Arc::new(Client::new(row, Vec::new())?));
    }
    let tenant = Tenant::on_behalf_of(row.organization_id);
    // Of two at once the second waits here and counts the first.
    organization::lock(&tx, tenant).await?;
    // Index: oauth_applications(organization_id, id).
    let own = tenant.find::<Entity>().filter(Column::Origin.eq(Origin::Document));
    if own.count(tx.conn()).await? >= MOST {
        return Err(
            Error::new(ErrorCode::Forbidden).with_message("The organization has too many of such applications.")
        );
    }
    let new =
        checked.application(row.organization_id, row.client_id.clone(), Origin::Document, row.responsible_user_id, now);
    let row = match new.insert(tx.conn()).await {
        // Somebody else was first.
        Err(error) if is_unique_violation(&error) => {
            drop(tx);
            return oauth.access.clients.find(&row.client_id).await;
        }
        inserted => inserted?,
    };
    audit::record(&tx, &platform.clock, row.came(actor)).await?;
    tx.commit().await?;
    Ok(Arc::new(Client::new(row, Vec::new())?))
}
