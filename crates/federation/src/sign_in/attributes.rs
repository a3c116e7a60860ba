//! What a provider's attributes become: those of the member that policies name as `current_user_<key>`.
//!
//! A key that the provider's mapping names belongs to the provider: a sign-in in which it does not come takes it away, so
//! that nobody keeps what they had in another department. All other keys stay as administrators set them.

use rivergen_kernel::{Attributes, Error, Result};
use rivergen_platform::{Event, Transaction};
use rivergen_tenancy::member;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::Value;

use super::Assertion;
use crate::provider::{self, mapping};

/// What the provider says, under the member's own keys; `None` for a key that did not come.
pub(super) fn said(provider: &provider::Model, assertion: &Assertion) -> Vec<(String, Option<Value>)> {
    let own = provider.mapping().into_iter().filter(|(key, _)| !mapping::STANDARD.contains(&key.as_str()));
    let value = |name: &str| match assertion.attributes.get(name).map(Vec::as_slice) {
        None | Some([]) => None,
        Some([one]) => Some(Value::from(one.as_str())),
        Some(several) => Some(Value::from(several)),
    };
    own.map(|(key, name)| (key, value(&name))).collect()
}

/// The attributes as they are to be after the sign-in.
pub(super) fn after(before: &Attributes, provider: &provider::Model, assertion: &Assertion) -> Attributes {
    let mut after = before.clone();
    for (key, value) in said(provider, assertion) {
        match value {
            Some(value) => after.insert(key, value),
            None => after.remove(&key),
        };
    }
    after
}

/// Writes them down, where they are others; the policies see them from the next request.
pub(super) async fn write(tx: &Transaction, member: &member::Model, after: &Attributes) -> Result<()> {
    if member.attributes() == *after {
        return Ok(());
    }
    let attributes = serde_json::to_value(after).map_err(Error::internal)?;
    member::Entity::update_many()
        .col_expr(member::Column::Attributes, Expr::value(attributes))
        .filter(member::Column::Id.eq(member.id))
        .exec(tx.conn())
        .await?;
    tx.publish(Event::UserChanged(member.user_id)).await
}
