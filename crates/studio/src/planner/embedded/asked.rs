//! What a question asks for by its first word alone: "where is …" its place, "when was …" its time, "who is …" a name.

use super::intent::Asked;
use super::schema::{ColumnId, TableId};
use super::settle::Settler;
use crate::planner::ColumnType;

impl Settler<'_> {
    /// The columns of the thing that the question asks for without naming them; none where it asks for all of it.
    pub(super) fn told_by_the_question(&mut self, thing: TableId) -> Vec<ColumnId> {
        let Some((asked, text)) = self.intent.asked.clone() else { return Vec::new() };
        let columns = match asked {
            Asked::Place => self.place_of(thing).into_iter().collect(),
            Asked::Time => self.time_of(thing).or_else(|| self.schema.year_of(thing)).into_iter().collect(),
            Asked::Person => self.name_of(thing),
        };
        for column in &columns {
            self.notes.understand(&text, self.schema.qualified(*column));
            self.notes.used(*column);
        }
        columns
    }

    /// The one column that tells where things are.
    fn place_of(&self, thing: TableId) -> Option<ColumnId> {
        let one = |words: &[&str]| {
            let tells = |column: &ColumnId| {
                let is_text = self.schema.column(*column).data_type == ColumnType::Text;
                is_text && self.schema.words_of(*column).iter().any(|word| words.contains(&word.as_str()))
            };
            let mut found = self.schema.columns_of(thing).filter(tells);
            found.next().filter(|_| found.next().is_none())
        };
        one(&["location", "address", "hometown", "headquarter", "place"]).or_else(|| one(&["city", "town"]))
    }

    /// What a person is called: where the label is the last name, the first name too.
    pub(super) fn name_of(&self, thing: TableId) -> Vec<ColumnId> {
        let Some(label) = self.schema.label_of(thing) else { return Vec::new() };
        let is_last = self.schema.words_of(label).iter().any(|word| word == "last");
        let is_first = |column: &ColumnId| self.schema.words_of(*column) == ["first", "name"];
        let first = self.schema.columns_of(thing).find(is_first).filter(|_| is_last);
        first.into_iter().chain([label]).collect()
    }
}
