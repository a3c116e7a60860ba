//! Google's own protocol of the Gemini models: `POST /v1beta/models/{model}:generateContent`.
//!
//! The answer is JSON of a schema. No temperature is sent: the newer models are made for their own.

use reqwest::{StatusCode, header::HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{Asked, Ending, Reply, Role, path_under};

pub(super) const KEY_HEADER: HeaderName = HeaderName::from_static("x-goog-api-key");

pub(super) fn endpoint(base: &Url, model: &str) -> Url {
    let model = model.strip_prefix("models/").unwrap_or(model);
    path_under(base, "v1beta", &["models", &format!("{model}:generateContent")])
}

pub(super) fn request(http: &reqwest::Client, endpoint: Url, asked: &Asked<'_>) -> reqwest::RequestBuilder {
    let said = asked.messages.iter().map(|message| Content {
        role: Some(match message.role {
            Role::Person => "user",
            Role::Model => "model",
        }),
        parts: [Part { text: &message.content }],
    });
    http.post(endpoint).json(&Request {
        system_instruction: Content { role: None, parts: [Part { text: asked.system }] },
        contents: said.collect(),
        generation_config: GenerationConfig {
            response_mime_type: "application/json",
            response_schema: json!({
                "type": "OBJECT",
                "properties": {"sql": {"type": "STRING", "nullable": true}, "explanation": {"type": "STRING"}},
                "required": ["sql", "explanation"],
                "propertyOrdering": ["sql", "explanation"]
            }),
        },
    })
}

/// `None`: not of this protocol.
pub(super) fn read(body: &[u8]) -> Option<Reply> {
    let answered: Answered = serde_json::from_slice(body).ok()?;
    let tokens = answered.usage_metadata.total_token_count;
    if answered.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
        return Some(Reply { tokens, ending: Ending::Refused });
    }
    let Some(candidate) = answered.candidates.into_iter().next() else {
        return Some(Reply { tokens, ending: Ending::Nothing });
    };
    let ending = match candidate.finish_reason.as_deref() {
        None | Some("STOP" | "FINISH_REASON_UNSPECIFIED") => said(candidate.content.parts),
        Some("MAX_TOKENS") => Ending::CutOff,
        Some("SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII") => Ending::Refused,
        Some(_) => Ending::Nothing,
    };
    Some(Reply { tokens, ending })
}

/// Whether the error says that the key is wrong: Google answers 400 then, as for a bad request.
pub(super) fn rejects_key(status: StatusCode, body: &[u8]) -> bool {
    let reason = |detail: &ErrorDetail| detail.reason.as_deref() == Some("API_KEY_INVALID");
    status == StatusCode::BAD_REQUEST
        && serde_json::from_slice::<Refusal>(body).is_ok_and(|refusal| refusal.error.details.iter().any(reason))
}

fn said(parts: Vec<AnsweredPart>) -> Ending {
    let text: String = parts.into_iter().filter(|part| !part.thought).map(|part| part.text).collect();
    if text.trim().is_empty() { Ending::Nothing } else { Ending::Said(text) }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    system_instruction: Content<'a>,
    contents: Vec<Content<'a>>,
    generation_config: GenerationConfig,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    response_mime_type: &'static str,
    response_schema: Value,
}

/// Either of the two is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    #[serde(default)]
    candidates: Vec<Candidate>,
    #[serde(default)]
    prompt_feedback: Option<PromptFeedback>,
    #[serde(default)]
    usage_metadata: Usage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    content: AnsweredContent,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct AnsweredContent {
    #[serde(default)]
    parts: Vec<AnsweredPart>,
}

#[derive(Deserialize)]
struct AnsweredPart {
    #[serde(default)]
    text: String,
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    #[serde(default)]
    block_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Usage {
    /// Thoughts included.
    total_token_count: u64,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    #[serde(default)]
    details: Vec<ErrorDetail>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    reason: Option<String>,
}
