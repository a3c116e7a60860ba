//! ArcSight's Common Event Format, version 0 (Implementing ArcSight CEF, revision 25).
//!
//! ```text
//! CEF:0|RiverGen|RiverGen|0.1.0|auth.login|auth login|3|rt=1773500966535 externalId=7:12 act=auth.login outcome=success …
//! ```

use std::net::IpAddr;

use super::format::{PRODUCT, VERSION};
use crate::audit::{Outcome, log};

pub(super) fn event(row: &log::Model) -> String {
    let failed = row.outcome == Outcome::Failure.as_str();
    let name = row.action.replace(['.', '_'], " ");
    // Of 0 to 10; up to 3 is low.
    let severity = if failed { "5" } else { "3" };
    let head = [PRODUCT, PRODUCT, VERSION, &row.action, &name, severity].map(in_header).join("|");

    let mut extension = Extension::default();
    extension.put("rt", row.occurred_at.timestamp_millis());
    extension.put("externalId", format!("{}:{}", row.chain, row.sequence));
    extension.put("cat", row.action.split('.').next().unwrap_or_default());
    extension.put("act", &row.action);
    extension.put("outcome", &row.outcome);
    match row.ip.as_deref().map(|ip| (ip, ip.parse::<IpAddr>())) {
        Some((ip, Ok(IpAddr::V6(_)))) => extension.labelled("c6a2", "Source IPv6 Address", ip),
        Some((ip, _)) => extension.put("src", ip),
        None => {}
    }
    if let Some(user) = row.actor_user_id {
        extension.put("suid", user);
    }
    extension.put("suser", &row.actor_kind);
    if let Some(agent) = &row.user_agent {
        extension.put("requestClientApplication", agent);
    }
    if let Some(organization) = row.organization_id {
        extension.labelled("cn1", "organizationId", organization);
    }
    if let Some(kind) = &row.target_kind {
        extension.labelled("cs1", "targetKind", kind);
    }
    if let Some(id) = &row.target_id {
        extension.labelled("cs2", "targetId", id);
    }
    extension.labelled("cs3", "details", &row.details);
    extension.labelled("cs4", "hash", hex::encode(&row.hash));
    extension.labelled("cs5", "previousHash", hex::encode(&row.previous_hash));
    format!("CEF:0|{head}|{}", extension.text)
}

#[derive(Default)]
struct Extension {
    text: String,
}

impl Extension {
    fn put(&mut self, key: &str, value: impl ToString) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(key);
        self.text.push('=');
        self.text.push_str(&in_extension(&value.to_string()));
    }

    /// One of the fields that the format leaves to the sender, which say of themselves what they are.
    fn labelled(&mut self, key: &str, label: &str, value: impl ToString) {
        self.put(&format!("{key}Label"), label);
        self.put(key, value);
    }
}

/// Headers escape `\` and `|`, and are one line.
fn in_header(text: &str) -> String {
    text.replace('\\', r"\\").replace('|', r"\|").replace(['\r', '\n'], " ")
}

/// Values escape `\` and `=`; the ends of lines are written as `\n` and `\r`.
fn in_extension(text: &str) -> String {
    text.replace('\\', r"\\").replace('=', r"\=").replace('\n', r"\n").replace('\r', r"\r")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::streams::sample;

    #[test]
    fn a_record_is_one_line_of_known_fields() {
        let mut row = sample("auth.login");
        row.ip = Some("2001:db8::1".to_owned());
        row.user_agent = Some("a=b|c\\d\r\nCEF:0|forged".to_owned());
        assert_eq!(
            event(&row),
            format!(
                "CEF:0|RiverGen|RiverGen|{VERSION}|auth.login|auth login|3|rt=1773500966535 externalId=7:12 cat=auth \
                 act=auth.login outcome=success c6a2Label=Source IPv6 Address c6a2=2001:db8::1 suid=3 suser=user \
                 requestClientApplication=a\\=b|c\\\\d\\r\\nCEF:0|forged cn1Label=organizationId cn1=7 cs1Label=targetKind \
                 cs1=user cs2Label=targetId cs2=4 cs3Label=details cs3={{\"user_id\":4}} cs4Label=hash cs4={} \
                 cs5Label=previousHash cs5={}",
                "11".repeat(32),
                "22".repeat(32)
            )
        );
        row.ip = Some("203.0.113.9".to_owned());
        row.outcome = "failure".to_owned();
        row.action = "a|b".to_owned();
        let event = event(&row);
        assert!(event.contains(r"|a\|b|a\|b|5|") && event.contains(" src=203.0.113.9 "), "{event}");
    }
}
