//! Anthropic's own protocol: `POST /v1/messages`.
//!
//! The answer is the input of the one tool that the model has and must use, so that it has the shape of its schema. No
//! temperature is sent: the newer models refuse it.

use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{Asked, Ending, Reply, Role, path_under};

pub(super) const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// The version of the protocol that the shapes below are of.
const VERSION: &str = "2023-06-01";

/// Of an answer; the protocol wants a number.
const MOST_TOKENS: u32 = 4_096;

const TOOL: &str = "answer";

pub(super) fn endpoint(base: &Url) -> Url {
    path_under(base, "v1", &["messages"])
}

pub(super) fn request(http: &reqwest::Client, endpoint: Url, asked: &Asked<'_>) -> reqwest::RequestBuilder {
    let said = asked.messages.iter().map(|message| Message {
        role: match message.role {
            Role::Person => "user",
            Role::Model => "assistant",
        },
        content: &message.content,
    });
    http.post(endpoint).header("anthropic-version", VERSION).json(&Request {
        model: asked.model,
        max_tokens: MOST_TOKENS,
        system: asked.system,
        messages: said.collect(),
        tools: [Tool {
            name: TOOL,
            description: "Takes the JSON object that is the answer.",
            input_schema: json!({
                "type": "object",
                "properties": {"sql": {"type": ["string", "null"]}, "explanation": {"type": "string"}},
                "required": ["sql", "explanation"]
            }),
        }],
        tool_choice: ToolChoice { kind: "tool", name: TOOL },
    })
}

/// `None`: not of this protocol.
pub(super) fn read(body: &[u8]) -> Option<Reply> {
    let message: Answered = serde_json::from_slice(body).ok()?;
    let usage = message.usage;
    let tokens = [
        usage.input_tokens,
        usage.cache_creation_input_tokens.unwrap_or_default(),
        usage.cache_read_input_tokens.unwrap_or_default(),
        usage.output_tokens,
    ];
    let ending = match message.stop_reason.as_deref() {
        Some("max_tokens" | "model_context_window_exceeded") => Ending::CutOff,
        Some("refusal") => Ending::Refused,
        _ => said(message.content),
    };
    Some(Reply { tokens: tokens.into_iter().fold(0, u64::saturating_add), ending })
}

/// The tool's input; the text where the model wrote that instead.
fn said(content: Vec<Block>) -> Ending {
    let mut text = String::new();
    for block in content {
        match block {
            Block::ToolUse { name, input } if name == TOOL => return Ending::Said(input.to_string()),
            Block::Text { text: more } => text.push_str(&more),
            Block::ToolUse { .. } | Block::Other => {}
        }
    }
    if text.trim().is_empty() { Ending::Nothing } else { Ending::Said(text) }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    max_tokens: u32,
    system: &'a str,
    messages: Vec<Message<'a>>,
    tools: [Tool; 1],
    tool_choice: ToolChoice,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    description: &'static str,
    input_schema: Value,
}

#[derive(Serialize)]
struct ToolChoice {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
}

#[derive(Deserialize)]
struct Answered {
    content: Vec<Block>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    ToolUse {
        name: String,
        input: Value,
    },
    /// Thoughts, and what comes later.
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    input_tokens: u64,
    /// Counted beside the input.
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: u64,
}
