//! The chat protocol of OpenAI, which Ollama, vLLM, llama.cpp and many others speak: `POST /v1/chat/completions`.

use reqwest::header::{AUTHORIZATION, HeaderName};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Asked, Ending, Reply, Role, path_under};

/// The key stands behind `Bearer`.
pub(super) const KEY_HEADER: HeaderName = AUTHORIZATION;

pub(super) fn endpoint(base: &Url) -> Url {
    path_under(base, "v1", &["chat", "completions"])
}

pub(super) fn request(http: &reqwest::Client, endpoint: Url, asked: &Asked<'_>) -> reqwest::RequestBuilder {
    let said = asked.messages.iter().map(|message| Message {
        role: match message.role {
            Role::Person => "user",
            Role::Model => "assistant",
        },
        content: &message.content,
    });
    let system = Message { role: "system", content: asked.system };
    http.post(endpoint).json(&Request {
        model: asked.model,
        messages: std::iter::once(system).chain(said).collect(),
        temperature: asked.temperature,
        response_format: ResponseFormat { kind: "json_object" },
        stream: false,
    })
}

/// `None`: not of this protocol.
pub(super) fn read(body: &[u8]) -> Option<Reply> {
    let completion: Completion = serde_json::from_slice(body).ok()?;
    let tokens = completion.usage.map_or(0, |usage| usage.total_tokens);
    let Some(choice) = completion.choices.into_iter().next() else {
        return Some(Reply { tokens, ending: Ending::Nothing });
    };
    let ending = match (choice.finish_reason.as_deref(), choice.message.content) {
        (Some("length"), _) => Ending::CutOff,
        (Some("content_filter"), _) => Ending::Refused,
        _ if choice.message.refusal.as_deref().is_some_and(|refusal| !refusal.is_empty()) => Ending::Refused,
        (_, Some(content)) => Ending::Said(content),
        (_, None) => Ending::Nothing,
    };
    Some(Reply { tokens, ending })
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
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
    content: &'a str,
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
    /// In the content's place, where the model's own rules forbid an answer.
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    total_tokens: u64,
}
