//! Wipes what work on plaintext leaves behind: vector registers, scratch registers and the dead part of the stack.
//!
//! A cipher keeps its key and its output in the widest registers there are, and no call convention clears them: a core
//! dump of the waiting process still shows the last secret there. It does not reach what a closure copies elsewhere.
#![allow(unsafe_code)]

use std::hint::black_box;

/// Runs `work`, then wipes registers and the stack that it used, also if it panics.
///
/// What `work` returns must hold no plaintext: it comes through.
pub(super) fn without_trace<R>(work: impl FnOnce() -> R) -> R {
    let _wipe = Wipe;
    deeper(work)
}

/// Wipes registers and the dead part of the stack when it goes.
pub(super) struct Wipe;

impl Drop for Wipe {
    fn drop(&mut self) {
        wipe_stack();
        wipe_registers();
    }
}

/// Runs `work` with its frames below the caller's, where a [`Wipe`] that the caller drops later writes.
#[inline(never)]
pub(super) fn deeper<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[inline(never)]
fn wipe_stack() {
    black_box([0_u8; STACK_BYTES]);
}

#[cfg(target_arch = "x86_64")]
fn wipe_registers() {
    use std::arch::{asm, is_x86_feature_detected};

    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has these registers, and the compiler is told that all that a call may change changes.
        unsafe {
            asm!(
                "vpxord zmm16, zmm16, zmm16",
                "vpxord zmm17, zmm17, zmm17",
                "vpxord zmm18, zmm18, zmm18",
                "vpxord zmm19, zmm19, zmm19",
                "vpxord zmm20, zmm20, zmm20",
                "vpxord zmm21, zmm21, zmm21",
                "vpxord zmm22, zmm22, zmm22",
                "vpxord zmm23, zmm23, zmm23",
                "vpxord zmm24, zmm24, zmm24",
                "vpxord zmm25, zmm25, zmm25",
                "vpxord zmm26, zmm26, zmm26",
                "vpxord zmm27, zmm27, zmm27",
                "vpxord zmm28, zmm28, zmm28",
                "vpxord zmm29, zmm29, zmm29",
                "vpxord zmm30, zmm30, zmm30",
                "vpxord zmm31, zmm31, zmm31",
                clobber_abi("C"),
                options(nomem, nostack),
            );
        }
    }
    if is_x86_feature_detected!("avx") {
        // SAFETY: the processor has the instruction, and the compiler is told that all that a call may change changes.
        unsafe { asm!("vzeroall", clobber_abi("C"), options(nomem, nostack)) };
    } else {
        // SAFETY: every x86-64 has these registers, and the compiler is told that all that a call may change changes.
        unsafe {
            asm!(
                "pxor xmm0, xmm0",
                "pxor xmm1, xmm1",
                "pxor xmm2, xmm2",
                "pxor xmm3, xmm3",
                "pxor xmm4, xmm4",
                "pxor xmm5, xmm5",
                "pxor xmm6, xmm6",
                "pxor xmm7, xmm7",
                "pxor xmm8, xmm8",
                "pxor xmm9, xmm9",
                "pxor xmm10, xmm10",
                "pxor xmm11, xmm11",
                "pxor xmm12, xmm12",
                "pxor xmm13, xmm13",
                "pxor xmm14, xmm14",
                "pxor xmm15, xmm15",
                clobber_abi("C"),
                options(nomem, nostack),
            );
        }
    }
    // SAFETY: the compiler is told that all that a call may change changes.
    unsafe {
        asm!(
            "xor eax, eax",
            "xor ecx, ecx",
            "xor edx, edx",
            "xor esi, esi",
            "xor edi, edi",
            "xor r8d, r8d",
            "xor r9d, r9d",
            "xor r10d, r10d",
            "xor r11d, r11d",
            clobber_abi("C"),
            options(nomem, nostack),
        );
    }
}

#[cfg(target_arch = "aarch64")]
fn wipe_registers() {
    // v8 to v15 are left: who uses them puts back what was there. Writing v clears what SVE has above it.
    // SAFETY: every aarch64 that Linux runs on has these registers, and the compiler is told that all that a call may
    // change changes.
    unsafe {
        std::arch::asm!(
            "movi v0.2d, #0",
            "movi v1.2d, #0",
            "movi v2.2d, #0",
            "movi v3.2d, #0",
            "movi v4.2d, #0",
            "movi v5.2d, #0",
            "movi v6.2d, #0",
            "movi v7.2d, #0",
            "movi v16.2d, #0",
            "movi v17.2d, #0",
            "movi v18.2d, #0",
            "movi v19.2d, #0",
            "movi v20.2d, #0",
            "movi v21.2d, #0",
            "movi v22.2d, #0",
            "movi v23.2d, #0",
            "movi v24.2d, #0",
            "movi v25.2d, #0",
            "movi v26.2d, #0",
            "movi v27.2d, #0",
            "movi v28.2d, #0",
            "movi v29.2d, #0",
            "movi v30.2d, #0",
            "movi v31.2d, #0",
            "mov x0, xzr",
            "mov x1, xzr",
            "mov x2, xzr",
            "mov x3, xzr",
            "mov x4, xzr",
            "mov x5, xzr",
            "mov x6, xzr",
            "mov x7, xzr",
            "mov x8, xzr",
            "mov x9, xzr",
            "mov x10, xzr",
            "mov x11, xzr",
            "mov x12, xzr",
            "mov x13, xzr",
            "mov x14, xzr",
            "mov x15, xzr",
            clobber_abi("C"),
            options(nomem, nostack),
        );
    }
}

/// On other machines the stack alone is wiped.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn wipe_registers() {}

/// More than the ciphers here use, with their widest kernels and without optimisation.
const STACK_BYTES: usize = 32 * 1024;
