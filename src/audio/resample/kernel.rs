//! The sums of the resampler: i16 in, f32 inside, rounded and saturated i16 out.
//!
//! Small ratios run many groups side by side, one a lane: the input is split into `DOWN` streams, each output of a group
//! is a few plain FIRs over them, and the `UP` results are woven together again. Other ratios take one dot product an
//! output. With AVX2 and FMA (asked at run time) a sum is fused and eight lanes wide; elsewhere plain Rust does the same
//! within 1 LSB. Each output's sum runs in one order whatever the block, so that chunks of any size give the same bits.
//! Stacks hold all buffers: nothing allocates. Which taps, and what came before, is the caller's to know.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _mm256_add_ps, _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::polyphase::{Bank, Plan, ROW_STEP, Rows, Run};

/// Filters `input` after `history` into `out`, which may be shorter than what the input would give.
///
/// `phase` is how many inputs came before modulo `plan.down`; `history` the last `plan.history` of them; `input` is at
/// most [`piece_len`] long.
pub(super) fn filter(plan: &Plan, history: &[i16], phase: usize, input: &[i16], out: &mut [i16]) {
    debug_assert!(history.len() == plan.history && input.len() <= piece_len(plan, phase));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the CPU has AVX2 and FMA, as was just asked.
        unsafe { filter_avx2(plan, history, phase, input, out) };
        return;
    }
    filter_with::<false>(plan, history, phase, input, out);
}

/// How much input [`filter`] takes at a time.
pub(super) fn piece_len(plan: &Plan, phase: usize) -> usize {
    match plan.bank {
        Bank::Grouped(_) => PIECE_GROUPS * plan.down - phase,
        Bank::Rows(_) => ROWS_PIECE,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn filter_avx2(plan: &Plan, history: &[i16], phase: usize, input: &[i16], out: &mut [i16]) {
    filter_with::<true>(plan, history, phase, input, out);
}

#[inline(always)]
fn filter_with<const FMA: bool>(plan: &Plan, history: &[i16], phase: usize, input: &[i16], out: &mut [i16]) {
    macro_rules! grouped {
        ($runs:expr, $(($up:literal, $down:literal))*) => {
            match (plan.up, plan.down) {
                $(($up, $down) => groups::<$up, $down, FMA>($runs, history, phase, input, out),)*
                (up, down) => unreachable!("no kernel for {up}:{down}"),
            }
        };
    }
    match &plan.bank {
        Bank::Grouped(runs) => grouped!(
            runs,
            (2, 1)(3, 1)(4, 1)(6, 1)(8, 1)(3, 2)(4, 3)(8, 3)(1, 2)(1, 3)(1, 4)(1, 6)(1, 8)(2, 3)(3, 4)(3, 8)
        ),
        Bank::Rows(rows) => one_by_one::<FMA>(plan, rows, history, phase, input, out),
    }
}

#[inline(always)]
fn groups<const UP: usize, const DOWN: usize, const FMA: bool>(
    runs: &[Vec<Run>],
    history: &[i16],
    phase: usize,
    input: &[i16],
    out: &mut [i16],
) {
    // Drop what would stand before the first whole group, so that the streams start with a group.
    let history = &history[DOWN - 1 - phase..];
    let mut raw = [[0_i16; DOWN]; STREAM_LEN];
    let flat = raw.as_flattened_mut();
    flat[..history.len()].copy_from_slice(history);
    flat[history.len()..history.len() + input.len()].copy_from_slice(input);
    let mut streams = [[0.0_f32; STREAM_LEN]; DOWN];
    split(&raw, &mut streams);

    // The current group may have given some of its outputs already.
    let given = phase * UP / DOWN;
    let end = given + out.len();
    let mut group = 0;
    while group * UP < end {
        if FMA && end.div_ceil(UP) - group > NARROW * ROW_STEP {
            block::<UP, DOWN, WIDE, FMA>(&streams, runs, group, given, end, out);
            group += WIDE * ROW_STEP;
        } else {
            block::<UP, DOWN, NARROW, FMA>(&streams, runs, group, given, end, out);
            group += NARROW * ROW_STEP;
        }
    }
}

/// The outputs of `8 * BLOCKS` groups from `group` on, as far as they belong in `out`, which holds outputs `given..end`.
#[inline(always)]
fn block<const UP: usize, const DOWN: usize, const BLOCKS: usize, const FMA: bool>(
    streams: &[[f32; STREAM_LEN]; DOWN],
    runs: &[Vec<Run>],
    group: usize,
    given: usize,
    end: usize,
    out: &mut [i16],
) {
    let mut outputs = [[[0; ROW_STEP]; BLOCKS]; UP];
    for (output, runs) in outputs.iter_mut().zip(runs) {
        let sums = fir::<DOWN, BLOCKS, FMA>(streams, runs, group);
        for (samples, sums) in output.iter_mut().zip(sums) {
            for (sample, sum) in samples.iter_mut().zip(sums) {
                *sample = to_i16(sum);
            }
        }
    }
    let mut woven = [[[0; UP]; ROW_STEP]; BLOCKS];
    for (lane, group) in woven.as_flattened_mut().iter_mut().enumerate() {
        for (sample, output) in group.iter_mut().zip(&outputs) {
            *sample = output.as_flattened()[lane];
        }
    }
    let woven = woven.as_flattened().as_flattened();
    let start = group * UP;
    let (from, to) = (start.max(given), (start + woven.len()).min(end));
    out[from - given..to - given].copy_from_slice(&woven[from - start..to - start]);
}

#[inline(always)]
fn split<const DOWN: usize>(raw: &[[i16; DOWN]; STREAM_LEN], streams: &mut [[f32; STREAM_LEN]; DOWN]) {
    for (n, stream) in streams.iter_mut().enumerate() {
        for (sample, group) in stream.iter_mut().zip(raw) {
            *sample = f32::from(group[n]);
        }
    }
}

/// One output of each of `8 * BLOCKS` groups, not yet rounded.
#[inline(always)]
fn fir<const DOWN: usize, const BLOCKS: usize, const FMA: bool>(
    streams: &[[f32; STREAM_LEN]; DOWN],
    runs: &[Run],
    group: usize,
) -> [[f32; ROW_STEP]; BLOCKS] {
    #[cfg(target_arch = "x86_64")]
    if FMA {
        // SAFETY: `FMA` is set under `filter_avx2` only.
        return unsafe { fir_avx2(streams, runs, group) };
    }
    let mut sums = [[0.0; ROW_STEP]; BLOCKS];
    for run in runs {
        let stream = &streams[run.stream][group + run.offset..];
        for (samples, &tap) in stream.windows(ROW_STEP * BLOCKS).zip(&run.taps) {
            for (sum, &sample) in sums.as_flattened_mut().iter_mut().zip(samples) {
                *sum += sample * tap;
            }
        }
    }
    sums
}

/// Written out because the sums must stay in registers, which the compiler does not see by itself.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn fir_avx2<const DOWN: usize, const BLOCKS: usize>(
    streams: &[[f32; STREAM_LEN]; DOWN],
    runs: &[Run],
    group: usize,
) -> [[f32; ROW_STEP]; BLOCKS] {
    let mut sums = [_mm256_setzero_ps(); BLOCKS];
    for run in runs {
        let stream = &streams[run.stream][group + run.offset..];
        for (samples, &tap) in stream.windows(ROW_STEP * BLOCKS).zip(&run.taps) {
            let tap = _mm256_set1_ps(tap);
            for (sum, samples) in sums.iter_mut().zip(samples.as_chunks::<ROW_STEP>().0) {
                // SAFETY: eight floats are there to be read, and the load needs no alignment.
                *sum = _mm256_fmadd_ps(unsafe { _mm256_loadu_ps(samples.as_ptr()) }, tap, *sum);
            }
        }
    }
    let mut flat = [[0.0; ROW_STEP]; BLOCKS];
    for (floats, sum) in flat.iter_mut().zip(sums) {
        // SAFETY: eight floats are there to be written, and the store needs no alignment.
        unsafe { _mm256_storeu_ps(floats.as_mut_ptr(), sum) };
    }
    flat
}

#[inline(always)]
fn one_by_one<const FMA: bool>(
    plan: &Plan,
    rows: &Rows,
    history: &[i16],
    phase: usize,
    input: &[i16],
    out: &mut [i16],
) {
    let mut samples = [0.0_f32; ROWS_HISTORY + ROWS_PIECE + ROW_STEP];
    let (old, new) = samples.split_at_mut(history.len());
    for (samples, values) in [(old, history), (new, input)] {
        for (sample, &value) in samples.iter_mut().zip(values) {
            *sample = f32::from(value);
        }
    }
    // Where the filter's early end lies for the next output, in steps of the common rate from the oldest sample.
    let fraction = phase * plan.up % plan.down;
    let early = history.len() * plan.up - fraction - plan.delay * plan.down - rows.reach;
    // The first sample under the filter, and how far beyond the early end it lies: that says which row has its tap first.
    let mut first = early.div_ceil(plan.up);
    let mut beyond = first * plan.up - early;
    let (whole, part) = (plan.down / plan.up, plan.down % plan.up);
    for out in out.chunks_mut(ROW_STEP) {
        let mut windows: [(&[f32], &[f32]); ROW_STEP] = [(&[], &[]); ROW_STEP];
        for (taps, values) in windows.iter_mut().take(out.len()) {
            *taps = &rows.taps[beyond * rows.len..][..rows.len];
            *values = &samples[first..first + rows.len];
            first += whole + usize::from(beyond < part);
            beyond = if beyond < part { beyond + plan.up - part } else { beyond - part };
        }
        for (sample, sum) in out.iter_mut().zip(dots::<FMA>(&windows)) {
            *sample = to_i16(sum);
        }
    }
}

/// The dot products of taps and samples, whose lengths are whole eights.
#[inline(always)]
fn dots<const FMA: bool>(windows: &[(&[f32], &[f32]); ROW_STEP]) -> [f32; ROW_STEP] {
    #[cfg(target_arch = "x86_64")]
    if FMA {
        // SAFETY: `FMA` is set under `filter_avx2` only.
        return unsafe { dots_avx2(windows) };
    }
    windows.map(|(taps, samples)| {
        let mut sums = [0.0; ROW_STEP];
        for (taps, samples) in taps.as_chunks::<ROW_STEP>().0.iter().zip(samples.as_chunks::<ROW_STEP>().0) {
            for ((sum, &tap), &sample) in sums.iter_mut().zip(taps).zip(samples) {
                *sum += sample * tap;
            }
        }
        sums.iter().sum()
    })
}

/// Eight at a time, because adding up the lanes of one sum costs as much as that of eight.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn dots_avx2(windows: &[(&[f32], &[f32]); ROW_STEP]) -> [f32; ROW_STEP] {
    let load = |floats: &[f32; ROW_STEP]| {
        // SAFETY: eight floats are there to be read, and the load needs no alignment.
        unsafe { _mm256_loadu_ps(floats.as_ptr()) }
    };
    let mut sums = [_mm256_setzero_ps(); ROW_STEP];
    for (sum, (taps, samples)) in sums.iter_mut().zip(windows) {
        for (taps, samples) in taps.as_chunks::<ROW_STEP>().0.iter().zip(samples.as_chunks::<ROW_STEP>().0) {
            *sum = _mm256_fmadd_ps(load(samples), load(taps), *sum);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let early = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    let late = _mm256_hadd_ps(_mm256_hadd_ps(e, f), _mm256_hadd_ps(g, h));
    let (low, high) = (_mm256_permute2f128_ps::<0x20>(early, late), _mm256_permute2f128_ps::<0x31>(early, late));
    let mut flat = [0.0; ROW_STEP];
    // SAFETY: eight floats are there to be written, and the store needs no alignment.
    unsafe { _mm256_storeu_ps(flat.as_mut_ptr(), _mm256_add_ps(low, high)) };
    flat
}

/// Rounds to the nearest, halves to even, and saturates.
#[inline(always)]
fn to_i16(value: f32) -> i16 {
    // A float this large has no room for fractions, and its low 16 bits are the integer that was added to it. That and
    // plain comparisons vectorise on every CPU, which `round() as i16` does not.
    const MAGIC: f32 = 12_582_912.0;
    let value = if value > 32_767.0 { 32_767.0 } else { value };
    let value = if value < -32_768.0 { -32_768.0 } else { value };
    (value + MAGIC).to_bits() as i16
}

/// Groups worked off in one go: 20 ms where the group is 125 µs long, as it is at 8 kHz.
const PIECE_GROUPS: usize = 160;

/// Room for a stream: the longest filter's history, a piece, and what a block may read past its end.
const STREAM_LEN: usize = 320;

/// Eights of groups side by side where AVX has 16 registers: as many sums as do not wait for one another. A frame of
/// 20 ms is two such blocks.
const WIDE: usize = 10;

/// Eights of groups side by side for the rest.
const NARROW: usize = 2;

/// Input worked off in one go where outputs are made one by one.
const ROWS_PIECE: usize = 512;

/// The longest history of such a filter: 192 to 8 kHz, `Studio`.
const ROWS_HISTORY: usize = 1_792;

/// Panics if the plan needs more room than the buffers here have.
#[cfg(test)]
pub(super) fn check_fits(plan: &Plan) {
    match &plan.bank {
        Bank::Grouped(runs) => {
            let reach = runs.iter().flatten().map(|run| run.offset + run.taps.len()).max().unwrap();
            assert!(reach - 1 + PIECE_GROUPS + (WIDE - 1) * ROW_STEP <= STREAM_LEN, "{reach} groups");
            assert!((plan.history + 1) / plan.down + PIECE_GROUPS <= STREAM_LEN);
            filter(plan, &vec![0; plan.history], 0, &[0; 1], &mut []);
        }
        Bank::Rows(rows) => {
            assert!(plan.history <= ROWS_HISTORY, "{} samples", plan.history);
            assert!(rows.len <= plan.history + ROW_STEP, "{} taps", rows.len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Quality;
    use super::*;
    use crate::audio::frame::SampleRate;

    #[test]
    fn the_portable_kernel_agrees_within_one_step() {
        let noise: Vec<i16> = (0..4_000_u32).map(|n| (n.wrapping_mul(2_654_435_769) >> 15) as i16).collect();
        for from in SampleRate::ALL {
            for to in SampleRate::ALL {
                let rate = |hz| SampleRate::new(hz).unwrap();
                let Some(plan) = Plan::for_rates(rate(from), rate(to), Quality::Studio) else { continue };
                let input = &noise[plan.history..][..300.min(piece_len(plan, 0))];
                let (mut fast, mut portable) = (vec![0; plan.outputs(input.len())], vec![0; plan.outputs(input.len())]);
                filter(plan, &noise[..plan.history], 0, input, &mut fast);
                filter_with::<false>(plan, &noise[..plan.history], 0, input, &mut portable);
                assert!(fast.iter().any(|&sample| sample != 0));
                let apart = fast.iter().zip(&portable).map(|(&a, &b)| a.abs_diff(b)).max();
                assert!(apart <= Some(1), "{from} to {to}: {apart:?}");
            }
        }
    }

    #[test]
    fn rounds_to_nearest_and_saturates() {
        let cases = [(0.4, 0), (0.6, 1), (-0.6, -1), (1.5, 2), (2.5, 2), (40_000.0, 32_767), (-40_000.0, -32_768)];
        for (value, wanted) in cases {
            assert_eq!(to_i16(value), wanted, "{value}");
        }
    }
}
