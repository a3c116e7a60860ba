//! Oracle's values, as they travel, in the texts that batches are made of.

use std::fmt::Write;

/// The types that a client meets whose statements ask for no other; their numbers are the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// In UTF-16.
    NationalText,
    Bytes,
    Number,
    Moment,
    Float,
    Double,
    /// A large object, which is asked for as one of the first three.
    Large,
}

/// The form of a text: the database's, or the national one.
const NATIONAL: u8 = 2;

impl Kind {
    pub fn of(number: u8, form: u8) -> Option<Self> {
        Some(match number {
            1 | 8 | 96 if form == NATIONAL => Self::NationalText,
            1 | 8 | 96 => Self::Text,
            2 | 3 => Self::Number,
            12 | 180 | 181 | 231 => Self::Moment,
            23 | 24 => Self::Bytes,
            100 => Self::Float,
            101 => Self::Double,
            112 | 113 => Self::Large,
            _ => return None,
        })
    }

    /// The value as a text, or as its bytes; `None` where it is none.
    pub fn read<'a>(self, raw: &'a [u8], text: &'a mut String) -> Option<&'a [u8]> {
        text.clear();
        match self {
            Self::Text | Self::Bytes => return Some(raw),
            Self::NationalText => {
                if !raw.len().is_multiple_of(2) {
                    return None;
                }
                let units = raw.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
                for character in char::decode_utf16(units) {
                    text.push(character.ok()?);
                }
            }
            Self::Number => number(raw, text)?,
            Self::Moment => moment(raw, text)?,
            Self::Float => {
                let bits = ordered(*raw.first_chunk::<4>()?);
                write!(text, "{:e}", f32::from_be_bytes(bits)).ok()?;
            }
            Self::Double => {
                let bits = ordered(*raw.first_chunk::<8>()?);
                write!(text, "{:e}", f64::from_be_bytes(bits)).ok()?;
            }
            Self::Large => return None,
        }
        Some(text.as_bytes())
    }
}

/// Fractions travel so that their bytes are in the order of their values: the sign is turned, and all of a negative one.
fn ordered<const N: usize>(bytes: [u8; N]) -> [u8; N] {
    let mut bits = bytes;
    if bits[0] & 0x80 != 0 {
        bits[0] &= 0x7f;
    } else {
        bits.iter_mut().for_each(|byte| *byte = !*byte);
    }
    bits
}

/// An exponent and digits of base 100. Of a negative number all are turned, and a byte of 102 ends it.
fn number(raw: &[u8], text: &mut String) -> Option<()> {
    let (&first, mut digits) = raw.split_first()?;
    let positive = first & 0x80 != 0;
    if digits.is_empty() {
        // Zero; as a negative one it is minus infinity.
        return positive.then(|| text.push('0'));
    }
    // 193 stands for one pair of digits before the point.
    let exponent = if positive { i32::from(first) - 193 } else { 62 - i32::from(first) };
    if !positive {
        digits = digits.strip_suffix(&[102]).unwrap_or(digits);
        text.push('-');
    }
    if digits.len() > 21 {
        return None;
    }
    let pair = |byte: u8| {
        let value = if positive { byte.checked_sub(1)? } else { 101_u8.checked_sub(byte)? };
        (value < 100).then_some(value)
    };
    let before = exponent + 1;
    if before <= 0 {
        text.push_str("0.");
        (before..0).for_each(|_| text.push_str("00"));
    }
    for (place, &byte) in (0_i32..).zip(digits) {
        if place == before && before > 0 {
            text.push('.');
        }
        let value = pair(byte)?;
        // Nobody writes a zero before a number.
        match place == 0 && before > 0 {
            true => write!(text, "{value}").ok()?,
            false => write!(text, "{value:02}").ok()?,
        }
    }
    let written = i32::try_from(digits.len()).ok()?;
    (written..before).for_each(|_| text.push_str("00"));
    Some(())
}

/// A date: century and year, month, day, hour, minute, second, with something added to each; then perhaps nanoseconds, and
/// a zone, in which nothing is told: the rest is in UTC. Finer parts than microseconds are cut off.
fn moment(raw: &[u8], text: &mut String) -> Option<()> {
    let &[century, year, month, day, hour, minute, second] = raw.first_chunk()?;
    let year = (i32::from(century) - 100) * 100 + i32::from(year) - 100;
    let time = [hour, minute, second].map(|part| part.checked_sub(1));
    let [Some(hour), Some(minute), Some(second)] = time else { return None };
    // Before the year 1 the calendars part.
    if year < 1 {
        return None;
    }
    write!(text, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").ok()?;
    if let Some(nanos) = raw.get(7..11).and_then(|part| part.first_chunk()) {
        write!(text, ".{:06}", u32::from_be_bytes(*nanos) / 1_000).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, raw: &[u8]) -> Option<String> {
        let mut text = String::new();
        kind.read(raw, &mut text).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn numbers_keep_every_digit() {
        for (raw, number) in [
            (&[0x80][..], "0"),
            (&[0xc1, 0x02], "1"),
            (&[0xc1, 0x64], "99"),
            (&[0xc2, 0x02], "100"),
            (&[0xc2, 0x0d, 0x23, 0x39], "1234.56"),
            (&[0x3e, 0x64, 0x66], "-1"),
            (&[0x3d, 0x59, 0x43, 0x2d, 0x66], "-1234.56"),
            (&[0xc0, 0x02], "0.01"),
            (&[0xc0, 0x0b], "0.10"),
            (&[0xbf, 0x02], "0.0001"),
            (&[0x3f, 0x5b, 0x66], "-0.10"),
            (&[0xc3, 0x02, 0x01, 0x0b], "10010"),
            (&[0xc3, 0x02, 0x01, 0x01, 0x0b], "10000.10"),
        ] {
            assert_eq!(read(Kind::Number, raw).as_deref(), Some(number), "{raw:x?}");
        }
        for none in [&[][..], &[0], &[0xc1, 0], &[0xc1, 0xff], &[0xc1; 40]] {
            assert_eq!(read(Kind::Number, none), None, "{none:x?}");
        }
    }

    #[test]
    fn moments_and_fractions_are_read() {
        let noon = [120, 124, 2, 29, 13, 1, 1];
        assert_eq!(read(Kind::Moment, &noon).unwrap(), "2024-02-29 12:00:00");
        let finer = [&noon[..], &123_456_789_u32.to_be_bytes()].concat();
        assert_eq!(read(Kind::Moment, &finer).unwrap(), "2024-02-29 12:00:00.123456");
        assert_eq!(read(Kind::Moment, &[&finer[..], &[20, 60]].concat()).unwrap(), "2024-02-29 12:00:00.123456");
        assert_eq!(read(Kind::Moment, &[120, 124, 2, 29, 0, 1, 1]), None);
        assert_eq!(read(Kind::Moment, &[1, 2]), None);
        assert_eq!(read(Kind::Double, &[0xbf, 0xf8, 0, 0, 0, 0, 0, 0]).unwrap(), "1.5e0");
        assert_eq!(read(Kind::Double, &[0x40, 0x07, 255, 255, 255, 255, 255, 255]).unwrap(), "-1.5e0");
        assert_eq!(read(Kind::Float, &[0xbf, 0xc0, 0, 0]).unwrap(), "1.5e0");
        assert_eq!(read(Kind::Float, &[0xbf]), None);
        assert_eq!(read(Kind::NationalText, &[0, b'a', 0xd8, 0x3d, 0xde, 0]).unwrap(), "a\u{1f600}");
        assert_eq!(read(Kind::NationalText, &[0xd8, 0x3d]), None);
    }
}
