//! What Cedar knows of RiverGen: the types of people and objects, the actions (the catalogue of permissions), and what a
//! request tells of where it comes from. Every policy is checked against it before it is kept.

use std::{collections::BTreeMap, fmt::Write as _};

use cedar_policy::Schema;
use rivergen_kernel::{Error, Permission, Result};
use serde_json::{Value, json};

use super::condition::Kind;

/// The types and attributes that policies in Cedar name; `docs/abac.md` shows it.
const TYPES: &str = r#"
    entity User = {
        id: Long,
        email?: String,
        email_domain?: String,
        roles: Set<String>,
        groups: Set<String>,
        mfa: Bool,
        passkey: Bool,
        sso: Bool,
        token: Bool,
        attributes: { ATTRIBUTES },
    } tags Set<String>;
    entity Resource = {
        "type": String,
        id?: Long,
        workspace?: Long,
        owner?: Long,
    };
    type Environment = {
        ip?: ipaddr,
        network?: String,
        time: datetime,
        hour: Long,
        weekday: String,
        device_trusted: Bool,
    };
"#;

/// The schema for a policy that compares those attributes of members.
pub(super) fn of(attributes: &BTreeMap<String, Kind>) -> Result<Schema> {
    let mut declared = String::new();
    for (name, kind) in attributes {
        let kind = match kind {
            Kind::Number => "Long",
            Kind::Flag => "Bool",
            _ => "Set<String>",
        };
        // Cedar's quoted names have the escapes of JSON, as far as names of attributes have any.
        let _ = write!(declared, "{}?: {kind}, ", json!(name));
    }
    let mut text = format!("namespace RiverGen {{ {}", TYPES.replace("ATTRIBUTES", &declared));
    for permission in Permission::ALL {
        let _ = writeln!(
            text,
            "action {:?} appliesTo {{ principal: [User], resource: [Resource], context: Environment }};",
            permission.as_str()
        );
    }
    text.push('}');
    let (schema, _) = Schema::from_cedarschema_str(&text).map_err(Error::internal)?;
    Ok(schema)
}

/// The action in Cedar's JSON.
pub(super) fn action_json(permission: Permission) -> Value {
    json!({"type": "RiverGen::Action", "id": permission.as_str()})
}
