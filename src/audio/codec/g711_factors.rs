//! The factors of which two products make a G.711 sample: what both vector kernels look up.
//!
//! x86 multiplies unsigned bytes by signed ones and adds neighbouring products: `u0 * v0 + u1 * v1`. Choose the unsigned
//! pair by the mantissa `m` and the signed pair by sign and segment `e`, and that sum is the sample, with bias, sign and
//! A-law's odd segment 0 included. With `n` for the mantissa's part, `8 * m`:
//!
//! - mu-law, `(n + 132) * 2^e - 132`: `(n + 132) * (2^e - 1) + n * 1`;
//! - A-law, `(n + 132) * 2^e`: `(n + 134) * 2^(e-1) + (n + 130) * 2^(e-1)`;
//! - A-law's segment 0, `2 * n + 8`: `(n + 134) * -63 + (n + 130) * 65`.
//!
//! All factors fit their bytes, and a negative sample has `v0` and `v1` negated. The wire's inverted bits are undone
//! here instead of in the data. It owns no loop and no instruction.

/// One law's factors, by parts of the byte on the wire.
pub(super) struct Factors {
    /// `[u0, u1]` are `8 * (byte & 15)` with these bits flipped: the wire's inversion, and what is added to `n`, whose
    /// bits no sum touches.
    pub(super) flip: [u8; 2],
    /// `[v0, v1]` by `byte >> 4`: sign and segment.
    pub(super) signed: [[i8; 2]; 16],
}

pub(super) const ULAW: Factors = {
    let mut signed = [[0; 2]; 16];
    let mut high = 0;
    while high < 16 {
        let segment = (high & 7) ^ 7;
        signed[high] = with_sign([((1 << segment) - 1) as i8, 1], high);
        high += 1;
    }
    Factors { flip: [0x78 ^ 132, 0x78], signed }
};

pub(super) const ALAW: Factors = {
    let mut signed = [[0; 2]; 16];
    let mut high = 0;
    while high < 16 {
        let segment = (high & 7) ^ 5;
        let pair = if segment == 0 { [-63, 65] } else { [1 << (segment - 1); 2] };
        signed[high] = with_sign(pair, high);
        high += 1;
    }
    Factors { flip: [0x28 ^ 134, 0x28 ^ 130], signed }
};

/// G.711's highest bit is set in positive samples.
const fn with_sign(pair: [i8; 2], high: usize) -> [i8; 2] {
    if high & 8 == 0 { [-pair[0], -pair[1]] } else { pair }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::codec::g711::{alaw_to_sample, ulaw_to_sample};

    #[test]
    fn the_two_products_are_the_sample() {
        type Decode = fn(u8) -> i16;
        for (factors, decode) in [(ULAW, ulaw_to_sample as Decode), (ALAW, alaw_to_sample)] {
            for byte in 0..=255 {
                let unsigned = factors.flip.map(|flip| i32::from((byte & 15) << 3 ^ flip));
                let signed = factors.signed[usize::from(byte >> 4)].map(i32::from);
                let sum = unsigned[0] * signed[0] + unsigned[1] * signed[1];
                assert_eq!(sum, i32::from(decode(byte)), "byte {byte:#04x}");
            }
        }
    }
}
