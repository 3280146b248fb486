//! What `audioop` says about a fragment: extremes, averages, peaks and zero crossings.
//!
//! CPython sums in doubles, in the order of the samples. Where the integers are small enough for every such sum to be
//! exact, they are summed as integers, which is the same and vectorises.

use super::sample::{dispatch, raw, raws};
use super::{Error, Result, Width};

/// Returns the sample at `index`, counted from 0.
///
/// # Errors
/// [`Error::Frames`], or [`Error::Index`] if there is none.
pub fn getsample(fragment: &[u8], width: Width, index: isize) -> Result<i32> {
    fn kernel<const W: usize>(fragment: &[u8], index: isize) -> Result<i32> {
        let sample = usize::try_from(index).ok().and_then(|index| fragment.as_chunks().0.get(index));
        sample.map(raw::<W>).ok_or(Error::Index)
    }
    width.check(fragment)?;
    dispatch!(width, kernel(fragment, index))
}

/// Returns the largest magnitude; 0 for no samples.
///
/// # Errors
/// [`Error::Frames`]
pub fn max(fragment: &[u8], width: Width) -> Result<u32> {
    let (low, high) = minmax(fragment, width)?;
    Ok(if fragment.is_empty() { 0 } else { low.unsigned_abs().max(high.unsigned_abs()) })
}

/// Returns the smallest and the largest sample; the largest and the smallest 32-bit number for no samples.
///
/// # Errors
/// [`Error::Frames`]
pub fn minmax(fragment: &[u8], width: Width) -> Result<(i32, i32)> {
    fn kernel<const W: usize>(fragment: &[u8]) -> (i32, i32) {
        raws::<W>(fragment).fold((i32::MAX, i32::MIN), |(low, high), value| (low.min(value), high.max(value)))
    }
    width.check(fragment)?;
    Ok(dispatch!(width, kernel(fragment)))
}

/// Returns the mean, rounded down; 0 for no samples.
///
/// # Errors
/// [`Error::Frames`]
pub fn avg(fragment: &[u8], width: Width) -> Result<i32> {
    fn kernel<const W: usize>(fragment: &[u8]) -> f64 {
        let count = fragment.len() / W;
        if count <= EXACT {
            raws::<W>(fragment).map(i64::from).sum::<i64>() as f64
        } else {
            raws::<W>(fragment).fold(0.0, |sum, value| sum + f64::from(value))
        }
    }
    width.check(fragment)?;
    if fragment.is_empty() {
        return Ok(0);
    }
    let count = fragment.len() / width.bytes();
    Ok((dispatch!(width, kernel(fragment)) / count as f64).floor() as i32)
}

/// Returns the root mean square, cut to a whole number; 0 for no samples.
///
/// # Errors
/// [`Error::Frames`]
pub fn rms(fragment: &[u8], width: Width) -> Result<u32> {
    fn kernel<const W: usize>(fragment: &[u8]) -> f64 {
        let count = fragment.len() / W;
        if W <= 2 && count <= EXACT {
            raws::<W>(fragment).map(|value| u64::from((value * value) as u32)).sum::<u64>() as f64
        } else {
            raws::<W>(fragment).fold(0.0, |sum, value| sum + f64::from(value) * f64::from(value))
        }
    }
    width.check(fragment)?;
    if fragment.is_empty() {
        return Ok(0);
    }
    let count = fragment.len() / width.bytes();
    Ok((dispatch!(width, kernel(fragment)) / count as f64).sqrt() as u32)
}

/// Returns the mean difference between neighbouring extremes, cut to a whole number; 0 if there are fewer than two.
///
/// # Errors
/// [`Error::Frames`]
pub fn avgpp(fragment: &[u8], width: Width) -> Result<u32> {
    let (mut sum, mut count) = (0.0, 0_u64);
    swings(fragment, width, |swing| {
        sum += f64::from(swing);
        count += 1;
    })?;
    Ok(if count == 0 { 0 } else { (sum / count as f64) as u32 })
}

/// Returns the largest difference between neighbouring extremes; 0 if there are fewer than two.
///
/// # Errors
/// [`Error::Frames`]
pub fn maxpp(fragment: &[u8], width: Width) -> Result<u32> {
    let mut largest = 0;
    swings(fragment, width, |swing| largest = largest.max(swing))?;
    Ok(largest)
}

/// Returns how often the sign changes; -1 for no samples.
///
/// # Errors
/// [`Error::Frames`]
pub fn cross(fragment: &[u8], width: Width) -> Result<isize> {
    fn kernel<const W: usize>(fragment: &[u8]) -> isize {
        let signs = raws::<W>(fragment).map(|value| value < 0);
        signs.clone().zip(signs.skip(1)).map(|(before, after)| isize::from(before != after)).sum()
    }
    width.check(fragment)?;
    Ok(if fragment.is_empty() { -1 } else { dispatch!(width, kernel(fragment)) })
}

/// Reports the difference between each local extreme and the one before it; the fragment's ends are none.
fn swings(fragment: &[u8], width: Width, report: impl FnMut(u32)) -> Result<()> {
    fn kernel<const W: usize>(fragment: &[u8], mut report: impl FnMut(u32)) {
        let mut samples = raws::<W>(fragment);
        let Some(mut last) = samples.next() else { return };
        let (mut falling, mut extreme) = (None, None);
        for value in samples {
            if value == last {
                continue;
            }
            let falls = value < last;
            if falling == Some(!falls) {
                if let Some(before) = extreme {
                    report(last.abs_diff(before));
                }
                extreme = Some(last);
            }
            falling = Some(falls);
            last = value;
        }
    }
    width.check(fragment)?;
    dispatch!(width, kernel(fragment, report));
    Ok(())
}

/// Up to so many samples (or squares of 16-bit samples), every sum on the way is exact in a double: below 2^53.
const EXACT: usize = 1 << 22;
