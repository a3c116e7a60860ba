//! What is told to the person who asked: which words mean what, and every choice that was made.

use super::calendar::TimeRange;
use super::cue::{Aggregate, Match};
use super::intent::{self, Having};
use super::schema::{ColumnId, Schema, TableId};
use super::settled::{Condition, Dimension, Measure, OrderBy, Settled, Shape, Test};
use crate::planner::Understanding;

pub(super) struct Notes<'a> {
    schema: &'a Schema<'a>,
    pub(super) understood: Vec<Understanding>,
    choices: Vec<String>,
    /// The worst fit of a word to a name.
    weakest: f64,
}

impl<'a> Notes<'a> {
    pub(super) fn new(schema: &'a Schema<'a>) -> Self {
        Self { schema, understood: Vec::new(), choices: Vec::new(), weakest: 1.0 }
    }

    /// A choice that the person should know of.
    pub(super) fn add(&mut self, choice: String) {
        if !self.choices.contains(&choice) {
            self.choices.push(choice);
        }
    }

    pub(super) fn understand(&mut self, phrase: &str, meaning: String) {
        let understanding = Understanding { phrase: phrase.to_owned(), meaning };
        if !self.understood.contains(&understanding) {
            self.understood.push(understanding);
        }
    }

    pub(super) fn matched(&mut self, score: f64) {
        if score > 0.0 {
            self.weakest = self.weakest.min(score);
        }
    }

    pub(super) fn chosen(&mut self, phrase: &str, column: ColumnId, others: &[ColumnId]) {
        let others: Vec<String> = others.iter().map(|other| self.schema.qualified(*other)).collect();
        let instead = if others.is_empty() { String::new() } else { format!(", not {}", others.join(" or ")) };
        self.add(format!("\"{phrase}\" is read as {}{instead}", self.schema.qualified(column)));
    }

    pub(super) fn used(&mut self, column: ColumnId) {
        if self.schema.column(column).masked {
            self.add(format!(
                "{} is masked for you, so conditions and groups use the masked values",
                self.schema.qualified(column)
            ));
        }
    }

    /// The column is compared, ordered or boiled down as a number.
    pub(super) fn as_number(&mut self, column: ColumnId) {
        if self.schema.holds_numbers_as_text(column) || self.schema.holds_years_as_text(column) {
            self.add(format!(
                "{} is text, and every value of it a number: it is taken as such",
                self.schema.qualified(column)
            ));
        }
    }

    pub(super) fn mentioned(&mut self, phrase: &str, table: TableId) {
        if !self.understood.iter().any(|known| known.phrase.contains(phrase)) {
            self.understand(phrase, self.schema.table(table).name.clone());
        }
    }

    pub(super) fn measure(&mut self, phrase: &str, measure: &Measure) {
        let meaning = self.measured(measure);
        self.understand(phrase, meaning);
    }

    pub(super) fn rank(&mut self, phrase: &str, down: bool) {
        self.understand(phrase, if down { "highest first" } else { "lowest first" }.to_owned());
    }

    pub(super) fn having(&mut self, having: &Having) {
        let meaning = match &having.test {
            intent::Test::Number(comparison, number) => {
                format!("groups with {} {number}", comparison.as_words())
            }
            intent::Test::Between(low, high) => format!("groups with between {low} and {high}"),
            _ => return,
        };
        self.understand(&having.text, meaning);
    }

    pub(super) fn condition(&mut self, phrase: &str, column: ColumnId, test: &Test, negated: bool) {
        let meaning = self.tested(column, test, negated);
        self.understand(phrase, meaning);
    }

    fn tested(&self, column: ColumnId, test: &Test, negated: bool) -> String {
        let name = self.schema.qualified(column);
        let not = if negated { "not " } else { "" };
        match test {
            Test::OneOf(values) => format!("{name} is {not}{}", quoted(values)),
            Test::Typed(text) => format!("{name} is {not}'{text}' in any case"),
            Test::Number(comparison, number) => format!("{name} is {not}{} {number}", comparison.as_words()),
            Test::Overall(comparison, aggregate) => {
                format!("{name} is {not}{} the {} of all", comparison.as_words(), aggregate.as_str())
            }
            Test::Between(low, high) => format!("{name} is {not}between {low} and {high}"),
            Test::Text(kind, text) => {
                let (verb, verbs) = match kind {
                    Match::Contains => ("contain", "contains"),
                    Match::Starts => ("start with", "starts with"),
                    Match::Ends => ("end with", "ends with"),
                };
                if negated { format!("{name} does not {verb} '{text}'") } else { format!("{name} {verbs} '{text}'") }
            }
            Test::Missing => format!("{name} is {not}missing"),
            Test::True => format!("{name} is {not}true"),
            Test::Within(range) => format!("{name} is {not}{}", ranged(range)),
        }
    }

    fn measured(&self, measure: &Measure) -> String {
        let table = &self.schema.table(measure.table).name;
        if let Some(metric) = measure.metric.and_then(|metric| self.schema.metric(metric)) {
            return format!("{} ({} of {table})", metric.name, metric.definition);
        }
        match (measure.aggregate, measure.column) {
            (Aggregate::CountDistinct, Some(column)) => {
                format!("number of different values of {}", self.schema.qualified(column))
            }
            (aggregate, Some(column)) => format!("{} of {}", aggregate.as_str(), self.schema.qualified(column)),
            (_, None) => format!("number of {table}"),
        }
    }

    /// The whole plan in one sentence, and the choices behind it.
    pub(super) fn explanation(&self, settled: &Settled) -> String {
        let mut text = match &settled.shape {
            Shape::List { columns, .. } if columns.is_empty() => {
                format!("Rows of {}", self.schema.table(settled.root).name)
            }
            Shape::List { columns, .. } => {
                let names: Vec<String> = columns.iter().map(|column| self.schema.qualified(*column)).collect();
                names.join(", ")
            }
            Shape::Groups | Shape::OverGroups(_) => {
                let measures: Vec<String> = settled.measures.iter().map(|measure| self.measured(measure)).collect();
                let measures = measures.join(", ");
                match (&settled.shape, settled.share) {
                    (Shape::OverGroups(Aggregate::Count), _) => match settled.dimensions.first() {
                        Some(Dimension::Column(column)) => {
                            format!("Number of different values of {}", self.schema.qualified(*column))
                        }
                        counted => {
                            let table = counted.map_or(settled.root, |dimension| dimension.table());
                            format!("Number of {}", self.schema.table(table).name)
                        }
                    },
                    (Shape::OverGroups(outer), _) => format!("{} of the {measures}", capital(outer.as_str())),
                    (_, true) if settled.share_of.is_none() => {
                        format!("Percentage that each group has of the whole {measures}")
                    }
                    (_, true) => format!("Percentage of the {measures}"),
                    _ => capital(&measures),
                }
            }
        };
        let counted_over = usize::from(settled.shape == Shape::OverGroups(Aggregate::Count));
        if settled.dimensions.len() > counted_over {
            let dimensions: Vec<String> =
                settled.dimensions.iter().skip(counted_over).map(|dimension| self.dimension(*dimension)).collect();
            text.push_str(&format!(" for each {}", dimensions.join(" and ")));
        }
        let part = settled.share_of.iter().flatten();
        let tested = |conditions: &mut dyn Iterator<Item = &Condition>| {
            let mut tests: Vec<String> = Vec::new();
            for condition in conditions {
                let tested = self.tested(condition.column, &condition.test, condition.negated);
                let before = if condition.or { tests.pop() } else { None };
                tests.push(match before {
                    Some(before) => format!("either {before} or {tested}"),
                    None => tested,
                });
            }
            tests.join(" and ")
        };
        let part = tested(&mut part.into_iter());
        if !part.is_empty() {
            text.push_str(&format!(" for which {part}"));
        }
        // What lies in the direction of the many is told with the things that belong.
        let own = |condition: &&Condition| self.schema.path_up(settled.root, condition.column.table).is_some();
        let whole = tested(&mut settled.conditions.iter().filter(own));
        if !whole.is_empty() {
            text.push_str(&format!(", where {whole}"));
        }
        let belonging = settled.conditions.iter().filter(|condition| !own(condition));
        let (none, some): (Vec<&Condition>, Vec<&Condition>) =
            belonging.partition(|condition| condition.negated && condition.none_at_all);
        for condition in none {
            let tested = self.tested(condition.column, &condition.test, false);
            text.push_str(&format!(", with none for which {tested}"));
        }
        let mut tables: Vec<TableId> = some.iter().map(|condition| condition.column.table).collect();
        tables.dedup();
        let things = [&settled.absent, &settled.present, &tables].into_iter().find(|tables| !tables.is_empty());
        let belonging = tested(&mut some.into_iter());
        for table in things.into_iter().flatten() {
            let number = if settled.absent.is_empty() { "with at least one" } else { "without any" };
            text.push_str(&format!(", {number} of {}", self.schema.table(*table).name));
        }
        if !belonging.is_empty() {
            text.push_str(&format!(" for which {belonging}"));
        }
        for (measure, test) in &settled.havings {
            let name = settled.measures.get(*measure).map(|measure| self.measured(measure)).unwrap_or_default();
            match test {
                Test::Number(comparison, number) => {
                    text.push_str(&format!(", only where the {name} is {} {number}", comparison.as_words()));
                }
                Test::Between(low, high) => {
                    text.push_str(&format!(", only where the {name} is between {low} and {high}"))
                }
                _ => {}
            }
        }
        if let (Some((by, descending)), Shape::List { .. } | Shape::Groups) = (settled.order, &settled.shape)
            && (settled.limit.is_some() || settled.dimensions.len() + usize::from(settled.measures.is_empty()) > 0)
        {
            let by = match by {
                OrderBy::Measure(measure) => {
                    settled.measures.get(measure).map(|measure| self.measured(measure)).unwrap_or_default()
                }
                OrderBy::Column(column) => self.schema.qualified(column),
                OrderBy::Dimension(dimension) => {
                    settled.dimensions.get(dimension).map(|dimension| self.dimension(*dimension)).unwrap_or_default()
                }
            };
            text.push_str(&format!(", by {by} {}", if descending { "descending" } else { "ascending" }));
        }
        if let Some(limit) = settled.limit {
            let rows = if limit == 1 { "row" } else { "rows" };
            text.push_str(&format!(", at most {limit} {rows}"));
        }
        text.push('.');
        for choice in &self.choices {
            text.push_str(&format!(" {}.", capital(choice)));
        }
        text
    }

    fn dimension(&self, dimension: Dimension) -> String {
        match dimension {
            Dimension::Entity(table) => format!("row of {}", self.schema.table(table).name),
            Dimension::Column(column) => self.schema.qualified(column),
            Dimension::Time(intent::Slice::Every(grain), column) => {
                format!("{} of {}", grain.as_str(), self.schema.qualified(column))
            }
            Dimension::Time(intent::Slice::Weekday, column) => {
                format!("day of the week (0 is Sunday) of {}", self.schema.qualified(column))
            }
            Dimension::Time(intent::Slice::HourOfDay, column) => format!("hour of {}", self.schema.qualified(column)),
        }
    }

    /// From the weakest match and the number of choices that had to be made.
    pub(super) fn confidence(&self) -> f64 {
        let choices = u32::try_from(self.choices.len()).unwrap_or(u32::MAX);
        let confidence = (0.5 + self.weakest / 2.0) - 0.05 * f64::from(choices);
        (confidence.clamp(0.3, 1.0) * 100.0).round() / 100.0
    }
}

fn quoted(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
    values.join(" or ")
}

fn ranged(range: &TimeRange) -> String {
    let moment = |moment: chrono::NaiveDateTime| {
        let midnight = moment.time() == chrono::NaiveTime::MIN;
        moment.format(if midnight { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M" }).to_string()
    };
    match (range.from.map(moment), range.to.map(moment)) {
        (Some(from), Some(to)) => format!("from {from} until before {to}"),
        (Some(from), None) => format!("from {from} on"),
        (None, Some(to)) => format!("before {to}"),
        (None, None) => "at any time".to_owned(),
    }
}

fn capital(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    if first.contains('.') || first.contains('_') {
        // The name of a column stays as it is.
        return text.to_owned();
    }
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
