//! The file of an import: fetched where it has an address, and read into rows.

use std::time::Duration;

use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::net;
use serde_json::Value;

use super::run::Format;
use crate::{Tenancy, invitation::table};

const MAX_ROWS: usize = 100_000;
const MAX_FETCHED_BYTES: usize = 20 * 1024 * 1024;
const FETCH_TIME: Duration = Duration::from_secs(10);

/// Through the guarded client, which checks every address and every redirect.
pub(super) async fn fetch(tenancy: &Tenancy, url: &str) -> Result<String> {
    if !url.starts_with("https://") {
        return Err(Error::invalid_field("file_url", "must begin with https://"));
    }
    let request = tenancy.identity.platform.outbound.http().get(url).timeout(FETCH_TIME);
    let response = request.send().await.and_then(reqwest::Response::error_for_status);
    let response = response.map_err(|error| unreadable("The file cannot be fetched.").with_source(error))?;
    let bytes = net::read_bounded(response, MAX_FETCHED_BYTES).await;
    let bytes = bytes.map_err(|error| unreadable("The file cannot be fetched, or is too large.").with_source(error))?;
    String::from_utf8(bytes.into()).map_err(|_| unreadable("The file is not UTF-8."))
}

/// A person of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub email: String,
    /// By name; that of who is let into the default workspace without one, if absent.
    pub role: Option<String>,
}

/// The people of the file, of whom there is one at least.
pub(super) fn read(format: Format, content: &str) -> Result<Vec<Row>> {
    let rows = match format {
        Format::Csv => read_csv(content)?,
        Format::Scim => read_scim(content)?,
    };
    // The databases hold none: neither the file may have one, nor what its escapes stand for.
    let has_zero = |text: &String| text.contains('\0');
    let is_broken = |row: &Row| has_zero(&row.email) || row.role.as_ref().is_some_and(has_zero);
    if content.contains('\0') || rows.iter().any(is_broken) {
        return Err(unreadable("The file has a zero byte."));
    }
    match rows.len() {
        0 => Err(unreadable("The file has nobody in it.")),
        1..=MAX_ROWS => Ok(rows),
        _ => Err(unreadable("The file has more than 100,000 rows.")),
    }
}

fn read_csv(content: &str) -> Result<Vec<Row>> {
    let columns = ["email", "display_name", "role", "external_id"];
    let rows = table::read(content.as_bytes(), columns, MAX_ROWS + 1).map_err(unreadable)?;
    let row = |[email, _, role, _]: [Option<String>; 4]| Row { email: email.unwrap_or_default(), role };
    Ok(rows.into_iter().map(row).collect())
}

fn read_scim(content: &str) -> Result<Vec<Row>> {
    let document: Value = serde_json::from_str(content).map_err(|error| unreadable(format!("{error}.")))?;
    let users = document.as_array().or_else(|| document["Resources"].as_array());
    let users = users.ok_or_else(|| unreadable("This is not a SCIM list of users."))?;
    let row = |user: &Value| {
        let emails = user["emails"].as_array();
        let primary = emails.and_then(|all| all.iter().find(|one| one["primary"] == true).or(all.first()));
        let email = primary.and_then(|one| one["value"].as_str()).or(user["userName"].as_str());
        let role = user["roles"].as_array().and_then(|all| all.first()).and_then(|role| role["value"].as_str());
        Row { email: email.unwrap_or_default().to_owned(), role: role.map(str::to_owned) }
    };
    Ok(users.iter().map(row).collect())
}

pub(super) fn unreadable(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::InvalidImportFile).with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_is_read_by_its_header() {
        let rows =
            read(Format::Csv, "display_name,email,role\n\"Love, Ada\", ada@acme.example ,\nB,b@acme.example,Admin\n");
        let row = |email: &str, role: Option<&str>| Row { email: email.to_owned(), role: role.map(str::to_owned) };
        assert_eq!(rows.unwrap(), [row("ada@acme.example", None), row("b@acme.example", Some("Admin"))]);
        for bad in ["", "email\n", "name\nAda\n", "email,password\na@b.example,x\n", "email,role\na@b.example\n"] {
            assert_eq!(read(Format::Csv, bad).unwrap_err().code, ErrorCode::InvalidImportFile, "{bad:?}");
        }
    }

    #[test]
    fn a_scim_list_is_read() {
        let list = r#"{"Resources": [{"userName": "ada", "emails": [{"value": "x@acme.example"},
            {"value": "ada@acme.example", "primary": true}], "roles": [{"value": "Admin"}]}, {"userName": "b@acme.example"}]}"#;
        let rows = read(Format::Scim, list).unwrap();
        assert_eq!((rows[0].email.as_str(), rows[0].role.as_deref()), ("ada@acme.example", Some("Admin")));
        assert_eq!((rows[1].email.as_str(), &rows[1].role), ("b@acme.example", &None));
        assert!(read(Format::Scim, "{}").is_err() && read(Format::Scim, "nonsense").is_err());
    }

    #[test]
    fn what_no_database_holds_is_refused() {
        assert!(read(Format::Csv, "email,display_name\nada@acme.example,a\0\n").is_err());
        for user in [
            r#"{"userName": "a\u0000@acme.example"}"#,
            r#"{"userName": "ada@acme.example", "roles": [{"value": "\u0000"}]}"#,
        ] {
            assert!(read(Format::Scim, &format!("[{user}]")).is_err(), "{user}");
        }
    }
}
