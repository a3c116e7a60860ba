//! The members of groups, as they are answered. A group may have many thousands: of each, no more is read and made than
//! what `attributes` and `excludedAttributes` leave.

use std::collections::BTreeMap;

use rivergen_kernel::UserId;
use sea_orm::{ConnectionTrait, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};
use serde::{Deserialize, Serialize};

use super::{document::Projection, error::Result, group::member, query, user};

/// Members on one page of a list. One group is shown whole, however many it has.
const MOST_MEMBERS: u64 = 20_000;

/// Somebody in a group (RFC 7643, section 4.2), with those parts that are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The id of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<String>,
}

/// The parts of members that are answered.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where SCIM is.
    base: String,
    has_value: bool,
    has_reference: bool,
    has_kind: bool,
    has_display: bool,
}

impl Parts {
    /// `None` where nothing of members is answered, so that they are not even read.
    pub fn of(projection: &Projection, base: &str) -> Option<Self> {
        let has = |part| projection.shows_part("members", part);
        projection.shows("members").then(|| Self {
            base: base.to_owned(),
            has_value: has("value"),
            has_reference: has("$ref"),
            has_kind: has("type"),
            has_display: has("display"),
        })
    }

    fn member(&self, user_id: UserId, name: Option<String>) -> Member {
        Member {
            value: self.has_value.then(|| user_id.to_string()),
            reference: self.has_reference.then(|| format!("{}/Users/{user_id}", self.base)),
            kind: self.has_kind.then_some("User"),
            display: name.filter(|_| self.has_display),
        }
    }
}

/// Who is in a group, as the database tells it.
#[derive(Deserialize)]
struct Row {
    group_id: i64,
    scim_user_id: i64,
    user_id: UserId,
    /// Not where nobody asks for names.
    #[serde(default)]
    name: Option<String>,
}

/// Who is in these groups, each with the group, in the order of groups. Index: the primary key of scim_group_members.
async fn people_of(
    db: &impl ConnectionTrait,
    groups: &[i64],
    parts: &Parts,
    most: Option<u64>,
) -> Result<Vec<(i64, Member)>> {
    let mut people = member::Entity::find()
        .select_only()
        .column(member::Column::GroupId)
        .column(member::Column::ScimUserId)
        .column(user::Column::UserId)
        .join(sea_orm::JoinType::InnerJoin, member::to_user())
        .filter(member::Column::GroupId.is_in(groups.iter().copied()))
        .order_by_asc(member::Column::GroupId)
        .order_by_asc(member::Column::ScimUserId)
        .limit(most);
    let mut columns = vec!["group_id", "scim_user_id", "user_id"];
    if parts.has_display {
        people = people.expr_as(query::name_of_member(db.get_database_backend()), "name");
        columns.push("name");
    }
    let mut rows: Vec<Row> = query::rows_at_once(db, people.into_query(), &columns).await?;
    rows.sort_unstable_by_key(|row| (row.group_id, row.scim_user_id));
    Ok(rows.into_iter().map(|row| (row.group_id, parts.member(row.user_id, row.name))).collect())
}

/// The members of one group.
pub async fn members_of(db: &impl ConnectionTrait, group: i64, parts: &Parts) -> Result<Vec<Member>> {
    Ok(people_of(db, &[group], parts, None).await?.into_iter().map(|(_, member)| member).collect())
}

/// The members of the first of these groups: of as many groups as fit on a page, and of one at least. It reads no more rows
/// than three pages have, whatever the groups hold and however they are ordered, so that it does not grow with them.
pub async fn members_of_first(db: &impl ConnectionTrait, groups: &[i64], parts: &Parts) -> Result<Vec<Vec<Member>>> {
    let Some(first) = groups.first() else { return Ok(Vec::new()) };
    let mut members = whole_of_first(db, groups, parts, MOST_MEMBERS).await?;
    if members.len() < groups.len() && !groups.is_sorted() {
        // The database began with other ones than the page does: so from its beginning, each time twice as many groups.
        members.clear();
        let (mut rest, mut wanted, mut left) = (groups, 1, MOST_MEMBERS);
        while !rest.is_empty() {
            let (next, behind) = rest.split_at(Ord::min(wanted, rest.len()));
            let found = whole_of_first(db, next, parts, left).await?;
            let is_end = found.len() < next.len();
            left = left.saturating_sub(found.iter().map(Vec::len).sum::<usize>() as u64);
            members.extend(found);
            if is_end {
                break;
            }
            (rest, wanted) = (behind, wanted * 2);
        }
    }
    if members.is_empty() {
        members.push(members_of(db, *first, parts).await?);
    }
    Ok(members)
}

/// The members of the first of these groups, as far as they are whole where `most` are read of all of them.
async fn whole_of_first(
    db: &impl ConnectionTrait,
    groups: &[i64],
    parts: &Parts,
    most: u64,
) -> Result<Vec<Vec<Member>>> {
    let rows = people_of(db, groups, parts, Some(most + 1)).await?;
    // Where there are more, the last one that was reached is not whole, and those behind it were not reached.
    let reached = match rows.last() {
        Some((group, _)) if rows.len() as u64 > most => Some(*group),
        _ => None,
    };
    let mut found: BTreeMap<i64, Vec<Member>> = BTreeMap::new();
    for (group, member) in rows {
        found.entry(group).or_default().push(member);
    }
    let whole = groups.iter().take_while(|group| reached.is_none_or(|reached| **group < reached));
    Ok(whole.map(|group| found.remove(group).unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use rivergen_kernel::OrganizationId;
    use serde_json::{Value, json};

    use super::*;
    use crate::scim::{group::Model, schema::GROUPS};

    const BASE: &str = "https://rivergen.example/scim/v2";

    fn projection(attributes: Option<&str>, excluded: Option<&str>) -> Projection {
        Projection::new(&GROUPS, attributes, excluded).unwrap()
    }

    /// A group of Ada and of somebody without a name, as it is answered.
    fn answered(projection: &Projection) -> Value {
        let group = Model {
            id: 3,
            organization_id: OrganizationId(1),
            config_id: 2,
            display_name: "Research".to_owned(),
            display_name_key: "research".to_owned(),
            external_id: Some("g1".to_owned()),
            version: 5,
            created_at: DateTime::<Utc>::UNIX_EPOCH,
            updated_at: DateTime::<Utc>::UNIX_EPOCH,
        };
        let members = match Parts::of(projection, BASE) {
            Some(parts) => vec![parts.member(UserId(7), Some("Ada".to_owned())), parts.member(UserId(8), None)],
            None => Vec::new(),
        };
        let shown = group.shown(BASE, members).projected(&GROUPS, projection);
        serde_json::to_value(shown.resource).unwrap()
    }

    #[test]
    fn members_are_answered_by_their_parts() {
        let whole = json!([
            {"value": "7", "$ref": format!("{BASE}/Users/7"), "type": "User", "display": "Ada"},
            {"value": "8", "$ref": format!("{BASE}/Users/8"), "type": "User"}]);
        for (attributes, excluded, members) in [
            (None, None, whole.clone()),
            (Some("members"), None, whole.clone()),
            (Some("members.value"), None, json!([{"value": "7"}, {"value": "8"}])),
            (
                Some("Members.VALUE,members.type"),
                None,
                json!([{"value": "7", "type": "User"}, {"value": "8", "type": "User"}]),
            ),
            (Some("members.display"), None, json!([{"display": "Ada"}, {}])),
            (
                Some("urn:ietf:params:scim:schemas:core:2.0:Group:members.display"),
                None,
                json!([{"display": "Ada"}, {}]),
            ),
            (Some("members.value,members"), None, whole.clone()),
            (Some("displayName,members.nothing"), None, Value::Null),
            (None, Some("members"), Value::Null),
            (None, Some("members,members.value"), Value::Null),
            (
                None,
                Some("members.display,members.$ref"),
                json!([{"value": "7", "type": "User"}, {"value": "8", "type": "User"}]),
            ),
            (None, Some("members.value,members.$ref,members.type"), json!([{"display": "Ada"}, {}])),
            (None, Some("members.value,members.$ref,members.type,members.display"), json!([{}, {}])),
            (None, Some("displayName,meta"), whole),
        ] {
            let projection = projection(attributes, excluded);
            assert_eq!(answered(&projection)["members"], members, "{attributes:?} without {excluded:?}");
            assert_eq!(
                Parts::of(&projection, BASE).is_some(),
                !members.is_null(),
                "{attributes:?} without {excluded:?}"
            );
        }
    }

    /// A group is projected as every other resource is.
    #[test]
    fn what_is_made_is_what_would_be_left_of_the_whole() {
        let whole = answered(&Projection::default()).as_object().cloned().unwrap();
        let names =
            ["members", "members.value", "members.$ref", "members.type", "members.display", "displayName", "meta"];
        for some in 0..1_u32 << names.len() {
            let named = names.iter().enumerate().filter(|(at, _)| some & (1_u32 << *at) != 0);
            let named = named.map(|(_, name)| *name).collect::<Vec<_>>().join(",");
            for (attributes, excluded) in [(Some(named.as_str()), None), (None, Some(named.as_str()))] {
                let projection = projection(attributes, excluded);
                let left = Value::Object(projection.of(&GROUPS, whole.clone()));
                assert_eq!(answered(&projection), left, "{attributes:?} without {excluded:?}");
            }
        }
    }
}
