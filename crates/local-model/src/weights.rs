//! The weights of a model and what it remembers of the conversation so far, of whichever architecture.

use candle_core::{
    Device, Tensor,
    quantized::gguf_file::{Content, Value},
};
use candle_transformers::models::{quantized_llama, quantized_qwen2, quantized_qwen3};

use crate::{error::ModelError, file::ModelFile};

/// A family of models that are computed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// Llama 2 and 3, Mistral, and others that were made like them.
    Llama,
    Qwen2,
    Qwen3,
}

pub(crate) const ARCHITECTURES: [Architecture; 3] = [Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3];

impl Architecture {
    /// As GGUF files write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        ARCHITECTURES.into_iter().find(|architecture| architecture.name() == name)
    }

    /// Where what computes it ends before the model does.
    pub(crate) fn most_context(self) -> Option<usize> {
        match self {
            Self::Llama => Some(quantized_llama::MAX_SEQ_LEN),
            Self::Qwen2 | Self::Qwen3 => None,
        }
    }
}

pub(crate) enum Weights {
    Llama(quantized_llama::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
}

impl Weights {
    /// Reads them into memory, for conversations of so many tokens.
    pub(crate) fn load(mut file: ModelFile, context_tokens: usize) -> Result<Self, ModelError> {
        let architecture = file.architecture;
        let magic = file.content.magic;
        let empty =
            Content { magic, metadata: Default::default(), tensor_infos: Default::default(), tensor_data_offset: 0 };
        let mut content = std::mem::replace(&mut file.content, empty);
        // Angles are computed for every place beforehand: for those that are used.
        if let Ok(places) = u32::try_from(context_tokens) {
            content.metadata.insert(format!("{}.context_length", architecture.name()), Value::U32(places));
        }
        // In full: half as many bits would put places far from the beginning onto each other.
        content.metadata.insert("general.dtype".to_owned(), Value::U32(0));
        let (reader, device) = (&mut file.reader, &Device::Cpu);
        let loaded = match architecture {
            Architecture::Llama => quantized_llama::ModelWeights::from_gguf(content, reader, device).map(Self::Llama),
            Architecture::Qwen2 => quantized_qwen2::ModelWeights::from_gguf(content, reader, device).map(Self::Qwen2),
            Architecture::Qwen3 => quantized_qwen3::ModelWeights::from_gguf(content, reader, device).map(Self::Qwen3),
        };
        loaded.map_err(|error| file.unusable(error.to_string()))
    }

    /// The next conversation is another.
    pub(crate) fn forget(&mut self) {
        match self {
            Self::Llama(weights) => weights.clear_kv_cache(),
            Self::Qwen2(weights) => weights.clear_kv_cache(),
            Self::Qwen3(weights) => weights.clear_kv_cache(),
        }
    }

    /// Reads tokens that come after so many others: how likely each token is to be the next.
    pub(crate) fn read(&mut self, tokens: &[u32], after: usize) -> candle_core::Result<Vec<f32>> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = match self {
            Self::Llama(weights) => weights.forward(&input, after)?,
            Self::Qwen2(weights) => weights.forward(&input, after)?,
            Self::Qwen3(weights) => weights.forward(&input, after)?,
        };
        logits.squeeze(0)?.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>()
    }
}
