//! The head of a GGUF file: what the model is, before its weights are read.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use candle_core::quantized::gguf_file::{Content, Value};

use crate::{
    error::ModelError,
    weights::{ARCHITECTURES, Architecture},
};

/// A file whose head was read.
pub(crate) struct ModelFile {
    path: PathBuf,
    pub(crate) content: Content,
    pub(crate) reader: BufReader<File>,
    pub(crate) architecture: Architecture,
}

impl ModelFile {
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = path.to_owned();
        let unreadable =
            |error: std::io::Error| ModelError::Unreadable { file: file.clone(), reason: error.to_string() };
        let opened = File::open(path).map_err(unreadable)?;
        if !opened.metadata().map_err(unreadable)?.is_file() {
            return Err(ModelError::Unreadable { file, reason: "is not a file".to_owned() });
        }
        let mut reader = BufReader::new(opened);
        let content = Content::read(&mut reader)
            .map_err(|error| ModelError::NotGguf { file: file.clone(), reason: error.to_string() })?;
        let named = match content.metadata.get("general.architecture") {
            Some(Value::String(named)) => named.as_str(),
            _ => "that it does not name",
        };
        let Some(architecture) = Architecture::named(named) else {
            let usable = ARCHITECTURES.map(Architecture::name).join(", ");
            return Err(ModelError::Architecture { file, architecture: named.to_owned(), usable });
        };
        Ok(Self { path: file, content, reader, architecture })
    }

    /// The longest context of the model as it can be computed here.
    pub(crate) fn most_context(&self) -> Result<usize, ModelError> {
        let key = format!("{}.context_length", self.architecture.name());
        let own = self.number(&key).ok_or_else(|| self.unusable(format!("{key} is missing")))?;
        Ok(self.architecture.most_context().map_or(own, |most| own.min(most)))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.content.metadata.get(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self, key: &str) -> Option<usize> {
        let number = self.content.metadata.get(key)?.to_u64().ok()?;
        usize::try_from(number).ok()
    }

    /// The token of that number, as the file writes it.
    pub(crate) fn token(&self, number: usize) -> Option<&str> {
        match self.content.metadata.get("tokenizer.ggml.tokens")? {
            Value::Array(tokens) => match tokens.get(number)? {
                Value::String(token) => Some(token),
                _ => None,
            },
            _ => None,
        }
    }

    /// What may lie beside it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    pub(crate) fn unusable(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Unusable { file: self.path.clone(), reason: reason.into() }
    }
}
