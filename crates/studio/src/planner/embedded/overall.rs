//! The part of the reading that holds a column against all rows together, or finds it by a quality: "above the
//! average", "older than 30".

use super::compose::Composer;
use super::cue::{Aggregate, Comparison, Cue, Quality};
use super::intent::{Mention, Test};
use super::link::Noun;
use super::schema::{ColumnId, TableId};

impl Composer<'_> {
    /// "salary above the average", "score below the average score of all shops": held against all rows.
    pub(super) fn compare_overall(
        &mut self,
        mention: &Mention,
        comparison: Comparison,
        negated: bool,
        here: usize,
        next: usize,
    ) -> bool {
        let Some((aggregate, end)) = self.overall_at(next, mention) else { return false };
        let columns = self.numbers_of(mention);
        if columns.is_empty() {
            return false;
        }
        self.at = end;
        let text = self.text(here, end);
        let negated = self.negated_now() || negated;
        self.filter(Mention { columns, ..mention.clone() }, Test::Overall(comparison, aggregate), negated, text);
        true
    }

    /// The aggregate at this place, where it is of the column that is compared, and of all rows.
    fn overall_at(&self, at: usize, mention: &Mention) -> Option<(Aggregate, usize)> {
        let at = self.skip_noise(at);
        let aggregate = match self.cue(at)? {
            Cue::Aggregate(aggregate @ (Aggregate::Average | Aggregate::Minimum | Aggregate::Maximum)) => aggregate,
            _ => return None,
        };
        let mut end = at + 1;
        // "… the average salary": the same column once more. "… the average number of points"
        let mut again = self.skip_noise(end);
        if self.cue(again) == Some(Cue::Count) {
            again = self.skip_noise(again + 1);
        }
        let owns = |noun: &Noun| noun.table.is_some_and(|(table, _)| mention.columns.iter().any(|c| c.table == table));
        // "… the average savings balance"
        let behind = self.noun(again + 1).is_some_and(|noun| noun.columns.iter().any(|c| mention.columns.contains(c)));
        if behind && self.noun(again).is_some_and(owns) {
            again += 1;
        }
        if let Some(noun) = self.noun(again) {
            let same = noun.columns.iter().any(|column| mention.columns.contains(column));
            if !same {
                return None;
            }
            end = again + 1;
        }
        // "… of all employees": the rows that are compared.
        let of = self.skip_noise(end);
        if of > end
            && let Some((table, _)) = self.noun(of).and_then(|noun| noun.table)
        {
            if !mention.columns.iter().any(|column| column.table == table) {
                return None;
            }
            end = of + 1;
        }
        // "… of the employees in Madrid", "… of remote employees": the rest are not held against.
        let part = self.skip_noise(end);
        if part > end && self.noun(part).is_some_and(|noun| self.describes(noun)) {
            return None;
        }
        // "the average of each department" is another question.
        (!matches!(self.cue(self.skip_noise(end)), Some(Cue::By))).then_some((aggregate, end))
    }

    /// "older than 20", "younger than the average": the column is told by the word.
    pub(super) fn compare_quality(&mut self, comparison: Comparison, quality: Quality, here: usize) {
        let named = match self.take_operand() {
            Some(Err(mention)) if self.tells(quality, &mention) => Some(mention),
            Some(Err(other)) => {
                self.intent.columns.push(other);
                None
            }
            _ => None,
        };
        let mention = named.or_else(|| self.of_quality(quality, here));
        let Some(mention) = mention else { return self.leave(here) };
        let negated = self.negated_now();
        let at = self.skip_noise(self.at);
        if let Some(number) = self.number_at(at) {
            self.at = at + 1;
            let text = self.text(here, self.at);
            self.filter(mention, Test::Number(comparison, number), negated, text);
        } else if let Some((aggregate, end)) = self.overall_at(at, &mention) {
            self.at = end;
            let text = self.text(here, end);
            self.filter(mention, Test::Overall(comparison, aggregate), negated, text);
        } else {
            self.leave(here);
        }
    }

    fn tells(&self, quality: Quality, mention: &Mention) -> bool {
        let numbers = self.numbers_of(mention);
        let told = |column: &ColumnId| {
            self.schema.words_of(*column).iter().any(|word| quality.column_words().contains(&word.as_str()))
        };
        numbers.iter().any(told)
    }

    /// The numbers of the schema that tell a quality.
    fn of_quality(&self, quality: Quality, here: usize) -> Option<Mention> {
        let fits = |column: &ColumnId| {
            let words = self.schema.words_of(*column);
            self.is_number_column(*column) && words.iter().any(|word| quality.column_words().contains(&word.as_str()))
        };
        let columns: Vec<ColumnId> = self.schema.all_columns().filter(fits).collect();
        (!columns.is_empty()).then(|| Mention {
            columns,
            text: self.text(here, here + 1),
            near: self.last_table,
            qualified: false,
            implied: None,
            score: 0.9,
            is_value: false,
        })
    }

    pub(super) fn age_of(&self, table: TableId, here: usize) -> Option<Mention> {
        let mention = self.of_quality(Quality::Age, here)?;
        let columns: Vec<ColumnId> = mention.columns.iter().copied().filter(|column| column.table == table).collect();
        (!columns.is_empty()).then_some(Mention { columns, ..mention })
    }

    /// "above the average age": of the column behind the aggregate, of each row and of all.
    pub(super) fn overall_behind(&self, at: usize) -> Option<(Mention, Aggregate, usize)> {
        let of = self.skip_noise(at + 1);
        let of = if self.cue(of) == Some(Cue::Count) { self.skip_noise(of + 1) } else { of };
        let mention = self.mention(of)?;
        let columns = self.numbers_of(&mention);
        (!columns.is_empty()).then_some(())?;
        let mention = Mention { columns, ..mention };
        let (aggregate, end) = self.overall_at(at, &mention)?;
        Some((mention, aggregate, end))
    }
}
