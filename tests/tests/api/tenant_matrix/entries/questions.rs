//! Prompts, what is known of them, and templates.

use serde_json::{Value, json};

use super::{Entry, entry, nothing, unique};
use crate::tenant_matrix::{
    access::Access::{Members, NotFor, Own, OwnRefusing, Untried},
    ids::Ids,
};

pub const ENTRIES: &[Entry] = &[
    entry("GET /api/v1/prompts", Members, nothing),
    entry("GET /api/v1/prompts/history", Members, nothing),
    entry("DELETE /api/v1/prompts/history/clear", Untried(None), nothing),
    entry("GET /api/v1/prompts/analytics/query-analytics", Members, nothing),
    entry("GET /api/v1/prompts/{prompt_id}", Members, nothing),
    entry("PATCH /api/v1/prompts/{prompt_id}", NotFor("Viewer"), |_| json!({"name": unique("")})),
    entry("DELETE /api/v1/prompts/{prompt_id}", Untried(Some("Viewer")), nothing),
    entry("POST /api/v1/prompts/{prompt_id}/restore", NotFor("Viewer"), nothing),
    entry("GET /api/v1/prompts/{prompt_id}/versions", Members, nothing),
    entry("POST /api/v1/prompts/{prompt_id}/versions/{version}/restore", NotFor("Viewer"), nothing),
    entry("POST /api/v1/prompts/{prompt_id}/execute", Members, nothing),
    entry("GET /api/v1/prompts/{prompt_id}/executions", Members, nothing),
    entry("GET /api/v1/prompts/{prompt_id}/analytics", Members, nothing),
    entry("GET /api/v1/prompts/executions/{execution_id}", Own, nothing),
    entry("GET /api/v1/prompts/executions/{execution_id}/events", Own, nothing),
    entry("POST /api/v1/prompts/executions/{execution_id}/cancel", OwnRefusing("CONFLICT"), nothing),
    entry(
        "POST /api/v1/prompts/executions/{execution_id}/feedback",
        Own,
        |_| json!({"verdict": "wrong", "comment": "No."}),
    ),
    entry(
        "POST /api/v1/prompts/executions/{execution_id}/clarify",
        OwnRefusing("CONFLICT"),
        |_| json!({"choice": "orders.region"}),
    ),
    // The question of it is saved.
    entry("POST /api/v1/prompts/executions/{execution_id}/save", OwnRefusing("CONFLICT"), |_| json!({})),
    entry("GET /api/v1/prompts/planners", NotFor("Developer"), nothing),
    entry("GET /api/v1/prompts/planners/names", Members, nothing),
    entry("PUT /api/v1/prompts/planners", NotFor("Developer"), |_| json!({"planners": [{"kind": "embedded"}]})),
    entry("POST /api/v1/prompts/{prompt_id}/schedules", Members, schedule_of),
    entry("GET /api/v1/prompts/schedules", Members, nothing),
    entry("GET /api/v1/prompts/schedules/{schedule_id}", Members, nothing),
    // It runs as its owner, whatever others may do.
    entry("PATCH /api/v1/prompts/schedules/{schedule_id}", NotFor("Admin"), |_| json!({"name": unique("")})),
    entry("DELETE /api/v1/prompts/schedules/{schedule_id}", Untried(Some("Viewer")), nothing),
    entry("POST /api/v1/prompts/schedules/{schedule_id}/run", NotFor("Admin"), nothing),
    entry("GET /api/v1/prompts/schedules/{schedule_id}/runs", NotFor("Viewer"), nothing),
    entry("GET /api/v1/prompts/glossary", Members, nothing),
    entry(
        "PUT /api/v1/prompts/glossary",
        NotFor("Viewer"),
        |_| json!({"terms": [{"term": "wares", "means": "products"}]}),
    ),
    entry("GET /api/v1/prompts/semantic-layer", Members, nothing),
    entry("POST /api/v1/prompts/semantic-layer", NotFor("Viewer"), |_| synonym(&unique(""))),
    entry("PUT /api/v1/prompts/semantic-layer/{semantic_entry_id}", NotFor("Viewer"), |_| synonym("wares")),
    entry("DELETE /api/v1/prompts/semantic-layer/{semantic_entry_id}", Untried(Some("Viewer")), nothing),
    entry("POST /api/v1/prompts/semantic-layer/{semantic_entry_id}/confirm", NotFor("Viewer"), nothing),
    entry(
        "POST /api/v1/prompts/semantic-layer/proposals",
        NotFor("Viewer"),
        |ids| json!({"data_source_ids": [ids.data_source_id]}),
    ),
    entry("GET /api/v1/prompts/semantic-layer/export", Members, nothing),
    entry("POST /api/v1/prompts/semantic-layer/import", NotFor("Viewer"), |_| json!({"document": "metrics: []"})),
    entry("GET /api/v1/prompts/verified-pairs", NotFor("Viewer"), nothing),
    entry("POST /api/v1/prompts/verified-pairs/{verified_pair_id}/verify", NotFor("Viewer"), nothing),
    entry("DELETE /api/v1/prompts/verified-pairs/{verified_pair_id}", Untried(Some("Viewer")), nothing),
    entry("GET /api/v1/prompt-templates", Members, nothing),
    entry("POST /api/v1/prompt-templates", NotFor("Viewer"), template_of),
    entry("GET /api/v1/prompt-templates/{template_id}", Members, nothing),
    entry("PATCH /api/v1/prompt-templates/{template_id}", NotFor("Viewer"), |_| json!({"name": unique("")})),
    entry("DELETE /api/v1/prompt-templates/{template_id}", Untried(Some("Viewer")), nothing),
    entry(
        "POST /api/v1/prompt-templates/{template_id}/execute",
        Members,
        |ids| json!({"selected_data_source_ids": [ids.data_source_id]}),
    ),
];

/// A template that every member sees.
fn template_of(ids: &Ids) -> Value {
    json!({"name": unique(""), "template_text": "How many products are there?", "category": "sales",
        "compatible_data_source_ids": [ids.data_source_id], "status": "published", "is_public": true})
}

/// Mails go to the Owner.
fn schedule_of(ids: &Ids) -> Value {
    json!({"name": unique(""), "timing": {"every": "day", "at": "08:00", "time_zone": "UTC"},
        "delivery": {"mail_to_user_ids": [ids.owner_id]}})
}

/// A word for the products.
pub fn synonym(phrase: &str) -> Value {
    json!({"definition": {"kind": "synonym", "phrase": phrase, "of": "products.files.products"}})
}
