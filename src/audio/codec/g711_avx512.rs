//! G.711 decoding on AVX-512 VBMI: 32 bytes at a time, a third faster than AVX2 on long buffers.
//!
//! VBMI looks up 64 bytes in a register by their low six bits, which saves AVX2's masking and unpacking. [`Avx512`] is
//! the proof that the CPU has the instructions; nothing outside this file relies on it. Encoding gains little and stays
//! with AVX2. The intrinsics are stable from Rust 1.89 on; `build.rs` leaves this file out below that.

#![allow(unsafe_code)]
#![allow(clippy::incompatible_msrv)] // Compiled only where the compiler has them: `cfg(talkpath_avx512)`.

use std::arch::x86_64::*;

use super::g711::ULAW_BIAS;

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
        unsafe { decode::<false>(bytes, out) }
    }

    pub(super) fn decode_alaw(self, bytes: &[u8], out: &mut [i16]) {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { decode::<true>(bytes, out) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn decode<const A: bool>(bytes: &[u8], out: &mut [i16]) {
    let tables = if A { &ALAW } else { &ULAW };
    let tables = (load(&tables.mantissa[0]), load(&tables.mantissa[1]), load(&tables.scale));
    // Stores that straddle two cache lines take twice as long: a long buffer is worth a short first step.
    let head = if bytes.len() >= LONG { out.as_ptr().align_offset(64).min(LANES - 1) } else { 0 };
    let (first, bytes) = bytes.split_at(head);
    let (out_first, out) = out.split_at_mut(head);
    decode_few::<A>(first, out_first, tables);
    let (blocks, rest) = bytes.as_chunks::<LANES>();
    let (out_blocks, out_rest) = out.as_chunks_mut::<LANES>();
    for (block, out) in blocks.iter().zip(out_blocks) {
        // SAFETY: the array is 32 bytes long, and the load needs no alignment.
        let code = unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
        let samples = decode_block::<A>(code, tables);
        // SAFETY: the array holds 32 samples, which are 64 bytes, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), samples) };
    }
    decode_few::<A>(rest, out_rest, tables);
}

/// Decodes fewer bytes than a block has.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn decode_few<const A: bool>(bytes: &[u8], out: &mut [i16], tables: (__m512i, __m512i, __m512i)) {
    let len = bytes.len().min(out.len());
    if len == 0 || len >= LANES {
        return;
    }
    let mask = u32::MAX >> (LANES - len);
    // SAFETY: the mask leaves out all but the `len` bytes that are there.
    let code = unsafe { _mm256_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) };
    let samples = decode_block::<A>(code, tables);
    // SAFETY: the mask leaves out all but the `len` samples that there is room for.
    unsafe { _mm512_mask_storeu_epi16(out.as_mut_ptr(), mask, samples) };
}

/// Decodes 32 bytes: each becomes a 16-bit pair of factors, and a multiply-add makes the negated magnitude of them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn decode_block<const A: bool>(code: __m256i, (low, high, scale): (__m512i, __m512i, __m512i)) -> __m512i {
    let index = _mm512_cvtepu8_epi16(code);
    // The look-ups ignore the bits above their table, so the neighbour bits that a shift brings in do no harm.
    let segment = _mm512_srli_epi16::<1>(index);
    // The pair's upper half is mu-law's bias times one, and for A-law whatever times zero.
    let (mantissa, scale) = if A {
        (_mm512_permutex2var_epi8(low, index, high), _mm512_maskz_permutexvar_epi8(LOWER, segment, scale))
    } else {
        let bias = _mm512_set1_epi8((4 * ULAW_BIAS) as u8 as i8);
        let mantissa = _mm512_mask_permutexvar_epi8(bias, LOWER, index, low);
        (mantissa, _mm512_mask_permutexvar_epi8(_mm512_set1_epi8(1), LOWER, segment, scale))
    };
    let negative = _mm512_maddubs_epi16(mantissa, scale);
    _mm512_mask_sub_epi16(negative, _mm256_movepi8_mask(code), _mm512_setzero_si512(), negative)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(table: &[u8; 64]) -> __m512i {
    // SAFETY: the array is 64 bytes long, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(table.as_ptr().cast()) }
}

/// What the decoder looks up in registers.
struct Tables {
    /// `4 * (2m + 33)`, by the byte's low seven bits; without the leading one, 32, in A-law's segment 0.
    mantissa: [[u8; 64]; 2],
    /// Two to the segment, negated so that 128 fits, by the bits 1 to 6.
    scale: [u8; 64],
}

const ULAW: Tables = tables(0x7f, false);
const ALAW: Tables = tables(0x55, true);

/// Undoes the wire's inversion in the tables instead of in the data.
const fn tables(inversion: usize, shared_first: bool) -> Tables {
    let mut tables = Tables { mantissa: [[0; 64]; 2], scale: [0; 64] };
    let mut wire = 0;
    while wire < 128 {
        let (segment, mantissa) = ((wire ^ inversion) >> 4, (wire ^ inversion) & 15);
        let linear = shared_first && segment == 0;
        tables.mantissa[wire / 64][wire % 64] = 4 * (2 * mantissa as u8 + if linear { 1 } else { 33 });
        let shift = if linear { 1 } else { segment };
        tables.scale[wire / 2] = (1_u8 << shift).wrapping_neg();
        wire += 1;
    }
    tables
}

/// The lower byte of every 16-bit pair.
const LOWER: __mmask64 = 0x5555_5555_5555_5555;

/// From so many bytes on the output is aligned first.
const LONG: usize = 512;

/// Values that a block holds.
const LANES: usize = 32;
