//! G.711 on AVX2: 32 values at a time, three to ten times as fast as what the compiler makes of the portable one.
//!
//! Encoding is the arithmetic that `g711.rs` explains, decoding that of `g711_factors.rs`. [`Avx2`] is the proof that
//! the CPU has the instructions; nothing outside this file is unsafe. It owns no choice: [`Kernel`](super::g711::Kernel) decides when to use it.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::*;

use super::g711::{ALAW_LINEAR, ALAW_ORIGIN, ULAW_BIAS, ULAW_MAX, ULAW_ORIGIN};
use super::g711_factors::{self, Factors};

/// Proof that this CPU has AVX2: only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Checks the CPU; the standard library keeps the answer.
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn decode_ulaw(self, bytes: &[u8], out: &mut [i16]) {
        // SAFETY: `self` exists, so the CPU has AVX2.
        unsafe { decode(bytes, out, &ULAW_TABLES) }
    }

    pub(super) fn decode_alaw(self, bytes: &[u8], out: &mut [i16]) {
        // SAFETY: `self` exists, so the CPU has AVX2.
        unsafe { decode(bytes, out, &ALAW_TABLES) }
    }

    pub(super) fn encode_ulaw(self, samples: &[i16], out: &mut [u8]) {
        // SAFETY: `self` exists, so the CPU has AVX2.
        unsafe { encode::<ULAW>(samples, out) }
    }

    pub(super) fn encode_ulaw_g191(self, samples: &[i16], out: &mut [u8]) {
        // SAFETY: `self` exists, so the CPU has AVX2.
        unsafe { encode::<ULAW_G191>(samples, out) }
    }

    pub(super) fn encode_alaw(self, samples: &[i16], out: &mut [u8]) {
        // SAFETY: `self` exists, so the CPU has AVX2.
        unsafe { encode::<ALAW>(samples, out) }
    }
}

#[target_feature(enable = "avx2")]
fn decode(bytes: &[u8], out: &mut [i16], tables: &Tables) {
    let tables = Registers {
        unsigned: both_lanes(&tables.unsigned),
        flip: _mm256_set1_epi8(tables.flip as i8),
        signed: [both_lanes(&tables.signed[0]), both_lanes(&tables.signed[1])],
    };
    let start = if bytes.len() >= LONG { out.as_ptr().align_offset(ALIGNED).min(LANES) } else { 0 };
    if start != 0
        && let (Some(block), Some(out_block)) = (bytes.first_chunk(), out.first_chunk_mut())
    {
        // Stores that straddle two cache lines take twice as long. So the blocks begin where the output is aligned,
        // and decode some of this one for the second time.
        decode_block(block, out_block, &tables);
    }
    let (blocks, rest) = bytes[start..].as_chunks::<LANES>();
    for (block, out) in blocks.iter().zip(out[start..].as_chunks_mut().0) {
        decode_block(block, out, &tables);
    }
    if rest.is_empty() {
        return;
    }
    // The last whole block that fits, some of it for the second time, is cheaper than single values.
    if let (Some(block), Some(out)) = (bytes.last_chunk(), out.last_chunk_mut()) {
        decode_block(block, out, &tables);
    } else {
        let (mut block, mut decoded) = ([0; LANES], [0; LANES]);
        block[..rest.len()].copy_from_slice(rest);
        decode_block(&block, &mut decoded, &tables);
        out.copy_from_slice(&decoded[..rest.len()]);
    }
}

#[target_feature(enable = "avx2")]
fn encode<const LAW: u8>(samples: &[i16], out: &mut [u8]) {
    let (blocks, rest) = samples.as_chunks::<LANES>();
    for (block, out) in blocks.iter().zip(out.as_chunks_mut().0) {
        encode_block::<LAW>(block, out);
    }
    if rest.is_empty() {
        return;
    }
    if let (Some(block), Some(out)) = (samples.last_chunk(), out.last_chunk_mut()) {
        encode_block::<LAW>(block, out);
    } else {
        let (mut block, mut encoded) = ([0; LANES], [0; LANES]);
        block[..rest.len()].copy_from_slice(rest);
        encode_block::<LAW>(&block, &mut encoded);
        out.copy_from_slice(&encoded[..rest.len()]);
    }
}

/// Decodes 32 bytes: each becomes four factors, and a multiply-add makes the sample of them.
#[inline]
#[target_feature(enable = "avx2")]
fn decode_block(bytes: &[u8; LANES], out: &mut [i16; LANES], tables: &Registers) {
    // SAFETY: the array is 32 bytes long, and the load needs no alignment.
    let code = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    let nibble = _mm256_set1_epi8(15);
    let (low, high) = (_mm256_and_si256(code, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(code), nibble));
    let u0 = _mm256_shuffle_epi8(tables.unsigned, low);
    let u1 = _mm256_xor_si256(u0, tables.flip);
    let v0 = _mm256_shuffle_epi8(tables.signed[0], high);
    let v1 = _mm256_shuffle_epi8(tables.signed[1], high);

    let low = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(u0, u1), _mm256_unpacklo_epi8(v0, v1));
    let high = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(u0, u1), _mm256_unpackhi_epi8(v0, v1));
    // Unpacking works within 128-bit lanes: the quarters come out in the order 0, 2, 1, 3. Storing each by itself puts
    // that right, and is cheaper than a permutation, which takes a port that all the shuffles above want.
    let out = out.as_mut_ptr().cast::<__m128i>();
    // SAFETY: the array holds 32 samples, which are four registers of 16 bytes; the stores need no alignment.
    unsafe {
        _mm_storeu_si128(out, _mm256_castsi256_si128(low));
        _mm_storeu_si128(out.add(1), _mm256_castsi256_si128(high));
        store_upper(out.add(2), low);
        store_upper(out.add(3), high);
    }
}

/// Stores a register's upper lane; in assembly, since compilers make two permutations and wider stores of four of these.
///
/// # Safety
/// `out` must be writable for 16 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_upper(out: *mut __m128i, register: __m256i) {
    // SAFETY: writes 16 bytes, which the caller vouches for, and touches no flag and no stack.
    unsafe {
        asm!(
            "vextracti128 xmmword ptr [{out}], {register}, 1",
            out = in(reg) out,
            register = in(ymm_reg) register,
            options(nostack, preserves_flags),
        );
    }
}

/// Encodes 32 samples.
#[inline]
#[target_feature(enable = "avx2")]
fn encode_block<const LAW: u8>(samples: &[i16; LANES], out: &mut [u8; LANES]) {
    let samples = samples.as_ptr().cast::<__m256i>();
    // SAFETY: the array holds 32 samples, which are two registers of 32 bytes; the loads need no alignment.
    let (low, high) = unsafe { (_mm256_loadu_si256(samples), _mm256_loadu_si256(samples.add(1))) };
    let code = _mm256_packus_epi16(encode_half::<LAW>(low), encode_half::<LAW>(high));
    let sign = _mm256_packs_epi16(low, high);
    // The code has its highest bit set; both laws want it clear for negative samples.
    let byte = if LAW == ALAW {
        let sign = _mm256_and_si256(sign, _mm256_set1_epi8(i8::MIN));
        _mm256_xor_si256(_mm256_xor_si256(code, _mm256_set1_epi8(0x55)), sign)
    } else {
        _mm256_xor_si256(code, _mm256_or_si256(sign, _mm256_set1_epi8(0x7f)))
    };
    // Packing works within 128-bit lanes and leaves the quarters in the order 0, 2, 1, 3.
    let byte = _mm256_permute4x64_epi64::<0b11_01_10_00>(byte);
    // SAFETY: the array is 32 bytes long, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), byte) };
}

/// Finds segment and mantissa of 16 samples: a byte each, with the highest bit set, before the law's inversion.
#[inline]
#[target_feature(enable = "avx2")]
fn encode_half<const LAW: u8>(sample: __m256i) -> __m256i {
    let ones_complement = _mm256_xor_si256(sample, _mm256_srai_epi16::<15>(sample));
    if LAW == ALAW {
        let magnitude = _mm256_srli_epi16::<3>(ones_complement);
        let linear = _mm256_min_epi16(_mm256_srli_epi16::<1>(magnitude), set16(ALAW_LINEAR / 2));
        let top = float_top(_mm256_max_epi16(magnitude, set16(ALAW_LINEAR)));
        _mm256_add_epi16(_mm256_sub_epi16(top, set16(ALAW_ORIGIN - 128)), linear)
    } else {
        let magnitude = if LAW == ULAW_G191 {
            _mm256_srli_epi16::<2>(ones_complement)
        } else {
            _mm256_abs_epi16(_mm256_srai_epi16::<2>(sample))
        };
        let magnitude = _mm256_add_epi16(_mm256_min_epi16(magnitude, set16(ULAW_MAX)), set16(ULAW_BIAS));
        _mm256_sub_epi16(float_top(magnitude), set16(ULAW_ORIGIN - 128))
    }
}

/// The exponent and the four highest mantissa bits of 16 positive integers, each as a float.
#[inline]
#[target_feature(enable = "avx2")]
fn float_top(magnitude: __m256i) -> __m256i {
    let even = _mm256_and_si256(magnitude, _mm256_set1_epi32(0xffff));
    let odd = _mm256_srli_epi32::<16>(magnitude);
    let even = _mm256_castps_si256(_mm256_cvtepi32_ps(even));
    let odd = _mm256_castps_si256(_mm256_cvtepi32_ps(odd));
    // 19 bits down for both; the odd ones then go 16 up again, to where they came from.
    _mm256_blend_epi16::<0b1010_1010>(_mm256_srli_epi32::<19>(even), _mm256_srli_epi32::<3>(odd))
}

#[inline]
#[target_feature(enable = "avx2")]
fn set16(value: i32) -> __m256i {
    _mm256_set1_epi16(value as i16)
}

#[inline]
#[target_feature(enable = "avx2")]
fn both_lanes(table: &[u8; 16]) -> __m256i {
    // SAFETY: the array is 16 bytes long, and the load needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}

/// What a decoder looks up, 16 bytes a table.
struct Tables {
    /// `u0` by the low four bits.
    unsigned: [u8; 16],
    /// The bits in which `u1` differs from it.
    flip: u8,
    /// `v0` and `v1` by the high four bits.
    signed: [[u8; 16]; 2],
}

/// [`Tables`] as they are used.
struct Registers {
    unsigned: __m256i,
    flip: __m256i,
    signed: [__m256i; 2],
}

const ULAW_TABLES: Tables = tables(&g711_factors::ULAW);
const ALAW_TABLES: Tables = tables(&g711_factors::ALAW);

const fn tables(factors: &Factors) -> Tables {
    let flip = factors.flip[0] ^ factors.flip[1];
    let mut tables = Tables { unsigned: [0; 16], flip, signed: [[0; 16]; 2] };
    let mut i = 0;
    while i < 16 {
        tables.unsigned[i] = (i as u8) << 3 ^ factors.flip[0];
        tables.signed[0][i] = factors.signed[i][0] as u8;
        tables.signed[1][i] = factors.signed[i][1] as u8;
        i += 1;
    }
    tables
}

/// From so many bytes on the output is aligned first, to so many bytes.
const LONG: usize = 512;
const ALIGNED: usize = 16;

/// Values that a block holds.
const LANES: usize = 32;

const ULAW: u8 = 0;
const ULAW_G191: u8 = 1;
const ALAW: u8 = 2;
