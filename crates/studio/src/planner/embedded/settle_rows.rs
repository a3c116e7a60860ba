//! The part of settling that concerns rows: lists, and the conditions on the rows of any shape.

use chrono::{Datelike, NaiveDateTime, NaiveTime};

use super::Unclear;
use super::calendar::TimeRange;
use super::cue::{Aggregate, Comparison, Direction, Quality};
use super::intent::{self, Filter, Left, Mention, RankBy, SortBy, Subject};
use super::schema::{ColumnId, TableId};
use super::settle::Settler;
use super::settled::{Condition, Dimension, OrderBy, Settled, Shape, Test};
use super::words;
use crate::planner::ColumnType;

impl Settler<'_> {
    /// The rows of a table, as no number was asked for.
    pub(super) fn list(&mut self) -> Result<Settled, Unclear> {
        let subject = self.listed_subject();
        let mut columns = Vec::new();
        let root = match &subject {
            Some(subject) => subject.table,
            None => self.root_of_columns()?,
        };
        self.preferred.retain(|table| *table != root);
        self.preferred.insert(0, root);
        if let Some(subject) = &subject {
            self.notes.matched(subject.score);
            self.notes.understand(&subject.text, format!("rows of {}", self.schema.table(root).name));
        }
        for mention in self.intent.columns.clone() {
            let column = self.column(&mention)?;
            self.notes.understand(&mention.text, self.schema.qualified(column));
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        if columns.is_empty() {
            columns = self.told_by_the_question(root);
        }
        // "which district has the largest population": its name tells which.
        if columns.is_empty() && self.intent.which && self.intent.rank.is_some() {
            columns = self.name_of(root);
        }
        let mut are_values = false;
        if columns.is_empty()
            && !self.intent.in_full
            && let Some((own, said)) =
                subject.as_ref().and_then(|subject| Some((self.called_like(subject)?, subject.text.clone())))
        {
            self.notes.add(format!("\"{said}\" is read as the column {}", self.schema.qualified(own)));
            are_values = true;
            columns.push(own);
        }
        if self.intent.called == Some(root)
            && let Some(name) = self.schema.label_of(root).or(self.schema.key_of(root))
            && !columns.contains(&name)
        {
            columns.insert(0, name);
        }
        let root = self.root_of_all(root, &columns);
        let all_inside = columns.iter().all(|column| column.table == root);
        let identifies = |column: &ColumnId| {
            self.schema.key_of(column.table) == Some(*column) || self.schema.label_of(column.table) == Some(*column)
        };
        let has_few_values = |column: &ColumnId| self.schema.column(*column).has_few_values();
        // "show all majors" asks for no student.
        let is_alone = self.intent.all && self.intent.columns.len() == 1;
        // Rows in an order of something else are not its values.
        let by_another = match self.intent.sort.clone() {
            Some(SortBy::Column(mention)) => !columns.contains(&self.column(&mention)?),
            _ => false,
        };
        let values_asked = !columns.is_empty()
            && (self.intent.distinct
                || (self.intent.rank.is_none()
                    && !self.intent.each
                    && !by_another
                    && (self.intent.which
                        || are_values
                        || (subject.is_none() && (is_alone || columns.iter().all(has_few_values))))
                    && !columns.iter().any(identifies)
                    && !self.intent.columns.iter().all(|mention| mention.qualified)));
        if values_asked {
            self.notes.add("each combination of values is shown once".to_owned());
        }
        let order = self.row_order(root, subject.as_ref())?;
        if let Some((OrderBy::Column(column), _)) = order {
            self.notes.as_number(column);
        }
        let mut then = Vec::new();
        for mention in self.intent.sort_then.clone() {
            let column = self.column(&mention)?;
            self.notes.understand(&mention.text, format!("ordered by {}", self.schema.qualified(column)));
            self.notes.as_number(column);
            then.push((column, order.is_some_and(|(_, down)| down)));
        }
        let extreme = if all_inside { self.extreme_of_several(root, order) } else { None };
        let limit = match extreme {
            Some(_) => self.length_of_a_list(),
            None => self.list_limit(),
        };
        let mut settled = Settled {
            root,
            shape: Shape::List {
                and_all: !all_inside && subject.is_some() && !values_asked && !self.intent.columns_first,
                columns,
                distinct: values_asked,
            },
            dimensions: Vec::new(),
            measures: Vec::new(),
            conditions: Vec::new(),
            share_of: None,
            share: false,
            havings: Vec::new(),
            present: Vec::new(),
            absent: Vec::new(),
            order,
            then,
            limit,
            only: None,
            silent: Vec::new(),
        };
        self.conditions(&mut settled)?;
        settled.conditions.extend(extreme);
        Ok(settled)
    }

    /// "all products", where a column of the table `product` is called `product` too: that is what is asked for.
    fn called_like(&self, subject: &Subject) -> Option<ColumnId> {
        let table = words::name_words(&self.schema.table(subject.table).name);
        let singular = |words: Vec<String>| words.iter().map(|word| words::singular(word)).collect::<Vec<String>>();
        let (table, said) = (singular(table), singular(words::name_words(&subject.text)));
        let is_it = |column: &ColumnId| {
            self.schema.column(*column).data_type == ColumnType::Text && self.schema.words_of(*column) == table
        };
        self.schema.columns_of(subject.table).find(is_it).filter(|_| said == table)
    }

    /// "the restaurants with the highest rating": all that share it, where they are not chosen from a part of the rows. The
    /// largest of a part is no number of all.
    fn extreme_of_several(&mut self, root: TableId, order: Option<(OrderBy, bool)>) -> Option<Condition> {
        let rank = self.intent.rank.clone()?;
        let (OrderBy::Column(column), down) = order? else { return None };
        let is_of_all = self.intent.filters.is_empty()
            && self.intent.absent.is_empty()
            && self.intent.subjects.iter().all(|subject| subject.table == root);
        let is_number = column.table == root && self.schema.column(column).data_type.is_numeric();
        // "The most expensive products" are some, as "the largest orders" are.
        let by = match &rank.by {
            RankBy::Column(mention) => rank.text.to_lowercase().ends_with(&mention.text.to_lowercase()),
            RankBy::Quality(quality) => matches!(quality, Quality::Age | Quality::Mass | Quality::Height),
            _ => false,
        };
        if !by || rank.plural != Some(true) || self.intent.limit.is_some() || !is_of_all || !is_number {
            return None;
        }
        let (extreme, said) = if down { (Aggregate::Maximum, "highest") } else { (Aggregate::Minimum, "lowest") };
        let name = self.schema.qualified(column);
        self.notes.add(format!("\"{}\" gives no number; I show all with the {said} {name}", rank.text));
        let test = Test::Overall(Comparison::Equal, extreme);
        Some(Condition { column, test, negated: false, none_at_all: false, or: false, each: false })
    }

    /// The first thing that was named; in "customer orders" the second, which the first describes.
    fn listed_subject(&self) -> Option<Subject> {
        match self.intent.subjects.as_slice() {
            [owner, listed, ..]
                if !owner.plural
                    && listed.plural
                    && !self.intent.which
                    && self.schema.path_up(listed.table, owner.table).is_some() =>
            {
                Some(listed.clone())
            }
            [first, ..] => Some(first.clone()),
            [] => None,
        }
    }

    /// The table that has all the columns that were named, or refers to those that have them.
    fn root_of_columns(&mut self) -> Result<TableId, Unclear> {
        let mut mentions: Vec<Mention> = self.intent.columns.clone();
        if mentions.is_empty() {
            mentions.extend(self.intent.filters.iter().filter_map(|filter| match &filter.left {
                Left::Column(mention) | Left::Time(Some(mention), _) => Some(mention.clone()),
                Left::Key(_) | Left::Label(_) | Left::Weight(_) | Left::Time(None, _) => None,
            }));
        }
        let mut tables = Vec::new();
        for mention in &mentions {
            let column = self.column(mention)?;
            tables.push(column.table);
        }
        let reaches_all = |root: &&TableId| tables.iter().all(|table| self.schema.path_up(**root, *table).is_some());
        match tables.iter().find(reaches_all).or(tables.first()) {
            Some(root) => Ok(*root),
            None => Err(Unclear::of_what()),
        }
    }

    /// The rows to list: of the thing itself, or of what lies between it and a column that it does not tell: "the names of the
    /// cities and the years of their competitions" has a row for each competition.
    fn root_of_all(&mut self, thing: TableId, columns: &[ColumnId]) -> TableId {
        let mut root = thing;
        // "users and the devices of their sessions": without a column of theirs nothing would show the users.
        let of_thing = |column: &ColumnId| self.schema.path_up(thing, column.table).is_some();
        if !self.intent.columns_first && !columns.iter().any(of_thing) {
            return thing;
        }
        for column in columns {
            if self.schema.path_up(root, column.table).is_none()
                && let Some(between) = self.schema.bridge(root, column.table)
            {
                root = between;
            }
        }
        if root != thing {
            self.notes.add(format!("there is a row for each row of {}", self.schema.table(root).name));
        }
        root
    }

    fn row_order(&mut self, root: TableId, subject: Option<&Subject>) -> Result<Option<(OrderBy, bool)>, Unclear> {
        if let Some(rank) = self.intent.rank.clone() {
            let mut down = rank.direction == Direction::Descending;
            let column = match &rank.by {
                RankBy::Column(mention) => {
                    let column = self.column(mention)?;
                    // "cities in the county with the most people": the county is ranked, and not its cities.
                    let of_another = self.intent.subjects.iter().any(|other| other.table == column.table);
                    if column.table != root && of_another && self.intent.limit.is_none() {
                        return Err(Unclear::ranked_by_what(&rank.text));
                    }
                    column
                }
                RankBy::Weight(table) => self.weight(*table, &rank.text)?,
                RankBy::Quality(quality) => self.column_for(*quality, root, &rank.text, &mut down)?,
                RankBy::Measure(_) | RankBy::Unspecified => return Err(Unclear::ranked_by_what(&rank.text)),
            };
            // "who is the youngest male"
            let told = self.intent.asked.is_some() && !self.intent.filters.is_empty();
            if subject.is_none() && self.intent.columns.is_empty() && !told {
                return Err(Unclear::of_what());
            }
            self.notes.understand(
                &rank.text,
                format!(
                    "ordered by {}, {}",
                    self.schema.qualified(column),
                    if down { "highest first" } else { "lowest first" }
                ),
            );
            return Ok(Some((OrderBy::Column(column), down)));
        }
        let descending = self.intent.sort_direction.map(|direction| direction == Direction::Descending);
        match self.intent.sort.clone() {
            Some(SortBy::Column(mention)) => {
                let column = self.column(&mention)?;
                self.notes.understand(&mention.text, format!("ordered by {}", self.schema.qualified(column)));
                let down = match self.intent.sort_quality {
                    // The oldest were born first.
                    Some((direction, Quality::Age, _)) => {
                        let is_birth = self.schema.words_of(column).iter().any(|word| words::is_birth(word));
                        (direction == Direction::Descending) != (is_birth || self.schema.is_temporal(column))
                    }
                    Some((direction, ..)) => direction == Direction::Descending,
                    None => descending.unwrap_or(false),
                };
                Ok(Some((OrderBy::Column(column), down)))
            }
            Some(SortBy::Measure(_)) => Err(Unclear::of_what()),
            None => {
                // "the writers of the books in alphabetical order": the writers are, and not the titles.
                let shown = self.intent.columns.first().cloned().filter(|_| self.intent.columns_first);
                let shown = shown.filter(|_| descending.is_some()).map(|mention| self.column(&mention)).transpose()?;
                if let Some((direction, quality, text)) = self.intent.sort_quality.clone()
                    && (quality != Quality::Any || shown.is_none())
                {
                    let mut down = direction == Direction::Descending;
                    let column = match quality {
                        Quality::Any => self.weight(root, &text)?,
                        quality => self.column_for(quality, root, &text, &mut down)?,
                    };
                    self.notes.understand(&text, format!("ordered by {}", self.schema.qualified(column)));
                    return Ok(Some((OrderBy::Column(column), down)));
                }
                let named = || self.schema.label_of(root).or(self.schema.key_of(root));
                let column = descending.and(shown.or_else(named));
                Ok(column.map(|column| (OrderBy::Column(column), descending.unwrap_or(false))))
            }
        }
    }

    /// The column that "cheapest", "newest", "longest" are about.
    fn column_for(
        &mut self,
        quality: Quality,
        root: TableId,
        text: &str,
        down: &mut bool,
    ) -> Result<ColumnId, Unclear> {
        let named = |table: TableId, names: &[&str], temporal: bool| {
            self.schema.columns_of(table).find(|column| {
                let words = self.schema.words_of(*column);
                let fits = if temporal { self.schema.is_temporal(*column) } else { self.schema.is_numeric(*column) };
                fits && words.iter().any(|word| names.contains(&word.as_str()))
            })
        };
        let born = |table: TableId| named(table, &["birth", "birthday", "born", "dob"], true);
        let told = |table: TableId| named(table, quality.column_words(), false);
        // What people are: where the thing itself tells nothing, of whom it refers to. The heaviest entrepreneurs are
        // people, and the most expensive orders are not those of the most expensive product.
        let of_whom = || {
            let mut tables: Vec<(usize, TableId)> = (0..self.schema.context.tables.len())
                .filter_map(|table| Some((self.schema.path_up(root, table)?.len(), table)))
                .collect();
            tables.sort_unstable();
            tables.into_iter().find_map(|(_, table)| {
                let is_age = quality == Quality::Age;
                told(table).map(|column| (column, false)).or_else(|| Some((born(table).filter(|_| is_age)?, true)))
            })
        };
        let column = match quality {
            Quality::Price => told(root),
            // The shortest people are the least tall.
            Quality::Duration => {
                told(root).or_else(|| named(root, Quality::Height.column_words(), false).filter(|_| !*down))
            }
            Quality::Salary | Quality::Mass | Quality::Height => of_whom().map(|(column, _)| column),
            Quality::Time => self.time_of(root).or_else(|| self.schema.year_of(root)),
            Quality::Age => {
                let own = told(root).map(|column| (column, false));
                let since = || Some((born(root).or_else(|| self.time_of(root))?, true));
                let age = own.or_else(since).or_else(of_whom);
                // The oldest are those whose time is the earliest.
                *down ^= age.is_some_and(|(_, is_time)| is_time);
                age.map(|(column, _)| column)
            }
            Quality::Any | Quality::Frequency => None,
        };
        let column = column.ok_or_else(|| Unclear::ranked_by_what(text))?;
        self.notes.used(column);
        Ok(column)
    }

    /// Settles the conditions on rows, and the things of which some or none must belong.
    pub(super) fn conditions(&mut self, settled: &mut Settled) -> Result<(), Unclear> {
        let root = settled.root;
        let mut part = Vec::new();
        let base = self.intent.share_base.filter(|_| self.intent.share);
        let mut before_belongs = false;
        for (index, filter) in self.intent.filters.clone().into_iter().enumerate() {
            let is_time = matches!(filter.left, Left::Time(..));
            let column = self.left(&filter, root)?;
            let test = self.test(&filter, column)?;
            self.notes.condition(&filter.text, column, &test, filter.negated);
            if matches!(test, Test::Number(..) | Test::Between(..) | Test::Overall(..)) {
                self.notes.as_number(column);
            }
            let belongs = self.schema.path_up(root, column.table).is_none();
            let each = filter.each && !filter.negated;
            if each && self.intent.both && !belongs {
                return Err(Unclear::words(&["both".to_owned()]));
            }
            let each = each && belongs;
            if filter.or && (belongs || before_belongs || self.intent.share) {
                return Err(Unclear::words(&["or".to_owned()]));
            }
            before_belongs = belongs;
            let Filter { negated, none_at_all, or, .. } = filter;
            let condition = Condition { column, test, negated, none_at_all, or, each };
            let in_part = match (base, self.intent.share_part) {
                (Some(base), _) => index >= base,
                (None, Some(before_groups)) if !settled.dimensions.is_empty() => index < before_groups,
                (None, _) => settled.dimensions.is_empty(),
            };
            let describes_part = self.intent.share && !is_time && in_part;
            merge(if describes_part { &mut part } else { &mut settled.conditions }, condition);
        }
        if self.intent.share && settled.dimensions.is_empty() && part.is_empty() {
            return Err(Unclear::share_of_what());
        }
        settled.share_of = (!part.is_empty()).then_some(part);
        for absent in self.intent.absent.clone() {
            self.belongs(root, &absent)?;
            self.notes
                .understand(&absent.text, format!("no row of {} belongs to it", self.schema.table(absent.table).name));
            settled.absent.push(absent.table);
        }
        for subject in self.intent.subjects.clone() {
            let grouped = settled.dimensions.contains(&Dimension::Entity(subject.table));
            if subject.table == root || grouped || self.schema.path_up(root, subject.table).is_some() {
                self.notes.mentioned(&subject.text, subject.table);
                continue;
            }
            self.belongs(root, &subject)?;
            self.notes.understand(
                &subject.text,
                format!("at least one row of {} belongs to it", self.schema.table(subject.table).name),
            );
            settled.present.push(subject.table);
        }
        Ok(())
    }

    fn belongs(&self, root: TableId, subject: &Subject) -> Result<(), Unclear> {
        match self.schema.bridge(root, subject.table) {
            Some(_) => Ok(()),
            None => Err(Unclear::not_connected(&self.schema.table(root).name, &self.schema.table(subject.table).name)),
        }
    }

    fn left(&mut self, filter: &intent::Filter, root: TableId) -> Result<ColumnId, Unclear> {
        let described = |name: &str, table: TableId| Unclear::no_column(name, &self.schema.table(table).name);
        let column = match &filter.left {
            Left::Column(mention) => return self.column(mention),
            Left::Key(table) => self.schema.key_of(*table).ok_or_else(|| described("key", *table))?,
            Left::Label(table) => self.schema.label_of(*table).ok_or_else(|| described("name", *table))?,
            Left::Weight(table) => return self.weight(*table, &filter.text),
            Left::Time(Some(mention), _) => return self.column(mention),
            Left::Time(None, near) => {
                // "customers who ordered in 2025" is about the time of the orders.
                let finer = near.filter(|near| {
                    *near != root && self.schema.path_up(*near, root).is_some() && self.schema.time_of(*near).is_some()
                });
                let table = finer.unwrap_or(root);
                let year = near.and_then(|near| self.schema.year_of(near));
                let in_years = matches!(&filter.test, intent::Test::Within(range) if in_years(range).is_some());
                let is_the_year = |year: ColumnId| in_years && self.schema.words_of(year) == ["year"];
                let found = match (year, near) {
                    (Some(year), Some(near)) if is_the_year(year) || self.schema.time_of(*near).is_none() => Some(year),
                    _ => self.time_of(table).or_else(|| near.and_then(|near| self.time_of(near))),
                };
                let found = found.or_else(|| self.nearest_year(root));
                return found.ok_or_else(|| Unclear::no_time(&filter.text, &self.schema.table(root).name));
            }
        };
        self.notes.used(column);
        Ok(column)
    }

    /// The year of a table's rows, or of the nearest thing that they refer to.
    fn nearest_year(&self, root: TableId) -> Option<ColumnId> {
        let years = (0..self.schema.context.tables.len())
            .filter_map(|table| Some((self.schema.path_up(root, table)?.len(), self.schema.year_of(table)?)));
        years.min().map(|(_, year)| year)
    }

    fn test(&self, filter: &intent::Filter, column: ColumnId) -> Result<Test, Unclear> {
        let described = self.schema.column(column);
        let misfit = || Unclear::words(std::slice::from_ref(&filter.text));
        Ok(match &filter.test {
            intent::Test::Value(values) => {
                let value = values.iter().find(|(of, _)| *of == column).ok_or_else(misfit)?;
                Test::OneOf(vec![value.1.clone()])
            }
            intent::Test::Typed(text) if described.data_type == ColumnType::Text => Test::Typed(text.clone()),
            intent::Test::Typed(_) => return Err(misfit()),
            intent::Test::Number(Comparison::Equal, number) if described.data_type == ColumnType::Text => {
                Test::Typed(number.clone())
            }
            intent::Test::Number(..) | intent::Test::Between(..) | intent::Test::Overall(..)
                if !self.schema.is_numeric(column) =>
            {
                return Err(misfit());
            }
            intent::Test::Number(comparison, number) => Test::Number(*comparison, number.clone()),
            intent::Test::Overall(comparison, aggregate) => Test::Overall(*comparison, *aggregate),
            intent::Test::Between(low, high) => Test::Between(low.clone(), high.clone()),
            intent::Test::Text(kind, text) if described.data_type == ColumnType::Text => {
                Test::Text(*kind, text.clone())
            }
            intent::Test::Text(..) => return Err(misfit()),
            intent::Test::Missing => Test::Missing,
            intent::Test::True => Test::True,
            intent::Test::Within(range) if !self.schema.is_temporal(column) => {
                let test = in_years(range).ok_or_else(misfit)?;
                match (test, described.data_type) {
                    (Test::Number(Comparison::Equal, year), ColumnType::Text) => Test::Typed(year),
                    (_, ColumnType::Text) if !self.schema.holds_years_as_text(column) => return Err(misfit()),
                    (test, _) => test,
                }
            }
            intent::Test::Within(range) => Test::Within(*range),
        })
    }
}

/// Whole years as numbers; `None` where a range begins or ends within one.
fn in_years(range: &TimeRange) -> Option<Test> {
    let year =
        |moment: NaiveDateTime| (moment.ordinal() == 1 && moment.time() == NaiveTime::MIN).then(|| moment.year());
    let from = range.from.map(year);
    let to = range.to.map(year);
    Some(match (from, to) {
        (Some(from), Some(to)) => match (from?, to? - 1) {
            (from, last) if from == last => Test::Number(Comparison::Equal, from.to_string()),
            (from, last) => Test::Between(from.to_string(), last.to_string()),
        },
        (Some(from), None) => Test::Number(Comparison::GreaterOrEqual, from?.to_string()),
        (None, Some(to)) => Test::Number(Comparison::Less, to?.to_string()),
        (None, None) => return None,
    })
}

/// Two values of one column are alternatives: "pending or paid", and also "EU and US".
fn merge(conditions: &mut Vec<Condition>, condition: Condition) {
    if let Test::OneOf(values) = &condition.test {
        // Of "from EU or over 900 that are from US" the first does not take what comes behind the second.
        let is_first: Vec<bool> = conditions.iter().skip(1).map(|next| next.or).chain([false]).collect();
        for (known, is_first) in conditions.iter_mut().zip(is_first) {
            if !is_first
                && known.column == condition.column
                && known.negated == condition.negated
                && !known.each
                && !condition.each
                && !condition.or
                && let Test::OneOf(more) = &mut known.test
            {
                more.extend(values.iter().filter(|value| !more.contains(value)).cloned().collect::<Vec<_>>());
                return;
            }
        }
    }
    conditions.push(condition);
}
