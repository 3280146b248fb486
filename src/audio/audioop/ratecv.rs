//! `audioop.ratecv`: a rate converter by linear interpolation, kept for those who need its very samples.
//!
//! It lets aliases and images through almost unhindered; for sound, use the resampler. Between output frames it counts in
//! units of a sample over both rates: `ahead` is how far the next output lies behind the newest input, in those units.

use super::sample::{dispatch, from_wide, room, wide};
use super::{Error, Result, Width};

/// Where the converter stands between two fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateState {
    /// How far the next output frame lies behind the newest input frame; negative if another input is needed first.
    pub ahead: i32,
    /// By channel, the last two input samples (after the filter), the older first, scaled to 32 bits.
    pub samples: Vec<(i32, i32)>,
}

/// Converts frames of `nchannels` samples from `inrate` to `outrate`; also returns the state to go on from.
///
/// `state` is `None` at the start of a stream. `weights` are those of a filter before the conversion: of the input and
/// of the filter's last output, `(1, 0)` for none.
///
/// # Errors
/// [`Error::Channels`], [`Error::Weights`], [`Error::Frames`], [`Error::Rate`], [`Error::RateState`] or
/// [`Error::TooLarge`].
pub fn ratecv(
    fragment: &[u8],
    width: Width,
    nchannels: i32,
    (inrate, outrate): (i32, i32),
    state: Option<RateState>,
    weights: (i32, i32),
) -> Result<(Vec<u8>, RateState)> {
    let channels = usize::try_from(nchannels).ok().filter(|&channels| channels > 0).ok_or(Error::Channels)?;
    if weights.0 < 1 || weights.1 < 0 {
        return Err(Error::Weights);
    }
    let frame_bytes = width.bytes().checked_mul(channels).ok_or(Error::TooLarge)?;
    if !fragment.len().is_multiple_of(frame_bytes) {
        return Err(Error::Frames);
    }
    if inrate <= 0 || outrate <= 0 {
        return Err(Error::Rate);
    }
    let (inrate, outrate) = reduced(inrate, outrate);
    let state = match state {
        Some(state) if state.samples.len() == channels && state.ahead < outrate => state,
        Some(_) => return Err(Error::RateState),
        None => {
            let mut samples = Vec::new();
            samples.try_reserve_exact(channels).map_err(|_| Error::TooLarge)?;
            samples.resize(channels, (0, 0));
            RateState { ahead: -outrate, samples }
        }
    };
    let frames = (fragment.len() / frame_bytes) as u128;
    // One more than the ratio asks for: a state may bring an output frame along.
    let most = (frames * outrate as u128).div_ceil(inrate as u128) + 1;
    let bytes = usize::try_from(most).ok().and_then(|most| most.checked_mul(frame_bytes)).ok_or(Error::TooLarge)?;
    let mut out = room(bytes, 1)?;

    let converter = Converter { inrate, outrate, weights: reduced(weights.0, weights.1) };
    let (state, unused) = dispatch!(width, convert(&converter, state, fragment, &mut out));
    out.truncate(bytes - unused);
    Ok((out, state))
}

struct Converter {
    inrate: i32,
    outrate: i32,
    weights: (i32, i32),
}

/// Converts into `out`, and returns the state to go on from and how many bytes were left over.
fn convert<const W: usize>(
    converter: &Converter,
    state: RateState,
    fragment: &[u8],
    out: &mut [u8],
) -> (RateState, usize) {
    let RateState { ahead, mut samples } = state;
    let (ahead, unused) = if let &[channel] = samples.as_slice() {
        // An array of one stays in registers, where a slice goes through memory at every sample.
        let mut channel = [channel];
        let end = converter.run::<W>(ahead, &mut channel, fragment, out);
        samples.copy_from_slice(&channel);
        end
    } else {
        converter.run::<W>(ahead, &mut samples, fragment, out)
    };
    (RateState { ahead, samples }, unused)
}

impl Converter {
    /// Goes through the fragment, and returns how far ahead the next output lies and how many bytes were left over.
    #[inline(always)]
    fn run<const W: usize>(
        &self,
        mut ahead: i32,
        samples: &mut [(i32, i32)],
        fragment: &[u8],
        out: &mut [u8],
    ) -> (i32, usize) {
        let &Self { inrate, outrate, weights } = self;
        let (new, old) = (f64::from(weights.0), f64::from(weights.1));
        // Dividing by a power of two is multiplying by its inverse, to the last bit, and takes a quarter of the time.
        let inverse = (outrate & (outrate - 1) == 0).then(|| 1.0 / f64::from(outrate));
        let mut frames = fragment.as_chunks::<W>().0.chunks_exact(samples.len());
        let mut slots = out.as_chunks_mut::<W>().0.iter_mut();
        loop {
            while ahead < 0 {
                let Some(frame) = frames.next() else { return (ahead, W * slots.len()) };
                for ((before, current), sample) in samples.iter_mut().zip(frame) {
                    *before = *current;
                    *current = match weights {
                        (1, 0) => wide(sample),
                        _ => ((new * f64::from(wide(sample)) + old * f64::from(*before)) / (new + old)) as i32,
                    };
                }
                ahead += outrate;
            }
            while ahead >= 0 {
                let (past, present) = (f64::from(ahead), f64::from(outrate - ahead));
                for (&(before, current), slot) in samples.iter().zip(slots.by_ref()) {
                    let sum = f64::from(before) * past + f64::from(current) * present;
                    let value = if let Some(inverse) = inverse { sum * inverse } else { sum / f64::from(outrate) };
                    *slot = from_wide::<W>(value as i32);
                }
                ahead -= inrate;
            }
        }
    }
}

/// Divides both by what they have in common.
fn reduced(a: i32, b: i32) -> (i32, i32) {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor, b / divisor)
}
