//! Pieces of the OpenAPI document that every operation shares.

use std::collections::BTreeMap;

use rivergen_kernel::ErrorCode;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Declares the errors of an operation, for `responses(…, MyErrors)` of `#[utoipa::path]`:
///
/// ```ignore
/// errors!(LoginErrors: InvalidCredentials, ValidationError, RateLimited);
/// ```
#[macro_export]
macro_rules! errors {
    ($($vis:vis $name:ident: $($code:ident),+ $(,)?;)+) => {$(
        #[doc = "The errors of an operation, for its OpenAPI description."]
        $vis struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::http::openapi::error_responses(&[$(rivergen_kernel::ErrorCode::$code),+])
            }
        }
    )+};
}

/// One response per status; the codes that share a status are listed in its description.
pub fn error_responses(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    by_status
        .into_iter()
        .map(|(status, codes)| {
            let description = codes
                .iter()
                .map(|code| format!("`{}`: {}", code.as_str(), code.message()))
                .collect::<Vec<_>>()
                .join("\n\n");
            let example = codes[0];
            let example = serde_json::json!({"success": false, "error": {
                "code": example.as_str(), "message": example.message(), "request_id": "9f86d081884c7d659a2feaa0"}});
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("ErrorEnvelope")))
                .example(Some(example))
                .build();
            let response = ResponseBuilder::new().description(description).content("application/json", content).build();
            (status.to_string(), RefOr::T(response))
        })
        .collect()
}
