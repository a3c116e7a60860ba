//! What is known at a question: of the person, of the object, and of the request.

use std::{collections::HashMap, net::IpAddr, sync::LazyLock};

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};
use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc, Weekday};
use rivergen_kernel::{
    Attributes, Error, Permission, Result,
    access::{Asker, Resource},
    caller::Membership,
};
use serde_json::Value;

/// One question, with what it is answered from.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub asker: &'a Asker<'a>,
    pub membership: &'a Membership,
    /// At the organization's identity provider.
    pub groups: &'a [String],
    pub object: Option<&'a Resource>,
    pub now: DateTime<Utc>,
}

static USER: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| "RiverGen::User".parse().ok());
static ACTION: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| "RiverGen::Action".parse().ok());
static RESOURCE: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| "RiverGen::Resource".parse().ok());

fn uid(kind: &Option<EntityTypeName>, id: &str) -> Result<EntityUid> {
    let kind = kind.clone().ok_or_else(|| Error::internal("a name of a type is none"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

impl Facts<'_> {
    /// As Cedar is asked.
    pub fn question(&self, permission: Permission) -> Result<(Request, Entities)> {
        let principal = uid(&USER, &self.asker.user_id.to_string())?;
        let action = uid(&ACTION, permission.as_str())?;
        let resource = uid(&RESOURCE, &self.object_name(permission))?;
        let person = Entity::new_with_tags(principal.clone(), self.person()?, [], tags(&self.membership.attributes));
        let person = person.map_err(Error::internal)?;
        let object = Entity::new(resource.clone(), self.object(permission), Default::default());
        let object = object.map_err(Error::internal)?;
        let context = Context::from_pairs(self.environment()).map_err(Error::internal)?;
        let request = Request::new(principal, action, resource, context, None).map_err(Error::internal)?;
        Ok((request, Entities::from_entities([person, object], None).map_err(Error::internal)?))
    }

    /// `datasource/7`, or `datasource` where it is no single one.
    fn object_name(&self, permission: Permission) -> String {
        match self.object.and_then(|object| object.id) {
            Some(id) => format!("{}/{id}", permission.resource()),
            None => permission.resource().to_owned(),
        }
    }

    fn person(&self) -> Result<Vec<(String, RestrictedExpression)>> {
        let Asker { user_id, email, proofs, scopes } = *self.asker;
        let texts = |texts: &[String]| RestrictedExpression::new_set(texts.iter().cloned().map(text));
        let own = self.membership.attributes.iter().filter_map(|(name, value)| Some((name.clone(), compared(value)?)));
        let own = RestrictedExpression::new_record(own).map_err(Error::internal)?;
        let mut known = vec![
            ("id".to_owned(), RestrictedExpression::new_long(user_id.0)),
            ("roles".to_owned(), texts(&self.membership.role_names)),
            ("groups".to_owned(), texts(self.groups)),
            ("mfa".to_owned(), flag(proofs.second_factor)),
            ("passkey".to_owned(), flag(proofs.passkey)),
            ("sso".to_owned(), flag(proofs.federation.is_by(self.membership.organization_id))),
            ("token".to_owned(), flag(scopes.is_some())),
            ("attributes".to_owned(), own),
        ];
        if let Some(email) = email {
            known.push(("email".to_owned(), text(email.to_owned())));
            let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_owned());
            known.extend(domain.map(|domain| ("email_domain".to_owned(), text(domain))));
        }
        Ok(known)
    }

    fn object(&self, permission: Permission) -> HashMap<String, RestrictedExpression> {
        let mut known = HashMap::from([("type".to_owned(), text(permission.resource().to_owned()))]);
        if let Some(Resource { id, workspace_id, owner_id }) = self.object {
            let numbers = [("id", *id), ("workspace", workspace_id.map(|id| id.0)), ("owner", owner_id.map(|id| id.0))];
            for (name, number) in numbers {
                known.extend(number.map(|number| (name.to_owned(), RestrictedExpression::new_long(number))));
            }
        }
        known
    }

    fn environment(&self) -> Vec<(String, RestrictedExpression)> {
        let mut known = vec![
            ("time".to_owned(), RestrictedExpression::new_datetime(cedar_time(self.now))),
            ("hour".to_owned(), RestrictedExpression::new_long(self.now.hour().into())),
            ("weekday".to_owned(), text(weekday(self.now).to_owned())),
            ("device_trusted".to_owned(), flag(self.asker.proofs.trusted_device)),
        ];
        if let Some(ip) = self.asker.proofs.ip.map(|ip| ip.to_canonical()) {
            known.push(("ip".to_owned(), RestrictedExpression::new_ip(ip.to_string())));
            known.push(("network".to_owned(), text(network(ip).to_owned())));
        }
        known
    }
}

fn text(text: String) -> RestrictedExpression {
    RestrictedExpression::new_string(text)
}

fn flag(flag: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(flag)
}

/// An attribute of a member as conditions compare it: a text is the set of one text. What no condition can compare is as
/// if it were missing.
fn compared(value: &Value) -> Option<RestrictedExpression> {
    match value {
        Value::Bool(held) => Some(flag(*held)),
        Value::Number(number) => number.as_i64().map(RestrictedExpression::new_long),
        other => Some(RestrictedExpression::new_set(texts_of(other)?)),
    }
}

/// The attributes as policies in Cedar have them, by tag: always sets of texts.
fn tags(attributes: &Attributes) -> Vec<(String, RestrictedExpression)> {
    let tag = |(name, value): (&String, &Value)| {
        let texts = match value {
            Value::Bool(_) | Value::Number(_) => vec![text(value.to_string())],
            other => texts_of(other)?,
        };
        Some((name.clone(), RestrictedExpression::new_set(texts)))
    };
    attributes.iter().filter_map(tag).collect()
}

fn texts_of(value: &Value) -> Option<Vec<RestrictedExpression>> {
    match value {
        Value::String(held) => Some(vec![text(held.clone())]),
        Value::Array(values) => values.iter().map(|value| value.as_str().map(|held| text(held.to_owned()))).collect(),
        _ => None,
    }
}

/// A time as Cedar's `datetime` reads it.
pub(super) fn cedar_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn weekday(time: DateTime<Utc>) -> &'static str {
    match time.weekday() {
        Weekday::Mon => "monday",
        Weekday::Tue => "tuesday",
        Weekday::Wed => "wednesday",
        Weekday::Thu => "thursday",
        Weekday::Fri => "friday",
        Weekday::Sat => "saturday",
        Weekday::Sun => "sunday",
    }
}

/// `private` for what no router of the internet carries.
fn network(ip: IpAddr) -> &'static str {
    let is_private = match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    if is_private { "private" } else { "public" }
}
