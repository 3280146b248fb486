//! Signed linear samples as bytes, in either byte order.
//!
//! Plain loops: the compiler turns them into copies and vector byte swaps. Neither lengths nor payloads are judged here;
//! [`Encoding`](super::Encoding) does that.

/// Reads little-endian bytes into `out`.
///
/// # Panics
/// If `bytes` is not twice as long as `out`.
pub fn decode_le(bytes: &[u8], out: &mut [i16]) {
    let pairs = pairs(bytes, out.len());
    out.iter_mut().zip(pairs).for_each(|(sample, pair)| *sample = i16::from_le_bytes(*pair));
}

/// Reads big-endian bytes into `out`.
///
/// # Panics
/// If `bytes` is not twice as long as `out`.
pub fn decode_be(bytes: &[u8], out: &mut [i16]) {
    let pairs = pairs(bytes, out.len());
    out.iter_mut().zip(pairs).for_each(|(sample, pair)| *sample = i16::from_be_bytes(*pair));
}

/// Writes `samples` to `out` as little-endian bytes.
///
/// # Panics
/// If `out` is not twice as long as `samples`.
pub fn encode_le(samples: &[i16], out: &mut [u8]) {
    let pairs = pairs_mut(out, samples.len());
    pairs.iter_mut().zip(samples).for_each(|(pair, sample)| *pair = sample.to_le_bytes());
}

/// Writes `samples` to `out` as big-endian bytes.
///
/// # Panics
/// If `out` is not twice as long as `samples`.
pub fn encode_be(samples: &[i16], out: &mut [u8]) {
    let pairs = pairs_mut(out, samples.len());
    pairs.iter_mut().zip(samples).for_each(|(pair, sample)| *pair = sample.to_be_bytes());
}

fn pairs(bytes: &[u8], samples: usize) -> &[[u8; 2]] {
    assert_eq!(bytes.len(), samples * 2, "two bytes a sample");
    bytes.as_chunks().0
}

fn pairs_mut(bytes: &mut [u8], samples: usize) -> &mut [[u8; 2]] {
    assert_eq!(bytes.len(), samples * 2, "two bytes a sample");
    bytes.as_chunks_mut().0
}
