//! A record as receivers read it.
//!
//! | Format | |
//! | --- | --- |
//! | `json` | the line of an export, which can be verified by itself |
//! | `ocsf` | an event of the Open Cybersecurity Schema Framework, see [`super::ocsf`] |
//! | `cef` | ArcSight's Common Event Format, see [`super::cef`] |

use serde::Deserialize;

use super::{cef, ocsf};
use crate::audit::{export::record_line, log};

/// As whom the server names itself in events.
pub(super) const PRODUCT: &str = "RiverGen";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Json,
    Ocsf,
    Cef,
}

impl Format {
    /// One line, without its end.
    pub(super) fn event(self, row: &log::Model) -> String {
        match self {
            Self::Json => record_line(row),
            Self::Ocsf => ocsf::event(row).to_string(),
            Self::Cef => cef::event(row),
        }
    }

    /// Of lines in this format.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::Ocsf => crate::audit::MEDIA_TYPE,
            Self::Cef => "text/plain; charset=utf-8",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Ocsf => "ocsf",
            Self::Cef => "cef",
        })
    }
}
