//! The texts of the age format: base64 without padding in headers, Bech32 for keys.
//!
//! Bech32 is BIP 173's without its limit of 90 characters. It is written for bytes in a protected place: neither
//! direction allocates, and a secret key never becomes a `String`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// `bytes` in base64, which must not be secret.
pub(in crate::system::secret) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Exactly `N` bytes of canonical base64.
pub(in crate::system::secret) fn decode_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_base64_vec(text)?.try_into().ok()
}

/// Any number of bytes of canonical base64.
pub(super) fn decode_base64_vec(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

/// Writes 32 bytes as Bech32 after `prefix`, in lower case, to the start of `out`; how many characters that is.
///
/// `out` has room for [`KEY_CHARACTERS`] beside the prefix.
pub(in crate::system::secret) fn encode_bech32(prefix: &str, bytes: &[u8; 32], out: &mut [u8]) -> usize {
    let start = prefix.len() + 1;
    out[..start - 1].copy_from_slice(prefix.as_bytes());
    out[start - 1] = b'1';
    let (mut held, mut bits, mut at) = (0_u32, 0, start);
    let mut checksum = Checksum::new(prefix);
    let mut put = |value: u32, checksum: &mut Checksum, out: &mut [u8]| {
        checksum.add(value);
        out[at] = ALPHABET[value as usize];
        at += 1;
    };
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xFFF;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            put(held >> bits & 31, &mut checksum, out);
        }
    }
    put(held << (5 - bits) & 31, &mut checksum, out);
    for value in checksum.finish() {
        out[at] = ALPHABET[value as usize];
        at += 1;
    }
    at
}

/// Reads 32 bytes from Bech32 after `prefix`, all in the case of `prefix`, into `out`; whether that is what it was.
pub(in crate::system::secret) fn decode_bech32(prefix: &str, text: &[u8], out: &mut [u8]) -> bool {
    let lower = prefix.bytes().any(|letter| letter.is_ascii_lowercase());
    let Some(data) = text.strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_prefix(b"1")) else {
        return false;
    };
    if data.len() != KEY_CHARACTERS - 1 || out.len() != 32 {
        return false;
    }
    let mut checksum = Checksum::new(&prefix.to_ascii_lowercase());
    let (mut held, mut bits, mut at) = (0_u32, 0, 0);
    for (index, letter) in data.iter().enumerate() {
        let wanted_case = if lower { !letter.is_ascii_uppercase() } else { !letter.is_ascii_lowercase() };
        let letter = letter.to_ascii_lowercase();
        let value = ALPHABET.iter().position(|known| *known == letter);
        let Some(value) = value.filter(|_| wanted_case).and_then(|value| u32::try_from(value).ok()) else {
            return false;
        };
        checksum.add(value);
        if index >= data.len() - 6 {
            continue;
        }
        held = (held << 5 | value) & 0xFFF;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out[at] = (held >> bits & 0xFF) as u8;
            at += 1;
        }
    }
    // What is left of the last character pads with zeros.
    at == 32 && held & ((1 << bits) - 1) == 0 && checksum.is_right()
}

/// BIP 173's checksum.
struct Checksum(u32);

impl Checksum {
    fn new(prefix: &str) -> Self {
        let mut sum = Self(1);
        prefix.bytes().for_each(|letter| sum.add(u32::from(letter) >> 5));
        sum.add(0);
        prefix.bytes().for_each(|letter| sum.add(u32::from(letter) & 31));
        sum
    }

    fn add(&mut self, value: u32) {
        let top = self.0 >> 25;
        self.0 = (self.0 & 0x01FF_FFFF) << 5 ^ value;
        for (bit, generator) in [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3].iter().enumerate() {
            if top >> bit & 1 == 1 {
                self.0 ^= generator;
            }
        }
    }

    fn finish(mut self) -> [u32; 6] {
        (0..6).for_each(|_| self.add(0));
        let sum = self.0 ^ 1;
        std::array::from_fn(|index| sum >> (5 * (5 - index)) & 31)
    }

    fn is_right(&self) -> bool {
        self.0 == 1
    }
}

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The `1`, 32 bytes in characters of five bits, and the checksum.
pub(in crate::system::secret) const KEY_CHARACTERS: usize = 1 + 52 + 6;

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own example of an identity and its recipient.
    #[test]
    fn keys_are_read_as_the_specification_writes_them() {
        let identity = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
        let mut secret = [0; 32];
        assert!(decode_bech32("AGE-SECRET-KEY-", identity, &mut secret));
        assert_eq!(secret, [0x42; 32]);
        let recipient = x25519_dalek::x25519(secret, x25519_dalek::X25519_BASEPOINT_BYTES);
        let mut text = [0; 3 + KEY_CHARACTERS];
        assert_eq!(encode_bech32("age", &recipient, &mut text), text.len());
        assert_eq!(&text, b"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
    }

    #[test]
    fn what_is_written_is_read_and_a_wrong_letter_is_seen() {
        let mut text = [0; 3 + KEY_CHARACTERS];
        encode_bech32("age", &std::array::from_fn(|index| index as u8 * 7), &mut text);
        let mut read = [0; 32];
        assert!(decode_bech32("age", &text, &mut read));
        assert_eq!(read, std::array::from_fn(|index| index as u8 * 7));
        for at in 4..text.len() {
            let mut wrong = text;
            wrong[at] = if wrong[at] == b'q' { b'p' } else { b'q' };
            assert!(!decode_bech32("age", &wrong, &mut read), "letter {at}");
        }
        assert!(!decode_bech32("age", &text.to_ascii_uppercase(), &mut read));
        assert!(!decode_bech32("age", &text[..text.len() - 1], &mut read));
    }
}
