//! The fields that the forms of many kinds have in common.
//!
//! A form is JSON Schema. What a field is called and which values it takes is the same wherever it means the same; a
//! connector writes out what is its own.

use serde_json::{Value, json};

use crate::DataSourceType;

pub(crate) fn text(title: &str) -> Value {
    json!({"type": "string", "title": title})
}

/// A text that is entered and never shown.
pub(crate) fn secret(title: &str) -> Value {
    json!({"type": "string", "title": title, "writeOnly": true})
}

/// The field with a word on what it is for.
pub(crate) fn described(mut field: Value, description: &str) -> Value {
    field["description"] = description.into();
    field
}

pub(crate) fn port(kind: DataSourceType) -> Value {
    json!({"type": "integer", "title": "Port", "default": kind.default_port(), "minimum": 1, "maximum": 65535})
}

/// The schema that a source is confined to.
pub(crate) fn schema() -> Value {
    described(text("Schema"), "Only tables of this schema; all schemas if left empty.")
}

/// Where it is, who signs in and with which password, in one text of this shape.
pub(crate) fn connection_string(shape: &str) -> Value {
    described(secret("Connection string"), &format!("{shape}; replaces the fields above."))
}

/// What must be filled in where a connection string may stand for all of it.
pub(crate) fn fields_or_connection_string() -> Value {
    json!([{"required": ["host", "port", "database_name", "credentials"]}, {"required": ["connection_string"]}])
}

pub(crate) fn user_and_password() -> Value {
    json!({"type": "object", "properties": {"username": text("User"), "password": secret("Password")}})
}

/// How many connections or statements there may be at once.
pub(crate) fn pool_size(title: &str) -> Value {
    json!({"type": "integer", "title": title, "default": 5, "minimum": 1, "maximum": 100})
}

pub(crate) fn connection_timeout() -> Value {
    json!({"type": "integer", "title": "Connection timeout (s)", "default": 30})
}

/// How long a `Query` may take, or whatever it is that the kind is asked by.
pub(crate) fn query_timeout(asked: &str) -> Value {
    json!({"type": "integer", "title": format!("{asked} timeout (s)"), "default": 300})
}

/// Which of the modes that are named as libpq names them; the usual one where nothing is said.
pub(crate) fn sslmode(modes: &[&str], usual: &str) -> Value {
    json!({"type": "string", "title": "TLS", "enum": modes, "default": usual})
}

/// With TLS and the right name, or without any.
pub(crate) fn tls() -> Value {
    sslmode(&["verify-full", "disable"], "verify-full")
}

pub(crate) fn root_certificate() -> Value {
    text("Root certificate (PEM)")
}

/// For servers whose certificates are looked at in these modes alone.
pub(crate) fn root_certificate_for(modes: &str) -> Value {
    described(root_certificate(), &format!("Replaces the system's certificates, for {modes}."))
}
