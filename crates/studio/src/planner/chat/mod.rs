//! The planners that ask a model. At its provider: in the chat protocol of OpenAI, which most servers speak (Ollama, vLLM,
//! llama.cpp), or in Anthropic's or Google's own. Or on this machine. What is said is the same; a [`Protocol`] is how.
//!
//! ```text
//!   question, context ─ prompt ─┬─ openai      POST /v1/chat/completions                    ─┐
//!                               ├─ anthropic   POST /v1/messages                            ─┼─ answer ─ one SELECT
//!                               ├─ gemini      POST /v1beta/models/{model}:generateContent  ─┤
//!                               └─ here        a file                                       ─┘
//! ```
//!
//! What leaves the house is the question and the part of the schema that the caller may see; never
//! rows, and nothing of what is hidden from them. What comes back is text by a stranger: it must be one
//! SELECT, it is given to the parser and never to a person as it is, and the query engine governs
//! it like anything that a person typed.
//!
//! The protocols are a page of types each and no client crate's: genai, which takes a caller's HTTP client, reads an answer
//! of any length into memory and writes it, errors with all that the provider says too, into its errors and its log.

mod answer;
mod anthropic;
#[cfg(feature = "local-models")]
mod file;
mod gemini;
mod local;
mod openai;
mod prompt;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{
    StatusCode,
    header::{HeaderName, HeaderValue},
};
use rivergen_kernel::Secret;
use rivergen_platform::net;
use tokio::runtime::Handle;
use url::Url;

use super::{Context, Plan, PlanError, Planner, Refused, Understanding, embedded, single_select};
use answer::Answer;
pub use local::{LocalInference, LocalPlanner, LocalSettings, ModelFile, ModelFileError, NotSaid};
use prompt::LARGEST_SCHEMA;

/// An answer is a few hundred bytes; more than this is not one.
const LARGEST_RESPONSE: usize = 1024 * 1024;

/// A question of more characters than this is not sent.
const LONGEST_QUESTION: usize = 4_000;

/// How sure a plan of a model is taken to be: nothing proves that it means what was asked.
const UNPROVEN: f64 = 0.6;

/// The same, where the first answer was not even SQL.
const DOUBTFUL: f64 = 0.4;

/// Tokens that one answer takes at most, whatever the other side says.
const MOST_TOKENS: u64 = 1_000_000_000;

/// Names, which a schema is made of, have at least so many bytes to a token, and plain words have more.
const BYTES_OF_TOKEN: usize = 3;

/// Of a refusal no more is read: only its reason is looked for.
const LARGEST_REFUSAL: usize = 64 * 1024;

/// How a model's provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OpenAI's chat protocol.
    Chat,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
}

impl Protocol {
    /// Where the provider is that the protocol is of; many speak OpenAI's.
    pub fn home(self) -> Option<&'static str> {
        match self {
            Self::Chat => None,
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com"),
        }
    }

    fn endpoint(self, settings: &ChatSettings) -> Url {
        match self {
            Self::Chat => openai::endpoint(&settings.base_url),
            Self::Anthropic => anthropic::endpoint(&settings.base_url),
            Self::Gemini => gemini::endpoint(&settings.base_url, &settings.model),
        }
    }

    fn request(self, http: &reqwest::Client, endpoint: Url, asked: &Asked<'_>) -> reqwest::RequestBuilder {
        match self {
            Self::Chat => openai::request(http, endpoint, asked),
            Self::Anthropic => anthropic::request(http, endpoint, asked),
            Self::Gemini => gemini::request(http, endpoint, asked),
        }
    }

    fn read(self, body: &[u8]) -> Option<Reply> {
        match self {
            Self::Chat => openai::read(body),
            Self::Anthropic => anthropic::read(body),
            Self::Gemini => gemini::read(body),
        }
    }

    /// The header that the key stands in; `None` where a header cannot hold it.
    fn key_header(self, key: &Secret) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::Chat => (openai::KEY_HEADER, HeaderValue::try_from(format!("Bearer {}", key.expose()))),
            Self::Anthropic => (anthropic::KEY_HEADER, HeaderValue::try_from(key.expose())),
            Self::Gemini => (gemini::KEY_HEADER, HeaderValue::try_from(key.expose())),
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

/// Where the model is and how to speak to it.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    /// The name by which callers choose the planner.
    pub name: String,
    pub protocol: Protocol,
    /// The endpoint, with or without the version at its end: `https://api.openai.com/v1`,
    /// `http://localhost:11434`.
    pub base_url: Url,
    /// The model's name at the endpoint.
    pub model: String,
    pub api_key: Option<Secret>,
    /// For one question, the second attempt included.
    pub timeout: Duration,
    /// Left out of the request where a model does not accept it; of OpenAI's protocol alone.
    pub temperature: Option<f64>,
    /// Whether the values of columns that have few go there; masked columns' never do.
    pub share_values: bool,
}

/// What an organization spends on a model, and whether it may spend more.
#[async_trait]
pub trait Meter: fmt::Debug + Send + Sync {
    /// Whether another request may go out; otherwise why not.
    async fn admit(&self) -> Result<(), PlanError>;

    /// What an answer took: as the provider says, or as it is estimated where nobody waited for the answer to its end.
    async fn spent(&self, tokens: u64);
}

/// Is told what was spent where whoever asked has gone before they heard it.
pub type Unheard = Box<dyn FnOnce(u64) + Send>;

/// Answers when it is counted, which it is also where nobody waits for that.
async fn count(meter: Option<&Arc<dyn Meter>>, tokens: u64) {
    let Some(meter) = meter.cloned() else { return };
    if let Err(error) = tokio::spawn(async move { meter.spent(tokens).await }).await {
        tracing::error!(%error, tokens, "what was spent on a planner could not be counted");
    }
}

/// Has it counted, from whatever thread.
fn unheard(meter: Option<&Arc<dyn Meter>>) -> Unheard {
    let (meter, runtime) = (meter.cloned(), Handle::current());
    Box::new(move |tokens| {
        if let Some(meter) = meter {
            runtime.spawn(async move { meter.spent(tokens).await });
        }
    })
}

/// Asks a model.
#[derive(Debug, Clone)]
pub struct ChatPlanner {
    http: reqwest::Client,
    settings: ChatSettings,
    endpoint: Url,
    meter: Option<Arc<dyn Meter>>,
}

impl ChatPlanner {
    /// A planner that speaks through `http`, which should be the guarded client without redirects: what goes out is for one
    /// address alone.
    pub fn new(http: reqwest::Client, settings: ChatSettings) -> Self {
        let endpoint = settings.protocol.endpoint(&settings);
        Self { http, settings, endpoint, meter: None }
    }

    /// The same, with what it spends counted.
    #[must_use]
    pub fn metered(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = Some(meter);
        self
    }
}

#[async_trait]
impl Asks for ChatPlanner {
    fn conversation(&self) -> Conversation<'_> {
        let ChatSettings { name, timeout, share_values, .. } = &self.settings;
        Conversation {
            with: self,
            name,
            timeout: *timeout,
            share_values: *share_values,
            largest_schema: LARGEST_SCHEMA,
        }
    }

    fn meter(&self) -> Option<&Arc<dyn Meter>> {
        self.meter.as_ref()
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    async fn ask(&self, system: &str, messages: &[Message<'_>], _: &Context) -> Result<Said, PlanError> {
        self.ready().await?;
        let ChatSettings { protocol, model, temperature, .. } = &self.settings;
        let asked = Asked { model, system, messages, temperature: *temperature };
        let mut request = protocol.request(&self.http, self.endpoint.clone(), &asked);
        if let Some(key) = &self.settings.api_key {
            let (name, value) = protocol
                .key_header(key)
                .ok_or_else(|| unavailable("the API key has characters in it that no key has", false))?;
            request = request.header(name, value);
        }
        let on_its_way = OnItsWay::with(&asked, unheard(self.meter.as_ref()));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                // Unless nothing was heard for too long, it did not get there.
                if error.is_connect() || !error.is_timeout() {
                    on_its_way.arrived();
                }
                return Err(unreachable(&error));
            }
        };
        let status = response.status();
        if !status.is_success() {
            on_its_way.arrived();
            let body = net::read_bounded(response, LARGEST_REFUSAL).await.unwrap_or_default();
            let rejects_key = *protocol == Protocol::Gemini && gemini::rejects_key(status, &body);
            return Err(refused(if rejects_key { StatusCode::UNAUTHORIZED } else { status }));
        }
        let body = net::read_bounded(response, LARGEST_RESPONSE).await.map_err(|error| match error {
            net::ReadError::TooLarge { .. } => invalid("the model's answer is too large"),
            net::ReadError::Http(error) => unreachable(&error),
        })?;
        on_its_way.arrived();
        let reply = protocol.read(&body).ok_or_else(|| invalid("the endpoint does not speak its protocol"))?;
        let tokens = reply.tokens.min(MOST_TOKENS);
        count(self.meter.as_ref(), tokens).await;
        match reply.ending {
            Ending::Said(content) => Ok(Said { content, tokens }),
            Ending::CutOff => Err(invalid("the model's answer was cut off")),
            Ending::Refused => Err(invalid("the model's provider refused the question")),
            Ending::Nothing => Err(invalid("the model gave no answer")),
        }
    }
}

/// A request on its way. Whoever stops waiting does not hear what the answer took, which comes in one piece: it counts as
/// what was sent, estimated.
struct OnItsWay {
    tokens: u64,
    unheard: Option<Unheard>,
}

impl OnItsWay {
    fn with(asked: &Asked<'_>, unheard: Unheard) -> Self {
        let bytes = asked.system.len() + asked.messages.iter().map(|message| message.content.len()).sum::<usize>();
        let tokens = u64::try_from(bytes.div_ceil(BYTES_OF_TOKEN)).unwrap_or(u64::MAX);
        Self { tokens, unheard: Some(unheard) }
    }

    /// What it took is known.
    fn arrived(mut self) {
        self.unheard = None;
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(unheard) = self.unheard.take() {
            unheard(self.tokens);
        }
    }
}

/// Somebody who answers, wherever they are.
#[async_trait]
trait Asks: Send + Sync {
    fn conversation(&self) -> Conversation<'_>;

    fn meter(&self) -> Option<&Arc<dyn Meter>>;

    fn is_elsewhere(&self) -> bool;

    fn is_there(&self) -> Result<(), PlanError> {
        Ok(())
    }

    async fn ask(&self, system: &str, messages: &[Message<'_>], context: &Context) -> Result<Said, PlanError>;
}

/// Whoever answers plans.
#[async_trait]
impl<A: Asks> Planner for A {
    fn name(&self) -> &str {
        self.conversation().name
    }

    fn is_model(&self) -> bool {
        true
    }

    fn is_elsewhere(&self) -> bool {
        Asks::is_elsewhere(self)
    }

    async fn ready(&self) -> Result<(), PlanError> {
        self.is_there()?;
        match self.meter() {
            Some(meter) => meter.admit().await,
            None => Ok(()),
        }
    }

    async fn plan(&self, question: &str, context: &Context) -> Result<Plan, PlanError> {
        self.conversation().plan(question, context).await
    }

    async fn repair(&self, question: &str, context: &Context, refused: Refused<'_>) -> Option<Result<Plan, PlanError>> {
        Some(self.conversation().repair(question, context, refused).await)
    }
}

/// How a model is brought to a plan.
struct Conversation<'a> {
    with: &'a dyn Asks,
    name: &'a str,
    /// For one question, the second attempt included.
    timeout: Duration,
    share_values: bool,
    /// In bytes.
    largest_schema: usize,
}

impl Conversation<'_> {
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

    async fn repair(&self, question: &str, context: &Context, refused: Refused<'_>) -> Result<Plan, PlanError> {
        self.hurried(self.plan_unhurried(question, context, Some(refused))).await
    }

    /// In the time that one question has.
    async fn hurried(&self, planning: impl Future<Output = Result<Plan, PlanError>>) -> Result<Plan, PlanError> {
        match tokio::time::timeout(self.timeout, planning).await {
            Ok(planned) => planned,
            Err(_) => Err(unavailable("the model did not answer in time", true)),
        }
    }

    async fn plan_unhurried(
        &self,
        question: &str,
        context: &Context,
        refused: Option<Refused<'_>>,
    ) -> Result<Plan, PlanError> {
        let system = prompt::instructions(context);
        let asked = match self.share_values {
            true => prompt::question(question, context, self.largest_schema),
            false => prompt::question(question, &without_values(context), self.largest_schema),
        };
        let mut messages = vec![Message { role: Role::Person, content: asked.into() }];
        let mut tokens_used = 0;
        let mut confidence = UNPROVEN;
        if let Some(refused) = refused {
            let answered = serde_json::json!({"sql": refused.sql}).to_string();
            messages.push(Message { role: Role::Model, content: answered.into() });
            messages.push(Message { role: Role::Person, content: prompt::again(refused.reason).into() });
            confidence = DOUBTFUL;
        }
        let mut second_chance = refused.is_none();
        loop {
            let Said { content, tokens } = self.with.ask(&system, &messages, context).await?;
            tokens_used += tokens;
            let problem = match answer::read(&content) {
                Answer::Sql { sql, explanation } => match single_select::require_single_select(&sql) {
                    Ok(sql) => {
                        let meaning = explanation.clone();
                        return Ok(Plan {
                            sql,
                            explanation,
                            understood: vec![Understanding { phrase: question.to_owned(), meaning }],
                            confidence,
                            model: self.name.to_owned(),
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
            messages.push(Message { role: Role::Model, content: content.into() });
            messages.push(Message { role: Role::Person, content: prompt::again(&problem).into() });
        }
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

/// The model says that the schema has no answer.
fn cannot(question: &str, context: &Context, reason: String) -> PlanError {
    PlanError::NotUnderstood {
        message: reason,
        unknown_words: Vec::new(),
        suggestions: embedded::suggestions(question, context),
    }
}

/// The path under the base, behind the version, whether or not the base says one.
fn path_under(base: &Url, version: &str, path: &[&str]) -> Url {
    let mut endpoint = base.clone();
    let versioned = base.path_segments().and_then(|mut segments| segments.rfind(|part| !part.is_empty()));
    let versioned = versioned.is_some_and(|last| {
        last.strip_prefix('v').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    });
    if let Ok(mut segments) = endpoint.path_segments_mut() {
        segments.pop_if_empty();
        if !versioned {
            segments.push(version);
        }
        segments.extend(path);
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
        StatusCode::PAYMENT_REQUIRED => unavailable("the model's provider wants to be paid first", false),
        StatusCode::NOT_FOUND => unavailable("the endpoint or the model does not exist", false),
        status if is_overload(status) => unavailable("the model's endpoint has no capacity now", true),
        status if status.is_server_error() => {
            unavailable(&format!("the model's endpoint failed with status {}", status.as_u16()), true)
        }
        status => unavailable(&format!("the model's endpoint answered with status {}", status.as_u16()), false),
    }
}

/// 529 is Anthropic's own.
fn is_overload(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 529)
}

fn unreachable(error: &reqwest::Error) -> PlanError {
    match net::blocked(error) {
        Some(blocked) => unavailable(&format!("the model's endpoint may not be reached: {blocked}"), false),
        None if error.is_timeout() => unavailable("the model did not answer in time", true),
        None => unavailable("the model's endpoint cannot be reached", true),
    }
}

/// What a model is asked, whatever the protocol.
struct Asked<'a> {
    model: &'a str,
    system: &'a str,
    /// The first is the person's, and they take turns.
    messages: &'a [Message<'a>],
    temperature: Option<f64>,
}

/// One turn of what is said.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    pub role: Role,
    pub content: Cow<'a, str>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Person,
    Model,
}

/// What came back, whatever the protocol.
struct Reply {
    tokens: u64,
    ending: Ending,
}

enum Ending {
    Said(String),
    /// At the longest that an answer may be.
    CutOff,
    /// By the model's rules or its provider's.
    Refused,
    Nothing,
}

/// What a model said, and what that took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub content: String,
    pub tokens: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(protocol: Protocol, base: &str, model: &str) -> ChatSettings {
        ChatSettings {
            name: "m".into(),
            protocol,
            base_url: base.parse().unwrap(),
            model: model.into(),
            api_key: Some(Secret::new("sk-very-secret")),
            timeout: Duration::from_secs(1),
            temperature: None,
            share_values: true,
        }
    }

    #[test]
    fn the_endpoint_has_one_version() {
        use Protocol::{Anthropic, Chat, Gemini};
        for (protocol, base, expected) in [
            (Chat, "http://localhost:11434", "http://localhost:11434/v1/chat/completions"),
            (Chat, "https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            (Chat, "https://a.example/openai/v1/", "https://a.example/openai/v1/chat/completions"),
            (Chat, "https://a.example/proxy/", "https://a.example/proxy/v1/chat/completions"),
            (Anthropic, "https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
            (Anthropic, "https://a.example/proxy/v1/", "https://a.example/proxy/v1/messages"),
            (Gemini, "https://a.example", "https://a.example/v1beta/models/m-1.5:generateContent"),
            (Gemini, "https://a.example/v1", "https://a.example/v1/models/m-1.5:generateContent"),
        ] {
            let settings = settings(protocol, base, "m-1.5");
            assert_eq!(protocol.endpoint(&settings).as_str(), expected);
        }
        // Whatever a model is called, it stays a name in the path.
        let settings = settings(Protocol::Gemini, "https://a.example", "models/../x?key=y#z");
        let endpoint = settings.protocol.endpoint(&settings);
        assert_eq!(endpoint.as_str(), "https://a.example/v1beta/models/..%2Fx%3Fkey=y%23z:generateContent");
    }

    #[test]
    fn the_key_is_never_printed() {
        for protocol in [Protocol::Chat, Protocol::Anthropic, Protocol::Gemini] {
            let settings = settings(protocol, "http://localhost", "m");
            let header = protocol.key_header(settings.api_key.as_ref().unwrap());
            let planner = ChatPlanner::new(reqwest::Client::new(), settings);
            let printed = format!("{planner:?} {header:?}");
            assert!(header.is_some() && !printed.contains("very-secret"), "{printed}");
        }
        assert!(Protocol::Anthropic.key_header(&Secret::new("a\nb")).is_none());
    }
}
