//! CPython's `audioop`, which Python 3.13 removed: the same answers, bit for bit, for widths 1 to 4.
//!
//! It exists so that code written for `audioop` migrates by changing an import. Function names, argument order and the
//! words of its errors are CPython's for that reason, and so are its habits: samples are bytes in the machine's order,
//! every call allocates its result, and `ratecv` interpolates linearly. New code has better tools:
//! [`Encoding`](super::codec::Encoding), [`Level`](super::level::Level) and the resampler. Python objects are not its
//! business; that is the bindings'.

mod adpcm;
mod convert;
mod fit;
mod measure;
mod ratecv;
mod sample;

pub use adpcm::{AdpcmState, adpcm2lin, lin2adpcm};
pub use convert::{
    add, alaw2lin, bias, byteswap, lin2alaw, lin2lin, lin2ulaw, mul, reverse, tomono, tostereo, ulaw2lin,
};
pub use fit::{findfactor, findfit, findmax};
pub use measure::{avg, avgpp, cross, getsample, max, maxpp, minmax, rms};
pub use ratecv::{RateState, ratecv};
pub use sample::Width;

/// What `audioop` refuses, in CPython's own words.
///
/// Python's `audioop.error`, but for [`Error::BadState`], which is a `ValueError`, and [`Error::TooLarge`], which is a
/// `MemoryError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The width is not 1, 2, 3 or 4 bytes.
    #[error("Size should be 1, 2, 3 or 4")]
    Width,
    /// The fragment ends within a sample or a frame.
    #[error("not a whole number of frames")]
    Frames,
    /// There is no sample at that index.
    #[error("Index out of range")]
    Index,
    /// Two fragments to be added differ in length.
    #[error("Lengths should be the same")]
    Lengths,
    /// A fragment of 16-bit samples has an odd number of bytes.
    #[error("Strings should be even-sized")]
    Odd,
    /// The fragment to search is shorter than what is sought.
    #[error("First sample should be longer")]
    Shorter,
    /// Fragment and reference differ in length.
    #[error("Samples should be same size")]
    Sizes,
    /// The fragment is shorter than the segment asked for.
    #[error("Input sample should be longer")]
    Segment,
    /// There is no channel.
    #[error("# of channels should be >= 1")]
    Channels,
    /// A filter weight is out of its range.
    #[error("weightA should be >= 1, weightB should be >= 0")]
    Weights,
    /// A rate is zero or negative.
    #[error("sampling rate not > 0")]
    Rate,
    /// A state given to `ratecv` is not one that it returned.
    #[error("illegal state argument")]
    RateState,
    /// A state given to `lin2adpcm` or `adpcm2lin` is not one that they returned.
    #[error("bad state")]
    BadState,
    /// The result would not fit into memory.
    #[error("not enough memory for output buffer")]
    TooLarge,
}

/// A result whose error is this module's own.
pub type Result<T> = std::result::Result<T, Error>;

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::TooLarge => Self::new(crate::ErrorKind::LimitExceeded, error.to_string()),
            Error::Width
            | Error::Frames
            | Error::Index
            | Error::Lengths
            | Error::Odd
            | Error::Shorter
            | Error::Sizes
            | Error::Segment
            | Error::Channels
            | Error::Weights
            | Error::Rate
            | Error::RateState
            | Error::BadState => Self::invalid(error.to_string()),
        }
    }
}
