//! Who hears of a schedule's answers: members by mail, and one other program by a webhook.

use std::collections::BTreeSet;

use garde::Validate;
use rivergen_identity::user::User;
use rivergen_kernel::{
    Caller, Credential, Error, OrganizationId, Permission, Proofs, Result, SessionId, UserId, WorkspaceId,
};
use rivergen_platform::{
    Transaction,
    http::given,
    vault::{Owner, Sealed},
    webhook::Key,
};
use sea_orm::{ActiveValue::Set, ConnectionTrait};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{ActiveModel, Model};
use crate::{Studio, prompt};

/// What a sealed webhook is sealed for.
const CONTEXT: &str = "prompt_schedules.webhook";

/// Who is to hear of it. What is not sent stays as it was.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"mail_to_user_ids": [3, 4], "webhook_url": "https://hooks.example.com/orders", "include_rows": false}))]
pub struct ScheduleDeliveryRequest {
    /// Members who may see the question; at most 20. Each gets a link; the owner also gets the number of rows.
    #[garde(inner(length(max = 20)))]
    pub mail_to_user_ids: Option<Vec<UserId>>,
    /// Gets a signed message; needs the permission `prompt.write`. `null` removes it. It is not shown again.
    #[serde(default, deserialize_with = "given")]
    #[garde(inner(inner(length(chars, min = 1, max = 2000))))]
    #[schema(value_type = Option<String>)]
    pub webhook_url: Option<Option<String>>,
    /// Whether the webhook gets rows, and the owner's own e-mail the first of them. Nobody else's e-mail has any.
    #[schema(default = false)]
    pub include_rows: Option<bool>,
}

/// Who hears of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleDelivery {
    #[schema(examples(json!([3, 4])))]
    pub mail_to_user_ids: Vec<UserId>,
    /// Where the webhook is; its path may be secret, and is not shown.
    #[schema(examples("https://hooks.example.com"))]
    pub webhook_origin: Option<String>,
    pub include_rows: bool,
}

/// Where a webhook is, and what its messages are signed with.
#[derive(Serialize, Deserialize)]
pub struct Destination {
    pub url: Url,
    pub secret: String,
}

impl Destination {
    pub(super) async fn open(studio: &Studio, organization: OrganizationId, sealed: &Sealed) -> Result<Self> {
        let vault = &studio.engine.platform.vault;
        let opened = vault.open(Owner::Organization(organization), CONTEXT, sealed).await?;
        serde_json::from_slice(&opened).map_err(Error::internal)
    }
}

/// What a request makes of the delivery of a schedule; `None` leaves what stands there, whoever wrote it meanwhile.
pub(super) struct NewDelivery {
    mail_to: Option<Vec<UserId>>,
    webhook: Option<Option<Destination>>,
    include_rows: Option<bool>,
}

impl NewDelivery {
    /// Checks what is asked for: `before` is the schedule as it is, and the question is to be seen by whoever gets mails.
    pub async fn check(
        studio: &Studio,
        caller: &Caller,
        prompt: &prompt::Model,
        before: Option<&Model>,
        request: ScheduleDeliveryRequest,
    ) -> Result<Self> {
        let mail_to = match request.mail_to_user_ids {
            Some(wanted) => Some(recipients(studio, prompt, wanted).await?),
            None => None,
        };
        let has_mails = match (&mail_to, before) {
            (Some(wanted), _) => !wanted.is_empty(),
            (None, Some(before)) => !prompt::read::<Vec<UserId>>(&before.mail_to_user_ids)?.is_empty(),
            (None, None) => false,
        };
        let webhook = match request.webhook_url {
            None => None,
            Some(None) => Some(None),
            Some(Some(url)) => Some(Some(destination(studio, &url)?)),
        };
        let has_webhook = match &webhook {
            Some(wanted) => wanted.is_some(),
            None => before.is_some_and(|before| before.webhook.is_some()),
        };
        if has_webhook {
            caller.require(Permission::PromptWrite)?;
        }
        if !has_mails && !has_webhook {
            return Err(Error::invalid_field("delivery", "must name somebody: mail_to_user_ids, or a webhook_url"));
        }
        Ok(Self { mail_to, webhook, include_rows: request.include_rows })
    }

    /// Writes it into the row; answers the secret of a webhook that is new.
    pub async fn write(
        self,
        studio: &Studio,
        tx: &Transaction,
        organization: OrganizationId,
        row: &mut ActiveModel,
    ) -> Result<Option<String>> {
        if let Some(mail_to) = self.mail_to {
            row.mail_to_user_ids = Set(serde_json::json!(mail_to));
        }
        if let Some(include_rows) = self.include_rows {
            row.include_rows = Set(include_rows);
        }
        match self.webhook {
            None => Ok(None),
            Some(None) => {
                row.webhook = Set(None);
                row.webhook_origin = Set(None);
                Ok(None)
            }
            Some(Some(destination)) => {
                let plain = serde_json::to_vec(&destination).map_err(Error::internal)?;
                let vault = &studio.engine.platform.vault;
                let owner = Owner::Organization(organization);
                let sealed = vault.seal(tx, owner, CONTEXT, &plain).await?;
                row.webhook = Set(Some(sealed));
                row.webhook_origin = Set(Some(destination.url.origin().ascii_serialization()));
                Ok(Some(destination.secret))
            }
        }
    }
}

async fn recipients(studio: &Studio, prompt: &prompt::Model, wanted: Vec<UserId>) -> Result<Vec<UserId>> {
    let distinct: BTreeSet<UserId> = wanted.iter().copied().collect();
    for (at, id) in wanted.iter().enumerate() {
        if may_see(studio, prompt, *id).await?.is_none() {
            let field = format!("delivery.mail_to_user_ids[{at}]");
            return Err(Error::invalid_field(field, "is not a member who may see the question"));
        }
    }
    Ok(distinct.into_iter().collect())
}

/// The person, where they may see the question now.
pub(super) async fn may_see(studio: &Studio, prompt: &prompt::Model, id: UserId) -> Result<Option<User>> {
    let Some(user) = person(studio.engine.platform.db.read(), id).await? else { return Ok(None) };
    let caller = caller_for(studio, &user, prompt.organization_id, prompt.workspace_id).await?;
    Ok(caller.filter(|caller| caller.may(Permission::PromptRead)).map(|_| user))
}

/// Somebody whose account is open, and to whose address mails may go.
pub(super) async fn person(db: &impl ConnectionTrait, id: UserId) -> Result<Option<User>> {
    let found = User::find(db, id).await?;
    Ok(found.filter(|user| {
        user.is_verified() && user.account.disabled_at.is_none() && user.account.deletion_requested_at.is_none()
    }))
}

/// What an active member may do where they stand, without a session: what goes on after the one that asked for it.
pub(super) async fn caller_for(
    studio: &Studio,
    user: &User,
    organization: OrganizationId,
    workspace: Option<WorkspaceId>,
) -> Result<Option<Caller>> {
    let membership = studio.directory.membership(user.id(), organization, workspace).await?;
    Ok(membership.map(|membership| Caller {
        user_id: user.id(),
        // No session has this number: what asks for one of this caller finds none.
        credential: Credential::Session(SessionId(0)),
        email: user.email.email.as_str().into(),
        email_verified: true,
        authenticated_at: chrono::DateTime::UNIX_EPOCH,
        membership: Some(membership),
        proofs: Proofs::of_what_goes_on(None),
        closed: None,
    }))
}

fn destination(studio: &Studio, url: &str) -> Result<Destination> {
    let invalid = |reason: String| Error::invalid_field("delivery.webhook_url", reason);
    let url: Url = url.parse().map_err(|_| invalid("must be an http or https address".to_owned()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must not contain a user or a password".to_owned()));
    }
    studio.engine.platform.outbound.check_url(&url).map_err(|blocked| invalid(blocked.to_string()))?;
    Ok(Destination { url, secret: Key::new_secret(&mut rand::rng()).expose().to_owned() })
}

/// Whether there is an account of that number, in whatever state.
pub(super) async fn is_there(studio: &Studio, id: UserId) -> Result<bool> {
    Ok(User::find(studio.engine.platform.db.read(), id).await?.is_some())
}
