//! The part of settling that concerns measures: which numbers a question means without saying
//! how to combine them, and by what a ranking goes.

use super::cue::{Aggregate, Direction, Quality};
use super::intent::{self, Measured, Mention, RankBy, SortBy, Subject};
use super::schema::{ColumnId, TableId};
use super::settle::Settler;
use super::{Unclear, words};

impl Settler<'_> {
    /// "the date and venue of each debate": with nothing to boil down, each row is a group, and they are listed.
    pub(super) fn each_row_is_listed(&mut self) {
        let intent = &self.intent;
        let [intent::Dimension::Table(table, text)] = intent.dimensions.as_slice() else { return };
        let (table, text) = (*table, text.clone());
        let told =
            |mention: &Mention| mention.columns.iter().any(|column| self.schema.path_up(table, column.table).is_some());
        let boils_down = !intent.measures.is_empty()
            || intent.rank.is_some()
            || intent.share
            || intent.nested.is_some()
            || intent.columns.iter().any(|mention| mention.implied.is_some());
        if boils_down || intent.columns.is_empty() || !intent.columns.iter().all(told) {
            return;
        }
        let of_another = |subject: &Subject| subject.table != table;
        if intent.subjects.iter().any(of_another) {
            return;
        }
        self.intent.each = true;
        self.intent.dimensions.clear();
        self.intent.subjects.clear();
        self.intent.subjects.push(Subject { table, text, plural: true, after_measure: false, score: 1.0 });
        self.preferred.insert(0, table);
    }

    /// Numbers that were named without an aggregate become measures where there are groups, or
    /// where the word itself means a sum.
    pub(super) fn numbers_become_measures(&mut self) -> Result<(), Unclear> {
        let grouped = !self.intent.dimensions.is_empty();
        let ordered = !grouped && self.intent.sort_direction.is_some();
        for mention in std::mem::take(&mut self.intent.columns) {
            // "for each year, the year and …": what the groups are is shown anyway.
            let is_group = |dimension: &intent::Dimension| match dimension {
                intent::Dimension::Column(by) => by.columns == mention.columns,
                intent::Dimension::Table(..) | intent::Dimension::Time(..) => false,
            };
            if self.intent.dimensions.iter().any(is_group) {
                self.intent.columns.push(mention);
                continue;
            }
            let numbers: Vec<ColumnId> = mention
                .columns
                .iter()
                .copied()
                .filter(|column| {
                    let is_number = self.schema.column(*column).data_type.is_numeric();
                    is_number && !self.schema.is_key_like(*column) && !self.schema.is_label_like(*column)
                })
                .collect();
            let foreign_to = |subject: &Subject| {
                numbers.iter().all(|number| self.schema.path_up(subject.table, number.table).is_none())
            };
            let foreign = self.intent.subjects.first().is_some_and(foreign_to);
            let own_row = self.intent.subjects.first().is_some_and(|subject| {
                // "the earnings of players in descending order" are many.
                numbers.iter().any(|number| number.table == subject.table) && (ordered || !subject.after_measure)
            });
            let becomes = !numbers.is_empty() && (grouped || foreign || (mention.implied.is_some() && !own_row));
            if !becomes {
                self.intent.columns.push(mention);
                continue;
            }
            let aggregate = mention.implied.unwrap_or_else(|| self.natural(&numbers, &mention.text));
            // Many for each of the things, and nobody said which is meant, or that it is their average.
            if aggregate == Aggregate::Average && !grouped {
                return Err(Unclear::no_number(&mention.text));
            }
            let text = mention.text.clone();
            let of = Measured::Column(Mention { columns: numbers, ..mention });
            self.intent.measures.push(intent::Measure { aggregate, of, text });
        }
        Ok(())
    }

    /// How a number that was named without an aggregate is boiled down.
    fn natural(&mut self, numbers: &[ColumnId], text: &str) -> Aggregate {
        let additive = numbers.iter().all(|column| words::is_additive(&self.schema.words_of(*column)));
        let aggregate = if additive { Aggregate::Sum } else { Aggregate::Average };
        self.notes
            .add(format!("\"{text}\" was named without saying how to combine it; I took the {}", aggregate.as_str()));
        aggregate
    }

    /// A rank by a number orders the rows that have it, or becomes a measure of groups.
    pub(super) fn rank_becomes_measure(&mut self) -> Result<(), Unclear> {
        let Some(mut rank) = self.intent.rank.take() else {
            return self.sort_becomes_measure();
        };
        let grouped =
            !self.intent.dimensions.is_empty() || !self.intent.columns.is_empty() || !self.intent.measures.is_empty();
        match rank.by.clone() {
            RankBy::Column(mention) => {
                self.who_has(&mention)?;
                let subject = self.intent.subjects.first().map(|subject| subject.table);
                let of_row = subject.is_some_and(|subject| {
                    mention.columns.iter().any(|column| self.schema.path_up(subject, column.table).is_some())
                });
                let additive = mention.columns.iter().all(|column| words::is_additive(&self.schema.words_of(*column)));
                // "the 3 highest support rates": the column itself.
                if rank.extreme && !grouped && subject.is_none() && self.intent.limit.is_some() {
                    self.intent.columns.push(mention);
                    self.intent.rank = Some(rank);
                    return Ok(());
                }
                let asks_for_rows = grouped || self.intent.who || self.intent.limit.is_some();
                let owned = rank.owned && !asks_for_rows;
                // "for each city, the highest latitude of its stations": one of each, and nothing is ranked.
                let of_each = rank.extreme
                    && of_row
                    && !self.intent.dimensions.is_empty()
                    && self.intent.columns.is_empty()
                    && self.intent.limit.is_none()
                    && !self.intent.which;
                // "the lowest version number, along with its type": the row that has it.
                let is_told = self.intent.columns.iter().any(|known| known.columns == mention.columns);
                if (!of_row && !is_told) || owned || (grouped && self.intent.columns.is_empty()) {
                    let aggregate = match (mention.implied, rank.extreme, rank.direction) {
                        (Some(aggregate), ..) => aggregate,
                        // "the most units" are all of them, "the highest quantity" is one.
                        (None, true, _) if adds_up(&rank.text) && additive => {
                            self.natural(&mention.columns, &mention.text)
                        }
                        (None, true, Direction::Descending) => Aggregate::Maximum,
                        (None, true, Direction::Ascending) => Aggregate::Minimum,
                        (None, false, _) => self.natural(&mention.columns, &mention.text),
                    };
                    let text = mention.text.clone();
                    let alone = owned || of_each || (subject.is_none() && self.intent.columns.is_empty());
                    let same = self.intent.measures.iter().position(|known| match &known.of {
                        Measured::Column(other) => other.columns == mention.columns && !rank.extreme,
                        _ => false,
                    });
                    let of = Measured::Column(mention);
                    let measure = same.unwrap_or_else(|| {
                        self.intent.measures.push(intent::Measure { aggregate, of, text });
                        self.intent.measures.len() - 1
                    });
                    if same.is_none() && !alone {
                        self.intent.silent.push(measure);
                    }
                    // "the highest salary", "highest salary by department": nothing is ranked.
                    if alone && rank.extreme && self.intent.limit.is_none() && !self.intent.which {
                        return Ok(());
                    }
                    if alone && rank.extreme && self.intent.dimensions.is_empty() {
                        return Ok(());
                    }
                    rank.by = RankBy::Measure(measure);
                }
            }
            // "the most common title in each department" is one of each, which no order tells.
            RankBy::Quality(Quality::Frequency) if !self.intent.dimensions.is_empty() => {
                return Err(Unclear::ranked_by_what(&rank.text));
            }
            RankBy::Quality(Quality::Frequency) => {
                let of = match (self.intent.columns.first(), self.intent.subjects.first()) {
                    (Some(column), _) => Measured::RowsWith(column.clone()),
                    (None, Some(subject)) => Measured::Rows(self.child_of(subject)?),
                    (None, None) => return Err(Unclear::words(std::slice::from_ref(&rank.text))),
                };
                // "the most common page of the pro users": whose they are, and no groups.
                let columns: Vec<ColumnId> =
                    self.intent.columns.iter().flat_map(|mention| mention.columns.iter().copied()).collect();
                // Of names and keys there is one each: what is common is then the thing itself.
                let identifies = |column: &ColumnId| {
                    let own = [self.schema.label_of(column.table), self.schema.key_of(column.table)];
                    own.contains(&Some(*column))
                };
                let of_things = columns.is_empty() || columns.iter().any(identifies);
                let owns = |table: TableId| of_things || columns.iter().any(|column| column.table == table);
                for subject in self.intent.subjects.iter_mut().filter(|subject| !owns(subject.table)) {
                    subject.after_measure = true;
                }
                let text = rank.text.clone();
                self.intent.measures.push(intent::Measure { aggregate: Aggregate::Count, of, text });
                self.intent.silent.push(self.intent.measures.len() - 1);
                rank.by = RankBy::Measure(self.intent.measures.len() - 1);
            }
            RankBy::Unspecified if !self.intent.measures.is_empty() => rank.by = RankBy::Measure(0),
            // "top 3 salaries": the column itself.
            RankBy::Unspecified
                if self.intent.subjects.is_empty()
                    && self.intent.dimensions.is_empty()
                    && matches!(self.intent.columns.as_slice(), [only] if only.columns.iter().all(|column| {
                        self.schema.is_numeric(*column)
                            && !self.schema.is_key_like(*column)
                            && !self.schema.is_rank(*column)
                    })) =>
            {
                if let Some(only) = self.intent.columns.first() {
                    rank.by = RankBy::Column(only.clone());
                }
            }
            RankBy::Quality(Quality::Any) | RankBy::Unspecified => match self.intent.subjects.first() {
                Some(subject)
                    if self
                        .schema
                        .weight_of(subject.table)
                        .is_some_and(|column| words::is_additive(&self.schema.words_of(column)))
                        && !grouped =>
                {
                    rank.by = RankBy::Weight(subject.table)
                }
                _ => return Err(Unclear::ranked_by_what(&rank.text)),
            },
            _ => {}
        }
        self.intent.rank = Some(rank);
        Ok(())
    }

    /// "who has the highest salary": the people of that column are the subject.
    fn who_has(&mut self, mention: &Mention) -> Result<(), Unclear> {
        if !self.intent.who || !self.intent.subjects.is_empty() {
            return Ok(());
        }
        let column = self.column(mention)?;
        let is_people = |table: &TableId| {
            let name = words::name_words(&self.schema.table(*table).name);
            let last = name.last().map(|last| words::singular(last)).unwrap_or_default();
            ["customer", "employee", "user"].iter().any(|people| last == *people || words::are_synonyms(&last, people))
        };
        let people = (0..self.schema.context.tables.len())
            .filter(is_people)
            .filter_map(|table| Some((self.schema.path_up(column.table, table)?.len(), table)))
            .min();
        if let Some((_, table)) = people {
            let text = "who".to_owned();
            self.preferred.push(table);
            self.intent.subjects.push(Subject { table, text, plural: false, after_measure: false, score: 1.0 });
            if let Some(rank) = &mut self.intent.rank {
                rank.plural = Some(false);
            }
        }
        Ok(())
    }

    fn sort_becomes_measure(&mut self) -> Result<(), Unclear> {
        let Some(SortBy::Column(mention)) = self.intent.sort.clone() else { return Ok(()) };
        let numeric = mention.columns.iter().any(|column| self.schema.is_numeric(*column));
        let foreign = self.intent.subjects.first().is_some_and(|subject| {
            mention.columns.iter().all(|column| self.schema.path_up(subject.table, column.table).is_none())
        });
        let known = self.intent.measures.iter().position(|measure| match &measure.of {
            Measured::Column(other) => other.columns == mention.columns,
            _ => false,
        });
        if let Some(known) = known {
            self.intent.sort = Some(SortBy::Measure(known));
        } else if numeric && foreign {
            let aggregate = mention.implied.unwrap_or_else(|| self.natural(&mention.columns, &mention.text));
            if aggregate == Aggregate::Average {
                return Err(Unclear::ranked_by_what(&mention.text));
            }
            let text = mention.text.clone();
            self.intent.measures.push(intent::Measure { aggregate, of: Measured::Column(mention), text });
            self.intent.sort = Some(SortBy::Measure(self.intent.measures.len() - 1));
        }
        Ok(())
    }

    /// The one table whose rows refer to the subject's.
    fn child_of(&self, subject: &Subject) -> Result<TableId, Unclear> {
        let mut children: Vec<TableId> = self
            .schema
            .edges
            .iter()
            .filter(|edge| edge.to.table == subject.table && edge.from.table != subject.table)
            .map(|edge| edge.from.table)
            .collect();
        children.dedup();
        match children.as_slice() {
            [child] => Ok(*child),
            _ => Err(Unclear::ranked_by_what(&subject.text)),
        }
    }

    /// Groups without a measure are counted: "customers by region"; so is a share of rows.
    pub(super) fn groups_are_counted(&mut self) -> Result<(), Unclear> {
        let needs = !self.intent.dimensions.is_empty() || self.intent.share;
        if !needs || !self.intent.measures.is_empty() {
            return Ok(());
        }
        // "the dates of the games by team" are asked for, and no number.
        let is_time = |mention: &Mention| mention.columns.iter().all(|column| self.schema.is_temporal(*column));
        let in_times = |dimension: &intent::Dimension| matches!(dimension, intent::Dimension::Time(..));
        let happens = self.intent.columns.iter().all(is_time)
            && (self.intent.subjects.is_empty() || self.intent.dimensions.iter().any(in_times));
        if !self.intent.share && !self.intent.columns.is_empty() && !happens {
            return Err(Unclear::of_what());
        }
        let filtered = self.intent.filters.iter().find_map(|filter| match &filter.left {
            intent::Left::Column(mention) => Some(mention.clone()),
            _ => None,
        });
        let (of, text) = match (self.intent.subjects.first(), filtered) {
            (Some(subject), _) => (Measured::Rows(subject.table), subject.text.clone()),
            (None, Some(mention)) => (Measured::RowsWith(mention.clone()), mention.text),
            // "hires by year"
            (None, None) => match self.intent.columns.first() {
                Some(mention) if mention.columns.iter().all(|column| self.schema.is_temporal(*column)) => {
                    (Measured::RowsWith(mention.clone()), mention.text.clone())
                }
                _ => return Err(Unclear::of_what()),
            },
        };
        if !self.intent.share {
            self.notes.add(format!("\"{text}\" are counted, as nothing else was asked of them"));
        }
        self.intent.measures.push(intent::Measure { aggregate: Aggregate::Count, of, text });
        Ok(())
    }

    /// "employees hired per year": the verb says of which time the years are.
    pub(super) fn verbs_name_the_time(&mut self) {
        for dimension in &mut self.intent.dimensions {
            let intent::Dimension::Time(_, column @ None, _) = dimension else { continue };
            let temporal = |mention: &Mention| mention.columns.iter().all(|column| self.schema.is_temporal(*column));
            if let Some(position) = self.intent.columns.iter().position(temporal) {
                *column = Some(self.intent.columns.remove(position));
            }
        }
    }
}

/// The superlative asks for the most of all and not for the highest of each.
fn adds_up(phrase: &str) -> bool {
    let lower = phrase.to_lowercase();
    ["most", "the most", "least", "the least", "fewest", "the fewest"]
        .iter()
        .any(|quantity| lower.strip_prefix(quantity).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}
