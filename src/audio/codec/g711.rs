//! G.711 companding, mu-law and A-law, bit-exact with CPython's `audioop`.
//!
//! Three mu-law encoders are in use, and they disagree. `audioop` is what Python users migrate from, so its answers are
//! ours for all 65,536 samples; ITU-T G.191's reference encoder, which differs for 508 negative samples that lie on a
//! decision boundary, is offered by name. The A-law encoders and both decoders agree everywhere.
//!
//! The portable kernels have no branch and no table: a G.711 byte is a tiny floating-point number (three bits of
//! exponent, four of mantissa), so the top bits of an `f32` already hold it, and compilers vectorise the conversion. A
//! [`Kernel`] picks AVX2 or AVX-512 at run time where the CPU has it. Room and error messages are
//! [`Encoding`](super::Encoding)'s business.

#[cfg(target_arch = "x86_64")]
use super::g711_avx2::Avx2;
#[cfg(all(target_arch = "x86_64", talkpath_avx512))]
use super::g711_avx512::Avx512;

/// One implementation of G.711 that this machine can run; all of them give the same answers.
///
/// Every method takes input and output of the same length, converts one value a byte and never allocates.
#[derive(Clone, Copy, Debug)]
pub struct Kernel(Set);

impl Kernel {
    /// The kernel that runs everywhere.
    pub const PORTABLE: Self = Self(Set::Portable);

    /// Picks the fastest kernel that this CPU runs; the check costs a load, as the answer is kept.
    #[inline]
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            #[cfg(talkpath_avx512)]
            if let Some(avx512) = Avx512::detect() {
                return Self(Set::Avx512(avx512, avx2));
            }
            return Self(Set::Avx2(avx2));
        }
        Self::PORTABLE
    }

    /// All kernels that this CPU runs, the portable one first: for tests and benchmarks.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let avx2 = Avx2::detect().map(|avx2| Self(Set::Avx2(avx2)));
        #[cfg(not(target_arch = "x86_64"))]
        let avx2 = None;
        let best = Self::detect();
        let avx512 = (best.name() == "avx512").then_some(best);
        std::iter::once(Self::PORTABLE).chain(avx2).chain(avx512)
    }

    /// The kernel's name: `portable`, `avx2` or `avx512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
            #[cfg(all(target_arch = "x86_64", talkpath_avx512))]
            Set::Avx512(..) => "avx512",
        }
    }

    /// Decodes mu-law bytes, as `audioop.ulaw2lin(bytes, 2)` does.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn decode_ulaw(self, bytes: &[u8], out: &mut [i16]) {
        assert_eq!(bytes.len(), out.len(), "one sample a byte");
        match self.0 {
            Set::Portable => map(bytes, out, ulaw_to_sample),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(avx2) => avx2.decode_ulaw(bytes, out),
            #[cfg(all(target_arch = "x86_64", talkpath_avx512))]
            Set::Avx512(avx512, _) => avx512.decode_ulaw(bytes, out),
        }
    }

    /// Decodes A-law bytes, as `audioop.alaw2lin(bytes, 2)` does.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn decode_alaw(self, bytes: &[u8], out: &mut [i16]) {
        assert_eq!(bytes.len(), out.len(), "one sample a byte");
        match self.0 {
            Set::Portable => map(bytes, out, alaw_to_sample),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(avx2) => avx2.decode_alaw(bytes, out),
            #[cfg(all(target_arch = "x86_64", talkpath_avx512))]
            Set::Avx512(avx512, _) => avx512.decode_alaw(bytes, out),
        }
    }

    /// Encodes samples as mu-law, as `audioop.lin2ulaw(samples, 2)` does.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn encode_ulaw(self, samples: &[i16], out: &mut [u8]) {
        assert_eq!(samples.len(), out.len(), "one byte a sample");
        match self.0 {
            Set::Portable => map(samples, out, sample_to_ulaw),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(avx2) => avx2.encode_ulaw(samples, out),
            #[cfg(all(target_arch = "x86_64", talkpath_avx512))]
            Set::Avx512(_, avx2) => avx2.encode_ulaw(samples, out),
        }
    }

    /// Encodes samples as A-law, as `audioop.lin2alaw(samples, 2)` and G.191's `alaw_compress` do.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn encode_alaw(self, samples: &[i16], out: &mut [u8]) {
        assert_eq!(samples.len(), out.len(), "one byte a sample");
        match self.0 {
            Set::Portable => map(samples, out, sample_to_alaw),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(avx2) => avx2.encode_alaw(samples, out),
            #[cfg(all(target_arch = "x86_64", talkpath_avx512))]
            Set::Avx512(_, avx2) => avx2.encode_alaw(samples, out),
        }
    }

    /// Encodes samples as mu-law, as ITU-T G.191's `ulaw_compress` does.
    ///
    /// It takes a negative sample's magnitude by one's complement, before it drops the two lowest bits; `audioop` drops
    /// them first. Use it to compare with ITU test vectors; both decode alike.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn encode_ulaw_g191(self, samples: &[i16], out: &mut [u8]) {
        assert_eq!(samples.len(), out.len(), "one byte a sample");
        match self.0 {
            Set::Portable => map(samples, out, sample_to_ulaw_g191),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(avx2) => avx2.encode_ulaw_g191(samples, out),
            #[cfg(all(target_arch = "x86_64", talkpath_avx512))]
            Set::Avx512(_, avx2) => avx2.encode_ulaw_g191(samples, out),
        }
    }
}

/// The choice behind [`Kernel`]: private, so that no instruction set can be chosen on a CPU that lacks it.
#[derive(Clone, Copy, Debug)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// For decoding; the AVX2 beside it encodes.
    #[cfg(all(target_arch = "x86_64", talkpath_avx512))]
    Avx512(Avx512, Avx2),
}

/// Encodes one sample as mu-law, as `audioop` does.
#[inline]
#[must_use]
pub fn sample_to_ulaw(sample: i16) -> u8 {
    ulaw_of(sample, (i32::from(sample) >> 2).abs())
}

/// Encodes one sample as mu-law, as ITU-T G.191 does; see [`Kernel::encode_ulaw_g191`].
#[inline]
#[must_use]
pub fn sample_to_ulaw_g191(sample: i16) -> u8 {
    ulaw_of(sample, i32::from(sample ^ (sample >> 15)) >> 2)
}

/// Encodes one sample as A-law.
#[inline]
#[must_use]
pub fn sample_to_alaw(sample: i16) -> u8 {
    let magnitude = i32::from((sample ^ (sample >> 15)) >> 3);
    // Segments 0 and 1 share their step. Below 32 the float would keep halving it, so that part is added as an integer.
    let code = float_top(magnitude.max(ALAW_LINEAR)) - ALAW_ORIGIN + (magnitude >> 1).min(ALAW_LINEAR / 2);
    code as u8 ^ if sample < 0 { 0x55 } else { 0xd5 }
}

/// Decodes one mu-law byte.
#[inline]
#[must_use]
pub fn ulaw_to_sample(byte: u8) -> i16 {
    let magnitude = float_value(u32::from(!byte & 0x7f)) - ULAW_BIAS * 4;
    with_sign(magnitude as i16, byte)
}

/// Decodes one A-law byte.
#[inline]
#[must_use]
pub fn alaw_to_sample(byte: u8) -> i16 {
    let code = u32::from((byte ^ 0x55) & 0x7f);
    // Segment 0 has segment 1's step without its leading one.
    let magnitude = float_value(code.max(code & 15 | 16)) - if code < 16 { 256 } else { 0 };
    with_sign(magnitude as i16, byte)
}

/// Converts each value; the zipped loop is what the compiler vectorises.
#[inline]
fn map<A: Copy, B>(from: &[A], to: &mut [B], convert: impl Fn(A) -> B) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = convert(*from));
}

/// Finishes a mu-law byte from the 14-bit magnitude.
#[inline]
fn ulaw_of(sample: i16, magnitude: i32) -> u8 {
    let code = float_top(magnitude.min(ULAW_MAX) + ULAW_BIAS) - ULAW_ORIGIN;
    code as u8 ^ if sample < 0 { 0x7f } else { 0xff }
}

/// The exponent and the four highest mantissa bits of a positive integer below 2^24, as one number.
#[inline]
fn float_top(magnitude: i32) -> i32 {
    ((magnitude as f32).to_bits() >> 19) as i32
}

/// The middle of the interval that a 7-bit code stands for, bias included: `(2m + 33) << (segment + 2)`.
#[inline]
fn float_value(code: u32) -> i32 {
    let value = f32::from_bits((code << 19 | 1 << 18) + (134 << 23));
    // Adding 2^23 leaves the integer in the low mantissa bits: a conversion that, unlike `as`, needs no range check.
    (value + 8_388_608.0).to_bits() as u16 as i32
}

/// Negates the magnitude if the byte's highest bit is clear: G.711's sign, in both laws.
#[inline]
fn with_sign(magnitude: i16, byte: u8) -> i16 {
    let mask = i16::from(byte >> 7) - 1;
    (magnitude ^ mask) - mask
}

/// What mu-law adds to the 14-bit magnitude before it looks for the segment.
pub(super) const ULAW_BIAS: i32 = 33;
/// The largest 14-bit magnitude that stays in mu-law's last segment once biased.
pub(super) const ULAW_MAX: i32 = 8_158;
/// [`float_top`] of 32, where mu-law's segment 0 begins.
pub(super) const ULAW_ORIGIN: i32 = (127 + 5) << 4;
/// Below this 13-bit magnitude A-law is linear.
pub(super) const ALAW_LINEAR: i32 = 32;
/// [`float_top`] of [`ALAW_LINEAR`]: the linear part below it is counted on its own.
pub(super) const ALAW_ORIGIN: i32 = (127 + 5) << 4;
