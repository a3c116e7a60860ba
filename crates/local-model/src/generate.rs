//! From a conversation to an answer, one token after the other.

use crate::{
    Answer,
    error::AskError,
    weights::Weights,
    worker::{Job, Opened},
};
use llguidance::toktrie::SimpleVob;

/// How many tokens are read at once. Fewer, and reading takes longer; more, and so does leaving an asker who has gone.
const AT_ONCE: usize = 64;

/// The rest of a conversation is read in stretches of so many, and then one by one: what is kept for each length of a stretch
/// at each place stays small.
const AT_ONCE_OF_REST: usize = 8;

/// The answer; `None` where nobody waits for it any more. What it takes is added up in the job.
pub(crate) fn answer(opened: &Opened, weights: &mut Weights, job: &mut Job) -> Result<Option<Answer>, AskError> {
    let (settings, vocabulary) = (&opened.settings, &opened.vocabulary);
    let said = std::mem::take(&mut job.said);
    let read = opened.template.tokens(said, vocabulary).map_err(AskError::Failed)?;
    let room = settings.context_tokens.saturating_sub(settings.answer_tokens);
    if read.len() > room {
        return Err(AskError::TooLong { tokens: read.len(), room });
    }
    let mut matcher = vocabulary.matcher(std::mem::take(&mut job.schema));
    if let Some(reason) = matcher.get_error() {
        return Err(AskError::Grammar(reason));
    }
    weights.forget();
    let mut written: Vec<u32> = Vec::new();
    let mut logits = Vec::new();
    let mut at = 0;
    for stretch in stretches(&read) {
        if job.reply.is_closed() {
            return Ok(None);
        }
        logits = weights.read(stretch, at).map_err(failed)?;
        at += stretch.len();
        job.spent.add(stretch.len());
    }
    while !matcher.is_stopped() {
        if job.reply.is_closed() {
            return Ok(None);
        }
        if written.len() == settings.answer_tokens {
            return Err(AskError::CutOff { tokens: job.spent.tokens() });
        }
        let left = matcher.compute_mask().map_err(failed)?;
        let Some(token) = likeliest(&logits, &left) else {
            return Err(AskError::Failed("it has no token that the answer could go on with".to_owned()));
        };
        matcher.consume_token(token).map_err(failed)?;
        if vocabulary.ends(token) {
            break;
        }
        written.push(token);
        opened.wrote_token();
        job.spent.add(1);
        if !matcher.is_stopped() {
            logits = weights.read(&[token], at).map_err(failed)?;
            at += 1;
        }
    }
    if let Some(reason) = matcher.get_error() {
        return Err(AskError::Failed(reason));
    }
    let text = vocabulary.text(&written).map_err(failed)?;
    Ok(Some(Answer { text, tokens: job.spent.tokens() }))
}

/// Lengths and places that come again, so that what the weights keep for them is kept once.
fn stretches(tokens: &[u32]) -> impl Iterator<Item = &[u32]> {
    let most = tokens.len() - tokens.len() % AT_ONCE;
    let (first, rest) = tokens.split_at(most);
    let most_of_rest = rest.len() - rest.len() % AT_ONCE_OF_REST;
    let (rest, single) = rest.split_at(most_of_rest);
    first.chunks(AT_ONCE).chain(rest.chunks(AT_ONCE_OF_REST)).chain(single.chunks(1))
}

/// Of the tokens that are left; of equally likely ones the first.
fn likeliest(logits: &[f32], left: &SimpleVob) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    left.iter_set_entries(|token| {
        let likelihood = logits.get(token).copied().filter(|logit| !logit.is_nan()).unwrap_or(f32::NEG_INFINITY);
        if let Ok(token) = u32::try_from(token)
            && best.is_none_or(|(_, most)| likelihood > most)
        {
            best = Some((token, likelihood));
        }
    });
    best.map(|(token, _)| token)
}

fn failed(error: impl std::fmt::Display) -> AskError {
    AskError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_read_in_whole_stretches_of_few_lengths() {
        for length in [0, 1, 7, 8, 63, 64, 65, 200] {
            let tokens: Vec<u32> = (0..length).collect();
            let read: Vec<&[u32]> = stretches(&tokens).collect();
            assert_eq!(read.concat(), tokens);
            let mut at = 0;
            for stretch in read {
                assert!([1, AT_ONCE_OF_REST, AT_ONCE].contains(&stretch.len()) && at % stretch.len() == 0, "{length}");
                at += stretch.len();
            }
        }
    }

    #[test]
    fn what_is_not_left_or_not_a_number_is_not_chosen() {
        let left = |tokens: &[bool]| SimpleVob::from_slice(tokens);
        assert_eq!(likeliest(&[1.0, 9.0, 2.0, 2.0], &left(&[true, false, true, true])), Some(2));
        assert_eq!(likeliest(&[f32::NAN, 0.0], &left(&[true, true])), Some(1));
        assert_eq!(likeliest(&[f32::NAN], &left(&[true])), Some(0));
        assert_eq!(likeliest(&[1.0], &left(&[false])), None);
    }
}
