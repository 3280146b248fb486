//! The decoders that keep a state, Opus and G.722, take any packets, any losses and any order of calls: they refuse or
//! decode, write what they say and no more, and never panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use talkpath::audio::codec::{Codec, Decoder};
use talkpath::audio::frame::SampleRate;

/// The room given, and what must stay as it was beyond it: 120 ms at 48 kHz is the longest packet of Opus.
const ROOM: usize = 5_760;
const UNTOUCHED: i16 = 21_555;

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut data)) = data.split_first() else { return };
    let rates = [8_000, 12_000, 16_000, 24_000, 48_000];
    let codec = match rates.get(usize::from(first % 6)) {
        Some(&hz) => SampleRate::new(hz).and_then(Codec::opus).expect("a rate of Opus"),
        None => Codec::G722,
    };
    let mut decoder = Decoder::new(codec);
    let mut out = [UNTOUCHED; ROOM + 1];
    // An operation, its length, then its bytes.
    while let Some(([operation, length], rest)) = data.split_first_chunk() {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        data = rest;
        let samples = usize::from(*length) * 23;
        match operation % 8 {
            0..=3 => match decoder.decode_into(bytes, &mut out[..ROOM]) {
                Ok(written) => assert_eq!(codec.samples_in(bytes).expect("it was decoded"), written),
                Err(error) => assert!(!error.to_string().is_empty()),
            },
            4 => {
                if let Some(written) = decoder.conceal_into(samples, &mut out[..ROOM]) {
                    assert!(written <= samples);
                }
            }
            5 => {
                if let Some(written) = decoder.recover_into(bytes, samples, &mut out[..ROOM]) {
                    assert!(written <= samples);
                }
            }
            6 => decoder.resync(&out[..samples.min(ROOM)]),
            _ => decoder.reset(),
        }
        assert_eq!(out[ROOM], UNTOUCHED);
    }
});
