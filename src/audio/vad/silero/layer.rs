//! A dense layer over one to four columns at once, which is all of Silero's network but its cell.
//!
//! A convolution of stride one or two over four spectra is a dense layer over the two to four columns that its taps
//! see; each weight that is loaded then serves every column. [`Layer`] keeps the weights in the order in which the
//! loop wants them. What the numbers mean is `net`'s.

#[cfg(target_arch = "x86_64")]
use super::layer_avx2::Avx2;

/// Weights and biases of a dense layer, for `COLUMNS` (1, 2 or 4) columns of input at once.
pub(super) struct Layer<const COLUMNS: usize> {
    /// Block after block of outputs, each input after input.
    weights: Vec<f32>,
    biases: Vec<f32>,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<Avx2>,
}

impl<const COLUMNS: usize> Layer<COLUMNS> {
    /// Outputs in a block: as many sums as the registers hold, over all columns.
    const BLOCK: usize = SUMS / COLUMNS;

    /// Orders `weights`, which hold the inputs of each output side by side; there are as many outputs as `biases`,
    /// a multiple of 64.
    pub(super) fn new(weights: &[f32], biases: Vec<f32>) -> Self {
        let inputs = weights.len() / biases.len();
        let mut ordered = Vec::with_capacity(weights.len());
        for block in weights.chunks_exact(Self::BLOCK * inputs) {
            for input in 0..inputs {
                ordered.extend(block.iter().skip(input).step_by(inputs));
            }
        }
        Self {
            weights: ordered,
            biases,
            #[cfg(target_arch = "x86_64")]
            avx2: Avx2::detect(),
        }
    }

    /// Computes `out`, one row of columns an output, from `input`, one row of columns an input.
    pub(super) fn apply(&self, input: &[[f32; COLUMNS]], out: &mut [[f32; COLUMNS]]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.apply(&self.weights, &self.biases, input, out);
        }
        self.apply_portably(input, out);
    }

    fn apply_portably(&self, input: &[[f32; COLUMNS]], out: &mut [[f32; COLUMNS]]) {
        let blocks = self.weights.chunks_exact(input.len() * Self::BLOCK);
        let outs = self.biases.chunks_exact(Self::BLOCK).zip(out.chunks_exact_mut(Self::BLOCK));
        for (block, (biases, out)) in blocks.zip(outs) {
            for (out, bias) in out.iter_mut().zip(biases) {
                *out = [*bias; COLUMNS];
            }
            let mut sums = [[0.0; SUMS]; COLUMNS];
            for (row, columns) in block.chunks_exact(Self::BLOCK).zip(input) {
                for (sums, column) in sums.iter_mut().zip(columns) {
                    for (sum, weight) in sums.iter_mut().zip(row) {
                        *sum += weight * column;
                    }
                }
            }
            for (column, sums) in sums.iter().enumerate() {
                for (out, sum) in out.iter_mut().zip(sums) {
                    out[column] += sum;
                }
            }
        }
    }
}

/// Sums that are kept at once: eight registers of eight lanes, enough to hide what a multiplication takes.
pub(super) const SUMS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|k| ((k * k * 31 + k * 7) % 101) as f32 / 50.0 - 1.0).collect()
    }

    fn check<const COLUMNS: usize>(inputs: usize, outputs: usize) {
        let (weights, biases) = (numbers(inputs * outputs), numbers(outputs));
        let input: Vec<[f32; COLUMNS]> =
            numbers(inputs * COLUMNS).chunks_exact(COLUMNS).map(|row| std::array::from_fn(|k| row[k])).collect();
        let layer = Layer::<COLUMNS>::new(&weights, biases.clone());
        let (mut fast, mut portable) = (vec![[0.0; COLUMNS]; outputs], vec![[0.0; COLUMNS]; outputs]);
        layer.apply(&input, &mut fast);
        layer.apply_portably(&input, &mut portable);
        for output in 0..outputs {
            for column in 0..COLUMNS {
                let products = (0..inputs).map(|k| f64::from(weights[output * inputs + k] * input[k][column]));
                let wanted = products.sum::<f64>() + f64::from(biases[output]);
                for got in [fast[output][column], portable[output][column]] {
                    assert!((f64::from(got) - wanted).abs() < 1e-3, "{got} is not {wanted} at {output}, {column}");
                }
            }
        }
    }

    #[test]
    fn every_kernel_computes_the_layer() {
        check::<1>(64, 128);
        check::<2>(100, 64);
        check::<4>(387, 128);
    }
}
