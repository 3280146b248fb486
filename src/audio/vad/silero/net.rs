//! Silero's network: from 32 ms of sound at 16 kHz, and what it remembers, to how much it sounds like speech.
//!
//! The architecture is Silero VAD 6's: four spectra, four convolutions, a recurrent cell and a weighted sum. It is
//! computed here rather than by an engine for such files, because those cost more to build than all of this crate.
//! [`Net`] is shared by all calls; [`Silero`] is what one call needs. When to listen is not decided here.

use std::sync::OnceLock;

use super::cell::{Cell, UNITS, sigmoid};
use super::layer::Layer;
use super::spectrum::{BINS, FRAMES, Lanes, SPAN, Spectrum};
use super::weights::Reader;

/// New samples that the network takes at a time.
pub const WINDOW: usize = 512;
/// Samples of the window before that it hears again.
const CONTEXT: usize = 64;

/// One call's ear: the network and what it remembers.
pub struct Silero {
    net: &'static Net,
    cell: Cell,
    context: [f32; CONTEXT],
}

impl Silero {
    /// Makes one that has heard nothing. The first one of a process reads the weights.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default would hide that weights are read")]
    pub fn new() -> Self {
        Self { net: Net::shared(), cell: Cell::new(), context: [0.0; CONTEXT] }
    }

    /// Takes the next 32 ms at 16 kHz, and returns how much they sound like speech, 0 to 1.
    pub fn hear(&mut self, window: &[i16; WINDOW]) -> f32 {
        let mut samples = [0.0; SPAN];
        samples[..CONTEXT].copy_from_slice(&self.context);
        for (sample, heard) in samples[CONTEXT..].iter_mut().zip(window) {
            *sample = f32::from(*heard) / 32_768.0;
        }
        self.context.copy_from_slice(&samples[WINDOW..WINDOW + CONTEXT]);
        // The last spectrum reaches beyond the window, which is mirrored at its last sample.
        let end = CONTEXT + WINDOW;
        for k in 0..SPAN - end {
            samples[end + k] = samples[end - 2 - k];
        }
        self.net.listen(&samples, &mut self.cell)
    }

    /// Forgets what it heard.
    pub fn reset(&mut self) {
        self.cell = Cell::new();
        self.context = [0.0; CONTEXT];
    }
}

/// The layers and their weights.
struct Net {
    spectrum: Spectrum,
    first: Layer<4>,
    second: Layer<2>,
    third: Layer<1>,
    fourth: Layer<1>,
    gates: Layer<1>,
    last: Vec<f32>,
    last_bias: f32,
}

impl Net {
    fn shared() -> &'static Self {
        static NET: OnceLock<Net> = OnceLock::new();
        NET.get_or_init(|| Self::read(&mut Reader::new()))
    }

    fn read(weights: &mut Reader) -> Self {
        Self {
            spectrum: Spectrum::new(),
            first: layer(weights, FIRST_INPUTS, FIRST),
            second: layer(weights, SECOND_INPUTS, SECOND),
            third: layer(weights, 2 * SECOND, SECOND),
            fourth: layer(weights, SECOND, UNITS),
            gates: layer(weights, 2 * UNITS, 4 * UNITS),
            last: weights.take(UNITS),
            last_bias: weights.take(1)[0],
        }
    }

    fn listen(&self, samples: &[f32; SPAN], cell: &mut Cell) -> f32 {
        let mut magnitudes = [[0.0; FRAMES]; BINS];
        self.spectrum.magnitudes(samples, &mut magnitudes);

        // Each tap sees the four spectra one place further; outside there is nothing.
        let mut input = [[0.0; FRAMES]; FIRST_INPUTS];
        for (rows, &[a, b, c, d]) in input.as_chunks_mut().0.iter_mut().zip(&magnitudes) {
            *rows = [[0.0, a, b, c], [a, b, c, d], [b, c, d, 0.0]];
        }
        let mut first: [Lanes; FIRST] = [[0.0; FRAMES]; FIRST];
        self.first.apply(&input, &mut first);
        rectify(&mut first);

        // Stride two: two places of four are computed, and then one of two.
        let mut input = [[0.0; 2]; SECOND_INPUTS];
        for (rows, &[a, b, c, d]) in input.as_chunks_mut().0.iter_mut().zip(&first) {
            *rows = [[0.0, b], [a, c], [b, d]];
        }
        let mut second = [[0.0; 2]; SECOND];
        self.second.apply(&input, &mut second);
        rectify(&mut second);

        let mut third = [[0.0]; SECOND];
        self.third.apply(second.as_flattened().as_chunks().0, &mut third);
        rectify(&mut third);

        let mut input = [[0.0]; 2 * UNITS];
        let (heard, said) = input.split_at_mut(UNITS);
        self.fourth.apply(&third, heard);
        rectify(heard);
        said.as_flattened_mut().copy_from_slice(&cell.output);

        let mut gates = [[0.0]; 4 * UNITS];
        self.gates.apply(&input, &mut gates);
        cell.update(&gates);
        let sum: f32 = cell.output.iter().zip(&self.last).map(|(said, weight)| said.max(0.0) * weight).sum();
        sigmoid(sum + self.last_bias)
    }
}

fn layer<const COLUMNS: usize>(weights: &mut Reader, inputs: usize, outputs: usize) -> Layer<COLUMNS> {
    let matrix = weights.take(inputs * outputs);
    Layer::new(&matrix, weights.take(outputs))
}

fn rectify<const COLUMNS: usize>(values: &mut [[f32; COLUMNS]]) {
    for value in values.as_flattened_mut() {
        *value = value.max(0.0);
    }
}

/// Outputs of the first convolution, and what it sees: three taps a bin.
const FIRST: usize = 128;
const FIRST_INPUTS: usize = 3 * BINS;
/// Outputs of the second and third, and what the second sees.
const SECOND: usize = 64;
const SECOND_INPUTS: usize = 3 * FIRST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_file_is_read_to_its_end() {
        let mut weights = Reader::new();
        let net = Net::read(&mut weights);
        assert!(weights.is_empty());
        assert!(net.last_bias.is_finite());
    }

    /// Holds the network to onnxruntime's answers for packaged speech, each sample twice to make 16 kHz.
    #[test]
    fn scores_are_those_of_the_reference() {
        let file = include_bytes!("../../../../python/talkpath/data/interruption.wav");
        let data = file.windows(4).position(|name| name == b"data").expect("a WAV file has data") + 8;
        let samples = file[data..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        let samples: Vec<i16> = samples.flat_map(|sample| [sample; 2]).collect();
        let wanted = include_str!("../../../../tests/vectors/silero.txt").lines().filter(|line| !line.starts_with('#'));
        let wanted: Vec<f32> = wanted.map(|line| line.parse().expect("a score a line")).collect();
        let (windows, _) = samples.as_chunks();
        assert_eq!(windows.len(), wanted.len());
        let mut listener = Silero::new();
        for round in 0..2 {
            for (k, (window, wanted)) in windows.iter().zip(&wanted).enumerate() {
                let got = listener.hear(window);
                assert!((got - wanted).abs() < 1e-4, "{got} is not {wanted} in window {k} of round {round}");
            }
            listener.reset();
        }
    }
}
