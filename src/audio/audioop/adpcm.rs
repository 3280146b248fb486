//! Intel/DVI ADPCM as `audioop` writes it: four bits a sample, the first of two in the high half of the byte.
//!
//! The IMA's "Recommended Practices for Enhancing Digital Audio Compatibility in Multimedia Systems" (1992) has the
//! algorithm; WAV's blocks put the nibbles the other way round and are not read here.

use super::sample::{dispatch, from_wide, room, wide};
use super::{Error, Result, Width};

/// Where the coder stands between two fragments; the default is the start of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdpcmState {
    predicted: i32,
    index: usize,
}

impl AdpcmState {
    /// Checks a state: the predicted sample, and the index into the table of steps.
    ///
    /// # Errors
    /// [`Error::BadState`] unless `predicted` fits 16 bits and `index` is 0 to 88.
    pub fn new(predicted: i32, index: i32) -> Result<Self> {
        let index = usize::try_from(index).ok().filter(|&index| index < STEPS.len()).ok_or(Error::BadState)?;
        if i16::try_from(predicted).is_err() {
            return Err(Error::BadState);
        }
        Ok(Self { predicted, index })
    }

    /// The predicted sample and the index, as [`AdpcmState::new`] takes them.
    #[must_use]
    pub const fn parts(self) -> (i32, i32) {
        (self.predicted, self.index as i32)
    }

    /// Encodes one 16-bit sample into four bits.
    fn encode(&mut self, sample: i32) -> u8 {
        let step = STEPS[self.index];
        let mut left = (sample - self.predicted).abs();
        let mut code = if sample < self.predicted { 8 } else { 0 };
        for (bit, part) in [(4, step), (2, step >> 1), (1, step >> 2)] {
            if left >= part {
                code |= bit;
                left -= part;
            }
        }
        self.advance(code);
        code
    }

    /// Moves on by what four bits say: encoder and decoder alike.
    fn advance(&mut self, code: u8) {
        let step = STEPS[self.index];
        let mut change = step >> 3;
        for (bit, part) in [(4, step), (2, step >> 1), (1, step >> 2)] {
            if code & bit != 0 {
                change += part;
            }
        }
        let predicted = if code & 8 != 0 { self.predicted - change } else { self.predicted + change };
        self.predicted = predicted.clamp(i16::MIN.into(), i16::MAX.into());
        self.index = self.index.saturating_add_signed(MOVES[usize::from(code & 7)]).min(STEPS.len() - 1);
    }
}

/// Encodes samples; also returns the state to go on from.
///
/// The last of an odd number of samples moves the state, but is not written, as in CPython.
///
/// # Errors
/// [`Error::Frames`]
pub fn lin2adpcm(fragment: &[u8], width: Width, mut state: AdpcmState) -> Result<(Vec<u8>, AdpcmState)> {
    fn kernel<const W: usize>(fragment: &[u8], state: &mut AdpcmState) -> Vec<u8> {
        let (pairs, rest) = fragment.as_chunks::<W>().0.as_chunks::<2>();
        let mut code = |sample| state.encode(wide::<W>(sample) >> 16);
        let bytes = pairs.iter().map(|[first, second]| code(first) << 4 | code(second)).collect();
        rest.iter().for_each(|sample| {
            code(sample);
        });
        bytes
    }
    width.check(fragment)?;
    Ok((dispatch!(width, kernel(fragment, &mut state)), state))
}

/// Decodes to samples of `width`; also returns the state to go on from.
///
/// # Errors
/// [`Error::TooLarge`]
pub fn adpcm2lin(fragment: &[u8], width: Width, mut state: AdpcmState) -> Result<(Vec<u8>, AdpcmState)> {
    fn kernel<const W: usize>(fragment: &[u8], out: &mut [u8], state: &mut AdpcmState) {
        let codes = fragment.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (out, code) in out.as_chunks_mut().0.iter_mut().zip(codes) {
            state.advance(code);
            *out = from_wide::<W>(state.predicted << 16);
        }
    }
    let mut out = room(fragment.len(), 2 * width.bytes())?;
    dispatch!(width, kernel(fragment, &mut out, &mut state));
    Ok((out, state))
}

/// How far the index moves, by the code's magnitude.
const MOVES: [isize; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];

/// The quantiser's steps; each is about a tenth larger than the one before.
const STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
    6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
    32767,
];
