//! The planner that works with no model and no network.
//!
//! ```text
//!  question ─ token ─► link ─────────► compose ───► settle ──────► build ──► SQL
//!             words,   time, cues,     draft of     which column,  query
//!             numbers  names, values   the query    whose rows     tree
//! ```
//!
//! What it promises: the same question on the same schema gives the same SQL; every word of the
//! question is either used or reported as not understood; a choice between readings follows a
//! rule that the explanation names; a number is never counted twice because of a join.

mod asked;
mod build;
mod calendar;
mod calls;
mod compose;
mod conditions;
mod cue;
mod fit;
mod intent;
mod link;
mod mentions;
mod notes;
mod nouns;
mod ordering;
mod overall;
mod parts;
mod places;
mod reach;
mod references;
mod refine;
mod relations;
mod schema;
mod settle;
mod settle_measures;
mod settle_rows;
mod settled;
mod spelling;
mod sql;
mod suggest;
mod texts;
mod things;
mod token;
mod tree;
mod unclear;
pub(in crate::planner) mod words;

use async_trait::async_trait;

use super::{ColumnPlace, Context, Join, Plan, PlanError, Planner, terms};
use intent::Intent;
use link::{Link, Linker, Meaning};
use schema::Schema;
use unclear::Unclear;

/// The name under which the embedded planner is chosen and recorded.
const NAME: &str = "embedded";

/// A question of more characters than this is a text, not a question.
const LONGEST_QUESTION: usize = 2_000;

/// More words than this are too.
const MOST_WORDS: usize = 150;

/// Understands questions by the words of the schema and a fixed vocabulary.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbeddedPlanner;

impl EmbeddedPlanner {
    /// The planner; it has no settings.
    pub fn new() -> Self {
        Self
    }

    /// Plans without waiting for anything.
    pub fn understand(&self, question: &str, context: &Context) -> Result<Plan, PlanError> {
        // A text that is too long is refused below, whatever its words mean.
        let (question, own_words) = match question.chars().count() <= LONGEST_QUESTION {
            true => terms::apply(question, &context.terms),
            false => (question.to_owned(), Vec::new()),
        };
        let question = question.as_str();
        let mut heard: Vec<&str> = context.thread.iter().map(|turn| turn.question.as_str()).collect();
        heard.push(question);
        let schema = Schema::new(context).hears(&heard);
        let attempted = match context.thread.is_empty() {
            true => attempt(question, &schema),
            false => go_on(question, &schema),
        };
        match attempted {
            Ok(plan) => Ok(Plan { understood: own_words.into_iter().chain(plan.understood).collect(), ..plan }),
            Err(Unclear { message, choices: Some((word, choices)), .. }) => {
                Err(PlanError::Ambiguous { message, word, choices })
            }
            Err(unclear) => Err(PlanError::NotUnderstood {
                suggestions: suggest::nearest(question, &schema, &unclear.words),
                message: unclear.message,
                unknown_words: unclear.words,
            }),
        }
    }
}

#[async_trait]
impl Planner for EmbeddedPlanner {
    fn name(&self) -> &str {
        NAME
    }

    async fn plan(&self, question: &str, context: &Context) -> Result<Plan, PlanError> {
        self.understand(question, context)
    }
}

/// How tables belong together by what the schema declares and what names tell.
pub(super) fn references(context: &Context) -> Vec<Join> {
    let at = |column: schema::ColumnId| ColumnPlace { table: column.table, column: column.column };
    let edges = Schema::new(context).edges;
    edges.iter().map(|edge| Join { from: at(edge.from), to: at(edge.to), one_to_one: false }).collect()
}

/// Whether the column alone identifies a row.
pub(super) fn is_key(context: &Context, place: ColumnPlace) -> bool {
    let key = Schema::new(context).key_of(place.table);
    key.is_some_and(|key| key.column == place.column)
}

/// Questions that could come next. They are kept with the run, so that no value is in them.
pub(super) fn follow_ups(question: &str, context: &Context) -> Vec<String> {
    suggest::following(question, &Schema::new(context))
}

/// The nearest questions that this planner understands, for another planner to offer.
pub(super) fn suggestions(question: &str, context: &Context) -> Vec<String> {
    suggest::nearest(question, &Schema::new(context), &[])
}

/// Whether the question says a time that is another one at another moment.
pub(super) fn says_relative_time(question: &str) -> bool {
    calendar::is_relative(&token::tokenize(question))
}

/// Plans a question, without suggestions where that fails.
fn attempt(question: &str, schema: &Schema<'_>) -> Result<Plan, Unclear> {
    plan_of(read(question, schema, Place::First)?, schema)
}

/// Plans a question that goes on from those before it: their query tree, with what it changes of it.
fn go_on(question: &str, schema: &Schema<'_>) -> Result<Plan, Unclear> {
    let thread = &schema.context.thread;
    let base = match refine::follow(thread, schema) {
        Ok(base) => base,
        // What was before may not be understood any more, or was a model's; a whole question needs none of it.
        Err(failure) => return attempt(question, schema).map_err(|_| failure),
    };
    let refined = refine::refine(base, question, schema)?;
    let mut plan = plan_of(refined.intent, schema)?;
    if refined.stands_alone {
        plan.explanation.push_str(" This is read as a question of its own.");
    } else {
        let before: Vec<String> = thread.iter().map(|turn| format!("\"{}\"", turn.question.trim())).collect();
        plan.explanation.push_str(&format!(" It goes on from {}.", before.join(", then ")));
    }
    plan.understood.extend(refined.changes);
    Ok(plan)
}

/// Where a question stands in a conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    /// It may say no more than what is different now.
    Later,
}

/// The draft of a question's query. What was misspelled is put right where the question is understood then.
fn read(question: &str, schema: &Schema<'_>, place: Place) -> Result<Intent, Unclear> {
    let unclear = match read_as_typed(question, schema, place) {
        Ok(intent) => return Ok(intent),
        Err(unclear) => unclear,
    };
    let Some((mended, slips)) = spelling::mended(question, &unclear.words, schema) else { return Err(unclear) };
    match read_as_typed(&mended, schema, place) {
        Ok(intent) => Ok(Intent { slips, ..intent }),
        Err(_) => Err(unclear),
    }
}

fn read_as_typed(question: &str, schema: &Schema<'_>, place: Place) -> Result<Intent, Unclear> {
    let too_long = || Unclear::message(format!("the question is too long: at most {MOST_WORDS} words"));
    if question.chars().count() > LONGEST_QUESTION {
        return Err(too_long());
    }
    let mut tokens = token::tokenize(question);
    if tokens.len() > MOST_WORDS {
        return Err(too_long());
    }
    if place == Place::Later {
        refine::leave_out_asides(&mut tokens);
    }
    let links = Linker { schema, question, tokens: &tokens }.links();
    let names_something = links.iter().any(|link| matches!(link.meaning, Meaning::Noun(_) | Meaning::Metric(_)));
    if place == Place::First && !names_something {
        return Err(nothing_known(&links));
    }
    let composed = compose::compose(schema, &links);
    if !composed.unknown.is_empty() {
        return Err(Unclear::words(&composed.unknown));
    }
    if !composed.left_over.is_empty() {
        return Err(Unclear::words(&composed.left_over));
    }
    if let Some((word, tables)) = composed.ambiguous {
        return Err(Unclear::which(&word, schema.table_choices(&tables)));
    }
    Ok(composed.intent)
}

/// The plan of a draft.
fn plan_of(intent: Intent, schema: &Schema<'_>) -> Result<Plan, Unclear> {
    let mut settler = settle::Settler::new(schema, intent);
    let settled = settler.settle()?;
    let query = build::build(schema, &settled)?;
    Ok(Plan {
        sql: query.to_string(),
        explanation: settler.notes.explanation(&settled),
        confidence: settler.notes.confidence(),
        understood: settler.notes.understood,
        model: NAME.to_owned(),
        tokens_used: 0,
    })
}

/// A question that names nothing of the schema.
fn nothing_known(links: &[Link]) -> Unclear {
    let unknown: Vec<String> = links
        .iter()
        .filter(|link| matches!(link.meaning, Meaning::Unknown | Meaning::Quoted(_)))
        .map(|link| link.text.clone())
        .collect();
    if unknown.is_empty() { Unclear::of_what() } else { Unclear::words(&unknown) }
}
