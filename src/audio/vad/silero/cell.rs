//! The memory of Silero's network: one recurrent cell of 128 units, as in Hochreiter's and Schmidhuber's LSTM.
//!
//! It owns what a call has left in the cell, and the curves that gates need; the weights are `net`'s. The curves are
//! polynomials accurate to a few ulps, so that the compiler can work on several units at once.

/// Units of the cell.
pub(super) const UNITS: usize = 128;

/// What the cell remembers of a call.
#[derive(Clone)]
pub(super) struct Cell {
    /// What it has said last.
    pub(super) output: [f32; UNITS],
    memory: [f32; UNITS],
}

impl Cell {
    /// A cell that has heard nothing.
    pub(super) const fn new() -> Self {
        Self { output: [0.0; UNITS], memory: [0.0; UNITS] }
    }

    /// Takes the sums of the four gates, in the order input, forget, new memory, output.
    pub(super) fn update(&mut self, gates: &[[f32; 1]; 4 * UNITS]) {
        let gate = |gate: usize, unit: usize| gates[gate * UNITS + unit][0];
        for unit in 0..UNITS {
            let new = sigmoid(gate(0, unit)) * tanh(gate(2, unit));
            self.memory[unit] = sigmoid(gate(1, unit)) * self.memory[unit] + new;
            self.output[unit] = sigmoid(gate(3, unit)) * tanh(self.memory[unit]);
        }
    }
}

/// The logistic curve.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// e to the power of `x`, as `2^n · e^r` with `r` within half of ln 2; `x` is kept within ±87.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    // Adding 1.5 · 2^23 leaves the rounded number in the lowest bits.
    let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let tail = 1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0)));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    power * (1.0 + r * (1.0 + r * (0.5 + r * tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curves_are_the_library_s() {
        for step in -2_000..=2_000_i16 {
            let x = f32::from(step) / 20.0;
            assert!((exp(x) / x.clamp(-87.0, 87.0).exp() - 1.0).abs() < 1e-5, "exp({x}) is not {}", exp(x));
            assert!((tanh(x) - x.tanh()).abs() < 1e-6, "tanh({x}) is not {}", tanh(x));
        }
    }
}
