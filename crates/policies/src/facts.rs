//! What a condition may know of a request beside the row: who asks, when and from where.
//!
//! | name | what it is |
//! | --- | --- |
//! | `current_user_<attribute>` | an attribute that the member was given |
//! | `current_user_id`, `current_user_email` | the person |
//! | `current_user_roles` | the names of the roles that the person holds, a list |
//! | `current_user_groups` | the groups that identity providers name for the person, and those of the attribute, a list |
//! | `current_date`, `current_time`, `current_timestamp` | now, in UTC: `2026-07-31`, `14:05:00`, `2026-07-31T14:05:00Z` |
//! | `current_hour`, `current_weekday` | 0 to 23; 1 (Monday) to 7 |
//! | `current_ip` | where the request comes from |
//!
//! What the person *is* has names that no attribute can take: an attribute called `id`, `email` or `roles` is never seen.

use std::{cmp::Ordering, net::IpAddr};

use chrono::{DateTime, Datelike, Timelike, Utc};
use ipnet::IpNet;
use rivergen_kernel::{Attributes, UserId};
use serde_json::{Value as Json, json};

use crate::condition::{Comparison, Literal, scalar_literal};

/// Who asks, when and from where. What is not known has no value, and a condition that asks for it hides every row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    pub attributes: Attributes,
    pub user_id: Option<UserId>,
    pub email: Option<String>,
    pub role_names: Vec<String>,
    /// At the organization's identity providers.
    pub groups: Vec<String>,
    pub at: Option<DateTime<Utc>>,
    pub ip: Option<IpAddr>,
}

/// A fact about the moment or the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionFact {
    Date,
    Time,
    Timestamp,
    Hour,
    Weekday,
    Ip,
}

impl SessionFact {
    pub const ALL: [SessionFact; 6] = [
        SessionFact::Date,
        SessionFact::Time,
        SessionFact::Timestamp,
        SessionFact::Hour,
        SessionFact::Weekday,
        SessionFact::Ip,
    ];

    /// As it is written in a condition.
    pub const fn name(self) -> &'static str {
        match self {
            SessionFact::Date => "current_date",
            SessionFact::Time => "current_time",
            SessionFact::Timestamp => "current_timestamp",
            SessionFact::Hour => "current_hour",
            SessionFact::Weekday => "current_weekday",
            SessionFact::Ip => "current_ip",
        }
    }

    /// Whether it is another one a second later.
    pub const fn is_momentary(self) -> bool {
        matches!(self, SessionFact::Time | SessionFact::Timestamp)
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| fact.name().eq_ignore_ascii_case(name))
    }

    fn value(self, facts: &Facts) -> Option<Literal> {
        let at = facts.at;
        let number = |number: u32| Literal::Number(number.to_string());
        match self {
            SessionFact::Date => Some(Literal::Text(at?.format("%Y-%m-%d").to_string())),
            SessionFact::Time => Some(Literal::Text(at?.format("%H:%M:%S").to_string())),
            SessionFact::Timestamp => Some(Literal::Text(at?.format("%Y-%m-%dT%H:%M:%SZ").to_string())),
            SessionFact::Hour => at.map(|at| number(at.hour())),
            SessionFact::Weekday => at.map(|at| number(at.weekday().number_from_monday())),
            SessionFact::Ip => facts.ip.map(|ip| Literal::Text(ip.to_canonical().to_string())),
        }
    }
}

impl Facts {
    /// One value of the person; nothing where it is not known, is null or is a list.
    pub(crate) fn one(&self, name: &str) -> Option<Literal> {
        match self.value(name)? {
            Json::Array(_) => None,
            value => scalar_literal(&value),
        }
    }

    /// A list, or the one value as a list of one; nothing where a member of it is no value.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<Literal>> {
        match self.value(name)? {
            Json::Array(members) => members.iter().map(scalar_literal).collect(),
            value => scalar_literal(&value).map(|value| vec![value]),
        }
    }

    pub(crate) fn session(&self, fact: SessionFact) -> Option<Literal> {
        fact.value(self)
    }

    fn value(&self, name: &str) -> Option<Json> {
        match name {
            "id" => self.user_id.map(|id| json!(id.0)),
            "email" => self.email.as_ref().map(|email| json!(email)),
            "roles" => Some(json!(self.role_names)),
            "groups" => self.all_groups(),
            _ => self.attributes.get(name).cloned(),
        }
    }

    /// Those of identity providers beside those that the member was given. Who is in none lacks them, as one lacks an
    /// attribute: that nobody has said anything of somebody is not known to be "in no group".
    fn all_groups(&self) -> Option<Json> {
        let given = self.attributes.get("groups");
        if self.groups.is_empty() {
            return given.cloned();
        }
        let mut groups: Vec<Json> = self.groups.iter().map(|group| json!(group)).collect();
        match given {
            None | Some(Json::Null) => {}
            Some(Json::Array(given)) => groups.extend(given.iter().cloned()),
            Some(given) => groups.push(given.clone()),
        }
        Some(Json::Array(groups))
    }
}

/// A comparison of two known values. Values of different kinds are neither equal nor ordered: nothing is said of them.
pub(crate) fn compare(left: &Literal, comparison: Comparison, right: &Literal) -> Option<bool> {
    let order = match (left, right) {
        (Literal::Text(a), Literal::Text(b)) => a.cmp(b),
        (Literal::Number(a), Literal::Number(b)) => numbers(a, b)?,
        (Literal::Boolean(a), Literal::Boolean(b)) => a.cmp(b),
        // An attribute holds what an administrator typed: `'5'` and 5 are the same number.
        (Literal::Text(text), Literal::Number(number)) | (Literal::Number(number), Literal::Text(text))
            if matches!(comparison, Comparison::Equal | Comparison::NotEqual) =>
        {
            numbers(text.trim(), number)?
        }
        _ => return None,
    };
    Some(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

/// How two numbers as they are written are ordered; whole ones to the last digit, which a fraction of 64 bits has no place
/// for.
fn numbers(left: &str, right: &str) -> Option<Ordering> {
    match (left.parse::<i128>(), right.parse::<i128>()) {
        (Ok(left), Ok(right)) => Some(left.cmp(&right)),
        _ => left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?),
    }
}

/// Whether the address lies in the network, written `10.0.0.0/8` or as one address; nothing for what is neither.
pub(crate) fn in_network(ip: &str, network: &str) -> Option<bool> {
    let ip: IpAddr = ip.parse().ok()?;
    let network: IpNet = network.parse().or_else(|_| network.parse::<IpAddr>().map(IpNet::from)).ok()?;
    Some(network.contains(&ip))
}
