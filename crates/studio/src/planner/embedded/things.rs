//! Which thing a question is about that names none: the one of which it says a name, or the one that has all that it asks for.

use super::fit;
use super::intent::{Dimension, Filter, Left, Measured, Mention, RankBy};
use super::schema::{ColumnId, TableId};
use super::settle::Settler;
use super::words::singular;

/// A column called by less than this of its name is not meant.
const LEAST: f64 = 0.5;

impl Settler<'_> {
    /// "the population of Angola": the country, of which it is the name.
    pub(super) fn names_tell_the_thing(&mut self) {
        if !self.intent.subjects.is_empty() {
            return;
        }
        for filter in &self.intent.filters {
            let Left::Column(mention) = &filter.left else { continue };
            let Some(table) = mention.columns.first().map(|column| column.table) else { continue };
            let of_it = mention.columns.iter().all(|column| column.table == table);
            let names = self.schema.label_of(table).is_some_and(|label| mention.columns.contains(&label));
            if mention.is_value && of_it && names && !self.preferred.contains(&table) {
                self.preferred.push(table);
            }
        }
    }

    /// "how many people live in Asia": where one thing has the value and all that is asked for, it is that one.
    pub(super) fn values_tell_the_thing(&mut self) {
        if !self.intent.subjects.is_empty() || !self.preferred.is_empty() || !self.intent.dimensions.is_empty() {
            return;
        }
        let owner = |filter: &Filter| match &filter.left {
            Left::Column(mention) if mention.is_value => {
                let table = mention.columns.first()?.table;
                mention.columns.iter().all(|column| column.table == table).then_some(table)
            }
            _ => None,
        };
        let owners: Vec<TableId> = self.intent.filters.iter().filter_map(owner).collect();
        // "ids with the text 'a' and 'b'" are of those to whom the rows refer.
        let is_key = |column: &ColumnId| self.schema.is_key_like(*column);
        if self.named().any(|mention| mention.columns.iter().any(is_key)) {
            return;
        }
        let named: Vec<&Mention> = self.named().collect();
        let asks = self.intent.columns.len() + self.intent.measures.len();
        let [table, others @ ..] = owners.as_slice() else { return };
        let has_all = !named.is_empty() && named.len() == asks && named.iter().all(|mention| has(mention, *table));
        if has_all && others.iter().all(|other| other == table) {
            self.preferred.push(*table);
        }
    }

    /// "the average age for each type of pet": what the groups have themselves, and not those to whom they belong.
    pub(super) fn groups_have_the_number(&mut self) {
        let schema = self.schema;
        let of = |dimension: &Dimension| match dimension {
            Dimension::Column(mention) => {
                let table = mention.columns.first()?.table;
                mention.columns.iter().all(|column| column.table == table).then_some(table)
            }
            Dimension::Table(..) | Dimension::Time(..) => None,
        };
        let [dimension] = self.intent.dimensions.as_slice() else { return };
        let Some(table) = of(dimension) else { return };
        for measure in &mut self.intent.measures {
            let Measured::Column(mention) = &mut measure.of else { continue };
            if mention.columns.iter().any(|column| schema.path_up(column.table, table).is_some()) {
                continue;
            }
            let call = call_in(table, &fit::calls(schema, &mention.text));
            if let Some((column, score)) = call.filter(|(column, _)| schema.is_numeric(*column)) {
                (mention.columns, mention.score) = (vec![column], score);
            }
        }
    }

    /// "the names and areas of the countries with the largest area": one word means one column in a question.
    pub(super) fn ranked_is_told(&mut self) {
        let Some(RankBy::Column(by)) = self.intent.rank.as_ref().map(|rank| &rank.by) else { return };
        let word = |text: &str| singular(&text.to_lowercase());
        let is_same = |mention: &Mention| {
            word(&mention.text) == word(&by.text) && !mention.columns.iter().any(|column| by.columns.contains(column))
        };
        let columns = by.columns.clone();
        for mention in self.intent.columns.iter_mut().filter(|mention| is_same(mention)) {
            mention.columns.clone_from(&columns);
        }
    }

    /// "type codes and descriptions", "total population and maximum GNP": without a thing, that which has them all.
    pub(super) fn columns_share_a_table(&mut self) {
        if !self.intent.subjects.is_empty() || !self.preferred.is_empty() {
            return;
        }
        let named: Vec<&Mention> = self.named().collect();
        let counts_rows = named.len() < self.intent.columns.len() + self.intent.measures.len();
        if named.len() < 2 || counts_rows {
            return;
        }
        let has = |table: TableId| named.iter().filter(|mention| has(mention, table)).count();
        let tables = 0..self.schema.context.tables.len();
        // Of several that have all of them, the one that also has what the conditions are about.
        let known = |table: TableId| {
            let of_it = |filter: &&Filter| matches!(&filter.left, Left::Column(mention) if self::has(mention, table));
            self.intent.filters.iter().filter(of_it).count()
        };
        let whole = tables.clone().filter(|table| has(*table) == named.len()).rev().max_by_key(|table| known(*table));
        let keyed = |table: TableId| {
            let by_key = |filter: &Filter| match (&filter.left, self.schema.key_of(table)) {
                (Left::Column(mention), Some(key)) => mention.columns.contains(&key),
                _ => false,
            };
            self.intent.filters.iter().any(by_key)
        };
        let unknown = |table: TableId| known(table) == 0 && !self.intent.filters.is_empty();
        if let Some(table) = whole.filter(|table| !unknown(*table)) {
            self.preferred.push(table);
            return;
        }
        // Some are called by half of their names there. "The name and description for document type code RV" are the type's,
        // though roles have a name and a description.
        let called: Vec<Vec<(ColumnId, f64)>> =
            named.iter().map(|mention| fit::calls(self.schema, &mention.text)).collect();
        let worth = |table: TableId| -> Option<f64> { called.iter().map(|calls| Some(call_in(table, calls)?.1)).sum() };
        let halves = tables
            .filter(|table| if whole.is_some() { known(*table) > 0 } else { has(*table) > 0 })
            .filter_map(|table| Some((keyed(table), worth(table)?, table)))
            .max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)).then(other.2.cmp(&one.2)));
        match (halves, whole) {
            (Some((.., table)), _) => {
                self.preferred.push(table);
                self.take_from(table);
            }
            (None, Some(table)) => self.preferred.push(table),
            (None, None) => {}
        }
    }

    /// The columns that are shown or boiled down.
    fn named(&self) -> impl Iterator<Item = &Mention> {
        let measured = self.intent.measures.iter().filter_map(|measure| match &measure.of {
            Measured::Column(mention) => Some(mention),
            _ => None,
        });
        self.intent.columns.iter().chain(measured)
    }

    /// Reads what the table does not have under its whole name as what it has under half of it.
    fn take_from(&mut self, table: TableId) {
        let schema = self.schema;
        let is_number = |column: ColumnId| schema.is_numeric(column);
        let take = |mention: &mut Mention, of_numbers: bool| {
            let call = call_in(table, &fit::calls(schema, &mention.text)).filter(|_| !has(mention, table));
            if let Some((column, score)) = call.filter(|(column, _)| !of_numbers || is_number(*column)) {
                (mention.columns, mention.score) = (vec![column], score);
            }
        };
        self.intent.columns.iter_mut().for_each(|mention| take(mention, false));
        for measure in &mut self.intent.measures {
            if let Measured::Column(mention) = &mut measure.of {
                take(mention, true);
            }
        }
    }
}

fn has(mention: &Mention, table: TableId) -> bool {
    mention.columns.iter().any(|column| column.table == table)
}

fn call_in(table: TableId, calls: &[(ColumnId, f64)]) -> Option<(ColumnId, f64)> {
    calls.iter().copied().find(|(column, score)| column.table == table && *score >= LEAST)
}
