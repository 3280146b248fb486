//! G.711 decoding on AVX-512 VBMI: 32 bytes at a time, a quarter faster than AVX2 on long buffers.
//!
//! The arithmetic is that of `g711_factors.rs`. Look-ups here take 32 pairs of bytes by five bits and ignore the others,
//! which saves AVX2's masking and unpacking. [`Avx512`] is the proof that the CPU has the instructions; nothing outside
//! this file relies on it. Encoding gains little and stays with AVX2. The intrinsics are stable from Rust 1.89 on;
//! `build.rs` leaves this file out below that.

#![allow(unsafe_code)]
#![allow(clippy::incompatible_msrv)] // Compiled only where the compiler has them: `cfg(talkpath_avx512)`.

use std::arch::x86_64::*;

use super::g711_factors::{self, Factors};

/// Proof that this CPU has AVX-512 F, BW, VL and VBMI: only [`Avx512::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

impl Avx512 {
    /// Checks the CPU; the standard library keeps the answer.
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        has.then_some(Self(()))
    }

    pub(super) fn decode_ulaw(self, bytes: &[u8], out: &mut [i16]) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { decode(bytes, out, &ULAW) }
    }

    pub(super) fn decode_alaw(self, bytes: &[u8], out: &mut [i16]) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { decode(bytes, out, &ALAW) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn decode(bytes: &[u8], out: &mut [i16], tables: &Tables) {
    let tables = Registers {
        twice: load(&TWICE),
        flip: _mm512_set1_epi16(i16::from_le_bytes(tables.flip)),
        signed: load(&tables.signed),
    };
    // Stores that straddle two cache lines take twice as long: a long buffer is worth a short first step.
    let head = if bytes.len() >= LONG { out.as_ptr().align_offset(64).min(LANES - 1) } else { 0 };
    let (first, bytes) = bytes.split_at(head);
    let (out_first, out) = out.split_at_mut(head);
    decode_few(first, out_first, &tables);
    let (blocks, rest) = bytes.as_chunks::<LANES>();
    let (out_blocks, out_rest) = out.as_chunks_mut::<LANES>();
    for (block, out) in blocks.iter().zip(out_blocks) {
        // SAFETY: the array is 32 bytes long, and the load needs no alignment.
        let code = unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
        let samples = decode_block(code, &tables);
        // SAFETY: the array holds 32 samples, which are 64 bytes, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), samples) };
    }
    decode_few(rest, out_rest, &tables);
}

/// Decodes fewer bytes than a block has.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn decode_few(bytes: &[u8], out: &mut [i16], tables: &Registers) {
    let len = bytes.len().min(out.len());
    if len == 0 || len >= LANES {
        return;
    }
    let mask = u32::MAX >> (LANES - len);
    // SAFETY: the mask leaves out all but the `len` bytes that are there.
    let code = unsafe { _mm256_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) };
    let samples = decode_block(code, tables);
    // SAFETY: the mask leaves out all but the `len` samples that there is room for.
    unsafe { _mm512_mask_storeu_epi16(out.as_mut_ptr(), mask, samples) };
}

/// Decodes 32 bytes: each becomes a 16-bit lane with two pairs of factors, and a multiply-add makes the sample of them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn decode_block(code: __m256i, tables: &Registers) -> __m512i {
    let code = _mm512_permutexvar_epi8(tables.twice, _mm512_castsi256_si512(code));
    // `(code << 3 & 0x7878) ^ flip`, the last two in one instruction.
    let mantissa = _mm512_set1_epi8(0x78);
    let unsigned = _mm512_ternarylogic_epi32::<0x78>(tables.flip, _mm512_slli_epi16::<3>(code), mantissa);
    let signed = _mm512_permutexvar_epi16(_mm512_srli_epi16::<4>(code), tables.signed);
    _mm512_maddubs_epi16(unsigned, signed)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load<T>(table: &[T]) -> __m512i {
    assert_eq!(size_of_val(table), 64);
    // SAFETY: the table is 64 bytes long, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(table.as_ptr().cast()) }
}

/// What a decoder looks up.
struct Tables {
    /// The bits to flip in `[u0, u1]`.
    flip: [u8; 2],
    /// `[v0, v1]` by the byte's high four bits and one more bit, which makes no difference.
    signed: [[i8; 2]; 32],
}

/// [`Tables`] as they are used.
struct Registers {
    twice: __m512i,
    flip: __m512i,
    signed: __m512i,
}

const ULAW: Tables = tables(&g711_factors::ULAW);
const ALAW: Tables = tables(&g711_factors::ALAW);

const fn tables(factors: &Factors) -> Tables {
    let mut tables = Tables { flip: factors.flip, signed: [[0; 2]; 32] };
    let mut i = 0;
    while i < 32 {
        tables.signed[i] = factors.signed[i % 16];
        i += 1;
    }
    tables
}

/// Takes each of 32 bytes twice.
const TWICE: [u8; 64] = {
    let mut twice = [0; 64];
    let mut i = 0;
    while i < 64 {
        twice[i] = i as u8 / 2;
        i += 1;
    }
    twice
};

/// From so many bytes on the output is aligned first.
const LONG: usize = 512;

/// Values that a block holds.
const LANES: usize = 32;
