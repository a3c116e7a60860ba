//! The nearest questions that do work: a misspelled word put right, and questions of usual shapes
//! over the tables that the question seems to be about. Each suggestion is planned before it is
//! offered.

use std::collections::BTreeSet;

use super::schema::{ColumnId, Schema, TableId};
use super::token::{self, Kind};
use super::{LONGEST_QUESTION, attempt, cue, words};
use crate::planner::ColumnType;

/// How many suggestions are offered.
const OFFERED: usize = 3;

/// How many candidates are planned at most.
const TRIED: usize = 40;

/// Of how many tables questions are made at most.
const TABLES: usize = 6;

/// Of how many words of the schema a spelling is looked for at most.
const MOST_WORDS: usize = 20_000;

/// Below this two words are no spelling of one another.
const ALIKE: f64 = 0.86;

/// The nearest questions to one that was not understood, best first.
pub(super) fn nearest(question: &str, schema: &Schema<'_>, unknown: &[String]) -> Vec<String> {
    offer(question, schema, unknown, shapes_with_values)
}

/// The nearest questions to one that was understood, with no value of the data in them.
pub(super) fn following(question: &str, schema: &Schema<'_>) -> Vec<String> {
    offer(question, schema, &[], shapes)
}

fn offer(
    question: &str,
    schema: &Schema<'_>,
    unknown: &[String],
    shapes: impl Fn(&Schema<'_>, TableId) -> Vec<String>,
) -> Vec<String> {
    let question: String = question.chars().take(LONGEST_QUESTION / 4).collect();
    let mut candidates: Vec<String> = respelled(&question, schema, unknown).into_iter().collect();
    let spelled = candidates.len();
    let asked = roots(&question);
    let tables = tables_near(schema, &asked);
    candidates.extend(unknown.first().into_iter().flat_map(|word| {
        let near = tables.iter().filter(|table| asked.iter().any(|root| names(schema, **table, root)));
        near.take(1).flat_map(|table| named(schema, *table, word)).collect::<Vec<_>>()
    }));
    let spelled = candidates.len().max(spelled);
    // What is shared with the question counts twice; what it does not have counts against, unless
    // it only says what to do.
    let distance = |candidate: &String| {
        let words = roots(candidate);
        let shared = words.intersection(&asked).count();
        let extra = words.difference(&asked).filter(|word| cue::cue(word).is_none()).count();
        if shared == 0 { 100 } else { (100 + extra).saturating_sub(2 * shared) }
    };
    let shaped = tables.iter().flat_map(|table| shapes(schema, *table)).enumerate();
    let mut shaped: Vec<(usize, usize, String)> =
        shaped.map(|(order, candidate)| (distance(&candidate), order, candidate)).collect();
    shaped.sort();
    candidates.extend(shaped.into_iter().map(|(.., candidate)| candidate));
    candidates.truncate(TRIED + spelled);
    let mut offered: Vec<String> = Vec::new();
    for candidate in candidates {
        if offered.len() == OFFERED {
            break;
        }
        if !offered.contains(&candidate) && candidate != question && attempt(&candidate, schema).is_ok() {
            offered.push(candidate);
        }
    }
    offered
}

fn roots(text: &str) -> BTreeSet<String> {
    token::tokenize(text)
        .into_iter()
        .filter(|token| token.kind == Kind::Word && token.lower != "the")
        .map(|token| token.root)
        .collect()
}

/// The question with each unknown word replaced by the most similar word of the schema.
fn respelled(question: &str, schema: &Schema<'_>, unknown: &[String]) -> Option<String> {
    if unknown.is_empty() || unknown.len() > 3 {
        return None;
    }
    let mut respelled = question.to_owned();
    for word in unknown {
        let lower = word.to_lowercase();
        let similar = vocabulary(schema)
            .into_iter()
            .map(|known| (strsim::jaro_winkler(&lower, &known), known))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .max_by(|(one, one_word), (other, other_word)| one.total_cmp(other).then(other_word.cmp(one_word)))?;
        respelled = respelled.replacen(word, &similar.1, 1);
    }
    Some(respelled)
}

fn vocabulary(schema: &Schema<'_>) -> BTreeSet<String> {
    let cues = ["average", "total", "number", "percentage", "month", "highest", "lowest"].into_iter();
    let tables = schema.context.tables.iter().flat_map(|table| words::name_words(&table.name));
    let columns = schema
        .context
        .tables
        .iter()
        .flat_map(|table| table.columns.iter())
        .flat_map(|column| words::name_words(&column.name));
    let values = schema.values.iter().flat_map(|value| value.words.iter().cloned());
    let known = tables.chain(columns).chain(values).filter(|word| word.chars().count() > 2);
    known.take(MOST_WORDS).chain(cues.chain(words::with_synonyms()).map(str::to_owned)).collect()
}

/// The tables whose names, columns or values share most words with the question.
fn tables_near(schema: &Schema<'_>, asked: &BTreeSet<String>) -> Vec<TableId> {
    let shares = |name: &str| words::name_words(name).iter().any(|word| asked.contains(&words::root(word)));
    let mut tables: Vec<(usize, TableId)> = (0..schema.context.tables.len())
        .map(|table| {
            let described = schema.table(table);
            let own = usize::from(shares(&described.name)) * 4;
            let columns = described.columns.iter().filter(|column| shares(&column.name)).count();
            let children = schema.edges.iter().filter(|edge| edge.from.table == table).count();
            (usize::MAX - (own + columns) * 8 - children.min(7), table)
        })
        .collect();
    tables.sort_unstable();
    tables.into_iter().take(TABLES).map(|(_, table)| table).collect()
}

fn names(schema: &Schema<'_>, table: TableId, root: &str) -> bool {
    words::name_words(&schema.table(table).name).iter().any(|word| words::root(word) == root)
}

/// The unknown word as a value of the columns that can hold a name.
fn named(schema: &Schema<'_>, table: TableId, word: &str) -> Vec<String> {
    if !word.starts_with(char::is_uppercase) {
        return Vec::new();
    }
    let rows = schema.spoken(table);
    let described = |column: &ColumnId| schema.column(*column);
    schema
        .columns_of(table)
        .filter(|column| described(column).data_type == ColumnType::Text && !described(column).masked)
        .filter(|column| !described(column).has_few_values() && !schema.is_temporal(*column))
        .take(OFFERED - 1)
        .map(|column| format!("{rows} whose {} is {word}", words::name_words(&described(&column).name).join(" ")))
        .collect()
}

/// Questions of usual shapes about one table.
fn shapes(schema: &Schema<'_>, table: TableId) -> Vec<String> {
    let rows = schema.spoken(table);
    let label = |column: ColumnId| words::name_words(&schema.column(column).name).join(" ");
    let texts: Vec<ColumnId> = texts_of(schema, table).collect();
    let mut shapes = vec![format!("how many {rows}")];
    shapes.extend(texts.iter().map(|column| format!("how many {rows} by {}", label(*column))));
    shapes.extend(texts.iter().map(|column| format!("top 5 {} by number of {rows}", words::plural(&label(*column)))));
    if schema.time_of(table).is_some() {
        shapes.push(format!("number of {rows} by month"));
        shapes.push(format!("how many {rows} last month"));
    }
    let parents: Vec<String> = schema
        .edges
        .iter()
        .filter(|edge| edge.from.table == table && edge.to.table != table)
        .map(|edge| schema.spoken(edge.to.table))
        .take(3)
        .collect();
    for parent in &parents {
        shapes.push(format!("top 5 {parent} by number of {rows}"));
        shapes.push(format!("{parent} with more than 10 {rows}"));
    }
    if let Some(number) = schema.telling_number_of(table) {
        let additive = words::is_additive(&schema.words_of(number));
        let aggregate = if additive { "total" } else { "average" };
        let number = label(number);
        shapes.push(format!("{aggregate} {number} of {rows}"));
        shapes.extend(texts.iter().map(|column| format!("{aggregate} {number} by {}", label(*column))));
        shapes.extend(parents.iter().map(|parent| format!("top 5 {parent} by {aggregate} {number}")));
    }
    shapes.push(format!("show all {rows}"));
    shapes
}

/// The same, and rows with a value that is there.
fn shapes_with_values(schema: &Schema<'_>, table: TableId) -> Vec<String> {
    let mut shapes = shapes(schema, table);
    let everything = shapes.pop();
    let rows = schema.spoken(table);
    let values = texts_of(schema, table).filter_map(|column| {
        let described = schema.column(column);
        let value = described.sample_values.first().filter(|_| described.has_few_values())?;
        Some(format!("{rows} with {} {value}", words::name_words(&described.name).join(" ")))
    });
    shapes.extend(values);
    shapes.extend(everything);
    shapes
}

/// The first columns that have a vocabulary.
fn texts_of(schema: &Schema<'_>, table: TableId) -> impl Iterator<Item = ColumnId> {
    schema
        .columns_of(table)
        .filter(move |column| {
            let described = schema.column(*column);
            described.data_type == ColumnType::Text && described.has_few_values()
        })
        .take(3)
}
