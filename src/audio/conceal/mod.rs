//! Packet loss concealment: what to play where a packet is missing.
//!
//! Between two known stretches it is interpolation: both sides are continued into the gap, their time is bent until the
//! pitch periods meet, and one is faded into the other. At 5 % loss that is worth a third of a point of PESQ over
//! continuing the past alone, which is what is left when nothing after the gap has arrived. Then the past fades as the
//! gap grows, and the return to real samples is bent and faded too. Works at any rate on linear samples (G.711, G.722 and
//! L16 once decoded); which packet is lost, and when, is the jitter buffer's business.

mod extrapolate;

use super::bridge::{self, Bridge, Side, load, round};
use super::frame::SampleRate;
use extrapolate::Extrapolator;

/// Conceals lost frames of one stream; never allocates after [`Concealer::new`].
///
/// ```
/// use talkpath::audio::{conceal::Concealer, frame::SampleRate};
///
/// let mut concealer = Concealer::new(SampleRate::HZ_8000);
/// let tone = |n: usize| (8_000.0 * (n as f32 * 0.2).sin()) as i16;
/// let mut frames: Vec<Vec<i16>> = (0..6).map(|f| (f * 160..f * 160 + 160).map(tone).collect()).collect();
/// for frame in &mut frames[..4] {
///     concealer.accept(frame);
/// }
/// let mut lost = [0; 160];
/// concealer.conceal(&frames[5], &mut lost);
/// let error = lost.iter().zip(&frames[4]).map(|(a, b)| (a - b).abs()).max();
/// assert!(error < Some(2_000));
/// ```
#[derive(Clone, Debug)]
pub struct Concealer {
    rate: SampleRate,
    /// The last samples played, real or not.
    history: Vec<i16>,
    forward: Extrapolator,
    backward: Extrapolator,
    bridge: Bridge,
    /// How many samples have been concealed since the last real one.
    concealed: usize,
    /// Whether the last samples lead into what is accepted next.
    joined: bool,
    noise: Noise,
    scratch: Scratch,
}

/// Room for the work on one gap.
#[derive(Clone, Debug)]
struct Scratch {
    past: Vec<f32>,
    future: Vec<f32>,
    backwards: Vec<f32>,
    ahead: Vec<f32>,
    behind: Vec<f32>,
}

impl Concealer {
    /// Makes a concealer for samples at `rate`, with silence behind it.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        let frame = rate.frame_len();
        let longest = MAX_GAP_FRAMES * frame;
        let room = |len| vec![0.0; len];
        Self {
            rate,
            history: vec![0; HISTORY_FRAMES * frame],
            forward: Extrapolator::new(rate),
            backward: Extrapolator::new(rate),
            bridge: Bridge::new(longest),
            concealed: 0,
            joined: true,
            noise: Noise::default(),
            scratch: Scratch {
                past: room(HISTORY_FRAMES * frame),
                future: room(FUTURE_FRAMES * frame),
                backwards: room(FUTURE_FRAMES * frame),
                ahead: room(longest + bridge::beyond(rate)),
                behind: room(longest + bridge::beyond(rate)),
            },
        }
    }

    /// Takes real samples that are played next, and smooths their start if it does not follow what was played before.
    ///
    /// At most the first 10 ms are changed.
    pub fn accept(&mut self, samples: &mut [i16]) {
        if samples.is_empty() {
            return;
        }
        if !self.joined {
            self.rejoin(samples);
        }
        self.concealed = 0;
        self.joined = true;
        self.remember(samples);
    }

    /// Says that what is accepted next does not follow what was played, so that its start is smoothed.
    pub const fn cut(&mut self) {
        self.joined = false;
    }

    /// Fills `out` where samples are lost; `next` is what is known to follow `out`, and may be empty.
    ///
    /// Of `next` at most 40 ms are used; less than 10 ms count as nothing. `out` may be of any length; what is beyond
    /// 60 ms is concealed piece by piece.
    pub fn conceal(&mut self, next: &[i16], out: &mut [i16]) {
        let longest = MAX_GAP_FRAMES * self.rate.frame_len();
        let mut left = out.len();
        for piece in out.chunks_mut(longest) {
            left -= piece.len();
            self.extend(piece.len());
            self.joined = left == 0 && next.len() >= bridge::matched(self.rate);
            if self.joined {
                self.interpolate(next, piece);
            } else {
                piece.iter_mut().zip(&self.scratch.ahead).for_each(|(to, &from)| *to = round(from));
            }
            self.concealed += piece.len();
            self.remember(piece);
        }
    }

    /// Writes what [`conceal`](Self::conceal) would, if nothing is known to follow, and stays where it is; up to 60 ms.
    pub(crate) fn foresee(&mut self, out: &mut [i16]) {
        let state = self.forward.state();
        self.extend(out.len());
        out.iter_mut().zip(&self.scratch.ahead).for_each(|(to, &from)| *to = round(from));
        // At the start of a gap the continuation begins anew each time.
        if self.concealed > 0 {
            self.forward.restore(state);
        }
    }

    /// Fills `out` with comfort noise of RMS `level`, as when the sender pauses; 0 is silence.
    pub fn rest(&mut self, level: f32, out: &mut [i16]) {
        out.iter_mut().for_each(|sample| *sample = round(self.noise.next(level)));
        if self.concealed == 0 && !out.is_empty() {
            let smooth = out.len().min(bridge::matched(self.rate));
            self.rejoin(&mut out[..smooth]);
        }
        self.concealed += out.len();
        self.joined = false;
        self.remember(out);
    }

    /// The last 60 ms that were played, real or not.
    #[must_use]
    pub fn played(&self) -> &[i16] {
        &self.history
    }

    /// How many samples have been concealed since the last real one.
    #[must_use]
    pub const fn concealed(&self) -> usize {
        self.concealed
    }

    /// Prepares the continuation of the past over the next `len` samples and some beyond, and moves on by `len`.
    fn extend(&mut self, len: usize) {
        if self.concealed == 0 {
            load(&mut self.scratch.past, &self.history);
            self.forward.start(&self.scratch.past);
        }
        let (within, beyond) = self.scratch.ahead[..len + bridge::beyond(self.rate)].split_at_mut(len);
        self.forward.fill(within);
        let state = self.forward.state();
        self.forward.fill(beyond);
        self.forward.restore(state);
        let rate = self.rate.hz() as f32;
        for (n, sample) in within.iter_mut().chain(beyond).enumerate() {
            *sample *= fade((self.concealed + n) as f32 / rate);
        }
    }

    /// From the past to what follows, through the gap.
    fn interpolate(&mut self, next: &[i16], out: &mut [i16]) {
        let Scratch { past, future, backwards, ahead, behind } = &mut self.scratch;
        let known = next.len().min(future.len());
        load(&mut future[..known], &next[..known]);
        backwards[..known].copy_from_slice(&future[..known]);
        backwards[..known].reverse();
        self.backward.start(&backwards[..known]);
        self.backward.fill(&mut behind[..out.len() + bridge::beyond(self.rate)]);
        load(past, &self.history);
        past.reverse();
        let matched = bridge::matched(self.rate);
        let earlier = Side { continued: ahead, meets: &future[..matched], pitch: self.forward.pitch() };
        let later = Side { continued: behind, meets: &past[..matched], pitch: self.backward.pitch() };
        self.bridge.join(earlier, later, out);
    }

    /// Leads from what was played, which knew nothing of `samples`, into `samples`.
    fn rejoin(&mut self, samples: &mut [i16]) {
        let matched = bridge::matched(self.rate);
        let (start, rest) = samples.split_at_mut(samples.len().min(matched));
        self.extend(start.len());
        let Scratch { future, ahead, .. } = &mut self.scratch;
        let known = rest.len().min(matched);
        load(&mut future[..known], &rest[..known]);
        let earlier = Side { continued: ahead, meets: &future[..known], pitch: self.forward.pitch() };
        self.bridge.lead_into(earlier, start);
    }

    fn remember(&mut self, samples: &[i16]) {
        let len = self.history.len();
        if samples.len() >= len {
            self.history.copy_from_slice(&samples[samples.len() - len..]);
        } else {
            self.history.copy_within(samples.len().., 0);
            self.history[len - samples.len()..].copy_from_slice(samples);
        }
    }
}

/// How loud the continued past is `seconds` into a gap.
///
/// A packet is continued whole; then the voice is let die, fast at first, as it would sound false if it went on.
fn fade(seconds: f32) -> f32 {
    (1.0 - (seconds - FADE_FROM) / (FADE_TO - FADE_FROM)).clamp(0.0, 1.0).powi(2)
}

const FADE_FROM: f32 = 0.02;
const FADE_TO: f32 = 0.25;
/// The longest gap concealed at once, in frames of 20 ms.
const MAX_GAP_FRAMES: usize = 3;
/// How much of the past is looked at.
const HISTORY_FRAMES: usize = 3;
/// How much of what follows a gap is looked at.
const FUTURE_FRAMES: usize = 2;

/// White noise, the same in every run.
#[derive(Clone, Debug, Default)]
struct Noise {
    seed: u32,
}

impl Noise {
    fn next(&mut self, rms: f32) -> f32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Uniform over ±√3 has an RMS of 1.
        (self.seed >> 8) as f32 * (2.0 * 1.732_050_8 / (1 << 24) as f32) * rms - 1.732_050_8 * rms
    }
}
