//! A message in the making: bytes, integers and values, each with its length before it.

/// Chunks that longer values are sent in.
const CHUNK: usize = 32_767;
/// Shorter values have their length in one byte before them.
const LONGEST_SHORT: usize = 252;
/// Before chunks, in the place of a length.
pub(super) const LONG: u8 = 254;

/// A message in the making.
#[derive(Default)]
pub(in crate::oracle) struct Message(pub(super) Vec<u8>);

impl Message {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn integer(&mut self, value: u32) {
        let bytes = value.to_be_bytes();
        let bytes = match value {
            0 => &[],
            1..=0xff => &bytes[3..],
            0x100..=0xffff => &bytes[2..],
            _ => &bytes[..],
        };
        self.byte(bytes.len() as u8);
        self.bytes(bytes);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.integer(u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// A value with its length before it.
    pub fn value(&mut self, value: &[u8]) {
        if value.len() <= LONGEST_SHORT {
            self.byte(value.len() as u8);
            return self.bytes(value);
        }
        self.byte(LONG);
        for chunk in value.chunks(CHUNK) {
            self.length(chunk.len());
            self.bytes(chunk);
        }
        self.integer(0);
    }

    /// A name, what it stands for, and a number beside it.
    pub(super) fn pair(&mut self, name: &str, value: &str, flags: u32) {
        self.length(name.len());
        self.value(name.as_bytes());
        self.length(value.len());
        if !value.is_empty() {
            self.value(value.as_bytes());
        }
        self.integer(flags);
    }
}

impl From<Message> for Vec<u8> {
    fn from(message: Message) -> Self {
        message.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_values_have_their_length_before_them() {
        let mut message = Message::default();
        for value in [0, 1, 255, 256, 70_000] {
            message.integer(value);
        }
        assert_eq!(message.0, [0, 1, 1, 1, 255, 2, 1, 0, 4, 0, 1, 0x11, 0x70]);
        let mut message = Message::default();
        message.value(b"ab");
        assert_eq!(message.0, [2, b'a', b'b']);
        let mut message = Message::default();
        message.value(&[7; 40_000]);
        assert_eq!(message.0[..4], [254, 2, 0x7f, 0xff]);
        assert_eq!((message.0.len(), message.0.last()), (1 + 3 + 32_767 + 3 + 7_233 + 1, Some(&0)));
    }
}
