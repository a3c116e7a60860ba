//! What this room keeps about people.

use rivergen_platform::personal_data::Records;

/// The records of this room.
pub fn records() -> Vec<Box<dyn Records>> {
    Vec::new()
}
