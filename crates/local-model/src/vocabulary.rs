//! The tokens of a model: text to tokens, tokens to text, and which of them a grammar leaves.

use candle_core::quantized::tokenizer::TokenizerFromGguf;
use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    earley::SlicedBiasComputer,
    toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie},
};
use std::sync::Arc;
use tokenizers::Tokenizer;

use crate::{error::ModelError, file::ModelFile};

/// What one mask of tokens may cost; a grammar with the names of a large schema in it takes more than most.
const MOST_WORK_FOR_A_MASK: u64 = 5_000_000;

pub(crate) struct Vocabulary {
    /// Knows the marks of a conversation, as the template writes them.
    markup: Tokenizer,
    /// Takes the same marks for text: nobody says something that ends their turn.
    data: Tokenizer,
    factory: ParserFactory,
}

impl Vocabulary {
    pub(crate) fn of(file: &ModelFile) -> Result<Self, ModelError> {
        let markup = tokenizer(file)?;
        let mut data = markup.clone();
        data.set_encode_special_tokens(true);
        let factory = factory(file, &markup).map_err(|reason| file.unusable(format!("its tokenizer: {reason}")))?;
        Ok(Self { markup, data, factory })
    }

    pub(crate) fn markup(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        Ok(self.markup.encode_fast(text, false)?.get_ids().to_vec())
    }

    pub(crate) fn data(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        Ok(self.data.encode_fast(text, false)?.get_ids().to_vec())
    }

    /// Knows which tokens may come next in JSON of the schema.
    pub(crate) fn matcher(&self, schema: serde_json::Value) -> Matcher {
        Matcher::new(self.factory.create_parser(TopLevelGrammar::from_json_schema(schema)))
    }

    pub(crate) fn ends(&self, token: u32) -> bool {
        self.trie().eos_tokens().contains(&token)
    }

    /// The text of tokens that a matcher took.
    pub(crate) fn text(&self, tokens: &[u32]) -> Result<String, std::string::FromUtf8Error> {
        String::from_utf8(self.trie().decode(tokens))
    }

    fn trie(&self) -> &TokTrie {
        self.factory.tok_env().tok_trie()
    }
}

/// The file's own, or the one beside it.
fn tokenizer(file: &ModelFile) -> Result<Tokenizer, ModelError> {
    let own = match Tokenizer::from_gguf(&file.content) {
        Ok(own) => return Ok(own),
        Err(error) => error,
    };
    let beside = file.beside("tokenizer.json");
    if !beside.exists() {
        return Err(file.unusable(format!("its tokenizer: {own}, and there is no tokenizer.json beside it")));
    }
    Tokenizer::from_file(&beside).map_err(|error| ModelError::Unusable {
        file: beside,
        reason: format!("is no tokenizer that can be read: {error}"),
    })
}

fn factory(file: &ModelFile, tokenizer: &Tokenizer) -> Result<ParserFactory, String> {
    let written = tokenizer.to_string(false).map_err(|error| error.to_string())?;
    let written: serde_json::Value = serde_json::from_str(&written).map_err(|error| error.to_string())?;
    let bytes = llguidance::token_bytes_from_tokenizer_json(&written).map_err(|error| error.to_string())?;
    let ends: Vec<u32> = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"]
        .iter()
        .filter_map(|key| u32::try_from(file.number(key)?).ok())
        .filter(|end| usize::try_from(*end).is_ok_and(|end| end < bytes.len()))
        .collect();
    let Some(&end) = ends.first() else { return Err("it has no token that ends an answer".to_owned()) };
    let size = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
    let trie = TokTrie::from(&TokRxInfo::new(size, end), &bytes).with_eos_tokens(&ends);
    let tokens: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let slices = SlicedBiasComputer::general_slices();
    let mut factory =
        ParserFactory::new(&tokens, InferenceCapabilities::default(), &slices).map_err(|error| error.to_string())?;
    factory.quiet();
    let limits = factory.limits_mut();
    limits.step_lexer_fuel = MOST_WORK_FOR_A_MASK;
    // What was written so far is nothing for errors.
    limits.verbose_errors = false;
    Ok(factory)
}
