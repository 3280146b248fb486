//! No codec allocates anything once it is made, be it written in Rust or, as Opus is, in C.
//!
//! C's allocations pass Rust's allocator by, so that `malloc` itself is put in the way of both; glibc has the real one
//! under another name as well.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::ffi::c_void;

use talkpath::audio::codec::{Codec, Decoder, Encoder};
use talkpath::audio::frame::{PTIME, SampleRate};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    COUNT.with(|count| count.set(count.get() + 1));
}

unsafe extern "C" {
    fn __libc_malloc(bytes: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, bytes: usize) -> *mut c_void;
    fn __libc_realloc(old: *mut c_void, bytes: usize) -> *mut c_void;
}

/// Stands before glibc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(bytes: usize) -> *mut c_void {
    note();
    // SAFETY: the caller keeps `malloc`'s contract, which is the same.
    unsafe { __libc_malloc(bytes) }
}

/// Stands before glibc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, bytes: usize) -> *mut c_void {
    note();
    // SAFETY: as above.
    unsafe { __libc_calloc(count, bytes) }
}

/// Stands before glibc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(old: *mut c_void, bytes: usize) -> *mut c_void {
    note();
    // SAFETY: as above; `old` came from glibc.
    unsafe { __libc_realloc(old, bytes) }
}

#[test]
fn coding_concealing_and_recovering_allocate_nothing() {
    let opus = [8_000, 12_000, 16_000, 24_000, 48_000].map(|hz| Codec::opus(SampleRate::new(hz).unwrap()).unwrap());
    for codec in [Codec::PCMU, Codec::PCMA, Codec::slin(SampleRate::HZ_16000), Codec::G722].into_iter().chain(opus) {
        let before = COUNT.with(Cell::get);
        let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
        if let Codec::Opus { .. } = codec {
            assert!(COUNT.with(Cell::get) > before, "making {codec} allocates, so counting works");
        }
        let samples = codec.samples_per_frame(PTIME);
        let (mut frame, mut heard) = (vec![0_i16; samples], vec![0_i16; samples]);
        let mut payload = vec![0; codec.bytes_per_frame(PTIME)];
        let mut noise = 1_u32;

        let before = COUNT.with(Cell::get);
        for number in 0..200 {
            // A buzz in noise, and silence now and then.
            for (i, sample) in frame.iter_mut().enumerate() {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let buzz = (i * 8_000 / codec.rate().hz() as usize % 80) as i16 * 60;
                *sample = if number % 50 < 40 { buzz + (noise >> 22) as i16 } else { 0 };
            }
            let written = encoder.encode_into(&frame, &mut payload).unwrap();
            match number % 10 {
                3 => {
                    decoder.resync(&frame);
                    decoder.conceal_into(samples, &mut heard);
                }
                // Lost, to be found in the next one.
                4 => {}
                5 => {
                    decoder.recover_into(&payload[..written], samples, &mut heard);
                    assert_eq!(decoder.decode_into(&payload[..written], &mut heard).unwrap(), samples);
                }
                _ => assert_eq!(decoder.decode_into(&payload[..written], &mut heard).unwrap(), samples),
            }
        }
        encoder.reset();
        decoder.reset();
        assert_eq!(COUNT.with(Cell::get) - before, 0, "allocations of {codec}");
    }
}
