//! Models of some kilobytes, for tests: files of the same form as those of people's models, with nothing in them.

use std::{fs::File, io, path::Path};

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor, gguf_file, gguf_file::Value},
};
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, pre_tokenizers::byte_level::ByteLevel,
};

/// As models of Qwen's and many others are spoken to.
const TEMPLATE: &str = "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}\
    {%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}";

const SPECIAL: [&str; 3] = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];

/// A model to be written.
#[derive(Debug, Clone)]
pub struct Tiny {
    /// `llama`, `qwen2` or `qwen3`.
    pub architecture: &'static str,
    pub context: u32,
    /// In the place of the usual one.
    pub template: Option<&'static str>,
    pub knows: Knows,
}

/// What is in its weights.
#[derive(Debug, Clone)]
pub enum Knows {
    /// Numbers without a meaning, others for another number here.
    Nothing(u16),
    /// To answer with these pieces of text one after the other, whatever it is asked, and then the last of them again and again.
    Answer(Vec<String>),
}

impl Tiny {
    /// One of numbers without a meaning.
    pub fn random(architecture: &'static str, seed: u16) -> Self {
        Self { architecture, context: 4096, template: None, knows: Knows::Nothing(seed) }
    }

    /// One with an answer.
    pub fn knowing(architecture: &'static str, pieces: &[&str]) -> Self {
        let pieces = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        Self { architecture, context: 4096, template: None, knows: Knows::Answer(pieces) }
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let pieces: &[String] = match &self.knows {
            Knows::Nothing(_) => &[],
            Knows::Answer(pieces) => pieces,
        };
        let vocabulary = Vocabulary::with(pieces);
        let shape = Shape::of(&self.knows);
        let tensors = self.tensors(&vocabulary, &shape).map_err(io::Error::other)?;
        let metadata = self.metadata(&vocabulary, &shape);
        let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        gguf_file::write(&mut File::create(path)?, &metadata, &tensors).map_err(io::Error::other)
    }

    fn metadata(&self, vocabulary: &Vocabulary, shape: &Shape) -> Vec<(String, Value)> {
        let own = |key: &str| format!("{}.{key}", self.architecture);
        let number = |number: usize| Value::U32(u32::try_from(number).unwrap_or(u32::MAX));
        let text = |text: &str| Value::String(text.to_owned());
        let tokens = vocabulary.tokens.iter().map(|token| text(token)).collect();
        // 1: a text, 3: a mark.
        let kinds =
            vocabulary.tokens.iter().map(|token| Value::I32(if SPECIAL.contains(&token.as_str()) { 3 } else { 1 }));
        vec![
            ("general.architecture".to_owned(), text(self.architecture)),
            (own("context_length"), Value::U32(self.context)),
            (own("embedding_length"), number(shape.width)),
            (own("block_count"), number(shape.layers)),
            (own("feed_forward_length"), number(shape.inner)),
            (own("attention.head_count"), number(shape.heads)),
            (own("attention.head_count_kv"), number(shape.heads)),
            (own("attention.key_length"), number(shape.width / shape.heads)),
            (own("attention.layer_norm_rms_epsilon"), Value::F32(1e-6)),
            (own("rope.dimension_count"), number(shape.width / shape.heads)),
            (own("rope.freq_base"), Value::F32(10_000.0)),
            ("tokenizer.ggml.model".to_owned(), text("gpt2")),
            ("tokenizer.ggml.pre".to_owned(), text("qwen2")),
            ("tokenizer.ggml.tokens".to_owned(), Value::Array(tokens)),
            ("tokenizer.ggml.token_type".to_owned(), Value::Array(kinds.collect())),
            ("tokenizer.ggml.merges".to_owned(), Value::Array(Vec::new())),
            ("tokenizer.ggml.eos_token_id".to_owned(), number(vocabulary.number("<|im_end|>"))),
            ("tokenizer.chat_template".to_owned(), text(self.template.unwrap_or(TEMPLATE))),
        ]
    }

    fn tensors(&self, vocabulary: &Vocabulary, shape: &Shape) -> candle_core::Result<Vec<(String, QTensor)>> {
        let (width, inner, size) = (shape.width, shape.inner, vocabulary.tokens.len());
        let mut filling = Filling { knows: &self.knows, made: 0 };
        let (embeddings, output) = match &self.knows {
            Knows::Nothing(_) => (filling.matrix(size, width)?, filling.matrix(size, width)?),
            Knows::Answer(pieces) => (themselves(vocabulary, pieces, width)?, follows(vocabulary, pieces, width)?),
        };
        let mut tensors = vec![
            ("token_embd.weight".to_owned(), embeddings),
            ("output.weight".to_owned(), output),
            ("output_norm.weight".to_owned(), ones(width)?),
        ];
        for layer in 0..shape.layers {
            let mut add = |name: &str, tensor| tensors.push((format!("blk.{layer}.{name}"), tensor));
            for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
                add(&format!("{name}.weight"), filling.matrix(width, width)?);
            }
            add("attn_norm.weight", ones(width)?);
            add("ffn_norm.weight", ones(width)?);
            add("ffn_gate.weight", filling.matrix(inner, width)?);
            add("ffn_up.weight", filling.matrix(inner, width)?);
            add("ffn_down.weight", filling.matrix(width, inner)?);
            for name in ["attn_q", "attn_k", "attn_v"].iter().filter(|_| self.architecture == "qwen2") {
                add(&format!("{name}.bias"), ones(width)?);
            }
            for name in ["attn_q_norm", "attn_k_norm"].iter().filter(|_| self.architecture == "qwen3") {
                add(&format!("{name}.weight"), ones(width / shape.heads)?);
            }
        }
        Ok(tensors)
    }
}

/// How large its parts are. Quantized rows are made of blocks of 32.
struct Shape {
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
}

impl Shape {
    fn of(knows: &Knows) -> Self {
        match knows {
            Knows::Nothing(_) => Self { width: 64, inner: 64, layers: 2, heads: 2 },
            // A place for each piece, and for what stands before the first.
            Knows::Answer(pieces) => {
                Self { width: (pieces.len() + 1).next_multiple_of(32), inner: 32, layers: 1, heads: 1 }
            }
        }
    }
}

struct Vocabulary {
    tokens: Vec<String>,
}

impl Vocabulary {
    /// Every byte, the marks, and further texts, which are only ever written: nothing that is read becomes one of them.
    fn with(pieces: &[String]) -> Self {
        let mut tokens: Vec<String> = ByteLevel::alphabet().into_iter().map(String::from).collect();
        tokens.sort_unstable();
        tokens.extend(SPECIAL.map(str::to_owned));
        for piece in pieces.iter().map(|piece| as_token(piece)) {
            if !tokens.contains(&piece) {
                tokens.push(piece);
            }
        }
        Self { tokens }
    }

    fn number(&self, token: &str) -> usize {
        self.tokens.iter().position(|known| known == token).unwrap_or_default()
    }
}

/// A text as vocabularies of bytes write it.
fn as_token(text: &str) -> String {
    let mut split = PreTokenizedString::from(text);
    // It has no way to fail.
    let _ = ByteLevel::new(false, false, false).pre_tokenize(&mut split);
    split.get_splits(OffsetReferential::Original, OffsetType::Byte).into_iter().map(|(piece, _, _)| piece).collect()
}

/// What the layers are made of: nothing that changes an answer that is known, or anything.
struct Filling<'a> {
    knows: &'a Knows,
    made: u16,
}

impl Filling<'_> {
    fn matrix(&mut self, rows: usize, columns: usize) -> candle_core::Result<QTensor> {
        self.made += 1;
        let made = f32::from(self.made);
        let numbers = match self.knows {
            Knows::Answer(_) => vec![0.0; rows * columns],
            Knows::Nothing(seed) => {
                let mut at = f32::from(*seed) * 0.37 + made * 11.3;
                let mut next = || {
                    at += 1.234_567;
                    (at * 12.9898).sin() * 0.5
                };
                (0..rows * columns).map(|_| next()).collect()
            }
        };
        QTensor::quantize(&Tensor::from_vec(numbers, (rows, columns), &Device::Cpu)?, GgmlDType::Q8_0)
    }
}

fn ones(length: usize) -> candle_core::Result<QTensor> {
    QTensor::quantize(&Tensor::from_vec(vec![1.0_f32; length], length, &Device::Cpu)?, GgmlDType::F32)
}

/// Each piece of the answer, and what comes before the first, is itself and nothing else; nothing else is anything.
fn themselves(vocabulary: &Vocabulary, pieces: &[String], width: usize) -> candle_core::Result<QTensor> {
    let size = vocabulary.tokens.len();
    let mut numbers = vec![0.0_f32; size * width];
    for (place, token) in course(vocabulary, pieces).into_iter().enumerate() {
        numbers[token * width + place] = 1.0;
    }
    QTensor::quantize(&Tensor::from_vec(numbers, (size, width), &Device::Cpu)?, GgmlDType::F32)
}

/// Which token comes after which.
fn follows(vocabulary: &Vocabulary, pieces: &[String], width: usize) -> candle_core::Result<QTensor> {
    let size = vocabulary.tokens.len();
    let course = course(vocabulary, pieces);
    let mut weights = vec![0.0_f32; size * width];
    for (place, token) in course.iter().skip(1).chain(course.last()).enumerate() {
        weights[token * width + place] = 1.0;
    }
    QTensor::quantize(&Tensor::from_vec(weights, (size, width), &Device::Cpu)?, GgmlDType::F32)
}

/// The end of what stands before an answer, and then its pieces.
fn course(vocabulary: &Vocabulary, pieces: &[String]) -> Vec<usize> {
    std::iter::once("\n")
        .chain(pieces.iter().map(String::as_str))
        .map(|text| vocabulary.number(&as_token(text)))
        .collect()
}
