//! Where the batches of a kept result lie, so that a page is read from the batch that it begins in.
//!
//! ```text
//! columns │ batch of row 0 │ batch of row 8192 │ batch of row 16384 │ …      an Arrow IPC stream
//!         └ mark           └ mark              └ mark
//! ```
//!
//! A result may have any number of batches and its index is one row of the database, so marks are thinned out as it grows.

use serde::{Deserialize, Serialize};

/// Marks of one result, at most.
const MOST: usize = 1_024;

/// The marks of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batches {
    /// The bytes of the columns, which a reader needs before any batch.
    pub head: u64,
    /// The first row of a batch, and the byte at which it begins.
    marks: Vec<(u64, u64)>,
    /// Rows between two marks, at least.
    apart: u64,
    /// Of the whole result, which count to the organization's quota.
    #[serde(default)]
    pub bytes: u64,
}

impl Batches {
    pub fn after(head: u64) -> Self {
        Self { head, ..Self::default() }
    }

    /// A batch begins here; told in their order.
    pub fn begins(&mut self, row: u64, at: u64) {
        if self.marks.last().is_some_and(|(last, _)| row < last.saturating_add(self.apart.max(1))) {
            return;
        }
        self.marks.push((row, at));
        if self.marks.len() >= MOST {
            let mut is_kept = false;
            self.marks.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.apart = row / self.marks.len().max(1) as u64;
        }
    }

    /// The last mark before the row, or at it.
    pub fn before(&self, row: u64) -> Option<(u64, u64)> {
        let later = self.marks.partition_point(|(first, _)| *first <= row);
        self.marks.get(later.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_in_its_batch() {
        let mut batches = Batches::after(100);
        for (row, at) in [(0, 100), (10, 200), (20, 300)] {
            batches.begins(row, at);
        }
        for (row, mark) in [(0, (0, 100)), (9, (0, 100)), (10, (10, 200)), (25, (20, 300)), (1_000, (20, 300))] {
            assert_eq!(batches.before(row), Some(mark), "row {row}");
        }
        assert_eq!(Batches::after(100).before(0), None);
    }

    #[test]
    fn many_batches_have_few_marks_and_none_is_far_from_a_row() {
        let mut batches = Batches::after(0);
        let rows = 1_000_000_u64;
        for row in (0..rows).step_by(10) {
            batches.begins(row, row * 8);
        }
        assert!(batches.marks.len() <= MOST && batches.marks.len() > MOST / 4, "{} marks", batches.marks.len());
        for row in (0..rows).step_by(777) {
            let (first, at) = batches.before(row).unwrap();
            assert!(first <= row && row - first < rows / 100 && at == first * 8, "row {row} is read from {first}");
        }
    }
}
