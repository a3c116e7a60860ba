//! How a model is spoken to: its file says so, in Jinja, and what is said stays apart from the marks around it.

use minijinja::{Environment, Error, ErrorKind, syntax::SyntaxConfig, value::Serde};
use minijinja_contrib::pycompat;
use serde::Serialize;

use crate::{error::ModelError, file::ModelFile, vocabulary::Vocabulary};

/// Stand around the number of a message in the place of what it says. They are of the private use area: no template has them.
const OPENS: char = '\u{e000}';
const CLOSES: char = '\u{e001}';

const NAME: &str = "chat";

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What holds for the whole conversation.
    System,
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

/// The form of a conversation, of one model.
pub(crate) struct Template {
    environment: Environment<'static>,
    begins: String,
    ends: String,
    /// Of a model that knows no other parties, the first question says what holds for all.
    knows_system: bool,
}

impl Template {
    pub(crate) fn of(file: &ModelFile) -> Result<Self, ModelError> {
        let Some(source) = file.text("tokenizer.chat_template") else {
            return Err(file.unusable("does not say how it is spoken to (tokenizer.chat_template)"));
        };
        let unusable = |error: Error| file.unusable(format!("its tokenizer.chat_template: {error}"));
        let mut environment = Environment::new();
        // As they are rendered where they were written.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(unusable)?;
        environment.set_syntax(syntax);
        environment.set_unknown_method_callback(pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |reason: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(unusable)?;
        let special = |key: &str| file.number(key).and_then(|number| file.token(number)).unwrap_or_default().to_owned();
        let mut template = Self {
            environment,
            begins: special("tokenizer.ggml.bos_token_id"),
            ends: special("tokenizer.ggml.eos_token_id"),
            knows_system: true,
        };
        if template.parts(&[Role::System, Role::User]).is_err() {
            template.knows_system = false;
            template.parts(&[Role::User]).map_err(unusable)?;
        }
        Ok(template)
    }

    /// A conversation in tokens, up to where the model answers.
    pub(crate) fn tokens(&self, said: Vec<Message>, vocabulary: &Vocabulary) -> Result<Vec<u32>, String> {
        let said = if self.knows_system { said } else { without_system(said) };
        let roles: Vec<Role> = said.iter().map(|message| message.role).collect();
        let mut tokens = Vec::new();
        for part in self.parts(&roles).map_err(|error| error.to_string())? {
            let read = match part {
                Part::Markup(text) => vocabulary.markup(&text),
                Part::Said(number) => vocabulary.data(said.get(number).map_or("", |message| &message.content)),
            };
            tokens.extend(read.map_err(|error| error.to_string())?);
        }
        Ok(tokens)
    }

    /// Of a conversation of these parties. Every message is in it once, and in its order.
    fn parts(&self, roles: &[Role]) -> Result<Vec<Part>, Error> {
        let messages = roles.iter().enumerate();
        let messages =
            messages.map(|(number, role)| Rendered { role: *role, content: format!("{OPENS}{number}{CLOSES}") });
        let rendered = self.environment.get_template(NAME)?.render(Serde(Conversation {
            messages: messages.collect(),
            add_generation_prompt: true,
            // The grammar has no place for thoughts before the answer.
            enable_thinking: false,
            bos_token: &self.begins,
            eos_token: &self.ends,
        }))?;
        let mut pieces = rendered.split(OPENS);
        let mut parts = vec![Part::Markup(pieces.next().unwrap_or_default().to_owned())];
        for (number, piece) in pieces.enumerate() {
            let after = piece.strip_prefix(&format!("{number}{CLOSES}")).filter(|_| number < roles.len());
            let after = after.ok_or_else(|| incomplete("it turns what is said around"))?;
            parts.push(Part::Said(number));
            parts.push(Part::Markup(after.to_owned()));
        }
        if parts.len() != 2 * roles.len() + 1 {
            return Err(incomplete("it leaves out what is said"));
        }
        Ok(parts)
    }
}

/// A stretch of a conversation.
enum Part {
    Markup(String),
    /// What the message of that number says.
    Said(usize),
}

#[derive(Serialize)]
struct Conversation<'a> {
    messages: Vec<Rendered>,
    add_generation_prompt: bool,
    enable_thinking: bool,
    bos_token: &'a str,
    eos_token: &'a str,
}

#[derive(Serialize)]
struct Rendered {
    role: Role,
    content: String,
}

fn incomplete(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

/// What holds for the whole conversation stands before the first question.
fn without_system(said: Vec<Message>) -> Vec<Message> {
    let (system, mut rest): (Vec<Message>, Vec<Message>) =
        said.into_iter().partition(|message| message.role == Role::System);
    let rules: Vec<String> = system.into_iter().map(|message| message.content).collect();
    match rest.first_mut() {
        Some(first) if !rules.is_empty() => first.content = format!("{}\n\n{}", rules.join("\n\n"), first.content),
        _ => {}
    }
    rest
}
