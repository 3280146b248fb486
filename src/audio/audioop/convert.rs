//! What `audioop` makes of every sample by itself: gain, offset, channels, widths, byte orders, companding.
//!
//! Gains round down and clamp; offsets wrap around; widths grow by zeros and shrink by cutting. All as CPython does.

use super::sample::{bound, dispatch, from_raw, from_wide, limits, map, raw, raws, room, wide};
use super::{Error, Result, Width};
use crate::audio::codec::g711::Kernel;

/// Adds two fragments, clamping.
///
/// # Errors
/// [`Error::Frames`], or [`Error::Lengths`] if they differ.
pub fn add(fragment1: &[u8], fragment2: &[u8], width: Width) -> Result<Vec<u8>> {
    fn kernel<const W: usize>(fragment1: &[u8], fragment2: &[u8]) -> Vec<u8> {
        let (low, high) = limits::<W>();
        let mut out = vec![0; fragment1.len()];
        let sums = raws::<W>(fragment1).zip(raws::<W>(fragment2)).map(|(a, b)| a.saturating_add(b).clamp(low, high));
        out.as_chunks_mut().0.iter_mut().zip(sums).for_each(|(out, sum)| *out = from_raw::<W>(sum));
        out
    }
    width.check(fragment1)?;
    if fragment1.len() != fragment2.len() {
        return Err(Error::Lengths);
    }
    Ok(dispatch!(width, kernel(fragment1, fragment2)))
}

/// Multiplies every sample by `factor`, rounding down and clamping.
///
/// # Errors
/// [`Error::Frames`]
pub fn mul(fragment: &[u8], width: Width, factor: f64) -> Result<Vec<u8>> {
    fn kernel<const W: usize>(fragment: &[u8], factor: f64) -> Vec<u8> {
        map::<W>(fragment, |value| bound::<W>(f64::from(value) * factor))
    }
    width.check(fragment)?;
    Ok(dispatch!(width, kernel(fragment, factor)))
}

/// Adds `bias` to every sample, wrapping around.
///
/// # Errors
/// [`Error::Frames`]
pub fn bias(fragment: &[u8], width: Width, bias: i32) -> Result<Vec<u8>> {
    fn kernel<const W: usize>(fragment: &[u8], bias: i32) -> Vec<u8> {
        map::<W>(fragment, |value| value.wrapping_add(bias))
    }
    width.check(fragment)?;
    Ok(dispatch!(width, kernel(fragment, bias)))
}

/// Mixes two channels into one, each by its factor, rounding down and clamping.
///
/// # Errors
/// [`Error::Frames`], also for an odd number of samples.
pub fn tomono(fragment: &[u8], width: Width, lfactor: f64, rfactor: f64) -> Result<Vec<u8>> {
    fn kernel<const W: usize>(fragment: &[u8], lfactor: f64, rfactor: f64) -> Vec<u8> {
        let mut out = vec![0; fragment.len() / 2];
        let frames = fragment.as_chunks::<W>().0.as_chunks::<2>().0;
        for (out, [left, right]) in out.as_chunks_mut().0.iter_mut().zip(frames) {
            let mixed = f64::from(raw(left)) * lfactor + f64::from(raw(right)) * rfactor;
            *out = from_raw::<W>(bound::<W>(mixed));
        }
        out
    }
    width.check(fragment)?;
    if !(fragment.len() / width.bytes()).is_multiple_of(2) {
        return Err(Error::Frames);
    }
    Ok(dispatch!(width, kernel(fragment, lfactor, rfactor)))
}

/// Makes two channels of one, each by its factor, rounding down and clamping.
///
/// # Errors
/// [`Error::Frames`], or [`Error::TooLarge`].
pub fn tostereo(fragment: &[u8], width: Width, lfactor: f64, rfactor: f64) -> Result<Vec<u8>> {
    fn kernel<const W: usize>(fragment: &[u8], lfactor: f64, rfactor: f64) -> Result<Vec<u8>> {
        let mut out = room(fragment.len(), 2)?;
        let frames = out.as_chunks_mut::<W>().0.as_chunks_mut::<2>().0;
        for ([left, right], value) in frames.iter_mut().zip(raws::<W>(fragment).map(f64::from)) {
            *left = from_raw(bound::<W>(value * lfactor));
            *right = from_raw(bound::<W>(value * rfactor));
        }
        Ok(out)
    }
    width.check(fragment)?;
    dispatch!(width, kernel(fragment, lfactor, rfactor))
}

/// Turns the order of the samples around.
///
/// # Errors
/// [`Error::Frames`]
pub fn reverse(fragment: &[u8], width: Width) -> Result<Vec<u8>> {
    fn kernel<const W: usize>(fragment: &[u8]) -> Vec<u8> {
        let mut out = fragment.to_vec();
        out.as_chunks_mut::<W>().0.reverse();
        out
    }
    width.check(fragment)?;
    Ok(dispatch!(width, kernel(fragment)))
}

/// Turns the order of the bytes in every sample around.
///
/// # Errors
/// [`Error::Frames`]
pub fn byteswap(fragment: &[u8], width: Width) -> Result<Vec<u8>> {
    fn kernel<const W: usize>(fragment: &[u8]) -> Vec<u8> {
        let mut out = fragment.to_vec();
        out.as_chunks_mut::<W>().0.iter_mut().for_each(|sample| sample.reverse());
        out
    }
    width.check(fragment)?;
    Ok(dispatch!(width, kernel(fragment)))
}

/// Converts samples from `width` to `newwidth`.
///
/// # Errors
/// [`Error::Frames`], or [`Error::TooLarge`].
pub fn lin2lin(fragment: &[u8], width: Width, newwidth: Width) -> Result<Vec<u8>> {
    fn kernel<const W: usize>(fragment: &[u8], newwidth: Width) -> Result<Vec<u8>> {
        dispatch!(newwidth, widen(fragment.as_chunks::<W>().0.iter().map(wide)))
    }
    fn widen<const N: usize>(samples: impl ExactSizeIterator<Item = i32>) -> Result<Vec<u8>> {
        let mut out = room(samples.len(), N)?;
        out.as_chunks_mut().0.iter_mut().zip(samples).for_each(|(out, value)| *out = from_wide::<N>(value));
        Ok(out)
    }
    width.check(fragment)?;
    dispatch!(width, kernel(fragment, newwidth))
}

/// Encodes samples as G.711 mu-law.
///
/// # Errors
/// [`Error::Frames`]
pub fn lin2ulaw(fragment: &[u8], width: Width) -> Result<Vec<u8>> {
    compress(fragment, width, Kernel::encode_ulaw)
}

/// Decodes G.711 mu-law to samples of `width`.
///
/// # Errors
/// [`Error::TooLarge`]
pub fn ulaw2lin(fragment: &[u8], width: Width) -> Result<Vec<u8>> {
    expand(fragment, width, Kernel::decode_ulaw)
}

/// Encodes samples as G.711 A-law.
///
/// # Errors
/// [`Error::Frames`]
pub fn lin2alaw(fragment: &[u8], width: Width) -> Result<Vec<u8>> {
    compress(fragment, width, Kernel::encode_alaw)
}

/// Decodes G.711 A-law to samples of `width`.
///
/// # Errors
/// [`Error::TooLarge`]
pub fn alaw2lin(fragment: &[u8], width: Width) -> Result<Vec<u8>> {
    expand(fragment, width, Kernel::decode_alaw)
}

/// Runs an encoder over the 16 highest bits, a block on the stack at a time.
fn compress(fragment: &[u8], width: Width, encode: fn(Kernel, &[i16], &mut [u8])) -> Result<Vec<u8>> {
    fn top<const W: usize>(fragment: &[u8], samples: &mut [i16]) {
        samples
            .iter_mut()
            .zip(fragment.as_chunks::<W>().0)
            .for_each(|(out, sample)| *out = (wide(sample) >> 16) as i16);
    }
    width.check(fragment)?;
    let mut out = vec![0; fragment.len() / width.bytes()];
    let mut block = [0; BLOCK];
    for (out, fragment) in out.chunks_mut(BLOCK).zip(fragment.chunks(BLOCK * width.bytes())) {
        let samples = &mut block[..out.len()];
        dispatch!(width, top(fragment, samples));
        encode(Kernel::detect(), samples, out);
    }
    Ok(out)
}

/// Runs a decoder, a block on the stack at a time.
fn expand(fragment: &[u8], width: Width, decode: fn(Kernel, &[u8], &mut [i16])) -> Result<Vec<u8>> {
    fn spread<const W: usize>(samples: &[i16], out: &mut [u8]) {
        let samples = samples.iter().map(|&sample| i32::from(sample) << 16);
        out.as_chunks_mut().0.iter_mut().zip(samples).for_each(|(out, value)| *out = from_wide::<W>(value));
    }
    let mut out = room(fragment.len(), width.bytes())?;
    let mut block = [0; BLOCK];
    for (out, fragment) in out.chunks_mut(BLOCK * width.bytes()).zip(fragment.chunks(BLOCK)) {
        let samples = &mut block[..fragment.len()];
        decode(Kernel::detect(), fragment, samples);
        dispatch!(width, spread(samples, out));
    }
    Ok(out)
}

/// Samples a block: a multiple of every kernel's width, small enough for the first-level cache.
const BLOCK: usize = 512;
