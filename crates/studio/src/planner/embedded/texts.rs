//! The part of the reading that concerns parts of texts: "names that contain 'CV'", "a song with 'Hey' in its title".

use super::compose::Composer;
use super::cue::{Cue, Match};
use super::intent::{Mention, Test};
use super::link::Meaning;
use super::schema::ColumnId;
use crate::planner::{ColumnType, quote};

impl Composer<'_> {
    /// "names of documents that contain 'CV'": the column named last. "Customers including their orders" compares nothing.
    pub(super) fn matches(&mut self, kind: Match, here: usize) {
        if self.is_spelled(here) {
            return self.spelled(kind, here);
        }
        let raw = self.skip_noise(self.at);
        let is_text = |column: &ColumnId| self.schema.column(*column).data_type == ColumnType::Text;
        let named = self.intent.columns.last().filter(|last| last.columns.iter().all(is_text)).cloned();
        let said = self.links.get(raw).and_then(|link| quote::quoted(&link.text)).map(|(_, inside)| inside.to_owned());
        match (named, said) {
            // "which papers have the word 'ML' in their titles"
            _ if kind == Match::Contains && self.is_within_a_column(raw) => {}
            // "contain the letter w in their description": a part of a text, though some are just that.
            (None, None) if kind == Match::Contains && self.is_a_mere_value(raw) => {
                let text = self.text(raw, raw + 1);
                if !self.within_a_column(raw, text) {
                    self.leave(here);
                }
            }
            (Some(mention), Some(text)) => {
                self.text_match(&mention, Test::Text(kind, text), false, here, raw);
            }
            _ if self.noun(raw).is_none() && !self.is_counted(raw) => self.leave(here),
            _ => {}
        }
    }

    /// "the region that contains the most cities", "departments that include at least 3 employees": things, no text.
    pub(super) fn is_counted(&self, at: usize) -> bool {
        matches!(self.cue(at), Some(Cue::Superlative(..) | Cue::Compare(_) | Cue::Count))
    }

    /// What follows is text, whatever else it means.
    pub(super) fn is_spelled(&self, here: usize) -> bool {
        let Some(link) = self.links.get(here) else { return false };
        let said = link.text.to_lowercase();
        ["letter", "word", "substring"].iter().any(|kind| said.ends_with(kind))
    }

    /// "with the letter a in their names", "names that contain the word the"
    pub(super) fn spelled(&mut self, kind: Match, here: usize) {
        let raw = self.at;
        let text = self.text(raw, raw + 1);
        let text = quote::quoted(&text).map_or(text.as_str(), |(_, inside)| inside).to_owned();
        let is_text = |column: &ColumnId| self.schema.column(*column).data_type == ColumnType::Text;
        let named = self.intent.columns.last().filter(|last| last.columns.iter().all(is_text)).cloned();
        if kind == Match::Contains && self.within_a_column(raw, text.clone()) {
            return;
        }
        match named.filter(|_| !text.is_empty()) {
            Some(mention) => {
                self.text_match(&mention, Test::Text(kind, text), false, here, raw);
            }
            None => self.leave(here),
        }
    }

    /// "a song with 'Hey' in its title": a part of the text of the column behind it.
    pub(super) fn is_within_a_column(&mut self, here: usize) -> bool {
        let text = match self.meaning(here) {
            Some(Meaning::Quoted(text)) => text.clone(),
            // Some text is just that.
            Some(Meaning::Noun(_)) if self.is_a_mere_value(here) => match quote::quoted(&self.text(here, here + 1)) {
                Some((_, inside)) => inside.to_owned(),
                None => return false,
            },
            _ => return false,
        };
        self.within_a_column(here, text)
    }

    fn is_a_mere_value(&self, at: usize) -> bool {
        self.noun(at).is_some_and(|noun| noun.table.is_none() && noun.columns.is_empty() && !noun.values.is_empty())
    }

    fn within_a_column(&mut self, here: usize, text: String) -> bool {
        let said = |at: usize| self.links.get(at).map(|link| link.text.to_lowercase()).unwrap_or_default();
        let of = self.skip_noise(here + 1);
        let is_in = said(here + 1) == "in" && of > here + 1 && said(of - 1) != "in";
        let is_text = |column: &ColumnId| self.schema.column(*column).data_type == ColumnType::Text;
        let Some(mut mention) = self.mention(of).filter(|_| is_in) else { return false };
        // "publishers with 'Ann' in their names": the publisher is its name.
        if matches!(said(of).as_str(), "name" | "names" | "title" | "titles")
            && let Some(last) = self.intent.columns.last().filter(|last| last.columns.iter().all(is_text)).cloned()
        {
            if self.intent.columns.len() > 1 {
                self.intent.columns.pop();
            }
            mention = last;
        }
        if mention.columns.is_empty() || !mention.columns.iter().all(is_text) {
            return false;
        }
        self.text_match(&mention, Test::Text(Match::Contains, text), false, here, of)
    }

    pub(super) fn text_match(&mut self, mention: &Mention, test: Test, negated: bool, here: usize, raw: usize) -> bool {
        // "which names contain …" asks for them.
        if self.intent.others() == 0 && self.intent.filters.is_empty() {
            self.show(mention.clone());
        }
        self.at = raw + 1;
        let text = self.text(here, self.at);
        let negated = self.negated_now() || negated;
        self.filter(mention.clone(), test, negated, text);
        true
    }
}
