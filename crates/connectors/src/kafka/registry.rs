//! A schema registry: what the number before a value means.
//!
//! Asked once for each number; a number never comes to mean something else.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use reqwest::Method;
use rivergen_kernel::secret::Secret;
use serde::Deserialize;

use super::avro::AvroSchema;
use super::settings::Registry;
use crate::http::HttpSource;
use crate::{ConnectorError, SourceContext};

/// Schemas that are kept, and that one may refer to.
const KEPT: usize = 1_000;
const REFERENCES: usize = 50;

/// What values of one number are.
#[derive(Debug)]
pub(super) enum Registered {
    Avro(AvroSchema),
    Json,
}

/// A registry that speaks like Confluent's.
#[derive(Debug)]
pub(super) struct SchemaRegistry {
    http: HttpSource,
    user: Option<String>,
    password: Option<Secret>,
    kept: Mutex<HashMap<u32, Arc<Registered>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    schema: String,
    /// Avro where it is absent.
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    subject: String,
    version: i64,
}

impl SchemaRegistry {
    pub fn new(source: &SourceContext, registry: Registry) -> Result<Self, ConnectorError> {
        let http = HttpSource::at(source, registry.url)?;
        Ok(Self { http, user: registry.user, password: registry.password, kept: Mutex::default() })
    }

    pub async fn schema(&self, id: u32) -> Result<Arc<Registered>, ConnectorError> {
        if let Some(known) = self.kept().get(&id) {
            return Ok(known.clone());
        }
        let answer = self.ask(&["schemas", "ids", &id.to_string()]).await?;
        let found = match answer.schema_type.as_deref() {
            None | Some("AVRO") => {
                let schema = AvroSchema::parse(&self.with_references(answer).await?);
                Registered::Avro(schema.map_err(|reason| unsupported(id, reason))?)
            }
            Some("JSON") => Registered::Json,
            Some(_) => return Err(unsupported(id, "is neither of Avro nor of JSON")),
        };
        let found = Arc::new(found);
        let mut kept = self.kept();
        if kept.len() < KEPT {
            kept.insert(id, found.clone());
        }
        Ok(found)
    }

    /// The texts of the schemas that one refers to, each behind those that it refers to, and its own last.
    async fn with_references(&self, answer: Answer) -> Result<Vec<String>, ConnectorError> {
        let mut texts = Vec::new();
        self.collect(answer, &mut HashSet::new(), &mut texts).await?;
        Ok(texts)
    }

    fn collect<'a>(
        &'a self,
        answer: Answer,
        seen: &'a mut HashSet<(String, i64)>,
        texts: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), ConnectorError>> {
        Box::pin(async move {
            for Reference { subject, version } in answer.references {
                if !seen.insert((subject.clone(), version)) {
                    continue;
                }
                if seen.len() > REFERENCES {
                    return Err(ConnectorError::Unsupported(format!(
                        "a schema of the registry refers to more than {REFERENCES} others"
                    )));
                }
                let answer = self.ask(&["subjects", &subject, "versions", &version.to_string()]).await?;
                self.collect(answer, seen, texts).await?;
            }
            texts.push(answer.schema);
            Ok(())
        })
    }

    async fn ask(&self, path: &[&str]) -> Result<Answer, ConnectorError> {
        let mut request = self.http.request(Method::GET, path);
        if let Some(user) = &self.user {
            request = request.basic_auth(user, self.password.as_ref().map(Secret::expose));
        }
        let not_found = |error| match error {
            ConnectorError::NotFound { .. } => ConnectorError::NotFound { what: "a schema in the registry".to_owned() },
            error => error,
        };
        self.http.json(request).await.map_err(not_found)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<Registered>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unsupported(id: u32, reason: &str) -> ConnectorError {
    ConnectorError::Unsupported(format!("schema {id} of the registry {reason}"))
}
