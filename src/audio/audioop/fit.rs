//! Where in one fragment another fits best: `audioop`'s search for an echo. 16-bit samples only.
//!
//! The factor `f` that brings `f * reference` closest to a piece `A` of the fragment is `sum(A * R) / sum(R * R)`, and
//! what is left, relative to the piece, is `sum(R * R) - sum(A * R)^2 / sum(A * A)`. CPython computes both in doubles;
//! so do we, in its order. Without energy the results are not numbers, as in CPython.

use super::{Error, Result};

/// Returns where `reference` fits best in `fragment`, in samples, and the factor to multiply it by there.
///
/// # Errors
/// [`Error::Odd`], or [`Error::Shorter`] if the fragment is shorter than the reference.
pub fn findfit(fragment: &[u8], reference: &[u8]) -> Result<(usize, f64)> {
    let (fragment, reference) = (samples(fragment)?, samples(reference)?);
    if fragment.len() < reference.len() {
        return Err(Error::Shorter);
    }
    let len = reference.len();
    let reference_energy = dot(&reference, &reference);
    let left = |energy: f64, product: f64| (reference_energy * energy - product * product) / energy;

    let mut energy = dot(&fragment[..len], &fragment[..len]);
    let mut best = (0, left(energy, dot(&fragment[..len], &reference)));
    for at in 1..=fragment.len() - len {
        let (leaves, enters) = (f64::from(fragment[at - 1]), f64::from(fragment[at + len - 1]));
        energy = energy + enters * enters - leaves * leaves;
        let left = left(energy, dot(&fragment[at..at + len], &reference));
        if left < best.1 {
            best = (at, left);
        }
    }
    Ok((best.0, dot(&fragment[best.0..best.0 + len], &reference) / reference_energy))
}

/// Returns the factor that brings `reference` closest to `fragment`.
///
/// # Errors
/// [`Error::Odd`], or [`Error::Sizes`] if the lengths differ.
pub fn findfactor(fragment: &[u8], reference: &[u8]) -> Result<f64> {
    let lengths = (fragment.len(), reference.len());
    let (fragment, reference) = (samples(fragment)?, samples(reference)?);
    if lengths.0 != lengths.1 {
        return Err(Error::Sizes);
    }
    Ok(dot(&fragment, &reference) / dot(&reference, &reference))
}

/// Returns where the `length` samples with the most energy begin, in samples.
///
/// # Errors
/// [`Error::Odd`], or [`Error::Segment`] if the fragment is shorter than `length`, or `length` negative.
pub fn findmax(fragment: &[u8], length: isize) -> Result<usize> {
    let fragment = samples(fragment)?;
    let len = usize::try_from(length).ok().filter(|&len| len <= fragment.len()).ok_or(Error::Segment)?;
    let mut energy = dot(&fragment[..len], &fragment[..len]);
    let mut best = (0, energy);
    for at in 1..=fragment.len() - len {
        let (leaves, enters) = (f64::from(fragment[at - 1]), f64::from(fragment[at + len - 1]));
        energy = energy + enters * enters - leaves * leaves;
        if energy > best.1 {
            best = (at, energy);
        }
    }
    Ok(best.0)
}

fn samples(fragment: &[u8]) -> Result<Vec<i16>> {
    match fragment.as_chunks() {
        (pairs, []) => Ok(pairs.iter().copied().map(i16::from_ne_bytes).collect()),
        _ => Err(Error::Odd),
    }
}

/// The sum of products; while every sum on the way is exact in a double, summing integers is the same and vectorises.
fn dot(left: &[i16], right: &[i16]) -> f64 {
    let pairs = left.iter().zip(right);
    if left.len() <= EXACT {
        pairs.map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).sum::<i64>() as f64
    } else {
        pairs.fold(0.0, |sum, (&a, &b)| sum + f64::from(a) * f64::from(b))
    }
}

/// So many products of 16-bit samples stay below 2^53.
const EXACT: usize = 1 << 22;
