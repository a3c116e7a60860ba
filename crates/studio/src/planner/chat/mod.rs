//! The planner that asks a model over the OpenAI-compatible chat protocol: OpenAI itself, Ollama,
//! vLLM, llama.cpp and others.
//!
//! What leaves the house is the question and the part of the schema that the caller may see; never
//! rows, and nothing of what is withheld. What comes back is text by a stranger: it must be one
//! SELECT, it is given to the parser and never to a person as it is, and the query engine governs
//! it like anything that a person typed.

mod answer;
mod prompt;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use rivergen_kernel::Secret;
use rivergen_platform::net;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Context, Plan, PlanError, Planner, Refused, Understanding, embedded, single_select};
use answer::Answer;

/// An answer is a few hundred bytes; more than this is not one.
const LARGEST_RESPONSE: usize = 1024 * 1024;

/// A question of more characters than this is not sent.
const LONGEST_QUESTION: usize = 4_000;

/// How sure a plan of a model is taken to be: nothing proves that it means what was asked.
const UNPROVEN: f64 = 0.6;

/// The same, where the first answer was not even SQL.
const DOUBTFUL: f64 = 0.4;

/// Where the model is and how to speak to it.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    /// The endpoint, with or without the version at its end: `https://api.openai.com/v1`,
    /// `http://localhost:11434`.
    pub base_url: Url,
    /// The model's name at the endpoint; callers choose the planner by it.
    pub model: String,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
    /// For one question, the second attempt included.
    pub timeout: Duration,
    /// Left out of the request where a model does not accept it.
    pub temperature: Option<f64>,
    /// Whether the values of columns that have few go there; masked columns' never do.
    pub share_values: bool,
}

/// Asks a model.
#[derive(Debug, Clone)]
pub struct ChatPlanner {
    http: reqwest::Client,
    settings: ChatSettings,
    endpoint: Url,
}

impl ChatPlanner {
    /// A planner that speaks through `http`, which should be the guarded client.
    pub fn new(http: reqwest::Client, settings: ChatSettings) -> Self {
        let endpoint = endpoint(&settings.base_url);
        Self { http, settings, endpoint }
    }

    async fn ask(&self, messages: &[Message<'_>]) -> Result<Completion, PlanError> {
        let mut request = self.http.post(self.endpoint.clone()).json(&Request {
            model: &self.settings.model,
            messages,
            temperature: self.settings.temperature,
            response_format: ResponseFormat { kind: "json_object" },
            stream: false,
        });
        if let Some(key) = &self.settings.api_key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(refused(status));
        }
        let body = net::read_bounded(response, LARGEST_RESPONSE).await.map_err(|error| match error {
            net::ReadError::TooLarge { .. } => invalid("the model's answer is too large"),
            net::ReadError::Http(error) => unreachable(&error),
        })?;
        serde_json::from_slice(&body).map_err(|_| invalid("the endpoint does not speak the chat protocol"))
    }

    async fn plan_unhurried(
        &self,
        question: &str,
        context: &Context,
        refused: Option<Refused<'_>>,
    ) -> Result<Plan, PlanError> {
        let system = prompt::instructions(context);
        let asked = match self.settings.share_values {
            true => prompt::question(question, context),
            false => prompt::question(question, &without_values(context)),
        };
        let mut messages = vec![
            Message { role: "system", content: system.as_str().into() },
            Message { role: "user", content: asked.into() },
        ];
        let mut tokens_used = 0;
        let mut confidence = UNPROVEN;
        if let Some(refused) = refused {
            let answered = serde_json::json!({"sql": refused.sql}).to_string();
            messages.push(Message { role: "assistant", content: answered.into() });
            messages.push(Message { role: "user", content: prompt::again(refused.reason).into() });
            confidence = DOUBTFUL;
        }
        let mut second_chance = refused.is_none();
        loop {
            let completion = self.ask(&messages).await?;
            tokens_used += completion.usage.as_ref().map_or(0, |usage| usage.total_tokens);
            let content = completion.into_content()?;
            let problem = match answer::read(&content) {
                Answer::Sql { sql, explanation } => match single_select::require_single_select(&sql) {
                    Ok(sql) => {
                        let meaning = explanation.clone();
                        return Ok(Plan {
                            sql,
                            explanation,
                            understood: vec![Understanding { phrase: question.to_owned(), meaning }],
                            confidence,
                            model: self.settings.model.clone(),
                            tokens_used,
                        });
                    }
                    Err(error) => error.to_string(),
                },
                Answer::Cannot { reason } => return Err(cannot(question, context, reason)),
                Answer::Garbage => "there is no SQL in it".to_owned(),
            };
            if !std::mem::take(&mut second_chance) {
                return Err(invalid(&format!("the model did not answer with one SELECT: {problem}")));
            }
            confidence = DOUBTFUL;
            messages.push(Message { role: "assistant", content: content.into() });
            messages.push(Message { role: "user", content: prompt::again(&problem).into() });
        }
    }
}

impl ChatPlanner {
    /// In the time that one question has.
    async fn hurried(&self, planning: impl Future<Output = Result<Plan, PlanError>>) -> Result<Plan, PlanError> {
        match tokio::time::timeout(self.settings.timeout, planning).await {
            Ok(planned) => planned,
            Err(_) => Err(unavailable("the model did not answer in time", true)),
        }
    }
}

#[async_trait]
impl Planner for ChatPlanner {
    fn name(&self) -> &str {
        &self.settings.model
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    async fn plan(&self, question: &str, context: &Context) -> Result<Plan, PlanError> {
        if question.trim().is_empty() || question.chars().count() > LONGEST_QUESTION {
            return Err(PlanError::NotUnderstood {
                message: format!("a question has 1 to {LONGEST_QUESTION} characters"),
                unknown_words: Vec::new(),
                suggestions: embedded::suggestions("", context),
            });
        }
        self.hurried(self.plan_unhurried(question, context, None)).await
    }

    async fn repair(&self, question: &str, context: &Context, refused: Refused<'_>) -> Option<Result<Plan, PlanError>> {
        Some(self.hurried(self.plan_unhurried(question, context, Some(refused))).await)
    }
}

/// Names and types only: the SQL of examples has values in it, too.
fn without_values(context: &Context) -> Context {
    let mut context = context.clone();
    context.examples.clear();
    context.thread.iter_mut().for_each(|turn| turn.sql = None);
    context.layer.metrics.retain(|metric| !metric.formula.has_values());
    context.layer.synonyms.retain(|synonym| !synonym.is_value);
    for column in context.tables.iter_mut().flat_map(|table| &mut table.columns) {
        column.sample_values.clear();
    }
    context
}

/// The model says that the schema has no answer: because it is withheld, or because it is not there.
fn cannot(question: &str, context: &Context, reason: String) -> PlanError {
    let names = embedded::withheld(question, context);
    if names.is_empty() {
        return PlanError::NotUnderstood {
            message: reason,
            unknown_words: Vec::new(),
            suggestions: embedded::suggestions(question, context),
        };
    }
    PlanError::Withheld { message: format!("you may not see {}", names.join(", ")), names }
}

/// `…/v1/chat/completions`, whether or not the base says the version.
fn endpoint(base: &Url) -> Url {
    let mut endpoint = base.clone();
    let versioned = base.path_segments().and_then(|mut segments| segments.rfind(|part| !part.is_empty()));
    let versioned = versioned.is_some_and(|last| {
        last.strip_prefix('v').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    });
    if let Ok(mut segments) = endpoint.path_segments_mut() {
        segments.pop_if_empty();
        if !versioned {
            segments.push("v1");
        }
        segments.extend(["chat", "completions"]);
    }
    endpoint
}

fn unavailable(message: &str, retryable: bool) -> PlanError {
    PlanError::Unavailable { message: message.to_owned(), retryable }
}

fn invalid(message: &str) -> PlanError {
    PlanError::InvalidAnswer { message: message.to_owned() }
}

/// The other side's own words are not repeated: they may hold the key or the prompt.
fn refused(status: StatusCode) -> PlanError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            unavailable("the model's endpoint does not accept the API key", false)
        }
        StatusCode::NOT_FOUND => unavailable("the endpoint or the model does not exist", false),
        StatusCode::TOO_MANY_REQUESTS => unavailable("the model's endpoint has no capacity now", true),
        status if status.is_server_error() => {
            unavailable(&format!("the model's endpoint failed with status {}", status.as_u16()), true)
        }
        status => unavailable(&format!("the model's endpoint answered with status {}", status.as_u16()), false),
    }
}

fn unreachable(error: &reqwest::Error) -> PlanError {
    match net::blocked(error) {
        Some(blocked) => unavailable(&format!("the model's endpoint may not be reached: {blocked}"), false),
        None if error.is_timeout() => unavailable("the model did not answer in time", true),
        None => unavailable("the model's endpoint cannot be reached", true),
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: &'a [Message<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    response_format: ResponseFormat,
    stream: bool,
}

#[derive(Serialize)]
struct ResponseFormat {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: ChoiceMessage,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct ChoiceMessage {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    total_tokens: u64,
}

impl Completion {
    fn into_content(self) -> Result<String, PlanError> {
        let choice = self.choices.into_iter().next().ok_or_else(|| invalid("the model gave no answer"))?;
        match choice.finish_reason.as_deref() {
            Some("length") => return Err(invalid("the model's answer was cut off")),
            Some("content_filter") => return Err(invalid("the model's provider refused the question")),
            _ => {}
        }
        choice.message.content.ok_or_else(|| invalid("the model gave no answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_has_one_version() {
        for (base, expected) in [
            ("http://localhost:11434", "http://localhost:11434/v1/chat/completions"),
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            ("https://a.example/openai/v1/", "https://a.example/openai/v1/chat/completions"),
            ("https://a.example/proxy/", "https://a.example/proxy/v1/chat/completions"),
        ] {
            let base = Url::parse(base).map(|base| endpoint(&base).to_string());
            assert_eq!(base.as_deref(), Ok(expected));
        }
    }

    #[test]
    fn the_key_is_never_printed() {
        let settings = ChatSettings {
            base_url: Url::parse("http://localhost").unwrap_or_else(|_| unreachable!()),
            model: "m".into(),
            api_key: Some(Secret::new("sk-very-secret")),
            timeout: Duration::from_secs(1),
            temperature: None,
            share_values: true,
        };
        let planner = ChatPlanner::new(reqwest::Client::new(), settings);
        assert!(!format!("{planner:?}").contains("very-secret"));
    }
}
