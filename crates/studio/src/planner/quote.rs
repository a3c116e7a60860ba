//! Texts in quotes: values, in which no word is one of the question.

/// A text in quotes at the start: its length with the quotes, and the text. `None` where no quote opens, or none closes it.
pub(crate) fn quoted(text: &str) -> Option<(usize, &str)> {
    let open = text.chars().next()?;
    let close: &[char] = match open {
        '"' => &['"'],
        '\'' => &['\''],
        '\u{201c}' | '\u{201d}' => &['\u{201d}'],
        '\u{201e}' => &['\u{201c}', '\u{201d}'],
        '\u{2018}' => &['\u{2019}'],
        '\u{201a}' => &['\u{2018}', '\u{2019}'],
        '\u{ab}' => &['\u{bb}'],
        _ => return None,
    };
    let inside = &text[open.len_utf8()..];
    let length = inside.find(close)?;
    let close = inside[length..].chars().next()?;
    let quoted = &inside[..length];
    (!quoted.trim().is_empty()).then_some((open.len_utf8() + length + close.len_utf8(), quoted))
}

/// Whether the character opens or closes a quote.
pub(crate) fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quote_closes_with_its_own() {
        for text in ["\"EU\" b", "'EU' b", "“EU” b", "„EU“ b", "„EU” b", "‘EU’ b", "‚EU‘ b", "«EU» b"]
        {
            let (length, inside) = quoted(text).unwrap();
            assert_eq!((&text[length..], inside), (" b", "EU"), "{text}");
        }
        for text in ["EU", "\"EU", "“EU\"", "\"\"", "' '"] {
            assert_eq!(quoted(text), None, "{text}");
        }
    }
}
