//! How the pages look on which people sign in to an organization: its colour and its picture.
//!
//! Both are settings of the organization; the picture is kept in a table of its own ([`logo`]), so that nothing else that reads
//! an organization carries it along. Whoever is not signed in learns of them only where they know the organization already:
//! by its proved domain ([`read`]), from the link of an invitation, and from an application of it that asks them, or waits for
//! them to sign in.

mod color;
pub mod logo;
pub mod read;

use garde::Validate;
use rivergen_kernel::{ErrorCode, OrganizationId, Result};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::color::Color;
use super::{Entity, Model};

/// How the sign-in pages of an organization look; `null` means the default look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Branding {
    /// The colour of buttons and of what has the focus, as `#rrggbb`. Every colour works: the text on it is black or
    /// white, whichever contrasts better, and if it would not stand out on the page, it is shown darker or lighter.
    #[schema(value_type = Option<String>, examples("#0b7285"))]
    pub accent_color: Option<Color>,
    /// A PNG, JPEG or WebP as a data URL, at most 64 KiB.
    #[garde(custom(logo::is_one))]
    #[schema(examples("data:image/png;base64,…"))]
    pub logo: Option<String>,
}

impl Branding {
    /// Of an organization whose row is at hand.
    pub async fn of(db: &impl ConnectionTrait, row: &Model) -> Result<Self> {
        Ok(Self { accent_color: row.intake()?.accent_color, logo: logo::find(db, row.id).await? })
    }

    /// Of the organization of that id.
    pub async fn named(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Self> {
        let row = Entity::find_by_id(organization).one(db).await?.ok_or(ErrorCode::OrgNotFound)?;
        Self::of(db, &row).await
    }

    /// Whether the organization has set nothing.
    pub fn is_plain(&self) -> bool {
        self.accent_color.is_none() && self.logo.is_none()
    }
}
