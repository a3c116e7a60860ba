//! The question, cut into words, numbers, dates, quoted texts and comparison signs.

use chrono::NaiveDate;

use super::words;
use crate::planner::quote;

/// One piece of the question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// Where it starts and ends in the question, in bytes.
    pub(super) span: (usize, usize),
    /// In lower case.
    pub(super) lower: String,
    pub(super) singular: String,
    pub(super) root: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Word,
    /// A number as SQL writes it: digits and at most one point.
    Number(String),
    /// `2025-03-01`
    Date(NaiveDate),
    /// `2025-03`, as its first day.
    Month(NaiveDate),
    /// A text in quotes, without them.
    Quoted(String),
    /// `=`, `<>`, `<`, `<=`, `>`, `>=`
    Sign(&'static str),
    /// A comma, semicolon, colon, or the end of a sentence.
    Pause,
}

impl Token {
    fn new(span: (usize, usize), text: &str, kind: Kind) -> Self {
        let lower = text.to_lowercase();
        let singular = words::singular(&lower);
        let root = words::root(&lower);
        Self { span, lower, singular, root, kind }
    }

    /// A whole number that can be a year.
    pub(super) fn year(&self) -> Option<i32> {
        match &self.kind {
            Kind::Number(number) => year(number),
            _ => None,
        }
    }

    /// A whole number that can be a count of rows or days.
    pub(super) fn count(&self) -> Option<u32> {
        match &self.kind {
            Kind::Number(number) => number.parse().ok(),
            Kind::Word => small_number(&self.lower),
            _ => None,
        }
    }
}

/// The year that a number of four digits can be where a word of time stands before it: "in 1958".
pub(super) fn early_year(number: &str) -> Option<i32> {
    number.parse().ok().filter(|year| number.len() == 4 && (1700..=2100).contains(year))
}

/// The year that a number of four digits can be.
pub(super) fn year(number: &str) -> Option<i32> {
    number.parse().ok().filter(|year| number.len() == 4 && (1970..=2100).contains(year))
}

/// The numbers that people write as words.
pub(super) fn small_number(word: &str) -> Option<u32> {
    let words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    match words.iter().position(|known| *known == word) {
        Some(position) => u32::try_from(position + 1).ok(),
        None if word == "twenty" => Some(20),
        None if word == "hundred" => Some(100),
        None => None,
    }
}

/// Cuts a question into tokens. Every letter and digit of it is in one of them.
pub(super) fn tokenize(question: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = question;
    while let Some(first) = rest.chars().next() {
        let start = question.len() - rest.len();
        let length = match first {
            c if c.is_alphanumeric() => {
                let run = run_of(rest);
                push_run(&mut tokens, start, &rest[..run]);
                run
            }
            // A quote that closes a word is an apostrophe: "the customers' orders".
            c if quote::is_quote(c) && !after_letter(question, start) => match quote::quoted(rest) {
                Some((length, text)) => {
                    let span = (start, start + length);
                    let text = text.trim();
                    tokens.push(Token::new(span, text, Kind::Quoted(text.to_owned())));
                    length
                }
                None => first.len_utf8(),
            },
            '-' if is_negative(question, start) => {
                let run = run_of(&rest[1..]);
                let text = &rest[..=run];
                match number(&text[1..]) {
                    Some(number) => {
                        let span = (start, start + text.len());
                        tokens.push(Token::new(span, text, Kind::Number(format!("-{number}"))));
                        text.len()
                    }
                    None => 1,
                }
            }
            '<' | '>' | '=' | '!' => match sign(rest) {
                Some((length, sign)) => {
                    tokens.push(Token::new((start, start + length), sign, Kind::Sign(sign)));
                    length
                }
                None => first.len_utf8(),
            },
            ',' | ';' | ':' | '.' | '?' => {
                tokens.push(Token::new((start, start + 1), ",", Kind::Pause));
                1
            }
            other => other.len_utf8(),
        };
        rest = &rest[length..];
    }
    while tokens.last().is_some_and(|token| token.kind == Kind::Pause) {
        tokens.pop();
    }
    tokens
}

/// A minus that stands at a number and behind nothing.
fn is_negative(question: &str, at: usize) -> bool {
    let before = question[..at].chars().next_back();
    let digit = question[at + 1..].chars().next().is_some_and(|next| next.is_ascii_digit());
    digit && before.is_none_or(|before| before.is_whitespace() || before == '(')
}

/// The length of the run of characters that hang together: a word, a number, a date, an address.
fn run_of(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    let mut digits_only = true;
    while let Some((position, c)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        let inside = next.is_some_and(char::is_alphanumeric);
        let next_is_digit = next.is_some_and(|next| next.is_ascii_digit());
        let joins = match c {
            c if c.is_alphanumeric() => true,
            ',' => inside && digits_only && groups_thousands(&text[position + 1..]),
            '.' => inside && (!digits_only || next_is_digit),
            '_' | '@' | '\'' | '\u{2019}' => inside,
            '-' => inside,
            _ => false,
        };
        if !joins {
            return position;
        }
        digits_only &= c.is_ascii_digit() || c == ',' || c == '.';
    }
    text.len()
}

/// After a comma inside a number: exactly three digits follow.
fn groups_thousands(rest: &str) -> bool {
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    digits == 3
}

/// Cuts a run into its tokens.
fn push_run(tokens: &mut Vec<Token>, start: usize, run: &str) {
    let whole = (start, start + run.len());
    if let Ok(date) = NaiveDate::parse_from_str(run, "%Y-%m-%d") {
        tokens.push(Token::new(whole, run, Kind::Date(date)));
    } else if let Some(month) = month(run) {
        tokens.push(Token::new(whole, run, Kind::Month(month)));
    } else if let Some(number) = number(run) {
        tokens.push(Token::new(whole, run, Kind::Number(number)));
    } else if run.contains('@') {
        tokens.push(Token::new(whole, run, Kind::Quoted(run.to_owned())));
    } else {
        push_words(tokens, start, run);
    }
}

/// `2025-03`
fn month(run: &str) -> Option<NaiveDate> {
    let (year, month) = run.split_once('-')?;
    (year.len() == 4 && month.len() == 2)
        .then(|| NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1))
        .flatten()
}

/// `1,000.50`, `1.5k`, `2m`, `3rd`: the number as SQL writes it.
fn number(run: &str) -> Option<String> {
    let lower = run.replace(',', "").to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = &lower[digits.len()..];
    let well_formed = (1..=15).contains(&digits.len())
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.matches('.').count() <= 1;
    if !well_formed {
        return None;
    }
    let factor = match suffix {
        "" | "st" | "nd" | "rd" | "th" => return Some(digits.trim_end_matches('.').to_owned()),
        "k" => 1e3,
        "m" | "mn" => 1e6,
        "bn" => 1e9,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|number| (number * factor).to_string())
}

/// Words, split where a name would be split: `order_date`, `orderDate`, `page-view`.
fn push_words(tokens: &mut Vec<Token>, start: usize, run: &str) {
    let mut word_start = None;
    let mut before: Option<char> = None;
    let mut words: Vec<(usize, usize)> = Vec::new();
    for (position, c) in run.char_indices() {
        let is_letter = c.is_alphanumeric() || c == '\'' || c == '\u{2019}';
        let humps = c.is_uppercase() && before.is_some_and(char::is_lowercase);
        if let Some(word) = word_start
            && (!is_letter || humps)
        {
            words.push((word, position));
            word_start = None;
        }
        if is_letter && word_start.is_none() {
            word_start = Some(position);
        }
        before = Some(c);
    }
    words.extend(word_start.map(|word| (word, run.len())));

    let lower = run.to_lowercase();
    if matches!(lower.as_str(), "e-mail" | "e-mails") {
        let joined = lower.replace('-', "");
        tokens.push(Token::new((start, start + run.len()), &joined, Kind::Word));
        return;
    }
    for (from, to) in words {
        let span = (start + from, start + to);
        let word = run[from..to].replace('\u{2019}', "'");
        let lower = word.to_lowercase();
        if let Some(verb) = lower.strip_suffix("n't") {
            let verb = if verb == "ca" { "can" } else { verb };
            tokens.push(Token::new(span, verb, Kind::Word));
            tokens.push(Token::new(span, "not", Kind::Word));
        } else {
            let stem = ["'s", "'re", "'ve", "'ll", "'d", "'m", "'"]
                .iter()
                .find_map(|ending| lower.strip_suffix(ending))
                .unwrap_or(&lower);
            tokens.push(Token::new(span, stem, Kind::Word));
        }
    }
}

fn after_letter(question: &str, start: usize) -> bool {
    question[..start].chars().next_back().is_some_and(char::is_alphanumeric)
}

fn sign(rest: &str) -> Option<(usize, &'static str)> {
    [("<=", "<="), (">=", ">="), ("<>", "<>"), ("!=", "<>"), ("==", "="), ("<", "<"), (">", ">"), ("=", "=")]
        .into_iter()
        .find_map(|(text, sign)| rest.starts_with(text).then_some((text.len(), sign)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lower(question: &str) -> Vec<String> {
        tokenize(question).into_iter().map(|token| token.lower).collect()
    }

    #[test]
    fn words_are_split_like_names() {
        assert_eq!(lower("order_date, pageView e-mails?"), ["order", "date", ",", "page", "view", "emails"]);
        assert_eq!(lower("the customers' city isn't what's"), ["the", "customers", "city", "is", "not", "what"]);
        assert_eq!(lower("orders.amount"), ["orders", "amount"]);
    }

    #[test]
    fn numbers_dates_and_quotes_are_read() {
        let kinds: Vec<Kind> = tokenize("1,000.50 $1.5k 2025-03-01 2025-03 'a b' >= a@b.org 10th")
            .into_iter()
            .map(|token| token.kind)
            .collect();
        let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
        assert_eq!(
            kinds,
            [
                Kind::Number("1000.50".into()),
                Kind::Number("1500".into()),
                Kind::Date(day(2025, 3, 1)),
                Kind::Month(day(2025, 3, 1)),
                Kind::Quoted("a b".into()),
                Kind::Sign(">="),
                Kind::Quoted("a@b.org".into()),
                Kind::Number("10".into()),
            ]
        );
    }

    #[test]
    fn spans_point_into_the_question() {
        let question = "Größe 'x' naïve_Ünicode";
        for token in tokenize(question) {
            assert!(question.get(token.span.0..token.span.1).is_some());
        }
    }
}
