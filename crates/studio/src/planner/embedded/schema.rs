//! The caller's schema, indexed by the words that can name its parts.

use std::collections::HashSet;

use crate::planner::{Choice, ColumnContext, ColumnType, Context, Metric, TableContext};

use super::calls::{TYPE_WORDS, column_calls, is_name, singulars, written_together};
use super::cue::{self, Cue};
use super::references::Edge;
use super::words;

/// A table of the context, by position.
pub(super) type TableId = usize;

/// A column of the context, by positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ColumnId {
    pub(super) table: TableId,
    pub(super) column: usize,
}

/// Words by which a table or column can be called, with how much such a call is worth (0 to 1).
#[derive(Debug)]
pub(super) struct Name<T> {
    pub(super) of: T,
    /// In the singular.
    pub(super) words: Vec<String>,
    pub(super) score: f64,
}

/// A sample value, cut into words.
#[derive(Debug)]
pub(super) struct ValueName {
    pub(super) column: ColumnId,
    pub(super) value: String,
    /// In lower case.
    pub(super) words: Vec<String>,
    /// It is one of many, as names are, and is only meant where it is spelled like one.
    pub(super) is_name: bool,
}

/// The index over one context.
pub(super) struct Schema<'a> {
    pub(super) context: &'a Context,
    pub(super) table_names: Vec<Name<TableId>>,
    pub(super) column_names: Vec<Name<ColumnId>>,
    pub(super) values: Vec<ValueName>,
    pub(super) edges: Vec<Edge>,
    pub(super) metric_names: Vec<Name<usize>>,
    /// Columns that have a superlative in their names (`date_of_latest_logon`), with these words but the small ones.
    pub(super) superlatives: Vec<(ColumnId, Vec<String>)>,
}

/// Two words whose first letters, as many as these, are not the same are forms of no one word.
const STEM: usize = 3;

/// What the name is worth by which others refer to a thing.
pub(super) const ROLE: f64 = 0.7;

/// More readings than this are nothing to choose from.
const MOST_CHOICES: usize = 10;

/// Beginnings of table names that tell the layer and not the thing: `dim_customer`.
pub(super) const LAYER_WORDS: &[&str] = &["dim", "fact", "fct", "ref", "stg", "tbl", "raw", "vw"];

/// Ends of table names that tell that it is one: `cars_data`.
const KIND_WORDS: &[&str] = &["data", "info", "information", "list", "table", "record", "detail", "master"];

/// What the last word of a table's name is worth: "transactions" are `financial_transactions` before they are orders,
/// which mean about the same.
const HEAD: f64 = 0.78;

/// Names of numbers that are years of something's beginning.
const FOUNDED: &[&str] = &["founded", "established", "built", "constructed"];

/// What a name that stands in a comment is worth beside the column's own.
const SAID: f64 = 0.98;

impl<'a> Schema<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        let mut schema = Self {
            context,
            table_names: Vec::new(),
            column_names: Vec::new(),
            values: Vec::new(),
            edges: Vec::new(),
            metric_names: Vec::new(),
            superlatives: Vec::new(),
        };
        for (table, described) in context.tables.iter().enumerate() {
            schema.name_table(table, described);
            let table_words = singulars(&described.name);
            for (column, described) in described.columns.iter().enumerate() {
                let id = ColumnId { table, column };
                schema.column_names.extend(
                    column_calls(&described.name, &table_words).into_iter().map(|(words, score)| Name {
                        of: id,
                        words,
                        score,
                    }),
                );
                let mut words = singulars(&described.name);
                words.retain(|word| !is_small(word));
                if words.iter().any(|word| matches!(cue::cue(word), Some(Cue::Superlative(..)))) {
                    schema.superlatives.push((id, words));
                }
                // `stu_lname` is "student last name".
                let long = words::spelled_out(&singulars(&described.name)).map(|words| words.join(" "));
                let long_table = words::spelled_out(&table_words).unwrap_or_else(|| table_words.clone());
                let calls = long.map(|name| column_calls(&name, &long_table)).unwrap_or_default();
                schema.column_names.extend(calls.into_iter().map(|(words, score)| Name {
                    of: id,
                    words,
                    score: score * SAID,
                }));
                // What the source says of it, where that is a name.
                let said = described.comment.as_deref().filter(|comment| is_name(comment));
                let calls = said.map(|comment| column_calls(comment, &table_words)).unwrap_or_default();
                schema.column_names.extend(calls.into_iter().map(|(words, score)| Name {
                    of: id,
                    words,
                    score: score * SAID,
                }));
                let value = |value: &String, words: Vec<String>| {
                    let is_name = false;
                    ValueName { column: id, value: value.clone(), words, is_name }
                };
                if !described.has_few_values() {
                    continue;
                }
                schema.values.extend(described.sample_values.iter().map(|each| value(each, words::name_words(each))));
                schema.values.extend(
                    described.sample_values.iter().filter_map(|each| Some(value(each, written_together(each)?))),
                );
                if words::name_words(&described.name).iter().any(|word| word == "sex" || word == "gender") {
                    schema.values.extend(described.sample_values.iter().filter_map(|each| {
                        let said = match each.to_lowercase().as_str() {
                            "f" => "female",
                            "m" => "male",
                            _ => return None,
                        };
                        Some(value(each, vec![said.to_owned()]))
                    }));
                }
            }
        }
        schema.edges = schema.find_edges();
        schema.name_roles();
        schema.name_keys();
        schema.name_as_people_say();
        schema.name_layer();
        schema
    }

    /// Of the columns with many values those that a text may name.
    pub(super) fn hears(mut self, texts: &[&str]) -> Self {
        let start = |text: &str| -> Option<String> {
            let word = text.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty())?;
            Some(word.chars().flat_map(char::to_lowercase).take(STEM).collect())
        };
        let starts: HashSet<String> =
            texts.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).filter_map(start).collect();
        for column in self.all_columns().collect::<Vec<ColumnId>>() {
            let described = self.column(column);
            if described.has_few_values() {
                continue;
            }
            let said = |value: &&String| start(value).is_some_and(|start| starts.contains(&start));
            for value in described.sample_values.iter().filter(said) {
                let spellings = std::iter::once(words::name_words(value)).chain(written_together(value));
                self.values.extend(spellings.map(|words| ValueName {
                    column,
                    value: value.clone(),
                    words,
                    is_name: true,
                }));
            }
        }
        self
    }

    /// "students", where others refer by `student_id` to what is called otherwise, and nothing else is called so.
    fn name_roles(&mut self) {
        for edge in self.edges.clone() {
            let mut words = self.words_of(edge.from);
            let is_key = words.pop().is_some_and(|last| TYPE_WORDS.contains(&last.as_str()));
            let others = self.edges.iter().any(|other| {
                let own = self.words_of(other.from);
                other.to.table != edge.to.table && own.len() == words.len() + 1 && own.starts_with(&words)
            });
            let is_taken = self.table_names.iter().any(|name| name.words == words && name.score >= ROLE);
            if is_key && !words.is_empty() && !others && !is_taken && edge.from.table != edge.to.table {
                self.table_names.push(Name { of: edge.to.table, words, score: ROLE });
            }
        }
    }

    /// "ids" of aircraft are `aid`: what identifies a row is called so, and by the last word of its name.
    fn name_keys(&mut self) {
        for table in 0..self.context.tables.len() {
            let Some(key) = self.key_of(table) else { continue };
            let last = self.words_of(key).pop().filter(|last| matches!(last.as_str(), "code" | "number" | "key"));
            for word in std::iter::once("id".to_owned()).chain(last) {
                self.column_names.push(Name { of: key, words: vec![word], score: 0.9 });
            }
        }
        // The name of a movie is its title, and that of a department its `dept_name`.
        for table in 0..self.context.tables.len() {
            if let Some(label) =
                self.label_of(table).filter(|label| !self.words_of(*label).contains(&"last".to_owned()))
            {
                self.column_names.push(Name { of: label, words: vec!["name".to_owned()], score: 0.6 });
            }
        }
    }

    /// People ask for the birthday and the email, and not for the date of birth and the email address.
    fn name_as_people_say(&mut self) {
        for column in self.all_columns().collect::<Vec<ColumnId>>() {
            let words = singulars(&self.column(column).name);
            let is_birth = self.is_temporal(column) && words.iter().any(|word| words::is_birth(word));
            let is_email = words.ends_with(&["email".to_owned(), "address".to_owned()]);
            for said in [is_birth.then_some("birthday"), is_email.then_some("email")].into_iter().flatten() {
                self.column_names.push(Name { of: column, words: vec![said.to_owned()], score: 0.9 });
            }
        }
    }

    fn name_table(&mut self, table: TableId, described: &TableContext) {
        let words = singulars(&described.name);
        let mut call = |words: &[String], score| {
            if !words.is_empty() {
                self.table_names.push(Name { of: table, words: words.to_vec(), score });
            }
        };
        call(&words, 1.0);
        if let Some((first, rest)) = words.split_first()
            && LAYER_WORDS.contains(&first.as_str())
        {
            call(rest, 0.98);
        }
        if let Some((last, thing)) = words.split_last()
            && KIND_WORDS.contains(&last.as_str())
        {
            call(thing, 0.95);
        }
        if words.len() > 1 {
            call(&words[words.len() - 1..], HEAD);
            call(&words[..1], 0.6);
        }
    }

    /// What people call things is as good as their own names. Where it is some other thing's name too, the rules go first:
    /// "orders by region" are by the region of orders, whatever else the word means.
    fn name_layer(&mut self) {
        for (metric, described) in self.context.layer.metrics.iter().enumerate() {
            self.metric_names.push(Name { of: metric, words: singulars(&described.name), score: 1.0 });
        }
        self.metric_names.retain(|name| !name.words.is_empty());
        for synonym in &self.context.layer.synonyms {
            let words = singulars(&synonym.phrase);
            let column = synonym.column.map(|column| ColumnId { table: synonym.table, column });
            if words.is_empty() || synonym.is_value {
                continue;
            }
            match column {
                Some(column) => add_name(&mut self.column_names, column, words),
                None => add_name(&mut self.table_names, synonym.table, words),
            }
        }
    }

    /// Of columns that are equally good for a phrase, the one that people said it means.
    pub(super) fn chosen_column(&self, phrase: &str, columns: &[ColumnId]) -> Option<ColumnId> {
        let words = singulars(phrase);
        let said = self.context.layer.synonyms.iter().rev().filter(|synonym| singulars(&synonym.phrase) == words);
        let mut meant = said.filter_map(|synonym| Some(ColumnId { table: synonym.table, column: synonym.column? }));
        meant.find(|column| columns.contains(column))
    }

    /// The same of tables.
    pub(super) fn chosen_table(&self, words: &[String], tables: &[(TableId, f64)]) -> Option<TableId> {
        let said = self.context.layer.synonyms.iter().rev().filter(|synonym| singulars(&synonym.phrase) == words);
        let mut meant = said.filter(|synonym| synonym.column.is_none()).map(|synonym| synonym.table);
        meant.find(|table| tables.iter().any(|(known, _)| known == table))
    }

    /// Columns for a person to choose from, of whom no two are called alike.
    pub(super) fn column_choices(&self, word: &str, columns: &[ColumnId], is_value: bool) -> Vec<Choice> {
        let full = |column: &ColumnId| {
            let table = self.table(column.table);
            format!("{}.{}", table.full_name(), self.column(*column).name)
        };
        let twice = |column: &ColumnId| {
            columns.iter().filter(|other| self.qualified(**other) == self.qualified(*column)).count() > 1
        };
        let choice = |column: &ColumnId| {
            let name = if twice(column) { full(column) } else { self.qualified(*column) };
            let label = if is_value { format!("{name} is {word}") } else { name };
            Choice { label, of: full(column), is_value }
        };
        columns.iter().take(MOST_CHOICES).map(choice).collect()
    }

    /// The same of tables.
    pub(super) fn table_choices(&self, tables: &[TableId]) -> Vec<Choice> {
        let choice = |table: &TableId| {
            let full = self.table(*table).full_name();
            let name = &self.table(*table).name;
            let twice = tables.iter().filter(|other| self.table(**other).name == *name).count() > 1;
            Choice { label: if twice { full.clone() } else { name.clone() }, of: full, is_value: false }
        };
        tables.iter().take(MOST_CHOICES).map(choice).collect()
    }

    pub(super) fn metric(&self, metric: usize) -> Option<&'a Metric> {
        self.context.layer.metrics.get(metric)
    }

    pub(super) fn table(&self, table: TableId) -> &'a TableContext {
        &self.context.tables[table]
    }

    pub(super) fn column(&self, column: ColumnId) -> &'a ColumnContext {
        &self.context.tables[column.table].columns[column.column]
    }

    /// `table.column`, as it is called in explanations.
    pub(super) fn qualified(&self, column: ColumnId) -> String {
        format!("{}.{}", self.table(column.table).name, self.column(column).name)
    }

    /// A table's name as people write it: without the layer, in words.
    pub(super) fn spoken(&self, table: TableId) -> String {
        let mut words = words::name_words(&self.table(table).name);
        if words.len() > 1 && LAYER_WORDS.contains(&words[0].as_str()) {
            words.remove(0);
        }
        if let Some(last) = words.last_mut() {
            *last = words::plural(last);
        }
        words.join(" ")
    }

    pub(super) fn columns_of(&self, table: TableId) -> impl Iterator<Item = ColumnId> + use<'a> {
        (0..self.context.tables[table].columns.len()).map(move |column| ColumnId { table, column })
    }

    /// The columns of all tables.
    pub(super) fn all_columns(&self) -> impl Iterator<Item = ColumnId> {
        (0..self.context.tables.len()).flat_map(|table| self.columns_of(table))
    }

    /// The column that identifies a row: declared, or named `id` or like the table with `id`.
    pub(super) fn key_of(&self, table: TableId) -> Option<ColumnId> {
        let declared: Vec<ColumnId> =
            self.columns_of(table).filter(|column| self.column(*column).is_primary_key).collect();
        match declared.as_slice() {
            [key] => return Some(*key),
            [_, _, ..] => return None,
            [] => {}
        }
        let own = singulars(&self.table(table).name);
        self.columns_of(table).find(|column| {
            let words = singulars(&self.column(*column).name);
            match words.split_last() {
                Some((last, thing)) => last == "id" && (thing.is_empty() || own.ends_with(thing)),
                None => false,
            }
        })
    }

    /// The column that a person would use to tell rows apart: a name or a title.
    pub(super) fn label_of(&self, table: TableId) -> Option<ColumnId> {
        let own = singulars(&self.table(table).name);
        let is_initial = |word: &str| own.last().is_some_and(|own| own.chars().take(1).eq(word.chars()));
        let rank = |column: &ColumnId| {
            let words = singulars(&self.column(*column).name);
            let is_text = self.column(*column).data_type == ColumnType::Text;
            let last = words.last().filter(|_| is_text)?;
            let thing = &words[..words.len() - 1];
            match last.as_str() {
                "name" if thing.is_empty() || own.ends_with(thing) => Some(0),
                "name" if matches!((thing, own.last()), ([one], Some(own)) if words::are_synonyms(one, own)) => Some(1),
                "name" if thing == ["full"] || thing == ["display"] => Some(1),
                // `nation.n_name`, `bank.bname`; `faculty.fname` is the first of two.
                "name" if matches!(thing, [one] if is_initial(one)) => Some(1),
                "fname" | "lname" => None,
                last if thing.is_empty() && last.strip_suffix("name").is_some_and(is_initial) => Some(1),
                // `airlines.airline`
                _ if words == own => Some(2),
                "title" if thing.is_empty() => Some(2),
                "label" => Some(3),
                "name" if thing == ["last"] => Some(4),
                _ => None,
            }
        };
        self.columns_of(table).filter_map(|column| Some((rank(&column)?, column))).min().map(|(_, column)| column)
    }

    /// The column holds moments or days, be it as text in a source without such a type.
    pub(super) fn is_temporal(&self, column: ColumnId) -> bool {
        let described = self.column(column);
        if described.data_type.is_temporal() {
            return true;
        }
        let looks = |value: &String| {
            value.get(..10).is_some_and(|day| chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok())
        };
        described.data_type == ColumnType::Text
            && match described.sample_values.as_slice() {
                [] => words::name_words(&described.name)
                    .last()
                    .is_some_and(|last| matches!(last.as_str(), "at" | "on" | "date" | "timestamp")),
                values => values.iter().all(looks),
            }
    }

    /// The column that says when the thing in the row happened. The rule: among the temporal
    /// columns, one that does not tell of a birth, an end or a change; of these the first.
    pub(super) fn time_of(&self, table: TableId) -> Option<ColumnId> {
        let secondary = |column: &ColumnId| {
            words::name_words(&self.column(*column).name).iter().any(|word| {
                matches!(
                    word.as_str(),
                    "birth"
                        | "birthday"
                        | "born"
                        | "end"
                        | "ended"
                        | "updated"
                        | "modified"
                        | "deleted"
                        | "expires"
                        | "due"
                        | "left"
                        | "terminated"
                )
            })
        };
        self.columns_of(table).filter(|column| self.is_temporal(*column)).min_by_key(secondary)
    }

    /// The column that says in which year it happened, where nothing tells the day.
    pub(super) fn year_of(&self, table: TableId) -> Option<ColumnId> {
        let is_year = |column: &ColumnId| {
            let described = self.column(*column);
            let fits = match described.data_type {
                ColumnType::Text => {
                    let is_one = |value: &String| value.len() == 4 && value.parse::<u16>().is_ok();
                    !described.sample_values.is_empty() && described.sample_values.iter().all(is_one)
                }
                other => other.is_numeric(),
            };
            let words = self.words_of(*column);
            // `founded`
            let is_founded = matches!(words.as_slice(), [only] if FOUNDED.contains(&only.as_str()));
            fits && (is_founded || words.iter().any(|word| word == "year"))
        };
        let mut years = self.columns_of(table).filter(is_year);
        // Of several none is the year.
        years.next().filter(|_| years.next().is_none())
    }

    /// The column that says how big the thing in the row is.
    pub(super) fn weight_of(&self, table: TableId) -> Option<ColumnId> {
        self.best_number(table, words::weight_rank)
    }

    /// The number that is most worth asking about.
    pub(super) fn telling_number_of(&self, table: TableId) -> Option<ColumnId> {
        self.best_number(table, words::telling_rank)
    }

    fn best_number(&self, table: TableId, rank: impl Fn(&[String]) -> Option<usize>) -> Option<ColumnId> {
        self.columns_of(table)
            .filter(|column| self.is_numeric(*column) && !self.is_key_like(*column))
            .filter_map(|column| Some((rank(&self.words_of(column))?, column)))
            .min()
            .map(|(_, column)| column)
    }

    /// Text of which every value is a number, as files and old databases have it. What only looks like one stays text.
    pub(super) fn holds_numbers_as_text(&self, column: ColumnId) -> bool {
        let described = self.column(column);
        let values = described.sample_values.as_slice();
        // Codes begin with zeros, and numbers do not.
        let is_number = |value: &String| {
            let digits = value.strip_prefix('-').unwrap_or(value);
            let whole = digits.split('.').next().unwrap_or_default();
            value.trim().parse::<f64>().is_ok_and(f64::is_finite) && (whole.len() < 2 || !whole.starts_with('0'))
        };
        let names_a_code = |word: &String| {
            matches!(
                word.as_str(),
                "zip"
                    | "phone"
                    | "code"
                    | "no"
                    | "id"
                    | "key"
                    | "year"
                    | "date"
                    | "postcode"
                    | "isbn"
                    | "detail"
                    | "description"
                    | "name"
                    | "title"
            )
        };
        described.data_type == ColumnType::Text
            && !values.is_empty()
            && values.iter().all(is_number)
            && !self.words_of(column).iter().any(names_a_code)
            && !self.is_label_like(column)
    }

    /// Text of which every value is a year: years come after one another as numbers do.
    pub(super) fn holds_years_as_text(&self, column: ColumnId) -> bool {
        self.column(column).data_type == ColumnType::Text && self.year_of(column.table) == Some(column)
    }

    /// The column holds numbers, be it as text.
    pub(super) fn is_numeric(&self, column: ColumnId) -> bool {
        self.column(column).data_type.is_numeric() || self.holds_numbers_as_text(column)
    }

    /// The column identifies rows, here or elsewhere: adding it up means nothing.
    pub(super) fn is_key_like(&self, column: ColumnId) -> bool {
        self.column(column).is_primary_key
            || self.edges.iter().any(|edge| edge.from == column)
            || self.words_of(column).last().is_some_and(|last| last == "id")
    }

    /// A number that tells rows apart, as those of flights and years do: neither a sum nor an average of it means anything.
    pub(super) fn is_label_like(&self, column: ColumnId) -> bool {
        let words = self.words_of(column);
        let last = words.last().map(String::as_str);
        matches!(last, Some("no" | "code" | "zip" | "phone" | "year")) || (words.len() > 1 && last == Some("number"))
    }

    /// Of ranks the highest is the first to some, and the last to others.
    pub(super) fn is_rank(&self, column: ColumnId) -> bool {
        self.words_of(column).last().is_some_and(|last| matches!(last.as_str(), "rank" | "ranking"))
    }

    /// Every word by which a table or a column can be called.
    pub(super) fn vocabulary(&self) -> HashSet<&str> {
        let tables = self.table_names.iter().flat_map(|name| &name.words);
        tables.chain(self.column_names.iter().flat_map(|name| &name.words)).map(String::as_str).collect()
    }

    /// The words of the column's name, in the singular.
    pub(super) fn words_of(&self, column: ColumnId) -> Vec<String> {
        singulars(&self.column(column).name)
    }
}

/// A word that binds others within a name: "date of birth".
pub(super) fn is_small(word: &str) -> bool {
    matches!(word, "of" | "the")
}

fn add_name<T: PartialEq>(names: &mut Vec<Name<T>>, of: T, words: Vec<String>) {
    if !names.iter().any(|name| name.of == of && name.words == words && name.score >= 1.0) {
        names.push(Name { of, words, score: 1.0 });
    }
}
