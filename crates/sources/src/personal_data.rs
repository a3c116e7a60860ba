//! What of this room may become another's when a member leaves.

use rivergen_platform::personal_data::{Owned, OwnedRows};

use crate::source::{Column, Entity};

pub fn possessions() -> Vec<Box<dyn Owned>> {
    // Index: data_sources(organization_id, slug).
    vec![Box::new(OwnedRows::<Entity> { owner: Column::CreatedByUserId })]
}
