//! What differs between PostgreSQL and the databases that speak its protocol.

use std::time::Duration;

use crate::DataSourceType;
use crate::pushdown::Dialect;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    Postgresql,
    /// PostgreSQL with an extension.
    Timescaledb,
    Cockroachdb,
    Redshift,
}

impl Flavour {
    pub fn kind(self) -> DataSourceType {
        match self {
            Self::Postgresql => DataSourceType::Postgresql,
            Self::Timescaledb => DataSourceType::Timescaledb,
            Self::Cockroachdb => DataSourceType::Cockroachdb,
            Self::Redshift => DataSourceType::Redshift,
        }
    }

    pub fn dialect(self) -> Dialect {
        match self {
            Self::Postgresql | Self::Timescaledb => Dialect::Postgres,
            Self::Cockroachdb => Dialect::Cockroach,
            Self::Redshift => Dialect::Redshift,
        }
    }

    /// What a session is to be, whatever the role's or the database's defaults are. Our statements rely on it: how
    /// literals are read, what zone a moment is truncated in.
    pub fn preamble(self, query_timeout: Duration) -> String {
        let timeout = format!("SET statement_timeout = {}; SET TimeZone = 'UTC'", query_timeout.as_millis());
        match self {
            Self::Postgresql | Self::Timescaledb => format!(
                "SET default_transaction_read_only = on; {timeout}; SET DateStyle = 'ISO, YMD'; \
                 SET IntervalStyle = 'iso_8601'; SET standard_conforming_strings = on; \
                 SET extra_float_digits = 1; SET bytea_output = 'hex'"
            ),
            Self::Cockroachdb => format!("SET default_transaction_read_only = on; {timeout}"),
            Self::Redshift => timeout,
        }
    }

    /// Around each use of a session, where no setting makes it read-only.
    pub fn bracket(self) -> Option<(&'static str, &'static str)> {
        (self == Self::Redshift).then_some(("BEGIN READ ONLY", "ROLLBACK"))
    }

    /// A statement that answers one text with the version in it.
    pub fn version_query(self) -> &'static str {
        match self {
            Self::Postgresql => "SELECT current_setting('server_version')",
            Self::Timescaledb => {
                "SELECT coalesce((SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), 'not installed') \
                 || ' on PostgreSQL ' || current_setting('server_version')"
            }
            Self::Cockroachdb | Self::Redshift => "SELECT CAST(version() AS text)",
        }
    }

    /// The version as it is shown.
    pub fn version(self, answer: &str) -> String {
        let word = |after: &str| {
            let rest = answer.split_once(after).map_or("", |(_, rest)| rest);
            rest.split([' ', ',']).next().unwrap_or_default().to_owned()
        };
        match self {
            Self::Postgresql => format!("PostgreSQL {answer}"),
            Self::Timescaledb => format!("TimescaleDB {answer}"),
            Self::Cockroachdb => format!("CockroachDB {}", word(" v")),
            Self::Redshift => format!("Redshift {}", word("Redshift ")),
        }
    }

    /// Schemas that hold the database's own tables.
    pub fn is_internal(self, schema: &str) -> bool {
        match self {
            Self::Timescaledb => {
                schema.starts_with("_timescaledb_")
                    || matches!(schema, "timescaledb_information" | "timescaledb_experimental" | "toolkit_experimental")
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As their manuals show them.
    #[test]
    fn versions_are_found_in_what_servers_tell() {
        let cockroach = "CockroachDB CCL v24.1.3 (x86_64-pc-linux-gnu, built 2024/08/01 12:00:00, go1.22)";
        assert_eq!(Flavour::Cockroachdb.version(cockroach), "CockroachDB 24.1.3");
        let redshift = "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat \
                        3.4.2-6.fc3), Redshift 1.0.12103";
        assert_eq!(Flavour::Redshift.version(redshift), "Redshift 1.0.12103");
    }
}
