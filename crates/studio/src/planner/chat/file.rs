//! The model of a file: its answers are one SELECT by grammar, with names that are in the schema.

use std::sync::Arc;

use async_trait::async_trait;
use rivergen_kernel::OrganizationId;
use rivergen_local_model::{AskError, LocalModel, Settings, one_select};

use super::{
    BYTES_OF_TOKEN, Message, Role, Said, Unheard, invalid,
    local::{LocalInference, ModelFile, ModelFileError, NotSaid},
    unavailable,
};
use crate::planner::Context;

/// What the rules, the question, and examples take of a context, in tokens.
const RULES: usize = 1_500;

pub(super) fn open(file: ModelFile) -> Result<Arc<dyn LocalInference>, ModelFileError> {
    let ModelFile { file, context_tokens, answer_tokens, waiting } = file;
    let model = LocalModel::open(Settings { file, context_tokens, answer_tokens, waiting });
    Ok(Arc::new(model.map_err(|error| ModelFileError(error.to_string()))?))
}

#[async_trait]
impl LocalInference for LocalModel {
    fn largest_schema(&self) -> usize {
        self.context_tokens().saturating_sub(self.answer_tokens() + RULES) * BYTES_OF_TOKEN
    }

    async fn answer(
        &self,
        organization: OrganizationId,
        system: &str,
        messages: &[Message<'_>],
        context: &Context,
        unheard: Unheard,
    ) -> Result<Said, NotSaid> {
        use rivergen_local_model::{Message as Turn, Role as Party};
        let turns = messages.iter().map(|message| Turn {
            role: match message.role {
                Role::Person => Party::User,
                Role::Model => Party::Assistant,
            },
            content: message.content.clone().into_owned(),
        });
        let rules = Turn { role: Party::System, content: system.to_owned() };
        let said = std::iter::once(rules).chain(turns).collect();
        let tables = context.tables.iter();
        let tables = tables.map(|table| [table.catalog.as_str(), table.schema.as_str(), table.name.as_str()]);
        let columns = context.tables.iter().flat_map(|table| &table.columns).map(|column| column.name.as_str());
        let asked = self.ask(organization.0, said, one_select(tables, columns), unheard);
        let answer = asked.await.map_err(not_answered)?;
        Ok(Said { content: answer.text, tokens: answer.tokens })
    }
}

fn not_answered(error: AskError) -> NotSaid {
    let tokens = match error {
        AskError::CutOff { tokens } => tokens,
        _ => 0,
    };
    let error = match error {
        AskError::Busy => unavailable("too many wait for the model on this server", true),
        AskError::TooLong { tokens, room } => {
            let message =
                format!("the question and the schema have {tokens} tokens, and the model has room for {room}");
            unavailable(&message, false)
        }
        AskError::CutOff { .. } => invalid("the model's answer was cut off"),
        // The log says why.
        AskError::NotLoaded => unavailable("the model on this server cannot be loaded", false),
        AskError::Grammar(reason) | AskError::Failed(reason) => {
            tracing::error!(reason, "the model on this machine failed");
            unavailable("the model on this server failed", true)
        }
    };
    NotSaid { error, tokens }
}
