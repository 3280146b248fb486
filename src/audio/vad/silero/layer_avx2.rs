//! Dense layers on AVX2 with fused multiplication: four times as fast as what the compiler makes of the portable one.
//!
//! [`Avx2`] is the proof that the CPU has the instructions; nothing outside this file is unsafe. It owns no weights.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::layer::SUMS;

/// Proof that this CPU has AVX2 and FMA: only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Checks the CPU; the standard library keeps the answer.
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// Computes a layer whose weights lie block after block of `SUMS / COLUMNS` outputs, each input after input.
    pub(super) fn apply<const COLUMNS: usize>(
        self,
        weights: &[f32],
        biases: &[f32],
        input: &[[f32; COLUMNS]],
        out: &mut [[f32; COLUMNS]],
    ) {
        // SAFETY: `self` exists, so the CPU has AVX2 and FMA.
        unsafe {
            match COLUMNS {
                1 => layer::<COLUMNS, 8>(weights, biases, input, out),
                2 => layer::<COLUMNS, 4>(weights, biases, input, out),
                4 => layer::<COLUMNS, 2>(weights, biases, input, out),
                _ => unreachable!("a layer over {COLUMNS} columns"),
            }
        }
    }
}

/// `VECTORS` registers of outputs for each of the `COLUMNS` columns: their product is the number of sums kept.
#[target_feature(enable = "avx2,fma")]
fn layer<const COLUMNS: usize, const VECTORS: usize>(
    weights: &[f32],
    biases: &[f32],
    input: &[[f32; COLUMNS]],
    out: &mut [[f32; COLUMNS]],
) {
    debug_assert_eq!(COLUMNS * VECTORS * LANES, SUMS);
    let (weights, _) = weights.as_chunks::<LANES>();
    let (biases, _) = biases.as_chunks::<LANES>();
    let outs = biases.chunks_exact(VECTORS).zip(out.chunks_exact_mut(VECTORS * LANES));
    for (block, (biases, out)) in weights.chunks_exact(input.len() * VECTORS).zip(outs) {
        let mut sums = [[_mm256_setzero_ps(); VECTORS]; COLUMNS];
        for (row, columns) in block.chunks_exact(VECTORS).zip(input) {
            for vector in 0..VECTORS {
                let weights = load(&row[vector]);
                for column in 0..COLUMNS {
                    let value = _mm256_set1_ps(columns[column]);
                    sums[column][vector] = _mm256_fmadd_ps(weights, value, sums[column][vector]);
                }
            }
        }
        for vector in 0..VECTORS {
            let bias = load(&biases[vector]);
            for column in 0..COLUMNS {
                let mut values = [0.0; LANES];
                store(&mut values, _mm256_add_ps(sums[column][vector], bias));
                for (out, value) in out[vector * LANES..].iter_mut().zip(values) {
                    out[column] = value;
                }
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn load(values: &[f32; LANES]) -> __m256 {
    // SAFETY: eight floats are readable there; no alignment is wanted.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx2")]
fn store(out: &mut [f32; LANES], values: __m256) {
    // SAFETY: eight floats are writable there; no alignment is wanted.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) }
}

/// Floats in a register.
const LANES: usize = 8;
