//! Which files a person reaches, and as what.
//!
//! ```text
//! the row says          it is theirs             Own       all of it
//!                       its folder is shared     Shared    names, sizes; the bytes where no policy keeps any from them
//!                       they hold storage.manage Managed   names, sizes; deleting. Never the bytes
//! nothing of these      another organization     404
//!                       their own folder         404
//!                       a colleague's folder     403, whether there is such a file or not
//! ```
//!
//! Whose a file is says its row, not its path: files that were left to somebody keep the path of who uploaded them.

use axum::{extract::FromRequestParts, http::request::Parts};
use rivergen_kernel::{Caller, Error, ErrorCode, Permission, Result, Tenant, UserId};

use crate::{Storage, file, share, sight::Reader};

/// The path of a file as a request names it: `organizations/1/files/7/reports/orders_….csv`.
#[derive(Debug, Clone)]
pub struct ObjectName(String);

/// As long as a path can be: the folder, and the name with its suffix.
const LONGEST: usize = 600;

impl ObjectName {
    /// 403 for dot segments. What else no path holds names no file.
    pub fn parse(text: &str) -> Result<Self> {
        let is_dots = |part: &str| !part.is_empty() && part.chars().all(|c| c == '.');
        if text.split(['/', '\\']).any(is_dots) {
            return Err(outside());
        }
        let is_plain =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        match text.len() <= LONGEST && text.split('/').all(is_plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(no_such_file()),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is answered to somebody who does not reach it.
    fn refusal(&self, tenant: Tenant, user: UserId) -> Error {
        let organization = format!("organizations/{}/", tenant.organization_id());
        let is_foreign = self.0.starts_with("organizations/") && !self.0.starts_with(&organization);
        match is_foreign || self.0.starts_with(&folder_of(tenant, user)) {
            true => no_such_file(),
            false => outside(),
        }
    }
}

/// The folder of one person, with a slash at its end.
pub fn folder_of(tenant: Tenant, user: UserId) -> String {
    format!("organizations/{}/files/{user}/", tenant.organization_id())
}

fn no_such_file() -> Error {
    Error::new(ErrorCode::NotFound).with_message("There is no such file.")
}

fn outside() -> Error {
    Error::new(ErrorCode::Forbidden).with_message("This is outside your own folder and what is shared with you.")
}

/// Left there by the router of `objects/…`, which takes what follows the name off it.
impl<S: Send + Sync> FromRequestParts<S> for ObjectName {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let named = parts.extensions.get::<Named>().ok_or_else(|| Error::internal("no name of a file was left"))?;
        Self::parse(&named.0)
    }
}

/// The name in a path, not yet looked at: who is asking is found out first.
#[derive(Clone)]
pub(crate) struct Named(pub String);

/// As what a person reaches a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Own,
    Shared,
    Managed,
}

impl Storage {
    /// A file that the caller reaches.
    pub async fn reach(&self, caller: &Caller, name: &ObjectName) -> Result<(file::Model, Reach)> {
        let reader = Reader::of(caller)?;
        let found = self.find(reader.tenant, name.as_str()).await?;
        let reach = match &found {
            Some(file) => self.reach_of(reader, file).await?,
            None => None,
        };
        let manages = caller.may(Permission::StorageManage);
        match (found, reach) {
            (Some(file), Some(reach)) => Ok((file, reach)),
            (Some(file), None) if manages => Ok((file, Reach::Managed)),
            (None, _) if manages => Err(no_such_file()),
            _ => Err(name.refusal(reader.tenant, reader.user_id)),
        }
    }

    /// As what somebody reaches the file who holds no more than anybody.
    pub(crate) async fn reach_of(&self, reader: Reader<'_>, file: &file::Model) -> Result<Option<Reach>> {
        if file.uploaded_by_user_id == reader.user_id {
            return Ok(Some(Reach::Own));
        }
        let shared = share::covers(self.platform.db.read(), reader, file).await?;
        Ok(shared.then_some(Reach::Shared))
    }

    /// 403 unless somebody who reaches the file so may have its bytes.
    pub(crate) async fn check_bytes(&self, reader: Reader<'_>, file: &file::Model, reach: Reach) -> Result<()> {
        match reach {
            Reach::Own => Ok(()),
            Reach::Managed => Err(Error::new(ErrorCode::Forbidden)
                .with_message("You may see that this file exists, and delete it; only its owner can read it.")),
            Reach::Shared => self.check_whole(reader, file).await,
        }
    }

    /// 403 where a policy keeps something from the person of what data sources read from the file.
    pub(crate) async fn check_whole(&self, reader: Reader<'_>, file: &file::Model) -> Result<()> {
        match self.sight.sees_whole(reader, &file.object_name).await? {
            true => Ok(()),
            false => Err(Error::new(ErrorCode::PolicyDenied).with_message(
                "A policy hides part of this file from you; query the data source that reads it instead.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use rivergen_kernel::OrganizationId;

    use super::*;

    #[test]
    fn dot_segments_are_refused_and_odd_names_name_nothing() {
        for (text, code) in [
            ("organizations/1/files/2/../3/a.csv", ErrorCode::Forbidden),
            ("..", ErrorCode::Forbidden),
            ("organizations/1/files/2/..\\a", ErrorCode::Forbidden),
            ("organizations/1/files/2/./a.csv", ErrorCode::Forbidden),
            ("organizations/1//files/a.csv", ErrorCode::NotFound),
            ("organizations/1/files/2/a%2e.csv", ErrorCode::NotFound),
            ("organizations/1/files/2/a\0.csv", ErrorCode::NotFound),
            ("", ErrorCode::NotFound),
        ] {
            assert_eq!(ObjectName::parse(text).unwrap_err().code, code, "{text:?}");
        }
        assert!(ObjectName::parse("organizations/1/files/2/a..b_2026.csv").is_ok());
    }

    #[test]
    fn only_a_colleagues_folder_is_said_to_be_one() {
        let tenant = Tenant::on_behalf_of(OrganizationId(1));
        for (text, code) in [
            ("organizations/1/files/2/a.csv", ErrorCode::NotFound),
            ("organizations/1/files/22/a.csv", ErrorCode::Forbidden),
            ("organizations/11/files/2/a.csv", ErrorCode::NotFound),
            ("etc/passwd", ErrorCode::Forbidden),
        ] {
            assert_eq!(ObjectName::parse(text).unwrap().refusal(tenant, UserId(2)).code, code, "{text}");
        }
    }
}
