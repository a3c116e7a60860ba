//! Links the words of the question to what they can mean: expressions of time, cues, and the
//! names and values of the schema. At each place the longest phrase wins; what is linked to
//! nothing stays [`Meaning::Unknown`].

use super::calendar::{self, Grain, Standing, TimeRange};
use super::cue::{self, Aggregate, Cue};
use super::fit::{best, best_of_each_table, fit, is_inflected};
use super::schema::{self, ColumnId, Schema, TableId};
use super::token::{self, Kind, Token};
use super::words;

/// A phrase of the question and what it can mean.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// As it was asked.
    pub(super) text: String,
    pub(super) meaning: Meaning,
}

#[derive(Debug, Clone)]
pub(super) enum Meaning {
    Cue(Cue),
    Time(TimeRange),
    Number(String),
    Quoted(String),
    Noun(Noun),
    /// The one of the layer's at this position.
    Metric(usize),
    Pause,
    Unknown,
}

/// Everything in the schema that a phrase can name.
#[derive(Debug, Clone, Default)]
pub(super) struct Noun {
    /// The best table, with its score.
    pub(super) table: Option<(TableId, f64)>,
    /// All tables of that score, where there are more than one.
    pub(super) rivals: Vec<TableId>,
    /// The columns with the best score, in the order of the schema.
    pub(super) columns: Vec<ColumnId>,
    pub(super) column_score: f64,
    /// The best column of each other table, with what it is worth: in "names of regions" it is theirs, though another thing's
    /// column is called just so.
    pub(super) weaker: Vec<(ColumnId, f64)>,
    /// Columns that have the phrase as a value, with the value as it is stored.
    pub(super) values: Vec<(ColumnId, String)>,
    /// The table was named together with the column: "customer region".
    pub(super) qualified: bool,
    /// The phrase is a word for a sum: "revenue".
    pub(super) summed: bool,
    pub(super) plural: bool,
}

impl Noun {
    fn is_empty(&self) -> bool {
        self.table.is_none() && self.columns.is_empty() && self.values.is_empty()
    }

    /// How well the phrase fits its best meaning.
    pub(super) fn score(&self) -> f64 {
        let table = self.table.map_or(0.0, |(_, score)| score);
        let value = if self.values.is_empty() { 0.0 } else { 0.95 };
        table.max(self.column_score).max(value)
    }
}

/// The most words that a name or value of the schema is matched with.
const LONGEST_NAME: usize = 6;

pub(super) struct Linker<'a> {
    pub(super) schema: &'a Schema<'a>,
    pub(super) question: &'a str,
    pub(super) tokens: &'a [Token],
}

impl Linker<'_> {
    /// Links the whole question.
    pub(super) fn links(&self) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if let Some([first, last]) = self.full_name(at) {
                let text = self.text(at, 2).to_owned();
                let link = |meaning| Link { text: text.clone(), meaning };
                links.extend([Meaning::Noun(first), Meaning::Cue(Cue::And), Meaning::Noun(last)].map(link));
                at += 2;
                continue;
            }
            if let Some((length, parts)) = self.of_roles(at) {
                let text = self.text(at, length).to_owned();
                for (position, part) in parts.into_iter().enumerate() {
                    let and = Link { text: "and".to_owned(), meaning: Meaning::Cue(Cue::And) };
                    links.extend((position > 0).then_some(and));
                    links.push(Link { text: text.clone(), meaning: Meaning::Noun(part) });
                }
                at += length;
                continue;
            }
            if let Some((length, noun)) = self.superlative_within(at) {
                links.push(Link { text: self.text(at, length).to_owned(), meaning: Meaning::Noun(noun) });
                at += length;
                continue;
            }
            let (length, meaning) = match self.shared_head(at) {
                Some(noun) => (1, Meaning::Noun(noun)),
                None => self.link_at(at, &links),
            };
            if matches!(meaning, Meaning::Unknown)
                && let Some(flag) = self.denied_flag(at)
            {
                let text = self.text(at, 1).to_owned();
                links.push(Link { text: text.clone(), meaning: Meaning::Cue(Cue::Not) });
                links.push(Link { text, meaning: Meaning::Noun(flag) });
                at += 1;
                continue;
            }
            let text = self.text(at, length).to_owned();
            links.push(Link { text, meaning });
            at += length;
        }
        links
    }

    /// "full name", where there is no such column: the first name and the last.
    fn full_name(&self, at: usize) -> Option<[Noun; 2]> {
        let [full, name] = self.tokens.get(at..at + 2)? else { return None };
        if full.lower != "full" || name.singular != "name" || self.noun(&self.tokens[at..at + 2]).score() >= 0.9 {
            return None;
        }
        let part = |which: &str| self.noun(&token::tokenize(&format!("{which} name")));
        let (mut first, mut last) = (part("first"), part("last"));
        let tables = |noun: &Noun| noun.columns.iter().map(|column| column.table).collect::<Vec<TableId>>();
        let (firsts, lasts) = (tables(&first), tables(&last));
        first.columns.retain(|column| lasts.contains(&column.table));
        last.columns.retain(|column| firsts.contains(&column.table));
        let is_name = |noun: &Noun| noun.column_score >= 0.8 && noun.table.is_none() && !noun.columns.is_empty();
        (is_name(&first) && is_name(&last)).then_some([first, last])
    }

    /// "first" in "first and last names", "first" and "middle" in "first, middle and last name": the head stands once.
    fn shared_head(&self, at: usize) -> Option<Noun> {
        let here = self.tokens.get(at).filter(|token| token.kind == Kind::Word)?;
        let is_link = |token: &Token| token.kind == Kind::Pause || token.lower == "and";
        let mut next = at + 1;
        let mut linked = false;
        while next < self.tokens.len() && next <= at + LONGEST_NAME {
            if is_link(&self.tokens[next]) {
                linked = true;
                next += 1;
                continue;
            }
            if !linked || self.tokens[next].kind != Kind::Word {
                return None;
            }
            let head = self.tokens.get(next + 1).filter(|token| token.kind == Kind::Word);
            if let Some(head) = head.filter(|head| !is_link(head)) {
                let named = |word: &Token| self.noun(&[word.clone(), head.clone()]);
                let own = named(here);
                let is_column = |noun: &Noun| noun.column_score >= 0.85 && noun.table.is_none();
                let stands_alone = self.noun(std::slice::from_ref(here)).score() >= 0.9;
                return (is_column(&own) && is_column(&named(&self.tokens[next])) && !stands_alone).then_some(own);
            }
            next += 1;
            linked = false;
        }
        None
    }

    /// "the rank of the winner" for `winner_rank`, "ages of losers and winners" for two columns: whose it is stands in
    /// the name of the column, where no table is called so.
    fn of_roles(&self, at: usize) -> Option<(usize, Vec<Noun>)> {
        let is_word = |at: usize| self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word);
        let said = |at: usize| self.tokens.get(at).map(|token| token.lower.as_str()).unwrap_or_default();
        let behind = |at: usize| at + usize::from(matches!(said(at), "the" | "all" | "each" | "every"));
        (1..=2).rev().find_map(|length| {
            let of = at + length;
            if said(of) != "of" || !(at..of).all(|at| is_word(at) && cue::cue(said(at)).is_none()) {
                return None;
            }
            let role = |at: usize| {
                let role = self.tokens.get(at).filter(|token| token.kind == Kind::Word)?;
                // Who others refer to in a role ("winners" are players) is told apart by it.
                let is_called = |table: TableId| words::name_words(&self.schema.table(table).name);
                let is_thing = self.noun(std::slice::from_ref(role)).table.is_some_and(|(table, score)| {
                    score > 0.7 || is_called(table).iter().any(|word| words::singular(word) == role.singular)
                });
                let words: Vec<Token> = std::iter::once(role).chain(&self.tokens[of - length..of]).cloned().collect();
                let noun = self.noun(&words);
                let is_key = noun.columns.iter().any(|column| self.schema.is_key_like(*column));
                let is_column = noun.column_score >= 0.9 && noun.table.is_none() && !noun.qualified && !is_key;
                (is_column && !is_thing).then_some(noun)
            };
            let mut last = behind(of + 1);
            let mut parts = vec![role(last)?];
            while said(last + 1) == "and"
                && let Some(part) = role(behind(last + 2))
            {
                last = behind(last + 2);
                parts.push(part);
            }
            Some((last + 1 - at, parts))
        })
    }

    /// "the latest logon date", "the date of the latest logon" for `date_of_latest_logon`: the superlative is a part of the
    /// name, in whatever order its words stand.
    fn superlative_within(&self, at: usize) -> Option<(usize, Noun)> {
        if self.schema.superlatives.is_empty() {
            return None;
        }
        let mut said: Vec<&str> = Vec::new();
        for (length, token) in self.tokens[at..].iter().enumerate().take(LONGEST_NAME + 2) {
            match token.kind {
                Kind::Word if schema::is_small(&token.lower) && !said.is_empty() => continue,
                Kind::Word => said.push(&token.singular),
                _ => return None,
            }
            let is_it = |words: &[String]| {
                words.len() > 1 && words.len() == said.len() && words.iter().all(|word| said.contains(&word.as_str()))
            };
            let called = self.schema.superlatives.iter().filter(|(_, words)| is_it(words));
            let columns: Vec<ColumnId> = called.map(|(column, _)| *column).collect();
            if !columns.is_empty() {
                let is_plural = |token: &Token| token.lower != token.singular;
                let plural = is_plural(token) || is_plural(&self.tokens[at]);
                return Some((length + 1, Noun { columns, column_score: 1.0, plural, ..Noun::default() }));
            }
        }
        None
    }

    fn text(&self, at: usize, length: usize) -> &str {
        let from = self.tokens[at].span.0;
        let to = self.tokens[at + length - 1].span.1;
        self.question.get(from..to).unwrap_or_default()
    }

    /// "how old" asks for the age.
    fn how(&self, at: usize) -> Option<Noun> {
        let [how, quality] = self.tokens.get(at..at + 2)? else { return None };
        let column = match quality.lower.as_str() {
            "old" => "age",
            "tall" | "high" => "height",
            "heavy" => "weight",
            "expensive" => "price",
            "long" => "length",
            _ => return None,
        };
        let noun = self.noun(&token::tokenize(column));
        (how.lower == "how" && !noun.columns.is_empty() && noun.table.is_none()).then_some(noun)
    }

    fn link_at(&self, at: usize, before: &[Link]) -> (usize, Meaning) {
        let token = &self.tokens[at];
        if let Some(noun) = self.how(at) {
            return (2, Meaning::Noun(noun));
        }
        match &token.kind {
            Kind::Pause => return (1, Meaning::Pause),
            Kind::Sign(sign) => return (1, Meaning::Cue(Cue::Compare(cue::Comparison::of_sign(sign)))),
            _ => {}
        }
        let standing = self.standing(at, before);
        let time = calendar::time_at(&self.tokens[at..], self.schema.context.now, standing);
        let cue = self.cue_at(at);
        let noun = self.noun_at(at);
        if let Some((length, metric)) = self.metric_at(at)
            && time.as_ref().is_none_or(|(time_length, _)| length >= *time_length)
            && noun.as_ref().is_none_or(|(noun_length, _)| length >= *noun_length)
        {
            return (length, Meaning::Metric(metric));
        }
        if let Some((length, range)) = time
            && noun.as_ref().is_none_or(|(noun_length, _)| length >= *noun_length)
        {
            return (length, Meaning::Time(range));
        }
        match (&token.kind, cue, noun) {
            // "Show the orchestras" asks, though a table is called so.
            (_, Some((1, Cue::Noise)), Some((1, _))) if self.is_command(at) => (1, Meaning::Cue(Cue::Noise)),
            (_, _, Some((1, _))) if self.is_order(at) => (1, Meaning::Cue(Cue::Sort)),
            (_, Some((cue_length, cue)), Some((noun_length, noun))) => {
                let named = noun.score() >= 1.0 && cue.yields_to_a_name() && self.not_small(at, cue_length);
                let wins = noun_length > cue_length && (noun.score() > 0.8 || cue == Cue::Noise);
                // "the share of performances" where they have a share.
                let is_share = cue == Cue::Share && noun.score() >= 1.0 && self.text(at, cue_length).ends_with(" of");
                let wins = wins || (is_share && noun_length + 1 == cue_length);
                let wins = wins || (cue == Cue::Noise && self.is_value_of_the_last(&noun, before));
                let wins = wins || (cue == Cue::Grain(Grain::Year) && self.is_year_of_things(&noun));
                if wins || (noun_length == cue_length && named) || self.is_spelled_value(at, &noun) {
                    (noun_length, Meaning::Noun(noun))
                } else {
                    (cue_length, Meaning::Cue(cue))
                }
            }
            // "in the US" is no "us".
            (_, Some((1, Cue::Noise)), None) if self.is_capitals(at) => (1, Meaning::Unknown),
            (_, Some((length, cue)), None) => (length, Meaning::Cue(cue)),
            (_, None, Some((length, noun))) => (length, Meaning::Noun(noun)),
            (Kind::Number(number), None, None) => (1, Meaning::Number(number.clone())),
            (Kind::Quoted(text), None, None) => (1, Meaning::Quoted(text.clone())),
            (_, None, None) if self.is_order(at) => (1, Meaning::Cue(Cue::Sort)),
            (_, None, None) if self.is_rare_command(at) => (1, Meaning::Cue(Cue::Noise)),
            (_, None, None) if self.is_origin(at, before) => (1, Meaning::Cue(Cue::Noise)),
            (_, None, None) if self.is_pronoun(at, before) => (1, Meaning::Cue(Cue::Noise)),
            (_, None, None) => match token::small_number(&token.lower) {
                Some(number) => (1, Meaning::Number(number.to_string())),
                None => (1, Meaning::Unknown),
            },
        }
    }

    /// "the status code done": behind the name of its column it is a value, as small as it is.
    fn is_value_of_the_last(&self, noun: &Noun, before: &[Link]) -> bool {
        let Some(Link { meaning: Meaning::Noun(last), .. }) = before.last() else { return false };
        let is_column = last.table.is_none() && last.values.is_empty() && !last.plural;
        is_column && noun.values.iter().any(|(column, _)| last.columns.contains(column))
    }

    /// The year is a column, of things of which nothing tells the day.
    fn is_year_of_things(&self, noun: &Noun) -> bool {
        let is_year = |column: &ColumnId| self.schema.year_of(column.table) == Some(*column);
        let has_days = |table: TableId| self.schema.time_of(table).is_some();
        noun.table.is_none()
            && !noun.columns.is_empty()
            && noun.columns.iter().all(is_year)
            && (0..self.schema.context.tables.len()).all(|table| !has_days(table))
    }

    /// "inactive", "unpaid": the denial of a flag.
    fn denied_flag(&self, at: usize) -> Option<Noun> {
        let lower = &self.tokens[at].lower;
        let stem = ["in", "un", "non"].iter().find_map(|prefix| lower.strip_prefix(prefix))?;
        let tokens = token::tokenize(stem);
        if tokens.is_empty() {
            return None;
        }
        let noun = self.noun(&tokens);
        let is_flag = |column: &ColumnId| self.schema.column(*column).data_type == crate::planner::ColumnType::Boolean;
        (!noun.columns.is_empty() && noun.columns.iter().all(is_flag) && noun.values.is_empty()).then_some(noun)
    }

    /// The verb with which a sentence begins that asks to see something.
    fn is_command(&self, at: usize) -> bool {
        let polite = |before: usize| matches!(self.tokens[before].lower.as_str(), "please" | "you" | "kindly");
        let begins = at.checked_sub(1).is_none_or(|before| self.tokens[before].kind == Kind::Pause || polite(before));
        let verb = matches!(self.tokens[at].lower.as_str(), "show" | "list" | "display" | "report" | "return" | "find");
        begins && verb && self.goes_on(at)
    }

    /// "Order the members by age" asks for an order, though others buy and sell.
    fn is_order(&self, at: usize) -> bool {
        let begins = at.checked_sub(1).is_none_or(|before| self.tokens[before].kind == Kind::Pause);
        let goes_on = self.tokens.get(at + 1).is_some_and(|next| matches!(next.lower.as_str(), "the" | "all"));
        let is_by = |token: &Token| token.lower == "by";
        begins && goes_on && self.tokens[at].lower == "order" && self.tokens[at..].iter().any(is_by)
    }

    /// One that asks nowhere else.
    fn is_rare_command(&self, at: usize) -> bool {
        let verb = matches!(
            self.tokens[at].lower.as_str(),
            "provide" | "select" | "retrieve" | "present" | "identify" | "determine" | "output" | "enumerate"
        );
        // "SELECT … FROM" is no question.
        at == 0 && verb && self.goes_on(at) && self.tokens[at + 1].lower != "from"
    }

    /// "the one with the highest price", "for each one", "the youngest one": what was named before, and no number.
    fn is_pronoun(&self, at: usize, before: &[Link]) -> bool {
        let Some(previous) = at.checked_sub(1).map(|previous| self.tokens[previous].lower.as_str()) else {
            return false;
        };
        let ranked = matches!(before.last().map(|link| &link.meaning), Some(Meaning::Cue(Cue::Superlative(..))));
        let is_one = matches!(self.tokens[at].lower.as_str(), "one" | "ones");
        is_one && (ranked || matches!(previous, "the" | "each" | "every" | "this" | "that" | "which"))
    }

    /// "the country of origin" for `country`: the words add nothing to the column before them.
    fn is_origin(&self, at: usize, before: &[Link]) -> bool {
        let [.., Link { meaning: Meaning::Noun(noun), .. }, Link { meaning: Meaning::Cue(Cue::Of), .. }] = before
        else {
            return false;
        };
        let is_text = |column: &ColumnId| self.schema.column(*column).data_type == crate::planner::ColumnType::Text;
        self.tokens[at].singular == "origin" && noun.table.is_none() && noun.columns.iter().all(is_text)
    }

    fn goes_on(&self, at: usize) -> bool {
        self.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Word)
    }

    /// Words as small as "a" name nothing, whatever the schema calls its columns.
    fn not_small(&self, at: usize, length: usize) -> bool {
        length > 1 || self.tokens[at].lower.chars().count() > 2
    }

    /// Two letters in capitals in a question that is not written in them throughout.
    fn is_capitals(&self, at: usize) -> bool {
        let spelled = self.text(at, 1);
        matches!(spelled, "US" | "IT") && self.question.chars().any(char::is_lowercase)
    }

    /// "US" and "IT" in capitals are values, "us" and "it" are not.
    fn is_spelled_value(&self, at: usize, noun: &Noun) -> bool {
        let spelled = self.text(at, 1);
        noun.values.iter().any(|(_, value)| value == spelled)
            && spelled.chars().all(char::is_uppercase)
            && spelled.chars().count() > 1
    }

    /// Whether a bare number at `at` can be a year.
    fn standing(&self, at: usize, before: &[Link]) -> Standing {
        let is_number = |column: &ColumnId| self.schema.is_numeric(*column);
        let measures = |noun: &Noun| {
            noun.table.is_none_or(|(_, score)| score <= noun.column_score) && noun.columns.iter().any(is_number)
        };
        let previous = before.iter().rev().find(|link| !matches!(link.meaning, Meaning::Cue(Cue::Is | Cue::Noise)));
        let after_number_noun =
            matches!(previous, Some(Link { meaning: Meaning::Noun(noun), .. }) if measures(noun) && !noun.summed);
        let bare_year = match before.last() {
            None => self.tokens.len() > at + 1,
            Some(Link { meaning: Meaning::Noun(noun), .. }) => !measures(noun) || noun.summed,
            Some(Link { meaning: Meaning::Pause | Meaning::Time(_) | Meaning::Metric(_), .. }) => true,
            Some(_) => false,
        };
        Standing { bare_year, after_number_noun }
    }

    fn cue_at(&self, at: usize) -> Option<(usize, Cue)> {
        let (length, cue) = self.phrase_at(at)?;
        // "the most common": the longer phrase begins behind the article.
        let goes_on = length > 1
            && self.tokens[at].lower == "the"
            && self.phrase_at(at + 1).is_some_and(|(behind, _)| behind >= length);
        Some(if goes_on { (1, Cue::Noise) } else { (length, cue) })
    }

    fn phrase_at(&self, at: usize) -> Option<(usize, Cue)> {
        (1..=cue::LONGEST_PHRASE.min(self.tokens.len() - at)).rev().find_map(|length| {
            let words: Vec<&str> = self.tokens[at..at + length]
                .iter()
                .map(|token| if token.kind == Kind::Word { token.lower.as_str() } else { "" })
                .collect();
            let cue = cue::cue(&words.join(" "))?;
            // "from Rome or younger than 25" is no end of "25 or younger", nor is "before 2009 or after 2011" of "2009 or after".
            let compares = || {
                self.tokens.get(at + length).is_some_and(|next| {
                    next.lower == "than" || matches!(next.kind, Kind::Number(_) | Kind::Date(_) | Kind::Month(_))
                })
            };
            (!matches!(cue, Cue::OrCompare(_)) || !compares()).then_some((length, cue))
        })
    }

    /// The longest phrase at `at` that people gave to a metric.
    fn metric_at(&self, at: usize) -> Option<(usize, usize)> {
        let fitting = self.schema.metric_names.iter().filter_map(|name| {
            let tokens = self.tokens.get(at..at + name.words.len())?;
            let is_said = tokens.iter().all(|token| token.kind == Kind::Word) && fit(&name.words, tokens)? > 0.9;
            is_said.then_some((name.words.len(), name.of))
        });
        fitting.max_by_key(|(length, metric)| (*length, std::cmp::Reverse(*metric)))
    }

    /// The longest phrase at `at` that names something.
    fn noun_at(&self, at: usize) -> Option<(usize, Noun)> {
        (1..=LONGEST_NAME.min(self.tokens.len() - at)).rev().find_map(|length| {
            let tokens = &self.tokens[at..at + length];
            let speaks = |token: &Token| matches!(token.kind, Kind::Word | Kind::Number(_) | Kind::Quoted(_));
            if !tokens.iter().all(speaks) {
                return None;
            }
            let mut noun = self.noun(tokens);
            if noun.is_empty() {
                noun = self.date_called(tokens).unwrap_or_default();
            }
            // "how many regions are affected": a verb is not the column that counts them (`number_affected`).
            let faint = noun.table.is_none() && noun.values.is_empty() && noun.column_score < 0.7;
            let is_verb =
                length == 1 && faint && tokens[0].lower.ends_with("ed") && words::is_relation(&tokens[0].lower);
            let is_verb = is_verb || (length == 1 && self.is_verb_of_a_sentence(at, &noun));
            // "the amount of staff" is no sum of money, unless a column is called so.
            let is_called = |column: &ColumnId| self.schema.words_of(*column).iter().any(|word| word == "amount");
            let of_things = length == 1
                && tokens[0].lower == "amount"
                && self.tokens.get(at + 1).is_some_and(|next| next.lower == "of")
                && !noun.columns.iter().any(is_called);
            (!noun.is_empty() && !is_verb && !of_things).then_some((length, noun))
        })
    }

    /// "launch date" for the column `launch`, which is one.
    fn date_called(&self, tokens: &[Token]) -> Option<Noun> {
        let (last, name) = tokens.split_last()?;
        if name.is_empty() || !matches!(last.singular.as_str(), "date" | "day") {
            return None;
        }
        let noun = self.noun(name);
        let is_date = |column: &ColumnId| self.schema.is_temporal(*column);
        let fits = noun.column_score >= 0.9 && noun.table.is_none() && noun.values.is_empty();
        (fits && noun.columns.iter().all(is_date)).then_some(noun)
    }

    /// "cities that have hosted competitions": a verb that ties things together, though a column is called `hosts`.
    fn is_verb_of_a_sentence(&self, at: usize, noun: &Noun) -> bool {
        let word = &self.tokens[at].lower;
        let Some(before) = at.checked_sub(1).map(|before| self.tokens[before].lower.as_str()) else { return false };
        let is_spelled = |column: &ColumnId| self.schema.words_of(*column).contains(word);
        word.ends_with("ed")
            && words::is_relation(word)
            && (matches!(before, "has" | "have" | "had" | "that" | "who" | "which" | "been")
                || self.tokens.get(at + 1).is_some_and(|next| next.lower == "by"))
            && noun.table.is_none()
            && noun.values.is_empty()
            && !noun.columns.iter().any(|column| is_spelled(column) || self.schema.is_temporal(*column))
    }

    fn noun(&self, tokens: &[Token]) -> Noun {
        let values = self.values(tokens);
        if tokens.iter().any(|token| token.kind != Kind::Word) {
            // A number or a quoted text can be a value, but never a name by itself.
            let words_too = tokens.iter().any(|token| token.kind == Kind::Word);
            let quoted = matches!(tokens, [Token { kind: Kind::Quoted(_), .. }]);
            let values = if words_too || quoted { values } else { Vec::new() };
            return Noun { values, ..Noun::default() };
        }
        let tables = best(&self.schema.table_names, tokens);
        let spelled = || tokens.iter().map(|token| token.singular.clone()).collect::<Vec<String>>();
        let chosen = if tables.len() > 1 { self.schema.chosen_table(&spelled(), &tables) } else { None };
        let tables: Vec<(TableId, f64)> =
            tables.into_iter().filter(|(table, _)| chosen.is_none_or(|chosen| chosen == *table)).collect();
        let table = tables.first().copied();
        let rivals = if tables.len() > 1 { tables.iter().map(|(table, _)| *table).collect() } else { Vec::new() };
        let mut columns = best(&self.schema.column_names, tokens);
        let mut qualified = false;
        if tokens.len() > 1 {
            let owned = self.qualified(tokens);
            let best = columns.first().map_or(0.0, |(_, best)| *best);
            // "student ids" identify students, wherever else they stand.
            let is_key = |column: ColumnId| best < 1.0 && self.schema.key_of(column.table) == Some(column);
            if owned.first().is_some_and(|(column, score)| *score >= best || (*score > 0.85 && is_key(*column))) {
                columns = owned;
                qualified = true;
            }
        }
        let column_score = columns.first().map_or(0.0, |(_, score)| *score);
        let weaker = best_of_each_table(&self.schema.column_names, tokens);
        let weaker =
            weaker.into_iter().filter(|(other, _)| columns.iter().all(|(column, _)| column.table != other.table));
        let weaker = weaker.collect();
        let last = &tokens[tokens.len() - 1];
        // "names" and "products" are things, though somewhere `Name` and `Product` are values.
        let is_thing = column_score >= 0.6 || table.is_some_and(|(_, score)| score >= 0.6);
        let values = if is_thing { self.exact(values, tokens) } else { values };
        Noun {
            table,
            rivals,
            columns: columns.into_iter().map(|(column, _)| column).collect(),
            column_score,
            weaker,
            values,
            qualified,
            summed: words::is_summed(&tokens[0].singular)
                || (tokens.len() > 1 && tokens.iter().any(|token| token.lower == "total")),
            plural: last.lower != last.singular || last.lower == "people" || last.lower == "staff",
        }
    }

    /// The values that stand in the question just as they are stored.
    fn exact(&self, mut values: Vec<(ColumnId, String)>, tokens: &[Token]) -> Vec<(ColumnId, String)> {
        let ends = tokens.first().zip(tokens.last());
        let said = ends.and_then(|(first, last)| self.question.get(first.span.0..last.span.1));
        values.retain(|(_, value)| said == Some(value.as_str()));
        values
    }

    /// "customer region": a table's name before a name of one of its columns.
    fn qualified(&self, tokens: &[Token]) -> Vec<(ColumnId, f64)> {
        let mut found = Vec::new();
        for cut in 1..tokens.len() {
            // "order amount" and "orders.amount" own; in "customers signed up" a verb follows.
            let owner = &tokens[cut - 1];
            let dotted = self.question.get(owner.span.1..tokens[cut].span.0) == Some(".");
            let happened =
                tokens.len() == cut + 1 && tokens[cut].lower.ends_with("ed") && words::is_origin(&tokens[cut].lower);
            if (owner.lower != owner.singular || happened) && !dotted {
                continue;
            }
            for (table, table_score) in best(&self.schema.table_names, &tokens[..cut]) {
                let columns = self.schema.column_names.iter().filter(|name| name.of.table == table);
                let owned = best(columns, &tokens[cut..]);
                found.extend(owned.into_iter().map(|(column, score)| (column, score * table_score)));
            }
        }
        let top = found.iter().map(|(_, score)| *score).fold(0.0, f64::max);
        found.retain(|(_, score)| *score >= top && *score >= 0.5);
        found.dedup();
        found
    }

    /// In capitals, and not only because a sentence begins; or with a number in it.
    fn is_spelled_like_a_name(&self, tokens: &[Token]) -> bool {
        tokens.iter().any(|token| {
            let text = self.question.get(token.span.0..token.span.1).unwrap_or_default();
            token.span.0 > 0 && text.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
        })
    }

    fn values(&self, tokens: &[Token]) -> Vec<(ColumnId, String)> {
        let quoted = match tokens {
            [Token { kind: Kind::Quoted(text), .. }] => Some(text.to_lowercase()),
            _ => None,
        };
        let matches = |words: &[String], value: &str| match &quoted {
            Some(text) => value.to_lowercase() == *text,
            None => {
                words.len() == tokens.len()
                    && words.iter().zip(tokens).all(|(word, token)| *word == token.lower || is_inflected(word, token))
            }
        };
        // Names are not inflected.
        let said = |words: &[String], value: &str| match &quoted {
            Some(text) => value.to_lowercase() == *text,
            None => words.len() == tokens.len() && words.iter().zip(tokens).all(|(word, token)| *word == token.lower),
        };
        let mut found: Vec<(ColumnId, String)> = Vec::new();
        let is_spelled = quoted.is_some() || self.is_spelled_like_a_name(tokens);
        for name in &self.schema.values {
            if name.is_name && !(is_spelled && said(&name.words, &name.value)) {
                continue;
            }
            if matches(&name.words, &name.value) && !found.iter().any(|(column, _)| *column == name.column) {
                found.push((name.column, name.value.clone()));
            }
        }
        found
    }
}

/// The aggregate that a word for a sum implies.
pub(super) fn implied(noun: &Noun) -> Option<Aggregate> {
    noun.summed.then_some(Aggregate::Sum)
}
