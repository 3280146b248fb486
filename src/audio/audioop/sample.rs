//! Samples of one to four bytes, in the machine's order: how all of `audioop` reads and writes them.
//!
//! The width is a constant of each kernel, so that the compiler vectorises for it; [`dispatch!`] goes from the width
//! asked for to the kernel. It owns no arithmetic but the clamping that `audioop` rounds by.

use super::{Error, Result};

/// How many bytes a sample takes: 1, 2, 3 or 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// 8 bits, signed.
    One,
    /// 16 bits.
    Two,
    /// 24 bits, packed.
    Three,
    /// 32 bits.
    Four,
}

impl Width {
    /// All widths.
    pub const ALL: [Self; 4] = [Self::One, Self::Two, Self::Three, Self::Four];

    /// Checks a width in bytes.
    ///
    /// # Errors
    /// [`Error::Width`] if it is not 1 to 4.
    pub const fn new(bytes: i32) -> Result<Self> {
        match bytes {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            4 => Ok(Self::Four),
            _ => Err(Error::Width),
        }
    }

    /// The width in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
            Self::Four => 4,
        }
    }

    /// Refuses a fragment that ends within a sample.
    pub(super) fn check(self, fragment: &[u8]) -> Result<()> {
        if fragment.len().is_multiple_of(self.bytes()) { Ok(()) } else { Err(Error::Frames) }
    }
}

/// Calls a kernel with the width as its (last) constant.
macro_rules! dispatch {
    ($width:expr, $kernel:ident $args:tt) => {
        match $width {
            $crate::audio::audioop::Width::One => $kernel::<1> $args,
            $crate::audio::audioop::Width::Two => $kernel::<2> $args,
            $crate::audio::audioop::Width::Three => $kernel::<3> $args,
            $crate::audio::audioop::Width::Four => $kernel::<4> $args,
        }
    };
}
pub(super) use dispatch;

/// Reads a sample as a whole number of its own width.
#[inline]
pub(super) fn raw<const W: usize>(bytes: &[u8; W]) -> i32 {
    wide(bytes) >> (32 - 8 * W)
}

/// Reads a sample scaled to 32 bits.
#[inline]
pub(super) fn wide<const W: usize>(bytes: &[u8; W]) -> i32 {
    let mut word = [0; 4];
    word[at(W)..at(W) + W].copy_from_slice(bytes);
    i32::from_ne_bytes(word)
}

/// The bytes of a whole number, its higher bits cut off.
#[inline]
pub(super) fn from_raw<const W: usize>(value: i32) -> [u8; W] {
    from_wide(value << (32 - 8 * W))
}

/// The bytes of a sample that is scaled to 32 bits, its lower bits cut off.
#[inline]
pub(super) fn from_wide<const W: usize>(value: i32) -> [u8; W] {
    let word = value.to_ne_bytes();
    let mut bytes = [0; W];
    bytes.copy_from_slice(&word[at(W)..at(W) + W]);
    bytes
}

/// All samples of a fragment, as whole numbers.
#[inline]
pub(super) fn raws<const W: usize>(fragment: &[u8]) -> impl Iterator<Item = i32> + Clone + '_ {
    fragment.as_chunks::<W>().0.iter().map(raw)
}

/// Makes a fragment of the same width by changing every sample.
#[inline]
pub(super) fn map<const W: usize>(fragment: &[u8], change: impl Fn(i32) -> i32) -> Vec<u8> {
    let mut out = vec![0; fragment.len()];
    let samples = fragment.as_chunks::<W>().0;
    out.as_chunks_mut().0.iter_mut().zip(samples).for_each(|(out, sample)| *out = from_raw::<W>(change(raw(sample))));
    out
}

/// Makes room for `samples` of `width` bytes each.
pub(super) fn room(samples: usize, width: usize) -> Result<Vec<u8>> {
    let bytes = samples.checked_mul(width).filter(|&bytes| isize::try_from(bytes).is_ok()).ok_or(Error::TooLarge)?;
    let mut out = Vec::new();
    out.try_reserve_exact(bytes).map_err(|_| Error::TooLarge)?;
    out.resize(bytes, 0);
    Ok(out)
}

/// The smallest and the largest sample of a width.
pub(super) const fn limits<const W: usize>() -> (i32, i32) {
    (i32::MIN >> (32 - 8 * W), i32::MAX >> (32 - 8 * W))
}

/// Rounds down, and clamps to the width; what is not a number becomes what x86 makes of it.
#[inline]
pub(super) fn bound<const W: usize>(value: f64) -> i32 {
    let (low, high) = limits::<W>();
    let number = !value.is_nan();
    // One instruction each, which `clamp` with its check of the limits is not.
    let value = if value > f64::from(low) { value } else { f64::from(low) };
    let value = if value < f64::from(high) { value } else { f64::from(high) };
    // `floor` is a call where the CPU's baseline has no instruction for it, and `as` checks the range. Neither is needed:
    // adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits; one less if that was up.
    let rounded = (value + WHOLE) - WHOLE;
    let floor = rounded - if rounded > value { 1.0 } else { 0.0 };
    if number { (floor + WHOLE).to_bits() as i32 } else { i32::MIN }
}

/// A number of 2^52 and more has no digits behind the point; the half more keeps negative sums there too.
const WHOLE: f64 = 6_755_399_441_055_744.0;

/// Where in a 32-bit word the bytes of a sample lie that is scaled to 32 bits.
const fn at(width: usize) -> usize {
    if cfg!(target_endian = "little") { 4 - width } else { 0 }
}
