//! Colours, and how well they are told apart (WCAG 2.2, contrast ratio).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What text must have against what it stands on (WCAG 2.2, 1.4.3).
const LEGIBLE: f64 = 4.5;

/// A colour of sRGB, written `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color([u8; 3]);

impl Color {
    pub const WHITE: Self = Self::new(255, 255, 255);
    pub const BLACK: Self = Self::new(0, 0, 0);

    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// Of text on it: black or white. One of them is always legible.
    pub fn text_on(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) { Self::WHITE } else { Self::BLACK }
    }

    /// Under the pointer: a little further from its text.
    pub fn pointed_at(self) -> Self {
        let away = if self.text_on() == Self::WHITE { Self::BLACK } else { Self::WHITE };
        self.mixed(away, 15)
    }

    /// The colour itself where it is legible on that surface, else the nearest shade that is.
    pub fn legible_on(self, surface: Self) -> Self {
        let towards = surface.text_on();
        let mut shades = (0..20).map(|step| self.mixed(towards, step * 5));
        shades.find(|shade| shade.contrast(surface) >= LEGIBLE).unwrap_or(towards)
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance() + 0.05, other.luminance() + 0.05);
        one.max(other) / one.min(other)
    }

    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn mixed(self, other: Self, percent: u16) -> Self {
        let mixed = |at: usize| {
            let sum = u16::from(self.0[at]) * (100 - percent) + u16::from(other.0[at]) * percent;
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        Self(std::array::from_fn(mixed))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl From<Color> for String {
    fn from(color: Color) -> Self {
        color.to_string()
    }
}

impl TryFrom<String> for Color {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "is not a colour such as #0b7285";
        let digits = text.strip_prefix('#').ok_or(WRONG)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).map_err(|_| WRONG)?.to_be_bytes();
        Ok(Self::new(red, green, blue))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_legible_whatever_the_colour(channels: [u8; 3]) {
            let color = Color(channels);
            prop_assert!(color.contrast(color.text_on()) >= LEGIBLE);
            prop_assert!(color.pointed_at().contrast(color.text_on()) >= LEGIBLE);
            for surface in [Color::WHITE, Color::new(0x14, 0x1c, 0x25)] {
                prop_assert!(color.legible_on(surface).contrast(surface) >= LEGIBLE);
            }
            prop_assert_eq!(Color::try_from(color.to_string()), Ok(color));
        }
    }

    #[test]
    fn what_is_legible_stays_and_what_is_not_comes_near() {
        let navy = Color::new(0x08, 0x4c, 0x91);
        assert_eq!((navy.text_on(), navy.legible_on(Color::WHITE)), (Color::WHITE, navy));
        let yellow = Color::new(0xff, 0xd4, 0x00);
        assert_eq!(yellow.text_on(), Color::BLACK);
        assert!(yellow.legible_on(Color::WHITE) != yellow && yellow.legible_on(Color::BLACK) == yellow);
    }

    /// What the console's preview reckons, too: its test reads the same table.
    #[test]
    fn shades_are_those_of_the_table() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Shades {
            accent: Color,
            text: Color,
            pointed_at: Color,
            light: Color,
            dark: Color,
        }
        let table: Vec<Shades> = serde_json::from_str(include_str!("shades.json")).unwrap();
        assert!(!table.is_empty());
        for expected in table {
            let accent = expected.accent;
            let reckoned = Shades {
                accent,
                text: accent.text_on(),
                pointed_at: accent.pointed_at(),
                light: accent.legible_on(Color::WHITE),
                dark: accent.legible_on(Color::new(0x14, 0x1c, 0x25)),
            };
            assert_eq!(reckoned, expected);
        }
    }

    #[test]
    fn only_six_digits_are_a_colour() {
        assert_eq!(Color::try_from("#0B7285".to_owned()).map(String::from), Ok("#0b7285".to_owned()));
        for wrong in ["", "#", "0b7285", "#fff", "#0b72855", "#0b728g", "#+b7285", "red", "#0b72é"] {
            assert!(Color::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
