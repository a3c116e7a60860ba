//! Sessions: one per sign-in, live until they expire, slide with use and die at once when ended.
//!
//! A session owns a family of refresh tokens of which one is unspent. Whoever shows a spent one has a copy
//! that should not exist, so the whole session ends (RFC 9700, section 4.14.2).

pub mod list;
pub mod revoke;

use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{
    DeviceId, Federation, OrganizationId, Proofs, Result, SessionId, Token, TokenHash, UserId, WorkspaceId,
};
use rivergen_platform::{Event, Transaction, http::RequestOrigin};
use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, PaginatorTrait, QuerySelect,
    entity::prelude::*,
    sea_query::{Expr, IntoCondition},
};

use crate::{Identity, directory::Place};

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum EndReason {
    #[sea_orm(string_value = "logout")]
    Logout,
    #[sea_orm(string_value = "refresh_token_reuse")]
    RefreshTokenReuse,
    /// By its person, from another session.
    #[sea_orm(string_value = "revoked")]
    Revoked,
    #[sea_orm(string_value = "revoked_by_administrator")]
    RevokedByAdministrator,
    #[sea_orm(string_value = "revoked_by_operator")]
    RevokedByOperator,
    #[sea_orm(string_value = "password_changed")]
    PasswordChanged,
    /// The device whose trust it stood on is trusted no more.
    #[sea_orm(string_value = "device_revoked")]
    DeviceRevoked,
    #[sea_orm(string_value = "account_closed")]
    AccountClosed,
    /// The account was folded into another one of its person.
    #[sea_orm(string_value = "account_merged")]
    AccountMerged,
    /// Its person left the organization that it stood in.
    #[sea_orm(string_value = "left_organization")]
    LeftOrganization,
    #[sea_orm(string_value = "organization_deleted")]
    OrganizationDeleted,
    /// The organization demands a sign-in through its identity provider by now.
    #[sea_orm(string_value = "single_sign_on_required")]
    SingleSignOnRequired,
    /// The identity provider that opened it says that it is over.
    #[sea_orm(string_value = "ended_by_identity_provider")]
    EndedByIdentityProvider,
    /// The identity provider took the person out of the organization.
    #[sea_orm(string_value = "deprovisioned")]
    Deprovisioned,
}

/// How a person proved who they are: the claim `amr` (RFC 8176), and the device that stood for the second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// `pwd`, `otp`, `pop`, … and `mfa` where there were two; space-separated.
    pub amr: String,
    pub trusted_device: Option<DeviceId>,
    pub federated_by: Option<Federated>,
    pub given: Given,
}

/// When a person gave a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// Here, just now.
    Now,
    /// To a provider, which lets in whom it still knows: when it says that it asked them, if it does.
    Elsewhere(Option<DateTime<Utc>>),
}

impl Given {
    /// As a session keeps it: the beginning of time is never. A provider whose clock is ahead has asked just now.
    fn at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Now => now,
            Self::Elsewhere(said) => said_to_be(said, now).unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

/// When a provider says that it asked, as it is kept: whatever it says, a time of the past that databases know.
pub fn said_to_be(asked: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    asked.map(|at| at.clamp(DateTime::UNIX_EPOCH, now))
}

/// A sign-in that an organization's identity provider vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Federated {
    pub organization_id: OrganizationId,
    /// What the room of such sign-ins calls it: by that it ends the session when the provider says so.
    pub login_id: i64,
    /// When the session is over, however much it is used, where the provider says so (SAML's `SessionNotOnOrAfter`).
    pub until: Option<DateTime<Utc>>,
}

impl Federated {
    /// From the columns that keep it.
    pub(crate) fn kept(
        organization_id: Option<OrganizationId>,
        login_id: Option<i64>,
        until: Option<DateTime<Utc>>,
    ) -> Option<Self> {
        Some(Self { organization_id: organization_id?, login_id: login_id?, until })
    }
}

impl Proof {
    pub fn of(amr: impl Into<String>) -> Self {
        Self { amr: amr.into(), trusted_device: None, federated_by: None, given: Given::Now }
    }

    /// A passkey, which verifies its person by itself.
    pub fn of_passkey() -> Self {
        Self::with_factor(PASSKEY, "user")
    }

    /// With a second factor beside the first.
    pub fn with_factor(first: &str, second: &str) -> Self {
        Self::of(format!("{first} {second} {MFA}"))
    }

    /// With what an identity provider said before.
    pub fn federated_by(self, federated_by: Option<Federated>) -> Self {
        Self { federated_by, ..self }
    }
}

/// Whether the claim `amr` speaks of two factors.
pub fn names_two_factors(amr: &str) -> bool {
    amr.split(' ').any(|method| method == MFA)
}

/// Whether the claim `amr` speaks of a passkey.
pub fn names_passkey(amr: &str) -> bool {
    amr.split(' ').any(|method| method == PASSKEY)
}

const MFA: &str = "mfa";
/// Proof of possession of a key.
const PASSKEY: &str = "pop";

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: SessionId,
    pub user_id: UserId,
    pub organization_id: Option<OrganizationId>,
    pub workspace_id: Option<WorkspaceId>,
    /// Authentication methods, space-separated, as in the claim `amr` (RFC 8176).
    pub amr: String,
    /// When the person gave a proof last ([`Given`]).
    pub authenticated_at: DateTime<Utc>,
    /// How long the session lives after its last use, in seconds.
    pub lifetime_seconds: i64,
    pub created_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
    pub end_reason: Option<EndReason>,
    pub trusted_device_id: Option<DeviceId>,
    /// Of the address that it was opened from, where that is known.
    pub country: Option<String>,
    /// The organization whose identity provider opened it.
    pub federated_by_organization_id: Option<OrganizationId>,
    /// The sign-in through it.
    pub federated_login_id: Option<i64>,
    /// When it is over by the word of that provider; no use slides it on beyond.
    pub federated_until: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The refresh tokens of a session, spent ones included.
pub mod refresh_token {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "refresh_tokens")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub session_id: SessionId,
        pub token_hash: TokenHash,
        pub issued_at: DateTime<Utc>,
        pub spent_at: Option<DateTime<Utc>>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How often the last use of a session is written down.
const TOUCH_INTERVAL: Duration = Duration::seconds(60);

/// When a session ends that is used now: its lifetime later, and no later than the identity provider wants it to.
fn end_after_use(now: DateTime<Utc>, lifetime: Duration, until: Option<DateTime<Utc>>) -> DateTime<Utc> {
    until.map_or(now + lifetime, |until| until.min(now + lifetime))
}

impl Model {
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    pub async fn find(db: &impl ConnectionTrait, id: SessionId) -> Result<Option<Model>> {
        Ok(Entity::find_by_id(id).one(db).await?)
    }

    /// Whether it was opened with two factors, or on a device that stands for the second.
    pub fn has_second_factor(&self) -> bool {
        self.trusted_device_id.is_some() || names_two_factors(&self.amr)
    }

    /// Whether it was opened with a passkey.
    pub fn has_passkey(&self) -> bool {
        names_passkey(&self.amr)
    }

    /// What it proves, to a request from there.
    pub fn proofs(&self, ip: Option<IpAddr>) -> Proofs {
        Proofs {
            second_factor: self.has_second_factor(),
            passkey: self.has_passkey(),
            trusted_device: self.trusted_device_id.is_some(),
            ip,
            federation: self.federation(),
        }
    }

    /// When its person signed in last, in whichever way: also through a provider that asked them earlier, or does not say when.
    pub fn began_at(&self) -> DateTime<Utc> {
        self.created_at.max(self.authenticated_at)
    }

    /// Who vouches for its person.
    pub fn federation(&self) -> Federation {
        self.federated_by_organization_id.map_or(Federation::No, Federation::By)
    }

    /// Its person has set up a second factor, which it has from now on. That is no fresh proof of who they are: whoever holds a
    /// session can set one up.
    pub async fn add_factor(&self, tx: &Transaction, method: &str) -> Result<()> {
        if self.has_second_factor() {
            return Ok(());
        }
        let proof = Proof::with_factor(&self.amr, method);
        Entity::update_many()
            .col_expr(Column::Amr, Expr::value(proof.amr))
            .filter(Column::Id.eq(self.id))
            .exec(tx.conn())
            .await?;
        Ok(())
    }

    /// Moves it to another place; access tokens that name the old one are refused from then on.
    pub async fn move_to(&mut self, tx: &Transaction, place: Place) -> Result<()> {
        self.organization_id = Some(place.organization_id);
        self.workspace_id = place.workspace_id;
        Entity::update_many()
            .col_expr(Column::OrganizationId, Expr::value(self.organization_id))
            .col_expr(Column::WorkspaceId, Expr::value(self.workspace_id))
            .filter(Column::Id.eq(self.id))
            .exec(tx.conn())
            .await?;
        tx.publish(Event::UserChanged(self.user_id)).await
    }

    /// Whether the last use that was written down is old enough to write another.
    pub fn touch_is_due(&self, now: DateTime<Utc>) -> bool {
        now - self.last_used_at >= TOUCH_INTERVAL
    }

    /// Slides the session on; answers whether it had not ended meanwhile.
    pub async fn touch(&mut self, tx: &Transaction, now: DateTime<Utc>) -> Result<bool> {
        self.last_used_at = now;
        self.expires_at = end_after_use(now, Duration::seconds(self.lifetime_seconds), self.federated_until);
        let touched = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(self.last_used_at))
            .col_expr(Column::ExpiresAt, Expr::value(self.expires_at))
            .filter(Column::Id.eq(self.id))
            .filter(Column::EndedAt.is_null())
            .exec(tx.conn())
            .await?;
        Ok(touched.rows_affected == 1)
    }

    /// Ends it on every node.
    pub async fn end(&self, tx: &Transaction, reason: EndReason, now: DateTime<Utc>) -> Result<()> {
        end_where(tx, Column::Id.eq(self.id).into_condition(), reason, now).await?;
        tx.publish(Event::SessionEnded(self.id)).await?;
        tx.publish(Event::UserChanged(self.user_id)).await
    }
}

/// Ends those of the sessions that have not ended; answers how many. The caller tells the nodes, and names the index.
async fn end_where(tx: &Transaction, which: Condition, reason: EndReason, now: DateTime<Utc>) -> Result<u64> {
    let ended = Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .col_expr(Column::EndReason, Expr::value(reason))
        .filter(which)
        .filter(Column::EndedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(ended.rows_affected)
}

/// Ends all sessions of a person, or all but one, on every node; answers how many. Index: sessions(user_id, ended_at).
pub async fn end_all(
    tx: &Transaction,
    user_id: UserId,
    except: Option<SessionId>,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<u64> {
    let theirs = Condition::all().add(Column::UserId.eq(user_id)).add_option(except.map(|kept| Column::Id.ne(kept)));
    let ended = end_where(tx, theirs, reason, now).await?;
    tx.publish(Event::UserChanged(user_id)).await?;
    Ok(ended)
}

/// Ends the sessions of everybody; answers how many were live. The caller tells the nodes.
pub async fn end_everybodys(tx: &Transaction, reason: EndReason, now: DateTime<Utc>) -> Result<u64> {
    end_where(tx, Column::ExpiresAt.gt(now).into_condition(), reason, now).await
}

/// Ends the sessions of a person that stand in an organization. Index: sessions(organization_id, user_id, ended_at).
pub async fn end_in_organization(
    tx: &Transaction,
    user_id: UserId,
    organization_id: OrganizationId,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<()> {
    let theirs = Condition::all().add(Column::OrganizationId.eq(organization_id)).add(Column::UserId.eq(user_id));
    end_where(tx, theirs, reason, now).await?;
    tx.publish(Event::UserChanged(user_id)).await
}

/// Ends all sessions that stand in an organization; the caller tells the nodes. Index: sessions(organization_id, user_id,
/// ended_at).
pub async fn end_of_organization(
    tx: &Transaction,
    organization_id: OrganizationId,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<()> {
    end_where(tx, Column::OrganizationId.eq(organization_id).into_condition(), reason, now).await.map(drop)
}

/// The live sessions that stand in an organization and that its identity provider did not open, but for those of the exempt.
/// Index: sessions(organization_id, user_id, ended_at).
fn unfederated(organization_id: OrganizationId, exempt: &[UserId], now: DateTime<Utc>) -> Condition {
    let by_another = Condition::any()
        .add(Column::FederatedByOrganizationId.is_null())
        .add(Column::FederatedByOrganizationId.ne(organization_id));
    let of_all = Condition::all()
        .add(Column::OrganizationId.eq(organization_id))
        .add(Column::EndedAt.is_null())
        .add(Column::ExpiresAt.gt(now))
        .add(by_another);
    match exempt.is_empty() {
        true => of_all,
        false => of_all.add(Column::UserId.is_not_in(exempt.iter().copied())),
    }
}

/// How many there are.
pub async fn count_unfederated(
    db: &impl ConnectionTrait,
    organization_id: OrganizationId,
    exempt: &[UserId],
    now: DateTime<Utc>,
) -> Result<u64> {
    Ok(Entity::find().filter(unfederated(organization_id, exempt, now)).count(db).await?)
}

/// Ends them; answers how many. The caller tells the nodes.
pub async fn end_unfederated(
    tx: &Transaction,
    organization_id: OrganizationId,
    exempt: &[UserId],
    now: DateTime<Utc>,
) -> Result<u64> {
    end_where(tx, unfederated(organization_id, exempt, now), EndReason::SingleSignOnRequired, now).await
}

/// Moves the sessions that stand in a workspace to another place of its organization; access tokens that name the old one
/// are refused from then on. The caller tells the nodes. Index: sessions(organization_id, user_id, ended_at), its first
/// column.
pub async fn move_all(tx: &Transaction, from: WorkspaceId, to: Place) -> Result<u64> {
    let moved = Entity::update_many()
        .col_expr(Column::WorkspaceId, Expr::value(to.workspace_id))
        .filter(Column::OrganizationId.eq(to.organization_id))
        .filter(Column::WorkspaceId.eq(from))
        .filter(Column::EndedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(moved.rows_affected)
}

/// Ends the sessions that stand on the trust in a device. Index: sessions(user_id, ended_at).
pub async fn end_of_device(tx: &Transaction, device: DeviceId, user_id: UserId, now: DateTime<Utc>) -> Result<()> {
    let trusting = Condition::all().add(Column::UserId.eq(user_id)).add(Column::TrustedDeviceId.eq(device));
    end_where(tx, trusting, EndReason::DeviceRevoked, now).await?;
    tx.publish(Event::UserChanged(user_id)).await
}

/// Ends the sessions that sign-ins through an identity provider opened, on every node; answers how many. Index:
/// sessions(federated_login_id).
pub async fn end_of_logins(
    tx: &Transaction,
    logins: impl IntoIterator<Item = i64>,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<u64> {
    let theirs = Column::FederatedLoginId.is_in(logins);
    let live = Entity::find().filter(theirs.clone()).filter(Column::EndedAt.is_null()).all(tx.conn()).await?;
    for session in &live {
        tx.publish(Event::SessionEnded(session.id)).await?;
        tx.publish(Event::UserChanged(session.user_id)).await?;
    }
    end_where(tx, theirs.into_condition(), reason, now).await
}

/// Opens a session and its first refresh token.
pub async fn open(
    identity: &Identity,
    tx: &Transaction,
    user_id: UserId,
    proof: &Proof,
    place: Option<Place>,
    lifetime: Duration,
    origin: &RequestOrigin,
) -> Result<(Model, Token)> {
    let now = identity.platform.clock.now();
    let until = proof.federated_by.and_then(|by| by.until);
    let session = ActiveModel {
        user_id: Set(user_id),
        organization_id: Set(place.map(|place| place.organization_id)),
        workspace_id: Set(place.and_then(|place| place.workspace_id)),
        amr: Set(proof.amr.clone()),
        trusted_device_id: Set(proof.trusted_device),
        authenticated_at: Set(proof.given.at(now)),
        lifetime_seconds: Set(lifetime.num_seconds()),
        created_at: Set(now),
        last_used_at: Set(now),
        expires_at: Set(end_after_use(now, lifetime, until)),
        ip: Set(origin.ip.map(|ip| ip.to_string())),
        user_agent: Set(origin.user_agent.clone()),
        ended_at: Set(None),
        end_reason: Set(None),
        country: Set(identity.settings.countries.of(origin.ip)),
        federated_by_organization_id: Set(proof.federated_by.map(|by| by.organization_id)),
        federated_login_id: Set(proof.federated_by.map(|by| by.login_id)),
        federated_until: Set(until),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    let token = issue_refresh_token(tx, session.id, now).await?;
    tx.publish(Event::UserChanged(user_id)).await?;
    Ok((session, token))
}

pub async fn issue_refresh_token(tx: &Transaction, session_id: SessionId, now: DateTime<Utc>) -> Result<Token> {
    let token = Token::random(&mut rand::rng());
    store_refresh_token(tx, session_id, &token, now).await?;
    Ok(token)
}

/// Makes the token the unspent one of the session.
pub async fn store_refresh_token(
    tx: &Transaction,
    session_id: SessionId,
    token: &Token,
    now: DateTime<Utc>,
) -> Result<()> {
    let row = refresh_token::ActiveModel {
        session_id: Set(session_id),
        token_hash: Set(token.hash()),
        issued_at: Set(now),
        spent_at: Set(None),
        ..Default::default()
    };
    refresh_token::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Spends every refresh token of a session.
pub async fn spend_refresh_tokens(tx: &Transaction, session_id: SessionId, now: DateTime<Utc>) -> Result<()> {
    refresh_token::Entity::update_many()
        .col_expr(refresh_token::Column::SpentAt, Expr::value(now))
        .filter(refresh_token::Column::SessionId.eq(session_id))
        .filter(refresh_token::Column::SpentAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// When a person last signed in, wherever to. Index: sessions(user_id, ended_at).
pub async fn last_opened_by(db: &impl ConnectionTrait, user_id: UserId) -> Result<Option<DateTime<Utc>>> {
    let sessions = Entity::find().filter(Column::UserId.eq(user_id));
    let last = sessions.select_only().column_as(Column::CreatedAt.max(), "last_opened");
    Ok(last.into_tuple::<Option<DateTime<Utc>>>().one(db).await?.flatten())
}

/// Whether the person has signed in before, and never with this user agent. Index: sessions(user_id, user_agent).
pub async fn is_from_new_device(db: &impl ConnectionTrait, user_id: UserId, origin: &RequestOrigin) -> Result<bool> {
    let before = Entity::find().filter(Column::UserId.eq(user_id));
    let same = match &origin.user_agent {
        Some(user_agent) => before.clone().filter(Column::UserAgent.eq(user_agent)),
        None => before.clone().filter(Column::UserAgent.is_null()),
    };
    Ok(same.limit(1).one(db).await?.is_none() && before.limit(1).one(db).await?.is_some())
}

/// Whether the person has signed in before from a country that is known, and never from this one. Index:
/// sessions(user_id, country).
pub async fn is_from_new_country(db: &impl ConnectionTrait, user_id: UserId, country: &str) -> Result<bool> {
    let before = Entity::find().filter(Column::UserId.eq(user_id));
    let same = before.clone().filter(Column::Country.eq(country));
    let known = before.filter(Column::Country.is_not_null());
    Ok(same.limit(1).one(db).await?.is_none() && known.limit(1).one(db).await?.is_some())
}

/// How many sessions of the person are live. Index: sessions(user_id, ended_at).
pub async fn count_live(db: &impl ConnectionTrait, user_id: UserId, now: DateTime<Utc>) -> Result<u64> {
    Ok(Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::EndedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .count(db)
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_as_old_as_its_provider_says_and_none_where_it_says_nothing() {
        let (now, hour) = (Utc::now(), Duration::hours(1));
        assert_eq!(Given::Now.at(now), now);
        assert_eq!(Given::Elsewhere(Some(now - hour)).at(now), now - hour);
        assert_eq!(Given::Elsewhere(Some(now + hour)).at(now), now);
        assert_eq!(Given::Elsewhere(Some(DateTime::<Utc>::MIN_UTC)).at(now), DateTime::UNIX_EPOCH);
        assert_eq!(Given::Elsewhere(None).at(now), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn no_use_slides_a_session_beyond_what_the_provider_allows() {
        let (now, day) = (Utc::now(), Duration::days(1));
        assert_eq!(end_after_use(now, day, None), now + day);
        assert_eq!(end_after_use(now, day, Some(now + Duration::hours(1))), now + Duration::hours(1));
        assert_eq!(end_after_use(now, day, Some(now + Duration::days(2))), now + day);
    }
}
