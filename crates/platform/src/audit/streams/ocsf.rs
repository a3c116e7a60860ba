//! Events of the Open Cybersecurity Schema Framework, version 1.3.0. The first word of an action decides the class:
//!
//! | Class | Actions |
//! | --- | --- |
//! | Authentication (3002) | sign-ins and their steps, sign-outs, ended sessions |
//! | Account Change (3001) | accounts, passwords, second factors, passkeys |
//! | Group Management (3006) | roles, who holds them, members |
//! | API Activity (6003) | everything else |
//!
//! What the schema has no field for stands in `unmapped`: all that is needed to find the record and to verify it.

use serde_json::{Map, Value, json};

use super::format::{PRODUCT, VERSION};
use crate::audit::{ActorKind, Outcome, log};

const OCSF: &str = "1.3.0";

/// A class of events and what happened in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Class {
    category: i64,
    class: i64,
    activity: i64,
}

/// What no activity of a class names.
const OTHER: i64 = 99;

const fn authentication(activity: i64) -> Class {
    Class { category: 3, class: 3002, activity }
}

const fn account_change(activity: i64) -> Class {
    Class { category: 3, class: 3001, activity }
}

const fn group_management(activity: i64) -> Class {
    Class { category: 3, class: 3006, activity }
}

const fn api_activity(activity: i64) -> Class {
    Class { category: 6, class: 6003, activity }
}

fn class_of(action: &str) -> Class {
    let (subject, verb) = action.split_once('.').unwrap_or((action, ""));
    match (subject, verb) {
        // 1 Logon, 2 Logoff, 6 Preauth
        ("auth", "login" | "mfa_verify") => authentication(1),
        ("auth", "logout" | "logout_all") | ("session", "revoke" | "revoke_all") => authentication(2),
        ("auth", "mfa_challenge") => authentication(6),
        // 1 Create, 2 Enable, 3 Password Change, 4 Password Reset, 6 Delete, 10 and 11 MFA Factor Enable and Disable
        ("auth", "signup") | ("user", "create") => account_change(1),
        ("user", "restore") => account_change(2),
        ("auth", "change_password") => account_change(3),
        ("auth", "forgot_password" | "reset_password") | ("user", "password_link") => account_change(4),
        ("user", "delete" | "purge") => account_change(6),
        ("mfa", "enable") | ("webauthn", "register") => account_change(10),
        ("mfa", "remove" | "reset") | ("webauthn", "delete") => account_change(11),
        ("auth", "verify_email") => account_change(OTHER),
        ("user", "export" | "import") => api_activity(api_verb(verb)),
        ("sso", "sign_in") => authentication(1),
        ("sso", "logout") => authentication(2),
        ("auth" | "sso", _) => authentication(OTHER),
        ("user" | "mfa" | "webauthn", _) => account_change(OTHER),
        // 3 Add User, 4 Remove User, 5 Delete, 6 Create
        ("role", "assign") | ("member", "join") | ("invitation", "accept") => group_management(3),
        ("role", "revoke") | ("member", "remove" | "leave") => group_management(4),
        ("role", "delete") => group_management(5),
        ("role", "create") => group_management(6),
        ("role" | "member" | "invitation", _) => group_management(OTHER),
        _ => api_activity(api_verb(verb)),
    }
}

/// 1 Create, 2 Read, 3 Update, 4 Delete
fn api_verb(verb: &str) -> i64 {
    match verb.split('_').next().unwrap_or_default() {
        "create" | "add" | "upload" | "save" | "clone" | "import" | "provision" => 1,
        "read" | "list" | "export" | "test" | "discover" => 2,
        "update" | "set" | "assign" | "restore" | "verify" => 3,
        "delete" | "remove" | "revoke" | "purge" | "erase" => 4,
        _ => OTHER,
    }
}

pub(super) fn event(row: &log::Model) -> Value {
    let class = class_of(&row.action);
    let failed = row.outcome == Outcome::Failure.as_str();
    let details: Value = serde_json::from_str(&row.details).unwrap_or_default();
    let mut event = json!({
        "metadata": {
            "version": OCSF,
            "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": VERSION},
            "uid": format!("{}:{}", row.chain, row.sequence),
            "sequence": row.sequence,
            "log_name": "audit",
        },
        "category_uid": class.category,
        "class_uid": class.class,
        "activity_id": class.activity,
        "type_uid": class.class * 100 + class.activity,
        "time": row.occurred_at.timestamp_millis(),
        // 1 Informational, 2 Low
        "severity_id": if failed { 2 } else { 1 },
        // 1 Success, 2 Failure
        "status_id": if failed { 2 } else { 1 },
        "message": row.action,
        "actor": actor(row),
        "src_endpoint": source(row),
        "unmapped": unmapped(row),
    });
    if class.activity == OTHER {
        event["activity_name"] = row.action.clone().into();
    }
    if let Some(agent) = &row.user_agent {
        event["http_request"] = json!({"user_agent": agent});
    }
    match class.class {
        3002 => {
            event["user"] = user(row, &details);
            event["service"] = json!({"name": PRODUCT, "version": VERSION});
        }
        3001 => event["user"] = user(row, &details),
        3006 => {
            // Without it this class has no actor.
            event["metadata"]["profiles"] = json!(["host"]);
            event["group"] = group(row, &details);
            // One of the two must be there.
            match details.get("permissions").filter(|value| value.is_array()) {
                Some(permissions) => event["privileges"] = permissions.clone(),
                None => event["user"] = user(row, &details),
            }
        }
        _ => {
            event["api"] = json!({"operation": row.action, "service": {"name": PRODUCT, "version": VERSION}});
            if let Some(kind) = &row.target_kind {
                event["resources"] = json!([present([("type", Some(kind.clone())), ("uid", row.target_id.clone())])]);
            }
        }
    }
    if let Some(organization) = row.organization_id {
        event["metadata"]["tenant_uid"] = organization.to_string().into();
    }
    event
}

fn actor(row: &log::Model) -> Value {
    match row.actor_user_id {
        // 1 User
        Some(id) => json!({"user": {"uid": id.to_string(), "type_id": 1}}),
        None if row.actor_kind == ActorKind::System.as_str() => json!({"app_name": PRODUCT}),
        // 0 Unknown
        None => json!({"user": {"name": row.actor_kind, "type_id": 0}}),
    }
}

/// Whose account it is about: the target, or whom the details name, or whoever did it.
fn user(row: &log::Model, details: &Value) -> Value {
    let target = row.target_id.clone().filter(|_| row.target_kind.as_deref() == Some("user"));
    let named = || details.get("user_id").filter(|id| id.is_number()).map(Value::to_string);
    match target.or_else(named).or_else(|| row.actor_user_id.map(|id| id.to_string())) {
        Some(id) => json!({"uid": id, "type_id": 1}),
        None => json!({"name": "unknown", "type_id": 0}),
    }
}

/// A role is a group of those who hold it, and an organization of its members.
fn group(row: &log::Model, details: &Value) -> Value {
    if row.target_kind.as_deref() == Some("role") {
        let name = details.get("name").and_then(Value::as_str).map(str::to_owned);
        return present([("type", Some("role".to_owned())), ("uid", row.target_id.clone()), ("name", name)]);
    }
    json!({"type": "organization", "uid": row.organization_id.map_or(0, |id| id.0).to_string()})
}

fn source(row: &log::Model) -> Value {
    match &row.ip {
        Some(ip) => json!({"ip": ip}),
        None if row.actor_kind == ActorKind::System.as_str() => json!({"svc_name": PRODUCT}),
        None => json!({"name": "unknown"}),
    }
}

fn unmapped(row: &log::Model) -> Value {
    json!({
        "chain": row.chain,
        "action": row.action,
        "target_kind": row.target_kind,
        "target_id": row.target_id,
        "details": row.details,
        "occurred_at_micros": row.occurred_at.timestamp_micros(),
        "previous_hash": hex::encode(&row.previous_hash),
        "hash": hex::encode(&row.hash),
    })
}

/// An object of those that there are.
fn present<const N: usize>(fields: [(&str, Option<String>); N]) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    Value::Object(given.collect::<Map<String, Value>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::streams::sample;

    #[test]
    fn actions_fall_into_the_classes_that_they_belong_to() {
        for (action, class, activity) in [
            ("auth.login", 3002, 1),
            ("auth.logout", 3002, 2),
            ("sso.sign_in", 3002, 1),
            ("session.revoke_all", 3002, 2),
            ("auth.refresh_token_reuse", 3002, 99),
            ("auth.signup", 3001, 1),
            ("auth.change_password", 3001, 3),
            ("user.delete", 3001, 6),
            ("user.update_status", 3001, 99),
            ("mfa.enable", 3001, 10),
            ("webauthn.delete", 3001, 11),
            ("role.assign", 3006, 3),
            ("role.create", 3006, 6),
            ("member.remove", 3006, 4),
            ("user.export", 6003, 2),
            ("data_source.create", 6003, 1),
            ("organization.update_settings", 6003, 3),
            ("audit.export", 6003, 2),
            ("policy.assign", 6003, 3),
            ("something", 6003, 99),
        ] {
            let event = event(&sample(action));
            assert_eq!((&event["class_uid"], &event["activity_id"]), (&json!(class), &json!(activity)), "{action}");
            assert_eq!(event["type_uid"], json!(class * 100 + activity), "{action}");
            assert_eq!(event["category_uid"], json!(class / 1000), "{action}");
        }
    }

    #[test]
    fn each_class_has_what_its_schema_asks_for() {
        let login = event(&sample("auth.login"));
        assert_eq!((&login["user"]["uid"], &login["actor"]["user"]["uid"]), (&json!("4"), &json!("3")));
        assert_eq!((&login["service"]["name"], &login["time"]), (&json!("RiverGen"), &json!(1_773_500_966_535_i64)));
        let mut row = sample("role.create");
        (row.target_kind, row.target_id) = (Some("role".to_owned()), Some("9".to_owned()));
        row.details = r#"{"name":"Auditor","permissions":["audit.read"]}"#.to_owned();
        let created = event(&row);
        assert_eq!(created["group"], json!({"type": "role", "uid": "9", "name": "Auditor"}));
        assert_eq!(created["privileges"], json!(["audit.read"]));
        let mut row = sample("domain.lapse");
        (row.actor_user_id, row.ip, row.actor_kind) = (None, None, "system".to_owned());
        let lapsed = event(&row);
        assert_eq!(
            (&lapsed["actor"], &lapsed["src_endpoint"]),
            (&json!({"app_name": PRODUCT}), &json!({"svc_name": PRODUCT}))
        );
        assert_eq!(
            (&lapsed["api"]["operation"], &lapsed["activity_name"]),
            (&json!("domain.lapse"), &json!("domain.lapse"))
        );
        assert_eq!(lapsed["unmapped"]["hash"], json!("11".repeat(32)));
    }
}
