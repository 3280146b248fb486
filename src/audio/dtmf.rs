//! Keys as tones (DTMF), for a far end that takes them in no other way.
//!
//! Each key is a tone of a low and one of a high group (ITU-T Q.23). Receivers want at least 40 ms of them and as much of
//! silence after them, and take levels that differ by a few dB (ITU-T Q.24, table A-1); here both last 100 ms, the high
//! group is 2 dB louder, as lines take more of it away, and the tones begin and end softly enough not to click. Which keys
//! are pressed when, and what else is heard meanwhile, is the session's business.

use std::f64::consts::{PI, TAU};
use std::time::Duration;

use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// Makes the tones of one key after the other; never allocates.
///
/// ```
/// use talkpath::audio::{dtmf::DtmfGenerator, frame::SampleRate};
///
/// let mut generator = DtmfGenerator::new(SampleRate::HZ_8000);
/// generator.press('5')?;
/// let mut audio = [0; 2_000];
/// assert_eq!(generator.mix_into(&mut audio), 1_600);
/// assert!(audio[100..700].iter().any(|sample| sample.abs() > 10_000));
/// assert!(audio[800..].iter().all(|&sample| sample == 0));
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DtmfGenerator {
    rate: SampleRate,
    /// `None` while no key is down, and after its pause.
    key: Option<Key>,
}

/// A key that was pressed.
#[derive(Clone, Copy, Debug)]
struct Key {
    low: Oscillator,
    high: Oscillator,
    /// How many samples of it were made.
    made: usize,
}

/// A sine that goes on from sample to sample: a phasor, and by how much it turns.
#[derive(Clone, Copy, Debug)]
struct Oscillator {
    re: f64,
    im: f64,
    turn_re: f64,
    turn_im: f64,
}

impl DtmfGenerator {
    /// How long each key sounds.
    pub const TONE: Duration = Duration::from_millis(100);

    /// How long the silence after each key lasts at least.
    pub const PAUSE: Duration = Duration::from_millis(100);

    /// Makes a generator of samples at `rate`; no key is pressed.
    #[must_use]
    pub const fn new(rate: SampleRate) -> Self {
        Self { rate, key: None }
    }

    /// Whether `key` is one: `0` to `9`, `*`, `#`, `A` to `D`.
    #[must_use]
    pub fn is_key(key: char) -> bool {
        frequencies(key).is_some()
    }

    /// Presses a key: its tone comes next, and its pause after it. What was left of the key before is cut off.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for what is no key; nothing has changed then.
    pub fn press(&mut self, key: char) -> Result<()> {
        let Some((low, high)) = frequencies(key) else {
            return Err(Error::invalid(format!("key {key:?}, wanted one of 0 to 9, *, #, A to D")));
        };
        let oscillator = |hz, level| Oscillator::new(hz / f64::from(self.rate.hz()), amplitude(level));
        self.key = Some(Key { low: oscillator(low, LOW_DBM0), high: oscillator(high, HIGH_DBM0), made: 0 });
        Ok(())
    }

    /// Whether no key sounds, and the pause after the last is over.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.key.is_none()
    }

    /// Whether a key sounds next, and not the pause after it.
    #[must_use]
    pub fn is_sounding(&self) -> bool {
        self.key.is_some_and(|key| key.made < self.rate.samples_in(Self::TONE))
    }

    /// Adds the key's next samples to `out`, and says how many of `out` belong to the key and its pause.
    ///
    /// That is all of `out` until the pause ends in it.
    pub fn mix_into(&mut self, out: &mut [i16]) -> usize {
        let Some(key) = &mut self.key else { return 0 };
        let (tone, ramp) = (self.rate.samples_in(Self::TONE), self.rate.samples_in(RAMP));
        let all = tone + self.rate.samples_in(Self::PAUSE);
        let from = key.made;
        let to = all.min(from + out.len());
        for (at, sample) in (from..to.min(tone)).zip(out) {
            let edge = at.min(tone - 1 - at);
            let gain = if edge < ramp { 0.5 - 0.5 * (PI * (edge as f64 + 0.5) / ramp as f64).cos() } else { 1.0 };
            let both = gain * (key.low.next() + key.high.next());
            *sample = sample.saturating_add(both.round() as i16);
        }
        key.made = to;
        if to == all {
            self.key = None;
        }
        to - from
    }
}

impl Oscillator {
    /// A sine that begins at zero; `turns` of it a sample.
    fn new(turns: f64, amplitude: f64) -> Self {
        let (turn_im, turn_re) = (TAU * turns).sin_cos();
        Self { re: amplitude, im: 0.0, turn_re, turn_im }
    }

    const fn next(&mut self) -> f64 {
        let sample = self.im;
        let Self { re, im, turn_re, turn_im } = *self;
        self.re = re * turn_re - im * turn_im;
        self.im = re * turn_im + im * turn_re;
        sample
    }
}

/// The tones of a key, in Hz, the low one first.
fn frequencies(key: char) -> Option<(f64, f64)> {
    let place = KEYS.iter().position(|&known| known == key)?;
    Some((LOW_HZ[place / 4], HIGH_HZ[place % 4]))
}

/// The peak of a sine of this level, where a sine of full scale has 3.17 dBm0 (ITU-T G.711, mu-law).
fn amplitude(dbm0: f64) -> f64 {
    32_124.0 * 10_f64.powf((dbm0 - 3.17) / 20.0)
}

const KEYS: [char; 16] = ['1', '2', '3', 'A', '4', '5', '6', 'B', '7', '8', '9', 'C', '*', '0', '#', 'D'];
const LOW_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const LOW_DBM0: f64 = -9.0;
const HIGH_DBM0: f64 = -7.0;
/// How long a tone takes to swell and to fade: its spectrum stays in its band.
const RAMP: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// The peak of what `samples` hold of `hz` (Goertzel's algorithm).
    fn peak(samples: &[i16], hz: f64, rate: SampleRate) -> f64 {
        let w = TAU * hz / f64::from(rate.hz());
        let (mut s1, mut s2) = (0.0, 0.0);
        for &sample in samples {
            (s1, s2) = (f64::from(sample) + 2.0 * w.cos() * s1 - s2, s1);
        }
        2.0 * (s1 * s1 + s2 * s2 - 2.0 * w.cos() * s1 * s2).sqrt() / samples.len() as f64
    }

    fn dbm0(peak: f64) -> f64 {
        20.0 * (peak / 32_124.0).log10() + 3.17
    }

    #[test]
    fn each_key_has_its_two_tones_and_no_other() {
        for rate in [8_000, 16_000, 44_100].map(|hz| SampleRate::new(hz).unwrap()) {
            let mut generator = DtmfGenerator::new(rate);
            for key in KEYS {
                generator.press(key).unwrap();
                let mut audio = vec![0; rate.samples_in(DtmfGenerator::TONE + DtmfGenerator::PAUSE)];
                assert_eq!(generator.mix_into(&mut audio), audio.len());
                assert!(generator.is_idle());
                let held = &audio[rate.samples_in(RAMP)..rate.samples_in(Duration::from_millis(95))];
                let (low, high) = frequencies(key).unwrap();
                for hz in LOW_HZ.into_iter().chain(HIGH_HZ) {
                    let level = dbm0(peak(held, hz, rate));
                    if hz == low {
                        assert!((level + 9.0).abs() < 0.5, "{key} at {rate}: {level} dBm0 of {hz} Hz");
                    } else if hz == high {
                        assert!((level + 7.0).abs() < 0.5, "{key} at {rate}: {level} dBm0 of {hz} Hz");
                    } else {
                        assert!(level < -20.0, "{key} at {rate}: {level} dBm0 of {hz} Hz");
                    }
                }
                let pause = &audio[rate.samples_in(DtmfGenerator::TONE)..];
                assert!(pause.iter().all(|&sample| sample == 0), "{key}");
            }
        }
    }

    #[test]
    fn tones_begin_and_end_softly_and_do_not_depend_on_the_pieces() {
        let rate = SampleRate::HZ_8000;
        let whole = |piece: usize| {
            let mut generator = DtmfGenerator::new(rate);
            generator.press('9').unwrap();
            let mut audio = vec![0; 1_700];
            let taken: usize = audio.chunks_mut(piece).map(|part| generator.mix_into(part)).sum();
            assert_eq!(taken, 1_600);
            audio
        };
        let audio = whole(160);
        assert_eq!(audio, whole(77));
        assert_eq!(audio, whole(1_700));
        assert!(audio[..8].iter().chain(&audio[792..800]).all(|sample| sample.abs() < 2_000), "no step at the edges");
    }

    #[test]
    fn what_is_there_stays_and_a_loud_sum_saturates() {
        let mut generator = DtmfGenerator::new(SampleRate::HZ_8000);
        generator.press('1').unwrap();
        let mut audio = [32_000; 1_000];
        generator.mix_into(&mut audio);
        assert_eq!(audio[300..700].iter().max(), Some(&i16::MAX));
        assert!(audio[800..].iter().all(|&sample| sample == 32_000));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut generator = DtmfGenerator::new(SampleRate::HZ_8000);
        let error = generator.press('E').unwrap_err().to_string();
        assert_eq!(error, "key 'E', wanted one of 0 to 9, *, #, A to D");
        assert!(generator.is_idle() && !DtmfGenerator::is_key('a'));
    }
}
