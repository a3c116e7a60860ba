//! The part of the reading that concerns what a number is of: the rows or the values, all of them together or in parts.

use super::compose::Composer;
use super::cue::{Aggregate, Cue};
use super::intent::{Dimension, Filter, Left, Measure, Measured, Mention, Test};
use super::link::Meaning;
use super::schema::{ColumnId, TableId};

impl Composer<'_> {
    /// "how many regions are affected": a question that opens with a number is in parts only where it says so ("by", "each").
    /// "The total enrollment of all schools" is of the things, whatever the table calls them.
    pub(super) fn numbers_have_no_parts(&mut self) {
        let says_parts = !self.intent.dimensions.is_empty() || !self.intent.havings.is_empty();
        if says_parts || self.intent.rank.is_some() || self.intent.distinct {
            return;
        }
        let tables = self.measured_tables();
        for mention in std::mem::take(&mut self.intent.columns) {
            let is_thing = mention.columns.iter().any(|column| {
                let own = [self.schema.label_of(column.table), self.schema.key_of(column.table)];
                tables.contains(&column.table) && own.contains(&Some(*column))
            });
            match is_thing {
                true => self.intent.readings.push((mention.text, "the rows themselves")),
                false => self.left_over.push(mention.text),
            }
        }
    }

    /// "how many tests have the result Fail", where both are the column `test_result`: of its values that is one, and the rows
    /// that have it are counted.
    pub(super) fn rows_with_a_value_are_counted(&mut self) {
        if self.links.iter().any(|link| matches!(link.meaning, Meaning::Cue(Cue::Distinct))) {
            return;
        }
        let filters = &self.intent.filters;
        for measure in &mut self.intent.measures {
            let Measured::Column(counted) = &measure.of else { continue };
            let is_it = |filter: &Filter| match &filter.left {
                Left::Column(mention) if matches!(&filter.test, Test::Value(_)) && !filter.negated => {
                    mention.columns == counted.columns
                }
                _ => false,
            };
            if measure.aggregate == Aggregate::CountDistinct
                && filters.iter().filter(|filter| is_it(filter)).count() == 1
            {
                measure.aggregate = Aggregate::Count;
                measure.of = Measured::RowsWith(counted.clone());
            }
        }
    }

    /// The tables of which numbers may be.
    fn measured_tables(&self) -> Vec<TableId> {
        let of = |measure: &Measure| match &measure.of {
            Measured::Rows(table) | Measured::Weight(table) => vec![*table],
            Measured::RowsWith(mention) | Measured::Column(mention) => {
                mention.columns.iter().map(|column| column.table).collect()
            }
            Measured::Metric(_) => Vec::new(),
        };
        self.intent.measures.iter().flat_map(of).collect()
    }

    /// "the average age of male and female students": no student is both, so that it is a number for each. A total is of
    /// them together, and what is in parts anyway, or ranked, is in no others.
    pub(super) fn values_make_parts(&mut self) {
        let tables = self.measured_tables();
        let adds_up = |measure: &Measure| {
            matches!(measure.aggregate, Aggregate::Sum | Aggregate::Count | Aggregate::CountDistinct)
        };
        let together = self.intent.measures.iter().all(adds_up);
        let in_parts = !self.intent.dimensions.is_empty() || !self.intent.havings.is_empty();
        let otherwise = self.intent.share || self.intent.nested.is_some() || self.intent.rank.is_some();
        if tables.is_empty() || together || in_parts || otherwise || self.intent.limit.is_some() {
            return;
        }
        let of = |filter: &Filter| match &filter.left {
            Left::Column(mention) if filter.each && !filter.negated && matches!(filter.test, Test::Value(_)) => {
                let own = mention.columns.iter().filter(|column| tables.contains(&column.table));
                own.copied().collect::<Vec<ColumnId>>()
            }
            _ => Vec::new(),
        };
        let columns: Vec<Vec<ColumnId>> = self.intent.filters.iter().map(of).collect();
        for (at, pair) in columns.windows(2).enumerate() {
            let shared: Vec<ColumnId> = pair[0].iter().copied().filter(|column| pair[1].contains(column)).collect();
            // Of three values two pairs share the column.
            let is_known = self.intent.dimensions.iter().any(|dimension| {
                matches!(dimension, Dimension::Column(mention) if mention.columns.iter().any(|c| shared.contains(c)))
            });
            let [one, other] = [at, at + 1].map(|at| &self.intent.filters[at].left);
            let (Left::Column(mention), Left::Column(other)) = (one, other) else { continue };
            if !shared.is_empty() && !is_known {
                let text = format!("{} and {}", mention.text, other.text);
                let part = Mention { columns: shared, text, is_value: false, ..mention.clone() };
                self.intent.dimensions.push(Dimension::Column(part));
            }
        }
    }
}
